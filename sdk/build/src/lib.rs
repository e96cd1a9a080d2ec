//! Builds connector crates into WebAssembly components: the one place that decides how.
//!
//! The host's build of its bundled connectors, the tests' guests and `wharfinger connector build` all come here, so that a
//! bundled connector is built by the code a stranger uses. Building works as a user without root, with or without the Rust
//! distribution server: see [`toolchain`] for the ways that are tried.
//!
//! Safe to call from a build script: nothing of the outer cargo's environment reaches the inner one, and components have a
//! target directory of their own, since cargo holds a lock on the outer one. Parallel builds and a kill at any instant
//! are harmless. It knows neither the host nor wasmtime nor what a component exports.

mod artefact;
mod cache;
mod cargo;
mod environment;
mod error;
mod process;
pub mod script;
pub mod toolchain;

use std::path::{Path, PathBuf};

use environment::Environment;
pub use error::{Attempt, BuildError, ToolError};

/// The target that components are compiled for.
pub const TARGET: &str = "wasm32-wasip2";

/// What to build.
#[derive(Clone, Debug)]
pub struct Request {
    /// The directory with the package's `Cargo.toml`.
    pub package: PathBuf,
    /// Examples to build, each a component of its own; none means the package's library.
    pub examples: Vec<String>,
    /// Where cargo keeps what it compiles; must not be the target directory of a cargo that waits for this build. `None`
    /// is the package's own, which is right outside of build scripts only.
    pub target_dir: Option<PathBuf>,
    /// Cargo's profile.
    pub profile: String,
    /// Told, in a line each, what takes long.
    pub progress: fn(&str),
}

/// What came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    /// The name of the library or example.
    pub name: String,
    /// The component, in the target directory.
    pub path: PathBuf,
}

impl Request {
    /// The library of a package, in the release profile and the package's own target directory, telling stderr.
    #[must_use]
    pub fn new(package: impl Into<PathBuf>) -> Self {
        Self {
            package: package.into(),
            examples: Vec::new(),
            target_dir: None,
            profile: "release".to_owned(),
            progress: |line| eprintln!("{line}"),
        }
    }
}

/// Builds the components of a package. Compiler messages go to stderr.
///
/// ```no_run
/// use wharfinger_component_build::{Request, build};
///
/// for component in build(&Request::new("connectors/mine"))? {
///     println!("{}: {}", component.name, component.path.display());
/// }
/// # Ok::<(), wharfinger_component_build::BuildError>(())
/// ```
pub fn build(request: &Request) -> Result<Vec<Component>, BuildError> {
    let environment = Environment::of_process();
    let package = artefact::package_dir(&request.package)?;
    let toolchain = toolchain::find(&environment, &package, request.progress)?;
    cargo::build(&environment, &toolchain, &package, request)
}

/// What `wharfinger connector build [DIR] [-o FILE]` does: builds the connector in `package` and puts the component at
/// `output`, by default at `<library name>.wasm` in the current directory. Returns where it is.
///
/// For the command line: `DIR` defaults to `.`; print the returned path; on an error print its chain of sources and exit
/// with 1. Compiler messages and progress go to stderr by themselves.
///
/// The file appears whole or not at all: it is written beside its place and renamed.
pub fn build_file(package: &Path, output: Option<&Path>) -> Result<PathBuf, BuildError> {
    let mut components = build(&Request::new(package))?;
    let (Some(component), true) = (components.pop(), components.is_empty()) else {
        return Err(BuildError::NotOne { package: package.to_owned() });
    };
    let output = output.map_or_else(|| PathBuf::from(format!("{}.wasm", component.name)), Path::to_owned);
    artefact::place(&component.path, &output)?;
    Ok(output)
}
