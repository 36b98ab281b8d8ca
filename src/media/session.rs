//! What a negotiation settles, as plain values: made by [`super::peer::negotiate`] on the signaling side,
//! carried out by the worker. Nothing here is text any more and nothing is shared.

use std::net::SocketAddr;

use smallvec::SmallVec;

use super::codec::Codec;
use super::names::{Down, TrackName};
use super::rtp::Extension;
use crate::ids::{ParticipantId, PeerId, RoomId, WorkerId};
use crate::media::codec::Kind;

/// One WebRTC connection as negotiated: everything that a worker needs to run it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerSpec {
    pub peer: PeerId,
    pub participant: ParticipantId,
    pub room: RoomId,
    /// The other workers that serve the room, which this one's is to share it with.
    pub others: SmallVec<[WorkerId; 1]>,
    /// At least one, each with another number.
    pub transports: SmallVec<[TransportSpec; 1]>,
    /// The answer has the fingerprint of our other certificate; see [`LocalEnd::spare_fingerprint`].
    pub spare_certificate: bool,
    pub sections: Vec<MediaSection>,
}

/// ICE and DTLS of the sections that share a transport: those of a BUNDLE group (RFC 9143), or one that is in none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportSpec {
    /// The place among the transports of the connection, for as long as it has this transport.
    pub number: u8,
    pub local_ufrag: String,
    pub local_pwd: String,
    pub remote_ufrag: String,
    pub remote_pwd: String,
    /// Acceptable certificate hashes (RFC 8122), from `a=fingerprint`; at least one.
    pub remote_fingerprints: Vec<Fingerprint>,
    pub dtls_role: DtlsRole,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    pub hash: FingerprintHash,
    pub digest: SmallVec<[u8; 32]>,
}

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

/// One accepted m-line. Rejected ones (and data) exist only in the answer's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaSection {
    pub mid: SmallVec<[u8; 16]>,
    /// The number of the transport that carries it.
    pub transport: u8,
    pub kind: Kind,
    /// The name of the track that the client publishes in this section. `None` if it does not send.
    pub up: Option<TrackName>,
    /// What we send in this section. `None` if we do not send: the section is on hold, or there is nothing to send.
    pub down: Option<Down>,
    /// In the order of the offer's preference.
    pub codecs: SmallVec<[NegotiatedCodec; 8]>,
    /// RFC 8285 ids that both sides use in this section; each is 1 to 14, or up to 31 where two-byte headers are allowed.
    pub extensions: SmallVec<[(u8, Extension); 8]>,
    /// The id under which the client reads transport-wide numbers of what we send; `None` where it does not.
    pub number_id: Option<u8>,
    /// SSRCs the client announced with `a=ssrc`, in order; empty where it relies on mid and rid.
    pub remote_ssrcs: SmallVec<[RemoteSsrc; 4]>,
    /// Simulcast rids in the order of `a=simulcast:send` (not ordered by quality: that is learned from the packets).
    pub rids: SmallVec<[SmallVec<[u8; 16]>; 3]>,
    /// What we send with, chosen once for the life of the section; kept on re-offers.
    pub local_ssrc: u32,
    pub local_rtx_ssrc: u32,
}

/// A media SSRC of the client and its RTX companion (`a=ssrc-group:FID`).
/// Several in one section are simulcast layers (`a=ssrc-group:SIM`), in the order of the group.
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

/// `a=rtcp-fb` that both sides keep to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Feedback {
    pub nack: bool,
    pub pli: bool,
    pub fir: bool,
    pub transport_cc: bool,
    pub remb: bool,
}

/// What our side of every answer says, the same for all peers of one worker.
#[derive(Clone, Debug)]
pub struct LocalEnd {
    /// SHA-256 of the process's DTLS certificate.
    pub fingerprint: [u8; 32],
    /// That of another certificate. A client keeps a DTLS association for as long as the fingerprint stays the same
    /// (RFC 8842 §4): one whose keys we no longer have is answered with the other, and begins anew.
    pub spare_fingerprint: [u8; 32],
    /// Host candidates, best first. Never empty.
    pub candidates: Vec<SocketAddr>,
}
