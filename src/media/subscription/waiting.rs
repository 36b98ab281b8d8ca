//! Which packets of a copy wait until the path has room for them, and how large its newest frame is.

#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// The first number that waits. All after it wait too.
    pub first: Option<u64>,
    /// The newest frame: its timestamp, and its bytes so far.
    timestamp: u32,
    bytes: u32,
}

impl Waiting {
    /// Counts a packet of a frame. Returns the frame's bytes so far.
    pub fn measure(&mut self, timestamp: u32, bytes: usize) -> u32 {
        let before = if timestamp == self.timestamp { self.bytes } else { 0 };
        (self.timestamp, self.bytes) = (timestamp, before.saturating_add(bytes as u32));
        self.bytes
    }

    /// Whether a number waits, and is not to be sent before its turn.
    pub fn holds(&self, sequence: u64) -> bool {
        self.first.is_some_and(|first| sequence >= first)
    }

    /// Forgets what waits.
    pub fn forget(&mut self) {
        self.first = None;
    }
}
