//! Things that outlive the process: the program is ended and started again on the same directory.

use crate::support::server::Server;

fn client() -> reqwest::Client {
    // The certificate is self-made.
    reqwest::Client::builder()
        .no_proxy()
        .danger_accept_invalid_certs(true)
        .build()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_uploaded_file_survives_a_restart() {
    let mut server = Server::start().await;
    let part = reqwest::multipart::Part::bytes(b"still here".to_vec())
        .file_name("a.txt")
        .mime_str("text/plain")
        .unwrap();
    let form = reqwest::multipart::Form::new().part("file", part);
    let answer = client()
        .post(server.page("/files"))
        .multipart(form)
        .send()
        .await
        .unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
    let answer: serde_json::Value = answer.json().await.unwrap();
    let path = answer["fileUrl"]
        .as_str()
        .unwrap_or_else(|| panic!("no fileUrl: {answer}"))
        .to_owned();

    server.restart().await;
    let fetched = client().get(server.page(&path)).send().await.unwrap();
    assert!(fetched.status().is_success(), "{fetched:?}");
    assert_eq!(fetched.text().await.unwrap(), "still here");
}
