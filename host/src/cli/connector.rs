//! `connector …`: connectors from a crate to a registry, and to a running host.

mod consent;
mod file;
mod inspect;
mod installed;
mod pack;
mod registry;
mod sign;
mod source;

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
    /// Show what a component says of itself, what it may do where it is granted, and who signed it
    Inspect(inspect::InspectArgs),
    /// Make a component ready to be handed out: check it, take debug information out, sign it
    Pack(pack::PackArgs),
    /// Make a key that signs connectors
    Keygen(sign::KeygenArgs),
    /// Sign a component
    Sign(sign::SignArgs),
    /// Upload a component to an OCI registry
    Push(registry::PushArgs),
    /// Fetch a component from an OCI registry
    Pull(registry::PullArgs),
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
        Command::Inspect(args) => inspect::run(args).await,
        Command::Pack(args) => pack::run(args).await,
        Command::Keygen(args) => sign::keygen(&args),
        Command::Sign(args) => sign::run(&args),
        Command::Push(args) => registry::push(args).await,
        Command::Pull(args) => registry::pull(args).await,
        Command::Installed(command) => installed::run(command).await,
    }
}
