//! Messages that wait to be posted.

use patchbay::storage::{Added, NewWebhook, WaitingWebhook};

use super::{Place, on_both};

on_both!(
    each_message_is_taken_by_one_process_and_again_when_its_time_has_come,
    where_too_many_wait_the_oldest_gives_way,
);

fn new<'a>(id: &'a str, body: &'a str, made_s: i64) -> NewWebhook<'a> {
    let end_of = None;
    NewWebhook {
        id,
        body,
        made_s,
        end_of,
    }
}

fn waiting(id: &str, attempts: i64) -> WaitingWebhook {
    WaitingWebhook {
        id: id.to_owned(),
        body: format!("body of {id}"),
        attempts,
    }
}

async fn each_message_is_taken_by_one_process_and_again_when_its_time_has_come(place: &Place) {
    let (one, other) = (place.open().await, place.open().await);
    for (id, now_s) in [("a", 100), ("b", 101), ("c", 102)] {
        let body = format!("body of {id}");
        assert_eq!(one.add_webhook(&new(id, &body, now_s), 10).await.unwrap(), Added::Done);
    }
    assert_eq!(other.next_webhook_s().await.unwrap(), Some(100));
    assert_eq!(
        one.take_webhooks(102, 150, 2).await.unwrap(),
        [waiting("a", 1), waiting("b", 1)]
    );
    assert_eq!(other.take_webhooks(102, 150, 2).await.unwrap(), [waiting("c", 1)]);
    assert_eq!(other.take_webhooks(149, 200, 2).await.unwrap(), []);
    one.remove_webhook("a").await.unwrap();
    one.postpone_webhook("b", 300).await.unwrap();
    assert_eq!(other.next_webhook_s().await.unwrap(), Some(150));
    assert_eq!(
        other.take_webhooks(150, 400, 2).await.unwrap(),
        [waiting("c", 2)],
        "its process was lost"
    );
    assert_eq!(one.take_webhooks(300, 400, 2).await.unwrap(), [waiting("b", 2)]);
}

async fn where_too_many_wait_the_oldest_gives_way(place: &Place) {
    let records = place.open().await;
    for (id, now_s, added) in [
        ("a", 100, Added::Done),
        ("b", 99, Added::Done),
        ("c", 101, Added::InPlaceOfAnother),
    ] {
        assert_eq!(
            records.add_webhook(&new(id, "body", now_s), 2).await.unwrap(),
            added,
            "{id}"
        );
    }
    let left = records.take_webhooks(200, 300, 10).await.unwrap();
    let left: Vec<&str> = left.iter().map(|webhook| webhook.id.as_str()).collect();
    assert_eq!(left, ["a", "c"]);
}
