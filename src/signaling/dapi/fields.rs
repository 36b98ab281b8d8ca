//! The fields of each request, as the document of the HTTP interface has them. [`super::wire`] reads them.

use super::wire::{CODE_MAX, DESCRIPTION, EXTRA, PAGES_MAX, PER_PAGE_MAX, PUSH_TOKEN, TASK};
use crate::channels::CALLEES_MAX;
use crate::signaling::json::EXACT_INTEGER_MAX;
use crate::text::NAME;

/// A field of a request.
#[derive(Clone, Copy)]
pub(crate) struct Field {
    pub name: &'static str,
    pub is_required: bool,
    pub shape: Shape,
    pub description: &'static str,
}

/// What a field may be.
#[derive(Clone, Copy)]
pub(crate) enum Shape {
    /// Characters of a text.
    Text {
        least: usize,
        most: usize,
    },
    /// Number of names.
    Names {
        least: usize,
        most: usize,
    },
    Number {
        least: i64,
        most: i64,
    },
    Time,
}

/// Characters of each name in a list.
pub(crate) const NAME_CHARACTERS_MAX: usize = NAME.characters;

const LONG_NAME: Shape = Shape::Text {
    least: 1,
    most: NAME_CHARACTERS_MAX,
};

const fn required(name: &'static str, shape: Shape, description: &'static str) -> Field {
    Field {
        name,
        is_required: true,
        shape,
        description,
    }
}

const fn optional(name: &'static str, shape: Shape, description: &'static str) -> Field {
    Field {
        is_required: false,
        ..required(name, shape, description)
    }
}

const CALLER: Field = required("src_uid", LONG_NAME, "Caller.");
const USER: Field = required("uid", LONG_NAME, "User who asks, or to whom it has happened.");
const CHANNEL: Field = required("channel", LONG_NAME, "Name of the channel.");

const CALLEES: &str = "Callees: a list, the same field several times, or one text with commas.";

pub(crate) const OF_CALLER: &[Field] = &[CALLER];
pub(crate) const OF_USER: &[Field] = &[USER];
pub(crate) const OF_CHANNEL: &[Field] = &[CHANNEL];
pub(crate) const IN_CHANNEL: &[Field] = &[USER, CHANNEL];
pub(crate) const NONE: &[Field] = &[];

pub(crate) const CALL: &[Field] = &[
    CALLER,
    optional(
        "dst_uid",
        Shape::Names {
            least: 0,
            most: CALLEES_MAX,
        },
        CALLEES,
    ),
    optional(
        "extra_msg",
        Shape::Text {
            least: 0,
            most: EXTRA.characters,
        },
        "Text that each callee gets with the call.",
    ),
];

pub(crate) const ROBOT_REMOVAL: &[Field] = &[CHANNEL, optional("uid", LONG_NAME, "User who asks.")];

pub(crate) const EVENT: &[Field] = &[
    USER,
    CHANNEL,
    required(
        "code",
        Shape::Number {
            least: 0,
            most: CODE_MAX,
        },
        "Kind of the event: 1 in the call; 2 left it; 1000 cancelled, 1001 not answered, 1002 declined (sent by the caller); 1003 \
         declines, 1006 was cancelled (sent by a callee); 1007 failed. Others are recorded, and do nothing.",
    ),
    optional(
        "desp",
        Shape::Text {
            least: 0,
            most: DESCRIPTION.characters,
        },
        "Description for the record.",
    ),
];

pub(crate) const DEVICE: &[Field] = &[
    USER,
    required("device", LONG_NAME, "Id of the device."),
    optional(
        "apns_token",
        Shape::Text {
            least: 0,
            most: PUSH_TOKEN.characters,
        },
        "Token of the device at its push service. Where it is missing or empty, calls are not pushed to it any more.",
    ),
];

pub(crate) const TASK_UPDATE: &[Field] = &[
    optional(
        "id",
        TASK_NUMBER,
        "Number of the task that is changed. Where it is missing, a task is made.",
    ),
    CALLER,
    required(
        "dst_uid",
        Shape::Names {
            least: 1,
            most: CALLEES_MAX,
        },
        CALLEES,
    ),
    required(
        "call_time",
        Shape::Time,
        "Time of the call, as `YYYY-MM-DD HH:MM:SS` in the time zone of the configuration (`dapi.time_zone`).",
    ),
    required(
        "taskid",
        Shape::Text {
            least: 1,
            most: TASK.characters,
        },
        "Id of the task at the app's back end.",
    ),
];

const TASK_NUMBER: Shape = Shape::Number {
    least: -EXACT_INTEGER_MAX,
    most: EXACT_INTEGER_MAX,
};

pub(crate) const TASK_LIST: &[Field] = &[
    USER,
    optional(
        "_page",
        Shape::Number {
            least: 1,
            most: PAGES_MAX,
        },
        "Number of the page: 1 where it is missing.",
    ),
    optional(
        "_perpage",
        Shape::Number {
            least: 1,
            most: PER_PAGE_MAX,
        },
        "Tasks on a page: 20 where it is missing.",
    ),
];

pub(crate) const TASK_DELETION: &[Field] = &[
    required("id", TASK_NUMBER, "Number of the task."),
    optional(
        "uid",
        LONG_NAME,
        "User whose task it has to be. With the key it may be left out.",
    ),
];

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::signaling::dapi::{
        Call, DeviceUpdate, EventReport, Form, InChannel, Problems, RobotRemoval, TaskDeletion, TaskList, TaskUpdate,
        caller, channel, uid,
    };

    type Read = fn(Form) -> Result<(), Problems>;

    const REQUESTS: &[(&[Field], Read)] = &[
        (OF_CALLER, |form| caller(form).map(drop)),
        (OF_USER, |form| uid(form).map(drop)),
        (OF_CHANNEL, |form| channel(form).map(drop)),
        (IN_CHANNEL, |form| InChannel::read(form).map(drop)),
        (CALL, |form| Call::read(form).map(drop)),
        (ROBOT_REMOVAL, |form| RobotRemoval::read(form).map(drop)),
        (EVENT, |form| EventReport::read(form).map(drop)),
        (DEVICE, |form| DeviceUpdate::read(form).map(drop)),
        (TASK_UPDATE, |form| TaskUpdate::read(form, &TimeZone::UTC).map(drop)),
        (TASK_LIST, |form| TaskList::read(form).map(drop)),
        (TASK_DELETION, |form| TaskDeletion::read(form).map(drop)),
    ];

    /// The greatest value of a field, and one that is greater by one.
    fn greatest(shape: Shape) -> (String, Option<String>) {
        let names = |count: usize| (0..count).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
        match shape {
            Shape::Text { most, .. } => ("x".repeat(most), Some("x".repeat(most + 1))),
            Shape::Names { most, .. } => (names(most), Some(names(most + 1))),
            Shape::Number { most, .. } => (most.to_string(), Some((most + 1).to_string())),
            Shape::Time => ("2030-02-02 20:20:00".to_owned(), None),
        }
    }

    /// The fields that are wrong.
    fn wrong(read: Result<(), Problems>) -> Vec<String> {
        let problems = read.err().into_iter().flatten();
        problems
            .map(|problem| problem.field.unwrap_or_default().into_owned())
            .collect()
    }

    #[test]
    fn every_field_that_is_required_is_named_where_all_are_missing() {
        for (fields, read) in REQUESTS {
            let mut required: Vec<&str> = fields
                .iter()
                .filter(|field| field.is_required)
                .map(|field| field.name)
                .collect();
            required.sort_unstable();
            let mut named = wrong(read(Form::texts([]).unwrap()));
            named.sort_unstable();
            assert_eq!(named, required);
        }
    }

    #[test]
    fn each_request_is_read_with_the_fields_and_limits_that_are_described() {
        for (fields, read) in REQUESTS {
            let whole: Vec<(String, String)> = fields
                .iter()
                .map(|field| (field.name.to_owned(), greatest(field.shape).0))
                .collect();
            let with = |form: Vec<(String, String)>| read(Form::texts(form).unwrap());
            let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
            assert_eq!(with(whole.clone()), Ok(()), "{names:?}");
            for (at, field) in fields.iter().enumerate() {
                let mut without = whole.clone();
                without.remove(at);
                let refused = wrong(with(without));
                assert_eq!(
                    refused,
                    Vec::from_iter(field.is_required.then_some(field.name)),
                    "{names:?}"
                );
                if let Some(too_great) = greatest(field.shape).1 {
                    let mut form = whole.clone();
                    form[at].1 = too_great;
                    assert_eq!(wrong(with(form)), [field.name], "{names:?}");
                }
            }
        }
    }
}
