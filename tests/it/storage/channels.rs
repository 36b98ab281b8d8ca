//! Records of calls over HTTP.

use patchbay::ids::{PushService, RoomName, UserId};
use patchbay::shares::{ClientAddress, Denied, Share};
use patchbay::storage::{
    Added, Begun, CallRecord, Ending, Forgotten, KeptReports, MemberStatus, NewCall, NewTask, NewWebhook, PushDevice,
    PushRecorded, Quota, Records, Report, Scheduled, TaskClaim,
};

use super::{Place, on_both};

on_both!(
    a_call_is_recorded_with_its_people_and_found_by_them,
    a_change_is_made_whole_with_its_events_or_not_at_all,
    changes_of_one_call_at_the_same_time_follow_one_another,
    calls_are_bounded_and_no_address_takes_all,
    calls_that_are_over_are_removed_after_their_time_and_open_ones_stay,
    the_end_of_a_call_is_handed_on_once_by_whichever_process_and_again_if_it_has_gone_on,
    calls_that_are_over_make_room_for_new_ones_and_open_ones_do_not,
    tasks_that_are_over_make_room_for_new_ones_and_waiting_ones_do_not,
    calls_are_counted_as_they_come_and_go_and_anew_where_that_was_not_noted,
    a_call_that_is_refused_costs_nobody_a_record_and_leaves_its_task,
    a_push_token_that_is_gone_is_forgotten_unless_it_was_set_later,
);

const NOW_S: i64 = 1_600_000_000;

const PLENTY: Quota = Quota {
    in_all: 1_000,
    share: Share {
        percent: 100,
        at_least: 1,
    },
};

fn call(channel: &str) -> NewCall {
    NewCall {
        channel: channel.into(),
        caller: "anna".into(),
        callees: vec!["ben".into(), "卡尔".into()],
        extra_msg: "{\"a\":\"字\"}".to_owned(),
        client: ClientAddress::THIS_MACHINE,
        task: None,
    }
}

async fn begin(records: &Records, channel: &str, now_s: i64) {
    let begun = records.begin_call(&call(channel), now_s, PLENTY).await.unwrap();
    assert_eq!(begun, Begun::Made);
}

async fn record(records: &Records, channel: &str) -> CallRecord {
    records.call(&channel.into()).await.unwrap().unwrap()
}

async fn a_call_is_recorded_with_its_people_and_found_by_them(place: &Place) {
    let records = place.open().await;
    begin(&records, "ch_1", NOW_S).await;
    let again = records.begin_call(&call("ch_1"), NOW_S, PLENTY).await.unwrap();
    assert_eq!(again, Begun::NameTaken);
    begin(&records, "ch_2", NOW_S + 1).await;
    let first = record(&place.open().await, "ch_1").await;
    let people: Vec<_> = first
        .members
        .iter()
        .map(|member| (member.id, member.user.as_str()))
        .collect();
    assert_eq!(people, [(1, "anna"), (2, "ben"), (3, "卡尔")]);
    assert!(first.members.iter().all(|member| member.status == MemberStatus::Called));
    assert_eq!(
        (first.caller.as_str(), first.created_s, first.ended_s),
        ("anna", NOW_S, None)
    );
    let found = |user: &'static str, since_s: i64, most: i64| {
        let records = records.clone();
        async move {
            let calls = records.recent_calls(&UserId::from(user), since_s, most).await.unwrap();
            calls.into_iter().map(|call| call.channel).collect::<Vec<_>>()
        }
    };
    for user in ["anna", "ben", "卡尔"] {
        assert_eq!(found(user, NOW_S, 10).await, ["ch_1", "ch_2"], "{user}");
    }
    assert_eq!(found("ben", NOW_S + 1, 10).await, ["ch_2"]);
    assert_eq!(found("ben", NOW_S, 1).await, ["ch_2"], "the newest");
    for nobody in ["dora", "nul\0", "' OR 1=1; --"] {
        assert_eq!(found(nobody, NOW_S, 10).await, [""; 0]);
        assert_eq!(records.call(&RoomName::from(nobody)).await.unwrap(), None);
        assert_eq!(records.change_call(&nobody.into(), |_, _| ()).await.unwrap(), None);
    }
    let open = records.open_channels().await.unwrap();
    assert_eq!(open.iter().map(RoomName::as_str).collect::<Vec<_>>(), ["ch_1", "ch_2"]);
}

fn report(code: i64) -> Report {
    Report {
        user: "ben".into(),
        code,
        description: "接通".to_owned(),
        at_s: NOW_S + code,
    }
}

/// The code, the number, and the characters of the descriptions of each kind of event that is kept: all are Ben's.
fn kept_of_ben(call: &CallRecord) -> Vec<(i64, usize, usize)> {
    assert!(call.reports.iter().all(|one| one.user.as_str() == "ben"));
    let one = |one: &KeptReports| (one.code, one.count, one.characters);
    call.reports.iter().map(one).collect()
}

async fn a_change_is_made_whole_with_its_events_or_not_at_all(place: &Place) {
    let records = place.open().await;
    begin(&records, "ch_1", NOW_S).await;
    let channel = RoomName::from("ch_1");
    let done = records.change_call(&channel, |call, reports| {
        (call.answered_s, call.started_s) = (Some(NOW_S + 2), Some(NOW_S + 3));
        (call.ended_s, call.ending) = (Some(NOW_S + 4), Some(Ending::Declined));
        call.members[1].status = MemberStatus::Over;
        call.members[1].joined_s = Some(NOW_S + 3);
        call.members[1].left_s = Some(NOW_S + 4);
        let newcomer = patchbay::storage::Member {
            id: 0,
            user: "dora".into(),
            ..call.members[0].clone()
        };
        call.members.push(newcomer);
        call.left_out = 7;
        reports.extend([report(1), report(2)]);
        call.clone()
    });
    let changed = done.await.unwrap().unwrap();
    let mut kept = record(&records, "ch_1").await;
    assert_eq!(
        (kept_of_ben(&kept), kept.members[3].id),
        (vec![(1, 1, 2), (2, 1, 2)], 4)
    );
    (kept.reports, kept.members[3].id) = (Vec::new(), 0);
    assert_eq!(kept, changed);
    assert_eq!(records.reports(&channel).await.unwrap(), [report(1), report(2)]);

    place.execute("ALTER TABLE channel_events RENAME TO gone").await;
    let failed = records.change_call(&channel, |call, reports| {
        call.ending = Some(Ending::Busy);
        reports.push(report(3));
    });
    assert!(failed.await.is_err());
    place.execute("ALTER TABLE gone RENAME TO channel_events").await;
    assert_eq!(record(&records, "ch_1").await.ending, Some(Ending::Declined));

    place.execute("ALTER TABLE channel_members RENAME TO gone").await;
    assert!(records.begin_call(&call("ch_2"), NOW_S, PLENTY).await.is_err());
    place.execute("ALTER TABLE gone RENAME TO channel_members").await;
    assert_eq!(records.call(&"ch_2".into()).await.unwrap(), None);
}

async fn changes_of_one_call_at_the_same_time_follow_one_another(place: &Place) {
    let handles = [place.open().await, place.open().await];
    begin(&handles[0], "ch_1", NOW_S).await;
    let mut changing = tokio::task::JoinSet::new();
    for number in 0..20 {
        let records = handles[number % 2].clone();
        changing.spawn(async move {
            let channel = RoomName::from("ch_1");
            let change = records.change_call(&channel, |call, reports| {
                call.answered_s = Some(call.answered_s.unwrap_or(0) + 1);
                reports.push(report(number as i64));
            });
            change.await.unwrap().unwrap();
        });
    }
    changing.join_all().await;
    let call = record(&handles[0], "ch_1").await;
    assert_eq!((call.answered_s, kept_of_ben(&call).len()), (Some(20), 20));
}

async fn calls_are_bounded_and_no_address_takes_all(place: &Place) {
    let records = place.open().await;
    let quota = Quota {
        in_all: 20,
        share: Share {
            percent: 25,
            at_least: 1,
        },
    };
    let from = |text: &str| ClientAddress::from(text.parse::<std::net::IpAddr>().unwrap());
    let mut made = 0;
    let mut calls = |client, count: usize| {
        let records = records.clone();
        made += 1;
        let first = made * 100;
        async move {
            let mut taken = 0;
            for number in 0..count {
                let call = NewCall {
                    client,
                    ..call(&format!("ch_{}", first + number))
                };
                match records.begin_call(&call, NOW_S, quota).await.unwrap() {
                    Begun::Made => taken += 1,
                    Begun::NoPlace(_) => break,
                    Begun::NameTaken | Begun::TaskTaken => panic!("every call has a name of its own, and no task"),
                }
            }
            taken
        }
    };
    assert_eq!(calls(from("192.0.2.1"), 30).await, 5, "a quarter");
    assert!(calls(from("192.0.2.2"), 30).await > 0);
    let rest = calls(ClientAddress::THIS_MACHINE, 30).await;
    assert!(rest > 5 && records.open_channels().await.unwrap().len() == 20);
    assert_eq!(calls(from("192.0.2.3"), 1).await, 0, "all are taken");
}

async fn calls_that_are_over_are_removed_after_their_time_and_open_ones_stay(place: &Place) {
    let records = place.open().await;
    for (channel, ended_s) in [("ch_1", Some(NOW_S)), ("ch_2", Some(NOW_S + 10)), ("ch_3", None)] {
        begin(&records, channel, NOW_S).await;
        let name = RoomName::from(channel);
        let end = records.change_call(&name, |call, reports| {
            call.ended_s = ended_s;
            reports.push(report(1));
        });
        end.await.unwrap();
    }
    assert_eq!(records.expire_calls(NOW_S, 10).await.unwrap(), 0);
    assert_eq!(records.expire_calls(NOW_S + 1, 10).await.unwrap(), 1);
    assert_eq!(records.call(&"ch_1".into()).await.unwrap(), None);
    assert_eq!(records.reports(&"ch_1".into()).await.unwrap(), []);
    assert_eq!(records.expire_calls(NOW_S * 2, 10).await.unwrap(), 1);
    assert_eq!(kept_of_ben(&record(&records, "ch_3").await), [(1, 1, 2)]);
    let recent = records.recent_calls(&"ben".into(), 0, 10).await.unwrap();
    assert_eq!(recent.len(), 1);
}

async fn the_end_of_a_call_is_handed_on_once_by_whichever_process_and_again_if_it_has_gone_on(place: &Place) {
    let handles = [place.open().await, place.open().await];
    for channel in ["ch_1", "ch_2", "ch_3"] {
        begin(&handles[0], channel, NOW_S).await;
    }
    let end = async |channel: &str, ended_s: Option<i64>| {
        let channel = RoomName::from(channel);
        let end = handles[0].change_call(&channel, |call, _| call.ended_s = ended_s);
        end.await.unwrap().unwrap();
    };
    end("ch_1", Some(NOW_S + 5)).await;
    end("ch_2", Some(NOW_S + 4)).await;
    let to_post = async |since_s, most| {
        let channels = handles[1].channels_to_post(since_s, most).await.unwrap();
        channels
            .into_iter()
            .map(|channel| channel.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(to_post(NOW_S, 10).await, ["ch_2", "ch_1"]);
    assert_eq!(to_post(NOW_S + 5, 10).await, ["ch_1"]);
    assert_eq!(
        (to_post(0, 1).await, to_post(NOW_S + 6, 10).await),
        (vec!["ch_2".to_owned()], vec![])
    );
    let channel = RoomName::from("ch_1");
    let post = async |number: usize, ended_s| {
        let id = format!("msg_{number}");
        let new = NewWebhook {
            id: &id,
            body: "{}",
            made_s: NOW_S,
            end_of: Some((&channel, ended_s)),
        };
        handles[number % 2].add_webhook(&new, 10).await.unwrap()
    };
    assert_eq!(post(0, NOW_S + 4).await, Added::Known, "it did not end then");
    let added = futures_util::future::join_all((1..5).map(|number| post(number, NOW_S + 5))).await;
    let done = added.iter().filter(|added| **added == Added::Done).count();
    assert_eq!((done, to_post(0, 10).await), (1, vec!["ch_2".to_owned()]), "{added:?}");
    end("ch_1", None).await;
    assert_eq!(to_post(0, 10).await, ["ch_2"]);
    end("ch_1", Some(NOW_S + 9)).await;
    assert_eq!(to_post(0, 10).await, ["ch_2", "ch_1"]);
    assert_eq!(post(7, NOW_S + 9).await, Added::Done);
    assert_eq!(handles[0].take_webhooks(NOW_S, NOW_S, 10).await.unwrap().len(), 2);
}

const FOUR: Quota = Quota {
    in_all: 4,
    share: Share {
        percent: 25,
        at_least: 2,
    },
};

fn somewhere() -> ClientAddress {
    ClientAddress::from(std::net::IpAddr::from([192, 0, 2, 1]))
}

/// Begins a call from this address, where there is place for four.
async fn begin_from(records: &Records, channel: &str, client: ClientAddress) -> Begun {
    let call = NewCall {
        client,
        ..call(channel)
    };
    records.begin_call(&call, NOW_S, FOUR).await.unwrap()
}

async fn calls_that_are_over_make_room_for_new_ones_and_open_ones_do_not(place: &Place) {
    let records = place.open().await;
    let begin = async |channel: &str, client| begin_from(&records, channel, client).await;
    let end = async |channel: &str, at_s: i64| {
        let name = RoomName::from(channel);
        let end = records.change_call(&name, |call, reports| {
            call.ended_s = Some(NOW_S + at_s);
            reports.push(report(1));
        });
        end.await.unwrap().unwrap();
    };
    let is_kept = async |channel: &str| records.call(&channel.into()).await.unwrap().is_some();
    let (here, there) = (ClientAddress::THIS_MACHINE, somewhere());
    for (channel, client) in [("a", here), ("b", there), ("c", there), ("d", here)] {
        assert_eq!(begin(channel, client).await, Begun::Made);
    }
    assert_eq!(begin("e", here).await, Begun::NoPlace(Denied::UsedUp), "all are open");
    end("a", 2).await;
    end("b", 1).await;
    assert_eq!(begin("d", here).await, Begun::NameTaken);
    assert!(
        is_kept("a").await && is_kept("b").await,
        "a name that is taken costs nobody a record"
    );
    assert_eq!(begin("e", here).await, Begun::Made);
    assert!(is_kept("a").await && !is_kept("b").await, "the one that was over first");
    assert_eq!(records.reports(&"b".into()).await.unwrap(), []);
    assert_eq!(
        records.recent_calls(&"ben".into(), 0, 10).await.unwrap().len(),
        4,
        "its people, too"
    );

    // Whose share is used up makes room alone, also where others' calls were over before.
    assert_eq!(begin("f", there).await, Begun::Made, "of all, the oldest is `a`");
    assert!(!is_kept("a").await);
    end("d", 3).await;
    end("c", 4).await;
    assert_eq!(begin("g", there).await, Begun::Made);
    assert!(is_kept("d").await && !is_kept("c").await);
    assert_eq!(begin("h", there).await, Begun::NoPlace(Denied::ShareUsedUp));
    assert!(is_kept("d").await);
}

async fn tasks_that_are_over_make_room_for_new_ones_and_waiting_ones_do_not(place: &Place) {
    let records = place.open().await;
    let schedule = async |client| {
        let task = NewTask {
            id: None,
            caller: "anna".into(),
            callees: vec!["ben".into()],
            due_s: NOW_S,
            task: "7".to_owned(),
            client,
        };
        records.schedule(&task, FOUR).await.unwrap()
    };
    let fail = async |id: i64, at_s: i64| {
        let claimed = records.claim_task(id, NOW_S + at_s, NOW_S).await.unwrap();
        records.fail_task(claimed.unwrap().1, "why", true).await.unwrap();
    };
    let kept = async || {
        let (tasks, _) = records.tasks(&"anna".into(), 0, 10).await.unwrap();
        tasks.into_iter().map(|task| task.id).collect::<Vec<_>>()
    };
    let (here, there) = (ClientAddress::THIS_MACHINE, somewhere());
    for (id, client) in [(1, there), (2, there), (3, here), (4, here)] {
        assert_eq!(schedule(client).await, Scheduled::Task(id));
    }
    assert_eq!(schedule(here).await, Scheduled::NoPlace(Denied::UsedUp), "all wait");
    fail(3, 1).await;
    fail(2, 2).await;
    assert_eq!(schedule(here).await, Scheduled::Task(5));
    assert_eq!(kept().await, [5, 4, 2, 1], "the oldest that is over made room");
    fail(4, 1).await;
    fail(1, 3).await;
    assert_eq!(records.expire_tasks(NOW_S + 2, 10).await.unwrap(), 1, "a place is free");
    assert_eq!(schedule(there).await, Scheduled::Task(6));
    assert_eq!(
        kept().await,
        [6, 5, 1],
        "of the client whose share is used up, the oldest"
    );
}

async fn calls_are_counted_as_they_come_and_go_and_anew_where_that_was_not_noted(place: &Place) {
    let records = place.open().await;
    let begin = async |channel: &str, client| begin_from(&records, channel, client).await;
    let end = async |channel: &str| {
        let name = RoomName::from(channel);
        let end = records.change_call(&name, |call, _| call.ended_s = Some(NOW_S));
        end.await.unwrap().unwrap();
    };
    let (here, there) = (ClientAddress::THIS_MACHINE, somewhere());
    for (channel, client) in [("a", there), ("b", there), ("c", here), ("d", here)] {
        assert_eq!(begin(channel, client).await, Begun::Made);
    }
    assert_eq!(begin("e", there).await, Begun::NoPlace(Denied::ShareUsedUp));
    assert_eq!(begin("e", here).await, Begun::NoPlace(Denied::UsedUp));
    for channel in ["a", "c"] {
        end(channel).await;
    }
    assert_eq!(records.expire_calls(NOW_S + 1, 1).await.unwrap(), 1, "some at a time");
    assert_eq!(records.expire_calls(NOW_S + 1, 10).await.unwrap(), 1);
    assert_eq!(begin("f", there).await, Begun::Made);
    assert_eq!(begin("g", there).await, Begun::NoPlace(Denied::ShareUsedUp));
    assert_eq!(begin("g", here).await, Begun::Made);
    assert_eq!(begin("h", here).await, Begun::NoPlace(Denied::UsedUp));
    // Another version of the program has noted nothing.
    place.execute("UPDATE record_counts SET held = 0").await;
    records.count_calls().await.unwrap();
    assert_eq!(begin("h", here).await, Begun::NoPlace(Denied::UsedUp));
    assert_eq!(begin("h", there).await, Begun::NoPlace(Denied::ShareUsedUp));
    for channel in ["b", "d", "f", "g"] {
        end(channel).await;
    }
    assert_eq!(records.expire_calls(NOW_S + 1, 10).await.unwrap(), 4);
    assert_eq!(begin("h", there).await, Begun::Made);
}

async fn a_call_that_is_refused_costs_nobody_a_record_and_leaves_its_task(place: &Place) {
    let records = place.open().await;
    let task = NewTask {
        id: None,
        caller: "anna".into(),
        callees: vec!["ben".into()],
        due_s: NOW_S,
        task: "7".to_owned(),
        client: ClientAddress::THIS_MACHINE,
    };
    records.schedule(&task, PLENTY).await.unwrap();
    let (_, claim) = records.claim_task(1, NOW_S, NOW_S - 10).await.unwrap().unwrap();
    let begin = async |channel: &str, task| {
        let call = NewCall { task, ..call(channel) };
        records.begin_call(&call, NOW_S, FOUR).await.unwrap()
    };
    for channel in ["a", "b", "c", "d"] {
        assert_eq!(begin(channel, None).await, Begun::Made);
    }
    assert_eq!(begin("e", Some(claim)).await, Begun::NoPlace(Denied::UsedUp));
    let oldest = RoomName::from("a");
    let end = records.change_call(&oldest, |call, _| call.ended_s = Some(NOW_S));
    end.await.unwrap().unwrap();
    let of_another = TaskClaim {
        claimed_s: NOW_S - 1,
        ..claim
    };
    assert_eq!(begin("e", Some(of_another)).await, Begun::TaskTaken);
    assert!(records.call(&"a".into()).await.unwrap().is_some());
    assert_eq!(begin("e", Some(claim)).await, Begun::Made);
    assert_eq!(records.call(&"a".into()).await.unwrap(), None);
}

async fn a_push_token_that_is_gone_is_forgotten_unless_it_was_set_later(place: &Place) {
    let records = place.open().await;
    let ben = UserId::from("ben");
    let set = async |device: &str, token: &str| {
        let device = PushDevice {
            service: PushService::ApnsAlert,
            device: device.to_owned(),
            token: token.to_owned(),
        };
        let source = (ClientAddress::THIS_MACHINE, NOW_S);
        let recorded = records.set_push_device(&ben, &device, source, 16, PLENTY);
        assert_eq!(recorded.await.unwrap(), PushRecorded::Done);
    };
    set("phone", "one").await;
    set("tablet", "two").await;
    let forget = async |token: &str, since_s| {
        let forgotten = records.forget_push_token(PushService::ApnsAlert, token, since_s);
        forgotten.await.unwrap()
    };
    let elsewhere = records.forget_push_token(PushService::JPush, "one", None);
    assert_eq!(
        elsewhere.await.unwrap(),
        Forgotten::Unknown,
        "a token of another service"
    );
    assert_eq!(forget("three", None).await, Forgotten::Unknown);
    assert_eq!(forget("on\0e", None).await, Forgotten::Unknown);
    assert_eq!(forget("one", Some(NOW_S - 1)).await, Forgotten::IsNewer);
    assert_eq!(records.push_devices(&ben).await.unwrap().len(), 2);
    assert_eq!(forget("one", Some(NOW_S)).await, Forgotten::Removed);
    assert_eq!(forget("one", None).await, Forgotten::Unknown);
    let left = records.push_devices(&ben).await.unwrap();
    assert_eq!(
        left.iter().map(|device| device.token.as_str()).collect::<Vec<_>>(),
        ["two"]
    );
    assert_eq!(forget("two", None).await, Forgotten::Removed);
}
