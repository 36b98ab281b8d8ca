//! One client: its socket, its connections, and what it expects of the server. It behaves as the pages do: it watches everybody
//! who arrives, restarts a connection over which nothing arrives any longer, and comes again when it is thrown out.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::extract::ws::Message;
use patchbay::media::peer::dtls::DtlsIdentity;
use patchbay::media::worker::SUSPENDED_MAX;

use super::account::Invitations;
use super::calls::Phase;
use super::connection::{Accepted, Arrived, Connection};
use super::disturbance::{soil, stream_of};
use super::family::{CALL, ToClient};
use super::judge::judge;
use super::plan::Role;
use super::socket::{Heard, Socket};
use super::stays::Tenure;
use super::streams::{Sink, Source};
use super::surroundings::{Facts, Surroundings};
use crate::netsim::network::{Datagram, Link};

/// The longest time for an answer: one input of the hub each millisecond, and the way there and back.
pub const ANSWERED_WITHIN: Duration = Duration::from_secs(3);
/// The same for entering, which asks storage, and storage is slow at times.
pub const ENTERED_WITHIN: Duration = Duration::from_secs(10);
/// The time for which connections that are over still receive and send.
const GHOST_LIVES: Duration = Duration::from_secs(2);
/// The time until the worker has heard that somebody leaves, if the server reads it at once.
const LEAVING_MS: u64 = 500;
/// The server says that somebody has left after it has given the worker the command.
pub const LEFT_MS: u64 = 150;
/// The time after which pages that were thrown out come again.
const COMES_AGAIN_AFTER: Duration = Duration::from_millis(900);

pub const ENTERING: &str = "entering";

pub struct Person {
    pub index: usize,
    pub name: String,
    pub role: Role,
    pub identity: DtlsIdentity,
    pub socket: Option<Socket>,
    /// Sockets that are being closed, or that a newer one of the same name is to replace.
    old_sockets: Vec<Socket>,
    /// Whether the client wants to be in the room, or in a call.
    pub wants_in: bool,
    pub publishes: bool,
    pub room: u8,
    /// The room that it has asked to enter while it is in another.
    pub moving_to: Option<u8>,
    /// The number of unanswered requests to enter.
    pub entries: usize,
    pub come_at: Option<Instant>,
    /// Whether it has entered the room; or is registered, where there are calls.
    pub is_in: bool,
    pub others: BTreeSet<String>,
    /// Whether a host has taken its pictures away, if it was sent anything about that since it entered.
    pub muted: Option<bool>,
    /// People whose media are said not to arrive.
    pub lost: BTreeSet<String>,
    pub connections: BTreeMap<String, Connection>,
    /// Offers that have not been answered: the connection of each, and when the answer is due.
    pub unanswered: BTreeMap<String, (u32, Option<Instant>)>,
    ghosts: Vec<Ghost>,
    /// The time before which nothing is read from the socket.
    pub reads_again_at: Instant,
    /// The time before which ICE is not restarted.
    pub restarts_from: Instant,
    /// The time since which nothing gets through.
    pub unheard_since: Option<Instant>,
    /// The time at which something got through again.
    pub heard_again_at: Option<Instant>,
    pub link: Link,
    pub link_is_clean: bool,
    pub phase: Phase,
    pub tenure: Tenure,
    /// The newest message that it has written, and that it has got.
    pub written: u32,
    pub read: u32,
    /// The newest message that it has got from each socket of the writer.
    pub read_of: BTreeMap<String, u32>,
    /// The number of its sockets on `/ws` so far.
    pub binds: u32,
    pub writes_at: Instant,
    /// The room of the newest call that has rung on `/ws`.
    pub rung: Option<String>,
    /// Invitations of the account by the present socket.
    pub invitations: Invitations,
}

/// A connection that is over for the client.
struct Ghost {
    of: String,
    connection: Connection,
    lives_until: Instant,
    /// The time from which on media that are sent must not come through.
    closed_ms: u64,
}

impl Person {
    pub fn new(now: Instant, index: usize, role: Role, identity: &DtlsIdentity) -> Person {
        let (publishes, room) = match role {
            Role::Group { publishes, room, .. } => (publishes, room),
            Role::Caller(_) | Role::Callee | Role::Writer(_) => (true, 0),
        };
        Person {
            index,
            name: (index + 1).to_string(),
            role,
            identity: identity.clone(),
            socket: None,
            old_sockets: Vec::new(),
            wants_in: false,
            publishes,
            room,
            moving_to: None,
            entries: 0,
            come_at: None,
            is_in: false,
            others: BTreeSet::new(),
            muted: None,
            lost: BTreeSet::new(),
            connections: BTreeMap::new(),
            unanswered: BTreeMap::new(),
            ghosts: Vec::new(),
            reads_again_at: now,
            restarts_from: now,
            unheard_since: None,
            heard_again_at: None,
            link: Link::default(),
            link_is_clean: true,
            phase: Phase::default(),
            tenure: Tenure::default(),
            written: 0,
            read: 0,
            read_of: BTreeMap::new(),
            binds: 0,
            writes_at: now,
            rung: None,
            invitations: Invitations::new(),
        }
    }

    pub fn send(&mut self, at: &Surroundings, text: &str) {
        if let Some(socket) = &mut self.socket {
            at.note(format!("{} > {}", self.name, &text[..text.len().min(60)]));
            socket.send(at.now, Message::text(text));
        }
    }

    /// Opens another connection, and makes its offer. It publishes, or gets what somebody publishes, or both.
    pub fn open(&mut self, at: &mut Surroundings, of: &str, publishes: bool, watched: Option<usize>) -> String {
        let number = at.number();
        let address = SocketAddr::from(([10, 1, self.index as u8, 1], 10_000 + number as u16));
        let is_clean = self.link_is_clean;
        let mut connection = Connection::new(at.now, address, number, &self.identity, is_clean);
        if publishes {
            let facts = Facts {
                room: self.room,
                is_clean,
                ended_ms: None,
            };
            at.streams.insert(number, facts);
            connection.source = Some(Source::new(at.now, self.index as u8, number));
        }
        connection.sink = watched.map(|publisher| Sink::of(publisher as u8));
        self.part(at, of, self.leaving_ms(at.now));
        self.connections.insert(of.to_owned(), connection);
        self.link_up(at, address);
        self.offer(at, of)
    }

    pub fn link_up_all(&self, at: &mut Surroundings) {
        let ghosts = self.ghosts.iter().map(|ghost| &ghost.connection);
        for connection in self.connections.values().chain(ghosts) {
            self.link_up(at, connection.address);
        }
    }

    /// All addresses of the client change.
    pub fn rebind(&mut self, at: &mut Surroundings) {
        for connection in self.connections.values_mut() {
            connection.address.set_port(connection.address.port() + 10_000);
        }
        self.link_up_all(at);
    }

    /// Lets nothing be read from the socket for so long.
    pub fn stall(&mut self, at: &Surroundings, time: Duration) {
        if let Some(socket) = &mut self.socket {
            socket.stall(at.now + time);
            self.reads_again_at = at.now + time;
            self.wait_longer(time);
        }
    }

    /// Closes the connection by which the page publishes.
    pub fn end_publishing(&mut self, at: &mut Surroundings) {
        let now = at.now;
        let own = self.name.clone();
        if let Some(connection) = self.connections.get_mut(&own) {
            connection.close(now, &mut |datagram| at.network.send(now, datagram));
        }
        self.connections.remove(&own);
        self.unanswered.remove(&own);
    }

    fn link_up(&self, at: &mut Surroundings, address: SocketAddr) {
        for &server in &at.servers {
            at.network.set_link(address, server, self.link);
            at.network.set_link(server, address, self.link);
        }
    }

    /// Makes the next offer of a connection.
    pub fn offer(&mut self, at: &Surroundings, of: &str) -> String {
        let connection = self.connections.get_mut(of).expect("a connection");
        // A call rings for as long as it may.
        let bound =
            (self.phase != Phase::Calling || of != CALL).then_some(at.now.max(self.reads_again_at) + ANSWERED_WITHIN);
        self.unanswered.insert(of.to_owned(), (connection.number, bound));
        connection.offer(at.now)
    }

    pub fn expect_to_enter(&mut self, at: &Surroundings) {
        self.unanswered.insert(
            ENTERING.to_owned(),
            (0, Some(at.now.max(self.reads_again_at) + ENTERED_WITHIN)),
        );
    }

    pub fn accept(&mut self, at: &mut Surroundings, of: &str, answer: &str) {
        let Some(connection) = self.connections.get_mut(of) else {
            return;
        };
        // Answers about replaced connections may come late.
        if !connection.is_answered_by(answer) {
            return;
        }
        self.unanswered.remove(of);
        match connection.accept(at.now, answer) {
            Accepted::Begins => {}
            Accepted::GoesOn => at.tally.restarts += 1,
            Accepted::BeginsAnew(silence) => {
                at.tally.new_associations += 1;
                let is_due = at.workers_failed || silence >= SUSPENDED_MAX;
                assert!(is_due, "{} has to make keys anew for {of} after {silence:?}", self.name);
            }
        }
        let server = connection.server();
        let worker = server.and_then(|server| at.worker_at(server));
        let worker = worker.unwrap_or_else(|| panic!("an answer with the address of nobody: {server:?}"));
        if at.disturbed[worker] {
            soil(at, connection);
        }
    }

    /// The time until the worker has heard of what the client wishes now. The server reads the client's messages in their order,
    /// asks storage in between whether they may enter, and reads nothing of a client that does not read what it is sent.
    pub fn leaving_ms(&self, now: Instant) -> u64 {
        let at_once = match self.unanswered.contains_key(ENTERING) {
            true => ENTERED_WITHIN.as_millis() as u64,
            false => LEAVING_MS,
        };
        at_once + self.reads_again_at.saturating_duration_since(now).as_millis() as u64
    }

    /// Ends a connection: by the client's wish, or because the server has said so.
    pub fn part(&mut self, at: &mut Surroundings, of: &str, slack_ms: u64) {
        self.unanswered.remove(of);
        if let Some(connection) = self.connections.remove(of) {
            let closed_ms = at.now_ms() + slack_ms;
            if let Some(facts) = stream_of(&connection).and_then(|stream| at.streams.get_mut(&stream)) {
                facts.ended_ms = Some(closed_ms);
            }
            self.ghosts.push(Ghost {
                of: of.to_owned(),
                connection,
                lives_until: at.now + GHOST_LIVES,
                closed_ms,
            });
        }
    }

    pub fn part_all(&mut self, at: &mut Surroundings, slack_ms: u64) {
        let all: Vec<String> = self.connections.keys().cloned().collect();
        for of in all {
            self.part(at, &of, slack_ms);
        }
        self.unanswered.clear();
        self.others.clear();
        self.lost.clear();
        self.is_in = false;
        self.moving_to = None;
        self.phase = Phase::Free;
    }

    /// Closes the socket behind all that was sent.
    pub fn hang_up(&mut self, at: &mut Surroundings) {
        if let Some(mut socket) = self.socket.take() {
            at.note(format!("{} closes the socket", self.name));
            socket.close(at.now);
            self.old_sockets.push(socket);
        }
        self.part_all(at, self.leaving_ms(at.now));
    }

    /// Nothing arrives from the client any more, and nothing reaches it. The server has to find that out.
    pub fn vanish(&mut self, at: &mut Surroundings) -> Option<Socket> {
        at.note(format!("{} vanishes", self.name));
        self.part_all(at, 0);
        self.ghosts.clear();
        self.come_at = None;
        self.socket.take()
    }

    /// Puts another socket in the place of the one that there may be.
    pub fn come(&mut self, at: &mut Surroundings, socket: Socket) {
        at.note(format!("{} comes", self.name));
        self.come_at = None;
        // Only a socket that is in the room, or has the name, is replaced. On /ws several may have one name.
        let is_known = self.is_in || self.unanswered.contains_key(ENTERING);
        let is_replaced = is_known && !matches!(self.role, Role::Writer(_));
        let slack_ms = if is_replaced {
            ENTERED_WITHIN.as_millis() as u64
        } else {
            self.leaving_ms(at.now)
        };
        self.part_all(at, slack_ms);
        self.entries = 0;
        let mut old = self.socket.replace(socket);
        if let Some(old) = old.as_mut().filter(|_| !is_replaced) {
            old.close(at.now);
        }
        self.old_sockets.extend(old);
        match self.role {
            Role::Group { family, .. } => self.enter(at, family),
            Role::Caller(_) | Role::Callee => self.register(at),
            Role::Writer(_) => self.bind(at),
        }
    }

    pub fn sockets(&mut self) -> impl Iterator<Item = &mut Socket> {
        self.socket.iter_mut().chain(&mut self.old_sockets)
    }

    pub fn handle_timeout(&mut self, at: &mut Surroundings) {
        self.hear(at);
        self.look_after_connections(at);
        self.replace_what_is_stuck(at);
        match self.role {
            Role::Group { .. } => self.look_after_stay(at),
            Role::Caller(_) | Role::Callee => self.look_after_call(at),
            Role::Writer(_) => self.look_after_messages(at),
        }
        for (of, (_, bound)) in &self.unanswered {
            let late = bound.is_some_and(|bound| at.now >= bound);
            assert!(!late, "{} is not answered about {of}", self.name);
        }
    }

    fn hear(&mut self, at: &mut Surroundings) {
        for socket in self.sockets() {
            socket.collect(at.now);
        }
        while let Some(heard) = self.socket.as_mut().and_then(|socket| socket.hear(at.now)) {
            match heard {
                Heard::Text(text) => self.hear_text(at, &text),
                Heard::Binary(bytes) => self.hear_message(at, &bytes),
                Heard::Closed(code) => self.closed(at, code),
            }
        }
        for socket in &mut self.old_sockets {
            while socket
                .hear(at.now)
                .is_some_and(|heard| !matches!(heard, Heard::Closed(_)))
            {}
        }
        self.old_sockets.retain(|socket| !socket.is_over());
    }

    fn hear_text(&mut self, at: &mut Surroundings, text: &str) {
        let message = match self.role {
            Role::Group { family, .. } => family.read(text),
            Role::Caller(_) | Role::Callee => super::family::read_call(text),
            Role::Writer(_) => panic!("a text on the message socket: {text}"),
        };
        if message != ToClient::Other {
            at.note(format!("{} < {}", self.name, &text[..text.len().min(60)]));
        }
        match self.role {
            Role::Group { .. } => self.hear_of_room(at, message),
            _ => self.hear_of_call(at, message),
        }
    }

    /// The server has closed the socket; there must be a reason for that.
    fn closed(&mut self, at: &mut Surroundings, code: Option<u16>) {
        at.note(format!("{} is closed: {code:?}", self.name));
        let is_due = match code {
            Some(1012) => at.workers_failed,
            Some(1011) => at.storage_failed,
            _ if self.may_be_turned_away(at, code) => true,
            _ => self.may_be_sent_away(at, code),
        };
        assert!(is_due, "the socket of {} is closed for no reason: {code:?}", self.name);
        self.socket = None;
        self.part_all(at, LEFT_MS);
        if self.wants_in {
            self.come_at = Some(at.now + COMES_AGAIN_AFTER);
        }
    }

    fn look_after_connections(&mut self, at: &mut Surroundings) {
        let (now, now_ms) = (at.now, at.now_ms());
        let mut restarts = Vec::new();
        for (of, connection) in &mut self.connections {
            connection.handle_timeout(now, now_ms, &mut |datagram| at.network.send(now, datagram));
            if now >= self.restarts_from && connection.wants_restart(now) && !self.unanswered.contains_key(of) {
                restarts.push(of.clone());
            }
        }
        for of in restarts {
            at.note(format!("{} restarts {of}", self.name));
            let sdp = self.offer(at, &of);
            let text = self.offer_text(&of, &sdp);
            self.send(at, &text);
        }
        self.ghosts.retain(|ghost| now < ghost.lives_until);
        for ghost in &mut self.ghosts {
            let connection = &mut ghost.connection;
            connection.handle_timeout(now, now_ms, &mut |datagram| at.network.send(now, datagram));
        }
    }

    fn offer_text(&self, of: &str, sdp: &str) -> String {
        match self.role {
            Role::Group { family, .. } => family.offer(of, sdp),
            _ => super::family::renew(sdp),
        }
    }

    /// Whether the datagram is for one of this client's addresses.
    pub fn receive(&mut self, at: &mut Surroundings, datagram: &Datagram) -> bool {
        let live = self.connections.iter_mut();
        let live = live.map(|(of, connection)| (of.as_str(), connection, None));
        let ghosts = self.ghosts.iter_mut();
        let ghosts = ghosts.map(|ghost| (ghost.of.as_str(), &mut ghost.connection, Some(ghost.closed_ms)));
        let mut all = live.chain(ghosts);
        let Some((of, connection, closed_ms)) = all.find(|(_, connection, _)| connection.address == datagram.to) else {
            return false;
        };
        let (now, network) = (at.now, &mut at.network);
        let refused = connection.refused_checks();
        match connection.receive(now, datagram, &mut |datagram| network.send(now, datagram)) {
            Arrived::Nothing => {}
            Arrived::Connected => at.note(format!("{} is connected for {of}", self.name)),
            Arrived::Media(stamp) => {
                let who = format!("{} for {of}", self.name);
                judge(at, &who, self.room, connection, stamp, closed_ms);
            }
        }
        at.tally.former_checks += connection.refused_checks() - refused;
        true
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        let sockets = self.socket.iter().chain(&self.old_sockets);
        let connections = self.connections.values();
        let ghosts = self.ghosts.iter().map(|ghost| &ghost.connection);
        let dues = connections.chain(ghosts).filter_map(Connection::poll_timeout);
        let writes_at = matches!(self.role, Role::Writer(_)).then_some(self.writes_at);
        dues.chain(writes_at.filter(|_| self.is_in))
            .chain(sockets.filter_map(Socket::poll_timeout))
            .chain(self.come_at)
            .min()
    }

    /// Sends the next check of each connection at that time.
    pub fn check_at(&mut self, time: Instant) {
        for connection in self.connections.values_mut() {
            connection.check_at(time);
        }
    }

    /// The server has not run for so long: its answers are due later.
    pub fn wait_longer(&mut self, time: Duration) {
        for (_, bound) in self.unanswered.values_mut() {
            *bound = bound.map(|bound| bound + time);
        }
        for ghost in &mut self.ghosts {
            ghost.closed_ms += time.as_millis() as u64;
        }
        self.phase.wait_longer(time);
        self.is_late_by(time);
    }
}
