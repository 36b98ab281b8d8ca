//! All that one node decides, in one place: rooms, calls, and messages.

mod calling;
mod entering;

use std::sync::Arc;
use std::time::Instant;

use super::calls::{Calls, Leaving};
use super::lobby::Entrant;
use super::messages::Messages;
use super::register::{Abilities, Register, Registration};
use super::rooms::{PairChange, Rooms};
use super::{
    Address, CallEnd, Claim, Command, Effect, EndReason, LayersWanted, Limits, MediaKind, MediaState, Newcomer,
    Refusal, RoomOutline, WaitingMessage,
};
use crate::ids::{FeedRef, ParticipantId, PeerId, PushTarget, RoomId, RoomName, SessionId, UserId};
use crate::shares::ClientAddress;
use crate::video::Quality;

/// The state of all rooms and calls, and of who is reachable. It has one owner; each call returns what is to be done about it.
/// When the time of [`Rules::poll_timeout`] has come, [`Rules::handle_timeout`] is to be called.
pub struct Rules {
    limits: Limits,
    register: Register,
    rooms: Rooms,
    calls: Calls,
    messages: Messages,
    /// Number of connections so far that gave way to others before they had connected.
    displaced: u64,
}

impl Rules {
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            register: Register::new(&limits),
            rooms: Rooms::new(limits),
            calls: Calls::new(limits),
            messages: Messages::new(&limits),
            displaced: 0,
        }
    }

    pub fn room_count(&self) -> usize {
        self.rooms.room_count()
    }

    pub fn participant_count(&self) -> usize {
        self.rooms.participant_count()
    }

    /// Number of sessions that wait to be let into rooms.
    pub fn waiting_count(&self) -> usize {
        self.rooms.waiting_count()
    }

    pub fn peer_count(&self) -> usize {
        self.rooms.peer_count()
    }

    /// Number of connections that have given way to others so far.
    pub(crate) fn displaced_count(&self) -> u64 {
        self.displaced
    }

    /// Number of calls that ring or are accepted.
    pub fn call_count(&self) -> usize {
        self.calls.call_count()
    }

    /// Number of sessions that can be called.
    pub fn reachable_count(&self) -> usize {
        self.register.ringing_session_count()
    }

    /// Whether somebody has proven that this name is theirs, and is there.
    pub(crate) fn is_name_held(&self, name: &UserId) -> bool {
        self.register.is_held(&Address::Name(name.clone()))
    }

    /// Number of users who can be reached by message.
    pub fn online_count(&self) -> usize {
        self.messages.user_count()
    }

    /// The rooms with the next ids after `after`, in the order of these, until they have as many as `enough` participants
    /// together. The last room is whole. Also whether there are more rooms.
    pub fn outline(&self, after: Option<RoomId>, enough: usize) -> (Vec<RoomOutline>, bool) {
        self.rooms.outline(after, enough)
    }

    /// The people in a group room: participants whom others see, without robots.
    pub fn people_in(&self, room: &RoomName) -> Vec<UserId> {
        self.rooms.people_in(room)
    }

    /// Ends the stay of a user in a group room, on all their sessions there.
    pub fn end_stay(&mut self, now: Instant, room: &RoomName, user: &UserId) -> Vec<Effect> {
        let effects = self.rooms.end_stays_of(room, user);
        self.follow_rooms(now);
        effects
    }

    /// Forgets a push target that its service no longer knows. A call that rings there goes on.
    pub(crate) fn forget_push_target(&mut self, address: &Address, target: &PushTarget) {
        self.register.forget_push_target(address, target);
    }

    /// A session has come from this address. A session for which this was not called counts as one of this machine.
    pub fn arrive(&mut self, session: SessionId, client: ClientAddress) {
        self.rooms.quotas.arrive(session, client);
    }

    /// Does what `session` asks.
    pub fn handle(&mut self, now: Instant, session: SessionId, command: Command) -> Result<Vec<Effect>, Refusal> {
        let decided = self.decide(now, session, command);
        self.follow_rooms(now);
        // A connection gives way only to an offer that is not refused.
        let mut effects = decided?;
        for peer in self.rooms.displaced_peers() {
            self.displaced += 1;
            effects.extend(self.displace(now, peer));
        }
        Ok(effects)
    }

    fn decide(&mut self, now: Instant, session: SessionId, command: Command) -> Result<Vec<Effect>, Refusal> {
        match command {
            Command::Register(registration) => self.register(now, session, registration),
            Command::Push(targets) => {
                let client = self.rooms.quotas.client_of(session);
                self.register.set_push_targets(now, session, client, targets)?;
                Ok(Vec::new())
            }
            Command::Call(command) => self.call(now, session, command),
            Command::Message(command) => {
                let client = self.rooms.quotas.client_of(session);
                self.messages.handle(now, session, client, command, &self.register)
            }
            // While a call carries a session, only the call decides about its room.
            _ if self.call_of(session).is_some() => Err(Refusal::InCall),
            Command::Join {
                turn,
                kind,
                room,
                person,
                claim,
                stay,
                connects,
            } => {
                let entrant = Entrant {
                    session,
                    turn,
                    person: Arc::new(person),
                    claim,
                    stay,
                    connects,
                    since: now,
                };
                self.join(kind, room, entrant)
            }
            Command::Leave => Ok(self.rooms.leave(session)),
            Command::Offer { subject, offer } => self.rooms.offer(now, session, subject, offer),
            Command::OfferConference { conference, offer } => {
                self.rooms.offer_conference(now, session, conference, offer)
            }
            Command::EndConnection { subject } => self.rooms.end_connection(now, session, &subject),
            Command::Want(wants) => self.rooms.want(session, wants),
            Command::Play(play) => self.rooms.play(now, session, play),
            Command::SendText { text } => self.rooms.send_text(session, text),
            Command::AnnounceFile { file } => self.rooms.announce_file(session, file),
            Command::Meeting(command) => self.rooms.meeting(now, session, command),
        }
    }

    fn register(
        &mut self,
        now: Instant,
        session: SessionId,
        registration: Registration,
    ) -> Result<Vec<Effect>, Refusal> {
        if self.register.is_registered(session, &registration)? {
            if registration.claim == Claim::Proven {
                self.register.prove(session);
            }
            return Ok(Vec::new());
        }
        if self.crowds(session, &registration) {
            return Err(Refusal::TooManySessions);
        }
        let older = self.register.admit(&registration)?;
        let mut effects = self.unregister(now, session, Leaving::GivesWay);
        // The newcomer is added before the older ones leave, so that a call does not stop ringing for want of anybody.
        let Registration {
            address,
            newcomer,
            abilities,
            ..
        } = registration.clone();
        self.register.add(session, registration);
        if newcomer == Newcomer::Inherits {
            self.calls.inherit(session, &address, &older);
        }
        let ringing = self.calls.arrived(session, &address, abilities);
        for session in older.into_iter().filter(|older| *older != session) {
            effects.extend(self.unregister(now, session, Leaving::GivesWay));
            let reason = EndReason::Replaced;
            effects.push(Effect::Dismiss { session, reason });
        }
        if let Some(user) = address.user().filter(|_| abilities.messages) {
            effects.extend(self.messages.arrived(session, user, &self.register));
        }
        effects.extend(self.carry_out(now, ringing));
        Ok(effects)
    }

    /// Whether a session that only asks in somebody's name, without a proof, would take more than half of the places for such
    /// sessions for its client address. So nobody alone keeps others from asking in a name.
    fn crowds(&self, session: SessionId, registration: &Registration) -> bool {
        let quotas = &self.rooms.quotas;
        let client = quotas.client_of(session);
        let only_asks = registration.abilities == Abilities::NONE && registration.claim == Claim::Unproven;
        if !only_asks || client.is_this_machine() || self.limits.address_share_percent >= 100 {
            return false;
        }
        let others = self.register.unproven_requesters(&registration.address);
        let own = others.filter(|other| *other != session && quotas.client_of(*other) == client);
        own.count() >= self.limits.sessions_per_address.div_ceil(2)
    }

    /// The session leaves its address, if it is at one.
    fn unregister(&mut self, now: Instant, session: SessionId, leaving: Leaving) -> Vec<Effect> {
        let Some(left) = self.register.remove(session) else {
            return Vec::new();
        };
        let decisions = self.calls.left(now, &left, leaving);
        let mut effects = self.carry_out(now, decisions);
        if let Some(user) = left.address.user().filter(|_| left.abilities.messages) {
            effects.extend(self.messages.left(user, &self.register));
        }
        effects
    }

    /// A connection has given way: it is lost as if it had ended by itself, and the engine is to close it. In a room its own
    /// client, if it has a socket, is sent nothing about that: it would offer again at once, and displace the next connection,
    /// whose client would do the same.
    fn displace(&mut self, now: Instant, peer: PeerId) -> Vec<Effect> {
        let room = self.rooms.room_of_peer(peer);
        let close = room.map(|room| Effect::ClosePeer { room, peer });
        let mut effects: Vec<Effect> = close.into_iter().collect();
        effects.extend(self.peer_lost(now, peer, false));
        effects
    }

    /// Leaves out of these effects that the user of this session has come, and later that they leave: too many have come from
    /// its address. The user is still reached, and listed.
    pub(crate) fn hush(&mut self, session: SessionId, effects: &mut [Effect]) {
        if let Some(user) = self.register.user_of(session) {
            self.messages.hush(session, user, effects);
        }
    }

    /// The session has ended.
    pub fn leave(&mut self, now: Instant, session: SessionId) -> Vec<Effect> {
        let mut effects = self.unregister(now, session, Leaving::HasEnded);
        effects.extend(self.rooms.leave(session));
        self.follow_rooms(now);
        self.rooms.quotas.leave(session);
        effects
    }

    /// Notifies the calls that a room where their parties meet was entered or left: a call ends some time after both have left.
    fn follow_rooms(&mut self, now: Instant) {
        for change in self.rooms.take_pair_changes() {
            match change {
                PairChange::Entered(room) => self.calls.room_entered(&room),
                PairChange::Emptied(room) => self.calls.room_emptied(now, &room),
            }
        }
    }

    /// Takes the messages that waited for somebody who has come. None where they could not be fetched.
    pub(crate) fn collected(
        &mut self,
        now: Instant,
        receiver: &UserId,
        ticket: u64,
        waiting: Vec<WaitingMessage>,
    ) -> Vec<Effect> {
        self.messages.collected(now, receiver, ticket, waiting, &self.register)
    }

    /// A connection has connected: its client's media arrive.
    pub fn peer_connected(&mut self, peer: PeerId) -> Vec<Effect> {
        self.rooms.quotas.peers.connected(peer);
        self.rooms.media_changed(peer, MediaState::Back)
    }

    /// Nothing arrives any longer from the client of a connection, or something arrives again. Its session, its place in the
    /// room and its call stay: the client may come back.
    pub fn media_changed(&mut self, peer: PeerId, media: MediaState) -> Vec<Effect> {
        self.rooms.media_changed(peer, media)
    }

    /// A connection has ended by itself, or by its client (`by_client`). In a room its participant stays and may offer again; a
    /// call is over.
    pub fn peer_lost(&mut self, now: Instant, peer: PeerId, by_client: bool) -> Vec<Effect> {
        let call = self.call_over(peer);
        let mut effects = self.rooms.end_peer(now, peer, by_client);
        if let Some(call) = call {
            effects.extend(self.end_call(now, call, CallEnd::Lost));
        }
        effects
    }

    /// A part of the media engine is lost, and with it these connections. Calls that they carried are over. In group rooms the
    /// sessions of the participants who published over them end, and may come again. The participants who only watched over one
    /// are sent [`Event::ConnectionLost`](super::Event::ConnectionLost).
    pub fn media_lost(&mut self, now: Instant, peers: &[PeerId]) -> Vec<Effect> {
        let mut effects = Vec::new();
        for peer in peers {
            if let Some(call) = self.call_over(*peer) {
                effects.extend(self.end_call(now, call, CallEnd::Lost));
            }
        }
        // Publishers leave first, so that nobody is asked to watch them anew.
        for peer in peers {
            effects.extend(self.rooms.publisher_lost(*peer));
        }
        effects.extend(peers.iter().flat_map(|peer| self.rooms.connection_lost(now, *peer)));
        self.follow_rooms(now);
        effects
    }

    /// What `publisher` sends is in a format that the connection's participant cannot decode; with `None`, they can again.
    pub fn decoding_changed(
        &self,
        peer: PeerId,
        publisher: ParticipantId,
        media: MediaKind,
        undecodable: Option<String>,
    ) -> Vec<Effect> {
        self.rooms.decoding_changed(peer, publisher, media, undecodable)
    }

    /// What the client of this connection gets of a video has changed.
    pub fn quality_changed(&self, peer: PeerId, feed: FeedRef, quality: Quality) -> Vec<Effect> {
        self.rooms.quality_changed(peer, feed, quality)
    }

    /// Other encodings than before are wanted of what comes over this connection.
    pub fn layers_wanted(&self, peer: PeerId, wanted: LayersWanted) -> Vec<Effect> {
        self.rooms.layers_wanted(peer, wanted)
    }

    /// The participant who publishes over this connection has begun or stopped speaking.
    pub fn speech_changed(&mut self, now: Instant, peer: PeerId, speaks: bool) -> Vec<Effect> {
        self.rooms.speech_changed(now, peer, speaks)
    }

    /// The connection of the session for this feed.
    #[cfg(test)]
    pub fn connection(&self, session: SessionId, subject: &super::UserFeed) -> Result<Option<PeerId>, Refusal> {
        self.rooms.connection(session, subject)
    }

    #[cfg(test)]
    pub fn participant_of(&self, peer: PeerId) -> Option<ParticipantId> {
        self.rooms.participant_of(peer)
    }

    /// The newest offer of the session has been answered. Returns what the others in its room are to be sent about that.
    pub fn offer_answered(&mut self, session: SessionId) -> Vec<Effect> {
        Vec::from_iter(self.rooms.offer_answered(session))
    }

    /// An offer on a live connection could not be answered: the connection goes on as before.
    pub(crate) fn offer_refused(&mut self, peer: PeerId) -> Vec<Effect> {
        self.rooms.keep_peer(peer)
    }

    /// An offer could not be answered, and no connection was made of it.
    pub fn offer_failed(&mut self, now: Instant, peer: PeerId) -> Vec<Effect> {
        let call = self.call_over(peer);
        let mut effects = self.rooms.forget_peer(peer);
        if let Some(call) = call {
            effects.extend(self.end_call(now, call, CallEnd::Failed));
        }
        effects
    }

    /// Time at which [`Rules::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let dues = [
            self.calls.poll_timeout(),
            self.register.poll_timeout(),
            self.messages.poll_timeout(),
            self.rooms.poll_timeout(),
        ];
        dues.into_iter().flatten().min()
    }

    pub fn handle_timeout(&mut self, now: Instant) -> Vec<Effect> {
        self.register.handle_timeout(now);
        let decisions = self.calls.handle_timeout(now);
        let mut effects = self.carry_out(now, decisions);
        effects.extend(self.messages.handle_timeout(now, &self.register));
        effects.extend(self.rooms.handle_timeout(now));
        self.follow_rooms(now);
        effects
    }

    /// Ends everything. The hub dismisses the sessions itself, because some are in nothing.
    pub fn shut_down(&mut self) -> Vec<Effect> {
        self.register = Register::new(&self.limits);
        self.calls.shut_down();
        self.messages.shut_down();
        self.rooms.shut_down()
    }
}
