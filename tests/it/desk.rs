//! A client without a socket: its session, its answers and its events, by a token, against the real hub and rules in virtual
//! time.

mod restarts;

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use patchbay::domain::{Claim, Command, Event, Offer, Person, Refusal, RoomKind, Stay, UserFeed};
use patchbay::http::desk::{Arrival, Desk, NotDone, NotReceived, Purpose, Token};
use patchbay::hub::{self, Capacity, Events, HubHandle, NoPlace, Session};
use patchbay::ids::{Feed, Turn};
use patchbay::media::description::{Description, OfferError};
use patchbay::shares::ClientAddress;
use tokio::sync::mpsc;
use tokio::task::yield_now;

use crate::transcripts::{FakeMedia, Shelf, offers};

const MINUTE: Duration = Duration::from_secs(60);
/// An address may have a quarter of all entries.
const PERCENT: u8 = 25;

struct Office {
    desk: Desk,
    hub: HubHandle,
    media: FakeMedia,
}

impl Office {
    fn open() -> Office {
        Self::open_with(Capacity::default())
    }

    fn open_with(capacity: Capacity) -> Office {
        let (fake, media, media_events) = FakeMedia::new();
        let (pushes, _) = mpsc::channel(1);
        let (hub, running) = hub::start(
            media,
            media_events,
            capacity,
            Shelf::default(),
            rand::make_rng(),
            pushes,
        );
        tokio::spawn(running);
        let desk = Desk::new(hub.clone(), PERCENT, Arc::new(tokio::time::Instant::now));
        tokio::spawn(desk.clone().sweep());
        Office { desk, hub, media: fake }
    }

    /// Somebody who publishes over one connection, or watches by one, with an entry that is there for it.
    async fn program(&self, name: &str, purpose: Purpose, number: u32) -> Token {
        let Arrival { session, held } = self.desk.receive(ClientAddress::THIS_MACHINE).await.unwrap();
        session.request(join(name, 3)).await.unwrap();
        let token = self.desk.open_for_a_connection(session, held);
        let direction = if purpose == camera(name) {
            "sendonly"
        } else {
            "recvonly"
        };
        let answer = self.desk.offer(token, purpose, description(direction, number)).await;
        assert_eq!(answer.unwrap().number, 1);
        token
    }

    async fn visitor(&self, name: &str) -> Token {
        let token = self.desk.open(ClientAddress::THIS_MACHINE, MINUTE).await.unwrap();
        self.desk.request(token, join(name, 1)).await.unwrap();
        let first = self.desk.events(token, MINUTE).await.unwrap();
        assert!(matches!(first[..], [Event::Joined { .. }]), "{first:?}");
        token
    }

    /// Somebody in the same room who has a session of their own.
    async fn other(&self, name: &str) -> (Session, Events) {
        let (session, mut events) = self.hub.connect(ClientAddress::THIS_MACHINE).await.unwrap();
        session.request(join(name, 2)).await.unwrap();
        assert!(matches!(events.next().await, Some(Event::Joined { .. })));
        (session, events)
    }
}

fn join(name: &str, turn: u64) -> Command {
    Command::Join {
        turn: Turn(turn),
        kind: RoomKind::Group,
        room: "r".into(),
        person: Person::unnamed(name.into()),
        claim: Claim::Unproven,
        stay: Stay::default(),
        connects: false,
    }
}

fn camera(of: &str) -> Purpose {
    Purpose::Feed(UserFeed::camera(of.into()))
}

fn description(direction: &str, number: u32) -> Description {
    Description::read(&offers::offer(direction, number, false))
}

fn offer(direction: &str, number: u32) -> Offer {
    Offer {
        description: description(direction, number),
        ..Offer::default()
    }
}

#[tokio::test(start_paused = true)]
async fn each_offer_gets_its_own_answer_however_many_are_on_their_way() {
    let office = Office::open();
    let anna = office.visitor("anna").await;
    let (_ben, _events) = office.other("ben").await;
    let (published, watched, nonsense) = tokio::join!(
        office.desk.offer(anna, camera("anna"), description("sendonly", 1)),
        office.desk.offer(anna, camera("ben"), description("recvonly", 2)),
        office.desk.offer(anna, camera("ben"), Description::default()),
    );
    assert!(published.unwrap().sdp.contains("a=recvonly"));
    assert!(watched.unwrap().sdp.contains("a=sendonly"));
    assert!(matches!(
        nonsense,
        Err(NotDone::Refused(Refusal::BadOffer(Some(OfferError::Syntax(_)))))
    ));
    let events = office.desk.events(anna, MINUTE).await.unwrap();
    let is_answer = |event: &Event| matches!(event, Event::Answered { .. });
    assert!(!events.iter().any(is_answer), "an answer is given once: {events:?}");
}

#[tokio::test(start_paused = true)]
async fn events_are_waited_for_and_come_once_and_in_order() {
    let office = Office::open();
    let anna = office.visitor("anna").await;
    assert_eq!(
        office.desk.events(anna, MINUTE / 4).await,
        Ok(Vec::new()),
        "nothing happens"
    );
    let desk = office.desk.clone();
    let waiting = tokio::spawn(async move { desk.events(anna, MINUTE / 4).await });
    yield_now().await;
    let (ben, _events) = office.other("ben").await;
    let heard = waiting.await.unwrap().unwrap();
    assert!(matches!(heard[..], [Event::ParticipantArrived { .. }]), "{heard:?}");
    for text in ["first", "second"] {
        ben.request(Command::SendText { text: text.into() }).await.unwrap();
    }
    yield_now().await;
    let texts = office.desk.events(anna, MINUTE / 4).await.unwrap();
    let sent = |event: &Event| match event {
        Event::Text { text, .. } => text.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(texts.iter().map(sent).collect::<Vec<_>>(), ["first", "second"]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_say_that_it_is_there_is_forgotten_and_leaves_the_room() {
    let office = Office::open();
    let (anna, carl) = (office.visitor("anna").await, office.visitor("carl").await);
    let (_ben, mut events) = office.other("ben").await;
    tokio::time::sleep(MINUTE / 2).await;
    office.desk.renew(carl, MINUTE).unwrap();
    tokio::time::sleep(MINUTE / 2 + Duration::from_secs(2)).await;
    assert_eq!(
        events.next().await,
        Some(Event::ParticipantLeft { user: "anna".into() })
    );
    assert_eq!(office.desk.events(anna, MINUTE).await, Err(NotDone::UnknownToken));
    assert_eq!(
        office.desk.request(anna, Command::Leave).await,
        Err(NotDone::UnknownToken)
    );
    assert_eq!(office.desk.renew(anna, MINUTE), Err(NotDone::UnknownToken), "too late");
    assert_eq!(office.desk.request(carl, Command::Leave).await, Ok(()));
    office.desk.close(carl);
    assert_eq!(
        office.desk.request(carl, Command::Leave).await,
        Err(NotDone::UnknownToken)
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_that_waits_hears_at_once_that_its_entry_is_forgotten() {
    let office = Office::open();
    let anna = office.visitor("anna").await;
    let begun = tokio::time::Instant::now();
    let desk = office.desk.clone();
    let waiting = tokio::spawn(async move { desk.events(anna, MINUTE / 4).await });
    yield_now().await;
    office.desk.close(anna);
    assert_eq!(waiting.await.unwrap(), Err(NotDone::UnknownToken));
    assert!(begun.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_server_is_the_last_event() {
    let office = Office::open();
    let anna = office.visitor("anna").await;
    let hub = office.hub.clone();
    let ending = tokio::spawn(async move { hub.shutdown().await });
    let last = office.desk.events(anna, MINUTE / 4).await.unwrap();
    assert!(matches!(last[..], [Event::Ended(_)]), "{last:?}");
    assert_eq!(office.desk.events(anna, MINUTE / 4).await, Err(NotDone::UnknownToken));
    ending.await.unwrap();
    let refused = office.desk.open(ClientAddress::THIS_MACHINE, MINUTE).await;
    assert_eq!(refused, Err(NotReceived::NoPlace(NoPlace::GoingDown)));
}

#[tokio::test(start_paused = true)]
async fn a_guessed_token_opens_nothing() {
    let office = Office::open();
    let anna = office.visitor("anna").await;
    let text = anna.text();
    let mut guesses: Vec<String> = (0..32).map(|digit| changed(&text, digit)).collect();
    guesses.extend((0..1_000).map(|_| Token::random().text()));
    for guess in guesses {
        let guess = Token::read(&guess).unwrap();
        assert_eq!(
            office.desk.request(guess, Command::Leave).await,
            Err(NotDone::UnknownToken)
        );
        assert_eq!(office.desk.events(guess, MINUTE).await, Err(NotDone::UnknownToken));
        assert_eq!(office.desk.renew(guess, MINUTE), Err(NotDone::UnknownToken));
        office.desk.close(guess);
    }
    assert_eq!(
        office.desk.request(anna, Command::Leave).await,
        Ok(()),
        "nobody has left for them"
    );
}

fn changed(text: &str, at: usize) -> String {
    let other = if text.as_bytes()[at] == b'0' { "1" } else { "0" };
    format!("{}{other}{}", &text[..at], &text[at + 1..])
}

#[tokio::test(start_paused = true)]
async fn an_address_that_takes_all_it_can_leaves_entries_for_others() {
    let office = Office::open();
    let greedy: ClientAddress = std::net::IpAddr::from([203, 0, 113, 1]).into();
    let other: ClientAddress = std::net::IpAddr::from([203, 0, 113, 2]).into();
    let mut taken = Vec::new();
    let denied = loop {
        match office.desk.open(greedy, MINUTE).await {
            Ok(token) => taken.push(token),
            Err(denied) => break denied,
        }
        assert!(taken.len() <= 1_000);
    };
    assert_eq!(denied, NotReceived::NoPlace(NoPlace::ShareUsedUp));
    assert_eq!(taken.len(), 250);
    office.desk.open(other, MINUTE).await.unwrap();
    // A place whose entry was forgotten is free again.
    tokio::time::sleep(MINUTE + Duration::from_secs(2)).await;
    office.desk.open(greedy, MINUTE).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_fetches_is_forgotten_and_the_room_goes_on() {
    let office = Office::open();
    let anna = office.visitor("anna").await;
    let (ben, mut events) = office.other("ben").await;
    let (mut sent, mut others) = (0, Vec::new());
    // Slowly enough for the hub, and for more events than an entry holds.
    while office.desk.renew(anna, MINUTE).is_ok() {
        ben.request(Command::SendText {
            text: "x".repeat(1_000).into(),
        })
        .await
        .unwrap();
        sent += 1;
        assert!(sent < 1_000, "its events have no bound");
        yield_now().await;
        others.extend(not_texts(&mut events));
    }
    assert!(sent > 100, "{sent}");
    assert_eq!(office.desk.events(anna, MINUTE).await, Err(NotDone::UnknownToken));
    ben.request(Command::SendText { text: "alone".into() }).await.unwrap();
    others.extend(not_texts(&mut events));
    assert_eq!(others, [Event::ParticipantLeft { user: "anna".into() }]);
}

fn not_texts(events: &mut Events) -> Vec<Event> {
    let there_are = std::iter::from_fn(|| events.try_next());
    there_are.filter(|event| !matches!(event, Event::Text { .. })).collect()
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_server_does_not_wait_for_who_does_not_fetch_the_goodbye() {
    let office = Office::open();
    let anna = office.visitor("anna").await;
    let begun = tokio::time::Instant::now();
    office.hub.shutdown().await;
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    let asked = office.desk.request(anna, Command::Leave).await;
    assert_eq!(asked, Err(NotDone::Refused(Refusal::SessionEnded)));
    let last = office.desk.events(anna, MINUTE).await.unwrap();
    assert!(matches!(last[..], [Event::Ended(_)]), "{last:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_at_once_meets_the_pause_that_the_first_of_it_has_brought_about() {
    // A session begins with four seconds of its rate.
    let office = Office::open_with(Capacity {
        fan_out_bytes_per_s: 100,
        ..Capacity::default()
    });
    let anna = office.visitor("anna").await;
    let (_ben, _events) = office.other("ben").await;
    let send_text = || {
        let text = "x".repeat(1_000).into();
        office.desk.request(anna, Command::SendText { text })
    };
    let (first, second) = tokio::join!(send_text(), send_text());
    assert_eq!(first, Ok(()));
    assert!(matches!(second, Err(NotDone::Paused(_))), "{second:?}");
    tokio::time::sleep(MINUTE / 2).await;
    assert_eq!(send_text().await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn the_announcement_of_a_screen_is_charged_and_an_offer_that_cannot_be_answered_announces_nothing() {
    let office = Office::open_with(Capacity {
        fan_out_bytes_per_s: 1,
        ..Capacity::default()
    });
    let anna = office.visitor("anna").await;
    let (_ben, mut events) = office.other("ben").await;
    let (user, feed) = ("anna".into(), Feed::Screen);
    let subject = UserFeed { user, feed };
    let request = |offer| {
        let subject = subject.clone();
        office.desk.request(anna, Command::Offer { subject, offer })
    };
    for _ in 0..2 {
        let refused = request(Offer::default()).await;
        assert!(
            matches!(refused, Err(NotDone::Refused(Refusal::BadOffer(_)))),
            "{refused:?}"
        );
    }
    assert_eq!(events.try_next(), None);
    assert_eq!(request(offer("sendonly", 1)).await, Ok(()));
    let (user, feeds) = ("anna".into(), vec![Feed::Screen]);
    assert_eq!(events.try_next(), Some(Event::FurtherFeeds { user, feeds }));
    let more = request(offer("sendonly", 1)).await;
    assert!(matches!(more, Err(NotDone::Paused(_))), "{more:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_gives_up_its_request_does_not_evade_the_pause() {
    let office = Office::open_with(Capacity {
        fan_out_bytes_per_s: 100,
        ..Capacity::default()
    });
    let anna = office.visitor("anna").await;
    let (_ben, mut events) = office.other("ben").await;
    let send_text = || {
        let text = "x".repeat(1_000).into();
        office.desk.request(anna, Command::SendText { text })
    };
    assert_eq!(send_text().now_or_never(), None, "given up while it waits for the hub");
    let second = send_text().await;
    assert!(matches!(second, Err(NotDone::Paused(_))), "{second:?}");
    let sent = std::iter::from_fn(|| events.try_next());
    assert_eq!(sent.count(), 1, "what was begun is carried out");
}

#[tokio::test(start_paused = true)]
async fn joins_have_the_order_in_which_their_requests_came() {
    let office = Office::open();
    let (first, second) = (office.visitor("anna").await, office.visitor("ben").await);
    let (older, newer) = (
        office.desk.take_turn(first).unwrap(),
        office.desk.take_turn(second).unwrap(),
    );
    let join = |turn: Turn| join("carl", turn.0);
    // The one that came first is admitted last, and does not take the place of the other.
    office.desk.request(second, join(newer)).await.unwrap();
    office.desk.request(first, join(older)).await.ok();
    yield_now().await;
    let events = office.desk.events(second, MINUTE).await.unwrap();
    assert!(
        !events.iter().any(|event| matches!(event, Event::Ended(_))),
        "{events:?}"
    );
    let events = office.desk.events(first, MINUTE).await.unwrap();
    assert!(matches!(events.last(), Some(Event::Ended(_))), "{events:?}");
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_is_there_for_a_connection_ends_with_it_and_its_place_is_free_again() {
    let mut office = Office::open();
    let (_ben, mut events) = office.other("ben").await;
    let names: Vec<String> = (0..100).map(|number| format!("program-{number}")).collect();
    let mut tokens = Vec::new();
    for (number, name) in (1..).zip(&names) {
        let number: u32 = number;
        // Ben's arrival is in none of their queues; each is sent the arrivals of those after it.
        if number > 90 {
            break;
        }
        tokens.push(office.program(name, camera(name), number).await);
    }
    let opened = std::iter::from_fn(|| office.media.next()).filter(|command| command.starts_with("open"));
    assert_eq!(opened.count(), 90);
    tokio::time::sleep(20 * MINUTE).await;
    assert!(
        tokens.iter().all(|token| office.desk.connection(*token).is_ok()),
        "nobody renews them"
    );
    for number in 1..=90 {
        office.media.reports("lost", number).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    for token in tokens {
        assert_eq!(office.desk.connection(token), Err(NotDone::UnknownToken));
        assert!(!office.desk.close(token));
    }
    let left = std::iter::from_fn(|| events.try_next());
    let left = left.filter(|event| matches!(event, Event::ParticipantLeft { .. }));
    assert_eq!(left.count(), 90, "they leave the room");
}

#[tokio::test(start_paused = true)]
async fn an_entry_without_an_answered_offer_is_removed_within_half_a_minute() {
    let office = Office::open();
    let (_ben, mut events) = office.other("ben").await;
    let Arrival { session, held } = office.desk.receive(ClientAddress::THIS_MACHINE).await.unwrap();
    session.request(join("anna", 3)).await.unwrap();
    let token = office.desk.open_for_a_connection(session, held);
    // A renewal is for those that are renewed; this one has its time.
    tokio::time::sleep(Duration::from_secs(32)).await;
    assert!(!office.desk.close(token));
    let arrived = events.next().await;
    assert!(matches!(arrived, Some(Event::ParticipantArrived { .. })), "{arrived:?}");
    assert_eq!(
        events.next().await,
        Some(Event::ParticipantLeft { user: "anna".into() })
    );
}

#[tokio::test(start_paused = true)]
async fn an_address_that_comes_and_goes_all_day_is_slowed_and_no_other_is() {
    let office = Office::open();
    let restless: ClientAddress = std::net::IpAddr::from([203, 0, 113, 1]).into();
    let other: ClientAddress = std::net::IpAddr::from([203, 0, 113, 2]).into();
    let comes_and_goes = async |client, times| {
        let mut received = 0;
        for _ in 0..times {
            match office.desk.receive(client).await {
                Ok(_) => received += 1,
                Err(NotReceived::TooOften(pause)) => return (received, pause),
                Err(why) => panic!("{why}"),
            }
        }
        (received, Duration::ZERO)
    };
    let (received, pause) = comes_and_goes(restless, 1_000).await;
    assert_eq!((received, pause), (300, Duration::from_millis(100)));
    assert_eq!(comes_and_goes(other, 100).await.0, 100);
    assert_eq!(comes_and_goes(ClientAddress::THIS_MACHINE, 1_000).await.0, 1_000);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(comes_and_goes(restless, 1_000).await.0, 20);
}

#[tokio::test(start_paused = true)]
async fn a_viewers_entry_ends_when_the_one_leaves_whom_it_watches_or_is_replaced() {
    let office = Office::open();
    let anna = office.visitor("anna").await;
    let (_ben, _events) = office.other("ben").await;
    let of_anna = office.program("viewer-1", camera("anna"), 1).await;
    let of_ben = office.program("viewer-2", camera("ben"), 2).await;
    office.desk.close(anna);
    let _again = office.other("ben").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    for token in [of_anna, of_ben] {
        assert_eq!(office.desk.connection(token), Err(NotDone::UnknownToken));
    }
}
