//! How much of each picture comes, and is sent, on the page of meetings: what it shows, the switch for low data, and what it obeys.
//! A script in the page speaks for the server, so these tests are of the page alone.

use serde_json::{Value, json};

use super::voices::meeting;
use super::{INSIDE, SCREEN};
use crate::harness::chromium::{Chromium, Options};
use crate::harness::form::ENTER;
use crate::harness::page::Page;
use crate::harness::room::{MEDIA_PATIENCE, SIGNAL_PATIENCE};
use crate::harness::turn;
use crate::support::server::Server;

const AS_CONFERENCE: &str = include_str!("../scripts/as_conference.js");
const DOWN: &str = "\u{e015}";
const UP: &str = "\u{e013}";

/// The id of whoever is seen.
const SEEN: &str = "patchbay.client.shown[0]";

/// Rids of the layers of the camera that are sent.
const ACTIVE: &str = "(patchbay.client.publisher.pc.getSenders().find(({ track }) => track?.kind === 'video')\
    ?.getParameters().encodings ?? []).filter(({ active }) => active).map(({ rid }) => rid).join()";

impl Page {
    /// Says something as the server would.
    async fn is_told(&self, event: &str, data: Value) {
        self.run::<()>(
            "asConference.say(args[0], args[1]); return null;",
            &[event.into(), data],
        )
        .await;
    }

    async fn sends_layers(&self, rids: &str) {
        let sends = format!("{ACTIVE} === '{rids}'");
        self.until(&format!("it sends {rids:?}"), MEDIA_PATIENCE, &sends).await;
    }

    async fn has_badge(&self, text: &str) {
        let badge = format!(
            "(() => {{ const badge = document.querySelector(`[data-participant=\"${{{SEEN}}}\"] .tile-badge`); \
            return (badge.hidden ? '' : badge.innerText.replace(/\\s+/g, ' ')) === '{text}'; }})()"
        );
        self.until(&format!("the tile says {text:?}"), SIGNAL_PATIENCE, &badge)
            .await;
    }

    async fn has_chip(&self, text: &str) {
        let chip = "(() => { const chip = document.getElementById('low-data-chip'); return chip.checkVisibility() ? chip.innerText : ''; })()";
        self.until(
            &format!("the sign {text:?}"),
            SIGNAL_PATIENCE,
            &format!("{chip} === '{text}'"),
        )
        .await;
    }
}

/// Two on the page of meetings: somebody who is seen, and a page to which the test speaks.
async fn two(chromium: &Chromium, server: &Server) -> (Page, Page) {
    let seen = chromium.page("anna").await;
    seen.enter_with_pin(server, "Anna", "").await;
    let script = format!("{AS_CONFERENCE}\n{SCREEN}");
    let options = Options {
        camera: "fps=30",
        script: &script,
        ..Options::default()
    };
    let page = chromium.page_with("ben", options).await;
    page.enter_with_pin(server, "Ben", "").await;
    page.shows_picture_of("Anna").await;
    (seen, page)
}

fn quality(of: &str, state: &str) -> Value {
    json!({ "sender": of, "height": 180, "wanted": 340, "state": state, "reason": "bandwidth" })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_meetings_says_whose_picture_is_smaller_or_paused_and_that_the_connection_is_slow() {
    let _turn = turn().await;
    let (server, chromium) = (meeting().await, Chromium::start());
    let (_anna, page) = two(&chromium, &server).await;
    let anna: String = page.eval(SEEN).await;
    page.is_told("video_quality", quality(&anna, "reduced")).await;
    page.has_badge("180p Your connection is slow").await;
    let notice =
        "document.getElementById('banner').checkVisibility() && document.getElementById('banner-text').textContent";
    let says = |sentence: &str| format!("({notice} || '').startsWith('{sentence}')");
    page.until(
        "a notice",
        SIGNAL_PATIENCE,
        &says("Your connection is slow. You see the others less sharply."),
    )
    .await;
    // Of a picture that does not come nothing is shown.
    let ben: String = page.eval("patchbay.client.id").await;
    page.is_told("video_quality", quality(&ben, "paused")).await;
    page.is_told("video_quality", quality(&anna, "paused")).await;
    page.has_badge("Paused Your connection is too slow").await;
    let names = says("Your connection is too slow for every picture. Paused: Anna");
    page.until("the page names who is paused", SIGNAL_PATIENCE, &names)
        .await;
    page.press("people").await;
    page.shows("people-list", "Picture paused").await;
    let paused = "[...document.querySelectorAll('#people-list li')].filter(({ textContent }) => textContent.includes('Picture paused'))";
    let names: String = page
        .eval(&format!("{paused}.map(({{ dataset }}) => dataset.person).join()"))
        .await;
    assert_eq!(names, anna);
    let own = format!("document.querySelector('[data-participant=\"{ben}\"] .tile-badge').hidden");
    assert!(page.eval::<bool>(&own).await, "nor on one's own tile");

    let full = json!({ "sender": anna, "height": 360, "wanted": 340, "state": "full" });
    page.is_told("video_quality", full).await;
    page.has_badge("").await;
    let over = "!document.getElementById('people-list').textContent.includes('Picture paused')";
    page.until("the list says nothing", SIGNAL_PATIENCE, over).await;
    page.until("the notice goes", MEDIA_PATIENCE, &format!("!({notice})"))
        .await;
    page.has_no_errors().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_notice_leads_to_the_switch_for_low_data_which_is_remembered_and_stays_in_sight() {
    let _turn = turn().await;
    let (server, chromium) = (meeting().await, Chromium::start());
    let (_anna, page) = two(&chromium, &server).await;
    let anna: String = page.eval(SEEN).await;
    page.sends_layers("q,h,f").await;
    page.has_chip("").await;
    page.is_told("video_quality", quality(&anna, "reduced")).await;
    let offers = "document.getElementById('banner-action').checkVisibility()";
    page.until("the notice offers to use less data", SIGNAL_PATIENCE, offers)
        .await;
    page.tab_to("#banner-action").await;
    page.keys(ENTER).await;
    let on_switch = "document.activeElement.id === 'set-low-data'";
    page.until("the keyboard is on the switch", SIGNAL_PATIENCE, on_switch)
        .await;

    page.keys(DOWN).await;
    let one = format!(
        "JSON.stringify(asConference.last()) === JSON.stringify({{ heights: {{ '*': 0, '{anna}': 360 }}, onStage: ['{anna}'], lastN: 1 }})"
    );
    page.until("one picture is wanted", SIGNAL_PATIENCE, &one).await;
    page.sends_layers("q,h").await;
    page.has_chip("Low data: one picture").await;
    page.keys(DOWN).await;
    page.until(
        "no picture is wanted",
        SIGNAL_PATIENCE,
        "asConference.last().lastN === 0",
    )
    .await;
    page.sends_layers("q").await;

    page.enter_with_pin(&server, "Ben", "").await;
    page.until("they are inside again", SIGNAL_PATIENCE, INSIDE).await;
    page.until("it is remembered", MEDIA_PATIENCE, "asConference.last()?.lastN === 0")
        .await;
    page.sends_layers("q").await;
    page.has_chip("Low data: sound only").await;
    page.press("low-data").await;
    page.until("the sign leads to the switch", SIGNAL_PATIENCE, on_switch)
        .await;
    page.keys(&UP.repeat(2)).await;
    let everything =
        "asConference.last().lastN === undefined && Object.values(asConference.last().heights).some((one) => one > 0)";
    page.until("everything is wanted again", SIGNAL_PATIENCE, everything)
        .await;
    page.sends_layers("q,h,f").await;
    page.has_chip("").await;
    page.has_no_errors().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_meetings_sends_the_layers_of_camera_and_screen_that_the_server_asks_for() {
    let _turn = turn().await;
    let (server, chromium) = (meeting().await, Chromium::start());
    let (_anna, page) = two(&chromium, &server).await;
    page.sends_layers("q,h,f").await;
    let order = json!({ "layers": { "q": true, "h": true, "f": false, "z": true }, "maxBitrate": 300_000 });
    page.is_told("send_layers", order).await;
    page.sends_layers("q,h").await;
    let bound = "patchbay.client.publisher.pc.getSenders().find(({ track }) => track?.kind === 'video')\
        .getParameters().encodings.map(({ maxBitrate }) => maxBitrate).join()";
    let bounds: String = page.eval(bound).await;
    assert_eq!(bounds, "150000,300000,1700000", "of the largest layer that is sent");
    // Orders that come in a row are carried out one after the other, and the last one holds.
    for number in 0..10 {
        let layers = json!({ "q": number % 2 == 0, "h": number % 2 == 1, "f": false });
        page.is_told("send_layers", json!({ "layers": layers })).await;
    }
    page.sends_layers("h").await;

    page.press("share").await;
    let screen = "probe.alive().find((pc) => pc !== patchbay.client.publisher.pc && pc.connectionState === 'connected')\
        ?.getSenders()[0].getParameters().encodings[0]";
    page.until(
        "a screen is sent",
        MEDIA_PATIENCE,
        &format!("{screen}?.active === true"),
    )
    .await;
    page.is_told("send_layers", json!({ "feed": "screen", "layers": { "": false } }))
        .await;
    page.until(
        "the screen is not sent",
        SIGNAL_PATIENCE,
        &format!("{screen}.active === false"),
    )
    .await;
    page.is_told("send_layers", json!({ "feed": "screen", "layers": { "": true } }))
        .await;
    page.until(
        "it is sent again",
        SIGNAL_PATIENCE,
        &format!("{screen}.active === true"),
    )
    .await;
    page.sends_layers("h").await;
    page.is_told("send_layers", json!({ "layers": { "q": true, "h": true, "f": true } }))
        .await;
    page.sends_layers("q,h,f").await;
    page.has_no_errors().await;
}
