//! How much of what a client may say, for all families. Names and passwords have their limits in [`crate::text`], for
//! accounts and records have the same.

use crate::text::TextLimit;

/// One WebSocket message. An offer of [`SDP_BYTES_MAX`] fits with every byte escaped as `\n` is and some; browsers
/// offer 3 to 10 KB. Larger only costs memory, of which each connection may hold this much.
pub const FRAME_BYTES_MAX: usize = 256 * 1024;

/// One WebSocket message of the families without offers, whose messages have a few hundred bytes.
pub const SMALL_FRAME_BYTES_MAX: usize = 64 * 1024;

/// An offer: several times what a browser makes of a connection with every codec it has.
pub const SDP_BYTES_MAX: usize = 64 * 1024;

/// Objects and arrays within one another. Messages need three; the parser's own stack would bear 128.
pub const JSON_DEPTH_MAX: usize = 16;

/// One chat text, some 2,500 words: everybody in the room gets a copy.
pub const TEXT: TextLimit = TextLimit::characters(16 * 1024);

/// A file's name as the client calls it; what file systems allow.
pub const FILE_NAME: TextLimit = TextLimit::characters(255);

/// A file's address; what browsers and proxies agree to carry, who count bytes.
pub const FILE_URL_BYTES_MAX: usize = 2 * 1024;
