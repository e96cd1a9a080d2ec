//! `connector …`: connectors from a crate to a running host.

mod installed;

use std::path::PathBuf;

use clap::Subcommand;

use super::Exit;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Build a connector crate into a WebAssembly component
    Build {
        /// The crate's directory
        #[arg(default_value = ".")]
        dir: PathBuf,
        /// Where to put the component
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    #[command(flatten)]
    Installed(installed::Command),
}

#[allow(clippy::print_stdout, reason = "this is the command's output")]
pub(super) async fn run(command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Build { dir, output } => {
            let component = wharfinger_component_build::build_file(&dir, output.as_deref())?;
            println!("{}", component.display());
            Ok(Exit::Done)
        }
        Command::Installed(command) => installed::run(command).await,
    }
}
