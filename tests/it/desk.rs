//! A folder with a component in it, and commands that run there.

use std::{fs, path::PathBuf};

use tokio::io::AsyncWriteExt as _;
use wharfinger::connector::bundled::BUNDLED;
use wharfinger_tests::host::TempDir;

use crate::cli::executable;

/// The folder. Its component is `shelf.wasm`.
pub(crate) struct Desk {
    dir: TempDir,
}

/// How a command ended.
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let dir = TempDir::new().expect("dir");
        fs::write(dir.path().join("shelf.wasm"), component()).expect("component");
        Self { dir }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.file(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub(crate) async fn run(&self, args: &[&str]) -> Ended {
        self.run_as(args, None, "").await
    }

    /// With name and password in the environment, and something on standard input.
    pub(crate) async fn run_as(&self, args: &[&str], who: Option<(&str, &str)>, input: &str) -> Ended {
        let mut command = executable();
        command.arg("connector").args(args).current_dir(self.dir.path()).env("DOCKER_CONFIG", self.dir.path());
        if let Some((user, password)) = who {
            command.env("WHARFINGER_REGISTRY_USER", user).env("WHARFINGER_REGISTRY_PASSWORD", password);
            // They are for the registry that the command is about, and for no other.
            let registry = |arg: &&str| arg.trim_start_matches("oci://").split_once('/').map(|(at, _)| at.to_owned());
            command.env("WHARFINGER_REGISTRY", args.iter().find_map(registry).unwrap_or_default());
        }
        let pipe = std::process::Stdio::piped;
        let mut process = command.stdin(pipe()).stdout(pipe()).stderr(pipe()).spawn().expect("started");
        let mut stdin = process.stdin.take().expect("stdin");
        // A command that does not read it has ended before.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        let output = process.wait_with_output().await.expect("ended");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text").trim().to_owned();
        Ended { code: output.status.code().expect("code"), out: text(output.stdout), err: text(output.stderr) }
    }

    pub(crate) async fn done(&self, args: &[&str]) -> String {
        let ended = self.run(args).await;
        assert_eq!(ended.code, 0, "{args:?}: {}", ended.err);
        ended.out
    }

    pub(crate) async fn fails(&self, args: &[&str], code: i32, part: &str) {
        let ended = self.run(args).await;
        assert_eq!(ended.code, code, "{args:?}: {} {}", ended.out, ended.err);
        assert!(ended.err.contains(part), "{args:?}: {}", ended.err);
    }
}

/// The component of the folder: a bundled connector.
pub(crate) fn component() -> &'static [u8] {
    BUNDLED.first().expect("a bundled connector").1
}
