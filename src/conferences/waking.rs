//! The phones of users whose apps are closed: what a notice of a call says, and which devices the hub knows after a start.

use std::time::Duration;

use tokio::time::timeout;

use super::{Conferences, Invitation, InvitationToken, RingsAt, calls};
use crate::domain::{CallEvent, Claim, Command, PushNotice};
use crate::ids::{PushService, PushTarget, UserId};
use crate::shares::ClientAddress;

/// Time in which the name of a caller is looked up. A phone that rings is worth more than the name.
const NAME_WITHIN: Duration = Duration::from_secs(2);

/// Users whose devices are asked for at once.
const USERS_AT_ONCE: i64 = 256;

impl Conferences {
    /// The invitation that an app is sent by its push service when a call rings. `None` for a device whose app knows no tokens, and
    /// for a call that this server carries without a room.
    pub fn invitation_by_push(
        &self,
        notice: &PushNotice,
        target: &PushTarget,
    ) -> Option<(InvitationToken, Invitation)> {
        let CallEvent::Incoming {
            call,
            from,
            room: Some(room),
            ..
        } = &notice.event
        else {
            return None;
        };
        let (account, at) = (notice.to.user()?, place(target)?);
        Some(self.invite(account, *call, (from.clone(), room.clone()), at))
    }

    /// The call no longer rings at a device. Returns whether its app is to be sent that: not if it has answered.
    pub fn withdraw_by_push(&self, notice: &PushNotice, target: &PushTarget) -> bool {
        match (&notice.event, notice.to.user(), place(target)) {
            (CallEvent::Over(over), Some(account), Some(at)) => self.withdraw(account, over.call, &at),
            _ => true,
        }
    }

    /// The name of the caller that is shown.
    pub async fn caller_name(&self, invitation: &Invitation) -> String {
        if let Some(name) = &invitation.details.caller_name {
            return name.clone();
        }
        let caller = invitation.caller();
        match timeout(NAME_WITHIN, self.display_name(caller)).await {
            Ok(Ok(name)) => name,
            Ok(Err(_)) | Err(_) => caller.to_string(),
        }
    }

    /// Lets calls ring at the devices of all users, which the hub forgets at its end. Where storage fails, each user's devices ring
    /// from their app's next start on.
    pub async fn restore_devices(&self) -> Result<(), sqlx::Error> {
        let mut after = UserId::from("");
        loop {
            let users = self
                .records
                .accounts_with_devices(after.as_str(), USERS_AT_ONCE)
                .await?;
            let Some(last) = users.last() else { return Ok(()) };
            after = last.clone();
            for user in &users {
                self.restore_devices_of(user).await?;
            }
        }
    }

    async fn restore_devices_of(&self, user: &UserId) -> Result<(), sqlx::Error> {
        let devices = self.records.push_devices(user).await?;
        let targets = devices.iter().map(|device| device.service.target(&device.token));
        let targets = targets.collect();
        // There is a place for one more session, or the hub is about to end.
        let Ok((session, _events)) = self.hub.connect(ClientAddress::THIS_MACHINE).await else {
            return Ok(());
        };
        let speaks = session.request(calls::speak_for(user.clone(), Claim::Proven)).await;
        if speaks.is_ok() {
            // Refused where the hub knows as many devices as it may.
            session.request(Command::Push(targets)).await.ok();
        }
        Ok(())
    }
}

/// The place of a device whose app is sent tokens.
fn place(target: &PushTarget) -> Option<RingsAt> {
    match target.parts()?.0 {
        PushService::ApnsVoip | PushService::JPush => Some(RingsAt::Device(target.clone())),
        PushService::ApnsAlert => None,
    }
}
