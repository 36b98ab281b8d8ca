//! `patchbay device …`

use clap::Subcommand;

use super::output::{CommandError, print, table};
use crate::clock::now_s;
use crate::server::wall_clock;
use crate::storage::{DeviceRecord, Records};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Show the devices of one account, or of all, with the time of each one's last login or connection
    List { phone: Option<String> },
    /// Remove a device: its tokens are refused from now on, and it has to log in again. A connection that it has now
    /// goes on
    Remove { phone: String, device_id: String },
}

pub(super) async fn run(command: Command, records: &Records) -> Result<(), CommandError> {
    match command {
        Command::List { phone } => list(records, phone.as_deref()).await,
        Command::Remove { phone, device_id } => {
            let device = DeviceRecord { phone, device_id };
            records.remove_device(&device, now_s(&wall_clock())).await?;
            print(&format!("removed {} from {}\n", device.device_id, device.phone))
        }
    }
}

async fn list(records: &Records, phone: Option<&str>) -> Result<(), CommandError> {
    let devices = records.devices(phone).await?;
    if devices.is_empty() {
        return print("there are no devices\n");
    }
    let now_s = now_s(&wall_clock());
    let mut rows = vec![["PHONE", "DEVICE", "LAST SEEN"].map(str::to_owned).to_vec()];
    rows.extend(
        devices
            .into_iter()
            .map(|(device, seen_at)| vec![device.phone, device.device_id, ago(seen_at, now_s)]),
    );
    print(&table(&rows))
}

/// The time passed, in the largest unit of which there is at least one. 0 stands for a time that was not recorded yet.
fn ago(seen_at_s: i64, now_s: i64) -> String {
    if seen_at_s == 0 {
        return "not known".to_owned();
    }
    let passed_s = now_s.saturating_sub(seen_at_s).max(0);
    match [(86_400, "d"), (3_600, "h"), (60, "min")]
        .iter()
        .find(|(unit_s, _)| passed_s >= *unit_s)
    {
        Some((unit_s, unit)) => format!("{} {unit} ago", passed_s / unit_s),
        None => "now".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::ago;

    #[test]
    fn an_age_is_shown_in_its_greatest_unit() {
        let now = 1_000_000;
        let shown = [0, 59, 60, 7_199, 7_200, 200_000].map(|passed| ago(now - passed, now));
        assert_eq!(shown, ["now", "now", "1 min ago", "1 h ago", "2 h ago", "2 d ago"]);
        assert_eq!(ago(0, now), "not known");
        assert_eq!(ago(now + 50, now), "now", "a clock that was set back");
    }
}
