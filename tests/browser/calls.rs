//! The page of the call API: two people call one another by it, the robot comes, and a call is scheduled.

use serde_json::Value;

use crate::harness::chromium::{Chromium, Options};
use crate::harness::form::{ENTER, TAB};
use crate::harness::page::Page;
use crate::harness::room::{MEDIA_PATIENCE, SIGNAL_PATIENCE};
use crate::harness::shared_turn;
use crate::support::server::{Server, http};

const IN_CALL: &str = "document.querySelector('#in-call iframe')?.contentWindow?.probe !== undefined";

/// A script that chooses Chinese, as a person does.
const IN_CHINESE: &str = "const language = document.getElementById('language');
    language.value = 'zh';
    language.dispatchEvent(new Event('change'));
    return null;";

async fn calls_page(chromium: &Chromium, server: &Server, uid: &str) -> Page {
    let page = chromium.page(uid).await;
    page.go(&server.page(&format!("/calls?uid={uid}&lang=en"))).await;
    let signed_in = "!document.getElementById('signed-in').hidden";
    page.until("the page is ready", SIGNAL_PATIENCE, signed_in).await;
    page
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

impl Page {
    /// Calls that are over are listed no longer.
    async fn shows_no_calls(&self) {
        let empty = "!document.getElementById('no-messages').hidden";
        self.until("no call is listed", SIGNAL_PATIENCE, empty).await;
    }

    /// In the call that is shown: sound of so many others arrives from now on.
    async fn hears_in_call(&self, others: usize) {
        self.until("the call is shown", MEDIA_PATIENCE, IN_CALL).await;
        let inner = "document.querySelector('#in-call iframe').contentWindow.probe";
        self.run::<()>(&format!("await {inner}.mark(); return null;"), &[])
            .await;
        let heard = format!("(await {inner}.grown('audio', 'packetsReceived', 25)) === {others}");
        self.until(&format!("{others} others are heard"), MEDIA_PATIENCE, &heard)
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_answers_a_call_and_both_hear_one_another_until_one_hangs_up() {
    let _turn = shared_turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let anna = calls_page(&chromium, &server, "1001").await;
    let ben = calls_page(&chromium, &server, "1002").await;
    anna.fill("callees", "1002").await;
    anna.fill("extra", "About tomorrow").await;
    anna.submit("place").await;
    ben.shows("messages", "About tomorrow").await;
    ben.click("#messages .button.primary").await;
    anna.hears_in_call(1).await;
    ben.hears_in_call(1).await;
    anna.shows("messages", "Begun").await;
    ben.click("[data-action='hang-up']").await;
    anna.click("[data-action='hang-up']").await;
    for page in [&anna, &ben] {
        page.shows_no_calls().await;
        page.has_no_errors().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_declined_is_over_for_the_callee() {
    let _turn = shared_turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let anna = calls_page(&chromium, &server, "1001").await;
    let ben = calls_page(&chromium, &server, "1002").await;
    anna.fill("callees", "1002, 1003").await;
    anna.submit("place").await;
    ben.shows("messages", "Decline").await;
    ben.click("#messages .button:not(.primary)").await;
    ben.shows_no_calls().await;
    anna.shows("messages", "Rings").await;
    anna.shows("in-call-state", "Declined by 1002.").await;
    anna.shows("in-call-state", "Rings at 1003.").await;
    ben.has_no_errors().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_caller_reads_that_the_only_callee_has_declined_and_the_record_says_so() {
    let _turn = shared_turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let anna = calls_page(&chromium, &server, "1001").await;
    let ben = calls_page(&chromium, &server, "1002").await;
    anna.fill("callees", "1002").await;
    anna.submit("place").await;
    ben.shows("news", "1001 calls").await;
    ben.click("#messages [data-act='decline']").await;
    anna.shows("in-call-state", "The call is over: it was declined.").await;
    anna.click(".in-call-course summary").await;
    let course = "document.querySelector('.in-call-course .history').checkVisibility()";
    anna.until("the events are shown in the call", SIGNAL_PATIENCE, course)
        .await;
    for (page, title) in [(&anna, "Your call to 1002"), (&ben, "1001 calls")] {
        page.shows("records", title).await;
        page.shows("records", "1002 has declined").await;
        page.shows("records", "The call is over: it was declined.").await;
    }
    // As a robot comes in an app when a callee has declined.
    anna.click("[data-action='calls.inviteRobot']").await;
    anna.hears_in_call(1).await;
    anna.has_no_errors().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_callers_other_tab_may_enter_or_cancel_the_call_and_not_answer_it() {
    let _turn = shared_turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let anna = calls_page(&chromium, &server, "1001").await;
    let other_tab = calls_page(&chromium, &server, "1001").await;
    let ben = calls_page(&chromium, &server, "1002").await;
    anna.fill("callees", "1002").await;
    anna.submit("place").await;
    ben.shows("messages", "1001 calls").await;
    other_tab.shows("messages", "Your call to 1002").await;
    anna.until("the call is shown", MEDIA_PATIENCE, IN_CALL).await;
    let acts = "[...document.querySelectorAll('#messages button')].map(({ dataset }) => dataset.act)";
    assert_eq!(other_tab.eval::<Vec<String>>(acts).await, ["enter", "cancel"]);
    assert_eq!(ben.eval::<Vec<String>>(acts).await, ["enter", "decline"]);
    assert_eq!(
        anna.eval::<usize>("document.querySelectorAll('#messages button').length")
            .await,
        0
    );
    other_tab.click("#messages [data-act='cancel']").await;
    ben.shows_no_calls().await;
    anna.shows("in-call-state", "The call is over: the caller has cancelled it.")
        .await;
    other_tab.shows("records", "1001 has cancelled the call").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callee_who_hangs_up_before_they_have_met_anybody_ends_the_call_and_is_in_it_until_then() {
    let _turn = shared_turn().await;
    let server = Server::start_with("[dapi]\nheartbeat_s = 5").await;
    let chromium = Chromium::start();
    let ben = calls_page(&chromium, &server, "1002").await;
    ask(&server, "call/user?src_uid=1001&dst_uid=1002").await;
    ben.shows("messages", "1001 calls").await;
    ben.click("#messages [data-act='enter']").await;
    ben.until("the call is shown", MEDIA_PATIENCE, IN_CALL).await;
    // Whoever has sent one, and no other within five seconds, is no longer in the call. The page sends three in that time.
    let beats = "performance.getEntriesByName(`${location.origin}/dapi/call/heartbeat`).length";
    ben.until("heartbeats", MEDIA_PATIENCE, &format!("{beats} >= 5")).await;
    ben.shows("records", "in the call since").await;
    ben.click("[data-action='hang-up']").await;
    ben.shows("records", "1002 has left").await;
    ben.shows("records", "The call is over.").await;
    let codes = "[...document.querySelectorAll('#records code')].map(({ textContent }) => textContent)";
    assert_eq!(ben.eval::<Vec<String>>(codes).await, ["2"]);
    ben.shows_no_calls().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_phone_in_chinese_a_call_is_placed_answered_and_left_by_keyboard() {
    let _turn = shared_turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let phone = |name: &'static str| {
        let window = Some((390, 780));
        chromium.page_with(
            name,
            Options {
                window,
                ..Options::default()
            },
        )
    };
    let (anna, ben) = (phone("anna").await, phone("ben").await);
    for (page, uid) in [(&anna, "1001"), (&ben, "1002")] {
        page.go(&server.page("/calls?lang=zh")).await;
        page.tab_to("#user-id").await;
        page.keys(&format!("{uid}{ENTER}")).await;
        page.until("signed in", SIGNAL_PATIENCE, "document.activeElement.id === 'callees'")
            .await;
    }
    anna.keys(&format!("1002{ENTER}")).await;
    ben.shows("news", "1001 来电").await;
    ben.tab_to("#messages [data-act='enter']").await;
    let name = "document.activeElement.getAttribute('aria-label')";
    assert_eq!(ben.eval::<String>(name).await, "接听 1001 的来电");
    ben.keys(ENTER).await;
    ben.hears_in_call(1).await;
    anna.shows("in-call-state", "正在与您通话：1002。").await;
    let inner = "document.querySelector('#in-call iframe').contentDocument.documentElement.lang";
    assert_eq!(ben.eval::<String>(inner).await, "zh-CN");
    for page in [&anna, &ben] {
        let only_the_call =
            "document.querySelector('main').inert && document.activeElement.dataset.action === 'hang-up'";
        page.until("only the call can be reached", SIGNAL_PATIENCE, only_the_call)
            .await;
        let fits = "document.documentElement.scrollWidth <= innerWidth";
        page.until("nothing is beside the screen", SIGNAL_PATIENCE, fits).await;
    }
    let no_answer: bool = ben.eval("!document.querySelector('#messages [data-act]')").await;
    assert!(no_answer, "a call that is open cannot be answered again");
    ben.keys(ENTER).await;
    ben.until(
        "read from the title",
        SIGNAL_PATIENCE,
        "document.activeElement.localName === 'h1'",
    )
    .await;
    anna.shows("in-call-state", "通话始于").await;
    anna.keys(ENTER).await;
    let back = "document.activeElement.id === 'callees' && !document.querySelector('main').inert";
    anna.until("back where they were", SIGNAL_PATIENCE, back).await;
    anna.shows("records", "1002 已离开").await;
    anna.shows("records", "通话已结束。").await;
    for page in [&anna, &ben] {
        page.until(
            "nothing is beside the screen",
            SIGNAL_PATIENCE,
            "document.documentElement.scrollWidth <= innerWidth",
        )
        .await;
        page.has_no_errors().await;
    }
}

/// The words of the question about another call, and where the focus is, while that is asked.
const QUESTION: &str = "(() => {
    const dialog = document.getElementById('ringing');
    const named = dialog.getAttribute('aria-labelledby').split(' ').map((id) => document.getElementById(id).textContent);
    return [named.join(' '), document.activeElement.dataset.action ?? document.activeElement.id];
})()";

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_comes_during_another_one_is_given_up_declined_or_answered_instead_by_keyboard() {
    let _turn = shared_turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let ben = calls_page(&chromium, &server, "1002").await;
    let call = async |from: &str| {
        let data = ask(&server, &format!("call/user?src_uid={from}&dst_uid=1002")).await;
        data["channel"].as_str().unwrap().to_owned()
    };
    let is_in =
        |channel: &str| format!("document.getElementById('in-call-title')?.textContent === '{channel}' && {IN_CALL}");
    let (rings, silent) = (
        "document.getElementById('ringing').open",
        "!document.getElementById('ringing').open",
    );
    let first = call("1001").await;
    ben.shows("messages", "1001 calls").await;
    assert!(
        ben.eval::<bool>(silent).await,
        "without another call the list is enough"
    );
    ben.click("#messages [data-act='enter']").await;
    ben.until("the call is shown", MEDIA_PATIENCE, &is_in(&first)).await;

    let given_up = call("1003").await;
    ben.until("another call is told", SIGNAL_PATIENCE, rings).await;
    ask(&server, &format!("call/event?uid=1003&channel={given_up}&code=1000")).await;
    ben.until("it is told no longer", SIGNAL_PATIENCE, silent).await;

    call("1004").await;
    ben.until("another call is told", SIGNAL_PATIENCE, rings).await;
    let question: [String; 2] = ben.eval(QUESTION).await;
    assert_eq!(question, ["1004 calls you while you are in this call", "ringing"]);
    // The key was meant for the call.
    ben.keys(ENTER).await;
    ben.keys(TAB).await;
    let question: [String; 2] = ben.eval(QUESTION).await;
    assert_eq!(question[1], "refuse");
    ben.keys(ENTER).await;
    ben.until("it is told no longer", SIGNAL_PATIENCE, silent).await;
    ben.shows("records", "1002 has declined").await;
    let back = "document.activeElement.dataset.action === 'hang-up' && document.querySelector('main').inert";
    ben.until("in the first call again", SIGNAL_PATIENCE, back).await;
    assert!(ben.eval::<bool>(&is_in(&first)).await, "the first call goes on");

    ben.run::<()>(IN_CHINESE, &[]).await;
    let last = call("1005").await;
    ben.until("another call is told", SIGNAL_PATIENCE, rings).await;
    let question: [String; 2] = ben.eval(QUESTION).await;
    assert_eq!(question, ["1005 在您通话时来电", "ringing"]);
    ben.keys(&format!("{TAB}{TAB}{ENTER}")).await;
    ben.until("the other call is shown", MEDIA_PATIENCE, &is_in(&last))
        .await;
    ben.until("only that can be reached", SIGNAL_PATIENCE, back).await;
    ben.shows("records", "1002 已离开").await;
    assert!(ben.eval::<bool>(silent).await, "nothing more is asked");
    ben.has_no_errors().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduled_call_comes_to_both_and_the_robot_joins_the_two() {
    let _turn = shared_turn().await;
    let server = Server::start_with("[dapi]\ntime_zone = \"UTC\"").await;
    let chromium = Chromium::start();
    let anna = calls_page(&chromium, &server, "1001").await;
    let ben = calls_page(&chromium, &server, "1002").await;
    anna.fill("task-callees", "1002").await;
    anna.fill("task-id", "t1").await;
    // A past time is refused, so it is far enough ahead for a busy machine.
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(5);
    anna.fill("task-time", &soon.strftime("%Y-%m-%d %H:%M:%S").to_string())
        .await;
    anna.submit("schedule").await;
    anna.shows("tasks", "waits").await;
    let rings = "document.querySelector(\"#messages [data-act='enter']\") !== null";
    ben.until("the call has come", MEDIA_PATIENCE, rings).await;
    ben.shows("messages", "1001 calls").await;
    anna.shows("news", "Your call to 1002").await;
    anna.shows("tasks", "was made").await;
    ben.click("#messages [data-act='enter']").await;
    anna.click("#messages [data-act='enter']").await;
    anna.hears_in_call(1).await;
    anna.click("[data-action='calls.inviteRobot']").await;
    anna.hears_in_call(2).await;
    ben.hears_in_call(2).await;
    anna.has_no_errors().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_is_asked_for_and_what_fails_again_and_again_is_one_line_until_it_succeeds() {
    let _turn = shared_turn().await;
    let server = Server::start_with("[dapi]\nkey = \"secret-of-this-test\"").await;
    let chromium = Chromium::start();
    let anna = calls_page(&chromium, &server, "1001").await;
    anna.shows("problem", "The key is missing or wrong.").await;
    anna.shows("log", "×2").await;
    let of_messages = "[...document.querySelectorAll('#log summary')].filter(({ textContent }) => textContent.includes('call/msg')).length";
    assert_eq!(anna.eval::<usize>(of_messages).await, 1);
    anna.click("#sign-out").await;
    anna.fill("key", "secret-of-this-test").await;
    anna.submit("sign-in").await;
    let fine = "document.getElementById('problem').hidden && !document.getElementById('signed-in').hidden";
    anna.until("no problem", SIGNAL_PATIENCE, fine).await;
    anna.run::<()>(
        "window.kept = window.fetch; window.fetch = () => Promise.reject(new TypeError('Failed to fetch'));",
        &[],
    )
    .await;
    anna.shows("problem", "The server can not be reached.").await;
    anna.run::<()>(IN_CHINESE, &[]).await;
    anna.shows("problem", "无法连接服务器。").await;
    anna.run::<()>("window.fetch = window.kept;", &[]).await;
    anna.until("it is hidden again", SIGNAL_PATIENCE, fine).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_robot_is_called_invited_and_removed() {
    let _turn = shared_turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let anna = calls_page(&chromium, &server, "1001").await;
    anna.click("#call-robot").await;
    anna.hears_in_call(1).await;
    anna.click("[data-action='calls.removeRobot']").await;
    let people = "document.querySelector('#in-call iframe').contentWindow.patchbay.client.participants.size";
    anna.until("the robot has left", SIGNAL_PATIENCE, &format!("{people} === 0"))
        .await;
    anna.click("[data-action='calls.inviteRobot']").await;
    anna.hears_in_call(1).await;
    anna.has_no_errors().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_scheduled_listed_and_deleted_and_a_past_time_is_refused_with_the_reason() {
    let _turn = shared_turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let anna = calls_page(&chromium, &server, "1001").await;
    // Chromium's time zone is another one.
    let server_zone = jiff::tz::TimeZone::get("Asia/Shanghai").unwrap();
    let now = jiff::Timestamp::now().to_zoned(server_zone);
    anna.until(
        "a time is proposed",
        SIGNAL_PATIENCE,
        "document.getElementById('task-time').value !== ''",
    )
    .await;
    let proposed: String = anna.eval("document.getElementById('task-time').value").await;
    let proposed: jiff::civil::DateTime = proposed.parse().unwrap();
    let ahead = proposed.duration_since(now.datetime()).as_secs();
    assert!(
        (30..=90).contains(&ahead),
        "{proposed} is {ahead} s ahead, in the server's zone"
    );
    anna.shows("time-hint", "Asia/Shanghai").await;
    anna.fill("task-callees", "1002").await;
    anna.fill("task-time", "2001-01-01 00:00:00").await;
    anna.fill("task-id", "t1").await;
    anna.submit("schedule").await;
    anna.shows("problem", "No call can be made at this time.").await;
    anna.shows("problem", "call_time: ").await;
    let tomorrow = now.tomorrow().unwrap().strftime("%Y-%m-%d 08:00:00").to_string();
    anna.fill("task-time", &tomorrow).await;
    anna.submit("schedule").await;
    anna.shows("tasks", &tomorrow).await;
    anna.shows("tasks", "waits").await;
    anna.run::<()>("document.querySelector('#tasks .button').focus(); return null;", &[])
        .await;
    let name: String = anna.eval("document.activeElement.getAttribute('aria-label')").await;
    assert_eq!(name, format!("Delete the call to 1002 at {tomorrow}"));
    anna.keys(ENTER).await;
    let empty = "!document.getElementById('no-tasks').hidden";
    anna.until("the task is deleted", SIGNAL_PATIENCE, empty).await;
    // The button that had the focus is no longer there.
    let focused = "document.activeElement.id === 'tasks-title'";
    anna.until("the list has the focus", SIGNAL_PATIENCE, focused).await;
    anna.has_no_errors().await;
}
