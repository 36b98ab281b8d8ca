//! Offer → answer (RFC 8829, RFC 9429), as a pure function on the signaling side. The offer comes as values: no text is read
//! here.
//!
//! ```text
//! description ─► transport ─► section ──────────────────► write ─► text
//!                which ones,   extensions, preference:              + values for the worker
//!                ICE, DTLS     ids, SSRCs, in which order
//! ```
//!
//! Each BUNDLE group, and each section outside of one, has **a transport** of its own: ICE credentials, candidates and a DTLS
//! association. Usually there is one. These sections are refused with port 0, without harm to the others:
//!
//! - sections of a transport that lacks something, unless it is the first;
//! - sections of more transports than a connection may have;
//! - data sections, sections without `rtcp-mux`, and sections without a codec in common.
//!
//! A fault that makes every section useless is an [`OfferError`].

mod codecs;
mod extensions;
mod preference;
mod section;
mod terms;
mod transport;
mod write;

#[cfg(test)]
mod tests;

use rand::Rng;
use smallvec::SmallVec;

use self::section::Settling;
use self::terms::History;
pub(crate) use self::terms::LocalCandidate;
pub use self::terms::{Negotiated, Role};
use self::write::{AcceptedSection, Common};
use crate::media::description::{Description, OfferError, Offered, SectionRefusal};
use crate::media::session::{LocalEnd, MediaSection, TransportSpec};

/// The reason why nobody can answer the first offer of a connection, whatever the connection is for. What passes here is
/// answered.
pub fn check(offer: &Description) -> Result<(), OfferError> {
    let offer = offer.offered()?;
    if offer.is_lite {
        return Err(OfferError::BothLite);
    }
    let is_acceptable = |index: usize| offer.sections[index].content.is_ok();
    match (0..offer.sections.len()).find(|index| is_acceptable(*index)) {
        Some(first) => transport::check(offer, first, is_acceptable),
        None => nothing_acceptable(offer, None).map(|_| ()),
    }
}

/// Answers `offer`. With `previous`, it is an offer on a live connection: sections keep their place and our SSRCs. A changed
/// remote ufrag is an ICE restart and gets new local credentials.
pub fn answer(
    offer: &Description,
    local: &LocalEnd,
    role: Role<'_>,
    previous: Option<&Negotiated>,
    random: &mut impl Rng,
) -> Result<Negotiated, OfferError> {
    let decodes = offer.decodes();
    let offer = offer.offered()?;
    if offer.is_lite {
        return Err(OfferError::BothLite);
    }
    let is_acceptable = |index: usize| offer.sections[index].content.is_ok();
    let settled = transport::settle_all(offer, is_acceptable, previous, local.worker, random)?;
    let transports: SmallVec<[TransportSpec; 1]> = match settled.is_empty() {
        true => nothing_acceptable(offer, previous)?,
        false => settled.iter().map(|settled| settled.spec.clone()).collect(),
    };
    let (session_id, version) = match previous {
        Some(previous) => (previous.history.session_id, previous.history.version.saturating_add(1)),
        // RFC 8829 §5.2.1: 62 bits, so that no reader takes it for a negative number.
        None => (random.next_u64() >> 2, 1),
    };
    let mut settling = Settling::new(role, previous, random);
    let sections: Vec<Option<AcceptedSection<'_>>> = offer
        .sections
        .iter()
        .map(|section| {
            let transport = settled
                .iter()
                .find(|one| one.members.sections.contains(&section.index))?;
            let content = section.content.as_ref().ok()?;
            Some(settling.section(section, content, transport))
        })
        .collect();
    let common = Common {
        offer,
        local,
        settled: &settled,
        first: &transports[0],
        session_id,
        version,
    };
    let answer = write::answer(&common, &sections);
    let candidates = write::candidates(&common);
    let accepted = || {
        sections
            .iter()
            .enumerate()
            .filter_map(|(place, section)| Some((place, section.as_ref()?)))
    };
    let mut homes = previous
        .map(|previous| previous.history.homes.clone())
        .unwrap_or_default();
    homes.extend(accepted().map(|(place, section)| (place, section.media.transport)));
    // The number of a transport that has ended may be given to another one.
    homes.retain(|_, number| transports.iter().any(|transport| transport.number == *number));
    let places = accepted().map(|(place, _)| place).collect();
    let mut sections: Vec<MediaSection> = sections.into_iter().flatten().map(|accepted| accepted.media).collect();
    // They stay as long as the connection, and have taken room for four.
    sections.shrink_to_fit();
    Ok(Negotiated {
        answer,
        candidates,
        transports,
        history: History {
            session_id,
            version,
            places,
            homes,
        },
        sections,
        decodes,
    })
}

/// Returns the transports that stay if no section can be accepted. On a live connection all sections may be switched off; a
/// connection cannot begin that way.
fn nothing_acceptable(
    offer: &Offered,
    previous: Option<&Negotiated>,
) -> Result<SmallVec<[TransportSpec; 1]>, OfferError> {
    let refusals = || {
        let sections = offer.sections.iter();
        sections.filter_map(|section| section.content.as_ref().err().copied())
    };
    match previous {
        Some(previous) if refusals().all(|refusal| refusal == SectionRefusal::Disabled) => {
            Ok(previous.transports.clone())
        }
        _ => Err(OfferError::NothingAcceptable(
            refusals().next().unwrap_or(SectionRefusal::NotMedia),
        )),
    }
}
