//! Things that people do in a call: mute, turn the camera off, chat, share files.

use std::time::Duration;

use crate::harness::chromium::{Chromium, Options};
use crate::harness::page::Page;
use crate::harness::room::{SIGNAL_PATIENCE, enter, enter_with};
use crate::harness::turn;
use crate::support::server::Server;

const MARKUP: &str = r#"<img src=x onerror="window.attacked=1"><script>window.attacked=1</script> & "quotes""#;

/// A time longer than the fake microphone's pause between two beeps, and than many frames.
const A_WHILE: Duration = Duration::from_millis(2_500);

/// A time for what was on its way when somebody turned something off: until then it may still be played.
const ON_ITS_WAY: Duration = Duration::from_secs(1);

/// The number of received streams of a kind that grow in a figure over a while.
async fn growing(page: &Page, kind: &str, figure: &str, by: f64) -> usize {
    page.run::<()>("await probe.mark(); return null;", &[]).await;
    tokio::time::sleep(A_WHILE).await;
    page.eval(&format!("await probe.grown('{kind}', '{figure}', {by})"))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn muting_silences_and_unmuting_is_heard_again() {
    let _turn = turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let (speaker, listener) = (enter(&chromium, &server, 1).await, enter(&chromium, &server, 2).await);
    listener.sees_and_hears(1).await;
    speaker.press("mic").await;
    listener
        .until(
            "the tile says muted",
            SIGNAL_PATIENCE,
            "!document.querySelector('[data-participant=\"1\"] .tile-muted').hidden",
        )
        .await;
    tokio::time::sleep(ON_ITS_WAY).await;
    assert_eq!(
        growing(&listener, "audio", "totalAudioEnergy", 1e-4).await,
        0,
        "still heard while muted"
    );
    assert_eq!(
        growing(&listener, "video", "framesDecoded", 10.0).await,
        1,
        "still seen while muted"
    );
    speaker.press("mic").await;
    listener.sees_and_hears(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_turned_off_and_on_is_seen_so() {
    let _turn = turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let (shown, viewer) = (enter(&chromium, &server, 1).await, enter(&chromium, &server, 2).await);
    viewer.sees_and_hears(1).await;
    shown.press("camera").await;
    let hidden = "document.querySelector('[data-participant=\"1\"]').classList.contains('no-video')";
    viewer.until("the tile shows no picture", SIGNAL_PATIENCE, hidden).await;
    tokio::time::sleep(ON_ITS_WAY).await;
    assert_eq!(
        growing(&viewer, "video", "framesDecoded", 1.0).await,
        0,
        "still seen without camera"
    );
    shown.press("camera").await;
    viewer.sees_and_hears(1).await;
    viewer
        .until("the tile shows a picture", SIGNAL_PATIENCE, &format!("!({hidden})"))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chat_reaches_everybody_and_markup_stays_text() {
    let _turn = turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let (writer, reader) = (enter(&chromium, &server, 1).await, enter(&chromium, &server, 2).await);
    reader.shows_tiles(2, SIGNAL_PATIENCE).await;
    writer.press("chat").await;
    writer.chat(MARKUP).await;
    for page in [&writer, &reader] {
        let quoted = serde_json::to_string(MARKUP).unwrap();
        let shown = format!("document.getElementById('chat-list').textContent.includes({quoted})");
        page.until("the text is shown as it was written", SIGNAL_PATIENCE, &shown)
            .await;
        assert_harmless(page).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_with_markup_stays_text() {
    let _turn = turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let reader = enter(&chromium, &server, 1).await;
    let attacker = chromium.page("attacker").await;
    let name: String = MARKUP.bytes().map(|byte| format!("%{byte:02X}")).collect();
    attacker
        .go(&server.page(&format!("/room?userId={name}&groupId=demo&type=video&userName={name}")))
        .await;
    reader.shows_tiles(2, SIGNAL_PATIENCE).await;
    reader.press("people").await;
    attacker.press("chat").await;
    attacker.chat("see my name").await;
    let shown = "document.getElementById('chat-list').textContent.includes('see my name')";
    reader.until("the text is shown", SIGNAL_PATIENCE, shown).await;
    let named = "document.getElementById('stage').textContent.includes('<img src=x')";
    reader
        .until("the name is shown as it was given", SIGNAL_PATIENCE, named)
        .await;
    assert_harmless(&reader).await;
}

/// Nothing in the markup runs or has become an element.
async fn assert_harmless(page: &Page) {
    assert!(page.eval::<bool>("window.attacked === undefined").await, "a script ran");
    let elements = "document.querySelectorAll('img[onerror], #chat-list script, #stage script').length";
    assert_eq!(page.eval::<u32>(elements).await, 0, "markup became elements");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_file_can_be_fetched_by_the_others() {
    let _turn = turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let (sender, receiver) = (enter(&chromium, &server, 1).await, enter(&chromium, &server, 2).await);
    receiver.shows_tiles(2, SIGNAL_PATIENCE).await;
    let pick = "const file = new File(['what is in the file'], 'notes & plans.txt', { type: 'text/plain' });
        const picked = new DataTransfer();
        picked.items.add(file);
        const input = document.getElementById('file-input');
        input.files = picked.files;
        input.dispatchEvent(new Event('change', { bubbles: true }));
        return null;";
    sender.run::<()>(pick, &[]).await;
    receiver.press("chat").await;
    let link =
        "[...document.querySelectorAll('#chat-list a')].find((one) => one.textContent.includes('notes & plans.txt'))";
    receiver
        .until("the file's link", SIGNAL_PATIENCE, &format!("Boolean({link})"))
        .await;
    let fetched: (String, String) = receiver
        .run(
            &format!(
                "const answer = await fetch(({link}).href);
                 return [await answer.text(), answer.headers.get('content-disposition') ?? ''];"
            ),
            &[],
        )
        .await;
    assert_eq!(fetched.0, "what is in the file");
    assert!(
        fetched.1.starts_with("attachment"),
        "handed out as a download: {}",
        fetched.1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_fits_a_phone() {
    let _turn = turn().await;
    let server = Server::start().await;
    let chromium = Chromium::start();
    let phone = Options {
        window: Some((390, 780)),
        ..Options::default()
    };
    let (_other, small) = (
        enter(&chromium, &server, 1).await,
        enter_with(&chromium, &server, 2, phone).await,
    );
    small.sees_and_hears(1).await;
    let overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
    assert_eq!(
        small.eval::<i64>(overflow).await,
        0,
        "the page is wider than the screen"
    );
    for action in ["mic", "camera", "leave"] {
        let inside = format!(
            "[...document.querySelectorAll('[data-action=\"{action}\"]')].some((one) => {{
                const box = one.getBoundingClientRect();
                return box.width > 0 && box.left >= 0 && box.right <= innerWidth && box.bottom <= innerHeight;
            }})"
        );
        assert!(
            small.eval::<bool>(&inside).await,
            "the button for {action} is off the screen"
        );
    }
    small.press("people").await;
    let fills = "(() => {
        const { left, right } = document.getElementById('panel').getBoundingClientRect();
        return left === 0 && right === innerWidth;
    })()";
    small
        .until("the list of people fills the screen", SIGNAL_PATIENCE, fills)
        .await;
}
