//! Muted participants: what they send is forwarded to nobody, on no worker, and arrives again afterwards as one stream.

use patchbay::ids::{FeedRef, ParticipantId, PeerId};
use patchbay::media::link::{Far, narrow_pair};
use patchbay::media::names::Muted;
use patchbay::media::player::{Player, PlayerSpec};
use patchbay::media::rtp::Extension;
use patchbay::sound::Recording;

use super::*;

const MIC_SSRC: u32 = 0x3000;
const LEVEL_ID: u8 = 2;
const SOUND: Muted = Muted {
    sound: true,
    camera: false,
};
const CAMERA: Muted = Muted {
    sound: false,
    camera: true,
};

fn sections(receive: bool, local_ssrc: u32) -> Vec<MediaSection> {
    let mut sound = section(
        "1",
        codec(AUDIO_PT, None, Codec::Opus),
        receive,
        MIC_SSRC,
        local_ssrc + 4,
    );
    sound.extensions.push((LEVEL_ID, Extension::AudioLevel));
    vec![video(receive, local_ssrc), sound]
}

/// Somebody who publishes sound and pictures; somebody who gets both from the same worker, and somebody at another one.
struct Scene {
    now: Instant,
    workers: [Worker; 2],
    publisher: Client,
    watchers: [Client; 2],
    sequence: u16,
}

/// What each watcher gets.
type Got = [Vec<Vec<u8>>; 2];

impl Scene {
    fn new() -> Scene {
        let now = start();
        let identity = DtlsIdentity::generate().unwrap();
        let (home, mirror) = linked_workers(now, &identity);
        let mut workers = [home, mirror];
        let own = DtlsIdentity::generate().unwrap();
        let mut publisher = Client::new(1, None, sections(true, 0x9000), &identity, &own);
        publisher.connect(now, &mut workers[0]);
        let watchers = [(0, 2), (1, 3)].map(|(at, number)| {
            let own = DtlsIdentity::generate().unwrap();
            let sections = sections(false, 0x2_0000 + 16 * number as u32);
            let mut client = Client::new(number, Some(1), sections, &identity, &own);
            client.connect(now, &mut workers[at]);
            client
        });
        let mut scene = Scene {
            now,
            workers,
            publisher,
            watchers,
            sequence: 0,
        };
        scene.pass(Duration::from_millis(100));
        scene
    }

    /// Returns what the publisher is sent at once, opened.
    fn mute(&mut self, muted: Muted) -> Vec<Vec<u8>> {
        let peer = self.publisher.spec.peer;
        self.workers[0].handle_command(self.now, MediaCommand::Mute { peer, muted });
        self.publisher.spec.muted = muted;
        let mut sent = Vec::new();
        drain(&mut self.workers[0], &mut sent);
        self.at_publisher(&sent)
    }

    fn at_publisher(&mut self, sent: &[(std::net::SocketAddr, Vec<u8>)]) -> Vec<Vec<u8>> {
        let address = self.publisher.address;
        let mine = sent.iter().filter(|(to, _)| *to == address);
        mine.filter_map(|(_, bytes)| self.publisher.take(self.now, bytes))
            .collect()
    }

    /// A packet of 20 ms of loud sound.
    fn speak(&mut self) -> Got {
        self.sequence += 1;
        let timestamp = u32::from(self.sequence) * 960;
        let mut packet = rtp(AUDIO_PT, false, self.sequence, timestamp, MIC_SSRC, &[]);
        packet[0] |= 0x10;
        packet.extend_from_slice(&[0xbe, 0xde, 0, 1, LEVEL_ID << 4, 20, 0, 0, 1, 2, 3]);
        self.publish(&packet)
    }

    fn show(&mut self, key_frame: bool) -> Got {
        self.sequence += 1;
        let payload = vp8(key_frame, self.sequence, 500);
        let timestamp = u32::from(self.sequence) * 1_800;
        self.publish(&rtp(VIDEO_PT, true, self.sequence, timestamp, VIDEO_SSRC, &payload))
    }

    /// Publishes a packet, and lets 20 ms pass.
    fn publish(&mut self, packet: &[u8]) -> Got {
        let sealed = self.publisher.seal(packet, u64::from(self.sequence));
        let mut sent = exchange(self.now, &mut self.workers[0], self.publisher.address, &sealed);
        let [home, mirror] = &mut self.workers;
        settle(self.now, [home, mirror], &mut vec![0; 64 * 1024], |worker| {
            drain(worker, &mut sent);
        });
        let got = self.watchers.each_mut().map(|client| {
            let address = client.address;
            let mine = sent.iter().filter(|(to, _)| *to == address);
            let mut got: Vec<Vec<u8>> = mine.filter_map(|(_, bytes)| client.take(self.now, bytes)).collect();
            got.retain(|packet| !matches!(packet[1], 192..=223));
            got
        });
        self.pass(Duration::from_millis(20));
        got
    }

    /// Lets time pass. Returns what the workers sent to the publisher, opened.
    fn pass(&mut self, time: Duration) -> Vec<Vec<u8>> {
        self.now += time;
        let mut sent = Vec::new();
        for worker in &mut self.workers {
            sent.extend(run_until(worker, self.now));
            assert_agrees(worker);
        }
        let [home, mirror] = &mut self.workers;
        settle(self.now, [home, mirror], &mut vec![0; 64 * 1024], |worker| {
            drain(worker, &mut sent);
        });
        self.at_publisher(&sent)
    }
}

/// Sequence numbers of one stream of each watcher.
#[derive(Default)]
struct Numbers([Vec<u16>; 2]);

impl Numbers {
    fn note(&mut self, got: &Got) {
        for (numbers, got) in self.0.iter_mut().zip(got) {
            numbers.extend(got.iter().map(|packet| Header::parse(packet).unwrap().sequence));
        }
    }

    fn assert_one_stream_of(&self, packets: usize) {
        for numbers in &self.0 {
            assert_eq!(numbers.len(), packets);
            let whole = numbers.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1));
            assert!(whole, "a hole in {numbers:?}");
        }
    }
}

fn key_frame_requests(compounds: &[Vec<u8>]) -> usize {
    let packets = compounds.iter().flat_map(|compound| rtcp::packets(compound));
    packets
        .filter(|packet| matches!(packet, rtcp::Packet::Pli { media_ssrc: VIDEO_SSRC }))
        .count()
}

fn nothing(got: &Got) -> bool {
    got.iter().all(Vec::is_empty)
}

#[test]
fn muted_sound_reaches_nobody_and_arrives_again_afterwards_without_a_hole() {
    let mut scene = Scene::new();
    let mut numbers = Numbers::default();
    for _ in 0..3 {
        for _ in 0..20 {
            numbers.note(&scene.speak());
        }
        scene.mute(SOUND);
        let passed_on = scene.workers[0].stats().mirrored_packets;
        for _ in 0..100 {
            assert!(nothing(&scene.speak()));
        }
        assert_eq!(
            scene.workers[0].stats().mirrored_packets,
            passed_on,
            "not even to a mirror"
        );
        scene.mute(Muted::default());
    }
    for _ in 0..20 {
        numbers.note(&scene.speak());
    }
    numbers.assert_one_stream_of(80);
}

#[test]
fn the_time_for_which_somebody_was_muted_has_passed_at_the_others_too() {
    let mut scene = Scene::new();
    let timestamp = |got: &Got| u32::from_be_bytes(got[1][0][4..8].try_into().unwrap());
    let before = timestamp(&scene.speak());
    scene.mute(SOUND);
    for _ in 0..49 {
        scene.speak();
    }
    scene.mute(Muted::default());
    let passed = timestamp(&scene.speak()).wrapping_sub(before);
    assert!((47_500..=48_500).contains(&passed), "a second of 48 kHz: {passed}");
}

#[test]
fn whoever_is_muted_does_not_speak() {
    let mut scene = Scene::new();
    let peer = scene.publisher.spec.peer;
    let speak = |scene: &mut Scene, packets: usize| {
        (0..packets).for_each(|_| drop(scene.speak()));
        let events = scene.workers.each_mut().map(events).concat();
        let about_speech =
            |event: &MediaEvent| matches!(event, MediaEvent::SpeechBegan { .. } | MediaEvent::SpeechEnded { .. });
        events.into_iter().filter(about_speech).collect::<Vec<_>>()
    };
    assert_eq!(speak(&mut scene, 25), [MediaEvent::SpeechBegan { peer }]);
    scene.mute(SOUND);
    assert_eq!(speak(&mut scene, 100), [MediaEvent::SpeechEnded { peer }]);
    scene.mute(Muted::default());
    assert_eq!(speak(&mut scene, 25), [MediaEvent::SpeechBegan { peer }]);
}

#[test]
fn pictures_go_on_while_sound_is_muted_and_sound_goes_on_without_pictures() {
    let mut scene = Scene::new();
    scene.mute(SOUND);
    for key_frame in [true, false] {
        assert!(scene.show(key_frame).iter().all(|got| got.len() == 1));
    }
    assert!(nothing(&scene.speak()));
    scene.mute(CAMERA);
    assert!(scene.speak().iter().all(|got| got.len() == 1));
    assert!(nothing(&scene.show(true)));
}

#[test]
fn a_camera_that_is_shown_again_begins_with_a_key_frame_that_is_asked_for() {
    let mut scene = Scene::new();
    let mut numbers = Numbers::default();
    for key_frame in [true, false, false] {
        numbers.note(&scene.show(key_frame));
    }
    scene.pass(Duration::from_secs(1));
    scene.mute(CAMERA);
    for at in 0..50 {
        assert!(nothing(&scene.show(at == 20)));
    }
    assert_eq!(
        key_frame_requests(&scene.pass(Duration::from_secs(1))),
        0,
        "nobody gets it"
    );
    let requests = scene.mute(Muted::default());
    assert_eq!(key_frame_requests(&requests), 1);
    assert!(nothing(&scene.show(false)), "nobody could decode it");
    for key_frame in [true, false, false] {
        numbers.note(&scene.show(key_frame));
    }
    numbers.assert_one_stream_of(6);
}

#[test]
fn whoever_is_muted_stays_so_over_a_new_offer_and_in_a_new_connection() {
    let mut scene = Scene::new();
    scene.mute(SOUND);
    assert!(nothing(&scene.speak()));
    // The microphone is put on hold, and taken up again.
    for up in [None, Some(up(patchbay::media::codec::Kind::Audio))] {
        scene.publisher.spec.sections[1].up = up;
        scene.publisher.open(scene.now, &mut scene.workers[0]);
        assert!(nothing(&scene.speak()));
    }
    scene.publisher.spec.muted = Muted::default();
    scene.publisher.open(scene.now, &mut scene.workers[0]);
    assert!(scene.speak().iter().all(|got| got.len() == 1));

    let own = DtlsIdentity::generate().unwrap();
    let now = start();
    let (mut worker, identity) = worker(now);
    let mut muted = Client::new(1, None, sections(true, 0x9000), &identity, &own);
    muted.spec.muted = SOUND;
    muted.connect(now, &mut worker);
    let mut watcher = Client::new(2, Some(1), sections(false, 0x2_0000), &identity, &own);
    watcher.connect(now, &mut worker);
    let sealed = muted.seal(&rtp(AUDIO_PT, false, 1, 960, MIC_SSRC, &[1, 2, 3]), 1);
    assert_eq!(exchange(now, &mut worker, muted.address, &sealed), []);
}

#[test]
fn commands_about_connections_that_are_not_there_do_nothing() {
    let mut scene = Scene::new();
    let (peer, muted) = (PeerId(1_000), SOUND);
    scene.workers[0].handle_command(scene.now, MediaCommand::Mute { peer, muted });
    assert!(scene.speak().iter().all(|got| got.len() == 1));
}

#[test]
fn a_player_is_muted_as_anybody_is_before_it_begins_and_later() {
    let player = PeerId(70);
    let mut stage = Stage::new(0);
    let (end, far) = narrow_pair();
    stage.worker.link(
        stage.now,
        Far::Player {
            peer: player,
            room: ROOM,
        },
        end,
    );
    let mute = |stage: &mut Stage, muted| {
        let command = MediaCommand::Mute { peer: player, muted };
        stage.worker.handle_command(stage.now, command);
    };
    mute(&mut stage, SOUND);
    let spec = PlayerSpec {
        peer: player,
        room: ROOM,
        feed: FeedRef::camera(ParticipantId(7)),
        recording: Recording::read(include_bytes!("../../fixtures/tone.opus")).unwrap(),
        waits: false,
        repeats: true,
    };
    let mut playing = Player::new(stage.now, spec, far);
    let own = DtlsIdentity::generate().unwrap();
    let sound = section("0", codec(AUDIO_PT, None, Codec::Opus), false, 0, 0x7_0000);
    let mut listener = Client::new(30, Some(7), vec![sound], &stage.identity, &own);
    listener.connect(stage.now, &mut stage.worker);
    let mut hear = |stage: &mut Stage, packets: usize| {
        let mut heard: Vec<u16> = Vec::new();
        for _ in 0..packets {
            stage.now += Duration::from_millis(20);
            playing.poll(stage.now);
            let mut buffer = vec![0; 64 * 1024];
            let mut sent = run_until(&mut stage.worker, stage.now);
            while stage.worker.has_mail() {
                stage.worker.take_mirrored(stage.now, &mut buffer);
                forward(stage.now, &mut stage.worker, &buffer, &mut sent);
            }
            let address = listener.address;
            let mine = sent.iter().filter(|(to, _)| *to == address);
            let got = mine.filter_map(|(_, bytes)| listener.take(stage.now, bytes));
            let sound = got.filter(|packet| !matches!(packet[1], 192..=223));
            heard.extend(sound.map(|packet| Header::parse(&packet).unwrap().sequence));
            assert_agrees(&stage.worker);
        }
        heard
    };
    assert!(hear(&mut stage, 20).is_empty());
    mute(&mut stage, Muted::default());
    let mut heard = hear(&mut stage, 20);
    mute(&mut stage, SOUND);
    assert!(hear(&mut stage, 50).is_empty());
    mute(&mut stage, Muted::default());
    heard.extend(hear(&mut stage, 20));
    assert!(heard.len() >= 38, "{heard:?}");
    let whole = heard.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1));
    assert!(whole, "a hole in {heard:?}");
}
