//! What several families say in the same words.

use serde_json::Value;

use crate::domain::{MediaKind, MediaState};

/// Whether a client says with its first message that it understands what only this server says.
pub fn takes_notices(message: &Value) -> bool {
    message.get("notices") == Some(&Value::Bool(true))
}

/// How the families call it.
pub fn media_word(media: MediaState) -> &'static str {
    match media {
        MediaState::Lost => "lost",
        MediaState::Back => "back",
    }
}

/// How the families call it.
pub fn kind_word(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Audio => "audio",
        MediaKind::Video => "video",
    }
}
