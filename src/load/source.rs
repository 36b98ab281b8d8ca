//! The packets that a publisher sends of one encoding, made from a seed: frames of varying size, key frames, a frame's
//! packets in one burst. Pure: given the time, writes plain RTP packets.

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use smallvec::SmallVec;

use super::pattern::{MARK_BYTES, Mark};
use crate::media::codec::Kind;

/// Bytes of video payload in one packet: as much as libwebrtc puts into an Ethernet frame beside headers and
/// protection.
const MAX_VIDEO_PAYLOAD: usize = 1_130;
const VIDEO_INTERVAL: Duration = Duration::from_micros(33_333);
const AUDIO_INTERVAL: Duration = Duration::from_millis(20);
const VIDEO_CLOCK: u64 = 90_000;
const AUDIO_CLOCK: u64 = 48_000;
/// Size of a key frame in relation to another frame: small for a still picture, and right for people who talk.
const KEY_FRAME_FACTOR: f64 = 3.0;
/// Time between key frames without a request. Browsers send them only on request; this bounds how long a decoder that
/// has lost one would wait.
const KEY_FRAME_INTERVAL: Duration = Duration::from_secs(60);
/// The shortest time between key frames, however many are requested: libwebrtc's encoder holds back as well.
const KEY_FRAME_SPACING: Duration = Duration::from_millis(300);
/// Frames for which a person talks, or is silent: seconds at a time. The level is then about -20 or -90 dBov (RFC
/// 6464).
const TALK_FRAMES: std::ops::Range<u32> = 50..250;

/// Time after which somebody else speaks, where people take turns.
const TURN: Duration = Duration::from_secs(5);

/// Bytes of the VP8 descriptor (RFC 7741 §4.2) with a 15-bit picture id.
const DESCRIPTOR_BYTES: usize = 4;
/// Bytes of the VP8 payload header (RFC 7741 §4.3) of a key frame, with start code and dimensions.
const KEY_FRAME_HEADER_BYTES: usize = 10;
const FRAME_HEADER: [u8; 3] = [0x11, 0, 0];
/// First byte of Opus: one 20 ms frame, full band, CELT, mono (RFC 6716 §3.1).
const OPUS_TOC: u8 = 0xf8;

/// One encoding as its connection was negotiated.
#[derive(Clone, Debug)]
pub struct Encoding {
    pub kind: Kind,
    pub ssrc: u32,
    pub payload_type: u8,
    pub(crate) bitrate_bps: u64,
    /// Simulcast restriction id (RFC 8851); empty without simulcast.
    pub rid: &'static str,
    /// Height of the pictures.
    pub(crate) height: u16,
    /// The turns of speaking. `None` where everybody speaks as they like.
    pub(crate) turns: Option<Turns>,
    pub mid: String,
    /// Ids of the extensions that the server accepted, 0 for one that it did not.
    pub extensions: ExtensionIds,
}

/// The turns in which the senders of a room speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Turns {
    /// The sender's place among the senders of the room, and their number.
    pub(crate) place: usize,
    pub(crate) senders: usize,
    /// Senders who speak at once.
    pub(crate) speakers: usize,
}

impl Turns {
    /// Whether the sender speaks so long after the beginning. In each turn one speaker begins and another one stops.
    fn speaks(self, elapsed: Duration) -> bool {
        let turn = (elapsed.as_secs() / TURN.as_secs()) as usize % self.senders.max(1);
        (self.place + self.senders - turn) % self.senders.max(1) < self.speakers
    }
}

/// Ids of header extensions (RFC 8285, one-byte form).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExtensionIds {
    pub mid: u8,
    pub rid: u8,
    pub(crate) transport_sequence: u8,
    pub(crate) audio_level: u8,
}

/// A packet's length and place in the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    pub len: usize,
    pub header_len: usize,
    /// Extended sequence number, which is SRTP's index.
    pub index: u64,
}

pub struct Source {
    pub id: u32,
    pub encoding: Encoding,
    random: StdRng,
    pub due: Instant,
    started: Instant,
    /// Number of packets so far, which is the number of the next.
    pub sent: u64,
    pub octets: u64,
    pub timestamp: u32,
    first_sequence: u16,
    first_timestamp: u32,
    picture_id: u16,
    key_frame_wanted: bool,
    last_key_frame: Option<Instant>,
    talking: bool,
    turn: u32,
    /// Whether the server wants it.
    is_wanted: bool,
    /// Send times of the last 65,536 packets: microseconds on the tester's clock, cut to 32 bits.
    sent_at: Box<[u32]>,
}

impl Source {
    /// A source whose first frame is due within one frame's time after `now`. The seed decides when, so that many
    /// publishers do not all send at the same instant.
    pub fn new(now: Instant, id: u32, encoding: Encoding, seed: u64) -> Source {
        let mut random = StdRng::seed_from_u64(seed ^ (u64::from(id) << 32));
        let offset = VIDEO_INTERVAL.mul_f64(random.random::<f64>());
        Source {
            id,
            encoding,
            due: now + offset,
            started: now + offset,
            sent: 0,
            octets: 0,
            timestamp: 0,
            // The first number is below 2^15: a receiver that misses the first packets cannot mistake the roll-over
            // counter.
            first_sequence: random.random::<u16>() >> 1,
            first_timestamp: random.random(),
            picture_id: random.random::<u16>() >> 1,
            key_frame_wanted: true,
            last_key_frame: None,
            talking: random.random(),
            turn: 0,
            is_wanted: true,
            sent_at: vec![0; 1 << 16].into(),
            random,
        }
    }

    /// Whether it is one of several encodings of a track, only one of which a subscriber gets.
    pub(crate) fn is_layer(&self) -> bool {
        !self.encoding.rid.is_empty()
    }

    /// Whether a server may leave out parts of it that others do not miss: the sound of people who do not speak.
    pub(crate) fn may_be_left_out(&self) -> bool {
        self.encoding.kind == Kind::Audio && self.encoding.turns.is_some()
    }

    pub(crate) fn is_wanted(&self) -> bool {
        self.is_wanted
    }

    /// The server wants it from now on, or not. What is wanted again begins with a key frame, as an encoder does.
    pub(crate) fn set_wanted(&mut self, is_wanted: bool) {
        if is_wanted && !self.is_wanted {
            self.last_key_frame = None;
        }
        self.is_wanted = is_wanted;
    }

    /// Lets the frame that is due go by.
    pub(crate) fn pass(&mut self, now: Instant) {
        self.due += self.interval();
        // Frames missed during a stall are not sent later.
        if self.due < now {
            self.due = now + self.interval();
        }
    }

    fn interval(&self) -> Duration {
        match self.encoding.kind {
            Kind::Video => VIDEO_INTERVAL,
            Kind::Audio => AUDIO_INTERVAL,
        }
    }

    pub(crate) fn want_key_frame(&mut self) {
        self.key_frame_wanted = true;
    }

    /// The send time of the `number`-th packet. `None` if it was not sent yet, or so long ago that its time is
    /// forgotten.
    pub(crate) fn sent_us(&self, number: u64) -> Option<u32> {
        let known = number < self.sent && self.sent - number <= self.sent_at.len() as u64;
        known.then(|| self.sent_at[number as usize % self.sent_at.len()])
    }

    /// The payload bytes of each packet of the frame that is due, and whether it is a key frame. Sets the time of the
    /// next frame.
    pub fn frame(&mut self, now: Instant) -> (SmallVec<[usize; 32]>, bool) {
        let elapsed = now.saturating_duration_since(self.started);
        let clock = match self.encoding.kind {
            Kind::Video => VIDEO_CLOCK,
            Kind::Audio => AUDIO_CLOCK,
        };
        let ticks = elapsed.as_micros() as u64 * clock / 1_000_000;
        self.timestamp = self.first_timestamp.wrapping_add(ticks as u32);
        self.pass(now);
        let mean = self.encoding.bitrate_bps as f64 / 8.0 * self.interval().as_secs_f64();
        if self.encoding.kind == Kind::Audio {
            self.talk(elapsed);
            let bytes = mean * self.random.random_range(0.85..1.15);
            return (SmallVec::from_slice(&[(bytes as usize).max(MARK_BYTES + 8)]), false);
        }
        let key_frame = self.takes_key_frame(now);
        let factor = if key_frame {
            KEY_FRAME_FACTOR
        } else {
            self.random.random_range(0.8..1.2)
        };
        self.picture_id = self.picture_id.wrapping_add(1) & 0x7fff;
        (split((mean * factor) as usize), key_frame)
    }

    /// Decides whether the sender speaks in the next packet of sound.
    fn talk(&mut self, elapsed: Duration) {
        if let Some(turns) = self.encoding.turns {
            self.talking = turns.speaks(elapsed);
            return;
        }
        if self.turn == 0 {
            self.talking = !self.talking;
            self.turn = self.random.random_range(TALK_FRAMES);
        }
        self.turn -= 1;
    }

    fn takes_key_frame(&mut self, now: Instant) -> bool {
        let since = self.last_key_frame.map(|last| now.saturating_duration_since(last));
        let due = match since {
            None => true,
            Some(since) => since >= KEY_FRAME_INTERVAL || self.key_frame_wanted && since >= KEY_FRAME_SPACING,
        };
        if due {
            self.last_key_frame = Some(now);
            self.key_frame_wanted = false;
        }
        due
    }

    /// Writes the next packet, which has the place `frame` in its frame. `out` must have room for it, with headers
    /// below 64 bytes.
    pub fn packet(&mut self, out: &mut [u8], frame: PacketInFrame, sent_us: u64, transport_sequence: u16) -> Written {
        let index = u64::from(self.first_sequence) + self.sent;
        let mark = Mark {
            source: self.id,
            number: self.sent,
            sent_us,
        };
        self.sent_at[self.sent as usize % self.sent_at.len()] = sent_us as u32;
        self.sent += 1;
        self.octets += frame.payload_len as u64;
        let encoding = &self.encoding;
        let marker = encoding.kind == Kind::Video && frame.is_last;
        out[0] = 0x90;
        out[1] = u8::from(marker) << 7 | encoding.payload_type;
        out[2..4].copy_from_slice(&(index as u16).to_be_bytes());
        out[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        out[8..12].copy_from_slice(&encoding.ssrc.to_be_bytes());
        let level = if self.talking { 0x80 | 20 } else { 90 };
        let header_len = extensions(out, encoding, transport_sequence, level);
        let payload = &mut out[header_len..header_len + frame.payload_len];
        let marked = match encoding.kind {
            Kind::Audio => {
                payload[0] = OPUS_TOC;
                1
            }
            Kind::Video => vp8(payload, self.picture_id, encoding.height, &frame),
        };
        mark.write(&mut payload[marked..]);
        Written {
            len: header_len + frame.payload_len,
            header_len,
            index,
        }
    }
}

/// A packet's place in its frame.
#[derive(Clone, Copy, Debug)]
pub struct PacketInFrame {
    pub payload_len: usize,
    pub(crate) is_first: bool,
    pub(crate) is_last: bool,
    pub key_frame: bool,
}

/// The sizes of a frame's packets, as in libwebrtc: as few packets as will hold the frame, with sizes that differ by
/// one byte at most.
fn split(bytes: usize) -> SmallVec<[usize; 32]> {
    let bytes = bytes.max(DESCRIPTOR_BYTES + KEY_FRAME_HEADER_BYTES + MARK_BYTES);
    let count = bytes.div_ceil(MAX_VIDEO_PAYLOAD);
    (0..count)
        .map(|nth| {
            let size = bytes / count + usize::from(nth >= count - bytes % count);
            size.max(DESCRIPTOR_BYTES + KEY_FRAME_HEADER_BYTES + MARK_BYTES)
        })
        .collect()
}

/// Writes the extension block (RFC 8285 §4.2). Returns the header's length.
fn extensions(out: &mut [u8], encoding: &Encoding, transport_sequence: u16, level: u8) -> usize {
    let ids = encoding.extensions;
    let mut at = 16;
    let mut put = |id: u8, value: &[u8]| {
        if id != 0 && !value.is_empty() {
            out[at] = id << 4 | (value.len() - 1) as u8;
            out[at + 1..at + 1 + value.len()].copy_from_slice(value);
            at += 1 + value.len();
        }
    };
    put(ids.transport_sequence, &transport_sequence.to_be_bytes());
    put(ids.mid, encoding.mid.as_bytes());
    put(ids.rid, encoding.rid.as_bytes());
    if encoding.kind == Kind::Audio {
        put(ids.audio_level, &[level]);
    }
    let end = at.next_multiple_of(4);
    out[at..end].fill(0);
    out[12..14].copy_from_slice(&0xbede_u16.to_be_bytes());
    out[14..16].copy_from_slice(&((end as u16 - 16) / 4).to_be_bytes());
    end
}

fn vp8(payload: &mut [u8], picture_id: u16, height: u16, frame: &PacketInFrame) -> usize {
    payload[0] = if frame.is_first { 0x90 } else { 0x80 };
    payload[1] = 0x80;
    payload[2..4].copy_from_slice(&(0x8000 | picture_id).to_be_bytes());
    if !frame.is_first {
        return DESCRIPTOR_BYTES;
    }
    let key_frame_header = key_frame_header(height);
    let header: &[u8] = if frame.key_frame {
        &key_frame_header
    } else {
        &FRAME_HEADER
    };
    payload[DESCRIPTOR_BYTES..DESCRIPTOR_BYTES + header.len()].copy_from_slice(header);
    DESCRIPTOR_BYTES + header.len()
}

/// The header of a key frame of so many lines, 16 to 9.
fn key_frame_header(height: u16) -> [u8; KEY_FRAME_HEADER_BYTES] {
    let [wide_low, wide_high] = (height / 9 * 16).to_le_bytes();
    let [high_low, high_high] = height.to_le_bytes();
    [0x10, 0, 0, 0x9d, 0x01, 0x2a, wide_low, wide_high, high_low, high_high]
}

/// The place of the mark in a received payload. `None` if there is no place for one.
pub(crate) fn marked_from(kind: Kind, payload: &[u8]) -> Option<usize> {
    if kind == Kind::Audio {
        return Some(1);
    }
    let descriptor = crate::media::codec::vp8::parse(payload)?;
    if !descriptor.starts_partition_zero {
        return Some(descriptor.len);
    }
    let inter_frame = payload.get(descriptor.len)? & 1 == 1;
    let header = if inter_frame {
        FRAME_HEADER.len()
    } else {
        KEY_FRAME_HEADER_BYTES
    };
    Some(descriptor.len + header)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::codec::Codec;
    use crate::media::codec::start::Start;
    use crate::media::rtp::Header;
    use crate::media::virtual_time::epoch;

    fn encoding(kind: Kind, bitrate_bps: u64) -> Encoding {
        Encoding {
            kind,
            ssrc: 11,
            payload_type: 96,
            bitrate_bps,
            rid: "",
            height: 720,
            turns: None,
            mid: "0".to_owned(),
            extensions: ExtensionIds {
                mid: 1,
                rid: 0,
                transport_sequence: 2,
                audio_level: 3,
            },
        }
    }

    /// Runs a source for some seconds. Returns its packets, cut to the written bytes.
    fn run(source: &mut Source, begin: Instant, seconds: u64) -> Vec<(Instant, Vec<u8>, Written)> {
        let mut sent = Vec::new();
        while source.due < begin + Duration::from_secs(seconds) {
            let now = source.due;
            let (sizes, key_frame) = source.frame(now);
            for (nth, &payload_len) in sizes.iter().enumerate() {
                let place = PacketInFrame {
                    payload_len,
                    is_first: nth == 0,
                    is_last: nth + 1 == sizes.len(),
                    key_frame,
                };
                let mut out = [0; 1_500];
                let sent_us = now.duration_since(begin).as_micros() as u64;
                let written = source.packet(&mut out, place, sent_us, 0);
                sent.push((now, out[..written.len].to_vec(), written));
            }
        }
        sent
    }

    #[test]
    fn the_bit_rate_is_kept_and_packets_of_a_frame_differ_by_a_byte() {
        let mut source = Source::new(epoch(), 1, encoding(Kind::Video, 2_500_000), 1);
        let sent = run(&mut source, epoch(), 20);
        let bits: usize = sent.iter().map(|(_, packet, _)| (packet.len() - 28) * 8).sum();
        let kbps = bits / 20 / 1_000;
        assert!((2_400..2_650).contains(&kbps), "{kbps} kb/s");
        for frame in sent.chunk_by(|a, b| a.0 == b.0) {
            let sizes = frame.iter().map(|(_, packet, _)| packet.len());
            assert!(sizes.clone().max().unwrap() - sizes.min().unwrap() <= 1);
            assert!((1..=30).contains(&frame.len()));
        }
    }

    #[test]
    fn as_many_speak_as_are_to_and_everybody_comes_to_speak() {
        let speaks = |place, second| {
            let turns = Turns {
                place,
                senders: 5,
                speakers: 2,
            };
            turns.speaks(Duration::from_secs(second))
        };
        for second in 0..60 {
            assert_eq!((0..5).filter(|place| speaks(*place, second)).count(), 2, "{second}");
        }
        for place in 0..5 {
            assert_eq!((0..25).filter(|second| speaks(place, *second)).count(), 10, "{place}");
        }
    }

    #[test]
    fn a_source_that_nobody_wants_goes_on_with_a_key_frame() {
        let mut source = Source::new(epoch(), 1, encoding(Kind::Video, 500_000), 1);
        run(&mut source, epoch(), 2);
        source.set_wanted(false);
        let (due, sent) = (source.due, source.sent);
        source.pass(due);
        assert_eq!((source.due, source.sent), (due + VIDEO_INTERVAL, sent));
        source.set_wanted(true);
        assert!(source.frame(source.due).1);
        assert!(!source.frame(source.due).1);
    }

    #[test]
    fn the_same_seed_sends_the_same() {
        let packets = |seed| {
            run(
                &mut Source::new(epoch(), 1, encoding(Kind::Video, 500_000), seed),
                epoch(),
                2,
            )
        };
        let only = |sent: Vec<(Instant, Vec<u8>, Written)>| sent.into_iter().map(|s| s.1).collect::<Vec<_>>();
        assert_eq!(only(packets(5)), only(packets(5)));
        assert_ne!(only(packets(5)), only(packets(6)));
    }

    #[test]
    fn packets_are_vp8_with_a_readable_mark() {
        let mut source = Source::new(epoch(), 3, encoding(Kind::Video, 1_000_000), 1);
        let sent = run(&mut source, epoch(), 2);
        for (number, (_, packet, written)) in sent.iter().enumerate() {
            let header = Header::parse(packet).unwrap();
            assert_eq!(
                (header.len, header.sequence),
                (written.header_len, written.index as u16)
            );
            let payload = &packet[header.len..];
            let at = marked_from(Kind::Video, payload).unwrap();
            let (mark, intact) = Mark::read(&payload[at..]).unwrap();
            assert!(intact);
            assert_eq!((mark.source, mark.number), (3, number as u64));
            assert_eq!(source.sent_us(mark.number), Some(mark.sent_us as u32));
        }
        let key_frames = sent
            .iter()
            .filter(|(_, packet, written)| Codec::Vp8.read(&packet[written.header_len..]).0 == Start::Picture);
        assert_eq!(key_frames.count(), 1);
        assert_eq!(Codec::Vp8.read(&sent[0].1[sent[0].2.header_len..]).0, Start::Picture);
    }

    #[test]
    fn a_key_frame_comes_when_it_is_asked_for_but_not_at_once_again() {
        let mut source = Source::new(epoch(), 3, encoding(Kind::Video, 300_000), 1);
        let mut keys = 0;
        for _ in 0..31 {
            source.want_key_frame();
            keys += u32::from(source.frame(source.due).1);
        }
        assert_eq!(keys, 4, "one at the start, then every ten frames of a good second");
    }

    #[test]
    fn sound_has_fifty_packets_a_second_and_a_level() {
        let mut source = Source::new(epoch(), 3, encoding(Kind::Audio, 32_000), 1);
        let sent = run(&mut source, epoch(), 10);
        assert!((498..=500).contains(&sent.len()), "{}", sent.len());
        let levels: Vec<u8> = sent
            .iter()
            .map(|(_, packet, _)| {
                let header = Header::parse(packet).unwrap();
                let level = header.elements(packet).find(|(id, _)| *id == 3).unwrap();
                level.1[0] & 0x7f
            })
            .collect();
        assert!(levels.contains(&20) && levels.contains(&90));
    }
}
