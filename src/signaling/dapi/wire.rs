//! The requests and answers exactly as on the wire.

use jiff::tz::TimeZone;
use serde::Serialize;
use utoipa::ToSchema;

use super::form::{Form, Problem};
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
    pub fn read(mut form: Form) -> Result<Call, Problem> {
        let call = Call {
            caller: user(&mut form, "src_uid")?,
            callees: users(&mut form, "dst_uid")?,
            extra_msg: form.text("extra_msg", EXTRA)?,
        };
        form.end().map(|()| call)
    }
}

impl InChannel {
    pub fn read(mut form: Form) -> Result<InChannel, Problem> {
        let asked = InChannel::of(&mut form)?;
        form.end().map(|()| asked)
    }

    fn of(form: &mut Form) -> Result<InChannel, Problem> {
        Ok(InChannel {
            user: user(form, "uid")?,
            channel: room(form)?,
        })
    }
}

impl EventReport {
    pub fn read(mut form: Form) -> Result<EventReport, Problem> {
        let code = form.number("code")?.ok_or_else(|| Problem::new("code", MISSING))?;
        if !(0..=CODE_MAX).contains(&code) {
            return Err(Problem::new("code", format!("it must be from 0 to {CODE_MAX}")));
        }
        let report = EventReport {
            of: InChannel::of(&mut form)?,
            code,
            description: form.text("desp", DESCRIPTION)?,
        };
        form.end().map(|()| report)
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
    pub fn read(mut form: Form) -> Result<RobotRemoval, Problem> {
        let removal = RobotRemoval {
            user: optional_user(&mut form, "uid")?,
            channel: room(&mut form)?,
        };
        form.end().map(|()| removal)
    }
}

impl DeviceUpdate {
    pub fn read(mut form: Form) -> Result<DeviceUpdate, Problem> {
        let update = DeviceUpdate {
            user: user(&mut form, "uid")?,
            device: form.name("device")?,
            token: form.text("apns_token", PUSH_TOKEN)?,
        };
        form.end().map(|()| update)
    }
}

/// The user whose robot is asked for.
pub fn caller(mut form: Form) -> Result<UserId, Problem> {
    let caller = user(&mut form, "src_uid")?;
    form.end().map(|()| caller)
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
    pub fn read(mut form: Form, zone: &TimeZone) -> Result<TaskUpdate, Problem> {
        let id = form.number("id")?;
        let caller = user(&mut form, "src_uid")?;
        let callees = users(&mut form, "dst_uid")?;
        if callees.is_empty() {
            return Err(Problem::new("dst_uid", MISSING));
        }
        let due = form.name("call_time")?;
        let due_s = time::read(&due, zone).map_err(|why| Problem::new("call_time", why.to_string()))?;
        let task = form.text("taskid", TASK)?;
        if task.is_empty() {
            return Err(Problem::new("taskid", MISSING));
        }
        form.end()?;
        Ok(TaskUpdate {
            id,
            caller,
            callees,
            due_s,
            task,
        })
    }
}

impl TaskList {
    pub fn read(mut form: Form) -> Result<TaskList, Problem> {
        let mut number = |field, otherwise, most| match form.number(field)?.unwrap_or(otherwise) {
            number if (1..=most).contains(&number) => Ok(number),
            _ => Err(Problem::new(field, format!("it must be from 1 to {most}"))),
        };
        let (page, per_page) = (
            number("_page", 1, PAGES_MAX)?,
            number("_perpage", PER_PAGE, PER_PAGE_MAX)?,
        );
        let user = user(&mut form, "uid")?;
        form.end()?;
        Ok(TaskList { user, page, per_page })
    }
}

impl TaskDeletion {
    pub fn read(mut form: Form) -> Result<TaskDeletion, Problem> {
        let id = form.number("id")?.ok_or_else(|| Problem::new("id", MISSING))?;
        let (user, caller) = (optional_user(&mut form, "uid")?, optional_user(&mut form, "src_uid")?);
        if user.is_some() && caller.is_some() && user != caller {
            return Err(Problem::new("src_uid", "it names somebody else than uid does"));
        }
        form.end()?;
        Ok(TaskDeletion {
            id,
            user: user.or(caller),
        })
    }
}

/// The user who asks.
pub fn uid(mut form: Form) -> Result<UserId, Problem> {
    let user = user(&mut form, "uid")?;
    form.end().map(|()| user)
}

pub fn channel(mut form: Form) -> Result<RoomName, Problem> {
    let channel = room(&mut form)?;
    form.end().map(|()| channel)
}

fn room(form: &mut Form) -> Result<RoomName, Problem> {
    Ok(RoomName(form.name("channel")?.into()))
}

fn user(form: &mut Form, field: &'static str) -> Result<UserId, Problem> {
    Ok(UserId(form.name(field)?.into()))
}

fn optional_user(form: &mut Form, field: &'static str) -> Result<Option<UserId>, Problem> {
    Ok(form.optional_name(field)?.map(|name| UserId(name.into())))
}

fn users(form: &mut Form, field: &'static str) -> Result<Vec<UserId>, Problem> {
    let names = form.names(field, CALLEES_MAX)?;
    Ok(names.into_iter().map(|name| UserId(name.into())).collect())
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
