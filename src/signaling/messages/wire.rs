//! The messages as Protocol Buffers, version 3. Of a message that is passed on, the server understands only what routing needs.
//! The rest is passed on byte for byte, with fields that this server does not know.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::DecodeError;
use prost::Message;
use prost::encoding::{DecodeContext, decode_key, skip_field, string};

pub(crate) const BIND: u32 = 1;
pub(crate) const HEARTBEAT: u32 = 2;
pub(crate) const ONLINE: u32 = 3;
pub(crate) const OFFLINE: u32 = 4;
pub(crate) const MESSAGE: u32 = 5;
/// `cmd` of the answer to a client that is bound already.
pub(crate) const RECONNECT: u32 = 6;

/// `msgtype` of a question.
pub(crate) const SEND: u32 = 1;
/// `msgtype` of an answer. Clients also send their messages under it.
pub(crate) const REPLY: u32 = 4;
/// `msgtype` of a notice that needs no answer.
pub(crate) const NOTIFY: u32 = 3;

/// `resSign` and `sign` of an answer to an invitation that is accepted.
pub(crate) const AGREE: &str = "agree";

/// `resSign` and `sign` of an answer to an invitation that is not accepted.
pub(crate) const REFUSE: &str = "refuse";

/// `resSign` of a message that takes an invitation back; this server's own.
pub(crate) const CANCEL: &str = "cancel";

/// Text in the `content` of a refusal that the server sends for somebody who is not there.
pub(crate) const NOT_ONLINE: &str = "not online";

/// `resSign` of an invitation that has not been delivered in time; this server's own.
const MISSED: &str = "missed";

/// `groupId`s of invitations. Without a receiver they would ring everywhere.
pub(crate) const CALL_KINDS: [&str; 2] = ["video", "audio"];

const SENDER: u32 = 4;
const GROUP_ID: u32 = 6;
const TOKEN: u32 = 11;
const TIME_STAMP: u32 = 13;
const RES_SIGN: u32 = 16;

/// The fields of a client's message that the server reads.
#[derive(Clone, PartialEq, Message)]
pub struct Incoming {
    #[prost(uint32, tag = "3")]
    pub cmd: u32,
    #[prost(string, tag = "4")]
    pub sender: String,
    #[prost(string, tag = "5")]
    pub receiver: String,
    /// Group that the message is for, or `video` or `audio` in an invitation to a call.
    #[prost(string, tag = "6")]
    pub group_id: String,
    #[prost(uint32, tag = "7")]
    pub msgtype: u32,
    /// Token that proves the sender. Most clients put the user here again.
    #[prost(string, tag = "11")]
    pub token: String,
    /// Answer to an invitation, from older clients.
    #[prost(string, tag = "14")]
    pub sign: String,
    /// Answer to an invitation.
    #[prost(string, tag = "16")]
    pub res_sign: String,
    /// Kind of invitation: for one, or for several.
    #[prost(string, tag = "17")]
    pub req_type: String,
    /// Room to which an invitation invites.
    #[prost(string, tag = "18")]
    pub vagroup_id: String,
}

impl Incoming {
    /// How the message answers an invitation, if it does, in the field of newer or older clients.
    pub fn answer(&self) -> Option<&str> {
        let fields = [self.res_sign.as_str(), self.sign.as_str()];
        fields.into_iter().find(|field| !field.is_empty())
    }
}

/// A message that the server writes itself.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Outgoing {
    #[prost(uint32, tag = "3")]
    pub cmd: u32,
    #[prost(string, tag = "4")]
    pub sender: String,
    #[prost(string, tag = "5")]
    pub receiver: String,
    #[prost(string, tag = "6")]
    pub group_id: String,
    #[prost(uint32, tag = "7")]
    pub msgtype: u32,
    #[prost(string, tag = "13")]
    pub time_stamp: String,
    #[prost(string, tag = "14")]
    pub sign: String,
    #[prost(message, optional, tag = "15")]
    pub content: Option<Content>,
    #[prost(string, tag = "16")]
    pub res_sign: String,
    #[prost(string, tag = "17")]
    pub req_type: String,
    #[prost(string, tag = "18")]
    pub vagroup_id: String,
    /// Sender of an invitation, in a message that takes it back.
    #[prost(string, tag = "19")]
    pub call_type: String,
}

/// The fields of `content`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Content {
    #[prost(string, tag = "2")]
    pub content: String,
}

impl Outgoing {
    pub fn of(cmd: u32) -> Self {
        Self { cmd, ..Self::default() }
    }

    pub fn bytes(&self) -> Bytes {
        self.encode_to_vec().into()
    }
}

/// The message with another sender and time stamp. Every other field stays as it is, and in its order.
pub fn under(message: &[u8], sender: &str, time_stamp: &str) -> Result<Bytes, DecodeError> {
    with(message, &[(SENDER, sender), (TIME_STAMP, time_stamp)])
}

/// The message without its token, which is nobody else's business.
pub(crate) fn without_token(message: &[u8]) -> Result<Bytes, DecodeError> {
    with(message, &[(TOKEN, "")])
}

/// An invitation as it is delivered when it is too late: it rings nowhere.
pub(crate) fn missed(invitation: &[u8], sender: &str, time_stamp: &str) -> Result<Bytes, DecodeError> {
    let texts = [
        (SENDER, sender),
        (GROUP_ID, ""),
        (TIME_STAMP, time_stamp),
        (RES_SIGN, MISSED),
    ];
    with(invitation, &texts)
}

/// The message with these texts in the place of its own. A field with an empty text is left out.
fn with(message: &[u8], texts: &[(u32, &str)]) -> Result<Bytes, DecodeError> {
    // Key and length before a text of this size have two bytes each at most.
    let added: usize = texts.iter().map(|(_, text)| text.len() + 4).sum();
    let mut out = BytesMut::with_capacity(message.len() + added);
    let mut rest = message;
    while !rest.is_empty() {
        let before = rest;
        let (number, wire_type) = decode_key(&mut rest)?;
        skip_field(wire_type, number, &mut rest, DecodeContext::default())?;
        if texts.iter().all(|(replaced, _)| number != *replaced) {
            out.put(before.take(before.len() - rest.len()));
        }
    }
    for (number, text) in texts.iter().filter(|(_, text)| !text.is_empty()) {
        string::encode(*number, &(*text).to_owned(), &mut out);
    }
    Ok(out.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_but_sender_and_time_goes_on_byte_for_byte() {
        // version "1.0", cmd 5, sender "eve" twice, receiver "2"; then what no version knows: field 99 (varint), field
        // 1000 (eight bytes), field 18 twice, a group as field 200.
        let known = [0x0a, 3, b'1', b'.', b'0', 0x18, 5];
        let eve = [0x22, 3, b'e', b'v', b'e'];
        let rest = [
            &[0x2a, 1, b'2', 0x98, 0x06, 0xff, 0x01][..],
            &[0xc1, 0x3e, 1, 2, 3, 4, 5, 6, 7, 8],
            &[0x92, 0x01, 1, b'r', 0x92, 0x01, 1, b's'],
            &[0xc3, 0x0c, 0x08, 1, 0xc4, 0x0c],
        ]
        .concat();
        let message = [&known[..], &eve, &rest, &eve, &[0x6a, 1, b'?']].concat();
        let relayed = under(&message, "1", "2026-01-02 03:04:05").unwrap();
        let expected = [&known[..], &rest, &[0x22, 1, b'1', 0x6a, 19], b"2026-01-02 03:04:05"].concat();
        assert_eq!(relayed, expected);
        let read = Incoming::decode(relayed).unwrap();
        assert_eq!((read.sender.as_str(), read.receiver.as_str(), read.cmd), ("1", "2", 5));
    }

    #[test]
    fn what_is_cut_off_is_no_message() {
        let message = Incoming {
            cmd: 5,
            sender: "anna".to_owned(),
            ..Incoming::default()
        }
        .encode_to_vec();
        for length in [1, 3, message.len() - 1] {
            assert!(under(&message[..length], "x", "y").is_err(), "{length}");
        }
        assert!(
            under(&[0x07], "x", "y").is_err(),
            "field 0 of a type that does not exist"
        );
        assert!(under(&[0xff; 20], "x", "y").is_err());
    }

    #[test]
    fn the_heartbeat_is_the_four_bytes_that_clients_answer_with_their_own_four() {
        let request = Outgoing {
            msgtype: SEND,
            ..Outgoing::of(HEARTBEAT)
        };
        assert_eq!(request.bytes(), [0x18, 2, 0x38, 1][..]);
        let answer = Incoming::decode(&[0x18, 2, 0x38, 4][..]).unwrap();
        assert_eq!((answer.cmd, answer.msgtype), (HEARTBEAT, REPLY));
    }
}
