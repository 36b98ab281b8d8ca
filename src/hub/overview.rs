//! The overview for operators: who is in which room, from the rules, and what they publish, from the media workers.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::domain::RoomOutline;
use crate::ids::WorkerId;
use crate::media::report::TrackReport;

/// Participants after which an overview ends: with a few tracks each, a few hundred kilobytes of text. The caller asks for the
/// rooms that follow.
pub(super) const PARTICIPANTS_ENOUGH: usize = 500;

/// Time for a worker to answer. One that turns answers after its present batch of packets; one that hangs is left out.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// Some rooms, their participants, and the tracks that are published there.
#[derive(Clone, Debug, Default)]
pub struct Overview {
    /// Rooms in the order in which they were opened.
    pub rooms: Vec<RoomOutline>,
    /// Whether there are rooms that were opened later.
    pub has_more: bool,
    /// Tracks in these rooms, in no order.
    pub tracks: Vec<TrackReport>,
    /// Workers that did not answer: their tracks are missing.
    pub silent: Vec<WorkerId>,
}

/// The part that the hub knows, and the answers of the workers that are still to come.
pub(super) struct Beginning {
    pub rooms: Vec<RoomOutline>,
    pub has_more: bool,
    pub answers: Vec<(WorkerId, oneshot::Receiver<Vec<TrackReport>>)>,
}

impl Beginning {
    /// Waits for the workers.
    pub async fn complete(self) -> Overview {
        let mut overview = Overview {
            rooms: self.rooms,
            has_more: self.has_more,
            ..Overview::default()
        };
        let answers = self.answers.into_iter();
        let answers = answers.map(async |(worker, answer)| (worker, timeout(ANSWER_WITHIN, answer).await));
        for (worker, answer) in join_all(answers).await {
            match answer {
                Ok(Ok(tracks)) => overview.tracks.extend(tracks),
                _ => overview.silent.push(worker),
            }
        }
        overview
    }
}
