//! Who speaks, among the participants whose publishing connections are here. The clock finds it from the levels of their
//! packets, so that the packet path only notes the levels. A worker reports nothing about publishers on other workers: the
//! rules bring the reports of all workers together.

use std::time::{Duration, Instant};

use super::Worker;
use crate::media::codec::Kind;
use crate::media::keys::TransportKey;
use crate::media::messages::MediaEvent;
use crate::media::speaker::{Loudness, Speech};

/// Time between two counts of a participant's loudness, and the period over which the level of each track is measured.
const COUNT_INTERVAL: Duration = Duration::from_secs(1);

impl Worker {
    /// Reports whether the participant of a connection has begun or stopped speaking, and counts how loud they are.
    pub(super) fn look_after_sound(&mut self, now: Instant, key: TransportKey) {
        let Some(transport) = self.transports.get_mut(key) else {
            return;
        };
        let Some(publisher) = &mut transport.publisher else {
            return;
        };
        let tracks = transport.tracks.iter().filter_map(|&track| self.tracks.get(track));
        let sound = || {
            let all = tracks.clone().filter(|track| track.kind == Kind::Audio);
            all.filter(|track| track.audio_level.is_known())
        };
        let is_heard = sound().any(|track| track.audio_level.is_speaking(now));
        match publisher.speech.observe(now, is_heard) {
            Some(Speech::Began) => {
                self.stats.speaking += 1;
                self.events.push_back(MediaEvent::SpeechBegan { peer: transport.id });
            }
            Some(Speech::Ended) => {
                self.stats.speaking -= 1;
                self.events.push_back(MediaEvent::SpeechEnded { peer: transport.id });
            }
            None => {}
        }
        let sent = sound().filter(|track| track.living(now).next().is_some());
        publisher.counts_loudness = sent.clone().next().is_some();
        if now < publisher.next_loudness {
            return;
        }
        publisher.next_loudness = now + COUNT_INTERVAL;
        if let Some(level) = sent.map(|track| track.audio_level.level(now)).max() {
            self.stats.loudness[Loudness::of(level) as usize] += 1;
        }
        for &track in &transport.tracks {
            if let Some(track) = self.tracks.get_mut(track) {
                track.audio_level.end_period();
            }
        }
    }
}
