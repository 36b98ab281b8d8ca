//! The client's side of one connection with a media worker, pure like the worker itself: it makes checks and handshakes,
//! seals and opens packets. It is for scenarios in virtual time, benches and measurements.

use std::net::SocketAddr;
use std::time::Instant;

use patchbay::ids::{Features, Feed, FeedRef, ParticipantId, PeerId, RoomId, WorkerId};
use patchbay::media::codec::{Codec, Kind};
use patchbay::media::link::Far;
use patchbay::media::messages::{MediaCommand, MediaEvent};
use patchbay::media::names::{Dealer, Down, Muted, TrackName, TrackRef, Use};
use patchbay::media::peer::dtls::{Dtls, DtlsIdentity, DtlsProgress};
use patchbay::media::peer::ice::Path;
use patchbay::media::peer::srtp::{Inbound, Outbound, Profile, contexts};
use patchbay::media::rtp::{Extension, Header};
use patchbay::media::session::{
    DtlsRole, Feedback, Fingerprint, FingerprintHash, MediaSection, NegotiatedCodec, PeerSpec, RemoteSsrc,
    TransportSpec,
};
use patchbay::media::worker::{Datagram, MAX_WAITING_BYTES, WORKER_CACHE_BYTES, Worker, WorkerConfig};
use rtc_stun::attributes::{ATTR_ICE_CONTROLLING, ATTR_PRIORITY, ATTR_USE_CANDIDATE, ATTR_USERNAME};
use rtc_stun::fingerprint::FINGERPRINT;
use rtc_stun::integrity::MessageIntegrity;
use rtc_stun::message::{BINDING_REQUEST, Message, Setter};

pub const ROOM: RoomId = RoomId(1);
pub const VIDEO_PT: u8 = 96;
pub const VIDEO_RTX_PT: u8 = 97;
pub const AUDIO_PT: u8 = 111;

/// A worker with this port as its own.
pub fn worker(now: Instant) -> (Worker, DtlsIdentity) {
    let identity = DtlsIdentity::generate().unwrap();
    (worker_of(now, &identity, 0), identity)
}

pub fn worker_of(now: Instant, identity: &DtlsIdentity, index: usize) -> Worker {
    worker_again(now, identity, index, 0)
}

/// A worker in the place of as many lost ones.
pub fn worker_again(now: Instant, identity: &DtlsIdentity, index: usize, generation: u8) -> Worker {
    worker_with(now, identity, &spare_identity(), index, generation)
}

/// The certificate for clients that must begin a new association: never the same one as the first.
pub fn spare_identity() -> DtlsIdentity {
    DtlsIdentity::generate().unwrap()
}

/// A worker whose spare certificate is known.
pub fn worker_with(
    now: Instant,
    identity: &DtlsIdentity,
    spare: &DtlsIdentity,
    index: usize,
    generation: u8,
) -> Worker {
    let config = WorkerConfig {
        spare_identity: spare.clone(),
        identity: identity.clone(),
        max_publish_bps: 4_000_000,
        max_segments: 64,
        cache_bytes: WORKER_CACHE_BYTES,
        index,
        generation,
    };
    Worker::new(now, config)
}

/// Two workers that can share rooms, without threads: worker 0, where the publisher of most scenarios lives, and 1.
pub fn linked_workers(now: Instant, identity: &DtlsIdentity) -> (Worker, Worker) {
    let (mut home, mut mirror) = (worker_of(now, identity, 0), worker_of(now, identity, 1));
    link(now, &mut home, &mut mirror);
    (home, mirror)
}

/// Lets worker 0 and worker 1 share rooms.
pub fn link(now: Instant, home: &mut Worker, mirror: &mut Worker) {
    let (end, other_end) = patchbay::media::link::pair();
    home.link(now, Far::Worker(1), end);
    mirror.link(now, Far::Worker(0), other_end);
}

/// Exchanges the messages of two linked workers until both have none. Returns all that they send.
pub fn settle(now: Instant, mut workers: [&mut Worker; 2], buffer: &mut [u8], mut sent: impl FnMut(&mut Worker)) {
    workers.iter_mut().for_each(|worker| wake_others(worker));
    while workers.iter().any(|worker| worker.has_mail()) {
        for worker in &mut workers {
            worker.take_mirrored(now, buffer);
            while !worker.forward(now, buffer) {
                sent(worker);
            }
            sent(worker);
            wake_others(worker);
        }
    }
}

/// Lets the other ends of a worker's links find what it has put in.
pub fn wake_others(worker: &mut Worker) {
    while worker.poll_wake().is_some() {}
}

pub fn codec(payload_type: u8, rtx: Option<u8>, codec: Codec) -> NegotiatedCodec {
    let feedback = Feedback {
        nack: true,
        pli: true,
        fir: false,
        transport_cc: true,
        remb: false,
        rrtr: false,
    };
    NegotiatedCodec {
        payload_type,
        rtx_payload_type: rtx,
        codec,
        feedback,
    }
}

/// The first track of a kind that somebody publishes.
pub fn up(kind: Kind) -> TrackName {
    let feed = Feed::Camera;
    TrackName { feed, kind, number: 0 }
}

/// The first track of a kind of `participant`, for somebody who watches them.
pub fn down(participant: u64, kind: Kind) -> Down {
    let participant = FeedRef::camera(ParticipantId(participant));
    Down::Track(TrackRef::first(participant, kind))
}

/// One section of a client that publishes (`receive`) or subscribes.
pub fn section(mid: &str, codec: NegotiatedCodec, receive: bool, remote_ssrc: u32, local_ssrc: u32) -> MediaSection {
    let kind: Kind = codec.codec.kind();
    let announced = RemoteSsrc {
        ssrc: remote_ssrc,
        rtx: codec.rtx_payload_type.map(|_| remote_ssrc + 1),
    };
    MediaSection {
        mid: mid.as_bytes().into(),
        transport: 0,
        kind,
        up: receive.then(|| up(kind)),
        down: (!receive).then(|| down(1, kind)),
        codecs: [codec].into_iter().collect(),
        extensions: [(1, Extension::Mid), (3, Extension::TransportSequence)]
            .into_iter()
            .collect(),
        number_id: None,
        remote_ssrcs: receive.then_some(announced).into_iter().collect(),
        rids: Default::default(),
        local_ssrc,
        local_rtx_ssrc: local_ssrc + 1,
        further: Vec::new(),
    }
}

/// A check of the controlling side (RFC 8445 §7.2.4). The username is the receiver's fragment, then the sender's.
pub fn connectivity_check(username: &str, password: &str, nominates: bool) -> Vec<u8> {
    let provider = rtc_crypto::default_provider().unwrap();
    let mut message = Message::new();
    message.set_type(BINDING_REQUEST);
    message.new_transaction_id().unwrap();
    message.write_header();
    message.add(ATTR_USERNAME, username.as_bytes());
    message.add(ATTR_PRIORITY, &[0x6e, 0, 0, 1]);
    message.add(ATTR_ICE_CONTROLLING, &[1; 8]);
    if nominates {
        message.add(ATTR_USE_CANDIDATE, &[]);
    }
    MessageIntegrity::new_short_term_integrity_with_provider(password.to_owned(), provider.crypto())
        .add_to(&mut message)
        .unwrap();
    FINGERPRINT.add_to(&mut message).unwrap();
    message.raw
}

/// The address from which a client sends its media.
pub struct Client {
    pub address: SocketAddr,
    pub spec: PeerSpec,
    pub dtls: Dtls,
    pub secure: Option<(Outbound, Inbound)>,
    pub connected: bool,
}

impl Client {
    /// A client of participant `number`, who gets the tracks of `source`.
    pub fn new(
        number: u64,
        source: Option<u64>,
        mut sections: Vec<MediaSection>,
        server: &DtlsIdentity,
        own: &DtlsIdentity,
    ) -> Client {
        let watched = source.map(|source| Use::Watch(FeedRef::camera(ParticipantId(source))));
        let uses: Vec<Use> = [Use::Publish(Feed::Camera, &Kind::ALL)]
            .into_iter()
            .chain(watched)
            .collect();
        let mut dealer = Dealer::new(&uses);
        for section in &mut sections {
            section.up = section.up.and_then(|_| dealer.next_up(section.kind));
            section.down = section.down.and_then(|_| dealer.next_down(section.kind));
        }
        let fingerprint = |identity: &DtlsIdentity| {
            vec![Fingerprint {
                hash: FingerprintHash::Sha256,
                digest: identity.fingerprint.into(),
            }]
        };
        let transport = TransportSpec {
            number: 0,
            local_ufrag: format!("server{number}"),
            local_pwd: format!("password-of-the-server-{number}"),
            remote_ufrag: format!("client{number}"),
            remote_pwd: "password-of-the-client-side".to_owned(),
            remote_fingerprints: fingerprint(own),
            dtls_role: DtlsRole::Server,
        };
        let spec = PeerSpec {
            peer: PeerId(number),
            participant: ParticipantId(number),
            room: ROOM,
            others: [WorkerId(0)].into_iter().collect(),
            transports: [transport].into_iter().collect(),
            spare_certificate: false,
            sections,
            muted: Muted::default(),
            understands: Features::default(),
        };
        let ip = [127, 1, (number >> 8) as u8, number as u8];
        Client {
            address: (ip, 40_000).into(),
            spec,
            dtls: Dtls::new(own.clone(), DtlsRole::Client, fingerprint(server)),
            secure: None,
            connected: false,
        }
    }

    pub fn open(&self, now: Instant, worker: &mut Worker) {
        worker.handle_command(now, MediaCommand::Open(Box::new(self.spec.clone())));
    }

    /// A nominating connectivity check.
    pub fn check(&self) -> Vec<u8> {
        self.check_with(&self.spec.transports[0].local_pwd)
    }

    pub fn check_with(&self, password: &str) -> Vec<u8> {
        self.write_check(password, true)
    }

    /// A check that nominates nothing: clients keep their consent with it, and try other paths.
    pub fn plain_check(&self) -> Vec<u8> {
        self.write_check(&self.spec.transports[0].local_pwd, false)
    }

    fn write_check(&self, password: &str, nominates: bool) -> Vec<u8> {
        let transport = &self.spec.transports[0];
        let username = format!("{}:{}", transport.local_ufrag, transport.remote_ufrag);
        connectivity_check(&username, password, nominates)
    }

    /// Check and handshake, without loss.
    pub fn connect(&mut self, now: Instant, worker: &mut Worker) {
        assert!(
            self.try_connect(now, worker),
            "client {} did not connect",
            self.spec.peer
        );
    }

    /// Does the same, and returns whether it succeeded.
    pub fn try_connect(&mut self, now: Instant, worker: &mut Worker) -> bool {
        self.open(now, worker);
        let check = self.check();
        self.deliver(now, worker, &check);
        self.shake_hands(now, worker, |_| ())
    }

    /// The handshake, without loss. Returns whether it succeeded. `amid` is called before each datagram.
    pub fn shake_hands(&mut self, now: Instant, worker: &mut Worker, mut amid: impl FnMut(&mut Worker)) -> bool {
        self.dtls.start(now).unwrap();
        for _ in 0..16 {
            while let Some(datagram) = self.dtls.poll_transmit() {
                amid(worker);
                self.deliver(now, worker, &datagram);
            }
            if self.connected {
                return true;
            }
        }
        false
    }

    /// Sends one datagram to the worker and takes what comes back for this client. Datagrams for others are lost.
    pub fn deliver(&mut self, now: Instant, worker: &mut Worker, datagram: &[u8]) -> Vec<Vec<u8>> {
        let sent = exchange(now, worker, self.address, datagram);
        let address = self.address;
        let mine = sent
            .into_iter()
            .filter(|(to, _)| *to == address)
            .map(|(_, bytes)| bytes);
        mine.filter_map(|bytes| self.take(now, &bytes)).collect()
    }

    /// Takes a datagram. Returns media or feedback, unprotected.
    pub fn take(&mut self, now: Instant, datagram: &[u8]) -> Option<Vec<u8>> {
        match datagram.first()? {
            20..=63 => {
                if let DtlsProgress::Established {
                    profile,
                    exported,
                    we_are_client,
                } = self.dtls.receive(now, datagram).unwrap()
                {
                    self.secure = contexts(profile, &exported, we_are_client);
                }
                // The server's handshake is done when ours is: its Finished completes our side.
                self.connected = self.secure.is_some();
                None
            }
            128..=191 => {
                let (_, inbound) = self.secure.as_mut()?;
                let mut packet = datagram.to_vec();
                let len = if matches!(packet[1], 192..=223) {
                    inbound.open_rtcp(&mut packet).ok()?
                } else {
                    let header = Header::parse(&packet)?;
                    inbound.open_rtp(&mut packet, &header).ok()?
                };
                packet.truncate(len);
                Some(packet)
            }
            _ => None,
        }
    }

    /// Seals an RTP packet: header and payload as given.
    pub fn seal(&self, packet: &[u8], index: u64) -> Vec<u8> {
        let (outbound, _) = self.secure.as_ref().unwrap();
        let header = Header::parse(packet).unwrap();
        let mut sealed = packet.to_vec();
        sealed.resize(packet.len() + outbound.profile().tag_len(), 0);
        outbound.seal_rtp(&mut sealed, header.len, header.ssrc, index);
        sealed
    }

    pub fn seal_rtcp(&mut self, compound: &[u8]) -> Vec<u8> {
        let mut sealed = compound.to_vec();
        self.secure.as_mut().unwrap().0.seal_rtcp(&mut sealed);
        sealed
    }

    pub fn profile(&self) -> Option<Profile> {
        self.secure.as_ref().map(|(outbound, _)| outbound.profile())
    }
}

/// Gives the worker one datagram; returns everything that it sends, cut into datagrams.
pub fn exchange(now: Instant, worker: &mut Worker, from: SocketAddr, datagram: &[u8]) -> Vec<(SocketAddr, Vec<u8>)> {
    let mut buffer = datagram.to_vec();
    let received = Datagram {
        from,
        to: None,
        start: 0,
        len: buffer.len(),
    };
    worker.handle_datagrams(now, &mut buffer, &[received]);
    let mut sent = Vec::new();
    forward(now, worker, &buffer, &mut sent);
    take_waiting(now, worker, &mut sent);
    sent
}

/// Makes the copies of a batch's packets for all who get them.
pub fn forward(now: Instant, worker: &mut Worker, buffer: &[u8], sent: &mut Vec<(SocketAddr, Vec<u8>)>) {
    loop {
        let done = worker.forward(now, buffer);
        drain(worker, sent);
        if done {
            return;
        }
    }
}

/// Goes on with the handshakes that wait.
pub fn take_waiting(now: Instant, worker: &mut Worker, sent: &mut Vec<(SocketAddr, Vec<u8>)>) {
    let mut buffer = [0; MAX_WAITING_BYTES];
    while worker.has_waiting() {
        worker.take_waiting(now, &mut buffer);
        forward(now, worker, &buffer, sent);
    }
}

pub fn drain(worker: &mut Worker, sent: &mut Vec<(SocketAddr, Vec<u8>)>) {
    for (send, bytes) in worker.egress().sends() {
        let Path { remote, .. } = send.path;
        sent.extend(
            bytes
                .chunks(send.segment)
                .map(|datagram| (remote.address, datagram.to_vec())),
        );
    }
    worker.egress().clear();
}

/// Lets the worker's timers run up to `until`; returns what it sent.
pub fn run_until(worker: &mut Worker, until: Instant) -> Vec<(SocketAddr, Vec<u8>)> {
    let mut sent = Vec::new();
    while let Some(due) = worker.poll_timeout().filter(|&due| due <= until) {
        worker.handle_timeout(due);
        drain(worker, &mut sent);
    }
    #[cfg(debug_assertions)]
    assert_eq!(worker.forgotten(until), Vec::<String>::new());
    sent
}

pub fn events(worker: &mut Worker) -> Vec<MediaEvent> {
    std::iter::from_fn(|| worker.poll_event()).collect()
}

/// An RTP packet without extensions.
pub fn rtp(payload_type: u8, marker: bool, sequence: u16, timestamp: u32, ssrc: u32, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, u8::from(marker) << 7 | payload_type];
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(&timestamp.to_be_bytes());
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.extend_from_slice(payload);
    packet
}

/// A VP8 payload with a 15-bit picture id: the beginning of a key frame, or of another frame.
pub fn vp8(key_frame: bool, picture_id: u16, len: usize) -> Vec<u8> {
    let mut payload = vec![
        0x90,
        0x80,
        0x80 | (picture_id >> 8) as u8,
        picture_id as u8,
        u8::from(!key_frame),
    ];
    payload.resize(len.max(16), 0xab);
    payload
}
