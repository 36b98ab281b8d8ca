//! Offer → answer (RFC 8829, RFC 9429), as a pure function on the signaling side.
//!
//! ```text
//! text ─► offer ─► section ─► transport ─► section ─────────────────► write ─► text
//!         lines,   codecs:    which ones,   extensions, streams:                + values for the worker
//!         groups   what is    ICE, DTLS     ids, SSRCs, rids,
//!                  in common                preference: in which order
//! ```
//!
//! A peer has **one transport**. The sections of the first acceptable section's BUNDLE group are taken; sections outside
//! it are refused with port 0, and so is all but the first acceptable section of an offer without BUNDLE.
//! Refused as well are data sections, sections without `rtcp-mux`, and those without a codec in common: without harm to
//! the others. What makes every section useless is an [`OfferError`].

mod codecs;
mod extensions;
mod offer;
mod preference;
mod section;
mod streams;
mod terms;
mod transport;
mod write;

#[cfg(test)]
mod tests;

use rand::Rng;

use self::offer::Offer;
use self::section::{Considered, Settling};
use self::terms::History;
pub use self::terms::{Negotiated, OfferError, Refusal, Role};
use self::write::{AcceptedSection, Common};
use crate::media::codec::Codec;
use crate::media::session::{LocalEnd, TransportSpec};

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
    let considered = consider(&offer);
    let decodes = decoders(&offer, &considered);
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
    let answer = write::answer(
        &Common {
            offer: &offer,
            local,
            transport: &transport,
            members: members.as_ref(),
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
        decodes,
    })
}

/// What the client that made `offer` can decode. For the audience of another offer that is answered before this one;
/// empty where nobody could answer it.
pub fn decodable(offer: &str) -> Vec<Codec> {
    let Ok(description) = offer::parse(offer) else {
        return Vec::new();
    };
    let offer = Offer::read(&description);
    let considered = consider(&offer);
    decoders(&offer, &considered)
}

fn consider(offer: &Offer<'_>) -> Vec<Result<Considered, Refusal>> {
    let sections = offer.sections.iter();
    sections.map(|section| section::consider(offer, section)).collect()
}

fn decoders(offer: &Offer<'_>, considered: &[Result<Considered, Refusal>]) -> Vec<Codec> {
    let mut found = Vec::new();
    for (section, considered) in offer.sections.iter().zip(considered) {
        if let Ok(considered) = considered
            && offer.direction(section).receives
        {
            for codec in considered.codecs() {
                if !found.contains(&codec) {
                    found.push(codec);
                }
            }
        }
    }
    found
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
