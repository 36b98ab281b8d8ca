//! Offer → answer (RFC 8829, RFC 9429), as a pure function on the signaling side.
//!
//! ```text
//! text ─► offer ─► section ─► transport ─► section ─────────────────► write ─► text
//!         lines,   codecs:    which ones,   extensions, streams:                + values for the worker
//!         groups   what is    ICE, DTLS     ids, SSRCs, rids,
//!                  in common                preference: in which order
//! ```
//!
//! Each BUNDLE group, and each section outside of one, has **a transport** of its own: ICE credentials, candidates and a DTLS
//! association. Usually there is one. Refused with port 0, without harm to the others, are sections of a transport that lacks
//! something, unless it is the first; those of more transports than a connection may have; data sections, sections without
//! `rtcp-mux`, and those without a codec in common. What makes every section useless is an [`OfferError`].

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
use smallvec::SmallVec;

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
    let settled = transport::settle_all(&offer, |index| considered[index].is_ok(), previous, random)?;
    let transports: SmallVec<[TransportSpec; 1]> = match settled.is_empty() {
        true => nothing_acceptable(&considered, previous)?,
        false => settled.iter().map(|settled| settled.spec.clone()).collect(),
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
            let transport = settled
                .iter()
                .find(|one| one.members.sections.contains(&section.index))?;
            Some(settling.section(section, considered.ok()?, transport.spec.number))
        })
        .collect();
    let answer = write::answer(
        &Common {
            offer: &offer,
            local,
            settled: &settled,
            first: &transports[0],
            session_id,
            version,
        },
        &sections,
    );
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
    Ok(Negotiated {
        answer,
        transports,
        history: History {
            session_id,
            version,
            places: accepted().map(|(place, _)| place).collect(),
            homes,
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
) -> Result<SmallVec<[TransportSpec; 1]>, OfferError> {
    let refusals = || considered.iter().filter_map(|one| one.as_ref().err().copied());
    match previous {
        Some(previous) if refusals().all(|refusal| refusal == Refusal::Disabled) => Ok(previous.transports.clone()),
        _ => Err(OfferError::NothingAcceptable(
            refusals().next().unwrap_or(Refusal::NotMedia),
        )),
    }
}
