//! The arrival times of a connection's packets, sent to its sender, who estimates the path from them
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01).

use std::time::Instant;

use crate::media::rtp::sequence_distance;

/// Arrivals that are remembered. Feedback is sent several times a second, so this is far more than a publisher sends
/// in between (a tenth of a second of it would be 390 Mbit/s). It takes 32 KiB for each connection that sends so much.
const WINDOW: u64 = 4_096;
/// Arrivals for which there is room at first: twenty times what a camera of 2.5 Mbit/s sends in between. It takes 4 KiB.
const FIRST_WINDOW: u64 = 512;

/// Bytes of RTCP header, two SSRCs, base sequence number, status count, reference time, and feedback packet count.
const HEAD_BYTES: usize = 20;
const CHUNK_BYTES: usize = 2;
/// Bytes of the deltas of the largest vector chunk: fourteen small ones, or seven large ones.
const VECTOR_DELTA_BYTES: usize = 14;
/// The least size of a feedback packet: it must have room for one chunk, or nothing could ever be reported.
const PACKET_BYTES_MIN: usize = (HEAD_BYTES + CHUNK_BYTES + VECTOR_DELTA_BYTES).next_multiple_of(4);

const RUN_LENGTH_MAX: u64 = 0x1FFF;
const ONE_BIT_SYMBOLS: usize = 14;
const TWO_BIT_SYMBOLS: usize = 7;

/// The unit of deltas, in which arrival times are kept.
const TICK_MICROS: u32 = 250;
const TICKS_PER_SEC: u64 = (1_000_000 / TICK_MICROS) as u64;
/// Reference times are multiples of 64 ms.
const TICKS_PER_REFERENCE: u32 = 256;

/// Records arrivals of transport-wide sequence numbers on one connection and writes the feedback packets
/// (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1).
pub(crate) struct TransportFeedback {
    epoch: Instant,
    /// The last time that was converted, and what it was: packets of a batch have the same.
    converted: (Instant, u32),
    /// The arrivals, by extended sequence number modulo their count. Empty before the first packet. The count grows up to [`WINDOW`]
    /// where more must be reported at once.
    arrivals: Vec<ArrivalTime>,
    /// The first sequence number to report; `end` is the one after the newest received.
    next: u64,
    end: u64,
    packets_written: u8,
    /// The deltas of the packet that is being written; kept for its capacity.
    deltas: Vec<u8>,
}

#[derive(Clone, Copy, Default)]
struct ArrivalTime {
    /// Lower bits of the extended sequence number: an entry of another turn is no arrival. Extended numbers begin at
    /// 65,536, so 0 means no arrival within the first 2^32 packets, and by then every entry has been written.
    sequence: u32,
    /// Time since the epoch; wraps after twelve days, as the 24-bit reference time does.
    ticks: u32,
}

/// Packet status symbols (§3.1.1), with their deltas.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Status {
    NotReceived,
    Small(u8),
    Large(i16),
}

impl Status {
    fn symbol(self) -> u16 {
        match self {
            Status::NotReceived => 0,
            Status::Small(_) => 1,
            Status::Large(_) => 2,
        }
    }
}

impl TransportFeedback {
    pub fn new(epoch: Instant) -> TransportFeedback {
        TransportFeedback {
            epoch,
            converted: (epoch, 0),
            arrivals: Vec::new(),
            next: 0,
            end: 0,
            packets_written: 0,
            deltas: Vec::new(),
        }
    }

    /// Records an arrival. Bounded: a sender that jumps about in sequence space costs nothing.
    pub fn received(&mut self, now: Instant, transport_sequence: u16) {
        if self.arrivals.is_empty() {
            self.arrivals = vec![ArrivalTime::default(); FIRST_WINDOW as usize];
            self.next = (1 << 16) + u64::from(transport_sequence);
            self.end = self.next;
        }
        let newest = self.end.saturating_sub(1);
        let sequence = match sequence_distance(transport_sequence, self.end as u16) {
            ahead @ 0.. => self.end + ahead as u64,
            behind => self.end - u64::from(behind.unsigned_abs()),
        };
        if sequence + self.window() < self.end || (sequence <= newest && self.arrival(sequence).is_some()) {
            return;
        }
        self.make_room((self.end.max(sequence + 1)).saturating_sub(self.next.min(sequence)));
        let slot = self.slot(sequence);
        let ticks = self.ticks(now);
        self.arrivals[slot] = ArrivalTime {
            sequence: sequence as u32,
            ticks,
        };
        self.end = self.end.max(sequence + 1);
        // A packet that comes after its loss was reported is reported again, with all that follow it.
        self.next = self.next.min(sequence).max(self.end.saturating_sub(self.window()));
    }

    /// The count of the newest numbers for which there is room.
    fn window(&self) -> u64 {
        self.arrivals.len() as u64
    }

    /// Makes room for `numbers` of them, up to [`WINDOW`]. This happens three times in the life of a connection at most.
    fn make_room(&mut self, numbers: u64) {
        let before = self.window();
        if numbers <= before || before >= WINDOW {
            return;
        }
        let window = numbers.next_power_of_two().min(WINDOW);
        let mut arrivals = vec![ArrivalTime::default(); window as usize];
        for sequence in self.end.saturating_sub(before)..self.end {
            if let Some(ticks) = self.arrival(sequence) {
                arrivals[(sequence % window) as usize] = ArrivalTime {
                    sequence: sequence as u32,
                    ticks,
                };
            }
        }
        self.arrivals = arrivals;
    }

    /// Appends complete RTCP packets (PT 205, FMT 15) to `out`, if any, which report everything received since the
    /// last call. Each has at most `max_bytes` (but never less than 36 bytes, a packet with one chunk).
    pub fn write(&mut self, sender_ssrc: u32, media_ssrc: u32, max_bytes: usize, out: &mut Vec<u8>) {
        let max_bytes = max_bytes.max(PACKET_BYTES_MIN);
        while self.next < self.end {
            self.write_packet(sender_ssrc, media_ssrc, max_bytes, out);
        }
    }

    fn write_packet(&mut self, sender_ssrc: u32, media_ssrc: u32, max_bytes: usize, out: &mut Vec<u8>) {
        let start = out.len();
        let base = self.next;
        // There is an arrival: the newest packet was received.
        let first = (base..self.end)
            .find_map(|sequence| self.arrival(sequence))
            .unwrap_or(0);
        let reference = first / TICKS_PER_REFERENCE;
        out.extend_from_slice(&[0; HEAD_BYTES]);
        self.deltas.clear();
        let mut cursor = Cursor {
            next: base,
            last_ticks: reference * TICKS_PER_REFERENCE,
        };
        loop {
            let taken = out.len() - start + CHUNK_BYTES + self.deltas.len();
            let room = (max_bytes & !3).saturating_sub(taken);
            match self.next_chunk(&mut cursor, room) {
                Some(chunk) => out.extend_from_slice(&chunk.to_be_bytes()),
                None => break,
            }
        }
        out.extend_from_slice(&self.deltas);
        out.resize(start + (out.len() - start).next_multiple_of(4), 0);

        let words = (out.len() - start) / 4 - 1;
        let head = &mut out[start..start + HEAD_BYTES];
        // RFC 4585 §6.1: transport layer feedback, FMT 15.
        head[..2].copy_from_slice(&[0x80 | 15, 205]);
        head[2..4].copy_from_slice(&(words as u16).to_be_bytes());
        head[4..8].copy_from_slice(&sender_ssrc.to_be_bytes());
        head[8..12].copy_from_slice(&media_ssrc.to_be_bytes());
        head[12..14].copy_from_slice(&(base as u16).to_be_bytes());
        head[14..16].copy_from_slice(&((cursor.next - base) as u16).to_be_bytes());
        head[16..20].copy_from_slice(&(reference << 8 | u32::from(self.packets_written)).to_be_bytes());
        self.packets_written = self.packets_written.wrapping_add(1);
        self.next = cursor.next;
    }

    /// Encodes the next statuses into one chunk, and their deltas into [`Self::deltas`]. `None` at the end, where a
    /// delta does not fit 16 bits, and where `room` may not hold the deltas of a vector.
    fn next_chunk(&mut self, cursor: &mut Cursor, room: usize) -> Option<u16> {
        if room < VECTOR_DELTA_BYTES {
            return None;
        }
        let mut ahead = *cursor;
        let mut statuses = [Status::NotReceived; ONE_BIT_SYMBOLS];
        let mut count = 0;
        while count < ONE_BIT_SYMBOLS
            && let Some(status) = self.step(&mut ahead)
        {
            statuses[count] = status;
            count += 1;
        }
        let statuses = &statuses[..count];
        let symbol = statuses.first()?.symbol();
        let same = statuses.iter().take_while(|status| status.symbol() == symbol).count();
        let has_large = statuses.iter().any(|status| matches!(status, Status::Large(_)));
        if same == count || (has_large && same >= TWO_BIT_SYMBOLS) {
            let length = self.take_run(cursor, symbol, room);
            return Some(symbol << 13 | length);
        }
        let (vector, bits, count) = match has_large {
            true => (0xC000, 2, count.min(TWO_BIT_SYMBOLS)),
            false => (0x8000, 1, count),
        };
        let mut chunk = vector;
        for (index, status) in statuses[..count].iter().enumerate() {
            chunk |= status.symbol() << (14 - bits * (index + 1));
            self.step(cursor);
            self.push_delta(*status);
        }
        Some(chunk)
    }

    /// Takes statuses of one symbol, as many as follow and as there is room for.
    fn take_run(&mut self, cursor: &mut Cursor, symbol: u16, room: usize) -> u16 {
        // The symbol is the number of bytes of its delta (§3.1.1).
        let fit = match usize::from(symbol) {
            0 => RUN_LENGTH_MAX,
            delta_bytes => RUN_LENGTH_MAX.min((room / delta_bytes) as u64),
        };
        let mut length = 0;
        while u64::from(length) < fit {
            let mut ahead = *cursor;
            match self.step(&mut ahead) {
                Some(status) if status.symbol() == symbol => self.push_delta(status),
                _ => break,
            }
            *cursor = ahead;
            length += 1;
        }
        length
    }

    fn push_delta(&mut self, status: Status) {
        match status {
            Status::NotReceived => {}
            Status::Small(delta) => self.deltas.push(delta),
            Status::Large(delta) => self.deltas.extend_from_slice(&delta.to_be_bytes()),
        }
    }

    /// The status at the cursor, which moves on. `None` at the end, and where the delta does not fit 16 bits: a new
    /// packet with its own reference time begins there.
    fn step(&self, cursor: &mut Cursor) -> Option<Status> {
        if cursor.next >= self.end {
            return None;
        }
        let status = match self.arrival(cursor.next) {
            None => Status::NotReceived,
            Some(ticks) => {
                let delta = ticks.wrapping_sub(cursor.last_ticks) as i32;
                cursor.last_ticks = ticks;
                match u8::try_from(delta) {
                    Ok(small) => Status::Small(small),
                    Err(_) => Status::Large(i16::try_from(delta).ok()?),
                }
            }
        };
        cursor.next += 1;
        Some(status)
    }

    fn arrival(&self, sequence: u64) -> Option<u32> {
        let arrival = self.arrivals.get(self.slot(sequence))?;
        (arrival.sequence == sequence as u32).then_some(arrival.ticks)
    }

    fn slot(&self, sequence: u64) -> usize {
        // Their count is a power of two.
        (sequence & (self.window() - 1)) as usize
    }

    fn ticks(&mut self, now: Instant) -> u32 {
        if self.converted.0 == now {
            return self.converted.1;
        }
        let since = now.saturating_duration_since(self.epoch);
        // All microseconds together would need a division of 128 bits for each packet.
        let ticks = ((since.as_secs() * TICKS_PER_SEC) as u32).wrapping_add(since.subsec_micros() / TICK_MICROS);
        self.converted = (now, ticks);
        ticks
    }
}

/// The position in the arrivals up to which a packet has been written.
#[derive(Clone, Copy)]
struct Cursor {
    next: u64,
    /// Arrival of the last packet received before `next`, or the reference time.
    last_ticks: u32,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use proptest::prelude::*;
    use rtc_shared::marshal::Unmarshal;
    use rtcp::transport_feedbacks::transport_layer_cc::{PacketStatusChunk, SymbolTypeTcc, TransportLayerCc};

    use super::*;
    use crate::media::virtual_time::epoch;

    const MAX_BYTES: usize = 1_200;

    fn at(micros: u64) -> Instant {
        epoch() + Duration::from_micros(micros)
    }

    /// Splits a compound into packets, by their own lengths.
    fn split(mut rtcp: &[u8]) -> Vec<&[u8]> {
        let mut packets = Vec::new();
        while !rtcp.is_empty() {
            let len = (usize::from(u16::from_be_bytes([rtcp[2], rtcp[3]])) + 1) * 4;
            let (packet, rest) = rtcp.split_at(len);
            packets.push(packet);
            rtcp = rest;
        }
        packets
    }

    /// Sequence numbers in the order of the feedback, each with its arrival in microseconds, read by another
    /// implementation.
    fn decode(packet: &[u8]) -> (TransportLayerCc, Vec<(u16, Option<i64>)>) {
        let feedback = TransportLayerCc::unmarshal(&mut &packet[..]).unwrap();
        let symbols = feedback.packet_chunks.iter().flat_map(|chunk| match chunk {
            PacketStatusChunk::RunLengthChunk(run) => {
                vec![run.packet_status_symbol; usize::from(run.run_length)]
            }
            PacketStatusChunk::StatusVectorChunk(vector) => vector.symbol_list.clone(),
        });
        let mut time = i64::from(feedback.reference_time) * 64_000;
        let mut deltas = feedback.recv_deltas.iter();
        let statuses = symbols
            .take(usize::from(feedback.packet_status_count))
            .enumerate()
            .map(|(index, symbol)| {
                let arrival = (symbol != SymbolTypeTcc::PacketNotReceived).then(|| {
                    time += deltas.next().unwrap().delta;
                    time
                });
                (feedback.base_sequence_number.wrapping_add(index as u16), arrival)
            });
        let statuses: Vec<_> = statuses.collect();
        assert_eq!(
            statuses.len(),
            usize::from(feedback.packet_status_count),
            "chunks for every status"
        );
        (feedback, statuses)
    }

    struct Scene {
        feedback: TransportFeedback,
        now: u64,
    }

    impl Scene {
        fn new() -> Scene {
            Scene {
                feedback: TransportFeedback::new(epoch()),
                now: 0,
            }
        }

        /// Receives one packet a millisecond.
        fn receive(&mut self, sequences: impl IntoIterator<Item = u16>) {
            for sequence in sequences {
                self.now += 1_000;
                self.feedback.received(at(self.now), sequence);
            }
        }

        fn bytes(&mut self) -> Vec<u8> {
            let mut out = vec![0xee; 3];
            self.feedback.write(1, 2, MAX_BYTES, &mut out);
            assert_eq!(out[..3], [0xee; 3], "appended");
            out.split_off(3)
        }

        fn statuses(&mut self) -> Vec<(u16, Option<i64>)> {
            split(&self.bytes())
                .into_iter()
                .flat_map(|packet| decode(packet).1)
                .collect()
        }

        fn received(&mut self) -> Vec<u16> {
            self.statuses()
                .into_iter()
                .filter(|(_, time)| time.is_some())
                .map(|(sequence, _)| sequence)
                .collect()
        }
    }

    #[test]
    fn nothing_received_is_nothing_to_report() {
        let mut scene = Scene::new();
        assert!(scene.bytes().is_empty());
        scene.receive([5]);
        assert!(!scene.bytes().is_empty());
        assert!(scene.bytes().is_empty(), "reported once");
    }

    #[test]
    fn a_packet_is_laid_out_as_the_draft_says() {
        let mut scene = Scene::new();
        // 100.5 ms after the epoch: one unit of 64 ms, and 36.5 ms as 146 ticks. Then 1 ms, then 100 ms later.
        scene.feedback.received(at(100_500), 0xfffe);
        scene.feedback.received(at(101_500), 0xffff);
        scene.feedback.received(at(201_500), 1);
        let expected = [
            0x8f, 205, 0, 6, // eight words less one, minus what follows
            0, 0, 0, 1, 0, 0, 0, 2, // SSRCs
            0xff, 0xfe, 0, 4, // base, count
            0, 0, 1, 0, // reference time, feedback packet count
            0xd4, 0x80, // two-bit vector: small, small, none, large
            146, 4, 0x01, 0x90, 0, 0, // 400 ticks; padding
        ];
        assert_eq!(scene.bytes(), expected);
        scene.receive([2]);
        assert_eq!(scene.bytes()[19], 1, "packets are counted");
    }

    #[test]
    fn a_steady_stream_is_one_run() {
        let mut scene = Scene::new();
        scene.receive(100..300);
        let bytes = scene.bytes();
        assert_eq!(bytes.len(), 20 + 2 + 200 + 2);
        let (feedback, statuses) = decode(&bytes);
        assert_eq!((feedback.sender_ssrc, feedback.media_ssrc), (1, 2));
        assert_eq!(feedback.packet_chunks.len(), 1);
        let expected: Vec<_> = (100..300).map(|s| (s, Some((i64::from(s) - 99) * 1_000))).collect();
        assert_eq!(statuses, expected);
    }

    #[test]
    fn feedback_goes_on_where_the_last_one_ended() {
        let mut scene = Scene::new();
        scene.receive([65_533, 65_534]);
        scene.bytes();
        // The number 65,535 is lost between two reports, across the wrap.
        scene.receive([0, 1, 3]);
        let statuses = scene.statuses();
        let seen: Vec<_> = statuses
            .iter()
            .map(|(sequence, time)| (*sequence, time.is_some()))
            .collect();
        assert_eq!(seen, [(65_535, false), (0, true), (1, true), (2, false), (3, true)]);
    }

    #[test]
    fn a_packet_that_was_reported_lost_and_then_arrives_is_reported() {
        let mut scene = Scene::new();
        scene.receive([10, 12]);
        assert_eq!(scene.received(), [10, 12]);
        scene.receive([11]);
        assert_eq!(scene.statuses(), [(11, Some(3_000)), (12, Some(2_000))]);
        scene.receive([9]);
        assert_eq!(scene.received(), [9, 10, 11, 12], "it was overtaken by the first one");
    }

    #[test]
    fn a_repeated_packet_keeps_its_first_arrival() {
        let mut scene = Scene::new();
        scene.receive([10, 11, 10, 11]);
        assert_eq!(scene.statuses(), [(10, Some(1_000)), (11, Some(2_000))]);
        scene.receive([10, 11]);
        assert!(scene.bytes().is_empty());
    }

    #[test]
    fn a_long_silence_begins_a_new_packet_with_its_own_reference_time() {
        let mut scene = Scene::new();
        scene.receive([10]);
        scene.now += 8_500_000;
        scene.receive([11, 14]);
        scene.now += 8_000_000;
        scene.receive([15]);
        let bytes = scene.bytes();
        let packets: Vec<_> = split(&bytes).into_iter().map(|packet| decode(packet).1).collect();
        assert_eq!(packets.len(), 2);
        assert_eq!(packets[0], [(10, Some(1_000))]);
        let second = 8_502_000;
        assert_eq!(
            packets[1],
            [
                (11, Some(second)),
                (12, None),
                (13, None),
                (14, Some(second + 1_000)),
                (15, Some(second + 8_002_000))
            ]
        );
    }

    #[test]
    fn packets_are_split_at_the_largest_size() {
        let steady = (0..600).filter(|sequence| sequence % 97 != 5 && sequence % 101 > 3);
        let lossy = (600..700).filter(|sequence| sequence % 3 != 0);
        let sent: Vec<u16> = steady.chain(lossy).collect();
        let (first, last) = (sent[0], sent[sent.len() - 1]);
        for max_bytes in (0..200).chain([1_200]) {
            let mut scene = Scene::new();
            scene.receive(sent[..300].iter().copied());
            scene.now += 90_000;
            scene.receive(sent[300..].iter().copied());
            let mut out = Vec::new();
            scene.feedback.write(1, 2, max_bytes, &mut out);
            let packets = split(&out);
            assert!(
                packets.iter().all(|packet| packet.len() <= max_bytes.max(36)),
                "{max_bytes}"
            );
            let statuses: Vec<_> = packets.iter().flat_map(|packet| decode(packet).1).collect();
            assert!(
                statuses.iter().map(|(sequence, _)| *sequence).eq(first..=last),
                "{max_bytes}"
            );
            let received = statuses
                .iter()
                .filter(|(_, time)| time.is_some())
                .map(|(sequence, _)| *sequence);
            assert!(received.eq(sent.iter().copied()), "{max_bytes}");
            let counts: Vec<u8> = packets.iter().map(|packet| packet[19]).collect();
            assert!(counts.is_sorted(), "{counts:?}");
        }
    }

    #[test]
    fn jumping_about_in_sequence_space_is_bounded() {
        let mut scene = Scene::new();
        for jump in 0..1_000u32 {
            scene.receive([(jump * 29_989) as u16]);
        }
        assert!(scene.statuses().len() <= WINDOW as usize);
        assert_eq!(scene.feedback.arrivals.len(), WINDOW as usize);
    }

    #[test]
    fn a_publisher_that_sends_little_in_between_is_remembered_in_little() {
        let mut scene = Scene::new();
        for round in 0..200u16 {
            scene.receive(round * 30..(round + 1) * 30);
            assert_eq!(scene.received().len(), 30);
        }
        assert_eq!(scene.feedback.arrivals.len(), FIRST_WINDOW as usize);
        scene.receive(6_000..8_000);
        assert_eq!(scene.received(), (6_000..8_000).collect::<Vec<u16>>());
        assert_eq!(scene.feedback.arrivals.len(), 2_048);
    }

    #[test]
    fn packets_from_before_the_window_are_ignored() {
        let mut scene = Scene::new();
        scene.receive([1, 5_000]);
        assert_eq!(scene.statuses().len(), WINDOW as usize);
        scene.receive([904 - 1]);
        assert!(scene.bytes().is_empty());
        scene.receive([905]);
        assert_eq!(scene.received(), [905, 5_000]);
    }

    #[test]
    fn an_arrival_of_the_last_turn_is_none_of_this_one() {
        let mut scene = Scene::new();
        scene.receive(0..4_096);
        scene.bytes();
        scene.receive([4_096 + 100]);
        let statuses = scene.statuses();
        assert_eq!(statuses.len(), 101);
        assert_eq!(statuses.iter().filter(|(_, time)| time.is_some()).count(), 1);
    }

    #[test]
    fn the_reference_time_wraps_with_the_clock() {
        let mut scene = Scene::new();
        // The time is 2^24 units of 64 ms, less one millisecond.
        scene.now = (1 << 24) * 64_000 - 2_000;
        scene.receive([1, 2, 3]);
        let (feedback, statuses) = decode(&scene.bytes());
        assert_eq!(feedback.reference_time, (1 << 24) - 1);
        let wrap = (1 << 24) * 64_000;
        assert_eq!(
            statuses,
            [(1, Some(wrap - 1_000)), (2, Some(wrap)), (3, Some(wrap + 1_000))]
        );
        scene.receive([4]);
        assert_eq!(decode(&scene.bytes()).0.reference_time, 0);
    }

    proptest! {
        /// After loss, reordering, duplicates, pauses and a few reports, the sender has in the end been sent the
        /// arrivals, with their times.
        #[test]
        fn every_arrival_is_reported_as_it_was(
            start in any::<u16>(),
            steps in prop::collection::vec((-20i64..40, 0u64..4_000, 0u8..20), 1..300),
            max_bytes in 36usize..200,
        ) {
            let mut scene = Scene::new();
            let mut newest = 1_000_000 + i64::from(start);
            let mut arrived: BTreeMap<i64, i64> = BTreeMap::new();
            let mut reported: BTreeMap<i64, i64> = BTreeMap::new();
            let last = steps.len() - 1;
            for (index, (step, ticks, choice)) in steps.into_iter().enumerate() {
                scene.now += ticks * 250 * if choice == 0 { 100 } else { 1 };
                let sequence = newest + step;
                scene.feedback.received(at(scene.now), sequence as u16);
                arrived.entry(sequence).or_insert(scene.now as i64);
                newest = newest.max(sequence);
                if choice < 3 || index == last {
                    let mut out = Vec::new();
                    scene.feedback.write(1, 2, max_bytes, &mut out);
                    for packet in split(&out) {
                        prop_assert!(packet.len() <= max_bytes);
                        for (sequence, time) in decode(packet).1 {
                            let sequence = newest + i64::from(sequence_distance(sequence, newest as u16));
                            prop_assert_eq!(arrived.get(&sequence).copied(), time);
                            reported.extend(time.map(|time| (sequence, time)));
                        }
                    }
                }
            }
            prop_assert_eq!(reported, arrived);
        }

    }

    proptest! {
        // The number of cases is small: each may write thousands of statuses hundreds of times.
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn random_sequences_never_panic(
            packets in prop::collection::vec((any::<u16>(), 0u64..100_000_000), 1..200),
            max_bytes in 0usize..1_500,
        ) {
            let mut scene = Scene::new();
            for (sequence, micros) in packets {
                scene.feedback.received(at(micros), sequence);
                let mut out = Vec::new();
                scene.feedback.write(1, 2, max_bytes, &mut out);
                for packet in split(&out) {
                    prop_assert!(decode(packet).1.len() <= WINDOW as usize);
                }
            }
        }
    }
}
