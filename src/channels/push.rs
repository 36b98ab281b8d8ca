//! Devices whose apps are closed: how their push service reaches them. Recorded, because apps say so once, and the hub forgets it
//! at its end.

use super::lines::Requester;
use super::{ChannelError, Channels};
use crate::domain::Command;
use crate::hub::Session;
use crate::ids::{PushTarget, UserId};
use crate::storage::{PushDevice, PushRecorded};

/// Devices of one user: as many as one address may have push targets at the hub.
const DEVICES_MAX: usize = 16;

/// The push service whose tokens these are.
const SERVICE: &str = "apns";

impl Channels {
    /// Records how a device of a user is reached. Without a token, it no longer is.
    pub async fn set_device(
        &self,
        requester: Requester,
        user: &UserId,
        device: String,
        token: String,
    ) -> Result<(), ChannelError> {
        let (session, _events) = self.lines.speak_for(requester, user).await?;
        let device = PushDevice { device, token };
        let now_s = self.now_s();
        let recorded = self.records.set_push_device(
            user,
            &device,
            (requester.client, now_s),
            DEVICES_MAX,
            self.settings.push_devices,
        );
        match recorded.await? {
            PushRecorded::Done => {}
            PushRecorded::TooMany => return Err(ChannelError::TooManyDevices),
            PushRecorded::NoPlace(denied) => return Err(denied.into()),
        }
        self.register_devices(&session, user).await
    }

    /// Lets calls to this user ring at their devices, as recorded. The session speaks for the user.
    async fn register_devices(&self, session: &Session, user: &UserId) -> Result<(), ChannelError> {
        let devices = self.records.push_devices(user).await?;
        let targets = devices.into_iter().map(|device| {
            let target = format!("{SERVICE}:{}", device.token);
            PushTarget(target.into())
        });
        Ok(session.request(Command::Push(targets.collect())).await?)
    }

    /// Lets a call ring at the devices of these users, where the hub does not know them: it has been started anew.
    pub(super) async fn register_all_devices(
        &self,
        requester: Requester,
        users: &[UserId],
    ) -> Result<(), ChannelError> {
        for user in users {
            if self.records.push_devices(user).await?.is_empty() {
                continue;
            }
            // Refused if somebody holds the name who has set targets of their own.
            if let Ok((session, _events)) = self.lines.speak_for(requester, user).await {
                self.register_devices(&session, user).await.ok();
            }
        }
        Ok(())
    }
}
