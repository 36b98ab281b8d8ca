//! Requests of an enterprise SDK's apps: their fields however they are sent, credentials in headers, names in paths, and what a
//! participant asks of a conference.

mod participants;

use patchbay::signaling::conferences::{Fields, credentials, name_in_path};

use super::{Run, Target};

const FIELDS: [&str; 6] = ["account", "pwd", "token", "device_id", "device_type", "display_name"];

pub const CONFERENCES: Target = Target {
    name: "conferences",
    seeds: || {
        let seeds = SEEDS.iter().chain(participants::SEEDS);
        seeds.map(|seed| seed.as_bytes().to_vec()).collect()
    },
    prepare,
};

const SEEDS: &[&str] = &[
    r#"{"account":"test@example.com","pwd":"密码","plat_type":"webrtcios","host":"x","login_url":"https://x/"}"#,
    "account=test%40example.com&pwd=123456",
    "device_id=0a1b__0123456789abcdef0123456789abcdef&device_type=ios",
    r#"{"device_id":"170976fa8a__appkey","device_type":"android","n":1,"b":true,"z":null}"#,
    r#"{"token":"00112233445566778899aabbccddeeff","display_name":"安娜"}"#,
    "x-cloud-basic dGVzdDoxMjM0NTY=",
    "X-Cloud-Basic  dGVzdDoxMjM0NTY==",
    "test%@example.com",
];

fn prepare() -> Run {
    Box::new(|input| {
        let text = String::from_utf8_lossy(input);
        for (body, query) in [(input, ""), (&b""[..], text.as_ref()), (input, "account=a&token=b")] {
            let Ok(fields) = Fields::read(body, query) else {
                continue;
            };
            let texts = FIELDS.iter().filter_map(|name| fields.text(name));
            assert!(
                texts.into_iter().all(|text| !text.is_empty()),
                "an empty text counts as none"
            );
            participants::ask(&fields);
        }
        if let Some(found) = credentials(&text) {
            assert!(!found.user.contains(':'), "the password begins at the first colon");
        }
        let name = name_in_path(&text);
        assert!(name.len() <= text.len() && !name.contains("%40"), "{name}");
        let (command, body) = text.split_once('\n').unwrap_or((&text, ""));
        if let Ok(fields) = Fields::read(body.as_bytes(), "") {
            participants::command(command, &fields);
        }
    })
}
