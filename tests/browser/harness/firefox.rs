//! Firefox, driven over its own socket: one browser with a fresh profile a page.

use std::process::Command;

use tempfile::TempDir;

use super::bidi::Session;
use super::chromium::PROBE;
use super::page::{Driver, Page};
use super::slow_link::SlowLink;
use crate::support::process::Process;

/// Fake camera and microphone without questions, loopback candidates with real addresses, nothing sent to its maker. Without
/// the two `permissions.default` there are no loopback candidates.
const PREFERENCES: &[(&str, &str)] = &[
    ("media.navigator.streams.fake", "true"),
    ("media.navigator.permission.disabled", "true"),
    ("media.peerconnection.ice.loopback", "true"),
    ("media.peerconnection.ice.obfuscate_host_addresses", "false"),
    ("permissions.default.camera", "1"),
    ("permissions.default.microphone", "1"),
    ("media.autoplay.default", "0"),
    ("media.autoplay.blocking_policy", "0"),
    ("media.gmp-manager.updateEnabled", "false"),
    ("app.update.enabled", "false"),
    ("browser.shell.checkDefaultBrowser", "false"),
    ("browser.aboutwelcome.enabled", "false"),
    ("datareporting.policy.dataSubmissionEnabled", "false"),
    ("toolkit.telemetry.enabled", "false"),
    ("network.captive-portal-service.enabled", "false"),
    ("network.connectivity-service.enabled", "false"),
    ("remote.active-protocols", "1"),
    ("dom.min_background_timeout_value", "4"),
];

/// A browser that is not driven yet.
struct Firefox {
    browser: Process,
    /// A program that passes connections on to it.
    forwarding: Option<Process>,
    /// The port at which it listens, at its own loopback address.
    port: String,
    profile: TempDir,
}

impl Firefox {
    fn start(mut command: Command, (width, height): (u32, u32)) -> Firefox {
        let profile = TempDir::new().unwrap();
        let lines = PREFERENCES
            .iter()
            .map(|(name, value)| format!("user_pref(\"{name}\", {value});\n"));
        std::fs::write(profile.path().join("user.js"), lines.collect::<String>()).unwrap();
        command
            .args(["--headless", "--no-remote", "--remote-debugging-port", "0", "--profile"])
            .arg(profile.path())
            .args(["--width", &width.to_string(), "--height", &height.to_string()]);
        let browser = Process::start(command);
        let port = browser.wait_for_line("the socket of WebDriver BiDi", |line| {
            let (_, port) = line.split_once("WebDriver BiDi listening on ws://127.0.0.1:")?;
            Some(port.trim().to_owned())
        });
        Firefox {
            browser,
            forwarding: None,
            port,
            profile,
        }
    }

    /// Passes connections to its port at this address on to it.
    fn forward(&mut self, mut python: Command, address: &str) {
        python.args(["-c", include_str!("../scripts/forward.py"), address, &self.port]);
        let forwarding = Process::start(python);
        forwarding.wait_for_line("the port that is passed on", |line| (line == self.port).then_some(()));
        self.forwarding = Some(forwarding);
    }

    /// `address` is where it is reached from here.
    async fn page(self, name: &str, script: &str, address: &str) -> Page {
        let session = Session::new(address, &self.port)
            .await
            .unwrap_or_else(|error| panic!("cannot drive Firefox for {name}: {error}\n{}", self.browser.output()));
        let driver = Driver::Firefox {
            session: Box::new(session),
            browser: self.browser,
            _forwarding: self.forwarding,
        };
        let page = Page::new(name, driver, self.profile);
        for script in [PROBE, script] {
            page.before_load(script).await;
        }
        page
    }
}

/// A new Firefox for one participant; `script` runs in every page after the probe and before the page's own scripts.
pub async fn page_with(name: &str, script: &str) -> Page {
    let firefox = Firefox::start(Command::new("firefox-esr"), (1280, 800));
    firefox.page(name, script, "127.0.0.1").await
}

/// The same in the viewer's network, with a larger window.
pub async fn page_behind(link: &SlowLink, name: &str, script: &str) -> Page {
    let mut firefox = Firefox::start(link.command("firefox-esr"), (1920, 1080));
    firefox.forward(link.command("python3"), SlowLink::address());
    firefox.page(name, script, SlowLink::address()).await
}

pub async fn page(name: &str) -> Page {
    page_with(name, "").await
}
