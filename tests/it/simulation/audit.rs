//! Things that must hold at any time inside the workers and between them, although nobody sees it from outside before it is
//! too late.

use std::time::{Duration, Instant};

use patchbay::media::peer::ice::CONSENT_TIMEOUT;
use patchbay::media::worker::{Shared, Worker};

use super::engines::{Floor, WORKERS};
use super::run::Run;
use super::tally::Tally;

/// The interval of audits. Most errors stay until they are found: looking more often would cost more time than it is worth.
const AUDITS_EVERY: Duration = Duration::from_millis(250);

impl Run {
    pub fn audit(&mut self) {
        if self.at.now < self.audited_at + AUDITS_EVERY {
            return;
        }
        self.audited_at = self.at.now;
        look_into(self.at.now, &mut self.engines.lock(), &mut self.at.tally);
        self.judge_silences();
    }
}

fn look_into(now: Instant, floor: &mut Floor, tally: &mut Tally) {
    for seat in 0..WORKERS {
        let found = floor.worker(seat).map(Worker::contradictions).unwrap_or_default();
        assert!(found.is_empty(), "worker {seat} contradicts itself: {found:#?}");
        let forgotten = floor
            .worker(seat)
            .map(|worker| worker.forgotten(now))
            .unwrap_or_default();
        assert!(
            forgotten.is_empty(),
            "worker {seat} forgets what is due: {forgotten:#?}"
        );
    }
    tally.audits += 1;
    // A worker cannot know what is still on its way to it.
    if !floor.is_quiet() {
        return;
    }
    let (Some(one), Some(other)) = (floor.worker(0), floor.worker(1)) else {
        return;
    };
    match (one.shared_with(1), other.shared_with(0)) {
        (None, None) => {}
        (Some(one), Some(other)) if one.is_settled && other.is_settled => {
            tally.links_compared += 1;
            let both: Vec<_> = one.served_rooms.intersection(&other.served_rooms).collect();
            tally.rooms_on_both += both.len() as u64;
            for room in both {
                let is_shared = |shared: &Shared| shared.rooms.contains(room) && shared.mirrored_rooms.contains(room);
                assert!(
                    is_shared(&one),
                    "both serve room {room}, and it is not asked for both ways"
                );
            }
            compare(&one, &other, tally);
            compare(&other, &one, tally);
        }
        (Some(_), Some(_)) => {}
        (one, other) => panic!("only one worker has a link with the other: {one:?}, {other:?}"),
    }
}

/// Two workers agree: one has what the other passes on, in both directions.
fn compare(here: &Shared, there: &Shared, tally: &mut Tally) {
    assert_eq!(here.rooms, there.mirrored_rooms, "rooms passed on, and asked for");
    assert_eq!(here.tracks, there.mirrored_tracks, "tracks passed on, and mirrored");
    tally.mirrored_tracks += there.mirrored_tracks.len() as u64;
    tally.mirrored_tracks_unheard += here.unheard.len() as u64;
    for (track, since) in &here.unheard {
        // A client that comes back sends before its first check arrives.
        let is_old = |newest: &Instant| since.saturating_duration_since(*newest) >= CONSENT_TIMEOUT;
        let keeps = |(kept, newest): &(_, Instant)| kept == track && is_old(newest);
        let is_kept = there.kept.iter().any(keeps);
        assert!(
            !is_kept,
            "packets of track {track} are mirrored, though nobody will ask for them"
        );
    }
}
