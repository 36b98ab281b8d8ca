//! Processes that a scenario starts; they are ended by their id when it is over, however it ends.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

/// The most lines that are kept of a process's output: enough to see why it failed.
const OUTPUT_LINES_MAX: usize = 2_000;
/// Looks, five milliseconds apart, at whether all of the output of a process that has ended is read. A child that outlives it
/// may hold the output open, so they are bounded.
const OUTPUT_LOOKS_MAX: usize = 1_000;

pub struct Process {
    child: Child,
    output: Arc<Mutex<Vec<String>>>,
    lines: mpsc::Receiver<String>,
    readers: [JoinHandle<()>; 2],
}

impl Process {
    /// Starts it with both outputs read line by line. Panics with a sentence if there is no such program.
    pub fn start(mut command: Command) -> Process {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let output = Arc::new(Mutex::new(Vec::new()));
        let (sender, lines) = mpsc::channel();
        let readers = [
            read_lines(child.stdout.take().unwrap(), output.clone(), sender.clone()),
            read_lines(child.stderr.take().unwrap(), output.clone(), sender),
        ];
        Process {
            child,
            output,
            lines,
            readers,
        }
    }

    /// The first line for which `find` has an answer.
    pub fn wait_for_line<T>(&self, what: &str, find: impl Fn(&str) -> Option<T>) -> T {
        loop {
            match self.lines.recv_timeout(Duration::from_secs(20)) {
                Ok(line) => {
                    if let Some(found) = find(&line) {
                        return found;
                    }
                }
                Err(_) => panic!("no line about {what}; it printed:\n{}", self.output()),
            }
        }
    }

    /// The memory that it holds now, in KiB; 0 if the system does not say.
    #[allow(dead_code, reason = "each binary uses its own part of the common support")]
    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok())
            .unwrap_or(0)
    }

    pub fn output(&self) -> String {
        self.output.lock().unwrap().join("\n")
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has ended by itself and [`output`](Process::output) has all that it printed.
    pub fn wait(&mut self) -> ExitStatus {
        let status = self.child.wait().unwrap();
        for _ in 0..OUTPUT_LOOKS_MAX {
            if self.readers.iter().all(JoinHandle::is_finished) {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        status
    }

    /// Asks it to end, as an administrator would, and waits until it has.
    pub fn terminate(&mut self) {
        signal(self.child.id(), "TERM");
        self.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_lines(
    from: impl Read + Send + 'static,
    output: Arc<Mutex<Vec<String>>>,
    sender: mpsc::Sender<String>,
) -> JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            let mut output = output.lock().unwrap();
            if output.len() < OUTPUT_LINES_MAX {
                output.push(line.clone());
            }
            drop(output);
            let _ = sender.send(line);
        }
    })
}

/// Sends a signal to a process by its id; one that has ended already is no error.
pub fn signal(pid: u32, name: &str) {
    // The shell's own `kill`: it needs no package.
    let command = format!("kill -{name} {pid}");
    let _ = Command::new("sh").args(["-c", &command]).stderr(Stdio::null()).status();
}
