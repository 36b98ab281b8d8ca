//! The page of meetings and of calls to accounts.

mod by_tcp;
mod doors;
mod four;
mod help;
mod hosts;
mod sizes;
mod voices;

use std::time::Duration;

use serde_json::Value;

use crate::harness::chromium::{Chromium, Options};
use crate::harness::form::ENTER;
use crate::harness::page::Page;
use crate::harness::room::{MEDIA_PATIENCE, SIGNAL_PATIENCE};
use crate::harness::turn;
use crate::support::server::{Server, http};

const PASSWORD: &str = "123456";

/// The page, before anybody has logged in.
const ASKS: &str = "!document.getElementById('log-in').hidden";

/// Calls ring at this page.
const READY: &str = "document.getElementById('ready').hasAttribute('data-on')";

const RINGS: &str = "document.getElementById('ringing').open";
const SILENT: &str = "!document.getElementById('ringing').open";

/// The person is in a meeting or in a call, which is shown.
const INSIDE: &str = "!document.getElementById('call').hidden && patchbay.client.state === 'inside'";

/// A script with a screen that can be shared without a question: a picture with a corner that changes.
const SCREEN: &str = "navigator.mediaDevices.getDisplayMedia = async () => {
    const canvas = Object.assign(document.createElement('canvas'), { width: 1600, height: 900 });
    const pen = canvas.getContext('2d');
    pen.fillStyle = 'navy';
    pen.fillRect(0, 0, 1600, 900);
    setInterval(() => {
        pen.fillStyle = `hsl(${(performance.now() / 10) % 360} 60% 50%)`;
        pen.fillRect(0, 0, 90, 90);
    }, 100);
    return canvas.captureStream(10);
};";

/// Name of whoever has the largest tile.
const LARGEST: &str = "[...document.querySelectorAll('.tile')]
    .sort((a, b) => b.offsetWidth * b.offsetHeight - a.offsetWidth * a.offsetHeight)[0]
    ?.querySelector('.tile-name').textContent";

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

    /// Goes to a meeting, up to the question about its PIN.
    async fn ask_for(&self, number: &str) {
        self.fill("number", number).await;
        self.submit("enter-form").await;
        let asked = "!document.getElementById('pin-field').hidden";
        self.until("it asks for a PIN", SIGNAL_PATIENCE, asked).await;
    }

    /// Enters the meeting that asks for a PIN. Guests who need none leave it empty.
    async fn enter(&self, pin: &str) {
        self.fill("pin", pin).await;
        self.submit("enter-form").await;
        self.until("they are inside", SIGNAL_PATIENCE, INSIDE).await;
    }

    /// Waits until somebody's picture is shown large with their name, and somebody is heard.
    async fn sees_and_hears_somebody(&self) {
        self.run::<()>("await probe.mark(); return null;", &[]).await;
        let seen = "(await probe.grown('video', 'framesDecoded', 10)) >= 1";
        self.until("somebody is seen", MEDIA_PATIENCE, seen).await;
        let heard = "(await probe.grown('audio', 'totalAudioEnergy', 1e-4)) >= 1";
        self.until("somebody is heard", MEDIA_PATIENCE, heard).await;
    }

    /// Waits until this person's picture is shown: the tile with their name has a picture that is no longer black.
    async fn shows_picture_of(&self, name: &str) {
        let shown = format!(
            "[...document.querySelectorAll('.tile:not(.self):not(.no-video)')].some((tile) =>
                tile.querySelector('.tile-name').textContent === {name:?} && tile.querySelector('video').videoWidth > 0)"
        );
        self.until(&format!("{name} is shown"), MEDIA_PATIENCE, &shown).await;
    }

    /// Waits until this person has the largest tile, and keeps it whoever speaks.
    async fn shows_large(&self, name: &str) {
        let large = format!("{LARGEST} === {name:?}");
        self.until(&format!("{name} is large"), SIGNAL_PATIENCE, &large).await;
        for _ in 0..15 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert!(self.eval::<bool>(&large).await, "{name} stays large");
        }
    }

    /// Waits until a passing note says this.
    async fn notes(&self, sentence: &str) {
        self.shows("toasts", sentence).await;
    }

    /// Presses what a host does about somebody, in the list of people.
    async fn about(&self, name: &str, act: &str) {
        let tool = format!(
            "[...document.querySelectorAll('#panel-people li')].find((row) =>
                row.querySelector('.people-name').textContent === {name:?})?.querySelector('[data-act={act:?}]')"
        );
        self.until(&format!("{act} {name}"), SIGNAL_PATIENCE, &format!("Boolean({tool})"))
            .await;
        self.run::<()>(&format!("{tool}.click(); return null;"), &[]).await;
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
            tokio::time::sleep(Duration::from_millis(50)).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn a_meeting_with_a_pin_is_entered_by_its_host_a_guest_and_somebody_on_the_page_of_rooms() {
    let _turn = turn().await;
    let server = start().await;
    let settings = ["--host-pin", "471147", "--guests", "anybody"];
    server
        .command(&[&["conference", "add", "4711"], &settings[..]].concat(), "")
        .await;
    let chromium = Chromium::start();
    let anna = logged_in(&chromium, &server, "anna").await;
    anna.ask_for("4711").await;
    anna.fill("pin", "000000").await;
    anna.submit("enter-form").await;
    anna.shows("enter-problem", "This PIN is not right.").await;
    anna.enter("471147").await;
    anna.until("a host", SIGNAL_PATIENCE, "patchbay.client.isHost").await;
    let ben = logged_in(&chromium, &server, "ben").await;
    ben.ask_for("4711").await;
    ben.shows("pin-hint", "Guests leave this empty.").await;
    ben.enter("").await;
    ben.until("a guest", SIGNAL_PATIENCE, "!patchbay.client.isHost").await;
    for (page, other) in [(&anna, "Ben"), (&ben, "Anna")] {
        page.sees_and_hears_somebody().await;
        page.shows_picture_of(other).await;
    }
    let chen = chromium.page("chen").await;
    chen.go(&server.page("/room?userId=chen@example.org&groupId=4711&type=video"))
        .await;
    chen.sees_and_hears(2).await;
    for page in [&anna, &ben] {
        page.shows_tiles(3, SIGNAL_PATIENCE).await;
        page.shows("people-count", "3").await;
        page.has_no_errors().await;
    }
    call(&server, "chen@example.org", "anna").await;
    anna.until("a call is told in the meeting", SIGNAL_PATIENCE, RINGS)
        .await;
    for words in ["while you are in this meeting", "Leave and answer"] {
        anna.shows("ringing", words).await;
    }
    anna.click("[data-action='refuse']").await;
    anna.until("it is told no longer", SIGNAL_PATIENCE, SILENT).await;
    ben.press("leave").await;
    ben.shows("news", "You left the meeting 4711.").await;
    anna.shows_tiles(2, SIGNAL_PATIENCE).await;
    chen.shows_tiles(2, SIGNAL_PATIENCE).await;
}

/// Anna calls Ben. It rings at him.
async fn anna_calls_ben(anna: &Page, ben: &Page) {
    anna.fill("callee", "ben").await;
    anna.submit("call-form").await;
    ben.until("it rings", SIGNAL_PATIENCE, RINGS).await;
    ben.shows("ringing", "Anna").await;
    anna.shows("hold-text", "Calling").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_accounts_call_refuse_give_up_answer_and_see_one_another_until_one_hangs_up() {
    let _turn = turn().await;
    let server = start().await;
    let chromium = Chromium::start();
    let anna = logged_in(&chromium, &server, "anna").await;
    let ben = logged_in(&chromium, &server, "ben").await;
    anna_calls_ben(&anna, &ben).await;
    ben.click("[data-action='refuse']").await;
    anna.shows("news", "ben refused.").await;
    anna_calls_ben(&anna, &ben).await;
    anna.click("#hold-cancel").await;
    ben.until("it rings no longer", SIGNAL_PATIENCE, SILENT).await;
    ben.shows("news", "Missed call from Anna").await;
    anna_calls_ben(&anna, &ben).await;
    ben.keys(ENTER).await;
    for (page, other) in [(&anna, "Ben"), (&ben, "Anna")] {
        page.until("they talk", SIGNAL_PATIENCE, INSIDE).await;
        page.sees_and_hears_somebody().await;
        page.shows_picture_of(other).await;
    }
    // Somebody else calls meanwhile, and is refused.
    call(&server, "chen@example.org", "anna").await;
    anna.until("another call is told", SIGNAL_PATIENCE, RINGS).await;
    anna.shows("ringing", "while you are in this call").await;
    anna.click("[data-action='refuse']").await;
    anna.until("it is told no longer", SIGNAL_PATIENCE, SILENT).await;
    assert!(anna.eval::<bool>(INSIDE).await, "the call goes on");
    ben.press("leave").await;
    for (page, other) in [(&ben, "Anna"), (&anna, "ben")] {
        page.shows("news", &format!("Call with {other} ended")).await;
        let home = "!document.getElementById('home').hidden && document.getElementById('call').hidden";
        page.until("only the forms are shown", SIGNAL_PATIENCE, home).await;
        page.has_no_errors().await;
    }
    anna.fill("callee", "nobody").await;
    anna.submit("call-form").await;
    anna.shows("call-problem", "There is no such account.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_phone_in_chinese_a_guest_without_an_account_enters_talks_and_leaves_by_keyboard() {
    let _turn = turn().await;
    let server = Server::start().await;
    let settings = ["--host-pin", "471147", "--guests", "anybody", "--wait-for-host", "true"];
    server
        .command(&[&["conference", "add", "4711"], &settings[..]].concat(), "")
        .await;
    let chromium = Chromium::start();
    let window = Some((390, 780));
    let options = Options {
        window,
        ..Options::default()
    };
    let dora = chromium.page_with("dora", options).await;
    dora.go(&server.page("/meet?lang=zh&number=4711")).await;
    dora.tab_to("#guest-name").await;
    dora.keys(&format!("Dora{ENTER}")).await;
    dora.shows("pin-hint", "来宾请留空。").await;
    dora.keys(ENTER).await;
    dora.shows("hold-text", "正在等待主持人").await;
    let host = open(&chromium, &server, "host", "en").await;
    host.fill("guest-name", "Emil").await;
    host.ask_for("4711").await;
    host.enter("471147").await;
    dora.until("they are inside", SIGNAL_PATIENCE, INSIDE).await;
    dora.shows_picture_of("Emil").await;
    host.shows_picture_of("Dora").await;
    let fits = "document.documentElement.scrollWidth <= innerWidth";
    dora.until("nothing is beside the screen", SIGNAL_PATIENCE, fits).await;
    dora.keys("c").await;
    dora.tab_to("#chat-text").await;
    dora.keys(&format!("你好{ENTER}")).await;
    host.shows("chat-list", "你好").await;
    // The key Escape closes the chat.
    dora.keys("\u{E00C}").await;
    dora.keys("m").await;
    let quiet = "document.querySelector('.tile:not(.self) .tile-muted:not([hidden])') !== null";
    host.until("Dora is muted", SIGNAL_PATIENCE, quiet).await;
    dora.tab_to("[data-action=leave]").await;
    dora.keys(ENTER).await;
    dora.shows("news", "您已离开会议 4711。").await;
    host.shows_tiles(1, SIGNAL_PATIENCE).await;
    for page in [&dora, &host] {
        page.has_no_errors().await;
    }
}
