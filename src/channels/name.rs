//! Names of channels.

use rand::{Rng, RngExt};

use crate::ids::{CHANNEL_LENGTH, CHANNEL_PREFIX, RoomName};

/// The characters of a name. Digits come up six times as often as each letter, as in the names that apps know.
const CHARACTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz\
    012345678901234567890123456789012345678901234567890123456789";

/// A new name. There are some 10^17, so that nobody finds a channel by trying.
pub(super) fn random(random: &mut impl Rng) -> RoomName {
    let mut name = CHANNEL_PREFIX.to_owned();
    for _ in 0..CHANNEL_LENGTH {
        let place = random.random_range(0..CHARACTERS.len());
        name.extend(CHARACTERS.get(place).map(|byte| char::from(*byte)));
    }
    RoomName(name.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_ten_letters_or_digits_and_differ() {
        let mut source: rand::rngs::StdRng = rand::make_rng();
        let names: std::collections::HashSet<String> = (0..1_000).map(|_| random(&mut source).to_string()).collect();
        assert_eq!(names.len(), 1_000);
        for name in &names {
            let rest = name.strip_prefix("ch_").unwrap();
            assert_eq!(rest.len(), 10);
            assert!(rest.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{name}");
            assert!(RoomName::from(name.as_str()).is_channel(), "{name}");
        }
        let digits = names
            .iter()
            .flat_map(|name| name.bytes().skip(3))
            .filter(u8::is_ascii_digit)
            .count();
        assert!(
            (4_900..5_900).contains(&digits),
            "{digits} of 10,000 are digits; 5,360 are likely"
        );
    }
}
