//! The settings of the media engine, as the configuration and this machine give them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

use crate::config::Config;
use crate::media::launch::MediaSettings;
use crate::pinning::Pinning;

/// The settings of the media engine. Media is reachable from where the pages are: loopback alone by default,
/// everywhere once a listener is wider.
pub(crate) fn media_settings(config: &Config) -> MediaSettings {
    let media = &config.media;
    let loopback = config.is_loopback_only();
    let bind_addresses = match (media.bind_addresses.is_empty(), loopback) {
        (false, _) => media.bind_addresses.clone(),
        (true, true) => available([Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]),
        (true, false) => available([Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()]),
    };
    let announced_addresses = match media.announced_addresses.is_empty() {
        true if loopback && media.bind_addresses.is_empty() => bind_addresses.clone(),
        _ => media.announced_addresses.clone(),
    };
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    // The check of the configuration has parsed it before.
    let pinning = Pinning::parse(&media.pin_workers).unwrap_or_default();
    let workers = match media.workers {
        0 => pinning.workers().unwrap_or(processors),
        workers => workers,
    };
    MediaSettings {
        bind_addresses,
        first_port: media.first_port,
        workers,
        pinning,
        announced_addresses,
        public_addresses: Vec::new(),
        tcp_listeners: Vec::new(),
        max_publish_bps: u64::from(media.max_publish_kbps) * 1_000,
    }
}

/// The addresses that this machine has, of our own choices: some machines have no IPv6.
fn available(addresses: [IpAddr; 2]) -> Vec<IpAddr> {
    let works = |address: &IpAddr| UdpSocket::bind((*address, 0)).is_ok();
    addresses.into_iter().filter(works).collect()
}
