//! `bench`: how fast a first sync is, and how little a second one costs, beside what a plain program needs for the same.
//!
//! Each scenario runs the real host as a process of its own against the simulator in this one, then, as another process,
//! the *floor*: a client that fetches the same pages, parses the same fields and writes rows of the same size to redb in
//! as many commits. Figures of one run only are worth comparing; run it on a quiet machine.
#![allow(clippy::print_stdout, reason = "this is the command's output")]

mod floor;
mod hosted;
mod million;
mod neighbours;
mod platform;
mod report;
mod sandbox;
mod scenario;
mod start;
mod store;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Benchmarks against a simulated platform.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    role: Option<Role>,
    /// For machines: one JSON document.
    #[arg(long)]
    json: bool,
    /// Only this platform; both otherwise.
    #[arg(long)]
    platform: Vec<platform::Platform>,
    /// Only these, such as `10000x50`, or `200x5x4` for 200 schemas of five tables; three of one schema otherwise.
    #[arg(long, value_name = "[SCHEMASx]TABLESxCOLUMNS")]
    only: Vec<String>,
    /// Milliseconds before every answer of the platform; 0 and 30 otherwise.
    #[arg(long)]
    latency: Vec<u64>,
    /// Runs of each; the median is reported.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Where the stores lie while it runs; the directory for temporary files otherwise.
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// What this program is when it starts itself.
#[derive(Debug, Subcommand)]
enum Role {
    /// A large catalogue: what syncs of it cost, and how fast the host answers meanwhile.
    Million(million::Arguments),
    /// What the sandbox costs: compiling, loading, calls, and calls beside the same code outside it.
    Sandbox,
    /// How long a host takes to start, with many versions of connectors installed.
    Start,
    /// How much slower a connection's syncs are beside a hostile connection, sin by sin.
    Neighbours(neighbours::Arguments),
    /// A host: takes the host's own arguments.
    #[command(hide = true)]
    Host {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Compiles a connector for the host above.
    #[command(name = "compile-component", hide = true)]
    Compile { order: Vec<String> },
    /// The floor: prints its figures as JSON.
    #[command(hide = true)]
    Floor(floor::Arguments),
}

fn main() -> anyhow::Result<std::process::ExitCode> {
    let arguments = Arguments::parse();
    match arguments.role {
        Some(Role::Host { arguments }) => {
            let arguments = std::iter::once("wharfinger".to_owned()).chain(arguments);
            return Ok(wharfinger::cli::run(wharfinger::cli::Cli::parse_from(arguments))?.into());
        }
        Some(Role::Compile { order }) => {
            let arguments = ["wharfinger".to_owned(), "compile-component".to_owned()].into_iter().chain(order);
            return Ok(wharfinger::cli::run(wharfinger::cli::Cli::parse_from(arguments))?.into());
        }
        Some(Role::Floor(arguments)) => println!("{}", serde_json::to_string(&floor::run(&arguments)?)?),
        Some(Role::Sandbox) => println!("{}", sandbox::run(arguments.runs.max(1))?),
        Some(Role::Start) => print!("{}", start::run(arguments.runs.max(1))?),
        Some(Role::Million(asked)) => {
            let dir = arguments.dir.unwrap_or_else(std::env::temp_dir);
            let outcome = million::run(&asked, &dir)?;
            println!("{}", if arguments.json { serde_json::to_string_pretty(&outcome)? } else { outcome.to_string() });
        }
        Some(Role::Neighbours(asked)) => neighbours::run(&asked, arguments.runs.max(1))?,
        None => {
            let (latencies, scenarios) = (latencies(&arguments.latency), scenario::chosen(&arguments.only)?);
            let dir = arguments.dir.unwrap_or_else(std::env::temp_dir);
            let platforms =
                if arguments.platform.is_empty() { platform::Platform::ALL.to_vec() } else { arguments.platform };
            let results = scenario::run_all(&platforms, &scenarios, &latencies, arguments.runs.max(1), &dir)?;
            println!("{}", if arguments.json { report::json(&results)? } else { report::table(&results) });
        }
    }
    Ok(std::process::ExitCode::SUCCESS)
}

fn latencies(asked: &[u64]) -> Vec<u64> {
    if asked.is_empty() { vec![0, 30] } else { asked.to_vec() }
}
