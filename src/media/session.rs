//! The result of a negotiation, as plain values. [`super::peer::negotiate`] makes it on the signaling side, and the worker
//! carries it out. It has no texts of an offer, and nothing in it is shared.

use std::net::SocketAddr;

use smallvec::SmallVec;

use super::codec::Codec;
use super::names::{Down, Muted, TrackName};
use super::rtp::Extension;
use crate::ids::{Features, ParticipantId, PeerId, RoomId, WorkerId};
use crate::media::codec::Kind;

/// One WebRTC connection as negotiated: everything that a worker needs to run it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerSpec {
    pub peer: PeerId,
    pub participant: ParticipantId,
    pub room: RoomId,
    /// The other workers that serve the room. This connection's worker shares the room with them.
    pub others: SmallVec<[WorkerId; 1]>,
    /// Transports of the connection; at least one, each with a number of its own.
    pub transports: SmallVec<[TransportSpec; 1]>,
    /// Whether the answer has the fingerprint of our other certificate; see [`LocalEnd::spare_fingerprint`].
    pub spare_certificate: bool,
    pub sections: Vec<MediaSection>,
    /// The part of what the client publishes that is forwarded to nobody.
    pub muted: Muted,
    /// What the client understands beside the messages that all clients do.
    pub understands: Features,
}

impl PeerSpec {
    /// The number of streams that are sent over the connection.
    pub fn copies(&self) -> usize {
        let streams = self.sections.iter().flat_map(MediaSection::streams);
        streams.filter(|stream| stream.down.is_some()).count()
    }
}

/// ICE and DTLS of the sections that share a transport: the sections of a BUNDLE group (RFC 9143), or one that is in no group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportSpec {
    /// The transport's place among those of the connection. It stays the same for as long as the connection has the transport.
    pub number: u8,
    pub local_ufrag: String,
    pub local_pwd: String,
    pub remote_ufrag: String,
    pub remote_pwd: String,
    /// Certificate hashes that are accepted (RFC 8122), from `a=fingerprint`; at least one.
    pub remote_fingerprints: Vec<Fingerprint>,
    pub dtls_role: DtlsRole,
}

/// A hash of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    pub hash: FingerprintHash,
    pub digest: SmallVec<[u8; 32]>,
}

/// The function that made the hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FingerprintHash {
    Sha256,
    Sha384,
    Sha512,
}

/// Our side of the DTLS handshake. `setup:actpass` and `setup:active` offers make us the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DtlsRole {
    Client,
    Server,
}

/// One accepted m-line. Rejected m-lines, and data, exist only in the answer's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaSection {
    pub mid: SmallVec<[u8; 16]>,
    /// The number of the transport that carries it.
    pub transport: u8,
    pub kind: Kind,
    /// The name of the track that the client publishes in this section. `None` if it does not send.
    pub up: Option<TrackName>,
    /// The source of what we send in this section. `None` if we do not send: the section is on hold, or there is nothing to
    /// send.
    pub down: Option<Down>,
    /// Codecs of the section, in the order of the answer.
    pub codecs: SmallVec<[NegotiatedCodec; 8]>,
    /// Header extensions by the ids (RFC 8285) that both sides use in this section. Each id is 1 to 14, or up to 31 where
    /// two-byte headers are allowed.
    pub extensions: SmallVec<[(u8, Extension); 8]>,
    /// The id under which the client reads transport-wide numbers of what we send. `None` if it does not read them.
    pub number_id: Option<u8>,
    /// SSRCs that the client announced with `a=ssrc`, in order; empty if it relies on mid and rid.
    pub remote_ssrcs: SmallVec<[RemoteSsrc; 4]>,
    /// Simulcast rids in the order of `a=simulcast:send`. That is not the order of quality, which the packets show.
    pub rids: SmallVec<[SmallVec<[u8; 16]>; 3]>,
    /// SSRC under which we send. It is chosen once for the life of the section, and kept on re-offers.
    pub local_ssrc: u32,
    pub local_rtx_ssrc: u32,
    /// Streams that we send in this section beside that one: slots that share it.
    pub further: Vec<SentStream>,
}

/// A stream that we send in a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentStream {
    /// Its source. `None` if we do not send.
    pub down: Option<Down>,
    pub ssrc: u32,
    pub rtx_ssrc: u32,
}

impl MediaSection {
    /// The streams that we send in the section, also those on hold.
    pub fn streams(&self) -> impl Iterator<Item = SentStream> {
        let first = SentStream {
            down: self.down,
            ssrc: self.local_ssrc,
            rtx_ssrc: self.local_rtx_ssrc,
        };
        std::iter::once(first).chain(self.further.iter().copied())
    }
}

/// A media SSRC of the client and the SSRC of its retransmissions (`a=ssrc-group:FID`). Several in one section are simulcast
/// layers (`a=ssrc-group:SIM`), in the order of the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemoteSsrc {
    pub ssrc: u32,
    pub rtx: Option<u32>,
}

/// One payload type of a section, with the offer's own numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NegotiatedCodec {
    pub payload_type: u8,
    pub rtx_payload_type: Option<u8>,
    pub codec: Codec,
    pub feedback: Feedback,
}

/// The kinds of feedback (`a=rtcp-fb`) that both sides use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Feedback {
    pub nack: bool,
    pub pli: bool,
    pub fir: bool,
    pub transport_cc: bool,
    pub remb: bool,
    /// Receiver reference times, which libwebrtc also negotiates in this way.
    pub rrtr: bool,
}

/// Our side of every answer. It is the same for all peers of one worker.
#[derive(Clone, Debug)]
pub struct LocalEnd {
    /// SHA-256 of the process's DTLS certificate.
    pub fingerprint: [u8; 32],
    /// SHA-256 of another certificate. A client keeps a DTLS association for as long as the fingerprint stays the same (RFC
    /// 8842 §4). If we no longer have the keys of an association, the answer has the other fingerprint, and the client begins a
    /// new one.
    pub spare_fingerprint: [u8; 32],
    /// Host candidates by UDP, best first. Never empty.
    pub candidates: Vec<SocketAddr>,
    /// Host candidates by TCP, best first: where clients may connect whom no UDP reaches. Empty if there are none.
    pub tcp_candidates: Vec<SocketAddr>,
    /// The worker, which clients name when they come by TCP; see [`super::tcp::ufrag`].
    pub worker: WorkerId,
}
