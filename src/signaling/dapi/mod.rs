//! Calls over HTTP, below `/dapi`: what an app's back end, or the app itself, sends to call somebody, to learn who calls, and to
//! say what becomes of a call.
//!
//! Any method will do. The fields of a request are in its body, or else in its query. A body that begins with `{` or `[` is JSON,
//! whatever its type says; otherwise it is a form, urlencoded or multipart. Every answer has status 200 and is an object:
//!
//! | | |
//! |---|---|
//! | done | `{"success":true,"data":…}` |
//! | refused | `{"success":false,"msg":"FIELD: why; OTHER: why","data":{"FIELD":"why","OTHER":"why"}}` with each field that is wrong; without `data`, and without `FIELD:`, where none is |
//!
//! A refusal changes nothing. Those that are about no single request of this interface keep the status that they have everywhere,
//! with the same object: 401 without the key, where the configuration has one (`dapi.key`); 403 for a page of another site that
//! is not listed (`http.allowed_origins`), and for a link, a form or a picture on any other site's page; 404 for an address that
//! does not exist; 503 with `Retry-After` where the server takes too long. The first server of this interface answered 401 in
//! plain text: its clients look at the status, and those that read every answer as JSON now find some.
//!
//! | path | fields | `data`, and what it does |
//! |---|---|---|
//! | `call/user` | `src_uid`; optional `dst_uid` (a list), `extra_msg` | an entry: calls these people. They are called where they are, on every socket on which calls ring whose people meet in a room; on their phones; and whenever they ask `call/msg` |
//! | `call/robot` | `src_uid` | an entry: opens a channel in which a robot plays a recording |
//! | `invite/robot` | `uid`, `channel` | an entry: a robot comes, as when a callee has declined. It has the call then: the messages about the call are over (status 2), and it rings nowhere. A call that ended without an answer, at most ten minutes ago, goes on by that |
//! | `quit/robot` | `channel`; optional `uid` | null: the robot leaves, if there is one |
//! | `call/msg` | `uid` | a list of messages: the calls of this user, as caller or callee, that were made within the last minute (`dapi.message_window_s`) and are not over for them |
//! | `call/token`, `channel/join` | `uid`, `channel` | an entry. A callee answers the call by this. Refused when the call is over |
//! | `call/event` | `uid`, `channel`, `code`; optional `desp` | null: the event is recorded, and does what the next table says |
//! | `call/heartbeat` | `uid`, `channel` | null: a sign of life of somebody in the call; a callee answers by the first. Whoever sends one has to send the next within `channel_heartbeat` seconds; otherwise event 3 is recorded, they have left the call, and their stay in the room of the channel ends |
//! | `calltask/update` | `src_uid`, `dst_uid`, `call_time`, `taskid`; optional `id` | `{}`: calls these people at that time, once, as `call/user` does; a time that is over is refused, and one more than a year ahead. With an `id` a task of the same `src_uid` is changed, also one whose time has come; without one a task is made |
//! | `calltask/list` | `uid`; optional `_page` (from 1), `_perpage` (20, at most 100) | `{rows, row_pages}`: the tasks of this `src_uid`, the newest first |
//! | `calltask/delete` | `id`, `uid` (or `src_uid`) | null: removes a task, if it is that user's. With the key, `uid` may be left out |
//! | `account/update` | `uid`, `device`, `apns_token` | null: calls to this user ring at this device too, by its push service. An empty `apns_token` ends that |
//! | `call/record` | `channel` | the record of a call: its people and events, and how it ended. This server's own. It is also posted when the call is over, where a URL is configured ([`crate::webhooks`]) |
//! | `system/config` | | `{channel_heartbeat, agora_appid, time_zone}`: seconds between heartbeats, the app's id, and the time zone of all dates, by its IANA name |
//!
//! An entry is `{appID, channel, uid, token}`: with this access token ([`crate::auth::access_token`]) the user enters the room of
//! the channel's name. Nobody enters it without one. Without a key, where everybody gets such a token in any name, it proves no name
//! there.
//!
//! Who may ask: with the key, the app's back end, in every name. Without one, everybody in the name of a user (`src_uid`, `uid`),
//! unless somebody else is connected who has proven that the name is theirs. `call/record`, and `quit/robot` without `uid`, name
//! no user: whoever knows the name of a channel may read what became of its call, and nobody finds such a name by trying. Without a
//! key they may also say for anybody in the call that they are there, or have left: the names of channels are then what is to be
//! kept secret.
//!
//! A message is `{id, uid, channel, status, _status_label, createtime, extra_msg, pk}`; `pk` is the same as `id`, and `uid` is a
//! number if it is all digits. `status` 0 (初始化): called. 1 (信息已获取): has answered, or talks. 2 (通话已经完结): the call is
//! over for them; such messages are not listed. Asking for messages does not change their status, because a caller asks, too,
//! to learn whether they are still in a call.
//!
//! | `code` | from | what it does |
//! |---|---|---|
//! | 1 | anybody | they are in the call, and it has begun. A callee answers by this |
//! | 2 | anybody | they have left; when nobody is left, the call is over |
//! | 1000, 1001, 1002 | the caller, before the call has begun | the call is over: cancelled, not answered, declined |
//! | 1003, 1006 | a callee who has not answered | they are out, and it stops ringing where they are. It is over if it rings at nobody else |
//! | 1007 | anybody of the call | it has failed and is over; if two others are in it, only they have left |
//! | 3 | the server | nothing was heard of them |
//! | others | anybody | is recorded, and nothing else |
//!
//! The record of a call keeps some of its events: of each user the first four whose codes the table names, and beside these thirty of
//! each user, of all users two hundred. Descriptions have 32,768 characters together, and are cut beyond. All who are not in the call
//! count as one user. An event that is not kept is counted (`events_left_out`), does what the table says, and is answered as any
//! other.
//!
//! A user may have sixteen calls going on, with those that they have answered by a request (`call/token`, `call/event`,
//! `call/heartbeat`); without the key eight of them from one client address. One more is refused, under `src_uid` or `uid`. Other
//! requests are answered all the same. The name of robots (`robot.name`), also with a number behind it as a second robot has it, is
//! no user's: it is refused by its field.
//!
//! When several are called, the first who answers has the call, and it stops ringing at the others. They may ask for a token
//! all the same, and come too. What happens on sockets (a callee answers, declines, hangs up) changes the record in the same
//! way. A call that nobody has answered is over after `calls.ring_timeout_s`.
//!
//! Whoever is in the room of the channel on this server is in the call, also without events and heartbeats, unless they are a callee
//! who has not answered, or have left the call. Once they have left the room for as long as a heartbeat may take, event 3 is
//! recorded, and they have left the call. So has somebody who has reported event 1, sends no heartbeats, and is not in the room.
//!
//! A row of a list of tasks is `{id, src_uid, dst_uid, call_time, tone_list, taskid, status, _status_label, fire_time, channel,
//! failure, pk}`. `tone_list` is always empty. `status` 0 (等待中): waits. 1 (拨打中): the call is being made. Where that fails
//! for a reason that may pass, as when there is no place, it is tried again every ten seconds, until half a minute after the time
//! for which a call rings; `failure` says why, and `fire_time` is that of the last attempt. 2 (已拨打): it was
//! made at `fire_time`, in `channel`. 3 (失败): it was not, and `failure` says why. `row_pages` is `{crt_page, total, perpage}`,
//! with the number of all rows. Where a field of `calltask/update` is wrong, `msg` is
//! `字段验证错误`, and `data` has what is wrong under the field's name, without semicolons: clients part several problems at them.
//!
//! Texts and names: a number counts as its digits. A number may be a text. A list is a JSON list, one text with commas, or in a
//! form the same field several times, also as `dst_uid[]` or `dst_uid[0]`. `null` counts as missing, as an empty name or number
//! does. A field that is there twice is refused where it is no list, and a key that a JSON object has twice in any case. The
//! lengths of texts and names are counted in characters. Unknown fields are refused by name. Ignored are, where they mean nothing:
//! `call_group` (of later versions of this interface), `pk`, `tone_list` and `_status_label` (of a row that is sent back), `_page`
//! and `_perpage`, `_` (jQuery's, against caches), and `csrfmiddlewaretoken` (Django's).
//!
//! Dates are `YYYY-MM-DD HH:MM:SS` in the time zone of the configuration (`dapi.time_zone`). A time that the clock shows twice,
//! because it is put back, is the first of the two. One over which it is put forward is refused by the field's name.

pub(crate) mod fields;
mod form;
mod time;
mod wire;

use jiff::tz::TimeZone;
use serde::Serialize;

pub use self::form::{Form, Problem, Problems};
pub use self::wire::{
    Call, DeviceUpdate, EventReport, InChannel, RobotRemoval, TaskDeletion, TaskList, TaskUpdate, caller, channel, uid,
};
pub(crate) use self::wire::{Entry, MessageRow, Nothing, Record, Settings, TaskRows};
use crate::channels::{self, ChannelError};
use crate::ids::UserId;
use crate::storage::{CallRecord, CallTask, Ending, MemberStatus, RecentCall, Report, TaskStatus};

/// `msg` where a field of a record that was to be saved is wrong.
const NOT_SAVED: &str = "字段验证错误";

/// Why a request is not served.
#[derive(Debug)]
pub(crate) enum Refused {
    Form(Problems),
    Channel {
        error: ChannelError,
        /// The field that names who asks.
        asker: &'static str,
    },
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Refused::Form(problem.into())
    }
}

impl From<Problems> for Refused {
    fn from(problems: Problems) -> Self {
        Refused::Form(problems)
    }
}

impl From<ChannelError> for Refused {
    fn from(error: ChannelError) -> Self {
        let asker = "uid";
        Refused::Channel { error, asker }
    }
}

impl Refused {
    /// A refusal of a call, in which the caller asks.
    pub fn of_call(error: ChannelError) -> Self {
        let asker = "src_uid";
        Refused::Channel { error, asker }
    }

    pub fn unreadable(sentence: &str) -> Self {
        Problem::new(None, sentence).into()
    }
}

/// The answer to a request, as JSON.
pub(crate) fn answer<T: Serialize>(outcome: Result<T, Refused>) -> String {
    answer_in(outcome, |wrong| {
        let problem =
            |(field, why): (&String, &serde_json::Value)| format!("{field}: {}", why.as_str().unwrap_or_default());
        wrong.iter().map(problem).collect::<Vec<_>>().join("; ")
    })
}

/// The answer to a request that saves a record. Clients know the sentence about wrong fields, and part the problems of one field
/// at semicolons.
pub(crate) fn answer_to_saving<T: Serialize>(outcome: Result<T, Refused>) -> String {
    answer_in(outcome, |wrong| {
        for why in wrong.values_mut() {
            *why = why.as_str().unwrap_or_default().replace(';', ",").into();
        }
        NOT_SAVED.to_owned()
    })
}

/// What is wrong with each field.
type Wrong = serde_json::Map<String, serde_json::Value>;

/// An answer in which this says to people what is wrong with some fields.
fn answer_in<T: Serialize>(outcome: Result<T, Refused>, say: impl Fn(&mut Wrong) -> String) -> String {
    let envelope = match outcome {
        Ok(data) => wire::Envelope::Done { success: true, data },
        Err(refused) => {
            let (mut wrong, mut of_whole) = (Wrong::new(), None);
            for Problem { field, sentence } in problems(refused) {
                match field {
                    None => of_whole = Some(sentence),
                    Some(field) => {
                        // The first problem of a field says most.
                        wrong.entry(field).or_insert_with(|| sentence.into());
                    }
                }
            }
            let success = false;
            let msg = of_whole.unwrap_or_else(|| say(&mut wrong));
            let data = (!wrong.is_empty()).then_some(wrong);
            wire::Envelope::Refused { success, msg, data }
        }
    };
    super::json::text(&envelope)
}

fn problems(refused: Refused) -> Problems {
    let (error, asker) = match refused {
        Refused::Form(problems) => return problems,
        Refused::Channel { error, asker } => (error, asker),
    };
    let field = match error {
        ChannelError::NoSuchChannel | ChannelError::Over | ChannelError::TooManyMembers => Some("channel"),
        ChannelError::NameTaken | ChannelError::NobodyNamed | ChannelError::TooManyOfOne | ChannelError::RobotsName => {
            Some(asker)
        }
        ChannelError::CallsItself | ChannelError::CallsRobot | ChannelError::Busy => Some("dst_uid"),
        ChannelError::TooManyDevices => Some("apns_token"),
        ChannelError::NoRobot(_) => None,
        ChannelError::Past | ChannelError::TooFar => Some("call_time"),
        ChannelError::NoSuchTask | ChannelError::TaskIsFiring | ChannelError::TaskTaken => Some("id"),
        ChannelError::TooManyCalls | ChannelError::ShareUsedUp | ChannelError::GoingDown | ChannelError::Storage(_) => {
            None
        }
    };
    Problem::new(field, error.to_string()).into()
}

pub(crate) fn entry(entry: channels::Entry) -> impl Serialize + use<> {
    wire::Entry {
        app_id: entry.app_id,
        channel: entry.channel.to_string(),
        uid: entry.user.to_string(),
        token: entry.token,
    }
}

pub(crate) fn messages(user: &UserId, calls: Vec<RecentCall>, zone: &TimeZone) -> impl Serialize + use<> {
    let row = |call: RecentCall| wire::MessageRow {
        id: call.id,
        uid: id(user),
        status: call.status().number(),
        _status_label: label(call.status()),
        channel: call.channel,
        createtime: time::write(call.created_at, zone),
        extra_msg: call.extra_msg,
        pk: call.id,
    };
    calls.into_iter().map(row).collect::<Vec<_>>()
}

/// A name as a number where that is the same name, and JavaScript tells it from others.
fn id(user: &UserId) -> wire::Id {
    let number = user.as_str().parse::<i64>().ok();
    let exact = number.filter(|number| (0..=super::json::EXACT_INTEGER_MAX).contains(number));
    match exact.filter(|number| number.to_string() == user.as_str()) {
        Some(number) => wire::Id::Number(number),
        None => wire::Id::Text(user.to_string()),
    }
}

fn label(status: MemberStatus) -> &'static str {
    match status {
        MemberStatus::Called => "初始化",
        MemberStatus::Answered => "信息已获取",
        MemberStatus::Over => "通话已经完结",
    }
}

pub(crate) fn record((call, reports): (CallRecord, Vec<Report>), zone: &TimeZone) -> impl Serialize + use<> {
    let when = |at_s: Option<i64>| at_s.map(|at_s| time::write(at_s, zone));
    let callees = call.members.iter().filter(|member| member.user != call.caller);
    wire::Record {
        dst_uid: callees.map(|member| member.user.to_string()).collect(),
        members: call
            .members
            .iter()
            .map(|member| wire::MemberRow {
                uid: member.user.to_string(),
                status: member.status.number(),
                _status_label: label(member.status),
                jointime: when(member.joined_s),
                leavetime: when(member.left_s),
            })
            .collect(),
        events: reports
            .into_iter()
            .map(|report| wire::EventRow {
                uid: report.user.to_string(),
                code: report.code,
                desp: report.description,
                createtime: time::write(report.at_s, zone),
            })
            .collect(),
        events_left_out: call.left_out,
        channel: call.channel.to_string(),
        src_uid: call.caller.to_string(),
        createtime: time::write(call.created_s, zone),
        answertime: when(call.answered_s),
        starttime: when(call.started_s),
        endtime: when(call.ended_s),
        ending: call.ending.map_or("", Ending::word),
        extra_msg: call.extra_msg,
    }
}

/// The row of a task that was recorded.
pub(crate) fn scheduled() -> impl Serialize + use<> {
    wire::Nothing {}
}

pub(crate) fn tasks(asked: &TaskList, (tasks, count): (Vec<CallTask>, i64), zone: &TimeZone) -> impl Serialize + use<> {
    let row = |task: CallTask| wire::TaskRow {
        id: task.id,
        src_uid: task.caller.to_string(),
        dst_uid: task.callees.iter().map(UserId::to_string).collect(),
        call_time: time::write(task.due_s, zone),
        tone_list: [],
        taskid: task.task,
        status: task.status.number(),
        _status_label: task_label(task.status),
        fire_time: task.fired_s.map(|at_s| time::write(at_s, zone)),
        channel: task.channel,
        failure: task.failure,
        pk: task.id,
    };
    wire::TaskRows {
        rows: tasks.into_iter().map(row).collect(),
        row_pages: wire::RowPages {
            crt_page: asked.page,
            total: count,
            perpage: asked.per_page,
        },
    }
}

fn task_label(status: TaskStatus) -> &'static str {
    match status {
        TaskStatus::Waits => "等待中",
        TaskStatus::IsFiring => "拨打中",
        TaskStatus::Fired => "已拨打",
        TaskStatus::Failed => "失败",
    }
}

pub(crate) fn settings(app_id: &str, settings: &channels::Settings, time_zone: &str) -> impl Serialize + use<> {
    wire::Settings {
        channel_heartbeat: settings.heartbeat.as_secs(),
        agora_appid: app_id.to_owned(),
        time_zone: time_zone.to_owned(),
    }
}
