//! `patchbay doctor`: tries what a start needs, one thing after another, and goes on after one that fails.

use std::fmt::Display;
use std::sync::Arc;

use super::output::{CommandError, print};
use crate::clock::WallClock;
use crate::config::{Config, Listener};
use crate::http::files::FileStore;
use crate::http::listeners;
use crate::http::tls::Certificate;
use crate::ids::WorkerId;
use crate::media::engine::MediaEngine;
use crate::push::{Services, keys};
use crate::robots;
use crate::server;
use crate::storage::Records;
use crate::webhooks::Webhooks;

/// The findings, in sentences.
#[derive(Default)]
struct Report {
    text: String,
    bad: usize,
}

impl Report {
    fn good(&mut self, line: impl Display) {
        self.text.push_str(&format!("ok    {line}\n"));
    }

    fn hint(&mut self, line: impl Display) {
        self.text.push_str(&format!("hint  {line}\n"));
    }

    fn bad(&mut self, line: impl Display) {
        self.text.push_str(&format!("BAD   {line}\n"));
        self.bad += 1;
    }
}

/// Runs with a configuration that was understood. Fails when anything else is wrong.
pub(super) async fn run(config: Config) -> Result<(), CommandError> {
    let clock = server::wall_clock();
    let mut report = Report::default();
    report.good("the configuration is understood");
    certificate(&config, &clock, &mut report);
    sockets(&config, &mut report);
    media(&config, &mut report).await;
    storage(&config, Arc::clone(&clock), &mut report).await;
    robot(&config, &mut report);
    push(&config, clock, &mut report);
    print(&report.text)?;
    match report.bad {
        0 => Ok(()),
        1 => Err("one thing is wrong".into()),
        count => Err(format!("{count} things are wrong").into()),
    }
}

fn certificate(config: &Config, clock: &WallClock, report: &mut Report) {
    if !config.listeners.iter().any(|listener| listener.tls) {
        return report
            .hint("no listener has TLS: browsers give pages a camera only on localhost, or behind a TLS proxy");
    }
    match Certificate::load(&config.tls, Arc::clone(clock)) {
        Ok(certificate) if certificate.is_self_made() => report.hint(format!(
            "the certificate {} is self-made: browsers warn of it; tls.certificate and tls.key take a real one",
            certificate.file().display()
        )),
        Ok(certificate) => report.good(format!("certificate {}", certificate.file().display())),
        Err(error) => report.bad(error),
    }
}

fn sockets(config: &Config, report: &mut Report) {
    match listeners::bind_all(config) {
        Ok(bound) => {
            for socket in bound {
                report.good(format!("listener {}", socket.address));
            }
        }
        Err(error) => report.bad(error),
    }
    if let Some(address) = config.metrics.own_address() {
        match listeners::bind(Listener { address, tls: false }, "metrics.address") {
            Ok(socket) => report.good(format!("metrics on {}", socket.address)),
            Err(error) => report.bad(error),
        }
    }
    if config.is_loopback_only() {
        report.hint(
            "only this machine can reach the listeners; for others, listen on \"0.0.0.0:8443\" and \"[::]:8443\"",
        );
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
                report.good(format!(
                    "media worker {}: UDP {}{}",
                    worker.0,
                    addresses.join(", "),
                    pinned.unwrap_or_default()
                ));
            }
            drop(media);
            threads.ended().await;
        }
        Err(error) => report.bad(error),
    }
}

fn robot(config: &Config, report: &mut Report) {
    match (robots::recording(&config.robot), config.robot.given()) {
        (Ok(_), Some(file)) => report.good(format!("robots play {}", file.display())),
        (Ok(_), None) => report.good("robots play the built-in recording"),
        (Err(error), _) => report.bad(format!("robot.file: {error}")),
    }
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
            report.bad(format!(
                "{key}: others can read {}; {}",
                file.display(),
                keys::TAKE_AWAY
            ));
        }
    }
    match Services::open(&config.push, clock, server::stopwatch()) {
        Ok(_) if services.is_empty() => {}
        Ok(_) => report.good(format!(
            "push services can be asked ({}); `patchbay push test` asks them",
            services.join(", ")
        )),
        Err(error) => report.bad(error),
    }
}

async fn storage(config: &Config, clock: WallClock, report: &mut Report) {
    let missing = Records::missing_file(&config.storage);
    let records = match Records::open(&config.storage).await {
        Ok(records) => records,
        Err(error) => return report.bad(error),
    };
    if missing.is_some() {
        report.hint(format!("the database {} did not exist and was made", records.place()));
    }
    match records.users().await {
        Ok(users) if users.is_empty() => {
            report.hint("there are no users: anybody who reaches the server may enter any room")
        }
        Ok(users) => report.good(format!("database {}: {} users", records.place(), users.len())),
        Err(error) => report.bad(format!("the database {} failed: {error}", records.place())),
    }
    match FileStore::open(
        &config.files,
        config.limits.address_share_percent,
        records.clone(),
        Arc::clone(&clock),
    )
    .await
    {
        Ok(_) => report.good(format!("uploads in {}", config.files.directory.display())),
        Err(error) => report.bad(error),
    }
    match Webhooks::new(&config.webhooks, records.clone(), clock) {
        Ok(webhooks) if webhooks.is_configured() => report.good("webhooks can be signed, and their URL can be read"),
        Ok(_) => {}
        Err(error) => report.bad(error),
    }
    records.close().await;
}
