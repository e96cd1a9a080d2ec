//! The binary: arguments in, exit code out.

use std::process::ExitCode;

use clap::Parser;
use wharfinger::cli::{Cli, Exit, run};

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(exit) => exit.into(),
        Err(error) => {
            eprintln!("error: {error:#}");
            Exit::of(&error).into()
        }
    }
}
