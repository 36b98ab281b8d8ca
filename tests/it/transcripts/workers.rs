//! Media workers that do nothing, for tests of the layers above them.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use patchbay::ids::WorkerId;
use patchbay::media::doorbell::Doorbell;
use patchbay::media::engine::MediaEngine;
use patchbay::media::launch::{COMMANDS, Launch, MediaStartError, WorkerPort};
use patchbay::media::load::Load;
use patchbay::media::messages::DriverCommand;
use patchbay::media::session::LocalEnd;
use tokio::sync::mpsc;

const WORKERS: usize = 2;

/// Workers that do nothing; tests can read their commands.
#[derive(Clone)]
pub struct FakeWorkers(Arc<Mutex<State>>);

struct State {
    sender: mpsc::Sender<DriverCommand>,
    /// The commands of all workers, in their order.
    commands: mpsc::Receiver<DriverCommand>,
    /// Loads by worker.
    loads: Vec<Arc<Load>>,
    /// The number of times that each worker was made.
    launched: Vec<usize>,
}

impl Launch for FakeWorkers {
    fn launch(&mut self, worker: WorkerId, generation: u8, _now: Instant) -> Result<WorkerPort, MediaStartError> {
        let mut state = self.0.lock().unwrap();
        assert_eq!(usize::from(generation), state.launched[worker.0]);
        state.launched[worker.0] += 1;
        state.loads[worker.0] = Arc::new(Load::new(None));
        let local = LocalEnd {
            fingerprint: [7; 32],
            spare_fingerprint: [8; 32],
            candidates: ["127.0.0.1:4000", "[::1]:4000"]
                .map(|a| a.parse::<SocketAddr>().unwrap())
                .to_vec(),
            tcp_candidates: Vec::new(),
            worker,
        };
        Ok(WorkerPort {
            commands: state.sender.clone(),
            doorbell: Arc::new(Doorbell::new(None)),
            load: state.loads[worker.0].clone(),
            local,
            cpu: None,
            tcp: None,
            relay: None,
        })
    }

    fn abandon(&mut self, _worker: WorkerId) {}
}

impl FakeWorkers {
    pub fn start() -> (FakeWorkers, MediaEngine) {
        let (sender, commands) = mpsc::channel(COMMANDS);
        let workers = FakeWorkers(Arc::new(Mutex::new(State {
            sender,
            commands,
            loads: (0..WORKERS).map(|_| Arc::new(Load::new(None))).collect(),
            launched: vec![0; WORKERS],
        })));
        #[allow(clippy::disallowed_methods, reason = "nothing here is timed")]
        let now = Instant::now();
        let media = MediaEngine::with(Box::new(workers.clone()), WORKERS, now);
        (workers, media.unwrap())
    }

    /// The next command to any worker, in the order in which they were sent.
    pub fn next(&self) -> Option<DriverCommand> {
        self.0.lock().unwrap().commands.try_recv().ok()
    }

    /// Makes it look as if its thread had ended.
    pub fn end(&self, worker: usize) {
        self.0.lock().unwrap().loads[worker].end();
    }
}
