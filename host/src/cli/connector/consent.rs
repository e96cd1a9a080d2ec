//! What is told before something is granted or takes over: whoever says yes has seen to what.
//!
//! A person is asked on the terminal. Elsewhere nothing is granted without a code, which is made from the very lines that
//! were shown, so it is good for nothing else. All of it goes to standard error: standard output is for results.
#![allow(clippy::print_stderr, reason = "questions are for people")]

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use anyhow::{Context as _, bail};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::installed::{of, text};
use crate::cli::{
    api::{Api, segment},
    table,
};

/// Bytes of a code: nobody makes permissions that have the same one as others.
const CODE: usize = 12;

/// Grants a version what it waits for, once somebody has agreed to it: what was granted, or none.
pub(super) async fn approve(
    api: &Api,
    name: &str,
    version: &str,
    code: Option<&str>,
) -> anyhow::Result<Option<Vec<String>>> {
    let waiting = waiting(&api.get(&of(name)).await?, name, version)?;
    if waiting.is_empty() {
        return Ok(Some(waiting));
    }
    tell(&format!("{name} {version} asks for:"), &waiting);
    let expected = code_of(name, version, &waiting);
    let is_granted = match code {
        Some(code) if code == expected => true,
        Some(_) => bail!("the code is not of these permissions: nothing was granted. Without --code they get one"),
        None if on_terminal() => ask("Grant these permissions?")?,
        None => {
            let command = format!("wharfinger connector approve {name} {version} --code {expected}");
            tell("nothing was granted; this grants exactly these:", &[command]);
            false
        }
    };
    if !is_granted {
        return Ok(None);
    }
    // These and no others: where the version waits for something else by now, the host refuses.
    let path = format!("{}/{}/approve", of(name), segment(version));
    api.post(&path, &json!({ "permissions": waiting })).await?;
    Ok(Some(waiting))
}

/// Whom a version is to serve.
#[derive(Clone, Copy)]
pub(super) enum Whom<'a> {
    /// Every connection that pins no version.
    Everybody,
    /// These connections.
    Some(&'a [String]),
    /// None: it only reads, for these connections or, without any, for all.
    Nobody(&'a [String]),
}

impl Whom<'_> {
    /// As the host is asked for it.
    pub(super) fn canary(self) -> Value {
        match self {
            Self::Everybody => Value::Null,
            Self::Some(keys) => json!({ "connections": keys }),
            Self::Nobody(keys) => json!({ "shadow": true, "connections": (!keys.is_empty()).then_some(keys) }),
        }
    }
}

/// Tells what an activation is about to change, and asks where a person is there to answer.
pub(super) fn activates(connector: &Value, version: &str, whom: Whom<'_>, is_agreed: bool) -> anyhow::Result<bool> {
    let lines = about_to(connector, version, whom);
    tell(&format!("{} {version}, at revision {}:", text(connector, "name"), connector["revision"]), &lines);
    if is_agreed || !on_terminal() { Ok(true) } else { ask("Activate it?") }
}

fn waiting(connector: &Value, name: &str, version: &str) -> anyhow::Result<Vec<String>> {
    let found = found(connector, version).with_context(|| format!("{name} is not installed in version {version}"))?;
    let permissions = found["permissions"].as_array().into_iter().flatten();
    Ok(permissions.filter(|p| p["granted"] != true).map(|p| text(p, "permission").to_owned()).collect())
}

fn found<'a>(connector: &'a Value, version: &str) -> Option<&'a Value> {
    connector["versions"].as_array()?.iter().find(|found| text(found, "version") == version)
}

fn code_of(name: &str, version: &str, waiting: &[String]) -> String {
    let shown = json!([name, version, waiting]).to_string();
    digest(&SHA256, shown.as_bytes()).as_ref()[..CODE].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn about_to(connector: &Value, version: &str, whom: Whom<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    let active = connector["version"].as_str();
    lines.push(match (active, whom) {
        (active, Whom::Nobody(keys)) => {
            let keys =
                if keys.is_empty() { "every connection that pins no version".to_owned() } else { keys.join(", ") };
            format!("it only reads, for {keys}; {} goes on serving", active.unwrap_or("nothing"))
        }
        (None, Whom::Everybody) => "it is to serve every connection; none is active yet".to_owned(),
        (Some(active), Whom::Everybody) if active == version => "it is active already".to_owned(),
        (Some(active), Whom::Everybody) => {
            format!("it is to serve instead of {active}: every connection that pins no version")
        }
        (active, Whom::Some(keys)) => {
            format!(
                "it is to serve {} alone; {} goes on serving the others",
                keys.join(", "),
                active.unwrap_or("nothing")
            )
        }
    });
    let is_served = !matches!(whom, Whom::Nobody(_));
    let others = connector["canary"]["version"].as_str().filter(|other| is_served && *other != version);
    lines.extend(others.map(|other| format!("{other}, which some connections try out, serves them no more")));
    let found = found(connector, version);
    let taken_back = found.and_then(|found| found["takenBack"].as_str());
    lines.extend(taken_back.map(|why| format!("it was taken back before: {why}")));
    lines
}

fn tell(head: &str, lines: &[String]) {
    eprintln!("{}", table::shown(head));
    lines.iter().for_each(|line| eprintln!("  {}", table::shown(line)));
}

fn on_terminal() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Anything but yes is no.
fn ask(question: &str) -> anyhow::Result<bool> {
    eprint!("{question} (y/N) ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_of_these_lines_of_this_version_only() {
        let lines = |all: &[&str]| all.iter().map(ToString::to_string).collect::<Vec<_>>();
        let code = code_of("guest", "1.0.0", &lines(&["send GET to a", "send POST to b"]));
        assert_eq!(
            (code.len(), &code),
            (2 * CODE, &code_of("guest", "1.0.0", &lines(&["send GET to a", "send POST to b"])))
        );
        for other in [
            code_of("guest", "1.0.1", &lines(&["send GET to a", "send POST to b"])),
            code_of("guest", "1.0.0", &lines(&["send GET to a"])),
            code_of("guest", "1.0.0", &lines(&["send GET to a\", \"send POST to b"])),
        ] {
            assert_ne!(code, other);
        }
    }

    #[test]
    fn what_an_activation_changes_is_told() {
        let connector = json!({
            "name": "guest", "version": "1.0.0", "canary": { "version": "1.1.0", "connections": ["A"] },
            "versions": [{ "version": "1.2.0", "takenBack": "3 of 20 failed" }]
        });
        let told = about_to(&connector, "1.2.0", Whom::Everybody).join("\n");
        for part in ["instead of 1.0.0", "1.1.0, which some connections try out", "taken back before: 3 of 20 failed"] {
            assert!(told.contains(part), "{part}: {told}");
        }
        let told = about_to(&connector, "1.1.0", Whom::Some(&["A".into(), "B".into()])).join("\n");
        assert_eq!(told, "it is to serve A, B alone; 1.0.0 goes on serving the others");
        let told = about_to(&connector, "1.2.0", Whom::Nobody(&[])).join("\n");
        assert!(told.starts_with("it only reads") && !told.contains("no more"), "{told}");
        assert!(about_to(&json!({}), "1.0.0", Whom::Everybody).join("\n").contains("none is active yet"));
    }
}
