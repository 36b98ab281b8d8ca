//! The requests and answers exactly as on the wire.

use jiff::tz::TimeZone;
use serde::Serialize;

use super::form::{Form, Problem};
use super::time;
use crate::channels::CALLEES_MAX;
use crate::ids::{RoomName, UserId};
use crate::text::{self, TextLimit};

const MISSING: &str = "it is missing";

/// What a caller sends along: apps put a JSON text of some hundred characters there. It is kept with the call, and sent to each
/// callee who asks.
const EXTRA: TextLimit = TextLimit::characters(4_096);

/// What a client says about an event: a sentence or two.
const DESCRIPTION: TextLimit = TextLimit::characters(1_024);

/// The app's own id of a task.
const TASK: TextLimit = text::NAME;

/// The token of a device at its push service: 64 characters, of some services 250. The hub takes as many, with the service's name.
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
    pub time_zone: String,
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
