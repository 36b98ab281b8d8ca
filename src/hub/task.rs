//! The hub's loop: it takes one input, carries out its effects, then takes the next.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep_until, timeout};
use tracing::{debug, info, warn};

use super::budget::{self, Budgets};
use super::capacity::Capacity;
use super::effects::{EffectFailure, Errands, Executor};
#[cfg(debug_assertions)]
use super::input::HubFault;
use super::input::{Input, Reply};
use super::layouts::Layouts;
use super::log::log_request;
use super::meters::HubMeters;
use super::outbox::{Lost, Outbox};
use super::overview::{Beginning, PARTICIPANTS_ENOUGH};
use crate::alias::alias;
use crate::domain::{
    Command, Effect, EndReason, LayersWanted, MediaKind, MediaState, Refusal, Rules, announces_somebody,
};
use crate::ids::{PeerId, SessionId};
use crate::media::codec::Kind;
use crate::media::description::OfferError;
use crate::media::engine::MediaEngine;
use crate::media::messages::{CloseReason, MediaEvent};
use crate::pulse::Pulse;
use crate::shares::ClientAddress;

/// Time between two checks of the media workers. The loop turns at least as often, which shows others that it does not stand
/// still.
const TICK: Duration = Duration::from_secs(1);

/// Time that sessions get to close their sockets when the server stops. A longer one keeps a restart waiting for clients that
/// have vanished; a shorter one cuts off those on slow links.
const GOODBYE_MAX: Duration = Duration::from_secs(5);

/// Why the hub's loop has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HubEnd {
    #[error("the server was stopped")]
    Stopped,
    #[error("all media workers are lost, and too many have been lost to replace them now")]
    NoMediaWorkers,
    #[error("the task that decides about rooms and calls panicked")]
    Panicked,
}

pub(super) struct Hub {
    rules: Rules,
    executor: Executor,
    /// Sessions whose socket may still be open, dismissed ones included.
    connected: HashSet<SessionId>,
    /// Bytes that each session may cost others.
    budgets: Budgets,
    layouts: Layouts,
    meters: HubMeters,
    pulse: Pulse,
}

impl Hub {
    pub fn new(
        media: MediaEngine,
        errands: Errands,
        capacity: &Capacity,
        random: StdRng,
        runtime: Handle,
        pulse: Pulse,
    ) -> Self {
        Self {
            rules: Rules::new(capacity.rules),
            executor: Executor::new(
                media,
                capacity.room_subscriptions_per_worker,
                errands,
                random,
                runtime,
                now,
            ),
            connected: HashSet::new(),
            budgets: Budgets::new(capacity.fan_out_bytes_per_s),
            layouts: Layouts::default(),
            meters: HubMeters::new(),
            pulse,
        }
    }

    pub async fn run(
        mut self,
        mut inputs: mpsc::Receiver<Input>,
        mut media_events: mpsc::Receiver<MediaEvent>,
    ) -> HubEnd {
        let mut media_is_up = true;
        let mut ticks = interval(TICK);
        // Ticks that were missed while the process stood still say nothing about the media workers.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => self.executor.tick(now()),
                input = inputs.recv() => match input {
                    Some(Input::ShutDown { done }) => {
                        self.shut_down(&mut inputs).await;
                        inputs.close();
                        self.executor.finish().await;
                        done.send(()).ok();
                        return HubEnd::Stopped;
                    }
                    Some(input) => self.handle(input),
                    None => return HubEnd::Stopped,
                },
                event = media_events.recv(), if media_is_up => match event {
                    Some(event) => self.media_event(event),
                    None => media_is_up = false,
                },
                () = until(self.rules.poll_timeout()) => {
                    let effects = self.rules.handle_timeout(now());
                    self.carry_out_all(effects);
                }
                () = until(self.layouts.poll_timeout()) => {
                    let effects = self.layouts.handle_timeout(now());
                    self.carry_out(effects);
                }
            }
            self.end_what_is_lost();
            if !self.executor.has_media_worker() {
                self.executor.dismiss_all(EndReason::MediaLost);
                return HubEnd::NoMediaWorkers;
            }
            self.report_counts();
            self.pulse.beat(now());
        }
    }

    /// Ends what lived on media workers that have been lost.
    fn end_what_is_lost(&mut self) {
        while let Some(lost) = self.executor.poll_lost(now()) {
            warn!(connections = lost.len(), "ending what a lost media worker carried");
            let effects = self.rules.media_lost(now(), &lost);
            self.carry_out_all(effects);
        }
    }

    fn handle(&mut self, input: Input) {
        match input {
            Input::Connect { id, client, outbox } => self.connect(id, client, outbox),
            Input::Disconnect { session } => self.disconnect(session),
            Input::Request {
                session,
                command,
                reply,
            } => {
                // The session may have ended meanwhile: then nobody waits for the answer.
                reply.send(self.request(session, command)).ok();
            }
            Input::Collected {
                receiver,
                ticket,
                messages,
            } => {
                let effects = self.rules.collected(now(), &receiver, ticket, messages);
                self.carry_out_all(effects);
            }
            Input::Overview { after, reply } => {
                let (rooms, has_more) = self.rules.outline(after, PARTICIPANTS_ENOUGH);
                let answers = self.executor.report(&rooms);
                let beginning = Beginning {
                    rooms,
                    has_more,
                    answers,
                };
                // Whoever asked may have stopped waiting.
                reply.send(beginning).ok();
            }
            Input::IsHeld { name, reply } => {
                reply.send(self.rules.is_name_held(&name)).ok();
            }
            Input::People { rooms, reply } => {
                let people = rooms.iter().map(|room| self.rules.people_in(room));
                reply.send(people.collect()).ok();
            }
            Input::EndStay { room, user, reply } => {
                info!(room = %alias(room.as_str()), user = %alias(user.as_str()), "ends a stay");
                let effects = self.rules.end_stay(now(), &room, &user);
                self.carry_out_all(effects);
                reply.send(()).ok();
            }
            Input::ForgetPushTarget { address, target } => self.rules.forget_push_target(&address, &target),
            // The loop itself takes this input: only it can end.
            Input::ShutDown { .. } => {}
            #[cfg(debug_assertions)]
            Input::Fault(fault) => self.fail(fault),
        }
    }

    #[cfg(debug_assertions)]
    #[allow(clippy::panic, reason = "a test asks for it, to see what the others do")]
    fn fail(&mut self, fault: HubFault) {
        match fault {
            HubFault::Panic => panic!("a test has asked for this"),
            HubFault::Hang(time) => std::thread::sleep(time),
            HubFault::Worker(worker, fault) => self.executor.fault(worker, fault),
        }
    }

    fn connect(&mut self, id: SessionId, client: ClientAddress, outbox: Outbox) {
        debug!(session = %id, %client, "connected");
        self.connected.insert(id);
        self.budgets.open(id, client, tokio::time::Instant::now());
        self.rules.arrive(id, client);
        self.executor.add_session(id, outbox);
    }

    fn disconnect(&mut self, session: SessionId) {
        debug!(%session, "disconnected");
        self.connected.remove(&session);
        self.budgets.close(session);
        self.executor.remove_session(session);
        self.layouts.forget(session);
        let effects = self.rules.leave(now(), session);
        self.carry_out_all(effects);
    }

    fn request(&mut self, session: SessionId, command: Command) -> Reply {
        let mut pause = Duration::ZERO;
        let only_passes_on = command.only_passes_on();
        let outcome = match self.decide(session, command) {
            Ok((effects, price)) => {
                let now = tokio::time::Instant::now();
                pause = self.budgets.charge(session, price, only_passes_on, now);
                let offers = effects.iter().any(|effect| matches!(effect, Effect::Negotiate(_)));
                match self.carry_out_all(effects) {
                    None if offers => {
                        pause = pause.max(self.offer_answered(session, now));
                        Ok(())
                    }
                    None => Ok(()),
                    bad @ Some(_) => Err(Refusal::BadOffer(bad)),
                }
            }
            Err(refusal) => {
                debug!(%session, %refusal, "refused");
                Err(refusal)
            }
        };
        Reply { outcome, pause }
    }

    /// Sends the others in the room of a session what its answered offer changes for them, and charges the session for that.
    /// Returns the time for which its client is not to be read from.
    fn offer_answered(&mut self, session: SessionId, now: tokio::time::Instant) -> Duration {
        let effects = self.rules.offer_answered(session);
        let pause = self
            .budgets
            .charge(session, budget::price(session, &effects), false, now);
        self.carry_out_all(effects);
        pause
    }

    /// The effects of a command, and what they cost others.
    fn decide(&mut self, session: SessionId, command: Command) -> Result<(Vec<Effect>, u32), Refusal> {
        if !self.executor.has_session(session) {
            return Err(Refusal::SessionEnded);
        }
        log_request(session, &command);
        let only_passes_on = command.only_passes_on();
        let mut effects = self.rules.handle(now(), session, command)?;
        let is_arrival = announces_somebody(&effects);
        if is_arrival && !self.budgets.announces(session, tokio::time::Instant::now()) {
            debug!(%session, "not announced: too many have come and gone from its address");
            metrics::counter!("patchbay_arrivals_left_out_total").increment(1);
            self.rules.hush(session, &mut effects);
        }
        let price = budget::price(session, &effects);
        // A command that changes nothing can still be left undone.
        if only_passes_on && !self.budgets.allows(price) {
            return Err(Refusal::TooMuchForSoMany);
        }
        Ok((effects, price))
    }

    /// Carries out the effects of the rules, but for layouts that come too soon after others. Returns why an offer could not be
    /// answered, if one could not.
    fn carry_out_all(&mut self, effects: Vec<Effect>) -> Option<OfferError> {
        let effects = self.layouts.pace(now(), effects);
        self.carry_out(effects)
    }

    /// Carries out the effects, and the effects that follow from what failed. Layouts among the first have been paced.
    fn carry_out(&mut self, mut effects: Vec<Effect>) -> Option<OfferError> {
        let mut bad_offer = None;
        while !effects.is_empty() {
            let failures = self.executor.carry_out(effects);
            effects = Vec::new();
            for failure in failures {
                match failure {
                    EffectFailure::SessionLost { session, why } => {
                        match why {
                            Lost::Behind => warn!(%session, "its queue is full, because it reads too slowly: closed"),
                            Lost::Ended => debug!(%session, "has ended"),
                        }
                        effects.extend(self.rules.leave(now(), session));
                    }
                    EffectFailure::NotCollected { receiver, ticket } => {
                        effects.extend(self.rules.collected(now(), &receiver, ticket, Vec::new()));
                    }
                    EffectFailure::BadOffer { peer, error, live } => {
                        debug!(%peer, %error, "offer not answered");
                        bad_offer = bad_offer.or(Some(error));
                        effects.extend(match live {
                            true => self.rules.offer_refused(peer),
                            false => self.rules.offer_failed(now(), peer),
                        });
                    }
                }
            }
            effects = self.layouts.pace(now(), effects);
        }
        bad_offer
    }

    fn media_event(&mut self, event: MediaEvent) {
        match event {
            MediaEvent::Closed { peer, reason } => {
                info!(%peer, ?reason, "connection closed");
                self.executor.forget_peer(peer);
                let is_by_client = matches!(reason, CloseReason::ClosedByPeer | CloseReason::Played);
                let effects = self.rules.peer_lost(now(), peer, is_by_client);
                self.carry_out_all(effects);
            }
            MediaEvent::Suspended { peer } => {
                info!(%peer, "the client has fallen silent");
                let effects = self.rules.media_changed(peer, MediaState::Lost);
                self.carry_out_all(effects);
            }
            MediaEvent::Resumed { peer } => {
                info!(%peer, "the client is heard again");
                let effects = self.rules.media_changed(peer, MediaState::Back);
                self.carry_out_all(effects);
            }
            MediaEvent::Connected { peer } => {
                debug!(%peer, "connected");
                let effects = self.rules.peer_connected(peer);
                self.carry_out_all(effects);
            }
            MediaEvent::Undecodable {
                peer,
                publisher,
                kind,
                codec,
            } => {
                info!(%peer, ?kind, %codec, "cannot decode what it is to be sent, and gets nothing");
                let effects = self
                    .rules
                    .decoding_changed(peer, publisher, media_kind(kind), Some(codec.to_string()));
                self.carry_out_all(effects);
            }
            MediaEvent::Decodable { peer, publisher, kind } => {
                debug!(%peer, ?kind, "can decode again what the publisher sends");
                let effects = self.rules.decoding_changed(peer, publisher, media_kind(kind), None);
                self.carry_out_all(effects);
            }
            MediaEvent::Quality { peer, feed, quality } => {
                let effects = self.rules.quality_changed(peer, feed, quality);
                self.carry_out_all(effects);
            }
            MediaEvent::LayersWanted {
                peer,
                feed,
                layers,
                max_bits_per_second,
            } => {
                let wanted = LayersWanted {
                    feed,
                    layers,
                    max_bits_per_second,
                };
                self.layers_wanted(peer, wanted);
            }
            MediaEvent::SpeechBegan { peer } => {
                debug!(%peer, "begins to speak");
                let effects = self.rules.speech_changed(now(), peer, true);
                self.carry_out_all(effects);
            }
            MediaEvent::SpeechEnded { peer } => {
                debug!(%peer, "stops speaking");
                let effects = self.rules.speech_changed(now(), peer, false);
                self.carry_out_all(effects);
            }
            MediaEvent::TrackStarted { peer, track } => debug!(%peer, %track, "track started"),
            // The loop looks for lost workers after every input.
            MediaEvent::WorkerEnded { worker } => debug!(worker = worker.0, "media worker ended"),
        }
    }

    fn layers_wanted(&mut self, peer: PeerId, wanted: LayersWanted) {
        debug!(%peer, ?wanted, "other encodings are wanted");
        let effects = self.rules.layers_wanted(peer, wanted);
        self.carry_out_all(effects);
    }

    async fn shut_down(&mut self, inputs: &mut mpsc::Receiver<Input>) {
        info!(sessions = self.connected.len(), "ending all rooms and calls");
        self.executor.dismiss_all(EndReason::Shutdown);
        let effects = self.rules.shut_down();
        self.carry_out_all(effects);
        self.report_counts();
        let goodbyes = async {
            while !self.connected.is_empty() {
                match inputs.recv().await {
                    Some(Input::Disconnect { session }) => self.disconnect(session),
                    // Too late: the hub ends, and nobody is left to be sent anything.
                    Some(
                        Input::Connect { .. }
                        | Input::Collected { .. }
                        | Input::Overview { .. }
                        | Input::IsHeld { .. }
                        | Input::People { .. }
                        | Input::EndStay { .. }
                        | Input::ForgetPushTarget { .. }
                        | Input::ShutDown { .. },
                    ) => {}
                    Some(Input::Request { reply, .. }) => {
                        let (outcome, pause) = (Err(Refusal::SessionEnded), Duration::ZERO);
                        reply.send(Reply { outcome, pause }).ok();
                    }
                    None => return,
                    #[cfg(debug_assertions)]
                    Some(Input::Fault(_)) => {}
                }
            }
        };
        if timeout(GOODBYE_MAX, goodbyes).await.is_err() {
            warn!(sessions = self.connected.len(), "sessions did not close in time");
        }
    }

    fn report_counts(&self) {
        self.meters.show(&self.rules, self.connected.len());
    }
}

pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

fn media_kind(kind: Kind) -> MediaKind {
    match kind {
        Kind::Audio => MediaKind::Audio,
        Kind::Video => MediaKind::Video,
    }
}

/// Returns at the deadline; never if there is none.
async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
