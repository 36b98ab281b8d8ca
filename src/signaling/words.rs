//! Messages and words that several families share.

use serde::de::IntoDeserializer;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::client::Client;
use crate::clock::since_1970;
use crate::domain::{Candidate, MediaKind, MediaState, Muted, Role};
use crate::ids::{Features, Feed};
use crate::turn::credentials::Credentials;

/// One of the server's ICE candidates, as browsers write it (RTCIceCandidateInit in WebRTC 1.0).
#[derive(Serialize)]
pub(crate) struct CandidateOut<'a> {
    candidate: &'a str,
    #[serde(rename = "sdpMid")]
    sdp_mid: &'a str,
    #[serde(rename = "sdpMLineIndex")]
    sdp_m_line_index: u16,
}

impl<'a> From<&'a Candidate> for CandidateOut<'a> {
    fn from(candidate: &'a Candidate) -> Self {
        Self {
            candidate: &candidate.line,
            sdp_mid: &candidate.mid,
            sdp_m_line_index: candidate.section,
        }
    }
}

/// A relay that a client may use, with the client's credentials, as browsers read it (RTCIceServer in WebRTC 1.0).
#[derive(Serialize)]
pub(crate) struct IceServerOut<'a> {
    urls: &'a [String],
    username: String,
    credential: String,
}

/// The list of relays that a client is sent. `None` where there is none.
pub(crate) fn ice_servers<A>(client: &Client<A>) -> Option<[IceServerOut<'_>; 1]> {
    let relay = client.relay.as_ref()?;
    let Credentials { username, password } = relay.credentials(since_1970(&client.clock).as_secs());
    Some([IceServerOut {
        urls: relay.urls(),
        username,
        credential: password,
    }])
}

/// Whether a client says with its first message that it understands the messages that only this server sends.
pub(crate) fn takes_notices(message: &Value) -> bool {
    message.get("notices") == Some(&Value::Bool(true))
}

const VIDEO_QUALITY: &str = "videoQuality";
const SEND_LAYERS: &str = "sendLayers";

/// The number of features that a client may name. Further ones are not read.
const FEATURES_MAX: usize = 16;

/// The features of a join that this server has, as the client is sent them back. `None` if the join names none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FeatureWords(Vec<&'static str>);

impl FeatureWords {
    const ALL: [&'static str; 3] = ["videoWants", VIDEO_QUALITY, SEND_LAYERS];

    /// Reads the field of a join that names them. Features that are not known are passed over, whatever they are.
    pub(crate) fn of(named: Option<&Value>) -> Option<Self> {
        let named = named?.as_array()?;
        let named = || named.iter().take(FEATURES_MAX).filter_map(Value::as_str);
        let known = FeatureWords::ALL
            .into_iter()
            .filter(|known| named().any(|one| one == *known));
        Some(Self(known.collect()))
    }

    pub(crate) fn words(&self) -> &[&'static str] {
        &self.0
    }

    /// What the client understands beside the messages that all clients do.
    pub(crate) fn understood(&self) -> Features {
        Features {
            video_quality: self.0.contains(&VIDEO_QUALITY),
            send_layers: self.0.contains(&SEND_LAYERS),
        }
    }
}

/// The families' word for the state of somebody's media.
pub(crate) fn media_word(media: MediaState) -> &'static str {
    match media {
        MediaState::Lost => "lost",
        MediaState::Back => "back",
    }
}

/// The families' word for a kind of media.
pub(crate) fn kind_word(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Audio => "audio",
        MediaKind::Video => "video",
    }
}

/// The families' word for a role in a meeting.
pub(crate) fn role_word(role: Role) -> &'static str {
    match role {
        Role::Host => "host",
        Role::Guest => "guest",
    }
}

/// The families' words for what is muted.
pub(crate) fn muted_words(muted: Muted) -> Vec<&'static str> {
    let kinds = [(muted.sound, MediaKind::Audio), (muted.camera, MediaKind::Video)];
    let muted = kinds.into_iter().filter(|(is_muted, _)| *is_muted);
    muted.map(|(_, kind)| kind_word(kind)).collect()
}

/// The feed of somebody that is meant. Their camera where the field is missing, as in messages of clients that know of no other
/// feed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum FeedWord {
    #[default]
    Camera,
    Screen,
}

/// Reads the field. Anything but a text counts as missing: other clients may have a field of this name.
pub(crate) fn feed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<FeedWord, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::String(text) => FeedWord::deserialize(text.into_deserializer()),
        _ => Ok(FeedWord::default()),
    }
}

impl FeedWord {
    pub(crate) fn is_camera(&self) -> bool {
        *self == FeedWord::Camera
    }
}

impl From<FeedWord> for Feed {
    fn from(word: FeedWord) -> Self {
        match word {
            FeedWord::Camera => Feed::Camera,
            FeedWord::Screen => Feed::Screen,
        }
    }
}

impl From<Feed> for FeedWord {
    fn from(feed: Feed) -> Self {
        match feed {
            Feed::Camera => FeedWord::Camera,
            Feed::Screen => FeedWord::Screen,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_feature_is_read_among_the_first_sixteen_whatever_else_is_named() {
        let read = |named: Value| FeatureWords::of(Some(&named)).map(|words| words.0);
        let (quality, layers) = (vec!["videoQuality"], vec!["sendLayers"]);
        assert_eq!(read(json!(["sendLayers"])), Some(layers.clone()));
        assert_eq!(
            read(json!(["other", 7, null, ["sendLayers"], "videoQuality"])),
            Some(quality)
        );
        assert_eq!(read(json!(["VideoQuality", "sendLayers "])), Some(vec![]));
        for none in [json!("videoQuality"), json!({ "videoQuality": true }), json!(null)] {
            assert_eq!(read(none), None);
        }
        let after = |others: usize| {
            let mut named = vec!["x"; others];
            named.push("sendLayers");
            read(json!(named))
        };
        assert_eq!((after(15), after(16)), (Some(layers), Some(vec![])));
        assert_eq!(FeatureWords::of(None), None);
    }

    #[test]
    fn what_is_understood_is_what_was_named() {
        let understood = |named: Value| FeatureWords::of(Some(&named)).unwrap().understood();
        let (video_quality, send_layers) = (true, false);
        let expected = Features {
            video_quality,
            send_layers,
        };
        assert_eq!(understood(json!(["videoWants", "videoQuality"])), expected);
        assert_eq!(understood(json!(["videoWants"])), Features::NONE);
    }
}
