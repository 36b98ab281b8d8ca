//! The values that each key takes: their type, range and unit. They are checked in the table as it was written, so
//! that an error uses the words of the manual and not those of the program.

use std::net::{IpAddr, SocketAddr};

use toml::{Table, Value};

use super::Config;

/// The largest number that any key takes. Larger ones overflow what is computed from them (bytes, deadlines,
/// semaphores), and make no sense.
const ANY: i64 = 1 << 40;

/// Whole numbers: key, least, most, and the thing that is counted.
const NUMBERS: [(&str, i64, i64, &str); 42] = [
    ("http.hsts_d", 0, 3_650, "days"),
    ("http.max_connections", 1, ANY, "connections"),
    ("http.header_timeout_s", 1, ANY, "seconds"),
    ("http.least_kbps", 1, 10_000_000, "kilobits per second"),
    ("media.first_port", 0, 65_535, "a UDP port, or 0 for any"),
    (
        "media.tcp_port",
        0,
        65_535,
        "a TCP port, or 0 for the number of media.first_port",
    ),
    ("turn.port", 0, 65_535, "a port, or 0 for any"),
    // A month: a page that was left open.
    ("turn.credentials_lifetime_s", 60, 2_592_000, "seconds"),
    ("media.workers", 0, 256, "threads, or 0 for one on each processor"),
    ("media.room_subscriptions_per_worker", 1, ANY, "subscriptions"),
    ("media.max_publish_kbps", 1, 10_000_000, "kilobits per second"),
    // All waiting messages are delivered at once, into a queue of twice as many.
    ("messages.offline_per_user", 1, 500, "messages"),
    ("messages.offline_expire_after_h", 1, ANY, "hours"),
    ("messages.offline_total_mib", 1, ANY, "MiB"),
    ("accounts.rotate_secret_after_d", 1, 36_500, "days"),
    ("accounts.max_devices", 1, ANY, "devices"),
    ("accounts.max_contacts", 1, ANY, "contacts"),
    ("accounts.logins_per_minute", 1, 100_000, "logins"),
    ("accounts.new_accounts_per_hour", 1, 100_000, "accounts"),
    // A year, as for the other tokens.
    ("channels.token_lifetime_s", 60, 31_536_000, "seconds"),
    ("log.max_lines_per_kind", 1, 1_000_000, "lines"),
    ("calls.ring_timeout_s", 1, ANY, "seconds"),
    ("robot.wait_s", 1, ANY, "seconds"),
    ("robot.leave_after_s", 0, ANY, "seconds"),
    ("robot.max_robots", 0, ANY, "robots"),
    ("dapi.message_window_s", 1, 86_400, "seconds"),
    ("dapi.heartbeat_s", 1, 86_400, "seconds"),
    ("dapi.keep_records_d", 1, 36_500, "days"),
    ("dapi.max_records", 1, 100_000_000, "calls"),
    ("dapi.max_tasks", 1, 100_000_000, "scheduled calls"),
    ("dapi.max_push_devices", 1, 100_000_000, "devices"),
    ("limits.max_sessions", 1, ANY, "connections"),
    ("limits.max_rooms", 1, ANY, "rooms"),
    ("limits.max_participants_per_room", 1, ANY, "participants"),
    ("limits.max_viewers_per_room", 0, ANY, "viewers"),
    ("limits.address_share_percent", 1, 100, "percent"),
    // 32 seconds' worth of it is counted in 32 bits.
    ("limits.fan_out_kib_per_s", 1, 100_000, "KiB per second"),
    ("storage.max_connections", 1, 10_000, "connections"),
    ("files.max_size_mib", 1, ANY, "MiB"),
    ("files.total_size_mib", 1, ANY, "MiB"),
    ("files.expire_after_h", 1, ANY, "hours"),
    ("files.max_uploads", 1, ANY, "uploads"),
];

/// Keys with lists of IP addresses; all other lists are texts.
const ADDRESSES: [&str; 3] = [
    "http.trusted_proxies",
    "media.bind_addresses",
    "media.announced_addresses",
];

/// A value that its key does not take.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Misfit {
    /// The keys from the outside in, and numbers of listeners from 0.
    pub place: Vec<String>,
    pub sentence: String,
}

/// The first value of a table that its key does not take. Unknown keys are skipped: another check finds them.
pub(super) fn misfit(table: &Table) -> Option<Misfit> {
    let defaults = Table::try_from(Config::default()).unwrap_or_default();
    in_section(table, &defaults, &[])
}

fn in_section(table: &Table, defaults: &Table, section: &[String]) -> Option<Misfit> {
    table.iter().find_map(|(key, value)| {
        let place = [section, std::slice::from_ref(key)].concat();
        let wanted = defaults.get(key)?;
        match (wanted, value) {
            (Value::Table(defaults), Value::Table(table)) => in_section(table, defaults, &place),
            (Value::Table(_), _) => {
                let sentence = format!("{key} is a section: write [{key}], and its keys below that");
                Some(Misfit { place, sentence })
            }
            _ if section.is_empty() && key == "listeners" => in_listeners(value, place),
            _ => {
                let name = place.join(".");
                let wants = unfit(&name, wanted, value)?;
                let sentence = format!("{name} is {value}; it must be {wants}");
                Some(Misfit { place, sentence })
            }
        }
    })
}

/// The values that the key takes, if this is not one of them.
fn unfit(name: &str, wanted: &Value, value: &Value) -> Option<String> {
    match wanted {
        Value::Integer(_) => number(name, value),
        Value::Boolean(_) => (!value.is_bool()).then(|| "true or false".to_owned()),
        Value::Array(_) => list(name, value),
        _ if name == "log.format" => {
            let known = matches!(value.as_str(), Some("text" | "json"));
            (!known).then(|| "\"text\" or \"json\"".to_owned())
        }
        _ if name == "turn.relay" => {
            let known = matches!(value.as_str(), Some("auto" | "on" | "off"));
            (!known).then(|| "\"auto\", \"on\" or \"off\"".to_owned())
        }
        _ if name == "push.apns.environment" => {
            let known = matches!(value.as_str(), Some("production" | "sandbox"));
            (!known).then(|| "\"production\" or \"sandbox\"".to_owned())
        }
        _ => (!value.is_str()).then(|| "a text, in quotes".to_owned()),
    }
}

fn number(name: &str, value: &Value) -> Option<String> {
    let known = NUMBERS.iter().find(|(key, ..)| *key == name);
    let (_, least, most, unit) = known.copied().unwrap_or(("", 0, ANY, "a whole number"));
    let range = match value.as_integer() {
        Some(number) if (least..=most).contains(&number) => return None,
        Some(number) if most == ANY && number < least => format!("at least {least}"),
        _ if most == ANY => format!("a whole number from {least} on"),
        _ => format!("a whole number from {least} to {most}"),
    };
    Some(format!("{range} ({unit})"))
}

fn list(name: &str, value: &Value) -> Option<String> {
    let are_addresses = ADDRESSES.contains(&name);
    let fits = |item: &Value| {
        let text = item.as_str();
        text.is_some_and(|text| !are_addresses || text.parse::<IpAddr>().is_ok())
    };
    let is_list = value.as_array().is_some_and(|items| items.iter().all(fits));
    let example = match are_addresses {
        true => "a list of IP addresses, as in [\"192.0.2.1\", \"2001:db8::1\"]",
        false => "a list of texts, as in [\"one\", \"two\"]",
    };
    (!is_list).then(|| example.to_owned())
}

fn in_listeners(value: &Value, place: Vec<String>) -> Option<Misfit> {
    let wants = "a list of addresses: write [[listeners]] before each, and below it address = \"127.0.0.1:8443\"";
    let Some(listeners) = value.as_array() else {
        let sentence = format!("listeners is {value}; it must be {wants}");
        return Some(Misfit { place, sentence });
    };
    listeners.iter().enumerate().find_map(|(index, listener)| {
        let at = |keys: &[&str]| {
            let more = keys.iter().map(|key| (*key).to_owned());
            place.iter().cloned().chain([index.to_string()]).chain(more).collect()
        };
        let Some(listener) = listener.as_table() else {
            let (place, sentence) = (at(&[]), format!("listeners has {listener}; it must be {wants}"));
            return Some(Misfit { place, sentence });
        };
        match (listener.get("address"), listener.get("tls")) {
            (None, _) => Some(Misfit {
                place: at(&[]),
                sentence: "a listener has no address; write address = \"127.0.0.1:8443\"".to_owned(),
            }),
            (Some(address), _) if !is_socket_address(address) => Some(Misfit {
                place: at(&["address"]),
                sentence: format!(
                    "a listener's address is {address}; it must be an IP address with a port, as in \"127.0.0.1:8443\" \
                    or \"[::1]:8443\""
                ),
            }),
            (_, Some(tls)) if !tls.is_bool() => Some(Misfit {
                place: at(&["tls"]),
                sentence: format!("a listener's tls is {tls}; it must be true or false"),
            }),
            _ => None,
        }
    })
}

fn is_socket_address(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.parse::<SocketAddr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `section.key` of every whole number of a table.
    fn numbers(table: &Table, section: &str) -> Vec<String> {
        let of = |(key, value): (&String, &Value)| match value {
            Value::Table(table) => numbers(table, &format!("{section}{key}.")),
            Value::Integer(_) => vec![format!("{section}{key}")],
            _ => Vec::new(),
        };
        table.iter().flat_map(of).collect()
    }

    #[test]
    fn every_whole_number_has_its_range_and_unit_and_its_default_is_in_the_range() {
        let defaults = Table::try_from(Config::default()).unwrap();
        let mut keys = numbers(&defaults, "");
        let mut described: Vec<String> = NUMBERS.iter().map(|(key, ..)| (*key).to_owned()).collect();
        keys.sort();
        described.sort();
        assert_eq!(keys, described);
        assert_eq!(misfit(&defaults), None);
    }

    #[test]
    fn the_last_value_of_each_range_is_taken_and_the_next_is_not() {
        for (key, least, most, unit) in NUMBERS {
            let (section, name) = key.split_once('.').unwrap();
            let given = |number: i64| {
                let text = format!("[{section}]\n{name} = {number}");
                misfit(&toml::from_str(&text).unwrap())
            };
            assert_eq!(given(least), None, "{key}");
            assert_eq!(given(most), None, "{key}");
            for beyond in [least - 1, most + 1, i64::MIN, i64::MAX] {
                let found = given(beyond).expect(key);
                assert_eq!(found.place, [section, name]);
                assert!(
                    found.sentence.starts_with(&format!("{key} is {beyond}; it must be ")),
                    "{found:?}"
                );
                assert!(found.sentence.ends_with(&format!("({unit})")), "{found:?}");
            }
        }
    }

    #[test]
    fn a_value_of_another_type_is_named_with_what_its_key_takes() {
        for (text, place, sentence) in [
            (
                "[media]\nfirst_port = \"x\"",
                "media.first_port",
                "media.first_port is \"x\"; it must be a whole number from 0 to 65535 (a UDP port, or 0 for any)",
            ),
            (
                "media = 5",
                "media",
                "media is a section: write [media], and its keys below that",
            ),
            (
                "[storage]\nurl = 5",
                "storage.url",
                "storage.url is 5; it must be a text, in quotes",
            ),
            (
                "[log]\nformat = \"xml\"",
                "log.format",
                "log.format is \"xml\"; it must be \"text\" or \"json\"",
            ),
            (
                "[groupcall]\nparticipants_as_objects = 1",
                "groupcall.participants_as_objects",
                "groupcall.participants_as_objects is 1; it must be true or false",
            ),
            (
                "[http]\nallowed_origins = [1]",
                "http.allowed_origins",
                "http.allowed_origins is [1]; it must be a list of texts, as in [\"one\", \"two\"]",
            ),
            (
                "[media]\nbind_addresses = [\"localhost\"]",
                "media.bind_addresses",
                "media.bind_addresses is [\"localhost\"]; it must be a list of IP addresses, as in [\"192.0.2.1\", \"2001:db8::1\"]",
            ),
            (
                "[[listeners]]\naddress = \"localhost:1\"",
                "listeners.0.address",
                "a listener's address is \"localhost:1\"; it must be an IP address with a port, as in \"127.0.0.1:8443\" or \"[::1]:8443\"",
            ),
            (
                "[[listeners]]\naddress = \"127.0.0.1:1\"\n[[listeners]]\ntls = false",
                "listeners.1",
                "a listener has no address; write address = \"127.0.0.1:8443\"",
            ),
            (
                "[[listeners]]\naddress = \"127.0.0.1:1\"\ntls = \"yes\"",
                "listeners.0.tls",
                "a listener's tls is \"yes\"; it must be true or false",
            ),
        ] {
            let found = misfit(&toml::from_str(text).unwrap()).expect(text);
            assert_eq!(
                (found.place.join(".").as_str(), found.sentence.as_str()),
                (place, sentence)
            );
        }
    }
}
