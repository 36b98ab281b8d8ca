//! Who speaks on a new TCP connection, by its first bytes. Pure.
//!
//! A TLS client begins with a record of type 22 (RFC 8446 §5.1), and an HTTP client with the capital letter of a method. A client with media begins
//! with a framed connectivity check (RFC 6544 §7.2): a length below [`MAX_PACKET`], and then a binding request of that length
//! with the magic cookie (RFC 8489 §5). A frame that begins like one of the others would be longer than that, so the first byte tells
//! them apart.

use super::framing::{HEADER, MAX_PACKET};

/// Bytes of the header of a STUN message, and those of them that a check begins with: type, length and magic cookie.
const STUN_HEADER: usize = 20;
const BEGINNING: usize = 8;
const BINDING_REQUEST: [u8; 2] = [0, 1];
const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const TLS_HANDSHAKE: u8 = 22;

/// What the first bytes say of their sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    Tls,
    Http,
    /// So far these are the first bytes of a connectivity check.
    Media,
    /// Nobody whom this server understands.
    Unknown,
}

/// Tells who speaks. `None` before the first byte. Of media each further byte is looked at, as far as it tells anything.
pub fn tell(bytes: &[u8]) -> Option<Speaker> {
    Some(match *bytes.first()? {
        TLS_HANDSHAKE => Speaker::Tls,
        first if first.is_ascii_uppercase() => Speaker::Http,
        _ if begins_check(bytes) => Speaker::Media,
        _ => Speaker::Unknown,
    })
}

fn begins_check(bytes: &[u8]) -> bool {
    let (length, message) = bytes.split_at(bytes.len().min(HEADER));
    match *length {
        [high, low] => {
            let length = usize::from(u16::from_be_bytes([high, low]));
            (STUN_HEADER..=MAX_PACKET).contains(&length) && begins_message(message, length)
        }
        [high] => usize::from(high) <= MAX_PACKET >> 8,
        _ => true,
    }
}

/// Whether these are the first bytes of a binding request of this length.
fn begins_message(message: &[u8], length: usize) -> bool {
    // The length in the message is that of what follows its header.
    let [high, low] = ((length - STUN_HEADER) as u16).to_be_bytes();
    let [zero, one] = BINDING_REQUEST;
    let [a, b, c, d] = MAGIC_COOKIE;
    let expected: [u8; BEGINNING] = [zero, one, high, low, a, b, c, d];
    expected.iter().zip(message).all(|(expected, byte)| expected == byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first bytes of a check of 100 bytes.
    const CHECK: [u8; 12] = [0, 100, 0, 1, 0, 80, 0x21, 0x12, 0xa4, 0x42, 9, 9];

    #[test]
    fn the_first_byte_tells_tls_http_and_media_apart() {
        assert_eq!(tell(&[]), None);
        assert_eq!(tell(&[22, 3, 1]), Some(Speaker::Tls));
        assert_eq!(tell(b"GET / HTTP/1.1"), Some(Speaker::Http));
        for end in 1..=CHECK.len() {
            assert_eq!(tell(&CHECK[..end]), Some(Speaker::Media), "{end}");
        }
        // TLS alerts, the connection preface in small letters, SSH, and a frame that is too long.
        for first in [21, b'p', 9, 0xff] {
            assert_eq!(tell(&[first]), Some(Speaker::Unknown), "{first}");
        }
    }

    #[test]
    fn each_byte_of_a_check_that_is_wrong_is_noticed() {
        for at in 1..10 {
            let mut bytes = CHECK;
            bytes[at] ^= 0x80;
            assert_eq!(tell(&bytes[..=at.max(5)]), Some(Speaker::Unknown), "{at}");
        }
        assert_eq!(tell(&[0, 19]), Some(Speaker::Unknown), "shorter than a header");
        assert_eq!(tell(&[0, 0]), Some(Speaker::Unknown), "a null packet");
        assert_eq!(tell(&[8, 1]), Some(Speaker::Unknown), "too long");
    }
}
