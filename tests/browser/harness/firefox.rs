//! Firefox, driven over its own socket: one browser with a fresh profile a page.

use std::process::Command;

use tempfile::TempDir;

use super::bidi::Session;
use super::chromium::PROBE;
use super::page::{Driver, Page};
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

/// A new Firefox for one participant; `script` runs in every page after the probe and before the page's own scripts.
pub async fn page_with(name: &str, script: &str) -> Page {
    let profile = TempDir::new().unwrap();
    let lines = PREFERENCES
        .iter()
        .map(|(name, value)| format!("user_pref(\"{name}\", {value});\n"));
    std::fs::write(profile.path().join("user.js"), lines.collect::<String>()).unwrap();
    let mut command = Command::new("firefox-esr");
    command
        .args(["--headless", "--no-remote", "--remote-debugging-port", "0", "--profile"])
        .arg(profile.path())
        .args(["--width", "1280", "--height", "800"]);
    let firefox = Process::start(command);
    let url = firefox.wait_for_line("the socket of WebDriver BiDi", |line| {
        let (_, url) = line.split_once("WebDriver BiDi listening on ")?;
        Some(url.trim().to_owned())
    });
    let session = Session::new(&url)
        .await
        .unwrap_or_else(|error| panic!("cannot drive Firefox for {name}: {error}\n{}", firefox.output()));
    let page = Page::new(name, Driver::Firefox(Box::new(session), firefox), profile);
    for script in [PROBE, script] {
        page.before_load(script).await;
    }
    page
}

pub async fn page(name: &str) -> Page {
    page_with(name, "").await
}
