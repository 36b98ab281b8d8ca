//! The beginning of a subscriber's picture: never slices without the parameter sets that belong to them.

use patchbay::media::codec::h264::Profile as H264Profile;
use patchbay::media::rtp::Extension;

use super::*;

const H264: Codec = Codec::H264 {
    profile: H264Profile::ConstrainedBaseline,
    packetization_mode: 1,
};
const H265: Codec = Codec::H265 { profile: 1, tier: 0 };

/// Payloads of H264: STAP-A of SPS and PPS, the first and the last fragment of an IDR slice, a delta slice.
const SETS: &[u8] = &[0x78, 0, 4, 0x67, 0x42, 0xe0, 0x1f, 0, 3, 0x68, 0xce, 0x38];
const IDR: &[u8] = &[0x7c, 0x85, 0x88, 1, 2, 3];
const IDR_END: &[u8] = &[0x7c, 0x45, 4, 5, 6];
const DELTA: &[u8] = &[0x61, 0x9a, 1, 2];
const SPS: &[u8] = &[0x67, 0x42, 0xe0, 0x1f];
const PPS: &[u8] = &[0x68, 0xce, 0x38];

/// Milliseconds without a packet after which nobody begins with what came before.
const NOT_KEPT: u64 = 850;

fn h26x(codec: Codec, receive: bool, local_ssrc: u32) -> MediaSection {
    section(
        "0",
        media_client::codec(VIDEO_PT, Some(VIDEO_RTX_PT), codec),
        receive,
        VIDEO_SSRC,
        local_ssrc,
    )
}

/// A publisher of one codec, with subscribers that come at any time.
struct Scene {
    stage: Stage,
    codec: Codec,
    picture: u32,
}

impl Scene {
    fn new(codec: Codec) -> Scene {
        let now = start();
        let (mut worker, identity) = worker(now);
        let own = DtlsIdentity::generate().unwrap();
        let mut publisher = Client::new(1, None, vec![h26x(codec, true, 0x9000)], &identity, &own);
        publisher.connect(now, &mut worker);
        let stage = Stage {
            now,
            worker,
            identity,
            publisher,
            subscribers: Vec::new(),
            sequence: 0,
        };
        Scene {
            stage,
            codec,
            picture: 0,
        }
    }

    fn join(&mut self) {
        let number = 2 + self.stage.subscribers.len() as u64;
        let own = DtlsIdentity::generate().unwrap();
        let down = h26x(self.codec, false, 0x2_0000 + 16 * number as u32);
        let mut client = Client::new(number, Some(1), vec![down], &self.stage.identity, &own);
        client.connect(self.stage.now, &mut self.stage.worker);
        self.stage.subscribers.push(client);
    }

    /// Sends packets of the present picture. Returns the payloads that each subscriber gets.
    fn send(&mut self, payloads: &[&[u8]]) -> Vec<Vec<Vec<u8>>> {
        let mut got = vec![Vec::new(); self.stage.subscribers.len()];
        for payload in payloads {
            let sequence = self.stage.sequence;
            self.stage.sequence += 1;
            let packet = rtp(VIDEO_PT, false, sequence, self.picture * 3_000, VIDEO_SSRC, payload);
            for (got, packets) in got.iter_mut().zip(self.stage.publish_packet(&packet)) {
                got.extend(packets.into_iter().map(|packet| {
                    let header = Header::parse(&packet).unwrap();
                    packet[header.len..].to_vec()
                }));
            }
        }
        got
    }

    fn next_picture(&mut self) {
        self.picture += 1;
        self.pause(33);
    }

    fn pause(&mut self, millis: u64) {
        let sent = self.stage.pass(Duration::from_millis(millis));
        self.stage.hand_out(sent);
    }
}

#[test]
fn a_subscriber_that_comes_between_parameter_sets_and_slices_begins_with_the_next_picture() {
    let mut scene = Scene::new(H264);
    scene.join();
    assert_eq!(scene.send(&[SETS])[0], [SETS]);
    scene.pause(NOT_KEPT);
    scene.join();
    let got = scene.send(&[IDR, IDR_END]);
    assert_eq!(got[0], [IDR, IDR_END]);
    assert!(got[1].is_empty(), "slices without parameter sets: {:?}", got[1]);
    scene.next_picture();
    assert!(scene.send(&[DELTA])[1].is_empty());
    scene.next_picture();
    let got = scene.send(&[SETS, IDR, IDR_END]);
    assert_eq!(got[0], [SETS, IDR, IDR_END]);
    assert_eq!(got[1], [SETS, IDR, IDR_END]);
}

#[test]
fn a_subscriber_that_comes_between_two_parameter_sets_begins_with_the_next_picture() {
    let mut scene = Scene::new(H264);
    scene.send(&[SPS]);
    scene.pause(NOT_KEPT);
    scene.join();
    assert!(scene.send(&[PPS, IDR, IDR_END])[0].is_empty());
    scene.next_picture();
    assert_eq!(scene.send(&[SPS, PPS, IDR])[0], [SPS, PPS, IDR]);

    let (vps, sps, pps): (&[u8], &[u8], &[u8]) = (&[0x40, 1, 0x0c], &[0x42, 1, 1], &[0x44, 1, 0xc0]);
    let idr: &[u8] = &[0x62, 1, 0x80 | 19, 0xaf];
    let mut scene = Scene::new(H265);
    scene.send(&[vps]);
    scene.pause(NOT_KEPT);
    scene.join();
    assert!(scene.send(&[sps, pps])[0].is_empty(), "no VPS was sent to it");
    scene.pause(NOT_KEPT);
    scene.join();
    assert!(scene.send(&[idr]).concat().is_empty());
    scene.next_picture();
    for got in scene.send(&[vps, sps, pps, idr]) {
        assert_eq!(got, [vps, sps, pps, idr]);
    }
}

#[test]
fn a_key_frame_is_requested_for_a_subscriber_that_comes_in_the_gap() {
    let mut scene = Scene::new(H264);
    scene.join();
    scene.send(&[SETS, IDR, IDR_END]);
    for _ in 0..60 {
        scene.next_picture();
        scene.send(&[DELTA]);
    }
    scene.next_picture();
    scene.send(&[SETS]);
    scene.pause(NOT_KEPT);
    let before = scene.stage.worker.stats().key_frame_requests_sent;
    scene.join();
    scene.send(&[IDR, IDR_END]);
    scene.next_picture();
    scene.send(&[DELTA]);
    assert!(scene.stage.worker.stats().key_frame_requests_sent > before);
}

#[test]
fn a_publisher_that_sends_its_parameter_sets_only_once_is_shown_from_its_second_bare_key_picture() {
    let mut scene = Scene::new(H264);
    scene.join();
    assert_eq!(scene.send(&[SETS, IDR])[0], [SETS, IDR]);
    scene.pause(NOT_KEPT);
    scene.join();
    scene.next_picture();
    let got = scene.send(&[IDR, IDR_END]);
    assert_eq!(got[0], [IDR, IDR_END]);
    assert!(got[1].is_empty(), "its sets may have been lost on the way");
    // The publisher is asked for another, and only its answer will come.
    let sent = scene.stage.pass(Duration::from_millis(1_200));
    assert!(scene.stage.requests_at_publisher(&sent) > 0);
    scene.next_picture();
    let got = scene.send(&[IDR, IDR_END]);
    assert_eq!(got[1], [IDR, IDR_END]);
    let sent = scene.stage.pass(Duration::from_secs(5));
    assert_eq!(scene.stage.requests_at_publisher(&sent), 0, "nobody waits any more");
}

#[test]
fn parameter_sets_that_were_lost_on_the_way_begin_the_picture_when_they_are_sent_again() {
    let mut scene = Scene::new(H264);
    scene.send(&[DELTA]);
    scene.join();
    scene.next_picture();
    let lost = rtp(VIDEO_PT, false, 1, 3_000, VIDEO_SSRC, SETS);
    scene.stage.sequence = 2;
    assert!(scene.send(&[IDR, IDR_END])[0].is_empty());
    let got = scene.stage.publish_packet(&lost).remove(0);
    let first = Header::parse(&got[0]).unwrap();
    assert_eq!(got[0][first.len..], *SETS);
    // The slices came before it: they stand behind it in the copy, and are sent when they are missed.
    scene.next_picture();
    assert_eq!(scene.send(&[DELTA])[0], [DELTA]);
    let missed = [first.sequence.wrapping_add(1), first.sequence.wrapping_add(2)];
    let again = scene.stage.nack(0, &missed);
    assert_eq!(again.len(), 2);
    assert!(again[0].ends_with(IDR) && again[1].ends_with(IDR_END), "{again:?}");
}

/// Two layers of H264; the second one has something to change to.
struct Layers {
    now: Instant,
    worker: Worker,
    publisher: Client,
    subscriber: Client,
    sequences: [u16; 2],
    picture: u32,
}

const LOW: usize = 0;
const HIGH: usize = 1;

impl Layers {
    fn new() -> Layers {
        let now = start();
        let (mut worker, identity) = worker(now);
        let own = DtlsIdentity::generate().unwrap();
        let mut up = h26x(H264, true, 0x9000);
        up.remote_ssrcs.clear();
        up.rids = ["l", "h"].into_iter().map(|rid| rid.as_bytes().into()).collect();
        up.extensions.push((4, Extension::Rid));
        let mut publisher = Client::new(1, None, vec![up], &identity, &own);
        publisher.connect(now, &mut worker);
        let down = h26x(H264, false, 0x2_0000);
        let mut subscriber = Client::new(2, Some(1), vec![down], &identity, &own);
        subscriber.connect(now, &mut worker);
        Layers {
            now,
            worker,
            publisher,
            subscriber,
            sequences: [0; 2],
            picture: 0,
        }
    }

    /// Publishes a packet, filled up to `len`. Returns the payloads that the subscriber gets.
    fn send(&mut self, layer: usize, payload: &[u8], len: usize) -> Vec<Vec<u8>> {
        let ssrc = 0x100 * (1 + layer as u32);
        let sequence = self.sequences[layer];
        self.sequences[layer] += 1;
        let mut packet = vec![0x90, VIDEO_PT];
        packet.extend_from_slice(&sequence.to_be_bytes());
        packet.extend_from_slice(&(self.picture * 3_000).to_be_bytes());
        packet.extend_from_slice(&ssrc.to_be_bytes());
        packet.extend_from_slice(&[0xbe, 0xde, 0, 1, 0x10, b'0', 0x40, b"lh"[layer]]);
        packet.extend_from_slice(payload);
        packet.resize(packet.len().max(len), 9);
        let sealed = self.publisher.seal(&packet, u64::from(sequence));
        let sent = exchange(self.now, &mut self.worker, self.publisher.address, &sealed);
        let (now, address) = (self.now, self.subscriber.address);
        let subscriber = &mut self.subscriber;
        let mine = sent.iter().filter(|(to, _)| *to == address);
        let packets: Vec<_> = mine.filter_map(|(_, bytes)| subscriber.take(now, bytes)).collect();
        let payload = |packet: &Vec<u8>| packet[Header::parse(packet).unwrap().len..].to_vec();
        packets.iter().map(payload).collect()
    }

    fn next_picture(&mut self) {
        self.picture += 1;
        self.pass(33);
    }

    fn pass(&mut self, millis: u64) {
        self.now += Duration::from_millis(millis);
        run_until(&mut self.worker, self.now);
    }
}

#[test]
fn a_layer_that_becomes_the_best_between_its_parameter_sets_and_slices_is_taken_at_the_next_picture() {
    let mut layers = Layers::new();
    let low_sets = SETS;
    let high_sets: &[u8] = &[0x78, 0, 4, 0x67, 0x42, 0xe0, 0x2a, 0, 3, 0x68, 0xce, 0x38];
    assert_eq!(layers.send(LOW, low_sets, 0).len(), 1);
    assert_eq!(layers.send(LOW, IDR, 0).len(), 1);
    // The high layer has little to send, and is not the target.
    for _ in 0..60 {
        layers.next_picture();
        assert_eq!(layers.send(LOW, DELTA, 600).len(), 1);
        assert!(layers.send(HIGH, DELTA, 60).is_empty());
    }
    // Its key picture begins, and grows so large that it is the best layer before its slices come.
    layers.next_picture();
    assert_eq!(layers.send(LOW, DELTA, 600).len(), 1);
    assert!(layers.send(HIGH, high_sets, 0).is_empty());
    layers.pass(NOT_KEPT);
    let enhancement = [0x06, 5, 200];
    for _ in 0..200 {
        layers.send(HIGH, &enhancement, 1_200);
        layers.pass(10);
    }
    assert!(layers.send(HIGH, IDR, 0).is_empty(), "its parameter sets were not sent");
    assert!(layers.send(HIGH, IDR_END, 0).is_empty());
    layers.next_picture();
    let low = layers.send(LOW, DELTA, 600);
    assert_eq!(low.len(), 1, "the low layer goes on until then");
    layers.next_picture();
    assert_eq!(layers.send(HIGH, high_sets, 0), [high_sets]);
    assert_eq!(layers.send(HIGH, IDR, 0), [IDR]);
}
