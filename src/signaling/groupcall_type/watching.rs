//! Watching several people over one connection: the offer that a join brings, whose answer is sent with the list of people, and the
//! offers after it.

use std::sync::Arc;

use serde_json::Value;

use super::unrecognized::{Outcome, because, parse};
use super::wire::{self, Id, Outgoing, ParticipantOut, WatchOut};
use crate::domain::{Command, Conference, Offer, Person, Refusal, UserFeed};
use crate::signaling::client::Client;
use crate::signaling::reaction::Reaction;
use crate::signaling::words::FeatureWords;
use crate::signaling::{limits, offer};

/// The feature of clients that watch everybody over one connection.
pub(super) const WATCH: &str = "watch";

/// What has become of the offer that a join brought.
#[derive(Default)]
pub(super) enum JoinOffer {
    /// There was none, or all about it has been sent.
    #[default]
    Done,
    /// It is answered. The answer is among the events of the session.
    Answered(Held),
    /// The reason why it is not answered.
    Refused(String),
}

/// What waits for the answer, which is sent in one message with the list of people.
#[derive(Default)]
pub(super) struct Held {
    /// Who is there. `None` until that is known.
    others: Option<Vec<Arc<Person>>>,
    /// What the client is sent after the list. It is no longer than the queue of the session's events, where the answer is already.
    after: Reaction,
}

impl JoinOffer {
    /// Offers the connection that a join brought, for as many people as it has places for. The session is in the room.
    pub(super) async fn made<A>(client: &Client<A>, sdp: Option<String>) -> JoinOffer {
        let Some(sdp) = sdp else {
            return JoinOffer::Done;
        };
        let watching = watching_offer(sdp, "watchOffer").and_then(|(offer, places)| match places {
            0 => Err("the offer has no section that receives".to_owned()),
            others => Ok((offer, others)),
        });
        let (offer, others) = match watching {
            Ok(watching) => watching,
            Err(reason) => return JoinOffer::Refused(reason),
        };
        let conference = Conference {
            others,
            ..Conference::default()
        };
        match client.request(Command::OfferConference { conference, offer }).await {
            Ok(()) => JoinOffer::Answered(Held::default()),
            Err(Refusal::NobodyElse | Refusal::SessionEnded) => JoinOffer::Done,
            Err(refusal) => JoinOffer::Refused(reason(&refusal)),
        }
    }

    /// The client has entered: it is sent who is there, or will be with the answer to its offer.
    pub(super) fn entered(&mut self, others: Vec<Arc<Person>>, features: Option<&FeatureWords>) -> Reaction {
        match self {
            JoinOffer::Answered(held) => {
                held.others = Some(others);
                Reaction::none()
            }
            JoinOffer::Done => existing_participants(&others, features, None, None),
            JoinOffer::Refused(reason) => {
                let list = existing_participants(&others, features, None, Some(reason));
                *self = JoinOffer::Done;
                list
            }
        }
    }

    /// An offer to watch has been answered.
    pub(super) fn answered(&mut self, watched: &[UserFeed], sdp: &str, features: Option<&FeatureWords>) -> Reaction {
        let answer = || WatchOut {
            user_ids: watched.iter().map(|feed| Id(&feed.user)).collect(),
            sdp_answer: sdp,
        };
        match std::mem::take(self) {
            JoinOffer::Answered(Held {
                others: Some(others),
                after,
            }) => existing_participants(&others, features, Some(answer()), None).and(after),
            JoinOffer::Answered(_) | JoinOffer::Done | JoinOffer::Refused(_) => {
                Reaction::frame(&Outgoing::WatchAnswer(answer()))
            }
        }
    }

    /// Holds back what is to follow the list of people while that waits for the answer.
    pub(super) fn hold(&mut self, reaction: Reaction) -> Reaction {
        match self {
            JoinOffer::Answered(held) if held.others.is_some() => {
                held.after = std::mem::take(&mut held.after).and(reaction);
                Reaction::none()
            }
            JoinOffer::Answered(_) | JoinOffer::Done | JoinOffer::Refused(_) => reaction,
        }
    }
}

/// Offers one connection over which the client watches these people, in the order of its sections.
pub(super) async fn watch<A>(client: &Client<A>, message: &Value) -> Outcome {
    let watch: wire::Watch = parse(message)?;
    let (offer, places) = watching_offer(watch.sdp_offer, "sdpOffer").map_err(because)?;
    if watch.user_ids.len() > places {
        return Err(because(format!(
            "the offer has receiving sections for {places} people, not for {}",
            watch.user_ids.len()
        )));
    }
    let users = watch.user_ids.into_iter().map(|name| name.user().map(UserFeed::camera));
    let conference = Conference {
        watch: users.collect::<Result<_, _>>()?,
        ..Conference::default()
    };
    match client.request(Command::OfferConference { conference, offer }).await {
        // The socket is about to be closed, which says enough.
        Ok(()) | Err(Refusal::SessionEnded) => Ok(Reaction::none()),
        Err(refusal) => Err(because(reason(&refusal))),
    }
}

/// An offer, and the number of people whom it can receive. The error is the reason why it cannot be answered.
fn watching_offer(sdp: String, field: &str) -> Result<(Offer, usize), String> {
    let too_long = || format!("{field} has more than {} bytes", limits::SDP_BYTES_MAX);
    let offer = offer::offer(sdp).ok_or_else(too_long)?;
    let places = offer.description.places().map_err(|error| error.to_string())?;
    Ok((offer, places))
}

fn reason(refusal: &Refusal) -> String {
    match refusal {
        Refusal::BadOffer(Some(error)) => error.to_string(),
        other => other.to_string(),
    }
}

fn existing_participants(
    others: &[Arc<Person>],
    features: Option<&FeatureWords>,
    watch: Option<WatchOut<'_>>,
    watch_refused: Option<&str>,
) -> Reaction {
    Reaction::frame(&Outgoing::ExistingParticipants {
        participants: others.iter().map(|person| ParticipantOut::of(person)).collect(),
        features: features.map(FeatureWords::words),
        watch,
        watch_refused,
    })
}
