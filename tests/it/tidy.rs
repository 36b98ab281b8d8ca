//! The mechanical rules of the code base: layering, clocks, sockets, sizes, words. They only ever tighten.
//!
//! It reads source text, so it sees words, not meaning; comments and unit tests are left out where a rule is about
//! what the program does.

use std::fs;
use std::path::{Path, PathBuf};

/// Lines of one Rust file before its unit tests, or of one script of the pages: what a reader can hold in mind.
const LINES_MAX: usize = 500;

/// The shells: the only files that may read a clock.
const CLOCK_SHELLS: &[&str] = &[
    "src/main.rs",
    "src/server.rs",
    "src/media/driver.rs",
    "src/http/websocket/heart.rs",
    "src/http/websocket/line.rs",
    "src/http/websocket/resumption.rs",
    "src/http/websocket/serving.rs",
    "src/hub/task.rs",
    // The load tester times others.
    "src/load/mod.rs",
    "src/load/driver.rs",
    "src/load/servers/context.rs",
];

/// Words that the domain must not know: tasks, formats, transports, and the layers above it.
const NOT_IN_DOMAIN: &[&str] = &[
    "tokio",
    "serde",
    "axum",
    "sqlx",
    "std::fs",
    "std::net",
    "async fn",
    ".await",
    "crate::http",
    "crate::signaling",
    "crate::hub",
    "crate::storage",
    "crate::server",
    "crate::config",
];

const SOCKET_WORDS: &[&str] = &[
    "UdpSocket",
    "TcpStream",
    "TcpListener",
    "socket2::",
    "mio::net",
    "quinn_udp",
];

const CLOCK_WORDS: &[&str] = &["Instant::now", "SystemTime::now", "now_utc", "Utc::now", "now_local"];

pub struct SourceFile {
    pub path: String,
    pub text: String,
}

impl SourceFile {
    /// The program's lines: up to the unit tests, without comment lines. With line numbers from 1.
    pub fn program_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let tests_begin = |line: &&str| !line.starts_with("#[cfg(test)]");
        let numbered = self.text.lines().take_while(tests_begin).enumerate();
        numbered
            .map(|(index, line)| (index + 1, line))
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    fn lines_before_unit_tests(&self) -> usize {
        self.text
            .lines()
            .take_while(|line| !line.starts_with("#[cfg(test)]"))
            .count()
    }

    /// `path:line: word` for every word found in the program's lines.
    fn mentions(&self, words: &[&str]) -> Vec<String> {
        let hit = |(number, line): (usize, &str)| {
            let found = words.iter().find(|word| line.contains(**word))?;
            Some(format!("{}:{number}: {found}", self.path))
        };
        self.program_lines().filter_map(hit).collect()
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All text files below `folder` with one of the extensions; every file if none are given.
fn files(folder: &str, extensions: &[&str]) -> Vec<SourceFile> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if !is_produced(&path, &name) {
                    folders.push(path);
                }
            } else if extensions.is_empty() || extensions.iter().any(|extension| has_extension(&path, extension)) {
                // A file that is not UTF-8 is a picture or a recording.
                if let Ok(text) = fs::read_to_string(&path) {
                    let path = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
                    found.push(SourceFile { path, text });
                }
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// Folders that builds and runs make at the top and in `fuzz/`; they are in `.gitignore`.
fn is_produced(path: &Path, name: &str) -> bool {
    let beside = |folder: &Path| path.parent() == Some(folder);
    let at_top = beside(root()) && matches!(name, "target" | "data");
    let of_fuzzing = beside(&root().join("fuzz")) && matches!(name, "target" | "artifacts" | "corpus" | "coverage");
    name == ".git" || at_top || of_fuzzing
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
}

pub fn rust_files(folder: &str) -> Vec<SourceFile> {
    let found = files(folder, &["rs"]);
    assert!(!found.is_empty(), "no Rust file below {folder}: has it moved?");
    found
}

#[track_caller]
pub fn assert_none(rule: &str, offences: Vec<String>) {
    assert!(offences.is_empty(), "{rule}\n  {}", offences.join("\n  "));
}

#[test]
fn the_domain_knows_no_task_no_format_and_no_layer_above_it() {
    let offences = rust_files("src/domain")
        .iter()
        .flat_map(|file| file.mentions(NOT_IN_DOMAIN))
        .collect();
    assert_none(
        "src/domain decides, and does nothing else: no I/O, no async, no wire format",
        offences,
    );
}

/// The hub gets values of which no text can be made, so what it would need to read an offer itself is looked for.
#[test]
fn offers_are_read_by_the_sessions_that_bring_them_and_nowhere_else() {
    let reads = |file: &SourceFile| !file.path.contains("tests") && file.path != "src/signaling/offer.rs";
    let program = || rust_files("src").into_iter().filter(reads);
    let mut offences: Vec<String> = program()
        .filter(|file| file.path != "src/media/description.rs")
        .flat_map(|file| file.mentions(&["Description::read("]))
        .collect();
    let readers = [
        "src/media/description/",
        "src/media/peer/negotiate/write.rs",
        "src/load/",
    ];
    let others = program().filter(|file| !readers.iter().any(|reader| file.path.starts_with(reader)));
    offences.extend(others.flat_map(|file| file.mentions(&["rtc_sdp", "\"a=", "\"m=", "\\nm="])));
    assert_none("src/signaling/offer.rs reads offers, in the session's task", offences);
}

#[test]
fn no_family_knows_another() {
    let families: Vec<PathBuf> = fs::read_dir(root().join("src/signaling"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    let mut offences = Vec::new();
    for family in &families {
        let others: Vec<String> = families.iter().filter(|other| *other != family).map(name).collect();
        let words: Vec<String> = others.iter().map(|other| format!("{other}::")).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        for file in rust_files(&format!("src/signaling/{}", name(family))) {
            offences.extend(file.mentions(&words));
        }
    }
    assert_none("a family's folder names another family", offences);
}

#[test]
fn only_the_media_driver_touches_media_sockets() {
    let outside = |file: &SourceFile| !file.path.starts_with("src/media/driver");
    let offences = rust_files("src/media")
        .iter()
        .filter(|f| outside(f))
        .flat_map(|f| f.mentions(SOCKET_WORDS))
        .collect();
    assert_none("a socket below src/media belongs to src/media/driver.rs", offences);
}

#[test]
fn only_shells_read_a_clock() {
    let outside = |file: &SourceFile| !CLOCK_SHELLS.contains(&file.path.as_str());
    let offences = rust_files("src")
        .iter()
        .filter(|f| outside(f))
        .flat_map(|f| f.mentions(CLOCK_WORDS))
        .collect();
    assert_none(
        "take the time as an argument; only these read a clock: CLOCK_SHELLS",
        offences,
    );
}

#[test]
fn files_are_short_enough_to_read() {
    let mut offences = Vec::new();
    for file in files("src", &["rs"])
        .iter()
        .chain(&files("benches", &["rs"]))
        .chain(&files("tests", &["rs"]))
    {
        let lines = file.lines_before_unit_tests();
        if lines > LINES_MAX {
            offences.push(format!("{}: {lines} lines", file.path));
        }
    }
    for file in files("static", &["js", "mjs", "css", "html"]) {
        let lines = file.text.lines().count();
        if lines > LINES_MAX {
            offences.push(format!("{}: {lines} lines", file.path));
        }
    }
    assert_none(
        &format!("more than {LINES_MAX} lines: find the two things this file is"),
        offences,
    );
}

#[test]
fn every_file_opens_with_its_job() {
    let mut offences = Vec::new();
    for file in files("src", &["rs"])
        .iter()
        .chain(&files("benches", &["rs"]))
        .chain(&files("tests", &["rs"]))
    {
        if !file.text.starts_with("//! ") {
            offences.push(file.path.clone());
        }
    }
    for file in files("static", &["js", "mjs"]) {
        if !file.text.starts_with("//") && !file.text.starts_with("/*") {
            offences.push(file.path);
        }
    }
    assert_none("the first line says what the file is for", offences);
}

#[test]
fn nothing_names_the_place_where_it_was_written() {
    // In pieces, so that this file does not break its own rule.
    let words: Vec<String> = [
        ("/wo", "rk/"),
        ("/ro", "ot/"),
        ("index.cra", "tes.io"),
        ("static.cra", "tes.io"),
        ("registry.np", "mjs.org"),
        ("py", "pi.org"),
        ("proxy.go", "lang.org"),
    ]
    .iter()
    .map(|(front, back)| format!("{front}{back}"))
    .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut offences = Vec::new();
    for file in files("", &[]).iter().filter(|file| file.path != "Cargo.lock") {
        for (index, line) in file.text.lines().enumerate() {
            if let Some(word) = words.iter().find(|word| line.contains(**word)) {
                offences.push(format!("{}:{}: {word}", file.path, index + 1));
            }
        }
    }
    assert_none("a path or host of somebody's machine", offences);
}

#[test]
fn no_lint_is_silenced_for_a_whole_crate() {
    let mut offences = Vec::new();
    for file in rust_files("src") {
        offences.extend(file.mentions(&[
            "#![allow(",
            "allow(dead_code",
            "allow(unused",
            "expect(dead_code",
            "expect(unused",
        ]));
    }
    assert_none("remove what is unused instead of hiding it", offences);
}

/// Functions that have more than 70 lines or 6 arguments. `expect` is an error where a function no longer has them, so the list
/// only shrinks.
const LARGE_FUNCTIONS: &[&str] = &[
    "src/domain/messages.rs: send",
    "src/media/track.rs: receive",
    "src/media/worker/ingress.rs: layer",
    "src/media/worker/ingress.rs: receive",
    "src/media/worker/ingress.rs: take_rtp",
    "src/media/worker/mirror.rs: clock_announced",
    "tests/fuzz/targets/rules.rs: command",
    "tests/fuzz/targets/rules.rs: commands",
    "tests/fuzz/targets/signaling.rs: play",
    "tests/it/simulation/expectations.rs: missing_of",
];

#[test]
fn functions_are_short_and_narrow_enough_to_read() {
    let limits = fs::read_to_string(root().join("clippy.toml")).unwrap();
    assert!(limits.contains("\ntoo-many-lines-threshold = 70\n"));
    assert!(limits.contains("\ntoo-many-arguments-threshold = 6\n"));
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    for lint in ["too_many_lines", "too_many_arguments"] {
        assert!(manifest.contains(&format!("\n{lint} = \"warn\"\n")), "{lint}");
    }
    // In pieces, so that this file does not break its own rule.
    let lints = [concat!("too_many", "_lines"), concat!("too_many", "_arguments")];
    let mut found = Vec::new();
    let folders = ["src", "tests", "benches"];
    for file in folders.iter().flat_map(|folder| files(folder, &["rs"])) {
        let mut lines = file.text.lines();
        while let Some(line) = lines.next() {
            if !lints.iter().any(|lint| line.contains(&format!("clippy::{lint}"))) {
                continue;
            }
            let function = lines
                .find_map(|line| line.split_once("fn "))
                .map_or("", |(_, name)| name);
            let name = function.split(['(', '<']).next().unwrap();
            found.push(format!("{}: {name}", file.path));
        }
    }
    found.sort();
    assert_eq!(found, LARGE_FUNCTIONS, "make it smaller, or take it off the list");
}

#[test]
fn the_documents_that_lead_a_reader_exist() {
    let wanted = [
        "README.md",
        "clippy.toml",
        "deny.toml",
        "rustfmt.toml",
        "tests/run",
        ".ci/run",
    ];
    let missing = wanted
        .iter()
        .filter(|path| !root().join(path).is_file())
        .map(|path| path.to_string());
    assert_none("missing", missing.collect());
}

#[test]
fn continuous_integration_calls_the_one_command_and_nothing_else() {
    let text = fs::read_to_string(root().join(".ci/run")).unwrap();
    assert_eq!(text, "#!/usr/bin/env bash\nexec \"$(dirname \"$0\")/../tests/run\"\n");
}
