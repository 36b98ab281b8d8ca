//! What waits, and for how long, on paths of several kinds.

use super::*;
use crate::media::bandwidth::outgoing::State;

fn outcome(target: u64, queue_delay: Micros, burst: Micros) -> Outcome {
    Outcome {
        target,
        smooth: target,
        proven: target,
        queue_delay,
        loss_256: 0,
        state: State::Growing,
        burst,
        narrow: None,
        probes_won: 0,
        probes_lost: 0,
    }
}

const BEGIN: Micros = 60_000_000;
const PACKET: usize = 1_200;

/// Sends so many packets that may wait, in slices. Returns the time of each slice, in milliseconds, and its packets.
fn slices(pacer: &mut Pacer, packets: usize, grain: Micros) -> Vec<(u64, usize)> {
    let (mut now, mut left, mut sent) = (BEGIN, packets, Vec::new());
    let mut slice = 0;
    while left > 0 && !pacer.is_spent(now) {
        pacer.sent(now, PACKET);
        (left, slice) = (left - 1, slice + 1);
    }
    sent.push((0, slice));
    (0..left).for_each(|_| pacer.put_off(now, PACKET));
    let mut due = pacer.plan(now);
    while let Some(at) = due {
        now = (at / grain + 1) * grain;
        let mut slice = 0;
        pacer.begin_slice(now);
        while left > 0 && !pacer.is_spent(now) {
            pacer.sent(now, PACKET);
            pacer.left(PACKET);
            (left, slice) = (left - 1, slice + 1);
        }
        sent.push(((now - BEGIN) / 1_000, slice));
        due = pacer.end_slice(now, left > 0);
    }
    sent
}

fn pacer(target: u64, queue_delay: Micros, burst: Micros) -> Pacer {
    let mut pacer = Pacer::new();
    pacer.follow(Some(&outcome(target, queue_delay, burst)));
    pacer
}

#[test]
fn a_key_frame_leaves_in_slices_of_forty_milliseconds_at_two_and_a_half_times_the_target() {
    let sent = slices(&mut pacer(2_500_000, 0, 40_000), 84, 5_000);
    assert!(sent.iter().all(|(_, packets)| (1..=12).contains(packets)), "{sent:?}");
    assert_eq!(sent.iter().map(|(_, packets)| packets).sum::<usize>(), 84);
    let (last, _) = sent[sent.len() - 1];
    assert!((110..=180).contains(&last), "{sent:?}");
}

#[test]
fn where_packets_wait_in_queues_it_is_sent_hardly_above_the_target() {
    let sent = slices(&mut pacer(2_500_000, 20_000, 40_000), 84, 5_000);
    let (last, _) = sent[sent.len() - 1];
    assert!((260..=330).contains(&last), "{sent:?}");
}

#[test]
fn while_the_queue_of_a_narrow_path_is_long_the_smallest_frame_waits_and_is_looked_at_soon() {
    let narrow = |since, queued| Outcome {
        narrow: Some(Narrow {
            since,
            bits_per_second: 320_000,
            queued,
        }),
        ..outcome(200_000, 0, 40_000)
    };
    let mut pacer = pacer(1_000_000, 0, 40_000);
    pacer.follow(Some(&narrow(BEGIN, 12_800)));
    assert!(!pacer.is_ordinary(100) && pacer.is_spent(BEGIN));
    pacer.put_off(BEGIN, PACKET);
    let (mut now, mut visits) = (BEGIN, 0);
    let mut due = pacer.plan(BEGIN);
    while pacer.is_spent(now) {
        let at = due.unwrap();
        assert!(at <= now + BETWEEN_SLICES_MAX, "what waits is not forgotten");
        (now, visits) = (at.max(now + 1_000), visits + 1);
        pacer.follow(Some(&narrow(BEGIN, 12_800)));
        pacer.begin_slice(now);
        due = pacer.end_slice(now, true);
    }
    // 12,800 bytes are 320 ms, of which 220 ms may stay.
    assert!(
        (100_000..=110_000).contains(&(now - BEGIN)) && visits >= 2,
        "{}",
        now - BEGIN
    );
    pacer.follow(Some(&outcome(200_000, 0, 40_000)));
    assert!(pacer.is_ordinary(100));
}

#[test]
fn on_a_slow_path_a_slice_has_three_packets_at_most() {
    for target in [50_000, 100_000, 200_000, 300_000] {
        let sent = slices(&mut pacer(target, 0, 40_000), 12, 5_000);
        assert!(sent.iter().all(|(_, packets)| *packets <= 3), "{target}: {sent:?}");
    }
}

#[test]
fn nothing_waits_for_much_longer_than_half_a_second() {
    for target in [10_000, 300_000, 1_000_000] {
        let sent = slices(&mut pacer(target, 50_000, 40_000), 60, 5_000);
        let (last, _) = sent[sent.len() - 1];
        assert!(last <= 700, "{target}: {sent:?}");
    }
}

#[test]
fn behind_a_long_queue_nothing_hurries_for_two_seconds() {
    // Without hurry, three packets leave each 65 ms.
    for (packets, least, most) in [(60, 1_200, 1_300), (120, 1_800, 2_200)] {
        let sent = slices(&mut pacer(100_000, 100_000, 40_000), packets, 5_000);
        let (last, _) = sent[sent.len() - 1];
        assert!((least..=most).contains(&last), "{sent:?}");
    }
}

#[test]
fn what_would_wait_for_more_than_half_a_second_behind_a_long_queue_is_hopeless() {
    let is_hopeless = |queue_delay, packets, waited| {
        let mut pacer = pacer(300_000, queue_delay, 40_000);
        (0..packets).for_each(|_| pacer.put_off(BEGIN, PACKET));
        pacer.is_hopeless(BEGIN + waited)
    };
    // 20,625 bytes leave in half a second.
    assert!(is_hopeless(100_000, 18, GIVEN_UP_AFTER));
    assert!(!is_hopeless(100_000, 17, GIVEN_UP_AFTER));
    assert!(!is_hopeless(100_000, 18, GIVEN_UP_AFTER - 1));
    assert!(!is_hopeless(20_000, 18, GIVEN_UP_AFTER), "there is room to hurry");
}

#[test]
fn what_waits_is_given_up_each_three_seconds_at_most() {
    let mut pacer = pacer(300_000, 100_000, 40_000);
    let mut waits = |now| {
        (0..18).for_each(|_| pacer.put_off(now, PACKET));
        let is_hopeless = pacer.is_hopeless(now + GIVEN_UP_AFTER);
        if is_hopeless {
            pacer.give_up(now + GIVEN_UP_AFTER);
            assert_eq!((pacer.waiting, pacer.until), (0, None));
        }
        is_hopeless
    };
    assert!(waits(BEGIN));
    assert!(!waits(BEGIN + 2_900_000));
    assert!(waits(BEGIN + 3_000_000));
}

#[test]
fn sound_that_fills_what_a_narrow_path_is_supposed_to_carry_does_not_stop_pictures() {
    let mut pacer = pacer(1_000_000, 0, 40_000);
    pacer.follow(Some(&Outcome {
        narrow: Some(Narrow {
            since: BEGIN,
            bits_per_second: 100_000,
            queued: 3_750,
        }),
        ..outcome(100_000, 100_000, 40_000)
    }));
    (0..3).for_each(|_| pacer.put_off(BEGIN, 1_000));
    let (mut due, mut sent) = (pacer.plan(BEGIN), Vec::new());
    for now in (BEGIN..BEGIN + 1_000_000).step_by(10_000) {
        // 160 kb/s.
        pacer.sent(now, 200);
        if due.is_some_and(|due| due <= now) {
            pacer.begin_slice(now);
            while sent.len() < 3 && !pacer.is_spent(now) {
                pacer.sent(now, 1_000);
                pacer.left(1_000);
                sent.push((now - BEGIN) / 1_000);
            }
            due = pacer.end_slice(now, sent.len() < 3);
        }
    }
    assert!(
        sent.len() == 3 && sent.windows(2).all(|pair| pair[1] - pair[0] >= 220),
        "{sent:?}"
    );
}

#[test]
fn an_ordinary_frame_is_what_the_path_carries_in_the_burst_time() {
    let known = pacer(2_500_000, 0, 40_000);
    assert!(known.is_ordinary(10_400) && known.is_ordinary(13_700));
    assert!(!known.is_ordinary(13_800));
    assert!(pacer(2_500_000, 0, 5_000).is_ordinary(2_400));
    assert!(!pacer(2_500_000, 0, 5_000).is_ordinary(2_401));
    assert!(Pacer::new().is_ordinary(u32::MAX));
}

#[test]
fn while_nothing_is_known_of_the_path_nothing_waits() {
    let mut pacer = Pacer::new();
    assert_eq!(slices(&mut pacer, 1_000, 5_000), [(0, 1_000)]);
    pacer.follow(Some(&outcome(1_000_000, 0, 40_000)));
    pacer.sent(BEGIN, 1_000_000);
    assert!(pacer.is_spent(BEGIN));
    pacer.follow(None);
    assert!(!pacer.is_spent(BEGIN));
}

#[test]
fn others_that_fill_the_path_do_not_hold_up_a_slice_for_long() {
    let mut pacer = pacer(1_000_000, 50_000, 40_000);
    let key = SubscriptionKey::default();
    pacer.sent(BEGIN, 100_000);
    assert!(pacer.put_off_again(BEGIN, key, 7));
    let mut due = pacer.plan(BEGIN);
    let (mut now, mut sent) = (BEGIN, None);
    while sent.is_none() {
        now += 1_000;
        pacer.sent(now, 1_000);
        if due.is_some_and(|due| due <= now) {
            pacer.begin_slice(now);
            sent = pacer.next_again(now);
            due = pacer.end_slice(now, false);
        }
    }
    assert_eq!(now - BEGIN, BETWEEN_SLICES_MAX);
}

#[test]
fn what_is_asked_for_twice_while_it_waits_is_sent_once_and_too_much_is_sent_at_once() {
    let mut pacer = pacer(1_000_000, 0, 40_000);
    let key = SubscriptionKey::default();
    assert!(!pacer.put_off_again(BEGIN, key, 1), "nothing was sent yet");
    pacer.sent(BEGIN, 100_000);
    let room = pacer.again.capacity();
    assert!((0..2).all(|_| (0..AGAIN_MAX as u16).all(|at| pacer.put_off_again(BEGIN, key, at))));
    assert!(!pacer.put_off_again(BEGIN, key, AGAIN_MAX as u16));
    assert_eq!((pacer.again.len(), pacer.again.capacity()), (AGAIN_MAX, room));
    let later = BEGIN + 1_000_000;
    pacer.begin_slice(later);
    assert_eq!(pacer.next_again(later), Some((key, 0)), "in order");
}

#[test]
fn a_packet_that_may_still_be_in_a_queue_is_not_sent_once_more() {
    let (mut pacer, key) = (Pacer::new(), SubscriptionKey::default());
    let mut is_on_its_way =
        |at: Micros, sequence, round_trip| pacer.is_on_its_way(BEGIN + at, key, sequence, round_trip);
    assert!(!is_on_its_way(0, 7, Some(300_000)), "it was not sent again yet");
    assert!(is_on_its_way(299_000, 7, Some(300_000)));
    assert!(!is_on_its_way(299_000, 8, Some(300_000)), "another one");
    assert!(!is_on_its_way(299_500, 7, None), "there is no queue");
    assert!(!is_on_its_way(700_000, 7, Some(300_000)), "that one was lost, too");
    (0..1_000).for_each(|sequence| _ = is_on_its_way(700_000, sequence, None));
    assert!(pacer.resent.len() <= RESENT_KEPT);
}
