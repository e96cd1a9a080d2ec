//! `job`: what the host works on.
#![allow(clippy::print_stdout, reason = "this is the command's output")]

use std::time::Duration;

use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    Exit, Output,
    api::{Api, has_ended, path_of, progress, segment},
    history, hold, table,
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List jobs, newest first
    List {
        /// Only in this state
        #[arg(long)]
        state: Option<String>,
        /// How many
        #[arg(long, default_value_t = 50)]
        size: usize,
        #[command(flatten)]
        output: Output,
    },
    /// Follow a job until it ends
    Watch {
        /// The job's id
        id: String,
        #[command(flatten)]
        output: Output,
    },
    /// What a job changed, in order
    Changes {
        /// The job's id
        id: String,
        #[command(flatten)]
        output: Output,
    },
    /// Stop a job
    Cancel {
        /// The job's id
        id: String,
    },
    /// Let everything that a sync holds back become missing
    Release {
        /// The job's id
        id: String,
    },
    /// Let nothing that a sync holds back become missing
    Reject {
        /// The job's id
        id: String,
    },
}

pub(super) async fn run(command: Command) -> anyhow::Result<Exit> {
    let api = Api::from_environment()?;
    match command {
        Command::List { state, size, output } => list(&api, state.as_deref(), size, output).await,
        Command::Watch { id, output } => watch(&api, &id, output).await,
        Command::Changes { id, output } => history::of_job(&api, &id, output).await,
        Command::Cancel { id } => {
            let job = api.post(&format!("/jobs/{}/cancel", segment(&id)), &json!({})).await?;
            println!("{}", progress(&job));
            Ok(Exit::Done)
        }
        Command::Release { id } => hold::decide(&api, &id, "release").await,
        Command::Reject { id } => hold::decide(&api, &id, "reject").await,
    }
}

/// Says what was queued, and waits for it if asked.
pub(super) async fn queued(api: &Api, queued: &Value, wait: bool, output: Output) -> anyhow::Result<Exit> {
    if wait {
        return waited(api, queued, output).await;
    }
    if output.json {
        println!("{}", serde_json::to_string_pretty(queued)?);
    } else {
        let bulk = queued["bulkId"].as_str().unwrap_or_default();
        println!("{}: sync queued, bulk {bulk}", path_of(&queued["objectPath"]));
    }
    Ok(Exit::Done)
}

/// Waits for the jobs of an answer that names a bulk.
pub(super) async fn waited(api: &Api, queued: &Value, output: Output) -> anyhow::Result<Exit> {
    let jobs = api.wait(queued["bulkId"].as_str().unwrap_or_default()).await?;
    if output.json {
        println!("{}", serde_json::to_string_pretty(&jobs)?);
    } else {
        jobs.iter().for_each(|job| println!("{}", progress(job)));
    }
    Ok(if jobs.iter().all(|job| job["state"] == "completed") { Exit::Done } else { Exit::Negative })
}

async fn list(api: &Api, state: Option<&str>, size: usize, output: Output) -> anyhow::Result<Exit> {
    let state = state.map(|s| format!("&state={}", segment(s))).unwrap_or_default();
    let page = api.get(&format!("/jobs/search?size={size}{state}")).await?;
    if output.json {
        println!("{}", serde_json::to_string_pretty(&page["jobs"])?);
        return Ok(Exit::Done);
    }
    let rows: Vec<Vec<String>> = page["jobs"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|job| {
            let text = |name: &str| job[name].as_str().unwrap_or("-").to_owned();
            let objects = job.pointer("/progress/objects").map(Value::to_string).unwrap_or_default();
            vec![text("id"), text("jobType"), text("state"), path_of(&job["objectPath"]), objects, text("createdAt")]
        })
        .collect();
    print!("{}", table::layout(&["ID", "TYPE", "STATE", "OBJECT", "SEEN", "ASKED FOR"], &rows));
    Ok(Exit::Done)
}

/// Follows the job by its events; where these end early, looks, and follows again.
async fn watch(api: &Api, id: &str, output: Output) -> anyhow::Result<Exit> {
    let mut shown = String::new();
    let mut show = |job: &Value| {
        let line = progress(job);
        if line != shown && !output.json {
            println!("{line}");
            shown = line;
        }
    };
    loop {
        match api.follow(&format!("/jobs/events?jobId={}", segment(id)), &mut show).await {
            // The host has no room for more streams: it is asked now and then.
            Err(error) if error.code() != "too-many-streams" => return Err(error.into()),
            Ok(()) | Err(_) => {}
        }
        let job = api.get(&format!("/jobs/{}", segment(id))).await?;
        show(&job);
        if has_ended(&job) {
            if output.json {
                println!("{}", serde_json::to_string_pretty(&job)?);
            }
            return Ok(if job["state"] == "completed" { Exit::Done } else { Exit::Negative });
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
