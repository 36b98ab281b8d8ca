//! Attempts: when a notice is sent again, and when no longer.

use std::time::Duration;

use patchbay::ids::PushService::ApnsVoip;
use tokio::time::sleep;

use super::House;
use super::provider::{Play, Received};

const A_MINUTE: Duration = Duration::from_secs(60);
const CANCELLED: &str = r#"{"command":"call_cancelled","aps":{}}"#;

fn pauses(received: &[Received]) -> Vec<Duration> {
    received.windows(2).map(|pair| pair[1].at - pair[0].at).collect()
}

#[tokio::test]
async fn a_service_with_a_problem_is_asked_again_after_growing_pauses_with_the_same_notice() {
    let house = House::open().await;
    house.apns.plays([
        Play::Answer(500, r#"{"reason":"InternalServerError"}"#),
        Play::Answer(503, r#"{"reason":"ServiceUnavailable"}"#),
        Play::Reset,
    ]);
    house.ring(1, ApnsVoip, A_MINUTE).await;
    let received = house.apns.received(4).await;
    let pauses = pauses(&received);
    for (pause, least_ms) in pauses.iter().zip([375, 750, 1_500]) {
        assert!(*pause >= Duration::from_millis(least_ms), "{pauses:?}");
    }
    assert!(received.iter().all(|request| request.body == received[0].body));
    let id = received[0].header("apns-id");
    assert!(received.iter().all(|request| request.header("apns-id") == id));
    assert_eq!(received[0].connection, received[2].connection);
    assert_ne!(
        received[2].connection, received[3].connection,
        "the connection was reset"
    );
    sleep(Duration::from_secs(5)).await;
    assert_eq!(house.apns.all().len(), 4, "it has been taken");
}

#[tokio::test]
async fn a_pause_that_the_service_asks_for_is_kept() {
    let house = House::open().await;
    let busy = r#"{"reason":"TooManyRequests"}"#;
    house.apns.plays([
        Play::Asks(429, busy, ("Retry-After", "2")),
        Play::Asks(503, busy, ("Retry-After", "3")),
    ]);
    house.ring(1, ApnsVoip, A_MINUTE).await;
    let pauses = pauses(&house.apns.received(3).await);
    assert!(pauses[0] >= Duration::from_secs(2), "{pauses:?}");
    assert!(pauses[1] >= Duration::from_secs(3), "{pauses:?}");
}

#[tokio::test]
async fn a_pause_that_is_longer_than_the_call_rings_ends_the_attempts() {
    for after in ["3600", "18446744073709551615"] {
        let house = House::open().await;
        house.apns.always_plays(Play::Asks(503, "", ("Retry-After", after)));
        house.ring(1, ApnsVoip, Duration::from_secs(3)).await;
        sleep(Duration::from_secs(4)).await;
        assert_eq!(house.apns.all().len(), 1, "{after}");
    }
}

#[tokio::test]
async fn attempts_end_when_the_call_does_not_ring_any_longer() {
    let house = House::open().await;
    house.apns.always_plays(Play::Answer(503, ""));
    house.ring(1, ApnsVoip, Duration::from_secs(3)).await;
    sleep(Duration::from_secs(3)).await;
    let before = house.apns.all().len();
    assert!((2..=5).contains(&before), "{before}");
    house.apns.always_plays(Play::Answer(200, ""));
    sleep(Duration::from_secs(4)).await;
    assert_eq!(house.apns.all().len(), before);
}

#[tokio::test]
async fn a_service_that_is_silent_is_asked_again_within_the_time_of_the_call() {
    let house = House::open().await;
    house.apns.plays([Play::Silence]);
    house.ring(1, ApnsVoip, A_MINUTE).await;
    let pauses = pauses(&house.apns.received(2).await);
    assert!((10..13).contains(&pauses[0].as_secs()), "{pauses:?}");
}

#[tokio::test]
async fn a_slow_answer_is_awaited() {
    let house = House::open().await;
    house.apns.plays([Play::Slow(Duration::from_secs(4))]);
    house.ring(1, ApnsVoip, A_MINUTE).await;
    sleep(Duration::from_secs(6)).await;
    assert_eq!(house.apns.all().len(), 1);
}

#[tokio::test]
async fn the_end_of_a_call_ends_the_attempts_and_is_not_said_to_who_has_heard_of_no_call() {
    let house = House::open().await;
    house.apns.always_plays(Play::Answer(503, ""));
    house.ring(1, ApnsVoip, A_MINUTE).await;
    house.apns.received(2).await;
    house.stop_ringing(1, ApnsVoip).await;
    sleep(Duration::from_millis(200)).await;
    house.apns.always_plays(Play::Answer(200, ""));
    let before = house.apns.all().len();
    sleep(Duration::from_secs(3)).await;
    assert_eq!(house.apns.all().len(), before);
    // The same where the attempts have ended by themselves.
    house.apns.plays([Play::Answer(400, r#"{"reason":"BadTopic"}"#)]);
    house.ring(2, ApnsVoip, A_MINUTE).await;
    house.apns.received(before + 1).await;
    sleep(Duration::from_millis(200)).await;
    house.stop_ringing(2, ApnsVoip).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(house.apns.all().len(), before + 1);
}

#[tokio::test]
async fn the_end_of_a_call_follows_the_notice_of_the_call_that_may_have_arrived() {
    let house = House::open().await;
    // One that is being answered, and one that never is.
    for (call, play, within) in [
        (1, Play::Slow(Duration::from_secs(1)), 1_900),
        (2, Play::Silence, 2_900),
    ] {
        let before = house.apns.all().len();
        house.apns.plays([play]);
        house.ring(call, ApnsVoip, A_MINUTE).await;
        house.apns.received(before + 1).await;
        house.stop_ringing(call, ApnsVoip).await;
        let received = house.apns.received(before + 2).await;
        assert_eq!(received[before + 1].body, CANCELLED);
        let pause = received[before + 1].at - received[before].at;
        assert!(
            pause >= Duration::from_millis(900) && pause < Duration::from_millis(within),
            "{pause:?}"
        );
    }
    sleep(Duration::from_secs(1)).await;
    assert_eq!(house.apns.all().len(), 4, "the call is not said anew");
}

#[tokio::test]
async fn a_notice_that_a_call_is_over_is_sent_again_as_well() {
    let house = House::open().await;
    house.ring(1, ApnsVoip, A_MINUTE).await;
    house.apns.received(1).await;
    house.apns.plays([Play::Answer(503, ""), Play::Answer(503, "")]);
    house.stop_ringing(1, ApnsVoip).await;
    let received = house.apns.received(4).await;
    assert!(received[1..].iter().all(|request| request.body == CANCELLED));
}
