//! Which module uses which: the arrows between the top modules are a table, and no arrows lead in a circle.
//!
//! It reads the source. A name that a module passes on (`pub use child::Name`) belongs to the module that defines it: passing
//! it on is no arrow, and using it is an arrow to where it is defined. Unit tests are left out.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::Path;

use syn::visit::{self, Visit};

/// The path of a module from the root: `["media", "worker"]`.
type ModuleName = Vec<String>;

/// The top modules, and those that each may use. Any other arrow is an error, and so is an entry that is no longer used.
const ALLOWED: &[(&str, &[&str])] = &[
    (
        "accounts",
        &["auth", "clock", "config", "ids", "shares", "storage", "text"],
    ),
    ("acme", &["clock", "config", "whole_file", "x509"]),
    ("auth", &["ids"]),
    (
        "channels",
        &[
            "auth", "clock", "config", "domain", "hub", "ids", "robots", "shares", "storage", "webhooks",
        ],
    ),
    (
        "cli",
        &[
            "accounts", "acme", "auth", "clock", "config", "domain", "http", "hub", "ids", "load", "media", "push",
            "robots", "server", "sound", "storage", "text", "webhooks",
        ],
    ),
    (
        "conferences",
        &["auth", "clock", "config", "domain", "hub", "ids", "shares", "storage"],
    ),
    ("config", &["auth", "pinning", "shares", "text"]),
    ("domain", &["ids", "media", "shares", "sound", "video"]),
    (
        "http",
        &[
            "accounts",
            "acme",
            "alias",
            "auth",
            "channels",
            "clock",
            "conferences",
            "config",
            "domain",
            "hub",
            "ids",
            "media",
            "ports",
            "shares",
            "signaling",
            "storage",
            "tasks",
            "whole_file",
            "x509",
        ],
    ),
    (
        "hub",
        &["alias", "config", "domain", "ids", "media", "pulse", "shares", "video"],
    ),
    ("load", &["media"]),
    ("media", &["ids", "pinning", "ports", "pulse", "sound", "video"]),
    (
        "push",
        &[
            "alias",
            "clock",
            "config",
            "destination",
            "domain",
            "hub",
            "ids",
            "signaling",
            "storage",
        ],
    ),
    (
        "robots",
        &["alias", "clock", "config", "domain", "hub", "ids", "shares", "sound"],
    ),
    (
        "server",
        &[
            "accounts",
            "acme",
            "auth",
            "channels",
            "clock",
            "conferences",
            "config",
            "domain",
            "http",
            "hub",
            "ids",
            "media",
            "pinning",
            "push",
            "robots",
            "signaling",
            "sound",
            "storage",
            "tasks",
            "webhooks",
        ],
    ),
    (
        "signaling",
        &[
            "accounts",
            "auth",
            "channels",
            "clock",
            "conferences",
            "config",
            "domain",
            "hub",
            "ids",
            "media",
            "storage",
            "text",
            "video",
        ],
    ),
    (
        "storage",
        &["auth", "clock", "config", "domain", "ids", "shares", "text"],
    ),
    ("webhooks", &["clock", "config", "destination", "ids", "storage"]),
];

/// What a top module may use of another, where that is one module of it. The session that brings an offer reads it, and the rules
/// pass it on to be answered: both need the name of what it becomes, and nothing else of the media engine.
const ALONE: &[(&str, &str, &str)] = &[
    ("domain", "media", "media::description"),
    ("signaling", "media", "media::description"),
];

#[derive(Default)]
struct Module {
    /// Paths that it names, as they are written.
    named: BTreeSet<Vec<String>>,
    /// Paths that it passes on, by the name that they then have.
    passed_on: HashMap<String, Vec<String>>,
}

/// Collects the paths of one file.
#[derive(Default)]
struct Reader {
    module: Module,
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if !is_for_tests(item) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let mut paths = Vec::new();
        expand(&item.tree, &mut Vec::new(), &mut paths);
        for (name, path) in paths {
            if matches!(item.vis, syn::Visibility::Inherited) {
                self.module.named.insert(path);
            } else {
                self.module.passed_on.insert(name, path);
            }
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        // One segment is a variable, or a name from a `use`.
        if path.segments.len() > 1 {
            let segments = path.segments.iter().map(|segment| segment.ident.to_string());
            self.module.named.insert(segments.collect());
        }
        visit::visit_path(self, path);
    }

    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        // The text of the tokens has a space between any two.
        let text = call.tokens.to_string().replace(" :: ", "::").replace(":: ", "::");
        let is_of_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
        for word in text.split(|c| !is_of_path(c)).filter(|word| word.contains("::")) {
            let segments = word.split("::").filter(|segment| !segment.is_empty());
            self.module.named.insert(segments.map(str::to_owned).collect());
        }
    }
}

fn is_for_tests(item: &syn::Item) -> bool {
    let attributes = match item {
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        _ => return false,
    };
    let is_test = |attribute: &syn::Attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Path>()
                .is_ok_and(|condition| condition.is_ident("test"))
    };
    attributes.iter().any(is_test)
}

/// Each name that a `use` brings, with its path.
fn expand(tree: &syn::UseTree, before: &mut Vec<String>, found: &mut Vec<(String, Vec<String>)>) {
    match tree {
        syn::UseTree::Path(path) => {
            before.push(path.ident.to_string());
            expand(&path.tree, before, found);
            before.pop();
        }
        syn::UseTree::Group(group) => group.items.iter().for_each(|tree| expand(tree, before, found)),
        syn::UseTree::Glob(_) => found.push(("*".to_owned(), before.clone())),
        syn::UseTree::Name(name) if name.ident == "self" => {
            found.push((before.last().cloned().unwrap_or_default(), before.clone()));
        }
        syn::UseTree::Name(name) => found.push((name.ident.to_string(), joined(before, name.ident.to_string()))),
        syn::UseTree::Rename(name) => found.push((name.rename.to_string(), joined(before, name.ident.to_string()))),
    }
}

fn joined(path: &[String], last: String) -> Vec<String> {
    let mut path = path.to_vec();
    path.push(last);
    path
}

fn modules() -> BTreeMap<ModuleName, Module> {
    let mut modules = BTreeMap::new();
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &[], &mut modules);
    modules
}

fn read(folder: &Path, name: &[String], modules: &mut BTreeMap<ModuleName, Module>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            read(&path, &joined(name, stem), modules);
        } else if !matches!(stem.as_str(), "main" | "tests") {
            let of = match stem.as_str() {
                "mod" | "lib" => name.to_vec(),
                _ => joined(name, stem),
            };
            let text = fs::read_to_string(&path).unwrap();
            let file = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let mut reader = Reader::default();
            reader.visit_file(&file);
            modules.insert(of, reader.module);
        }
    }
    // Tests in files of their own are left out.
    modules.retain(|name, _| name.last().is_none_or(|last| last != "tests") && !name.contains(&"tests".to_owned()));
}

/// The module that a path in `from` leads to: the one that defines the named thing.
fn target(modules: &BTreeMap<ModuleName, Module>, from: &[String], path: &[String]) -> Option<ModuleName> {
    let mut rest = path;
    let mut at = match path.first()?.as_str() {
        "crate" => {
            rest = &path[1..];
            Vec::new()
        }
        "self" => {
            rest = &path[1..];
            from.to_vec()
        }
        "super" => {
            let ups = path.iter().take_while(|segment| *segment == "super").count();
            rest = &path[ups..];
            from[..from.len().checked_sub(ups)?].to_vec()
        }
        first => {
            let child = joined(from, first.to_owned());
            if !modules.contains_key(&child) {
                return None;
            }
            from.to_vec()
        }
    };
    while let Some(next) = rest.first().map(|next| joined(&at, next.clone())) {
        if !modules.contains_key(&next) {
            break;
        }
        at = next;
        rest = &rest[1..];
    }
    let passed_on = rest.first().and_then(|name| modules[&at].passed_on.get(name));
    match passed_on {
        Some(path) => target(modules, &at, path).or(Some(at)),
        None => Some(at),
    }
}

/// The modules that each module uses.
fn arrows(modules: &BTreeMap<ModuleName, Module>) -> BTreeMap<ModuleName, BTreeSet<ModuleName>> {
    let used = |(name, module): (&ModuleName, &Module)| {
        let targets = module.named.iter().filter_map(|path| target(modules, name, path));
        (name.clone(), targets.filter(|target| target != name).collect())
    };
    modules.iter().map(used).collect()
}

/// Groups of two and more modules that can all be reached from one another.
fn circles(arrows: &BTreeMap<ModuleName, BTreeSet<ModuleName>>) -> Vec<BTreeSet<ModuleName>> {
    let reached = |from: &ModuleName| {
        let mut reached = BTreeSet::new();
        let mut next: Vec<&ModuleName> = arrows[from].iter().collect();
        while let Some(module) = next.pop() {
            if reached.insert(module.clone()) {
                next.extend(arrows.get(module).into_iter().flatten());
            }
        }
        reached
    };
    let reached: BTreeMap<&ModuleName, BTreeSet<ModuleName>> =
        arrows.keys().map(|from| (from, reached(from))).collect();
    let mut circles: Vec<BTreeSet<ModuleName>> = Vec::new();
    for (from, to) in &reached {
        if to.contains(*from) && !circles.iter().any(|circle| circle.contains(*from)) {
            let circle = to.iter().filter(|other| reached[other].contains(*from));
            circles.push(circle.cloned().collect());
        }
    }
    circles
}

fn written(module: &ModuleName) -> String {
    module.join("::")
}

#[test]
fn the_arrows_between_top_modules_are_those_of_the_table() {
    let modules = modules();
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (from, targets) in arrows(&modules) {
        let Some(top) = from.first() else { continue };
        let others = targets
            .iter()
            .filter_map(|target| target.first().filter(|other| *other != top));
        found.entry(top.clone()).or_default().extend(others.cloned());
    }
    let mut offences = Vec::new();
    for (top, used) in &found {
        let row = ALLOWED.iter().find(|(name, _)| name == top);
        let allowed: BTreeSet<String> = row
            .map(|(_, used)| used.iter().map(|name| name.to_string()).collect())
            .unwrap_or_default();
        offences.extend(
            used.difference(&allowed)
                .map(|other| format!("{top} uses {other}: it may not")),
        );
        offences.extend(
            allowed
                .difference(used)
                .map(|other| format!("{top} no longer uses {other}: take it out of the table")),
        );
    }
    assert!(offences.is_empty(), "{offences:#?}");
}

#[test]
fn of_some_modules_one_part_alone_is_used() {
    let arrows = arrows(&modules());
    let mut offences = Vec::new();
    for (top, other, part) in ALONE {
        let of_top = |from: &&ModuleName| from.first().is_some_and(|first| first == top);
        for from in arrows.keys().filter(of_top) {
            let into = arrows[from]
                .iter()
                .filter(|to| to.first().is_some_and(|first| first == other));
            let elsewhere = into.filter(|to| !written(to).starts_with(part));
            offences.extend(elsewhere.map(|to| format!("{} uses {}", written(from), written(to))));
        }
    }
    assert!(offences.is_empty(), "{offences:#?}");
}

#[test]
fn no_arrows_lead_in_a_circle() {
    let circles = circles(&arrows(&modules()));
    let circles: Vec<Vec<String>> = circles
        .iter()
        .map(|circle| circle.iter().map(written).collect())
        .collect();
    assert!(circles.is_empty(), "these use one another, in circles: {circles:#?}");
}

#[test]
fn a_circle_is_found_also_through_a_name_that_is_passed_on() {
    let module = |named: &[&str], passed_on: &[(&str, &str)]| {
        let path = |path: &str| path.split("::").map(str::to_owned).collect::<Vec<_>>();
        Module {
            named: named.iter().map(|named| path(named)).collect(),
            passed_on: passed_on
                .iter()
                .map(|(name, to)| (name.to_string(), path(to)))
                .collect(),
        }
    };
    let name = |name: &str| name.split("::").map(str::to_owned).collect::<Vec<_>>();
    let mut modules = BTreeMap::from([
        (Vec::new(), module(&[], &[])),
        (name("a"), module(&["crate::b::Thing"], &[])),
        (name("b"), module(&["inner::help"], &[("Thing", "inner::Thing")])),
        (name("b::inner"), module(&["std::fmt"], &[])),
    ]);
    assert_eq!(arrows(&modules)[&name("a")], BTreeSet::from([name("b::inner")]));
    assert!(circles(&arrows(&modules)).is_empty());
    modules.insert(name("b::inner"), module(&["super::super::a::call"], &[]));
    assert_eq!(
        circles(&arrows(&modules)),
        [BTreeSet::from([name("a"), name("b::inner")])]
    );
}
