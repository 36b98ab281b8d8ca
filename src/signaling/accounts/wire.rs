//! The requests and answers exactly as on the wire.

use serde::{Deserialize, Serialize};

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

#[derive(Deserialize)]
pub(crate) struct Login {
    pub phone: String,
    pub device_id: String,
}

#[derive(Deserialize)]
pub(crate) struct AccountQuery {
    pub phone: String,
    pub token: String,
}

#[derive(Deserialize)]
pub(crate) struct AccountChange {
    pub phone: String,
    pub token: String,
    pub contact: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountAnswer<T> {
    error_code: i32,
    error_code_name: &'static str,
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

#[derive(Default, Serialize)]
pub struct IssuedToken {
    pub token: String,
}

#[derive(Default, Serialize)]
pub(crate) struct Contacts {
    pub contacts: Option<Vec<Contact>>,
}

#[derive(Serialize)]
pub(crate) struct Contact {
    pub phone: String,
    pub device_id: String,
}
