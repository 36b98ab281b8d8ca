//! Descriptors with another mask.

use super::*;

/// Descriptors say the same as before, apart from the mask, whether they had one or not.
#[test]
fn a_written_descriptor_is_read_as_the_same_with_the_new_mask() {
    for fixture in ALL {
        let mut stream = Stream::default();
        for packet in packets(fixture) {
            let frame = stream.read(&packet.descriptor).unwrap();
            for mask in [0, 1, 0b10_1001, u32::MAX] {
                let mask = mask & ((1 << frame.layout.targets) - 1);
                let mut out = [0xff; DESCRIPTOR_BYTES];
                let len = with_active(&packet.descriptor, &frame, mask, &mut out).unwrap();
                assert!(len <= packet.descriptor.len() + GROWTH);
                let mut receiver = stream.clone();
                let read = receiver.read(&out[..len]).unwrap();
                let layout = read.layout;
                assert_eq!(
                    read,
                    Frame {
                        active: mask,
                        layout,
                        ..frame
                    }
                );
                let mut again = [0; DESCRIPTOR_BYTES];
                assert_eq!(with_active(&out[..len], &read, mask, &mut again), Some(len));
                assert_eq!(out[..len], again[..len]);
                assert_eq!(with_active(&packet.descriptor, &frame, mask, &mut out[..len - 1]), None);
            }
        }
    }
}

#[test]
fn a_short_descriptor_grows_by_flags_and_mask() {
    let packets = packets(AV1_L1T3);
    let mut stream = Stream::default();
    stream.read(&packets[0].descriptor).unwrap();
    let frame = stream.read(&packets[1].descriptor).unwrap();
    let mut out = [0; 8];
    let len = with_active(&packets[1].descriptor, &frame, 0b011, &mut out).unwrap();
    // Flags 01000, then 011.
    assert_eq!(out[..len], [0, 0, 1, 0b0100_0011]);
}

#[test]
fn a_descriptor_is_not_made_longer_than_an_extension_can_be() {
    let first = &packets(AV1_L1T3)[0].descriptor;
    let frame = Stream::default().read(first).unwrap();
    let mut out = [0; 300];
    let mut long = first.clone();
    long.resize(300, 0);
    let layout = reader::Layout {
        end: 8 * 254,
        ..frame.layout
    };
    let frame = Frame { layout, ..frame };
    assert_eq!(with_active(&long, &frame, 0, &mut out), Some(255));
    let layout = reader::Layout {
        end: 8 * 254 + 6,
        ..frame.layout
    };
    assert_eq!(with_active(&long, &Frame { layout, ..frame }, 0, &mut out), None);
}
