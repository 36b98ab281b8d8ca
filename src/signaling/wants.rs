//! What a client wants of videos, as the families of the group call and of conferences say it, and the words for what it gets.
//!
//! `lastN`, `onStage`, `heights` and `screens` are read each for itself, and one that is not what it should be counts as missing.
//! Of each list the first 64 names are read. A name may be of somebody who is not there.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::json::Name;
use super::words::FeedWord;
use crate::domain::{Heights, LAST_N, LayersWanted, VideoWants};
use crate::ids::{Feed, UserId};
use crate::text;
use crate::video::{Cause, Quality, State};

/// Names in one list: more than a page shows at once.
const NAMES_MAX: usize = 64;
/// The greatest height. A larger one counts as this: no video has more.
const HEIGHT_MAX: u16 = 16_384;
/// The name that stands for everybody who is not named.
const OTHERS: &str = "*";

/// `field` gives the value of a field of the message.
pub(crate) fn video_wants<'a>(field: impl Fn(&str) -> Option<&'a Value>) -> Box<VideoWants> {
    let last_n = field("lastN").and_then(number);
    let on_stage = field("onStage").and_then(Value::as_array);
    let on_stage = on_stage.into_iter().flatten().take(NAMES_MAX);
    Box::new(VideoWants {
        last_n: last_n.map_or(LAST_N, usize::from),
        on_stage: on_stage
            .filter_map(|name| Name::deserialize(name).ok()?.user().ok())
            .collect(),
        cameras: heights(field("heights")),
        screens: heights(field("screens")),
    })
}

fn heights(field: Option<&Value>) -> Heights {
    let Some(named) = field.and_then(Value::as_object) else {
        return Heights::default();
    };
    let of_others = named.get(OTHERS).and_then(number);
    let users = named.iter().filter(|(name, _)| name.as_str() != OTHERS).take(NAMES_MAX);
    let known = users.filter(|(name, _)| text::NAME.holds(name));
    let of_users: HashMap<UserId, u16> = known
        .filter_map(|(name, height)| Some((UserId::from(name.as_str()), number(height)?)))
        .collect();
    Heights { of_users, of_others }
}

/// A number as a height: whole, and at most [`HEIGHT_MAX`].
fn number(value: &Value) -> Option<u16> {
    let number = value.as_f64()?;
    Some(number.clamp(0.0, f64::from(HEIGHT_MAX)).ceil() as u16)
}

/// What a client gets of a video, as it is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VideoQuality<Name> {
    sender: Name,
    #[serde(skip_serializing_if = "FeedWord::is_camera")]
    feed: FeedWord,
    height: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    wanted: Option<u16>,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

impl<Name> VideoQuality<Name> {
    /// `sender` is the publisher's name in the form of the family.
    pub(crate) fn new(sender: Name, feed: Feed, quality: Quality) -> Self {
        let why = |cause| match cause {
            Cause::Bandwidth => "bandwidth",
            Cause::Sender => "sender",
        };
        let (state, reason) = match quality.state {
            State::Full => ("full", None),
            State::Reduced(cause) => ("reduced", Some(why(cause))),
            State::Paused(cause) => ("paused", Some(why(cause))),
            State::Unwanted => ("unwanted", Some("viewer")),
        };
        Self {
            sender,
            feed: feed.into(),
            height: quality.height.unwrap_or_default(),
            wanted: quality.wanted,
            state,
            reason,
        }
    }
}

/// Which of its encodings a client is to send.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SendLayers<'a> {
    #[serde(skip_serializing_if = "FeedWord::is_camera")]
    feed: FeedWord,
    layers: BTreeMap<&'a str, bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_bitrate: Option<u64>,
}

impl<'a> From<&'a LayersWanted> for SendLayers<'a> {
    fn from(wanted: &'a LayersWanted) -> Self {
        let layers = wanted.layers.iter().map(|(rid, is_wanted)| (rid.as_str(), *is_wanted));
        Self {
            feed: wanted.feed.into(),
            layers: layers.collect(),
            max_bitrate: wanted.max_bits_per_second,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn video_wants(message: &Value) -> Box<VideoWants> {
        super::video_wants(|name| message.get(name))
    }

    #[test]
    fn what_is_wanted_is_read_and_whatever_is_not_what_it_should_be_counts_as_missing() {
        let wants = video_wants(&json!({
            "lastN": 9, "onStage": ["a", 7, null, ["b"]],
            "heights": { "a": 720, "7": 359.5, "b": "720", "c": -1, "*": 180 }, "screens": { "*": 1_000_000 },
        }));
        assert_eq!((wants.last_n, wants.on_stage), (9, vec![UserId::from("a"), "7".into()]));
        let of_users = [("a", 720), ("7", 360), ("c", 0)].map(|(name, height)| (UserId::from(name), height));
        assert_eq!(wants.cameras.of_users, HashMap::from(of_users));
        assert_eq!(
            (wants.cameras.of_others, wants.screens.of_others),
            (Some(180), Some(HEIGHT_MAX))
        );
        for nothing in [
            json!({}),
            json!({ "lastN": "9", "onStage": "a", "heights": [720], "screens": 1 }),
        ] {
            assert_eq!(*video_wants(&nothing), VideoWants::default());
        }
        assert_eq!(video_wants(&json!({ "lastN": 1e300 })).last_n, usize::from(HEIGHT_MAX));
    }

    #[test]
    fn only_so_many_names_are_kept_and_none_that_is_too_long() {
        let many: serde_json::Map<String, Value> = (0..1_000).map(|at| (at.to_string(), json!(at))).collect();
        let stage: Vec<usize> = (0..1_000).collect();
        let wants = video_wants(&json!({ "heights": many, "onStage": stage }));
        assert_eq!(
            (wants.cameras.of_users.len(), wants.on_stage.len()),
            (NAMES_MAX, NAMES_MAX)
        );
        let long = video_wants(&json!({ "heights": { "x".repeat(129): 1 }, "onStage": ["x".repeat(129)] }));
        assert_eq!(*long, VideoWants::default());
    }

    #[test]
    fn each_state_has_its_words_and_whatever_is_not_full_has_a_reason() {
        let said = |state| {
            let quality = Quality {
                height: None,
                wanted: Some(180),
                state,
            };
            let said = serde_json::to_value(VideoQuality::new("ben", Feed::Screen, quality)).unwrap();
            assert_eq!(
                (&said["sender"], &said["feed"], &said["height"]),
                (&json!("ben"), &json!("screen"), &json!(0))
            );
            (said["state"].clone(), said.get("reason").cloned())
        };
        for (state, expected) in [
            (State::Full, ("full", None)),
            (State::Reduced(Cause::Bandwidth), ("reduced", Some("bandwidth"))),
            (State::Reduced(Cause::Sender), ("reduced", Some("sender"))),
            (State::Paused(Cause::Bandwidth), ("paused", Some("bandwidth"))),
            (State::Paused(Cause::Sender), ("paused", Some("sender"))),
            (State::Unwanted, ("unwanted", Some("viewer"))),
        ] {
            assert_eq!(said(state), (json!(expected.0), expected.1.map(|reason| json!(reason))));
        }
    }
}
