//! Rules that a single value cannot show: keys that need one another, and texts with a form of their
//! own.

use jiff::tz::TimeZone;

use super::{Config, Media, push as config};
use crate::auth::access_token::App;
use crate::pinning::{Pinning, PinningError};
use crate::text;

/// Checks the whole configuration. The error is a sentence that names the key.
pub(super) fn check(config: &Config) -> Result<(), String> {
    listeners(config)?;
    tls(config)?;
    http(config)?;
    media(config)?;
    channels(config)?;
    dapi(config)?;
    push(config)?;
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
        (false, false) if config.tls.acme.is_configured() => {
            Err("tls.certificate is given, and tls.acme.domains too, which gets another one; give one of them".into())
        }
        _ => acme(config),
    }
}

fn acme(config: &Config) -> Result<(), String> {
    config.tls.acme.check()?;
    if config.tls.acme.is_configured() && !config.listeners.iter().any(|listener| listener.tls) {
        return Err("tls.acme.domains is given, but no listener has TLS; give one tls = true".into());
    }
    Ok(())
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
                "http.allowed_origins: `{origin}` is not an origin; write scheme://host or scheme://host:port, without a \
                path, or \"null\" or \"file://\" for pages that are files"
            ));
        }
    }
    for site in &config.http.trusted_sites {
        if site != "*" && !is_web_origin(site) {
            return Err(format!(
                "http.trusted_sites: `{site}` is not a site; write https://host or https://host:port, without a path"
            ));
        }
    }
    for source in &config.http.frame_ancestors {
        // The value goes into a header: one that could end the directive or the header is refused.
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

/// Browsers send `null` or `file://` for a page that is a file, and `null` for some others.
fn is_origin(text: &str) -> bool {
    matches!(text, "null" | "file://") || is_web_origin(text)
}

fn is_web_origin(text: &str) -> bool {
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
        return Err(format!(
            "media.pin_workers names {workers} processors; at most {MAX_WORKERS} workers make sense"
        ));
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
    public_address(media)
}

fn public_address(media: &Media) -> Result<(), String> {
    match media.public_address.as_str() {
        "off" => return Ok(()),
        "auto" => {}
        other => {
            return Err(format!(
                "media.public_address is \"{other}\"; it may be \"auto\" or \"off\""
            ));
        }
    }
    if !media.announced_addresses.is_empty() {
        let sentence =
            "media.public_address = \"auto\" finds out what media.announced_addresses says; give one of them";
        return Err(sentence.to_owned());
    }
    let is_address = |server: &&String| {
        let parts = server.rsplit_once(':');
        parts.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0))
    };
    match media.stun_servers.iter().find(|server| !is_address(server)) {
        Some(server) => Err(format!(
            "media.stun_servers: \"{server}\" is no server; write host:port, as \"stun.example.com:3478\""
        )),
        None if media.stun_servers.is_empty() => {
            Err("media.public_address = \"auto\" needs a server in media.stun_servers".to_owned())
        }
        None if media.stun_servers.len() > 8 => Err("media.stun_servers: at most 8 servers are asked".to_owned()),
        None => Ok(()),
    }
}

fn channels(config: &Config) -> Result<(), String> {
    let channels = &config.channels;
    match (channels.app_id.is_empty(), channels.app_certificate.is_empty()) {
        (true, true) => Ok(()),
        (false, true) => Err("channels.app_id is given without channels.app_certificate; give both or neither".into()),
        (true, false) => Err("channels.app_certificate is given without channels.app_id; give both or neither".into()),
        (false, false) => App::new(&*channels.app_id, &*channels.app_certificate)
            .map(drop)
            .map_err(|bad| format!("channels.app_id and channels.app_certificate: {bad}")),
    }
}

fn dapi(config: &Config) -> Result<(), String> {
    let dapi = &config.dapi;
    if TimeZone::get(&dapi.time_zone).is_err() {
        return Err(format!(
            "dapi.time_zone: `{}` is no time zone; write its name, as in Asia/Shanghai, Europe/Berlin or UTC",
            dapi.time_zone
        ));
    }
    // The key comes in a header.
    if !dapi.key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("dapi.key has a character that a header cannot carry; use letters, digits and signs".into());
    }
    Ok(())
}

fn push(config: &Config) -> Result<(), String> {
    let config::Apns {
        key_file,
        key_id,
        team_id,
        topic,
        ..
    } = &config.push.apns;
    // They go into headers and into the path of a request.
    let is_id = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
    };
    let ids = [("key_id", key_id), ("team_id", team_id), ("topic", topic)];
    let given = ids.iter().find(|(_, id)| !id.is_empty());
    if let (false, Some((key, _))) = (config.push.apns.is_configured(), given) {
        return Err(format!(
            "push.apns.{key} is given without push.apns.key_file; give both or neither"
        ));
    }
    if let Some((key, _)) = ids
        .iter()
        .find(|(_, id)| config.push.apns.is_configured() && !is_id(id))
    {
        return Err(format!(
            "push.apns.key_file is {}, so push.apns.{key} is needed: letters, digits, dots, hyphens and underscores",
            key_file.display()
        ));
    }
    if topic.ends_with(".voip") {
        return Err(
            "push.apns.topic ends with .voip; write the bundle id of the app, the rest is added where it is needed"
                .into(),
        );
    }
    let config::JPush {
        app_key, secret_file, ..
    } = &config.push.jpush;
    match (app_key.is_empty(), secret_file.as_os_str().is_empty()) {
        (false, true) => Err("push.jpush.app_key is given without push.jpush.secret_file; give both or neither".into()),
        (true, false) => Err("push.jpush.secret_file is given without push.jpush.app_key; give both or neither".into()),
        // The two are written with a colon between (RFC 7617 §2).
        _ if app_key.contains(':') => Err("push.jpush.app_key has a colon; it is 24 letters and digits".into()),
        _ => Ok(()),
    }
}

fn words(config: &Config) -> Result<(), String> {
    let name = &config.robot.name;
    if name.trim().is_empty() || !text::NAME.holds(name) {
        return Err(format!(
            "robot.name: `{name}` is not a name; write 1 to {} characters",
            text::NAME.characters
        ));
    }
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
    if let Some(address) = config.metrics.own_address()
        && address.port() != 0
        && config.listeners.iter().any(|listener| listener.address == address)
    {
        return Err(format!(
            "metrics.address is {address}, which is one of the listeners as well; give it another port"
        ));
    }
    tracing_subscriber::EnvFilter::try_new(&config.log.filter)
        .map(drop)
        .map_err(|e| format!("log.filter: `{}` is not a filter: {e}", config.log.filter))
}
