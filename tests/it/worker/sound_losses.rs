//! Sound on paths that lose packets: whoever reports loss gets earlier sound beside the newest.

use patchbay::media::codec::red;

use super::estimates::{feedback, number, numbered};
use super::*;

const RED_PT: u8 = 63;
pub(super) const SOUND_SSRC: u32 = 0x3000;
/// The share of packets that a client reports lost, in 1/256: a tenth.
pub(super) const TENTH: u8 = 26;
/// RTP time of a packet of sound.
const FRAME: u32 = 960;

pub(super) fn sound(receive: bool, local_ssrc: u32, reads_red: bool, nack: bool) -> MediaSection {
    let mut opus = codec(AUDIO_PT, None, Codec::Opus);
    opus.feedback.nack = nack;
    let mut section = section("0", opus, receive, SOUND_SSRC, local_ssrc);
    if reads_red {
        let mut red = codec(RED_PT, None, Codec::Red);
        red.feedback.nack = nack;
        section.codecs.push(red);
    }
    section
}

/// Lost packets of sound for which the room of one packet is enough, with the longest tag of SRTP.
const ROOM_FOR: u16 = 2;

/// Somebody who speaks, and one who listens.
struct Scene {
    now: Instant,
    worker: Worker,
    speaker: Client,
    listener: Client,
    sequence: u16,
    /// RTP time in which nothing was sent.
    paused: u32,
}

impl Scene {
    fn new(reads_red: bool, nack: bool) -> Scene {
        Scene::with(vec![sound(false, 0x2_0000, reads_red, nack)])
    }

    /// A listener who reads the numbers of packets, because there could be video.
    fn numbered(reads_red: bool) -> Scene {
        let sound = sound(false, 0x2_0000, reads_red, false);
        let mut video = video(false, 0x3_0000);
        video.mid = b"1".as_slice().into();
        Scene::with(vec![numbered(sound), numbered(video)])
    }

    fn with(heard: Vec<MediaSection>) -> Scene {
        let now = start();
        let (mut worker, identity) = worker(now);
        let own = || DtlsIdentity::generate().unwrap();
        let mut speaker = Client::new(1, None, vec![sound(true, 0x9000, true, false)], &identity, &own());
        let mut listener = Client::new(2, Some(1), heard, &identity, &own());
        speaker.connect(now, &mut worker);
        listener.connect(now, &mut worker);
        Scene {
            now,
            worker,
            speaker,
            listener,
            sequence: 0,
            paused: 0,
        }
    }

    /// The sound of a packet: each has another, and another length.
    fn sound_of(sequence: u16) -> Vec<u8> {
        vec![sequence as u8; 40 + usize::from(sequence % 7)]
    }

    /// Speaks the next packet. Returns what the listener gets, which is one packet.
    fn speak(&mut self) -> Vec<u8> {
        let sound = Scene::sound_of(self.sequence);
        self.speak_payload(AUDIO_PT, &sound)
    }

    fn speak_payload(&mut self, payload_type: u8, payload: &[u8]) -> Vec<u8> {
        let mut got = self.speak_all(payload_type, payload);
        assert_eq!(got.len(), 1);
        got.remove(0)
    }

    /// Sends a packet of the speaker. Returns all that the listener gets.
    fn speak_all(&mut self, payload_type: u8, payload: &[u8]) -> Vec<Vec<u8>> {
        let sent = self.send(payload_type, payload);
        sent.iter()
            .map(|bytes| self.listener.take(self.now, bytes).unwrap())
            .collect()
    }

    /// Speaks the next packet. Returns what is sent to the listener, protected: the packet, and earlier ones.
    fn speak_sealed(&mut self) -> Vec<Vec<u8>> {
        let sound = Scene::sound_of(self.sequence);
        self.send(AUDIO_PT, &sound)
    }

    fn send(&mut self, payload_type: u8, payload: &[u8]) -> Vec<Vec<u8>> {
        self.now += Duration::from_millis(20);
        let sequence = self.sequence;
        self.sequence += 1;
        let timestamp = self.paused + u32::from(sequence) * FRAME;
        let packet = rtp(payload_type, false, sequence, timestamp, SOUND_SSRC, payload);
        let sealed = self.speaker.seal(&packet, sequence.into());
        let sent = exchange(self.now, &mut self.worker, self.speaker.address, &sealed);
        let address = self.listener.address;
        let mine = sent.into_iter().filter(|(to, _)| *to == address);
        mine.map(|(_, bytes)| bytes).collect()
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
fn who_cannot_read_it_gets_the_earlier_packets_again_as_they_were() {
    let mut scene = Scene::new(false, false);
    let mut history: Vec<Vec<u8>> = (0..5)
        .map(|_| {
            let sent = scene.speak_sealed();
            assert_eq!(sent.len(), 1);
            sent[0].clone()
        })
        .collect();
    scene.report(TENTH);
    assert_eq!(scene.repeating(), 1);
    for at in 5..20 {
        let sent = scene.speak_sealed();
        assert_eq!(sent.len(), 3);
        assert_eq!(sent[1..], [history[at - 1].clone(), history[at - 2].clone()]);
        let got = scene.listener.take(scene.now, &sent[0]).unwrap();
        assert_eq!(sounds(&got), [Scene::sound_of(at as u16)]);
        history.push(sent[0].clone());
    }
    // One in a hundred is missed although all come three times: a fifth is lost.
    (0..20).for_each(|_| scene.report(2));
    assert_eq!(scene.speak_sealed().len(), 4);
    (0..60).for_each(|_| scene.report(0));
    assert_eq!(scene.speak_sealed().len(), 1);
    assert_agrees(&scene.worker);
}

#[test]
fn packets_that_are_sent_again_have_no_transport_wide_numbers_so_that_they_never_differ() {
    let mut scene = Scene::numbered(false);
    let mut bytes = std::collections::BTreeMap::new();
    let mut check = |scene: &mut Scene, sent: &[Vec<u8>], has_number: bool| {
        for packet in sent {
            let sequence = Header::parse(packet).unwrap().sequence;
            assert_eq!(bytes.entry(sequence).or_insert_with(|| packet.clone()), packet);
        }
        let got = scene.listener.take(scene.now, &sent[0]).unwrap();
        assert_eq!(number(&got).is_some(), has_number);
        sent.len()
    };
    for _ in 0..2 {
        for _ in 0..5 {
            let sent = scene.speak_sealed();
            assert_eq!(check(&mut scene, &sent, true), 1);
        }
        scene.report(TENTH);
        for packets in [1, 2, 3, 3, 3] {
            let sent = scene.speak_sealed();
            assert_eq!(check(&mut scene, &sent, false), packets);
        }
        (0..60).for_each(|_| scene.report(0));
    }
}

#[test]
fn what_the_path_loses_is_known_before_the_first_report_about_sound() {
    for reads_red in [true, false] {
        let mut scene = Scene::numbered(reads_red);
        let (mut repeats_from, mut lost) = (None, 0);
        for at in 0..100 {
            let sent = scene.speak_sealed();
            let got = scene.listener.take(scene.now, &sent[0]).unwrap();
            if sent.len() > 1 || sounds(&got).len() > 1 {
                repeats_from = Some(at);
                break;
            }
            let Some(number) = number(&got) else { continue };
            lost += u32::from(number % 8 == 0);
            if number % 5 == 4 {
                let came: Vec<bool> = (number - 4..=number).map(|number| number % 8 != 0).collect();
                let mut compound = Vec::new();
                rtcp::write_receiver_report(&mut compound, 7, &[]);
                compound.extend(feedback(number - 4, &came, 1_000 + 20 * u32::from(number)));
                let sealed = scene.listener.seal_rtcp(&compound);
                scene.listener.deliver(scene.now, &mut scene.worker, &sealed);
            }
        }
        assert!(
            repeats_from.is_some_and(|from| from <= 40),
            "{repeats_from:?}, {lost} lost"
        );
    }
}

#[test]
#[cfg(debug_assertions)]
fn where_nothing_can_be_repeated_the_speaker_is_told_of_the_loss() {
    let told = |reads_red, target| {
        let mut scene = Scene::new(reads_red, false);
        scene
            .worker
            .suppose_path(scene.now, scene.listener.spec.peer, target, target);
        let mut told = 0;
        for second in 0..4 {
            for _ in 0..50 {
                scene.speak_sealed();
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
    assert!(told(false, 1_000) >= TENTH && told(true, 1_000) >= TENTH);
    assert_eq!((told(false, 1_000_000), told(true, 1_000_000)), (0, 0));
}

/// A payload of RED that repeats the sound of so many packets before it.
fn red(sequence: u16, distance: u16) -> Vec<u8> {
    let before: Vec<_> = (1..=distance)
        .rev()
        .map(|back| Scene::sound_of(sequence.wrapping_sub(back)))
        .collect();
    let ages = (1..=u32::from(distance)).rev().map(|back| back * FRAME);
    let earlier: Vec<_> = ages
        .zip(&before)
        .map(|(age, audio)| red::Earlier { age, audio })
        .collect();
    let now = Scene::sound_of(sequence);
    let mut payload = vec![0; red::len(&earlier, &now)];
    red::write(&mut payload, AUDIO_PT, &earlier, &now).unwrap();
    payload
}

#[test]
fn of_a_speakers_own_red_everybody_gets_what_their_path_needs() {
    let mut scene = Scene::new(true, false);
    (0..4).for_each(|sequence| {
        assert_eq!(
            sounds(&scene.speak_payload(RED_PT, &red(sequence, 1))),
            expected(sequence..=sequence)
        )
    });
    scene.report(TENTH);
    (4..9).for_each(|sequence| {
        assert_eq!(
            sounds(&scene.speak_payload(RED_PT, &red(sequence, 1))),
            expected(sequence - 2..=sequence)
        )
    });
    assert_eq!(scene.worker.stats().recovered_packets, 0, "nothing was lost");
    assert_agrees(&scene.worker);
}

#[test]
fn what_is_lost_on_the_way_from_the_speaker_is_taken_from_the_packets_after_it() {
    for distance in 1..=3 {
        let mut scene = Scene::new(false, false);
        let first = Header::parse(&scene.speak_payload(RED_PT, &red(0, distance))).unwrap();
        scene.speak_payload(RED_PT, &red(1, distance));
        for lost in 1..=3_u16 {
            scene.sequence += lost;
            let sequence = scene.sequence;
            let mut got: Vec<_> = scene.speak_all(RED_PT, &red(sequence, distance));
            got.sort_by_key(|packet| Header::parse(packet).unwrap().sequence);
            let from = sequence - lost.min(distance).min(ROOM_FOR);
            for (number, packet) in (from..=sequence).zip(&got) {
                let header = Header::parse(packet).unwrap();
                assert_eq!(
                    sounds(packet),
                    expected(number..=number),
                    "{lost} lost, {distance} repeated"
                );
                assert_eq!(header.sequence, first.sequence.wrapping_add(number));
                assert_eq!(
                    header.timestamp,
                    first.timestamp.wrapping_add(u32::from(number) * FRAME)
                );
            }
            assert_eq!(got.len(), usize::from(sequence - from) + 1);
            scene.speak_payload(RED_PT, &red(sequence + 1, distance));
        }
        assert_agrees(&scene.worker);
    }
}

#[test]
fn sound_that_comes_late_after_it_was_recovered_is_sent_once() {
    let mut scene = Scene::new(true, false);
    scene.speak_payload(RED_PT, &red(0, 1));
    scene.sequence = 2;
    assert_eq!(scene.speak_all(RED_PT, &red(2, 1)).len(), 2);
    scene.sequence = 1;
    assert!(scene.speak_all(RED_PT, &red(1, 1)).is_empty());
    assert_eq!(scene.worker.stats().recovered_packets, 1);
}

#[test]
fn red_that_lies_about_its_blocks_harms_nobody() {
    let mut scene = Scene::new(true, false);
    scene.speak();
    let long = [&[0x80 | AUDIO_PT, 0, 3, 0xff, AUDIO_PT][..], &[7; 40]].concat();
    let other = [&[0x80 | 96, 0x3c, 0, 2, AUDIO_PT][..], &[7; 9]].concat();
    let none = [&[0x80 | AUDIO_PT, 0x0f, 0, 0, AUDIO_PT][..], &[7; 9]].concat();
    let pcmu = [&[0][..], &[7; 9]].concat();
    let endless = [0xff; 64].to_vec();
    for (payload, copies) in [
        (long, 0),
        (other, 1),
        (none, 1),
        (pcmu, 0),
        (endless, 0),
        (red(9, 1), 2),
    ] {
        scene.sequence += 3;
        let got = scene.speak_all(RED_PT, &payload);
        assert_eq!(got.len(), copies, "{payload:02x?}");
    }
    assert_agrees(&scene.worker);
}

#[test]
fn a_pause_too_long_to_be_told_is_not_repeated_over() {
    let mut scene = Scene::new(true, false);
    scene.report(TENTH);
    (0..4).for_each(|_| {
        scene.speak();
    });
    // The speaker was silent: the packet before is 18 frames old, and fourteen bits tell 17.
    scene.paused = 17 * FRAME;
    assert_eq!(sounds(&scene.speak()), expected(4..=4));
    // And now some packets are missing.
    scene.sequence += 17;
    assert_eq!(sounds(&scene.speak()), expected(22..=22));
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
