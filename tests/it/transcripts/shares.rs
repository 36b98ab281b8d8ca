//! Things that one client can use up, while others are served all the same: connections that never connect, rooms, and
//! messages that others are sent because of one client.

use std::net::IpAddr;

use patchbay::config::Config;
use patchbay::domain::Limits;
use patchbay::hub::Capacity;
use patchbay::shares::ClientAddress;
use serde_json::{Value, json};

use super::house::House;
use super::{Heard, Stage, offers};

fn stage(limits: Limits) -> Stage {
    let capacity = Capacity {
        rules: limits,
        ..Capacity::default()
    };
    Stage::holding(capacity, House::default(), Config::default())
}

fn address(number: u8) -> ClientAddress {
    IpAddr::from([192, 0, 2, number]).into()
}

/// Joins a room under the name of the client, in the family whose messages have a `type`.
async fn join(stage: &mut Stage, who: &str, room: &str) {
    stage
        .sends_text(who, &json!({ "type": "join", "userId": who, "room": room }).to_string())
        .await;
}

async fn offer(stage: &mut Stage, who: &str, subject: &str, number: u32) {
    let direction = if who == subject { "sendonly" } else { "recvonly" };
    let sdp_offer = offers::offer(direction, number, false);
    let message = json!({ "type": "receiveVideoFrom", "userId": subject, "sdpOffer": sdp_offer });
    stage.sends_text(who, &message.to_string()).await;
}

fn answers(heard: &[Value]) -> usize {
    heard
        .iter()
        .filter(|message| message["type"] == "receiveVideoAnswer")
        .count()
}

/// The engine's commands that close connections.
fn closed(stage: &mut Stage) -> Vec<usize> {
    let commands = std::iter::from_fn(|| stage.media.next());
    commands
        .filter_map(|line| line.strip_prefix("close ")?.parse().ok())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn offers_that_never_connect_do_not_keep_a_newcomer_waiting() {
    // With and without an address of its own: behind a proxy that does not name its clients, all have one address.
    for attacker in [ClientAddress::THIS_MACHINE, address(1)] {
        let mut stage = stage(Limits {
            peers: 60,
            unconnected_peers: 40,
            participants_per_room: 10,
            ..Limits::default()
        });
        stage.connect_from("anna", address(2)).await;
        join(&mut stage, "anna", "quiet").await;
        let crowd: Vec<String> = (0..10).map(|number| format!("x{number}")).collect();
        for one in &crowd {
            stage.connect_from(one, attacker).await;
            join(&mut stage, one, "loud").await;
        }
        attack(&mut stage, &crowd, 0).await;
        while stage.media.next().is_some() {}
        offer(&mut stage, "anna", "anna", 99).await;
        assert_eq!(answers(&stage.heard("anna")), 1);
        let commands: Vec<String> = std::iter::from_fn(|| stage.media.next()).collect();
        let opened = commands
            .iter()
            .find_map(|line| line.strip_prefix("open ")?.strip_suffix(" publish"));
        let annas: usize = opened.expect("it is opened").parse().unwrap();
        // If the attackers have a share, there is room enough beside it; otherwise one of theirs gives way.
        let gave_way = usize::from(attacker.is_this_machine());
        assert_eq!(commands.len(), 1 + gave_way, "{commands:?}");

        attack(&mut stage, &crowd, 100).await;
        let closed = closed(&mut stage);
        assert!(closed.len() > 50 && !closed.contains(&annas), "{annas}: {closed:?}");
        for one in &crowd {
            assert_eq!(answers(&stage.heard(one)), 20, "each of them is served as well");
        }
        assert!(stage.heard("anna").is_empty());
    }
}

/// Everybody of the crowd offers to watch everybody; no connection is ever made.
async fn attack(stage: &mut Stage, crowd: &[String], first: u32) {
    for (index, one) in crowd.iter().enumerate() {
        for (other_index, other) in crowd.iter().enumerate() {
            let number = first + (10 * index + other_index) as u32;
            offer(stage, one, other, number % 90 + 1).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn connections_that_live_fill_the_share_of_their_address_and_the_refusal_is_said_aloud() {
    let mut stage = stage(Limits {
        peers: 40,
        participants_per_room: 4,
        ..Limits::default()
    });
    for number in 1..=10 {
        let who = format!("x{number}");
        stage.connect_from(&who, address(1)).await;
        join(&mut stage, &who, &who).await;
        offer(&mut stage, &who, &who, number).await;
        assert_eq!(answers(&stage.heard(&who)), 1);
        while stage.media.next().is_some() {}
        stage.media.connect(number as usize).await;
        stage.media.settle().await;
    }
    // A quarter is used up: the next one gets an answer that says so, in each family.
    stage.connect_from("typed", address(1)).await;
    join(&mut stage, "typed", "typed").await;
    offer(&mut stage, "typed", "typed", 50).await;
    assert_eq!(stage.heard("typed")[1]["type"], "unrecognizedMessage");
    stage.connect_from("ident", address(1)).await;
    stage
        .play(
            r#"
            ident > {"id":"joinRoom","name":"ident","room":"ident"}
            ident < {"id":"existingParticipants","data":[]}
            ident > {"id":"receiveVideoFrom","sender":"ident","sdpOffer":"@sendonly 51"}
            ident x 1013
            "#,
        )
        .await;
    // Somebody else is served.
    stage.connect_from("anna", address(2)).await;
    join(&mut stage, "anna", "quiet").await;
    offer(&mut stage, "anna", "anna", 52).await;
    assert_eq!(answers(&stage.heard("anna")), 1);
}

#[tokio::test(start_paused = true)]
async fn one_client_does_not_use_up_all_rooms() {
    let mut stage = stage(Limits {
        rooms: 40,
        ..Limits::default()
    });
    let mut entered = 0;
    for number in 0..40 {
        let who = format!("x{number}");
        stage.connect_from(&who, address(1)).await;
        join(&mut stage, &who, &who).await;
        let heard = stage.clients.get_mut(&who).unwrap().heard.pop_back();
        match heard {
            Some(Heard::Frame(_)) => entered += 1,
            Some(Heard::Closed(close)) => assert_eq!(close.code, 1013),
            None => panic!("nothing is said"),
        }
    }
    assert_eq!(entered, 10, "a quarter");
    stage.connect_from("anna", address(2)).await;
    join(&mut stage, "anna", "quiet").await;
    assert_eq!(stage.heard("anna")[0]["type"], "existingParticipants");
    // A person who leaves a room makes room. (The share is one of the free rooms, and anna has one.)
    stage.clients.remove("x0");
    stage.clients.remove("x1");
    stage.connect_from("late", address(1)).await;
    join(&mut stage, "late", "late").await;
    assert_eq!(stage.heard("late")[0]["type"], "existingParticipants");
}

#[tokio::test(start_paused = true)]
async fn a_message_to_everybody_that_costs_more_than_anybody_may_spend_is_refused() {
    let capacity = Capacity {
        fan_out_bytes_per_s: 1_000,
        ..Capacity::default()
    };
    let mut stage = Stage::holding(capacity, House::default(), Config::default());
    for number in 0..20 {
        let who = format!("{number}@ws");
        stage
            .sends_text(&who, &format!(r#"{{"cmd":1,"msgtype":1,"sender":"{number}"}}"#))
            .await;
    }
    for number in 0..20 {
        stage.heard(&format!("{number}@ws"));
    }
    let to_all = |length: usize| {
        let text = "x".repeat(length);
        format!(r#"{{"cmd":5,"msgtype":1,"sender":"0","groupId":"g","senderPhoto":"{text}"}}"#)
    };
    stage.sends_text("0@ws", &to_all(100)).await;
    for number in 0..20 {
        assert_eq!(stage.heard(&format!("{number}@ws")).len(), 1);
    }
    stage.sends_text("0@ws", &to_all(2_000)).await;
    for number in 1..20 {
        let heard = stage.heard(&format!("{number}@ws"));
        assert_eq!(heard.len(), 1, "{heard:?}");
        assert_eq!(heard[0]["cmd"], 4, "that the sender has gone, and no message");
    }
    stage.play("0@ws x 1008").await;
}

/// A user comes by the message socket; the socket has the user's name.
async fn come(stage: &mut Stage, who: &str, client: ClientAddress) {
    stage.connect_from(who, client).await;
    let bind = json!({ "cmd": 1, "msgtype": 1, "sender": who });
    stage.sends_text(who, &bind.to_string()).await;
}

async fn go(stage: &mut Stage, who: &str) {
    stage.clients.remove(who).expect("a client that has come");
    stage.hear().await;
}

/// The users whose coming (3) and going (4) was announced to a client.
fn announced(stage: &mut Stage, who: &str) -> Vec<(u64, String)> {
    let heard = stage.heard(who).into_iter();
    let turn = |frame: Value| Some((frame["cmd"].as_u64()?, frame["sender"].as_str()?.to_owned()));
    heard.filter_map(turn).collect()
}

#[tokio::test(start_paused = true)]
async fn a_user_who_comes_and_goes_without_end_is_not_announced_without_end() {
    let mut stage = stage(Limits::default());
    come(&mut stage, "anna@ws", address(1)).await;
    announced(&mut stage, "anna@ws");
    for number in 0..1_200 {
        let name = format!("{number}@ws");
        come(&mut stage, &name, address(2)).await;
        assert_eq!(announced(&mut stage, &name), [(3, name.clone())], "its own coming");
        go(&mut stage, &name).await;
    }
    let turns = announced(&mut stage, "anna@ws");
    assert_eq!(turns.iter().filter(|(cmd, _)| *cmd == 3).count(), 1_000);
    assert_eq!(turns.iter().filter(|(cmd, _)| *cmd == 4).count(), 1_000);

    // A user who comes unannounced is there all the same.
    come(&mut stage, "eve@ws", address(2)).await;
    assert_eq!(announced(&mut stage, "anna@ws"), []);
    stage.sends_text("anna@ws", r#"{"cmd":3,"msgtype":1}"#).await;
    let listed: Vec<String> = announced(&mut stage, "anna@ws")
        .into_iter()
        .map(|(_, name)| name)
        .collect();
    assert_eq!(listed, ["anna@ws", "eve@ws"]);
    let message = json!({ "cmd": 5, "msgtype": 1, "receiver": "eve@ws" });
    stage.sends_text("anna@ws", &message.to_string()).await;
    assert_eq!(stage.heard("eve@ws").len(), 2, "its own coming, and the message");
    go(&mut stage, "eve@ws").await;
    assert_eq!(announced(&mut stage, "anna@ws"), []);

    // Others are announced, and after a while these users are, too.
    come(&mut stage, "ben@ws", address(3)).await;
    assert_eq!(announced(&mut stage, "anna@ws"), [(3, "ben@ws".to_owned())]);
    tokio::time::advance(std::time::Duration::from_secs(1)).await;
    come(&mut stage, "carl@ws", address(2)).await;
    assert_eq!(announced(&mut stage, "anna@ws"), [(3, "carl@ws".to_owned())]);
}
