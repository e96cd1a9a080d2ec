//! The environment a build sees, read once, and the part of it that children are given.
//!
//! Invariant: a child never sees what an outer cargo set for its build script or its own compiler, since a cargo inside
//! would take such a variable for the user's wish. What the user set for every cargo (home, registries, network, jobs)
//! stays.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::Command,
};

/// Variables with the prefix `CARGO_` that are the user's and not an outer cargo's.
const KEPT: &[&str] = &[
    "CARGO_HOME",
    "CARGO_HTTP_",
    "CARGO_NET_",
    "CARGO_REGISTRY_",
    "CARGO_REGISTRIES_",
    "CARGO_SOURCE_",
    "CARGO_TERM_",
    "CARGO_BUILD_JOBS",
    "CARGO_TARGET_DIR",
    "CARGO_INCREMENTAL",
];

/// Variables without that prefix by which an outer cargo, or a user who meant the outer build, would change the inner one.
const DROPPED: &[&str] = &[
    "CARGO",
    "DEBUG",
    "HOST",
    "LD_LIBRARY_PATH",
    "MAKEFLAGS",
    "MFLAGS",
    "NUM_JOBS",
    "OPT_LEVEL",
    "OUT_DIR",
    "PROFILE",
    "RUSTC",
    "RUSTC_BOOTSTRAP",
    "RUSTC_LINKER",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTDOC",
    "RUSTDOCFLAGS",
    "RUSTFLAGS",
    "RUST_RECURSION_COUNT",
    "TARGET",
];

/// A snapshot of the process environment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    variables: BTreeMap<OsString, OsString>,
}

impl Environment {
    /// That of this process.
    pub(crate) fn of_process() -> Self {
        Self { variables: std::env::vars_os().collect() }
    }

    /// A variable that is set to something.
    pub(crate) fn get(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    /// Where this program may keep what can be made again.
    pub(crate) fn cache_dir(&self) -> Option<PathBuf> {
        let absolute = |name: &str| self.get(name).map(Path::new).filter(|path| path.is_absolute());
        absolute("XDG_CACHE_HOME")
            .map(Path::to_owned)
            .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
            .map(|cache| cache.join("wharfinger"))
    }

    /// Whether a program of this name stands on `PATH`.
    pub(crate) fn has(&self, program: &str) -> bool {
        let path = self.get("PATH").unwrap_or_default();
        std::env::split_paths(path).any(|dir| dir.join(program).is_file())
    }

    /// A command that sees the cleaned environment and works in `dir`.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>, dir: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().current_dir(dir);
        command.envs(self.variables.iter().filter(|(name, _)| !leaks(name)));
        command
    }
}

fn leaks(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    let of_cargo = name.starts_with("CARGO_") && !KEPT.iter().any(|kept| name.starts_with(kept));
    of_cargo || name.starts_with("DEP_") || DROPPED.contains(&name)
}

#[cfg(test)]
impl Environment {
    /// One of a machine that does not exist.
    pub(crate) fn of<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self { variables: pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_user_set_for_every_cargo_reaches_a_child() {
        for name in ["CARGO_HOME", "CARGO_NET_OFFLINE", "CARGO_REGISTRIES_MIRROR_INDEX", "PATH", "HTTPS_PROXY"] {
            assert!(!leaks(OsStr::new(name)), "{name}");
        }
        for name in ["CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET", "CARGO_MANIFEST_DIR", "CARGO_FEATURE_DEMO"] {
            assert!(leaks(OsStr::new(name)), "{name}");
        }
        for name in ["RUSTC", "RUSTFLAGS", "RUSTC_WRAPPER", "CARGO", "TARGET", "OUT_DIR", "DEP_Z_ROOT"] {
            assert!(leaks(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn the_cache_is_the_users_and_absolute() {
        let cache = |pairs: [(&str, &str); 2]| Environment::of(pairs).cache_dir();
        assert_eq!(cache([("XDG_CACHE_HOME", "/c"), ("HOME", "/h")]), Some("/c/wharfinger".into()));
        assert_eq!(cache([("XDG_CACHE_HOME", "c"), ("HOME", "/h")]), Some("/h/.cache/wharfinger".into()));
        assert_eq!(cache([("XDG_CACHE_HOME", ""), ("HOME", "")]), None);
    }
}
