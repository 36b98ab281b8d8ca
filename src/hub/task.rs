//! The hub's loop: one input, the effects it has, then the next.

use std::collections::HashSet;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tracing::{debug, info, warn};

use super::Capacity;
use super::effects::{Executor, Failure};
use super::mailbox::MailboxHandle;
use super::outbox::Outbox;
use crate::domain::{Command, Effect, EndReason, MessageCommand, Presence, Refusal, Rooms, WaitingMessage};
use crate::ids::{SessionId, UserId};
use crate::media::engine::{Media, MediaEvent};

/// What sessions get to close their sockets when the server goes down. Longer keeps a restart waiting for clients
/// that have vanished; shorter cuts off those on slow links.
const GOODBYE_MAX: Duration = Duration::from_secs(5);

pub(super) enum Input {
    Connect {
        id: SessionId,
        outbox: Outbox,
    },
    Disconnect {
        session: SessionId,
    },
    Request {
        session: SessionId,
        command: Command,
        reply: oneshot::Sender<Result<(), Refusal>>,
    },
    /// What waited for somebody who has come.
    Collected {
        receiver: UserId,
        ticket: u64,
        messages: Vec<WaitingMessage>,
    },
    ShutDown {
        done: oneshot::Sender<()>,
    },
}

pub(super) struct Hub {
    rooms: Rooms,
    presence: Presence,
    executor: Executor,
    /// Sessions whose socket may still be open, dismissed ones included.
    connected: HashSet<SessionId>,
}

impl Hub {
    pub fn new(media: Media, mailbox: MailboxHandle, capacity: &Capacity) -> Self {
        Self {
            rooms: Rooms::new(capacity.rooms),
            presence: Presence::default(),
            executor: Executor::new(media, capacity.room_subscriptions_per_worker, mailbox),
            connected: HashSet::new(),
        }
    }

    pub async fn run(mut self, mut inputs: mpsc::Receiver<Input>, mut media_events: mpsc::Receiver<MediaEvent>) {
        let mut media_is_up = true;
        loop {
            tokio::select! {
                input = inputs.recv() => match input {
                    Some(Input::ShutDown { done }) => {
                        self.shut_down(&mut inputs).await;
                        inputs.close();
                        self.executor.finish().await;
                        done.send(()).ok();
                        return;
                    }
                    Some(input) => self.handle(input).await,
                    None => return,
                },
                event = media_events.recv(), if media_is_up => match event {
                    Some(event) => self.media_event(event),
                    None => media_is_up = false,
                },
            }
            self.report_counts();
        }
    }

    async fn handle(&mut self, input: Input) {
        match input {
            Input::Connect { id, outbox } => self.connect(id, outbox),
            Input::Disconnect { session } => self.disconnect(session).await,
            Input::Request {
                session,
                command,
                reply,
            } => {
                // Nobody waits for the answer where the session has gone meanwhile.
                reply.send(self.request(session, command).await).ok();
            }
            Input::Collected {
                receiver,
                ticket,
                messages,
            } => {
                let effects = self.presence.collected(&receiver, ticket, messages);
                self.carry_out_all(effects).await;
            }
            // Only the loop knows how to end.
            Input::ShutDown { .. } => {}
        }
    }

    fn connect(&mut self, id: SessionId, outbox: Outbox) {
        debug!(session = %id, "connected");
        self.connected.insert(id);
        self.executor.add_session(id, outbox);
    }

    async fn disconnect(&mut self, session: SessionId) {
        debug!(%session, "disconnected");
        self.connected.remove(&session);
        self.executor.remove_session(session);
        let effects = self.forget(session);
        self.carry_out_all(effects).await;
    }

    /// The session is out of everything that it was in.
    fn forget(&mut self, session: SessionId) -> Vec<Effect> {
        let mut effects = self.rooms.leave(session);
        effects.extend(self.presence.unbind(session));
        effects
    }

    async fn request(&mut self, session: SessionId, command: Command) -> Result<(), Refusal> {
        if !self.executor.has_session(session) {
            return Err(Refusal::SessionEnded);
        }
        log_request(session, &command);
        let effects = match command {
            Command::Message(command) => self.presence.handle(session, command),
            command => self.rooms.handle(session, command),
        };
        let effects = effects.inspect_err(|refusal| debug!(%session, %refusal, "refused"))?;
        let failures = self.carry_out_all(effects).await;
        if failures == 0 { Ok(()) } else { Err(Refusal::BadOffer) }
    }

    /// Carries out the effects and those of what comes of them. The number of offers that could not be answered.
    async fn carry_out_all(&mut self, mut effects: Vec<Effect>) -> usize {
        let mut bad_offers = 0;
        while !effects.is_empty() {
            let failures = self.executor.carry_out(effects).await;
            effects = Vec::new();
            for failure in failures {
                match failure {
                    Failure::SessionLost(session) => {
                        warn!(%session, "does not read what it is told: let go");
                        effects.extend(self.forget(session));
                    }
                    Failure::NotCollected { receiver, ticket } => {
                        effects.extend(self.presence.collected(&receiver, ticket, Vec::new()));
                    }
                    Failure::BadOffer { peer, error, live } => {
                        debug!(%peer, %error, "offer not answered");
                        bad_offers += 1;
                        if !live {
                            self.rooms.forget_peer(peer);
                        }
                    }
                }
            }
        }
        bad_offers
    }

    fn media_event(&mut self, event: MediaEvent) {
        match event {
            MediaEvent::Closed { peer, reason } => {
                info!(%peer, ?reason, "connection closed");
                self.rooms.forget_peer(peer);
                self.executor.forget_peer(peer);
            }
            MediaEvent::Connected { peer } => debug!(%peer, "connected"),
            MediaEvent::TrackStarted { peer, track } => debug!(%peer, %track, "track started"),
        }
    }

    async fn shut_down(&mut self, inputs: &mut mpsc::Receiver<Input>) {
        info!(sessions = self.connected.len(), "ending all rooms");
        self.executor.dismiss_all(EndReason::Shutdown);
        self.presence.shut_down();
        let effects = self.rooms.shut_down();
        self.carry_out_all(effects).await;
        self.report_counts();
        let goodbyes = async {
            while !self.connected.is_empty() {
                match inputs.recv().await {
                    Some(Input::Disconnect { session }) => self.disconnect(session).await,
                    // Too late: its queue ends before it begins, and nobody is there to be told.
                    Some(Input::Connect { .. } | Input::Collected { .. } | Input::ShutDown { .. }) => {}
                    Some(Input::Request { reply, .. }) => {
                        reply.send(Err(Refusal::SessionEnded)).ok();
                    }
                    None => return,
                }
            }
        };
        if timeout(GOODBYE_MAX, goodbyes).await.is_err() {
            warn!(sessions = self.connected.len(), "sessions did not close in time");
        }
    }

    fn report_counts(&self) {
        metrics::gauge!("patchbay_rooms").set(self.rooms.room_count() as f64);
        metrics::gauge!("patchbay_participants").set(self.rooms.participant_count() as f64);
        metrics::gauge!("patchbay_users_online").set(self.presence.user_count() as f64);
        metrics::gauge!("patchbay_peers").set(self.rooms.peer_count() as f64);
        metrics::gauge!("patchbay_sessions").set(self.connected.len() as f64);
    }
}

/// Names come from clients: they are logged quoted, so that none can look like another line.
fn log_request(session: SessionId, command: &Command) {
    match command {
        Command::Join { room, person } => {
            info!(%session, room = room.as_str(), user = person.user.as_str(), "joins");
        }
        Command::Leave => info!(%session, "leaves"),
        Command::Offer { subject, offer } => {
            debug!(%session, subject = subject.as_str(), bytes = offer.sdp.len(), "offers");
        }
        Command::Candidate { subject } => debug!(%session, subject = subject.as_str(), "candidate"),
        Command::Say { text } => debug!(%session, bytes = text.len(), "says"),
        Command::Message(MessageCommand::Bind { user }) => info!(%session, user = user.as_str(), "can be reached"),
        Command::Message(MessageCommand::Send { message, .. }) => {
            debug!(%session, bytes = message.len(), "sends a message");
        }
        Command::Message(MessageCommand::List) => debug!(%session, "asks who is online"),
        Command::AnnounceFile { file } => debug!(%session, bytes = file.url.len(), "announces a file"),
    }
}
