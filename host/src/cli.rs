//! The command line: what can be asked, and which part answers. Prints for people; exit codes are for scripts.

mod config;
mod connector;
mod serve;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};

use crate::config::{Config, ConfigError, Flags, environment};

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
    /// Make connectors
    #[command(subcommand)]
    Connector(connector::Command),
    /// Show or check the configuration
    #[command(subcommand)]
    Config(config::Command),
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
    /// The job that was waited for did not complete.
    JobFailed = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl HostArgs {
    fn load(&self) -> Result<Config, ConfigError> {
        let flags = Flags { config: self.config.clone(), data_dir: self.data_dir.clone(), listen: self.listen.clone() };
        Config::load(&flags, &environment())
    }
}

/// Carries out a command.
pub fn run(cli: Cli) -> anyhow::Result<Exit> {
    match cli.command {
        Command::Serve(args) => serve::run(&args),
        Command::Connector(command) => connector::run(&command),
        Command::Config(command) => config::run(&command),
    }
}
