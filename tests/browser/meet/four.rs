//! A meeting of four. One of them has room for one picture, which follows whoever speaks. Colours and pitches tell who is seen and heard.

use std::time::Duration;

use super::ASKS;
use super::voices::{EARS, meeting};
use crate::harness::chromium::{Chromium, Options};
use crate::harness::page::Page;
use crate::harness::room::{MEDIA_PATIENCE, SIGNAL_PATIENCE};
use crate::harness::turn;
use crate::support::server::Server;

const FACES: &str = include_str!("../scripts/faces.js");
const PLAIN_PARTICIPANT: &str = include_str!("../scripts/plain_participant.js");

/// The longest time from somebody's first sound to their picture at whoever has room for one.
const FOLLOWS_WITHIN_MS: i64 = 1_000;

/// A time in which a picture that follows whoever speaks would have changed, and again.
const HOLDS: Duration = Duration::from_millis(2 * FOLLOWS_WITHIN_MS as u64);

/// Somebody in the meeting.
struct Person {
    page: Page,
    name: &'static str,
    colour: &'static str,
    pitch_hz: u32,
}

impl Person {
    /// Opens a browser in which this person's camera and microphone are.
    async fn come(chromium: &Chromium, name: &'static str, colour: &'static str, pitch_hz: u32) -> Person {
        let script = format!("{EARS}{FACES}faces.become({colour:?}, {pitch_hz});");
        let options = Options {
            script: &script,
            window: Some((800, 600)),
            ..Options::default()
        };
        Person {
            page: chromium.page_with(name, options).await,
            name,
            colour,
            pitch_hz,
        }
    }

    async fn enter_with_room_for_one_picture(&self, server: &Server) {
        let page = &self.page;
        page.go(&server.page("/meet?lang=en")).await;
        page.until("it asks who is there", SIGNAL_PATIENCE, ASKS).await;
        page.run::<()>(PLAIN_PARTICIPANT, &["4711".into(), self.name.into()])
            .await;
    }

    /// Begins to speak, or stops. Returns the time, in milliseconds since 1970.
    async fn speaks(&self, is_loud: bool) -> i64 {
        self.page.eval(&format!("faces.speak({is_loud})")).await
    }

    /// Waits until this person's page shows a picture in the other one's colour under their name.
    async fn sees(&self, other: &Person) {
        let Person { name, colour, .. } = other;
        let seen = format!(
            "faces.colourOf([...document.querySelectorAll('.tile:not(.self)')].find((tile) =>
                tile.querySelector('.tile-name').textContent === {name:?})?.querySelector('video')) === {colour:?}"
        );
        self.page
            .until(&format!("{name} is {colour}"), MEDIA_PATIENCE, &seen)
            .await;
    }

    /// Waits until the one picture is this person's. Returns when it was seen first after `since`.
    async fn shows(&self, other: &Person, since: i64) -> i64 {
        let colour = other.colour;
        let is_shown = format!("plain.changes.at(-1)?.colour === {colour:?}");
        self.page
            .until(&format!("{} is shown", other.name), MEDIA_PATIENCE, &is_shown)
            .await;
        let first = format!("plain.changes.find((one) => one.colour === {colour:?} && one.at >= {since})?.at ?? null");
        let at: Option<i64> = self.page.eval(&first).await;
        at.unwrap_or_else(|| panic!("{} was shown before", other.name))
    }

    async fn changes(&self) -> usize {
        self.page.eval("plain.changes.length").await
    }

    /// Waits until this person is the only one whom the server says to speak.
    async fn is_sent_that_speaks(&self, other: &Person) {
        let name = other.name;
        let sent =
            format!("patchbay.client.speakers.map((id) => patchbay.client.people.get(id)?.name).join() === {name:?}");
        self.page
            .until(&format!("only {name} speaks"), SIGNAL_PATIENCE, &sent)
            .await;
    }

    /// Waits until one voice is heard, and it is this person's.
    async fn hears(&self, other: &Person) {
        let heard = format!(
            "((heard) => heard.length === 1 && Math.abs(heard[0] - {}) < 60)(pitches())",
            other.pitch_hz
        );
        self.page
            .until(&format!("{} is heard", other.name), SIGNAL_PATIENCE, &heard)
            .await;
    }

    async fn hears_nobody(&self) {
        self.page
            .until("nobody is heard", SIGNAL_PATIENCE, "pitches().length === 0")
            .await;
    }
}

/// One person speaks, and everybody else hears them alone.
async fn only_speaks(speaker: &Person, people: &[&Person]) {
    for other in people {
        match std::ptr::eq(*other, speaker) {
            true => other.hears_nobody().await,
            false => other.hears(speaker).await,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_four_one_sees_whoever_speaks_within_a_second_and_whoever_is_in_the_spotlight_all_the_while() {
    let _turn = turn().await;
    let server = meeting().await;
    let chromium = Chromium::start();
    let anna = Person::come(&chromium, "Anna", "red", 600).await;
    let ben = Person::come(&chromium, "Ben", "green", 1_000).await;
    let chen = Person::come(&chromium, "Chen", "blue", 1_500).await;
    let dora = Person::come(&chromium, "Dora", "yellow", 2_200).await;
    for (person, pin) in [(&anna, "471147"), (&ben, ""), (&chen, "")] {
        person.page.enter_with_pin(&server, person.name, pin).await;
    }
    dora.enter_with_room_for_one_picture(&server).await;
    let everybody = [&anna, &ben, &chen, &dora];
    for viewer in [&anna, &ben, &chen] {
        for other in everybody.into_iter().filter(|other| other.name != viewer.name) {
            viewer.sees(other).await;
        }
    }

    // The next one begins when the one before stops, and while the server still counts them as speaking.
    let mut before: Option<&Person> = None;
    let mut longest = 0;
    for speaker in [&ben, &chen, &anna, &ben, &anna] {
        if let Some(before) = before {
            before.speaks(false).await;
        }
        let began = speaker.speaks(true).await;
        let took = dora.shows(speaker, began).await - began;
        println!("{} was shown after {took} ms", speaker.name);
        longest = longest.max(took);
        dora.is_sent_that_speaks(speaker).await;
        only_speaks(speaker, &everybody).await;
        before = Some(speaker);
    }
    assert!(longest <= FOLLOWS_WITHIN_MS, "{longest} ms");

    // Anna, who speaks, puts Chen into the spotlight. Then Ben speaks.
    let began: i64 = dora.page.eval("Date.now()").await;
    anna.page.press("people").await;
    anna.page.about("Chen", "spotlightOn").await;
    dora.shows(&chen, began).await;
    let changes = dora.changes().await;
    anna.speaks(false).await;
    ben.speaks(true).await;
    dora.is_sent_that_speaks(&ben).await;
    only_speaks(&ben, &everybody).await;
    tokio::time::sleep(HOLDS).await;
    assert_eq!(dora.changes().await, changes, "the picture stays");
    let began: i64 = dora.page.eval("Date.now()").await;
    anna.page.about("Chen", "spotlightOff").await;
    dora.shows(&ben, began).await;

    // Dora is seen and heard as the others are.
    ben.speaks(false).await;
    dora.speaks(true).await;
    only_speaks(&dora, &everybody).await;
    for person in everybody {
        person.page.has_no_errors().await;
    }
}
