//! The second way: rustup adds the standard library to the toolchain in force.
//!
//! Invariant: rustup is not called where `RUSTUP_AUTO_INSTALL=0` says that toolchains are not to be changed, and never
//! waited for longer than a slow network needs.

use std::{path::Path, time::Duration};

use thiserror::Error;

use crate::{
    TARGET,
    environment::Environment,
    error::{ToolError, chain},
    process,
};

/// What this way is called in errors.
pub(super) const WAY: &str = "rustup target add";

/// The library is 25 MB; where the distribution server is cut off silently, this is what finding out costs, once.
const LIMIT: Duration = Duration::from_secs(180);

/// Why rustup did not add the library.
#[derive(Debug, Error)]
pub(super) enum RustupError {
    /// The user does not want it.
    #[error("RUSTUP_AUTO_INSTALL=0 forbids it (by hand: rustup target add {TARGET})")]
    Forbidden,
    /// There is none.
    #[error("rustup is not on PATH")]
    Absent,
    /// It was tried.
    #[error("{}", chain(.0))]
    Failed(ToolError),
}

/// Adds the library.
pub(super) fn add(environment: &Environment, package: &Path, progress: fn(&str)) -> Result<(), RustupError> {
    if environment.get("RUSTUP_AUTO_INSTALL").is_some_and(|value| value == "0") {
        return Err(RustupError::Forbidden);
    }
    if !environment.has("rustup") {
        return Err(RustupError::Absent);
    }
    progress("adding the Rust standard library for WebAssembly with rustup");
    // From the package's directory, so that rustup means the same toolchain as the cargo that will build there.
    let mut rustup = environment.command("rustup", package);
    process::run(rustup.args(["target", "add", TARGET]), LIMIT).map_err(RustupError::Failed)?;
    Ok(())
}
