//! The binary: arguments in, exit code out.

use std::process::ExitCode;

use clap::Parser;
use wharfinger::cli::{Cli, Exit, run, told};

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(exit) => exit.into(),
        Err(error) => {
            eprintln!("{}", told(&error));
            Exit::of(&error).into()
        }
    }
}
