//! Records of users, rooms and files: the same scenarios on SQLite and on PostgreSQL.

mod accounts;
mod apps;
mod broken;
mod channels;
mod messages;
mod places;
mod webhooks;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use patchbay::domain::Person;
use patchbay::ids::{RoomName, UserId};
use patchbay::shares::{ClientAddress, Share};
use patchbay::storage::{
    AdmitError, DevicePlaces, DeviceRecord, Directory, FileRecord, Gate, PersonChange, RecordError,
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
use on_both;

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
    let directory = place.open().await;
    let admitted = gate(&directory).admit(&user("7"), &room("demo"), None).await.unwrap();
    assert_eq!(admitted, person("7", "7", "", ""));
}

async fn with_users_only_they_enter_and_are_shown_as_recorded(place: &Place) {
    let directory = place.open().await;
    let ann = person("1", "Ann 安", "Dr", "(Berlin)");
    directory.add_user(&ann).await.unwrap();
    assert_eq!(
        gate(&directory).admit(&user("1"), &room("demo"), None).await.unwrap(),
        ann
    );
    let refused = gate(&directory).admit(&user("2"), &room("demo"), None).await;
    assert!(matches!(refused, Err(AdmitError::UnknownUser)), "{refused:?}");
}

async fn after_the_last_user_is_removed_anybody_may_enter_again(place: &Place) {
    let directory = place.open().await;
    directory.add_user(&person("1", "Ann", "", "")).await.unwrap();
    directory.remove_user(&user("1")).await.unwrap();
    assert!(gate(&directory).admit(&user("2"), &room("demo"), None).await.is_ok());
}

/// A gate for a client at this machine.
fn gate(directory: &Directory) -> Gate {
    let here = IpAddr::from(Ipv4Addr::LOCALHOST).into();
    directory.gate(here, Arc::new(tokio::time::Instant::now))
}

async fn enters(directory: &Directory, password: Option<&str>) -> bool {
    match gate(directory).admit(&user("1"), &room("secret"), password).await {
        Ok(_) => true,
        Err(AdmitError::WrongPassword) => false,
        Err(other) => panic!("{other:?}"),
    }
}

async fn a_room_with_a_password_wants_it(place: &Place) {
    let directory = place.open().await;
    directory.add_room(&room("secret"), Some("tür 门")).await.unwrap();
    assert!(!enters(&directory, None).await);
    assert!(!enters(&directory, Some("")).await);
    assert!(!enters(&directory, Some("Tür 门")).await);
    assert!(!enters(&directory, Some(&"x".repeat(1_000_000))).await);
    assert!(enters(&directory, Some("tür 门")).await);
    assert!(enters(&directory, Some("tür 门")).await, "and again, remembered");
    assert!(
        !enters(&directory, Some("tür")).await,
        "what is remembered is the whole password"
    );
    let elsewhere = gate(&directory).admit(&user("1"), &room("other"), None).await;
    assert!(elsewhere.is_ok(), "other rooms want none");
}

async fn a_changed_password_counts_at_once_and_a_removed_one_no_longer(place: &Place) {
    let directory = place.open().await;
    directory.add_room(&room("secret"), Some("old")).await.unwrap();
    assert!(enters(&directory, Some("old")).await);
    // As the command line does: in another process, while this one has remembered the old password.
    let other = place.open().await;
    other.set_room_password(&room("secret"), Some("new")).await.unwrap();
    assert!(!enters(&directory, Some("old")).await);
    assert!(enters(&directory, Some("new")).await);
    other.set_room_password(&room("secret"), None).await.unwrap();
    assert!(enters(&directory, None).await);
    other.set_room_password(&room("secret"), Some("new")).await.unwrap();
    other.remove_room(&room("secret")).await.unwrap();
    assert!(enters(&directory, None).await);
}

async fn users_are_changed_field_by_field_and_listed_by_id(place: &Place) {
    let directory = place.open().await;
    for id in ["b", "a", "c"] {
        directory.add_user(&person(id, id, "p", "q")).await.unwrap();
    }
    let change = PersonChange {
        name: Some("Bob".to_owned()),
        postfix: Some(String::new()),
        ..PersonChange::default()
    };
    directory.set_user(&user("b"), &change).await.unwrap();
    let expected = [
        person("a", "a", "p", "q"),
        person("b", "Bob", "p", ""),
        person("c", "c", "p", "q"),
    ];
    assert_eq!(directory.users().await.unwrap(), expected);
}

async fn rooms_are_listed_with_whether_they_have_a_password_and_never_with_the_password(place: &Place) {
    let directory = place.open().await;
    directory.add_room(&room("b"), Some("hunter2")).await.unwrap();
    directory.add_room(&room("a"), None).await.unwrap();
    let rooms = directory.rooms().await.unwrap();
    let listed: Vec<_> = rooms.iter().map(|r| (r.room.as_str(), r.has_password)).collect();
    assert_eq!(listed, [("a", false), ("b", true)]);
    assert!(!format!("{rooms:?}").contains("argon2"));
}

async fn an_existing_record_is_not_added_and_a_missing_one_is_not_changed(place: &Place) {
    let directory = place.open().await;
    let ann = person("1", "Ann", "", "");
    directory.add_user(&ann).await.unwrap();
    directory.add_room(&room("r"), None).await.unwrap();
    let again = person("1", "Other", "", "");
    assert!(matches!(
        directory.add_user(&again).await,
        Err(RecordError::Exists { .. })
    ));
    assert!(matches!(
        directory.add_room(&room("r"), None).await,
        Err(RecordError::Exists { .. })
    ));
    assert_eq!(directory.users().await.unwrap(), [ann]);
    let no_change = PersonChange::default();
    let missing = [
        directory.set_user(&user("2"), &no_change).await,
        directory.remove_user(&user("2")).await,
        directory.set_room_password(&room("q"), None).await,
        directory.remove_room(&room("q")).await,
    ];
    for result in missing {
        assert!(matches!(result, Err(RecordError::Missing { .. })), "{result:?}");
    }
}

async fn ids_that_cannot_be_recorded_are_refused(place: &Place) {
    let directory = place.open().await;
    for id in ["", "a\nb", "nul\0", &"x".repeat(129), &"名".repeat(129)] {
        let added = directory.add_user(&person(id, "n", "", "")).await;
        assert!(matches!(added, Err(RecordError::BadId { .. })), "{id:?}: {added:?}");
        let added = directory.add_room(&room(id), None).await;
        assert!(matches!(added, Err(RecordError::BadId { .. })), "{id:?}: {added:?}");
    }
    let (id, name) = ("名".repeat(128), "名".repeat(256));
    directory.add_user(&person(&id, &name, &name, &name)).await.unwrap();
    directory.add_room(&room(&id), None).await.unwrap();
    let long_name = directory.add_user(&person("1", &"n".repeat(257), "", "")).await;
    assert!(matches!(long_name, Err(RecordError::BadText { .. })), "{long_name:?}");
    let bad_name = directory.add_user(&person("1", "a\nb", "", "")).await;
    assert!(matches!(bad_name, Err(RecordError::BadText { .. })), "{bad_name:?}");
    let longest = "密".repeat(256);
    directory.add_room(&room("long"), Some(&longest)).await.unwrap();
    assert!(
        gate(&directory)
            .admit(&user(&id), &room("long"), Some(&longest))
            .await
            .is_ok()
    );
    for password in ["", &"p".repeat(257), &"密".repeat(257)] {
        let refused = directory.add_room(&room("r"), Some(password)).await;
        assert!(matches!(refused, Err(RecordError::BadPassword { .. })), "{refused:?}");
    }
}

async fn hostile_ids_are_just_unknown(place: &Place) {
    let directory = place.open().await;
    let long = "x".repeat(100_000);
    let hostile = ["nul\0", "'; DROP TABLE users; --", "%", "$1", "\u{202E}", &long];
    for id in hostile {
        assert!(
            gate(&directory).admit(&user(id), &room(id), Some(id)).await.is_ok(),
            "{id:?}"
        );
    }
    directory.add_user(&person("1", "Ann", "", "")).await.unwrap();
    for id in hostile {
        let refused = gate(&directory).admit(&user(id), &room(id), Some(id)).await;
        assert!(matches!(refused, Err(AdmitError::UnknownUser)), "{id:?}: {refused:?}");
        assert!(
            gate(&directory).admit(&user("1"), &room(id), Some(id)).await.is_ok(),
            "{id:?}"
        );
    }
    assert_eq!(directory.users().await.unwrap().len(), 1);
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
    let directory = place.open().await;
    directory.add_room(&room("secret"), Some("open")).await.unwrap();
    let mut entering = tokio::task::JoinSet::new();
    for n in 0..100 {
        let directory = directory.clone();
        let password = if n % 10 == 0 { "wrong" } else { "open" };
        entering.spawn(async move { enters(&directory, Some(password)).await });
    }
    let entered = entering.join_all().await.into_iter().filter(|entered| *entered).count();
    assert_eq!(entered, 90);
}

async fn files_expire_in_order(place: &Place) {
    let directory = place.open().await;
    let file = |id: &str, expires_at_s| FileRecord {
        id: id.to_owned(),
        name: "名.txt".to_owned(),
        media_type: "text/plain".to_owned(),
        size_bytes: 5_000_000_000,
        client: "2001:db8::7".parse::<std::net::IpAddr>().unwrap().into(),
        expires_at_s,
    };
    for (id, expires) in [("late", 300), ("soon", 100), ("next", 200)] {
        directory.add_file(&file(id, expires)).await.unwrap();
    }
    assert_eq!(directory.file("soon").await.unwrap(), Some(file("soon", 100)));
    assert_eq!(directory.file("nul\0").await.unwrap(), None);
    let expired = directory.expired_files(200, 10).await.unwrap();
    assert_eq!(expired, [file("soon", 100), file("next", 200)]);
    assert_eq!(directory.expired_files(200, 1).await.unwrap(), [file("soon", 100)]);
    directory.remove_file("soon").await.unwrap();
    assert_eq!(directory.file_sizes().await.unwrap().len(), 2);
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
    let directory = place.open().await;
    assert!(directory.check().await.is_ok());
    place.execute("DROP TABLE users").await;
    let failed = gate(&directory).admit(&user("1"), &room("demo"), None).await;
    assert!(matches!(failed, Err(AdmitError::Storage(_))), "{failed:?}");
    assert!(directory.check().await.is_err());
}

async fn logins_that_wait_for_somebody_elses_write_do_not_keep_joins_out(place: &Place) {
    let directory = place.open().await;
    directory.add_room(&room("secret"), Some("open")).await.unwrap();
    assert!(enters(&directory, Some("open")).await);
    let held = place.hold_writes().await;
    let mut logins = tokio::task::JoinSet::new();
    for id in 0..40 {
        let directory = directory.clone();
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
            directory
                .record_device(&device, ClientAddress::THIS_MACHINE, 1, places, |_| false)
                .await
        });
    }
    for n in 0..20 {
        let joining = tokio::time::timeout(Duration::from_secs(2), enters(&directory, Some("open")));
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
    let directory = place.open().await;
    for name in ["secret", "other"] {
        directory.add_room(&room(name), Some("open")).await.unwrap();
    }
    // No time passes: on a slow machine the first pause could be over before the next guess.
    let now = tokio::time::Instant::now();
    let client = |last: u8| directory.gate(IpAddr::from([192, 0, 2, last]).into(), Arc::new(move || now));
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
