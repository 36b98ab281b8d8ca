//! The pages as files: code that the Content-Security-Policy will refuse, references that lead nowhere, and sentences
//! that one language lacks. The browser tests check what the pages do in a browser.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

/// Ways to turn text into markup or code. Names and messages come from strangers: they go in as text only.
const MARKUP_WORDS: &[&str] = &[
    "innerHTML",
    "outerHTML",
    "insertAdjacentHTML",
    "document.write",
    "createContextualFragment",
    "eval(",
    "new Function",
];

/// Files of pages that a crate brings along. The program serves them with its own.
const FROM_A_CRATE: &[&str] = &[
    "/static/swagger-ui/swagger-ui.css",
    "/static/swagger-ui/swagger-ui-bundle.js",
];

fn static_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("static")
}

/// Path below `static/` and text of every file with one of the extensions.
fn files(extensions: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![static_folder()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if extensions
                .iter()
                .any(|one| path.extension().is_some_and(|it| it == *one))
            {
                let name = path.strip_prefix(static_folder()).unwrap().display().to_string();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(!found.is_empty(), "no {extensions:?} under static/");
    found.sort();
    found
}

/// The text between each `open` and the next `close`.
fn between<'a>(text: &'a str, open: &'a str, close: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(open)
        .skip(1)
        .filter_map(move |rest| Some(rest.split_once(close)?.0))
}

fn assert_none(rule: &str, offences: Vec<String>) {
    assert!(offences.is_empty(), "{rule}:\n  {}", offences.join("\n  "));
}

#[test]
fn pages_have_no_inline_script_or_style() {
    let mut offences = Vec::new();
    for (path, text) in files(&["html"]) {
        for tag in between(&text, "<", ">") {
            let name = tag.split_whitespace().next().unwrap_or_default();
            let handler = tag
                .split_whitespace()
                .any(|word| word.starts_with("on") && word.contains('='));
            let inline_script = name == "script" && !tag.contains(" src=\"/static/");
            if name == "style" || tag.contains(" style=") || handler || inline_script || tag.contains("javascript:") {
                offences.push(format!("{path}: <{tag}>"));
            }
        }
    }
    assert_none("the Content-Security-Policy refuses inline script and style", offences);
}

#[test]
fn nothing_on_a_page_comes_from_elsewhere_and_everything_it_names_is_there() {
    let mut offences = Vec::new();
    for (path, text) in files(&["html", "css"]) {
        let attributes = between(&text, " src=\"", "\"").chain(between(&text, " href=\"", "\""));
        for address in attributes.chain(between(&text, "url(\"", "\"")) {
            let exists = match address.strip_prefix("/static/") {
                Some(file) => static_folder().join(file).is_file() || FROM_A_CRATE.contains(&address),
                None if path.ends_with(".css") => {
                    let folder = static_folder().join(&path).parent().unwrap().to_owned();
                    !address.starts_with('/') && folder.join(address).is_file()
                }
                None => [
                    "/",
                    "/room",
                    "/messages",
                    "/calls",
                    "/device",
                    "/meet",
                    "/api",
                    "/openapi.json",
                ]
                .contains(&address),
            };
            if !exists {
                offences.push(format!("{path}: {address}"));
            }
        }
    }
    assert_none("an address that is not this server's, or that names no file", offences);
}

#[test]
fn every_import_leads_to_a_module_and_stays_in_its_place() {
    let mut offences = Vec::new();
    for (path, text) in files(&["js"]) {
        let folder = Path::new(&path).parent().unwrap();
        for line in text
            .lines()
            .filter(|line| line.starts_with("import ") || line.starts_with("} from "))
        {
            let target = line.split('\'').nth(1).unwrap_or_default();
            let resolved = normalize(&folder.join(target));
            if !target.starts_with('.') || !static_folder().join(&resolved).is_file() {
                offences.push(format!("{path}: {target} is no module"));
            }
            // The client and the common parts are for every page; they must not need one.
            let from_shared = path.starts_with("client/") || path.starts_with("common/");
            if from_shared && resolved.parent() != Some(folder) {
                offences.push(format!("{path}: {target} is outside of {}", folder.display()));
            }
        }
    }
    assert_none("an import", offences);
}

/// Otherwise a browser finds them one level of imports at a time, and each level costs a round trip.
#[test]
fn pages_preload_every_module_they_need() {
    let scripts: BTreeMap<_, _> = files(&["js"]).into_iter().collect();
    let mut offences = Vec::new();
    for (path, text) in files(&["html"]) {
        let mut needed: Vec<String> = between(&text, "<script type=\"module\" src=\"/static/", "\"")
            .map(str::to_owned)
            .collect();
        let mut known: BTreeSet<String> = needed.iter().cloned().collect();
        while let Some(script) = needed.pop() {
            let folder = Path::new(&script).parent().unwrap().to_owned();
            for target in imports(&scripts[&script]) {
                let target = normalize(&folder.join(target)).display().to_string();
                if known.insert(target.clone()) {
                    if !text.contains(&format!("rel=\"modulepreload\" href=\"/static/{target}\"")) {
                        offences.push(format!("{path}: {target}"));
                    }
                    needed.push(target);
                }
            }
        }
    }
    assert_none("a module that the page does not announce", offences);
}

/// The paths that a script imports, as written.
fn imports(script: &str) -> impl Iterator<Item = &str> {
    let lines = script.lines();
    let imports = lines.filter(|line| line.starts_with("import ") || line.starts_with("} from "));
    imports.map(|line| line.split('\'').nth(1).unwrap_or_default())
}

fn normalize(path: &Path) -> PathBuf {
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(parts.pop()),
            Component::CurDir => {}
            other => parts.push(other),
        }
    }
    parts.iter().collect()
}

#[test]
fn scripts_never_turn_text_into_markup() {
    let mut offences = Vec::new();
    for (path, text) in files(&["js"]) {
        for (index, line) in text.lines().enumerate() {
            if let Some(word) = MARKUP_WORDS.iter().find(|word| line.contains(**word)) {
                offences.push(format!("{path}:{}: {word}", index + 1));
            }
        }
    }
    assert_none("names and messages come from strangers", offences);
}

/// The sentences by key, of one `lang-….js`: lines `'key': 'sentence',`, the sentence perhaps on the next line.
fn dictionary(text: &str) -> BTreeMap<String, String> {
    let joined = text.replace(":\n    '", ": '");
    let entries = joined
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.strip_suffix("',")?.split_once(": '"));
    let dictionary: BTreeMap<_, _> = entries
        .map(|(key, sentence)| (key.trim_matches('\'').to_owned(), sentence.to_owned()))
        .collect();
    assert!(dictionary.len() > 50, "the dictionary is not written as expected");
    dictionary
}

/// All sentences of each language, which are in `lang-LANGUAGE.js` and `lang-LANGUAGE-….js`.
fn dictionaries() -> BTreeMap<String, BTreeMap<String, String>> {
    let mut languages: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for (path, text) in files(&["js"]) {
        let Some(file) = path.strip_prefix("common/lang-") else {
            continue;
        };
        let language = file.split(['-', '.']).next().unwrap();
        let known = languages.entry(language.to_owned()).or_default();
        for (key, sentence) in dictionary(&text) {
            assert!(
                known.insert(key.clone(), sentence).is_none(),
                "{path}: {key} is there twice"
            );
        }
    }
    languages
}

#[test]
fn every_language_has_every_sentence_with_the_same_blanks() {
    let blanks = |sentence: &str| between(sentence, "{", "}").map(str::to_owned).collect::<BTreeSet<_>>();
    let all = dictionaries();
    let mut offences = Vec::new();
    for (path, one) in &all {
        for (other_path, other) in &all {
            for (key, sentence) in one {
                match other.get(key) {
                    None => offences.push(format!("{other_path} lacks {key}")),
                    Some(there) if blanks(there) != blanks(sentence) => {
                        offences.push(format!("{key}: other blanks in {path} than in {other_path}"));
                    }
                    Some(_) => {}
                }
            }
        }
    }
    assert_none("a language is not complete", offences);
}

#[test]
fn every_sentence_that_a_page_asks_for_exists() {
    let known = dictionaries().remove("en").unwrap();
    let areas: BTreeSet<&str> = known.keys().filter_map(|key| Some(key.split_once('.')?.0)).collect();
    let mut offences = Vec::new();
    for (path, text) in files(&["html", "js"]) {
        // The dictionaries, and the module that explains how to use them.
        if path.starts_with("common/lang-") || path == "common/i18n.js" {
            continue;
        }
        let attributes = ["", "-label", "-placeholder"].map(|kind| format!("data-i18n{kind}=\""));
        let in_markup = attributes.iter().flat_map(|attribute| between(&text, attribute, "\""));
        let is_key = |word: &&str| {
            let parts = word.split_once('.');
            parts
                .is_some_and(|(area, rest)| areas.contains(area) && rest.chars().all(|one| one.is_ascii_alphanumeric()))
        };
        // Every second piece of a line is between quotes.
        let quoted = text.lines().flat_map(|line| line.split('\'').skip(1).step_by(2));
        for key in in_markup.chain(quoted.filter(is_key)) {
            if !known.contains_key(key) {
                offences.push(format!("{path}: {key}"));
            }
        }
    }
    assert_none("no such sentence", offences);
}
