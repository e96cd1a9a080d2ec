//! `config check` and `config show`.

use clap::Subcommand;

use super::{Exit, HostArgs};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Say whether the host would start with this configuration
    Check(HostArgs),
    /// Print the configuration with defaults; it holds no secrets
    Show(HostArgs),
}

#[allow(clippy::print_stdout, reason = "this is the command's output")]
pub(super) fn run(command: &Command) -> anyhow::Result<Exit> {
    match command {
        Command::Check(args) => {
            args.load()?;
            println!("the configuration is good");
        }
        Command::Show(args) => print!("{}", args.load()?.show()?),
    }
    Ok(Exit::Done)
}
