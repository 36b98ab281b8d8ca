//! Descriptors with another mask and another number.

use std::num::NonZeroU32;

use super::*;

/// Descriptors say the same as before, apart from mask and number, whether they had a mask or not.
#[test]
fn a_written_descriptor_is_read_as_the_same_with_the_new_mask_and_number() {
    for fixture in ALL {
        let mut stream = Stream::default();
        for packet in packets(fixture) {
            let frame = stream.read(&packet.descriptor, false).unwrap();
            let number = frame.number.wrapping_add(0xabcd);
            let mut out = [0xff; DESCRIPTOR_BYTES];
            let len = write(&packet.descriptor, &frame, number, None, &mut out).unwrap();
            assert_eq!(len, packet.descriptor.len());
            assert_eq!(
                stream.clone().read(&out[..len], false).map(|read| read.number),
                Ok(number)
            );
            for mask in [1, 0b10_1001, u32::MAX] {
                let mask = NonZeroU32::new(mask & ((1 << frame.layout.targets) - 1));
                let mut out = [0xff; DESCRIPTOR_BYTES];
                let len = write(&packet.descriptor, &frame, frame.number, mask, &mut out).unwrap();
                assert!(len <= packet.descriptor.len() + GROWTH);
                let mut receiver = stream.clone();
                let read = receiver.read(&out[..len], false).unwrap();
                let layout = read.layout;
                assert_eq!(
                    read,
                    Frame {
                        active: mask.unwrap().get(),
                        layout,
                        ..frame
                    }
                );
                let mut again = [0; DESCRIPTOR_BYTES];
                assert_eq!(write(&out[..len], &read, read.number, mask, &mut again), Some(len));
                assert_eq!(out[..len], again[..len]);
                assert_eq!(write(&packet.descriptor, &frame, 7, mask, &mut out[..len - 1]), None);
            }
        }
    }
}

#[test]
fn a_short_descriptor_grows_by_flags_and_mask() {
    let packets = packets(AV1_L1T3);
    let mut stream = Stream::default();
    stream.read(&packets[0].descriptor, false).unwrap();
    let frame = stream.read(&packets[1].descriptor, false).unwrap();
    let mut out = [0; 8];
    let len = write(&packets[1].descriptor, &frame, 1, NonZeroU32::new(0b011), &mut out).unwrap();
    // Flags 01000, then 011.
    assert_eq!(out[..len], [0, 0, 1, 0b0100_0011]);
}

#[test]
fn a_descriptor_is_not_made_longer_than_an_extension_can_be() {
    let first = &packets(AV1_L1T3)[0].descriptor;
    let frame = Stream::default().read(first, false).unwrap();
    let mut out = [0; 300];
    let mut long = first.clone();
    long.resize(300, 0);
    let layout = reader::Layout {
        end: 8 * 254,
        ..frame.layout
    };
    let frame = Frame { layout, ..frame };
    let mask = NonZeroU32::new(1);
    assert_eq!(write(&long, &frame, 7, mask, &mut out), Some(255));
    let layout = reader::Layout {
        end: 8 * 254 + 6,
        ..frame.layout
    };
    assert_eq!(write(&long, &Frame { layout, ..frame }, 7, mask, &mut out), None);
}
