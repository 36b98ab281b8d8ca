//! The sending half of a connection: it seals the packets, and remembers those that were sent.
//!
//! If a client has negotiated transport-wide sequence numbers (draft-holmer-rmcat-transport-wide-cc-extensions-01), each RTP
//! packet of the connection, of any stream, may have the next number. The client's feedback then says which numbers came, and
//! when. For that, the time and size of the newest packets are kept by number. Code that divides a connection's bandwidth among
//! its streams reads them, and switches the numbers on ([`Sender::number_packets`]). Today there is no such code, and no packet
//! has a number: numbers would cost bytes in every packet, and feedback that nobody reads.

use std::time::{Duration, Instant};

use super::ice::Path;
use super::srtp::Outbound;
use crate::media::bandwidth::outgoing::Outcome;
use crate::media::egress::{Egress, MAX_PACKET};

/// Packets that are remembered: 400 ms of twenty videos at 2.5 Mb/s. Feedback comes each 100 ms at the latest and takes half a
/// round trip.
const REMEMBERED: u64 = 2_048;

pub struct Sender {
    pub outbound: Outbound,
    /// The packets that were sent. `None` while packets are not numbered.
    sent: Option<Box<Sent>>,
}

impl Sender {
    pub fn new(outbound: Outbound) -> Sender {
        Sender { outbound, sent: None }
    }

    /// Numbers packets from now on, in streams whose clients read the numbers.
    pub(crate) fn number_packets(&mut self, now: Instant) {
        self.sent.get_or_insert_with(|| Box::new(Sent::new(now)));
    }

    /// What is known of the path. `None` where nothing is.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        None
    }

    /// Is told what all subscriptions of the connection would take if the path carried everything.
    pub(crate) fn demand(&mut self, _now: Instant, _bits_per_second: u64) {}

    /// The transport-wide number of the next packet. `None` while packets are not numbered.
    pub fn next_number(&self) -> Option<u16> {
        self.sent.as_ref().map(|sent| sent.count as u16)
    }

    /// The time at which the packet with this number was sent, and its bytes. `None` if it is forgotten or was never sent.
    pub fn sent(&self, number: u16) -> Option<(Instant, usize)> {
        self.sent.as_ref()?.get(number)
    }
}

/// The way for the packets of one connection.
pub struct Sink<'a> {
    pub sender: &'a mut Sender,
    pub path: Path,
    pub egress: &'a mut Egress,
}

impl Sink<'_> {
    /// Room for one packet. `None` if the buffer is full: the packet is lost, as if the network had dropped it, and counted.
    pub fn room(&mut self) -> Option<(&mut [u8; MAX_PACKET], &Sender)> {
        Some((self.egress.room()?, &*self.sender))
    }

    /// Adds the first `len` bytes of the room as a packet. If it is `numbered`, it has the sender's next number.
    pub(crate) fn commit(&mut self, now: Instant, len: usize, numbered: bool) {
        self.egress.commit(self.path, len);
        if let Some(sent) = self.sender.sent.as_mut().filter(|_| numbered) {
            sent.push(now, len);
        }
    }
}

/// The newest packets by their numbers. The memory is allocated once: 16 KiB.
struct Sent {
    since: Instant,
    /// Number of packets that have had a number. It is the next packet's number, counted on over the turns.
    count: u64,
    packets: [Packet; REMEMBERED as usize],
}

/// Microseconds since the numbering began, 48 bits, and below them bytes, 16 bits.
#[derive(Clone, Copy, Default)]
struct Packet(u64);

impl Sent {
    fn new(now: Instant) -> Sent {
        Sent {
            since: now,
            count: 0,
            packets: [Packet::default(); REMEMBERED as usize],
        }
    }

    fn push(&mut self, now: Instant, len: usize) {
        let micros = now.saturating_duration_since(self.since).as_micros() as u64;
        // No packet is longer than `MAX_PACKET`, an Ethernet frame and some bytes.
        self.packets[(self.count % REMEMBERED) as usize] = Packet(micros << 16 | len as u64 & 0xffff);
        self.count += 1;
    }

    fn get(&self, number: u16) -> Option<(Instant, usize)> {
        let behind = u64::from((self.count as u16).wrapping_sub(number));
        if !(1..=REMEMBERED.min(self.count)).contains(&behind) {
            return None;
        }
        let Packet(packet) = self.packets[((self.count - behind) % REMEMBERED) as usize];
        let sent_at = self.since + Duration::from_micros(packet >> 16);
        Some((sent_at, (packet & 0xffff) as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::virtual_time::epoch;

    #[test]
    fn a_packet_is_found_by_its_number_until_so_many_newer_ones_were_sent() {
        let mut sent = Sent::new(epoch());
        assert_eq!(sent.get(0), None);
        assert_eq!(sent.get(u16::MAX), None);
        let at = |number: u64| epoch() + Duration::from_micros(400 * number);
        for number in 0..150_000_u64 {
            sent.push(at(number), 100 + (number % 1_300) as usize);
            let first = (number + 1).saturating_sub(REMEMBERED);
            for known in [number, number.saturating_sub(700).max(first), first] {
                assert_eq!(
                    sent.get(known as u16),
                    Some((at(known), 100 + (known % 1_300) as usize)),
                    "{known} of {number}"
                );
            }
            assert_eq!(sent.get((number + 1) as u16), None, "not sent yet");
            if let Some(forgotten) = first.checked_sub(1) {
                assert_eq!(sent.get(forgotten as u16), None, "{forgotten} of {number}");
            }
        }
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        assert!(size_of::<Sent>() <= 16 * 1_024 + 32);
        assert!(size_of::<Sender>() <= size_of::<Outbound>() + 8);
    }
}
