//! The packet path: a batch of datagrams in, copies for every subscriber out.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::time::Instant;

use super::caches::MAX_ENCODINGS;
use super::{Forwarded, Worker};
use crate::media::demux::{Class, Occupant, classify};
use crate::media::extension_ids::Marks;
use crate::media::keys::{TrackKey, TransportKey};
use crate::media::layers::MAX_LAYERS;
use crate::media::messages::MediaEvent;
use crate::media::packet::{Arrived, Dependency};
use crate::media::peer::IncomingStream;
use crate::media::peer::ice::Path;
use crate::media::rtp::Header;
use crate::media::session::{MediaSection, NegotiatedCodec};
use crate::media::track::{Layer, LayerBegins, Origin};

/// One received datagram: `buffer[start..start + len]` of its batch.
#[derive(Clone, Copy, Debug)]
pub struct Datagram {
    pub from: SocketAddr,
    /// Our address to which it was sent, if the kernel gives it.
    pub to: Option<IpAddr>,
    pub start: usize,
    pub len: usize,
}

impl Worker {
    /// Takes a batch that arrived together. Follow with [`Worker::forward`] over the same buffer, and with
    /// [`Worker::take_waiting`].
    pub fn handle_datagrams(&mut self, now: Instant, buffer: &mut [u8], datagrams: &[Datagram]) {
        for datagram in datagrams {
            let path = Path {
                remote: datagram.from.into(),
                local: datagram.to,
            };
            self.handle_datagram(now, path, buffer, datagram.start, datagram.len);
        }
    }

    /// Takes packets that came over one path: `buffer[place]` of each place. Otherwise as [`Worker::handle_datagrams`].
    pub(crate) fn handle_packets(&mut self, now: Instant, path: Path, buffer: &mut [u8], places: &[Range<usize>]) {
        for place in places {
            self.handle_datagram(now, path, buffer, place.start, place.len());
        }
    }

    fn handle_datagram(&mut self, now: Instant, path: Path, buffer: &mut [u8], start: usize, len: usize) {
        self.stats.received_datagrams += 1;
        self.stats.received_bytes += len as u64;
        let Some(datagram) = buffer.get_mut(start..start + len) else {
            return;
        };
        if classify(datagram) != Class::Dtls {
            return self.take_datagram(now, path, buffer, start, len);
        }
        if self.demux.at(path.remote).is_empty() {
            self.stats.dropped_datagrams += 1;
            return;
        }
        self.put_off(path, datagram);
    }

    pub(super) fn take_datagram(&mut self, now: Instant, path: Path, buffer: &mut [u8], start: usize, len: usize) {
        let datagram = &mut buffer[start..start + len];
        let class = classify(datagram);
        let authentic = match (class, self.demux.at(path.remote)) {
            (Class::Stun, _) => return self.handle_stun(now, path, datagram),
            (Class::Dtls, _) => return self.handle_dtls(now, path, datagram),
            (Class::Rtp | Class::Rtcp, occupants @ [_, ..]) if self.have_handshake(path, occupants) => {
                return self.put_off(path, &buffer[start..start + len]);
            }
            (Class::Rtp, &[at]) => self.handle_rtp(now, at, buffer, start, len),
            (Class::Rtcp, &[at]) => self.handle_rtcp(now, at, datagram),
            (Class::Rtp | Class::Rtcp, [_, _, ..]) => self.handle_contested(now, path, buffer, start, len),
            (Class::Rtp | Class::Rtcp, []) | (Class::Other, _) => {
                self.stats.dropped_datagrams += 1;
                return;
            }
        };
        self.stats.rejected_packets += u64::from(!authentic);
    }

    /// Opens a packet and takes it. False if this connection's client has not sealed it, or has sent it before.
    pub(super) fn handle_rtp(
        &mut self,
        now: Instant,
        at: Occupant,
        buffer: &mut [u8],
        start: usize,
        len: usize,
    ) -> bool {
        let transport = &mut self.transports[at.transport];
        let packet = &mut buffer[start..start + len];
        let (Some(secure), Some(header)) = (&mut transport.secure, Header::parse(packet)) else {
            return false;
        };
        let room = start..start + len;
        let Ok(len) = secure.inbound.open_rtp(packet, &header) else {
            return false;
        };
        if !transport.ice.heard(now, at.path) {
            self.visit_soon(now, at.transport);
        }
        let _ = self.take_rtp(now, at.transport, header, buffer, start..start + len, room);
        true
    }

    /// Takes an opened packet `buffer[place]`; `room` is that place with the bytes behind it that are free. `None` if the packet was
    /// dropped.
    #[expect(
        clippy::too_many_arguments,
        reason = "a step of the packet path; a struct would be filled and emptied here"
    )]
    fn take_rtp(
        &mut self,
        now: Instant,
        key: TransportKey,
        header: Header,
        buffer: &mut [u8],
        place: Range<usize>,
        room: Range<usize>,
    ) -> Option<()> {
        let (start, len) = (place.start, place.len());
        let transport = &mut self.transports[key];
        let publisher = transport.publisher.as_mut()?;
        publisher.received_bytes += len as u64;
        if !publisher.is_heard {
            publisher.is_heard = true;
            self.plans.connections.set_earlier(key, publisher.next_feedback);
        }
        let marks = publisher.extensions.read(&header, &buffer[start..start + len]);
        if let Some(sequence) = marks.transport_sequence {
            publisher.transport_feedback.received(now, sequence);
        }
        let audio_level = marks.audio_level;
        let stream = match transport.stream(header.ssrc) {
            Some(stream) => stream,
            None => self.bind(key, &header, &marks)?,
        };
        let (header, start) = if stream.repair {
            self.unwrap_rtx(&stream, header, buffer, start, len)?
        } else {
            (header, start)
        };
        if let (Some(level), Some(track)) = (audio_level, self.tracks.get_mut(stream.track))
            && !track.muted
        {
            track.audio_level.received(now, level);
        }
        if !stream.repair && self.take_red(now, &stream, &header, buffer, (place, room)).is_some() {
            return Some(());
        }
        let len = if stream.repair { len - 2 } else { len };
        self.receive(now, &stream, header, buffer, start, start + len)
    }

    /// Hands an unprotected packet to its track, and marks the track for forwarding.
    #[expect(
        clippy::too_many_arguments,
        reason = "a step of the packet path; a struct would be filled and emptied here"
    )]
    pub(super) fn receive(
        &mut self,
        now: Instant,
        stream: &IncomingStream,
        header: Header,
        buffer: &mut [u8],
        start: usize,
        end: usize,
    ) -> Option<()> {
        let track = self.tracks.get_mut(stream.track)?;
        let next_source = &mut self.next_source;
        let pool = &mut self.cache_pool;
        let begins = track.receive(
            now,
            stream.layer,
            header,
            buffer,
            start,
            end,
            stream.repair,
            pool,
            || Self::fresh_source(next_source),
        )?;
        self.stats.received_packets += 1;
        let is_unreadable = |arrived: &Arrived| matches!(arrived.dependency, Dependency::Unreadable);
        let misses_packets = track.misses_packets(&track.layers[usize::from(stream.layer)])
            || track.arrivals.last().is_some_and(is_unreadable);
        if track.arrivals.len() == 1 {
            self.arrived.push(stream.track);
        }
        if !track.started
            && let Origin::Transport(transport) = track.origin
        {
            track.started = true;
            let peer = self.transports[transport].id;
            self.events
                .push_back(MediaEvent::TrackStarted { peer, track: track.id });
        }
        if !track.mirrors.is_empty() {
            self.pass_on(now, stream.track, buffer);
        }
        self.rank(now, stream.track, buffer);
        if misses_packets {
            self.plan_repairs(stream.track);
        }
        if begins == LayerBegins(true) {
            self.begin_layer(now, stream.track);
        }
        Some(())
    }

    /// Turns an RTX packet (RFC 4588 §4) into the one it repeats, in place: the header moves up over the two bytes of the
    /// original sequence number.
    fn unwrap_rtx(
        &self,
        stream: &IncomingStream,
        header: Header,
        buffer: &mut [u8],
        start: usize,
        len: usize,
    ) -> Option<(Header, usize)> {
        let track = self.tracks.get(stream.track)?;
        let layer = track.layers.get(usize::from(stream.layer))?;
        let original = track.codec_repaired_by(header.payload_type)?;
        let packet = &mut buffer[start..start + len];
        // Probes have no payload at all, or only padding.
        if header.payload(packet)?.len() < 2 {
            return None;
        }
        let sequence = u16::from_be_bytes([packet[header.len], packet[header.len + 1]]);
        packet.copy_within(..header.len, 2);
        let packet = &mut packet[2..];
        packet[1] = packet[1] & 0x80 | original.payload_type;
        packet[2..4].copy_from_slice(&sequence.to_be_bytes());
        packet[8..12].copy_from_slice(&layer.ssrc.to_be_bytes());
        Some((
            Header {
                payload_type: original.payload_type,
                sequence,
                ssrc: layer.ssrc,
                ..header
            },
            start + 2,
        ))
    }

    /// Finds the stream of a new SSRC: the offer announced it, or its packets carry a mid and a rid, or only one section knows
    /// its payload type. `None` if none of these is so.
    fn bind(&mut self, key: TransportKey, header: &Header, marks: &Marks<'_>) -> Option<IncomingStream> {
        let found = self.identify(key, header, marks);
        let Identity {
            track,
            rid,
            place,
            repair,
        } = found?;
        let layer = self.layer(key, track, &rid, place, repair, header.ssrc)?;
        let transport = &mut self.transports[key];
        let stream = IncomingStream {
            ssrc: header.ssrc,
            track,
            layer,
            repair,
        };
        // One SSRC for each layer and its RTX: a new one takes the place of the old (RFC 3550 §8.2 collisions, restarts).
        let same = |other: &IncomingStream| other.track == track && other.layer == layer && other.repair == repair;
        let mut before = None;
        if let Some(old) = transport.streams.iter_mut().find(|other| same(other)) {
            before = Some(std::mem::replace(old, stream).ssrc);
        } else {
            transport.streams.push(stream);
        }
        if let Some(secure) = &mut transport.secure {
            before.into_iter().for_each(|before| secure.inbound.unbind(before));
            secure.inbound.bind(header.ssrc);
        }
        Some(stream)
    }

    fn identify(&self, key: TransportKey, header: &Header, marks: &Marks<'_>) -> Option<Identity> {
        let transport = &self.transports[key];
        let receiving = || transport.sections.iter().filter(|section| section.up.is_some());
        let track_of = |section: &MediaSection| {
            transport
                .tracks
                .iter()
                .copied()
                .find(|&track| self.tracks[track].mid == section.mid)
        };
        for section in receiving() {
            for (place, announced) in section.remote_ssrcs.iter().enumerate() {
                let repair = announced.rtx == Some(header.ssrc);
                if announced.ssrc == header.ssrc || repair {
                    return Some(Identity {
                        track: track_of(section)?,
                        rid: Vec::new(),
                        place: Some(place),
                        repair,
                    });
                }
            }
        }
        let section = match marks.mid {
            Some(mid) => receiving().find(|section| section.mid.as_slice() == mid)?,
            None => only(receiving().filter(|section| knows(section, header.payload_type)))?,
        };
        let track = track_of(section)?;
        if let Some(rid) = marks.repaired_rid {
            return Some(Identity {
                track,
                rid: rid.to_vec(),
                place: None,
                repair: true,
            });
        }
        let rid = marks.rid.unwrap_or_default().to_vec();
        if !section.rids.is_empty() && !section.rids.iter().any(|known| known.as_slice() == rid) {
            return None;
        }
        let repair = self.tracks[track].codec_repaired_by(header.payload_type).is_some();
        Some(Identity {
            track,
            rid,
            place: None,
            repair,
        })
    }

    /// The layer of a stream, made if it is new. `None` for the RTX of a layer that has not begun, and if there are too many
    /// layers.
    #[expect(
        clippy::too_many_arguments,
        reason = "what is known of a new stream is found step by step"
    )]
    fn layer(
        &mut self,
        key: TransportKey,
        track: TrackKey,
        rid: &[u8],
        place: Option<usize>,
        repair: bool,
        ssrc: u32,
    ) -> Option<u8> {
        let mid = &self.tracks[track].mid;
        let section = self.transports[key]
            .sections
            .iter()
            .find(|section| section.mid == *mid)?;
        let announced = &section.remote_ssrcs;
        let source = Self::fresh_source(&mut self.next_source);
        let encodings: usize = self.transports[key]
            .tracks
            .iter()
            .map(|&key| self.tracks[key].layers.len())
            .sum();
        let track = &mut self.tracks[track];
        let known = match place {
            // This SSRC takes the place of one that a new offer no longer announces: its layer goes on.
            Some(place) => {
                let of = |ssrc: u32| track.layers.iter().position(|layer| layer.ssrc == ssrc);
                let retired = |layer: &Layer| announced.iter().all(|announced| announced.ssrc != layer.ssrc);
                of(announced.get(place)?.ssrc).or_else(|| track.layers.iter().position(retired).filter(|_| !repair))
            }
            None => track.layers.iter().position(|layer| layer.rid.as_slice() == rid),
        };
        if let Some(known) = known {
            if !repair && track.layers[known].ssrc != ssrc {
                let clock_rate = track.clock_rate();
                track.layers[known].restart(clock_rate, ssrc, source);
            }
            return Some(known as u8);
        }
        if repair || track.layers.len() >= MAX_LAYERS || encodings >= MAX_ENCODINGS {
            return None;
        }
        track
            .layers
            .push(Layer::new(track.kind, track.clock_rate(), ssrc, rid, source));
        let (layer, room, publisher) = (track.layers.len() - 1, track.room, track.name.participant);
        self.share_cache(room, publisher);
        Some(layer as u8)
    }

    /// Writes copies of this batch's packets for all subscribers into the egress. False if the egress is full: send it,
    /// clear it, and call again. Packets of one subscriber stand next to one another, so that one GSO send carries them.
    pub fn forward(&mut self, now: Instant, buffer: &[u8]) -> bool {
        let mut at = self.forwarded;
        while let Some(&key) = self.arrived.get(at.track) {
            if let Some(track) = self.tracks.get_mut(key) {
                if (at.subscriber, at.packet) == (0, 0) {
                    track.describe_rest(buffer);
                    if self.egress.joins_packets() {
                        track.pad();
                    }
                }
                while let Some(&subscriber) = track.subscribers.get(at.subscriber) {
                    let subscription = &mut self.subscriptions[subscriber];
                    let transport = self.transports.get_mut(subscription.transport);
                    if let Some(mut sink) = transport.and_then(|transport| transport.sink(&mut self.egress)) {
                        while let Some(arrived) = track.arrivals.get(at.packet) {
                            if sink.egress.is_full() {
                                self.forwarded = at;
                                return false;
                            }
                            let packet = &buffer[arrived.packet.start..arrived.packet.end];
                            let copied = subscription.forward(now, arrived, packet, track, &mut sink);
                            self.stats.forwarded_packets += u64::from(copied.is_some());
                            at.packet += 1;
                        }
                        if let Some(due) = sink.sender.begin_watch() {
                            self.plans.connections.set_earlier(subscription.transport, due);
                        }
                        if let Some(due) = sink.sender.plan_slice(now) {
                            self.plans.slices.set(subscription.transport, due);
                        }
                    }
                    (at.subscriber, at.packet) = (at.subscriber + 1, 0);
                }
                track.arrivals.clear();
            }
            (at.track, at.subscriber) = (at.track + 1, 0);
        }
        self.arrived.clear();
        self.forwarded = Forwarded::default();
        true
    }
}

struct Identity {
    track: TrackKey,
    rid: Vec<u8>,
    /// Place of the SSRC among the announced ones, if it is one of them.
    place: Option<usize>,
    repair: bool,
}

fn knows(section: &MediaSection, payload_type: u8) -> bool {
    let matches =
        |codec: &NegotiatedCodec| codec.payload_type == payload_type || codec.rtx_payload_type == Some(payload_type);
    section.codecs.iter().any(matches)
}

/// The one element of an iterator that has exactly one.
fn only<T>(mut all: impl Iterator<Item = T>) -> Option<T> {
    let first = all.next()?;
    all.next().is_none().then_some(first)
}
