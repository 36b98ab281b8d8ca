//! The options of a run.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::error::LoadError;
use super::link::LinkSettings;

/// The participants of a run, and their roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scenario {
    /// A few send, many watch, in one room
    Broadcast,
    /// Everybody sends and watches everybody, in one room
    Meeting,
    /// Many rooms, a meeting in each
    Rooms,
    /// A meeting with sound only
    Audio,
    /// People join and leave all the time while a broadcast runs
    JoinStorm,
}

/// The kind of server at the URL: the tester speaks to several kinds, so that they can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Server {
    Patchbay,
    Janus,
    Livekit,
}

impl Server {
    pub fn name(self) -> &'static str {
        match self {
            Server::Patchbay => "patchbay",
            Server::Janus => "Janus",
            Server::Livekit => "LiveKit",
        }
    }
}

#[derive(Clone, Debug, Args, Serialize)]
pub struct Options {
    /// The participants, and what they do
    pub scenario: Scenario,
    /// The server's address: http, https, ws or wss. Nothing is sent to any other machine
    #[arg(long, default_value = "https://localhost:8443", value_name = "URL")]
    pub url: String,
    /// Participants who send, in each room [default: 1 in a broadcast, 10 in a meeting, 3 in each of the rooms]
    #[arg(long, value_name = "N")]
    pub publishers: Option<usize>,
    /// Participants who only watch, in each room [default: 50 in a broadcast, 10 beside a join storm, none otherwise]
    #[arg(long, value_name = "N")]
    pub subscribers: Option<usize>,
    /// Number of rooms [default: 20 for 'rooms', otherwise 1]
    #[arg(long, value_name = "N")]
    pub rooms: Option<usize>,
    /// Bit rate of each sender's video, all simulcast layers together; sound is 32 kb/s
    #[arg(long, default_value_t = 2_500, value_name = "KBPS")]
    pub(crate) bitrate_kbps: u64,
    /// Let senders send three simulcast layers
    #[arg(long)]
    pub simulcast: bool,
    /// Height in pixels at which viewers show each video, and say so to the server; senders stop the simulcast layers
    /// that the server says nobody wants
    #[arg(long, value_name = "PX", value_parser = clap::value_parser!(u16).range(1..=2160))]
    pub(crate) tile_height: Option<u16>,
    /// Let senders of video send sound too; meetings always have it
    #[arg(long)]
    pub sound: bool,
    /// People in each room who speak at once, by turns of five seconds; the others are silent. Servers are then offered audio
    /// levels, and sound that they leave out does not count as lost. Without this option, patchbay is offered no levels in rooms
    /// of more than six senders, so that it forwards everything
    #[arg(long, value_name = "N")]
    pub(crate) speakers: Option<usize>,
    /// Seconds of the measurement, which begins two seconds after everybody has joined; with --tile-height twelve seconds
    #[arg(long, default_value_t = 10, value_name = "S")]
    pub(crate) duration_s: u64,
    /// Joins a second
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub(crate) joins_per_s: u64,
    /// Seed of the random numbers: runs with the same seed send the same
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
    /// Part of the packets that are opened, authenticated and compared byte for byte. The others are counted by their
    /// headers
    #[arg(long, default_value_t = 20, value_name = "PERCENT", value_parser = clap::value_parser!(u64).range(1..=100))]
    pub(crate) verify_percent: u64,
    /// A simulated link in front of each subscriber: bit rate, delay in each direction, random loss of media. Packets wait for
    /// 200 ms at most. Subscribers then send congestion feedback and ask for lost packets, as browsers do; to have that
    /// without a narrow link, write 1000000
    #[arg(long, value_name = "KBIT[,DELAY_MS[,LOSS_PERCENT]]")]
    pub(crate) link: Option<LinkSettings>,
    /// The room's name; for several rooms, the beginning of their names [default: made from seed and time]
    #[arg(long, value_name = "NAME")]
    pub room: Option<String>,
    /// The room's password
    #[arg(long, env = "PATCHBAY_LOAD_PASSWORD", hide_env_values = true, value_name = "TEXT")]
    #[serde(skip)]
    pub password: Option<String>,
    /// Accept any TLS certificate; on this machine that is always so
    #[arg(long)]
    pub(crate) insecure: bool,
    /// Process id of a server on this machine, whose CPU time and memory are measured
    #[arg(long, value_name = "PID")]
    pub(crate) server_pid: Option<u32>,
    /// File to which the figures are written, for programs
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    pub json: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t = Server::Patchbay)]
    pub server: Server,
    /// LiveKit's API key and secret
    #[arg(
        long,
        env = "PATCHBAY_LOAD_LIVEKIT_KEY",
        hide_env_values = true,
        default_value = "devkey:secret",
        value_name = "KEY:SECRET"
    )]
    #[serde(skip)]
    pub(crate) livekit_key: String,
}

/// Time for servers to settle after the last join...
const SETTLE: Duration = Duration::from_secs(2);
/// ...and where senders stop layers that nobody wants: they are told after some seconds without a wish.
const SETTLE_LAYERS: Duration = Duration::from_secs(12);
/// Time for the last packet to arrive where no link delays it.
const DRAIN: Duration = Duration::from_millis(700);
/// Participants of a run. More would need much memory, and would show no more about a server.
const PARTICIPANTS_MAX: usize = 20_000;
const BITRATE_KBPS_MAX: u64 = 50_000;

impl Options {
    pub fn publishers(&self) -> usize {
        self.publishers.unwrap_or(match self.scenario {
            Scenario::Broadcast | Scenario::JoinStorm => 1,
            Scenario::Meeting | Scenario::Audio => 10,
            Scenario::Rooms => 3,
        })
    }

    pub fn subscribers(&self) -> usize {
        self.subscribers.unwrap_or(match self.scenario {
            Scenario::Broadcast => 50,
            Scenario::JoinStorm => 10,
            Scenario::Meeting | Scenario::Rooms | Scenario::Audio => 0,
        })
    }

    pub fn rooms(&self) -> usize {
        self.rooms.unwrap_or(match self.scenario {
            Scenario::Rooms => 20,
            _ => 1,
        })
    }

    pub(crate) fn has_video(&self) -> bool {
        self.scenario != Scenario::Audio
    }

    pub(crate) fn has_sound(&self) -> bool {
        self.sound || !matches!(self.scenario, Scenario::Broadcast | Scenario::JoinStorm)
    }

    pub(crate) fn duration(&self) -> Duration {
        Duration::from_secs(self.duration_s)
    }

    /// The distance between two opened packets. With simulcast and behind a link every packet is opened: the streams behind
    /// a subscription change, and parts of them are left out.
    pub(crate) fn verify_every(&self) -> u64 {
        match self.simulcast || self.link.is_some() {
            true => 1,
            false => 100 / self.verify_percent,
        }
    }

    /// Time for servers to settle after the last join.
    pub(crate) fn settle(&self) -> Duration {
        match self.tile_height {
            Some(_) => SETTLE_LAYERS,
            None => SETTLE,
        }
    }

    /// Time for the last packet to arrive.
    pub(crate) fn drain(&self) -> Duration {
        DRAIN + self.link.map_or(Duration::ZERO, |link| link.longest_way())
    }

    pub fn check(&self) -> Result<(), LoadError> {
        let invalid = |text: String| Err(LoadError::Settings(text));
        let participants = (self.publishers().saturating_add(self.subscribers())).saturating_mul(self.rooms());
        if self.publishers() == 0 || self.rooms() == 0 {
            return invalid("at least one publisher and one room are needed".to_owned());
        }
        if participants > PARTICIPANTS_MAX {
            return invalid(format!(
                "{participants} participants are too many; at most {PARTICIPANTS_MAX}"
            ));
        }
        if participants < 2 {
            return invalid("nobody would receive anything; ask for --subscribers".to_owned());
        }
        if !(16..=BITRATE_KBPS_MAX).contains(&self.bitrate_kbps) {
            return invalid(format!("--bitrate-kbps must be 16 to {BITRATE_KBPS_MAX}"));
        }
        if self.duration_s == 0 || self.joins_per_s == 0 {
            return invalid("--duration-s and --joins-per-s must be at least 1".to_owned());
        }
        if self.speakers.is_some_and(|speakers| speakers > self.publishers()) {
            return invalid("--speakers must not be more than --publishers".to_owned());
        }
        if self.speakers.is_some() && !self.has_sound() {
            return invalid("--speakers needs --sound here".to_owned());
        }
        if self.tile_height.is_some() && !self.simulcast {
            return invalid("--tile-height needs --simulcast: there is nothing to choose from".to_owned());
        }
        if self.password.is_some() && self.server != Server::Patchbay {
            return invalid("--password is for rooms of patchbay".to_owned());
        }
        Ok(())
    }
}
