//! Calls over HTTP: who is let in from a browser, what becomes of fields that mean nothing, and refusals by the server itself.

use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use super::dapi::{ask, channel_of, data, messages, read, start_with};
use super::running::{Running, header};

/// Every request of the interface, with the fields that it needs.
const REQUESTS: &[(&str, &str)] = &[
    ("call/user", "src_uid=1"),
    ("call/robot", "src_uid=1"),
    ("invite/robot", "uid=1&channel=CHANNEL"),
    ("quit/robot", "uid=1&channel=CHANNEL"),
    ("account/update", "uid=1&device=d&apns_token=t"),
    ("call/msg", "uid=1"),
    ("call/token", "uid=1&channel=CHANNEL"),
    ("channel/join", "uid=1&channel=CHANNEL"),
    ("call/event", "uid=1&channel=CHANNEL&code=1"),
    ("call/heartbeat", "uid=1&channel=CHANNEL"),
    ("call/record", "channel=CHANNEL"),
    (
        "calltask/update",
        "src_uid=1&dst_uid=2&call_time=2020-02-02+20:20:00&taskid=7",
    ),
    ("calltask/list", "uid=1"),
    ("calltask/delete", "uid=1&id=7"),
    ("system/config", ""),
];

async fn channel(running: &Running) -> String {
    let call = json!({ "src_uid": "1", "dst_uid": ["2"] });
    channel_of(&data(ask(running, "/dapi/call/user", call).await), "1")
}

async fn form(running: &Running, path: &str, body: String) -> Value {
    let url = running.url(&format!("/dapi/{path}"));
    read(running.http.post(url).body(body).send().await.unwrap()).await
}

#[tokio::test]
async fn every_request_refuses_a_field_that_it_does_not_know_and_ignores_what_other_programs_add() {
    let running = start_with(|_| {}).await;
    let channel = channel(&running).await;
    for (path, fields) in REQUESTS {
        let fields = fields.replace("CHANNEL", &channel);
        let answer = form(&running, path, format!("{fields}&scr_uid=1")).await;
        assert!(answer["data"]["scr_uid"].is_string(), "{path}: {answer}");
        let ignored = format!("{fields}&_=1&csrfmiddlewaretoken=x&call_group=2");
        let answer = form(&running, path, ignored).await;
        for field in ["_", "csrfmiddlewaretoken", "call_group"] {
            assert!(answer["data"][field].is_null(), "{path}: {answer}");
        }
    }
    let calls = messages(&running, "1").await;
    assert_eq!(
        calls.as_array().unwrap().len(),
        3,
        "the first, and one each for call/user and call/robot: {calls}"
    );
    let twice = r#"{"src_uid":"1","dst_uid":["2"],"dst_uid":["3"]}"#;
    let answer = form(&running, "call/user", twice.to_owned()).await;
    assert!(
        answer["data"]["dst_uid"].as_str().unwrap().contains("more than once"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_token_for_a_call_that_is_over_is_refused_and_says_so() {
    let running = start_with(|_| {}).await;
    let channel = channel(&running).await;
    let cancelled = json!({ "uid": "1", "channel": channel, "code": 1000 });
    data(ask(&running, "/dapi/call/event", cancelled).await);
    for path in ["/dapi/call/token", "/dapi/channel/join"] {
        for uid in ["1", "2", "3"] {
            let answer = ask(&running, path, json!({ "uid": uid, "channel": channel })).await;
            assert!(answer["data"]["channel"].as_str().unwrap().contains("over"), "{answer}");
        }
    }
}

/// The answer to a call, from a browser that sends these headers.
async fn from_browser(running: &Running, headers: &[(&'static str, &str)]) -> u16 {
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| {
            (
                (*name).parse().unwrap(),
                value.replace("HOST", &running.address().to_string()),
            )
        })
        .map(|(name, value): (reqwest::header::HeaderName, String)| (name, value.parse().unwrap()))
        .collect();
    let get = running.http.get(running.url("/dapi/call/user?src_uid=1&dst_uid=2"));
    let response = get.headers(headers).send().await.unwrap();
    let status = response.status().as_u16();
    let answer: Value = response.json().await.unwrap();
    assert_eq!(answer["success"], status == 200, "{answer}");
    status
}

#[tokio::test]
async fn a_link_of_another_site_calls_nobody() {
    let running = start_with(|_| {}).await;
    let get = |site: &str| {
        let request = running.http.get(running.url("/dapi/call/user?src_uid=1&dst_uid=2"));
        request.header("sec-fetch-site", site).send()
    };
    for site in ["cross-site", "same-site", "", "Same-Origin"] {
        assert_eq!(get(site).await.unwrap().status().as_u16(), 403, "{site}");
    }
    let evil = running
        .http
        .post(running.url("/dapi/call/user"))
        .header("origin", "https://evil.example")
        .body("src_uid=1");
    assert_eq!(evil.send().await.unwrap().status().as_u16(), 403);
    assert_eq!(messages(&running, "2").await, json!([]));
    for site in ["same-origin", "none"] {
        data(read(get(site).await.unwrap()).await);
    }
}

const BROWSER: (&str, &str) = (
    "user-agent",
    "Mozilla/5.0 (X11; Linux x86_64; rv:52.0) Gecko/20100101 Firefox/52.0",
);

#[tokio::test]
async fn a_browser_that_does_not_say_how_a_page_is_related_is_judged_by_the_page() {
    let running = start_with(|config| config.http.allowed_origins = vec!["https://app.example".to_owned()]).await;
    for (page, status) in [
        ("http://HOST/calls", 200),
        ("https://app.example/a?b#c", 200),
        ("https://evil.example/", 403),
        ("https://evil.example/http://HOST/calls", 403),
        ("http://HOST@evil.example/", 403),
        ("about:blank", 403),
        ("", 403),
    ] {
        let answered = from_browser(&running, &[BROWSER, ("referer", page)]).await;
        assert_eq!(answered, status, "{page}");
    }
    assert_eq!(
        from_browser(&running, &[BROWSER]).await,
        403,
        "a page can keep its name back"
    );
    assert_eq!(
        from_browser(&running, &[BROWSER, ("sec-fetch-site", "none")]).await,
        200
    );
    assert_eq!(from_browser(&running, &[("user-agent", "okhttp/4.9.0")]).await, 200);
    assert_eq!(from_browser(&running, &[]).await, 200, "a program");
    assert_eq!(messages(&running, "2").await.as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn whoever_shows_the_key_is_no_link() {
    let running = start_with(|config| config.dapi.key = "geheim".to_owned()).await;
    let key = ("authorization", "Bearer geheim");
    assert_eq!(from_browser(&running, &[BROWSER, key]).await, 200);
    assert_eq!(
        from_browser(&running, &[BROWSER, ("authorization", "Bearer x")]).await,
        403
    );
}

#[tokio::test]
async fn what_the_server_itself_refuses_below_dapi_is_in_the_envelope_with_its_status() {
    let running = start_with(|config| config.http.allowed_hosts = vec!["patchbay.example".to_owned()]).await;
    let send = async |path: &str, headers: &[(&'static str, &'static str)]| {
        let mut request = running.http.post(running.url(path)).body("uid=1");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        assert_eq!(header(&response, "content-type"), "application/json", "{path}");
        assert_eq!(header(&response, "cache-control"), "no-store", "{path}");
        (status, response.json::<Value>().await.unwrap())
    };
    for (path, headers, status, said) in [
        ("/dapi/call/usr", &[][..], 404, "no such request"),
        ("/dapi/", &[], 404, "no such request"),
        ("/dapi", &[("accept", "text/html")], 404, "no such request"),
        (
            "/dapi/call/msg",
            &[("origin", "https://evil.example")],
            403,
            "evil.example",
        ),
        (
            "/dapi/call/msg",
            &[("sec-fetch-site", "cross-site")],
            403,
            "other sites",
        ),
        ("/dapi/call/msg", &[("host", "evil.example")], 421, "evil.example"),
    ] {
        let (answered, answer) = send(path, headers).await;
        let msg = answer["msg"].as_str().unwrap_or_default();
        assert_eq!(
            (answered, &answer["success"]),
            (status, &json!(false)),
            "{path}: {answer}"
        );
        assert!(
            msg.contains(said) && answer.as_object().unwrap().len() == 2,
            "{path}: {answer}"
        );
    }
    let huge = running
        .http
        .post(running.url("/dapi/call/msg"))
        .body(vec![b'x'; 70_000]);
    assert_eq!(read(huge.send().await.unwrap()).await["success"], false);
    let elsewhere = running.get("/dapis").await;
    assert_eq!(elsewhere.status().as_u16(), 404);
    assert!(!elsewhere.text().await.unwrap().contains("success"));
}

#[tokio::test]
async fn every_field_that_is_wrong_is_named() {
    let running = start_with(|_| {}).await;
    let answer = ask(
        &running,
        "/dapi/call/event",
        json!({ "code": -1, "desp": [], "more": 1 }),
    )
    .await;
    let fields = ["code", "uid", "channel", "desp", "more"];
    let said = answer["msg"].as_str().unwrap();
    for field in fields {
        let why = answer["data"][field].as_str().unwrap();
        assert!(said.contains(&format!("{field}: {why}")), "{answer}");
    }
    assert_eq!(answer["data"].as_object().unwrap().len(), fields.len());
    let answer = ask(&running, "/dapi/calltask/update", json!({ "id": "x" })).await;
    let mut wrong: Vec<_> = answer["data"].as_object().unwrap().keys().collect();
    wrong.sort();
    assert_eq!(wrong, ["call_time", "dst_uid", "id", "src_uid", "taskid"]);
    assert_eq!(answer["msg"], "字段验证错误");
    for (path, asked, field) in [
        (
            "/dapi/call/user",
            json!({ "src_uid": "robot", "dst_uid": ["2"] }),
            "src_uid",
        ),
        (
            "/dapi/call/user",
            json!({ "src_uid": "1", "dst_uid": ["robot-2"] }),
            "dst_uid",
        ),
        ("/dapi/call/robot", json!({ "src_uid": "robot" }), "src_uid"),
        ("/dapi/call/msg", json!({ "uid": "robot" }), "uid"),
    ] {
        let answer = ask(&running, path, asked).await;
        let why = answer["data"][field].as_str().unwrap_or_default();
        assert!(why.contains("robot.name"), "{path}: {answer}");
    }
}
