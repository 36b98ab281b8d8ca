//! The room page as people use it: open it, see and hear others, press its buttons.

use std::time::Duration;

use super::chromium::{Chromium, Options};
use super::page::Page;
use crate::support::server::Server;

/// The time from opening a page to pictures of everybody, with several browsers starting on two cores.
pub const MEDIA_PATIENCE: Duration = Duration::from_secs(30);
/// The time for a message to travel and the page to show it.
pub const SIGNAL_PATIENCE: Duration = Duration::from_secs(10);

/// The address that somebody opens who has the link and an id.
pub fn address(server: &Server, user: u32) -> String {
    server.page(&format!("/room?userId={user}&groupId=demo&type=video"))
}

/// A new browser in the room `demo`.
pub async fn enter(chromium: &Chromium, server: &Server, user: u32) -> Page {
    enter_with(chromium, server, user, Options::default()).await
}

pub async fn enter_with(chromium: &Chromium, server: &Server, user: u32, options: Options<'_>) -> Page {
    let page = chromium.page_with(&format!("user-{user}"), options).await;
    page.go(&address(server, user)).await;
    page
}

impl Page {
    /// Waits until so many others are seen and heard: from now on, each one's pictures are decoded and each one's sound
    /// has energy.
    pub async fn sees_and_hears(&self, others: usize) {
        self.run::<()>("await probe.mark(); return null;", &[]).await;
        let video = format!("(await probe.grown('video', 'framesDecoded', 10)) === {others}");
        self.until(&format!("{others} others are seen"), MEDIA_PATIENCE, &video)
            .await;
        let audio = format!("(await probe.grown('audio', 'totalAudioEnergy', 1e-4)) === {others}");
        self.until(&format!("{others} others are heard"), MEDIA_PATIENCE, &audio)
            .await;
    }

    /// Waits until the stage shows so many tiles, one's own included.
    pub async fn shows_tiles(&self, tiles: usize, within: Duration) {
        let counted = format!("document.querySelectorAll('[data-participant]').length === {tiles}");
        self.until(&format!("{tiles} tiles"), within, &counted).await;
    }

    /// Presses the first visible button of an action.
    pub async fn press(&self, action: &str) {
        let body = "const all = [...document.querySelectorAll(`[data-action=\"${args[0]}\"]`)];
            const button = all.find((one) => one.offsetParent !== null);
            if (!button) throw new Error(`no button for ${args[0]}`);
            button.click();
            return null;";
        self.run::<()>(body, &[action.into()]).await;
    }

    /// Writes into the chat and sends.
    pub async fn chat(&self, text: &str) {
        let body = "const field = document.getElementById('chat-text');
            field.value = args[0];
            document.getElementById('chat-form').requestSubmit();
            return null;";
        self.run::<()>(body, &[text.into()]).await;
    }
}
