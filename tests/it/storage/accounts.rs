//! Devices, contacts, and the secrets of tokens.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use patchbay::accounts::{AccountError, Accounts};
use patchbay::clock::WallClock;
use patchbay::config;
use patchbay::storage::{DeviceRecord, RecordError};

use super::{Place, on_both, profile};

on_both!(
    a_token_is_good_for_seven_days_and_over_a_restart,
    a_new_secret_signs_when_it_is_time_and_the_old_one_counts_until_its_last_token_is_over,
    a_token_of_another_server_is_not_good_here,
    contacts_have_a_row_for_each_of_their_devices,
    where_there_are_users_only_they_log_in,
    accounts_devices_and_contacts_are_bounded,
);

const ANNA: &str = "13800000001";
const BEN: &str = "13800000002";
const DAY_S: u64 = 24 * 3_600;

#[derive(Clone)]
struct Hands(Arc<AtomicU64>);

impl Hands {
    fn new() -> Self {
        Self(Arc::new(AtomicU64::new(1_767_323_045)))
    }

    fn clock(&self) -> WallClock {
        let hands = Arc::clone(&self.0);
        Arc::new(move || SystemTime::UNIX_EPOCH + Duration::from_secs(hands.load(Ordering::Relaxed)))
    }

    fn pass(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
    }
}

async fn accounts(place: &Place, hands: &Hands) -> Accounts {
    let config = config::Accounts::default();
    Accounts::open(place.open().await, config, hands.clock()).await.unwrap()
}

fn device(phone: &str, device_id: &str) -> DeviceRecord {
    DeviceRecord {
        phone: phone.to_owned(),
        device_id: device_id.to_owned(),
    }
}

async fn a_token_is_good_for_seven_days_and_over_a_restart(place: &Place) {
    let hands = Hands::new();
    let token = accounts(place, &hands).await.log_in(ANNA, "d1").await.unwrap();
    let restarted = accounts(place, &hands).await;
    assert_eq!(restarted.verify(&token), Some(device(ANNA, "d1")));
    hands.pass(7 * DAY_S - 1);
    assert_eq!(restarted.verify(&token), Some(device(ANNA, "d1")));
    hands.pass(1);
    assert_eq!(restarted.verify(&token), None);
}

async fn a_new_secret_signs_when_it_is_time_and_the_old_one_counts_until_its_last_token_is_over(place: &Place) {
    let hands = Hands::new();
    let accounts = accounts(place, &hands).await;
    let directory = place.open().await;
    hands.pass(90 * DAY_S - 10);
    let old = accounts.log_in(ANNA, "d1").await.unwrap();
    accounts.rotate().await.unwrap();
    assert_eq!(directory.token_secrets().await.unwrap().len(), 1, "not yet");
    hands.pass(10);
    accounts.rotate().await.unwrap();
    assert_eq!(directory.token_secrets().await.unwrap().len(), 2);
    let new = accounts.log_in(ANNA, "d2").await.unwrap();
    assert!(accounts.verify(&old).is_some() && accounts.verify(&new).is_some());
    hands.pass(7 * DAY_S - 11);
    accounts.rotate().await.unwrap();
    assert!(accounts.verify(&old).is_some());
    hands.pass(100);
    accounts.rotate().await.unwrap();
    assert!(accounts.verify(&old).is_none());
    // A user's token may be good for a year.
    let secrets = directory.token_secrets().await.unwrap();
    let (newer, older) = (secrets[0].secret.clone(), secrets[1].secret.clone());
    hands.pass((365 - 7) * DAY_S);
    accounts.rotate().await.unwrap();
    let kept: Vec<_> = directory.token_secrets().await.unwrap();
    assert!(kept.iter().any(|secret| secret.secret == newer));
    assert!(kept.iter().all(|secret| secret.secret != older), "the old one is gone");
}

async fn a_token_of_another_server_is_not_good_here(place: &Place) {
    let hands = Hands::new();
    let elsewhere = Place::sqlite();
    let token = accounts(&elsewhere, &hands).await.log_in(ANNA, "d1").await.unwrap();
    assert_eq!(accounts(place, &hands).await.verify(&token), None);
}

async fn contacts_have_a_row_for_each_of_their_devices(place: &Place) {
    let accounts = accounts(place, &Hands::new()).await;
    let token = accounts.log_in(ANNA, "d1").await.unwrap();
    accounts
        .add_contact(ANNA, &token, BEN)
        .await
        .expect("nobody learns by it whether there is an account");
    let mut of_ben = String::new();
    for id in ["phone", "tablet", "phone"] {
        of_ben = accounts.log_in(BEN, id).await.unwrap();
    }
    accounts.add_contact(ANNA, &token, BEN).await.unwrap();
    assert_eq!(
        accounts.contacts(ANNA, &token).await.unwrap(),
        [],
        "Ben has not added Anna"
    );
    assert_eq!(accounts.contacts(BEN, &of_ben).await.unwrap(), []);
    accounts.add_contact(BEN, &of_ben, ANNA).await.unwrap();
    assert_eq!(accounts.contacts(BEN, &of_ben).await.unwrap(), [device(ANNA, "d1")]);
    let expected = [device(BEN, "phone"), device(BEN, "tablet")];
    assert_eq!(accounts.contacts(ANNA, &token).await.unwrap(), expected);
    let of_ben = accounts.contacts(BEN, &token).await;
    assert!(matches!(of_ben, Err(AccountError::BadToken)), "of another account");
    for _ in 0..2 {
        accounts.remove_contact(ANNA, &token, BEN).await.unwrap();
    }
    assert_eq!(accounts.contacts(ANNA, &token).await.unwrap(), []);
    assert!(matches!(
        accounts.add_contact(ANNA, &token, ANNA).await,
        Err(AccountError::OwnContact)
    ));
    assert!(matches!(
        accounts.add_contact(ANNA, &token, "1").await,
        Err(AccountError::BadPhone)
    ));
    assert!(
        accounts.remove_contact(ANNA, &token, "nul\0").await.is_ok(),
        "is not there, as was wanted"
    );
}

async fn where_there_are_users_only_they_log_in(place: &Place) {
    let directory = place.open().await;
    directory.add_user(&profile(ANNA, "Anna", "", "")).await.unwrap();
    let accounts = accounts(place, &Hands::new()).await;
    assert!(accounts.log_in(ANNA, "d").await.is_ok());
    assert!(matches!(
        accounts.log_in(BEN, "d").await,
        Err(AccountError::UnknownPhone)
    ));
}

async fn accounts_devices_and_contacts_are_bounded(place: &Place) {
    let config = config::Accounts {
        max_devices: 18,
        max_contacts: 2,
        ..config::Accounts::default()
    };
    let accounts = Accounts::open(place.open().await, config, Hands::new().clock())
        .await
        .unwrap();
    let mut token = String::new();
    for id in 0..16 {
        token = accounts.log_in(ANNA, &id.to_string()).await.unwrap();
    }
    let one_more = accounts.log_in(ANNA, "16").await;
    assert!(matches!(one_more, Err(AccountError::TooManyDevices)), "{one_more:?}");
    assert!(accounts.log_in(ANNA, "3").await.is_ok(), "known ones may again");
    for phone in ["13800000003", "13800000004"] {
        accounts.log_in(phone, "d").await.unwrap();
        accounts.add_contact(ANNA, &token, phone).await.unwrap();
    }
    assert!(matches!(
        accounts.log_in(BEN, "d").await,
        Err(AccountError::TooManyDevices)
    ));
    let directory = place.open().await;
    let one_more = directory.add_contact(ANNA, BEN, 2).await;
    assert!(matches!(one_more, Err(RecordError::Full { .. })), "{one_more:?}");
    for id in ["", "a\nb", &"x".repeat(129), &"名".repeat(129)] {
        assert!(
            matches!(accounts.log_in(ANNA, id).await, Err(AccountError::BadDevice)),
            "{id:?}"
        );
    }
    // As long as may be: what is refused then is one device more.
    let longest = accounts.log_in(BEN, &"名".repeat(128)).await;
    assert!(matches!(longest, Err(AccountError::TooManyDevices)), "{longest:?}");
    for phone in [
        "",
        "1380000000",
        "138000000012",
        "1380000000a",
        "１３８００００００００１",
        "+1380000000",
    ] {
        assert!(
            matches!(accounts.log_in(phone, "d").await, Err(AccountError::BadPhone)),
            "{phone:?}"
        );
    }
}
