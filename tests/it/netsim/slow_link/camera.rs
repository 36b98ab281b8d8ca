//! A camera as a browser sends it: three encodings, each with three temporal layers; or a single one without, whose rate follows what
//! the server allows. Each packet says what a decoder needs for it.

use patchbay::media::rtcp;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::worker::media_client::{VIDEO_PT, rtp};

pub const LAYERS: usize = 3;
/// Heights of the encodings, and their rates in kb/s.
const HEIGHTS: [u16; LAYERS] = [180, 360, 720];
const KBPS: [u64; LAYERS] = [140, 360, 700];
/// Pictures a second.
pub const RATE: u64 = 20;
const PACKET_BYTES: u64 = 1_100;
/// Temporal layer, whether it depends on the lowest layer alone, and hundredths of a turn's bytes, of each picture of a turn.
const TURN: [(u8, bool, u64); 4] = [(0, true, 40), (2, true, 20), (1, true, 20), (2, false, 20)];
/// The same for each picture without temporal layers.
const ALONE: (u8, bool, u64) = (0, true, 25);
/// Percent by which a single encoding's rate rises in a second.
const RISES_PERCENT: u64 = 50;
pub const NONE: u32 = u32::MAX;

pub fn ssrc_of(layer: usize) -> u32 {
    0x1000 + 0x10 * layer as u32
}

/// What a packet of video says of itself.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    pub layer: usize,
    pub is_key: bool,
    pub part: u8,
    pub parts: u8,
    pub frame: u32,
    pub needs: [u32; 2],
}

/// The bytes of VP8's descriptor and of the beginning of a frame before a mark.
const BEFORE_MARK: usize = 6 + 10;

impl Mark {
    fn write(self, payload: &mut Vec<u8>) {
        payload.extend_from_slice(&[self.layer as u8, u8::from(self.is_key), self.part, self.parts]);
        payload.extend_from_slice(&self.frame.to_be_bytes());
        payload.extend(self.needs.into_iter().flat_map(u32::to_be_bytes));
    }

    pub fn read(payload: &[u8]) -> Option<Mark> {
        let mark = payload.get(BEFORE_MARK..BEFORE_MARK + 16)?;
        let number = |at: usize| u32::from_be_bytes(mark[at..at + 4].try_into().unwrap());
        Some(Mark {
            layer: usize::from(mark[0]),
            is_key: mark[1] == 1,
            part: mark[2],
            parts: mark[3],
            frame: number(4),
            needs: [number(8), number(12)],
        })
    }
}

struct Encoder {
    kbps: u64,
    sequence: u64,
    picture: u16,
    frame: u32,
    tl0: u8,
    key_index: u8,
    turn: usize,
    /// The newest frames of the two lower temporal layers.
    held: [u32; 2],
    wants_key: bool,
    /// Bytes by which pictures were too large so far.
    owed: i64,
}

pub struct Camera {
    encoders: Vec<Encoder>,
    random: StdRng,
    /// What a single encoding takes at most: always, and by what the server allows.
    allowed: Option<(u64, u64)>,
}

impl Camera {
    pub fn new(seed: u64) -> Camera {
        let encoder = |at: u16| Encoder {
            kbps: KBPS[usize::from(at)],
            sequence: 100 + 20_000 * u64::from(at),
            picture: 5,
            frame: 0,
            tl0: 9,
            key_index: 0,
            turn: 0,
            held: [NONE; 2],
            wants_key: true,
            owed: 0,
        };
        Camera {
            encoders: vec![encoder(0), encoder(1), encoder(2)],
            random: StdRng::seed_from_u64(seed),
            allowed: None,
        }
    }

    /// A camera with one encoding, without temporal layers, that takes so many kb/s at most.
    pub fn single(seed: u64, most: u64) -> Camera {
        let mut camera = Camera::new(seed);
        camera.encoders.truncate(1);
        camera.encoders[0].kbps = most;
        camera.allowed = Some((most, most));
        camera
    }

    /// A single encoding is to take no more than this from now on.
    pub fn allow(&mut self, kbps: u64) {
        if let Some((most, allowed)) = &mut self.allowed {
            *allowed = kbps.min(*most);
            self.encoders[0].kbps = self.encoders[0].kbps.min(*allowed);
        }
    }

    /// The rate that a single encoding takes now.
    pub fn kbps(&self) -> u64 {
        self.encoders[0].kbps
    }

    pub fn request_key(&mut self, ssrc: u32) {
        if let Some(layer) = (0..self.encoders.len()).find(|&layer| ssrc_of(layer) == ssrc) {
            self.encoders[layer].wants_key = true;
        }
    }

    /// The packets of all encodings' next pictures, with their extended numbers.
    pub fn take(&mut self, millis: u64) -> Vec<(Vec<u8>, u64)> {
        if let Some((_, allowed)) = self.allowed {
            // Its own estimate of the way to the server rises by this much in a second, once it may.
            let encoder = &mut self.encoders[0];
            encoder.kbps = (encoder.kbps + encoder.kbps * RISES_PERCENT / 100 / RATE).min(allowed);
        }
        (0..self.encoders.len())
            .flat_map(|layer| self.encode(layer, millis))
            .collect()
    }

    fn encode(&mut self, layer: usize, millis: u64) -> Vec<(Vec<u8>, u64)> {
        let is_single = self.allowed.is_some();
        let encoder = &mut self.encoders[layer];
        let is_key = std::mem::take(&mut encoder.wants_key);
        if is_key {
            encoder.turn = 0;
            encoder.key_index = (encoder.key_index + 1) & 0x1f;
        }
        let turn = encoder.turn;
        encoder.turn = (encoder.turn + 1) % TURN.len();
        let (temporal, opens, hundredths) = if is_single { ALONE } else { TURN[turn] };
        let frame = encoder.frame;
        encoder.frame += 1;
        let mut needs = if is_key { [NONE; 2] } else { [encoder.held[0], NONE] };
        if !opens {
            needs[1] = encoder.held[1];
        }
        if temporal == 0 {
            encoder.tl0 = encoder.tl0.wrapping_add(1);
            encoder.held = [frame; 2];
        } else if temporal == 1 {
            encoder.held[1] = frame;
        }
        let all = (encoder.kbps * 1_000 / 8 / RATE) as i64;
        let fair = all * 4 * hundredths as i64 / 100;
        let wanted = match is_key {
            true => all * 3,
            false => fair * self.random.random_range(75..126) / 100 - (encoder.owed / 10).clamp(-fair / 4, fair / 3),
        };
        encoder.owed = (encoder.owed + wanted - fair).clamp(-all * 5, all * 8);
        let parts = (wanted as u64).div_ceil(PACKET_BYTES);
        let mut packets = Vec::new();
        for part in 0..parts {
            let mark = u8::from(opens && temporal > 0) << 5 | temporal << 6 | encoder.key_index;
            let [high, low] = (0x8000 | encoder.picture).to_be_bytes();
            let mut payload = vec![if part == 0 { 0x90 } else { 0x80 }];
            payload.extend_from_slice(&[0xf0, high, low, encoder.tl0, mark]);
            let [low, high] = HEIGHTS[layer].to_le_bytes();
            payload.extend_from_slice(&[u8::from(!is_key), 0, 0, 0x9d, 1, 0x2a, 0, 1, low, high]);
            let mark = Mark {
                layer,
                is_key,
                part: part as u8,
                parts: parts as u8,
                frame,
                needs,
            };
            mark.write(&mut payload);
            payload.resize((wanted as u64 / parts) as usize, 0);
            let number = encoder.sequence;
            encoder.sequence += 1;
            let is_last = part + 1 == parts;
            let packet = rtp(
                VIDEO_PT,
                is_last,
                number as u16,
                millis as u32 * 90,
                ssrc_of(layer),
                &payload,
            );
            packets.push((packet, number));
        }
        encoder.picture = (encoder.picture + 1) & 0x7fff;
        packets
    }

    /// The sender report of an encoding.
    pub fn report(layer: usize, millis: u64) -> Vec<u8> {
        let info = rtcp::SenderInfo {
            ssrc: ssrc_of(layer),
            ntp: (5_000 << 32) + (millis << 32) / 1_000,
            rtp: millis as u32 * 90,
            packets: 1,
            octets: 1,
        };
        let mut compound = Vec::new();
        rtcp::write_sender_report(&mut compound, &info, "publisher");
        compound
    }
}
