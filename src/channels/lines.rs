//! The calls at the hub: each that rings has a session there, which stands for its caller. A callee who answers over HTTP has
//! one, too, as long as the call goes on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedMutexGuard;

use super::errors::ChannelError;
use crate::domain::{
    Abilities, Address, CallAnswer, CallCommand, CallMedia, Claim, Command, Decline, Newcomer, Registration,
    WhenAbsent, WhenBusy,
};
use crate::hub::{Events, HubHandle, Session};
use crate::ids::{RoomName, UserId};
use crate::robots::Robots;
use crate::shares::ClientAddress;

/// Who sends a request.
#[derive(Clone, Copy, Debug)]
pub struct Requester {
    /// Client address whose share the request uses.
    pub client: ClientAddress,
    /// Whether the app's back end asks, which has shown its key: it speaks for every user.
    pub is_trusted: bool,
}

/// A call at the hub.
pub(super) struct Line {
    caller: UserId,
    /// Session that stands for the caller.
    session: Session,
    /// Addresses at which the call rings.
    addresses: Vec<Address>,
    /// Sessions of callees who have answered over HTTP. They are let go if nobody takes their events, so these are kept.
    answered: Mutex<Vec<(Session, Events)>>,
    /// Held until the call is recorded and rings.
    beginning: Arc<tokio::sync::Mutex<()>>,
}

/// A call that is about to ring. Whoever wants something of it, as a callee who has found its record and answers at once, waits
/// until this is dropped. One that is dropped before it has rung is forgotten.
pub(super) struct Beginning {
    lines: Lines,
    channel: RoomName,
    line: Arc<Line>,
    has_rung: bool,
    _held: OwnedMutexGuard<()>,
}

/// All calls at the hub. There is at most one for each session that the hub takes. Cheap to clone.
#[derive(Clone)]
pub(super) struct Lines {
    hub: HubHandle,
    robots: Robots,
    lines: Arc<Mutex<HashMap<RoomName, Arc<Line>>>>,
}

impl Lines {
    pub fn new(hub: HubHandle, robots: Robots) -> Self {
        let lines = Arc::default();
        Self { hub, robots, lines }
    }

    fn lines(&self) -> MutexGuard<'_, HashMap<RoomName, Arc<Line>>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A session that asks in the name of a user, at which nothing rings. Refused if somebody else has proven that the name is
    /// theirs.
    pub async fn speak_for(&self, requester: Requester, user: &UserId) -> Result<(Session, Events), ChannelError> {
        self.check_name(user)?;
        let (session, events) = self.hub.connect(requester.client).await?;
        let claim = match requester.is_trusted {
            true => Claim::Proven,
            false => Claim::Unproven,
        };
        let registration = Registration {
            address: Address::Name(user.clone()),
            newcomer: Newcomer::Joins,
            claim,
            abilities: Abilities::NONE,
        };
        session.request(Command::Register(registration)).await?;
        Ok((session, events))
    }

    /// Refuses the name of robots: nobody else enters a room with it where one is.
    fn check_name(&self, user: &UserId) -> Result<(), ChannelError> {
        match self.robots.has_name(user) {
            true => Err(ChannelError::RobotsName),
            false => Ok(()),
        }
    }

    /// Refuses whoever calls themselves, or a robot.
    pub fn check_callees(&self, caller: &UserId, callees: &[UserId]) -> Result<(), ChannelError> {
        if callees.contains(caller) {
            return Err(ChannelError::CallsItself);
        }
        match callees.iter().any(|callee| self.robots.has_name(callee)) {
            true => Err(ChannelError::CallsRobot),
            false => Ok(()),
        }
    }

    /// Refuses whoever could not speak for this user now, as [`Lines::speak_for`] does, where nothing is to be done in their
    /// name at the hub. With the key nobody is asked.
    pub async fn check_speaker(&self, requester: Requester, user: &UserId) -> Result<(), ChannelError> {
        self.check_name(user)?;
        match requester.is_trusted || !self.hub.is_name_held(user).await? {
            true => Ok(()),
            false => Err(ChannelError::NameTaken),
        }
    }

    /// Adds a call whose session is there. It does not ring yet, and is not ended before it does.
    pub async fn begin(
        &self,
        channel: &RoomName,
        caller: UserId,
        session: Session,
        addresses: Vec<Address>,
    ) -> Beginning {
        let beginning = Arc::default();
        let held = Arc::clone(&beginning);
        let line = Arc::new(Line {
            caller,
            session,
            addresses,
            answered: Mutex::default(),
            beginning,
        });
        let held = held.lock_owned().await;
        self.lines().insert(channel.clone(), Arc::clone(&line));
        Beginning {
            lines: self.clone(),
            channel: channel.clone(),
            line,
            has_rung: false,
            _held: held,
        }
    }

    /// Whether a call rings here, or has rung.
    pub fn has(&self, channel: &RoomName) -> bool {
        self.lines().contains_key(channel)
    }

    /// A call that rings, or has rung.
    async fn line(&self, channel: &RoomName) -> Option<Arc<Line>> {
        let line = self.lines().get(channel).cloned()?;
        drop(line.beginning.lock().await);
        Some(line)
    }

    /// The people in the rooms of these channels.
    pub async fn people_in(&self, channels: Vec<RoomName>) -> Vec<Vec<UserId>> {
        self.hub.people_in(channels).await
    }

    /// Ends the stay of somebody in the room of a channel.
    pub async fn end_stay(&self, channel: &RoomName, user: &UserId) {
        self.hub.end_stay(channel.clone(), user.clone()).await;
    }

    /// A callee answers, by a session that speaks for them. Nothing happens if the call does not ring there.
    pub async fn accept(&self, channel: &RoomName, (session, events): (Session, Events)) {
        let Some(line) = self.line(channel).await else { return };
        if Self::answer(channel, &line, &session, CallAnswer::Accept(None)).await {
            let mut answered = line.answered.lock().unwrap_or_else(PoisonError::into_inner);
            answered.push((session, events));
        }
    }

    /// A callee declines, by a session that speaks for them.
    pub async fn decline(&self, channel: &RoomName, session: &Session) {
        if let Some(line) = self.line(channel).await {
            Self::answer(channel, &line, session, CallAnswer::Decline(Decline::Unwilling)).await;
        }
    }

    async fn answer(channel: &RoomName, line: &Line, session: &Session, answer: CallAnswer) -> bool {
        let answer = CallCommand::Answer {
            from: Address::Name(line.caller.clone()),
            room: Some(channel.clone()),
            answer,
        };
        session.request(Command::Call(answer)).await.is_ok()
    }

    /// Stops the ringing at every other address of somebody who has declined at one.
    pub async fn give_up(&self, channel: &RoomName, user: &UserId) {
        let Some(line) = self.line(channel).await else { return };
        for address in line.addresses.iter().filter(|address| user_of(address) == user) {
            let hang_up = CallCommand::HangUp {
                with: Some(address.clone()),
                room: Some(channel.clone()),
            };
            // Refused where it no longer rings.
            line.session.request(Command::Call(hang_up)).await.ok();
        }
    }

    /// Ends a call at the hub, if it is there. All its sessions are sent that.
    pub async fn end(&self, channel: &RoomName) {
        if let Some(line) = self.line(channel).await {
            self.lines().remove(channel);
            let hang_up = CallCommand::HangUp { with: None, room: None };
            line.session.request(Command::Call(hang_up)).await.ok();
        }
    }
}

impl Beginning {
    /// Lets the call ring at all its addresses, also where nobody is: the callee may ask who calls.
    pub async fn ring(mut self) -> Result<(), ChannelError> {
        let invite = CallCommand::Invite {
            to: self.line.addresses.clone(),
            media: CallMedia::Elsewhere(self.channel.clone()),
            when_busy: WhenBusy::Ring,
            when_absent: WhenAbsent::Ring,
        };
        let rung = self.line.session.request(Command::Call(invite)).await;
        self.has_rung = true;
        Ok(rung?)
    }
}

impl Drop for Beginning {
    fn drop(&mut self) {
        if !self.has_rung {
            self.lines.lines().remove(&self.channel);
        }
    }
}

/// The user whom an address belongs to.
pub(super) fn user_of(address: &Address) -> &UserId {
    match address {
        Address::Name(user) => user,
        Address::Device { account, .. } => account,
    }
}
