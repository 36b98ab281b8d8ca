//! The web SDKs of the enterprise family, both generations: their offers, which they rewrite between browser and server, media in
//! both directions, and several people at once in one section of sound. The pages ask the hub itself, through the test.

use patchbay::domain::{Command, Conference};
use patchbay::ids::Feed;

use crate::harness::chromium::{Chromium, Options};
use crate::harness::page::Page;
use crate::harness::room::MEDIA_PATIENCE;
use crate::harness::turn;
use crate::house::{Answer, House, Member};
use crate::support::server::Server;

const OPTIONS: Options<'static> = Options {
    script: concat!(include_str!("scripts/transports.js"), include_str!("scripts/sdk.js")),
    camera: "",
    flags: &[],
    without: &[],
    window: None,
};

/// What somebody has who takes part without several pictures.
fn plain(publish: Option<Feed>) -> Conference {
    Conference {
        publish,
        sound_slots: 5,
        picture_slots: 1,
        ..Conference::default()
    }
}

/// Somebody with a browser.
struct Person {
    page: Page,
    member: Member,
}

impl Person {
    async fn come(chromium: &Chromium, server: &Server, house: &House, name: &str) -> Person {
        let page = chromium.page_with(name, OPTIONS).await;
        page.go(&server.page("/openapi.json")).await;
        let member = house.enter(name).await;
        Person { page, member }
    }

    /// Connects as an SDK of this generation does. The offer that it sent, and the answer that it got.
    async fn connect(&mut self, generation: &str, ways: &str, conference: Conference) -> (String, Answer) {
        let offer: String = self
            .page
            .run("return sdk.offer(...args);", &[generation.into(), ways.into()])
            .await;
        let command = |offer| Command::OfferConference { conference, offer };
        let answer = self.member.offer(command, offer.clone()).await;
        self.page
            .run::<()>("await sdk.accept(...args); return null;", &[answer.sdp.as_str().into()])
            .await;
        (offer, answer)
    }

    async fn sends(&self) {
        for kind in ["audio", "video"] {
            let sends = format!("/true/.test(await sdk.sends('{kind}'))");
            self.page
                .until(&format!("{kind} is sent"), MEDIA_PATIENCE, &sends)
                .await;
        }
    }

    async fn has_no_errors(&self) {
        let errors: Vec<String> = self.page.eval("probe.errors").await;
        assert_eq!(errors, Vec::<String>::new(), "errors of the page's scripts");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_generations_meet_and_see_and_hear_one_another() {
    let _turn = turn().await;
    let (server, house, chromium) = (Server::start().await, House::open(), Chromium::start());
    let mut newer = Person::come(&chromium, &server, &house, "anna").await;
    let mut older = Person::come(&chromium, &server, &house, "ben").await;
    let (offer, answer) = newer.connect("newer", "both", plain(Some(Feed::Camera))).await;
    println!("newer offer\n{offer}\nanswer\n{}", answer.sdp);
    let (offer, answer) = older.connect("older", "both", plain(Some(Feed::Camera))).await;
    println!("older offer\n{offer}\nanswer\n{}", answer.sdp);
    for person in [&newer, &older] {
        person.sends().await;
        person.page.sees_and_hears(1).await;
        person.has_no_errors().await;
    }
}
