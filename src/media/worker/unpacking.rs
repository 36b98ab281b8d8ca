//! Publishers that repeat their sound (RED, RFC 2198): each packet is turned into the Opus that is in it, and what was lost on the way
//! here is taken from the packets after it. So viewers get plain Opus, and those that lose packets get as much of it again as
//! they need, whatever the publisher does.

use std::ops::Range;
use std::time::Instant;

use smallvec::SmallVec;

use super::Worker;
use crate::media::codec::{Codec, Kind, red};
use crate::media::peer::IncomingStream;
use crate::media::rtp::{FIXED_HEADER_LEN, Header, MAX_EXTENSION_ID, NewHeader, write_header};
use crate::media::track::Track;

/// Bytes of the longest packet from which lost sound is taken.
const PACKET_BYTES_MAX: usize = 1_200;

/// A packet that stood in another, and its place in the buffer.
type Recovered = (Header, Range<usize>);

impl Worker {
    /// Takes a packet of RED `buffer[place]` apart and hands its track the Opus. `room` is the place with the bytes behind it that
    /// are free. Drops RED around anything else. `None` if it is not RED: it goes on as it is.
    pub(super) fn take_red(
        &mut self,
        now: Instant,
        stream: &IncomingStream,
        header: &Header,
        buffer: &mut [u8],
        (place, room): (Range<usize>, Range<usize>),
    ) -> Option<()> {
        let track = self.tracks.get(stream.track)?;
        if track.kind == Kind::Video || track.codec(header.payload_type)?.codec != Codec::Red {
            return None;
        }
        let layer = track.layers.get(usize::from(stream.layer))?;
        let missing = layer.loss.missing_before(header.sequence);
        let Some((own, recovered)) = unpack(track, header, buffer, place, room, missing) else {
            return Some(());
        };
        let (header, place) = own;
        let _ = self.receive(now, stream, header, buffer, place.start, place.end);
        // They count as sent again.
        let repair = IncomingStream {
            repair: true,
            ..*stream
        };
        for (header, place) in recovered {
            let taken = self.receive(now, &repair, header, buffer, place.start, place.end);
            self.stats.recovered_packets += u64::from(taken.is_some());
        }
        Some(())
    }
}

/// Writes the packets that are in `buffer[place]` into `buffer[room]`: its own sound, and as much of the `missing` packets before it
/// as it repeats and as has room.
fn unpack(
    track: &Track,
    header: &Header,
    buffer: &mut [u8],
    place: Range<usize>,
    room: Range<usize>,
    missing: u16,
) -> Option<(Recovered, SmallVec<[Recovered; 2]>)> {
    let packet = buffer.get(place.clone())?;
    let payload = header.payload(packet)?;
    let whole = &packet[payload.clone()];
    let (payload_type, primary) = red::primary(whole)?;
    if track.codec(payload_type)?.codec != Codec::Opus {
        return None;
    }
    let own_header = Header {
        payload_type,
        padding: false,
        ..*header
    };
    let own_len = header.len + primary.len();
    let mut recovered = SmallVec::new();
    if missing == 0 || packet.len() > PACKET_BYTES_MAX {
        // The header moves up to its sound.
        let start = place.start + payload.start + primary.start - header.len;
        buffer.copy_within(place.start..place.start + header.len, start);
        write_type(&mut buffer[start..], payload_type);
        return Some(((own_header, start..start + own_len), recovered));
    }
    let mut copy = [0; PACKET_BYTES_MAX];
    let copy = &mut copy[..packet.len()];
    copy.copy_from_slice(packet);
    let whole = &copy[payload];
    let bare = Header {
        extensions: None,
        ..*header
    };
    let mut end = place.start + own_len;
    let own = buffer.get_mut(place.start..end)?;
    own[header.len..].copy_from_slice(&whole[primary.clone()]);
    write_type(own, payload_type);
    for (back, block) in (1..=missing).zip(red::earlier(whole, &primary)) {
        let start = end;
        end += FIXED_HEADER_LEN + block.audio.len();
        if end > room.end || block.audio.is_empty() || block.payload_type != payload_type {
            break;
        }
        let new = NewHeader {
            marker: false,
            payload_type,
            sequence: header.sequence.wrapping_sub(back),
            timestamp: header.timestamp.wrapping_sub(block.age),
            ssrc: header.ssrc,
            extension_ids: &[0; MAX_EXTENSION_ID as usize + 1],
            mid: None,
            number: None,
            playout: None,
            descriptor: None,
        };
        let out = &mut buffer[start..end];
        write_header(out, &new, &bare, &[])?;
        out[FIXED_HEADER_LEN..].copy_from_slice(&whole[block.audio]);
        recovered.push((Header::parse(out)?, start..end));
    }
    Some(((own_header, place.start..place.start + own_len), recovered))
}

/// Changes the payload type of a packet without padding.
fn write_type(packet: &mut [u8], payload_type: u8) {
    packet[0] &= !0x20;
    packet[1] = packet[1] & 0x80 | payload_type;
}
