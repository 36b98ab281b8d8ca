//! Calls of users: what they say before they call, whom they call into a meeting, and for how long proofs are valid.

use patchbay::conferences::{Caller, Destination, Details, Occasion};
use patchbay::domain::{Address, CallEnd, CallEvent, Claim, Decline, Event, Refusal};
use patchbay::hub::{Events, Session};
use patchbay::shares::ClientAddress;
use serde_json::{Value, json};

use super::ringing::Stream;
use super::{basic, ben, json_of, log_in, post, start};
use crate::front::running::Running;

const PATHS: [&str; 2] = [
    "/api/v3/meet/conference/meet/dot_out_call.shtml",
    "/api/v3/app/conference/meet/dot_out_call.shtml",
];

fn anna() -> Caller {
    Caller {
        user: "anna@example.org".into(),
        claim: Claim::Proven,
    }
}

/// Anna calls this alias, as somebody who enters it does.
async fn call(running: &Running, alias: &str) -> (Session, Events) {
    let conferences = running.server.conferences();
    let caller = anna();
    let entered = conferences.destination(alias, None, Some(&caller.user)).await;
    let Destination::People(to) = entered.unwrap() else {
        panic!("{alias} is nobody");
    };
    let calling = conferences.ring(caller, to, Details::default());
    let hub = running.server.hub();
    let (session, events) = hub.connect(ClientAddress::THIS_MACHINE).await.unwrap();
    for command in calling.commands {
        session.request(command).await.unwrap();
    }
    (session, events)
}

async fn how_it_ends(mut events: Events) -> CallEnd {
    loop {
        match events.next().await {
            Some(Event::Call(CallEvent::Over(over))) => return over.reason,
            Some(_) => {}
            None => panic!("the caller is not sent how it ends"),
        }
    }
}

#[tokio::test]
async fn what_is_announced_before_a_call_reaches_the_callee_once() {
    let running = start().await;
    let token = ben(&running).await;
    let mut stream = Stream::of(&running, "ben", &token).await;
    let registered =
        super::register(&running, "anna@example.org").header("Authorization", basic("anna@example.org", "123456"));
    let registered = json_of(registered.body("{}").send().await.unwrap()).await;
    let registration = registered["result"]["token"].as_str().map(str::to_owned);
    let session = log_in(&running, "anna@example.org", "123456").await["results"]["session_id"].clone();
    let session = session.as_str().unwrap().to_owned();
    let proofs = [
        ("X-Cloud-Authorization", Some(basic("anna@example.org", "123456"))),
        ("sessionId", Some(session)),
        ("registration_token", registration),
        ("sessionId", Some("too old".to_owned())),
        ("sessionId", None),
    ];
    for (number, (name, proof)) in proofs.into_iter().enumerate() {
        let mut body = json!({
            "remote_account": "ben@meet.example", "bsskey": "key", "owner": "meet.example", "account": "x", "sipkey": 7,
            "secret_key": "s", "more": [1],
        });
        let mut request = running.http.post(running.url(PATHS[number % 2]));
        match (name, proof) {
            ("registration_token", proof) => body["registration_token"] = json!(proof.expect("Anna is registered")),
            (name, Some(proof)) => request = request.header(name, proof),
            (_, None) => {}
        }
        let answer = json_of(request.body(body.to_string()).send().await.unwrap()).await;
        assert_eq!((&answer["code"], &answer["results"]), (&json!("200"), &json!({})));
        let is_known = number < 3;
        for counts in [is_known, false] {
            let line = call(&running, "ben").await;
            let (_, incoming) = stream.event().await;
            let expected = match counts {
                true => ("key", "meet.example"),
                false => ("", "127.0.0.1"),
            };
            assert_eq!(
                (&incoming["bsskey"], &incoming["owner"]),
                (&json!(expected.0), &json!(expected.1)),
                "{number}"
            );
            drop(line);
            assert_eq!(stream.event().await.0, "incoming_cancelled");
        }
    }
}

#[tokio::test]
async fn a_call_that_cannot_begin_is_not_announced() {
    let running = start().await;
    let announce = async |path: &str, body: &'static str, credentials: Option<String>| {
        let mut request = running.http.post(running.url(path)).body(body);
        if let Some(credentials) = credentials {
            request = request.header("Authorization", credentials);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), 200);
        json_of(response).await["code"].clone()
    };
    for path in PATHS {
        assert_eq!(announce(path, "remote_account=2", None).await, "200", "a short number");
        assert_eq!(announce(path, "remote_account=nobody", None).await, "404");
        assert_eq!(announce(path, "", None).await, "404");
        assert_eq!(announce(path, "hello", None).await, "400");
        let wrong = Some(basic("anna@example.org", "wrong"));
        assert_eq!(announce(path, "remote_account=ben", wrong).await, "401");
    }
}

#[tokio::test]
async fn a_caller_is_sent_how_the_call_ends_and_nobody_calls_themselves_or_who_is_away() {
    let running = start().await;
    let token = ben(&running).await;
    let mut stream = Stream::of(&running, "ben", &token).await;
    // By the name, the number, and the name with a server.
    for alias in ["ben", "2", "sip:ben@127.0.0.1"] {
        let (_session, events) = call(&running, alias).await;
        let (_, incoming) = stream.event().await;
        let refuse = format!(
            "/api/services/{}/end_session?token={}",
            incoming["conference_alias"].as_str().unwrap(),
            incoming["token"].as_str().unwrap()
        );
        assert_eq!(post(&running, &refuse).await.0, 200);
        assert_eq!(
            how_it_ends(events).await,
            CallEnd::Declined(Decline::Unwilling),
            "{alias}"
        );
        assert_eq!(stream.event().await.0, "incoming_cancelled");
    }
    let conferences = running.server.conferences();
    let caller = anna();
    for alias in ["anna@example.org", "anna@example.org@meet", "1"] {
        let refused = conferences.destination(alias, None, Some(&caller.user)).await;
        assert_eq!(refused.unwrap_err().to_string(), "nobody can call their own account");
    }
    let (session, _events) = running.server.hub().connect(ClientAddress::THIS_MACHINE).await.unwrap();
    let calling = conferences.ring(caller, vec![Address::Name("nobody".into())], Details::default());
    let [register, invite] = calling.commands;
    session.request(register).await.unwrap();
    assert_eq!(session.request(invite).await, Err(Refusal::NotReachable));
    let old = conferences
        .destination("anna", Some("0".repeat(32).as_str()), None)
        .await;
    assert_eq!(
        old.unwrap_err().to_string(),
        "the token is not known, was used before, or belongs to a call that is over"
    );
}

#[tokio::test]
async fn a_user_is_called_into_a_meeting_and_lets_the_caller_go_when_they_answer() {
    let running = start().await;
    let (first, second) = (ben(&running).await, ben(&running).await);
    let mut here = Stream::of(&running, "ben", &first).await;
    let mut there = Stream::of(&running, "ben", &second).await;
    let conferences = running.server.conferences();
    let details = Details {
        occasion: Occasion::Meeting { as_host: true },
        caller_name: Some("The board".to_owned()),
        ..Details::default()
    };
    let to = || vec![Address::Name("ben".into())];
    let client = ClientAddress::THIS_MACHINE;
    let meeting = || ("board".into(), details.clone());
    conferences.dial(anna(), to(), meeting(), client).await.unwrap();
    let (_, incoming) = here.event().await;
    let token = incoming["token"].as_str().unwrap().to_owned();
    let time = incoming["time"].clone();
    let expected = json!({
        "conference_alias": "board", "remote_display_name": "The board", "token": token, "remote_alias": "anna@example.org",
        "owner": "127.0.0.1", "service_type": "conference", "time": time, "bsskey": "",
    });
    assert_eq!(incoming, expected);
    let (_, incoming): (String, Value) = there.event().await;
    let entered = conferences.destination("board", Some(&token), None).await.unwrap();
    let Destination::Call(invitation) = entered else {
        panic!("no call: {entered:?}");
    };
    assert!(invitation.is_into_a_meeting());
    assert_eq!(invitation.details.occasion, Occasion::Meeting { as_host: true });
    conferences.accept(invitation, client).await.unwrap();
    let cancelled = ("incoming_cancelled".to_owned(), json!({ "token": incoming["token"] }));
    assert_eq!(there.event().await, cancelled);
    // The caller's part ends with that: the next invitation rings.
    conferences.dial(anna(), to(), meeting(), client).await.unwrap();
    assert_eq!(there.event().await.0, "incoming");
    let nobody = vec![Address::Name("nobody".into())];
    let refused = conferences.dial(anna(), nobody, meeting(), client).await;
    assert!(refused.is_err());
}
