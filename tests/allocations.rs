//! The packet path allocates nothing once it is warm, and the memory that publishers filled is given back to the system. It is
//! a test binary of its own: memory is counted for the whole process, so another test's would be counted too.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by its panic"
)]

#[allow(dead_code, reason = "each binary uses its own part of the common support")]
#[path = "support/broadcast.rs"]
mod broadcast;
#[allow(dead_code, reason = "each binary uses its own part of the common support")]
#[path = "support/counting.rs"]
mod counting;
#[allow(dead_code, reason = "each binary uses its own part of the common support")]
#[path = "support/media_client.rs"]
mod media_client;
#[path = "support/meeting.rs"]
mod meeting;
#[allow(dead_code, reason = "each binary uses its own part of the common support")]
#[path = "support/wide.rs"]
mod wide;

#[allow(dead_code, reason = "transcripts use the rest")]
#[path = "it/transcripts/house.rs"]
mod house;
#[allow(dead_code, reason = "transcripts use the rest")]
#[path = "it/transcripts/model.rs"]
mod model;
#[allow(dead_code, reason = "transcripts use the rest")]
#[path = "it/transcripts/workers.rs"]
mod workers;

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use broadcast::Broadcast;
use house::House;
use media_client::{AUDIO_PT, codec, exchange, rtp, section, worker};
use meeting::Meeting;
use model::{Model, Shelf};
use patchbay::config::Config;
use patchbay::hub::{self, Capacity, Events, HubHandle};
use patchbay::ids::{FeedRef, ParticipantId, PeerId, RoomName};
use patchbay::media::codec::Codec;
use patchbay::media::link::{self, Far};
use patchbay::media::messages::MediaCommand;
use patchbay::media::peer::dtls::{Dtls, DtlsIdentity};
use patchbay::media::player::{Player, PlayerSpec};
use patchbay::media::session::{DtlsRole, Fingerprint, FingerprintHash};
use patchbay::shares::ClientAddress;
use patchbay::signaling::{Conversation, Entrance, Frame};
use patchbay::sound::Recording;
use patchbay::storage::DeviceRecord;
use workers::FakeWorkers;

#[global_allocator]
static ALLOCATOR: counting::Counting = counting::Counting;

#[allow(clippy::disallowed_methods, reason = "a test's starting point")]
fn start() -> std::time::Instant {
    std::time::Instant::now()
}

/// One test after the other: the allocator counts for the whole process.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn forwarding_a_packet_to_a_hundred_subscribers_allocates_nothing_on_one_worker_and_on_two() {
    let _alone = ALONE.lock();
    allocates_nothing(Broadcast::new(start(), 100));
    allocates_nothing(Broadcast::spread(start(), 50, 50));
    allocates_nothing(Broadcast::estimated(start(), 100));
}

fn allocates_nothing(mut broadcast: Broadcast) {
    let warm = broadcast.sealed(1_200, false);
    let measured = broadcast.sealed(1_000, false);
    broadcast.forward(&warm);
    let before = counting::allocations();
    let sent = broadcast.forward(&measured);
    let made = counting::allocations() - before;
    assert!(sent > 1_000 * 100 * 1_188, "only {sent} bytes were sent");
    assert_eq!(made, 0, "{made} allocations for 1,000 packets to 100 subscribers");
}

#[test]
fn looking_after_a_hundred_subscribers_whose_paths_are_known_allocates_nothing() {
    let _alone = ALONE.lock();
    let mut broadcast = Broadcast::estimated(start(), 100);
    let mut seconds = |count: u64| {
        let (mut made, mut visits) = (0, 0);
        let worker = &mut broadcast.worker;
        broadcast.now += Duration::from_secs(count);
        while let Some(due) = worker.poll_timeout().filter(|&due| due <= broadcast.now) {
            let before = counting::allocations();
            worker.handle_timeout(due);
            made += counting::allocations() - before;
            visits += 1;
            worker.egress().clear();
        }
        (made, visits)
    };
    seconds(2);
    let (made, visits) = seconds(3);
    assert!(visits > 10, "only {visits} visits");
    assert_eq!(made, 0, "{made} allocations in three seconds");
}

#[test]
fn forwarding_what_a_player_feeds_to_twenty_subscribers_allocates_nothing() {
    let _alone = ALONE.lock();
    let now = start();
    let (mut worker, identity) = worker(now);
    let own = DtlsIdentity::generate().unwrap();
    for number in 2..22 {
        let opus = codec(AUDIO_PT, None, Codec::Opus);
        let sections = vec![section("0", opus, false, 0, 0x2_0000 + 16 * number as u32)];
        media_client::Client::new(number, Some(1), sections, &identity, &own).connect(now, &mut worker);
    }
    let (peer, room) = (PeerId(70), media_client::ROOM);
    let (end, far) = link::narrow_pair();
    worker.link(now, Far::Player { peer, room }, end);
    let spec = PlayerSpec {
        peer,
        room,
        feed: FeedRef::camera(ParticipantId(1)),
        recording: Recording::read(include_bytes!("fixtures/tone.opus")).unwrap(),
        waits: false,
        repeats: true,
    };
    let mut player = Player::new(now, spec, far);
    let mut buffer = vec![0; 64 * 1024];
    // The first second lets everything grow to the size that it keeps.
    let (mut at, mut before, mut sent_before) = (now, 0, 0);
    for packet in 0..1_050_u64 {
        if packet == 50 {
            (before, sent_before) = (counting::allocations(), worker.stats().forwarded_packets);
        }
        at = player.poll(at).unwrap();
        worker.take_mirrored(at, &mut buffer);
        while !worker.forward(at, &buffer) {
            worker.egress().clear();
        }
        worker.egress().clear();
    }
    let made = counting::allocations() - before;
    assert_eq!(worker.stats().forwarded_packets - sent_before, 20 * 1_000);
    assert_eq!(made, 0, "{made} allocations for 1,000 packets to 20 subscribers");
}

/// A record of 1,100 bytes that claims `kind` and `epoch`.
fn record(kind: u8, epoch: u8, number: u32) -> Vec<u8> {
    let mut record = vec![kind, 0xfe, 0xfd, 0, epoch, 0, 0];
    record.extend_from_slice(&number.to_be_bytes());
    record.extend_from_slice(&1_087_u16.to_be_bytes());
    record.resize(1_100, 7);
    record
}

/// A record with the beginning of message `number` of the handshake, which claims to have 16,000 bytes.
fn fragment(number: u16) -> Vec<u8> {
    let mut record = record(22, 0, u32::from(number));
    let [high, low] = number.to_be_bytes();
    record[13..25].copy_from_slice(&[11, 0, 0x3e, 0x80, high, low, 0, 0, 0, 0, 4, 0x33]);
    record
}

#[test]
fn messages_of_a_client_before_its_handshake_is_done_are_not_kept() {
    let _alone = ALONE.lock();
    let identity = DtlsIdentity::generate().unwrap();
    let expected = Fingerprint {
        hash: FingerprintHash::Sha256,
        digest: [1; 32].into(),
    };
    for with_hello in [false, true] {
        let mut server = Dtls::new(identity.clone(), DtlsRole::Server, vec![expected.clone()]);
        let mut client = Dtls::new(identity.clone(), DtlsRole::Client, Vec::new());
        client.start(start()).unwrap();
        for _ in 0..if with_hello { 2 } else { 0 } {
            let hello = client.poll_transmit().unwrap();
            server.receive(start(), &hello).unwrap();
            while let Some(answer) = server.poll_transmit() {
                client.receive(start(), &answer).unwrap();
            }
        }
        let before = counting::live_bytes();
        for number in 0..20_000 {
            for datagram in [
                record(22, 1, number),
                record(21, 1, number),
                record(23, 1, number),
                record(20, 0, number),
            ] {
                let _ = server.receive(start(), &datagram);
            }
            let _ = server.receive(start(), &fragment((number % 50) as u16));
        }
        let kept = counting::live_bytes() - before;
        assert!(kept < 128 * 1_024, "{kept} bytes kept; begun: {with_hello}");
    }
}

/// One client of the hub, without a socket.
struct Client {
    conversation: Conversation<House>,
    events: Events,
}

impl Client {
    async fn connect(hub: &HubHandle, config: &Arc<Config>, entrance: Entrance) -> Client {
        let (session, events) = hub.connect(ClientAddress::THIS_MACHINE).await.unwrap();
        let clock = Arc::new(|| SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_323_045));
        let mut conversation = Conversation::new(entrance, session, House::default(), Arc::clone(config), clock);
        conversation.begin().await;
        Client { conversation, events }
    }

    /// Sends a message, and takes everything that has arrived for this client by now.
    async fn sends(&mut self, frame: Frame) {
        self.conversation.receive(frame).await;
        self.hear();
    }

    fn hear(&mut self) {
        while let Some(event) = self.events.try_next() {
            self.conversation.send(event);
        }
    }
}

fn device(phone: &str) -> Entrance {
    let record = DeviceRecord {
        phone: phone.to_owned(),
        device_id: "a".to_owned(),
    };
    Entrance::Device {
        device: record,
        room_ids: || RoomName::from("room 1"),
    }
}

/// A thousand people who can be reached by message, and two hundred calls between two devices.
async fn come_call_and_go(hub: &HubHandle, config: &Arc<Config>) {
    let mut people = Vec::new();
    for number in 0..1_000 {
        let messages = Entrance::Messages {
            room_ids: || RoomName::from("room 4"),
        };
        let mut client = Client::connect(hub, config, messages).await;
        let bind = Model::read(&format!(r#"{{"cmd":1,"msgtype":1,"sender":"{number}"}}"#));
        client.sends(Frame::Binary(bind.bytes())).await;
        people.push(client);
    }
    let mut anna = Client::connect(hub, config, device("1")).await;
    let mut ben = Client::connect(hub, config, device("2")).await;
    for _ in 0..200 {
        let call = r#"{"type":"call","to_phone":"2","to_device_id":"a"}"#;
        anna.sends(Frame::Text(call.to_owned())).await;
        let accept = r#"{"type":"called_success","from_phone":"1","from_device_id":"a","room_id":"room 1"}"#;
        ben.sends(Frame::Text(accept.to_owned())).await;
        let end = r#"{"type":"calling_hangup","notified_phone":"2","notified_device_id":"a","room_id":"room 1"}"#;
        anna.sends(Frame::Text(end.to_owned())).await;
        ben.hear();
    }
    drop((people, anna, ben));
    for _ in 0..5_000 {
        tokio::task::yield_now().await;
    }
}

#[test]
fn a_thousand_people_and_two_hundred_calls_leave_nothing_behind() {
    let _alone = ALONE.lock();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (_workers, media) = FakeWorkers::start();
        let (_events, media_events) = tokio::sync::mpsc::channel(16);
        let config = Arc::new(Config::default());
        let (hub, running) = hub::start(
            media,
            media_events,
            Capacity::from(&*config),
            Shelf::default(),
            rand::make_rng(),
            tokio::sync::mpsc::channel(1).0,
        );
        tokio::spawn(running);
        // In the first rounds maps grow to the size that they keep.
        for _ in 0..2 {
            come_call_and_go(&hub, &config).await;
        }
        let before = counting::live_bytes();
        for _ in 0..3 {
            come_call_and_go(&hub, &config).await;
        }
        let kept = counting::live_bytes() - before;
        // Queues allocate in blocks; one block more or less may be kept.
        assert!(kept < 16 * 1_024, "{kept} bytes kept of 3,000 sessions and 600 calls");
    });
}

const MIB: u64 = 1024 * 1024;

/// Memory that this process holds now.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    1024 * line.split_whitespace().next().unwrap().parse::<u64>().unwrap()
}

#[test]
fn the_memory_of_three_greedy_publishers_is_bounded_and_given_back_when_they_have_left() {
    let _alone = ALONE.lock();
    let now = start();
    let (mut worker, identity) = worker(now);
    // The first round makes what a process makes only once.
    for round in 0..2 {
        let before = resident_bytes();
        let own = DtlsIdentity::generate().unwrap();
        let mut publishers: Vec<media_client::Client> = (1..=3)
            .map(|number| {
                let sections = wide::sections(60, Codec::Vp8, wide::NOTHING, true);
                media_client::Client::new(number, None, sections, &identity, &own)
            })
            .collect();
        for publisher in &mut publishers {
            publisher.connect(now, &mut worker);
            for sequence in 0..530_u16 {
                for track in 0..60 {
                    let ssrc = wide::source_ssrc(track);
                    let packet = rtp(media_client::VIDEO_PT, true, sequence, 0, ssrc, &[0x10; 1_300]);
                    let sealed = publisher.seal(&packet, u64::from(sequence));
                    exchange(now, &mut worker, publisher.address, &sealed);
                }
            }
        }
        assert_eq!(worker.stats().received_packets, (round + 1) * 3 * 60 * 530);
        let held = resident_bytes().saturating_sub(before);
        for publisher in &publishers {
            worker.handle_command(now, MediaCommand::Close(publisher.spec.peer));
        }
        worker.egress().clear();
        drop(publishers);
        let left = resident_bytes().saturating_sub(before);
        println!("{} KiB held, {} KiB left", held / 1024, left / 1024);
        if round > 0 {
            assert!(held <= 3 * 8 * MIB + 4 * MIB, "{held} bytes held");
            assert!(left <= 2 * MIB, "{left} of {held} bytes are left");
        }
    }
}

/// The memory of the worker for one participant of a meeting of ten: ten connections, and the packets that the others may miss.
#[test]
fn a_participant_in_a_meeting_of_ten_costs_a_third_of_a_mebibyte_at_most() {
    const PARTICIPANTS: u64 = 10;
    let _alone = ALONE.lock();
    let mut meeting = Meeting::new(start());
    let before = counting::live_bytes();
    meeting.gather(PARTICIPANTS);
    let connected = counting::live_bytes();
    let copies = meeting.send(Duration::from_secs(4));
    assert!(copies >= 4 * 150 * 90, "everybody gets everything: {copies} copies");
    // The clients live in this process too: memory that is freed with them is not the server's.
    let clients = counting::live_bytes();
    meeting.forget_clients();
    let clients = clients - counting::live_bytes();
    let cached = meeting.worker.stats().cache_bytes;
    let connections = (counting::live_bytes() - before) as u64 / PARTICIPANTS / 1_024;
    let packets = cached / PARTICIPANTS / 1_024;
    println!(
        "{connections} KiB for connections, {packets} for packets; {} before the first of them",
        (connected - before - clients) as u64 / PARTICIPANTS / 1_024,
    );
    // The rest of the server needs some more for each of them, and the process for all: the pages of its code, its stacks.
    // 20 KiB of them are for adaptive quality: 8 for the places of packets with which others may begin, 12 for what is known of
    // the ten paths and of what their copies leave out, repeat, or put off. 3 more are for addresses that may be TCP connections, for
    // paths that have just become narrow, and for copies that go on in another layer with pictures that were seen before.
    assert!(connections <= 122, "{connections} KiB for ten connections that are up");
    assert!(packets <= 232, "{packets} KiB for a second of 188 KB");
}
