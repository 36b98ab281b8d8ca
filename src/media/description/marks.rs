//! The parts of an offer that tell its connection from another. They are found in any text, even if it cannot be answered.

/// Characters of each mark that count. An ICE user may have 256 (RFC 8839 §5.4), the longest certificate hash has 199.
const MARK_CHARS_MAX: usize = 256;

/// The parts that tell a connection from another. A part that is absent is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    /// User name and session id of the `o=` line (RFC 8866 §5.2).
    pub origin: String,
    /// The first `a=fingerprint`.
    pub certificate: String,
    /// The first `a=ice-ufrag`.
    pub ufrag: String,
}

impl Marks {
    pub(super) fn read(text: &str) -> Marks {
        let first = |prefix: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(prefix));
            value.unwrap_or_default().trim()
        };
        let mut parts = first("o=").split_whitespace();
        let origin = match (parts.next(), parts.next()) {
            (Some(user), Some(session)) => format!("{user} {session}"),
            _ => String::new(),
        };
        Marks {
            origin: cut(&origin),
            certificate: cut(first("a=fingerprint:")).to_ascii_uppercase(),
            ufrag: cut(first("a=ice-ufrag:")),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.origin.len() + self.certificate.len() + self.ufrag.len()
    }
}

fn cut(mark: &str) -> String {
    mark.chars().take(MARK_CHARS_MAX).collect()
}
