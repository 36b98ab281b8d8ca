//! Calls that are made when their time comes: claimed, made with their records, tried again.

use patchbay::shares::{ClientAddress, Share};
use patchbay::storage::{Begun, NewCall, NewTask, Quota, Records, Scheduled, TaskClaim, TaskStatus};

use super::{Place, on_both};

on_both!(
    a_task_is_claimed_by_one_process_and_again_when_that_has_not_finished_it,
    the_call_of_a_task_is_recorded_once_together_with_the_task,
    a_task_that_has_failed_says_why_and_is_claimed_again_unless_that_is_final,
);

const DUE_S: i64 = 1_600_000_000;

const PLENTY: Quota = Quota {
    in_all: 1_000,
    share: Share {
        percent: 100,
        at_least: 1,
    },
};

async fn schedule(records: &Records, id: Option<i64>) -> Scheduled {
    let new = NewTask {
        id,
        caller: "anna".into(),
        callees: vec!["ben".into()],
        due_s: DUE_S,
        task: "7".to_owned(),
        client: ClientAddress::THIS_MACHINE,
    };
    records.schedule(&new, PLENTY).await.unwrap()
}

async fn scheduled(records: &Records) -> i64 {
    match schedule(records, None).await {
        Scheduled::Task(id) => id,
        refused => panic!("{refused:?}"),
    }
}

/// Claims a task at this time, so many seconds after it is due. One that was claimed in the ten seconds before is left alone.
async fn claim(records: &Records, id: i64, after_s: i64) -> Option<TaskClaim> {
    let now_s = DUE_S + after_s;
    let due = records.due_tasks(now_s, now_s - 10, 10).await.unwrap();
    let claimed = records.claim_task(id, now_s, now_s - 10).await.unwrap();
    assert_eq!(due.contains(&id), claimed.is_some(), "what is listed can be claimed");
    claimed.map(|(_, claim)| claim)
}

async fn begin(records: &Records, channel: &str, task: TaskClaim) -> Begun {
    let call = NewCall {
        channel: channel.into(),
        caller: "anna".into(),
        callees: vec!["ben".into()],
        extra_msg: String::new(),
        client: ClientAddress::THIS_MACHINE,
        task: Some(task),
    };
    records.begin_call(&call, DUE_S, PLENTY).await.unwrap()
}

async fn outcome(records: &Records) -> (TaskStatus, String, String) {
    let (mut tasks, _) = records.tasks(&"anna".into(), 0, 10).await.unwrap();
    let task = tasks.remove(0);
    (task.status, task.channel, task.failure)
}

async fn a_task_is_claimed_by_one_process_and_again_when_that_has_not_finished_it(place: &Place) {
    let (one, other) = (place.open().await, place.open().await);
    let id = scheduled(&one).await;
    assert_eq!(claim(&one, id, -1).await, None, "its time has not come");
    let claimed = tokio::join!(one.claim_task(id, DUE_S, 0), other.claim_task(id, DUE_S, 0));
    let claims = [claimed.0.unwrap(), claimed.1.unwrap()];
    assert_eq!(claims.iter().flatten().count(), 1);
    assert_eq!(schedule(&one, Some(id)).await, Scheduled::IsFiring);
    assert_eq!(claim(&other, id, 10).await, None);
    let again = claim(&other, id, 11).await;
    assert_eq!(again.map(|claim| claim.claimed_s), Some(DUE_S + 11));
    let (tasks, _) = one.tasks(&"anna".into(), 0, 10).await.unwrap();
    assert_eq!((tasks[0].tried_s, tasks[0].fired_s), (Some(DUE_S), Some(DUE_S + 11)));
    assert_eq!(claim(&one, id, 5).await, None, "the other's clock is a little ahead");
    assert!(claim(&one, id, 0).await.is_some(), "the clock was put back");
}

async fn the_call_of_a_task_is_recorded_once_together_with_the_task(place: &Place) {
    let records = place.open().await;
    let id = scheduled(&records).await;
    let slow = claim(&records, id, 0).await.unwrap();
    let next = claim(&records, id, 20).await.unwrap();
    assert_eq!(begin(&records, "ch_1", slow).await, Begun::TaskTaken);
    assert_eq!(begin(&records, "ch_2", next).await, Begun::Made);
    assert_eq!(begin(&records, "ch_3", next).await, Begun::TaskTaken);
    assert_eq!(
        outcome(&records).await,
        (TaskStatus::Fired, "ch_2".to_owned(), String::new())
    );
    assert_eq!(records.open_channels().await.unwrap(), ["ch_2".into()]);
    assert_eq!(claim(&records, id, 1_000).await, None);

    place.execute("ALTER TABLE channel_members RENAME TO gone").await;
    let other = scheduled(&records).await;
    let claimed = claim(&records, other, 0).await.unwrap();
    let call = NewCall {
        channel: "ch_4".into(),
        caller: "anna".into(),
        callees: vec!["ben".into()],
        extra_msg: String::new(),
        client: ClientAddress::THIS_MACHINE,
        task: Some(claimed),
    };
    assert!(records.begin_call(&call, DUE_S, PLENTY).await.is_err());
    place.execute("ALTER TABLE gone RENAME TO channel_members").await;
    assert_eq!(outcome(&records).await.0, TaskStatus::IsFiring, "neither is recorded");
    assert!(records.remove_task(other, None).await.unwrap());
    assert_eq!(
        begin(&records, "ch_5", claimed).await,
        Begun::TaskTaken,
        "it was removed"
    );
}

async fn a_task_that_has_failed_says_why_and_is_claimed_again_unless_that_is_final(place: &Place) {
    let records = place.open().await;
    let id = scheduled(&records).await;
    let first = claim(&records, id, 0).await.unwrap();
    records.fail_task(first, "no place", false).await.unwrap();
    assert_eq!(
        outcome(&records).await,
        (TaskStatus::IsFiring, String::new(), "no place".to_owned())
    );
    assert_eq!(claim(&records, id, 10).await, None);
    // The call was recorded, and did not ring.
    let second = claim(&records, id, 11).await.unwrap();
    assert_eq!(begin(&records, "ch_1", second).await, Begun::Made);
    records.fail_task(second, "busy", false).await.unwrap();
    assert_eq!(
        outcome(&records).await,
        (TaskStatus::IsFiring, String::new(), "busy".to_owned())
    );
    let third = claim(&records, id, 22).await.unwrap();
    records.fail_task(second, "late", true).await.unwrap();
    assert_eq!(
        outcome(&records).await.0,
        TaskStatus::IsFiring,
        "another process has it"
    );
    records.fail_task(third, "no place at all", true).await.unwrap();
    assert_eq!(
        outcome(&records).await,
        (TaskStatus::Failed, String::new(), "no place at all".to_owned())
    );
    assert_eq!(claim(&records, id, 1_000).await, None);
    assert_eq!(schedule(&records, Some(id)).await, Scheduled::Task(id));
    assert_eq!(
        outcome(&records).await,
        (TaskStatus::Waits, String::new(), String::new())
    );
    assert!(claim(&records, id, 1_000).await.is_some());
}
