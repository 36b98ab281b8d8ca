//! Calls that somebody without a socket begins, such as a request over HTTP. They ring at clients of several families at once.

use patchbay::domain::{
    Abilities, Address, CallCommand, CallEnd, CallEvent, CallMedia, Claim, Command, Event, Newcomer, Refusal,
    Registration, WhenAbsent, WhenBusy,
};
use patchbay::hub::{Events, Session};
use patchbay::ids::PushTarget;
use patchbay::shares::ClientAddress;
use tokio::time::{Duration, advance};

use super::Stage;

/// Somebody who asks the hub by other means than a socket, in the name of the office's device.
struct Asker {
    session: Session,
    events: Events,
}

impl Asker {
    async fn new(stage: &Stage) -> Asker {
        Asker::under(stage, device("13800000009", "office")).await
    }

    async fn under(stage: &Stage, address: Address) -> Asker {
        let (session, events) = stage.hub.connect(ClientAddress::THIS_MACHINE).await.expect("a place");
        let registration = Registration {
            address,
            newcomer: Newcomer::Joins,
            claim: Claim::Proven,
            abilities: Abilities::NONE,
        };
        session.request(Command::Register(registration)).await.unwrap();
        Asker { session, events }
    }

    async fn call(&self, to: Vec<Address>) -> Result<(), Refusal> {
        let invite = CallCommand::Invite {
            to,
            media: CallMedia::Elsewhere("room 9".into()),
            when_busy: WhenBusy::Refuse,
            when_absent: WhenAbsent::LeaveOut,
        };
        self.session.request(Command::Call(invite)).await
    }

    async fn hang_up(&self) -> Result<(), Refusal> {
        let hang_up = CallCommand::HangUp { with: None, room: None };
        self.session.request(Command::Call(hang_up)).await
    }

    /// The news of the call so far, in words.
    fn heard(&mut self) -> Vec<String> {
        let mut heard = Vec::new();
        while let Some(event) = self.events.try_next() {
            heard.push(match event {
                Event::Call(CallEvent::Accepted { by, room, .. }) => format!("{by} accepts for {room}"),
                Event::Call(CallEvent::CalleeOut { callee, reason, .. }) => format!("without {callee}: {reason:?}"),
                Event::Call(CallEvent::Over(over)) => {
                    let what = if over.accepted { "call" } else { "ringing" };
                    assert!(over.reason != CallEnd::AnsweredElsewhere, "that is for callees");
                    format!("{what} with {} over: {:?}", over.other, over.reason)
                }
                other => panic!("not about a call: {other:?}"),
            });
        }
        heard
    }
}

fn device(phone: &str, id: &str) -> Address {
    Address::Device {
        account: phone.into(),
        device: id.into(),
    }
}

fn the_two() -> Vec<Address> {
    vec![device("13800000002", "b"), Address::Name("carl".into())]
}

/// Calls Ben's device, and Carl, who has the page of messages open.
async fn ringing() -> (Stage, Asker) {
    let mut stage = Stage::new();
    stage
        .play(
            r#"
            13800000002/b@device +
            carl@ws > {"cmd":1,"msgtype":1,"sender":"carl"}
            carl@ws < {"cmd":3,"sender":"carl","timeStamp":"2026-01-02 03:04:05"}
            "#,
        )
        .await;
    let asker = Asker::new(&stage).await;
    asker.call(the_two()).await.unwrap();
    stage.hear().await;
    stage
        .play(
            r#"
            13800000002/b@device < {"type":"called","from_phone":"13800000009","from_device_id":"office","room_id":"room 9"}
            carl@ws < {"cmd":5,"msgtype":4,"groupId":"video","sender":"13800000009/office","receiver":"carl","reqType":"group","vagroupId":"room 9","content":[18,5,118,105,100,101,111],"timeStamp":"2026-01-02 03:04:05"}
            "#,
        )
        .await;
    (stage, asker)
}

const CARL_IS_CANCELLED: &str = r#"
    carl@ws < {"cmd":5,"msgtype":4,"sender":"13800000009/office","receiver":"carl","reqType":"group","resSign":"cancel","vagroupId":"room 9","callType":"13800000009/office","timeStamp":"2026-01-02 03:04:05"}
"#;
const BEN_IS_CANCELLED: &str = r#"
    13800000002/b@device < {"type":"called_failed","from_phone":"13800000009","from_device_id":"office"}
"#;
const BEN_ACCEPTS: &str = r#"
    13800000002/b@device > {"type":"called_success","from_phone":"13800000009","from_device_id":"office","room_id":"room 9"}
"#;
const CARL_ACCEPTS: &str = r#"
    carl@ws > {"cmd":5,"msgtype":4,"groupId":"video","sender":"carl","receiver":"13800000009/office","reqType":"group","vagroupId":"room 9","resSign":"agree"}
"#;

#[tokio::test(start_paused = true)]
async fn a_device_answers_the_message_socket_s_ringing_is_taken_back_and_a_hang_up_ends_it_for_both() {
    let (mut stage, mut asker) = ringing().await;
    stage.play(&[BEN_ACCEPTS, CARL_IS_CANCELLED].concat()).await;
    assert_eq!(asker.heard(), ["13800000002/b accepts for room 9"]);
    // Too late: nobody gets the answer, neither the office nor, as a message, anybody of that name.
    let somebody = r#"
        office@ws > {"cmd":1,"msgtype":1,"sender":"13800000009/office"}
        carl@ws < {"cmd":3,"sender":"13800000009/office","timeStamp":"*"}
        office@ws < {"cmd":3,"sender":"13800000009/office","timeStamp":"*"}
    "#;
    stage.play(&[somebody, CARL_ACCEPTS].concat()).await;
    assert_eq!(asker.heard(), [""; 0]);
    asker.hang_up().await.unwrap();
    stage.hear().await;
    let hung_up = r#"
        13800000002/b@device < {"type":"calling_be_hangup","fire_phone":"13800000009","fire_device_id":"office","room_id":"room 9"}
    "#;
    stage.play(hung_up).await;
    assert_eq!(asker.hang_up().await, Err(Refusal::NoSuchCall));
    assert_eq!(asker.call(the_two()).await, Ok(()), "everybody is free again");
}

#[tokio::test(start_paused = true)]
async fn the_message_socket_answers_the_device_s_ringing_is_over_and_either_hangs_up() {
    for office_hangs_up in [true, false] {
        let (mut stage, mut asker) = ringing().await;
        stage.play(&[CARL_ACCEPTS, BEN_IS_CANCELLED].concat()).await;
        assert_eq!(asker.heard(), ["carl accepts for room 9"]);
        if office_hangs_up {
            asker.hang_up().await.unwrap();
            stage.hear().await;
            stage.play(CARL_IS_CANCELLED).await;
            assert_eq!(asker.heard(), [""; 0]);
        } else {
            let hangs_up = r#"
                carl@ws > {"cmd":5,"msgtype":4,"sender":"carl","receiver":"13800000009/office","vagroupId":"room 9","resSign":"cancel"}
            "#;
            stage.play(hangs_up).await;
            assert_eq!(asker.heard(), ["call with carl over: HungUp"]);
        }
        assert_eq!(asker.hang_up().await, Err(Refusal::NoSuchCall));
    }
}

#[tokio::test(start_paused = true)]
async fn all_refuse_each_in_the_words_of_their_family() {
    let (mut stage, mut asker) = ringing().await;
    stage
        .play(r#"carl@ws > {"cmd":5,"msgtype":4,"groupId":"video","sender":"carl","receiver":"13800000009/office","sign":"refuse"}"#)
        .await;
    assert_eq!(asker.heard(), ["without carl: Declined(Unwilling)"]);
    stage
        .play(r#"13800000002/b@device > {"type":"called_refuse","from_phone":"13800000009","from_device_id":"office","room_id":"room 9"}"#)
        .await;
    assert_eq!(asker.heard(), ["ringing with 13800000002/b over: Declined(Unwilling)"]);
}

#[tokio::test(start_paused = true)]
async fn nobody_answers_in_time_and_all_hear_of_it() {
    let (mut stage, mut asker) = ringing().await;
    advance(Duration::from_secs(60)).await;
    stage.hear().await;
    let timed_out = r#"
        13800000002/b@device < {"type":"called_failed","from_phone":"13800000009","from_device_id":"office","message":"timeout"}
    "#;
    stage.play(&[timed_out, CARL_IS_CANCELLED].concat()).await;
    assert_eq!(asker.heard(), ["ringing with 13800000002/b over: TimedOut"]);
}

#[tokio::test(start_paused = true)]
async fn the_caller_s_side_goes_away_while_it_rings_and_after_an_answer() {
    let (mut stage, asker) = ringing().await;
    drop(asker);
    stage.hear().await;
    stage.play(&[BEN_IS_CANCELLED, CARL_IS_CANCELLED].concat()).await;

    let (mut stage, asker) = ringing().await;
    stage.play(&[CARL_ACCEPTS, BEN_IS_CANCELLED].concat()).await;
    drop(asker);
    stage.hear().await;
    stage.play(CARL_IS_CANCELLED).await;
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_does_not_read_is_dismissed_and_their_call_ends() {
    let (mut stage, mut asker) = ringing().await;
    // Ben's device answers the office's calls again and again; the office reads nothing.
    let mut refused = None;
    for _ in 0..2_000 {
        if let Err(refusal) = asker.call(the_two()).await {
            refused = Some(refusal);
            break;
        }
        stage.hear().await;
        stage.heard("carl@ws");
        stage.heard("13800000002/b@device");
        let declines =
            r#"{"type":"called_refuse","from_phone":"13800000009","from_device_id":"office","room_id":"room 9"}"#;
        stage.sends_text("13800000002/b@device", declines).await;
    }
    assert_eq!(refused, Some(Refusal::SessionEnded));
    stage.hear().await;
    let last = stage.heard("carl@ws").pop().expect("it rang");
    assert_eq!(last["resSign"], "cancel");
    assert!(asker.heard().len() <= 1_024);
    let again = Asker::new(&stage).await;
    assert_eq!(again.call(the_two()).await, Ok(()), "nobody is kept busy");
}

#[tokio::test(start_paused = true)]
async fn callees_who_are_busy_or_not_there_are_left_out_and_the_call_rings_at_one_who_opens_their_page_in_time() {
    let (mut stage, _first) = ringing().await;
    let mut asker = Asker::under(&stage, Address::Name("desk".into())).await;
    assert_eq!(asker.call(the_two()).await, Err(Refusal::Busy));
    let nobody = vec![Address::Name("dora".into()), device("13800000003", "c")];
    assert_eq!(asker.call(nobody).await, Err(Refusal::NotReachable));
    let some = [vec![Address::Name("dora".into())], the_two()].concat();

    let phone = Asker::under(&stage, Address::Name("dora".into())).await;
    let targets = vec![PushTarget::from("dora's phone")];
    phone.session.request(Command::Push(targets)).await.unwrap();
    drop(phone);
    stage.hear().await;
    assert_eq!(asker.call(some).await, Ok(()));
    assert_eq!(
        asker.heard(),
        ["without 13800000002/b: Declined(Busy)", "without carl: Declined(Busy)"]
    );
    stage
        .play(
            r#"
            dora@ws > {"cmd":1,"msgtype":1,"sender":"dora"}
            carl@ws < {"cmd":3,"sender":"dora","timeStamp":"*"}
            dora@ws < {"cmd":3,"sender":"dora","timeStamp":"*"}
            dora@ws < {"cmd":5,"msgtype":4,"groupId":"video","sender":"desk","receiver":"dora","reqType":"group","vagroupId":"room 9","content":[18,5,118,105,100,101,111],"timeStamp":"*"}
            dora@ws > {"cmd":5,"msgtype":4,"groupId":"video","sender":"dora","receiver":"desk","vagroupId":"room 9","resSign":"agree"}
            "#,
        )
        .await;
    assert_eq!(asker.heard(), ["dora accepts for room 9"]);
}

#[tokio::test(start_paused = true)]
async fn a_message_to_the_caller_that_answers_no_call_is_a_message_like_any_other() {
    let (mut stage, _asker) = ringing().await;
    stage
        .play(
            r#"
            office@ws > {"cmd":1,"msgtype":1,"sender":"13800000009/office"}
            carl@ws < {"cmd":3,"sender":"13800000009/office","timeStamp":"*"}
            office@ws < {"cmd":3,"sender":"13800000009/office","timeStamp":"*"}
            carl@ws > {"cmd":5,"msgtype":4,"sender":"carl","receiver":"13800000009/office"}
            office@ws < {"cmd":5,"msgtype":4,"sender":"carl","receiver":"13800000009/office","timeStamp":"*"}
            carl@ws > {"cmd":5,"msgtype":4,"groupId":"video","sender":"carl","receiver":"13800000009/office","vagroupId":"another room","resSign":"agree"}
            office@ws < {"cmd":5,"msgtype":4,"groupId":"video","sender":"carl","receiver":"13800000009/office","vagroupId":"another room","resSign":"agree","timeStamp":"*"}
            "#,
        )
        .await;
}
