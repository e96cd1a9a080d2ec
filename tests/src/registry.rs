//! A real OCI registry on loopback: Debian's `docker-registry`, as it is.
//!
//! Where it is not installed, its package is downloaded by apt, which verifies it, and unpacked below `target`; that needs
//! no root. Where neither works the test fails and says what to install: a registry that is made up proves nothing.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};

use crate::host::TempDir;

/// Who may come in where the registry asks.
pub const USER: &str = "ann";
/// The password of [`USER`].
pub const PASSWORD: &str = "password-of-ann";
/// bcrypt of it: the only form that the registry takes.
const HTPASSWD: &str = "$2b$04$RTvZuRq8xw9XdJw8XW/HAuQa5M0rEx43aYHDz4VOhzEejmrygJEVO";

const PACKAGE: &str = "docker-registry";
const START: Duration = Duration::from_secs(30);
/// Longest time in which the package is fetched, all commands together.
const FETCH: Duration = Duration::from_secs(90);
/// A mirror that does not answer is not waited for.
const HASTE: [&str; 4] = ["-o", "Acquire::Retries=0", "-o", "Acquire::http::Timeout=15"];

/// A running registry. It goes with its owner, and so does what it keeps.
pub struct Registry {
    process: Child,
    address: String,
    dir: TempDir,
}

impl Registry {
    /// One that lets everybody in.
    pub fn open() -> anyhow::Result<Self> {
        Self::start("")
    }

    /// One that asks who comes.
    pub fn closed() -> anyhow::Result<Self> {
        Self::start("auth: {htpasswd: {realm: test, path: DIR/htpasswd}}\n")
    }

    fn start(auth: &str) -> anyhow::Result<Self> {
        let program = program()?;
        let dir = TempDir::new()?;
        fs::write(dir.path().join("htpasswd"), format!("{USER}:{HTPASSWD}\n"))?;
        let config = "version: 0.1\nlog: {level: info}\nstorage: {filesystem: {rootdirectory: DIR/store}}\n\
                      http: {addr: \"127.0.0.1:0\"}\n";
        let config = format!("{config}{auth}").replace("DIR", &dir.path().to_string_lossy());
        let file = dir.path().join("config.yml");
        fs::write(&file, config)?;
        let mut command = Command::new(&program);
        command
            .arg("serve")
            .arg(&file)
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut process = command.spawn().with_context(|| format!("start {}", program.display()))?;
        let (told, address) = std::sync::mpsc::channel();
        let lines = BufReader::new(process.stderr.take().context("stderr")?).lines();
        // Read to its end, so that the registry never waits for somebody to read what it says.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Some((_, rest)) = line.split_once("listening on ") {
                    let _ = told.send(rest.split(['"', ' ', ',']).next().unwrap_or_default().to_owned());
                }
            }
        });
        let address = address.recv_timeout(START);
        let registry = Self { process, address: address.clone().unwrap_or_default(), dir };
        address.context("the registry says where it listens")?;
        Ok(registry)
    }

    /// Address and port.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The file in which it keeps a blob.
    #[must_use]
    pub fn blob_file(&self, digest: &str) -> PathBuf {
        let hex = digest.trim_start_matches("sha256:");
        let blobs = self.dir.path().join("store/docker/registry/v2/blobs/sha256");
        blobs.join(&hex[..2]).join(hex).join("data")
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The installed program, or the one of the package below `target`.
fn program() -> anyhow::Result<PathBuf> {
    // One of the tests of a process fetches it, the others wait.
    static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    FOUND.get_or_init(|| find().map_err(|error| format!("{error:#}"))).clone().map_err(anyhow::Error::msg)
}

fn find() -> anyhow::Result<PathBuf> {
    let installed = Path::new("/usr/bin").join(PACKAGE);
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/debian").join(PACKAGE);
    let fetched = unpacked.join("usr/bin").join(PACKAGE);
    if let Some(found) = [installed, fetched.clone()].into_iter().find(|program| program.is_file()) {
        return Ok(found);
    }
    fetch(&unpacked).with_context(|| {
        format!(
            "no OCI registry to test against: install Debian's package `{PACKAGE}` (as root: apt-get update && apt-get \
             install {PACKAGE}), or put its program into {}",
            fetched.display()
        )
    })?;
    Ok(fetched)
}

fn fetch(place: &Path) -> anyhow::Result<()> {
    let parent = place.parent().context("a folder")?;
    fs::create_dir_all(parent)?;
    let aside = TempDir::below(parent)?;
    let until = Instant::now() + FETCH;
    let apt =
        |arguments: &[&str]| run(Command::new("apt-get").args(HASTE).args(arguments).current_dir(aside.path()), until);
    if apt(&["download", PACKAGE]).is_err() {
        apt(&["update", "-qq"])?;
        apt(&["download", PACKAGE])?;
    }
    let package = fs::read_dir(aside.path())?.flatten().map(|entry| entry.path());
    let package = package.into_iter().find(|path| path.extension().is_some_and(|end| end == "deb"));
    let root = aside.path().join("root");
    run(Command::new("dpkg").arg("-x").arg(package.context("apt-get downloads the package")?).arg(&root), until)?;
    match fs::rename(&root, place) {
        // Another test run was first.
        Err(_) if place.is_dir() => Ok(()),
        done => Ok(done?),
    }
}

fn run(command: &mut Command, until: Instant) -> anyhow::Result<()> {
    let mut process = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
    loop {
        if let Some(status) = process.try_wait()? {
            ensure!(status.success(), "{command:?}: {status}");
            return Ok(());
        }
        if Instant::now() > until {
            process.kill()?;
            process.wait()?;
            bail!("{command:?}: the package was not there after {FETCH:?}");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
