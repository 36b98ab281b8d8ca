//! VP9 tells its temporal layers in other words than VP8, and needs no numbers to be rewritten.

use super::*;

/// The temporal layers of the pictures of one turn, and whether each is a switching up point.
const TURN: [(u8, bool); 4] = [(0, true), (2, false), (1, false), (2, false)];
const SSRC: u32 = 0x1000;
const COPY: u32 = 0x2000;

/// A publisher of one VP9 stream of three temporal layers, and a viewer.
struct Scene {
    now: Instant,
    worker: Worker,
    publisher: Client,
    viewer: Client,
    picture: u16,
    /// The pictures that the viewer got since it was looked at: the number of each packet, and its temporal layer and turn.
    got: Vec<(u16, u8, u16)>,
}

impl Scene {
    fn new() -> Scene {
        let now = start();
        let (mut worker, identity) = worker(now);
        let own = DtlsIdentity::generate().unwrap();
        let vp9 = codec(VIDEO_PT, Some(VIDEO_PT + 1), Codec::Vp9 { profile: 0 });
        let sections = |receive, local| {
            let mut section = section("0", vp9, receive, SSRC, local);
            section.number_id = (!receive).then_some(3);
            vec![section]
        };
        let mut publisher = Client::new(1, None, sections(true, 0x9000), &identity, &own);
        let mut viewer = Client::new(2, Some(1), sections(false, COPY), &identity, &own);
        publisher.connect(now, &mut worker);
        viewer.connect(now, &mut worker);
        Scene {
            now,
            worker,
            publisher,
            viewer,
            picture: 0,
            got: Vec::new(),
        }
    }

    fn path(&mut self, kbps: u64) {
        self.worker
            .suppose_path(self.now, self.viewer.spec.peer, kbps * 1_000, 0);
        self.got.clear();
    }

    /// Sends the pictures of so many turns: two packets each, 33 ms apart, some 240 kb/s.
    fn turns(&mut self, turns: usize) {
        for at in 0..turns * TURN.len() {
            let (layer, opens) = TURN[at % TURN.len()];
            let is_key = self.picture == 0;
            for part in 0..2_u8 {
                // I with seven bits, P, L, B, E; then the picture id, TID, U, TL0PICIDX, and a body.
                let first = 0xa0 | u8::from(!is_key) << 6 | [0x08, 0x04][usize::from(part)];
                let mut payload = vec![
                    first,
                    self.picture as u8 & 0x7f,
                    layer << 5 | u8::from(opens) << 4,
                    (self.picture / 4) as u8,
                ];
                payload.extend_from_slice(&self.picture.to_be_bytes());
                payload.resize(500, 0);
                let sequence = self.picture * 2 + u16::from(part);
                let packet = rtp(
                    VIDEO_PT,
                    part == 1,
                    sequence,
                    u32::from(self.picture) * 3_000,
                    SSRC,
                    &payload,
                );
                let sealed = self.publisher.seal(&packet, u64::from(sequence));
                let sent = exchange(self.now, &mut self.worker, self.publisher.address, &sealed);
                self.take(sent);
            }
            self.picture += 1;
            self.now += Duration::from_millis(33);
            let sent = run_until(&mut self.worker, self.now);
            self.take(sent);
        }
    }

    fn take(&mut self, sent: Vec<(std::net::SocketAddr, Vec<u8>)>) {
        for (to, datagram) in sent {
            let packet = (to == self.viewer.address).then(|| self.viewer.take(self.now, &datagram));
            let Some(packet) = packet.flatten() else { continue };
            let Some(header) = Header::parse(&packet).filter(|header| header.ssrc == COPY) else {
                continue;
            };
            let payload = &packet[header.payload(&packet).unwrap()];
            let picture = u16::from_be_bytes([payload[4], payload[5]]);
            self.got.push((header.sequence, payload[2] >> 5, picture));
        }
    }

    /// The temporal layers of the pictures that came, one for each picture. Checks that no packet's number is missing, and that
    /// all pictures came whole.
    fn layers(&self) -> Vec<u8> {
        assert!(
            self.got.windows(2).all(|pair| pair[1].0 == pair[0].0.wrapping_add(1)),
            "{:?}",
            self.got
        );
        assert!(self.got.chunks(2).all(|pair| pair[0].2 == pair[1].2), "{:?}", self.got);
        self.got.iter().step_by(2).map(|(_, layer, _)| *layer).collect()
    }
}

#[test]
fn fewer_pictures_of_a_vp9_stream_are_sent_where_it_does_not_fit_and_all_again_from_a_switching_up_point_on() {
    let mut scene = Scene::new();
    scene.path(5_000);
    scene.turns(30);
    assert!(scene.layers().ends_with(&[0, 2, 1, 2, 0, 2, 1, 2]));
    scene.path(180);
    scene.turns(2);
    assert_eq!(scene.layers(), [0, 1, 0, 1]);
    scene.path(90);
    scene.turns(2);
    assert_eq!(scene.layers(), [0, 0]);
    scene.path(1_000);
    scene.turns(2);
    assert_eq!(scene.layers(), [0, 2, 1, 2, 0, 2, 1, 2]);
    assert_agrees(&scene.worker);
}
