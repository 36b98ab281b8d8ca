//! Devices whose apps are closed: how their push service reaches them. Recorded, because apps say so once, and the hub forgets it
//! at its end.

use super::lines::Requester;
use super::{ChannelError, Channels};
use crate::domain::Command;
use crate::hub::Session;
use crate::ids::UserId;
use crate::storage::{PushDevice, PushRecorded};

/// Devices of one user: as many as one address may have push targets at the hub.
const DEVICES_MAX: usize = 16;

impl Channels {
    /// Records how a device of a user is reached. Without a token, it no longer is. The hub has to agree first: what it refuses is
    /// not recorded.
    pub async fn set_device(
        &self,
        requester: Requester,
        user: &UserId,
        device: PushDevice,
    ) -> Result<(), ChannelError> {
        let (session, _events) = self.lines.speak_for(requester, user).await?;
        let before = self.records.push_devices(user).await?;
        let mut after = before.clone();
        after.retain(|known| known.device != device.device);
        after.extend((!device.token.is_empty()).then(|| device.clone()));
        if after.len() > DEVICES_MAX {
            return Err(ChannelError::TooManyDevices);
        }
        register_devices(&session, after).await?;
        let recorded = self.record_device(requester, user, &device).await;
        if recorded.is_err() {
            register_devices(&session, before).await.ok();
        }
        recorded
    }

    async fn record_device(
        &self,
        requester: Requester,
        user: &UserId,
        device: &PushDevice,
    ) -> Result<(), ChannelError> {
        let source = (requester.client, self.now_s());
        let quota = self.settings.push_devices;
        match self
            .records
            .set_push_device(user, device, source, DEVICES_MAX, quota)
            .await?
        {
            PushRecorded::Done => Ok(()),
            PushRecorded::TooMany => Err(ChannelError::TooManyDevices),
            PushRecorded::NoPlace(denied) => Err(denied.into()),
        }
    }

    /// Lets a call ring at the devices of these users, where the hub does not know them: it has been started anew.
    pub(super) async fn register_all_devices(
        &self,
        requester: Requester,
        users: &[UserId],
    ) -> Result<(), ChannelError> {
        for user in users {
            let devices = self.records.push_devices(user).await?;
            if devices.is_empty() {
                continue;
            }
            // Refused if somebody holds the name who has set targets of their own.
            if let Ok((session, _events)) = self.lines.speak_for(requester, user).await {
                register_devices(&session, devices).await.ok();
            }
        }
        Ok(())
    }
}

/// Lets calls to the user for whom the session speaks ring at these devices.
async fn register_devices(session: &Session, devices: Vec<PushDevice>) -> Result<(), ChannelError> {
    let targets = devices.into_iter().map(|device| device.service.target(&device.token));
    Ok(session.request(Command::Push(targets.collect())).await?)
}
