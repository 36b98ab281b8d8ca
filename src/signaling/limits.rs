//! How much a client may say, for all families. The limits of names and passwords are in [`crate::text`], because accounts and
//! records have the same.

use crate::text::TextLimit;

/// Bytes of one WebSocket message. An offer of [`SDP_BYTES_MAX`] fits, with every byte escaped as `\n` is, and some space is
/// left. Browsers offer 3 to 10 KB. A larger limit only costs memory: each connection may hold this much.
pub(crate) const FRAME_BYTES_MAX: usize = 256 * 1024;

/// Bytes of one WebSocket message of the families without offers, whose messages have a few hundred bytes.
pub(crate) const SMALL_FRAME_BYTES_MAX: usize = 64 * 1024;

/// Bytes of an offer: several times what a browser makes of a connection with every codec that it has.
pub(crate) const SDP_BYTES_MAX: usize = 64 * 1024;

/// Objects and arrays within one another. Messages need three; the parser's own stack would bear 128.
pub(crate) const JSON_DEPTH_MAX: usize = 16;

/// One chat text, some 2,500 words. Everybody in the room gets a copy.
pub(crate) const TEXT: TextLimit = TextLimit::characters(16 * 1024);

/// A file's name as the client calls it: the length that file systems allow.
pub(crate) const FILE_NAME: TextLimit = TextLimit::characters(255);

/// Bytes of a file's address: the length that browsers and proxies agree to carry, who count bytes.
pub(crate) const FILE_URL_BYTES_MAX: usize = 2 * 1024;
