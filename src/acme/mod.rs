//! A certificate from an authority, got and renewed without anybody's help (ACME, RFC 8555).
//!
//! [`Acme::keep`] is the shell: it does what [`schedule`] says, and writes what comes into files. It gives nobody the certificate: the
//! listeners read its file when that has changed, as any other. Listeners answer an authority that comes to look by [`Challenges`].
//! Serving never waits for any of this.

mod attempt;
mod chain;
mod challenges;
mod client;
mod failure;
mod schedule;
mod state;
mod store;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use tokio::sync::Notify;

use self::attempt::{Attempt, Sent, identifier_of};
pub(crate) use self::challenges::{ACME_TLS, Challenges};
pub use self::client::RootError;
use self::client::Roots;
use self::failure::{Failure, Kind};
#[cfg(test)]
pub(crate) use self::schedule::Validity;
use self::schedule::{Now, Schedule, Step};
pub(crate) use self::state::{State, state};
use self::store::{Progress, Store};
use crate::clock::{MonotonicClock, WallClock};
use crate::config;

/// Time for one attempt, all of it. A validation of many names takes some minutes.
const ATTEMPT_WITHIN: Duration = Duration::from_secs(600);

/// Time between two looks at what the authority suggests, where it does not say.
const LOOK_EVERY: Duration = Duration::from_secs(6 * 3_600);

/// What gets the certificate. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Acme(Arc<Parts>);

struct Parts {
    config: config::Acme,
    names: Vec<String>,
    store: Store,
    roots: Roots,
    challenges: Challenges,
    has_http: bool,
    clock: WallClock,
    passed: MonotonicClock,
    /// Somebody has asked to try at once.
    asked: Notify,
}

/// Makes the folder ready in which the certificate will be, and returns the file of the certificate with its key.
pub(crate) fn make_ready(directory: &Path) -> std::io::Result<PathBuf> {
    let store = Store::of(directory);
    store.make_ready()?;
    Ok(store.certificate())
}

impl Acme {
    /// Reads what it needs, and begins nothing.
    pub(crate) fn open(
        config: &config::Config,
        challenges: Challenges,
        clock: WallClock,
        passed: MonotonicClock,
    ) -> Result<Acme, RootError> {
        let acme = config.tls.acme.clone();
        Ok(Acme(Arc::new(Parts {
            names: acme.names(),
            store: Store::of(&config.tls.directory),
            roots: Roots::read(acme.trusted_certificate())?,
            config: acme,
            challenges,
            has_http: config.listeners.iter().any(|listener| !listener.tls),
            clock,
            passed,
            asked: Notify::new(),
        })))
    }

    /// What an authority finds at the listeners.
    pub(crate) fn challenges(&self) -> Challenges {
        self.0.challenges.clone()
    }

    /// Ends a pause after a failure.
    pub(crate) fn try_now(&self) {
        self.0.asked.notify_one();
    }

    /// Gets and renews the certificate, for ever.
    pub(crate) async fn keep(self) {
        let Ok(mut keeper) = Keeper::open(self.0).await else {
            return;
        };
        loop {
            keeper.step().await;
        }
    }
}

/// The one that keeps the certificate: what is due, and what has become of the last attempts.
struct Keeper {
    parts: Arc<Parts>,
    schedule: Schedule,
    progress: Progress,
}

impl Keeper {
    async fn open(parts: Arc<Parts>) -> Result<Keeper, tokio::task::JoinError> {
        let reading = Arc::clone(&parts);
        // Files are read and written on another thread, because the disk may hang.
        let (progress, certificate) = tokio::task::spawn_blocking(move || {
            let store = &reading.store;
            (store.progress(), store.own_certificate())
        })
        .await?;
        let is_wanted = |certificate: &_| {
            progress.issued_by == parts.config.directory && chain::missing_name(certificate, &parts.names).is_none()
        };
        let validity = certificate.filter(is_wanted).and_then(|it| chain::validity_of(&it));
        let failed = progress.failed_validations();
        Ok(Keeper {
            schedule: Schedule::new(validity, &failed, parts.has_http, rand::random()),
            progress,
            parts,
        })
    }

    fn now(&self) -> Now {
        Now {
            date: (self.parts.clock)(),
            passed: (self.parts.passed)(),
        }
    }

    async fn step(&mut self) {
        match self.schedule.next(self.now()) {
            Step::Ask => self.ask().await,
            Step::Look => self.look().await,
            Step::Wait(time) => {
                tokio::select! {
                    () = tokio::time::sleep(time) => {}
                    () = self.parts.asked.notified() => self.schedule.at_once(),
                }
            }
        }
    }

    async fn ask(&mut self) {
        let parts = Arc::clone(&self.parts);
        let replaces = match self.schedule.may_replace() {
            true => self.own_certificate().await,
            false => None,
        };
        let attempt = self.attempt(&parts, replaces);
        let outcome = match tokio::time::timeout(ATTEMPT_WITHIN, attempt.run()).await {
            Ok(Ok(sent)) => self.take(sent).await,
            Ok(Err(failure)) => Err(failure),
            Err(_) => Err(Failure::new(Kind::Unreachable, "the authority does not finish in time")),
        };
        if let Err(failure) = outcome {
            self.failed(failure).await;
        }
    }

    fn attempt<'a>(&self, parts: &'a Parts, replaces: Option<CertificateDer<'static>>) -> Attempt<'a> {
        Attempt {
            config: &parts.config,
            store: &parts.store,
            roots: &parts.roots,
            challenges: &parts.challenges,
            names: &parts.names,
            method: self.schedule.method(),
            has_http: parts.has_http,
            replaces,
        }
    }

    /// Keeps what an authority has sent, if it can be used.
    async fn take(&mut self, sent: Sent) -> Result<(), Failure> {
        let now = self.now();
        let issued = chain::read(&sent.chain, &sent.key.serialize_der(), &self.parts.names, now.date)
            .map_err(|error| Failure::new(Kind::Certificate, format!("the certificate is not used: {error}")))?;
        let text = issued.file(&sent.key.serialize_pem());
        self.progress.issued_by.clone_from(&self.parts.config.directory);
        self.progress.last_failure = None;
        let progress = self.progress.clone();
        self.write(move |store| {
            store.write_certificate(&text)?;
            store.write_progress(&progress)
        })
        .await
        .map_err(|error| Failure::new(Kind::Storage, format!("cannot keep the certificate: {error}")))?;
        self.schedule.renewed(issued.validity, now, rand::random());
        metrics::counter!("patchbay_acme_certificates_total").increment(1);
        tracing::info!(
            names = self.parts.names.join(", "),
            days = days(issued.validity.left(now.date)),
            "got a certificate"
        );
        Ok(())
    }

    async fn failed(&mut self, failure: Failure) {
        let now = self.now();
        metrics::counter!("patchbay_acme_failures_total", "kind" => failure.kind.label()).increment(1);
        self.schedule.failed(failure.kind, now, rand::random());
        let (kind, reason) = (failure.kind.label(), &failure.reason);
        match self.schedule.validity() {
            Some(validity) => {
                let days_left = days(validity.left(now.date));
                match validity.is_urgent(now.date) {
                    true => tracing::error!(
                        kind,
                        reason,
                        days_left,
                        "renewing the certificate has failed for a long time; it will expire"
                    ),
                    false => tracing::warn!(kind, reason, days_left, "renewing the certificate failed; trying again"),
                }
            }
            None => tracing::warn!(kind, reason, "getting a certificate failed; trying again"),
        }
        self.progress.last_failure = Some(failure.reason);
        self.progress.set_failed_validations(self.schedule.failed_validations());
        let progress = self.progress.clone();
        if let Err(error) = self.write(move |store| store.write_progress(&progress)).await {
            tracing::warn!(%error, "cannot write down that getting a certificate failed");
        }
    }

    /// Asks the authority when it wants the certificate renewed.
    async fn look(&mut self) {
        let parts = Arc::clone(&self.parts);
        let certificate = self.own_certificate().await;
        let attempt = self.attempt(&parts, None);
        let asking = async {
            let identifier = certificate.as_ref().and_then(identifier_of)?;
            let account = attempt.account().await.ok()?;
            let info = account.renewal_info(&identifier).await;
            info.inspect_err(|error| tracing::debug!(%error, "the authority does not say when to renew"))
                .ok()
        };
        let answer = tokio::time::timeout(ATTEMPT_WITHIN, asking).await.unwrap_or_default();
        let (window, again_in) = match answer {
            Some((info, again_in)) => {
                let window = info.suggested_window;
                (Some((window.start.into(), window.end.into())), again_in)
            }
            None => (None, LOOK_EVERY),
        };
        self.schedule.looked(window, again_in, self.now(), rand::random());
    }

    async fn own_certificate(&self) -> Option<CertificateDer<'static>> {
        let store = self.parts.store.clone();
        tokio::task::spawn_blocking(move || store.own_certificate())
            .await
            .ok()?
    }

    async fn write(&self, work: impl FnOnce(&Store) -> std::io::Result<()> + Send + 'static) -> std::io::Result<()> {
        let store = self.parts.store.clone();
        tokio::task::spawn_blocking(move || work(&store)).await?
    }
}

fn days(time: Duration) -> u64 {
    time.as_secs() / 86_400
}
