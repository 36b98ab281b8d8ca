//! The basis of the other tests: a driven Chromium gives a page its fake camera and microphone.

use std::time::Duration;

use axum::Router;
use axum::response::Html;
use axum::routing::get;

use crate::harness::chromium::Chromium;
use crate::harness::shared_turn;

const PAGE: &str = r#"<!doctype html><title>devices</title><video id="video" autoplay muted></video><script>
navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 1280, height: 720 } })
  .then((stream) => { document.getElementById('video').srcObject = stream; })
  .catch((error) => console.error('no devices', error.name));
</script>"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_page_gets_a_fake_camera_and_microphone() {
    let _turn = shared_turn().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/", get(async || Html(PAGE)));
    let server = tokio::spawn(async move { axum::serve(listener, router).await });

    let chromium = Chromium::start();
    let page = chromium.page("devices").await;
    page.go(&format!("http://{address}/")).await;
    page.until(
        "the camera's picture plays",
        Duration::from_secs(10),
        "video.currentTime > 0 && video.videoWidth === 1280",
    )
    .await;
    let tracks: Vec<String> = page
        .eval("video.srcObject.getTracks().map((track) => track.kind)")
        .await;
    assert_eq!(tracks, ["audio", "video"]);
    server.abort();
}
