//! The document of the HTTP interface, and whether it is about the routes that there are.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::Value;
use syn::visit::{self, Visit};

use super::running::{Running, header, start};
use crate::tidy::{assert_none, rust_files};

async fn document(running: &Running) -> Value {
    let response = running.get("/openapi.json").await;
    assert_eq!(header(&response, "content-type"), "application/json");
    response.json().await.unwrap()
}

/// The path with something for each of its parameters.
fn example_of(path: &str) -> String {
    let part = |part: &str| match part.starts_with('{') {
        true => "x".to_owned(),
        false => part.to_owned(),
    };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

fn methods_of(item: &Value) -> BTreeSet<String> {
    item.as_object()
        .unwrap()
        .keys()
        .map(|method| method.to_uppercase())
        .collect()
}

#[tokio::test]
async fn each_path_of_the_document_answers_its_methods_and_no_others() {
    let running = start(|_| {}).await;
    let document = document(&running).await;
    let mut offences = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        // No route has this method, so the answer says which ones the route has (RFC 9110 §15.5.6).
        let unknown = Method::from_bytes(b"BREW").unwrap();
        let url = running.url(&example_of(path));
        let response = running.http.request(unknown, url).send().await.unwrap();
        let documented = methods_of(item);
        if path.starts_with("/dapi/") {
            // Any method will do there; two are described.
            if response.status() != 200 || documented != BTreeSet::from(["GET".to_owned(), "POST".to_owned()]) {
                offences.push(format!("{path}: {documented:?}, {}", response.status()));
            }
            continue;
        }
        let allowed = header(&response, "allow").split(',').map(str::to_owned);
        // HEAD comes with GET. OPTIONS is answered by the guard of the routes. OpenAPI has no CONNECT.
        let comes_along = |method: &String| ["CONNECT", "HEAD"].contains(&method.as_str());
        let allowed: BTreeSet<String> = allowed.filter(|method| !comes_along(method)).collect();
        let documented: BTreeSet<String> = documented.into_iter().filter(|method| method != "OPTIONS").collect();
        if response.status() != 405 || allowed != documented {
            offences.push(format!(
                "{path}: documented {documented:?}, answered {allowed:?}, {}",
                response.status()
            ));
        }
    }
    assert_none(
        "a path of the document that answers other methods than it says",
        offences,
    );
}

#[tokio::test]
async fn each_operation_says_what_it_is_takes_and_answers() {
    let running = start(|_| {}).await;
    let document = document(&running).await;
    assert_eq!(document["openapi"], "3.1.0");
    let mut ids = BTreeSet::new();
    let mut offences = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let mut lacks = |what: &str| offences.push(format!("{method} {path}: {what}"));
            if operation["summary"].as_str().is_none_or(str::is_empty) {
                lacks("no summary");
            }
            if !ids.insert(operation["operationId"].as_str().unwrap_or_default().to_owned()) {
                lacks("an id that another has");
            }
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            for parameter in &parameters {
                if parameter["description"].as_str().is_none_or(str::is_empty) || parameter["schema"].is_null() {
                    lacks(&format!(
                        "a parameter without a description or a shape: {}",
                        parameter["name"]
                    ));
                }
            }
            for name in path
                .split('/')
                .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
            {
                if !parameters.iter().any(|one| one["name"] == name && one["in"] == "path") {
                    lacks(&format!("{name} of the path"));
                }
            }
            if matches!(method.as_str(), "post" | "patch")
                && operation["requestBody"]["content"].is_null()
                && path != "/debug/fault"
            {
                lacks("no body");
            }
            for (status, answer) in operation["responses"].as_object().unwrap() {
                let is_empty = answer["content"].as_object().is_none_or(serde_json::Map::is_empty);
                if is_empty && !["101", "200", "204", "304", "431"].contains(&status.as_str()) {
                    lacks(&format!("no body of {status}"));
                }
            }
            for status in ["400", "421", "431", "503"] {
                if operation["responses"][status].is_null() {
                    lacks(status);
                }
            }
        }
    }
    assert_none("operations that are not described as a whole", offences);
}

/// All objects in the document that have properties, by where they are.
fn objects(value: &Value, at: &str, found: &mut Vec<(String, serde_json::Map<String, Value>)>) {
    if let Some(properties) = value["properties"].as_object() {
        found.push((at.to_owned(), properties.clone()));
    }
    let members: Vec<(String, &Value)> = match value {
        Value::Object(object) => object.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(at, item)| (at.to_string(), item))
            .collect(),
        _ => Vec::new(),
    };
    for (name, member) in members {
        objects(member, &format!("{at}/{name}"), found);
    }
}

#[tokio::test]
async fn each_field_says_what_it_is() {
    let running = start(|_| {}).await;
    let document = document(&running).await;
    let mut all = Vec::new();
    objects(&document["components"]["schemas"], "", &mut all);
    assert!(all.len() > 20, "{}", all.len());
    // The envelope of calls says it in the sentence of its operation.
    let says = |name: &str, field: &Value| {
        // What may be null is one of several, and the description is with the other one.
        let several = field["oneOf"].as_array().into_iter().flatten();
        name == "success" || several.chain([field]).any(|one| one["description"].is_string())
    };
    let mut offences = Vec::new();
    for (at, properties) in all {
        let silent = properties.iter().filter(|(name, field)| !says(name, field));
        offences.extend(silent.map(|(name, _)| format!("{at}: {name}")));
    }
    assert_none("fields without a description", offences);
}

#[tokio::test]
async fn settings_that_the_document_names_are_in_the_manual() {
    let running = start(|_| {}).await;
    let text = document(&running).await.to_string();
    let mut section = String::new();
    let mut settings = BTreeSet::new();
    for line in include_str!("../../../config/patchbay.toml").lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.to_owned();
        } else if let Some((name, _)) = line.trim_start_matches('#').split_once(" = ") {
            settings.insert(format!("{section}.{name}"));
        }
    }
    let sections: BTreeSet<&str> = settings.iter().filter_map(|one| Some(one.split_once('.')?.0)).collect();
    let is_setting = |word: &&str| {
        word.split_once('.')
            .is_some_and(|(section, _)| sections.contains(section))
    };
    let named: BTreeSet<&str> = text.split('`').skip(1).step_by(2).filter(is_setting).collect();
    assert!(named.len() > 8, "{named:?}");
    let unknown = named.iter().filter(|name| !settings.contains(**name));
    assert_none(
        "a setting that there is not",
        unknown.map(|name| (*name).to_owned()).collect(),
    );
}

#[tokio::test]
async fn the_document_has_what_this_server_has() {
    let running = start(|config| config.dapi.enabled = false).await;
    let without = document(&running).await;
    let running = start(|_| {}).await;
    let with = document(&running).await;
    let paths = |document: &Value| {
        document["paths"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<BTreeSet<_>>()
    };
    let missing: Vec<String> = paths(&with).difference(&paths(&without)).cloned().collect();
    let (requests, pages): (Vec<_>, Vec<_>) = missing.iter().partition(|path| path.starts_with("/dapi/"));
    assert_eq!((requests.len(), pages), (15, vec![&"/calls".to_owned()]), "{missing:?}");
    for path in [
        "/account/login",
        "/files",
        "/groupcall",
        "/metrics",
        "/whip/{room}",
        "/room",
        "/api",
        "/openapi.json",
    ] {
        assert!(paths(&with).contains(path), "{path}");
    }
}

#[tokio::test]
async fn the_page_comes_with_all_its_files_and_nothing_from_elsewhere() {
    let running = start(|_| {}).await;
    let page = running.get("/api").await.text().await.unwrap();
    for address in page
        .split("=\"/")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once('"')?.0))
    {
        let response = running.get(&format!("/{address}")).await;
        assert_eq!(response.status().as_u16(), 200, "{address}");
    }
    for (name, kind) in [
        ("swagger-ui.css", "text/css; charset=utf-8"),
        ("swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
    ] {
        let response = running.get(&format!("/static/swagger-ui/{name}")).await;
        assert_eq!(header(&response, "content-type"), kind);
        assert_eq!(header(&response, "content-encoding"), "gzip");
        let tag = header(&response, "etag").to_owned();
        let request = running.http.get(running.url(&format!("/static/swagger-ui/{name}")));
        let response = request.header("if-none-match", tag).send().await.unwrap();
        assert_eq!(response.status().as_u16(), 304, "{name}");
    }
    assert_eq!(
        running.get("/static/swagger-ui/index.html").await.status().as_u16(),
        404
    );
}

/// Calls that make a route without an operation.
const UNDOCUMENTED: &[&str] = &["route", "route_service", "nest", "nest_service"];

#[derive(Default)]
struct Calls(Vec<String>);

impl Visit<'_> for Calls {
    fn visit_expr_method_call(&mut self, call: &syn::ExprMethodCall) {
        let name = call.method.to_string();
        if UNDOCUMENTED.contains(&name.as_str()) {
            self.0.push(name);
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_item_mod(&mut self, module: &syn::ItemMod) {
        let is_test = module.attrs.iter().any(|attribute| attribute.path().is_ident("cfg"));
        if !is_test {
            visit::visit_item_mod(self, module);
        }
    }
}

#[test]
fn every_route_is_made_with_its_operation() {
    let mut offences = Vec::new();
    let mut documented = 0;
    for file in rust_files("src/http") {
        documented += file.text.matches(".routes(").count();
        let mut calls = Calls::default();
        calls.visit_file(&syn::parse_file(&file.text).unwrap());
        offences.extend(calls.0.into_iter().map(|call| format!("{}: .{call}(", file.path)));
    }
    assert!(documented > 30, "routes are made in another way: {documented}");
    assert_none(
        "a route that /openapi.json does not have: use .routes(routes!(handler))",
        offences,
    );
}
