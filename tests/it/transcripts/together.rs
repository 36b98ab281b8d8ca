//! Both families on one path, and in one room.

use patchbay::config::Config;

use super::{House, Stage};

#[tokio::test(start_paused = true)]
async fn the_first_message_of_a_known_kind_decides_the_family() {
    let mut stage = Stage::new();
    stage
        .play(
            r#"
            anna > {"type":"join","userId":1}
            anna < {"type":"existingParticipants","participants":[]}
            anna > {"id":"heart"}
            anna < {"type":"unrecognizedMessage","message":{"id":"heart"}}
            ben > {"id":"heart","type":"join"}
            ben < {"id":"heart"}
            ben > {"type":"join","userId":2}
            carl > {"type":"join","room":7,"userId":3,"id":"of this page"}
            carl < {"type":"existingParticipants","participants":[]}
            dora > {"id":"joinRoom","name":"dora","room":"8","type":"video"}
            dora < {"id":"existingParticipants","data":[]}
            emil@direct > {"type":"join","room":7,"userId":3,"id":"3"}
            emil@direct < {"type":"existingParticipants","participants":[]}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_first_message_of_no_known_kind_is_answered_as_either_family_reads_it() {
    let mut stage = Stage::new();
    for message in [
        r#"{"room":1,"userId":2}"#,
        r#"{"id":7,"type":8}"#,
        r#"{"id":"dance"}"#,
        r#"{"type":"dance"}"#,
        r#"{"id":"join","type":"joinRoom"}"#,
        "[]",
        "null",
    ] {
        for who in ["anna", "anna@direct"] {
            let answer = format!(r#"{{"id":"unrecognizedMessage","type":"unrecognizedMessage","message":{message}}}"#);
            stage.play(&format!("{who} > {message}\n {who} < {answer}")).await;
        }
    }
    stage
        .play(
            r#"
            anna > not even JSON
            anna < {"id":"unrecognizedMessage","type":"unrecognizedMessage","message":"not even JSON"}
            anna ! ff00
            anna < {"id":"unrecognizedMessage","type":"unrecognizedMessage","message":""}
            anna > {"type":"join","userId":1}
            anna < {"type":"existingParticipants","participants":[]}
            anna ! ff00
            anna < {"type":"unrecognizedMessage","message":""}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_number_is_the_same_name_however_it_is_written_in_every_family() {
    let mut stage = Stage::new();
    stage
        .play(
            r#"
            anna > {"type":"join","room":7.0,"userId":1.0,"personName":3.0}
            anna < {"type":"existingParticipants","participants":[]}
            ben > {"id":"joinRoom","room":7,"name":2.0,"personName":4.0}
            anna < {"type":"newParticipantArrived","participant":{"id":2,"userId":2,"name":"4","prefix":"","postfix":"","suffix":""}}
            ben < {"id":"existingParticipants","data":[{"name":"1","personName":"3"}]}
            anna > {"type":"sendMessage","message":5.0}
            anna < {"type":"reciveTextMessage","userId":1,"message":"5"}
            anna > {"type":"uploadSuccess","fileName":6.0,"fileUrl":"u","fileType":7.0}
            anna < {"type":"fileUploaded","userId":1,"fileName":"6","fileUrl":"u","fileType":"7"}
            ben > {"id":"receiveVideoFrom","sender":1e0,"sdpOffer":"@recvonly 1"}
            media open 1 watch
            ben < {"id":"receiveVideoAnswer","name":"1","sdpAnswer":"*"}
            ben < {"id":"iceCandidate","name":"1","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            ben < {"id":"iceCandidate","name":"1","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            caller@call > {"id":"register","name":8.0}
            caller@call < {"id":"registerResponse","response":"accepted","userId":"8"}
            callee@call > {"id":"register","name":9}
            callee@call < {"id":"registerResponse","response":"accepted","userId":"9"}
            caller@call > {"id":"call","from":8,"to":9.0,"sdpOffer":"@sendrecv 2"}
            callee@call < {"id":"incomingCall","from":"8","to":"9"}
            callee@call > {"id":"incomingCallResponse","from":8.0,"callResponse":"reject"}
            caller@call < {"id":"callResponse","response":"rejected","message":"user declined"}
            13800000001/a@device +
            13800000002/7@device +
            13800000001/a@device > {"type":"call","to_phone":13800000002.0,"to_device_id":7}
            13800000002/7@device < {"type":"called","from_phone":"13800000001","from_device_id":"a","room_id":"room 1"}
            13800000002/7@device > {"type":"called_refuse","from_phone":13800000001,"from_device_id":"a"}
            13800000001/a@device < {"type":"call_refuse","to_phone":"13800000002","to_device_id":"7","room_id":"room 1"}
            "#,
        )
        .await;
    let house = House::default().with_room("7", "1234");
    let mut stage = Stage::with(house, Config::default());
    stage
        .play(
            r#"
            anna > {"type":"join","room":7,"userId":1,"pw":1234.0}
            anna < {"type":"existingParticipants","participants":[]}
            ben > {"id":"joinRoom","room":7.0,"name":"2","pw":1234}
            anna < {"type":"newParticipantArrived","participant":{"id":2,"userId":2,"name":"2","prefix":"","postfix":"","suffix":""}}
            ben < {"id":"existingParticipants","data":["1"]}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn names_of_128_characters_are_taken_and_longer_ones_refused_aloud() {
    let (most, more) = ("名".repeat(128), "名".repeat(129));
    let fill_in = |transcript: &str| transcript.replace("MOST", &most).replace("MORE", &more);
    let mut stage = Stage::new();
    let transcript = fill_in(
        r#"
        anna > {"id":"joinRoom","name":"MOST","room":"MOST","personName":"MOST"}
        anna < {"id":"existingParticipants","data":[]}
        ben > {"type":"join","userId":"MOST","room":"ben's MOST"}
        ben < {"type":"unrecognizedMessage","message":{"type":"join","userId":"MOST","room":"ben's MOST"},"reason":"a name has more than 128 characters"}
        ben > {"type":"join","userId":"MORE"}
        ben < {"type":"unrecognizedMessage","message":{"type":"join","userId":"MORE"},"reason":"a name has more than 128 characters"}
        ben > {"type":"join","userId":2,"personName":"MORE"}
        ben < {"type":"unrecognizedMessage","message":{"type":"join","userId":2,"personName":"MORE"},"reason":"personName has more than 128 characters"}
        ben > {"type":"join","userId":2,"room":"MOST"}
        anna < {"id":"newParticipantArrived","name":"2","personName":"2"}
        ben < {"type":"existingParticipants","participants":[{"id":"MOST","userId":"MOST","name":"MOST","prefix":"","postfix":"","suffix":""}]}
        carl > {"id":"joinRoom","name":"MORE","room":"7"}
        carl x 1008
        dora > {"id":"joinRoom","name":"dora","room":"MORE"}
        dora x 1008
        emil > {"id":"joinRoom","name":"emil","room":"7","personName":"MORE"}
        emil x 1008
        caller@call > {"id":"register","name":"MORE"}
        caller@call < {"id":"registerResponse","response":"rejected","message":"a name has more than 128 characters"}
        caller@call > {"id":"register","name":"MOST"}
        caller@call < {"id":"registerResponse","response":"accepted","userId":"MOST"}
        caller@call > {"id":"call","to":"MORE","sdpOffer":"@sendrecv 1"}
        caller@call < {"id":"callResponse","response":"rejected","message":"a name has more than 128 characters"}
        fay@ws > {"cmd":1,"msgtype":1,"sender":"MORE"}
        fay@ws x 1008
        gil@ws > {"cmd":1,"msgtype":1,"sender":"MOST"}
        gil@ws < {"cmd":3,"sender":"MOST","timeStamp":"*"}
        "#,
    );
    stage.play(&transcript).await;
}

#[tokio::test(start_paused = true)]
async fn people_of_both_families_meet_in_a_room_of_the_same_name() {
    let mut stage = Stage::new();
    stage
        .play(
            r#"
            anna > {"id":"joinRoom","name":"anna","room":"7","personName":"Anna"}
            anna < {"id":"existingParticipants","data":[]}
            ben > {"type":"join","room":7,"userId":2}
            anna < {"id":"newParticipantArrived","name":"2","personName":"2"}
            ben < {"type":"existingParticipants","participants":[{"id":"anna","userId":"anna","name":"Anna","prefix":"","postfix":"","suffix":""}]}
            ben > {"type":"receiveVideoFrom","userId":"anna","sdpOffer":"@recvonly 1"}
            media open 1 watch
            ben < {"type":"receiveVideoAnswer","userId":"anna","sdpAnswer":"*"}
            ben < {"type":"iceCandidate","userId":"anna","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0},"candicate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            ben < {"type":"iceCandidate","userId":"anna","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0},"candicate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            anna > {"id":"receiveVideoFrom","sender":"2","sdpOffer":"@recvonly 2"}
            media open 2 watch
            anna < {"id":"receiveVideoAnswer","name":"2","sdpAnswer":"*"}
            anna < {"id":"iceCandidate","name":"2","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            anna < {"id":"iceCandidate","name":"2","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            ben > {"type":"sendMessage","message":"no one but me hears this"}
            ben < {"type":"reciveTextMessage","userId":2,"message":"no one but me hears this"}
            anna -
            media close 2
            media close 1
            ben < {"type":"participantLeft","userId":"anna"}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_user_who_enters_again_in_the_other_family_replaces_their_first_session() {
    let mut stage = Stage::new();
    stage
        .play(
            r#"
            old > {"id":"joinRoom","name":"1","room":"7"}
            old < {"id":"existingParticipants","data":[]}
            new > {"type":"join","room":7,"userId":1}
            old x 4001
            new < {"type":"existingParticipants","participants":[]}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_room_of_two_is_full_with_two_and_is_no_group_s_room_of_that_name() {
    let house = House::default().with_user("9", "Nina", "", "").with_room("7", "secret");
    let mut stage = Stage::with(house, Config::default());
    stage
        .play(
            r#"
            a@direct > {"type":"join","room":7,"userId":1}
            a@direct < {"type":"existingParticipants","participants":[]}
            b@direct > {"type":"join","room":7,"userId":2}
            a@direct < {"type":"newParticipantArrived","participant":{"id":2,"userId":2,"name":"2","prefix":"","postfix":"","suffix":""}}
            b@direct < {"type":"existingParticipants","participants":[{"id":1,"userId":1,"name":"1","prefix":"","postfix":"","suffix":""}]}
            c@direct > {"type":"join","room":7,"userId":3}
            c@direct < {"type":"permisionDeny","userId":3,"roomId":7}
            c@direct x 1013
            nina > {"type":"join","room":7,"userId":9,"pw":"secret"}
            nina < {"type":"existingParticipants","participants":[]}
            "#,
        )
        .await;
}
