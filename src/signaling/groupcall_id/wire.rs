//! The messages exactly as they stand on the wire. Unknown fields are ignored: real clients add some.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::signaling::json::{Name, Text, if_any};
use crate::signaling::wants::{SendLayers, VideoQuality};
use crate::signaling::words::{CandidateOut, FeedWord, IceServerOut, feed};

#[derive(Deserialize)]
pub(crate) struct JoinRoom {
    pub name: Name,
    pub room: Name,
    #[serde(rename = "personName", default, deserialize_with = "if_any")]
    pub(crate) person_name: Option<Text>,
    #[serde(default, deserialize_with = "if_any")]
    pub pw: Option<Text>,
    #[serde(default, deserialize_with = "if_any")]
    pub token: Option<Text>,
}

#[derive(Deserialize)]
pub(crate) struct ReceiveVideoFrom {
    pub sender: Name,
    #[serde(default, deserialize_with = "feed")]
    pub feed: FeedWord,
    #[serde(rename = "sdpOffer")]
    pub sdp_offer: String,
}

/// A candidate's subject. The candidate itself is of no use, so it is not even read.
#[derive(Deserialize)]
pub(crate) struct OnIceCandidate {
    pub name: Name,
    /// Feed, which is read only to be checked.
    #[serde(rename = "feed", default, deserialize_with = "feed")]
    pub(crate) _feed: FeedWord,
}

#[derive(Serialize)]
#[serde(tag = "id", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(crate) enum Outgoing<'a> {
    IceServers {
        ice_servers: [IceServerOut<'a>; 1],
    },
    ExistingParticipants {
        data: Participants<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        features: Option<&'a [&'static str]>,
    },
    NewParticipantArrived {
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        person_name: Option<&'a String>,
    },
    ParticipantLeft {
        name: &'a str,
    },
    ParticipantMedia {
        name: &'a str,
        media: &'static str,
    },
    ParticipantFeeds {
        name: &'a str,
        feeds: Vec<FeedWord>,
    },
    Speakers {
        names: Vec<&'a str>,
    },
    OwnState {
        role: &'static str,
        muted_by_host: Vec<&'static str>,
    },
    MediaUndecodable {
        name: &'a str,
        watcher: &'a str,
        media: &'static str,
        codec: &'a str,
    },
    MediaDecodable {
        name: &'a str,
        watcher: &'a str,
        media: &'static str,
    },
    ReceiveVideoAnswer {
        name: &'a str,
        #[serde(skip_serializing_if = "FeedWord::is_camera")]
        feed: FeedWord,
        sdp_answer: &'a str,
    },
    IceCandidate {
        name: &'a str,
        #[serde(skip_serializing_if = "FeedWord::is_camera")]
        feed: FeedWord,
        candidate: CandidateOut<'a>,
    },
    VideoQuality(VideoQuality<&'a str>),
    SendLayers(SendLayers<'a>),
    UnrecognizedMessage {
        message: &'a Value,
        reason: &'a str,
    },
    Heart {},
}

#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Participants<'a> {
    Names(Vec<&'a str>),
    Objects(Vec<ParticipantOut<'a>>),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ParticipantOut<'a> {
    pub name: &'a str,
    pub(crate) person_name: &'a str,
}
