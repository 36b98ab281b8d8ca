//! What the rules have opened, as their effects say, and what must be true of these.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use patchbay::domain::{
    CallEvent, Effect, Event, MediaKind, MediaState, Negotiation, PushNotice, Rules, Side, Subject,
};
use patchbay::ids::{CallId, ParticipantId, PeerId, PushTarget, RoomId, SessionId};

use super::meeting;

/// The things that the effects so far have opened and not closed.
#[derive(Default)]
pub struct Open {
    pub rooms: BTreeSet<RoomId>,
    pub peers: BTreeSet<PeerId>,
    /// Whose connections were offered, also of those that have ended.
    pub owners: BTreeMap<PeerId, ParticipantId>,
    /// Those of the connections that carry a call.
    pub carrying: BTreeMap<PeerId, CallId>,
    pub dismissed: BTreeSet<SessionId>,
    /// The sessions at which calls ring,
    pub ringing: BTreeSet<(SessionId, CallId)>,
    /// the sessions that may have ended that by something they did, of which nothing is sent to them,
    pub perhaps_ringing: BTreeSet<(SessionId, CallId)>,
    /// and the push targets at which they ring, in the order in which that began.
    pub pushed: Vec<(CallId, Vec<PushTarget>)>,
    /// The sessions that wait to be let in,
    pub waiting: BTreeSet<SessionId>,
    /// and those that waited when they were dismissed, and whose sockets may not have closed yet.
    pub perhaps_waiting: BTreeSet<SessionId>,
}

impl Open {
    pub fn take(&mut self, effects: Vec<Effect>) {
        // The sessions dismissed by these effects: later effects may name a session whose socket has not closed yet, and the
        // hub leaves them out.
        let (mut dismissed, mut over_calls) = (BTreeSet::new(), BTreeSet::new());
        for effect in effects {
            match effect {
                Effect::OpenRoom(room) => assert!(self.rooms.insert(room), "a room is opened once"),
                Effect::CloseRoom(room) => assert!(self.rooms.remove(&room), "an open room is closed"),
                Effect::ClosePeer { peer, .. } => assert!(self.peers.remove(&peer), "an open connection is closed"),
                Effect::FillSlot { peer, source, .. } => {
                    assert!(self.peers.contains(&peer), "a slot of an open connection");
                    let own = self.owners.get(&peer).copied();
                    let shown = source.map(|source| source.participant);
                    assert!(shown.is_none() || shown != own, "nobody is in their own slots");
                }
                Effect::Mute { peer, .. } => assert!(self.peers.contains(&peer), "an open connection is muted"),
                Effect::Want { peer, .. } => assert!(self.peers.contains(&peer), "an open connection wants something"),
                Effect::Negotiate(offers) => offers.iter().for_each(|offer| self.negotiates(offer)),
                Effect::Dismiss { session, .. } => {
                    assert!(dismissed.insert(session), "dismissed once");
                    self.dismissed.insert(session);
                    self.perhaps_waiting.extend(self.waiting.take(&session));
                    self.is_silent(session);
                }
                Effect::Send { session, event } => {
                    assert!(!dismissed.contains(&session), "nothing after the end");
                    meeting::note(&mut self.waiting, session, &event);
                    match event {
                        Event::Call(CallEvent::Incoming { call, .. }) => {
                            assert!(self.ringing.insert((session, call)), "it rings once");
                            self.perhaps_ringing.remove(&(session, call));
                        }
                        Event::Call(CallEvent::Over(over)) if over.side == Side::Callee && !over.accepted => {
                            let it = (session, over.call);
                            let was_ringing = self.ringing.remove(&it) || self.perhaps_ringing.remove(&it);
                            assert!(was_ringing, "what stops has rung");
                        }
                        Event::Call(CallEvent::Over(over)) if over.accepted => _ = over_calls.insert(over.call),
                        // A caller whose call is accepted is not sent the end of the other person's call that rang at their
                        // session.
                        Event::Call(CallEvent::Accepted { .. }) => self.is_silent(session),
                        _ => {}
                    }
                }
                Effect::Push(notice) => self.pushes(notice),
                Effect::SendEach { sessions, event } => {
                    assert!(sessions.iter().all(|session| !dismissed.contains(session)));
                    for session in sessions {
                        meeting::note(&mut self.waiting, session, &event);
                    }
                }
                Effect::Play(playback) => {
                    assert!(self.rooms.contains(&playback.room), "somebody plays in an open room");
                    self.peers.insert(playback.peer);
                }
                Effect::Mailbox(_) => {}
            }
        }
        let open = &self.peers;
        self.carrying.retain(|peer, _| open.contains(peer));
        let stays = self.carrying.values().any(|call| over_calls.contains(call));
        assert!(!stays, "whoever was brought somewhere by a call leaves when it is over");
    }

    fn negotiates(&mut self, offer: &Negotiation) {
        assert!(self.rooms.contains(&offer.room), "a connection is in an open room");
        self.peers.insert(offer.peer);
        self.owners.insert(offer.peer, offer.participant);
        if let Subject::Call { call, .. } = offer.subject {
            self.waiting.remove(&offer.session);
            self.carrying.insert(offer.peer, call);
            self.is_silent(offer.session);
        }
    }

    fn pushes(&mut self, notice: PushNotice) {
        match notice.event {
            CallEvent::Incoming { call, .. } => self.pushed.push((call, notice.targets)),
            CallEvent::Over(over) => {
                let of = (over.call, notice.targets);
                let index = self.pushed.iter().position(|pushed| *pushed == of);
                self.pushed.remove(index.expect("what stops has rung"));
            }
            other => panic!("no news for a push target: {other:?}"),
        }
    }

    /// A session has answered, hung up, left or registered anew: calls may stop ringing there without an effect.
    pub fn is_silent(&mut self, session: SessionId) {
        let silent = self.ringing.extract_if(.., |(at, _)| *at == session);
        self.perhaps_ringing.extend(silent);
    }

    pub fn leave(&mut self, rules: &mut Rules, now: Instant, session: SessionId) {
        self.waiting.remove(&session);
        self.perhaps_waiting.remove(&session);
        self.take(rules.leave(now, session));
        self.is_silent(session);
    }

    /// Takes an event of the media engine about a connection.
    pub fn take_media(&mut self, rules: &mut Rules, now: Instant, peer: PeerId, what: usize) {
        // After these the engine no longer holds it.
        if what < 3 {
            self.peers.remove(&peer);
        }
        let somebody = ParticipantId(what as u64);
        let effects = match what {
            0 | 1 => rules.peer_lost(now, peer, what == 1),
            2 => rules.offer_failed(now, peer),
            3 => return self.lose_media(rules, now, &[peer]),
            4 => rules.peer_connected(peer),
            5 => rules.media_changed(peer, MediaState::Lost),
            6 => rules.decoding_changed(peer, somebody, MediaKind::Video, Some("VP9".to_owned())),
            7 => rules.decoding_changed(peer, somebody, MediaKind::Video, None),
            _ => rules.speech_changed(now, peer, what.is_multiple_of(2)),
        };
        self.take(effects);
    }

    /// A part of the media engine is lost with these connections. Those of sessions that end with it may be closed besides.
    pub fn lose_media(&mut self, rules: &mut Rules, now: Instant, peers: &[PeerId]) {
        self.take(rules.media_lost(now, peers));
        for peer in peers {
            self.peers.remove(peer);
        }
    }
}
