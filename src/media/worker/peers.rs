//! Opening, changing and closing connections.

use std::time::{Duration, Instant};

use super::rooms::Asking;
use super::{MAX_PEERS, Worker};
use crate::ids::RoomId;
use crate::media::bandwidth::{ReceiverEstimate, TransportFeedback};
use crate::media::codec::Kind;
use crate::media::demux::Occupant;
use crate::media::keys::PeerKey;
use crate::media::messages::{CloseReason, MediaEvent};
use crate::media::peer::dtls::{Dtls, Failure, Progress};
use crate::media::peer::ice::Path;
use crate::media::peer::srtp::contexts;
use crate::media::peer::{Peer, Publisher, SentTo};
use crate::media::session::{MediaSection, PeerSpec};
use crate::media::speaker::SpeechReports;
use crate::media::subscription::Subscription;
use crate::media::track::Track;

/// Where a publisher without transport-wide feedback is told to begin.
const START_BPS: u64 = 1_000_000;
/// Below this a picture is no use; the estimate goes no lower.
const MIN_BPS: u64 = 100_000;

impl Worker {
    pub(super) fn open(&mut self, now: Instant, spec: PeerSpec) {
        match self.peer_keys.get(&spec.peer) {
            Some(&key) => self.change(now, key, spec),
            None if self.peers.len() >= MAX_PEERS => {
                self.events.push_back(MediaEvent::Closed {
                    peer: spec.peer,
                    reason: CloseReason::Full,
                });
            }
            None => {
                let key = self
                    .peers
                    .insert(Peer::new(now, &spec, self.config.identity_for(&spec)));
                self.peer_keys.insert(spec.peer, key);
                self.demux.learn_ufrag(&spec.transport.local_ufrag, key);
                self.enter_room(now, spec.room, spec.home.0);
                self.set_sections(now, key, spec.sections);
            }
        }
    }

    /// A new offer on a live connection: credentials, direction, codecs, or sections may differ.
    fn change(&mut self, now: Instant, key: PeerKey, spec: PeerSpec) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        let transport = &spec.transport;
        if peer.ice.local_ufrag != transport.local_ufrag {
            self.demux.forget_ufrag(&peer.ice.local_ufrag, key);
            self.demux.learn_ufrag(&transport.local_ufrag, key);
            peer.ice
                .restart(&transport.local_ufrag, &transport.local_pwd, &transport.remote_ufrag);
            // New credentials are a new attempt to connect. Where it is the first that succeeds, it may take as long as any.
            peer.opened = now;
        }
        if !peer.dtls.expects(&transport.remote_fingerprints) {
            // Another certificate is another DTLS association (RFC 8842 §4), with keys of its own.
            let identity = self.config.identity_for(&spec).clone();
            peer.dtls = Dtls::new(identity, transport.dtls_role, transport.remote_fingerprints.clone());
            peer.handshake = SentTo::default();
            peer.secure = None;
            peer.opened = now;
            if peer.suspended.take().is_some() {
                self.stats.suspended -= 1;
                self.events.push_back(MediaEvent::Resumed { peer: peer.id });
            }
            // The client counts roll-overs from nothing again (RFC 3711 §3.3.1): so must the copies that it gets.
            for subscription in peer.subscriptions.clone() {
                self.remove_subscription(subscription);
            }
            self.forget_undecodable(key);
        }
        self.peers[key].source = spec.source;
        self.renew_suspension(now, key);
        self.set_sections(now, key, spec.sections);
    }

    /// Makes the tracks and subscriptions of a connection those of `sections`; what stays keeps its state.
    fn set_sections(&mut self, now: Instant, key: PeerKey, sections: Vec<MediaSection>) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        let (room, participant, source) = (peer.room, peer.participant, peer.source);
        let old_tracks = peer.tracks.clone();
        let old_subscriptions = peer.subscriptions.clone();
        if peer.publisher.is_none() && sections.iter().any(|section| section.receive) {
            peer.publisher = Some(Box::new(publisher(now, self.epoch, self.config.max_publish_bps)));
        }
        for gone in old_tracks {
            let mid = &self.tracks[gone].mid;
            if !sections.iter().any(|section| section.receive && section.mid == *mid) {
                self.remove_track(now, gone);
            }
        }
        for gone in old_subscriptions {
            let ssrc = self.subscriptions[gone].ssrc;
            match sections.iter().find(|section| section.local_ssrc == ssrc) {
                None => self.remove_subscription(gone),
                // On hold. Its sequence numbers must go on from here, not begin again: under the same keys and SSRC
                // that would be the same SRTP indices for other packets.
                Some(section) if source.is_none() || !section.send => {
                    self.subscriptions[gone].paused = true;
                    self.attach(now, room, gone);
                }
                Some(_) => self.subscriptions[gone].paused = false,
            }
        }
        let mut places = Places::default();
        for section in &sections {
            if section.receive {
                let nth = places.next_up(section.kind);
                self.set_track(now, key, room, participant, nth, section);
            }
            if let (true, Some(source)) = (section.send, source) {
                let nth = places.next_down(section.kind);
                self.set_subscription(now, key, room, source, nth, section);
            }
        }
        if let Some(peer) = self.peers.get_mut(key) {
            peer.sections = sections;
        }
    }

    fn set_track(
        &mut self,
        now: Instant,
        key: PeerKey,
        room: RoomId,
        participant: crate::ids::ParticipantId,
        nth: usize,
        section: &MediaSection,
    ) {
        let known = self.peers[key]
            .tracks
            .iter()
            .copied()
            .find(|&track| self.tracks[track].mid == section.mid);
        let track = if let Some(known) = known {
            let track = &mut self.tracks[known];
            track.renegotiate(section);
            let before = std::mem::replace(&mut track.nth, nth);
            if before != nth {
                // Who had it in its old place gets what now stands there.
                self.attach_all(now, room, participant, section.kind, before);
            }
            known
        } else {
            let id = self.fresh_track();
            let track = Track::new(id, key, room, participant, nth, section);
            let track = self.tracks.insert(track);
            self.peers[key].tracks.push(track);
            self.rooms.entry(room).or_default().tracks.push(track);
            track
        };
        self.tell_mirrors(now, track);
        self.attach_all(now, room, participant, section.kind, nth);
    }

    fn set_subscription(
        &mut self,
        now: Instant,
        key: PeerKey,
        room: RoomId,
        source: crate::ids::ParticipantId,
        nth: usize,
        section: &MediaSection,
    ) {
        let ssrc = section.local_ssrc;
        let known = self.peers[key]
            .subscriptions
            .iter()
            .copied()
            .find(|&sub| self.subscriptions[sub].ssrc == ssrc);
        let subscription = if let Some(subscription) = known {
            let kept = &mut self.subscriptions[subscription];
            kept.renegotiate(section);
            (kept.source, kept.nth) = (source, nth);
            subscription
        } else {
            let fresh = self
                .subscriptions
                .insert(Subscription::new(now, key, source, nth, section));
            self.peers[key].subscriptions.push(fresh);
            self.rooms.entry(room).or_default().subscriptions.push(fresh);
            fresh
        };
        self.attach(now, room, subscription);
    }

    /// Forgets a connection. Says goodbye to the client; tells the hub if it did not ask for it.
    pub(super) fn close(&mut self, now: Instant, key: PeerKey, reason: Option<CloseReason>) {
        if !self.peers.contains_key(key) {
            return;
        }
        self.leave_handshake(key);
        self.peers[key].dtls.close(now);
        self.flush_dtls(key, None);
        let peer = &self.peers[key];
        let (id, room) = (peer.id, peer.room);
        for track in peer.tracks.clone() {
            self.remove_track(now, track);
        }
        for subscription in self.peers[key].subscriptions.clone() {
            self.remove_subscription(subscription);
        }
        let peer = &self.peers[key];
        self.demux.forget_ufrag(&peer.ice.local_ufrag, key);
        for address in peer.ice.known_addresses() {
            self.demux.forget_address(address, key);
        }
        self.peer_keys.remove(&id);
        self.stats.suspended -= u64::from(peer.suspended.is_some());
        self.stats.speaking -= u64::from(peer.is_speaking());
        self.peers.remove(key);
        self.leave_room(now, room);
        if let Some(reason) = reason {
            self.stats.failed += 1;
            self.events.push_back(MediaEvent::Closed { peer: id, reason });
        }
    }

    /// Hands DTLS datagrams to the client: over `path`, by which its own came, or else where it is known to be.
    pub(super) fn flush_dtls(&mut self, key: PeerKey, path: Option<Path>) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        while let Some(datagram) = peer.dtls.poll_transmit() {
            if let Some(path) = path.or(peer.ice.selected()) {
                if peer.secure.is_none() {
                    peer.handshake.note(path.remote);
                }
                self.egress.push(path, &datagram);
            }
        }
    }

    /// Something came of a DTLS datagram that arrived over `path`, which is `at` among the connection's.
    pub(super) fn dtls_progressed(
        &mut self,
        now: Instant,
        at: Occupant,
        path: Path,
        progress: Result<Progress, Failure>,
    ) {
        let key = at.peer;
        self.flush_dtls(key, Some(path));
        match progress {
            Ok(Progress::Pending) => {}
            Ok(Progress::Closed) => self.closed(now, key, CloseReason::ClosedByPeer),
            Ok(Progress::Established {
                profile,
                exported,
                we_are_client,
            }) => {
                let Some(peer) = self.peers.get_mut(key) else { return };
                let Some((outbound, inbound)) = contexts(profile, &exported, we_are_client) else {
                    return self.closed(now, key, CloseReason::HandshakeFailed);
                };
                peer.secure_with(outbound, inbound);
                self.stats.connected += 1;
                self.events.push_back(MediaEvent::Connected { peer: peer.id });
                self.proved(now, at, path);
                self.subscriber_ready(now, key);
            }
            Err(Failure::Handshake) => self.closed(now, key, CloseReason::HandshakeFailed),
            Err(Failure::WrongFingerprint) => self.closed(now, key, CloseReason::WrongFingerprint),
        }
    }

    /// A joiner's picture begins with a key frame: ask for one now, not at the next tick.
    fn subscriber_ready(&mut self, now: Instant, key: PeerKey) {
        for subscription in self.peers[key].subscriptions.clone() {
            if let Some(track) = self.subscriptions[subscription].track {
                self.aim(now, track, Asking::AtOnce);
                self.request_key_frames(now, track);
            }
        }
    }
}

fn publisher(now: Instant, epoch: Instant, max_publish_bps: u64) -> Publisher {
    Publisher {
        transport_feedback: TransportFeedback::new(epoch),
        estimate: ReceiverEstimate::new(START_BPS.min(max_publish_bps), MIN_BPS, max_publish_bps),
        // A first report soon, so that the client learns that its SSRCs are known and stops sending mid and rid.
        next_report: now + Duration::from_millis(200),
        next_transport_feedback: now,
        received_bytes: 0,
        fir_command: 0,
        speech: SpeechReports::default(),
        next_loudness: now,
    }
}

/// Counts sections of each kind and direction.
#[derive(Default)]
struct Places {
    up: [usize; 2],
    down: [usize; 2],
}

impl Places {
    fn next_up(&mut self, kind: Kind) -> usize {
        next(&mut self.up, kind)
    }

    fn next_down(&mut self, kind: Kind) -> usize {
        next(&mut self.down, kind)
    }
}

fn next(counts: &mut [usize; 2], kind: Kind) -> usize {
    let count = &mut counts[usize::from(kind == Kind::Video)];
    *count += 1;
    *count - 1
}
