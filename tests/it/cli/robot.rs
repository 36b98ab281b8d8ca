//! `patchbay robot check`: whether a file can be played, and what to do if not.

use std::path::Path;

use ogg::{PacketWriteEndInfo, PacketWriter};

use super::program::Program;

const TONE: &[u8] = include_bytes!("../../fixtures/tone.opus");
const HEAD: &[u8] = b"OpusHead\x01\x01\x38\x01\x80\xbb\0\0\0\0\0";
const TAGS: &[u8] = b"OpusTags\x04\0\0\0test\0\0\0\0";
const SIXTEEN_MIB: u64 = 16 << 20;

fn ogg(packets: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = PacketWriter::new(&mut bytes);
    for (at, packet) in packets.iter().enumerate() {
        let ends = match at {
            _ if at + 1 == packets.len() => PacketWriteEndInfo::EndStream,
            _ => PacketWriteEndInfo::EndPage,
        };
        writer.write_packet(packet.to_vec(), 9, ends, 0).unwrap();
    }
    drop(writer);
    bytes
}

async fn check(program: &Program, file: &str) -> (Option<i32>, String, String) {
    program.run(&["robot", "check", file]).await
}

#[tokio::test]
async fn a_file_that_can_be_played_is_described_and_one_that_is_cut_off_is_too() {
    let program = Program::new();
    std::fs::write(program.path("tone.opus"), TONE).unwrap();
    let (code, stdout, stderr) = check(&program, "tone.opus").await;
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    assert!(
        stdout.starts_with("tone.opus can be played: 2.0 s, one channel, 101 packets, "),
        "{stdout}"
    );
    assert_eq!(stdout.lines().count(), 1, "{stdout}");

    std::fs::write(program.path("cut.opus"), &TONE[..TONE.len() * 2 / 3]).unwrap();
    let (code, stdout, _) = check(&program, "cut.opus").await;
    assert_eq!(code, Some(0));
    let cut = "It is damaged or cut off after that, and the rest is not played.";
    assert_eq!(stdout.lines().nth(1), Some(cut), "{stdout}");

    std::fs::write(program.path("two.opus"), [TONE, &ogg(&[HEAD, TAGS, &[0xf8]])].concat()).unwrap();
    let (code, stdout, _) = check(&program, "two.opus").await;
    assert_eq!(code, Some(0));
    let first = "It has more than one stream, and only the first is played.";
    assert_eq!(stdout.lines().nth(1), Some(first), "{stdout}");
    assert!(!program.path("data").exists(), "it opens no database");
}

#[tokio::test]
async fn a_file_that_cannot_be_played_gets_the_reason_and_the_command_that_helps() {
    let six_channels = [&HEAD[..9], &[6], &HEAD[10..18], &[1]].concat();
    let ambisonics = [&HEAD[..18], &[3]].concat();
    let files: [(&str, Vec<u8>, &str); 9] = [
        (
            "garbage",
            b"garbage".to_vec(),
            "it is no Ogg file, or it is damaged at its beginning",
        ),
        (
            "empty",
            Vec::new(),
            "it is no Ogg file, or it is damaged at its beginning",
        ),
        (
            "a.wav",
            b"RIFF\x24\0\0\0WAVEfmt ".to_vec(),
            "it is a WAV file and no Ogg file",
        ),
        ("a.mp3", b"ID3\x03".to_vec(), "it is a MP3 file and no Ogg file"),
        ("a.ogg", ogg(&[b"\x01vorbis"]), "its first stream is Vorbis and no Opus"),
        ("b.ogg", ogg(&[b"unknown"]), "its first stream is no Opus"),
        (
            "six.opus",
            ogg(&[&six_channels]),
            "it has 6 channels, and only one or two can be played",
        ),
        (
            "odd.opus",
            ogg(&[&ambisonics]),
            "its Opus is of a kind that not every client plays",
        ),
        (
            "high.opus",
            ogg(&[HEAD, TAGS, &[0xf8; 1_200]]),
            "one of its packets is longer than 1150 bytes, because its bit rate is too high",
        ),
    ];
    let program = Program::new();
    for (name, bytes, why) in files {
        std::fs::write(program.path(name), bytes).unwrap();
        let command = format!("ffmpeg -i {name} -vn -ac 2 -c:a libopus -b:a 48k playable.opus");
        let sentence =
            format!("patchbay: {name} cannot be played: {why}. Make a file that can be played with: {command}\n");
        assert_eq!(check(&program, name).await, (Some(1), String::new(), sentence));
    }
    std::fs::write(program.path("mute.opus"), ogg(&[HEAD, TAGS])).unwrap();
    let sentence = "patchbay: mute.opus cannot be played: there is no sound in it. Take a file with sound\n";
    assert_eq!(
        check(&program, "mute.opus").await,
        (Some(1), String::new(), sentence.to_owned())
    );
    let long = std::fs::File::create(program.path("long.opus")).unwrap();
    long.set_len(SIXTEEN_MIB + 1).unwrap();
    let (code, _, stderr) = check(&program, "long.opus").await;
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains("long.opus cannot be played: it has more than 16 MiB. "),
        "{stderr}"
    );
    assert!(stderr.contains(" -t 2400 "), "{stderr}");
}

#[tokio::test]
async fn what_cannot_be_read_is_named() {
    let program = Program::new();
    let (code, _, stderr) = check(&program, "missing.opus").await;
    assert_eq!(code, Some(1));
    assert!(
        stderr.starts_with("patchbay: cannot read missing.opus: No such file"),
        "{stderr}"
    );
    let (code, _, stderr) = check(&program, ".").await;
    assert_eq!((code, stderr.as_str()), (Some(1), "patchbay: . is no file\n"));
    if Path::new("/dev/zero").exists() {
        let (code, _, stderr) = check(&program, "/dev/zero").await;
        assert_eq!((code, stderr.as_str()), (Some(1), "patchbay: /dev/zero is no file\n"));
    }
}
