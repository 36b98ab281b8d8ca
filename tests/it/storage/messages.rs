//! Messages that wait: order, bounds, age.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use patchbay::clock::WallClock;
use patchbay::config;
use patchbay::hub::MessageStore;
use patchbay::storage::Mailbox;

use super::{Place, on_both, user};

on_both!(
    messages_wait_in_order_for_each_receiver_until_they_are_forgotten,
    when_a_mailbox_is_full_the_oldest_gives_way,
    a_message_whose_time_is_over_is_not_delivered_and_goes,
    when_all_mailboxes_together_are_full_further_messages_are_refused,
    hostile_receivers_do_no_harm,
);

/// Seconds since 1970, turned by hand.
#[derive(Clone, Default)]
struct Hands(Arc<AtomicU64>);

impl Hands {
    fn clock(&self) -> WallClock {
        let hands = Arc::clone(&self.0);
        Arc::new(move || SystemTime::UNIX_EPOCH + Duration::from_secs(hands.load(Ordering::Relaxed)))
    }
}

async fn mailbox(place: &Place, limits: config::Messages) -> (Mailbox, Hands) {
    let hands = Hands::default();
    hands.0.store(1_000_000, Ordering::Relaxed);
    (Mailbox::new(place.open().await, hands.clock(), limits), hands)
}

async fn bodies(mailbox: &mut Mailbox, receiver: &str) -> Vec<Vec<u8>> {
    let kept = mailbox.kept(&user(receiver)).await.unwrap();
    kept.into_iter().map(|waiting| waiting.message.to_vec()).collect()
}

async fn messages_wait_in_order_for_each_receiver_until_they_are_forgotten(place: &Place) {
    let (mut mailbox, _) = mailbox(place, config::Messages::default()).await;
    for (receiver, body) in [("1", "a"), ("2", "x"), ("1", "b"), ("1", "\0\u{FF}")] {
        mailbox.keep(&user(receiver), body.as_bytes()).await.unwrap();
    }
    let kept = mailbox.kept(&user("1")).await.unwrap();
    let texts: Vec<_> = kept.iter().map(|waiting| &waiting.message[..]).collect();
    assert_eq!(texts, [&b"a"[..], b"b", "\0\u{FF}".as_bytes()]);
    mailbox.keep(&user("1"), b"came meanwhile").await.unwrap();
    mailbox.forget(&user("1"), kept.last().unwrap().number).await.unwrap();
    assert_eq!(bodies(&mut mailbox, "1").await, [b"came meanwhile"]);
    assert_eq!(bodies(&mut mailbox, "2").await, [b"x"]);
    assert_eq!(bodies(&mut mailbox, "3").await, Vec::<Vec<u8>>::new());
}

async fn when_a_mailbox_is_full_the_oldest_gives_way(place: &Place) {
    let limits = config::Messages {
        offline_per_user: 3,
        ..config::Messages::default()
    };
    let (mut mailbox, _) = mailbox(place, limits).await;
    for number in 0..10_u8 {
        mailbox.keep(&user("1"), &[number]).await.unwrap();
    }
    assert_eq!(bodies(&mut mailbox, "1").await, [[7], [8], [9]]);
    // By bytes as well: of these, eight make 512 KiB.
    for number in 0..10_u8 {
        mailbox.keep(&user("2"), &vec![number; 200 * 1024]).await.unwrap();
    }
    let kept = bodies(&mut mailbox, "2").await;
    assert_eq!(kept.iter().map(|body| body[0]).collect::<Vec<_>>(), [8, 9]);
}

async fn a_message_whose_time_is_over_is_not_delivered_and_goes(place: &Place) {
    let limits = config::Messages {
        offline_expire_after_h: 1,
        ..config::Messages::default()
    };
    let (mut mailbox, hands) = mailbox(place, limits).await;
    mailbox.keep(&user("1"), b"old").await.unwrap();
    hands.0.fetch_add(3_000, Ordering::Relaxed);
    mailbox.keep(&user("1"), b"young").await.unwrap();
    assert_eq!(bodies(&mut mailbox, "1").await.len(), 2);
    hands.0.fetch_add(601, Ordering::Relaxed);
    assert_eq!(bodies(&mut mailbox, "1").await, [b"young"]);
    let directory = place.open().await;
    assert_eq!(directory.kept_message_bytes().await.unwrap(), 8);
    mailbox.tidy().await.unwrap();
    assert_eq!(directory.kept_message_bytes().await.unwrap(), 5);
}

async fn when_all_mailboxes_together_are_full_further_messages_are_refused(place: &Place) {
    let limits = config::Messages {
        offline_total_mib: 1,
        ..config::Messages::default()
    };
    let (mut mailbox, _) = mailbox(place, limits).await;
    let body = vec![7; 60 * 1024];
    let mut kept = 0;
    for receiver in 0..30 {
        kept += u32::from(mailbox.keep(&user(&receiver.to_string()), &body).await.is_ok());
    }
    assert_eq!(kept, 17);
    // Delivered ones make room again, at the latest when it is tidied up.
    mailbox.forget(&user("0"), 99).await.unwrap();
    mailbox.tidy().await.unwrap();
    assert!(mailbox.keep(&user("31"), &body).await.is_ok());
}

async fn hostile_receivers_do_no_harm(place: &Place) {
    let (mut mailbox, _) = mailbox(place, config::Messages::default()).await;
    for receiver in ["nul\0", "'; DROP TABLE messages; --", "%", "$1", "\u{202E}"] {
        mailbox.keep(&user(receiver), b"x").await.unwrap();
        let kept = bodies(&mut mailbox, receiver).await;
        assert_eq!(kept.len(), usize::from(!receiver.contains('\0')), "{receiver:?}");
    }
}
