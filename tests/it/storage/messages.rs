//! Waiting messages: order, bounds, age.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use patchbay::clock::WallClock;
use patchbay::config;
use patchbay::domain::{MailboxStore, MessageSender, StoreError};
use patchbay::ids::UserId;
use patchbay::storage::{Mailbox, Records};

use super::{Place, on_both, user};

on_both!(
    messages_wait_in_order_for_each_receiver_until_they_are_forgotten,
    when_a_mailbox_is_full_the_oldest_gives_way,
    an_expired_message_is_not_delivered_and_is_deleted,
    when_all_mailboxes_together_are_full_further_messages_are_refused,
    hostile_receivers_do_no_harm,
    a_stranger_does_not_push_out_messages_of_others,
    one_address_does_not_use_up_the_space_of_all,
    two_processes_keep_messages_for_one_receiver_and_none_is_lost,
    numbers_do_not_begin_again_when_a_mailbox_was_emptied,
);

/// Seconds since 1970; the tests move them.
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
    (Mailbox::new(place.open().await, hands.clock(), limits, 25), hands)
}

/// Keeps a message of somebody on this machine.
async fn keep(mailbox: &mut Mailbox, receiver: &UserId, body: &[u8]) -> Result<(), StoreError> {
    mailbox.keep(receiver, &sender("9", "127.0.0.1"), body).await
}

fn sender(name: &str, address: &str) -> MessageSender {
    MessageSender {
        user: user(name),
        client: address.parse::<IpAddr>().unwrap().into(),
    }
}

async fn total(records: &Records) -> i64 {
    let kept = records.kept_message_bytes().await.unwrap();
    kept.into_iter().map(|(_, bytes)| bytes).sum()
}

async fn bodies(mailbox: &mut Mailbox, receiver: &str) -> Vec<Vec<u8>> {
    let kept = mailbox.kept(&user(receiver)).await.unwrap();
    kept.into_iter().map(|waiting| waiting.message.to_vec()).collect()
}

async fn messages_wait_in_order_for_each_receiver_until_they_are_forgotten(place: &Place) {
    let (mut mailbox, _) = mailbox(place, config::Messages::default()).await;
    for (receiver, body) in [("1", "a"), ("2", "x"), ("1", "b"), ("1", "\0\u{FF}")] {
        keep(&mut mailbox, &user(receiver), body.as_bytes()).await.unwrap();
    }
    let kept = mailbox.kept(&user("1")).await.unwrap();
    let texts: Vec<_> = kept.iter().map(|waiting| &waiting.message[..]).collect();
    assert_eq!(texts, [&b"a"[..], b"b", "\0\u{FF}".as_bytes()]);
    keep(&mut mailbox, &user("1"), b"came meanwhile").await.unwrap();
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
        keep(&mut mailbox, &user("1"), &[number]).await.unwrap();
    }
    assert_eq!(bodies(&mut mailbox, "1").await, [[7], [8], [9]]);
    // The limit in bytes: eight of these make 512 KiB.
    for number in 0..10_u8 {
        keep(&mut mailbox, &user("2"), &vec![number; 200 * 1024]).await.unwrap();
    }
    let kept = bodies(&mut mailbox, "2").await;
    assert_eq!(kept.iter().map(|body| body[0]).collect::<Vec<_>>(), [8, 9]);
}

async fn an_expired_message_is_not_delivered_and_is_deleted(place: &Place) {
    let limits = config::Messages {
        offline_expire_after_h: 1,
        ..config::Messages::default()
    };
    let (mut mailbox, hands) = mailbox(place, limits).await;
    keep(&mut mailbox, &user("1"), b"old").await.unwrap();
    hands.0.fetch_add(3_000, Ordering::Relaxed);
    keep(&mut mailbox, &user("1"), b"young").await.unwrap();
    assert_eq!(bodies(&mut mailbox, "1").await.len(), 2);
    hands.0.fetch_add(601, Ordering::Relaxed);
    assert_eq!(bodies(&mut mailbox, "1").await, [b"young"]);
    let records = place.open().await;
    assert_eq!(total(&records).await, 8);
    mailbox.tidy().await.unwrap();
    assert_eq!(total(&records).await, 5);
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
        kept += u32::from(keep(&mut mailbox, &user(&receiver.to_string()), &body).await.is_ok());
    }
    assert_eq!(kept, 17);
    // Messages that were delivered make room again.
    mailbox.forget(&user("0"), 99).await.unwrap();
    assert!(keep(&mut mailbox, &user("31"), &body).await.is_ok());
}

async fn hostile_receivers_do_no_harm(place: &Place) {
    let (mut mailbox, _) = mailbox(place, config::Messages::default()).await;
    for receiver in ["nul\0", "'; DROP TABLE messages; --", "%", "$1", "\u{202E}"] {
        keep(&mut mailbox, &user(receiver), b"x").await.unwrap();
        let kept = bodies(&mut mailbox, receiver).await;
        assert_eq!(kept.len(), usize::from(!receiver.contains('\0')), "{receiver:?}");
    }
}

async fn a_stranger_does_not_push_out_messages_of_others(place: &Place) {
    let limits = config::Messages {
        offline_per_user: 10,
        ..config::Messages::default()
    };
    let (mut mailbox, _) = mailbox(place, limits).await;
    let anna = user("anna");
    let friend = sender("friend", "192.0.2.1");
    for number in 0..3_u8 {
        mailbox.keep(&anna, &friend, &[number]).await.unwrap();
    }
    for number in 0..200_u8 {
        let name = format!("stranger {}", number % 20);
        let stranger = sender(&name, "2001:db8::1");
        mailbox.keep(&anna, &stranger, &[100 + number % 100]).await.unwrap();
    }
    let kept = bodies(&mut mailbox, "anna").await;
    assert_eq!(kept.len(), 10);
    assert_eq!(kept[..3], [[0], [1], [2]], "what the friend wrote waits");
}

async fn one_address_does_not_use_up_the_space_of_all(place: &Place) {
    let limits = config::Messages {
        offline_total_mib: 8,
        ..config::Messages::default()
    };
    let (mut before, hands) = mailbox(place, limits.clone()).await;
    let body = vec![7; 64 * 1024];
    for receiver in 0..150 {
        let stranger = sender(&format!("name {receiver}"), "192.0.2.2");
        let receiver = user(&format!("victim {receiver}"));
        before.keep(&receiver, &stranger, &body).await.unwrap();
    }
    let records = place.open().await;
    assert_eq!(total(&records).await, 2 << 20, "a quarter of it");

    // The same after the server was started anew.
    let mut mailbox = Mailbox::new(place.open().await, hands.clock(), limits, 25);
    let stranger = sender("name", "192.0.2.2");
    mailbox.keep(&user("one more"), &stranger, &body).await.unwrap();
    assert_eq!(bodies(&mut mailbox, "one more").await.len(), 0);
    mailbox
        .keep(&user("anna"), &sender("friend", "192.0.2.1"), &body)
        .await
        .unwrap();
    assert_eq!(bodies(&mut mailbox, "anna").await.len(), 1);
    // Delivered messages are not counted any more. (The share is one of the free space, and the friend has some.)
    for delivered in ["victim 0", "victim 1"] {
        mailbox.forget(&user(delivered), i64::MAX).await.unwrap();
    }
    mailbox.keep(&user("one more"), &stranger, &body).await.unwrap();
    assert_eq!(bodies(&mut mailbox, "one more").await.len(), 1);
}

async fn two_processes_keep_messages_for_one_receiver_and_none_is_lost(place: &Place) {
    let limits = config::Messages {
        offline_per_user: 500,
        ..config::Messages::default()
    };
    let mut keeping = tokio::task::JoinSet::new();
    for process in 0..4_u8 {
        let (mut mailbox, _) = mailbox(place, limits.clone()).await;
        keeping.spawn(async move {
            for number in 0..50_u8 {
                keep(&mut mailbox, &user("1"), &[process, number]).await.unwrap();
            }
        });
    }
    keeping.join_all().await;
    let (mut mailbox, _) = mailbox(place, limits).await;
    let bodies = bodies(&mut mailbox, "1").await;
    assert_eq!(bodies.len(), 200);
    for process in 0..4_u8 {
        let of_process = bodies.iter().filter(|body| body[0] == process).map(|body| body[1]);
        assert_eq!(of_process.collect::<Vec<_>>(), (0..50).collect::<Vec<_>>(), "in order");
    }
}

async fn numbers_do_not_begin_again_when_a_mailbox_was_emptied(place: &Place) {
    let (mut first, _) = mailbox(place, config::Messages::default()).await;
    let (mut second, _) = mailbox(place, config::Messages::default()).await;
    for body in [b"1", b"2"] {
        keep(&mut first, &user("1"), body).await.unwrap();
    }
    // Both processes have somebody there who takes delivery, and then both say up to which number.
    let up_to = first.kept(&user("1")).await.unwrap().last().unwrap().number;
    assert_eq!(second.kept(&user("1")).await.unwrap().len(), 2);
    first.forget(&user("1"), up_to).await.unwrap();
    keep(&mut first, &user("1"), b"3").await.unwrap();
    second.forget(&user("1"), up_to).await.unwrap();
    assert_eq!(bodies(&mut first, "1").await, [b"3"]);
}
