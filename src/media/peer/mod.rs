//! One transport of a WebRTC connection in a worker: its addresses, its keys, and the sections that it carries. Most
//! connections have one transport.

pub mod dtls;
pub mod ice;
pub mod negotiate;
pub(crate) mod pacing;
pub(crate) mod probe;
mod replay;
mod round_trip;
pub(crate) mod sender;
pub(crate) mod sent;
pub mod srtp;

use std::time::Instant;

use smallvec::SmallVec;

use self::dtls::{Dtls, DtlsIdentity};
use self::ice::Ice;
use self::sender::{Sender, Sink};
use self::srtp::{Inbound, Outbound};
use super::allocation::Division;
use super::bandwidth::outgoing::{Micros, Outcome};
use super::bandwidth::{ReceiverEstimate, TransportFeedback};
use super::egress::Egress;
use super::extension_ids::ExtensionIds;
use super::keys::{SubscriptionKey, TrackKey};
use super::path_loss::PathLoss;
use super::playout::Playout;
use super::remote::Remote;
use super::session::{MediaSection, PeerSpec, TransportSpec};
use super::speaker::SpeechReports;
use super::steering::{PathSeen, SentOrders, Steering};
use super::undecodable::DecodingReports;
use crate::ids::{ParticipantId, PeerId, RoomId};

/// An incoming SSRC, and the track to which its packets belong.
#[derive(Clone, Copy, Debug)]
pub struct IncomingStream {
    pub ssrc: u32,
    pub track: TrackKey,
    pub layer: u8,
    /// Whether this is RTX: its packets are those of the layer's own stream, sent again (RFC 4588).
    pub repair: bool,
}

/// Both directions of protected packets, after DTLS has made the keys.
pub struct Secure {
    pub sender: Sender,
    pub inbound: Inbound,
}

/// The addresses to which the datagrams of a connection's handshake were sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SentTo {
    #[default]
    Nowhere,
    One(Remote),
    Several,
}

impl SentTo {
    pub fn note(&mut self, address: Remote) {
        *self = match *self {
            SentTo::Nowhere => SentTo::One(address),
            SentTo::One(known) if known == address => SentTo::One(address),
            SentTo::One(_) | SentTo::Several => SentTo::Several,
        };
    }
}

/// The shares of packets lost, in 1/256, from which on what is sent again goes twice, and three times: 4 and 14 %. Else one packet in
/// twenty-five of those would be lost once more, and its picture would wait for another round trip.
const RESENT_AGAIN_FROM_256: [u8; 2] = [10, 36];

/// Time that packets wait in a queue which may be full.
const LONG_QUEUE: Micros = 60_000;

/// One transport of a connection, with its sections. A connection has one, unless its client offered several bundles.
pub struct Transport {
    pub id: PeerId,
    /// The number of its transport among those of the connection. For the audit.
    #[cfg(debug_assertions)]
    pub(crate) transport: u8,
    pub participant: ParticipantId,
    pub room: RoomId,
    pub opened: Instant,
    pub ice: Ice,
    pub dtls: Dtls,
    pub handshake: SentTo,
    pub secure: Option<Box<Secure>>,
    /// Time at which the connection was suspended, because nothing was received from the client for longer than its consent
    /// lasts. Nothing is sent to it.
    pub suspended: Option<Instant>,
    pub sections: Vec<MediaSection>,
    pub tracks: SmallVec<[TrackKey; 2]>,
    pub subscriptions: SmallVec<[SubscriptionKey; 2]>,
    pub streams: SmallVec<[IncomingStream; 4]>,
    /// The last reports about the sound and the pictures that its client cannot decode.
    pub decoding: [DecodingReports; 2],
    /// Our SSRC in feedback.
    pub(crate) feedback_ssrc: u32,
    pub publisher: Option<Box<Publisher>>,
    /// Newest reference times of the client, the oldest one first: one for each SSRC under which it reports.
    pub(crate) reference_times: SmallVec<[ReferenceTime; 2]>,
    /// How its bandwidth was divided last.
    pub(crate) division: Division,
    /// What its path loses.
    pub(crate) loss: PathLoss,
    /// How long its client is asked to hold pictures back.
    pub(crate) playout: Playout,
    /// What the publishers of what it watches know of its path.
    pub(crate) path_seen: PathSeen,
    /// What a test lets its path be.
    #[cfg(debug_assertions)]
    pub(crate) supposed: Option<Outcome>,
}

/// A time of the client's clock, which it wants back to learn its round trip (RFC 3611 §4.4).
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReferenceTime {
    pub ssrc: u32,
    /// The middle 32 bits of the client's time.
    pub last: u32,
    pub received: Instant,
    pub is_answered: bool,
}

/// State that only a connection has that sends to us.
pub struct Publisher {
    /// The ids of the header extensions in the client's packets.
    pub extensions: ExtensionIds,
    pub(crate) transport_feedback: TransportFeedback,
    pub(crate) estimate: ReceiverEstimate,
    pub(crate) next_report: Instant,
    /// Whether a packet came since the last transport-wide feedback. Then the connection is visited when the next feedback is
    /// due.
    pub is_heard: bool,
    pub(crate) next_feedback: Instant,
    pub(crate) received_bytes: u64,
    pub(crate) fir_command: u8,
    pub(crate) steering: Steering,
    /// Time at which to look what the client is to send, before the next report: something has changed.
    pub(crate) next_steering: Option<Instant>,
    /// Orders about its encodings that the client was sent. `None` if it does not understand them.
    pub(crate) sent_orders: Option<SentOrders>,
    pub(crate) speech: SpeechReports,
    /// Time at which the loudness of its sound is counted next.
    pub(crate) next_loudness: Instant,
    /// Whether there is sound to count then.
    pub(crate) counts_loudness: bool,
}

impl Transport {
    pub fn new(
        now: Instant,
        spec: &PeerSpec,
        transport: &TransportSpec,
        sections: &[MediaSection],
        identity: &DtlsIdentity,
    ) -> Transport {
        Transport {
            id: spec.peer,
            #[cfg(debug_assertions)]
            transport: transport.number,
            participant: spec.participant,
            room: spec.room,
            opened: now,
            ice: Ice::new(
                now,
                &transport.local_ufrag,
                &transport.local_pwd,
                &transport.remote_ufrag,
            ),
            dtls: Dtls::new(
                identity.clone(),
                transport.dtls_role,
                transport.remote_fingerprints.clone(),
            ),
            handshake: SentTo::default(),
            secure: None,
            suspended: None,
            sections: Vec::new(),
            tracks: SmallVec::new(),
            subscriptions: SmallVec::new(),
            streams: SmallVec::new(),
            decoding: Default::default(),
            feedback_ssrc: sections.first().map_or(1, |section| section.local_ssrc),
            publisher: None,
            reference_times: SmallVec::new(),
            division: Division::default(),
            loss: PathLoss::default(),
            playout: Playout::default(),
            path_seen: PathSeen::default(),
            #[cfg(debug_assertions)]
            supposed: None,
        }
    }

    /// Whether the last report about its participant is that they speak.
    pub(crate) fn is_speaking(&self) -> bool {
        self.publisher
            .as_ref()
            .is_some_and(|publisher| publisher.speech.is_speaking())
    }

    /// What is known of its path to the client. `None` where nothing is.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        #[cfg(debug_assertions)]
        if self.supposed.is_some() {
            return self.supposed;
        }
        self.secure.as_ref()?.sender.outcome()
    }

    /// Whether its client has reported anything about the path.
    pub(crate) fn has_reported_path(&self) -> bool {
        #[cfg(debug_assertions)]
        if self.supposed.is_some() {
            return true;
        }
        self.secure.as_ref().is_some_and(|secure| secure.sender.is_heard())
    }

    /// The number of times that a packet is sent again when its client asks for it: two or three where many are lost, and the path
    /// carries the others beside everything else. Where packets wait in a queue, it may be that which loses them.
    pub(crate) fn copies_of_resends(&self, now: Instant) -> usize {
        let Some(outcome) = self.outcome().filter(|outcome| outcome.queue_delay < LONG_QUEUE) else {
            return 1;
        };
        let lost = self.loss.in_256(now);
        let more = RESENT_AGAIN_FROM_256.iter().zip(1..);
        let wanted = more.filter(|&(&from, times)| {
            lost >= from && self.division.leaves_room(outcome.target, lost.saturating_mul(times))
        });
        1 + wanted.count()
    }

    pub fn stream(&self, ssrc: u32) -> Option<IncomingStream> {
        self.streams.iter().copied().find(|stream| stream.ssrc == ssrc)
    }

    /// Forgets the streams of a track that has ended.
    pub(crate) fn unbind(&mut self, track: TrackKey) {
        if let Some(secure) = &mut self.secure {
            let ended = self.streams.iter().filter(|stream| stream.track == track);
            ended.for_each(|stream| secure.inbound.unbind(stream.ssrc));
        }
        self.streams.retain(|stream| stream.track != track);
    }

    /// The way for copies to this connection. `None` while there is no way to its client.
    pub fn sink<'a>(&'a mut self, egress: &'a mut Egress) -> Option<Sink<'a>> {
        let path = self.ice.selected()?;
        let sender = &mut self.secure.as_mut()?.sender;
        Some(Sink { sender, path, egress })
    }

    /// Protects packets with the keys of a new handshake from now on. Streams that are known continue under these keys.
    pub(crate) fn secure_with(&mut self, outbound: Outbound, mut inbound: Inbound) {
        self.streams.iter().for_each(|stream| inbound.bind(stream.ssrc));
        let sender = Sender::new(outbound);
        self.secure = Some(Box::new(Secure { sender, inbound }));
    }

    /// Replaces the sections by those of a new offer.
    pub(crate) fn renegotiate(&mut self, sections: Vec<MediaSection>) {
        if let Some(publisher) = &mut self.publisher {
            publisher.extensions = ExtensionIds::default();
            for section in sections.iter().filter(|section| section.up.is_some()) {
                publisher.extensions.learn(&section.extensions);
            }
        }
        self.sections = sections;
    }
}
