//! What a participant of a conference asks: to enter, to call, to say something, to be connected, and commands. Whatever is read of it
//! is as short as the rules and the others may take.

use patchbay::domain::{Command, MeetingCommand};
use patchbay::ids::UserId;
use patchbay::signaling::conferences::Fields;
use patchbay::signaling::conferences::meeting::{
    CommandFields, Dialing, Entering, Requested, about_conference, about_participant, call_step, chat_text, details,
    invitation, is_local_status, local_status, main_connection, offered, own_name,
};

const NAME_CHARACTERS: usize = 128;
const PIN_CHARACTERS: usize = 256;
const DETAIL_CHARACTERS: usize = 256;
const TEXT_CHARACTERS: usize = 16 * 1024;
const PICTURES_MAX: u8 = 16;

/// The one whom commands are about.
const USER: &str = "ben";

/// Fields of requests; and commands, each with its fields in the next line.
pub const SEEDS: &[&str] = &[
    r#"{"display_name":"安娜","hideme":"yes","account":"anna","checkdup":"x","registration_token":"00112233445566778899aabbccddeeff","token":"00112233445566778899aabbccddeeff","owner":"calls.example.org","bsskey":"key","expected_width":640}"#,
    r#"{"call_type":"WEBRTC","sdp":"v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=sendrecv\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\n","multistream":true,"simulcast":true,"clayout":"1:4","present":"main"}"#,
    "sdp=v%3D0%0D%0A&present=send&multistream=1&clayout=1%3A15",
    r#"{"type":"text/plain","payload":"你好"}"#,
    r#"{"destination":"ben@calls.example.org","role":"chair","protocol":"auto","streaming":false}"#,
    "lock\n{}",
    "start_service\n",
    "muteguests\n",
    "role\nrole=chair",
    "transfer\n{\"role\":\"guest\",\"conference_alias\":\"other\",\"pin\":\"123456\"}",
    "changeLocalStatus\n{\"local_audio\":true,\"local_camera\":false,\"ismute\":\"no\"}",
    "spotlighton\n",
    "hard_vmute\n",
    "clayout\nclayout=1:4",
    "update\nsdp=v=0",
];

/// Reads fields as each request does that a participant may send.
pub fn ask(fields: &Fields) {
    let entering = Entering::read(fields);
    if let Some(name) = own_name(&entering) {
        assert!(!name.trim().is_empty() && holds(&name, NAME_CHARACTERS), "{name:?}");
        assert!(!name.contains(char::is_control), "{name:?}");
    }
    for is_known in [false, true] {
        let details = details(&entering, is_known);
        assert!(holds(&details.bss_key, DETAIL_CHARACTERS));
        assert!(details.owner.is_none_or(|owner| holds(&owner, DETAIL_CHARACTERS)));
        assert!(
            !is_known || details.caller_name.is_none(),
            "a user has the name that is recorded"
        );
    }
    if let Some(offered) = offered(fields) {
        assert!((1..=PICTURES_MAX).contains(&offered.pictures), "{}", offered.pictures);
        let connection = main_connection(offered.pictures);
        assert_eq!(connection.picture_slots, offered.pictures);
    }
    match chat_text(fields) {
        None => {}
        Some(Command::SendText { text }) => assert!(!text.is_empty() && holds(&text, TEXT_CHARACTERS)),
        Some(other) => panic!("no text: {other:?}"),
    }
    if let Some(dialing) = Dialing::read(fields) {
        assert!(!dialing.destination.is_empty() && holds(&dialing.destination, DETAIL_CHARACTERS));
        invitation(&dialing, "Anna".to_owned());
    }
}

/// Reads a command with its fields.
pub fn command(name: &str, fields: &Fields) {
    let about_them = about_participant(name, USER.into(), CommandFields::read(fields));
    let about_all = about_conference(name);
    for requested in [&about_them, &about_all] {
        if let Ok(Requested::Meeting(command)) = requested {
            assert!(!is_local_status(name), "{name} is asked for in another way");
            check(command);
        }
    }
    if let Ok(Requested::Meeting(command)) = about_them {
        assert_eq!(whom(&command), Some(&USER.into()), "{command:?}");
    }
    if let Ok(Requested::Meeting(command)) = about_all {
        assert_eq!(whom(&command), None, "{command:?}");
    }
    let status = local_status(&CommandFields::read(fields));
    assert!(matches!(status, MeetingCommand::Report { .. }), "{status:?}");
    if call_step(name).is_ok() {
        assert!(["ack", "clayout", "update", "disconnect"].contains(&name), "{name}");
    }
}

fn check(command: &MeetingCommand) {
    if let MeetingCommand::Refer { to, .. } = command {
        assert!(!to.alias.is_empty() && holds(&to.alias, NAME_CHARACTERS), "{to:?}");
        assert!(to.pin.as_ref().is_none_or(|pin| holds(&pin.0, PIN_CHARACTERS)));
    }
}

fn whom(command: &MeetingCommand) -> Option<&UserId> {
    match command {
        MeetingCommand::Mute { user, .. }
        | MeetingCommand::Spotlight { user, .. }
        | MeetingCommand::Admit { user }
        | MeetingCommand::Remove { user }
        | MeetingCommand::SetRole { user, .. }
        | MeetingCommand::Refer { user, .. } => Some(user),
        MeetingCommand::Lock(_)
        | MeetingCommand::MuteGuests(_)
        | MeetingCommand::Start
        | MeetingCommand::RemoveAll
        | MeetingCommand::Report { .. } => None,
    }
}

fn holds(text: &str, characters: usize) -> bool {
    text.chars().count() <= characters
}
