//! The listening sockets, opened before anything runs.

use std::net::{IpAddr, SocketAddr};

use super::media_settings;
use super::relay::RelaySockets;
use crate::config::{Config, Listener};
use crate::http::listeners::{self, Bound, ListenError};
use crate::media::engine::MediaEngine;
use crate::media::launch::MediaSettings;

/// The listening sockets, before anybody accepts.
pub(super) struct Sockets {
    pub pages: Vec<Bound>,
    pub media: Vec<Bound>,
    pub metrics: Option<Bound>,
    pub relay: Option<RelaySockets>,
}

impl Sockets {
    /// Opens all of them. The settings of the media engine then say at which of them it is reached.
    pub fn bind(config: &Config) -> Result<(Sockets, MediaSettings), ListenError> {
        let pages = listeners::bind_all(config)?;
        let mut settings = media_settings(config);
        let media = bind_media_by_tcp(config, &mut settings, &pages)?;
        let metrics = metrics_listener(config)
            .map(|listener| listeners::bind(listener, "metrics.address"))
            .transpose()?;
        let relay = RelaySockets::bind(config, &settings.bind_addresses)?;
        let sockets = Sockets {
            pages,
            media,
            metrics,
            relay,
        };
        Ok((sockets, settings))
    }

    /// The port of a listener with TLS. One that only this machine reaches counts where there is no other.
    pub fn tls_port(&self) -> Option<u16> {
        let with_tls = self.pages.iter().filter(|page| page.tls);
        let widest = with_tls.min_by_key(|page| page.address.ip().is_loopback());
        widest.map(|page| page.address.port())
    }
}

fn metrics_listener(config: &Config) -> Option<Listener> {
    let address = config.metrics.own_address()?;
    Some(Listener { address, tls: false })
}

/// Opens the sockets for media by TCP, if there are to be any, and notes in `settings` where clients may connect: there, and at the
/// listeners with TLS.
pub(crate) fn bind_media_by_tcp(
    config: &Config,
    settings: &mut MediaSettings,
    pages: &[Bound],
) -> Result<Vec<Bound>, ListenError> {
    if !config.media.tcp {
        return Ok(Vec::new());
    }
    let port = match config.media.tcp_port {
        0 => config.media.first_port,
        port => port,
    };
    // Where a listener with TLS has this port, media comes to that.
    let has_pages = |address: &SocketAddr| {
        let is_there = |ip: IpAddr| ip == address.ip() || (ip.is_ipv4() == address.is_ipv4() && ip.is_unspecified());
        let mut pages = pages.iter().filter(|page| page.tls);
        port != 0 && pages.any(|page| page.address.port() == port && is_there(page.address.ip()))
    };
    let addresses = settings.bind_addresses.iter().map(|&ip| SocketAddr::new(ip, port));
    let addresses = addresses.filter(|address| !has_pages(address));
    let sockets = listeners::bind_media(addresses)?;
    // What listens on loopback alone is not reached from where media comes.
    let is_for_clients = |page: &&Bound| page.tls && (config.is_loopback_only() || !page.address.ip().is_loopback());
    let pages = pages.iter().filter(is_for_clients);
    settings.tcp_listeners = sockets.iter().chain(pages).map(|socket| socket.address).collect();
    Ok(sockets)
}

/// Where media comes in, for the person who started the server.
pub(super) struct MediaAddresses {
    udp: Vec<SocketAddr>,
    tcp: Vec<SocketAddr>,
    /// The line about the relay, if there is one.
    relay: Option<String>,
}

impl MediaAddresses {
    pub fn of(media: &MediaEngine, relay: Option<&RelaySockets>) -> MediaAddresses {
        let first = media.addresses().next();
        MediaAddresses {
            udp: media.addresses().flat_map(|local| local.candidates.clone()).collect(),
            // All workers have the same ones.
            tcp: first.map(|local| local.tcp_candidates.clone()).unwrap_or_default(),
            relay: relay.map(RelaySockets::line),
        }
    }

    pub fn lines(&self) -> Vec<String> {
        let line = |protocol: &str, addresses: &[SocketAddr]| {
            let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
            (!addresses.is_empty()).then(|| format!("Media by {protocol} on {}", addresses.join(", ")))
        };
        [line("UDP", &self.udp), line("TCP", &self.tcp), self.relay.clone()]
            .into_iter()
            .flatten()
            .collect()
    }
}
