//! Slots that share one section: several streams under one mid, each with SSRCs of its own.

use patchbay::ids::{Features, Feed, SlotId};
use patchbay::media::names::Down;
use patchbay::media::session::SentStream;

use super::names::{House, feed, ssrcs};
use super::*;

/// The SSRC of the copies in a slot.
fn slot_ssrc(slot: u8) -> u32 {
    0x2_0000 + 16 * u32::from(slot)
}

fn stream(slot: u8) -> SentStream {
    SentStream {
        down: Some(Down::Slot(SlotId(slot))),
        ssrc: slot_ssrc(slot),
        rtx_ssrc: slot_ssrc(slot) + 1,
    }
}

/// A section of pictures with so many slots.
fn shared(slots: u8) -> MediaSection {
    let vp8 = codec(VIDEO_PT, Some(VIDEO_RTX_PT), Codec::Vp8);
    let mut section = section("0", vp8, false, 0, slot_ssrc(0));
    section.down = stream(0).down;
    section.further = (1..slots).map(stream).collect();
    section
}

fn fill(house: &mut House, viewer: &Client, slot: u8, participant: Option<u64>) {
    let command = MediaCommand::Fill {
        peer: viewer.spec.peer,
        slot: SlotId(slot),
        source: participant.map(|one| feed(one, Feed::Camera)),
    };
    house.worker.handle_command(house.now, command);
    assert_agrees(&house.worker);
}

/// Four who publish, and somebody with three slots in one section, of which the first three are in order.
fn three_slots(house: &mut House) -> (Vec<Client>, Client) {
    let publishers: Vec<Client> = (1..=4)
        .map(|number| house.publisher(number, number, Feed::Camera))
        .collect();
    let viewer = house.connect(9, 9, vec![shared(3)]);
    for slot in 0..3 {
        fill(house, &viewer, slot, Some(u64::from(slot) + 1));
    }
    (publishers, viewer)
}

#[test]
fn each_slot_of_a_section_has_a_stream_of_its_own() {
    let mut house = House::new();
    let (mut publishers, mut viewer) = three_slots(&mut house);
    assert_eq!(house.worker.stats().subscriptions, 3);
    for slot in 0..3 {
        let publisher = &mut publishers[usize::from(slot)];
        let copies = house.publish(publisher, &mut viewer, true).0;
        assert_eq!(ssrcs(&copies), [slot_ssrc(slot)]);
    }
    assert_eq!(house.publish(&mut publishers[3], &mut viewer, true).0, []);
}

#[test]
fn a_slot_that_gets_another_source_asks_for_a_key_frame_and_the_others_go_on() {
    let mut house = House::new();
    let (mut publishers, mut viewer) = three_slots(&mut house);
    for publisher in &mut publishers[..3] {
        house.publish(publisher, &mut viewer, true);
    }
    // A publisher is not asked for key frames more often than twice a second.
    house.pass(Duration::from_secs(1));
    fill(&mut house, &viewer, 1, Some(4));
    let (copies, requested) = house.publish(&mut publishers[3], &mut viewer, false);
    assert_eq!(
        (copies, requested),
        (Vec::new(), 1),
        "a picture begins with a key frame"
    );
    let copies = house.publish(&mut publishers[3], &mut viewer, true).0;
    assert_eq!(ssrcs(&copies), [slot_ssrc(1)]);
    assert_eq!(house.publish(&mut publishers[1], &mut viewer, true).0, []);
    let (copies, requested) = house.publish(&mut publishers[2], &mut viewer, false);
    assert_eq!((ssrcs(&copies), requested), (vec![slot_ssrc(2)], 0));
}

#[test]
fn what_is_asked_for_again_comes_in_the_slots_own_stream() {
    let mut house = House::new();
    let (mut publishers, mut viewer) = three_slots(&mut house);
    let copies = house.publish(&mut publishers[2], &mut viewer, true).0;
    let mut nack = Vec::new();
    rtcp::write_nack(&mut nack, 7, slot_ssrc(2), &[copies[0].1]);
    let sealed = viewer.seal_rtcp(&nack);
    let sent = exchange(house.now, &mut house.worker, viewer.address, &sealed);
    let address = viewer.address;
    let again: Vec<u32> = sent
        .iter()
        .filter(|(to, _)| *to == address)
        .filter_map(|(_, bytes)| Header::parse(&viewer.take(house.now, bytes)?).map(|header| header.ssrc))
        .collect();
    assert_eq!(again, [slot_ssrc(2) + 1]);
}

#[test]
fn on_hold_nothing_is_sent_in_any_slot_and_after_it_each_stream_goes_on() {
    let mut house = House::new();
    let (mut publishers, mut viewer) = three_slots(&mut house);
    let before = house.publish(&mut publishers[1], &mut viewer, true).0;
    let section = &mut viewer.spec.sections[0];
    section.down = None;
    section.further.iter_mut().for_each(|stream| stream.down = None);
    viewer.open(house.now, &mut house.worker);
    assert_eq!(house.publish(&mut publishers[1], &mut viewer, true).0, []);
    viewer.spec.sections = vec![shared(3)];
    viewer.open(house.now, &mut house.worker);
    let after = house.publish(&mut publishers[1], &mut viewer, true).0;
    assert_eq!(ssrcs(&after), ssrcs(&before));
    let further = after[0].1.wrapping_sub(before[0].1);
    assert!((1..=2).contains(&further), "it goes on after its last number, not anew");
    assert_agrees(&house.worker);
}

#[test]
fn slots_that_a_new_offer_leaves_out_end_and_the_others_go_on() {
    let mut house = House::new();
    let (mut publishers, mut viewer) = three_slots(&mut house);
    for publisher in &mut publishers[..3] {
        house.publish(publisher, &mut viewer, true);
    }
    viewer.spec.sections = vec![shared(2)];
    viewer.open(house.now, &mut house.worker);
    assert_agrees(&house.worker);
    assert_eq!(house.worker.stats().subscriptions, 2);
    assert_eq!(house.publish(&mut publishers[2], &mut viewer, true).0, []);
    let copies = house.publish(&mut publishers[1], &mut viewer, false).0;
    assert_eq!(ssrcs(&copies), [slot_ssrc(1)]);
}

/// The SSRCs of which the viewer gets sender reports in two seconds of pictures with reports of their publishers.
fn reported(house: &mut House, publishers: &mut [Client], viewer: &mut Client) -> Vec<u32> {
    let mut reported = std::collections::BTreeSet::new();
    for _ in 0..20 {
        for publisher in &mut *publishers {
            let ssrc = publisher.spec.sections[0].remote_ssrcs[0].ssrc;
            house.publish(publisher, viewer, true);
            let compound = sender_report(ssrc, 1 << 40, u32::from(house.sequence) * 3_000);
            let sealed = publisher.seal_rtcp(&compound);
            exchange(house.now, &mut house.worker, publisher.address, &sealed);
        }
        house.now += Duration::from_millis(100);
        for (to, bytes) in run_until(&mut house.worker, house.now) {
            if to == viewer.address
                && let Some(compound) = viewer.take(house.now, &bytes)
            {
                reported.extend(rtcp::packets(&compound).filter_map(|packet| match packet {
                    rtcp::Packet::SenderReport { ssrc, .. } => Some(ssrc),
                    _ => None,
                }));
            }
        }
    }
    reported.into_iter().collect()
}

#[test]
fn slots_of_several_people_are_not_reported_by_the_clocks_of_each() {
    let mut house = House::new();
    let (mut publishers, mut viewer) = three_slots(&mut house);
    assert!(reported(&mut house, &mut publishers[..3], &mut viewer).is_empty());
    fill(&mut house, &viewer, 1, None);
    fill(&mut house, &viewer, 2, Some(1));
    let both = [slot_ssrc(0), slot_ssrc(2)];
    assert_eq!(reported(&mut house, &mut publishers[..1], &mut viewer), both);
}

#[test]
fn a_slot_without_a_source_is_of_no_account() {
    let mut house = House::new();
    let (mut publishers, mut viewer) = three_slots(&mut house);
    for slot in 0..3 {
        fill(&mut house, &viewer, slot, None);
    }
    for publisher in &mut publishers {
        assert_eq!(house.publish(publisher, &mut viewer, true).0, []);
    }
    house.close(&viewer);
    assert_eq!(house.worker.stats().subscriptions, 0);
}

#[test]
fn a_slot_that_gets_another_source_begins_with_its_last_key_frame_if_that_is_young() {
    let mut house = House::new();
    let mut publishers: Vec<Client> = (1..=2)
        .map(|number| house.publisher(number, number, Feed::Camera))
        .collect();
    let mut section = shared(1);
    section.number_id = Some(3);
    let mut viewer = house.connect(9, 9, vec![section]);
    fill(&mut house, &viewer, 0, Some(1));
    let mut newest = 0;
    for at in 0..3 {
        newest = house.publish(&mut publishers[0], &mut viewer, at == 0).0[0].1;
    }
    for at in 0..6 {
        let copies = house.publish(&mut publishers[1], &mut viewer, at == 0).0;
        assert_eq!(copies, []);
    }
    let before = house.worker.stats();
    fill(&mut house, &viewer, 0, Some(2));
    let copies = house.publish(&mut publishers[1], &mut viewer, false).0;
    let expected: Vec<(u32, u16)> = (1..=7).map(|at| (slot_ssrc(0), newest.wrapping_add(at))).collect();
    assert_eq!(copies, expected, "six that had come before, and the new one");
    let stats = house.worker.stats();
    assert_eq!(stats.key_frame_requests_sent, before.key_frame_requests_sent);
    assert_eq!(stats.replays, 1);
}

/// Of whose videos the viewer has been sent what comes of them, since the last call.
fn told(house: &mut House) -> Vec<u64> {
    let events = events(&mut house.worker).into_iter();
    let told = events.filter_map(|event| match event {
        MediaEvent::Quality { feed, .. } => Some(feed.participant.0),
        _ => None,
    });
    told.collect()
}

#[test]
fn a_viewer_is_told_of_each_video_that_comes_into_a_slot_also_where_it_comes_like_the_one_before() {
    let mut house = House::new();
    let mut publishers: Vec<Client> = (1..=2)
        .map(|number| house.publisher(number, number, Feed::Camera))
        .collect();
    let understands = Features {
        video_quality: true,
        ..Features::NONE
    };
    let mut viewer = house.connect_as(understands, 9, 9, vec![shared(1)]);
    for (source, expected) in [(1, vec![1]), (2, vec![2]), (2, vec![]), (1, vec![1])] {
        fill(&mut house, &viewer, 0, Some(source));
        for publisher in &mut publishers {
            house.publish(publisher, &mut viewer, true);
        }
        assert_eq!(told(&mut house), expected, "the source is {source}");
    }
}
