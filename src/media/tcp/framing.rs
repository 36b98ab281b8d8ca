//! Packets in a TCP connection (RFC 4571 §2): the length of each in two bytes, then the packet. Pure.

use std::ops::Range;

/// Bytes of the largest packet that is read. Clients send packets that fit into one frame of their network, by TCP too; what is larger
/// is no media. So one connection holds no more than this of a packet that has not come whole.
pub const MAX_PACKET: usize = 2_048;

/// Bytes of the length before each packet.
pub const HEADER: usize = 2;

/// A length above [`MAX_PACKET`]: what follows cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a packet of {0} bytes is announced")]
pub struct TooLong(pub usize);

/// Finds the packets that stand whole in `bytes`, and adds their places to `packets`. Returns how many bytes were read: what is left is
/// the beginning of one packet. Lengths of zero are null packets, which say nothing.
pub fn split(bytes: &[u8], packets: &mut Vec<Range<usize>>) -> Result<usize, TooLong> {
    let mut at = 0;
    while let Some(length) = announced(&bytes[at..]) {
        if length > MAX_PACKET {
            return Err(TooLong(length));
        }
        let start = at + HEADER;
        if bytes.len() < start + length {
            break;
        }
        if length > 0 {
            packets.push(start..start + length);
        }
        at = start + length;
    }
    Ok(at)
}

/// The length of the packet with which `bytes` begin. `None` if it has not come yet.
pub(crate) fn announced(bytes: &[u8]) -> Option<usize> {
    let &[high, low, ..] = bytes else { return None };
    Some(usize::from(u16::from_be_bytes([high, low])))
}

/// The bytes before a packet. `None` if it is too long for them.
pub fn header(packet: &[u8]) -> Option<[u8; HEADER]> {
    u16::try_from(packet.len()).ok().map(u16::to_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(packets: &[&[u8]]) -> Vec<u8> {
        let one = |packet: &&[u8]| [&header(packet).unwrap()[..], packet].concat();
        packets.iter().flat_map(one).collect()
    }

    /// Reads `bytes` as they come in pieces of `piece` bytes, with what is left carried over.
    fn read(bytes: &[u8], piece: usize) -> Result<Vec<Vec<u8>>, TooLong> {
        let (mut held, mut found) = (Vec::new(), Vec::new());
        for piece in bytes.chunks(piece) {
            held.extend_from_slice(piece);
            let mut packets = Vec::new();
            let read = split(&held, &mut packets)?;
            found.extend(packets.into_iter().map(|place| held[place].to_vec()));
            held.drain(..read);
            assert!(held.len() < HEADER + MAX_PACKET);
        }
        Ok(found)
    }

    #[test]
    fn packets_are_read_whole_in_whatever_pieces_they_come() {
        let large = vec![7; MAX_PACKET];
        let packets: [&[u8]; 4] = [b"one", b"", &large, b"4"];
        let bytes = framed(&packets);
        for piece in [1, 2, 3, 5, 1_000, bytes.len()] {
            let found = read(&bytes, piece).unwrap();
            assert_eq!(found, [b"one".to_vec(), large.clone(), b"4".to_vec()], "{piece}");
        }
    }

    #[test]
    fn a_length_that_is_too_large_is_refused_before_its_packet_comes() {
        assert_eq!(read(&[0xff, 0xff], 1), Err(TooLong(65_535)));
        let first = (MAX_PACKET as u16 + 1).to_be_bytes();
        assert_eq!(
            read(&[&framed(&[b"fits"])[..], &first].concat(), 3),
            Err(TooLong(MAX_PACKET + 1))
        );
    }

    #[test]
    fn only_what_two_bytes_can_say_is_framed() {
        assert_eq!(header(&[0; 258]), Some([1, 2]));
        assert_eq!(header(&[0; 65_535]), Some([0xff, 0xff]));
        assert_eq!(header(&[0; 65_536]), None);
    }
}
