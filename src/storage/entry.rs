//! The rules of entering a conference: what it asks of those who come, and in which role they enter. Pure: whether a PIN is right is
//! found elsewhere.

use super::RecordError;
use crate::domain::Role;
use crate::ids::RoomName;

/// The digits of a PIN. Fewer are guessed too soon, and nobody types more.
const PIN_DIGITS_MIN: usize = 4;
const PIN_DIGITS_MAX: usize = 20;

/// The guests whom a conference lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guests {
    Nobody,
    /// Those who know the PIN for guests.
    WithPin,
    Anybody,
}

/// The record of a conference: a room that is entered with PINs. They are not part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConferenceRecord {
    /// Name of its room, which people dial.
    pub alias: RoomName,
    /// Name that people are shown.
    pub name: String,
    /// Whether hosts need a PIN. Where they do not, everybody enters as a host.
    pub has_host_pin: bool,
    pub guests: Guests,
    /// Whether guests wait until a host is there.
    pub waits_for_host: bool,
}

/// What somebody shows who wants to enter.
#[derive(Clone, Copy)]
pub enum ShownPin<'a> {
    /// Nothing yet: they are asked, also where guests need no PIN, because a host may want to show one.
    Nothing,
    /// They come as a guest, without a PIN.
    AsGuest,
    Pin(&'a str),
}

/// What a conference makes of a shown PIN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Enters(Role),
    /// A PIN is missing.
    AsksForPin {
        guest_pin_required: bool,
    },
    /// The PIN has to be compared: with that for hosts, and with that for guests if it counts.
    Compare {
        with_guest_pin: bool,
    },
    /// No PIN is like this one.
    Wrong,
}

impl ConferenceRecord {
    /// What becomes of somebody who shows this.
    pub fn judge(&self, shown: ShownPin<'_>) -> Verdict {
        let asks = Verdict::AsksForPin {
            guest_pin_required: self.guests != Guests::Anybody,
        };
        match shown {
            _ if !self.has_host_pin => Verdict::Enters(Role::Host),
            ShownPin::Nothing => asks,
            ShownPin::AsGuest if self.guests == Guests::Anybody => Verdict::Enters(Role::Guest),
            ShownPin::AsGuest => asks,
            ShownPin::Pin(pin) if is_pin(pin) => Verdict::Compare {
                with_guest_pin: self.guests == Guests::WithPin,
            },
            ShownPin::Pin(_) => Verdict::Wrong,
        }
    }
}

/// Whether a text can be a PIN: some digits.
pub(super) fn is_pin(text: &str) -> bool {
    (PIN_DIGITS_MIN..=PIN_DIGITS_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Refuses a PIN that nobody could enter with.
pub(super) fn check_pin(pin: &str) -> Result<(), RecordError> {
    match is_pin(pin) {
        true => Ok(()),
        false => Err(RecordError::BadPin {
            min: PIN_DIGITS_MIN,
            max: PIN_DIGITS_MAX,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conference(has_host_pin: bool, guests: Guests) -> ConferenceRecord {
        ConferenceRecord {
            alias: RoomName::from("board"),
            name: "Board".to_owned(),
            has_host_pin,
            guests,
            waits_for_host: false,
        }
    }

    const HOST: Verdict = Verdict::Enters(Role::Host);
    const GUEST: Verdict = Verdict::Enters(Role::Guest);

    fn asks(guest_pin_required: bool) -> Verdict {
        Verdict::AsksForPin { guest_pin_required }
    }

    fn compare(with_guest_pin: bool) -> Verdict {
        Verdict::Compare { with_guest_pin }
    }

    #[test]
    fn who_shows_no_pin_is_asked_unless_guests_need_none_and_they_say_that_they_are_one() {
        for (guests, nothing, as_guest) in [
            (Guests::Nobody, asks(true), asks(true)),
            (Guests::WithPin, asks(true), asks(true)),
            (Guests::Anybody, asks(false), GUEST),
        ] {
            let conference = conference(true, guests);
            assert_eq!(conference.judge(ShownPin::Nothing), nothing, "{guests:?}");
            assert_eq!(conference.judge(ShownPin::AsGuest), as_guest, "{guests:?}");
        }
    }

    #[test]
    fn a_pin_is_compared_with_that_for_guests_only_where_guests_may_enter_by_it() {
        for (guests, with_guest_pin) in [
            (Guests::Nobody, false),
            (Guests::WithPin, true),
            (Guests::Anybody, false),
        ] {
            let verdict = conference(true, guests).judge(ShownPin::Pin("1234"));
            assert_eq!(verdict, compare(with_guest_pin), "{guests:?}");
        }
    }

    #[test]
    fn without_a_pin_for_hosts_everybody_is_a_host() {
        let conference = conference(false, Guests::Nobody);
        for shown in [ShownPin::Nothing, ShownPin::AsGuest, ShownPin::Pin("x")] {
            assert_eq!(conference.judge(shown), HOST);
        }
    }

    #[test]
    fn what_is_no_pin_is_wrong_without_being_compared() {
        let conference = conference(true, Guests::WithPin);
        for text in [
            "",
            "123",
            "12a4",
            "-123",
            "１２３４",
            "123456789012345678901",
            "none",
            "12 34",
        ] {
            assert_eq!(conference.judge(ShownPin::Pin(text)), Verdict::Wrong, "{text}");
            assert!(check_pin(text).is_err());
        }
        for text in ["0000", "12345678901234567890"] {
            assert_eq!(conference.judge(ShownPin::Pin(text)), compare(true), "{text}");
            assert!(check_pin(text).is_ok());
        }
    }
}
