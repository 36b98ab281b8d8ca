//! Scenarios in virtual time: a certificate is renewed, attempts fail, an authority suggests a time.

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

/// A server whose date and clock go on together, unless somebody corrects the date.
struct Scene {
    schedule: Schedule,
    start: Now,
    now: Now,
}

impl Scene {
    fn new(validity: impl FnOnce(SystemTime) -> Option<Validity>, has_http: bool) -> Scene {
        let date = SystemTime::UNIX_EPOCH + 20_000 * DAY;
        let passed = anchor();
        let start = Now { date, passed };
        Scene {
            schedule: Schedule::new(validity(date), &[], has_http, 0.0),
            start,
            now: start,
        }
    }

    fn without_certificate() -> Scene {
        Scene::new(|_| None, true)
    }

    /// With one of 90 days that came now.
    fn with_certificate() -> Scene {
        let mut scene = Scene::without_certificate();
        scene.renewed();
        scene
    }

    fn renewed(&mut self) {
        let validity = lasting(self.now.date, 90 * DAY);
        self.schedule.renewed(validity, self.now, 0.0);
        self.schedule.looked(None, DAY, self.now, 0.0);
    }

    fn pass(&mut self, time: Duration) {
        self.now.date += time;
        self.now.passed += time;
    }

    /// Waits as long as it is told to, and looks when it is told to. Returns the time until something is to be asked.
    fn until_ask(&mut self) -> Duration {
        let since = self.now.passed;
        for _ in 0..100_000 {
            match self.schedule.next(self.now) {
                Step::Ask => return self.now.passed - since,
                Step::Look => self.schedule.looked(None, DAY, self.now, 0.0),
                Step::Wait(wait) => {
                    assert!(!wait.is_zero() && wait <= LOOK_AGAIN, "{wait:?}");
                    self.pass(wait);
                }
            }
        }
        panic!("it never asks");
    }

    /// The pauses after attempts that all fail in this way.
    fn pauses(&mut self, kind: Kind, times: usize) -> Vec<Duration> {
        let pause = |_| {
            self.schedule.failed(kind, self.now, 0.0);
            self.until_ask()
        };
        (0..times).map(pause).collect()
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "the start of virtual time, from which all else is counted"
)]
fn anchor() -> Instant {
    Instant::now()
}

fn lasting(from: SystemTime, lifetime: Duration) -> Validity {
    Validity {
        from,
        until: from + lifetime,
    }
}

#[test]
fn without_a_certificate_one_is_asked_for_at_once() {
    assert_eq!(Scene::without_certificate().until_ask(), Duration::ZERO);
}

#[test]
fn a_certificate_is_renewed_when_a_third_of_its_time_is_left_and_a_little_earlier_by_lot() {
    let mut scene = Scene::with_certificate();
    assert_eq!(scene.until_ask(), 60 * DAY);
    let mut scene = Scene::with_certificate();
    scene.schedule.lot = 1.0;
    assert_eq!(scene.until_ask(), 57 * DAY);
    let mut expired = Scene::new(|now| Some(lasting(now - 91 * DAY, 90 * DAY)), false);
    assert_eq!(expired.until_ask(), Duration::ZERO);
}

#[test]
fn a_certificate_of_some_days_is_renewed_in_time_too() {
    let mut scene = Scene::without_certificate();
    scene.schedule.renewed(lasting(scene.now.date, 6 * DAY), scene.now, 0.0);
    assert_eq!(scene.until_ask(), 4 * DAY);
}

#[test]
fn pauses_grow_from_their_first_length_to_a_day() {
    let minutes = |pauses: Vec<Duration>| -> Vec<u64> { pauses.iter().map(|pause| pause.as_secs() / 60).collect() };
    let of = |kind: Kind, times: usize| minutes(Scene::without_certificate().pauses(kind, times));
    assert_eq!(of(Kind::Unreachable, 5), [1, 2, 4, 8, 16]);
    assert_eq!(of(Kind::Unreachable, 40)[11..], [1_440; 29]);
    assert_eq!(of(Kind::RateLimited, 6), [60, 120, 240, 480, 960, 1_440]);
}

#[test]
fn the_lot_makes_a_pause_a_tenth_shorter_at_most() {
    let mut scene = Scene::without_certificate();
    scene.schedule.failed(Kind::RateLimited, scene.now, 1.0);
    assert_eq!(scene.until_ask(), 54 * MINUTE);
}

#[test]
fn no_hour_has_five_failed_validations_whatever_somebody_asks_and_however_often_it_restarts() {
    let mut scene = Scene::without_certificate();
    let mut failed: Vec<Duration> = Vec::new();
    for attempt in 0..60 {
        scene.schedule.at_once();
        scene.until_ask();
        failed.push(scene.now.passed - scene.start.passed);
        scene.schedule.failed(Kind::Validation, scene.now, 0.9);
        if attempt % 3 == 0 {
            let kept: Vec<SystemTime> = scene.schedule.failed_validations().collect();
            scene.schedule = Schedule::new(None, &kept, true, 0.0);
        }
    }
    for five in failed.windows(5) {
        assert!(five[4] - five[0] >= HOUR, "{five:?}");
    }
    assert!(failed[59] <= 15 * HOUR, "{:?}: four an hour are tried", failed[59]);
}

#[test]
fn the_last_days_of_a_certificate_have_more_attempts() {
    let mut scene = Scene::with_certificate();
    scene.until_ask();
    scene.pass(29 * DAY);
    let pauses = scene.pauses(Kind::Unreachable, 40);
    let total: Duration = pauses.iter().take(20).sum();
    assert!(total < DAY, "twenty within the last day: {pauses:?}");
}

#[test]
fn a_challenge_that_fails_gives_way_to_the_other_if_there_is_one() {
    let mut scene = Scene::without_certificate();
    assert_eq!(scene.schedule.method(), Method::Tls);
    scene.schedule.failed(Kind::Unreachable, scene.now, 0.0);
    assert_eq!(scene.schedule.method(), Method::Tls, "it was not tried");
    scene.schedule.failed(Kind::Validation, scene.now, 0.0);
    assert_eq!(scene.schedule.method(), Method::Http);
    scene.renewed();
    assert_eq!(scene.schedule.method(), Method::Http, "it works here");
    scene.schedule.failed(Kind::Validation, scene.now, 0.0);
    assert_eq!(scene.schedule.method(), Method::Tls);

    let mut alone = Scene::new(|_| None, false);
    alone.schedule.failed(Kind::Validation, alone.now, 0.0);
    assert_eq!(alone.schedule.method(), Method::Tls);
}

#[test]
fn an_authority_can_make_it_earlier_and_not_later() {
    let mut scene = Scene::with_certificate();
    let date = scene.now.date;
    scene
        .schedule
        .looked(Some((date + 10 * DAY, date + 12 * DAY)), DAY, scene.now, 0.5);
    assert!(scene.schedule.may_replace());
    scene.pass(2 * DAY);
    let Step::Look = scene.schedule.next(scene.now) else {
        panic!("a day has passed");
    };
    scene
        .schedule
        .looked(Some((date + 10 * DAY, date + 12 * DAY)), DAY, scene.now, 0.5);
    scene.pass(9 * DAY - MINUTE);
    scene
        .schedule
        .looked(Some((date + 10 * DAY, date + 12 * DAY)), DAY, scene.now, 0.5);
    assert_eq!(scene.schedule.next(scene.now), Step::Wait(MINUTE));
    scene.pass(MINUTE);
    assert_eq!(scene.schedule.next(scene.now), Step::Ask);

    let mut scene = Scene::with_certificate();
    let date = scene.now.date;
    scene
        .schedule
        .looked(Some((date + 80 * DAY, date + 85 * DAY)), DAY, scene.now, 0.0);
    scene.pass(60 * DAY);
    assert_eq!(scene.schedule.next(scene.now), Step::Ask, "not later");
    // A window that ends before it begins, and one that is over.
    let mut scene = Scene::with_certificate();
    let date = scene.now.date;
    scene.pass(2 * DAY);
    scene
        .schedule
        .looked(Some((date - DAY, date - 2 * DAY)), DAY, scene.now, 0.0);
    assert_eq!(scene.schedule.next(scene.now), Step::Ask);
}

#[test]
fn the_authority_is_asked_again_when_it_says_within_bounds() {
    for (said, bounded) in [(Duration::ZERO, HOUR), (6 * HOUR, 6 * HOUR), (900 * DAY, DAY)] {
        let mut scene = Scene::with_certificate();
        scene.schedule.looked(None, said, scene.now, 0.0);
        scene.pass(bounded - MINUTE);
        assert_eq!(scene.schedule.next(scene.now), Step::Wait(MINUTE));
        scene.pass(MINUTE);
        assert_eq!(scene.schedule.next(scene.now), Step::Look);
    }
}

#[test]
fn a_clock_that_is_far_ahead_gets_one_certificate_a_day() {
    let mut scene = Scene::without_certificate();
    scene.now.date += 80 * DAY;
    let behind = scene.start.date;
    for _ in 0..5 {
        let validity = lasting(behind, 90 * DAY);
        scene.schedule.renewed(validity, scene.now, 0.0);
        let pause = scene.until_ask();
        assert!(pause >= DAY, "{pause:?}");
    }
}

#[test]
fn a_corrected_clock_is_seen_within_an_hour() {
    let mut scene = Scene::with_certificate();
    let Step::Wait(wait) = scene.schedule.next(scene.now) else {
        panic!("it was renewed just now");
    };
    scene.pass(wait);
    scene.now.date += 60 * DAY;
    scene.pass(DAY);
    assert_eq!(scene.schedule.next(scene.now), Step::Ask);
}

#[test]
fn asking_for_it_ends_a_pause_and_renews_nothing_that_is_not_due() {
    let mut scene = Scene::without_certificate();
    scene.schedule.failed(Kind::RateLimited, scene.now, 0.0);
    scene.schedule.at_once();
    assert_eq!(scene.schedule.next(scene.now), Step::Ask);
    let mut scene = Scene::with_certificate();
    scene.schedule.at_once();
    assert_eq!(scene.until_ask(), 60 * DAY);
}

#[test]
fn little_time_left_is_urgent() {
    let from = SystemTime::UNIX_EPOCH + 20_000 * DAY;
    let validity = lasting(from, 90 * DAY);
    assert!(!validity.is_urgent(from + 67 * DAY));
    assert!(validity.is_urgent(from + 68 * DAY));
    assert!(validity.is_urgent(from + 100 * DAY));
    assert_eq!(validity.left(from + 100 * DAY), Duration::ZERO);
}
