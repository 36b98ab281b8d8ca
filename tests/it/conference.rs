//! One connection for several feeds, through the hub and its media workers, over real sockets: six subscriptions, a slot that
//! follows whoever speaks, and slots that share a section. The clients here ask the hub without a socket.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use bytes::Bytes;
use patchbay::domain::{Command, Conference, Event, MediaKind, SlotStream, Subject, UserFeed};
use patchbay::hub::HubHandle;
use patchbay::ids::{Feed, SlotId};
use rtc::rtp;
use tokio::task::JoinHandle;
use tokio::time::{interval, sleep, timeout};

use crate::clients::peer::{OPUS_PAYLOAD_TYPE, PATIENCE, Peer, Track, VP8_PAYLOAD_TYPE};
use crate::house::{House, Member};

const NAMES: [&str; 7] = ["anna", "ben", "carl", "dora", "emil", "fred", "gina"];
/// Levels in -dBov (RFC 6464 §3).
pub const SPEECH: u8 = 30;
pub const SILENCE: u8 = 100;

impl Member {
    /// Publishes sound of a level that can be changed, and pictures that say whose they are.
    async fn publish(&mut self, name: &str, number: u8) -> Publisher {
        self.publish_feed(name, Feed::Camera, number).await
    }

    async fn publish_feed(&mut self, name: &str, feed: Feed, number: u8) -> Publisher {
        let mut peer = Peer::new().await;
        let ssrc = u32::from(number) << 16;
        let (audio, video) = (peer.add_audio(ssrc).await, peer.add_video(ssrc + 1).await);
        let offer = peer.offer().await;
        let extension = level_extension(&offer);
        let user = name.into();
        let subject = UserFeed { user, feed };
        let answer = self.offer(|offer| Command::Offer { subject, offer }, offer).await;
        peer.accept(&answer.sdp).await;
        peer.connected().await;
        Publisher::start(peer, (audio, video), extension, number)
    }
}

pub struct Publisher {
    level: Arc<AtomicU8>,
    sending: JoinHandle<()>,
    _peer: Peer,
}

impl Publisher {
    /// Publishes silence, and pictures, over a connection that is up. The last bytes of both are `number`.
    pub fn start(peer: Peer, (audio, video): (Track, Track), extension: u8, number: u8) -> Publisher {
        let level = Arc::new(AtomicU8::new(SILENCE));
        let sending = tokio::spawn(send(audio, video, extension, number, level.clone()));
        Publisher {
            level,
            sending,
            _peer: peer,
        }
    }

    pub fn speaks_at(&self, level: u8) {
        self.level.store(level, Ordering::Relaxed);
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.sending.abort();
    }
}

pub async fn send(audio: Track, video: Track, extension: u8, number: u8, level: Arc<AtomicU8>) {
    let sound = Bytes::from([&[0xfc][..], &[number; 59]].concat());
    let mut tick = interval(Duration::from_millis(20));
    for count in 0u32.. {
        tick.tick().await;
        let level = level.load(Ordering::Relaxed);
        let mut header = rtp::Header {
            payload_type: OPUS_PAYLOAD_TYPE,
            sequence_number: count as u16,
            timestamp: count * 960,
            ..Default::default()
        };
        header
            .set_extension(extension, Bytes::copy_from_slice(&[level]))
            .unwrap();
        audio.write_with(header, sound.clone()).await;
        if count.is_multiple_of(5) {
            let picture = count / 5;
            video
                .write(VP8_PAYLOAD_TYPE, picture as u16, picture * 9_000, true, vp8(number))
                .await;
        }
    }
}

/// A VP8 key frame in one packet (RFC 7741 §4.2, §4.3), whose last bytes are its publisher's number.
fn vp8(number: u8) -> Bytes {
    let head = [0x10, 0x10, 0x00, 0x00, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xf0, 0x00];
    [&head[..], &[number; 100]].concat().into()
}

pub fn level_extension(offer: &str) -> u8 {
    let line = offer
        .lines()
        .find(|line| line.ends_with("ssrc-audio-level"))
        .expect("the extension");
    let (number, _) = line.strip_prefix("a=extmap:").unwrap().split_once(' ').unwrap();
    number.parse().unwrap()
}

/// The SSRC by which each video section of an answer is sent, in their order.
fn announced_ssrcs(answer: &str) -> Vec<u32> {
    let sections = answer.split("m=video ").skip(1);
    let ssrc = |section: &str| {
        let line = section.lines().find_map(|line| line.strip_prefix("a=ssrc:"));
        line?.split(' ').next()?.parse().ok()
    };
    sections.map(|section| ssrc(section).expect("an SSRC")).collect()
}

/// Waits for a picture of one publisher under one SSRC, whatever comes before.
async fn shows(watcher: &mut Peer, ssrc: u32, publisher: u8) {
    let picture = async {
        loop {
            let packet = watcher.packet(VP8_PAYLOAD_TYPE).await;
            if packet.header.ssrc == ssrc && packet.payload.last() == Some(&publisher) {
                return;
            }
        }
    };
    let shown = timeout(PATIENCE, picture).await;
    assert!(shown.is_ok(), "no picture of {publisher} under {ssrc}");
}

/// The levels of all sound in the room, as operators are shown them, by user.
async fn levels(hub: &HubHandle) -> BTreeMap<String, (i8, i8)> {
    let overview = hub.overview(None).await.expect("the hub is there");
    assert_eq!(overview.silent, [], "both workers answer");
    let people = overview.rooms.iter().flat_map(|room| &room.participants);
    let sound = people.filter_map(|one| {
        let mut tracks = overview.tracks.iter();
        let track = tracks.find(|track| track.name.participant == one.id && track.level.is_some())?;
        let level = track.level?;
        Some((one.person.user.to_string(), (level.mean_dbov, level.peak_dbov)))
    });
    sound.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_are_shown_how_loud_everybody_is() {
    let house = House::open();
    let (mut anna, mut ben, _carl) = (
        house.enter("anna").await,
        house.enter("ben").await,
        house.enter("carl").await,
    );
    let (anna, _ben) = (anna.publish("anna", 1).await, ben.publish("ben", 2).await);
    let shown = |level: u8| {
        let level = -(level as i8);
        (level, level)
    };
    for (level, expected) in [(SPEECH, shown(SPEECH)), (SILENCE, shown(SILENCE))] {
        anna.speaks_at(level);
        let expected = BTreeMap::from([("anna".to_owned(), expected), ("ben".to_owned(), shown(SILENCE))]);
        let is_shown = async {
            while levels(&house.hub).await != expected {
                sleep(Duration::from_millis(50)).await;
            }
        };
        let in_time = timeout(PATIENCE, is_shown).await;
        assert!(in_time.is_ok(), "{:?}, not {expected:?}", levels(&house.hub).await);
    }
    house.hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_shows_six_and_in_its_slot_whoever_speaks_without_another_offer() {
    let house = House::open();
    let mut people = Vec::new();
    for name in NAMES {
        people.push(house.enter(name).await);
    }
    let anna = people[0].publish("anna", 1).await;
    let ben = people[1].publish("ben", 2).await;

    let mut watcher = Peer::new().await;
    watcher.receive_videos(7).await;
    let conference = Conference {
        publish: None,
        watch: NAMES[..6].iter().map(|name| UserFeed::camera((*name).into())).collect(),
        speaker_slots: vec![MediaKind::Video],
        ..Conference::default()
    };
    let sdp = watcher.offer().await;
    let gina = &mut people[6];
    let command = |offer| Command::OfferConference { conference, offer };
    let answer = gina.offer(command, sdp).await;
    assert_eq!(answer.subject, Subject::Conference);
    let ssrcs = announced_ssrcs(&answer.sdp);
    assert_eq!(ssrcs.len(), 7);
    watcher.accept(&answer.sdp).await;
    watcher.connected().await;
    shows(&mut watcher, ssrcs[0], 1).await;
    shows(&mut watcher, ssrcs[1], 2).await;

    let slot = ssrcs[6];
    anna.speaks_at(SPEECH);
    shows(&mut watcher, slot, 1).await;
    anna.speaks_at(SILENCE);
    ben.speaks_at(SPEECH);
    shows(&mut watcher, slot, 2).await;
    ben.speaks_at(SILENCE);
    anna.speaks_at(SPEECH);
    shows(&mut watcher, slot, 1).await;
    // The two are watched in their sections all the while.
    shows(&mut watcher, ssrcs[0], 1).await;
    shows(&mut watcher, ssrcs[1], 2).await;

    while let Some(event) = gina.events.try_next() {
        assert!(!matches!(event, Event::Answered { .. }), "one offer was enough");
    }
    house.hub.shutdown().await;
    drop((people, anna, ben));
    timeout(PATIENCE, house.threads.ended()).await.expect("the workers end");
}

/// The next layout that a member is sent: the users in the slots, in their order.
async fn layout(member: &mut Member) -> Vec<Option<String>> {
    let users = |event| match event {
        Event::Layout { slots, .. } => {
            let user = |feed: UserFeed| feed.user.to_string();
            Some(slots.into_iter().map(|(_, feed)| feed.map(user)).collect())
        }
        _ => None,
    };
    member.next("a layout", users).await
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_of_a_section_come_with_their_streams_and_carry_who_speaks() {
    let house = House::open();
    let (mut anna, mut ben, mut viewer) = (
        house.enter("anna").await,
        house.enter("ben").await,
        house.enter("viewer").await,
    );
    let (_anna, ben) = (anna.publish("anna", 1).await, ben.publish("ben", 2).await);
    let mut watcher = Peer::new().await;
    watcher.receive().await;
    let conference = Conference {
        sound_slots: 3,
        picture_slots: 2,
        ..Conference::default()
    };
    let sdp = watcher.offer().await;
    let command = |offer| Command::OfferConference { conference, offer };
    let answer = viewer.offer(command, sdp).await;
    let slots: Vec<(SlotId, MediaKind, bool)> = answer
        .slots
        .iter()
        .map(|one| (one.slot, one.kind, one.rtx_ssrc.is_some()))
        .collect();
    let sound = |slot| (SlotId(slot), MediaKind::Audio, false);
    let picture = |slot| (SlotId(slot), MediaKind::Video, slots[3].2);
    assert_eq!(slots, [sound(0), sound(1), sound(2), picture(3), picture(4)]);
    let ssrcs: std::collections::BTreeSet<u32> = answer.slots.iter().map(|one| one.ssrc).collect();
    assert_eq!(ssrcs.len(), 5, "each has one of its own");
    let first = answer.slots[3].ssrc;
    assert_eq!(announced_ssrcs(&answer.sdp), [first]);

    // Whoever was connected last may be noticed after the answer.
    let user = |name: &str| Some(name.to_owned());
    let everybody = [user("anna"), user("ben"), None, user("anna"), user("ben")];
    while layout(&mut viewer).await != everybody {}
    watcher.accept(&answer.sdp).await;
    watcher.connected().await;
    shows(&mut watcher, first, 1).await;
    ben.speaks_at(SPEECH);
    shows(&mut watcher, first, 1).await;
    house.hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_screen_comes_in_the_slot_of_the_presentation() {
    let house = House::open();
    let (mut anna, mut viewer) = (house.enter("anna").await, house.enter("viewer").await);
    let mut watcher = Peer::new().await;
    watcher.receive_videos(1).await;
    let conference = Conference {
        presentation: true,
        ..Conference::default()
    };
    let sdp = watcher.offer().await;
    let command = |offer| Command::OfferConference { conference, offer };
    let answer = viewer.offer(command, sdp).await;
    assert_eq!(answer.subject, Subject::Presentation);
    let [SlotStream { ssrc, .. }] = answer.slots[..] else {
        panic!("{:?}", answer.slots);
    };
    watcher.accept(&answer.sdp).await;
    watcher.connected().await;

    let _camera = anna.publish("anna", 1).await;
    let screen = anna.publish_feed("anna", Feed::Screen, 2).await;
    while layout(&mut viewer).await != [Some("anna".to_owned())] {}
    shows(&mut watcher, ssrc, 2).await;
    drop(screen);
    house.hub.shutdown().await;
}
