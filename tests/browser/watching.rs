//! Everybody in a room is received over one connection: people come, go, and come again. Colours tell whose picture is shown.

use crate::harness::chromium::{Chromium, Options};
use crate::harness::firefox;
use crate::harness::page::Page;
use crate::harness::room::{MEDIA_PATIENCE, SIGNAL_PATIENCE, address, enter};
use crate::harness::turn;
use crate::support::server::Server;

const FACES: &str = include_str!("scripts/faces.js");
const MANY_PEOPLE: &str = include_str!("scripts/many_people.js");

/// Somebody with the colour of their camera.
struct Person {
    page: Page,
    id: u32,
    colour: &'static str,
}

impl Person {
    /// Opens a browser in which this person's camera is.
    async fn new(chromium: &Chromium, id: u32, colour: &'static str) -> Person {
        let script = format!("{FACES}faces.become({colour:?}, {});", 400 * id);
        let options = Options {
            script: &script,
            window: Some((800, 600)),
            ..Options::default()
        };
        let page = chromium.page_with(&format!("user-{id}"), options).await;
        Person { page, id, colour }
    }

    async fn come(&self, server: &Server) {
        self.page.go(&address(server, self.id)).await;
    }

    async fn leave(&self) {
        self.page.go("about:blank").await;
    }
}

/// The page shows these people, each by their own picture, and nobody else, over one connection beside its own.
async fn shows(viewer: &Page, people: &[&Person]) {
    viewer.shows_tiles(people.len() + 1, SIGNAL_PATIENCE).await;
    for Person { id, colour, .. } in people {
        let shown = format!(
            "faces.colourOf(document.querySelector('[data-participant=\"{id}\"] video')) === {colour:?}
            && !document.querySelector('[data-participant=\"{id}\"]').classList.contains('no-video')"
        );
        viewer
            .until(&format!("{id} is {colour}"), MEDIA_PATIENCE, &shown)
            .await;
    }
    let connections: usize = viewer.eval("probe.alive().length").await;
    assert_eq!(connections, 2, "one to publish, and one to watch");
}

/// Only this one of these people is heard.
async fn hears_only(viewer: &Page, speaker: &Person, people: &[&Person]) {
    speaker.page.eval::<i64>("faces.speak(true)").await;
    let others: Vec<u32> = people.iter().map(|one| one.id).filter(|id| *id != speaker.id).collect();
    let heard = format!(
        "((level) => level({}) > 0.05 && {others:?}.every((id) => level(id) < 0.02))
            ((id) => patchbay.client.participants.get(String(id)).audioLevel)",
        speaker.id
    );
    let what = format!("only {} is heard", speaker.id);
    viewer.until(&what, SIGNAL_PATIENCE, &heard).await;
    speaker.page.eval::<i64>("faces.speak(false)").await;
}

/// Waits until so many others are seen. In a large room only the loudest are heard.
async fn sees(viewer: &Page, others: usize) {
    viewer.run::<()>("await probe.mark(); return null;", &[]).await;
    let grown = format!("(await probe.grown('video', 'framesDecoded', 10)) === {others}");
    viewer
        .until(&format!("{others} others are seen"), MEDIA_PATIENCE, &grown)
        .await;
}

async fn watches_whoever_comes_and_goes(viewer: &Page, chromium: &Chromium, server: &Server) {
    let red = Person::new(chromium, 2, "red").await;
    let green = Person::new(chromium, 3, "green").await;
    let blue = Person::new(chromium, 4, "blue").await;
    red.come(server).await;
    green.come(server).await;
    shows(viewer, &[&red, &green]).await;
    viewer
        .run::<()>("globalThis.first = probe.alive(); return null;", &[])
        .await;

    red.leave().await;
    shows(viewer, &[&green]).await;
    blue.come(server).await;
    shows(viewer, &[&green, &blue]).await;
    red.come(server).await;
    shows(viewer, &[&green, &blue, &red]).await;
    for speaker in [&red, &green, &blue] {
        hears_only(viewer, speaker, &[&red, &green, &blue]).await;
    }
    for _ in 0..4 {
        green.page.reload().await;
        green
            .page
            .until("it is back", MEDIA_PATIENCE, "patchbay.client?.state === 'joined'")
            .await;
    }
    shows(viewer, &[&green, &blue, &red]).await;
    hears_only(viewer, &green, &[&red, &green, &blue]).await;
    hears_only(viewer, &blue, &[&red, &green, &blue]).await;
    if !viewer
        .eval::<bool>("first.every((one) => probe.alive().includes(one))")
        .await
    {
        panic!("the connections are not the first\n{}", viewer.evidence().await);
    }
    let sections: usize = viewer
        .eval("patchbay.client.participants.get('2').pc.localDescription.sdp.split('m=video').length - 1")
        .await;
    assert!(sections <= 6, "{sections}: sections are used again");
    let errors: Vec<String> = viewer.eval("probe.errors").await;
    assert_eq!(errors, Vec::<String>::new(), "errors of the page's scripts");
    red.leave().await;
    green.leave().await;
    blue.leave().await;
    viewer.shows_tiles(1, SIGNAL_PATIENCE).await;
    server.until_metric("patchbay_peers", 1.0, SIGNAL_PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chromium_watches_whoever_comes_and_goes_over_one_connection() {
    let _turn = turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let options = Options {
        script: FACES,
        ..Options::default()
    };
    let viewer = chromium.page_with("viewer", options).await;
    viewer.go(&address(&server, 1)).await;
    watches_whoever_comes_and_goes(&viewer, &chromium, &server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn firefox_watches_whoever_comes_and_goes_over_one_connection() {
    let _turn = turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let viewer = firefox::page_with("viewer", FACES).await;
    viewer.go(&address(&server, 1)).await;
    watches_whoever_comes_and_goes(&viewer, &chromium, &server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_room_of_ten_a_page_has_two_connections_and_makes_one_to_see_everybody() {
    let _turn = turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let crowd = chromium.page("crowd").await;
    crowd.go(&server.page("/static/not-found/")).await;
    crowd.run::<()>(MANY_PEOPLE, &[2.into(), 9.into()]).await;
    let viewer = enter(&chromium, &server, 1).await;
    sees(&viewer, 9).await;
    viewer.shows_tiles(10, SIGNAL_PATIENCE).await;
    assert_eq!(
        viewer.eval::<usize>("probe.peers.length").await,
        2,
        "none was made beside these"
    );
    server.until_metric("patchbay_peers", 11.0, SIGNAL_PATIENCE).await;
    let longest: usize = viewer
        .eval("Math.max(...probe.sent.map(({ message }) => JSON.stringify(message).length))")
        .await;
    println!("the longest message that the page sent has {longest} characters");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_for_whom_the_one_connection_has_no_place_have_connections_of_their_own() {
    let _turn = turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let crowd = chromium.page("crowd").await;
    crowd.go(&server.page("/static/not-found/")).await;
    crowd.run::<()>(MANY_PEOPLE, &[2.into(), 14.into()]).await;
    let viewer = enter(&chromium, &server, 1).await;
    sees(&viewer, 14).await;
    assert_eq!(
        viewer.eval::<usize>("probe.alive().length").await,
        4,
        "one to publish, one for twelve people, and two for one each"
    );
}
