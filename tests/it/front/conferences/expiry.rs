//! For how long a registration, the session id of a login, and a one-time token are valid.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use patchbay::auth::TokenKeys;
use patchbay::conferences::{Conferences, RingsAt};
use patchbay::config::{self, Config};
use patchbay::domain::{Address, Person, Refusal};
use patchbay::hub::{self, Capacity};
use patchbay::ids::CallId;
use patchbay::shares::ClientAddress;
use patchbay::storage::Records;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::{Instant, advance, pause, resume};

use super::ringing::Stream;
use super::{ben, json_of, post, start};
use crate::front::running::Running;
use crate::transcripts::{FakeMedia, Shelf};

/// Lets time pass for the server, except for its hub. Sockets work only while it goes on by itself.
async fn pass(seconds: u64) {
    pause();
    advance(Duration::from_secs(seconds)).await;
    resume();
}

async fn refresh(running: &Running, token: &str) -> u16 {
    let path = running.url("/api/registrations/ben/refresh_session");
    let body = format!(r#"{{"token":"{token}"}}"#);
    let response = running.http.post(path).body(body).send().await.unwrap();
    let status = response.status().as_u16();
    json_of(response).await;
    status
}

#[tokio::test]
async fn a_registration_that_is_not_refreshed_ends_after_two_minutes_and_no_call_rings_there() {
    let running = start().await;
    let token = ben(&running).await;
    for _ in 0..2 {
        pass(118).await;
        assert_eq!(refresh(&running, &token).await, 200);
    }
    pass(118).await;
    let mut stream = Stream::of(&running, "ben", &token).await;
    pass(3).await;
    assert_eq!(refresh(&running, &token).await, 401);
    assert_eq!(stream.block().await, None, "the stream ends with it");
    let end = format!("/api/registrations/ben/end_session?token={token}");
    assert_eq!(post(&running, &end).await.0, 401);
    let conferences = running.server.conferences();
    let caller = patchbay::conferences::Caller {
        user: "anna@example.org".into(),
        claim: patchbay::domain::Claim::Proven,
    };
    let hub = running.server.hub();
    let (session, _events) = hub.connect(ClientAddress::THIS_MACHINE).await.unwrap();
    let calling = conferences.ring(caller, vec![Address::Name("ben".into())], Default::default());
    let [register, invite] = calling.commands;
    session.request(register).await.unwrap();
    assert_eq!(session.request(invite).await, Err(Refusal::NotReachable));
}

/// Users with clocks that the test moves.
struct Users {
    conferences: Conferences,
    ahead_ms: Arc<AtomicU64>,
    _media: FakeMedia,
    _folder: TempDir,
}

impl Users {
    async fn open() -> Users {
        let folder = TempDir::new().unwrap();
        let storage = config::Storage {
            url: format!("sqlite:{}", folder.path().join("records.db").display()),
            ..config::Storage::default()
        };
        let records = Records::open(&storage).await.unwrap();
        let ben = Person::unnamed("ben".into());
        records.add_user_account(&ben, "123456").await.unwrap();
        let (media, engine, media_events) = FakeMedia::new();
        let (pushes, _) = mpsc::channel(1);
        let shelf = Shelf::default();
        let (hub, running) = hub::start(
            engine,
            media_events,
            Capacity::default(),
            shelf,
            rand::make_rng(),
            pushes,
        );
        tokio::spawn(running);
        let ahead_ms = Arc::<AtomicU64>::default();
        let (one, other) = (Arc::clone(&ahead_ms), Arc::clone(&ahead_ms));
        let ahead = |ahead_ms: &AtomicU64| Duration::from_millis(ahead_ms.load(Ordering::Relaxed));
        let (wall, passed) = (
            SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_323_045),
            Instant::now(),
        );
        let conferences = Conferences::new(
            records,
            hub,
            TokenKeys::new(vec![b"secret".to_vec()]),
            Arc::new(move || wall + ahead(&one)),
            Arc::new(move || passed + ahead(&other)),
            &Config::default(),
        );
        Users {
            conferences,
            ahead_ms,
            _media: media,
            _folder: folder,
        }
    }

    fn pass_ms(&self, milliseconds: u64) {
        self.ahead_ms.fetch_add(milliseconds, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn the_session_id_of_a_login_proves_who_somebody_is_for_three_minutes() {
    let users = Users::open().await;
    let logged_in = users.conferences.log_in("ben", "123456", ClientAddress::THIS_MACHINE);
    let session = logged_in.await.expect("the password is right").session_id;
    users.pass_ms(179_000);
    let owner = users.conferences.owner_of_session(&session).await;
    assert_eq!(owner.expect("it is valid"), "ben".into());
    users.pass_ms(1_000);
    assert!(users.conferences.owner_of_session(&session).await.is_err());
}

#[tokio::test]
async fn a_one_time_token_answers_for_half_a_minute_and_refuses_as_long_as_the_call_rings() {
    let users = Users::open().await;
    let conferences = &users.conferences;
    let invite = |call| {
        let from = (Address::Name("anna".into()), "call-1".into());
        let (token, _) = conferences.invite(&"ben".into(), CallId(call), from, RingsAt::Registration(1));
        token.text()
    };
    let (fresh, old) = (invite(1), invite(2));
    users.pass_ms(29_999);
    assert!(conferences.redeem(&fresh, "call-1").is_some());
    users.pass_ms(1);
    assert!(conferences.redeem(&old, "call-1").is_none());
    let client = ClientAddress::THIS_MACHINE;
    let refuse = async |token: &str| {
        conferences
            .refuse(token, "elsewhere", client)
            .await
            .unwrap_err()
            .to_string()
    };
    let elsewhere = "there is no such conference, or the token is for another one";
    assert_eq!(refuse(&old).await, elsewhere, "the token is still known");
    users.pass_ms(30_000);
    assert_ne!(refuse(&old).await, elsewhere, "the call no longer rings");
}

/// A document writes the header with a space in it. No HTTP client sends such a name (RFC 9110 §5.1), and no server reads it.
#[tokio::test]
async fn a_header_whose_name_has_a_space_is_no_header_and_the_one_without_is_read() {
    let running = start().await;
    let credentials = super::basic("ben", "123456");
    let register = |name: &str| {
        format!(
            "POST /api/registrations/ben/new_session HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n{name}: {credentials}\r\n\
            Content-Length: 2\r\n\r\n{{}}"
        )
    };
    for (name, status) in [("X-Cloud-Authorization", "200"), ("X-Cloud- Authorization", "400")] {
        let answer = running.raw(register(name).as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{name}: {answer}");
    }
}
