//! Things that the test binaries share: the real program as a process of its own, in a directory of
//! its own.

pub mod process;
pub mod server;
