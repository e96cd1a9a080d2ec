//! A payload that is tried while another version takes over.

use std::net::SocketAddr;

use axum::{Router, extract::State, routing::get};
use serde_json::json;
use tokio::sync::watch;
use wharfinger_tests::{
    TestHost,
    versions::{Variant, payload},
};

use super::{lasting::closed_config, *};

/// A platform that answers checks only while its gate is open.
#[derive(Clone)]
struct Gate {
    open: watch::Sender<bool>,
    asked: watch::Sender<u32>,
}

impl Gate {
    async fn start() -> anyhow::Result<(Self, SocketAddr)> {
        let gate = Self { open: watch::Sender::new(true), asked: watch::Sender::new(0) };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.local_addr()?;
        let router = Router::new().route("/check", get(check)).with_state(gate.clone());
        #[allow(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok((gate, addr))
    }
}

async fn check(State(gate): State<Gate>) {
    gate.asked.send_modify(|asked| *asked += 1);
    // The sender lives as long as the platform.
    let _ = gate.open.subscribe().wait_for(|open| *open).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_version_that_takes_over_does_not_understand_is_not_stored() -> anyhow::Result<()> {
    let (gate, addr) = Gate::start().await?;
    let host = TestHost::bare().await?;
    let client = host.client();
    let version = |number: &str, region: bool| Variant::new(number).with("/config", closed_config(region));
    active(client, &version("1.0.0", true).doing("check-asks")).await?;
    client.register(&payload("A", "Versions", addr.port())).await?;
    install(client, &version("2.0.0", false)).await?;
    install(client, &version("1.1.0", true)).await?;
    let mut newer = payload("A", "Versions", addr.port())["connection"].take();
    newer["region"] = "north".into();
    let body = json!({ "connection": newer });
    // Tried by the first version; when the platform answers, another one serves.
    let overtaken = async |by: &'static str| -> anyhow::Result<Answer> {
        gate.open.send_replace(false);
        let before = *gate.asked.borrow();
        let take_over = async {
            gate.asked.subscribe().wait_for(|asked| *asked > before).await?;
            let connector = activate(client, by, &json!({})).await?;
            ensure!(connector["version"] == by, "{connector}");
            gate.open.send_replace(true);
            anyhow::Ok(())
        };
        let (stored, taken_over) = tokio::join!(client.put("/data/connection/A", &body), take_over);
        taken_over?;
        stored
    };

    let refused = overtaken("2.0.0").await?.expect(400)?;
    assert_eq!(refused.code(), "invalid-connection", "{}", refused.text);
    let a = client.get("/data/connection/A").await?.expect(200)?.json;
    assert_eq!(a["connection"].get("region"), None, "{a}");
    client.sync("A").await?;

    roll_back(client).await?.expect(200)?;
    let stored = overtaken("1.1.0").await?.expect(200)?.json;
    assert_eq!((&stored["connection"]["region"], &stored["connector"]["version"]), (&json!("north"), &json!("1.1.0")));
    client.sync("A").await?;
    sound(&host).await?;
    host.stop().await;
    Ok(())
}
