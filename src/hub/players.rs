//! The clocks of players: one task for each player. The task polls the player when something is due, and wakes the worker that
//! gets it. It ends with the recording, or when the worker drops its end of the link.

use std::sync::Arc;
use std::time::Instant;

use tokio::runtime::Handle;
use tokio::time::sleep_until;

use crate::media::doorbell::Doorbell;
use crate::media::link::LinkEnd;
use crate::media::player::{Player, PlayerSpec};

/// Starts a player on `runtime`, which is not the hub's own: there a hub that is blocked would silence all players, and many
/// players would hold up the hub.
pub(super) fn start(runtime: &Handle, spec: PlayerSpec, end: LinkEnd, worker: Arc<Doorbell>, clock: fn() -> Instant) {
    runtime.spawn(async move {
        let mut player = Player::new(clock(), spec, end);
        while let Some(due) = player.poll(clock()) {
            worker.ring();
            sleep_until(due.into()).await;
        }
        drop(player);
        worker.ring();
    });
}

#[cfg(test)]
mod tests {
    use tokio::runtime::Builder;

    use super::*;
    use crate::hub::task::now;
    use crate::ids::{FeedRef, ParticipantId, PeerId, RoomId};
    use crate::media::link::narrow_pair;
    use crate::sound::Recording;

    #[test]
    fn a_player_runs_on_the_runtime_that_it_is_given_and_not_on_the_hubs() {
        let common = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_time()
            .build()
            .unwrap();
        let hub = Builder::new_current_thread().enable_time().build().unwrap();
        let (mut taken, end) = narrow_pair();
        let spec = PlayerSpec {
            peer: PeerId(1),
            room: RoomId(1),
            feed: FeedRef::camera(ParticipantId(1)),
            recording: Recording::read(include_bytes!("../../tests/fixtures/tone.opus")).unwrap(),
            waits: false,
            repeats: true,
        };
        hub.block_on(async {
            start(common.handle(), spec, end, Arc::new(Doorbell::new(None)), now);
            assert_eq!(
                Handle::current().metrics().num_alive_tasks(),
                0,
                "the hub has its thread for itself"
            );
        });
        // The hub's runtime runs nothing from here on.
        assert_eq!(common.metrics().num_alive_tasks(), 1);
        assert!(!taken.has_ended());
        while taken.receive(&mut [0; 2_000]).is_some() {}
    }
}
