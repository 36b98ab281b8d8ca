//! The result of an m-line that is accepted.

use std::collections::{HashMap, HashSet};

use rand::Rng;
use smallvec::SmallVec;

use super::codecs;
use super::extensions::{self, BundleIds};
use super::preference;
use super::terms::{Negotiated, Role};
use super::transport::Settled;
use super::write::AcceptedSection;
use crate::media::codec::{Codec, Kind};
use crate::media::description::{Content, Format, Section};
use crate::media::names::{Dealer, Down};
use crate::media::rtp::Extension;
use crate::media::session::{Feedback, MediaSection, RemoteSsrc, SentStream};

/// Values that are given to one section after the other, each only once.
pub(super) struct Settling<'a, R> {
    audience: &'a [Vec<Codec>],
    dealer: Dealer<'a>,
    previous: Option<&'a Negotiated>,
    random: &'a mut R,
    /// Values that have a meaning in one transport alone, by its number.
    shared: HashMap<u8, Shared>,
    local_ssrcs: HashSet<u32>,
}

/// Values that the sections of one transport share.
#[derive(Default)]
struct Shared {
    extension_ids: BundleIds,
    remote_ssrcs: HashSet<u32>,
}

impl<'a, R: Rng> Settling<'a, R> {
    pub fn new(role: Role<'a>, previous: Option<&'a Negotiated>, random: &'a mut R) -> Self {
        let kept = previous.into_iter().flat_map(|previous| &previous.sections);
        Settling {
            audience: role.audience,
            dealer: Dealer::new(role.uses),
            previous,
            random,
            shared: HashMap::new(),
            local_ssrcs: kept
                .flat_map(MediaSection::streams)
                .flat_map(|stream| [stream.ssrc, stream.rtx_ssrc])
                .collect(),
        }
    }

    pub fn section(&mut self, section: &Section, content: &'a Content, settled: &Settled) -> AcceptedSection<'a> {
        let transport = settled.spec.number;
        let (kind, client) = (content.kind, section.direction);
        let mut formats = content.formats.to_vec();
        let up = client.sends.then(|| self.dealer.next_up(kind)).flatten();
        let down = client.receives.then(|| self.dealer.next_down(kind)).flatten();
        let (receive, send) = (up.is_some(), down.is_some());
        if receive {
            preference::prefer(&mut formats, kind, self.audience, send);
        }

        let needs = extensions::ExtensionUse {
            receive,
            send,
            transport_cc: offers_feedback(&formats, |feedback| feedback.transport_cc),
            remb: offers_feedback(&formats, |feedback| feedback.remb),
        };
        let shared = self.shared.entry(transport).or_default();
        let extensions = extensions::accept(
            &content.extmaps,
            // In a transport of its own, a section's packets need no name. A client that gives its sections other mids on the way
            // here would take ours for those of another section.
            section.mid.as_deref().filter(|_| settled.members.bundled),
            needs,
            &mut shared.extension_ids,
        );
        let has = |extension| extensions.iter().any(|accepted| accepted.extension == extension);
        if !has(Extension::TransportSequence) {
            codecs::without_transport_cc(&mut formats);
        }
        // A rid can be read only from its header extension.
        let simulcast = has(Extension::Rid).then_some(&content.simulcast);
        let rids = simulcast.map_or(&[][..], |simulcast| &simulcast.rids);
        // The offer does not say which SSRC has which rid, so SSRCs beside rids would only mislead.
        let remote_ssrcs = match receive && rids.is_empty() {
            true => announced(&content.ssrcs, &mut shared.remote_ssrcs),
            false => SmallVec::new(),
        };
        let before = self.before(section, kind, transport);
        let (local_ssrc, local_rtx_ssrc) = match before {
            Some(before) => (before.local_ssrc, before.local_rtx_ssrc),
            None => (self.new_ssrc(), self.new_ssrc()),
        };
        let further = self.further(down, before.map_or(&[], |before| &before.further));
        let media = MediaSection {
            mid: section.mid.as_deref().unwrap_or_default().bytes().collect(),
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
            rids: rids.iter().map(|rid| rid.id.bytes().collect()).collect(),
            local_ssrc,
            local_rtx_ssrc,
            further,
        };
        AcceptedSection {
            media,
            formats,
            extensions,
            simulcast,
        }
    }

    /// The section that had this mid (without mids: this place) on the same transport. It goes on under its SSRCs: a section that
    /// comes back to a transport must not count from the beginning again. The keys of the transport stay, so the same SRTP indices
    /// would protect other packets.
    fn before(&self, section: &Section, kind: Kind, transport: u8) -> Option<&'a MediaSection> {
        let mid = section.mid.as_deref().unwrap_or_default().as_bytes();
        let previous = self.previous?;
        let mut sections = previous.sections.iter().zip(&previous.history.places);
        let same = |old: &MediaSection, place: usize| {
            let is_same = old.kind == kind && old.transport == transport && old.mid.as_slice() == mid;
            is_same && (!mid.is_empty() || place == section.index)
        };
        let found = sections.find(|(old, place)| same(old, **place));
        found.map(|(old, _)| old)
    }

    /// The streams of the slots that share the section of `down`. Those that were there before go on, also while it is on hold.
    fn further(&mut self, down: Option<Down>, before: &[SentStream]) -> Vec<SentStream> {
        if down.is_none() {
            let held = before.iter().map(|stream| SentStream { down: None, ..*stream });
            return held.collect();
        }
        let slots: SmallVec<[Down; 4]> = self.dealer.joined(down).collect();
        let streams = slots.into_iter().enumerate().map(|(place, slot)| {
            let (ssrc, rtx_ssrc) = match before.get(place) {
                Some(stream) => (stream.ssrc, stream.rtx_ssrc),
                None => (self.new_ssrc(), self.new_ssrc()),
            };
            SentStream {
                down: Some(slot),
                ssrc,
                rtx_ssrc,
            }
        });
        streams.collect()
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

/// The SSRCs of `ssrcs` that no earlier section of the transport has announced. Those that were announced are in `taken`.
fn announced(ssrcs: &[RemoteSsrc], taken: &mut HashSet<u32>) -> SmallVec<[RemoteSsrc; 4]> {
    let mut announced = SmallVec::new();
    for &RemoteSsrc { ssrc, rtx } in ssrcs {
        if taken.insert(ssrc) {
            let rtx = rtx.filter(|rtx| taken.insert(*rtx));
            announced.push(RemoteSsrc { ssrc, rtx });
        }
    }
    announced
}

fn offers_feedback(formats: &[Format], which: fn(&Feedback) -> bool) -> bool {
    formats.iter().any(|format| match format {
        Format::Codec { feedback, .. } => which(feedback),
        Format::Rtx { .. } => false,
    })
}
