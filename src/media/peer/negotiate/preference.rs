//! In which order, and which, codecs a publisher is answered: what its audience can decode comes first. Encoders take the
//! first payload type of the answer's m-line.
//!
//! - **The audience is known** (people who are there, the other one of a call): first what surely all of them decode, then
//!   what all of them decode in practice, then what more of them decode before what fewer do. What nobody decodes is not
//!   accepted where something better was offered.
//! - **It is not** (nobody has come yet): whoever comes decodes what every WebRTC end must (RFC 7742 §5): that is first.
//!   The rest is accepted all the same: those who come may know more, and another offer is answered by what they know.
//!
//! Within each of these the offer's order of codecs stays, whichever profile of a codec it named first. So a list that begins
//! with H264 42001f, as Chromium's may, is answered with 42e01f first where that is in it, and with VP8 first where VP8 stood
//! before both; VP9 first is answered with VP9 first as soon as all who are there decode it.

use std::mem::discriminant;

use crate::media::codec::decoding::{EVERYBODY, Fit, best};
use crate::media::codec::{Codec, Kind};
use crate::media::description::Format;

/// How many of the audience can do nothing with a codec, whether others decode it only in practice, and where the offer first
/// names the codec in whatever profile. Less is better.
type Place = (usize, bool, Option<usize>);

/// Brings `formats` of one section into the order for `audience`, which is a list of what each one of it can decode.
/// `sends_too`: the same payload types are also for what goes to this client, so that all of them are kept.
pub(super) fn prefer(formats: &mut Vec<Format>, kind: Kind, audience: &[Vec<Codec>], sends_too: bool) {
    // Whoever has not offered to receive anything of this kind has not said that they decode nothing.
    let of_kind = |list: &&Vec<Codec>| list.iter().any(|codec| codec.kind() == kind);
    let known: Vec<&[Codec]> = audience.iter().filter(of_kind).map(Vec::as_slice).collect();
    let everybody = [EVERYBODY.as_slice()];
    let judges = if known.is_empty() { everybody.as_slice() } else { &known };
    let codecs: Vec<(u8, Codec)> = formats
        .iter()
        .filter_map(|format| match format {
            Format::Codec {
                payload_type, codec, ..
            } => Some((*payload_type, *codec)),
            Format::Rtx { .. } => None,
        })
        .collect();
    let first_named = |codec: &Codec| {
        codecs
            .iter()
            .position(|(_, other)| discriminant(other) == discriminant(codec))
    };
    let places: Vec<(u8, Place)> = codecs
        .iter()
        .map(|(payload_type, codec)| {
            let (without, in_practice) = cost(judges, *codec);
            (*payload_type, (without, in_practice, first_named(codec)))
        })
        .collect();
    let place_of = |format: &Format| {
        // Retransmissions stand where their codec does.
        let codec = match format {
            Format::Codec { payload_type, .. } => *payload_type,
            Format::Rtx { of, .. } => *of,
        };
        let found = places.iter().find(|(payload_type, _)| *payload_type == codec);
        found.map_or((usize::MAX, true, None), |(_, place)| *place)
    };
    formats.sort_by_key(place_of);
    let is_of_use = |format: &Format| place_of(format).0 < judges.len();
    if !known.is_empty() && !sends_too && formats.first().is_some_and(is_of_use) {
        formats.retain(is_of_use);
    }
}

fn cost(judges: &[&[Codec]], codec: Codec) -> (usize, bool) {
    judges.iter().fold((0, false), |(without, in_practice), decoders| {
        match best(decoders.iter().copied(), codec) {
            None => (without + 1, in_practice),
            Some(Fit::InPractice(_)) => (without, true),
            Some(Fit::Surely(_)) => (without, in_practice),
        }
    })
}
