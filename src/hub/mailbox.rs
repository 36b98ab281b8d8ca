//! The task that keeps messages for people who are not there, and delivers them when they come.
//!
//! The hub never waits for storage: it hands commands over to this task, in order, and gets the kept messages as another input.
//! The task does one command after the other, so messages are found in the order in which they were kept.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::{error, warn};

use super::input::Input;
use crate::domain::{MailboxCommand, MailboxStore, StoreError};
use crate::shares::{Denied, Place, Places, Pot, Share};

/// Commands that wait for storage, each with a message of at most 64 KiB: as many as come in while a slow disk does a few
/// hundred writes. When the queue is full, messages for people who are not there are lost, and the log says so.
const COMMANDS_MAX: usize = 256;

/// Commands among them that store messages. The rest of the queue is left to those that fetch and delete them.
const KEEPS_MAX: u64 = 192;

/// Time between two searches for messages that are too old. Such a message is not delivered, even before it is found.
const TIDY_INTERVAL: Duration = Duration::from_secs(3_600);

/// Time that the waiting commands get when the server stops.
const FINISH_MAX: Duration = Duration::from_secs(3);

/// The reason why a command is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotTaken {
    /// The queue is full, or the task has ended.
    TooSlow,
    /// The sender's address has used up its share of the queue.
    ShareUsedUp,
}

/// The hub's end of the queue of commands.
pub(super) struct MailboxHandle {
    commands: mpsc::Sender<Queued>,
    keeps: Places,
    task: JoinHandle<()>,
}

impl MailboxHandle {
    /// Starts the task. `share` is the part of the queue that one client address may have.
    pub fn start(store: impl MailboxStore, share: Share, hub: mpsc::WeakSender<Input>) -> Self {
        let (commands, queue) = mpsc::channel(COMMANDS_MAX);
        let task = tokio::spawn(run(store, queue, hub));
        let keeps = Places::new(Pot::new(KEEPS_MAX, share));
        Self { commands, keeps, task }
    }

    pub fn leave(&self, command: MailboxCommand) -> Result<(), NotTaken> {
        let place = match &command {
            MailboxCommand::Keep { sender, .. } => Some(self.keeps.take(sender.client, 1).map_err(NotTaken::of)?),
            MailboxCommand::Collect { .. } | MailboxCommand::Forget { .. } => None,
        };
        let queued = Queued { command, _place: place };
        self.commands.try_send(queued).map_err(|_| NotTaken::TooSlow)
    }

    /// Waits until the commands in the queue have been done.
    pub async fn finish(self) {
        drop(self.commands);
        if timeout(FINISH_MAX, self.task).await.is_err() {
            warn!("messages for people who are not there could not all be kept in time");
        }
    }
}

impl NotTaken {
    fn of(denied: Denied) -> NotTaken {
        match denied {
            Denied::UsedUp => NotTaken::TooSlow,
            Denied::ShareUsedUp => NotTaken::ShareUsedUp,
        }
    }
}

/// A command, and the place that it takes until it is done.
struct Queued {
    command: MailboxCommand,
    _place: Option<Place>,
}

/// Does commands. Ends when the hub has dropped its end of the queue and every command is done.
async fn run(mut store: impl MailboxStore, mut queue: mpsc::Receiver<Queued>, hub: mpsc::WeakSender<Input>) {
    let mut tidying = interval(TIDY_INTERVAL);
    tidying.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            command = queue.recv() => match command {
                Some(queued) => run_command(&mut store, queued.command, &hub).await,
                None => return,
            },
            _ = tidying.tick() => {
                let tidied = unharmed(store.tidy()).await;
                log_failure(tidied, "old messages could not be deleted; trying again later");
            }
        }
    }
}

async fn run_command(store: &mut impl MailboxStore, command: MailboxCommand, hub: &mpsc::WeakSender<Input>) {
    match command {
        MailboxCommand::Keep {
            receiver,
            sender,
            message,
        } => {
            let kept = unharmed(store.keep(&receiver, &sender, &message)).await;
            log_failure(kept, "a message for somebody who is not there is lost");
        }
        MailboxCommand::Forget { receiver, up_to } => {
            let forgotten = unharmed(store.forget(&receiver, up_to)).await;
            log_failure(
                forgotten,
                "messages were delivered and not deleted: they will be delivered again",
            );
        }
        MailboxCommand::Collect { receiver, ticket } => {
            let found = unharmed(store.kept(&receiver)).await;
            let messages = found.inspect_err(|cause| {
                metrics::counter!("patchbay_storage_errors_total").increment(1);
                error!(%cause, "kept messages could not be read; they stay for another time");
            });
            let collected = Input::Collected {
                receiver,
                ticket,
                messages: messages.unwrap_or_default(),
            };
            // A hub that has ended delivers nothing: the messages stay in the store.
            if let Some(hub) = hub.upgrade() {
                hub.send(collected).await.ok();
            }
        }
    }
}

/// Runs a request to storage. If storage panics, this one command is not done, and the task goes on with the others.
async fn unharmed<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let outcome = AssertUnwindSafe(work).catch_unwind().await;
    outcome.unwrap_or_else(|_| Err("storage panicked".into()))
}

fn log_failure(outcome: Result<(), StoreError>, what: &str) {
    if let Err(cause) = outcome {
        metrics::counter!("patchbay_storage_errors_total").increment(1);
        error!(%cause, "{what}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{MessageSender, WaitingMessage};
    use crate::ids::UserId;

    /// A store that panics at everything but the question for Ben's messages.
    struct Broken;

    impl MailboxStore for Broken {
        async fn keep(&mut self, _receiver: &UserId, _sender: &MessageSender, _body: &[u8]) -> Result<(), StoreError> {
            panic!("this is a test")
        }

        async fn kept(&mut self, receiver: &UserId) -> Result<Vec<WaitingMessage>, StoreError> {
            assert_eq!(receiver.as_str(), "ben", "this is a test");
            let (number, message) = (7, b"hello".as_slice().into());
            Ok(vec![WaitingMessage { number, message }])
        }

        async fn forget(&mut self, _receiver: &UserId, _up_to: i64) -> Result<(), StoreError> {
            panic!("this is a test")
        }

        async fn tidy(&mut self) -> Result<(), StoreError> {
            panic!("this is a test")
        }
    }

    #[tokio::test]
    async fn where_storage_panics_one_errand_is_not_done_and_the_next_ones_are() {
        let (hub, mut inputs) = mpsc::channel(8);
        let share = Share {
            percent: 100,
            at_least: 1,
        };
        let mailbox = MailboxHandle::start(Broken, share, hub.downgrade());
        let receiver = UserId::from("anna");
        let commands = [
            MailboxCommand::Forget { receiver, up_to: 1 },
            MailboxCommand::Collect {
                receiver: "anna".into(),
                ticket: 1,
            },
            MailboxCommand::Collect {
                receiver: "ben".into(),
                ticket: 2,
            },
        ];
        for command in commands {
            assert!(mailbox.leave(command).is_ok());
        }
        let mut collected = Vec::new();
        for _ in 0..2 {
            let Some(Input::Collected { ticket, messages, .. }) = inputs.recv().await else {
                panic!("the hub is sent what was found, also if that is nothing");
            };
            collected.push((ticket, messages.len()));
        }
        assert_eq!(collected, [(1, 0), (2, 1)]);
    }

    /// A store whose requests never end.
    struct Hanging;

    impl MailboxStore for Hanging {
        async fn keep(&mut self, _receiver: &UserId, _sender: &MessageSender, _body: &[u8]) -> Result<(), StoreError> {
            std::future::pending().await
        }

        async fn kept(&mut self, _receiver: &UserId) -> Result<Vec<WaitingMessage>, StoreError> {
            std::future::pending().await
        }

        async fn forget(&mut self, _receiver: &UserId, _up_to: i64) -> Result<(), StoreError> {
            std::future::pending().await
        }

        async fn tidy(&mut self) -> Result<(), StoreError> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn an_address_that_has_used_up_its_share_of_the_queue_is_not_taken_for_storage_that_is_too_slow() {
        let (hub, _inputs) = mpsc::channel(8);
        let share = Share {
            percent: 25,
            at_least: 1,
        };
        let mailbox = MailboxHandle::start(Hanging, share, hub.downgrade());
        let keep = |number: u8| MailboxCommand::Keep {
            receiver: "anna".into(),
            sender: MessageSender {
                user: "ben".into(),
                client: std::net::IpAddr::from([192, 0, 2, number]).into(),
            },
            message: b"hello".as_slice().into(),
        };
        let fill = |number| (0..=KEEPS_MAX).find_map(|_| mailbox.leave(keep(number)).err());
        assert_eq!(fill(1), Some(NotTaken::ShareUsedUp));
        assert!(mailbox.leave(keep(2)).is_ok(), "storage is not too slow for others");
        let collect = || MailboxCommand::Collect {
            receiver: "anna".into(),
            ticket: 1,
        };
        let full = (0..=COMMANDS_MAX).find_map(|_| mailbox.leave(collect()).err());
        assert_eq!(full, Some(NotTaken::TooSlow));
    }
}
