//! The process that compiles one component and ends: it bounds itself before it reads anything.
//!
//! Nothing of the host is in it: no environment, no files, no store; a component from standard input, machine code to
//! standard output.

use std::{
    io::{self, Read, Write},
    str::FromStr,
};

use anyhow::{Context, bail};
use rustix::process::{Resource, Rlimit, nice, setrlimit};
use wasmtime::{Engine, error::OutOfMemory};

use super::{
    super::{
        engine::{Layout, compatibility, compiling},
        limits::MOST_COMPONENT_MIB,
    },
    CompileLimits,
};

/// The command by which a program becomes this process.
pub const COMMAND: &str = "compile-component";
/// The exit code for a component that does not compile ([`crate::cli`] calls it refused).
pub(super) const REFUSED: i32 = 3;

/// How far the process steps back behind the host's own threads.
const NICENESS: i32 = 10;

/// What the process is told.
#[derive(Clone, Debug)]
pub struct Order {
    pub(super) layout: Layout,
    pub(super) limits: CompileLimits,
    /// Of the engine that will run the code: a program that was replaced under a running host compiles for another.
    pub(super) compatibility: String,
}

/// Why there is no machine code.
#[derive(Debug)]
pub enum Failed {
    /// The component is wrong.
    Refused(String),
    /// Something else.
    Other(anyhow::Error),
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(why) => f.write_str(why),
            Self::Other(error) => write!(f, "{error:#}"),
        }
    }
}

impl Order {
    /// As the process gets it.
    pub(super) fn arguments(&self) -> [String; 4] {
        let layout = match self.layout {
            Layout::Reserved => "reserved",
            Layout::Checked => "checked",
        };
        let CompileLimits { compile_seconds, compile_memory_mib } = self.limits;
        [layout.to_owned(), compile_seconds.to_string(), compile_memory_mib.to_string(), self.compatibility.clone()]
    }

    /// The other way round.
    pub fn parse(arguments: &[String]) -> anyhow::Result<Self> {
        let [layout, seconds, memory, compatibility] = arguments else {
            bail!("this command is the host's own: it compiles a component for it");
        };
        let layout = match layout.as_str() {
            "reserved" => Layout::Reserved,
            "checked" => Layout::Checked,
            _ => bail!("unknown layout {layout:?}"),
        };
        let limits = CompileLimits {
            compile_seconds: u32::from_str(seconds).context("seconds")?,
            compile_memory_mib: u32::from_str(memory).context("memory")?,
        };
        Ok(Self { layout, limits, compatibility: compatibility.clone() })
    }
}

/// The whole life of the process.
pub fn run(order: &Order) -> Result<(), Failed> {
    bound(order.limits).map_err(Failed::Other)?;
    let mut bytes = Vec::new();
    io::stdin()
        .lock()
        .take(u64::from(MOST_COMPONENT_MIB) << 20)
        .read_to_end(&mut bytes)
        .context("read the component")
        .map_err(Failed::Other)?;
    let engine = compiling(order.layout).map_err(Failed::Other)?;
    if compatibility(&engine) != order.compatibility {
        let why = "the program was replaced while the host runs: restart the host";
        return Err(Failed::Other(anyhow::anyhow!(why)));
    }
    let code = precompile(&engine, &bytes)?;
    io::stdout().lock().write_all(&code).context("hand the code over").map_err(Failed::Other)
}

/// Compiles for engines like this one.
pub(super) fn precompile(engine: &Engine, bytes: &[u8]) -> Result<Vec<u8>, Failed> {
    engine.precompile_component(bytes).map_err(|error| {
        let no_memory = error.chain().any(|cause| {
            let refused = cause.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
            cause.is::<OutOfMemory>() || refused == Some(NO_MEMORY_ERRNO)
        });
        if no_memory { Failed::Other(anyhow::anyhow!(NO_MEMORY)) } else { Failed::Refused(format!("{error:#}")) }
    })
}

/// ENOMEM, and what is said of it.
const NO_MEMORY_ERRNO: i32 = 12;
pub(super) const NO_MEMORY: &str = "Cannot allocate memory";

/// From here on the system ends this process where it takes too much, and it can make no file, core dumps included.
fn bound(limits: CompileLimits) -> anyhow::Result<()> {
    let memory = u64::from(limits.compile_memory_mib) << 20;
    let seconds = u64::from(limits.compile_seconds);
    for (resource, most) in [
        (Resource::As, memory),
        (Resource::Cpu, seconds),
        (Resource::Fsize, 0),
        (Resource::Nofile, 0),
        (Resource::Core, 0),
    ] {
        // Of computing time a second more, so that the signal that tells it comes first.
        let hard = if matches!(resource, Resource::Cpu) { most + 1 } else { most };
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(hard) })
            .with_context(|| format!("bound {resource:?}"))?;
    }
    // Without it compiling is only less polite.
    let _ = nice(NICENESS);
    Ok(())
}
