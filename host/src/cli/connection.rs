//! `connection`: registered accounts.
#![allow(clippy::print_stdout, reason = "this is the command's output")]

use std::{io::Read, path::PathBuf};

use anyhow::Context;
use clap::Subcommand;
use serde_json::{Map, Value, json};

use super::{
    Exit, Output,
    api::{Api, path_of, search_all, segment},
    job, table,
};
use crate::model::filter::Pattern;

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
        /// Only say what the sync would change; waits for the end
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Show a connection
    Show {
        /// The connection's key
        key: String,
    },
    /// Show or change what of an account is listed. A pattern is a glob for each level, such as SALES.RAW_*
    Filter {
        /// The connection's key
        key: String,
        /// List only what this names; may be given several times. Replaces the include patterns
        #[arg(long, value_name = "PATTERN")]
        include: Vec<Pattern>,
        /// Leave out what this names; may be given several times. Replaces the exclude patterns
        #[arg(long, value_name = "PATTERN")]
        exclude: Vec<Pattern>,
        /// Take all other patterns away
        #[arg(long)]
        clear: bool,
        /// Only tell what the patterns would leave
        #[arg(long)]
        preview: bool,
        #[command(flatten)]
        output: Output,
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
            print_warnings(&queued);
            job::queued(&api, &queued, wait, output).await
        }
        Command::Test { payload, output } => {
            let result = api.post("/data/connection/test", &read(&payload)?).await?;
            Ok(tested(&result, output))
        }
        Command::Sync { key, force_recursive, wait, dry_run, output } => {
            let body = json!({ "forceRecursive": force_recursive, "dryRun": dry_run });
            let queued = api.post(&format!("/data/crawl/{}", segment(&key)), &body).await?;
            if dry_run {
                return job::difference(&api, &queued, output).await;
            }
            job::queued(&api, &queued, wait, output).await
        }
        Command::Show { key } => {
            let shown = api.get(&format!("/data/connection/{}", segment(&key))).await?;
            println!("{}", serde_json::to_string_pretty(&shown)?);
            Ok(Exit::Done)
        }
        Command::Filter { key, include, exclude, clear, preview, output } => {
            let mut body = Map::new();
            for (list, patterns) in [("include", include), ("exclude", exclude)] {
                if clear || !patterns.is_empty() {
                    let globs = patterns.iter().map(|pattern| json!(pattern.globs())).collect();
                    body.insert(list.into(), Value::Array(globs));
                }
            }
            filter(&api, &key, body, preview, output).await
        }
        Command::Rm { key } => {
            let gone = api.delete(&format!("/data/object/{}", segment(&key))).await?;
            println!("{} is deregistered, with {} objects", path_of(&gone["objectPath"]), gone["childCount"]);
            Ok(Exit::Done)
        }
    }
}

async fn filter(api: &Api, key: &str, body: Map<String, Value>, preview: bool, output: Output) -> anyhow::Result<Exit> {
    let connection = format!("/data/connection/{}", segment(key));
    let shown = if preview {
        api.post(&format!("/data/filter/{}", segment(key)), &Value::Object(body)).await?
    } else if body.is_empty() {
        api.get(&connection).await?["options"].take()
    } else {
        let mut changed = api.put(&connection, &json!({ "options": body })).await?;
        print_warnings(&changed);
        if !output.json && changed["bulkId"].is_string() {
            eprintln!("a sync looks for what may be new: {}", changed["bulkId"].as_str().unwrap_or_default());
        }
        changed["options"].take()
    };
    if output.json {
        println!("{shown:#}");
    } else if preview {
        print_warnings(&shown);
        let levels = shown["levels"].as_array().into_iter().flatten();
        let numbers = |level: &Value| ["level", "kept", "leftOut", "missing"].map(|n| level[n].to_string()).to_vec();
        print!(
            "{}",
            table::layout(&["LEVEL", "STAY", "LEFT OUT", "MISSING"], &levels.map(numbers).collect::<Vec<_>>())
        );
        print!("\n{}", table::layout(&["LIST", "PATTERN", "NAMES"], &pattern_rows(&shown, |p| p["pattern"].clone())));
    } else {
        print!("{}", table::layout(&["LIST", "PATTERN"], &pattern_rows(&shown, Value::clone)));
    }
    Ok(Exit::Done)
}

/// Both lists of patterns, each with its number of matches where it has one.
fn pattern_rows(shown: &Value, globs: impl Fn(&Value) -> Value) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for list in ["include", "exclude"] {
        for entry in shown[list].as_array().into_iter().flatten() {
            let pattern = serde_json::from_value(globs(entry)).ok().and_then(|globs| Pattern::new(globs).ok());
            let text = pattern.map(|pattern| pattern.to_string()).unwrap_or_default();
            let matches = entry.get("matches").map(Value::to_string);
            rows.push([list.to_owned(), text].into_iter().chain(matches).collect());
        }
    }
    rows
}

fn print_warnings(answer: &Value) {
    for warning in answer["warnings"].as_array().into_iter().flatten() {
        eprintln!("warning: {}", warning["message"].as_str().unwrap_or_default());
    }
}

async fn list(api: &Api, output: Output) -> anyhow::Result<Exit> {
    let hits = search_all(api, "/data/object/search", json!({})).await?;
    table::print(output, &hits, &["KEY", "TECHNOLOGY", "STATE", "OBJECTS", "LAST SYNC"], |hit| {
        let text = |name: &str| table::text(hit, name);
        vec![text("name"), text("technology"), text("state"), hit["childCount"].to_string(), text("lastSyncedAt")]
    })?;
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
