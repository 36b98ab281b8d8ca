//! Layers of one track in different formats, as made by pages that give each encoding a codec of its own
//! (`RTCRtpEncodingParameters.codec`). Every scenario runs for a subscriber at home and for one at a mirror.

use std::net::SocketAddr;

use patchbay::media::codec::Kind;
use patchbay::media::rtp::Extension;

use super::*;

const VP8: u8 = 100;
const VP9: u8 = 101;
const VP9_CODEC: Codec = Codec::Vp9 { profile: 0 };

/// The layers, with the length of their pictures. Their SSRCs are 0x100, 0x200, 0x300.
const LAYERS: [(u8, usize); 3] = [(b'q', 100), (b'h', 400), (b'f', 1_000)];
const Q: u8 = 0;
const H: u8 = 1;
const F: u8 = 2;

const PICTURE: Duration = Duration::from_millis(33);
const SECOND: usize = 30;

fn video_of(codecs: &[(u8, Codec)], receive: bool) -> MediaSection {
    let mut section = video(receive, 0x2_0020);
    section.codecs = codecs
        .iter()
        .map(|&(payload_type, known)| codec(payload_type, None, known))
        .collect();
    section
}

/// A publisher of three layers at home, and one subscriber.
struct Scene {
    now: Instant,
    home: Worker,
    mirror: Worker,
    /// Whether the subscriber is at the mirror.
    far: bool,
    identity: DtlsIdentity,
    publisher: Client,
    subscriber: Option<Client>,
    /// Payload types of the layers; `None` while a layer is off.
    formats: [Option<u8>; 3],
    sequences: [u16; 3],
    /// Layers for which a key frame is due.
    owed: [bool; 3],
    /// The number of key frames requested for each layer.
    requested: [usize; 3],
    pictures: u32,
    /// Layer and payload type of each packet that the subscriber gets, with the number of its picture.
    got: Vec<(u32, u8, u8)>,
    reports: Vec<MediaEvent>,
    buffer: Vec<u8>,
}

impl Scene {
    /// A scene after two seconds of these layers, before anybody watches.
    fn new(far: bool, formats: [u8; 3]) -> Scene {
        let now = start();
        let identity = DtlsIdentity::generate().unwrap();
        let (mut home, mirror) = linked_workers(now, &identity);
        let mut up = video_of(&[(VP8, Codec::Vp8), (VP9, VP9_CODEC)], true);
        up.remote_ssrcs.clear();
        up.rids = LAYERS.iter().map(|&(rid, _)| [rid].as_slice().into()).collect();
        up.extensions.push((4, Extension::Rid));
        let own = DtlsIdentity::generate().unwrap();
        let mut publisher = Client::new(1, None, vec![up], &identity, &own);
        publisher.connect(now, &mut home);
        let mut scene = Scene {
            now,
            home,
            mirror,
            far,
            identity,
            publisher,
            subscriber: None,
            formats: formats.map(Some),
            sequences: [0; 3],
            owed: [true; 3],
            requested: [0; 3],
            pictures: 0,
            got: Vec::new(),
            reports: Vec::new(),
            buffer: vec![0; 64 * 1024],
        };
        scene.play(2 * SECOND);
        scene
    }

    fn join(&mut self, codecs: &[(u8, Codec)]) {
        let own = DtlsIdentity::generate().unwrap();
        let client = Client::new(2, Some(1), vec![video_of(codecs, false)], &self.identity, &own);
        client.open(self.now, self.worker());
        let check = client.check();
        self.subscriber = Some(client);
        self.send(&check);
        self.subscriber.as_mut().unwrap().dtls.start(self.now).unwrap();
        while let Some(datagram) = self.subscriber.as_mut().unwrap().dtls.poll_transmit() {
            self.send(&datagram);
        }
        assert!(self.subscriber.as_ref().unwrap().connected);
    }

    /// The subscriber's worker.
    fn worker(&mut self) -> &mut Worker {
        if self.far { &mut self.mirror } else { &mut self.home }
    }

    /// Sends a datagram of the subscriber.
    fn send(&mut self, datagram: &[u8]) {
        let (now, address) = (self.now, self.subscriber.as_ref().unwrap().address);
        let sent = exchange(now, self.worker(), address, datagram);
        self.settle(sent);
    }

    fn join_with_vp8(&mut self) {
        self.join(&[(VP8, Codec::Vp8)]);
    }

    /// Changes a layer's format, as encoders do: from a key frame on.
    fn turn(&mut self, layer: u8, payload_type: u8) {
        self.formats[usize::from(layer)] = Some(payload_type);
        self.owed[usize::from(layer)] = true;
    }

    fn play(&mut self, pictures: usize) {
        for _ in 0..pictures {
            self.pass(PICTURE);
            self.pictures += 1;
            for layer in 0..LAYERS.len() {
                if let Some(payload_type) = self.formats[layer] {
                    let key = std::mem::take(&mut self.owed[layer]);
                    let packet = self.packet(layer, payload_type, key);
                    self.publish(&packet);
                }
            }
        }
    }

    /// The next packet of a layer: a whole picture. Its last byte is the layer's number.
    fn packet(&mut self, layer: usize, payload_type: u8, key: bool) -> Vec<u8> {
        let sequence = self.sequences[layer];
        self.sequences[layer] += 1;
        let (rid, len) = LAYERS[layer];
        let mut packet = vec![0x90, 0x80 | payload_type];
        packet.extend_from_slice(&sequence.to_be_bytes());
        packet.extend_from_slice(&(self.pictures * 3_000).to_be_bytes());
        packet.extend_from_slice(&(0x100 * (layer as u32 + 1)).to_be_bytes());
        packet.extend_from_slice(&[0xbe, 0xde, 0, 1, 0x10, b'0', 0x40, rid]);
        match payload_type {
            VP8 => packet.extend(vp8(key, self.pictures as u16, len)),
            // RFC 9628 §4.2: a frame begins here, predicted from another or not.
            _ => packet.push(if key { 0x08 } else { 0x48 }),
        }
        packet.resize(20 + len, 0xab);
        packet.push(layer as u8);
        packet
    }

    fn publish(&mut self, packet: &[u8]) {
        let index = u64::from(u16::from_be_bytes([packet[2], packet[3]]));
        let sealed = self.publisher.seal(packet, index);
        let sent = exchange(self.now, &mut self.home, self.publisher.address, &sealed);
        self.settle(sent);
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            self.now = until.min(self.now + Duration::from_millis(10));
            let mut sent = run_until(&mut self.home, self.now);
            sent.extend(run_until(&mut self.mirror, self.now));
            self.settle(sent);
        }
        let check = self.publisher.plain_check();
        exchange(self.now, &mut self.home, self.publisher.address, &check);
        if let Some(subscriber) = &self.subscriber {
            let check = subscriber.plain_check();
            self.send(&check);
        }
    }

    /// Exchanges the workers' messages, and brings the clients what was sent.
    fn settle(&mut self, mut sent: Vec<(SocketAddr, Vec<u8>)>) {
        let workers = [&mut self.home, &mut self.mirror];
        settle(self.now, workers, &mut self.buffer, |worker| drain(worker, &mut sent));
        for (to, bytes) in sent {
            if to == self.publisher.address {
                let compound = self.publisher.take(self.now, &bytes).unwrap_or_default();
                for packet in rtcp::packets(&compound) {
                    if let rtcp::Packet::Pli { media_ssrc } = packet {
                        let layer = media_ssrc as usize / 0x100 - 1;
                        self.requested[layer] += 1;
                        self.owed[layer] = true;
                    }
                }
            } else if let Some(subscriber) = &mut self.subscriber
                && to == subscriber.address
                && let Some(packet) = subscriber.take(self.now, &bytes)
                && matches!(packet[1] & 0x7f, VP8 | VP9)
            {
                let layer = packet[packet.len() - 1];
                self.got.push((self.pictures, layer, packet[1] & 0x7f));
            }
        }
        for worker in [&mut self.home, &mut self.mirror] {
            let about_decoding =
                |event: &MediaEvent| matches!(event, MediaEvent::Undecodable { .. } | MediaEvent::Decodable { .. });
            self.reports.extend(events(worker).into_iter().filter(about_decoding));
        }
    }

    /// What the subscriber has got since the last call: the number of packets of each layer, and their payload types.
    fn taken(&mut self) -> Vec<(u8, u8, usize)> {
        let mut runs: Vec<(u8, u8, usize)> = Vec::new();
        for (_, layer, payload_type) in self.got.drain(..) {
            match runs.last_mut() {
                Some(run) if (run.0, run.1) == (layer, payload_type) => run.2 += 1,
                _ => runs.push((layer, payload_type, 1)),
            }
        }
        runs
    }

    fn undecodable(&self) -> u64 {
        self.home.stats().undecodable + self.mirror.stats().undecodable
    }
}

const PEER: patchbay::ids::PeerId = patchbay::ids::PeerId(2);

fn undecodable() -> MediaEvent {
    MediaEvent::Undecodable {
        peer: PEER,
        publisher: patchbay::ids::ParticipantId(1),
        kind: Kind::Video,
        codec: VP9_CODEC,
    }
}

fn decodable() -> MediaEvent {
    MediaEvent::Decodable {
        peer: PEER,
        publisher: patchbay::ids::ParticipantId(1),
        kind: Kind::Video,
    }
}

fn at_home_and_at_a_mirror(scenario: impl Fn(bool)) {
    for far in [false, true] {
        scenario(far);
    }
}

#[test]
fn a_joiner_gets_the_best_layer_that_it_decodes_at_once_and_no_notice() {
    at_home_and_at_a_mirror(|far| {
        let mut scene = Scene::new(far, [VP8, VP8, VP9]);
        // Nobody begins with key frames that are so old.
        scene.play(SECOND);
        scene.requested = [0; 3];
        let before = scene.pictures;
        scene.join_with_vp8();
        scene.play(15 * SECOND);
        let first = scene.got[0].0;
        assert!(first - before <= 2, "far {far}: after {} pictures", first - before);
        let pictures = scene.pictures - first + 1;
        assert_eq!(scene.taken(), [(H, VP8, pictures as usize)], "far {far}");
        assert_eq!(scene.requested, [0, 1, 0], "far {far}");
        assert_eq!(scene.reports, [], "far {far}");
        assert_eq!(scene.undecodable(), 0, "far {far}");
    });
}

#[test]
fn a_subscriber_that_decodes_every_format_gets_the_highest_layer() {
    at_home_and_at_a_mirror(|far| {
        let mut scene = Scene::new(far, [VP8, VP8, VP9]);
        scene.join(&[(VP8, Codec::Vp8), (VP9, VP9_CODEC)]);
        scene.play(5 * SECOND);
        let [(F, VP9, count)] = scene.taken()[..] else {
            panic!("far {far}: the highest layer alone")
        };
        assert!(count >= 5 * SECOND - 2, "far {far}: {count}");
        assert_eq!(scene.reports, [], "far {far}");
    });
}

#[test]
fn a_layer_that_turns_to_a_format_that_is_decoded_is_taken_from_its_first_picture_on() {
    at_home_and_at_a_mirror(|far| {
        let mut scene = Scene::new(far, [VP8, VP8, VP9]);
        scene.join_with_vp8();
        scene.play(3 * SECOND);
        scene.taken();
        scene.requested = [0; 3];
        scene.turn(F, VP8);
        scene.play(3 * SECOND);
        // The smaller layer's part of that first picture left before.
        assert_eq!(scene.taken(), [(H, VP8, 1), (F, VP8, 3 * SECOND)], "far {far}");
        assert_eq!(scene.requested, [0; 3], "far {far}: its key frame was there");

        // And back: the best of the others follows within the time that its key frame takes.
        scene.turn(F, VP9);
        scene.play(3 * SECOND);
        let [(H, VP8, count)] = scene.taken()[..] else {
            panic!("far {far}: the best of the others alone")
        };
        assert!(count >= 3 * SECOND - 2, "far {far}: {count}");
        assert_eq!(scene.requested, [0, 1, 0], "far {far}");
        assert_eq!(scene.reports, [], "far {far}");
    });
}

#[test]
fn the_notice_comes_once_when_no_layer_is_decoded_any_more_and_stays() {
    at_home_and_at_a_mirror(|far| {
        let mut scene = Scene::new(far, [VP8, VP8, VP9]);
        scene.join_with_vp8();
        scene.play(SECOND);
        scene.turn(H, VP9);
        scene.play(SECOND);
        assert_eq!(
            scene.taken().last().map(|run| (run.0, run.1)),
            Some((Q, VP8)),
            "far {far}"
        );
        assert_eq!(scene.reports, [], "far {far}: a small picture is one");
        scene.turn(Q, VP9);
        scene.requested = [0; 3];
        scene.play(SECOND / 2);
        assert_eq!(scene.taken(), [], "far {far}");
        assert_eq!(scene.reports, [undecodable()], "far {far}");
        scene.play(30 * SECOND);
        assert_eq!(scene.reports, [undecodable()], "far {far}");
        assert_eq!(scene.undecodable(), 1, "far {far}");
        assert_eq!(scene.requested, [0; 3], "far {far}: no key frame would help");

        // One layer that is decoded is enough for a picture, and for the report that it is there.
        scene.turn(Q, VP8);
        scene.play(SECOND);
        assert_eq!(scene.taken(), [(Q, VP8, SECOND)], "far {far}");
        assert_eq!(scene.reports, [undecodable(), decodable()], "far {far}");
    });
}

#[test]
fn a_subscriber_that_joins_and_decodes_no_layer_has_the_notice_at_once() {
    at_home_and_at_a_mirror(|far| {
        let mut scene = Scene::new(far, [VP9, VP9, VP9]);
        scene.requested = [0; 3];
        scene.join_with_vp8();
        scene.play(SECOND / 2);
        assert_eq!(scene.reports, [undecodable()], "far {far}");
        assert_eq!(scene.requested, [0; 3], "far {far}: no key frame would help");
        scene.play(30 * SECOND);
        assert_eq!(scene.reports, [undecodable()], "far {far}");
        assert_eq!(scene.taken(), [], "far {far}");
    });
}

#[test]
fn layers_that_are_decoded_are_left_when_they_stop_and_the_last_of_them_is_missed_aloud() {
    at_home_and_at_a_mirror(|far| {
        let mut scene = Scene::new(far, [VP8, VP8, VP9]);
        scene.join_with_vp8();
        scene.play(SECOND);
        scene.formats[usize::from(H)] = None;
        scene.play(2 * SECOND);
        assert_eq!(
            scene.taken().last().map(|run| (run.0, run.1)),
            Some((Q, VP8)),
            "far {far}"
        );
        assert_eq!(scene.reports, [], "far {far}");
        scene.formats[usize::from(Q)] = None;
        scene.play(20 * SECOND);
        assert_eq!(scene.reports, [undecodable()], "far {far}");
        // It is back with the best of them.
        scene.turn(H, VP8);
        scene.play(SECOND);
        assert_eq!(scene.taken().last(), Some(&(H, VP8, SECOND)), "far {far}");
        assert_eq!(scene.reports, [undecodable(), decodable()], "far {far}");
    });
}

#[test]
fn a_format_that_changes_twice_in_a_moment_counts_all_the_same() {
    at_home_and_at_a_mirror(|far| {
        let mut scene = Scene::new(far, [VP8, VP8, VP9]);
        scene.join_with_vp8();
        scene.play(SECOND);
        scene.turn(F, VP8);
        scene.play(SECOND);
        assert_eq!(scene.taken().last(), Some(&(F, VP8, SECOND)), "far {far}");
        scene.turn(F, VP9);
        scene.play(1);
        scene.turn(F, VP8);
        scene.play(2 * SECOND);
        let Some(&(F, VP8, count)) = scene.taken().last() else {
            panic!("far {far}: the highest layer")
        };
        assert!(count >= SECOND, "far {far}: {count}");
        assert_eq!(scene.reports, [], "far {far}");
    });
}

#[test]
fn a_packet_of_the_former_format_that_comes_late_changes_nothing() {
    at_home_and_at_a_mirror(|far| {
        let mut scene = Scene::new(far, [VP8, VP8, VP9]);
        scene.join_with_vp8();
        scene.play(3 * SECOND);
        let late = scene.packet(usize::from(F), VP9, false);
        scene.turn(F, VP8);
        scene.play(1);
        scene.taken();
        scene.requested = [0; 3];
        scene.publish(&late);
        scene.play(SECOND);
        assert_eq!(scene.taken(), [(F, VP8, SECOND)], "far {far}");
        assert_eq!(scene.requested, [0; 3], "far {far}");
        assert_eq!(scene.reports, [], "far {far}");
    });
}

#[test]
fn a_subscriber_that_joins_while_a_screen_stands_still_waits_at_a_layer_that_it_decodes() {
    at_home_and_at_a_mirror(|far| {
        let mut scene = Scene::new(far, [VP8, VP8, VP9]);
        scene.requested = [0; 3];
        scene.pass(Duration::from_secs(2));
        scene.join_with_vp8();
        scene.pass(Duration::from_millis(100));
        assert_eq!(scene.requested[usize::from(F)], 0, "far {far}");
        assert_eq!(scene.requested.iter().sum::<usize>(), 1, "far {far}");
        assert_eq!(scene.reports, [], "far {far}");
    });
}
