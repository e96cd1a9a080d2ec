//! Fetches Debian's packages with an apt of our own and unpacks what is needed of them.
//!
//! Invariant: nothing is written outside of the directory it is given, and nothing is unpacked that apt has not verified.
//! The machine's apt configuration applies (proxies, certificates), but none of the hooks that write elsewhere.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use super::{DebianError, KEYRING, sources};
use crate::{
    environment::Environment,
    error::{At, FileError, ToolError},
    process,
};

/// The first Debian wasi-libc with wasip2, for all architectures and releases.
const BACKPORTS: &str = "trixie-backports";

const ASK: Duration = Duration::from_secs(60);
const UPDATE: Duration = Duration::from_secs(300);
const DOWNLOAD: Duration = Duration::from_secs(1800);
const UNPACK: Duration = Duration::from_secs(300);

/// Parts of the packages that no build needs: two thirds of them.
const LEFT_OUT: &[&str] = &[
    "./usr/share",
    "./usr/include",
    "./usr/libexec",
    "./usr/bin/rustdoc",
    "./usr/lib/wasm32-wasi",
    "./usr/src/*/compiler",
    "./usr/src/*/debian",
    "./usr/src/*/src",
    "./usr/src/*/tests",
];

/// An apt whose every directory is ours.
struct Apt<'a> {
    environment: &'a Environment,
    dir: PathBuf,
}

/// Fills `root` with the compiler, the standard library's sources and wasi-libc.
pub(super) fn fetch_and_unpack(environment: &Environment, codename: &str, root: &Path) -> Result<(), DebianError> {
    let apt = Apt::configure(environment, codename, root.join("apt"))?;
    apt.run("update Debian's package lists", "apt-get", &["update"], UPDATE)?;
    let names = apt.names()?;
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    apt.run("download Debian's packages", "apt-get", &[&["download"], &names[..]].concat(), DOWNLOAD)?;
    for deb in files(&apt.dir, "deb")? {
        unpack(environment, &deb, root).map_err(|source| DebianError::Step { step: "unpack a package", source })?;
    }
    fs::remove_dir_all(&apt.dir).at("remove", &apt.dir)?;
    Ok(())
}

impl<'a> Apt<'a> {
    fn configure(environment: &'a Environment, codename: &str, dir: PathBuf) -> Result<Self, DebianError> {
        for part in ["lists/partial", "cache/archives/partial"] {
            let part = dir.join(part);
            fs::create_dir_all(&part).at("create", &part)?;
        }
        let mirrors = sources::mirrors(&machine_sources(), codename);
        let mut dpkg = environment.command("dpkg", &dir);
        let architecture = process::run(dpkg.arg("--print-architecture"), ASK)
            .map_err(|source| DebianError::Step { step: "ask for the architecture", source })?;
        let options = format!("[arch={} target=Packages signed-by={KEYRING}]", architecture.trim());
        let list = format!(
            "deb {options} {security} {codename}-security main\n\
             deb {options} {main} {codename} main\n\
             deb {options} {main} {BACKPORTS} main\n",
            security = mirrors.security,
            main = mirrors.main,
        );
        let path = dir.join("sources.list");
        fs::write(&path, list).at("write", &path)?;
        let path = dir.join("apt.conf");
        fs::write(&path, configuration(&dir)).at("write", &path)?;
        Ok(Self { environment, dir })
    }

    fn run(&self, step: &'static str, tool: &str, arguments: &[&str], limit: Duration) -> Result<String, DebianError> {
        let mut command = self.environment.command(tool, &self.dir);
        command.env("LC_ALL", "C").arg("-c").arg(self.dir.join("apt.conf")).args(arguments);
        process::run(&mut command, limit).map_err(|source| DebianError::Step { step, source })
    }

    /// What to download: the compiler with its own libraries, and of the system's libraries those that are not installed.
    fn names(&self) -> Result<Vec<String>, DebianError> {
        let standard = self.dependency("libstd-rust-web-dev", "libstd-rust-web-")?;
        let llvm = self.dependency(&standard, "libllvm")?;
        // A machine whose packages are in disorder may still have the libraries; the toolchain is tried out afterwards.
        let asked = ["install", "--print-uris", "-y", "--no-install-recommends", &llvm];
        let missing = self.run("resolve dependencies", "apt-get", &asked, ASK).unwrap_or_default();
        let mut names: Vec<String> = ["rustc-web", "rust-web-src", "libstd-rust-web-dev"].map(str::to_owned).into();
        names.push(format!("wasi-libc/{BACKPORTS}"));
        names.push(standard);
        names.extend(to_install(&missing).filter(|name| *name != llvm).map(str::to_owned));
        names.push(llvm);
        Ok(names)
    }

    /// The package with this prefix that another one needs; its name carries a version.
    fn dependency(&self, package: &str, prefix: &str) -> Result<String, DebianError> {
        let said = self.run("look up packages", "apt-cache", &["depends", package], ASK)?;
        let mut needed = said.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
        let found = needed.find(|name| name.starts_with(prefix)).map(str::to_owned);
        found.ok_or_else(|| DebianError::Changed(format!("{package} does not depend on {prefix}*")))
    }
}

/// Packages in the output of `--print-uris`. Never the C library: the programs that load it are the system's.
fn to_install(uris: &str) -> impl Iterator<Item = &str> {
    let files = uris.lines().filter(|line| line.starts_with('\'')).filter_map(|line| line.split_whitespace().nth(1));
    let names = files.filter_map(|file| file.split('_').next());
    names.filter(|name| *name != "libc6" && !name.starts_with("libc-"))
}

/// Options that keep apt in its directory, and its verification on whatever the machine's own configuration says.
fn configuration(dir: &Path) -> String {
    let dir = dir.display();
    format!(
        "Dir::State \"{dir}\";\n\
         Dir::State::lists \"{dir}/lists\";\n\
         Dir::State::status \"/var/lib/dpkg/status\";\n\
         Dir::Cache \"{dir}/cache\";\n\
         Dir::Etc::sourcelist \"{dir}/sources.list\";\n\
         Dir::Etc::sourceparts \"-\";\n\
         Dir::Etc::preferences \"-\";\n\
         Dir::Etc::preferencesparts \"-\";\n\
         APT::Sandbox::User \"root\";\n\
         APT::Update::Error-Mode \"any\";\n\
         APT::Default-Release \"\";\n\
         APT::Get::AllowUnauthenticated \"false\";\n\
         Acquire::AllowInsecureRepositories \"false\";\n\
         Acquire::AllowDowngradeToInsecureRepositories \"false\";\n\
         Acquire::AllowWeakRepositories \"false\";\n\
         Acquire::Languages \"none\";\n\
         Acquire::Retries \"3\";\n\
         Acquire::http::Timeout \"30\";\n\
         Acquire::https::Timeout \"30\";\n\
         #clear APT::Update::Pre-Invoke;\n\
         #clear APT::Update::Post-Invoke;\n\
         #clear APT::Update::Post-Invoke-Success;\n"
    )
}

/// Apt's source files, as far as this user may read them.
fn machine_sources() -> Vec<(String, String)> {
    let parts = Path::new("/etc/apt/sources.list.d");
    let mut paths = vec![PathBuf::from("/etc/apt/sources.list")];
    for end in ["list", "sources"] {
        paths.extend(files(parts, end).unwrap_or_default());
    }
    let read = |path: PathBuf| Some((path.to_string_lossy().into_owned(), fs::read_to_string(&path).ok()?));
    paths.into_iter().filter_map(read).collect()
}

/// The files of a directory with this ending, in order.
fn files(dir: &Path, end: &str) -> Result<Vec<PathBuf>, FileError> {
    let entries = fs::read_dir(dir).at("list", dir)?;
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|found| found == end));
    files.sort();
    Ok(files)
}

/// Unpacks what is needed of one package.
fn unpack(environment: &Environment, deb: &Path, root: &Path) -> Result<(), ToolError> {
    let mut open = environment.command("dpkg-deb", root);
    open.arg("--fsys-tarfile").arg(deb);
    let mut tar = environment.command("tar", root);
    tar.args(["--extract", "--no-same-owner", "--anchored", "--wildcards", "--no-wildcards-match-slash"]);
    tar.args(LEFT_OUT.iter().map(|part| format!("--exclude={part}")));
    pipe(&mut open, &mut tar)
}

/// Runs the second command on what the first one writes.
fn pipe(first: &mut Command, second: &mut Command) -> Result<(), ToolError> {
    let deadline = Instant::now() + UNPACK;
    let tool = process::name(first);
    let start = |source| ToolError::Start { tool: tool.clone(), source };
    let mut first = first.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().map_err(start)?;
    let input = first.stdout.take().map_or_else(Stdio::null, Stdio::from);
    let done = process::run_on(second, input, UNPACK);
    let status = process::wait(&mut first, deadline).map_err(start)?;
    done?;
    match status {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(ToolError::Failed { tool, status, said: "the package is damaged".to_owned() }),
        None => Err(ToolError::Late { tool, limit: UNPACK }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_libraries_are_read_from_apt_but_never_the_c_library() {
        let said = "Reading package lists...\nThe following NEW packages will be installed:\n  libz3-4\n\
            'http://m/pool/libz/libz3-4_4.8.12-3.1_amd64.deb' libz3-4_4.8.12-3.1_amd64.deb 6951172 SHA256:00\n\
            'http://m/pool/libc6_2.36_amd64.deb' libc6_2.36_amd64.deb 1 SHA256:00\n\
            'http://m/pool/libstdc++6_12_amd64.deb' libstdc++6_12_amd64.deb 1 SHA256:00\n";
        assert_eq!(to_install(said).collect::<Vec<_>>(), ["libz3-4", "libstdc++6"]);
    }
}
