//! The meaning of the header extension ids of one transport, and what one walk over a packet's elements finds by them.

use super::rtp::{Extension, Header, MAX_EXTENSION_ID};

/// The meaning of each id. An id has one meaning in all sections of a bundle (RFC 9143 §10.2), so there is one table for a
/// transport. An extension may have several ids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExtensionIds([Option<Extension>; MAX_EXTENSION_ID as usize + 1]);

impl ExtensionIds {
    pub(crate) fn learn(&mut self, pairs: &[(u8, Extension)]) {
        for &(id, extension) in pairs {
            if let Some(meaning) = self.0.get_mut(usize::from(id)) {
                meaning.get_or_insert(extension);
            }
        }
    }

    pub(crate) fn meaning(&self, id: u8) -> Option<Extension> {
        *self.0.get(usize::from(id))?
    }

    /// The ids that have a meaning.
    pub(crate) fn known(&self) -> impl Iterator<Item = (u8, Extension)> {
        let all = (0..).zip(&self.0);
        all.filter_map(|(id, meaning)| Some((id, (*meaning)?)))
    }

    /// Reads a packet's elements once. If an extension comes twice, the first counts.
    pub fn read<'p>(&self, header: &Header, packet: &'p [u8]) -> Marks<'p> {
        let mut marks = Marks::default();
        for (id, value) in header.elements(packet) {
            match (self.meaning(id), value) {
                (Some(Extension::TransportSequence), &[high, low]) => {
                    let sequence = u16::from_be_bytes([high, low]);
                    marks.transport_sequence.get_or_insert(sequence);
                }
                (Some(Extension::AudioLevel), &[level, ..]) => {
                    marks.audio_level.get_or_insert(level);
                }
                (Some(Extension::Mid), value) => {
                    marks.mid.get_or_insert(value);
                }
                (Some(Extension::Rid), value) => {
                    marks.rid.get_or_insert(value);
                }
                (Some(Extension::RepairedRid), value) => {
                    marks.repaired_rid.get_or_insert(value);
                }
                _ => {}
            }
        }
        marks
    }
}

/// The header extensions that the server itself reads of a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks<'p> {
    pub(crate) transport_sequence: Option<u16>,
    /// Byte of RFC 6464.
    pub(crate) audio_level: Option<u8>,
    pub mid: Option<&'p [u8]>,
    pub rid: Option<&'p [u8]>,
    pub(crate) repaired_rid: Option<&'p [u8]>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids() -> ExtensionIds {
        let mut ids = ExtensionIds::default();
        ids.learn(&[(1, Extension::Mid), (3, Extension::TransportSequence)]);
        ids.learn(&[(1, Extension::Mid), (2, Extension::AudioLevel), (5, Extension::Mid)]);
        ids
    }

    fn packet(elements: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x90, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0xbe, 0xde, 0];
        packet.push(elements.len().div_ceil(4) as u8);
        packet.extend_from_slice(elements);
        packet.resize(packet.len().next_multiple_of(4), 0);
        packet
    }

    fn read(elements: &[u8]) -> (Option<u16>, Option<u8>, Option<Vec<u8>>) {
        let packet = packet(elements);
        let marks = ids().read(&Header::parse(&packet).unwrap(), &packet);
        (
            marks.transport_sequence,
            marks.audio_level,
            marks.mid.map(<[u8]>::to_vec),
        )
    }

    #[test]
    fn one_walk_finds_all_that_is_there_in_any_order_and_under_any_of_the_ids() {
        let expected = (Some(0x0102), Some(0x85), Some(vec![b'a']));
        assert_eq!(read(&[0x10, b'a', 0x20, 0x85, 0x31, 1, 2]), expected);
        assert_eq!(read(&[0x31, 1, 2, 0, 0x20, 0x85, 0x70, 9, 0x50, b'a']), expected);
        assert_eq!(read(&[]), (None, None, None));
    }

    #[test]
    fn of_what_comes_twice_the_first_counts_and_what_has_a_wrong_length_is_nothing() {
        assert_eq!(read(&[0x20, 1, 0x20, 2]), (None, Some(1), None));
        assert_eq!(read(&[0x30, 1, 0x31, 0, 7]), (Some(7), None, None));
        assert_eq!(read(&[0x32, 1, 2, 3]), (None, None, None));
    }

    #[test]
    fn an_id_keeps_the_meaning_that_it_got_first_and_none_beyond_the_table_has_one() {
        let mut ids = ids();
        ids.learn(&[(1, Extension::Rid), (MAX_EXTENSION_ID + 1, Extension::Rid)]);
        assert_eq!(ids.meaning(1), Some(Extension::Mid));
        assert_eq!(ids.meaning(MAX_EXTENSION_ID + 1), None);
        let known: Vec<u8> = ids.known().map(|(id, _)| id).collect();
        assert_eq!(known, [1, 2, 3, 5]);
    }
}
