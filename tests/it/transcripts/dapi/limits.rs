//! How many calls one user may have going on, and whose name no user may have.

use std::time::Duration;

use patchbay::channels::ChannelError;
use patchbay::domain::SESSIONS_PER_ADDRESS;
use patchbay::ids::{RoomName, UserId};

use super::{BACK_END, Exchange, NOW_S};

/// A call of Anna's, for whom the back end asks, to somebody with this number.
async fn calls(exchange: &Exchange, number: usize) -> Result<RoomName, ChannelError> {
    let anna = UserId::from("anna");
    let callee = format!("callee {number}");
    let callees = vec![UserId::from(callee.as_str())];
    let called = exchange.channels.call(BACK_END, &anna, callees, String::new());
    called.await.map(|entry| entry.channel)
}

#[tokio::test]
async fn a_user_may_have_sixteen_calls_also_with_the_key_and_may_still_ask_for_everything_else() {
    let exchange = Exchange::new().await;
    let (channels, anna) = (&exchange.channels, UserId::from("anna"));
    let mut open = Vec::new();
    for number in 0..SESSIONS_PER_ADDRESS {
        open.push(calls(&exchange, number).await.unwrap());
    }
    let refused = calls(&exchange, 16).await.unwrap_err();
    assert!(matches!(refused, ChannelError::TooManyOfOne) && refused.to_string().contains("16"));
    for channel in &open {
        channels.token(BACK_END, &anna, channel).await.unwrap();
        channels
            .report(BACK_END, &anna, channel, 1, String::new())
            .await
            .unwrap();
        channels.hear(BACK_END, &anna, channel).await.unwrap();
    }
    let people = (&anna, vec!["ben".into()]);
    let task = channels.schedule(BACK_END, None, people, NOW_S + 60, "7".to_owned());
    task.await.unwrap();
    channels.recent(BACK_END, &anna).await.unwrap();
    // One that is over makes room.
    channels
        .report(BACK_END, &anna, &open[0], 2, String::new())
        .await
        .unwrap();
    for attempt in 0.. {
        if calls(&exchange, 17).await.is_ok() {
            break;
        }
        assert!(attempt < 1_000, "the place is never free");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn the_name_of_robots_is_refused_by_its_field_at_the_beginning() {
    let exchange = Exchange::new().await;
    let channel = exchange.call(&["ben"]).await;
    let channels = &exchange.channels;
    for name in ["robot", "robot-2", "robot-5"] {
        let robot = UserId::from(name);
        let people = (&robot, vec!["ben".into()]);
        let refused = [
            channels.call(BACK_END, &robot, Vec::new(), String::new()).await.err(),
            channels.call_robot(BACK_END, &robot).await.err(),
            channels.token(BACK_END, &robot, &channel).await.err(),
            channels.hear(BACK_END, &robot, &channel).await.err(),
            channels
                .report(BACK_END, &robot, &channel, 1, String::new())
                .await
                .err(),
            channels.invite_robot(BACK_END, &robot, &channel).await.err(),
            channels.recent(BACK_END, &robot).await.err(),
            channels
                .schedule(BACK_END, None, people, NOW_S + 60, "7".to_owned())
                .await
                .err(),
        ];
        for refused in refused {
            assert!(matches!(refused, Some(ChannelError::RobotsName)), "{name}: {refused:?}");
        }
        let (anna, callees) = (UserId::from("anna"), vec!["ben".into(), robot.clone()]);
        let refused = channels.call(BACK_END, &anna, callees, String::new()).await.err();
        assert!(matches!(refused, Some(ChannelError::CallsRobot)), "{name}: {refused:?}");
        channels.remove_robot(BACK_END, Some(&robot), &channel).await.unwrap();
    }
    for name in ["robot-6", "Robot", "robot-"] {
        channels.token(BACK_END, &name.into(), &channel).await.unwrap();
    }
}
