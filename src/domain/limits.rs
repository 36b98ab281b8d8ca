//! The limits of what one node holds.

use std::time::Duration;

use crate::shares::Share;

/// How much one node holds, and how long it waits.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Rooms at once. A room lives only while somebody is in it, so this limit is reached before the limit on sessions only
    /// where most people sit alone. A larger number would let one client with many sockets spread over every worker.
    pub rooms: usize,
    /// Participants of one room. Each is sent the arrival of every other: a full room that reconnects at once makes the square
    /// of this number in messages.
    pub participants_per_room: usize,
    /// Participants of one room whom nobody sees. Each receives one person, so what they cost grows with their number alone.
    pub viewers_per_room: usize,
    /// People who wait to be let into one room. All who see its meeting are sent each of them. Nobody reads a longer list; with a
    /// shorter one, a class that comes before its teacher would have to come again.
    pub waiting_per_room: usize,
    /// Connections of one participant: one to publish, and one for each participant that they watch. Browsers refuse more than
    /// 500 connections a page, and no page shows 200 people.
    pub peers_per_participant: usize,
    /// Connections of all participants. Each may cost 64 KiB in the media engine, so this many stay below 1.3 GB.
    pub peers: usize,
    /// Connections whose offers have been answered and that have not connected yet: as many as forty pages make that join full
    /// rooms at once. A larger number would let somebody who never connects take the places of others. With a smaller one, the
    /// pages of a server that has just been restarted would have to try again.
    pub unconnected_peers: usize,
    /// Percentage of all rooms, calls and connections that the sessions of one client address may have; see [`Share::percent`].
    pub address_share_percent: u8,
    /// Calls at once. Each that rings keeps the caller's offer, of up to 64 KiB: 256 MB at the worst.
    pub calls: usize,
    /// Calls that ring at one address at once; the next caller finds the address busy. Nobody answers more, and each call makes
    /// a message to every session there.
    pub calls_per_address: usize,
    /// Calls that ring at one address and come from one client address. A larger number would let one client keep somebody busy
    /// for everybody else.
    pub calls_per_address_from_one: usize,
    /// Addresses at which one call rings: those of sixteen people with three devices each. Each may have many sessions, and somebody
    /// who calls more people wants a room.
    pub callees_per_call: usize,
    /// Sessions at one address that can be sent the same events, and push targets there: somebody's devices and open pages. A
    /// larger number would multiply every message.
    pub sessions_per_address: usize,
    /// Push targets of all addresses, of half a KiB each: 10 MB at the worst.
    pub push_targets: usize,
    /// Time for which push targets are kept that are not set again. Apps set theirs whenever they start, and services that carry notices
    /// call a target stale that has not been renewed for a month. Shorter would not reach who opens the app rarely; longer would
    /// keep the places of devices that nobody has any more.
    pub push_targets_last: Duration,
    /// Time that a call rings. A shorter one misses people who are in the next room, a longer one keeps callers waiting for
    /// nobody.
    pub ring_for: Duration,
    /// Time that a call waits for the new session of somebody who reconnects ([`Newcomer::Inherits`]). A page that loads
    /// another takes a second or two; the other side must hear of a sudden loss within ten.
    pub reconnect_within: Duration,
    /// Time that a call goes on whose two parties met in a room of their own and have both left it. A page that is loaded again
    /// is back in seconds, on a slow link in ten. A longer time keeps two people busy who have forgotten to hang up.
    pub room_empty_for: Duration,
    /// Time after the acceptance of a call within which somebody has to enter the room where its two parties are to meet. After
    /// it the call no longer keeps them busy. Pages load in seconds; people who first have to allow the camera take longer.
    pub room_entered_within: Duration,
    /// Time after the end of a call within which a message may arrive that was sent before the end. A socket that stays silent
    /// is closed after 25 s, and what was on its way is lost with it. A longer time would keep clients that name an older room
    /// out of habit from hanging up.
    pub late_within: Duration,
    /// Time that somebody's media may be missing before the others are sent [`MediaState::Lost`], as while a page replaces its
    /// first connection by another. A shorter time announces what is over by the time that it is read; a longer one leaves
    /// people with a picture that stands still.
    pub media_gap: Duration,
    /// Whether a room of two is only for people who have proven who they are, and for the two parties of a call who meet there.
    pub proof_required: bool,
}

/// [`Limits::sessions_per_address`] of every server.
pub const SESSIONS_PER_ADDRESS: usize = 16;

impl Default for Limits {
    fn default() -> Self {
        Self {
            rooms: 2_000,
            participants_per_room: 100,
            viewers_per_room: 100,
            waiting_per_room: 100,
            peers_per_participant: 200,
            peers: 20_000,
            unconnected_peers: 4_000,
            address_share_percent: 25,
            calls: 4_000,
            calls_per_address: 16,
            calls_per_address_from_one: 4,
            callees_per_call: 64,
            sessions_per_address: SESSIONS_PER_ADDRESS,
            push_targets: 20_000,
            push_targets_last: Duration::from_secs(30 * 24 * 3_600),
            ring_for: Duration::from_secs(60),
            reconnect_within: Duration::from_secs(5),
            room_empty_for: Duration::from_secs(15),
            room_entered_within: Duration::from_secs(60),
            late_within: Duration::from_secs(30),
            media_gap: Duration::from_secs(5),
            proof_required: false,
        }
    }
}

impl Limits {
    pub(super) fn share(&self, at_least: u64) -> Share {
        Share {
            percent: self.address_share_percent,
            at_least,
        }
    }
}
