//! Accounts over HTTP: every request a `POST` with a JSON object, every answer status 200 with a JSON object.
//!
//! | path | fields | answers `errorCode`, `errorCodeName`, `message`, and |
//! |---|---|---|
//! | `/account/login` | `phone`, `device_id` | `token`, empty on an error. The account and the device are made by their first login |
//! | `/getContactPersons` | `phone`, `token` | `contacts`: `{phone, device_id}` for each device of each contact; null on an error |
//! | `/account/contacts/add` | `phone`, `token`, `contact` | `contacts`, as they are then. This server's own |
//! | `/account/contacts/remove` | `phone`, `token`, `contact` | `contacts`, as they are then. This server's own |
//!
//! A contact's devices are listed once both have added each other (`accounts.mutual_contacts`). The answer to adding a contact
//! does not depend on whether somebody has logged in with that number.
//!
//! All fields are texts, unlike the names in signaling messages, which may be numbers. The interface that clients know
//! tells a field of a wrong type (2) from a text that is no phone number (3), and a number is of a wrong type.
//! The codes are those of [`wire::Code`]; the messages of success are spelled as clients know them.

mod wire;

use serde::Serialize;
use serde::de::DeserializeOwned;

use self::wire::Code;
pub use self::wire::{AccountAnswer, IssuedToken};
pub(crate) use self::wire::{AccountChange, AccountQuery, Contacts, Done, Login};
use super::json;
use crate::accounts::AccountError;
use crate::storage::DeviceRecord;

/// Why a request is not served.
#[derive(Debug)]
pub enum Refused {
    /// The body cannot be understood.
    Data,
    Account(AccountError),
}

impl From<AccountError> for Refused {
    fn from(error: AccountError) -> Self {
        Refused::Account(error)
    }
}

/// The request in a body.
pub fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refused> {
    let message = std::str::from_utf8(body).ok().and_then(json::parse);
    message.as_ref().and_then(json::fields).ok_or(Refused::Data)
}

pub(crate) fn contacts(devices: Vec<DeviceRecord>) -> Contacts {
    let contact = |DeviceRecord { phone, device_id }| wire::Contact { phone, device_id };
    Contacts {
        contacts: Some(devices.into_iter().map(contact).collect()),
    }
}

/// The answer to a request, served or refused.
pub fn answer<T: Default + Serialize>(done: Done, outcome: Result<T, Refused>) -> AccountAnswer<T> {
    let (code, message, content) = match outcome {
        Ok(content) => (Code::Done, done.message().to_owned(), content),
        Err(Refused::Data) => {
            let sentence = "the body is not a JSON object with the texts that are needed".to_owned();
            (Code::DataInvalid, sentence, T::default())
        }
        Err(Refused::Account(error)) => (code_of(&error), error.to_string(), T::default()),
    };
    AccountAnswer::new(code, message, content)
}

fn code_of(error: &AccountError) -> Code {
    match error {
        AccountError::BadPhone | AccountError::UnknownPhone => Code::PhoneInvalid,
        AccountError::BadDevice | AccountError::TooManyDevices | AccountError::ShareUsedUp => Code::DeviceInvalid,
        AccountError::TooManyChanges { .. } | AccountError::TooManyNewAccounts { .. } | AccountError::Storage(_) => {
            Code::Internal
        }
        AccountError::BadToken => Code::TokenInvalid,
        AccountError::OwnContact | AccountError::Contact(_) => Code::DataInvalid,
    }
}
