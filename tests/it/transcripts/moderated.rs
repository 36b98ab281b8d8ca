//! Rooms that somebody moderates: what people there are sent, of whichever family they are. The host is a session without a socket.

use patchbay::domain::{
    Claim, Command, EndReason, Event, MediaKind, MeetingCommand, MeetingEvent, MeetingState, ParticipantState, Person,
    Refusal, Role, RoomKind, Stay, WithoutHost,
};
use patchbay::hub::{Events, Session};
use patchbay::ids::Features;
use patchbay::shares::ClientAddress;

use super::{Stage, join};

const HOST: Stay = Stay {
    role: Role::Host,
    sees_meeting: true,
    ..STAY
};
const STAY: Stay = Stay {
    publishes: patchbay::domain::PublishRights::ALL,
    until: None,
    visible: true,
    role: Role::Guest,
    without_host: WithoutHost::Enter,
    invited: false,
    sees_meeting: false,
    understands: Features::NONE,
};

/// Somebody without a socket in room "r".
struct Moderator {
    session: Session,
    events: Events,
}

impl Moderator {
    async fn enter(stage: &Stage, user: &str, stay: Stay) -> Moderator {
        let (session, events) = stage.hub.connect(ClientAddress::THIS_MACHINE).await.unwrap();
        join(&session, user, stay).await;
        Moderator { session, events }
    }

    async fn host(stage: &Stage) -> Moderator {
        Moderator::enter(stage, "9", HOST).await
    }

    /// Commands, and lets everything happen that follows from it.
    async fn command(&self, stage: &mut Stage, command: MeetingCommand) -> Result<(), Refusal> {
        let done = self.session.request(Command::Meeting(command)).await;
        stage.hear().await;
        done
    }

    /// What this session was sent about the meeting since the last call.
    fn news(&mut self) -> Vec<MeetingEvent> {
        let events = std::iter::from_fn(|| self.events.try_next());
        let about_meeting = |event| match event {
            Event::Meeting(event) => Some(event),
            _ => None,
        };
        events.filter_map(about_meeting).collect()
    }

    /// The newest state of somebody that this session was sent since the last call.
    fn state_of(&mut self, user: &str) -> Option<ParticipantState> {
        let states = self.news().into_iter().filter_map(|event| match event {
            MeetingEvent::Participant(state) => Some(state),
            _ => None,
        });
        states.filter(|state| state.person.user.as_str() == user).last()
    }
}

fn mute(user: &str, media: MediaKind, muted: bool) -> MeetingCommand {
    MeetingCommand::Mute {
        user: user.into(),
        media,
        muted,
    }
}

fn remove(user: &str) -> MeetingCommand {
    MeetingCommand::Remove { user: user.into() }
}

#[tokio::test(start_paused = true)]
async fn whoever_is_muted_goes_on_as_before_and_the_engine_forwards_none_of_it() {
    let mut stage = Stage::new();
    let mut host = Moderator::host(&stage).await;
    stage
        .play(
            r#"
            anna > {"type":"join","room":"r","userId":1}
            anna < {"type":"existingParticipants","participants":[{"id":9,"userId":9,"name":"9","prefix":"","postfix":"","suffix":""}]}
            ben > {"id":"joinRoom","name":"2","room":"r"}
            anna < {"type":"newParticipantArrived","participant":{"id":2,"userId":2,"name":"2","prefix":"","postfix":"","suffix":""}}
            ben < {"id":"existingParticipants","data":["9","1"]}
            anna > {"type":"receiveVideoFrom","userId":1,"sdpOffer":"@sendonly 1"}
            media open 1 publish
            anna < {"type":"receiveVideoAnswer","userId":1,"sdpAnswer":"*"}
            anna < {"type":"iceCandidate","userId":1,"candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0},"candicate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            anna < {"type":"iceCandidate","userId":1,"candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0},"candicate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            "#,
        )
        .await;
    let commands = [
        mute("1", MediaKind::Audio, true),
        mute("1", MediaKind::Video, true),
        mute("1", MediaKind::Audio, false),
        mute("1", MediaKind::Video, false),
        // Nobody is muted twice.
        MeetingCommand::MuteGuests(false),
    ];
    for command in commands {
        host.command(&mut stage, command).await.unwrap();
    }
    stage
        .play(
            r#"
            media mute sound of 1
            media mute sound and camera of 1
            media mute camera of 1
            media mute nothing of 1
            "#,
        )
        .await;
    host.command(&mut stage, MeetingCommand::MuteGuests(true))
        .await
        .unwrap();
    assert!(host.state_of("1").unwrap().muted);
    stage
        .play(
            r#"
            media mute sound of 1
            anna > {"type":"receiveVideoFrom","userId":1,"sdpOffer":"@sendonly 1 again"}
            media again 1 publish, muted
            anna < {"type":"receiveVideoAnswer","userId":1,"sdpAnswer":"*"}
            anna < {"type":"iceCandidate","userId":1,"candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0},"candicate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            anna < {"type":"iceCandidate","userId":1,"candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0},"candicate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            ben > {"id":"receiveVideoFrom","sender":"2","sdpOffer":"@sendonly 2"}
            media open 2 publish, muted
            ben < {"id":"receiveVideoAnswer","name":"2","sdpAnswer":"*"}
            ben < {"id":"iceCandidate","name":"2","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            ben < {"id":"iceCandidate","name":"2","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            "#,
        )
        .await;
}

/// Ben's client does not know the message.
#[tokio::test(start_paused = true)]
async fn whoever_is_muted_is_sent_that_if_their_client_takes_notices_and_is_still_muted_when_they_come_back() {
    let mut stage = Stage::new();
    let host = Moderator::host(&stage).await;
    stage
        .play(
            r#"
            anna > {"type":"join","room":"r","userId":1,"notices":true}
            anna < {"type":"existingParticipants","participants":[{"id":9,"userId":9,"name":"9","prefix":"","postfix":"","suffix":""}]}
            ben > {"type":"join","room":"r","userId":2}
            anna < {"type":"newParticipantArrived","participant":{"id":2,"userId":2,"name":"2","prefix":"","postfix":"","suffix":""}}
            ben < {"type":"existingParticipants","participants":[{"id":9,"userId":9,"name":"9","prefix":"","postfix":"","suffix":""},{"id":1,"userId":1,"name":"1","prefix":"","postfix":"","suffix":""}]}
            carl > {"id":"joinRoom","name":"3","room":"r","notices":true}
            anna < {"type":"newParticipantArrived","participant":{"id":3,"userId":3,"name":"3","prefix":"","postfix":"","suffix":""}}
            ben < {"type":"newParticipantArrived","participant":{"id":3,"userId":3,"name":"3","prefix":"","postfix":"","suffix":""}}
            carl < {"id":"existingParticipants","data":["9","1","2"]}
            "#,
        )
        .await;
    for user in ["1", "2", "3"] {
        host.command(&mut stage, mute(user, MediaKind::Audio, true))
            .await
            .unwrap();
    }
    for (user, muted) in [("1", true), ("3", true), ("3", false)] {
        let command = mute(user, MediaKind::Video, muted);
        host.command(&mut stage, command).await.unwrap();
    }
    stage
        .play(
            r#"
            anna < {"type":"ownState","role":"guest","mutedByHost":["audio"]}
            carl < {"id":"ownState","role":"guest","mutedByHost":["audio"]}
            anna < {"type":"ownState","role":"guest","mutedByHost":["audio","video"]}
            carl < {"id":"ownState","role":"guest","mutedByHost":["audio","video"]}
            carl < {"id":"ownState","role":"guest","mutedByHost":["audio"]}
            anna > {"type":"leave"}
            ben < {"type":"participantLeft","userId":1}
            carl < {"id":"participantLeft","name":"1"}
            again > {"type":"join","room":"r","userId":1,"notices":true}
            ben < {"type":"newParticipantArrived","participant":{"id":1,"userId":1,"name":"1","prefix":"","postfix":"","suffix":""}}
            carl < {"id":"newParticipantArrived","name":"1"}
            again < {"type":"existingParticipants","participants":[{"id":9,"userId":9,"name":"9","prefix":"","postfix":"","suffix":""},{"id":2,"userId":2,"name":"2","prefix":"","postfix":"","suffix":""},{"id":3,"userId":3,"name":"3","prefix":"","postfix":"","suffix":""}]}
            again < {"type":"ownState","role":"guest","mutedByHost":["audio","video"]}
            again > {"type":"receiveVideoFrom","userId":1,"sdpOffer":"@sendonly 1"}
            media open 1 publish, muted
            again < {"type":"receiveVideoAnswer","userId":1,"sdpAnswer":"*"}
            again < {"type":"iceCandidate","userId":1,"candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0},"candicate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            again < {"type":"iceCandidate","userId":1,"candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0},"candicate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            "#,
        )
        .await;
    let role = MeetingCommand::SetRole {
        user: "3".into(),
        role: Role::Host,
    };
    for command in [mute("1", MediaKind::Audio, false), role] {
        host.command(&mut stage, command).await.unwrap();
    }
    stage
        .play(
            r#"
            media mute camera of 1
            again < {"type":"ownState","role":"guest","mutedByHost":["video"]}
            carl < {"id":"ownState","role":"host","mutedByHost":["audio"]}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn whoever_is_removed_is_closed_and_leaves_the_others() {
    let mut stage = Stage::new();
    let host = Moderator::host(&stage).await;
    stage
        .play(
            r#"
            anna > {"type":"join","room":"r","userId":1}
            anna < {"type":"existingParticipants","participants":[{"id":9,"userId":9,"name":"9","prefix":"","postfix":"","suffix":""}]}
            ben > {"id":"joinRoom","name":"2","room":"r"}
            anna < {"type":"newParticipantArrived","participant":{"id":2,"userId":2,"name":"2","prefix":"","postfix":"","suffix":""}}
            ben < {"id":"existingParticipants","data":["9","1"]}
            "#,
        )
        .await;
    host.command(&mut stage, remove("2")).await.unwrap();
    stage
        .play(
            r#"
            ben x 4411 a host has ended your stay in this room
            anna < {"type":"participantLeft","userId":2}
            "#,
        )
        .await;
    host.command(&mut stage, MeetingCommand::RemoveAll).await.unwrap();
    stage.play("anna x 4411 a host has ended your stay in this room").await;
    let mut events = host.events;
    let last = std::iter::from_fn(|| events.try_next()).last();
    assert_eq!(last, Some(Event::Ended(EndReason::Removed)));
}

#[tokio::test(start_paused = true)]
async fn a_locked_room_refuses_people_of_all_families_until_it_is_open_again() {
    let mut stage = Stage::new();
    let host = Moderator::host(&stage).await;
    stage
        .play(
            r#"
            anna > {"type":"join","room":"r","userId":1}
            anna < {"type":"existingParticipants","participants":[{"id":9,"userId":9,"name":"9","prefix":"","postfix":"","suffix":""}]}
            "#,
        )
        .await;
    host.command(&mut stage, MeetingCommand::Lock(true)).await.unwrap();
    stage
        .play(
            r#"
            ben > {"type":"join","room":"r","userId":2}
            ben < {"type":"permisionDeny","userId":2,"roomId":"r"}
            ben x 4423 the meeting is locked: a host has to let you in
            carl > {"id":"joinRoom","name":"3","room":"r"}
            carl x 4423
            anna > {"type":"join","room":"r","userId":1}
            anna < {"type":"existingParticipants","participants":[{"id":9,"userId":9,"name":"9","prefix":"","postfix":"","suffix":""}]}
            dora > {"type":"join","room":"s","userId":4}
            dora < {"type":"existingParticipants","participants":[]}
            "#,
        )
        .await;
    host.command(&mut stage, MeetingCommand::Lock(false)).await.unwrap();
    stage
        .play(
            r#"
            emil > {"id":"joinRoom","name":"5","room":"r"}
            anna < {"type":"newParticipantArrived","participant":{"id":5,"userId":5,"name":"5","prefix":"","postfix":"","suffix":""}}
            emil < {"id":"existingParticipants","data":["9","1"]}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn somebody_who_waits_is_seen_by_nobody_until_they_are_let_in() {
    let mut stage = Stage::new();
    let waits = Stay {
        without_host: WithoutHost::Wait,
        sees_meeting: true,
        ..STAY
    };
    let mut waiting = Moderator::enter(&stage, "7", waits).await;
    assert_eq!(waiting.news(), [MeetingEvent::Waiting]);
    stage
        .play(
            r#"
            anna > {"type":"join","room":"r","userId":1}
            anna < {"type":"existingParticipants","participants":[]}
            anna > {"type":"sendMessage","message":"hello"}
            anna < {"type":"reciveTextMessage","userId":1,"message":"hello"}
            "#,
        )
        .await;
    assert_eq!(waiting.news(), [], "she is not in the room");
    let mut host = Moderator::host(&stage).await;
    stage.hear().await;
    stage
        .play(
            r#"
            anna < {"type":"newParticipantArrived","participant":{"id":9,"userId":9,"name":"9","prefix":"","postfix":"","suffix":""}}
            anna < {"type":"newParticipantArrived","participant":{"id":7,"userId":7,"name":"7","prefix":"","postfix":"","suffix":""}}
            "#,
        )
        .await;
    let started = MeetingState {
        started: true,
        ..MeetingState::default()
    };
    assert_eq!(waiting.news()[0], MeetingEvent::Changed(started));
    assert!(host.state_of("7").is_some_and(|state| !state.waiting));
}

#[tokio::test(start_paused = true)]
async fn whoever_cannot_wait_is_refused_while_no_host_is_there() {
    let stage = Stage::new();
    let (session, _events) = stage.hub.connect(ClientAddress::THIS_MACHINE).await.unwrap();
    let join = Command::Join {
        turn: session.take_turn(),
        kind: RoomKind::Group,
        room: "r".into(),
        person: Person::unnamed("7".into()),
        claim: Claim::Unproven,
        stay: Stay {
            without_host: WithoutHost::Refuse,
            ..STAY
        },
        connects: false,
    };
    assert_eq!(session.request(join).await, Err(Refusal::HostAbsent));
}

#[tokio::test(start_paused = true)]
async fn people_in_rooms_where_nobody_is_a_host_can_command_nothing() {
    let mut stage = Stage::new();
    let guest = Moderator::enter(&stage, "7", STAY).await;
    for command in [MeetingCommand::Lock(true), MeetingCommand::RemoveAll] {
        assert_eq!(guest.command(&mut stage, command).await, Err(Refusal::NotAllowed));
    }
}
