//! The streams that the client will send in a section: SSRCs, and simulcast by rid.

use rtc_sdp::description::common::Attribute;
use smallvec::SmallVec;

use super::text::{is_token, values};
use crate::media::layers::MAX_LAYERS;
use crate::media::session::RemoteSsrc;

/// `a=ssrc-group` lines of a section that are read: one SIM, and FID and FEC for each layer.
const MAX_GROUPS: usize = 16;
/// Characters of a rid. An element of the one-byte header form holds no more (RFC 8285 §4.2).
const MAX_RID: usize = 16;
/// Restrictions of one rid (RFC 8851 §5 has nine), and the length of each.
const MAX_RESTRICTIONS: usize = 12;
const MAX_RESTRICTION: usize = 64;

/// The layers of a `SIM` group in its order, or else the first announced SSRC; each with its retransmission stream. Further
/// SSRCs without a `SIM` group are further tracks of old offers with one section for all tracks. Here a section is one track.
pub(super) fn announced_ssrcs(attributes: &[Attribute]) -> Box<[RemoteSsrc]> {
    let groups: SmallVec<[Group<'_>; 4]> = values(attributes, "ssrc-group")
        .filter_map(ssrc_group)
        .take(MAX_GROUPS)
        .collect();
    let pairs = |semantics: &'static str| {
        let groups = groups.iter().filter(move |(name, _)| *name == semantics);
        groups.filter_map(|(_, members)| Some((*members.first()?, *members.get(1)?)))
    };
    let is_companion = |ssrc: u32| {
        pairs("FID")
            .chain(pairs("FEC-FR"))
            .any(|(_, companion)| companion == ssrc)
    };
    let layers = groups
        .iter()
        .find(|(name, _)| *name == "SIM")
        .map(|(_, members)| members.clone());
    let primaries = layers.unwrap_or_else(|| {
        let lines = values(attributes, "ssrc").filter_map(|line| line.split(' ').next().and_then(ssrc));
        lines.filter(|ssrc| !is_companion(*ssrc)).take(1).collect()
    });
    let announced = primaries.into_iter().map(|ssrc| RemoteSsrc {
        ssrc,
        rtx: pairs("FID").find(|(primary, _)| *primary == ssrc).map(|(_, rtx)| rtx),
    });
    announced.collect()
}

/// Semantics and SSRCs of an `a=ssrc-group`.
type Group<'a> = (&'a str, SmallVec<[u32; MAX_LAYERS]>);

/// `<semantics> <ssrc> …` (RFC 5576 §4.2).
fn ssrc_group(value: &str) -> Option<Group<'_>> {
    let mut words = value.split_whitespace();
    let semantics = words.next()?;
    Some((semantics, words.filter_map(ssrc).take(MAX_LAYERS).collect()))
}

/// Reads an SSRC. Zero is none: it stands for "none" in many clients.
fn ssrc(text: &str) -> Option<u32> {
    text.parse().ok().filter(|ssrc| *ssrc != 0)
}

/// The streams that the client offers to send by rid.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(in crate::media) struct Simulcast {
    pub rids: Box<[Rid]>,
    /// The form in which the answer lists them; `None` for a single rid without `a=simulcast`.
    pub(crate) syntax: Option<Syntax>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::media) struct Rid {
    pub id: Box<str>,
    /// Words after `send` in the offer, joined by semicolons; empty for most.
    pub(crate) restrictions: Box<str>,
    /// Whether the client sends nothing of it for now (`~1`, RFC 8853 §5.1). Browsers start each layer that an answer does not mark so.
    pub(crate) is_stopped: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::media) enum Syntax {
    /// The form of RFC 8853: `a=simulcast:send 1;2`
    Standard,
    /// The form of its drafts up to 2016: `a=simulcast: send rid=1;2`
    Draft,
}

impl Simulcast {
    /// The streams by rid in an offer. An answer may leave out layers and alternatives (RFC 8853 §5.3.2). Of alternatives
    /// (`1,2`) the first is taken; a layer that is stopped (`~1`) may begin at any time.
    pub(super) fn offered(attributes: &[Attribute]) -> Simulcast {
        let lines: Vec<Rid> = values(attributes, "rid")
            .filter_map(rid_to_send)
            .take(MAX_LAYERS)
            .collect();
        let Some(list) = values(attributes, "simulcast").find_map(send_list) else {
            let rids = if lines.len() == 1 { lines } else { Vec::new() };
            return Simulcast {
                rids: rids.into(),
                syntax: None,
            };
        };
        let (list, syntax) = match list.strip_prefix("rid=") {
            Some(list) => (list, Syntax::Draft),
            None => (list, Syntax::Standard),
        };
        let mut rids: Vec<Rid> = Vec::new();
        for layer in list.split(';').take(MAX_LAYERS) {
            let first = layer.split(',').next().unwrap_or_default();
            let id = first.trim_start_matches('~');
            if !is_rid(id) || rids.iter().any(|rid| *rid.id == *id) {
                continue;
            }
            let line = lines.iter().find(|line| *line.id == *id);
            rids.push(Rid {
                id: id.into(),
                restrictions: line.map(|line| line.restrictions.clone()).unwrap_or_default(),
                is_stopped: first.starts_with('~'),
            });
        }
        let syntax = (!rids.is_empty()).then_some(syntax);
        let rids = rids.into();
        Simulcast { rids, syntax }
    }

    pub(super) fn bytes(&self) -> usize {
        let texts = self.rids.iter().map(|rid| rid.id.len() + rid.restrictions.len());
        size_of_val(&*self.rids) + texts.sum::<usize>()
    }
}

/// The word after `send`.
fn send_list(value: &str) -> Option<&str> {
    let mut words = value.split_whitespace();
    words.find(|word| *word == "send")?;
    words.next()
}

/// Reads `<id> send [<restriction>;…]` (RFC 8851 §4).
fn rid_to_send(value: &str) -> Option<Rid> {
    let mut words = value.split_whitespace();
    let id = words.next().filter(|id| is_rid(id))?;
    words.next().filter(|direction| *direction == "send")?;
    let restrictions = words.next().unwrap_or_default().split(';');
    let restrictions: SmallVec<[&str; 2]> = restrictions
        .filter(|one| is_restriction(one))
        .take(MAX_RESTRICTIONS)
        .collect();
    Some(Rid {
        id: id.into(),
        restrictions: restrictions.join(";").into(),
        is_stopped: false,
    })
}

/// Whether a text is a rid: RFC 8851 §10 allows letters, digits, `-` and `_`.
fn is_rid(text: &str) -> bool {
    is_token(text, MAX_RID)
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn is_restriction(text: &str) -> bool {
    match text.split_once('=') {
        // The answer's m-line has the payload types, so a list of those that are left would add nothing.
        Some((key, _)) if key == "pt" || key == "depend" => false,
        Some((key, value)) => is_token(key, MAX_RESTRICTION) && is_token(value, MAX_RESTRICTION),
        None => is_token(text, MAX_RESTRICTION),
    }
}
