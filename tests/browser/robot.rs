//! A robot that plays a recording in a room: a browser there hears it. It has no API yet, so the server runs in this process.

use patchbay::config::{Config, Listener};
use patchbay::domain::{Claim, Command, Person, Play, RoomKind, Stay};
use patchbay::ids::Feed;
use patchbay::server::Server;
use patchbay::shares::ClientAddress;
use patchbay::sound::Recording;
use tempfile::TempDir;

use crate::harness::chromium::Chromium;
use crate::harness::room::{MEDIA_PATIENCE, SIGNAL_PATIENCE};
use crate::harness::turn;

/// A tone of 440 Hz, of two seconds.
const TONE: &[u8] = include_bytes!("../fixtures/tone.opus");

async fn server(directory: &TempDir) -> Server {
    let listener = Listener {
        address: ([127, 0, 0, 1], 0).into(),
        tls: false,
    };
    let mut config = Config {
        listeners: vec![listener],
        ..Config::default()
    };
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
