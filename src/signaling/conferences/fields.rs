//! The fields of a request, however they were sent.
//!
//! Apps are closed programs, so whatever can be understood is: JSON whatever its type says, a form, the query. Fields that are not
//! known are ignored.

use std::collections::HashMap;

use serde_json::Value;

use crate::signaling::json;

/// Fields of one request. Apps send a handful; further ones are ignored.
const FIELDS_MAX: usize = 64;

/// Fields of a request, by name. Of a field that is there several times the last one counts, and of the query and the body the
/// body.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Fields {
    texts: HashMap<String, String>,
    /// Fields of a JSON body that are lists, objects or numbers.
    values: HashMap<String, Value>,
}

/// The body is neither JSON nor a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body is neither a JSON object nor a form, or is too long")]
pub struct Unreadable;

impl Fields {
    pub fn read(body: &[u8], query: &str) -> Result<Fields, Unreadable> {
        let mut fields = Fields::default();
        fields.add_form(query);
        let body = std::str::from_utf8(body).map_err(|_| Unreadable)?.trim();
        match body.as_bytes() {
            [] => {}
            [b'{' | b'[' | b'"', ..] => fields.add_json(body)?,
            body_bytes if body_bytes.contains(&b'=') => fields.add_form(body),
            _ => return Err(Unreadable),
        }
        Ok(fields)
    }

    /// The text of a field. `None` where it is missing or empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.texts.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// A list, an object or a number. Only JSON has them.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    fn add_form(&mut self, form: &str) {
        for (name, text) in form_urlencoded::parse(form.as_bytes()) {
            self.add(name.into_owned(), text.into_owned());
        }
    }

    fn add_json(&mut self, text: &str) -> Result<(), Unreadable> {
        let Some(Value::Object(object)) = json::parse(text) else {
            return Err(Unreadable);
        };
        for (name, value) in object {
            match value {
                Value::String(text) => self.add(name, text),
                Value::Bool(value) => self.add(name, value.to_string()),
                Value::Number(number) => {
                    self.add(name.clone(), number.to_string());
                    self.add_value(name, Value::Number(number));
                }
                Value::Array(_) | Value::Object(_) => self.add_value(name, value),
                Value::Null => {}
            }
        }
        Ok(())
    }

    fn add(&mut self, name: String, text: String) {
        if self.texts.len() < FIELDS_MAX || self.texts.contains_key(&name) {
            self.texts.insert(name, text);
        }
    }

    fn add_value(&mut self, name: String, value: Value) {
        if self.values.len() < FIELDS_MAX {
            self.values.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn account(body: &str, query: &str) -> Option<String> {
        Fields::read(body.as_bytes(), query)
            .ok()?
            .text("account")
            .map(str::to_owned)
    }

    #[test]
    fn fields_are_read_from_json_forms_and_queries() {
        for (body, query) in [
            (r#"{"account":"a@b","more":{"x":[1]},"none":null}"#, ""),
            ("\r\n {\"account\" : \"a@b\"} ", "account=other"),
            ("account=a%40b&pwd=1", ""),
            ("account=a@b", ""),
            ("", "account=a%40b&x"),
        ] {
            assert_eq!(account(body, query).as_deref(), Some("a@b"), "{body} {query}");
        }
        assert_eq!(account(r#"{"account":138}"#, "").as_deref(), Some("138"));
        assert_eq!(account(r#"{"account":""}"#, ""), None);
        assert_eq!(account("", ""), None);
    }

    #[test]
    fn what_is_neither_json_nor_a_form_is_refused() {
        for body in [
            &b"{"[..],
            b"[1]",
            b"\"a\"",
            b"hello",
            b"\xff=1",
            b"{\"account\":\"a\"} x",
        ] {
            assert_eq!(Fields::read(body, ""), Err(Unreadable), "{body:?}");
        }
        let many: String = (0..1_000).map(|n| format!("f{n}=1&")).collect();
        assert_eq!(Fields::read(many.as_bytes(), "").unwrap().texts.len(), FIELDS_MAX);
        let many: serde_json::Map<String, Value> = (0..1_000).map(|n| (n.to_string(), json!([n]))).collect();
        let many = serde_json::to_vec(&many).unwrap();
        assert_eq!(Fields::read(&many, "").unwrap().values.len(), FIELDS_MAX);
    }

    #[test]
    fn lists_objects_and_numbers_are_kept_beside_the_texts() {
        let fields = Fields::read(br#"{"list":["a"],"object":{"a":1},"number":7,"text":"7"}"#, "").unwrap();
        assert_eq!(fields.value("list"), Some(&json!(["a"])));
        assert_eq!(fields.value("object"), Some(&json!({ "a": 1 })));
        assert_eq!(
            (fields.value("number"), fields.text("number")),
            (Some(&json!(7)), Some("7"))
        );
        assert_eq!((fields.value("text"), fields.text("list")), (None, None));
    }
}
