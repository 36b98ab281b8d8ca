//! Whoever is in the room of a channel is in its call, without a request: an app that joins by this server sends no heartbeats.

use std::time::Duration;

use super::Channels;
use super::live::{Means, Sign};
use super::watch::{AT_ONCE, LOOK_INTERVAL, report_failure};
use crate::ids::{RoomName, UserId};

/// Longest time between two looks into the rooms. A longer one would record later that somebody has come; each look costs the hub
/// an answer for a few hundred rooms.
const ROOMS_INTERVAL: Duration = Duration::from_secs(10);

impl Channels {
    /// Looks into the rooms of the calls, several times in that of a heartbeat, so that another process of the database does not take
    /// anybody for lost. Never ends.
    pub(crate) async fn watch_rooms(self) {
        let interval = ROOMS_INTERVAL.min(self.settings.heartbeat / 3).max(LOOK_INTERVAL);
        let mut looks = tokio::time::interval(interval);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            self.look_into_rooms().await;
        }
    }

    /// Takes note of who is in the rooms of the calls.
    pub async fn look_into_rooms(&self) {
        let channels = self.live().channels();
        for some in channels.chunks(AT_ONCE) {
            let people = self.lines.people_in(some.to_vec()).await;
            for (channel, users) in some.iter().zip(people) {
                for user in users {
                    if let Err(error) = self.see(channel, &user).await {
                        return report_failure("it could not be recorded who is in a call", &error);
                    }
                }
            }
        }
    }

    pub(super) async fn is_in_room(&self, channel: &RoomName, user: &UserId) -> bool {
        let people = self.lines.people_in(vec![channel.clone()]).await;
        people.first().is_some_and(|people| people.contains(user))
    }

    async fn see(&self, channel: &RoomName, user: &UserId) -> Result<(), sqlx::Error> {
        if self.live().see((self.passed)(), channel, user) == Sign::Known {
            return Ok(());
        }
        // Most who are there and not in the call are so at each look, which need not wait for a write.
        let call = self.records.call(channel).await?;
        if !call.is_some_and(|call| call.counts_presence_of(user)) {
            return Ok(());
        }
        let now_s = self.now_s();
        let enter = self.records.change_call(channel, |call, _| {
            call.counts_presence_of(user) && call.join(user, now_s).is_ok()
        });
        if enter.await? == Some(true) {
            self.watch_member(channel, user, Means::Presence);
        }
        Ok(())
    }
}
