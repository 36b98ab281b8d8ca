//! Publishers of one room on several workers: each worker has what the others publish, and no packet goes round.

use patchbay::ids::WorkerId;
use patchbay::media::link::{Far, pair};

use super::*;

/// Workers that all have links with one another, and in a room of them so many publishers, each of whom watches the one before.
struct Mesh {
    now: Instant,
    identity: DtlsIdentity,
    workers: Vec<Worker>,
    /// Each with the worker that they live on.
    people: Vec<(usize, Client)>,
    sequence: u16,
}

/// What one publishes.
fn ssrc(number: u64) -> u32 {
    0x1000 * number as u32
}

impl Mesh {
    fn new(workers: usize) -> Mesh {
        let (now, identity) = (start(), DtlsIdentity::generate().unwrap());
        let mut workers: Vec<Worker> = (0..workers).map(|index| worker_of(now, &identity, index)).collect();
        for one in 0..workers.len() {
            for other in 0..one {
                let (end, other_end) = pair();
                workers[one].link(now, Far::Worker(other), end);
                workers[other].link(now, Far::Worker(one), other_end);
            }
        }
        Mesh {
            now,
            identity,
            workers,
            people: Vec::new(),
            sequence: 0,
        }
    }

    /// One more, on worker `at`, who publishes and watches `source`. They are answered where others are by then.
    fn join(&mut self, at: usize, source: u64) {
        let number = 1 + self.people.len() as u64;
        let vp8 = codec(VIDEO_PT, Some(VIDEO_RTX_PT), Codec::Vp8);
        let mut up = section("0", vp8, true, ssrc(number), 0x9_0000 + 16 * number as u32);
        up.down = None;
        let mut down = section("1", vp8, false, 0, 0xa_0000 + 16 * number as u32);
        down.up = None;
        let own = DtlsIdentity::generate().unwrap();
        let mut client = Client::new(number, Some(source), vec![up, down], &self.identity, &own);
        let mut others: Vec<usize> = self.people.iter().map(|(worker, _)| *worker).collect();
        others.sort_unstable();
        others.dedup();
        client.spec.others = others.into_iter().filter(|other| *other != at).map(WorkerId).collect();
        client.connect(self.now, &mut self.workers[at]);
        self.people.push((at, client));
        self.settle();
    }

    /// Lets all workers hear one another; what each of them sent.
    fn settle(&mut self) -> Sent {
        let mut sent = Vec::new();
        let mut buffer = vec![0; 64 * 1024];
        self.workers.iter_mut().for_each(wake_others);
        while self.workers.iter().any(Worker::has_mail) {
            for worker in &mut self.workers {
                worker.take_mirrored(self.now, &mut buffer);
                while !worker.forward(self.now, &buffer) {
                    drain(worker, &mut sent);
                }
                drain(worker, &mut sent);
                wake_others(worker);
            }
        }
        for worker in &self.workers {
            assert_eq!(worker.contradictions(), Vec::<String>::new());
        }
        sent
    }

    /// How many packets each gets of a key frame that everybody publishes.
    fn publish(&mut self) -> Vec<usize> {
        let mut got = vec![0; self.people.len()];
        let sequence = self.sequence;
        self.sequence += 1;
        for at in 0..self.people.len() {
            let (worker, client) = &mut self.people[at];
            let number = 1 + at as u64;
            let packet = rtp(
                VIDEO_PT,
                true,
                sequence,
                u32::from(sequence) * 3_000,
                ssrc(number),
                &vp8(true, sequence, 200),
            );
            let sealed = client.seal(&packet, u64::from(sequence));
            let mut sent = exchange(self.now, &mut self.workers[*worker], client.address, &sealed);
            sent.extend(self.settle());
            for (index, (_, client)) in self.people.iter_mut().enumerate() {
                let address = client.address;
                let mine = sent.iter().filter(|(to, _)| *to == address);
                let packets = mine.filter_map(|(_, bytes)| client.take(self.now, bytes));
                got[index] += packets
                    .filter(|bytes| Header::parse(bytes).is_some_and(|it| it.payload_type == VIDEO_PT))
                    .count();
            }
        }
        got
    }

    fn mirrored(&self) -> Vec<u64> {
        self.workers
            .iter()
            .map(|worker| worker.stats().mirrored_tracks)
            .collect()
    }
}

#[test]
fn publishers_on_three_workers_are_all_seen_on_each_of_them_and_each_packet_once() {
    let mut mesh = Mesh::new(3);
    // Each watches somebody of another worker, the first two one who is to come.
    for (at, source) in [(0, 3), (1, 5), (2, 1), (0, 2), (1, 3), (2, 4)] {
        mesh.join(at, source);
    }
    assert_eq!(mesh.mirrored(), [4, 4, 4]);
    mesh.publish();
    assert_eq!(mesh.publish(), [1; 6]);
    let passed_on = |mesh: &Mesh| {
        mesh.workers
            .iter()
            .map(|worker| worker.stats().mirrored_packets)
            .sum::<u64>()
    };
    let before = passed_on(&mesh);
    mesh.publish();
    assert_eq!(
        passed_on(&mesh) - before,
        6 * 2,
        "each packet goes to each other worker once"
    );
}

#[test]
fn a_worker_that_its_last_connection_leaves_is_sent_nothing_more_and_serves_nothing_any_more() {
    let mut mesh = Mesh::new(3);
    for (at, source) in [(0, 2), (1, 3), (2, 1)] {
        mesh.join(at, source);
    }
    assert_eq!(mesh.publish(), [1; 3]);
    let (_, left) = mesh.people.remove(1);
    mesh.workers[1].handle_command(mesh.now, MediaCommand::Close(left.spec.peer));
    drain(&mut mesh.workers[1], &mut Vec::new());
    mesh.settle();
    assert_eq!(mesh.mirrored(), [1, 0, 1]);
    let stats = mesh.workers[1].stats();
    assert_eq!((stats.rooms, stats.peers, stats.tracks), (0, 0, 0));
    let before = mesh.workers[0].stats().mirrored_packets;
    let packet = rtp(VIDEO_PT, true, 50, 150_000, ssrc(1), &vp8(true, 50, 200));
    let (_, client) = &mut mesh.people[0];
    let sealed = client.seal(&packet, 50);
    exchange(mesh.now, &mut mesh.workers[0], client.address, &sealed);
    assert_eq!(mesh.workers[0].stats().mirrored_packets, before + 1);
    mesh.settle();
    for (worker, client) in mesh.people.drain(..) {
        mesh.workers[worker].handle_command(mesh.now, MediaCommand::Close(client.spec.peer));
        drain(&mut mesh.workers[worker], &mut Vec::new());
    }
    mesh.settle();
    for worker in &mut mesh.workers {
        run_until(worker, mesh.now + Duration::from_secs(1));
        let stats = worker.stats();
        assert_eq!((stats.rooms, stats.tracks, stats.mirrored_tracks), (0, 0, 0));
        assert_eq!(worker.poll_timeout(), None);
    }
}

#[test]
fn a_lost_worker_takes_its_own_publishers_along_and_those_of_the_others_go_on() {
    let mut mesh = Mesh::new(3);
    for (at, source) in [(0, 3), (1, 3), (2, 1)] {
        mesh.join(at, source);
    }
    assert_eq!(mesh.publish(), [1; 3]);
    mesh.workers[1] = worker_again(mesh.now, &mesh.identity, 1, 1);
    mesh.people.remove(1);
    for other in [0, 2] {
        mesh.workers[other].unlink(mesh.now, 1);
    }
    mesh.settle();
    assert_eq!(mesh.mirrored(), [1, 0, 1]);
    let packet = rtp(VIDEO_PT, true, 50, 150_000, ssrc(1), &vp8(true, 50, 200));
    let (_, client) = &mut mesh.people[0];
    let sealed = client.seal(&packet, 50);
    exchange(mesh.now, &mut mesh.workers[0], client.address, &sealed);
    let sent = mesh.settle();
    let (_, far) = &mut mesh.people[1];
    let got = sent
        .iter()
        .filter(|(to, bytes)| *to == far.address && far.take(mesh.now, bytes).is_some());
    assert_eq!(got.count(), 1);
}

#[test]
fn of_two_connections_of_one_publisher_the_newer_one_is_seen_wherever_they_live() {
    let identity = DtlsIdentity::generate().unwrap();
    for new_at in [0, 1] {
        let now = start();
        let (home, mirror) = linked_workers(now, &identity);
        let mut workers = [home, mirror];
        let mut publish = |peer: u64, ssrc: u32, at: usize| {
            let mut section = video(true, 0x9000 + ssrc);
            section.remote_ssrcs[0].ssrc = ssrc;
            let own = DtlsIdentity::generate().unwrap();
            let mut client = Client::new(1, None, vec![section], &identity, &own);
            client.spec.peer = patchbay::ids::PeerId(peer);
            client.spec.transports[0].local_ufrag = format!("server{peer}");
            client.address = ([127, 0, 9, 9], peer as u16).into();
            client.spec.others = [WorkerId(1 - at)].into_iter().collect();
            client.connect(now, &mut workers[at]);
            client
        };
        // Neither worker has heard of the other's when it opens its own.
        let mut old = publish(100, 0x500, 1 - new_at);
        let mut new = publish(200, 0x600, new_at);
        let mut viewers: Vec<Client> = (0..2)
            .map(|at| {
                let own = DtlsIdentity::generate().unwrap();
                let section = video(false, 0x2_0000 + 16 * at as u32);
                let mut client = Client::new(2 + at as u64, Some(1), vec![section], &identity, &own);
                client.connect(now, &mut workers[at]);
                client
            })
            .collect();
        let mut buffer = vec![0; 64 * 1024];
        let [home, mirror] = &mut workers;
        settle(now, [&mut *home, &mut *mirror], &mut buffer, |worker| {
            worker.egress().clear()
        });
        for (client, ssrc, at, expected) in [(&mut old, 0x500, 1 - new_at, 0), (&mut new, 0x600, new_at, 1)] {
            let packet = rtp(VIDEO_PT, true, 1, 3_000, ssrc, &vp8(true, 1, 100));
            let sealed = client.seal(&packet, 1);
            let worker = if at == 0 { &mut *home } else { &mut *mirror };
            let mut sent = exchange(now, worker, client.address, &sealed);
            settle(now, [&mut *home, &mut *mirror], &mut buffer, |worker| {
                drain(worker, &mut sent)
            });
            for viewer in &mut viewers {
                let address = viewer.address;
                let mine = sent.iter().filter(|(to, _)| *to == address);
                let got = mine.filter_map(|(_, bytes)| viewer.take(now, bytes)).count();
                assert_eq!(got, expected, "of {ssrc:x} at {address}");
            }
        }
    }
}
