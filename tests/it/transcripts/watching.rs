//! One connection for everybody in a room: the offer that comes with a join, and those after it.

use patchbay::config::Config;
use patchbay::hub::Capacity;

use super::{House, Stage};

/// Plays with answers to publishers filled in: `ANSWER who subject`; and people, as JSON: `PERSON id`.
async fn play(stage: &mut Stage, transcript: &str) {
    let mut whole = String::new();
    for line in transcript.lines().map(str::trim) {
        match line.strip_prefix("ANSWER ").and_then(|rest| rest.split_once(' ')) {
            Some((who, subject)) => {
                let candidate = r#"{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}"#;
                whole += &format!(r#"{who} < {{"type":"receiveVideoAnswer","userId":{subject},"sdpAnswer":"*"}}"#);
                for _ in 0..2 {
                    whole += &format!(
                        "\n{who} < {{\"type\":\"iceCandidate\",\"userId\":{subject},\"candidate\":{candidate},\"candicate\":{candidate}}}"
                    );
                }
            }
            None => whole += line,
        }
        whole += "\n";
    }
    for id in 1..=9 {
        let person = format!(r#"{{"id":{id},"userId":{id},"name":"{id}","prefix":"","postfix":"","suffix":""}}"#);
        whole = whole.replace(&format!("PERSON{id}"), &person);
    }
    stage.play(&whole).await;
}

/// 1 and 2 are in the room, and publish over connections 1 and 2.
async fn two_publish() -> Stage {
    let mut stage = Stage::new();
    play(
        &mut stage,
        r#"
        one > {"type":"join","room":"r","userId":1}
        one < {"type":"existingParticipants","participants":[]}
        one > {"type":"receiveVideoFrom","userId":1,"sdpOffer":"@sendonly 1"}
        media open 1 publish
        ANSWER one 1
        two > {"type":"join","room":"r","userId":2}
        two < {"type":"existingParticipants","participants":[PERSON1]}
        one < {"type":"newParticipantArrived","participant":PERSON2}
        two > {"type":"receiveVideoFrom","userId":2,"sdpOffer":"@sendonly 2"}
        media open 2 publish
        ANSWER two 2
        "#,
    )
    .await;
    stage
}

#[tokio::test(start_paused = true)]
async fn a_join_with_an_offer_is_answered_in_one_message_and_what_follows_the_list_comes_after_it() {
    let mut stage = two_publish().await;
    play(
        &mut stage,
        r#"
        media speaks 2
        media silent 1
        three > {"type":"join","room":"r","userId":3,"notices":true,"features":["watch","sendLayers"],"watchOffer":"@recvonly 3 people=3"}
        media open 3 watch 2 people
        one < {"type":"newParticipantArrived","participant":PERSON3}
        two < {"type":"newParticipantArrived","participant":PERSON3}
        three < {"type":"existingParticipants","participants":[PERSON1,PERSON2],"features":["sendLayers","watch"],"watch":{"userIds":[1,2],"sdpAnswer":"*"}}
        three < {"type":"participantMedia","userId":1,"media":"lost"}
        three < {"type":"speakers","userIds":[2]}
        "#,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_offer_made_ahead_is_for_those_who_have_been_there_longest_and_for_nobody_where_nobody_is() {
    let mut stage = two_publish().await;
    play(
        &mut stage,
        r#"
        three > {"type":"join","room":"r","userId":3,"watchOffer":"@recvonly 3"}
        media open 3 watch
        one < {"type":"newParticipantArrived","participant":PERSON3}
        two < {"type":"newParticipantArrived","participant":PERSON3}
        three < {"type":"existingParticipants","participants":[PERSON1,PERSON2],"watch":{"userIds":[1],"sdpAnswer":"*"}}
        three > {"type":"watch","userIds":[1,2],"sdpOffer":"@recvonly 3 people=2"}
        media again 3 watch 2 people
        three < {"type":"watchAnswer","userIds":[1,2],"sdpAnswer":"*"}
        four > {"type":"join","room":"another","userId":4,"watchOffer":"@recvonly 4 people=2"}
        four < {"type":"existingParticipants","participants":[]}
        "#,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_join_is_done_whatever_becomes_of_its_offer() {
    let mut stage = two_publish().await;
    let long = "x".repeat(64 * 1024 + 1);
    for (user, offer, reason) in [
        (3, r#""v=0""#.to_owned(), "*"),
        (4, format!("\"{long}\""), "watchOffer has more than 65536 bytes"),
        (5, r#""@sendonly 5""#.to_owned(), "the offer has no section that receives"),
        (
            6,
            r#""@recvonly 6 people=500""#.to_owned(),
            "*",
        ),
        (7, r#""@recvonly 7 people=0""#.to_owned(), "*"),
    ] {
        let others: Vec<String> = (1..user).map(|id| format!("PERSON{id}")).collect();
        let arrivals: String = (1..user)
            .map(|id| format!("u{id} < {{\"type\":\"newParticipantArrived\",\"participant\":PERSON{user}}}\n"))
            .collect();
        let arrivals = arrivals.replace("u1 ", "one ").replace("u2 ", "two ");
        let joined = format!(
            "u{user} > {{\"type\":\"join\",\"room\":\"r\",\"userId\":{user},\"watchOffer\":{offer}}}\n{arrivals}\
            u{user} < {{\"type\":\"existingParticipants\",\"participants\":[{}],\"watchRefused\":\"{reason}\"}}",
            others.join(",")
        );
        play(&mut stage, &joined).await;
    }
    // Anything but a text counts as missing.
    play(
        &mut stage,
        r#"
        eight > {"type":"join","room":"another","userId":8,"watchOffer":[7]}
        eight < {"type":"existingParticipants","participants":[]}
        "#,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_offer_that_cannot_be_answered_is_given_back_with_a_reason_and_the_connection_goes_on() {
    let mut stage = two_publish().await;
    play(
        &mut stage,
        r#"
        three > {"type":"watch","userIds":[1],"sdpOffer":"@recvonly 3"}
        three < {"type":"unrecognizedMessage","message":{"type":"watch","userIds":[1],"sdpOffer":"*"},"reason":"the session is not in a room"}
        three > {"type":"join","room":"r","userId":3,"watchOffer":"@recvonly 3 people=2"}
        media open 3 watch 2 people
        one < {"type":"newParticipantArrived","participant":PERSON3}
        two < {"type":"newParticipantArrived","participant":PERSON3}
        three < {"type":"existingParticipants","participants":[PERSON1,PERSON2],"watch":{"userIds":[1,2],"sdpAnswer":"*"}}
        three > {"type":"watch","userIds":[1,9],"sdpOffer":"@recvonly 3 people=2"}
        three < {"type":"unrecognizedMessage","message":{"type":"watch","userIds":[1,9],"sdpOffer":"*"},"reason":"nobody of that name is in the room"}
        three > {"type":"watch","userIds":[3],"sdpOffer":"@recvonly 3 people=2"}
        three < {"type":"unrecognizedMessage","message":{"type":"watch","userIds":[3],"sdpOffer":"*"},"reason":"nobody of that name is in the room"}
        three > {"type":"watch","userIds":[1,2,1],"sdpOffer":"@recvonly 3 people=2"}
        three < {"type":"unrecognizedMessage","message":{"type":"watch","userIds":[1,2,1],"sdpOffer":"*"},"reason":"the offer has receiving sections for 2 people, not for 3"}
        three > {"type":"watch","userIds":[1],"sdpOffer":"@sendonly 3"}
        three < {"type":"unrecognizedMessage","message":{"type":"watch","userIds":[1],"sdpOffer":"*"},"reason":"the offer has receiving sections for 0 people, not for 1"}
        three > {"type":"watch","userIds":[1],"sdpOffer":"@recvonly 3 people=0"}
        three < {"type":"unrecognizedMessage","message":{"type":"watch","userIds":[1],"sdpOffer":"*"},"reason":"*"}
        three > {"type":"watch","userIds":[1],"sdpOffer":"@recvonly 3 people=33"}
        three < {"type":"unrecognizedMessage","message":{"type":"watch","userIds":[1],"sdpOffer":"*"},"reason":"*"}
        three > {"type":"watch","userIds":[1],"sdpOffer":"@recvonly 3 people=500"}
        three < {"type":"unrecognizedMessage","message":{"type":"watch","userIds":[1],"sdpOffer":"*"},"reason":"sdpOffer has more than 65536 bytes"}
        three > {"type":"watch","userIds":[[]],"sdpOffer":"@recvonly 3"}
        three < {"type":"unrecognizedMessage","message":{"type":"watch","userIds":[[]],"sdpOffer":"*"}}
        three > {"type":"watch","userIds":1,"sdpOffer":"@recvonly 3"}
        three < {"type":"unrecognizedMessage","message":{"type":"watch","userIds":1,"sdpOffer":"*"}}
        three > {"type":"watch","userIds":[2]}
        three < {"type":"unrecognizedMessage","message":{"type":"watch","userIds":[2]}}
        three > {"type":"watch","userIds":[2,1],"sdpOffer":"@recvonly 3 people=2"}
        media again 3 watch 2 people
        three < {"type":"watchAnswer","userIds":[2,1],"sdpAnswer":"*"}
        "#,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn who_goes_and_comes_is_watched_by_another_offer_on_the_same_connection() {
    let mut stage = two_publish().await;
    play(
        &mut stage,
        r#"
        three > {"type":"join","room":"r","userId":3,"watchOffer":"@recvonly 3 people=2"}
        media open 3 watch 2 people
        one < {"type":"newParticipantArrived","participant":PERSON3}
        two < {"type":"newParticipantArrived","participant":PERSON3}
        three < {"type":"existingParticipants","participants":[PERSON1,PERSON2],"watch":{"userIds":[1,2],"sdpAnswer":"*"}}
        two -
        media close 2
        one < {"type":"participantLeft","userId":2}
        three < {"type":"participantLeft","userId":2}
        back > {"type":"join","room":"r","userId":2}
        one < {"type":"newParticipantArrived","participant":PERSON2}
        three < {"type":"newParticipantArrived","participant":PERSON2}
        back < {"type":"existingParticipants","participants":[PERSON1,PERSON3]}
        three > {"type":"watch","userIds":[1,2],"sdpOffer":"@recvonly 3 people=2"}
        media again 3 watch 2 people
        three < {"type":"watchAnswer","userIds":[1,2],"sdpAnswer":"*"}
        three > {"type":"videoWants","heights":{"*":180}}
        media want 180 180 of 3
        "#,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn who_watched_over_a_lost_worker_offers_again_and_the_connection_begins_anew() {
    let config = Config::default();
    let capacity = Capacity {
        room_subscriptions_per_worker: 2,
        ..Capacity::from(&config)
    };
    let mut stage = Stage::holding(capacity, House::default(), config);
    play(
        &mut stage,
        r#"
        one > {"type":"join","room":"r","userId":1}
        one < {"type":"existingParticipants","participants":[]}
        one > {"type":"receiveVideoFrom","userId":1,"sdpOffer":"@sendonly 1"}
        media open 1 publish
        ANSWER one 1
        two > {"type":"join","room":"r","userId":2,"watchOffer":"@recvonly 2"}
        media open 2 watch
        one < {"type":"newParticipantArrived","participant":PERSON2}
        two < {"type":"existingParticipants","participants":[PERSON1],"watch":{"userIds":[1],"sdpAnswer":"*"}}
        three > {"type":"join","room":"r","userId":3,"watchOffer":"@recvonly 3 people=2"}
        media link 0
        media link 1
        media open 3 watch 2 people
        one < {"type":"newParticipantArrived","participant":PERSON3}
        two < {"type":"newParticipantArrived","participant":PERSON3}
        three < {"type":"existingParticipants","participants":[PERSON1,PERSON2],"watch":{"userIds":[1,2],"sdpAnswer":"*"}}
        media ended 1
        media unlink 1
        three < {"type":"participantLeft","userId":1}
        three < {"type":"newParticipantArrived","participant":PERSON1}
        three < {"type":"participantLeft","userId":2}
        three < {"type":"newParticipantArrived","participant":PERSON2}
        three > {"type":"watch","userIds":[1,2],"sdpOffer":"@recvonly 3 people=2"}
        media link 0
        media link 1
        media open 4 watch 2 people, other certificate
        three < {"type":"watchAnswer","userIds":[1,2],"sdpAnswer":"*"}
        "#,
    )
    .await;
}
