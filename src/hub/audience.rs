//! The formats that the people of each room can decode, as far as their own offers say. It decides with which codecs a publisher is
//! answered.

use std::collections::{BTreeMap, HashMap};

use crate::ids::{ParticipantId, PeerId, RoomId};
use crate::media::codec::{Codec, Kind};

/// Everybody who has a connection, by room. There are as many entries as connections, which the rules bound.
#[derive(Default)]
pub(super) struct Audiences {
    rooms: HashMap<RoomId, BTreeMap<ParticipantId, Vec<Connection>>>,
    places: HashMap<PeerId, (RoomId, ParticipantId)>,
}

struct Connection {
    peer: PeerId,
    /// Participants who are watched over it.
    watched: Vec<ParticipantId>,
    /// Codecs that the client decodes. Empty if it does not receive over this connection.
    decodes: Vec<Codec>,
}

impl Audiences {
    /// Notes the codecs that the client of an offer for `peer` can decode.
    pub(crate) fn learn(
        &mut self,
        room: RoomId,
        participant: ParticipantId,
        peer: PeerId,
        watched: Vec<ParticipantId>,
        decodes: Vec<Codec>,
    ) {
        self.forget(peer);
        self.places.insert(peer, (room, participant));
        let connections = self.rooms.entry(room).or_default().entry(participant).or_default();
        connections.push(Connection { peer, watched, decodes });
    }

    pub fn forget(&mut self, peer: PeerId) {
        let Some((room, participant)) = self.places.remove(&peer) else {
            return;
        };
        let Some(people) = self.rooms.get_mut(&room) else {
            return;
        };
        if let Some(connections) = people.get_mut(&participant) {
            connections.retain(|connection| connection.peer != peer);
            if connections.is_empty() {
                people.remove(&participant);
            }
        }
        if people.is_empty() {
            self.rooms.remove(&room);
        }
    }

    /// For each of the others in the room, the codecs of `publisher` that they can decode. People whose codecs are not known
    /// are left out.
    pub fn of(&self, room: RoomId, publisher: ParticipantId) -> Vec<Vec<Codec>> {
        let Some(people) = self.rooms.get(&room) else {
            return Vec::new();
        };
        let others = people.iter().filter(|(participant, _)| **participant != publisher);
        let lists = others.map(|(_, connections)| {
            let of_kind = |kind| decoders(connections, publisher, kind);
            of_kind(Kind::Audio).chain(of_kind(Kind::Video)).collect::<Vec<_>>()
        });
        lists.filter(|list| !list.is_empty()).collect()
    }
}

/// The codecs that somebody decodes: those of the connection that watches `publisher`, if there is one, otherwise those of the
/// newest connection. Clients offer the same codecs everywhere.
fn decoders(connections: &[Connection], publisher: ParticipantId, kind: Kind) -> impl Iterator<Item = Codec> {
    let knows = |connection: &&Connection| connection.decodes.iter().any(|codec| codec.kind() == kind);
    let newest_first = || connections.iter().rev().filter(knows);
    let watching = newest_first().find(|connection| connection.watched.contains(&publisher));
    let found = watching.or_else(|| newest_first().next());
    let codecs = found
        .into_iter()
        .flat_map(|connection| connection.decodes.iter().copied());
    codecs.filter(move |codec| codec.kind() == kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: RoomId = RoomId(1);
    const VP9: Codec = Codec::Vp9 { profile: 0 };
    const AV1: Codec = Codec::Av1 { profile: 0, tier: 0 };

    fn learn(audiences: &mut Audiences, participant: u64, peer: u64, source: Option<u64>, decodes: &[Codec]) {
        audiences.learn(
            ROOM,
            ParticipantId(participant),
            PeerId(peer),
            source.map(ParticipantId).into_iter().collect(),
            decodes.to_vec(),
        );
    }

    fn of(audiences: &Audiences, publisher: u64) -> Vec<Vec<Codec>> {
        audiences.of(ROOM, ParticipantId(publisher))
    }

    #[test]
    fn a_publishers_audience_is_the_others_of_whom_something_is_known() {
        let mut audiences = Audiences::default();
        assert!(of(&audiences, 1).is_empty());
        learn(&mut audiences, 1, 10, None, &[]);
        learn(&mut audiences, 1, 11, Some(2), &[VP9]);
        learn(&mut audiences, 2, 20, None, &[]);
        assert!(of(&audiences, 1).is_empty(), "who only publishes has said nothing");
        assert_eq!(of(&audiences, 2), [[VP9]]);
        learn(&mut audiences, 3, 30, Some(1), &[Codec::Opus, Codec::Vp8]);
        assert_eq!(of(&audiences, 2), [vec![VP9], vec![Codec::Opus, Codec::Vp8]]);
        let elsewhere = audiences.of(RoomId(2), ParticipantId(2));
        assert!(elsewhere.is_empty());
    }

    #[test]
    fn the_connection_that_watches_the_publisher_counts_else_the_newest() {
        let mut audiences = Audiences::default();
        learn(&mut audiences, 2, 20, Some(1), &[Codec::Opus, Codec::Vp8]);
        learn(&mut audiences, 2, 21, Some(3), &[VP9]);
        learn(&mut audiences, 2, 22, Some(4), &[Codec::Pcmu]);
        assert_eq!(of(&audiences, 1), [[Codec::Opus, Codec::Vp8]]);
        assert_eq!(of(&audiences, 3), [[Codec::Pcmu, VP9]]);
        assert_eq!(of(&audiences, 5), [[Codec::Pcmu, VP9]]);
    }

    #[test]
    fn a_new_offer_replaces_what_the_former_one_said() {
        let mut audiences = Audiences::default();
        learn(&mut audiences, 2, 20, Some(1), &[VP9]);
        learn(&mut audiences, 2, 20, Some(1), &[AV1]);
        assert_eq!(of(&audiences, 1), [[AV1]]);
    }

    #[test]
    fn nothing_is_kept_of_connections_that_have_ended() {
        let mut audiences = Audiences::default();
        learn(&mut audiences, 2, 20, Some(1), &[VP9]);
        learn(&mut audiences, 2, 21, Some(3), &[AV1]);
        audiences.forget(PeerId(20));
        assert_eq!(of(&audiences, 1), [[AV1]]);
        audiences.forget(PeerId(21));
        audiences.forget(PeerId(21));
        assert!(audiences.rooms.is_empty() && audiences.places.is_empty());
    }
}
