//! Conversations that go on over another socket: which one a token means, and how it gets the socket.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::times::RESUMED_WITHIN;
use crate::signaling::Close;

/// Conversations that have ended, and whose end is still known. More would be a way to fill the memory.
const ENDED_MAX: usize = 4_096;

/// The conversations that may go on over another socket, by their tokens: two at most for each. Those that have ended are known for
/// some time, so that whoever comes again is sent why. Cheap to clone.
pub struct Resumptions<S>(Arc<Mutex<Known<S>>>);

struct Known<S> {
    conversations: HashMap<Token, (Path, Arc<Slot<S>>)>,
    ended: HashMap<Token, Close>,
    /// When each end is forgotten, the earliest first.
    endings: VecDeque<(Instant, Token)>,
}

/// The path at which a conversation began. It goes on there only.
pub type Path = &'static str;

/// A token that nobody can guess: 128 random bits. Whoever has it takes the conversation over, so it is never logged, and each
/// socket has another one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Token(u128);

/// A socket for a conversation.
pub struct Arrival<S> {
    pub(super) socket: S,
    /// Number of frames that the client has received from this conversation.
    pub(super) received: u64,
    /// Dropped when the socket is not served any more.
    pub(super) served: Option<oneshot::Sender<Infallible>>,
}

/// What a token means.
pub enum Found<S> {
    Conversation(Waiting<S>),
    /// It has ended, for this reason.
    Ended(Close),
}

/// A conversation that takes another socket.
pub struct Waiting<S>(Arc<Slot<S>>);

/// The place of one socket. A newer one takes the place of one that waits there: its client has given that up.
struct Slot<S> {
    arrival: Mutex<Option<Arrival<S>>>,
    changed: Notify,
}

/// A conversation's entry, which ends with it.
pub(super) struct Registered<S> {
    slot: Arc<Slot<S>>,
    path: Path,
    token: Token,
    /// The token of the socket before this one. The client may not know the newer one yet.
    former: Option<Token>,
    all: Resumptions<S>,
}

impl<S> Resumptions<S> {
    /// Makes an entry for one more conversation.
    pub(super) fn register(&self, path: Path) -> Registered<S> {
        let slot = Arc::new(Slot {
            arrival: Mutex::new(None),
            changed: Notify::new(),
        });
        let token = self.add(path, &slot);
        let (all, former) = (self.clone(), None);
        Registered {
            slot,
            path,
            token,
            former,
            all,
        }
    }

    /// What the token of a client that comes to `path` means. `None` where it means nothing, or nothing there.
    pub fn find(&self, token: &str, path: Path) -> Option<Found<S>> {
        let token = Token(u128::from_str_radix(token, 16).ok()?);
        let known = self.lock();
        if let Some(close) = known.ended.get(&token) {
            return Some(Found::Ended(*close));
        }
        let (began_at, slot) = known.conversations.get(&token)?;
        (*began_at == path).then(|| Found::Conversation(Waiting(Arc::clone(slot))))
    }

    fn add(&self, path: Path, slot: &Arc<Slot<S>>) -> Token {
        let token = Token(rand::random());
        self.lock().conversations.insert(token, (path, Arc::clone(slot)));
        token
    }

    fn lock(&self) -> MutexGuard<'_, Known<S>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> Known<S> {
    fn end(&mut self, token: Token, close: Close, now: Instant) {
        while let Some((until, oldest)) = self.endings.front()
            && (*until <= now || self.endings.len() >= ENDED_MAX)
        {
            self.ended.remove(oldest);
            self.endings.pop_front();
        }
        self.ended.insert(token, close);
        self.endings.push_back((now + RESUMED_WITHIN, token));
    }
}

impl<S> Waiting<S> {
    /// Hands the conversation a socket, and returns when that is not served any more. A socket that it does not take, because it
    /// ends or a newer one comes, is dropped.
    pub async fn hand_over(self, socket: S, received: u64) {
        let (served, ends) = oneshot::channel();
        let arrival = Arrival {
            socket,
            received,
            served: Some(served),
        };
        *self.0.lock() = Some(arrival);
        self.0.changed.notify_one();
        // Where the conversation has ended meanwhile, nobody else holds the slot.
        drop(self);
        ends.await.ok();
    }
}

impl<S> Slot<S> {
    fn lock(&self) -> MutexGuard<'_, Option<Arrival<S>>> {
        self.arrival.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> Registered<S> {
    pub fn token(&self) -> Token {
        self.token
    }

    /// Returns when a socket has come, which [`Self::take`] takes. Cancel-safe.
    pub async fn arrived(&self) {
        while self.slot.lock().is_none() {
            self.slot.changed.notified().await;
        }
    }

    pub fn take(&self) -> Option<Arrival<S>> {
        self.slot.lock().take()
    }

    /// Makes a token for the next socket. The present one is good until the client has shown that it has the new one.
    pub fn renew(&mut self) {
        let token = self.all.add(self.path, &self.slot);
        self.forget_former();
        self.former = Some(std::mem::replace(&mut self.token, token));
    }

    /// The client has the newest token.
    pub fn forget_former(&mut self) {
        if let Some(former) = self.former.take() {
            self.all.lock().conversations.remove(&former);
        }
    }

    /// The conversation ends. Whoever comes for it within some time is sent why.
    pub fn end(self, close: Close) {
        let mut known = self.all.lock();
        for token in [Some(self.token), self.former].into_iter().flatten() {
            known.end(token, close, Instant::now());
        }
    }
}

impl<S> Clone for Resumptions<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S> Default for Resumptions<S> {
    fn default() -> Self {
        let known = Known {
            conversations: HashMap::new(),
            ended: HashMap::new(),
            endings: VecDeque::new(),
        };
        Self(Arc::new(Mutex::new(known)))
    }
}

impl fmt::Display for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", self.0)
    }
}

impl<S> Drop for Registered<S> {
    fn drop(&mut self) {
        let mut known = self.all.lock();
        known.conversations.remove(&self.token);
        if let Some(former) = self.former {
            known.conversations.remove(&former);
        }
    }
}
