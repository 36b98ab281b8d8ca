//! A viewer whose link becomes slow, and fast again: the picture goes on in the layer that fits, at once, and nobody else sees
//! anything of it.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Deserialize;

use crate::harness::chromium::{Chromium, Options};
use crate::harness::page::Page;
use crate::harness::room::MEDIA_PATIENCE;
use crate::harness::slow_link::SlowLink;
use crate::harness::{firefox, turn};
use crate::support::server::Server;

/// A script that keeps what a page receives, four times a second.
const RECEPTION: &str = include_str!("scripts/reception.js");

/// Rate of the link before and after, in kb/s. It carries more than the highest layer and the sound.
const FAST: u32 = 5_000;
/// Lines of the highest layer.
const FULL: u32 = 720;
/// Time for which each rate lasts.
const PHASE: Duration = Duration::from_secs(8);
/// Time after a change of the rate within which the picture has no more lines than fit, in milliseconds, as many as fit, and the full
/// ones. The aims are 1.5 s, 1.5 s and 4 s. Where it has fallen too far, it rises after three seconds.
const NO_MORE_WITHIN: f64 = 2_000.0;
const FITS_WITHIN: f64 = 6_000.0;
const FULL_WITHIN: f64 = 6_000.0;
/// Time for which the picture may stand still in one phase, in seconds.
const FROZEN_MAX: f64 = 0.5;
/// The same where sound and the lowest layer fill the link. The aim is the same, too; what is reached is in `benches/BANDWIDTH.md`. A busy
/// machine adds a second. Before anything adapted, the picture stood still all the time.
const FROZEN_MAX_WHERE_FULL: f64 = 2.5;
/// Time after which there are the full lines again on such a link: all that is left of the phase.
const FULL_WITHIN_WHERE_FULL: f64 = 7_500.0;
/// Rate of the link, in kb/s, at which the page has to say that the picture is smaller because of it.
const BADGE_AT: u32 = 300;
/// Times that it is measured before it counts as failed: on a busy machine everything stands still now and then.
const ATTEMPTS: usize = 5;

#[derive(Clone, Copy, Debug, Deserialize)]
struct Sample {
    /// Milliseconds since the page was opened.
    at: f64,
    height: u32,
    decoded: u64,
    /// Seconds for which the picture stood still so far.
    frozen: f64,
    bytes: u64,
}

/// What a page received while the link had one rate.
struct Phase {
    name: String,
    from: f64,
    samples: Vec<Sample>,
}

impl Phase {
    async fn watch(name: &str, pages: [&Page; 2]) -> [Phase; 2] {
        let began = [
            pages[0].eval("performance.now()").await,
            pages[1].eval("performance.now()").await,
        ];
        tokio::time::sleep(PHASE).await;
        let mut phases = Vec::new();
        for (page, from) in pages.into_iter().zip(began) {
            let samples: Vec<Sample> = page.eval("reception.samples").await;
            let samples = samples.into_iter().filter(|sample| sample.at >= from).collect();
            let name = name.to_owned();
            phases.push(Phase { name, from, samples });
        }
        phases.iter().for_each(Phase::print);
        phases.try_into().ok().expect("two phases")
    }

    /// Writes one line for each second, for whoever looks at the test's output.
    fn print(&self) {
        for pair in self.samples.windows(5).step_by(4) {
            let (a, b) = (pair[0], pair[4]);
            println!(
                "{} {:4.1} s: {:4} lines, {:3} frames, {:5.0} kb/s, frozen {:.2} s",
                self.name,
                (b.at - self.from) / 1_000.0,
                b.height,
                b.decoded - a.decoded,
                (b.bytes - a.bytes) as f64 * 8.0 / (b.at - a.at),
                self.frozen_until(b)
            );
        }
    }

    fn frozen_until(&self, last: Sample) -> f64 {
        last.frozen - self.samples.first().map_or(0.0, |first| first.frozen)
    }

    fn frozen(&self) -> f64 {
        self.samples.last().map_or(0.0, |last| self.frozen_until(*last))
    }

    /// The time from which on the picture had so many lines, in milliseconds.
    fn settled(&self, lines: &RangeInclusive<u32>) -> f64 {
        let late = self.samples.iter().rev().find(|sample| !lines.contains(&sample.height));
        late.map_or(0.0, |sample| sample.at - self.from)
    }

    /// What is wrong with it, if the picture had to have so many lines after a time in milliseconds.
    fn fault(&self, lines: &RangeInclusive<u32>, within: f64, frozen_max: f64) -> Option<String> {
        let (settled, frozen) = (self.settled(lines), self.frozen());
        let is_right = settled <= within && frozen <= frozen_max && self.samples.len() > 20;
        (!is_right).then(|| {
            format!(
                "{}: {lines:?} lines after {settled:.0} ms, frozen for {frozen} s",
                self.name
            )
        })
    }
}

async fn enter(chromium: &Chromium, user: u32, url: &str) -> Page {
    let options = Options {
        script: RECEPTION,
        camera: "fps=20",
        // In smaller windows tiles are so small that the page asks for fewer lines.
        window: Some((1920, 1080)),
        ..Options::default()
    };
    let page = chromium.page_with(&format!("user-{user}"), options).await;
    page.go(url).await;
    page
}

fn path(user: u32, kind: &str) -> String {
    format!("/room?userId={user}&groupId=demo&type={kind}")
}

/// A publisher, a viewer whose link is free, and one behind a slow link, who both have the full picture.
struct Scene {
    _server: Server,
    _here: Chromium,
    _there: Option<Chromium>,
    _publisher: Page,
    free: Page,
    viewer: Page,
}

/// The viewer's browser.
#[derive(Clone, Copy)]
enum Browser {
    Chromium,
    Firefox,
}

impl Browser {
    /// A page in the viewer's network, and the driver that it needs.
    async fn behind(self, link: &SlowLink) -> (Page, Option<Chromium>) {
        let address = SlowLink::page(&path(3, "audio"));
        match self {
            Browser::Chromium => {
                let chromium = Chromium::start_behind(link);
                (enter(&chromium, 3, &address).await, Some(chromium))
            }
            Browser::Firefox => {
                let page = firefox::page_behind(link, "user-3", RECEPTION).await;
                page.go(&address).await;
                (page, None)
            }
        }
    }
}

impl Scene {
    async fn new(link: &SlowLink, browser: Browser) -> Scene {
        let server = Server::start_with(&SlowLink::configuration()).await;
        let here = Chromium::start();
        let publisher = enter(&here, 1, &server.page(&path(1, "video"))).await;
        let free = enter(&here, 2, &server.page(&path(2, "audio"))).await;
        let (viewer, there) = browser.behind(link).await;
        // It comes and goes at first, while the rates of the layers are not known yet.
        let lately = "reception.samples.slice(-13)";
        let full = format!("{lately}.length > 12 && {lately}.every(({{ height }}) => height === {FULL})");
        for page in [&free, &viewer] {
            page.until("the full picture for three seconds", MEDIA_PATIENCE * 2, &full)
                .await;
        }
        Scene {
            _server: server,
            _here: here,
            _there: there,
            _publisher: publisher,
            free,
            viewer,
        }
    }

    /// What is wrong with what the viewer's tile says, if it has to say that the picture has so many lines and why.
    async fn fault_of_badge(&self, lines: u32) -> Option<String> {
        let badge = "(() => {
            const badge = document.querySelector('[data-participant=\"1\"] .tile-badge');
            return badge.hidden ? '' : [...badge.children].map(({ dataset, textContent }) =>
                dataset.i18n === 'tile.height' ? textContent : dataset.i18n).join(' ');
        })()";
        let said: String = self.viewer.eval(badge).await;
        let expected = format!("{lines}p tile.reduced.bandwidth");
        (said != expected).then(|| format!("the tile says {said:?} instead of {expected:?}"))
    }

    /// Makes the link slow and fast again. Returns what was wrong.
    async fn measure(&self, link: &SlowLink, slow: &Slow) -> Vec<String> {
        let mut faults = Vec::new();
        let phases = [
            (slow.kbit, slow.lines, FITS_WITHIN, slow.frozen_max),
            (FAST, FULL, slow.full_within, FROZEN_MAX),
        ];
        for (kbit, lines, within, frozen_max) in phases {
            link.set_rate(kbit);
            let [slow, other] = Phase::watch(&format!("{kbit} kb/s"), [&self.viewer, &self.free]).await;
            if kbit == BADGE_AT {
                faults.extend(self.fault_of_badge(lines).await);
            }
            let (lines, full) = (lines..=lines, FULL..=FULL);
            println!(
                "{kbit} kb/s: {lines:?} lines after {:.0} ms, frozen for {:.2} s; the other: {:.0} ms, {:.2} s",
                slow.settled(&lines),
                slow.frozen(),
                other.settled(&full),
                other.frozen()
            );
            faults.extend(slow.fault(&lines, within, frozen_max));
            faults.extend(slow.fault(
                &(0..=*lines.end()),
                NO_MORE_WITHIN.max(frozen_max * 1_000.0),
                frozen_max,
            ));
            let other = other.fault(&full, 0.0, FROZEN_MAX);
            faults.extend(other.map(|fault| format!("the other: {fault}")));
        }
        faults
    }

    /// Makes the link slow and fast again until all is well once.
    async fn is_well_once(&self, link: &SlowLink, slow: &Slow) {
        let mut all = Vec::new();
        for _ in 0..ATTEMPTS {
            let faults = self.measure(link, slow).await;
            if faults.is_empty() {
                return;
            }
            all.push(faults);
        }
        panic!("{all:#?}");
    }
}

/// A slow link, and the picture that fits it.
struct Slow {
    kbit: u32,
    lines: u32,
    frozen_max: f64,
    full_within: f64,
}

const SLOW: [Slow; 2] = [
    Slow {
        kbit: 700,
        lines: 360,
        frozen_max: FROZEN_MAX,
        full_within: FULL_WITHIN,
    },
    Slow {
        kbit: 300,
        lines: 180,
        frozen_max: FROZEN_MAX_WHERE_FULL,
        full_within: FULL_WITHIN_WHERE_FULL,
    },
];

async fn becomes_slow(browser: Browser) {
    let _turn = turn().await;
    let Some(link) = SlowLink::new(FAST) else { return };
    let scene = Scene::new(&link, browser).await;
    for slow in &SLOW {
        scene.is_well_once(&link, slow).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_whose_link_becomes_slow_sees_the_layer_that_fits_and_others_notice_nothing() {
    becomes_slow(Browser::Chromium).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_in_firefox_whose_link_becomes_slow_sees_the_layer_that_fits_and_others_notice_nothing() {
    becomes_slow(Browser::Firefox).await;
}
