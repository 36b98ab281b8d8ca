//! Files that participants share, as clients send and fetch them.

use std::path::Path;

use reqwest::multipart::{Form, Part};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::running::{PATIENCE, Running, header, start};

fn part(content: impl Into<Vec<u8>>, name: &str, media_type: &str) -> Part {
    let name = name.to_owned();
    Part::bytes(content.into())
        .file_name(name)
        .mime_str(media_type)
        .unwrap()
}

pub fn form(content: impl Into<Vec<u8>>, name: &str, media_type: &str) -> Form {
    Form::new().part("file", part(content, name, media_type))
}

pub async fn post(running: &Running, form: Form) -> (u16, Value) {
    let response = running
        .http
        .post(running.url("/files"))
        .multipart(form)
        .send()
        .await
        .unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

fn sentence(body: &Value) -> &str {
    body["error"].as_str().expect("an error is a sentence")
}

/// The number of files in the uploads folder.
fn stored(running: &Running) -> usize {
    std::fs::read_dir(running.data.path().join("files")).unwrap().count()
}

#[tokio::test]
async fn an_upload_comes_back_as_a_download_and_nothing_else() {
    let running = start(|_| {}).await;
    let content: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    let (status, body) = post(&running, form(content.clone(), "报告 \"1\".pdf", "application/pdf")).await;
    assert_eq!(
        (status, &body["fileName"], &body["fileType"]),
        (200, &"报告 \"1\".pdf".into(), &"application/pdf".into())
    );
    assert_eq!(body["size"], content.len());

    let response = running.get(body["fileUrl"].as_str().unwrap()).await;
    assert_eq!(response.status().as_u16(), 200);
    assert_eq!(header(&response, "content-type"), "application/pdf");
    assert_eq!(
        header(&response, "content-disposition"),
        "attachment; filename=\"__ _1_.pdf\"; filename*=UTF-8''%E6%8A%A5%E5%91%8A%20%221%22.pdf"
    );
    assert_eq!(
        header(&response, "content-security-policy"),
        "default-src 'none'; sandbox"
    );
    assert_eq!(header(&response, "x-content-type-options"), "nosniff");
    assert_eq!(response.bytes().await.unwrap(), content);
}

#[tokio::test]
async fn the_field_may_have_the_name_that_other_servers_clients_use_and_others_are_skipped() {
    let running = start(|_| {}).await;
    let form = Form::new()
        .text("room", "demo")
        .part("other", part("no", "other.txt", "text/plain"))
        .part("uploadFile", part("yes", "a.txt", "text/plain"));
    let (status, body) = post(&running, form).await;
    assert_eq!((status, &body["fileName"]), (200, &"a.txt".into()));
    let (status, body) = post(&running, Form::new().text("file", "not a file")).await;
    assert_eq!(
        (status, sentence(&body)),
        (400, "the form has no file in a field named `file`")
    );
}

#[tokio::test]
async fn a_hostile_name_is_just_a_name() {
    let running = start(|_| {}).await;
    let long = format!("{}.txt", "n".repeat(300));
    for (sent, shown) in [
        ("../../../etc/cron.d/x.txt", "x.txt"),
        ("..\\..\\x.txt", "x.txt"),
        ("<img src=x onerror=alert(1)>.txt", "<img src=x onerror=alert(1)>.txt"),
        ("evil\u{202E}txt.txt", "eviltxt.txt"),
        ("..", "file"),
        (&long, &format!("{}.txt", "n".repeat(196))),
    ] {
        let (status, body) = post(&running, form("x", sent, "text/plain")).await;
        assert_eq!((status, body["fileName"].as_str().unwrap()), (200, shown), "{sent}");
        let response = running.get(body["fileUrl"].as_str().unwrap()).await;
        assert_eq!(response.status().as_u16(), 200, "{sent}");
        assert!(
            header(&response, "content-disposition").starts_with("attachment; filename=\""),
            "{sent}"
        );
    }
    let raw = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a%0D%0ASet-Cookie: x.txt\"\r\n\
        Content-Type: text/plain\r\n\r\nx\r\n--b--\r\n";
    let answer = running.raw(post_raw(raw).as_bytes()).await;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains("aSet-Cookie: x.txt"),
        "{answer}"
    );
    assert_eq!(stored(&running), 7, "all in the uploads folder");
    assert!(!Path::new("/etc/cron.d/x.txt").exists());
}

fn post_raw(body: &str) -> String {
    let length = body.len();
    format!(
        "POST /files HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: multipart/form-data; boundary=b\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
}

#[tokio::test]
async fn web_pages_and_programs_are_refused_whatever_they_call_themselves() {
    let running = start(|_| {}).await;
    for (name, media_type) in [
        ("a.html", "text/html"),
        ("a.txt", "text/html"),
        ("a.html", "image/png"),
        ("a.js", "text/plain"),
        ("a.exe", "application/octet-stream"),
        ("a", "application/octet-stream"),
    ] {
        let (status, body) = post(&running, form("<script>alert(1)</script>", name, media_type)).await;
        assert_eq!(status, 415, "{name} {media_type}");
        assert!(sentence(&body).contains("not accepted"), "{body}");
    }
    assert_eq!(stored(&running), 0);
}

#[tokio::test]
async fn a_file_over_the_limit_is_refused_and_leaves_nothing() {
    let running = start(|config| config.files.max_size_mib = 1).await;
    let (status, _) = post(&running, form(vec![0; 1 << 20], "fits.txt", "text/plain")).await;
    assert_eq!(status, 200);
    let too_large = || part(vec![0; (1 << 20) + 1], "large.txt", "text/plain");
    let (status, body) = post(&running, Form::new().part("file", too_large())).await;
    assert_eq!((status, sentence(&body)), (413, "the file is larger than 1 MiB"));
    let (status, _) = post(&running, form(vec![0; 4 << 20], "larger.txt", "text/plain")).await;
    assert_eq!(status, 413, "known from the announced length alone");

    // If no length was announced, the server notices while the body arrives.
    let head = "POST /files HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\
        Content-Type: multipart/form-data; boundary=b\r\n\r\n";
    let begun = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"endless.txt\"\r\n\r\n";
    let piece = format!("{:x}\r\n{begun}\r\n", begun.len());
    let more = format!("{:x}\r\n{}\r\n", 100_000, "x".repeat(100_000)).repeat(40);
    let answer = running
        .raw([head, &piece, &more, "0\r\n\r\n"].concat().as_bytes())
        .await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert_eq!(stored(&running), 1, "the one that fits");
}

#[tokio::test]
async fn forms_that_are_none_are_refused() {
    let running = start(|_| {}).await;
    let post = |content_type: &'static str, body: Vec<u8>| {
        let request = running
            .http
            .post(running.url("/files"))
            .header("content-type", content_type);
        async { request.body(body).send().await.unwrap().status().as_u16() }
    };
    assert_eq!(post("text/plain", b"x".to_vec()).await, 400);
    assert_eq!(post("multipart/form-data", b"x".to_vec()).await, 400);
    assert_eq!(
        post("multipart/form-data; boundary=b", b"no boundary".to_vec()).await,
        400
    );
    assert_eq!(
        post("multipart/form-data; boundary=b", b"--b\r\n\xFF\xFE\r\n\r\n".to_vec()).await,
        400
    );
    assert_eq!(
        post(
            "multipart/form-data; boundary=b",
            [b"--b\r\n", vec![b'a'; 99_999].as_slice()].concat()
        )
        .await,
        400
    );
    assert_eq!(stored(&running), 0);
}

#[tokio::test]
async fn foreign_pages_may_not_upload_unless_they_are_configured() {
    let running = start(|config| config.http.allowed_origins = vec!["https://app.example".to_owned()]).await;
    let upload = |origin: &'static str| {
        let request = running.http.post(running.url("/files")).header("origin", origin);
        async {
            request
                .multipart(form("x", "a.txt", "text/plain"))
                .send()
                .await
                .unwrap()
        }
    };
    let foreign = upload("https://evil.example").await;
    assert_eq!(foreign.status().as_u16(), 403);
    assert_eq!(header(&foreign, "access-control-allow-origin"), "");
    let configured = upload("https://app.example").await;
    assert_eq!(configured.status().as_u16(), 200);
    assert_eq!(
        header(&configured, "access-control-allow-origin"),
        "https://app.example"
    );
    assert_eq!(stored(&running), 1);
}

#[tokio::test]
async fn files_are_found_by_their_whole_id_alone() {
    let running = start(|_| {}).await;
    let (_, body) = post(&running, form("x", "a.txt", "text/plain")).await;
    let url = body["fileUrl"].as_str().unwrap();
    let id = url.split('/').nth(2).unwrap();
    let renamed = running.get(&format!("/files/{id}/other%20name")).await;
    assert_eq!(renamed.status().as_u16(), 200, "the name is for people");
    for path in [
        format!("/files/{}/a.txt", &id[..31]),
        format!(
            "/files/{}/a.txt",
            id.to_uppercase().replace(|c: char| c.is_ascii_digit(), "f")
        ),
        "/files/..%2frecords.db/a.txt".to_owned(),
        "/files/%2e%2e/records.db".to_owned(),
        "/files/".to_owned(),
        format!("/files/{id}"),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let answer = running.raw(request.as_bytes()).await;
        assert!(
            answer.starts_with("HTTP/1.1 404") || answer.starts_with("HTTP/1.1 405"),
            "{path}: {answer}"
        );
        assert!(!answer.contains("SQLite"), "{path}");
    }
}

/// A form whose file has begun and does not end.
async fn begin(running: &Running) -> TcpStream {
    let mut stream = TcpStream::connect(running.address()).await.unwrap();
    let head = "POST /files HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n\
        Content-Length: 1000000\r\n\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&[b'x'; 200_000]).await.unwrap();
    stream
}

async fn until(what: &str, running: &Running, count: usize) {
    let changed = async {
        while stored(running) != count {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, changed).await.expect(what);
}

#[tokio::test]
async fn a_client_that_vanishes_while_it_uploads_leaves_nothing() {
    let running = start(|_| {}).await;
    let stream = begin(&running).await;
    until("the upload is being written", &running, 1).await;
    drop(stream);
    until("it is removed", &running, 0).await;
}

#[tokio::test]
async fn one_upload_more_than_allowed_at_once_is_asked_to_come_back() {
    let running = start(|config| config.files.max_uploads = 1).await;
    let mut first = begin(&running).await;
    until("the upload is being written", &running, 1).await;
    let response = running
        .http
        .post(running.url("/files"))
        .multipart(form("x", "b.txt", "text/plain"));
    let response = response.send().await.unwrap();
    assert_eq!(response.status().as_u16(), 503);
    assert_eq!(header(&response, "retry-after"), "5");
    let rest = [vec![b'x'; 1_000_000 - 200_000 - 77 - 9], b"\r\n--b--\r\n".to_vec()].concat();
    first.write_all(&rest).await.unwrap();
    first.write_all(&[b'x'; 100]).await.unwrap();
    let mut answer = [0; 12];
    tokio::time::timeout(PATIENCE, first.read_exact(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200", "the first was not disturbed");
    let (status, _) = post(&running, form("x", "b.txt", "text/plain")).await;
    assert_eq!(status, 200, "and its place is free again");
}
