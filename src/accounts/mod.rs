//! Accounts: people known by their telephone number, their devices and contacts, and the tokens by which a device shows
//! that it has logged in. What of this goes over HTTP, and how, is not known here.

pub mod tokens;

use std::time::Duration;

use crate::auth::{self, Keys};
use crate::clock::{WallClock, now_s};
use crate::config;
use crate::ids::UserId;
use crate::storage::{AdmitError, DeviceRecord, Directory, RecordError, TokenSecret};
use crate::text;
use tokens::Claims;

/// Of one account: phones, tablets, browsers. More would let one number fill the database.
const DEVICES_PER_ACCOUNT_MAX: i64 = 16;

/// What a telephone number looks like: eleven digits.
const PHONE_DIGITS: usize = 11;

/// For how long a secret is kept that signs no more: until the last token that it may have signed is over.
const KEPT_FOR_S: i64 = auth::DAYS_MAX as i64 * auth::SECONDS_PER_DAY;

/// How often it is looked whether a new secret is due.
const ROTATION_INTERVAL: Duration = Duration::from_secs(3_600);

/// All accounts. Cheap to clone.
#[derive(Clone)]
pub struct Accounts {
    directory: Directory,
    config: config::Accounts,
    clock: WallClock,
    keys: Keys,
}

/// Why somebody is not served.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    #[error("a phone number has eleven digits")]
    BadPhone,
    #[error("nobody with this phone number may log in here")]
    UnknownPhone,
    #[error("a device id has 1 to {} characters, none of them a control character", text::DEVICE_ID.characters)]
    BadDevice,
    #[error("this account, or this server, has as many devices as it may")]
    TooManyDevices,
    #[error("the token is not valid; log in again")]
    BadToken,
    #[error("you cannot be your own contact")]
    OwnContact,
    #[error("{0}")]
    Contact(RecordError),
    #[error("storage failed")]
    Storage(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<sqlx::Error> for AccountError {
    fn from(error: sqlx::Error) -> Self {
        AccountError::Storage(Box::new(error))
    }
}

impl From<RecordError> for AccountError {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Database(error) => error.into(),
            other => AccountError::Contact(other),
        }
    }
}

impl Accounts {
    /// Reads the secrets; makes one where there is none.
    pub async fn open(
        directory: Directory,
        config: config::Accounts,
        clock: WallClock,
    ) -> Result<Accounts, sqlx::Error> {
        let accounts = Accounts {
            directory,
            config,
            clock,
            keys: Keys::default(),
        };
        accounts.rotate().await?;
        Ok(accounts)
    }

    /// Makes a new secret when the newest is old, forgets those that have signed no token that is still valid, and takes
    /// up what another process has made.
    pub async fn rotate(&self) -> Result<(), sqlx::Error> {
        let now_s = now_s(&self.clock);
        let mut secrets = self.directory.token_secrets().await?;
        let due = |newest: &TokenSecret| newest.made_at_s + self.config.rotate_after_s() <= now_s;
        if secrets.first().is_none_or(due) {
            let secret = TokenSecret {
                secret: hex::encode(rand::random::<[u8; 32]>()),
                made_at_s: now_s,
            };
            self.directory.add_token_secret(&secret).await?;
            secrets.insert(0, secret);
        }
        // One signs from when it is made until the next is; its last token is valid for a while after that.
        let mut replaced_at_s = i64::MAX;
        let mut kept = Vec::new();
        for secret in secrets {
            if replaced_at_s.saturating_add(KEPT_FOR_S) < now_s {
                self.directory.remove_token_secret(&secret).await?;
            } else {
                kept.push(secret.secret.into_bytes());
            }
            replaced_at_s = secret.made_at_s;
        }
        self.keys.replace(kept);
        Ok(())
    }

    /// What signs the tokens of devices, and of users.
    pub fn keys(&self) -> Keys {
        self.keys.clone()
    }

    /// Rotates secrets when it is time. Never ends.
    pub async fn upkeep(self) {
        let mut ticks = tokio::time::interval(ROTATION_INTERVAL);
        loop {
            ticks.tick().await;
            if let Err(error) = self.rotate().await {
                let cause: &(dyn std::error::Error + 'static) = &error;
                tracing::warn!(
                    cause,
                    "the secrets of tokens could not be looked after; trying again later"
                );
            }
        }
    }

    /// A token for a device. An account is made by its first login; where there are users, only they may log in.
    pub async fn log_in(&self, phone: &str, device_id: &str) -> Result<String, AccountError> {
        if !is_phone(phone) {
            return Err(AccountError::BadPhone);
        }
        if device_id.is_empty() || !text::DEVICE_ID.holds(device_id) || device_id.chars().any(char::is_control) {
            return Err(AccountError::BadDevice);
        }
        self.directory
            .recognize(&UserId::from(phone))
            .await
            .map_err(|error| match error {
                AdmitError::Storage(cause) => AccountError::Storage(cause),
                AdmitError::UnknownUser | AdmitError::WrongPassword => AccountError::UnknownPhone,
            })?;
        let device = DeviceRecord {
            phone: phone.to_owned(),
            device_id: device_id.to_owned(),
        };
        let in_all = self.config.max_devices;
        if !self
            .directory
            .add_device(&device, DEVICES_PER_ACCOUNT_MAX, in_all)
            .await?
        {
            return Err(AccountError::TooManyDevices);
        }
        let claims = Claims {
            phone: device.phone,
            deviceid: device.device_id,
            exp: now_s(&self.clock).saturating_add(tokens::VALID_FOR_S),
        };
        let secrets = self.keys.all();
        let token = secrets.first().and_then(|secret| tokens::sign(secret, &claims));
        token.ok_or_else(|| AccountError::Storage("there is no secret to sign tokens with".into()))
    }

    /// Whose token it is.
    pub fn verify(&self, token: &str) -> Option<DeviceRecord> {
        let claims = tokens::verify(&self.keys.all(), token, now_s(&self.clock))?;
        Some(DeviceRecord {
            phone: claims.phone,
            device_id: claims.deviceid,
        })
    }

    /// Every device of every contact that shows itself to this account.
    pub async fn contacts(&self, phone: &str, token: &str) -> Result<Vec<DeviceRecord>, AccountError> {
        self.check(phone, token)?;
        let mutual = self.config.mutual_contacts;
        Ok(self.directory.contact_devices(phone, mutual).await?)
    }

    /// Whether somebody has logged in with that number is not said: nobody learns who has an account by trying numbers.
    pub async fn add_contact(&self, phone: &str, token: &str, contact: &str) -> Result<(), AccountError> {
        self.check(phone, token)?;
        if !is_phone(contact) {
            return Err(AccountError::BadPhone);
        }
        if contact == phone {
            return Err(AccountError::OwnContact);
        }
        match self
            .directory
            .add_contact(phone, contact, self.config.max_contacts)
            .await
        {
            // It is what was wanted.
            Err(RecordError::Exists { .. }) => Ok(()),
            other => Ok(other?),
        }
    }

    pub async fn remove_contact(&self, phone: &str, token: &str, contact: &str) -> Result<(), AccountError> {
        self.check(phone, token)?;
        match self.directory.remove_contact(phone, contact).await {
            // It is what was wanted.
            Err(RecordError::Missing { .. }) => Ok(()),
            other => Ok(other?),
        }
    }

    /// A token is good for its own account only.
    fn check(&self, phone: &str, token: &str) -> Result<(), AccountError> {
        let device = self.verify(token).filter(|device| device.phone == phone);
        device.map(drop).ok_or(AccountError::BadToken)
    }
}

pub fn is_phone(text: &str) -> bool {
    text.len() == PHONE_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit())
}
