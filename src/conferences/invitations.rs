//! The one-time tokens of calls that ring at users. Pure: the time is given.
//!
//! A token answers a call while the call is fresh, and refuses it while it rings. It is used up by either. A user has one token for
//! each call, wherever it rings.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::Address;
use crate::ids::{CallId, RoomName, UserId};
use crate::storage::local_part;

/// Time for which a call can be answered by its token. Apps show no older one.
pub const FRESH_FOR: Duration = Duration::from_secs(30);

/// Invitations at a time, in about a MiB. There are fewer calls that ring; of one too many the oldest is forgotten.
const INVITATIONS_MAX: usize = 4_096;

/// What some apps write before the name of somebody whom they call.
const CALL_SCHEME: &str = "sip:";

/// A one-time token. It has 128 random bits, and is not shown in logs.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct InvitationToken(u128);

impl InvitationToken {
    pub(super) fn random() -> Self {
        Self(rand::random())
    }

    /// Reads a token. `None` where the text is not 32 hexadecimal digits.
    pub fn read(text: &str) -> Option<Self> {
        let is_one = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_one.then(|| u128::from_str_radix(text, 16).ok())?.map(Self)
    }

    pub fn text(self) -> String {
        format!("{:032x}", self.0)
    }
}

impl fmt::Debug for InvitationToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InvitationToken(…)")
    }
}

/// A call that rings at a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// The user at whom it rings.
    pub account: UserId,
    pub call: CallId,
    /// The caller.
    pub from: Address,
    /// The room where the two meet.
    pub room: RoomName,
    /// Time at which it began to ring, in seconds since 1970-01-01 UTC.
    pub began_s: i64,
}

impl Invitation {
    /// The caller, by the name that the app calls back.
    pub fn caller(&self) -> &UserId {
        match &self.from {
            Address::Name(user) => user,
            Address::Device { account, .. } => account,
        }
    }

    /// Whether a client that names this conference means this call: by its room, or by the caller, with a domain or without.
    pub fn is_for(&self, place: &str) -> bool {
        let place = place.strip_prefix(CALL_SCHEME).unwrap_or(place);
        let caller = self.caller().as_str();
        let domain = place.strip_prefix(caller).and_then(|rest| rest.strip_prefix('@'));
        place == self.room.as_str() || place == caller || domain.is_some() || place == local_part(caller)
    }
}

struct Waiting {
    invitation: Invitation,
    since: Instant,
}

/// All invitations that wait for an answer.
pub(super) struct Invitations {
    ring_for: Duration,
    waiting: HashMap<InvitationToken, Waiting>,
    tokens: HashMap<(UserId, CallId), InvitationToken>,
}

impl Invitations {
    pub fn new(ring_for: Duration) -> Self {
        Self {
            ring_for,
            waiting: HashMap::new(),
            tokens: HashMap::new(),
        }
    }

    /// Adds an invitation under this token, unless the user has one for the call. Returns the token that counts.
    pub fn invite(&mut self, now: Instant, token: InvitationToken, invitation: Invitation) -> InvitationToken {
        let key = (invitation.account.clone(), invitation.call);
        if let Some(token) = self.tokens.get(&key) {
            return *token;
        }
        if self.waiting.len() >= INVITATIONS_MAX {
            self.make_room(now);
        }
        self.tokens.insert(key, token);
        self.waiting.insert(token, Waiting { invitation, since: now });
        token
    }

    pub fn withdraw(&mut self, account: &UserId, call: CallId) {
        if let Some(token) = self.tokens.remove(&(account.clone(), call)) {
            self.waiting.remove(&token);
        }
    }

    /// The invitation of a call that rings.
    pub fn find(&self, now: Instant, token: InvitationToken) -> Option<&Invitation> {
        let waiting = self.waiting.get(&token)?;
        (now < waiting.since + self.ring_for).then_some(&waiting.invitation)
    }

    /// An invitation to a call whose parties meet in this room.
    pub fn in_room(&self, now: Instant, room: &str) -> Option<&Invitation> {
        let mut ringing = self.waiting.values().filter(|one| now < one.since + self.ring_for);
        let found = ringing.find(|one| one.invitation.room.as_str() == room)?;
        Some(&found.invitation)
    }

    /// Uses a token up. `None` if its call no longer rings.
    pub fn take(&mut self, now: Instant, token: InvitationToken) -> Option<Invitation> {
        let invitation = self.find(now, token)?.clone();
        self.withdraw(&invitation.account, invitation.call);
        Some(invitation)
    }

    /// Uses a token up to answer its call. `None` if the call is not fresh, or another conference is named: nothing has changed
    /// then.
    pub fn redeem(&mut self, now: Instant, token: InvitationToken, place: &str) -> Option<Invitation> {
        let waiting = self.waiting.get(&token)?;
        let is_fresh = now < waiting.since + FRESH_FOR;
        (is_fresh && waiting.invitation.is_for(place)).then(|| self.take(now, token))?
    }

    fn make_room(&mut self, now: Instant) {
        let ring_for = self.ring_for;
        self.waiting.retain(|_, waiting| now < waiting.since + ring_for);
        if self.waiting.len() >= INVITATIONS_MAX {
            let oldest = self.waiting.iter().min_by_key(|(_, waiting)| waiting.since);
            if let Some(token) = oldest.map(|(token, _)| *token) {
                self.waiting.remove(&token);
            }
        }
        let waiting = &self.waiting;
        self.tokens.retain(|_, token| waiting.contains_key(token));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RING_FOR: Duration = Duration::from_secs(60);

    fn invitation(account: &str, call: u64) -> Invitation {
        Invitation {
            account: account.into(),
            call: CallId(call),
            from: Address::Name("anna@example.org".into()),
            room: "ch_1".into(),
            began_s: 0,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_used_once_and_answers_only_a_fresh_call() {
        let now = Instant::now();
        let mut invitations = Invitations::new(RING_FOR);
        let token = invitations.invite(now, InvitationToken(1), invitation("ben", 1));
        assert_eq!(invitations.redeem(now, token, "elsewhere"), None);
        assert_eq!(invitations.redeem(now + FRESH_FOR, token, "ch_1"), None, "not fresh");
        let fresh = now + FRESH_FOR - Duration::from_millis(1);
        assert_eq!(invitations.redeem(fresh, token, "ch_1"), Some(invitation("ben", 1)));
        assert_eq!(invitations.redeem(fresh, token, "ch_1"), None, "used up");
        assert_eq!(invitations.take(fresh, token), None, "used up");
        let token = invitations.invite(now, InvitationToken(2), invitation("ben", 2));
        assert!(invitations.take(now + RING_FOR, token).is_none(), "it rings no longer");
        assert!(invitations.take(now + FRESH_FOR, token).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_user_has_one_token_for_a_call_until_it_is_over() {
        let now = Instant::now();
        let mut invitations = Invitations::new(RING_FOR);
        let token = invitations.invite(now, InvitationToken(1), invitation("ben", 1));
        assert_eq!(invitations.invite(now, InvitationToken(2), invitation("ben", 1)), token);
        assert_ne!(
            invitations.invite(now, InvitationToken(3), invitation("carl", 1)),
            token
        );
        invitations.withdraw(&"ben".into(), CallId(1));
        assert_eq!(invitations.find(now, token), None);
        assert!(invitations.find(now, InvitationToken(3)).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_is_found_by_its_room_while_it_rings() {
        let now = Instant::now();
        let mut invitations = Invitations::new(RING_FOR);
        invitations.invite(now, InvitationToken(1), invitation("ben", 1));
        assert_eq!(invitations.in_room(now, "ch_1"), Some(&invitation("ben", 1)));
        assert_eq!(invitations.in_room(now, "anna@example.org"), None);
        assert_eq!(invitations.in_room(now + RING_FOR, "ch_1"), None);
    }

    #[test]
    fn a_call_is_named_by_its_room_or_by_its_caller() {
        let named = |place| invitation("ben", 1).is_for(place);
        for place in [
            "ch_1",
            "anna@example.org",
            "anna@example.org@meet.example",
            "anna",
            "sip:anna@example.org",
        ] {
            assert!(named(place), "{place}");
        }
        for place in ["", "ch_2", "ann", "annab", "ben", "anna@other.org"] {
            assert!(!named(place), "{place}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn invitations_take_bounded_memory_and_the_oldest_give_way() {
        let now = Instant::now();
        let mut invitations = Invitations::new(RING_FOR);
        for number in 0..2 * INVITATIONS_MAX as u64 {
            let at = now + Duration::from_millis(number);
            invitations.invite(at, InvitationToken(number.into()), invitation("ben", number));
        }
        assert_eq!(invitations.waiting.len(), INVITATIONS_MAX);
        assert_eq!(invitations.tokens.len(), INVITATIONS_MAX);
        let last = InvitationToken(2 * INVITATIONS_MAX as u128 - 1);
        assert!(invitations.find(now, last).is_some());
        assert!(invitations.find(now, InvitationToken(0)).is_none());
    }
}
