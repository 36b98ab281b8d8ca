//! What is too much for a path at once leaves in slices. Ordinary frames and sound do not wait.

use std::net::SocketAddr;

use patchbay::media::messages::MediaCommand;
use patchbay::media::names::Muted;
use patchbay::media::worker::Datagram;

use super::*;

/// The id under which viewers read numbers here.
const NUMBER: u8 = 3;
const SOUND_SSRC: u32 = 0x3000;
const PAYLOAD_BYTES: usize = 1_100;

/// Packets to one viewer that left in one send.
struct Send {
    at: Instant,
    packets: Vec<Vec<u8>>,
}

/// A publisher of sound and pictures, and a viewer of both that reads numbers.
struct Theatre {
    now: Instant,
    worker: Worker,
    publisher: Client,
    viewer: Client,
    sequence: u16,
    timestamp: u32,
    sends: Vec<Send>,
}

impl Theatre {
    fn new() -> Theatre {
        let now = start();
        let (mut worker, identity) = worker(now);
        let sound = |receive, ssrc| section("1", codec(AUDIO_PT, None, Codec::Opus), receive, SOUND_SSRC, ssrc);
        let sections = vec![video(true, 0x9000), sound(true, 0xa000)];
        let own = DtlsIdentity::generate().unwrap();
        let mut publisher = Client::new(1, None, sections, &identity, &own);
        publisher.connect(now, &mut worker);
        let mut seen = video(false, 0x2_0000);
        seen.number_id = Some(NUMBER);
        let mut heard = sound(false, 0x3_0000);
        heard.number_id = Some(NUMBER);
        heard.codecs[0].feedback.nack = false;
        let mut viewer = Client::new(2, Some(1), vec![seen, heard], &identity, &own);
        viewer.connect(now, &mut worker);
        Theatre {
            now,
            worker,
            publisher,
            viewer,
            sequence: 0,
            timestamp: 0,
            sends: Vec::new(),
        }
    }

    /// Lets the path carry so many kb/s from now on.
    fn path(&mut self, target: u64) {
        let peer = self.viewer.spec.peer;
        self.worker.suppose_path(self.now, peer, target * 1_000, target * 1_000);
        self.collect();
    }

    /// Publishes a frame of so many packets, which come together, without those that are left out. Returns the packets that
    /// leave at once.
    fn frame_without(&mut self, is_key: bool, packets: u16, left_out: &[u16]) -> usize {
        self.timestamp += 3_000;
        let sealed: Vec<Vec<u8>> = (0..packets)
            .filter(|part| !left_out.contains(part))
            .map(|part| self.part(is_key, part, packets))
            .collect();
        self.sequence += packets;
        let before = self.sends.len();
        self.publish(&sealed);
        self.sends[before..].iter().map(|send| send.packets.len()).sum()
    }

    fn frame(&mut self, is_key: bool, packets: u16) -> usize {
        self.frame_without(is_key, packets, &[])
    }

    fn part(&self, is_key: bool, part: u16, packets: u16) -> Vec<u8> {
        let mut payload = vp8(is_key, 7, PAYLOAD_BYTES - usize::from(part % 2));
        if part > 0 {
            payload[0] = 0x80;
        }
        let sequence = self.sequence + part;
        let packet = rtp(
            VIDEO_PT,
            part + 1 == packets,
            sequence,
            self.timestamp,
            VIDEO_SSRC,
            &payload,
        );
        self.publisher.seal(&packet, u64::from(sequence))
    }

    fn publish(&mut self, sealed: &[Vec<u8>]) {
        let (mut buffer, mut datagrams) = (Vec::new(), Vec::new());
        for one in sealed {
            datagrams.push(Datagram {
                from: self.publisher.address,
                to: None,
                start: buffer.len(),
                len: one.len(),
            });
            buffer.extend_from_slice(one);
        }
        self.worker.handle_datagrams(self.now, &mut buffer, &datagrams);
        assert!(self.worker.forward(self.now, &buffer));
        self.collect();
    }

    fn speak(&mut self) -> usize {
        self.sequence += 1;
        let packet = rtp(
            AUDIO_PT,
            true,
            self.sequence,
            u32::from(self.sequence) * 960,
            SOUND_SSRC,
            &[7; 80],
        );
        let sealed = self.publisher.seal(&packet, u64::from(self.sequence));
        let before = self.sends.len();
        self.publish(&[sealed]);
        self.sends.len() - before
    }

    fn collect(&mut self) {
        let to: SocketAddr = self.viewer.address;
        let sends = self.worker.egress().sends();
        let mine = sends.filter(|(send, _)| send.path.remote.address == to);
        let runs: Vec<Vec<Vec<u8>>> = mine
            .map(|(send, bytes)| bytes.chunks(send.segment).map(<[u8]>::to_vec).collect())
            .collect();
        self.worker.egress().clear();
        for run in runs {
            let opened = run.iter().filter_map(|one| self.viewer.take(self.now, one));
            let packets: Vec<Vec<u8>> = opened.filter(|one| !matches!(one[1], 192..=223)).collect();
            if !packets.is_empty() {
                self.sends.push(Send { at: self.now, packets });
            }
        }
    }

    /// Lets time pass until something is due, and no longer than so many milliseconds.
    fn pass(&mut self, millis: u64) {
        let until = self.now + Duration::from_millis(millis);
        while let Some(due) = self.worker.poll_timeout().filter(|due| *due <= until) {
            self.now = due;
            self.worker.handle_timeout(due);
            self.collect();
        }
        self.now = until;
        assert_agrees(&self.worker);
        #[cfg(debug_assertions)]
        assert_eq!(self.worker.forgotten(self.now), Vec::<String>::new());
    }

    fn nack(&mut self, sequences: &[u16]) -> usize {
        let mut compound = Vec::new();
        rtcp::write_receiver_report(&mut compound, 7, &[]);
        rtcp::write_nack(&mut compound, 7, 0x2_0000, sequences);
        let sealed = self.viewer.seal_rtcp(&compound);
        let before = self.packets().len();
        let mut buffer = sealed.clone();
        let datagram = Datagram {
            from: self.viewer.address,
            to: None,
            start: 0,
            len: buffer.len(),
        };
        self.worker.handle_datagrams(self.now, &mut buffer, &[datagram]);
        self.collect();
        self.packets().len() - before
    }

    fn packets(&self) -> Vec<&Vec<u8>> {
        self.sends.iter().flat_map(|send| &send.packets).collect()
    }

    /// The numbers of the packets of one payload type.
    fn sequences(&self, payload_type: u8) -> Vec<u16> {
        let headers = self.packets().into_iter().map(|packet| Header::parse(packet).unwrap());
        let mine = headers.filter(|header| header.payload_type == payload_type);
        mine.map(|header| header.sequence).collect()
    }

    /// Everything has left under transport-wide numbers that go up by one.
    fn assert_numbered_in_order(&self) {
        for (expected, packet) in (0_u16..).zip(self.packets()) {
            let header = Header::parse(packet).unwrap();
            let number = header.elements(packet).find(|(id, _)| *id == NUMBER).unwrap().1;
            assert_eq!(number, expected.to_be_bytes());
        }
    }

    /// The packets of a payload type went out in order, without a hole.
    fn assert_whole(&self, payload_type: u8, packets: usize) {
        let sequences = self.sequences(payload_type);
        assert_eq!(sequences.len(), packets);
        let goes_on = |pair: &[u16]| pair[1] == pair[0].wrapping_add(1);
        assert!(sequences.windows(2).all(goes_on), "{sequences:?}");
        self.assert_numbered_in_order();
    }
}

#[test]
fn ordinary_frames_leave_at_once_in_one_send_each() {
    let mut theatre = Theatre::new();
    theatre.frame(true, 3);
    theatre.path(2_500);
    for _ in 0..60 {
        theatre.pass(33);
        let before = theatre.sends.len();
        assert_eq!(theatre.frame(false, 10), 10);
        assert_eq!(theatre.sends.len(), before + 1);
    }
    // Frames that come together, because the publisher's network held them up.
    assert_eq!((0..3).map(|_| theatre.frame(false, 10)).sum::<usize>(), 30);
    assert_eq!(theatre.worker.stats().paced_packets, 0);
    theatre.assert_whole(VIDEO_PT, 3 + 63 * 10);
}

#[test]
fn a_large_frame_leaves_in_slices_and_what_follows_it_keeps_its_place() {
    let mut theatre = Theatre::new();
    theatre.frame(true, 3);
    theatre.path(2_500);
    theatre.pass(33);
    let (began, before) = (theatre.now, theatre.sends.len());
    let at_once = theatre.frame(true, 80);
    assert!((10..=14).contains(&at_once), "{at_once}");
    theatre.pass(33);
    assert_eq!(theatre.frame(false, 10), 0, "it waits for its key frame");
    theatre.pass(300);
    let slices = &theatre.sends[before..];
    let sizes: Vec<usize> = slices.iter().map(|slice| slice.packets.len()).collect();
    assert_eq!(sizes.iter().sum::<usize>(), 90);
    assert!(
        sizes.len() <= 12 && sizes.iter().all(|packets| *packets <= 14),
        "{sizes:?}"
    );
    let lasted = slices.last().unwrap().at - began;
    assert!(
        (Duration::from_millis(90)..=Duration::from_millis(200)).contains(&lasted),
        "{lasted:?}"
    );
    theatre.assert_whole(VIDEO_PT, 93);
    assert_eq!(theatre.worker.stats().paced_packets, 90 - at_once as u64);
    assert_eq!(theatre.frame(false, 10), 10, "nothing waits any more");
    theatre.pass(1_000);
    assert!(theatre.worker.poll_timeout().is_none_or(|due| due > theatre.now));
}

#[test]
fn sound_passes_what_waits() {
    let mut theatre = Theatre::new();
    theatre.frame(true, 3);
    theatre.path(1_000);
    theatre.pass(33);
    theatre.frame(true, 60);
    let mut spoken = 0;
    for _ in 0..20 {
        theatre.pass(5);
        spoken += theatre.speak();
    }
    assert_eq!(spoken, 20);
    assert!(theatre.sequences(VIDEO_PT).len() < 63, "pictures wait meanwhile");
    theatre.pass(600);
    assert_eq!(theatre.sequences(VIDEO_PT).len(), 63);
    theatre.assert_numbered_in_order();
}

/// Estimates know nothing of packets without numbers, so pictures keep the whole target.
#[test]
#[cfg(debug_assertions)]
fn sound_that_is_repeated_without_numbers_takes_nothing_from_pictures() {
    let mut theatre = Theatre::new();
    theatre.path(400);
    for second in 0..8 {
        let mut block = rtcp::Block::default();
        block.ssrc = theatre.viewer.spec.sections[1].local_ssrc;
        let mut compound = Vec::new();
        rtcp::write_receiver_report(&mut compound, 7, &[block]);
        // A tenth is lost: RFC 3550 §6.4.2.
        compound[12] = 26;
        let sealed = theatre.viewer.seal_rtcp(&compound);
        theatre.viewer.deliver(theatre.now, &mut theatre.worker, &sealed);
        let before = theatre.sequences(VIDEO_PT).len();
        for at in 0..30 {
            theatre.frame(second == 0 && at == 0, 1);
            for millis in [16, 17] {
                theatre.speak();
                theatre.pass(millis);
            }
        }
        assert_eq!(theatre.sequences(VIDEO_PT).len() - before, 30, "second {second}");
    }
    assert_eq!(theatre.worker.stats().repeating_copies, 1);
}

#[test]
fn where_nothing_is_known_of_the_path_nothing_waits() {
    let mut theatre = Theatre::new();
    assert_eq!(theatre.frame(true, 80), 80);
    theatre.pass(10);
    assert_eq!(theatre.frame(true, 80), 80);
    assert_eq!(
        theatre.nack(&(0..40).map(|at| theatre.sequences(VIDEO_PT)[at]).collect::<Vec<_>>()),
        40
    );
}

#[test]
fn on_a_slow_path_a_slice_has_three_packets_at_most() {
    let mut theatre = Theatre::new();
    theatre.frame(true, 1);
    theatre.path(200);
    theatre.pass(100);
    theatre.frame(true, 15);
    theatre.pass(1_000);
    let sizes: Vec<usize> = theatre.sends.iter().map(|send| send.packets.len()).collect();
    assert!(sizes.iter().all(|packets| *packets <= 3), "{sizes:?}");
    let apart: Vec<Duration> = theatre.sends.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
    assert!(apart.iter().all(|time| *time >= Duration::from_millis(5)), "{apart:?}");
    theatre.assert_whole(VIDEO_PT, 16);
}

#[test]
fn what_is_sent_again_leaves_in_slices_and_once() {
    let mut theatre = Theatre::new();
    theatre.frame(true, 60);
    let sent = theatre.sequences(VIDEO_PT);
    theatre.path(2_500);
    theatre.pass(33);
    let at_once = theatre.nack(&sent);
    assert!((10..=14).contains(&at_once), "{at_once}");
    assert_eq!(theatre.nack(&sent[at_once..]), 0, "they wait already");
    theatre.pass(300);
    let originals = theatre.packets().into_iter().filter_map(|packet| {
        let header = Header::parse(packet).unwrap();
        let at = header.len;
        (header.payload_type == VIDEO_RTX_PT).then(|| u16::from_be_bytes([packet[at], packet[at + 1]]))
    });
    // Probes of the path are copies of packets, too.
    let originals: Vec<u16> = originals.collect();
    assert!(sent.iter().all(|sequence| originals.contains(sequence)));
    let sizes: Vec<usize> = theatre.sends[1..].iter().map(|send| send.packets.len()).collect();
    assert!(sizes.iter().all(|packets| *packets <= 14), "{sizes:?}");
    assert_eq!(theatre.worker.stats().resent_packets, 60);
    theatre.assert_numbered_in_order();
}

#[test]
fn what_waits_is_never_sent_again_before_its_turn() {
    let mut theatre = Theatre::new();
    theatre.frame(true, 3);
    theatre.path(500);
    theatre.pass(100);
    theatre.frame(true, 40);
    let newest = *theatre.sequences(VIDEO_PT).last().unwrap();
    let guessed: Vec<u16> = (1..30).map(|ahead| newest.wrapping_add(ahead)).collect();
    theatre.nack(&guessed);
    theatre.pass(1_000);
    assert_eq!(theatre.worker.stats().resent_packets, 0);
    theatre.assert_whole(VIDEO_PT, 43);
}

#[test]
fn a_packet_that_is_late_finds_its_place_among_those_that_wait_or_behind_them() {
    for pause in [0, 400] {
        let mut theatre = Theatre::new();
        theatre.frame(true, 3);
        theatre.path(1_000);
        theatre.pass(33);
        theatre.timestamp += 3_000;
        let late = theatre.part(true, 30, 50);
        theatre.timestamp -= 3_000;
        theatre.frame_without(true, 50, &[30]);
        theatre.pass(pause);
        theatre.publish(&[late]);
        theatre.pass(600);
        let mut sequences = theatre.sequences(VIDEO_PT);
        if pause > 0 {
            sequences.sort_unstable_by_key(|sequence| sequence.wrapping_sub(theatre.sequences(VIDEO_PT)[0]));
        }
        assert_eq!(sequences.len(), 53, "after {pause} ms");
        assert!(sequences.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)));
        theatre.assert_numbered_in_order();
    }
}

#[test]
fn no_more_waits_than_a_track_surely_keeps() {
    let mut theatre = Theatre::new();
    theatre.frame(true, 3);
    theatre.path(100);
    theatre.pass(100);
    for _ in 0..10 {
        theatre.frame(true, 100);
    }
    theatre.pass(70);
    let sent = theatre.sequences(VIDEO_PT).len();
    assert!((1_003 - 775..=1_003 - 760).contains(&sent), "{sent} have left");
    theatre.pass(2_000);
    theatre.assert_whole(VIDEO_PT, 1_003);
}

#[test]
fn of_a_publisher_who_is_muted_nothing_leaves_that_waited() {
    let mut theatre = Theatre::new();
    theatre.frame(true, 3);
    theatre.path(500);
    theatre.pass(100);
    theatre.frame(true, 60);
    let peer = theatre.publisher.spec.peer;
    let muted = Muted {
        camera: true,
        ..Muted::default()
    };
    theatre
        .worker
        .handle_command(theatre.now, MediaCommand::Mute { peer, muted });
    let sent = theatre.packets().len();
    theatre.pass(1_000);
    assert_eq!(theatre.packets().len(), sent);
    let muted = Muted::default();
    theatre
        .worker
        .handle_command(theatre.now, MediaCommand::Mute { peer, muted });
    theatre.pass(100);
    assert_eq!(theatre.frame(true, 2), 2, "it begins anew");
    theatre.assert_numbered_in_order();
}

#[test]
fn a_path_that_is_forgotten_holds_nothing_back() {
    let mut theatre = Theatre::new();
    theatre.frame(true, 3);
    theatre.path(100);
    theatre.pass(100);
    theatre.frame(true, 60);
    theatre.path(100_000);
    theatre.pass(65);
    theatre.assert_whole(VIDEO_PT, 63);
    let peer = theatre.viewer.spec.peer;
    theatre.frame(true, 60);
    theatre.worker.handle_command(theatre.now, MediaCommand::Close(peer));
    theatre.pass(1_000);
}
