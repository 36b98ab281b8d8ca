//! A firewall between browsers and the server, by `nft`: what it drops is gone without a word, as on the networks of offices and hotels.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::support::server::Server;

/// Rules that last until this is dropped. They are about the ports of one server only.
pub struct Firewall {
    table: String,
}

/// The ports at which a server takes media: by UDP, and by TCP without that of the pages.
pub struct MediaPorts {
    pub udp: Vec<u16>,
    pub tcp: Vec<u16>,
}

impl MediaPorts {
    pub fn of(server: &Server) -> MediaPorts {
        let log = server.log();
        let ports = |beginning: &str| -> Vec<u16> {
            let line = log.lines().find_map(|line| line.strip_prefix(beginning));
            let addresses = line
                .unwrap_or_else(|| panic!("no line {beginning}:\n{log}"))
                .split(", ");
            let port = |address: &str| address.rsplit_once(':').unwrap().1.parse().unwrap();
            let mut ports: Vec<u16> = addresses.map(port).collect();
            ports.sort_unstable();
            ports.dedup();
            ports
        };
        let pages = server.page("");
        let is_of_pages = |port: &u16| pages.ends_with(&format!(":{port}"));
        let mut tcp = ports("Media by TCP on ");
        tcp.retain(|port| !is_of_pages(port));
        MediaPorts {
            udp: ports("Media by UDP on "),
            tcp,
        }
    }
}

impl Firewall {
    /// Drops what is sent to these ports. `None`, and a line that says so, if this user may make no rules.
    pub fn closing(udp: &[u16], tcp: &[u16]) -> Option<Firewall> {
        let table = format!("patchbay_{}", std::process::id());
        let rule = |protocol: &str, ports: &[u16]| match ports {
            [] => String::new(),
            _ => {
                let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
                format!("{protocol} dport {{ {} }} counter drop", ports.join(", "))
            }
        };
        let (udp, tcp) = (rule("udp", udp), rule("tcp", tcp));
        let hook = "type filter hook input priority 0;";
        let rules = format!("table inet {table} {{\nchain input {{\n{hook}\n{udp}\n{tcp}\n}}\n}}\n");
        if nft(&rules) {
            return Some(Firewall { table });
        }
        assert!(
            std::env::var_os("CI").is_none(),
            "this test needs a user who may use `nft`"
        );
        let _ = writeln!(std::io::stderr(), "NOT RUN: a test that needs nft");
        None
    }

    /// The packets that it has dropped.
    pub fn dropped(&self) -> u64 {
        let listed = Command::new("nft")
            .args(["list", "table", "inet", &self.table])
            .output();
        let listed = String::from_utf8(listed.unwrap().stdout).unwrap();
        let counts = listed.split("counter packets ").skip(1);
        counts
            .map(|rest| rest.split(' ').next().unwrap().parse::<u64>().unwrap())
            .sum()
    }
}

impl Drop for Firewall {
    fn drop(&mut self) {
        nft(&format!("delete table inet {}", self.table));
    }
}

fn nft(rules: &str) -> bool {
    let mut command = Command::new("nft");
    let child = command
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else { return false };
    let given = child
        .stdin
        .take()
        .is_some_and(|mut input| input.write_all(rules.as_bytes()).is_ok());
    child.wait().is_ok_and(|status| given && status.success())
}
