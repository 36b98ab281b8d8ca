//! The fields of a request, however they were sent, and how each is read.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;

use crate::signaling::json::{self, EXACT_INTEGER_MAX, Name, Text};
use crate::text::TextLimit;

const MORE_THAN_ONCE: &str = "it is there more than once";

/// Fields of one request: the longest list, one by one, and all others twice.
const FIELDS_MAX: usize = 40;

/// Fields that are ignored where they mean nothing, because programs send them that know nothing of this server: later versions
/// of this interface, rows of a list of tasks that are sent back, pages, and what frameworks add to every request.
const IGNORED: [&str; 8] = [
    "_",
    "_page",
    "_perpage",
    "_status_label",
    "call_group",
    "csrfmiddlewaretoken",
    "pk",
    "tone_list",
];

/// Characters of a name that nobody knows, as it is said back.
const UNKNOWN_NAME_MAX: usize = 64;

/// Fields of a request, in the order in which they were sent. What is read is taken out, so that [`Form::end`] knows what is
/// left.
#[derive(Debug, Default)]
pub struct Form(Vec<(String, Value)>);

/// What is wrong with a request, for whoever sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Name of the field. `None` if the request as a whole is wrong.
    pub field: Option<Cow<'static, str>>,
    pub sentence: String,
}

impl Problem {
    pub fn new(field: impl Into<Option<&'static str>>, sentence: impl Into<String>) -> Self {
        Self {
            field: field.into().map(Cow::Borrowed),
            sentence: sentence.into(),
        }
    }

    /// Something is wrong with a field whose name was sent.
    fn with(name: &str, sentence: impl Into<String>) -> Self {
        Self {
            field: Some(Cow::Owned(name.chars().take(UNKNOWN_NAME_MAX).collect())),
            sentence: sentence.into(),
        }
    }
}

/// All that is wrong with a request. There is a problem for each field at most, or one for the request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl Problems {
    /// What was read of a field. Where that failed, nothing, which nobody gets to see: [`Problems::end`] refuses the request.
    pub(super) fn note<T: Default>(&mut self, read: Result<T, Problem>) -> T {
        read.unwrap_or_else(|problem| {
            self.0.push(problem);
            T::default()
        })
    }

    /// Refuses a request with which something is wrong, or which has fields that nobody has read.
    pub(super) fn end(mut self, form: Form) -> Result<(), Problems> {
        self.0.extend(form.end().err().into_iter().flatten());
        match self.0.is_empty() {
            true => Ok(()),
            false => Err(self),
        }
    }
}

impl IntoIterator for Problems {
    type Item = Problem;
    type IntoIter = std::vec::IntoIter<Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl Form {
    /// The fields of a JSON object.
    pub fn json(text: &str) -> Result<Form, Problem> {
        let bad = "the body is no JSON object, or is nested too deep";
        let pairs = json::pairs(text).ok_or_else(|| Problem::new(None, bad))?;
        let mut names = BTreeSet::new();
        if let Some((name, _)) = pairs.iter().find(|(name, _)| !names.insert(name)) {
            return Err(Problem::with(name, MORE_THAN_ONCE));
        }
        Form::new(pairs)
    }

    /// The fields of a form, or of a query.
    pub fn texts(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Form, Problem> {
        let pairs = pairs.into_iter().take(FIELDS_MAX + 1);
        Form::new(pairs.map(|(name, text)| (name, Value::String(text))).collect())
    }

    fn new(pairs: Vec<(String, Value)>) -> Result<Form, Problem> {
        if pairs.len() > FIELDS_MAX {
            return Err(Problem::new(
                None,
                format!("the request has more than {FIELDS_MAX} fields"),
            ));
        }
        Ok(Form(pairs))
    }

    fn take(&mut self, is_it: impl Fn(&str) -> bool) -> Vec<Value> {
        let taken = self.0.extract_if(.., |(name, _)| is_it(name));
        taken.map(|(_, value)| value).collect()
    }

    /// The only value of a field. A value `null` counts as none.
    fn one(&mut self, field: &'static str) -> Result<Option<Value>, Problem> {
        let mut values = self.take(|name| name == field);
        match values.len() {
            0 | 1 => Ok(values.pop().filter(|value| !value.is_null())),
            _ => Err(Problem::new(field, MORE_THAN_ONCE)),
        }
    }

    /// The only value of a field that may not be an empty text.
    fn filled(&mut self, field: &'static str) -> Result<Option<Value>, Problem> {
        Ok(self.one(field)?.filter(|value| value.as_str() != Some("")))
    }

    /// Refuses a request in which fields are left that nobody has read, except those that are ignored.
    pub fn end(self) -> Result<(), Problems> {
        let mut names: Vec<String> = Vec::new();
        for (name, _) in self.0 {
            if !IGNORED.contains(&name.as_str()) && !names.contains(&name) {
                names.push(name);
            }
        }
        let unknown = |name: String| Problem::with(&name, "this request has no such field");
        let problems: Vec<Problem> = names.into_iter().map(unknown).collect();
        match problems.is_empty() {
            true => Ok(()),
            false => Err(Problems(problems)),
        }
    }

    /// The name of a user or a channel.
    pub fn name(&mut self, field: &'static str) -> Result<String, Problem> {
        let name = self.optional_name(field)?;
        name.ok_or_else(|| Problem::new(field, "it is missing"))
    }

    /// The name of a user or a channel, if there is one.
    pub fn optional_name(&mut self, field: &'static str) -> Result<Option<String>, Problem> {
        self.filled(field)?.map(|value| name(field, &value)).transpose()
    }

    /// Names: a list, one text with commas between the names, or in a form the same field several times, also with brackets
    /// behind its name, as PHP and jQuery write lists: `field[]`, `field[0]`.
    pub fn names(&mut self, field: &'static str, most: usize) -> Result<Vec<String>, Problem> {
        let mut names: Vec<String> = Vec::new();
        for value in self.take(|name| is_list_name(name, field)) {
            for item in items(field, &value)? {
                let name = name(field, &item)?;
                if !names.contains(&name) {
                    names.push(name);
                }
                if names.len() > most {
                    return Err(Problem::new(field, format!("it has more than {most} names")));
                }
            }
        }
        Ok(names)
    }

    /// A text. A field that is missing is an empty one.
    pub(crate) fn text(&mut self, field: &'static str, limit: TextLimit) -> Result<String, Problem> {
        let Some(value) = self.one(field)? else {
            return Ok(String::new());
        };
        let Text(text) = Text::deserialize(&value).map_err(|_| Problem::new(field, "it is no text"))?;
        if !limit.holds(&text) {
            let sentence = format!("it has more than {} characters", limit.characters);
            return Err(Problem::new(field, sentence));
        }
        if text.contains('\0') || text.contains(char::REPLACEMENT_CHARACTER) {
            return Err(Problem::new(field, "it has a character that no text has"));
        }
        Ok(text)
    }

    /// A whole number. `None` if the field is missing or empty.
    pub fn number(&mut self, field: &'static str) -> Result<Option<i64>, Problem> {
        let Some(value) = self.filled(field)? else {
            return Ok(None);
        };
        let bad = || Problem::new(field, "it is no whole number, or too large");
        let digits = Name::deserialize(&value).ok().and_then(|name| name.text().ok());
        let number: i64 = digits.ok_or_else(bad)?.parse().map_err(|_| bad())?;
        match (-EXACT_INTEGER_MAX..=EXACT_INTEGER_MAX).contains(&number) {
            true => Ok(Some(number)),
            false => Err(bad()),
        }
    }
}

fn name(field: &'static str, value: &Value) -> Result<String, Problem> {
    let bad = |sentence: &str| Problem::new(field, sentence);
    let name = Name::deserialize(value).map_err(|_| bad("it is no name: a text or a whole number, and not empty"))?;
    let name = name.text().map_err(|too_long| bad(&too_long.to_string()))?;
    let is_odd = |c: char| c.is_control() || c == char::REPLACEMENT_CHARACTER;
    match name.contains(is_odd) {
        true => Err(bad("it has a character that no name has")),
        false => Ok(name),
    }
}

/// Whether this is the name of a list, or of a part of it.
fn is_list_name(name: &str, list: &str) -> bool {
    let Some(rest) = name.strip_prefix(list) else {
        return false;
    };
    let index = rest.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    rest.is_empty() || index.is_some_and(|index| index.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The names in one value of a list. In a form a list may be written as in JSON.
fn items(field: &'static str, value: &Value) -> Result<Vec<Value>, Problem> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(items) => Ok(items.clone()),
        Value::String(text) if text.starts_with('[') => match json::parse(text) {
            Some(Value::Array(items)) => Ok(items),
            _ => Err(Problem::new(field, "it is no list of names")),
        },
        Value::String(text) => {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            Ok(parts.map(Value::from).collect())
        }
        one => Ok(vec![one.clone()]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(pairs: &[(&str, &str)]) -> Form {
        Form::texts(
            pairs
                .iter()
                .map(|(name, text)| ((*name).to_owned(), (*text).to_owned())),
        )
        .unwrap()
    }

    /// The field that is wrong, and why; no field where the request as a whole is.
    fn why<T: std::fmt::Debug>(read: Result<T, impl Into<Problems>>) -> (String, String) {
        let problems: Problems = read.err().unwrap().into();
        let [problem] = <[Problem; 1]>::try_from(problems.0).unwrap();
        (problem.field.unwrap_or_default().into_owned(), problem.sentence)
    }

    #[test]
    fn names_may_be_numbers_and_are_neither_empty_nor_long_nor_of_another_type() {
        let read = |json: &str| Form::json(json)?.name("uid");
        assert_eq!(read(r#"{"uid":"1234"}"#).unwrap(), "1234");
        assert_eq!(read(r#"{"uid":1234}"#).unwrap(), "1234");
        assert_eq!(read(r#"{"uid":"安娜","more":[{}]}"#).unwrap(), "安娜");
        let long = format!(r#"{{"uid":"{}"}}"#, "x".repeat(129));
        for (json, sentence) in [
            ("{}", "missing"),
            (r#"{"uid":null}"#, "missing"),
            (r#"{"uid":""}"#, "missing"),
            (r#"{"uid":true}"#, "no name"),
            (r#"{"uid":1.5}"#, "no name"),
            (r#"{"uid":["1"]}"#, "no name"),
            (r#"{"uid":{"id":1}}"#, "no name"),
            (r#"{"uid":"1","uid":"2"}"#, "more than once"),
            (r#"{"uid":"a\u0000"}"#, "character"),
            (r#"{"uid":"a\nb"}"#, "character"),
            (&long, "128 characters"),
        ] {
            let (field, said) = why(read(json));
            assert!(field == "uid" && said.contains(sentence), "{json:.40}: {said}");
        }
    }

    #[test]
    fn lists_are_read_however_they_are_written() {
        let read = |mut form: Form| -> Result<Vec<String>, Problems> {
            let names = form.names("dst_uid", 3)?;
            form.end().map(|()| names)
        };
        let both = ["1", "2"];
        for json in [
            r#"{"dst_uid":["1","2"]}"#,
            r#"{"dst_uid":[1,2,1]}"#,
            r#"{"dst_uid":"1,2"}"#,
            r#"{"dst_uid":" 1 , 2,"}"#,
            r#"{"dst_uid[]":["1"],"dst_uid":2}"#,
            r#"{"dst_uid[0]":"1","dst_uid[12]":"2","dst_uid":null}"#,
        ] {
            assert_eq!(read(Form::json(json).unwrap()).unwrap(), both, "{json}");
        }
        for pairs in [
            &[("dst_uid", "1,2")][..],
            &[("dst_uid", "1"), ("dst_uid", "2")],
            &[("dst_uid[]", "1"), ("dst_uid[]", "2")],
            &[("dst_uid[0]", "1"), ("dst_uid[1]", "2")],
            &[("dst_uid", r#"["1",2]"#)],
        ] {
            assert_eq!(read(query(pairs)).unwrap(), both, "{pairs:?}");
        }
        assert_eq!(read(query(&[])).unwrap(), [""; 0]);
        assert_eq!(read(query(&[("dst_uid", "")])).unwrap(), [""; 0]);
        for (json, sentence) in [
            (r#"{"dst_uid":["1",""]}"#, "no name"),
            (r#"{"dst_uid":[["1"]]}"#, "no name"),
            (r#"{"dst_uid":{"0":"1"}}"#, "no name"),
            (r#"{"dst_uid":false}"#, "no name"),
            (r#"{"dst_uid":"[1,"}"#, "no list"),
            (r#"{"dst_uid":"1,2,3,4"}"#, "more than 3"),
            (r#"{"dst_uid":["1","2","3","4"]}"#, "more than 3"),
        ] {
            let (field, said) = why(read(Form::json(json).unwrap()));
            assert!(field == "dst_uid" && said.contains(sentence), "{json}: {said}");
        }
    }

    #[test]
    fn numbers_may_be_texts_and_texts_numbers() {
        let number = |json: &str| Form::json(json)?.number("code");
        for (json, wanted) in [
            (r#"{"code":1}"#, Some(1)),
            (r#"{"code":"1003"}"#, Some(1003)),
            (r#"{"code":2.0}"#, Some(2)),
            (r#"{"code":"-1"}"#, Some(-1)),
            (r#"{"code":""}"#, None),
            ("{}", None),
        ] {
            assert_eq!(number(json).unwrap(), wanted, "{json}");
        }
        for json in [
            r#"{"code":"x"}"#,
            r#"{"code":1.5}"#,
            r#"{"code":[1]}"#,
            r#"{"code":true}"#,
            r#"{"code":9007199254740992}"#,
            r#"{"code":"99999999999999999999"}"#,
            r#"{"code":1,"code":1}"#,
        ] {
            assert_eq!(why(number(json)).0, "code", "{json}");
        }
        let text = |json: &str| Form::json(json)?.text("desp", TextLimit::characters(3));
        assert_eq!(text(r#"{"desp":"接通"}"#).unwrap(), "接通");
        assert_eq!(text(r#"{"desp":12}"#).unwrap(), "12");
        assert_eq!(text("{}").unwrap(), "");
        for json in [
            r#"{"desp":"abcd"}"#,
            r#"{"desp":{}}"#,
            r#"{"desp":[]}"#,
            r#"{"desp":"\u0000"}"#,
        ] {
            assert_eq!(why(text(json)).0, "desp", "{json}");
        }
    }

    #[test]
    fn what_is_no_object_or_has_too_many_fields_is_refused_as_a_whole() {
        for json in [
            "",
            "{",
            "[]",
            r#"[{"uid":"1"}]"#,
            "1",
            "{\"uid\":1}}",
            &"[".repeat(100_000),
        ] {
            assert_eq!(why(Form::json(json)).0, "", "{json:.20}");
        }
        let many = |count: usize| Form::texts((0..count).map(|n| (n.to_string(), String::new())));
        assert!(many(40).is_ok());
        assert!(many(41).is_err());
    }

    #[test]
    fn fields_that_nobody_reads_are_refused_by_name_except_those_that_other_programs_add() {
        let rest = |mut form: Form| -> Result<(), Problems> {
            form.name("uid")?;
            form.names("dst_uid", 3)?;
            form.end()
        };
        for (name, said) in [
            ("desp", "desp"),
            ("Uid", "Uid"),
            ("uid[]", "uid[]"),
            ("uid[0]", "uid[0]"),
            ("dst_uid[x]", "dst_uid[x]"),
            ("dst_uid[0", "dst_uid[0"),
            ("dst_uid]", "dst_uid]"),
            ("dst_uids", "dst_uids"),
            ("__", "__"),
            ("", ""),
            (&"长".repeat(1_000), &"长".repeat(64)),
        ] {
            let (field, why) = why(rest(query(&[("uid", "1"), (name, "2")])));
            assert_eq!((&*field, why.contains("no such field")), (said, true), "{name:.20}");
        }
        for name in IGNORED {
            rest(query(&[("uid", "1"), (name, "2"), (name, "3")])).unwrap();
        }
    }

    #[test]
    fn every_field_that_is_wrong_is_named_once() {
        let mut form = query(&[
            ("uid", ""),
            ("code", "x"),
            ("more", "1"),
            ("desp", "abcd"),
            ("more", "2"),
            ("less", ""),
        ]);
        let mut wrong = Problems::default();
        wrong.note(form.name("uid"));
        wrong.note(form.number("code"));
        wrong.note(form.text("desp", TextLimit::characters(3)));
        wrong.note(form.text("extra_msg", TextLimit::characters(3)));
        let problems = wrong.end(form).unwrap_err();
        let fields = problems.into_iter().map(|problem| problem.field.unwrap().into_owned());
        assert_eq!(fields.collect::<Vec<_>>(), ["uid", "code", "desp", "more", "less"]);
    }

    #[test]
    fn a_key_that_json_has_twice_is_refused_whatever_it_is() {
        for (json, name) in [
            (r#"{"uid":"1","uid":"1"}"#, "uid"),
            (r#"{"uid":"1","u\u0069d":"2"}"#, "uid"),
            (r#"{"uid":null,"uid":"1"}"#, "uid"),
            (r#"{"dst_uid":["1"],"dst_uid":["2"]}"#, "dst_uid"),
            (r#"{"_":1,"_":2}"#, "_"),
        ] {
            let (field, said) = why(Form::json(json));
            assert!(field == name && said.contains("more than once"), "{json}: {said}");
        }
    }
}
