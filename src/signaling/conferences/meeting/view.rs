//! What one session sees of its conference: who is there, who speaks and presents, and what has changed. Pure: the time is given.

use std::sync::Arc;
use std::time::Instant;

use super::connections::{CallKind, Connections};
use super::uuids::participant_uuid;
use super::videos::Videos;
use super::wire::{Notice, OnStage, Participant, Status};
use super::words::{self, Service};
use crate::domain::{
    CallEvent, CallOver, Event, MeetingEvent, MeetingState, ParticipantState, Person, Reported, Role, SlotStream,
    Subject, UserFeed,
};
use crate::ids::{Feed, RoomName, UserId};

/// People of a conference whom a session knows: more than a room has in any configuration that was tried. Further ones are left
/// out, which keeps a session below a MiB.
const PEOPLE_MAX: usize = 1_000;

/// People on the stage: as many as are announced as speaking at once.
const STAGE_MAX: usize = 8;

/// One moment on both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub now: Instant,
    /// Seconds since 1970-01-01 UTC.
    pub now_s: i64,
}

impl Moment {
    /// The time at which something was, in seconds since 1970.
    fn seconds_of(self, past: Instant) -> i64 {
        let ago = self.now.saturating_duration_since(past).as_secs();
        self.now_s.saturating_sub_unsigned(ago)
    }
}

/// Somebody who is there, or waits.
struct Known {
    person: Arc<Person>,
    uuid: String,
    role: Role,
    muted: bool,
    video_muted: bool,
    reported: Reported,
    spotlit_s: i64,
    is_waiting: bool,
    presents: bool,
    since_s: i64,
}

pub(crate) struct View {
    /// The conference as the client names it.
    alias: String,
    room: RoomName,
    service: Service,
    own: Arc<Person>,
    role: Role,
    is_waiting: bool,
    is_over: bool,
    /// In the order of their arrival. The session itself is among them, unless it is hidden.
    people: Vec<Known>,
    meeting: MeetingState,
    /// Those who speak, and those who have spoken before: the latest first.
    stage: Vec<UserId>,
    /// Those of them who speak now.
    speaking: usize,
    connections: Connections,
    videos: Videos,
}

impl View {
    pub fn new(alias: String, (service, room): (Service, RoomName), own: Person, role: Role) -> Self {
        Self {
            alias,
            room,
            service,
            own: Arc::new(own),
            role,
            is_waiting: false,
            is_over: false,
            people: Vec::new(),
            meeting: MeetingState::default(),
            stage: Vec::new(),
            speaking: 0,
            connections: Connections::default(),
            videos: Videos::default(),
        }
    }

    pub fn own_uuid(&self) -> String {
        participant_uuid(&self.room, &self.own.user)
    }

    pub fn own(&self) -> &Person {
        &self.own
    }

    pub fn room(&self) -> &RoomName {
        &self.room
    }

    pub fn role(&self) -> Role {
        self.role
    }

    pub fn is_waiting(&self) -> bool {
        self.is_waiting
    }

    pub fn service(&self) -> Service {
        self.service
    }

    /// Whether the call is over that the session was there for.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    pub fn status(&self) -> Status {
        Status {
            guests_muted: self.meeting.guests_muted,
            locked: self.meeting.locked,
        }
    }

    pub fn participants(&self) -> Vec<Participant> {
        self.people.iter().map(|known| self.shown(known)).collect()
    }

    /// The user whose id this is: the session's own, or somebody who is there or waits.
    pub fn user_of(&self, uuid: &str) -> Option<UserId> {
        if self.own_uuid() == uuid {
            return Some(self.own.user.clone());
        }
        let known = self.people.iter().find(|known| known.uuid == uuid);
        known.map(|known| known.person.user.clone())
    }

    /// Whoever presents a screen, if it is somebody else.
    pub fn presenter(&self) -> Option<UserFeed> {
        let presenter = self.people.iter().find(|known| known.presents)?;
        let user = presenter.person.user.clone();
        let feed = Feed::Screen;
        Some(UserFeed { user, feed })
    }

    /// What a connection is for.
    pub fn subject(&self, kind: CallKind) -> Subject {
        match kind {
            CallKind::Main => Subject::Conference,
            CallKind::SendScreen => Subject::Feed(self.own_screen()),
            CallKind::ReceiveScreen => Subject::Presentation,
        }
    }

    pub fn own_screen(&self) -> UserFeed {
        UserFeed {
            user: self.own.user.clone(),
            feed: Feed::Screen,
        }
    }

    /// People who are seen at once over the main connection. `None` before there is one.
    pub fn pictures(&self) -> Option<u8> {
        self.connections.pictures()
    }

    /// Notes the streams of a connection whose offer was answered. Returns what the client is sent because of it.
    pub fn answered(&mut self, kind: CallKind, streams: Vec<SlotStream>, at: Moment) -> Option<Notice> {
        self.connections.answered(kind, streams);
        self.changed_layout(at)
    }

    /// Notes a connection, which takes the place of an older one of its kind. Returns its id.
    pub fn called(&mut self, kind: CallKind) -> String {
        let owner = self.own_uuid();
        self.videos.forget_connection(kind);
        self.connections.called(&owner, kind)
    }

    pub fn call(&self, uuid: &str) -> Option<CallKind> {
        self.connections.kind_of(uuid)
    }

    /// Forgets a connection. Returns its kind.
    pub fn hung_up(&mut self, uuid: &str) -> Option<CallKind> {
        let kind = self.connections.hung_up(uuid)?;
        self.videos.forget_connection(kind);
        Some(kind)
    }

    /// All that whoever begins to read is sent.
    pub fn state(&self, at: Moment) -> Vec<Notice> {
        let mut notices = vec![Notice::Status(self.status()), Notice::SyncBegin {}];
        notices.extend(self.people.iter().map(|known| self.created(known)));
        notices.push(Notice::SyncEnd {});
        if !self.stage.is_empty() {
            notices.push(self.on_stage());
        }
        notices.extend(self.presentation());
        let layout = self.connections.layout(&self.room, at.now_s);
        notices.extend(layout.map(|layout| Notice::Layout(Box::new(layout))));
        notices.extend(self.videos.state(&self.room));
        notices
    }

    /// Takes an event. Returns what the client is sent because of it.
    pub fn handle(&mut self, event: Event, at: Moment) -> Vec<Notice> {
        match event {
            _ if self.is_over => Vec::new(),
            Event::Joined { others } => self.joined(others, at),
            Event::ParticipantArrived { person } => self.arrived(person, at),
            Event::ParticipantLeft { user } => self.left(&user),
            Event::FurtherFeeds { user, feeds } => self.presents(&user, feeds.contains(&Feed::Screen)),
            Event::Speakers { users } => self.speak(&users),
            Event::Layout {
                subject: Subject::Conference,
                slots,
            } => {
                self.connections.shows(slots);
                self.forget_what_does_not_come();
                self.changed_layout(at).into_iter().collect()
            }
            Event::Quality { feed, quality } => vec![self.videos.quality_changed(&self.room, feed, quality)],
            Event::LayersWanted(wanted) => vec![self.videos.layers_wanted(wanted)],
            Event::Call(CallEvent::Over(over)) => self.call_over(&over),
            Event::Text { from, text } => self.said(&from, &text),
            Event::ConnectionEnded { subject } => self.disconnected(&subject),
            Event::Meeting(event) => self.meeting(event, at),
            Event::Ended(reason) => vec![Notice::Disconnected {
                reason: words::end(reason),
            }],
            _ => Vec::new(),
        }
    }

    /// Forgets the videos that are in no slot. A screen may come by a connection of its own.
    fn forget_what_does_not_come(&mut self) {
        let screen = self.presenter();
        let comes = |feed: &UserFeed| self.connections.is_shown(feed) || screen.as_ref() == Some(feed);
        self.videos.forget(|feed| !comes(feed));
    }

    /// The call is over that the session is there for.
    fn call_over(&mut self, over: &CallOver) -> Vec<Notice> {
        self.is_over = true;
        let reason = words::call_end(over.reason);
        vec![Notice::Disconnected { reason }]
    }

    /// What the client is sent if it is shown somebody else than before.
    fn changed_layout(&mut self, at: Moment) -> Option<Notice> {
        let layout = self.connections.changed_layout(&self.room, at.now_s)?;
        Some(Notice::Layout(Box::new(layout)))
    }

    fn joined(&mut self, others: Vec<Arc<Person>>, at: Moment) -> Vec<Notice> {
        self.is_waiting = false;
        self.people.clear();
        self.stage.clear();
        self.speaking = 0;
        self.videos = Videos::default();
        for person in others {
            self.add(person, at);
        }
        let own = Arc::clone(&self.own);
        self.add(own, at);
        self.state(at)
    }

    fn meeting(&mut self, event: MeetingEvent, at: Moment) -> Vec<Notice> {
        match event {
            MeetingEvent::Waiting => {
                self.is_waiting = true;
                self.people.clear();
                let own = Arc::clone(&self.own);
                self.add(own, at);
                if let Some(own) = self.people.last_mut() {
                    own.is_waiting = true;
                }
                self.state(at)
            }
            MeetingEvent::Changed(state) => {
                let before = self.status();
                self.meeting = state;
                let changed = self.status() != before;
                changed.then(|| Notice::Status(self.status())).into_iter().collect()
            }
            MeetingEvent::Participant(state) => self.changed(state, at),
            // Whoever makes its token sends a referral. The client's own state comes with those of all.
            MeetingEvent::Referred(_) | MeetingEvent::Own(_) => Vec::new(),
        }
    }

    /// Adds somebody who is not known. `None` if there are as many as may be.
    fn add(&mut self, person: Arc<Person>, at: Moment) -> Option<&mut Known> {
        if self.people.len() >= PEOPLE_MAX {
            return None;
        }
        let uuid = participant_uuid(&self.room, &person.user);
        let role = match person.user == self.own.user {
            true => self.role,
            false => Role::Guest,
        };
        self.people.push(Known {
            person,
            uuid,
            role,
            muted: false,
            video_muted: false,
            reported: Reported::default(),
            spotlit_s: 0,
            is_waiting: false,
            presents: false,
            since_s: at.now_s,
        });
        self.people.last_mut()
    }

    fn index_of(&self, user: &UserId) -> Option<usize> {
        self.people.iter().position(|known| known.person.user == *user)
    }

    fn known(&self, user: &UserId) -> Option<&Known> {
        self.people.iter().find(|known| known.person.user == *user)
    }

    /// Changes what is known of somebody. Returns what the client is sent because of it; `None` if they are not known.
    fn change(&mut self, user: &UserId, change: impl FnOnce(&mut Known)) -> Option<Vec<Notice>> {
        let index = self.index_of(user)?;
        let before = self.shown(self.people.get(index)?);
        change(self.people.get_mut(index)?);
        let known = self.people.get(index)?;
        let has_changed = self.shown(known) != before;
        Some(has_changed.then(|| self.updated(known)).into_iter().collect())
    }

    fn arrived(&mut self, person: Arc<Person>, at: Moment) -> Vec<Notice> {
        let user = person.user.clone();
        if let Some(notices) = self.change(&user, |known| known.is_waiting = false) {
            return notices;
        }
        let added = self.add(person, at).is_some();
        let known = self.known(&user).filter(|_| added);
        known.map(|known| self.created(known)).into_iter().collect()
    }

    fn left(&mut self, user: &UserId) -> Vec<Notice> {
        self.videos.forget(|feed| feed.user == *user);
        let Some(index) = self.index_of(user) else {
            return Vec::new();
        };
        let mut notices = self.presents(user, false);
        let uuid = self.people.remove(index).uuid;
        if let Some(place) = self.stage.iter().position(|one| one == user) {
            self.stage.remove(place);
            self.speaking -= usize::from(place < self.speaking);
            notices.push(self.on_stage());
        }
        notices.push(Notice::Deleted { uuid });
        notices
    }

    fn changed(&mut self, state: ParticipantState, at: Moment) -> Vec<Notice> {
        let user = state.person.user.clone();
        let is_new = self.known(&user).is_none();
        if is_new && self.add(Arc::clone(&state.person), at).is_none() {
            return Vec::new();
        }
        if user == self.own.user {
            self.role = state.role;
            self.is_waiting = state.waiting;
        }
        let updated = self.change(&user, |known| {
            known.person = state.person;
            known.role = state.role;
            known.muted = state.muted;
            known.video_muted = state.video_muted;
            known.reported = state.reported;
            known.spotlit_s = state.spotlit.map_or(0, |since| at.seconds_of(since));
            known.is_waiting = state.waiting;
            known.since_s = at.seconds_of(state.since);
        });
        match is_new {
            true => self.known(&user).map(|known| self.created(known)).into_iter().collect(),
            false => updated.unwrap_or_default(),
        }
    }

    fn presents(&mut self, user: &UserId, presents: bool) -> Vec<Notice> {
        let before = self.presenter();
        let mut notices = self.change(user, |known| known.presents = presents).unwrap_or_default();
        if self.presenter() != before {
            notices.push(self.presentation().unwrap_or(Notice::PresentationStopped {}));
        }
        notices
    }

    fn presentation(&self) -> Option<Notice> {
        let presenter = self.people.iter().find(|known| known.presents)?;
        Some(Notice::PresentationStarted {
            presenter_name: presenter.person.name.clone(),
            presenter_uri: presenter.person.user.to_string(),
            presenter_uuid: presenter.uuid.clone(),
        })
    }

    fn speak(&mut self, users: &[UserId]) -> Vec<Notice> {
        let before = std::mem::take(&mut self.stage);
        let earlier = before.into_iter().filter(|user| !users.contains(user));
        self.stage = users.iter().cloned().chain(earlier).take(STAGE_MAX).collect();
        self.speaking = users.len().min(STAGE_MAX);
        vec![self.on_stage()]
    }

    fn on_stage(&self) -> Notice {
        let one = |(stage_index, user): (usize, &UserId)| OnStage {
            stage_index,
            participant_uuid: participant_uuid(&self.room, user),
            vad: if stage_index < self.speaking { 100 } else { 0 },
        };
        Notice::Stage(self.stage.iter().enumerate().map(one).collect())
    }

    /// A chat text. Clients show their own by themselves.
    fn said(&self, from: &UserId, text: &str) -> Vec<Notice> {
        if *from == self.own.user {
            return Vec::new();
        }
        let name = self.known(from).map(|known| known.person.name.clone());
        vec![Notice::Message {
            origin: name.unwrap_or_else(|| from.to_string()),
            kind: words::PLAIN_TEXT,
            payload: text.to_owned(),
            uuid: participant_uuid(&self.room, from),
        }]
    }

    fn disconnected(&mut self, subject: &Subject) -> Vec<Notice> {
        let kind = match subject {
            Subject::Conference => CallKind::Main,
            Subject::Feed(feed) if feed.user == self.own.user => CallKind::SendScreen,
            Subject::Presentation => CallKind::ReceiveScreen,
            Subject::Feed(_) | Subject::Call { .. } => return Vec::new(),
        };
        let ended = self.connections.ended(kind);
        self.videos.forget_connection(kind);
        let reason = words::CALL_ENDED;
        let notice = ended.map(|call_uuid| Notice::CallDisconnected { call_uuid, reason });
        notice.into_iter().collect()
    }

    fn created(&self, known: &Known) -> Notice {
        Notice::Created(Box::new(self.shown(known)))
    }

    fn updated(&self, known: &Known) -> Notice {
        Notice::Updated(Box::new(self.shown(known)))
    }

    fn shown(&self, known: &Known) -> Participant {
        let yes_or_no = words::yes_or_no;
        Participant {
            api_url: format!("/participants/{}", known.uuid),
            call_direction: "in",
            display_name: known.person.name.clone(),
            encryption: "On",
            has_media: !known.is_waiting,
            is_audio_only_call: yes_or_no(false),
            is_external: false,
            is_muted: yes_or_no(known.muted),
            is_presenting: yes_or_no(known.presents),
            is_streaming_conference: false,
            is_video_call: yes_or_no(true),
            is_vmuted: yes_or_no(known.video_muted),
            local_audio: !known.reported.muted,
            local_alias: self.alias.clone(),
            local_camera: !known.reported.video_muted,
            overlay_text: known.person.name.clone(),
            presentation_supported: yes_or_no(true),
            protocol: "webrtc",
            role: words::role_in_lists(known.role),
            rx_presentation_policy: "ALLOW",
            service_type: words::service(self.service, known.is_waiting),
            spotlight: known.spotlit_s,
            start_time: known.since_s,
            uri: known.person.user.to_string(),
            uuid: known.uuid.clone(),
            vendor: "",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::MediaKind;
    use crate::domain::{Command, EndReason, Heights, LayersWanted, VideoWants};
    use crate::ids::SlotId;
    use crate::signaling::conferences::fields::Fields;
    use crate::signaling::conferences::meeting::video_wants;
    use crate::signaling::conferences::meeting::wire::{Layout, ShownScreen};
    use crate::video::{Cause, Quality, State};

    const ROOM: &str = "m";

    fn person(user: &str) -> Arc<Person> {
        Arc::new(Person {
            name: format!("{user}'s name"),
            ..Person::unnamed(user.into())
        })
    }

    #[allow(clippy::disallowed_methods, reason = "there is no other way to make an instant")]
    fn some_instant() -> Instant {
        Instant::now()
    }

    fn uuid(user: &str) -> String {
        participant_uuid(&ROOM.into(), &user.into())
    }

    /// A session of Anna, and the moment at which all happens.
    struct Seen {
        view: View,
        at: Moment,
    }

    impl Seen {
        /// Anna, who has not heard anything yet.
        fn new() -> Seen {
            let own = Person::clone(&person("anna"));
            let view = View::new(
                "m@example.org".to_owned(),
                (Service::Conference, ROOM.into()),
                own,
                Role::Guest,
            );
            let at = Moment {
                now: some_instant() + Duration::from_secs(1_000),
                now_s: 5_000,
            };
            Seen { view, at }
        }

        fn joined() -> Seen {
            let mut seen = Seen::new();
            let others = vec![person("ben")];
            seen.handle(Event::Joined { others });
            seen
        }

        fn handle(&mut self, event: Event) -> Vec<Notice> {
            self.view.handle(event, self.at)
        }

        fn state_of(&self, user: &str) -> ParticipantState {
            ParticipantState {
                person: person(user),
                role: Role::Guest,
                muted: false,
                video_muted: false,
                reported: Reported::default(),
                spotlit: None,
                waiting: false,
                since: self.at.now,
            }
        }

        fn changed(&mut self, state: ParticipantState) -> Vec<Notice> {
            self.handle(Event::Meeting(MeetingEvent::Participant(state)))
        }
    }

    fn kinds(notices: &[Notice]) -> Vec<&'static str> {
        notices.iter().map(Notice::kind).collect()
    }

    fn updated(notices: Vec<Notice>) -> Participant {
        match notices.as_slice() {
            [Notice::Updated(one)] => Participant::clone(one),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn whoever_joins_is_sent_everybody_themselves_included() {
        let mut seen = Seen::new();
        let others = vec![person("ben")];
        let notices = seen.handle(Event::Joined { others });
        let expected = [
            "service_update",
            "participant_sync_begin",
            "participant_create",
            "participant_create",
            "participant_sync_end",
        ];
        assert_eq!(kinds(&notices), expected);
        assert_eq!(notices, seen.view.state(seen.at));
        let people = seen.view.participants();
        let of = |index: usize| (people[index].uuid.clone(), people[index].display_name.clone());
        assert_eq!(of(0), (uuid("ben"), "ben's name".to_owned()));
        assert_eq!(of(1), (uuid("anna"), "anna's name".to_owned()));
        assert_eq!(people[0].api_url, format!("/participants/{}", uuid("ben")));
        assert_eq!(people[0].local_alias, "m@example.org");
        assert_eq!(people[0].start_time, 5_000);
        assert_eq!(seen.view.user_of(&uuid("ben")), Some("ben".into()));
        assert_eq!(seen.view.user_of(&uuid("carl")), None);
    }

    #[test]
    fn what_is_wanted_of_videos_names_people_by_their_ids() {
        let mut seen = Seen::new();
        seen.handle(Event::Joined {
            others: vec![person("ben")],
        });
        let (ben, nobody) = (uuid("ben"), uuid("carl"));
        let body = serde_json::json!({
            "heights": { &ben: 720, &nobody: 90, "*": 180 }, "screens": { &ben: 1_080 }, "onStage": [&nobody, &ben], "lastN": 4,
        });
        let fields = Fields::read(body.to_string().as_bytes(), "").unwrap();
        let heights = |height: u16, of_others| Heights {
            of_users: [("ben".into(), height)].into(),
            of_others,
        };
        let expected = Command::Want(Box::new(VideoWants {
            last_n: 4,
            on_stage: vec!["ben".into()],
            cameras: heights(720, Some(180)),
            screens: heights(1_080, None),
        }));
        assert_eq!(video_wants(&fields, &seen.view), expected);
    }

    #[test]
    fn ids_are_those_of_all_sessions_and_differ_from_room_to_room() {
        assert_eq!(uuid("ben"), uuid("ben"));
        assert_ne!(uuid("ben"), uuid("anna"));
        assert_ne!(uuid("ben"), participant_uuid(&"n".into(), &"ben".into()));
        let lengths: Vec<usize> = uuid("ben").split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
    }

    #[test]
    fn people_come_change_and_go() {
        let mut seen = Seen::joined();
        let arrived = seen.handle(Event::ParticipantArrived { person: person("carl") });
        assert_eq!(kinds(&arrived), ["participant_create"]);
        let unchanged = seen.state_of("carl");
        assert_eq!(seen.changed(unchanged), [], "nothing is new");
        let state = ParticipantState {
            role: Role::Host,
            muted: true,
            video_muted: true,
            reported: Reported {
                muted: true,
                video_muted: false,
            },
            spotlit: Some(seen.at.now - Duration::from_secs(3)),
            since: seen.at.now - Duration::from_secs(60),
            ..seen.state_of("carl")
        };
        let carl = updated(seen.changed(state));
        assert_eq!((carl.role, carl.is_muted, carl.is_vmuted), ("chair", "YES", "YES"));
        assert_eq!((carl.local_audio, carl.local_camera), (false, true));
        assert_eq!((carl.spotlight, carl.start_time), (4_997, 4_940));
        let user = || "carl".into();
        let left = seen.handle(Event::ParticipantLeft { user: user() });
        assert_eq!(left, [Notice::Deleted { uuid: uuid("carl") }]);
        assert_eq!(seen.handle(Event::ParticipantLeft { user: user() }), []);
    }

    #[test]
    fn somebody_who_waits_is_listed_and_then_enters() {
        let mut seen = Seen::joined();
        let waits = ParticipantState {
            waiting: true,
            ..seen.state_of("carl")
        };
        let notices = seen.changed(waits);
        assert_eq!(kinds(&notices), ["participant_create"]);
        let service = |seen: &Seen| {
            let all = seen.view.participants();
            let carl = all.into_iter().find(|one| one.uuid == uuid("carl")).unwrap();
            (carl.service_type, carl.has_media)
        };
        assert_eq!(service(&seen), ("waiting_room", false));
        let person = person("carl");
        assert_eq!(
            kinds(&seen.handle(Event::ParticipantArrived { person })),
            ["participant_update"]
        );
        assert_eq!(service(&seen), ("conference", true));
    }

    #[test]
    fn a_session_waits_until_it_has_joined_and_its_role_may_change() {
        let mut seen = Seen::new();
        seen.handle(Event::Meeting(MeetingEvent::Waiting));
        assert!(seen.view.is_waiting());
        assert_eq!(seen.view.participants()[0].service_type, "waiting_room");
        seen.handle(Event::Joined { others: Vec::new() });
        assert!(!seen.view.is_waiting());
        assert_eq!(seen.view.participants()[0].service_type, "conference");
        let host = ParticipantState {
            role: Role::Host,
            ..seen.state_of("anna")
        };
        assert_eq!(updated(seen.changed(host)).role, "chair");
        assert_eq!(seen.view.role(), Role::Host);
    }

    #[test]
    fn a_change_of_the_meeting_is_sent_if_clients_see_it() {
        let mut seen = Seen::joined();
        let mut changed = |locked, guests_muted, started| {
            seen.handle(Event::Meeting(MeetingEvent::Changed(MeetingState {
                locked,
                guests_muted,
                started,
            })))
        };
        let status = |locked, guests_muted| Notice::Status(Status { locked, guests_muted });
        assert_eq!(changed(true, false, false), [status(true, false)]);
        assert_eq!(changed(true, false, true), []);
        assert_eq!(changed(false, true, true), [status(false, true)]);
    }

    #[test]
    fn a_screen_is_announced_until_its_presenter_stops_or_leaves_and_another_takes_its_place() {
        let mut seen = Seen::joined();
        seen.handle(Event::ParticipantArrived { person: person("carl") });
        let feeds = |user: &str, feeds: Vec<Feed>| Event::FurtherFeeds {
            user: user.into(),
            feeds,
        };
        let started = |user: &str| Notice::PresentationStarted {
            presenter_name: format!("{user}'s name"),
            presenter_uri: user.to_owned(),
            presenter_uuid: uuid(user),
        };
        let notices = seen.handle(feeds("ben", vec![Feed::Screen]));
        assert_eq!(kinds(&notices), ["participant_update", "presentation_start"]);
        assert_eq!(notices[1], started("ben"));
        assert!(seen.view.state(seen.at).contains(&started("ben")));
        let notices = seen.handle(feeds("carl", vec![Feed::Screen]));
        assert_eq!(kinds(&notices), ["participant_update"], "Ben still presents");
        let notices = seen.handle(feeds("ben", vec![]));
        assert_eq!(notices[1], started("carl"));
        let notices = seen.handle(Event::ParticipantLeft { user: "carl".into() });
        assert_eq!(
            kinds(&notices),
            ["participant_update", "presentation_stop", "participant_delete"]
        );
        assert_eq!(seen.view.presenter(), None);
    }

    #[test]
    fn who_speaks_is_first_on_the_stage_and_who_has_spoken_behind_them() {
        let mut seen = Seen::joined();
        let mut speak = |users: &[&str]| {
            let users = users.iter().map(|user| UserId::from(*user)).collect();
            match seen.handle(Event::Speakers { users }).as_slice() {
                [Notice::Stage(stage)] => stage.clone(),
                other => panic!("{other:?}"),
            }
        };
        let one = |stage_index, user: &str, vad| OnStage {
            stage_index,
            participant_uuid: uuid(user),
            vad,
        };
        assert_eq!(speak(&["anna"]), [one(0, "anna", 100)]);
        assert_eq!(speak(&["ben"]), [one(0, "ben", 100), one(1, "anna", 0)]);
        assert_eq!(speak(&[]), [one(0, "ben", 0), one(1, "anna", 0)]);
        let many: Vec<String> = (0..20).map(|number| number.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(speak(&many).len(), STAGE_MAX);
        speak(&["anna", "ben"]);
        let notices = seen.handle(Event::ParticipantLeft { user: "ben".into() });
        let Notice::Stage(stage) = &notices[0] else {
            panic!("{notices:?}")
        };
        assert_eq!(stage[0], one(0, "anna", 100));
        assert_eq!(stage[1].vad, 0);
    }

    #[test]
    fn texts_of_others_are_messages_and_one_s_own_are_not() {
        let mut seen = Seen::joined();
        let mut say = |from: &str| {
            seen.handle(Event::Text {
                from: from.into(),
                text: "hello".into(),
            })
        };
        let expected = Notice::Message {
            origin: "ben's name".to_owned(),
            kind: "text/plain",
            payload: "hello".to_owned(),
            uuid: uuid("ben"),
        };
        assert_eq!(say("ben"), [expected]);
        assert_eq!(say("anna"), []);
    }

    #[test]
    fn the_end_of_a_connection_is_that_of_its_call() {
        let mut seen = Seen::joined();
        let older = seen.view.called(CallKind::Main);
        let main = seen.view.called(CallKind::Main);
        let screen = seen.view.called(CallKind::SendScreen);
        assert_eq!(seen.view.call(&older), None);
        assert_eq!(seen.view.call(&main), Some(CallKind::Main));
        let ended = |call: &str| {
            vec![Notice::CallDisconnected {
                call_uuid: call.to_owned(),
                reason: words::CALL_ENDED,
            }]
        };
        let own = UserFeed {
            user: "anna".into(),
            feed: Feed::Screen,
        };
        let end = |subject| Event::ConnectionEnded { subject };
        assert_eq!(seen.handle(end(Subject::Feed(own))), ended(&screen));
        assert_eq!(seen.handle(end(Subject::Conference)), ended(&main));
        assert_eq!(seen.handle(end(Subject::Conference)), []);
        let receives = seen.view.called(CallKind::ReceiveScreen);
        assert_eq!(seen.view.hung_up(&receives), Some(CallKind::ReceiveScreen));
        assert_eq!(seen.view.hung_up(&receives), None);
    }

    #[test]
    fn a_layout_names_the_stream_of_each_who_is_shown_once_both_are_known() {
        let mut seen = Seen::joined();
        let stream = |slot, kind, ssrc, rtx_ssrc| SlotStream {
            slot: SlotId(slot),
            kind,
            ssrc,
            rtx_ssrc,
        };
        let feed = |user: &str, feed| {
            let user = user.into();
            Some(UserFeed { user, feed })
        };
        let shown = |slots: &[(u8, Option<UserFeed>)]| Event::Layout {
            subject: Subject::Conference,
            slots: slots.iter().map(|(slot, feed)| (SlotId(*slot), feed.clone())).collect(),
        };
        let slots = [
            (0, feed("ben", Feed::Camera)),
            (1, feed("carl", Feed::Camera)),
            (2, None),
            (3, feed("ben", Feed::Camera)),
            (4, feed("ben", Feed::Screen)),
        ];
        assert_eq!(seen.handle(shown(&slots)), [], "no stream is known");
        let streams = vec![
            stream(0, MediaKind::Audio, 10, None),
            stream(1, MediaKind::Video, 11, Some(111)),
            stream(2, MediaKind::Video, 12, Some(112)),
            stream(3, MediaKind::Video, 13, None),
            stream(4, MediaKind::Video, 14, Some(114)),
        ];
        let at = seen.at;
        let answered = seen.view.answered(CallKind::Main, streams, at);
        let expected = Layout {
            view: "1:1".to_owned(),
            host_view: "1:1".to_owned(),
            guest_view: "1:1".to_owned(),
            participants: vec![uuid("carl"), uuid("ben")],
            ssrcs: vec![11, 13],
            rtx_ssrcs_map: [("11".to_owned(), 111)].into(),
            missing: Vec::new(),
            quality: "high",
            time: 5_000,
            presentation: Some(ShownScreen {
                uuid: uuid("ben"),
                ssrc: 14,
                rtx_ssrc: Some(114),
            }),
        };
        assert_eq!(answered, Some(Notice::Layout(Box::new(expected))));
        assert_eq!(seen.handle(shown(&slots)), [], "nothing is new");
        match seen.handle(shown(&[(1, None)])).as_slice() {
            [Notice::Layout(layout)] => assert_eq!((layout.ssrcs.len(), &*layout.view), (0, "1:0")),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_comes_of_a_video_and_what_is_wanted_of_ones_own_is_sent_and_state_until_it_no_longer_holds() {
        let mut seen = Seen::joined();
        let camera = |user: &str| UserFeed {
            user: user.into(),
            feed: Feed::Camera,
        };
        let comes = |user: &str| Event::Quality {
            feed: camera(user),
            quality: Quality {
                state: State::Paused(Cause::Bandwidth),
                height: None,
                wanted: Some(180),
            },
        };
        let shown = |users: [Option<&str>; 2]| Event::Layout {
            subject: Subject::Conference,
            slots: (1..).map(SlotId).zip(users.map(|user| user.map(camera))).collect(),
        };
        let order = Event::LayersWanted(Arc::new(LayersWanted {
            feed: Feed::Camera,
            layers: vec![("q".to_owned(), true)],
            max_bits_per_second: None,
        }));
        let known = |seen: &Seen| -> Vec<Notice> {
            let state = seen.view.state(seen.at).into_iter();
            let kinds = ["video_quality", "send_layers"];
            state.filter(|notice| kinds.contains(&notice.kind())).collect()
        };
        seen.view.called(CallKind::Main);
        seen.handle(shown([Some("ben"), None]));
        let ben = seen.handle(comes("ben"));
        let ordered = seen.handle(order);
        assert_eq!(
            kinds(&[ben.clone(), ordered.clone()].concat()),
            ["video_quality", "send_layers"]
        );
        // It may be said before the layout has them.
        let carl = seen.handle(comes("carl"));
        assert_eq!(known(&seen), [ben.clone(), carl.clone(), ordered.clone()].concat());
        seen.handle(shown([Some("carl"), Some("ben")]));
        assert_eq!(
            known(&seen),
            [ben, carl.clone(), ordered.clone()].concat(),
            "in other places"
        );
        seen.handle(shown([Some("carl"), None]));
        assert_eq!(known(&seen), [carl.clone(), ordered.clone()].concat());
        // It may have been on its way when the layout was sent.
        seen.handle(comes("ben"));
        seen.handle(shown([None, Some("carl")]));
        assert_eq!(known(&seen), [carl, ordered.clone()].concat());
        seen.handle(shown([Some("carl"), None]));
        seen.handle(Event::ParticipantLeft { user: "carl".into() });
        assert_eq!(known(&seen), ordered, "nobody of that name is known");
        let subject = Subject::Conference;
        seen.handle(Event::ConnectionEnded { subject });
        assert_eq!(known(&seen), []);
    }

    #[test]
    fn a_call_is_over_with_its_reason() {
        let mut seen = Seen::joined();
        let over = CallOver {
            call: crate::ids::CallId(1),
            side: crate::domain::Side::Caller,
            other: crate::domain::Address::Name("ben".into()),
            room: None,
            accepted: true,
            reason: crate::domain::CallEnd::HungUp,
        };
        let reason = "the other side has hung up";
        let ended = seen.handle(Event::Call(CallEvent::Over(over)));
        assert_eq!(ended, [Notice::Disconnected { reason }]);
        assert!(seen.view.is_over());
    }

    #[test]
    fn the_reason_of_the_end_is_sent() {
        let mut seen = Seen::joined();
        let reason = words::end(EndReason::Removed);
        let ended = seen.handle(Event::Ended(EndReason::Removed));
        assert_eq!(ended, [Notice::Disconnected { reason }]);
    }

    #[test]
    fn the_people_whom_a_session_knows_are_bounded() {
        let mut seen = Seen::joined();
        for number in 0..2 * PEOPLE_MAX {
            let person = person(&number.to_string());
            seen.handle(Event::ParticipantArrived { person });
        }
        assert_eq!(seen.view.participants().len(), PEOPLE_MAX);
        let further = seen.state_of("further");
        assert_eq!(seen.changed(further), []);
    }
}
