//! Reports and feedback of connections with many streams: none is left out, and no datagram is too large for any path.

use bytes::Bytes;
use patchbay::media::session::Feedback;

use super::wide::{NOTHING, Sent, Wide, copy_ssrc, source_ssrc};
use super::*;

/// The largest datagram that every path carries, protection included.
const MAX_RTCP_DATAGRAM: usize = 1_200;

fn wide(tracks: u32, codec: Codec, feedback: Feedback) -> Wide {
    let now = start();
    let (worker, identity) = worker(now);
    Wide::on(now, worker, &identity, tracks, codec, feedback)
}

/// The RTCP compounds among `sent` for `client`, unprotected; none of them is too large.
fn compounds(now: Instant, client: &mut Client, sent: &Sent) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for (to, bytes) in sent {
        if *to == client.address && matches!(bytes.get(1), Some(192..=223)) {
            assert!(bytes.len() <= MAX_RTCP_DATAGRAM, "a compound of {} bytes", bytes.len());
            let compound = client.take(now, bytes).expect("it is authentic");
            assert!(rtcp::is_report(&compound), "a compound begins with a report");
            found.push(compound);
        }
    }
    found
}

#[test]
fn each_of_a_hundred_subscriptions_on_one_connection_gets_a_report_every_second() {
    let mut wide = wide(100, Codec::Opus, NOTHING);
    let mut reports = vec![0; 100];
    for second in 0..5_u16 {
        for tenth in 0..10 {
            let at = second * 10 + tenth;
            let timestamp = u32::from(at) * wide.clock_rate() / 10;
            wide.publish(at, timestamp, 80);
            if tenth == 0 {
                wide.report(u64::from(second), timestamp);
            }
            let sent = wide.pass(Duration::from_millis(100));
            for compound in compounds(wide.now, &mut wide.subscriber, &sent) {
                for packet in rtcp::packets(&compound) {
                    if let rtcp::Packet::SenderReport { ssrc, .. } = packet {
                        reports[((ssrc - copy_ssrc(0)) / 4) as usize] += 1;
                    }
                }
            }
        }
    }
    assert!(reports.iter().all(|count| (4..=6).contains(count)), "{reports:?}");
    assert_eq!(wide.worker.stats().unsent_datagrams, 0);
}

#[test]
fn a_publisher_of_many_streams_gets_a_report_of_each() {
    let feedback = Feedback { remb: true, ..NOTHING };
    let mut wide = wide(100, Codec::Vp8, feedback);
    wide.publish(0, 0, 80);
    let sent = wide.pass(Duration::from_millis(1_500));
    let mut reported = std::collections::BTreeMap::new();
    let mut estimates = 0;
    for compound in compounds(wide.now, &mut wide.publisher, &sent) {
        // Read by an independent implementation.
        for packet in ::rtcp::packet::unmarshal(&mut Bytes::from(compound)).unwrap() {
            match packet
                .as_any()
                .downcast_ref::<::rtcp::receiver_report::ReceiverReport>()
            {
                Some(report) => {
                    let blocks = report.reports.iter();
                    blocks.for_each(|block| *reported.entry(block.ssrc).or_insert(0) += 1);
                }
                None => estimates += 1,
            }
        }
    }
    let all: Vec<u32> = (0..100).map(source_ssrc).collect();
    assert_eq!(reported.keys().copied().collect::<Vec<_>>(), all);
    assert!(reported.values().all(|&times| times == 2), "{reported:?}");
    assert_eq!(estimates, 2);
}

#[test]
fn packets_missing_of_many_streams_are_requested_and_key_frames_too() {
    for fir in [false, true] {
        let feedback = Feedback {
            nack: true,
            fir,
            pli: !fir,
            ..NOTHING
        };
        let mut wide = wide(60, Codec::Vp8, feedback);
        // Every second packet is lost.
        (0..200).for_each(|at| wide.publish(2 * at, 3_000 * u32::from(at), 80));
        let sent = wide.pass(Duration::from_millis(50));
        let mut requested = vec![0; 60];
        for compound in compounds(wide.now, &mut wide.publisher, &sent) {
            for packet in rtcp::packets(&compound) {
                if let rtcp::Packet::Nack { media_ssrc, pairs } = packet {
                    let track = ((media_ssrc - source_ssrc(0)) / 4) as usize;
                    rtcp::each_nacked(pairs, |_| requested[track] += 1);
                }
            }
        }
        assert!(requested.iter().all(|count| *count == 199), "{requested:?}");
        // Everybody asks for a key frame of everything.
        wide.pass(Duration::from_secs(1));
        let mut wanted = Vec::new();
        rtcp::write_receiver_report(&mut wanted, 7, &[]);
        (0..60).for_each(|track| rtcp::write_pli(&mut wanted, 7, copy_ssrc(track)));
        let sealed = wide.subscriber.seal_rtcp(&wanted);
        let mut sent = exchange(wide.now, &mut wide.worker, wide.subscriber.address, &sealed);
        sent.extend(wide.pass(Duration::from_millis(600)));
        let mut keys = std::collections::BTreeSet::new();
        for compound in compounds(wide.now, &mut wide.publisher, &sent) {
            for packet in rtcp::packets(&compound) {
                match packet {
                    rtcp::Packet::Pli { media_ssrc } if !fir => drop(keys.insert(media_ssrc)),
                    rtcp::Packet::Fir { entries } if fir => keys.extend(rtcp::fir_ssrcs(entries)),
                    _ => {}
                }
            }
        }
        assert_eq!(keys.len(), 60);
    }
}

#[test]
fn arrival_times_of_a_large_burst_are_reported_in_several_datagrams() {
    let mut wide = wide(
        1,
        Codec::Vp8,
        Feedback {
            transport_cc: true,
            ..NOTHING
        },
    );
    // Every third packet is lost, and the others come at odd times: the costliest case to describe.
    for at in (0..3_000_u16).filter(|at| at % 3 != 1) {
        let mut packet = vec![0x90, 0x80 | VIDEO_PT];
        packet.extend_from_slice(&at.to_be_bytes());
        packet.extend_from_slice(&(u32::from(at) * 3_000).to_be_bytes());
        packet.extend_from_slice(&source_ssrc(0).to_be_bytes());
        packet.extend_from_slice(&[0xbe, 0xde, 0, 1, 0x31]);
        packet.extend_from_slice(&at.to_be_bytes());
        packet.push(0);
        packet.extend_from_slice(&vp8(true, at, 60));
        let sealed = wide.publisher.seal(&packet, u64::from(at));
        wide.now += Duration::from_millis(if at % 2 == 0 { 1 } else { 90 });
        exchange(wide.now, &mut wide.worker, wide.publisher.address, &sealed);
    }
    // Timers have not run meanwhile.
    let sent = run_until(&mut wide.worker, wide.now);
    let mut covered = 0;
    for compound in compounds(wide.now, &mut wide.publisher, &sent) {
        let mut rest = compound.as_slice();
        while let Some(head) = rest.get(..4) {
            let len = 4 * (usize::from(u16::from_be_bytes([head[2], head[3]])) + 1);
            if head[..2] == [0x80 | 15, 205] {
                covered += usize::from(u16::from_be_bytes([rest[14], rest[15]]));
            }
            rest = &rest[len..];
        }
    }
    assert_eq!(covered, 3_000);
    assert_eq!(wide.worker.stats().unsent_datagrams, 0);
}
