//! The same over real sockets of a whole server.

use serde_json::{Value, json};

use super::sockets;

#[tokio::test]
async fn a_session_goes_on_over_another_real_socket() {
    let running = sockets::start(|_| ()).await;
    let mut ben = running.join(2).await;
    let mut anna = running.connect_asking("resume=new").await;
    let token = anna.hears().await["resume"]["token"].as_str().unwrap().to_owned();
    anna.sends(json!({ "type": "join", "userId": 1 })).await;
    assert_eq!(anna.hears().await["type"], "existingParticipants");
    assert_eq!(ben.hears().await["type"], "newParticipantArrived");
    drop(anna);
    ben.sends(json!({ "type": "sendMessage", "message": "lost" })).await;
    assert_eq!(ben.hears().await["message"], "lost");

    let mut anna = running.connect_asking(&format!("resume={token}&received=1")).await;

    assert_eq!(anna.hears().await["resume"]["received"], 1);
    assert_eq!(anna.hears().await["message"], "lost");
    anna.sends(json!({ "type": "sendMessage", "message": "back" })).await;
    assert_eq!(ben.hears().await["message"], "back");
}

#[tokio::test]
async fn whoever_names_no_session_begins_a_new_one() {
    let running = sockets::start(|_| ()).await;
    for query in [
        "resume=new",
        "resume=",
        "resume=00000000000000000000000000000000&received=7",
    ] {
        let mut anna = running.connect_asking(query).await;
        let resume = anna.hears().await["resume"].clone();
        assert_eq!(
            (resume["received"].clone(), resume["withinMs"].clone()),
            (Value::Null, json!(15_000)),
            "{query}"
        );
        anna.sends(json!({ "type": "join", "userId": 1 })).await;
        assert_eq!(anna.hears().await["type"], "existingParticipants", "{query}");
    }
    // Nobody who asked for this could say so.
    let mut ben = running.connect_asking("resume=new&received=many").await;
    ben.sends(json!({ "type": "join", "userId": 2 })).await;
    assert_eq!(ben.hears().await["type"], "existingParticipants");
}

#[tokio::test]
async fn a_token_means_nothing_at_another_path() {
    let running = sockets::start(|_| ()).await;
    let mut anna = running.connect_asking("resume=new").await;
    let token = anna.hears().await["resume"]["token"].as_str().unwrap().to_owned();
    // Another path than that where the session began: the token means nothing there.
    let mut other = running
        .connect_asking_at("/direct", &format!("resume={token}&received=0"))
        .await;
    assert_ne!(other.hears().await["resume"]["token"], token);
    drop(anna);
}

#[tokio::test]
async fn whoever_was_removed_while_cut_off_is_sent_so() {
    let running = sockets::start(|_| ()).await;
    let mut anna = running.connect_asking("resume=new").await;
    let token = anna.hears().await["resume"]["token"].as_str().unwrap().to_owned();
    anna.sends(json!({ "type": "join", "userId": 1 })).await;
    assert_eq!(anna.hears().await["type"], "existingParticipants");
    drop(anna);
    let _newer = running.join(1).await;
    let mut anna = running.connect_asking(&format!("resume={token}&received=1")).await;
    assert_eq!(anna.closed().await, Some(4001));
}
