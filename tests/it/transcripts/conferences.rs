//! Rooms that are conferences, in both families of group calls: a PIN is the room's password. Hosts have 4711 and guests 0815.

use patchbay::config::Config;
use patchbay::storage::Guests;

use super::{House, Stage};

fn stage(guests: Guests) -> Stage {
    Stage::with(House::default().with_conference("7", guests, false), Config::default())
}

#[tokio::test(start_paused = true)]
async fn the_pin_of_hosts_and_that_of_guests_let_people_in_and_no_other_does() {
    stage(Guests::WithPin)
        .play(
            r#"
            none > {"type":"join","room":7,"userId":1}
            none < {"type":"permisionDeny","userId":1,"roomId":7}
            none x 1008 the room's password is missing or wrong
            wrong > {"type":"join","room":7,"userId":1,"pw":"0816"}
            wrong < {"type":"permisionDeny","userId":1,"roomId":7}
            wrong x 1008 the room's password is missing or wrong
            word > {"id":"joinRoom","room":"7","name":"1","pw":"none"}
            word x 1008 the room's password is missing or wrong
            host > {"type":"join","room":7,"userId":1,"pw":"4711"}
            host < {"type":"existingParticipants","participants":[]}
            guest > {"id":"joinRoom","room":"7","name":"2","pw":"0815"}
            host < {"type":"newParticipantArrived","participant":{"id":2,"userId":2,"name":"2","prefix":"","postfix":"","suffix":""}}
            guest < {"id":"existingParticipants","data":["1"]}
            number > {"type":"join","room":7,"userId":3,"pw":4711}
            host < {"type":"newParticipantArrived","participant":{"id":3,"userId":3,"name":"3","prefix":"","postfix":"","suffix":""}}
            guest < {"id":"newParticipantArrived","name":"3"}
            number < {"type":"existingParticipants","participants":[{"id":1,"userId":1,"name":"1","prefix":"","postfix":"","suffix":""},{"id":2,"userId":2,"name":"2","prefix":"","postfix":"","suffix":""}]}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn where_no_guests_may_enter_only_the_pin_of_hosts_lets_in() {
    stage(Guests::Nobody)
        .play(
            r#"
            none > {"id":"joinRoom","room":"7","name":"1"}
            none x 1008
            guest > {"type":"join","room":7,"userId":1,"pw":"0815"}
            guest < {"type":"permisionDeny","userId":1,"roomId":7}
            guest x 1008
            host > {"type":"join","room":7,"userId":1,"pw":"4711"}
            host < {"type":"existingParticipants","participants":[]}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn guests_who_need_no_pin_enter_without_a_password_and_not_with_a_wrong_one() {
    stage(Guests::Anybody)
        .play(
            r#"
            guest > {"type":"join","room":7,"userId":1}
            guest < {"type":"existingParticipants","participants":[]}
            wrong > {"id":"joinRoom","room":"7","name":"2","pw":"0815"}
            wrong x 1008
            host > {"id":"joinRoom","room":"7","name":"2","pw":"4711"}
            guest < {"type":"newParticipantArrived","participant":{"id":2,"userId":2,"name":"2","prefix":"","postfix":"","suffix":""}}
            host < {"id":"existingParticipants","data":["1"]}
            "#,
        )
        .await;
}

/// The name of a room of two is another room's, also where it is the alias of a conference.
#[tokio::test(start_paused = true)]
async fn a_room_of_two_is_no_conference() {
    stage(Guests::Nobody)
        .play(
            r#"
            a@direct > {"type":"join","room":7,"userId":1}
            a@direct < {"type":"existingParticipants","participants":[]}
            "#,
        )
        .await;
}

/// The app's back end has decided that they may enter.
#[tokio::test(start_paused = true)]
async fn the_holder_of_an_access_token_needs_no_pin() {
    stage(Guests::Nobody)
        .play(
            r#"
            a > {"type":"join","room":"7","userId":1,"token":"@access 7 1"}
            a < {"type":"existingParticipants","participants":[]}
            b > {"type":"join","room":"7","userId":2,"token":"@access 7 2 expired","pw":"4711"}
            b < {"type":"permisionDeny","userId":2,"roomId":7}
            b x 4403
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn guests_of_a_conference_that_waits_are_refused_until_a_host_is_there() {
    let house = House::default().with_conference("7", Guests::Anybody, true);
    Stage::with(house, Config::default())
        .play(
            r#"
            early > {"type":"join","room":7,"userId":1}
            early < {"type":"permisionDeny","userId":1,"roomId":7}
            early x 4425
            early2 > {"id":"joinRoom","room":"7","name":"1"}
            early2 x 4425
            token > {"type":"join","room":"7","userId":5,"token":"@access 7 5"}
            token < {"type":"existingParticipants","participants":[]}
            late > {"id":"joinRoom","room":"7","name":"1"}
            late x 4425
            host > {"id":"joinRoom","room":"7","name":"2","pw":"4711"}
            token < {"type":"newParticipantArrived","participant":{"id":2,"userId":2,"name":"2","prefix":"","postfix":"","suffix":""}}
            host < {"id":"existingParticipants","data":["5"]}
            guest > {"id":"joinRoom","room":"7","name":"1"}
            token < {"type":"newParticipantArrived","participant":{"id":1,"userId":1,"name":"1","prefix":"","postfix":"","suffix":""}}
            host < {"id":"newParticipantArrived","name":"1"}
            guest < {"id":"existingParticipants","data":["5","2"]}
            "#,
        )
        .await;
}

/// As they enter the conference by an app.
#[tokio::test(start_paused = true)]
async fn whoever_shows_a_pin_enters_also_where_only_users_may_and_in_nobody_elses_name() {
    let house = House::default()
        .with_user("1", "Anna", "", "")
        .with_conference("7", Guests::WithPin, false);
    let mut config = Config::default();
    let mut open = Stage::with(house.clone(), config.clone());
    config.auth.required = true;
    let mut strict = Stage::with(house, config);
    for stage in [&mut open, &mut strict] {
        stage
            .play(
                r#"
                anna > {"type":"join","room":"7","userId":1,"pw":"4711","token":"@token 1"}
                anna < {"type":"existingParticipants","participants":[]}
                ben > {"type":"join","room":"7","userId":2,"personName":"Ben","pw":"0815"}
                anna < {"type":"newParticipantArrived","participant":{"id":2,"userId":2,"name":"Ben","prefix":"","postfix":"","suffix":""}}
                ben < {"type":"existingParticipants","participants":[{"id":1,"userId":1,"name":"Anna","prefix":"","postfix":"","suffix":""}]}
                none > {"type":"join","room":"7","userId":3}
                none < {"type":"permisionDeny","userId":3,"roomId":7}
                none x 1008 the room's password is missing or wrong
                wrong > {"id":"joinRoom","room":"7","name":"3","pw":"0816"}
                wrong x 1008 the room's password is missing or wrong
                "#,
            )
            .await;
    }
    let other = r#"
        other > {"type":"join","room":"7","userId":1,"pw":"0815"}
        other < {"type":"permisionDeny","userId":1,"roomId":7}
        other x 4401
        room > {"id":"joinRoom","room":"8","name":"2","pw":"0815"}
        room x 4401
    "#;
    strict.play(other).await;
}
