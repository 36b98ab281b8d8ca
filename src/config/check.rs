//! What types alone cannot say of a configuration: ranges, and keys that need one another.

use super::Config;
use crate::media::pinning::{Pinning, PinningError};

/// A sentence naming the key, or nothing.
pub(super) fn check(config: &Config) -> Result<(), String> {
    listeners(config)?;
    tls(config)?;
    http(config)?;
    media(config)?;
    numbers(config)?;
    words(config)
}

fn listeners(config: &Config) -> Result<(), String> {
    if config.listeners.is_empty() {
        return Err("listeners is empty: the server would be reachable nowhere. Give at least one address".into());
    }
    for (index, listener) in config.listeners.iter().enumerate() {
        let again = |other: &super::Listener| other.address == listener.address && listener.address.port() != 0;
        if config.listeners.iter().skip(index + 1).any(again) {
            return Err(format!("listeners has the address {} twice", listener.address));
        }
    }
    Ok(())
}

fn tls(config: &Config) -> Result<(), String> {
    match (
        config.tls.certificate.as_os_str().is_empty(),
        config.tls.key.as_os_str().is_empty(),
    ) {
        (false, true) => Err("tls.certificate is given without tls.key; give both or neither".into()),
        (true, false) => Err("tls.key is given without tls.certificate; give both or neither".into()),
        _ => Ok(()),
    }
}

fn http(config: &Config) -> Result<(), String> {
    for host in &config.http.allowed_hosts {
        if !is_host_pattern(host) {
            return Err(format!(
                "http.allowed_hosts: `{host}` is not a host name; write calls.example.org or *.example.org, without \
                scheme and port, or \"*\" for every name"
            ));
        }
    }
    for origin in &config.http.allowed_origins {
        if origin != "*" && !is_origin(origin) {
            return Err(format!(
                "http.allowed_origins: `{origin}` is not an origin; write scheme://host or scheme://host:port, without a path"
            ));
        }
    }
    for source in &config.http.frame_ancestors {
        // The value goes into a header: one that could end the directive or the header is refused here.
        let harmless = |c: char| c.is_ascii_graphic() && c != ';' && c != ',';
        if source.is_empty() || !source.chars().all(harmless) {
            return Err(format!(
                "http.frame_ancestors: `{source}` is not a source; write \"'self'\", \"'none'\" or an origin"
            ));
        }
    }
    Ok(())
}

fn is_host_pattern(text: &str) -> bool {
    let name = text.strip_prefix("*.").unwrap_or(text);
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    text == "*" || (!name.is_empty() && name.chars().all(fits))
}

/// Browsers say `null` or `file://` for a page that is a file, and `null` for some others.
fn is_origin(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, authority)| {
        !scheme.is_empty()
            && !authority.is_empty()
            && text.is_ascii()
            && !authority.contains(['/', '?', '#', '@', ' ', '*'])
    })
}

fn media(config: &Config) -> Result<(), String> {
    const MAX_WORKERS: usize = 256;
    let media = &config.media;
    let pinning = Pinning::parse(&media.pin_workers).map_err(|error| format!("media.pin_workers: {error}"))?;
    if let (Some(cpus), workers @ 1..) = (pinning.workers(), media.workers)
        && cpus != workers
    {
        let error = PinningError::Count { cpus, workers };
        return Err(format!("media.pin_workers: {error}"));
    }
    let workers = pinning.workers().unwrap_or(media.workers);
    if workers > MAX_WORKERS {
        return Err(format!("media.workers is {workers}; at most {MAX_WORKERS} make sense"));
    }
    let last_port = usize::from(media.first_port) + workers.max(1) - 1;
    if media.first_port != 0 && last_port > usize::from(u16::MAX) {
        return Err(format!(
            "media.first_port {} leaves no ports for {workers} workers; ports end at 65535",
            media.first_port
        ));
    }
    if let Some(address) = media
        .announced_addresses
        .iter()
        .find(|a| a.is_unspecified() || a.is_multicast())
    {
        return Err(format!(
            "media.announced_addresses: clients cannot send to {address}; give the address by which they reach this machine"
        ));
    }
    Ok(())
}

fn numbers(config: &Config) -> Result<(), String> {
    let at_least_one: [(&str, u64); 22] = [
        ("http.max_connections", config.http.max_connections as u64),
        ("http.least_kbps", config.http.least_kbps.into()),
        ("http.header_timeout_s", config.http.header_timeout_s),
        ("media.max_publish_kbps", config.media.max_publish_kbps.into()),
        (
            "media.room_subscriptions_per_worker",
            config.media.room_subscriptions_per_worker as u64,
        ),
        ("calls.ring_timeout_s", config.calls.ring_timeout_s),
        ("limits.max_sessions", config.limits.max_sessions as u64),
        ("limits.max_rooms", config.limits.max_rooms as u64),
        (
            "limits.max_participants_per_room",
            config.limits.max_participants_per_room as u64,
        ),
        (
            "limits.address_share_percent",
            config.limits.address_share_percent.into(),
        ),
        ("limits.fan_out_kib_per_s", config.limits.fan_out_kib_per_s.into()),
        ("storage.max_connections", config.storage.max_connections.into()),
        ("files.max_size_mib", config.files.max_size_mib),
        ("files.total_size_mib", config.files.total_size_mib),
        ("files.expire_after_h", config.files.expire_after_h),
        ("files.max_uploads", config.files.max_uploads as u64),
        ("messages.offline_per_user", config.messages.offline_per_user.into()),
        (
            "messages.offline_expire_after_h",
            config.messages.offline_expire_after_h,
        ),
        (
            "accounts.rotate_secret_after_d",
            config.accounts.rotate_secret_after_d.into(),
        ),
        ("accounts.max_devices", positive(config.accounts.max_devices)),
        ("accounts.max_contacts", positive(config.accounts.max_contacts)),
        ("messages.offline_total_mib", config.messages.offline_total_mib),
    ];
    // Larger values overflow what they are turned into (bytes, deadlines, semaphores), and mean nothing anyway.
    const MOST: u64 = 1 << 40;
    for (key, value) in at_least_one {
        if value == 0 {
            return Err(format!("{key} is 0; it must be at least 1"));
        }
        if value > MOST {
            return Err(format!("{key} is {value}; at most {MOST} is possible"));
        }
    }
    let share = config.limits.address_share_percent;
    if share > 100 {
        return Err(format!(
            "limits.address_share_percent is {share}; 100 is all of it, the most that is possible"
        ));
    }
    // So much of 32 seconds is counted in 32 bits.
    const MOST_FAN_OUT: u32 = 100_000;
    let fan_out = config.limits.fan_out_kib_per_s;
    if fan_out > MOST_FAN_OUT {
        return Err(format!(
            "limits.fan_out_kib_per_s is {fan_out}; at most {MOST_FAN_OUT} are possible"
        ));
    }
    // All that wait are delivered at once, into a queue of twice as many.
    const MOST_WAITING: u32 = 500;
    let waiting = config.messages.offline_per_user;
    if waiting > MOST_WAITING {
        return Err(format!(
            "messages.offline_per_user is {waiting}; at most {MOST_WAITING} are possible"
        ));
    }
    Ok(())
}

/// What is negative is as little as nothing.
fn positive(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn words(config: &Config) -> Result<(), String> {
    if config.groupcall.text_message_types.is_empty() {
        return Err("groupcall.text_message_types is empty: chat texts would reach nobody".into());
    }
    for pattern in &config.files.allowed_types {
        if !pattern
            .split_once('/')
            .is_some_and(|(kind, rest)| !kind.is_empty() && !rest.is_empty())
        {
            return Err(format!(
                "files.allowed_types: `{pattern}` is not a type; write type/subtype or type/*"
            ));
        }
    }
    if !config.metrics.address.is_empty() && config.metrics.own_address().is_none() {
        return Err(format!(
            "metrics.address: `{}` is not an address; write it as 127.0.0.1:9100, or leave it empty",
            config.metrics.address
        ));
    }
    tracing_subscriber::EnvFilter::try_new(&config.log.filter)
        .map(drop)
        .map_err(|e| format!("log.filter: `{}` is not a filter: {e}", config.log.filter))
}
