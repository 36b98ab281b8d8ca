//! The requests and answers exactly as on the wire.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    Done = 0,
    /// Not now. The server failed and its log says why, or the client's network has used up its share of logins.
    Internal = 1,
    /// No JSON object, or a field that is missing or no text, or a contact that cannot be one.
    DataInvalid = 2,
    /// A number that has not eleven digits, or is not known here.
    PhoneInvalid = 3,
    /// A token that has expired, or is of another server, another shape, or another account.
    TokenInvalid = 4,
    DeviceInvalid = 5,
}

impl Code {
    fn name(self) -> &'static str {
        match self {
            Code::Done => "ERROR_CODE_NONE",
            Code::Internal => "ERROR_CODE_INTERNAL_ERROR",
            Code::DataInvalid => "ERROR_CODE_DATA_INVALID",
            Code::PhoneInvalid => "ERROR_CODE_PHONE_INVALID",
            Code::TokenInvalid => "ERROR_CODE_TOKEN_INVALID",
            Code::DeviceInvalid => "ERROR_CODE_DEVICE_INVALID",
        }
    }
}

/// Kind of a request, by the message of its success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    LoggedIn,
    ContactsFound,
    ContactsChanged,
}

impl Done {
    pub fn message(self) -> &'static str {
        match self {
            Done::LoggedIn => "login sucess",
            Done::ContactsFound => "get contact persons sucess",
            Done::ContactsChanged => "change contact persons success",
        }
    }
}

#[derive(Deserialize, ToSchema)]
pub(crate) struct Login {
    /// Telephone number: eleven digits.
    #[schema(pattern = "^[0-9]{11}$", example = "13800000001")]
    pub phone: String,
    /// Id that the device has chosen for itself.
    #[schema(min_length = 1, max_length = 128)]
    pub device_id: String,
}

#[derive(Deserialize, ToSchema)]
pub(crate) struct AccountQuery {
    /// Telephone number of the account: eleven digits.
    #[schema(pattern = "^[0-9]{11}$", example = "13800000001")]
    pub phone: String,
    /// Token of one of the account's devices, from a login.
    pub token: String,
}

#[derive(Deserialize, ToSchema)]
pub(crate) struct AccountChange {
    /// Telephone number of the account: eleven digits.
    #[schema(pattern = "^[0-9]{11}$", example = "13800000001")]
    pub phone: String,
    /// Token of one of the account's devices, from a login.
    pub token: String,
    /// Telephone number of the contact: eleven digits, and not the account's own.
    #[schema(pattern = "^[0-9]{11}$", example = "13800000002")]
    pub contact: String,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountAnswer<T> {
    /// 0 done; 1 not now; 2 no JSON object, or a field that is missing or no text; 3 no phone number, or one that may not log
    /// in; 4 a token that is not valid; 5 a device that is not accepted.
    #[schema(minimum = 0, maximum = 5)]
    error_code: i32,
    /// Name of the code.
    error_code_name: &'static str,
    /// Sentence for people: what was done, or what is wrong.
    message: String,
    #[serde(flatten)]
    content: T,
}

impl<T> AccountAnswer<T> {
    pub fn new(code: Code, message: String, content: T) -> Self {
        Self {
            error_code: code as i32,
            error_code_name: code.name(),
            message,
            content,
        }
    }
}

#[derive(Default, Serialize, ToSchema)]
pub struct IssuedToken {
    /// Token of the device. Empty if the login was refused.
    pub token: String,
}

#[derive(Default, Serialize, ToSchema)]
pub(crate) struct Contacts {
    /// Devices of the contacts who have added this account, too. `null` if the request was refused.
    pub contacts: Option<Vec<Contact>>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Contact {
    /// Telephone number.
    pub phone: String,
    /// Id of one of the devices.
    pub device_id: String,
}
