//! Calls that an app's back end, or the app itself, makes over HTTP: who calls whom, who is in a call, and what became of it.
//! This module does not know HTTP: neither what is sent over it, nor how.
//!
//! The records in storage say what is true. Each request is one transaction there, and only then something happens at the hub,
//! where a call rings by the same rules as one of any other family ([`lines`]). What happens there, as when a callee answers on
//! a socket, changes the record in the same way as a request does ([`life`]). Signs of life are counted in memory ([`live`]).

mod errors;
mod life;
mod lines;
mod live;
mod name;
mod posting;
mod presence;
mod push;
mod robots;
mod tasks;
mod upkeep;
mod watch;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use life::Consequence;
use lines::Lines;
use live::{Live, Means, Sign};

pub use errors::ChannelError;
pub use lines::Requester;

use crate::auth::access_token::{App, SALT_MAX};
use crate::clock::{MonotonicClock, WallClock, now_s};
use crate::config::Config;
use crate::domain::Address;
use crate::hub::{Events, HubHandle, Session};
use crate::ids::{DeviceId, RoomName, UserId};
use crate::robots::Robots;
use crate::shares::{ClientAddress, Share};
use crate::storage::{Begun, CallRecord, Ending, NewCall, Quota, RecentCall, Records, Report, TaskClaim};

/// Names that are tried for a new channel. A second one is needed once in some 10^10 calls.
const NAME_TRIES: usize = 3;

/// Calls that `call/msg` lists at most: a person has one, or a few that ring.
const RECENT_MAX: i64 = 100;

/// Addresses at which one call rings at most: as many callees as one call may have at the hub.
const ADDRESSES_MAX: usize = 64;

/// Callees of one call. Each has a part of the addresses for their devices.
pub const CALLEES_MAX: usize = 16;

/// Records that one client address may have in any case: those of a household for some months.
const RECORDS_AT_LEAST: u64 = 1_000;

/// Time after the end of the ringing at which a call is checked, in case the hub has not ended it.
const RINGING_GRACE: Duration = Duration::from_secs(2);

/// The settings of calls.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub ring_for: Duration,
    /// Whether only the app's back end may ask, which shows a key.
    pub wants_key: bool,
    /// Time for which access tokens are valid.
    pub token_lifetime_s: i64,
    pub message_window_s: i64,
    /// Time between two signs of life, which clients are sent.
    pub heartbeat: Duration,
    pub keep_records_s: i64,
    pub records: Quota,
    pub tasks: Quota,
    pub push_devices: Quota,
}

impl From<&Config> for Settings {
    fn from(config: &Config) -> Self {
        let dapi = &config.dapi;
        let quota = |in_all: u32| Quota {
            in_all: in_all.into(),
            share: Share {
                percent: config.limits.address_share_percent,
                at_least: RECORDS_AT_LEAST,
            },
        };
        Self {
            ring_for: config.calls.ring_timeout(),
            wants_key: !dapi.key.is_empty(),
            token_lifetime_s: config.channels.token_lifetime_s.into(),
            message_window_s: dapi.message_window_s.into(),
            heartbeat: Duration::from_secs(dapi.heartbeat_s.into()),
            keep_records_s: i64::from(dapi.keep_records_d) * 24 * 3_600,
            records: quota(dapi.max_records),
            tasks: quota(dapi.max_tasks),
            push_devices: quota(dapi.max_push_devices),
        }
    }
}

impl Settings {
    /// Time without a sign of life after which somebody has left: a request that is sent in time may arrive a little later.
    fn silence(&self) -> Duration {
        self.heartbeat + self.heartbeat / 6
    }

    /// The same in whole seconds, as times are recorded.
    fn silence_s(&self) -> i64 {
        i64::try_from(self.silence().as_millis().div_ceil(1_000)).unwrap_or(i64::MAX)
    }
}

/// All calls that are made over HTTP. Cheap to clone.
#[derive(Clone)]
pub struct Channels {
    records: Records,
    lines: Lines,
    robots: Robots,
    app: App,
    clock: WallClock,
    passed: MonotonicClock,
    settings: Settings,
    live: Arc<Mutex<Live>>,
}

/// What somebody needs to enter a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub app_id: String,
    pub channel: RoomName,
    pub user: UserId,
    /// An access token.
    pub token: String,
}

impl Channels {
    pub fn new(
        records: Records,
        (hub, robots): (HubHandle, Robots),
        app: App,
        clock: WallClock,
        passed: MonotonicClock,
        settings: Settings,
    ) -> Self {
        Self {
            records,
            lines: Lines::new(hub, robots.clone()),
            robots,
            app,
            clock,
            passed,
            live: Arc::new(Mutex::new(Live::new(settings.silence()))),
            settings,
        }
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    pub fn app_id(&self) -> &str {
        self.app.id()
    }

    fn now_s(&self) -> i64 {
        now_s(&self.clock)
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls somebody, or several. Without callees a channel is opened, and whoever asks for it may enter.
    pub async fn call(
        &self,
        requester: Requester,
        caller: &UserId,
        callees: Vec<UserId>,
        extra_msg: String,
    ) -> Result<Entry, ChannelError> {
        let channel = self.begin(requester, (caller, &callees), extra_msg, None).await?;
        Ok(self.entry(channel, caller))
    }

    /// Makes a call, of which a task was waiting for its time, if there is one. Returns its channel.
    async fn begin(
        &self,
        requester: Requester,
        (caller, callees): (&UserId, &[UserId]),
        extra_msg: String,
        task: Option<TaskClaim>,
    ) -> Result<RoomName, ChannelError> {
        self.lines.check_callees(caller, callees)?;
        for _ in 0..NAME_TRIES {
            // Whoever may not speak for the caller, or finds no place at the hub, leaves no record.
            let speaker = self.lines.speak_for(requester, caller).await?;
            let call = NewCall {
                channel: name::random(&mut rand::rng()),
                caller: caller.clone(),
                callees: callees.to_vec(),
                extra_msg: extra_msg.clone(),
                client: requester.client,
                task,
            };
            let is_begun = match callees.is_empty() {
                true => self.open(&call).await?,
                false => self.ring(requester, &call, speaker).await?,
            };
            if is_begun {
                return Ok(call.channel);
            }
        }
        Err(ChannelError::TooManyCalls)
    }

    /// Opens a channel without a call. False if its name is taken.
    async fn open(&self, call: &NewCall) -> Result<bool, ChannelError> {
        let is_recorded = self.record(call).await?;
        if is_recorded {
            self.live().watch(&call.channel, (self.passed)() + self.open_for());
        }
        Ok(is_recorded)
    }

    /// Records a call, and lets it ring. False if its name is taken.
    async fn ring(
        &self,
        requester: Requester,
        call: &NewCall,
        (session, events): (Session, Events),
    ) -> Result<bool, ChannelError> {
        let channel = &call.channel;
        let addresses = self.addresses(&call.callees).await?;
        self.register_all_devices(requester, &call.callees).await?;
        // Before there is a record: a callee who finds it, and answers at once, waits until the call rings.
        let beginning = self.lines.begin(channel, call.caller.clone(), session, addresses).await;
        if !self.record(call).await? {
            return Ok(false);
        }
        let until = (self.passed)() + self.settings.ring_for + RINGING_GRACE;
        self.live().watch(channel, until);
        tokio::spawn(self.clone().follow(channel.clone(), events));
        let Err(refused) = beginning.ring().await else {
            return Ok(true);
        };
        let ending = match refused {
            ChannelError::Busy => Ending::Busy,
            _ => Ending::Failed,
        };
        self.end(channel).await;
        let now_s = self.now_s();
        let close = self.records.change_call(channel, |call, _| call.close(ending, now_s));
        close.await?;
        Err(refused)
    }

    /// Time for which a channel is open in which nobody gives a sign of life.
    fn open_for(&self) -> Duration {
        Duration::from_secs(u64::try_from(self.settings.token_lifetime_s).unwrap_or(0))
    }

    /// The addresses of these users: their names, and the devices on which they have logged in. Each user has the same number of
    /// places, and the devices that were seen last come first.
    async fn addresses(&self, users: &[UserId]) -> Result<Vec<Address>, ChannelError> {
        let places = ADDRESSES_MAX / users.len().max(1);
        let mut addresses = Vec::new();
        for user in users {
            addresses.push(Address::Name(user.clone()));
            let devices = self.records.devices(Some(user.as_str())).await?;
            let devices = devices.into_iter().take(places.saturating_sub(1));
            addresses.extend(devices.map(|(device, _)| Address::Device {
                account: user.clone(),
                device: DeviceId(device.device_id.into()),
            }));
        }
        Ok(addresses)
    }

    /// Lets a call ring whose record is there, at those who have not answered: the process that made it has ended.
    async fn ring_again(&self, call: &CallRecord) -> Result<(), ChannelError> {
        let requester = Requester {
            client: ClientAddress::THIS_MACHINE,
            is_trusted: self.settings.wants_key,
        };
        let called = call.members.iter().map(|member| member.user.clone());
        let called: Vec<UserId> = called.filter(|user| call.is_called(user)).collect();
        let (session, events) = self.lines.speak_for(requester, &call.caller).await?;
        let addresses = self.addresses(&called).await?;
        self.register_all_devices(requester, &called).await?;
        let beginning = self
            .lines
            .begin(&call.channel, call.caller.clone(), session, addresses)
            .await;
        tokio::spawn(self.clone().follow(call.channel.clone(), events));
        beginning.ring().await
    }

    /// Records a call. False if the name of its channel is taken.
    async fn record(&self, call: &NewCall) -> Result<bool, ChannelError> {
        let begun = self.records.begin_call(call, self.now_s(), self.settings.records);
        match begun.await? {
            Begun::Made => {}
            Begun::NameTaken => return Ok(false),
            Begun::TaskTaken => return Err(ChannelError::TaskTaken),
            Begun::NoPlace(denied) => return Err(denied.into()),
        }
        metrics::counter!("patchbay_channel_calls_total").increment(1);
        Ok(true)
    }

    /// What this user needs to enter a channel. A callee who asks answers the call by that. Where the call is over there is nobody
    /// to meet.
    pub async fn token(&self, requester: Requester, user: &UserId, channel: &RoomName) -> Result<Entry, ChannelError> {
        self.lines.check_speaker(requester, user).await?;
        let now_s = self.now_s();
        let call = self.records.call(channel).await?.ok_or(ChannelError::NoSuchChannel)?;
        if call.is_over() {
            return Err(ChannelError::Over);
        }
        // Most requests change nothing, and need not wait for a write.
        if let Some(speaker) = self.callee(requester, user, &call).await? {
            let answer = self.records.change_call(channel, |call, _| call.answer(user, now_s));
            if answer.await? == Some(true) {
                self.answered(channel, speaker).await;
            }
        }
        Ok(self.entry(channel.clone(), user))
    }

    /// A session for a callee who has not answered: only they have something to say at the hub.
    async fn callee(
        &self,
        requester: Requester,
        user: &UserId,
        call: &CallRecord,
    ) -> Result<Option<(Session, Events)>, ChannelError> {
        match call.is_called(user) {
            true => Ok(Some(self.lines.speak_for(requester, user).await?)),
            false => Ok(None),
        }
    }

    /// A callee has answered: it rings nowhere else.
    async fn answered(&self, channel: &RoomName, speaker: (Session, Events)) {
        self.live().watch(channel, (self.passed)() + self.open_for());
        self.lines.accept(channel, speaker).await;
    }

    fn entry(&self, channel: RoomName, user: &UserId) -> Entry {
        let until_s = self.now_s().saturating_add(self.settings.token_lifetime_s);
        let salt = rand::random_range(1..=SALT_MAX);
        Entry {
            app_id: self.app.id().to_owned(),
            token: self.app.issue(channel.as_str(), user.as_str(), until_s, salt),
            channel,
            user: user.clone(),
        }
    }

    /// The calls of somebody that were made a short time ago and are not over for them.
    pub async fn recent(&self, requester: Requester, user: &UserId) -> Result<Vec<RecentCall>, ChannelError> {
        self.lines.check_speaker(requester, user).await?;
        let since_s = self.now_s().saturating_sub(self.settings.message_window_s);
        Ok(self.records.recent_calls(user, since_s, RECENT_MAX).await?)
    }

    /// The record of a call, with its events. Whoever knows the name of the channel may ask: nobody finds one by trying.
    pub async fn call_record(&self, channel: &RoomName) -> Result<(CallRecord, Vec<Report>), ChannelError> {
        let call = self.records.call(channel).await?.ok_or(ChannelError::NoSuchChannel)?;
        Ok((call, self.records.reports(channel).await?))
    }

    /// The people of the call in this channel; nobody if there is none, or if storage fails.
    pub(crate) async fn people(&self, channel: &RoomName) -> Vec<UserId> {
        let call = self.records.call(channel).await.ok().flatten();
        let members = call.into_iter().flat_map(|call| call.members);
        members.map(|member| member.user).collect()
    }

    /// Takes an event that a client reports, with what it means.
    pub async fn report(
        &self,
        requester: Requester,
        user: &UserId,
        channel: &RoomName,
        code: i64,
        description: String,
    ) -> Result<(), ChannelError> {
        self.lines.check_speaker(requester, user).await?;
        let call = self.records.call(channel).await?.ok_or(ChannelError::NoSuchChannel)?;
        let speaker = self.callee(requester, user, &call).await?;
        let now_s = self.now_s();
        let report = Report {
            user: user.clone(),
            code,
            description,
            at_s: now_s,
        };
        let change = self
            .records
            .change_call(channel, |call, reports| call.report(report, reports, now_s));
        let consequence = change.await?.ok_or(ChannelError::NoSuchChannel)??;
        match consequence {
            Consequence::Joined { answers } => {
                self.watch_member(channel, user, Means::Presence);
                if answers && let Some(speaker) = speaker {
                    self.answered(channel, speaker).await;
                }
            }
            Consequence::Out => {
                if let Some((session, _)) = &speaker {
                    self.lines.decline(channel, session).await;
                }
            }
            _ => {}
        }
        self.follow_up(channel, user, &consequence).await;
        Ok(())
    }

    /// Takes a sign of life of somebody in a call. A callee answers by the first.
    pub async fn hear(&self, requester: Requester, user: &UserId, channel: &RoomName) -> Result<(), ChannelError> {
        self.lines.check_speaker(requester, user).await?;
        let now = (self.passed)();
        if self.live().hear(now, channel, user) == Sign::Known {
            return Ok(());
        }
        let now_s = self.now_s();
        let call = self.records.call(channel).await?.ok_or(ChannelError::NoSuchChannel)?;
        let has_left = call
            .members
            .iter()
            .any(|member| member.user == *user && member.left_s.is_some());
        if call.is_over() || has_left {
            return Err(ChannelError::Over);
        }
        let speaker = self.callee(requester, user, &call).await?;
        let join = self.records.change_call(channel, |call, _| call.join(user, now_s));
        let answers = join.await?.ok_or(ChannelError::NoSuchChannel)??;
        self.watch_member(channel, user, Means::Heartbeats);
        if answers && let Some(speaker) = speaker {
            self.answered(channel, speaker).await;
        }
        Ok(())
    }

    /// From now on this user has to be heard of.
    fn watch_member(&self, channel: &RoomName, user: &UserId, by: Means) {
        let now = (self.passed)();
        let mut live = self.live();
        // Another process may have begun the call.
        if !live.is_watched(channel) {
            live.watch(channel, now + self.open_for());
        }
        live.expect(now, channel, user, by);
    }

    /// Does what follows from a change of a record.
    async fn follow_up(&self, channel: &RoomName, user: &UserId, consequence: &Consequence) {
        match consequence {
            Consequence::Nothing | Consequence::Joined { .. } => {}
            Consequence::Left => self.live().forget(channel, user),
            Consequence::Out => self.lines.give_up(channel, user).await,
            Consequence::Over => self.end(channel).await,
        }
    }

    /// A call is over: nothing rings any more, and nobody has to be heard of.
    async fn end(&self, channel: &RoomName) {
        self.live().end(channel);
        self.lines.end(channel).await;
    }
}
