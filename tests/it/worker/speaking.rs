//! Who speaks: found from the audio levels of the packets (RFC 6464), reported by the worker on which the publisher lives.

use patchbay::media::report::TrackReport;
use patchbay::media::rtp::Extension;
use patchbay::media::speaker::Loudness;

use super::*;

const MIC_SSRC: u32 = 0x3000;
const LEVEL_ID: u8 = 2;

fn sound(mid: &str, receive: bool, ssrc: u32, local_ssrc: u32) -> MediaSection {
    let mut section = section(mid, codec(AUDIO_PT, None, Codec::Opus), receive, ssrc, local_ssrc);
    section.extensions.push((LEVEL_ID, Extension::AudioLevel));
    section
}

/// A participant who publishes sound, at a single worker or at one of two that share the room.
struct Scene {
    now: Instant,
    workers: Vec<Worker>,
    publisher: Client,
    sequence: u16,
}

impl Scene {
    fn new() -> Scene {
        let now = start();
        let (worker, identity) = worker(now);
        Scene::on(now, vec![worker], &identity, vec![sound("0", true, MIC_SSRC, 0x9000)])
    }

    fn on(now: Instant, mut workers: Vec<Worker>, identity: &DtlsIdentity, sections: Vec<MediaSection>) -> Scene {
        let own = DtlsIdentity::generate().unwrap();
        let mut publisher = Client::new(1, None, sections, identity, &own);
        publisher.connect(now, &mut workers[0]);
        workers.iter_mut().for_each(|worker| drop(events(worker)));
        Scene {
            now,
            workers,
            publisher,
            sequence: 0,
        }
    }

    /// Sends a packet of `ssrc` each 20 ms, with a level in -dBov. Returns all speech reports of the workers meanwhile, with
    /// their index.
    fn hear(&mut self, ssrc: u32, dbov: u8, millis: u64) -> Vec<(usize, MediaEvent)> {
        let mut reports = Vec::new();
        for _ in 0..millis / 20 {
            self.sequence += 1;
            let mut packet = rtp(
                AUDIO_PT,
                false,
                self.sequence,
                u32::from(self.sequence) * 960,
                ssrc,
                &[],
            );
            packet[0] |= 0x10;
            packet.extend_from_slice(&[0xbe, 0xde, 0, 1, LEVEL_ID << 4, dbov, 0, 0, 1, 2, 3]);
            let sealed = self.publisher.seal(&packet, u64::from(self.sequence));
            exchange(self.now, &mut self.workers[0], self.publisher.address, &sealed);
            reports.extend(self.pass(20));
        }
        reports
    }

    fn pass(&mut self, millis: u64) -> Vec<(usize, MediaEvent)> {
        self.now += Duration::from_millis(millis);
        if let [home, mirror] = self.workers.as_mut_slice() {
            settle(self.now, [home, mirror], &mut vec![0; 64 * 1024], |worker| {
                worker.egress().clear()
            });
        }
        let mut reports = Vec::new();
        for (index, worker) in self.workers.iter_mut().enumerate() {
            run_until(worker, self.now);
            let about_speech =
                |event: &MediaEvent| matches!(event, MediaEvent::SpeechBegan { .. } | MediaEvent::SpeechEnded { .. });
            let spoke = events(worker).into_iter().filter(about_speech);
            reports.extend(spoke.map(|event| (index, event)));
            assert_agrees(worker);
        }
        reports
    }

    fn began(&self) -> (usize, MediaEvent) {
        let peer = self.publisher.spec.peer;
        (0, MediaEvent::SpeechBegan { peer })
    }

    fn ended(&self) -> (usize, MediaEvent) {
        let peer = self.publisher.spec.peer;
        (0, MediaEvent::SpeechEnded { peer })
    }
}

#[test]
fn whoever_speaks_is_reported_within_a_word_and_once_until_they_end() {
    let mut scene = Scene::new();
    assert_eq!(scene.hear(MIC_SSRC, 70, 2_000), [], "a room with a fan");
    assert_eq!(scene.hear(MIC_SSRC, 30, 300), [scene.began()]);
    assert_eq!(scene.workers[0].stats().speaking, 1);
    for _ in 0..5 {
        assert_eq!(scene.hear(MIC_SSRC, 70, 600), [], "a breath");
        assert_eq!(scene.hear(MIC_SSRC, 30, 1_000), []);
    }
    assert_eq!(scene.hear(MIC_SSRC, 70, 2_000), [scene.ended()]);
    assert_eq!(scene.workers[0].stats().speaking, 0);
}

#[test]
fn whoever_sends_nothing_any_more_does_not_speak() {
    let mut scene = Scene::new();
    assert_eq!(scene.hear(MIC_SSRC, 30, 500), [scene.began()]);
    assert_eq!(scene.pass(2_500), [scene.ended()], "muted by sending nothing");
    assert_eq!(scene.hear(MIC_SSRC, 30, 500), [scene.began()]);
    scene.publisher.spec.sections[0].up = None;
    scene.publisher.open(scene.now, &mut scene.workers[0]);
    assert_eq!(scene.pass(1_500), [scene.ended()], "the track has ended");
}

#[test]
fn a_connection_that_ends_while_its_participant_speaks_leaves_no_speaker() {
    let mut scene = Scene::new();
    assert_eq!(scene.hear(MIC_SSRC, 30, 500), [scene.began()]);
    scene.workers[0].handle_command(scene.now, MediaCommand::Close(scene.publisher.spec.peer));
    assert_eq!(scene.pass(3_000), [], "whoever closes it knows");
    assert_eq!(scene.workers[0].stats().speaking, 0);
}

#[test]
fn whoever_begins_anew_with_another_certificate_does_not_speak_until_they_have() {
    let mut scene = Scene::new();
    assert_eq!(scene.hear(MIC_SSRC, 30, 500), [scene.began()]);
    scene.publisher.spec.transports[0].remote_fingerprints[0].digest[0] ^= 1;
    scene.publisher.open(scene.now, &mut scene.workers[0]);
    assert_eq!(scene.pass(1_500), [scene.ended()]);
}

#[test]
fn of_several_microphones_the_loudest_counts() {
    let now = start();
    let (worker, identity) = worker(now);
    let sections = vec![
        sound("0", true, MIC_SSRC, 0x9000),
        sound("1", true, MIC_SSRC + 2, 0x9002),
    ];
    let mut scene = Scene::on(now, vec![worker], &identity, sections);
    assert_eq!(scene.hear(MIC_SSRC, 30, 500), [scene.began()]);
    assert_eq!(scene.hear(MIC_SSRC + 2, 30, 2_000), [], "they go on at the other one");
    assert_eq!(scene.hear(MIC_SSRC + 2, 90, 2_000), [scene.ended()]);
}

#[test]
fn a_room_on_two_workers_is_reported_of_by_its_home_alone() {
    let identity = DtlsIdentity::generate().unwrap();
    let now = start();
    let (home, mirror) = linked_workers(now, &identity);
    let mut scene = Scene::on(
        now,
        vec![home, mirror],
        &identity,
        vec![sound("0", true, MIC_SSRC, 0x9000)],
    );
    let own = DtlsIdentity::generate().unwrap();
    let mut far = Client::new(2, Some(1), vec![sound("0", false, MIC_SSRC, 0x2_0000)], &identity, &own);
    far.connect(now, &mut scene.workers[1]);
    scene.pass(100);
    assert_eq!(scene.hear(MIC_SSRC, 30, 1_000), [scene.began()]);
    assert!(
        scene.workers[1].stats().forwarded_packets > 0,
        "the mirror has the packets"
    );
    assert_eq!(scene.hear(MIC_SSRC, 90, 2_000), [scene.ended()]);
}

#[test]
fn the_loudness_of_whoever_sends_sound_is_counted_once_a_second() {
    let mut scene = Scene::new();
    let counted = |scene: &Scene, loudness: Loudness| scene.workers[0].stats().loudness[loudness as usize];
    scene.hear(MIC_SSRC, 127, 10_000);
    scene.hear(MIC_SSRC, 70, 20_000);
    scene.hear(MIC_SSRC, 30, 30_000);
    scene.hear(MIC_SSRC, 3, 10_000);
    let counts = Loudness::ALL.map(|loudness| counted(&scene, loudness));
    for (count, seconds) in counts.into_iter().zip([10, 20, 30, 10_u64]) {
        // A turn comes each 100 ms, so a count comes each second or one turn later.
        assert!((seconds - 2..=seconds + 1).contains(&count), "{counts:?}");
    }
    scene.pass(60_000);
    let after: u64 = Loudness::ALL.map(|loudness| counted(&scene, loudness)).iter().sum();
    assert!(
        after <= counts.iter().sum::<u64>() + 6,
        "whoever sends nothing has no loudness"
    );
}

/// Mean and peak of the level of each track that the worker reports.
fn levels(scene: &Scene, worker: usize) -> Vec<Option<(i8, i8)>> {
    let room = scene.publisher.spec.room;
    let reports = scene.workers[worker].report(scene.now, &[room]);
    let level = |report: TrackReport| Some((report.level?.mean_dbov, report.level?.peak_dbov));
    reports.into_iter().map(level).collect()
}

#[test]
fn operators_are_shown_how_loud_each_track_was_in_the_last_second() {
    let now = start();
    let (worker, identity) = worker(now);
    let sections = vec![
        sound("0", true, MIC_SSRC, 0x9000),
        sound("1", true, MIC_SSRC + 2, 0x9002),
    ];
    let mut scene = Scene::on(now, vec![worker], &identity, sections);
    assert_eq!(levels(&scene, 0), [None, None], "nothing was sent yet");
    for _ in 0..100 {
        scene.hear(MIC_SSRC, 30, 20);
        scene.hear(MIC_SSRC + 2, 90, 20);
    }
    assert_eq!(levels(&scene, 0), [Some((-30, -30)), Some((-90, -90))]);
    for _ in 0..25 {
        scene.hear(MIC_SSRC, 20, 60);
        scene.hear(MIC_SSRC, 60, 20);
    }
    let level = levels(&scene, 0)[0].expect("a level");
    assert!(
        (-31..=-29).contains(&level.0),
        "three packets at -20, and one at -60: {level:?}"
    );
    assert_eq!(level.1, -20);
    assert_eq!(levels(&scene, 0)[1], None, "this one was silent in the last second");
    let report = &scene.workers[0].report(scene.now, &[scene.publisher.spec.room])[0];
    assert_eq!(
        (report.packets, report.codec, report.layers),
        (200, Some(Codec::Opus), 1)
    );
    let packet = report.bytes / report.packets;
    // 50 packets a second.
    let bps = report.bitrate_bps;
    assert!(
        (360 * packet..=440 * packet).contains(&bps),
        "{bps} in packets of {packet} bytes"
    );
    scene.pass(3_000);
    assert_eq!(levels(&scene, 0), [None, None], "nothing is sent any more");
    scene.pass(3_000);
    let report = &scene.workers[0].report(scene.now, &[scene.publisher.spec.room])[0];
    assert_eq!((report.packets, report.bitrate_bps, report.codec), (200, 0, None));
    assert_eq!(scene.workers[0].report(scene.now, &[]), [], "no room was asked for");
}

#[test]
fn a_track_of_two_workers_is_reported_by_its_home_alone() {
    let identity = DtlsIdentity::generate().unwrap();
    let now = start();
    let (home, mirror) = linked_workers(now, &identity);
    let sections = vec![sound("0", true, MIC_SSRC, 0x9000)];
    let mut scene = Scene::on(now, vec![home, mirror], &identity, sections);
    let own = DtlsIdentity::generate().unwrap();
    let mut far = Client::new(2, Some(1), vec![sound("0", false, MIC_SSRC, 0x2_0000)], &identity, &own);
    far.connect(now, &mut scene.workers[1]);
    scene.pass(100);
    scene.hear(MIC_SSRC, 30, 2_000);
    assert_eq!(scene.workers[1].stats().mirrored_tracks, 1);
    assert_eq!(levels(&scene, 0), [Some((-30, -30))]);
    assert_eq!(levels(&scene, 1), []);
}
