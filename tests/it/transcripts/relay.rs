//! The relay (TURN), as clients of each family are told of it.

use patchbay::turn::announced::{AnnouncedRelay, Places};
use patchbay::turn::credentials::Secret;

use super::{NOW_S, Stage};

const URL: &str = "turn:turn.example.org?transport=udp";

#[tokio::test(start_paused = true)]
async fn those_who_take_notices_are_sent_the_relay_with_credentials_of_their_own_before_the_others() {
    let mut stage = Stage::new();
    let secret = Secret::new(b"s");
    let until_s = NOW_S as u64 + 100;
    let servers = |who: &str| {
        let credentials = secret.issue(until_s, who);
        let (username, credential) = (credentials.username, credentials.password);
        format!(r#""iceServers":[{{"urls":["{URL}"],"username":"{username}","credential":"{credential}"}}]"#)
    };
    let places = Places::Elsewhere(vec![URL.to_owned()]);
    stage.announce(AnnouncedRelay::new(places, secret.clone(), 100));
    let (anna, ben, cleo) = (servers("anna"), servers("ben"), servers("cleo@call"));
    let lines = [
        r#"anna > {"type":"join","userId":1,"notices":true}"#.to_owned(),
        format!(r#"anna < {{"type":"iceServers",{anna}}}"#),
        r#"anna < {"type":"existingParticipants","participants":[]}"#.to_owned(),
        r#"ben > {"id":"joinRoom","name":"2","room":"b","notices":true}"#.to_owned(),
        format!(r#"ben < {{"id":"iceServers",{ben}}}"#),
        r#"ben < {"id":"existingParticipants","data":[]}"#.to_owned(),
        // Clients that know only their document are sent nothing else.
        r#"dora > {"type":"join","userId":4,"room":"d"}"#.to_owned(),
        r#"dora < {"type":"existingParticipants","participants":[]}"#.to_owned(),
        r#"eve > {"id":"joinRoom","name":"5","room":"e"}"#.to_owned(),
        r#"eve < {"id":"existingParticipants","data":[]}"#.to_owned(),
        r#"cleo@call > {"id":"register","name":"cleo","notices":true}"#.to_owned(),
        r#"cleo@call < {"id":"registerResponse","response":"accepted","userId":"cleo"}"#.to_owned(),
        format!(r#"cleo@call < {{"id":"iceServers",{cleo}}}"#),
    ];
    stage.play(&lines.join("\n")).await;
}
