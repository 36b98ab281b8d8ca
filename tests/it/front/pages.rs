//! Pages as browsers get them.

use std::path::Path;

use super::running::{Running, header, listener, start};

#[tokio::test]
async fn pages_are_served_with_their_types_and_modules_as_scripts() {
    let running = start(|_| {}).await;
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/room?userId=1&groupId=demo&type=video", "text/html; charset=utf-8"),
        ("/static/start/start.js", "text/javascript; charset=utf-8"),
        ("/static/common/base.css", "text/css; charset=utf-8"),
        ("/static/common/logo.svg", "image/svg+xml"),
    ] {
        let response = running.get(path).await;
        assert_eq!(
            (response.status().as_u16(), header(&response, "content-type")),
            (200, kind),
            "{path}"
        );
    }
}

#[tokio::test]
async fn the_first_page_is_a_call_where_both_ends_are_named() {
    let running = start(|_| {}).await;
    for (query, is_call) in [
        ("", false),
        ("?userId=1&sendId=2&type=audio&callType=callee", true),
        ("?sendId=%E5%BC%A0&userId=1", true),
        ("?userId=1", false),
        ("?userId=1&sendId=", false),
        ("?userId&sendId=2", false),
        ("?a&&=&userId=%zz&sendId=%00", true),
    ] {
        let text = running.get(&format!("/{query}")).await.text().await.unwrap();
        assert_eq!(text.contains("/call/main.js"), is_call, "{query}");
        assert_eq!(text.contains("/start/start.js"), !is_call, "{query}");
    }
}

#[tokio::test]
async fn every_answer_tells_browsers_to_run_nothing_but_our_own_files() {
    let running = start(|config| config.http.frame_ancestors = vec!["https://app.example".to_owned()]).await;
    for path in ["/", "/room", "/healthz", "/no/such/page", "/static/none", "/files"] {
        let response = running.get(path).await;
        let policy = header(&response, "content-security-policy");
        assert!(
            policy.contains("default-src 'none'; script-src 'self'; style-src 'self';"),
            "{path}: {policy}"
        );
        assert!(
            policy.contains("object-src 'none'; base-uri 'none'"),
            "{path}: {policy}"
        );
        assert!(
            policy.ends_with("frame-ancestors https://app.example"),
            "{path}: {policy}"
        );
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(header(&response, "x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header(&response, "referrer-policy"), "same-origin", "{path}");
        assert!(
            header(&response, "permissions-policy").contains("camera=(self)"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_page_may_connect_to_every_listener_on_its_host() {
    let listeners = vec![listener("127.0.0.1:0", false), listener("127.0.0.1:0", true)];
    let running = start(|config| config.listeners = listeners).await;
    let response = running.get("/").await;
    let policy = header(&response, "content-security-policy");
    for listener in running.server.listeners() {
        let port = listener.address.port();
        assert!(policy.contains(&format!(" ws://127.0.0.1:{port}")), "{port}: {policy}");
    }
}

#[tokio::test]
async fn an_unchanged_page_is_not_sent_again() {
    let running = start(|_| {}).await;
    let first = running.get("/").await;
    let etag = header(&first, "etag").to_owned();
    assert_eq!(header(&first, "cache-control"), "no-cache");
    for (known, status) in [
        (etag.clone(), 304),
        (format!("\"other\", W/{etag}"), 304),
        ("*".to_owned(), 304),
        ("\"other\"".to_owned(), 200),
    ] {
        let again = running
            .http
            .get(running.url("/"))
            .header("if-none-match", &known)
            .send();
        let again = again.await.unwrap();
        assert_eq!(again.status().as_u16(), status, "{known}");
        assert_eq!(header(&again, "etag"), etag);
        assert_eq!(again.bytes().await.unwrap().is_empty(), status == 304);
    }
}

/// The address of a file that the start page names.
async fn named_file(running: &Running) -> String {
    let document = running.get("/").await.text().await.unwrap();
    let (_, after) = document.split_once("<script type=\"module\" src=\"").unwrap();
    after.split_once('"').unwrap().0.to_owned()
}

#[tokio::test]
async fn files_that_a_document_names_are_kept_for_good_and_others_are_asked_for() {
    let running = start(|_| {}).await;
    let address = named_file(&running).await;
    let version = address.split('/').nth(3).unwrap();
    assert_eq!(version.len(), 16, "{address}");
    let plain = address.replace(&format!("v/{version}/"), "");
    let of_another_version = address.replace(version, "0123456789abcdef");
    for (address, cached) in [
        (&address, "public, max-age=31536000, immutable"),
        (&plain, "no-cache"),
        (&of_another_version, "no-cache"),
    ] {
        let response = running.get(address).await;
        assert_eq!(response.status().as_u16(), 200, "{address}");
        assert_eq!(header(&response, "cache-control"), cached, "{address}");
        assert_eq!(header(&response, "content-type"), "text/javascript; charset=utf-8");
    }
    let document = running.get(&format!("/static/v/{version}/start/index.html")).await;
    assert_eq!(header(&document, "cache-control"), "no-cache", "a document");
    let swagger = running
        .get(&format!("/static/v/{version}/swagger-ui/swagger-ui.css"))
        .await;
    assert!(header(&swagger, "cache-control").ends_with("immutable"));
    for address in [format!("/static/v/{version}"), format!("/static/v/{version}/nope.js")] {
        assert_eq!(running.get(&address).await.status().as_u16(), 404, "{address}");
    }
}

#[tokio::test]
async fn every_file_that_a_document_names_has_a_version() {
    let running = start(|_| {}).await;
    for path in [
        "/",
        "/?userId=1&sendId=2",
        "/room",
        "/messages",
        "/calls",
        "/device",
        "/meet",
        "/api",
    ] {
        let document = running.get(path).await.text().await.unwrap();
        let named = document.matches("=\"/static/").count();
        assert!(named > 3, "{path}");
        assert_eq!(document.matches("=\"/static/v/").count(), named, "{path}");
    }
}

#[tokio::test]
async fn text_is_compressed_for_clients_that_take_it_and_each_form_has_its_tag() {
    let running = start(|_| {}).await;
    let asked = async |path: &str, accepted: &str| {
        let request = running.http.get(running.url(path)).header("accept-encoding", accepted);
        request.send().await.unwrap()
    };
    let mut tags = std::collections::BTreeSet::new();
    let whole = running.get("/room").await.bytes().await.unwrap().len();
    for (accepted, coding) in [("gzip, deflate, br", "br"), ("gzip", "gzip"), ("identity", "")] {
        let response = asked("/room", accepted).await;
        assert_eq!(header(&response, "content-encoding"), coding);
        assert_eq!(header(&response, "vary"), "Accept-Encoding");
        let tag = header(&response, "etag").to_owned();
        let bytes = response.bytes().await.unwrap().len();
        assert_eq!(bytes < whole / 2, !coding.is_empty(), "{coding}: {bytes} of {whole}");
        let again = running
            .http
            .get(running.url("/room"))
            .header("accept-encoding", accepted);
        let again = again.header("if-none-match", &tag).send().await.unwrap();
        assert_eq!(again.status().as_u16(), 304, "{coding}");
        tags.insert(tag);
    }
    assert_eq!(tags.len(), 3, "{tags:?}");
    let picture = asked("/favicon.ico", "br").await;
    assert_eq!(header(&picture, "content-encoding"), "");
}

#[tokio::test]
async fn an_address_that_leads_nowhere_is_a_plain_page_that_says_so() {
    let running = start(|_| {}).await;
    for path in ["/nope", "/static/", "/static/nope.js", "/static/not-found"] {
        let response = running.get(path).await;
        assert_eq!(response.status().as_u16(), 404, "{path}");
        assert_eq!(header(&response, "content-type"), "text/html; charset=utf-8");
        assert!(
            response.text().await.unwrap().contains("There is nothing here"),
            "{path}"
        );
    }
    let response = running.http.post(running.url("/room")).send().await.unwrap();
    assert_eq!(response.status().as_u16(), 405);
}

#[tokio::test]
async fn nothing_outside_the_pages_folder_is_served() {
    let running = start(|_| {}).await;
    for path in [
        "/static/../Cargo.toml",
        "/static/%2e%2e/Cargo.toml",
        "/static/..%2fCargo.toml",
        "/static/..%5cCargo.toml",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/start/../../Cargo.toml",
        "/static/%00",
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let answer = running.raw(request.as_bytes()).await;
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert!(matches!(status, "404" | "400"), "{path}: {answer}");
        assert!(!answer.contains("[package]") && !answer.contains("root:"), "{path}");
    }
}

#[test]
fn no_page_has_script_or_style_in_its_html() {
    let mut pages = 0;
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("static")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "html") {
                pages += 1;
                no_inline_code(&path);
            }
        }
    }
    assert!(pages >= 3, "start, room and not-found were looked at");
}

/// The policy would block it in the browser; this test finds it sooner.
fn no_inline_code(path: &Path) {
    let text = std::fs::read_to_string(path).unwrap();
    for tag in text.split('<').skip(1).filter_map(|rest| rest.split('>').next()) {
        let name = tag.split_whitespace().next().unwrap_or_default();
        assert!(name != "style", "{}: <style>", path.display());
        assert!(name != "script" || tag.contains(" src="), "{}: <{tag}>", path.display());
        for attribute in tag.split_whitespace().skip(1) {
            let handler = attribute.starts_with("on") && attribute.contains("=\"");
            assert!(
                !handler && !attribute.starts_with("style="),
                "{}: <{tag}>",
                path.display()
            );
        }
    }
}
