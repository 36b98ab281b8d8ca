//! Things that must hold on bad networks.

use std::time::Duration;

use patchbay::media::messages::MediaEvent;

use super::media::read_audio;
use super::network::Link;
use super::received::Stream;
use super::world::{World, engine_address, peer};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn connections_come_up_although_a_fifth_of_everything_is_lost() {
    for seed in 1..=8 {
        let mut world = World::new(seed);
        let alice = world.publisher("alice", Link::lossy(0.2));
        let bob = world.subscriber("bob", alice, Link::lossy(0.2));
        world.run_until_connected(15 * SECOND);
        world.run_until("bob gets video", 5 * SECOND, |world| {
            !world.client(bob).video.is_empty()
        });
        let lost = world.network.tally(world.client(alice).address, engine_address()).lost;
        assert!(lost > 0, "the network lost nothing: this shows nothing");
    }
}

#[test]
fn a_good_network_delivers_everything_once_and_in_order() {
    let mut world = World::new(1);
    let alice = world.publisher("alice", Link::default());
    let bob = world.subscriber("bob", alice, Link::default());
    world.run_until_connected(5 * SECOND);
    world.run_for(10 * SECOND);
    let stream = Stream::of(&world.client(bob).video);
    stream.assert_in_order();
    assert_eq!(stream.missing(), 0);
    assert!(
        stream.repeated <= world.probe_packets(),
        "{} came twice",
        stream.repeated
    );
    assert!(
        stream.whole_frames() >= 290,
        "{} frames in ten seconds",
        stream.whole_frames()
    );
    let heard: Vec<u32> = world
        .client(bob)
        .audio
        .iter()
        .map(|packet| read_audio(&packet.payload).unwrap())
        .collect();
    assert!(heard.len() >= 490, "{} audio packets in ten seconds", heard.len());
    assert!(
        heard.windows(2).all(|pair| pair[1] == pair[0] + 1),
        "audio in order, nothing missing"
    );
}

#[test]
fn five_percent_loss_on_both_sides_is_repaired() {
    for seed in 1..=4 {
        let mut world = World::new(seed);
        let alice = world.publisher("alice", Link::lossy(0.05));
        let bob = world.subscriber("bob", alice, Link::lossy(0.05));
        world.run_until_connected(10 * SECOND);
        world.run_for(20 * SECOND);
        // Packets that were sent last may still be on their way to be repaired.
        world.relink(alice, Link::default());
        world.relink(bob, Link::default());
        world.run_for(SECOND);
        let stream = Stream::of(&world.client(bob).video);
        stream.assert_in_order();
        assert!(
            stream.completeness() >= 0.998,
            "seed {seed}: {:.4}",
            stream.completeness()
        );
    }
}

#[test]
fn late_joiner_starts_with_a_key_frame_at_once() {
    for seed in 1..=4 {
        let mut world = World::new(seed);
        let alice = world.publisher("alice", Link::default());
        world.run_until_connected(5 * SECOND);
        world.run_for(7 * SECOND);
        let bob = world.subscriber("bob", alice, Link::default());
        world.run_until_connected(5 * SECOND);
        let connected = world.now();
        world.run_for(SECOND);
        let video = &world.client(bob).video;
        let first = Stream::of(video).first().part;
        assert!(first.key && first.index == 0, "seed {seed}: began with {first:?}");
        let waited = video[0].at - connected;
        // The request to the publisher, its next frame, and the way back: two ways of 10 ms, one of 33 ms, and the
        // engine's ticks.
        assert!(waited <= Duration::from_millis(100), "seed {seed}: {waited:?}");
    }
}

#[test]
fn many_joiners_cost_the_publisher_few_key_frames() {
    let mut world = World::new(3);
    let alice = world.publisher("alice", Link::default());
    world.run_until_connected(5 * SECOND);
    world.run_for(3 * SECOND);
    let before = world.client(alice).key_frame_requests.len();
    let crowd: Vec<_> = (0..12)
        .map(|_| world.subscriber("one of many", alice, Link::default()))
        .collect();
    world.run_until_connected(5 * SECOND);
    world.run_for(2 * SECOND);
    for id in crowd {
        assert!(Stream::of(&world.client(id).video).first().part.key);
    }
    let asked = world.client(alice).key_frame_requests.len() - before;
    assert!(
        (1..=4).contains(&asked),
        "the publisher was asked {asked} times for 12 joiners"
    );
}

#[test]
fn reordered_packets_keep_their_numbers() {
    let link = Link {
        jitter: Duration::from_millis(30),
        reorders: true,
        ..Link::default()
    };
    let mut world = World::new(5);
    let alice = world.publisher("alice", link);
    let bob = world.subscriber("bob", alice, Link::default());
    world.run_until_connected(5 * SECOND);
    world.run_for(10 * SECOND);
    world.relink(alice, Link::default());
    world.run_for(SECOND);
    let video = &world.client(bob).video;
    let swapped = video.windows(2).filter(|pair| {
        (pair[1]
            .header
            .sequence_number
            .wrapping_sub(pair[0].header.sequence_number) as i16)
            < 0
    });
    assert!(swapped.count() > 100, "the network kept the order: this shows nothing");
    let stream = Stream::of(video);
    stream.assert_in_order();
    assert!(stream.completeness() >= 0.999, "{:.4}", stream.completeness());
}

#[test]
fn duplicates_are_forwarded_once() {
    let mut world = World::new(6);
    let alice = world.publisher(
        "alice",
        Link {
            duplicate: 0.3,
            ..Link::default()
        },
    );
    let bob = world.subscriber("bob", alice, Link::default());
    world.run_until_connected(5 * SECOND);
    world.run_for(5 * SECOND);
    let repeated = world
        .network
        .tally(world.client(alice).address, engine_address())
        .repeated;
    assert!(repeated > 100, "the network repeated nothing: this shows nothing");
    // Counted on the wire: the client's own replay protection would hide a second copy.
    let sent = world.network.tally(engine_address(), world.client(bob).address).sent;
    let stream = Stream::of(&world.client(bob).video);
    stream.assert_in_order();
    assert_eq!(stream.missing(), 0);
    assert!(
        stream.repeated <= world.probe_packets(),
        "{} came twice",
        stream.repeated
    );
    let media = (stream.packets.len() + world.client(bob).audio.len()) as u64;
    // The rest are reports, consent and handshake.
    assert!(sent < media + media / 10 + 100, "{sent} datagrams for {media} packets");
}

#[test]
fn a_restarted_publisher_continues_the_stream_of_its_subscribers() {
    let mut world = World::new(7);
    let alice = world.publisher("alice", Link::default());
    let bob = world.subscriber("bob", alice, Link::default());
    world.run_until_connected(5 * SECOND);
    world.run_for(3 * SECOND);
    let before = world.client(bob).video.len();
    let again = world.restart_publisher(alice, "alice again");
    // Its frames continue the count, so that order can be checked across the restart.
    let frames_so_far = world.client(alice).camera.as_ref().unwrap().1.frame;
    world.client_mut(again).camera.as_mut().unwrap().1.frame = frames_so_far + 100;
    world.run_until_connected(5 * SECOND);
    world.run_for(3 * SECOND);
    let video = &world.client(bob).video;
    assert!(video.len() > before + 100, "video goes on");
    let ssrc = world.video_ssrc_to(bob);
    assert!(
        video.iter().all(|packet| packet.header.ssrc == ssrc),
        "one SSRC throughout"
    );
    let stream = Stream::of(video);
    stream.assert_in_order();
    assert_eq!(stream.missing(), 0, "no gap in the numbers across the restart");
    let first_again = stream
        .packets
        .values()
        .find(|placed| placed.part.frame >= frames_so_far + 100)
        .unwrap();
    assert!(
        first_again.part.key && first_again.part.index == 0,
        "begins again with {:?}",
        first_again.part
    );
}

#[test]
fn a_slow_subscriber_takes_nothing_from_the_others() {
    let mut world = World::new(8);
    let slow = Link {
        rate_bps: Some(300_000),
        ..Link::default()
    };
    let alice = world.publisher("alice", Link::default());
    let bob = world.subscriber("bob", alice, slow);
    let carol = world.subscriber("carol", alice, Link::default());
    world.run_until_connected(10 * SECOND);
    world.run_for(10 * SECOND);
    let lost = world.network.tally(engine_address(), world.client(bob).address).lost;
    assert!(lost > 100, "bob's link was fast enough: this shows nothing");
    let stream = Stream::of(&world.client(carol).video);
    stream.assert_in_order();
    assert_eq!(stream.missing(), 0);
    assert!(
        stream.whole_frames() >= 290,
        "{} frames in ten seconds",
        stream.whole_frames()
    );
    let asked = world.client(alice).key_frame_requests.len();
    assert!(
        asked <= 15,
        "bob's losses cost the publisher {asked} key frames in ten seconds"
    );
}

#[test]
fn a_client_that_vanishes_is_noticed_within_thirty_seconds() {
    let mut world = World::new(9);
    let alice = world.publisher("alice", Link::default());
    let bob = world.subscriber("bob", alice, Link::default());
    world.run_until_connected(5 * SECOND);
    world.run_for(2 * SECOND);
    world.vanish(bob);
    let silent = MediaEvent::Suspended { peer: peer(bob) };
    world.run_until("bob is noticed", 30 * SECOND, |world| {
        world.events.iter().any(|(_, event)| *event == silent)
    });
    let others = world
        .events
        .iter()
        .filter(|(_, event)| matches!(event, MediaEvent::Suspended { .. } | MediaEvent::Closed { .. }))
        .count();
    assert_eq!(others, 1, "alice stays: {:?}", world.events);
}

#[test]
fn after_a_silence_for_which_the_connection_was_suspended_a_restart_brings_the_media_back() {
    for is_publisher in [true, false] {
        let mut world = World::new(12);
        let alice = world.publisher("alice", Link::default());
        let bob = world.subscriber("bob", alice, Link::default());
        let silent_one = if is_publisher { alice } else { bob };
        world.run_until_connected(5 * SECOND);
        world.run_for(2 * SECOND);
        let cut = Link {
            loss: 1.0,
            ..Link::default()
        };
        world.relink(silent_one, cut);
        // This client needs a new connection after half a minute; browsers do not.
        world.run_for(25 * SECOND);
        let silent = MediaEvent::Suspended { peer: peer(silent_one) };
        assert!(
            world.events.iter().any(|(_, event)| *event == silent),
            "{:?}",
            world.events
        );
        world.relink(silent_one, Link::default());
        world.client_mut(silent_one).restart_ice();
        world.negotiate(silent_one);
        let before = world.client(bob).video.len();
        world.run_for(5 * SECOND);
        let got = world.client(bob).video.len() - before;
        assert!(got > 300, "{got} packets in five seconds: {:?}", world.events);
    }
}

#[test]
fn an_ice_restart_keeps_the_stream() {
    let mut world = World::new(10);
    let alice = world.publisher("alice", Link::default());
    let bob = world.subscriber("bob", alice, Link::default());
    world.run_until_connected(5 * SECOND);
    world.run_for(2 * SECOND);
    for id in [alice, bob] {
        world.client_mut(id).restart_ice();
        world.negotiate(id);
    }
    let before = world.client(bob).video.len();
    world.run_for(5 * SECOND);
    assert!(
        world.client(bob).video.len() > before + 500,
        "video goes on after the restart"
    );
    let stream = Stream::of(&world.client(bob).video);
    stream.assert_in_order();
    assert!(stream.completeness() > 0.99);
    assert!(
        !world
            .events
            .iter()
            .any(|(_, event)| matches!(event, MediaEvent::Closed { .. })),
        "{:?}",
        world.events
    );
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| {
        let link = Link {
            jitter: Duration::from_millis(20),
            reorders: true,
            loss: 0.05,
            ..Link::default()
        };
        let mut world = World::new(seed);
        let alice = world.publisher("alice", link);
        // A client of webrtc-rs sends its reports on sound and on pictures in either order, so each is to arrive, and at once.
        let bob = world.subscriber("bob", alice, Link::default());
        world.relink_down(bob, link);
        world.run_for(5 * SECOND);
        world.log
    };
    let (first, again, other) = (run(11), run(11), run(12));
    let differs = first.iter().zip(&again).position(|(a, b)| a != b);
    assert_eq!(
        differs.map(|at| (&first[at], &again[at])),
        None,
        "the first line that differs"
    );
    assert_eq!(first.len(), again.len());
    assert!(first.len() > 1_000 && first != other, "another seed gives another run");
}
