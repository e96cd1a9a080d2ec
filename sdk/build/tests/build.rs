//! Real components from small crates, with whatever toolchain this machine has.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use wharfinger_component_build::{BuildError, Component, Request, build, build_file};

const CDYLIB: &str = "[package]\nname = \"small-one\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[lib]\ncrate-type = [\"cdylib\"]\n\n[workspace]\n";
const CODE: &str =
    "#[unsafe(no_mangle)]\npub extern \"C\" fn hello() -> u32 {\n    std::env::args().count() as u32\n}\n";

/// A crate of this name and content, written anew.
fn package(name: &str, manifest: &str, code: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(dir.join("src")).unwrap();
    fs::create_dir_all(dir.join("examples")).unwrap();
    fs::write(dir.join("Cargo.toml"), manifest).unwrap();
    fs::write(dir.join("src/lib.rs"), code).unwrap();
    dir
}

fn request(package: &Path) -> Request {
    Request { target_dir: Some(package.join("out")), ..Request::new(package) }
}

fn is_component(component: &Component) -> bool {
    fs::read(&component.path).unwrap().starts_with(b"\0asm\x0d\0\x01\0")
}

#[test]
fn a_library_becomes_a_component() {
    let package = package("library", CDYLIB, CODE);
    let components = build(&request(&package)).unwrap();
    assert_eq!(components.len(), 1);
    assert_eq!(components[0].name, "small_one");
    assert!(is_component(&components[0]));
}

#[test]
fn examples_become_components_of_their_own() {
    let examples = ["one", "two"].map(|name| format!("[[example]]\nname = \"{name}\"\ncrate-type = [\"cdylib\"]\n"));
    let package = package("examples", &format!("{CDYLIB}\n{}", examples.concat()), CODE);
    for name in ["one", "two"] {
        fs::write(package.join(format!("examples/{name}.rs")), CODE).unwrap();
    }
    let mut asked = request(&package);
    asked.examples = vec!["two".to_owned()];
    let components = build(&asked).unwrap();
    assert_eq!(components.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["two"]);
    assert!(is_component(&components[0]));
}

#[test]
fn a_library_that_is_no_cdylib_is_refused_with_the_reason() {
    let package = package("rlib", &CDYLIB.replace("cdylib", "rlib"), CODE);
    let error = build(&request(&package)).unwrap_err();
    assert!(error.to_string().contains("crate-type must be cdylib"), "{error}");
}

#[test]
fn a_package_that_does_not_compile_is_told_from_a_missing_one() {
    let broken = package("broken", CDYLIB, "fn");
    assert!(matches!(build(&request(&broken)).unwrap_err(), BuildError::Compile { .. }));
    let nothing = Path::new(env!("CARGO_TARGET_TMPDIR")).join("does not exist");
    assert!(matches!(build(&request(&nothing)).unwrap_err(), BuildError::NoPackage { .. }));
}

#[test]
fn a_component_is_put_where_it_is_wanted_and_replaces_an_older_one() {
    let package = package("with a space", CDYLIB, CODE);
    let file = package.join("mine.wasm");
    fs::write(&file, "old").unwrap();
    assert_eq!(build_file(&package, Some(&file)).unwrap(), file);
    assert!(fs::read(&file).unwrap().starts_with(b"\0asm\x0d\0\x01\0"));
    let left = fs::read_dir(&package).unwrap().flatten().filter(|f| f.file_name().to_string_lossy().ends_with(".tmp"));
    assert_eq!(left.count(), 0);
    let error = build_file(&package, Some(&package.join("no/such/dir.wasm"))).unwrap_err();
    assert!(matches!(error, BuildError::Files(_)), "{error}");
}
