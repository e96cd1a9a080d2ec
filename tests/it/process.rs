//! The executable as a process that can be killed.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::Context;
use wharfinger_tests::{Client, host::ADMIN_KEY};

/// The host as a process of its own.
pub(crate) struct Process {
    child: Child,
    pub(crate) client: Client,
}

impl Process {
    /// Starts one in a directory and waits until it answers.
    pub(crate) async fn start(dir: &Path) -> anyhow::Result<Self> {
        let key = dir.join("admin.key");
        std::fs::write(&key, ADMIN_KEY)?;
        let config = dir.join("wharfinger.toml");
        std::fs::write(&config, "[egress]\nallow_cidrs = [\"127.0.0.0/8\"]\nallow_insecure_http = true\n")?;
        let command = |port| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_host"));
            command
                .args(["serve", "--config"])
                .arg(&config)
                .arg("--data-dir")
                .arg(dir.join("data"))
                .args(["--listen", &format!("127.0.0.1:{port}")])
                .env("WHARFINGER_ADMIN_KEY_FILE", &key);
            command
        };
        Self::spawn(command, dir).await
    }

    /// The same with one of the bundled connectors, which takes a third of the time.
    pub(crate) async fn start_with_databricks(dir: &Path) -> anyhow::Result<Self> {
        let command = |port| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_databricks-host"));
            command.arg(dir).arg(format!("127.0.0.1:{port}"));
            command
        };
        Self::spawn(command, dir).await
    }

    /// The same without any connector.
    pub(crate) async fn start_bare(dir: &Path) -> anyhow::Result<Self> {
        let command = |port| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_databricks-host"));
            command.arg(dir).arg(format!("127.0.0.1:{port}")).arg("--bare");
            command
        };
        Self::spawn(command, dir).await
    }

    async fn spawn(command: impl Fn(u16) -> Command, dir: &Path) -> anyhow::Result<Self> {
        let start = || -> anyhow::Result<Self> {
            let log = std::fs::OpenOptions::new().create(true).append(true).open(dir.join("log"))?;
            let port = free_port()?;
            let mut command = command(port);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
            let child = command.spawn().context("start the host")?;
            Ok(Self { child, client: Client::new(format!("http://127.0.0.1:{port}"), Some(ADMIN_KEY.into())) })
        };
        let mut process = start()?;
        let mut starts = 1;
        for _ in 0..3000 {
            // Somebody else may have taken the port before the host did.
            if starts < 4 && process.child.try_wait()?.is_some() {
                process = start()?;
                starts += 1;
            }
            if process.client.get("/readyz").await.is_ok_and(|answer| answer.status == 200) {
                return Ok(process);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let log = std::fs::read_to_string(dir.join("log")).unwrap_or_default();
        anyhow::bail!("the host did not start:\n{log}")
    }

    /// SIGKILL: nothing is flushed, nobody is asked.
    pub(crate) fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
