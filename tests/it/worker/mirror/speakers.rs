//! Who speaks comes first at every viewer, on whichever worker they are.

use patchbay::media::codec::Kind;
use patchbay::media::rtp::Extension;

use super::*;

const MIC_SSRC: u32 = 0x3000;
const LEVEL_ID: u8 = 2;
/// Paths are estimated, and packets paced, only where packets are numbered for the whole connection.
const NUMBER_ID: u8 = 3;
/// Bytes of a picture: with 25 of them a second, 400 kb/s.
const PICTURE_BYTES: usize = 2 * 1_000;
/// What the viewer's path carries: one of the videos.
const PATH_BPS: u64 = 600_000;
const LOUD: u8 = 30;
const QUIET: u8 = 90;

fn with_levels(mut section: MediaSection) -> MediaSection {
    section.extensions.push((LEVEL_ID, Extension::AudioLevel));
    section
}

/// Two people with camera and microphone on the home, who are watched over a path that carries one of their videos.
struct Talk {
    now: Instant,
    identity: DtlsIdentity,
    home: Worker,
    mirror: Worker,
    publishers: [Client; 2],
    pictures: u64,
    sounds: u64,
    viewer: Option<(Client, bool)>,
}

impl Talk {
    fn new() -> Talk {
        let identity = DtlsIdentity::generate().unwrap();
        let now = start();
        let (mut home, mirror) = linked_workers(now, &identity);
        let publishers = [1, 3].map(|number| {
            let sound = section("1", codec(AUDIO_PT, None, Codec::Opus), true, MIC_SSRC, 0x9100);
            let sections = vec![video(true, 0x9000), with_levels(sound)];
            let mut client = Client::new(number, None, sections, &identity, &DtlsIdentity::generate().unwrap());
            client.connect(now, &mut home);
            client
        });
        Talk {
            now,
            identity,
            home,
            mirror,
            publishers,
            pictures: 0,
            sounds: 0,
            viewer: None,
        }
    }

    /// Lets the viewer come, on the home or on the mirror.
    fn join(&mut self, is_far: bool) {
        let own = DtlsIdentity::generate().unwrap();
        let mut sections = vec![video(false, 0x2_0000), video(false, 0x2_0010)];
        sections[1].mid = b"1".as_slice().into();
        for section in &mut sections {
            section.number_id = Some(NUMBER_ID);
        }
        let mut client = Client::new(2, Some(1), sections, &self.identity, &own);
        client.spec.sections[1].down = Some(down(3, Kind::Video));
        let worker = if is_far { &mut self.mirror } else { &mut self.home };
        client.connect(self.now, worker);
        worker.suppose_path(self.now, client.spec.peer, PATH_BPS, PATH_BPS);
        self.viewer = Some((client, is_far));
    }

    /// Lets three seconds pass in which one of them speaks, or nobody. Returns the packets of each video in the last of them.
    fn hear(&mut self, speaker: Option<usize>) -> [usize; 2] {
        let mut got = [0; 2];
        for step in 0..150 {
            self.now += Duration::from_millis(20);
            let mut sent = run_until(&mut self.home, self.now);
            sent.extend(run_until(&mut self.mirror, self.now));
            for at in 0..2 {
                let level = if speaker == Some(at) { LOUD } else { QUIET };
                sent.extend(self.speak(at, level));
                if step % 2 == 0 {
                    sent.extend(self.show(at));
                }
            }
            self.sounds += 1;
            self.pictures += u64::from(step % 2 == 0);
            let workers = [&mut self.home, &mut self.mirror];
            settle(self.now, workers, &mut vec![0; 64 * 1024], |worker| {
                drain(worker, &mut sent)
            });
            let Some((client, _)) = &mut self.viewer else { continue };
            let address = client.address;
            for (_, datagram) in sent.iter().filter(|(to, _)| *to == address) {
                let Some(packet) = client
                    .take(self.now, datagram)
                    .filter(|packet| !matches!(packet[1], 192..=223))
                else {
                    continue;
                };
                let ssrc = Header::parse(&packet).unwrap().ssrc;
                let video = client
                    .spec
                    .sections
                    .iter()
                    .position(|section| section.local_ssrc == ssrc);
                // Padding is sent in streams of its own.
                if let Some(video) = video {
                    got[video] += usize::from(step >= 100);
                }
            }
        }
        assert_agrees(&self.home);
        assert_agrees(&self.mirror);
        got
    }

    fn publish(&mut self, at: usize, packet: &[u8], index: u64) -> Sent {
        let client = &self.publishers[at];
        let sealed = client.seal(packet, index);
        exchange(self.now, &mut self.home, client.address, &sealed)
    }

    fn speak(&mut self, at: usize, level: u8) -> Sent {
        let (sequence, timestamp) = (self.sounds as u16, self.sounds as u32 * 960);
        let mut packet = rtp(AUDIO_PT, false, sequence, timestamp, MIC_SSRC, &[]);
        packet[0] |= 0x10;
        packet.extend_from_slice(&[0xbe, 0xde, 0, 1, LEVEL_ID << 4, level, 0, 0, 1, 2, 3]);
        self.publish(at, &packet, self.sounds)
    }

    fn show(&mut self, at: usize) -> Sent {
        let mut sent = Sent::new();
        // Twice a second it sends a key frame, for whoever waits for one.
        let is_key = self.pictures.is_multiple_of(12);
        for part in 0..2 {
            let sequence = 2 * self.pictures + part;
            let payload = vp8(is_key && part == 0, sequence as u16, PICTURE_BYTES / 2);
            let timestamp = self.pictures as u32 * 3_600;
            let packet = rtp(VIDEO_PT, part == 1, sequence as u16, timestamp, VIDEO_SSRC, &payload);
            sent.extend(self.publish(at, &packet, sequence));
        }
        sent
    }
}

#[test]
fn the_video_of_whoever_spoke_last_is_the_one_that_the_path_carries() {
    for is_far in [false, true] {
        let mut talk = Talk::new();
        talk.join(is_far);
        let [first, second] = talk.hear(None);
        assert!(
            first > 40 && second == 0,
            "{first} {second}, in the order of their sections"
        );
        let [first, second] = talk.hear(Some(1));
        assert!(
            first == 0 && second > 40,
            "{first} {second}: the second speaks, {is_far}"
        );
        let [first, second] = talk.hear(None);
        assert!(
            first == 0 && second > 40,
            "{first} {second}: nobody else has spoken, {is_far}"
        );
        let [first, second] = talk.hear(Some(0));
        assert!(
            first > 40 && second == 0,
            "{first} {second}: the first speaks, {is_far}"
        );
    }
}

#[test]
fn whoever_comes_on_another_worker_while_somebody_speaks_sees_them_first() {
    let mut talk = Talk::new();
    talk.hear(Some(1));
    talk.join(true);
    let [first, second] = talk.hear(Some(1));
    assert!(first == 0 && second > 40, "{first} {second}");
}
