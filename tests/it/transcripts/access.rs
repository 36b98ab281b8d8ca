//! Access tokens: who is let into a channel by one, what they may publish, and when they have to leave.
//!
//! In a transcript these words may follow `@access ROOM USER`: `expired`, `later` (a minute later than the others), `forged` (signed with
//! another certificate), `foreign` (another app's), `truncated`, `short` (less is left than the name of the app), `audio` (sound alone
//! may be published), `nothing` (neither sound nor pictures).

use std::time::Duration;

use patchbay::auth::access_token::{App, Message};
use patchbay::config::Config;

use super::{House, NOW_S, Stage};

const ID: &str = "970CA35de60c44645bbae8a215061b33";
const OTHER_ID: &str = "303156d224e44881a00af9cabc9e10d8";
const CERTIFICATE: &str = "5CFd2fd1755d40ecb72977518be15d3b";
const OTHER_CERTIFICATE: &str = "5CFd2fd1755d40ecb72977518be15d3c";

/// The app of this server.
pub fn app() -> App {
    App::new(ID, CERTIFICATE).unwrap()
}

/// Puts access tokens in the place of their placeholders.
pub fn fill_in(message: &str) -> String {
    let Some((before, rest)) = message.split_once("\"@access ") else {
        return message.to_owned();
    };
    let (placeholder, after) = rest.split_once('"').expect("the placeholder ends");
    format!("{before}\"{}\"{after}", token(placeholder))
}

/// The token for the words behind `@access`.
fn token(words: &str) -> String {
    let words: Vec<&str> = words.split(' ').collect();
    let [room, user, ref kind @ ..] = words[..] else {
        panic!("a room and a user: {words:?}");
    };
    let kind = kind.first().copied().unwrap_or_default();
    let signer = match kind {
        "forged" => App::new(ID, OTHER_CERTIFICATE).unwrap(),
        "foreign" => App::new(OTHER_ID, CERTIFICATE).unwrap(),
        _ => app(),
    };
    let privileges: &[u16] = match kind {
        "audio" => &[1, 2],
        "nothing" => &[1, 4],
        _ => &[1],
    };
    let expires_s = NOW_S as u32
        + match kind {
            "expired" => 0,
            "later" => 120,
            _ => 60,
        };
    let message = Message {
        salt: 1,
        expires_s,
        privileges: privileges.iter().map(|privilege| (*privilege, 0)).collect(),
    };
    let token = signer.sign(room, user, &message);
    match kind {
        "truncated" => token[..token.len() - 4].to_owned(),
        "short" => token[..20].to_owned(),
        _ => token,
    }
}

/// One of each kind of access token that does not let user 1 into room `ch_1`.
const BAD: [&str; 7] = [
    "@access ch_1 1 truncated",
    "@access ch_1 1 short",
    "@access ch_1 1 forged",
    "@access ch_2 1",
    "@access ch_1 2",
    "@access ch_1 1 expired",
    "@access ch_1 1 foreign",
];

fn strict() -> Stage {
    let mut config = Config::default();
    config.auth.required = true;
    // The app's users are in no table here, and nobody has a password for its channels.
    let house = House::default()
        .with_user("1", "Anna", "Dr.", "")
        .with_room("ch_1", "secret");
    Stage::with(house, config)
}

#[tokio::test(start_paused = true)]
async fn the_holder_of_an_access_token_enters_its_channel_in_both_families() {
    let mut stage = strict();
    stage
        .play(
            r#"
            a > {"type":"join","room":"ch_1","userId":1,"token":"@access ch_1 1"}
            a < {"type":"existingParticipants","participants":[]}
            b > {"id":"joinRoom","room":"ch_1","name":"ben","personName":"Ben","token":"@access ch_1 ben"}
            a < {"type":"newParticipantArrived","participant":{"id":"ben","userId":"ben","name":"Ben","prefix":"","postfix":"","suffix":""}}
            b < {"id":"existingParticipants","data":[{"name":"1","personName":"Anna"}]}
            c > {"type":"join","room":"ch_1","userId":3}
            c < {"type":"permisionDeny","userId":3,"roomId":"ch_1"}
            c x 4401
            d > {"id":"joinRoom","room":"ch_1","name":"dora"}
            d x 4401
            a > {"type":"receiveVideoFrom","userId":1,"sdpOffer":"@sendonly 1"}
            media open 1 publish
            a < {"type":"receiveVideoAnswer","userId":1,"sdpAnswer":"*"}
            a < {"type":"iceCandidate","userId":1,"candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0},"candicate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            a < {"type":"iceCandidate","userId":1,"candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0},"candicate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            "#,
        )
        .await;
}

/// Where everybody can have an access token made in any name, it lets them in and says nothing about who they are. Where only an
/// app's back end can, it proves the name.
#[tokio::test(start_paused = true)]
async fn an_access_token_proves_a_name_only_where_not_everybody_can_have_one_made() {
    let proves = r#"
        a > {"id":"joinRoom","room":"ch_1","name":"1","token":"@access ch_1 1"}
        a < {"id":"existingParticipants","data":[]}
        b > {"id":"joinRoom","room":"ch_1","name":"1"}
        b x 4409
    "#;
    let says = r#"
        a > {"id":"joinRoom","room":"ch_1","name":"1","token":"@token 1"}
        a < {"id":"existingParticipants","data":[]}
        b > {"id":"joinRoom","room":"ch_1","name":"1","token":"@access ch_1 1"}
        b x 4409
        c > {"id":"joinRoom","room":"ch_1","name":"2","token":"@access ch_1 2"}
        a < {"id":"newParticipantArrived","name":"2"}
        c < {"id":"existingParticipants","data":["1"]}
        d > {"id":"joinRoom","room":"ch_1","name":"2"}
        c x 4001
        a < {"id":"participantLeft","name":"2"}
        a < {"id":"newParticipantArrived","name":"2"}
        d < {"id":"existingParticipants","data":["1"]}
    "#;
    let key = |config: &mut Config| config.dapi.key = "geheim".to_owned();
    let off = |config: &mut Config| config.dapi.enabled = false;
    for (adjust, transcript) in [
        (None, says),
        (Some(&key as &dyn Fn(&mut Config)), proves),
        (Some(&off), proves),
    ] {
        let mut config = Config::default();
        adjust.into_iter().for_each(|adjust| adjust(&mut config));
        Stage::with(House::default(), config).play(transcript).await;
    }
}

#[tokio::test(start_paused = true)]
async fn each_bad_access_token_is_refused_with_the_same_words() {
    let reason = "the access token is not valid for this room and this name, or not any more: ask for a new one";
    for bad in BAD {
        for server in [Stage::new, strict] {
            let transcript = r#"
                a > {"type":"join","room":"ch_1","userId":1,"token":"TOKEN"}
                a < {"type":"permisionDeny","userId":1,"roomId":"ch_1"}
                a x 4403 REASON
                b > {"id":"joinRoom","room":"ch_1","name":"1","token":"TOKEN"}
                b x 4403 REASON
            "#;
            let transcript = transcript.replace("TOKEN", bad).replace("REASON", reason);
            server().play(&transcript).await;
        }
        let mut stage = strict();
        stage.bring(&token(bad.strip_prefix("@access ").unwrap()));
        let join = "a > {\"id\":\"joinRoom\",\"room\":\"ch_1\",\"name\":\"1\"}";
        stage.play(&format!("{join}\n a x 4403 {reason}")).await;
    }
}

/// A channel is a room with such a name as calls over HTTP give it. A room of two that has this name is another room.
#[tokio::test(start_paused = true)]
async fn a_channel_is_entered_with_an_access_token_and_with_nothing_else() {
    let transcript = r#"
        a > {"id":"joinRoom","room":"ch_4aY875LP4o","name":"1","token":"@access ch_4aY875LP4o 1 nothing"}
        a < {"id":"existingParticipants","data":[]}
        b > {"type":"join","room":"ch_4aY875LP4o","userId":1}
        b < {"type":"permisionDeny","userId":1,"roomId":"ch_4aY875LP4o"}
        b x 4401 REASON
        c > {"id":"joinRoom","room":"ch_4aY875LP4o","name":"1","pw":"secret"}
        c x 4401 REASON
        d > {"id":"joinRoom","room":"ch_4aY875LP4o","name":"1","token":"@token 1"}
        d x 4401 REASON
        a > {"id":"heart"}
        a < {"id":"heart"}
    "#;
    let reason = "this room is a channel of the call API: enter it with an access token";
    let transcript = transcript.replace("REASON", reason);
    Stage::new().play(&transcript).await;
    strict().play(&transcript).await;

    let mut stage = Stage::new();
    let join = r#"
        a > {"id":"joinRoom","room":"ch_4aY875LP4o","name":"1","token":"@access ch_4aY875LP4o 1"}
        a < {"id":"existingParticipants","data":[]}
    "#;
    stage.play(join).await;
    tokio::time::sleep(Duration::from_secs(61)).await;
    stage.hear().await;
    let after = r#"
        a x 4410
        b > {"id":"joinRoom","room":"ch_4aY875LP4o","name":"1","token":"@access ch_4aY875LP4o 1 expired"}
        b x 4403
        c > {"id":"joinRoom","room":"ch_4aY875LP4o","name":"1"}
        c x 4401
        d@direct > {"id":"joinRoom","room":"ch_4aY875LP4o","name":"1"}
        d@direct < {"id":"existingParticipants","data":[]}
    "#;
    stage.change_date(61);
    stage.play(after).await;
    for other in [
        "ch_4aY875LP4",
        "ch_4aY875LP4oo",
        "ch_4aY875LP4_",
        "Ch_4aY875LP4o",
        "4aY875LP4o",
    ] {
        let join = format!("a > {{\"id\":\"joinRoom\",\"room\":\"{other}\",\"name\":\"1\"}}");
        let joined = "a < {\"id\":\"existingParticipants\",\"data\":[]}";
        Stage::new().play(&format!("{join}\n{joined}")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_token_in_the_request_for_the_socket_opens_its_channel_and_the_one_in_the_message_goes_first() {
    let mut stage = strict();
    stage.bring(&token("ch_1 1"));
    stage
        .play(
            r#"
            a > {"id":"joinRoom","room":"ch_1","name":1}
            a < {"id":"existingParticipants","data":[]}
            a > {"id":"joinRoom","room":"ch_2","name":1,"token":"@access ch_2 1"}
            a < {"id":"existingParticipants","data":[]}
            a > {"id":"joinRoom","room":"ch_3","name":1}
            a x 4403
            "#,
        )
        .await;
}

/// Such a token is for a channel of `/groupcall`. Elsewhere one of our app is refused; that of another is ignored where the token
/// of another program may be.
#[tokio::test(start_paused = true)]
async fn an_access_token_proves_nothing_elsewhere_and_is_passed_on_to_nobody() {
    let transcript = r#"
        a@ws > {"cmd":1,"msgtype":1,"sender":"1","token":"TOKEN"}
        a@ws x 4403 REASON
        b@call > {"id":"register","name":"1","token":"TOKEN"}
        b@call < {"id":"registerResponse","response":"rejected","message":"REASON"}
        c@direct > {"id":"joinRoom","room":"ch_1","name":"1","token":"TOKEN"}
        c@direct x 4403 REASON
        d@direct > {"type":"join","room":"ch_1","userId":1,"token":"TOKEN"}
        d@direct < {"type":"permisionDeny","userId":1,"roomId":"ch_1"}
        d@direct x 4403 REASON
    "#;
    let transcript = transcript.replace(
        "REASON",
        "the token is not valid any more, or was never: ask for a new one",
    );
    for token in ["@access ch_1 1"].into_iter().chain(BAD) {
        // On /ws, what does not name an app is no token, and another app's is refused only where one is needed.
        for (server, others) in [
            (strict as fn() -> Stage, &["short"][..]),
            (Stage::new, &["short", "foreign"]),
        ] {
            let is_other = others.iter().any(|kind| token.ends_with(kind));
            let lines = transcript.lines().filter(|line| !(is_other && line.contains("@ws ")));
            let transcript: Vec<String> = lines.map(|line| line.replace("TOKEN", token)).collect();
            server().play(&transcript.join("\n")).await;
        }
    }
    let foreign = r#"
        a@ws > {"cmd":1,"msgtype":1,"sender":"1","token":"@access ch_1 1 foreign"}
        a@ws < {"cmd":3,"sender":"1","timeStamp":"*"}
        b@ws > {"cmd":5,"msgtype":1,"sender":"2","receiver":"1","token":"@access ch_1 2 foreign"}
        a@ws < {"cmd":3,"sender":"2","timeStamp":"*"}
        b@ws < {"cmd":3,"sender":"2","timeStamp":"*"}
        a@ws < {"cmd":5,"msgtype":1,"sender":"2","receiver":"1","timeStamp":"*"}
    "#;
    Stage::new().play(foreign).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_token_does_not_let_somebody_publish_is_not_received() {
    for (kind, purpose) in [("audio", "publish sound"), ("nothing", "neither")] {
        let transcript = r#"
            a > {"id":"joinRoom","room":"ch_1","name":"1","token":"@access ch_1 1 KIND"}
            a < {"id":"existingParticipants","data":[]}
            a > {"id":"receiveVideoFrom","sender":"1","sdpOffer":"@sendonly 1"}
            media open 1 PURPOSE
            a < {"id":"receiveVideoAnswer","name":"1","sdpAnswer":"*"}
            a < {"id":"iceCandidate","name":"1","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            a < {"id":"iceCandidate","name":"1","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
        "#;
        let transcript = transcript.replace("KIND", kind).replace("PURPOSE", purpose);
        Stage::new().play(&transcript).await;
    }
}

#[tokio::test(start_paused = true)]
async fn when_the_token_has_expired_the_stay_is_over_in_both_families() {
    let mut stage = Stage::new();
    stage
        .play(
            r#"
            a > {"type":"join","room":"ch_1","userId":1,"token":"@access ch_1 1"}
            a < {"type":"existingParticipants","participants":[]}
            b > {"id":"joinRoom","room":"ch_1","name":"2","token":"@access ch_1 2"}
            a < {"type":"newParticipantArrived","participant":{"id":2,"userId":2,"name":"2","prefix":"","postfix":"","suffix":""}}
            b < {"id":"existingParticipants","data":["1"]}
            c > {"id":"joinRoom","room":"ch_1","name":"3"}
            a < {"type":"newParticipantArrived","participant":{"id":3,"userId":3,"name":"3","prefix":"","postfix":"","suffix":""}}
            b < {"id":"newParticipantArrived","name":"3"}
            c < {"id":"existingParticipants","data":["1","2"]}
            "#,
        )
        .await;
    tokio::time::sleep(Duration::from_secs(59)).await;
    stage.play("c > {\"id\":\"heart\"}\n c < {\"id\":\"heart\"}").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    stage.hear().await;
    stage
        .play(
            r#"
            a x 4410
            b < {"id":"participantLeft","name":"1"}
            b x 4410
            c < {"id":"participantLeft","name":"1"}
            c < {"id":"participantLeft","name":"2"}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_newer_token_lets_somebody_stay_longer_and_nobody_notices() {
    let mut stage = Stage::new();
    stage
        .play(
            r#"
            a > {"type":"join","room":"ch_1","userId":1,"token":"@access ch_1 1"}
            a < {"type":"existingParticipants","participants":[]}
            b > {"id":"joinRoom","room":"ch_1","name":"2"}
            a < {"type":"newParticipantArrived","participant":{"id":2,"userId":2,"name":"2","prefix":"","postfix":"","suffix":""}}
            b < {"id":"existingParticipants","data":["1"]}
            a > {"type":"join","room":"ch_1","userId":1,"token":"@access ch_1 1 later"}
            "#,
        )
        .await;
    tokio::time::sleep(Duration::from_secs(119)).await;
    stage.play("b > {\"id\":\"heart\"}\n b < {\"id\":\"heart\"}").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    stage.hear().await;
    stage
        .play("a x 4410\n b < {\"id\":\"participantLeft\",\"name\":\"1\"}")
        .await;
}

/// The date says whether a token is valid when somebody comes with it. How long they stay after that is measured.
#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_moves_no_end_that_has_begun_to_run() {
    let join = r#"
        a > {"id":"joinRoom","room":"ch_1","name":"1","token":"@access ch_1 1"}
        a < {"id":"existingParticipants","data":[]}
    "#;
    for by_s in [-86_400, 86_400] {
        let mut stage = Stage::new();
        stage.play(join).await;
        stage.change_date(by_s);
        tokio::time::sleep(Duration::from_secs(59)).await;
        stage.play("a > {\"id\":\"heart\"}\n a < {\"id\":\"heart\"}").await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        stage.hear().await;
        stage.play("a x 4410").await;
    }
    let mut stage = Stage::new();
    stage.change_date(60);
    let late = "a > {\"id\":\"joinRoom\",\"room\":\"ch_1\",\"name\":\"1\",\"token\":\"@access ch_1 1\"}\n a x 4403";
    stage.play(late).await;
    // A server whose clock is a minute behind the one that made the token.
    let mut stage = Stage::new();
    stage.change_date(-60);
    stage.play(join).await;
}
