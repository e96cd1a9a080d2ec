//! What the compiler does not check of the structure: which way the layers depend, what each keeps to itself, and
//! words that have no business somewhere.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Each layer of the host with the layers it may use besides itself. Absent: anything goes (composition and commands).
const LAYERS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("clock", &[]),
    ("db", &["model"]),
    ("egress", &["model", "clock"]),
    ("connector", &["egress", "model", "clock"]),
    ("jobs", &["connector", "db", "egress", "model", "clock"]),
    ("registry", &["connector", "db", "egress", "model", "clock"]),
    ("api", &["registry", "connector", "db", "egress", "model", "clock", "config"]),
    ("config", &["model", "egress", "connector"]),
    ("telemetry", &["config"]),
];

/// Crates that are one layer's own business, with the layers that may name them.
const OWNERS: &[(&str, &[&str])] = &[
    ("redb", &["db"]),
    ("postcard", &["db", "egress"]),
    ("wasmtime", &["connector"]),
    ("wasmtime_wasi", &["connector"]),
    ("wasmparser", &["connector"]),
    ("jsonschema", &["connector"]),
    ("axum", &["api", "app"]),
    ("maud", &["api"]),
    ("reqwest", &["egress", "cli"]),
    ("std::env", &["config"]),
];

/// Written apart, so that this file may contain them.
const UNFINISHED: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
    concat!("#[ig", "nore"),
];

const PLATFORMS: &[&str] = &["databricks", "snowflake", "unity"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn files(below: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![below.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("folder").map(|entry| entry.expect("entry").path()) {
            if entry.is_dir() && !entry.ends_with("target") && !entry.ends_with("node_modules") {
                folders.push(entry);
            } else if entry.extension().is_some_and(|e| e == extension) {
                found.push(entry);
            }
        }
    }
    found
}

/// The code of a file: without comments, and without its tests, which may reach where they like.
fn code(file: &Path) -> String {
    let text = fs::read_to_string(file).expect("source");
    let text = text.split("\n#[cfg(test)]").next().unwrap_or_default();
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The modules that `crate::…` paths of some code begin with, groups in braces included.
fn used_modules(code: &str) -> BTreeSet<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut used = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if !rest.starts_with('{') {
            used.insert(word(rest));
            continue;
        }
        let (mut depth, mut begins) = (0, false);
        for (i, c) in rest.char_indices() {
            match c {
                '{' => (depth, begins) = (depth + 1, depth == 0),
                '}' if depth == 1 => break,
                '}' => depth -= 1,
                ',' if depth == 1 => begins = true,
                c if begins && !c.is_whitespace() => {
                    used.insert(word(&rest[i..]));
                    begins = false;
                }
                _ => {}
            }
        }
    }
    used
}

/// Every source file of the host with its layer.
fn host_files() -> Vec<(String, PathBuf)> {
    let source = root().join("host/src");
    files(&source, "rs")
        .into_iter()
        .map(|file| {
            let relative = file.strip_prefix(&source).expect("below");
            let first = relative.components().next().expect("name").as_os_str().to_string_lossy();
            (first.trim_end_matches(".rs").to_owned(), file)
        })
        .collect()
}

#[test]
fn layers_depend_one_way() {
    let mut wrong = Vec::new();
    for (layer, file) in host_files() {
        let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == layer) else { continue };
        for used in used_modules(&code(&file)) {
            if used != layer && !allowed.contains(&used.as_str()) && used.starts_with(char::is_lowercase) {
                wrong.push(format!("{} uses {used}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Tables that a sync reads and writes only through `inventory.rs`, because a dry run leaves them as they are.
const INVENTORY: &[&str] = &[
    "objects",
    "children",
    "exclusions",
    "columns",
    "columns_read",
    "overrides",
    "counters",
    "listed",
    "remote_ids",
    "changes",
    "change_details",
    "object_changes",
    "job_changes",
    "last_syncs",
];

#[test]
fn a_sync_reaches_the_inventory_in_one_place_only() {
    let mut wrong = Vec::new();
    for (_, file) in host_files() {
        if !file.parent().is_some_and(|folder| folder.ends_with("db/sync")) || file.ends_with("inventory.rs") {
            continue;
        }
        let code: String = code(&file).split_whitespace().collect();
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        let passes = |module: &str| {
            code.split(module).skip(1).any(|rest| rest.trim_start_matches(is_name).starts_with("(self.rows"))
        };
        let tables = INVENTORY.iter().map(|table| format!("rows.{table}.")).filter(|table| code.contains(table));
        let walks = ["tree::", "counters::", "changes::"].into_iter().filter(|module| passes(module));
        for what in tables.chain(walks.map(str::to_owned)) {
            wrong.push(format!("{} reaches past the draft of a dry run: {what}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_adapter_keeps_its_library_to_itself() {
    let mut wrong = Vec::new();
    let is_test =
        |file: &Path| file.components().any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "tests.rs")));
    for (layer, file) in host_files().into_iter().filter(|(_, file)| !is_test(file)) {
        let code = code(&file);
        for (library, owners) in OWNERS {
            if !owners.contains(&layer.as_str()) && code.contains(&format!("{library}::")) {
                wrong.push(format!("{} names {library}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_host_knows_no_platform() {
    let mut wrong = Vec::new();
    for (_, file) in host_files().into_iter().filter(|(_, file)| !file.ends_with("connector/bundled.rs")) {
        let code = code(&file).to_lowercase();
        wrong.extend(
            PLATFORMS.iter().filter(|word| code.contains(*word)).map(|word| format!("{}: {word}", file.display())),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_is_left_unfinished() {
    let mut wrong = Vec::new();
    for folder in ["host", "sdk", "connectors", "tests"] {
        for file in files(&root().join(folder), "rs") {
            assert_ne!(file.file_name().and_then(|n| n.to_str()), Some("mod.rs"), "{}", file.display());
            let text = fs::read_to_string(&file).expect("source");
            wrong.extend(
                UNFINISHED.iter().filter(|word| text.contains(*word)).map(|word| format!("{}: {word}", file.display())),
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn copies_of_the_contract_are_equal() {
    let copy = root().join("sdk/wit");
    if copy.is_symlink() || !copy.exists() {
        return;
    }
    for file in files(&root().join("wit"), "wit") {
        let other = copy.join(file.file_name().expect("name"));
        assert_eq!(fs::read(&file).ok(), fs::read(&other).ok(), "{} differs from {}", other.display(), file.display());
    }
}

#[test]
fn the_check_of_the_edges_can_fail() {
    let used =
        used_modules("use crate::{\n    db::{Db, x::Y},\n    model::page::Page,\n};\nfn f() { crate::api::g() }");
    assert_eq!(used.into_iter().collect::<Vec<_>>(), ["api", "db", "model"]);
}
