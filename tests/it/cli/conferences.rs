//! `patchbay conference`: what it prints and records, and what it refuses.

use super::commands::remarks;
use super::program::{Program, is_written_down};

#[tokio::test]
async fn conferences_are_added_changed_listed_and_removed_and_nobody_writes_their_pins_down() {
    let program = Program::new();
    let (_, stdout, _) = program.run(&["conference", "list"]).await;
    assert_eq!(stdout, "there are no conferences\n");
    // Without a value, both PINs are read as lines.
    let asked = [
        "conference",
        "add",
        "board",
        "--name",
        "Board 董事会",
        "--guest-pin",
        "--wait-for-host",
    ];
    let (code, stdout, stderr) = program.run_with(&asked, &[], "471147\n081508\n").await;
    let output = (code, stdout.as_str(), remarks(&program, &stderr));
    assert_eq!(output, (Some(0), "added board\n", ""));
    for arguments in [
        &[
            "conference",
            "add",
            "open",
            "--host-pin",
            "471148",
            "--guests",
            "anybody",
        ][..],
        &["conference", "add", "free", "--no-host-pin"],
        &["conference", "add", "gone", "--host-pin", "471149"],
        &[
            "conference",
            "set",
            "open",
            "--name",
            "Open",
            "--guests",
            "pin",
            "--guest-pin",
            "081509",
        ],
        &["conference", "set", "board", "--wait-for-host", "false"],
        &["conference", "remove", "gone"],
    ] {
        let (code, _, stderr) = program.run(arguments).await;
        assert_eq!((code, remarks(&program, &stderr)), (Some(0), ""), "{arguments:?}");
    }
    let table = "ALIAS  NAME       HOSTS    GUESTS  WAIT FOR A HOST\n\
                 board  Board 董事会  pin      pin     no\n\
                 free   free       anybody  nobody  no\n\
                 open   Open       pin      pin     no\n";
    let (_, stdout, _) = program.run(&["conference", "list"]).await;
    assert_eq!(stdout, table);
    let set = ["conference", "set", "board", "--host-pin"];
    let (code, stdout, _) = program.run_with(&set, &[], "471150\n").await;
    assert_eq!((code, stdout.as_str()), (Some(0), "changed board\n"));
    for pin in ["471147", "471148", "471149", "471150", "081508", "081509"] {
        assert!(!is_written_down(program.folder.path(), pin), "{pin}");
    }
}

#[tokio::test]
async fn a_conference_that_nobody_could_enter_as_meant_is_refused_with_a_sentence() {
    let program = Program::new();
    program.run(&["room", "add", "lounge", "--no-password"]).await;
    program
        .run(&["conference", "add", "board", "--host-pin", "471147"])
        .await;
    for (arguments, sentence) in [
        (
            &["add", "x", "--host-pin", "abc"][..],
            "a PIN must have 4 to 20 digits, and nothing else",
        ),
        (
            &["add", "x", "--host-pin", "4711", "--guest-pin", "4711"],
            "the PINs of hosts and of guests must differ",
        ),
        (
            &["add", "x", "--no-host-pin", "--guests", "anybody"],
            "without a PIN for hosts everybody enters as a host, so there are no guests: give it a PIN for hosts, too",
        ),
        (
            &[
                "add",
                "x",
                "--host-pin",
                "4711",
                "--guests",
                "nobody",
                "--guest-pin",
                "0815",
            ],
            "a PIN for guests is of use only with --guests pin",
        ),
        (
            &["add", "board", "--host-pin", "4711"],
            "the conference `board` exists already",
        ),
        (&["set", "x", "--name", "X"], "the conference `x` does not exist"),
        (
            &["set", "board", "--guest-pin", "471147"],
            "the PINs of hosts and of guests must differ",
        ),
        (
            &["add", "lounge", "--host-pin", "4711"],
            "`lounge` is a room with a record: remove that first (`patchbay room remove`)",
        ),
    ] {
        let (code, stdout, stderr) = program.run(&[&["conference"], arguments].concat()).await;
        assert_eq!((code, stdout.as_str()), (Some(1), ""), "{arguments:?}");
        assert_eq!(
            remarks(&program, &stderr),
            format!("patchbay: {sentence}\n"),
            "{arguments:?}"
        );
    }
    let (_, _, stderr) = program.run(&["room", "add", "board", "--no-password"]).await;
    let sentence = "patchbay: `board` is a conference: set its PINs instead (`patchbay conference set`)\n";
    assert_eq!(remarks(&program, &stderr), sentence);
}
