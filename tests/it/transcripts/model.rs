//! The message socket's messages as the clients' own library writes and reads them, and a store of messages in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use patchbay::domain::{MailboxStore, MessageSender, StoreError, WaitingMessage};
use patchbay::ids::UserId;
use prost::Message;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// All fields, as in the newest generated client.
#[derive(Clone, PartialEq, Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Model {
    #[prost(string, tag = "1")]
    version: String,
    #[prost(string, tag = "2")]
    device_id: String,
    #[prost(uint32, tag = "3")]
    cmd: u32,
    #[prost(string, tag = "4")]
    sender: String,
    #[prost(string, tag = "5")]
    receiver: String,
    #[prost(string, tag = "6")]
    group_id: String,
    #[prost(uint32, tag = "7")]
    msgtype: u32,
    #[prost(uint32, tag = "8")]
    flag: u32,
    #[prost(string, tag = "9")]
    platform: String,
    #[prost(string, tag = "10")]
    platform_version: String,
    #[prost(string, tag = "11")]
    token: String,
    #[prost(string, tag = "12")]
    app_key: String,
    #[prost(string, tag = "13")]
    time_stamp: String,
    #[prost(string, tag = "14")]
    sign: String,
    #[prost(bytes = "vec", tag = "15")]
    content: Vec<u8>,
    #[prost(string, tag = "16")]
    res_sign: String,
    #[prost(string, tag = "17")]
    req_type: String,
    #[prost(string, tag = "18")]
    vagroup_id: String,
    #[prost(string, tag = "19")]
    call_type: String,
    #[prost(string, tag = "20")]
    sender_name: String,
    #[prost(string, tag = "21")]
    sender_photo: String,
    #[prost(string, tag = "22")]
    vagroup_name: String,
    #[prost(string, tag = "23")]
    va_type: String,
    #[prost(string, tag = "24")]
    add_group_flag: String,
}

impl Model {
    pub fn read(json: &str) -> Model {
        serde_json::from_str(json).expect(json)
    }

    pub fn of(bytes: &[u8]) -> Model {
        Model::decode(bytes).expect("the server sends messages only")
    }

    pub fn bytes(&self) -> Bytes {
        self.encode_to_vec().into()
    }

    pub fn set_content(&mut self, content: Vec<u8>) {
        self.content = content;
    }

    /// The message without zero or empty fields, as on the wire.
    pub fn written(&self) -> Value {
        let Value::Object(mut fields) = serde_json::to_value(self).unwrap() else {
            unreachable!("a struct is an object");
        };
        let is_default = |value: &Value| match value {
            Value::String(text) => text.is_empty(),
            Value::Array(bytes) => bytes.is_empty(),
            other => *other == 0,
        };
        fields.retain(|_, value| !is_default(value));
        Value::Object(fields)
    }
}

/// The place where messages wait in these tests.
#[derive(Clone, Default)]
pub struct Shelf(Arc<Mutex<BTreeMap<UserId, Vec<WaitingMessage>>>>);

impl Shelf {
    pub fn count(&self, receiver: &str) -> usize {
        self.0.lock().unwrap().get(&UserId::from(receiver)).map_or(0, Vec::len)
    }

    /// Lets the task that owns it do everything that was asked of it.
    pub async fn settle(&self) {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
}

impl MailboxStore for Shelf {
    async fn keep(&mut self, receiver: &UserId, _: &MessageSender, body: &[u8]) -> Result<(), StoreError> {
        let mut all = self.0.lock().unwrap();
        let waiting = all.entry(receiver.clone()).or_default();
        let number = waiting.last().map_or(1, |last| last.number + 1);
        let message = Bytes::copy_from_slice(body);
        waiting.push(WaitingMessage { number, message });
        Ok(())
    }

    async fn kept(&mut self, receiver: &UserId) -> Result<Vec<WaitingMessage>, StoreError> {
        Ok(self.0.lock().unwrap().get(receiver).cloned().unwrap_or_default())
    }

    async fn forget(&mut self, receiver: &UserId, up_to: i64) -> Result<(), StoreError> {
        if let Some(waiting) = self.0.lock().unwrap().get_mut(receiver) {
            waiting.retain(|waiting| waiting.number > up_to);
        }
        Ok(())
    }

    async fn tidy(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}
