//! Offer → answer (RFC 8829, RFC 9429), as a pure function on the signaling side.
//!
//! ```text
//! text ─► offer ─► codecs ─► transport ─► extensions, streams ─► write ─► text
//!         lines,   what we   which m-lines,  ids, SSRCs, rids              + values for the worker
//!         groups   share     ICE, DTLS
//! ```
//!
//! A peer has **one transport**. The sections of the first acceptable section's BUNDLE group are taken; sections outside
//! it are refused with port 0, and so is all but the first acceptable section of an offer without BUNDLE.
//! Refused as well are data sections, sections without `rtcp-mux`, and those without a codec in common: without harm to
//! the others. What makes every section useless is an [`OfferError`].

mod codecs;
mod extensions;
mod offer;
mod streams;
mod transport;
mod write;

#[cfg(test)]
mod tests;

use std::collections::HashSet;

use rand::Rng;
use smallvec::SmallVec;

use self::codecs::Format;
use self::extensions::BundleIds;
use self::offer::{Offer, Section};
use self::streams::Simulcast;
use self::write::{AcceptedSection, Common};
use crate::media::rtp::Extension;
use crate::media::session::{Kind, LocalEnd, MediaSection, TransportSpec};

/// A connection as both sides now understand it. Kept by the caller and given back at the next offer.
#[derive(Clone, Debug)]
pub struct Negotiated {
    pub answer: String,
    pub transport: TransportSpec,
    pub sections: Vec<MediaSection>,
    history: History,
}

/// What the next answer must agree with and nobody else needs.
#[derive(Clone, Debug)]
struct History {
    /// `o=`: the id stays, the version counts answers (RFC 8829 §5.3.2).
    session_id: u64,
    version: u64,
    /// The m-line of each of [`Negotiated::sections`].
    places: Vec<usize>,
}

/// How our side of a connection presents itself.
#[derive(Clone, Copy, Debug)]
pub struct Role<'a> {
    /// The client may send to us.
    pub receive: bool,
    /// We may send to the client, and under this stream name (`a=msid`, `cname`); `None` when there is no source.
    pub send_stream: Option<&'a str>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OfferError {
    #[error("the offer is longer than {max} bytes")]
    TooLong { max: usize },
    #[error("the offer is not SDP: {0}")]
    Syntax(String),
    #[error("the offer has {count} media sections, at most {max} are accepted")]
    TooManySections { count: usize, max: usize },
    #[error("the offer has no {0}")]
    Missing(&'static str),
    #[error("the offer's a=setup must be actpass, active or passive")]
    Setup,
    #[error("the offer is from an ICE-lite agent, and so would be the answer: nobody would begin")]
    BothLite,
    #[error("no media section of the offer can be accepted; the first one {0}")]
    NothingAcceptable(Refusal),
}

/// Why a section is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("has port 0")]
    Disabled,
    #[error("is neither audio nor video")]
    NotMedia,
    #[error("is not RTP")]
    NotRtp,
    #[error("does not offer a=rtcp-mux")]
    NoRtcpMux,
    #[error("has the mid of another section, or one that is no token")]
    Mid,
    #[error("offers no codec that is passed through (Opus, PCMU, PCMA, VP8, VP9, H264, H265, AV1)")]
    NoCommonCodec,
}

/// Answers `offer`. With `previous`, an offer on a live connection: sections keep their place and our SSRCs; a changed
/// remote ufrag is an ICE restart and gets new local credentials.
pub fn answer(
    offer: &str,
    local: &LocalEnd,
    role: Role<'_>,
    previous: Option<&Negotiated>,
    random: &mut impl Rng,
) -> Result<Negotiated, OfferError> {
    let description = offer::parse(offer)?;
    let offer = Offer::read(&description);
    if offer::has(offer.session, "ice-lite") {
        return Err(OfferError::BothLite);
    }
    let considered: Vec<Result<Considered, Refusal>> =
        offer.sections.iter().map(|section| consider(&offer, section)).collect();
    let members = transport::choose(&offer, |index| considered[index].is_ok());
    let transport = match &members {
        Some(members) => transport::settle(&offer, members, previous.map(|previous| &previous.transport), random)?,
        None => nothing_acceptable(&considered, previous)?,
    };
    let (session_id, version) = match previous {
        Some(previous) => (previous.history.session_id, previous.history.version.saturating_add(1)),
        // RFC 8829 §5.2.1: 62 bits, so that no reader takes it for a negative number.
        None => (random.next_u64() >> 2, 1),
    };
    let mut settling = Settling::new(&offer, role, previous, random);
    let sections: Vec<Option<AcceptedSection<'_>>> = offer
        .sections
        .iter()
        .zip(considered)
        .map(|(section, considered)| {
            let is_member = members
                .as_ref()
                .is_some_and(|members| members.sections.contains(&section.index));
            considered
                .ok()
                .filter(|_| is_member)
                .map(|considered| settling.section(section, considered))
        })
        .collect();
    let stream = role.send_stream.map(write::stream_id);
    let answer = write::answer(
        &Common {
            offer: &offer,
            local,
            transport: &transport,
            members: members.as_ref(),
            stream: stream.as_deref(),
            session_id,
            version,
        },
        &sections,
    );
    let places = sections.iter().enumerate().filter(|(_, section)| section.is_some());
    Ok(Negotiated {
        answer,
        transport,
        history: History {
            session_id,
            version,
            places: places.map(|(index, _)| index).collect(),
        },
        sections: sections.into_iter().flatten().map(|accepted| accepted.media).collect(),
    })
}

/// A section that could be accepted, were it on the peer's transport.
struct Considered {
    kind: Kind,
    formats: Vec<Format>,
}

fn consider(offer: &Offer<'_>, section: &Section<'_>) -> Result<Considered, Refusal> {
    let in_group = offer.group_of(section.index).is_some();
    if section.is_disabled(in_group) {
        return Err(Refusal::Disabled);
    }
    let kind = section.kind.ok_or(Refusal::NotMedia)?;
    if !section.is_rtp() {
        return Err(Refusal::NotRtp);
    }
    if !section.has("rtcp-mux") && !section.has("rtcp-mux-only") {
        return Err(Refusal::NoRtcpMux);
    }
    let same_mid = |other: &Section<'_>| other.index < section.index && other.mid == section.mid;
    if section.has("mid") && (section.mid.is_none() || offer.sections.iter().any(same_mid)) {
        return Err(Refusal::Mid);
    }
    let formats = codecs::common(section, kind);
    match formats.is_empty() {
        true => Err(Refusal::NoCommonCodec),
        false => Ok(Considered { kind, formats }),
    }
}

/// On a live connection all sections may be switched off; a connection cannot begin so.
fn nothing_acceptable(
    considered: &[Result<Considered, Refusal>],
    previous: Option<&Negotiated>,
) -> Result<TransportSpec, OfferError> {
    let refusals = || considered.iter().filter_map(|one| one.as_ref().err().copied());
    match previous {
        Some(previous) if refusals().all(|refusal| refusal == Refusal::Disabled) => Ok(previous.transport.clone()),
        _ => Err(OfferError::NothingAcceptable(
            refusals().next().unwrap_or(Refusal::NotMedia),
        )),
    }
}

/// What is handed out section by section and must not be handed out twice.
struct Settling<'a, R> {
    offer: &'a Offer<'a>,
    role: Role<'a>,
    previous: Option<&'a Negotiated>,
    random: &'a mut R,
    extension_ids: BundleIds,
    remote_ssrcs: HashSet<u32>,
    local_ssrcs: HashSet<u32>,
}

impl<'a, R: Rng> Settling<'a, R> {
    fn new(offer: &'a Offer<'a>, role: Role<'a>, previous: Option<&'a Negotiated>, random: &'a mut R) -> Self {
        let kept = previous.into_iter().flat_map(|previous| &previous.sections);
        Settling {
            offer,
            role,
            previous,
            random,
            extension_ids: BundleIds::default(),
            remote_ssrcs: HashSet::new(),
            local_ssrcs: kept
                .flat_map(|section| [section.local_ssrc, section.local_rtx_ssrc])
                .collect(),
        }
    }

    fn section(&mut self, section: &Section<'a>, considered: Considered) -> AcceptedSection<'a> {
        let Considered { kind, mut formats } = considered;
        let client = self.offer.direction(section);
        let receive = client.sends && self.role.receive;
        let send = client.receives && self.role.send_stream.is_some();

        let offers = |what: fn(&crate::media::session::Feedback) -> bool| {
            formats
                .iter()
                .any(|format| matches!(format, Format::Codec { feedback, .. } if what(feedback)))
        };
        let needs = extensions::Use {
            receive,
            send,
            transport_cc: offers(|feedback| feedback.transport_cc),
            remb: offers(|feedback| feedback.remb),
        };
        let extensions = extensions::accept(self.offer, section, needs, &mut self.extension_ids);
        if !extensions
            .iter()
            .any(|accepted| accepted.extension == Extension::TransportSequence)
        {
            codecs::without_transport_cc(&mut formats);
        }
        let (remote_ssrcs, simulcast) = match receive {
            true => (
                streams::announced_ssrcs(section, &mut self.remote_ssrcs),
                Simulcast::offered(section),
            ),
            false => (SmallVec::new(), Simulcast::default()),
        };
        let (local_ssrc, local_rtx_ssrc) = self.local_ssrcs(section, kind);
        let media = MediaSection {
            mid: section.mid.unwrap_or_default().bytes().collect(),
            kind,
            receive,
            send,
            codecs: codecs::negotiated(&formats),
            extensions: extensions
                .iter()
                .map(|accepted| (accepted.id, accepted.extension))
                .collect(),
            remote_ssrcs,
            rids: simulcast.rids.iter().map(|rid| rid.id.bytes().collect()).collect(),
            local_ssrc,
            local_rtx_ssrc,
        };
        AcceptedSection {
            media,
            formats,
            extensions,
            simulcast,
        }
    }

    /// Those of the section that had this mid (without mids: this place), else new ones.
    fn local_ssrcs(&mut self, section: &Section<'_>, kind: Kind) -> (u32, u32) {
        let mid = section.mid.unwrap_or_default().as_bytes();
        let before = self.previous.and_then(|previous| {
            let sections = previous.sections.iter().zip(&previous.history.places);
            let same = |old: &MediaSection, place: usize| {
                old.kind == kind && old.mid.as_slice() == mid && (!mid.is_empty() || place == section.index)
            };
            sections
                .filter(|(old, place)| same(old, **place))
                .map(|(old, _)| old)
                .next()
        });
        match before {
            Some(old) => (old.local_ssrc, old.local_rtx_ssrc),
            None => (self.new_ssrc(), self.new_ssrc()),
        }
    }

    fn new_ssrc(&mut self) -> u32 {
        let mut ssrc = self.random.next_u32();
        while ssrc == 0 || self.remote_ssrcs.contains(&ssrc) || !self.local_ssrcs.insert(ssrc) {
            ssrc = ssrc.wrapping_add(1);
        }
        ssrc
    }
}
