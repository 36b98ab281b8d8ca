//! A room on two workers: the publisher on one, its home, subscribers on the other, which mirrors its tracks.

mod changes;
mod far_ends;
mod flow;
mod lost;
mod mesh;
mod recorder;
mod sound;
#[cfg(debug_assertions)]
mod speakers;
mod steering;

use super::*;

pub(super) type Sent = Vec<(std::net::SocketAddr, Vec<u8>)>;

pub(super) struct Spread {
    pub(super) now: Instant,
    identity: DtlsIdentity,
    pub(super) home: Worker,
    mirror: Worker,
    pub(super) publisher: Client,
    /// Subscribers of the mirror.
    far: Vec<Client>,
    sequence: u16,
    buffer: Vec<u8>,
}

impl Spread {
    pub(super) fn new(subscribers: u64) -> Spread {
        let identity = DtlsIdentity::generate().unwrap();
        let now = start();
        let (home, mirror) = linked_workers(now, &identity);
        Spread::of(now, identity, home, mirror, video(true, 0x9000), subscribers)
    }

    fn of(
        now: Instant,
        identity: DtlsIdentity,
        mut home: Worker,
        mirror: Worker,
        up: MediaSection,
        subscribers: u64,
    ) -> Spread {
        let own = DtlsIdentity::generate().unwrap();
        let mut publisher = Client::new(1, None, vec![up], &identity, &own);
        publisher.connect(now, &mut home);
        let mut spread = Spread {
            now,
            identity,
            home,
            mirror,
            publisher,
            far: Vec::new(),
            sequence: 0,
            buffer: vec![0; 64 * 1024],
        };
        for number in 0..subscribers {
            spread.join(2 + number);
        }
        spread
    }

    /// Adds a subscriber at the mirror. Returns what both workers sent meanwhile to others.
    fn join(&mut self, number: u64) -> Sent {
        let own = DtlsIdentity::generate().unwrap();
        let section = video(false, 0x2_0000 + 16 * number as u32);
        let mut client = Client::new(number, Some(1), vec![section], &self.identity, &own);
        client.connect(self.now, &mut self.mirror);
        self.far.push(client);
        self.settle()
    }

    /// Exchanges the workers' messages. Returns what they send.
    pub(super) fn settle(&mut self) -> Sent {
        let mut sent = Vec::new();
        settle(
            self.now,
            [&mut self.home, &mut self.mirror],
            &mut self.buffer,
            |worker| drain(worker, &mut sent),
        );
        sent
    }

    /// Publishes a packet. Returns what the home sends; the mirror has not taken it yet.
    pub(super) fn publish_at_home(&mut self, packet: &[u8]) -> Sent {
        let index = u64::from(u16::from_be_bytes([packet[2], packet[3]]));
        let sealed = self.publisher.seal(packet, index);
        exchange(self.now, &mut self.home, self.publisher.address, &sealed)
    }

    fn next_packet(&mut self, key_frame: bool, len: usize) -> Vec<u8> {
        let sequence = self.sequence;
        self.sequence += 1;
        let payload = vp8(key_frame, sequence, len);
        let timestamp = u32::from(sequence) * 3_000;
        rtp(VIDEO_PT, true, sequence, timestamp, VIDEO_SSRC, &payload)
    }

    /// Publishes the next packet. Returns what each far subscriber gets of it.
    fn publish(&mut self, key_frame: bool, len: usize) -> Vec<Vec<Vec<u8>>> {
        let packet = self.next_packet(key_frame, len);
        self.publish_at_home(&packet);
        let sent = self.settle();
        self.hand_out(&sent)
    }

    pub(super) fn hand_out(&mut self, sent: &Sent) -> Vec<Vec<Vec<u8>>> {
        let now = self.now;
        let take = |client: &mut Client| {
            let address = client.address;
            let mine = sent.iter().filter(|(to, _)| *to == address);
            mine.filter_map(|(_, bytes)| client.take(now, bytes)).collect()
        };
        self.far.iter_mut().map(take).collect()
    }

    pub(super) fn pass(&mut self, time: Duration) -> Sent {
        let until = self.now + time;
        let mut sent = Vec::new();
        while self.now < until {
            self.now = until.min(self.now + Duration::from_millis(10));
            sent.extend(run_until(&mut self.home, self.now));
            sent.extend(run_until(&mut self.mirror, self.now));
            sent.extend(self.settle());
        }
        sent
    }

    fn requests_at_publisher(&mut self, sent: &Sent) -> usize {
        let is_request = |packet: &rtcp::Packet<'_>| matches!(packet, rtcp::Packet::Pli { media_ssrc: VIDEO_SSRC });
        let mut found = 0;
        for (to, bytes) in sent {
            if *to == self.publisher.address
                && let Some(compound) = self.publisher.take(self.now, bytes)
            {
                found += rtcp::packets(&compound).filter(is_request).count();
            }
        }
        found
    }

    /// Sends feedback of a far subscriber about its copy. Returns what the workers send then.
    fn feedback(&mut self, subscriber: usize, write: impl Fn(&mut Vec<u8>, u32)) -> Sent {
        let client = &mut self.far[subscriber];
        let mut compound = Vec::new();
        rtcp::write_receiver_report(&mut compound, 7, &[]);
        write(&mut compound, client.spec.sections[0].local_ssrc);
        let sealed = client.seal_rtcp(&compound);
        let mut sent = exchange(self.now, &mut self.mirror, client.address, &sealed);
        sent.extend(self.settle());
        sent
    }

    fn leave(&mut self, subscriber: usize) {
        let client = self.far.remove(subscriber);
        self.mirror
            .handle_command(self.now, MediaCommand::Close(client.spec.peer));
        drain(&mut self.mirror, &mut Vec::new());
        self.settle();
    }

    fn restart_publisher(&mut self, ssrc: u32) {
        self.home
            .handle_command(self.now, MediaCommand::Close(self.publisher.spec.peer));
        self.settle();
        let own = DtlsIdentity::generate().unwrap();
        let mut section = video(true, 0x9000 + ssrc);
        section.remote_ssrcs[0].ssrc = ssrc;
        let mut again = Client::new(1, None, vec![section], &self.identity, &own);
        again.spec.peer = patchbay::ids::PeerId(1_000 + u64::from(ssrc));
        again.spec.transports[0].local_ufrag = format!("again{ssrc}");
        again.address = ([127, 0, 9, 9], ssrc as u16).into();
        again.connect(self.now, &mut self.home);
        self.publisher = again;
        self.settle();
    }
}
