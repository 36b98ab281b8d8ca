//! What becomes of one attempt to hand a notice to a push service.

use std::time::Duration;

/// The answer of a push service, or what came instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    pub outcome: Outcome,
    /// Sentence with what the service said, without the device's token.
    pub said: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The service has the notice.
    Taken,
    /// The service no longer knows the device, since that time if it says so, in seconds since 1970.
    Gone { since_s: Option<i64> },
    /// Another attempt may help, after this time if the service says so.
    Again { pause: Option<Duration>, fault: Fault },
    /// The service does not take this notice, and would not take it again.
    Refused,
    /// The service does not believe us, or does not let us in. The operator has to do something.
    NotAllowed,
    /// The notice is larger than the service takes. It was not sent.
    TooLarge,
}

/// Why another attempt may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No connection came about.
    Unreachable,
    /// The request was sent, and no answer came: the service may have the notice.
    NoAnswer,
    /// The service asks for a pause.
    TooMany,
    /// The service has a problem of its own.
    Broken,
}

impl Attempt {
    pub(super) fn new(outcome: Outcome, said: impl Into<String>) -> Attempt {
        let said = said.into();
        Attempt { outcome, said }
    }

    /// An attempt that was given up.
    pub(super) fn without_answer() -> Attempt {
        let (pause, fault) = (None, Fault::NoAnswer);
        Attempt::new(Outcome::Again { pause, fault }, "no answer has come in time")
    }

    /// An attempt that was not made: too many others were.
    pub(super) fn without_place() -> Attempt {
        let (pause, fault) = (None, Fault::TooMany);
        Attempt::new(Outcome::Again { pause, fault }, "too many others were being made")
    }

    /// Whether the device may have the notice.
    pub(super) fn may_have_arrived(&self) -> bool {
        match self.outcome {
            Outcome::Taken => true,
            Outcome::Again { fault, .. } => fault == Fault::NoAnswer,
            Outcome::Gone { .. } | Outcome::Refused | Outcome::NotAllowed | Outcome::TooLarge => false,
        }
    }
}

impl Outcome {
    /// The word for it in metrics; that of an outcome that may be tried again says what stood in the way.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Outcome::Taken => "none",
            Outcome::Gone { .. } => "gone",
            Outcome::Again { fault, .. } => match fault {
                Fault::Unreachable => "unreachable",
                Fault::NoAnswer => "no_answer",
                Fault::TooMany => "too_many",
                Fault::Broken => "broken",
            },
            Outcome::Refused => "refused",
            Outcome::NotAllowed => "not_allowed",
            Outcome::TooLarge => "too_large",
        }
    }
}
