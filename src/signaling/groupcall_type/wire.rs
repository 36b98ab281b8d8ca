//! The messages exactly as they stand on the wire. Unknown fields are ignored: real clients add some.

use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use crate::ids::UserId;
use crate::signaling::json::{EXACT_INTEGER_MAX, Name, Text, if_any};
use crate::signaling::wants::{SendLayers, VideoQuality};
use crate::signaling::words::{CandidateOut, FeedWord, IceServerOut, feed};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Join {
    pub(crate) user_id: Name,
    pub room: Option<Name>,
    #[serde(default, deserialize_with = "if_any")]
    pub pw: Option<Text>,
    #[serde(default, deserialize_with = "if_any")]
    pub token: Option<Text>,
    #[serde(default, deserialize_with = "if_any")]
    pub(crate) person_name: Option<Text>,
}

#[derive(Deserialize)]
pub(crate) struct SendMessage {
    pub message: Text,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UploadSuccess {
    pub file_name: Text,
    pub(crate) file_url: String,
    #[serde(default, deserialize_with = "if_any")]
    pub(crate) file_type: Option<Text>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OnIceCandidate {
    pub(crate) user_id: Name,
    /// Feed, which is read only to be checked.
    #[serde(rename = "feed", default, deserialize_with = "feed")]
    pub(crate) _feed: FeedWord,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReceiveVideoFrom {
    pub(crate) user_id: Name,
    #[serde(default, deserialize_with = "feed")]
    pub feed: FeedWord,
    pub sdp_offer: String,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(crate) enum Outgoing<'a> {
    IceServers {
        ice_servers: [IceServerOut<'a>; 1],
    },
    UserNotFound {
        user_id: Id<'a>,
    },
    PermisionDeny {
        user_id: Id<'a>,
        room_id: Id<'a>,
    },
    ExistingParticipants {
        participants: Vec<ParticipantOut<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        features: Option<&'a [&'static str]>,
    },
    NewParticipantArrived {
        participant: ParticipantOut<'a>,
    },
    ParticipantLeft {
        user_id: Id<'a>,
    },
    ParticipantMedia {
        user_id: Id<'a>,
        media: &'static str,
    },
    ParticipantFeeds {
        user_id: Id<'a>,
        feeds: Vec<FeedWord>,
    },
    Speakers {
        user_ids: Vec<Id<'a>>,
    },
    ReceiveVideoAnswer {
        user_id: Id<'a>,
        #[serde(skip_serializing_if = "FeedWord::is_camera")]
        feed: FeedWord,
        sdp_answer: &'a str,
    },
    IceCandidate {
        user_id: Id<'a>,
        #[serde(skip_serializing_if = "FeedWord::is_camera")]
        feed: FeedWord,
        candidate: CandidateOut<'a>,
        candicate: CandidateOut<'a>,
    },
    FileUploaded {
        user_id: Id<'a>,
        file_name: &'a str,
        file_url: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_type: Option<&'a str>,
    },
    OwnState {
        role: &'static str,
        muted_by_host: Vec<&'static str>,
    },
    MediaUndecodable {
        user_id: Id<'a>,
        watcher_id: Id<'a>,
        media: &'static str,
        codec: &'a str,
    },
    MediaDecodable {
        user_id: Id<'a>,
        watcher_id: Id<'a>,
        media: &'static str,
    },
    VideoQuality(VideoQuality<Id<'a>>),
    SendLayers(SendLayers<'a>),
    UnrecognizedMessage {
        message: &'a Value,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<&'a str>,
    },
}

/// A chat text, whose kind is configured.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TextOut<'a> {
    #[serde(rename = "type")]
    pub kind: &'a str,
    pub(crate) user_id: Id<'a>,
    pub message: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ParticipantOut<'a> {
    pub id: Id<'a>,
    pub(crate) user_id: Id<'a>,
    pub name: &'a str,
    pub prefix: &'a str,
    pub postfix: &'a str,
    pub suffix: &'a str,
}

/// An id on the wire: a number if JavaScript gives it back as it got it, otherwise the text.
pub struct Id<'a>(pub &'a UserId);

impl Serialize for Id<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.0.as_str();
        match text.parse::<i64>() {
            Ok(number) if number.unsigned_abs() <= EXACT_INTEGER_MAX.unsigned_abs() && number.to_string() == text => {
                serializer.serialize_i64(number)
            }
            _ => serializer.serialize_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_number_exactly_where_a_number_brings_it_back() {
        let wire = |id: &str| serde_json::to_string(&Id(&id.into())).unwrap();
        assert_eq!(wire("0"), "0");
        assert_eq!(wire("-12"), "-12");
        assert_eq!(wire("9007199254740991"), "9007199254740991");
        assert_eq!(wire("9007199254740992"), r#""9007199254740992""#);
        assert_eq!(wire("-9223372036854775808"), r#""-9223372036854775808""#);
        assert_eq!(wire("007"), r#""007""#);
        assert_eq!(wire("-0"), r#""-0""#);
        assert_eq!(wire("anna"), r#""anna""#);
    }
}
