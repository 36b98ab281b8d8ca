//! Storage that can be slow, and can fail: who may enter, and the messages that wait for people who are not there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use patchbay::domain::{MailboxStore, MessageSender, Person, StoreError, WaitingMessage};
use patchbay::ids::{RoomName, UserId};
use patchbay::signaling::Admission;
use patchbay::storage::{AdmitError, Admitted};

/// Anyone may enter any room. Cheap to clone: all clones are one storage.
#[derive(Clone, Default)]
pub struct Storage(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    takes: Duration,
    fails: bool,
    kept: BTreeMap<UserId, Vec<WaitingMessage>>,
}

impl Storage {
    /// Sets how it answers from now on.
    pub fn set(&self, takes: Duration, fails: bool) {
        let mut state = self.0.lock().expect("one thread");
        (state.takes, state.fails) = (takes, fails);
    }

    async fn answer<T>(&self, question: impl FnOnce(&mut State) -> T) -> Result<T, StoreError> {
        let takes = self.0.lock().expect("one thread").takes;
        if !takes.is_zero() {
            tokio::time::sleep(takes).await;
        }
        let mut state = self.0.lock().expect("one thread");
        match state.fails {
            true => Err("the simulation wants it to fail".into()),
            false => Ok(question(&mut state)),
        }
    }
}

impl Admission for Storage {
    async fn admit(&self, user: &UserId, _room: &RoomName, _password: Option<&str>) -> Result<Admitted, AdmitError> {
        self.recognize(user).await.map(Admitted::freely)
    }

    async fn admit_stranger(&self, _: &UserId, _: &RoomName, _: Option<&str>) -> Result<Option<Admitted>, AdmitError> {
        Ok(None)
    }

    async fn recognize(&self, user: &UserId) -> Result<Person, AdmitError> {
        let person = |_: &mut State| Person::unnamed(user.clone());
        self.answer(person).await.map_err(AdmitError::Storage)
    }
}

impl MailboxStore for Storage {
    async fn keep(&mut self, receiver: &UserId, _: &MessageSender, body: &[u8]) -> Result<(), StoreError> {
        let keep = |state: &mut State| {
            let waiting = state.kept.entry(receiver.clone()).or_default();
            let number = waiting.last().map_or(1, |last| last.number + 1);
            let message = Bytes::copy_from_slice(body);
            waiting.push(WaitingMessage { number, message });
        };
        self.answer(keep).await
    }

    async fn kept(&mut self, receiver: &UserId) -> Result<Vec<WaitingMessage>, StoreError> {
        let find = |state: &mut State| state.kept.get(receiver).cloned().unwrap_or_default();
        self.answer(find).await
    }

    async fn forget(&mut self, receiver: &UserId, up_to: i64) -> Result<(), StoreError> {
        let forget = |state: &mut State| {
            if let Some(waiting) = state.kept.get_mut(receiver) {
                waiting.retain(|waiting| waiting.number > up_to);
            }
        };
        self.answer(forget).await
    }

    async fn tidy(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}
