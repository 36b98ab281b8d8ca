//! What viewers on another worker want reaches the publisher.

use super::*;

/// The most that a publisher may send to the worker of these tests, in kb/s.
const MOST: u64 = 4_000;

/// A publisher that reads estimates; on the mirror somebody who watches nobody, so that the room stays there.
fn spread() -> Spread {
    let now = start();
    let identity = DtlsIdentity::generate().unwrap();
    let (home, mirror) = linked_workers(now, &identity);
    let mut section = video(true, 0x9000);
    section.codecs[0].feedback.remb = true;
    let mut spread = Spread::of(now, identity, home, mirror, section, 0);
    let own = DtlsIdentity::generate().unwrap();
    let section = video(false, 0x3_0000);
    let mut idle = Client::new(99, Some(98), vec![section], &spread.identity, &own);
    idle.connect(spread.now, &mut spread.mirror);
    spread.settle();
    spread
}

/// Lets time pass while the publisher sends. Returns what it was told to keep to at last, in kb/s.
fn told_after(spread: &mut Spread, millis: u64) -> Option<u64> {
    let mut told = None;
    for _ in 0..millis / 50 {
        let packet = spread.next_packet(spread.sequence == 0, 200);
        let mut sent = spread.publish_at_home(&packet);
        sent.extend(spread.settle());
        sent.extend(spread.pass(Duration::from_millis(50)));
        for (to, bytes) in sent {
            if to == spread.publisher.address {
                let compound = spread.publisher.take(spread.now, &bytes).unwrap_or_default();
                for packet in rtcp::packets(&compound) {
                    if let rtcp::Packet::ReceiverEstimate { bits_per_second } = packet {
                        told = Some(bits_per_second / 1_000);
                    }
                }
            }
        }
    }
    told
}

#[test]
fn viewers_on_another_worker_count_from_their_coming_to_their_going() {
    let mut spread = spread();
    assert_eq!(
        told_after(&mut spread, 7_000),
        Some(50),
        "nobody watches on either worker"
    );
    spread.join(2);
    assert_eq!(told_after(&mut spread, 200), Some(MOST), "at once");
    assert_eq!(told_after(&mut spread, 7_000), Some(MOST));
    spread.leave(0);
    assert_eq!(told_after(&mut spread, 4_500), Some(MOST));
    assert_eq!(told_after(&mut spread, 2_000), Some(50));
    assert_agrees(&spread.home);
    assert_agrees(&spread.mirror);
}

#[cfg(debug_assertions)]
#[test]
fn the_paths_of_viewers_on_another_worker_count_too() {
    let mut spread = spread();
    for number in 2..6 {
        spread.join(number);
    }
    for (number, kbps) in (2..6).zip([300, 800, 900, 3_000]) {
        let peer = patchbay::ids::PeerId(number);
        // It is filled: it has carried more before.
        for bps in [kbps * 2_000, kbps * 1_000] {
            spread.mirror.suppose_path(spread.now, peer, bps, bps);
        }
    }
    assert_eq!(told_after(&mut spread, 2_500), Some(300));
    // A fifth, of whose path nothing is known: now one of them is the slowest quarter.
    spread.join(6);
    assert_eq!(told_after(&mut spread, 2_500), Some(800));
    spread
        .mirror
        .suppose_path(spread.now, patchbay::ids::PeerId(3), 400_000, 400_000);
    assert_eq!(told_after(&mut spread, 300), Some(400), "a fall counts at once");
}

#[test]
fn a_wish_that_finds_no_room_in_a_full_link_is_sent_later() {
    let mut spread = spread();
    spread.join(2);
    assert_eq!(told_after(&mut spread, 7_000), Some(MOST));
    // Somebody publishes on the mirror and reports its clock again and again, while the home takes nothing.
    let own = DtlsIdentity::generate().unwrap();
    let mut other = Client::new(50, None, vec![video(true, 0x7000)], &spread.identity, &own);
    other.connect(spread.now, &mut spread.mirror);
    let packet = other.seal(&rtp(VIDEO_PT, true, 0, 0, VIDEO_SSRC, &vp8(true, 0, 100)), 0);
    exchange(spread.now, &mut spread.mirror, other.address, &packet);
    spread.settle();
    let report = sender_report(VIDEO_SSRC, 1_000 << 32, 9_000);
    for _ in 0..5_000 {
        let sealed = other.seal_rtcp(&report);
        exchange(spread.now, &mut spread.mirror, other.address, &sealed);
    }
    let peer = spread.far[0].spec.peer;
    spread.mirror.handle_command(spread.now, MediaCommand::Close(peer));
    run_until(&mut spread.mirror, spread.now + Duration::from_millis(500));
    assert_agrees(&spread.mirror);
    spread.now += Duration::from_millis(500);
    spread.settle();
    assert_eq!(told_after(&mut spread, 7_000), Some(50));
    assert_agrees(&spread.mirror);
}
