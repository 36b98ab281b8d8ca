//! The robot of a channel: a participant of its room who plays a recording.

use super::lines::Requester;
use super::live::Means;
use super::{ChannelError, Channels, Entry, NAME_TRIES, name};
use crate::ids::{RoomName, UserId};
use crate::storage::NewCall;

impl Channels {
    /// Opens a channel in which a robot plays. Where no robot comes, there is none.
    pub async fn call_robot(&self, requester: Requester, caller: &UserId) -> Result<Entry, ChannelError> {
        // Whoever may not speak for the caller leaves no record.
        self.lines.check_speaker(requester, caller).await?;
        for _ in 0..NAME_TRIES {
            let channel = name::random(&mut rand::rng());
            // The robot first: where none comes, no channel is open.
            self.send_robot(requester, &channel).await?;
            let call = NewCall {
                channel: channel.clone(),
                caller: caller.clone(),
                callees: Vec::new(),
                extra_msg: String::new(),
                client: requester.client,
                task: None,
            };
            match self.record(&call).await {
                Ok(true) => {
                    self.wait_for_company(&channel);
                    return Ok(self.entry(channel, caller));
                }
                failed => {
                    self.robots.remove(&channel).await;
                    failed?;
                }
            }
        }
        Err(ChannelError::TooManyCalls)
    }

    /// The caller may enter a channel with a robot as long as it waits for them.
    fn wait_for_company(&self, channel: &RoomName) {
        let until = (self.passed)() + self.robots.waits_for() + self.settings.silence();
        self.live().watch(channel, until);
    }

    /// Sends a robot into the channel of a call, as when a callee has declined. It takes the call in their place: it rings
    /// nowhere any more. A call that has just ended without an answer goes on.
    pub async fn invite_robot(
        &self,
        requester: Requester,
        user: &UserId,
        channel: &RoomName,
    ) -> Result<Entry, ChannelError> {
        self.lines.check_speaker(requester, user).await?;
        let call = self.records.call(channel).await?.ok_or(ChannelError::NoSuchChannel)?;
        if !call.takes_robot(self.now_s()) {
            return Err(ChannelError::Over);
        }
        // The robot first: where none comes, the record stays as it is.
        self.send_robot(requester, channel).await?;
        let now_s = self.now_s();
        let taken = self
            .records
            .change_call(channel, |call, _| call.hand_to_robot(now_s).then(|| call.clone()));
        match taken.await {
            Ok(Some(Some(call))) => {
                self.lines.end(channel).await;
                self.wait_for_company(channel);
                if call.is_in(&call.caller) {
                    self.watch_member(channel, &call.caller, Means::Presence);
                }
                Ok(self.entry(channel.clone(), user))
            }
            failed => {
                self.robots.remove(channel).await;
                failed?;
                Err(ChannelError::Over)
            }
        }
    }

    async fn send_robot(&self, requester: Requester, channel: &RoomName) -> Result<(), ChannelError> {
        let invited = self.robots.invite(channel, requester.client).await;
        invited.map_err(ChannelError::NoRobot)
    }

    /// Removes the robot from a channel. Nothing happens if there is none.
    pub async fn remove_robot(
        &self,
        requester: Requester,
        user: Option<&UserId>,
        channel: &RoomName,
    ) -> Result<(), ChannelError> {
        // Apps may name the robot itself.
        if let Some(user) = user.filter(|user| !self.robots.has_name(user)) {
            self.lines.check_speaker(requester, user).await?;
        }
        self.records.call(channel).await?.ok_or(ChannelError::NoSuchChannel)?;
        self.robots.remove(channel).await;
        Ok(())
    }
}
