//! `GET /admin/v1/rooms`: who is in which room, and what they publish, as JSON. Names are aliases, as in the log.
//!
//! ```text
//! {"rooms": [{"id": 7, "kind": "group", "name": "#0123456789", "participants": [
//!     {"id": 9, "user": "#9876543210", "visible": true, "connections": 1, "tracks": [
//!         {"connection": 10, "feed": "camera", "kind": "audio", "number": 0, "codec": "Opus", "layers": 1,
//!          "packets": 512, "bytes": 61440, "bitrate_bps": 48000, "level": {"mean_dbov": -38, "peak_dbov": -21}}]}]}],
//!  "next": "/admin/v1/rooms?after=7", "silent_workers": []}
//! ```
//!
//! `visible` is false for somebody who watches by WHEP: the others in the room do not see that they are there.
//!
//! A room of a call has the kind `call` and no name. `codec` is `null` while nothing is sent, `level` is `null` where no audio
//! levels came in the last second: of pictures, of a robot, of a client that does not send them, of one that is muted. `next` is
//! where the rooms follow that had no place in this answer. The tracks of `silent_workers` are missing: these media workers did
//! not answer within a second.

use std::collections::HashMap;
use std::net::SocketAddr;

use axum::Json;
use axum::extract::{ConnectInfo, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::metrics;
use super::state::Admin;
use crate::alias::alias;
use crate::domain::{ParticipantOutline, RoomKind, RoomOutline};
use crate::http::errors::HttpError;
use crate::http::openapi::answers::ErrorBody;
use crate::hub::Overview;
use crate::ids::{Feed, ParticipantId, RoomId};
use crate::media::codec::Kind;
use crate::media::report::TrackReport;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    /// The last room of the answer before.
    after: Option<u64>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = RoomsPage)]
struct Rooms {
    /// Rooms, by their number.
    rooms: Vec<Room>,
    /// Path of the rooms that had no place in this answer. `null` if there are none.
    next: Option<String>,
    /// Numbers of the media workers that did not answer within a second; their tracks are missing.
    silent_workers: Vec<usize>,
}

#[derive(Serialize, ToSchema)]
struct Room {
    /// Number of the room in this process.
    id: u64,
    /// Kind: `group`, `pair`, or `call`.
    kind: &'static str,
    /// Alias of the name. `null` for the room of a call.
    name: Option<String>,
    /// Participants.
    participants: Vec<Participant>,
}

#[derive(Serialize, ToSchema)]
struct Participant {
    /// Number of the participant in this process.
    id: u64,
    /// Alias of the user.
    user: String,
    /// Whether others in the room see them. A viewer by WHEP is seen by nobody.
    visible: bool,
    /// Number of their WebRTC connections.
    connections: usize,
    /// Tracks that they publish.
    tracks: Vec<Track>,
}

#[derive(Serialize, ToSchema)]
struct Track {
    /// Number of the connection that publishes it.
    connection: u64,
    /// Feed: `camera` or `screen`.
    feed: &'static str,
    /// Kind: `audio` or `video`.
    kind: &'static str,
    /// Place among the feed's tracks of this kind.
    number: u8,
    /// Name of the codec. `null` while nothing is sent.
    codec: Option<String>,
    /// Number of encodings.
    layers: usize,
    /// Packets that have come.
    packets: u64,
    /// Bytes of payload that have come.
    bytes: u64,
    /// Bits per second at the moment.
    bitrate_bps: u64,
    /// Loudness over the last second. `null` where no audio levels have come.
    level: Option<Level>,
}

/// Levels over the last second, in dBov (RFC 6464): 0 is the loudest sound, -127 is silence.
#[derive(Serialize, ToSchema)]
#[schema(as = SoundLevel)]
struct Level {
    /// Mean level.
    mean_dbov: i8,
    /// Highest level.
    peak_dbov: i8,
}

/// Rooms, participants and tracks
///
/// Who is in which room, and what they publish. Names are aliases, as in the log.
#[utoipa::path(
    get,
    path = "/admin/v1/rooms",
    tag = "operators",
    params(Asked),
    responses(
        (status = 200, description = "Rooms by their number, with as many participants and tracks as have a place in one answer.", body = Rooms),
        (status = 400, description = "`after` is no number.", body = ErrorBody),
        (status = 403, description = "The client is not on this machine, or came through a proxy; or `metrics.address` serves this.", body = ErrorBody),
        (status = 503, description = "Signaling has ended, or the answer took too long.", body = ErrorBody),
    )
)]
pub(super) async fn list(
    State(admin): State<Admin>,
    client: Option<axum::Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Response {
    if let Some(refusal) = metrics::refusal(&admin, client, &headers) {
        return refusal;
    }
    // One at a time: each costs the hub and each media worker something.
    let _turn = admin.overviews.lock().await;
    match admin.hub.overview(asked.after.map(RoomId)).await {
        Some(overview) => Json(Rooms::of(overview)).into_response(),
        None => HttpError::new(StatusCode::SERVICE_UNAVAILABLE, "signaling has ended").into_response(),
    }
}

impl Rooms {
    fn of(overview: Overview) -> Rooms {
        let last = overview.rooms.last().filter(|_| overview.has_more);
        let next = last.map(|room| format!("/admin/v1/rooms?after={}", room.id));
        let mut tracks: HashMap<ParticipantId, Vec<TrackReport>> = HashMap::new();
        for track in overview.tracks {
            tracks.entry(track.name.participant).or_default().push(track);
        }
        let rooms = overview.rooms.into_iter().map(|room| Room::of(room, &mut tracks));
        Rooms {
            rooms: rooms.collect(),
            next,
            silent_workers: overview.silent.into_iter().map(|worker| worker.0).collect(),
        }
    }
}

impl Room {
    fn of(room: RoomOutline, tracks: &mut HashMap<ParticipantId, Vec<TrackReport>>) -> Room {
        let kind = room.name.as_ref().map(|(kind, _)| kind);
        let participants = room.participants.into_iter().map(|participant| {
            let tracks = tracks.remove(&participant.id).unwrap_or_default();
            Participant::of(participant, tracks)
        });
        Room {
            id: room.id.0,
            kind: match kind {
                Some(RoomKind::Group) => "group",
                Some(RoomKind::Pair) => "pair",
                None => "call",
            },
            participants: participants.collect(),
            name: room.name.map(|(_, name)| alias(name.as_str()).to_string()),
        }
    }
}

impl Participant {
    fn of(participant: ParticipantOutline, mut tracks: Vec<TrackReport>) -> Participant {
        tracks.sort_by_key(|track| (track.name, track.publisher));
        Participant {
            id: participant.id.0,
            user: alias(participant.person.user.as_str()).to_string(),
            visible: participant.visible,
            connections: participant.connections,
            tracks: tracks.into_iter().map(Track::of).collect(),
        }
    }
}

impl Track {
    fn of(report: TrackReport) -> Track {
        let name = report.name.name;
        Track {
            connection: report.publisher.0,
            feed: match name.feed {
                Feed::Camera => "camera",
                Feed::Screen => "screen",
            },
            kind: match name.kind {
                Kind::Audio => "audio",
                Kind::Video => "video",
            },
            number: name.number,
            codec: report.codec.map(|codec| codec.to_string()),
            layers: report.layers,
            packets: report.packets,
            bytes: report.bytes,
            bitrate_bps: report.bitrate_bps,
            level: report.level.map(|level| Level {
                mean_dbov: level.mean_dbov,
                peak_dbov: level.peak_dbov,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::Person;
    use crate::ids::{PeerId, WorkerId};
    use crate::media::codec::Codec;
    use crate::media::names::{TrackName, TrackRef};
    use crate::media::speaker::SoundLevel;

    fn track(participant: u64, feed: Feed, kind: Kind, level: Option<SoundLevel>) -> TrackReport {
        let name = TrackName { feed, kind, number: 0 };
        TrackReport {
            name: TrackRef {
                participant: ParticipantId(participant),
                name,
            },
            publisher: PeerId(5),
            codec: (kind == Kind::Audio).then_some(Codec::Opus),
            layers: 1,
            packets: 3,
            bytes: 300,
            bitrate_bps: 800,
            level,
        }
    }

    fn participant(id: u64, name: &str) -> ParticipantOutline {
        ParticipantOutline {
            id: ParticipantId(id),
            person: Person::unnamed(name.into()).into(),
            connections: 1,
            visible: name != "ben",
        }
    }

    #[test]
    fn each_track_is_shown_at_its_participant_and_names_are_aliases() {
        let level = SoundLevel {
            mean_dbov: -38,
            peak_dbov: -21,
        };
        let name = Some((RoomKind::Group, "meeting".into()));
        let rooms = vec![
            RoomOutline {
                id: RoomId(1),
                name,
                participants: vec![participant(3, "anna"), participant(4, "ben")],
            },
            RoomOutline {
                id: RoomId(2),
                name: None,
                participants: Vec::new(),
            },
        ];
        let overview = Overview {
            rooms,
            has_more: true,
            tracks: vec![
                track(4, Feed::Screen, Kind::Video, None),
                track(4, Feed::Camera, Kind::Audio, Some(level)),
                track(9, Feed::Camera, Kind::Audio, None),
            ],
            silent: vec![WorkerId(1)],
        };
        let shown = |feed, kind, codec, level| {
            json!({ "connection": 5, "feed": feed, "kind": kind, "number": 0, "codec": codec, "layers": 1,
                    "packets": 3, "bytes": 300, "bitrate_bps": 800, "level": level })
        };
        let tracks = json!([
            shown(
                "camera",
                "audio",
                Some("Opus"),
                Some(json!({ "mean_dbov": -38, "peak_dbov": -21 }))
            ),
            shown("screen", "video", None, None),
        ]);
        let alias = |name| alias(name).to_string();
        let expected = json!({
            "rooms": [
                { "id": 1, "kind": "group", "name": alias("meeting"), "participants": [
                    { "id": 3, "user": alias("anna"), "visible": true, "connections": 1, "tracks": [] },
                    { "id": 4, "user": alias("ben"), "visible": false, "connections": 1, "tracks": tracks },
                ]},
                { "id": 2, "kind": "call", "name": null, "participants": [] },
            ],
            "next": "/admin/v1/rooms?after=2",
            "silent_workers": [1],
        });
        assert_eq!(serde_json::to_value(Rooms::of(overview)).unwrap(), expected);
    }
}
