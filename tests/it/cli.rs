//! The executable: the demo comes up synced, commands work against it, and exit codes mean something.

use std::{process::Stdio, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};
use wharfinger_tests::host::TempDir;

/// The executable with nothing of the test's own environment that could change what it does.
pub(crate) fn executable() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_host"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("WHARFINGER_")) {
        command.env_remove(name);
    }
    command.kill_on_drop(true);
    command
}

struct Demo {
    process: Child,
    url: String,
    key: String,
    dir: TempDir,
}

impl Demo {
    async fn start() -> Self {
        let dir = TempDir::new().expect("dir");
        let mut process = executable()
            .args(["demo", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let mut lines = BufReader::new(process.stdout.take().expect("stdout")).lines();
        let (mut url, mut key) = (String::new(), String::new());
        let synced = async {
            while let Some(line) = lines.next_line().await.expect("line") {
                let word = || line.split_whitespace().last().unwrap_or_default().trim_end_matches('/').to_owned();
                match line.trim() {
                    l if l.starts_with("page and API") => url = word(),
                    l if l.starts_with("API key") => key = word(),
                    l if l.starts_with("Open ") => return,
                    _ => {}
                }
            }
            panic!("the demo ended before it was up");
        };
        tokio::time::timeout(Duration::from_secs(120), synced).await.expect("the demo comes up within two minutes");
        Self { process, url, key, dir }
    }

    /// Runs a command as the demo's administrator: exit code and standard output.
    async fn run(&self, args: &[&str]) -> (i32, String) {
        let output = executable()
            .args(args)
            .env("WHARFINGER_URL", &self.url)
            .env("WHARFINGER_API_KEY", &self.key)
            .output()
            .await
            .expect("ran");
        (output.status.code().expect("code"), String::from_utf8(output.stdout).expect("text"))
    }

    async fn json(&self, args: &[&str]) -> Value {
        let (code, text) = self.run(args).await;
        assert_eq!(code, 0, "{args:?}: {text}");
        serde_json::from_str(&text).expect("JSON")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_comes_up_synced_and_commands_work_against_it() {
    let mut demo = Demo::start().await;
    let connections = demo.json(&["connection", "list", "--json"]).await;
    let name = connections[0]["name"].as_str().expect("a connection").to_owned();
    assert!(connections[0]["childCount"].as_u64().expect("count") > 10, "{connections}");
    let root = format!("\"{name}\"");
    let all = demo.json(&["object", "ls", &root, "--recursive", "--json"]).await;
    let all = all.as_array().expect("objects");
    assert_eq!(all.len() as u64, connections[0]["childCount"].as_u64().expect("count"));
    assert!(all.iter().any(|o| o["kind"] == "table-like"), "there are tables");

    let (code, table) = demo.run(&["object", "ls", &root]).await;
    assert!(code == 0 && table.starts_with("NAME"), "{table}");
    let (code, text) = demo.run(&["object", "disable", &root, "--dry-run"]).await;
    assert!(code == 0 && text.contains("would change"), "{text}");
    let jobs = demo.json(&["job", "list", "--json"]).await;
    assert_eq!(jobs[0]["state"], "completed", "{jobs}");
    let (code, text) = demo.run(&["job", "watch", jobs[0]["id"].as_str().expect("id")]).await;
    assert!(code == 0 && text.contains("completed"), "{text}");
    let (code, text) = demo.run(&["connection", "sync", &name, "--wait"]).await;
    assert!(code == 0 && text.contains("completed"), "{text}");

    let changes = demo.json(&["object", "changes", &root, "--since", "2020-01-01T00:00:00Z", "--json"]).await;
    assert_eq!(changes["changes"].as_array().expect("changes").len(), all.len() + 1, "each object was added");
    let later = ["object", "changes", &root, "--cursor", changes["next"].as_str().expect("next"), "--json"];
    assert_eq!(demo.json(&later).await["changes"], serde_json::json!([]));
    let (code, table) = demo.run(&["object", "history", &root]).await;
    assert!(code == 0 && table.contains("added"), "{table}");
    let (code, text) = demo.run(&["object", "explain", &root]).await;
    assert!(code == 0 && text.contains("by a person"), "{text}");
    let first = jobs[0]["id"].as_str().expect("id");
    let (code, text) = demo.run(&["job", "changes", first]).await;
    assert!(code == 0 && text.starts_with("AT"), "{text}");
    assert_eq!(demo.run(&["object", "changes", &root, "--kind", "renamed"]).await.0, 3, "no such kind");
    let filter = async |args: &[&str]| demo.run(&[&["connection", "filter", name.as_str()], args].concat()).await;
    let (code, text) = filter(&["--exclude", "*.*", "--exclude", "nobody.x", "--preview"]).await;
    assert!(code == 0 && text.contains("LEFT OUT") && text.contains("nobody.x"), "{text}");
    let (code, text) = filter(&["--exclude", "*.*"]).await;
    assert!(code == 0 && text.contains("exclude") && text.contains("*.*"), "{text}");
    let shown = demo.json(&["connection", "filter", &name, "--json"]).await;
    assert_eq!((&shown["exclude"], &shown["include"]), (&serde_json::json!([["*", "*"]]), &serde_json::json!([])));
    assert_eq!(filter(&["--clear"]).await.0, 0);
    let shown = demo.json(&["connection", "filter", &name, "--json"]).await;
    assert_eq!(shown["exclude"], serde_json::json!([]));
    assert_eq!(filter(&["--include", "a..b"]).await.0, 2, "not a pattern");

    assert_eq!(demo.run(&["object", "show", "nobody"]).await.0, 3, "refused");
    assert_eq!(demo.run(&["object", "ls", "a..b"]).await.0, 2, "not a path");
    let nobody =
        executable().args(["job", "list"]).env("WHARFINGER_URL", "http://127.0.0.1:1").output().await.expect("ran");
    assert_eq!(nobody.status.code(), Some(4), "unreachable");
    let typo = executable().args(["config", "check"]).env("WHARFINGER_LISTN", "x").output().await.expect("ran");
    assert_eq!(typo.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&typo.stderr).contains("WHARFINGER_LISTN"));

    // One host per data directory; the second says so.
    let second =
        executable().args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(demo.dir.path()).output().await;
    let second = second.expect("ran");
    assert_eq!(second.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&second.stderr).contains("another wharfinger runs"), "{second:?}");

    let pid = demo.process.id().expect("running").to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().expect("kill").success());
    let ended =
        tokio::time::timeout(Duration::from_secs(30), demo.process.wait()).await.expect("it ends").expect("status");
    assert_eq!(ended.code(), Some(0), "asked to end, it ends well");
}
