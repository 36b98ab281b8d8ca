//! The only place that carries out what the rules decide.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Instant;

use rand::rngs::StdRng;
use smallvec::SmallVec;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, warn};

use super::audience::Audiences;
use super::mailbox::{MailboxHandle, NotTaken};
use super::outbox::{Lost, Outbox};
use super::placement::Placement;
use super::players;
use super::slots::{media_kind, slots};
use crate::domain::{
    self, Candidate, Effect, EndReason, Event, MailboxCommand, Muted, Negotiation, Playback, PublishRights, PushNotice,
    RoomOutline, Subject,
};
use crate::ids::{FeedRef, PeerId, RoomId, SessionId, SlotId, UserId, WorkerId};
use crate::media::codec::{Codec, Kind};
use crate::media::description::OfferError;
use crate::media::engine::MediaEngine;
use crate::media::link::Far;
#[cfg(debug_assertions)]
use crate::media::messages::Fault;
use crate::media::messages::MediaCommand;
use crate::media::names;
use crate::media::peer::negotiate::{self, LocalCandidate, Negotiated, Role};
use crate::media::player::PlayerSpec;
use crate::media::report::TrackReport;
use crate::media::session::PeerSpec;
use crate::video::Want;

/// What the hub hands work to that it does not wait for.
pub(super) struct Errands {
    pub mailbox: MailboxHandle,
    pub pushes: mpsc::Sender<PushNotice>,
}

/// Carries out effects, and keeps the state that is needed for that and does not concern the rules.
pub(super) struct Executor {
    media: MediaEngine,
    random: StdRng,
    placement: Placement,
    /// Terms that each live connection agreed on last, without the answer's text and candidates.
    negotiated: HashMap<PeerId, Negotiated>,
    audiences: Audiences,
    outboxes: HashMap<SessionId, Outbox>,
    errands: Errands,
    /// The runtime that runs the players: the common one.
    runtime: Handle,
    /// The clock of the players.
    clock: fn() -> Instant,
}

/// Effects that could not be carried out. The rules are given them.
pub(super) enum EffectFailure {
    /// The session has been forgotten here.
    SessionLost { session: SessionId, why: Lost },
    /// The messages that wait for somebody could not be asked for.
    NotCollected { receiver: UserId, ticket: u64 },
    BadOffer {
        peer: PeerId,
        error: OfferError,
        /// Whether the connection goes on as it was before the offer.
        live: bool,
    },
}

impl Executor {
    pub fn new(
        media: MediaEngine,
        room_subscriptions_per_worker: usize,
        errands: Errands,
        random: StdRng,
        runtime: Handle,
        clock: fn() -> Instant,
    ) -> Self {
        Self {
            media,
            random,
            placement: Placement::new(room_subscriptions_per_worker),
            negotiated: HashMap::new(),
            audiences: Audiences::default(),
            outboxes: HashMap::new(),
            errands,
            runtime,
            clock,
        }
    }

    pub(crate) fn add_session(&mut self, session: SessionId, outbox: Outbox) {
        self.outboxes.insert(session, outbox);
    }

    pub(crate) fn remove_session(&mut self, session: SessionId) {
        self.outboxes.remove(&session);
    }

    pub(crate) fn has_session(&self, session: SessionId) -> bool {
        self.outboxes.contains_key(&session)
    }

    pub(crate) fn forget_peer(&mut self, peer: PeerId) {
        self.negotiated.remove(&peer);
        self.audiences.forget(peer);
        self.placement.remove(peer);
    }

    /// Checks the media workers. To be called every second.
    pub fn tick(&mut self, now: Instant) {
        self.media.tick(now);
    }

    /// The connections that lived on a media worker that has been lost, if one has. They are forgotten here.
    pub(crate) fn poll_lost(&mut self, now: Instant) -> Option<Vec<PeerId>> {
        let worker = self.media.poll_lost(now)?;
        let lost = self.placement.lose(worker);
        for peer in &lost {
            self.negotiated.remove(peer);
            self.audiences.forget(*peer);
        }
        Some(lost)
    }

    /// Asks the media workers what is published in these rooms.
    pub(crate) fn report(&mut self, rooms: &[RoomOutline]) -> Vec<(WorkerId, oneshot::Receiver<Vec<TrackReport>>)> {
        self.media.report(&rooms.iter().map(|room| room.id).collect())
    }

    /// Whether there is a media worker.
    pub(crate) fn has_media_worker(&self) -> bool {
        self.media.has_worker()
    }

    #[cfg(debug_assertions)]
    pub(crate) fn fault(&mut self, worker: WorkerId, fault: Fault) {
        self.media.fault(worker, fault);
    }

    pub(crate) fn dismiss_all(&mut self, reason: EndReason) {
        for (_, outbox) in self.outboxes.drain() {
            // The queue of a session that does not read ends all the same.
            outbox.put(Event::Ended(reason)).ok();
        }
    }

    /// Carries out effects in their order. An effect that fails does not stop the others.
    pub(crate) fn carry_out(&mut self, effects: Vec<Effect>) -> Vec<EffectFailure> {
        let mut failures = Vec::new();
        for effect in effects {
            let done = match effect {
                Effect::OpenRoom(room) => self.open_room(room),
                Effect::CloseRoom(room) => self.close_room(room),
                Effect::ClosePeer { peer, .. } => self.close_peer(peer),
                Effect::FillSlot { peer, slot, source } => self.fill_slot(peer, slot, source),
                Effect::Mute { peer, muted } => self.mute(peer, muted),
                Effect::Want { peer, wants } => self.want(peer, wants),
                Effect::Negotiate(negotiations) => self.negotiate(negotiations),
                Effect::Play(playback) => self.play(playback),
                Effect::Send { session, event } => self.send(session, event),
                Effect::SendEach { sessions, event } => {
                    let sent = sessions.into_iter().map(|session| self.send(session, event.clone()));
                    failures.extend(sent.filter_map(Result::err));
                    Ok(())
                }
                Effect::Mailbox(command) => self.command_mailbox(command),
                Effect::Push(notice) => self.push(notice),
                Effect::Dismiss { session, reason } => self.dismiss(session, reason),
            };
            failures.extend(done.err());
        }
        failures
    }

    fn open_room(&mut self, room: RoomId) -> Result<(), EffectFailure> {
        // Without a worker the server is about to end.
        if let Some(worker) = self.media.place_room() {
            self.placement.open_room(room, worker);
        }
        Ok(())
    }

    fn close_room(&mut self, room: RoomId) -> Result<(), EffectFailure> {
        self.placement.close_room(room);
        Ok(())
    }

    fn close_peer(&mut self, peer: PeerId) -> Result<(), EffectFailure> {
        self.negotiated.remove(&peer);
        self.audiences.forget(peer);
        if let Some(worker) = self.placement.remove(peer) {
            self.media.send(worker, MediaCommand::Close(peer));
        }
        Ok(())
    }

    fn fill_slot(&mut self, peer: PeerId, slot: SlotId, source: Option<FeedRef>) -> Result<(), EffectFailure> {
        if let Some(worker) = self.placement.worker_of(peer) {
            self.media.send(worker, MediaCommand::Fill { peer, slot, source });
        }
        Ok(())
    }

    fn mute(&mut self, peer: PeerId, muted: Muted) -> Result<(), EffectFailure> {
        if let Some(worker) = self.placement.worker_of(peer) {
            let muted = media_muted(muted);
            self.media.send(worker, MediaCommand::Mute { peer, muted });
        }
        Ok(())
    }

    fn want(&mut self, peer: PeerId, wants: Vec<(FeedRef, Want)>) -> Result<(), EffectFailure> {
        if let Some(worker) = self.placement.worker_of(peer) {
            self.media.send(worker, MediaCommand::Want { peer, wants });
        }
        Ok(())
    }

    /// A player is sent no copies, so it lives on the room's first worker, however full that is.
    fn play(&mut self, playback: Playback) -> Result<(), EffectFailure> {
        let Playback {
            room,
            peer,
            feed,
            recording,
            waits,
            repeats,
        } = playback;
        let least_busy = |is_asked: &dyn Fn(WorkerId) -> bool| self.media.least_busy(is_asked);
        let Some(worker) = self.placement.first(room, least_busy) else {
            return Ok(());
        };
        self.placement.settle(room, peer, worker, 0);
        let spec = PlayerSpec {
            peer,
            room,
            feed,
            recording,
            waits,
            repeats,
        };
        // If the worker is lost, the player is lost with it.
        if let Some((end, doorbell)) = self.media.admit(worker, Far::Player { peer, room }) {
            players::start(&self.runtime, spec, end, doorbell, self.clock);
        }
        Ok(())
    }

    fn send(&mut self, session: SessionId, event: Event) -> Result<(), EffectFailure> {
        let Some(outbox) = self.outboxes.get(&session) else {
            return Ok(());
        };
        outbox.put(event).map_err(|why| {
            self.outboxes.remove(&session);
            EffectFailure::SessionLost { session, why }
        })
    }

    fn command_mailbox(&mut self, command: MailboxCommand) -> Result<(), EffectFailure> {
        let question = match &command {
            MailboxCommand::Collect { receiver, ticket } => Some((receiver.clone(), *ticket)),
            MailboxCommand::Keep { .. } | MailboxCommand::Forget { .. } => None,
        };
        match self.errands.mailbox.leave(command) {
            Ok(()) => return Ok(()),
            // Any client can cause this, so it is no error of storage.
            Err(NotTaken::ShareUsedUp) => {
                debug!("a message is not kept: too many from its sender's address are being kept")
            }
            Err(NotTaken::TooSlow) => {
                metrics::counter!("patchbay_storage_errors_total").increment(1);
                warn!("storage is too slow: a command about messages is left undone");
            }
        }
        question.map_or(Ok(()), |(receiver, ticket)| {
            Err(EffectFailure::NotCollected { receiver, ticket })
        })
    }

    fn push(&mut self, notice: PushNotice) -> Result<(), EffectFailure> {
        if self.errands.pushes.try_send(notice).is_err() {
            metrics::counter!("patchbay_push_failed_total", "service" => "any", "reason" => "queue_full").increment(1);
            warn!("too many push notices wait: one is lost");
        }
        Ok(())
    }

    /// Waits until storage has done its commands.
    pub async fn finish(self) {
        self.errands.mailbox.finish().await;
    }

    fn dismiss(&mut self, session: SessionId, reason: EndReason) -> Result<(), EffectFailure> {
        if let Some(outbox) = self.outboxes.remove(&session) {
            // The queue of a session that does not read ends all the same.
            outbox.put(Event::Ended(reason)).ok();
        }
        Ok(())
    }

    /// Answers all the offers, or none of them. A worker gets a connection before its client gets the answer, so that the
    /// worker knows the client when the client begins to send.
    fn negotiate(&mut self, negotiations: Vec<Negotiation>) -> Result<(), EffectFailure> {
        // If several offers are answered at once, each client is the audience of the others.
        if negotiations.len() > 1 {
            for negotiation in &negotiations {
                self.learn(negotiation, negotiation.description.decodes());
            }
        }
        let peers: Vec<PeerId> = negotiations.iter().map(|negotiation| negotiation.peer).collect();
        let done = self.settle(negotiations);
        for peer in peers.into_iter().filter(|peer| !self.negotiated.contains_key(peer)) {
            self.audiences.forget(peer);
        }
        done
    }

    fn settle(&mut self, negotiations: Vec<Negotiation>) -> Result<(), EffectFailure> {
        let mut settled = Vec::with_capacity(negotiations.len());
        for negotiation in negotiations {
            let (room, peer) = (negotiation.room, negotiation.peer);
            let least_busy = |is_asked: &dyn Fn(WorkerId) -> bool| self.media.least_busy(is_asked);
            let Some(worker) = self.placement.find(room, peer, least_busy) else {
                return Ok(());
            };
            let negotiated = self.answer(worker, &negotiation)?;
            settled.push((worker, negotiation, negotiated));
        }
        let mut lost = Ok(());
        for (worker, negotiation, negotiated) in settled {
            // The other side is to be sent its answer even if this one is lost.
            lost = lost.and(self.open(worker, negotiation, negotiated));
        }
        lost
    }

    fn open(
        &mut self,
        worker: WorkerId,
        negotiation: Negotiation,
        mut negotiated: Negotiated,
    ) -> Result<(), EffectFailure> {
        let sdp = std::mem::take(&mut negotiated.answer);
        let candidates = std::mem::take(&mut negotiated.candidates);
        let others = self.placement.others(negotiation.room, worker).collect();
        let spec = spec(&negotiation, &negotiated, others);
        let slots = slots(&spec.sections);
        self.learn(&negotiation, std::mem::take(&mut negotiated.decodes));
        self.negotiated.insert(negotiation.peer, negotiated);
        self.placement
            .settle(negotiation.room, negotiation.peer, worker, spec.copies());
        self.media.send(worker, MediaCommand::Open(Box::new(spec)));

        let Negotiation {
            session, subject, tag, ..
        } = negotiation;
        let answered = Event::Answered {
            subject: subject.clone(),
            tag,
            sdp,
            slots,
        };
        self.send(session, answered)?;
        for one in candidates {
            let (subject, candidate) = (subject.clone(), candidate(one));
            self.send(session, Event::Candidate { subject, candidate })?;
        }
        Ok(())
    }

    fn learn(&mut self, negotiation: &Negotiation, decodes: Vec<Codec>) {
        let Negotiation {
            room,
            participant,
            peer,
            ..
        } = *negotiation;
        let watched = negotiation.uses.iter().filter_map(|one| match one {
            domain::Use::Watch(feed) => Some(feed.participant),
            domain::Use::Publish(_) | domain::Use::Slot(..) | domain::Use::StageSlot(_) => None,
        });
        self.audiences
            .learn(room, participant, peer, watched.collect(), decodes);
    }

    fn answer(&mut self, worker: WorkerId, negotiation: &Negotiation) -> Result<Negotiated, EffectFailure> {
        let previous = self.negotiated.get(&negotiation.peer);
        let uses: Vec<names::Use> = negotiation
            .uses
            .iter()
            .map(|one| media_use(one, negotiation.publishes))
            .collect();
        let audience = match publishes(negotiation) {
            true => self.audiences.of(negotiation.room, negotiation.participant),
            false => Vec::new(),
        };
        let role = Role {
            uses: &uses,
            audience: &audience,
        };
        let mut local = Cow::Borrowed(self.media.local_end(worker));
        if uses_spare_certificate(negotiation) {
            let local = local.to_mut();
            local.fingerprint = local.spare_fingerprint;
        }
        negotiate::answer(&negotiation.description, &local, role, previous, &mut self.random).map_err(|error| {
            EffectFailure::BadOffer {
                peer: negotiation.peer,
                error,
                live: previous.is_some(),
            }
        })
    }
}

/// Whether the client may send over the connection, now or after another offer: a connection for several feeds may begin to
/// send.
fn publishes(negotiation: &Negotiation) -> bool {
    let mut uses = negotiation.uses.iter();
    negotiation.subject == Subject::Conference || uses.any(|one| matches!(one, domain::Use::Publish(_)))
}

fn media_use(one: &domain::Use, publishes: PublishRights) -> names::Use {
    match *one {
        domain::Use::Publish(feed) => names::Use::Publish(feed, media_kinds(publishes)),
        domain::Use::Watch(feed) => names::Use::Watch(feed),
        domain::Use::Slot(slot, kind) => names::Use::Slot(slot, media_kind(kind)),
        domain::Use::StageSlot(slot) if slot.joins => names::Use::JoinedSlot(slot.id),
        domain::Use::StageSlot(slot) => names::Use::Slot(slot.id, media_kind(slot.part.kind())),
    }
}

fn media_muted(Muted { sound, camera }: Muted) -> names::Muted {
    names::Muted { sound, camera }
}

fn media_kinds(rights: PublishRights) -> &'static [Kind] {
    match (rights.audio, rights.video) {
        (true, true) => &Kind::ALL,
        (true, false) => &[Kind::Audio],
        (false, true) => &[Kind::Video],
        (false, false) => &[],
    }
}

/// Whether the answer has the fingerprint of the spare certificate. Each association of a client's connection is to have
/// another fingerprint than the one before.
fn uses_spare_certificate(negotiation: &Negotiation) -> bool {
    negotiation.association % 2 == 1
}

fn spec(negotiation: &Negotiation, negotiated: &Negotiated, others: SmallVec<[WorkerId; 1]>) -> PeerSpec {
    PeerSpec {
        peer: negotiation.peer,
        participant: negotiation.participant,
        room: negotiation.room,
        others,
        transports: negotiated.transports.clone(),
        spare_certificate: uses_spare_certificate(negotiation),
        sections: negotiated.sections.clone(),
        muted: media_muted(negotiation.muted),
        understands: negotiation.understands,
    }
}

/// A candidate of an answer, for a message of its own.
fn candidate(of_ours: LocalCandidate) -> Candidate {
    let LocalCandidate { line, mid, section } = of_ours;
    Candidate {
        line,
        mid,
        section: u16::try_from(section).unwrap_or(u16::MAX),
    }
}
