//! Calls over HTTP whose people are on sockets: they ring there, and what is done there is in the record of the call.

mod clocks;
mod life;
mod limits;
mod robot;
mod taken_over;
mod tasks;

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use patchbay::auth::access_token::App;
use patchbay::channels::{ChannelError, Channels, Requester, Settings};
use patchbay::clock::{MonotonicClock, WallClock};
use patchbay::config::{self, Config};
use patchbay::ids::{RoomName, UserId};
use patchbay::robots::{Robots, recording};
use patchbay::shares::{ClientAddress, Share};
use patchbay::storage::{CallRecord, DevicePlaces, DeviceRecord, Ending, Records};
use tempfile::TempDir;
use tokio::time::Instant;

use super::{NOW_S, Stage};

pub(super) const SOMEBODY: Requester = Requester {
    client: ClientAddress::THIS_MACHINE,
    is_trusted: false,
};

pub(super) const BACK_END: Requester = Requester {
    client: ClientAddress::THIS_MACHINE,
    is_trusted: true,
};

/// A stage with calls over HTTP, and a clock that only the test moves.
pub(super) struct Exchange {
    pub(super) stage: Stage,
    pub(super) channels: Channels,
    records: Records,
    passed: Arc<Mutex<Duration>>,
    folder: TempDir,
}

impl Exchange {
    pub(super) async fn new() -> Exchange {
        Exchange::with_robots(config::Robot::default()).await
    }

    async fn with_robots(robots: config::Robot) -> Exchange {
        let folder = tempfile::tempdir().unwrap();
        let storage = config::Storage {
            url: format!("sqlite:{}", folder.path().join("records.db").display()),
            ..config::Storage::default()
        };
        let records = Records::open(&storage).await.unwrap();
        Exchange::over(records, folder, robots)
    }

    fn over(records: Records, folder: TempDir, robots: config::Robot) -> Exchange {
        let stage = Stage::new();
        let passed = Arc::new(Mutex::new(Duration::ZERO));
        let channels = channels_with(robots, &stage, &records, &passed);
        Exchange {
            stage,
            channels,
            records,
            passed,
            folder,
        }
    }

    pub(super) async fn call(&self, callees: &[&str]) -> RoomName {
        let callees = callees.iter().map(|name| (*name).into()).collect();
        let anna = UserId::from("anna");
        let called = self.channels.call(SOMEBODY, &anna, callees, String::new());
        called.await.unwrap().channel
    }

    /// Records a device, as when somebody has logged in with it.
    async fn has_device(&self, phone: &str, device: &str) {
        let device = DeviceRecord {
            phone: phone.to_owned(),
            device_id: device.to_owned(),
        };
        let (percent, at_least) = (100, 2);
        let places = DevicePlaces {
            per_account: 2,
            in_all: 2,
            share: Share { percent, at_least },
        };
        let client = ClientAddress::THIS_MACHINE;
        let recorded = self.records.record_device(&device, client, 1, places, |_| true);
        recorded.await.unwrap();
    }

    async fn report(&self, user: &str, channel: &RoomName, code: i64) {
        let user = UserId::from(user);
        let report = self.channels.report(SOMEBODY, &user, channel, code, String::new());
        report.await.unwrap();
    }

    async fn token(&self, user: &str, channel: &RoomName) {
        self.channels.token(SOMEBODY, &user.into(), channel).await.unwrap();
    }

    async fn hear(&self, user: &str, channel: &RoomName) -> Result<(), ChannelError> {
        self.channels.hear(SOMEBODY, &user.into(), channel).await
    }

    pub(super) async fn record(&self, channel: &RoomName) -> CallRecord {
        self.records.call(channel).await.unwrap().unwrap()
    }

    /// The record of a call, once the tasks that follow calls at the hub have made this true of it.
    async fn until(&self, channel: &RoomName, so: impl Fn(&CallRecord) -> bool) -> CallRecord {
        for _ in 0..1_000 {
            let record = self.record(channel).await;
            if so(&record) {
                return record;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("it never becomes so: {:?}", self.record(channel).await);
    }

    /// Waits until a client has been sent something.
    async fn until_heard(&mut self, who: &str) {
        for _ in 0..1_000 {
            self.stage.hear().await;
            if self
                .stage
                .clients
                .get(who)
                .is_some_and(|client| !client.heard.is_empty())
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{who} is sent nothing");
    }

    async fn ending(&self, channel: &RoomName) -> Ending {
        self.until(channel, |call| call.ended_s.is_some()).await.ending.unwrap()
    }

    /// Lets time pass, and everything happen that is due then.
    async fn pass(&self, seconds: u64) {
        *self.passed.lock().unwrap() += Duration::from_secs(seconds);
        self.channels.look().await;
    }

    /// Plays a transcript about this channel.
    pub(super) async fn play(&mut self, channel: &RoomName, transcript: &str) {
        self.stage.hear().await;
        self.stage.play(&transcript.replace("CHANNEL", channel.as_str())).await;
    }
}

fn channels(stage: &Stage, records: &Records, passed: &Arc<Mutex<Duration>>) -> Channels {
    channels_with(config::Robot::default(), stage, records, passed)
}

fn channels_with(robots: config::Robot, stage: &Stage, records: &Records, passed: &Arc<Mutex<Duration>>) -> Channels {
    let of_date = Arc::clone(passed);
    let clock: WallClock = Arc::new(move || {
        let now: SystemTime = UNIX_EPOCH + Duration::from_secs(NOW_S as u64);
        now + *of_date.lock().unwrap()
    });
    channels_at(robots, stage, records, (clock, stopwatch(passed)))
}

/// The time that has passed, as the test says.
fn stopwatch(passed: &Arc<Mutex<Duration>>) -> MonotonicClock {
    let (begun, passed) = (Instant::now(), Arc::clone(passed));
    Arc::new(move || begun + *passed.lock().unwrap())
}

fn channels_at(
    robots: config::Robot,
    stage: &Stage,
    records: &Records,
    (clock, passed): (WallClock, MonotonicClock),
) -> Channels {
    let recording = recording(&robots).unwrap();
    let robots = Robots::new(stage.hub().clone(), recording, robots, Arc::new(Instant::now));
    Channels::new(
        records.clone(),
        (stage.hub().clone(), robots),
        App::random(),
        clock,
        passed,
        Settings::from(&Config::default()),
    )
}

async fn recent(exchange: &Exchange) -> usize {
    exchange.channels.recent(SOMEBODY, &"ben".into()).await.unwrap().len()
}

const BEN_IS_THERE: &str = r#"
    ben@ws > {"cmd":1,"msgtype":1,"sender":"ben"}
    ben@ws < {"cmd":3,"sender":"ben","timeStamp":"*"}
"#;
pub(super) const IT_RINGS_AT_BEN_S: &str = r#"
    ben@ws < {"cmd":5,"msgtype":4,"groupId":"video","sender":"anna","receiver":"ben","reqType":"group","vagroupId":"CHANNEL","content":[18,5,118,105,100,101,111],"timeStamp":"*"}
"#;
const BEN_ACCEPTS: &str = r#"
    ben@ws > {"cmd":5,"msgtype":4,"groupId":"video","sender":"ben","receiver":"anna","reqType":"group","vagroupId":"CHANNEL","resSign":"agree"}
"#;
const BEN_DECLINES: &str = r#"
    ben@ws > {"cmd":5,"msgtype":4,"groupId":"video","sender":"ben","receiver":"anna","vagroupId":"CHANNEL","sign":"refuse"}
"#;
pub(super) const IT_IS_OVER_AT_BEN_S: &str = r#"
    ben@ws < {"cmd":5,"msgtype":4,"sender":"anna","receiver":"ben","reqType":"group","resSign":"cancel","vagroupId":"CHANNEL","callType":"anna","timeStamp":"*"}
"#;
const CARL_S_DEVICE_RINGS: &str = r#"
    13800000002/c@device < {"type":"called","from_phone":"anna","from_device_id":"","room_id":"CHANNEL"}
"#;

#[tokio::test]
async fn a_callee_on_the_message_socket_answers_and_hangs_up() {
    let mut exchange = Exchange::new().await;
    exchange.stage.play(BEN_IS_THERE).await;
    let channel = exchange.call(&["ben"]).await;
    exchange
        .play(&channel, &[IT_RINGS_AT_BEN_S, BEN_ACCEPTS].concat())
        .await;
    let call = exchange.until(&channel, |call| call.answered_s.is_some()).await;
    assert_eq!(call.members[1].status.number(), 1);
    let hangs_up = r#"
        ben@ws > {"cmd":5,"msgtype":4,"sender":"ben","receiver":"anna","vagroupId":"CHANNEL","resSign":"cancel"}
    "#;
    exchange.play(&channel, hangs_up).await;
    assert_eq!(exchange.ending(&channel).await, Ending::Ended);
}

#[tokio::test]
async fn a_callee_on_the_message_socket_declines() {
    let mut exchange = Exchange::new().await;
    exchange.stage.play(BEN_IS_THERE).await;
    let channel = exchange.call(&["ben"]).await;
    exchange
        .play(&channel, &[IT_RINGS_AT_BEN_S, BEN_DECLINES].concat())
        .await;
    assert_eq!(exchange.ending(&channel).await, Ending::Declined);
}

#[tokio::test]
async fn a_callee_who_asks_for_a_token_answers_and_it_rings_no_longer_on_their_socket() {
    let mut exchange = Exchange::new().await;
    exchange.stage.play(BEN_IS_THERE).await;
    let channel = exchange.call(&["ben"]).await;
    exchange.play(&channel, IT_RINGS_AT_BEN_S).await;
    exchange.token("anna", &channel).await;
    assert_eq!(exchange.record(&channel).await.answered_s, None, "she calls");
    exchange.token("ben", &channel).await;
    exchange.play(&channel, IT_IS_OVER_AT_BEN_S).await;
    let call = exchange.record(&channel).await;
    assert!(call.answered_s.is_some() && call.ended_s.is_none());
    exchange.report("ben", &channel, 2).await;
    assert_eq!(exchange.ending(&channel).await, Ending::Ended);
}

#[tokio::test]
async fn a_callee_who_is_absent_is_rung_when_they_come_in_time() {
    let mut exchange = Exchange::new().await;
    let channel = exchange.call(&["ben"]).await;
    assert_eq!(recent(&exchange).await, 1);
    exchange
        .play(&channel, &[BEN_IS_THERE, IT_RINGS_AT_BEN_S, BEN_ACCEPTS].concat())
        .await;
    exchange.until(&channel, |call| call.answered_s.is_some()).await;
}

#[tokio::test]
async fn what_the_caller_and_the_callee_report_stops_the_ringing() {
    for (user, code, ending) in [
        ("anna", 1000, Ending::Cancelled),
        ("anna", 1001, Ending::NoAnswer),
        ("anna", 1002, Ending::Declined),
        ("anna", 1007, Ending::Failed),
        ("anna", 2, Ending::Ended),
        ("ben", 1003, Ending::Declined),
        ("ben", 1006, Ending::Cancelled),
        ("ben", 1007, Ending::Failed),
    ] {
        let mut exchange = Exchange::new().await;
        exchange.stage.play(BEN_IS_THERE).await;
        let channel = exchange.call(&["ben"]).await;
        exchange.play(&channel, IT_RINGS_AT_BEN_S).await;
        exchange.report(user, &channel, code).await;
        assert_eq!(exchange.record(&channel).await.ending, Some(ending), "{user} {code}");
        exchange.play(&channel, IT_IS_OVER_AT_BEN_S).await;
        exchange.play(&channel, BEN_ACCEPTS).await;
        assert_eq!(exchange.record(&channel).await.ending, Some(ending));
    }
}

#[tokio::test]
async fn who_declines_on_one_device_is_not_rung_on_another_nor_where_they_ask() {
    let mut exchange = Exchange::new().await;
    for device in ["c", "d"] {
        exchange.has_device("13800000002", device).await;
    }
    exchange
        .stage
        .play("13800000002/c@device +\n13800000002/d@device +")
        .await;
    exchange.stage.play(BEN_IS_THERE).await;
    let channel = exchange.call(&["13800000002", "ben"]).await;
    let other = CARL_S_DEVICE_RINGS.replace("/c", "/d");
    exchange
        .play(&channel, &[IT_RINGS_AT_BEN_S, CARL_S_DEVICE_RINGS, &other].concat())
        .await;
    let declines = r#"{"type":"called_refuse","from_phone":"anna","from_device_id":"","room_id":"CHANNEL"}"#;
    let declines = declines.replace("CHANNEL", channel.as_str());
    exchange.stage.sends_text("13800000002/c@device", &declines).await;
    exchange
        .until(&channel, |call| call.members[1].status.number() == 2)
        .await;
    exchange.until_heard("13800000002/d@device").await;
    let is_over = r#"
        13800000002/d@device < {"type":"calling_be_hangup","fire_phone":"anna","fire_device_id":"","room_id":"CHANNEL"}
    "#;
    exchange.play(&channel, is_over).await;
    assert_eq!(exchange.record(&channel).await.ended_s, None, "it rings at Ben's");
    exchange.play(&channel, BEN_DECLINES).await;
    assert_eq!(exchange.ending(&channel).await, Ending::Declined);
}

#[tokio::test]
async fn nobody_answers_in_time() {
    let mut exchange = Exchange::new().await;
    exchange.stage.play(BEN_IS_THERE).await;
    let channel = exchange.call(&["ben", "carl"]).await;
    exchange.play(&channel, IT_RINGS_AT_BEN_S).await;
    exchange.pass(61).await;
    assert_eq!(
        exchange.record(&channel).await.ended_s,
        None,
        "the hub has a moment to say so"
    );
    exchange.pass(1).await;
    assert_eq!(exchange.record(&channel).await.ending, Some(Ending::NoAnswer));
    exchange.play(&channel, IT_IS_OVER_AT_BEN_S).await;
}

#[tokio::test]
async fn a_call_goes_on_while_somebody_in_it_is_heard_of_and_no_longer() {
    let exchange = Exchange::new().await;
    let channel = exchange.call(&["ben"]).await;
    for user in ["anna", "ben"] {
        exchange.report(user, &channel, 1).await;
    }
    for _ in 0..4 {
        exchange.pass(30).await;
        exchange.hear("anna", &channel).await.unwrap();
    }
    let call = exchange.record(&channel).await;
    assert_eq!((call.members[0].left_s, call.ended_s), (None, None));
    assert!(call.members[1].left_s.is_some(), "Ben is missed");
    let late = exchange.hear("ben", &channel).await;
    assert!(matches!(late, Err(ChannelError::Over)), "{late:?}");
    exchange.pass(34).await;
    assert_eq!(exchange.record(&channel).await.ended_s, None, "a heartbeat may be late");
    exchange.pass(1).await;
    assert_eq!(exchange.record(&channel).await.ending, Some(Ending::Lost));
    let reports = exchange.records.reports(&channel).await.unwrap();
    let missed = reports.iter().filter(|report| report.code == 3);
    let missed: Vec<_> = missed
        .map(|report| (report.user.as_str(), report.description.as_str()))
        .collect();
    assert_eq!(
        missed,
        [("ben", "通话记录timeout检测"), ("anna", "通话记录timeout检测")]
    );
    let late = exchange.hear("anna", &channel).await;
    assert!(matches!(late, Err(ChannelError::Over)), "{late:?}");
}

#[tokio::test]
async fn who_sends_a_heartbeat_has_to_go_on_and_who_has_sent_none_need_not() {
    let exchange = Exchange::new().await;
    let channel = exchange.call(&["ben"]).await;
    exchange.token("ben", &channel).await;
    exchange.pass(3_600).await;
    let call = exchange.record(&channel).await;
    assert_eq!(call.ended_s, None, "clients that know no heartbeats");
    exchange.hear("ben", &channel).await.unwrap();
    exchange.pass(35).await;
    assert_eq!(exchange.record(&channel).await.ending, Some(Ending::Lost));
}

#[tokio::test]
async fn after_a_restart_everybody_has_their_whole_time_again() {
    let exchange = Exchange::new().await;
    let (talking, ringing) = (exchange.call(&["ben"]).await, exchange.call(&["ben"]).await);
    exchange.report("anna", &talking, 1).await;
    exchange.pass(30).await;
    let restarted = channels(&exchange.stage, &exchange.records, &exchange.passed);
    restarted.load().await.unwrap();
    let look = async |seconds| {
        *exchange.passed.lock().unwrap() += Duration::from_secs(seconds);
        restarted.look().await;
        let ended = exchange.record(&talking).await.ended_s.is_some();
        (ended, exchange.record(&ringing).await.ended_s.is_some())
    };
    assert_eq!(look(34).await, (false, false));
    assert_eq!(look(1).await, (true, false));
    assert_eq!(look(24).await, (true, false));
    assert_eq!(look(1).await, (true, true));
}

#[tokio::test]
async fn what_another_process_has_heard_counts() {
    let exchange = Exchange::new().await;
    let channel = exchange.call(&["ben"]).await;
    exchange.report("anna", &channel, 1).await;
    let other = channels(&exchange.stage, &exchange.records, &exchange.passed);
    other.load().await.unwrap();
    exchange.pass(30).await;
    other.hear(SOMEBODY, &"anna".into(), &channel).await.unwrap();
    other.record_news().await;
    exchange.pass(5).await;
    assert_eq!(exchange.record(&channel).await.ended_s, None);
    exchange.pass(35).await;
    assert_eq!(exchange.record(&channel).await.ending, Some(Ending::Lost));
}
