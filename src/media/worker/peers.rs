//! Opening, changing and closing connections.

use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::selection::Urgency;
use super::{MAX_TRANSPORTS, Worker};
use crate::ids::{FeedRef, PeerId, SlotId};
use crate::media::bandwidth::{ReceiverEstimate, TransportFeedback};
use crate::media::demux::Occupant;
use crate::media::extension_ids::ExtensionIds;
use crate::media::keys::{SubscriptionKey, TransportKey};
use crate::media::messages::{CloseReason, MediaEvent};
use crate::media::names::{Down, TrackName, TrackRef};
use crate::media::peer::dtls::{Dtls, DtlsFailure, DtlsProgress};
use crate::media::peer::ice::Path;
use crate::media::peer::srtp::contexts;
use crate::media::peer::{Publisher, SentTo, Transport};
use crate::media::session::{MediaSection, PeerSpec, SentStream, TransportSpec};
use crate::media::speaker::SpeechReports;
use crate::media::steering::Steering;
use crate::media::subscription::Subscription;
use crate::media::track::Track;

/// Bit rate at which a publisher without transport-wide feedback begins.
const START_BPS: u64 = 1_000_000;
/// Lowest estimate: below this bit rate a picture is no use.
const MIN_BPS: u64 = 100_000;

impl Worker {
    /// Opens a connection, or changes a live one after a new offer: transports may be added, removed and changed.
    pub(super) fn open(&mut self, now: Instant, mut spec: PeerSpec) {
        let before = self.connections.get(&spec.peer).cloned().unwrap_or_default();
        let is_new = |transport: &&TransportSpec| before.transport(transport.number).is_none();
        // A client that asks for several transports at once is refused first: one address may have a quarter of all
        // connections, and with four transports for each of these it would take the places of all others.
        let most = match spec.transports.len() {
            1 => MAX_TRANSPORTS,
            _ => MAX_TRANSPORTS / 2,
        };
        let more = spec.transports.iter().filter(is_new).count();
        if more > 0 && self.transports.len() + more > most {
            self.close_connection(now, spec.peer);
            self.events.push_back(MediaEvent::Closed {
                peer: spec.peer,
                reason: CloseReason::Full,
            });
            return;
        }
        let mut sections = std::mem::take(&mut spec.sections);
        for transport in &spec.transports {
            let of_transport = |section: &mut MediaSection| section.transport == transport.number;
            let mut of_transport: Vec<MediaSection> = sections.extract_if(.., of_transport).collect();
            // They stay as long as the connection, and have taken room for four.
            of_transport.shrink_to_fit();
            match before.transport(transport.number) {
                Some(key) => self.change(now, key, &spec, transport),
                None => self.add_transport(now, &spec, transport, &of_transport),
            }
            if let Some(key) = self
                .connections
                .get(&spec.peer)
                .and_then(|one| one.transport(transport.number))
            {
                self.mute(now, spec.peer, spec.muted);
                self.set_sections(now, key, of_transport);
                self.steer_anew(now, key, spec.understands.send_layers);
                if let Some(connection) = self.connections.get_mut(&spec.peer) {
                    connection.is_sent_quality = spec.understands.video_quality;
                    connection.is_divided |= spec.understands.video_quality;
                }
            }
        }
        for (number, key) in before.transports() {
            if spec.transports.iter().all(|transport| transport.number != number) {
                self.close(now, key, None);
            }
        }
    }

    fn add_transport(&mut self, now: Instant, spec: &PeerSpec, transport: &TransportSpec, sections: &[MediaSection]) {
        let identity = self.config.identity_for(spec);
        let key = self
            .transports
            .insert(Transport::new(now, spec, transport, sections, identity));
        self.connections
            .entry(spec.peer)
            .or_default()
            .add(transport.number, key);
        self.demux.learn_ufrag(&transport.local_ufrag, key);
        self.enter_room(now, spec.room, &spec.others);
        self.plan(now, key);
    }

    /// Applies a new offer to a live transport: credentials and certificate may differ.
    fn change(&mut self, now: Instant, key: TransportKey, spec: &PeerSpec, new: &TransportSpec) {
        let Some(transport) = self.transports.get_mut(key) else {
            return;
        };
        if transport.ice.local_ufrag != new.local_ufrag {
            self.demux.forget_ufrag(&transport.ice.local_ufrag, key);
            self.demux.learn_ufrag(&new.local_ufrag, key);
            transport
                .ice
                .restart(&new.local_ufrag, &new.local_pwd, &new.remote_ufrag);
            // New credentials are a new attempt to connect. If no attempt has succeeded before, it may take as long as any.
            transport.opened = now;
        }
        if !transport.dtls.expects(&new.remote_fingerprints) {
            // Another certificate is another DTLS association (RFC 8842 §4), with keys of its own.
            let identity = self.config.identity_for(spec).clone();
            transport.dtls = Dtls::new(identity, new.dtls_role, new.remote_fingerprints.clone());
            transport.handshake = SentTo::default();
            transport.secure = None;
            transport.opened = now;
            let was_suspended = transport.suspended.take().is_some();
            let (tracks, subscriptions) = (transport.tracks.clone(), transport.subscriptions.clone());
            if was_suspended {
                self.stats.suspended -= 1;
                for track in tracks {
                    self.plan_repairs(track);
                }
            }
            // The client counts roll-overs from zero again (RFC 3711 §3.3.1), and so must the copies that it gets.
            for subscription in subscriptions {
                self.remove_subscription(now, subscription);
            }
            self.forget_undecodable(key);
            self.begin_again(now, spec.peer);
        }
        self.renew_suspension(now, key);
        self.plan(now, key);
    }

    /// Gives a connection the tracks and subscriptions of `sections`. Those that it has already keep their state.
    fn set_sections(&mut self, now: Instant, key: TransportKey, sections: Vec<MediaSection>) {
        let Some(transport) = self.transports.get_mut(key) else {
            return;
        };
        let old_tracks = transport.tracks.clone();
        let old_subscriptions = transport.subscriptions.clone();
        if transport.publisher.is_none() && sections.iter().any(|section| section.up.is_some()) {
            transport.publisher = Some(Box::new(publisher(now, self.epoch, self.config.max_publish_bps)));
        }
        for old in old_tracks {
            let track = &self.tracks[old];
            let carries = |section: &MediaSection| section.up.is_some() && track.is_of(section);
            if !sections.iter().any(carries) {
                self.remove_track(now, old);
            }
        }
        for old in old_subscriptions {
            let ssrc = self.subscriptions[old].ssrc;
            let find_stream = |section: &MediaSection| section.streams().find(|stream| stream.ssrc == ssrc);
            match sections
                .iter()
                .find_map(|section| Some((section, find_stream(section)?)))
            {
                None => self.remove_subscription(now, old),
                // The subscription of a section on hold stays: its sequence numbers must go on from here, not begin again.
                // Under the same keys and SSRC, other packets would get the same SRTP indices.
                Some((section, stream)) => self.change_subscription(now, old, |subscription| {
                    subscription.renegotiate(section, stream.down);
                }),
            }
        }
        for section in &sections {
            if let Some(name) = section.up {
                self.set_track(now, key, name, section);
            }
            for stream in section.streams().filter(|stream| stream.down.is_some()) {
                self.add_subscription(now, key, section, stream);
            }
        }
        if let Some(transport) = self.transports.get_mut(key) {
            transport.renegotiate(sections);
        }
        self.begin_estimate(now, key);
        self.plan(now, key);
        self.visit_soon(now, key);
    }

    fn set_track(&mut self, now: Instant, key: TransportKey, name: TrackName, section: &MediaSection) {
        let Some(transport) = self.transports.get(key) else {
            return;
        };
        let (id, room, participant) = (transport.id, transport.room, transport.participant);
        let name = TrackRef { participant, name };
        let mut tracks = transport.tracks.iter().copied();
        let known = tracks.find(|&track| self.tracks[track].is_of(section));
        let track = match known {
            Some(known) => {
                self.tracks[known].renegotiate(section);
                self.rename_track(now, known, name);
                known
            }
            None => {
                let track_id = self.fresh_track();
                let track = self.tracks.insert(Track::new(track_id, (key, id), room, name, section));
                self.plans.expect_track(now, track);
                self.transports[key].tracks.push(track);
                self.rooms.entry(room).or_default().add_track(name, id, track);
                track
            }
        };
        let muted = self.connections.get(&id).map(|connection| connection.muted);
        self.mute_track(now, track, muted.unwrap_or_default());
        self.announce_track(now, track);
        self.attach_all(now, room, name);
    }

    /// Adds the subscription of a stream that has none yet.
    fn add_subscription(&mut self, now: Instant, key: TransportKey, section: &MediaSection, stream: SentStream) {
        let Some(transport) = self.transports.get_mut(key) else {
            return;
        };
        let mut known = transport.subscriptions.iter();
        if known.any(|&one| self.subscriptions[one].ssrc == stream.ssrc) {
            return;
        }
        let mut subscription = Subscription::new(now, key, section, stream);
        subscription.hold_back(transport.playout.value());
        let fresh = self.subscriptions.insert(subscription);
        transport.subscriptions.push(fresh);
        let room = transport.room;
        if let Some(wanted) = self.subscriptions[fresh].wanted() {
            self.rooms.entry(room).or_default().want(wanted, fresh);
        }
        self.attach(now, room, fresh);
    }

    /// Fills the slots of this number with the first track of their kind that `source` publishes, or with nothing.
    pub(super) fn fill(&mut self, now: Instant, peer: PeerId, slot: SlotId, source: Option<FeedRef>) {
        let Some(connection) = self.connections.get(&peer) else {
            return;
        };
        let transports = connection.transports();
        let subscriptions = transports.flat_map(|(_, key)| self.transports[key].subscriptions.iter().copied());
        let is_slot = |key: &SubscriptionKey| self.subscriptions[*key].down == Some(Down::Slot(slot));
        let slots: SmallVec<[SubscriptionKey; 2]> = subscriptions.filter(is_slot).collect();
        for subscription in slots {
            self.change_subscription(now, subscription, |subscription| {
                let kind = subscription.kind;
                subscription.fill(source.map(|source| TrackRef::first(source, kind)));
            });
        }
    }

    /// Changes a subscription, and gives it the track that it is then meant for.
    fn change_subscription(&mut self, now: Instant, key: SubscriptionKey, change: impl FnOnce(&mut Subscription)) {
        let subscription = &mut self.subscriptions[key];
        let before = subscription.wanted();
        change(subscription);
        let after = subscription.wanted();
        let Some(room) = self
            .transports
            .get(subscription.transport)
            .map(|transport| transport.room)
        else {
            return;
        };
        if before != after {
            let entry = self.rooms.entry(room).or_default();
            if let Some(before) = before {
                entry.want_no_more(before, key);
            }
            if let Some(after) = after {
                entry.want(after, key);
            }
        }
        self.attach(now, room, key);
    }

    /// Forgets a transport, and with its last transport the connection. Says goodbye to the client. With a `reason` (the hub
    /// has not asked for this), reports the end of the connection.
    pub(super) fn close(&mut self, now: Instant, key: TransportKey, reason: Option<CloseReason>) {
        if !self.transports.contains_key(key) {
            return;
        }
        self.leave_handshake(now, key);
        self.transports[key].dtls.close(now);
        self.flush_dtls(key, None);
        let transport = &self.transports[key];
        let (id, room) = (transport.id, transport.room);
        for track in transport.tracks.clone() {
            self.remove_track(now, track);
        }
        for subscription in self.transports[key].subscriptions.clone() {
            self.remove_subscription(now, subscription);
        }
        let transport = &self.transports[key];
        self.demux.forget_ufrag(&transport.ice.local_ufrag, key);
        for address in transport.ice.known_addresses() {
            self.demux.forget_address(address, key);
        }
        let was_up = transport.secure.is_some();
        let is_speaking = transport.is_speaking();
        self.forget_undecodable(key);
        let transport = &self.transports[key];
        let is_last = match self.connections.get_mut(&id) {
            Some(connection) => connection.remove(key),
            None => true,
        };
        if is_last {
            self.connections.remove(&id);
        }
        self.stats.suspended -= u64::from(transport.suspended.is_some());
        self.stats.speaking -= u64::from(transport.is_speaking());
        self.transports.remove(key);
        self.plans.connections.remove(key);
        self.plans.probes.remove(key);
        self.plans.slices.remove(key);
        self.leave_room(now, room);
        if is_speaking && !is_last {
            self.events.push_back(MediaEvent::SpeechEnded { peer: id });
        }
        if let Some(reason) = reason {
            self.stats.failed += 1;
            // A transport that was up ends the others too: its client would keep its keys over each new offer, and we have
            // none.
            if was_up {
                self.close_connection(now, id);
            }
            if is_last || was_up {
                self.events.push_back(MediaEvent::Closed { peer: id, reason });
            }
        }
        self.report_heard(now, id);
    }

    /// Sends DTLS datagrams to the client: over `path`, by which its own came, or else over the selected path.
    pub(super) fn flush_dtls(&mut self, key: TransportKey, path: Option<Path>) {
        let Some(transport) = self.transports.get_mut(key) else {
            return;
        };
        while let Some(datagram) = transport.dtls.poll_transmit() {
            if let Some(path) = path.or(transport.ice.selected()) {
                if transport.secure.is_none() {
                    transport.handshake.note(path.remote);
                }
                self.egress.push(path, &datagram);
            }
        }
    }

    /// Handles the progress that a DTLS datagram has made, which arrived over `path`; `at` is that path among the connection's.
    pub(super) fn dtls_progressed(
        &mut self,
        now: Instant,
        at: Occupant,
        path: Path,
        progress: Result<DtlsProgress, DtlsFailure>,
    ) {
        let key = at.transport;
        self.flush_dtls(key, Some(path));
        self.plan(now, key);
        match progress {
            Ok(DtlsProgress::Pending) => {}
            Ok(DtlsProgress::Closed) => self.closed(now, key, CloseReason::ClosedByPeer),
            Ok(DtlsProgress::Established {
                profile,
                exported,
                we_are_client,
            }) => {
                let Some(transport) = self.transports.get_mut(key) else {
                    return;
                };
                let Some((outbound, inbound)) = contexts(profile, &exported, we_are_client) else {
                    return self.closed(now, key, CloseReason::HandshakeFailed);
                };
                transport.secure_with(outbound, inbound);
                self.begin_estimate(now, key);
                self.stats.connected += 1;
                let id = self.transports[key].id;
                self.report_connected(now, id);
                self.proved(now, at, path);
                self.plan(now, key);
                self.visit_soon(now, key);
                self.subscriber_ready(now, key);
            }
            Err(DtlsFailure::Handshake) => self.closed(now, key, CloseReason::HandshakeFailed),
            Err(DtlsFailure::WrongFingerprint) => self.closed(now, key, CloseReason::WrongFingerprint),
        }
    }

    /// Asks for the key frames with which a joiner's pictures begin: now, not at the next tick.
    fn subscriber_ready(&mut self, now: Instant, key: TransportKey) {
        self.allocate(now, key);
        for subscription in self.transports[key].subscriptions.clone() {
            if let Some(track) = self.subscriptions[subscription].track {
                self.select(now, track, Urgency::AtOnce);
                self.request_key_frames(now, track);
                self.request_player(track);
            }
        }
    }
}

fn publisher(now: Instant, epoch: Instant, max_publish_bps: u64) -> Publisher {
    Publisher {
        extensions: ExtensionIds::default(),
        transport_feedback: TransportFeedback::new(epoch),
        estimate: ReceiverEstimate::new(START_BPS.min(max_publish_bps), MIN_BPS, max_publish_bps),
        // A first report soon, so that the client learns that its SSRCs are known and stops sending mid and rid.
        next_report: now + Duration::from_millis(200),
        is_heard: false,
        next_feedback: now,
        received_bytes: 0,
        fir_command: 0,
        steering: Steering::default(),
        next_steering: None,
        sent_orders: None,
        speech: SpeechReports::default(),
        next_loudness: now,
        counts_loudness: false,
    }
}
