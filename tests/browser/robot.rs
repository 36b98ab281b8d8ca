//! A robot that plays a recording in a room: a browser there hears it. The server runs in this process, so that the test can
//! invite the robot.

use std::time::Duration;

use patchbay::config::{Config, Listener};
use patchbay::domain::{Claim, Command, Person, Play, RoomKind, Stay};
use patchbay::ids::Feed;
use patchbay::server::Server;
use patchbay::shares::ClientAddress;
use patchbay::sound::Recording;
use serde::Deserialize;
use tempfile::TempDir;

use crate::harness::chromium::{Chromium, Options};
use crate::harness::room::{MEDIA_PATIENCE, SIGNAL_PATIENCE};
use crate::harness::turn;

/// A tone of 440 Hz, of two seconds.
const TONE: &[u8] = include_bytes!("../fixtures/tone.opus");

/// A script that hears what a page receives: see the file.
const EARS: &str = include_str!("scripts/ears.js");

/// What the page has heard, and how it arrived.
#[derive(Debug, Deserialize)]
struct Heard {
    /// Seconds.
    length: f64,
    /// dB below full scale.
    loudness: f64,
    /// The longest pause, in seconds.
    pause: f64,
    report: Report,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    packets_received: u32,
    packets_lost: i32,
    /// Seconds.
    jitter: f64,
}

async fn server(directory: &TempDir) -> Server {
    server_with(directory, true).await
}

async fn server_with(directory: &TempDir, repeats: bool) -> Server {
    let listener = Listener {
        address: ([127, 0, 0, 1], 0).into(),
        tls: false,
    };
    let mut config = Config {
        listeners: vec![listener],
        ..Config::default()
    };
    config.robot.repeats = repeats;
    config.media.first_port = 0;
    config.media.workers = 2;
    config.storage.url = format!("sqlite:{}", directory.path().join("patchbay.db").display());
    config.files.directory = directory.path().join("files");
    Server::start(config).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn chromium_hears_a_robot_that_plays_a_tone() {
    let _turn = turn().await;
    let directory = TempDir::new().unwrap();
    let server = server(&directory).await;
    let (robot, _events) = server.hub().connect(ClientAddress::THIS_MACHINE).await.unwrap();
    let join = Command::Join {
        turn: robot.take_turn(),
        kind: RoomKind::Group,
        room: "demo".into(),
        person: Person::unnamed("7".into()),
        claim: Claim::Unproven,
        stay: Stay::default(),
        connects: false,
    };
    robot.request(join).await.unwrap();
    let play = Play {
        feed: Feed::Camera,
        recording: Recording::read(TONE).unwrap(),
        waits: false,
        repeats: true,
    };
    robot.request(Command::Play(play)).await.unwrap();

    let chromium = Chromium::start();
    let page = chromium.page("listener").await;
    let address = server.listeners()[0].address;
    page.go(&format!("http://{address}/room?userId=1&groupId=demo&type=video"))
        .await;
    page.run::<()>("await probe.mark(); return null;", &[]).await;
    // Two seconds of packets, and as much energy as a tone has: a tenth of full scale for so long has a hundredth.
    for (what, least) in [("packetsReceived", "100"), ("totalAudioEnergy", "0.01")] {
        let heard = format!("(await probe.grown('audio', '{what}', {least})) === 1");
        page.until(&format!("the robot is heard: {what}"), MEDIA_PATIENCE, &heard)
            .await;
    }
    // The tone is played without holes, as fast as it was recorded: with a wrong time line about half of the samples would have
    // to be made up.
    let share = "const [one] = await probe.inbound('audio'); return one.concealedSamples / one.totalSamplesReceived;";
    let made_up: f64 = page.run(share, &[]).await;
    assert!(made_up < 0.25, "{made_up} of the samples are made up");
    page.shows_tiles(2, SIGNAL_PATIENCE).await;
    // Whoever plays may leave as anybody does.
    drop(robot);
    page.shows_tiles(1, SIGNAL_PATIENCE).await;
    drop(page);
    server.stop().await;
}

/// The recording is twelve seconds long, of which 11.3 are louder than silence; these are at -19.8 dB.
#[tokio::test(flavor = "multi_thread")]
async fn chromium_hears_the_built_in_recording_from_its_beginning_to_its_end_as_loud_as_it_is() {
    let _turn = turn().await;
    let directory = TempDir::new().unwrap();
    let server = server_with(&directory, false).await;
    let room = "demo".into();
    let invited = server.robots().invite(&room, ClientAddress::THIS_MACHINE);
    tokio::time::timeout(Duration::from_secs(1), invited)
        .await
        .expect("it is there within a second")
        .unwrap();

    let chromium = Chromium::start();
    let options = Options {
        script: EARS,
        ..Options::default()
    };
    let page = chromium.page_with("listener", options).await;
    let address = server.listeners()[0].address;
    page.go(&format!("http://{address}/room?userId=1&groupId=demo&type=video"))
        .await;
    page.shows_tiles(2, SIGNAL_PATIENCE).await;
    page.until("the recording has ended", MEDIA_PATIENCE, "ears.isOver()")
        .await;
    let heard: Heard = page.eval("ears.summary()").await;
    println!("{heard:?}");
    assert!((10.9..11.7).contains(&heard.length), "{heard:?}");
    assert!((-21.3..-18.3).contains(&heard.loudness), "{heard:?}");
    assert!(heard.pause < 0.2, "{heard:?}");
    // 601 packets of 20 ms. The browser's figures may be some packets old.
    assert!((590..=601).contains(&heard.report.packets_received), "{heard:?}");
    assert_eq!(heard.report.packets_lost, 0, "{heard:?}");
    // A packet that comes with a wrong time stamp, or not when that says, is jitter (RFC 3550 §6.4.1).
    assert!(heard.report.jitter < 0.04, "{heard:?}");
    drop(page);
    server.stop().await;
}
