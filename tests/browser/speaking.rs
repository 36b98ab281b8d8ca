//! Everybody's page marks who speaks, by the server's word alone.

use crate::harness::chromium::{Chromium, Options};
use crate::harness::page::Page;
use crate::harness::room::{MEDIA_PATIENCE, SIGNAL_PATIENCE, enter_with};
use crate::harness::turn;
use crate::support::server::Server;

/// A script that takes from the page everything by which it could hear by itself.
const DEAF: &str = "(() => {
    RTCRtpReceiver.prototype.getSynchronizationSources = () => [];
    AnalyserNode.prototype.getFloatTimeDomainData = (samples) => samples.fill(0);
    AnalyserNode.prototype.getByteTimeDomainData = (samples) => samples.fill(128);
})();";

async fn is_marked(page: &Page, user: u32, marked: bool) {
    let tile = format!("document.querySelector('[data-participant=\"{user}\"]')");
    // The ring, and the word for people who do not see it.
    let ring = format!("{tile}.classList.contains('speaking')");
    let word = format!(
        "[...{tile}.querySelectorAll('.visually-hidden:not([hidden])')].some((one) => one.textContent === 'speaks')"
    );
    let is_so = format!("{tile} !== null && {ring} === {marked} && {word} === {marked}");
    let what = format!("{user} is marked: {marked}");
    let within = if marked { MEDIA_PATIENCE } else { SIGNAL_PATIENCE };
    page.until(&what, within, &is_so).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_speaks_is_marked_on_all_pages_until_they_are_muted() {
    let _turn = turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let deaf = || Options {
        script: DEAF,
        ..Options::default()
    };
    // The sound of the fake microphones is a row of beeps.
    let one = enter_with(&chromium, &server, 1, deaf()).await;
    let two = enter_with(&chromium, &server, 2, deaf()).await;
    for page in [&one, &two] {
        is_marked(page, 1, true).await;
        is_marked(page, 2, true).await;
    }
    one.press("mic").await;
    for page in [&one, &two] {
        is_marked(page, 1, false).await;
    }
    is_marked(&one, 2, true).await;
    for page in [&one, &two] {
        let errors: Vec<String> = page.eval("probe.errors").await;
        assert_eq!(errors, Vec::<String>::new(), "errors of the page's scripts");
    }
}
