//! The host as a process of its own: started from this very program, driven over its API, measured from outside.

use std::{net::TcpListener, path::Path, process::Stdio, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tokio::process::{Child, Command};
use wharfinger_tests::Client;

/// What Linux counts processor time in, on every machine there is.
const TICKS_PER_SECOND: f64 = 100.0;

/// Of its administrator.
pub(crate) const KEY: &str = "bench-administrator-key-0123456789";

/// A running host process; it is killed when dropped.
pub(crate) struct Hosted {
    child: Child,
    client: Client,
}

/// What a process has used since it began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Used {
    /// Bytes given to `write`.
    pub(crate) written: u64,
    /// Bytes that were sent to a disk.
    pub(crate) reached_disk: u64,
    /// On all processors together.
    pub(crate) cpu_seconds: f64,
}

impl Hosted {
    /// Starts one in a directory and waits until it answers.
    pub(crate) async fn start(dir: &Path) -> Result<Self> {
        let listen = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let (config, key) = (dir.join("host.toml"), dir.join("admin.key"));
        std::fs::write(&key, KEY)?;
        let text = format!(
            "data_dir = {:?}\nlisten = \"{listen}\"\nadmin_key_file = {:?}\n[egress]\nallow_cidrs = [\"127.0.0.0/8\"]\n\
             allow_insecure_http = true\n[log]\nfilter = \"warn\"\n",
            dir.join("data"),
            key,
        );
        std::fs::write(&config, text)?;
        let child = Command::new(std::env::current_exe()?)
            .args(["host", "serve", "--config"])
            .arg(&config)
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("start the host")?;
        let mut hosted = Self { child, client: Client::new(format!("http://{listen}"), Some(KEY.into())) };
        hosted.ready().await?;
        Ok(hosted)
    }

    async fn ready(&mut self) -> Result<()> {
        for _ in 0..6_000 {
            if let Some(status) = self.child.try_wait()? {
                bail!("the host ended by itself: {status}");
            }
            if self.client.get("/readyz").await.is_ok_and(|answer| answer.status.is_success()) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        bail!("the host did not become ready")
    }

    /// Registers a connection; gives the job of its first sync, completed.
    pub(crate) async fn register(&self, payload: &Value) -> Result<Value> {
        self.client.register(payload).await
    }

    /// A further sync of a connection.
    pub(crate) async fn sync(&self, key: &str) -> Result<Value> {
        self.client.sync(key).await
    }

    /// Most memory it had so far.
    pub(crate) fn peak_memory_mb(&self) -> Result<f64> {
        peak_memory_mb(self.pid()?)
    }

    /// Bytes it has given to `write` so far.
    pub(crate) fn bytes_written(&self) -> Result<u64> {
        let text = std::fs::read_to_string(format!("/proc/{}/io", self.pid()?))?;
        number_after(&text, "wchar:")
    }

    /// Who calls it.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// What it has used so far.
    pub(crate) fn used(&self) -> Result<Used> {
        let pid = self.pid()?;
        let io = std::fs::read_to_string(format!("/proc/{pid}/io"))?;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name in brackets may hold anything; the two times are the twelfth and thirteenth word after it.
        let words = stat.rsplit_once(')').context("stat")?.1.split_whitespace();
        let ticks: u64 = words.skip(11).take(2).filter_map(|word| word.parse::<u64>().ok()).sum();
        Ok(Used {
            written: number_after(&io, "wchar:")?,
            reached_disk: number_after(&io, "\nwrite_bytes:")?,
            cpu_seconds: ticks as f64 / TICKS_PER_SECOND,
        })
    }

    fn pid(&self) -> Result<u32> {
        self.child.id().context("the host has ended")
    }

    /// Asks it to end and waits.
    pub(crate) async fn stop(mut self) -> Result<()> {
        let pid = self.pid()?.to_string();
        let asked = Command::new("kill").args(["-TERM", &pid]).status().await?;
        ensure!(asked.success(), "the host could not be asked to end");
        let status = tokio::time::timeout(Duration::from_secs(60), self.child.wait()).await??;
        ensure!(status.success(), "the host ended with {status}");
        Ok(())
    }
}

/// `VmHWM` of a process.
pub(crate) fn peak_memory_mb(pid: u32) -> Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    Ok(number_after(&text, "VmHWM:")? as f64 / 1024.0)
}

fn number_after(text: &str, label: &str) -> Result<u64> {
    let rest = text.split_once(label).with_context(|| format!("no {label}"))?.1;
    rest.split_whitespace().next().and_then(|word| word.parse().ok()).with_context(|| format!("{label} no number"))
}
