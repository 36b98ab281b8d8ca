//! RTCP (RFC 3550 §6, RFC 4585, RFC 5104): reads compounds in place, appends packets to a ready buffer, and cuts written
//! packets into compounds.

/// Bytes of the longest written packet. A compound has room for one of these after an empty report, though not for several.
pub(crate) const MAX_PACKET_BYTES: usize = 1_100;

/// Blocks in one report: their count has five bits (RFC 3550 §6.4.1).
const MAX_REPORT_BLOCKS: usize = 31;

/// Pairs in one NACK. Each asks for up to 17 packets.
const MAX_NACK_PAIRS: usize = (MAX_PACKET_BYTES - 12) / 4;

const SOURCE_DESCRIPTION: u8 = 202;
const EXTENDED_REPORT: u8 = 207;

/// Types of the blocks of extended reports (RFC 3611 §4.4 and §4.5).
const REFERENCE_TIME: u8 = 4;
const ANSWERED_TIMES: u8 = 5;

/// One packet of a compound, as far as the server acts on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// A sender's report, with blocks of 24 bytes about what it receives.
    SenderReport {
        ssrc: u32,
        ntp: u64,
        rtp: u32,
        blocks: &'a [u8],
    },
    /// A NACK with its pairs of packet id and bit mask, four bytes each.
    Nack {
        media_ssrc: u32,
        pairs: &'a [u8],
    },
    Pli {
        media_ssrc: u32,
    },
    /// A FIR with entries of eight bytes, each beginning with the SSRC of the stream that needs a key frame.
    Fir {
        entries: &'a [u8],
    },
    /// Transport-wide feedback, from its base number on.
    TransportFeedback {
        body: &'a [u8],
    },
    /// A receiver's estimate of what its path carries (draft-alvestrand-rmcat-remb-03).
    ReceiverEstimate {
        bits_per_second: u64,
    },
    /// A receiver's report, with blocks of 24 bytes.
    ReceiverReport {
        blocks: &'a [u8],
    },
    /// An extended report (RFC 3611) of the client `ssrc`.
    ExtendedReport {
        ssrc: u32,
        blocks: &'a [u8],
    },
    Other,
}

/// A receiver's reference time that is answered (RFC 3611 §4.5), so that it learns its round trip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnsweredTime {
    /// The receiver.
    pub ssrc: u32,
    /// The middle 32 bits of its time.
    pub last: u32,
    /// The time since it came, in 1/65,536 s.
    pub delay: u32,
}

/// One block of our reports (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Block {
    pub ssrc: u32,
    pub(crate) fraction_lost: u8,
    /// Packets lost so far: signed, 24 bits on the wire.
    pub(crate) cumulative_lost: i32,
    pub(crate) extended_highest_sequence: u32,
    pub jitter: u32,
    pub(crate) last_sender_report: u32,
    /// The delay in 1/65,536 s.
    pub(crate) delay_since_last: u32,
}

/// Calls `with` for every sequence number that a NACK asks for (RFC 4585 §6.2.1).
pub fn each_nacked(pairs: &[u8], mut with: impl FnMut(u16)) {
    for pair in pairs.chunks_exact(4) {
        let first = u16::from_be_bytes([pair[0], pair[1]]);
        let mask = u16::from_be_bytes([pair[2], pair[3]]);
        with(first);
        for bit in 0..16 {
            if mask & (1 << bit) != 0 {
                with(first.wrapping_add(bit + 1));
            }
        }
    }
}

/// The packets of an unprotected compound; ends silently at the first malformed one.
pub fn packets(compound: &[u8]) -> Packets<'_> {
    Packets { rest: compound }
}

/// The packets that are left in a compound.
pub struct Packets<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Packets<'a> {
    type Item = Packet<'a>;

    fn next(&mut self) -> Option<Packet<'a>> {
        let head = self.rest.get(..4)?;
        if head[0] >> 6 != 2 {
            return None;
        }
        let len = 4 * (usize::from(u16::from_be_bytes([head[2], head[3]])) + 1);
        let packet = self.rest.get(..len)?;
        self.rest = &self.rest[len..];
        let mut body = &packet[4..];
        if head[0] & 0x20 != 0 {
            let padding = usize::from(*packet.last()?);
            body = body.get(..body.len().checked_sub(padding)?)?;
        }
        Some(read(head[0] & 0x1f, head[1], body).unwrap_or(Packet::Other))
    }
}

/// Reads the body of a packet. `None` if it is shorter than its kind needs.
fn read(count: u8, packet_type: u8, body: &[u8]) -> Option<Packet<'_>> {
    let media_ssrc = || (body.len() >= 8).then(|| word(body, 4));
    Some(match (packet_type, count) {
        (200, _) if body.len() >= 24 => Packet::SenderReport {
            ssrc: word(body, 0),
            ntp: u64::from(word(body, 4)) << 32 | u64::from(word(body, 8)),
            rtp: word(body, 12),
            blocks: &body[24..],
        },
        (201, _) if body.len() >= 4 => Packet::ReceiverReport { blocks: &body[4..] },
        (205, 15) => Packet::TransportFeedback { body: body.get(8..)? },
        (206, 15) => Packet::ReceiverEstimate {
            bits_per_second: receiver_estimate(body.get(8..)?)?,
        },
        (205, 1) => Packet::Nack {
            media_ssrc: media_ssrc()?,
            pairs: &body[8..],
        },
        (EXTENDED_REPORT, _) if body.len() >= 4 => Packet::ExtendedReport {
            ssrc: word(body, 0),
            blocks: &body[4..],
        },
        (206, 1) => Packet::Pli {
            media_ssrc: media_ssrc()?,
        },
        (206, 4) => Packet::Fir {
            entries: body.get(8..)?,
        },
        _ => return None,
    })
}

/// The SSRCs in a FIR's entries (RFC 5104 §4.3.1).
pub fn fir_ssrcs(entries: &[u8]) -> impl Iterator<Item = u32> + '_ {
    entries.chunks_exact(8).map(|entry| word(entry, 0))
}

/// The bit rate in a receiver's estimate, from the word REMB on: six bits of exponent, and eighteen of mantissa.
fn receiver_estimate(body: &[u8]) -> Option<u64> {
    let &[b'R', b'E', b'M', b'B', _, high, middle, low] = body.first_chunk::<8>()? else {
        return None;
    };
    let mantissa = u64::from(high & 3) << 16 | u64::from(middle) << 8 | u64::from(low);
    let exponent = u32::from(high >> 2);
    Some(match mantissa.leading_zeros() >= exponent {
        true => mantissa << exponent,
        false => u64::MAX,
    })
}

/// The streams that a report is about, each with the share of its packets that was lost, in 1/256.
pub fn losses(blocks: &[u8]) -> impl Iterator<Item = (u32, u8)> + '_ {
    blocks.chunks_exact(24).map(|block| (word(block, 0), block[4]))
}

/// The first receiver reference time among the blocks of an extended report (RFC 3611 §4.4), in 32.32 fixed point seconds.
pub fn reference_time(blocks: &[u8]) -> Option<u64> {
    let mut rest = blocks;
    while let Some(head) = rest.first_chunk::<4>() {
        let len = 4 * (usize::from(u16::from_be_bytes([head[2], head[3]])) + 1);
        let block = rest.get(..len)?;
        if head[0] == REFERENCE_TIME && len == 12 {
            return Some(u64::from(word(block, 4)) << 32 | u64::from(word(block, 8)));
        }
        rest = &rest[len..];
    }
    None
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn head(out: &mut Vec<u8>, count: u8, packet_type: u8, words: u16) {
    out.extend_from_slice(&[0x80 | count, packet_type]);
    out.extend_from_slice(&words.to_be_bytes());
}

/// Cuts packets that were written one after another into groups of at most `max_bytes`, each for one compound. A source
/// description stays with the report before it, and so do answered times after that. A packet that is too large makes a group of its own.
pub fn compounds(written: &[u8], max_bytes: usize) -> impl Iterator<Item = &[u8]> {
    let mut rest = written;
    std::iter::from_fn(move || {
        let mut end = 0;
        while let Some(unit) = unit_len(&rest[end..]) {
            if end > 0 && end + unit > max_bytes {
                break;
            }
            end += unit;
        }
        let group;
        (group, rest) = rest.split_at(end);
        (!group.is_empty()).then_some(group)
    })
}

/// Bytes of the first packet, and of a source description and an extended report after it.
fn unit_len(packets: &[u8]) -> Option<usize> {
    let mut len = packet_len(packets)?;
    for kind in [SOURCE_DESCRIPTION, EXTENDED_REPORT] {
        let next = &packets[len..];
        len += packet_len(next).filter(|_| next[1] == kind).unwrap_or(0);
    }
    Some(len)
}

/// Bytes of the first packet. `None` where there is no whole packet.
fn packet_len(packets: &[u8]) -> Option<usize> {
    let len = 4 * (usize::from(u16::from_be_bytes([*packets.get(2)?, *packets.get(3)?])) + 1);
    (len <= packets.len()).then_some(len)
}

/// Whether a compound may begin with this packet (RFC 3550 §6.1).
pub fn is_report(packet: &[u8]) -> bool {
    matches!(packet.get(1), Some(200 | 201))
}

/// Writes several reports where one cannot hold all blocks (RFC 3550 §6.4.2).
pub fn write_receiver_report(out: &mut Vec<u8>, sender_ssrc: u32, blocks: &[Block]) {
    let (blocks, more) = blocks.split_at(blocks.len().min(MAX_REPORT_BLOCKS));
    write_one_receiver_report(out, sender_ssrc, blocks);
    if !more.is_empty() {
        write_receiver_report(out, sender_ssrc, more);
    }
}

fn write_one_receiver_report(out: &mut Vec<u8>, sender_ssrc: u32, blocks: &[Block]) {
    head(out, blocks.len() as u8, 201, 1 + 6 * blocks.len() as u16);
    out.extend_from_slice(&sender_ssrc.to_be_bytes());
    for block in blocks {
        out.extend_from_slice(&block.ssrc.to_be_bytes());
        let lost = (block.cumulative_lost as u32 & 0x00ff_ffff) | u32::from(block.fraction_lost) << 24;
        for word in [
            lost,
            block.extended_highest_sequence,
            block.jitter,
            block.last_sender_report,
            block.delay_since_last,
        ] {
            out.extend_from_slice(&word.to_be_bytes());
        }
    }
}

/// The sender's part of a sender report about a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderInfo {
    pub ssrc: u32,
    /// The time in 32.32 fixed point seconds.
    pub ntp: u64,
    pub rtp: u32,
    pub packets: u32,
    pub octets: u32,
}

/// Writes a sender report without blocks, followed by the CNAME (RFC 3550 §6.1 wants both in a compound).
pub fn write_sender_report(out: &mut Vec<u8>, info: &SenderInfo, cname: &str) {
    head(out, 0, 200, 6);
    out.extend_from_slice(&info.ssrc.to_be_bytes());
    out.extend_from_slice(&info.ntp.to_be_bytes());
    for word in [info.rtp, info.packets, info.octets] {
        out.extend_from_slice(&word.to_be_bytes());
    }
    let cname = &cname.as_bytes()[..cname.len().min(255)];
    // SSRC, item type, length, text, and at least one zero byte that ends the chunk.
    let chunk = (4 + 2 + cname.len() + 1).next_multiple_of(4);
    head(out, 1, SOURCE_DESCRIPTION, (chunk / 4) as u16);
    let start = out.len();
    out.extend_from_slice(&info.ssrc.to_be_bytes());
    out.extend_from_slice(&[1, cname.len() as u8]);
    out.extend_from_slice(cname);
    out.resize(start + chunk, 0);
}

/// Writes an extended report that answers receivers' reference times: one block with a part for each.
pub fn write_answered_times(out: &mut Vec<u8>, sender_ssrc: u32, answers: &[AnsweredTime]) {
    let words = 3 * answers.len() as u16;
    head(out, 0, EXTENDED_REPORT, 2 + words);
    out.extend_from_slice(&sender_ssrc.to_be_bytes());
    out.extend_from_slice(&[ANSWERED_TIMES, 0]);
    out.extend_from_slice(&words.to_be_bytes());
    for answer in answers {
        for word in [answer.ssrc, answer.last, answer.delay] {
            out.extend_from_slice(&word.to_be_bytes());
        }
    }
}

pub fn write_pli(out: &mut Vec<u8>, sender_ssrc: u32, media_ssrc: u32) {
    head(out, 1, 206, 2);
    out.extend_from_slice(&sender_ssrc.to_be_bytes());
    out.extend_from_slice(&media_ssrc.to_be_bytes());
}

/// Writes a FIR. `command` must differ from the last one for a new request (RFC 5104 §4.3.1.1).
pub fn write_fir(out: &mut Vec<u8>, sender_ssrc: u32, media_ssrc: u32, command: u8) {
    head(out, 4, 206, 4);
    out.extend_from_slice(&sender_ssrc.to_be_bytes());
    out.extend_from_slice(&0_u32.to_be_bytes());
    out.extend_from_slice(&media_ssrc.to_be_bytes());
    out.extend_from_slice(&[command, 0, 0, 0]);
}

/// Asks for `sequences`, which are ascending, in as many packets as they need. Nothing is written when there are none.
pub fn write_nack(out: &mut Vec<u8>, sender_ssrc: u32, media_ssrc: u32, sequences: &[u16]) {
    let mut at = 0;
    while at < sequences.len() {
        at += write_one_nack(out, sender_ssrc, media_ssrc, &sequences[at..]);
    }
}

/// Writes one NACK. Returns the number of `sequences` that found room.
fn write_one_nack(out: &mut Vec<u8>, sender_ssrc: u32, media_ssrc: u32, sequences: &[u16]) -> usize {
    let start = out.len();
    head(out, 1, 205, 0);
    out.extend_from_slice(&sender_ssrc.to_be_bytes());
    out.extend_from_slice(&media_ssrc.to_be_bytes());
    let mut pairs = 0;
    let mut at = 0;
    while let Some(&first) = sequences.get(at).filter(|_| pairs < MAX_NACK_PAIRS) {
        let mut mask = 0_u16;
        at += 1;
        while let Some(&next) = sequences.get(at) {
            match next.wrapping_sub(first) {
                distance @ 1..=16 => mask |= 1 << (distance - 1),
                _ => break,
            }
            at += 1;
        }
        out.extend_from_slice(&first.to_be_bytes());
        out.extend_from_slice(&mask.to_be_bytes());
        pairs += 1;
    }
    out[start + 2..start + 4].copy_from_slice(&(2 + pairs as u16).to_be_bytes());
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The contents of a compound, as text, read by an independent implementation.
    fn reference(compound: &[u8]) -> Vec<Box<dyn ::rtcp::packet::Packet>> {
        ::rtcp::packet::unmarshal(&mut bytes::Bytes::copy_from_slice(compound)).unwrap()
    }

    /// The blocks of a receiver report.
    fn blocks_of(report: &dyn ::rtcp::packet::Packet) -> Vec<Block> {
        let report = report
            .as_any()
            .downcast_ref::<::rtcp::receiver_report::ReceiverReport>();
        let blocks = report.expect("it is a receiver report").reports.iter();
        let block = |block: &::rtcp::reception_report::ReceptionReport| Block {
            ssrc: block.ssrc,
            fraction_lost: block.fraction_lost,
            cumulative_lost: ((block.total_lost << 8) as i32) >> 8,
            extended_highest_sequence: block.last_sequence_number,
            jitter: block.jitter,
            last_sender_report: block.last_sender_report,
            delay_since_last: block.delay,
        };
        blocks.map(block).collect()
    }

    #[test]
    fn an_independent_implementation_reads_what_is_written() {
        let mut out = Vec::new();
        let block = Block {
            ssrc: 7,
            fraction_lost: 3,
            cumulative_lost: -2,
            jitter: 9,
            ..Block::default()
        };
        write_receiver_report(&mut out, 1, &[block]);
        write_pli(&mut out, 1, 2);
        write_fir(&mut out, 1, 2, 5);
        write_nack(&mut out, 1, 2, &[10, 11, 27, 65_535, 0]);
        let info = SenderInfo {
            ssrc: 4,
            ntp: 1 << 40,
            rtp: 5,
            packets: 6,
            octets: 7,
        };
        write_sender_report(&mut out, &info, "stream");
        let read = reference(&out);
        assert_eq!(read.len(), 6);
        assert_eq!(blocks_of(&*read[0]), [block]);
        let nack = read[3]
            .as_any()
            .downcast_ref::<::rtcp::transport_feedbacks::transport_layer_nack::TransportLayerNack>();
        let requested: Vec<u16> = nack.unwrap().nacks.iter().flat_map(|pair| pair.packet_list()).collect();
        assert_eq!(requested, [10, 11, 27, 65_535, 0]);
        assert_eq!(read[5].raw_size() % 4, 0);
    }

    #[test]
    fn more_blocks_than_a_report_counts_go_into_another_report() {
        let blocks: Vec<Block> = (0..70)
            .map(|ssrc| Block {
                ssrc,
                ..Block::default()
            })
            .collect();
        let mut out = Vec::new();
        write_receiver_report(&mut out, 1, &blocks);
        let read: Vec<Vec<Block>> = reference(&out).iter().map(|report| blocks_of(&**report)).collect();
        assert_eq!(read.iter().map(Vec::len).collect::<Vec<_>>(), [31, 31, 8]);
        assert_eq!(read.concat(), blocks);
    }

    #[test]
    fn a_nack_for_everything_is_several_packets_of_a_bounded_size() {
        // No two of them fit one pair.
        let sequences: Vec<u16> = (0..3_000).map(|at| at * 20).collect();
        let mut out = Vec::new();
        write_nack(&mut out, 1, 2, &sequences);
        let mut requested = Vec::new();
        for packet in packets(&out) {
            let Packet::Nack { media_ssrc: 2, pairs } = packet else {
                panic!("{packet:?}")
            };
            assert!(12 + pairs.len() <= MAX_PACKET_BYTES, "{}", pairs.len());
            each_nacked(pairs, |sequence| requested.push(sequence));
        }
        assert_eq!(requested, sequences);
        assert_eq!(reference(&out).len(), 12);
    }

    #[test]
    fn what_was_written_is_cut_between_packets_and_what_belongs_to_a_report_stays_with_it() {
        let mut out = Vec::new();
        for ssrc in 0..100 {
            let info = SenderInfo {
                ssrc,
                ntp: 0,
                rtp: 5,
                packets: 6,
                octets: 7,
            };
            write_sender_report(&mut out, &info, "stream");
            if ssrc % 2 == 0 {
                let (last, delay) = (8, 9);
                write_answered_times(&mut out, ssrc, &[AnsweredTime { ssrc: 1, last, delay }; 2]);
            }
        }
        write_pli(&mut out, 1, 2);
        write_receiver_report(&mut out, 1, &[Block::default(); 31]);
        for max_bytes in [1, 44, 60, 100, 752, 1_172, 100_000] {
            let mut joined = Vec::new();
            for group in compounds(&out, max_bytes) {
                let counted = packets(group).count();
                assert!(
                    group.len() <= max_bytes || counted <= 3,
                    "{counted} packets in {} bytes",
                    group.len()
                );
                assert!(![SOURCE_DESCRIPTION, EXTENDED_REPORT].contains(&group[1]));
                joined.extend_from_slice(group);
            }
            assert_eq!(joined, out);
        }
        assert_eq!(compounds(&out, 100_000).count(), 1);
        assert_eq!(compounds(&[], 1_172).count(), 0);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut out = Vec::new();
        let info = SenderInfo {
            ssrc: 4,
            ntp: 1 << 40 | 3,
            rtp: 5,
            packets: 6,
            octets: 7,
        };
        write_sender_report(&mut out, &info, "c");
        write_receiver_report(&mut out, 1, &[Block::default()]);
        write_nack(&mut out, 1, 2, &[65_535, 0, 3]);
        write_fir(&mut out, 1, 2, 5);
        let mut read = packets(&out);
        let report = Packet::SenderReport {
            ssrc: 4,
            ntp: 1 << 40 | 3,
            rtp: 5,
            blocks: &[],
        };
        assert_eq!(read.next(), Some(report));
        assert_eq!(read.next(), Some(Packet::Other), "the CNAME");
        assert!(matches!(read.next(), Some(Packet::ReceiverReport { blocks }) if blocks.len() == 24));
        let Some(Packet::Nack { media_ssrc: 2, pairs }) = read.next() else {
            panic!("a NACK comes next")
        };
        let mut requested = Vec::new();
        each_nacked(pairs, |sequence| requested.push(sequence));
        assert_eq!(requested, [65_535, 0, 3]);
        let Some(Packet::Fir { entries }) = read.next() else {
            panic!("a FIR comes next")
        };
        assert_eq!(fir_ssrcs(entries).collect::<Vec<_>>(), [2]);
        assert_eq!(read.next(), None);
    }

    /// A compound with `packet` between a report and a PLI.
    fn around(packet: &[u8]) -> Vec<u8> {
        let mut compound = Vec::new();
        write_receiver_report(&mut compound, 1, &[]);
        compound.extend_from_slice(packet);
        write_pli(&mut compound, 1, 2);
        compound
    }

    fn read_between(compound: &[u8]) -> Packet<'_> {
        let mut read = packets(compound).skip(1);
        let packet = read.next().expect("the packet in between");
        assert_eq!(read.next(), Some(Packet::Pli { media_ssrc: 2 }));
        packet
    }

    #[test]
    fn transport_wide_feedback_is_handed_on_from_its_base_number() {
        let feedback = [
            0x8f, 205, 0, 5, 0, 0, 0, 1, 0, 0, 0, 2, 0, 9, 0, 1, 0, 0, 1, 0, 0x20, 1, 8, 0,
        ];
        let body = &feedback[12..];
        assert_eq!(read_between(&around(&feedback)), Packet::TransportFeedback { body });
        // Padding counts itself.
        let padded = [
            0xaf, 205, 0, 5, 0, 0, 0, 1, 0, 0, 0, 2, 0, 9, 0, 1, 0, 0, 1, 0, 0x20, 1, 8, 1,
        ];
        let body = &padded[12..23];
        assert_eq!(read_between(&around(&padded)), Packet::TransportFeedback { body });
        assert_eq!(read_between(&around(&[0x8f, 205, 0, 1, 0, 0, 0, 1])), Packet::Other);
    }

    #[test]
    fn an_estimate_of_any_size_is_read() {
        let estimate = |word: &[u8; 4], rate: [u8; 3]| {
            let mut packet = vec![0x8f, 206, 0, 5, 0, 0, 0, 1, 0, 0, 0, 0];
            packet.extend_from_slice(word);
            packet.push(1);
            packet.extend_from_slice(&rate);
            packet.extend_from_slice(&[0, 0, 0, 9]);
            packet
        };
        for (rate, bits_per_second) in [
            ([0, 0, 0], 0),
            ([1, 0, 3], 0x1_0003),
            ([6 << 2 | 3, 0xff, 0xff], 0x3_ffff << 6),
            ([46 << 2 | 3, 0xff, 0xff], 0x3_ffff << 46),
            ([47 << 2 | 3, 0xff, 0xff], u64::MAX),
            ([63 << 2, 0, 1], 1 << 63),
            ([63 << 2, 0, 2], u64::MAX),
        ] {
            let compound = around(&estimate(b"REMB", rate));
            assert_eq!(read_between(&compound), Packet::ReceiverEstimate { bits_per_second });
        }
        assert_eq!(read_between(&around(&estimate(b"REMX", [0, 0, 1]))), Packet::Other);
        assert_eq!(
            read_between(&around(&[0x8f, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0])),
            Packet::Other
        );
    }

    #[test]
    fn losses_of_each_stream_are_read_from_a_report() {
        let block = |ssrc, fraction_lost| Block {
            ssrc,
            fraction_lost,
            cumulative_lost: -1,
            ..Block::default()
        };
        let mut compound = Vec::new();
        write_receiver_report(&mut compound, 1, &[block(5, 0), block(6, 255)]);
        let Some(Packet::ReceiverReport { blocks }) = packets(&compound).next() else {
            panic!("a receiver report comes first")
        };
        assert_eq!(losses(blocks).collect::<Vec<_>>(), [(5, 0), (6, 255)]);
    }

    #[test]
    fn a_reference_time_is_found_among_other_blocks_and_answered() {
        // Loss run lengths, a reference time, and another one, which does not count.
        let blocks = [
            1, 0, 0, 1, 9, 9, 9, 9, 4, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8, 4, 0, 0, 2, 9, 9, 9, 9, 9, 9, 9, 9,
        ];
        let mut report = vec![0x80, 207, 0, 9, 0, 0, 0, 7];
        report.extend_from_slice(&blocks);
        let compound = around(&report);
        let Packet::ExtendedReport { ssrc: 7, blocks: read } = read_between(&compound) else {
            panic!("an extended report comes")
        };
        assert_eq!(reference_time(read), Some(0x0102_0304_0506_0708));
        for len in 0..20 {
            assert_eq!(reference_time(&blocks[..len]), None, "{len}");
        }
        // A block that is longer than its report, one of another length, and none.
        assert_eq!(
            reference_time(&[1, 0, 0xff, 0xff, 4, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8]),
            None
        );
        assert_eq!(reference_time(&[4, 0, 0, 1, 1, 2, 3, 4]), None);
        assert_eq!(reference_time(&[0; 1_400]), None);

        let mut out = Vec::new();
        let answers = [(7, 0x0304_0506, 6_554), (8, 1, 2)];
        let answers = answers.map(|(ssrc, last, delay)| AnsweredTime { ssrc, last, delay });
        write_answered_times(&mut out, 3, &answers);
        let expected = [
            [0x80, 207, 0, 8, 0, 0, 0, 3, 5, 0, 0, 6].as_slice(),
            &[0, 0, 0, 7, 3, 4, 5, 6, 0, 0, 0x19, 0x9a],
            &[0, 0, 0, 8, 0, 0, 0, 1, 0, 0, 0, 2],
        ];
        assert_eq!(out, expected.concat());
        assert_eq!(
            reference(&out)[0].header().packet_type,
            ::rtcp::header::PacketType::ExtendedReport
        );
    }

    #[test]
    fn every_truncation_and_every_wrong_count_ends_quietly() {
        let mut out = Vec::new();
        let info = SenderInfo {
            ssrc: 4,
            ntp: 0,
            rtp: 5,
            packets: 6,
            octets: 7,
        };
        write_sender_report(&mut out, &info, "cname");
        write_receiver_report(&mut out, 1, &[Block::default(); 3]);
        write_nack(&mut out, 1, 2, &[1, 100, 200]);
        write_fir(&mut out, 1, 2, 5);
        for len in 0..out.len() {
            let _ = packets(&out[..len]).count();
        }
        for at in 0..out.len() {
            for value in [0, 0x9f, 0xa0, 0xbf, 0xff] {
                let mut bad = out.clone();
                bad[at] = value;
                let _ = packets(&bad).count();
            }
        }
    }
}
