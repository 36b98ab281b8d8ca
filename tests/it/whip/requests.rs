//! Each request of the two protocols, and each status that it can be answered with.

use patchbay::config::TurnRelay;

use super::{SDP, Studio, TRICKLE, refusal};
use crate::front::running::header;
use crate::transcripts::offers::offer;

/// The fragment of a client with this ICE user.
fn fragment(ufrag: &str) -> String {
    format!(
        "a=group:BUNDLE 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=ice-ufrag:{ufrag}\r\n\
         a=ice-pwd:passwordpasswordpassa001\r\na=candidate:1 1 udp 2122260223 192.0.2.1 61764 typ host\r\n\
         a=end-of-candidates\r\n"
    )
}

fn value<'a>(text: &'a str, attribute: &str) -> &'a str {
    let prefix = format!("a={attribute}:");
    let found = text.lines().find_map(|line| line.strip_prefix(prefix.as_str()));
    found.unwrap_or_else(|| panic!("no {attribute} in {text}"))
}

#[tokio::test]
async fn an_offer_is_answered_with_a_session_that_delete_ends_once() {
    let studio = Studio::open().await;
    for (path, answers) in [
        ("/whip/studio?userId=anna", "a=recvonly"),
        ("/whep/studio", "a=sendonly"),
        ("/whep/studio/anna", "a=sendonly"),
        ("/whip/a%20r%C3%B6om%2F1/?userId=ben&feed=screen", "a=recvonly"),
    ] {
        let response = studio.offer(path, 1).await;
        assert_eq!(response.status().as_u16(), 201, "{path}");
        assert_eq!(header(&response, "content-type"), SDP);
        assert_eq!(header(&response, "etag"), "\"1\"");
        assert_eq!(header(&response, "link"), "", "no ICE server is configured");
        let session = header(&response, "location").to_owned();
        assert!(session.starts_with("/whip/session/"), "{session}");
        let answer = response.text().await.unwrap();
        assert_eq!(answer.matches(answers).count(), 2, "{answer}");
        if path.starts_with("/whep") {
            assert_eq!(studio.running.get(&session).await.status().as_u16(), 204);
            assert_eq!(studio.delete(&session).await, 200);
            assert_eq!(studio.delete(&session).await, 404, "twice");
            assert_eq!(studio.running.get(&session).await.status().as_u16(), 404);
        }
    }
}

#[tokio::test]
async fn programs_are_told_of_the_relay_by_link_headers_with_credentials_of_their_own() {
    let studio = Studio::open_with(|config| {
        config.turn.relay = TurnRelay::On;
        config.turn.port = 0;
    })
    .await;
    let mut usernames = Vec::new();
    for path in ["/whip/studio?userId=anna", "/whep/studio"] {
        let response = studio.offer(path, 1).await;
        let links = response.headers().get_all("link").iter();
        let links: Vec<&str> = links.map(|link| link.to_str().unwrap()).collect();
        let urls: Vec<&str> = links.iter().map(|link| link[1..].split_once('>').unwrap().0).collect();
        for (url, transport) in urls.iter().zip(["udp", "tcp"]) {
            assert!(url.starts_with("turn:127.0.0.1:"), "{url}");
            assert!(url.ends_with(&format!("?transport={transport}")), "{url}");
        }
        assert_eq!(urls.len(), 2, "no listener here has TLS");
        let of_link = |link: &&str| {
            let (_, rest) = link.split_once("; username=\"").unwrap();
            assert!(
                link.contains(">; rel=\"ice-server\"; ") && link.ends_with("; credential-type=\"password\""),
                "{link}"
            );
            rest.split_once('"').unwrap().0.to_owned()
        };
        usernames.extend(links.iter().map(of_link));
    }
    usernames.sort();
    usernames.dedup();
    assert_eq!(usernames.len(), 2, "one for each client");
}

#[tokio::test]
async fn an_offer_that_cannot_be_answered_is_refused_with_the_reason() {
    let studio = Studio::open().await;
    let good = offer("sendonly", 1, false);
    for (offer, reason) in [
        ("nonsense".to_owned(), "the offer is not SDP"),
        (String::new(), "the offer"),
        (
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n".to_owned(),
            "no media section",
        ),
        (good.replace("a=ice-ufrag", "a=x-ufrag"), "ICE credentials"),
        (
            good.replace("a=fingerprint", "a=x-fingerprint"),
            "certificate fingerprint",
        ),
        (
            good.replace("opus", "x").replace("VP8", "y"),
            "offers no codec that is passed through",
        ),
        (good.replace("a=setup:actpass", "a=setup:holdconn"), "a=setup"),
        (good.replace("t=0 0\r\n", "t=0 0\r\na=ice-lite\r\n"), "ICE-lite"),
        (offer_in("recvonly"), "sends nothing"),
        (offer_in("inactive"), "sends nothing"),
    ] {
        let response = studio.post("/whip/studio").body(offer).send().await.unwrap();
        let (status, sentence) = refusal(response).await;
        assert_eq!(status, 400, "{sentence}");
        assert!(sentence.contains(reason), "{sentence}, not {reason}");
    }
    let response = studio
        .post("/whep/studio")
        .body(offer_in("sendonly"))
        .send()
        .await
        .unwrap();
    let (status, sentence) = refusal(response).await;
    assert!(
        status == 400 && sentence.contains("receives nothing"),
        "{status} {sentence}"
    );
    // Nothing of them is left.
    studio.session("/whip/studio?userId=anna", 2).await;
    let (status, _) = refusal(studio.offer("/whep/studio/nobody", 3).await).await;
    assert_eq!(status, 409);
}

fn offer_in(direction: &str) -> String {
    offer(direction, 1, false)
}

#[tokio::test]
async fn bodies_queries_and_methods_that_do_not_fit_are_refused() {
    let studio = Studio::open().await;
    let session = studio.session("/whip/studio?userId=anna", 1).await;
    let http = &studio.running.http;
    for kind in ["", "text/plain", "application/json", TRICKLE, "application/sdpx"] {
        let request = http
            .post(studio.running.url("/whip/studio"))
            .header("content-type", kind);
        let response = request.body(offer_in("sendonly")).send().await.unwrap();
        let (status, sentence) = refusal(response).await;
        assert_eq!(status, 415, "{kind}");
        assert!(sentence.contains(SDP), "{sentence}");
    }
    let request = http.post(studio.running.url("/whip/studio"));
    let request = request.header("content-type", "Application/SDP; charset=utf-8");
    let response = request.body(offer_in("sendonly")).send().await.unwrap();
    assert_eq!(response.status().as_u16(), 201, "parameters and upper case");
    let long = "x".repeat(64 * 1024 + 1);
    assert_eq!(
        refusal(studio.post("/whip/studio").body(long.clone()).send().await.unwrap())
            .await
            .0,
        413
    );
    assert_eq!(refusal(studio.patch(&session, Some("*"), &long).await).await.0, 413);
    let binary = studio.post("/whip/studio").body(vec![0xff, 0xfe]).send().await.unwrap();
    assert_eq!(refusal(binary).await.0, 400);
    for path in [
        "/whip/studio?feed=mirror",
        "/whip/studio?userId=a&userId=b",
        "/whip/studio?userId=",
    ] {
        assert_eq!(refusal(studio.offer(path, 1).await).await.0, 400, "{path}");
    }
    let name = "n".repeat(129);
    for path in [
        format!("/whip/{name}"),
        format!("/whip/studio?userId={name}"),
        format!("/whep/studio/{name}"),
    ] {
        let (status, sentence) = refusal(studio.offer(&path, 1).await).await;
        assert!(status == 400 && sentence.contains("128"), "{path}: {status} {sentence}");
    }
    let again = studio.offer(&session, 1).await;
    assert_eq!(again.status().as_u16(), 405, "a second offer on the same session");
    assert!(
        header(&again, "allow").contains("DELETE"),
        "{}",
        header(&again, "allow")
    );
    for path in ["/whip/studio", session.as_str()] {
        let response = http.put(studio.running.url(path)).send().await.unwrap();
        assert_eq!(response.status().as_u16(), 405, "{path}");
    }
    assert_eq!(studio.running.get("/whip/studio").await.status().as_u16(), 204);
}

#[tokio::test]
async fn candidates_change_nothing_and_a_new_ice_user_restarts_ice() {
    let studio = Studio::open().await;
    let response = studio.offer("/whip/studio?userId=anna", 1).await;
    let session = header(&response, "location").to_owned();
    let answer = response.text().await.unwrap();
    // The ICE user of the offer.
    let candidates = fragment("ua01");
    let taken = studio.patch(&session, Some("\"1\""), &candidates).await;
    assert_eq!((taken.status().as_u16(), header(&taken, "etag")), (204, ""));
    let restarted = studio.patch(&session, Some("*"), &fragment("ub01")).await;
    assert_eq!(restarted.status().as_u16(), 200);
    assert_eq!(header(&restarted, "content-type"), TRICKLE);
    assert_eq!(header(&restarted, "etag"), "\"2\"");
    let ours = restarted.text().await.unwrap();
    for attribute in ["ice-ufrag", "ice-pwd"] {
        assert_ne!(value(&ours, attribute), value(&answer, attribute), "new credentials");
    }
    assert_eq!(value(&ours, "candidate"), value(&answer, "candidate"));
    assert_eq!((value(&ours, "mid"), value(&ours, "group")), ("0", "BUNDLE 0 1"));
    assert!(ours.contains("a=ice-lite\r\n"), "{ours}");
    // Late candidates of the ICE before.
    assert_eq!(
        refusal(studio.patch(&session, Some("\"1\""), &candidates).await)
            .await
            .0,
        412
    );
    let taken = studio.patch(&session, Some("\"2\""), &fragment("ub01")).await;
    assert_eq!(taken.status().as_u16(), 204, "the new user is known now");
    let again = studio.patch(&session, Some("\"2\""), &fragment("ua01")).await;
    assert_eq!((again.status().as_u16(), header(&again, "etag")), (200, "\"3\""));
}

#[tokio::test]
async fn a_patch_without_a_state_or_with_an_older_one_is_refused() {
    let studio = Studio::open().await;
    let session = studio.session("/whep/studio", 1).await;
    let candidates = fragment("ua01");
    let (status, sentence) = refusal(studio.patch(&session, None, &candidates).await).await;
    assert!(status == 428 && sentence.contains("If-Match"), "{status} {sentence}");
    assert_eq!(
        refusal(studio.patch(&session, None, &fragment("new1")).await).await.0,
        428
    );
    for tag in ["\"0\"", "\"2\"", "W/\"1\"", "1", "", "\"1", "é"] {
        assert_eq!(
            refusal(studio.patch(&session, Some(tag), &candidates).await).await.0,
            412,
            "{tag}"
        );
    }
    for fragment in ["nonsense", "v=0\r\n", "a=ice-ufrag:new1\r\n"] {
        assert_eq!(
            refusal(studio.patch(&session, Some("*"), fragment).await).await.0,
            400,
            "{fragment}"
        );
    }
    let short = "a=ice-ufrag:new1\r\na=ice-pwd:short\r\n";
    let (status, sentence) = refusal(studio.patch(&session, Some("*"), short).await).await;
    assert!(status == 400 && sentence.contains("ice-pwd"), "{status} {sentence}");
    let several = format!("{}{}", fragment("new1"), fragment("new2"));
    assert_eq!(refusal(studio.patch(&session, Some("*"), &several).await).await.0, 422);
    let request = studio
        .running
        .http
        .patch(studio.running.url(&session))
        .header("content-type", SDP);
    let response = request.header("if-match", "*").body(candidates).send().await.unwrap();
    assert_eq!(refusal(response).await.0, 415);
    assert_eq!(studio.delete(&session).await, 200, "none of it has ended the session");
}

#[tokio::test]
async fn sessions_of_others_are_not_found_however_they_are_guessed() {
    let studio = Studio::open().await;
    let session = studio.session("/whip/studio?userId=anna", 1).await;
    let (path, token) = session.rsplit_once('/').unwrap();
    let other = if token.starts_with('0') { "1" } else { "0" };
    let guesses = [
        format!("{path}/{other}{}", &token[1..]),
        format!("{path}/{}", "0".repeat(32)),
        format!("{path}/{}", &token[1..]),
        format!("{path}/{token}0"),
        format!("{path}/x"),
        format!("{path}/%00"),
    ];
    for guess in &guesses {
        let (status, sentence) = refusal(studio.patch(guess, Some("*"), "a=mid:0\r\n").await).await;
        assert_eq!(
            (status, sentence.as_str()),
            (404, "there is no such session, or it is over"),
            "{guess}"
        );
        assert_eq!(studio.delete(guess).await, 404, "{guess}");
        assert_eq!(studio.running.get(guess).await.status().as_u16(), 404, "{guess}");
    }
    assert_eq!(studio.delete(&session).await, 200);
}

#[tokio::test]
async fn pages_of_configured_origins_may_use_it_and_read_what_they_need() {
    let origin = "https://player.example";
    let studio = Studio::open_with(|config| config.http.allowed_origins = vec![origin.to_owned()]).await;
    let session = studio.session("/whip/studio?userId=anna", 1).await;
    let http = &studio.running.http;
    for (path, accepts, body, method) in [
        ("/whip/studio", "accept-post", SDP, "POST"),
        ("/whep/studio", "accept-post", SDP, "POST"),
        ("/whep/studio/anna", "accept-post", SDP, "POST"),
        (session.as_str(), "accept-patch", TRICKLE, "PATCH"),
    ] {
        let asked = http.request(reqwest::Method::OPTIONS, studio.running.url(path));
        let plain = asked.try_clone().unwrap().send().await.unwrap();
        assert_eq!(
            (plain.status().as_u16(), header(&plain, accepts)),
            (200, body),
            "{path}"
        );
        let asked = asked
            .header("origin", origin)
            .header("access-control-request-method", method);
        let answer = asked.send().await.unwrap();
        assert_eq!(header(&answer, "access-control-allow-origin"), origin);
        let methods = header(&answer, "access-control-allow-methods");
        assert!(methods.contains(method), "{methods}");
        let headers = header(&answer, "access-control-allow-headers").to_lowercase();
        for sent in ["authorization", "content-type", "if-match"] {
            assert!(headers.contains(sent), "{headers}");
        }
    }
    let request = studio.post("/whep/studio").header("origin", origin);
    let answer = request.body(offer_in("recvonly")).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 201);
    let readable = header(&answer, "access-control-expose-headers").to_lowercase();
    for read in ["location", "etag", "link", "retry-after"] {
        assert!(readable.contains(read), "{readable}");
    }
    let foreign = studio.post("/whep/studio").header("origin", "https://evil.example");
    let (status, _) = refusal(foreign.body(offer_in("recvonly")).send().await.unwrap()).await;
    assert_eq!(status, 403);
}

#[tokio::test]
async fn an_offer_that_is_refused_ends_no_session_of_the_same_user() {
    let studio = Studio::open().await;
    let path = "/whip/studio?userId=anna";
    let session = studio.session(path, 1).await;
    let good = offer("sendonly", 2, false);
    for bad in [
        "nonsense".to_owned(),
        good.replace("a=ice-ufrag", "a=x-ufrag"),
        good.replace("a=fingerprint", "a=x-fingerprint"),
        good.replace("a=setup:actpass", "a=setup:holdconn"),
        good.replace("opus", "x").replace("VP8", "y"),
        offer_in("recvonly"),
    ] {
        let (status, sentence) = refusal(studio.post(path).body(bad).send().await.unwrap()).await;
        assert_eq!(status, 400, "{sentence}");
        assert_eq!(studio.running.get(&session).await.status().as_u16(), 204, "{sentence}");
    }
    let newer = studio.session(path, 2).await;
    assert_eq!(
        studio.running.get(&session).await.status().as_u16(),
        404,
        "one that is answered does"
    );
    assert_eq!(studio.delete(&newer).await, 200);
}

#[tokio::test]
async fn of_many_offers_of_one_user_at_once_one_session_is_left_and_the_others_are_sent_why() {
    let studio = Studio::open().await;
    let offers = (0..40).map(|number| studio.offer("/whip/studio?userId=anna", number));
    let mut sessions = Vec::new();
    for response in futures_util::future::join_all(offers).await {
        match response.status().as_u16() {
            201 => sessions.push(header(&response, "location").to_owned()),
            _ => {
                let (status, sentence) = refusal(response).await;
                assert!(status == 409 && sentence.contains("came again"), "{status} {sentence}");
            }
        }
    }
    let mut left = 0;
    for session in sessions {
        left += usize::from(studio.delete(&session).await == 200);
    }
    assert_eq!(left, 1);
}

#[tokio::test]
async fn of_two_restarts_of_one_state_the_second_is_refused() {
    let studio = Studio::open().await;
    let session = studio.session("/whip/studio?userId=anna", 1).await;
    for round in 1..=5 {
        let tag = format!("\"{round}\"");
        let restarts = ["ub", "uc", "ud"].map(|user| {
            let (studio, session, tag) = (&studio, &session, &tag);
            async move {
                studio
                    .patch(session, Some(tag), &fragment(&format!("{user}0{round}")))
                    .await
            }
        });
        let answers = futures_util::future::join_all(restarts).await;
        let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status().as_u16()).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 412, 412], "round {round}");
    }
}

#[tokio::test]
async fn an_address_that_offers_without_end_is_slowed_and_no_other_is() {
    let studio = Studio::open().await;
    let post = async |address: &str| {
        let request = studio.post("/whep/studio/nobody").header("x-forwarded-for", address);
        request.body(offer_in("recvonly")).send().await.unwrap()
    };
    let mut offered = 0;
    let slowed = loop {
        let response = post("203.0.113.1").await;
        if response.status().as_u16() != 409 {
            break response;
        }
        offered += 1;
        assert!(offered < 3_000, "it is not slowed");
    };
    assert!(offered >= 300, "{offered}");
    assert_ne!(header(&slowed, "retry-after"), "");
    let (status, sentence) = refusal(slowed).await;
    assert!(
        status == 429 && sentence.contains("your address"),
        "{status} {sentence}"
    );
    assert_eq!(post("203.0.113.2").await.status().as_u16(), 409);
}

#[tokio::test]
async fn where_there_is_no_place_a_client_is_asked_to_come_again() {
    let full = Studio::open_with(|config| config.limits.max_sessions = 1).await;
    full.session("/whip/studio?userId=anna", 1).await;
    let room = Studio::open_with(|config| {
        config.limits.max_participants_per_room = 1;
        config.limits.max_viewers_per_room = 1;
    })
    .await;
    room.session("/whip/studio?userId=anna", 1).await;
    room.session("/whep/studio", 4).await;
    for (studio, path) in [
        (&full, "/whip/studio?userId=ben"),
        (&room, "/whip/studio?userId=ben"),
        (&room, "/whep/studio"),
    ] {
        let response = studio.offer(path, 2).await;
        assert_ne!(header(&response, "retry-after"), "");
        let (status, sentence) = refusal(response).await;
        assert!(status == 503 && sentence.contains("full"), "{status} {sentence}");
    }
    let absent = room.offer("/whep/other/nobody", 3).await;
    assert_ne!(header(&absent, "retry-after"), "");
    assert_eq!(refusal(absent).await.0, 409, "players ask again by themselves");
}
