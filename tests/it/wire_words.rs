//! Words of the wire: only `signaling/` knows them. They are taken from its `wire.rs` files, as serde writes them.
//!
//! Words that are plain English (`name`, `message`) are everywhere and are left out: a word of the wire consists of several
//! words (`sdpOffer`, `to_phone`).

use std::collections::BTreeSet;

use syn::visit::{self, Visit};

use super::tidy::{assert_none, rust_files};

/// Files that may know them: the configuration names a message type as the default of the switch that chooses it; the
/// address of the page of a call names the two who talk; the load tester is a client.
const KNOWS: &[&str] = &[
    "src/signaling",
    "src/config/mod.rs",
    "src/http/pages.rs",
    "src/load/servers",
];

/// Words that are also names of columns and options.
const ALSO_ELSEWHERE: &[&str] = &["device_id", "time_zone"];

/// A word whose kind is configured is in no `wire.rs`.
const CONFIGURED: &str = "reciveTextMessage";

#[derive(Default)]
struct Words(BTreeSet<String>);

/// The serde attributes of a type, a variant or a field.
#[derive(Default)]
struct SerdeNames {
    rename: Option<String>,
    rename_all: Option<String>,
    rename_all_fields: Option<String>,
}

impl SerdeNames {
    fn of(attributes: &[syn::Attribute]) -> SerdeNames {
        let mut names = SerdeNames::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("serde")) {
            let read = attribute.parse_nested_meta(|meta| {
                let value = match meta.value() {
                    Ok(value) => Some(value.parse::<syn::LitStr>()?.value()),
                    Err(_) => None,
                };
                let name = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
                match name.as_str() {
                    "rename" => names.rename = value,
                    "rename_all" => names.rename_all = value,
                    "rename_all_fields" => names.rename_all_fields = value,
                    _ => {}
                }
                Ok(())
            });
            read.expect("attributes of serde are names, some with texts");
        }
        names
    }
}

impl Words {
    fn add(&mut self, word: String) {
        let is_inside = |c: char| c.is_ascii_uppercase() || c == '_';
        let is_word = word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if is_word && word.chars().skip(1).any(is_inside) {
            self.0.insert(word);
        }
    }

    fn add_fields(&mut self, fields: &syn::Fields, style: Option<&str>) {
        for field in fields {
            let Some(name) = &field.ident else { continue };
            let renamed = SerdeNames::of(&field.attrs).rename;
            self.add(renamed.unwrap_or_else(|| styled(&name.to_string(), style)));
        }
    }
}

impl Visit<'_> for Words {
    fn visit_item_struct(&mut self, item: &syn::ItemStruct) {
        self.add_fields(&item.fields, SerdeNames::of(&item.attrs).rename_all.as_deref());
    }

    fn visit_item_enum(&mut self, item: &syn::ItemEnum) {
        let names = SerdeNames::of(&item.attrs);
        for variant in &item.variants {
            // Without a style, an enum is not written by its variants' names.
            if names.rename_all.is_some() {
                let name = snake(&variant.ident.to_string());
                self.add(styled(&name, names.rename_all.as_deref()));
            }
            self.add_fields(&variant.fields, names.rename_all_fields.as_deref());
        }
    }

    /// Kinds in lists, and names that are written out.
    fn visit_lit_str(&mut self, text: &syn::LitStr) {
        self.add(text.value());
    }

    fn visit_attribute(&mut self, _: &syn::Attribute) {}

    fn visit_item_mod(&mut self, item: &syn::ItemMod) {
        if item.ident != "tests" {
            visit::visit_item_mod(self, item);
        }
    }
}

fn snake(name: &str) -> String {
    let mut snake = String::new();
    for (index, letter) in name.chars().enumerate() {
        if letter.is_ascii_uppercase() && index > 0 {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

/// A name in snake case, as serde writes it.
fn styled(name: &str, style: Option<&str>) -> String {
    match style {
        None | Some("snake_case") => name.to_owned(),
        Some("lowercase") => name.replace('_', ""),
        Some("camelCase") => {
            let mut parts = name.split('_');
            let first = parts.next().unwrap_or_default().to_owned();
            parts.fold(first, |mut word, part| {
                let (initial, rest) = part.split_at(part.len().min(1));
                word.push_str(&initial.to_ascii_uppercase());
                word.push_str(rest);
                word
            })
        }
        Some(other) => panic!("a style of serde's that this test does not know: {other}"),
    }
}

/// The words of all families: from `wire.rs` and `words.rs`, and the kinds of messages that a family's `mod.rs`
/// distinguishes.
fn words() -> BTreeSet<String> {
    let mut words = Words::default();
    for file in rust_files("src/signaling") {
        let file_name = file.path.rsplit('/').next().unwrap_or_default();
        let is_of_a_family = file.path.matches('/').count() > 2;
        let parsed = syn::parse_file(&file.text).unwrap();
        match file_name {
            "wire.rs" | "words.rs" => words.visit_file(&parsed),
            "mod.rs" if is_of_a_family => parsed.items.iter().for_each(|item| literals(item, &mut words)),
            _ => {}
        }
    }
    words.0.insert(CONFIGURED.to_owned());
    words.0
}

fn literals(item: &syn::Item, words: &mut Words) {
    struct Literals<'a>(&'a mut Words);
    impl Visit<'_> for Literals<'_> {
        fn visit_lit_str(&mut self, text: &syn::LitStr) {
            self.0.add(text.value());
        }

        fn visit_attribute(&mut self, _: &syn::Attribute) {}
    }
    Literals(words).visit_item(item);
}

/// Whether a line has the word as a whole; a word that looks like Rust's own names must be a text of its own.
fn mentions(line: &str, word: &str) -> bool {
    if word.contains('_') || word.starts_with(|c: char| c.is_ascii_uppercase()) {
        return line.contains(&format!("\"{word}\""));
    }
    let is_of_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    line.match_indices(word).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        let after = line[start + word.len()..].chars().next();
        !before.is_some_and(is_of_word) && !after.is_some_and(is_of_word)
    })
}

#[test]
fn only_signaling_mentions_words_of_the_wire() {
    let words = words();
    let mut offences = Vec::new();
    for file in rust_files("src") {
        if KNOWS.iter().any(|path| file.path.starts_with(path)) {
            continue;
        }
        for (number, line) in file.program_lines() {
            let wire = words.iter().filter(|word| !ALSO_ELSEWHERE.contains(&word.as_str()));
            let mentioned = wire.filter(|word| mentions(line, word));
            offences.extend(mentioned.map(|word| format!("{}:{number}: {word}", file.path)));
        }
    }
    assert_none("a word of a family's wire format belongs below src/signaling", offences);
}

#[test]
fn the_words_of_the_wire_are_found_however_they_are_written() {
    let words = words();
    for word in [
        "joinRoom",
        "receiveVideoFrom",
        "receiveVideoAnswer",
        "existingParticipants",
        "newParticipantArrived",
        "participantLeft",
        "onIceCandidate",
        "iceCandidate",
        "userNotFound",
        "permisionDeny",
        "reciveTextMessage",
        "unrecognizedMessage",
        "uploadSuccess",
        "fileUploaded",
        "sdpOffer",
        "sdpAnswer",
        "sdpMLineIndex",
        "calling_be_hangup",
        "notified_device_id",
        "errorCodeName",
        "uploadFile",
        "fileUrl",
    ] {
        assert!(words.contains(word), "{word} is missing of {words:?}");
    }
    assert!(mentions(r#"message["sdpOffer"]"#, "sdpOffer"));
    assert!(mentions(r#"{"sdpOffer":1}"#, "sdpOffer"));
    assert!(!mentions("let sdpOfferKind = 1", "sdpOffer"));
    assert!(mentions(r#"json!({ "to_phone": phone })"#, "to_phone"));
    assert!(!mentions("let to_phone = phone", "to_phone"));
}
