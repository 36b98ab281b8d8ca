//! The doorbell of a worker's thread: others wake the thread with it when they have put something into a link, but only
//! if it sleeps, because each wake is a system call.

use std::sync::atomic::{AtomicBool, Ordering, fence};

use mio::Waker;

/// The doorbell of one worker; the other workers and the hub ring it.
pub struct Doorbell {
    /// The waker of the thread. `None` in tests without such a thread.
    waker: Option<Waker>,
    sleeps: AtomicBool,
}

impl Doorbell {
    pub fn new(waker: Option<Waker>) -> Doorbell {
        Doorbell {
            waker,
            sleeps: AtomicBool::new(false),
        }
    }

    /// Wakes the thread, whether or not it sleeps: for callers that use no links.
    pub(crate) fn wake(&self) {
        // This fails only when the thread has ended.
        let _ = self.waker.as_ref().map(Waker::wake);
    }

    /// Wakes the thread if it sleeps, or is about to. Call after something was put into a link with it.
    pub(crate) fn ring(&self) {
        // The fences here and in `may_sleep` belong together: either this sees that the thread sleeps, or the thread
        // sees what was put in.
        fence(Ordering::SeqCst);
        if self.sleeps.load(Ordering::Relaxed) && self.sleeps.swap(false, Ordering::Relaxed) {
            self.wake();
        }
    }

    /// Announces that the thread is about to sleep. False if `has_mail` finds something to do. Call [`Doorbell::awake`]
    /// afterwards.
    pub(crate) fn may_sleep(&self, has_mail: impl FnOnce() -> bool) -> bool {
        self.sleeps.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if has_mail() {
            self.awake();
            return false;
        }
        true
    }

    pub(crate) fn awake(&self) {
        self.sleeps.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mio::{Events, Poll, Token};

    use super::*;

    fn wakes(poll: &mut Poll) -> usize {
        let mut events = Events::with_capacity(8);
        poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
        events.iter().count()
    }

    #[test]
    fn only_one_that_sleeps_is_woken_and_only_once() {
        let mut poll = Poll::new().unwrap();
        let bell = Doorbell::new(Some(Waker::new(poll.registry(), Token(1)).unwrap()));
        bell.ring();
        assert_eq!(wakes(&mut poll), 0, "awake");
        assert!(bell.may_sleep(|| false));
        bell.ring();
        assert!(!bell.sleeps.load(Ordering::Relaxed));
        assert_eq!(wakes(&mut poll), 1);
        bell.ring();
        assert_eq!(wakes(&mut poll), 0, "woken already");
        assert!(!bell.may_sleep(|| true), "there is something to do");
        bell.ring();
        assert_eq!(wakes(&mut poll), 0);
    }
}
