//! Calls between devices: every message in both directions, every refusal and error.

use serde_json::{Value, json};
use tokio::time::{Duration, advance};

use super::Stage;

/// The transcript in which Anna calls, and Ben's device rings. `13800000001/a@device` is a client that has come with a token of
/// that device.
const RINGING: &str = r#"
    13800000001/a@device + 
    13800000002/b@device +
    13800000001/a@device > {"type":"call","to_phone":"13800000002","to_device_id":"b"}
    13800000002/b@device < {"type":"called","from_phone":"13800000001","from_device_id":"a","room_id":"room 1"}
"#;

const TALKING: &str = r#"
    13800000002/b@device > {"type":"called_success","from_phone":"13800000001","from_device_id":"a","room_id":"room 1"}
    13800000001/a@device < {"type":"call_success","to_phone":"13800000002","to_device_id":"b","room_id":"room 1"}
"#;

async fn ringing() -> Stage {
    let mut stage = Stage::new();
    stage.play(RINGING).await;
    stage
}

async fn talking() -> Stage {
    let mut stage = ringing().await;
    stage.play(TALKING).await;
    stage
}

#[tokio::test(start_paused = true)]
async fn a_call_is_accepted_and_hung_up_by_either_side() {
    for (by, other) in [("13800000001/a", "13800000002/b"), ("13800000002/b", "13800000001/a")] {
        let ((phone, id), (to_phone, to_id)) = (by.split_once('/').unwrap(), other.split_once('/').unwrap());
        talking()
            .await
            .play(&format!(
                r#"
                {by}@device > {{"type":"calling_hangup","notified_phone":"{to_phone}","notified_device_id":"{to_id}","room_id":"room 1"}}
                {other}@device < {{"type":"calling_be_hangup","fire_phone":"{phone}","fire_device_id":"{id}","room_id":"room 1"}}
                {other}@device > {{"type":"calling_hangup","notified_phone":"{phone}","notified_device_id":"{id}","room_id":"room 1"}}
                "#
            ))
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_is_refused() {
    ringing()
        .await
        .play(
            r#"
            13800000002/b@device > {"type":"called_refuse","from_phone":"13800000001","from_device_id":"a","room_id":"room 1"}
            13800000001/a@device < {"type":"call_refuse","to_phone":"13800000002","to_device_id":"b","room_id":"room 1"}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_nobody_answers_ends_after_a_minute() {
    let mut stage = ringing().await;
    advance(Duration::from_secs(59)).await;
    stage.hear().await;
    stage.play("").await;
    advance(Duration::from_secs(2)).await;
    stage.hear().await;
    stage
        .play(
            r#"
            13800000001/a@device < {"type":"call_failed","to_phone":"13800000002","to_device_id":"b","message":"timeout"}
            13800000002/b@device < {"type":"called_failed","from_phone":"13800000001","from_device_id":"a","message":"timeout"}
            13800000002/b@device > {"type":"called_success","from_phone":"13800000001","from_device_id":"a","room_id":"room 1"}
            13800000002/b@device < {"type":"called_failed","from_phone":"13800000001","from_device_id":"a","message":"the call does not ring"}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_gives_up_stops_the_ringing() {
    ringing()
        .await
        .play(
            r#"
            13800000001/a@device > {"type":"calling_hangup","notified_phone":"13800000002","notified_device_id":"b","room_id":""}
            13800000002/b@device < {"type":"calling_be_hangup","fire_phone":"13800000001","fire_device_id":"a","room_id":"room 1"}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_side_that_is_lost_for_some_seconds_has_hung_up() {
    let mut stage = talking().await;
    stage.play("13800000002/b@device -").await;
    advance(Duration::from_secs(4)).await;
    stage.hear().await;
    stage.play("").await;
    advance(Duration::from_secs(2)).await;
    stage.hear().await;
    stage
        .play(
            r#"
            13800000001/a@device < {"type":"calling_be_hangup","fire_phone":"13800000002","fire_device_id":"b","room_id":"room 1"}
            13800000001/a@device > {"type":"call","to_phone":"13800000002","to_device_id":"b"}
            13800000001/a@device < {"type":"call_failed","to_phone":"13800000002","to_device_id":"b","message":"to_phone is not online"}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_side_that_is_lost_while_it_rings_is_announced_to_the_other() {
    let mut stage = ringing().await;
    stage.play("13800000001/a@device -").await;
    advance(Duration::from_secs(6)).await;
    stage.hear().await;
    stage
        .play(r#"13800000002/b@device < {"type":"called_failed","from_phone":"13800000001","from_device_id":"a"}"#)
        .await;
    let mut stage = ringing().await;
    stage.play("13800000002/b@device -").await;
    advance(Duration::from_secs(6)).await;
    stage.hear().await;
    stage
        .play(r#"13800000001/a@device < {"type":"call_failed","to_phone":"13800000002","to_device_id":"b","message":"to_phone is not online"}"#)
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_call_goes_on_with_a_newer_connection_which_hangs_up_under_any_room() {
    talking()
        .await
        .play(
            r#"
            13800000001/a@device/again +
            13800000001/a@device x 4001
            13800000001/a@device/again > {"type":"calling_hangup","notified_phone":"13800000002","notified_device_id":"b","room_id":"of another time"}
            13800000002/b@device < {"type":"calling_be_hangup","fire_phone":"13800000001","fire_device_id":"a","room_id":"room 1"}
            "#,
        )
        .await;
}

/// The transcript in which first the page of the person who accepted enters, then the caller's.
const BOTH_MEET: &str = r#"
    bens_page@direct > {"type":"join","room":"room 1","userId":2}
    bens_page@direct < {"type":"existingParticipants","participants":[]}
    annas_page@direct > {"id":"joinRoom","room":"room 1","name":"1"}
    bens_page@direct < {"type":"newParticipantArrived","participant":{"id":1,"userId":1,"name":"1","prefix":"","postfix":"","suffix":""}}
    annas_page@direct < {"id":"existingParticipants","data":["2"]}
"#;

#[tokio::test(start_paused = true)]
async fn a_call_ends_when_its_room_has_been_empty_for_some_seconds() {
    let mut stage = talking().await;
    stage.play(BOTH_MEET).await;
    stage
        .play(
            r#"
            annas_page@direct -
            bens_page@direct < {"type":"participantLeft","userId":1}
            "#,
        )
        .await;
    advance(Duration::from_secs(60)).await;
    stage.hear().await;
    stage.play("bens_page@direct -").await;
    advance(Duration::from_secs(14)).await;
    stage.hear().await;
    stage
        .play(
            r#"
            13800000003/c@device > {"type":"call","to_phone":"13800000002","to_device_id":"b"}
            13800000003/c@device < {"type":"call_failed","to_phone":"13800000002","to_device_id":"b","message":"to_phone is busy"}
            "#,
        )
        .await;
    advance(Duration::from_secs(2)).await;
    stage.hear().await;
    stage
        .play(
            r#"
            13800000001/a@device < {"type":"calling_be_hangup","fire_phone":"13800000002","fire_device_id":"b","room_id":"room 1"}
            13800000002/b@device < {"type":"calling_be_hangup","fire_phone":"13800000001","fire_device_id":"a","room_id":"room 1"}
            13800000003/c@device > {"type":"call","to_phone":"13800000002","to_device_id":"b"}
            13800000002/b@device < {"type":"called","from_phone":"13800000003","from_device_id":"c","room_id":"room 1"}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_names_another_room_answers_nothing() {
    let mut stage = ringing().await;
    for room in [r#""of an older call""#, "7", "[]"] {
        for kind in ["called_success", "called_refuse"] {
            stage
                .play(&format!(
                    r#"
                    13800000002/b@device > {{"type":"{kind}","from_phone":"13800000001","from_device_id":"a","room_id":{room}}}
                    13800000002/b@device < {{"type":"called_failed","from_phone":"13800000001","from_device_id":"a","message":"the call does not ring"}}
                    "#
                ))
                .await;
        }
    }
    stage.play(TALKING).await;
    for room in [r#","room_id":"""#, r#","room_id":null"#, ""] {
        ringing()
            .await
            .play(&format!(
                r#"
                13800000002/b@device > {{"type":"called_success","from_phone":"13800000001","from_device_id":"a"{room}}}
                13800000001/a@device < {{"type":"call_success","to_phone":"13800000002","to_device_id":"b","room_id":"room 1"}}
                "#
            ))
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_that_was_started_anew_calls_somebody_else() {
    talking()
        .await
        .play(
            r#"
            13800000003/c@device +
            13800000001/a@device > {"type":"call","to_phone":"13800000003","to_device_id":"c"}
            13800000002/b@device < {"type":"calling_be_hangup","fire_phone":"13800000001","fire_device_id":"a","room_id":"room 1"}
            13800000003/c@device < {"type":"called","from_phone":"13800000001","from_device_id":"a","room_id":"*"}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_device_that_is_in_a_call_or_rings_is_busy() {
    for stage in [ringing().await, talking().await] {
        let mut stage = stage;
        stage
            .play(
                r#"
                13800000003/c@device > {"type":"call","to_phone":"13800000002","to_device_id":"b"}
                13800000003/c@device < {"type":"call_failed","to_phone":"13800000002","to_device_id":"b","message":"to_phone is busy"}
                "#,
            )
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_cannot_be_understood_is_answered_with_that_reason() {
    let mut stage = Stage::new();
    stage
        .play(
            r#"
            1/a@device > {"type":"call"}
            1/a@device < {"type":"call_failed","message":"to_phone is failed to parse"}
            1/a@device > {"type":"call","to_phone":7.5,"to_device_id":"b"}
            1/a@device < {"type":"call_failed","message":"to_phone is failed to parse"}
            1/a@device > {"type":"call","to_phone":7,"to_device_id":"b"}
            1/a@device < {"type":"call_failed","to_phone":"7","to_device_id":"b","message":"to_phone is not online"}
            1/a@device > {"type":"call","to_phone":"2"}
            1/a@device < {"type":"call_failed","message":"to_device_id is failed to parse"}
            1/a@device > {"type":"call","to_phone":"2","to_device_id":""}
            1/a@device < {"type":"call_failed","to_phone":"2","to_device_id":"","message":"to_phone is not online"}
            1/a@device > {"type":"called_success","from_phone":"2"}
            1/a@device < {"type":"called_failed","message":"from_device_id is failed to parse"}
            1/a@device > {"type":"called_refuse"}
            1/a@device < {"type":"called_failed","message":"from_phone is failed to parse"}
            1/a@device > {"type":"calling_hangup","notified_device_id":"b"}
            1/a@device < {"type":"calling_hungup_error","message":"notified_phone is failed to parse"}
            1/a@device > {"type":"calling_hangup","notified_phone":"2","notified_device_id":null}
            1/a@device < {"type":"calling_hungup_error","message":"notified_device_id is failed to parse"}
            1/a@device > {"type":
            1/a@device < {"type":"json_data_invalid","message":"the requested data is invalid"}
            1/a@device > {"to_phone":"2"}
            1/a@device < {"type":"json_data_invalid","message":"the requested data is invalid"}
            1/a@device > []
            1/a@device < {"type":"json_data_invalid","message":"the requested data is invalid"}
            1/a@device > {"type":"dance"}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn nobody_calls_himself_or_meddles_with_the_calls_of_others() {
    talking()
        .await
        .play(
            r#"
            13800000001/a@device > {"type":"called_success","from_phone":"13800000002","from_device_id":"b","room_id":"room 1"}
            13800000001/a@device < {"type":"called_failed","from_phone":"13800000002","from_device_id":"b","message":"the call does not ring"}
            eve/e@device > {"type":"call","to_phone":"eve","to_device_id":"e"}
            eve/e@device < {"type":"call_failed","to_phone":"eve","to_device_id":"e","message":"nobody can call his own address"}
            eve/e@device > {"type":"calling_hangup","notified_phone":"13800000002","notified_device_id":"b","room_id":"room 1"}
            eve/e@device > {"type":"calling_hangup","notified_phone":"13800000001","notified_device_id":"a","room_id":"room 1","fire_phone":"13800000002"}
            eve/e@device > {"type":"called_refuse","from_phone":"13800000001","from_device_id":"a","room_id":"room 1"}
            eve/e@device < {"type":"called_failed","from_phone":"13800000001","from_device_id":"a","message":"the call does not ring"}
            13800000001/a@device > {"type":"calling_hangup","notified_phone":"13800000002","notified_device_id":"b","room_id":"room 1"}
            13800000002/b@device < {"type":"calling_be_hangup","fire_phone":"13800000001","fire_device_id":"a","room_id":"room 1"}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn several_messages_in_one_frame_are_served_one_after_the_other() {
    let mut stage = Stage::new();
    stage
        .sends_text(
            "1/a@device",
            "{\"type\":\"call\"}\n\n{\"type\":\"calling_hangup\"}\r\nnonsense\n",
        )
        .await;
    let kinds: Vec<_> = stage
        .heard("1/a@device")
        .iter()
        .map(|frame| frame["type"].clone())
        .collect();
    assert_eq!(kinds, ["call_failed", "calling_hungup_error", "json_data_invalid"]);
    stage.sends_text("1/a@device", &"{}\n".repeat(20_000)).await;
    assert_eq!(stage.heard("1/a@device").len(), 64, "and no more of what is one frame");
}

#[tokio::test(start_paused = true)]
async fn a_frame_is_a_stream_of_messages_however_they_are_laid_out() {
    let call = json!({ "type": "call", "to_phone": "2", "to_device_id": "b" });
    let hang_up = json!({ "type": "calling_hangup", "notified_phone": "2", "room_id": "a\nb" });
    let indented = |message: &Value| serde_json::to_string_pretty(message).unwrap();
    for (text, answers) in [
        (indented(&call), vec!["call_failed"]),
        (indented(&call).replace('\n', "\r\n"), vec!["call_failed"]),
        (
            format!("{}\n{}", indented(&call), indented(&hang_up)),
            vec!["call_failed", "calling_hungup_error"],
        ),
        (format!("{call}{hang_up}"), vec!["call_failed", "calling_hungup_error"]),
        (
            format!("{call}\nnonsense\n\nand more\n{hang_up}"),
            vec!["call_failed", "json_data_invalid", "calling_hungup_error"],
        ),
        // A message that is cut off: it counts as one message, however many lines it has.
        (indented(&call).replace('}', ""), vec!["json_data_invalid"]),
        (String::new(), vec![]),
    ] {
        let mut stage = Stage::new();
        stage.sends_text("1/a@device", &text).await;
        let kinds: Vec<_> = stage
            .heard("1/a@device")
            .iter()
            .map(|frame| frame["type"].clone())
            .collect();
        assert_eq!(kinds, answers, "{text}");
    }
}
