//! libFuzzer as the driver of the targets in `tests/fuzz/targets/`.

#[path = "../../tests/fuzz/targets/mod.rs"]
pub mod targets;

use std::fs;
use std::path::Path;

#[doc(hidden)]
pub use libfuzzer_sys;

/// The body of the program that fuzzes this target.
#[macro_export]
macro_rules! target {
    ($name:literal) => {
        thread_local! {
            static RUN: $crate::targets::Run = ($crate::targets::named($name).prepare)();
        }

        $crate::libfuzzer_sys::fuzz_target!(
            init: $crate::write_seeds($name),
            |input: &[u8]| RUN.with(|run| run(input))
        );
    };
}

/// Writes a target's seeds into the folder that `PATCHBAY_FUZZ_SEEDS` names: libFuzzer reads its inputs from folders, and does so
/// after this.
pub fn write_seeds(target: &str) {
    let Some(folder) = std::env::var_os("PATCHBAY_FUZZ_SEEDS") else {
        return;
    };
    fs::create_dir_all(&folder).expect("a folder for seeds");
    for (number, seed) in (targets::named(target).seeds)().iter().enumerate() {
        fs::write(Path::new(&folder).join(format!("seed-{number}")), seed).expect("a file for a seed");
    }
}
