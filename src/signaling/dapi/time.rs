//! Dates and times as this family writes them: `YYYY-MM-DD HH:MM:SS`, without a time zone. The server's configuration says
//! which one is meant.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const FORMAT: &str = "%Y-%m-%d %H:%M:%S";

/// Characters of a date with its time.
const LENGTH: usize = "2020-02-02 20:20:00".len();

/// A time, in seconds since 1970-01-01 UTC, as text. Empty where there is no such date.
pub(super) fn write(at_s: i64, zone: &TimeZone) -> String {
    let at = Timestamp::from_second(at_s).map(|at| at.to_zoned(zone.clone()));
    at.map(|at| at.strftime(FORMAT).to_string()).unwrap_or_default()
}

/// The time that a text means, in seconds since 1970-01-01 UTC. Of a time that the clock shows twice, the first; of one that it
/// leaves out, as much later as the clock is put forward (RFC 5545 §3.3.5).
pub(super) fn read(text: &str, zone: &TimeZone) -> Option<i64> {
    // The parser would take shorter numbers, too, and sign and years that nobody means.
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    if text.len() != LENGTH || digits != 14 {
        return None;
    }
    let civil = DateTime::strptime(FORMAT, text).ok()?;
    Some(
        zone.to_ambiguous_zoned(civil)
            .compatible()
            .ok()?
            .timestamp()
            .as_second(),
    )
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
                assert_eq!(read(&text, &zone(name)), Some(at_s), "{text} {name}");
            }
        }
        assert_eq!(write(1_578_586_780, &zone("Asia/Shanghai")), "2020-01-10 00:19:40");
        assert_eq!(write(1_578_586_780, &TimeZone::UTC), "2020-01-09 16:19:40");
    }

    #[test]
    fn a_time_that_the_clock_shows_twice_is_the_first_and_one_that_it_leaves_out_is_later() {
        let berlin = zone("Europe/Berlin");
        // From 3:00 back to 2:00, at 1:00 UTC.
        let first = read("2026-10-25 02:30:00", &berlin).unwrap();
        assert_eq!(write(first, &TimeZone::UTC), "2026-10-25 00:30:00");
        // From 2:00 forward to 3:00, at 1:00 UTC.
        let later = read("2026-03-29 02:30:00", &berlin).unwrap();
        assert_eq!(write(later, &berlin), "2026-03-29 03:30:00");
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
            assert_eq!(read(text, &TimeZone::UTC), None, "{text}");
        }
    }
}
