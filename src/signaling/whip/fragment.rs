//! Fragments of SDP about ICE (RFC 8840 §9): what a client sends about its ICE after its offer, and what it is answered.

use crate::media::description::Description;

/// ICE users of one fragment: as many as an offer may have transports.
const USERS_MAX: usize = 4;

/// What a client's fragment says. Its candidates are not kept: a server with ICE-lite finds clients by their own checks.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Fragment {
    /// ICE users, each with its password, where they are different ones.
    users: Vec<(String, String)>,
}

/// The reason why a text is no fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FragmentError {
    #[error("line {0} of the fragment is neither an attribute (a=) nor a media line (m=)")]
    Line(usize),
    #[error("the fragment has an ice-ufrag without an ice-pwd, or the other way round")]
    Half,
    #[error("the fragment has more ICE users than a connection has transports")]
    TooManyUsers,
}

/// What a fragment is sent for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wish<'a> {
    /// To announce candidates.
    Trickle,
    /// To restart ICE with these credentials.
    Restart { ufrag: &'a str, pwd: &'a str },
    /// To restart the ICE of several transports.
    RestartSeveral,
}

impl Fragment {
    /// Reads a fragment of any length. Attributes that are not known are ignored.
    pub fn read(text: &str) -> Result<Fragment, FragmentError> {
        let mut fragment = Fragment::default();
        let mut level = Level::default();
        for (number, line) in (1..).zip(text.lines()) {
            match line.split_once('=') {
                Some(("a", attribute)) => level.take(attribute),
                Some(("m", _)) => fragment.add(std::mem::take(&mut level))?,
                None if line.is_empty() => {}
                _ => return Err(FragmentError::Line(number)),
            }
        }
        fragment.add(level)?;
        Ok(fragment)
    }

    /// Adds the ICE user of the session, or of one section.
    fn add(&mut self, level: Level<'_>) -> Result<(), FragmentError> {
        let (ufrag, pwd) = match (level.ufrag, level.pwd) {
            (None, None) => return Ok(()),
            (Some(ufrag), Some(pwd)) => (ufrag, pwd),
            _ => return Err(FragmentError::Half),
        };
        if self.users.iter().any(|known| known.0 == ufrag && known.1 == pwd) {
            return Ok(());
        }
        if self.users.len() == USERS_MAX {
            return Err(FragmentError::TooManyUsers);
        }
        self.users.push((ufrag.to_owned(), pwd.to_owned()));
        Ok(())
    }

    /// What it is sent for, by a client that has offered this connection. An ICE user that the offer does not have restarts ICE
    /// (RFC 9725 §4.3.3).
    pub(crate) fn wish(&self, offered: &Description) -> Wish<'_> {
        if self.users.iter().all(|(ufrag, _)| offered.has_ufrag(ufrag)) {
            return Wish::Trickle;
        }
        match self.users.as_slice() {
            [(ufrag, pwd)] => Wish::Restart { ufrag, pwd },
            _ => Wish::RestartSeveral,
        }
    }
}

/// The ICE user and password of the session, or of one section.
#[derive(Default)]
struct Level<'a> {
    ufrag: Option<&'a str>,
    pwd: Option<&'a str>,
}

impl<'a> Level<'a> {
    fn take(&mut self, attribute: &'a str) {
        match attribute.split_once(':') {
            Some(("ice-ufrag", value)) => self.ufrag = self.ufrag.or(Some(value.trim())),
            Some(("ice-pwd", value)) => self.pwd = self.pwd.or(Some(value.trim())),
            _ => {}
        }
    }
}

/// Attributes of the session, and of a section, that a fragment repeats of an answer.
const OF_SESSION: [&str; 3] = ["ice-lite", "ice-options", "group"];
const OF_SECTION: [&str; 5] = ["mid", "ice-ufrag", "ice-pwd", "candidate", "end-of-candidates"];

/// The fragment about our ICE, of an answer of this server: that of the section that has the candidates, which stands for its
/// whole BUNDLE group (RFC 8840 §4.4).
pub(crate) fn fragment_of(answer: &str) -> String {
    let mut fragment = String::new();
    let mut section = String::new();
    let mut has_candidates = false;
    let mut is_of_session = true;
    for line in answer.lines() {
        let (kind, value) = line.split_once('=').unwrap_or_default();
        let name = value.split(':').next().unwrap_or_default();
        match kind {
            "m" if has_candidates => break,
            "m" => {
                is_of_session = false;
                section = format!("{line}\r\n");
            }
            "a" if is_of_session && OF_SESSION.contains(&name) => push(&mut fragment, line),
            "a" if !is_of_session && OF_SECTION.contains(&name) => {
                has_candidates |= name == "candidate";
                push(&mut section, line);
            }
            _ => {}
        }
    }
    fragment + &section
}

fn push(text: &mut String, line: &str) {
    text.push_str(line);
    text.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\n\
        a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n";

    /// The example of RFC 9725 §4.3.2.
    const TRICKLE: &str = "a=group:BUNDLE 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=ice-ufrag:EsAw\r\n\
        a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n\
        a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw network-id 1\r\n\
        a=end-of-candidates\r\n";

    fn wish(text: &str) -> String {
        let fragment = Fragment::read(text).unwrap();
        format!("{:?}", fragment.wish(&Description::read(OFFER)))
    }

    #[test]
    fn the_ice_user_of_the_offer_announces_candidates_and_another_one_restarts_ice() {
        assert_eq!(wish(TRICKLE), "Trickle");
        assert_eq!(
            wish("a=candidate:1 1 udp 1 192.0.2.1 9 typ host\n"),
            "Trickle",
            "some clients name no user"
        );
        assert_eq!(wish(""), "Trickle");
        let restart = TRICKLE.replace("EsAw", "ysXw");
        assert_eq!(
            wish(&restart),
            r#"Restart { ufrag: "ysXw", pwd: "P2uYro0UCOQ4zxjKXaWCBui1" }"#
        );
        let at_session = "a=ice-ufrag:ysXw\r\na=ice-pwd:vw5LmwG4y/e6dPP/zAP9Gp5k\r\nm=audio 9 RTP 0\r\na=mid:0\r\n";
        assert_eq!(
            wish(at_session),
            r#"Restart { ufrag: "ysXw", pwd: "vw5LmwG4y/e6dPP/zAP9Gp5k" }"#
        );
        let several = format!("{restart}{}", TRICKLE.replace("EsAw", "another"));
        assert_eq!(wish(&several), "RestartSeveral");
    }

    #[test]
    fn what_is_no_fragment_is_refused_with_the_line() {
        for (text, error) in [
            ("nonsense", FragmentError::Line(1)),
            ("a=mid:0\r\nv=0\r\n", FragmentError::Line(2)),
            ("{\"candidate\":\"\"}", FragmentError::Line(1)),
            ("a=ice-ufrag:abcd\r\n", FragmentError::Half),
            (
                "a=ice-ufrag:abcd\r\nm=audio 9 RTP 0\r\na=ice-pwd:x\r\n",
                FragmentError::Half,
            ),
        ] {
            assert_eq!(Fragment::read(text), Err(error), "{text}");
        }
        let users: String = (0..5)
            .map(|user| format!("m=x\na=ice-ufrag:{user}\na=ice-pwd:{user}\n"))
            .collect();
        assert_eq!(Fragment::read(&users), Err(FragmentError::TooManyUsers));
    }

    #[test]
    fn our_fragment_has_what_the_answer_says_about_ice_and_nothing_else() {
        let answer = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 1 2\r\na=ice-lite\r\n\
            a=ice-options:ice2 trickle\r\na=msid-semantic:WMS *\r\n\
            m=audio 0 UDP/TLS/RTP/SAVPF 0\r\na=ice-ufrag:ours\r\na=ice-pwd:secret\r\na=mid:0\r\na=inactive\r\n\
            m=video 8800 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 127.0.0.1\r\na=candidate:1 1 udp 1 127.0.0.1 8800 typ host\r\n\
            a=end-of-candidates\r\na=ice-ufrag:ours\r\na=ice-pwd:secret\r\na=fingerprint:sha-256 AA\r\na=mid:1\r\n\
            m=audio 8800 UDP/TLS/RTP/SAVPF 111\r\na=ice-ufrag:ours\r\na=ice-pwd:secret\r\na=mid:2\r\n";
        let expected = "a=group:BUNDLE 1 2\r\na=ice-lite\r\na=ice-options:ice2 trickle\r\n\
            m=video 8800 UDP/TLS/RTP/SAVPF 96\r\na=candidate:1 1 udp 1 127.0.0.1 8800 typ host\r\n\
            a=end-of-candidates\r\na=ice-ufrag:ours\r\na=ice-pwd:secret\r\na=mid:1\r\n";
        assert_eq!(fragment_of(answer), expected);
        assert!(Fragment::read(expected).is_ok(), "it can be read as it is written");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC*", lines in "([am]=[a-z:-]{0,12}\r?\n?){0,40}") {
            let offered = Description::read(OFFER);
            for text in [text, lines] {
                if let Ok(fragment) = Fragment::read(&text) {
                    prop_assert!(fragment.users.len() <= USERS_MAX);
                    fragment.wish(&offered);
                }
                fragment_of(&text);
            }
        }
    }
}
