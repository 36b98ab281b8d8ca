//! Operations of calls over HTTP. Their fields are described in [`crate::signaling::dapi`].

use axum::routing::MethodRouter;
use serde_json::json;
use utoipa::openapi::path::{HttpMethod, OperationBuilder, Parameter, ParameterBuilder, ParameterIn, Paths};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{self, AdditionalProperties, ArrayBuilder, ObjectBuilder, OneOfBuilder, Type};
use utoipa::openapi::{
    ContentBuilder, PathItem, Ref, RefOr, Required, Response, ResponseBuilder, Schema, SecurityRequirement,
};
use utoipa::{PartialSchema, ToSchema};
use utoipa_axum::router::UtoipaMethodRouter;

use super::answers;
use crate::signaling::dapi::fields::{self, Field, NAME_CHARACTERS_MAX, Shape};
use crate::signaling::dapi::{Entry, MessageRow, Nothing, Record, Settings, TaskRows};

/// Content types in which a body with fields is accepted.
const FIELDS_TYPES: [&str; 3] = [
    "application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
];

/// `null`, in the answers that have nothing else to say.
pub(crate) struct Null;

impl PartialSchema for Null {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Null).build().into()
    }
}

impl ToSchema for Null {}

pub(crate) fn call_user<S>(path: &str, route: MethodRouter<S>) -> UtoipaMethodRouter<S> {
    let description = "They are called where they are: on every socket on which such calls ring, on their phones, and whenever they ask `/dapi/call/msg`. The caller enters the room of the channel with the token in the answer. A user may have sixteen calls going on at once; one more is refused under `src_uid`.";
    operation::<Entry, S>(path, route, fields::CALL, "Call people", description)
}

pub(crate) fn call_robot<S>(path: &str, route: MethodRouter<S>) -> UtoipaMethodRouter<S> {
    let description = "Opens a channel in which a robot plays a recording.";
    operation::<Entry, S>(path, route, fields::OF_CALLER, "Call a robot", description)
}

pub(crate) fn invite_robot<S>(path: &str, route: MethodRouter<S>) -> UtoipaMethodRouter<S> {
    let description = "As when a callee has declined. The robot has the call then, and it rings nowhere.";
    operation::<Entry, S>(
        path,
        route,
        fields::IN_CHANNEL,
        "Send a robot into a channel",
        description,
    )
}

pub(crate) fn quit_robot<S>(path: &str, route: MethodRouter<S>) -> UtoipaMethodRouter<S> {
    let description = "Nothing happens where there is none.";
    operation::<Null, S>(
        path,
        route,
        fields::ROBOT_REMOVAL,
        "Send the robot out of a channel",
        description,
    )
}

pub(crate) fn account_update<S>(path: &str, route: MethodRouter<S>) -> UtoipaMethodRouter<S> {
    let description = "By its push service, while no app of it is connected.";
    operation::<Null, S>(path, route, fields::DEVICE, "Let calls ring at a device", description)
}

pub(crate) fn call_msg<S>(path: &str, route: MethodRouter<S>) -> UtoipaMethodRouter<S> {
    let description = "Those in which they are caller or callee, that were made within `dapi.message_window_s`, and that are not over for them.";
    operation::<Vec<MessageRow>, S>(path, route, fields::OF_USER, "List recent calls of a user", description)
}

pub(crate) fn call_token<S>(path: &str, route: MethodRouter<S>) -> UtoipaMethodRouter<S> {
    let description = "A callee answers the call by this.";
    operation::<Entry, S>(
        path,
        route,
        fields::IN_CHANNEL,
        "Get a token for a channel",
        description,
    )
}

pub(crate) fn channel_join<S>(path: &str, route: MethodRouter<S>) -> UtoipaMethodRouter<S> {
    let description = "The same as `/dapi/call/token`.";
    operation::<Entry, S>(
        path,
        route,
        fields::IN_CHANNEL,
        "Get a token for a channel (older name)",
        description,
    )
}

pub(crate) fn call_event<S>(path: &str, route: MethodRouter<S>) -> UtoipaMethodRouter<S> {
    let description = "It is recorded with its time, and does what its code says.";
    operation::<Null, S>(path, route, fields::EVENT, "Report an event of a call", description)
}

pub(crate) fn call_heartbeat<S>(path: &str, route: MethodRouter<S>) -> UtoipaMethodRouter<S> {
    let description = "Whoever has sent one, or event 1, has to send the next within `channel_heartbeat` seconds (`/dapi/system/config`); otherwise they have left.";
    operation::<Null, S>(
        path,
        route,
        fields::IN_CHANNEL,
        "Show that somebody is still in a call",
        description,
    )
}

pub(crate) fn call_record<S>(path: &str, route: MethodRouter<S>) -> UtoipaMethodRouter<S> {
    let description = "Its people and events, and how it has ended. This server's own.";
    operation::<Record, S>(
        path,
        route,
        fields::OF_CHANNEL,
        "Show the record of a call",
        description,
    )
}

pub(crate) fn calltask_update<S>(path: &str, route: MethodRouter<S>) -> UtoipaMethodRouter<S> {
    let description = "It is made at that time, once, as `/dapi/call/user` makes one; a time that is over is refused. With an `id` a task of the same caller is changed.";
    operation::<Nothing, S>(path, route, fields::TASK_UPDATE, "Schedule a call", description)
}

pub(crate) fn calltask_list<S>(path: &str, route: MethodRouter<S>) -> UtoipaMethodRouter<S> {
    let description = "The newest first, also those that were made or have failed.";
    operation::<TaskRows, S>(path, route, fields::TASK_LIST, "List scheduled calls", description)
}

pub(crate) fn calltask_delete<S>(path: &str, route: MethodRouter<S>) -> UtoipaMethodRouter<S> {
    let description = "If it is that user's.";
    operation::<Null, S>(
        path,
        route,
        fields::TASK_DELETION,
        "Remove a scheduled call",
        description,
    )
}

pub(crate) fn system_config<S>(path: &str, route: MethodRouter<S>) -> UtoipaMethodRouter<S> {
    let description = "The seconds between heartbeats, and the id of the app that signs access tokens.";
    operation::<Settings, S>(path, route, fields::NONE, "Show settings for clients", description)
}

/// The route of a path that takes these fields and answers with `Data` in the envelope.
fn operation<Data: ToSchema, S>(
    path: &str,
    route: MethodRouter<S>,
    fields: &[Field],
    summary: &str,
    description: &str,
) -> UtoipaMethodRouter<S> {
    let mut schemas = vec![("CallRefusal".to_owned(), refusal())];
    Data::schemas(&mut schemas);
    let done = match Data::schema() {
        RefOr::T(Schema::Object(object)) if object.schema_type == Type::Object.into() => {
            schemas.push((Data::name().into_owned(), RefOr::T(Schema::Object(object))));
            RefOr::Ref(Ref::from_schema_name(Data::name()))
        }
        // What has no name of its own.
        other => other,
    };
    let mut body = RequestBodyBuilder::new().description(Some("The fields."));
    for kind in FIELDS_TYPES {
        let object = ContentBuilder::new().schema(Some(object(fields)));
        body = body.content(kind, object.build());
    }
    let refused = Ref::from_schema_name("CallRefusal").into();
    let operation = OperationBuilder::new()
        .tag("calls")
        .summary(Some(summary))
        .description(Some(description))
        .request_body(Some(body.build()))
        .parameters(Some(fields.iter().map(parameter)))
        .securities(Some([
            SecurityRequirement::default(),
            SecurityRequirement::new("dapi_key", [""; 0]),
        ]))
        .response("200", json("Done, or refused with the reason.", outcome(done)))
        .response("401", json("The key is missing or wrong.", refused))
        .response("403", either_refusal());
    let mut paths = Paths::new();
    let methods = vec![HttpMethod::Get, HttpMethod::Post];
    paths.add_path_operation(path, methods, operation.build());
    (schemas, paths, route)
}

/// The fields as an object. Unknown ones are ignored.
fn object(fields: &[Field]) -> RefOr<Schema> {
    let mut object = ObjectBuilder::new();
    for field in fields {
        object = object.property(field.name, schema_of(field));
        if field.is_required {
            object = object.required(field.name);
        }
    }
    Schema::from(object.build()).into()
}

/// A field in the query.
fn parameter(field: &Field) -> Parameter {
    let required = if field.is_required {
        Required::True
    } else {
        Required::False
    };
    ParameterBuilder::new()
        .name(field.name)
        .parameter_in(ParameterIn::Query)
        .required(required)
        .description(Some(field.description))
        .schema(Some(schema_of(field)))
        .build()
}

fn schema_of(field: &Field) -> RefOr<Schema> {
    let text = ObjectBuilder::new().schema_type(Type::String);
    let described = Some(field.description);
    match field.shape {
        Shape::Text { least, most } => {
            let text = text.min_length(Some(least)).max_length(Some(most));
            Schema::from(text.description(described).build()).into()
        }
        Shape::Names { least, most } => {
            let names = ArrayBuilder::new().items(text.min_length(Some(1)).max_length(Some(NAME_CHARACTERS_MAX)));
            let names = names.min_items(Some(least)).max_items(Some(most));
            Schema::from(names.description(described).build()).into()
        }
        Shape::Number { least, most } => {
            let number = ObjectBuilder::new().schema_type(Type::Integer);
            let number = number.minimum(Some(least as f64)).maximum(Some(most as f64));
            Schema::from(number.description(described).build()).into()
        }
        Shape::Time => {
            let time = text.pattern(Some("^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}$"));
            let time = time.examples([json!("2030-02-02 20:20:00")]);
            Schema::from(time.description(described).build()).into()
        }
    }
}

fn json(description: &str, schema: RefOr<Schema>) -> Response {
    let content = ContentBuilder::new().schema(Some(schema));
    let answer = ResponseBuilder::new().description(description);
    answer.content("application/json", content.build()).build()
}

/// The envelope around `data`, or around a refusal.
fn outcome(data: RefOr<Schema>) -> RefOr<Schema> {
    let done = ObjectBuilder::new()
        .property("success", flag(true))
        .property("data", data)
        .required("success")
        .required("data");
    let outcome = OneOfBuilder::new()
        .item(done)
        .item(Ref::from_schema_name("CallRefusal"));
    Schema::from(outcome.build()).into()
}

/// A refusal is the same for all requests.
fn refusal() -> RefOr<Schema> {
    let sentences = ObjectBuilder::new()
        .description(Some(
            "The field that is wrong, and why. Missing where no single field is.",
        ))
        .additional_properties(Some(AdditionalProperties::RefOr(RefOr::T(text("").into()))));
    let refusal = ObjectBuilder::new()
        .description(Some("A request that was refused. It has changed nothing."))
        .property("success", flag(false))
        .property("msg", text("Sentence for people: what is wrong, and what to do."))
        .property("data", sentences)
        .required("success")
        .required("msg");
    Schema::from(refusal.build()).into()
}

fn text(description: &str) -> schema::Object {
    let description = Some(description).filter(|words| !words.is_empty());
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(description)
        .build()
}

fn flag(value: bool) -> schema::Object {
    let flag = ObjectBuilder::new().schema_type(Type::Boolean);
    flag.enum_values(Some([json!(value)])).build()
}

/// A page of another site, refused by the guard of all routes or by that of these.
fn either_refusal() -> Response {
    let mut answer = answers::foreign_origin();
    let either = OneOfBuilder::new()
        .item(Ref::from_schema_name("Error"))
        .item(Ref::from_schema_name("CallRefusal"));
    let content = ContentBuilder::new().schema(Some(Schema::from(either.build())));
    answer
        .content
        .insert("application/json".to_owned(), content.build().into());
    answer
}

/// Leaves the fields in the query of GET, and in the body of POST: a request has them in one of both.
pub(super) fn separate(item: &mut PathItem) {
    if let Some(get) = &mut item.get {
        get.request_body = None;
    }
    if let Some(post) = &mut item.post {
        post.parameters = None;
        if let Some(RefOr::T(body)) = &mut post.request_body {
            body.required = Some(Required::True);
        }
    }
}
