//! Scenarios: what becomes of a call by what is reported of it.

use proptest::prelude::*;

use super::code::*;
use super::kept::{CHARACTERS_MAX, OWN_MAX, REPORTS_MAX, REPORTS_OF_ONE_MAX};
use super::*;
use crate::storage::KeptReports;
use crate::storage::MemberStatus::{Answered, Called, Over};

const NOW_S: i64 = 1_000;

/// Anna's call to these people.
fn call(callees: &[&str]) -> CallRecord {
    let people = std::iter::once(&"anna").chain(callees);
    let member = |(id, user): (i64, &&str)| Member {
        id,
        user: UserId::from(*user),
        status: Called,
        created_s: 0,
        joined_s: None,
        seen_s: 0,
        left_s: None,
    };
    CallRecord {
        channel: "ch_1".into(),
        caller: "anna".into(),
        extra_msg: String::new(),
        created_s: 0,
        answered_s: None,
        started_s: None,
        ended_s: None,
        ending: None,
        members: (1..).zip(people).map(member).collect(),
        reports: Vec::new(),
        left_out: 0,
    }
}

fn report(call: &mut CallRecord, user: &str, code: i64) -> Consequence {
    let report = Report {
        user: user.into(),
        code,
        description: String::new(),
        at_s: NOW_S,
    };
    let mut reports = Vec::new();
    let taken = call.report(report, &mut reports, NOW_S).unwrap();
    assert_eq!(reports.len(), 1, "every event is kept");
    keep(call, &reports);
    taken
}

/// Counts events that are kept, as storage does.
fn keep(call: &mut CallRecord, reports: &[Report]) {
    for report in reports {
        call.reports.push(KeptReports {
            user: report.user.clone(),
            code: report.code,
            count: 1,
            characters: report.description.chars().count(),
        });
    }
}

fn statuses(call: &CallRecord) -> Vec<MemberStatus> {
    call.members.iter().map(|member| member.status).collect()
}

const JOINED: Consequence = Consequence::Joined { answers: false };
const ANSWERED: Consequence = Consequence::Joined { answers: true };

#[test]
fn a_call_of_two_begins_with_the_first_who_says_so_and_ends_with_the_last_who_leaves() {
    let mut call = call(&["ben"]);
    assert!(call.answer(&"ben".into(), NOW_S));
    assert_eq!(
        (statuses(&call), call.answered_s),
        (vec![Called, Answered], Some(NOW_S))
    );
    assert!(!call.answer(&"ben".into(), NOW_S), "once");
    assert_eq!(report(&mut call, "anna", BEGUN), JOINED);
    assert_eq!(report(&mut call, "anna", BEGUN), JOINED, "a repetition");
    assert_eq!(report(&mut call, "ben", BEGUN), JOINED);
    assert_eq!((statuses(&call), call.people_in()), (vec![Answered, Answered], 2));
    assert_eq!(report(&mut call, "anna", LEFT), Consequence::Left);
    assert_eq!(report(&mut call, "anna", LEFT), Consequence::Left, "a repetition");
    assert_eq!((statuses(&call), call.ended_s), (vec![Over, Answered], None));
    assert_eq!(report(&mut call, "ben", LEFT), Consequence::Over);
    assert_eq!(call.ending, Some(Ending::Ended));
    assert_eq!(report(&mut call, "ben", BEGUN), Consequence::Nothing, "it is over");
    assert_eq!(statuses(&call), [Over, Over]);
}

#[test]
fn the_caller_ends_a_call_that_has_not_begun_and_nobody_else_does() {
    for (code, ending) in [
        (CANCELLED, Ending::Cancelled),
        (NO_ANSWER, Ending::NoAnswer),
        (WAS_DECLINED, Ending::Declined),
    ] {
        let mut ringing = call(&["ben", "carl"]);
        assert_eq!(report(&mut ringing, "ben", code), Consequence::Nothing);
        assert_eq!(report(&mut ringing, "dora", code), Consequence::Nothing);
        assert_eq!(report(&mut ringing, "anna", code), Consequence::Over);
        assert_eq!((ringing.ending, ringing.ended_s), (Some(ending), Some(NOW_S)));
        let mut begun = call(&["ben"]);
        report(&mut begun, "ben", BEGUN);
        assert_eq!(report(&mut begun, "anna", code), Consequence::Nothing);
    }
}

#[test]
fn callees_who_decline_are_out_and_the_last_one_ends_it() {
    for (code, ending) in [(DECLINED, Ending::Declined), (WAS_CANCELLED, Ending::Cancelled)] {
        let mut call = call(&["ben", "carl"]);
        assert_eq!(
            report(&mut call, "anna", code),
            Consequence::Nothing,
            "she calls herself"
        );
        assert_eq!(report(&mut call, "ben", code), Consequence::Out);
        assert_eq!(report(&mut call, "ben", code), Consequence::Nothing);
        assert_eq!(statuses(&call), [Called, Over, Called]);
        assert!(!call.answer(&"ben".into(), NOW_S), "too late");
        assert_eq!(report(&mut call, "carl", code), Consequence::Over);
        assert_eq!(call.ending, Some(ending));
    }
}

#[test]
fn a_callee_who_declines_ends_nothing_for_those_who_talk() {
    let mut call = call(&["ben", "carl"]);
    assert_eq!(report(&mut call, "ben", BEGUN), ANSWERED);
    assert_eq!(report(&mut call, "carl", DECLINED), Consequence::Out);
    assert_eq!(call.ended_s, None);
}

#[test]
fn when_it_stops_ringing_every_callee_who_has_not_answered_is_out() {
    let mut begun = call(&["ben", "carl", "dora"]);
    report(&mut begun, "anna", BEGUN);
    report(&mut begun, "carl", BEGUN);
    assert_eq!(begun.stop_ringing(Ending::NoAnswer, NOW_S), Consequence::Nothing);
    assert_eq!(statuses(&begun), [Answered, Over, Answered, Over]);
    assert_eq!((begun.ended_s, begun.people_in()), (None, 2));
    let mut ringing = call(&["ben", "carl"]);
    assert_eq!(ringing.stop_ringing(Ending::NoAnswer, NOW_S), Consequence::Over);
    assert_eq!(
        (statuses(&ringing), ringing.ending),
        (vec![Over; 3], Some(Ending::NoAnswer))
    );
}

#[test]
fn a_robot_takes_up_a_call_that_nobody_has_answered_a_while_after_its_end() {
    let mut declined = call(&["ben"]);
    assert!(declined.takes_robot(NOW_S));
    declined.join(&"anna".into(), NOW_S).unwrap();
    report(&mut declined, "ben", DECLINED);
    assert!(declined.takes_robot(NOW_S + TAKEN_UP_WITHIN_S));
    assert!(!declined.clone().hand_to_robot(NOW_S + TAKEN_UP_WITHIN_S + 1));
    assert!(declined.hand_to_robot(NOW_S + 5));
    assert_eq!(
        (declined.ended_s, declined.ending, declined.answered_s),
        (None, None, Some(NOW_S + 5))
    );
    assert!(declined.is_in(&"anna".into()) && !declined.is_in(&"ben".into()));
    assert!(declined.counts_presence_of(&"anna".into()));
    assert_eq!(report(&mut declined, "anna", LEFT), Consequence::Over);
    assert!(!declined.hand_to_robot(NOW_S + 6), "they have talked");
    let mut talked = call(&["ben"]);
    report(&mut talked, "ben", BEGUN);
    report(&mut talked, "ben", LEFT);
    assert!(!talked.takes_robot(NOW_S));
}

#[test]
fn a_failure_ends_a_call_of_two_and_takes_one_of_three_out() {
    let mut two = call(&["ben"]);
    report(&mut two, "anna", BEGUN);
    report(&mut two, "ben", BEGUN);
    assert_eq!(report(&mut two, "ben", FAILED), Consequence::Over);
    assert_eq!(two.ending, Some(Ending::Failed));
    let mut three = call(&["ben", "carl"]);
    for user in ["anna", "ben", "carl"] {
        report(&mut three, user, BEGUN);
    }
    assert_eq!(report(&mut three, "ben", FAILED), Consequence::Left);
    assert_eq!(report(&mut three, "dora", FAILED), Consequence::Nothing, "a stranger");
    assert_eq!(report(&mut three, "anna", FAILED), Consequence::Over);
    let mut ringing = call(&["ben", "carl"]);
    assert_eq!(report(&mut ringing, "ben", FAILED), Consequence::Out);
    assert_eq!(report(&mut ringing, "anna", FAILED), Consequence::Over);
}

#[test]
fn somebody_who_was_not_called_comes_in_as_one_more_within_bounds() {
    let mut call = call(&["ben"]);
    assert_eq!(report(&mut call, "dora", BEGUN), JOINED);
    assert_eq!((call.members.len(), call.members[2].id, call.people_in()), (3, 0, 1));
    for number in 0..MEMBERS_MAX - 3 {
        call.join(&UserId::from(number.to_string().as_str()), NOW_S).unwrap();
    }
    assert_eq!(call.join(&"one more".into(), NOW_S), Err(NotTaken::TooManyMembers));
    assert_eq!(call.join(&"ben".into(), NOW_S), Ok(true));
}

/// The description of one more event of somebody, if it is kept, and what follows from it.
fn described(call: &mut CallRecord, user: &str, code: i64, description: &str) -> (Option<String>, Consequence) {
    let mut reports = Vec::new();
    let report = Report {
        user: user.into(),
        code,
        description: description.to_owned(),
        at_s: NOW_S,
    };
    let consequence = call.report(report, &mut reports, NOW_S).unwrap();
    keep(call, &reports);
    (reports.pop().map(|report| report.description), consequence)
}

/// Whether one more event of somebody is kept, and what follows from it.
fn one_more(call: &mut CallRecord, user: &str, code: i64) -> (bool, Consequence) {
    let (kept, consequence) = described(call, user, code, "");
    (kept.is_some(), consequence)
}

/// An event that means nothing here.
const OTHER: i64 = 4_711;

#[test]
fn one_user_s_events_are_kept_up_to_a_bound_and_have_their_meaning_beyond_it() {
    let mut call = call(&["ben"]);
    for _ in 0..REPORTS_OF_ONE_MAX {
        report(&mut call, "anna", OTHER);
    }
    assert_eq!(one_more(&mut call, "anna", OTHER), (false, Consequence::Nothing));
    assert_eq!(
        one_more(&mut call, "ben", OTHER),
        (true, Consequence::Nothing),
        "others have their own bound"
    );
    assert_eq!(one_more(&mut call, "ben", BEGUN), (true, ANSWERED));
    for count in 0..OWN_MAX {
        let (code, expected) = [(BEGUN, JOINED), (LEFT, Consequence::Left)][count % 2].clone();
        assert_eq!(
            one_more(&mut call, "anna", code),
            (true, expected),
            "what begins and ends"
        );
    }
    assert_eq!(one_more(&mut call, "anna", BEGUN), (false, JOINED));
    let mut reports = Vec::new();
    let missed = call.miss(&"anna".into(), 1, &mut reports, NOW_S + 1);
    assert_eq!(
        (missed, reports.len()),
        (Missed::Silent(Consequence::Left), 0),
        "the server's own count, too"
    );
    assert_eq!(one_more(&mut call, "ben", LEFT), (true, Consequence::Over));
    assert_eq!(call.left_out, 3);
}

#[test]
fn all_who_are_not_in_the_call_have_the_events_of_one() {
    let mut call = call(&["ben"]);
    for number in 0..REPORTS_OF_ONE_MAX {
        report(&mut call, &format!("eve {number}"), OTHER);
    }
    assert_eq!(one_more(&mut call, "another", OTHER), (false, Consequence::Nothing));
    assert_eq!(one_more(&mut call, "anna", OTHER), (true, Consequence::Nothing));
}

#[test]
fn the_events_of_a_whole_call_are_bounded_and_everybody_s_beginning_and_end_is_among_them() {
    let mut call = call(&["ben"]);
    let people: Vec<String> = (0..MEMBERS_MAX - 2).map(|number| format!("person {number}")).collect();
    for user in &people {
        assert!(one_more(&mut call, user, BEGUN).0);
    }
    for _ in 0..2 * REPORTS_OF_ONE_MAX {
        for user in &people {
            one_more(&mut call, user, OTHER);
            one_more(&mut call, user, BEGUN);
        }
    }
    // Those who come last find everything full.
    assert_eq!(one_more(&mut call, "ben", OTHER), (false, Consequence::Nothing));
    assert_eq!(one_more(&mut call, "ben", BEGUN), (true, ANSWERED));
    assert_eq!(one_more(&mut call, "ben", LEFT), (true, Consequence::Left));
    let kept: usize = call.reports.iter().map(|one| one.count).sum();
    assert_eq!(kept, people.len() * OWN_MAX + REPORTS_MAX + 2);
    let reported = people.len() * (1 + 4 * REPORTS_OF_ONE_MAX) + 3;
    assert_eq!(call.left_out as usize, reported - kept);
}

#[test]
fn the_descriptions_of_a_whole_call_are_bounded() {
    let mut call = call(&["ben"]);
    let long = "字".repeat(1_024);
    for count in 0..CHARACTERS_MAX / 1_024 - 1 {
        let user = ["anna", "ben"][count % 2];
        assert_eq!(described(&mut call, user, OTHER, &long).0.as_ref(), Some(&long));
    }
    assert_eq!(described(&mut call, "anna", OTHER, "接通").0.as_deref(), Some("接通"));
    let cut = described(&mut call, "ben", OTHER, &long).0.unwrap();
    assert_eq!(cut.chars().count(), 1_022);
    assert_eq!(described(&mut call, "ben", LEFT, "再见").0.as_deref(), Some(""));
}

#[test]
fn who_is_missed_has_left_unless_another_process_has_heard_of_them() {
    let mut call = call(&["ben"]);
    report(&mut call, "anna", BEGUN);
    report(&mut call, "ben", BEGUN);
    let mut reports = Vec::new();
    let mut miss = |call: &mut CallRecord, user: &str, now_s| call.miss(&user.into(), 35, &mut reports, now_s);
    assert_eq!(miss(&mut call, "ben", NOW_S + 34), Missed::Heard { ago_s: 34 });
    assert_eq!(
        miss(&mut call, "ben", NOW_S - 1),
        Missed::Heard { ago_s: -1 },
        "another process is a second ahead"
    );
    // The clock was put back: what is recorded lies in the future, and proves nothing.
    assert_eq!(miss(&mut call, "ben", NOW_S - 35), Missed::Silent(Consequence::Left));
    assert_eq!(miss(&mut call, "ben", NOW_S + 35), Missed::Gone, "once");
    assert_eq!(miss(&mut call, "anna", NOW_S + 35), Missed::Silent(Consequence::Over));
    assert_eq!(miss(&mut call, "anna", NOW_S + 35), Missed::Gone);
    assert_eq!(call.ending, Some(Ending::Lost));
    let missed: Vec<_> = reports
        .iter()
        .map(|report| (report.user.as_str(), report.code))
        .collect();
    assert_eq!(missed, [("ben", SILENT), ("anna", SILENT)]);
    assert_eq!(reports[0].description, "通话记录timeout检测");
}

proptest! {
    /// Whatever is reported by whomever: a call ends once, with everybody out of it, and stays as it ended.
    #[test]
    fn no_order_of_events_leaves_a_call_half_over(
        events in prop::collection::vec(
            (
                prop::sample::select(vec!["anna", "ben", "carl", "dora"]),
                prop::sample::select(vec![0, 1, 2, 3, 1000, 1001, 1002, 1003, 1006, 1007, 1008]),
            ),
            0..40,
        ),
    ) {
        let mut call = call(&["ben", "carl"]);
        for (user, code) in events {
            let before = call.clone();
            let taken = report(&mut call, user, code);
            prop_assert_eq!(call.ended_s.is_some(), call.ending.is_some());
            prop_assert_eq!(taken == Consequence::Over, before.ended_s.is_none() && call.ended_s.is_some());
            if call.is_over() {
                prop_assert_eq!(call.people_in(), 0);
                prop_assert!(call.members.iter().all(|member| member.status == Over));
            }
            if before.is_over() {
                call.reports.clone_from(&before.reports);
                prop_assert_eq!(call, before);
                return Ok(());
            }
            if taken == (Consequence::Joined { answers: false }) || taken == (Consequence::Joined { answers: true }) {
                prop_assert!(call.is_in(&user.into()));
            }
            if taken == Consequence::Left {
                prop_assert!(!call.is_in(&user.into()) && call.people_in() > 0);
            }
        }
    }
}
