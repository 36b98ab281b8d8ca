//! The greatest length of texts that people type, counted in characters, as people count.
//!
//! A character has up to four bytes (RFC 3629 §3), so a limit also bounds the bytes: four times as many.

/// The bytes of the longest character in UTF-8.
const BYTES_PER_CHARACTER_MAX: usize = 4;

/// The greatest number of characters in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TextLimit {
    pub characters: usize,
}

/// Names and ids of people and rooms: UUIDs and mail addresses fit. Each is kept as long as its room lives, and sent to
/// everybody in it.
pub(crate) const NAME: TextLimit = TextLimit::characters(128);

/// The id of a device, chosen by itself: UUIDs and serial numbers fit.
pub(crate) const DEVICE_ID: TextLimit = NAME;

/// A password of a room, where it is set and where somebody joins with it. Checking a password is slow on purpose, and
/// slower with its length.
pub(crate) const PASSWORD: TextLimit = TextLimit::characters(256);

impl TextLimit {
    pub const fn characters(characters: usize) -> Self {
        Self { characters }
    }

    pub fn holds(self, text: &str) -> bool {
        // The bytes are known without counting, so a text that is far too long is not read.
        text.len() <= self.characters
            || text.len() <= self.characters.saturating_mul(BYTES_PER_CHARACTER_MAX)
                && text.chars().count() <= self.characters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_count_and_not_their_bytes() {
        let limit = TextLimit::characters(3);
        for text in ["", "abc", "äöü", "张三丰", "😀😀😀"] {
            assert!(limit.holds(text), "{text}");
        }
        for text in ["abcd", "äöüß", "张三丰李", "😀😀😀😀", "e\u{301}e\u{301}"] {
            assert!(!limit.holds(text), "{text}");
        }
    }
}
