//! Who is in a call: by heartbeats, and by being in the room of its channel.

use std::pin::pin;
use std::time::Duration;

use futures_util::poll;
use patchbay::channels::{CALLEES_MAX, ChannelError, Settings};
use patchbay::config::{self, Config};
use patchbay::ids::{PushService, RoomName};
use patchbay::shares::ClientAddress;
use patchbay::storage::{Ending, NewCall, PushDevice};

use super::{
    BEN_ACCEPTS, BEN_IS_THERE, CARL_S_DEVICE_RINGS, Exchange, IT_IS_OVER_AT_BEN_S, IT_RINGS_AT_BEN_S, NOW_S, SOMEBODY,
    channels,
};
use crate::storage::{Place, on_both};

const BOTH_ENTER: &str = r#"
    anna > {"id":"joinRoom","room":"CHANNEL","name":"anna","token":"@access CHANNEL anna"}
    anna < {"id":"existingParticipants","data":[]}
    ben > {"id":"joinRoom","room":"CHANNEL","name":"ben","token":"@access CHANNEL ben"}
    ben < {"id":"existingParticipants","data":["anna"]}
    anna < {"id":"newParticipantArrived","name":"ben"}
"#;

impl Exchange {
    async fn beats(&self, user: &str, channel: &RoomName) -> Result<(), ChannelError> {
        self.channels.hear(SOMEBODY, &user.into(), channel).await
    }

    /// Lets time pass as the server does, which looks into the rooms meanwhile.
    async fn live_through(&self, seconds: u64) {
        for _ in 0..seconds / 5 {
            self.pass(5).await;
            self.channels.look_into_rooms().await;
        }
    }

    /// Who was missed: by whom event 3 was recorded.
    async fn missed(&self, channel: &RoomName) -> Vec<String> {
        let reports = self.records.reports(channel).await.unwrap().into_iter();
        let missed = reports.filter(|report| report.code == 3);
        missed.map(|report| report.user.to_string()).collect()
    }
}

#[tokio::test]
async fn who_is_in_the_room_needs_no_heartbeats_and_is_missed_when_they_have_left_it() {
    let mut exchange = Exchange::new().await;
    let channel = exchange.call(&["ben"]).await;
    exchange.token("ben", &channel).await;
    exchange.play(&channel, BOTH_ENTER).await;
    exchange.live_through(5).await;
    let call = exchange.record(&channel).await;
    assert!(call.members.iter().all(|member| member.joined_s.is_some()), "{call:?}");
    exchange.live_through(3_600).await;
    assert_eq!(exchange.missed(&channel).await, [""; 0]);
    exchange
        .play(&channel, "ben -\nanna < {\"id\":\"participantLeft\",\"name\":\"ben\"}")
        .await;
    exchange.live_through(30).await;
    assert_eq!(exchange.missed(&channel).await, [""; 0], "he may come again");
    exchange.live_through(5).await;
    assert_eq!(exchange.missed(&channel).await, ["ben"]);
    exchange.play(&channel, "anna -").await;
    exchange.live_through(30).await;
    assert_eq!(exchange.record(&channel).await.ended_s, None);
    exchange.live_through(5).await;
    assert_eq!(exchange.record(&channel).await.ending, Some(Ending::Lost));
}

#[tokio::test]
async fn a_heartbeat_that_is_missed_ends_the_stay_in_the_room() {
    let mut exchange = Exchange::new().await;
    let channel = exchange.call(&["ben"]).await;
    exchange.token("ben", &channel).await;
    exchange.play(&channel, BOTH_ENTER).await;
    for user in ["anna", "ben"] {
        exchange.report(user, &channel, 1).await;
        exchange.beats(user, &channel).await.unwrap();
    }
    exchange.live_through(30).await;
    exchange.beats("anna", &channel).await.unwrap();
    exchange.play(&channel, "").await;
    exchange.live_through(5).await;
    exchange
        .play(
            &channel,
            "ben x 4410\nanna < {\"id\":\"participantLeft\",\"name\":\"ben\"}",
        )
        .await;
    assert_eq!(exchange.missed(&channel).await, ["ben"]);
    assert_eq!(exchange.record(&channel).await.ended_s, None);
    exchange.live_through(30).await;
    exchange.play(&channel, "anna x 4410").await;
    assert_eq!(exchange.missed(&channel).await, ["ben", "anna"]);
    assert_eq!(exchange.record(&channel).await.ending, Some(Ending::Lost));
}

#[tokio::test]
async fn whoever_has_said_that_they_leave_is_on_their_way_out_and_a_callee_may_look_before_they_answer() {
    let mut exchange = Exchange::new().await;
    let channel = exchange.call(&["ben"]).await;
    exchange.play(&channel, BOTH_ENTER).await;
    exchange.live_through(5).await;
    let call = exchange.record(&channel).await;
    assert_eq!((call.answered_s, call.members[1].joined_s), (None, None));
    exchange.report("ben", &channel, 1).await;
    exchange.report("ben", &channel, 2).await;
    exchange.live_through(60).await;
    exchange.play(&channel, "").await;
    let call = exchange.record(&channel).await;
    assert!(call.members[1].left_s.is_some() && call.ended_s.is_none());
    assert_eq!(exchange.missed(&channel).await, [""; 0]);
}

#[tokio::test]
async fn a_call_of_which_nobody_has_said_anything_is_over_when_all_have_left_the_room() {
    for restarts in [false, true] {
        let mut exchange = Exchange::new().await;
        let channel = exchange.call(&[]).await;
        let enters = r#"
            anna > {"id":"joinRoom","room":"CHANNEL","name":"anna","token":"@access CHANNEL anna"}
            anna < {"id":"existingParticipants","data":[]}
        "#;
        exchange.play(&channel, enters).await;
        exchange.live_through(5).await;
        exchange.play(&channel, "anna -").await;
        if restarts {
            exchange.channels = channels(&exchange.stage, &exchange.records, &exchange.passed);
            exchange.channels.load().await.unwrap();
        }
        exchange.live_through(35).await;
        assert_eq!(exchange.record(&channel).await.ending, Some(Ending::Lost), "{restarts}");
    }
}

#[tokio::test]
async fn what_one_process_sees_in_its_room_another_one_believes() {
    let mut exchange = Exchange::new().await;
    let channel = exchange.call(&["ben"]).await;
    exchange.token("ben", &channel).await;
    exchange.play(&channel, BOTH_ENTER).await;
    exchange.live_through(5).await;
    // A process whose rooms are others.
    let elsewhere = super::Stage::new();
    let other = channels(&elsewhere, &exchange.records, &exchange.passed);
    other.load().await.unwrap();
    for _ in 0..30 {
        exchange.live_through(5).await;
        exchange.channels.record_news().await;
        other.look().await;
    }
    assert_eq!(exchange.missed(&channel).await, [""; 0]);
}

#[tokio::test]
async fn by_the_first_heartbeat_a_callee_answers_and_it_rings_no_longer_on_their_socket() {
    let mut exchange = Exchange::new().await;
    exchange.stage.play(BEN_IS_THERE).await;
    let channel = exchange.call(&["ben"]).await;
    exchange.play(&channel, IT_RINGS_AT_BEN_S).await;
    exchange.beats("ben", &channel).await.unwrap();
    exchange.play(&channel, IT_IS_OVER_AT_BEN_S).await;
    let call = exchange.record(&channel).await;
    assert!(call.answered_s.is_some() && call.ended_s.is_none());
}

on_both!(whoever_finds_a_call_that_does_not_ring_yet_and_answers_it_stops_its_ringing);

async fn whoever_finds_a_call_that_does_not_ring_yet_and_answers_it_stops_its_ringing(place: &Place) {
    let records = place.open().await;
    let mut exchange = Exchange::over(records, tempfile::tempdir().unwrap(), config::Robot::default());
    exchange.stage.play(BEN_IS_THERE).await;
    let channel = {
        let mut call = pin!(exchange.call(&["ben"]));
        // The call is recorded meanwhile, and cannot go on: nobody runs it.
        let found = loop {
            assert!(poll!(&mut call).is_pending(), "the call has rung already");
            tokio::time::sleep(Duration::from_millis(20)).await;
            let calls = exchange.channels.recent(SOMEBODY, &"ben".into()).await.unwrap();
            if let [call] = &calls[..] {
                break RoomName::from(call.channel.as_str());
            }
        };
        let mut answer = pin!(exchange.token("ben", &found));
        let answered = tokio::time::timeout(Duration::from_millis(200), &mut answer).await;
        assert!(answered.is_err(), "the answer waits for the ringing");
        let (channel, _) = tokio::join!(call, answer);
        channel
    };
    exchange
        .play(&channel, &[IT_RINGS_AT_BEN_S, IT_IS_OVER_AT_BEN_S].concat())
        .await;
    exchange.report("anna", &channel, 2).await;
    assert!(exchange.record(&channel).await.ended_s.is_some());
}

#[tokio::test]
async fn a_device_that_answers_meets_the_caller_by_the_page_that_it_opens() {
    let mut exchange = Exchange::new().await;
    exchange.has_device("13800000002", "c").await;
    exchange.stage.play("13800000002/c@device +").await;
    let channel = exchange.call(&["13800000002"]).await;
    let meets = r#"
        13800000002/c@device > {"type":"called_success","from_phone":"anna","from_device_id":"","room_id":"CHANNEL"}
        anna > {"id":"joinRoom","room":"CHANNEL","name":"anna","token":"@access CHANNEL anna"}
        anna < {"id":"existingParticipants","data":[]}
        guest@direct > {"id":"joinRoom","room":"CHANNEL","name":"guest"}
        guest@direct < {"id":"existingParticipants","data":["anna"]}
        anna < {"id":"newParticipantArrived","name":"guest"}
        carl@direct > {"id":"joinRoom","room":"elsewhere","name":"carl"}
        carl@direct < {"id":"existingParticipants","data":[]}
    "#;
    exchange.play(&channel, &[CARL_S_DEVICE_RINGS, meets].concat()).await;
}

#[tokio::test]
async fn the_device_of_one_of_many_callees_rings_too() {
    let mut exchange = Exchange::new().await;
    exchange.has_device("13800000002", "c").await;
    exchange.stage.play("13800000002/c@device +").await;
    let others: Vec<String> = (1..CALLEES_MAX).map(|count| format!("other{count}")).collect();
    let mut callees: Vec<&str> = others.iter().map(String::as_str).collect();
    callees.push("13800000002");
    let channel = exchange.call(&callees).await;
    exchange.play(&channel, CARL_S_DEVICE_RINGS).await;
}

#[tokio::test]
async fn a_call_whose_process_ended_before_it_rang_rings_when_the_next_one_starts() {
    let mut exchange = Exchange::new().await;
    exchange.stage.play(BEN_IS_THERE).await;
    let channel = RoomName::from("ch_1234567890");
    let call = NewCall {
        channel: channel.clone(),
        caller: "anna".into(),
        callees: vec!["ben".into()],
        extra_msg: String::new(),
        client: ClientAddress::THIS_MACHINE,
        task: None,
    };
    let quota = Settings::from(&Config::default()).records;
    exchange.records.begin_call(&call, NOW_S, quota).await.unwrap();
    exchange.channels.load().await.unwrap();
    exchange
        .play(&channel, &[IT_RINGS_AT_BEN_S, BEN_ACCEPTS].concat())
        .await;
    exchange.until(&channel, |call| call.answered_s.is_some()).await;
    exchange.channels.load().await.unwrap();
    exchange.play(&channel, "").await;
}

/// A statement of another program that has the database open.
async fn execute(exchange: &Exchange, sql: &'static str) {
    use sqlx::{Connection, Executor, SqliteConnection};
    let url = format!("sqlite:{}", exchange.folder.path().join("records.db").display());
    SqliteConnection::connect(&url)
        .await
        .unwrap()
        .execute(sql)
        .await
        .unwrap();
}

#[tokio::test]
async fn calls_that_cannot_be_read_at_the_start_are_read_later() {
    let exchange = Exchange::new().await;
    let channel = exchange.call(&["ben"]).await;
    let restarted = channels(&exchange.stage, &exchange.records, &exchange.passed);
    execute(&exchange, "ALTER TABLE channel_members RENAME TO gone").await;
    assert!(restarted.load().await.is_err());
    execute(&exchange, "ALTER TABLE gone RENAME TO channel_members").await;
    restarted.load().await.unwrap();
    *exchange.passed.lock().unwrap() += std::time::Duration::from_secs(60);
    restarted.look().await;
    assert_eq!(exchange.record(&channel).await.ending, Some(Ending::NoAnswer));
}

#[tokio::test]
async fn a_device_that_the_hub_refuses_is_not_recorded_and_one_that_cannot_be_recorded_does_not_ring() {
    let exchange = Exchange::new().await;
    let ben = "ben".into();
    let set = |device: &'static str, token: String| {
        let channels = exchange.channels.clone();
        async move {
            let (service, device) = (PushService::ApnsAlert, device.to_owned());
            let device = PushDevice { service, device, token };
            channels.set_device(SOMEBODY, &"ben".into(), device).await
        }
    };
    let devices = async || {
        let devices = exchange.records.push_devices(&ben).await.unwrap();
        devices.into_iter().map(|device| device.device).collect::<Vec<_>>()
    };
    set("phone", "1".to_owned()).await.unwrap();
    let refused = set("watch", "2".repeat(100_000)).await;
    assert!(matches!(refused, Err(ChannelError::TooManyDevices)), "{refused:?}");
    assert_eq!(devices().await, ["phone"]);
    set("watch", "2".to_owned()).await.unwrap();
    set("watch", String::new()).await.unwrap();
    assert_eq!(devices().await, ["phone"]);
}
