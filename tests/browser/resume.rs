//! Pages whose connection to the server is cut while their media flow: the call goes on, and nothing is missed.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::harness::chromium::Chromium;
use crate::harness::firefox;
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

const BANNER: &str = "(!document.getElementById('banner').hidden
    && /call goes on|通话继续/.test(document.getElementById('banner-text').innerText))";

/// Joins through the gate.
fn address(gate: &Gate, user: u32) -> String {
    format!(
        "https://localhost:{}/room?userId={user}&groupId=demo&type=video",
        gate.port
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_goes_on_while_two_of_three_cannot_reach_the_server() {
    let _turn = turn().await;
    let (server, chromium) = (Server::start().await, Chromium::start());
    let gate = Gate::to(server.tls_port()).await;
    let looker = enter(&chromium, &server, 3).await;
    let pages = [
        chromium.page("chromium-cut").await,
        firefox::page_with("firefox-cut", "").await,
    ];
    for (page, user) in pages.iter().zip([1, 2]) {
        page.go(&address(&gate, user)).await;
    }
    for page in pages.iter().chain([&looker]) {
        page.sees_and_hears(2).await;
    }
    looker
        .run::<()>(
            "for (const tile of document.querySelectorAll('[data-participant]')) tile.isTheSame = true; return null;",
            &[],
        )
        .await;
    let lost_before: f64 = looker.eval(LOST).await;

    gate.cut();
    let mends_at = Instant::now() + CUT;
    looker.chat("while you were cut off").await;
    for page in &pages {
        page.until("a banner", SIGNAL_PATIENCE, BANNER).await;
        page.chat("written while cut off").await;
    }
    for page in pages.iter().chain([&looker]) {
        page.sees_and_hears(2).await;
    }
    sleep_until(mends_at).await;
    gate.mend();

    for page in &pages {
        let heard = "document.getElementById('chat-list').innerText.includes('while you were cut off')";
        page.until("the text that came meanwhile", SIGNAL_PATIENCE, heard).await;
        page.until("no banner", SIGNAL_PATIENCE, &format!("!{BANNER}")).await;
        // One connection to publish, and two to watch: none was made anew.
        assert_eq!(page.eval::<f64>("probe.peers.length").await, 3.0);
    }
    let heard = "document.getElementById('chat-list').innerText.split('written while cut off').length === 3";
    looker
        .until("both texts written meanwhile", SIGNAL_PATIENCE, heard)
        .await;
    let same = "[...document.querySelectorAll('[data-participant]')].every((tile) => tile.isTheSame)";
    assert!(looker.eval::<bool>(same).await);
    let left = "probe.received.some(({ message }) => message.type === 'participantLeft')";
    assert!(!looker.eval::<bool>(left).await);
    let lost: f64 = looker.eval(LOST).await;
    println!("packets lost: {}", lost - lost_before);
}
