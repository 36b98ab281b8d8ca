//! Who is let in: by which host name, from which page, under which spelling of an address; and how refusals look.

use serde_json::Value;

use super::running::{Running, header, listener, start};

/// A server without TLS on two ports.
async fn on_two_ports() -> Running {
    start(|config| config.listeners = vec![listener("127.0.0.1:0", false); 2]).await
}

async fn get_as(running: &Running, host: &str, path: &str) -> reqwest::Response {
    let request = running.http.get(running.url(path)).header("host", host);
    request.send().await.unwrap()
}

/// The sentence of a refusal, which has nothing else in it.
async fn sentence(response: reqwest::Response) -> String {
    assert_eq!(header(&response, "content-type"), "application/json");
    let body: Value = response.json().await.unwrap();
    assert_eq!(body.as_object().unwrap().len(), 1, "{body}");
    body["error"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_foreign_host_name_is_refused_everywhere_with_the_setting_that_would_allow_it() {
    let running = start(|_| {}).await;
    for path in [
        "/",
        "/room",
        "/healthz",
        "/readyz",
        "/metrics",
        "/ws",
        "/nope",
        "/static/start/start.js",
    ] {
        for host in ["rebind.example", "rebind.example:8443", "localhost.rebind.example"] {
            let response = get_as(&running, host, path).await;
            assert_eq!(response.status().as_u16(), 421, "{host} {path}");
            let policy = header(&response, "content-security-policy").to_owned();
            assert!(!policy.is_empty(), "refusals have the headers of every answer");
            let sentence = sentence(response).await;
            assert!(sentence.contains("http.allowed_hosts"), "{sentence}");
            assert!(
                sentence.contains(&format!("`{}`", host.split(':').next().unwrap())),
                "{sentence}"
            );
        }
    }
    for path in ["/account/login", "/files"] {
        let request = running.http.post(running.url(path)).header("host", "rebind.example");
        assert_eq!(request.send().await.unwrap().status().as_u16(), 421, "{path}");
    }
}

#[tokio::test]
async fn addresses_localhost_and_configured_names_are_answered() {
    let running = start(|config| config.http.allowed_hosts = vec!["calls.example.org".to_owned()]).await;
    for host in [
        "localhost:1",
        "LOCALHOST",
        "192.168.1.7:8443",
        "[2001:db8::1]:8443",
        "calls.example.org",
        "Calls.Example.ORG.:443",
    ] {
        let response = get_as(&running, host, "/healthz").await;
        assert_eq!(response.status().as_u16(), 200, "{host}");
    }
}

#[tokio::test]
async fn a_listener_for_operators_looks_at_the_host_as_well() {
    // Port 0 would be another one than the test knows.
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let running = start(|config| config.metrics.address = free.to_string()).await;
    let url = format!("http://{free}/healthz");
    for (host, status) in [("rebind.example", 421), ("localhost", 200)] {
        let response = running.http.get(&url).header("host", host).send().await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{host}");
    }
}

#[tokio::test]
async fn a_request_needs_one_host_unless_it_is_older_than_the_header() {
    let running = start(|_| {}).await;
    for (request, status) in [
        ("GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n", "400"),
        ("GET /healthz HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n", "400"),
        ("GET /healthz HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n", "400"),
        (
            "GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\nConnection: close\r\n\r\n",
            "400",
        ),
        (
            "GET http://rebind.example/healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
            "421",
        ),
        (
            "GET http://localhost/healthz HTTP/1.1\r\nHost: rebind.example\r\nConnection: close\r\n\r\n",
            "200",
        ),
        (
            "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
            "200",
        ),
        ("GET /healthz HTTP/1.0\r\n\r\n", "200"),
        ("GET /healthz HTTP/1.0\r\nHost: rebind.example\r\n\r\n", "421"),
    ] {
        let answer = running.raw(request.as_bytes()).await;
        assert_eq!(answer.split(' ').nth(1), Some(status), "{request}{answer}");
    }
}

#[tokio::test]
async fn a_page_on_one_of_our_ports_may_use_the_others() {
    let running = on_two_ports().await;
    let pages = format!("http://127.0.0.1:{}", running.server.listeners()[1].address.port());
    let login = running.url("/account/login");
    let asking = running.http.request(reqwest::Method::OPTIONS, &login);
    let asking = asking
        .header("origin", &pages)
        .header("access-control-request-method", "POST");
    let answer = asking.send().await.unwrap();
    assert_eq!(header(&answer, "access-control-allow-origin"), pages);
    assert_eq!(header(&answer, "access-control-allow-headers"), "content-type");
    // The key of an app's back end is sent in a header.
    let asking = running
        .http
        .request(reqwest::Method::OPTIONS, running.url("/dapi/call/msg"));
    let asking = asking
        .header("origin", &pages)
        .header("access-control-request-method", "POST");
    let answer = asking
        .header("access-control-request-headers", "authorization")
        .send()
        .await
        .unwrap();
    assert_eq!(header(&answer, "access-control-allow-origin"), pages);
    assert_eq!(
        header(&answer, "access-control-allow-headers"),
        "content-type,authorization"
    );
    let answer = running
        .http
        .post(&login)
        .header("origin", &pages)
        .body("{}")
        .send()
        .await
        .unwrap();
    assert_eq!(
        (answer.status().as_u16(), header(&answer, "access-control-allow-origin")),
        (200, pages.as_str())
    );
    let upgrade = |origin: String| {
        format!(
            "GET /ws HTTP/1.1\r\nHost: {}\r\nOrigin: {origin}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            running.address()
        )
    };
    // A status line is all that is needed of it.
    let status = async |origin: String| {
        let mut stream = tokio::net::TcpStream::connect(running.address()).await.unwrap();
        let mut line = [0; 12];
        tokio::io::AsyncWriteExt::write_all(&mut stream, upgrade(origin).as_bytes())
            .await
            .unwrap();
        tokio::io::AsyncReadExt::read_exact(&mut stream, &mut line)
            .await
            .unwrap();
        String::from_utf8_lossy(&line).into_owned()
    };
    assert_eq!(status(pages.clone()).await, "HTTP/1.1 101");
    for foreign in ["http://127.0.0.1:1", "http://127.0.0.2", "null", "file://"] {
        assert_eq!(status(foreign.to_owned()).await, "HTTP/1.1 403", "{foreign}");
    }
}

#[tokio::test]
async fn one_guard_with_one_sentence_stands_before_everything_that_a_page_could_misuse() {
    let running = start(|config| config.http.allowed_origins = vec!["null".to_owned()]).await;
    let mut sentences = Vec::new();
    for path in [
        "/files",
        "/account/login",
        "/getContactPersons",
        "/account/contacts/add",
        "/account/contacts/remove",
    ] {
        for origins in [&["https://evil.example"][..], &["null", "https://evil.example"]] {
            let mut request = running.http.post(running.url(path)).body("{}");
            for origin in origins {
                request = request.header("origin", *origin);
            }
            let response = request.send().await.unwrap();
            assert_eq!(response.status().as_u16(), 403, "{path} {origins:?}");
            assert_eq!(header(&response, "access-control-allow-origin"), "");
            sentences.push(sentence(response).await);
        }
        let own = running.http.post(running.url(path)).header("origin", "null").body("{}");
        let response = own.send().await.unwrap();
        assert_eq!(header(&response, "access-control-allow-origin"), "null", "{path}");
    }
    assert!(
        sentences.iter().all(|one| one.contains("http.allowed_origins")),
        "{sentences:?}"
    );
    for path in ["/call", "/direct", "/groupcall", "/ws", "/socket.io"] {
        let request = running
            .http
            .get(running.url(path))
            .header("origin", "https://evil.example");
        assert_eq!(request.send().await.unwrap().status().as_u16(), 403, "{path}");
    }
}

#[tokio::test]
async fn an_address_may_end_with_a_slash() {
    let running = start(|_| {}).await;
    for (path, status) in [
        ("/room/", 200),
        ("/room/?userId=1&groupId=2", 200),
        ("/messages/", 200),
        ("/device/", 200),
        ("/static/demo/direct_chat.html/?room_id=1", 200),
        ("/healthz/", 200),
        ("/readyz/", 200),
        ("/metrics/", 200),
        // No WebSocket is asked for.
        ("/ws/", 426),
        ("/call/", 426),
        ("/groupcall/", 426),
        ("/direct/", 426),
        ("/socket.io/", 426),
        ("/nope/", 404),
    ] {
        assert_eq!(running.get(path).await.status().as_u16(), status, "{path}");
    }
    for path in [
        "/account/login/",
        "/getContactPersons/",
        "/account/contacts/add/",
        "/account/contacts/remove/",
    ] {
        let response = running.http.post(running.url(path)).body("{}").send().await.unwrap();
        let answer: Value = response.json().await.unwrap();
        assert_eq!(answer["errorCode"], 2, "{path}");
    }
    let response = running.http.post(running.url("/files/")).body("").send().await.unwrap();
    assert_eq!(response.status().as_u16(), 400);
}

#[tokio::test]
async fn whatever_is_refused_is_refused_in_one_shape() {
    let running = start(|_| {}).await;
    for (method, path, status, words) in [
        ("GET", "/account/login", 405, "does not answer GET"),
        ("DELETE", "/files", 405, "does not answer DELETE"),
        ("POST", "/healthz", 405, "does not answer POST"),
        ("GET", "/ws", 426, "WebSocket"),
        ("GET", "/socket.io?token=a&token=b", 426, "WebSocket"),
        ("POST", "/socket.io", 405, "does not answer POST"),
        ("GET", "/files/%ff/x", 400, "not understood"),
        ("POST", "/files", 400, ""),
    ] {
        let method: reqwest::Method = method.parse().unwrap();
        let response = running
            .http
            .request(method.clone(), running.url(path))
            .send()
            .await
            .unwrap();
        assert_eq!(response.status().as_u16(), status, "{method} {path}");
        assert_eq!(
            header(&response, "upgrade"),
            if status == 426 { "websocket" } else { "" }
        );
        assert_eq!(header(&response, "allow").is_empty(), status != 405, "{path}");
        let sentence = sentence(response).await;
        assert!(sentence.contains(words), "{method} {path}: {sentence}");
    }
    let upgrade = "Connection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    for query in ["token=a&token=b", "token=%ff", "token"] {
        let request = format!("GET /socket.io?{query} HTTP/1.1\r\nHost: localhost\r\n{upgrade}");
        let answer = running.raw(request.as_bytes()).await;
        assert!(
            answer.starts_with("HTTP/1.1 401") && answer.contains("{\"error\":"),
            "{query}: {answer}"
        );
    }
}

#[tokio::test]
async fn a_page_is_marked_when_a_link_of_another_site_opened_it() {
    let running = start(|config| config.http.trusted_sites = vec!["https://app.example".to_owned()]).await;
    let marked = async |path: &str, headers: &[(&str, &str)]| {
        let mut request = running.http.get(running.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), 200, "{path}");
        let etag = header(&response, "etag").to_owned();
        (
            response
                .text()
                .await
                .unwrap()
                .contains("<html data-opened=\"elsewhere\" lang=\"en\">"),
            etag,
        )
    };
    for path in [
        "/room?userId=1&groupId=2",
        "/?userId=1&sendId=2",
        "/messages",
        "/device",
        "/meet",
        "/static/demo/direct_chat.html?room_id=1",
    ] {
        let (asks, plain) = marked(path, &[("sec-fetch-site", "none")]).await;
        assert!(!asks, "{path}");
        let (asks, other) = marked(path, &[("sec-fetch-site", "cross-site")]).await;
        assert!(asks, "{path}");
        assert_ne!(plain, other, "one document is not kept for the other");
        // A copy of the other kind that the browser has kept does not count as unchanged.
        let (asks, _) = marked(path, &[("sec-fetch-site", "cross-site"), ("if-none-match", &plain)]).await;
        assert!(asks, "{path}");
        let trusted = [("sec-fetch-site", "cross-site"), ("referer", "https://app.example/")];
        assert!(!marked(path, &trusted).await.0, "{path}");
    }
    let script = running.http.get(running.url("/static/start/start.js"));
    let script = script.header("sec-fetch-site", "cross-site").send().await.unwrap();
    assert!(!script.text().await.unwrap().contains("data-opened"));
    // A file that is no text stays as it is, byte for byte.
    let icon = async |site: &str| {
        let request = running.http.get(running.url("/favicon.ico"));
        let response = request.header("sec-fetch-site", site).send().await.unwrap();
        (header(&response, "etag").to_owned(), response.bytes().await.unwrap())
    };
    assert_eq!(icon("cross-site").await, icon("none").await);
}

#[tokio::test]
async fn without_the_call_api_its_page_does_not_exist_and_the_start_page_does_not_lead_to_it() {
    let shown = async |enabled: bool, path: &str| {
        let running = start(|config| config.dapi.enabled = enabled).await;
        let response = running.http.get(running.url(path)).send().await.unwrap();
        let (status, etag) = (response.status().as_u16(), header(&response, "etag").to_owned());
        (status, etag, response.text().await.unwrap())
    };
    assert_eq!(shown(true, "/calls").await.0, 200);
    assert_eq!(shown(false, "/calls").await.0, 404);
    let ((_, with, start), (_, without, marked)) = (shown(true, "/").await, shown(false, "/").await);
    assert!(start.contains("<html lang=\"en\">"));
    assert!(marked.contains("<html data-calls=\"off\" lang=\"en\">"));
    assert_ne!(with, without, "one document is not kept for the other");
}
