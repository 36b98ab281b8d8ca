//! Calls over HTTP: who may ask in whose name.

use patchbay::channels::ChannelError;
use patchbay::domain::{Abilities, Address, Claim, Command, Newcomer, Registration};
use patchbay::ids::UserId;
use patchbay::shares::ClientAddress;

use super::NOW_S;
use super::dapi::{BACK_END, Exchange, IT_IS_OVER_AT_BEN_S, IT_RINGS_AT_BEN_S, SOMEBODY};

const BEN_PROVES_HIS_NAME: &str = r#"
    ben@ws > {"cmd":1,"msgtype":1,"sender":"ben","token":"@token ben"}
    ben@ws < {"cmd":3,"sender":"ben","timeStamp":"*"}
"#;

fn is_refused<T>(outcome: Result<T, ChannelError>) -> bool {
    matches!(outcome, Err(ChannelError::NameTaken))
}

#[tokio::test]
async fn nobody_asks_in_the_name_of_somebody_who_has_proven_it_but_the_back_end() {
    let mut exchange = Exchange::new().await;
    exchange.stage.play(BEN_PROVES_HIS_NAME).await;
    let channel = exchange.call(&["ben"]).await;
    exchange.play(&channel, IT_RINGS_AT_BEN_S).await;
    let (ben, anna) = ("ben".into(), "anna".into());
    let token = exchange.channels.token(SOMEBODY, &ben, &channel).await;
    assert!(matches!(token, Err(ChannelError::NameTaken)), "{token:?}");
    let call = exchange.channels.call(SOMEBODY, &ben, vec![anna], String::new()).await;
    assert!(matches!(call, Err(ChannelError::NameTaken)), "{call:?}");
    let report = exchange
        .channels
        .report(SOMEBODY, &ben, &channel, 1003, String::new())
        .await;
    assert!(matches!(report, Err(ChannelError::NameTaken)), "{report:?}");
    assert_eq!(exchange.record(&channel).await.ended_s, None);
    exchange.channels.token(BACK_END, &ben, &channel).await.unwrap();
    exchange.play(&channel, IT_IS_OVER_AT_BEN_S).await;
}

/// What only reads, or says that somebody lives, is refused as a call in their name is.
#[tokio::test]
async fn nobody_reads_or_changes_what_is_somebody_s_who_has_proven_their_name_but_the_back_end() {
    let mut exchange = Exchange::new().await;
    let (anna, ben) = (UserId::from("anna"), UserId::from("ben"));
    exchange.stage.play(BEN_PROVES_HIS_NAME).await;
    let channel = exchange.call(&["ben"]).await;
    exchange.play(&channel, IT_RINGS_AT_BEN_S).await;
    let people = (&ben, vec![anna.clone()]);
    let task = exchange
        .channels
        .schedule(BACK_END, None, people, NOW_S + 600, "7".to_owned());
    let task = task.await.unwrap();
    let channels = &exchange.channels;
    assert!(is_refused(channels.recent(SOMEBODY, &ben).await));
    assert!(is_refused(channels.hear(SOMEBODY, &ben, &channel).await));
    assert!(is_refused(channels.tasks(SOMEBODY, &ben, (0, 10)).await));
    assert!(is_refused(channels.remove_task(SOMEBODY, task, Some(&ben)).await));

    assert_eq!(
        channels.recent(SOMEBODY, &anna).await.unwrap().len(),
        1,
        "nobody holds her name"
    );
    assert_eq!(channels.recent(BACK_END, &ben).await.unwrap().len(), 1);
    channels.hear(BACK_END, &ben, &channel).await.unwrap();
    assert_eq!(channels.tasks(BACK_END, &ben, (0, 10)).await.unwrap().1, 1);
    channels.remove_task(BACK_END, task, Some(&ben)).await.unwrap();
}

#[tokio::test]
async fn only_the_back_end_removes_a_task_without_naming_whose_it_is() {
    let exchange = Exchange::new().await;
    let (anna, ben) = (UserId::from("anna"), UserId::from("ben"));
    let channels = &exchange.channels;
    let people = (&anna, vec![ben.clone()]);
    let task = channels.schedule(SOMEBODY, None, people, NOW_S + 600, "7".to_owned());
    let task = task.await.unwrap();
    let unnamed = channels.remove_task(SOMEBODY, task, None).await;
    assert!(matches!(unnamed, Err(ChannelError::NobodyNamed)), "{unnamed:?}");
    let others = channels.remove_task(SOMEBODY, task, Some(&ben)).await;
    assert!(matches!(others, Err(ChannelError::NoSuchTask)), "{others:?}");
    assert_eq!(channels.tasks(SOMEBODY, &anna, (0, 10)).await.unwrap().1, 1);
    channels.remove_task(BACK_END, task, None).await.unwrap();
}

/// A heartbeat makes no session at the hub: with as many there as one name may have, it is heard all the same.
#[tokio::test]
async fn what_is_asked_often_takes_no_place_at_the_hub() {
    let exchange = Exchange::new().await;
    let anna = UserId::from("anna");
    let channel = exchange.call(&["ben"]).await;
    let mut sessions = Vec::new();
    loop {
        let (session, events) = exchange.stage.hub().connect(ClientAddress::THIS_MACHINE).await.unwrap();
        let registration = Registration {
            address: Address::Name(anna.clone()),
            newcomer: Newcomer::Joins,
            claim: Claim::Unproven,
            abilities: Abilities::NONE,
        };
        if session.request(Command::Register(registration)).await.is_err() {
            break;
        }
        sessions.push((session, events));
    }
    assert!(!sessions.is_empty());
    let channels = &exchange.channels;
    channels.hear(SOMEBODY, &anna, &channel).await.unwrap();
    assert_eq!(channels.recent(SOMEBODY, &anna).await.unwrap().len(), 1);
}
