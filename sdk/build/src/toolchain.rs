//! Where the compiler and its standard library for the target come from.
//!
//! In this order:
//! 1. the installed toolchain has the library: plain cargo;
//! 2. an earlier build has left Debian's in the cache: that one, so that a closed network is not asked anew each time;
//! 3. rustup can add the library, and `RUSTUP_AUTO_INSTALL=0` does not forbid it;
//! 4. Debian's packages hold a compiler and the library's sources; see [`debian`];
//! 5. an error that says of each why not.
//!
//! The linker is the installed toolchain's own in every case.

pub mod debian;
mod rustup;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::{
    TARGET,
    environment::Environment,
    error::{Attempt, BuildError, ToolError, chain},
    process,
};

/// What a question to the compiler may take; rustup's proxy may have to set itself up first.
const ASK: Duration = Duration::from_secs(60);

/// How cargo must be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Toolchain {
    /// As it is.
    Installed,
    /// With another compiler, and the installed toolchain's linker.
    Debian {
        /// The compiler.
        rustc: PathBuf,
        /// Flags that name the linker.
        flags: Vec<String>,
    },
}

impl Toolchain {
    /// Tells a cargo about it.
    pub(crate) fn apply(&self, cargo: &mut Command) {
        if let Toolchain::Debian { rustc, flags } = self {
            // The encoded form, since paths may hold spaces. With `--target`, cargo keeps it from build scripts and macros.
            cargo.env("RUSTC", rustc).env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
        }
    }
}

/// Finds the toolchain for a package, and fetches what is missing.
pub(crate) fn find(environment: &Environment, package: &Path, progress: fn(&str)) -> Result<Toolchain, BuildError> {
    let sysroot = sysroot(environment, package).map_err(BuildError::NoCompiler)?;
    if has_std(&sysroot) {
        return Ok(Toolchain::Installed);
    }
    let mut attempts = vec![Attempt {
        way: "the installed toolchain",
        reason: format!("{} has no lib/rustlib/{TARGET}", sysroot.display()),
    }];
    let debian = debian::Place::of(environment, &sysroot);
    if let Ok(Some(toolchain)) = debian.as_ref().map(|place| place.ready(environment)) {
        return Ok(toolchain);
    }
    match rustup::add(environment, package, progress) {
        Ok(()) if has_std(&sysroot) => return Ok(Toolchain::Installed),
        Ok(()) => attempts.push(Attempt { way: rustup::WAY, reason: "it added the target elsewhere".to_owned() }),
        Err(error) => attempts.push(Attempt { way: rustup::WAY, reason: chain(&error) }),
    }
    match debian.and_then(|place| place.prepare(environment, progress)) {
        Ok(toolchain) => return Ok(toolchain),
        Err(error) => attempts.push(Attempt { way: debian::WAY, reason: chain(&error) }),
    }
    Err(BuildError::NoStandardLibrary(attempts))
}

/// The directory of the toolchain that is in force for a package.
fn sysroot(environment: &Environment, package: &Path) -> Result<PathBuf, ToolError> {
    let mut rustc = environment.command("rustc", package);
    let said = process::run(rustc.args(["--print", "sysroot"]), ASK)?;
    Ok(PathBuf::from(said.trim()))
}

/// Whether a sysroot holds the standard library for the target.
fn has_std(sysroot: &Path) -> bool {
    let Ok(files) = fs::read_dir(target_lib(sysroot)) else { return false };
    files.flatten().any(|file| {
        let name = file.file_name();
        let name = name.to_string_lossy();
        name.starts_with("libstd-") && name.ends_with(".rlib")
    })
}

/// Where a sysroot keeps the libraries of the target.
fn target_lib(sysroot: &Path) -> PathBuf {
    sysroot.join("lib/rustlib").join(TARGET).join("lib")
}

#[cfg(test)]
mod tests;
