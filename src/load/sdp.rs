//! Session descriptions, written and read as a client does: VP8 and Opus, one transport for all sections.
//!
//! Congestion feedback (transport-wide) is for subscribers behind a simulated link. Others neither offer nor accept it: the
//! path is inside one machine, and servers are compared by the packets that they forward, not by their estimate of a
//! bottleneck that does not exist.

use std::fmt::Write;
use std::io::Cursor;
use std::net::{IpAddr, SocketAddr};

use rtc_sdp::SessionDescription;
use rtc_sdp::description::common::Attribute;

use super::connection::{Credentials, Remote};
use super::error::LoadError;
use super::source::ExtensionIds;
use crate::media::codec::Kind;
use crate::media::rtp::Extension;
use crate::media::session::{DtlsRole, Fingerprint, FingerprintHash};

pub(crate) const AUDIO_PAYLOAD_TYPE: u8 = 111;
pub(crate) const VIDEO_PAYLOAD_TYPE: u8 = 96;
const RTX_PAYLOAD_TYPE: u8 = 97;

/// The extension ids of our own offers.
const OFFERED: [(u8, Extension); 4] = [
    (1, Extension::AudioLevel),
    (3, Extension::TransportSequence),
    (4, Extension::Mid),
    (10, Extension::Rid),
];

/// The feedback that tells the arrival times of numbered packets.
const TRANSPORT_CC: &str = "transport-cc";

/// Simulcast layers, lowest first: the rid, the layer's part of the bit rate, and the height of its pictures.
pub(crate) const SIMULCAST: [(&str, f64, u16); 3] = [("q", 0.08, 180), ("h", 0.27, 360), ("f", 0.65, HEIGHT)];
/// Height of a video.
pub(crate) const HEIGHT: u16 = 720;

/// An offer that offers no audio levels.
pub(crate) fn without_levels(offer: &str) -> String {
    let uri = Extension::AudioLevel.uri();
    offer.split_inclusive('\n').filter(|line| !line.contains(uri)).collect()
}

/// One section of an offer of ours.
#[derive(Clone, Debug)]
pub(crate) struct Offered {
    pub kind: Kind,
    /// The SSRCs that it sends with: several with simulcast, none where it only receives.
    pub ssrcs: Vec<u32>,
    /// Whether it sends congestion feedback about what it receives.
    pub(crate) feedback: bool,
}

/// The offer of a client that sends or receives these sections. `stream` is the name of its media stream.
pub fn offer(local: &Credentials, fingerprint: &[u8; 32], sections: &[Offered], stream: &str) -> String {
    let mut sdp = String::from("v=0\r\no=- 4611686018427387904 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE");
    for mid in 0..sections.len() {
        let _ = write!(sdp, " {mid}");
    }
    let _ = write!(sdp, "\r\na=extmap-allow-mixed\r\na=msid-semantic: WMS {stream}\r\n");
    for (mid, section) in sections.iter().enumerate() {
        media_section(&mut sdp, local, fingerprint, mid, section, stream);
    }
    sdp
}

fn media_section(
    sdp: &mut String,
    local: &Credentials,
    fingerprint: &[u8; 32],
    mid: usize,
    section: &Offered,
    stream: &str,
) {
    let line = match section.kind {
        Kind::Audio => format!("m=audio 9 UDP/TLS/RTP/SAVPF {AUDIO_PAYLOAD_TYPE}"),
        Kind::Video => format!("m=video 9 UDP/TLS/RTP/SAVPF {VIDEO_PAYLOAD_TYPE} {RTX_PAYLOAD_TYPE}"),
    };
    let _ = write!(sdp, "{line}\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n");
    transport(sdp, local, fingerprint, "actpass");
    let _ = write!(sdp, "a=mid:{mid}\r\n");
    for (id, extension) in OFFERED {
        let fits = match extension {
            Extension::AudioLevel => section.kind == Kind::Audio,
            Extension::Rid => section.ssrcs.len() > 1,
            Extension::TransportSequence => section.feedback,
            _ => true,
        };
        if fits {
            let _ = write!(sdp, "a=extmap:{id} {}\r\n", extension.uri());
        }
    }
    match section.ssrcs.as_slice() {
        [] => sdp.push_str("a=recvonly\r\n"),
        _ => {
            let _ = write!(sdp, "a=sendonly\r\na=msid:{stream} {stream}-{mid}\r\n");
        }
    }
    sdp.push_str("a=rtcp-mux\r\n");
    codecs(
        sdp,
        section.kind,
        [AUDIO_PAYLOAD_TYPE, VIDEO_PAYLOAD_TYPE],
        Some(RTX_PAYLOAD_TYPE),
        section.feedback,
    );
    match section.ssrcs.as_slice() {
        [] => {}
        [ssrc] if section.kind == Kind::Audio => {
            let _ = write!(sdp, "a=ssrc:{ssrc} cname:{stream}\r\n");
        }
        [ssrc] => {
            let rtx = ssrc + 1;
            let _ = write!(
                sdp,
                "a=ssrc-group:FID {ssrc} {rtx}\r\na=ssrc:{ssrc} cname:{stream}\r\na=ssrc:{rtx} cname:{stream}\r\n"
            );
        }
        layers => {
            for (rid, ..) in &SIMULCAST[..layers.len()] {
                let _ = write!(sdp, "a=rid:{rid} send\r\n");
            }
            let rids: Vec<&str> = SIMULCAST[..layers.len()].iter().map(|(rid, ..)| *rid).collect();
            let _ = write!(sdp, "a=simulcast:send {}\r\n", rids.join(";"));
        }
    }
}

fn transport(sdp: &mut String, local: &Credentials, fingerprint: &[u8; 32], setup: &str) {
    let digest: Vec<String> = fingerprint.iter().map(|byte| format!("{byte:02X}")).collect();
    let _ = write!(
        sdp,
        "a=ice-ufrag:{}\r\na=ice-pwd:{}\r\na=ice-options:trickle\r\na=fingerprint:sha-256 {}\r\na=setup:{setup}\r\n",
        local.ufrag,
        local.pwd,
        digest.join(":")
    );
}

fn codecs(sdp: &mut String, kind: Kind, [audio, video]: [u8; 2], rtx: Option<u8>, feedback: bool) {
    if feedback {
        let payload_type = match kind {
            Kind::Audio => audio,
            Kind::Video => video,
        };
        let _ = write!(sdp, "a=rtcp-fb:{payload_type} {TRANSPORT_CC}\r\n");
    }
    match kind {
        Kind::Audio => {
            let _ = write!(
                sdp,
                "a=rtpmap:{audio} opus/48000/2\r\na=fmtp:{audio} minptime=10;useinbandfec=1\r\n"
            );
        }
        Kind::Video => {
            let _ = write!(sdp, "a=rtpmap:{video} VP8/90000\r\n");
            for feedback in ["ccm fir", "nack", "nack pli"] {
                let _ = write!(sdp, "a=rtcp-fb:{video} {feedback}\r\n");
            }
            if let Some(rtx) = rtx {
                let _ = write!(sdp, "a=rtpmap:{rtx} rtx/90000\r\na=fmtp:{rtx} apt={video}\r\n");
            }
        }
    }
}

/// A description made by the server.
#[derive(Debug)]
pub struct Description {
    session: Vec<Attribute>,
    pub sections: Vec<Section>,
}

/// What a subscriber must know of its session to read packets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Terms {
    /// The id of the transport-wide sequence number; 0 without one.
    pub(crate) number_id: u8,
    /// The payload types of retransmissions (RFC 4588).
    pub(crate) rtx_payload_types: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Section {
    /// The kind of media; `None` for data.
    pub kind: Option<Kind>,
    /// The m-line as it was, without "m=".
    pub line: String,
    pub mid: String,
    pub rejected: bool,
    attributes: Vec<Attribute>,
}

impl Description {
    pub fn parse(text: &str) -> Result<Description, LoadError> {
        let parsed = SessionDescription::unmarshal(&mut Cursor::new(text.as_bytes()))
            .map_err(|error| LoadError::Description(error.to_string().chars().take(120).collect()))?;
        let sections = parsed.media_descriptions.into_iter().map(|media| {
            let name = &media.media_name;
            Section {
                kind: match name.media.as_str() {
                    "audio" => Some(Kind::Audio),
                    "video" => Some(Kind::Video),
                    _ => None,
                },
                line: name.to_string(),
                mid: value(&media.attributes, "mid").unwrap_or_default().to_owned(),
                rejected: name.port.value == 0,
                attributes: media.attributes,
            }
        });
        Ok(Description {
            sections: sections.collect(),
            session: parsed.attributes,
        })
    }

    /// An attribute of the first section that has it, or else of the session.
    fn find(&self, key: &str) -> Option<&str> {
        let mut sections = self.sections.iter().filter(|section| !section.rejected);
        sections
            .find_map(|section| value(&section.attributes, key))
            .or_else(|| value(&self.session, key))
    }

    /// What a subscriber must know of a description to read the packets that follow it.
    pub(crate) fn terms(&self) -> Terms {
        let mut terms = Terms::default();
        for section in self.sections.iter().filter(|section| !section.rejected) {
            let Some((_, payload_type)) = codec(section) else {
                continue;
            };
            terms.rtx_payload_types.extend(section.rtx_of(payload_type));
            if terms.number_id == 0 && section.has_transport_cc(payload_type) {
                terms.number_id = section.extension_id(Extension::TransportSequence).unwrap_or(0);
            }
        }
        terms.rtx_payload_types.dedup();
        terms
    }

    /// The other end's transport. `answers` is true if this is its answer to our offer; `more` are candidates that came
    /// separately. Only candidates at `hosts` are used: the tester sends nowhere else.
    pub fn remote(&self, hosts: &[IpAddr], answers: bool, more: &[String]) -> Result<Remote, LoadError> {
        let need = |key: &'static str| {
            self.find(key)
                .map(str::to_owned)
                .ok_or_else(|| LoadError::Description(format!("it has no a={key}")))
        };
        let credentials = Credentials {
            ufrag: need("ice-ufrag")?,
            pwd: need("ice-pwd")?,
        };
        let role = match (answers, need("setup")?.as_str()) {
            (true, "active") => DtlsRole::Server,
            _ => DtlsRole::Client,
        };
        Ok(Remote {
            credentials,
            address: self.address(hosts, more)?,
            fingerprints: vec![fingerprint(&need("fingerprint")?)?],
            role,
            controlling: answers || self.find("ice-lite").is_some(),
        })
    }

    fn address(&self, hosts: &[IpAddr], more: &[String]) -> Result<SocketAddr, LoadError> {
        let own = self.sections.iter().flat_map(|section| &section.attributes);
        let lines = own
            .filter(|attribute| attribute.key == "candidate")
            .filter_map(|attribute| attribute.value.as_deref())
            .chain(more.iter().map(|line| line.trim_start_matches("candidate:")));
        let offered: Vec<SocketAddr> = lines.filter_map(candidate).collect();
        if let Some(found) = offered.iter().find(|address| hosts.contains(&address.ip())) {
            return Ok(*found);
        }
        let texts: Vec<String> = offered.iter().map(ToString::to_string).collect();
        Err(match texts.as_slice() {
            [] => LoadError::Description("it has no UDP candidate".to_owned()),
            _ => LoadError::ElsewhereMedia {
                offered: texts.join(", "),
            },
        })
    }
}

impl Section {
    /// Payload type of the first codec with this name ("VP8", "opus").
    pub fn payload_type(&self, codec: &str) -> Option<u8> {
        self.values("rtpmap").find_map(|map| {
            let (payload_type, name) = map.split_once(' ')?;
            let name = name.split('/').next()?;
            name.eq_ignore_ascii_case(codec).then(|| payload_type.parse().ok())?
        })
    }

    pub fn values<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.attributes
            .iter()
            .filter(move |attribute| attribute.key == key)
            .filter_map(|attribute| attribute.value.as_deref())
    }

    /// The name of the track that is sent (RFC 8830): what follows that of its stream.
    pub(crate) fn track(&self) -> Option<&str> {
        value(&self.attributes, "msid")?.split(' ').nth(1)
    }

    fn has(&self, key: &str) -> bool {
        self.attributes.iter().any(|attribute| attribute.key == key)
    }

    fn is_data(&self) -> bool {
        !self.rejected && self.kind.is_none() && self.line.starts_with("application ")
    }

    /// Whether the other end would send in this section.
    pub fn sends(&self) -> bool {
        !self.rejected && !self.has("recvonly") && !self.has("inactive")
    }

    /// The id of a header extension.
    fn extension_id(&self, extension: Extension) -> Option<u8> {
        self.values("extmap").find_map(|map| {
            let (id, uri) = map.split_once(' ')?;
            let is_it = uri.split(' ').next() == Some(extension.uri());
            is_it.then(|| id.split('/').next()?.parse().ok())?
        })
    }

    /// Whether the codec of this payload type has transport-wide feedback; "*" stands for all codecs (RFC 4585 §4.2).
    fn has_transport_cc(&self, payload_type: u8) -> bool {
        self.values("rtcp-fb").any(|line| {
            let words = line.split_once(' ');
            words.is_some_and(|(of, what)| what.trim() == TRANSPORT_CC && (of == "*" || of.parse() == Ok(payload_type)))
        })
    }

    /// The extension ids that our packets may use.
    pub(crate) fn extension_ids(&self) -> ExtensionIds {
        let id = |extension: Extension| self.extension_id(extension).filter(|id| *id < 15).unwrap_or(0);
        ExtensionIds {
            mid: id(Extension::Mid),
            rid: id(Extension::Rid),
            transport_sequence: id(Extension::TransportSequence),
            audio_level: id(Extension::AudioLevel),
        }
    }
}

/// The answer of a client that receives all VP8 and Opus that `offer` would send. It accepts data channels but never
/// opens one: LiveKit's offer begins with them, and its transport is theirs. With `feedback` it accepts congestion feedback
/// where that is offered.
pub fn answer(local: &Credentials, fingerprint: &[u8; 32], offer: &Description, feedback: bool) -> String {
    let taken = |section: &&Section| section.is_data() || section.sends() && codec(section).is_some();
    let mut sdp = String::from("v=0\r\no=- 4611686018427387905 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE");
    for section in offer.sections.iter().filter(taken) {
        let _ = write!(sdp, " {}", section.mid);
    }
    sdp.push_str("\r\n");
    for section in &offer.sections {
        if section.is_data() {
            let _ = write!(sdp, "m={}\r\nc=IN IP4 0.0.0.0\r\n", section.line);
            transport(&mut sdp, local, fingerprint, "active");
            let _ = write!(sdp, "a=mid:{}\r\na=sctp-port:5000\r\n", section.mid);
            continue;
        }
        let Some((kind, payload_type)) = codec(section).filter(|_| section.sends()) else {
            let mut words = section.line.split(' ');
            let media = words.next().unwrap_or("application");
            let rest: Vec<&str> = words.skip(1).collect();
            let _ = write!(
                sdp,
                "m={media} 0 {}\r\nc=IN IP4 0.0.0.0\r\na=mid:{}\r\na=inactive\r\n",
                rest.join(" "),
                section.mid
            );
            continue;
        };
        let media = match kind {
            Kind::Audio => "audio",
            Kind::Video => "video",
        };
        let rtx = section.rtx_of(payload_type);
        let rtx_word = rtx.map(|rtx| format!(" {rtx}")).unwrap_or_default();
        let _ = write!(
            sdp,
            "m={media} 9 UDP/TLS/RTP/SAVPF {payload_type}{rtx_word}\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n"
        );
        transport(&mut sdp, local, fingerprint, "active");
        let _ = write!(sdp, "a=mid:{}\r\na=recvonly\r\na=rtcp-mux\r\n", section.mid);
        for map in section.values("extmap") {
            let _ = write!(sdp, "a=extmap:{map}\r\n");
        }
        let feedback = feedback && section.has_transport_cc(payload_type);
        codecs(&mut sdp, kind, [payload_type; 2], rtx, feedback);
    }
    sdp
}

impl Section {
    fn rtx_of(&self, payload_type: u8) -> Option<u8> {
        let wanted = format!("apt={payload_type}");
        self.values("fmtp").find_map(|parameters| {
            let (rtx, parameters) = parameters.split_once(' ')?;
            (parameters.trim() == wanted).then(|| rtx.parse().ok())?
        })
    }
}

/// The codec of ours that the section has.
pub fn codec(section: &Section) -> Option<(Kind, u8)> {
    let name = match section.kind? {
        Kind::Audio => "opus",
        Kind::Video => "VP8",
    };
    Some((section.kind?, section.payload_type(name)?))
}

fn value<'a>(attributes: &'a [Attribute], key: &str) -> Option<&'a str> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    Some(found.value.as_deref().unwrap_or_default())
}

/// The address of a candidate. RFC 8839 §5.1: foundation, component, transport, priority, address, port, "typ", type.
fn candidate(line: &str) -> Option<SocketAddr> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let [_, component, transport, _, address, port, ..] = words.as_slice() else {
        return None;
    };
    if *component != "1" || !transport.eq_ignore_ascii_case("udp") {
        return None;
    }
    Some(SocketAddr::new(address.parse().ok()?, port.parse().ok()?))
}

/// A certificate's fingerprint (RFC 8122 §5).
fn fingerprint(text: &str) -> Result<Fingerprint, LoadError> {
    let unusable = || LoadError::Description(format!("fingerprint '{text}'"));
    let (hash, digest) = text.split_once(' ').ok_or_else(unusable)?;
    let hash = match hash.to_ascii_lowercase().as_str() {
        "sha-256" => FingerprintHash::Sha256,
        "sha-384" => FingerprintHash::Sha384,
        "sha-512" => FingerprintHash::Sha512,
        _ => return Err(unusable()),
    };
    let digest = hex::decode(digest.trim().replace(':', "")).map_err(|_| unusable())?;
    Ok(Fingerprint {
        hash,
        digest: digest.into_iter().collect(),
    })
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;
    use crate::ids::{Feed, FeedRef, ParticipantId, WorkerId};
    use crate::media::description;
    use crate::media::names::Use;
    use crate::media::peer::negotiate::{self, Role};
    use crate::media::session::LocalEnd;

    const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn local() -> Credentials {
        Credentials::random()
    }

    fn sends(kind: Kind, ssrcs: Vec<u32>) -> Offered {
        Offered {
            kind,
            ssrcs,
            feedback: false,
        }
    }

    fn answered(sections: &[Offered], role: Role<'_>) -> (negotiate::Negotiated, Description) {
        let server = LocalEnd {
            fingerprint: [7; 32],
            spare_fingerprint: [8; 32],
            candidates: vec![(LOCALHOST, 8_800).into()],
            tcp_candidates: Vec::new(),
            worker: WorkerId(0),
        };
        let offer = offer(&local(), &[9; 32], sections, "load");
        let mut random = StdRng::seed_from_u64(2);
        let offer = description::Description::read(&offer);
        let negotiated = negotiate::answer(&offer, &server, role, None, &mut random).unwrap();
        let description = Description::parse(&negotiated.answer).unwrap();
        (negotiated, description)
    }

    #[test]
    fn our_server_answers_a_publisher_with_simulcast() {
        let sections = [sends(Kind::Audio, vec![10]), sends(Kind::Video, vec![20, 22, 24])];
        let role = Role {
            uses: &[Use::Publish(Feed::Camera, &Kind::ALL)],
            audience: &[],
        };
        let (negotiated, answer) = answered(&sections, role);
        assert_eq!(negotiated.sections.len(), 2);
        assert_eq!(negotiated.sections[1].rids.len(), 3);
        let remote = answer.remote(&[LOCALHOST], true, &[]).unwrap();
        assert_eq!(remote.address, SocketAddr::new(LOCALHOST, 8_800));
        assert_eq!(remote.role, DtlsRole::Client);
        assert_eq!(remote.fingerprints[0].digest.as_slice(), [7; 32]);
        assert_eq!(remote.credentials.ufrag, negotiated.transports[0].local_ufrag);
        let ids = answer.sections[1].extension_ids();
        assert!(ids.mid != 0 && ids.rid != 0);
        assert_eq!(answer.sections[0].extension_ids().audio_level, 1);
    }

    #[test]
    fn our_server_answers_a_subscriber() {
        let sections = [Kind::Audio, Kind::Video].map(|kind| sends(kind, vec![]));
        let role = Role {
            uses: &[Use::Watch(FeedRef::camera(ParticipantId(1)))],
            audience: &[],
        };
        let (negotiated, answer) = answered(&sections, role);
        assert!(negotiated.sections.iter().all(|section| section.down.is_some()));
        assert_eq!(answer.sections[1].payload_type("vp8"), Some(VIDEO_PAYLOAD_TYPE));
        assert!(negotiated.sections[1].codecs[0].rtx_payload_type.is_some());
    }

    #[test]
    fn a_subscriber_offers_congestion_feedback_only_behind_a_link() {
        let offered = |feedback| {
            let sections = [Kind::Audio, Kind::Video].map(|kind| Offered {
                feedback,
                ..sends(kind, vec![])
            });
            offer(&local(), &[9; 32], &sections, "load")
        };
        let number = format!("a=extmap:3 {}\r\n", Extension::TransportSequence.uri());
        let with = offered(true);
        assert_eq!(with.matches(&number).count(), 2);
        assert!(with.contains("a=rtcp-fb:96 transport-cc\r\n") && with.contains("a=rtcp-fb:111 transport-cc\r\n"));
        let terms = Description::parse(&with).unwrap().terms();
        assert_eq!((terms.number_id, terms.rtx_payload_types), (3, vec![RTX_PAYLOAD_TYPE]));
        let without = offered(false);
        assert!(!without.contains("transport-cc") && !without.contains(&number));
        assert_eq!(Description::parse(&without).unwrap().terms().number_id, 0);
    }

    #[test]
    fn an_offered_feedback_is_accepted_only_behind_a_link_and_where_it_is_offered() {
        let offer = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n\
            m=audio 9 UDP/TLS/RTP/SAVPF 109\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=sendonly\r\na=rtpmap:109 opus/48000/2\r\n\
            m=video 9 UDP/TLS/RTP/SAVPF 98 100 101\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\na=sendonly\r\n\
            a=extmap:7/sendonly {}\r\na=rtpmap:98 H264/90000\r\n\
            a=rtpmap:100 VP8/90000\r\na=rtcp-fb:100 transport-cc\r\na=rtpmap:101 rtx/90000\r\na=fmtp:101 apt=100\r\n",
            Extension::TransportSequence.uri()
        );
        let offer = Description::parse(&offer).unwrap();
        let terms = offer.terms();
        assert_eq!((terms.number_id, terms.rtx_payload_types), (7, vec![101]));
        let accepted = answer(&local(), &[9; 32], &offer, true);
        assert_eq!(accepted.matches("transport-cc\r\n").count(), 1);
        assert!(accepted.contains("a=rtcp-fb:100 transport-cc\r\n"));
        assert!(!answer(&local(), &[9; 32], &offer, false).contains("transport-cc\r\n"));
    }

    #[test]
    fn media_elsewhere_is_refused() {
        let sections = [sends(Kind::Audio, vec![10])];
        let role = Role {
            uses: &[Use::Publish(Feed::Camera, &Kind::ALL)],
            audience: &[],
        };
        let (_, answer) = answered(&sections, role);
        let other = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
        let refused = answer.remote(&[other], true, &[]).unwrap_err();
        assert!(matches!(refused, LoadError::ElsewhereMedia { .. }), "{refused}");
    }

    #[test]
    fn an_offer_of_several_senders_and_data_is_answered() {
        let offer = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1 2\r\na=ice-lite\r\n\
            m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\n\
            a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\na=setup:actpass\r\n\
            a=fingerprint:sha-256 00:01\r\na=candidate:1 1 udp 1 127.0.0.1 5000 typ host\r\n\
            m=video 9 UDP/TLS/RTP/SAVPF 100 101\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\na=sendonly\r\n\
            a=rtpmap:100 VP8/90000\r\na=rtpmap:101 rtx/90000\r\na=fmtp:101 apt=100\r\n\
            m=video 9 UDP/TLS/RTP/SAVPF 102\r\nc=IN IP4 0.0.0.0\r\na=mid:2\r\na=sendonly\r\na=rtpmap:102 AV1/90000\r\n";
        let offer = Description::parse(offer).unwrap();
        let answer = answer(&local(), &[9; 32], &offer, false);
        let lines: Vec<&str> = answer.lines().filter(|line| line.starts_with("m=")).collect();
        assert_eq!(
            lines,
            [
                "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
                "m=video 9 UDP/TLS/RTP/SAVPF 100 101",
                "m=video 0 UDP/TLS/RTP/SAVPF 102",
            ]
        );
        assert!(answer.contains("a=group:BUNDLE 0 1\r\n"));
        let remote = offer.remote(&[LOCALHOST], false, &[]).unwrap();
        assert!(remote.controlling);
        assert_eq!(remote.role, DtlsRole::Client);
    }
}
