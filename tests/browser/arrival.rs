//! Pages that join, call or log in by their address: at once if this site or the person opened them, and after a click if
//! a link of another site did.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::harness::chromium::{Chromium, Options};
use crate::harness::page::Page;
use crate::harness::room::{MEDIA_PATIENCE, SIGNAL_PATIENCE};
use crate::harness::turn;
use crate::support::server::Server;

/// Each page with the parameters that start it.
const STARTS: [&str; 6] = [
    "/room?userId=7&groupId=demo&type=video",
    "/?userId=anna&sendId=ben&callType=callee",
    "/?userId=anna&sendId=ben&callType=caller&type=audio",
    "/static/demo/direct_chat.html?room_id=4711",
    "/messages?userId=anna",
    "/device?phone=13800000001&device=d1",
];

/// A script that counts how often a page has asked for a camera or a microphone, also if it has not got one yet.
const COUNTS_REQUESTS: &str = "window.devicesAsked = 0;
    const ask = window.MediaDevices?.prototype.getUserMedia;
    if (ask) MediaDevices.prototype.getUserMedia = function (...wanted) {
      window.devicesAsked += 1;
      return ask.apply(this, wanted);
    };";

/// Another site, on another address of loopback: `/` is a page with a link to `target` and with a frame of it, `/hop`
/// leads to it by a redirect. Its responses do not say from where its visitors come.
async fn other_site(target: &str) -> String {
    let listener = TcpListener::bind("127.0.0.2:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let target = target.replace('&', "&amp;");
    let page = format!(
        "<!doctype html><title>another site</title><a id=\"link\" href=\"{target}\">a link</a> \
         <a id=\"hop\" href=\"/hop\">a detour</a>"
    );
    let location = target.replace("&amp;", "&");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 4_096];
            let read = stream.read(&mut head).await.unwrap_or(0);
            let answer = match head[..read].starts_with(b"GET /hop") {
                true => format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\n"),
                false => "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n".to_owned(),
            };
            let rest = format!(
                "Referrer-Policy: no-referrer\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{page}",
                page.len()
            );
            let _ = stream.write_all(format!("{answer}{rest}").as_bytes()).await;
        }
    });
    format!("http://{address}/")
}

impl Page {
    /// Clicks an element of the page, which leaves it.
    async fn follow(&self, id: &str) {
        self.run::<()>("document.getElementById(args[0]).click(); return null;", &[id.into()])
            .await;
    }

    async fn asks(&self, server: &Server, case: &str) {
        let asks = "document.querySelector('#consent [data-action=consent]')?.disabled === false";
        self.until(&format!("{case} asks"), MEDIA_PATIENCE, asks).await;
        let sessions = server.metric("patchbay_sessions").await.unwrap_or(0.0);
        assert_eq!(sessions, 0.0, "{case}: nothing has been joined");
        assert_eq!(
            self.eval::<u32>("devicesAsked").await,
            0,
            "{case}: no device is asked for"
        );
    }

    async fn has_joined(&self, server: &Server, case: &str) {
        let asks: bool = self.eval("document.getElementById('consent') !== null").await;
        assert!(!asks, "{case}");
        server.until_metric("patchbay_sessions", 1.0, MEDIA_PATIENCE).await;
    }

    async fn leaves(&self, server: &Server) {
        self.go("about:blank").await;
        server.until_metric("patchbay_sessions", 0.0, SIGNAL_PATIENCE).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_of_another_site_joins_nothing_before_a_click() {
    let _turn = turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let options = Options {
        script: COUNTS_REQUESTS,
        ..Options::default()
    };
    let page = chromium.page_with("visitor", options).await;
    for path in STARTS {
        let site = other_site(&server.page(path)).await;
        for way in ["link", "hop"] {
            let case = format!("{way} to {path}");
            page.go(&site).await;
            page.follow(way).await;
            page.asks(&server, &case).await;
        }
        page.press("consent").await;
        page.has_joined(&server, path).await;
        // A reload does not ask again after the person has agreed.
        page.reload().await;
        page.has_joined(&server, path).await;
        page.leaves(&server).await;
        // A second link is another question.
        page.go(&site).await;
        page.follow("link").await;
        page.asks(&server, path).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn opened_by_hand_or_by_a_page_of_this_site_it_joins_at_once() {
    let _turn = turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let page = chromium.page("visitor").await;
    for path in STARTS {
        page.go(&server.page(path)).await;
        page.has_joined(&server, path).await;
        page.leaves(&server).await;
        page.go(&server.page("/")).await;
        page.run::<()>("location.assign(args[0]); return null;", &[path.into()])
            .await;
        server.until_metric("patchbay_sessions", 1.0, MEDIA_PATIENCE).await;
        page.leaves(&server).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_of_a_trusted_site_joins_at_once() {
    let _turn = turn().await;
    let server = Server::start_with("[http]\ntrusted_sites = [\"*\"]").await;
    let chromium = Chromium::start();
    let page = chromium.page("visitor").await;
    page.go(&other_site(&server.page(STARTS[0])).await).await;
    page.follow("link").await;
    server.until_metric("patchbay_sessions", 1.0, MEDIA_PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lobby_keeps_the_camera_off_for_a_visitor_from_another_site() {
    let _turn = turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let phone = Options {
        window: Some((390, 780)),
        script: COUNTS_REQUESTS,
        ..Options::default()
    };
    let page = chromium.page_with("guest", phone).await;
    page.go(&other_site(&server.page("/room?groupId=demo")).await).await;
    page.follow("link").await;
    let explains = "document.getElementById('preview-text').textContent.includes('another site')";
    page.until("the lobby says why there is no picture", MEDIA_PATIENCE, explains)
        .await;
    assert_eq!(page.eval::<u32>("devicesAsked").await, 0);
    page.follow("preview-camera").await;
    let open = "patchbay.media.tracks.video !== null && devicesAsked > 0";
    page.until("the camera is on", SIGNAL_PATIENCE, open).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_site_cannot_show_a_page_in_a_frame() {
    let _turn = turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let page = chromium.page("visitor").await;
    page.go(&other_site(&server.page(STARTS[0])).await).await;
    let framed = "const frame = document.createElement('iframe');
        frame.allow = 'camera; microphone';
        frame.src = document.getElementById('link').href;
        const loaded = new Promise((resolve) => frame.addEventListener('load', resolve));
        document.body.append(frame);
        await loaded;
        return null;";
    page.run::<()>(framed, &[]).await;
    let refused = async {
        while !page.console().await.iter().any(|line| line.contains("frame-ancestors")) {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(SIGNAL_PATIENCE, refused)
        .await
        .expect("the browser refuses the frame");
    assert_eq!(server.metric("patchbay_sessions").await.unwrap_or(0.0), 0.0);
}
