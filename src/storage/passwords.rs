//! Room passwords: hashed with Argon2id (RFC 9106), checked off the async threads, few at once.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use aws_lc_rs::hmac;
use tokio::sync::Semaphore;

use super::RecordError;
use crate::text;

/// Passwords found right that are remembered, 32 bytes each. A full room that reconnects then costs no hashing.
/// When full it is emptied: the next entry of each room is slow once.
const MAX_KNOWN: usize = 4_096;

pub(super) struct Passwords {
    /// Each hash takes 19 MiB and all of a core (Argon2's defaults); more at once would take them from media.
    slots: Arc<Semaphore>,
    known: Mutex<HashSet<[u8; 32]>>,
    /// Keys `known` are made with, random each start: memory holds nothing from which a password could be guessed
    /// faster than from the database.
    key: hmac::Key,
}

impl Passwords {
    pub(super) fn new() -> Passwords {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let random: [u8; 32] = rand::random();
        Passwords {
            slots: Arc::new(Semaphore::new((cores / 2).max(1))),
            known: Mutex::default(),
            key: hmac::Key::new(hmac::HMAC_SHA256, &random),
        }
    }

    pub(super) async fn verify(&self, hash: &str, password: &str) -> bool {
        if password.is_empty() || !text::PASSWORD.holds(password) {
            return false;
        }
        let tag = self.tag(hash, password);
        if self.known().contains(&tag) {
            return true;
        }
        let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await else {
            return false;
        };
        let (hash, password) = (hash.to_owned(), password.to_owned());
        // The slot goes with the hashing, which goes on if the client that asked for it is gone.
        let verifying = tokio::task::spawn_blocking(move || {
            let right = Argon2::default().verify_password(password.as_bytes(), hash.as_str());
            drop(slot);
            right
        });
        let right = matches!(verifying.await, Ok(Ok(())));
        if right {
            let mut known = self.known();
            if known.len() >= MAX_KNOWN {
                known.clear();
            }
            known.insert(tag);
        }
        right
    }

    /// Of the stored hash as well: a changed password is another tag, so nothing needs to be forgotten in time.
    fn tag(&self, hash: &str, password: &str) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(hash.as_bytes());
        context.update(&[0]);
        context.update(password.as_bytes());
        let mut tag = [0; 32];
        tag.copy_from_slice(context.sign().as_ref());
        tag
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashSet<[u8; 32]>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A PHC string with a fresh salt. Slow on purpose.
pub(super) fn hash(password: &str) -> Result<String, RecordError> {
    if password.is_empty() || !text::PASSWORD.holds(password) {
        let max = text::PASSWORD.characters;
        return Err(RecordError::BadPassword { max });
    }
    Argon2::default()
        .hash_password(password.as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|e| RecordError::Hash(e.to_string()))
}
