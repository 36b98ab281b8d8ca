//! The reason why there is no new certificate.

use std::time::Duration;

use instant_acme::{Error, Problem};

use super::client::Unanswered;

/// Characters of a reason. Those of Let's Encrypt have 200 to 400; a longer one comes from an authority that is broken.
const REASON_CHARS: usize = 600;

const MINUTE: Duration = Duration::from_secs(60);

/// What kind of failure it was. It decides how soon the next attempt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The authority cannot be reached, or does not finish in time.
    Unreachable,
    /// It answers what ACME does not know.
    Answer,
    /// It does not want to, and says why.
    Refused,
    /// It has had too many requests.
    RateLimited,
    /// It has not found a challenge.
    Validation,
    /// What it has issued cannot be used.
    Certificate,
    /// A file cannot be read or written.
    Storage,
}

impl Kind {
    /// The kind as the metric has it.
    pub(super) fn label(self) -> &'static str {
        match self {
            Kind::Unreachable => "unreachable",
            Kind::Answer => "answer",
            Kind::Refused => "refused",
            Kind::RateLimited => "rate_limited",
            Kind::Validation => "validation",
            Kind::Certificate => "certificate",
            Kind::Storage => "storage",
        }
    }

    /// The pause after a first failure of this kind; later ones are longer. An authority that is not there is not burdened. Validations
    /// and certificates are counted: Let's Encrypt allows five failed validations an hour, and five equal certificates a week.
    pub(super) fn first_pause(self) -> Duration {
        match self {
            Kind::Unreachable => MINUTE,
            Kind::Answer | Kind::Refused => 5 * MINUTE,
            Kind::Validation | Kind::Storage => 15 * MINUTE,
            Kind::RateLimited | Kind::Certificate => 60 * MINUTE,
        }
    }
}

/// One failure: its kind, and the reason in words. What an authority has said has become harmless in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) kind: Kind,
    pub(super) reason: String,
}

impl Failure {
    pub(super) fn new(kind: Kind, reason: impl std::fmt::Display) -> Failure {
        Failure {
            kind,
            reason: harmless(&reason.to_string()),
        }
    }

    /// A failed validation of a name.
    pub(super) fn validation(name: &str, problem: Option<&Problem>) -> Failure {
        let reason = problem.map_or_else(|| "it says no reason".to_owned(), words_of);
        Failure::new(Kind::Validation, format!("{name}: {reason}"))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        match error {
            Error::Api(problem) => {
                let is = |kind: &str| problem.r#type.as_deref().is_some_and(|known| known.ends_with(kind));
                let kind = match is(":rateLimited") {
                    true => Kind::RateLimited,
                    false => Kind::Refused,
                };
                Failure::new(kind, words_of(&problem))
            }
            Error::Other(cause) => match cause.downcast_ref::<Unanswered>() {
                Some(unanswered) => Failure::new(unanswered.kind(), unanswered),
                None => Failure::new(Kind::Answer, cause),
            },
            Error::Timeout(_) => Failure::new(Kind::Unreachable, "the authority does not finish in time"),
            other => Failure::new(Kind::Answer, format!("an answer that cannot be understood: {other}")),
        }
    }
}

/// What a problem document says (RFC 7807), with those of single names (RFC 8555 §6.7.1).
fn words_of(problem: &Problem) -> String {
    let of = |detail: Option<&String>, kind: Option<&String>| match (detail, kind) {
        (Some(detail), Some(kind)) => format!("{detail} ({kind})"),
        (Some(words), None) | (None, Some(words)) => words.clone(),
        (None, None) => "it says no reason".to_owned(),
    };
    let whole = of(problem.detail.as_ref(), problem.r#type.as_ref());
    let parts = problem.subproblems.iter().take(8);
    let parts = parts.map(|part| of(part.detail.as_ref(), part.r#type.as_ref()));
    std::iter::once(whole).chain(parts).collect::<Vec<_>>().join("; ")
}

/// Text of somebody else, for a line of the log: of a bounded length, and without characters that would end the line or change how
/// it looks.
fn harmless(text: &str) -> String {
    let visible = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    visible.take(REASON_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_problem_is_the_reason_and_its_type_decides_the_kind() {
        let problem: Problem = serde_json::from_str(
            r#"{"type": "urn:ietf:params:acme:error:rateLimited", "detail": "too many\ncertificates",
                "subproblems": [{"detail": "for a.example", "type": "urn:x"}]}"#,
        )
        .unwrap();
        let failure = Failure::from(Error::Api(problem));
        assert_eq!(failure.kind, Kind::RateLimited);
        assert_eq!(
            failure.reason,
            "too many certificates (urn:ietf:params:acme:error:rateLimited); for a.example (urn:x)"
        );
    }

    #[test]
    fn a_reason_without_end_is_cut() {
        let failure = Failure::new(Kind::Refused, "\u{1b}[31mx".repeat(100_000));
        assert_eq!(failure.reason.chars().count(), REASON_CHARS);
        assert!(!failure.reason.contains('\u{1b}'));
    }
}
