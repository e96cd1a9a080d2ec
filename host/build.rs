//! Builds the bundled connectors into components, from which `connector::bundled` embeds those it lists.
//!
//! Every directory of `connectors/` is one: its component is `<directory>.wasm` in `OUT_DIR`. They are built as a
//! stranger's connector would be, and again only when a connector, the SDK or the contract has changed.

use std::{error::Error, fs, path::Path};

use wharfinger_component_build::script;

const CONNECTORS: &str = "../connectors";

fn main() -> Result<(), Box<dyn Error>> {
    script::rerun_if_changed(&["build.rs", CONNECTORS, "../sdk", "../wit", "../Cargo.toml", "../Cargo.lock"]);
    let mut packages: Vec<_> = fs::read_dir(CONNECTORS)?.flatten().map(|entry| entry.path()).collect();
    packages.sort();
    for package in packages.iter().filter(|dir| dir.join("Cargo.toml").is_file()) {
        script::bundle(Path::new(package), &[])?;
    }
    Ok(())
}
