//! The part of the common space that one client address may use.

use std::time::Duration;

use patchbay::accounts::AccountError;
use patchbay::shares::ClientAddress;

use super::super::on_both;
use super::{ANNA, BEN, Hands, Place, accounts_sharing, accounts_with};

on_both!(
    each_client_address_has_a_rate_of_logins_and_of_new_accounts,
    clients_of_a_local_proxy_that_does_not_name_them_share_no_rate,
    one_client_address_cannot_fill_the_server_with_devices,
);

fn client(text: &str) -> ClientAddress {
    text.parse::<std::net::IpAddr>().unwrap().into()
}

async fn each_client_address_has_a_rate_of_logins_and_of_new_accounts(place: &Place) {
    let hands = Hands::new();
    let accounts = accounts_with(place, &hands, |config| {
        config.logins_per_minute = 6;
        config.new_accounts_per_hour = 2;
    })
    .await;
    let (here, there) = (client("2001:db8::1"), client("192.0.2.1"));
    accounts.log_in(ANNA, "1", here).await.unwrap();
    accounts.log_in(BEN, "1", client("2001:db8::2")).await.unwrap();
    let third = accounts.log_in("13800000003", "1", here).await;
    assert!(
        matches!(third, Err(AccountError::TooManyNewAccounts { .. })),
        "{third:?}"
    );
    for id in 2..5 {
        accounts.log_in(ANNA, &id.to_string(), here).await.unwrap();
    }
    let seventh = accounts.log_in(ANNA, "1", here).await;
    let Err(AccountError::TooManyChanges { wait }) = seventh else {
        panic!("{seventh:?}");
    };
    assert_eq!(wait, Duration::from_secs(10));
    assert!(accounts.log_in(ANNA, "1", there).await.is_ok(), "another network");
    hands.pass(10);
    assert!(accounts.log_in(ANNA, "1", here).await.is_ok());
    hands.pass(1_800);
    assert!(accounts.log_in("13800000003", "1", here).await.is_ok());
}

async fn clients_of_a_local_proxy_that_does_not_name_them_share_no_rate(place: &Place) {
    let hands = Hands::new();
    let accounts = accounts_with(place, &hands, |config| {
        config.logins_per_minute = 2;
        config.new_accounts_per_hour = 2;
    })
    .await;
    for here in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
        let proxy = client(here);
        for number in 0..4 {
            let login = accounts.log_in(&format!("1380000001{number}"), here, proxy).await;
            assert!(login.is_ok(), "{here} {number}: {login:?}");
        }
    }
}

/// As fast as the rates allow: with 960 devices an hour, 100,000 are reached long before the first have expired.
async fn one_client_address_cannot_fill_the_server_with_devices(place: &Place) {
    const DEVICES: u64 = 200;
    let hands = Hands::new();
    let accounts = accounts_sharing(place, &hands, 25, |config| config.max_devices = DEVICES as i64).await;
    let (attacker, other) = (client("192.0.2.1"), client("192.0.2.2"));
    let mut refused = 0;
    for account in 0..20 {
        for id in 0..16 {
            hands.pass(60);
            let phone = format!("13900000{account:03}");
            match accounts.log_in(&phone, &id.to_string(), attacker).await {
                Ok(_) => {}
                Err(AccountError::ShareUsedUp) => refused += 1,
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(refused > 0);
    let all = place.open().await.devices(None).await.unwrap().len();
    assert_eq!(all as u64, DEVICES / 4, "a quarter of all");
    assert!(accounts.log_in(ANNA, "1", other).await.is_ok());
    // Seen from elsewhere, a device counts where it was first: otherwise the share could be used again and again.
    for account in 0..3 {
        let phone = format!("13900000{account:03}");
        hands.pass(60);
        accounts.log_in(&phone, "0", other).await.unwrap();
    }
    let one_more = accounts.log_in(BEN, "1", attacker).await;
    assert!(matches!(one_more, Err(AccountError::ShareUsedUp)), "{one_more:?}");
}
