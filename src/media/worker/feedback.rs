//! RTCP: what subscribers report and ask for, and what publishers are sent and asked for.

use std::time::{Duration, Instant};

use super::Worker;
use super::connections::Connection;
use super::{round_trips, sound};
use crate::ids::PeerId;
use crate::media::clock::SenderClock;
use crate::media::codec::Kind;
use crate::media::demux::Occupant;
use crate::media::keys::{SubscriptionKey, TrackKey, TransportKey};
use crate::media::names::Down;
use crate::media::peer::Publisher;
use crate::media::peer::srtp::MAX_OVERHEAD;
use crate::media::rtcp::{self, Block, Packet};

/// Time between two reports: as in libwebrtc for video, and short enough for audio senders that report every five seconds.
const REPORT_INTERVAL: Duration = Duration::from_millis(1_000);
/// Time between two packets of transport-wide feedback (libwebrtc's receivers use 50 to 250 ms): the sender's estimator works
/// on groups of packets of a few frames. A connection that sends is visited this often.
const FEEDBACK_INTERVAL: Duration = Duration::from_millis(60);
/// Time after which a packet is asked for again: about a mobile round trip.
const NACK_INTERVAL: Duration = Duration::from_millis(60);
/// Bytes of the largest RTCP datagram, protection included. Every path that carries QUIC carries as much (RFC 9000 §14), so no
/// datagram needs fragments, which many networks drop.
const MAX_DATAGRAM_BYTES: usize = 1_200;
/// Bytes of a receiver report without blocks.
const EMPTY_REPORT_BYTES: usize = 8;
/// Bytes that a datagram has for packets, if an empty report must go first.
const MAX_COMPOUND_BYTES: usize = MAX_DATAGRAM_BYTES - MAX_OVERHEAD - EMPTY_REPORT_BYTES;
const _: () = assert!(rtcp::MAX_PACKET_BYTES <= MAX_COMPOUND_BYTES);

impl Worker {
    /// Opens a compound and takes its packets. False if this connection's client has not sealed it, or has sent it before.
    pub(super) fn handle_rtcp(&mut self, now: Instant, at: Occupant, datagram: &mut [u8]) -> bool {
        let key = at.transport;
        let transport = &mut self.transports[key];
        let Some(secure) = &mut transport.secure else {
            return false;
        };
        let Ok(len) = secure.inbound.open_rtcp(datagram) else {
            return false;
        };
        if !transport.ice.heard(now, at.path) {
            self.visit_soon(now, key);
        }
        for packet in rtcp::packets(&datagram[..len]) {
            match packet {
                Packet::SenderReport { ssrc, ntp, rtp, blocks } => {
                    self.sender_reported(now, key, ssrc, ntp, rtp);
                    self.losses_came(now, key, blocks);
                }
                Packet::Nack { media_ssrc, pairs } => self.resend(now, key, media_ssrc, pairs),
                Packet::Pli { media_ssrc } => self.key_frame_wanted(now, key, media_ssrc),
                Packet::Fir { entries } => {
                    for ssrc in rtcp::fir_ssrcs(entries) {
                        self.key_frame_wanted(now, key, ssrc);
                    }
                }
                Packet::TransportFeedback { body } => self.transport_feedback_came(now, key, body),
                Packet::ReceiverEstimate { bits_per_second } => self.estimate_came(now, key, bits_per_second),
                Packet::ReceiverReport { blocks } => self.losses_came(now, key, blocks),
                Packet::ExtendedReport { ssrc, blocks } => {
                    if let Some(time) = rtcp::reference_time(blocks) {
                        self.reference_time_came(now, key, ssrc, time);
                    }
                }
                // A stream ends when its connection or section does: a BYE could name anybody's SSRC.
                Packet::Other => {}
            }
        }
        true
    }

    /// The subscription of this connection that sends under `ssrc`. A client cannot ask for another connection's.
    pub(super) fn subscription(&self, key: TransportKey, ssrc: u32) -> Option<SubscriptionKey> {
        let mine = &self.transports[key].subscriptions;
        mine.iter()
            .copied()
            .find(|&subscription| self.subscriptions[subscription].ssrc == ssrc)
    }

    fn sender_reported(&mut self, now: Instant, key: TransportKey, ssrc: u32, ntp: u64, rtp: u32) {
        let Some(stream) = self.transports[key].stream(ssrc).filter(|stream| !stream.repair) else {
            return;
        };
        let Some(track) = self.tracks.get(stream.track) else {
            return;
        };
        let newest = track
            .layers
            .get(usize::from(stream.layer))
            .and_then(|layer| layer.newest);
        let clock = SenderClock::reported(now, ntp, rtp, newest.as_ref(), track.clock_rate());
        self.set_clock(now, stream.track, stream.layer, clock);
    }

    pub(super) fn set_clock(&mut self, now: Instant, key: TrackKey, layer_index: u8, clock: SenderClock) {
        let Some(track) = self.tracks.get_mut(key) else { return };
        let Some(layer) = track.layers.get_mut(usize::from(layer_index)) else {
            return;
        };
        let first = layer.clock.replace(clock).is_none();
        for at in 0..track.subscribers.len() {
            let subscription = &mut self.subscriptions[self.tracks[key].subscribers[at]];
            if first {
                // Subscribers can line up sound and picture from now on: do not let them wait for their next turn.
                subscription.next_report = now;
            }
            if subscription.next_report <= now {
                let transport = subscription.transport;
                self.visit_soon(now, transport);
            }
        }
        self.pass_on_clock(key, layer_index, clock);
    }

    fn resend(&mut self, now: Instant, key: TransportKey, media_ssrc: u32, pairs: &[u8]) {
        self.stats.nacks_received += 1;
        let Some(asked) = self.subscription(key, media_ssrc) else {
            return;
        };
        let copies = self.transports[key].copies_of_resends(now);
        let subscription = &mut self.subscriptions[asked];
        let Some(track) = subscription.track.and_then(|track| self.tracks.get(track)) else {
            return;
        };
        let Some(mut sink) = self.transports[key].sink(&mut self.egress) else {
            return;
        };
        let mut resent = 0;
        rtcp::each_nacked(pairs, |sequence| {
            if sink.sender.put_off_again(now, asked, sequence) {
                return;
            }
            for _ in 0..copies {
                let sent = subscription.resend(now, sequence, track, &mut sink);
                resent += u64::from(sent.is_some());
            }
        });
        if let Some(due) = sink.sender.plan_slice(now) {
            self.plans.slices.set(key, due);
        }
        self.stats.resent_packets += resent;
        self.plan(now, key);
    }

    fn key_frame_wanted(&mut self, now: Instant, key: TransportKey, media_ssrc: u32) {
        self.stats.key_frame_requests_received += 1;
        let Some(subscription) = self.subscription(key, media_ssrc) else {
            return;
        };
        if self.passes_over_request(now, key, subscription) {
            return;
        }
        let subscription = &self.subscriptions[subscription];
        let Some(key) = subscription.track else { return };
        let Some(track) = self.tracks.get_mut(key) else { return };
        let wanted = subscription.target.or_else(|| subscription.current_layer(track));
        let Some(wanted) = wanted.map(usize::from).filter(|&layer| layer < track.layers.len()) else {
            return;
        };
        if !subscription.may_carry(track, &track.layers[wanted]) {
            return;
        }
        track.layers[wanted].requests.want(now);
        self.request_key_frames(now, key);
    }

    /// Asks for key frames of the layers of a track whose turn it is. Plans the requests that are not sent now.
    pub(super) fn request_key_frames(&mut self, now: Instant, key: TrackKey) {
        match self.publishing_transport(key) {
            Some(transport) => self.request_key_frames_of(now, transport, key),
            None => self.request_key_frames_over_link(now, key),
        }
        self.plan_repairs(key);
    }

    /// Sends PLIs (or FIRs) to the publisher.
    fn request_key_frames_of(&mut self, now: Instant, transport_key: TransportKey, key: TrackKey) {
        let track = &mut self.tracks[key];
        // Requests that find no room now are sent at the next tick.
        if !track.is_asked_for_key_frames() || self.egress.is_full() {
            return;
        }
        let Some(transport) = self.transports.get_mut(transport_key) else {
            return;
        };
        let Some(publisher) = transport.publisher.as_mut().filter(|_| transport.secure.is_some()) else {
            return;
        };
        self.scratch.clear();
        for at in 0..track.layers.len() {
            let feedback = track.feedback(&track.layers[at]);
            let layer = &mut track.layers[at];
            if !layer.requests.poll(now) {
                continue;
            }
            if feedback.pli || !feedback.fir {
                rtcp::write_pli(&mut self.scratch, transport.feedback_ssrc, layer.ssrc);
            } else {
                publisher.fir_command = publisher.fir_command.wrapping_add(1);
                rtcp::write_fir(
                    &mut self.scratch,
                    transport.feedback_ssrc,
                    layer.ssrc,
                    publisher.fir_command,
                );
            }
            self.stats.key_frame_requests_sent += 1;
        }
        self.send_feedback(transport_key);
    }

    /// Sends NACKs for the missing packets of a track.
    pub(super) fn request_missing(&mut self, now: Instant, key: TrackKey) {
        let Some(transport_key) = self.publishing_transport(key) else {
            return;
        };
        let track = &mut self.tracks[key];
        if self.egress.is_full() {
            return;
        }
        let Some(transport) = self.transports.get(transport_key) else {
            return;
        };
        self.scratch.clear();
        for at in 0..track.layers.len() {
            if !track.misses_packets(&track.layers[at]) {
                continue;
            }
            let layer = &mut track.layers[at];
            self.sequences.clear();
            let sequences = &mut self.sequences;
            let given_up = layer
                .loss
                .due_nacks(now, NACK_INTERVAL, |sequence| sequences.push(sequence));
            if given_up && track.kind == Kind::Video {
                layer.requests.want(now);
            }
            if !self.sequences.is_empty() {
                self.stats.nacks_sent += 1;
                rtcp::write_nack(&mut self.scratch, transport.feedback_ssrc, layer.ssrc, &self.sequences);
            }
        }
        self.send_feedback(transport_key);
    }

    /// Sends the publisher receiver reports, and the congestion feedback that it negotiated.
    pub(super) fn report_to_publisher(&mut self, now: Instant, key: TransportKey) {
        let transport = &self.transports[key];
        if transport.publisher.is_none() || transport.secure.is_none() || self.egress.is_full() {
            return;
        }
        let codecs = || {
            transport
                .sections
                .iter()
                .filter(|section| section.up.is_some())
                .flat_map(|section| &section.codecs)
        };
        let transport_cc = codecs().any(|codec| codec.feedback.transport_cc);
        let remb = codecs().any(|codec| codec.feedback.remb);
        self.scratch.clear();
        let is_reported = self.report_reception(now, key);
        if remb {
            self.send_estimate(now, key, is_reported, transport_cc);
        }
        let transport = &mut self.transports[key];
        let Some(publisher) = transport.publisher.as_mut() else {
            return;
        };
        if now < publisher.next_feedback {
            return self.send_feedback(key);
        }
        publisher.next_feedback = now + FEEDBACK_INTERVAL;
        publisher.is_heard = false;
        if transport_cc {
            let media_ssrc = transport.streams.first().map_or(0, |stream| stream.ssrc);
            let feedback = &mut publisher.transport_feedback;
            feedback.write(
                transport.feedback_ssrc,
                media_ssrc,
                rtcp::MAX_PACKET_BYTES,
                &mut self.scratch,
            );
        }
        self.send_feedback(key);
    }

    /// Writes a receiver report into `scratch`, if it is time for one, and estimates what the way here carries. True if it is.
    fn report_reception(&mut self, now: Instant, key: TransportKey) -> bool {
        let transport = &mut self.transports[key];
        let due = |publisher: &&mut Box<Publisher>| now >= publisher.next_report;
        let Some(publisher) = transport.publisher.as_mut().filter(due) else {
            return false;
        };
        publisher.next_report = now + REPORT_INTERVAL;
        let mut blocks: smallvec::SmallVec<[Block; 8]> = smallvec::SmallVec::new();
        let mut worst = 0;
        for stream in transport.streams.iter().filter(|stream| !stream.repair) {
            let Some(track) = self.tracks.get_mut(stream.track) else {
                continue;
            };
            let Some(layer) = track.layers.get_mut(usize::from(stream.layer)) else {
                continue;
            };
            let mut block = report_block(now, layer);
            worst = worst.max(block.fraction_lost);
            block.fraction_lost = block
                .fraction_lost
                .max(sound::loss_of_listeners(track, &self.subscriptions));
            blocks.push(block);
        }
        rtcp::write_receiver_report(&mut self.scratch, transport.feedback_ssrc, &blocks);
        let received_bps = std::mem::take(&mut publisher.received_bytes) * 8;
        publisher.estimate.update(now, worst, received_bps);
        true
    }

    /// Sends one subscriber the sender reports of its copies, and what it needs to know its round trip.
    pub(super) fn report_to_subscriber(&mut self, now: Instant, key: TransportKey) {
        let transport = &self.transports[key];
        // Reports that find no room now are sent at this connection's next turn.
        if transport.secure.is_none() || self.egress.is_full() {
            return;
        }
        let are_mixed = self.slots_are_mixed(transport.id);
        let answers = round_trips::answers(now, &transport.reference_times);
        let mut are_answered = answers.is_empty() || !round_trips::awaits_answers(transport);
        self.scratch.clear();
        for &subscription in &transport.subscriptions {
            let subscription = &mut self.subscriptions[subscription];
            if now < subscription.next_report {
                continue;
            }
            if are_mixed && matches!(subscription.down, Some(Down::Slot(_))) {
                subscription.next_report = now + REPORT_INTERVAL;
                continue;
            }
            let track = subscription.track.and_then(|track| self.tracks.get(track));
            let (Some(track), Some(down)) = (track, subscription.down) else {
                continue;
            };
            if let Some(info) = subscription.sender_info(now, track) {
                subscription.next_report = now + REPORT_INTERVAL;
                rtcp::write_sender_report(&mut self.scratch, &info, &down.stream());
                if !answers.is_empty() {
                    rtcp::write_answered_times(&mut self.scratch, info.ssrc, &answers);
                    are_answered = true;
                }
            }
        }
        if !are_answered {
            rtcp::write_answered_times(&mut self.scratch, transport.feedback_ssrc, &answers);
        }
        let times = &mut self.transports[key].reference_times;
        times.iter_mut().for_each(|time| time.is_answered = true);
        self.send_feedback(key);
    }

    /// Whether the slots of a connection carry several participants. Each report has its publisher's clock. With reports of
    /// several, the client would play the sound of one together with the pictures of another, by clocks that may differ by seconds.
    fn slots_are_mixed(&self, peer: PeerId) -> bool {
        let transports = self.connections.get(&peer).into_iter().flat_map(Connection::transports);
        let subscriptions = transports.flat_map(|(_, key)| &self.transports[key].subscriptions);
        let slots = subscriptions.filter_map(|&key| {
            let subscription = &self.subscriptions[key];
            let source = subscription.wanted().map(|source| source.participant);
            source.filter(|_| matches!(subscription.down, Some(Down::Slot(_))))
        });
        let mut participants = slots;
        let first = participants.next();
        participants.any(|other| Some(other) != first)
    }

    /// Sends the packets in `scratch` to one connection, in as many compounds as they need. A compound begins with a report
    /// (RFC 3550 §6.1): if the packets begin with none, an empty report goes first.
    fn send_feedback(&mut self, key: TransportKey) {
        let transport = &mut self.transports[key];
        let (Some(secure), Some(path)) = (&mut transport.secure, transport.ice.selected()) else {
            return;
        };
        for packets in rtcp::compounds(&self.scratch, MAX_COMPOUND_BYTES) {
            self.compound.clear();
            if !rtcp::is_report(packets) {
                rtcp::write_receiver_report(&mut self.compound, transport.feedback_ssrc, &[]);
            }
            self.compound.extend_from_slice(packets);
            secure.sender.outbound.seal_rtcp(&mut self.compound);
            self.egress.push(path, &self.compound);
        }
        self.scratch.clear();
    }
}

fn report_block(now: Instant, layer: &mut crate::media::track::Layer) -> Block {
    let reception = layer.loss.report();
    let (last, delay) = layer.clock.map_or((0, 0), |clock| {
        let elapsed = now.saturating_duration_since(clock.received);
        (
            (clock.ntp >> 16) as u32,
            (elapsed.as_micros() as u64 * 65_536 / 1_000_000) as u32,
        )
    });
    Block {
        ssrc: layer.ssrc,
        fraction_lost: reception.fraction_lost,
        cumulative_lost: reception.cumulative_lost,
        extended_highest_sequence: reception.extended_highest_sequence,
        jitter: reception.jitter,
        last_sender_report: last,
        delay_since_last: delay,
    }
}
