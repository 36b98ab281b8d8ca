//! The sections that share a transport, and that transport's ICE and DTLS.

use rand::Rng;
use smallvec::SmallVec;

use super::terms::Negotiated;
use crate::ids::WorkerId;
use crate::media::description::{Credentials, OfferError, Offered, Setup, TransportLines};
use crate::media::session::{DtlsRole, Fingerprint, TransportSpec};
use crate::media::tcp::ufrag;

/// 144 random bits; RFC 8839 asks for 128.
const LOCAL_PWD_LEN: usize = 24;

/// Transports of one connection: camera, microphone, screen and its sound without BUNDLE. Each costs a handshake and a place
/// among the connections of its worker. The sections of further transports are refused.
const MAX_TRANSPORTS: usize = 4;

/// A transport with its sections.
pub(super) struct Settled {
    pub members: Members,
    pub spec: TransportSpec,
}

/// The sections of one transport, as indices.
#[derive(Debug)]
pub(super) struct Members {
    /// Sections in the order of the answer's BUNDLE group. The first is the tagged one (RFC 9143 §7.3.1), which has the
    /// addresses.
    pub sections: SmallVec<[usize; 8]>,
    /// Whether the answer has a BUNDLE group for them. Where the offer has a group of one section beside other sections, it is
    /// answered as if that were in no group, which means the same: some clients give their sections other mids on the way here,
    /// and with a group that names these they could not read the answer.
    pub bundled: bool,
    /// Sections in which the client's ICE and DTLS attributes are looked for: the offer's own tagged section first.
    sources: SmallVec<[usize; 8]>,
}

/// The transports of all acceptable sections, in the order of the offer. If the first one lacks something, the whole offer is
/// useless. If a later one does, its sections are refused.
pub(super) fn settle_all(
    offer: &Offered,
    acceptable: impl Fn(usize) -> bool,
    previous: Option<&Negotiated>,
    worker: WorkerId,
    random: &mut impl Rng,
) -> Result<Vec<Settled>, OfferError> {
    let mut settled: Vec<Settled> = Vec::new();
    for index in (0..offer.sections.len()).filter(|index| acceptable(*index)) {
        if settled.iter().any(|known| known.members.sections.contains(&index)) {
            continue;
        }
        if settled.len() == MAX_TRANSPORTS {
            break;
        }
        let members = members(offer, index, &acceptable);
        let is_free = |number: u8| settled.iter().all(|known| known.spec.number != number);
        let former = previous
            .and_then(|previous| former(previous, &members))
            .filter(|former| is_free(former.number));
        let is_new = |number: &u8| {
            let mut used = previous.into_iter().flat_map(|previous| &previous.transports);
            is_free(*number) && used.all(|used| used.number != *number)
        };
        let number = former
            .map(|former| former.number)
            .or_else(|| (0..=u8::MAX).find(is_new))
            .unwrap_or_default();
        match settle(offer, &members, number, former, worker, random) {
            Ok(spec) => settled.push(Settled { members, spec }),
            Err(error) if settled.is_empty() => return Err(error),
            Err(_) => {}
        }
    }
    Ok(settled)
}

/// The reason why the first transport of an offer, and so the whole offer, is useless.
pub(super) fn check(offer: &Offered, first: usize, acceptable: impl Fn(usize) -> bool) -> Result<(), OfferError> {
    let levels = levels(offer, &members(offer, first, acceptable));
    essentials(&levels).map(|_| ())
}

/// The transport that these sections had before: that of the first section that had one.
fn former<'a>(previous: &'a Negotiated, members: &Members) -> Option<&'a TransportSpec> {
    let mut homes = members
        .sections
        .iter()
        .filter_map(|place| previous.history.homes.get(place));
    homes.find_map(|number| previous.transports.iter().find(|transport| transport.number == *number))
}

fn members(offer: &Offered, first: usize, acceptable: impl Fn(usize) -> bool) -> Members {
    let Some(group) = offer.group_of(first) else {
        return Members {
            sections: SmallVec::from_slice(&[first]),
            bundled: false,
            sources: SmallVec::from_slice(&[first]),
        };
    };
    let in_use = |index: &usize| !offer.sections[*index].is_off;
    let is_alone = || {
        let mut others = (0..offer.sections.len()).filter(|index| *index != first);
        !others.any(&acceptable)
    };
    Members {
        sections: group.iter().copied().filter(|index| acceptable(*index)).collect(),
        bundled: group.len() > 1 || is_alone(),
        sources: group.iter().copied().filter(in_use).collect(),
    }
}

/// The transport that `members` will use. Our credentials are kept unless the client's changed, which asks for an ICE restart
/// (RFC 8839 §4.4.1.1.1).
fn settle(
    offer: &Offered,
    members: &Members,
    number: u8,
    previous: Option<&TransportSpec>,
    worker: WorkerId,
    random: &mut impl Rng,
) -> Result<TransportSpec, OfferError> {
    let levels = levels(offer, members);
    let Essentials {
        credentials,
        fingerprints,
        setup,
    } = essentials(&levels)?;
    let dtls_role = dtls_role(setup, previous);

    let unchanged = previous
        .filter(|previous| *previous.remote_ufrag == *credentials.ufrag && *previous.remote_pwd == *credentials.pwd);
    let (local_ufrag, local_pwd) = match unchanged {
        Some(previous) => (previous.local_ufrag.clone(), previous.local_pwd.clone()),
        None => (ufrag::new(worker, random), ufrag::ice_chars(LOCAL_PWD_LEN, random)),
    };
    Ok(TransportSpec {
        number,
        local_ufrag,
        local_pwd,
        remote_ufrag: credentials.ufrag.to_string(),
        remote_pwd: credentials.pwd.to_string(),
        remote_fingerprints: fingerprints.to_vec(),
        dtls_role,
    })
}

/// What no transport can do without.
struct Essentials<'a> {
    credentials: &'a Credentials,
    fingerprints: &'a [Fingerprint],
    setup: Option<Setup>,
}

fn essentials<'a>(levels: &[&'a TransportLines]) -> Result<Essentials<'a>, OfferError> {
    let credentials = levels.iter().find_map(|level| level.credentials.as_ref());
    let credentials = credentials.ok_or(OfferError::Missing("usable ICE credentials (a=ice-ufrag, a=ice-pwd)"))?;
    let fingerprints = levels
        .iter()
        .map(|level| &level.fingerprints)
        .find(|found| !found.is_empty())
        .ok_or(OfferError::Missing(
            "usable certificate fingerprint (a=fingerprint, SHA-256 or better)",
        ))?;
    let setup = levels.iter().find_map(|level| level.setup);
    if setup == Some(Setup::Unknown) {
        return Err(OfferError::Setup);
    }
    Ok(Essentials {
        credentials,
        fingerprints,
        setup,
    })
}

/// The tagged section, then the session, then the other sections: clients repeat these attributes in all of them, but
/// only the tagged one must have them (RFC 9143 §7.1.3).
fn levels<'a>(offer: &'a Offered, members: &Members) -> SmallVec<[&'a TransportLines; 8]> {
    let mut sections = members.sources.iter().map(|index| &offer.sections[*index].level);
    let tagged = sections.next();
    tagged.into_iter().chain([&offer.session]).chain(sections).collect()
}

/// Our role in DTLS. An answer is `passive` unless the offer leaves us only `active` (RFC 8842 §5.3). A live association keeps
/// its roles.
fn dtls_role(setup: Option<Setup>, previous: Option<&TransportSpec>) -> DtlsRole {
    match setup {
        Some(Setup::Active) => DtlsRole::Server,
        Some(Setup::Passive) => DtlsRole::Client,
        Some(Setup::Either | Setup::Unknown) | None => previous.map_or(DtlsRole::Server, |previous| previous.dtls_role),
    }
}
