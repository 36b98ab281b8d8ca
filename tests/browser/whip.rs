//! A program that publishes by WHIP, and who watches it: a page of somebody in the room, and a page that watches by WHEP with a
//! plain `fetch`.

use std::process::Command;

use crate::harness::chromium::Chromium;
use crate::harness::page::Page;
use crate::harness::room::{MEDIA_PATIENCE, SIGNAL_PATIENCE, enter};
use crate::harness::turn;
use crate::support::process::Process;
use crate::support::server::Server;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser/scripts/whip.py");

/// Debian's Python, which has Debian's bindings.
const PYTHON: &str = "/usr/bin/python3";

/// Watches by WHEP, and shows what is received.
const WATCH: &str = "
    const peer = new RTCPeerConnection();
    for (const kind of ['audio', 'video']) peer.addTransceiver(kind, { direction: 'recvonly' });
    const video = document.body.appendChild(document.createElement('video'));
    video.id = 'whep';
    video.autoplay = true;
    const stream = new MediaStream();
    video.srcObject = stream;
    peer.ontrack = ({ track }) => stream.addTrack(track);
    await peer.setLocalDescription();
    const headers = { 'Content-Type': 'application/sdp' };
    const answer = await fetch(args[0], { method: 'POST', headers, body: peer.localDescription.sdp });
    if (answer.status !== 201) throw new Error(`${answer.status}: ${await answer.text()}`);
    await peer.setRemoteDescription({ type: 'answer', sdp: await answer.text() });
    return answer.headers.get('location');";

/// Waits until the picture changes, as people see it: not the decoder's counters, but what is drawn.
async fn sees_movement(page: &Page, video: &str) {
    let moves = format!(
        "(await (async () => {{
            const video = document.querySelector('{video}');
            if (!video?.videoWidth) return false;
            const canvas = document.createElement('canvas');
            [canvas.width, canvas.height] = [64, 48];
            const context = canvas.getContext('2d', {{ willReadFrequently: true }});
            const drawn = () => {{
                context.drawImage(video, 0, 0, 64, 48);
                return [...context.getImageData(0, 0, 64, 48).data].join();
            }};
            const first = drawn();
            await new Promise((resolve) => setTimeout(resolve, 300));
            return drawn() !== first;
        }})())"
    );
    page.until("a moving picture", MEDIA_PATIENCE, &moves).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gstreamer_publishes_by_whip_and_chromium_watches_in_the_room_and_by_whep() {
    let _turn = turn().await;
    let server = Server::start_with("[whip]\nwatch_without_token = true").await;
    let chromium = Chromium::start();
    let person = enter(&chromium, &server, 1).await;
    person.shows_tiles(1, MEDIA_PATIENCE).await;
    let mut command = Command::new(PYTHON);
    command.args([SCRIPT, &server.plain("http", "/whip/demo?userId=2")]);
    let mut program = Process::start(command);
    program.wait_for_line("the answer", |line| {
        assert!(!line.starts_with("error"), "{line}");
        line.starts_with("post 201").then_some(())
    });
    person.sees_and_hears(1).await;
    sees_movement(&person, "[data-participant=\"2\"] video").await;

    let viewer = chromium.page("viewer").await;
    viewer.go(&server.page("/")).await;
    let session: String = viewer.run(WATCH, &["/whep/demo/2".into()]).await;
    viewer.sees_and_hears(1).await;
    sees_movement(&viewer, "#whep").await;
    person.shows_tiles(2, SIGNAL_PATIENCE).await;
    let end = "return (await fetch(args[0], { method: 'DELETE' })).status;";
    let statuses: [u16; 2] = [
        viewer.run(end, &[session.as_str().into()]).await,
        viewer.run(end, &[session.as_str().into()]).await,
    ];
    assert_eq!(statuses, [200, 404]);

    program.terminate();
    program.wait_for_line("the end of its session", |line| {
        line.starts_with("delete 200").then_some(())
    });
    person.shows_tiles(1, SIGNAL_PATIENCE).await;
}
