//! The one-time tokens of calls that ring at users. Pure: the time is given.
//!
//! A token answers a call while the call is fresh, and refuses it while it rings. Either uses up all tokens that the user has for the
//! call. There is one token for each place where a call rings, so that whoever answers is known by it: they alone are not sent that
//! the call no longer rings.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::Address;
use crate::ids::{CallId, PushTarget, RoomName, UserId};
use crate::storage::local_part;

/// Time for which a call can be answered by its token. Apps show no older one.
pub const FRESH_FOR: Duration = Duration::from_secs(30);

/// Tokens at a time, of about a KiB each. There are fewer places where calls ring; of one too many the oldest is forgotten.
const TOKENS_MAX: usize = 8_192;

/// Answers that are remembered until the others are sent that the call no longer rings, which is at once.
const ANSWERS_MAX: usize = 256;

/// Calls that are about to begin. Each begins within a second or never; of one too many the oldest is forgotten.
const OUTGOING_MAX: usize = 1_024;

/// Calls whose callers have said more about them. There are fewer that ring; of one too many the oldest is forgotten.
const DETAILS_MAX: usize = 4_096;

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

/// One of the places where a call rings at a user.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RingsAt {
    /// A registration that came without a device, by its number.
    Registration(u64),
    /// A device, by its push service or by the registration that it came with.
    Device(PushTarget),
}

/// What a call is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Occasion {
    /// Two people talk.
    #[default]
    Call,
    /// Somebody is invited into a meeting.
    Meeting {
        /// Whether they are a host there.
        as_host: bool,
    },
}

/// What the caller says about a call, beside who calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    pub occasion: Occasion,
    /// Name of the caller that is shown. Without one, the name that is recorded, or the id.
    pub caller_name: Option<String>,
    /// Text that the callee's app is given.
    pub bss_key: String,
    /// Server of the caller, as the caller names it.
    pub owner: Option<String>,
}

impl Details {
    /// What somebody says, and where they say nothing, what was said before.
    pub(super) fn or(self, before: Details) -> Details {
        Details {
            occasion: self.occasion,
            caller_name: self.caller_name.or(before.caller_name),
            bss_key: match self.bss_key.is_empty() {
                true => before.bss_key,
                false => self.bss_key,
            },
            owner: self.owner.or(before.owner),
        }
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
    pub details: Details,
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
    at: RingsAt,
}

/// All invitations that wait for an answer.
pub(super) struct Invitations {
    ring_for: Duration,
    waiting: HashMap<InvitationToken, Waiting>,
    tokens: HashMap<(UserId, CallId), Vec<InvitationToken>>,
    /// Calls that were answered a moment ago, each with the place.
    answered: VecDeque<(UserId, CallId, RingsAt)>,
    /// What callers say about calls that begin, by the room where they meet, the newest last.
    details: VecDeque<(Instant, RoomName, Details)>,
    /// Calls that users are about to begin, with what they say about them, the newest last.
    outgoing: VecDeque<(Instant, Outgoing)>,
}

/// A call that a user is about to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outgoing {
    pub caller: UserId,
    pub to: Vec<Address>,
    pub details: Details,
}

impl Invitations {
    pub fn new(ring_for: Duration) -> Self {
        Self {
            ring_for,
            waiting: HashMap::new(),
            tokens: HashMap::new(),
            answered: VecDeque::new(),
            details: VecDeque::new(),
            outgoing: VecDeque::new(),
        }
    }

    /// Notes what a user says about the call that they are about to begin. It counts while such a call would be fresh.
    pub fn prepare(&mut self, now: Instant, outgoing: Outgoing) {
        self.forget_outgoing(now, &outgoing.caller, &outgoing.to);
        if self.outgoing.len() >= OUTGOING_MAX {
            self.outgoing.pop_front();
        }
        self.outgoing.push_back((now, outgoing));
    }

    /// Takes what the user has said about the call that begins now.
    pub fn prepared(&mut self, now: Instant, caller: &UserId, to: &[Address]) -> Option<Details> {
        self.forget_outgoing(now, caller, to).map(|outgoing| outgoing.details)
    }

    fn forget_outgoing(&mut self, now: Instant, caller: &UserId, to: &[Address]) -> Option<Outgoing> {
        self.outgoing.retain(|(since, _)| now < *since + FRESH_FOR);
        let mut all = self.outgoing.iter();
        let index = all.position(|(_, outgoing)| outgoing.caller == *caller && outgoing.to == to)?;
        self.outgoing.remove(index).map(|(_, outgoing)| outgoing)
    }

    /// Notes what a caller says about the call that begins now, whose parties meet in this room.
    pub fn announce(&mut self, now: Instant, room: RoomName, details: Details) {
        let ring_for = self.ring_for;
        let is_over = |since: Instant| now >= since + ring_for;
        while self.details.len() >= DETAILS_MAX || self.details.front().is_some_and(|(since, ..)| is_over(*since)) {
            self.details.pop_front();
        }
        self.details.push_back((now, room, details));
    }

    /// What the caller has said about the call whose parties meet in this room.
    pub fn details(&self, now: Instant, room: &RoomName) -> Details {
        let mut newest_first = self.details.iter().rev();
        let found = newest_first.find(|(since, known, _)| known == room && now < *since + self.ring_for);
        found.map(|(_, _, details)| details.clone()).unwrap_or_default()
    }

    /// Adds an invitation under this token, unless the call has one at this place. Returns the token and the invitation that count:
    /// a call is as old everywhere as where it rang first.
    pub fn invite(
        &mut self,
        now: Instant,
        token: InvitationToken,
        invitation: Invitation,
        at: RingsAt,
    ) -> (InvitationToken, Invitation) {
        if self.waiting.len() >= TOKENS_MAX {
            self.make_room(now);
        }
        let key = (invitation.account.clone(), invitation.call);
        let tokens = self.tokens.entry(key).or_default();
        let known = |token: &InvitationToken| Some((*token, self.waiting.get(token)?));
        let there = tokens.iter().filter_map(known).find(|(_, waiting)| waiting.at == at);
        if let Some((token, waiting)) = there {
            return (token, waiting.invitation.clone());
        }
        let (since, invitation) = match tokens.iter().find_map(known) {
            Some((_, first)) => (first.since, first.invitation.clone()),
            None => (now, invitation),
        };
        tokens.push(token);
        let waiting = Waiting {
            invitation: invitation.clone(),
            since,
            at,
        };
        self.waiting.insert(token, waiting);
        (token, invitation)
    }

    pub fn withdraw(&mut self, account: &UserId, call: CallId) {
        let tokens = self.tokens.remove(&(account.clone(), call));
        for token in tokens.into_iter().flatten() {
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
        if !is_fresh || !waiting.invitation.is_for(place) {
            return None;
        }
        let at = waiting.at.clone();
        let invitation = self.take(now, token)?;
        if self.answered.len() >= ANSWERS_MAX {
            self.answered.pop_front();
        }
        self.answered
            .push_back((invitation.account.clone(), invitation.call, at));
        Some(invitation)
    }

    /// Whether the user has answered the call there.
    pub fn is_answered_at(&self, account: &UserId, call: CallId, at: &RingsAt) -> bool {
        let mut answered = self.answered.iter();
        answered.any(|(by, answered, place)| by == account && *answered == call && place == at)
    }

    fn make_room(&mut self, now: Instant) {
        let ring_for = self.ring_for;
        self.waiting.retain(|_, waiting| now < waiting.since + ring_for);
        if self.waiting.len() >= TOKENS_MAX {
            let oldest = self.waiting.iter().min_by_key(|(_, waiting)| waiting.since);
            if let Some(token) = oldest.map(|(token, _)| *token) {
                self.waiting.remove(&token);
            }
        }
        let waiting = &self.waiting;
        self.tokens.retain(|_, tokens| {
            tokens.retain(|token| waiting.contains_key(token));
            !tokens.is_empty()
        });
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
            details: Details::default(),
        }
    }

    fn invite(invitations: &mut Invitations, at: Instant, number: u128, invitation: Invitation) -> InvitationToken {
        invitations
            .invite(at, InvitationToken(number), invitation, RingsAt::Registration(1))
            .0
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_used_once_and_answers_only_a_fresh_call() {
        let now = Instant::now();
        let mut invitations = Invitations::new(RING_FOR);
        let token = invite(&mut invitations, now, 1, invitation("ben", 1));
        assert_eq!(invitations.redeem(now, token, "elsewhere"), None);
        assert_eq!(invitations.redeem(now + FRESH_FOR, token, "ch_1"), None, "not fresh");
        let fresh = now + FRESH_FOR - Duration::from_millis(1);
        assert_eq!(invitations.redeem(fresh, token, "ch_1"), Some(invitation("ben", 1)));
        assert_eq!(invitations.redeem(fresh, token, "ch_1"), None, "used up");
        assert_eq!(invitations.take(fresh, token), None, "used up");
        let token = invite(&mut invitations, now, 2, invitation("ben", 2));
        assert!(invitations.take(now + RING_FOR, token).is_none(), "it rings no longer");
        assert!(invitations.take(now + FRESH_FOR, token).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_has_one_token_at_each_place_and_is_as_old_everywhere_as_where_it_rang_first() {
        let now = Instant::now();
        let mut invitations = Invitations::new(RING_FOR);
        let token = invite(&mut invitations, now, 1, invitation("ben", 1));
        assert_eq!(invite(&mut invitations, now, 2, invitation("ben", 1)), token);
        assert_ne!(invite(&mut invitations, now, 3, invitation("carl", 1)), token);
        let phone = RingsAt::Device("voip:1".into());
        let late = Invitation {
            began_s: 20,
            ..invitation("ben", 1)
        };
        let later = now + Duration::from_secs(20);
        let (other, same) = invitations.invite(later, InvitationToken(4), late, phone.clone());
        assert_ne!(other, token);
        assert_eq!(same.began_s, 0);
        assert_eq!(
            invitations.redeem(now + FRESH_FOR, other, "ch_1"),
            None,
            "as old as the first"
        );
        assert!(invitations.redeem(later, other, "ch_1").is_some());
        assert_eq!(invitations.find(later, token), None, "used up by the other one");
        assert!(invitations.is_answered_at(&"ben".into(), CallId(1), &phone));
        assert!(!invitations.is_answered_at(&"ben".into(), CallId(1), &RingsAt::Registration(1)));
        assert!(!invitations.is_answered_at(&"carl".into(), CallId(1), &phone));
        invitations.withdraw(&"carl".into(), CallId(1));
        assert_eq!(invitations.find(now, InvitationToken(3)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_is_found_by_its_room_while_it_rings() {
        let now = Instant::now();
        let mut invitations = Invitations::new(RING_FOR);
        invite(&mut invitations, now, 1, invitation("ben", 1));
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
        for number in 0..2 * TOKENS_MAX as u64 {
            let at = now + Duration::from_millis(number / 2);
            invite(&mut invitations, at, number.into(), invitation("ben", number));
        }
        assert_eq!(invitations.waiting.len(), TOKENS_MAX);
        assert_eq!(invitations.tokens.len(), TOKENS_MAX);
        let last = now + Duration::from_millis(TOKENS_MAX as u64);
        let newest = InvitationToken(2 * TOKENS_MAX as u128 - 1);
        assert!(invitations.find(last, newest).is_some());
        assert!(invitations.find(last, InvitationToken(0)).is_none());
        for number in 0..2 * ANSWERS_MAX as u64 {
            let token = invite(
                &mut invitations,
                last,
                u128::MAX - u128::from(number),
                invitation("carl", number),
            );
            assert!(invitations.redeem(last, token, "ch_1").is_some());
        }
        assert_eq!(invitations.answered.len(), ANSWERS_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_caller_says_is_known_while_the_call_rings() {
        let now = Instant::now();
        let mut invitations = Invitations::new(RING_FOR);
        let said = |key: &str| Details {
            bss_key: key.to_owned(),
            ..Details::default()
        };
        invitations.announce(now, "one".into(), said("1"));
        invitations.announce(now, "two".into(), said("2"));
        assert_eq!(invitations.details(now, &"one".into()), said("1"));
        assert_eq!(invitations.details(now, &"three".into()), Details::default());
        assert_eq!(invitations.details(now + RING_FOR, &"one".into()), Details::default());
        for number in 0..2 * DETAILS_MAX {
            invitations.announce(now, format!("{number}").as_str().into(), said("x"));
        }
        assert_eq!(invitations.details.len(), DETAILS_MAX);
        invitations.announce(now + RING_FOR, "last".into(), said("3"));
        assert_eq!(invitations.details.len(), 1, "nothing else is about a call that rings");
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_caller_says_before_a_call_counts_once_for_that_call_and_for_half_a_minute() {
        let now = Instant::now();
        let mut invitations = Invitations::new(RING_FOR);
        let to = |name: &str| vec![Address::Name(name.into())];
        let outgoing = |name: &str, key: &str| Outgoing {
            caller: "anna".into(),
            to: to(name),
            details: Details {
                bss_key: key.to_owned(),
                ..Details::default()
            },
        };
        invitations.prepare(now, outgoing("ben", "1"));
        invitations.prepare(now, outgoing("ben", "2"));
        assert_eq!(invitations.prepared(now, &"carl".into(), &to("ben")), None);
        assert_eq!(invitations.prepared(now, &"anna".into(), &to("carl")), None);
        let said = invitations.prepared(now, &"anna".into(), &to("ben"));
        assert_eq!(said.unwrap().bss_key, "2");
        assert_eq!(invitations.prepared(now, &"anna".into(), &to("ben")), None, "once");
        for number in 0..2 * OUTGOING_MAX {
            invitations.prepare(now, outgoing(&number.to_string(), "x"));
        }
        assert_eq!(invitations.outgoing.len(), OUTGOING_MAX);
        let last = (2 * OUTGOING_MAX - 1).to_string();
        let late = now + FRESH_FOR;
        assert_eq!(invitations.prepared(late, &"anna".into(), &to(&last)), None);
        assert_eq!(invitations.outgoing.len(), 0);
    }
}
