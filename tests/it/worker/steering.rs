//! What a publisher of one encoding is told to send, and what clients are told that understand the names of their encodings.

use patchbay::ids::Feed;

use super::*;

/// The most that a publisher may send to the worker of these tests, in kb/s.
const MOST: u64 = 4_000;

/// When a publisher was asked for which encodings, and the bound that was set.
type Order = (Instant, Vec<(String, bool)>, Option<u64>);

/// A publisher, and viewers whose paths are told.
struct Scene {
    now: Instant,
    worker: Worker,
    identity: DtlsIdentity,
    publisher: Client,
    viewers: Vec<Client>,
    steps: u64,
    /// What the publisher was told to keep to, in kb/s.
    estimates: Vec<(Instant, u64)>,
    orders: Vec<Order>,
}

/// Feedback of a client that reads estimates.
fn reads_estimates(mut section: MediaSection) -> MediaSection {
    section.codecs[0].feedback.remb = true;
    section
}

fn with_rids(mut section: MediaSection) -> MediaSection {
    section.rids = [b"q", b"h", b"f"].iter().map(|rid| rid.as_slice().into()).collect();
    section.remote_ssrcs.clear();
    section
}

impl Scene {
    fn new(sections: Vec<MediaSection>, takes_orders: bool) -> Scene {
        let now = start();
        let (mut worker, identity) = worker(now);
        let own = DtlsIdentity::generate().unwrap();
        let mut publisher = Client::new(1, None, sections, &identity, &own);
        publisher.spec.understands.send_layers = takes_orders;
        publisher.connect(now, &mut worker);
        Scene {
            now,
            worker,
            identity,
            publisher,
            viewers: Vec::new(),
            steps: 0,
            estimates: Vec::new(),
            orders: Vec::new(),
        }
    }

    /// A camera in one encoding.
    fn single() -> Scene {
        Scene::new(vec![reads_estimates(video(true, 0x9000))], false)
    }

    fn join(&mut self) -> usize {
        let number = 2 + self.viewers.len() as u64;
        let section = video(false, 0x2_0000 + 16 * number as u32);
        let own = DtlsIdentity::generate().unwrap();
        let mut client = Client::new(number, Some(1), vec![section], &self.identity, &own);
        client.connect(self.now, &mut self.worker);
        self.viewers.push(client);
        self.viewers.len() - 1
    }

    fn leave(&mut self, viewer: usize) {
        let peer = self.viewers[viewer].spec.peer;
        self.worker.handle_command(self.now, MediaCommand::Close(peer));
    }

    #[cfg(debug_assertions)]
    fn path(&mut self, viewer: usize, kbps: u64) {
        let peer = self.viewers[viewer].spec.peer;
        let bps = kbps * 1_000;
        // It is filled: it has carried more before.
        self.worker.suppose_path(self.now, peer, 2 * bps, bps);
        self.worker.suppose_path(self.now, peer, bps, bps);
    }

    fn run(&mut self, millis: u64) {
        let until = self.now + Duration::from_millis(millis);
        while self.now < until {
            self.now += Duration::from_millis(10);
            self.steps += 1;
            if self.steps.is_multiple_of(400) {
                self.renew_consent();
            }
            for (to, bytes) in run_until(&mut self.worker, self.now) {
                if to == self.publisher.address {
                    self.take(&bytes);
                }
            }
            for event in events(&mut self.worker) {
                if let MediaEvent::LayersWanted {
                    peer,
                    feed,
                    layers,
                    max_bits_per_second,
                } = event
                {
                    assert_eq!((peer, feed), (self.publisher.spec.peer, Feed::Camera));
                    self.orders.push((self.now, layers, max_bits_per_second));
                }
            }
        }
        assert_agrees(&self.worker);
    }

    fn renew_consent(&mut self) {
        for client in std::iter::once(&self.publisher).chain(&self.viewers) {
            let check = client.plain_check();
            for (to, bytes) in exchange(self.now, &mut self.worker, client.address, &check) {
                assert!(to != self.publisher.address || bytes[0] < 4, "only the answer");
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        let compound = self.publisher.take(self.now, bytes).unwrap_or_default();
        for packet in rtcp::packets(&compound) {
            if let rtcp::Packet::ReceiverEstimate { bits_per_second } = packet {
                self.estimates.push((self.now, bits_per_second / 1_000));
            }
        }
    }

    /// The newest estimate after that time.
    fn estimate_after(&mut self, millis: u64) -> u64 {
        self.run(millis);
        self.estimates.last().map_or(0, |(_, kbps)| *kbps)
    }

    /// The orders about encodings since the last call: how long after `since`, and which are wanted.
    fn take_orders(&mut self, since: Instant) -> Vec<(u128, String)> {
        let orders = std::mem::take(&mut self.orders);
        let wanted = |layers: &[(String, bool)]| {
            let of = layers
                .iter()
                .map(|(rid, is_wanted)| format!("{rid}{}", if *is_wanted { '+' } else { '-' }));
            of.collect()
        };
        orders
            .iter()
            .map(|(at, layers, _)| ((*at - since).as_millis(), wanted(layers)))
            .collect()
    }
}

#[cfg(debug_assertions)]
#[test]
fn between_two_the_publisher_follows_the_path_of_the_other() {
    let mut scene = Scene::single();
    let viewer = scene.join();
    assert_eq!(scene.estimate_after(2_000), MOST, "nothing is known of the path");
    scene.path(viewer, 3_000);
    assert_eq!(scene.estimate_after(1_100), 2_850);
    scene.path(viewer, 1_000);
    assert_eq!(scene.estimate_after(150), 950, "a fall counts at once");
    scene.path(viewer, 20);
    assert_eq!(scene.estimate_after(150), 100, "less is no picture");
    scene.path(viewer, 2_000);
    assert_eq!(scene.estimate_after(1_100), 1_900);
    scene.leave(viewer);
    assert_eq!(scene.estimate_after(4_900), 1_900);
    assert_eq!(scene.estimate_after(1_200), 50);
}

#[cfg(debug_assertions)]
#[test]
fn a_path_that_has_shown_no_limit_for_a_minute_may_be_tried_with_twice_as_much() {
    let mut scene = Scene::single();
    let viewer = scene.join();
    let peer = scene.viewers[viewer].spec.peer;
    scene.worker.suppose_path(scene.now, peer, 300_000, 300_000);
    assert_eq!(scene.estimate_after(1_200), 570);
    scene.worker.suppose_path(scene.now, peer, 800_000, 800_000);
    assert_eq!(scene.estimate_after(1_200), 1_520);
    scene.worker.suppose_path(scene.now, peer, 700_000, 700_000);
    assert_eq!(scene.estimate_after(150), 665);
    assert_eq!(scene.estimate_after(58_500), 665);
    assert_eq!(scene.estimate_after(3_000), 1_330);
}

#[cfg(debug_assertions)]
#[test]
fn in_a_room_the_slowest_quarter_does_not_hold_back_the_others() {
    let mut scene = Scene::single();
    let viewers: Vec<usize> = (0..5).map(|_| scene.join()).collect();
    for (&viewer, kbps) in viewers.iter().zip([100, 900, 2_000, 2_000, 2_000]) {
        scene.path(viewer, kbps);
    }
    assert_eq!(scene.estimate_after(1_200), 900);
    scene.path(viewers[1], 110);
    assert_eq!(scene.estimate_after(1_200), 250);
    // Two who tell nothing of their paths count as fast.
    for _ in 0..4 {
        scene.join();
    }
    assert_eq!(scene.estimate_after(1_200), 2_000);
}

#[test]
fn a_publisher_that_reads_no_estimates_is_sent_none_and_one_whom_all_see_is_told_the_most() {
    let mut scene = Scene::new(vec![video(true, 0x9000)], false);
    scene.run(8_000);
    assert!(scene.estimates.is_empty() && scene.orders.is_empty());
    let mut scene = Scene::single();
    scene.join();
    scene.run(20_000);
    assert!(
        scene.estimates.iter().all(|(_, kbps)| *kbps == MOST),
        "a viewer who tells nothing wants all"
    );
    assert!((19..=22).contains(&scene.estimates.len()));
}

#[test]
fn sound_keeps_its_rate_while_nobody_sees_the_pictures() {
    let mut sound = section("1", codec(AUDIO_PT, None, Codec::Opus), true, 0x5000, 0x9100);
    sound.codecs[0].feedback.remb = false;
    let mut scene = Scene::new(vec![reads_estimates(video(true, 0x9000)), sound.clone()], false);
    assert_eq!(scene.estimate_after(7_000), 114);
    // Sound alone is never bound.
    let mut scene = Scene::new(vec![reads_estimates(sound)], false);
    assert_eq!(scene.estimate_after(7_000), MOST);
}

#[cfg(debug_assertions)]
#[test]
fn a_recorder_wants_everything() {
    use patchbay::media::link::{Far, LinkMessage, pair};
    let mut scene = Scene::single();
    assert_eq!(scene.estimate_after(7_000), 50);
    let (end, mut recorder) = pair();
    scene.worker.link(scene.now, Far::Recorder, end);
    assert!(recorder.send(LinkMessage::Mirror(ROOM)));
    scene.worker.take_mirrored(scene.now, &mut [0; 4_096]);
    assert_eq!(scene.estimate_after(1_100), MOST);
    drop(recorder);
    while scene.worker.has_mail() {
        scene.worker.take_mirrored(scene.now, &mut [0; 4_096]);
    }
    assert_eq!(scene.estimate_after(7_000), 50);
}

#[test]
fn a_client_that_understands_it_is_told_its_encodings_by_name_and_is_not_bound() {
    let mut scene = Scene::new(vec![reads_estimates(with_rids(video(true, 0x9000)))], true);
    let began = scene.now;
    scene.run(8_000);
    let orders = scene.take_orders(began);
    let [(after, off)] = orders.as_slice() else {
        panic!("{orders:?}")
    };
    assert!((5_000..=6_200).contains(after), "{after} ms");
    assert_eq!(off, "q-h-f-");
    let came = scene.now;
    let viewer = scene.join();
    scene.run(5_000);
    let orders = scene.take_orders(came);
    let [(after, on)] = orders.as_slice() else {
        panic!("{orders:?}")
    };
    assert!(*after <= 150 && on == "q+h+f+", "{after} ms {on}");
    // A new offer, as after a reconnection: it is told again.
    let offered = scene.now;
    scene.publisher.open(scene.now, &mut scene.worker);
    scene.run(3_000);
    let orders = scene.take_orders(offered);
    assert!(
        matches!(orders.as_slice(), [(0..=150, on)] if on == "q+h+f+"),
        "{orders:?}"
    );
    scene.leave(viewer);
    let left = scene.now;
    scene.run(7_000);
    let orders = scene.take_orders(left);
    assert!(
        matches!(orders.as_slice(), [(5_000..=6_200, off)] if off == "q-h-f-"),
        "{orders:?}"
    );
    assert!(scene.estimates.iter().all(|(_, kbps)| *kbps == MOST));
}

#[test]
fn the_first_word_comes_within_ten_seconds_and_nobody_is_told_who_does_not_understand_it() {
    let mut scene = Scene::new(vec![with_rids(video(true, 0x9000))], true);
    let began = scene.now;
    scene.join();
    scene.run(30_000);
    let orders = scene.take_orders(began);
    assert!(
        matches!(orders.as_slice(), [(1..=10_000, on)] if on == "q+h+f+"),
        "{orders:?}"
    );
    let mut scene = Scene::new(vec![with_rids(video(true, 0x9000))], false);
    scene.run(30_000);
    assert!(scene.orders.is_empty());
}

#[cfg(debug_assertions)]
#[test]
fn one_encoding_has_no_name_and_a_bound_where_no_estimates_are_read() {
    let mut scene = Scene::new(vec![video(true, 0x9000)], true);
    let viewer = scene.join();
    scene.path(viewer, 1_000);
    scene.run(2_000);
    let bounds: Vec<Option<u64>> = scene.orders.iter().map(|(_, _, bound)| *bound).collect();
    assert_eq!(bounds, [Some(950_000)]);
    assert_eq!(scene.orders[0].1, [(String::new(), true)]);
    scene.path(viewer, 960);
    scene.run(5_000);
    assert_eq!(scene.orders.len(), 1, "a small step is no news");
    scene.leave(viewer);
    scene.run(7_000);
    let (_, layers, bound) = scene.orders.last().unwrap();
    assert_eq!((layers.as_slice(), *bound), ([(String::new(), false)].as_slice(), None));
}

#[test]
fn a_video_whose_sender_is_muted_here_is_seen_by_nobody() {
    use patchbay::media::names::Muted;
    let mut scene = Scene::single();
    scene.join();
    assert_eq!(scene.estimate_after(2_000), MOST);
    let peer = scene.publisher.spec.peer;
    let camera = true;
    let muted = Muted { sound: false, camera };
    scene
        .worker
        .handle_command(scene.now, MediaCommand::Mute { peer, muted });
    assert_eq!(scene.estimate_after(6_500), 50);
    let muted = Muted::default();
    scene
        .worker
        .handle_command(scene.now, MediaCommand::Mute { peer, muted });
    assert_eq!(scene.estimate_after(150), MOST);
}
