//! Names with a token and without: who is believed, who is refused, and how a client is sent the refusal.

use patchbay::config::Config;

use super::{House, Stage};

/// A server that requires a token for every name.
fn strict() -> Stage {
    let mut config = Config::default();
    config.auth.required = true;
    Stage::with(House::default(), config)
}

#[tokio::test(start_paused = true)]
async fn where_a_token_is_asked_for_only_its_owner_gets_the_name() {
    let mut stage = strict();
    stage
        .play(
            r#"
            a > {"type":"join","room":7,"userId":1,"token":"@token 1"}
            a < {"type":"existingParticipants","participants":[]}
            b > {"id":"joinRoom","room":"7","name":"ben","token":"@token ben"}
            a < {"type":"newParticipantArrived","participant":{"id":"ben","userId":"ben","name":"ben","prefix":"","postfix":"","suffix":""}}
            b < {"id":"existingParticipants","data":["1"]}
            c@call > {"id":"register","name":"carl","token":"@token carl"}
            c@call < {"id":"registerResponse","response":"accepted","userId":"carl"}
            d@ws > {"cmd":1,"msgtype":1,"sender":"dora","token":"@token dora"}
            d@ws < {"cmd":3,"sender":"dora","timeStamp":"*"}
            e@direct > {"type":"join","room":7,"userId":1,"token":"@token 1"}
            e@direct < {"type":"existingParticipants","participants":[]}
            f@ws > {"cmd":5,"msgtype":1,"sender":"fay","token":"@token fay","receiver":"dora"}
            d@ws < {"cmd":3,"sender":"fay","timeStamp":"*"}
            f@ws < {"cmd":3,"sender":"fay","timeStamp":"*"}
            d@ws < {"cmd":5,"msgtype":1,"sender":"fay","receiver":"dora","timeStamp":"*"}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn without_a_token_that_proves_the_name_each_family_refuses_in_its_own_way() {
    for (token, close, sentence) in [
        ("", 4401, "this server asks for a token: the one that was issued to you"),
        (
            "@token 1 expired",
            4403,
            "the token is not valid any more, or was never: ask for a new one",
        ),
        (
            "@token 1 foreign",
            4403,
            "the token is not valid any more, or was never: ask for a new one",
        ),
        ("@token 2", 4403, "the token was issued to somebody else"),
    ] {
        let transcript = r#"
            a > {"type":"join","room":7,"userId":1,"pw":"x","token":"TOKEN"}
            a < {"type":"permisionDeny","userId":1,"roomId":7}
            a x CLOSE
            b > {"id":"joinRoom","room":"7","name":"1","token":"TOKEN"}
            b x CLOSE
            c@call > {"id":"register","name":"1","token":"TOKEN"}
            c@call < {"id":"registerResponse","response":"rejected","message":"SENTENCE"}
            c@call > {"id":"call","from":"1","to":"2","sdpOffer":"v=0"}
            c@call < {"id":"callResponse","response":"rejected","message":"register first"}
            d@ws > {"cmd":1,"msgtype":1,"sender":"1","token":"TOKEN"}
            d@ws x CLOSE
            e@ws > {"cmd":5,"msgtype":1,"sender":"1","receiver":"2","token":"TOKEN"}
            e@ws x CLOSE
            f@direct > {"type":"join","room":7,"userId":1,"token":"TOKEN"}
            f@direct < {"type":"permisionDeny","userId":1,"roomId":7}
            f@direct x CLOSE
            g@direct > {"id":"joinRoom","room":7,"name":1,"token":"TOKEN"}
            g@direct x CLOSE
        "#;
        let transcript = transcript
            .replace("TOKEN", token)
            .replace("CLOSE", &close.to_string())
            .replace("SENTENCE", sentence);
        strict().play(&transcript).await;
        // A token that proves nothing is refused where none is required, too. On /ws this holds only for a token of this
        // server, because some apps send a token of theirs in that field.
        if !token.is_empty() {
            let is_checked = |line: &&str| !(token.ends_with("foreign") && line.contains("@ws "));
            let lines: Vec<&str> = transcript.lines().filter(is_checked).collect();
            Stage::new().play(&lines.join("\n")).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn other_texts_in_the_token_field_of_the_message_socket_are_no_tokens() {
    let mut stage = Stage::new();
    stage
        .play(
            r#"
            a@ws > {"cmd":1,"msgtype":1,"sender":"1","token":"1"}
            a@ws < {"cmd":3,"sender":"1","timeStamp":"*"}
            b@ws > {"cmd":1,"msgtype":1,"sender":"2","token":"a session of some app"}
            a@ws < {"cmd":3,"sender":"2","timeStamp":"*"}
            b@ws < {"cmd":3,"sender":"2","timeStamp":"*"}
            "#,
        )
        .await;
    strict()
        .play("a@ws > {\"cmd\":1,\"msgtype\":1,\"sender\":\"1\",\"token\":\"1\"}\n a@ws x 4401")
        .await;
}

/// An app of another server sends a JSON Web Token in field 11, too: it has another secret, and mostly another shape.
#[tokio::test(start_paused = true)]
async fn a_token_of_another_server_on_the_message_socket_does_no_harm_and_proves_nothing() {
    for foreign in [
        "@token 1 foreign",
        "eyJhbGciOiJIUzI1NiJ9.eyJ1aWQiOjF9.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    ] {
        let transcript = r#"
            a@ws > {"cmd":1,"msgtype":1,"sender":"1","token":"FOREIGN"}
            a@ws < {"cmd":3,"sender":"1","timeStamp":"*"}
            b@ws > {"cmd":5,"msgtype":1,"sender":"2","receiver":"1","token":"FOREIGN"}
            a@ws < {"cmd":3,"sender":"2","timeStamp":"*"}
            b@ws < {"cmd":3,"sender":"2","timeStamp":"*"}
            a@ws < {"cmd":5,"msgtype":1,"sender":"2","receiver":"1","timeStamp":"*"}
        "#;
        Stage::new().play(&transcript.replace("FOREIGN", foreign)).await;
        let transcript = "a@ws > {\"cmd\":1,\"msgtype\":1,\"sender\":\"1\",\"token\":\"FOREIGN\"}\n a@ws x 4403";
        strict().play(&transcript.replace("FOREIGN", foreign)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn where_none_is_asked_for_a_token_keeps_its_owner_from_being_replaced() {
    let mut stage = Stage::new();
    stage
        .play(
            r#"
            old > {"type":"join","room":7,"userId":1}
            old < {"type":"existingParticipants","participants":[]}
            anna > {"type":"join","room":7,"userId":1,"token":"@token 1"}
            old x 4001
            anna < {"type":"existingParticipants","participants":[]}
            eve > {"type":"join","room":7,"userId":1}
            eve < {"type":"permisionDeny","userId":1,"roomId":7}
            eve x 4409
            eva > {"id":"joinRoom","room":"7","name":"1"}
            eva x 4409
            anna@call > {"id":"register","name":"1","token":"@token 1"}
            anna@call < {"id":"registerResponse","response":"accepted","userId":"1"}
            eve@call > {"id":"register","name":"1"}
            eve@call < {"id":"registerResponse","response":"rejected: user '1' already registered","message":"the name is held by somebody who has proven that it is theirs"}
            phone@call > {"id":"register","name":"1","token":"@token 1"}
            anna@call x 4001
            phone@call < {"id":"registerResponse","response":"accepted","userId":"1"}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn one_more_session_under_a_name_is_announced_to_the_older_ones_and_silences_none() {
    let mut stage = Stage::new();
    stage
        .play(
            r#"
            anna@ws > {"cmd":1,"msgtype":1,"sender":"1"}
            anna@ws < {"cmd":3,"sender":"1","timeStamp":"2026-01-02 03:04:05"}
            ben@ws > {"cmd":1,"msgtype":1,"sender":"2"}
            anna@ws < {"cmd":3,"sender":"2","timeStamp":"2026-01-02 03:04:05"}
            ben@ws < {"cmd":3,"sender":"2","timeStamp":"2026-01-02 03:04:05"}
            eve@ws > {"cmd":1,"msgtype":1,"sender":"1"}
            anna@ws < {"cmd":3,"msgtype":3,"sender":"1","timeStamp":"2026-01-02 03:04:05"}
            ben@ws > {"cmd":5,"msgtype":1,"receiver":"1"}
            anna@ws < {"cmd":5,"msgtype":1,"sender":"2","receiver":"1","timeStamp":"2026-01-02 03:04:05"}
            eve@ws < {"cmd":5,"msgtype":1,"sender":"2","receiver":"1","timeStamp":"2026-01-02 03:04:05"}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn sixteen_strangers_do_not_lock_out_somebody_with_a_token() {
    let mut stage = Stage::new();
    let mut strangers = String::new();
    for number in 0..16 {
        strangers += &format!("eve{number}@ws > {{\"cmd\":1,\"msgtype\":1,\"sender\":\"1\"}}\n");
        let token = if number == 0 {
            r#"{"cmd":3,"sender":"1","timeStamp":"*"}"#
        } else {
            r#"{"cmd":3,"msgtype":3,"sender":"1","timeStamp":"*"}"#
        };
        for older in 0..number.max(1) {
            strangers += &format!("eve{older}@ws < {token}\n");
        }
    }
    stage.play(&strangers).await;
    let mut owner = String::from(
        r#"
        late@ws > {"cmd":1,"msgtype":1,"sender":"1"}
        late@ws < {"cmd":6}
        anna@ws > {"cmd":1,"msgtype":1,"sender":"1","token":"@token 1"}
        eve0@ws x 4001
        "#,
    );
    for older in 1..16 {
        owner += &format!("eve{older}@ws < {{\"cmd\":3,\"msgtype\":3,\"sender\":\"1\",\"timeStamp\":\"*\"}}\n");
    }
    stage.play(&owner).await;
    let mut own_message = String::from("anna@ws > {\"cmd\":5,\"msgtype\":1}\n");
    let everywhere = (1..16).map(|older| format!("eve{older}")).chain(["anna".to_owned()]);
    for who in everywhere {
        own_message += &format!("{who}@ws < {{\"cmd\":5,\"msgtype\":1,\"sender\":\"1\",\"timeStamp\":\"*\"}}\n");
    }
    stage.play(&own_message).await;
}

#[tokio::test(start_paused = true)]
async fn where_a_token_is_asked_for_the_two_of_a_device_call_meet_without_one() {
    let mut stage = strict();
    stage
        .play(
            r#"
            13800000001/a@device +
            13800000002/b@device +
            early@direct > {"type":"join","room":"room 1","userId":1}
            early@direct < {"type":"permisionDeny","userId":1,"roomId":"room 1"}
            early@direct x 4401
            13800000001/a@device > {"type":"call","to_phone":"13800000002","to_device_id":"b"}
            13800000002/b@device < {"type":"called","from_phone":"13800000001","from_device_id":"a","room_id":"room 1"}
            13800000002/b@device > {"type":"called_success","from_phone":"13800000001","from_device_id":"a","room_id":"room 1"}
            13800000001/a@device < {"type":"call_success","to_phone":"13800000002","to_device_id":"b","room_id":"room 1"}
            b@direct > {"type":"join","room":"room 1","userId":2}
            b@direct < {"type":"existingParticipants","participants":[]}
            eve@direct > {"type":"join","room":"room 2","userId":3}
            eve@direct < {"type":"permisionDeny","userId":3,"roomId":"room 2"}
            eve@direct x 4401
            "#,
        )
        .await;
}
