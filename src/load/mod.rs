//! The load tester: joins a server as publishers and subscribers, through its signaling and with ICE, DTLS and SRTP, as
//! cheaply as possible, and measures what arrives.
//!
//! ```text
//! plan ─► servers/ ── offer, answer ──► the server
//!            │  Setup                       ▲ │
//!            ▼                              │ ▼ UDP, one socket for each connection
//!         driver ─► client ─► connection, source, reception (pure) ─► figures ─► report
//! ```
//!
//! With `--link`, what a subscriber receives and sends crosses a simulated link (`link`) between driver and client, and the
//! client does what a browser does about losses and congestion (`watching`; `repair` and `playback` follow each stream).
//!
//! The tester measures the time that others take, so it reads clocks in more than one place. The code that counts and
//! decides is given the time.

mod client;
mod commands;
mod connection;
mod counting;
mod driver;
mod error;
mod figures;
mod handle;
mod link;
mod options;
mod pattern;
mod plan;
mod playback;
mod process;
mod reception;
mod repair;
mod report;
mod sdp;
mod servers;
mod shared;
mod socket;
mod source;
mod through_link;
mod watching;

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub(crate) use self::error::LoadError;
use self::figures::Totals;
use self::handle::MediaHandle;
use self::link::Links;
pub use self::options::Options;
use self::options::Scenario;
use self::plan::Plan;
use self::report::{Around, Report, ServerUse};
use self::servers::{Conduct, Context};
use self::socket::Target;
use crate::media::peer::dtls::DtlsIdentity;
use crate::media::peer::srtp::Profile;

/// Time for the last connections to come up.
const JOIN_TIMEOUT: Duration = Duration::from_secs(20);
/// Time that a visitor stays in a join storm.
const VISIT: Duration = Duration::from_secs(2);

/// The SRTP profiles offered. AES-256-GCM is not: some servers would choose it, and could not be compared with others.
const PROFILES: [Profile; 2] = [Profile::AeadAes128Gcm, Profile::Aes128CmHmacSha1_80];

#[allow(clippy::disallowed_methods, reason = "this is the shell that owns the run's clock")]
fn clock() -> Instant {
    Instant::now()
}

/// The result of a run that has ended, well or not.
pub struct Outcome {
    /// The figures up to the end; `None` where nothing was measured.
    pub report: Option<Report>,
    /// The reason why the run ended early.
    pub failure: Option<LoadError>,
}

/// Runs a scenario to its end, to Ctrl-C, or to the first failure that makes its figures worthless.
pub async fn run(options: Options) -> Outcome {
    match Run::prepare(options).await {
        Ok(run) => run.go().await,
        Err(error) => Outcome {
            report: None,
            failure: Some(error),
        },
    }
}

struct Run {
    context: Arc<Context>,
    tasks: JoinSet<()>,
    stop: CancellationToken,
    failures: mpsc::UnboundedReceiver<LoadError>,
    failed: mpsc::UnboundedSender<LoadError>,
    rss_before: u64,
}

/// The reason why a phase ended early.
enum Early {
    Interrupted,
    Failed(LoadError),
}

impl From<LoadError> for Early {
    fn from(error: LoadError) -> Early {
        Early::Failed(error)
    }
}

impl Run {
    async fn prepare(options: Options) -> Result<Run, LoadError> {
        options.check()?;
        // Both TLS providers are compiled in, so one is installed: TLS cannot choose by itself.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let target = Target::resolve(&options.url, options.insecure).await?;
        let plan = Plan::new(&options, u64::from(std::process::id()));
        reserve_descriptors(&plan, &options)?;
        let rss_before = match options.server_pid {
            Some(pid) => process::usage(pid)?.rss_bytes,
            None => 0,
        };
        let links = options.link.map(|settings| Links::new(settings, options.seed));
        let media = MediaHandle::start(options.seed, options.verify_every(), links)?;
        let identity = DtlsIdentity::generate_offering(&PROFILES)
            .map_err(|_| LoadError::Handshake("no certificate can be made"))?;
        let (failed, failures) = mpsc::unbounded_channel();
        Ok(Run {
            context: Arc::new(Context::new(options, plan, target, media, identity)),
            tasks: JoinSet::new(),
            stop: CancellationToken::new(),
            failures,
            failed,
            rss_before,
        })
    }

    async fn go(mut self) -> Outcome {
        let (mut failure, mut report) = (None, None);
        match self.join_all().await {
            Ok(()) => match self.measure().await {
                Ok((done, early)) => {
                    report = Some(done);
                    failure = early;
                }
                Err(error) => failure = Some(error),
            },
            Err(Early::Interrupted) => {
                report = self.finish(Duration::ZERO, None).await.ok();
            }
            Err(Early::Failed(error)) => failure = Some(error),
        }
        self.stop.cancel();
        // The ends of the connections are awaited only for a while.
        let _ = tokio::time::timeout(Duration::from_secs(2), async {
            while self.tasks.join_next().await.is_some() {}
        })
        .await;
        Outcome { report, failure }
    }

    fn spawn(
        &mut self,
        participant: plan::Participant,
        stop: CancellationToken,
        failures: mpsc::UnboundedSender<LoadError>,
    ) {
        let context = Arc::clone(&self.context);
        self.tasks
            .spawn(async move { servers::take_part(&context, participant, Conduct { stop, failures }).await });
    }

    async fn join_all(&mut self) -> Result<(), Early> {
        let pace = Duration::from_secs(1).div_f64(self.context.options.joins_per_s as f64);
        let participants = self.context.plan.participants.clone();
        let (count, pairs) = (participants.len(), self.context.plan.pairs());
        let mut next = tokio::time::interval(pace);
        for (joined, participant) in participants.into_iter().enumerate() {
            self.or_early(async { next.tick().await }).await?;
            let (stop, failed) = (self.stop.clone(), self.failed.clone());
            self.spawn(participant, stop, failed);
            status(&format!("joining {} of {count}", joined + 1));
        }
        let deadline = clock() + JOIN_TIMEOUT;
        while self.context.pairs_up() < pairs {
            self.or_early(tokio::time::sleep(Duration::from_millis(50))).await?;
            let up = self.context.pairs_up();
            status(&format!("{up} of {pairs} subscriptions are up"));
            if clock() > deadline {
                return Err(LoadError::Unjoined { up, pairs }.into());
            }
        }
        status("everybody is there; settling");
        self.or_early(tokio::time::sleep(self.context.options.settle())).await
    }

    /// Waits for `this`, unless something fails or Ctrl-C comes first.
    async fn or_early<T>(&mut self, this: impl Future<Output = T>) -> Result<T, Early> {
        tokio::select! {
            done = this => Ok(done),
            Some(error) = self.failures.recv() => Err(Early::Failed(error)),
            _ = tokio::signal::ctrl_c() => Err(Early::Interrupted),
        }
    }

    async fn measure(&mut self) -> Result<(Report, Option<LoadError>), LoadError> {
        let options = self.context.options.clone();
        let before = options.server_pid.map(process::usage).transpose()?;
        let storm = options.scenario == Scenario::JoinStorm;
        if storm {
            self.context.take_joins();
        }
        self.context.media.measure()?;
        let began = clock();
        let mut failure = None;
        let mut visitors = 0;
        let (stranger, mut strangers) = mpsc::unbounded_channel();
        let mut next_visit = tokio::time::interval(Duration::from_secs(1).div_f64(options.joins_per_s as f64));
        let mut next_status = tokio::time::interval(Duration::from_secs(1));
        let end = tokio::time::sleep(options.duration());
        tokio::pin!(end);
        let mut problems = Totals::default();
        loop {
            tokio::select! {
                () = &mut end => break,
                _ = tokio::signal::ctrl_c() => break,
                Some(error) = self.failures.recv() => {
                    failure = Some(error);
                    break;
                }
                Some(error) = strangers.recv() => problems.failed(error),
                _ = next_status.tick() => {
                    let progress = self.context.media.progress().await?;
                    status(&format!(
                        "{:>3.0} s  sent {}  delivered {}  delay p50 {:.2?} p99 {:.2?}",
                        began.elapsed().as_secs_f64(), progress.sent, progress.delivered, progress.delay_p50, progress.delay_p99
                    ));
                }
                _ = next_visit.tick(), if storm => {
                    self.visit(visitors, stranger.clone());
                    visitors += 1;
                }
            }
        }
        let measured = began.elapsed();
        self.context.media.stop_sending()?;
        let drain = options.drain();
        tokio::time::sleep(drain).await;
        // If the server has ended by now, the failure says why.
        let after = options.server_pid.map(process::usage).and_then(Result::ok);
        let usage = before.zip(after);
        let mut report = self.finish(measured, usage).await?;
        report.errors.extend(
            problems
                .errors
                .into_iter()
                .map(|(what, count)| report::Problem { what, count }),
        );
        // Behind a link, that is a result: the path was too narrow for any of it.
        if failure.is_none() && report.delivered_packets == 0 && self.context.options.link.is_none() {
            failure = Some(LoadError::NothingArrived);
        }
        Ok((report, failure))
    }

    /// Lets a visitor join, and leave again.
    fn visit(&mut self, nth: usize, failures: mpsc::UnboundedSender<LoadError>) {
        let stop = self.stop.child_token();
        let participant = self.context.plan.visitor(nth);
        self.spawn(participant, stop.clone(), failures);
        self.tasks.spawn(async move {
            tokio::time::sleep(VISIT).await;
            stop.cancel();
        });
    }

    async fn finish(
        &mut self,
        measured: Duration,
        usage: Option<(process::Usage, process::Usage)>,
    ) -> Result<Report, LoadError> {
        let totals = self.context.media.finish().await?;
        let participants = self.context.plan.participants.len() as u64;
        let server = usage.map(|(before, after)| {
            let cpu_ns = after.cpu_ns.saturating_sub(before.cpu_ns) as f64;
            ServerUse {
                cpu_ns_per_delivered_packet: cpu_ns / totals.delivered.max(1) as f64,
                cpu_share: cpu_ns / (measured + self.context.options.drain()).as_nanos().max(1) as f64,
                rss_bytes: after.rss_bytes,
                rss_bytes_per_participant: after.rss_bytes.saturating_sub(self.rss_before) as f64 / participants as f64,
            }
        });
        let around = Around {
            measured,
            participants,
            joins: self.context.take_joins(),
            server,
            srtp_profile: totals.profile.map(servers::profile_name),
        };
        Ok(Report::new(&totals, around, self.context.options.clone()))
    }
}

/// Raises the limit of descriptors: each connection takes one, and so does each participant's signaling.
fn reserve_descriptors(plan: &Plan, options: &Options) -> Result<(), LoadError> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let visitors = match options.scenario {
        Scenario::JoinStorm => options.joins_per_s * (VISIT.as_secs() + 2) * 2,
        _ => 0,
    };
    let needed = (2 * plan.participants.len() + plan.pairs() + 64) as u64 + visitors;
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return Ok(());
    };
    if soft < needed && hard >= needed {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
    if hard < needed {
        return Err(LoadError::Descriptors { needed, limit: hard });
    }
    Ok(())
}

/// Writes a status line over the last one, if standard error is a terminal.
#[allow(
    clippy::print_stderr,
    reason = "the command line shows the progress of a run by this"
)]
pub(crate) fn status(text: &str) {
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[2K{text}");
    }
}
