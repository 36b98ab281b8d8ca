//! Accounts: people known by their telephone number, their devices and contacts, and the tokens by which a device shows that
//! it has logged in. This module does not know HTTP: neither what is sent over it, nor how.

mod in_use;
pub(crate) mod tokens;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::auth::{self, TokenKeys};
use crate::clock::{MonotonicClock, WallClock, now_s};
use crate::config;
use crate::ids::UserId;
use crate::shares::{ClientAddress, Denied, Rates, Share};
use crate::storage::{AdmitError, DevicePlaces, DeviceRecord, RecordError, Recorded, Records, TokenSecret};
use crate::text;
use in_use::DevicesInUse;
pub(crate) use in_use::InUse;
use tokens::Claims;

/// Time after which every process has loaded a new secret.
const KNOWN_AFTER_S: i64 = 2 * 3_600;

/// Devices of one account: phones, tablets, browsers. More would let one number fill the database.
const DEVICES_PER_ACCOUNT_MAX: usize = 16;

/// Devices that may be recorded from one client address in any case: a small server is not divided into useless parts.
const DEVICES_AT_LEAST: u64 = DEVICES_PER_ACCOUNT_MAX as u64;

/// Seconds for which a device that was seen is not recorded again: a client that connects all the time would keep the
/// database busy.
const SEEN_WITHIN_S: i64 = 60;

/// Time for which an account with contacts is kept while nobody uses it: a quarter of a year, longer than people travel.
const ACCOUNT_KEPT_FOR_S: i64 = 90 * 24 * 3_600;

/// Devices in use that one transaction records: it takes a few milliseconds, in which nobody else can log in.
const SEEN_AT_ONCE: usize = 500;

/// Client addresses whose logins are counted, in about half a MiB. For one more, the server forgets the address that logged
/// in longest ago.
const ADDRESSES_MAX: usize = 8_192;

/// Digits of a telephone number.
const PHONE_DIGITS: usize = 11;

/// Time for which a secret is kept after it has ceased to sign: until the last token that it may have signed expires.
const KEPT_FOR_S: i64 = auth::DAYS_MAX as i64 * auth::SECONDS_PER_DAY;

/// Time between two checks for a new secret that is due, and for devices that have not been seen for too long.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(3_600);

/// All accounts. Cheap to clone.
#[derive(Clone)]
pub struct Accounts {
    records: Records,
    config: config::Accounts,
    places: DevicePlaces,
    clock: WallClock,
    passed: MonotonicClock,
    keys: TokenKeys,
    in_use: DevicesInUse,
    rates: Arc<Mutex<ChangeRates>>,
}

/// The rates of each client address. Programs on this machine, and the clients of a proxy on it that does not send their
/// addresses, are not counted: they would all share one rate, and one of them would use it up.
struct ChangeRates {
    /// The rate of logins, and of changes of contacts.
    changes: Rates<ClientAddress>,
    new_accounts: Rates<ClientAddress>,
}

impl ChangeRates {
    fn new(config: &config::Accounts) -> Self {
        let rate = |count: u32, period_s: u32| Rates::new(count, f64::from(count) / f64::from(period_s), ADDRESSES_MAX);
        Self {
            changes: rate(config.logins_per_minute, 60),
            new_accounts: rate(config.new_accounts_per_hour, 3_600),
        }
    }
}

/// The reason why a request is refused.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    #[error("a phone number has eleven digits")]
    BadPhone,
    #[error("nobody with this phone number may log in here")]
    UnknownPhone,
    #[error("a device id has 1 to {} characters, none of them a control character", text::DEVICE_ID.characters)]
    BadDevice,
    #[error("this server has as many devices as it may; a new account can be made when some of them have expired")]
    TooManyDevices,
    #[error(
        "clients of your network have as many devices here as they may; a new account can be made when some of them have expired"
    )]
    ShareUsedUp,
    #[error("too many logins and changes from your network; try again in {} s", wait.as_secs() + 1)]
    TooManyChanges { wait: Duration },
    #[error("too many new accounts from your network; try again in {} min", wait.as_secs() / 60 + 1)]
    TooManyNewAccounts { wait: Duration },
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
    /// Reads the secrets. Makes one where there is none.
    pub async fn open(
        records: Records,
        config: config::Accounts,
        share_percent: u8,
        clock: WallClock,
        passed: MonotonicClock,
    ) -> Result<Accounts, sqlx::Error> {
        let accounts = Accounts {
            records,
            rates: Arc::new(Mutex::new(ChangeRates::new(&config))),
            places: DevicePlaces {
                per_account: DEVICES_PER_ACCOUNT_MAX,
                in_all: u64::try_from(config.max_devices).unwrap_or(0),
                share: Share {
                    percent: share_percent,
                    at_least: DEVICES_AT_LEAST,
                },
            },
            config,
            clock,
            keys: TokenKeys::default(),
            passed,
            in_use: DevicesInUse::default(),
        };
        accounts.rotate().await?;
        Ok(accounts)
    }

    /// Makes a new secret when the newest is old, removes those whose tokens have all expired, and loads what other processes
    /// have made.
    pub async fn rotate(&self) -> Result<(), sqlx::Error> {
        let now_s = now_s(&self.clock);
        let due = |newest: &TokenSecret| newest.made_at_s + self.config.rotate_after_s() <= now_s;
        let next = |newest: Option<&TokenSecret>| {
            newest.is_none_or(due).then(|| TokenSecret {
                secret: hex::encode(rand::random::<[u8; 32]>()),
                made_at_s: now_s,
            })
        };
        let secrets = self.records.token_secrets(next).await?;
        // A secret signs from when every process knows it until the next one does. Its last token stays valid for a while
        // after that.
        let mut replaced_at_s = i64::MAX;
        let mut kept = VecDeque::new();
        for secret in secrets {
            let signs_from_s = secret.made_at_s.saturating_add(KNOWN_AFTER_S);
            if replaced_at_s.saturating_add(KEPT_FOR_S) < now_s {
                self.records.remove_token_secret(&secret).await?;
            } else if replaced_at_s > now_s {
                // The very first secret is known to all processes at once: they wait while it is made.
                kept.push_front(secret.secret.into_bytes());
            } else {
                kept.push_back(secret.secret.into_bytes());
            }
            replaced_at_s = signs_from_s;
        }
        self.keys.replace(kept.into());
        Ok(())
    }

    /// The secrets that sign the tokens of devices and of users.
    pub fn keys(&self) -> TokenKeys {
        self.keys.clone()
    }

    /// Removes devices whose tokens have expired. A device that is in use stays, however old its token is.
    pub async fn expire(&self) -> Result<(), sqlx::Error> {
        let now_s = now_s(&self.clock);
        for devices in self.in_use.all().chunks(SEEN_AT_ONCE) {
            self.records.see_devices(devices, now_s).await?;
        }
        let expired = self
            .records
            .expire_devices(now_s, tokens::VALID_FOR_S, ACCOUNT_KEPT_FOR_S);
        match expired.await? {
            0 => {}
            devices => tracing::info!(devices, "removed devices whose tokens have expired"),
        }
        Ok(())
    }

    /// Rotates secrets and removes devices when that is due. Never ends.
    pub(crate) async fn upkeep(self) {
        let mut ticks = tokio::time::interval(UPKEEP_INTERVAL);
        loop {
            ticks.tick().await;
            if let Err(error) = self.rotate().await {
                let cause: &(dyn std::error::Error + 'static) = &error;
                tracing::warn!(
                    cause,
                    "the secrets that sign tokens could not be read or changed; trying again later"
                );
            }
            if let Err(error) = self.expire().await {
                let cause: &(dyn std::error::Error + 'static) = &error;
                tracing::warn!(cause, "unused devices could not be removed; trying again later");
            }
        }
    }

    /// Returns a token for a device. The first login of a number makes its account. Where there are users, only they may log
    /// in.
    pub async fn log_in(&self, phone: &str, device_id: &str, client: ClientAddress) -> Result<String, AccountError> {
        if !is_phone(phone) {
            return Err(AccountError::BadPhone);
        }
        if device_id.is_empty() || !text::DEVICE_ID.holds(device_id) || device_id.chars().any(char::is_control) {
            return Err(AccountError::BadDevice);
        }
        self.records
            .recognize(&UserId::from(phone))
            .await
            .map_err(|error| match error {
                AdmitError::Storage(cause) => AccountError::Storage(cause),
                _ => AccountError::UnknownPhone,
            })?;
        self.may_change(client)?;
        let device = DeviceRecord {
            phone: phone.to_owned(),
            device_id: device_id.to_owned(),
        };
        if self.records.device_seen_at(&device).await?.is_none() && !self.records.has_account(phone).await? {
            self.may_make_account(client)?;
        }
        match self.record(&device, client).await? {
            Recorded::Known | Recorded::New => {}
            Recorded::NoPlace(Denied::UsedUp) => return Err(AccountError::TooManyDevices),
            Recorded::NoPlace(Denied::ShareUsedUp) => return Err(AccountError::ShareUsedUp),
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

    fn may_change(&self, client: ClientAddress) -> Result<(), AccountError> {
        if client.is_this_machine() {
            return Ok(());
        }
        let taken = self.rates().changes.take(client, 1, (self.passed)());
        taken.map_err(|wait| AccountError::TooManyChanges { wait })
    }

    fn may_make_account(&self, client: ClientAddress) -> Result<(), AccountError> {
        if client.is_this_machine() {
            return Ok(());
        }
        let taken = self.rates().new_accounts.take(client, 1, (self.passed)());
        taken.map_err(|wait| AccountError::TooManyNewAccounts { wait })
    }

    fn rates(&self) -> std::sync::MutexGuard<'_, ChangeRates> {
        self.rates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn record(&self, device: &DeviceRecord, client: ClientAddress) -> Result<Recorded, sqlx::Error> {
        let now_s = now_s(&self.clock);
        let seen_at = self.records.device_seen_at(device).await?;
        if seen_at.is_some_and(|seen_at| now_s.saturating_sub(seen_at) < SEEN_WITHIN_S) {
            return Ok(Recorded::Known);
        }
        let in_use = |device: &DeviceRecord| self.in_use.contains(device);
        self.records
            .record_device(device, client, now_s, self.places, in_use)
            .await
    }

    /// Counts a connection of a device. Until the returned value is dropped, the device is not removed to make place for
    /// another one, as long as there are others to remove. A device that had been removed for that, and whose token is still
    /// valid, is recorded again.
    pub async fn connect(&self, device: &DeviceRecord, client: ClientAddress) -> InUse {
        let in_use = self.in_use.add(device);
        if let Err(error) = self.record(device, client).await {
            // The device can call and be called all the same.
            let cause: &(dyn std::error::Error + 'static) = &error;
            tracing::warn!(cause, "a device that connects could not be recorded");
        }
        in_use
    }

    /// The device that a token belongs to. `None` for a token that is not valid, or whose device has been removed since.
    pub async fn verify(&self, token: &str) -> Result<Option<DeviceRecord>, AccountError> {
        let Some(claims) = tokens::verify(&self.keys.all(), token, now_s(&self.clock)) else {
            return Ok(None);
        };
        let made_at_s = claims.exp.saturating_sub(tokens::VALID_FOR_S);
        let device = DeviceRecord {
            phone: claims.phone,
            device_id: claims.deviceid,
        };
        let removed_at_s = self.records.device_removed_at(&device).await?;
        let is_removed = removed_at_s.is_some_and(|removed_at_s| made_at_s <= removed_at_s);
        Ok((!is_removed).then_some(device))
    }

    /// Every device of every contact whom this account may see.
    pub async fn contacts(&self, phone: &str, token: &str) -> Result<Vec<DeviceRecord>, AccountError> {
        self.check(phone, token).await?;
        let mutual = self.config.mutual_contacts;
        Ok(self.records.contact_devices(phone, mutual).await?)
    }

    /// The answer does not say whether somebody has logged in with that number: nobody learns who has an account by trying
    /// numbers.
    pub async fn add_contact(
        &self,
        phone: &str,
        token: &str,
        contact: &str,
        client: ClientAddress,
    ) -> Result<(), AccountError> {
        self.check(phone, token).await?;
        self.may_change(client)?;
        if !is_phone(contact) {
            return Err(AccountError::BadPhone);
        }
        if contact == phone {
            return Err(AccountError::OwnContact);
        }
        match self.records.add_contact(phone, contact, self.config.max_contacts).await {
            // The wanted state is there already.
            Err(RecordError::Exists { .. }) => Ok(()),
            other => Ok(other?),
        }
    }

    pub async fn remove_contact(
        &self,
        phone: &str,
        token: &str,
        contact: &str,
        client: ClientAddress,
    ) -> Result<(), AccountError> {
        self.check(phone, token).await?;
        self.may_change(client)?;
        match self.records.remove_contact(phone, contact).await {
            // The wanted state is there already.
            Err(RecordError::Missing { .. }) => Ok(()),
            other => Ok(other?),
        }
    }

    /// A token is good for its own account only.
    async fn check(&self, phone: &str, token: &str) -> Result<(), AccountError> {
        let device = self.verify(token).await?.filter(|device| device.phone == phone);
        device.map(drop).ok_or(AccountError::BadToken)
    }
}

pub(crate) fn is_phone(text: &str) -> bool {
    text.len() == PHONE_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit())
}
