//! The clocks of players: one task for each player. The task polls the player when something is due, and wakes the worker that
//! gets it. It ends with the recording, or when the worker drops its end of the link.

use std::sync::Arc;
use std::time::Instant;

use tokio::time::sleep_until;

use crate::media::doorbell::Doorbell;
use crate::media::link::LinkEnd;
use crate::media::player::{Player, PlayerSpec};

pub(super) fn start(spec: PlayerSpec, end: LinkEnd, worker: Arc<Doorbell>, clock: fn() -> Instant) {
    tokio::spawn(async move {
        let mut player = Player::new(clock(), spec, end);
        while let Some(due) = player.poll(clock()) {
            worker.ring();
            sleep_until(due.into()).await;
        }
        drop(player);
        worker.ring();
    });
}
