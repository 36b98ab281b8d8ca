//! One allocation (RFC 8656 §3.2): its relayed address, until when it lives, and whom its client may reach.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rtc_stun::message::TransactionId;
use smallvec::SmallVec;
use tokio::time::Instant;

use super::framing;
use super::message::Outgoing;
use super::quotas::Seat;
use crate::shares::TokenBucket;

/// The shortest and the longest lifetime (RFC 8656 §3.2: at least 600 s; §7.2: at most an hour is recommended).
const LEAST_LIFETIME_S: u32 = 600;
const MOST_LIFETIME_S: u32 = 3_600;

/// Lifetimes of a permission and of a channel (RFC 8656 §9, §12).
const PERMISSION_FOR: Duration = Duration::from_secs(300);
const CHANNEL_FOR: Duration = Duration::from_secs(600);

/// Permissions and channels of one allocation: a client needs one for each address at which one worker is reached.
const MAX_PERMISSIONS: usize = 32;
const MAX_CHANNELS: usize = 32;

/// Bytes that a client may send through an allocation, at once and each second: four times what a publisher in all layers sends.
const BURST_BYTES: u32 = 1024 * 1024;
const BYTES_PER_S: f64 = 2.0 * 1024.0 * 1024.0;

/// What an allocation's client has beside others'.
pub(super) struct Allocation {
    pub seat: Seat,
    pub relayed: SocketAddr,
    /// The request that has made it: the same request again has the same answer.
    pub made_by: TransactionId,
    pub expires: Instant,
    permissions: SmallVec<[(IpAddr, Instant); 2]>,
    channels: SmallVec<[Channel; 2]>,
    bytes: TokenBucket,
    indications: u32,
}

struct Channel {
    number: u16,
    peer: SocketAddr,
    expires: Instant,
}

/// The reason why a permission or a channel is not made, as the code of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refused(pub u16);

impl Allocation {
    pub fn new(now: Instant, seat: Seat, relayed: SocketAddr, made_by: TransactionId) -> Allocation {
        Allocation {
            seat,
            relayed,
            made_by,
            expires: now,
            permissions: SmallVec::new(),
            channels: SmallVec::new(),
            bytes: TokenBucket::new(BURST_BYTES, BYTES_PER_S, now),
            indications: 0,
        }
    }

    /// Lets it live for as long as its client wishes, within bounds. Returns for how many seconds that is.
    pub fn extend(&mut self, now: Instant, wish_s: Option<u32>) -> u32 {
        let lifetime_s = wish_s.map_or(LEAST_LIFETIME_S, |wish| wish.clamp(LEAST_LIFETIME_S, MOST_LIFETIME_S));
        self.expires = now + Duration::from_secs(lifetime_s.into());
        lifetime_s
    }

    /// Seconds that are left.
    pub fn left_s(&self, now: Instant) -> u32 {
        self.expires.saturating_duration_since(now).as_secs() as u32
    }

    /// Lets packets through to and from this address, at whatever port.
    pub fn permit(&mut self, now: Instant, ip: IpAddr) -> Result<(), Refused> {
        let expires = now + PERMISSION_FOR;
        if let Some(known) = self.permissions.iter_mut().find(|known| known.0 == ip) {
            known.1 = expires;
            return Ok(());
        }
        self.permissions.retain(|known| known.1 > now);
        if self.permissions.len() >= MAX_PERMISSIONS {
            return Err(Refused(508));
        }
        self.permissions.push((ip, expires));
        Ok(())
    }

    /// Whether the client may exchange packets with this address.
    pub fn permits(&self, now: Instant, ip: IpAddr) -> bool {
        self.permissions.iter().any(|known| known.0 == ip && known.1 > now)
    }

    /// Binds a channel to a peer, or confirms that it is. A channel and a peer have one another alone (RFC 8656 §12.2).
    pub fn bind(&mut self, now: Instant, number: u16, peer: SocketAddr) -> Result<(), Refused> {
        self.channels.retain(|channel| channel.expires > now);
        let is_taken = |channel: &Channel| (channel.number == number) != (channel.peer == peer);
        if self.channels.iter().any(is_taken) {
            return Err(Refused(400));
        }
        self.permit(now, peer.ip())?;
        let expires = now + CHANNEL_FOR;
        if let Some(bound) = self.channels.iter_mut().find(|channel| channel.number == number) {
            bound.expires = expires;
        } else if self.channels.len() >= MAX_CHANNELS {
            return Err(Refused(508));
        } else {
            self.channels.push(Channel { number, peer, expires });
        }
        Ok(())
    }

    /// The peer to which a channel is bound.
    pub fn peer_of(&self, now: Instant, number: u16) -> Option<SocketAddr> {
        let mut channels = self.channels.iter();
        let bound = channels.find(|channel| channel.number == number && channel.expires > now)?;
        Some(bound.peer)
    }

    /// Counts a packet of the client. False if it has sent too much.
    pub fn may_send(&mut self, now: Instant, bytes: usize) -> bool {
        self.bytes.take(bytes as u32, now)
    }

    /// Writes a packet from `peer` for the client, behind `out`. False if it is not permitted.
    pub fn deliver(&mut self, now: Instant, peer: SocketAddr, packet: &[u8], out: &mut Vec<u8>) -> bool {
        if !self.permits(now, peer.ip()) {
            return false;
        }
        let is_bound = |channel: &&Channel| channel.peer == peer && channel.expires > now;
        if let Some(channel) = self.channels.iter().find(is_bound) {
            framing::write_packet(channel.number, packet, out);
        } else {
            self.indications = self.indications.wrapping_add(1);
            out.extend_from_slice(&Outgoing::data(self.indications, peer, packet).into_bytes());
        }
        true
    }
}
