//! The device page: login, contacts, a call with its video in place, refusal, and a device that fails.

use std::time::Duration;

use crate::harness::chromium::{Chromium, Options};
use crate::harness::page::Page;
use crate::harness::room::SIGNAL_PATIENCE;
use crate::harness::shared_turn;
use crate::support::server::Server;

const ANNA: &str = "13800000001";
const BEN: &str = "13800000002";
const RINGS: &str = "document.getElementById('ringing').open";
const IN_CALL: &str = "document.getElementById('in-call') !== null";
/// A call outlives its connection by five seconds; the other side must see the loss within ten.
const LOSS_NOTICED_WITHIN: Duration = Duration::from_secs(10);

/// Logs in through the form, as a person does.
async fn log_in(page: &Page, server: &Server, phone: &str, device: &str) {
    page.go(&server.page("/device?lang=en")).await;
    let body = "document.getElementById('phone').value = args[0];
        document.getElementById('device-id').value = args[1];
        document.getElementById('log-in').requestSubmit();
        return null;";
    page.run::<()>(body, &[phone.into(), device.into()]).await;
    let online = "document.getElementById('own-dot').hasAttribute('data-on')";
    page.until("it is online", SIGNAL_PATIENCE, online).await;
}

/// Two devices, the first of which has the second among its contacts.
async fn two_devices(chromium: &Chromium, server: &Server) -> (Page, Page) {
    let anna = chromium.page("anna").await;
    let phone = Options {
        window: Some((390, 780)),
        ..Options::default()
    };
    let ben = chromium.page_with("ben", phone).await;
    log_in(&ben, server, BEN, "pocket").await;
    log_in(&anna, server, ANNA, "desk").await;
    let add = "document.getElementById('add-phone').value = args[0];
        document.getElementById('add').requestSubmit();
        return null;";
    let added = |phone: &str| format!("document.getElementById('added').textContent.includes('{phone}')");
    anna.run::<()>(add, &["13899999999".into()]).await;
    anna.until(
        "a number nobody has looks as one that has not answered",
        SIGNAL_PATIENCE,
        &added("13899999999"),
    )
    .await;
    anna.run::<()>(add, &[BEN.into()]).await;
    anna.until("it has to be mutual", SIGNAL_PATIENCE, &added(BEN)).await;
    ben.run::<()>(add, &[ANNA.into()]).await;
    let row = format!("document.querySelector('[data-contact=\"{BEN}/pocket\"]') !== null");
    anna.until("the contact is listed", SIGNAL_PATIENCE, &row).await;
    (anna, ben)
}

async fn remembers(page: &Page, sentence: &str) {
    let found = format!("document.getElementById('history').textContent.includes({sentence:?})");
    page.until(sentence, LOSS_NOTICED_WITHIN, &found).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_calls_another_and_both_see_each_other_until_one_hangs_up() {
    let _turn = shared_turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let (anna, ben) = two_devices(&chromium, &server).await;
    anna.press("call").await;
    ben.until("it rings", SIGNAL_PATIENCE, RINGS).await;
    ben.press("agree").await;
    anna.sees_in_place(1).await;
    ben.sees_in_place(1).await;
    ben.press("hang-up").await;
    anna.until("the call is over", SIGNAL_PATIENCE, &format!("!({IN_CALL})"))
        .await;
    remembers(&anna, &format!("Call with {BEN} ended")).await;
    server.until_metric("patchbay_calls", 0.0, SIGNAL_PATIENCE).await;
    for page in [&anna, &ben] {
        let errors: Vec<String> = page.eval("probe.errors").await;
        assert_eq!(errors, Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_refuses_gives_up_and_removes_a_contact() {
    let _turn = shared_turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let (anna, ben) = two_devices(&chromium, &server).await;
    anna.press("call").await;
    ben.until("it rings", SIGNAL_PATIENCE, RINGS).await;
    ben.press("refuse").await;
    remembers(&anna, &format!("{BEN} refused.")).await;
    anna.press("call").await;
    ben.until("it rings again", SIGNAL_PATIENCE, RINGS).await;
    anna.run::<()>("document.getElementById('state-cancel').click(); return null;", &[])
        .await;
    ben.until("it stops", SIGNAL_PATIENCE, &format!("!{RINGS}")).await;
    remembers(&ben, &format!("Missed call from {ANNA}")).await;
    anna.press("remove").await;
    let empty = "document.querySelectorAll('[data-contact]').length === 0";
    anna.until("the contact is gone", SIGNAL_PATIENCE, empty).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callee_whose_browser_dies_is_noticed_within_ten_seconds() {
    let _turn = shared_turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let (anna, ben) = two_devices(&chromium, &server).await;
    anna.press("call").await;
    ben.until("it rings", SIGNAL_PATIENCE, RINGS).await;
    ben.press("agree").await;
    anna.until("the call is shown", SIGNAL_PATIENCE, IN_CALL).await;
    ben.kill();
    anna.until("the call is over", LOSS_NOTICED_WITHIN, &format!("!({IN_CALL})"))
        .await;
}
