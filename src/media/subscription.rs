//! One subscriber's copy of one track: choose → rewrite → protect.

use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::codec::{Codec, Kind, decoding, red, vp8};
use super::egress::Egress;
use super::keys::{PeerKey, TrackKey};
use super::names::{Down, TrackRef};
use super::packet::Arrival;
use super::peer::ice::Path;
use super::peer::srtp::Outbound;
use super::pictures::Entry;
use super::rewrite::{Incoming, Rewriter, Rewritten, SourceId};
use super::rtcp::{Block, SenderInfo};
use super::rtp::{Extension, Header, MAX_EXTENSION_ID, NewHeader, write_header};
use super::session::{MediaSection, NegotiatedCodec};
use super::track::{Layer, Track};

/// No payload type: RTP has 0 to 127.
const NONE: u8 = 0xff;

/// Packets sent again to one subscription within [`RESEND_WINDOW`]: a burst loss of a whole key frame (some 60 packets)
/// twice over. More would let NACKs multiply what a subscriber costs.
const MAX_RESENDS: u16 = 128;
const RESEND_WINDOW: Duration = Duration::from_millis(200);

/// How the subscriber's last report described what it gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quality {
    pub fraction_lost: u8,
    pub round_trip: Option<Duration>,
}

pub struct Subscription {
    pub peer: PeerKey,
    pub kind: Kind,
    /// What its section carries; `None` while that is on hold.
    pub down: Option<Down>,
    /// The track that is to be copied: of its section, or the one that its slot was filled with last. `None` for an empty slot.
    source: Option<TrackRef>,
    pub ssrc: u32,
    pub rtx_ssrc: u32,
    pub track: Option<TrackKey>,
    /// The layer to change to at its next key frame; the present one where there is nothing to change.
    pub target: Option<u8>,
    pub quality: Quality,
    pub next_report: Instant,
    codecs: SmallVec<[NegotiatedCodec; 8]>,
    extensions: SmallVec<[(u8, Extension); 8]>,
    mid: SmallVec<[u8; 16]>,
    rewriter: Rewriter,
    /// The parameter sets that were sent last: the decoder has these and no others.
    sets: Option<(SourceId, u32)>,
    /// Publisher's payload type → ours.
    payload_types: [u8; 128],
    /// Publisher's extension id → ours, 0 for none.
    extension_ids: [u8; MAX_EXTENSION_ID as usize + 1],
    mid_id: u8,
    /// What is sent again goes by RTX, under another SRTP index: then a packet may be padded, which without RTX would have
    /// to be remembered for each.
    may_pad: bool,
    rtx_sequence: u64,
    /// Copies up to here were made under other payload types or extension ids: sent again without RTX they would be
    /// different bytes under the same SRTP index, which must never be.
    resend_floor: u64,
    packets: u32,
    octets: u32,
    resends: u16,
    resends_since: Instant,
}

impl Subscription {
    pub fn new(now: Instant, peer: PeerKey, section: &MediaSection) -> Subscription {
        let clock_rate = section.codecs.first().map_or(90_000, |codec| codec.codec.clock_rate());
        // Our SSRCs are random: their bits serve as the random first sequence numbers too.
        let mut subscription = Subscription {
            peer,
            kind: section.kind,
            down: None,
            source: None,
            ssrc: section.local_ssrc,
            rtx_ssrc: section.local_rtx_ssrc,
            track: None,
            target: None,
            quality: Quality::default(),
            next_report: now,
            codecs: SmallVec::new(),
            extensions: SmallVec::new(),
            mid: section.mid.clone(),
            rewriter: Rewriter::new(clock_rate, (section.local_ssrc >> 3) as u16),
            sets: None,
            payload_types: [NONE; 128],
            extension_ids: [0; MAX_EXTENSION_ID as usize + 1],
            mid_id: 0,
            may_pad: false,
            rtx_sequence: u64::from((section.local_rtx_ssrc >> 3) as u16 & 0x7fff),
            resend_floor: 0,
            packets: 0,
            octets: 0,
            resends: 0,
            resends_since: now,
        };
        subscription.renegotiate(section);
        subscription
    }

    /// Takes over what an offer on the live connection changed. Follow with [`Subscription::attach`].
    pub fn renegotiate(&mut self, section: &MediaSection) {
        self.down = section.down;
        match section.down {
            Some(Down::Track(track)) => self.source = Some(track),
            // It keeps what it was filled with.
            Some(Down::Slot(_)) | None => {}
        }
        self.codecs = section.codecs.clone();
        self.extensions = section.extensions.clone();
        self.mid_id = self.id_of(Extension::Mid);
        self.may_pad = self.codecs.iter().all(|codec| codec.rtx_payload_type.is_some());
    }

    /// The slot that this subscription serves now carries `source`, or nothing. Follow with [`Subscription::attach`].
    pub fn fill(&mut self, source: Option<TrackRef>) {
        self.source = source;
    }

    /// The track that is to be copied now.
    pub fn wanted(&self) -> Option<TrackRef> {
        self.down.and(self.source)
    }

    fn id_of(&self, wanted: Extension) -> u8 {
        self.extensions
            .iter()
            .find(|(_, extension)| *extension == wanted)
            .map_or(0, |(id, _)| *id)
    }

    /// From now on this subscription copies `track`. The stream that the subscriber sees goes on.
    pub fn attach(&mut self, key: TrackKey, track: &Track) {
        self.track = Some(key);
        self.target = None;
        self.resend_floor = self.rewriter.highest_sequence();
        self.payload_types = [NONE; 128];
        for published in &track.codecs {
            let best = self
                .codecs
                .iter()
                .filter_map(|ours| {
                    ours.codec
                        .decodes(published.codec)
                        .map(|rank| (rank, ours.payload_type))
                })
                .min();
            if let (Some(entry), Some((_, ours))) =
                (self.payload_types.get_mut(usize::from(published.payload_type)), best)
            {
                *entry = ours;
            }
        }
        self.extension_ids = [0; MAX_EXTENSION_ID as usize + 1];
        for (id, extension) in track.extensions.iter().enumerate() {
            if let Some(extension) = extension.filter(|extension| extension.is_end_to_end()) {
                self.extension_ids[id] = self.id_of(extension);
            }
        }
    }

    pub fn detach(&mut self) {
        self.track = None;
        self.target = None;
    }

    /// What the subscriber has missed is too much to ask for again: it gets the next key frame first.
    pub fn begin_anew(&mut self) {
        self.rewriter.pause();
        // The parameter sets that were sent last may be among what it has missed.
        self.sets = None;
    }

    /// Whether the subscriber gets anything out of packets in this format.
    pub fn carries(&self, published: &NegotiatedCodec) -> bool {
        let ours = self.codecs.iter().map(|codec| codec.codec);
        self.payload_types[usize::from(published.payload_type & 0x7f)] != NONE
            || decoding::best(ours, published.codec).is_some()
    }

    /// Whether a key frame would help: the target layer's stream is not yet the one being forwarded, and nothing says that
    /// the subscriber cannot decode it.
    pub fn waits_for_key_frame(&self, track: &Track) -> bool {
        let target = self.target.and_then(|target| track.layers.get(usize::from(target)));
        target.is_some_and(|layer| self.rewriter.source() != Some(layer.source) && self.may_carry(track, layer))
    }

    /// False where the layer's newest packet is in a format of which the subscriber gets nothing: each key frame in it would
    /// cost everybody else and show nothing.
    pub fn may_carry(&self, track: &Track, layer: &Layer) -> bool {
        track.format(layer).is_none_or(|published| self.carries(published))
    }

    /// The format that is sent now, if the subscriber decodes no layer (one is enough for a picture). If the layers differ, the
    /// first layer's format, so that the answer stays the same.
    pub fn undecodable(&self, now: Instant, track: &Track) -> Option<Codec> {
        let first = track.living(now).next()?;
        let carries_none = track.living(now).all(|layer| !self.may_carry(track, layer));
        track.format(first).filter(|_| carries_none).map(|format| format.codec)
    }

    /// The layer of `track` that is now forwarded.
    pub fn current_layer(&self, track: &Track) -> Option<u8> {
        let source = self.rewriter.source()?;
        track
            .layers
            .iter()
            .position(|layer| layer.source == source)
            .map(|index| index as u8)
    }

    /// Copies one packet of the batch, if this subscription takes it, into `egress`; `None` if it does not.
    pub fn forward(
        &mut self,
        now: Instant,
        arrival: &Arrival,
        packet: &[u8],
        out: &Outbound,
        path: Path,
        egress: &mut Egress,
    ) -> Option<()> {
        let has_place = self.rewriter.follows(arrival.source, arrival.extended)
            || (arrival.late && self.rewriter.may_miss(arrival.source, arrival.extended));
        if !has_place && (self.target != Some(arrival.layer) || !self.can_begin(arrival)) {
            return None;
        }
        let source = self.outgoing(&arrival.header, arrival.codec, packet)?;
        let incoming = Incoming {
            source: arrival.source,
            sequence: arrival.extended,
            timestamp: arrival.header.timestamp,
            vp8: arrival.vp8.as_ref(),
        };
        let numbers = match source.payload.is_empty() {
            false => self.rewriter.forward(now, &incoming)?,
            true if has_place => self.leave_out(arrival, &incoming)?,
            true => return None,
        };
        let source = Outgoing {
            padding: if self.may_pad { arrival.padding } else { 0 },
            ..source
        };
        let (len, payload_len) = self.write(egress.room()?, &numbers, &source, arrival.vp8.as_ref(), None, out)?;
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(payload_len as u32);
        egress.commit(path, len);
        if let Entry::Anybody(sets) = arrival.entry
            && self.rewriter.source() == Some(arrival.source)
            && !source.payload.is_empty()
        {
            self.sets = Some((arrival.source, sets));
        }
        Some(())
    }

    /// Leaves out a packet in which nothing is for this subscriber. The numbers are those of one whose place is taken, so that
    /// it must be sent, without a payload.
    fn leave_out(&mut self, arrival: &Arrival, incoming: &Incoming<'_>) -> Option<Rewritten> {
        if self.kind == Kind::Video && !arrival.late && !arrival.is_empty() {
            // Pictures that it cannot decode: those that follow in another format do not go on from what it has.
            self.rewriter.pause();
            return None;
        }
        self.rewriter.leave_out(incoming)
    }

    /// Whether the subscriber's decoder can begin at this packet.
    fn can_begin(&self, arrival: &Arrival) -> bool {
        match arrival.entry {
            Entry::Nobody => false,
            Entry::Holders(sets) => self.sets == Some((arrival.source, sets)),
            Entry::Anybody(_) => true,
        }
    }

    /// What of a publisher's packet goes to this subscriber, and under which payload type: no payload where it has no codec
    /// in common with it. The same packet always gives the same bytes (see `resend_floor`).
    fn outgoing<'a>(&self, header: &'a Header, codec: Codec, packet: &'a [u8]) -> Option<Outgoing<'a>> {
        let ours = |published: u8| self.payload_types[usize::from(published & 0x7f)];
        let whole = &packet[header.len..];
        let (payload_type, payload) = match ours(header.payload_type) {
            // A subscriber without RED gets the primary encoding out of it.
            NONE if codec == Codec::Red => red::primary(whole)
                .and_then(|(primary, range)| Some((ours(primary), whole.get(range)?)))
                .unwrap_or((NONE, &[])),
            ours => (ours, whole),
        };
        let (payload_type, payload) = match payload_type {
            NONE => (self.codecs.first()?.payload_type, &[][..]),
            ours => (ours, payload),
        };
        Some(Outgoing {
            header,
            packet,
            payload,
            payload_type,
            padding: 0,
        })
    }

    /// Writes and seals one packet; returns its length and its payload's. With `rtx`, as a retransmission (RFC 4588 §4)
    /// under that payload type.
    fn write(
        &self,
        room: &mut [u8],
        numbers: &Rewritten,
        source: &Outgoing<'_>,
        vp8: Option<&vp8::Descriptor>,
        rtx: Option<(u8, u64)>,
        out: &Outbound,
    ) -> Option<(usize, usize)> {
        let (payload_type, ssrc, index) = match rtx {
            Some((payload_type, index)) => (payload_type, self.rtx_ssrc, index),
            None => (source.payload_type, self.ssrc, numbers.sequence),
        };
        let header = NewHeader {
            marker: source.header.marker,
            payload_type,
            sequence: index as u16,
            timestamp: numbers.timestamp,
            ssrc,
            extension_ids: &self.extension_ids,
            mid: (self.mid_id != 0).then_some((self.mid_id, self.mid.as_slice())),
        };
        let header_len = write_header(room, &header, source.header, source.packet)?;
        let mut at = header_len;
        if rtx.is_some() {
            room.get_mut(at..at + 2)?
                .copy_from_slice(&(numbers.sequence as u16).to_be_bytes());
            at += 2;
        }
        let end = at + source.payload.len();
        let padded = end + usize::from(source.padding);
        let len = padded + out.profile().tag_len();
        let packet = room.get_mut(..len)?;
        packet[at..end].copy_from_slice(source.payload);
        if source.padding > 0 {
            pad(packet, end, source.padding);
        }
        if let Some(descriptor) = vp8.filter(|_| !source.payload.is_empty()) {
            vp8::rewrite(
                &mut packet[at..end],
                descriptor,
                numbers.picture_id,
                numbers.tl0_pic_idx,
            );
        }
        out.seal_rtp(packet, header_len, ssrc, index);
        Some((len, source.payload.len()))
    }

    /// Sends a packet of the copy once more, if it is still at hand.
    pub fn resend(
        &mut self,
        now: Instant,
        sequence: u16,
        track: &Track,
        out: &Outbound,
        path: Path,
        egress: &mut Egress,
    ) -> Option<()> {
        if now.saturating_duration_since(self.resends_since) >= RESEND_WINDOW {
            (self.resends, self.resends_since) = (0, now);
        }
        if self.resends >= MAX_RESENDS {
            return None;
        }
        let origin = self.rewriter.origin(sequence)?;
        let layer = track.layers.iter().find(|layer| layer.source == origin.source)?;
        let packet = layer.cache.packet(origin.sequence)?;
        let header = Header::parse(packet)?;
        let codec = track.codec(header.payload_type)?.codec;
        let source = self.outgoing(&header, codec, packet)?;
        let vp8 = if codec == Codec::Vp8 {
            vp8::parse(source.payload)
        } else {
            None
        };
        let numbers = self.rewriter.again(&origin, header.timestamp, vp8.as_ref())?;
        let rtx = self
            .codecs
            .iter()
            .find(|ours| ours.payload_type == source.payload_type)
            .and_then(|ours| ours.rtx_payload_type)
            .map(|payload_type| (payload_type, self.rtx_sequence));
        let from_before = numbers.sequence.wrapping_sub(self.resend_floor).wrapping_sub(1) > u64::MAX / 2;
        if rtx.is_none() && from_before {
            return None;
        }
        let (len, payload_len) = self.write(egress.room()?, &numbers, &source, vp8.as_ref(), rtx, out)?;
        egress.commit(path, len);
        self.resends += 1;
        match rtx {
            // A stream of its own, with its own sender report counters, which nobody asks for.
            Some(_) => self.rtx_sequence += 1,
            None => {
                self.packets = self.packets.wrapping_add(1);
                self.octets = self.octets.wrapping_add(payload_len as u32);
            }
        }
        Some(())
    }

    /// The publisher's clock at `now`, on this copy's RTP time line: audio and video of one publisher share that clock,
    /// so they stay in sync (RFC 3550 §6.4.1). `None` until the publisher has sent a report and a packet was copied, and
    /// while its packets contradict that report.
    pub fn sender_info(&self, now: Instant, track: &Track) -> Option<SenderInfo> {
        let layer = &track.layers[usize::from(self.current_layer(track)?)];
        let (clock, newest) = (layer.clock?, layer.newest?);
        let clock_rate = track.clock_rate();
        clock.holds(now, &newest, clock_rate).then_some(SenderInfo {
            ssrc: self.ssrc,
            ntp: clock.ntp_at(now),
            rtp: clock
                .rtp_at(now, clock_rate)
                .wrapping_add(self.rewriter.timestamp_offset()?),
            packets: self.packets,
            octets: self.octets,
        })
    }

    /// Takes note of the subscriber's report on this copy.
    pub fn reported(&mut self, now: Instant, block: &Block, track: Option<&Track>) {
        let clock = track.and_then(|track| {
            self.current_layer(track)
                .and_then(|layer| track.layers[usize::from(layer)].clock)
        });
        // RFC 3550 §6.4.1: A - LSR - DLSR, in the publisher's clock, which is the one that our reports carry.
        let round_trip = clock.filter(|_| block.last_sender_report != 0).and_then(|clock| {
            let arrival = (clock.ntp_at(now) >> 16) as u32;
            let units = arrival
                .wrapping_sub(block.last_sender_report)
                .wrapping_sub(block.delay_since_last);
            // More than ten seconds is a clock that jumped.
            (units < 10 << 16).then(|| Duration::from_micros(u64::from(units) * 1_000_000 / 65_536))
        });
        self.quality = Quality {
            fraction_lost: block.fraction_lost,
            round_trip: round_trip.or(self.quality.round_trip),
        };
    }
}

struct Outgoing<'a> {
    header: &'a Header,
    packet: &'a [u8],
    payload: &'a [u8],
    payload_type: u8,
    padding: u8,
}

/// RFC 3550 §5.1: the P bit, and as the last of the padding bytes their count.
fn pad(packet: &mut [u8], end: usize, padding: u8) {
    packet[0] |= 0x20;
    let room = &mut packet[end..end + usize::from(padding)];
    room.fill(0);
    room[usize::from(padding) - 1] = padding;
}
