//! Running tools: every one has a time limit, and its words end up in the error.
//!
//! Output goes to pipes that threads drain, so that a talkative tool never blocks; what a child leaves running in the
//! background cannot hold us, since the limit counts for it too.

use std::{
    io::Read,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use crate::error::ToolError;

/// How often a running child is looked at.
const POLL: Duration = Duration::from_millis(20);

/// How much of a tool's complaint is repeated.
const SAID: usize = 2000;

/// Runs a tool to its end and returns what it wrote on stdout.
pub(crate) fn run(command: &mut Command, limit: Duration) -> Result<String, ToolError> {
    run_on(command, Stdio::null(), limit)
}

/// The same, with an input.
pub(crate) fn run_on(command: &mut Command, input: Stdio, limit: Duration) -> Result<String, ToolError> {
    let tool = name(command);
    let start = |source| ToolError::Start { tool: tool.clone(), source };
    let mut child = command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(start)?;
    let deadline = Instant::now() + limit;
    let late = || ToolError::Late { tool: tool.clone(), limit };
    let out = drain(child.stdout.take());
    let err = drain(child.stderr.take());
    let status = wait(&mut child, deadline).map_err(start)?.ok_or_else(late)?;
    let rest = || deadline.saturating_duration_since(Instant::now()).max(POLL);
    let out = out.recv_timeout(rest()).map_err(|_| late())?;
    let err = err.recv_timeout(rest()).map_err(|_| late())?;
    if status.success() { Ok(out) } else { Err(ToolError::Failed { tool, status, said: end_of(&err) }) }
}

/// Waits until the deadline; `None` means that it was killed.
pub(crate) fn wait(child: &mut Child, deadline: Instant) -> std::io::Result<Option<ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            // It may have ended by itself just now; either way nothing of it is left behind.
            let _ = child.kill();
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(POLL);
    }
}

/// The program's name, for messages.
pub(crate) fn name(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned()
}

fn drain(stream: Option<impl Read + Send + 'static>) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            // What was read before an error is still worth telling.
            let _ = stream.read_to_end(&mut bytes);
        }
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receiver
}

fn end_of(text: &str) -> String {
    let text = text.trim();
    let from = text.char_indices().rev().nth(SAID).map_or(0, |(at, _)| at);
    text[from..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn what_a_tool_says_ends_up_where_it_belongs() {
        assert_eq!(run(&mut sh("echo out; echo err >&2"), Duration::from_secs(20)).unwrap(), "out\n");
        let error = run(&mut sh("echo no such thing >&2; exit 3"), Duration::from_secs(20)).unwrap_err();
        assert!(error.to_string().contains("no such thing"), "{error}");
    }

    #[test]
    fn a_tool_that_hangs_is_killed() {
        let started = Instant::now();
        let error = run(&mut sh("exec sleep 60"), Duration::from_millis(200)).unwrap_err();
        assert!(matches!(error, ToolError::Late { .. }), "{error}");
        assert!(started.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn a_flood_on_both_streams_does_not_block() {
        let script = "head -c 1000000 /dev/zero | tr '\\0' x; head -c 1000000 /dev/zero | tr '\\0' y >&2";
        assert_eq!(run(&mut sh(script), Duration::from_secs(20)).unwrap().len(), 1_000_000);
    }
}
