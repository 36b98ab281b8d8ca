//! Listeners on another worker who lose packets.

use super::super::sound_losses::{SOUND_SSRC, TENTH, sound};
use super::*;

/// Somebody who speaks on the home, and listeners on the mirror.
fn spread(listeners: u32) -> Spread {
    let now = start();
    let identity = DtlsIdentity::generate().unwrap();
    let (home, mirror) = linked_workers(now, &identity);
    let speaker = sound(true, 0x9000, false, false);
    let mut spread = Spread::of(now, identity, home, mirror, speaker, 0);
    for number in 2..2 + listeners {
        let own = DtlsIdentity::generate().unwrap();
        let section = sound(false, 0x2_0000 + 16 * number, false, false);
        let mut client = Client::new(number.into(), Some(1), vec![section], &spread.identity, &own);
        client.connect(spread.now, &mut spread.mirror);
        spread.far.push(client);
        spread.settle();
    }
    spread
}

/// Lets somebody on the mirror report what they lose.
fn report(spread: &mut Spread, listener: usize, lost_256: u8) {
    let client = &mut spread.far[listener];
    let mut compound = Vec::new();
    let mut block = rtcp::Block::default();
    block.ssrc = client.spec.sections[0].local_ssrc;
    rtcp::write_receiver_report(&mut compound, 7, &[block]);
    // RFC 3550 §6.4.2: the share stands behind the SSRC of the block.
    compound[12] = lost_256;
    let sealed = client.seal_rtcp(&compound);
    exchange(spread.now, &mut spread.mirror, client.address, &sealed);
}

/// Speaks for a time. Returns what the speaker was told at last of the loss, and how many packets each listener got for each at last.
fn speak(spread: &mut Spread, packets: usize) -> (u8, Vec<usize>) {
    let (mut told, mut copies) = (0, Vec::new());
    for _ in 0..packets {
        let sequence = spread.sequence;
        spread.sequence += 1;
        let timestamp = u32::from(sequence) * 960;
        let packet = rtp(AUDIO_PT, false, sequence, timestamp, SOUND_SSRC, &[7; 60]);
        let mut sent = spread.publish_at_home(&packet);
        sent.extend(spread.settle());
        let to = |client: &Client| sent.iter().filter(|(to, _)| *to == client.address).count();
        copies = spread.far.iter().map(to).collect();
        sent.extend(spread.pass(Duration::from_millis(20)));
        for (to, bytes) in sent {
            if to == spread.publisher.address
                && let Some(compound) = spread.publisher.take(spread.now, &bytes)
            {
                for packet in rtcp::packets(&compound) {
                    if let rtcp::Packet::ReceiverReport { blocks } = packet {
                        told = rtcp::losses(blocks).map(|(_, lost)| lost).max().unwrap_or(told);
                    }
                }
            }
        }
    }
    (told, copies)
}

#[test]
fn what_they_lose_is_repeated_on_their_worker() {
    let mut spread = spread(2);
    assert_eq!(speak(&mut spread, 10), (0, vec![1, 1]));
    report(&mut spread, 0, TENTH);
    let (told, copies) = speak(&mut spread, 100);
    assert_eq!((told, copies), (0, vec![3, 1]));
    assert_agrees(&spread.home);
    assert_agrees(&spread.mirror);
}

#[cfg(debug_assertions)]
#[test]
fn where_nothing_can_be_repeated_the_speaker_is_told_until_they_have_gone() {
    let mut spread = spread(2);
    speak(&mut spread, 100);
    let peer = spread.far[0].spec.peer;
    spread.mirror.suppose_path(spread.now, peer, 1_000, 1_000);
    for lost_256 in [TENTH, 2 * TENTH] {
        report(&mut spread, 0, lost_256);
        report(&mut spread, 0, lost_256);
        let (told, copies) = speak(&mut spread, 100);
        assert!(told >= lost_256 / 2, "{told}");
        assert_eq!(copies, [1, 1]);
    }
    spread.leave(0);
    speak(&mut spread, 10);
    assert_eq!(speak(&mut spread, 100), (0, vec![1]));
    assert_agrees(&spread.home);
    assert_agrees(&spread.mirror);
}

#[cfg(debug_assertions)]
#[test]
fn a_loss_below_the_greatest_is_no_news_to_the_speakers_worker() {
    let mut spread = spread(2);
    speak(&mut spread, 100);
    for listener in 0..2 {
        let peer = spread.far[listener].spec.peer;
        spread.mirror.suppose_path(spread.now, peer, 1_000, 1_000);
    }
    for (listener, lost_256, is_news) in [(0, 2 * TENTH, true), (1, TENTH, false), (1, TENTH / 2, false)] {
        spread.settle();
        report(&mut spread, listener, lost_256);
        spread.now += Duration::from_millis(200);
        run_until(&mut spread.mirror, spread.now);
        wake_others(&mut spread.mirror);
        assert_eq!(spread.home.has_mail(), is_news, "{lost_256} of listener {listener}");
    }
}

#[cfg(debug_assertions)]
#[test]
fn a_loss_that_finds_no_room_in_a_full_link_is_told_later() {
    let mut spread = spread(1);
    speak(&mut spread, 100);
    let peer = spread.far[0].spec.peer;
    spread.mirror.suppose_path(spread.now, peer, 1_000, 1_000);
    // Somebody speaks on the mirror and reports its clock again and again, while the home takes nothing.
    let own = DtlsIdentity::generate().unwrap();
    let mut other = Client::new(
        50,
        None,
        vec![sound(true, 0x7000, false, false)],
        &spread.identity,
        &own,
    );
    other.connect(spread.now, &mut spread.mirror);
    let packet = other.seal(&rtp(AUDIO_PT, false, 0, 0, SOUND_SSRC, &[7; 60]), 0);
    exchange(spread.now, &mut spread.mirror, other.address, &packet);
    spread.settle();
    let clock = sender_report(SOUND_SSRC, 1_000 << 32, 9_000);
    for _ in 0..5_000 {
        let sealed = other.seal_rtcp(&clock);
        exchange(spread.now, &mut spread.mirror, other.address, &sealed);
    }
    report(&mut spread, 0, 2 * TENTH);
    run_until(&mut spread.mirror, spread.now + Duration::from_millis(200));
    assert_agrees(&spread.mirror);
    spread.now += Duration::from_millis(200);
    spread.settle();
    let (told, _) = speak(&mut spread, 100);
    assert!(told >= TENTH, "{told}");
}
