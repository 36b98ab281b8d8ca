//! The hub with its media workers, as the server has them, without the server around them: who has an offer asks the hub itself.

use std::net::Ipv4Addr;
use std::time::Duration;

use patchbay::domain::{
    Claim, Command, Event, MailboxStore, MessageSender, Offer, Person, RoomKind, SlotStream, Stay, StoreError, Subject,
    WaitingMessage,
};
use patchbay::hub::{self, Capacity, Events, HubHandle, Session};
use patchbay::ids::UserId;
use patchbay::media::description::Description;
use patchbay::media::engine::MediaEngine;
use patchbay::media::launch::MediaSettings;
use patchbay::media::threads::Threads;
use patchbay::pinning::Pinning;
use patchbay::shares::ClientAddress;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

const PATIENCE: Duration = Duration::from_secs(20);

pub struct House {
    pub hub: HubHandle,
    pub threads: Threads,
}

/// Somebody in the room.
pub struct Member {
    pub session: Session,
    pub events: Events,
}

/// The answer to an offer.
pub struct Answer {
    pub subject: Subject,
    pub sdp: String,
    pub slots: Vec<SlotStream>,
}

impl House {
    pub fn open() -> House {
        let settings = MediaSettings {
            bind_addresses: vec![Ipv4Addr::LOCALHOST.into()],
            first_port: 0,
            workers: 2,
            pinning: Pinning::default(),
            announced_addresses: vec![Ipv4Addr::LOCALHOST.into()],
            public_addresses: Vec::new(),
            tcp_listeners: Vec::new(),
            max_publish_bps: 4_000_000,
        };
        let (events, media_events) = mpsc::channel(64);
        let (media, threads) = MediaEngine::start(&settings, events, Instant::now().into_std()).unwrap();
        let capacity = Capacity::default();
        let (pushes, _) = mpsc::channel(1);
        let (hub, running) = hub::start(media, media_events, capacity, NoMailbox, rand::make_rng(), pushes);
        tokio::spawn(running);
        House { hub, threads }
    }

    pub async fn enter(&self, name: &str) -> Member {
        let (session, events) = self.hub.connect(ClientAddress::THIS_MACHINE).await.unwrap();
        let join = Command::Join {
            turn: session.take_turn(),
            kind: RoomKind::Group,
            room: "r".into(),
            person: Person::unnamed(name.into()),
            claim: Claim::Unproven,
            stay: Stay::default(),
            connects: false,
        };
        session.request(join).await.unwrap();
        Member { session, events }
    }
}

impl Member {
    /// The answer to an offer, once it is there.
    pub async fn offer(&mut self, command: impl FnOnce(Offer) -> Command, sdp: String) -> Answer {
        let offer = Offer {
            description: Description::read(&sdp),
            ..Offer::default()
        };
        self.session.request(command(offer)).await.unwrap();
        self.next("an answer", |event| match event {
            Event::Answered {
                subject, sdp, slots, ..
            } => Some(Answer { subject, sdp, slots }),
            _ => None,
        })
        .await
    }

    /// The next event that is wanted, whatever comes before.
    pub async fn next<T>(&mut self, what: &str, wanted: impl Fn(Event) -> Option<T>) -> T {
        let found = async {
            loop {
                let event = self.events.next().await.expect("the session is there");
                if let Some(found) = wanted(event) {
                    return found;
                }
            }
        };
        let found = timeout(PATIENCE, found).await;
        found.unwrap_or_else(|_| panic!("{what} does not come"))
    }
}

/// Nobody here waits for messages.
struct NoMailbox;

impl MailboxStore for NoMailbox {
    async fn keep(&mut self, _: &UserId, _: &MessageSender, _: &[u8]) -> Result<(), StoreError> {
        Ok(())
    }

    async fn kept(&mut self, _: &UserId) -> Result<Vec<WaitingMessage>, StoreError> {
        Ok(Vec::new())
    }

    async fn forget(&mut self, _: &UserId, _: i64) -> Result<(), StoreError> {
        Ok(())
    }

    async fn tidy(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}
