//! The page of meetings and of calls to accounts.

use serde_json::Value;

use crate::harness::chromium::{Chromium, Options};
use crate::harness::form::ENTER;
use crate::harness::page::Page;
use crate::harness::room::SIGNAL_PATIENCE;
use crate::harness::turn;
use crate::support::server::{Server, http};

const PASSWORD: &str = "123456";

/// The page, before anybody has logged in.
const ASKS: &str = "!document.getElementById('log-in').hidden";

/// Calls ring at this page.
const READY: &str = "document.getElementById('ready').hasAttribute('data-on')";

const RINGS: &str = "document.getElementById('ringing').open";
const SILENT: &str = "!document.getElementById('ringing').open";

/// A server with three accounts.
async fn start() -> Server {
    let server = Server::start().await;
    for (id, name) in [("anna", "Anna"), ("ben", "Ben"), ("chen@example.org", "陈晓明")] {
        server.add_account(id, name, PASSWORD).await;
    }
    server
}

async fn open(chromium: &Chromium, server: &Server, name: &str, language: &str) -> Page {
    let page = chromium.page(name).await;
    page.go(&server.page(&format!("/meet?lang={language}"))).await;
    page.until("it asks who is there", SIGNAL_PATIENCE, ASKS).await;
    page
}

async fn logged_in(chromium: &Chromium, server: &Server, account: &str) -> Page {
    let page = open(chromium, server, account, "en").await;
    page.log_in(account, PASSWORD).await;
    page.until("calls ring here", SIGNAL_PATIENCE, READY).await;
    page
}

impl Page {
    async fn log_in(&self, account: &str, password: &str) {
        self.fill("account", account).await;
        self.fill("password", password).await;
        self.submit("log-in").await;
    }
}

/// A request of an app, whose answer has these data.
async fn ask(server: &Server, request: &str) -> Value {
    let answer = http()
        .get(server.plain("http", &format!("/dapi/{request}")))
        .send()
        .await;
    let mut answer: Value = answer.unwrap().json().await.unwrap();
    assert_eq!(answer["success"], true, "{request}: {answer}");
    answer["data"].take()
}

/// Somebody calls an account by the call API. Returns the channel.
async fn call(server: &Server, from: &str, to: &str) -> String {
    let data = ask(server, &format!("call/user?src_uid={from}&dst_uid={to}")).await;
    data["channel"].as_str().unwrap().to_owned()
}

/// How the call in a channel has ended, as soon as it has.
async fn ending(server: &Server, channel: &str) -> Value {
    let ended = tokio::time::timeout(SIGNAL_PATIENCE, async {
        loop {
            let record = ask(server, &format!("call/record?channel={channel}")).await;
            if record["ending"] != "" {
                return record["ending"].clone();
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    });
    ended.await.expect("the call is over")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_told_in_the_language_of_the_page_and_the_right_one_registers() {
    let _turn = turn().await;
    let server = start().await;
    let chromium = Chromium::start();
    let chen = open(&chromium, &server, "chen", "zh").await;
    for account in ["chen@example.org", "nobody"] {
        chen.log_in(account, "wrong").await;
        chen.shows("log-in-problem", "账号或密码不正确。").await;
        let chosen = "document.activeElement.id === 'password' && document.activeElement.selectionEnd === 5";
        chen.until("it can be written anew", SIGNAL_PATIENCE, chosen).await;
    }
    chen.log_in("chen@example.org", PASSWORD).await;
    chen.until("calls ring here", SIGNAL_PATIENCE, READY).await;
    chen.shows("own-name", "陈晓明").await;
    chen.shows("own-state", "chen@example.org").await;
    let forgotten = "document.getElementById('password').value === '' && document.activeElement.id === 'callee'";
    chen.until("the password is gone", SIGNAL_PATIENCE, forgotten).await;
    let kept: String = chen
        .eval("JSON.stringify([{ ...localStorage }, { ...sessionStorage }])")
        .await;
    assert!(!kept.contains(PASSWORD), "{kept}");
    chen.has_no_errors().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_ring_after_a_reload_too_and_no_longer_after_logging_out() {
    let _turn = turn().await;
    let server = start().await;
    let chromium = Chromium::start();
    let ben = logged_in(&chromium, &server, "ben").await;
    ben.reload().await;
    ben.until("calls ring here again", SIGNAL_PATIENCE, READY).await;
    ben.shows("own-name", "Ben").await;
    let channel = call(&server, "anna", "ben").await;
    ben.until("it rings", SIGNAL_PATIENCE, RINGS).await;
    ben.shows("ringing", "Anna").await;
    ask(&server, &format!("call/event?uid=anna&channel={channel}&code=1000")).await;
    ben.until("it rings no longer", SIGNAL_PATIENCE, SILENT).await;
    ben.shows("news", "Missed call from Anna").await;
    ben.click("#log-out").await;
    ben.until("it asks who is there", SIGNAL_PATIENCE, ASKS).await;
    ben.reload().await;
    ben.until("it has forgotten them", SIGNAL_PATIENCE, ASKS).await;
    ben.has_no_errors().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_phone_in_chinese_a_call_is_refused_by_keyboard_and_the_next_one_rings() {
    let _turn = turn().await;
    let server = start().await;
    let chromium = Chromium::start();
    let window = Some((390, 780));
    let options = Options {
        window,
        ..Options::default()
    };
    let ben = chromium.page_with("ben", options).await;
    ben.go(&server.page("/meet?lang=zh")).await;
    ben.tab_to("#account").await;
    ben.keys(&format!("ben{ENTER}")).await;
    ben.tab_to("#password").await;
    ben.keys(&format!("{PASSWORD}{ENTER}")).await;
    ben.until("calls ring here", SIGNAL_PATIENCE, READY).await;
    let refused = call(&server, "anna", "ben").await;
    ben.until("it rings", SIGNAL_PATIENCE, RINGS).await;
    let given_up = call(&server, "chen@example.org", "ben").await;
    ben.shows("ringing", "Anna").await;
    let answers = "document.activeElement.dataset.action";
    assert_eq!(ben.eval::<String>(answers).await, "agree");
    ben.tab_to("[data-action='refuse']").await;
    assert_eq!(ben.eval::<String>("document.activeElement.textContent").await, "拒绝");
    ben.keys(ENTER).await;
    assert_eq!(ending(&server, &refused).await, "declined");
    ben.shows("news", "您已拒绝 Anna").await;
    ben.until("the next one rings", SIGNAL_PATIENCE, RINGS).await;
    ben.shows("ringing", "陈晓明").await;
    let fits = "document.documentElement.scrollWidth <= innerWidth";
    ben.until("nothing is beside the screen", SIGNAL_PATIENCE, fits).await;
    let cancel = format!("call/event?uid=chen@example.org&channel={given_up}&code=1000");
    ask(&server, &cancel).await;
    ben.until("it rings no longer", SIGNAL_PATIENCE, SILENT).await;
    ben.has_no_errors().await;
}
