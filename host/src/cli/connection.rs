//! `connection`: registered accounts.
#![allow(clippy::print_stdout, reason = "this is the command's output")]

use std::{io::Read, path::PathBuf};

use anyhow::Context;
use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    Exit, Output,
    api::{Api, path_of, search_all, segment},
    job, table,
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List connections
    List {
        #[command(flatten)]
        output: Output,
    },
    /// Register a connection
    Add {
        /// The payload, a JSON file; `-` reads standard input
        payload: PathBuf,
        /// Wait for the first sync
        #[arg(long)]
        wait: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Try a payload without registering it
    Test {
        /// The payload, a JSON file; `-` reads standard input
        payload: PathBuf,
        #[command(flatten)]
        output: Output,
    },
    /// Start a sync of a whole connection
    Sync {
        /// The connection's key
        key: String,
        /// Also scan all disabled objects
        #[arg(long)]
        force_recursive: bool,
        /// Wait for its end
        #[arg(long)]
        wait: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Show a connection
    Show {
        /// The connection's key
        key: String,
    },
    /// Deregister a connection: everything below it leaves the inventory, nothing changes on the platform
    Rm {
        /// The connection's key
        key: String,
    },
}

pub(super) async fn run(command: Command) -> anyhow::Result<Exit> {
    let api = Api::from_environment()?;
    match command {
        Command::List { output } => list(&api, output).await,
        Command::Add { payload, wait, output } => {
            let queued = api.post("/data/connection", &read(&payload)?).await?;
            for warning in queued["warnings"].as_array().into_iter().flatten() {
                eprintln!("warning: {}", warning["message"].as_str().unwrap_or_default());
            }
            job::queued(&api, &queued, wait, output).await
        }
        Command::Test { payload, output } => {
            let result = api.post("/data/connection/test", &read(&payload)?).await?;
            Ok(tested(&result, output))
        }
        Command::Sync { key, force_recursive, wait, output } => {
            let body = json!({ "forceRecursive": force_recursive });
            let queued = api.post(&format!("/data/crawl/{}", segment(&key)), &body).await?;
            job::queued(&api, &queued, wait, output).await
        }
        Command::Show { key } => {
            let shown = api.get(&format!("/data/connection/{}", segment(&key))).await?;
            println!("{}", serde_json::to_string_pretty(&shown)?);
            Ok(Exit::Done)
        }
        Command::Rm { key } => {
            let gone = api.delete(&format!("/data/object/{}", segment(&key))).await?;
            println!("{} is deregistered, with {} objects", path_of(&gone["objectPath"]), gone["childCount"]);
            Ok(Exit::Done)
        }
    }
}

async fn list(api: &Api, output: Output) -> anyhow::Result<Exit> {
    let hits = search_all(api, "/data/object/search", json!({})).await?;
    if output.json {
        println!("{}", serde_json::to_string_pretty(&hits)?);
        return Ok(Exit::Done);
    }
    let text = |hit: &Value, name: &str| hit[name].as_str().unwrap_or("-").to_owned();
    let rows: Vec<Vec<String>> = hits
        .iter()
        .map(|hit| {
            let objects = hit["childCount"].to_string();
            vec![text(hit, "name"), text(hit, "technology"), text(hit, "state"), objects, text(hit, "lastSyncedAt")]
        })
        .collect();
    print!("{}", table::layout(&["KEY", "TECHNOLOGY", "STATE", "OBJECTS", "LAST SYNC"], &rows));
    Ok(Exit::Done)
}

fn tested(result: &Value, output: Output) -> Exit {
    if output.json {
        println!("{result:#}");
    } else {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let rows: Vec<Vec<String>> = result["checks"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|c| vec![text(&c["capability"]), text(&c["status"]), text(&c["message"]), text(&c["hint"])])
            .collect();
        print!("{}", table::layout(&["CAPABILITY", "STATUS", "MESSAGE", "HINT"], &rows));
    }
    if result["valid"] == true { Exit::Done } else { Exit::Negative }
}

fn read(payload: &PathBuf) -> anyhow::Result<Value> {
    let mut text = String::new();
    if payload.as_os_str() == "-" {
        std::io::stdin().read_to_string(&mut text)?;
    } else {
        text = std::fs::read_to_string(payload).with_context(|| format!("read {}", payload.display()))?;
    }
    serde_json::from_str(&text).with_context(|| format!("{} is not JSON", payload.display()))
}
