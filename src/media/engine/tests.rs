//! Workers are lost and replaced, without a thread.

use std::sync::Mutex;
use std::time::Duration;

use super::*;
use crate::ids::PeerId;
use crate::media::doorbell::Doorbell;
use crate::media::load::Load;
use crate::media::virtual_time;

const NOBODY: [usize; 0] = [];

/// Workers whose commands only the test takes.
#[derive(Clone, Default)]
struct Fakes(Arc<Mutex<FakeState>>);

#[derive(Default)]
struct FakeState {
    /// The newest worker for each index.
    workers: Vec<(Arc<Load>, mpsc::Receiver<DriverCommand>)>,
    /// The workers made, with the number of workers that had each one's place before.
    launched: Vec<(usize, u8)>,
    cannot: bool,
}

impl Launch for Fakes {
    fn launch(&mut self, worker: WorkerId, generation: u8, now: Instant) -> Result<WorkerPort, MediaStartError> {
        let mut state = self.0.lock().unwrap();
        if state.cannot {
            return Err(MediaStartError::Hangs);
        }
        state.launched.push((worker.0, generation));
        let (commands, receiver) = mpsc::channel(4);
        let load = Arc::new(Load::new(Some(Pulse::new(now))));
        let made = (load.clone(), receiver);
        match state.workers.get_mut(worker.0) {
            Some(earlier) => *earlier = made,
            None => state.workers.push(made),
        }
        Ok(WorkerPort {
            commands,
            doorbell: Arc::new(Doorbell::new(None)),
            load,
            local: LocalEnd {
                fingerprint: [0; 32],
                spare_fingerprint: [1; 32],
                candidates: Vec::new(),
                tcp_candidates: Vec::new(),
                worker,
            },
            cpu: None,
            tcp: None,
            relay: None,
        })
    }

    fn abandon(&mut self, _worker: WorkerId) {}
}

struct Stage {
    now: Instant,
    fakes: Fakes,
    media: MediaEngine,
}

impl Stage {
    fn new(workers: usize) -> Stage {
        let fakes = Fakes::default();
        let now = virtual_time::epoch();
        let media = MediaEngine::with(Box::new(fakes.clone()), workers, now).unwrap();
        Stage { now, fakes, media }
    }

    /// Passes some seconds in which all workers turn except one.
    fn pass(&mut self, seconds: u32, hanging: Option<usize>) {
        for _ in 0..seconds {
            self.now += Duration::from_secs(1);
            for (index, (load, _)) in self.fakes.0.lock().unwrap().workers.iter().enumerate() {
                if Some(index) != hanging {
                    load.beat(self.now);
                }
            }
            self.media.tick(self.now);
        }
    }

    fn end(&mut self, worker: usize) {
        self.fakes.0.lock().unwrap().workers[worker].0.end();
    }

    fn lost(&mut self) -> Vec<usize> {
        std::iter::from_fn(|| self.media.poll_lost(self.now).map(|worker| worker.0)).collect()
    }

    fn close(&mut self, worker: usize, peer: u64) {
        self.media.send(WorkerId(worker), MediaCommand::Close(PeerId(peer)));
    }

    /// The commands that a worker has been sent and has not yet taken, in words.
    fn taken(&mut self, worker: usize) -> Vec<String> {
        let mut state = self.fakes.0.lock().unwrap();
        let commands = std::iter::from_fn(|| state.workers[worker].1.try_recv().ok());
        let word = |command| match command {
            DriverCommand::Media(MediaCommand::Close(peer)) => format!("close {peer}"),
            DriverCommand::Link {
                far: Far::Worker(other),
                ..
            } => format!("link {other}"),
            DriverCommand::Unlink { other } => format!("unlink {other}"),
            DriverCommand::Report { rooms, .. } => format!("report {rooms:?}"),
            DriverCommand::Shutdown => "shutdown".to_owned(),
            _ => "another".to_owned(),
        };
        commands.map(word).collect()
    }

    fn launched(&self) -> Vec<(usize, u8)> {
        self.fakes.0.lock().unwrap().launched.clone()
    }
}

#[test]
fn a_worker_that_ended_is_reported_once_and_replaced() {
    let mut stage = Stage::new(2);
    assert_eq!(stage.lost(), NOBODY);
    stage.end(1);
    assert_eq!(stage.lost(), [1]);
    assert_eq!(stage.lost(), NOBODY);
    assert_eq!(stage.launched(), [(0, 0), (1, 0), (1, 1)]);
    stage.close(1, 7);
    assert_eq!(stage.taken(1), ["close 7"], "the worker in its place takes commands");
}

#[test]
fn a_worker_that_does_not_take_its_commands_is_lost_and_the_others_go_on() {
    let mut stage = Stage::new(2);
    for peer in 0..4 {
        stage.close(0, peer);
    }
    assert_eq!(stage.lost(), NOBODY, "they are as many as may wait");
    stage.close(0, 4);
    stage.close(1, 5);
    assert_eq!(stage.lost(), [0]);
    assert_eq!(stage.taken(1), ["close 5"]);
    assert_eq!(
        stage.taken(0),
        [""; 0],
        "nothing of the lost one's goes to the one in its place"
    );
}

#[test]
fn a_worker_that_no_longer_takes_commands_is_lost_with_the_next_one() {
    let mut stage = Stage::new(2);
    stage.fakes.0.lock().unwrap().workers[1].1.close();
    assert_eq!(stage.lost(), NOBODY, "its thread has not said that it has ended");
    stage.close(1, 7);
    stage.close(0, 8);
    assert_eq!(stage.lost(), [1]);
    assert_eq!(stage.taken(0), ["close 8"]);
}

#[test]
fn a_worker_that_does_not_turn_for_ten_seconds_is_lost() {
    let mut stage = Stage::new(2);
    stage.pass(30, None);
    stage.pass(9, Some(1));
    assert_eq!(stage.lost(), NOBODY);
    stage.pass(1, None);
    stage.pass(9, Some(1));
    assert_eq!(stage.lost(), NOBODY, "it turned between");
    stage.pass(1, Some(1));
    assert_eq!(stage.lost(), [1]);
    assert_eq!(stage.launched()[2..], [(1, 1)]);
    stage.pass(9, Some(1));
    assert_eq!(stage.lost(), NOBODY, "the worker in its place has as much time");
}

#[test]
fn seconds_in_which_the_whole_process_stood_still_are_nobodys_fault() {
    let mut stage = Stage::new(1);
    stage.pass(1, None);
    stage.now += Duration::from_secs(3_600);
    stage.media.tick(stage.now);
    assert_eq!(stage.lost(), NOBODY);
}

#[test]
fn new_rooms_go_to_workers_that_turn() {
    let mut stage = Stage::new(3);
    stage.pass(2, Some(0));
    let rooms: Vec<_> = (0..4).map(|_| stage.media.place_room().unwrap().0).collect();
    assert_eq!(rooms, [1, 2, 1, 2], "the first has stopped turning");
    stage.fakes.0.lock().unwrap().cannot = true;
    stage.end(1);
    stage.end(2);
    assert_eq!(stage.lost(), [1, 2]);
    assert_eq!(
        stage.media.place_room(),
        Some(WorkerId(0)),
        "one that may be lost is better than none"
    );
    stage.end(0);
    assert_eq!(stage.lost(), [0]);
    assert_eq!(stage.media.place_room(), None);
    assert!(!stage.media.has_worker());
}

#[test]
fn a_worker_that_is_lost_again_and_again_is_left_out_until_a_minute_has_passed() {
    let mut stage = Stage::new(2);
    for _ in 0..4 {
        stage.end(0);
        assert_eq!(stage.lost(), [0]);
    }
    assert_eq!(stage.launched().last(), Some(&(0, 3)));
    stage.pass(59, None);
    assert_eq!(stage.lost(), NOBODY, "it is lost once only");
    assert_eq!(stage.launched().last(), Some(&(0, 3)));
    assert_eq!(stage.media.least_busy(|worker| worker.0 == 0), None);
    stage.close(0, 1);
    stage.pass(1, None);
    assert_eq!(stage.launched().last(), Some(&(0, 4)));
    assert_eq!(stage.media.least_busy(|worker| worker.0 == 0), Some(WorkerId(0)));
}

#[test]
fn links_with_a_lost_worker_end_and_are_made_anew_when_they_are_needed() {
    let mut stage = Stage::new(3);
    stage.media.link(0, 1);
    stage.media.link(1, 0);
    stage.media.link(2, 0);
    assert_eq!(stage.taken(0), ["link 1", "link 2"]);
    assert_eq!(stage.taken(1), ["link 0"]);
    stage.end(0);
    assert_eq!(stage.lost(), [0]);
    assert_eq!(stage.taken(1), ["unlink 0"]);
    assert_eq!(stage.taken(2), ["link 0", "unlink 0"]);
    assert_eq!(stage.taken(0), [""; 0]);
    stage.media.link(1, 0);
    assert_eq!(stage.taken(0), ["link 1"]);
    assert_eq!(stage.taken(1), ["link 0"]);
}

#[test]
fn a_link_with_a_worker_that_is_found_lost_by_it_is_not_made() {
    let mut stage = Stage::new(2);
    for peer in 0..4 {
        stage.close(0, peer);
    }
    stage.media.link(0, 1);
    assert_eq!(stage.lost(), [0]);
    assert_eq!(stage.taken(1), ["unlink 0"]);
    stage.media.link(0, 1);
    assert_eq!(
        (stage.taken(0), stage.taken(1)),
        (vec!["link 1".to_owned()], vec!["link 0".to_owned()])
    );
}

#[test]
fn it_can_be_seen_which_workers_turn() {
    let mut stage = Stage::new(2);
    let watch = stage.media.watch();
    assert_eq!(watch.turning(stage.now), [true, true]);
    stage.pass(2, Some(1));
    assert_eq!(watch.turning(stage.now), [true, false]);
    stage.end(1);
    stage.fakes.0.lock().unwrap().cannot = true;
    assert_eq!(stage.lost(), [1]);
    assert_eq!(watch.turning(stage.now), [true, false]);
    stage.fakes.0.lock().unwrap().cannot = false;
    stage.pass(1, None);
    assert_eq!(watch.turning(stage.now), [true, true]);
}

#[test]
fn workers_end_when_the_handle_is_dropped() {
    let mut stage = Stage::new(1);
    let other = Stage::new(1).media;
    drop(std::mem::replace(&mut stage.media, other));
    assert_eq!(stage.taken(0), ["shutdown"]);
}
