//! Which path is used, and to whom an address belongs.

use std::net::SocketAddr;

use super::*;

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const NOWHERE: [SocketAddr; 0] = [];

pub(super) fn somewhere_else(port: u16) -> SocketAddr {
    ([127, 0, 0, 77], port).into()
}

/// The events about connections.
pub(super) fn changes(worker: &mut Worker) -> Vec<MediaEvent> {
    let is_of_a_track = |event: &MediaEvent| matches!(event, MediaEvent::TrackStarted { .. });
    events(worker)
        .into_iter()
        .filter(|event| !is_of_a_track(event))
        .collect()
}

impl Stage {
    /// Lets a second pass, in which the publisher keeps its consent.
    pub(super) fn pass_second(&mut self) {
        self.pass(SECOND);
        let check = self.publisher.check();
        self.publisher.deliver(self.now, &mut self.worker, &check);
    }

    /// The addresses to which the copies of one more packet, a key frame, are sent.
    pub(super) fn destinations(&mut self) -> Vec<SocketAddr> {
        let sequence = self.sequence;
        self.sequence += 1;
        let payload = vp8(true, sequence, 100);
        let packet = rtp(
            VIDEO_PT,
            true,
            sequence,
            u32::from(sequence) * 3_000,
            VIDEO_SSRC,
            &payload,
        );
        let sealed = self.publisher.seal(&packet, u64::from(sequence));
        let sent = exchange(self.now, &mut self.worker, self.publisher.address, &sealed);
        let copies = sent.into_iter().filter(|(to, _)| *to != self.publisher.address);
        copies.map(|(to, _)| to).collect()
    }

    /// Sends a check of a subscriber from some address. Returns whether it was answered.
    pub(super) fn check_from(&mut self, subscriber: usize, from: SocketAddr, nominates: bool) -> bool {
        let client = &self.subscribers[subscriber];
        let check = if nominates {
            client.check()
        } else {
            client.plain_check()
        };
        let sent = exchange(self.now, &mut self.worker, from, &check);
        sent.iter().any(|(to, bytes)| *to == from && bytes[0] == 1)
    }

    pub(super) fn report_from(&mut self, subscriber: usize, from: SocketAddr) {
        let mut compound = Vec::new();
        rtcp::write_receiver_report(&mut compound, 7, &[]);
        let sealed = self.subscribers[subscriber].seal_rtcp(&compound);
        exchange(self.now, &mut self.worker, from, &sealed);
    }
}

#[test]
fn a_client_whose_nat_binds_anew_is_followed_though_it_nominates_nothing() {
    let mut stage = Stage::new(1);
    let before = stage.subscribers[0].address;
    assert_eq!(stage.destinations(), [before]);
    let after = somewhere_else(1);
    let mut followed = None;
    for second in 1..=12 {
        stage.pass_second();
        // Consent checks every five seconds; the first one comes from the new port.
        if second % 5 == 0 {
            assert!(stage.check_from(0, after, false));
        }
        if followed.is_none() && stage.destinations() == [after] {
            followed = Some(second);
        }
    }
    assert_eq!(followed, Some(7), "after the interval of six seconds and a tick");
    assert_eq!(stage.destinations(), [after]);
}

#[test]
fn nomination_decides_between_living_paths() {
    let mut stage = Stage::new(1);
    let (first, second) = (stage.subscribers[0].address, somewhere_else(1));
    assert!(stage.check_from(0, second, false));
    for _ in 0..20 {
        stage.pass_second();
        assert!(stage.check_from(0, first, false) && stage.check_from(0, second, false));
        assert_eq!(stage.destinations(), [first], "it was nominated, and lives");
    }
    assert!(stage.check_from(0, second, true));
    assert_eq!(stage.destinations(), [second], "at once");
    for _ in 0..8 {
        stage.pass_second();
        assert!(stage.check_from(0, first, false));
    }
    assert_eq!(stage.destinations(), [first], "the nominated one is silent");
    assert!(stage.check_from(0, second, false));
    assert_eq!(stage.destinations(), [second], "it lives again");
}

#[test]
fn media_marks_a_known_path_but_makes_none() {
    let mut stage = Stage::new(1);
    let (first, known, unknown) = (stage.subscribers[0].address, somewhere_else(1), somewhere_else(2));
    assert!(stage.check_from(0, known, false));
    for _ in 0..5 {
        stage.pass_second();
        assert!(stage.check_from(0, first, false));
        stage.report_from(0, known);
        stage.report_from(0, unknown);
        assert_eq!(
            stage.destinations(),
            [first],
            "media alone moves nothing while the path in use lives"
        );
    }
    for _ in 0..8 {
        stage.pass_second();
        stage.report_from(0, known);
        stage.report_from(0, unknown);
    }
    assert_eq!(stage.destinations(), [known], "reports have kept it alive");
    for _ in 0..30 {
        stage.pass_second();
        stage.report_from(0, unknown);
    }
    assert_eq!(
        stage.destinations(),
        NOWHERE,
        "what comes from an unknown address is not heard"
    );
}

#[test]
fn a_path_on_which_our_answers_get_lost_is_left_for_the_one_that_the_client_sends_on() {
    let mut stage = Stage::new(0);
    let section = video(false, 0x2_0020);
    let own = DtlsIdentity::generate().unwrap();
    let client = Client::new(2, Some(1), vec![section], &stage.identity, &own);
    client.open(stage.now, &mut stage.worker);
    let (deaf, works) = (somewhere_else(1), client.address);
    stage.subscribers.push(client);
    // The first path to be heard is the one on which nothing arrives at the client.
    assert!(stage.check_from(0, deaf, false) && stage.check_from(0, works, false));
    let mut client = stage.subscribers.pop().unwrap();
    client.shake_hands(stage.now, &mut stage.worker, |_| ());
    stage.subscribers.push(client);
    for _ in 0..20 {
        assert_eq!(stage.destinations(), [works]);
        stage.pass_second();
        stage.report_from(0, works);
        assert!(stage.check_from(0, deaf, false) && stage.check_from(0, works, false));
    }
}

/// A room with a publisher and a thief, who subscribes.
fn stage_with_thief() -> (Stage, SocketAddr) {
    let stage = Stage::new(1);
    let thief = stage.subscribers[0].address;
    (stage, thief)
}

#[test]
fn a_thief_that_repeats_itself_does_not_get_the_address_of_a_silent_victim() {
    let (mut stage, thief) = stage_with_thief();
    let victim = stage.join();
    let address = stage.subscribers[victim].address;
    let mut both = [thief, address];
    both.sort_unstable();
    for second in 1..=19 {
        stage.pass_second();
        for _ in 0..5 {
            stage.check_from(0, address, true);
        }
        let mut to = stage.destinations();
        to.sort_unstable();
        assert_eq!(to, both, "after {second} s of silence");
        assert!(stage.check_from(0, thief, true));
    }
    assert!(stage.check_from(victim, address, false), "its own checks are answered");
    stage.check_from(0, address, true);
    stage.report_from(victim, address);
    assert_eq!(stage.worker.stats().rejected_packets, 0, "its packets are its own");
}

#[test]
fn an_owner_that_was_silent_for_longer_takes_its_address_back_by_a_check() {
    let (mut stage, thief) = stage_with_thief();
    let victim = stage.join();
    let (address, elsewhere) = (stage.subscribers[victim].address, somewhere_else(9));
    for _ in 0..25 {
        stage.pass_second();
        // It lives, at another address.
        assert!(stage.check_from(victim, elsewhere, false));
        assert!(stage.check_from(0, thief, false) && stage.check_from(0, address, true));
    }
    assert_eq!(stage.destinations(), [address, elsewhere], "it was free, and nominated");
    assert!(stage.check_from(victim, address, true));
    assert_eq!(stage.destinations(), [thief, address]);
    assert!(stage.check_from(0, address, true), "answered, and nothing else");
    assert_eq!(stage.destinations(), [thief, address]);
}

/// A victim connects, while checks of a thief come from its address: before its own first one, after it, and before each of
/// the datagrams of its handshake.
fn connects_amid_claims(stage: &mut Stage, claim: &[u8]) {
    let now = stage.now;
    let section = video(false, 0x2_0090);
    let own = DtlsIdentity::generate().unwrap();
    let mut victim = Client::new(9, Some(1), vec![section], &stage.identity, &own);
    let address = victim.address;
    let claims = |worker: &mut Worker| {
        for _ in 0..3 {
            exchange(now, worker, address, claim);
        }
    };
    claims(&mut stage.worker);
    victim.open(now, &mut stage.worker);
    let check = victim.check();
    let answered = exchange(now, &mut stage.worker, address, &check);
    assert_eq!(answered.len(), 1);
    victim.shake_hands(now, &mut stage.worker, claims);
    let expected = MediaEvent::Connected { peer: victim.spec.peer };
    assert_eq!(changes(&mut stage.worker), [expected]);
    claims(&mut stage.worker);
    stage.subscribers.push(victim);
    let to = stage.destinations();
    let mut expected: Vec<_> = stage
        .subscribers
        .iter()
        .filter(|client| client.connected)
        .map(|client| client.address)
        .collect();
    expected.sort_unstable();
    assert_eq!(to, expected, "everybody at their own address");
}

#[test]
fn a_victim_connects_from_an_address_that_a_connected_thief_claims() {
    let (mut stage, _) = stage_with_thief();
    let claim = stage.subscribers[0].check();
    connects_amid_claims(&mut stage, &claim);
}

#[test]
fn a_victim_connects_from_an_address_that_a_thief_without_keys_claims() {
    let mut stage = Stage::new(0);
    let own = DtlsIdentity::generate().unwrap();
    let thief = Client::new(5, Some(1), vec![video(false, 0x2_0050)], &stage.identity, &own);
    thief.open(stage.now, &mut stage.worker);
    let claim = thief.check();
    connects_amid_claims(&mut stage, &claim);
    // The connection is still there, without any path.
    stage
        .worker
        .handle_command(stage.now, MediaCommand::Close(thief.spec.peer));
    assert_eq!(changes(&mut stage.worker), []);
}

#[test]
fn a_thief_that_closes_in_the_middle_of_the_victims_handshake_does_not_end_it() {
    let mut stage = Stage::new(0);
    let now = stage.now;
    let [thieves_own, own] = [(); 2].map(|()| DtlsIdentity::generate().unwrap());
    let thief = Client::new(5, Some(1), vec![video(false, 0x2_0050)], &stage.identity, &thieves_own);
    let mut victim = Client::new(9, Some(1), vec![video(false, 0x2_0090)], &stage.identity, &own);
    thief.open(now, &mut stage.worker);
    victim.open(now, &mut stage.worker);
    let check = victim.check();
    victim.deliver(now, &mut stage.worker, &check);
    exchange(now, &mut stage.worker, victim.address, &thief.check());
    let mut left = 3;
    victim.shake_hands(now, &mut stage.worker, |worker| {
        left -= 1;
        if left == 0 {
            worker.handle_command(now, MediaCommand::Close(thief.spec.peer));
        }
    });
    assert!(left <= 0);
    let expected = MediaEvent::Connected { peer: victim.spec.peer };
    assert_eq!(changes(&mut stage.worker), [expected]);
}

#[test]
fn a_client_that_connects_anew_from_the_same_port_does_not_wait() {
    let mut stage = Stage::new(1);
    stage.destinations();
    stage.pass_second();
    let address = stage.subscribers[0].address;
    let own = DtlsIdentity::generate().unwrap();
    let mut anew = Client::new(7, Some(1), vec![video(false, 0x2_0070)], &stage.identity, &own);
    anew.address = address;
    anew.connect(stage.now, &mut stage.worker);
    assert_eq!(
        changes(&mut stage.worker),
        [MediaEvent::Connected { peer: anew.spec.peer }]
    );
    stage.subscribers.push(anew);
    assert_eq!(stage.destinations(), [address], "to the new one alone");
    stage.report_from(1, address);
    assert_eq!(stage.worker.stats().rejected_packets, 0);
    assert_eq!(stage.worker.stats().known_addresses, 2);
}

#[test]
fn two_whose_clients_seem_to_share_an_address_both_get_their_packets_through() {
    let mut stage = Stage::new(2);
    let contested = somewhere_else(1);
    // Neither has made a handshake from there: one has moved, the other claims it.
    assert!(stage.check_from(0, contested, true) && stage.check_from(1, contested, true));
    for subscriber in [0, 1, 1, 0] {
        stage.report_from(subscriber, contested);
    }
    assert_eq!(stage.worker.stats().rejected_packets, 0);
    exchange(stage.now, &mut stage.worker, contested, &[0x80; 100]);
    assert_eq!(stage.worker.stats().rejected_packets, 1);
}

#[test]
fn claims_of_one_address_by_many_stay_bounded_and_keep_nobody_out() {
    let mut stage = Stage::new(0);
    let now = stage.now;
    let [own, thieves_own] = [(); 2].map(|()| DtlsIdentity::generate().unwrap());
    let thieves: Vec<Client> = (100..160)
        .map(|number| {
            Client::new(
                number,
                Some(1),
                vec![video(false, 0x9_0000 + number as u32 * 16)],
                &stage.identity,
                &thieves_own,
            )
        })
        .collect();
    let mut victim = Client::new(9, Some(1), vec![video(false, 0x2_0090)], &stage.identity, &own);
    for thief in &thieves {
        thief.open(now, &mut stage.worker);
        exchange(now, &mut stage.worker, victim.address, &thief.check());
    }
    victim.connect(now, &mut stage.worker);
    assert_eq!(
        changes(&mut stage.worker),
        [MediaEvent::Connected { peer: victim.spec.peer }]
    );
    for thief in &thieves {
        stage.worker.handle_command(now, MediaCommand::Close(thief.spec.peer));
    }
    assert_eq!(stage.worker.stats().known_addresses, 2);
}

#[test]
fn a_handshake_that_was_led_elsewhere_takes_nobodys_address() {
    let mut stage = Stage::new(1);
    let victim = stage.subscribers[0].address;
    let own = DtlsIdentity::generate().unwrap();
    let mut thief = Client::new(7, Some(1), vec![video(false, 0x2_0070)], &stage.identity, &own);
    let from = thief.address;
    thief.open(stage.now, &mut stage.worker);
    for address in [from, victim] {
        exchange(stage.now, &mut stage.worker, address, &thief.check());
    }
    // The thief forges the source of the last flight of its handshake, after two hellos and one with the cookie, and of its
    // checks after that.
    let mut sent = 0;
    thief.dtls.start(stage.now).unwrap();
    while let Some(datagram) = thief.dtls.poll_transmit() {
        sent += 1;
        let source = if sent > 3 { victim } else { from };
        for (to, answer) in exchange(stage.now, &mut stage.worker, source, &datagram) {
            if to == from {
                thief.take(stage.now, &answer);
            }
        }
    }
    let connected = MediaEvent::Connected { peer: thief.spec.peer };
    assert_eq!(changes(&mut stage.worker), [connected]);
    for _ in 0..10 {
        exchange(stage.now, &mut stage.worker, victim, &thief.check());
        assert!(stage.check_from(0, victim, true));
        assert_eq!(stage.destinations(), [victim, from], "to each at its own address");
        stage.report_from(0, victim);
        stage.pass_second();
    }
    assert_eq!(stage.worker.stats().rejected_packets, 0, "its packets are its own");
}

#[test]
fn claims_by_many_do_not_take_an_address_to_which_its_owner_has_moved() {
    let mut stage = Stage::new(10);
    let moved = somewhere_else(1);
    assert!(stage.check_from(0, moved, true));
    let own = DtlsIdentity::generate().unwrap();
    let without_keys = |number| {
        let section = video(false, 0x2_0000 + number as u32 * 16);
        Client::new(number, Some(1), vec![section], &stage.identity, &own)
    };
    let claimants = [70, 71].map(without_keys);
    let owner_is_heard = |stage: &mut Stage| {
        let before = stage.worker.stats().rejected_packets;
        stage.report_from(0, moved);
        assert_eq!(stage.worker.stats().rejected_packets, before, "its packets are its own");
    };
    owner_is_heard(&mut stage);
    // With checks alone, with media under their own keys, and with connections that have no keys yet.
    for thief in 1..10 {
        assert!(stage.check_from(thief, moved, true));
        owner_is_heard(&mut stage);
    }
    for thief in 1..10 {
        stage.report_from(thief, moved);
        assert!(stage.check_from(thief, moved, true));
        stage.report_from(thief, moved);
        owner_is_heard(&mut stage);
    }
    for claimant in &claimants {
        claimant.open(stage.now, &mut stage.worker);
        exchange(stage.now, &mut stage.worker, moved, &claimant.check());
        owner_is_heard(&mut stage);
    }
}
