//! What descriptors say.

use super::super::bits::BitWriter;
use super::*;

fn frames(fixture: &str) -> Vec<(Frame, Packet)> {
    let mut stream = Stream::default();
    let read = |packet: Packet| (stream.read(&packet.descriptor, false).unwrap(), packet);
    packets(fixture).into_iter().map(read).collect()
}

fn structure(fixture: &str) -> Structure {
    let mut stream = Stream::default();
    stream.read(&packets(fixture)[0].descriptor, false).unwrap();
    stream.structure().unwrap().clone()
}

#[test]
fn every_descriptor_of_an_encoder_is_read() {
    for fixture in ALL {
        let frames = frames(fixture);
        assert!(frames[0].0.has_structure && frames[0].0.is_first_packet);
        for pair in frames.windows(2) {
            let [(before, last), (frame, packet)] = pair else {
                panic!("windows of two")
            };
            assert_eq!(frame.is_first_packet, before.is_last_packet);
            let steps = u16::from(frame.is_first_packet);
            assert_eq!(frame.number, before.number + steps, "numbered in order");
            assert!(!frame.has_structure || (frame.is_first_packet && frame.dependencies().is_empty()));
            let same_picture = packet.timestamp == last.timestamp;
            // Where the encoder leaves out the highest layer of a picture, no packet has its marker.
            assert!(!same_picture || !last.marker);
            assert!(!same_picture || frame.layers.spatial >= before.layers.spatial);
            for &distance in frame.dependencies() {
                assert!(distance < frame.number, "it depends on a frame that was sent");
            }
            assert_ne!(frame.indications.present() & frame.active, 0, "somebody needs it");
        }
    }
}

/// The table of the specification for L1T3, in Chromium's order of targets: the lowest first.
#[test]
fn a_frame_has_the_layers_dependencies_and_indications_of_its_template() {
    let (all, upper, highest) = (0b111, 0b110, 0b100);
    let key = (0, vec![], all, all);
    let low = (0, vec![4], all, all);
    let middle = (1, vec![2], upper, highest);
    let high = (2, vec![1], highest, 0);
    let expected = [key, high.clone(), middle, high, low];
    let frames = frames(AV1_L1T3).into_iter().map(|(frame, _)| frame);
    let firsts = frames.filter(|frame| frame.is_first_packet);
    for (frame, (temporal, distances, present, switches)) in firsts.zip(expected) {
        assert_eq!(frame.layers, layers(0, temporal));
        assert_eq!(frame.dependencies(), distances);
        assert_eq!(frame.indications.present(), present, "{frame:?}");
        assert_eq!(frame.indications.switches(), switches, "{frame:?}");
        assert_eq!(frame.active, 0b111);
    }
}

#[test]
fn a_structure_tells_targets_and_heights_and_which_targets_are_lower_than_others() {
    let full = structure(AV1_L3T3);
    let targets: Vec<(u8, Layers)> = full.targets().collect();
    assert_eq!(targets.len(), 9);
    assert_eq!(targets[0], (8, layers(2, 2)));
    assert_eq!(targets[4], (4, layers(1, 1)));
    assert_eq!(targets[8], (0, layers(0, 0)));
    assert_eq!(full.heights, Some([Some(180), Some(360), Some(720), None]));
    assert_eq!(full.not_above(8), 0b1_1111_1111);
    assert_eq!(full.not_above(4), 0b0_0001_1011);
    // All pictures of a size are opened by its lowest ones, and no other size is.
    for structure in [&full, &structure(AV1_L3T3_KEY)] {
        assert_eq!(structure.opened_within(3), 0b0_0011_1000);
    }
}

#[test]
fn active_targets_stay_as_they_were_last_told() {
    let frames = frames(AV1_L3T3);
    let active = |number: u16| {
        let of_frame = frames.iter().filter(|(frame, _)| frame.number == number);
        of_frame.map(|(frame, _)| frame.active).collect::<Vec<u32>>()
    };
    assert_eq!(active(1), [0b11_1111], "told with the structure");
    assert_eq!(active(4), [0b11_1111], "not told");
    assert_eq!(active(5), [0b1_1111_1111], "told anew");
    assert_eq!(active(12), [0b1_1111_1111], "not told");
}

#[test]
fn what_a_frame_says_itself_goes_before_its_template() {
    let frames = frames(AV1_L3T3);
    let (frame, _) = frames.iter().find(|(frame, _)| frame.number == 9).unwrap();
    assert_eq!(frame.layers, layers(0, 0));
    assert_eq!(frame.dependencies(), [8]);
    assert_eq!(frame.chain_distances[..3], [8, 7, 7]);
    let mut stream = Stream::default();
    let first = stream.read(&packets(AV1_L1T3)[0].descriptor, false).unwrap();
    assert_eq!(first.indications.switches(), 0b111);
    // Flags 00100, then the indications 00, 01 and 11.
    let own = stream.read(&[0x80, 0, 9, 0b0010_0000, 0b1110_0000], false).unwrap();
    assert_eq!((own.indications.present(), own.indications.needed()), (0b110, 0b100));
    assert_eq!(own.indications.switches(), 0);
}

/// A packet that comes late tells of targets what was true then.
#[test]
fn a_late_packet_does_not_change_what_newer_ones_told() {
    let packets = packets(AV1_L3T3);
    let mut stream = Stream::default();
    for packet in &packets[..12] {
        stream.read(&packet.descriptor, false).unwrap();
    }
    assert_eq!(stream.read(&packets[0].descriptor, true).unwrap().active, 0b11_1111);
    assert_eq!(
        stream.read(&packets[15].descriptor, false).unwrap().active,
        0b1_1111_1111
    );
}

#[test]
fn without_its_structure_a_descriptor_says_nothing() {
    let three = packets(AV1_L1T3);
    let other = packets(AV1_S2T1);
    let mut stream = Stream::default();
    assert_eq!(
        stream.read(&three[1].descriptor, false),
        Err(Unreadable::UnknownStructure)
    );
    stream.read(&other[0].descriptor, false).unwrap();
    // L1T3 has template 4, S2T1 has not.
    let fourth = three.iter().find(|packet| packet.descriptor[0] & 0x3f == 4).unwrap();
    assert_eq!(
        stream.read(&fourth.descriptor, false),
        Err(Unreadable::UnknownStructure)
    );
}

#[test]
fn an_older_structure_does_not_replace_a_newer_one() {
    let mut stream = Stream::default();
    let mut newer = packets(AV1_L1T3)[0].descriptor.clone();
    newer[1..3].copy_from_slice(&40_u16.to_be_bytes());
    stream.read(&newer, false).unwrap();
    let older = packets(AV1_S2T1)[0].descriptor.clone();
    assert_eq!(stream.read(&older, true), Err(Unreadable::OldStructure));
    assert_eq!(stream.structure().unwrap().targets().count(), 3);
    // So far back, the stream counts anew.
    newer[1..3].copy_from_slice(&400_u16.to_be_bytes());
    let revision = stream.read(&newer, false).unwrap().revision;
    assert_ne!(stream.read(&older, false).unwrap().revision, revision);
    assert_eq!(stream.structure().unwrap().targets().count(), 2);
}

#[test]
fn a_cut_descriptor_is_malformed_or_says_the_same_frame() {
    for packet in ALL.into_iter().flat_map(packets) {
        for len in 0..packet.descriptor.len() {
            let mut stream = Stream::default();
            stream.read(&packets(AV1_L3T3)[0].descriptor, false).unwrap();
            match stream.read(&packet.descriptor[..len], false) {
                Ok(frame) => assert!(len >= 3 && frame.number == packet.number()),
                Err(Unreadable::UnknownStructure | Unreadable::OldStructure) => assert!(len >= 3),
                Err(Unreadable::Malformed) => {}
            }
        }
    }
}

/// A key frame's descriptor whose structure has 31 targets, so many spatial layers with a template each, and so many chains.
fn made(layers: u32, chains: u32) -> Vec<u8> {
    const TARGETS: u32 = 31;
    let mut bytes = [0; DESCRIPTOR_BYTES];
    let mut bits = BitWriter::new(&mut bytes);
    let mut write = |value, bits_of_it| bits.number(value, bits_of_it).unwrap();
    write(0b11 << 22 | 1, 24);
    write(0b10000 << 11 | (TARGETS - 1), 16);
    (1..layers).for_each(|_| write(2, 2));
    write(3, 2);
    (0..layers * TARGETS).for_each(|_| write(2, 2));
    (0..layers).for_each(|_| write(0, 1));
    write(chains, 5);
    (0..TARGETS).for_each(|_| write(0, chains.checked_ilog2().unwrap_or(0)));
    (0..layers * chains).for_each(|_| write(0, 4));
    write(0, 1);
    let len = bits.len();
    bytes[..len].to_vec()
}

#[test]
fn a_structure_larger_than_encoders_make_one_is_malformed() {
    assert!(Stream::default().read(&made(8, 8), false).is_ok());
    assert_eq!(
        Stream::default().read(&made(9, 8), false),
        Err(Unreadable::Malformed),
        "nine layers"
    );
    assert_eq!(
        Stream::default().read(&made(8, 9), false),
        Err(Unreadable::Malformed),
        "nine chains"
    );
    assert_eq!(
        Stream::default().read(&[0; 256], false),
        Err(Unreadable::Malformed),
        "longer than an extension"
    );
    let mut stream = Stream::default();
    stream.read(&made(2, 0), false).unwrap();
    for count in [8, 9] {
        let mut bytes = [0; 16];
        let mut bits = BitWriter::new(&mut bytes);
        bits.number(0xc0_0009 << 5 | 0b00010, 29).unwrap();
        (0..count).for_each(|_| bits.number(0b01_0011, 6).unwrap());
        let read = stream.read(&bytes, false);
        match count {
            8 => assert_eq!(read.unwrap().dependencies(), [4; 8]),
            _ => assert_eq!(read, Err(Unreadable::Malformed), "nine dependencies"),
        }
    }
}

/// Late frames of before the structure cannot be read by it; frames that have its number again after all numbers were used can.
#[test]
fn what_came_before_the_structure_is_not_read_by_it() {
    let packets = packets(AV1_L1T3);
    let with_number = |number: u16| {
        let mut descriptor = packets[1].descriptor.clone();
        descriptor[1..3].copy_from_slice(&number.to_be_bytes());
        descriptor
    };
    let mut stream = Stream::default();
    let first = stream.read(&packets[0].descriptor, false).unwrap().number;
    let before = with_number(first.wrapping_sub(3));
    assert_eq!(stream.read(&before, true), Err(Unreadable::OldStructure));
    assert_eq!(stream.read_again(&before), Err(Unreadable::OldStructure));
    // A newer packet with such a number is of a stream that counts anew, whose key frame is missing.
    assert_eq!(stream.read(&before, false), Err(Unreadable::UnknownStructure));
    for step in 1..=u16::MAX {
        let descriptor = with_number(first.wrapping_add(step));
        let frame = stream.read(&descriptor, false);
        assert!(frame.is_ok() && stream.read_again(&descriptor) == frame, "{step}");
    }
}

/// Its key frame has a number a little below those that came before.
#[test]
fn a_stream_that_counts_anew_is_read_by_its_new_structure() {
    let (newer, older) = (packets(AV1_S2T1), packets(AV1_L1T3));
    let mut stream = Stream::default();
    let mut with_number = |mut packet: Packet, number: u16, is_late: bool| {
        packet.descriptor[1..3].copy_from_slice(&number.to_be_bytes());
        stream.read(&packet.descriptor, is_late)
    };
    let first = with_number(older[0].clone(), 100, false).unwrap();
    for number in 101..150 {
        with_number(older[1].clone(), number, false).unwrap();
    }
    let anew = with_number(newer[0].clone(), 60, false).unwrap();
    assert_ne!(anew.revision, first.revision);
    for number in 61..120 {
        assert_eq!(
            with_number(newer[2].clone(), number, false).unwrap().revision,
            anew.revision
        );
    }
    // The same structure, again.
    with_number(newer[0].clone(), 30, false).unwrap();
    assert!(with_number(newer[2].clone(), 31, false).is_ok());
}

/// What was read before a structure that cannot be read is not taken for something without a descriptor when it is read again.
#[test]
fn a_structure_that_cannot_be_read_changes_nothing_of_what_came_before() {
    let packets = packets(AV1_L1T3);
    let mut stream = Stream::default();
    for packet in &packets[..20] {
        stream.read(&packet.descriptor, false).unwrap();
    }
    let number = packets[19].number();
    let [high, low] = (number + 1).to_be_bytes();
    assert_eq!(
        stream.read(&[0xc0, high, low, 0x80, 1], false),
        Err(Unreadable::Malformed)
    );
    for packet in &packets[..19] {
        assert_eq!(stream.read_again(&packet.descriptor), Err(Unreadable::OldStructure));
    }
    let mut after = packets[1].descriptor.clone();
    after[1..3].copy_from_slice(&(number + 2).to_be_bytes());
    assert_eq!(stream.read(&after, false), Err(Unreadable::Malformed));
    let mut mended = packets[0].descriptor.clone();
    mended[1..3].copy_from_slice(&(number + 3).to_be_bytes());
    assert!(stream.read(&mended, false).is_ok());
    stream.end();
    assert_eq!(stream.read(&after, false), Err(Unreadable::UnknownStructure));
}

#[test]
fn a_result_stays_small() {
    assert!(size_of::<Frame>() <= 64, "{}", size_of::<Frame>());
    assert!(size_of::<Selection>() <= 3_000, "{}", size_of::<Selection>());
    assert!(size_of::<Structure>() <= 2_900, "{}", size_of::<Structure>());
}
