//! Scenarios: a configuration is put together.

use std::io::Write;

use super::super::{Config, Listener, MANUAL};
use super::*;

/// The manual with its keys in force: a "#" directly before a key or a list header is removed.
fn uncommented_manual() -> String {
    let key_line = |line: &str| {
        line.strip_prefix('#')
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '['))
    };
    let lines = MANUAL
        .lines()
        .map(|line| if key_line(line) { &line[1..] } else { line });
    lines.collect::<Vec<_>>().join("\n")
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn variables(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

fn load_text(text: &str) -> Result<Config, ConfigError> {
    load(Some(file(text).path()), [], &[])
}

fn error_of(result: Result<Config, ConfigError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn the_manual_has_every_key_and_its_true_default() {
    let manual: Table = toml::from_str(&uncommented_manual()).unwrap();
    let defaults = Table::try_from(Config::default()).unwrap();
    assert_eq!(manual, defaults);
}

#[test]
fn the_manual_as_it_stands_changes_nothing() {
    assert_eq!(load_text(MANUAL).unwrap(), Config::default());
}

#[test]
fn an_unknown_key_is_refused_with_its_name_and_line() {
    let text = "[media]\nfirst_port = 9000\n\nfrist_port = 9001\n";
    let message = error_of(load_text(text));
    assert!(message.contains("line 4"), "{message}");
    assert!(message.contains("unknown key `frist_port`"), "{message}");
}

#[test]
fn an_unknown_section_and_a_key_of_an_unknown_listener_are_refused_too() {
    assert!(error_of(load_text("\n[medai]\n")).contains("line 2: unknown key `medai`"));
    let text = "[[listeners]]\naddress = \"127.0.0.1:1\"\ntsl = true\n";
    assert!(error_of(load_text(text)).contains("line 3: unknown key `tsl`"));
}

#[test]
fn a_value_of_the_wrong_type_is_refused_with_its_line() {
    let message = error_of(load_text("[media]\n\nfirst_port = 70000\n"));
    assert!(message.contains("line 3"), "{message}");
}

#[test]
fn origins_of_files_and_of_apps_and_host_names_can_be_listed() {
    let text = "[http]\nallowed_origins = [\"null\", \"file://\", \"capacitor://localhost\", \"*\"]\n\
        allowed_hosts = [\"calls.example.org\", \"*.example.org\", \"*\"]\ntrusted_sites = [\"https://app.example\", \"*\"]";
    assert_eq!(load_text(text).unwrap().http.allowed_origins.len(), 4);
}

#[test]
fn text_that_is_not_toml_is_refused_with_its_line() {
    assert!(error_of(load_text("[media]\nfirst_port 9\n")).contains("line 2"));
}

#[test]
fn the_environment_wins_over_the_file_and_flags_win_over_both() {
    let file = file("[media]\nfirst_port = 1\nworkers = 1\nmax_publish_kbps = 1\n");
    let environment = variables(&[
        ("PATCHBAY_MEDIA__WORKERS", "2"),
        ("PATCHBAY_MEDIA__MAX_PUBLISH_KBPS", "2"),
    ]);
    let flags = ["media.max_publish_kbps=3".to_owned()];
    let media = load(Some(file.path()), environment, &flags).unwrap().media;
    assert_eq!((media.first_port, media.workers, media.max_publish_kbps), (1, 2, 3));
}

#[test]
fn variables_take_numbers_texts_that_look_like_numbers_and_lists() {
    let environment = variables(&[
        ("PATCHBAY_HTTP__ALLOWED_ORIGINS", "https://a.example, https://b.example"),
        ("PATCHBAY_MEDIA__ANNOUNCED_ADDRESSES", "203.0.113.5"),
        ("PATCHBAY_STORAGE__URL", "postgres://u:p@h/d"),
        ("PATCHBAY_LOG__FILTER", "debug"),
        (
            "PATCHBAY_LISTENERS",
            "[{address = \"0.0.0.0:80\", tls = false}, {address = \"0.0.0.0:443\"}]",
        ),
        ("PATCHBAY_TLS__DIRECTORY", "1"),
    ]);
    let config = load(Some(file("").path()), environment, &[]).unwrap();
    assert_eq!(config.http.allowed_origins, ["https://a.example", "https://b.example"]);
    assert_eq!(
        config.media.announced_addresses,
        ["203.0.113.5".parse::<std::net::IpAddr>().unwrap()]
    );
    assert_eq!(config.storage.url, "postgres://u:p@h/d");
    assert_eq!(config.tls.directory, Path::new("1"));
    let expected = [("0.0.0.0:80", false), ("0.0.0.0:443", true)].map(|(address, tls)| Listener {
        address: address.parse().unwrap(),
        tls,
    });
    assert_eq!(config.listeners, expected);
}

#[test]
fn an_unknown_variable_is_refused_by_name() {
    let environment = variables(&[("PATCHBAY_MEDIA__FRIST_PORT", "1")]);
    let message = error_of(load(Some(file("").path()), environment, &[]));
    assert!(message.contains("PATCHBAY_MEDIA__FRIST_PORT"), "{message}");
    assert!(message.contains("unknown key `frist_port`"), "{message}");
}

#[test]
fn variables_of_the_test_suite_and_of_other_programs_are_left_alone() {
    let environment = variables(&[("PATCHBAY_TEST_POSTGRES_URL", "x"), ("HOME", "/"), ("PATCHBAYX", "1")]);
    assert_eq!(
        load(Some(file("").path()), environment, &[]).unwrap(),
        Config::default()
    );
}

#[test]
fn a_flag_that_is_unknown_or_has_no_value_is_refused_by_name() {
    let load_flag = |flag: &str| error_of(load(Some(file("").path()), [], &[flag.to_owned()]));
    assert!(load_flag("media.frist_port=1").contains("media.frist_port=1: unknown key `frist_port`"));
    assert!(load_flag("media.first_port").contains("section.key=value"));
}

#[test]
fn a_file_that_was_asked_for_must_exist() {
    let message = error_of(load(Some(Path::new("/nonexistent/p.toml")), [], &[]));
    assert!(message.contains("/nonexistent/p.toml"), "{message}");
}

#[test]
fn the_certificate_of_the_app_is_shown_in_no_log_and_no_error() {
    let id = "970CA35de60c44645bbae8a215061b33";
    let secret = "5CFd2fd1755d40ecb72977518be15d3b";
    let given = |id: &str, secret: &str| {
        let text = format!("[channels]\napp_id = \"{id}\"\napp_certificate = \"{secret}\"");
        load_text(&text)
    };
    let config = given(id, secret).unwrap();
    assert_eq!(config.channels.app().unwrap().certificate(), secret);
    assert!(!format!("{config:?}").contains(secret));
    let message = error_of(given(id, &secret[1..]));
    assert!(!message.contains(&secret[1..]), "{message}");
}

#[test]
fn the_key_of_the_call_api_is_shown_in_no_log() {
    let config = load_text("[dapi]\nkey = \"geheim\"").unwrap();
    assert_eq!(config.dapi.key, "geheim");
    assert!(!format!("{config:?}").contains("geheim"));
}

#[test]
fn push_services_want_all_their_keys_in_their_form() {
    for (text, named) in [
        ("[push.apns]\nkey_file = \"a\"", "push.apns.key_id is needed"),
        ("[push.apns]\nteam_id = \"a\"", "push.apns.team_id is given without"),
        (
            "[push.apns]\nkey_file = \"a\"\nkey_id = \"a\"\nteam_id = \"a\"\ntopic = \"a/b\"",
            "push.apns.topic",
        ),
        (
            "[push.apns]\nkey_file = \"a\"\nkey_id = \"a\"\nteam_id = \"a\"\ntopic = \"a.voip\"",
            "push.apns.topic",
        ),
        ("[push.apns]\nenvironment = \"test\"", "push.apns.environment"),
        ("[push.jpush]\napp_key = \"a\"", "push.jpush.secret_file"),
        ("[push.jpush]\nsecret_file = \"a\"", "push.jpush.app_key"),
        (
            "[push.jpush]\napp_key = \"a:b\"\nsecret_file = \"a\"",
            "push.jpush.app_key",
        ),
    ] {
        let message = error_of(load_text(text));
        assert!(message.contains(named), "{text}: {message}");
    }
}

#[test]
fn values_that_make_no_sense_are_refused_by_key() {
    for (text, named) in [
        ("listeners = []", "listeners"),
        (
            "listeners = [{address=\"127.0.0.1:5\"},{address=\"127.0.0.1:5\"}]",
            "127.0.0.1:5",
        ),
        ("[tls]\ncertificate = \"a\"", "tls.key"),
        ("[tls]\nkey = \"a\"", "tls.certificate"),
        ("[http]\nallowed_origins = [\"https://a/b\"]", "http.allowed_origins"),
        ("[http]\nallowed_hosts = [\"https://a\"]", "http.allowed_hosts"),
        ("[http]\nallowed_hosts = [\"a.*\"]", "http.allowed_hosts"),
        ("[http]\ntrusted_sites = [\"null\"]", "http.trusted_sites"),
        (
            "listeners = [{address=\"127.0.0.1:5\"}]\n[metrics]\naddress = \"127.0.0.1:5\"",
            "metrics.address",
        ),
        (
            "[http]\nframe_ancestors = [\"a; script-src *\"]",
            "http.frame_ancestors",
        ),
        ("[media]\nfirst_port = 65535\nworkers = 2", "media.first_port"),
        ("[media]\npin_workers = \"on\"", "media.pin_workers: `on`"),
        (
            "[media]\nworkers = 2\npin_workers = \"0\"",
            "1 processors are named for 2 workers",
        ),
        (
            "[media]\nroom_subscriptions_per_worker = 0",
            "media.room_subscriptions_per_worker",
        ),
        (
            "[media]\nannounced_addresses = [\"0.0.0.0\"]",
            "media.announced_addresses",
        ),
        (
            "[channels]\napp_id = \"970CA35de60c44645bbae8a215061b33\"",
            "channels.app_certificate",
        ),
        (
            "[channels]\napp_certificate = \"5CFd2fd1755d40ecb72977518be15d3b\"",
            "channels.app_id",
        ),
        (
            "[channels]\napp_id = \"970CA35de60c44645bbae8a215061b33\"\napp_certificate = \"secret\"",
            "32 hexadecimal digits",
        ),
        ("[dapi]\ntime_zone = \"Mars\"", "dapi.time_zone"),
        ("[dapi]\nkey = \"a b\"", "dapi.key"),
        ("[dapi]\nheartbeat_s = 0", "dapi.heartbeat_s"),
        ("[files]\nmax_size_mib = 0", "files.max_size_mib"),
        ("[files]\nmax_size_mib = 9223372036854775807", "files.max_size_mib"),
        ("[files]\nallowed_types = [\"png\"]", "files.allowed_types"),
        ("[messages]\noffline_per_user = 501", "messages.offline_per_user"),
        ("[messages]\noffline_total_mib = 0", "messages.offline_total_mib"),
        ("[robot]\nname = \" \"", "robot.name"),
        ("[robot]\nwait_s = 0", "robot.wait_s"),
        ("[metrics]\naddress = \"9100\"", "metrics.address"),
        ("[log]\nfilter = \"a=b=c\"", "log.filter"),
        ("[groupcall]\ntext_message_types = []", "groupcall.text_message_types"),
    ] {
        let message = error_of(load_text(text));
        assert!(message.contains(named), "{text}: {message}");
    }
}

#[test]
fn a_public_address_is_asked_of_servers_that_can_be_asked() {
    for (text, named) in [
        ("[media]\npublic_address = \"on\"", "media.public_address is \"on\""),
        (
            "[media]\npublic_address = \"auto\"\nannounced_addresses = [\"203.0.113.7\"]",
            "give one of them",
        ),
        (
            "[media]\npublic_address = \"auto\"\nstun_servers = []",
            "media.stun_servers",
        ),
        (
            "[media]\npublic_address = \"auto\"\nstun_servers = [\"stun.example.com\"]",
            "write host:port",
        ),
    ] {
        let message = error_of(load_text(text));
        assert!(message.contains(named), "{text}: {message}");
    }
}
