//! Pages whose connection to the server is cut while their media flow: the call goes on, and nothing is missed.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::harness::chromium::Chromium;
use crate::harness::firefox;
use crate::harness::page::Page;
use crate::harness::room::{SIGNAL_PATIENCE, enter};
use crate::harness::turn;
use crate::support::server::Server;

/// Nearly as long as the server waits.
const CUT: Duration = Duration::from_secs(10);

/// A way for TCP through which nothing passes while it is cut.
struct Gate {
    port: u16,
    is_open: watch::Sender<bool>,
}

impl Gate {
    async fn to(server_port: u16) -> Gate {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let is_open = watch::Sender::new(true);
        let opened = is_open.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, server_port, opened.subscribe()));
            }
        });
        Gate { port, is_open }
    }

    /// Ends all connections without a word, and lets no other through.
    fn cut(&self) {
        self.is_open.send_replace(false);
    }

    fn mend(&self) {
        self.is_open.send_replace(true);
    }
}

async fn pass(mut client: TcpStream, server_port: u16, mut is_open: watch::Receiver<bool>) {
    let server = SocketAddr::from(([127, 0, 0, 1], server_port));
    if !*is_open.borrow() {
        return;
    }
    let mut server = TcpStream::connect(server).await.unwrap();
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => {}
        _ = is_open.wait_for(|open| !open) => {}
    }
}

/// The packets of sound and pictures that were lost. It is printed alone: a busy machine loses some.
const LOST: &str = "[...(await probe.inbound('video')), ...(await probe.inbound('audio'))]
    .reduce((sum, one) => sum + one.packetsLost, 0)";

const BANNER: &str = "/call goes on|通话继续/.test(document.getElementById('banner-text').innerText)";

async fn goes_on(page: Page, other: Page, gate: Gate) {
    page.sees_and_hears(1).await;
    other.sees_and_hears(1).await;
    other
        .run::<()>(
            "document.querySelector('[data-participant=\"1\"]').isTheSame = true; return null;",
            &[],
        )
        .await;
    let before: (f64, f64) = (page.eval(LOST).await, other.eval(LOST).await);

    gate.cut();
    let mends_at = Instant::now() + CUT;
    other.chat("while you were cut off").await;
    page.until("a banner", SIGNAL_PATIENCE, BANNER).await;
    page.chat("written while cut off").await;
    page.sees_and_hears(1).await;
    other.sees_and_hears(1).await;
    sleep_until(mends_at).await;
    gate.mend();

    let heard = "document.getElementById('chat-list').innerText.includes('while you were cut off')";
    page.until("the text that came meanwhile", SIGNAL_PATIENCE, heard).await;
    let heard = "document.getElementById('chat-list').innerText.includes('written while cut off')";
    other.until("the text written meanwhile", SIGNAL_PATIENCE, heard).await;
    page.until("no banner", SIGNAL_PATIENCE, &format!("!({BANNER})")).await;
    assert!(
        other
            .eval::<bool>("document.querySelector('[data-participant=\"1\"]').isTheSame === true")
            .await
    );
    let left = "probe.received.some(({ message }) => message.type === 'participantLeft')";
    assert!(!other.eval::<bool>(left).await);
    // One connection each to publish, and one to watch: none was made anew.
    assert_eq!(page.eval::<f64>("probe.peers.length").await, 2.0);
    let after: (f64, f64) = (page.eval(LOST).await, other.eval(LOST).await);
    println!("packets lost by the page and by the other one: {before:?} before, {after:?} after");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_goes_on_while_chromium_cannot_reach_the_server() {
    let _turn = turn().await;
    let (server, chromium) = (Server::start().await, Chromium::start());
    let gate = Gate::to(server.tls_port()).await;
    let other = enter(&chromium, &server, 2).await;
    let page = chromium.page("user-1").await;
    page.go(&through(&gate)).await;
    goes_on(page, other, gate).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_goes_on_while_firefox_cannot_reach_the_server() {
    let _turn = turn().await;
    let (server, chromium) = (Server::start().await, Chromium::start());
    let gate = Gate::to(server.tls_port()).await;
    let other = enter(&chromium, &server, 2).await;
    let page = firefox::page_with("firefox-cut", "").await;
    page.go(&through(&gate)).await;
    goes_on(page, other, gate).await;
}

fn through(gate: &Gate) -> String {
    format!("https://localhost:{}/room?userId=1&groupId=demo&type=video", gate.port)
}
