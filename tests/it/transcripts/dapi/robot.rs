//! The robot in a call over HTTP: in place of a callee who has declined, and where none comes.

use patchbay::channels::ChannelError;
use patchbay::config;
use patchbay::storage::Ending;

use super::{Exchange, SOMEBODY};

/// A call of Anna's that Ben has declined.
async fn declined(exchange: &Exchange) -> patchbay::ids::RoomName {
    let channel = exchange.call(&["ben"]).await;
    exchange
        .channels
        .hear(SOMEBODY, &"anna".into(), &channel)
        .await
        .unwrap();
    exchange.report("ben", &channel, 1003).await;
    assert_eq!(exchange.record(&channel).await.ending, Some(Ending::Declined));
    exchange.report("anna", &channel, 1002).await;
    channel
}

#[tokio::test]
async fn after_a_decline_the_caller_talks_to_a_robot_in_the_same_channel() {
    let exchange = Exchange::new().await;
    let (anna, channel) = ("anna".into(), declined(&exchange).await);
    let entry = exchange.channels.invite_robot(SOMEBODY, &anna, &channel).await.unwrap();
    assert_eq!(entry.channel, channel);
    let call = exchange.record(&channel).await;
    assert_eq!((call.ended_s, call.ending, call.members[0].left_s), (None, None, None));
    assert!(call.answered_s.is_some() && call.members[1].status.number() == 2);
    for _ in 0..10 {
        exchange.channels.hear(SOMEBODY, &anna, &channel).await.unwrap();
        exchange.pass(30).await;
    }
    assert_eq!(exchange.record(&channel).await.ended_s, None);
    exchange.report("anna", &channel, 2).await;
    assert_eq!(exchange.record(&channel).await.ending, Some(Ending::Ended));
    let again = exchange.channels.invite_robot(SOMEBODY, &anna, &channel).await;
    assert!(matches!(again, Err(ChannelError::Over)), "{again:?}");
}

#[tokio::test]
async fn a_call_that_ended_some_time_ago_is_not_taken_up_again() {
    let exchange = Exchange::new().await;
    let channel = declined(&exchange).await;
    exchange.pass(601).await;
    let late = exchange.channels.invite_robot(SOMEBODY, &"anna".into(), &channel).await;
    assert!(matches!(late, Err(ChannelError::Over)), "{late:?}");
    assert_eq!(exchange.record(&channel).await.ending, Some(Ending::Declined));
}

#[tokio::test]
async fn where_no_robot_comes_no_channel_is_open() {
    let exchange = Exchange::with_robots(config::Robot {
        max_robots: 0,
        ..config::Robot::default()
    })
    .await;
    let channel = declined(&exchange).await;
    let refused = exchange.channels.invite_robot(SOMEBODY, &"anna".into(), &channel).await;
    assert!(matches!(refused, Err(ChannelError::NoRobot(_))), "{refused:?}");
    assert_eq!(exchange.record(&channel).await.ending, Some(Ending::Declined));
    let refused = exchange.channels.call_robot(SOMEBODY, &"anna".into()).await;
    assert!(matches!(refused, Err(ChannelError::NoRobot(_))), "{refused:?}");
    assert_eq!(exchange.records.open_channels().await.unwrap(), []);
    let ringing = exchange.call(&["ben"]).await;
    let refused = exchange.channels.invite_robot(SOMEBODY, &"anna".into(), &ringing).await;
    assert!(matches!(refused, Err(ChannelError::NoRobot(_))), "{refused:?}");
    assert_eq!(exchange.record(&ringing).await.answered_s, None, "it goes on ringing");
}

#[tokio::test]
async fn a_channel_with_a_robot_to_which_nobody_comes_is_closed_when_it_has_waited() {
    let exchange = Exchange::new().await;
    let channel = exchange
        .channels
        .call_robot(SOMEBODY, &"anna".into())
        .await
        .unwrap()
        .channel;
    let waits_s = config::Robot::default().wait_s;
    exchange.pass(waits_s).await;
    assert_eq!(exchange.record(&channel).await.ended_s, None);
    exchange.pass(35).await;
    assert_eq!(exchange.record(&channel).await.ending, Some(Ending::Ended));
}
