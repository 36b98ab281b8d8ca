//! Codecs of an answer: as a worker needs them, and as the answer names them.

use smallvec::SmallVec;

use crate::media::codec::Codec;
use crate::media::description::Format;
use crate::media::session::NegotiatedCodec;

/// The codecs of `formats` as the worker needs them.
pub(super) fn negotiated(formats: &[Format]) -> SmallVec<[NegotiatedCodec; 8]> {
    let rtx_of = |codec: u8| {
        formats.iter().find_map(|format| match format {
            Format::Rtx { payload_type, of, .. } if *of == codec => Some(*payload_type),
            _ => None,
        })
    };
    let codecs = formats.iter().filter_map(|format| match format {
        Format::Codec {
            payload_type,
            codec,
            feedback,
            ..
        } => Some(NegotiatedCodec {
            payload_type: *payload_type,
            rtx_payload_type: rtx_of(*payload_type),
            codec: *codec,
            feedback: *feedback,
        }),
        Format::Rtx { .. } => None,
    });
    codecs.collect()
}

/// Removes transport-wide feedback, which needs the sequence number of its header extension.
pub(super) fn without_transport_cc(formats: &mut [Format]) {
    for format in formats {
        if let Format::Codec { feedback, .. } = format {
            feedback.transport_cc = false;
        }
    }
}

/// The name of a codec in an answer's `a=rtpmap`.
pub(super) fn encoding_name(codec: Codec) -> &'static str {
    match codec {
        Codec::Opus => "opus/48000/2",
        Codec::Red => "red/48000/2",
        Codec::Pcmu => "PCMU/8000",
        Codec::Pcma => "PCMA/8000",
        Codec::Vp8 => "VP8/90000",
        Codec::Vp9 { .. } => "VP9/90000",
        Codec::H264 { .. } => "H264/90000",
        Codec::H265 { .. } => "H265/90000",
        Codec::Av1 { .. } => "AV1/90000",
    }
}
