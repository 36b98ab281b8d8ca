//! The figures of a run: a table for people, JSON for programs.

use std::fmt::Write;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::figures::Totals;
use super::link::{LinkSettings, LinkTotals};
use super::options::Options;

#[derive(Debug, Serialize)]
pub struct Report {
    /// Packets that publishers sent during the measurement.
    pub sent_packets: u64,
    /// Copies that reached subscribers, each counted once.
    pub delivered_packets: u64,
    /// Copies that should have reached them and did not.
    pub lost_packets: u64,
    /// Copies that came after a later one.
    pub reordered_packets: u64,
    pub duplicate_packets: u64,
    /// Copies that were not authentic or not as sent, among those compared.
    pub corrupt_packets: u64,
    pub compared_packets: u64,
    /// Mean over all tracks at all subscribers, RTP with its header.
    pub delivered_kbps_per_track: f64,
    /// Bit rate of the track that got least.
    pub delivered_kbps_of_slowest_track: f64,
    /// Time from the sender's call to the kernel's stamp of arrival, or to the end of the simulated link. Packets that were
    /// repaired count with the time of their repair.
    pub delay_us: Percentiles,
    /// Time from the first byte of signaling until the participant's own connections are up.
    pub join_ms: JoinTimes,
    pub joins: u64,
    /// Errors, and how often each occurred.
    pub errors: Vec<Problem>,
    /// The server's usage, where `--server-pid` was given.
    pub server: Option<ServerUse>,
    /// The figures of the simulated links, where `--link` was given.
    pub(crate) link: Option<LinkFigures>,
    pub(crate) measured_s: f64,
    pub participants: u64,
    pub tracks_delivered: u64,
    /// The SRTP profile of most connections.
    pub(crate) srtp_profile: Option<&'static str>,
    pub settings: Options,
}

#[derive(Debug, Serialize)]
pub struct Percentiles {
    pub p50: u64,
    pub p95: u64,
    pub p99: u64,
    pub max: u64,
}

#[derive(Debug, Serialize)]
pub struct JoinTimes {
    pub p50: f64,
    pub p99: f64,
}

#[derive(Debug, Serialize)]
pub struct Problem {
    pub what: String,
    pub count: u64,
}

#[derive(Debug, Serialize)]
pub struct ServerUse {
    /// User and system time, divided by the copies that arrived.
    pub cpu_ns_per_delivered_packet: f64,
    /// Part of one core.
    pub(crate) cpu_share: f64,
    pub rss_bytes: u64,
    /// The growth since before the first join, divided by the participants.
    pub rss_bytes_per_participant: f64,
}

/// What simulated links did to subscribers, and what these did about it.
#[derive(Debug, Serialize)]
pub(crate) struct LinkFigures {
    /// Mean over all subscribers, everything with the headers of IP and UDP.
    pub(crate) arrived_kbps_per_subscriber: f64,
    pub(crate) arrived_kbps_of_slowest_subscriber: f64,
    /// Packets that found a link's queue full.
    pub(crate) queue_dropped_packets: u64,
    pub(crate) randomly_lost_packets: u64,
    /// Video packets that subscribers asked for again, each counted once.
    pub(crate) asked_packets: u64,
    /// Those of them that came, and those that never did.
    pub(crate) repaired_packets: u64,
    pub(crate) unrepaired_packets: u64,
    /// Requests for these packets, all repetitions counted.
    pub(crate) packet_requests: u64,
    /// Packets that were sent again although they were there: needless ones, and probes.
    pub(crate) needless_resends: u64,
    pub(crate) key_frame_requests: u64,
    /// Packets of transport-wide feedback; 0 if the server does not number its packets.
    pub(crate) feedback_packets: u64,
    /// Part of the measured time in which pictures stood still for more than 200 ms, over all pictures and in the worst one.
    pub(crate) frozen_percent: f64,
    pub(crate) frozen_percent_of_worst_picture: f64,
    pub(crate) freezes: u64,
    pub(crate) longest_freeze_ms: u64,
}

impl LinkFigures {
    fn new(totals: &Totals, links: &LinkTotals, seconds: f64) -> LinkFigures {
        let kbps = |bytes: u64| bytes as f64 * 8.0 / 1_000.0 / seconds;
        let frozen = totals.freezes.iter().map(|freezes| freezes.total);
        // The thread that receives measures a moment longer than the one that reports.
        let percent = |frozen: Duration, pictures: usize| {
            (100.0 * frozen.as_secs_f64() / (seconds * pictures.max(1) as f64)).min(100.0)
        };
        let (watched, repair) = (totals.watched, totals.watched.repair);
        let longest = totals.freezes.iter().map(|freezes| freezes.longest).max();
        LinkFigures {
            arrived_kbps_per_subscriber: kbps(links.bytes.iter().sum()) / links.bytes.len().max(1) as f64,
            arrived_kbps_of_slowest_subscriber: kbps(links.bytes.iter().copied().min().unwrap_or(0)),
            queue_dropped_packets: links.counts.queue_dropped,
            randomly_lost_packets: links.counts.randomly_lost,
            asked_packets: repair.asked,
            repaired_packets: repair.repaired,
            unrepaired_packets: repair.asked - repair.repaired,
            packet_requests: watched.requests,
            needless_resends: repair.needless,
            key_frame_requests: watched.key_frame_requests,
            feedback_packets: watched.feedbacks,
            frozen_percent: percent(frozen.clone().sum(), totals.freezes.len()),
            frozen_percent_of_worst_picture: percent(frozen.max().unwrap_or_default(), 1),
            freezes: totals.freezes.iter().map(|freezes| freezes.count).sum(),
            longest_freeze_ms: longest.unwrap_or_default().as_millis() as u64,
        }
    }

    fn rows(&self, settings: &LinkSettings, mut row: impl FnMut(&str, String)) {
        row(
            "link",
            format!(
                "{} kb/s, {} ms each way, {} % random loss",
                settings.kbit, settings.delay_ms, settings.loss_percent
            ),
        );
        row(
            "arrived through it",
            format!(
                "{:.0} kb/s a subscriber, slowest {:.0} kb/s",
                self.arrived_kbps_per_subscriber, self.arrived_kbps_of_slowest_subscriber
            ),
        );
        row(
            "lost on it",
            format!(
                "{} packets by its queue, {} by chance",
                self.queue_dropped_packets, self.randomly_lost_packets
            ),
        );
        row(
            "asked for again",
            format!(
                "{} packets in {} requests: {} came, {} never did",
                self.asked_packets, self.packet_requests, self.repaired_packets, self.unrepaired_packets
            ),
        );
        row(
            "also",
            format!(
                "{} needless resends and probes, {} key frames asked for, {} feedback packets",
                self.needless_resends, self.key_frame_requests, self.feedback_packets
            ),
        );
        row(
            "frozen",
            format!(
                "{:.2} % of the time, {} times, for {} ms at most; the worst picture {:.2} %",
                self.frozen_percent, self.freezes, self.longest_freeze_ms, self.frozen_percent_of_worst_picture
            ),
        );
    }
}

impl ServerUse {
    fn cpu(&self) -> String {
        format!(
            "{:.0} ns for each delivered packet, {:.0} % of a core",
            self.cpu_ns_per_delivered_packet,
            self.cpu_share * 100.0
        )
    }

    fn memory(&self) -> String {
        format!(
            "{:.1} MiB, {:.0} KiB for each participant",
            self.rss_bytes as f64 / 1_048_576.0,
            self.rss_bytes_per_participant / 1_024.0
        )
    }
}

/// Facts for the report beside the counts.
pub struct Around {
    pub measured: Duration,
    pub participants: u64,
    /// Join times in microseconds.
    pub joins: Histogram<u64>,
    pub server: Option<ServerUse>,
    pub(crate) srtp_profile: Option<&'static str>,
}

impl Report {
    pub fn new(totals: &Totals, around: Around, settings: Options) -> Report {
        let seconds = around.measured.as_secs_f64().max(f64::EPSILON);
        let kbps = |bytes: u64| bytes as f64 * 8.0 / 1_000.0 / seconds;
        let tracks = totals.deliveries.len();
        let bytes: u64 = totals.deliveries.iter().map(|delivery| delivery.bytes).sum();
        let slowest = totals
            .deliveries
            .iter()
            .map(|delivery| delivery.bytes)
            .min()
            .unwrap_or(0);
        let at = |quantile: f64| totals.delays_us.value_at_quantile(quantile);
        let join = |quantile: f64| around.joins.value_at_quantile(quantile) as f64 / 1_000.0;
        let mut errors: Vec<Problem> = totals
            .errors
            .iter()
            .map(|(what, count)| Problem {
                what: what.clone(),
                count: *count,
            })
            .collect();
        errors.sort_by_key(|problem| std::cmp::Reverse(problem.count));
        Report {
            sent_packets: totals.sent,
            delivered_packets: totals.delivered,
            lost_packets: totals.lost,
            reordered_packets: totals.reordered,
            duplicate_packets: totals.duplicates,
            corrupt_packets: totals.corrupt,
            compared_packets: totals.compared,
            delivered_kbps_per_track: kbps(bytes) / tracks.max(1) as f64,
            delivered_kbps_of_slowest_track: kbps(slowest),
            delay_us: Percentiles {
                p50: at(0.5),
                p95: at(0.95),
                p99: at(0.99),
                max: totals.delays_us.max(),
            },
            join_ms: JoinTimes {
                p50: join(0.5),
                p99: join(0.99),
            },
            joins: around.joins.len(),
            errors,
            server: around.server,
            link: totals
                .links
                .as_ref()
                .map(|links| LinkFigures::new(totals, links, seconds)),
            measured_s: seconds,
            participants: around.participants,
            tracks_delivered: tracks as u64,
            srtp_profile: around.srtp_profile,
            settings,
        }
    }

    pub(crate) fn table(&self) -> String {
        let mut text = String::new();
        let mut row = |name: &str, value: String| {
            let _ = writeln!(text, "  {name:<22}{value}");
        };
        let millis = |micros: u64| format!("{:.2}", micros as f64 / 1_000.0);
        let copies = self.delivered_packets + self.lost_packets;
        let part = 100.0 * self.lost_packets as f64 / copies.max(1) as f64;
        row("participants", self.participants.to_string());
        row("measured", format!("{:.1} s", self.measured_s));
        row("sent", format!("{} packets", self.sent_packets));
        row(
            "delivered",
            format!(
                "{} copies, {:.0} a second",
                self.delivered_packets,
                self.delivered_packets as f64 / self.measured_s
            ),
        );
        row("lost", format!("{} ({part:.3} %)", self.lost_packets));
        row(
            "out of order",
            format!("{}, duplicates {}", self.reordered_packets, self.duplicate_packets),
        );
        row(
            "corrupt",
            format!("{} of {} compared", self.corrupt_packets, self.compared_packets),
        );
        row(
            "bit rate of a track",
            format!(
                "{:.0} kb/s, slowest {:.0} kb/s",
                self.delivered_kbps_per_track, self.delivered_kbps_of_slowest_track
            ),
        );
        row(
            "delay",
            format!(
                "p50 {}  p95 {}  p99 {}  max {} ms",
                millis(self.delay_us.p50),
                millis(self.delay_us.p95),
                millis(self.delay_us.p99),
                millis(self.delay_us.max)
            ),
        );
        row(
            "join",
            format!(
                "p50 {:.1}  p99 {:.1} ms, {} joins",
                self.join_ms.p50, self.join_ms.p99, self.joins
            ),
        );
        if let Some((link, settings)) = self.link.as_ref().zip(self.settings.link) {
            link.rows(&settings, &mut row);
        }
        row("SRTP", self.srtp_profile.unwrap_or("-").to_owned());
        if let Some(server) = &self.server {
            row("server CPU", server.cpu());
            row("server memory", server.memory());
        }
        for problem in &self.errors {
            row("problem", format!("{} ({} times)", problem.what, problem.count));
        }
        text
    }
}
