//! Recordings: Ogg files of whatever pages, with checksums that are right, so that what is behind these is reached.

use std::time::Duration;

use patchbay::sound::{PACKET_BYTES_MAX, Recording};

use super::Target;

const TONE: &[u8] = include_bytes!("../../fixtures/tone.opus");
const PAGE_HEADER_BYTES: usize = 27;
const CHECKSUM: std::ops::Range<usize> = 22..26;

pub const RECORDING: Target = Target {
    name: "recording",
    seeds: || vec![TONE.to_vec(), TONE[..1_000].to_vec()],
    prepare: || {
        Box::new(|input| {
            read(input);
            let mut pages = input.to_vec();
            make_checksums_right(&mut pages);
            read(&pages);
        })
    },
};

fn read(file: &[u8]) {
    let Ok(recording) = Recording::read(file) else { return };
    let (mut number, mut time) = (0, Duration::ZERO);
    while let Some((packet, lasts)) = recording.packet(number) {
        assert!((1..=PACKET_BYTES_MAX).contains(&packet.len()));
        assert!(Duration::ZERO < lasts && lasts <= Duration::from_millis(120));
        number += 1;
        time += lasts;
    }
    assert!(number > 0, "a recording has sound");
    assert_eq!((recording.packet_count(), recording.duration()), (number, time));
    assert!((1..=2).contains(&recording.channels()));
    // One packet of 2.5 ms and the greatest length is 3.7 Mb/s.
    assert!(
        (1..4_000_000).contains(&recording.bitrate_bps()),
        "{}",
        recording.bitrate_bps()
    );
}

/// RFC 3533 §6: a page has its header, a length for each segment, and the segments.
fn make_checksums_right(pages: &mut [u8]) {
    let mut rest = pages;
    while rest.len() > PAGE_HEADER_BYTES && rest.starts_with(b"OggS") {
        let segments = usize::from(rest[26]);
        let lengths = rest[PAGE_HEADER_BYTES..].iter().take(segments);
        let body: usize = lengths.map(|length| usize::from(*length)).sum();
        let end = (PAGE_HEADER_BYTES + segments + body).min(rest.len());
        let (page, behind) = rest.split_at_mut(end);
        page[CHECKSUM].fill(0);
        let checksum = checksum(page).to_le_bytes();
        page[CHECKSUM].copy_from_slice(&checksum);
        rest = behind;
    }
}

/// The CRC of RFC 3533 §6, field 7.
fn checksum(page: &[u8]) -> u32 {
    page.iter().fold(0, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte) << 24, |sum, _| {
            let carries = sum >> 31 == 1;
            sum << 1 ^ if carries { 0x04c1_1db7 } else { 0 }
        })
    })
}
