//! Scheduled calls: each is made once, and tried again where it could not be made.

use std::time::Duration;

use patchbay::channels::{ChannelError, Channels};
use patchbay::ids::{RoomName, UserId};
use patchbay::storage::{Begun, CallTask, NewCall, Quota, TaskStatus};

use super::{BEN_IS_THERE, Exchange, IT_RINGS_AT_BEN_S, NOW_S, SOMEBODY, channels, recent};
use patchbay::shares::{ClientAddress, Share};

/// A task of Anna's to call Ben so many seconds from now.
async fn schedule(exchange: &Exchange, seconds: i64) -> Result<i64, ChannelError> {
    let due_s = NOW_S + exchange.passed.lock().unwrap().as_secs() as i64 + seconds;
    let people = (&"anna".into(), vec!["ben".into()]);
    exchange
        .channels
        .schedule(SOMEBODY, None, people, due_s, "7".to_owned())
        .await
}

#[tokio::test]
async fn a_scheduled_call_is_made_when_its_time_comes_once_by_whoever_looks_first() {
    let mut exchange = Exchange::new().await;
    exchange.stage.play(BEN_IS_THERE).await;
    schedule(&exchange, 600).await.unwrap();
    exchange.pass(599).await;
    exchange.channels.make_due_calls().await.unwrap();
    assert_eq!(recent(&exchange).await, 0);
    exchange.pass(1).await;
    let other = channels(&exchange.stage, &exchange.records, &exchange.passed);
    let looks = [&exchange.channels, &other, &exchange.channels, &other].map(Channels::make_due_calls);
    for look in futures_util::future::join_all(looks).await {
        look.unwrap();
    }
    assert_eq!(recent(&exchange).await, 1);
    let (tasks, count) = exchange
        .channels
        .tasks(SOMEBODY, &"anna".into(), (0, 10))
        .await
        .unwrap();
    assert_eq!(
        (count, tasks[0].status, tasks[0].fired_s),
        (1, TaskStatus::Fired, Some(NOW_S + 600))
    );
    let channel = RoomName::from(tasks[0].channel.as_str());
    exchange.play(&channel, IT_RINGS_AT_BEN_S).await;
    other.make_due_calls().await.unwrap();
    assert_eq!(recent(&exchange).await, 1);
    exchange.token("anna", &channel).await;
}

#[tokio::test]
async fn a_clock_that_jumps_forward_or_back_makes_each_call_once_and_a_restart_loses_none() {
    let exchange = Exchange::new().await;
    for seconds in [10, 3_600, 7_200] {
        schedule(&exchange, seconds).await.unwrap();
    }
    let at = async |seconds| {
        *exchange.passed.lock().unwrap() = Duration::from_secs(seconds);
        let restarted = channels(&exchange.stage, &exchange.records, &exchange.passed);
        restarted.make_due_calls().await.unwrap();
        exchange.records.open_channels().await.unwrap().len()
    };
    assert_eq!(at(9).await, 0);
    assert_eq!(at(3_700).await, 2, "forward, over two of them");
    assert_eq!(at(5).await, 2, "back");
    assert_eq!(at(3_600).await, 2, "the same time again");
    assert_eq!(at(7_200).await, 3);
}

async fn tasks_of_anna(exchange: &Exchange) -> Vec<CallTask> {
    let (mut tasks, _) = exchange
        .channels
        .tasks(SOMEBODY, &"anna".into(), (0, 100))
        .await
        .unwrap();
    tasks.reverse();
    tasks
}

async fn statuses(exchange: &Exchange) -> Vec<TaskStatus> {
    tasks_of_anna(exchange).await.iter().map(|task| task.status).collect()
}

#[tokio::test]
async fn a_task_fails_that_is_a_day_late_and_says_why() {
    let exchange = Exchange::new().await;
    schedule(&exchange, 10).await.unwrap();
    exchange.pass(24 * 3_600 + 11).await;
    exchange.channels.make_due_calls().await.unwrap();
    let task = tasks_of_anna(&exchange).await.remove(0);
    assert_eq!((task.status, task.channel.as_str()), (TaskStatus::Failed, ""));
    assert!(task.failure.contains("within a day"), "{task:?}");
    assert_eq!(recent(&exchange).await, 0);
}

#[tokio::test]
async fn a_task_whose_process_has_ended_while_it_made_the_call_is_made_by_another_and_only_once() {
    let exchange = Exchange::new().await;
    let id = schedule(&exchange, 10).await.unwrap();
    exchange.pass(10).await;
    let (task, claim) = exchange
        .records
        .claim_task(id, NOW_S + 10, NOW_S)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(task.tried_s, Some(NOW_S + 10));
    exchange.pass(10).await;
    exchange.channels.make_due_calls().await.unwrap();
    assert_eq!(recent(&exchange).await, 0, "its process may only be slow");
    exchange.pass(1).await;
    exchange.channels.make_due_calls().await.unwrap();
    assert_eq!(
        (recent(&exchange).await, statuses(&exchange).await),
        (1, vec![TaskStatus::Fired])
    );
    // The first process was slow after all.
    let call = NewCall {
        channel: "ch_late".into(),
        caller: "anna".into(),
        callees: vec!["ben".into()],
        extra_msg: String::new(),
        client: ClientAddress::THIS_MACHINE,
        task: Some(claim),
    };
    let quota = Quota {
        in_all: 100,
        share: Share {
            percent: 100,
            at_least: 1,
        },
    };
    let begun = exchange.records.begin_call(&call, NOW_S + 22, quota).await.unwrap();
    assert_eq!((begun, recent(&exchange).await), (Begun::TaskTaken, 1));
    exchange.records.fail_task(claim, "too late", true).await.unwrap();
    assert_eq!(statuses(&exchange).await, [TaskStatus::Fired]);
}

/// Schedules calls of Anna's to so many people at the same second.
async fn schedule_many(exchange: &Exchange, caller: impl Fn(usize) -> UserId, count: usize) {
    for number in 0..count {
        let callee = UserId::from(format!("callee {number}").as_str());
        let people = (&caller(number), vec![callee]);
        let task = exchange
            .channels
            .schedule(SOMEBODY, None, people, NOW_S + 10, "7".to_owned());
        task.await.unwrap();
    }
}

#[tokio::test]
async fn all_tasks_of_one_second_are_made_at_once() {
    let exchange = Exchange::new().await;
    schedule_many(
        &exchange,
        |number| UserId::from(format!("caller {number}").as_str()),
        50,
    )
    .await;
    exchange.pass(10).await;
    exchange.channels.make_due_calls().await.unwrap();
    assert_eq!(exchange.records.open_channels().await.unwrap().len(), 50);
}

#[tokio::test]
async fn a_task_for_which_there_is_no_place_is_made_when_there_is_one() {
    let exchange = Exchange::new().await;
    schedule_many(&exchange, |_| "anna".into(), 17).await;
    exchange.pass(10).await;
    exchange.channels.make_due_calls().await.unwrap();
    let tasks = tasks_of_anna(&exchange).await;
    let waiting: Vec<&CallTask> = tasks
        .iter()
        .filter(|task| task.status == TaskStatus::IsFiring)
        .collect();
    assert_eq!(waiting.len(), 1, "one caller may have sixteen");
    assert!(
        waiting[0].failure.contains("too many calls of this name"),
        "{waiting:?}"
    );
    // Nobody answers the others.
    exchange.pass(62).await;
    exchange.channels.make_due_calls().await.unwrap();
    assert_eq!(statuses(&exchange).await, [TaskStatus::Fired; 17]);
    assert!(
        tasks_of_anna(&exchange)
            .await
            .iter()
            .all(|task| task.failure.is_empty())
    );
}

#[tokio::test]
async fn a_task_for_which_no_place_becomes_free_fails_after_some_time_with_the_reason() {
    let exchange = Exchange::new().await;
    schedule(&exchange, 10).await.unwrap();
    for number in 0..16 {
        let callee = format!("callee {number}");
        let channel = exchange.call(&[&callee]).await;
        exchange.token(&callee, &channel).await;
    }
    for _ in 0..9 {
        exchange.pass(10).await;
        exchange.channels.make_due_calls().await.unwrap();
        assert_eq!(statuses(&exchange).await, [TaskStatus::IsFiring]);
    }
    exchange.pass(11).await;
    exchange.channels.make_due_calls().await.unwrap();
    let task = tasks_of_anna(&exchange).await.remove(0);
    assert_eq!(task.status, TaskStatus::Failed);
    assert!(task.failure.contains("too many calls of this name"), "{task:?}");
}
