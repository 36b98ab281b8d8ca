//! Push services, over real sockets: what they are sent, byte for byte, and what becomes of their answers.

#![allow(
    clippy::disallowed_methods,
    reason = "real services are asked, by the clocks of this machine"
)]

mod apns;
mod delivery;
mod jpush;
mod program;
pub mod provider;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use patchbay::clock::{MonotonicClock, WallClock};
use patchbay::config;
use patchbay::domain::{
    Abilities, Address, CallCommand, CallEnd, CallEvent, CallMedia, CallOver, Claim, Command, Newcomer, PushNotice,
    Registration, Side, WhenAbsent, WhenBusy,
};
use patchbay::hub::{self, Capacity, Events, HubHandle, Session};
use patchbay::ids::{CallId, PushService, PushTarget, UserId};
use patchbay::push::{self, Inviting, Push, PushError, Services};
use patchbay::shares::{ClientAddress, Share};
use patchbay::signaling::push::Invitation;
use patchbay::storage::{PushDevice, PushRecorded, Quota, Records};
use rcgen::KeyPair;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use self::provider::{Authority, Provider};
use crate::transcripts::{FakeMedia, Shelf};

const CALLER: &str = "12356";
const CALLEE: &str = "12345";
const ROOM: &str = "ch_4aY875LP4o";
const DEVICE: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const REGISTRATION: &str = "160a3797c8310e4f8bd";
const APP_KEY: &str = "7d431e42dfa6a6d693ac2d04";
const SECRET: &str = "5e987ac6d2e04d95a9d8f0d1";

/// What hands notices on, with the two services, and a hub and storage where devices are forgotten.
struct House {
    apns: Provider,
    jpush: Provider,
    key: KeyPair,
    notices: mpsc::Sender<PushNotice>,
    hub: HubHandle,
    records: Records,
    /// Seconds by which the services' clocks are ahead.
    ahead_s: Arc<AtomicU64>,
    delivering: JoinHandle<()>,
    _media: FakeMedia,
    _folder: TempDir,
}

/// No family says more about a call than every call has.
struct NobodySaysMore;

impl Inviting for NobodySaysMore {
    fn invite(&self, _: &PushNotice, _: &PushTarget) -> BoxFuture<'static, Invitation> {
        ready(Invitation::default()).boxed()
    }

    fn stop(&self, _: &PushNotice, _: &PushTarget) -> bool {
        true
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.delivering.abort();
    }
}

impl House {
    async fn open() -> House {
        House::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut config::Push)) -> House {
        House::try_with(change).await.unwrap()
    }

    async fn try_with(change: impl FnOnce(&mut config::Push)) -> Result<House, PushError> {
        let (folder, authority) = (TempDir::new().unwrap(), Authority::new());
        let apns = Provider::start(&authority, "h2").await;
        let jpush = Provider::start(&authority, "http/1.1").await;
        let key = KeyPair::generate().unwrap();
        let mut config = config::Push {
            certificates: file(&folder, "authority.pem"),
            allow_private_addresses: true,
            apns: config::Apns {
                key_file: file(&folder, "key.p8"),
                key_id: "ABC1234567".to_owned(),
                team_id: "DEF1234567".to_owned(),
                topic: "com.example.app".to_owned(),
                url: apns.url(),
                ..config::Apns::default()
            },
            jpush: config::JPush {
                app_key: APP_KEY.to_owned(),
                secret_file: file(&folder, "secret"),
                url: format!("{}/v3/push", jpush.url()),
            },
        };
        authority.write(&config.certificates);
        std::fs::write(&config.apns.key_file, key.serialize_pem()).unwrap();
        std::fs::write(&config.jpush.secret_file, format!("{SECRET}\n")).unwrap();
        change(&mut config);

        let storage = config::Storage {
            url: format!("sqlite:{}", file(&folder, "records.db").display()),
            ..config::Storage::default()
        };
        let records = Records::open(&storage).await.unwrap();
        let (media, engine, media_events) = FakeMedia::new();
        let (notices, queue) = push::queue();
        let capacity = Capacity::default();
        let (hub, running) = hub::start(
            engine,
            media_events,
            capacity,
            Shelf::default(),
            rand::make_rng(),
            notices.clone(),
        );
        tokio::spawn(running);
        let ahead_s = Arc::<AtomicU64>::default();
        let (clock, passed) = clocks(&ahead_s);
        let services = Services::open(&config, clock, passed)?;
        let inviting = Arc::new(NobodySaysMore);
        let forgetting = (records.clone(), hub.clone());
        let wall: WallClock = Arc::new(SystemTime::now);
        let push = Push::new(queue, services, inviting, forgetting, wall, Arc::new(Instant::now));
        Ok(House {
            apns,
            jpush,
            key,
            notices,
            hub,
            records,
            ahead_s,
            delivering: tokio::spawn(push.deliver()),
            _media: media,
            _folder: folder,
        })
    }

    fn pass(&self, seconds: u64) {
        self.ahead_s.fetch_add(seconds, Ordering::Relaxed);
    }

    /// A call rings at a device, for this long.
    async fn ring(&self, call: u64, service: PushService, rings_for: Duration) {
        let event = CallEvent::Incoming {
            call: CallId(call),
            from: Address::Name(CALLER.into()),
            to: Address::Name(CALLEE.into()),
            room: Some(ROOM.into()),
            message: None,
        };
        self.notify(service, Some(rings_for), event).await;
    }

    async fn stop_ringing(&self, call: u64, service: PushService) {
        let event = CallEvent::Over(CallOver {
            call: CallId(call),
            side: Side::Callee,
            other: Address::Name(CALLER.into()),
            room: Some(ROOM.into()),
            accepted: false,
            reason: CallEnd::GivenUp,
        });
        self.notify(service, None, event).await;
    }

    async fn notify(&self, service: PushService, rings_for: Option<Duration>, event: CallEvent) {
        let notice = PushNotice {
            to: Address::Name(CALLEE.into()),
            targets: vec![service.target(device_of(service))],
            until: rings_for.map(|time| (Instant::now() + time).into_std()),
            event,
        };
        self.notices.send(notice).await.unwrap();
    }

    /// Records the callee's device, and lets calls ring there at the hub, as the calls over HTTP do.
    async fn record_device(&self, service: PushService, seen_s: i64) {
        let device = PushDevice {
            service,
            device: "phone".to_owned(),
            token: device_of(service).to_owned(),
        };
        let quota = Quota {
            in_all: 100,
            share: Share {
                percent: 100,
                at_least: 1,
            },
        };
        let source = (ClientAddress::THIS_MACHINE, seen_s);
        let user = UserId::from(CALLEE);
        let recorded = self.records.set_push_device(&user, &device, source, 16, quota);
        assert_eq!(recorded.await.unwrap(), PushRecorded::Done);
        let (session, _events) = self.speak_for(CALLEE).await;
        let targets = vec![service.target(device_of(service))];
        session.request(Command::Push(targets)).await.unwrap();
    }

    /// Calls the callee by the hub. Returns the session that stands for the caller.
    async fn call(&self) -> (Session, Events) {
        let (session, events) = self.speak_for(CALLER).await;
        let invite = CallCommand::Invite {
            to: vec![Address::Name(CALLEE.into())],
            media: CallMedia::Elsewhere(ROOM.into()),
            when_busy: WhenBusy::Ring,
            when_absent: WhenAbsent::Ring,
        };
        session.request(Command::Call(invite)).await.unwrap();
        (session, events)
    }

    async fn speak_for(&self, user: &str) -> (Session, Events) {
        let (session, events) = self.hub.connect(ClientAddress::THIS_MACHINE).await.unwrap();
        let registration = Registration {
            address: Address::Name(user.into()),
            newcomer: Newcomer::Joins,
            claim: Claim::Proven,
            abilities: Abilities::NONE,
        };
        session.request(Command::Register(registration)).await.unwrap();
        (session, events)
    }

    async fn until_forgotten(&self) {
        let forgotten = async {
            while !self.devices().await.is_empty() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        let in_time = timeout(Duration::from_secs(10), forgotten).await;
        assert!(in_time.is_ok(), "the device is still recorded");
    }

    async fn devices(&self) -> Vec<PushDevice> {
        self.records.push_devices(&UserId::from(CALLEE)).await.unwrap()
    }
}

fn file(folder: &TempDir, name: &str) -> PathBuf {
    folder.path().join(name)
}

fn device_of(service: PushService) -> &'static str {
    match service {
        PushService::ApnsAlert | PushService::ApnsVoip => DEVICE,
        PushService::JPush => REGISTRATION,
    }
}

/// The clocks of this machine, ahead by what the test says.
fn clocks(ahead_s: &Arc<AtomicU64>) -> (WallClock, MonotonicClock) {
    let ahead = |ahead_s: &Arc<AtomicU64>| Duration::from_secs(ahead_s.load(Ordering::Relaxed));
    let (first, second) = (Arc::clone(ahead_s), Arc::clone(ahead_s));
    (
        Arc::new(move || SystemTime::now() + ahead(&first)),
        Arc::new(move || Instant::now() + ahead(&second)),
    )
}
