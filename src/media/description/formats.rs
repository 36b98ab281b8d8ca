//! Payload types: the offered ones that the server passes through, with their parameters and feedback.

use rtc_sdp::MediaDescription;
use smallvec::SmallVec;

use super::text::is_token;
use crate::media::codec::{Codec, Kind, h264};
use crate::media::session::Feedback;

/// Codecs of one section. Browsers offer about 20, counting each profile, besides RTX.
const MAX_CODECS: usize = 32;
/// Format parameters of one payload type that are read; H265 has the most, about a dozen.
const MAX_PARAMETERS: usize = 24;
/// Characters of a parameter's value. Longer values are no number, profile or level.
const MAX_PARAMETER_VALUE: usize = 32;

/// Characters that name the blocks of a RED format, with the strokes between them. Opus with more than two blocks is not known.
const MAX_BLOCKS_LENGTH: usize = 64;

/// One payload type that is offered and can be answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::media) enum Format {
    Codec {
        payload_type: u8,
        codec: Codec,
        /// Parameters in the answer, without the payload type; empty if there are none.
        parameters: Box<str>,
        feedback: Feedback,
    },
    /// RFC 4588 retransmissions of the payload type `of`.
    Rtx { payload_type: u8, of: u8, clock_rate: u32 },
}

impl Format {
    pub fn payload_type(&self) -> u8 {
        match self {
            Format::Codec { payload_type, .. } | Format::Rtx { payload_type, .. } => *payload_type,
        }
    }

    pub fn codec(&self) -> Option<Codec> {
        match self {
            Format::Codec { codec, .. } => Some(*codec),
            Format::Rtx { .. } => None,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let parameters = match self {
            Format::Codec { parameters, .. } => parameters.len(),
            Format::Rtx { .. } => 0,
        };
        size_of::<Format>() + parameters
    }
}

/// Formats that `media` offers and that the server passes through, with the offer's numbers, in the offer's order.
pub(super) fn common(media: &MediaDescription, kind: Kind) -> Box<[Format]> {
    let offered = offered(media);
    let mut codecs: SmallVec<[(u8, Codec); MAX_CODECS]> = SmallVec::new();
    for format in &offered {
        let known = format.codec().filter(|codec| codec.kind() == kind);
        if let Some(codec) = known.filter(|_| codecs.len() < MAX_CODECS) {
            codecs.push((format.payload_type, codec));
        }
    }
    // RED is only a way to send Opus.
    let opus = codecs.iter().filter(|(_, codec)| *codec == Codec::Opus);
    let opus: SmallVec<[u8; 4]> = opus.map(|(payload_type, _)| *payload_type).collect();
    codecs.retain(|(payload_type, codec)| {
        *codec != Codec::Red
            || offered
                .iter()
                .any(|o| o.payload_type == *payload_type && o.is_red_of(&opus))
    });
    let mut repaired: SmallVec<[u8; MAX_CODECS]> = SmallVec::new();
    let formats = offered.iter().filter_map(|format| {
        if let Some((payload_type, codec)) = codecs.iter().find(|(number, _)| *number == format.payload_type) {
            return Some(format.accept(*payload_type, *codec));
        }
        let of = format.repairs()?;
        let (_, codec) = codecs.iter().find(|(number, _)| *number == of)?;
        if repaired.contains(&of) || format.clock_rate() != Some(codec.clock_rate()) {
            return None;
        }
        repaired.push(of);
        Some(Format::Rtx {
            payload_type: format.payload_type,
            of,
            clock_rate: codec.clock_rate(),
        })
    });
    formats.collect()
}

/// The offer's lines about one payload type.
struct Offered<'a> {
    payload_type: u8,
    /// Value of `a=rtpmap` without the payload type.
    map: Option<&'a str>,
    /// Values of `a=fmtp` without the payload type; clients that use several lines mean them together.
    parameters: SmallVec<[&'a str; 1]>,
    feedback: Feedback,
}

/// The payload types of the m-line in its order, each once. With RTCP on the same port, 64 to 95 would be read as RTCP (RFC
/// 5761 §4).
fn offered(media: &MediaDescription) -> Vec<Offered<'_>> {
    let mut table: [Option<usize>; 128] = [None; 128];
    let mut formats: Vec<Offered<'_>> = Vec::new();
    for name in &media.media_name.formats {
        let Some(payload_type) = payload_type(name) else {
            continue;
        };
        let place = &mut table[usize::from(payload_type)];
        if place.is_none() {
            *place = Some(formats.len());
            formats.push(Offered {
                payload_type,
                map: None,
                parameters: SmallVec::new(),
                feedback: Feedback::default(),
            });
        }
    }
    let place = |text: &str| payload_type(text).and_then(|number| table[usize::from(number)]);
    for attribute in &media.attributes {
        let Some((number, rest)) = attribute.value.as_deref().and_then(|value| value.split_once(' ')) else {
            continue;
        };
        let place = place(number);
        match attribute.key.as_str() {
            "rtpmap" => {
                if let Some(place) = place {
                    formats[place].map.get_or_insert(rest.trim());
                }
            }
            "fmtp" => {
                if let Some(place) = place {
                    formats[place].parameters.push(rest.trim());
                }
            }
            "rtcp-fb" if number == "*" => formats.iter_mut().for_each(|format| format.feedback.add(rest)),
            "rtcp-fb" => {
                if let Some(place) = place {
                    formats[place].feedback.add(rest);
                }
            }
            _ => {}
        }
    }
    formats
}

fn payload_type(text: &str) -> Option<u8> {
    digits(text).filter(|number| matches!(number, 0..=63 | 96..=127))
}

/// A number that consists only of digits, as in the grammar of RFC 8866 §9. Rust would read a plus sign before them too.
fn digits(text: &str) -> Option<u8> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

impl<'a> Offered<'a> {
    fn encoding(&self) -> Option<(&'a str, u32, Option<&'a str>)> {
        let Some(map) = self.map else {
            // Static payload types need no rtpmap (RFC 3551 §6).
            return match self.payload_type {
                0 => Some(("PCMU", 8_000, None)),
                8 => Some(("PCMA", 8_000, None)),
                _ => None,
            };
        };
        let mut parts = map.split('/');
        Some((parts.next()?, parts.next()?.parse().ok()?, parts.next()))
    }

    fn clock_rate(&self) -> Option<u32> {
        self.encoding().map(|(_, clock_rate, _)| clock_rate)
    }

    /// The codec. `None` if the server does not pass it through, as with RTX.
    fn codec(&self) -> Option<Codec> {
        let (name, clock_rate, channels) = self.encoding()?;
        let mono = matches!(channels, None | Some("1"));
        let codec = match name.to_ascii_lowercase().as_str() {
            "opus" => Codec::Opus,
            "red" => Codec::Red,
            "pcmu" if mono => Codec::Pcmu,
            "pcma" if mono => Codec::Pcma,
            "vp8" => Codec::Vp8,
            "vp9" => Codec::Vp9 {
                profile: self.number("profile-id", 0, 3)?,
            },
            "h264" => self.h264()?,
            // The other modes spread one picture over several streams (RFC 7798 §7.1).
            "h265" if self.parameter("tx-mode").is_some_and(|mode| mode != "SRST") => return None,
            "h265" => Codec::H265 {
                profile: self.number("profile-id", 1, 31)?,
                tier: self.number("tier-flag", 0, 1)?,
            },
            "av1" => Codec::Av1 {
                profile: self.number("profile", 0, 2)?,
                tier: self.number("tier", 0, 1)?,
            },
            _ => return None,
        };
        (codec.clock_rate() == clock_rate).then_some(codec)
    }

    /// An H264 codec (RFC 6184 §8.1). Without `profile-level-id` the RFC means Baseline. Clients that leave it out send, and
    /// decode, what browsers assume: Constrained Baseline. Interleaved mode (2) is not for real time.
    fn h264(&self) -> Option<Codec> {
        let profile = match self.parameter("profile-level-id") {
            None => h264::Profile::ConstrainedBaseline,
            Some(text) if text.len() == 6 => {
                let bits = u32::from_str_radix(text, 16).ok()?;
                let [_, profile_idc, profile_iop, _] = bits.to_be_bytes();
                h264::Profile::from_profile_level_id(profile_idc, profile_iop)?
            }
            Some(_) => return None,
        };
        Some(Codec::H264 {
            profile,
            packetization_mode: self.number("packetization-mode", 0, 1)?,
        })
    }

    /// Value of `apt` in a retransmission format (RFC 4588 §8.1).
    fn repairs(&self) -> Option<u8> {
        let (name, _, _) = self.encoding()?;
        let is_rtx = name.eq_ignore_ascii_case("rtx");
        self.parameter("apt").filter(|_| is_rtx).and_then(payload_type)
    }

    /// The blocks of this RED format (RFC 2198 §5: `111/111`). `None` if one of them is no payload type.
    fn blocks(&self) -> Option<SmallVec<[u8; 4]>> {
        let blocks = self
            .parameters
            .first()
            .filter(|blocks| blocks.len() <= MAX_BLOCKS_LENGTH)?;
        blocks.split('/').map(|block| payload_type(block.trim())).collect()
    }

    /// Whether every block of this RED format is one of `opus`.
    fn is_red_of(&self, opus: &[u8]) -> bool {
        let blocks = self.blocks();
        blocks.is_some_and(|blocks| blocks.iter().all(|block| opus.contains(block)))
    }

    /// Parameters in the form `key=value`, separated by semicolons.
    fn parameters(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let parts = self.parameters.iter().flat_map(|line| line.split(';'));
        parts
            .filter_map(|part| part.split_once('='))
            .map(|(key, value)| (key.trim(), value.trim()))
            .take(MAX_PARAMETERS)
    }

    fn parameter(&self, key: &str) -> Option<&'a str> {
        self.parameters()
            .find(|(offered, _)| offered.eq_ignore_ascii_case(key))
            .map(|(_, value)| value)
    }

    /// A parameter that is a number: `default` if it is not given, `None` if it makes no sense.
    fn number(&self, key: &str, default: u8, max: u8) -> Option<u8> {
        match self.parameter(key) {
            None => Some(default),
            Some(text) => digits(text).filter(|number| *number <= max),
        }
    }

    fn accept(&self, payload_type: u8, codec: Codec) -> Format {
        Format::Codec {
            payload_type,
            codec,
            parameters: self.mirrored(codec).into(),
            feedback: match codec.kind() {
                Kind::Video => self.feedback,
                // Audio has no key frames to ask for, and estimates are made from video.
                Kind::Audio => Feedback {
                    nack: self.feedback.nack,
                    transport_cc: self.feedback.transport_cc,
                    rrtr: self.feedback.rrtr,
                    ..Feedback::default()
                },
            },
        }
    }

    /// The answer's `a=fmtp`: the offered values if both ends must say the same, and for Opus the client's wishes, which it
    /// then gets as ours. Values that describe only the client's decoder (VP8 `max-fs`) or stream (`sprop-parameter-sets`) are
    /// left out.
    fn mirrored(&self, codec: Codec) -> String {
        let keys: &[&str] = match codec {
            Codec::Opus => &[
                "minptime",
                "useinbandfec",
                "usedtx",
                "stereo",
                "maxaveragebitrate",
                "maxplaybackrate",
                "cbr",
            ],
            Codec::H264 { .. } => &["level-asymmetry-allowed", "packetization-mode", "profile-level-id"],
            Codec::H265 { .. } => &["level-id", "profile-id", "tier-flag", "tx-mode"],
            Codec::Vp9 { .. } => &["profile-id"],
            Codec::Av1 { .. } => &["level-idx", "profile", "tier"],
            Codec::Red => {
                let blocks = self.blocks().unwrap_or_default();
                let blocks: SmallVec<[String; 4]> = blocks.iter().map(u8::to_string).collect();
                return blocks.join("/");
            }
            Codec::Vp8 | Codec::Pcmu | Codec::Pcma => &[],
        };
        let mut seen: SmallVec<[&str; 8]> = SmallVec::new();
        let mut text = String::new();
        for (offered, value) in self.parameters() {
            let Some(key) = keys.iter().find(|key| offered.eq_ignore_ascii_case(key)) else {
                continue;
            };
            if seen.contains(key) || !is_token(value, MAX_PARAMETER_VALUE) {
                continue;
            }
            seen.push(key);
            let separator = if text.is_empty() { "" } else { ";" };
            text += &format!("{separator}{key}={value}");
        }
        text
    }
}

impl Feedback {
    /// Adds what one `a=rtcp-fb` says after its payload type (RFC 4585 §4.2, RFC 5104 §7.1).
    fn add(&mut self, offered: &str) {
        let mut words = offered.split_whitespace();
        match (words.next(), words.next()) {
            (Some("nack"), None) => self.nack = true,
            (Some("nack"), Some("pli")) => self.pli = true,
            (Some("ccm"), Some("fir")) => self.fir = true,
            (Some("transport-cc"), _) => self.transport_cc = true,
            (Some("goog-remb"), _) => self.remb = true,
            (Some("rrtr"), None) => self.rrtr = true,
            _ => {}
        }
    }
}
