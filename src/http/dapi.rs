//! The requests about calls over HTTP: who asks, how their fields were sent, and failures for the log.
//! [`crate::signaling::dapi`] knows what is in them.

mod envelope;
mod sites;

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::any;
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;

pub(super) use envelope::in_envelope;
use envelope::{refuse, respond};
use sites::{Sites, has_key};

use super::client::Client;
use super::files::multipart::{MultipartEvent, Parser};
use super::openapi::calls as described;
use super::origin::Origins;
use super::state::AppState;
use super::whole::{self, Whole};
use crate::channels::{ChannelError, Requester};
use crate::config::Config;
use crate::ids::PushService;
use crate::shares::ClientAddress;
use crate::signaling::dapi::{
    self as wire, Call, DeviceUpdate, EventReport, Form, InChannel, Refused, RobotRemoval, TaskDeletion, TaskList,
    TaskUpdate,
};
use crate::storage::PushDevice;

/// Bytes of the longest request: sixteen names and the longest texts, urlencoded.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// Parts of one multipart form.
const PARTS_MAX: usize = 200;

pub fn router(config: &Arc<Config>, origins: &Origins) -> OpenApiRouter<AppState> {
    if !config.dapi.enabled {
        return OpenApiRouter::new();
    }
    OpenApiRouter::new()
        .routes(described::call_user("/dapi/call/user", any(call)))
        .routes(described::call_robot("/dapi/call/robot", any(call_robot)))
        .routes(described::invite_robot("/dapi/invite/robot", any(invite_robot)))
        .routes(described::quit_robot("/dapi/quit/robot", any(remove_robot)))
        .routes(described::account_update("/dapi/account/update", any(set_device)))
        .routes(described::call_msg("/dapi/call/msg", any(messages)))
        .routes(described::call_token("/dapi/call/token", any(token)))
        .routes(described::channel_join("/dapi/channel/join", any(token)))
        .routes(described::call_event("/dapi/call/event", any(event)))
        .routes(described::call_heartbeat("/dapi/call/heartbeat", any(heartbeat)))
        .routes(described::call_record("/dapi/call/record", any(record)))
        .routes(described::calltask_update("/dapi/calltask/update", any(schedule)))
        .routes(described::calltask_list("/dapi/calltask/list", any(tasks)))
        .routes(described::calltask_delete("/dapi/calltask/delete", any(remove_task)))
        .routes(described::system_config("/dapi/system/config", any(settings)))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn_with_state(Whole::new(BODY_BYTES_MAX, too_many), whole::run))
        .layer(from_fn_with_state(
            Sites {
                origins: origins.clone(),
                config: Arc::clone(config),
            },
            sites::guard,
        ))
}

fn too_many() -> Response {
    let sentence = "the server is working on as many requests as it may; try again later";
    refuse(StatusCode::OK, sentence)
}

async fn call(State(state): State<AppState>, asked: Asked) -> Response {
    let outcome = async {
        let Call {
            caller,
            callees,
            extra_msg,
        } = Call::read(asked.form?)?;
        let called = state.channels.call(asked.requester, &caller, callees, extra_msg).await;
        Ok(wire::entry(called.map_err(Refused::of_call)?))
    };
    answer(outcome.await)
}

async fn call_robot(State(state): State<AppState>, asked: Asked) -> Response {
    let outcome = async {
        let caller = wire::caller(asked.form?)?;
        let called = state.channels.call_robot(asked.requester, &caller).await;
        Ok(wire::entry(called.map_err(Refused::of_call)?))
    };
    answer(outcome.await)
}

async fn invite_robot(State(state): State<AppState>, asked: Asked) -> Response {
    let outcome = async {
        let InChannel { user, channel } = InChannel::read(asked.form?)?;
        let invited = state.channels.invite_robot(asked.requester, &user, &channel);
        Ok(wire::entry(invited.await?))
    };
    answer(outcome.await)
}

async fn remove_robot(State(state): State<AppState>, asked: Asked) -> Response {
    let outcome = async {
        let RobotRemoval { user, channel } = RobotRemoval::read(asked.form?)?;
        let removed = state.channels.remove_robot(asked.requester, user.as_ref(), &channel);
        Ok(removed.await?)
    };
    answer(outcome.await)
}

async fn set_device(State(state): State<AppState>, asked: Asked) -> Response {
    let outcome = async {
        let DeviceUpdate { user, device, token } = DeviceUpdate::read(asked.form?)?;
        let service = PushService::ApnsAlert;
        let device = PushDevice { service, device, token };
        Ok(state.channels.set_device(asked.requester, &user, device).await?)
    };
    answer(outcome.await)
}

async fn messages(State(state): State<AppState>, asked: Asked) -> Response {
    let outcome = async {
        let user = wire::uid(asked.form?)?;
        let calls = state.channels.recent(asked.requester, &user).await?;
        Ok(wire::messages(&user, calls, &state.config.dapi.zone()))
    };
    answer(outcome.await)
}

async fn token(State(state): State<AppState>, asked: Asked) -> Response {
    let outcome = async {
        let InChannel { user, channel } = InChannel::read(asked.form?)?;
        Ok(wire::entry(
            state.channels.token(asked.requester, &user, &channel).await?,
        ))
    };
    answer(outcome.await)
}

async fn event(State(state): State<AppState>, asked: Asked) -> Response {
    let outcome = async {
        let EventReport { of, code, description } = EventReport::read(asked.form?)?;
        let InChannel { user, channel } = of;
        let reported = state
            .channels
            .report(asked.requester, &user, &channel, code, description);
        Ok(reported.await?)
    };
    answer(outcome.await)
}

async fn heartbeat(State(state): State<AppState>, asked: Asked) -> Response {
    let outcome = async {
        let InChannel { user, channel } = InChannel::read(asked.form?)?;
        Ok(state.channels.hear(asked.requester, &user, &channel).await?)
    };
    answer(outcome.await)
}

async fn record(State(state): State<AppState>, asked: Asked) -> Response {
    let outcome = async {
        let channel = wire::channel(asked.form?)?;
        let record = state.channels.call_record(&channel).await?;
        Ok(wire::record(record, &state.config.dapi.zone()))
    };
    answer(outcome.await)
}

async fn schedule(State(state): State<AppState>, asked: Asked) -> Response {
    let outcome = async {
        let TaskUpdate {
            id,
            caller,
            callees,
            due_s,
            task,
        } = TaskUpdate::read(asked.form?, &state.config.dapi.zone())?;
        let people = (&caller, callees);
        let scheduled = state.channels.schedule(asked.requester, id, people, due_s, task).await;
        scheduled.map(|_| wire::scheduled()).map_err(Refused::of_call)
    };
    let outcome = outcome.await;
    note_failure(&outcome);
    respond(StatusCode::OK, wire::answer_to_saving(outcome))
}

async fn tasks(State(state): State<AppState>, asked: Asked) -> Response {
    let outcome = async {
        let list = TaskList::read(asked.form?)?;
        let skip = (list.page - 1) * list.per_page;
        let tasks = state
            .channels
            .tasks(asked.requester, &list.user, (skip, list.per_page))
            .await?;
        Ok(wire::tasks(&list, tasks, &state.config.dapi.zone()))
    };
    answer(outcome.await)
}

async fn remove_task(State(state): State<AppState>, asked: Asked) -> Response {
    let outcome = async {
        let TaskDeletion { id, user } = TaskDeletion::read(asked.form?)?;
        Ok(state.channels.remove_task(asked.requester, id, user.as_ref()).await?)
    };
    answer(outcome.await)
}

async fn settings(State(state): State<AppState>, asked: Asked) -> Response {
    let outcome = async {
        asked.form?.end()?;
        let (channels, zone) = (&state.channels, &state.config.dapi.time_zone);
        Ok(wire::settings(channels.app_id(), channels.settings(), zone))
    };
    answer(outcome.await)
}

fn answer<T: Serialize>(outcome: Result<T, Refused>) -> Response {
    note_failure(&outcome);
    respond(StatusCode::OK, wire::answer(outcome))
}

fn note_failure<T>(outcome: &Result<T, Refused>) {
    if let Err(Refused::Channel {
        error: ChannelError::Storage(cause),
        ..
    }) = outcome
    {
        metrics::counter!("patchbay_storage_errors_total").increment(1);
        let cause: &(dyn std::error::Error + 'static) = cause;
        tracing::error!(cause, "storage failed; a request about a call could not be served");
    }
}

/// A request of somebody who may ask.
struct Asked {
    requester: Requester,
    form: Result<Form, Refused>,
}

impl FromRequest<AppState> for Asked {
    type Rejection = Response;

    async fn from_request(mut request: Request, state: &AppState) -> Result<Self, Response> {
        let client = request.extensions().get::<Client>().copied();
        let Client(client) = client.unwrap_or(Client(ClientAddress::UNKNOWN));
        let config = &state.config;
        let is_trusted = has_key(request.headers(), &config.dapi.key);
        if !is_trusted && !config.dapi.key.is_empty() {
            let sentence = "the key is missing or wrong: send it as Authorization: Bearer …, as dapi.key has it";
            return Err(refuse(StatusCode::UNAUTHORIZED, sentence));
        }
        if !is_trusted && config.auth.required {
            let sentence = "this server asks for proofs of names (auth.required), so it takes calls only with a key: \
                set dapi.key, and send it as Authorization: Bearer …";
            return Err(refuse(StatusCode::UNAUTHORIZED, sentence));
        }
        let query = request.uri().query().unwrap_or_default().to_owned();
        let content_type = request.headers_mut().remove(header::CONTENT_TYPE);
        let body = Bytes::from_request(request, state).await;
        let content_type = content_type.as_ref().and_then(|value| value.to_str().ok());
        let client = match is_trusted {
            true => ClientAddress::THIS_MACHINE,
            false => client,
        };
        Ok(Asked {
            requester: Requester { client, is_trusted },
            form: form(body, content_type.unwrap_or_default(), &query),
        })
    }
}

/// The fields in a body, or else in the query.
fn form(body: Result<Bytes, BytesRejection>, content_type: &str, query: &str) -> Result<Form, Refused> {
    let body = body.map_err(|_| {
        let sentence = format!("the body cannot be read, or is longer than {BODY_BYTES_MAX} bytes");
        Refused::unreadable(&sentence)
    })?;
    let text = || std::str::from_utf8(&body).map_err(|_| Refused::unreadable("the body is no text in UTF-8"));
    match body.trim_ascii_start().first() {
        None => Ok(Form::texts(decoded(query))?),
        Some(b'{' | b'[') => Ok(Form::json(text()?)?),
        Some(_) if content_type.trim_start().to_ascii_lowercase().starts_with("multipart/") => {
            Ok(Form::texts(parts(&body, content_type)?)?)
        }
        Some(_) => Ok(Form::texts(decoded(text()?.trim()))?),
    }
}

/// The fields of an urlencoded text. Bytes that are no text become the replacement character, which no field may have.
fn decoded(text: &str) -> impl Iterator<Item = (String, String)> + '_ {
    let pairs = form_urlencoded::parse(text.as_bytes());
    pairs.map(|(name, value)| (Cow::into_owned(name), Cow::into_owned(value)))
}

/// The fields of a multipart form. Files count as texts: nobody sends any here.
fn parts(body: &[u8], content_type: &str) -> Result<Vec<(String, String)>, Refused> {
    let bad = |sentence: &str| Refused::unreadable(&format!("the form cannot be read: {sentence}"));
    let mut parser = Parser::new(content_type).map_err(|error| bad(&error.to_string()))?;
    parser.push(body);
    let mut parts: Vec<(String, Vec<u8>)> = Vec::new();
    loop {
        match parser.poll().map_err(|error| bad(&error.to_string()))? {
            Some(MultipartEvent::Part(_)) if parts.len() >= PARTS_MAX => return Err(bad("it has too many parts")),
            Some(MultipartEvent::Part(part)) => parts.push((part.name, Vec::new())),
            Some(MultipartEvent::Data(data)) => {
                if let Some((_, content)) = parts.last_mut() {
                    content.extend_from_slice(&data);
                }
            }
            Some(MultipartEvent::End) => break,
            None => return Err(bad("it ends before its last boundary")),
        }
    }
    let text = |(name, content): (String, Vec<u8>)| (name, String::from_utf8_lossy(&content).into_owned());
    Ok(parts.into_iter().map(text).collect())
}
