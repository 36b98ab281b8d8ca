//! Calls between clients of `/call`, who bring an offer, devices, and registered accounts, who go into a room.

use patchbay::domain::{
    Abilities, Address, CallAnswer, CallCommand, CallEvent, CallMedia, Claim, Command, Event, Newcomer, Registration,
    WhenAbsent, WhenBusy,
};
use patchbay::hub::{Events, Session};
use patchbay::shares::ClientAddress;

use super::Stage;

/// A session at which calls ring whose parties meet in a room, as of a registered account.
pub struct Account {
    session: Session,
    events: Events,
}

impl Account {
    pub async fn register(stage: &Stage, user: &str) -> Account {
        let (session, events) = stage.hub.connect(ClientAddress::THIS_MACHINE).await.expect("a place");
        let registration = Registration {
            address: Address::Name(user.into()),
            newcomer: Newcomer::Joins,
            claim: Claim::Proven,
            abilities: Abilities {
                rings_elsewhere: true,
                ..Abilities::NONE
            },
        };
        session.request(Command::Register(registration)).await.unwrap();
        Account { session, events }
    }

    async fn call(&self, stage: &mut Stage, to: Address) {
        let invite = CallCommand::Invite {
            to: vec![to],
            media: CallMedia::Either {
                offer: None,
                room: "room 3".into(),
            },
            when_busy: WhenBusy::Ring,
            when_absent: WhenAbsent::LeaveOut,
        };
        self.request(stage, invite).await;
    }

    pub async fn request(&self, stage: &mut Stage, command: CallCommand) {
        self.session.request(command.into()).await.unwrap();
        stage.hear().await;
    }

    pub async fn accept(&self, stage: &mut Stage, from: Address) {
        let (room, answer) = (None, CallAnswer::Accept(None));
        self.request(stage, CallCommand::Answer { from, room, answer }).await;
    }

    pub async fn hang_up(&self, stage: &mut Stage) {
        self.request(stage, CallCommand::HangUp { with: None, room: None })
            .await;
    }

    /// The news of calls so far, in words.
    pub fn heard(&mut self) -> Vec<String> {
        let mut heard = Vec::new();
        while let Some(event) = self.events.try_next() {
            heard.push(match event {
                Event::Call(CallEvent::Incoming { from, room, .. }) => format!("{from} calls into {room:?}"),
                Event::Call(CallEvent::Accepted { by, room, .. }) => format!("{by} accepts for {room}"),
                Event::Call(CallEvent::Over(over)) => format!("over with {}: {:?}", over.other, over.reason),
                other => panic!("not about a call: {other:?}"),
            });
        }
        heard
    }
}

pub fn user(name: &str) -> Address {
    Address::Name(name.into())
}

const ANNA_IS_THERE: &str = r#"
    anna@call > {"id":"register","name":"anna"}
    anna@call < {"id":"registerResponse","response":"accepted","userId":"anna"}
"#;

const ANNA_CALLS: &str = r#"
    anna@call > {"id":"call","from":"anna","to":"ben","sdpOffer":"@sendrecv 1"}
"#;

pub const CANDIDATES: &str = r#"
    anna@call < {"id":"iceCandidate","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
    anna@call < {"id":"iceCandidate","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
"#;

/// A caller with an offer has six slots for whoever else comes into the room.
pub const EMPTY_SLOTS: &str = r#"
    media fill slot 0 of 1 with nothing
    media fill slot 1 of 1 with nothing
    media fill slot 2 of 1 with nothing
    media fill slot 3 of 1 with nothing
    media fill slot 4 of 1 with nothing
    media fill slot 5 of 1 with nothing
"#;

async fn anna_calls_ben() -> (Stage, Account) {
    let mut stage = Stage::new();
    stage.play(ANNA_IS_THERE).await;
    let mut ben = Account::register(&stage, "ben").await;
    stage.play(ANNA_CALLS).await;
    assert_eq!(ben.heard(), [r#"anna calls into Some(RoomName("room 2"))"#]);
    (stage, ben)
}

#[tokio::test(start_paused = true)]
async fn who_calls_with_an_offer_is_answered_when_an_account_accepts_and_they_meet_in_its_room() {
    let (mut stage, mut ben) = anna_calls_ben().await;
    ben.accept(&mut stage, user("anna")).await;
    stage
        .play(&format!(
            r#"
            media open 1 both ways
            {EMPTY_SLOTS}
            anna@call < {{"id":"callResponse","response":"accepted","sdpAnswer":"*"}}
            {CANDIDATES}
            ben > {{"id":"joinRoom","name":"ben","room":"room 2"}}
            ben < {{"id":"existingParticipants","data":["anna"]}}
            ben > {{"id":"receiveVideoFrom","sender":"anna","sdpOffer":"@recvonly 2"}}
            media open 2 watch
            ben < {{"id":"receiveVideoAnswer","name":"anna","sdpAnswer":"*"}}
            ben < {{"id":"iceCandidate","name":"anna","candidate":{{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}}}
            ben < {{"id":"iceCandidate","name":"anna","candidate":{{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}}}
            anna@call > {{"id":"restart","sdpOffer":"@sendrecv 1 again"}}
            media again 1 both ways
            {EMPTY_SLOTS}
            anna@call < {{"id":"restartAnswer","sdpAnswer":"*"}}
            {CANDIDATES}
            anna@call > {{"id":"stop"}}
            media close 1
            media close 2
            ben < {{"id":"participantLeft","name":"anna"}}
            "#
        ))
        .await;
    assert_eq!(ben.heard(), ["over with anna: HungUp"]);
}

#[tokio::test(start_paused = true)]
async fn a_call_with_an_offer_to_an_account_ends_however_it_ends_there() {
    let (mut stage, ben) = anna_calls_ben().await;
    ben.accept(&mut stage, user("anna")).await;
    let accepted = format!(
        r#"
        media open 1 both ways
        {EMPTY_SLOTS}
        anna@call < {{"id":"callResponse","response":"accepted","sdpAnswer":"*"}}
        {CANDIDATES}
        "#
    );
    stage.play(&accepted).await;
    ben.hang_up(&mut stage).await;
    stage
        .play(
            r#"
            media close 1
            anna@call < {"id":"stopCommunication"}
            "#,
        )
        .await;

    let (mut stage, ben) = anna_calls_ben().await;
    let decline = CallCommand::Answer {
        from: user("anna"),
        room: Some("room 2".into()),
        answer: CallAnswer::Decline(patchbay::domain::Decline::Unwilling),
    };
    ben.request(&mut stage, decline).await;
    stage
        .play(r#"anna@call < {"id":"callResponse","response":"rejected","message":"user declined"}"#)
        .await;

    let (mut stage, ben) = anna_calls_ben().await;
    ben.accept(&mut stage, user("anna")).await;
    stage.play(&accepted).await;
    drop(ben);
    stage.hear().await;
    stage
        .play(
            r#"
            media close 1
            anna@call < {"id":"stopCommunication"}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_account_calls_somebody_who_answers_with_an_offer() {
    let mut stage = Stage::new();
    stage.play(ANNA_IS_THERE).await;
    let mut ben = Account::register(&stage, "ben").await;
    ben.call(&mut stage, user("anna")).await;
    stage
        .play(&format!(
            r#"
            anna@call < {{"id":"incomingCall","from":"ben","to":"anna"}}
            anna@call > {{"id":"incomingCallResponse","from":"ben","callResponse":"accept","sdpOffer":"@sendrecv 1"}}
            media open 1 both ways
            {EMPTY_SLOTS}
            anna@call < {{"id":"startCommunication","sdpAnswer":"*"}}
            {CANDIDATES}
            "#
        ))
        .await;
    assert_eq!(ben.heard(), ["anna accepts for room 3"]);
    stage
        .play(
            r#"
            media lost 1
            anna@call < {"id":"stopCommunication"}
            "#,
        )
        .await;
    assert_eq!(ben.heard(), ["over with anna: Lost"]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_whose_offer_is_missing_fails_the_call_on_both_sides() {
    let mut stage = Stage::new();
    stage.play(ANNA_IS_THERE).await;
    let mut ben = Account::register(&stage, "ben").await;
    ben.call(&mut stage, user("anna")).await;
    stage
        .play(
            r#"
            anna@call < {"id":"incomingCall","from":"ben","to":"anna"}
            anna@call > {"id":"incomingCallResponse","from":"ben","callResponse":"accept"}
            anna@call < {"id":"stopCommunication"}
            "#,
        )
        .await;
    assert_eq!(ben.heard(), ["anna accepts for room 3", "over with anna: Failed"]);
}

#[tokio::test(start_paused = true)]
async fn a_device_calls_an_account_by_its_name_alone_and_is_called_by_it() {
    let mut stage = Stage::new();
    let mut ben = Account::register(&stage, "ben").await;
    stage
        .play(
            r#"
            13800000001/a@device > {"type":"call","to_phone":"ben","to_device_id":""}
            "#,
        )
        .await;
    let phone = || Address::Device {
        account: "13800000001".into(),
        device: "a".into(),
    };
    assert_eq!(ben.heard(), [r#"13800000001/a calls into Some(RoomName("room 1"))"#]);
    ben.accept(&mut stage, phone()).await;
    stage
        .play(
            r#"
            13800000001/a@device < {"type":"call_success","to_phone":"ben","to_device_id":"","room_id":"room 1"}
            ben > {"id":"joinRoom","name":"ben","room":"room 1"}
            ben < {"id":"existingParticipants","data":[]}
            page@direct > {"id":"joinRoom","name":"page","room":"room 1"}
            page@direct < {"id":"existingParticipants","data":["ben"]}
            ben < {"id":"newParticipantArrived","name":"page"}
            13800000001/a@device > {"type":"calling_hangup","notified_phone":"ben","notified_device_id":"","room_id":"room 1"}
            "#,
        )
        .await;
    assert_eq!(ben.heard(), ["over with 13800000001/a: HungUp"]);
    ben.call(&mut stage, phone()).await;
    stage
        .play(
            r#"
            13800000001/a@device < {"type":"called","from_phone":"ben","from_device_id":"","room_id":"room 3"}
            13800000001/a@device > {"type":"called_success","from_phone":"ben","from_device_id":"","room_id":"room 3"}
            "#,
        )
        .await;
    assert_eq!(ben.heard(), ["13800000001/a accepts for room 3"]);
    ben.hang_up(&mut stage).await;
    stage
        .play(
            r#"
            13800000001/a@device < {"type":"calling_be_hangup","fire_phone":"ben","fire_device_id":"","room_id":"room 3"}
            13800000001/a@device > {"type":"call","to_phone":"nobody","to_device_id":""}
            13800000001/a@device < {"type":"call_failed","to_phone":"nobody","to_device_id":"","message":"to_phone is not online"}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_account_calls_somebody_who_has_the_page_of_messages_open() {
    let mut stage = Stage::new();
    stage
        .play(
            r#"
            carl@ws > {"cmd":1,"msgtype":1,"sender":"carl"}
            carl@ws < {"cmd":3,"sender":"carl","timeStamp":"2026-01-02 03:04:05"}
            "#,
        )
        .await;
    let mut ben = Account::register(&stage, "ben").await;
    ben.call(&mut stage, user("carl")).await;
    stage
        .play(
            r#"
            carl@ws < {"cmd":5,"msgtype":4,"sender":"ben","receiver":"carl","groupId":"video","timeStamp":"2026-01-02 03:04:05","reqType":"group","vagroupId":"room 3","content":[18,5,118,105,100,101,111]}
            carl@ws > {"cmd":5,"msgtype":4,"sender":"carl","receiver":"ben","groupId":"video","resSign":"agree","reqType":"group","vagroupId":"room 3"}
            "#,
        )
        .await;
    assert_eq!(ben.heard(), ["carl accepts for room 3"]);
}
