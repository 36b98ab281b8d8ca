//! The connections of a session, and who is shown over the main one. Pure.

use super::uuids::{call_uuid, participant_uuid};
use super::wire::{Layout, ShownScreen};
use crate::domain::{MediaKind, SlotStream, UserFeed};
use crate::ids::{Feed, RoomName, SlotId, UserId};

/// What a connection of a session is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallKind {
    /// Publishes camera and microphone, and receives the others.
    Main,
    /// Publishes a screen.
    SendScreen,
    /// Receives the screen of whoever presents.
    ReceiveScreen,
}

struct Call {
    uuid: String,
    kind: CallKind,
}

/// Of each kind there is one connection at most.
#[derive(Default)]
pub(super) struct Connections {
    calls: Vec<Call>,
    last_call: u64,
    /// The streams of the main connection.
    streams: Vec<SlotStream>,
    /// Who is in them.
    shown: Vec<(SlotId, Option<UserFeed>)>,
    /// What the client was sent of that last.
    sent: Option<Layout>,
}

impl Connections {
    /// Notes a connection of this participant, which takes the place of an older one of its kind. Returns its id.
    pub fn called(&mut self, owner: &str, kind: CallKind) -> String {
        self.last_call += 1;
        let uuid = call_uuid(owner, self.last_call);
        self.calls.retain(|call| call.kind != kind);
        self.calls.push(Call {
            uuid: uuid.clone(),
            kind,
        });
        uuid
    }

    pub fn kind_of(&self, uuid: &str) -> Option<CallKind> {
        let call = self.calls.iter().find(|call| call.uuid == uuid);
        call.map(|call| call.kind)
    }

    /// Forgets a connection that its client ends. Returns its kind.
    pub fn hung_up(&mut self, uuid: &str) -> Option<CallKind> {
        let kind = self.kind_of(uuid)?;
        self.ended(kind)?;
        Some(kind)
    }

    /// Forgets the connection of a kind. Returns its id.
    pub fn ended(&mut self, kind: CallKind) -> Option<String> {
        let index = self.calls.iter().position(|call| call.kind == kind)?;
        if kind == CallKind::Main {
            self.streams.clear();
            self.shown.clear();
            self.sent = None;
        }
        Some(self.calls.remove(index).uuid)
    }

    /// People who are seen at once over the main connection. `None` before there is one.
    pub fn pictures(&self) -> Option<u8> {
        let count = self.pictured().count();
        // Whoever sees several people has a stream for a screen, too.
        let people = count - usize::from(count > 1);
        u8::try_from(people).ok().filter(|people| *people > 0)
    }

    fn pictured(&self) -> impl Iterator<Item = &SlotStream> {
        self.streams.iter().filter(|stream| stream.kind == MediaKind::Video)
    }

    /// Notes the streams of a connection whose offer was answered.
    pub fn answered(&mut self, kind: CallKind, streams: Vec<SlotStream>) {
        if kind == CallKind::Main {
            self.streams = streams;
        }
    }

    /// Notes who is in the slots of the main connection.
    pub fn shows(&mut self, slots: Vec<(SlotId, Option<UserFeed>)>) {
        self.shown = slots;
    }

    /// Whether a video is in one of these slots.
    pub fn is_shown(&self, feed: &UserFeed) -> bool {
        self.shown.iter().any(|(_, one)| one.as_ref() == Some(feed))
    }

    /// Who is shown by which stream, if the client has not been sent that already.
    pub fn changed_layout(&mut self, room: &RoomName, now_s: i64) -> Option<Layout> {
        let layout = self.layout(room, now_s)?;
        let before = self.sent.replace(layout.clone());
        let is_same = before.is_some_and(|before| {
            let time = layout.time;
            Layout { time, ..before } == layout
        });
        (!is_same).then_some(layout)
    }

    /// Who is shown by which stream. `None` before both are known.
    pub fn layout(&self, room: &RoomName, now_s: i64) -> Option<Layout> {
        if self.streams.is_empty() || self.shown.is_empty() {
            return None;
        }
        let feed = |stream: &SlotStream| {
            let shown = self.shown.iter().find(|(slot, _)| *slot == stream.slot);
            shown.and_then(|(_, feed)| feed.clone())
        };
        let shown = self.pictured().filter_map(|one| Some((one, feed(one)?)));
        let (people, screens): (Vec<_>, Vec<_>) = shown.partition(|(_, feed)| feed.feed == Feed::Camera);
        let uuid = |user: &UserId| participant_uuid(room, user);
        let view = format!("1:{}", people.len().saturating_sub(1));
        let rtx = people
            .iter()
            .filter_map(|(one, _)| Some((one.ssrc.to_string(), one.rtx_ssrc?)));
        Some(Layout {
            host_view: view.clone(),
            guest_view: view.clone(),
            view,
            participants: people.iter().map(|(_, feed)| uuid(&feed.user)).collect(),
            ssrcs: people.iter().map(|(one, _)| one.ssrc).collect(),
            rtx_ssrcs_map: rtx.collect(),
            missing: Vec::new(),
            quality: "high",
            time: now_s,
            presentation: screens.first().map(|(one, feed)| ShownScreen {
                uuid: uuid(&feed.user),
                ssrc: one.ssrc,
                rtx_ssrc: one.rtx_ssrc,
            }),
        })
    }
}
