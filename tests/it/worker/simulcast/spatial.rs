//! Three spatial and three temporal layers in one VP9 stream, and viewers that get as many of them as fit. Their decoder takes the
//! frames up to a marker for one picture, as libwebrtc does.

use std::collections::BTreeSet;

use super::viewer::Kept;
use super::*;

const SSRC: u32 = 0x1000;
/// Bytes of the frames of each spatial layer, so that with those below it takes some 150, 500 and 2,000 kb/s.
const FRAME_BYTES: [usize; 3] = [600, 1_400, 6_200];
/// The temporal layers of the pictures of one turn.
const TURN: [u8; 4] = [0, 2, 1, 2];
/// The descriptor without a scalability structure.
const DESCRIPTOR: usize = 5;
const STRUCTURE: usize = 13;

/// A frame as its packets tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Frame {
    id: u32,
    needs: [u32; 2],
    temporal: u8,
    spatial: u8,
}

/// What the decoder of one viewer has made of its packets.
#[derive(Default)]
struct Decoder {
    unit: Vec<Kept>,
    decoded: BTreeSet<u32>,
    /// When each picture was shown, its highest spatial layer, its temporal layer, and whether it is a key picture.
    shown: Vec<(Instant, u8, u8, bool)>,
    /// Pictures of which a part was missing, or that had no marker; and those that depend on frames that were not decoded.
    torn: usize,
    undecodable: usize,
    /// Markers that came in pictures that had ended before.
    repeated: usize,
    last: Option<u32>,
}

impl Decoder {
    fn take(&mut self, now: Instant, packet: Kept) {
        if self.unit.last().is_some_and(|last| last.timestamp != packet.timestamp) {
            self.torn += 1;
            self.unit.clear();
        }
        let ends = packet.marker;
        self.unit.push(packet);
        if ends {
            let unit = std::mem::take(&mut self.unit);
            self.repeated += usize::from(self.last.replace(unit[0].timestamp) == Some(unit[0].timestamp));
            self.show(now, &unit);
        }
    }

    /// The frames of a picture. `None` if some of their packets are missing.
    fn frames(unit: &[Kept]) -> Option<Vec<Frame>> {
        let mut frames: Vec<Frame> = Vec::new();
        let mut parts = 0..0;
        for packet in unit {
            let payload = &packet.payload;
            let body = &payload[DESCRIPTOR + if payload[0] & 0x02 != 0 { STRUCTURE } else { 0 }..];
            let number = |at: usize| u32::from_be_bytes(body[at..at + 4].try_into().unwrap());
            let frame = Frame {
                id: number(2),
                needs: [number(6), number(10)],
                temporal: payload[3] >> 5,
                spatial: payload[3] >> 1 & 7,
            };
            if frames.last() != Some(&frame) {
                if !parts.is_empty() {
                    return None;
                }
                parts = 0..body[1];
                frames.push(frame);
            }
            if parts.next() != Some(body[0]) {
                return None;
            }
        }
        parts.is_empty().then_some(frames)
    }

    fn show(&mut self, now: Instant, unit: &[Kept]) {
        let Some(frames) = Self::frames(unit) else {
            self.torn += 1;
            return;
        };
        let own: Vec<u32> = frames.iter().map(|frame| frame.id).collect();
        let has = |needed: &u32| *needed == NO_FRAME || own.contains(needed) || self.decoded.contains(needed);
        if !frames.iter().all(|frame| frame.needs.iter().all(has)) {
            self.undecodable += 1;
            return;
        }
        self.decoded.extend(own);
        let top = frames.last().unwrap();
        let is_key = frames[0].spatial == 0 && frames[0].needs == [NO_FRAME; 2];
        self.shown.push((now, top.spatial, top.temporal, is_key));
    }
}

/// A publisher of one stream, and viewers.
struct Scene {
    now: Instant,
    worker: Worker,
    publisher: Client,
    viewers: Vec<(Viewer, Decoder)>,
    /// Whether frames depend on those below in all pictures, and not in key pictures alone.
    is_full: bool,
    picture: u32,
    /// Newest pictures of the temporal layers.
    newest: [u32; 3],
    turn: usize,
    wants_key: bool,
    requests: usize,
    sequence: u64,
    outbox: Vec<(u64, u64, Vec<u8>)>,
    /// Steps by which a packet comes late to the worker.
    upstream: Box<dyn FnMut() -> u64>,
    steps: u64,
}

impl Scene {
    fn new(is_full: bool, viewers: u64) -> Scene {
        let now = start();
        let (mut worker, identity) = worker(now);
        let own = DtlsIdentity::generate().unwrap();
        let vp9 = codec(VIDEO_PT, Some(VIDEO_PT + 1), Codec::Vp9 { profile: 0 });
        let mut publisher = Client::new(1, None, vec![section("0", vp9, true, SSRC, 0x9000)], &identity, &own);
        publisher.connect(now, &mut worker);
        let viewers = (2..2 + viewers).map(|number| {
            let mut section = section("0", vp9, false, SSRC, 0x2000 + 16 * number as u32);
            section.number_id = Some(3);
            let mut client = Client::new(number, Some(1), vec![section], &identity, &own);
            client.connect(now, &mut worker);
            let mut viewer = Viewer::new(client);
            viewer.in_order = Some(Vec::new());
            (viewer, Decoder::default())
        });
        let viewers = viewers.collect();
        Scene {
            now,
            worker,
            publisher,
            viewers,
            is_full,
            picture: 0,
            newest: [0; 3],
            turn: 0,
            wants_key: true,
            requests: 0,
            sequence: 65_000,
            outbox: Vec::new(),
            upstream: Box::new(|| 0),
            steps: 0,
        }
    }

    fn path(&mut self, viewer: usize, kbps: u64, proven: u64) {
        let peer = self.viewers[viewer].0.client.spec.peer;
        self.worker.suppose_path(self.now, peer, kbps * 1_000, proven * 1_000);
        let mut sent = Vec::new();
        drain(&mut self.worker, &mut sent);
        self.hand_out(sent);
    }

    fn run(&mut self, millis: u64) {
        let until = self.now + Duration::from_millis(millis);
        while self.now < until {
            self.now += STEP;
            self.steps += 1;
            let sent = run_until(&mut self.worker, self.now);
            self.hand_out(sent);
            if self.steps.is_multiple_of(3) {
                self.take_picture();
            }
            let steps = self.steps;
            let (due, rest) = std::mem::take(&mut self.outbox)
                .into_iter()
                .partition(|(at, ..)| *at <= steps);
            self.outbox = rest;
            let due: Vec<(u64, u64, Vec<u8>)> = due;
            for (_, index, packet) in due {
                let sealed = self.publisher.seal(&packet, index);
                let sent = exchange(self.now, &mut self.worker, self.publisher.address, &sealed);
                self.hand_out(sent);
            }
            for at in 0..self.viewers.len() {
                let (viewer, decoder) = &mut self.viewers[at];
                let requests = viewer.receive(self.now, self.steps);
                let packets = std::mem::take(viewer.in_order.as_mut().unwrap());
                packets.into_iter().for_each(|packet| decoder.take(self.now, packet));
                for request in requests {
                    let address = self.viewers[at].0.client.address;
                    let sent = exchange(self.now, &mut self.worker, address, &request);
                    self.hand_out(sent);
                }
            }
        }
    }

    fn take_picture(&mut self) {
        let is_key = std::mem::take(&mut self.wants_key);
        if is_key {
            self.turn = 0;
        }
        let temporal = TURN[self.turn % TURN.len()];
        self.turn += 1;
        let before = match temporal {
            0 | 1 => self.newest[0],
            _ => self.newest[0].max(self.newest[1]),
        };
        self.newest[usize::from(temporal)] = self.picture;
        for spatial in 0..3 {
            self.send_frame(is_key, temporal, spatial, before);
        }
        self.picture += 1;
    }

    fn send_frame(&mut self, is_key: bool, temporal: u8, spatial: u8, before: u32) {
        let uses_lower = spatial > 0 && (is_key || self.is_full);
        let id = |picture: u32, spatial: u8| picture * 4 + u32::from(spatial);
        let needs = [
            if is_key { NO_FRAME } else { id(before, spatial) },
            if uses_lower {
                id(self.picture, spatial - 1)
            } else {
                NO_FRAME
            },
        ];
        let bytes = FRAME_BYTES[usize::from(spatial)] * if is_key { 3 } else { 1 };
        let parts = bytes.div_ceil(PACKET_BYTES);
        for part in 0..parts {
            let (begins, ends) = (part == 0, part + 1 == parts);
            let has_structure = is_key && spatial == 0 && begins;
            // I, P, L, B, E, V.
            let first = 0xa0
                | u8::from(!is_key) << 6
                | u8::from(begins) << 3
                | u8::from(ends) << 2
                | u8::from(has_structure) << 1;
            let picture_id = 0x8000 | self.picture as u16 & 0x7fff;
            let mut payload = vec![first, (picture_id >> 8) as u8, picture_id as u8];
            payload.push(temporal << 5 | u8::from(temporal == 0) << 4 | spatial << 1 | u8::from(uses_lower));
            payload.push((self.newest[0] / 4) as u8);
            if has_structure {
                payload.push(0x50);
                for height in HEIGHTS {
                    payload.extend_from_slice(&[1, 0]);
                    payload.extend_from_slice(&height.to_be_bytes());
                }
            }
            payload.extend_from_slice(&[part as u8, parts as u8]);
            let numbers = [id(self.picture, spatial), needs[0], needs[1]];
            payload.extend(numbers.into_iter().flat_map(u32::to_be_bytes));
            payload.resize(bytes / parts, spatial);
            let timestamp = 77_000_u32.wrapping_add(self.picture * 2_970);
            let marker = ends && spatial == 2;
            let packet = rtp(VIDEO_PT, marker, self.sequence as u16, timestamp, SSRC, &payload);
            let late = (self.upstream)();
            self.outbox.push((self.steps + late, self.sequence, packet));
            self.sequence += 1;
        }
    }

    fn hand_out(&mut self, sent: Vec<(std::net::SocketAddr, Vec<u8>)>) {
        for (to, datagram) in sent {
            if to == self.publisher.address {
                let compound = self.publisher.take(self.now, &datagram).unwrap_or_default();
                for packet in rtcp::packets(&compound) {
                    if matches!(packet, rtcp::Packet::Pli { .. }) {
                        self.wants_key = true;
                        self.requests += 1;
                    }
                }
            } else if let Some((viewer, _)) = self.viewers.iter_mut().find(|(viewer, _)| viewer.client.address == to) {
                viewer.arrive(self.now, self.steps, &datagram);
            }
        }
    }

    /// The spatial layers that were shown to a viewer since `since`, and after how many milliseconds each began.
    fn sizes(&self, viewer: usize, since: Instant) -> Vec<(u64, u8)> {
        let mut sizes: Vec<(u64, u8)> = Vec::new();
        for (at, spatial, ..) in self.viewers[viewer].1.shown.iter().filter(|(at, ..)| *at > since) {
            if sizes.last().is_none_or(|(_, last)| last != spatial) {
                sizes.push(((*at - since).as_millis() as u64, *spatial));
            }
        }
        sizes
    }

    /// Checks that a viewer lost nothing, and saw each picture whole.
    fn assert_whole(&self, viewer: usize) {
        let (viewer, decoder) = &self.viewers[viewer];
        assert_eq!((decoder.torn, decoder.undecodable, decoder.repeated), (0, 0, 0));
        assert_eq!((viewer.given_up.len(), viewer.torn), (0, 0));
    }

    fn longest_pause(&self, viewer: usize, since: Instant) -> Duration {
        let shown = self.viewers[viewer].1.shown.iter().map(|(at, ..)| *at);
        let times: Vec<Instant> = std::iter::once(since).chain(shown.filter(|at| *at > since)).collect();
        times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
    }
}

#[test]
fn a_path_that_narrows_and_widens_gets_the_size_that_fits_and_nobody_else_notices() {
    for is_full in [false, true] {
        let mut scene = Scene::new(is_full, 2);
        scene.path(0, 5_000, 5_000);
        scene.path(1, 5_000, 5_000);
        scene.run(4_000);
        assert_eq!(scene.viewers[0].1.shown.last().unwrap().1, 2);
        let (narrowed, requests) = (scene.now, scene.requests);
        for (target, expected) in [(900, 1), (250, 0)] {
            let (since, bytes) = (scene.now, scene.viewers[0].0.bytes);
            scene.path(0, target, 5_000);
            scene.run(1_500);
            let [(after, size)] = scene.sizes(0, since)[..] else {
                panic!("{:?}", scene.sizes(0, since))
            };
            assert!(size == expected && after <= 50, "{size} after {after} ms");
            let kbps = (scene.viewers[0].0.bytes - bytes) * 8 / 1_500;
            assert!(kbps <= target, "{kbps} of {target} kb/s");
        }
        assert_eq!(scene.requests, requests, "smaller pictures need no key frame");
        let widened = scene.now;
        scene.path(0, 5_000, 5_000);
        scene.run(5_000);
        let [(_, 0), (after, 2)] = scene.sizes(0, widened)[..] else {
            panic!("{:?}", scene.sizes(0, widened))
        };
        assert!(after <= 4_000, "full size after {after} ms");
        assert_eq!(scene.requests, requests + 1);
        assert!(scene.longest_pause(0, narrowed) <= Duration::from_millis(70));
        assert!(
            scene.sizes(1, narrowed).iter().all(|(_, size)| *size == 2),
            "the other viewer"
        );
        scene.assert_whole(0);
        scene.assert_whole(1);
        assert_agrees(&scene.worker);
    }
}

#[test]
fn the_smallest_pictures_lose_temporal_layers_where_they_do_not_fit() {
    let mut scene = Scene::new(false, 1);
    scene.path(0, 5_000, 5_000);
    scene.run(4_000);
    scene.path(0, 120, 0);
    scene.run(500);
    let before = scene.viewers[0].1.shown.len();
    scene.run(1_000);
    let shown = &scene.viewers[0].1.shown[before..];
    assert!(
        shown
            .iter()
            .all(|(_, spatial, temporal, _)| *spatial == 0 && *temporal < 2),
        "{shown:?}"
    );
    assert!((13..=16).contains(&shown.len()), "{}", shown.len());
    scene.assert_whole(0);
}

/// Draws numbers below a hundred.
fn dice(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % 100
    }
}

#[test]
fn loss_and_lateness_on_both_ways_are_mended_whatever_is_left_out() {
    for (seed, is_full, late, lost) in [
        (1, false, 5, 0),
        (2, true, 5, 0),
        (3, false, 0, 5),
        (4, true, 0, 5),
        (5, false, 5, 5),
        (6, true, 5, 5),
    ] {
        let mut scene = Scene::new(is_full, 1);
        let (mut up, mut down) = (dice(seed), dice(seed + 100));
        scene.upstream = Box::new(move || if up() < late { 1 + up() % 6 } else { 0 });
        scene.viewers[0].0.fate = Box::new(move |_| match down() {
            drawn if drawn < lost => Fate::IsLost,
            drawn if drawn < lost * 3 => Fate::IsLate(1 + down() % 4),
            _ => Fate::Comes,
        });
        for target in [5_000, 900, 250, 5_000, 120, 600, 5_000] {
            scene.path(0, target, 5_000);
            scene.run(if target == 5_000 { 4_500 } else { 1_500 });
        }
        let (viewer, decoder) = &scene.viewers[0];
        let parts = (
            decoder.torn,
            decoder.undecodable,
            decoder.repeated,
            viewer.given_up.len(),
        );
        let shown = decoder.shown.len();
        println!("seed {seed}: {parts:?} of {shown}");
        assert!(shown > 400, "seed {seed}: {shown}");
        assert!(
            (decoder.torn + decoder.undecodable) * 50 < shown,
            "seed {seed}: {parts:?} of {shown}"
        );
        assert_agrees(&scene.worker);
    }
}

#[test]
fn layers_that_make_no_sense_harm_nobody_and_cost_few_requests() {
    let mut scene = Scene::new(false, 2);
    scene.path(0, 300, 5_000);
    scene.run(1_000);
    let (requests, mut dice) = (scene.requests, dice(7));
    for at in 0..2_000_u32 {
        let mut byte = || (dice() * 256 / 100) as u8;
        // Flags, a picture id, and layers up to the eighth; a structure of any kind may follow.
        let mut payload = vec![byte() | 0x20, byte(), byte(), byte(), byte(), byte()];
        payload.resize(200, byte());
        let timestamp = 77_000 + (scene.picture + at / 4) * 2_970;
        let packet = rtp(VIDEO_PT, byte() < 60, scene.sequence as u16, timestamp, SSRC, &payload);
        let sealed = scene.publisher.seal(&packet, scene.sequence);
        scene.sequence += 1;
        // What is made of these payloads is nobody's picture: the copies are not looked at.
        exchange(scene.now, &mut scene.worker, scene.publisher.address, &sealed);
        if at % 4 == 0 {
            scene.now += STEP;
            let sent = run_until(&mut scene.worker, scene.now);
            let publisher = scene.publisher.address;
            scene.hand_out(sent.into_iter().filter(|(to, _)| *to == publisher).collect());
        }
        if at % 400 == 0 {
            let target = [300, 5_000][at as usize / 400 % 2];
            let peer = scene.viewers[0].0.client.spec.peer;
            scene.worker.suppose_path(scene.now, peer, target * 1_000, 5_000_000);
            drain(&mut scene.worker, &mut Vec::new());
        }
    }
    let asked = scene.requests - requests;
    assert!(asked <= 14, "{asked} requests in 5.5 s");
    assert_agrees(&scene.worker);
}
