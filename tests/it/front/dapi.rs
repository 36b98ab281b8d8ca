//! Calls over HTTP: what an app and its back end send, and what they are answered.

use patchbay::auth::access_token::App;
use patchbay::config::Config;
use serde_json::{Value, json};

use super::running::{Running, header, start};

const ID: &str = "970CA35de60c44645bbae8a215061b33";
const CERTIFICATE: &str = "5CFd2fd1755d40ecb72977518be15d3b";

pub(super) async fn start_with(adjust: impl FnOnce(&mut Config)) -> Running {
    start(|config| {
        config.channels.app_id = ID.to_owned();
        config.channels.app_certificate = CERTIFICATE.to_owned();
        adjust(config);
    })
    .await
}

/// Sends a request with a JSON body. Returns the answer, whose status is 200.
pub(super) async fn ask(running: &Running, path: &str, body: Value) -> Value {
    send(running, path, body.to_string()).await
}

async fn send(running: &Running, path: &str, body: impl Into<String>) -> Value {
    let request = running.http.post(running.url(path)).body(body.into());
    read(request.send().await.unwrap()).await
}

pub(super) async fn read(response: reqwest::Response) -> Value {
    assert_eq!(response.status().as_u16(), 200, "every answer is in the envelope");
    assert_eq!(header(&response, "cache-control"), "no-store");
    assert_eq!(header(&response, "content-type"), "application/json");
    response.json().await.unwrap()
}

pub(super) fn data(answer: Value) -> Value {
    assert_eq!(answer["success"], true, "{answer}");
    assert_eq!(answer.as_object().unwrap().len(), 2, "{answer}");
    answer["data"].clone()
}

/// Checks an entry and its token. Returns the channel.
pub(super) fn channel_of(entry: &Value, uid: &str) -> String {
    let channel = entry["channel"].as_str().unwrap();
    let token = entry["token"].as_str().unwrap();
    let expected = json!({ "appID": ID, "channel": channel, "uid": uid, "token": token });
    assert_eq!(*entry, expected);
    let (app, now_s) = (App::new(ID, CERTIFICATE).unwrap(), now_s());
    assert!(app.verify(token, channel, uid, now_s).is_some());
    assert!(app.verify(token, channel, uid, now_s + 86_300).is_some());
    assert!(app.verify(token, channel, uid, now_s + 86_500).is_none());
    channel.to_owned()
}

#[allow(clippy::disallowed_methods, reason = "the server has the same clock")]
pub(super) fn now_s() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap().as_secs() as i64
}

/// A time as this interface writes it where its time zone is UTC.
pub(super) fn utc(at_s: i64) -> String {
    let at = jiff::Timestamp::from_second(at_s).unwrap();
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

pub(super) async fn messages(running: &Running, uid: &str) -> Value {
    data(ask(running, "/dapi/call/msg", json!({ "uid": uid })).await)
}

async fn record(running: &Running, channel: &str) -> Value {
    data(ask(running, "/dapi/call/record", json!({ "channel": channel })).await)
}

async fn event(running: &Running, uid: &str, channel: &str, code: i64) -> Value {
    let report = json!({ "uid": uid, "channel": channel, "code": code, "desp": "接通" });
    ask(running, "/dapi/call/event", report).await
}

/// The record of the call of that sequence.
async fn keeps_the_whole_call(running: &Running, channel: &str) {
    let kept = record(running, channel).await;
    assert_eq!(
        (&kept["src_uid"], &kept["dst_uid"]),
        (&json!("12356"), &json!(["12345", "34566"]))
    );
    assert_eq!(kept["ending"], "ended");
    for time in ["createtime", "answertime", "starttime", "endtime"] {
        assert!(kept[time].is_string(), "{time}: {kept}");
    }
    let events: Vec<_> = kept["events"].as_array().unwrap().iter().collect();
    let codes: Vec<_> = events
        .iter()
        .map(|event| (event["uid"].as_str().unwrap(), &event["code"]))
        .collect();
    assert_eq!(
        codes,
        [
            ("12356", &json!(1)),
            ("12345", &json!(1)),
            ("12356", &json!(2)),
            ("12345", &json!(2))
        ]
    );
    assert_eq!(events[0]["desp"], "接通");
}

/// The sequence of the interface's description, message for message.
#[tokio::test]
async fn one_calls_another_who_asks_answers_and_both_say_what_becomes_of_it() {
    let running = start_with(|_| {}).await;
    let call = json!({ "src_uid": "12356", "dst_uid": ["12345", "34566"], "extra_msg": "your extra message" });
    let channel = channel_of(&data(ask(&running, "/dapi/call/user", call).await), "12356");
    assert!(channel.starts_with("ch_") && channel.len() == 13, "{channel}");

    let waiting = messages(&running, "12345").await;
    let row = &waiting[0];
    let expected = json!([{
        "id": row["id"], "uid": 12345, "channel": channel, "status": 0, "_status_label": "初始化",
        "createtime": row["createtime"], "pk": row["id"], "extra_msg": "your extra message",
    }]);
    assert_eq!(waiting, expected);
    assert_eq!(messages(&running, "12345").await, waiting, "asking changes nothing");
    assert_eq!(row["createtime"].as_str().unwrap().len(), "2020-01-10 00:19:40".len());

    let asks = json!({ "uid": "12345", "channel": channel });
    channel_of(&data(ask(&running, "/dapi/call/token", asks.clone()).await), "12345");
    let answered = messages(&running, "12345").await;
    assert_eq!(
        (&answered[0]["status"], &answered[0]["_status_label"]),
        (&json!(1), &json!("信息已获取"))
    );
    channel_of(&data(ask(&running, "/dapi/channel/join", asks.clone()).await), "12345");

    for uid in ["12356", "12345"] {
        assert_eq!(data(event(&running, uid, &channel, 1).await), Value::Null);
        let beat = json!({ "uid": uid, "channel": channel });
        for _ in 0..3 {
            assert_eq!(
                data(ask(&running, "/dapi/call/heartbeat", beat.clone()).await),
                Value::Null
            );
        }
        assert_eq!(messages(&running, uid).await[0]["status"], 1);
    }
    data(event(&running, "12356", &channel, 2).await);
    assert_eq!(messages(&running, "12356").await, json!([]));
    assert_eq!(
        messages(&running, "12345").await[0]["status"],
        1,
        "the other one is still there"
    );
    assert_eq!(record(&running, &channel).await["endtime"], Value::Null);
    data(event(&running, "12345", &channel, 2).await);
    for uid in ["12356", "12345", "34566"] {
        assert_eq!(messages(&running, uid).await, json!([]), "{uid}");
    }
    keeps_the_whole_call(&running, &channel).await;

    let late = ask(
        &running,
        "/dapi/call/heartbeat",
        json!({ "uid": "12345", "channel": channel }),
    )
    .await;
    assert_eq!(
        (&late["success"], &late["data"]["channel"].is_string()),
        (&json!(false), &true),
        "{late}"
    );
}

#[tokio::test]
async fn a_request_is_understood_in_every_form_and_by_every_method() {
    let running = start_with(|_| {}).await;
    let url = |path: &str| running.url(path);
    let form = reqwest::multipart::Form::new()
        .text("src_uid", "1")
        .text("dst_uid", "2,3")
        .text("extra_msg", "ein 字");
    let requests = [
        running
            .http
            .post(url("/dapi/call/user"))
            .body(r#" {"src_uid":1,"dst_uid":[2,"3"],"extra_msg":"ein 字"}"#),
        running
            .http
            .put(url("/dapi/call/user"))
            .body(r#"{"src_uid":"1","dst_uid":"2,3","extra_msg":"ein 字","call_group":{}}"#),
        running
            .http
            .post(url("/dapi/call/user/"))
            .body("src_uid=1&dst_uid=2&dst_uid=3&extra_msg=ein+%E5%AD%97&_=9"),
        running
            .http
            .get(url("/dapi/call/user?src_uid=1&dst_uid=2,3&extra_msg=ein%20%E5%AD%97")),
        running.http.post(url(
            "/dapi/call/user?src_uid=1&dst_uid[0]=2&dst_uid[1]=3&extra_msg=ein+字",
        )),
        running.http.post(url("/dapi/call/user")).multipart(form),
    ];
    let count = requests.len();
    for request in requests {
        let entry = data(read(request.send().await.unwrap()).await);
        channel_of(&entry, "1");
    }
    for uid in ["1", "2", "3"] {
        let calls = messages(&running, uid).await;
        assert_eq!(calls.as_array().unwrap().len(), count, "{uid}");
        assert!(
            calls
                .as_array()
                .unwrap()
                .iter()
                .all(|call| call["extra_msg"] == "ein 字"),
            "{calls}"
        );
    }
    assert_eq!(
        data(read(running.get("/dapi/system/config").await).await),
        json!({ "channel_heartbeat": 30, "agora_appid": ID, "time_zone": "Asia/Shanghai" })
    );
}

/// Requests, and the field that is wrong in each.
const WRONG: &[(&str, &str, &str)] = &[
    ("call/user", r#"{"dst_uid":["2"]}"#, "src_uid"),
    ("call/user", r#"{"src_uid":["1"],"dst_uid":["2"]}"#, "src_uid"),
    ("call/user", r#"{"src_uid":"LONG"}"#, "src_uid"),
    ("call/user", r#"{"src_uid":"1","src_uid":"2"}"#, "src_uid"),
    ("call/user", r#"{"src_uid":"1","dst_uid":["2","1"]}"#, "dst_uid"),
    ("call/user", r#"{"src_uid":"1","dst_uid":[{}]}"#, "dst_uid"),
    (
        "call/user",
        r#"{"src_uid":"1","dst_uid":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]}"#,
        "dst_uid",
    ),
    ("call/user", r#"{"src_uid":"1","extra_msg":"LONG"}"#, "extra_msg"),
    ("call/user", r#"{"src_uid":"1","extra_msg":{"a":1}}"#, "extra_msg"),
    ("call/user", "src_uid=1&src_uid=2", "src_uid"),
    ("call/user", "src_uid=%FF", "src_uid"),
    ("call/msg", "{}", "uid"),
    ("call/msg", "", "uid"),
    ("call/token", r#"{"uid":"2"}"#, "channel"),
    ("call/token", r#"{"uid":"2","channel":"ch_0000000000"}"#, "channel"),
    (
        "call/token",
        r#"{"uid":"2","channel":"'; DROP TABLE channels; --"}"#,
        "channel",
    ),
    ("channel/join", r#"{"channel":"CHANNEL"}"#, "uid"),
    ("call/event", r#"{"uid":"2","channel":"CHANNEL"}"#, "code"),
    ("call/event", r#"{"uid":"2","channel":"CHANNEL","code":"x"}"#, "code"),
    ("call/event", r#"{"uid":"2","channel":"CHANNEL","code":-1}"#, "code"),
    ("call/event", r#"{"uid":"2","channel":"CHANNEL","code":100000}"#, "code"),
    (
        "call/event",
        r#"{"uid":"2","channel":"CHANNEL","code":1,"desp":"LONG"}"#,
        "desp",
    ),
    (
        "call/event",
        r#"{"uid":"2","channel":"ch_0000000000","code":1}"#,
        "channel",
    ),
    ("call/heartbeat", r#"{"uid":"2","channel":"ch_0000000000"}"#, "channel"),
    ("call/heartbeat", r#"{"uid":"2","channel":false}"#, "channel"),
    ("call/record", "{}", "channel"),
];

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said_by_field() {
    let running = start_with(|_| {}).await;
    let call = json!({ "src_uid": "1", "dst_uid": ["2"] });
    let channel = channel_of(&data(ask(&running, "/dapi/call/user", call).await), "1");
    let long = "x".repeat(5_000);
    let body = |text: &str| text.replace("CHANNEL", &channel).replace("LONG", &long);
    for (path, sent, field) in WRONG {
        let answer = send(&running, &format!("/dapi/{path}"), body(sent)).await;
        assert_eq!(answer["success"], false, "{path} {sent:.60}: {answer}");
        let msg = answer["msg"].as_str().unwrap();
        assert!(msg.starts_with(&format!("{field}: ")), "{path} {sent:.60}: {answer}");
        assert!(answer["data"][field].is_string(), "{answer}");
    }
    let huge = format!(r#"{{"uid":"{}"}}"#, "x".repeat(70_000));
    let deep = "[".repeat(10_000);
    for sent in ["{", "[]", "{'uid':'4321'}", r#"["1"]"#, &huge, &deep, "\u{1}{}"] {
        let answer = send(&running, "/dapi/call/msg", sent).await;
        assert_eq!(answer["success"], false, "{sent:.60}: {answer}");
        assert!(!answer["msg"].as_str().unwrap().is_empty());
    }
    let bad_form = running
        .http
        .post(running.url("/dapi/call/msg"))
        .header("content-type", "multipart/form-data; boundary=x");
    let answer = read(
        bad_form
            .body("--x\r\nContent-Disposition: form-data; name=\"uid\"\r\n\r\n1")
            .send()
            .await
            .unwrap(),
    )
    .await;
    assert!(answer["msg"].as_str().unwrap().contains("boundary"), "{answer}");
    assert_eq!(
        record(&running, &channel).await["events"],
        json!([]),
        "nothing was half done"
    );
}

#[tokio::test]
async fn where_there_is_a_key_nobody_asks_without_it() {
    let running = start_with(|config| {
        config.dapi.key = "geheim".to_owned();
        config.auth.required = true;
    })
    .await;
    let call = json!({ "src_uid": "1", "dst_uid": ["2"] }).to_string();
    for shown in [
        None,
        Some("Bearer "),
        Some("Bearer Geheim"),
        Some("Bearer geheim1"),
        Some("geheim"),
        Some("Basic geheim"),
    ] {
        let mut request = running.http.post(running.url("/dapi/call/user")).body(call.clone());
        if let Some(shown) = shown {
            request = request.header("authorization", shown);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), 401, "{shown:?}");
        let answer: Value = response.json().await.unwrap();
        assert_eq!(answer["success"], false);
    }
    let request = running.http.post(running.url("/dapi/call/user")).body(call);
    let answer = read(request.header("authorization", "Bearer geheim").send().await.unwrap()).await;
    channel_of(&data(answer), "1");
}

#[tokio::test]
async fn where_names_need_proofs_and_there_is_no_key_nobody_asks_and_where_it_is_switched_off_there_is_nothing() {
    let running = start_with(|config| config.auth.required = true).await;
    let response = running.get("/dapi/call/msg?uid=1").await;
    assert_eq!(response.status().as_u16(), 401);
    assert!(response.text().await.unwrap().contains("dapi.key"));
    let running = start_with(|config| config.dapi.enabled = false).await;
    assert_eq!(running.get("/dapi/call/msg?uid=1").await.status().as_u16(), 404);
}

#[tokio::test]
async fn scheduled_calls_are_made_changed_listed_and_removed() {
    let running = start_with(|config| config.dapi.time_zone = "UTC".to_owned()).await;
    let update = |id: Value, call_time: &str| json!({ "id": id, "src_uid": "1234", "dst_uid": ["1235", "1236"], "call_time": call_time, "taskid": 123 });
    let [first_time, second_time, other_time] = [600, 86_400, 365 * 86_400].map(|seconds| utc(now_s() + seconds));
    for call_time in [&first_time, &second_time] {
        let answer = ask(&running, "/dapi/calltask/update", update("".into(), call_time)).await;
        assert_eq!(data(answer), json!({}));
    }
    let list = async |more: Value| {
        let mut asked = json!({ "uid": "1234" });
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        data(ask(&running, "/dapi/calltask/list", asked).await)
    };
    let row = |id: i64, call_time: &str| {
        json!({
            "id": id, "src_uid": "1234", "dst_uid": ["1235", "1236"], "call_time": call_time, "tone_list": [],
            "taskid": "123", "status": 0, "_status_label": "等待中", "fire_time": null, "channel": "", "failure": "", "pk": id,
        })
    };
    let (first, second) = (row(1, &first_time), row(2, &second_time));
    let pages = |page: i64, perpage: i64| json!({ "crt_page": page, "total": 2, "perpage": perpage });
    assert_eq!(
        list(json!({})).await,
        json!({ "rows": [second, first], "row_pages": pages(1, 20) })
    );
    let page = list(json!({ "_page": "2", "_perpage": 1 })).await;
    assert_eq!(page, json!({ "rows": [first], "row_pages": pages(2, 1) }));
    assert_eq!(
        list(json!({ "_page": 3 })).await,
        json!({ "rows": [], "row_pages": pages(3, 20) })
    );

    data(ask(&running, "/dapi/calltask/update", update(1.into(), &other_time)).await);
    assert_eq!(
        list(json!({ "_page": 2, "_perpage": 1 })).await["rows"],
        json!([row(1, &other_time)])
    );
    let theirs = json!({ "id": 2, "uid": "1235" });
    let refused = ask(&running, "/dapi/calltask/delete", theirs).await;
    assert!(refused["data"]["id"].is_string(), "{refused}");
    let nobodys = ask(&running, "/dapi/calltask/delete", json!({ "id": "2" })).await;
    assert!(nobodys["data"]["uid"].is_string(), "{nobodys}");
    let own = json!({ "id": "2", "src_uid": 1234 });
    assert_eq!(data(ask(&running, "/dapi/calltask/delete", own).await), Value::Null);
    assert_eq!(list(json!({})).await["row_pages"]["total"], 1);
}

#[tokio::test]
async fn a_task_that_cannot_be_saved_is_refused_by_field_in_the_words_for_that() {
    let running = start_with(|_| {}).await;
    let whole = json!({ "src_uid": "1", "dst_uid": ["2"], "call_time": utc(now_s() + 86_400), "taskid": "7" });
    for (field, value) in [
        ("src_uid", Value::Null),
        ("dst_uid", json!([])),
        ("dst_uid", json!(["1"])),
        ("dst_uid", json!([{}])),
        ("call_time", Value::Null),
        ("call_time", json!("2020-02-02 20:20:00")),
        ("call_time", json!("2100-02-02 20:20:00")),
        ("call_time", json!("9999-12-31 23:59:59")),
        ("call_time", json!("2100-02-02")),
        ("call_time", json!("2100-02-30 20:20:00")),
        ("call_time", json!(4_107_255_600_i64)),
        ("taskid", json!("")),
        ("taskid", json!("x".repeat(129))),
        ("id", json!("x")),
        ("id", json!(17)),
    ] {
        let mut task = whole.clone();
        task[field] = value.clone();
        let answer = ask(&running, "/dapi/calltask/update", task).await;
        let why = answer["data"][field].as_str().unwrap_or_default();
        assert!(!why.is_empty() && !why.contains(';'), "{field} {value}: {answer}");
        let expected = json!({ "success": false, "msg": "字段验证错误", "data": { field: why } });
        assert_eq!(answer, expected);
    }
    for (field, value) in [
        ("_page", json!(0)),
        ("_page", json!("x")),
        ("_perpage", json!(101)),
        ("_perpage", json!(-1)),
    ] {
        let mut list = json!({ "uid": "1" });
        list[field] = value;
        let answer = ask(&running, "/dapi/calltask/list", list).await;
        assert!(answer["data"][field].is_string(), "{answer}");
    }
    let answer = ask(&running, "/dapi/calltask/list", json!({ "uid": "1" })).await;
    assert_eq!(data(answer)["rows"], json!([]));
    assert!(ask(&running, "/dapi/calltask/delete", json!({})).await["data"]["id"].is_string());
}

/// By the clock of the machine: the only test in which a task waits for it.
#[tokio::test]
async fn a_scheduled_call_rings_within_a_second_of_its_time() {
    let running = start_with(|config| config.dapi.time_zone = "UTC".to_owned()).await;
    let due_s = now_s() + 2;
    let call_time = utc(due_s);
    let task = json!({ "src_uid": "1", "dst_uid": "2", "call_time": call_time, "taskid": "7" });
    data(ask(&running, "/dapi/calltask/update", task).await);
    assert_eq!(messages(&running, "2").await, json!([]));
    loop {
        let rung = messages(&running, "2").await;
        if rung != json!([]) {
            assert_eq!(rung.as_array().unwrap().len(), 1);
            break;
        }
        assert!(now_s() < due_s + 20, "it never rings");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let asked = json!({ "uid": "1" });
    let fired = data(ask(&running, "/dapi/calltask/list", asked).await)["rows"][0].clone();
    assert_eq!(
        (&fired["fire_time"], &fired["_status_label"]),
        (&json!(call_time), &json!("已拨打")),
        "{fired}"
    );
}
