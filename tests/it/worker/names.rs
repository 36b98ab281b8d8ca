//! Tracks by name: several publishing connections of one participant, connections that carry several sources, and slots whose
//! source changes while the connection lives.

use patchbay::ids::{Features, Feed, FeedRef, ParticipantId, PeerId, SlotId};
use patchbay::media::codec::Kind;
use patchbay::media::names::{Down, TrackName, TrackRef};

use super::*;

const SLOT: SlotId = SlotId(0);
/// The SSRC of a slot's copies.
const SLOT_SSRC: u32 = 0x7_0000;

pub fn feed(participant: u64, feed: Feed) -> FeedRef {
    let participant = ParticipantId(participant);
    FeedRef { participant, feed }
}

/// A worker and the people there. Participant `n` publishes under SSRC `0x1000 * n`.
pub struct House {
    pub now: Instant,
    pub worker: Worker,
    identity: DtlsIdentity,
    pub sequence: u16,
}

impl House {
    pub fn new() -> House {
        let now = start();
        let (worker, identity) = worker(now);
        House {
            now,
            worker,
            identity,
            sequence: 0,
        }
    }

    pub fn connect(&mut self, peer: u64, participant: u64, sections: Vec<MediaSection>) -> Client {
        self.connect_as(Features::NONE, peer, participant, sections)
    }

    /// A connection whose client understands this.
    pub fn connect_as(
        &mut self,
        understands: Features,
        peer: u64,
        participant: u64,
        sections: Vec<MediaSection>,
    ) -> Client {
        let own = DtlsIdentity::generate().unwrap();
        let mut client = Client::new(peer, None, Vec::new(), &self.identity, &own);
        client.spec.participant = ParticipantId(participant);
        client.spec.sections = sections;
        client.spec.understands = understands;
        client.connect(self.now, &mut self.worker);
        events(&mut self.worker);
        client
    }

    /// A connection over which somebody publishes one picture.
    pub fn publisher(&mut self, peer: u64, participant: u64, feed: Feed) -> Client {
        let ssrc = 0x1000 * peer as u32;
        let mut section = section(
            "0",
            codec(VIDEO_PT, Some(VIDEO_RTX_PT), Codec::Vp8),
            true,
            ssrc,
            ssrc + 0x100,
        );
        section.up = Some(TrackName {
            feed,
            ..up(Kind::Video)
        });
        self.connect(peer, participant, vec![section])
    }

    fn watcher(&mut self, peer: u64, carries: &[(Down, u32)]) -> Client {
        let sections = carries.iter().enumerate().map(|(mid, (down, ssrc))| {
            let vp8 = codec(VIDEO_PT, Some(VIDEO_RTX_PT), Codec::Vp8);
            let mut section = section(&mid.to_string(), vp8, false, 0, *ssrc);
            section.down = Some(*down);
            section
        });
        self.connect(peer, peer, sections.collect())
    }

    fn fill(&mut self, watcher: &Client, source: Option<FeedRef>) {
        let (peer, slot) = (watcher.spec.peer, SLOT);
        let command = MediaCommand::Fill { peer, slot, source };
        self.worker.handle_command(self.now, command);
    }

    /// Publishes one packet. Returns the SSRCs and sequence numbers of the copies for `watcher`, and how many key frames
    /// `publisher` is asked for then.
    pub fn publish(
        &mut self,
        publisher: &mut Client,
        watcher: &mut Client,
        key_frame: bool,
    ) -> (Vec<(u32, u16)>, usize) {
        self.sequence += 1;
        let sequence = self.sequence;
        let ssrc = publisher.spec.sections[0].remote_ssrcs[0].ssrc;
        let time = u32::from(sequence) * 3_000;
        let packet = rtp(VIDEO_PT, true, sequence, time, ssrc, &vp8(key_frame, sequence, 100));
        let sealed = publisher.seal(&packet, u64::from(sequence));
        let mut sent = exchange(self.now, &mut self.worker, publisher.address, &sealed);
        self.now += Duration::from_millis(20);
        sent.extend(run_until(&mut self.worker, self.now));
        let (mut copies, mut requested) = (Vec::new(), 0);
        for (to, bytes) in &sent {
            if *to == watcher.address
                && let Some(copy) = watcher.take(self.now, bytes)
                && let Some(header) = Header::parse(&copy)
                && (0x2_0000..0x8_0000).contains(&header.ssrc)
            {
                copies.push((header.ssrc, header.sequence));
            }
            if *to == publisher.address {
                let feedback = publisher.take(self.now, bytes);
                requested += usize::from(feedback.is_some_and(|bytes| requests_key_frame(&bytes)));
            }
        }
        copies.sort_unstable();
        (copies, requested)
    }

    pub fn pass(&mut self, time: Duration) {
        self.now += time;
        run_until(&mut self.worker, self.now);
    }

    pub fn close(&mut self, client: &Client) {
        let command = MediaCommand::Close(client.spec.peer);
        self.worker.handle_command(self.now, command);
        assert_agrees(&self.worker);
    }
}

pub fn requests_key_frame(compound: &[u8]) -> bool {
    let mut packets = rtcp::packets(compound);
    packets.any(|packet| matches!(packet, rtcp::Packet::Pli { .. }))
}

pub fn ssrcs(copies: &[(u32, u16)]) -> Vec<u32> {
    copies.iter().map(|(ssrc, _)| *ssrc).collect()
}

fn first_video(source: FeedRef) -> Down {
    Down::Track(TrackRef::first(source, Kind::Video))
}

#[test]
fn a_participant_publishes_a_camera_and_a_screen_over_two_connections() {
    let mut house = House::new();
    let mut camera = house.publisher(1, 1, Feed::Camera);
    let mut screen = house.publisher(2, 1, Feed::Screen);
    let carries = [
        (first_video(feed(1, Feed::Camera)), 0x2_0000),
        (first_video(feed(1, Feed::Screen)), 0x3_0000),
    ];
    let mut watcher = house.watcher(9, &carries);
    assert_eq!(ssrcs(&house.publish(&mut camera, &mut watcher, true).0), [0x2_0000]);
    assert_eq!(ssrcs(&house.publish(&mut screen, &mut watcher, true).0), [0x3_0000]);
    house.close(&screen);
    assert_eq!(ssrcs(&house.publish(&mut camera, &mut watcher, false).0), [0x2_0000]);
}

#[test]
fn of_two_publishing_connections_under_one_name_the_newest_is_seen_and_after_its_end_the_other() {
    let mut house = House::new();
    let mut old = house.publisher(1, 1, Feed::Camera);
    let mut watcher = house.watcher(9, &[(first_video(feed(1, Feed::Camera)), 0x2_0000)]);
    assert_eq!(house.publish(&mut old, &mut watcher, true).0.len(), 1);
    let mut new = house.publisher(2, 1, Feed::Camera);
    assert_eq!(house.publish(&mut old, &mut watcher, true).0, []);
    assert_eq!(house.publish(&mut new, &mut watcher, true).0.len(), 1);
    // Nobody begins with what came before such a pause.
    house.pass(Duration::from_secs(1));
    house.close(&new);
    assert_eq!(house.publish(&mut old, &mut watcher, true).0.len(), 1);
    let third = house.publisher(3, 1, Feed::Camera);
    house.close(&old);
    house.close(&third);
}

/// Six who publish, and somebody who watches all of them and has an empty slot besides.
fn six_and_a_slot(house: &mut House) -> (Vec<Client>, Client) {
    let publishers: Vec<Client> = (1..=6)
        .map(|number| house.publisher(number, number, Feed::Camera))
        .collect();
    let mut carries: Vec<(Down, u32)> = (1..=6)
        .map(|number| (first_video(feed(number, Feed::Camera)), 0x2_0000 + 16 * number as u32))
        .collect();
    carries.push((Down::Slot(SLOT), SLOT_SSRC));
    let watcher = house.watcher(9, &carries);
    (publishers, watcher)
}

#[test]
fn a_slot_beside_six_subscriptions_follows_its_source_under_one_stream() {
    let mut house = House::new();
    let (mut publishers, mut watcher) = six_and_a_slot(&mut house);
    for publisher in &mut publishers {
        assert_eq!(
            house.publish(publisher, &mut watcher, true).0.len(),
            1,
            "the slot is empty"
        );
    }
    let mut slot = Vec::new();
    for number in [3, 5, 3, 1] {
        // A publisher is not asked for key frames more often than twice a second.
        house.pass(Duration::from_secs(1));
        house.fill(&watcher, Some(feed(number, Feed::Camera)));
        let publisher = &mut publishers[number as usize - 1];
        let (copies, requested) = house.publish(publisher, &mut watcher, false);
        assert_eq!(
            (copies.len(), requested),
            (1, 1),
            "a picture begins with a key frame, which is asked for"
        );
        for key_frame in [true, false, false] {
            let (copies, _) = house.publish(publisher, &mut watcher, key_frame);
            assert_eq!(ssrcs(&copies), [0x2_0000 + 16 * number as u32, SLOT_SSRC]);
            slot.push(copies[1].1);
        }
    }
    let first = slot[0];
    let expected: Vec<u16> = (0..12).map(|at| first.wrapping_add(at)).collect();
    assert_eq!(slot, expected, "one stream without a hole");
    house.fill(&watcher, None);
    assert_eq!(house.publish(&mut publishers[0], &mut watcher, true).0.len(), 1);
    assert_agrees(&house.worker);
}

#[test]
fn a_slot_whose_source_ends_is_empty_until_it_comes_back_or_another_fills_it() {
    let mut house = House::new();
    let (mut publishers, mut watcher) = six_and_a_slot(&mut house);
    house.fill(&watcher, Some(feed(2, Feed::Camera)));
    assert_eq!(house.publish(&mut publishers[1], &mut watcher, true).0.len(), 2);
    house.close(&publishers[1]);
    // A request for a track that has ended, and for one that never was.
    for source in [feed(2, Feed::Camera), feed(77, Feed::Camera), feed(3, Feed::Screen)] {
        house.fill(&watcher, Some(source));
        assert_eq!(house.publish(&mut publishers[2], &mut watcher, true).0.len(), 1);
    }
    house.fill(&watcher, Some(feed(2, Feed::Camera)));
    let mut back = house.publisher(12, 2, Feed::Camera);
    assert_eq!(
        house.publish(&mut back, &mut watcher, true).0.len(),
        2,
        "whoever is back is seen"
    );
    house.fill(&watcher, Some(feed(4, Feed::Camera)));
    assert_eq!(house.publish(&mut publishers[3], &mut watcher, true).0.len(), 2);
}

#[test]
fn a_slot_keeps_its_source_over_a_hold_and_a_new_offer_and_other_slots_are_none_of_its() {
    let mut house = House::new();
    let (mut publishers, mut watcher) = six_and_a_slot(&mut house);
    house.fill(&watcher, Some(feed(6, Feed::Camera)));
    for down in [None, Some(Down::Slot(SLOT))] {
        // Nobody begins with what came before such a pause.
        house.pass(Duration::from_secs(1));
        watcher.spec.sections[6].down = down;
        watcher.open(house.now, &mut house.worker);
        let copies = house.publish(&mut publishers[5], &mut watcher, true).0;
        assert_eq!(copies.len(), 1 + usize::from(down.is_some()));
    }
    let command = MediaCommand::Fill {
        peer: watcher.spec.peer,
        slot: SlotId(1),
        source: None,
    };
    house.worker.handle_command(house.now, command);
    assert_eq!(house.publish(&mut publishers[5], &mut watcher, false).0.len(), 2);
    // A connection that does not exist.
    let command = MediaCommand::Fill {
        peer: PeerId(1_000),
        slot: SLOT,
        source: None,
    };
    house.worker.handle_command(house.now, command);
}
