//! Fields of requests about calls over HTTP, as JSON or as a form, read as every request of the family.

use std::collections::BTreeSet;

use patchbay::config::Config;
use patchbay::ids::{RoomName, UserId};
use patchbay::signaling::dapi::{
    Call, DeviceUpdate, EventReport, Form, InChannel, Problems, RobotRemoval, TaskDeletion, TaskList, TaskUpdate,
    caller, channel, uid,
};

use super::{Run, Target};

const NAME_MAX: usize = 128;
/// Characters of a name of a field that is said back.
const FIELD_MAX: usize = 64;
const CALLEES_MAX: usize = 16;

pub const DAPI: Target = Target {
    name: "dapi",
    seeds: || SEEDS.iter().map(|seed| seed.as_bytes().to_vec()).collect(),
    prepare,
};

const SEEDS: &[&str] = &[
    r#"{"src_uid":"12356","dst_uid":["12345",34566],"extra_msg":"字","call_group":{}}"#,
    "src_uid=1&dst_uid[]=2&dst_uid[1]=3&dst_uid=4,5&_=9",
    r#"{"uid":"12345","channel":"ch_4aY875LP4o","code":"1","desp":"接通"}"#,
    "uid=12345&channel=ch_4aY875LP4o",
    "uid=1&_page=2&_perpage=100",
    r#"{"id":"","src_uid":1234,"dst_uid":["1235"],"call_time":"2030-02-02 20:20:00","taskid":7}"#,
    "uid=1&device=d&apns_token=0123",
    r#"{"id":7,"uid":"1","src_uid":"1"}"#,
    r#"dst_uid=["1",2]&src_uid=3"#,
];

fn prepare() -> Run {
    let zone = Config::default().dapi.zone();
    Box::new(move |input| {
        let Ok(text) = std::str::from_utf8(input) else { return };
        for (extra, is_plain) in [("", true), ("&scr_uid=1", false)] {
            let text = format!("{text}{extra}");
            let is_json = text.trim_start().starts_with(['{', '[']);
            let form = || {
                let form = match is_json {
                    true => Form::json(&text),
                    false => Form::texts(pairs(&text)),
                };
                form.map_err(Problems::from)
            };
            let read = [
                form().and_then(Call::read).map(of_call),
                form().and_then(InChannel::read).map(of_channel),
                form().and_then(EventReport::read).map(of_report),
                form().and_then(RobotRemoval::read).map(of_removal),
                form().and_then(DeviceUpdate::read).map(of_device),
                form().and_then(caller).map(|user| names([user])),
                form().and_then(uid).map(|user| names([user])),
                form().and_then(channel).map(|RoomName(room)| vec![room.to_string()]),
                form().and_then(|form| TaskUpdate::read(form, &zone)).map(of_task),
                form().and_then(TaskList::read).map(of_list),
                form().and_then(TaskDeletion::read).map(|deletion| names(deletion.user)),
                form().and_then(Form::end).map(|()| Vec::new()),
            ];
            for read in read {
                assert!(
                    is_plain || is_json || read.is_err(),
                    "a field that nobody knows: {text}"
                );
                read.map_or_else(explains_itself, |names| names.iter().for_each(is_a_name));
            }
        }
    })
}

/// The fields of a form, without the escapes, which are not this family's.
fn pairs(text: &str) -> impl Iterator<Item = (String, String)> + '_ {
    text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (name.to_owned(), value.to_owned())
    })
}

fn names(users: impl IntoIterator<Item = UserId>) -> Vec<String> {
    users.into_iter().map(|user| user.to_string()).collect()
}

fn is_list_of_callees(callees: &[UserId]) {
    let different: BTreeSet<_> = callees.iter().map(UserId::as_str).collect();
    assert!(callees.len() <= CALLEES_MAX && different.len() == callees.len());
}

fn of_call(call: Call) -> Vec<String> {
    is_list_of_callees(&call.callees);
    assert!(call.extra_msg.chars().count() <= 4_096);
    names(call.callees.into_iter().chain([call.caller]))
}

fn of_channel(asked: InChannel) -> Vec<String> {
    let mut all = names([asked.user]);
    all.push(asked.channel.to_string());
    all
}

fn of_report(report: EventReport) -> Vec<String> {
    assert!(report.code >= 0 && report.description.chars().count() <= 1_024);
    of_channel(report.of)
}

fn of_removal(removal: RobotRemoval) -> Vec<String> {
    let mut all = names(removal.user);
    all.push(removal.channel.to_string());
    all
}

fn of_device(update: DeviceUpdate) -> Vec<String> {
    assert!(update.token.chars().count() <= 500);
    let mut all = names([update.user]);
    all.push(update.device);
    all
}

fn of_task(task: TaskUpdate) -> Vec<String> {
    is_list_of_callees(&task.callees);
    assert!(!task.callees.is_empty() && !task.task.is_empty());
    let years = task.due_s / (365 * 24 * 3_600);
    assert!((-2_000..8_100).contains(&years), "{}", task.due_s);
    names(task.callees.into_iter().chain([task.caller]))
}

fn of_list(list: TaskList) -> Vec<String> {
    assert!(list.page >= 1 && (1..=100).contains(&list.per_page));
    names([list.user])
}

fn is_a_name(name: &String) {
    let is_odd = |c: char| c.is_control() || c == char::REPLACEMENT_CHARACTER;
    assert!(
        !name.is_empty() && name.chars().count() <= NAME_MAX && !name.contains(is_odd),
        "{name:?}"
    );
}

fn explains_itself(problems: Problems) {
    for problem in problems {
        assert!(!problem.sentence.is_empty());
        assert!(problem.field.is_none_or(|field| field.chars().count() <= FIELD_MAX));
    }
}
