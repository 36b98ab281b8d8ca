//! How one worker's thread wakes another for what it has put into their link: only if it sleeps, because each wake is a
//! system call.

use std::sync::atomic::{AtomicBool, Ordering, fence};

use mio::Waker;

/// One for each worker; the others and the hub ring it.
pub struct Doorbell {
    /// None where nobody sleeps: in tests of what stands above the workers.
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

    /// Wakes the thread whatever it does: for those who do not put things into links.
    pub fn wake(&self) {
        // It fails only when the thread has ended.
        let _ = self.waker.as_ref().map(Waker::wake);
    }

    /// Something was put into a link with this worker. Wakes its thread if it sleeps, or is about to.
    pub fn ring(&self) {
        // With the fence of `may_sleep`: either this sees that the thread sleeps, or the thread sees what was put in.
        fence(Ordering::SeqCst);
        if self.sleeps.load(Ordering::Relaxed) && self.sleeps.swap(false, Ordering::Relaxed) {
            self.wake();
        }
    }

    /// The thread means to sleep. False if `has_mail` says that it must not. Follow with [`Doorbell::awake`].
    pub fn may_sleep(&self, has_mail: impl FnOnce() -> bool) -> bool {
        self.sleeps.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if has_mail() {
            self.awake();
            return false;
        }
        true
    }

    pub fn awake(&self) {
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
