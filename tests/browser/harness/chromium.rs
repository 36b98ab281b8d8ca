//! Chromium through its driver: one driver a scenario, one browser with a fresh profile a page.

use std::process::Command;

use serde_json::json;
use tempfile::TempDir;

use super::page::{Driver, Page};
use super::slow_link::SlowLink;
use super::webdriver::Session;
use crate::support::process::Process;

/// Headless, with fake camera and microphone, nothing sent to its maker, and loopback candidates with real addresses.
const FLAGS: &[&str] = &[
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-ui-for-media-stream",
    "--allow-loopback-in-peer-connection",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
    "--autoplay-policy=no-user-gesture-required",
    "--ignore-certificate-errors",
    // Pages of other windows keep their timers: every participant here is in somebody's foreground.
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
];

/// A script that runs in every page before the page's own scripts: see the file.
pub const PROBE: &str = include_str!("../scripts/probe.js");

/// Starts of the driver until one of them gets its port.
const DRIVER_STARTS: usize = 5;

pub struct Chromium {
    driver: Process,
    url: String,
    downloads: TempDir,
}

/// How one browser differs from the others.
#[derive(Default)]
pub struct Options<'a> {
    /// Parameters of the fake camera, as in `fps=30`.
    pub camera: &'a str,
    pub flags: &'a [&'a str],
    /// The usual flags that are left out.
    pub without: &'a [&'a str],
    /// A script that runs in every page after the probe and before the page's own scripts.
    pub script: &'a str,
    /// Width and height of the page in CSS pixels.
    pub window: Option<(u32, u32)>,
}

/// The driver and its port; nothing if its port was taken. The driver takes a port that is free under IPv6 and then the same one
/// under IPv4, where a connection of another test may have it: then the driver ends.
fn start_driver(mut command: Command) -> Option<(Process, u16)> {
    command.args(["--port=0", "--log-level=WARNING"]);
    let driver = Process::start(command);
    let port = driver.wait_for_line("the port of chromedriver", |line| {
        if line.contains("port not available") {
            return Some(None);
        }
        let (_, port) = line.split_once("successfully on port ")?;
        port.trim_end_matches('.').parse::<u16>().ok().map(Some)
    });
    port.map(|port| (driver, port))
}

impl Chromium {
    pub fn start() -> Chromium {
        Chromium::start_at("127.0.0.1", || Command::new("chromedriver"))
    }

    /// Starts it in the viewer's network.
    pub fn start_behind(link: &SlowLink) -> Chromium {
        Chromium::start_at(SlowLink::address(), || {
            let mut command = link.command("chromedriver");
            // Empty: this driver answers at all addresses of its network.
            command.arg("--allowed-ips=");
            command
        })
    }

    fn start_at(address: &str, driver: impl Fn() -> Command) -> Chromium {
        let started = (0..DRIVER_STARTS).find_map(|_| start_driver(driver()));
        let (driver, port) =
            started.unwrap_or_else(|| panic!("chromedriver found no free port in {DRIVER_STARTS} starts"));
        let downloads = TempDir::new().unwrap();
        Chromium {
            driver,
            url: format!("http://{address}:{port}"),
            downloads,
        }
    }

    /// A new browser for one participant.
    pub async fn page(&self, name: &str) -> Page {
        self.page_with(name, Options::default()).await
    }

    pub async fn page_with(&self, name: &str, options: Options<'_>) -> Page {
        let profile = TempDir::new().unwrap();
        let (width, height) = options.window.unwrap_or((1280, 800));
        let usual = FLAGS.iter().filter(|flag| !options.without.contains(flag));
        let mut flags: Vec<String> = usual.chain(options.flags).map(|flag| flag.to_string()).collect();
        flags.push(format!("--user-data-dir={}", profile.path().display()));
        flags.push(format!("--window-size={width},{height}"));
        flags.push(match options.camera {
            "" => "--use-fake-device-for-media-stream".to_owned(),
            parameters => format!("--use-fake-device-for-media-stream={parameters}"),
        });
        let capabilities = json!({
            "browserName": "chrome",
            "acceptInsecureCerts": true,
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": {
                "args": flags,
                "prefs": { "download.default_directory": self.downloads.path() },
            },
        });
        let session = Session::new(&self.url, capabilities).await.unwrap_or_else(|error| {
            panic!(
                "cannot open a browser for {name}: {error}\nchromedriver said:\n{}",
                self.driver.output()
            )
        });
        // No window is narrower than 500 pixels, but phones are.
        if let Some((width, height)) = options.window {
            let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
            let set = session.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
            set.unwrap_or_else(|error| panic!("{name}: no window of {width}×{height}: {error}"));
        }
        let page = Page::new(name, Driver::Chromium(session), profile);
        for script in [PROBE, options.script] {
            page.before_load(script).await;
        }
        page
    }
}
