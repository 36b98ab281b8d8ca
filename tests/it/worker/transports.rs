//! Connections of several transports: an offer without BUNDLE, or with several bundles.

use patchbay::ids::PeerId;
use patchbay::media::session::TransportSpec;
use patchbay::media::worker::MAX_TRANSPORTS;

use super::*;

const SSRCS: [u32; 3] = [0x1000, 0x2000, 0x3000];

/// A publisher whose pictures each come over a transport of their own. Each transport is a client by itself: it has its own
/// address, credentials and keys.
struct Split {
    now: Instant,
    worker: Worker,
    transports: Vec<Client>,
    watcher: Client,
    sequence: u16,
}

impl Split {
    fn new(transports: u8) -> Split {
        let now = start();
        let (mut worker, identity) = worker(now);
        let own = DtlsIdentity::generate().unwrap();
        let picture = |number: u8| {
            let ssrc = SSRCS[usize::from(number)];
            let vp8 = codec(VIDEO_PT, Some(VIDEO_RTX_PT), Codec::Vp8);
            let mut section = section(&number.to_string(), vp8, true, ssrc, 0x9000 + 16 * u32::from(number));
            section.transport = number;
            section
        };
        let sections: Vec<MediaSection> = (0..transports).map(picture).collect();
        let whole = Client::new(1, None, sections, &identity, &own);
        let mut parts: Vec<Client> = (0..transports)
            .map(|number| Client::new(101 + u64::from(number), None, Vec::new(), &identity, &own))
            .collect();
        let mut spec = whole.spec;
        spec.transports.clear();
        for (number, part) in (0..).zip(&mut parts) {
            part.spec.transports[0].number = number;
            spec.transports.push(part.spec.transports[0].clone());
        }
        worker.handle_command(now, MediaCommand::Open(Box::new(spec.clone())));
        let watched = |number: u32| {
            let vp8 = codec(VIDEO_PT, Some(VIDEO_RTX_PT), Codec::Vp8);
            section(&number.to_string(), vp8, false, 0, 0x2_0000 + 16 * number)
        };
        let watched = (0..u32::from(transports)).map(watched).collect();
        let mut watcher = Client::new(2, Some(1), watched, &identity, &DtlsIdentity::generate().unwrap());
        watcher.connect(now, &mut worker);
        events(&mut worker);
        for part in &mut parts {
            let transports = std::mem::take(&mut part.spec.transports);
            part.spec = spec.clone();
            part.spec.transports = transports;
        }
        Split {
            now,
            worker,
            transports: parts,
            watcher,
            sequence: 0,
        }
    }

    fn connect(&mut self, number: usize) {
        let client = &mut self.transports[number];
        let check = client.check();
        client.deliver(self.now, &mut self.worker, &check);
        assert!(client.shake_hands(self.now, &mut self.worker, |_| ()));
    }

    /// Lets time pass; the named transports send checks meanwhile, and so does the watcher.
    fn pass(&mut self, seconds: u64, alive: &[usize]) -> Vec<MediaEvent> {
        let mut reports = Vec::new();
        for _ in 0..seconds {
            self.now += Duration::from_secs(1);
            run_until(&mut self.worker, self.now);
            let alive = alive.iter().map(|number| &self.transports[*number]);
            let checks: Vec<_> = alive
                .chain([&self.watcher])
                .map(|one| (one.address, one.check()))
                .collect();
            for (address, check) in checks {
                exchange(self.now, &mut self.worker, address, &check);
            }
            reports.extend(events(&mut self.worker));
        }
        assert_agrees(&self.worker);
        reports.retain(|event| !matches!(event, MediaEvent::TrackStarted { .. }));
        reports
    }

    /// The SSRCs under which the watcher gets a key frame of this transport.
    fn publish(&mut self, number: usize) -> Vec<u32> {
        self.sequence += 1;
        let payload = vp8(true, self.sequence, 100);
        let time = u32::from(self.sequence) * 3_000;
        let packet = rtp(VIDEO_PT, true, self.sequence, time, SSRCS[number], &payload);
        let client = &self.transports[number];
        let sealed = client.seal(&packet, u64::from(self.sequence));
        let sent = exchange(self.now, &mut self.worker, client.address, &sealed);
        let (now, watcher) = (self.now, &mut self.watcher);
        let address = watcher.address;
        let to_watcher = sent.iter().filter(|(to, _)| *to == address);
        let copies = to_watcher.filter_map(|(_, bytes)| Some(Header::parse(&watcher.take(now, bytes)?)?.ssrc));
        copies.filter(|ssrc| (0x2_0000..0x3_0000).contains(ssrc)).collect()
    }
}

const PEER: PeerId = PeerId(1);

#[test]
fn each_transport_of_an_offer_without_bundle_carries_its_section() {
    let mut split = Split::new(2);
    split.connect(0);
    assert_eq!(events(&mut split.worker), [MediaEvent::Connected { peer: PEER }]);
    assert_eq!(split.publish(0), [0x2_0000]);
    split.connect(1);
    assert_eq!(split.pass(1, &[0, 1]), [], "the connection is up already");
    assert_eq!(split.publish(1), [0x2_0010]);
    assert_eq!(split.worker.stats().peers, 2);
    split.worker.handle_command(split.now, MediaCommand::Close(PEER));
    assert_eq!(split.worker.stats().peers, 1);
    assert_agrees(&split.worker);
}

#[test]
fn of_three_transports_the_one_that_never_connects_costs_the_others_nothing() {
    let mut split = Split::new(3);
    split.connect(0);
    split.connect(2);
    assert_eq!(split.pass(40, &[0, 2]), [MediaEvent::Connected { peer: PEER }]);
    assert_eq!(split.publish(0), [0x2_0000]);
    assert_eq!(split.publish(2), [0x2_0020]);
    // They fall silent: the client counts as not heard when both are silent.
    assert_eq!(split.pass(25, &[2]), []);
    let suspended = MediaEvent::Suspended { peer: PEER };
    assert_eq!(split.pass(30, &[]), [suspended]);
    assert_eq!(split.pass(5, &[0]), [MediaEvent::Resumed { peer: PEER }]);
}

#[test]
fn a_transport_that_its_client_ends_takes_the_others_along() {
    let mut split = Split::new(3);
    split.connect(0);
    split.connect(1);
    events(&mut split.worker);
    let client = &mut split.transports[1];
    client.dtls.close(split.now);
    while let Some(goodbye) = client.dtls.poll_transmit() {
        exchange(split.now, &mut split.worker, client.address, &goodbye);
    }
    let reason = CloseReason::ClosedByPeer;
    assert_eq!(split.pass(1, &[0]), [MediaEvent::Closed { peer: PEER, reason }]);
    assert_eq!(split.worker.stats().peers, 1);
}

#[test]
fn a_transport_that_is_silent_for_long_waits_while_another_is_heard() {
    let mut split = Split::new(2);
    split.connect(0);
    split.connect(1);
    events(&mut split.worker);
    assert_eq!(split.pass(400, &[0]), []);
    assert_eq!(split.pass(2, &[0, 1]), []);
    assert_eq!(split.publish(1), [0x2_0010]);
}

#[test]
fn a_connection_none_of_whose_transports_connects_ends_once() {
    let mut split = Split::new(3);
    let reason = CloseReason::ConnectTimeout;
    assert_eq!(split.pass(40, &[]), [MediaEvent::Closed { peer: PEER, reason }]);
    assert_eq!(split.worker.stats().peers, 1);
}

#[test]
fn a_new_offer_removes_a_transport_and_adds_another() {
    let mut split = Split::new(2);
    split.connect(0);
    split.connect(1);
    let mut spec = split.transports[0].spec.clone();
    let mut third = split.transports[1].spec.transports[0].clone();
    (third.number, third.local_ufrag) = (2, "a-third-one".to_owned());
    spec.transports.push(third.clone());
    spec.sections[1].transport = 2;
    split
        .worker
        .handle_command(split.now, MediaCommand::Open(Box::new(spec)));
    assert_agrees(&split.worker);
    assert_eq!(split.publish(0), [0x2_0000]);
    assert_eq!(split.publish(1), [0_u32; 0], "that transport is removed");
}

#[test]
fn where_places_are_scarce_whoever_asks_for_several_transports_is_refused_first() {
    let now = start();
    let (mut worker, identity) = worker(now);
    let own = DtlsIdentity::generate().unwrap();
    let mut client = Client::new(1, None, Vec::new(), &identity, &own);
    let mut open = |worker: &mut Worker, peer: u64, transports: u8| {
        let spec = &mut client.spec;
        spec.peer = PeerId(peer);
        let first = spec.transports[0].clone();
        spec.transports = (0..transports)
            .map(|number| {
                let local_ufrag = format!("{peer}/{number}");
                TransportSpec {
                    number,
                    local_ufrag,
                    ..first.clone()
                }
            })
            .collect();
        worker.handle_command(now, MediaCommand::Open(Box::new(spec.clone())));
        events(worker)
    };
    for peer in 1..MAX_TRANSPORTS as u64 / 2 {
        assert_eq!(open(&mut worker, peer, 1), []);
    }
    let (peer, reason) = (PeerId(100_000), CloseReason::Full);
    assert_eq!(open(&mut worker, peer.0, 2), [MediaEvent::Closed { peer, reason }]);
    assert_eq!(open(&mut worker, 100_001, 1), []);
    assert_eq!(worker.stats().peers, MAX_TRANSPORTS as u64 / 2);
}
