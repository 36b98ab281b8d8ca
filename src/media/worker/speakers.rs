//! Who speaks, among the participants whose publishing connections are here. The clock finds it from the levels of their
//! packets, so that the packet path only notes the levels. A worker reports nothing about publishers on other workers: the
//! rules bring the reports of all workers together. Workers send one another who has begun to speak, so that each can serve the
//! videos of those who spoke last before others.

use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::Worker;
use crate::ids::{ParticipantId, RoomId};
use crate::media::codec::Kind;
use crate::media::keys::{LinkId, TrackKey, TransportKey};
use crate::media::link::{Far, LinkMessage};
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
        let mut begun = None;
        match publisher.speech.observe(now, is_heard) {
            Some(Speech::Began) => {
                self.stats.speaking += 1;
                self.events.push_back(MediaEvent::SpeechBegan { peer: transport.id });
                begun = Some((transport.room, transport.participant));
            }
            Some(Speech::Ended) => {
                self.stats.speaking -= 1;
                self.events.push_back(MediaEvent::SpeechEnded { peer: transport.id });
            }
            None => {}
        }
        let sent = sound().filter(|track| track.living(now).next().is_some());
        publisher.counts_loudness = sent.clone().next().is_some();
        if now >= publisher.next_loudness {
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
        if let Some((room, participant)) = begun {
            self.spoke_here(now, room, participant);
        }
    }

    /// Somebody who publishes here has begun to speak: their videos are served first, also on the other workers of the room.
    fn spoke_here(&mut self, now: Instant, id: RoomId, participant: ParticipantId) {
        let Some(room) = self.rooms.get(&id) else { return };
        for link in room.mirrors.clone() {
            self.pass_on_speaker(link, id, participant, now);
        }
        self.spoke(now, id, participant, now);
    }

    /// Somebody who publishes on another worker has begun to speak.
    pub(super) fn spoke_there(
        &mut self,
        now: Instant,
        id: LinkId,
        room: RoomId,
        participant: ParticipantId,
        at: Instant,
    ) {
        let Some(Far::Worker(other)) = self.links.get(id).map(|link| link.far) else {
            return;
        };
        if self.rooms.get(&room).is_some_and(|room| room.requests(other)) {
            self.spoke(now, room, participant, at);
        }
    }

    fn spoke(&mut self, now: Instant, id: RoomId, participant: ParticipantId, at: Instant) {
        let Some(room) = self.rooms.get_mut(&id) else { return };
        if !room.speaking.began(participant, at) {
            return;
        }
        let tracks: SmallVec<[TrackKey; 4]> = room.tracks_of(participant).collect();
        for track in tracks {
            self.divide_for_all(now, track);
        }
    }

    /// Sends a worker that mirrors a room who spoke there last, of those who publish here.
    pub(super) fn pass_on_speakers(&mut self, link: LinkId, id: RoomId) {
        let Some(room) = self.rooms.get(&id) else { return };
        let is_own = |one: &ParticipantId| room.tracks_of(*one).any(|track| self.is_own(&self.tracks[track]));
        let own = room.speaking.participants().filter(is_own);
        let own = own.filter_map(|one| Some((one, room.speaking.began_at(one)?)));
        let own: SmallVec<[(ParticipantId, Instant); 8]> = own.collect();
        for (participant, at) in own {
            self.pass_on_speaker(link, id, participant, at);
        }
    }

    /// If there is no room for it, the next time at which they begin is enough.
    fn pass_on_speaker(&mut self, link: LinkId, room: RoomId, participant: ParticipantId, at: Instant) {
        if let Some(link) = self.links.get_mut(link)
            && matches!(link.far, Far::Worker(_))
        {
            link.send(LinkMessage::Spoke { room, participant, at });
        }
    }
}
