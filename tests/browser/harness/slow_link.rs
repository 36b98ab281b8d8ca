//! A link between this network and a second one, in a network namespace of its own, in which a viewer's browser runs. What goes
//! to the viewer passes a token bucket with a queue (`tc`, qdisc `tbf`), whose rate a test can change.

use std::io::Write;
use std::process::Command;

use crate::support::process::Process;

/// Our end of the link, and the viewer's.
const HERE: &str = "10.77.0.1";
const THERE: &str = "10.77.0.2";
/// Port of this end at which the viewer reaches the server. The network is the test's own, so nobody else has it.
const PORT: u16 = 18_443;
/// Time for which a packet may wait in the bucket's queue; longer ones are dropped.
const QUEUE: &str = "200ms";

pub struct SlowLink {
    /// A process that does nothing but keep the viewer's network; it ends with the test.
    keeper: Process,
}

impl SlowLink {
    /// `None`, and a line that says so, if this user may not make networks.
    pub fn new(kbit: u32) -> Option<SlowLink> {
        let may = Command::new("unshare").args(["--net", "true"]).output();
        if !may.is_ok_and(|output| output.status.success()) {
            assert!(
                std::env::var_os("CI").is_none(),
                "this test needs a user who may `unshare --net`"
            );
            let _ = writeln!(std::io::stderr(), "NOT RUN: a test that needs unshare --net");
            return None;
        }
        let mut command = Command::new("unshare");
        command.args(["--net", "sh", "-c", "ip link set lo up && echo ready && exec sleep 600"]);
        let keeper = Process::start(command);
        keeper.wait_for_line("the viewer's network", |line| (line == "ready").then_some(()));
        let pid = keeper.pid();
        run(&format!(
            "ip link add patchbay0 type veth peer name patchbay1 netns {pid}"
        ));
        run(&format!("ip addr add {HERE}/24 dev patchbay0"));
        // An address of IPv6 would come a second later, and Chromium breaks off what it loads when an address comes.
        run("ip link set patchbay0 addrgenmode none");
        run("ip link set patchbay0 up");
        let link = SlowLink { keeper };
        link.run_there(&format!("ip addr add {THERE}/24 dev patchbay1"));
        link.run_there("ip link set patchbay1 addrgenmode none");
        link.run_there("ip link set patchbay1 up");
        run(&format!("tc qdisc add dev patchbay0 root {}", bucket(kbit)));
        link.until_up();
        Some(link)
    }

    /// Changes the rate at which packets reach the viewer.
    pub fn set_rate(&self, kbit: u32) {
        run(&format!("tc qdisc change dev patchbay0 root {}", bucket(kbit)));
    }

    /// Lines of configuration that let the server answer at this end, too.
    pub fn configuration() -> String {
        format!(
            "bind_addresses = [\"127.0.0.1\", \"{HERE}\"]\n[[listeners]]\naddress = \"{HERE}:{PORT}\"\ntls = true\n"
        )
    }

    /// The address of a page, as the viewer reaches it.
    pub fn page(path: &str) -> String {
        format!("https://{HERE}:{PORT}{path}")
    }

    /// A program that will run in the viewer's network.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args([&format!("--net=/proc/{}/ns/net", self.keeper.pid()), program]);
        command
    }

    /// The viewer's address.
    pub fn address() -> &'static str {
        THERE
    }

    /// Waits until the viewer's end carries packets. That may take a second after a link was made not long ago, and before it a driver
    /// does not count its address as its own, and answers with a sentence.
    fn until_up(&self) {
        for _ in 0..50 {
            let mut command = self.command("ip");
            command.args(["-o", "link", "show", "patchbay1"]);
            let output = command.output().expect("ip runs");
            if String::from_utf8_lossy(&output.stdout).contains("state UP") {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        panic!("the viewer's link does not come up");
    }

    fn run_there(&self, line: &str) {
        let mut words = line.split(' ');
        let mut command = self.command(words.next().unwrap_or_default());
        command.args(words);
        succeed(command);
    }
}

impl Drop for SlowLink {
    fn drop(&mut self) {
        // The other end goes with it.
        let _ = Command::new("ip").args(["link", "del", "patchbay0"]).output();
    }
}

fn bucket(kbit: u32) -> String {
    format!("tbf rate {kbit}kbit burst 5kb latency {QUEUE}")
}

fn run(line: &str) {
    let mut words = line.split(' ');
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words);
    succeed(command);
}

fn succeed(mut command: Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
