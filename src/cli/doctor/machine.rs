//! What the machine gives the server: descriptors, buffers, segments, space, a clock. [`Facts`] are looked up; what they mean is
//! pure.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::sys::resource::{Resource, getrlimit};
use nix::sys::statvfs::statvfs;

use super::report::Finding;
use crate::config::Config;
use crate::media::driver::{self, Abilities};

/// Descriptors for everything but connections: database, log, media sockets, uploads and downloads in progress.
const OTHER_DESCRIPTORS: u64 = 256 + 1_024;
/// The part of the buffer that media ask for with which a burst of key frames still fits: the kernel counts a packet of 1,200 bytes
/// as more than 2,000.
const ENOUGH_BUFFER: usize = 2 * 1024 * 1024;
/// Free space below which a database that grows, or one upload, fills the disk.
const LITTLE_SPACE: u64 = 1024 * 1024 * 1024;
const NO_SPACE: u64 = 16 * 1024 * 1024;
/// Time by which a clock may be wrong before tokens and certificates are judged wrongly.
const CLOCK_OFF_MAX: Duration = Duration::from_secs(5);

pub(super) struct Facts {
    /// The largest number of descriptors that the program may ask for.
    pub(super) descriptors: u64,
    pub(super) media: Option<Abilities>,
    /// Free bytes where these folders are, or will be.
    pub(super) free: Vec<(PathBuf, u64)>,
    pub(super) now: SystemTime,
    /// The time at which the program was built.
    pub(super) built: SystemTime,
    /// The database's time less ours, in seconds; 0 where the database is a file.
    pub(super) database_ahead_s: f64,
}

impl Facts {
    pub(super) fn look_up(config: &Config, now: SystemTime) -> Facts {
        let database = config.storage.url.strip_prefix("sqlite:").map(Path::new);
        let folders = [database.and_then(Path::parent), Some(&*config.files.directory)];
        Facts {
            descriptors: getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(_, hard)| hard),
            media: driver::abilities().ok(),
            free: folders
                .into_iter()
                .flatten()
                .filter_map(|folder| Some((folder.to_owned(), free_bytes(folder)?)))
                .collect(),
            now,
            built: SystemTime::UNIX_EPOCH + Duration::from_secs(env!("BUILT_AT_UNIX_S").parse().unwrap_or_default()),
            database_ahead_s: 0.0,
        }
    }
}

/// The free bytes of the disk that has the folder, or the nearest one above it that exists.
fn free_bytes(folder: &Path) -> Option<u64> {
    let found = folder
        .ancestors()
        .chain([Path::new(".")])
        .find_map(|path| statvfs(path).ok())?;
    Some(found.blocks_available().saturating_mul(found.fragment_size()))
}

/// What the facts mean for this configuration.
pub(super) fn judge(facts: &Facts, config: &Config) -> Vec<Finding> {
    let mut findings = vec![descriptors(facts, config), clock(facts)];
    findings.extend(database_clock(facts));
    findings.extend(facts.free.iter().map(|(folder, free)| space(folder, *free)));
    if let Some(media) = &facts.media {
        findings.extend(buffers(media, config.is_loopback_only()));
        findings.push(segments(media));
    }
    findings
}

fn descriptors(facts: &Facts, config: &Config) -> Finding {
    // Media by TCP has as many places as pages have, and so has the relay.
    let doors = 1 + u64::from(config.media.tcp) + u64::from(config.relays());
    let needed = doors * config.http.max_connections as u64 + config.limits.max_sessions as u64 + OTHER_DESCRIPTORS;
    let seen = format!("{} are allowed, and {needed} needed at most", facts.descriptors);
    match facts.descriptors >= needed {
        true => Finding::good("descriptors", seen),
        false => Finding::warning(
            "descriptors",
            seen,
            "Raise the limit (LimitNOFILE= in the systemd unit, ulimit -n), or lower limits.max_sessions and http.max_connections.",
        ),
    }
}

fn clock(facts: &Facts) -> Finding {
    match facts.now < facts.built {
        false => Finding::good("clock", "later than this program was built"),
        true => Finding::fault(
            "clock",
            "this machine's clock shows a time before this program was built",
            "Set it (timedatectl set-ntp true): certificates and tokens are judged by it.",
        ),
    }
}

fn database_clock(facts: &Facts) -> Option<Finding> {
    let off = facts.database_ahead_s.abs() > CLOCK_OFF_MAX.as_secs_f64();
    off.then(|| {
        Finding::warning(
            "database-clock",
            format!(
                "the database's clock differs from this machine's by {:.0} s",
                facts.database_ahead_s.abs()
            ),
            "Set both by NTP (timedatectl set-ntp true).",
        )
    })
}

fn space(folder: &Path, free: u64) -> Finding {
    let seen = format!("{} MiB are free in {}", free / (1024 * 1024), folder.display());
    let advice = "Make room, or move the folder to a larger disk (storage.url, files.directory).";
    match free {
        ..NO_SPACE => Finding::fault("disk", seen, advice),
        NO_SPACE..LITTLE_SPACE => Finding::warning("disk", seen, advice),
        _ => Finding::good("disk", seen),
    }
}

/// A machine that only its own clients reach loses no packets for lack of a buffer.
fn buffers(media: &Abilities, is_loopback_only: bool) -> Option<Finding> {
    let least = media.receive_buffer.min(media.send_buffer);
    let seen = format!("the system gives media sockets buffers of {} KiB", least / 1024);
    match least < ENOUGH_BUFFER {
        false => Some(Finding::good("udp-buffers", seen)),
        true if is_loopback_only => None,
        true => Some(Finding::warning(
            "udp-buffers",
            seen,
            "Packets are lost when many come at once. Allow 8 MiB: sysctl -w net.core.rmem_max=8388608 net.core.wmem_max=8388608.",
        )),
    }
}

fn segments(media: &Abilities) -> Finding {
    match media.segments_sent > 1 && media.segments_received > 1 {
        true => Finding::good(
            "udp-segments",
            "many packets are sent, and received, at once (GSO, GRO)",
        ),
        false => Finding::warning(
            "udp-segments",
            "this system sends or receives one UDP packet at a time (no GSO or GRO)",
            "Forwarding costs several times more. Linux has both since 5.0; some sandboxes take them away.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::Level;
    use super::*;

    fn facts() -> Facts {
        let built = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        Facts {
            descriptors: 524_288,
            media: Some(Abilities {
                receive_buffer: 16 << 20,
                send_buffer: 16 << 20,
                segments_sent: 64,
                segments_received: 64,
            }),
            free: vec![("data".into(), 50 << 30)],
            now: built + Duration::from_secs(60),
            built,
            database_ahead_s: -1.0,
        }
    }

    fn open() -> Config {
        let mut config = Config::default();
        config.listeners[0].address = "0.0.0.0:8443".parse().unwrap();
        config
    }

    /// The checks that are not good, of a sound machine that `change` has made worse.
    fn found(change: impl FnOnce(&mut Facts)) -> Vec<(&'static str, Level)> {
        let mut facts = facts();
        change(&mut facts);
        let findings = judge(&facts, &open()).into_iter();
        let findings = findings.filter(|finding| finding.level != Level::Good);
        findings.map(|finding| (finding.check, finding.level)).collect()
    }

    fn media(change: impl FnOnce(&mut Abilities)) -> Vec<(&'static str, Level)> {
        found(|facts| change(facts.media.as_mut().unwrap()))
    }

    #[test]
    fn each_lack_of_a_machine_is_one_finding_and_a_sound_one_has_none() {
        assert_eq!(found(|_| {}), []);
        let warned = |check| vec![(check, Level::Warning)];
        assert_eq!(found(|facts| facts.descriptors = 1_024), warned("descriptors"));
        assert_eq!(found(|facts| facts.free[0].1 = 900 << 20), warned("disk"));
        assert_eq!(found(|facts| facts.free[0].1 = 1 << 20), [("disk", Level::Fault)]);
        assert_eq!(found(|facts| facts.database_ahead_s = 6.0), warned("database-clock"));
        assert_eq!(
            found(|facts| facts.database_ahead_s = -3_600.0),
            warned("database-clock")
        );
        let before = |facts: &mut Facts| facts.now = facts.built - Duration::from_secs(1);
        assert_eq!(found(before), [("clock", Level::Fault)]);
        assert_eq!(media(|media| media.receive_buffer = 425_984), warned("udp-buffers"));
        assert_eq!(media(|media| media.send_buffer = 425_984), warned("udp-buffers"));
        assert_eq!(media(|media| media.segments_sent = 1), warned("udp-segments"));
        assert_eq!(media(|media| media.segments_received = 1), warned("udp-segments"));
    }

    #[test]
    fn small_buffers_are_enough_on_loopback() {
        let mut facts = facts();
        facts.media.as_mut().unwrap().receive_buffer = 425_984;
        let findings = judge(&facts, &Config::default());
        assert!(
            findings.iter().all(|finding| finding.level == Level::Good),
            "{findings:?}"
        );
    }

    #[test]
    fn the_machine_of_this_test_can_be_looked_up() {
        #[allow(clippy::disallowed_methods, reason = "the machine's clock is one of the facts")]
        let facts = Facts::look_up(&Config::default(), SystemTime::now());
        assert!(facts.descriptors > 0 && facts.now >= facts.built && facts.free.len() == 2);
        assert!(facts.media.is_some());
    }
}
