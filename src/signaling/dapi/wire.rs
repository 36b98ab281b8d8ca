//! The requests and answers exactly as on the wire.

use jiff::tz::TimeZone;
use serde::Serialize;
use utoipa::ToSchema;

use super::form::{Form, Problem, Problems};
use super::time;
use crate::channels::CALLEES_MAX;
use crate::ids::{RoomName, UserId};
use crate::text::{self, TextLimit};

const MISSING: &str = "it is missing";

/// What a caller sends along: apps put a JSON text of some hundred characters there. It is kept with the call, and sent to each
/// callee who asks.
pub(super) const EXTRA: TextLimit = TextLimit::characters(4_096);

/// What a client says about an event: a sentence or two.
pub(super) const DESCRIPTION: TextLimit = TextLimit::characters(1_024);

/// The app's own id of a task.
pub(super) const TASK: TextLimit = text::NAME;

/// The token of a device at its push service: 64 characters, of some services 250. The hub takes as many, with the service's name.
pub(super) const PUSH_TOKEN: TextLimit = TextLimit::characters(500);

/// The largest code of an event. Those that are known have four digits.
pub(super) const CODE_MAX: i64 = 99_999;

/// Rows of one page where the client does not say how many.
const PER_PAGE: i64 = 20;

/// Rows of one page. More would make long answers for nobody.
pub(super) const PER_PAGE_MAX: i64 = 100;

/// The last page that can be asked for. Nobody has as many tasks.
pub(super) const PAGES_MAX: i64 = 1_000_000;

/// A call to one or several.
pub struct Call {
    pub caller: UserId,
    pub callees: Vec<UserId>,
    pub extra_msg: String,
}

/// Somebody who asks about a channel.
pub struct InChannel {
    pub user: UserId,
    pub channel: RoomName,
}

pub struct EventReport {
    pub of: InChannel,
    pub code: i64,
    pub description: String,
}

impl Call {
    pub fn read(mut form: Form) -> Result<Call, Problems> {
        let mut wrong = Problems::default();
        let call = Call {
            caller: user(&mut form, "src_uid", &mut wrong),
            callees: users(&mut form, "dst_uid", &mut wrong),
            extra_msg: wrong.note(form.text("extra_msg", EXTRA)),
        };
        wrong.end(form).map(|()| call)
    }
}

impl InChannel {
    pub fn read(mut form: Form) -> Result<InChannel, Problems> {
        let mut wrong = Problems::default();
        let asked = InChannel::of(&mut form, &mut wrong);
        wrong.end(form).map(|()| asked)
    }

    fn of(form: &mut Form, wrong: &mut Problems) -> InChannel {
        InChannel {
            user: user(form, "uid", wrong),
            channel: room(form, wrong),
        }
    }
}

impl EventReport {
    pub fn read(mut form: Form) -> Result<EventReport, Problems> {
        let mut wrong = Problems::default();
        let code = match form.number("code") {
            Ok(None) => Err(Problem::new("code", MISSING)),
            Ok(Some(code)) if !(0..=CODE_MAX).contains(&code) => {
                Err(Problem::new("code", format!("it must be from 0 to {CODE_MAX}")))
            }
            read => read.map(Option::unwrap_or_default),
        };
        let report = EventReport {
            code: wrong.note(code),
            of: InChannel::of(&mut form, &mut wrong),
            description: wrong.note(form.text("desp", DESCRIPTION)),
        };
        wrong.end(form).map(|()| report)
    }
}

/// Who removes a robot, if they say so, and from where.
pub struct RobotRemoval {
    pub user: Option<UserId>,
    pub channel: RoomName,
}

/// How a device of a user is reached while its app is closed.
pub struct DeviceUpdate {
    pub user: UserId,
    pub device: String,
    /// Token at the push service. Empty: not at all.
    pub token: String,
}

impl RobotRemoval {
    pub fn read(mut form: Form) -> Result<RobotRemoval, Problems> {
        let mut wrong = Problems::default();
        let removal = RobotRemoval {
            user: optional_user(&mut form, "uid", &mut wrong),
            channel: room(&mut form, &mut wrong),
        };
        wrong.end(form).map(|()| removal)
    }
}

impl DeviceUpdate {
    pub fn read(mut form: Form) -> Result<DeviceUpdate, Problems> {
        let mut wrong = Problems::default();
        let update = DeviceUpdate {
            user: user(&mut form, "uid", &mut wrong),
            device: wrong.note(form.name("device")),
            token: wrong.note(form.text("apns_token", PUSH_TOKEN)),
        };
        wrong.end(form).map(|()| update)
    }
}

/// The user whose robot is asked for.
pub fn caller(form: Form) -> Result<UserId, Problems> {
    named(form, "src_uid")
}

/// A call that is to be made later.
pub struct TaskUpdate {
    /// Number of the task that is to be changed.
    pub id: Option<i64>,
    pub caller: UserId,
    pub callees: Vec<UserId>,
    /// Time of the call, in seconds since 1970-01-01 UTC.
    pub due_s: i64,
    pub task: String,
}

/// A page of a list of tasks.
pub struct TaskList {
    pub user: UserId,
    pub page: i64,
    pub per_page: i64,
}

pub struct TaskDeletion {
    pub id: i64,
    /// User whose task it has to be, if one is named.
    pub user: Option<UserId>,
}

impl TaskUpdate {
    pub fn read(mut form: Form, zone: &TimeZone) -> Result<TaskUpdate, Problems> {
        let mut wrong = Problems::default();
        let callees = form.names("dst_uid", CALLEES_MAX);
        let callees = callees.and_then(|names| match names.is_empty() {
            true => Err(Problem::new("dst_uid", MISSING)),
            false => Ok(names.into_iter().map(|name| UserId(name.into())).collect()),
        });
        let due = form.name("call_time").and_then(|due| {
            let read = time::read(&due, zone);
            read.map_err(|why| Problem::new("call_time", why.to_string()))
        });
        let task = form.text("taskid", TASK);
        let task = task.and_then(|task| match task.is_empty() {
            true => Err(Problem::new("taskid", MISSING)),
            false => Ok(task),
        });
        let update = TaskUpdate {
            id: wrong.note(form.number("id")),
            caller: user(&mut form, "src_uid", &mut wrong),
            callees: wrong.note(callees),
            due_s: wrong.note(due),
            task: wrong.note(task),
        };
        wrong.end(form).map(|()| update)
    }
}

impl TaskList {
    pub fn read(mut form: Form) -> Result<TaskList, Problems> {
        let mut wrong = Problems::default();
        let mut number = |field, otherwise, most| match form.number(field)?.unwrap_or(otherwise) {
            number if (1..=most).contains(&number) => Ok(number),
            _ => Err(Problem::new(field, format!("it must be from 1 to {most}"))),
        };
        let (page, per_page) = (
            number("_page", 1, PAGES_MAX),
            number("_perpage", PER_PAGE, PER_PAGE_MAX),
        );
        let list = TaskList {
            user: user(&mut form, "uid", &mut wrong),
            page: wrong.note(page),
            per_page: wrong.note(per_page),
        };
        wrong.end(form).map(|()| list)
    }
}

impl TaskDeletion {
    pub fn read(mut form: Form) -> Result<TaskDeletion, Problems> {
        let mut wrong = Problems::default();
        let id = form.number("id");
        let id = id.and_then(|id| id.ok_or_else(|| Problem::new("id", MISSING)));
        let id = wrong.note(id);
        let user = optional_user(&mut form, "uid", &mut wrong);
        let caller = optional_user(&mut form, "src_uid", &mut wrong);
        let is_one = user.is_none() || caller.is_none() || user == caller;
        wrong.note(is_one.then_some(()).ok_or_else(|| {
            let sentence = "it names somebody else than uid does";
            Problem::new("src_uid", sentence)
        }));
        wrong.end(form).map(|()| TaskDeletion {
            id,
            user: user.or(caller),
        })
    }
}

/// The user who asks.
pub fn uid(form: Form) -> Result<UserId, Problems> {
    named(form, "uid")
}

fn named(mut form: Form, field: &'static str) -> Result<UserId, Problems> {
    let mut wrong = Problems::default();
    let user = user(&mut form, field, &mut wrong);
    wrong.end(form).map(|()| user)
}

pub fn channel(mut form: Form) -> Result<RoomName, Problems> {
    let mut wrong = Problems::default();
    let channel = room(&mut form, &mut wrong);
    wrong.end(form).map(|()| channel)
}

fn room(form: &mut Form, wrong: &mut Problems) -> RoomName {
    RoomName(wrong.note(form.name("channel")).into())
}

fn user(form: &mut Form, field: &'static str, wrong: &mut Problems) -> UserId {
    UserId(wrong.note(form.name(field)).into())
}

fn optional_user(form: &mut Form, field: &'static str, wrong: &mut Problems) -> Option<UserId> {
    let name = wrong.note(form.optional_name(field));
    name.map(|name| UserId(name.into()))
}

fn users(form: &mut Form, field: &'static str, wrong: &mut Problems) -> Vec<UserId> {
    let names = wrong.note(form.names(field, CALLEES_MAX));
    names.into_iter().map(|name| UserId(name.into())).collect()
}

/// What every answer is in.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Envelope<T> {
    Done {
        success: bool,
        data: T,
    },
    Refused {
        success: bool,
        msg: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        data: Option<serde_json::Map<String, serde_json::Value>>,
    },
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Entry {
    /// Id of the app that has signed the token.
    #[serde(rename = "appID")]
    pub app_id: String,
    /// Name of the channel, which is the name of its room.
    pub channel: String,
    /// User for whom the token is.
    pub uid: String,
    /// Access token (version 006) with which the user enters the room.
    pub token: String,
}

/// A number where a name is all digits and JavaScript knows it exactly; otherwise the text.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Id {
    Number(i64),
    Text(String),
}

#[derive(Serialize, ToSchema)]
pub(crate) struct MessageRow {
    /// Number of the call.
    pub id: i64,
    /// User who asks: a number where it is all digits.
    pub uid: Id,
    /// Name of the channel.
    pub channel: String,
    /// State of the call for this user: 0 called, 1 has answered or talks, 2 over.
    pub status: i64,
    /// Name of the state.
    pub _status_label: &'static str,
    /// Time of the call, as `YYYY-MM-DD HH:MM:SS` in the time zone of the configuration (`dapi.time_zone`).
    pub createtime: String,
    /// Text of the caller.
    pub extra_msg: String,
    /// Number of the call, again.
    pub pk: i64,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Record {
    /// Name of the channel.
    pub channel: String,
    /// Caller.
    pub src_uid: String,
    /// Callees.
    pub dst_uid: Vec<String>,
    /// Text of the caller.
    pub extra_msg: String,
    /// Time of the call, as `YYYY-MM-DD HH:MM:SS` in the time zone of the configuration (`dapi.time_zone`).
    pub createtime: String,
    /// Time of the first answer. `null` if nobody has answered.
    pub answertime: Option<String>,
    /// Time at which two were in the call. `null` if that has not happened.
    pub starttime: Option<String>,
    /// Time of the end. `null` while the call goes on.
    pub endtime: Option<String>,
    /// Way in which the call has ended. Empty while it goes on.
    pub ending: &'static str,
    /// People of the call, the caller among them.
    pub members: Vec<MemberRow>,
    /// Events that were reported and are kept, in their order.
    pub events: Vec<EventRow>,
    /// Number of events that were reported and are not kept, because the call, or the user, has as many as are kept.
    pub events_left_out: i64,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct MemberRow {
    /// User.
    pub uid: String,
    /// State of the call for this user: 0 called, 1 has answered or talks, 2 over.
    pub status: i64,
    /// Name of the state.
    pub _status_label: &'static str,
    /// Time at which they came. `null` if they have not.
    pub jointime: Option<String>,
    /// Time at which they left. `null` if they have not.
    pub leavetime: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct EventRow {
    /// User to whom it has happened.
    pub uid: String,
    /// Kind of the event.
    pub code: i64,
    /// Description that came with it.
    pub desp: String,
    /// Time of the event, as `YYYY-MM-DD HH:MM:SS` in the time zone of the configuration (`dapi.time_zone`).
    pub createtime: String,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Settings {
    /// Seconds within which the next heartbeat has to come.
    pub channel_heartbeat: u64,
    /// Id of the app that signs access tokens.
    pub agora_appid: String,
    /// Name of the time zone of all dates and times, of the IANA database.
    pub time_zone: String,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Nothing {}

#[derive(Serialize, ToSchema)]
pub(crate) struct TaskRows {
    /// Tasks of the page.
    pub rows: Vec<TaskRow>,
    /// Pages of the list.
    pub row_pages: RowPages,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct TaskRow {
    /// Number of the task.
    pub id: i64,
    /// Caller.
    pub src_uid: String,
    /// Callees.
    pub dst_uid: Vec<String>,
    /// Time of the call, as `YYYY-MM-DD HH:MM:SS` in the time zone of the configuration (`dapi.time_zone`).
    pub call_time: String,
    /// List that is always empty.
    #[schema(value_type = Vec<String>)]
    pub tone_list: [String; 0],
    /// Id of the task at the app's back end.
    pub taskid: String,
    /// State of the task: 0 waits, 1 the call is being made, 2 it was made, 3 it was not.
    pub status: i64,
    /// Name of the state.
    pub _status_label: &'static str,
    /// Time at which the call was made. `null` if it was not.
    pub fire_time: Option<String>,
    /// Name of the channel of the call. Empty if there is none.
    pub channel: String,
    /// Reason why the call was not made. Empty if there is none.
    pub failure: String,
    /// Number of the task, again.
    pub pk: i64,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct RowPages {
    /// Number of this page, from 1.
    pub crt_page: i64,
    /// Number of all rows.
    pub total: i64,
    /// Rows on a page.
    pub perpage: i64,
}
