//! Messages in a stream of bytes (RFC 8656 §12.5: by TCP and TLS), and the frame of a channel's packets. Pure.

use std::ops::Range;

use super::MAX_MESSAGE;

/// Bytes before a packet of a channel: its number, and the packet's length.
pub const CHANNEL_HEADER: usize = 4;

/// Bytes of the header of a STUN message, and what all such messages have in it (RFC 8489 §5).
const STUN_HEADER: usize = 20;
const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

/// Numbers of channels (RFC 8656 §12). Those above are reserved.
pub const CHANNELS: std::ops::RangeInclusive<u16> = 0x4000..=0x4fff;

/// What follows cannot be read: it is no TURN, or longer than a message may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stream has something else than messages of TURN")]
pub struct NoMessage;

/// Whether a client's first message may begin with this byte: it is a STUN message, whose first two bits are zeros (RFC 8489 §5), of
/// which the method is a small number.
pub fn begins_message(first: u8) -> bool {
    first <= 3
}

/// Finds the messages that stand whole in `bytes`, and adds their places to `messages`. Returns how many bytes were read: what is
/// left is the beginning of one message.
pub fn split(bytes: &[u8], messages: &mut Vec<Range<usize>>) -> Result<usize, NoMessage> {
    let mut at = 0;
    while let Some(length) = announced(bytes.get(at..).unwrap_or_default())? {
        // Packets of channels are padded, and their padding is not counted in their length.
        let padded = length.next_multiple_of(4);
        if bytes.len() < at + padded {
            break;
        }
        messages.push(at..at + length);
        at += padded;
    }
    Ok(at)
}

/// The length of the message with which `bytes` begin. `None` if that has not come yet.
fn announced(bytes: &[u8]) -> Result<Option<usize>, NoMessage> {
    let Some(&first) = bytes.first() else { return Ok(None) };
    let header = match first {
        0x00..=0x3f => STUN_HEADER,
        0x40..=0x4f => CHANNEL_HEADER,
        _ => return Err(NoMessage),
    };
    let &[_, _, high, low, ref rest @ ..] = bytes else {
        return Ok(None);
    };
    let is_stun = header == STUN_HEADER;
    if is_stun && rest.iter().zip(MAGIC_COOKIE).any(|(&byte, expected)| byte != expected) {
        return Err(NoMessage);
    }
    let length = header + usize::from(u16::from_be_bytes([high, low]));
    let is_whole = !is_stun || length % 4 == 0;
    (is_whole && length <= MAX_MESSAGE)
        .then_some(Some(length))
        .ok_or(NoMessage)
}

/// The channel and the packet of a message that belongs to one. In a datagram there may be padding behind it.
pub(super) fn packet_of_channel(message: &[u8]) -> Option<(u16, &[u8])> {
    let (&[one, two, high, low], rest) = message.split_first_chunk()?;
    let length = usize::from(u16::from_be_bytes([high, low]));
    let channel = u16::from_be_bytes([one, two]);
    Some((channel, rest.get(..length)?))
}

/// Writes a packet of a channel behind `out`, with the padding that streams need.
pub(super) fn write_packet(channel: u16, packet: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&channel.to_be_bytes());
    out.extend_from_slice(&(packet.len() as u16).to_be_bytes());
    out.extend_from_slice(packet);
    let padding = packet.len().next_multiple_of(4) - packet.len();
    out.resize(out.len() + padding, 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads `bytes` as they come in pieces, with what is left carried over.
    fn read(bytes: &[u8], piece: usize) -> Result<Vec<Vec<u8>>, NoMessage> {
        let (mut held, mut found) = (Vec::new(), Vec::new());
        for piece in bytes.chunks(piece) {
            held.extend_from_slice(piece);
            let mut places = Vec::new();
            let read = split(&held, &mut places)?;
            found.extend(places.into_iter().map(|place| held[place].to_vec()));
            held.drain(..read);
            assert!(held.len() < MAX_MESSAGE + 4);
        }
        Ok(found)
    }

    fn stun(body: usize) -> Vec<u8> {
        let mut message = vec![0, 3];
        message.extend_from_slice(&(body as u16).to_be_bytes());
        message.extend_from_slice(&MAGIC_COOKIE);
        message.resize(STUN_HEADER + body, 7);
        message
    }

    #[test]
    fn messages_are_read_whole_in_whatever_pieces_they_come() {
        let mut bytes = stun(8);
        for len in 0..6 {
            write_packet(0x4001, &vec![9; len], &mut bytes);
        }
        bytes.extend_from_slice(&stun(MAX_MESSAGE - STUN_HEADER));
        for piece in [1, 2, 3, 7, 1_000, bytes.len()] {
            let found = read(&bytes, piece).unwrap();
            assert_eq!(found.len(), 8, "{piece}");
            assert_eq!(found[0], stun(8));
            for (len, message) in found[1..7].iter().enumerate() {
                assert_eq!(packet_of_channel(message), Some((0x4001, &vec![9; len][..])));
            }
            assert_eq!(found[7].len(), MAX_MESSAGE);
        }
    }

    #[test]
    fn what_is_no_message_or_too_long_is_refused_before_it_comes() {
        for bytes in [
            &b"GET / HTTP/1.1"[..],
            &[22, 3, 1, 0, 5],
            &[0x50, 0, 0, 0],
            &[0, 1, 0xff, 0xfc],
            &[0x40, 0, 0xff, 0xff],
            &[0, 1, 0, 3],
        ] {
            assert_eq!(read(bytes, 1), Err(NoMessage), "{bytes:?}");
        }
    }

    #[test]
    fn a_channel_s_packet_that_is_shorter_than_it_says_is_none() {
        assert_eq!(packet_of_channel(&[0x40, 0, 0]), None);
        assert_eq!(packet_of_channel(&[0x40, 0, 0, 2, 1]), None);
        assert_eq!(
            packet_of_channel(&[0x40, 0, 0, 1, 1, 0, 0, 0]),
            Some((0x4000, &[1][..]))
        );
    }
}
