//! A room with more microphones than anybody can follow: only the loudest are heard, on whichever worker they are.

use patchbay::media::codec::Kind;
use patchbay::media::rtp::Extension;

use super::*;

const LEVEL_ID: u8 = 2;
/// Levels in -dBov: a room in which nobody speaks, and somebody who does.
const QUIET: u8 = 75;
const LOUD: u8 = 30;
/// RTP time of a packet of sound.
const FRAME: u32 = 960;

fn ssrc(person: usize) -> u32 {
    0x3000 + person as u32
}

fn copy_ssrc(person: usize) -> u32 {
    0x2_0000 + 16 * person as u32
}

/// People who publish sound, and one who listens to all of them; at one worker, or the listener at another one.
struct Scene {
    now: Instant,
    workers: Vec<Worker>,
    people: Vec<Client>,
    listener: Client,
    levels: Vec<Option<u8>>,
    sequence: u16,
    /// What the listener got of each person.
    got: Vec<Vec<Header>>,
}

impl Scene {
    fn new(people: usize, workers: usize) -> Scene {
        let now = start();
        let identity = DtlsIdentity::generate().unwrap();
        let mut workers = match workers {
            1 => vec![worker_of(now, &identity, 0)],
            _ => {
                let (home, mirror) = linked_workers(now, &identity);
                vec![home, mirror]
            }
        };
        let own = || DtlsIdentity::generate().unwrap();
        let people = (0..people).map(|person| {
            let opus = codec(AUDIO_PT, None, Codec::Opus);
            let mut section = section("0", opus, true, ssrc(person), 0x9000 + person as u32);
            section.extensions.push((LEVEL_ID, Extension::AudioLevel));
            let mut client = Client::new(1 + person as u64, None, vec![section], &identity, &own());
            client.connect(now, &mut workers[0]);
            client
        });
        let people: Vec<Client> = people.collect();
        let sections = (0..people.len()).map(|person| {
            let opus = codec(AUDIO_PT, None, Codec::Opus);
            section(&person.to_string(), opus, false, 0, copy_ssrc(person))
        });
        let mut listener = Client::new(500, Some(1), sections.collect(), &identity, &own());
        for (person, section) in listener.spec.sections.iter_mut().enumerate() {
            section.down = Some(down(1 + person as u64, Kind::Audio));
        }
        listener.connect(now, workers.last_mut().unwrap());
        let mut scene = Scene {
            now,
            levels: vec![Some(QUIET); people.len()],
            got: vec![Vec::new(); people.len()],
            workers,
            people,
            listener,
            sequence: 0,
        };
        scene.pass(2_000);
        scene
    }

    /// Lets time pass, in which each person sends a packet each 20 ms. Returns how many of each the listener gets.
    fn pass(&mut self, millis: u64) -> Vec<usize> {
        self.got.iter_mut().for_each(Vec::clear);
        for _ in 0..millis / 20 {
            self.now += Duration::from_millis(20);
            self.sequence += 1;
            let mut sent = Vec::new();
            for person in 0..self.people.len() {
                let timestamp = u32::from(self.sequence) * FRAME;
                let mut packet = rtp(AUDIO_PT, false, self.sequence, timestamp, ssrc(person), &[]);
                if let Some(level) = self.levels[person] {
                    packet[0] |= 0x10;
                    packet.extend_from_slice(&[0xbe, 0xde, 0, 1, LEVEL_ID << 4, level, 0, 0]);
                }
                packet.extend_from_slice(&[1, 2, 3]);
                let client = &self.people[person];
                let sealed = client.seal(&packet, self.sequence.into());
                sent.extend(exchange(self.now, &mut self.workers[0], client.address, &sealed));
            }
            if let [home, mirror] = self.workers.as_mut_slice() {
                settle(self.now, [home, mirror], &mut vec![0; 64 * 1024], |worker| {
                    drain(worker, &mut sent);
                });
            }
            for (to, bytes) in sent {
                if to == self.listener.address
                    && let Some(packet) = self.listener.take(self.now, &bytes)
                    && !matches!(packet[1], 192..=223)
                {
                    let header = Header::parse(&packet).unwrap();
                    self.got[((header.ssrc - copy_ssrc(0)) / 16) as usize].push(header);
                }
            }
        }
        self.got.iter().map(Vec::len).collect()
    }
}

#[test]
fn in_a_room_of_six_everybody_is_heard_and_in_one_of_seven_those_who_speak() {
    assert_eq!(Scene::new(6, 1).pass(1_000), [50; 6]);
    let mut scene = Scene::new(7, 1);
    assert_eq!(scene.pass(1_000), [0; 7]);
    scene.levels[3] = Some(LOUD);
    assert_eq!(scene.pass(1_000), [0, 0, 0, 49, 0, 0, 0]);
    let held = scene.workers[0].stats().held_packets;
    assert_eq!(held, 7 * 150 + 6 * 50 + 1);
    assert_agrees(&scene.workers[0]);
}

#[test]
fn the_loudest_of_another_worker_are_heard_too() {
    let mut scene = Scene::new(9, 2);
    assert_eq!(scene.pass(1_000), [0; 9]);
    scene.levels[8] = Some(LOUD);
    let got = scene.pass(1_000);
    assert!(got[8] >= 48 && got[..8] == [0; 8], "{got:?}");
}

#[test]
fn whoever_tells_no_level_is_heard() {
    let mut scene = Scene::new(9, 1);
    scene.levels[2] = None;
    assert_eq!(scene.pass(1_000), [0, 0, 50, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn a_pause_is_none_in_the_numbers_and_one_in_the_time_and_ends_with_a_marker() {
    let mut scene = Scene::new(7, 1);
    scene.levels[0] = Some(LOUD);
    scene.pass(200);
    let before = *scene.got[0].last().unwrap();
    scene.levels[0] = Some(QUIET);
    scene.pass(1_000);
    let before = scene.got[0].last().copied().unwrap_or(before);
    assert!(
        (15..=30).contains(&scene.got[0].len()),
        "the pauses between words are heard"
    );
    scene.pass(1_000);
    scene.levels[0] = Some(LOUD);
    scene.pass(200);
    let after = scene.got[0][0];
    assert_eq!(after.sequence, before.sequence.wrapping_add(1));
    assert!(after.timestamp.wrapping_sub(before.timestamp) > 50 * FRAME);
    assert!(after.marker && !scene.got[0][1].marker);
}

#[test]
fn when_the_room_is_small_again_everybody_is_heard() {
    let mut scene = Scene::new(7, 1);
    assert_eq!(scene.pass(200), [0; 7]);
    let last = scene.people.pop().unwrap();
    scene.workers[0].handle_command(scene.now, MediaCommand::Close(last.spec.peer));
    assert_eq!(scene.pass(200)[..6], [10; 6]);
}
