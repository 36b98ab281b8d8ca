//! Who speaks: the smoothed audio level of each packet (RFC 6464), and the reports that follow from it, by the clock. Also how
//! loud a track was, for operators.

use std::time::{Duration, Instant};

/// The level, in decibels over silence, at which speech begins (-45 dBov). Quiet talking near a microphone is at -40, a fan
/// or a street through a window below -50.
const SPEAKING_FROM: f32 = 127.0 - 45.0;
/// The level down to which speech goes on (-55 dBov), so that it does not end between syllables.
const SPEAKING_DOWN_TO: f32 = 127.0 - 55.0;

/// Time constants of the smoothing. Rising takes a word, so that a cough or a knock does not change who speaks. Falling
/// bridges the pauses between words.
const RISE: Duration = Duration::from_millis(60);
const FALL: Duration = Duration::from_millis(250);

/// The longest time between packets in running audio (Opus frames last up to 120 ms, RFC 7587 §4.2)...
const SILENT_AFTER: Duration = Duration::from_millis(150);
/// ...and the time in which the level falls to nothing when no packet comes for longer.
const FADE: Duration = Duration::from_millis(500);

/// The time that the first packet stands for, and the first one after a pause.
const FRAME: Duration = Duration::from_millis(20);

/// The age of the last packet from which on a measured level is not true any more: two periods, and a visit that comes late.
const MEASURED_MAX: Duration = Duration::from_millis(2_500);

/// Silence after which somebody has stopped speaking. People breathe and look for words for less. With more, two people who
/// take turns would both be shown as speaking. It also bounds the reports about one connection, whatever its client sends:
/// one begin and one end in this time.
const PAUSE: Duration = Duration::from_millis(800);

/// The rough loudness of a participant's sound. Operators want to know who sends nothing, and whose sound is bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loudness {
    /// Below -100 dBov: muted, or a microphone that gives nothing.
    Silence,
    /// Sound that is no speech.
    Quiet,
    /// From -55 dBov, the level down to which speech goes on.
    Speech,
    /// From -12 dBov: so near to the limit that it is often distorted.
    Loud,
}

impl Loudness {
    pub const ALL: [Loudness; 4] = [Loudness::Silence, Loudness::Quiet, Loudness::Speech, Loudness::Loud];

    /// The loudness of `level`, in decibels over silence, 0 to 127.
    pub fn of(level: u8) -> Loudness {
        // The number is in -dBov.
        match 127_u8.saturating_sub(level) {
            0..=12 => Loudness::Loud,
            13..=55 => Loudness::Speech,
            56..=100 => Loudness::Quiet,
            _ => Loudness::Silence,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Loudness::Silence => "silence",
            Loudness::Quiet => "quiet",
            Loudness::Speech => "speech",
            Loudness::Loud => "loud",
        }
    }
}

/// The last report about one connection: whether its participant speaks.
#[derive(Debug, Default)]
pub(crate) struct SpeechReports {
    /// The time when speech was last heard; `None` while no speech is reported.
    heard: Option<Instant>,
}

/// A change to report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speech {
    Began,
    Ended,
}

impl SpeechReports {
    pub(crate) fn is_speaking(&self) -> bool {
        self.heard.is_some()
    }

    /// Records whether speech is heard now. Returns the change that follows, if any.
    pub fn observe(&mut self, now: Instant, is_heard: bool) -> Option<Speech> {
        match self.heard {
            None if is_heard => {
                self.heard = Some(now);
                Some(Speech::Began)
            }
            None => None,
            Some(_) if is_heard => {
                self.heard = Some(now);
                None
            }
            Some(last) if now.saturating_duration_since(last) < PAUSE => None,
            Some(_) => {
                self.heard = None;
                Some(Speech::Ended)
            }
        }
    }
}

/// The level of one audio track.
#[derive(Debug, Default)]
pub struct AudioLevel {
    /// The level at the last packet: decibels over silence, 0 to 127.
    smoothed: f32,
    speaking: bool,
    last: Option<Instant>,
    /// Levels of the packets since the last period ended.
    period: Period,
    /// Sound of the last period that has ended. `None` if no packet came in it.
    measured: Option<SoundLevel>,
}

/// How loud a track was in one period: the levels of its packets, in dBov (RFC 6464 §3), from -127 (silence) to 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoundLevel {
    /// Mean of the packets' levels, rounded to the nearest whole number. Each packet counts the same.
    pub mean_dbov: i8,
    /// Level of the loudest packet.
    pub peak_dbov: i8,
}

/// The levels of some packets, in decibels over silence.
#[derive(Clone, Copy, Debug, Default)]
struct Period {
    packets: u64,
    sum: u64,
    peak: u8,
}

impl Period {
    fn add(&mut self, level: u8) {
        self.packets += 1;
        self.sum += u64::from(level);
        self.peak = self.peak.max(level);
    }

    fn level(self) -> Option<SoundLevel> {
        let mean = (self.sum + self.packets / 2).checked_div(self.packets)?;
        // Levels are 0 to 127.
        let dbov = |level: u8| level.min(127) as i8 - 127;
        Some(SoundLevel {
            mean_dbov: dbov(mean as u8),
            peak_dbov: dbov(self.peak),
        })
    }
}

impl AudioLevel {
    /// Records a packet's level. `element` is the one byte of the RFC 6464 extension: V bit and level in -dBov. The V bit is
    /// not used: only some senders set it, and the extension does not say which.
    pub fn received(&mut self, now: Instant, element: u8) {
        let level = 127 - (element & 0x7F);
        self.period.add(level);
        let level = f32::from(level);
        let since = self.last.map(|last| now.saturating_duration_since(last));
        let (before, passed) = match since {
            Some(since) if since <= SILENT_AFTER => (self.smoothed, since),
            Some(since) => (self.faded_after(since), FRAME),
            None => (0.0, FRAME),
        };
        let constant = if level > before { RISE } else { FALL }.as_secs_f32();
        let passed = passed.as_secs_f32();
        self.speaking = before >= self.threshold();
        self.smoothed = before + (level - before) * passed / (constant + passed);
        self.last = Some(now);
        self.speaking = self.smoothed >= self.threshold();
    }

    /// The level: 0 (silence) to 127 (full scale), falling to silence when packets stop.
    pub fn level(&self, now: Instant) -> u8 {
        // The cast rounds, and saturates; the value is in range anyway.
        (self.faded(now) + 0.5) as u8
    }

    pub(crate) fn is_speaking(&self, now: Instant) -> bool {
        self.faded(now) >= self.threshold()
    }

    /// Ends a period of the measurement, and begins the next one.
    pub(crate) fn end_period(&mut self) {
        self.measured = std::mem::take(&mut self.period).level();
    }

    /// How loud the sound was in the last period. `None` if no packet with a level came in it, or none has come for longer than
    /// [`MEASURED_MAX`].
    pub(crate) fn measured(&self, now: Instant) -> Option<SoundLevel> {
        let age = now.saturating_duration_since(self.last?);
        self.measured.filter(|_| age <= MEASURED_MAX)
    }

    /// Whether a level has ever been received.
    pub(crate) fn is_known(&self) -> bool {
        self.last.is_some()
    }

    fn threshold(&self) -> f32 {
        if self.speaking { SPEAKING_DOWN_TO } else { SPEAKING_FROM }
    }

    fn faded(&self, now: Instant) -> f32 {
        let Some(last) = self.last else {
            return 0.0;
        };
        self.faded_after(now.saturating_duration_since(last))
    }

    /// The level so long after the last packet.
    fn faded_after(&self, since: Duration) -> f32 {
        let silent = since.saturating_sub(SILENT_AFTER);
        let left = FADE.saturating_sub(silent).as_secs_f32() / FADE.as_secs_f32();
        self.smoothed * left
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::virtual_time::epoch;

    struct Scene {
        level: AudioLevel,
        now: Instant,
    }

    impl Scene {
        fn new() -> Scene {
            Scene {
                level: AudioLevel::default(),
                now: epoch(),
            }
        }

        /// Receives packets of one level, in -dBov, for some time.
        fn hear(&mut self, dbov: u8, millis: u64) {
            for _ in 0..millis / 20 {
                self.now += FRAME;
                self.level.received(self.now, dbov);
            }
        }

        fn speaks(&self) -> bool {
            self.level.is_speaking(self.now)
        }

        fn after(&self, millis: u64) -> Instant {
            self.now + Duration::from_millis(millis)
        }
    }

    #[test]
    fn nothing_heard_is_silence() {
        let level = AudioLevel::default();
        assert_eq!((level.level(epoch()), level.is_speaking(epoch())), (0, false));
    }

    #[test]
    fn a_steady_level_is_reported_as_it_is() {
        let mut scene = Scene::new();
        scene.hear(30, 2_000);
        assert_eq!(scene.level.level(scene.now), 97);
        scene.hear(127, 4_000);
        assert_eq!(scene.level.level(scene.now), 0);
        scene.hear(0, 2_000);
        assert_eq!(scene.level.level(scene.now), 127);
    }

    #[test]
    fn the_voice_bit_does_not_change_the_level() {
        let mut with = AudioLevel::default();
        let mut without = AudioLevel::default();
        with.received(epoch(), 0x80 | 30);
        without.received(epoch(), 30);
        assert_eq!(with.level(epoch()), without.level(epoch()));
    }

    #[test]
    fn a_word_is_speech_and_a_click_is_not() {
        let mut scene = Scene::new();
        scene.hear(80, 1_000);
        scene.hear(10, 20);
        assert!(!scene.speaks(), "a click");
        scene.hear(80, 1_000);
        scene.hear(30, 300);
        assert!(scene.speaks(), "a word");
    }

    #[test]
    fn speech_lasts_through_a_pause_between_words_and_then_ends() {
        let mut scene = Scene::new();
        scene.hear(30, 500);
        scene.hear(70, 100);
        assert!(scene.speaks());
        scene.hear(70, 1_000);
        assert!(!scene.speaks());
    }

    #[test]
    fn a_level_between_the_thresholds_neither_begins_nor_ends_speech() {
        let mut scene = Scene::new();
        scene.hear(50, 2_000);
        assert!(!scene.speaks());
        scene.hear(30, 500);
        scene.hear(50, 2_000);
        assert!(scene.speaks());
    }

    #[test]
    fn the_level_falls_to_silence_within_a_second_of_the_last_packet() {
        let mut scene = Scene::new();
        scene.hear(20, 1_000);
        let full = scene.level.level(scene.now);
        assert_eq!(scene.level.level(scene.after(120)), full, "the longest Opus frame");
        let levels: Vec<u8> = (0..10)
            .map(|tenth| scene.level.level(scene.after(tenth * 100)))
            .collect();
        assert!(levels.is_sorted_by(|a, b| a >= b), "{levels:?}");
        assert_eq!(scene.level.level(scene.after(700)), 0);
        assert!(!scene.level.is_speaking(scene.after(700)));
        scene.now = scene.after(5_000);
        scene.hear(20, 20);
        assert!(!scene.speaks(), "nothing is left of the old level");
    }

    #[test]
    fn a_clock_that_stands_still_or_steps_back_is_harmless() {
        let mut level = AudioLevel::default();
        for _ in 0..100 {
            level.received(epoch() + FRAME, 0);
        }
        level.received(epoch(), 0);
        assert!(level.level(epoch()) <= 127);
    }

    #[test]
    fn speech_is_reported_when_it_begins_and_after_a_pause_as_ended() {
        let (mut reports, now) = (SpeechReports::default(), epoch());
        let at = |millis| now + Duration::from_millis(millis);
        assert_eq!(reports.observe(at(0), false), None);
        assert_eq!(reports.observe(at(100), true), Some(Speech::Began));
        assert_eq!(reports.observe(at(2_000), true), None);
        assert_eq!(reports.observe(at(2_799), false), None, "a breath");
        assert_eq!(reports.observe(at(2_800), false), Some(Speech::Ended));
        assert_eq!(reports.observe(at(9_000), false), None);
        assert_eq!(reports.observe(at(9_100), true), Some(Speech::Began));
    }

    #[test]
    fn a_client_that_changes_its_level_with_each_packet_makes_few_reports() {
        let (mut reports, mut made) = (SpeechReports::default(), 0);
        for at in 0..1_000 {
            let now = epoch() + Duration::from_millis(at * 10);
            made += usize::from(reports.observe(now, at % 2 == 0).is_some());
        }
        assert_eq!(made, 1, "its pauses are shorter than those of anybody");
        for at in 0..1_000 {
            let now = epoch() + Duration::from_secs(60) + Duration::from_millis(at * 10);
            made += usize::from(reports.observe(now, at % 81 == 0).is_some());
        }
        assert!(made <= 1 + 2 * 10_000 / 800 + 1, "{made} in ten seconds");
    }

    #[test]
    fn a_period_has_the_mean_and_the_peak_of_its_packets_alone() {
        let mut scene = Scene::new();
        let measured = |scene: &Scene, millis| {
            let level = scene.level.measured(scene.after(millis))?;
            Some((level.mean_dbov, level.peak_dbov))
        };
        scene.hear(60, 500);
        scene.hear(20, 500);
        assert_eq!(measured(&scene, 0), None, "no period has ended");
        scene.level.end_period();
        assert_eq!(measured(&scene, 0), Some((-40, -20)));
        scene.hear(0, 20);
        scene.hear(127, 60);
        assert_eq!(measured(&scene, 0), Some((-40, -20)), "until the period ends");
        scene.level.end_period();
        assert_eq!(measured(&scene, 0), Some((-95, 0)));
        assert_eq!(measured(&scene, 2_500), Some((-95, 0)));
        assert_eq!(measured(&scene, 2_501), None, "too old");
        scene.level.end_period();
        assert_eq!(measured(&scene, 0), None, "nothing was sent");
    }

    #[test]
    fn every_level_has_a_loudness_and_the_classes_meet_the_thresholds_of_speech() {
        let of_dbov = |dbov: u8| Loudness::of(127 - dbov);
        assert_eq!(
            [127, 101, 100].map(of_dbov),
            [Loudness::Silence, Loudness::Silence, Loudness::Quiet]
        );
        assert_eq!(
            [56, 55, 13].map(of_dbov),
            [Loudness::Quiet, Loudness::Speech, Loudness::Speech]
        );
        assert_eq!([12, 0].map(of_dbov), [Loudness::Loud, Loudness::Loud]);
        for (at, loudness) in Loudness::ALL.into_iter().enumerate() {
            assert_eq!(loudness as usize, at, "statistics count by it");
        }
    }
}
