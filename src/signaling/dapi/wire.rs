//! The requests and answers exactly as on the wire.

use jiff::tz::TimeZone;
use serde::Serialize;

use super::form::{Form, Problem};
use super::time;
use crate::channels::CALLEES_MAX;
use crate::ids::{RoomName, UserId};
use crate::text::{self, TextLimit};

/// What a caller sends along: apps put a JSON text of some hundred characters there. It is kept with the call, and sent to each
/// callee who asks.
const EXTRA: TextLimit = TextLimit::characters(4_096);

/// What a client says about an event: a sentence or two.
const DESCRIPTION: TextLimit = TextLimit::characters(1_024);

/// The app's own id of a task.
const TASK: TextLimit = text::NAME;

/// The token of a device at its push service: 64 characters, of some services 250.
const PUSH_TOKEN: TextLimit = TextLimit::characters(500);

/// The largest code of an event. Those that are known have four digits.
const CODE_MAX: i64 = 99_999;

/// Rows of one page where the client does not say how many.
const PER_PAGE: i64 = 20;

/// Rows of one page. More would make long answers for nobody.
const PER_PAGE_MAX: i64 = 100;

/// The last page that can be asked for. Nobody has as many tasks.
const PAGES_MAX: i64 = 1_000_000;

/// A call to one or several.
pub(crate) struct Call {
    pub caller: UserId,
    pub callees: Vec<UserId>,
    pub extra_msg: String,
}

/// Somebody who asks about a channel.
pub(crate) struct InChannel {
    pub user: UserId,
    pub channel: RoomName,
}

pub(crate) struct EventReport {
    pub of: InChannel,
    pub code: i64,
    pub description: String,
}

impl Call {
    pub fn read(form: &Form) -> Result<Call, Problem> {
        Ok(Call {
            caller: user(form, "src_uid")?,
            callees: users(form, "dst_uid")?,
            extra_msg: form.text("extra_msg", EXTRA)?,
        })
    }
}

impl InChannel {
    pub fn read(form: &Form) -> Result<InChannel, Problem> {
        Ok(InChannel {
            user: user(form, "uid")?,
            channel: channel(form)?,
        })
    }
}

impl EventReport {
    pub fn read(form: &Form) -> Result<EventReport, Problem> {
        let code = form
            .number("code")?
            .ok_or_else(|| Problem::new("code", "it is missing"))?;
        if !(0..=CODE_MAX).contains(&code) {
            return Err(Problem::new("code", format!("it must be from 0 to {CODE_MAX}")));
        }
        Ok(EventReport {
            of: InChannel::read(form)?,
            code,
            description: form.text("desp", DESCRIPTION)?,
        })
    }
}

/// Who removes a robot, if they say so, and from where.
pub(crate) struct RobotRemoval {
    pub user: Option<UserId>,
    pub channel: RoomName,
}

/// How a device of a user is reached while its app is closed.
pub(crate) struct DeviceUpdate {
    pub user: UserId,
    pub device: String,
    /// Token at the push service. Empty: not at all.
    pub token: String,
}

impl RobotRemoval {
    pub fn read(form: &Form) -> Result<RobotRemoval, Problem> {
        Ok(RobotRemoval {
            user: match form.has("uid") {
                true => Some(user(form, "uid")?),
                false => None,
            },
            channel: channel(form)?,
        })
    }
}

impl DeviceUpdate {
    pub fn read(form: &Form) -> Result<DeviceUpdate, Problem> {
        Ok(DeviceUpdate {
            user: user(form, "uid")?,
            device: form.name("device")?,
            token: form.text("apns_token", PUSH_TOKEN)?,
        })
    }
}

/// The user whose robot is asked for.
pub(crate) fn caller(form: &Form) -> Result<UserId, Problem> {
    user(form, "src_uid")
}

/// A call that is to be made later.
pub(crate) struct TaskUpdate {
    /// Number of the task that is to be changed.
    pub id: Option<i64>,
    pub caller: UserId,
    pub callees: Vec<UserId>,
    /// Time of the call, in seconds since 1970-01-01 UTC.
    pub due_s: i64,
    pub task: String,
}

/// A page of a list of tasks.
pub(crate) struct TaskList {
    pub user: UserId,
    pub page: i64,
    pub per_page: i64,
}

pub(crate) struct TaskDeletion {
    pub id: i64,
    /// User whose task it has to be, if one is named.
    pub user: Option<UserId>,
}

impl TaskUpdate {
    pub fn read(form: &Form, zone: &TimeZone) -> Result<TaskUpdate, Problem> {
        let id = form.number("id")?;
        let caller = user(form, "src_uid")?;
        let callees = users(form, "dst_uid")?;
        if callees.is_empty() {
            return Err(Problem::new("dst_uid", "it is missing"));
        }
        let due = form.name("call_time")?;
        let due_s = time::read(&due, zone)
            .ok_or_else(|| Problem::new("call_time", "it is no time; write it as 2020-02-02 20:20:00"))?;
        let task = form.text("taskid", TASK)?;
        if task.is_empty() {
            return Err(Problem::new("taskid", "it is missing"));
        }
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
    pub fn read(form: &Form) -> Result<TaskList, Problem> {
        let number = |field, otherwise, most| match form.number(field)?.unwrap_or(otherwise) {
            number if (1..=most).contains(&number) => Ok(number),
            _ => Err(Problem::new(field, format!("it must be from 1 to {most}"))),
        };
        Ok(TaskList {
            user: user(form, "uid")?,
            page: number("_page", 1, PAGES_MAX)?,
            per_page: number("_perpage", PER_PAGE, PER_PAGE_MAX)?,
        })
    }
}

impl TaskDeletion {
    pub fn read(form: &Form) -> Result<TaskDeletion, Problem> {
        let named = |field| match form.has(field) {
            true => user(form, field).map(Some),
            false => Ok(None),
        };
        Ok(TaskDeletion {
            id: form.number("id")?.ok_or_else(|| Problem::new("id", "it is missing"))?,
            user: match named("uid")? {
                None => named("src_uid")?,
                named => named,
            },
        })
    }
}

/// The user who asks.
pub(crate) fn uid(form: &Form) -> Result<UserId, Problem> {
    user(form, "uid")
}

pub(crate) fn channel(form: &Form) -> Result<RoomName, Problem> {
    Ok(RoomName(form.name("channel")?.into()))
}

fn user(form: &Form, field: &'static str) -> Result<UserId, Problem> {
    Ok(UserId(form.name(field)?.into()))
}

fn users(form: &Form, field: &'static str) -> Result<Vec<UserId>, Problem> {
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

#[derive(Serialize)]
pub(crate) struct Entry {
    #[serde(rename = "appID")]
    pub app_id: String,
    pub channel: String,
    pub uid: String,
    pub token: String,
}

/// A number where a name is all digits and JavaScript knows it exactly; otherwise the text.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Id {
    Number(i64),
    Text(String),
}

#[derive(Serialize)]
pub(crate) struct MessageRow {
    pub id: i64,
    pub uid: Id,
    pub channel: String,
    pub status: i64,
    pub _status_label: &'static str,
    pub createtime: String,
    pub extra_msg: String,
    pub pk: i64,
}

#[derive(Serialize)]
pub(crate) struct Record {
    pub channel: String,
    pub src_uid: String,
    pub dst_uid: Vec<String>,
    pub extra_msg: String,
    pub createtime: String,
    pub answertime: Option<String>,
    pub starttime: Option<String>,
    pub endtime: Option<String>,
    pub ending: &'static str,
    pub members: Vec<MemberRow>,
    pub events: Vec<EventRow>,
}

#[derive(Serialize)]
pub(crate) struct MemberRow {
    pub uid: String,
    pub status: i64,
    pub _status_label: &'static str,
    pub jointime: Option<String>,
    pub leavetime: Option<String>,
}

#[derive(Serialize)]
pub(crate) struct EventRow {
    pub uid: String,
    pub code: i64,
    pub desp: String,
    pub createtime: String,
}

#[derive(Serialize)]
pub(crate) struct Settings {
    pub channel_heartbeat: u64,
    pub agora_appid: String,
}

#[derive(Serialize)]
pub(crate) struct Nothing {}

#[derive(Serialize)]
pub(crate) struct TaskRows {
    pub rows: Vec<TaskRow>,
    pub row_pages: RowPages,
}

#[derive(Serialize)]
pub(crate) struct TaskRow {
    pub id: i64,
    pub src_uid: String,
    pub dst_uid: Vec<String>,
    pub call_time: String,
    pub tone_list: [String; 0],
    pub taskid: String,
    pub status: i64,
    pub _status_label: &'static str,
    pub fire_time: Option<String>,
    pub channel: String,
    pub failure: String,
    pub pk: i64,
}

#[derive(Serialize)]
pub(crate) struct RowPages {
    pub crt_page: i64,
    pub total: i64,
    pub perpage: i64,
}
