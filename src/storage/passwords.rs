//! Passwords of rooms and accounts, and PINs of conferences: hashed with Argon2id (RFC 9106), checked off the async threads, few at once, in the order that
//! [`Checks`] decides.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use aws_lc_rs::hmac;
use tokio::sync::oneshot;

use super::checks::{Checks, PasswordAttempt, Ticket};
use super::errors::{AdmitError, RecordError};
use crate::clock::MonotonicClock;
use crate::text;

/// Right passwords that are remembered, 32 bytes each. A full room that reconnects then costs no hashing. When full,
/// the set is emptied: the next entry of each room is slow once.
const MAX_KNOWN: usize = 4_096;

/// A hash that no password is known for, made as all others are. The password of an account that does not exist is checked
/// against it, so that the answer takes as long as for one that does.
pub(super) const NOBODYS_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGtub3dzIGl0IQ$cGF0Y2hiYXkgYXNrcyBub2JvZHkgZm9yIHRoaXMgb24";

pub(super) struct Passwords {
    /// The checks in line. Locked for moments, never while a password is hashed.
    queue: Mutex<CheckQueue>,
    known: Mutex<HashSet<[u8; 32]>>,
    /// The key of the tags in `known`, random at each start: from memory, a password cannot be guessed faster than
    /// from the database.
    key: hmac::Key,
}

/// The checks in line, and the callers that wait for their turn.
struct CheckQueue {
    checks: Checks,
    callers: HashMap<Ticket, oneshot::Sender<CallerNews>>,
}

/// The news for a caller in line.
enum CallerNews {
    Begin,
    /// A pause of this length has begun.
    GiveUp(Duration),
}

impl CheckQueue {
    /// Calls everybody whose turn it is. Callers who no longer wait are passed over.
    fn call(&mut self) {
        while let Some(ticket) = self.checks.begin() {
            let caller = self.callers.remove(&ticket);
            if caller.is_none_or(|caller| caller.send(CallerNews::Begin).is_err()) {
                self.checks.withdraw(ticket);
            }
        }
    }
}

/// A place in line, or a check that runs. When it is dropped before its end, the next one gets its turn.
struct QueuedCheck {
    passwords: Arc<Passwords>,
    ticket: Ticket,
}

impl QueuedCheck {
    fn done(self, right: bool, clock: &MonotonicClock) {
        let mut queue = self.passwords.queue();
        for (ticket, pause) in queue.checks.done(self.ticket, right, clock()) {
            if let Some(caller) = queue.callers.remove(&ticket) {
                caller.send(CallerNews::GiveUp(pause)).ok();
            }
        }
        // The drop of `self` then withdraws nothing, and calls the next.
    }
}

impl Drop for QueuedCheck {
    fn drop(&mut self) {
        let mut queue = self.passwords.queue();
        queue.callers.remove(&self.ticket);
        queue.checks.withdraw(self.ticket);
        queue.call();
    }
}

impl Passwords {
    pub(super) fn new() -> Passwords {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let random: [u8; 32] = rand::random();
        // Each hash takes 19 MiB and all of a core (Argon2's defaults); more at once would take them from media.
        let at_once = (cores / 2).max(1);
        Passwords {
            queue: Mutex::new(CheckQueue {
                checks: Checks::new(at_once),
                callers: HashMap::new(),
            }),
            known: Mutex::default(),
            key: hmac::Key::new(hmac::HMAC_SHA256, &random),
        }
    }

    /// Whether `hash` is that of the password. Waits for all checks that come first.
    pub(super) async fn verify(
        self: &Arc<Self>,
        attempt: PasswordAttempt,
        hash: &str,
        password: &str,
        clock: &MonotonicClock,
    ) -> Result<(), AdmitError> {
        let hashes = [hash];
        let found = self.verify_any(attempt, &hashes, password, clock);
        found.await.map(drop)
    }

    /// The index of the hash that is the password's, of several that open the same lock: one check, and one guess. Waits for all checks
    /// that come first.
    pub(super) async fn verify_any(
        self: &Arc<Self>,
        attempt: PasswordAttempt,
        hashes: &[&str],
        password: &str,
        clock: &MonotonicClock,
    ) -> Result<usize, AdmitError> {
        if password.is_empty() || !text::PASSWORD.holds(password) {
            return Err(AdmitError::WrongPassword);
        }
        // The pause comes first: remembered passwords would answer guesses, too.
        if let Some(wait) = self.queue().checks.pause(&attempt, clock()) {
            return Err(AdmitError::TooManyGuesses { wait });
        }
        let tags: Vec<_> = hashes.iter().map(|hash| self.tag(hash, password)).collect();
        if let Some(index) = self.known_among(&tags) {
            self.queue().checks.welcome(&attempt);
            return Ok(index);
        }
        let place = self.turn(attempt).await?;
        // A check before this one may have had the same password.
        if let Some(index) = self.known_among(&tags) {
            place.done(true, clock);
            return Ok(index);
        }
        let hashes: Vec<String> = hashes.iter().map(|hash| (*hash).to_owned()).collect();
        let (password, clock) = (password.to_owned(), Arc::clone(clock));
        // The place moves into the hashing, which goes on even if the client has left.
        let checking = tokio::task::spawn_blocking(move || {
            let found = hashes.iter().position(|hash| is_hash_of(hash, &password));
            if let Some(tag) = found.and_then(|index| tags.get(index)) {
                place.passwords.remember(*tag);
            }
            place.done(found.is_some(), &clock);
            found
        });
        checking.await.ok().flatten().ok_or(AdmitError::WrongPassword)
    }

    fn known_among(&self, tags: &[[u8; 32]]) -> Option<usize> {
        let known = self.known();
        tags.iter().position(|tag| known.contains(tag))
    }

    /// Waits for the turn of a check.
    async fn turn(self: &Arc<Self>, attempt: PasswordAttempt) -> Result<QueuedCheck, AdmitError> {
        let (caller, turn) = oneshot::channel();
        let place = {
            let mut queue = self.queue();
            let ticket = queue.checks.request(attempt);
            queue.callers.insert(ticket, caller);
            queue.call();
            QueuedCheck {
                passwords: Arc::clone(self),
                ticket,
            }
        };
        match turn.await {
            Ok(CallerNews::Begin) => Ok(place),
            Ok(CallerNews::GiveUp(wait)) => Err(AdmitError::TooManyGuesses { wait }),
            Err(_) => Err(AdmitError::Storage("the line for password checks was lost".into())),
        }
    }

    fn remember(&self, tag: [u8; 32]) {
        let mut known = self.known();
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        known.insert(tag);
    }

    /// The tag of a password together with its stored hash: a changed password gives another tag, so old tags do no
    /// harm.
    fn tag(&self, hash: &str, password: &str) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(hash.as_bytes());
        context.update(&[0]);
        context.update(password.as_bytes());
        let mut tag = [0; 32];
        tag.copy_from_slice(context.sign().as_ref());
        tag
    }

    fn queue(&self) -> MutexGuard<'_, CheckQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self) -> MutexGuard<'_, HashSet<[u8; 32]>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Slow on purpose.
fn is_hash_of(hash: &str, password: &str) -> bool {
    Argon2::default().verify_password(password.as_bytes(), hash).is_ok()
}

/// Whether `hash` is that of the password, for whoever manages records: nobody's guesses are counted. Runs on a thread that serves
/// nobody else.
pub(super) async fn matches(hash: String, password: String) -> bool {
    let checking = tokio::task::spawn_blocking(move || is_hash_of(&hash, &password));
    checking.await.unwrap_or_default()
}

/// Hashes the password, if there is one, into a PHC string with a fresh salt. Slow on purpose, so it runs on a thread
/// that serves nobody else.
pub(super) async fn hash(password: Option<&str>) -> Result<Option<String>, RecordError> {
    let Some(password) = password else {
        return Ok(None);
    };
    if password.is_empty() || !text::PASSWORD.holds(password) {
        let max = text::PASSWORD.characters;
        return Err(RecordError::BadPassword { max });
    }
    let password = password.to_owned();
    let hashing = tokio::task::spawn_blocking(move || {
        let hash = Argon2::default().hash_password(password.as_bytes());
        hash.map(|hash| hash.to_string()).map_err(|e| e.to_string())
    });
    let hash = hashing.await.unwrap_or_else(|panic| Err(panic.to_string()));
    hash.map(Some).map_err(RecordError::Hash)
}

#[cfg(test)]
mod tests {
    use argon2::password_hash::phc::PasswordHash;

    use super::*;

    #[tokio::test]
    async fn nobodys_hash_costs_what_all_others_cost() {
        let made = hash(Some("secret")).await.unwrap().unwrap();
        let (made, nobodys) = (
            PasswordHash::new(&made).unwrap(),
            PasswordHash::new(NOBODYS_HASH).unwrap(),
        );
        assert_eq!(nobodys.algorithm, made.algorithm);
        assert_eq!(nobodys.version, made.version);
        assert_eq!(nobodys.params, made.params);
        let lengths = |hash: &PasswordHash| (hash.salt.as_ref().map(|s| s.len()), hash.hash.as_ref().map(|h| h.len()));
        assert_eq!(lengths(&nobodys), lengths(&made));
        assert!(Argon2::default().verify_password(b"secret", NOBODYS_HASH).is_err());
    }
}
