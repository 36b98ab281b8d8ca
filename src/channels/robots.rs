//! The robot of a channel: a participant of its room who plays a recording.

use super::life::Consequence;
use super::lines::Requester;
use super::{ChannelError, Channels, Entry};
use crate::ids::{RoomName, UserId};
use crate::storage::MemberStatus;

impl Channels {
    /// Opens a channel in which a robot plays.
    pub async fn call_robot(&self, requester: Requester, caller: &UserId) -> Result<Entry, ChannelError> {
        let entry = self.call(requester, caller, Vec::new(), String::new()).await?;
        self.send_robot(requester, &entry.channel).await?;
        Ok(entry)
    }

    /// Sends a robot into the channel of a call, as when a callee has declined. It takes the call in their place: it rings
    /// nowhere any more.
    pub async fn invite_robot(
        &self,
        requester: Requester,
        user: &UserId,
        channel: &RoomName,
    ) -> Result<Entry, ChannelError> {
        self.lines.speak_for(requester, user).await?;
        self.records.call(channel).await?.ok_or(ChannelError::NoSuchChannel)?;
        self.send_robot(requester, channel).await?;
        let now_s = self.now_s();
        let taken = self.records.change_call(channel, |call, _| {
            for member in &mut call.members {
                member.status = MemberStatus::Over;
            }
            if !call.is_over() {
                call.answered_s.get_or_insert(now_s);
            }
            Consequence::Nothing
        });
        taken.await?;
        self.lines.end(channel).await;
        Ok(self.entry(channel.clone(), user))
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
        if let Some(user) = user {
            self.lines.speak_for(requester, user).await?;
        }
        self.records.call(channel).await?.ok_or(ChannelError::NoSuchChannel)?;
        self.robots.remove(channel).await;
        Ok(())
    }
}
