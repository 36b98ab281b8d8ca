//! Records of users, rooms and files: the same scenarios on SQLite and on PostgreSQL.

mod accounts;
mod apps;
mod broken;
mod channels;
mod common_clock;
mod conferences;
mod logins;
mod messages;
mod places;
mod tasks;
mod webhooks;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use patchbay::domain::Person;
use patchbay::ids::{PushService, RoomName, UserId};
use patchbay::shares::{ClientAddress, Share};
use patchbay::storage::{
    AdmitError, DevicePlaces, DeviceRecord, FileRecord, NotLoggedIn, PersonChange, PushDevice, PushRecorded, Quota,
    RecordError, Records, RoomAdmission,
};

pub use places::Place;

/// Each scenario becomes two tests. The second is ignored unless it is asked for, as `tests/run` does: then it fails if
/// there is no PostgreSQL server.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                super::$name(&$crate::storage::Place::sqlite()).await;
            })+
        }
        mod postgres {
            $(#[tokio::test]
            #[ignore = "needs a PostgreSQL server; tests/run starts one"]
            async fn $name() {
                let place = $crate::storage::Place::postgres().await;
                super::$name(&place).await;
                place.remove().await;
            })+
        }
    };
}
pub(crate) use on_both;

on_both!(
    with_no_users_anybody_may_enter_under_their_id,
    with_users_only_they_enter_and_are_shown_as_recorded,
    after_the_last_user_is_removed_anybody_may_enter_again,
    a_room_with_a_password_wants_it,
    a_changed_password_counts_at_once_and_a_removed_one_no_longer,
    users_are_changed_field_by_field_and_listed_by_id,
    rooms_are_listed_with_whether_they_have_a_password_and_never_with_the_password,
    an_existing_record_is_not_added_and_a_missing_one_is_not_changed,
    ids_that_cannot_be_recorded_are_refused,
    hostile_ids_are_just_unknown,
    records_survive_a_restart_and_are_seen_by_other_processes,
    many_may_enter_at_once,
    files_expire_in_order,
    a_database_of_a_newer_version_is_refused,
    a_failure_while_running_differs_from_a_refusal,
    logins_that_wait_for_somebody_elses_write_do_not_keep_joins_out,
    guesses_are_slowed_down_for_their_room_and_address_alone,
    users_with_a_password_log_in_and_have_numbers_that_never_come_again,
    devices_of_several_services_are_kept_until_they_or_their_user_are_removed,
);

fn user(id: &str) -> UserId {
    UserId::from(id)
}

fn room(name: &str) -> RoomName {
    RoomName::from(name)
}

fn person(id: &str, name: &str, prefix: &str, postfix: &str) -> Person {
    Person {
        user: user(id),
        name: name.to_owned(),
        prefix: prefix.to_owned(),
        postfix: postfix.to_owned(),
    }
}

async fn with_no_users_anybody_may_enter_under_their_id(place: &Place) {
    let records = place.open().await;
    let admitted = admission(&records)
        .admit(&user("7"), &room("demo"), None)
        .await
        .unwrap();
    assert_eq!(admitted.person, person("7", "7", "", ""));
}

async fn with_users_only_they_enter_and_are_shown_as_recorded(place: &Place) {
    let records = place.open().await;
    let ann = person("1", "Ann 安", "Dr", "(Berlin)");
    records.add_user(&ann).await.unwrap();
    assert_eq!(
        admission(&records)
            .admit(&user("1"), &room("demo"), None)
            .await
            .unwrap()
            .person,
        ann
    );
    let refused = admission(&records).admit(&user("2"), &room("demo"), None).await;
    assert!(matches!(refused, Err(AdmitError::UnknownUser)), "{refused:?}");
}

async fn after_the_last_user_is_removed_anybody_may_enter_again(place: &Place) {
    let records = place.open().await;
    records.add_user(&person("1", "Ann", "", "")).await.unwrap();
    records.remove_user(&user("1")).await.unwrap();
    assert!(admission(&records).admit(&user("2"), &room("demo"), None).await.is_ok());
}

/// The admission of a client at this machine.
fn admission(records: &Records) -> RoomAdmission {
    let here = IpAddr::from(Ipv4Addr::LOCALHOST).into();
    records.admission(here, Arc::new(tokio::time::Instant::now))
}

async fn enters(records: &Records, password: Option<&str>) -> bool {
    match admission(records).admit(&user("1"), &room("secret"), password).await {
        Ok(_) => true,
        Err(AdmitError::WrongPassword) => false,
        Err(other) => panic!("{other:?}"),
    }
}

async fn a_room_with_a_password_wants_it(place: &Place) {
    let records = place.open().await;
    records.add_room(&room("secret"), Some("tür 门")).await.unwrap();
    assert!(!enters(&records, None).await);
    assert!(!enters(&records, Some("")).await);
    assert!(!enters(&records, Some("Tür 门")).await);
    assert!(!enters(&records, Some(&"x".repeat(1_000_000))).await);
    assert!(enters(&records, Some("tür 门")).await);
    assert!(enters(&records, Some("tür 门")).await, "and again, remembered");
    assert!(
        !enters(&records, Some("tür")).await,
        "what is remembered is the whole password"
    );
    let elsewhere = admission(&records).admit(&user("1"), &room("other"), None).await;
    assert!(elsewhere.is_ok(), "other rooms want none");
}

async fn a_changed_password_counts_at_once_and_a_removed_one_no_longer(place: &Place) {
    let records = place.open().await;
    records.add_room(&room("secret"), Some("old")).await.unwrap();
    assert!(enters(&records, Some("old")).await);
    // As the command line does: in another process, while this one has remembered the old password.
    let other = place.open().await;
    other.set_room_password(&room("secret"), Some("new")).await.unwrap();
    assert!(!enters(&records, Some("old")).await);
    assert!(enters(&records, Some("new")).await);
    other.set_room_password(&room("secret"), None).await.unwrap();
    assert!(enters(&records, None).await);
    other.set_room_password(&room("secret"), Some("new")).await.unwrap();
    other.remove_room(&room("secret")).await.unwrap();
    assert!(enters(&records, None).await);
}

async fn users_are_changed_field_by_field_and_listed_by_id(place: &Place) {
    let records = place.open().await;
    for id in ["b", "a", "c"] {
        records.add_user(&person(id, id, "p", "q")).await.unwrap();
    }
    let change = PersonChange {
        name: Some("Bob".to_owned()),
        postfix: Some(String::new()),
        ..PersonChange::default()
    };
    records.set_user(&user("b"), &change).await.unwrap();
    let expected = [
        person("a", "a", "p", "q"),
        person("b", "Bob", "p", ""),
        person("c", "c", "p", "q"),
    ];
    assert_eq!(records.users().await.unwrap(), expected);
}

async fn rooms_are_listed_with_whether_they_have_a_password_and_never_with_the_password(place: &Place) {
    let records = place.open().await;
    records.add_room(&room("b"), Some("hunter2")).await.unwrap();
    records.add_room(&room("a"), None).await.unwrap();
    let rooms = records.rooms().await.unwrap();
    let listed: Vec<_> = rooms.iter().map(|r| (r.room.as_str(), r.has_password)).collect();
    assert_eq!(listed, [("a", false), ("b", true)]);
    assert!(!format!("{rooms:?}").contains("argon2"));
}

async fn an_existing_record_is_not_added_and_a_missing_one_is_not_changed(place: &Place) {
    let records = place.open().await;
    let ann = person("1", "Ann", "", "");
    records.add_user(&ann).await.unwrap();
    records.add_room(&room("r"), None).await.unwrap();
    let again = person("1", "Other", "", "");
    assert!(matches!(
        records.add_user(&again).await,
        Err(RecordError::Exists { .. })
    ));
    assert!(matches!(
        records.add_room(&room("r"), None).await,
        Err(RecordError::Exists { .. })
    ));
    assert_eq!(records.users().await.unwrap(), [ann]);
    let no_change = PersonChange::default();
    let missing = [
        records.set_user(&user("2"), &no_change).await,
        records.remove_user(&user("2")).await,
        records.set_room_password(&room("q"), None).await,
        records.remove_room(&room("q")).await,
    ];
    for result in missing {
        assert!(matches!(result, Err(RecordError::Missing { .. })), "{result:?}");
    }
}

async fn ids_that_cannot_be_recorded_are_refused(place: &Place) {
    let records = place.open().await;
    for id in ["", "a\nb", "nul\0", &"x".repeat(129), &"名".repeat(129)] {
        let added = records.add_user(&person(id, "n", "", "")).await;
        assert!(matches!(added, Err(RecordError::BadId { .. })), "{id:?}: {added:?}");
        let added = records.add_room(&room(id), None).await;
        assert!(matches!(added, Err(RecordError::BadId { .. })), "{id:?}: {added:?}");
    }
    let (id, name) = ("名".repeat(128), "名".repeat(256));
    records.add_user(&person(&id, &name, &name, &name)).await.unwrap();
    records.add_room(&room(&id), None).await.unwrap();
    let long_name = records.add_user(&person("1", &"n".repeat(257), "", "")).await;
    assert!(matches!(long_name, Err(RecordError::BadText { .. })), "{long_name:?}");
    let bad_name = records.add_user(&person("1", "a\nb", "", "")).await;
    assert!(matches!(bad_name, Err(RecordError::BadText { .. })), "{bad_name:?}");
    let longest = "密".repeat(256);
    records.add_room(&room("long"), Some(&longest)).await.unwrap();
    assert!(
        admission(&records)
            .admit(&user(&id), &room("long"), Some(&longest))
            .await
            .is_ok()
    );
    for password in ["", &"p".repeat(257), &"密".repeat(257)] {
        let refused = records.add_room(&room("r"), Some(password)).await;
        assert!(matches!(refused, Err(RecordError::BadPassword { .. })), "{refused:?}");
    }
}

async fn hostile_ids_are_just_unknown(place: &Place) {
    let records = place.open().await;
    let long = "x".repeat(100_000);
    let hostile = ["nul\0", "'; DROP TABLE users; --", "%", "$1", "\u{202E}", &long];
    for id in hostile {
        assert!(
            admission(&records).admit(&user(id), &room(id), Some(id)).await.is_ok(),
            "{id:?}"
        );
    }
    records.add_user(&person("1", "Ann", "", "")).await.unwrap();
    for id in hostile {
        let refused = admission(&records).admit(&user(id), &room(id), Some(id)).await;
        assert!(matches!(refused, Err(AdmitError::UnknownUser)), "{id:?}: {refused:?}");
        assert!(
            admission(&records).admit(&user("1"), &room(id), Some(id)).await.is_ok(),
            "{id:?}"
        );
    }
    assert_eq!(records.users().await.unwrap().len(), 1);
}

async fn records_survive_a_restart_and_are_seen_by_other_processes(place: &Place) {
    let first = place.open().await;
    let second = place.open().await;
    first.add_user(&person("1", "Ann", "", "")).await.unwrap();
    assert_eq!(second.users().await.unwrap().len(), 1);
    first.close().await;
    second.close().await;
    assert_eq!(place.open().await.users().await.unwrap().len(), 1);
}

async fn many_may_enter_at_once(place: &Place) {
    let records = place.open().await;
    records.add_room(&room("secret"), Some("open")).await.unwrap();
    let mut entering = tokio::task::JoinSet::new();
    for n in 0..100 {
        let records = records.clone();
        let password = if n % 10 == 0 { "wrong" } else { "open" };
        entering.spawn(async move { enters(&records, Some(password)).await });
    }
    let entered = entering.join_all().await.into_iter().filter(|entered| *entered).count();
    assert_eq!(entered, 90);
}

async fn files_expire_in_order(place: &Place) {
    let records = place.open().await;
    let file = |id: &str, expires_at_s| FileRecord {
        id: id.to_owned(),
        name: "名.txt".to_owned(),
        media_type: "text/plain".to_owned(),
        size_bytes: 5_000_000_000,
        client: "2001:db8::7".parse::<std::net::IpAddr>().unwrap().into(),
        expires_at_s,
    };
    for (id, expires) in [("late", 300), ("soon", 100), ("next", 200)] {
        records.add_file(&file(id, expires)).await.unwrap();
    }
    assert_eq!(records.file("soon").await.unwrap(), Some(file("soon", 100)));
    assert_eq!(records.file("nul\0").await.unwrap(), None);
    let expired = records.expired_files(200, 10).await.unwrap();
    assert_eq!(expired, [file("soon", 100), file("next", 200)]);
    assert_eq!(records.expired_files(200, 1).await.unwrap(), [file("soon", 100)]);
    records.remove_file("soon").await.unwrap();
    assert_eq!(records.file_sizes().await.unwrap().len(), 2);
}

async fn a_database_of_a_newer_version_is_refused(place: &Place) {
    place.open().await.close().await;
    place
        .execute(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             SELECT 9999, description, success, checksum, execution_time FROM _sqlx_migrations WHERE version = 1",
        )
        .await;
    let error = place.try_open().await.err().unwrap().to_string();
    assert!(
        error.contains("another version of patchbay (migration 9999)"),
        "{error}"
    );
}

async fn a_failure_while_running_differs_from_a_refusal(place: &Place) {
    let records = place.open().await;
    assert!(records.check().await.is_ok());
    place.execute("DROP TABLE users").await;
    let failed = admission(&records).admit(&user("1"), &room("demo"), None).await;
    assert!(matches!(failed, Err(AdmitError::Storage(_))), "{failed:?}");
    assert!(records.check().await.is_err());
}

async fn logins_that_wait_for_somebody_elses_write_do_not_keep_joins_out(place: &Place) {
    let records = place.open().await;
    records.add_room(&room("secret"), Some("open")).await.unwrap();
    assert!(enters(&records, Some("open")).await);
    let held = place.hold_writes().await;
    let mut logins = tokio::task::JoinSet::new();
    for id in 0..40 {
        let records = records.clone();
        let device = DeviceRecord {
            phone: "13800000001".to_owned(),
            device_id: id.to_string(),
        };
        let places = DevicePlaces {
            per_account: 16,
            in_all: 1_000,
            share: Share {
                percent: 100,
                at_least: 0,
            },
        };
        logins.spawn(async move {
            records
                .record_device(&device, ClientAddress::THIS_MACHINE, 1, places, |_| false)
                .await
        });
    }
    for n in 0..20 {
        let joining = tokio::time::timeout(Duration::from_secs(2), enters(&records, Some("open")));
        assert!(joining.await.unwrap_or_else(|_| panic!("join {n} waits")));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(logins.try_join_next().is_none(), "they wait all the time");
    held.release().await;
    for login in logins.join_all().await {
        assert!(login.is_ok(), "{login:?}");
    }
}

async fn guesses_are_slowed_down_for_their_room_and_address_alone(place: &Place) {
    let records = place.open().await;
    for name in ["secret", "other"] {
        records.add_room(&room(name), Some("open")).await.unwrap();
    }
    // No time passes: on a slow machine the first pause could be over before the next guess.
    let now = tokio::time::Instant::now();
    let client = |last: u8| records.admission(IpAddr::from([192, 0, 2, last]).into(), Arc::new(move || now));
    let (guesser, other) = (client(1), client(2));
    let mut wrong = 0;
    let wait = loop {
        match guesser
            .admit(&user("1"), &room("secret"), Some(&wrong.to_string()))
            .await
        {
            Err(AdmitError::WrongPassword) => wrong += 1,
            Err(AdmitError::TooManyGuesses { wait }) => break wait,
            outcome => panic!("{outcome:?}"),
        }
        assert!(wrong < 50, "guesses go on and on");
    };
    assert!(wait <= Duration::from_secs(60));
    let right = guesser.admit(&user("1"), &room("secret"), Some("open")).await;
    assert!(matches!(right, Err(AdmitError::TooManyGuesses { .. })), "{right:?}");
    assert!(other.admit(&user("1"), &room("secret"), Some("open")).await.is_ok());
    let known = guesser.admit(&user("1"), &room("secret"), Some("open")).await;
    assert!(
        matches!(known, Err(AdmitError::TooManyGuesses { .. })),
        "guesses learn nothing: {known:?}"
    );
    assert!(guesser.admit(&user("1"), &room("other"), Some("open")).await.is_ok());
}

async fn users_with_a_password_log_in_and_have_numbers_that_never_come_again(place: &Place) {
    let records = place.open().await;
    let clock: patchbay::clock::MonotonicClock = Arc::new(tokio::time::Instant::now);
    let here: ClientAddress = IpAddr::from(Ipv4Addr::LOCALHOST).into();
    let number = async |account: &str, password: &str| match records.log_in(account, password, here, &clock).await {
        Ok(account) => Some((account.person.user.to_string(), account.number)),
        Err(NotLoggedIn::Wrong) => None,
        Err(other) => panic!("{other:?}"),
    };
    let known = |id: &str, number| Some((id.to_owned(), number));
    records.add_user(&person("ann", "Ann", "", "")).await.unwrap();
    assert_eq!(number("ann", "secret").await, None, "she has no password");
    records
        .add_user_account(&person("ann", "other", "", ""), "secret")
        .await
        .unwrap();
    assert_eq!(number("ann", "secret").await, known("ann", 1));
    assert_eq!(number("ann@anywhere", "secret").await, known("ann", 1));
    records
        .add_user_account(&person("ann@here", "Another", "", ""), "own")
        .await
        .unwrap();
    assert_eq!(number("ann@here", "secret").await, None, "the whole name goes first");
    assert_eq!(number("ann@here", "own").await, known("ann@here", 2));
    let again = records.add_user_account(&person("ann", "", "", ""), "new").await;
    assert!(matches!(again, Err(RecordError::Exists { .. })), "{again:?}");
    let accounts = records.user_accounts().await.unwrap();
    let names: Vec<_> = accounts
        .iter()
        .map(|one| (one.person.name.as_str(), one.number))
        .collect();
    assert_eq!(names, [("Ann", 1), ("Another", 2)]);
    records.set_user_password(&user("ann"), Some("new")).await.unwrap();
    assert_eq!(number("ann", "secret").await, None);
    assert_eq!(number("ann", "new").await, known("ann", 1));
    records.remove_user(&user("ann@here")).await.unwrap();
    records
        .add_user_account(&person("carl", "Carl", "", ""), "x")
        .await
        .unwrap();
    assert_eq!(number("carl", "x").await, known("carl", 3));
    for (account, password) in [("nul\0", "x"), ("carl", ""), ("", "x"), ("' OR 1=1 --", "x")] {
        assert_eq!(number(account, password).await, None, "{account:?}");
    }
}

async fn devices_of_several_services_are_kept_until_they_or_their_user_are_removed(place: &Place) {
    let records = place.open().await;
    records
        .add_user_account(&person("ann", "Ann", "", ""), "secret")
        .await
        .unwrap();
    let here: ClientAddress = IpAddr::from(Ipv4Addr::LOCALHOST).into();
    let share = Share {
        percent: 100,
        at_least: 1,
    };
    let quota = Quota { in_all: 10, share };
    let (ann, ben) = (user("ann"), user("ben"));
    let device = |service, device: &str, token: &str| PushDevice {
        service,
        device: device.to_owned(),
        token: token.to_owned(),
    };
    let (voip, jpush) = (
        device(PushService::ApnsVoip, "a", "same"),
        device(PushService::JPush, "b", "same"),
    );
    for (at_s, device) in [(1, &voip), (2, &jpush)] {
        let set = records.set_push_device(&ann, device, (here, at_s), 16, quota);
        assert_eq!(set.await.unwrap(), PushRecorded::Done);
    }
    assert_eq!(records.push_devices(&ann).await.unwrap(), [jpush.clone(), voip.clone()]);
    let set = records.set_push_device(&ben, &voip, (here, 3), 16, quota);
    assert_eq!(set.await.unwrap(), PushRecorded::Done);
    assert_eq!(
        records.push_devices(&ann).await.unwrap(),
        [jpush],
        "Ben uses that app now"
    );
    records.remove_user(&ann).await.unwrap();
    assert_eq!(records.push_devices(&ann).await.unwrap(), []);
    assert_eq!(records.push_devices(&ben).await.unwrap(), [voip]);
}
