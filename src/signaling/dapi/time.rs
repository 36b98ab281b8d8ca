//! Dates and times as this family writes them: `YYYY-MM-DD HH:MM:SS`, without a time zone. The server's configuration says
//! which one is meant.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

const FORMAT: &str = "%Y-%m-%d %H:%M:%S";

/// Characters of a date with its time.
const LENGTH: usize = "2020-02-02 20:20:00".len();

/// A time, in seconds since 1970-01-01 UTC, as text. Empty where there is no such date.
pub(super) fn write(at_s: i64, zone: &TimeZone) -> String {
    let at = Timestamp::from_second(at_s).map(|at| at.to_zoned(zone.clone()));
    at.map(|at| at.strftime(FORMAT).to_string()).unwrap_or_default()
}

/// Why a text is no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoTime {
    #[error("it is no time: write it as 2020-02-02 20:20:00")]
    NotOne,
    #[error("the clock is put forward over this time, so it never comes: name another one")]
    LeftOut,
}

/// The time that a text means, in seconds since 1970-01-01 UTC. A time that the clock shows twice, because it is put back, is the
/// first of the two. One over which it is put forward is refused: nobody knows what is meant.
pub(super) fn read(text: &str, zone: &TimeZone) -> Result<i64, NoTime> {
    // The parser would take shorter numbers, too, and sign and years that nobody means.
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    if text.len() != LENGTH || digits != 14 {
        return Err(NoTime::NotOne);
    }
    let civil = DateTime::strptime(FORMAT, text).map_err(|_| NoTime::NotOne)?;
    let at = zone.to_ambiguous_zoned(civil);
    if matches!(at.offset(), AmbiguousOffset::Gap { .. }) {
        return Err(NoTime::LeftOut);
    }
    let first = at.earlier().map_err(|_| NoTime::NotOne)?;
    Ok(first.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    #[test]
    fn what_is_written_is_read_as_the_same_time() {
        for name in ["UTC", "Asia/Shanghai", "Europe/Berlin", "America/St_Johns"] {
            for at_s in [0, 1_578_587_980, 1_600_000_000, 4_000_000_000] {
                let text = write(at_s, &zone(name));
                assert_eq!(read(&text, &zone(name)), Ok(at_s), "{text} {name}");
            }
        }
        assert_eq!(write(1_578_586_780, &zone("Asia/Shanghai")), "2020-01-10 00:19:40");
        assert_eq!(write(1_578_586_780, &TimeZone::UTC), "2020-01-09 16:19:40");
    }

    #[test]
    fn a_time_that_the_clock_shows_twice_is_the_first_and_one_that_it_leaves_out_is_refused() {
        let berlin = zone("Europe/Berlin");
        // From 3:00 back to 2:00, at 1:00 UTC.
        let first = read("2026-10-25 02:30:00", &berlin).unwrap();
        assert_eq!(write(first, &TimeZone::UTC), "2026-10-25 00:30:00");
        // From 2:00 forward to 3:00, at 1:00 UTC.
        for (text, wanted) in [
            ("2026-03-29 01:59:59", Ok("2026-03-29 00:59:59")),
            ("2026-03-29 02:00:00", Err(NoTime::LeftOut)),
            ("2026-03-29 02:59:59", Err(NoTime::LeftOut)),
            ("2026-03-29 03:00:00", Ok("2026-03-29 01:00:00")),
        ] {
            let read = read(text, &berlin).map(|at_s| write(at_s, &TimeZone::UTC));
            assert_eq!(read.as_deref(), wanted.as_ref().copied(), "{text}");
        }
        // By half an hour alone: from 2:00 back to 1:30, at 15:00 UTC of the day before.
        let lord_howe = zone("Australia/Lord_Howe");
        let first = read("2026-04-05 01:45:00", &lord_howe).unwrap();
        assert_eq!(write(first, &TimeZone::UTC), "2026-04-04 14:45:00");
        // A whole day is missing where the date line was moved.
        assert_eq!(read("2011-12-30 12:00:00", &zone("Pacific/Apia")), Err(NoTime::LeftOut));
    }

    #[test]
    fn other_forms_are_no_times() {
        for text in [
            "",
            "2020-02-02",
            "2020-02-02T20:20:00",
            "2020-02-30 20:20:00",
            "2020-02-02 24:20:00",
            "2020-02-02 20:20:61",
            "2020-2-2 20:20:0000",
            "2020-02-02 20:20:00Z",
            "+020-02-02 20:20:00",
            " 020-02-02 20:20:00",
            "二020-02-02 20:20",
        ] {
            assert_eq!(read(text, &TimeZone::UTC), Err(NoTime::NotOne), "{text}");
        }
    }
}
