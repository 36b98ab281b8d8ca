//! Words for roles, services and reasons.

use super::wire::{NotAdmitted, PinNeeded};
use crate::domain::{CallEnd, EndReason, Role};
use crate::signaling::conferences::done;

/// What somebody has entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Conference,
    /// A call between two.
    Call,
}

pub(super) const PLAIN_TEXT: &str = "text/plain";

/// The reason of a call that has ended by itself.
pub(super) const CALL_ENDED: &str = "the connection has ended";

pub(super) fn yes_or_no(value: bool) -> &'static str {
    if value { "YES" } else { "NO" }
}

/// A role in lists of participants, and in commands.
pub(super) fn role_in_lists(role: Role) -> &'static str {
    match role {
        Role::Host => "chair",
        Role::Guest => "guest",
    }
}

/// The role that a command names.
pub(super) fn role_named(word: &str) -> Option<Role> {
    match word.to_ascii_lowercase().as_str() {
        "chair" | "host" => Some(Role::Host),
        "guest" => Some(Role::Guest),
        _ => None,
    }
}

/// A role in the answer to whoever has it.
pub(crate) fn role_of_session(role: Role) -> &'static str {
    match role {
        Role::Host => "HOST",
        Role::Guest => "GUEST",
    }
}

/// The service that somebody is in.
pub(super) fn service(service: Service, is_waiting: bool) -> &'static str {
    match service {
        _ if is_waiting => "waiting_room",
        Service::Conference => "conference",
        Service::Call => "gateway",
    }
}

/// How a call between two has ended.
pub(super) fn call_end(end: CallEnd) -> &'static str {
    match end {
        CallEnd::Declined(_) => "the call was declined",
        CallEnd::AnsweredElsewhere => "the call was answered elsewhere",
        CallEnd::TimedOut => "nobody has answered",
        CallEnd::GivenUp | CallEnd::HungUp => "the other side has hung up",
        CallEnd::RoomLeft => "both sides have left",
        CallEnd::Lost => "the other side was lost",
        CallEnd::Failed => "there were no media",
    }
}

pub(super) fn end(reason: EndReason) -> &'static str {
    match reason {
        EndReason::Replaced => "the same user has come with a newer session",
        EndReason::Shutdown => "the server is going down",
        EndReason::MediaLost => "a part of the server was lost; enter again",
        EndReason::StayOver => "the time for which you might be here is over",
        EndReason::Removed => "a host has removed you, or ended the conference",
    }
}

/// A conference needs a PIN.
pub(crate) fn pin_needed(guests_need_one: bool) -> NotAdmitted {
    let required = "required";
    NotAdmitted::PinNeeded(done(PinNeeded {
        pin: required,
        guest_pin: if guests_need_one { required } else { "none" },
    }))
}
