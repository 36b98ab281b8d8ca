//! The processor that each media worker is pinned to, where the operator wants that.

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// The calling thread, in the kernel's numbering.
const THIS_THREAD: Pid = Pid::from_raw(0);

/// The processors of the workers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Pinning {
    /// No pinning: the kernel moves workers as it likes.
    #[default]
    Off,
    /// Worker n runs on the n-th of the processors that this process may use, beginning anew after the
    /// last.
    Auto,
    /// Worker n runs on the n-th of these.
    Cpus(Vec<usize>),
}

/// The reason why the workers cannot be pinned as configured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PinningError {
    #[error("`{0}` is neither off, auto, nor a list of processors such as 2,3 or 2-5")]
    Unreadable(String),
    #[error("processor {cpu} is not one that this process may use ({allowed})")]
    NotAllowed { cpu: usize, allowed: String },
    #[error("{cpus} processors are named for {workers} workers; name one for each, or leave media.workers at 0")]
    Count { cpus: usize, workers: usize },
    #[error("cannot find out which processors this process may use: {0}")]
    Unknown(nix::Error),
}

impl Pinning {
    /// Reads `off`, `auto`, or numbers and ranges separated by commas, as `taskset` takes them.
    pub fn parse(text: &str) -> Result<Pinning, PinningError> {
        let unreadable = || PinningError::Unreadable(text.to_owned());
        match text.trim() {
            "off" => return Ok(Pinning::Off),
            "auto" => return Ok(Pinning::Auto),
            _ => {}
        }
        let number = |text: &str| text.trim().parse::<usize>().ok().filter(|&cpu| cpu < CpuSet::count());
        let mut cpus = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = number(first).zip(number(last)).ok_or_else(unreadable)?;
            if last < first {
                return Err(unreadable());
            }
            cpus.extend(first..=last);
        }
        Ok(Pinning::Cpus(cpus))
    }

    /// The number of workers, where the setting names a processor for each.
    pub fn workers(&self) -> Option<usize> {
        match self {
            Pinning::Off | Pinning::Auto => None,
            Pinning::Cpus(cpus) => Some(cpus.len()),
        }
    }

    /// The processor of each of `workers` workers, on this machine.
    pub(crate) fn places(&self, workers: usize) -> Result<Vec<Option<usize>>, PinningError> {
        if *self == Pinning::Off {
            return Ok(vec![None; workers]);
        }
        self.places_among(&allowed()?, workers)
    }

    fn places_among(&self, allowed: &[usize], workers: usize) -> Result<Vec<Option<usize>>, PinningError> {
        let cpus = match self {
            Pinning::Off => return Ok(vec![None; workers]),
            Pinning::Auto => return Ok(allowed.iter().copied().cycle().map(Some).take(workers).collect()),
            Pinning::Cpus(cpus) => cpus,
        };
        if let Some(&cpu) = cpus.iter().find(|cpu| !allowed.contains(cpu)) {
            let allowed = allowed.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
            return Err(PinningError::NotAllowed { cpu, allowed });
        }
        if cpus.len() != workers {
            let cpus = cpus.len();
            return Err(PinningError::Count { cpus, workers });
        }
        Ok(cpus.iter().copied().map(Some).collect())
    }
}

/// The processors that this process may use, in their order.
fn allowed() -> Result<Vec<usize>, PinningError> {
    let set = sched_getaffinity(THIS_THREAD).map_err(PinningError::Unknown)?;
    let is_set = |cpu: &usize| set.is_set(*cpu).unwrap_or(false);
    Ok((0..CpuSet::count()).filter(is_set).collect())
}

/// Keeps the calling thread to one processor.
pub(crate) fn pin_this_thread(cpu: usize) -> std::io::Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu)?;
    Ok(sched_setaffinity(THIS_THREAD, &set)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_operators_write_is_understood() {
        let cpus = |list: &[usize]| Ok(Pinning::Cpus(list.to_vec()));
        assert_eq!(Pinning::parse("off"), Ok(Pinning::Off));
        assert_eq!(Pinning::parse("auto"), Ok(Pinning::Auto));
        assert_eq!(Pinning::parse("3"), cpus(&[3]));
        assert_eq!(Pinning::parse("2, 0-1,7-7"), cpus(&[2, 0, 1, 7]));
        for wrong in [
            "",
            "on",
            "1,",
            "3-1",
            "-1",
            "1-",
            "1.5",
            "99999999",
            "0-18446744073709551615",
        ] {
            assert_eq!(Pinning::parse(wrong), Err(PinningError::Unreadable(wrong.to_owned())));
        }
    }

    #[test]
    fn every_worker_has_its_place_or_there_is_a_sentence() {
        let all = |list: &[usize]| Ok(list.iter().copied().map(Some).collect::<Vec<_>>());
        let listed = |list: &[usize]| Pinning::Cpus(list.to_vec());
        assert_eq!(Pinning::Off.places_among(&[0, 1], 3), Ok(vec![None; 3]));
        assert_eq!(Pinning::Auto.places_among(&[4, 6], 3), all(&[4, 6, 4]));
        assert_eq!(listed(&[6, 4]).places_among(&[4, 6], 2), all(&[6, 4]));
        let wrong = listed(&[4, 5]).places_among(&[4, 6], 2).unwrap_err();
        assert_eq!(
            wrong.to_string(),
            "processor 5 is not one that this process may use (4, 6)"
        );
        let wrong = listed(&[4]).places_among(&[4, 6], 2).unwrap_err();
        assert!(wrong.to_string().starts_with("1 processors are named for 2 workers"));
    }

    #[test]
    fn a_pinned_thread_stays_where_it_was_put() {
        let last = *allowed().unwrap().last().unwrap();
        let pinned = std::thread::spawn(move || {
            pin_this_thread(last).unwrap();
            allowed().unwrap()
        });
        assert_eq!(pinned.join().unwrap(), [last]);
        assert!(Pinning::Auto.places(2).is_ok());
    }
}
