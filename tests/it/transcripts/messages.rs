//! The message socket: who is online, messages, invitations and their answers, and messages that wait.

use patchbay::config::Config;
use patchbay::hub::Capacity;
use patchbay::signaling::Frame;
use tokio::time::{Duration, advance};

use super::{House, Shelf, Stage};

/// The messages that every bound client has been sent about itself and about those who came after.
const ANNA_AND_BEN: &str = r#"
    anna@ws > {"cmd":1,"msgtype":1,"sender":"1","token":"1","version":"1.0","flag":1,"platform":"web","platformVersion":"1"}
    anna@ws < {"cmd":3,"sender":"1","timeStamp":"2026-01-02 03:04:05"}
    ben@ws > {"cmd":1,"msgtype":1,"sender":"2"}
    anna@ws < {"cmd":3,"sender":"2","timeStamp":"2026-01-02 03:04:05"}
    ben@ws < {"cmd":3,"sender":"2","timeStamp":"2026-01-02 03:04:05"}
"#;

async fn anna_and_ben() -> Stage {
    let mut stage = Stage::new();
    stage.play(ANNA_AND_BEN).await;
    stage
}

#[tokio::test(start_paused = true)]
async fn coming_and_going_is_announced_to_everybody_once_for_each_user() {
    let mut stage = anna_and_ben().await;
    stage
        .play(
            r#"
            tablet@ws > {"cmd":1,"msgtype":1,"sender":"1"}
            anna@ws < {"cmd":3,"msgtype":3,"sender":"1","timeStamp":"2026-01-02 03:04:05"}
            tablet@ws -
            anna@ws -
            ben@ws < {"cmd":4,"sender":"1","timeStamp":"2026-01-02 03:04:05"}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_invitation_and_its_answers_reach_every_connection_of_the_other_with_all_their_fields() {
    let mut stage = anna_and_ben().await;
    stage
        .play(
            r#"
            tablet@ws > {"cmd":1,"msgtype":1,"sender":"2"}
            ben@ws < {"cmd":3,"msgtype":3,"sender":"2","timeStamp":"2026-01-02 03:04:05"}
            anna@ws > {"cmd":5,"msgtype":4,"groupId":"video","token":"1","sender":"1","receiver":"2","reqType":"ptop","content":[18,5,118,105,100,101,111]}
            ben@ws < {"cmd":5,"msgtype":4,"groupId":"video","token":"1","sender":"1","receiver":"2","reqType":"ptop","content":[18,5,118,105,100,101,111],"timeStamp":"2026-01-02 03:04:05"}
            tablet@ws < {"cmd":5,"msgtype":4,"groupId":"video","token":"1","sender":"1","receiver":"2","reqType":"ptop","content":[18,5,118,105,100,101,111],"timeStamp":"2026-01-02 03:04:05"}
            ben@ws > {"cmd":5,"msgtype":4,"groupId":"video","sender":"2","receiver":"1","reqType":"ptop","resSign":"agree"}
            anna@ws < {"cmd":5,"msgtype":4,"groupId":"video","sender":"2","receiver":"1","reqType":"ptop","resSign":"agree","timeStamp":"2026-01-02 03:04:05"}
            ben@ws > {"cmd":5,"msgtype":4,"groupId":"video","sender":"2","receiver":"1","sign":"refuse"}
            anna@ws < {"cmd":5,"msgtype":4,"groupId":"video","sender":"2","receiver":"1","sign":"refuse","timeStamp":"2026-01-02 03:04:05"}
            anna@ws > {"cmd":5,"msgtype":4,"version":"1.0","deviceId":"d","groupId":"audio","flag":2,"platform":"p","platformVersion":"v","token":"t","appKey":"k","sender":"1","receiver":"2","sign":"s","resSign":"r","reqType":"group","vagroupId":"room 7","callType":"caller","senderName":"Anna 安","senderPhoto":"/a.png","vagroupName":"Team","vaType":"x","addGroupFlag":"true"}
            ben@ws < {"cmd":5,"msgtype":4,"version":"1.0","deviceId":"d","groupId":"audio","flag":2,"platform":"p","platformVersion":"v","token":"t","appKey":"k","sender":"1","receiver":"2","sign":"s","resSign":"r","reqType":"group","vagroupId":"room 7","callType":"caller","senderName":"Anna 安","senderPhoto":"/a.png","vagroupName":"Team","vaType":"x","addGroupFlag":"true","timeStamp":"2026-01-02 03:04:05"}
            tablet@ws < {"cmd":5,"msgtype":4,"version":"1.0","deviceId":"d","groupId":"audio","flag":2,"platform":"p","platformVersion":"v","token":"t","appKey":"k","sender":"1","receiver":"2","sign":"s","resSign":"r","reqType":"group","vagroupId":"room 7","callType":"caller","senderName":"Anna 安","senderPhoto":"/a.png","vagroupName":"Team","vaType":"x","addGroupFlag":"true","timeStamp":"2026-01-02 03:04:05"}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn the_sender_is_the_user_who_is_bound_and_the_time_is_the_servers() {
    let mut stage = anna_and_ben().await;
    stage
        .play(
            r#"
            anna@ws > {"cmd":5,"msgtype":1,"sender":"9","receiver":"2","timeStamp":"1999-01-01 00:00:00"}
            ben@ws < {"cmd":5,"msgtype":1,"sender":"1","receiver":"2","timeStamp":"2026-01-02 03:04:05"}
            anna@ws > {"cmd":5,"msgtype":1,"receiver":"2"}
            ben@ws < {"cmd":5,"msgtype":1,"sender":"1","receiver":"2","timeStamp":"2026-01-02 03:04:05"}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_message_without_a_receiver_goes_to_everybody_or_to_oneself_and_never_rings_everywhere() {
    let mut stage = anna_and_ben().await;
    stage
        .play(
            r#"
            anna@ws > {"cmd":5,"msgtype":1,"groupId":"team"}
            anna@ws < {"cmd":5,"msgtype":1,"groupId":"team","sender":"1","timeStamp":"2026-01-02 03:04:05"}
            ben@ws < {"cmd":5,"msgtype":1,"groupId":"team","sender":"1","timeStamp":"2026-01-02 03:04:05"}
            anna@ws > {"cmd":5,"msgtype":1}
            anna@ws < {"cmd":5,"msgtype":1,"sender":"1","timeStamp":"2026-01-02 03:04:05"}
            anna@ws > {"cmd":5,"msgtype":4,"groupId":"video"}
            anna@ws > {"cmd":5,"msgtype":4,"groupId":"audio"}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_second_bind_is_answered_that_it_needs_a_new_connection_and_changes_nothing() {
    let mut stage = anna_and_ben().await;
    stage
        .play(
            r#"
            anna@ws > {"cmd":1,"msgtype":1,"sender":"9"}
            anna@ws < {"cmd":6}
            ben@ws > {"cmd":5,"msgtype":1,"receiver":"1"}
            anna@ws < {"cmd":5,"msgtype":1,"sender":"2","receiver":"1","timeStamp":"2026-01-02 03:04:05"}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_message_on_a_connection_that_is_not_bound_binds_it_to_its_sender() {
    let mut stage = anna_and_ben().await;
    stage
        .play(
            r#"
            carl@ws > {"cmd":5,"msgtype":4,"sender":"3","receiver":"1"}
            anna@ws < {"cmd":3,"sender":"3","timeStamp":"2026-01-02 03:04:05"}
            ben@ws < {"cmd":3,"sender":"3","timeStamp":"2026-01-02 03:04:05"}
            carl@ws < {"cmd":3,"sender":"3","timeStamp":"2026-01-02 03:04:05"}
            anna@ws < {"cmd":5,"msgtype":4,"sender":"3","receiver":"1","timeStamp":"2026-01-02 03:04:05"}
            nobody@ws > {"cmd":5,"msgtype":4,"receiver":"1"}
            nobody@ws > {"cmd":3,"msgtype":1}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_user_who_asks_is_sent_who_is_online() {
    let mut stage = anna_and_ben().await;
    stage
        .play(
            r#"
            ben@ws > {"cmd":3,"msgtype":1}
            ben@ws < {"cmd":3,"msgtype":4,"sender":"1","timeStamp":"2026-01-02 03:04:05"}
            ben@ws < {"cmd":3,"msgtype":4,"sender":"2","timeStamp":"2026-01-02 03:04:05"}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn messages_for_somebody_who_is_not_there_come_in_order_and_once_when_they_bind() {
    let mut stage = Stage::new();
    stage
        .play(
            r#"
            anna@ws > {"cmd":1,"msgtype":1,"sender":"1"}
            anna@ws < {"cmd":3,"sender":"1","timeStamp":"2026-01-02 03:04:05"}
            anna@ws > {"cmd":5,"msgtype":4,"receiver":"2","vagroupId":"first"}
            anna@ws > {"cmd":5,"msgtype":4,"receiver":"2","vagroupId":"second"}
            anna@ws > {"cmd":5,"msgtype":4,"receiver":"4","vagroupId":"for another"}
            ben@ws > {"cmd":1,"msgtype":1,"sender":"2"}
            anna@ws < {"cmd":3,"sender":"2","timeStamp":"2026-01-02 03:04:05"}
            ben@ws < {"cmd":3,"sender":"2","timeStamp":"2026-01-02 03:04:05"}
            ben@ws < {"cmd":5,"msgtype":4,"sender":"1","receiver":"2","vagroupId":"first","timeStamp":"2026-01-02 03:04:05"}
            ben@ws < {"cmd":5,"msgtype":4,"sender":"1","receiver":"2","vagroupId":"second","timeStamp":"2026-01-02 03:04:05"}
            tablet@ws > {"cmd":1,"msgtype":1,"sender":"2"}
            ben@ws < {"cmd":3,"msgtype":3,"sender":"2","timeStamp":"2026-01-02 03:04:05"}
            tablet@ws -
            ben@ws -
            anna@ws < {"cmd":4,"sender":"2","timeStamp":"2026-01-02 03:04:05"}
            ben@ws > {"cmd":1,"msgtype":1,"sender":"2"}
            anna@ws < {"cmd":3,"sender":"2","timeStamp":"2026-01-02 03:04:05"}
            ben@ws < {"cmd":3,"sender":"2","timeStamp":"2026-01-02 03:04:05"}
            "#,
        )
        .await;
}

/// The transcript in which Anna invites Ben, who is not there.
const INVITED: &str = r#"
    anna@ws > {"cmd":1,"msgtype":1,"sender":"1"}
    anna@ws < {"cmd":3,"sender":"1","timeStamp":"2026-01-02 03:04:05"}
    anna@ws > {"cmd":5,"msgtype":4,"groupId":"video","receiver":"2","reqType":"ptop","vagroupId":"r"}
"#;

const BEN_COMES: &str = r#"
    ben@ws > {"cmd":1,"msgtype":1,"sender":"2"}
    anna@ws < {"cmd":3,"sender":"2","timeStamp":"2026-01-02 03:04:05"}
    ben@ws < {"cmd":3,"sender":"2","timeStamp":"2026-01-02 03:04:05"}
"#;

/// The message that Ben gets instead, after coming too late.
const MISSED: &str = r#"
    ben@ws < {"cmd":5,"msgtype":4,"sender":"1","receiver":"2","resSign":"missed","reqType":"ptop","vagroupId":"r","timeStamp":"2026-01-02 03:04:05"}
"#;

#[tokio::test(start_paused = true)]
async fn an_invitation_rings_at_whoever_comes_while_it_rings() {
    let mut stage = Stage::new();
    stage.play(INVITED).await;
    advance(Duration::from_secs(59)).await;
    stage.hear().await;
    let rings = r#"ben@ws < {"cmd":5,"msgtype":4,"groupId":"video","sender":"1","receiver":"2","reqType":"ptop","vagroupId":"r","timeStamp":"2026-01-02 03:04:05"}"#;
    stage.play(&format!("{BEN_COMES}{rings}")).await;
    advance(Duration::from_secs(60)).await;
    stage.hear().await;
    stage.play("").await;
}

#[tokio::test(start_paused = true)]
async fn an_invitation_that_nobody_heard_is_refused_to_its_sender_and_rings_no_more() {
    let mut stage = Stage::new();
    stage.play(INVITED).await;
    advance(Duration::from_secs(60)).await;
    stage.hear().await;
    stage
        .play(
            r#"
            anna@ws < {"cmd":5,"msgtype":4,"groupId":"video","sender":"2","receiver":"1","reqType":"ptop","vagroupId":"r","sign":"refuse","resSign":"refuse","content":[18,10,110,111,116,32,111,110,108,105,110,101],"timeStamp":"2026-01-02 03:04:05"}
            "#,
        )
        .await;
    stage.play(&format!("{BEN_COMES}{MISSED}")).await;
}

#[tokio::test(start_paused = true)]
async fn an_invitation_that_is_taken_back_rings_nowhere() {
    for back in [
        r#"{"cmd":5,"msgtype":4,"receiver":"2","resSign":"cancel","callType":"1"}"#,
        r#"{"cmd":5,"msgtype":4,"groupId":"video","receiver":"2","reqType":"ptop","resSign":"refuse"}"#,
    ] {
        let mut stage = Stage::new();
        stage.play(INVITED).await;
        stage.play(&format!("anna@ws > {back}")).await;
        advance(Duration::from_secs(60)).await;
        stage.hear().await;
        stage.play(&format!("{BEN_COMES}{MISSED}")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_waits_as_long_as_the_call_may_ring_and_is_forgotten_then() {
    for (seconds, comes) in [(59, true), (60, false)] {
        let mut stage = Stage::new();
        stage
            .play(
                r#"
                anna@ws > {"cmd":1,"msgtype":1,"sender":"1"}
                anna@ws < {"cmd":3,"sender":"1","timeStamp":"2026-01-02 03:04:05"}
                anna@ws > {"cmd":5,"msgtype":4,"groupId":"audio","receiver":"2","resSign":"agree"}
                "#,
            )
            .await;
        advance(Duration::from_secs(seconds)).await;
        stage.hear().await;
        let answer = r#"ben@ws < {"cmd":5,"msgtype":4,"groupId":"audio","sender":"1","receiver":"2","resSign":"agree","timeStamp":"2026-01-02 03:04:05"}"#;
        let answer = if comes { answer } else { "" };
        stage.play(&format!("{BEN_COMES}{answer}")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn messages_that_wait_survive_a_restart() {
    let shelf = Shelf::default();
    let stage = || {
        let capacity = Capacity::default();
        Stage::keeping(shelf.clone(), capacity, House::default(), Config::default())
    };
    let mut first = stage();
    first
        .play(
            r#"
            anna@ws > {"cmd":5,"msgtype":4,"sender":"1","receiver":"2","vagroupId":"waits"}
            anna@ws < {"cmd":3,"sender":"1","timeStamp":"2026-01-02 03:04:05"}
            "#,
        )
        .await;
    first.shut_down().await;
    assert_eq!(shelf.count("2"), 1);
    stage()
        .play(
            r#"
            ben@ws > {"cmd":1,"msgtype":1,"sender":"2"}
            ben@ws < {"cmd":3,"sender":"2","timeStamp":"2026-01-02 03:04:05"}
            ben@ws < {"cmd":5,"msgtype":4,"sender":"1","receiver":"2","vagroupId":"waits","timeStamp":"2026-01-02 03:04:05"}
            "#,
        )
        .await;
    assert_eq!(shelf.count("2"), 0, "delivered, and deleted");
}

#[tokio::test(start_paused = true)]
async fn where_there_are_users_only_they_bind() {
    let mut stage = Stage::with(House::default().with_user("1", "Ann", "", ""), Config::default());
    stage
        .play(
            r#"
            eve@ws > {"cmd":1,"msgtype":1,"sender":"2"}
            eve@ws x 1008
            mallory@ws > {"cmd":5,"msgtype":1,"sender":"2","receiver":"1"}
            mallory@ws x 1008
            anna@ws > {"cmd":1,"msgtype":1,"sender":"1"}
            anna@ws < {"cmd":3,"sender":"1","timeStamp":"2026-01-02 03:04:05"}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn when_users_cannot_be_looked_up_the_socket_says_so() {
    let mut stage = Stage::with(House::broken(), Config::default());
    stage
        .play("anna@ws > {\"cmd\":1,\"msgtype\":1,\"sender\":\"1\"}\nanna@ws x 1011")
        .await;
}

#[tokio::test(start_paused = true)]
async fn frames_that_are_no_message_or_not_for_the_server_are_ignored() {
    let mut stage = anna_and_ben().await;
    stage
        .play(
            r#"
            anna@ws ! 18023804
            anna@ws > {"cmd":2,"msgtype":1}
            anna@ws > {"cmd":5,"msgtype":2,"receiver":"2"}
            anna@ws > {"cmd":5,"msgtype":3,"receiver":"2"}
            anna@ws > {"cmd":5,"receiver":"2"}
            anna@ws > {"cmd":4,"msgtype":1,"sender":"2"}
            anna@ws > {"cmd":6,"msgtype":1}
            anna@ws > {"cmd":77,"msgtype":1,"receiver":"2"}
            anna@ws ! ff
            anna@ws ! 1805380122ff
            anna@ws ! 2202ff00
            anna@ws ! 18ffffffffffffffffffff01
            anna@ws ! 0b0b0b0b
            dave@ws > {"cmd":1,"msgtype":1}
            carl@ws > {"cmd":5,"msgtype":1,"receiver":"2"}
            carl@ws > {"cmd":1,"msgtype":4,"sender":"3"}
            anna@ws < {"cmd":3,"sender":"3","timeStamp":"2026-01-02 03:04:05"}
            ben@ws < {"cmd":3,"sender":"3","timeStamp":"2026-01-02 03:04:05"}
            carl@ws < {"cmd":3,"sender":"3","timeStamp":"2026-01-02 03:04:05"}
            "#,
        )
        .await;
    let long = "x".repeat(200);
    let bind = format!(r#"{{"cmd":1,"msgtype":1,"sender":"{long}"}}"#);
    stage.sends_text("dora@ws", &bind).await;
    stage.sends("anna@ws", Frame::Text(r#"{"cmd":5}"#.to_owned())).await;
    stage.sends("anna@ws", Frame::Binary(vec![0x0b; 60_000].into())).await;
    assert!(stage.heard("anna@ws").is_empty());
    stage.play("dora@ws x 1008").await;
    stage
        .play(
            r#"
            anna@ws > {"cmd":5,"msgtype":1,"receiver":"2"}
            ben@ws < {"cmd":5,"msgtype":1,"sender":"1","receiver":"2","timeStamp":"2026-01-02 03:04:05"}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn other_families_hear_nothing_of_the_message_socket() {
    let mut stage = anna_and_ben().await;
    stage
        .play(
            r#"
            room > {"id":"joinRoom","name":"1","room":"r"}
            room < {"id":"existingParticipants","data":[]}
            ben@ws > {"cmd":5,"msgtype":1,"groupId":"all"}
            anna@ws < {"cmd":5,"msgtype":1,"groupId":"all","sender":"2","timeStamp":"2026-01-02 03:04:05"}
            ben@ws < {"cmd":5,"msgtype":1,"groupId":"all","sender":"2","timeStamp":"2026-01-02 03:04:05"}
            "#,
        )
        .await;
}
