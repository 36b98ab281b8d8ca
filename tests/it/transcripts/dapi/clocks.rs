//! Two processes of one database whose machines have different times: calls, heartbeats and tasks go by one time all the same.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use patchbay::channels::{ChannelError, Channels};
use patchbay::clock::WallClock;
use patchbay::config;
use patchbay::ids::RoomName;
use patchbay::storage::{CommonClock, Records, TaskStatus};

use super::{NOW_S, SOMEBODY, Stage, channels_at, stopwatch};
use crate::storage::{Place, on_both};

on_both!(
    a_call_is_listed_for_its_time_by_each_process,
    heartbeats_at_one_process_count_at_the_other_and_a_missed_one_is_noticed,
    a_task_is_made_once_at_its_time_by_whichever_process,
);

/// Seconds by which the clocks of the two machines are ahead of the right time.
const CLOCKS: [[i64; 2]; 6] = [[0, 0], [60, 0], [0, 60], [30, -30], [-60, 0], [0, -60]];

/// Two processes, and the time that has passed for both.
pub(super) struct Pair {
    pub(super) processes: [Channels; 2],
    pub(super) records: Records,
    passed: Arc<Mutex<Duration>>,
    clock: WallClock,
    _stages: [Stage; 2],
}

impl Pair {
    pub(super) async fn new(place: &Place, ahead_s: [i64; 2]) -> Pair {
        let records = place.open().await;
        let passed = Arc::new(Mutex::new(Duration::ZERO));
        let stages = [Stage::new(), Stage::new()];
        let mut processes = Vec::new();
        let mut clock = None;
        for (stage, ahead_s) in stages.iter().zip(ahead_s) {
            let machine_s = (NOW_S + ahead_s).unsigned_abs();
            let machine: WallClock = Arc::new(move || -> SystemTime { UNIX_EPOCH + Duration::from_secs(machine_s) });
            let common = CommonClock::new(&machine, stopwatch(&passed));
            common.adjust(&records).await.unwrap();
            let clocks = (common.wall_clock(), stopwatch(&passed));
            clock.get_or_insert(common.wall_clock());
            processes.push(channels_at(config::Robot::default(), stage, &records, clocks));
        }
        Pair {
            processes: processes.try_into().ok().unwrap(),
            records,
            passed,
            clock: clock.unwrap(),
            _stages: stages,
        }
    }

    pub(super) fn pass(&self, seconds: u64) {
        *self.passed.lock().unwrap() += Duration::from_secs(seconds);
    }

    /// Lets time pass as the servers do, which look at the deadlines and record what they have heard meanwhile.
    async fn live_through(&self, seconds: u64) {
        for _ in 0..seconds / 5 {
            self.pass(5);
            for process in &self.processes {
                process.look().await;
                process.record_news().await;
            }
        }
    }

    fn now_s(&self) -> i64 {
        let since = (self.clock)().duration_since(UNIX_EPOCH).unwrap();
        since.as_secs() as i64
    }

    pub(super) async fn call(&self) -> RoomName {
        let anna = "anna".into();
        let called = self.processes[0].call(SOMEBODY, &anna, vec!["ben".into()], String::new());
        called.await.unwrap().channel
    }

    pub(super) async fn missed(&self, channel: &RoomName) -> Vec<String> {
        let reports = self.records.reports(channel).await.unwrap().into_iter();
        let missed = reports.filter(|report| report.code == 3);
        missed.map(|report| report.user.to_string()).collect()
    }
}

async fn a_call_is_listed_for_its_time_by_each_process(place: &Place) {
    for ahead_s in CLOCKS {
        let pair = Pair::new(place, ahead_s).await;
        let channel = pair.call().await;
        let is_listed = async || {
            let mut listed = Vec::new();
            for process in &pair.processes {
                let calls = process.recent(SOMEBODY, &"ben".into()).await.unwrap();
                listed.push(calls.iter().any(|call| call.channel == channel.as_str()));
            }
            listed
        };
        assert_eq!(is_listed().await, [true, true], "{ahead_s:?}");
        pair.pass(55);
        assert_eq!(is_listed().await, [true, true], "{ahead_s:?}");
        pair.pass(10);
        assert_eq!(is_listed().await, [false, false], "{ahead_s:?}");
    }
}

async fn heartbeats_at_one_process_count_at_the_other_and_a_missed_one_is_noticed(place: &Place) {
    for ahead_s in CLOCKS {
        let pair = Pair::new(place, ahead_s).await;
        let [one, other] = &pair.processes;
        let channel = pair.call().await;
        let beat = async |process: &Channels, user: &str| process.hear(SOMEBODY, &user.into(), &channel).await.unwrap();
        beat(one, "anna").await;
        beat(other, "ben").await;
        // A client may ask either process at any time, so each expects both.
        beat(other, "anna").await;
        beat(one, "ben").await;
        for _ in 0..12 {
            pair.live_through(25).await;
            beat(one, "anna").await;
            beat(other, "ben").await;
        }
        assert_eq!(pair.missed(&channel).await, [""; 0], "{ahead_s:?}");
        for _ in 0..3 {
            pair.live_through(25).await;
            beat(one, "anna").await;
        }
        assert_eq!(pair.missed(&channel).await, ["ben"], "{ahead_s:?}");
        let call = pair.records.call(&channel).await.unwrap().unwrap();
        assert_eq!(call.ended_s, None, "{ahead_s:?}");
    }
}

async fn a_task_is_made_once_at_its_time_by_whichever_process(place: &Place) {
    for ahead_s in CLOCKS {
        let pair = Pair::new(place, ahead_s).await;
        let [one, other] = &pair.processes;
        let schedule = async |process: &Channels, in_s: i64| {
            let people = (&"anna".into(), vec!["ben".into()]);
            let due_s = pair.now_s() + in_s;
            process.schedule(SOMEBODY, None, people, due_s, "7".to_owned()).await
        };
        for process in [one, other] {
            let refused = schedule(process, -10).await;
            assert!(matches!(refused, Err(ChannelError::Past)), "{ahead_s:?}: {refused:?}");
        }
        let mine = schedule(one, 20).await.unwrap();
        let theirs = schedule(other, 20).await.unwrap();
        let made = async || {
            for process in [one, other, one, other] {
                process.make_due_calls().await.unwrap();
            }
            let (tasks, _) = pair.records.tasks(&"anna".into(), 0, 100).await.unwrap();
            let ours = tasks.iter().filter(|task| [mine, theirs].contains(&task.id));
            ours.filter(|task| task.status == TaskStatus::Fired).count()
        };
        pair.pass(15);
        assert_eq!(made().await, 0, "{ahead_s:?}");
        pair.pass(6);
        assert_eq!(made().await, 2, "{ahead_s:?}");
        let open = pair.records.open_channels().await.unwrap().len();
        assert_eq!(made().await, 2, "{ahead_s:?}");
        assert_eq!(pair.records.open_channels().await.unwrap().len(), open, "{ahead_s:?}");
    }
}
