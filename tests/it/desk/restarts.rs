//! Restarts of the ICE of an entry's connection.

use patchbay::http::desk::NotDone;
use patchbay::media::description::{Description, NotRestarted};

use super::{Office, camera};
use crate::transcripts::offers;

#[tokio::test(start_paused = true)]
async fn a_restart_of_ice_keeps_the_connection_and_counts_the_offer() {
    let mut office = Office::open();
    let anna = office.program("anna", camera("anna"), 1).await;
    let (ufrag, pwd) = ("ub01", "passwordpasswordpassb001");
    let answer = office.desk.restart(anna, None, ufrag, pwd).await.unwrap();
    assert_eq!(answer.number, 2);
    let expected = Description::read(&offers::offer("sendonly", 1, true));
    let connection = office.desk.connection(anna).unwrap();
    assert_eq!((connection.description.has_ufrag(ufrag), connection.number), (true, 2));
    assert!(connection.description == expected, "as the whole offer would have been");
    let commands: Vec<String> = std::iter::from_fn(|| office.media.next()).collect();
    assert_eq!(commands, ["open 1 publish", "again 1 publish"], "no other connection");
    let refused = office.desk.restart(anna, None, "x", pwd).await;
    assert_eq!(refused, Err(NotDone::NotRestarted(NotRestarted::Credentials)));
    assert_eq!(office.desk.connection(anna), Ok(connection), "it goes on");
}

#[tokio::test(start_paused = true)]
async fn of_two_restarts_of_the_same_ice_one_is_carried_out() {
    let mut office = Office::open();
    let anna = office.program("anna", camera("anna"), 1).await;
    let restart = |from, ufrag| office.desk.restart(anna, from, ufrag, "passwordpasswordpassb001");
    let (one, other) = tokio::join!(restart(Some(1), "ub01"), restart(Some(1), "uc01"));
    assert_eq!(one.unwrap().number, 2);
    assert_eq!(other, Err(NotDone::OtherState));
    assert_eq!(restart(Some(1), "uc01").await, Err(NotDone::OtherState), "too late");
    // A request that was refused is in nobody's way.
    let refused = restart(Some(2), "x").await;
    assert_eq!(refused, Err(NotDone::NotRestarted(NotRestarted::Credentials)));
    assert_eq!(restart(Some(2), "uc01").await.unwrap().number, 3);
    let (one, other) = tokio::join!(restart(None, "ud01"), restart(None, "ue01"));
    assert_eq!(
        (one.unwrap().number, other.unwrap().number),
        (4, 5),
        "whatever the state is"
    );
    assert_eq!(std::iter::from_fn(|| office.media.next()).count(), 5);
}
