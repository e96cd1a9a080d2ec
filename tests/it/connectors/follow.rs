//! `GET /audit/events`: what is done to connectors, as it is.

use serde_json::json;
use tokio::time::{Instant, timeout};
use wharfinger::{
    api::caller::token_digest,
    model::{
        id::PrincipalId,
        principal::{Permission, Principal},
        sight::Sight,
    },
};
use wharfinger_tests::{TestHost, versions::Variant};

use super::*;
use crate::jobs::events::Stream;

const EVENTS: &str = "/audit/events?subject=connectors/versions";

#[tokio::test(flavor = "multi_thread")]
async fn each_step_is_an_event_when_it_is_taken_and_again_after_a_cut() -> anyhow::Result<()> {
    let host = TestHost::bare().await?;
    let client = host.client();
    install(client, &Variant::new("0.9.0").named("other", "Other")).await?;
    let mut stream = Stream::follow(client, EVENTS, None).await?;
    active(client, &Variant::new("1.0.0")).await?;
    let steps = ["connector.install", "connector.approve", "connector.rollout", "connector.activate"];
    let mut events = Vec::new();
    for step in steps {
        let event = stream.next().await?.context("the stream ended")?;
        assert_eq!((event.name.as_str(), &event.data["action"]), ("entry", &json!(step)), "{event:?}");
        assert_eq!(event.id, event.data["sequence"].to_string());
        assert!(text(&event.data, "message").contains("versions"), "{event:?}");
        events.push(event);
    }
    let page = client.get("/audit?subject=connectors/versions").await?.expect(200)?.json;
    let listed: Vec<&Value> = page["hits"].as_array().context("hits")?.iter().rev().collect();
    assert_eq!(listed, events.iter().map(|event| &event.data).collect::<Vec<_>>(), "the same entries");
    // What is not about the subject, and what was there before, is told to who asks for it.
    let all = Stream::follow(client, "/audit/events", Some("0")).await?.next().await?.context("an event")?;
    assert_eq!((all.id.as_str(), &all.data["subject"]), ("1", &json!("connectors/other")));

    let host = host.restart().await?;
    let client = host.client();
    let mut again = Stream::follow(client, EVENTS, Some(&events[1].id)).await?;
    for event in &events[2..] {
        assert_eq!(again.next().await?.context("the stream ended")?.data, event.data);
    }
    let began = Instant::now();
    install(client, &Variant::new("1.1.0")).await?;
    let event = again.next().await?.context("the stream ended")?;
    assert_eq!(event.data["action"], "connector.install");
    eprintln!("an entry is told {:?} after its component was sent", began.elapsed());
    for last in ["nonsense", "999999"] {
        let event = Stream::follow(client, EVENTS, Some(last)).await?.next().await?.context("an event")?;
        assert_eq!(event.name, "reset", "{last}: {event:?}");
    }
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_read_the_audit_does_not_follow_it_either() -> anyhow::Result<()> {
    let host = TestHost::bare().await?;
    assert_eq!(host.stranger().get(EVENTS).await?.status, 401);
    let other = host.caller("governance", &[Permission::Governance], Sight::All).await?;
    assert_eq!(other.get(EVENTS).await?.status, 403);
    // Somebody who may at first.
    let (id, key) = (PrincipalId::generate(), "test-key-of-somebody-for-a-while");
    let person = |permissions: &[Permission]| Principal {
        id,
        name: "for a while".into(),
        email: None,
        permissions: permissions.to_vec(),
        sight: Sight::All,
    };
    let db = host.app().db();
    db.put_principal(person(&[Permission::ApplicationAdmin]), token_digest(key)).await?;
    let client = Client::new(host.client().base(), Some(key.into()));
    let mut stream = Stream::follow(&client, EVENTS, None).await?;
    active(host.client(), &Variant::new("1.0.0")).await?;
    assert_eq!(stream.next().await?.context("an event")?.name, "entry");
    db.put_principal(person(&[]), token_digest(key)).await?;
    let ended = async {
        while stream.next().await?.is_some() {}
        anyhow::Ok(())
    };
    timeout(Duration::from_secs(28), ended).await.context("it goes on")??;
    host.stop().await;
    Ok(())
}
