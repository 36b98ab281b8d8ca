//! The web SDKs of the enterprise family, both generations: their offers, which they rewrite between browser and server, media in
//! both directions, and whoever speaks in one section of sound. The pages ask the hub itself, through the test.

use patchbay::domain::{Command, Conference, Event, MediaKind, Offer, Subject, UserFeed};
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
        let command = |offer| Command::OfferConference { conference, offer };
        self.connect_for(generation, ways, command).await
    }

    async fn connect_for(
        &mut self,
        generation: &str,
        ways: &str,
        command: impl FnOnce(Offer) -> Command,
    ) -> (String, Answer) {
        let offer: String = self
            .page
            .run("return sdk.offer(...args);", &[generation.into(), ways.into()])
            .await;
        let answer = self.member.offer(command, offer.clone()).await;
        self.page
            .run::<()>("await sdk.accept(...args); return null;", &[answer.sdp.as_str().into()])
            .await;
        (offer, answer)
    }

    async fn sends(&self) {
        for (kind, codec) in [("audio", "audio/opus"), ("video", "video/H264")] {
            let sends = format!("(await sdk.sends('{kind}')) === '{codec} true' || await sdk.sends('{kind}')");
            self.page
                .until(&format!("{kind} is sent"), MEDIA_PATIENCE, &sends)
                .await;
        }
    }

    async fn has_no_errors(&self) {
        let errors: Vec<String> = self.page.eval("probe.errors").await;
        assert_eq!(errors, Vec::<String>::new(), "errors of the page's scripts");
    }

    /// Waits until the member is sent that this user is in the first slot of sound.
    async fn has_speaker(&mut self, user: &str) {
        let is_first = |event| match event {
            Event::Layout { slots, .. } => {
                let first = slots.first()?.1.as_ref()?;
                (first.user.as_str() == user).then_some(())
            }
            _ => None,
        };
        self.member.next(&format!("{user} in the first slot"), is_first).await;
    }

    /// Waits until the member is sent that these users are in the slots of a connection.
    async fn has_in_slots(&mut self, of: Subject, users: &[Option<&str>]) {
        loop {
            let layout = |event| match event {
                Event::Layout { subject, slots } if subject == of => Some(slots),
                _ => None,
            };
            let slots = self.member.next(&format!("{users:?} in the slots"), layout).await;
            let in_slots: Vec<Option<&str>> = slots
                .iter()
                .map(|(_, feed)| feed.as_ref().map(|feed| feed.user.as_str()))
                .collect();
            if in_slots == users {
                return;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_generations_meet_and_see_and_hear_one_another() {
    let _turn = turn().await;
    let (server, house, chromium) = (Server::start().await, House::open(), Chromium::start());
    let mut newer = Person::come(&chromium, &server, &house, "anna").await;
    let mut older = Person::come(&chromium, &server, &house, "ben").await;
    let (offer, answer) = newer.connect("newer", "both", plain(Some(Feed::Camera))).await;
    assert!(
        offer.contains("a=mid:audio\r\n") && offer.contains("a=mid:video\r\n"),
        "{offer}"
    );
    assert!(!answer.sdp.contains("a=group:BUNDLE"), "{}", answer.sdp);
    let (offer, _) = older.connect("older", "both", plain(Some(Feed::Camera))).await;
    assert!(offer.find("m=video") < offer.find("m=audio"), "{offer}");
    for person in [&newer, &older] {
        person.sends().await;
        person.page.sees_and_hears(1).await;
        person.has_no_errors().await;
    }
    let transports = "(await probe.transports()).join('; ')";
    let apart = format!("{transports} === 'audio connected alone, video connected alone' || {transports}");
    newer.page.until("two transports", MEDIA_PATIENCE, &apart).await;
    let everybody = [Some("ben"), None, None, None, None, Some("ben")];
    newer.has_in_slots(Subject::Conference, &everybody).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_speaks_is_heard_in_the_stream_that_the_answer_names() {
    let _turn = turn().await;
    let (server, house, chromium) = (Server::start().await, House::open(), Chromium::start());
    let mut people = Vec::new();
    for (name, generation) in [("anna", "newer"), ("ben", "older")] {
        let mut person = Person::come(&chromium, &server, &house, name).await;
        person.connect(generation, "both", plain(Some(Feed::Camera))).await;
        people.push(person);
    }
    let mut carl = Person::come(&chromium, &server, &house, "carl").await;
    let (_, answer) = carl.connect("newer", "receive", plain(None)).await;
    let named = answer.slots.iter().find(|one| one.kind == MediaKind::Audio);
    let named = named.expect("sound").ssrc;
    // The microphones beep. Chromium plays the stream that the answer names, and no other one of the section.
    for (speaker, silent) in [(0, 1), (1, 0), (0, 1)] {
        people[silent].page.run::<()>("sdk.mute(true); return null;", &[]).await;
        people[speaker]
            .page
            .run::<()>("sdk.mute(false); return null;", &[])
            .await;
        let name = ["anna", "ben"][speaker];
        carl.has_speaker(name).await;
        let before: f64 = carl.page.eval(&format!("await sdk.energy({named})")).await;
        let heard = format!("(await sdk.energy({named})) > {before} + 1e-3");
        carl.page
            .until(&format!("{name} is heard"), MEDIA_PATIENCE, &heard)
            .await;
    }
    for person in people.iter().chain([&carl]) {
        person.has_no_errors().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_screen_comes_over_a_connection_of_its_own() {
    let _turn = turn().await;
    let (server, house, chromium) = (Server::start().await, House::open(), Chromium::start());
    let mut anna = Person::come(&chromium, &server, &house, "anna").await;
    let mut ben = Person::come(&chromium, &server, &house, "ben").await;
    for person in [&mut anna, &mut ben] {
        person.connect("newer", "both", plain(Some(Feed::Camera))).await;
    }
    let presentation = Conference {
        presentation: true,
        ..Conference::default()
    };
    ben.connect("newer", "receive", presentation).await;
    ben.has_in_slots(Subject::Presentation, &[None]).await;
    let (user, feed) = ("anna".into(), Feed::Screen);
    let subject = UserFeed { user, feed };
    anna.connect_for("newer", "screen", |offer| Command::Offer { subject, offer })
        .await;
    ben.has_in_slots(Subject::Presentation, &[Some("anna")]).await;
    let seen = "(await sdk.decoded()) > 10 || await sdk.decoded()";
    ben.page.until("the screen is seen", MEDIA_PATIENCE, seen).await;
    for person in [&anna, &ben] {
        person.has_no_errors().await;
    }
}
