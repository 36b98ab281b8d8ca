//! Accounts: the devices that have logged in under a telephone number, contacts, and the secrets that sign tokens.

use super::database::{LockKey, alone, reading, writing};
use super::{Quota, RecordError, Records, check_id, storable};
use crate::shares::{ClientAddress, Denied, Share};

const CONTACT: &str = "the contact";

/// One device of an account.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DeviceRecord {
    pub phone: String,
    pub device_id: String,
}

/// The number of devices that may be recorded.
#[derive(Clone, Copy, Debug)]
pub struct DevicePlaces {
    pub per_account: usize,
    pub in_all: u64,
    /// The part of `in_all` for the devices that were first recorded from one client address.
    pub share: Share,
}

/// The outcome of recording a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    Known,
    New,
    /// No place was free, and the account has no device that could be removed for it.
    NoPlace(Denied),
}

/// A secret that signs tokens.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenSecret {
    /// The secret itself, in hexadecimal digits.
    pub secret: String,
    /// The time when it was made, in seconds since 1970-01-01 UTC.
    pub(crate) made_at_s: i64,
}

impl Records {
    /// Records that a device has been seen now. A new one takes a place of its account, of the server, and of its client
    /// address's share. Where there is none, an older device of the account is removed for it ([`gives_way`]). It counts
    /// against that share as long as it is recorded, wherever it is seen later: otherwise devices that move from address to
    /// address would free the first one's share for more.
    pub async fn record_device(
        &self,
        device: &DeviceRecord,
        client: ClientAddress,
        now_s: i64,
        places: DevicePlaces,
        in_use: impl Fn(&DeviceRecord) -> bool,
    ) -> Result<Recorded, sqlx::Error> {
        let (Some(phone), Some(id)) = (storable(&device.phone), storable(&device.device_id)) else {
            return Ok(Recorded::NoPlace(Denied::UsedUp));
        };
        let seen = "UPDATE devices SET seen_at = $3 WHERE phone = $1 AND device_id = $2";
        let own = "SELECT device_id FROM devices WHERE phone = $1 ORDER BY seen_at, device_id";
        let all = "SELECT COUNT(*) FROM devices";
        let held = "SELECT COUNT(*) FROM devices WHERE client = $1";
        let remove = "DELETE FROM devices WHERE phone = $1 AND device_id = $2";
        let insert = "INSERT INTO devices (phone, device_id, seen_at, client) VALUES ($1, $2, $3, $4)";
        let address = client.to_record();
        let recorded = alone!(&self.database, LockKey::Devices, transaction => {
            let seen = sqlx::query(seen).bind(phone).bind(id).bind(now_s);
            if seen.execute(&mut *transaction).await?.rows_affected() > 0 {
                Recorded::Known
            } else {
                let own: Vec<(String,)> = sqlx::query_as(own).bind(phone).fetch_all(&mut *transaction).await?;
                let (all,): (i64,) = sqlx::query_as(all).fetch_one(&mut *transaction).await?;
                let (held,): (i64,) = sqlx::query_as(held).bind(&address).fetch_one(&mut *transaction).await?;
                let denied = places.allow(client, all, held).err();
                if let Some(denied) = denied.filter(|_| own.is_empty()) {
                    Recorded::NoPlace(denied)
                } else {
                    let own: Vec<String> = own.into_iter().map(|(id,)| id).collect();
                    let is_in_use = |id: &String| in_use(&DeviceRecord { phone: phone.to_owned(), device_id: id.clone() });
                    if let Some(id) = gives_way(&own, places.per_account, denied.is_some(), is_in_use) {
                        sqlx::query(remove).bind(phone).bind(id).execute(&mut *transaction).await?;
                    }
                    let insert = sqlx::query(insert).bind(phone).bind(id).bind(now_s).bind(&address);
                    insert.execute(&mut *transaction).await?;
                    Recorded::New
                }
            }
        });
        Ok(recorded)
    }

    /// The time when a device was last seen, in seconds since 1970-01-01 UTC; `None` for one that is not recorded.
    pub(crate) async fn device_seen_at(&self, device: &DeviceRecord) -> Result<Option<i64>, sqlx::Error> {
        let sql = "SELECT seen_at FROM devices WHERE phone = $1 AND device_id = $2";
        self.device_time(sql, device).await
    }

    /// The time when an administrator removed a device; `None` where none has, or where that is so long ago that it no
    /// longer matters.
    pub async fn device_removed_at(&self, device: &DeviceRecord) -> Result<Option<i64>, sqlx::Error> {
        let sql = "SELECT removed_at FROM removed_devices WHERE phone = $1 AND device_id = $2";
        self.device_time(sql, device).await
    }

    async fn device_time(&self, sql: &'static str, device: &DeviceRecord) -> Result<Option<i64>, sqlx::Error> {
        let (Some(phone), Some(id)) = (storable(&device.phone), storable(&device.device_id)) else {
            return Ok(None);
        };
        let row: Option<(i64,)> = reading!(&self.database, pool => sqlx::query_as(sql)
            .bind(phone)
            .bind(id)
            .fetch_optional(pool)
            .await)?;
        Ok(row.map(|(time,)| time))
    }

    /// Records that these devices are in use now.
    pub(crate) async fn see_devices(&self, devices: &[DeviceRecord], now_s: i64) -> Result<(), sqlx::Error> {
        let sql = "UPDATE devices SET seen_at = $3 WHERE phone = $1 AND device_id = $2";
        alone!(&self.database, LockKey::Devices, transaction => {
            for device in devices {
                let seen = sqlx::query(sql).bind(&device.phone).bind(&device.device_id).bind(now_s);
                seen.execute(&mut *transaction).await?;
            }
        });
        Ok(())
    }

    /// Removes devices that have not been seen for `unused_s`. The newest one of an account that has contacts, or is one,
    /// is kept for `account_unused_s`; then the account's own contacts are removed, too. Returns the number of removed
    /// devices.
    pub(crate) async fn expire_devices(
        &self,
        now_s: i64,
        unused_s: i64,
        account_unused_s: i64,
    ) -> Result<u64, sqlx::Error> {
        let before_s = now_s.saturating_sub(unused_s);
        let account_before_s = now_s.saturating_sub(account_unused_s);
        let undated = "UPDATE devices SET seen_at = $1 WHERE seen_at = 0";
        let contacts = "DELETE FROM contacts WHERE phone IN \
            (SELECT phone FROM devices GROUP BY phone HAVING MAX(seen_at) < $1)";
        let devices = "DELETE FROM devices WHERE seen_at < $1 AND (seen_at < $2 \
            OR EXISTS (SELECT 1 FROM devices AS newer WHERE newer.phone = devices.phone AND (newer.seen_at > devices.seen_at \
                OR (newer.seen_at = devices.seen_at AND newer.device_id > devices.device_id))) \
            OR NOT EXISTS (SELECT 1 FROM contacts WHERE contacts.phone = devices.phone OR contacts.contact = devices.phone))";
        let removals = "DELETE FROM removed_devices WHERE removed_at < $1";
        let removed = alone!(&self.database, LockKey::Devices, transaction => {
            sqlx::query(undated).bind(now_s).execute(&mut *transaction).await?;
            sqlx::query(contacts).bind(account_before_s).execute(&mut *transaction).await?;
            let devices = sqlx::query(devices).bind(before_s).bind(account_before_s);
            let removed = devices.execute(&mut *transaction).await?.rows_affected();
            sqlx::query(removals).bind(before_s).execute(&mut *transaction).await?;
            removed
        });
        Ok(removed)
    }

    /// The devices of one account, or of all, each with the time when it was last seen.
    pub async fn devices(&self, of: Option<&str>) -> Result<Vec<(DeviceRecord, i64)>, sqlx::Error> {
        let one = "SELECT phone, device_id, seen_at FROM devices WHERE phone = $1 ORDER BY seen_at DESC, device_id";
        let all = "SELECT phone, device_id, seen_at FROM devices ORDER BY phone, seen_at DESC, device_id";
        let rows: Vec<(String, String, i64)> = match of {
            Some(phone) => match storable(phone) {
                Some(phone) => reading!(&self.database, pool => sqlx::query_as(one).bind(phone).fetch_all(pool).await)?,
                None => Vec::new(),
            },
            None => reading!(&self.database, pool => sqlx::query_as(all).fetch_all(pool).await)?,
        };
        let device = |(phone, device_id, seen_at)| (DeviceRecord { phone, device_id }, seen_at);
        Ok(rows.into_iter().map(device).collect())
    }

    /// Removes a device. Its tokens are refused from then on.
    pub async fn remove_device(&self, device: &DeviceRecord, now_s: i64) -> Result<(), RecordError> {
        let missing = || RecordError::Missing {
            what: "the device",
            id: device.device_id.clone(),
        };
        let (Some(phone), Some(id)) = (storable(&device.phone), storable(&device.device_id)) else {
            return Err(missing());
        };
        let remove = "DELETE FROM devices WHERE phone = $1 AND device_id = $2";
        let note = "INSERT INTO removed_devices (phone, device_id, removed_at) VALUES ($1, $2, $3) \
            ON CONFLICT (phone, device_id) DO UPDATE SET removed_at = excluded.removed_at";
        alone!(&self.database, LockKey::Devices, transaction => {
            let removed = sqlx::query(remove).bind(phone).bind(id).execute(&mut *transaction).await?;
            if removed.rows_affected() == 0 {
                return Err(missing());
            }
            let note = sqlx::query(note).bind(phone).bind(id).bind(now_s);
            note.execute(&mut *transaction).await?;
        });
        Ok(())
    }

    /// Whether somebody has logged in under this number.
    pub(crate) async fn has_account(&self, phone: &str) -> Result<bool, sqlx::Error> {
        let Some(phone) = storable(phone) else {
            return Ok(false);
        };
        let sql = "SELECT COUNT(*) FROM devices WHERE phone = $1";
        let (count,): (i64,) = reading!(&self.database, pool => sqlx::query_as(sql).bind(phone).fetch_one(pool).await)?;
        Ok(count > 0)
    }

    /// Every device of every contact. If `mutual`, only of those contacts who have this number among theirs.
    pub(crate) async fn contact_devices(&self, phone: &str, mutual: bool) -> Result<Vec<DeviceRecord>, sqlx::Error> {
        let Some(phone) = storable(phone) else {
            return Ok(Vec::new());
        };
        let sql = "SELECT devices.phone, devices.device_id FROM contacts JOIN devices ON devices.phone = contacts.contact \
            WHERE contacts.phone = $1 AND ($2 OR EXISTS (SELECT 1 FROM contacts AS back \
            WHERE back.phone = contacts.contact AND back.contact = contacts.phone)) \
            ORDER BY devices.phone, devices.device_id";
        let rows: Vec<(String, String)> = reading!(&self.database, pool => sqlx::query_as(sql)
            .bind(phone)
            .bind(!mutual)
            .fetch_all(pool)
            .await)?;
        let device = |(phone, device_id)| DeviceRecord { phone, device_id };
        Ok(rows.into_iter().map(device).collect())
    }

    /// The contacts of one account, or of all, whether or not they have logged in: pairs of owner and contact.
    pub async fn contacts(&self, of: Option<&str>) -> Result<Vec<(String, String)>, sqlx::Error> {
        let one = "SELECT phone, contact FROM contacts WHERE phone = $1 ORDER BY contact";
        let all = "SELECT phone, contact FROM contacts ORDER BY phone, contact";
        match of {
            Some(phone) => {
                reading!(&self.database, pool => sqlx::query_as(one).bind(phone).fetch_all(pool).await)
            }
            None => reading!(&self.database, pool => sqlx::query_as(all).fetch_all(pool).await),
        }
    }

    pub async fn add_contact(&self, phone: &str, contact: &str, most: i64) -> Result<(), RecordError> {
        check_id("a telephone number", phone)?;
        check_id("a telephone number", contact)?;
        let count = "SELECT COUNT(*) FROM contacts WHERE phone = $1";
        let insert = "INSERT INTO contacts (phone, contact) VALUES ($1, $2)";
        alone!(&self.database, LockKey::Contacts, transaction => {
            let (count,): (i64,) = sqlx::query_as(count).bind(phone).fetch_one(&mut *transaction).await?;
            if count >= most {
                return Err(RecordError::Full { what: "contacts", most });
            }
            let insert = sqlx::query(insert).bind(phone).bind(contact).execute(&mut *transaction).await;
            insert.map_err(|e| RecordError::of_insert(e, CONTACT, contact))?;
        });
        Ok(())
    }

    pub async fn remove_contact(&self, phone: &str, contact: &str) -> Result<(), RecordError> {
        let missing = || RecordError::Missing {
            what: CONTACT,
            id: contact.to_owned(),
        };
        let (Some(phone), Some(id)) = (storable(phone), storable(contact)) else {
            return Err(missing());
        };
        let sql = "DELETE FROM contacts WHERE phone = $1 AND contact = $2";
        let removed = writing!(&self.database, pool => sqlx::query(sql)
            .bind(phone)
            .bind(id)
            .execute(pool)
            .await
            .map(|done| done.rows_affected()))?;
        if removed > 0 { Ok(()) } else { Err(missing()) }
    }

    /// All secrets, newest first. `next` is given the newest, and may make another one.
    pub async fn token_secrets(
        &self,
        next: impl FnOnce(Option<&TokenSecret>) -> Option<TokenSecret>,
    ) -> Result<Vec<TokenSecret>, sqlx::Error> {
        let select = "SELECT secret, made_at FROM token_secrets ORDER BY made_at DESC, secret";
        let insert = "INSERT INTO token_secrets (secret, made_at) VALUES ($1, $2)";
        let secrets = alone!(&self.database, LockKey::Secrets, transaction => {
            let rows: Vec<(String, i64)> = sqlx::query_as(select).fetch_all(&mut *transaction).await?;
            let secret = |(secret, made_at_s)| TokenSecret { secret, made_at_s };
            let mut secrets: Vec<TokenSecret> = rows.into_iter().map(secret).collect();
            if let Some(made) = next(secrets.first()) {
                let insert = sqlx::query(insert).bind(&made.secret).bind(made.made_at_s);
                insert.execute(&mut *transaction).await?;
                secrets.insert(0, made);
            }
            secrets
        });
        Ok(secrets)
    }

    pub(crate) async fn remove_token_secret(&self, secret: &TokenSecret) -> Result<(), sqlx::Error> {
        let sql = "DELETE FROM token_secrets WHERE secret = $1";
        writing!(&self.database, pool => sqlx::query(sql).bind(&secret.secret).execute(pool).await.map(drop))
    }
}

impl DevicePlaces {
    /// Whether there is a place for a device from `client`, where `recorded` devices are recorded, and `from_there` of them
    /// from that address.
    fn allow(&self, client: ClientAddress, recorded: i64, from_there: i64) -> Result<(), Denied> {
        let DevicePlaces { in_all, share, .. } = *self;
        Quota { in_all, share }.allows(client, recorded, from_there)
    }
}

/// The device of an account that is removed for a new one. `own` are the account's devices, the one not seen for longest
/// first. The first that is not in use is removed, if there is one. A full account gives up a device in any case, so that
/// nobody can fill it for good. Where only the server or this client address has no place, devices in use stay: those are
/// few.
fn gives_way(own: &[String], per_account: usize, no_place: bool, in_use: impl Fn(&String) -> bool) -> Option<&String> {
    let account_is_full = own.len() >= per_account;
    if !account_is_full && !no_place {
        return None;
    }
    let unused = own.iter().find(|id| !in_use(id));
    unused.or_else(|| own.first().filter(|_| account_is_full))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_device_that_is_not_in_use_and_not_seen_for_longest_gives_way() {
        let own: Vec<String> = ["old", "middle", "new"].map(str::to_owned).to_vec();
        let way = |per_account, full, used: &[&str]| {
            gives_way(&own, per_account, full, |id| used.contains(&id.as_str())).map(String::as_str)
        };
        assert_eq!(way(4, false, &[]), None);
        assert_eq!(way(3, false, &[]), Some("old"));
        assert_eq!(way(3, false, &["old"]), Some("middle"));
        assert_eq!(way(3, false, &["old", "middle", "new"]), Some("old"));
        assert_eq!(way(4, true, &["old"]), Some("middle"));
        assert_eq!(way(4, true, &["old", "middle", "new"]), None);
    }
}
