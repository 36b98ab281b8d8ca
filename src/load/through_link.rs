//! The packets of a subscriber behind a simulated link, on their way from the connection to what follows its streams. Pure.

use std::time::Instant;

use super::client::Client;
use super::playback::Piece;
use super::reception::Reception;
use super::shared::{Arrival, REPORTER, STREAMS_MAX, Shared, counts, media, open};
use super::watching::{Stream, Watching};
use crate::media::codec::vp8;
use crate::media::peer::srtp::Inbound;
use crate::media::rtcp;
use crate::media::rtp::Header;

/// Bytes of one RTCP compound's packets: with headers, protection and an empty report they fit an Ethernet frame.
const COMPOUND_BYTES: usize = 1_172;

/// An opened packet, or what a retransmission contains.
struct Packet<'a> {
    sequence: u16,
    timestamp: u32,
    marker: bool,
    /// Whether it came as a retransmission (RFC 4588).
    again: bool,
    payload: &'a [u8],
    /// The length of the datagram.
    bytes: usize,
}

impl Client {
    /// Processes an RTP packet that came through a link. All packets are opened: the server may leave some out, so nothing
    /// but its mark tells which one this is.
    pub(super) fn receive_through_link(
        &mut self,
        arrival: Arrival,
        datagram: &mut [u8],
        shared: &mut Shared,
    ) -> Option<()> {
        let header = Header::parse(datagram)?;
        let bytes = datagram.len();
        let inbound = self.connection.inbound.as_mut()?;
        let watching = self.watching.as_mut()?;
        let known = self
            .receptions
            .iter()
            .position(|reception| reception.ssrc == header.ssrc);
        let len = match known {
            Some(at) => open(inbound, datagram, &header, &mut self.receptions[at].counts)?,
            None => inbound.open_rtp(datagram, &header).ok()?,
        };
        let packet = &datagram[..len];
        watching.numbered(arrival.at, &header, packet);
        let payload = packet.get(header.payload(packet)?)?;
        let mut packet = Packet {
            sequence: header.sequence,
            timestamp: header.timestamp,
            marker: header.marker,
            again: false,
            payload,
            bytes,
        };
        let at = if watching.terms.rtx_payload_types.contains(&header.payload_type) {
            // Probes have no payload.
            let (sequence, payload) = payload.split_first_chunk::<2>()?;
            packet.sequence = u16::from_be_bytes(*sequence);
            packet.again = true;
            packet.payload = payload;
            let at = watching.repaired_by(header.ssrc, payload, &self.receptions)?;
            inbound.bind(header.ssrc);
            at
        } else {
            match known {
                Some(at) => at,
                None => begin_stream(arrival, &header, payload, inbound, watching, &mut self.receptions)?,
            }
        };
        self.take(at, arrival, &packet, shared)
    }

    /// Takes in a packet of the stream at `at`.
    fn take(&mut self, at: usize, arrival: Arrival, packet: &Packet<'_>, shared: &mut Shared) -> Option<()> {
        let stream = self.watching.as_mut()?.streams.get_mut(at)?;
        let reception = &mut self.receptions[at];
        let asked = stream
            .repair
            .arrived(arrival.at, packet.sequence, packet.timestamp, packet.again);
        let extended = match asked || packet.again {
            true => reception.received_again(arrival.at, packet.sequence)?,
            false => reception.received(arrival.at, packet.sequence)?,
        };
        let mut piece = Piece::default();
        if packet.payload.is_empty() {
            // The server made it itself, as a probe.
            reception.filled();
        } else if let Some((_, mark, intact)) = media(packet.payload) {
            reception.counts.compared += 1;
            let source = shared.sources.get(mark.source as usize);
            let sent_us = source.and_then(|source| source.sent_us(mark.number));
            // Packets that come later than others may be from before a change of layers.
            let expected = !reception.is_newest(extended) || reception.opened_of_some(extended, &mark);
            if !intact || !expected || sent_us != Some(mark.sent_us as u32) {
                reception.counts.corrupt += 1;
            }
            if counts(&self.since, mark.source, mark.number) {
                reception.deliver(packet.bytes);
                shared.totals.arrived(arrival.wall_us, sent_us);
            }
            piece = Piece {
                begins_key_frame: vp8::parse(packet.payload)
                    .is_some_and(|descriptor| descriptor.starts_key_frame(packet.payload)),
                ends_frame: packet.marker,
            };
        } else {
            reception.counts.compared += 1;
            reception.counts.corrupt += 1;
        }
        if let Some(playback) = &mut stream.playback {
            playback.arrived(arrival.at, extended, piece);
        }
        Some(())
    }

    /// Seals what is due to the server: requests for packets and key frames, feedback.
    pub(super) fn answer(&mut self, now: Instant) {
        let (Some(watching), Some(outbound)) = (&mut self.watching, &mut self.connection.outbound) else {
            return;
        };
        watching.write(now, &self.receptions);
        for packets in rtcp::compounds(&watching.written, COMPOUND_BYTES) {
            // A compound begins with a report (RFC 3550 §6.1).
            let mut compound = Vec::with_capacity(packets.len() + 32);
            rtcp::write_receiver_report(&mut compound, REPORTER, &[]);
            compound.extend_from_slice(packets);
            outbound.seal_rtcp(&mut compound);
            self.answers.push(compound);
        }
    }
}

/// Begins a stream with its first packet. Probes and padding have SSRCs of their own: only a packet with a mark begins a
/// stream of media.
fn begin_stream(
    arrival: Arrival,
    header: &Header,
    payload: &[u8],
    inbound: &mut Inbound,
    watching: &mut Watching,
    receptions: &mut Vec<Reception>,
) -> Option<usize> {
    let (kind, ..) = media(payload)?;
    if receptions.len() >= STREAMS_MAX {
        return None;
    }
    inbound.bind(header.ssrc);
    receptions.push(Reception::new(arrival.at, header.ssrc, header.sequence));
    let stream = Stream::new(arrival.at, kind, watching);
    watching.streams.push(stream);
    Some(receptions.len() - 1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ::rtcp::packet::Packet as _;
    use ::rtcp::transport_feedbacks::transport_layer_cc::TransportLayerCc;
    use rtc_shared::marshal::Unmarshal;

    use super::*;
    use crate::load::connection::{Credentials, Remote};
    use crate::load::figures::Totals;
    use crate::load::sdp::Terms;
    use crate::load::source::{Encoding, ExtensionIds, PacketInFrame, Source};
    use crate::media::codec::Kind;
    use crate::media::peer::dtls::DtlsIdentity;
    use crate::media::peer::srtp::{Outbound, Profile, contexts};
    use crate::media::session::DtlsRole;
    use crate::media::virtual_time::epoch;

    const SSRC: u32 = 0x1000;
    const RTX_SSRC: u32 = 0x1001;
    const RTX: u8 = 97;
    const NUMBER_ID: u8 = 3;

    /// A packet that the server has sent, plain, with its extended number.
    #[derive(Clone)]
    struct Sent {
        bytes: Vec<u8>,
        header_len: usize,
        index: u64,
    }

    /// A subscriber with keys, and the server's side of these.
    struct Scene {
        client: Client,
        shared: Shared,
        to_client: Outbound,
        from_client: Inbound,
        now: Instant,
        number: u16,
        rtx_index: u64,
        lengths: usize,
    }

    impl Scene {
        fn new() -> Scene {
            let now = epoch();
            let remote = Remote {
                credentials: Credentials::random(),
                address: "127.0.0.1:9".parse().unwrap(),
                fingerprints: Vec::new(),
                role: DtlsRole::Client,
                controlling: true,
            };
            let identity = DtlsIdentity::generate().unwrap();
            let mut connection =
                super::super::connection::Connection::new(now, &identity, Credentials::random(), remote);
            let keys = [7; 128];
            let (outbound, inbound) = contexts(Profile::AeadAes128Gcm, &keys, true).unzip();
            (connection.outbound, connection.inbound) = (outbound, inbound);
            let (to_client, from_client) = contexts(Profile::AeadAes128Gcm, &keys, false).unwrap();
            let mut client = Client::new(1, connection, vec![0], 0..0, false);
            client.watch_through_link(now);
            client.learn(&Terms {
                number_id: NUMBER_ID,
                rtx_payload_types: vec![RTX],
            });
            let encoding = Encoding {
                kind: Kind::Video,
                ssrc: SSRC,
                payload_type: 96,
                bitrate_bps: 1_000_000,
                rid: "",
                height: 720,
                turns: None,
                mid: "0".to_owned(),
                extensions: ExtensionIds {
                    transport_sequence: NUMBER_ID,
                    ..ExtensionIds::default()
                },
            };
            Scene {
                client,
                shared: Shared {
                    sources: vec![Source::new(now, 0, encoding, 1)],
                    totals: Totals::default(),
                    verify_every: 1,
                },
                to_client,
                from_client,
                now,
                number: 0,
                rtx_index: 0,
                lengths: 0,
            }
        }

        /// The packets of the next frame: four of them, a dozen if it is a key frame.
        fn frame(&mut self) -> Vec<Sent> {
            self.now += Duration::from_millis(33);
            let source = &mut self.shared.sources[0];
            let (sizes, key_frame) = source.frame(self.now);
            let packet = |(nth, payload_len): (usize, &usize)| {
                let mut bytes = vec![0; 1_500];
                let place = PacketInFrame {
                    payload_len: *payload_len,
                    is_first: nth == 0,
                    is_last: nth + 1 == sizes.len(),
                    key_frame,
                };
                let written = source.packet(&mut bytes, place, 0, self.number);
                self.number += 1;
                bytes.truncate(written.len);
                Sent {
                    bytes,
                    header_len: written.header_len,
                    index: written.index,
                }
            };
            sizes.iter().enumerate().map(packet).collect()
        }

        fn frames(&mut self, count: usize) -> Vec<Sent> {
            (0..count).flat_map(|_| self.frame()).collect()
        }

        fn deliver(&mut self, sent: &Sent) {
            self.deliver_as(sent, SSRC);
        }

        fn deliver_as(&mut self, sent: &Sent, ssrc: u32) {
            let mut datagram = sent.bytes.clone();
            self.lengths = datagram.len();
            datagram.resize(datagram.len() + 16, 0);
            self.to_client
                .seal_rtp(&mut datagram, sent.header_len, ssrc, sent.index);
            let arrival = Arrival {
                at: self.now,
                wall_us: 0,
            };
            self.client
                .receive_through_link(arrival, &mut datagram, &mut self.shared);
        }

        /// Delivers a retransmission (RFC 4588 §4) of a packet, with a number of its own.
        fn resend(&mut self, sent: &Sent) {
            let mut bytes = sent.bytes[..sent.header_len].to_vec();
            bytes[1] = bytes[1] & 0x80 | RTX;
            bytes[2..4].copy_from_slice(&(self.rtx_index as u16).to_be_bytes());
            bytes[8..12].copy_from_slice(&RTX_SSRC.to_be_bytes());
            bytes[17..19].copy_from_slice(&self.number.to_be_bytes());
            bytes.extend_from_slice(&(sent.index as u16).to_be_bytes());
            bytes.extend_from_slice(&sent.bytes[sent.header_len..]);
            self.send_rtx(bytes, sent.header_len);
        }

        fn send_rtx(&mut self, bytes: Vec<u8>, header_len: usize) {
            let again = Sent {
                bytes,
                header_len,
                index: self.rtx_index,
            };
            self.number += 1;
            self.rtx_index += 1;
            self.deliver_as(&again, RTX_SSRC);
        }

        /// What the subscriber sends at a time after now, as compounds in the clear.
        fn answers(&mut self, after_ms: u64) -> Vec<Vec<u8>> {
            self.client.answer(self.now + Duration::from_millis(after_ms));
            let open = |mut compound: Vec<u8>| {
                let len = self.from_client.open_rtcp(&mut compound).unwrap();
                assert!(rtcp::is_report(&compound));
                compound.truncate(len);
                compound
            };
            self.client.take_outgoing().into_iter().map(open).collect()
        }

        /// The numbers that the subscriber asks for, and the key frames.
        fn asked(&mut self, after_ms: u64) -> (Vec<u16>, usize) {
            let (mut numbers, mut key_frames) = (Vec::new(), 0);
            for compound in self.answers(after_ms) {
                for packet in rtcp::packets(&compound) {
                    match packet {
                        rtcp::Packet::Nack {
                            media_ssrc: SSRC,
                            pairs,
                        } => rtcp::each_nacked(pairs, |number| numbers.push(number)),
                        rtcp::Packet::Pli { media_ssrc: SSRC } => key_frames += 1,
                        _ => {}
                    }
                }
            }
            (numbers, key_frames)
        }

        fn watching(&self) -> &Watching {
            self.client.watching.as_ref().unwrap()
        }

        fn reception(&self) -> &Reception {
            &self.client.receptions[0]
        }
    }

    /// The numbers in transport-wide feedback with their times in milliseconds, read by another implementation.
    fn feedback(compound: &[u8]) -> Vec<(u16, u64)> {
        let rtcp = compound.split_at(8).1;
        let read = TransportLayerCc::unmarshal(&mut &rtcp[..]).unwrap();
        assert_eq!((read.sender_ssrc, read.media_ssrc), (REPORTER, SSRC));
        assert_eq!(read.raw_size().next_multiple_of(4), rtcp.len());
        let mut time = i64::from(read.reference_time) * 64_000;
        let numbers = (0..read.packet_status_count).map(|nth| read.base_sequence_number.wrapping_add(nth));
        // All arrived: each has a delta.
        assert_eq!(read.recv_deltas.len(), usize::from(read.packet_status_count));
        numbers
            .zip(&read.recv_deltas)
            .map(|(number, delta)| {
                time += delta.delta;
                (number, (time / 1_000) as u64)
            })
            .collect()
    }

    #[test]
    fn the_numbers_of_all_packets_and_their_arrivals_are_fed_back_every_80_ms() {
        let mut scene = Scene::new();
        let first = scene.frame();
        first.iter().for_each(|packet| scene.deliver(packet));
        let second = scene.frame();
        second.iter().for_each(|packet| scene.deliver(packet));
        scene.resend(&second[0]);
        assert!(scene.answers(13).is_empty(), "79 ms");
        let answers = scene.answers(14);
        let expected: Vec<(u16, u64)> = (0..first.len() as u16)
            .map(|number| (number, 33))
            .chain((first.len() as u16..scene.number).map(|number| (number, 66)))
            .collect();
        assert_eq!(
            answers
                .iter()
                .flat_map(|compound| feedback(compound))
                .collect::<Vec<_>>(),
            expected
        );
        assert_eq!(scene.watching().counts().feedbacks, 1);
        assert!(scene.answers(94).is_empty(), "nothing came since");
    }

    #[test]
    fn a_server_that_numbers_nothing_gets_no_feedback() {
        let mut scene = Scene::new();
        scene.client.watching.as_mut().unwrap().terms.number_id = 0;
        for packet in scene.frames(3) {
            scene.deliver(&packet);
        }
        assert!(scene.answers(100).is_empty());
    }

    #[test]
    fn a_lost_packet_is_asked_for_and_its_retransmission_fills_the_gap() {
        let mut scene = Scene::new();
        scene.client.begin(scene.now, &[]);
        let packets = scene.frames(5);
        for (nth, packet) in packets.iter().enumerate() {
            if nth != 8 {
                scene.deliver(packet);
            }
        }
        assert!(scene.asked(4).0.is_empty(), "it may only be late");
        assert_eq!(scene.asked(5), (vec![packets[8].index as u16], 0));
        let before = scene.reception().counts;
        assert_eq!((before.gaps, before.delivered), (1, packets.len() as u64 - 1));
        scene.resend(&packets[8]);
        let counts = scene.reception().counts;
        assert_eq!((counts.gaps, counts.delivered), (0, packets.len() as u64));
        assert_eq!((counts.reordered, counts.duplicates, counts.corrupt), (0, 0, 0));
        let repair = scene.watching().counts().repair;
        assert_eq!((repair.asked, repair.repaired, repair.needless), (1, 1, 0));
        assert_eq!(scene.asked(200), (vec![], 0));
        let next = scene.watching().streams[0].playback.as_ref().unwrap().next();
        assert_eq!(next, Some(scene.reception().highest() + 1));
    }

    #[test]
    fn without_rtx_the_packet_itself_fills_the_gap() {
        let mut scene = Scene::new();
        let packets = scene.frames(5);
        for (nth, packet) in packets.iter().enumerate() {
            if nth != 8 {
                scene.deliver(packet);
            }
        }
        assert_eq!(scene.asked(5).0, [packets[8].index as u16]);
        scene.deliver(&packets[8]);
        let counts = scene.reception().counts;
        assert_eq!((counts.gaps, counts.reordered, counts.duplicates), (0, 0, 0));
        assert_eq!(scene.watching().counts().repair.repaired, 1);
    }

    #[test]
    fn what_is_given_up_is_made_up_for_by_a_key_frame() {
        let mut scene = Scene::new();
        let packets = scene.frames(20);
        for (nth, packet) in packets.iter().enumerate() {
            // One after the first key frame.
            if nth != 20 {
                scene.deliver(packet);
            }
        }
        let key_frames: Vec<usize> = (0..30).map(|turn| scene.asked(turn * 100).1).collect();
        let asked = key_frames.iter().sum::<usize>();
        // Eight requests at least 100 ms apart; then a request for a key frame each half second.
        assert!((3..=5).contains(&asked), "{key_frames:?}");
        assert_eq!(key_frames[..7].iter().sum::<usize>(), 0, "{key_frames:?}");
        assert_eq!(scene.watching().counts().key_frame_requests, asked as u64);
        scene.shared.sources[0].want_key_frame();
        scene.now += Duration::from_secs(3);
        for packet in scene.frame() {
            scene.deliver(&packet);
        }
        assert_eq!(scene.asked(1_000), (vec![], 0));
    }

    #[test]
    fn a_stream_that_begins_without_a_key_frame_asks_for_one() {
        let mut scene = Scene::new();
        for packet in scene.frames(3).split_off(1) {
            scene.deliver(&packet);
        }
        assert_eq!(scene.asked(400).1, 0);
        assert_eq!(scene.asked(600).1, 1);
        assert_eq!(scene.asked(700).1, 0);
    }

    #[test]
    fn probes_count_neither_as_media_nor_as_faults() {
        let mut scene = Scene::new();
        let packets = scene.frames(3);
        packets.iter().for_each(|packet| scene.deliver(packet));
        let before = scene.reception().counts;
        // An old packet, an empty one, and one of padding alone.
        scene.resend(&packets[4]);
        let header_len = packets[4].header_len;
        let mut header = packets[4].bytes[..header_len].to_vec();
        header[1] = RTX;
        header[2..4].copy_from_slice(&(scene.rtx_index as u16).to_be_bytes());
        header[8..12].copy_from_slice(&RTX_SSRC.to_be_bytes());
        scene.send_rtx(header.clone(), header_len);
        header[0] |= 0x20;
        header[2..4].copy_from_slice(&(scene.rtx_index as u16).to_be_bytes());
        header.extend_from_slice(&[0; 99]);
        header.push(100);
        scene.send_rtx(header, header_len);
        assert_eq!(scene.reception().counts, before);
        assert_eq!(scene.watching().counts().repair.needless, 1);
        // Padding among the media takes one of their numbers.
        let next = scene.frame();
        let mut padding = next[0].clone();
        padding.bytes.truncate(header_len);
        padding.bytes[0] |= 0x20;
        padding.bytes[1] &= 0x7f;
        padding.bytes.extend_from_slice(&[0; 99]);
        padding.bytes.push(100);
        scene.deliver(&padding);
        for packet in &next {
            let mut later = packet.clone();
            later.index += 1;
            later.bytes[2..4].copy_from_slice(&(later.index as u16).to_be_bytes());
            scene.deliver(&later);
        }
        let counts = scene.reception().counts;
        assert_eq!(counts.delivered, before.delivered + next.len() as u64);
        assert_eq!((counts.corrupt, counts.gaps, counts.duplicates), (0, 0, 0));
    }

    #[test]
    fn what_the_server_leaves_out_is_neither_lost_nor_corrupt() {
        let mut scene = Scene::new();
        scene.frames(3).iter().for_each(|packet| scene.deliver(packet));
        let left_out = scene.frame().len() as u64;
        let later = scene.frames(2);
        for packet in &later {
            let mut closed_up = packet.clone();
            closed_up.index -= left_out;
            closed_up.bytes[2..4].copy_from_slice(&(closed_up.index as u16).to_be_bytes());
            scene.deliver(&closed_up);
        }
        let counts = scene.reception().counts;
        assert_eq!((counts.corrupt, counts.gaps), (0, 0));
        let mut changed = scene.frame().swap_remove(0);
        changed.index -= left_out;
        changed.bytes[2..4].copy_from_slice(&(changed.index as u16).to_be_bytes());
        *changed.bytes.last_mut().unwrap() ^= 1;
        scene.deliver(&changed);
        assert_eq!(scene.reception().counts.corrupt, 1);
    }

    #[test]
    fn a_picture_that_never_came_was_frozen_all_the_time() {
        let mut scene = Scene::new();
        scene.client.begin(scene.now, &[]);
        scene.frames(31).iter().for_each(|packet| scene.deliver(packet));
        scene.client.end(scene.now);
        let seconds = scene.now.saturating_duration_since(epoch());
        let freezes = scene.watching().freezes(2);
        assert_eq!(freezes.len(), 2);
        // All 31 frames came in one moment.
        assert_eq!((freezes[0].count, freezes[0].total), (1, seconds));
        assert_eq!((freezes[1].count, freezes[1].total), (1, seconds));
    }
}
