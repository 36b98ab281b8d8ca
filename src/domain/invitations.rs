//! Invitations to calls for people who are not there. They wait no longer than a call rings: a phone that rings later rings for
//! nobody. For the limits they are calls that ring: as many wait in all, for one person, and from one client address. With
//! twice [`MESSAGE_BYTES_MAX`] each they take 32 MB at the worst.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::calls::CALLS_AT_LEAST;
use super::{Limits, MessageSender};
use crate::ids::UserId;
use crate::shares::{ClientAddress, Pot};

/// Bytes of an invitation that waits. It names two people and a room; longer ones do not wait.
const MESSAGE_BYTES_MAX: usize = 4 * 1024;

/// A sender and a receiver. Each pair has one invitation at most: the newest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Pair {
    receiver: UserId,
    sender: UserId,
}

struct WaitingInvitation {
    sender: MessageSender,
    until: Instant,
    message: Bytes,
    missed: Option<Bytes>,
}

/// What one person sends another about a call.
pub(super) struct Invitation {
    pub receiver: UserId,
    pub sender: MessageSender,
    pub message: Bytes,
    /// Message for a receiver who comes too late. `None` if this answers an invitation, or takes one back: nobody waits for an
    /// answer to that.
    pub missed: Option<Bytes>,
}

/// All invitations that wait.
pub(super) struct Invitations {
    ring_for: Duration,
    per_receiver: usize,
    per_receiver_from_one: usize,
    waiting: BTreeMap<Pair, WaitingInvitation>,
    due: BTreeSet<(Instant, Pair)>,
    space: Pot,
}

impl Invitations {
    pub fn new(limits: &Limits) -> Self {
        Self {
            ring_for: limits.ring_for,
            per_receiver: limits.calls_per_address,
            per_receiver_from_one: limits.calls_per_address_from_one,
            space: Pot::new(limits.calls as u64, limits.share(CALLS_AT_LEAST)),
            waiting: BTreeMap::new(),
            due: BTreeSet::new(),
        }
    }

    /// Keeps an invitation for as long as it rings, or gives it back where there is no space. A newer one from the same person
    /// takes the place of the older. An invitation that is taken back does not ring at all: then this returns the message that
    /// its receiver gets instead.
    pub fn keep(&mut self, now: Instant, invitation: Invitation) -> Result<Option<Bytes>, Invitation> {
        let Invitation {
            receiver,
            sender,
            message,
            missed,
        } = &invitation;
        let pair = Pair {
            receiver: receiver.clone(),
            sender: sender.user.clone(),
        };
        let older = self.remove(&pair);
        if missed.is_none()
            && let Some(missed) = older.as_ref().and_then(|older| older.missed.clone())
        {
            return Ok(Some(missed));
        }
        if !self.has_space_for(receiver, sender.client) || message.len() > MESSAGE_BYTES_MAX {
            // The older invitation still rings, and its sender is to hear if the receiver does not come in time.
            if let Some(older) = older {
                self.insert(pair, older);
            }
            return Err(invitation);
        }
        let (sender, message, missed) = (sender.clone(), message.clone(), missed.clone());
        let until = now + self.ring_for;
        self.insert(
            pair,
            WaitingInvitation {
                sender,
                until,
                message,
                missed,
            },
        );
        Ok(None)
    }

    /// Takes out the invitations for somebody who is there now, the oldest first. Those whose time is over stay, and are
    /// reported as missed by [`Invitations::handle_timeout`], which may be late.
    pub fn take(&mut self, now: Instant, receiver: &UserId) -> Vec<Bytes> {
        let rings = |pair: &&Pair| self.waiting.get(*pair).is_some_and(|waiting| now < waiting.until);
        let pairs: Vec<Pair> = self.for_receiver(receiver).filter(rings).cloned().collect();
        let mut taken: Vec<WaitingInvitation> = pairs.iter().filter_map(|pair| self.remove(pair)).collect();
        taken.sort_by_key(|waiting| waiting.until);
        taken.into_iter().map(|waiting| waiting.message).collect()
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.due.first().map(|(due, _)| *due)
    }

    /// Forgets the invitations whose time is over. Returns those whose senders wait for an answer.
    pub fn handle_timeout(&mut self, now: Instant) -> Vec<Invitation> {
        let mut unanswered = Vec::new();
        while let Some((_, pair)) = self.due.first().filter(|(due, _)| *due <= now).cloned() {
            let Some(waiting) = self.remove(&pair) else { break };
            let WaitingInvitation {
                sender,
                message,
                missed,
                ..
            } = waiting;
            let receiver = pair.receiver;
            if missed.is_some() {
                unanswered.push(Invitation {
                    receiver,
                    sender,
                    message,
                    missed,
                });
            }
        }
        unanswered
    }

    fn has_space_for(&self, receiver: &UserId, client: ClientAddress) -> bool {
        let theirs = || self.for_receiver(receiver);
        let from_one = theirs()
            .filter_map(|pair| self.waiting.get(pair))
            .filter(|one| one.sender.client == client)
            .count();
        self.space.allows(client, 1).is_ok()
            && theirs().count() < self.per_receiver
            && (client.is_this_machine() || from_one < self.per_receiver_from_one)
    }

    fn for_receiver(&self, receiver: &UserId) -> impl Iterator<Item = &Pair> {
        let first = Pair {
            receiver: receiver.clone(),
            sender: UserId::from(""),
        };
        let waiting = self.waiting.range(first..).map(|(pair, _)| pair);
        waiting.take_while(move |pair| pair.receiver == *receiver)
    }

    fn insert(&mut self, pair: Pair, waiting: WaitingInvitation) {
        self.space.count(waiting.sender.client, 1);
        self.due.insert((waiting.until, pair.clone()));
        self.waiting.insert(pair, waiting);
    }

    fn remove(&mut self, pair: &Pair) -> Option<WaitingInvitation> {
        let waiting = self.waiting.remove(pair)?;
        self.due.remove(&(waiting.until, pair.clone()));
        self.space.give_back(waiting.sender.client, 1);
        Some(waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::some_instant;

    fn invitation(receiver: &str, sender: &str, text: &str) -> Invitation {
        Invitation {
            receiver: receiver.into(),
            sender: MessageSender {
                user: sender.into(),
                client: ClientAddress::THIS_MACHINE,
            },
            message: Bytes::copy_from_slice(text.as_bytes()),
            missed: Some(Bytes::from_static(b"missed")),
        }
    }

    fn invitations() -> (Invitations, Instant) {
        (Invitations::new(&Limits::default()), some_instant())
    }

    fn after(now: Instant, seconds: u64) -> Instant {
        now + Duration::from_secs(seconds)
    }

    #[test]
    fn an_invitation_waits_as_long_as_it_rings_and_then_its_sender_is_named() {
        let (mut all, now) = invitations();
        assert!(all.keep(now, invitation("ben", "anna", "1")).is_ok());
        assert_eq!(all.poll_timeout(), Some(after(now, 60)));
        assert!(all.handle_timeout(after(now, 59)).is_empty());
        let unanswered = all.handle_timeout(after(now, 60));
        let pairs: Vec<_> = unanswered
            .iter()
            .map(|one| (one.receiver.as_str(), one.sender.user.as_str()))
            .collect();
        assert_eq!(pairs, [("ben", "anna")]);
        assert_eq!(all.take(now, &"ben".into()), Vec::<Bytes>::new());
        assert_eq!(all.poll_timeout(), None);
    }

    #[test]
    fn who_comes_when_its_time_is_over_does_not_get_it_though_nobody_has_looked_at_the_clock() {
        let (mut all, now) = invitations();
        assert!(all.keep(now, invitation("ben", "anna", "1")).is_ok());
        assert!(all.keep(after(now, 1), invitation("ben", "carl", "2")).is_ok());
        assert_eq!(all.take(after(now, 60), &"ben".into()), ["2"]);
        assert_eq!(all.handle_timeout(after(now, 60)).len(), 1, "its sender is sent that");
        assert_eq!(all.poll_timeout(), None);
    }

    #[test]
    fn whoever_comes_gets_theirs_in_their_order_once() {
        let (mut all, now) = invitations();
        for (seconds, receiver, sender) in [(0, "ben", "carl"), (1, "ben", "anna"), (2, "benno", "anna")] {
            assert!(
                all.keep(after(now, seconds), invitation(receiver, sender, sender))
                    .is_ok()
            );
        }
        assert_eq!(all.take(now, &"ben".into()), ["carl", "anna"]);
        assert_eq!(all.take(now, &"ben".into()), Vec::<Bytes>::new());
        assert_eq!(all.take(now, &"benno".into()), ["anna"]);
        assert_eq!(all.poll_timeout(), None);
    }

    #[test]
    fn the_newest_of_one_sender_takes_the_place_of_the_older_and_none_is_left_where_it_is_taken_back() {
        let (mut all, now) = invitations();
        assert!(all.keep(now, invitation("ben", "anna", "1")).is_ok());
        assert!(all.keep(after(now, 30), invitation("ben", "anna", "2")).is_ok());
        assert_eq!(all.poll_timeout(), Some(after(now, 90)));
        let mut back = invitation("ben", "anna", "never mind");
        back.missed = None;
        let missed = all.keep(after(now, 31), back).ok().flatten();
        assert_eq!(missed, Some(Bytes::from_static(b"missed")));
        assert_eq!(all.poll_timeout(), None);
        let mut answer = invitation("ben", "anna", "agree");
        answer.missed = None;
        assert!(all.keep(now, answer).is_ok());
        assert!(
            all.handle_timeout(after(now, 60)).is_empty(),
            "nobody waits for an answer to an answer"
        );
        assert_eq!(all.poll_timeout(), None);
    }

    #[test]
    fn what_has_no_space_comes_back() {
        let (mut all, now) = invitations();
        let long = "x".repeat(MESSAGE_BYTES_MAX + 1);
        assert!(all.keep(now, invitation("ben", "anna", &long)).is_err());
        for sender in 0..Limits::default().calls_per_address {
            assert!(all.keep(now, invitation("ben", &sender.to_string(), "")).is_ok());
        }
        assert!(all.keep(now, invitation("ben", "one more", "")).is_err());
        assert!(all.keep(now, invitation("ben", "0", "again")).is_ok());
        for receiver in Limits::default().calls_per_address as u64..Limits::default().calls as u64 {
            assert!(all.keep(now, invitation(&format!("r{receiver}"), "anna", "")).is_ok());
        }
        assert!(all.keep(now, invitation("dora", "anna", "")).is_err());
        assert_eq!(all.take(now, &"ben".into()).len(), Limits::default().calls_per_address);
    }

    #[test]
    fn an_older_invitation_goes_on_ringing_where_the_newer_has_no_space() {
        let (mut all, now) = invitations();
        assert!(all.keep(now, invitation("ben", "anna", "1")).is_ok());
        let long = "x".repeat(MESSAGE_BYTES_MAX + 1);
        assert!(all.keep(after(now, 30), invitation("ben", "anna", &long)).is_err());
        assert_eq!(all.space.taken(), 1);
        assert_eq!(all.poll_timeout(), Some(after(now, 60)));
        let missed: Vec<_> = all
            .handle_timeout(after(now, 60))
            .into_iter()
            .map(|one| one.missed)
            .collect();
        assert_eq!(missed, [Some(Bytes::from_static(b"missed"))]);
        assert_eq!(all.space.taken(), 0);
    }

    #[test]
    fn one_client_address_takes_neither_all_space_nor_all_of_one_person_s() {
        let (mut all, now) = invitations();
        let from = |address: u8, receiver: &str, sender: &str| {
            let mut invitation = invitation(receiver, sender, "");
            invitation.sender.client = std::net::IpAddr::from([192, 0, 2, address]).into();
            invitation
        };
        let many: Vec<String> = (0..3_000).map(|number| number.to_string()).collect();
        let to_ben = many
            .iter()
            .filter(|sender| all.keep(now, from(1, "ben", sender)).is_ok());
        assert_eq!(to_ben.count(), Limits::default().calls_per_address_from_one);
        assert!(all.keep(now, from(2, "ben", "anna")).is_ok());
        let in_all = many
            .iter()
            .filter(|receiver| all.keep(now, from(1, receiver, "x")).is_ok());
        assert_eq!(
            in_all.count() + Limits::default().calls_per_address_from_one,
            999,
            "a quarter, while somebody else has one"
        );
        assert!(all.keep(now, from(2, "carl", "anna")).is_ok());
        all.handle_timeout(after(now, 60));
        assert_eq!(all.space.taken(), 0, "what has gone is not counted");
    }
}
