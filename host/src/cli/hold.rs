//! `hold`: what is held back.
#![allow(clippy::print_stdout, reason = "this is the command's output")]

use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    Exit, Output,
    api::{Api, ClientError, path_of, segment, url_path},
    table,
};
use crate::model::path::ObjectPath;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List what is held back: proved to be absent, and not believed
    List {
        /// Only in, below or together with this object
        path: Option<ObjectPath>,
        #[command(flatten)]
        output: Output,
    },
}

pub(super) async fn run(command: Command) -> anyhow::Result<Exit> {
    let api = Api::from_environment()?;
    match command {
        Command::List { path, output } => {
            let path = path.map(|path| format!("/{}", url_path(&path))).unwrap_or_default();
            let holds = all(async |offset| api.get(&format!("/holds{path}?size=500&offset={offset}")).await).await?;
            if output.json {
                println!("{}", serde_json::to_string_pretty(&holds)?);
            } else {
                print!("{}", lines(&holds));
            }
            Ok(Exit::Done)
        }
    }
}

/// Holds of all pages; `page` gives the one that begins at an offset.
async fn all(page: impl AsyncFn(usize) -> Result<Value, ClientError>) -> Result<Vec<Value>, ClientError> {
    let mut holds = Vec::new();
    loop {
        let mut page = page(holds.len()).await?;
        let Value::Array(hits) = page["hits"].take() else { return Ok(holds) };
        let is_last = hits.is_empty();
        holds.extend(hits);
        if is_last || page["count"].as_u64().is_none_or(|count| holds.len() as u64 >= count) {
            return Ok(holds);
        }
    }
}

/// Decides about everything that a job holds back.
pub(super) async fn decide(api: &Api, job: &str, verb: &str) -> anyhow::Result<Exit> {
    let done = api.post(&format!("/jobs/{}/{verb}", segment(job)), &json!({})).await?;
    for decided in done.as_array().into_iter().flatten() {
        let hold = &decided["hold"];
        let left = decided["left"].as_u64().unwrap_or_default();
        let rest = if left > 0 { format!("; {left} are still to be done") } else { String::new() };
        let what = if verb == "release" { "released" } else { "rejected" };
        let line = format!("{}: {what}: {}{rest}", path_of(&hold["objectPath"]), counts(hold));
        println!("{}", table::shown(&line));
    }
    Ok(Exit::Done)
}

fn counts(hold: &Value) -> String {
    let counts = hold["counts"].as_object().into_iter().flatten();
    counts.map(|(object_type, n)| format!("{n} {object_type}")).collect::<Vec<_>>().join(", ")
}

fn lines(holds: &[Value]) -> String {
    let rows: Vec<Vec<String>> = holds
        .iter()
        .map(|hold| {
            let text = |name: &str| hold[name].as_str().unwrap_or("-").to_owned();
            let hint = text("hint").replace('\n', "; ");
            vec![path_of(&hold["objectPath"]), counts(hold), text("cause"), hint, text("jobId")]
        })
        .collect();
    table::layout(&["BELOW", "HELD", "CAUSE", "WHAT MAY HELP", "JOB"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_page_is_read_and_one_that_shrinks_meanwhile_ends_it() {
        for (count, there) in [(0, 0), (3, 3), (1203, 1203), (1203, 1100)] {
            let page = async |offset: usize| {
                let hits: Vec<Value> = (offset..there).take(500).map(|n| json!(n)).collect();
                Ok(json!({ "hits": hits, "count": count }))
            };
            assert_eq!(all(page).await.expect("pages"), (0..there).map(|n| json!(n)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn each_hold_is_one_line() {
        let holds = [json!({
            "objectPath": ["K", "sales"], "counts": { "table": 24, "view": 1 }, "cause": "24 of 40", "hint": "a\nb", "jobId": "7"
        })];
        let text = lines(&holds);
        assert!(text.contains("K.sales") && text.contains("24 table, 1 view") && text.contains("a; b"), "{text}");
        assert_eq!(text.lines().count(), 2, "{text}");
    }
}
