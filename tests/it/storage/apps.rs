//! The app that signs access tokens, on both databases.

use patchbay::auth::access_token::App;

use super::{Place, on_both};

on_both!(
    an_app_is_made_once_and_kept,
    a_configured_app_is_used_and_not_recorded,
    a_damaged_record_of_the_app_is_an_error,
);

async fn an_app_is_made_once_and_kept(place: &Place) {
    let records = place.open().await;
    let (one, other) = (place.open().await, place.open().await);
    let (one, other) = tokio::join!(one.app(None), other.app(None));
    let made = records.app(None).await.unwrap();
    assert_eq!(
        (one.unwrap(), other.unwrap()),
        (made.clone(), made.clone()),
        "two at once"
    );
    records.close().await;
    assert_eq!(place.open().await.app(None).await.unwrap(), made);
    let token = made.issue("ch_a", "anna", 1_000, 1);
    let again = place.open().await.app(None).await.unwrap();
    assert!(again.verify(&token, "ch_a", "anna", 0).is_some());
}

async fn a_configured_app_is_used_and_not_recorded(place: &Place) {
    let configured = App::random();
    let records = place.open().await;
    assert_eq!(records.app(Some(configured.clone())).await.unwrap(), configured);
    let made = records.app(None).await.unwrap();
    assert_ne!(made, configured);
    assert_eq!(records.app(Some(configured.clone())).await.unwrap(), configured);
    assert_eq!(records.app(None).await.unwrap(), made);
}

async fn a_damaged_record_of_the_app_is_an_error(place: &Place) {
    let records = place.open().await;
    records.app(None).await.unwrap();
    place.execute("UPDATE apps SET certificate = 'secret'").await;
    let error = records.app(None).await.unwrap_err().to_string();
    assert!(error.contains("32 hexadecimal digits"), "{error}");
    assert!(!error.contains("secret"), "{error}");
}
