//! Conferences: who enters by which PIN, how records change, and how guesses are slowed down.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use patchbay::domain::{Person, Role};
use patchbay::ids::UserId;
use patchbay::shares::ClientAddress;
use patchbay::storage::{
    AdmitError, Admitted, ConferenceChange, ConferenceRecord, Entry, Guests, NewConference, NewGuests, NoEntry,
    RecordError, Records, RoomAdmission, ShownPin,
};

use super::{Place, admission, on_both, room, user};

on_both!(
    each_pin_gives_its_role_and_others_none,
    guests_without_a_pin_say_that_they_are_guests,
    without_a_pin_for_hosts_everybody_is_a_host,
    an_alias_may_have_a_domain_and_the_whole_name_goes_first,
    records_are_changed_field_by_field_and_listed_by_alias_without_pins,
    changed_pins_count_at_once,
    what_contradicts_itself_is_not_recorded,
    a_room_and_a_conference_do_not_have_one_name,
    the_room_of_a_conference_is_entered_with_its_pins_in_every_family,
    strangers_enter_the_room_of_a_conference_as_they_enter_the_conference,
    ten_wrong_pins_a_minute_are_answered_and_others_enter_all_the_same,
    hostile_aliases_and_pins_are_just_wrong,
    a_failure_of_storage_is_no_refusal,
);

const HOST: &str = "4711";
const GUEST: &str = "0815";

fn new(alias: &str, guests: NewGuests) -> NewConference {
    NewConference {
        alias: room(alias),
        name: "Board 董事会".to_owned(),
        host_pin: Some(HOST.to_owned()),
        guests,
        waits_for_host: false,
    }
}

fn with_guest_pin() -> NewGuests {
    NewGuests::WithPin(GUEST.to_owned())
}

async fn enter(records: &Records, alias: &str, shown: ShownPin<'_>) -> Result<Entry, NoEntry> {
    let here = IpAddr::from(Ipv4Addr::LOCALHOST).into();
    let clock = Arc::new(tokio::time::Instant::now) as patchbay::clock::MonotonicClock;
    records.enter_conference(alias, shown, here, &clock).await
}

/// The role in a conference, or in short why nobody enters.
async fn role(records: &Records, alias: &str, shown: ShownPin<'_>) -> Result<Role, &'static str> {
    match enter(records, alias, shown).await {
        Ok(entry) => Ok(entry.role),
        Err(NoEntry::Unknown) => Err("unknown"),
        Err(NoEntry::PinRequired {
            guest_pin_required: true,
        }) => Err("all need a PIN"),
        Err(NoEntry::PinRequired {
            guest_pin_required: false,
        }) => Err("hosts need a PIN"),
        Err(NoEntry::WrongPin) => Err("wrong"),
        Err(other) => panic!("{other:?}"),
    }
}

async fn each_pin_gives_its_role_and_others_none(place: &Place) {
    let records = place.open().await;
    records.add_conference(new("board", with_guest_pin())).await.unwrap();
    records.add_conference(new("hosts", NewGuests::Nobody)).await.unwrap();
    // Twice: the second time the right PINs are remembered.
    for _ in 0..2 {
        for (shown, in_board, in_hosts) in [
            (ShownPin::Pin(HOST), Ok(Role::Host), Ok(Role::Host)),
            (ShownPin::Pin(GUEST), Ok(Role::Guest), Err("wrong")),
            (ShownPin::Pin("0816"), Err("wrong"), Err("wrong")),
            (ShownPin::Pin("x"), Err("wrong"), Err("wrong")),
            (ShownPin::Nothing, Err("all need a PIN"), Err("all need a PIN")),
            (ShownPin::AsGuest, Err("all need a PIN"), Err("all need a PIN")),
        ] {
            assert_eq!(role(&records, "board", shown).await, in_board);
            assert_eq!(role(&records, "hosts", shown).await, in_hosts);
        }
    }
    let entry = enter(&records, "board", ShownPin::Pin(GUEST)).await.unwrap();
    let expected = ConferenceRecord {
        alias: room("board"),
        name: "Board 董事会".to_owned(),
        has_host_pin: true,
        guests: Guests::WithPin,
        waits_for_host: false,
    };
    assert_eq!(entry.conference, expected);
    assert_eq!(role(&records, "nowhere", ShownPin::Pin(HOST)).await, Err("unknown"));
}

async fn guests_without_a_pin_say_that_they_are_guests(place: &Place) {
    let records = place.open().await;
    records.add_conference(new("open", NewGuests::Anybody)).await.unwrap();
    assert_eq!(role(&records, "open", ShownPin::Nothing).await, Err("hosts need a PIN"));
    assert_eq!(role(&records, "open", ShownPin::AsGuest).await, Ok(Role::Guest));
    assert_eq!(role(&records, "open", ShownPin::Pin(HOST)).await, Ok(Role::Host));
    assert_eq!(role(&records, "open", ShownPin::Pin("0000")).await, Err("wrong"));
}

async fn without_a_pin_for_hosts_everybody_is_a_host(place: &Place) {
    let records = place.open().await;
    let free = NewConference {
        host_pin: None,
        ..new("free", NewGuests::Nobody)
    };
    records.add_conference(free).await.unwrap();
    for shown in [ShownPin::Nothing, ShownPin::AsGuest, ShownPin::Pin("1234")] {
        assert_eq!(role(&records, "free", shown).await, Ok(Role::Host));
    }
}

async fn an_alias_may_have_a_domain_and_the_whole_name_goes_first(place: &Place) {
    let records = place.open().await;
    records.add_conference(new("board", NewGuests::Nobody)).await.unwrap();
    let whole = new("board@example.org", NewGuests::Anybody);
    records.add_conference(whole).await.unwrap();
    let alias = async |written: &str| {
        let entry = enter(&records, written, ShownPin::Pin(HOST)).await.ok()?;
        Some(entry.conference.alias.to_string())
    };
    assert_eq!(alias("board@127.0.0.1").await.as_deref(), Some("board"));
    assert_eq!(alias("board").await.as_deref(), Some("board"));
    assert_eq!(alias("board@example.org").await.as_deref(), Some("board@example.org"));
    assert_eq!(alias("other@board").await, None);
}

async fn records_are_changed_field_by_field_and_listed_by_alias_without_pins(place: &Place) {
    let records = place.open().await;
    for alias in ["b", "a", "c"] {
        records.add_conference(new(alias, with_guest_pin())).await.unwrap();
    }
    let change = ConferenceChange {
        name: Some("Other".to_owned()),
        waits_for_host: Some(true),
        ..ConferenceChange::default()
    };
    records.set_conference(&room("b"), change).await.unwrap();
    records.remove_conference(&room("c")).await.unwrap();
    let expected = |alias: &str, name: &str, waits_for_host| ConferenceRecord {
        alias: room(alias),
        name: name.to_owned(),
        has_host_pin: true,
        guests: Guests::WithPin,
        waits_for_host,
    };
    let conferences = records.conferences().await.unwrap();
    assert_eq!(
        conferences,
        [expected("a", "Board 董事会", false), expected("b", "Other", true)]
    );
    assert!(!format!("{conferences:?}").contains("argon2"));
    assert_eq!(role(&records, "b", ShownPin::Pin(HOST)).await, Ok(Role::Host));
    assert_eq!(role(&records, "b", ShownPin::Pin(GUEST)).await, Ok(Role::Guest));

    let again = records.add_conference(new("a", NewGuests::Nobody)).await;
    assert!(matches!(again, Err(RecordError::Exists { .. })), "{again:?}");
    for missing in [
        records.set_conference(&room("c"), ConferenceChange::default()).await,
        records.remove_conference(&room("c")).await,
    ] {
        assert!(matches!(missing, Err(RecordError::Missing { .. })), "{missing:?}");
    }
}

async fn changed_pins_count_at_once(place: &Place) {
    let records = place.open().await;
    records.add_conference(new("board", with_guest_pin())).await.unwrap();
    assert_eq!(role(&records, "board", ShownPin::Pin(HOST)).await, Ok(Role::Host));
    // As the command line does: in another process, while this one has remembered the old PIN.
    let other = place.open().await;
    let change = |host_pin, guests| ConferenceChange {
        host_pin,
        guests,
        ..ConferenceChange::default()
    };
    let set = async |change| other.set_conference(&room("board"), change).await.unwrap();
    set(change(Some(Some("9999".to_owned())), None)).await;
    assert_eq!(role(&records, "board", ShownPin::Pin(HOST)).await, Err("wrong"));
    assert_eq!(role(&records, "board", ShownPin::Pin("9999")).await, Ok(Role::Host));
    assert_eq!(role(&records, "board", ShownPin::Pin(GUEST)).await, Ok(Role::Guest));
    set(change(None, Some(NewGuests::WithPin("1111".to_owned())))).await;
    assert_eq!(role(&records, "board", ShownPin::Pin(GUEST)).await, Err("wrong"));
    assert_eq!(role(&records, "board", ShownPin::Pin("1111")).await, Ok(Role::Guest));
    set(change(None, Some(NewGuests::Anybody))).await;
    assert_eq!(role(&records, "board", ShownPin::AsGuest).await, Ok(Role::Guest));
    assert_eq!(role(&records, "board", ShownPin::Pin("1111")).await, Err("wrong"));
    set(change(Some(None), Some(NewGuests::Nobody))).await;
    assert_eq!(role(&records, "board", ShownPin::Nothing).await, Ok(Role::Host));
}

async fn what_contradicts_itself_is_not_recorded(place: &Place) {
    let records = place.open().await;
    let pin = |text: &str| Some(text.to_owned());
    let guest = |text: &str| NewGuests::WithPin(text.to_owned());
    let add = async |host_pin, guests| {
        let new = NewConference {
            host_pin,
            ..new("x", guests)
        };
        records.add_conference(new).await.unwrap_err()
    };
    for wrong in ["", "123", "12 34", "123456789012345678901", "none", "１２３４"] {
        let error = add(pin(wrong), NewGuests::Nobody).await;
        assert!(matches!(error, RecordError::BadPin { .. }), "{wrong}: {error:?}");
        let error = add(pin(HOST), guest(wrong)).await;
        assert!(matches!(error, RecordError::BadPin { .. }), "{wrong}: {error:?}");
    }
    assert!(matches!(add(pin(HOST), guest(HOST)).await, RecordError::SamePins));
    assert!(matches!(add(None, guest(GUEST)).await, RecordError::GuestsWithoutHosts));
    assert!(matches!(
        add(None, NewGuests::Anybody).await,
        RecordError::GuestsWithoutHosts
    ));
    for alias in ["", "a\nb", "nul\0", &"x".repeat(129)] {
        let added = records.add_conference(new(alias, NewGuests::Nobody)).await;
        assert!(matches!(added, Err(RecordError::BadId { .. })), "{alias:?}: {added:?}");
    }
    let channel = records.add_conference(new("ch_4aY875LP4o", NewGuests::Nobody)).await;
    assert!(matches!(channel, Err(RecordError::IsChannel)), "{channel:?}");
    let long = NewConference {
        name: "n".repeat(257),
        ..new("x", NewGuests::Nobody)
    };
    let long = records.add_conference(long).await;
    assert!(matches!(long, Err(RecordError::BadText { .. })), "{long:?}");
    assert_eq!(records.conferences().await.unwrap(), []);

    records.add_conference(new("x", with_guest_pin())).await.unwrap();
    let set = async |host_pin, guests| {
        let change = ConferenceChange {
            host_pin,
            guests,
            ..ConferenceChange::default()
        };
        records.set_conference(&room("x"), change).await.unwrap_err()
    };
    assert!(matches!(set(Some(pin(GUEST)), None).await, RecordError::SamePins));
    assert!(matches!(set(None, Some(guest(HOST))).await, RecordError::SamePins));
    assert!(matches!(
        set(Some(pin("1111")), Some(guest("1111"))).await,
        RecordError::SamePins
    ));
    assert!(matches!(set(Some(None), None).await, RecordError::GuestsWithoutHosts));
    assert!(matches!(set(Some(pin("x")), None).await, RecordError::BadPin { .. }));
    assert_eq!(
        role(&records, "x", ShownPin::Pin(HOST)).await,
        Ok(Role::Host),
        "nothing has changed"
    );
    assert_eq!(role(&records, "x", ShownPin::Pin(GUEST)).await, Ok(Role::Guest));
}

async fn a_room_and_a_conference_do_not_have_one_name(place: &Place) {
    let records = place.open().await;
    records.add_room(&room("lounge"), None).await.unwrap();
    let added = records.add_conference(new("lounge", NewGuests::Nobody)).await;
    assert!(matches!(added, Err(RecordError::IsRoom(_))), "{added:?}");
    records.add_conference(new("board", NewGuests::Nobody)).await.unwrap();
    let added = records.add_room(&room("board"), Some("secret")).await;
    assert!(matches!(added, Err(RecordError::IsConference(_))), "{added:?}");
}

/// As whom somebody enters the room, or why they do not. The second value: whether they need a host there.
async fn admitted(admission: &RoomAdmission, alias: &str, password: Option<&str>) -> Result<(Role, bool), AdmitError> {
    let admitted = admission.admit(&user("1"), &room(alias), password).await?;
    Ok((admitted.role, admitted.needs_host))
}

async fn the_room_of_a_conference_is_entered_with_its_pins_in_every_family(place: &Place) {
    let records = place.open().await;
    let waits = NewConference {
        waits_for_host: true,
        ..new("board", with_guest_pin())
    };
    records.add_conference(waits).await.unwrap();
    records.add_conference(new("open", NewGuests::Anybody)).await.unwrap();
    let here = admission(&records);
    for password in [None, Some(""), Some("0816"), Some("none"), Some("x")] {
        let refused = admitted(&here, "board", password).await;
        assert!(
            matches!(refused, Err(AdmitError::WrongPassword)),
            "{password:?}: {refused:?}"
        );
    }
    let enters = async |alias: &str, password| admitted(&here, alias, password).await.unwrap();
    assert_eq!(enters("board", Some(GUEST)).await, (Role::Guest, true));
    assert_eq!(enters("board", Some(HOST)).await, (Role::Host, false));
    assert_eq!(enters("open", None).await, (Role::Guest, false));
    assert_eq!(enters("open", Some(HOST)).await, (Role::Host, false));
    assert_eq!(
        enters("board@x", None).await,
        (Role::Guest, false),
        "that is another room"
    );
    records.remove_conference(&room("board")).await.unwrap();
    assert_eq!(enters("board", None).await, (Role::Guest, false));
}

async fn strangers_enter_the_room_of_a_conference_as_they_enter_the_conference(place: &Place) {
    let records = place.open().await;
    records.add_user(&Person::unnamed("anna".into())).await.unwrap();
    records.add_conference(new("board", with_guest_pin())).await.unwrap();
    records.add_conference(new("open", NewGuests::Anybody)).await.unwrap();
    let here = admission(&records);
    let stranger = UserId::from("7");
    let short = |outcome: Result<Admitted, AdmitError>| match outcome {
        Ok(admitted) => {
            assert_eq!(admitted.person, Person::unnamed(stranger.clone()));
            format!("{:?}", admitted.role)
        }
        Err(error) => format!("{error:?}"),
    };
    for (alias, pin, expected) in [
        ("board", Some(GUEST), "Guest"),
        ("board", Some(HOST), "Host"),
        ("board", None, "WrongPassword"),
        ("board", Some("0816"), "WrongPassword"),
        ("open", None, "Guest"),
        ("open", Some(HOST), "Host"),
    ] {
        let named = here.admit(&stranger, &room(alias), pin).await;
        assert_eq!(short(named), expected, "{alias} {pin:?}");
        let nameless = here.admit_stranger(&stranger, &room(alias), pin).await;
        assert_eq!(short(nameless.map(Option::unwrap)), expected, "{alias} {pin:?}");
        let shown = pin.map_or(ShownPin::AsGuest, ShownPin::Pin);
        let by_app = role(&records, alias, shown).await;
        let by_app = by_app.map_or("WrongPassword".to_owned(), |role| format!("{role:?}"));
        assert_eq!(by_app, expected, "{alias} {pin:?}");
    }
    let elsewhere = here.admit(&stranger, &room("lounge"), Some(GUEST)).await;
    assert!(matches!(elsewhere, Err(AdmitError::UnknownUser)), "{elsewhere:?}");
    for (name, alias) in [("7", "lounge"), ("anna", "board"), ("anna", "open")] {
        let admitted = here.admit_stranger(&name.into(), &room(alias), Some(HOST)).await;
        assert!(matches!(admitted, Ok(None)), "{name} in {alias}: {admitted:?}");
    }
}

async fn ten_wrong_pins_a_minute_are_answered_and_others_enter_all_the_same(place: &Place) {
    let records = place.open().await;
    for alias in ["board", "other"] {
        records.add_conference(new(alias, with_guest_pin())).await.unwrap();
    }
    // No time passes: on a slow machine the minute could be over before the next guess.
    let now = tokio::time::Instant::now();
    let clock = |passed_s| Arc::new(move || now + Duration::from_secs(passed_s)) as patchbay::clock::MonotonicClock;
    let address = |last: u8| ClientAddress::from(IpAddr::from([192, 0, 2, last]));
    let pin = async |alias: &str, pin: &str, client, passed_s| {
        let clock = clock(passed_s);
        let entry = records.enter_conference(alias, ShownPin::Pin(pin), client, &clock);
        entry.await.map(|entry| entry.role)
    };
    let guesser = records.admission(address(1), clock(0));
    for guess in 0..5 {
        let refused = pin("board", &(1_000 + guess).to_string(), address(1), 0).await;
        assert!(matches!(refused, Err(NoEntry::WrongPin)), "{guess}: {refused:?}");
        let refused = admitted(&guesser, "board", Some(&(2_000 + guess).to_string())).await;
        assert!(
            matches!(refused, Err(AdmitError::WrongPassword)),
            "{guess}: {refused:?}"
        );
    }
    for text in ["1010", HOST, GUEST] {
        let refused = pin("board", text, address(1), 0).await;
        let Err(NoEntry::TooManyTries { wait }) = refused else {
            panic!("guesses learn nothing: {refused:?}");
        };
        assert_eq!(wait, Duration::from_secs(60));
        let refused = admitted(&guesser, "board", Some(text)).await;
        assert!(matches!(refused, Err(AdmitError::TooManyGuesses { .. })), "{refused:?}");
    }
    assert_eq!(pin("board", HOST, address(2), 0).await.unwrap(), Role::Host);
    assert_eq!(pin("other", HOST, address(1), 0).await.unwrap(), Role::Host);
    assert_eq!(pin("board", HOST, address(1), 60).await.unwrap(), Role::Host);
}

async fn hostile_aliases_and_pins_are_just_wrong(place: &Place) {
    let records = place.open().await;
    records.add_conference(new("board", NewGuests::Nobody)).await.unwrap();
    let long = "9".repeat(100_000);
    for text in [
        "",
        "nul\0",
        "'; DROP TABLE conferences; --",
        "%",
        "$1",
        "@",
        "\u{202E}",
        &long,
    ] {
        assert_eq!(
            role(&records, text, ShownPin::Pin(HOST)).await,
            Err("unknown"),
            "{text:?}"
        );
        assert_eq!(
            role(&records, "board", ShownPin::Pin(text)).await,
            Err("wrong"),
            "{text:?}"
        );
    }
    assert_eq!(records.conferences().await.unwrap().len(), 1);
}

async fn a_failure_of_storage_is_no_refusal(place: &Place) {
    let records = place.open().await;
    place.execute("DROP TABLE conferences").await;
    let failed = enter(&records, "board", ShownPin::Nothing).await;
    assert!(matches!(failed, Err(NoEntry::Storage(_))), "{failed:?}");
    let failed = admitted(&admission(&records), "board", None).await;
    assert!(matches!(failed, Err(AdmitError::Storage(_))), "{failed:?}");
}
