//! Accounts: the devices that have logged in under a telephone number, contacts, and the secrets of tokens.

use super::database::on_database;
use super::{Directory, RecordError, check_id, storable};

const CONTACT: &str = "the contact";

/// One device of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRecord {
    pub phone: String,
    pub device_id: String,
}

/// What tokens are signed with.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenSecret {
    /// Hexadecimal digits.
    pub secret: String,
    /// Seconds since 1970-01-01 UTC.
    pub made_at_s: i64,
}

impl Directory {
    /// Records a device. `false` where its account, or the server, has as many as it may.
    pub async fn add_device(&self, device: &DeviceRecord, per_account: i64, in_all: i64) -> Result<bool, sqlx::Error> {
        let (Some(phone), Some(id)) = (storable(&device.phone), storable(&device.device_id)) else {
            return Ok(false);
        };
        let known = "SELECT COUNT(*) FROM devices WHERE phone = $1 AND device_id = $2";
        let (known,): (i64,) = on_database!(&self.database, pool => sqlx::query_as(known)
            .bind(phone)
            .bind(id)
            .fetch_one(pool)
            .await)?;
        if known > 0 {
            return Ok(true);
        }
        let own = "SELECT COUNT(*) FROM devices WHERE phone = $1";
        let all = "SELECT COUNT(*) FROM devices";
        let insert = "INSERT INTO devices (phone, device_id) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        on_database!(&self.database, pool => {
            let (own,): (i64,) = sqlx::query_as(own).bind(phone).fetch_one(pool).await?;
            let (all,): (i64,) = sqlx::query_as(all).fetch_one(pool).await?;
            if own >= per_account || all >= in_all {
                return Ok(false);
            }
            sqlx::query(insert).bind(phone).bind(id).execute(pool).await?;
        });
        Ok(true)
    }

    /// Every device of every contact; where it is to be mutual, of those who have this number among theirs.
    pub async fn contact_devices(&self, phone: &str, mutual: bool) -> Result<Vec<DeviceRecord>, sqlx::Error> {
        let Some(phone) = storable(phone) else {
            return Ok(Vec::new());
        };
        let sql = "SELECT devices.phone, devices.device_id FROM contacts JOIN devices ON devices.phone = contacts.contact \
            WHERE contacts.phone = $1 AND ($2 OR EXISTS (SELECT 1 FROM contacts AS back \
            WHERE back.phone = contacts.contact AND back.contact = contacts.phone)) \
            ORDER BY devices.phone, devices.device_id";
        let rows: Vec<(String, String)> = on_database!(&self.database, pool => sqlx::query_as(sql)
            .bind(phone)
            .bind(!mutual)
            .fetch_all(pool)
            .await)?;
        let device = |(phone, device_id)| DeviceRecord { phone, device_id };
        Ok(rows.into_iter().map(device).collect())
    }

    /// Contacts, whether or not they have logged in: of one account, or of all. Owner and contact.
    pub async fn contacts(&self, of: Option<&str>) -> Result<Vec<(String, String)>, sqlx::Error> {
        let one = "SELECT phone, contact FROM contacts WHERE phone = $1 ORDER BY contact";
        let all = "SELECT phone, contact FROM contacts ORDER BY phone, contact";
        match of {
            Some(phone) => {
                on_database!(&self.database, pool => sqlx::query_as(one).bind(phone).fetch_all(pool).await)
            }
            None => on_database!(&self.database, pool => sqlx::query_as(all).fetch_all(pool).await),
        }
    }

    pub async fn add_contact(&self, phone: &str, contact: &str, most: i64) -> Result<(), RecordError> {
        check_id("a telephone number", phone)?;
        check_id("a telephone number", contact)?;
        let sql = "SELECT COUNT(*) FROM contacts WHERE phone = $1";
        let (count,): (i64,) =
            on_database!(&self.database, pool => sqlx::query_as(sql).bind(phone).fetch_one(pool).await)?;
        if count >= most {
            return Err(RecordError::Full { what: "contacts", most });
        }
        let sql = "INSERT INTO contacts (phone, contact) VALUES ($1, $2)";
        on_database!(&self.database, pool => sqlx::query(sql).bind(phone).bind(contact).execute(pool).await.map(drop))
            .map_err(|e| RecordError::of_insert(e, CONTACT, contact))
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
        let removed = on_database!(&self.database, pool => sqlx::query(sql)
            .bind(phone)
            .bind(id)
            .execute(pool)
            .await
            .map(|done| done.rows_affected()))?;
        if removed > 0 { Ok(()) } else { Err(missing()) }
    }

    /// Newest first.
    pub async fn token_secrets(&self) -> Result<Vec<TokenSecret>, sqlx::Error> {
        let sql = "SELECT secret, made_at FROM token_secrets ORDER BY made_at DESC, secret";
        let rows: Vec<(String, i64)> = on_database!(&self.database, pool => sqlx::query_as(sql).fetch_all(pool).await)?;
        let secret = |(secret, made_at_s)| TokenSecret { secret, made_at_s };
        Ok(rows.into_iter().map(secret).collect())
    }

    pub async fn add_token_secret(&self, secret: &TokenSecret) -> Result<(), sqlx::Error> {
        let sql = "INSERT INTO token_secrets (secret, made_at) VALUES ($1, $2)";
        on_database!(&self.database, pool => sqlx::query(sql)
            .bind(&secret.secret)
            .bind(secret.made_at_s)
            .execute(pool)
            .await
            .map(drop))
    }

    pub async fn remove_token_secret(&self, secret: &TokenSecret) -> Result<(), sqlx::Error> {
        let sql = "DELETE FROM token_secrets WHERE secret = $1";
        on_database!(&self.database, pool => sqlx::query(sql).bind(&secret.secret).execute(pool).await.map(drop))
    }
}
