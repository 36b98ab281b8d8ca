//! The composition root: starts the parts in the order in which they need one another, and stops them in the opposite
//! order. It decides nothing else.

mod inviting;
mod media_settings;
mod public_address;
mod sockets;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use self::media_settings::media_settings;
pub(crate) use self::sockets::bind_media_by_tcp;
use self::sockets::{MediaAddresses, Sockets};
use crate::accounts::Accounts;
use crate::acme::{self, Acme};
use crate::auth::access_token::App;
use crate::channels::{self, Channels};
use crate::clock::{MonotonicClock, WallClock};
use crate::conferences::Conferences;
use crate::config::{Config, Listener};
use crate::http::admin::{self, Admin, Metrics, MetricsAccess, WriteTrial};
use crate::http::connection::Front;
use crate::http::desk::Desk;
use crate::http::door::Door;
use crate::http::files::{self, FileStore, FilesError};
use crate::http::host::Hosts;
use crate::http::listeners::{Bound, ListenError};
use crate::http::media_door::MediaDoor;
use crate::http::origin::Origins;
use crate::http::tls::{Certificate, TlsError};
use crate::http::{self, Allowlist, AppState, watch};
use crate::hub::{self, HubEnd, HubHandle};
use crate::media::engine::{MediaEngine, MediaWatch};
use crate::media::launch::MediaStartError;
use crate::media::tcp::entrance::TcpEntrance;
use crate::media::threads::Threads;
use crate::push::{self, Push, PushError};
use crate::robots::{self, Robots};
use crate::signaling::dapi;
use crate::sound::Recording;
use crate::storage::{CommonClock, Mailbox, OpenError, Records};
use crate::tasks::never_ending;
use crate::webhooks::{Webhooks, WebhooksError};

/// Media events that wait for the hub. A full room that connects makes a few hundred at once.
const MEDIA_EVENTS: usize = 4_096;

/// Connections at once to the address for metrics: enough for a few programs that watch the server.
const METRICS_CONNECTIONS: usize = 64;

/// Time that each part has to stop. After that the next one is stopped all the same.
const STOP_WITHIN: Duration = Duration::from_secs(8);

/// A running server.
pub struct Server {
    addresses: Vec<Listener>,
    media_addresses: MediaAddresses,
    /// The address of the metrics, where they have a listener of their own.
    metrics_address: Option<SocketAddr>,
    certificate: Option<Certificate>,
    acme: Option<Acme>,
    open_to_all: bool,
    common_clock: CommonClock,
    stop: CancellationToken,
    /// All accept loops, connections, and chores.
    tasks: TaskTracker,
    hub: HubHandle,
    media: MediaWatch,
    media_threads: Threads,
    records: Records,
    files: FileStore,
    accounts: Accounts,
    app: App,
    webhooks: Webhooks,
    push: Push,
    robots: Robots,
    channels: Channels,
    conferences: Conferences,
}

/// The reason why the server did not start: a sentence that names the part and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Acme(#[from] acme::RootError),
    #[error("reading a file failed: {0}")]
    Reading(#[from] tokio::task::JoinError),
    #[error(transparent)]
    Storage(#[from] OpenError),
    #[error("the database failed: {0}")]
    Records(#[from] sqlx::Error),
    #[error(transparent)]
    Webhooks(#[from] WebhooksError),
    #[error(transparent)]
    Push(#[from] PushError),
    #[error(transparent)]
    Files(#[from] FilesError),
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error(transparent)]
    Media(#[from] MediaStartError),
    #[error("robot.file: {0}")]
    Robot(#[from] robots::FileError),
    #[error("cannot start the thread that decides about rooms and calls: {0}")]
    Hub(#[source] std::io::Error),
    #[error("cannot collect metrics: {0}")]
    Metrics(#[from] metrics_exporter_prometheus::BuildError),
}

impl Server {
    /// Starts everything, or nothing. Sockets are opened before anything runs, so that a port in use is found first.
    pub async fn start(config: Config) -> Result<Server, StartError> {
        let config = Arc::new(config);
        let clock = wall_clock();
        let certificate = certificate(&config, &clock).await?;
        let acme = acme(&config, certificate.as_ref(), &clock)?;
        let recording = robot_recording(&config).await?;
        let (sockets, mut settings) = Sockets::bind(&config)?;
        let records = Records::open(&config.storage).await?;
        let common_clock = CommonClock::new(&clock, stopwatch());
        common_clock.adjust(&records).await?;
        let clock = common_clock.wall_clock();
        let believes_names = !config.auth.required;
        let open_to_all = !config.is_loopback_only() && believes_names && !records.has_users().await?;
        let share = config.limits.address_share_percent;
        let files = FileStore::open(&config.files, share, records.clone(), Arc::clone(&clock)).await?;
        let mailbox = Mailbox::new(records.clone(), Arc::clone(&clock), config.messages.clone(), share);
        let accounts = config.accounts.clone();
        let accounts = Accounts::open(records.clone(), accounts, share, Arc::clone(&clock), stopwatch()).await?;
        let app = records.app(config.channels.app()).await?;
        let webhooks = Webhooks::new(&config.webhooks, records.clone(), Arc::clone(&clock))?;
        let services = push::Services::open(&config.push, Arc::clone(&clock), stopwatch())?;
        let metrics = Metrics::install()?;

        let (events, media_events) = mpsc::channel(MEDIA_EVENTS);
        settings.public_addresses = public_address::find(&config).await;
        let (media, media_threads) = MediaEngine::start(&settings, events, monotonic_clock())?;
        let media_addresses = MediaAddresses::of(&media);
        let entrance = media.tcp_entrance();
        let media_watch = media.watch();
        let (pushes, notices) = push::queue();
        let capacity = config.as_ref().into();
        let (hub, running) = hub::start(media, media_events, capacity, mailbox, rand::make_rng(), pushes);
        hub::on_its_own_thread(running).map_err(StartError::Hub)?;
        let robots = Robots::new(hub.clone(), recording, config.robot.clone(), stopwatch());
        let channels = Channels::new(
            records.clone(),
            (hub.clone(), robots.clone()),
            app.clone(),
            Arc::clone(&clock),
            stopwatch(),
            channels::Settings::from(config.as_ref()),
        );

        let conferences = inviting::conferences((&records, &hub, &accounts), (&clock, stopwatch()), &config);
        let server = Server {
            push: inviting::push_notices(notices, services, &conferences, (&records, &hub), (&clock, stopwatch())),
            conferences,
            addresses: sockets.pages.iter().map(listener).collect(),
            media_addresses,
            metrics_address: sockets.metrics.as_ref().map(|socket| socket.address),
            certificate,
            acme,
            open_to_all,
            common_clock,
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            hub,
            media: media_watch,
            media_threads,
            records,
            files,
            accounts,
            app,
            webhooks,
            robots,
            channels,
        };
        server.serve(&config, sockets, entrance, metrics, clock);
        Ok(server)
    }

    fn serve(&self, config: &Arc<Config>, sockets: Sockets, entrance: TcpEntrance, metrics: Metrics, clock: WallClock) {
        let share = config.limits.address_share_percent;
        let desk = Desk::new(self.hub.clone(), share, stopwatch());
        let state = self.state(config, desk.clone(), clock);
        let (trial, trying) = WriteTrial::of(self.records.clone(), self.files.clone());
        self.tasks.spawn(self.stop.clone().run_until_cancelled_owned(trying));
        let overviews = Arc::default();
        let admin = |access| Admin {
            overviews: Arc::clone(&overviews),
            trial: trial.clone(),
            hub: self.hub.clone(),
            media: self.media.clone(),
            metrics: metrics.clone(),
            access,
            stopping: self.stop.clone(),
            clock: monotonic_clock,
        };
        let access = match sockets.metrics {
            Some(_) => MetricsAccess::Nobody,
            None => MetricsAccess::ThisMachine,
        };
        let allowlist = Allowlist {
            hosts: Hosts::new(config, self.certificate.clone()),
            origins: Origins::new(
                &config.http.allowed_origins,
                sockets.pages.iter().map(|socket| socket.address.port()),
            ),
        };
        let router = http::router(state, self.files.clone(), admin(access), &allowlist);
        let front = self.front(config, router, entrance);
        for socket in sockets.pages {
            self.tasks.spawn(socket.serve(front.clone()));
        }
        if let Some(media) = &front.media {
            for socket in sockets.media {
                self.tasks.spawn(socket.serve_media(media.clone(), front.clone()));
            }
        }
        if let Some(socket) = sockets.metrics {
            let router = http::admin_router(config, admin(MetricsAccess::Anyone), &allowlist);
            // A door of its own: clients that use up all connections cannot keep out those who want to see why.
            let door = Door::new(METRICS_CONNECTIONS, share);
            self.tasks.spawn(socket.serve(Front { router, door, ..front }));
        }
        if let Some(certificate) = self.certificate.clone() {
            self.chore("watching the certificate", move || certificate.clone().watch());
        }
        if let Some(acme) = self.acme.clone() {
            self.chore("getting certificates", move || acme.clone().keep());
        }
        let (files, accounts, webhooks) = (self.files.clone(), self.accounts.clone(), self.webhooks.clone());
        let push = self.push.clone();
        self.chore("folding metrics", move || admin::upkeep(metrics.clone()));
        self.chore("deleting expired uploads", move || files::sweep(files.clone()));
        self.chore("looking after tokens", move || accounts.clone().upkeep());
        self.chore("removing clients without a socket", move || desk.clone().sweep());
        self.chore("posting webhooks", move || webhooks.clone().deliver());
        self.chore("sending push notices", move || push.clone().deliver());
        self.calls_over_http(config);
        self.tasks.spawn(
            self.stop
                .clone()
                .run_until_cancelled_owned(inviting::restore_devices(self.conferences.clone())),
        );
    }

    /// What the connections of the listeners need.
    fn front(&self, config: &Config, router: Router, entrance: TcpEntrance) -> Front {
        let share = config.limits.address_share_percent;
        let door = || Door::new(config.http.max_connections, share);
        let media = || MediaDoor {
            door: door(),
            entrance,
            stop: self.stop.clone(),
        };
        Front {
            router,
            certificate: self.certificate.clone(),
            limits: watch::WatchLimits {
                silence: config.http.header_timeout(),
                bytes_per_s: config.http.least_bytes_per_s(),
            },
            trusted_proxies: config.http.trusted_proxies.clone().into(),
            door: door(),
            media: config.media.tcp.then(media),
            stop: self.stop.clone(),
            connections: self.tasks.clone(),
            sockets_over_http_2: config.http.websockets_over_http2,
        }
    }

    /// What every request and socket can reach.
    fn state(&self, config: &Arc<Config>, desk: Desk, clock: WallClock) -> AppState {
        AppState {
            config: Arc::clone(config),
            hub: self.hub.clone(),
            records: self.records.clone(),
            participants: http::Participants::new(desk.clone(), Arc::clone(&clock), stopwatch()),
            challenges: self.acme.as_ref().map(Acme::challenges),
            clock,
            passed: stopwatch(),
            accounts: self.accounts.clone(),
            app: self.app.clone(),
            channels: self.channels.clone(),
            conferences: self.conferences.clone(),
            registrations: http::Registrations::new(desk.clone()),
            resumptions: http::websocket::Resumptions::default(),
            desk,
        }
    }

    /// Looks after the calls over HTTP, and the clock by which their records are compared.
    fn calls_over_http(&self, config: &Arc<Config>) {
        let (common_clock, records) = (self.common_clock.clone(), self.records.clone());
        self.chore("keeping the database's time", move || {
            common_clock.clone().keep(records.clone())
        });
        let channels = self.channels.clone();
        let (timed, kept, present) = (self.channels.clone(), self.channels.clone(), self.channels.clone());
        self.chore("watching calls", move || channels.clone().watch());
        self.chore("looking into rooms of calls", move || present.clone().watch_rooms());
        self.chore("looking after records of calls", move || kept.clone().upkeep());
        self.chore("making scheduled calls", move || timed.clone().keep_time());
        let (channels, webhooks, config) = (self.channels.clone(), self.webhooks.clone(), Arc::clone(config));
        self.chore("handing on the ends of calls", move || {
            let zone = config.dapi.zone();
            let words = move |record| serde_json::to_value(dapi::record(record, &zone)).unwrap_or_default();
            channels.clone().post_ends(webhooks.clone(), words)
        });
    }

    /// Runs `work` until the server stops. Where it ends or panics, it begins anew.
    fn chore<F>(&self, name: &'static str, work: impl Fn() -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stop = self.stop.clone();
        self.tasks
            .spawn(stop.run_until_cancelled_owned(never_ending(name, work)));
    }

    /// The listeners, with the ports that the system chose.
    pub fn listeners(&self) -> &[Listener] {
        &self.addresses
    }

    /// The lines for the person who started the server.
    pub fn welcome(&self) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for listener in self.listeners() {
            let line = format!("Open {}", page_url(listener));
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        if let Some(certificate) = self.certificate.as_ref().filter(|c| c.is_self_made()) {
            lines.push(match certificate.is_issued() {
                true => {
                    "The certificate is self-made until the authority (tls.acme) has issued one: browsers warn of it."
                        .to_owned()
                }
                false => format!(
                    "The certificate {} is self-made: browsers warn of it once.",
                    certificate.file().display()
                ),
            });
        }
        lines.extend(self.media_addresses.lines());
        if let Some(address) = self.metrics_address {
            lines.push(format!("Metrics at http://{address}/metrics"));
        }
        if self.open_to_all {
            lines.push(
                "WARNING: other machines can reach this server, and there are no users: anybody may enter any room. \
                Add users with `patchbay user add`, and ask for tokens with auth.required = true."
                    .to_owned(),
            );
        }
        lines
    }

    /// Loads a changed certificate now instead of within seconds, and asks an authority that has failed once more. Returns at once.
    pub fn reload(&self) {
        if let Some(acme) = &self.acme {
            acme.try_now();
        }
        match self.certificate.clone() {
            Some(certificate) => {
                let reloading = async move { certificate.reload().await };
                self.tasks.spawn(self.stop.clone().run_until_cancelled_owned(reloading));
            }
            None => tracing::info!("nothing to reload: no listener has TLS"),
        }
    }

    /// Returns the reason once the server cannot go on. It must then be stopped and started again.
    pub async fn failed(&self) -> HubEnd {
        self.hub.ended().await
    }

    /// The way into the hub, for those who ask without a socket.
    pub fn hub(&self) -> &HubHandle {
        &self.hub
    }

    /// The users who log in, and the calls that ring at them.
    pub fn conferences(&self) -> &Conferences {
        &self.conferences
    }

    /// The robots, which play a recording in rooms.
    pub fn robots(&self) -> &Robots {
        &self.robots
    }

    /// Ends all connections, lets requests in progress finish, and returns when nothing runs any more.
    pub async fn stop(self) {
        tracing::info!("stopping");
        self.stop.cancel();
        self.tasks.close();
        in_time("ending rooms", self.hub.shutdown()).await;
        in_time("answering requests", self.tasks.wait()).await;
        // The hub has asked the workers to end, when it ended itself.
        in_time("ending media connections", self.media_threads.ended()).await;
        in_time("closing the database", self.records.close()).await;
        tracing::info!("stopped");
    }
}

/// The wall clock. Only this module reads it; others are given it.
#[allow(
    clippy::disallowed_methods,
    reason = "the composition root reads the clock for everybody"
)]
pub(crate) fn wall_clock() -> WallClock {
    Arc::new(SystemTime::now)
}

/// The clock that measures passed time. Only this module reads it, as [`wall_clock`].
#[allow(
    clippy::disallowed_methods,
    reason = "the composition root reads the clock for everybody"
)]
pub(crate) fn stopwatch() -> MonotonicClock {
    Arc::new(tokio::time::Instant::now)
}

/// The clock of deadlines. Only this module reads it; others are given it.
#[allow(
    clippy::disallowed_methods,
    reason = "the composition root reads the clock for everybody"
)]
pub(crate) fn monotonic_clock() -> Instant {
    Instant::now()
}

/// Reads the certificate, or makes one, where a listener needs it, on a thread where a disk that hangs holds up nothing else.
async fn certificate(config: &Arc<Config>, clock: &WallClock) -> Result<Option<Certificate>, StartError> {
    if !config.listeners.iter().any(|listener| listener.tls) {
        return Ok(None);
    }
    let (config, clock) = (Arc::clone(config), Arc::clone(clock));
    let loading = tokio::task::spawn_blocking(move || Certificate::load(&config.tls, clock));
    Ok(Some(loading.await??))
}

/// What gets the certificate from an authority, where one is configured.
fn acme(config: &Config, certificate: Option<&Certificate>, clock: &WallClock) -> Result<Option<Acme>, StartError> {
    let issued = certificate.filter(|certificate| certificate.is_issued());
    let open = |certificate: &Certificate| Acme::open(config, certificate.challenges(), Arc::clone(clock), stopwatch());
    Ok(issued.map(open).transpose()?)
}

/// Reads what robots play, on a thread as [`certificate`] does.
async fn robot_recording(config: &Arc<Config>) -> Result<Recording, StartError> {
    let config = Arc::clone(config);
    let reading = tokio::task::spawn_blocking(move || robots::recording(&config.robot));
    Ok(reading.await??)
}

async fn in_time(doing: &str, work: impl Future<Output = ()>) {
    if tokio::time::timeout(STOP_WITHIN, work).await.is_err() {
        tracing::warn!("{doing} took longer than {} s; going on", STOP_WITHIN.as_secs());
    }
}

fn listener(bound: &Bound) -> Listener {
    Listener {
        address: bound.address,
        tls: bound.tls,
    }
}

/// The URL that a person opens. Addresses of this machine become localhost, as in the certificate.
fn page_url(listener: &Listener) -> String {
    let scheme = if listener.tls { "https" } else { "http" };
    let ip = listener.address.ip();
    let host = if ip.is_loopback() || ip.is_unspecified() {
        "localhost".to_owned()
    } else {
        SocketAddr::new(ip, 0).to_string().trim_end_matches(":0").to_owned()
    };
    let port = match (listener.tls, listener.address.port()) {
        (true, 443) | (false, 80) => String::new(),
        (_, port) => format!(":{port}"),
    };
    format!("{scheme}://{host}{port}/")
}
