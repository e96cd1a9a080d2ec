//! What happened, as lines: of an object, below one, in a job; and why an object is as it is.
#![allow(clippy::print_stdout, reason = "this is the command's output")]

use clap::Args;
use serde_json::{Value, json};

use super::{
    Exit, Output,
    api::{Api, ClientError, path_of, segment, url_path},
    table,
};
use crate::model::path::ObjectPath;

/// Which changes.
#[derive(Debug, Args)]
pub(super) struct Choice {
    /// At or after this time, such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only these kinds, joined by commas, such as missing,returned
    #[arg(long, value_name = "KINDS")]
    kind: Option<String>,
    /// Go on where an earlier answer ended: its `next`
    #[arg(long)]
    cursor: Option<String>,
}

pub(super) async fn of_object(api: &Api, path: &ObjectPath, size: usize, output: Output) -> anyhow::Result<Exit> {
    let answer = api.get(&format!("/data/history/{}?size={size}", url_path(path))).await?;
    if output.json {
        println!("{}", serde_json::to_string_pretty(&answer)?);
    } else {
        print!("{}", lines(answer["changes"].as_array().map_or(&[], Vec::as_slice)));
    }
    Ok(Exit::Done)
}

pub(super) async fn below(api: &Api, path: &ObjectPath, choice: &Choice, output: Output) -> anyhow::Result<Exit> {
    let named = [("since", &choice.since), ("until", &choice.until), ("kind", &choice.kind)];
    let query: String =
        named.iter().filter_map(|(name, v)| v.as_ref().map(|v| format!("&{name}={}", segment(v)))).collect();
    let url = format!("/data/changes/{}?size=500{query}", url_path(path));
    show(api, &url, choice.cursor.clone(), output).await
}

pub(super) async fn of_job(api: &Api, id: &str, output: Output) -> anyhow::Result<Exit> {
    show(api, &format!("/jobs/{}/changes?size=500", segment(id)), None, output).await
}

/// What a dry run found that a sync would change.
pub(super) async fn would(api: &Api, job: &str) -> anyhow::Result<Vec<Value>> {
    Ok(all(api, &format!("/jobs/{}/changes?size=500", segment(job)), None).await?.0)
}

pub(super) async fn explain(api: &Api, path: &ObjectPath, output: Output) -> anyhow::Result<Exit> {
    let answer = api.get(&format!("/data/explain/{}", url_path(path))).await?;
    if output.json {
        println!("{}", serde_json::to_string_pretty(&answer)?);
        return Ok(Exit::Done);
    }
    for part in ["status", "newChildren", "remote", "held"] {
        if let Some(reason) = answer[part]["reason"].as_str() {
            println!("{}", table::shown(reason));
        }
    }
    for listing in answer["listings"].as_array().into_iter().flatten() {
        let text = |name: &str| listing[name].as_str().unwrap_or("-").to_owned();
        let place = path_of(&listing["containerPath"]);
        let line = format!("Last listed completely: {place} at {}, {}.", text("at"), text("basis"));
        println!("{}", table::shown(&line));
    }
    Ok(Exit::Done)
}

/// All pages of a feed.
async fn show(api: &Api, url: &str, cursor: Option<String>, output: Output) -> anyhow::Result<Exit> {
    let (changes, next) = all(api, url, cursor).await?;
    if output.json {
        println!("{}", serde_json::to_string_pretty(&json!({ "changes": changes, "next": next }))?);
    } else {
        print!("{}", lines(&changes));
    }
    Ok(Exit::Done)
}

async fn all(api: &Api, url: &str, mut cursor: Option<String>) -> Result<(Vec<Value>, Option<String>), ClientError> {
    let mut changes = Vec::new();
    loop {
        let at = cursor.as_ref().map(|c| format!("&cursor={}", segment(c))).unwrap_or_default();
        let mut page = api.get(&format!("{url}{at}")).await?;
        if let Value::Array(more) = page["changes"].take() {
            changes.extend(more);
        }
        cursor = page["next"].as_str().map(str::to_owned).or(cursor);
        if page["more"] != true {
            return Ok((changes, cursor));
        }
    }
}

/// What a sync would change, one line each.
pub(super) fn difference(changes: &[Value]) -> String {
    let text = |change: &Value, name: &str| change[name].as_str().unwrap_or("-").to_owned();
    let row = |change: &Value| {
        let kind = if change["wouldHold"] == true { "held".to_owned() } else { text(change, "kind") };
        vec![kind, text(change, "objectType"), path_of(&change["objectPath"]), what(change)]
    };
    table::layout(&["WOULD BE", "TYPE", "OBJECT", "BEFORE → AFTER"], &changes.iter().map(row).collect::<Vec<_>>())
}

fn lines(changes: &[Value]) -> String {
    let rows: Vec<Vec<String>> = changes
        .iter()
        .map(|change| {
            let text = |name: &str| change[name].as_str().unwrap_or("-").to_owned();
            let by = change["by"]["name"].as_str().map_or_else(
                || change["jobId"].as_str().map_or_else(|| "-".to_owned(), |id| format!("job {id}")),
                str::to_owned,
            );
            let kind = if change["applied"] == "held" { format!("{} (held)", text("kind")) } else { text("kind") };
            vec![text("at"), kind, path_of(&change["objectPath"]), what(change), by]
        })
        .collect();
    table::layout(&["AT", "WHAT", "OBJECT", "BEFORE → AFTER", "BY"], &rows)
}

/// What differs, in one line.
fn what(change: &Value) -> String {
    let text = |value: &Value| value.as_str().map_or_else(|| "-".to_owned(), str::to_owned);
    let column = |c: &Value| format!("{}:{}", text(&c["name"]), text(&c["dataType"]));
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    if !change["from"].is_null() {
        return format!("from {}", path_of(&change["from"]));
    }
    let mut parts: Vec<String> = list(&change["facts"])
        .iter()
        .map(|f| format!("{}: {} → {}", text(&f["field"]), text(&f["before"]), text(&f["after"])))
        .collect();
    let columns = &change["columns"];
    if columns["first"] == true {
        parts.push("columns read for the first time".into());
    }
    parts.extend(list(&columns["added"]).iter().map(|c| format!("+ {}", column(c))));
    parts.extend(
        list(&columns["changed"]).iter().map(|c| format!("{} → {}", column(&c["before"]), column(&c["after"]))),
    );
    parts.extend(list(&columns["deleted"]).iter().map(|c| format!("- {}", column(c))));
    parts.extend(list(&columns["commented"]).iter().map(|c| format!("comment of {}", text(&c["after"]["name"]))));
    if columns["reordered"] == true {
        parts.push("columns reordered".into());
    }
    if let Some(settings) = change.get("settings") {
        parts.push(format!("{} → {}", settings["before"], settings["after"]));
    }
    if let Some(below) = change["childCount"].as_u64() {
        parts.push(format!("with {below} below"));
    }
    parts.extend(list(&change["fields"]).iter().map(text));
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_is_one_line_that_says_what_it_was() {
        let change = json!({
            "at": "2026-01-31T12:00:00Z", "kind": "columns", "objectPath": ["K", "c"], "jobId": "7",
            "columns": { "first": false, "added": [{ "name": "a", "dataType": "int" }], "reordered": true,
                "changed": [{ "before": { "name": "b", "dataType": "int" }, "after": { "name": "b", "dataType": "text" } }] }
        });
        let text = lines(&[change]);
        assert!(text.contains("+ a:int, b:int → b:text, columns reordered") && text.contains("job 7"), "{text}");
        let set = json!({ "settings": { "before": {}, "after": { "isActive": true } }, "by": { "name": "Ada" } });
        let text = lines(&[set]);
        assert!(text.contains("{} → {\"isActive\":true}") && text.contains("Ada"), "{text}");
    }
}
