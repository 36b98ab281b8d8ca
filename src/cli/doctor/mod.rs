//! `patchbay doctor`: tries what a start needs, and looks at what the server will meet, one thing after another; it goes on after
//! one that fails.

mod certificate;
mod machine;
mod report;

use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use self::certificate::Judge;
use self::machine::Facts;
use self::report::{Finding, Level, Report};
use super::output::{CommandError, print};
use crate::clock::WallClock;
use crate::config::{Config, Listener};
use crate::http::files::FileStore;
use crate::http::listeners::{self, Bound};
use crate::http::tls::Certificate;
use crate::ids::WorkerId;
use crate::media::engine::MediaEngine;
use crate::push::{Services, keys};
use crate::robots;
use crate::server;
use crate::storage::{CommonClock, Records};
use crate::webhooks::Webhooks;

/// The exit code where there are warnings, and no faults.
const WARNED: u8 = 2;

#[derive(Args)]
pub(super) struct Options {
    /// Print what was found as JSON
    #[arg(long)]
    json: bool,
    /// Print what is good, too
    #[arg(long)]
    all: bool,
}

/// Runs with a configuration that was understood. Prints what was found, and returns how bad that is.
pub(super) async fn run(config: Config, options: &Options) -> Result<ExitCode, CommandError> {
    let clock = server::wall_clock();
    let mut report = Report::default();
    report.add(Finding::good("configuration", "it is understood"));
    certificate(&config, &clock, &mut report);
    sockets(&config, &mut report);
    media(&config, &mut report).await;
    let mut facts = Facts::look_up(&config, clock());
    facts.database_ahead_s = storage(&config, Arc::clone(&clock), &mut report).await;
    machine::judge(&facts, &config)
        .into_iter()
        .for_each(|finding| report.add(finding));
    robot(&config, &mut report);
    push(&config, clock, &mut report);
    secrets(&config, &mut report);
    print(&match options.json {
        true => report.json(),
        false => report.text(options.all),
    })?;
    Ok(match report.verdict() {
        Level::Good => ExitCode::SUCCESS,
        Level::Fault => ExitCode::FAILURE,
        Level::Warning => ExitCode::from(WARNED),
    })
}

fn certificate(config: &Config, clock: &WallClock, report: &mut Report) {
    let is_open = !config.is_loopback_only();
    if !config.listeners.iter().any(|listener| listener.tls) {
        let seen = "no listener has TLS";
        return report.add(match is_open {
            true => Finding::warning("certificate", seen, "Browsers give pages a camera only with TLS: put a proxy with TLS in front, or switch it on for a listener."),
            false => Finding::good("certificate", "no listener has TLS; browsers trust this machine without"),
        });
    }
    match Certificate::load(&config.tls, Arc::clone(clock)) {
        Ok(certificate) if certificate.is_self_made() => {
            let seen = format!("{} is self-made", certificate.file().display());
            report.add(match is_open {
                true => Finding::warning(
                    "certificate",
                    seen,
                    "Browsers warn of it; tls.certificate and tls.key take one of an authority.",
                ),
                false => Finding::good("certificate", seen),
            });
        }
        Ok(loaded) => {
            report.add(Finding::good("certificate", loaded.file().display()));
            let judge = Judge::new(&config.http.allowed_hosts, clock());
            judge
                .judge(loaded.file())
                .into_iter()
                .for_each(|finding| report.add(finding));
        }
        Err(error) => report.add(Finding::fault("certificate", error, "")),
    }
}

fn sockets(config: &Config, report: &mut Report) {
    match listeners::bind_all(config) {
        Ok(bound) => {
            for socket in &bound {
                report.add(Finding::good("listener", socket.address));
            }
            media_by_tcp(config, &bound, report);
        }
        Err(error) => report.add(Finding::fault("listener", error, "")),
    }
    if let Some(address) = config.metrics.own_address() {
        report.add(
            match listeners::bind(Listener { address, tls: false }, "metrics.address") {
                Ok(socket) => Finding::good("metrics", socket.address),
                Err(error) => Finding::fault("metrics", error, ""),
            },
        );
    }
}

fn media_by_tcp(config: &Config, pages: &[Bound], report: &mut Report) {
    match server::bind_media_by_tcp(config, &mut server::media_settings(config), pages) {
        Ok(bound) => {
            for socket in bound {
                report.add(Finding::good("media-tcp", socket.address));
            }
        }
        Err(error) => report.add(Finding::fault("media-tcp", error, "")),
    }
}

/// A text shorter than this, or of fewer different letters, can be guessed.
const SECRET_LETTERS_MIN: usize = 16;
const DIFFERENT_LETTERS_MIN: usize = 8;

fn secrets(config: &Config, report: &mut Report) {
    let is_weak = |secret: &str| {
        let mut letters: Vec<char> = secret.chars().collect();
        let count = letters.len();
        letters.sort_unstable();
        letters.dedup();
        count < SECRET_LETTERS_MIN || letters.len() < DIFFERENT_LETTERS_MIN
    };
    let key = &config.dapi.key;
    if config.dapi.enabled && !key.is_empty() && is_weak(key) {
        report.add(Finding::warning(
            "secrets",
            "dapi.key can be guessed",
            "Take a random one: openssl rand -hex 32.",
        ));
    }
}

async fn media(config: &Config, report: &mut Report) {
    let settings = server::media_settings(config);
    let (events, _none) = tokio::sync::mpsc::channel(1);
    match MediaEngine::start(&settings, events, server::monotonic_clock()) {
        Ok((media, threads)) => {
            for worker in (0..settings.workers).map(WorkerId) {
                let addresses = media.local_end(worker).candidates.iter();
                let addresses: Vec<_> = addresses.map(ToString::to_string).collect();
                let pinned = media.cpu(worker).map(|cpu| format!(", on processor {cpu}"));
                report.add(Finding::good(
                    "media",
                    format!(
                        "worker {}: UDP {}{}",
                        worker.0,
                        addresses.join(", "),
                        pinned.unwrap_or_default()
                    ),
                ));
            }
            report.add(reach(config, &media.local_end(WorkerId(0)).candidates));
            drop(media);
            threads.ended().await;
        }
        Err(error) => report.add(Finding::fault("media", error, "")),
    }
}

/// Whether clients elsewhere can have one of the addresses that are announced to them.
fn reach(config: &Config, candidates: &[SocketAddr]) -> Finding {
    let addresses: Vec<_> = candidates.iter().map(|candidate| candidate.ip().to_string()).collect();
    let seen = format!("clients are told to send media to {}", addresses.join(", "));
    let is_private = |candidate: &SocketAddr| match candidate.ip() {
        IpAddr::V4(ip) => ip.is_private() || ip.is_loopback() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    };
    match config.is_loopback_only() || !candidates.iter().all(is_private) {
        true => Finding::good("media-addresses", seen),
        false => Finding::warning(
            "media-addresses",
            seen,
            "Nobody outside of this network can: behind NAT, give the public address as media.announced_addresses.",
        ),
    }
}

fn robot(config: &Config, report: &mut Report) {
    report.add(match (robots::recording(&config.robot), config.robot.given()) {
        (Ok(_), Some(file)) => Finding::good("robots", format!("they play {}", file.display())),
        (Ok(_), None) => Finding::good("robots", "they play the built-in recording"),
        (Err(error), _) => Finding::fault("robots", format!("robot.file: {error}"), ""),
    });
}

fn push(config: &Config, clock: WallClock, report: &mut Report) {
    let (apns, jpush) = (&config.push.apns, &config.push.jpush);
    let files = [
        ("push.apns.key_file", apns.is_configured().then_some(&apns.key_file)),
        (
            "push.jpush.secret_file",
            jpush.is_configured().then_some(&jpush.secret_file),
        ),
    ];
    let files = files.into_iter().filter_map(|(key, file)| Some((key, file?)));
    let mut services = Vec::new();
    for (key, file) in files {
        services.push(key);
        if keys::is_open_to_others(file) {
            let seen = format!("{key}: others can read {}; {}", file.display(), keys::TAKE_AWAY);
            report.add(Finding::fault("push", seen, ""));
        }
    }
    match Services::open(&config.push, clock, server::stopwatch()) {
        Ok(_) if services.is_empty() => {}
        Ok(_) => report.add(Finding::good(
            "push",
            format!(
                "services can be asked ({}); `patchbay push test` asks them",
                services.join(", ")
            ),
        )),
        Err(error) => report.add(Finding::fault("push", error, "")),
    }
}

/// Returns by how much the database's clock is ahead of this machine's, in seconds.
async fn storage(config: &Config, clock: WallClock, report: &mut Report) -> f64 {
    let missing = Records::missing_file(&config.storage);
    let records = match Records::open(&config.storage).await {
        Ok(records) => records,
        Err(error) => {
            report.add(Finding::fault("database", error, ""));
            return 0.0;
        }
    };
    let made = if missing.is_some() { ", which has been made" } else { "" };
    let place = records.place();
    report.add(match records.users().await {
        Ok(users) if users.is_empty() && !config.is_loopback_only() => Finding::warning(
            "users",
            format!(
                "there are no users in the database {place}{made}: anybody who reaches the server may enter any room"
            ),
            "Add some: patchbay user add.",
        ),
        Ok(users) => Finding::good("database", format!("{place}{made}: {} users", users.len())),
        Err(error) => Finding::fault("database", format!("{place} failed: {error}"), ""),
    });
    let share = config.limits.address_share_percent;
    let files = FileStore::open(&config.files, share, records.clone(), Arc::clone(&clock)).await;
    report.add(match files {
        Ok(_) => Finding::good("uploads", config.files.directory.display()),
        Err(error) => Finding::fault("uploads", error, ""),
    });
    match Webhooks::new(&config.webhooks, records.clone(), Arc::clone(&clock)) {
        Ok(webhooks) if webhooks.is_configured() => {
            report.add(Finding::good(
                "webhooks",
                "they can be signed, and their URL can be read",
            ));
        }
        Ok(_) => {}
        Err(error) => report.add(Finding::fault("webhooks", error, "")),
    }
    let ahead = ahead_s(&records, &clock).await;
    records.close().await;
    ahead
}

async fn ahead_s(records: &Records, clock: &WallClock) -> f64 {
    let common = CommonClock::new(clock, server::stopwatch());
    if common.adjust(records).await.is_err() {
        return 0.0;
    }
    let (theirs, ours) = (common.wall_clock()(), clock());
    match theirs.duration_since(ours) {
        Ok(ahead) => ahead.as_secs_f64(),
        Err(behind) => -behind.duration().as_secs_f64(),
    }
}
