//! TCP connections with real sockets, and the time as it is given.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream as Client};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mio::Poll;

use super::*;
use crate::media::peer::ice::Path;
use crate::media::tcp::outgoing::Importance::{self, Kept, Sound, Video};
use crate::media::tcp::outgoing::{MAX_WAIT, STUCK_AFTER};
use crate::media::virtual_time::epoch;

/// A place, and whether its client is known.
#[derive(Clone, Default)]
pub(in crate::media::driver) struct Seat(pub Arc<AtomicBool>);

impl TcpPlace for Seat {
    fn client_is_known(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A client, and its connection as whoever accepts it hands it over.
pub(in crate::media::driver) fn arrival(bytes: &[u8], seat: &Seat) -> (Client, Arrival) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let client = Client::connect(listener.local_addr().unwrap()).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let (stream, address) = listener.accept().unwrap();
    stream.set_nonblocking(true).unwrap();
    let arrival = Arrival {
        stream: stream.into(),
        client: address,
        bytes: bytes.to_vec(),
        place: Box::new(seat.clone()),
    };
    (client, arrival)
}

struct Scene {
    tcp: TcpConnections,
    arrivals: mpsc::Sender<Arrival>,
    buffer: Vec<u8>,
    _poll: Poll,
}

fn key_of(remote: Remote) -> TcpKey {
    let Via::Tcp(key) = remote.via else {
        panic!("{remote:?} is no connection");
    };
    key
}

impl Scene {
    fn new() -> Scene {
        let poll = Poll::new().unwrap();
        let (arrivals, receiver) = mpsc::channel(8);
        let registry = poll.registry().try_clone().unwrap();
        Scene {
            tcp: TcpConnections::new(receiver, registry),
            arrivals,
            buffer: vec![0; 256 * 1024],
            _poll: poll,
        }
    }

    fn open(&mut self) -> (Client, Remote) {
        let (client, arrival) = arrival(&[0, 1, 7], &Seat::default());
        assert!(self.arrivals.try_send(arrival).is_ok());
        assert_eq!(self.tcp.next_arrival(0), Some(0));
        let received = self.tcp.take(epoch(), &mut self.buffer).unwrap();
        assert!(received.end.is_none());
        assert_eq!(self.tcp.packets(), [2..3]);
        (client, received.remote)
    }

    fn queue(&mut self, now: Instant, remote: Remote, importance: Importance, (count, len): (usize, usize)) {
        let packets = vec![importance as u8; count * len];
        let run = Run {
            path: Path { remote, local: None },
            bytes: 0..packets.len(),
            segment: len,
            importance,
        };
        assert!(self.tcp.queue(now, key_of(run.path.remote), &run, &packets));
    }

    /// Queues video that nobody reads, until some of it has to wait here.
    fn stall(&mut self, now: Instant, remote: Remote) {
        while self.tcp.queued == 0 {
            self.queue(now, remote, Video, (20, 1_000));
            self.tcp.flush_queued(now);
        }
    }

    fn stats(&self) -> Stats {
        let mut stats = Stats::default();
        self.tcp.count(&mut stats);
        stats
    }
}

/// Reads until nothing more comes, and how that ended.
fn read_all(client: &mut Client) -> (Vec<u8>, io::Result<usize>) {
    let mut bytes = Vec::new();
    let end = client.read_to_end(&mut bytes);
    (bytes, end)
}

#[test]
fn a_connection_has_room_for_a_key_frame_however_many_are_idle_or_full() {
    let mut scene = Scene::new();
    let idle: Vec<_> = (0..200).map(|_| scene.open()).collect();
    let (_client, remote) = scene.open();
    scene.stall(epoch(), remote);
    scene.queue(epoch(), remote, Video, (300, 1_000));
    assert_eq!(scene.stats().tcp_dropped_packets, 0, "those that are idle take nothing");
    assert!(scene.stats().tcp_queued_bytes > 300_000);
    // As if others had all.
    scene.tcp.queued += TOTAL_BYTES;
    let (_other, full) = (&idle[0].0, idle[0].1);
    for _ in 0..60 {
        scene.queue(epoch(), full, Video, (60, 1_000));
        scene.tcp.flush_queued(epoch());
    }
    let queue = &scene.tcp.open[key_of(full)].outgoing;
    assert!(
        (KEY_FRAME_BYTES / 3..=KEY_FRAME_BYTES).contains(&queue.len()),
        "{}",
        queue.len()
    );
}

#[test]
fn what_the_socket_takes_at_once_needs_no_room() {
    let mut scene = Scene::new();
    let (_client, remote) = scene.open();
    for _ in 0..28 {
        scene.queue(epoch(), remote, Video, (20, 1_000));
    }
    assert_eq!(scene.stats().tcp_dropped_packets, 0);
    assert!(28 * 20 * 1_002 > MAX_BYTES);
}

#[test]
fn media_that_has_become_late_is_not_sent_also_where_nothing_follows() {
    let mut scene = Scene::new();
    let (mut client, remote) = scene.open();
    let key = key_of(remote);
    scene.stall(epoch(), remote);
    scene.queue(epoch(), remote, Sound, (50, 100));
    scene.queue(epoch(), remote, Kept, (3, 77));
    let later = epoch() + MAX_WAIT;
    // The client reads again, which it does by another path now.
    let token = Token(key.data().as_ffi() as usize);
    let reader = std::thread::spawn(move || read_all(&mut client).0);
    while !scene.tcp.open[key].outgoing.is_empty() {
        scene.tcp.ready(later, token);
    }
    scene.tcp.close(remote, TcpEnd::Unused);
    let bytes = reader.join().unwrap();
    let mut places = Vec::new();
    assert_eq!(framing::split(&bytes, &mut places, usize::MAX), Ok(bytes.len()));
    let count = |importance| {
        places
            .iter()
            .filter(|place| bytes[place.start] == importance as u8)
            .count()
    };
    assert_eq!((count(Sound), count(Kept)), (0, 3));
    assert!(scene.stats().tcp_dropped_packets >= 50);
    assert_eq!(scene.stats().tcp_queued_bytes, 0);
}

#[test]
fn old_media_takes_no_room_and_a_client_that_reads_nothing_loses_its_connection() {
    let mut scene = Scene::new();
    let (_client, remote) = scene.open();
    scene.stall(epoch(), remote);
    scene.queue(epoch(), remote, Video, (200, 1_000));
    scene.queue(epoch(), remote, Kept, (1, 100));
    assert!(scene.tcp.sweep(epoch() + MAX_WAIT, |_| true).is_empty());
    assert!(
        scene.stats().tcp_queued_bytes < 2_000,
        "what has begun to leave, and what is kept"
    );
    assert_eq!(scene.tcp.sweep(epoch() + STUCK_AFTER, |_| true), [remote]);
    let stats = scene.stats();
    assert_eq!((stats.tcp_connections, stats.tcp_queued_bytes), (0, 0));
    assert_eq!(stats.tcp_closed_connections[TcpEnd::Stuck as usize], 1);
}

#[test]
fn whoever_sends_many_small_packets_leaves_others_their_turn() {
    let mut scene = Scene::new();
    let (mut busy, from_busy) = scene.open();
    let (mut other, from_other) = scene.open();
    // What each reads at first is that nothing has come.
    assert!(scene.tcp.receive(&mut scene.buffer).is_none());
    busy.write_all(&[0, 1, 7].repeat(3_000)).unwrap();
    other.write_all(&[0, 1, 7]).unwrap();
    std::thread::sleep(Duration::from_millis(50));
    for remote in [from_busy, from_other] {
        scene
            .tcp
            .ready(epoch(), Token(key_of(remote).data().as_ffi() as usize));
    }
    let (mut received, mut turns_of_other) = (0, Vec::new());
    for turn in 0.. {
        let Some(found) = scene.tcp.receive(&mut scene.buffer) else {
            break;
        };
        let packets = scene.tcp.packets().len();
        assert!(packets <= PACKETS, "{packets}");
        match found.remote == from_busy {
            true => received += packets,
            false => turns_of_other.push(turn),
        }
        let unread = &scene.tcp.open[key_of(from_busy)].unread;
        assert!(unread.len() <= READ_BYTES + HEADER + framing::MAX_PACKET);
    }
    assert_eq!(received, 3_000);
    assert_eq!(turns_of_other, [1]);
}

#[test]
fn the_system_asks_a_silent_client_whether_it_is_there() {
    let mut scene = Scene::new();
    let (_client, remote) = scene.open();
    let stream = &scene.tcp.open[key_of(remote)].stream;
    let socket = socket2::SockRef::from(stream);
    assert!(socket.keepalive().unwrap());
    assert_eq!(socket.tcp_keepalive_time().unwrap(), ASKED_AFTER);
    assert_eq!(socket.tcp_keepalive_interval().unwrap(), ASKED_EVERY);
    assert_eq!(socket.tcp_user_timeout().unwrap(), Some(UNACKNOWLEDGED_FOR));
}

#[test]
fn the_last_words_arrive_although_media_waits_and_the_client_goes_on_sending() {
    let mut scene = Scene::new();
    let (mut client, remote) = scene.open();
    scene.stall(epoch(), remote);
    scene.queue(epoch(), remote, Kept, (1, 77));
    // Nobody reads this any more: closing the socket would reset the connection, and nothing that waits would arrive.
    client.write_all(&[0, 1, 7].repeat(1_000)).unwrap();
    let reader = std::thread::spawn(move || read_all(&mut client));
    while !scene.tcp.finish(&mut scene.buffer) {
        std::thread::sleep(Duration::from_millis(1));
    }
    let (bytes, end) = reader.join().unwrap();
    assert!(end.is_ok(), "{end:?}");
    assert_eq!(bytes[bytes.len() - 79..][..3], [0, 77, Kept as u8]);
}
