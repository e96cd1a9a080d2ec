//! The way out, end to end: a real component that asks for what it is told to, the real gateway, and real listeners on
//! loopback of which one must never be reached.

mod attempts;
mod rebinding;
mod upstream;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use wharfinger::{
    connector::{Connector, Limits},
    egress::session::Policy,
    model::page::Partition,
};
use wharfinger_tests::guests;

use self::{
    attempts::{Attempt, Expect, Place},
    upstream::{Forbidden, Platform},
};
use crate::guests::{Guest, Lines, SECRET, bytes, connectors, policy};

/// The functions of the contract that send.
const VIA: [&str; 3] = ["send", "open", "batch"];

/// What became of an attempt.
struct Outcome {
    /// What the guest was told, or why it was not even called.
    guest: String,
    /// What the operator was told.
    operator: String,
}

async fn connector() -> anyhow::Result<std::sync::Arc<Connector>> {
    Ok(connectors(Limits::default())?.load(&bytes(guests::ASKS)?).await?)
}

/// Sends requests with one call of the guest; what became of the last.
async fn ask(guest: &Guest, asked: &[Value]) -> anyhow::Result<String> {
    let payload = Value::from(asked).to_string();
    let partition = Partition { id: "p".into(), scope: Default::default(), payload, weight: 0 };
    let page = guest.read_page(&partition, None).await?;
    Ok(page.objects.last().and_then(|object| object.facts.comment.clone()).unwrap_or_default())
}

impl Attempt {
    /// Makes the attempt through a session of its own.
    async fn make(&self, connector: &std::sync::Arc<Connector>, via: &str, lines: &Lines) -> anyhow::Result<Outcome> {
        lines.take();
        let (host, port, policy) = match &self.place {
            Place::Own(at) => (format!("http://{}", at.ip()), at.port(), policy_of_one()?),
            Place::Config(host, port) => {
                (host.clone(), *port, Policy { allow_insecure_http: true, ..Policy::default() })
            }
        };
        let guest = match Guest::sent_to(connector.clone(), (&host, port), "", policy) {
            Err(error) => format!("invalid-config: {error:#}"),
            Ok(guest) => {
                let mut asked = self.asked.clone();
                if let Some(last) = asked.last_mut() {
                    last["via"] = via.into();
                }
                ask(&guest, &asked).await?
            }
        };
        Ok(Outcome { guest, operator: lines.take() })
    }
}

/// What became of the attempt whose name begins like this: what the guest was told, and what the operator.
pub(crate) async fn attempted(name: &str) -> anyhow::Result<(String, String)> {
    let lines = Lines::default();
    let _capture = lines.capture();
    let (platform, forbidden) = (Platform::start().await?, Forbidden::start().await?);
    let attempts = attempts::all(platform.addr, forbidden.port);
    let attempt = attempts.iter().find(|attempt| attempt.name.starts_with(name));
    let attempt = attempt.with_context(|| format!("there is no attempt `{name}`"))?;
    let outcome = attempt.make(&connector().await?, "send", &lines).await?;
    ensure!(forbidden.accepted() == 0, "somebody came to a place that is not allowed");
    Ok((outcome.guest, outcome.operator))
}

/// The platform's address and no other.
fn policy_of_one() -> anyhow::Result<Policy> {
    Ok(Policy { allow_cidrs: vec!["127.0.0.1/32".parse()?], ..policy()? })
}

// On one thread, so that what is told anywhere is told here.
#[tokio::test]
async fn no_attempt_gets_through_and_each_is_told_to_guest_and_operator() -> anyhow::Result<()> {
    let lines = Lines::default();
    let _capture = lines.capture();
    let (platform, forbidden) = (Platform::start().await?, Forbidden::start().await?);
    let connector = connector().await?;
    let attempts = attempts::all(platform.addr, forbidden.port);
    println!("| attempt | the guest is told | the operator is told |\n| --- | --- | --- |");
    let mut wrong = Vec::new();
    for attempt in &attempts {
        for via in VIA {
            let before = platform.requests();
            let Outcome { guest, operator } = attempt.make(&connector, via, &lines).await?;
            let sent = platform.requests() - before;
            let expected = match attempt.expect {
                Expect::Refused { guest: part, operator: told } => {
                    let prepared = attempt.asked.len() - 1;
                    guest.contains(part) && operator.contains(told) && !operator.is_empty() && sent == prepared
                }
                Expect::Answered(part) => guest.starts_with(part),
                Expect::Discarded => guest.starts_with("denied: ") && operator.contains("secret"),
            };
            if !expected || guest.contains(SECRET) || operator.contains(SECRET) {
                wrong.push(format!("{} via {via}: {guest} / {operator:?}, {sent} sent", attempt.name));
            }
            if via == "send" {
                let told = operator.split_once(": ").map_or(operator.as_str(), |(_, text)| text);
                println!("| {} | {} | {} |", attempt.name, shown(&guest), shown(told));
            }
        }
    }
    println!("{} attempts, each in {} ways; none got through", attempts.len(), VIA.len());
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), attempts.len() * VIA.len(), wrong.join("\n"));
    assert_eq!(forbidden.accepted(), 0, "somebody came to a place that is not allowed");
    assert!(attempts.len() >= 60, "{}", attempts.len());
    Ok(())
}

fn shown(text: &str) -> String {
    text.trim_end().replace('|', "\\|").replace('\n', " ").chars().take(300).collect()
}

#[tokio::test]
async fn what_is_within_the_scope_is_sent_with_the_credential_and_nothing_else_with_it() -> anyhow::Result<()> {
    let platform = Platform::start().await?;
    let origin = format!("http://{}", platform.addr);
    let guest = Guest::sent_to(
        connector().await?,
        (&format!("http://{}", platform.addr.ip()), platform.addr.port()),
        "",
        policy_of_one()?,
    )?;
    let sql = |statement: &str| json!({ "url": format!("{origin}/sql"), "method": "POST", "body": json!({ "statement": statement }).to_string() });
    for (asked, carries) in [
        (vec![json!({ "url": format!("{origin}/api/ok") })], true),
        (vec![sql("SELECT 1")], true),
        (vec![json!({ "url": format!("{origin}/tokens"), "method": "POST", "auth": "none" })], false),
        // What an answer names may be fetched, as it stands.
        (
            vec![
                json!({ "url": format!("{origin}/api/files") }),
                json!({ "url": format!("{origin}/stage/named?sig=1"), "auth": "none" }),
            ],
            false,
        ),
    ] {
        let told = ask(&guest, &asked).await?;
        assert!(told.starts_with("200 "), "{asked:?}: {told}");
        assert_eq!(platform.last_carried_the_credential(), carries, "{asked:?}");
    }
    Ok(())
}
