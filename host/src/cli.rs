//! The command line: what can be asked, and which part answers. Prints for people; exit codes are for scripts.
//!
//! Commands on connections, objects and jobs are clients of the API like any other: they know nothing of the store.

mod api;
mod compile;
mod config;
mod connection;
mod connector;
#[cfg(feature = "demo")]
mod demo;
mod history;
mod hold;
mod job;
mod object;
mod oci;
mod serve;
mod table;
mod verify;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};

use crate::{
    config::{Config, ConfigError, Flags, environment},
    connector::compile::child::COMMAND as COMPILE,
};

/// A live, governed inventory of data platforms.
#[derive(Debug, Parser)]
#[command(name = "wharfinger", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the host
    Serve(HostArgs),
    /// Run a host beside simulated platforms, with a connection to each
    #[cfg(feature = "demo")]
    Demo(demo::DemoArgs),
    /// Registered accounts, over the API of a running host
    #[command(subcommand)]
    Connection(connection::Command),
    /// Objects of the inventory, over the API of a running host
    #[command(subcommand)]
    Object(object::Command),
    /// Jobs, over the API of a running host
    #[command(subcommand)]
    Job(job::Command),
    /// What is held back, over the API of a running host
    #[command(subcommand)]
    Hold(hold::Command),
    /// Make connectors, and install them into a running host
    #[command(subcommand)]
    Connector(connector::Command),
    /// Check a stopped host's data directory, or, where one answers, a running host's store
    Verify(verify::VerifyArgs),
    /// Show or check the configuration
    #[command(subcommand)]
    Config(config::Command),
    /// The host's own: a process that compiles one component
    #[command(name = COMPILE, hide = true)]
    Compile(compile::CompileArgs),
}

/// Flags of everything that runs or describes a host.
#[derive(Debug, Clone, Args)]
pub struct HostArgs {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where everything is kept
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Address and port of the API
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<String>,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, Args)]
struct Output {
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

/// How a command ended, for scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Failed.
    Failed = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// The host refused: the request was wrong or not allowed.
    Refused = 3,
    /// The host cannot be reached.
    Unreachable = 4,
    /// The job that was waited for did not complete, the payload that was tested would not be registered, or the store
    /// that was checked is not sound.
    Negative = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl Exit {
    /// What an error means for scripts.
    #[must_use]
    pub fn of(error: &anyhow::Error) -> Self {
        match error.downcast_ref::<api::ClientError>() {
            Some(api::ClientError::Refused { .. }) => Self::Refused,
            Some(api::ClientError::Unreachable { .. } | api::ClientError::TimedOut { .. }) => Self::Unreachable,
            Some(api::ClientError::Malformed(_)) => Self::Usage,
            None if error.is::<ConfigError>() => Self::Usage,
            None => match error.downcast_ref::<oci::OciError>() {
                Some(oci::OciError::Unreachable { .. }) => Self::Unreachable,
                Some(oci::OciError::Refused { .. } | oci::OciError::Unauthorized { .. }) => Self::Refused,
                _ => Self::Failed,
            },
        }
    }
}

/// An error with its causes. What it repeats may come from anywhere: nothing in it steers the terminal but its line breaks.
#[must_use]
pub fn told(error: &anyhow::Error) -> String {
    format!("error: {error:#}").lines().map(table::shown).collect::<Vec<_>>().join("\n")
}

impl HostArgs {
    fn load(&self) -> Result<Config, ConfigError> {
        let flags = Flags { config: self.config.clone(), data_dir: self.data_dir.clone(), listen: self.listen.clone() };
        Config::load(&flags, &environment())
    }
}

/// Carries out a command.
pub fn run(cli: Cli) -> anyhow::Result<Exit> {
    match &cli.command {
        // Before anything is read or started.
        Command::Compile(args) => return Ok(compile::run(args)),
        Command::Config(command) => return config::run(command),
        _ => {}
    }
    crate::memory::share_arenas();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match cli.command {
            Command::Serve(args) => serve::run(&args).await,
            #[cfg(feature = "demo")]
            Command::Demo(args) => demo::run(args).await,
            Command::Connection(command) => connection::run(command).await,
            Command::Object(command) => object::run(command).await,
            Command::Job(command) => job::run(command).await,
            Command::Hold(command) => hold::run(command).await,
            Command::Verify(args) => verify::run(args).await,
            Command::Connector(command) => connector::run(command).await,
            Command::Config(_) | Command::Compile(_) => Ok(Exit::Done),
        }
    })
}
