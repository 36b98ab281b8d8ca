//! What viewers say of the packets that they get, and what they are told so that they know their round trip.

mod losses;

use patchbay::media::report::{ArrivalReport, PathReport};

use super::*;

/// The id under which viewers read numbers here.
const NUMBER: u8 = 3;

impl Stage {
    /// Adds a viewer with these sections, and connects it. Returns its index.
    fn join_with(&mut self, sections: Vec<MediaSection>) -> usize {
        let number = 2 + self.subscribers.len() as u64;
        let own = DtlsIdentity::generate().unwrap();
        let mut client = Client::new(number, Some(1), sections, &self.identity, &own);
        client.connect(self.now, &mut self.worker);
        self.subscribers.push(client);
        self.subscribers.len() - 1
    }

    /// What all paths carry together.
    fn target(&self) -> u64 {
        let paths = self.worker.paths(self.now);
        paths.filter_map(|path| path.target_bps).sum()
    }

    /// What is reported of the one path of which anything is known.
    fn arrivals(&self) -> Option<ArrivalReport> {
        let paths: Vec<PathReport> = self.worker.paths(self.now).collect();
        let [path] = paths[..] else {
            panic!("one path: {paths:?}")
        };
        path.arrivals
    }

    /// Adds a viewer that reads numbers.
    fn join_numbered(&mut self) -> usize {
        let number = 2 + self.subscribers.len() as u32;
        self.join_with(vec![numbered(video(false, 0x2_0000 + 16 * number))])
    }

    /// Sends a compound of a viewer: a report, and then these packets.
    fn tell(&mut self, viewer: usize, packets: &[u8]) {
        let mut compound = Vec::new();
        rtcp::write_receiver_report(&mut compound, 7, &[]);
        compound.extend_from_slice(packets);
        let client = &mut self.subscribers[viewer];
        let sealed = client.seal_rtcp(&compound);
        client.deliver(self.now, &mut self.worker, &sealed);
    }

    /// The compounds that a viewer gets while time passes.
    fn compounds(&mut self, viewer: usize, time: Duration) -> Vec<Vec<u8>> {
        let sent = self.pass(time);
        let got = self.hand_out(sent).remove(viewer);
        got.into_iter()
            .filter(|packet| matches!(packet[1], 192..=223))
            .collect()
    }
}

pub(super) fn numbered(section: MediaSection) -> MediaSection {
    let number_id = Some(NUMBER);
    MediaSection { number_id, ..section }
}

pub(super) fn number(packet: &[u8]) -> Option<u16> {
    let header = Header::parse(packet).unwrap();
    let (_, value) = header.elements(packet).find(|(id, _)| *id == NUMBER)?;
    Some(u16::from_be_bytes(value.try_into().unwrap()))
}

/// Transport-wide feedback of statuses from `base` on. The first that came did so at `millis` of the viewer's clock, each other one
/// 250 µs after the one before.
pub(super) fn feedback(base: u16, came: &[bool], millis: u32) -> Vec<u8> {
    let mut arrived = u64::from(millis) * 1_000;
    let arrivals = came.iter().map(|came| {
        let at = came.then_some(arrived);
        arrived += 250 * u64::from(*came);
        at
    });
    transport_feedback::feedback(base, &arrivals.collect::<Vec<_>>(), 0)
}

/// Fills the last word, and writes the length.
fn complete(mut packet: Vec<u8>) -> Vec<u8> {
    packet.resize(packet.len().next_multiple_of(4), 0);
    let words = (packet.len() / 4 - 1) as u16;
    packet[2..4].copy_from_slice(&words.to_be_bytes());
    packet
}

/// An extended report of `ssrc` with its reference time, in 32.32 fixed point seconds.
fn reference_time(ssrc: u32, time: u64) -> Vec<u8> {
    let mut packet = vec![0x80, 207, 0, 0];
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.extend_from_slice(&[4, 0, 0, 2]);
    packet.extend_from_slice(&time.to_be_bytes());
    complete(packet)
}

/// The answers in a compound: SSRC, middle of the time, and delay in 1/65,536 s.
fn answers(compound: &[u8]) -> Vec<[u32; 3]> {
    let mut found = Vec::new();
    for packet in rtcp::packets(compound) {
        if let rtcp::Packet::ExtendedReport { blocks, .. } = packet {
            assert_eq!(blocks[..2], [5, 0], "the block answers times");
            assert_eq!(usize::from(blocks[3]) * 4 + 4, blocks.len());
            let word = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().unwrap());
            found.extend(
                blocks[4..]
                    .chunks_exact(12)
                    .map(|part| [word(&part[..4]), word(&part[4..8]), word(&part[8..])]),
            );
        }
    }
    found
}

#[test]
fn a_viewer_that_only_receives_learns_its_round_trip() {
    let mut stage = Stage::new(2);
    stage.pass(Duration::from_secs(1));
    stage.tell(0, &reference_time(7, 0x0102_0304_0506_0708));
    let asked = stage.now;
    let mut found = Vec::new();
    for _ in 0..40 {
        for compound in stage.compounds(0, Duration::from_millis(5)) {
            assert!(rtcp::is_report(&compound), "a compound begins with a report");
            found.extend(answers(&compound).into_iter().map(|answer| (answer, stage.now)));
        }
    }
    let [([7, 0x0304_0506, delay], answered)] = found[..] else {
        panic!("one answer: {found:?}")
    };
    let waited = (answered - asked).as_micros() as u64 * 65_536 / 1_000_000;
    assert!(u64::from(delay).abs_diff(waited) <= 5 * 66, "{delay} of {waited}");
    assert!(answered - asked <= Duration::from_millis(105));
    // Nobody else gets any, and what is answered is not answered again.
    for viewer in [0, 1] {
        let others = stage.compounds(viewer, Duration::from_secs(3));
        assert!(others.iter().all(|compound| answers(compound).is_empty()));
    }
}

#[test]
fn a_report_of_a_stream_comes_with_the_answers_of_that_stream() {
    let mut stage = Stage::new(1);
    let ssrc = Header::parse(&stage.publish(true, 100)[0][0]).unwrap().ssrc;
    stage.tell(0, &reference_time(7, 7 << 16));
    stage.tell(0, &reference_time(8, 8 << 16));
    let compound = sender_report(VIDEO_SSRC, 1_000 << 32, 9_000);
    let sealed = stage.publisher.seal_rtcp(&compound);
    exchange(stage.now, &mut stage.worker, stage.publisher.address, &sealed);
    let mut with_answers = Vec::new();
    // Fifteen seconds of pictures, so that the publisher's clock holds.
    for picture in 0..450 {
        stage.publish(false, 100);
        for compound in stage.compounds(0, Duration::from_micros(33_333)) {
            let is_of = |packet: &rtcp::Packet<'_>| match packet {
                rtcp::Packet::SenderReport { ssrc: of, .. } => *of == ssrc,
                rtcp::Packet::ExtendedReport { ssrc: of, .. } => *of == ssrc,
                _ => true,
            };
            assert!(rtcp::packets(&compound).all(|packet| is_of(&packet)), "{compound:?}");
            let answered: Vec<u32> = answers(&compound).iter().map(|[ssrc, ..]| *ssrc).collect();
            assert!(answered.is_empty() || answered == [7, 8], "{answered:?}");
            with_answers.push((picture, !answered.is_empty()));
        }
    }
    assert!(with_answers.len() >= 14, "a report each second: {with_answers:?}");
    // Old times are not answered any more: clocks run apart.
    let is_right = |&(picture, is): &(u32, bool)| is == (picture < 300) || (295..305).contains(&picture);
    assert!(with_answers.iter().all(is_right), "{with_answers:?}");
}

#[test]
fn many_reference_times_cost_one_answer_each_round() {
    let mut stage = Stage::new(1);
    for ssrc in 0..1_000 {
        stage.tell(0, &reference_time(ssrc % 20, u64::from(ssrc) << 16));
    }
    let compounds = stage.compounds(0, Duration::from_millis(200));
    let found: Vec<[u32; 3]> = compounds.iter().flat_map(|compound| answers(compound)).collect();
    assert_eq!(found.len(), 8, "{found:?}");
    assert!(
        found.iter().all(|[ssrc, time, _]| *ssrc >= 12 && *time >= 992),
        "the newest ones: {found:?}"
    );
    stage.tell(
        0,
        &complete(vec![0x80, 207, 0, 0, 0, 0, 0, 7, 4, 0, 0xff, 0xff, 1, 2, 3, 4]),
    );
    assert!(stage.compounds(0, Duration::from_millis(200)).is_empty());
}

#[test]
fn packets_are_numbered_for_viewers_that_read_numbers() {
    let mut stage = Stage::new(1);
    let numbered = stage.join_numbered();
    for expected in 0..5 {
        let got = stage.publish(expected == 0, 500);
        assert_eq!(number(&got[0][0]), None);
        assert_eq!(
            got[numbered].iter().map(|packet| number(packet)).collect::<Vec<_>>(),
            [Some(expected)]
        );
        assert_eq!(got[numbered][0].len(), got[0][0].len() + 4, "the number takes one word");
    }
    // What is sent again has a number of its own.
    let first = Header::parse(&stage.publish(false, 500)[numbered][0]).unwrap().sequence;
    let again = stage.nack(numbered, &[first]);
    assert_eq!(number(&again[0]), Some(6));
    assert_agrees(&stage.worker);
}

#[test]
fn a_viewer_of_sound_alone_gets_no_numbers() {
    let mut stage = Stage::new(0);
    let sound = |receive, ssrc| section("1", codec(AUDIO_PT, None, Codec::Opus), receive, 0x3000, ssrc);
    let own = DtlsIdentity::generate().unwrap();
    let mut publisher = Client::new(50, None, vec![sound(true, 0xa000)], &stage.identity, &own);
    publisher.connect(stage.now, &mut stage.worker);
    let mut listening = numbered(sound(false, 0x5_0000));
    listening.codecs[0].feedback.nack = false;
    let mut client = Client::new(2, Some(50), vec![listening], &stage.identity, &own);
    client.connect(stage.now, &mut stage.worker);
    let packet = rtp(AUDIO_PT, true, 1, 960, 0x3000, &[7; 80]);
    let sealed = publisher.seal(&packet, 1);
    let sent = exchange(stage.now, &mut stage.worker, publisher.address, &sealed);
    let got: Vec<Vec<u8>> = sent
        .iter()
        .filter_map(|(_, bytes)| client.take(stage.now, bytes))
        .collect();
    assert_eq!(got.len(), 1);
    assert_eq!(number(&got[0]), None);
    assert_eq!(stage.target(), 0);
}

#[test]
fn feedback_is_counted_and_a_path_is_estimated_only_where_there_is_any() {
    let mut stage = Stage::new(1);
    assert_eq!(stage.target(), 0);
    let viewer = stage.join_numbered();
    assert!(stage.target() > 0);
    for at in 0..10 {
        stage.publish(at == 0, 500);
    }
    stage.tell(viewer, &feedback(0, &[true, true, false, true], 5));
    let stats = stage.worker.stats();
    assert_eq!((stats.reported_packets, stats.reported_lost_packets), (3, 0));
    stage.tell(viewer, &feedback(4, &[true, true], 5));
    let stats = stage.worker.stats();
    assert_eq!((stats.reported_packets, stats.reported_lost_packets), (6, 1));
    // A viewer without numbers may say what it likes.
    stage.tell(0, &feedback(0, &[true; 10], 5));
    assert_eq!(stage.worker.stats().reported_packets, 6);
    assert_agrees(&stage.worker);
}

#[test]
fn feedback_that_lies_harms_nobody_else() {
    let mut stage = Stage::new(0);
    let (liar, other) = (stage.join_numbered(), stage.join_numbered());
    for at in 0..300_u16 {
        let got = stage.publish(at == 0, 500);
        assert_eq!(got[other].len(), 1);
        stage.tell(other, &feedback(at, &[true], 20 * u32::from(at)));
        let mut lies = vec![0x8f, 205, 0, 0, 0, 0, 0, 7, 0, 0, 0, 9];
        lies.extend_from_slice(&at.wrapping_mul(7_919).to_be_bytes());
        lies.extend_from_slice(&65_000_u16.to_be_bytes());
        lies.extend_from_slice(&u32::from(at).wrapping_mul(0x9e37_79b9).to_be_bytes());
        match at % 3 {
            0 => lies.extend([0x1f, 0xff].repeat(8)),
            1 => {
                lies.extend([0x5f, 0xff].repeat(8));
                lies.extend([0x80, 0].repeat(500));
            }
            _ => {
                lies.extend([0x3f, 0xff].repeat(8));
                lies.extend([0xff].repeat(1_000));
            }
        }
        stage.tell(liar, &complete(lies));
        stage.tell(liar, &feedback(at, &[true; 3], u32::from(at) << 20));
        stage.pass(Duration::from_millis(20));
    }
    let stats = stage.worker.stats();
    assert!(stats.reported_packets <= 300 + 2 * 300, "{}", stats.reported_packets);
    assert_eq!(stage.worker.stats().unsent_datagrams, 0);
    assert_agrees(&stage.worker);
}

#[test]
fn a_viewer_without_numbers_sends_its_own_estimate() {
    let mut stage = Stage::new(0);
    let mut section = video(false, 0x2_0000);
    section.codecs[0].feedback.remb = true;
    let viewer = stage.join_with(vec![section]);
    let remb = |exponent: u8, mantissa: u32| {
        let mut packet = vec![0x8f, 206, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, b'R', b'E', b'M', b'B', 1];
        let [_, high, middle, low] = mantissa.to_be_bytes();
        packet.extend_from_slice(&[exponent << 2 | high, middle, low, 0, 2, 0, 0]);
        complete(packet)
    };
    stage.tell(viewer, &remb(3, 100_000));
    let told = stage.target();
    assert!((700_000..=800_000).contains(&told), "{told}");
    for (exponent, mantissa) in [(0, 0), (63, 0x3_ffff), (33, 5)] {
        stage.tell(viewer, &remb(exponent, mantissa));
        let told = stage.target();
        assert!((10_000..=100_000_000).contains(&told), "{told}");
    }
}

/// A viewer that tells of all that comes, over a path that carries everything.
struct Honest {
    viewer: usize,
    /// Numbers and arrivals, in microseconds, of which it has not told yet.
    came: Vec<(u16, u64)>,
    began: Instant,
    /// RTP packets of the last second, without those of padding.
    media: usize,
}

impl Honest {
    fn new(stage: &mut Stage) -> Honest {
        let viewer = stage.join_numbered();
        Honest {
            viewer,
            came: Vec::new(),
            began: stage.now,
            media: 0,
        }
    }

    fn take(&mut self, stage: &Stage, packets: &[Vec<u8>]) {
        let at = (stage.now - self.began).as_micros() as u64;
        for packet in packets.iter().filter(|packet| !matches!(packet[1], 192..=223)) {
            let header = Header::parse(packet).unwrap();
            self.media += usize::from(header.payload_type == VIDEO_PT);
            self.came.push((number(packet).unwrap(), at));
        }
    }

    /// A second in which media come, in packets of 1,000 bytes at an even pace. It tells of what came each 50 ms, or nothing.
    fn watch(&mut self, stage: &mut Stage, packets: u32, tells: bool) {
        self.media = 0;
        for millisecond in 0..1_000 {
            let sent = stage.pass(Duration::from_millis(1));
            let got = stage.hand_out(sent).remove(self.viewer);
            self.take(stage, &got);
            if millisecond * packets / 1_000 != (millisecond + 1) * packets / 1_000 {
                let got = stage.publish(millisecond % 500 < 20, 1_000).remove(self.viewer);
                self.take(stage, &got);
            }
            if millisecond % 50 == 49 {
                let came = std::mem::take(&mut self.came);
                // A report alone keeps the client's consent.
                let told = Honest::told(&came).filter(|_| tells);
                stage.tell(self.viewer, &told.unwrap_or_default());
            }
        }
        assert_agrees(&stage.worker);
    }

    fn told(came: &[(u16, u64)]) -> Option<Vec<u8>> {
        let &(base, first) = came.first()?;
        let mut packet = vec![0x8f, 205, 0, 0, 0, 0, 0, 7, 0, 0, 0, 9];
        packet.extend_from_slice(&base.to_be_bytes());
        packet.extend_from_slice(&(came.len() as u16).to_be_bytes());
        packet.extend_from_slice(&(((first / 64_000) as u32 % (1 << 24)) << 8).to_be_bytes());
        packet.extend_from_slice(&(0x4000 | came.len() as u16).to_be_bytes());
        let mut ticks = first / 64_000 * 256;
        for (place, &(number, at)) in (0..).zip(came) {
            assert_eq!(number, base.wrapping_add(place), "all come, in order");
            packet.extend_from_slice(&((at / 250 - ticks) as u16).to_be_bytes());
            ticks = at / 250;
        }
        Some(complete(packet))
    }
}

#[test]
fn a_path_that_carries_more_is_found_by_probes() {
    let mut stage = Stage::new(0);
    let mut honest = Honest::new(&mut stage);
    honest.watch(&mut stage, 250, true);
    honest.watch(&mut stage, 250, true);
    honest.watch(&mut stage, 250, true);
    let stats = stage.worker.stats();
    assert!(stats.probe_packets >= 8 && stats.probes_won >= 1, "{stats:?}");
    assert!(stage.target() > 2_000_000, "{}", stage.target());
    assert_eq!(honest.media, 250, "the whole video in the last second");
    // Nothing more is wanted, so nothing more is probed.
    let before = stage.worker.stats().probe_packets;
    for _ in 0..7 {
        honest.watch(&mut stage, 250, true);
    }
    let probed = stage.worker.stats().probe_packets - before;
    assert!(probed <= 60, "{probed} packets of probes in seven seconds");
}

#[test]
fn operators_are_shown_what_arrives_at_a_client_as_long_as_it_reports() {
    let mut stage = Stage::new(0);
    let mut honest = Honest::new(&mut stage);
    assert_eq!(stage.arrivals(), None, "nothing was reported yet");
    for _ in 0..10 {
        honest.watch(&mut stage, 250, true);
    }
    let before = stage.worker.stats().probe_packets;
    honest.watch(&mut stage, 250, true);
    assert_eq!(
        stage.worker.stats().probe_packets,
        before,
        "nothing but the video is sent"
    );
    let arrivals = stage.arrivals().unwrap();
    // 250 packets of 1,000 bytes and their headers.
    assert!((2_000_000..2_250_000).contains(&arrivals.acked_bps), "{arrivals:?}");
    assert!(arrivals.queue_delay_micros <= 1_000, "{arrivals:?}");
    assert_eq!(arrivals.lost_256, 0);
    honest.watch(&mut stage, 25, true);
    let arrivals = stage.arrivals().unwrap();
    assert!((200_000..500_000).contains(&arrivals.acked_bps), "{arrivals:?}");
    for _ in 0..3 {
        honest.watch(&mut stage, 25, false);
    }
    assert_eq!(stage.arrivals(), None, "what was reported no longer holds");
}

#[test]
fn a_viewer_that_tells_of_nothing_any_more_is_called_until_it_does() {
    let mut stage = Stage::new(0);
    let mut honest = Honest::new(&mut stage);
    for _ in 0..3 {
        honest.watch(&mut stage, 60, true);
    }
    assert_eq!(honest.media, 60);
    for _ in 0..13 {
        honest.watch(&mut stage, 60, false);
    }
    assert_eq!(honest.media, 0, "nobody may be there");
    for _ in 0..3 {
        honest.watch(&mut stage, 60, true);
    }
    assert_eq!(honest.media, 60);
}

#[test]
fn a_viewer_that_never_tells_of_anything_gets_everything() {
    let mut stage = Stage::new(0);
    let mut deaf = Honest::new(&mut stage);
    for second in 0..15 {
        deaf.watch(&mut stage, 250, false);
        assert!(
            second < 4 || deaf.media == 250,
            "{} packets in second {second}",
            deaf.media
        );
    }
}
