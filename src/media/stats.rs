//! The counts of a worker: plain numbers, copied by the driver about once a second.

use metrics::{Counter, Gauge, Histogram};

use super::report::PathReport;
use super::speaker::Loudness;

/// What estimators are doing, in the order of [`State`](super::bandwidth::outgoing::State).
const STATES: [&str; 5] = ["growing", "holding", "verifying", "competing", "silent"];

/// Totals since the start, and current numbers of things.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub peers: u64,
    /// Connections whose client has fallen silent.
    pub suspended: u64,
    /// Connections whose participant speaks.
    pub speaking: u64,
    /// Tracks published here.
    pub tracks: u64,
    /// Tracks published on other workers, for subscribers that live here.
    pub mirrored_tracks: u64,
    pub subscriptions: u64,
    /// With connections here.
    pub rooms: u64,
    pub known_addresses: u64,
    /// Connections that are sent media by TCP.
    pub tcp_peers: u64,
    /// Connections that are sent media by our relay.
    pub relay_peers: u64,
    /// TCP connections that are open, used or not.
    pub tcp_connections: u64,
    /// Bytes of packets kept for subscribers who may miss them.
    pub cache_bytes: u64,
    /// Datagrams of any kind that came in.
    pub(crate) received_datagrams: u64,
    pub(crate) received_bytes: u64,
    /// RTP packets that were authentic and new.
    pub received_packets: u64,
    /// Copies sent to subscribers.
    pub forwarded_packets: u64,
    /// Packets passed on over links, once for each mirror of their track.
    pub mirrored_packets: u64,
    /// Packets for such mirrors that were dropped, because the other end did not keep up.
    pub mirror_dropped_packets: u64,
    /// Sends to the kernel: with GSO one carries many packets.
    pub sends: u64,
    /// Datagrams that had no room among those to be sent.
    pub unsent_datagrams: u64,
    /// Datagrams that the kernel did not take, or for whose address there is no socket.
    pub(crate) refused_datagrams: u64,
    /// Packets that were dropped because their client read its TCP connection too slowly.
    pub(crate) tcp_dropped_packets: u64,
    /// Packets that were dropped because our relay took too few of them.
    pub(crate) relay_dropped_packets: u64,
    /// TCP connections that a worker closed because of what came over them.
    pub(crate) tcp_refused_connections: u64,
    /// Copies sent again after a NACK.
    pub resent_packets: u64,
    /// Datagrams that were dropped: from an unknown address, unreadable, or of no class.
    pub dropped_datagrams: u64,
    /// SRTP or SRTCP that was not authentic, or replayed.
    pub rejected_packets: u64,
    /// Connectivity checks that were not authentic.
    pub rejected_checks: u64,
    pub nacks_sent: u64,
    pub nacks_received: u64,
    pub key_frame_requests_sent: u64,
    pub(crate) key_frame_requests_received: u64,
    /// Times that a subscriber was found to decode no published format.
    pub undecodable: u64,
    /// Seconds of sound of all participants, by [`Loudness`]: each second counts one for every participant that sends sound.
    pub loudness: [u64; Loudness::ALL.len()],
    /// Packets that clients' feedback told of, and those of them that were lost.
    pub reported_packets: u64,
    pub reported_lost_packets: u64,
    /// Viewers who began with a key frame that had come before.
    pub replays: u64,
    /// Packets that waited until their path had room for them.
    pub paced_packets: u64,
    /// Packets that were sent only to learn what a path carries.
    pub probe_packets: u64,
    /// Probes after which more is known to arrive, and those that showed no more than before.
    pub probes_won: u64,
    pub(crate) probes_lost: u64,
    /// Videos that are sent as wanted, that are sent smaller, that cannot be sent, and that nobody wants to see, each counted once
    /// for each viewer whose videos are divided.
    pub full_videos: u64,
    pub reduced_videos: u64,
    pub paused_videos: u64,
    pub unwanted_videos: u64,
    /// Times that what a viewer gets of a video became something else.
    pub video_changes: u64,
    /// Time for which videos were not sent because the path did not carry them, all together.
    pub paused_video_millis: u64,
    /// Estimates (REMB) sent to publishers.
    pub estimates_sent: u64,
    /// Times that a client was told which of its encodings are wanted.
    pub(crate) layer_orders: u64,
    /// Connections that are asked for less than they could send.
    pub steered_peers: u64,
    /// Connections whose path is estimated, by what their estimator is doing.
    pub(crate) estimates: [u64; STATES.len()],
    /// Copies of sound whose packets repeat earlier ones, because their clients lose packets.
    pub repeating_copies: u64,
    /// Packets of sound that were forwarded to nobody, because others in their room were louder.
    pub held_packets: u64,
    /// Packets of sound that were lost on the way here and taken from the packets after them.
    pub recovered_packets: u64,
    /// Visits to a connection or a track, because something of it was due, and to a link, because something came over it.
    pub visits: u64,
    pub connected: u64,
    pub failed: u64,
}

impl Stats {
    fn gauges(&self) -> [(&'static str, u64); 18] {
        [
            ("patchbay_media_peers", self.peers),
            ("patchbay_media_suspended_peers", self.suspended),
            ("patchbay_media_speaking_peers", self.speaking),
            ("patchbay_media_steered_peers", self.steered_peers),
            ("patchbay_media_full_videos", self.full_videos),
            ("patchbay_media_reduced_videos", self.reduced_videos),
            ("patchbay_media_paused_videos", self.paused_videos),
            ("patchbay_media_unwanted_videos", self.unwanted_videos),
            ("patchbay_media_tracks", self.tracks),
            ("patchbay_media_mirrored_tracks", self.mirrored_tracks),
            ("patchbay_media_subscriptions", self.subscriptions),
            ("patchbay_media_rooms", self.rooms),
            ("patchbay_media_known_addresses", self.known_addresses),
            ("patchbay_media_tcp_peers", self.tcp_peers),
            ("patchbay_media_relay_peers", self.relay_peers),
            ("patchbay_media_tcp_connections", self.tcp_connections),
            ("patchbay_media_cache_bytes", self.cache_bytes),
            ("patchbay_media_repeating_copies", self.repeating_copies),
        ]
    }

    fn counters(&self) -> [(&'static str, u64); 37] {
        [
            ("patchbay_media_received_datagrams_total", self.received_datagrams),
            ("patchbay_media_received_bytes_total", self.received_bytes),
            ("patchbay_media_received_packets_total", self.received_packets),
            ("patchbay_media_forwarded_packets_total", self.forwarded_packets),
            ("patchbay_media_mirrored_packets_total", self.mirrored_packets),
            (
                "patchbay_media_mirror_dropped_packets_total",
                self.mirror_dropped_packets,
            ),
            ("patchbay_media_sends_total", self.sends),
            ("patchbay_media_unsent_datagrams_total", self.unsent_datagrams),
            ("patchbay_media_refused_datagrams_total", self.refused_datagrams),
            ("patchbay_media_tcp_dropped_packets_total", self.tcp_dropped_packets),
            ("patchbay_media_relay_dropped_packets_total", self.relay_dropped_packets),
            (
                "patchbay_media_tcp_refused_connections_total",
                self.tcp_refused_connections,
            ),
            ("patchbay_media_resent_packets_total", self.resent_packets),
            ("patchbay_media_dropped_datagrams_total", self.dropped_datagrams),
            ("patchbay_media_rejected_packets_total", self.rejected_packets),
            ("patchbay_media_rejected_checks_total", self.rejected_checks),
            ("patchbay_media_nacks_sent_total", self.nacks_sent),
            ("patchbay_media_nacks_received_total", self.nacks_received),
            (
                "patchbay_media_key_frame_requests_sent_total",
                self.key_frame_requests_sent,
            ),
            (
                "patchbay_media_key_frame_requests_received_total",
                self.key_frame_requests_received,
            ),
            ("patchbay_media_reported_packets_total", self.reported_packets),
            ("patchbay_media_reported_lost_packets_total", self.reported_lost_packets),
            ("patchbay_media_replays_total", self.replays),
            ("patchbay_media_paced_packets_total", self.paced_packets),
            ("patchbay_media_probe_packets_total", self.probe_packets),
            ("patchbay_media_probes_won_total", self.probes_won),
            ("patchbay_media_probes_lost_total", self.probes_lost),
            ("patchbay_media_estimates_sent_total", self.estimates_sent),
            ("patchbay_media_layer_orders_total", self.layer_orders),
            ("patchbay_media_held_packets_total", self.held_packets),
            ("patchbay_media_recovered_packets_total", self.recovered_packets),
            ("patchbay_media_video_changes_total", self.video_changes),
            (
                "patchbay_media_paused_video_seconds_total",
                self.paused_video_millis / 1_000,
            ),
            ("patchbay_media_undecodable_total", self.undecodable),
            ("patchbay_media_visits_total", self.visits),
            ("patchbay_media_peers_connected_total", self.connected),
            ("patchbay_media_peers_failed_total", self.failed),
        ]
    }
}

/// What is known of the paths to clients: a sample of each path about once a second, of all workers together.
pub(crate) struct PathMeters {
    target: Histogram,
    acked: Histogram,
    queue_delay: Histogram,
    loss: Histogram,
}

impl PathMeters {
    fn new() -> PathMeters {
        PathMeters {
            target: metrics::histogram!("patchbay_media_target_bits_per_second"),
            acked: metrics::histogram!("patchbay_media_acked_bits_per_second"),
            queue_delay: metrics::histogram!("patchbay_media_queue_delay_seconds"),
            loss: metrics::histogram!("patchbay_media_loss_ratio"),
        }
    }

    /// Counts what is known of a path now.
    pub(crate) fn sample(&self, path: &PathReport) {
        if let Some(target) = path.target_bps {
            self.target.record(target as f64);
        }
        if let Some(arrivals) = path.arrivals {
            self.acked.record(arrivals.acked_bps as f64);
            self.queue_delay.record(arrivals.queue_delay_micros as f64 / 1e6);
            self.loss.record(f64::from(arrivals.lost_256) / 256.0);
        }
    }
}

/// The Prometheus metrics of one worker. Each is looked up by its name once.
pub(crate) struct WorkerMeters {
    gauges: Vec<Gauge>,
    counters: Vec<Counter>,
    loudness: [Counter; Loudness::ALL.len()],
    pub(crate) paths: PathMeters,
    estimates: [Gauge; STATES.len()],
    shown: Stats,
}

impl WorkerMeters {
    /// The metrics of worker `index`. A replacement begins at zero, and its counters continue those of the lost worker.
    pub fn new(index: usize) -> WorkerMeters {
        let worker = index.to_string();
        let nothing = Stats::default();
        let gauge = |(name, _)| metrics::gauge!(name, "worker" => worker.clone());
        let counter = |(name, _)| metrics::counter!(name, "worker" => worker.clone());
        WorkerMeters {
            gauges: nothing.gauges().map(gauge).into(),
            counters: nothing.counters().map(counter).into(),
            loudness: Loudness::ALL.map(|loudness| {
                let labels = [("worker", worker.clone()), ("loudness", loudness.name().to_owned())];
                metrics::counter!("patchbay_media_sound_seconds_total", &labels)
            }),
            paths: PathMeters::new(),
            estimates: STATES.map(|state| {
                let labels = [("worker", worker.clone()), ("state", state.to_owned())];
                metrics::gauge!("patchbay_media_estimates", &labels)
            }),
            shown: nothing,
        }
    }

    pub(crate) fn show(&mut self, stats: &Stats) {
        for (gauge, (_, value)) in self.gauges.iter().zip(stats.gauges()) {
            gauge.set(value as f64);
        }
        let values = stats.counters().into_iter().zip(self.shown.counters());
        for (counter, ((_, value), (_, shown))) in self.counters.iter().zip(values) {
            counter.increment(value.saturating_sub(shown));
        }
        let values = stats.loudness.into_iter().zip(self.shown.loudness);
        for (counter, (value, shown)) in self.loudness.iter().zip(values) {
            counter.increment(value.saturating_sub(shown));
        }
        for (gauge, count) in self.estimates.iter().zip(stats.estimates) {
            gauge.set(count as f64);
        }
        self.shown = *stats;
    }
}
