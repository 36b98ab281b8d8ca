//! One publisher and many subscribers on one worker, or on two, all connected: the basis of benches and measurements.

use std::time::{Duration, Instant};

use patchbay::media::codec::Codec;
use patchbay::media::peer::dtls::DtlsIdentity;
use patchbay::media::rtcp;
use patchbay::media::worker::{Datagram, Worker};

use super::media_client::{
    Client, VIDEO_PT, VIDEO_RTX_PT, codec, linked_workers, rtp, run_until, section, settle, vp8, worker,
};

pub const VIDEO_SSRC: u32 = 0x1000;
pub const NUMBER_ID: u8 = 3;
/// The length of the whole unprotected packet: that of libwebrtc's video packets on an Ethernet path.
pub const PACKET_BYTES: usize = 1_188;

pub struct Broadcast {
    pub now: Instant,
    /// Time between two packets of the publisher.
    pub step: Duration,
    pub worker: Worker,
    /// The worker that serves the rest of the subscribers.
    pub mirror: Option<Worker>,
    mirror_buffer: Vec<u8>,
    pub publisher: Client,
    pub subscribers: Vec<Client>,
    sequence: u64,
}

impl Broadcast {
    pub fn new(now: Instant, subscribers: u64) -> Broadcast {
        let (worker, identity) = worker(now);
        Broadcast::on(now, &identity, worker, None, [subscribers, 0], None)
    }

    /// A broadcast whose subscribers read transport-wide numbers under [`NUMBER_ID`].
    pub fn numbered(now: Instant, subscribers: u64) -> Broadcast {
        let (worker, identity) = worker(now);
        Broadcast::on(now, &identity, worker, None, [subscribers, 0], Some(NUMBER_ID))
    }

    /// A broadcast to subscribers that read transport-wide numbers, and have told of the first packet: the path to each is
    /// estimated, and what it gets is paced.
    pub fn estimated(now: Instant, subscribers: u64) -> Broadcast {
        let mut broadcast = Broadcast::numbered(now, subscribers);
        for client in &mut broadcast.subscribers {
            let mut compound = Vec::new();
            rtcp::write_receiver_report(&mut compound, 7, &[]);
            let feedback = [
                0x8f, 205, 0, 5, 0, 0, 0, 7, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 1, 0, 0x20, 1, 4, 0,
            ];
            compound.extend_from_slice(&feedback);
            let sealed = client.seal_rtcp(&compound);
            client.deliver(now, &mut broadcast.worker, &sealed);
        }
        let told = broadcast.worker.stats().reported_packets;
        assert_eq!(told, subscribers, "each has told of a packet");
        broadcast
    }

    /// A broadcast with `far` more subscribers on a worker that mirrors the room.
    pub fn spread(now: Instant, near: u64, far: u64) -> Broadcast {
        let identity = DtlsIdentity::generate().expect("a certificate can be made");
        let (worker, mirror) = linked_workers(now, &identity);
        Broadcast::on(now, &identity, worker, Some(mirror), [near, far], None)
    }

    fn on(
        now: Instant,
        identity: &DtlsIdentity,
        mut worker: Worker,
        mut mirror: Option<Worker>,
        [near, far]: [u64; 2],
        number_id: Option<u8>,
    ) -> Broadcast {
        // All clients have one certificate: making a thousand would take longer than the measurement.
        let own = DtlsIdentity::generate().expect("a certificate can be made");
        let video = |receive, ssrc| {
            section(
                "0",
                codec(VIDEO_PT, Some(VIDEO_RTX_PT), Codec::Vp8),
                receive,
                VIDEO_SSRC,
                ssrc,
            )
        };
        let mut publisher = Client::new(1, None, vec![video(true, 0x9000)], identity, &own);
        publisher.connect(now, &mut worker);
        let mut all = Vec::new();
        for number in 2..2 + near + far {
            let mut section = video(false, 0x2_0000 + 16 * number as u32);
            section.number_id = number_id;
            let mut client = Client::new(number, Some(1), vec![section], identity, &own);
            let at = match &mut mirror {
                Some(mirror) if number >= 2 + near => mirror,
                _ => &mut worker,
            };
            client.connect(now, at);
            all.push(client);
        }
        let mut broadcast = Broadcast {
            now,
            step: Duration::ZERO,
            worker,
            mirror,
            mirror_buffer: vec![0; 256 * 1024],
            publisher,
            subscribers: all,
            sequence: 0,
        };
        broadcast.mirror();
        let first = broadcast.sealed(1, true);
        broadcast.forward(&first);
        broadcast
    }

    /// Seals the publisher's next packets, ready to be sent.
    pub fn sealed(&mut self, count: usize, key_frame: bool) -> Vec<Vec<u8>> {
        let packets = (0..count).map(|_| {
            let sequence = self.sequence;
            self.sequence += 1;
            let payload = vp8(key_frame, sequence as u16 & 0x7fff, PACKET_BYTES - 12);
            let timestamp = (sequence * 300) as u32;
            let packet = rtp(VIDEO_PT, true, sequence as u16, timestamp, VIDEO_SSRC, &payload);
            self.publisher.seal(&packet, sequence)
        });
        packets.collect()
    }

    /// Gives the packets to the worker, each as a batch of its own; returns the bytes that it sent.
    pub fn forward(&mut self, packets: &[Vec<u8>]) -> usize {
        let mut buffer = [0; 2_048];
        let mut sent = 0;
        for packet in packets {
            self.now += self.step;
            buffer[..packet.len()].copy_from_slice(packet);
            let datagram = Datagram {
                from: self.publisher.address,
                to: None,
                start: 0,
                len: packet.len(),
            };
            self.worker.handle_datagrams(self.now, &mut buffer, &[datagram]);
            while !self.worker.forward(self.now, &buffer) {
                sent += flush(&mut self.worker);
            }
            sent += flush(&mut self.worker);
            sent += self.mirror();
        }
        sent
    }

    /// Exchanges the workers' messages. Returns the bytes that they sent.
    fn mirror(&mut self) -> usize {
        let mut sent = 0;
        if let Some(mirror) = &mut self.mirror {
            let workers = [&mut self.worker, mirror];
            settle(self.now, workers, &mut self.mirror_buffer, |worker| {
                sent += flush(worker)
            });
        }
        sent
    }

    /// Lets the worker hear of everybody, and do what is due.
    pub fn catch_up(&mut self) {
        for client in self.subscribers.iter_mut().chain([&mut self.publisher]) {
            let check = client.plain_check();
            client.deliver(self.now, &mut self.worker, &check);
        }
        run_until(&mut self.worker, self.now);
        while self.worker.poll_event().is_some() {}
    }

    pub fn pass(&mut self, time: Duration) {
        self.now += time;
        run_until(&mut self.worker, self.now);
    }
}

fn flush(worker: &mut Worker) -> usize {
    let sent = worker.egress().sends().map(|(_, bytes)| bytes.len()).sum();
    worker.egress().clear();
    sent
}
