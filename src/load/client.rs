//! One connection of the tester, with its media in both directions. Pure, except that a given function sends.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

use super::connection::{Connection, Input};
use super::error::LoadError;
use super::reception::Reception;
use super::sdp::Terms;
use super::shared::{Arrival, REPORTER, STREAMS_MAX, Shared, counts, media, open};
use super::source::{PacketInFrame, Source};
use super::watching::Watching;
use crate::media::peer::srtp::Profile;
use crate::media::rtcp::{self, Block, Packet, SenderInfo};
use crate::media::rtp::Header;

/// Time between two reports of each end (libwebrtc: once a second for video).
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// Bytes of the longest packet with the padding bit that may be nothing but padding: at most 255 bytes of padding (RFC
/// 3550 §5.1), and header and tag below 64.
const MAX_PADDING_PACKET: usize = 255 + 64;

pub enum Heard {
    Nothing,
    Connected,
}

pub struct Client {
    pub participant: usize,
    /// Publishers whose tracks arrive on this connection.
    pub watches: Vec<usize>,
    /// The sources that this connection sends, as indices of the tester's sources.
    pub(crate) sources: Range<usize>,
    pub(crate) receptions: Vec<Reception>,
    /// The first packet that counts here, for each source of the tester.
    pub since: Vec<u64>,
    came_late: bool,
    pub(super) connection: Connection,
    /// What a subscriber behind a link has besides; `None` without a link, and where nothing is received.
    pub(super) watching: Option<Box<Watching>>,
    /// RTCP that is ready to be sent.
    pub(super) answers: Vec<Vec<u8>>,
    transport_sequence: u16,
    next_report: Instant,
    report: Vec<u8>,
    last_hit: usize,
}

impl Client {
    pub fn new(
        participant: usize,
        connection: Connection,
        watches: Vec<usize>,
        sources: Range<usize>,
        came_late: bool,
    ) -> Client {
        let next_report = connection.started();
        Client {
            participant,
            watches,
            sources,
            receptions: Vec::new(),
            since: Vec::new(),
            came_late,
            connection,
            watching: None,
            answers: Vec::new(),
            transport_sequence: 0,
            next_report,
            report: Vec::new(),
            last_hit: 0,
        }
    }

    pub fn is_connected(&self) -> bool {
        self.connection.is_connected()
    }

    pub fn profile(&self) -> Option<Profile> {
        self.connection.profile()
    }

    pub fn address(&self) -> SocketAddr {
        self.connection.address()
    }

    pub fn received(&self) -> u64 {
        self.receptions.iter().map(|reception| reception.counts.delivered).sum()
    }

    /// Makes this a subscriber behind a link.
    pub(crate) fn watch_through_link(&mut self, now: Instant) {
        self.watching = Some(Box::new(Watching::new(now)));
    }

    /// Begins the measurement: packets sent from now on count.
    pub fn begin(&mut self, now: Instant, sources: &[Source]) {
        if let Some(watching) = &mut self.watching {
            watching.begin(now);
        }
        self.since = sources.iter().map(|source| source.sent).collect();
        for reception in &mut self.receptions {
            reception.begin();
        }
    }

    /// Ends the measurement.
    pub(crate) fn end(&mut self, now: Instant) {
        if let Some(watching) = &mut self.watching {
            watching.end(now);
        }
    }

    /// Takes in what a description says about the packets that are received.
    pub(crate) fn learn(&mut self, terms: &Terms) {
        if let Some(watching) = &mut self.watching {
            watching.learn(terms);
        }
    }

    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), LoadError> {
        self.connection.handle_timeout(now)
    }

    pub(crate) fn take_outgoing(&mut self) -> Vec<Vec<u8>> {
        let mut outgoing = self.connection.take_outgoing();
        outgoing.append(&mut self.answers);
        outgoing
    }

    pub fn close(&mut self, now: Instant) {
        self.connection.close(now);
    }

    /// Whether this connection began when others were being counted already.
    pub(crate) fn came_late(&self) -> bool {
        self.came_late
    }

    /// Processes one datagram.
    pub(crate) fn receive(
        &mut self,
        now: Instant,
        arrival: Arrival,
        datagram: &mut [u8],
        shared: &mut Shared,
    ) -> Result<Heard, LoadError> {
        match self.connection.receive(now, datagram)? {
            Input::Nothing => Ok(Heard::Nothing),
            Input::Connected => Ok(Heard::Connected),
            Input::Closed => Err(LoadError::MediaEnded(self.connection.address())),
            Input::Rtcp => {
                self.receive_rtcp(arrival.at, datagram, &mut shared.sources);
                Ok(Heard::Nothing)
            }
            Input::Rtp => {
                match self.watching {
                    None => self.receive_rtp(now, arrival.wall_us, datagram, shared),
                    Some(_) => self.receive_through_link(arrival, datagram, shared),
                };
                Ok(Heard::Nothing)
            }
        }
    }

    /// Processes the server's requests to a publisher: key frames. A subscriber behind a link takes in sender reports.
    fn receive_rtcp(&mut self, at: Instant, datagram: &mut [u8], sources: &mut [Source]) {
        let Some(inbound) = &mut self.connection.inbound else {
            return;
        };
        let Ok(len) = inbound.open_rtcp(datagram) else { return };
        let mut wanted = |ssrc: u32| {
            let own = &mut sources[self.sources.clone()];
            if let Some(source) = own.iter_mut().find(|source| source.encoding.ssrc == ssrc) {
                source.want_key_frame();
            }
        };
        for packet in rtcp::packets(&datagram[..len]) {
            match packet {
                Packet::Pli { media_ssrc } => wanted(media_ssrc),
                Packet::Fir { entries } => rtcp::fir_ssrcs(entries).for_each(&mut wanted),
                Packet::SenderReport { ssrc, ntp, .. } => {
                    if let Some(watching) = &mut self.watching {
                        watching.reported(at, &self.receptions, ssrc, ntp);
                    }
                }
                _ => {}
            }
        }
    }

    fn receive_rtp(&mut self, now: Instant, arrived_us: u64, datagram: &mut [u8], shared: &mut Shared) -> Option<()> {
        let Shared {
            sources,
            totals,
            verify_every,
        } = shared;
        let header = Header::parse(datagram)?;
        let known = self.find(header.ssrc);
        let inbound = self.connection.inbound.as_mut()?;
        let at = match known {
            Some(at) => at,
            None => {
                // Probes and padding have SSRCs of their own: only a packet with a mark begins a stream of media.
                let len = inbound.open_rtp(datagram, &header).ok()?;
                let (_, mark, _) = media(datagram[..len].get(header.payload(&datagram[..len])?)?)?;
                if self.receptions.len() >= STREAMS_MAX {
                    return None;
                }
                let mut reception = Reception::new(now, header.ssrc, header.sequence);
                let extended = reception.received(now, header.sequence)?;
                reception.opened(extended, &mark);
                reception.deliver(datagram.len());
                self.receptions.push(reception);
                totals.arrived(arrived_us, Some(mark.sent_us as u32));
                return Some(());
            }
        };
        let bytes = datagram.len();
        let reception = &mut self.receptions[at];
        let may_be_padding = header.padding && bytes <= MAX_PADDING_PACKET;
        // Numbers close up over what was left out, so that only its mark tells which packet this is.
        let of_some = is_of_some(reception, sources);
        let verified = may_be_padding || of_some || u64::from(header.sequence).is_multiple_of(*verify_every);
        if !verified {
            let extended = reception.received(now, header.sequence)?;
            let (source, number) = reception.number(extended)?;
            if counts(&self.since, source, number) {
                reception.deliver(bytes);
                totals.arrived(arrived_us, sources.get(source as usize)?.sent_us(number));
            }
            return Some(());
        }
        let len = open(inbound, datagram, &header, &mut reception.counts)?;
        let extended = reception.received(now, header.sequence)?;
        if header.padding
            && header
                .payload(&datagram[..len])
                .is_none_or(|payload| payload.is_empty())
        {
            reception.filled();
            return None;
        }
        reception.counts.compared += 1;
        let payload = header.payload(&datagram[..len]).and_then(|range| datagram.get(range));
        let Some((_, mark, intact)) = payload.and_then(media) else {
            reception.counts.corrupt += 1;
            return None;
        };
        let sent_us = sources
            .get(mark.source as usize)
            .and_then(|source| source.sent_us(mark.number));
        let expected = match of_some {
            true => !reception.is_newest(extended) || reception.opened_of_some(extended, &mark),
            false => reception.opened(extended, &mark),
        };
        if !intact || !expected || sent_us != Some(mark.sent_us as u32) {
            reception.counts.corrupt += 1;
        }
        if counts(&self.since, mark.source, mark.number) {
            reception.deliver(bytes);
            totals.arrived(arrived_us, sent_us);
        }
        Some(())
    }

    fn find(&mut self, ssrc: u32) -> Option<usize> {
        // Packets of one stream arrive one after another.
        if self
            .receptions
            .get(self.last_hit)
            .is_some_and(|reception| reception.ssrc == ssrc)
        {
            return Some(self.last_hit);
        }
        let found = self.receptions.iter().position(|reception| reception.ssrc == ssrc)?;
        self.last_hit = found;
        Some(found)
    }

    /// Sends the frame of `source` that is due. Sends nothing before the connection is up.
    pub(crate) fn send_frame(
        &mut self,
        now: Instant,
        source: &mut Source,
        out: &mut [u8],
        wall_us: impl Fn() -> u64,
        mut send: impl FnMut(&[u8]),
    ) {
        let Some(outbound) = &self.connection.outbound else {
            return;
        };
        if !source.is_wanted() {
            source.pass(now);
            return;
        }
        let tag = outbound.profile().tag_len();
        let (sizes, key_frame) = source.frame(now);
        for (nth, &payload_len) in sizes.iter().enumerate() {
            let place = PacketInFrame {
                payload_len,
                is_first: nth == 0,
                is_last: nth + 1 == sizes.len(),
                key_frame,
            };
            self.transport_sequence = self.transport_sequence.wrapping_add(1);
            let written = source.packet(out, place, wall_us(), self.transport_sequence);
            let packet = &mut out[..written.len + tag];
            outbound.seal_rtp(packet, written.header_len, source.encoding.ssrc, written.index);
            send(packet);
        }
    }

    /// The sealed report, if one is due.
    pub fn reports(&mut self, now: Instant, wall_us: u64, sources: &[Source]) -> Option<&[u8]> {
        if now < self.next_report {
            return None;
        }
        let outbound = self.connection.outbound.as_mut()?;
        self.next_report = now + REPORT_INTERVAL;
        self.report.clear();
        for source in &sources[self.sources.clone()] {
            let info = SenderInfo {
                ssrc: source.encoding.ssrc,
                ntp: ntp(wall_us),
                rtp: source.timestamp,
                packets: source.sent as u32,
                octets: source.octets as u32,
            };
            rtcp::write_sender_report(&mut self.report, &info, "load");
        }
        if self.sources.is_empty() {
            // A full report has 31 streams.
            let blocks: Vec<Block> = match &mut self.watching {
                Some(watching) => watching.blocks(now, &self.receptions),
                None => self.receptions.iter().map(Reception::block).collect(),
            };
            let blocks = &blocks[..blocks.len().min(31)];
            rtcp::write_receiver_report(&mut self.report, REPORTER, blocks);
        }
        outbound.seal_rtcp(&mut self.report);
        Some(&self.report)
    }
}

/// Whether a server may leave out parts of what a stream brings.
fn is_of_some(reception: &Reception, sources: &[Source]) -> bool {
    let source = reception.source().and_then(|source| sources.get(source as usize));
    source.is_some_and(Source::may_be_left_out)
}

/// The NTP time: 32.32 fixed point seconds since 1900 (RFC 5905 §6), from microseconds since 1970.
fn ntp(wall_us: u64) -> u64 {
    const SECONDS_FROM_1900: u64 = 2_208_988_800;
    let (seconds, micros) = (wall_us / 1_000_000, wall_us % 1_000_000);
    ((seconds + SECONDS_FROM_1900) << 32) | ((micros << 32) / 1_000_000)
}
