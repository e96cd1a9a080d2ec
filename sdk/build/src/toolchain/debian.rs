//! The third way: a compiler and the standard library's sources from Debian's packages, where the Rust distribution
//! server cannot be reached.
//!
//! Without root and without touching the system: apt works on a sources list, lists and cache of our own, and verifies
//! everything with Debian's archive keyring; the packages are unpacked, not installed. The library is compiled once, into
//! the unpacked compiler's sysroot, and tried out before the result is published into the user's cache, whole or not at
//! all. After that a build is an ordinary one with another `RUSTC`, and needs neither apt nor Debian's mirror.

mod packages;
mod sources;
mod standard_library;

use std::{
    fs,
    path::{Path, PathBuf},
};

use thiserror::Error;

use super::{ASK, Toolchain};
use crate::{
    cache,
    environment::Environment,
    error::{At, FileError, ToolError},
    process,
};

/// What this way is called in errors.
pub(super) const WAY: &str = "Debian's packages";

/// Counts up when what is kept changes its form.
const FORM: u32 = 1;

/// Debian's public key ring, part of every Debian system.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Why Debian's packages cannot help.
#[derive(Debug, Error)]
pub enum DebianError {
    /// It is another system.
    #[error("this system is not Debian")]
    NotDebian,
    /// A part of Debian that is needed is missing.
    #[error("{0} is missing")]
    Lacks(String),
    /// There is no place to keep them.
    #[error("neither HOME nor XDG_CACHE_HOME is set")]
    NoCache,
    /// Files could not be read or written.
    #[error(transparent)]
    Files(#[from] FileError),
    /// A step failed.
    #[error("{step}")]
    Step {
        /// The step, as a verb.
        step: &'static str,
        /// The tool that did not do it.
        source: ToolError,
    },
    /// The packages do not hold what they held when this was written.
    #[error("the packages have changed: {0}")]
    Changed(String),
}

/// Where this machine's toolchain lives, and what of the installed one it needs.
pub(super) struct Place {
    dir: PathBuf,
    codename: String,
    linker: Linker,
}

/// The installed toolchain's programs that make a component out of objects.
struct Linker {
    component: PathBuf,
    wasm_ld: PathBuf,
}

impl Place {
    /// The place, if this is a machine on which the way can work at all.
    pub(super) fn of(environment: &Environment, sysroot: &Path) -> Result<Self, DebianError> {
        let linker = Linker::of(sysroot)?;
        let codename = codename(&fs::read_to_string("/etc/os-release").unwrap_or_default())?;
        for tool in ["apt-get", "apt-cache", "dpkg", "dpkg-deb", "tar"] {
            if !environment.has(tool) {
                return Err(DebianError::Lacks(format!("{tool} on PATH")));
            }
        }
        if !Path::new(KEYRING).is_file() {
            return Err(DebianError::Lacks(format!("{KEYRING} (package debian-archive-keyring)")));
        }
        let cache = environment.cache_dir().ok_or(DebianError::NoCache)?;
        let name = format!("debian-{codename}-{}-{FORM}", std::env::consts::ARCH);
        Ok(Self { dir: cache.join("toolchain").join(name), codename, linker })
    }

    /// The toolchain, if it is there and works. Cleaners of cache directories may have taken parts of it.
    pub(super) fn ready(&self, environment: &Environment) -> Option<Toolchain> {
        let rustc = self.dir.join("rustc");
        let complete = super::has_std(&self.dir.join("usr"));
        let runs = || process::run(environment.command(&rustc, &self.dir).arg("-vV"), ASK).is_ok();
        (complete && runs()).then(|| Toolchain::Debian { rustc: rustc.clone(), flags: self.linker.flags() })
    }

    /// Makes the toolchain, unless another process has made it in the meantime.
    pub(super) fn prepare(&self, environment: &Environment, progress: fn(&str)) -> Result<Toolchain, DebianError> {
        let held = cache::hold(&self.dir, progress)?;
        if let Some(toolchain) = self.ready(environment) {
            return Ok(toolchain);
        }
        let root = held.empty_neighbour()?;
        progress("fetching a WebAssembly-capable Rust compiler from Debian's packages (140 MB, once)");
        packages::fetch_and_unpack(environment, &self.codename, &root)?;
        write_wrapper(&root)?;
        progress("compiling the Rust standard library for WebAssembly (a minute or two, once)");
        standard_library::build(environment, &root)?;
        standard_library::try_out(environment, &root, &self.linker)?;
        held.publish(&root)?;
        self.ready(environment)
            .ok_or_else(|| DebianError::Changed("the compiler does not run from the cache".to_owned()))
    }
}

impl Linker {
    /// That of a sysroot.
    fn of(sysroot: &Path) -> Result<Self, DebianError> {
        let rustlib = sysroot.join("lib/rustlib");
        let hosts = fs::read_dir(&rustlib).at("list", &rustlib)?;
        let bins = hosts.flatten().map(|host| host.path().join("bin"));
        let found = bins
            .map(|bin| Self { component: bin.join("wasm-component-ld"), wasm_ld: bin.join("gcc-ld/wasm-ld") })
            .find(|linker| linker.component.is_file() && linker.wasm_ld.is_file());
        found.ok_or_else(|| DebianError::Lacks(format!("wasm-component-ld in {}", rustlib.display())))
    }

    /// Flags for the compiler.
    fn flags(&self) -> Vec<String> {
        vec![
            format!("-Clinker={}", self.component.display()),
            "-Clink-arg=--wasm-ld-path".to_owned(),
            format!("-Clink-arg={}", self.wasm_ld.display()),
        ]
    }
}

/// The release's code name, from the text of os-release.
fn codename(os_release: &str) -> Result<String, DebianError> {
    let field = |name: &str| {
        let line = os_release.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.map(|value| value.trim().trim_matches('"').to_owned())
    };
    match (field("ID").as_deref(), field("VERSION_CODENAME")) {
        (Some("debian"), Some(codename)) if codename.bytes().all(|b| b.is_ascii_lowercase()) => Ok(codename),
        _ => Err(DebianError::NotDebian),
    }
}

/// The compiler finds its libraries beside itself, not where a package manager would have put them. The script looks for
/// itself, so that the directory can be renamed.
fn write_wrapper(root: &Path) -> Result<(), FileError> {
    let path = root.join("rustc");
    let script = "#!/bin/sh\n\
        root=${0%/*}\n\
        LD_LIBRARY_PATH=$(echo \"$root\"/usr/lib/*-linux-gnu):$root/usr/lib:$(echo \"$root\"/lib/*-linux-gnu)\n\
        export LD_LIBRARY_PATH\n\
        exec \"$root/usr/bin/rustc\" \"$@\"\n";
    fs::write(&path, script).at("write", &path)?;
    make_executable(&path).at("make executable", &path)
}

#[cfg(unix)]
fn make_executable(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

#[cfg(not(unix))]
fn make_executable(_path: &Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_debian_with_a_code_name_is_debian() {
        let bookworm = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_CODENAME=bookworm\nID=debian\n";
        assert_eq!(codename(bookworm).unwrap(), "bookworm");
        assert_eq!(codename("ID=\"debian\"\nVERSION_CODENAME=\"trixie\"\n").unwrap(), "trixie");
        for other in ["", "ID=debian\n", "ID=ubuntu\nVERSION_CODENAME=noble\n", "ID=debian\nVERSION_CODENAME=../x\n"] {
            assert!(matches!(codename(other), Err(DebianError::NotDebian)), "{other}");
        }
    }
}
