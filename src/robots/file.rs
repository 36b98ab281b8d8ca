//! The recording that robots play: the one that is configured, or the one that is built in.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::config;
use crate::sound::{FILE_BYTES_MAX, Recording, RecordingError};

/// Made by `assets/make-robot-sound`.
const BUILT_IN: &[u8] = include_bytes!("../../assets/robot.opus");

/// The reason why a file cannot be played: a sentence that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("cannot read {}: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{} is no file", .0.display())]
    NoFile(PathBuf),
    #[error("{} cannot be played: {why}. {}", path.display(), Remedy { path, why: *why })]
    Unplayable { path: PathBuf, why: RecordingError },
}

/// The recording of these settings.
pub fn recording(settings: &config::Robot) -> Result<Recording, FileError> {
    match settings.given() {
        Some(path) => read(path),
        None => recording_in(Path::new("the built-in recording"), BUILT_IN),
    }
}

/// Reads a recording from a file.
pub(crate) fn read(path: &Path) -> Result<Recording, FileError> {
    let unreadable = |source| FileError::Unreadable {
        path: path.to_owned(),
        source,
    };
    // A pipe or a device may never end, or never begin.
    if !path.metadata().map_err(unreadable)?.is_file() {
        return Err(FileError::NoFile(path.to_owned()));
    }
    let file = File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    // One byte more than a recording may have shows that there are more.
    let most = FILE_BYTES_MAX as u64 + 1;
    file.take(most).read_to_end(&mut bytes).map_err(unreadable)?;
    recording_in(path, &bytes)
}

fn recording_in(path: &Path, bytes: &[u8]) -> Result<Recording, FileError> {
    Recording::read(bytes).map_err(|why| FileError::Unplayable {
        path: path.to_owned(),
        why,
    })
}

/// What to do about a file that cannot be played.
struct Remedy<'a> {
    path: &'a Path,
    why: RecordingError,
}

impl fmt::Display for Remedy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.why == RecordingError::Empty {
            return f.write_str("Take a file with sound");
        }
        let (file, what) = (Quoted(self.path), "Make a file that can be played with");
        let shorter = match self.why {
            // Forty minutes at this bit rate are 14 MiB.
            RecordingError::TooLong => " -t 2400",
            _ => "",
        };
        write!(
            f,
            "{what}: ffmpeg -i {file} -vn -ac 2 -c:a libopus -b:a 48k{shorter} playable.opus"
        )
    }
}

/// A path as a shell takes it.
struct Quoted<'a>(&'a Path);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.0.to_string_lossy();
        let is_plain = |c: char| c.is_alphanumeric() || "/._-+,:@%".contains(c);
        match path.chars().all(is_plain) {
            true => f.write_str(&path),
            false => write!(f, "'{}'", path.replace('\'', r"'\''")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_built_in_recording_is_short_and_has_one_channel_and_packets_of_20_ms() {
        assert!(BUILT_IN.len() < 200_000);
        let recording = recording(&config::Robot::default()).unwrap();
        assert_eq!(recording.channels(), 1);
        assert_eq!(recording.left_out(), Default::default());
        let seconds = recording.duration().as_secs();
        assert!((10..=20).contains(&seconds), "{seconds}");
        for number in 0..recording.packet_count() {
            let (packet, lasts) = recording.packet(number).unwrap();
            assert_eq!(lasts, Duration::from_millis(20), "packet {number}");
            assert!(packet.len() < 500, "packet {number}: {} bytes", packet.len());
        }
    }

    #[test]
    fn the_remedy_is_a_command_that_a_shell_takes_as_it_stands() {
        let remedy = |path: &str, why| {
            let path = Path::new(path);
            Remedy { path, why }.to_string()
        };
        assert_eq!(
            remedy("a/song.mp3", RecordingError::NotOgg),
            "Make a file that can be played with: ffmpeg -i a/song.mp3 -vn -ac 2 -c:a libopus -b:a 48k playable.opus"
        );
        assert!(remedy("my song's.wav", RecordingError::TooLong).contains(r"-i 'my song'\''s.wav' "));
        assert!(remedy("x.wav", RecordingError::TooLong).contains(" -t 2400 "));
        assert_eq!(remedy("x.opus", RecordingError::Empty), "Take a file with sound");
    }

    proptest! {
        #[test]
        fn any_file_gets_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..600), at in 0..BUILT_IN.len()) {
            let mut damaged = BUILT_IN.to_vec();
            let end = damaged.len().min(at + bytes.len());
            damaged[at..end].copy_from_slice(&bytes[..end - at]);
            for file in [bytes, damaged] {
                match recording_in(Path::new("x"), &file) {
                    Ok(recording) => prop_assert!(recording.bitrate_bps() > 0 && recording.packet_count() > 0),
                    Err(error) => prop_assert!(error.to_string().starts_with("x cannot be played: ")),
                }
            }
        }
    }

    #[test]
    fn what_is_no_file_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(read(folder.path()), Err(FileError::NoFile(_))));
        assert!(matches!(read(Path::new("/dev/zero")), Err(FileError::NoFile(_))));
        let missing = read(&folder.path().join("missing")).unwrap_err().to_string();
        assert!(
            missing.starts_with("cannot read ") && missing.contains("No such file"),
            "{missing}"
        );
    }
}
