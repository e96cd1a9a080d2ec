//! Compiling: a component goes into a child process of this same program, and machine code comes out of it.
//!
//! A compiler works as long and takes as much memory as its input makes it; so it runs where the system bounds both
//! ([`child`]), under a deadline, and whatever becomes of it, the host goes on. What the child says is bounded too.

pub mod child;

use std::{
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, Command},
    sync::Semaphore,
};

use self::child::Order;
use super::{
    engine::Layout,
    error::{LoadError, clean},
    limits::{MAX_MESSAGE, size},
};

/// Components that are compiled at a time.
const AT_ONCE: usize = 2;
/// Most machine code of one component.
const MAX_CODE: usize = 128 << 20;
/// What is kept of what a child writes to its standard error.
const MAX_WORDS: u64 = 16 << 10;

/// What compiling one component may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompileLimits {
    /// Seconds, computing and waiting alike.
    pub compile_seconds: u32,
    /// MiB of address space.
    pub compile_memory_mib: u32,
}

impl Default for CompileLimits {
    fn default() -> Self {
        Self { compile_seconds: 60, compile_memory_mib: 2048 }
    }
}

impl CompileLimits {
    /// Whether they are of use; the error names the key.
    pub fn check(&self) -> Result<(), String> {
        for (key, found, least, most) in [
            ("compile_seconds", self.compile_seconds, 1, 3600),
            ("compile_memory_mib", self.compile_memory_mib, 256, 65_536),
        ] {
            if !(least..=most).contains(&found) {
                return Err(format!("{key} must be {least} to {most}, not {found}"));
            }
        }
        Ok(())
    }
}

/// Starts the processes that compile.
pub(super) struct Compiler {
    /// It knows the command [`child::COMMAND`].
    program: PathBuf,
    limits: CompileLimits,
    turns: Semaphore,
}

impl Compiler {
    pub(super) fn new(program: PathBuf, limits: CompileLimits) -> Self {
        Self { program, limits, turns: Semaphore::new(AT_ONCE) }
    }

    /// One that compiles in this process: the tests of this crate have no such program.
    #[cfg(test)]
    pub(super) fn here() -> Self {
        Self::new(PathBuf::new(), CompileLimits::default())
    }

    /// Machine code for an engine of this layout, with these settings.
    pub(super) async fn compile(
        &self,
        bytes: &[u8],
        layout: Layout,
        compatibility: &str,
    ) -> Result<Vec<u8>, LoadError> {
        // Never closed.
        let Ok(_turn) = self.turns.acquire().await else { return Err(failed("the host is shutting down")) };
        #[cfg(test)]
        if self.program.as_os_str().is_empty() {
            return here(bytes, layout);
        }
        let order = Order { layout, limits: self.limits, compatibility: compatibility.to_owned() };
        let mut command = Command::new(&self.program);
        command
            .arg(child::COMMAND)
            .args(order.arguments())
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| {
            failed(&format!("the host cannot start {} to compile: {error}", self.program.display()))
        })?;
        let deadline = Duration::from_secs(self.limits.compile_seconds.into());
        let ended = match tokio::time::timeout(deadline, converse(&mut child, bytes)).await {
            Ok(Ok(ended)) => Ok(ended),
            Ok(Err(error)) => Err(failed(&format!("the compiling process could not be talked to: {error}"))),
            Err(_) => Err(self.too_long()),
        };
        if ended.is_err() {
            // Waited for as well, so that nothing of it is left.
            let _ = child.kill().await;
        }
        let (status, code, words) = ended?;
        if code.len() > MAX_CODE {
            let message = format!("the component compiles to more than {}: make it smaller", size(MAX_CODE));
            return Err(LoadError { code: "too-large", message });
        }
        if status.success() { Ok(code) } else { Err(self.judge(status, &words)) }
    }

    /// What the end of a child means.
    fn judge(&self, status: ExitStatus, words: &str) -> LoadError {
        const SIGABRT: i32 = 6;
        const SIGKILL: i32 = 9;
        const SIGXCPU: i32 = 24;
        // The allocator says so when it gives up, and the system's errors do.
        let exhausted = ["memory allocation of", "out of memory", child::NO_MEMORY];
        let exhausted = exhausted.iter().any(|text| words.contains(text));
        match (status.code(), status.signal()) {
            // What the component's own text holds, is in the words only here.
            (Some(child::REFUSED), _) => refuse("not-a-component", words),
            (_, Some(SIGXCPU)) => self.too_long(),
            // The host kills only at the deadline, so this was the system, for lack of memory.
            (_, Some(SIGKILL)) => self.too_large(),
            _ if exhausted => self.too_large(),
            (_, Some(SIGABRT)) if words.contains("overflowed its stack") => {
                refuse("compile-failed", "something in it is nested too deeply")
            }
            _ => failed(&format!("the compiling process ended with {status}: {words}")),
        }
    }

    fn too_long(&self) -> LoadError {
        let seconds = self.limits.compile_seconds;
        LoadError {
            code: "compile-timeout",
            message: format!(
                "compiling the component takes longer than {seconds} s: make it smaller, or raise \
                 `compile_seconds` in `[connectors]`"
            ),
        }
    }

    fn too_large(&self) -> LoadError {
        let mib = self.limits.compile_memory_mib;
        LoadError {
            code: "compile-memory",
            message: format!(
                "compiling the component needs more than {mib} MiB of memory, or more than the system has: make it \
                 smaller, or raise `compile_memory_mib` in `[connectors]`"
            ),
        }
    }
}

#[cfg(test)]
fn here(bytes: &[u8], layout: Layout) -> Result<Vec<u8>, LoadError> {
    let engine = super::engine::compiling(layout).expect("engine");
    child::precompile(&engine, bytes).map_err(|error| refuse("not-a-component", &error.to_string()))
}

/// Hands the component over and takes what comes back. A child that ends early leaves its input unread.
async fn converse(child: &mut Child, bytes: &[u8]) -> std::io::Result<(ExitStatus, Vec<u8>, String)> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let hand_over = async {
        if let Some(mut stdin) = stdin {
            // Why it was not taken, the child's end tells better.
            let _ = stdin.write_all(bytes).await;
        }
    };
    let code = async {
        let mut code = Vec::new();
        if let Some(stdout) = stdout {
            stdout.take(MAX_CODE as u64 + 1).read_to_end(&mut code).await?;
        }
        Ok::<_, std::io::Error>(code)
    };
    let words = async {
        let mut words = Vec::new();
        if let Some(mut stderr) = stderr {
            (&mut stderr).take(MAX_WORDS).read_to_end(&mut words).await?;
            // What is beyond is read all the same, else the child would wait for somebody to read it.
            tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await?;
        }
        Ok::<_, std::io::Error>(words)
    };
    let ((), code, words) = tokio::join!(hand_over, code, words);
    let words = clean(String::from_utf8_lossy(&words?).trim().to_owned(), MAX_MESSAGE);
    Ok((child.wait().await?, code?, words))
}

fn refuse(code: &'static str, why: &str) -> LoadError {
    LoadError { code, message: format!("the component does not compile: {}", clean(why.to_owned(), MAX_MESSAGE)) }
}

fn failed(why: &str) -> LoadError {
    LoadError { code: "compile-failed", message: format!("the component was not compiled: {why}") }
}

#[cfg(test)]
mod tests;
