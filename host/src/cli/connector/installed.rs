//! `connector install`, `list`, `activate` and the rest: what is installed in a running host, over its API.
#![allow(clippy::print_stdout, reason = "this is the command's output")]

use std::{path::PathBuf, time::Duration};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    consent::{self, Whom},
    registry::RegistryArgs,
    source,
};
use crate::cli::{
    Exit, Output,
    api::{Api, segment},
    table,
};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// Install a component into a running host; it serves nobody until it is activated
    Install(InstallArgs),
    /// List the connectors that are installed
    List(Output),
    /// Show a connector: its versions, what they may do, how the last activation went
    Show {
        name: String,
        #[command(flatten)]
        output: Output,
    },
    /// Show the permissions that a version waits for, and grant them to whoever agrees
    Approve {
        name: String,
        version: String,
        /// Do not ask: the code that was shown with the permissions grants exactly those
        #[arg(long)]
        code: Option<String>,
    },
    /// Let a version serve: its checks come first, and what fails that worked before stands in the way
    Activate(ActivateArgs),
    /// End the activation that is under way, or else the canary, or else go back to the version before
    Rollback { name: String },
    /// Let a connection be served by one version, whatever becomes active
    Pin { connection: String, version: String },
    /// Let a connection be served by whatever is active
    Unpin { connection: String },
    /// Remove a version that nobody needs
    Remove { name: String, version: String },
}

#[derive(Debug, Args)]
pub(in crate::cli) struct InstallArgs {
    /// The component: a file, or oci://REFERENCE, which this command fetches
    #[arg(value_name = "FILE|oci://REFERENCE")]
    component: String,
    /// Its detached signature; FILE.sig, or what the registry has with it, if there is one
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
    /// Where it comes from, for people
    #[arg(long)]
    origin: Option<String>,
    /// Show what it waits for, and grant it to whoever agrees
    #[arg(long)]
    approve: bool,
    /// Do not ask: the code that was shown with the permissions grants exactly those
    #[arg(long, requires = "approve")]
    code: Option<String>,
    /// Activate it, and wait for that
    #[arg(long)]
    activate: bool,
    #[command(flatten)]
    registry: RegistryArgs,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ActivateArgs {
    name: String,
    version: String,
    /// For these connections only
    #[arg(long, value_name = "KEY", num_args = 1..)]
    canary: Vec<String>,
    /// Serve nobody: read once with it, and tell what it finds that the active version does not
    #[arg(long, conflicts_with = "canary")]
    shadow: bool,
    /// With --shadow: these connections only
    #[arg(long, value_name = "KEY", num_args = 1.., requires = "shadow")]
    connection: Vec<String>,
    /// Whatever is found, and also where it was taken back before; connections are not checked first
    #[arg(long)]
    force: bool,
    /// Wait for the end
    #[arg(long)]
    wait: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Only while the connector is at this revision, which is told with what is about to change
    #[arg(long, value_name = "N")]
    revision: Option<u64>,
    #[command(flatten)]
    output: Output,
}

pub(in crate::cli) async fn run(command: Command) -> anyhow::Result<Exit> {
    let api = Api::from_environment()?;
    match command {
        Command::Install(args) => install(&api, args).await,
        Command::List(output) => {
            let all = api.get("/connectors").await?;
            print(output, &all, lines)?;
            Ok(Exit::Done)
        }
        Command::Show { name, output } => {
            let connector = api.get(&of(&name)).await?;
            print(output, &connector, shown)?;
            Ok(Exit::Done)
        }
        Command::Approve { name, version, code } => {
            let granted = consent::approve(&api, &name, &version, code.as_deref()).await?;
            let Some(granted) = granted else { return Ok(Exit::Failed) };
            println!("granted {name} {version} {} permissions", granted.len());
            Ok(Exit::Done)
        }
        Command::Activate(args) => activate(&api, args).await,
        Command::Rollback { name } => {
            let revision = revision(&api.get(&of(&name)).await?)?;
            let done = api.post_at(&format!("{}/rollback", of(&name)), &json!({}), revision).await?;
            let line = match text(&done, "what") {
                "rollout" => format!("{} does not take over; {} stays active", text(&done, "from"), text(&done, "to")),
                "canary" => {
                    format!("{} serves no connection any more; {} does", text(&done, "from"), text(&done, "to"))
                }
                _ => format!("went back from {} to {}", text(&done, "from"), text(&done, "to")),
            };
            println!("{}", table::shown(&format!("{name}: {line}")));
            Ok(Exit::Done)
        }
        Command::Pin { connection, version } => pin(&api, &connection, json!(version)).await,
        Command::Unpin { connection } => pin(&api, &connection, Value::Null).await,
        Command::Remove { name, version } => {
            api.delete(&format!("{}/{}", of(&name), segment(&version))).await?;
            println!("removed {name} {version}");
            Ok(Exit::Done)
        }
    }
}

async fn install(api: &Api, args: InstallArgs) -> anyhow::Result<Exit> {
    let source = source::fetch(&args.component, args.signature.as_deref(), args.registry).await?;
    let origin = args.origin.or(source.origin);
    let query = origin.map(|origin| format!("?origin={}", segment(&origin))).unwrap_or_default();
    let installed = api.upload(&format!("/connectors{query}"), source.component, source.signature.as_deref()).await?;
    let (name, version) = (text(&installed, "name").to_owned(), text(&installed, "version").to_owned());
    let waits = installed["waiting"].as_array().is_some_and(|waiting| !waiting.is_empty());
    let is_granted =
        waits && args.approve && consent::approve(api, &name, &version, args.code.as_deref()).await?.is_some();
    let goes_on = args.activate && (is_granted || !waits || !args.approve);
    if !goes_on {
        print(args.output, &installed, |installed| told(installed, is_granted))?;
        return Ok(if args.approve && waits && !is_granted { Exit::Failed } else { Exit::Done });
    }
    if !args.output.json {
        print!("{}", told(&installed, is_granted));
    }
    let everybody = ActivateArgs {
        name,
        version,
        canary: Vec::new(),
        shadow: false,
        connection: Vec::new(),
        force: false,
        wait: true,
        yes: true,
        revision: None,
        output: args.output,
    };
    activate(api, everybody).await
}

impl ActivateArgs {
    /// Whom the version is to serve.
    fn whom(&self) -> Whom<'_> {
        match (self.shadow, self.canary.as_slice()) {
            (true, _) => Whom::Nobody(&self.connection),
            (false, []) => Whom::Everybody,
            (false, keys) => Whom::Some(keys),
        }
    }
}

async fn activate(api: &Api, args: ActivateArgs) -> anyhow::Result<Exit> {
    let ActivateArgs { name, version, .. } = &args;
    let before = api.get(&of(name)).await?;
    if !consent::activates(&before, version, args.whom(), args.yes)? {
        return Ok(Exit::Failed);
    }
    let how = json!({ "canary": args.whom().canary(), "force": args.force });
    // Whoever changes the connector after this was told changes its revision, and then the host refuses.
    let revision = args.revision.map_or_else(|| revision(&before), Ok)?;
    let path = format!("{}/{}/activate", of(name), segment(version));
    let mut connector = api.post_at(&path, &how, revision).await?;
    let is_under_way = |c: &Value| !matches!(c["rollout"]["step"].as_str(), Some("done" | "blocked" | "ended"));
    while args.wait && is_under_way(&connector) {
        tokio::time::sleep(Duration::from_millis(200)).await;
        connector = api.get(&of(name)).await?;
    }
    print(args.output, &connector, |connector| progress(name, connector))?;
    let is_bad = matches!(connector["rollout"]["step"].as_str(), Some("blocked" | "ended"));
    Ok(if is_bad { Exit::Negative } else { Exit::Done })
}

async fn pin(api: &Api, connection: &str, version: Value) -> anyhow::Result<Exit> {
    let body = json!({ "options": { "pin": version } });
    let changed = api.put(&format!("/data/connection/{}", segment(connection)), &body).await?;
    let serves = changed["connector"]["version"].as_str().unwrap_or("none");
    println!("{}", table::shown(&format!("{connection} is served by version {serves}")));
    Ok(Exit::Done)
}

pub(super) fn of(name: &str) -> String {
    format!("/connectors/{}", segment(name))
}

fn revision(connector: &Value) -> anyhow::Result<u64> {
    connector["revision"].as_u64().context("the host's answer has no revision")
}

pub(super) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn print(output: Output, value: &Value, people: impl Fn(&Value) -> String) -> anyhow::Result<()> {
    if output.json {
        println!("{}", serde_json::to_string_pretty(value)?);
    } else {
        print!("{}", people(value));
    }
    Ok(())
}

/// What was installed, and what it waits for.
fn told(installed: &Value, approved: bool) -> String {
    let what = if installed["isNew"] == true { "installed" } else { "was installed before:" };
    let head = format!(
        "{what} {} {} ({}), {}",
        text(installed, "name"),
        text(installed, "version"),
        text(installed, "digest").get(..12).unwrap_or_default(),
        text(installed, "signature")
    );
    let waiting: Vec<&str> = installed["waiting"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut lines = vec![head];
    if !waiting.is_empty() {
        lines.push(if approved { "granted:".into() } else { "waits for approval of:".into() });
        lines.extend(waiting.into_iter().map(|line| format!("  {line}")));
    }
    lines.iter().map(|line| table::shown(line) + "\n").collect()
}

/// How an activation stands.
fn progress(name: &str, connector: &Value) -> String {
    let rollout = &connector["rollout"];
    let step = told_step(rollout);
    let mut lines = vec![format!("{name} {}: {step}", text(rollout, "version"))];
    lines.extend(findings(rollout));
    lines.iter().map(|line| table::shown(line) + "\n").collect()
}

/// What is done next, or how it ended.
fn told_step(rollout: &Value) -> &str {
    match text(rollout, "step") {
        "done" if rollout["shadow"] == true => "compared",
        step => step,
    }
}

fn findings(rollout: &Value) -> impl Iterator<Item = String> + '_ {
    rollout["findings"].as_array().into_iter().flatten().map(|finding| {
        let mark = if finding["blocks"] == true { "stands in the way" } else { "noted" };
        format!("  {mark}: {}", text(finding, "message"))
    })
}

fn lines(all: &Value) -> String {
    let row = |connector: &Value| {
        let canary = match connector["canary"]["version"].as_str() {
            Some(version) => {
                let connections = connector["canary"]["connections"].as_array().map_or(0, Vec::len);
                format!("{version} for {connections}")
            }
            None => "-".to_owned(),
        };
        let rollout = match connector["rollout"]["step"].as_str() {
            Some(_) => format!("{} {}", text(&connector["rollout"], "version"), told_step(&connector["rollout"])),
            None => "-".to_owned(),
        };
        let active = connector["version"].as_str().unwrap_or("none");
        let active = match connector["problem"].as_str() {
            Some(_) => format!("{active} (does not load)"),
            None => active.to_owned(),
        };
        vec![text(connector, "name").to_owned(), text(connector, "technology").to_owned(), active, canary, rollout]
    };
    let rows: Vec<Vec<String>> = all.as_array().into_iter().flatten().map(row).collect();
    table::layout(&["NAME", "TECHNOLOGY", "ACTIVE", "CANARY", "LAST ACTIVATION"], &rows)
}

fn shown(connector: &Value) -> String {
    let mut out = lines(&json!([connector]));
    findings(&connector["rollout"]).for_each(|line| out.push_str(&(table::shown(&line) + "\n")));
    let row = |version: &Value| {
        let permissions = version["permissions"].as_array().map(Vec::as_slice).unwrap_or_default();
        let waiting = permissions.iter().filter(|p| p["granted"] != true).count();
        let note = version["problem"].as_str().or(version["takenBack"].as_str()).unwrap_or("-");
        vec![
            text(version, "version").to_owned(),
            text(version, "state").to_owned(),
            text(version, "digest").get(..12).unwrap_or_default().to_owned(),
            text(version, "origin").to_owned(),
            text(version, "signature").to_owned(),
            version["witVersion"].as_str().unwrap_or("-").to_owned(),
            version["sdkVersion"].as_str().unwrap_or("-").to_owned(),
            if waiting > 0 { format!("{} ({waiting} wait)", permissions.len()) } else { permissions.len().to_string() },
            note.to_owned(),
        ]
    };
    let versions = connector["versions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let rows: Vec<Vec<String>> = versions.iter().map(row).collect();
    out.push('\n');
    let head = ["VERSION", "STATE", "DIGEST", "ORIGIN", "SIGNATURE", "WIT", "SDK", "PERMISSIONS", "NOTE"];
    out.push_str(&table::layout(&head, &rows));
    for version in versions {
        for permission in version["permissions"].as_array().into_iter().flatten().filter(|p| p["granted"] != true) {
            let line = format!("{} waits for: {}", text(version, "version"), text(permission, "permission"));
            out.push_str(&(table::shown(&line) + "\n"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_told_line_by_line() {
        let installed = json!({
            "name": "guest", "version": "1.0.0", "digest": "0123456789abcdef", "signature": "unsigned", "isNew": true,
            "waiting": ["send GET to x\u{1b}[2J"]
        });
        assert_eq!(
            told(&installed, false),
            "installed guest 1.0.0 (0123456789ab), unsigned\nwaits for approval of:\n  send GET to x\u{fffd}[2J\n"
        );
        assert!(told(&installed, true).contains("granted:"));
    }

    #[test]
    fn what_was_only_compared_is_told_as_such() {
        let rollout = json!({ "version": "1.1.0", "step": "done", "shadow": true, "findings": [] });
        assert_eq!(progress("guest", &json!({ "rollout": rollout })), "guest 1.1.0: compared\n");
    }

    #[test]
    fn a_connector_is_shown_with_its_versions_and_findings() {
        let connector = json!({
            "name": "guest", "technology": "Guest", "version": "1.0.0",
            "canary": { "version": "1.1.0", "connections": ["A"] },
            "rollout": { "version": "1.2.0", "step": "blocked", "findings": [{ "blocks": true, "message": "A: no" }] },
            "versions": [{
                "version": "1.2.0", "state": "waiting", "digest": "ab", "origin": "upload", "signature": "unsigned",
                "witVersion": "0.1.0", "sdkVersion": "0.1.7",
                "permissions": [{ "permission": "send GET", "granted": false }]
            }]
        });
        let text = shown(&connector);
        for part in [
            "1.1.0 for 1",
            "1.2.0 blocked",
            "0.1.0  0.1.7",
            "stands in the way: A: no",
            "1 (1 wait)",
            "1.2.0 waits for: send GET",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
