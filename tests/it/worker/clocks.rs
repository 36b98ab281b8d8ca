//! Sender reports while a publisher mutes, unmutes and jumps: none gives a clock that the packets contradict.

use super::mirror::Spread;
use super::*;

/// RTP units in a millisecond.
const RATE: u64 = 90;

/// Where a publisher and its first subscriber meet.
trait Place {
    /// The packets that the first subscriber gets of one packet, and of the time since the last.
    fn publish(&mut self, packet: &[u8]) -> Vec<Vec<u8>>;
    fn report(&mut self, compound: &[u8]);
    fn wait(&mut self, time: Duration) -> Vec<Vec<u8>>;
}

impl Place for Stage {
    fn publish(&mut self, packet: &[u8]) -> Vec<Vec<u8>> {
        self.publish_packet(packet).remove(0)
    }

    fn report(&mut self, compound: &[u8]) {
        let sealed = self.publisher.seal_rtcp(compound);
        let sent = exchange(self.now, &mut self.worker, self.publisher.address, &sealed);
        assert!(sent.is_empty());
    }

    fn wait(&mut self, time: Duration) -> Vec<Vec<u8>> {
        let sent = self.pass(time);
        self.hand_out(sent).remove(0)
    }
}

impl Place for Spread {
    fn publish(&mut self, packet: &[u8]) -> Vec<Vec<u8>> {
        self.publish_at_home(packet);
        let sent = self.settle();
        self.hand_out(&sent).remove(0)
    }

    fn report(&mut self, compound: &[u8]) {
        let sealed = self.publisher.seal_rtcp(compound);
        exchange(self.now, &mut self.home, self.publisher.address, &sealed);
        assert!(self.settle().is_empty());
    }

    fn wait(&mut self, time: Duration) -> Vec<Vec<u8>> {
        let sent = self.pass(time);
        self.hand_out(&sent).remove(0)
    }
}

/// A publisher with a wall clock and an RTP clock; both in milliseconds.
struct Speaker {
    place: Box<dyn Place>,
    wall: u64,
    media: u64,
    sequence: u16,
    /// The copies' RTP time minus the source's.
    offset: Option<u32>,
    /// The times of reports, and how far each was ahead of the publisher's RTP clock of that instant, in milliseconds.
    reports: Vec<(u64, i64)>,
}

impl Speaker {
    fn new(place: impl Place + 'static) -> Speaker {
        Speaker {
            place: Box::new(place),
            wall: 5_000,
            media: 70_000,
            sequence: 0,
            offset: None,
            reports: Vec::new(),
        }
    }

    /// Lets 20 ms pass in both clocks.
    fn step(&mut self, media_runs: bool) {
        let got = self.place.wait(Duration::from_millis(20));
        self.wall += 20;
        self.media += if media_runs { 20 } else { 0 };
        self.note(&got);
    }

    fn note(&mut self, got: &[Vec<u8>]) {
        for packet in got.iter().filter(|packet| matches!(packet[1], 192..=223)) {
            for report in rtcp::packets(packet) {
                if let rtcp::Packet::SenderReport { ntp, rtp, .. } = report {
                    let wall = ((u128::from(ntp) * 1_000) >> 32) as i64;
                    let rtp = rtp.wrapping_sub(self.offset.unwrap_or(0));
                    let reported = i64::from(rtp.wrapping_sub((self.media * RATE) as u32) as i32) / RATE as i64;
                    // The publisher's clock has gone on by the time since the instant in the report.
                    self.reports.push((self.wall, reported + self.wall as i64 - wall));
                }
            }
        }
    }

    /// Speaks for so long. The publisher sends its first report at `reports_from`, if it is given, and then one each second.
    fn speak(&mut self, millis: u64, reports_from: Option<u64>) {
        for at in (0..millis).step_by(20) {
            let timestamp = (self.media * RATE) as u32;
            let payload = vp8(self.sequence == 0, self.sequence, 60);
            let packet = rtp(VIDEO_PT, true, self.sequence, timestamp, VIDEO_SSRC, &payload);
            self.sequence += 1;
            let got = self.place.publish(&packet);
            if let Some(copy) = got.iter().find(|packet| !matches!(packet[1], 192..=223)) {
                let copied = Header::parse(copy).unwrap().timestamp;
                self.offset = Some(copied.wrapping_sub(timestamp));
            }
            if reports_from.is_some_and(|from| at >= from && (at - from) % 1_000 == 0) {
                self.publisher_report();
            }
            self.step(true);
        }
    }

    fn publisher_report(&mut self) {
        let compound = sender_report(
            VIDEO_SSRC,
            ((u128::from(self.wall) << 32) / 1_000) as u64,
            (self.media * RATE) as u32,
        );
        self.place.report(&compound);
    }

    fn mute(&mut self, millis: u64, media_runs: bool) {
        (0..millis).step_by(20).for_each(|_| self.step(media_runs));
    }

    /// Checks that every report from `since` on gives the clock that the packets have.
    fn all_true_since(&self, since: u64) {
        for (at, ahead) in self.reports.iter().filter(|(at, _)| *at >= since) {
            assert!(ahead.abs() <= 30, "a report at {at} ms is {ahead} ms ahead");
        }
    }

    fn reports_within(&self, span: std::ops::Range<u64>) -> usize {
        self.reports.iter().filter(|(at, _)| span.contains(at)).count()
    }
}

/// Runs a scenario with the subscriber on the same worker, and on a mirror.
fn everywhere(scenario: impl Fn(&mut Speaker)) {
    scenario(&mut Speaker::new(Stage::new(1)));
    scenario(&mut Speaker::new(Spread::new(1)));
}

#[test]
fn reports_come_every_second_and_are_true_while_somebody_speaks() {
    everywhere(|speaker| {
        speaker.speak(5_000, Some(0));
        speaker.all_true_since(0);
        let count = speaker.reports.len();
        assert!((5..=6).contains(&count), "{count}");
    });
}

#[test]
fn after_a_mute_in_which_the_rtp_clock_stood_still_no_report_is_ahead() {
    everywhere(|speaker| {
        speaker.speak(3_000, Some(0));
        speaker.mute(10_000, false);
        let unmuted = speaker.wall;
        // The publisher's next report comes late.
        speaker.speak(4_000, Some(1_500));
        speaker.all_true_since(unmuted);
        assert_eq!(speaker.reports_within(unmuted..unmuted + 1_500), 0);
        assert!(
            speaker.reports_within(unmuted + 1_500..unmuted + 1_700) >= 1,
            "{:?}",
            speaker.reports
        );
    });
}

#[test]
fn after_a_mute_in_which_the_rtp_clock_went_on_reports_go_on_at_once() {
    everywhere(|speaker| {
        speaker.speak(3_000, Some(0));
        speaker.mute(10_000, true);
        let unmuted = speaker.wall;
        speaker.speak(1_000, None);
        speaker.all_true_since(unmuted);
        assert!(
            speaker.reports_within(unmuted..unmuted + 200) >= 1,
            "{:?}",
            speaker.reports
        );
    });
}

#[test]
fn reports_that_the_publisher_sends_while_it_is_mute_change_nothing_of_that() {
    for media_runs in [false, true] {
        everywhere(|speaker| {
            speaker.speak(3_000, Some(0));
            for _ in 0..10 {
                speaker.mute(1_000, media_runs);
                speaker.publisher_report();
            }
            speaker.mute(940, media_runs);
            let unmuted = speaker.wall;
            speaker.speak(4_000, Some(1_500));
            speaker.all_true_since(unmuted);
            assert!(speaker.reports_within(unmuted + 1_500..unmuted + 2_700) >= 1);
        });
    }
}

#[test]
fn an_rtp_clock_that_jumps_is_reported_only_after_the_publishers_next_report() {
    for jump in [3_600_000, 2_000] {
        everywhere(|speaker| {
            speaker.speak(3_000, Some(0));
            speaker.media += jump;
            let jumped = speaker.wall;
            speaker.speak(3_000, Some(900));
            speaker.all_true_since(jumped + 20);
            assert!(speaker.reports_within(jumped + 900..jumped + 1_100) >= 1);
        });
    }
}

#[test]
fn nothing_is_reported_of_a_stream_that_has_been_silent_for_two_intervals() {
    everywhere(|speaker| {
        speaker.speak(3_000, Some(0));
        let muted = speaker.wall;
        speaker.mute(10_000, false);
        assert_eq!(
            speaker.reports_within(muted + 2_100..muted + 10_000),
            0,
            "{:?}",
            speaker.reports
        );
    });
}
