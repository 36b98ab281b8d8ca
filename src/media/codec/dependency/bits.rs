//! Bits of a descriptor, the highest of each byte first.

/// Reads numbers from bytes, from the first bit on.
#[derive(Clone, Copy)]
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> BitReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> BitReader<'a> {
        BitReader { bytes, at: 0 }
    }

    /// The position of the next bit.
    pub(super) fn position(&self) -> u16 {
        self.at as u16
    }

    /// Goes on at this bit.
    pub(super) fn go_to(&mut self, position: u16) {
        self.at = usize::from(position);
    }

    /// Reads a number of at most 32 bits, `f(n)` of the specification. `None` if the bytes end before.
    pub(super) fn number(&mut self, bits: u32) -> Option<u32> {
        let end = self.at + bits as usize;
        let last = end.div_ceil(8);
        let mut value = 0_u64;
        for byte in self.bytes.get(self.at / 8..last)? {
            value = value << 8 | u64::from(*byte);
        }
        self.at = end;
        Some((value >> (last * 8 - end) & ((1 << bits) - 1)) as u32)
    }

    pub(super) fn flag(&mut self) -> Option<bool> {
        self.number(1).map(|bit| bit == 1)
    }

    /// Reads a number below `count`, in fewer bits if it is small: `ns(n)` of the specification.
    pub(super) fn below(&mut self, count: u32) -> Option<u32> {
        let width = u32::BITS - count.leading_zeros();
        let short = (1 << width) - count;
        let value = self.number(width.checked_sub(1)?)?;
        if value < short {
            return Some(value);
        }
        Some((value << 1) - short + self.number(1)?)
    }
}

/// Writes numbers into bytes, from the first bit on.
pub(super) struct BitWriter<'a> {
    bytes: &'a mut [u8],
    at: usize,
}

impl<'a> BitWriter<'a> {
    pub(super) fn new(bytes: &'a mut [u8]) -> BitWriter<'a> {
        BitWriter { bytes, at: 0 }
    }

    /// Writes the lowest `bits` of a number, at most 32. `None` if there is no room.
    pub(super) fn number(&mut self, value: u32, mut bits: u32) -> Option<()> {
        while bits > 0 {
            let byte = self.bytes.get_mut(self.at / 8)?;
            let free = 8 - self.at as u32 % 8;
            if free == 8 {
                *byte = 0;
            }
            let taken = free.min(bits);
            bits -= taken;
            let part = value >> bits & ((1 << taken) - 1);
            *byte |= (part << (free - taken)) as u8;
            self.at += taken as usize;
        }
        Some(())
    }

    /// Copies bits up to `end`, a position in what is read.
    pub(super) fn copy(&mut self, from: &mut BitReader<'_>, end: u16) -> Option<()> {
        while from.position() < end {
            let bits = u32::from(end - from.position()).min(32);
            self.number(from.number(bits)?, bits)?;
        }
        Some(())
    }

    /// The bytes that are begun. The rest of the last one is zero.
    pub(super) fn len(&self) -> usize {
        self.at.div_ceil(8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_across_bytes_and_not_beyond_the_last() {
        let mut bits = BitReader::new(&[0b1010_0101, 0xff, 0, 1, 2, 3]);
        assert_eq!(
            (bits.flag(), bits.number(3), bits.number(0)),
            (Some(true), Some(0b010), Some(0))
        );
        assert_eq!(bits.number(6), Some(0b01_0111));
        assert_eq!(
            bits.number(32),
            Some(0b1111_1100_0000_0000_0000_0100_0000_1000),
            "five bytes"
        );
        assert_eq!((bits.number(7), bits.number(6)), (None, Some(3)));
        assert_eq!((bits.position(), bits.number(1)), (48, None));
    }

    /// The table of the specification for five values, and the case in which there is only one.
    #[test]
    fn a_number_of_few_values_takes_fewer_bits_if_it_is_small() {
        for (byte, value, bits) in [
            (0b0000_0000, 0, 2),
            (0b0100_0000, 1, 2),
            (0b1100_0000, 3, 3),
            (0b1110_0000, 4, 3),
        ] {
            let bytes = [byte];
            let mut reader = BitReader::new(&bytes);
            assert_eq!((reader.below(5), reader.position()), (Some(value), bits));
        }
        let mut reader = BitReader::new(&[]);
        assert_eq!((reader.below(1), reader.below(0)), (Some(0), None));
    }

    #[test]
    fn what_is_written_is_read_and_the_rest_of_the_last_byte_is_zero() {
        let mut bytes = [0xff; 4];
        let mut writer = BitWriter::new(&mut bytes);
        writer.number(0b101, 3).unwrap();
        let mut from = BitReader::new(&[0xab, 0xcd]);
        from.go_to(4);
        writer.copy(&mut from, 13).unwrap();
        assert_eq!(writer.len(), 2);
        assert_eq!(bytes, [0b1011_0111, 0b1001_0000, 0xff, 0xff]);
        assert!(BitWriter::new(&mut []).number(1, 1).is_none());
    }
}
