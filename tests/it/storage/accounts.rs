//! Devices, contacts, and the secrets of tokens.

mod shares;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use patchbay::accounts::{AccountError, Accounts};
use patchbay::clock::{MonotonicClock, WallClock};
use patchbay::config;
use patchbay::shares::ClientAddress;
use patchbay::storage::{DeviceRecord, RecordError};
use tokio::time::Instant;

use super::{Place, on_both, person};

on_both!(
    a_token_is_good_for_seven_days_and_over_a_restart,
    a_new_secret_signs_when_it_is_time_and_the_old_one_counts_until_its_last_token_is_over,
    a_token_of_another_server_is_not_good_here,
    contacts_have_a_row_for_each_of_their_devices,
    where_there_are_users_only_they_log_in,
    accounts_devices_and_contacts_are_bounded,
    a_stranger_who_fills_an_account_does_not_lock_its_owner_out,
    a_full_server_refuses_new_accounts_and_never_known_ones,
    devices_whose_tokens_have_expired_are_removed_and_those_in_use_stay,
    a_removed_device_has_to_log_in_again,
    two_processes_together_keep_to_the_bounds,
    two_processes_that_start_at_once_sign_with_one_secret,
    a_new_secret_of_one_process_signs_nothing_that_another_one_refuses,
);

const ANNA: &str = "13800000001";
const BEN: &str = "13800000002";
const DAY_S: u64 = 24 * 3_600;
const HOURS_2_S: u64 = 2 * 3_600;
const HERE: ClientAddress = ClientAddress::UNKNOWN;

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

    fn passed(&self) -> MonotonicClock {
        let hands = self.clone();
        let (start, begun) = (hands.0.load(Ordering::Relaxed), Instant::now());
        Arc::new(move || begun + Duration::from_secs(hands.0.load(Ordering::Relaxed) - start))
    }

    fn pass(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
    }
}

async fn accounts(place: &Place, hands: &Hands) -> Accounts {
    accounts_with(place, hands, |_| {}).await
}

async fn accounts_with(place: &Place, hands: &Hands, adjust: impl FnOnce(&mut config::Accounts)) -> Accounts {
    accounts_sharing(place, hands, 100, adjust).await
}

/// Accounts of which one client address may have this part of all devices.
async fn accounts_sharing(
    place: &Place,
    hands: &Hands,
    share_percent: u8,
    adjust: impl FnOnce(&mut config::Accounts),
) -> Accounts {
    let mut config = config::Accounts::default();
    adjust(&mut config);
    let records = place.open().await;
    Accounts::open(records, config, share_percent, hands.clock(), hands.passed())
        .await
        .unwrap()
}

async fn devices_of(place: &Place, phone: &str) -> Vec<String> {
    let devices = place.open().await.devices(Some(phone)).await.unwrap();
    let mut ids: Vec<String> = devices.into_iter().map(|(device, _)| device.device_id).collect();
    ids.sort();
    ids
}

fn device(phone: &str, device_id: &str) -> DeviceRecord {
    DeviceRecord {
        phone: phone.to_owned(),
        device_id: device_id.to_owned(),
    }
}

async fn a_token_is_good_for_seven_days_and_over_a_restart(place: &Place) {
    let hands = Hands::new();
    let token = accounts(place, &hands).await.log_in(ANNA, "d1", HERE).await.unwrap();
    let restarted = accounts(place, &hands).await;
    assert_eq!(restarted.verify(&token).await.unwrap(), Some(device(ANNA, "d1")));
    hands.pass(7 * DAY_S - 1);
    assert_eq!(restarted.verify(&token).await.unwrap(), Some(device(ANNA, "d1")));
    hands.pass(1);
    assert_eq!(restarted.verify(&token).await.unwrap(), None);
}

async fn a_new_secret_signs_when_it_is_time_and_the_old_one_counts_until_its_last_token_is_over(place: &Place) {
    let hands = Hands::new();
    let accounts = accounts(place, &hands).await;
    let records = place.open().await;
    hands.pass(90 * DAY_S - 10);
    let old = accounts.log_in(ANNA, "d1", HERE).await.unwrap();
    accounts.rotate().await.unwrap();
    assert_eq!(records.token_secrets(|_| None).await.unwrap().len(), 1, "not yet");
    hands.pass(10);
    accounts.rotate().await.unwrap();
    assert_eq!(records.token_secrets(|_| None).await.unwrap().len(), 2);
    // The new secret signs only when every process knows it.
    hands.pass(HOURS_2_S);
    accounts.rotate().await.unwrap();
    let new = accounts.log_in(ANNA, "d2", HERE).await.unwrap();
    assert!(accounts.verify(&old).await.unwrap().is_some() && accounts.verify(&new).await.unwrap().is_some());
    hands.pass(7 * DAY_S - 11 - HOURS_2_S);
    accounts.rotate().await.unwrap();
    assert!(accounts.verify(&old).await.unwrap().is_some());
    hands.pass(100 + HOURS_2_S);
    accounts.rotate().await.unwrap();
    assert!(accounts.verify(&old).await.unwrap().is_none());
    // A user's token may be valid for a year.
    let secrets = records.token_secrets(|_| None).await.unwrap();
    let (newer, older) = (secrets[0].secret.clone(), secrets[1].secret.clone());
    hands.pass((365 - 7) * DAY_S);
    accounts.rotate().await.unwrap();
    let kept = records.token_secrets(|_| None).await.unwrap();
    assert!(kept.iter().any(|secret| secret.secret == newer));
    assert!(kept.iter().all(|secret| secret.secret != older), "the old one is gone");
}

async fn a_token_of_another_server_is_not_good_here(place: &Place) {
    let hands = Hands::new();
    let elsewhere = Place::sqlite();
    let token = accounts(&elsewhere, &hands)
        .await
        .log_in(ANNA, "d1", HERE)
        .await
        .unwrap();
    assert_eq!(accounts(place, &hands).await.verify(&token).await.unwrap(), None);
}

async fn contacts_have_a_row_for_each_of_their_devices(place: &Place) {
    let accounts = accounts(place, &Hands::new()).await;
    let token = accounts.log_in(ANNA, "d1", HERE).await.unwrap();
    accounts
        .add_contact(ANNA, &token, BEN, HERE)
        .await
        .expect("nobody learns by it whether there is an account");
    let mut of_ben = String::new();
    for id in ["phone", "tablet", "phone"] {
        of_ben = accounts.log_in(BEN, id, HERE).await.unwrap();
    }
    accounts.add_contact(ANNA, &token, BEN, HERE).await.unwrap();
    assert_eq!(
        accounts.contacts(ANNA, &token).await.unwrap(),
        [],
        "Ben has not added Anna"
    );
    assert_eq!(accounts.contacts(BEN, &of_ben).await.unwrap(), []);
    accounts.add_contact(BEN, &of_ben, ANNA, HERE).await.unwrap();
    assert_eq!(accounts.contacts(BEN, &of_ben).await.unwrap(), [device(ANNA, "d1")]);
    let expected = [device(BEN, "phone"), device(BEN, "tablet")];
    assert_eq!(accounts.contacts(ANNA, &token).await.unwrap(), expected);
    let of_ben = accounts.contacts(BEN, &token).await;
    assert!(matches!(of_ben, Err(AccountError::BadToken)), "of another account");
    for _ in 0..2 {
        accounts.remove_contact(ANNA, &token, BEN, HERE).await.unwrap();
    }
    assert_eq!(accounts.contacts(ANNA, &token).await.unwrap(), []);
    assert!(matches!(
        accounts.add_contact(ANNA, &token, ANNA, HERE).await,
        Err(AccountError::OwnContact)
    ));
    assert!(matches!(
        accounts.add_contact(ANNA, &token, "1", HERE).await,
        Err(AccountError::BadPhone)
    ));
    assert!(
        accounts.remove_contact(ANNA, &token, "nul\0", HERE).await.is_ok(),
        "is not there, as was wanted"
    );
}

async fn where_there_are_users_only_they_log_in(place: &Place) {
    let records = place.open().await;
    records.add_user(&person(ANNA, "Anna", "", "")).await.unwrap();
    let accounts = accounts(place, &Hands::new()).await;
    assert!(accounts.log_in(ANNA, "d", HERE).await.is_ok());
    assert!(matches!(
        accounts.log_in(BEN, "d", HERE).await,
        Err(AccountError::UnknownPhone)
    ));
}

async fn accounts_devices_and_contacts_are_bounded(place: &Place) {
    let accounts = accounts_with(place, &Hands::new(), |config| {
        config.max_devices = 18;
        config.max_contacts = 2;
    })
    .await;
    let mut token = String::new();
    for id in 0..16 {
        token = accounts.log_in(ANNA, &id.to_string(), HERE).await.unwrap();
    }
    assert!(accounts.log_in(ANNA, "16", HERE).await.is_ok());
    assert_eq!(devices_of(place, ANNA).await.len(), 16, "one gave way");
    assert!(accounts.log_in(ANNA, "3", HERE).await.is_ok(), "known ones may again");
    for phone in ["13800000003", "13800000004"] {
        accounts.log_in(phone, "d", HERE).await.unwrap();
        accounts.add_contact(ANNA, &token, phone, HERE).await.unwrap();
    }
    let denied = accounts.log_in(BEN, "d", HERE).await.unwrap_err();
    assert!(matches!(denied, AccountError::TooManyDevices), "{denied:?}");
    assert!(denied.to_string().contains("as many devices as it may"), "{denied}");
    let records = place.open().await;
    let one_more = records.add_contact(ANNA, BEN, 2).await;
    assert!(matches!(one_more, Err(RecordError::Full { .. })), "{one_more:?}");
    for id in ["", "a\nb", &"x".repeat(129), &"名".repeat(129)] {
        assert!(
            matches!(accounts.log_in(ANNA, id, HERE).await, Err(AccountError::BadDevice)),
            "{id:?}"
        );
    }
    // A name of the greatest length: it is refused only because it would be one device too many.
    let longest = accounts.log_in(BEN, &"名".repeat(128), HERE).await;
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
            matches!(accounts.log_in(phone, "d", HERE).await, Err(AccountError::BadPhone)),
            "{phone:?}"
        );
    }
}

async fn a_stranger_who_fills_an_account_does_not_lock_its_owner_out(place: &Place) {
    let hands = Hands::new();
    let accounts = accounts(place, &hands).await;
    let phone = accounts.log_in(ANNA, "a phone", HERE).await.unwrap();
    hands.pass(100);
    accounts.log_in(ANNA, "a tablet", HERE).await.unwrap();
    let connected = accounts.connect(&device(ANNA, "a phone"), HERE).await;
    for id in 0..40 {
        hands.pass(100);
        let stranger = accounts.log_in(ANNA, &format!("stranger {id}"), HERE).await;
        assert!(stranger.is_ok(), "{stranger:?}");
    }
    let devices = devices_of(place, ANNA).await;
    assert_eq!(devices.len(), 16);
    assert!(devices.contains(&"a phone".to_owned()), "is connected: {devices:?}");
    assert!(accounts.log_in(ANNA, "a new phone", HERE).await.is_ok());
    // A device whose place was taken comes back with its token.
    drop(connected);
    for id in 0..16 {
        hands.pass(100);
        accounts.log_in(ANNA, &format!("another {id}"), HERE).await.unwrap();
    }
    assert!(!devices_of(place, ANNA).await.contains(&"a phone".to_owned()));
    let known = accounts.verify(&phone).await.unwrap().unwrap();
    let connected = accounts.connect(&known, HERE).await;
    assert!(devices_of(place, ANNA).await.contains(&"a phone".to_owned()));
    // If all are in use, the one that connected first gives way.
    let mut all = vec![connected];
    for id in 0..15 {
        hands.pass(100);
        accounts.log_in(ANNA, &format!("in use {id}"), HERE).await.unwrap();
        all.push(accounts.connect(&device(ANNA, &format!("in use {id}")), HERE).await);
    }
    hands.pass(100);
    accounts.log_in(ANNA, "the owner's next", HERE).await.unwrap();
    let devices = devices_of(place, ANNA).await;
    assert_eq!(devices.len(), 16);
    assert!(devices.contains(&"the owner's next".to_owned()) && !devices.contains(&"a phone".to_owned()));
}

async fn a_full_server_refuses_new_accounts_and_never_known_ones(place: &Place) {
    let hands = Hands::new();
    let accounts = accounts_with(place, &hands, |config| config.max_devices = 4).await;
    for (phone, id) in [(ANNA, "1"), (ANNA, "2"), (BEN, "1"), ("13800000003", "1")] {
        hands.pass(100);
        accounts.log_in(phone, id, HERE).await.unwrap();
    }
    let stranger = accounts.log_in("13800000004", "1", HERE).await;
    assert!(matches!(stranger, Err(AccountError::TooManyDevices)), "{stranger:?}");
    assert!(accounts.log_in(ANNA, "3", HERE).await.is_ok());
    assert_eq!(devices_of(place, ANNA).await, ["2", "3"], "its oldest gave way");
    let connected = accounts.connect(&device(BEN, "1"), HERE).await;
    assert!(accounts.log_in(BEN, "2", HERE).await.is_ok());
    assert_eq!(devices_of(place, BEN).await, ["1", "2"], "the one in use stays");
    assert!(accounts.log_in(BEN, "3", HERE).await.is_ok());
    assert_eq!(devices_of(place, BEN).await, ["1", "3"]);
    drop(connected);
    hands.pass(7 * DAY_S + 1_000);
    accounts.expire().await.unwrap();
    assert!(
        accounts.log_in("13800000004", "1", HERE).await.is_ok(),
        "others have expired"
    );
}

async fn devices_whose_tokens_have_expired_are_removed_and_those_in_use_stay(place: &Place) {
    let hands = Hands::new();
    let accounts = accounts(place, &hands).await;
    for id in ["1", "2", "3"] {
        hands.pass(100);
        accounts.log_in(ANNA, id, HERE).await.unwrap();
        accounts.log_in(BEN, id, HERE).await.unwrap();
    }
    let records = place.open().await;
    records.add_contact(BEN, "13899999999", 10).await.unwrap();
    let connected = accounts.connect(&device(ANNA, "2"), HERE).await;
    hands.pass(7 * DAY_S - 200);
    accounts.expire().await.unwrap();
    assert_eq!(devices_of(place, ANNA).await, ["1", "2", "3"]);
    hands.pass(1_000);
    accounts.expire().await.unwrap();
    assert_eq!(devices_of(place, ANNA).await, ["2"], "is in use");
    assert_eq!(devices_of(place, BEN).await, ["3"], "has contacts");
    drop(connected);
    hands.pass(7 * DAY_S + 1_000);
    accounts.expire().await.unwrap();
    assert_eq!(devices_of(place, ANNA).await, Vec::<String>::new());
    assert_eq!(devices_of(place, BEN).await, ["3"]);
    hands.pass(90 * DAY_S);
    accounts.expire().await.unwrap();
    assert_eq!(devices_of(place, BEN).await, Vec::<String>::new());
    assert_eq!(records.contacts(Some(BEN)).await.unwrap(), []);
}

async fn a_removed_device_has_to_log_in_again(place: &Place) {
    let hands = Hands::new();
    let accounts = accounts(place, &hands).await;
    let token = accounts.log_in(ANNA, "lost", HERE).await.unwrap();
    let other = accounts.log_in(ANNA, "other", HERE).await.unwrap();
    hands.pass(10);
    let records = place.open().await;
    let now_s = || i64::try_from(hands.0.load(Ordering::Relaxed)).unwrap();
    records.remove_device(&device(ANNA, "lost"), now_s()).await.unwrap();
    assert_eq!(accounts.verify(&token).await.unwrap(), None);
    assert!(accounts.verify(&other).await.unwrap().is_some());
    let contacts = accounts.contacts(ANNA, &token).await;
    assert!(matches!(contacts, Err(AccountError::BadToken)), "{contacts:?}");
    let again = records.remove_device(&device(ANNA, "lost"), now_s()).await;
    assert!(matches!(again, Err(RecordError::Missing { .. })), "{again:?}");
    hands.pass(10);
    let new = accounts.log_in(ANNA, "lost", HERE).await.unwrap();
    assert!(accounts.verify(&new).await.unwrap().is_some());
    assert_eq!(accounts.verify(&token).await.unwrap(), None, "the old one stays over");
    hands.pass(7 * DAY_S + 100);
    accounts.expire().await.unwrap();
    let removed = records.device_removed_at(&device(ANNA, "lost")).await.unwrap();
    assert_eq!(removed, None, "no such token is valid any more");
}

async fn two_processes_together_keep_to_the_bounds(place: &Place) {
    let hands = Hands::new();
    let open = || accounts_with(place, &hands, |config| config.max_devices = 30);
    let processes = [open().await, open().await];
    let token = processes[0].log_in(BEN, "1", HERE).await.unwrap();
    let mut logins = tokio::task::JoinSet::new();
    for id in 0..40 {
        let accounts = processes[id % 2].clone();
        logins.spawn(async move { accounts.log_in(ANNA, &id.to_string(), HERE).await.map(drop) });
    }
    for outcome in logins.join_all().await {
        assert!(outcome.is_ok(), "{outcome:?}");
    }
    assert_eq!(devices_of(place, ANNA).await.len(), 16);
    let handles = [place.open().await, place.open().await];
    let mut adding = tokio::task::JoinSet::new();
    for number in 0..20 {
        let records = handles[number % 2].clone();
        adding.spawn(async move {
            records
                .add_contact(BEN, &format!("138000001{number:02}"), 5)
                .await
                .is_ok()
        });
    }
    let added = adding.join_all().await.into_iter().filter(|added| *added).count();
    assert_eq!(added, 5);
    assert_eq!(handles[0].contacts(Some(BEN)).await.unwrap().len(), 5);
    assert!(processes[1].verify(&token).await.unwrap().is_some());
}

async fn two_processes_that_start_at_once_sign_with_one_secret(place: &Place) {
    let hands = Hands::new();
    place.open().await.close().await;
    let (first, second) = tokio::join!(accounts(place, &hands), accounts(place, &hands));
    let token = first.log_in(ANNA, "1", HERE).await.unwrap();
    assert!(second.verify(&token).await.unwrap().is_some());
    assert_eq!(place.open().await.token_secrets(|_| None).await.unwrap().len(), 1);
}

async fn a_new_secret_of_one_process_signs_nothing_that_another_one_refuses(place: &Place) {
    let hands = Hands::new();
    let (first, second) = (accounts(place, &hands).await, accounts(place, &hands).await);
    hands.pass(90 * DAY_S);
    first.rotate().await.unwrap();
    for passed_s in [0, HOURS_2_S / 2, HOURS_2_S / 2] {
        hands.pass(passed_s);
        // Each looks once an hour, and not at the same time.
        if passed_s > 0 {
            second.rotate().await.unwrap();
            first.rotate().await.unwrap();
        }
        let token = first.log_in(ANNA, "1", HERE).await.unwrap();
        assert!(
            second.verify(&token).await.unwrap().is_some(),
            "after {passed_s} s more"
        );
        let token = second.log_in(ANNA, "1", HERE).await.unwrap();
        assert!(first.verify(&token).await.unwrap().is_some(), "after {passed_s} s more");
    }
    let secrets = place.open().await.token_secrets(|_| None).await.unwrap();
    assert_eq!(secrets.len(), 2);
}
