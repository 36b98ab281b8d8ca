//! The messages exactly as they stand on the wire. Unknown fields are ignored: real clients add some.

use serde::{Deserialize, Serialize};

use crate::signaling::json::{Name, if_any};
use crate::signaling::words::{CandidateOut, IceServerOut};

#[derive(Deserialize)]
pub struct Call {
    /// Name of the caller. Where it is missing, the name that the socket registered.
    #[serde(default, deserialize_with = "if_any")]
    pub from: Option<Name>,
    pub to: Name,
    #[serde(rename = "sdpOffer")]
    pub sdp_offer: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct IncomingCallResponse {
    /// The caller.
    pub from: Name,
    pub(crate) call_response: String,
    pub sdp_offer: Option<String>,
    pub message: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct IncomingCallErrorResponse {
    /// The caller.
    pub from: Name,
    pub(crate) error_response: String,
}

#[derive(Deserialize)]
pub(crate) struct Restart {
    #[serde(rename = "sdpOffer")]
    pub sdp_offer: String,
}

#[derive(Serialize)]
#[serde(tag = "id", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(crate) enum Outgoing<'a> {
    IceServers {
        ice_servers: [IceServerOut<'a>; 1],
    },
    RegisterResponse {
        response: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        user_id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<&'a str>,
    },
    IncomingCall {
        from: &'a str,
        to: &'a str,
    },
    CallResponse {
        response: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        sdp_answer: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<&'a str>,
    },
    StartCommunication {
        sdp_answer: &'a str,
    },
    IceCandidate {
        candidate: CandidateOut<'a>,
    },
    RestartAnswer {
        sdp_answer: &'a str,
    },
    OtherMedia {
        media: &'static str,
    },
    StopCommunication {},
    IncomingCallError {
        from: &'a str,
        to: &'a str,
        error_response: &'a str,
    },
    MediaUndecodable {
        from: &'a str,
        to: &'a str,
        media: &'static str,
        codec: &'a str,
    },
    MediaDecodable {
        from: &'a str,
        to: &'a str,
        media: &'static str,
    },
    Heart {},
}
