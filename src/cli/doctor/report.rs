//! What the doctor has found: one line for each finding, for people or as JSON.

use std::fmt::Display;

use serde::Serialize;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    Good,
    /// Some clients, or some loads, will have a bad time.
    Warning,
    /// The server does not start, or clients cannot use it.
    Fault,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) level: Level,
    /// Name of what was checked. It stays the same from one version to the next.
    pub(super) check: &'static str,
    /// What was seen.
    pub(super) seen: String,
    /// What to do about it. Empty where there is nothing to do, or `seen` says it.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) advice: &'static str,
}

impl Finding {
    pub(super) fn good(check: &'static str, seen: impl Display) -> Finding {
        Finding::new(Level::Good, check, seen, "")
    }

    pub(super) fn warning(check: &'static str, seen: impl Display, advice: &'static str) -> Finding {
        Finding::new(Level::Warning, check, seen, advice)
    }

    pub(super) fn fault(check: &'static str, seen: impl Display, advice: &'static str) -> Finding {
        Finding::new(Level::Fault, check, seen, advice)
    }

    fn new(level: Level, check: &'static str, seen: impl Display, advice: &'static str) -> Finding {
        Finding {
            level,
            check,
            // An error of a library may have several lines.
            seen: seen.to_string().split_whitespace().collect::<Vec<_>>().join(" "),
            advice,
        }
    }
}

/// All findings, in the order in which they were made.
#[derive(Default, Serialize)]
pub(super) struct Report {
    findings: Vec<Finding>,
}

impl Report {
    pub(super) fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// The worst finding's level.
    pub(super) fn verdict(&self) -> Level {
        let levels = self.findings.iter().map(|finding| finding.level);
        levels.max().unwrap_or(Level::Good)
    }

    /// The findings that need something done, or all of them, and one line that sums up.
    pub(super) fn text(&self, all: bool) -> String {
        let mut text = String::new();
        for finding in &self.findings {
            let word = match finding.level {
                Level::Good if all => "ok     ",
                Level::Good => continue,
                Level::Warning => "WARNING",
                Level::Fault => "FAULT  ",
            };
            text.push_str(&format!("{word} {}: {}", finding.check, finding.seen));
            if !finding.advice.is_empty() {
                text.push_str(&format!(". {}", finding.advice));
            }
            text.push('\n');
        }
        text.push_str(&self.sum());
        text
    }

    fn sum(&self) -> String {
        let count = |level| self.findings.iter().filter(|finding| finding.level == level).count();
        let some = |number, one: &str| match number {
            1 => format!("1 {one}"),
            _ => format!("{number} {one}s"),
        };
        match self.verdict() {
            Level::Good => format!("sound: {} checks, nothing to do\n", self.findings.len()),
            _ => format!(
                "{}, {}\n",
                some(count(Level::Fault), "fault"),
                some(count(Level::Warning), "warning")
            ),
        }
    }

    pub(super) fn json(&self) -> String {
        let verdict = match self.verdict() {
            Level::Good => "sound",
            Level::Warning => "warnings",
            Level::Fault => "faults",
        };
        let report = serde_json::json!({ "verdict": verdict, "findings": self.findings });
        format!("{report}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(levels: &[Level]) -> Report {
        let mut report = Report::default();
        for level in levels {
            report.add(Finding::new(*level, "check", "seen\n twice", "Do it."));
        }
        report
    }

    #[test]
    fn a_sound_host_has_one_line_and_any_other_one_for_each_finding() {
        let sound = report(&[Level::Good, Level::Good]);
        assert_eq!(sound.verdict(), Level::Good);
        assert_eq!(sound.text(false), "sound: 2 checks, nothing to do\n");
        assert_eq!(sound.text(true).lines().count(), 3);
        let warned = report(&[Level::Good, Level::Warning, Level::Warning]);
        assert_eq!(warned.verdict(), Level::Warning);
        assert_eq!(
            warned.text(false),
            "WARNING check: seen twice. Do it.\nWARNING check: seen twice. Do it.\n0 faults, 2 warnings\n"
        );
        let bad = report(&[Level::Fault, Level::Warning]);
        assert_eq!(bad.verdict(), Level::Fault);
        assert!(bad.text(false).ends_with("1 fault, 1 warning\n"));
    }

    #[test]
    fn programs_read_the_same_as_people() {
        let json: serde_json::Value = serde_json::from_str(&report(&[Level::Fault]).json()).unwrap();
        let finding = serde_json::json!({"level": "fault", "check": "check", "seen": "seen twice", "advice": "Do it."});
        assert_eq!(json, serde_json::json!({"verdict": "faults", "findings": [finding]}));
    }
}
