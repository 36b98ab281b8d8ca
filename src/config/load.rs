//! Defaults ← file ← environment ← flags. Every source is first checked by itself, so that an error names the
//! place of the mistake: line, variable, or flag.

use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use super::{Config, check, values};

/// The file that is read when `--config` is not given and this file exists.
const DEFAULT_FILE: &str = "patchbay.toml";

const PREFIX: &str = "PATCHBAY_";

/// Prefixes of variables for the program's arguments and for its test suite, which are not configuration.
const NOT_CONFIGURATION: [&str; 2] = ["PATCHBAY_CONFIG", "PATCHBAY_TEST_"];

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the configuration file {path}: {source}", path = .path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path}, line {line}: {message}", path = .path.display())]
    File {
        path: PathBuf,
        line: usize,
        message: String,
    },
    #[error("the environment variable {name}: {message}")]
    Environment { name: String, message: String },
    #[error("--set {setting}: {message}")]
    Flag { setting: String, message: String },
    #[error("configuration: {0}")]
    Meaning(String),
}

/// Puts the configuration together. `file` must exist when given; each of `settings` is `section.key=value`.
pub fn load(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
    settings: &[String],
) -> Result<Config, ConfigError> {
    let mut table = match file {
        Some(path) => read(path)?,
        None if Path::new(DEFAULT_FILE).exists() => read(Path::new(DEFAULT_FILE))?,
        None => Table::new(),
    };
    let mut variables: Vec<_> = environment
        .into_iter()
        .filter(|(name, _)| name.starts_with(PREFIX) && !NOT_CONFIGURATION.iter().any(|other| name.starts_with(other)))
        .collect();
    variables.sort();
    for (name, value) in variables {
        let keys = variable_keys(&name);
        let setting = single(&keys, &value).map_err(|message| ConfigError::Environment { name, message })?;
        merge(&mut table, setting);
    }
    for setting in settings {
        let flag = |message| ConfigError::Flag {
            setting: setting.clone(),
            message,
        };
        let (key, value) = setting
            .split_once('=')
            .ok_or_else(|| flag("write it as section.key=value".to_owned()))?;
        let keys: Vec<String> = key.trim().split('.').map(str::to_owned).collect();
        merge(&mut table, single(&keys, value).map_err(flag)?);
    }
    let config = Config::deserialize_table(table).map_err(ConfigError::Meaning)?;
    check::check(&config).map_err(ConfigError::Meaning)?;
    Ok(config)
}

impl Config {
    fn deserialize_table(table: Table) -> Result<Config, String> {
        if let Some(misfit) = values::misfit(&table) {
            return Err(misfit.sentence);
        }
        table.try_into().map_err(|e: toml::de::Error| plain_words(e.message()))
    }
}

/// Reads and checks a file. Its text is deserialized a second time, because only that gives the line of a mistake.
fn read(path: &Path) -> Result<Table, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
        path: path.to_owned(),
        source,
    })?;
    let at_line = |e: toml::de::Error| ConfigError::File {
        path: path.to_owned(),
        line: line_of(&text, e.span().map_or(0, |span| span.start)),
        message: plain_words(e.message()),
    };
    let table = toml::from_str::<Table>(&text).map_err(at_line)?;
    if let Some(misfit) = values::misfit(&table) {
        return Err(ConfigError::File {
            path: path.to_owned(),
            line: line_of(&text, offset_of(&text, &misfit.place)),
            message: misfit.sentence,
        });
    }
    toml::from_str::<Config>(&text).map_err(at_line)?;
    Ok(table)
}

/// The offset of a value in a file. `place` has the keys from the outside in, and the numbers of items.
fn offset_of(text: &str, place: &[String]) -> usize {
    let Ok(root) = DeTable::parse(text) else { return 0 };
    let Some((first, rest)) = place.split_first() else {
        return 0;
    };
    let mut found = root.get_ref().get(first.as_str());
    for step in rest {
        found = found.and_then(|value| match (value.get_ref(), step.parse::<usize>()) {
            (DeValue::Table(table), _) => table.get(step.as_str()),
            (DeValue::Array(items), Ok(index)) => items.get(index),
            _ => None,
        });
    }
    found.map_or(0, |value| value.span().start)
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|b| *b == b'\n').count() + 1
}

/// Replaces serde's word "field": our readers know it as a key.
fn plain_words(message: &str) -> String {
    let keys = message
        .replace("unknown field", "unknown key")
        .replace("missing field", "missing key");
    keys.replace('\n', " ")
}

/// `PATCHBAY_MEDIA__FIRST_PORT` → `media`, `first_port`.
fn variable_keys(name: &str) -> Vec<String> {
    name.trim_start_matches(PREFIX)
        .split("__")
        .map(str::to_ascii_lowercase)
        .collect()
}

/// A table with one value in it, of the type that the configuration has there. The text is read as TOML if that
/// fits, otherwise as a string, otherwise as a list separated by commas.
fn single(keys: &[String], text: &str) -> Result<Table, String> {
    let as_toml = toml::from_str::<Table>(&format!("value = {text}"))
        .ok()
        .and_then(|mut table| table.remove("value"));
    let list = text
        .split(',')
        .map(|item| Value::String(item.trim().to_owned()))
        .filter(|item| item.as_str() != Some(""))
        .collect();
    let candidates = [as_toml, Some(Value::String(text.to_owned())), Some(Value::Array(list))];
    let mut first_error = None;
    for value in candidates.into_iter().flatten() {
        let table = nested(keys, value);
        match Config::deserialize_table(table.clone()) {
            Ok(_) => return Ok(table),
            Err(message) => {
                first_error.get_or_insert(message);
            }
        }
    }
    Err(first_error.unwrap_or_default())
}

fn nested(keys: &[String], value: Value) -> Table {
    let mut value = value;
    for key in keys.iter().rev() {
        value = Value::Table(Table::from_iter([(key.clone(), value)]));
    }
    match value {
        Value::Table(table) => table,
        _ => Table::new(),
    }
}

/// Merges tables; anything else, lists included, is replaced.
fn merge(into: &mut Table, from: Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Table(into)), Value::Table(from)) => merge(into, from),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests;
