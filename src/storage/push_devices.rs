//! How apps on phones are reached that are closed.

use super::database::{LockKey, alone, reading};
use super::{Quota, Records, storable};
use crate::ids::{PushService, UserId};
use crate::shares::{ClientAddress, Denied};

/// One device of a user, with its token at a push service. An empty token: it is not to be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushDevice {
    pub service: PushService,
    pub device: String,
    pub token: String,
}

/// The outcome of recording a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushRecorded {
    Done,
    /// The user has as many as a user may.
    TooMany,
    NoPlace(Denied),
}

/// The outcome of forgetting a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forgotten {
    Removed,
    /// No device has it.
    Unknown,
    /// The device has set it since then.
    IsNewer,
}

impl Records {
    /// Records a device of a user, or removes it if it has no token.
    pub async fn set_push_device(
        &self,
        user: &UserId,
        device: &PushDevice,
        (client, now_s): (ClientAddress, i64),
        per_user: usize,
        quota: Quota,
    ) -> Result<PushRecorded, sqlx::Error> {
        let remove = "DELETE FROM push_devices WHERE member = $1 AND device = $2";
        // A token belongs to one app on one device: whoever uses the app now is its user.
        let elsewhere = "DELETE FROM push_devices WHERE token = $1 AND service = $4 AND (member <> $2 OR device <> $3)";
        let update = "UPDATE push_devices SET token = $3, seen_at = $4, service = $5 WHERE member = $1 AND device = $2";
        let own = "SELECT COUNT(*) FROM push_devices WHERE member = $1";
        let all = "SELECT COUNT(*) FROM push_devices";
        let held = "SELECT COUNT(*) FROM push_devices WHERE client = $1";
        let insert = "INSERT INTO push_devices (member, device, token, seen_at, client, service) \
            VALUES ($1, $2, $3, $4, $5, $6)";
        let (user, address) = (user.as_str(), client.to_record());
        let PushDevice { service, device, token } = device;
        let service = service.name();
        let recorded = alone!(&self.database, LockKey::PushDevices, transaction => {
            if token.is_empty() {
                sqlx::query(remove).bind(user).bind(device).execute(&mut *transaction).await?;
                PushRecorded::Done
            } else {
                let elsewhere = sqlx::query(elsewhere).bind(token).bind(user).bind(device).bind(service);
                elsewhere.execute(&mut *transaction).await?;
                let update = sqlx::query(update).bind(user).bind(device).bind(token).bind(now_s).bind(service);
                let is_known = update.execute(&mut *transaction).await?.rows_affected() > 0;
                let (own,): (i64,) = sqlx::query_as(own).bind(user).fetch_one(&mut *transaction).await?;
                let (all,): (i64,) = sqlx::query_as(all).fetch_one(&mut *transaction).await?;
                let (held,): (i64,) = sqlx::query_as(held).bind(&address).fetch_one(&mut *transaction).await?;
                if is_known {
                    PushRecorded::Done
                } else if own >= i64::try_from(per_user).unwrap_or(i64::MAX) {
                    PushRecorded::TooMany
                } else if let Err(denied) = quota.allows(client, all, held) {
                    PushRecorded::NoPlace(denied)
                } else {
                    let insert = sqlx::query(insert).bind(user).bind(device).bind(token).bind(now_s).bind(&address);
                    insert.bind(service).execute(&mut *transaction).await?;
                    PushRecorded::Done
                }
            }
        });
        Ok(recorded)
    }

    /// The devices of a user that are to be reached, the one that was set last first.
    pub async fn push_devices(&self, user: &UserId) -> Result<Vec<PushDevice>, sqlx::Error> {
        let Some(user) = storable(user.as_str()) else {
            return Ok(Vec::new());
        };
        let sql = "SELECT service, device, token FROM push_devices WHERE member = $1 ORDER BY seen_at DESC, device";
        let rows: Vec<(String, String, String)> =
            reading!(&self.database, pool => sqlx::query_as(sql).bind(user).fetch_all(pool).await)?;
        let device = |(service, device, token): (String, String, String)| {
            // A later version may have recorded one that is not known here.
            let service = PushService::named(&service)?;
            Some(PushDevice { service, device, token })
        };
        Ok(rows.into_iter().filter_map(device).collect())
    }

    /// Removes all devices of a user.
    pub(super) async fn remove_push_devices(&self, user: &UserId) -> Result<(), sqlx::Error> {
        let sql = "DELETE FROM push_devices WHERE member = $1";
        alone!(&self.database, LockKey::PushDevices, transaction => {
            sqlx::query(sql).bind(user.as_str()).execute(&mut *transaction).await?;
        });
        Ok(())
    }

    /// Removes the device with this token at a service, which no longer knows it. `since_s`: since when; a device that has set the token
    /// later is kept, because the service knows it again.
    pub async fn forget_push_token(
        &self,
        service: PushService,
        token: &str,
        since_s: Option<i64>,
    ) -> Result<Forgotten, sqlx::Error> {
        let Some(token) = storable(token) else {
            return Ok(Forgotten::Unknown);
        };
        let remove = "DELETE FROM push_devices WHERE token = $1 AND service = $2 AND seen_at <= $3";
        let left = "SELECT COUNT(*) FROM push_devices WHERE token = $1 AND service = $2";
        let service = service.name();
        let since_s = since_s.unwrap_or(i64::MAX);
        let forgotten = alone!(&self.database, LockKey::PushDevices, transaction => {
            let remove = sqlx::query(remove).bind(token).bind(service).bind(since_s);
            let removed = remove.execute(&mut *transaction).await?.rows_affected();
            let (left,): (i64,) = sqlx::query_as(left).bind(token).bind(service).fetch_one(&mut *transaction).await?;
            match (removed, left) {
                (_, 1..) => Forgotten::IsNewer,
                (0, _) => Forgotten::Unknown,
                _ => Forgotten::Removed,
            }
        });
        Ok(forgotten)
    }

    /// Removes devices that were set before `before_s`, at most `most`: apps set theirs whenever they start. Returns their number.
    pub async fn expire_push_devices(&self, before_s: i64, most: i64) -> Result<u64, sqlx::Error> {
        let sql = "DELETE FROM push_devices WHERE (member, device) IN \
            (SELECT member, device FROM push_devices WHERE seen_at < $1 ORDER BY seen_at LIMIT $2)";
        let removed = alone!(&self.database, LockKey::PushDevices, transaction => {
            sqlx::query(sql).bind(before_s).bind(most).execute(&mut *transaction).await?.rows_affected()
        });
        Ok(removed)
    }
}
