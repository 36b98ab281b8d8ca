//! The packets of one frame leave in one send for each subscriber, padded to the same length if they may be.

use patchbay::media::worker::Datagram;

use super::*;

/// Publishes a frame whose packets have these payload lengths, as one batch. Returns the lengths of the datagrams in each
/// send to the first subscriber, and the packets, opened.
fn publish_frame(stage: &mut Stage, payload_lens: &[usize]) -> (Vec<Vec<usize>>, Vec<Vec<u8>>) {
    let (mut buffer, mut datagrams) = (Vec::new(), Vec::new());
    for &len in payload_lens {
        let sequence = stage.sequence;
        stage.sequence += 1;
        let payload = vp8(sequence == 0, 7, len);
        let packet = rtp(VIDEO_PT, false, sequence, 3_000, VIDEO_SSRC, &payload);
        let sealed = stage.publisher.seal(&packet, u64::from(sequence));
        datagrams.push(Datagram {
            from: stage.publisher.address,
            to: None,
            start: buffer.len(),
            len: sealed.len(),
        });
        buffer.extend_from_slice(&sealed);
    }
    stage.worker.handle_datagrams(stage.now, &mut buffer, &datagrams);
    assert!(stage.worker.forward(stage.now, &buffer));
    let (mut sends, mut packets) = (Vec::new(), Vec::new());
    let to = stage.subscribers[0].address;
    let all: Vec<_> = stage
        .worker
        .egress()
        .sends()
        .map(|(send, bytes)| (send.clone(), bytes.to_vec()))
        .collect();
    for (send, bytes) in all.iter().filter(|(send, _)| send.path.remote.address == to) {
        let cut = bytes.chunks(send.segment);
        sends.push(cut.clone().map(<[u8]>::len).collect());
        packets.extend(cut.filter_map(|datagram| stage.subscribers[0].take(stage.now, datagram)));
    }
    stage.worker.egress().clear();
    (sends, packets)
}

fn payload(packet: &[u8]) -> &[u8] {
    let header = Header::parse(packet).unwrap();
    &packet[header.payload(packet).unwrap()]
}

#[test]
fn packets_that_differ_by_a_few_bytes_leave_in_one_send_and_mean_the_same() {
    let mut stage = Stage::new(2);
    let lens = [1_000, 1_001, 999, 1_001, 980];
    let (sends, packets) = publish_frame(&mut stage, &lens);
    assert_eq!(sends.len(), 1, "{sends:?}");
    assert!(sends[0][..4].iter().all(|len| *len == sends[0][0]), "{sends:?}");
    assert!(sends[0][4] < sends[0][0], "the last needs no padding: {sends:?}");
    let got: Vec<usize> = packets.iter().map(|packet| payload(packet).len()).collect();
    assert_eq!(got, lens);
    let padded: Vec<bool> = packets
        .iter()
        .map(|packet| Header::parse(packet).unwrap().padding)
        .collect();
    assert_eq!(padded, [true, false, true, false, false]);
    // RFC 3550 §5.1: only the last byte has a meaning.
    assert_eq!(packets[2][packets[2].len() - 2..], [0, 2]);
}

#[test]
fn a_probe_between_the_packets_of_a_frame_does_not_part_them() {
    let mut stage = Stage::new(1);
    let (mut buffer, mut datagrams) = (Vec::new(), Vec::new());
    for (sequence, len) in (0_u16..).zip([1_000, 1_001, 0, 999, 1_001]) {
        let mut packet = rtp(
            VIDEO_PT,
            false,
            sequence,
            3_000,
            VIDEO_SSRC,
            &vp8(sequence == 0, 7, len),
        );
        if len == 0 {
            packet.truncate(12);
        }
        let sealed = stage.publisher.seal(&packet, u64::from(sequence));
        datagrams.push(Datagram {
            from: stage.publisher.address,
            to: None,
            start: buffer.len(),
            len: sealed.len(),
        });
        buffer.extend_from_slice(&sealed);
    }
    stage.worker.handle_datagrams(stage.now, &mut buffer, &datagrams);
    assert!(stage.worker.forward(stage.now, &buffer));
    let to = stage.subscribers[0].address;
    let sends = stage.worker.egress().sends();
    let mine: Vec<u64> = sends
        .filter(|(send, _)| send.path.remote.address == to)
        .map(|(send, _)| send.datagrams())
        .collect();
    assert_eq!(mine, [4]);
}

#[test]
fn packets_that_differ_much_are_not_padded() {
    let mut stage = Stage::new(1);
    let (sends, packets) = publish_frame(&mut stage, &[500, 1_000, 300]);
    assert_eq!(sends.iter().map(Vec::len).collect::<Vec<_>>(), [1, 2]);
    assert!(packets.iter().all(|packet| !Header::parse(packet).unwrap().padding));
}

#[test]
fn a_retransmission_carries_no_padding() {
    let mut stage = Stage::new(1);
    let (_, packets) = publish_frame(&mut stage, &[700, 701]);
    let first = Header::parse(&packets[0]).unwrap();
    assert!(first.padding);
    // RFC 4588 §4: padding of the original is left out.
    let again = stage.nack(0, &[first.sequence]).remove(0);
    let header = Header::parse(&again).unwrap();
    assert!(!header.padding);
    assert_eq!(again[header.len + 2..], *payload(&packets[0]));
}

#[test]
fn a_client_without_rtx_gets_no_padding_because_the_same_bytes_are_sent_again() {
    let mut stage = Stage::new(0);
    let section = section("0", codec(VIDEO_PT, None, Codec::Vp8), false, VIDEO_SSRC, 0x7_0000);
    let own = DtlsIdentity::generate().unwrap();
    let mut client = Client::new(9, Some(1), vec![section], &stage.identity, &own);
    client.connect(stage.now, &mut stage.worker);
    stage.subscribers.push(client);
    let (sends, packets) = publish_frame(&mut stage, &[700, 701]);
    assert_eq!(sends.len(), 2);
    assert!(packets.iter().all(|packet| !Header::parse(packet).unwrap().padding));
}
