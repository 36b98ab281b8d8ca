//! Users who log in: by their numbers, and those whose phones are woken.

use patchbay::domain::Person;
use patchbay::ids::{PushService, UserId};
use patchbay::shares::{ClientAddress, Share};
use patchbay::storage::{PushDevice, PushRecorded, Quota};

use super::{Place, on_both};

on_both!(accounts_are_found_by_their_numbers_and_those_with_devices_are_listed,);

const NOW_S: i64 = 1_600_000_000;

const PLENTY: Quota = Quota {
    in_all: 1_000,
    share: Share {
        percent: 100,
        at_least: 1,
    },
};

async fn accounts_are_found_by_their_numbers_and_those_with_devices_are_listed(place: &Place) {
    let records = place.open().await;
    let mut numbers = Vec::new();
    for user in ["anna", "ben", "carl"] {
        records
            .add_user_account(&Person::unnamed(user.into()), "secret")
            .await
            .unwrap();
        let device = PushDevice {
            service: PushService::JPush,
            device: "phone".to_owned(),
            token: format!("of {user}"),
        };
        let source = (ClientAddress::THIS_MACHINE, NOW_S);
        let user = UserId::from(user);
        let recorded = records.set_push_device(&user, &device, source, 16, PLENTY);
        assert_eq!(recorded.await.unwrap(), PushRecorded::Done);
        numbers.push(records.user_account(user.as_str()).await.unwrap().unwrap().number);
    }
    // Ben can no longer log in, and Dora has no device.
    records.set_user_password(&"ben".into(), None).await.unwrap();
    records
        .add_user_account(&Person::unnamed("dora".into()), "secret")
        .await
        .unwrap();
    let found = async |text: String| {
        let account = records.user_account_numbered(&text).await.unwrap();
        account.map(|account| account.person.user.to_string())
    };
    assert_eq!(found(numbers[0].to_string()).await.as_deref(), Some("anna"));
    for nobody in [
        numbers[1].to_string(),
        "99".to_owned(),
        format!("0{}", numbers[0]),
        "anna".to_owned(),
        "9".repeat(30),
    ] {
        assert_eq!(found(nobody.clone()).await, None, "{nobody}");
    }
    let page = async |after: &str| records.accounts_with_devices(after, 1).await.unwrap();
    assert_eq!(page("").await, ["anna".into()]);
    assert_eq!(page("anna").await, ["carl".into()]);
    assert_eq!(page("carl").await, [""; 0].map(UserId::from));
    assert!(!records.has_conference("anna\0").await.unwrap());
    assert_eq!(records.devices(Some("1\0")).await.unwrap(), []);
}
