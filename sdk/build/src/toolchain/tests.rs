//! The decision, with tools that are scripts: no test asks a network or changes an installed toolchain.

use std::{collections::hash_map::RandomState, hash::BuildHasher};

use super::*;

/// A machine: a directory of tools, a sysroot and a home.
struct Machine {
    dir: PathBuf,
}

impl Machine {
    /// With a compiler, and nothing else.
    fn new() -> Self {
        let name = format!("component-build-{:016x}", RandomState::new().hash_one(()));
        let machine = Self { dir: std::env::temp_dir().join(name) };
        for dir in ["bin", "package", "home", "sysroot/lib/rustlib/host/bin"] {
            fs::create_dir_all(machine.dir.join(dir)).unwrap();
        }
        machine.tool("rustc", &format!("echo {}", machine.sysroot().display()));
        machine
    }

    fn sysroot(&self) -> PathBuf {
        self.dir.join("sysroot")
    }

    /// Written by another process: a file that this one has open for writing, were it only in a child another test has
    /// just forked, cannot be executed.
    fn tool(&self, name: &str, script: &str) {
        let mut sh = Command::new("sh");
        sh.args(["-c", "printf '#!/bin/sh\\n%s\\n' \"$2\" > \"$1\" && chmod 755 \"$1\"", "sh"]);
        assert!(sh.arg(self.dir.join("bin").join(name)).arg(script).status().unwrap().success());
    }

    /// A rustup that does its work, and leaves a trace.
    fn rustup(&self) {
        let lib = target_lib(&self.sysroot());
        let (lib, trace) = (lib.display(), self.dir.join("trace"));
        self.tool(
            "rustup",
            &format!("echo \"$*\" > {}\n/bin/mkdir -p {lib}\n: > {lib}/libstd-0.rlib", trace.display()),
        );
    }

    fn rustup_was_called_with(&self) -> Option<String> {
        fs::read_to_string(self.dir.join("trace")).ok().map(|trace| trace.trim().to_owned())
    }

    fn find(&self, variables: &[(&str, &str)]) -> Result<Toolchain, BuildError> {
        let path = self.dir.join("bin");
        let home = self.dir.join("home");
        let all = [("PATH", path.to_str().unwrap()), ("HOME", home.to_str().unwrap())];
        let environment = Environment::of(all.iter().chain(variables).copied());
        find(&environment, &self.dir.join("package"), |_| {})
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn attempts(result: Result<Toolchain, BuildError>) -> Vec<String> {
    match result {
        Err(BuildError::NoStandardLibrary(attempts)) => attempts.iter().map(ToString::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_installed_library_is_used_and_nothing_is_called() {
    let machine = Machine::new();
    machine.rustup();
    let lib = target_lib(&machine.sysroot());
    fs::create_dir_all(&lib).unwrap();
    fs::write(lib.join("libstd-1.rlib"), "").unwrap();
    assert_eq!(machine.find(&[]).unwrap(), Toolchain::Installed);
    assert_eq!(machine.rustup_was_called_with(), None);
}

#[test]
fn an_empty_library_directory_is_no_library() {
    let machine = Machine::new();
    machine.rustup();
    fs::create_dir_all(target_lib(&machine.sysroot())).unwrap();
    assert_eq!(machine.find(&[]).unwrap(), Toolchain::Installed);
    assert!(machine.rustup_was_called_with().is_some());
}

#[test]
fn rustup_adds_what_is_missing() {
    let machine = Machine::new();
    machine.rustup();
    assert_eq!(machine.find(&[("RUSTUP_AUTO_INSTALL", "1")]).unwrap(), Toolchain::Installed);
    assert_eq!(machine.rustup_was_called_with().as_deref(), Some("target add wasm32-wasip2"));
}

#[test]
fn rustup_is_not_called_where_the_user_forbids_it() {
    let machine = Machine::new();
    machine.rustup();
    let said = attempts(machine.find(&[("RUSTUP_AUTO_INSTALL", "0")]));
    assert!(said[1].contains("RUSTUP_AUTO_INSTALL=0"), "{said:?}");
    assert_eq!(machine.rustup_was_called_with(), None);
}

#[test]
fn where_no_way_is_open_the_error_says_of_all_three_why() {
    let machine = Machine::new();
    machine.tool("rustup", "echo could not download >&2; exit 1");
    let said = attempts(machine.find(&[]));
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(said[0].contains("the installed toolchain") && said[0].contains("sysroot"), "{said:?}");
    assert!(said[1].contains("could not download"), "{said:?}");
    assert!(said[2].contains("wasm-component-ld"), "{said:?}");
}

#[test]
fn a_rustup_that_adds_nothing_is_not_believed() {
    let machine = Machine::new();
    machine.tool("rustup", "exit 0");
    assert_eq!(attempts(machine.find(&[])).len(), 3);
}

#[test]
fn debians_way_needs_its_tools() {
    let machine = Machine::new();
    let bin = machine.sysroot().join("lib/rustlib/host/bin");
    fs::create_dir_all(bin.join("gcc-ld")).unwrap();
    fs::write(bin.join("wasm-component-ld"), "").unwrap();
    fs::write(bin.join("gcc-ld/wasm-ld"), "").unwrap();
    let said = attempts(machine.find(&[]));
    assert!(said[2].contains("apt-get") || said[2].contains("not Debian"), "{said:?}");
}

#[test]
fn without_a_compiler_the_error_says_so() {
    let machine = Machine::new();
    fs::remove_file(machine.dir.join("bin/rustc")).unwrap();
    assert!(matches!(machine.find(&[]), Err(BuildError::NoCompiler(ToolError::Start { .. }))));
    machine.tool("rustc", "echo toolchain is not installed >&2; exit 1");
    let error = machine.find(&[]).unwrap_err();
    assert!(chain(&error).contains("toolchain is not installed"), "{error}");
}
