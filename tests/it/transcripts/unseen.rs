//! Somebody who watches and whom nobody sees, as a viewer by WHEP is: a session without a socket.

use std::time::Duration;

use patchbay::domain::{Claim, Command, Conference, Event, Offer, Person, Refusal, RoomKind, Stay, UserFeed};
use patchbay::hub::{Events, Session};
use patchbay::ids::Feed;
use patchbay::media::description::Description;
use patchbay::shares::ClientAddress;

use super::robots::{pass, robots, room};
use super::{Stage, join, offers};

const VIEWER: &str = "9";

async fn viewer(stage: &Stage) -> (Session, Events) {
    let (session, events) = stage.hub.connect(ClientAddress::THIS_MACHINE).await.unwrap();
    let join = Command::Join {
        turn: session.take_turn(),
        kind: RoomKind::Group,
        room: "r".into(),
        person: Person::unnamed(VIEWER.into()),
        claim: Claim::Unproven,
        stay: Stay::UNSEEN,
        connects: true,
    };
    session.request(join).await.unwrap();
    (session, events)
}

fn offer(direction: &str, number: u32) -> Offer {
    Offer {
        description: Description::read(&offers::offer(direction, number, false)),
        tag: None,
    }
}

fn of(user: &str, offer: Offer) -> Command {
    let subject = UserFeed::camera(user.into());
    Command::Offer { subject, offer }
}

#[tokio::test(start_paused = true)]
async fn an_unseen_viewer_watches_and_is_announced_listed_and_watched_by_nobody() {
    let mut stage = Stage::new();
    let join = r#"
        anna > {"id":"joinRoom","name":"1","room":"r"}
        anna < {"id":"existingParticipants","data":[]}
    "#;
    stage.play(join).await;
    let (viewer, mut events) = viewer(&stage).await;
    let joined = events.try_next();
    assert!(
        matches!(&joined, Some(Event::Joined { others }) if others.len() == 1),
        "{joined:?}"
    );
    viewer.request(of("1", offer("recvonly", 1))).await.unwrap();
    stage.hear().await;
    stage
        .play(
            r#"
            media open 1 watch
            ben > {"type":"join","room":"r","userId":2}
            anna < {"id":"newParticipantArrived","name":"2"}
            ben < {"type":"existingParticipants","participants":[{"id":1,"userId":1,"name":"1","prefix":"","postfix":"","suffix":""}]}
            anna > {"id":"receiveVideoFrom","sender":"9","sdpOffer":"@recvonly 2"}
            media silent 1
            media heard 1
            "#,
        )
        .await;
    // Somebody of the viewer's name is somebody else.
    stage
        .play(
            r#"
            nina > {"id":"joinRoom","name":"9","room":"r"}
            anna < {"id":"newParticipantArrived","name":"9"}
            ben < {"type":"newParticipantArrived","participant":{"id":9,"userId":9,"name":"9","prefix":"","postfix":"","suffix":""}}
            nina < {"id":"existingParticipants","data":["1","2"]}
            nina -
            anna < {"id":"participantLeft","name":"9"}
            ben < {"type":"participantLeft","userId":9}
            "#,
        )
        .await;
    drop(viewer);
    stage.hear().await;
    stage.play("media close 1").await;
}

#[tokio::test(start_paused = true)]
async fn an_unseen_viewer_publishes_and_says_nothing() {
    let mut stage = Stage::new();
    let join = r#"
        anna > {"id":"joinRoom","name":"1","room":"r"}
        anna < {"id":"existingParticipants","data":[]}
    "#;
    stage.play(join).await;
    let (viewer, _events) = viewer(&stage).await;
    let own = viewer.request(of(VIEWER, offer("sendonly", 1))).await;
    assert_eq!(own, Err(Refusal::UnknownParticipant));
    let text = Command::SendText { text: "hello".into() };
    assert_eq!(viewer.request(text).await, Err(Refusal::NotAllowed));
    let conference = Conference {
        publish: Some(Feed::Screen),
        watch: vec![UserFeed::camera("1".into())],
        ..Conference::default()
    };
    let offer = offer("sendrecv", 1);
    viewer
        .request(Command::OfferConference { conference, offer })
        .await
        .unwrap();
    stage.hear().await;
    stage.play("media open 1 watch").await;
}

#[tokio::test(start_paused = true)]
async fn a_robot_leaves_a_room_in_which_nobody_is_left_who_is_seen() {
    let mut stage = Stage::new();
    let robots = robots(&stage);
    let (_viewer, _events) = viewer(&stage).await;
    robots.invite(&room("r"), ClientAddress::THIS_MACHINE).await.unwrap();
    stage
        .play(
            r#"
            media play 1
            anna > {"id":"joinRoom","name":"1","room":"r"}
            anna < {"id":"existingParticipants","data":["robot"]}
            anna -
            "#,
        )
        .await;
    pass(&mut stage, Duration::from_secs(9)).await;
    stage.play("").await;
    pass(&mut stage, Duration::from_secs(2)).await;
    stage.play("media close 1").await;
    robots.invite(&room("r"), ClientAddress::THIS_MACHINE).await.unwrap();
    pass(&mut stage, Duration::from_secs(61)).await;
    stage.play("media play 2\nmedia close 2").await;
}

/// Who is in the slots of a connection, as its session was sent it since the last call.
fn layouts(events: &mut Events) -> Vec<Vec<Option<String>>> {
    let sent = std::iter::from_fn(|| events.try_next());
    let layout = |event| match event {
        Event::Layout { slots, .. } => {
            let user = |feed: UserFeed| feed.user.to_string();
            Some(slots.into_iter().map(|(_, feed)| feed.map(user)).collect())
        }
        _ => None,
    };
    sent.filter_map(layout).collect()
}

#[tokio::test(start_paused = true)]
async fn a_viewer_is_sent_who_is_in_their_slots_four_times_a_second_at_most_and_then_the_newest() {
    let mut stage = Stage::new();
    let (viewer, mut events) = viewer(&stage).await;
    for user in ["1", "2", "3"] {
        let (session, events) = stage.hub.connect(ClientAddress::THIS_MACHINE).await.unwrap();
        join(&session, user, Stay::default()).await;
        let offer = offer("sendonly", user.parse().unwrap());
        session.request(of(user, offer)).await.unwrap();
        stage.hear().await;
        stage.play(&format!("media open {user} publish")).await;
        stage.media.connect(user.parse().unwrap()).await;
        stage.hear().await;
        // They stay.
        std::mem::forget((session, events));
    }
    let conference = Conference {
        sound_slots: 1,
        ..Conference::default()
    };
    let offer = offer("recvonly", 9);
    viewer
        .request(Command::OfferConference { conference, offer })
        .await
        .unwrap();
    stage.hear().await;
    while stage.media.next().is_some() {}
    let first = |user: &str| vec![Some(user.to_owned())];
    assert_eq!(layouts(&mut events), [first("1")], "with the answer");
    pass(&mut stage, Duration::from_millis(300)).await;
    let mut sent = Vec::new();
    for round in 0..50 {
        for what in ["speaks", "hushes"] {
            stage.media.reports(what, 1 + round % 3).await;
            stage.settle().await;
        }
        // The slot is filled at once.
        while stage.media.next().is_some() {}
        pass(&mut stage, Duration::from_millis(20)).await;
        sent.extend(layouts(&mut events));
    }
    // One at once, and one after each quarter of the second.
    assert!((4..=5).contains(&sent.len()), "{sent:?}");
    pass(&mut stage, Duration::from_millis(300)).await;
    sent.extend(layouts(&mut events));
    assert_eq!(sent.last(), Some(&first("2")), "whoever spoke last");
}
