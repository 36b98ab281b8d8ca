//! Work that the clock causes in a worker: nothing is done for connections for which nothing is due.

use super::*;

fn visits(stage: &Stage) -> u64 {
    stage.worker.stats().visits
}

/// The number of visits within so many seconds in which nothing arrives.
fn visits_in(stage: &mut Stage, seconds: u64) -> u64 {
    let before = visits(stage);
    stage.pass(Duration::from_secs(seconds));
    visits(stage) - before
}

/// Opens connections whose clients have not been heard yet.
fn offer(stage: &mut Stage, numbers: std::ops::Range<u64>) {
    let own = DtlsIdentity::generate().unwrap();
    for number in numbers {
        let section = video(false, 0x100_0000 + 16 * number as u32);
        let client = Client::new(number, Some(1), vec![section], &stage.identity, &own);
        client.open(stage.now, &mut stage.worker);
    }
}

#[test]
fn of_thousands_of_connections_those_are_visited_for_which_something_is_due() {
    let mut stage = Stage::new(8);
    stage.pass(Duration::from_secs(2));
    let without = visits_in(&mut stage, 5);
    assert!(
        (5..=10).contains(&without),
        "{without}: a report to the publisher each second"
    );
    offer(&mut stage, 1_000..6_000);
    // They are not visited before their time to connect is over.
    let with = visits_in(&mut stage, 5);
    assert!(with.abs_diff(without) <= 1, "{with} with 5,000 more, {without} without");
    let sends = |stage: &mut Stage| {
        let before = visits(stage);
        for number in 0..250 {
            stage.publish(number == 0, 100);
            stage.pass(Duration::from_millis(4));
        }
        visits(stage) - before
    };
    // The publisher is visited for its feedback, the track for its layers, and its subscribers when the
    // picture begins.
    let active = sends(&mut stage);
    assert!((20..=60).contains(&active), "{active} in a second of pictures");
    let connected = stage.worker.stats().peers;
    let failed = stage.worker.stats().failed;
    stage.pass(Duration::from_secs(30));
    assert_eq!(stage.worker.stats().failed - failed, 5_000);
    assert!(connected - stage.worker.stats().peers >= 5_000);
}

#[test]
fn a_connection_that_is_merely_alive_is_visited_when_its_consent_might_have_ended() {
    let mut stage = Stage::new(20);
    stage.pass(Duration::from_secs(1));
    let before = visits(&stage);
    for _ in 0..100 {
        stage.pass_second();
        for client in &mut stage.subscribers {
            let check = client.check();
            client.deliver(stage.now, &mut stage.worker, &check);
        }
        let check = stage.publisher.check();
        stage.publisher.deliver(stage.now, &mut stage.worker, &check);
    }
    let made = visits(&stage) - before;
    // Twenty connections, five times; and a report a second to the publisher.
    assert!((180..=260).contains(&made), "{made} visits in 100 seconds");
    assert_eq!(stage.worker.stats().suspended, 0);
}

#[test]
fn a_publisher_that_sends_is_visited_as_often_as_it_is_sent_what_came_and_one_that_has_stopped_is_not() {
    let mut stage = Stage::new(0);
    stage.publish(true, 100);
    let before = visits(&stage);
    for _ in 0..40 {
        stage.publish(false, 100);
        stage.pass(Duration::from_millis(25));
    }
    let sending = visits(&stage) - before;
    assert!((10..=20).contains(&sending), "{sending} visits in a second");
    stage.pass(Duration::from_secs(2));
    let silent = visits_in(&mut stage, 5);
    assert!(
        (4..=6).contains(&silent),
        "{silent} visits in five seconds without a packet"
    );
}

#[test]
fn what_is_missing_is_asked_for_within_ten_milliseconds_and_again_when_it_is_due() {
    let mut stage = Stage::new(0);
    stage.publisher.spec.sections[0].codecs[0].feedback.nack = true;
    stage.publisher.open(stage.now, &mut stage.worker);
    stage.publish(true, 100);
    stage.pass(Duration::from_millis(500));
    stage.sequence += 1;
    stage.publish(false, 100);
    let before = (visits(&stage), stage.worker.stats().nacks_sent);
    stage.pass(Duration::from_millis(10));
    assert_eq!(stage.worker.stats().nacks_sent - before.1, 1);
    stage.pass(Duration::from_millis(490));
    // One each 60 ms or a little later, with no visit in between.
    let requested = stage.worker.stats().nacks_sent - before.1;
    assert!((6..=8).contains(&requested), "{requested} times");
    let made = visits(&stage) - before.0;
    assert!(made <= requested + 5, "{made} visits to ask {requested} times");
}
