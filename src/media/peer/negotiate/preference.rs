//! The codecs with which a publisher is answered, and their order: codecs that the audience can decode come first. Encoders
//! take the first payload type of the answer's m-line.
//!
//! - **The audience is known** (the people who are there, or the other one of a call): first come the codecs that surely all of
//!   them decode, then those that all of them decode in practice, then those that more of them decode before those that fewer
//!   do. A codec that nobody decodes is not accepted if something better was offered.
//! - **It is not known** (nobody has come yet): the codecs that every WebRTC end must decode (RFC 7742 §5) come first. The
//!   others are accepted as well: people who come may decode more, and the answer to the next offer uses what they decode.
//!
//! Within each of these groups the codecs stay in the offer's order, whichever profile of a codec comes first. So a list that
//! begins with H264 42001f, as Chromium's may, is answered with 42e01f first if that is in it, and with VP8 first if VP8 stood
//! before both. An offer with VP9 first is answered with VP9 first as soon as all who are there decode it.

use std::mem::discriminant;

use crate::media::codec::decoding::{EVERYBODY, Fit, best};
use crate::media::codec::{Codec, Kind};
use crate::media::description::Format;

/// The number of people in the audience who cannot decode a codec, whether others decode it only in practice, and the place at
/// which the offer first names the codec in any profile. Less is better.
type Rank = (usize, bool, Option<usize>);

/// Sorts the `formats` of one section for an `audience`: a list of the codecs that each person can decode. If `sends_too`, the
/// same payload types are also for what is sent to this client, so all of them are kept.
pub(super) fn prefer(formats: &mut Vec<Format>, kind: Kind, audience: &[Vec<Codec>], sends_too: bool) {
    // A person who has not offered to receive anything of this kind has not said that they decode nothing.
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
    let ranks: Vec<(u8, Rank)> = codecs
        .iter()
        .map(|(payload_type, codec)| {
            let (without, in_practice) = cost(judges, *codec);
            (*payload_type, (without, in_practice, first_named(codec)))
        })
        .collect();
    let rank_of = |format: &Format| {
        // Retransmissions have the rank of their codec.
        let codec = match format {
            Format::Codec { payload_type, .. } => *payload_type,
            Format::Rtx { of, .. } => *of,
        };
        let found = ranks.iter().find(|(payload_type, _)| *payload_type == codec);
        found.map_or((usize::MAX, true, None), |(_, rank)| *rank)
    };
    formats.sort_by_key(rank_of);
    let is_of_use = |format: &Format| rank_of(format).0 < judges.len();
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
