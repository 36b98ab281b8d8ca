//! `patchbay robot …`

use std::fmt::Write;
use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::output::{CommandError, print};
use crate::robots;
use crate::sound::Recording;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Say whether robots can play a file, and if not, why; the setting robot.file takes it
    Check { file: PathBuf },
}

pub(super) fn run(command: Command) -> Result<(), CommandError> {
    match command {
        Command::Check { file } => print(&report(&file, &robots::read(&file)?)),
    }
}

fn report(file: &Path, recording: &Recording) -> String {
    let seconds = recording.duration().as_secs_f64();
    let channels = match recording.channels() {
        1 => "one channel",
        _ => "two channels",
    };
    let mut report = format!(
        "{} can be played: {seconds:.1} s, {channels}, {} packets, {} kb/s\n",
        file.display(),
        recording.packet_count(),
        (recording.bitrate_bps() + 500) / 1_000,
    );
    let left_out = recording.left_out();
    if left_out.is_cut_off {
        let _ = writeln!(
            report,
            "It is damaged or cut off after that, and the rest is not played."
        );
    }
    if left_out.has_more_streams {
        let _ = writeln!(report, "It has more than one stream, and only the first is played.");
    }
    report
}
