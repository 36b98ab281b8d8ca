//! The ports that a browser can reach: the server's other ports, and its media sockets. If it cannot send media, the pages
//! say what is missing, instead of starting for ever.

use std::time::Duration;

use crate::harness::chromium::{Chromium, Options};
use crate::harness::page::Page;
use crate::harness::turn;
use crate::support::server::Server;

/// The eight seconds after the answer, on a busy machine.
const SHOWN_WITHIN: Duration = Duration::from_secs(25);

const NO_ADDRESS: &str = "This browser offers no network address";
const NO_PATH: &str = "There is no way to the server for sound and video (UDP)";

/// A script that changes the answers that arrive, so that they name ports at which nobody listens.
const CLOSED_PORTS: &str = "const set = RTCPeerConnection.prototype.setRemoteDescription;
    RTCPeerConnection.prototype.setRemoteDescription = function ({ type, sdp }) {
      return set.call(this, { type, sdp: sdp.replace(/^(a=candidate:\\S+ \\d+ \\S+ \\d+ \\S+) \\d+/gm, '$1 9') });
    };
    RTCPeerConnection.prototype.addIceCandidate = async () => {};";

/// These tests run where loopback is the only interface, and browsers do not offer that by themselves.
fn without_addresses() -> Options<'static> {
    Options {
        without: &["--allow-loopback-in-peer-connection"],
        ..Options::default()
    }
}

fn with_closed_ports() -> Options<'static> {
    Options {
        script: CLOSED_PORTS,
        ..Options::default()
    }
}

async fn shows(page: &Page, sentence: &str) {
    let shown = format!("document.body.innerText.includes({sentence:?})");
    page.until(sentence, SHOWN_WITHIN, &shown).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_room_says_what_keeps_media_away() {
    let _turn = turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let says = async |user: u32, options, sentence| {
        let page = chromium.page_with(&format!("user-{user}"), options).await;
        page.go(&server.page(&format!("/room?userId={user}&groupId=demo{user}")))
            .await;
        shows(&page, sentence).await;
    };
    tokio::join!(
        says(1, without_addresses(), NO_ADDRESS),
        says(2, with_closed_ports(), NO_PATH)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_says_it_too_and_ends_with_it() {
    let _turn = turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let says = async |caller, callee, options, sentence| {
        let address = |side: &str| server.page(&format!("/?userId={caller}&sendId={callee}&callType={side}"));
        let callee = chromium.page(callee).await;
        callee.go(&address("callee")).await;
        let page = chromium.page_with(caller, options).await;
        page.go(&address("caller")).await;
        let hint = format!(
            "document.querySelector('[data-state=starting] .call-hint')?.textContent.includes({sentence:?}) === true"
        );
        page.until("the call says it while it starts", SHOWN_WITHIN, &hint)
            .await;
        let status = format!(
            "document.querySelector('[data-state=ended] .call-status')?.textContent.includes({sentence:?}) === true"
        );
        page.until("the call ends with it", SHOWN_WITHIN, &status).await;
    };
    tokio::join!(
        says("anna", "ben", without_addresses(), NO_ADDRESS),
        says("carl", "dora", with_closed_ports(), NO_PATH)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_with_the_same_number_see_it_as_well() {
    let _turn = turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let direct = server.page("/static/demo/direct_chat.html?room_id=4711");
    let other = chromium.page("other").await;
    other.go(&direct).await;
    let page = chromium.page_with("page", without_addresses()).await;
    page.go(&direct).await;
    shows(&page, NO_ADDRESS).await;
}

/// The layout of clients whose pages are on one port and whose sockets are on others.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_on_one_port_of_the_server_opens_sockets_and_asks_on_another() {
    let _turn = turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let page = chromium.page("one port").await;
    page.go(&server.page("/")).await;
    let other = |scheme: &str, path: &str| server.plain(scheme, path).replace("127.0.0.1", "localhost");
    let (socket, login) = (other("ws", "/groupcall"), other("http", "/account/login"));
    let ask = "window.reached = [];
        const socket = new WebSocket(args[0]);
        socket.onopen = () => window.reached.push('socket');
        const body = JSON.stringify({ phone: '13800000001', device_id: 'd' });
        fetch(args[1], { method: 'POST', body }).then((answer) => answer.json()).then(
          (answer) => answer.token && window.reached.push('login'));
        return null;";
    page.run::<()>(ask, &[socket.into(), login.into()]).await;
    let both = "['socket', 'login'].every((what) => window.reached.includes(what))";
    page.until("the other port is reached", SHOWN_WITHIN, both).await;
}
