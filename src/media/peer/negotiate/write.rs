//! The answer's text. Each part of it that is the client's was checked to be a token when it was read.

use std::net::SocketAddr;

use rtc_sdp::description::common::{Address, ConnectionInformation};
use rtc_sdp::description::media::{MediaName, RangedPort};
use rtc_sdp::description::session::{Origin, TimeDescription};
use rtc_sdp::{MediaDescription, SessionDescription};
use smallvec::SmallVec;

use super::codecs::encoding_name;
use super::extensions::Accepted;
use super::terms::LocalCandidate;
use super::transport::Settled;
use crate::media::description::{ALLOW_MIXED, Direction, Format, Offered, Rid, Section, Simulcast, Syntax};
use crate::media::session::{DtlsRole, Feedback, LocalEnd, MediaSection, TransportSpec};

/// Type preference of host candidates by UDP, and the component of RTP (RFC 8445 §5.1.2.1).
const HOST_PREFERENCE: u32 = 126;
/// Type preference of host candidates by TCP: below all by UDP (RFC 6544 §4.2), also those that a client finds by a server.
const TCP_HOST_PREFERENCE: u32 = 90;
/// Direction preference of passive host candidates by TCP (RFC 6544 §4.2). It is the upper three bits of their local preference.
const PASSIVE_PREFERENCE: u32 = 4;
const RTP_COMPONENT: u32 = 1;

/// An accepted section, and what else its part of the answer says.
pub(super) struct AcceptedSection<'a> {
    pub media: MediaSection,
    pub formats: Vec<Format>,
    pub extensions: SmallVec<[Accepted; 8]>,
    /// Simulcast of the client. `None` if the section has no rids.
    pub simulcast: Option<&'a Simulcast>,
}

/// Values that all sections of an answer have in common.
pub(super) struct Common<'a> {
    pub offer: &'a Offered,
    pub local: &'a LocalEnd,
    /// Transports with their sections. Empty if every section is refused.
    pub(crate) settled: &'a [Settled],
    /// The transport that refused sections name.
    pub first: &'a TransportSpec,
    pub(crate) session_id: u64,
    pub version: u64,
}

/// Writes an answer. `sections` answer those of the offer one by one; `None` refuses.
pub(super) fn answer(common: &Common<'_>, sections: &[Option<AcceptedSection<'_>>]) -> String {
    let mut description = SessionDescription {
        origin: Origin {
            username: "-".to_owned(),
            session_id: common.session_id,
            session_version: common.version,
            network_type: "IN".to_owned(),
            address_type: "IP4".to_owned(),
            unicast_address: "127.0.0.1".to_owned(),
        },
        session_name: "-".to_owned(),
        time_descriptions: vec![TimeDescription::default()],
        ..SessionDescription::default()
    };
    for Settled { members, .. } in common.settled.iter().filter(|one| one.members.bundled) {
        let sections = members.sections.iter();
        let mids = sections.filter_map(|index| common.offer.sections[*index].mid.as_deref());
        let group = mids.fold("BUNDLE".to_owned(), |group, mid| group + " " + mid);
        description = description.with_value_attribute("group".to_owned(), group);
    }
    description = description
        .with_property_attribute("ice-lite".to_owned())
        // ice2: RFC 8445 §10; trickle: the client may go on sending candidates after its offer (RFC 8840 §4).
        .with_value_attribute("ice-options".to_owned(), "ice2 trickle".to_owned());
    if common.offer.allows_mixed {
        description = description.with_property_attribute(ALLOW_MIXED.to_owned());
    }
    // Clients from before Unified Plan read `a=ssrc … msid` only below this.
    description = description.with_value_attribute("msid-semantic".to_owned(), "WMS *".to_owned());
    for (section, accepted) in common.offer.sections.iter().zip(sections) {
        description = description.with_media(match accepted {
            Some(accepted) => accept(common, section, accepted),
            None => refuse(common, section),
        });
    }
    description.marshal()
}

/// Refuses a section: port zero, and at least one format, which means nothing (RFC 3264 §6). The transport's attributes mean
/// nothing either. They are there as in the answers of browsers: some clients look for them before they look at the port.
fn refuse(common: &Common<'_>, section: &Section) -> MediaDescription {
    let formats = vec![section.line.format.to_string()];
    let out = with_transport(media_line(section, 0, formats, None), common, common.first);
    let out = with_mid(out, section).with_property_attribute("inactive".to_owned());
    match section.rtcp_mux {
        true => out.with_property_attribute("rtcp-mux".to_owned()),
        false => out,
    }
}

fn accept(common: &Common<'_>, section: &Section, accepted: &AcceptedSection<'_>) -> MediaDescription {
    let formats = accepted
        .formats
        .iter()
        .map(|format| format.payload_type().to_string())
        .collect();
    let first = common.local.candidates.first().copied();
    let mut out = media_line(section, first.map_or(9, |address| address.port()), formats, first);
    let number = accepted.media.transport;
    let settled = common.settled.iter().find(|one| one.spec.number == number);
    if settled.is_some_and(|one| one.members.sections.first() == Some(&section.index)) {
        out = with_candidates(out, common.local);
    }
    out = with_transport(out, common, settled.map_or(common.first, |one| &one.spec));
    out = with_mid(out, section);
    for extension in &accepted.extensions {
        out = out.with_value_attribute("extmap".to_owned(), extmap(extension));
    }
    if section.allows_mixed {
        out = out.with_property_attribute(ALLOW_MIXED.to_owned());
    }
    let direction = Direction {
        sends: accepted.media.down.is_some(),
        receives: accepted.media.up.is_some(),
    };
    out = out
        .with_property_attribute(direction.name().to_owned())
        .with_property_attribute("rtcp-mux".to_owned());
    if section.rtcp_rsize {
        out = out.with_property_attribute("rtcp-rsize".to_owned());
    }
    if let Some(round_trips) = section.round_trips {
        out = out.with_value_attribute("rtcp-xr".to_owned(), round_trips.format().to_owned());
    }
    for format in &accepted.formats {
        out = with_format(out, format);
    }
    out = with_simulcast(out, accepted);
    match accepted.media.down {
        Some(down) => with_stream(out, section, accepted, &down.stream()),
        None => out,
    }
}

fn media_line(section: &Section, port: u16, formats: Vec<String>, address: Option<SocketAddr>) -> MediaDescription {
    let (address_type, ip) = match address {
        Some(address) if address.is_ipv6() => ("IP6", address.ip().to_string()),
        Some(address) => ("IP4", address.ip().to_string()),
        None => ("IP4", "0.0.0.0".to_owned()),
    };
    MediaDescription {
        media_name: MediaName {
            media: section.line.media.to_string(),
            port: RangedPort {
                value: port as isize,
                range: None,
            },
            protos: vec![section.line.protocol.to_string()],
            formats,
        },
        connection_information: Some(ConnectionInformation {
            network_type: "IN".to_owned(),
            address_type: address_type.to_owned(),
            address: Some(Address {
                address: ip,
                ttl: None,
                range: None,
            }),
        }),
        ..MediaDescription::default()
    }
}

fn with_mid(media: MediaDescription, section: &Section) -> MediaDescription {
    match &section.mid {
        Some(mid) => media.with_value_attribute("mid".to_owned(), mid.to_string()),
        None => media,
    }
}

/// The candidates of an answer. Those of each transport stand in its first section (RFC 9143 §7.2).
pub(super) fn candidates(common: &Common<'_>) -> Vec<LocalCandidate> {
    let firsts = common.settled.iter().filter_map(|one| one.members.sections.first());
    let mut firsts: Vec<usize> = firsts.copied().collect();
    firsts.sort_unstable();
    let of_section = |section: usize| {
        let mid = common.offer.sections[section].mid.as_deref().unwrap_or_default();
        let values = candidate_values(common.local);
        values.map(move |value| LocalCandidate {
            line: format!("candidate:{value}"),
            mid: mid.to_owned(),
            section,
        })
    };
    firsts.into_iter().flat_map(of_section).collect()
}

/// Adds the candidates. They are complete: a lite agent has its host candidates and no others (RFC 8445 §5.2).
fn with_candidates(media: MediaDescription, local: &LocalEnd) -> MediaDescription {
    let media = candidate_values(local).fold(media, MediaDescription::with_candidate);
    media.with_property_attribute("end-of-candidates".to_owned())
}

/// Values of candidate attributes (RFC 8839 §5.1; of TCP RFC 6544 §4.5), without the attribute's name. Those by TCP come last: clients that know
/// none pass over them.
fn candidate_values(local: &LocalEnd) -> impl Iterator<Item = String> {
    let (udp, tcp) = (&local.candidates, &local.tcp_candidates);
    let by_udp = udp.iter().enumerate().map(|(place, address)| {
        let (foundation, priority) = (foundation(udp, place), udp_priority(place));
        candidate_value(foundation, "udp", priority, address) + " typ host"
    });
    let by_tcp = tcp.iter().enumerate().map(|(place, address)| {
        let (foundation, priority) = (udp.len() + foundation(tcp, place), tcp_priority(place));
        candidate_value(foundation, "tcp", priority, address) + " typ host tcptype passive"
    });
    by_udp.chain(by_tcp)
}

fn candidate_value(foundation: usize, protocol: &str, priority: u32, address: &SocketAddr) -> String {
    let (ip, port) = (address.ip(), address.port());
    format!("{foundation} {RTP_COMPONENT} {protocol} {priority} {ip} {port}")
}

/// The foundation of a candidate. Candidates with the same protocol and address have the same one (RFC 8445 §5.1.1.3).
fn foundation(candidates: &[SocketAddr], place: usize) -> usize {
    let is_same = |other: &SocketAddr| candidates.get(place).is_some_and(|one| one.ip() == other.ip());
    candidates.iter().position(is_same).unwrap_or(place) + 1
}

/// Priority of a candidate by UDP (RFC 8445 §5.1.2.1). Local preferences fall in the order of the list.
fn udp_priority(place: usize) -> u32 {
    priority(HOST_PREFERENCE, 0xffff - fall(place, 0xffff))
}

/// Priority of a candidate by TCP (RFC 6544 §4.2).
fn tcp_priority(place: usize) -> u32 {
    priority(
        TCP_HOST_PREFERENCE,
        (PASSIVE_PREFERENCE << 13) + 0x1fff - fall(place, 0x1fff),
    )
}

fn fall(place: usize, most: u32) -> u32 {
    u32::try_from(place).unwrap_or(most).min(most)
}

fn priority(type_preference: u32, local_preference: u32) -> u32 {
    (type_preference << 24) + (local_preference << 8) + (256 - RTP_COMPONENT)
}

/// Adds ICE and DTLS attributes. They are in every accepted section, though RFC 9143 asks for them only in the tagged one: old
/// clients look in each.
fn with_transport(media: MediaDescription, common: &Common<'_>, transport: &TransportSpec) -> MediaDescription {
    let digest: Vec<String> = common
        .local
        .fingerprint
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    let setup = match transport.dtls_role {
        DtlsRole::Server => "passive",
        DtlsRole::Client => "active",
    };
    media
        .with_ice_credentials(transport.local_ufrag.clone(), transport.local_pwd.clone())
        .with_fingerprint("sha-256".to_owned(), digest.join(":"))
        .with_value_attribute("setup".to_owned(), setup.to_owned())
}

fn extmap(accepted: &Accepted) -> String {
    let direction = accepted.direction.map(|direction| format!("/{}", direction.name()));
    let Accepted { id, extension, .. } = accepted;
    format!("{id}{} {}", direction.unwrap_or_default(), extension.uri())
}

fn with_format(media: MediaDescription, format: &Format) -> MediaDescription {
    match format {
        Format::Codec {
            payload_type,
            codec,
            parameters,
            feedback,
        } => {
            let name = encoding_name(*codec);
            let mut media = media.with_value_attribute("rtpmap".to_owned(), format!("{payload_type} {name}"));
            for offered in feedback_names(*feedback) {
                media = media.with_value_attribute("rtcp-fb".to_owned(), format!("{payload_type} {offered}"));
            }
            match parameters.is_empty() {
                true => media,
                false => media.with_value_attribute("fmtp".to_owned(), format!("{payload_type} {parameters}")),
            }
        }
        Format::Rtx {
            payload_type,
            of,
            clock_rate,
        } => media
            .with_value_attribute("rtpmap".to_owned(), format!("{payload_type} rtx/{clock_rate}"))
            .with_value_attribute("fmtp".to_owned(), format!("{payload_type} apt={of}")),
    }
}

fn feedback_names(feedback: Feedback) -> impl Iterator<Item = &'static str> {
    let names = [
        (feedback.remb, "goog-remb"),
        (feedback.transport_cc, "transport-cc"),
        (feedback.rrtr, "rrtr"),
        (feedback.fir, "ccm fir"),
        (feedback.nack, "nack"),
        (feedback.pli, "nack pli"),
    ];
    names
        .into_iter()
        .filter(|(accepted, _)| *accepted)
        .map(|(_, name)| name)
}

fn with_simulcast(mut media: MediaDescription, accepted: &AcceptedSection<'_>) -> MediaDescription {
    let Some(Simulcast { rids, syntax }) = accepted.simulcast else {
        return media;
    };
    for Rid { id, restrictions, .. } in rids {
        let restrictions = match restrictions.is_empty() {
            true => String::new(),
            false => format!(" {restrictions}"),
        };
        media = media.with_value_attribute("rid".to_owned(), format!("{id} recv{restrictions}"));
    }
    let listed = |rid: &Rid| format!("{}{}", if rid.is_stopped { "~" } else { "" }, rid.id);
    let list = rids.iter().map(listed).collect::<Vec<_>>().join(";");
    match syntax {
        Some(Syntax::Standard) => media.with_value_attribute("simulcast".to_owned(), format!("recv {list}")),
        Some(Syntax::Draft) => media.with_value_attribute("simulcast".to_owned(), format!(" recv rid={list}")),
        None => media,
    }
}

/// Adds the stream: `a=msid` for today's clients, `a=ssrc` for clients that wait for an announced SSRC or know only it.
fn with_stream(
    mut media: MediaDescription,
    section: &Section,
    accepted: &AcceptedSection<'_>,
    stream: &str,
) -> MediaDescription {
    let track = format!("{stream}-{}", section.index);
    let MediaSection {
        local_ssrc,
        local_rtx_ssrc,
        ..
    } = accepted.media;
    let has_rtx = accepted
        .formats
        .iter()
        .any(|format| matches!(format, Format::Rtx { .. }));
    media = media.with_value_attribute("msid".to_owned(), format!("{stream} {track}"));
    let mut ssrcs: SmallVec<[u32; 2]> = SmallVec::from_slice(&[local_ssrc]);
    if has_rtx {
        ssrcs.push(local_rtx_ssrc);
        media = media.with_value_attribute("ssrc-group".to_owned(), format!("FID {local_ssrc} {local_rtx_ssrc}"));
    }
    for ssrc in ssrcs {
        media = media
            .with_value_attribute("ssrc".to_owned(), format!("{ssrc} cname:{stream}"))
            .with_value_attribute("ssrc".to_owned(), format!("{ssrc} msid:{stream} {track}"));
    }
    media
}
