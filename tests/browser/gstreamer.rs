//! GStreamer, whose `webrtcbin` offers without BUNDLE by default: its sound and its picture have a transport each, both when it
//! publishes and when it watches.

use std::process::Command;

use crate::harness::chromium::Chromium;
use crate::harness::room::{MEDIA_PATIENCE, SIGNAL_PATIENCE, enter};
use crate::harness::turn;
use crate::support::process::Process;
use crate::support::server::Server;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser/scripts/gstreamer.py");

/// Debian's Python, which has Debian's bindings.
const PYTHON: &str = "/usr/bin/python3";

/// Two seconds of pictures, and less of sound.
const BUFFERS: u32 = 30;

struct Gstreamer(Process);

impl Gstreamer {
    /// Enters the room `demo`.
    fn enter(server: &Server, name: &str) -> Gstreamer {
        let mut command = Command::new(PYTHON);
        command.args([SCRIPT, &server.plain("ws", "/groupcall"), "demo", name]);
        Gstreamer(Process::start(command))
    }

    /// Waits until so much of somebody has been decoded, and fails where the script did.
    fn decodes(&self, media: &str, of: &str) {
        let begin = format!("decoded {media} of {of}: ");
        self.0.wait_for_line(&begin, |line| {
            assert!(!line.starts_with("error"), "{}", self.0.output());
            let buffers: u32 = line.strip_prefix(&begin)?.parse().ok()?;
            (buffers >= BUFFERS).then_some(())
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gstreamer_without_bundle_and_chromium_see_and_hear_one_another() {
    let _turn = turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let page = enter(&chromium, &server, 1).await;
    page.shows_tiles(1, MEDIA_PATIENCE).await;
    let gstreamer = Gstreamer::enter(&server, "2");
    page.sees_and_hears(1).await;
    for media in ["audio", "video"] {
        gstreamer.decodes(media, "1");
    }
    let output = gstreamer.0.output();
    for name in ["1", "2"] {
        let connected = format!("for {name}: connected, transports that are: 2");
        assert!(output.contains(&connected), "{output}");
    }
    // One for each direction of each side.
    server.until_metric("patchbay_peers", 4.0, SIGNAL_PATIENCE).await;
    page.sees_and_hears(1).await;
    let errors: Vec<String> = page.eval("probe.errors").await;
    assert_eq!(errors, Vec::<String>::new(), "errors of the page's scripts");
}
