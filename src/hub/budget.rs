//! The cost of a session's requests for others: the bytes of each event, once for each session that is sent it. Pure; the time
//! is an argument.
//!
//! A text of 16 KiB is cheap to send and dear to deliver to a hundred people, and a message to everybody costs as much as there
//! are people. A session that has spent its budget is not read from until enough time has passed. A single message that would
//! cost more than the session may ever spend at once is refused.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::outbox;
use crate::domain::{Effect, MailboxCommand};
use crate::ids::SessionId;
use crate::shares::{ClientAddress, Rates, TokenBucket};

/// Seconds of its rate that a session can have saved up, and that it may owe: for this time at most it is not read from. At the
/// default rate that is 8 MiB: a text of the greatest length to five full rooms, or one of 700 bytes to 10,000 people.
const SAVED_S: u32 = 32;

/// Seconds of its rate with which a session begins: fewer than it can save, so that a new socket gains nothing.
const FIRST_S: u32 = 4;

/// Sessions whose full rate one client address may spend together: a family that writes all day.
const SESSIONS_OF_ADDRESS: u32 = 8;

/// Client addresses that are remembered, some 60 bytes each. An address that has been silent for a while need not be.
const ADDRESSES_MAX: usize = 4_096;

/// Users of one client address whose coming can be announced to everybody at once. When a server restarts, some hundred people
/// behind one address come at the same moment, and again if it fails once more.
const TURNS_OF_ADDRESS: u32 = 1_000;

/// Further such users each second: people who come and go all day. Each is two frames for everybody who is online.
const TURNS_PER_S: f64 = 2.0;

/// Bytes that storing a message costs beside its own: a write to the disk.
const STORING_BYTES: usize = 4 * 1024;

/// Cost of a notice to one push target beside the target's bytes: a request over the network, to a service that counts them.
const PUSHING_BYTES: usize = 4 * 1024;

/// The budgets of all sessions, and of the addresses from which they come.
pub(super) struct Budgets {
    bytes_per_s: u32,
    most: u32,
    sessions: HashMap<SessionId, Budget>,
    clients: Rates<ClientAddress>,
    /// Joins of each address; a join pays for the leave that follows it. An address is charged, because a client may open a new
    /// session for each join.
    turns: Rates<ClientAddress>,
}

struct Budget {
    client: ClientAddress,
    bucket: TokenBucket,
}

impl Budgets {
    /// Each session may cost others `bytes_per_s`.
    pub fn new(bytes_per_s: u32) -> Self {
        let most = bytes_per_s.saturating_mul(SAVED_S);
        let of_address = f64::from(bytes_per_s) * f64::from(SESSIONS_OF_ADDRESS);
        Self {
            bytes_per_s,
            most,
            sessions: HashMap::new(),
            clients: Rates::new(most.saturating_mul(SESSIONS_OF_ADDRESS), of_address, ADDRESSES_MAX),
            turns: Rates::new(TURNS_OF_ADDRESS, TURNS_PER_S, ADDRESSES_MAX),
        }
    }

    pub fn open(&mut self, session: SessionId, client: ClientAddress, now: Instant) {
        let first = self.bytes_per_s.saturating_mul(FIRST_S);
        let bucket = TokenBucket::new(self.most, self.bytes_per_s.into(), now).holding(first);
        self.sessions.insert(session, Budget { client, bucket });
    }

    pub fn close(&mut self, session: SessionId) {
        self.sessions.remove(&session);
    }

    /// Whether everybody is to be sent that the user of this session has come.
    pub(crate) fn announces(&mut self, session: SessionId, now: Instant) -> bool {
        let Some(Budget { client, .. }) = self.sessions.get(&session) else {
            return true;
        };
        client.is_this_machine() || self.turns.take(*client, 1, now).is_ok()
    }

    /// Whether a message at this price may be sent at all.
    pub(crate) fn allows(&self, price: u32) -> bool {
        price <= self.most
    }

    /// Charges a price to a session. Returns the time for which its client is not to be read from. `only_passes_on`: the client has
    /// sent something to others, which counts for its address too.
    pub(crate) fn charge(&mut self, session: SessionId, price: u32, only_passes_on: bool, now: Instant) -> Duration {
        let Some(Budget { client, bucket }) = self.sessions.get_mut(&session) else {
            return Duration::ZERO;
        };
        let pause = bucket.charge(price, now);
        if !only_passes_on || client.is_this_machine() {
            return pause;
        }
        let longest = Duration::from_secs(SAVED_S.into());
        pause.max(self.clients.charge(*client, price, now).min(longest))
    }
}

/// The price of the effects of a request: what they cost others. What the session itself is sent costs nothing.
pub(super) fn price(session: SessionId, effects: &[Effect]) -> u32 {
    let bytes = effects.iter().map(|effect| match effect {
        Effect::Send { session: to, event } if *to != session => outbox::weight(event),
        Effect::SendEach { sessions, event } => {
            let others = sessions.iter().filter(|to| **to != session).count();
            others.saturating_mul(outbox::weight(event))
        }
        Effect::Mailbox(MailboxCommand::Keep { message, .. }) => message.len() + STORING_BYTES,
        Effect::Push(notice) => {
            let targets = notice.targets.iter();
            targets.map(|target| target.as_str().len() + PUSHING_BYTES).sum()
        }
        _ => 0,
    });
    u32::try_from(bytes.fold(0, usize::saturating_add)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Event, MessageEvent};

    const RATE: u32 = 1_000;
    const ANNA: SessionId = SessionId(1);

    fn address(number: u8) -> ClientAddress {
        std::net::IpAddr::from([192, 0, 2, number]).into()
    }

    fn with_anna(now: Instant) -> Budgets {
        let mut budgets = Budgets::new(RATE);
        budgets.open(ANNA, address(1), now);
        budgets
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_spent_what_there_is_waits_until_time_has_paid() {
        let start = Instant::now();
        let mut budgets = with_anna(start);
        assert_eq!(budgets.charge(ANNA, 4_000, true, start), Duration::ZERO);
        assert_eq!(budgets.charge(ANNA, 2_000, true, start), Duration::from_secs(2));
        let later = start + Duration::from_secs(2);
        assert_eq!(budgets.charge(ANNA, 0, true, later), Duration::ZERO);
        assert_eq!(budgets.charge(ANNA, 1, true, later), Duration::from_millis(1));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_ever_waits_for_longer_than_is_saved_in_one_go() {
        let start = Instant::now();
        let mut budgets = with_anna(start);
        assert!(budgets.allows(32_000));
        assert!(!budgets.allows(32_001));
        let rested = start + Duration::from_secs(3_600);
        assert_eq!(budgets.charge(ANNA, 32_000, true, rested), Duration::ZERO);
        assert_eq!(budgets.charge(ANNA, 32_000, true, rested), Duration::from_secs(32));
    }

    #[tokio::test(start_paused = true)]
    async fn many_sessions_of_one_address_say_no_more_than_eight_and_come_and_go_freely() {
        let now = Instant::now();
        // Once with an address, and once as programs of this machine, which are not slowed.
        for (client, is_slowed) in [(address(1), true), (ClientAddress::THIS_MACHINE, false)] {
            let mut budgets = Budgets::new(RATE);
            let mut slowed = 0;
            for session in 0..200 {
                budgets.open(SessionId(session), client, now);
                assert_eq!(budgets.charge(SessionId(session), 1_000, false, now), Duration::ZERO);
                slowed += u64::from(!budgets.charge(SessionId(session), 3_000, true, now).is_zero());
            }
            // 8 × 32 seconds' worth are 85 of them.
            assert_eq!(slowed, if is_slowed { 115 } else { 0 });
            budgets.open(SessionId(999), address(2), now);
            assert_eq!(budgets.charge(SessionId(999), 4_000, true, now), Duration::ZERO);
        }
    }

    /// How many users are announced who come at these times, each in a session of its own.
    fn announced(budgets: &mut Budgets, client: ClientAddress, times: impl Iterator<Item = Instant>) -> usize {
        let mut is_announced = |(number, now): (u64, Instant)| {
            let session = SessionId(number);
            budgets.open(session, client, now);
            let is_announced = budgets.announces(session, now);
            budgets.close(session);
            is_announced
        };
        (1..).zip(times).filter(|turn| is_announced(*turn)).count()
    }

    #[tokio::test(start_paused = true)]
    async fn a_restart_of_many_behind_one_address_is_announced_and_a_flood_of_comings_is_not() {
        let start = Instant::now();
        let at_once = |count| std::iter::repeat_n(start, count);
        let flood = || (0..6_000).map(|turn| start + Duration::from_millis(10) * turn);
        let mut budgets = Budgets::new(RATE);
        assert_eq!(announced(&mut budgets, address(1), at_once(800)), 800);
        let of_flood = announced(&mut budgets, address(2), flood());
        assert!((1_100..1_130).contains(&of_flood), "{of_flood}");
        assert_eq!(announced(&mut budgets, address(3), at_once(1)), 1, "another address");
        let here = ClientAddress::THIS_MACHINE;
        assert_eq!(
            announced(&mut budgets, here, flood()),
            6_000,
            "programs of this machine"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_kept_of_sessions_that_have_ended() {
        let mut budgets = with_anna(Instant::now());
        budgets.close(ANNA);
        assert!(budgets.sessions.is_empty());
        assert_eq!(budgets.charge(ANNA, u32::MAX, true, Instant::now()), Duration::ZERO);
    }

    #[test]
    fn a_notice_costs_for_each_target_what_a_push_service_is_asked() {
        use crate::domain::{CallEvent, PushNotice};
        use crate::ids::{CallId, PushTarget};
        let push = |count: usize| {
            let event = CallEvent::Incoming {
                call: CallId(1),
                from: crate::domain::Address::Name("anna".into()),
                to: crate::domain::Address::Name("ben".into()),
                room: None,
                message: None,
            };
            let targets = vec![PushTarget::from("x".repeat(500).as_str()); count];
            Effect::Push(PushNotice {
                to: crate::domain::Address::Name("ben".into()),
                targets,
                until: None,
                event,
            })
        };
        assert_eq!(price(ANNA, &[push(1)]), 4_596);
        assert_eq!(price(ANNA, &[push(16)]), 16 * 4_596);
    }

    #[test]
    fn the_price_is_what_others_are_sent() {
        let (own, other, third) = (SessionId(1), SessionId(2), SessionId(3));
        let text = |bytes: usize| Event::Text {
            from: "anna".into(),
            text: "x".repeat(bytes).into(),
        };
        let send = |session, event| Effect::Send { session, event };
        assert_eq!(price(own, &[send(own, text(1_000))]), 0);
        let one = price(own, &[send(other, text(1_000))]);
        assert!((1_000..1_500).contains(&one), "{one}");
        assert_eq!(
            price(own, &[send(other, text(1_000)), send(third, text(1_000))]),
            2 * one
        );

        let message = bytes::Bytes::from(vec![0; 1_000]);
        let each = Effect::SendEach {
            sessions: vec![own, other, third],
            event: Event::Message(MessageEvent::Received {
                message: message.clone(),
            }),
        };
        assert!((2_000..3_000).contains(&price(own, &[each])));
    }
}
