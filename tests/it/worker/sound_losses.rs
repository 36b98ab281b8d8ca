//! Sound on paths that lose packets: whoever reports loss gets earlier sound beside the newest.

use patchbay::media::codec::red;

use super::*;

const RED_PT: u8 = 63;
const SOUND_SSRC: u32 = 0x3000;
/// The share of packets that a client reports lost, in 1/256: a tenth.
const TENTH: u8 = 26;
/// RTP time of a packet of sound.
const FRAME: u32 = 960;

fn sound(receive: bool, local_ssrc: u32, reads_red: bool, nack: bool) -> MediaSection {
    let mut opus = codec(AUDIO_PT, None, Codec::Opus);
    opus.feedback.nack = nack;
    let mut section = section("0", opus, receive, SOUND_SSRC, local_ssrc);
    if reads_red {
        section.codecs.push(codec(RED_PT, None, Codec::Red));
    }
    section
}

/// Somebody who speaks, and one who listens.
struct Scene {
    now: Instant,
    worker: Worker,
    speaker: Client,
    listener: Client,
    sequence: u16,
}

impl Scene {
    fn new(reads_red: bool, nack: bool) -> Scene {
        let now = start();
        let (mut worker, identity) = worker(now);
        let own = || DtlsIdentity::generate().unwrap();
        let mut speaker = Client::new(1, None, vec![sound(true, 0x9000, true, false)], &identity, &own());
        let heard = vec![sound(false, 0x2_0000, reads_red, nack)];
        let mut listener = Client::new(2, Some(1), heard, &identity, &own());
        speaker.connect(now, &mut worker);
        listener.connect(now, &mut worker);
        Scene {
            now,
            worker,
            speaker,
            listener,
            sequence: 0,
        }
    }

    /// The sound of a packet: each has another, and another length.
    fn sound_of(sequence: u16) -> Vec<u8> {
        vec![sequence as u8; 40 + usize::from(sequence % 7)]
    }

    /// Speaks the next packet. Returns what the listener gets.
    fn speak(&mut self) -> Vec<u8> {
        let sound = Scene::sound_of(self.sequence);
        self.speak_payload(AUDIO_PT, &sound)
    }

    fn speak_payload(&mut self, payload_type: u8, payload: &[u8]) -> Vec<u8> {
        self.now += Duration::from_millis(20);
        let sequence = self.sequence;
        self.sequence += 1;
        let timestamp = u32::from(sequence) * FRAME;
        let packet = rtp(payload_type, false, sequence, timestamp, SOUND_SSRC, payload);
        let sealed = self.speaker.seal(&packet, sequence.into());
        let sent = exchange(self.now, &mut self.worker, self.speaker.address, &sealed);
        let address = self.listener.address;
        let mine: Vec<_> = sent.iter().filter(|(to, _)| *to == address).collect();
        assert_eq!(mine.len(), 1);
        self.listener.take(self.now, &mine[0].1).unwrap()
    }

    fn report(&mut self, fraction_lost: u8) {
        let ssrc = self.listener.spec.sections[0].local_ssrc;
        let mut compound = Vec::new();
        let mut block = rtcp::Block::default();
        block.ssrc = ssrc;
        rtcp::write_receiver_report(&mut compound, 7, &[block]);
        // RFC 3550 §6.4.2: the share stands behind the SSRC of the block.
        compound[12] = fraction_lost;
        let sealed = self.listener.seal_rtcp(&compound);
        self.listener.deliver(self.now, &mut self.worker, &sealed);
    }

    fn repeating(&self) -> u64 {
        self.worker.stats().repeating_copies
    }
}

/// The sound in a packet, oldest first.
fn sounds(packet: &[u8]) -> Vec<Vec<u8>> {
    let header = Header::parse(packet).unwrap();
    let mut payload = &packet[header.len..];
    if header.payload_type == AUDIO_PT {
        return vec![payload.to_vec()];
    }
    assert_eq!(header.payload_type, RED_PT);
    let mut blocks = Vec::new();
    while payload[0] & 0x80 != 0 {
        let word = u32::from_be_bytes(payload[..4].try_into().unwrap());
        blocks.push((word >> 10 & 0x3fff, (word & 0x3ff) as usize));
        assert_eq!(payload[0], 0x80 | AUDIO_PT);
        payload = &payload[4..];
    }
    assert_eq!(payload[0], AUDIO_PT);
    payload = &payload[1..];
    let ages: Vec<u32> = blocks.iter().map(|(age, _)| *age).collect();
    let expected: Vec<u32> = (1..=ages.len() as u32).rev().map(|back| back * FRAME).collect();
    assert_eq!(ages, expected);
    let mut sounds = Vec::new();
    for (_, len) in blocks {
        sounds.push(payload[..len].to_vec());
        payload = &payload[len..];
    }
    sounds.push(payload.to_vec());
    sounds
}

fn expected(sequences: impl Iterator<Item = u16>) -> Vec<Vec<u8>> {
    sequences.map(Scene::sound_of).collect()
}

#[test]
fn who_reports_loss_gets_the_sound_of_earlier_packets_too() {
    let mut scene = Scene::new(true, false);
    (0..5).for_each(|sequence| assert_eq!(sounds(&scene.speak()), expected(sequence..=sequence)));
    scene.report(TENTH);
    assert_eq!(scene.repeating(), 1);
    (5..20).for_each(|sequence| assert_eq!(sounds(&scene.speak()), expected(sequence - 2..=sequence)));
    assert_agrees(&scene.worker);
}

#[test]
fn when_nothing_is_lost_any_more_nothing_is_repeated() {
    let mut scene = Scene::new(true, false);
    scene.report(TENTH);
    scene.speak();
    assert_eq!(sounds(&scene.speak()).len(), 2, "there is only one before it");
    (0..40).for_each(|_| scene.report(0));
    assert_eq!(sounds(&scene.speak()).len(), 1);
    assert_eq!(scene.repeating(), 0);
}

#[test]
fn who_cannot_read_it_gets_plain_sound_and_the_speaker_is_told_of_the_loss() {
    let told = |reads_red| {
        let mut scene = Scene::new(reads_red, false);
        let mut told = 0;
        for second in 0..4 {
            for _ in 0..50 {
                let got = scene.speak();
                assert!(reads_red || sounds(&got).len() == 1);
                for (to, bytes) in run_until(&mut scene.worker, scene.now) {
                    if to == scene.speaker.address
                        && let Some(compound) = scene.speaker.take(scene.now, &bytes)
                        && let Some(rtcp::Packet::ReceiverReport { blocks }) = rtcp::packets(&compound).next()
                    {
                        told = rtcp::losses(blocks).map(|(_, lost)| lost).max().unwrap_or(told);
                    }
                }
            }
            scene.report(if second < 3 { 2 * TENTH } else { 0 });
        }
        told
    };
    assert!(told(false) >= TENTH);
    assert_eq!(told(true), 0, "RED is enough");
}

#[test]
fn a_speakers_own_red_is_passed_on_and_made_longer_where_more_is_lost() {
    let mut scene = Scene::new(true, false);
    let red = |sequence: u16| {
        let (before, now) = (Scene::sound_of(sequence.wrapping_sub(1)), Scene::sound_of(sequence));
        let earlier = [red::Earlier {
            age: FRAME,
            audio: &before,
        }];
        let mut payload = vec![0; red::len(&earlier, &now)];
        red::write(&mut payload, AUDIO_PT, &earlier, &now).unwrap();
        payload
    };
    (0..4).for_each(|_| {
        scene.speak();
    });
    let got = scene.speak_payload(RED_PT, &red(4));
    assert_eq!(sounds(&got), expected(3..=4));
    scene.report(TENTH);
    let got = scene.speak_payload(RED_PT, &red(5));
    assert_eq!(sounds(&got), expected(3..=5));
}

#[test]
fn a_pause_too_long_to_be_told_is_not_repeated_over() {
    let mut scene = Scene::new(true, false);
    scene.report(TENTH);
    (0..4).for_each(|_| {
        scene.speak();
    });
    // 16 packets are left out: the one before is 17 frames old.
    scene.sequence += 17;
    let sequence = scene.sequence;
    let got = sounds(&scene.speak());
    assert_eq!(got, expected(sequence..=sequence));
}

#[test]
fn a_packet_with_earlier_sound_is_never_sent_again_under_its_number() {
    let nack = |scene: &mut Scene, got: &[u8]| {
        let ssrc = scene.listener.spec.sections[0].local_ssrc;
        let mut compound = Vec::new();
        rtcp::write_receiver_report(&mut compound, 7, &[]);
        rtcp::write_nack(&mut compound, 7, ssrc, &[Header::parse(got).unwrap().sequence]);
        let sealed = scene.listener.seal_rtcp(&compound);
        let before = scene.worker.stats().resent_packets;
        scene.listener.deliver(scene.now, &mut scene.worker, &sealed);
        scene.worker.stats().resent_packets - before
    };
    let mut scene = Scene::new(true, true);
    let plain = scene.speak();
    assert_eq!(nack(&mut scene, &plain), 1);
    scene.report(TENTH);
    let red = scene.speak();
    assert_eq!(sounds(&red).len(), 2);
    assert_eq!((nack(&mut scene, &red), nack(&mut scene, &plain)), (0, 0));
    (0..40).for_each(|_| scene.report(0));
    let plain = scene.speak();
    assert_eq!((nack(&mut scene, &red), nack(&mut scene, &plain)), (0, 1));
}

#[test]
#[cfg(debug_assertions)]
fn on_a_path_that_carries_hardly_the_sound_nothing_is_repeated() {
    let mut scene = Scene::new(true, false);
    (0..100).for_each(|_| {
        scene.speak();
    });
    for (target, blocks) in [(1_000, 1), (1_000_000, 3)] {
        scene
            .worker
            .suppose_path(scene.now, scene.listener.spec.peer, target, target);
        scene.report(TENTH);
        assert_eq!(sounds(&scene.speak()).len(), blocks, "{target}");
    }
}
