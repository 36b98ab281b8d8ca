//! One run: the hub, two workers, the network and the people, in virtual time, from one event to the next.
//!
//! The hub, its mailbox and the sockets' loops are the server's own tasks, on a runtime of one thread whose time stands still
//! until all of them wait. Everything else is done here between their turns, in a fixed order. The tasks are given one thing
//! each millisecond, so the same seed always leads to the same run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use patchbay::clock::WallClock;
use patchbay::config::Config;
use patchbay::http::websocket::{Line, converse};
use patchbay::hub::{self, Capacity, HubEnd, HubHandle};
use patchbay::media::engine::MediaEngine;
use patchbay::media::messages::MediaEvent;
use patchbay::media::peer::dtls::DtlsIdentity;
use patchbay::shares::ClientAddress;
use patchbay::signaling::{Conversation, Entrance};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::account::Account;
use super::asker::Asker;
use super::engines::{Engines, WORKERS};
use super::gauges::Gauges;
use super::hosts::Host;
use super::person::Person;
use super::plan::{Event, Fault, PEOPLE_MAX, Plan, Role};
use super::socket::Socket;
use super::stays::{self, Unseen};
use super::storage::Storage;
use super::surroundings::{Log, Surroundings};
use super::tally::Tally;
use crate::netsim::network::Link;
use crate::websocket::wire::wire;

/// The shortest step: the runtime's timers count milliseconds.
const STEP: Duration = Duration::from_millis(1);
/// The longest step: the hub's timers may have caused something.
const LOOKS_EVERY: Duration = Duration::from_millis(40);
/// The time from the end of all faults until clients check their connections: what they get after that counts.
const CHECKS_AFTER: Duration = Duration::from_millis(250);
const MEDIA_EVENTS: usize = 4_096;

pub struct Run {
    pub at: Surroundings,
    pub people: Vec<Person>,
    pub asker: Asker,
    pub account: Account,
    pub engines: Engines,
    gauges: Arc<Gauges>,
    pub hub: HubHandle,
    media_events: mpsc::Sender<MediaEvent>,
    config: Arc<Config>,
    storage: Storage,
    conversations: Vec<JoinHandle<()>>,
    /// Sockets of clients that have vanished: the server does not know it yet.
    pub dead_sockets: Vec<Socket>,
    /// People in rooms whom nobody sees.
    pub unseen: Vec<Unseen>,
    pub host: Option<Host>,
    storage_recovers_at: Option<Instant>,
    outages: Vec<(Instant, usize)>,
    pub audited_at: Instant,
    /// Errors that may exist for a moment only.
    pub wrong_since: BTreeMap<String, Instant>,
}

/// The certificates of a process that runs many times: two for the server, one for each client.
pub struct Identities(Vec<DtlsIdentity>);

impl Identities {
    pub fn generate() -> Identities {
        Identities(
            (0..2 + PEOPLE_MAX)
                .map(|_| DtlsIdentity::generate().expect("a certificate"))
                .collect(),
        )
    }
}

impl Run {
    pub fn new(seed: u64, plan: &Plan, identities: &Identities, gauges: Arc<Gauges>, log: Log) -> Run {
        let start = tokio::time::Instant::now().into_std();
        let engines = Engines::new([&identities.0[0], &identities.0[1]], plan.backlog);
        let media = MediaEngine::with(Box::new(engines.clone()), WORKERS, start).expect("workers start");
        let (media_events, events) = mpsc::channel(MEDIA_EVENTS);
        let config = Config::default();
        let capacity = Capacity {
            room_subscriptions_per_worker: plan.room_subscriptions_per_worker,
            ..Capacity::from(&config)
        };
        let storage = Storage::default();
        let random = StdRng::seed_from_u64(seed);
        let (pushes, _) = mpsc::channel(1);
        let (hub, running) = hub::start(media, events, capacity, storage.clone(), random, pushes);
        tokio::spawn(running);
        let servers = engines.lock().seats.iter().map(|seat| seat.address).collect();
        let person = |(index, role): (usize, &Role)| Person::new(start, index, *role, &identities.0[2 + index]);
        Run {
            at: Surroundings::new(start, seed, servers, log),
            people: plan.people.iter().enumerate().map(person).collect(),
            asker: Asker::default(),
            account: Account::default(),
            engines,
            gauges,
            hub,
            media_events,
            config: Arc::new(config),
            storage,
            conversations: Vec::new(),
            dead_sockets: Vec::new(),
            unseen: Vec::new(),
            host: None,
            storage_recovers_at: None,
            outages: Vec::new(),
            audited_at: start,
            wrong_since: BTreeMap::new(),
        }
    }

    /// Does everything in the plan, up to the time from which nothing fails any more.
    pub async fn follow(&mut self, plan: &Plan) {
        self.account_comes().await;
        for (due, event) in &plan.events {
            self.until(*due).await;
            self.happen(event).await;
        }
        self.until(plan.calm_at).await;
    }

    async fn until(&mut self, time: Duration) {
        while self.at.elapsed() < time {
            let due = self.at.start + time;
            self.step(due).await;
        }
    }

    /// Goes on until `done`. False if that is not so within the time.
    pub async fn go_on(&mut self, within: Duration, mut done: impl FnMut(&mut Run) -> bool) -> bool {
        let end = self.at.elapsed() + within;
        while !done(self) {
            if self.at.elapsed() >= end {
                return false;
            }
            let due = self.at.start + end;
            self.step(due).await;
        }
        true
    }

    async fn happen(&mut self, event: &Event) {
        match event {
            Event::Deed(person, deed) => self.act(*person, *deed),
            Event::Ask(ask) => self.ask(*ask).await,
            Event::Fault(fault) => self.fail(*fault).await,
            Event::Unseen(comes) => self.unseen(*comes).await,
            Event::Host(deed) => self.moderate(*deed).await,
        }
    }

    pub async fn fail(&mut self, fault: Fault) {
        self.at.note(format!("fault: {fault:?}"));
        match fault {
            Fault::WorkerDies(worker) => {
                let mut floor = self.engines.lock();
                let shares_rooms = floor.mirrors();
                let was_there = floor.kill(worker, &self.media_events);
                drop(floor);
                if was_there {
                    self.at.tally.workers_lost_with_mirrors += u64::from(shares_rooms);
                    self.disturb_worker(worker);
                }
            }
            Fault::WorkerHangs(worker, time) => {
                self.engines.lock().hang(worker, self.at.now + time);
                self.disturb_worker(worker);
            }
            Fault::BadLink(person, link) => self.relink(person, link),
            Fault::Outage(person, time) => {
                let link = Link {
                    loss: 1.0,
                    ..self.people[person].link
                };
                self.relink(person, link);
                self.outages.push((self.at.now + time, person));
            }
            Fault::Rebinding(person) => {
                self.people[person].disturb(&mut self.at);
                self.people[person].rebind(&mut self.at);
            }
            Fault::Storage { takes, fails, lasts } => {
                self.storage.set(takes, fails);
                self.at.storage_failed |= fails;
                self.storage_recovers_at = Some(self.at.now + lasts);
            }
            Fault::Standstill(time) => self.stand_still(time).await,
            Fault::WallClock(by_s) => {
                self.at.wall_s.fetch_add(by_s, Ordering::Relaxed);
                for person in &mut self.people {
                    person.doubt_end(&self.at);
                }
            }
        }
    }

    /// Stops the process, like a machine that stands still for a while: all timers are late.
    async fn stand_still(&mut self, time: Duration) {
        tokio::time::advance(time).await;
        self.at.now = tokio::time::Instant::now().into_std();
        for person in &mut self.people {
            person.wait_longer(time);
        }
        self.unseen_wait_longer(time);
        self.at.wait_longer(time);
    }

    /// Connections of this worker may lose something.
    fn disturb_worker(&mut self, worker: usize) {
        self.at.disturb(worker, true);
        let server = self.at.servers[worker];
        for person in &mut self.people {
            person.disturb_at(&mut self.at, server);
        }
    }

    fn relink(&mut self, person: usize, link: Link) {
        let now = self.at.now;
        let person = &mut self.people[person];
        let is_unheard = link.loss >= 1.0;
        if person.unheard_since.is_some() && !is_unheard {
            person.heard_again_at = Some(now);
        }
        person.unheard_since = is_unheard.then(|| person.unheard_since.unwrap_or(now));
        person.link = link;
        person.link_is_clean = false;
        person.disturb(&mut self.at);
        person.link_up_all(&mut self.at);
    }

    /// Ends all faults.
    pub fn calm_down(&mut self) {
        self.at.note("calm");
        self.at.is_calm = true;
        self.storage.set(Duration::ZERO, false);
        self.storage_recovers_at = None;
        self.outages.clear();
        for index in 0..self.people.len() {
            self.relink(index, Link::default());
            self.people[index].link_is_clean = true;
            self.people[index].check_at(self.at.now + CHECKS_AFTER);
        }
    }

    /// Lets the people act, gives the server what has arrived, and waits until something else is due.
    async fn step(&mut self, until: Instant) {
        self.at.now = tokio::time::Instant::now().into_std();
        assert!(self.hub.is_running(), "the hub has ended: {:?}", self.hub.ended().await);
        self.recover();
        let is_busy = self.arrive().await;
        self.compare();
        self.audit();
        self.deliver();
        let may_report = self.turn(!is_busy);
        for person in &mut self.people {
            person.handle_timeout(&mut self.at);
        }
        self.asker.hear(&mut self.at);
        self.account.hear(&mut self.at);
        self.look_after_unseen();
        self.look_after_host();
        let next = self.next(is_busy || !may_report).min(until.max(self.at.now + STEP));
        tokio::time::sleep_until(next.into()).await;
    }

    /// Lets the workers turn. Returns whether the hub may be given something else yet.
    fn turn(&mut self, may_report: bool) -> bool {
        let mut floor = self.engines.lock();
        let may_report = floor.turn(self.at.now, &mut self.at.network, &self.media_events, may_report);
        self.at.workers_failed = floor.has_lost;
        self.at.tally.datagrams_sent = floor.datagrams_sent;
        for worker in 0..WORKERS {
            self.at.disturb(worker, !floor.runs(worker));
        }
        may_report
    }

    fn next(&self, is_busy: bool) -> Instant {
        let now = self.at.now;
        if is_busy {
            return now + STEP;
        }
        let people = self.people.iter().filter_map(Person::poll_timeout);
        let others = [
            self.at.network.next_arrival(),
            self.engines.lock().poll_timeout(),
            self.storage_recovers_at,
        ];
        let next = people.chain(others.into_iter().flatten()).min();
        next.unwrap_or(now + LOOKS_EVERY).clamp(now + STEP, now + LOOKS_EVERY)
    }

    fn recover(&mut self) {
        let now = self.at.now;
        if self.storage_recovers_at.is_some_and(|due| due <= now) {
            self.storage_recovers_at = None;
            self.storage.set(Duration::ZERO, false);
        }
        let (over, going_on): (Vec<_>, Vec<_>) = self.outages.drain(..).partition(|(due, _)| *due <= now);
        self.outages = going_on;
        for (_, person) in over {
            self.relink(person, Link::default());
        }
    }

    /// One message, or one new client, reaches the server. Returns whether there was one.
    async fn arrive(&mut self) -> bool {
        let now = self.at.now;
        let comes = |person: &Person| person.come_at.is_some_and(|due| due <= now);
        if let Some(index) = self.people.iter().position(comes) {
            self.connect(index).await;
            return true;
        }
        let sockets = self.people.iter_mut().flat_map(Person::sockets);
        let arrival = |socket: &&mut Socket| socket.next_arrival().unwrap_or(now + STEP);
        if let Some(socket) = sockets.min_by_key(arrival)
            && socket.next_arrival().is_some_and(|due| due <= now)
        {
            socket.arrive(now);
            return true;
        }
        self.answer_as_account().await
    }

    async fn connect(&mut self, index: usize) {
        let (wire, client) = wire();
        let place = self.hub.connect(ClientAddress::THIS_MACHINE).await;
        let (session, events) = place.expect("the server is not full");
        let wall_s = Arc::clone(&self.at.wall_s);
        let clock: WallClock =
            Arc::new(move || SystemTime::UNIX_EPOCH + Duration::from_secs(wall_s.load(Ordering::Relaxed) as u64));
        let person = &mut self.people[index];
        let entrance = match person.role {
            Role::Group { .. } => Entrance::Groupcall,
            Role::Caller(_) | Role::Callee => Entrance::Call {
                room_ids: || "room 2".into(),
            },
            Role::Writer(_) => Entrance::Messages {
                room_ids: || "room 4".into(),
            },
        };
        let conversation = Conversation::new(entrance, session, self.storage.clone(), self.config.clone(), clock);
        let conversation = conversation.with_app(stays::app(), Arc::new(tokio::time::Instant::now));
        self.conversations
            .push(tokio::spawn(converse(Line::new(wire), events, conversation)));
        person.come(&mut self.at, Socket::new(client));
    }

    /// Delivers the datagrams that the network has brought.
    fn deliver(&mut self) {
        let mut floor = self.engines.lock();
        while let Some(datagram) = self.at.network.arrived(self.at.now) {
            if let Some(seat) = floor.seat_at(datagram.to) {
                // A socket is full only when its worker stands still, and losses do not count then.
                floor.deliver(seat, datagram);
                continue;
            }
            let to_whom = self.people.iter_mut();
            for person in to_whom {
                if person.receive(&mut self.at, &datagram) {
                    break;
                }
            }
        }
    }

    /// Compares the connections of the hub and the workers. They must be the same whenever nothing is on its way between them:
    /// otherwise one of them keeps something that nobody will ever close.
    fn compare(&mut self) {
        let mut floor = self.engines.lock();
        if floor.is_quiet() {
            self.at.tally.comparisons += 1;
            let of_workers: u64 = floor.stats().iter().map(|stats| stats.peers).sum();
            let of_hub = self.gauges.value("patchbay_peers");
            assert_eq!(
                of_hub, of_workers,
                "connections that the hub knows, and that the workers know"
            );
        }
    }

    /// Things that are left although everything should have ended.
    pub fn leftovers(&mut self) -> Vec<String> {
        self.dead_sockets.retain(|socket| !socket.is_over());
        let mut left = self.gauges.above_zero();
        left.retain(|gauge| !gauge.starts_with("patchbay_media_workers{"));
        for (worker, stats) in self.engines.lock().stats().iter().enumerate() {
            let all = [stats.peers, stats.tracks, stats.mirrored_tracks, stats.subscriptions];
            let more = [stats.rooms, stats.known_addresses, stats.cache_bytes, stats.suspended];
            if all.iter().chain(&more).any(|count| *count > 0) {
                left.push(format!("worker {worker} holds {stats:?}"));
            }
        }
        left
    }

    /// Ends the server, in order. Returns what was judged.
    pub async fn end(self) -> Tally {
        self.hub.shutdown().await;
        assert_eq!(self.hub.ended().await, HubEnd::Stopped);
        for conversation in self.conversations {
            conversation.await.expect("no conversation panics");
        }
        self.at.tally
    }
}
