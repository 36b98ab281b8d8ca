//! The CPU time and memory of a process on this machine, as Linux reports them.

use std::fs;

use super::error::LoadError;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// User and system time of all its threads that live now.
    pub(crate) cpu_ns: u64,
    pub rss_bytes: u64,
}

/// Reads the usage. `/proc/PID/task/*/schedstat` has nanoseconds (proc(5)), where `stat` has
/// hundredths of a second.
pub(crate) fn usage(pid: u32) -> Result<Usage, LoadError> {
    let no_process = |_| LoadError::NoProcess { pid };
    let mut cpu_ns = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task")).map_err(no_process)?.flatten() {
        let text = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        cpu_ns += text
            .split(' ')
            .next()
            .and_then(|word| word.parse::<u64>().ok())
            .unwrap_or(0);
    }
    let status = fs::read_to_string(format!("/proc/{pid}/status")).map_err(no_process)?;
    let rss_kib = status.lines().find_map(|line| {
        line.strip_prefix("VmRSS:")?
            .trim()
            .strip_suffix(" kB")?
            .parse::<u64>()
            .ok()
    });
    Ok(Usage {
        cpu_ns,
        rss_bytes: rss_kib.unwrap_or(0) * 1024,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_process_uses_something_and_no_process_nothing() {
        let mut work = 0_u64;
        for n in 0..20_000_000_u64 {
            work = std::hint::black_box(work.wrapping_mul(31).wrapping_add(n));
        }
        let usage = usage(std::process::id()).unwrap();
        assert!(usage.cpu_ns > 1_000_000, "{}", usage.cpu_ns);
        assert!(usage.rss_bytes > 1 << 20, "{}", usage.rss_bytes);
        assert!(super::usage(u32::MAX / 2).is_err());
    }
}
