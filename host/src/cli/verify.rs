//! `verify`: whether the store is sound, and what is wrong where.
#![allow(clippy::print_stdout, reason = "this is the command's output")]

use std::{panic, path::PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::{Exit, HostArgs, Output, api::Api, table};
use crate::{app, db::verify::Violation};

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// Configuration file (TOML), as of the host
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The data directory of a stopped host
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Ask a running host (WHARFINGER_URL) instead
    #[arg(long, conflicts_with_all = ["config", "data_dir"])]
    running: bool,
    #[command(flatten)]
    output: Output,
}

pub(super) async fn run(args: VerifyArgs) -> anyhow::Result<Exit> {
    let report = if args.running {
        Api::from_environment()?.post("/verify", &json!({})).await?
    } else {
        let config = HostArgs { config: args.config, data_dir: args.data_dir, listen: None }.load()?;
        // What the database says when it gives up over a damaged file is told in our words.
        let told = panic::take_hook();
        panic::set_hook(Box::new(|_| {}));
        let found = tokio::task::spawn_blocking(move || app::verify(&config)).await;
        panic::set_hook(told);
        report(&found??)
    };
    let is_sound = report["sound"] == true;
    if args.output.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else if is_sound {
        println!("the store is sound");
    } else {
        let text = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
        let rows: Vec<Vec<String>> = report["violations"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|row| vec![text(row, "table"), text(row, "message"), text(row, "key")])
            .collect();
        print!("{}", table::layout(&["TABLE", "WHAT IS WRONG", "WHERE"], &rows));
        println!("{} rules do not hold", report["count"]);
    }
    Ok(if is_sound { Exit::Done } else { Exit::Negative })
}

fn report(found: &[Violation]) -> Value {
    let violations: Vec<Value> =
        found.iter().map(|v| json!({ "table": v.table, "key": v.key, "message": v.message })).collect();
    json!({ "sound": found.is_empty(), "violations": violations, "count": found.len() })
}
