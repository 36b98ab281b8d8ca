//! A change of layer in each format: at a key picture, whole, with numbers and times that go on.

use patchbay::media::codec::h264;

use super::*;

const COPY: u32 = 0x2_0020;
/// Bytes of a packet of each layer. A picture has three of them.
const SIZES: [usize; 2] = [200, 1_100];
/// A path that carries the lower layer, which takes some 150 kb/s, and not the higher one, which takes 800.
const NARROW_KBPS: u64 = 300;

/// The first bytes of a picture's three packets.
type Heads = [&'static [u8]; 3];

/// A format, and the beginnings of the packets of its key pictures and of others.
struct Format {
    codec: Codec,
    key: Heads,
    delta: Heads,
}

const FORMATS: [Format; 6] = [
    Format {
        codec: Codec::Vp8,
        key: [&[0x10, 0, 0, 0], &[0, 0], &[0, 0]],
        delta: [&[0x10, 1, 0, 0], &[0, 0], &[0, 0]],
    },
    // Parameter sets together (STAP-A), then a slice in fragments (FU-A).
    Format {
        codec: H264,
        key: [
            &[0x78, 0, 4, 0x67, 0x42, 0xe0, 0x1f, 0, 3, 0x68, 0xce, 0x38],
            &[0x7c, 0x85, 0x88],
            &[0x7c, 0x45, 4],
        ],
        delta: [&[0x5c, 0x81, 0x9a], &[0x5c, 0x01, 1], &[0x5c, 0x41, 4]],
    },
    // Parameter sets in packets of their own, then a slice.
    Format {
        codec: H264,
        key: [&[0x67, 0x42, 0xe0, 0x1f], &[0x68, 0xce, 0x38], &[0x65, 0x88]],
        delta: [&[0x61, 0x9a], &[0x61, 0x9a], &[0x61, 0x9a]],
    },
    Format {
        codec: Codec::H265 { profile: 1, tier: 0 },
        key: [&[0x42, 1, 1, 1], &[0x44, 1, 1], &[0x26, 1, 0xaf]],
        delta: [&[0x02, 1, 0xd0], &[0x02, 1, 0x50], &[0x02, 1, 0x50]],
    },
    Format {
        codec: Codec::Vp9 { profile: 0 },
        key: [&[0x88, 1, 0x82], &[0x80, 1], &[0x84, 1]],
        delta: [&[0xc8, 1, 0x86], &[0xc0, 1], &[0xc4, 1]],
    },
    // A new sequence (N), a sequence header, and a frame that goes on.
    Format {
        codec: Codec::Av1 { profile: 0, tier: 0 },
        key: [&[0x68, 4, 0x08, 0, 0, 0, 0x30, 0x10], &[0xd0, 1], &[0x90, 1]],
        delta: [&[0x50, 0x30, 0x30], &[0xd0, 1], &[0x90, 1]],
    },
];

const H264: Codec = Codec::H264 {
    profile: h264::Profile::ConstrainedBaseline,
    packetization_mode: 1,
};

/// A packet that the viewer got: its number, timestamp and marker, and its layer, part and picture.
#[derive(Clone, Copy, Debug)]
struct Got {
    sequence: u16,
    timestamp: u32,
    marker: bool,
    layer: u8,
    part: u8,
    is_key: bool,
    picture: u8,
}

/// A publisher of two layers, and a viewer.
struct Scene<'a> {
    format: &'a Format,
    now: Instant,
    worker: Worker,
    publisher: Client,
    viewer: Client,
    wants_key: [bool; 2],
    sequences: [u64; 2],
    pictures: u64,
    got: Vec<Got>,
}

impl<'a> Scene<'a> {
    fn new(format: &'a Format) -> Scene<'a> {
        let now = start();
        let (mut worker, identity) = worker(now);
        let own = DtlsIdentity::generate().unwrap();
        let codec = codec(VIDEO_PT, Some(VIDEO_RTX_PT), format.codec);
        let mut up = section("0", codec, true, ssrc_of(0), 0x9000);
        let announced = |layer| RemoteSsrc {
            ssrc: ssrc_of(layer),
            rtx: Some(ssrc_of(layer) + 1),
        };
        up.remote_ssrcs = (0..2).map(announced).collect();
        let mut down = section("0", codec, false, 0, COPY);
        down.number_id = Some(3);
        let mut publisher = Client::new(1, None, vec![up], &identity, &own);
        let mut viewer = Client::new(2, Some(1), vec![down], &identity, &own);
        publisher.connect(now, &mut worker);
        viewer.connect(now, &mut worker);
        Scene {
            format,
            now,
            worker,
            publisher,
            viewer,
            wants_key: [true; 2],
            sequences: [65_400, 7],
            pictures: 0,
            got: Vec::new(),
        }
    }

    fn path(&mut self, kbps: u64) {
        let peer = self.viewer.spec.peer;
        self.worker.suppose_path(self.now, peer, kbps * 1_000, 5_000_000);
        let mut sent = Vec::new();
        drain(&mut self.worker, &mut sent);
        self.hand_out(sent);
    }

    fn run(&mut self, pictures: usize) {
        for _ in 0..pictures {
            self.now += Duration::from_millis(33);
            let sent = run_until(&mut self.worker, self.now);
            self.hand_out(sent);
            (0..2).for_each(|layer| self.take_picture(layer));
            self.pictures += 1;
        }
    }

    fn take_picture(&mut self, layer: usize) {
        let is_key = std::mem::take(&mut self.wants_key[layer]);
        let heads = if is_key { self.format.key } else { self.format.delta };
        let timestamp = [5_000_000_u32, 0xffff_0000][layer].wrapping_add(self.pictures as u32 * 2_970);
        for (part, head) in heads.into_iter().enumerate() {
            let mut payload = head.to_vec();
            if head[0] == 0x78 {
                // What fills it up is a unit of its own.
                payload.extend_from_slice(&((SIZES[layer] - head.len() - 2) as u16).to_be_bytes());
                payload.push(6);
            }
            payload.resize(SIZES[layer] - 4, 1);
            payload.extend_from_slice(&[layer as u8, part as u8, u8::from(is_key), self.pictures as u8]);
            let index = self.sequences[layer];
            self.sequences[layer] += 1;
            let packet = rtp(VIDEO_PT, part == 2, index as u16, timestamp, ssrc_of(layer), &payload);
            let sealed = self.publisher.seal(&packet, index);
            let sent = exchange(self.now, &mut self.worker, self.publisher.address, &sealed);
            self.hand_out(sent);
        }
    }

    fn hand_out(&mut self, sent: Vec<(std::net::SocketAddr, Vec<u8>)>) {
        for (to, datagram) in sent {
            if to == self.publisher.address {
                let compound = self.publisher.take(self.now, &datagram).unwrap_or_default();
                for packet in rtcp::packets(&compound) {
                    if let rtcp::Packet::Pli { media_ssrc } = packet {
                        self.wants_key[usize::from(media_ssrc != ssrc_of(0))] = true;
                    }
                }
                continue;
            }
            let Some(packet) = self.viewer.take(self.now, &datagram) else {
                continue;
            };
            let Some(header) = Header::parse(&packet).filter(|header| header.ssrc == COPY) else {
                continue;
            };
            let payload = &packet[header.payload(&packet).unwrap()];
            let [.., layer, part, is_key, picture] = *payload else {
                continue;
            };
            self.got.push(Got {
                sequence: header.sequence,
                timestamp: header.timestamp,
                marker: header.marker,
                layer,
                part,
                is_key: is_key == 1,
                picture,
            });
        }
    }

    /// Checks the viewer's packets. Returns the layers that came, in their order.
    fn layers(&self) -> Vec<u8> {
        let name = self.format.codec;
        let mut layers: Vec<u8> = Vec::new();
        for (at, pictures) in self.got.chunks(3).enumerate() {
            let parts: Vec<u8> = pictures.iter().map(|got| got.part).collect();
            assert_eq!(parts, [0, 1, 2], "{name}: a torn picture, {pictures:?}");
            let first = pictures[0];
            let is_one =
                |got: &Got| (got.layer, got.picture, got.timestamp) == (first.layer, first.picture, first.timestamp);
            assert!(pictures.iter().all(is_one), "{name}: {pictures:?}");
            assert!(pictures[2].marker && !first.marker, "{name}: {pictures:?}");
            if layers.last() != Some(&first.layer) {
                assert!(first.is_key, "{name}: no key picture, {first:?}");
                layers.push(first.layer);
            }
            if at > 0 {
                let before = self.got[at * 3 - 1];
                let taken = u32::from(first.picture.wrapping_sub(before.picture)) * 2_970;
                let step = first.timestamp.wrapping_sub(before.timestamp);
                assert!(step > 0 && step.abs_diff(taken) <= 900, "{name}: {before:?} {first:?}");
            }
        }
        let follows = |pair: &[Got]| pair[1].sequence == pair[0].sequence.wrapping_add(1);
        assert!(self.got.windows(2).all(follows), "{name}: a hole");
        layers
    }
}

#[test]
fn every_format_changes_up_and_down_at_key_pictures_and_tears_none() {
    for format in &FORMATS {
        let mut scene = Scene::new(format);
        scene.path(NARROW_KBPS);
        scene.run(90);
        for kbps in [5_000, NARROW_KBPS, 5_000] {
            scene.path(kbps);
            scene.run(150);
        }
        assert_eq!(scene.layers().as_slice(), [0, 1, 0, 1], "{}", format.codec);
        assert!(scene.got.len() > 3 * 500, "{}: {}", format.codec, scene.got.len());
        assert_agrees(&scene.worker);
    }
}
