//! Access tokens of version 006, as phone apps get them from an app's back end: who holds one may enter one channel as one
//! user. Pure; the time and the random number are given.
//!
//! A token is the text `006`, the app's id, and these bytes in base 64 (RFC 4648 §4, padded). Numbers are little-endian.
//!
//! | bytes | meaning |
//! |---|---|
//! | 2 | length of the signature: 32 |
//! | 32 | signature: HMAC-SHA256 (RFC 2104) of app id, channel, user and message, keyed with the text of the app's certificate |
//! | 4, 4 | CRC-32 (ISO-HDLC) of the channel, of the user |
//! | 2 | length of the message that follows |
//! | 4 | salt, a random number |
//! | 4 | time at which the token expires, in seconds since 1970-01-01 UTC |
//! | 2 | number of privileges |
//! | 2, 4 each | a privilege, in growing order, and the time at which it expires; 0: with the token |
//!
//! The signature covers channel and user without anything between them, and the checksums are not signed: whoever holds a token
//! for channel `a1` and user `23` can make one for `a12` and `3`. So channels must have names of one length, as those of calls
//! over HTTP have.
//!
//! Privilege 1 lets its holder enter. 2 and 3 let them publish sound and pictures; a token that has none of 2, 3 and 4 (data)
//! restricts nothing.

use aws_lc_rs::{constant_time, hmac};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crc::{CRC_32_ISO_HDLC, Crc};

const VERSION: &str = "006";
/// Hexadecimal digits of an app's id, and of its certificate.
const ID_DIGITS: usize = 32;
const SIGNATURE_BYTES: usize = 32;
/// Bytes of the longest token that is read. One with all known privileges has some 200.
const TOKEN_BYTES_MAX: usize = 1_024;
/// The highest salt.
pub const SALT_MAX: u32 = 99_999_999;

const JOIN_CHANNEL: u16 = 1;
const PUBLISH_AUDIO: u16 = 2;
const PUBLISH_VIDEO: u16 = 3;
const PUBLISH_DATA: u16 = 4;

const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// An app: its id, which is in each token, and the certificate that signs its tokens. The certificate is a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct App {
    id: String,
    certificate: String,
}

/// The message of a token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    pub salt: u32,
    /// Time at which the token expires, in seconds since 1970-01-01 UTC.
    pub expires_s: u32,
    /// Privileges, each with the time at which it expires; 0: with the token.
    pub privileges: Vec<(u16, u32)>,
}

/// What the holder of a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    pub may_publish_audio: bool,
    pub may_publish_video: bool,
    /// Time at which they have to leave, in seconds since 1970-01-01 UTC.
    pub until_s: i64,
}

/// The reason why a text is no id or certificate of an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the app id and the app certificate have 32 hexadecimal digits each")]
pub struct BadApp;

/// A token, taken apart. Nothing of it has been checked.
#[derive(Default)]
struct Parts<'a> {
    app: &'a str,
    signature: [u8; SIGNATURE_BYTES],
    channel_crc: u32,
    user_crc: u32,
    signed: Vec<u8>,
    message: Message,
}

impl App {
    pub fn new(id: impl Into<String>, certificate: impl Into<String>) -> Result<App, BadApp> {
        let (id, certificate) = (id.into(), certificate.into());
        let is_one = |text: &str| text.len() == ID_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        match is_one(&id) && is_one(&certificate) {
            true => Ok(App { id, certificate }),
            false => Err(BadApp),
        }
    }

    pub fn random() -> App {
        let digits = || hex::encode(rand::random::<[u8; ID_DIGITS / 2]>());
        App {
            id: digits(),
            certificate: digits(),
        }
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    /// The certificate, to be recorded. It must not get into a log.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Whether a text is meant as a token of this app.
    pub fn is_named_in(&self, text: &str) -> bool {
        text.strip_prefix(VERSION)
            .is_some_and(|rest| rest.starts_with(&self.id))
    }

    /// A token with this message.
    pub fn sign(&self, channel: &str, user: &str, message: &Message) -> String {
        let signed = message.bytes();
        let mut content = Vec::with_capacity(64 + signed.len());
        content.extend_from_slice(&(SIGNATURE_BYTES as u16).to_le_bytes());
        content.extend_from_slice(self.signature(channel, user, &signed).as_ref());
        content.extend_from_slice(&CRC.checksum(channel.as_bytes()).to_le_bytes());
        content.extend_from_slice(&CRC.checksum(user.as_bytes()).to_le_bytes());
        content.extend_from_slice(&(signed.len() as u16).to_le_bytes());
        content.extend_from_slice(&signed);
        format!("{VERSION}{}{}", self.id, STANDARD.encode(content))
    }

    /// A token that lets a user enter a channel and publish there, until `until_s`.
    pub fn issue(&self, channel: &str, user: &str, until_s: i64, salt: u32) -> String {
        let expires_s = u32::try_from(until_s).unwrap_or(u32::MAX);
        let message = Message {
            salt,
            expires_s,
            privileges: vec![(JOIN_CHANNEL, expires_s)],
        };
        self.sign(channel, user, &message)
    }

    /// What a token lets this user do in this channel now; `None` if nothing. Each refusal takes the same time: a signature is
    /// computed in any case, and compared without looking at where it differs.
    pub fn verify(&self, token: &str, channel: &str, user: &str, now_s: i64) -> Option<Grant> {
        let parts = Parts::read(token);
        let is_whole = parts.is_some();
        let parts = parts.unwrap_or_default();
        let signature = self.signature(channel, user, &parts.signed);
        let is_signed = constant_time::verify_slices_are_equal(signature.as_ref(), &parts.signature).is_ok();
        let is_meant = (parts.app == self.id)
            & (parts.channel_crc == CRC.checksum(channel.as_bytes()))
            & (parts.user_crc == CRC.checksum(user.as_bytes()));
        let grant = parts.message.grant(now_s);
        grant.filter(|_| is_whole & is_signed & is_meant)
    }

    /// Whether a token is one of this app for this channel, and its time is not over; as far as anybody can tell who knows no
    /// secret.
    pub(crate) fn may_be_for(&self, token: &str, channel: &str, now_s: i64) -> bool {
        Parts::read(token).is_some_and(|parts| {
            let is_meant = parts.app == self.id && parts.channel_crc == CRC.checksum(channel.as_bytes());
            is_meant && parts.message.grant(now_s).is_some()
        })
    }

    fn signature(&self, channel: &str, user: &str, message: &[u8]) -> hmac::Tag {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.certificate.as_bytes());
        let mut context = hmac::Context::with_key(&key);
        for part in [self.id.as_bytes(), channel.as_bytes(), user.as_bytes(), message] {
            context.update(part);
        }
        context.sign()
    }
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "App {}", self.id)
    }
}

/// Whether a token is meant as an access token, however much of it is left. No other token begins in this way: a JSON Web Token
/// begins with `ey`.
pub fn looks_like_access_token(token: &str) -> bool {
    token.starts_with(VERSION)
}

/// Whether a text that need not be a token is one: it names an app. Telephone numbers begin with the same digits.
pub(crate) fn names_an_app(text: &str) -> bool {
    let app = text.strip_prefix(VERSION).and_then(|rest| rest.get(..ID_DIGITS));
    app.is_some_and(|app| app.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

impl Message {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(10 + 6 * self.privileges.len());
        bytes.extend_from_slice(&self.salt.to_le_bytes());
        bytes.extend_from_slice(&self.expires_s.to_le_bytes());
        bytes.extend_from_slice(&(self.privileges.len() as u16).to_le_bytes());
        for (privilege, expires_s) in &self.privileges {
            bytes.extend_from_slice(&privilege.to_le_bytes());
            bytes.extend_from_slice(&expires_s.to_le_bytes());
        }
        bytes
    }

    fn read(bytes: &[u8]) -> Option<Message> {
        let mut rest = bytes;
        let (salt, expires_s) = (take_u32(&mut rest)?, take_u32(&mut rest)?);
        let count = take_u16(&mut rest)?;
        let mut privileges = Vec::new();
        for _ in 0..count {
            privileges.push((take_u16(&mut rest)?, take_u32(&mut rest)?));
        }
        rest.is_empty().then_some(Message {
            salt,
            expires_s,
            privileges,
        })
    }

    /// What the message allows at this time. `None` without the privilege to enter.
    fn grant(&self, now_s: i64) -> Option<Grant> {
        let expiry_s = |wanted: u16| {
            let found = self.privileges.iter().find(|(privilege, _)| *privilege == wanted);
            let expires_s = found.map(|(_, expires_s)| match *expires_s {
                0 => self.expires_s,
                own => own.min(self.expires_s),
            });
            expires_s.map(i64::from)
        };
        let is_valid = |wanted: u16| expiry_s(wanted).is_some_and(|expires_s| expires_s > now_s);
        let mut publishing = [PUBLISH_AUDIO, PUBLISH_VIDEO, PUBLISH_DATA].into_iter();
        let restricts = publishing.any(|privilege| expiry_s(privilege).is_some());
        // The stay ends with the first right that expires: what may be published does not change while it lasts.
        let granted = [JOIN_CHANNEL, PUBLISH_AUDIO, PUBLISH_VIDEO].into_iter();
        let until_s = granted
            .filter(|privilege| is_valid(*privilege))
            .filter_map(expiry_s)
            .min()?;
        is_valid(JOIN_CHANNEL).then_some(Grant {
            may_publish_audio: !restricts || is_valid(PUBLISH_AUDIO),
            may_publish_video: !restricts || is_valid(PUBLISH_VIDEO),
            until_s,
        })
    }
}

impl Parts<'_> {
    /// Takes a token apart. `None` if it is not of this form, to the last byte.
    fn read(token: &str) -> Option<Parts<'_>> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let (app, content) = token.strip_prefix(VERSION)?.split_at_checked(ID_DIGITS)?;
        let content = STANDARD.decode(content).ok()?;
        let mut rest = content.as_slice();
        if usize::from(take_u16(&mut rest)?) != SIGNATURE_BYTES {
            return None;
        }
        let signature = take(&mut rest)?;
        let (channel_crc, user_crc) = (take_u32(&mut rest)?, take_u32(&mut rest)?);
        let length = usize::from(take_u16(&mut rest)?);
        (rest.len() == length).then_some(())?;
        Some(Parts {
            app,
            signature,
            channel_crc,
            user_crc,
            signed: rest.to_vec(),
            message: Message::read(rest)?,
        })
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*first)
}

fn take_u16(rest: &mut &[u8]) -> Option<u16> {
    take(rest).map(u16::from_le_bytes)
}

fn take_u32(rest: &mut &[u8]) -> Option<u32> {
    take(rest).map(u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CHANNEL: &str = "7d72365eb983485397e3e3f9d460bdda";
    const USER: &str = "2882341273";
    const EXPIRES_S: u32 = 1_446_455_471;

    /// The app of the vectors that are published with the token's format (github.com/AgoraIO/Tools, unit tests of
    /// DynamicKey/AgoraDynamicKey).
    fn app() -> App {
        App::new("970CA35de60c44645bbae8a215061b33", "5CFd2fd1755d40ecb72977518be15d3b").unwrap()
    }

    fn message(privileges: &[u16]) -> Message {
        Message {
            salt: 1,
            expires_s: 1_111_111,
            privileges: privileges.iter().map(|privilege| (*privilege, EXPIRES_S)).collect(),
        }
    }

    #[test]
    fn tokens_are_those_of_the_published_vectors() {
        let all = [1, 2, 3, 4];
        for (channel, user, privileges, token) in [
            (
                CHANNEL,
                USER,
                &all[..1],
                "006970CA35de60c44645bbae8a215061b33IACV0fZUBw+72cVoL9eyGGh3Q6Poi8bgjwVLnyKSJyOXR7dIfRBXoFHlEAABAAAAR/QQAAEAAQCvKDdW",
            ),
            (
                CHANNEL,
                "",
                &all[..1],
                "006970CA35de60c44645bbae8a215061b33IACw1o7htY6ISdNRtku3p9tjTPi0jCKf9t49UHJhzCmL6bdIfRAAAAAAEAABAAAAR/QQAAEAAQCvKDdW",
            ),
            (
                CHANNEL,
                USER,
                &all,
                "006970CA35de60c44645bbae8a215061b33IACMv3I+fsRSejxy6luEwzA/1t/zbEHWfJCJ5m8ssFP/fLdIfRBXoFHlIgABAAAAR/QQAAQAAQCvKDdWAgCvKDdWAwCvKDdWBACvKDdW",
            ),
            (
                "ch_4aY875LP4o",
                "1234",
                &all,
                "006970CA35de60c44645bbae8a215061b33IAB8OoCzBkcCJmMD0hyqkgqBQa9PeJBJSVmuKuTO3d1+RpMxVymj4OObIgABAAAAR/QQAAQAAQCvKDdWAgCvKDdWAwCvKDdWBACvKDdW",
            ),
        ] {
            assert_eq!(app().sign(channel, user, &message(privileges)), token);
            assert!(looks_like_access_token(token));
            assert!(app().verify(token, channel, user, 1_111_110).is_some(), "{token}");
        }
    }

    #[test]
    fn tokens_of_apps_in_the_field_are_read() {
        for (token, channel, user, salt, expires_s) in [
            (
                "006303156d224e44881a00af9cabc9e10d8IACgUJJitrMNSv8lt51GOztehgjZLfpgtuWC6mDDhAKBeJMxVymj4OObEADw9+kBR7MUXgEAAQAfZBNe",
                "ch_4aY875LP4o",
                "1234",
                32_110_576,
                1_578_329_119,
            ),
            (
                "006303156d224e44881a00af9cabc9e10d8IADayEfx+2LpKe++OZ08xiOyOY1xAE4y0cLFagSx6DXQr6I35iUcOvXLEABnbngE/uwVXgEAAQDWnRRe",
                "ch_b5O729YA23",
                "12345",
                75_001_447,
                1_578_409_430,
            ),
            (
                "006303156d224e44881a00af9cabc9e10d8IAAcLnRJAGjM7DIH6qEO4Ef8j8h3NNMDxj8xpSjblZ9SXR6ERHqj4OObEABa+9gDky4XXgEAAQBr3xVe",
                "ch_xergsde",
                "1234",
                64_551_770,
                1_578_491_755,
            ),
            (
                "006303156d224e44881a00af9cabc9e10d8IADUmLAwn3zGNLGaIIyrz6M4I1rJ0/Sx0+9uP+mChtxlVaHThWxov47EEAAqbGEE+KUYXgEAAQDQVhde",
                "ch_04g1j0531W",
                "4321",
                73_493_546,
                1_578_587_856,
            ),
            (
                "006303156d224e44881a00af9cabc9e10d8IADcxCL86Hiy0kAF/mKUdbNh2lBGVH+RQ+GAXMwinkoZjwEAybM10OTsEABu3lAAHhwcXgEAAQD2zBpe",
                "ch_sdgsdgsgwe",
                "1235",
                5_299_822,
                1_578_814_710,
            ),
        ] {
            let parts = Parts::read(token).unwrap();
            assert_eq!(parts.app, "303156d224e44881a00af9cabc9e10d8");
            assert_eq!(parts.channel_crc, CRC.checksum(channel.as_bytes()), "{channel}");
            assert_eq!(parts.user_crc, CRC.checksum(user.as_bytes()), "{user}");
            assert_eq!(parts.message.salt, salt);
            assert_eq!(parts.message.privileges, [(JOIN_CHANNEL, expires_s)]);
            assert_eq!(parts.message.bytes(), parts.signed);
        }
    }

    #[test]
    fn a_token_lets_in_nobody_else_nowhere_else_and_not_later() {
        let now_s = 1_000_000;
        let token = app().issue("ch_a", "anna", now_s + 600, 7);
        let grant = Grant {
            may_publish_audio: true,
            may_publish_video: true,
            until_s: now_s + 600,
        };
        let app = app();
        assert_eq!(app.verify(&token, "ch_a", "anna", now_s), Some(grant));
        // The clock of the server that issued it may be a minute ahead, or behind.
        assert_eq!(app.verify(&token, "ch_a", "anna", now_s - 60), Some(grant));
        assert_eq!(app.verify(&token, "ch_a", "anna", now_s + 60), Some(grant));
        assert_eq!(app.verify(&token, "ch_a", "anna", now_s + 599), Some(grant));
        assert_eq!(app.verify(&token, "ch_a", "anna", now_s + 600), None);
        for (channel, user) in [
            ("ch_b", "anna"),
            ("ch_a", "ann"),
            ("", "anna"),
            ("ch_a", ""),
            ("ch_aa", "nna"),
        ] {
            assert_eq!(app.verify(&token, channel, user, now_s), None, "{channel} {user}");
        }
        let other_key = App::new(app.id(), "00000000000000000000000000000000").unwrap();
        assert_eq!(other_key.verify(&token, "ch_a", "anna", now_s), None);
        let other_app = App::new("00000000000000000000000000000000", app.certificate()).unwrap();
        assert_eq!(other_app.verify(&token, "ch_a", "anna", now_s), None);
        for end in 0..token.len() {
            assert_eq!(app.verify(&token[..end], "ch_a", "anna", now_s), None, "{end}");
        }
        assert_eq!(app.verify(&format!("{token}AAAA"), "ch_a", "anna", now_s), None);
        assert_eq!(
            app.verify(&token.replacen("006", "007", 1), "ch_a", "anna", now_s),
            None
        );
    }

    #[test]
    fn only_privileges_that_are_present_restrict() {
        let grant = |privileges: &[(u16, u32)]| {
            let message = Message {
                salt: 1,
                expires_s: 2_000,
                privileges: privileges.to_vec(),
            };
            app().verify(&app().sign("c", "u", &message), "c", "u", 1_000)
        };
        let publishes = |privileges: &[(u16, u32)]| {
            let grant = grant(privileges).unwrap();
            (grant.may_publish_audio, grant.may_publish_video)
        };
        assert_eq!(publishes(&[(1, 0)]), (true, true));
        assert_eq!(publishes(&[(1, 0), (2, 0)]), (true, false));
        assert_eq!(publishes(&[(1, 0), (3, 0)]), (false, true));
        assert_eq!(publishes(&[(1, 0), (2, 0), (3, 0), (4, 0)]), (true, true));
        assert_eq!(publishes(&[(1, 0), (4, 0)]), (false, false));
        assert_eq!(publishes(&[(1, 0), (2, 999), (3, 1_001)]), (false, true));
        assert_eq!(publishes(&[(1, 0), (1_000, 0)]), (true, true));
        assert_eq!(grant(&[]), None, "without the privilege to enter");
        assert_eq!(grant(&[(2, 0), (3, 0)]), None);
        assert_eq!(grant(&[(1, 999)]), None, "the privilege has expired");
        assert_eq!(grant(&[(1, 0)]).unwrap().until_s, 2_000);
        assert_eq!(grant(&[(1, 1_500)]).unwrap().until_s, 1_500);
        assert_eq!(grant(&[(1, 3_000)]).unwrap().until_s, 2_000);
        assert_eq!(
            grant(&[(1, 1_500), (2, 1_200), (3, 999)]).unwrap().until_s,
            1_200,
            "a right that ends earlier"
        );
    }

    #[test]
    fn a_token_names_its_app_also_where_it_is_damaged() {
        let token = app().issue("ch_a", "anna", 1_000, 7);
        assert!(app().is_named_in(&token) && app().is_named_in(&token[..40]));
        assert!(!App::random().is_named_in(&token));
        for other in ["", "006", &token[3..], &token[..34]] {
            assert!(!app().is_named_in(other), "{other}");
        }
    }

    #[test]
    fn an_app_has_ids_of_32_digits_and_hides_its_certificate() {
        for bad in [
            "",
            "970CA35de60c44645bbae8a215061b3",
            "970CA35de60c44645bbae8a215061b3g",
        ] {
            assert_eq!(App::new(bad, app().certificate()), Err(BadApp));
            assert_eq!(App::new(app().id(), bad), Err(BadApp));
        }
        let (one, other) = (App::random(), App::random());
        assert_ne!(one, other);
        assert_eq!(App::new(one.id(), one.certificate()), Ok(one.clone()));
        assert!(!format!("{one:?}").contains(one.certificate()));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic_and_proves_nothing(text in ".{0,200}", content: Vec<u8>) {
            prop_assert_eq!(app().verify(&text, CHANNEL, USER, 0), None);
            let token = format!("{VERSION}{}{}", app().id(), STANDARD.encode(content));
            prop_assert_eq!(app().verify(&token, CHANNEL, USER, 0), None);
        }

        #[test]
        fn a_changed_byte_proves_nothing(place in 0_usize..60, bit in 0_u8..8) {
            let token = app().sign(CHANNEL, USER, &message(&[1]));
            let (head, content) = token.split_at(VERSION.len() + ID_DIGITS);
            let mut content = STANDARD.decode(content).unwrap();
            content[place] ^= 1 << bit;
            let changed = format!("{head}{}", STANDARD.encode(content));
            prop_assert_eq!(app().verify(&changed, CHANNEL, USER, 0), None);
        }
    }
}
