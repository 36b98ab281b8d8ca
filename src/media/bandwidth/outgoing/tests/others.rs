//! Other estimators on the same links: libwebrtc's, as the crate `goog_cc` has ported it, and the one of `rtc-interceptor`.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use goog_cc::network_control::{NetworkControllerConfig, NetworkControllerInterface};
use goog_cc::transport::{
    NetworkAvailability, NetworkControlUpdate, PacedPacketInfo, PacketResult, ProbeClusterConfig, ProcessInterval,
    RoundTripTimeUpdate, SentPacket, StreamsConfig, TargetRateConstraints, TransportPacketsFeedback,
};
use goog_cc::units::{DataRate, DataSize, TimeDelta, Timestamp};
use goog_cc::{GoogCcConfig, GoogCcNetworkController};
use rtc_interceptor::{BandwidthEstimator, Gcc, PacketReport};

use super::super::{Micros, Probe, Report};
use super::world::Controller;
use crate::media::virtual_time::epoch;

const START: u64 = 300_000;
const MIN: u64 = 50_000;
const MAX: u64 = 30_000_000;
const BURST: Micros = 40_000;
const INTERVAL: Micros = 25_000;

/// `rtc-interceptor`'s. It sends no probes, and knows of no demand.
pub struct Interceptors {
    gcc: Gcc,
    next: u64,
}

impl Interceptors {
    pub fn new() -> Interceptors {
        Interceptors {
            gcc: Gcc::new(START as f64, MIN as f64, MAX as f64),
            next: 0,
        }
    }
}

fn instant(at: Micros) -> Instant {
    epoch() + Duration::from_micros(at)
}

impl Controller for Interceptors {
    fn sent(&mut self, _now: Micros, _bytes: u32, _probe: Option<u8>) {}

    fn feedback(&mut self, now: Micros, _round_trip: Micros, reports: &[Report]) {
        let mut all = Vec::with_capacity(reports.len());
        for report in reports {
            self.next += 1;
            all.push(PacketReport {
                ssrc: 1,
                id: self.next,
                rtp_sequence_number: self.next as u16,
                is_twcc: true,
                twcc_sequence_number: self.next as u16,
                size: report.bytes as usize,
                arrived: report.arrived.is_some(),
                departure: instant(report.sent),
                arrival: report.arrived.map(Duration::from_micros),
                ecn: Default::default(),
            });
        }
        self.gcc.on_reports(instant(now), &all);
    }

    fn demand(&mut self, _now: Micros, _bits_per_second: u64) {}

    fn next_probe(&mut self, _now: Micros) -> Option<Probe> {
        None
    }

    fn timeout(&mut self, now: Micros) {
        if self.gcc.poll_timeout().is_some_and(|at| at <= instant(now)) {
            self.gcc.handle_timeout(instant(now));
        }
    }

    fn target(&self) -> u64 {
        self.gcc.target_bitrate() as u64
    }

    fn burst(&self) -> Micros {
        BURST
    }
}

/// libwebrtc's of December 2024.
pub struct Libwebrtcs {
    controller: GoogCcNetworkController,
    target: u64,
    probes: VecDeque<ProbeClusterConfig>,
    /// The probe that is being sent, the number that we gave it, and the bytes of it that were sent.
    probe: Option<(ProbeClusterConfig, u8, i64)>,
    clusters: u8,
    infos: VecDeque<(Micros, u8, PacedPacketInfo)>,
    next: i64,
    in_flight: i64,
    processed_at: Micros,
    demand: u64,
}

fn time(at: Micros) -> Timestamp {
    // Its times must not be zero.
    Timestamp::from_micros(at as i64 + 1_000_000)
}

fn rate(bits_per_second: u64) -> DataRate {
    DataRate::from_bits_per_sec(bits_per_second as i64)
}

impl Libwebrtcs {
    pub fn new(now: Micros) -> Libwebrtcs {
        let constraints = TargetRateConstraints {
            at_time: time(now),
            min_data_rate: Some(rate(MIN)),
            max_data_rate: Some(rate(MAX)),
            starting_rate: Some(rate(START)),
        };
        let config = NetworkControllerConfig {
            constraints,
            stream_based_config: StreamsConfig {
                at_time: time(now),
                requests_alr_probing: Some(true),
                ..StreamsConfig::default()
            },
            field_trials: Default::default(),
        };
        let mut new = Libwebrtcs {
            controller: GoogCcNetworkController::new(config, GoogCcConfig { feedback_only: true }),
            target: START,
            probes: VecDeque::new(),
            probe: None,
            clusters: 0,
            infos: VecDeque::new(),
            next: 0,
            in_flight: 0,
            processed_at: now,
            demand: 0,
        };
        let update = new.controller.on_network_availability(NetworkAvailability {
            at_time: time(now),
            network_available: true,
        });
        new.take(update);
        let update = new.controller.on_process_interval(ProcessInterval {
            at_time: time(now),
            pacer_queue: None,
        });
        new.take(update);
        new
    }

    fn take(&mut self, update: NetworkControlUpdate) {
        if let Some(target) = update.target_rate {
            self.target = target.target_rate.bps().max(0) as u64;
        }
        self.probes.extend(update.probe_cluster_configs);
    }

    fn info(&mut self, bytes: u32, probe: Option<u8>) -> PacedPacketInfo {
        let Some((config, number, sent)) = self.probe.as_mut().filter(|(_, number, _)| probe == Some(*number)) else {
            return PacedPacketInfo::default();
        };
        let _ = number;
        let bytes_min = config.target_data_rate.bps() * config.target_duration.us() / 8_000_000;
        let mut info = PacedPacketInfo::new(config.id, i64::from(config.target_probe_count), bytes_min);
        info.send_bitrate = config.target_data_rate;
        info.probe_cluster_bytes_sent = *sent;
        *sent += i64::from(bytes);
        info
    }
}

impl Controller for Libwebrtcs {
    fn sent(&mut self, now: Micros, bytes: u32, probe: Option<u8>) {
        let pacing_info = self.info(bytes, probe);
        if let Some(probe) = probe {
            self.infos.push_back((now, probe, pacing_info));
            self.infos.truncate(4_096);
        }
        self.next += 1;
        self.in_flight += i64::from(bytes);
        let update = self.controller.on_sent_packet(SentPacket {
            send_time: time(now),
            size: DataSize::from_bytes(i64::from(bytes)),
            prior_unacked_data: DataSize::zero(),
            pacing_info,
            audio: false,
            sequence_number: self.next,
            data_in_flight: DataSize::from_bytes(self.in_flight),
        });
        self.take(update);
    }

    fn feedback(&mut self, now: Micros, round_trip: Micros, reports: &[Report]) {
        let mut packet_feedbacks = Vec::with_capacity(reports.len());
        for report in reports {
            self.in_flight = (self.in_flight - i64::from(report.bytes)).max(0);
            let position = self
                .infos
                .iter()
                .position(|(sent, probe, _)| *sent == report.sent && report.probe == Some(*probe));
            let pacing_info = position
                .and_then(|position| self.infos.remove(position))
                .map_or_else(PacedPacketInfo::default, |(_, _, info)| info);
            packet_feedbacks.push(PacketResult {
                sent_packet: SentPacket {
                    send_time: time(report.sent),
                    size: DataSize::from_bytes(i64::from(report.bytes)),
                    pacing_info,
                    ..SentPacket::default()
                },
                receive_time: report.arrived.map_or(Timestamp::plus_infinity(), time),
                ..PacketResult::default()
            });
        }
        let update = self.controller.on_round_trip_time_update(RoundTripTimeUpdate {
            receive_time: time(now),
            round_trip_time: TimeDelta::from_micros(round_trip as i64),
            smoothed: false,
        });
        self.take(update);
        if !reports.iter().any(|report| report.arrived.is_some()) {
            // It would panic.
            return;
        }
        let update = self.controller.on_transport_packets_feedback(TransportPacketsFeedback {
            feedback_time: time(now),
            data_in_flight: DataSize::from_bytes(self.in_flight),
            packet_feedbacks,
            sendless_arrival_times: Vec::new(),
        });
        self.take(update);
    }

    fn demand(&mut self, now: Micros, bits_per_second: u64) {
        if self.demand == bits_per_second {
            return;
        }
        self.demand = bits_per_second;
        let update = self.controller.on_streams_config(StreamsConfig {
            at_time: time(now),
            requests_alr_probing: Some(true),
            max_total_allocated_bitrate: Some(rate(bits_per_second)),
            max_padding_rate: Some(DataRate::zero()),
            ..StreamsConfig::default()
        });
        self.take(update);
    }

    fn next_probe(&mut self, _now: Micros) -> Option<Probe> {
        let config = self.probes.pop_front()?;
        let bits_per_second = config.target_data_rate.bps().max(1) as u64;
        self.clusters = self.clusters.wrapping_add(1);
        let probe = Probe {
            cluster: self.clusters,
            bits_per_second,
            bytes: (bits_per_second * config.target_duration.us() as u64 / 8_000_000) as u32,
            packets_min: config.target_probe_count.clamp(1, 200) as u8,
        };
        self.probe = Some((config, self.clusters, 0));
        Some(probe)
    }

    fn timeout(&mut self, now: Micros) {
        if now >= self.processed_at + INTERVAL {
            self.processed_at = now;
            let update = self.controller.on_process_interval(ProcessInterval {
                at_time: time(now),
                pacer_queue: None,
            });
            self.take(update);
        }
    }

    fn target(&self) -> u64 {
        self.target
    }

    fn burst(&self) -> Micros {
        BURST
    }
}
