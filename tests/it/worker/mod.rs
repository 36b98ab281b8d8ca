//! The media worker in virtual time, with clients that are pure, too.

#[path = "../../support/media_client.rs"]
pub mod media_client;
#[path = "../../support/transport_feedback.rs"]
pub mod transport_feedback;
#[allow(dead_code, reason = "each binary uses its own part of the common support")]
#[path = "../../support/wide.rs"]
pub mod wide;

mod beginnings;
mod chores;
mod clocks;
mod estimates;
mod formats;
mod forwarding;
mod handshakes;
mod joined_sends;
mod left_out;
mod loudest;
mod memory;
mod mirror;
mod muting;
mod names;
#[cfg(debug_assertions)]
mod pacing;
mod paths;
mod repair;
mod reports;
mod safety;
#[cfg(debug_assertions)]
mod simulcast;
mod slots;
mod sound_losses;
mod speaking;
mod steering;
mod suspension;
mod transports;
mod undecodable;

use std::time::{Duration, Instant};

use media_client::*;
use patchbay::media::codec::Codec;
use patchbay::media::messages::{CloseReason, MediaCommand, MediaEvent};
use patchbay::media::peer::dtls::DtlsIdentity;
use patchbay::media::peer::srtp::Profile;
use patchbay::media::rtcp;
use patchbay::media::rtp::Header;
use patchbay::media::session::MediaSection;
use patchbay::media::worker::Worker;

const VIDEO_SSRC: u32 = 0x1000;

/// What the worker keeps in several places is the same in each. A release build has no audit.
fn assert_agrees(worker: &Worker) {
    #[cfg(debug_assertions)]
    assert_eq!(worker.contradictions(), Vec::<String>::new());
    let _ = worker;
}

fn start() -> Instant {
    #[allow(clippy::disallowed_methods, reason = "a test's starting point")]
    Instant::now()
}

/// A publisher's report of one stream: the instant `ntp` (RFC 3550 §4) is `rtp` in its packets.
fn sender_report(ssrc: u32, ntp: u64, rtp: u32) -> Vec<u8> {
    let info = rtcp::SenderInfo {
        ssrc,
        ntp,
        rtp,
        packets: 1,
        octets: 1,
    };
    let mut compound = Vec::new();
    rtcp::write_sender_report(&mut compound, &info, "publisher");
    compound
}

fn video(receive: bool, local_ssrc: u32) -> MediaSection {
    section(
        "0",
        codec(VIDEO_PT, Some(VIDEO_RTX_PT), Codec::Vp8),
        receive,
        VIDEO_SSRC,
        local_ssrc,
    )
}

/// A room with one publisher of VP8 and some subscribers, all connected.
struct Stage {
    now: Instant,
    worker: Worker,
    identity: DtlsIdentity,
    publisher: Client,
    subscribers: Vec<Client>,
    sequence: u16,
}

impl Stage {
    fn new(subscribers: u64) -> Stage {
        let now = start();
        let (worker, identity) = worker(now);
        Stage::on(now, worker, identity, subscribers)
    }

    fn on(now: Instant, mut worker: Worker, identity: DtlsIdentity, subscribers: u64) -> Stage {
        let mut publisher = Client::new(
            1,
            None,
            vec![video(true, 0x9000)],
            &identity,
            &DtlsIdentity::generate().unwrap(),
        );
        publisher.connect(now, &mut worker);
        let mut stage = Stage {
            now,
            worker,
            identity,
            publisher,
            subscribers: Vec::new(),
            sequence: 0,
        };
        for _ in 0..subscribers {
            stage.join();
        }
        events(&mut stage.worker);
        stage
    }

    /// Adds a subscriber, and connects it. Returns its index.
    fn join(&mut self) -> usize {
        let number = 2 + self.subscribers.len() as u64;
        let section = video(false, 0x2_0000 + 16 * number as u32);
        let mut client = Client::new(
            number,
            Some(1),
            vec![section],
            &self.identity,
            &DtlsIdentity::generate().unwrap(),
        );
        client.connect(self.now, &mut self.worker);
        self.subscribers.push(client);
        self.subscribers.len() - 1
    }

    fn publish(&mut self, key_frame: bool, payload_len: usize) -> Vec<Vec<Vec<u8>>> {
        let sequence = self.sequence;
        self.sequence += 1;
        let payload = vp8(key_frame, sequence, payload_len);
        self.publish_packet(&rtp(
            VIDEO_PT,
            true,
            sequence,
            u32::from(sequence) * 3_000,
            VIDEO_SSRC,
            &payload,
        ))
    }

    /// Publishes one packet. Returns what each subscriber gets of it.
    fn publish_packet(&mut self, packet: &[u8]) -> Vec<Vec<Vec<u8>>> {
        let index = u64::from(u16::from_be_bytes([packet[2], packet[3]]));
        let sealed = self.publisher.seal(packet, index);
        let sent = exchange(self.now, &mut self.worker, self.publisher.address, &sealed);
        self.hand_out(sent)
    }

    fn hand_out(&mut self, sent: Vec<(std::net::SocketAddr, Vec<u8>)>) -> Vec<Vec<Vec<u8>>> {
        let now = self.now;
        let take = |client: &mut Client| {
            let address = client.address;
            let mine = sent.iter().filter(|(to, _)| *to == address);
            mine.filter_map(|(_, bytes)| client.take(now, bytes)).collect()
        };
        self.subscribers.iter_mut().map(take).collect()
    }

    fn pass(&mut self, time: Duration) -> Vec<(std::net::SocketAddr, Vec<u8>)> {
        self.now += time;
        run_until(&mut self.worker, self.now)
    }

    fn requests_at_publisher(&mut self, sent: &[(std::net::SocketAddr, Vec<u8>)]) -> usize {
        let mut found = 0;
        for (to, bytes) in sent {
            if *to == self.publisher.address
                && let Some(compound) = self.publisher.take(self.now, bytes)
            {
                found += rtcp::packets(&compound)
                    .filter(|packet| matches!(packet, rtcp::Packet::Pli { .. }))
                    .count();
            }
        }
        found
    }

    fn nack(&mut self, subscriber: usize, sequences: &[u16]) -> Vec<Vec<u8>> {
        let ssrc = self.subscribers[subscriber].spec.sections[0].local_ssrc;
        let mut compound = Vec::new();
        rtcp::write_receiver_report(&mut compound, 7, &[]);
        rtcp::write_nack(&mut compound, 7, ssrc, sequences);
        let client = &mut self.subscribers[subscriber];
        let sealed = client.seal_rtcp(&compound);
        client.deliver(self.now, &mut self.worker, &sealed)
    }
}
