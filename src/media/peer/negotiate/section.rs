//! One m-line: whether it can be accepted, and what it then comes to.

use std::collections::{HashMap, HashSet};

use rand::Rng;
use smallvec::SmallVec;

use super::codecs::{self, Format};
use super::extensions::{self, BundleIds};
use super::offer::{Offer, Section};
use super::preference;
use super::streams::{self, Simulcast};
use super::terms::{Negotiated, Refusal, Role};
use super::write::AcceptedSection;
use crate::media::codec::{Codec, Kind};
use crate::media::names::Dealer;
use crate::media::rtp::Extension;
use crate::media::session::{Feedback, MediaSection};

/// A section that could be accepted, were it on the peer's transport.
pub(super) struct Considered {
    kind: Kind,
    formats: Vec<Format>,
}

impl Considered {
    pub fn codecs(&self) -> impl Iterator<Item = Codec> {
        self.formats.iter().filter_map(|format| match format {
            Format::Codec { codec, .. } => Some(*codec),
            Format::Rtx { .. } => None,
        })
    }
}

pub(super) fn consider(offer: &Offer<'_>, section: &Section<'_>) -> Result<Considered, Refusal> {
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

/// What is handed out section by section and must not be handed out twice.
pub(super) struct Settling<'a, R> {
    offer: &'a Offer<'a>,
    audience: &'a [Vec<Codec>],
    dealer: Dealer<'a>,
    previous: Option<&'a Negotiated>,
    random: &'a mut R,
    /// What has a meaning in one transport alone, by its number.
    shared: HashMap<u8, Shared>,
    local_ssrcs: HashSet<u32>,
}

/// What the sections of one transport share.
#[derive(Default)]
struct Shared {
    extension_ids: BundleIds,
    remote_ssrcs: HashSet<u32>,
}

impl<'a, R: Rng> Settling<'a, R> {
    pub fn new(offer: &'a Offer<'a>, role: Role<'a>, previous: Option<&'a Negotiated>, random: &'a mut R) -> Self {
        let kept = previous.into_iter().flat_map(|previous| &previous.sections);
        Settling {
            offer,
            audience: role.audience,
            dealer: Dealer::new(role.uses),
            previous,
            random,
            shared: HashMap::new(),
            local_ssrcs: kept
                .flat_map(|section| [section.local_ssrc, section.local_rtx_ssrc])
                .collect(),
        }
    }

    pub fn section(&mut self, section: &Section<'a>, considered: Considered, transport: u8) -> AcceptedSection<'a> {
        let Considered { kind, mut formats } = considered;
        let client = self.offer.direction(section);
        let up = client.sends.then(|| self.dealer.next_up(kind)).flatten();
        let down = client.receives.then(|| self.dealer.next_down(kind)).flatten();
        let (receive, send) = (up.is_some(), down.is_some());
        if receive {
            preference::prefer(&mut formats, kind, self.audience, send);
        }

        let needs = extensions::Use {
            receive,
            send,
            transport_cc: offers_feedback(&formats, |feedback| feedback.transport_cc),
            remb: offers_feedback(&formats, |feedback| feedback.remb),
        };
        let shared = self.shared.entry(transport).or_default();
        let extensions = extensions::accept(self.offer, section, needs, &mut shared.extension_ids);
        let has = |extension| extensions.iter().any(|accepted| accepted.extension == extension);
        if !has(Extension::TransportSequence) {
            codecs::without_transport_cc(&mut formats);
        }
        // A rid is known only by its header extension.
        let simulcast = match has(Extension::Rid) {
            true => Simulcast::offered(section),
            false => Simulcast::default(),
        };
        // Which SSRC has which rid is not said: SSRCs listed beside rids would only mislead.
        let remote_ssrcs = match receive && simulcast.rids.is_empty() {
            true => streams::announced_ssrcs(section, &mut shared.remote_ssrcs),
            false => SmallVec::new(),
        };
        let (local_ssrc, local_rtx_ssrc) = self.local_ssrcs(section, kind, transport);
        let media = MediaSection {
            mid: section.mid.unwrap_or_default().bytes().collect(),
            transport,
            kind,
            up,
            down,
            codecs: codecs::negotiated(&formats),
            extensions: extensions
                .iter()
                .map(|accepted| (accepted.id, accepted.extension))
                .collect(),
            number_id: extensions::number_id(&extensions).filter(|_| send),
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

    /// Those of the section that had this mid (without mids: this place) on the same transport, else new ones. One that comes back
    /// to a transport must not count from the beginning again: under the keys of the transport, which stay, the same SRTP
    /// indices would then protect other packets.
    fn local_ssrcs(&mut self, section: &Section<'_>, kind: Kind, transport: u8) -> (u32, u32) {
        let mid = section.mid.unwrap_or_default().as_bytes();
        let before = self.previous.and_then(|previous| {
            let sections = previous.sections.iter().zip(&previous.history.places);
            let same = |old: &MediaSection, place: usize| {
                let is_same = old.kind == kind && old.transport == transport && old.mid.as_slice() == mid;
                is_same && (!mid.is_empty() || place == section.index)
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
        let is_remote = |ssrc: &u32| self.shared.values().any(|shared| shared.remote_ssrcs.contains(ssrc));
        while ssrc == 0 || is_remote(&ssrc) || !self.local_ssrcs.insert(ssrc) {
            ssrc = ssrc.wrapping_add(1);
        }
        ssrc
    }
}

fn offers_feedback(formats: &[Format], which: fn(&Feedback) -> bool) -> bool {
    formats.iter().any(|format| match format {
        Format::Codec { feedback, .. } => which(feedback),
        Format::Rtx { .. } => false,
    })
}
