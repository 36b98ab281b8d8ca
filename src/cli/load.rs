//! `patchbay load`: the load tester's command line.

use super::output::{CommandError, print};
use crate::load::{self, LoadError, Options};

/// Prints the table on standard output, and progress on standard error. Fails when the run could not be done, or ended
/// early.
pub(super) async fn run(options: Options) -> Result<(), CommandError> {
    let json = options.json.clone();
    let outcome = load::run(options).await;
    load::status("");
    if let Some(report) = &outcome.report {
        print(&report.table())?;
        if let Some(path) = json {
            let text = serde_json::to_string_pretty(report)? + "\n";
            std::fs::write(&path, text).map_err(|source| LoadError::Write {
                path: path.display().to_string(),
                source,
            })?;
        }
    }
    outcome.failure.map_or(Ok(()), |failure| Err(failure.into()))
}
