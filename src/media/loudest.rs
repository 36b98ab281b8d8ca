//! The loudest speakers of a large room. Only their sound is forwarded: nobody understands more than three at once, and the
//! microphones of all others add noise and cost. Pure; told of each packet of sound.
//!
//! The rank of a speaker is their level over the noise in which they sit, smoothed over some packets. Somebody is let in who is
//! louder than the weakest of the three for two packets, and left out after [`STAYS_FOR`] in which they were not among them, so
//! that no syllable is cut. Silence is left out too, but for the dominant speaker's, so that one microphone is always open.

use std::time::{Duration, Instant};

use smallvec::SmallVec;

/// Speakers who are heard at once.
const HEARD: usize = 3;
/// Those who are forwarded at once: the three, and others in the time that they stay.
const FORWARDED_MAX: usize = 8;
/// The largest number of people with a microphone in a room where everybody is forwarded.
pub(crate) const FORWARD_ALL_UP_TO: usize = 6;
/// Packets in a row by which somebody must be louder: a click is shorter.
const LOUDER_FOR: u8 = 2;
/// Time for which somebody stays who is not among the loudest any more: the pauses between words.
const STAYS_FOR: Duration = Duration::from_millis(400);
/// People whose clients tell no levels and who are forwarded at once. Browsers tell them, so these are programs and old devices;
/// no client mixes the sound of more.
const UNRANKED_MAX: usize = 100;
/// Time after the last packet from which on somebody else is forwarded in their place.
const UNRANKED_FOR: Duration = Duration::from_secs(1);
/// Time after the last packet from which on somebody has no rank any more. Opus frames last 120 ms at most (RFC 7587 §4.2).
const SILENT_AFTER: Duration = Duration::from_millis(150);
/// Time for which somebody must be the loudest to be the dominant speaker.
const DOMINANT_AFTER: Duration = Duration::from_millis(1_000);
/// The part of a packet's level in the smoothed one.
const SMOOTHING: f32 = 0.5;
/// Half of the time in which the least level is taken for noise. A speaker makes pauses within it.
const NOISE_WINDOW: Duration = Duration::from_millis(7_500);
/// The greatest level, in decibels over silence, that is taken for noise (-55 dBov). What is steady and louder is a sound that
/// somebody wants to be heard.
const NOISE_MAX: u8 = 127 - 55;
/// The level over the noise, in decibels, from which on it is no silence.
const SOUND_FROM: f32 = 6.0;

/// What is known of one speaker's level.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Voice {
    smoothed: f32,
    noise: Noise,
    /// Whether the client says of packets that they are speech. Only some clients do, and no packet without speech shows it.
    tells_speech: bool,
    /// Packets in a row in which this one, left out, was louder than the weakest of those who are heard.
    louder: u8,
}

/// The least level of the last seconds.
#[derive(Clone, Copy, Debug, Default)]
struct Noise {
    begun: Option<Instant>,
    before: Option<u8>,
    least: Option<u8>,
}

impl Noise {
    fn note(&mut self, now: Instant, level: u8) -> u8 {
        let is_over = |begun| now.saturating_duration_since(begun) >= NOISE_WINDOW;
        if self.begun.is_none_or(is_over) {
            (self.begun, self.before, self.least) = (Some(now), self.least, None);
        }
        self.least = Some(self.least.map_or(level, |least| least.min(level)));
        let least = self.before.into_iter().chain(self.least).min();
        least.unwrap_or(0).min(NOISE_MAX)
    }
}

impl Voice {
    /// Takes the level of a packet (RFC 6464: the V bit, and seven bits of -dBov). Returns the rank, and that of the packet alone
    /// where it is lower: 0 is silence.
    fn note(&mut self, now: Instant, element: u8) -> (f32, f32) {
        let is_speech = element & 0x80 != 0;
        self.tells_speech |= is_speech;
        let level = 127 - (element & 0x7F);
        // What is silent by its own account is no noise: the microphone is off.
        let noise = if level == 0 { 0 } else { self.noise.note(now, level) };
        let over = match is_speech || !self.tells_speech {
            true => f32::from(level - noise.min(level)),
            false => 0.0,
        };
        self.smoothed += (over - self.smoothed) * SMOOTHING;
        let rank = |over: f32| if over >= SOUND_FROM { over } else { 0.0 };
        (rank(self.smoothed), rank(self.smoothed.min(over)))
    }
}

/// Somebody who is forwarded.
#[derive(Clone, Copy, Debug)]
struct Forwarded<K> {
    who: K,
    rank: f32,
    last: Instant,
    /// The last time at which they were among the loudest.
    loud: Instant,
}

/// Who is forwarded in one room.
#[derive(Clone, Debug)]
pub(crate) struct Loudest<K> {
    forwarded: SmallVec<[Forwarded<K>; FORWARDED_MAX]>,
    /// Who leads, since when, and who has led for long last.
    leader: Option<(K, Instant)>,
    dominant: Option<K>,
    /// Those who are forwarded because their clients tell no levels, and their last packets.
    unranked: Vec<(K, Instant)>,
}

impl<K> Default for Loudest<K> {
    fn default() -> Loudest<K> {
        Loudest {
            forwarded: SmallVec::new(),
            leader: None,
            dominant: None,
            unranked: Vec::new(),
        }
    }
}

impl<K: Copy + PartialEq> Loudest<K> {
    /// Takes the level of a packet of `who`. Returns whether the packet is to be forwarded.
    pub fn heard(&mut self, now: Instant, who: K, voice: &mut Voice, element: u8) -> bool {
        let (rank, alone) = voice.note(now, element);
        let is_loud = rank > 0.0 && self.louder_than(now, rank, who) < HEARD;
        if is_loud {
            self.lead(now, who, rank);
        }
        if let Some(at) = self.forwarded.iter().position(|one| one.who == who) {
            let one = &mut self.forwarded[at];
            (one.rank, one.last) = (rank, now);
            if is_loud {
                one.loud = now;
            }
            let stays = now.saturating_duration_since(one.loud) < STAYS_FOR || self.dominant == Some(who);
            if !stays {
                self.forwarded.remove(at);
            }
            return stays;
        }
        // The smoothed level is still high some packets after a click.
        let is_louder = alone > 0.0 && self.louder_than(now, alone, who) < HEARD;
        voice.louder = if is_louder { voice.louder + 1 } else { 0 };
        let enters = voice.louder >= LOUDER_FOR || self.dominant == Some(who);
        if enters {
            voice.louder = 0;
            self.let_in(now, who, rank);
        }
        enters
    }

    /// Takes a packet of `who` that tells no level. Returns whether it is to be forwarded.
    pub fn heard_unranked(&mut self, now: Instant, who: K) -> bool {
        if let Some((_, last)) = self.unranked.iter_mut().find(|(one, _)| *one == who) {
            *last = now;
            return true;
        }
        if self.unranked.len() == UNRANKED_MAX {
            self.unranked
                .retain(|(_, last)| now.saturating_duration_since(*last) < UNRANKED_FOR);
        } else {
            // Allocates once in a room's life.
            self.unranked.reserve_exact(UNRANKED_MAX - self.unranked.len());
        }
        let enters = self.unranked.len() < UNRANKED_MAX;
        if enters {
            self.unranked.push((who, now));
        }
        enters
    }

    /// Forgets somebody who has left.
    pub fn forget(&mut self, who: K) {
        self.forwarded.retain(|one| one.who != who);
        self.leader = self.leader.filter(|(leader, _)| *leader != who);
        self.dominant = self.dominant.filter(|dominant| *dominant != who);
        self.unranked.retain(|(one, _)| *one != who);
    }

    /// The number of others who are forwarded and rank higher.
    fn louder_than(&self, now: Instant, rank: f32, who: K) -> usize {
        let sounds = |one: &&Forwarded<K>| now.saturating_duration_since(one.last) < SILENT_AFTER;
        let others = self.forwarded.iter().filter(sounds).filter(|one| one.who != who);
        others.filter(|one| one.rank >= rank).count()
    }

    fn lead(&mut self, now: Instant, who: K, rank: f32) {
        if self.louder_than(now, rank, who) > 0 {
            self.leader = self.leader.filter(|(leader, _)| *leader != who);
            return;
        }
        match self.leader {
            Some((leader, since)) if leader == who => {
                if now.saturating_duration_since(since) >= DOMINANT_AFTER {
                    self.dominant = Some(who);
                }
            }
            _ => self.leader = Some((who, now)),
        }
    }

    fn let_in(&mut self, now: Instant, who: K, rank: f32) {
        let dominant = self.dominant;
        let is_over = |one: &Forwarded<K>| now.saturating_duration_since(one.loud) >= STAYS_FOR;
        self.forwarded.retain(|one| !is_over(one) || dominant == Some(one.who));
        if self.forwarded.len() == FORWARDED_MAX {
            // Whoever was among the loudest longest ago makes room.
            let others = self
                .forwarded
                .iter()
                .enumerate()
                .filter(|(_, one)| dominant != Some(one.who));
            if let Some((at, _)) = others.min_by_key(|(_, one)| one.loud) {
                self.forwarded.remove(at);
            }
        }
        self.forwarded.push(Forwarded {
            who,
            rank,
            last: now,
            loud: now,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::virtual_time::epoch;

    /// A room in which each person has a level, in -dBov, and sends a packet each 20 ms.
    struct Scene {
        now: Instant,
        loudest: Loudest<usize>,
        voices: Vec<Voice>,
        levels: Vec<u8>,
    }

    impl Scene {
        /// Everybody sits in quiet rooms at first, for some seconds.
        fn new(people: usize) -> Scene {
            let mut scene = Scene {
                now: epoch(),
                loudest: Loudest::default(),
                voices: vec![Voice::default(); people],
                levels: vec![75; people],
            };
            scene.pass(2_000);
            scene
        }

        /// Lets time pass. Returns how many packets of each person were forwarded.
        fn pass(&mut self, millis: u64) -> Vec<usize> {
            let mut forwarded = vec![0; self.levels.len()];
            for _ in 0..millis / 20 {
                self.now += Duration::from_millis(20);
                for (who, &level) in self.levels.iter().enumerate().filter(|(_, level)| **level != u8::MAX) {
                    let voice = &mut self.voices[who];
                    forwarded[who] += usize::from(self.loudest.heard(self.now, who, voice, level));
                }
            }
            forwarded
        }
    }

    #[test]
    fn nobody_is_forwarded_while_all_are_silent_and_whoever_speaks_is_from_the_second_packet_on() {
        let mut scene = Scene::new(9);
        assert_eq!(scene.pass(1_000), [0; 9]);
        scene.levels[4] = 30;
        assert_eq!(scene.pass(200), [0, 0, 0, 0, 9, 0, 0, 0, 0]);
        scene.levels[7] = 40;
        assert_eq!(scene.pass(200), [0, 0, 0, 0, 10, 0, 0, 9, 0]);
    }

    #[test]
    fn the_three_loudest_are_forwarded_and_a_fourth_takes_the_place_of_the_weakest() {
        let mut scene = Scene::new(9);
        (scene.levels[0], scene.levels[1], scene.levels[2]) = (30, 35, 40);
        scene.pass(1_000);
        scene.levels[3] = 45;
        assert_eq!(scene.pass(1_000)[..4], [50, 50, 50, 0]);
        scene.levels[3] = 33;
        let forwarded = scene.pass(1_000);
        assert_eq!(forwarded[..2], [50, 50]);
        assert!(forwarded[3] >= 44, "{forwarded:?}");
        assert!(
            (20..=26).contains(&forwarded[2]),
            "the weakest stays for 400 ms: {forwarded:?}"
        );
    }

    #[test]
    fn a_click_opens_no_microphone_and_a_pause_between_words_closes_none() {
        let mut scene = Scene::new(9);
        scene.levels[0] = 30;
        scene.pass(100);
        scene.levels[0] = 75;
        assert_eq!(scene.pass(300)[0], 15, "a pause");
        scene.levels[1] = 5;
        assert_eq!(scene.pass(20)[1], 0, "a click");
        scene.levels[1] = 127;
        assert_eq!(scene.pass(400)[1], 0);
    }

    #[test]
    fn the_dominant_speaker_stays_when_all_are_silent_until_another_one_dominates() {
        let mut scene = Scene::new(9);
        scene.levels[5] = 30;
        scene.pass(2_000);
        scene.levels[5] = 75;
        assert_eq!(scene.pass(5_000)[5], 250);
        scene.levels[6] = 30;
        scene.pass(2_000);
        let forwarded = scene.pass(1_000);
        assert_eq!(forwarded[5..7], [0, 50]);
        scene.loudest.forget(6);
        assert_eq!(scene.loudest.dominant, None);
        assert!(scene.loudest.forwarded.iter().all(|one| one.who != 6));
    }

    #[test]
    fn what_is_hardly_louder_than_the_noise_is_silence_also_after_the_microphone_was_off() {
        let mut scene = Scene::new(9);
        scene.levels[0] = 71;
        assert_eq!(scene.pass(1_000)[0], 0);
        scene.levels[0] = 127;
        scene.pass(1_000);
        scene.levels[0] = 75;
        assert_eq!(scene.pass(1_000)[0], 0);
    }

    #[test]
    fn where_too_many_speak_in_turn_whoever_spoke_longest_ago_makes_room() {
        let mut scene = Scene::new(12);
        for who in [0, 1, 2, 3, 4, 5, 0, 6, 7, 8] {
            scene.levels.fill(75);
            scene.levels[who] = 20;
            scene.pass(40);
        }
        let forwarded: Vec<usize> = scene.loudest.forwarded.iter().map(|one| one.who).collect();
        assert_eq!(forwarded, [0, 2, 3, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn a_steady_noise_is_no_speech_and_a_steady_tone_is_heard() {
        let mut scene = Scene::new(9);
        scene.levels[0] = 57;
        scene.pass(16_000);
        scene.levels[2] = 40;
        scene.pass(2_000);
        assert_eq!(scene.pass(1_000)[0], 0, "a fan");
        (scene.levels[0], scene.levels[1]) = (75, 20);
        scene.pass(40_000);
        assert_eq!(scene.pass(1_000)[1], 50, "a tone");
    }

    #[test]
    fn who_says_of_packets_that_they_are_speech_is_heard_by_these_alone() {
        let mut scene = Scene::new(9);
        scene.levels[0] = 0x80 | 40;
        assert!(scene.pass(400)[0] >= 18);
        scene.levels[0] = 30;
        scene.pass(1_000);
        assert_eq!(scene.pass(1_000)[0], 0, "a door");
    }

    #[test]
    fn whoever_sends_nothing_more_makes_room() {
        let mut scene = Scene::new(9);
        (scene.levels[0], scene.levels[1], scene.levels[2], scene.levels[3]) = (30, 30, 30, 50);
        assert_eq!(scene.pass(500)[3], 0);
        scene.levels[0] = u8::MAX;
        scene.pass(200);
        assert_eq!(scene.pass(500)[3], 25);
    }

    #[test]
    fn clients_without_levels_are_forwarded_up_to_a_bound() {
        let mut scene = Scene::new(0);
        let mut forwarded = |millis, people: std::ops::Range<usize>| {
            let now = scene.now + Duration::from_millis(millis);
            people.filter(|who| scene.loudest.heard_unranked(now, *who)).count()
        };
        assert_eq!(forwarded(0, 0..120), 100);
        assert_eq!(forwarded(500, 0..120), 100);
        assert_eq!(forwarded(1_500, 120..130), 10, "the others send nothing any more");
        assert_eq!(forwarded(1_600, 0..130), 100);
        scene.loudest.forget(120);
        assert!(
            scene
                .loudest
                .heard_unranked(scene.now + Duration::from_millis(1_700), 999)
        );
    }

    #[test]
    fn however_many_shout_a_bounded_number_is_forwarded() {
        let mut scene = Scene::new(100);
        for at in 0..2_000 {
            let who = at * 7 % 100;
            scene.levels[who] = (at % 128) as u8;
            scene.pass(20);
            assert!(scene.loudest.forwarded.len() <= FORWARDED_MAX);
        }
        assert!(!scene.loudest.forwarded.spilled());
    }
}
