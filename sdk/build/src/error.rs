//! What can go wrong while a component is built.
//!
//! An error says its own level and what to do; the cause is its source. The three ways to a standard library are
//! reported together, since any one of them would have been enough.

use std::{fmt, io, path::PathBuf, process::ExitStatus, time::Duration};

use thiserror::Error;

/// Why there is no component.
#[derive(Debug, Error)]
pub enum BuildError {
    /// The directory holds no package.
    #[error("no Cargo.toml in {}: name the directory of a connector crate", .package.display())]
    NoPackage {
        /// Where it was looked for.
        package: PathBuf,
    },
    /// The compiler itself is missing or does not run.
    #[error("ask rustc for its sysroot: Rust must be installed and on PATH")]
    NoCompiler(#[source] ToolError),
    /// No way led to a standard library for the target.
    #[error("{}", no_standard_library(.0))]
    NoStandardLibrary(Vec<Attempt>),
    /// Cargo could not be run.
    #[error("run cargo")]
    Cargo(#[source] ToolError),
    /// The package does not compile; the compiler has said why on stderr.
    #[error("cargo could not build {} ({status}); its messages stand above", .package.display())]
    Compile {
        /// The package.
        package: PathBuf,
        /// How cargo ended.
        status: ExitStatus,
    },
    /// Cargo succeeded, but a component that was asked for is not among what it made.
    #[error("{} has no component {name}: its crate-type must be cdylib", .package.display())]
    Missing {
        /// The package.
        package: PathBuf,
        /// The library or example.
        name: String,
    },
    /// Exactly one component was expected.
    #[error("{} did not build into exactly one component", .package.display())]
    NotOne {
        /// The package.
        package: PathBuf,
    },
    /// The file is not a component.
    #[error("{} is not a WebAssembly component", .0.display())]
    NotAComponent(PathBuf),
    /// Files could not be read or written.
    #[error(transparent)]
    Files(#[from] FileError),
    /// The build script runs outside of cargo.
    #[error("{0} is not set: this function is for build scripts")]
    NotABuildScript(&'static str),
}

/// One way to a standard library, and why it was closed.
#[derive(Debug)]
pub struct Attempt {
    /// The way.
    pub way: &'static str,
    /// Why not, with all causes.
    pub reason: String,
}

/// A tool that was called did not do its work.
#[derive(Debug, Error)]
pub enum ToolError {
    /// It could not be started.
    #[error("start {tool}")]
    Start {
        /// The tool.
        tool: String,
        /// Why.
        source: io::Error,
    },
    /// It failed.
    #[error("{tool} failed ({status}): {said}")]
    Failed {
        /// The tool.
        tool: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it wrote on stderr.
        said: String,
    },
    /// It took too long and was killed.
    #[error("{tool} did not finish within {} s", .limit.as_secs())]
    Late {
        /// The tool.
        tool: String,
        /// What it had.
        limit: Duration,
    },
}

/// A file operation failed.
#[derive(Debug, Error)]
#[error("{what} {}", .path.display())]
pub struct FileError {
    /// The operation, as a verb.
    pub what: &'static str,
    /// On what.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

/// Turns an IO result into one that names operation and path.
pub(crate) trait At<T> {
    fn at(self, what: &'static str, path: impl Into<PathBuf>) -> Result<T, FileError>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, what: &'static str, path: impl Into<PathBuf>) -> Result<T, FileError> {
        self.map_err(|source| FileError { what, path: path.into(), source })
    }
}

/// An error and its sources in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.way, self.reason)
    }
}

fn no_standard_library(attempts: &[Attempt]) -> String {
    let mut text = format!("no Rust standard library for {}; any one of these would do:", crate::TARGET);
    for attempt in attempts {
        text.push_str("\n  - ");
        text.push_str(&attempt.to_string());
    }
    text
}
