//! `object`: the inventory.
#![allow(clippy::print_stdout, reason = "this is the command's output")]

use clap::Subcommand;
use serde_json::json;

use super::{
    Exit, Output,
    api::{Api, search_all, url_path},
    history, job, table,
};
use crate::model::path::ObjectPath;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List what lies in an object; without a path, the connections
    Ls {
        /// Names joined by dots; a name with anything but letters, digits, - and _ in double quotes
        path: Option<ObjectPath>,
        /// Everything below
        #[arg(short, long)]
        recursive: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Show an object with its columns
    Show {
        /// As in `ls`
        path: ObjectPath,
        #[command(flatten)]
        output: Output,
    },
    /// What happened at an object, the newest first
    History {
        /// As in `ls`
        path: ObjectPath,
        /// How many changes
        #[arg(long, default_value_t = 50)]
        size: usize,
        #[command(flatten)]
        output: Output,
    },
    /// What happened at an object and everything below it, in order
    Changes {
        /// As in `ls`
        path: ObjectPath,
        #[command(flatten)]
        choice: history::Choice,
        #[command(flatten)]
        output: Output,
    },
    /// Say why an object is enabled or disabled, missing or left out
    Explain {
        /// As in `ls`
        path: ObjectPath,
        #[command(flatten)]
        output: Output,
    },
    /// Enable an object and what inherits from it
    Enable {
        /// As in `ls`
        path: ObjectPath,
        #[command(flatten)]
        change: Change,
    },
    /// Disable an object and what inherits from it
    Disable {
        /// As in `ls`
        path: ObjectPath,
        #[command(flatten)]
        change: Change,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct Change {
    /// Only say what it would do
    #[arg(long)]
    dry_run: bool,
    /// Wait for the sync that fetches what is missing
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    output: Output,
}

pub(super) async fn run(command: Command) -> anyhow::Result<Exit> {
    let api = Api::from_environment()?;
    match command {
        Command::Ls { path, recursive, output } => list(&api, path.as_ref(), recursive, output).await,
        Command::Show { path, output } => show(&api, &path, output).await,
        Command::History { path, size, output } => history::of_object(&api, &path, size, output).await,
        Command::Changes { path, choice, output } => history::below(&api, &path, &choice, output).await,
        Command::Explain { path, output } => history::explain(&api, &path, output).await,
        Command::Enable { path, change } => switch(&api, &path, true, &change).await,
        Command::Disable { path, change } => switch(&api, &path, false, &change).await,
    }
}

async fn list(api: &Api, path: Option<&ObjectPath>, recursive: bool, output: Output) -> anyhow::Result<Exit> {
    let url = path.map_or_else(|| "/data/object/search".into(), |p| format!("/data/object/search/{}", url_path(p)));
    let sort = if recursive { "objectPath" } else { "name" };
    let hits = search_all(api, &url, json!({ "recursive": recursive, "sortField": sort })).await?;
    table::print(output, &hits, &["NAME", "TYPE", "STATE", "REMOTE", "BELOW"], |hit| {
        let text = |name: &str| table::text(hit, name);
        let name = if recursive { super::api::path_of(&hit["objectPath"]) } else { text("name") };
        vec![name, text("objectType"), text("state"), text("remoteStatus"), hit["childCount"].to_string()]
    })?;
    Ok(Exit::Done)
}

async fn show(api: &Api, path: &ObjectPath, output: Output) -> anyhow::Result<Exit> {
    let mut object = api.get(&format!("/data/object/{}", url_path(path))).await?;
    let columns = api.get(&format!("/data/columns/{}", url_path(path))).await?;
    if output.json {
        object["columns"] = columns["columns"].clone();
        println!("{}", serde_json::to_string_pretty(&object)?);
        return Ok(Exit::Done);
    }
    println!("{}", serde_json::to_string_pretty(&object)?);
    let Some(columns) = columns["columns"].as_array() else { return Ok(Exit::Done) };
    let rows: Vec<Vec<String>> = columns
        .iter()
        .map(|c| {
            let text = |name: &str| c[name].as_str().unwrap_or_default().to_owned();
            let nullable = match c["nullable"].as_bool() {
                Some(true) => "null",
                Some(false) => "not null",
                None => "",
            };
            vec![text("name"), text("dataType"), nullable.to_owned(), text("comment")]
        })
        .collect();
    print!("\n{}", table::layout(&["COLUMN", "TYPE", "", "COMMENT"], &rows));
    Ok(Exit::Done)
}

async fn switch(api: &Api, path: &ObjectPath, on: bool, change: &Change) -> anyhow::Result<Exit> {
    let query = if change.dry_run { "?dryRun=true" } else { "" };
    let body = json!({ "settings": { "isActive": on } });
    let changed = api.put(&format!("/data/settings/{}{query}", url_path(path)), &body).await?;
    if change.output.json {
        println!("{}", serde_json::to_string_pretty(&changed)?);
    } else {
        let verb = match (change.dry_run, on) {
            (true, _) => "would change",
            (false, true) => "enabled",
            (false, false) => "disabled",
        };
        println!(
            "{path}: {verb}, {} objects; {} keep a status of their own",
            changed["affected"], changed["overridden"]
        );
    }
    if change.wait && !change.dry_run {
        return job::waited(api, &changed, Output { json: false }).await;
    }
    Ok(Exit::Done)
}
