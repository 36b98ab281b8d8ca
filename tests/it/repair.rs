//! Loss on both ways, repaired: a publisher that answers NACKs, a worker between, a subscriber that sends them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use patchbay::media::codec::Codec;
use patchbay::media::peer::dtls::DtlsIdentity;
use patchbay::media::rtcp::{self, Packet};
use patchbay::media::rtp::{Header, sequence_distance};
use patchbay::media::worker::Worker;

use crate::worker::media_client::*;

const SSRC: u32 = 0x1000;
const ROUND_TRIP: Duration = Duration::from_millis(40);

/// Decides by a fixed sequence of numbers, so that a failure comes again.
struct Chance(u64);

impl Chance {
    fn one_in(&mut self, n: u64) -> bool {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33).is_multiple_of(n)
    }
}

struct Scene {
    now: Instant,
    worker: Worker,
    publisher: Client,
    subscriber: Client,
    chance: Chance,
    lose_one_in: u64,
    rtx_index: u64,
    /// The packets that the subscriber has, by extended sequence number.
    got: BTreeMap<i64, Vec<u8>>,
    asked: BTreeSet<(i64, Instant)>,
    /// Datagrams on their way to the publisher, with half a round trip to go.
    upstream: Vec<(Instant, Vec<u8>)>,
}

impl Scene {
    fn new(lose_one_in: u64) -> Scene {
        #[allow(clippy::disallowed_methods, reason = "a test's starting point")]
        let now = Instant::now();
        let (mut worker, identity) = worker(now);
        let own = DtlsIdentity::generate().unwrap();
        let of = |receive, local| {
            section(
                "0",
                codec(VIDEO_PT, Some(VIDEO_RTX_PT), Codec::Vp8),
                receive,
                SSRC,
                local,
            )
        };
        let mut publisher = Client::new(1, None, vec![of(true, 0x9000)], &identity, &own);
        publisher.connect(now, &mut worker);
        let mut subscriber = Client::new(2, Some(1), vec![of(false, 0x2_0000)], &identity, &own);
        subscriber.connect(now, &mut worker);
        Scene {
            now,
            worker,
            publisher,
            subscriber,
            chance: Chance(7),
            lose_one_in,
            rtx_index: 0,
            got: BTreeMap::new(),
            asked: BTreeSet::new(),
            upstream: Vec::new(),
        }
    }

    fn packet(sequence: u64) -> Vec<u8> {
        let payload = vp8(sequence == 0, sequence as u16, 100);
        rtp(VIDEO_PT, true, sequence as u16, sequence as u32 * 360, SSRC, &payload)
    }

    fn publish(&mut self, sequence: u64) {
        let sealed = self.publisher.seal(&Self::packet(sequence), sequence);
        // The first packet carries the key frame, without which nothing is forwarded.
        if sequence > 0 && self.chance.one_in(self.lose_one_in) {
            return;
        }
        let sent = exchange(self.now, &mut self.worker, self.publisher.address, &sealed);
        self.carry(sent);
    }

    /// Brings the worker's datagrams to the clients, as far as the network lets it.
    fn carry(&mut self, sent: Vec<(SocketAddr, Vec<u8>)>) {
        for (to, bytes) in sent {
            if to == self.publisher.address {
                self.upstream.push((self.now + ROUND_TRIP / 2, bytes));
            } else if self.got.is_empty() || !self.chance.one_in(self.lose_one_in) {
                self.take(&bytes);
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        let Some(packet) = self.subscriber.take(self.now, bytes) else {
            return;
        };
        let Some(header) = Header::parse(&packet).filter(|_| !matches!(packet[1], 192..=223)) else {
            return;
        };
        let mut payload = &packet[header.len..];
        let mut sequence = header.sequence;
        if header.payload_type == VIDEO_RTX_PT {
            sequence = u16::from_be_bytes([payload[0], payload[1]]);
            payload = &payload[2..];
        }
        let newest = self
            .got
            .last_key_value()
            .map_or(i64::from(sequence), |(newest, _)| *newest);
        let extended = newest + i64::from(sequence_distance(sequence, newest as u16));
        let before = self.got.insert(extended, payload.to_vec());
        assert!(
            before.is_none_or(|before| before == payload),
            "another packet under the same number"
        );
    }

    /// Sends NACKs of the subscriber, each gap once a round trip; a lost NACK needs no special case.
    fn ask(&mut self) {
        let Some((&newest, _)) = self.got.last_key_value() else {
            return;
        };
        let (&oldest, _) = self.got.first_key_value().unwrap();
        let since = self.now - ROUND_TRIP;
        let recently = |sequence: i64| {
            self.asked
                .range((sequence, since)..)
                .next()
                .is_some_and(|(s, _)| *s == sequence)
        };
        let missing: Vec<i64> = (oldest..newest)
            .filter(|s| !self.got.contains_key(s))
            .filter(|s| !recently(*s))
            .take(64)
            .collect();
        if missing.is_empty() {
            return;
        }
        self.asked.extend(missing.iter().map(|sequence| (*sequence, self.now)));
        let sequences: Vec<u16> = missing.iter().map(|sequence| *sequence as u16).collect();
        let ssrc = self.subscriber.spec.sections[0].local_ssrc;
        let mut compound = Vec::new();
        rtcp::write_receiver_report(&mut compound, 7, &[]);
        rtcp::write_nack(&mut compound, 7, ssrc, &sequences);
        let sealed = self.subscriber.seal_rtcp(&compound);
        let sent = exchange(self.now, &mut self.worker, self.subscriber.address, &sealed);
        self.carry(sent);
    }

    /// The publisher sends the packets that were requested half a round trip ago.
    fn answer(&mut self) {
        let now = self.now;
        let (due, later) = std::mem::take(&mut self.upstream)
            .into_iter()
            .partition(|(due, _)| *due <= now);
        self.upstream = later;
        let due: Vec<(Instant, Vec<u8>)> = due;
        let mut wanted = Vec::new();
        for (_, bytes) in due {
            let Some(compound) = self.publisher.take(now, &bytes) else {
                continue;
            };
            for packet in rtcp::packets(&compound) {
                if let Packet::Nack {
                    media_ssrc: SSRC,
                    pairs,
                } = packet
                {
                    rtcp::each_nacked(pairs, |sequence| wanted.push(sequence));
                }
            }
        }
        for sequence in wanted {
            let original = Self::packet(u64::from(sequence));
            let mut rtx = original[..12].to_vec();
            rtx[1] = 0x80 | VIDEO_RTX_PT;
            rtx[2..4].copy_from_slice(&(self.rtx_index as u16).to_be_bytes());
            rtx[8..12].copy_from_slice(&(SSRC + 1).to_be_bytes());
            rtx.extend_from_slice(&sequence.to_be_bytes());
            rtx.extend_from_slice(&original[12..]);
            let sealed = self.publisher.seal(&rtx, self.rtx_index);
            self.rtx_index += 1;
            if !self.chance.one_in(self.lose_one_in) {
                let sent = exchange(now, &mut self.worker, self.publisher.address, &sealed);
                self.carry(sent);
            }
        }
    }

    fn pass(&mut self, millis: u64) {
        self.now += Duration::from_millis(millis);
        let sent = run_until(&mut self.worker, self.now);
        self.carry(sent);
        self.answer();
    }
}

#[test]
fn a_tenth_lost_on_each_way_is_repaired_on_each_way() {
    const PACKETS: u64 = 2_000;
    let mut scene = Scene::new(10);
    for sequence in 0..PACKETS {
        scene.publish(sequence);
        scene.pass(4);
        if sequence % 5 == 0 {
            scene.ask();
        }
    }
    for _ in 0..60 {
        scene.pass(10);
        scene.ask();
    }
    let (first, last) = (
        *scene.got.first_key_value().unwrap().0,
        *scene.got.last_key_value().unwrap().0,
    );
    assert!(
        last - first + 1 >= PACKETS as i64 - 3,
        "only packets at the very end may have gone unnoticed"
    );
    assert_eq!(
        scene.got.len() as i64,
        last - first + 1,
        "nothing is missing in between"
    );
    for (sequence, payload) in &scene.got {
        let original = Scene::packet((sequence - first) as u64);
        assert_eq!(payload[4..], original[12 + 4..], "packet {sequence}");
    }
    let stats = scene.worker.stats();
    assert!(stats.nacks_sent > 50 && stats.resent_packets > 150, "{stats:?}");
    assert_eq!(stats.rejected_packets, 0);
}

#[test]
fn without_loss_nobody_asks_for_anything() {
    let mut scene = Scene::new(u64::MAX);
    for sequence in 0..500 {
        scene.publish(sequence);
        scene.pass(4);
        scene.ask();
    }
    let stats = scene.worker.stats();
    assert_eq!(
        (stats.nacks_sent, stats.nacks_received, stats.resent_packets),
        (0, 0, 0)
    );
    assert_eq!(scene.got.len(), 500);
}
