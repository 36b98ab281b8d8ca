//! The media worker in virtual time, with clients as pure as itself.

#[path = "../support/media_client.rs"]
pub mod media_client;

use std::time::{Duration, Instant};

use media_client::*;
use patchbay::media::codec::Codec;
use patchbay::media::engine::{CloseReason, MediaCommand, MediaEvent};
use patchbay::media::peer::dtls::DtlsIdentity;
use patchbay::media::peer::srtp::Profile;
use patchbay::media::rtcp;
use patchbay::media::rtp::Header;
use patchbay::media::session::MediaSection;
use patchbay::media::worker::Worker;

const VIDEO_SSRC: u32 = 0x1000;

fn start() -> Instant {
    #[allow(clippy::disallowed_methods, reason = "a test's starting point")]
    Instant::now()
}

fn video(receive: bool, local_ssrc: u32) -> MediaSection {
    section(
        "0",
        codec(VIDEO_PT, Some(VIDEO_RTX_PT), Codec::Vp8),
        receive,
        VIDEO_SSRC,
        local_ssrc,
    )
}

/// A room with one publisher of VP8 and some subscribers, all connected.
struct Stage {
    now: Instant,
    worker: Worker,
    identity: DtlsIdentity,
    publisher: Client,
    subscribers: Vec<Client>,
    sequence: u16,
}

impl Stage {
    fn new(subscribers: u64) -> Stage {
        let now = start();
        let (mut worker, identity) = worker(now);
        let mut publisher = Client::new(
            1,
            None,
            vec![video(true, 0x9000)],
            &identity,
            &DtlsIdentity::generate().unwrap(),
        );
        publisher.connect(now, &mut worker);
        let mut stage = Stage {
            now,
            worker,
            identity,
            publisher,
            subscribers: Vec::new(),
            sequence: 0,
        };
        for _ in 0..subscribers {
            stage.join();
        }
        events(&mut stage.worker);
        stage
    }

    /// One more subscriber; returns what was sent while it connected.
    fn join(&mut self) -> usize {
        let number = 2 + self.subscribers.len() as u64;
        let section = video(false, 0x2_0000 + 16 * number as u32);
        let mut client = Client::new(
            number,
            Some(1),
            vec![section],
            &self.identity,
            &DtlsIdentity::generate().unwrap(),
        );
        client.connect(self.now, &mut self.worker);
        self.subscribers.push(client);
        self.subscribers.len() - 1
    }

    fn publish(&mut self, key_frame: bool, payload_len: usize) -> Vec<Vec<Vec<u8>>> {
        let sequence = self.sequence;
        self.sequence += 1;
        let payload = vp8(key_frame, sequence, payload_len);
        self.publish_packet(&rtp(
            VIDEO_PT,
            true,
            sequence,
            u32::from(sequence) * 3_000,
            VIDEO_SSRC,
            &payload,
        ))
    }

    /// What each subscriber gets of one published packet.
    fn publish_packet(&mut self, packet: &[u8]) -> Vec<Vec<Vec<u8>>> {
        let index = u64::from(u16::from_be_bytes([packet[2], packet[3]]));
        let sealed = self.publisher.seal(packet, index);
        let sent = exchange(self.now, &mut self.worker, self.publisher.address, &sealed);
        self.hand_out(sent)
    }

    fn hand_out(&mut self, sent: Vec<(std::net::SocketAddr, Vec<u8>)>) -> Vec<Vec<Vec<u8>>> {
        let now = self.now;
        let take = |client: &mut Client| {
            let address = client.address;
            let mine = sent.iter().filter(|(to, _)| *to == address);
            mine.filter_map(|(_, bytes)| client.take(now, bytes)).collect()
        };
        self.subscribers.iter_mut().map(take).collect()
    }

    fn pass(&mut self, time: Duration) -> Vec<(std::net::SocketAddr, Vec<u8>)> {
        self.now += time;
        run_until(&mut self.worker, self.now)
    }

    fn requests_at_publisher(&mut self, sent: &[(std::net::SocketAddr, Vec<u8>)]) -> usize {
        let mut found = 0;
        for (to, bytes) in sent {
            if *to == self.publisher.address
                && let Some(compound) = self.publisher.take(self.now, bytes)
            {
                found += rtcp::packets(&compound)
                    .filter(|packet| matches!(packet, rtcp::Packet::Pli { .. }))
                    .count();
            }
        }
        found
    }

    fn nack(&mut self, subscriber: usize, sequences: &[u16]) -> Vec<Vec<u8>> {
        let ssrc = self.subscribers[subscriber].spec.sections[0].local_ssrc;
        let mut compound = Vec::new();
        rtcp::write_receiver_report(&mut compound, 7, &[]);
        rtcp::write_nack(&mut compound, 7, ssrc, sequences);
        let client = &mut self.subscribers[subscriber];
        let sealed = client.seal_rtcp(&compound);
        client.deliver(self.now, &mut self.worker, &sealed)
    }
}

#[test]
fn every_subscriber_gets_every_packet_once_under_its_own_numbers() {
    let mut stage = Stage::new(3);
    let mut first = Vec::new();
    for at in 0..5_u16 {
        let got = stage.publish(at == 0, 1_000);
        for (subscriber, packets) in got.iter().enumerate() {
            let [packet] = packets.as_slice() else {
                panic!("one packet, not {}", packets.len())
            };
            let header = Header::parse(packet).unwrap();
            assert_eq!(header.ssrc, stage.subscribers[subscriber].spec.sections[0].local_ssrc);
            assert_eq!(header.payload_type, VIDEO_PT);
            if at == 0 {
                first.push(header.sequence);
            }
            assert_eq!(header.sequence, first[subscriber].wrapping_add(at));
            assert_eq!(packet[header.len..].len(), 1_000);
        }
    }
    assert_eq!(stage.publisher.profile(), Some(Profile::AeadAes128Gcm));
}

#[test]
fn nothing_is_forwarded_before_a_key_frame() {
    let mut stage = Stage::new(1);
    assert!(stage.publish(false, 100)[0].is_empty());
    assert_eq!(stage.publish(true, 100)[0].len(), 1);
    assert_eq!(stage.publish(false, 100)[0].len(), 1);
}

#[test]
fn a_joiner_causes_a_key_frame_request_at_once_and_many_joiners_not_many() {
    let mut stage = Stage::new(0);
    stage.publish(true, 100);
    stage.pass(Duration::from_secs(2));
    let before = stage.worker.stats().key_frame_requests_sent;
    stage.join();
    assert_eq!(stage.worker.stats().key_frame_requests_sent, before + 1);
    for _ in 0..20 {
        stage.join();
    }
    assert_eq!(stage.worker.stats().key_frame_requests_sent, before + 1);
}

#[test]
fn a_storm_of_plis_reaches_the_publisher_as_a_trickle() {
    let mut stage = Stage::new(1);
    stage.publish(true, 100);
    stage.pass(Duration::from_secs(2));
    let ssrc = stage.subscribers[0].spec.sections[0].local_ssrc;
    let mut requests = 0;
    for _ in 0..200 {
        let mut compound = Vec::new();
        rtcp::write_receiver_report(&mut compound, 7, &[]);
        rtcp::write_pli(&mut compound, 7, ssrc);
        rtcp::write_fir(&mut compound, 7, ssrc, 1);
        let sealed = stage.subscribers[0].seal_rtcp(&compound);
        let sent = exchange(stage.now, &mut stage.worker, stage.subscribers[0].address, &sealed);
        requests += stage.requests_at_publisher(&sent);
        let sent = stage.pass(Duration::from_millis(10));
        requests += stage.requests_at_publisher(&sent);
    }
    assert!((1..=6).contains(&requests), "{requests} requests in two seconds");
}

#[test]
fn a_nack_brings_the_packet_again_by_rtx() {
    let mut stage = Stage::new(1);
    let mut originals = Vec::new();
    for at in 0..10 {
        originals.extend(stage.publish(at == 0, 500).remove(0));
    }
    let wanted = Header::parse(&originals[4]).unwrap();
    let again = stage.nack(0, &[wanted.sequence, wanted.sequence.wrapping_add(2)]);
    assert_eq!(again.len(), 2);
    let header = Header::parse(&again[0]).unwrap();
    assert_eq!(header.payload_type, VIDEO_RTX_PT);
    assert_eq!(header.ssrc, stage.subscribers[0].spec.sections[0].local_rtx_ssrc);
    assert_eq!(header.timestamp, wanted.timestamp);
    assert_eq!(again[0][header.len..header.len + 2], wanted.sequence.to_be_bytes());
    assert_eq!(again[0][header.len + 2..], originals[4][wanted.len..]);
    // Nobody is asked for what was never sent, nor for what is another's.
    assert!(stage.nack(0, &[wanted.sequence.wrapping_add(500)]).is_empty());
}

#[test]
fn a_storm_of_nacks_is_bounded() {
    let mut stage = Stage::new(1);
    let mut sequences = Vec::new();
    for at in 0..200 {
        for packet in stage.publish(at == 0, 500).remove(0) {
            sequences.push(Header::parse(&packet).unwrap().sequence);
        }
    }
    let mut resent = 0;
    for _ in 0..50 {
        resent += stage.nack(0, &sequences).len();
    }
    assert_eq!(resent, 128);
}

#[test]
fn a_missing_packet_is_asked_for_and_its_rtx_is_forwarded_as_the_original() {
    let mut stage = Stage::new(1);
    let head = Header::parse(&stage.publish(true, 300)[0][0]).unwrap();
    let lost = rtp(VIDEO_PT, true, 1, 3_000, VIDEO_SSRC, &vp8(false, 1, 300));
    stage.sequence = 2;
    for _ in 0..4 {
        stage.publish(false, 300);
    }
    let sent = stage.pass(Duration::from_millis(40));
    let mut asked = Vec::new();
    for (to, bytes) in &sent {
        if *to == stage.publisher.address
            && let Some(compound) = stage.publisher.take(stage.now, bytes)
        {
            for packet in rtcp::packets(&compound) {
                if let rtcp::Packet::Nack {
                    media_ssrc: VIDEO_SSRC,
                    pairs,
                } = packet
                {
                    rtcp::each_nacked(pairs, |sequence| asked.push(sequence));
                }
            }
        }
    }
    assert_eq!(asked, [1]);
    let mut rtx = rtp(VIDEO_RTX_PT, true, 77, 3_000, VIDEO_SSRC + 1, &[0, 1]);
    rtx.extend_from_slice(&lost[12..]);
    let got = stage.publish_packet(&rtx).remove(0);
    let header = Header::parse(&got[0]).unwrap();
    assert_eq!(header.sequence, head.sequence.wrapping_add(1));
    assert_eq!(header.payload_type, VIDEO_PT);
    assert_eq!(got[0][header.len..][..1], lost[12..][..1]);
    // The original, late: it has been delivered already.
    assert!(stage.publish_packet(&lost)[0].is_empty());
}

#[test]
fn a_publisher_that_comes_back_goes_on_in_the_same_stream() {
    let mut stage = Stage::new(1);
    stage.publish(true, 100);
    let last = Header::parse(&stage.publish(false, 100)[0][0]).unwrap();
    stage
        .worker
        .handle_command(stage.now, MediaCommand::Close(stage.publisher.spec.peer));
    stage.pass(Duration::from_secs(1));
    let own = DtlsIdentity::generate().unwrap();
    let mut section = video(true, 0x9100);
    section.remote_ssrcs[0].ssrc = 0x5555;
    let mut again = Client::new(1, None, vec![section], &stage.identity, &own);
    again.spec.peer = patchbay::ids::PeerId(1_000);
    again.spec.transport.local_ufrag = "again".to_owned();
    again.address.set_port(41_000);
    again.connect(stage.now, &mut stage.worker);
    stage.publisher = again;
    let packet = rtp(VIDEO_PT, true, 40_000, 5, 0x5555, &vp8(true, 9, 100));
    let got = stage.publish_packet(&packet).remove(0);
    let header = Header::parse(&got[0]).unwrap();
    assert_eq!(header.sequence, last.sequence.wrapping_add(1));
    assert_eq!(header.ssrc, last.ssrc);
    assert_eq!(header.timestamp.wrapping_sub(last.timestamp), 90_000);
}

#[test]
fn an_ssrc_that_changes_in_the_middle_goes_on_in_the_same_stream_from_a_key_frame() {
    let mut stage = Stage::new(1);
    // Nothing is announced: mid tells whose packets they are.
    let own = DtlsIdentity::generate().unwrap();
    let mut section = video(true, 0x9200);
    section.remote_ssrcs.clear();
    let mut publisher = Client::new(1, None, vec![section], &stage.identity, &own);
    publisher.spec.peer = patchbay::ids::PeerId(2_000);
    publisher.spec.transport.local_ufrag = "unannounced".to_owned();
    publisher.address.set_port(42_000);
    publisher.connect(stage.now, &mut stage.worker);
    stage.publisher = publisher;
    let mut last: Option<u16> = None;
    for round in 0..20_u32 {
        let ssrc = 0x7000 + round;
        let delta = rtp(VIDEO_PT, true, 500, 9, ssrc, &vp8(false, 1, 50));
        assert!(stage.publish_packet(&delta)[0].is_empty(), "not before a key frame");
        let key = rtp(VIDEO_PT, true, 501, 9, ssrc, &vp8(true, 2, 50));
        let got = stage.publish_packet(&key).remove(0);
        let sequence = Header::parse(&got[0]).unwrap().sequence;
        assert!(last.is_none_or(|last| sequence == last.wrapping_add(1)));
        last = Some(sequence);
    }
    assert_eq!(stage.worker.stats().tracks, 2);
}

#[test]
fn one_section_carries_a_track_up_and_anothers_down() {
    let now = start();
    let (mut worker, identity) = worker(now);
    let both_ways = |remote: u32, local: u32| {
        let mut section = section(
            "0",
            codec(VIDEO_PT, Some(VIDEO_RTX_PT), Codec::Vp8),
            true,
            remote,
            local,
        );
        section.send = true;
        section
    };
    let certificate = || DtlsIdentity::generate().unwrap();
    let mut ann = Client::new(1, Some(2), vec![both_ways(0x1000, 0xa000)], &identity, &certificate());
    let mut bob = Client::new(2, Some(1), vec![both_ways(0x2000, 0xb000)], &identity, &certificate());
    ann.connect(now, &mut worker);
    bob.connect(now, &mut worker);
    for (from, to, ssrc, copy) in [(1, 2, 0x1000, 0xb000), (2, 1, 0x2000, 0xa000)] {
        let (sender, receiver) = if from == 1 { (&ann, &mut bob) } else { (&bob, &mut ann) };
        let packet = rtp(VIDEO_PT, true, 9, 9, ssrc, &vp8(true, 1, 80));
        let sent = exchange(now, &mut worker, sender.address, &sender.seal(&packet, 9));
        let media: Vec<_> = sent
            .iter()
            .filter(|(address, _)| *address == receiver.address)
            .collect();
        assert_eq!(media.len(), 1, "{from} is heard by {to}");
        let got = receiver.take(now, &media[0].1).unwrap();
        assert_eq!(Header::parse(&got).unwrap().ssrc, copy);
    }
}

#[test]
fn a_subscriber_without_red_gets_the_opus_inside() {
    let now = start();
    let (mut worker, identity) = worker(now);
    let audio = |receive, ssrc: u32| {
        let mut section = section("0", codec(AUDIO_PT, None, Codec::Opus), receive, 0x3000, ssrc);
        if receive {
            section.codecs.insert(0, codec(63, None, Codec::Red));
        }
        section
    };
    let certificate = || DtlsIdentity::generate().unwrap();
    let mut publisher = Client::new(1, None, vec![audio(true, 0x9000)], &identity, &certificate());
    let mut subscriber = Client::new(2, Some(1), vec![audio(false, 0x2_0000)], &identity, &certificate());
    publisher.connect(now, &mut worker);
    subscriber.connect(now, &mut worker);
    // One redundant block of three bytes, then the primary one.
    let red = [
        0x80 | AUDIO_PT,
        0x0f,
        0x00,
        0x03,
        AUDIO_PT,
        b'o',
        b'l',
        b'd',
        b'n',
        b'e',
        b'w',
    ];
    let packet = rtp(63, false, 9, 9, 0x3000, &red);
    let sent = exchange(now, &mut worker, publisher.address, &publisher.seal(&packet, 9));
    let media: Vec<_> = sent
        .iter()
        .filter(|(address, _)| *address == subscriber.address)
        .collect();
    let got = subscriber.take(now, &media[0].1).unwrap();
    let header = Header::parse(&got).unwrap();
    assert_eq!((header.payload_type, &got[header.len..]), (AUDIO_PT, &b"new"[..]));
}

#[test]
fn a_new_certificate_on_a_live_connection_begins_the_copies_anew() {
    let mut stage = Stage::new(1);
    let first = Header::parse(&stage.publish(true, 100)[0][0]).unwrap();
    for _ in 0..5 {
        stage.publish(false, 100);
    }
    let section = video(false, 0x2_0020);
    let own = DtlsIdentity::generate().unwrap();
    let mut again = Client::new(2, Some(1), vec![section], &stage.identity, &own);
    again.spec.transport.local_ufrag = "another".to_owned();
    again.connect(stage.now, &mut stage.worker);
    stage.subscribers[0] = again;
    let got = stage.publish(true, 100).remove(0);
    assert_eq!(Header::parse(&got[0]).unwrap().sequence, first.sequence);
}

#[test]
fn sound_and_picture_get_sender_reports_on_their_own_time_line() {
    let mut stage = Stage::new(1);
    let first = Header::parse(&stage.publish(true, 100)[0][0]).unwrap();
    let mut compound = Vec::new();
    let info = rtcp::SenderInfo {
        ssrc: VIDEO_SSRC,
        ntp: 1_000 << 32,
        rtp: 9_000,
        packets: 1,
        octets: 1,
    };
    rtcp::write_sender_report(&mut compound, &info, "publisher");
    let sealed = stage.publisher.seal_rtcp(&compound);
    exchange(stage.now, &mut stage.worker, stage.publisher.address, &sealed);
    let sent = stage.pass(Duration::from_millis(200));
    let got = stage.hand_out(sent).remove(0);
    let reports: Vec<_> = got.iter().flat_map(|compound| rtcp::packets(compound)).collect();
    let Some(rtcp::Packet::SenderReport { ssrc, ntp, rtp, .. }) = reports.first() else {
        panic!("a report is due")
    };
    assert_eq!(*ssrc, first.ssrc);
    let elapsed_ticks = rtp.wrapping_sub(9_000);
    let elapsed = Duration::from_nanos(((ntp - (1_000 << 32)) * 1_000_000_000) >> 32);
    assert!(elapsed <= Duration::from_millis(200));
    assert!(elapsed_ticks.abs_diff(elapsed.as_micros() as u32 * 9 / 100) <= 1);
}

#[test]
fn a_check_without_the_right_password_changes_nothing_and_gets_no_reply() {
    let now = start();
    let (mut worker, identity) = worker(now);
    let client = Client::new(
        1,
        None,
        vec![video(true, 0x9000)],
        &identity,
        &DtlsIdentity::generate().unwrap(),
    );
    client.open(now, &mut worker);
    for port in 1..2_000 {
        let forged = client.check_with("a guess");
        assert!(exchange(now, &mut worker, ([127, 0, 0, 9], port).into(), &forged).is_empty());
    }
    assert_eq!(worker.stats().known_addresses, 0);
    assert_eq!(worker.stats().rejected_checks, 1_999);
    let reply = exchange(now, &mut worker, client.address, &client.check());
    assert_eq!(reply.len(), 1);
    assert!(reply[0].1.len() <= client.check().len());
}

#[test]
fn many_addresses_of_one_client_stay_bounded() {
    let mut stage = Stage::new(0);
    for port in 1..500 {
        let check = stage.publisher.check();
        exchange(stage.now, &mut stage.worker, ([127, 0, 0, 9], port).into(), &check);
    }
    assert!(stage.worker.stats().known_addresses <= 8);
}

#[test]
fn a_client_hello_from_an_unknown_address_is_not_looked_at_and_the_victim_connects() {
    let now = start();
    let (mut worker, identity) = worker(now);
    let own = DtlsIdentity::generate().unwrap();
    let mut victim = Client::new(1, None, vec![video(true, 0x9000)], &identity, &own);
    victim.open(now, &mut worker);
    let hello = [&[22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 40, 1][..], &[0; 39]].concat();
    for port in 1..100 {
        assert!(exchange(now, &mut worker, ([127, 0, 0, 66], port).into(), &hello).is_empty());
    }
    victim.connect(now, &mut worker);
    assert!(exchange(now, &mut worker, ([127, 0, 0, 66], 1).into(), &hello).is_empty());
    assert_eq!(events(&mut worker), [MediaEvent::Connected { peer: victim.spec.peer }]);
}

#[test]
fn media_from_another_address_neither_enters_nor_moves_the_way_back() {
    let mut stage = Stage::new(1);
    stage.publish(true, 100);
    let packet = rtp(VIDEO_PT, true, 1, 3_000, VIDEO_SSRC, &vp8(false, 1, 100));
    let sealed = stage.publisher.seal(&packet, 1);
    let sent = exchange(stage.now, &mut stage.worker, ([127, 0, 0, 66], 1).into(), &sealed);
    assert!(sent.is_empty());
    stage.sequence = 1;
    assert_eq!(stage.publish(false, 100)[0].len(), 1);
}

#[test]
fn another_connections_key_does_not_open_a_door() {
    let mut stage = Stage::new(2);
    stage.publish(true, 100);
    let packet = rtp(VIDEO_PT, true, 1, 3_000, VIDEO_SSRC, &vp8(false, 1, 100));
    let sealed = stage.subscribers[0].seal(&packet, 1);
    assert!(exchange(stage.now, &mut stage.worker, stage.publisher.address, &sealed).is_empty());
    assert!(exchange(stage.now, &mut stage.worker, stage.subscribers[0].address, &sealed).is_empty());
    assert_eq!(stage.worker.stats().rejected_packets, 1);
}

#[test]
fn feedback_for_a_stream_of_somebody_else_does_nothing() {
    let mut stage = Stage::new(2);
    let got = stage.publish(true, 100);
    let sequence = Header::parse(&got[1][0]).unwrap().sequence;
    let others = stage.subscribers[1].spec.sections[0].local_ssrc;
    let mut compound = Vec::new();
    rtcp::write_receiver_report(&mut compound, 7, &[]);
    rtcp::write_nack(&mut compound, 7, others, &[sequence]);
    rtcp::write_pli(&mut compound, 7, others);
    compound.extend_from_slice(&[0x81, 203, 0, 1]);
    compound.extend_from_slice(&VIDEO_SSRC.to_be_bytes());
    let sealed = stage.subscribers[0].seal_rtcp(&compound);
    assert!(exchange(stage.now, &mut stage.worker, stage.subscribers[0].address, &sealed).is_empty());
    assert_eq!(stage.publish(false, 100)[1].len(), 1);
}

#[test]
fn a_client_that_goes_silent_is_noticed_within_thirty_seconds_and_frees_everything() {
    let mut stage = Stage::new(2);
    stage.publish(true, 100);
    for _ in 0..29 {
        stage.pass(Duration::from_secs(1));
        // The first subscriber keeps its consent fresh, the others have vanished.
        let check = stage.subscribers[0].check();
        stage.subscribers[0].deliver(stage.now, &mut stage.worker, &check);
    }
    let mut gone: Vec<_> = events(&mut stage.worker)
        .into_iter()
        .filter_map(|event| match event {
            MediaEvent::Closed {
                peer,
                reason: CloseReason::ConsentExpired,
            } => Some(peer.0),
            _ => None,
        })
        .collect();
    gone.sort_unstable();
    assert_eq!(gone, [1, 3]);
    stage
        .worker
        .handle_command(stage.now, MediaCommand::Close(stage.subscribers[0].spec.peer));
    let stats = stage.worker.stats();
    let left = (
        stats.peers,
        stats.tracks,
        stats.subscriptions,
        stats.rooms,
        stats.known_addresses,
    );
    assert_eq!(left, (0, 0, 0, 0, 0));
    assert_eq!(
        run_until(&mut stage.worker, stage.now + Duration::from_secs(1)).len(),
        1
    );
    assert_eq!(stage.worker.poll_timeout(), None);
}

#[test]
fn a_certificate_that_is_not_the_announced_one_closes_the_connection() {
    let now = start();
    let (mut worker, identity) = worker(now);
    let (own, other) = (DtlsIdentity::generate().unwrap(), DtlsIdentity::generate().unwrap());
    let mut client = Client::new(1, None, vec![video(true, 0x9000)], &identity, &own);
    client.spec.transport.remote_fingerprints[0].digest = other.fingerprint.into();
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| client.connect(now, &mut worker)));
    drop(result);
    let events = events(&mut worker);
    let expected = MediaEvent::Closed {
        peer: client.spec.peer,
        reason: CloseReason::WrongFingerprint,
    };
    assert_eq!(events, [expected]);
}

#[test]
fn simulcast_forwards_the_highest_layer_and_changes_only_on_key_frames() {
    let now = start();
    let (mut worker, identity) = worker(now);
    let mut up = video(true, 0x9000);
    up.remote_ssrcs.clear();
    up.rids = ["q", "h", "f"].into_iter().map(|rid| rid.as_bytes().into()).collect();
    up.extensions.push((4, patchbay::media::rtp::Extension::Rid));
    let mut publisher = Client::new(1, None, vec![up], &identity, &DtlsIdentity::generate().unwrap());
    publisher.connect(now, &mut worker);
    let down = video(false, 0x2_0000);
    let mut subscriber = Client::new(2, Some(1), vec![down], &identity, &DtlsIdentity::generate().unwrap());
    subscriber.connect(now, &mut worker);
    let layer = |ssrc: u32, rid: u8, sequence: u16, key: bool, len: usize| {
        let mut packet = vec![0x90, 0x80 | VIDEO_PT];
        packet.extend_from_slice(&sequence.to_be_bytes());
        packet.extend_from_slice(&(u32::from(sequence) * 3_000 + ssrc).to_be_bytes());
        packet.extend_from_slice(&ssrc.to_be_bytes());
        packet.extend_from_slice(&[0xbe, 0xde, 0, 1, 0x10, b'0', 0x40, rid]);
        packet.extend_from_slice(&vp8(key, sequence, len));
        packet
    };
    let mut now = now;
    let mut sizes = Vec::new();
    let mut sequences = Vec::new();
    for at in 0..120_u16 {
        now += Duration::from_millis(33);
        run_until(&mut worker, now);
        let key = at % 60 == 0;
        for (ssrc, rid, len) in [(0x100, b'q', 100), (0x200, b'h', 400), (0x300, b'f', 1_000)] {
            let packet = layer(ssrc, rid, at, key, len);
            let sealed = publisher.seal(&packet, u64::from(at));
            for (to, bytes) in exchange(now, &mut worker, publisher.address, &sealed) {
                if to == subscriber.address
                    && let Some(packet) = subscriber.take(now, &bytes)
                    && Header::parse(&packet).is_some_and(|header| header.payload_type == VIDEO_PT)
                {
                    let header = Header::parse(&packet).unwrap();
                    sizes.push((at, packet.len() - header.len));
                    sequences.push(header.sequence);
                }
            }
        }
    }
    assert!(
        sequences.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)),
        "no holes"
    );
    assert!(
        sizes.iter().filter(|(at, _)| *at > 60).all(|(_, len)| *len == 1_000),
        "{sizes:?}"
    );
    let changes: Vec<u16> = sizes
        .windows(2)
        .filter(|pair| pair[0].1 != pair[1].1)
        .map(|pair| pair[1].0)
        .collect();
    assert!(changes.iter().all(|at| at % 60 == 0), "changed at {changes:?}");
}

#[test]
fn random_bytes_from_a_known_address_harm_nobody() {
    let mut stage = Stage::new(1);
    stage.publish(true, 100);
    let mut seed = 0x1234_5678_u64;
    for len in 0..1_500 {
        let mut bytes = vec![0; len];
        for byte in &mut bytes {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *byte = (seed >> 33) as u8;
        }
        for first in [None, Some(0_u8), Some(22), Some(0x80), Some(0xb0)] {
            if let (Some(first), Some(byte)) = (first, bytes.first_mut()) {
                *byte = first;
            }
            exchange(stage.now, &mut stage.worker, stage.publisher.address, &bytes);
        }
    }
    assert_eq!(stage.publish(false, 100)[0].len(), 1);
}
