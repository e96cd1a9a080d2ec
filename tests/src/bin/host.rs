//! The host's binary once more, so that tests that kill it get it built beside them (`CARGO_BIN_EXE_host`).

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
