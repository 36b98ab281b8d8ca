//! The real program in a folder of its own.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

pub const PATIENCE: Duration = Duration::from_secs(60);

/// Exit code, standard output, standard error.
pub type Outcome = (Option<i32>, String, String);

pub struct Program {
    pub folder: TempDir,
    /// A command of `sh` that ends by running `"$@"`.
    wrapper: Option<String>,
}

pub struct RunningProgram {
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// The log. None when it is no longer read.
    stderr: Option<ChildStderr>,
    pub welcome: String,
}

impl Program {
    pub fn new() -> Program {
        Program {
            folder: tempfile::tempdir().unwrap(),
            wrapper: None,
        }
    }

    /// A program with a file system of `kib` on `folder`. `None`, and a line that says so, if the kernel does not
    /// allow that.
    pub fn on_small_disk(folder: &str, kib: u32) -> Option<Program> {
        let program = Program::new();
        std::fs::create_dir(program.path(folder)).unwrap();
        let wrapper = format!("mount -t tmpfs -o size={kib}k none {folder} && exec \"$@\"");
        program.in_namespaces("--mount", wrapper)
    }

    /// A program in a network with nothing but loopback, so that listening on all addresses reaches nobody.
    pub fn on_lonely_network() -> Option<Program> {
        Program::new().in_namespaces("--net", "ip link set lo up && exec \"$@\"".to_owned())
    }

    fn in_namespaces(self, which: &str, wrapper: String) -> Option<Program> {
        let program = Program {
            wrapper: Some(format!(
                "exec unshare --map-root-user {which} sh -c '{wrapper}' sh \"$@\""
            )),
            ..self
        };
        let tried = std::process::Command::new("sh")
            .args(["-c", program.wrapper.as_ref().unwrap(), "sh", "true"])
            .current_dir(program.folder.path())
            .output();
        if tried.is_ok_and(|output| output.status.success()) {
            return Some(program);
        }
        assert!(
            std::env::var_os("CI").is_none(),
            "this test needs a user who may `unshare {which}`"
        );
        let _ = writeln!(std::io::stderr(), "NOT RUN: a test that needs unshare {which}");
        None
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, content: &str) {
        std::fs::write(self.path(name), content).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let program = env!("CARGO_BIN_EXE_patchbay");
        let mut command = match &self.wrapper {
            Some(wrapper) => {
                let mut command = Command::new("sh");
                command.args(["-c", wrapper, "sh", program]);
                command
            }
            None => Command::new(program),
        };
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Runs a command that ends by itself.
    pub async fn run(&self, arguments: &[&str]) -> Outcome {
        self.run_with(arguments, &[], "").await
    }

    pub async fn run_with(&self, arguments: &[&str], environment: &[(&str, &str)], input: &str) -> Outcome {
        let mut command = self.command(arguments);
        command.envs(environment.iter().copied()).stdin(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A program that ends before it has read everything is judged by its exit code.
        let _ = tokio::io::AsyncWriteExt::write_all(&mut stdin, input.as_bytes()).await;
        drop(stdin);
        let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await;
        let output = output.expect("the program ends").unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    /// Starts the server without TLS on ports that the system chooses, and with the storage and files of the folder.
    pub async fn start(&self) -> RunningProgram {
        self.start_with(&["--set", "listeners=[{address=\"127.0.0.1:0\",tls=false}]"])
            .await
    }

    pub async fn start_with(&self, arguments: &[&str]) -> RunningProgram {
        let mut running = self.begin(arguments);
        // Every start prints the media line last.
        while !running.welcome.contains("Media by UDP") {
            let read = running.stdout.read_line(&mut running.welcome);
            let read = tokio::time::timeout(PATIENCE, read)
                .await
                .expect("the server starts")
                .unwrap();
            if read == 0 {
                let mut stderr = String::new();
                running.stderr.unwrap().read_to_string(&mut stderr).await.unwrap();
                panic!("the server ended: {stderr}");
            }
        }
        running
    }

    /// As [`Program::start_with`], without waiting for it.
    pub fn begin(&self, arguments: &[&str]) -> RunningProgram {
        let more = [
            "--set",
            "media.first_port=0",
            "--set",
            "media.workers=1",
            "--set",
            "files.directory=files",
        ];
        let mut child = self.command(&[&more, arguments].concat()).spawn().unwrap();
        RunningProgram {
            stdout: BufReader::new(child.stdout.take().unwrap()),
            stderr: child.stderr.take(),
            child,
            welcome: String::new(),
        }
    }
}

impl RunningProgram {
    /// The page's address, as printed, with `path` instead of "/".
    pub fn url(&self, path: &str) -> String {
        let line = self.welcome.lines().find_map(|line| line.strip_prefix("Open "));
        // A listener on 127.0.0.1 alone; a client might try "localhost" by IPv6 first.
        let page = line
            .expect("the page's address is printed")
            .replace("localhost", "127.0.0.1");
        format!("{}{path}", page.trim_end_matches('/'))
    }

    pub fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    pub fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.id()).unwrap();
        kill(Pid::from_raw(id), signal).unwrap();
    }

    /// Stops reading the log, as when the terminal is closed.
    pub fn stop_reading(&mut self) {
        self.stderr = None;
    }

    /// Reads the log up to a line with `word` in it.
    pub async fn wait_for(&mut self, word: &str) {
        let mut seen = String::new();
        while !seen.contains(word) {
            let mut byte = [0];
            let stderr = self.stderr.as_mut().expect("the log is read");
            let read = tokio::time::timeout(PATIENCE, stderr.read_exact(&mut byte)).await;
            read.expect("the log says it").unwrap();
            seen.push(char::from(byte[0]));
        }
    }

    pub async fn ended(mut self) -> Outcome {
        let (mut stdout, mut stderr) = (self.welcome, String::new());
        let reading = async {
            self.stdout.read_to_string(&mut stdout).await.unwrap();
            if let Some(log) = &mut self.stderr {
                log.read_to_string(&mut stderr).await.unwrap();
            }
            self.child.wait().await.unwrap().code()
        };
        let code = tokio::time::timeout(PATIENCE, reading).await.expect("the server ends");
        (code, stdout, stderr)
    }

    /// Waits until it has ended, while its log is not read. Returns the exit code.
    pub async fn ended_unread(mut self) -> Option<i32> {
        let code = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        code.expect("the server ends").unwrap().code()
    }

    pub async fn stop(self) -> Outcome {
        self.signal(Signal::SIGTERM);
        self.ended().await
    }
}

/// A file that opens, and then never answers a read, as on a disk that hangs.
pub struct HangingFile {
    path: PathBuf,
    writer: Option<std::fs::File>,
}

impl HangingFile {
    /// Takes the place of the file at `path`.
    pub fn instead_of(path: PathBuf) -> HangingFile {
        std::fs::remove_file(&path).unwrap();
        mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        HangingFile { path, writer: None }
    }

    /// Waits until somebody reads it.
    pub async fn is_read(&mut self) {
        let mut options = std::fs::File::options();
        options.write(true).custom_flags(OFlag::O_NONBLOCK.bits());
        let opened = async {
            loop {
                // Until there is a reader, this way of opening a FIFO for writing fails (fifo(7)).
                match options.open(&self.path) {
                    Ok(writer) => return writer,
                    Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            }
        };
        self.writer = Some(tokio::time::timeout(PATIENCE, opened).await.expect("it is read"));
    }
}

/// Whether a file anywhere below `folder` contains `text`.
pub fn is_written_down(folder: &Path, text: &str) -> bool {
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return is_written_down(&path, text);
        }
        let bytes = std::fs::read(path).unwrap_or_default();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    })
}
