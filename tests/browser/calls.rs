//! The page of the call API: two people call one another by it, the robot comes, and a call is scheduled.

use crate::harness::chromium::Chromium;
use crate::harness::page::Page;
use crate::harness::room::{MEDIA_PATIENCE, SIGNAL_PATIENCE};
use crate::harness::turn;
use crate::support::server::Server;

const IN_CALL: &str = "document.querySelector('#in-call iframe')?.contentWindow?.probe !== undefined";

async fn calls_page(chromium: &Chromium, server: &Server, uid: &str) -> Page {
    let page = chromium.page(uid).await;
    page.go(&server.page(&format!("/calls?uid={uid}&lang=en"))).await;
    let signed_in = "!document.getElementById('signed-in').hidden";
    page.until("the page is ready", SIGNAL_PATIENCE, signed_in).await;
    page
}

impl Page {
    async fn fill(&self, id: &str, value: &str) {
        let fill = format!("document.getElementById({id:?}).value = {value:?}; return null;");
        self.run::<()>(&fill, &[]).await;
    }

    async fn submit(&self, form: &str) {
        let submit = format!("document.getElementById({form:?}).requestSubmit(); return null;");
        self.run::<()>(&submit, &[]).await;
    }

    async fn click(&self, selector: &str) {
        let click = format!("document.querySelector({selector:?}).click(); return null;");
        self.run::<()>(&click, &[]).await;
    }

    async fn shows(&self, id: &str, words: &str) {
        let found = format!("document.getElementById({id:?}).textContent.includes({words:?})");
        self.until(words, SIGNAL_PATIENCE, &found).await;
    }

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

    async fn has_no_errors(&self) {
        let errors: Vec<String> = self.eval("probe.errors").await;
        assert_eq!(errors, Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_answers_a_call_and_both_hear_one_another_until_one_hangs_up() {
    let _turn = turn().await;
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
    let _turn = turn().await;
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
    ben.has_no_errors().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_robot_is_called_invited_and_removed() {
    let _turn = turn().await;
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
    let _turn = turn().await;
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
    anna.shows("problem", "call_time").await;
    let tomorrow = now.tomorrow().unwrap().strftime("%Y-%m-%d 08:00:00").to_string();
    anna.fill("task-time", &tomorrow).await;
    anna.submit("schedule").await;
    anna.shows("tasks", &tomorrow).await;
    anna.click("#tasks .button").await;
    let empty = "!document.getElementById('no-tasks').hidden";
    anna.until("the task is deleted", SIGNAL_PATIENCE, empty).await;
    anna.has_no_errors().await;
}
