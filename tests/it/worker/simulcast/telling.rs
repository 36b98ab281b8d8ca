//! Viewers whose clients report no single packets: they send an estimate of their own (REMB), or nothing but the share that was lost.

use super::*;

/// Time between two reports.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// The estimate of a receiver as libwebrtc makes it: it grows by 8 % a second, to one and a half of what comes, and not beyond what
/// the path carries.
struct Estimate {
    kbps: u64,
    path: u64,
}

impl Estimate {
    fn grow(&mut self, came: u64) {
        let grown = self.kbps * 108 / 100;
        let most = (came * 3 / 2 + 10).max(self.kbps);
        self.kbps = grown.min(most).min(self.path);
    }
}

impl Studio {
    /// Lets time pass until the next report. Returns the rate that has come to a viewer, in kb/s.
    fn until_report(&mut self, viewer: usize) -> u64 {
        let before = self.viewers[viewer].carried;
        self.run(REPORT_INTERVAL);
        (self.viewers[viewer].carried - before) * 8 / REPORT_INTERVAL.as_millis() as u64
    }

    fn tell(&mut self, viewer: usize, compound: &[u8]) {
        let sealed = self.viewers[viewer].client.seal_rtcp(compound);
        let address = self.viewers[viewer].client.address;
        let sent = exchange(self.now, &mut self.worker, address, &sealed);
        self.hand_out(sent);
    }

    /// A receiver report of a viewer that has lost so much, in 1/256.
    fn report_loss(&mut self, viewer: usize, lost_256: u8) {
        let mut block = rtcp::Block::default();
        block.ssrc = self.viewers[viewer].client.spec.sections[0].local_ssrc;
        let mut compound = Vec::new();
        rtcp::write_receiver_report(&mut compound, 7, &[block]);
        // RFC 3550 §6.4.2: the share stands behind the SSRC of the block.
        compound[12] = lost_256;
        self.tell(viewer, &compound);
    }

    /// REMB (draft-alvestrand-rmcat-remb-03 §2.2), behind a report.
    fn report_estimate(&mut self, viewer: usize, kbps: u64) {
        let mut compound = Vec::new();
        rtcp::write_receiver_report(&mut compound, 7, &[]);
        let mantissa = ((kbps * 1_000) >> 8) as u32;
        let [_, high, middle, low] = mantissa.to_be_bytes();
        compound.extend_from_slice(&[0x8f, 206, 0, 5, 0, 0, 0, 7, 0, 0, 0, 0]);
        compound.extend_from_slice(b"REMB");
        compound.extend_from_slice(&[1, 8 << 2 | high, middle, low, 0, 2, 0, 0]);
        self.tell(viewer, &compound);
    }

    fn layer_of(&self, viewer: usize) -> Option<usize> {
        self.viewers[viewer].shown.last().map(|picture| picture.layer)
    }
}

/// Lets a viewer watch that sends estimates. Returns the seconds until it had the highest layer, the scene, and the packets of padding in the last ten.
fn estimates(path: u64, seconds: u64) -> (Option<u64>, Studio, u64) {
    let mut studio = Studio::new(0);
    let viewer = studio.join_telling(Features::NONE, |section| section.codecs[0].feedback.remb = true);
    let mut estimate = Estimate { kbps: 300, path };
    let (mut reached, mut padding) = (None, 0);
    for second in 1..=seconds {
        let probes = studio.worker.stats().probe_packets;
        let came = studio.until_report(viewer);
        estimate.grow(came);
        studio.report_estimate(viewer, estimate.kbps);
        if studio.layer_of(viewer) == Some(2) {
            reached.get_or_insert(second);
        }
        if second + 10 > seconds {
            padding += studio.worker.stats().probe_packets - probes;
        }
    }
    (reached, studio, padding)
}

#[test]
fn an_estimate_that_follows_what_comes_is_led_up_to_the_highest_layer() {
    let (reached, studio, padding) = estimates(5_000, 75);
    assert!(reached.is_some_and(|second| second <= 62), "{reached:?}");
    assert_eq!(studio.viewers[0].undecodable, 0);
    assert_eq!(padding, 0, "nothing more is wanted, so nothing more is sent");
    assert_agrees(&studio.worker);
}

#[test]
fn an_estimate_that_does_not_grow_is_asked_for_ever_more_rarely() {
    let (reached, studio, padding) = estimates(400, 90);
    assert_eq!(reached, None);
    assert_eq!(studio.layer_of(0), Some(0));
    // One of them lasts two seconds: some 90 packets.
    assert!(padding <= 100, "{padding} packets in ten seconds");
}

#[test]
fn who_reports_nothing_but_loss_gets_everything_and_less_while_too_much_is_lost() {
    let mut studio = Studio::new(0);
    let viewer = studio.join_telling(Features::NONE, |_| {});
    for _ in 0..4 {
        studio.until_report(viewer);
        studio.report_loss(viewer, 12);
    }
    assert_eq!(
        studio.layer_of(viewer),
        Some(2),
        "a twentieth is lost by chance on many paths"
    );
    for _ in 0..10 {
        studio.report_loss(viewer, 128);
        studio.until_report(viewer);
    }
    assert_eq!(studio.layer_of(viewer), Some(0));
    let before = studio.viewers[viewer].shown.len();
    studio.report_loss(viewer, 255);
    studio.until_report(viewer);
    assert!(
        studio.viewers[viewer].shown.len() > before + 20,
        "the lowest comes whatever is lost"
    );
    for _ in 0..60 {
        studio.report_loss(viewer, 0);
        studio.until_report(viewer);
    }
    assert_eq!(studio.layer_of(viewer), Some(2), "it rises slowly when no more is lost");
    assert_eq!(studio.viewers[viewer].undecodable, 0);
    assert_agrees(&studio.worker);
}
