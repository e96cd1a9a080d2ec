//! Builds the guests that the tests run: every example of `tests/guests` is a component of its own, and so is each module
//! that is written by hand there.
//!
//! They end up in `OUT_DIR`, next to `guests.rs`, which the module `guests` includes: one constant with a path per guest,
//! so that a test which names a guest that is gone does not compile.

#[path = "guests/hand_written.rs"]
mod hand_written;

use std::{error::Error, fs, path::Path};

use wharfinger_component_build::script;

const GUESTS: &str = "guests";

fn main() -> Result<(), Box<dyn Error>> {
    script::rerun_if_changed(&["build.rs", GUESTS, "../sdk", "../wit", "../Cargo.toml", "../Cargo.lock"]);
    let names = names(&Path::new(GUESTS).join("examples"))?;
    let mut guests = Vec::new();
    if !names.is_empty() {
        let built = script::bundle(Path::new(GUESTS), &names)?;
        guests.extend(built.into_iter().map(|guest| (guest.name, guest.path)));
    }
    for (name, component) in hand_written::all()? {
        guests.push((name.to_owned(), script::write(component, &format!("{name}.wasm"))?));
    }
    let mut constants = String::new();
    let mut all = String::new();
    for (name, path) in &guests {
        let constant = name.replace('-', "_").to_uppercase();
        constants += &format!("/// The guest `{name}`.\npub const {constant}: &str = {path:?};\n\n");
        all += &format!("    ({name:?}, {constant}),\n");
    }
    let text = format!("{constants}/// All of them: name and path.\npub const ALL: &[(&str, &str)] = &[\n{all}];\n");
    script::write(text, "guests.rs")?;
    Ok(())
}

/// The examples of the guests' package, in order; none while there is no directory for them.
fn names(dir: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    if !dir.is_dir() {
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if let (Some("rs"), Some(stem)) = (path.extension().and_then(|e| e.to_str()), path.file_stem()) {
            names.push(stem.to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}
