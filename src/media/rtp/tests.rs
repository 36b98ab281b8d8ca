use proptest::prelude::*;

use super::*;

const NO_IDS: [u8; 32] = [0; 32];

fn identity() -> [u8; 32] {
    std::array::from_fn(|id| id as u8)
}

fn ids(pairs: &[(u8, u8)]) -> [u8; 32] {
    let mut table = NO_IDS;
    for (from, to) in pairs {
        table[usize::from(*from)] = *to;
    }
    table
}

fn new_header<'a>(extension_ids: &'a [u8; 32], mid: Option<(u8, &'a [u8])>) -> NewHeader<'a> {
    NewHeader {
        marker: true,
        payload_type: 96,
        sequence: 0x1234,
        timestamp: 0xdead_beef,
        ssrc: 0x0102_0304,
        extension_ids,
        mid,
    }
}

/// Version 2, marker set, payload type 111, sequence 7, timestamp 9, SSRC 11; no CSRC, no extension.
fn plain(payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 0xef, 0, 7, 0, 0, 0, 9, 0, 0, 0, 11];
    packet.extend_from_slice(payload);
    packet
}

fn with_extensions(profile: u16, block: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut packet = plain(&[]);
    packet[0] |= 0x10;
    packet.extend_from_slice(&profile.to_be_bytes());
    packet.extend_from_slice(&((block.len() / 4) as u16).to_be_bytes());
    packet.extend_from_slice(block);
    packet.extend_from_slice(payload);
    packet
}

fn elements(packet: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let header = Header::parse(packet).unwrap();
    header
        .elements(packet)
        .map(|(id, value)| (id, value.to_vec()))
        .collect()
}

/// What [`write_header`] makes of `source`, into a buffer that has room for it.
fn written(new: &NewHeader<'_>, source: &[u8]) -> Vec<u8> {
    let mut out = [0xaa; 512];
    let len = write_header(&mut out, new, &Header::parse(source).unwrap(), source).unwrap();
    out[..len].to_vec()
}

#[test]
fn the_fixed_header_is_read() {
    let packet = plain(&[1, 2, 3]);
    let header = Header::parse(&packet).unwrap();
    assert_eq!(
        header,
        Header {
            marker: true,
            padding: false,
            payload_type: 111,
            sequence: 7,
            timestamp: 9,
            ssrc: 11,
            csrc_count: 0,
            extensions: None,
            len: 12,
        }
    );
    assert_eq!(header.payload(&packet), Some(12..15));
    assert_eq!(header.elements(&packet).count(), 0);
}

#[test]
fn csrcs_and_extensions_stand_before_the_payload() {
    let mut packet = plain(&[]);
    packet[0] |= 0x10 | 2;
    packet.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 2]);
    packet.extend_from_slice(&[0xbe, 0xde, 0, 1, 0x10, 0xff, 0, 0]);
    packet.extend_from_slice(&[42]);
    let header = Header::parse(&packet).unwrap();
    assert_eq!(header.csrc_count, 2);
    assert_eq!(header.extensions, Some((0xbede, 24, 4)));
    assert_eq!(header.len, 28);
    assert_eq!(header.payload(&packet), Some(28..29));
    assert_eq!(elements(&packet), [(1, vec![0xff])]);
}

#[test]
fn other_versions_are_refused() {
    for first in [0x00, 0x40, 0xc0] {
        let mut packet = plain(&[1]);
        packet[0] = first;
        assert_eq!(Header::parse(&packet), None);
    }
}

#[test]
fn a_packet_cut_within_its_header_is_refused() {
    let mut packet = with_extensions(0xbede, &[0x10, 1, 0x20, 2, 0x30, 3, 0, 0], &[]);
    for len in 0..packet.len() {
        assert_eq!(Header::parse(&packet[..len]), None, "{len} bytes");
    }
    assert!(Header::parse(&packet).is_some());
    packet[0] |= 0x0f;
    assert_eq!(Header::parse(&packet), None, "fifteen CSRCs that are not there");
    let longest_block = with_extensions(0xbede, &[0; 8], &[]);
    let mut overrun = longest_block.clone();
    overrun[14..16].copy_from_slice(&[0xff, 0xff]);
    assert_eq!(Header::parse(&overrun), None);
}

#[test]
fn an_unknown_extension_profile_is_skipped() {
    let packet = with_extensions(0xabac, &[1, 2, 3, 4], &[9]);
    let header = Header::parse(&packet).unwrap();
    assert_eq!(header.extensions, None);
    assert_eq!(header.payload(&packet), Some(16 + 4..21));
}

#[test]
fn padding_is_not_payload() {
    let mut packet = plain(&[1, 2, 0, 0, 3]);
    packet[0] |= 0x20;
    assert_eq!(Header::parse(&packet).unwrap().payload(&packet), Some(12..14));
    let mut probe = plain(&[0, 0, 0, 4]);
    probe[0] |= 0x20;
    assert_eq!(Header::parse(&probe).unwrap().payload(&probe), Some(12..12));
}

#[test]
fn padding_of_no_or_too_many_bytes_is_refused() {
    for payload in [&[1, 2, 0][..], &[1, 2, 4], &[255], &[]] {
        let mut packet = plain(payload);
        packet[0] |= 0x20;
        assert_eq!(Header::parse(&packet).unwrap().payload(&packet), None, "{payload:?}");
    }
}

#[test]
fn one_byte_elements_are_read_as_rfc_8285_says() {
    // Padding between elements and after them.
    let block = [0x10, 0xaa, 0, 0, 0x22, 1, 2, 3, 0, 0, 0, 0];
    assert_eq!(
        elements(&with_extensions(0xbede, &block, &[])),
        [(1, vec![0xaa]), (2, vec![1, 2, 3])]
    );
    // Id 15 ends the block, and so does id 0 with a length.
    assert_eq!(
        elements(&with_extensions(0xbede, &[0x10, 1, 0xf0, 1, 0x20, 2, 0, 0], &[])),
        [(1, vec![1])]
    );
    assert_eq!(
        elements(&with_extensions(0xbede, &[0x10, 1, 0x01, 1, 0x20, 2, 0, 0], &[])),
        [(1, vec![1])]
    );
    // An element longer than the block.
    assert_eq!(
        elements(&with_extensions(0xbede, &[0x10, 1, 0x2f, 1], &[1, 2, 3])),
        [(1, vec![1])]
    );
}

#[test]
fn two_byte_elements_are_read_as_rfc_8285_says() {
    let block = [1, 0, 0, 20, 2, 7, 8, 0];
    for profile in [0x1000, 0x100f] {
        assert_eq!(
            elements(&with_extensions(profile, &block, &[])),
            [(1, vec![]), (20, vec![7, 8])]
        );
    }
    // Here 15 is an id as any other; a length beyond the block, or none at all, ends it.
    assert_eq!(elements(&with_extensions(0x1000, &[15, 1, 9, 0], &[])), [(15, vec![9])]);
    assert_eq!(elements(&with_extensions(0x1000, &[1, 1, 9, 2], &[])), [(1, vec![9])]);
    assert_eq!(
        elements(&with_extensions(0x1000, &[1, 0, 2, 9], &[1; 9])),
        [(1, vec![])]
    );
    assert_eq!(
        Header::parse(&with_extensions(0x1010, &block, &[])).unwrap().extensions,
        None
    );
}

#[test]
fn a_header_without_extensions_is_twelve_bytes() {
    let mut source = plain(&[1, 2, 3]);
    source[0] |= 0x20 | 1;
    source.extend_from_slice(&[0, 0, 0, 1]);
    let expected = [0x80, 0xe0, 0x12, 0x34, 0xde, 0xad, 0xbe, 0xef, 1, 2, 3, 4];
    assert_eq!(written(&new_header(&identity(), None), &source), expected);
    let unmarked = NewHeader {
        marker: false,
        ..new_header(&NO_IDS, None)
    };
    assert_eq!(written(&unmarked, &source)[..2], [0x80, 0x60]);
}

#[test]
fn elements_are_carried_over_under_the_new_ids() {
    let source = with_extensions(0xbede, &[0x10, 0x85, 0x22, 1, 2, 3, 0x31, 4, 5, 0, 0, 0], &[]);
    let new = written(&new_header(&ids(&[(1, 4), (3, 9)]), None), &source);
    assert_eq!(new[0], 0x90);
    assert_eq!(new[12..], [0xbe, 0xde, 0, 2, 0x40, 0x85, 0x91, 4, 5, 0, 0, 0]);
}

#[test]
fn the_subscribers_mid_is_added() {
    let new = written(&new_header(&NO_IDS, Some((3, b"0"))), &plain(&[]));
    assert_eq!(new[12..], [0xbe, 0xde, 0, 1, 0x30, b'0', 0, 0]);
    let source = with_extensions(0xbede, &[0x10, 0x85, 0, 0], &[]);
    let new = written(&new_header(&ids(&[(1, 1)]), Some((3, b"0"))), &source);
    assert_eq!(new[12..], [0xbe, 0xde, 0, 1, 0x10, 0x85, 0x30, b'0']);
}

#[test]
fn no_block_is_written_when_every_element_is_dropped() {
    let source = with_extensions(0xbede, &[0x10, 0x85, 0, 0], &[]);
    let new = written(&new_header(&NO_IDS, None), &source);
    assert_eq!((new.len(), new[0]), (12, 0x80));
    // An id beyond the table is dropped too.
    let source = with_extensions(0x1000, &[200, 1, 7, 0], &[]);
    assert_eq!(written(&new_header(&identity(), None), &source).len(), 12);
}

#[test]
fn a_large_id_an_empty_or_a_long_value_takes_the_two_byte_form() {
    let source = with_extensions(0xbede, &[0x10, 0x85, 0, 0], &[]);
    let new = written(&new_header(&ids(&[(1, 15)]), None), &source);
    assert_eq!(new[12..], [0x10, 0x00, 0, 1, 15, 1, 0x85, 0]);

    let empty = with_extensions(0x1000, &[2, 0, 1, 1, 0x85, 0, 0, 0], &[]);
    let new = written(&new_header(&identity(), None), &empty);
    assert_eq!(new[12..], [0x10, 0x00, 0, 2, 2, 0, 1, 1, 0x85, 0, 0, 0]);

    let long_mid = [b'm'; 17];
    let new = written(&new_header(&ids(&[(1, 1)]), Some((3, &long_mid))), &source);
    assert_eq!(new[12..16], [0x10, 0x00, 0, 6]);
    assert_eq!(elements(&new), [(1, vec![0x85]), (3, long_mid.to_vec())]);

    // What came in the two-byte form and does not need it goes in the short one.
    let short = with_extensions(0x1000, &[1, 1, 0x85, 0], &[]);
    assert_eq!(
        written(&new_header(&identity(), None), &short)[12..],
        [0xbe, 0xde, 0, 1, 0x10, 0x85, 0, 0]
    );
}

#[test]
fn a_buffer_that_is_too_small_is_refused() {
    let source = with_extensions(0xbede, &[0x10, 0x85, 0, 0], &[]);
    let header = Header::parse(&source).unwrap();
    for extension_ids in [ids(&[(1, 4)]), ids(&[(1, 20)])] {
        let new = new_header(&extension_ids, Some((3, b"1")));
        let needed = written(&new, &source).len();
        for room in 0..needed {
            assert_eq!(
                write_header(&mut vec![0; room], &new, &header, &source),
                None,
                "{room} bytes"
            );
        }
        assert_eq!(write_header(&mut vec![0; needed], &new, &header, &source), Some(needed));
    }
}

#[test]
fn every_extension_is_found_by_its_uri() {
    for extension in Extension::ALL {
        assert_eq!(Extension::from_uri(extension.uri()), Some(extension));
    }
    assert_eq!(Extension::from_uri("urn:ietf:params:rtp-hdrext:unheard-of"), None);
}

#[test]
fn what_describes_the_publishers_connection_ends_at_the_server() {
    let hop: Vec<_> = Extension::ALL.into_iter().filter(|e| !e.is_end_to_end()).collect();
    use Extension::*;
    assert_eq!(
        hop,
        [
            Mid,
            Rid,
            RepairedRid,
            AbsSendTime,
            TransportSequence,
            TransmissionOffset
        ]
    );
}

#[test]
fn sequence_distance_wraps() {
    assert_eq!(sequence_distance(1, 65535), 2);
    assert_eq!(sequence_distance(65535, 1), -2);
    assert_eq!(sequence_distance(5, 5), 0);
}

fn any_element() -> impl Strategy<Value = (u8, Vec<u8>)> {
    (1u8..=31, prop::collection::vec(any::<u8>(), 0..40))
}

proptest! {
    #[test]
    fn random_bytes_never_panic(
        mut packet in prop::collection::vec(any::<u8>(), 0..200),
        first in prop::sample::select(vec![0x80u8, 0x90, 0xb0, 0x91, 0xbf]),
        profile in prop::sample::select(vec![[0xbeu8, 0xde], [0x10, 0x00], [0x10, 0x05]]),
        words in 0u8..60,
    ) {
        if packet.len() >= 16 {
            packet[0] = first;
            packet[12..14].copy_from_slice(&profile);
            packet[14..16].copy_from_slice(&[0, words]);
        }
        if let Some(header) = Header::parse(&packet) {
            prop_assert!(header.len <= packet.len());
            prop_assert!(header.elements(&packet).count() <= packet.len());
            if let Some(payload) = header.payload(&packet) {
                prop_assert!(payload.start == header.len && payload.end <= packet.len());
            }
            let mut out = [0u8; 64];
            let _ = write_header(&mut out, &new_header(&identity(), Some((5, b"audio"))), &header, &packet);
            // Offsets that belong to another packet are harmless.
            header.elements(&packet[..packet.len() / 2]).for_each(drop);
            let _ = header.payload(&packet[..packet.len() / 2]);
        }
    }

    #[test]
    fn what_is_carried_is_what_was_there(
        source in prop::collection::vec(any_element(), 0..8),
        new_ids in prop::collection::vec(0u8..=31, 32),
        mid in prop::option::of((1u8..=31, prop::collection::vec(any::<u8>(), 0..40))),
    ) {
        let mut block = Vec::new();
        for (id, value) in &source {
            block.extend_from_slice(&[*id, value.len() as u8]);
            block.extend_from_slice(value);
        }
        block.resize(block.len().next_multiple_of(4), 0);
        let packet = with_extensions(0x1000, &block, &[1, 2, 3]);
        let table: [u8; 32] = new_ids.try_into().unwrap();
        let mut expected: Vec<_> = source
            .into_iter()
            .map(|(id, value)| (table[usize::from(id)], value))
            .filter(|(id, _)| *id != 0)
            .collect();
        expected.extend(mid.clone());
        let new = new_header(&table, mid.as_ref().map(|(id, value)| (*id, &value[..])));
        let mut out = vec![0u8; 2048];
        let len = write_header(&mut out, &new, &Header::parse(&packet).unwrap(), &packet).unwrap();
        let header = Header::parse(&out[..len]).unwrap();
        prop_assert_eq!(header.len, len);
        prop_assert_eq!(header.extensions.is_some(), !expected.is_empty());
        prop_assert_eq!(elements(&out[..len]), expected);
    }
}
