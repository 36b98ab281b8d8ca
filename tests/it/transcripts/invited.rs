//! Invitations on the message socket to people who are called by other means as well: registered accounts.

use patchbay::domain::{CallAnswer, CallCommand, Decline};
use tokio::time::{Duration, advance};

use super::Stage;
use super::across::{Account, CANDIDATES, EMPTY_SLOTS, user};

const ANNA_BINDS: &str = r#"
    anna@ws > {"cmd":1,"msgtype":1,"sender":"anna"}
    anna@ws < {"cmd":3,"sender":"anna","timeStamp":"2026-01-02 03:04:05"}
"#;

/// Anna invites Ben into a group, or to a call of two.
const GROUP: &str = r#"
    anna@ws > {"cmd":5,"msgtype":4,"receiver":"ben","groupId":"audio","reqType":"group","vagroupId":"r","senderName":"Anna","content":[18,5,97,117,100,105,111]}
"#;
const OF_TWO: &str = r#"
    anna@ws > {"cmd":5,"msgtype":4,"receiver":"ben","groupId":"video","reqType":"ptop"}
"#;
const REFUSED: &str = r#"
    anna@ws < {"cmd":5,"msgtype":4,"groupId":"video","sender":"ben","receiver":"anna","reqType":"ptop","sign":"refuse","resSign":"refuse","content":[18,5,118,105,100,101,111],"timeStamp":"2026-01-02 03:04:05"}
"#;
const NO_ANSWER: &str = r#"
    anna@ws < {"cmd":5,"msgtype":4,"groupId":"video","sender":"ben","receiver":"anna","reqType":"ptop","sign":"refuse","resSign":"refuse","content":[18,10,110,111,116,32,111,110,108,105,110,101],"timeStamp":"2026-01-02 03:04:05"}
"#;
const CANCEL: &str = r#"anna@ws > {"cmd":5,"msgtype":4,"receiver":"ben","resSign":"cancel","callType":"anna"}"#;

fn agreed(by: &str) -> String {
    format!(
        r#"anna@ws < {{"cmd":5,"msgtype":4,"groupId":"audio","sender":"{by}","receiver":"anna","reqType":"group","vagroupId":"r","sign":"agree","resSign":"agree","content":[18,5,97,117,100,105,111],"timeStamp":"2026-01-02 03:04:05"}}"#
    )
}

async fn with_ben() -> (Stage, Account) {
    let mut stage = Stage::new();
    let ben = Account::register(&stage, "ben").await;
    stage.play(ANNA_BINDS).await;
    (stage, ben)
}

#[tokio::test(start_paused = true)]
async fn several_accounts_are_invited_into_one_room_each_by_a_call_of_its_own() {
    let (mut stage, mut ben) = with_ben().await;
    let mut carl = Account::register(&stage, "carl").await;
    stage.play(&[GROUP, &GROUP.replace("ben", "carl")].concat()).await;
    let rings = [r#"anna calls into Some(RoomName("r"))"#];
    assert_eq!(ben.heard(), rings);
    assert_eq!(carl.heard(), rings, "the first still rings");
    ben.accept(&mut stage, user("anna")).await;
    stage.play(&agreed("ben")).await;
    carl.accept(&mut stage, user("anna")).await;
    stage.play(&agreed("carl")).await;
    stage.play(CANCEL).await;
    assert_eq!(ben.heard(), ["over with anna: HungUp"]);
    assert_eq!(carl.heard(), [""; 0], "the other call goes on");
    carl.hang_up(&mut stage).await;
    stage.play("").await;
    stage.play(GROUP).await;
    assert_eq!(ben.heard(), rings, "a call that is over is forgotten");
}

#[tokio::test(start_paused = true)]
async fn a_call_of_two_goes_on_with_the_page_from_which_the_caller_then_calls() {
    let (mut stage, mut ben) = with_ben().await;
    stage.play(OF_TWO).await;
    assert_eq!(ben.heard(), [r#"anna calls into Some(RoomName("room 4"))"#]);
    ben.accept(&mut stage, user("anna")).await;
    let agreed = REFUSED.replace("refuse", "agree");
    stage
        .play(&format!(
            r#"
            {agreed}
            ben > {{"id":"joinRoom","name":"ben","room":"room 4"}}
            ben < {{"id":"existingParticipants","data":[]}}
            anna@call > {{"id":"register","name":"anna"}}
            anna@call < {{"id":"registerResponse","response":"accepted","userId":"anna"}}
            anna@call > {{"id":"call","from":"anna","to":"ben","sdpOffer":"@sendrecv 1"}}
            media open 1 both ways
            {EMPTY_SLOTS}
            ben < {{"id":"newParticipantArrived","name":"anna"}}
            anna@call < {{"id":"callResponse","response":"accepted","sdpAnswer":"*"}}
            {CANDIDATES}
            "#
        ))
        .await;
    assert_eq!(ben.heard(), [""; 0], "nothing rings once more");
    stage
        .play(
            r#"
            anna@call > {"id":"stop"}
            media close 1
            ben < {"id":"participantLeft","name":"anna"}
            "#,
        )
        .await;
    assert_eq!(ben.heard(), ["over with anna: HungUp"]);
}

#[tokio::test(start_paused = true)]
async fn the_caller_is_sent_that_it_is_declined_or_that_nobody_answers() {
    let (mut stage, mut ben) = with_ben().await;
    stage.play(OF_TWO).await;
    let decline = CallCommand::Answer {
        from: user("anna"),
        room: None,
        answer: CallAnswer::Decline(Decline::Unwilling),
    };
    ben.request(&mut stage, decline).await;
    stage.play(REFUSED).await;
    stage.play(OF_TWO).await;
    advance(Duration::from_secs(60)).await;
    stage.hear().await;
    stage.play(NO_ANSWER).await;
    let rings = r#"anna calls into Some(RoomName("room 4"))"#;
    assert_eq!(ben.heard(), [rings, rings, "over with anna: TimedOut"]);
    stage.play(OF_TWO).await;
    drop(ben);
    stage.hear().await;
    stage.play(NO_ANSWER).await;
}

#[tokio::test(start_paused = true)]
async fn an_invitation_is_taken_back_or_given_up_for_a_newer_one_or_with_the_socket() {
    let (mut stage, mut ben) = with_ben().await;
    let rings = |room: &str| format!("anna calls into Some(RoomName(\"{room}\"))");
    stage.play(&[OF_TWO, CANCEL].concat()).await;
    let given_up = "over with anna: GivenUp";
    assert_eq!(ben.heard(), [&rings("room 4"), given_up]);
    stage.play(&[OF_TWO, GROUP].concat()).await;
    assert_eq!(ben.heard(), [&rings("room 4"), given_up, &rings("r")]);
    stage.play("anna@ws -").await;
    stage.hear().await;
    assert_eq!(ben.heard(), ["over with anna: Lost"]);
}

#[tokio::test(start_paused = true)]
async fn a_callee_who_has_the_page_of_messages_too_gets_the_message_itself_and_answers_on_either() {
    for answers_by_message in [true, false] {
        let (mut stage, mut ben) = with_ben().await;
        stage
            .play(
                r#"
                ben@ws > {"cmd":1,"msgtype":1,"sender":"ben"}
                anna@ws < {"cmd":3,"sender":"ben","timeStamp":"2026-01-02 03:04:05"}
                ben@ws < {"cmd":3,"sender":"ben","timeStamp":"2026-01-02 03:04:05"}
                "#,
            )
            .await;
        let invitation = r#"
            ben@ws < {"cmd":5,"msgtype":4,"sender":"anna","receiver":"ben","groupId":"audio","reqType":"group","vagroupId":"r","senderName":"Anna","content":[18,5,97,117,100,105,111],"timeStamp":"2026-01-02 03:04:05"}
        "#;
        stage.play(&[GROUP, invitation].concat()).await;
        let rings = r#"anna calls into Some(RoomName("r"))"#;
        if answers_by_message {
            let agree = r#"ben@ws > {"cmd":5,"msgtype":4,"sender":"ben","receiver":"anna","groupId":"audio","reqType":"group","vagroupId":"r","resSign":"agree"}"#;
            stage.play(&format!("{agree}\n{}", agreed("ben"))).await;
            assert_eq!(ben.heard(), [rings, "over with anna: AnsweredElsewhere"]);
            stage.play(&[GROUP, invitation].concat()).await;
            assert_eq!(ben.heard(), [rings], "nobody is in a call of the server");
        } else {
            ben.accept(&mut stage, user("anna")).await;
            let cancelled = r#"
                ben@ws < {"cmd":5,"msgtype":4,"sender":"anna","receiver":"ben","reqType":"group","resSign":"cancel","vagroupId":"r","callType":"anna","timeStamp":"2026-01-02 03:04:05"}
            "#;
            stage.play(&format!("{cancelled}\n{}", agreed("ben"))).await;
        }
    }
}
