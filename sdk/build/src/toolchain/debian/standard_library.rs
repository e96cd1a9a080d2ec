//! Compiles the standard library for the target, once, into the sysroot of the unpacked compiler.
//!
//! After that the compiler finds it as it would find an installed one, and builds need no unstable option. The few crates
//! that the library depends on come from the crates registry, as those of any connector.

use std::{fs, path::Path, time::Duration};

use super::{super::target_lib, DebianError, Linker};
use crate::{
    TARGET, artefact,
    environment::Environment,
    error::{At, FileError},
    process,
};

const COMPILE: Duration = Duration::from_secs(1800);
const TRY: Duration = Duration::from_secs(120);

/// A package that needs nothing, to have the library built for.
const NOTHING: &str = "[package]\nname = \"nothing\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n";

/// A component that needs the library and wasi-libc.
const SMALL: &str =
    "#[unsafe(no_mangle)]\npub extern \"C\" fn hello() {\n    println!(\"{:?}\", std::env::args());\n}\n";

/// Puts library and wasi-libc where the compiler in `root` looks for them.
pub(super) fn build(environment: &Environment, root: &Path) -> Result<(), DebianError> {
    let work = root.join("nothing");
    fs::create_dir_all(work.join("src")).at("create", &work)?;
    fs::write(work.join("Cargo.toml"), NOTHING).at("write", &work)?;
    fs::write(work.join("src/lib.rs"), "#![no_std]\n").at("write", &work)?;

    let sysroot = root.join("usr");
    // Whose cache it was compiled in is nobody's business; panics carry these paths.
    let remap = format!("--remap-path-prefix={}=/rust", sysroot.join("lib/rustlib/src/rust").display());
    let mut cargo = environment.command("cargo", &work);
    cargo.args(["build", "--release", "-Zbuild-std=std,panic_abort", "--target", TARGET, "--target-dir"]);
    cargo.arg(work.join("target"));
    cargo.env("RUSTC", root.join("rustc")).env("RUSTC_BOOTSTRAP", "1").env("CARGO_ENCODED_RUSTFLAGS", remap);
    process::run(&mut cargo, COMPILE)
        .map_err(|source| DebianError::Step { step: "compile the standard library", source })?;

    let lib = target_lib(&sysroot);
    let own = lib.join("self-contained");
    fs::create_dir_all(&own).at("create", &own)?;
    let compiled = work.join("target").join(TARGET).join("release/deps");
    move_files(&compiled, &lib, |name| name.ends_with(".rlib") && !name.starts_with("libnothing-"))?;
    move_files(&sysroot.join("lib").join(TARGET), &own, |_| true)?;
    for done in [work, sysroot.join("src"), sysroot.join("lib/rustlib/src")] {
        fs::remove_dir_all(&done).at("remove", &done)?;
    }
    Ok(())
}

/// Compiles and links a small component.
pub(super) fn try_out(environment: &Environment, root: &Path, linker: &Linker) -> Result<(), DebianError> {
    let source = root.join("small.rs");
    let component = root.join("small.wasm");
    fs::write(&source, SMALL).at("write", &source)?;
    let mut rustc = environment.command(root.join("rustc"), root);
    rustc.args(["--edition=2024", "--crate-type=cdylib", "--target", TARGET, "-o"]).arg(&component);
    rustc.args(linker.flags()).arg(&source);
    process::run(&mut rustc, TRY).map_err(|source| DebianError::Step { step: "try the compiler", source })?;
    if !artefact::is_component(&component)? {
        return Err(DebianError::Changed("the compiler makes no components".to_owned()));
    }
    for done in [source, component] {
        fs::remove_file(&done).at("remove", &done)?;
    }
    Ok(())
}

fn move_files(from: &Path, to: &Path, wanted: impl Fn(&str) -> bool) -> Result<(), FileError> {
    for file in fs::read_dir(from).at("list", from)?.flatten() {
        let name = file.file_name();
        if wanted(&name.to_string_lossy()) {
            fs::rename(file.path(), to.join(&name)).at("move", file.path())?;
        }
    }
    Ok(())
}
