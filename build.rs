//! The pages and the migrations are embedded by macros that do not notice new files by themselves. The program knows when it
//! was built, and so that a clock which shows an earlier time is wrong.

use std::time::{SystemTime, UNIX_EPOCH};

fn main() {
    println!("cargo::rerun-if-changed=migrations");
    println!("cargo::rerun-if-changed=static");
    // Whoever builds the same program twice gives the time: https://reproducible-builds.org/specs/source-date-epoch/
    println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");
    let given = std::env::var("SOURCE_DATE_EPOCH")
        .ok()
        .and_then(|time| time.parse().ok());
    #[allow(clippy::disallowed_methods, reason = "the time of building is the machine's")]
    let now = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs())
    };
    // Cargo also gives this to the program that it runs, which takes what begins with its own name for a setting.
    println!("cargo::rustc-env=BUILT_AT_UNIX_S={}", given.unwrap_or_else(now));
}
