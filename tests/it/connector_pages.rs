//! The pages of connectors, as a browser uses them: install, approve, activate, try out, pin, roll back, remove.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use reqwest::StatusCode;
use serde_json::json;
use wharfinger::{
    api::caller::token_digest,
    clock::Clock,
    connector::signature::{SigningKey, detach},
    model::{
        id::PrincipalId,
        principal::{Permission, Principal},
        sight::Sight,
    },
};
use wharfinger_tests::{
    TestHost,
    versions::{Variant, payload},
};

use crate::pages::{Browser, Page};

const LIST: &str = "/ui/connectors";
const ONE: &str = "/ui/connectors/versions";

/// The body of a form with files, as a browser makes it.
fn multipart(fields: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in fields {
        let head = format!("--edge\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"x\"\r\n\r\n");
        body.extend([head.as_bytes(), value, b"\r\n"].concat());
    }
    body.extend(b"--edge--\r\n");
    body
}

async fn upload(browser: &Browser, variant: &Variant, signature: &str) -> anyhow::Result<Page> {
    let token = browser.get(LIST).await?.token()?;
    let component = variant.component()?;
    let fields: [(&str, &[u8]); 3] =
        [("token", token.as_bytes()), ("component", &component), ("signature", signature.as_bytes())];
    browser.send_body(LIST, "multipart/form-data; boundary=edge", multipart(&fields)).await
}

/// Sends the form of a question as it is shown, with these fields besides.
async fn decide(browser: &Browser, path: &str, more: &[(&str, &str)]) -> anyhow::Result<Page> {
    let asked = browser.get(path).await?;
    ensure!(asked.status == StatusCode::OK, "{}: {}", asked.status, asked.text);
    asked.assert_harmless();
    let hidden = asked.hidden_fields();
    let fields: Vec<(&str, &str)> =
        hidden.iter().map(|(name, value)| (name.as_str(), value.as_str())).chain(more.iter().copied()).collect();
    browser.submit(path, path, &fields).await
}

/// The page of the connector when no activation is under way any more.
async fn settled(browser: &Browser) -> anyhow::Result<Page> {
    for _ in 0..600 {
        let page = browser.get(ONE).await?;
        if page.header("refresh").is_empty() {
            page.assert_harmless();
            return Ok(page);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!("the activation does not end")
}

#[track_caller]
fn leads(page: &Page, to: &str) {
    assert_eq!((page.status, page.header("location")), (StatusCode::SEE_OTHER, to), "{}", page.text);
}

/// The row of a version.
fn row<'a>(page: &'a Page, version: &str) -> anyhow::Result<&'a str> {
    let mut rows = page.text.split("<tr>").filter(|row| row.contains("<code class=\"digest\""));
    rows.find(|row| row.contains(&format!(">{version}<"))).with_context(|| format!("{version} in {}", page.text))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_goes_from_a_file_to_serving_and_back() -> anyhow::Result<()> {
    let (key, _) = SigningKey::generate()?;
    let host = TestHost::start_with(Clock::system(), |config| config.trust.keys = vec![key.public()]).await?;
    let browser = Browser::signed_in(&host).await?;
    let first = Variant::new("1.0.0").with("/title", json!("Shelves <b>of</b> guests"));
    leads(&upload(&browser, &first, "").await?, &format!("{ONE}?done=installed&version=1.0.0"));
    let page = browser.get(&format!("{ONE}?done=installed&version=1.0.0")).await?;
    page.assert_harmless();
    assert!(page.text.contains("It serves nobody until it is activated"), "{}", page.text);
    assert!(row(&page, "1.0.0")?.contains("Waits for approval") && row(&page, "1.0.0")?.contains("Not signed"));
    assert!(browser.get(LIST).await?.text.contains("waits for approval"));

    // Not what was shown: nothing is granted.
    let approve = format!("{ONE}/1%2E0%2E0/approve");
    let other = browser.submit(&approve, &approve, &[("permission-0", "send GET to anywhere")]).await?;
    assert_eq!(other.status, StatusCode::CONFLICT);
    let early = decide(&browser, &format!("{ONE}/1%2E0%2E0/activate"), &[("scope", "all")]).await?;
    assert_eq!(early.status, StatusCode::CONFLICT, "nobody granted it");
    leads(&decide(&browser, &approve, &[]).await?, &format!("{ONE}?done=approved&version=1.0.0"));
    leads(&decide(&browser, &format!("{ONE}/1%2E0%2E0/activate"), &[("scope", "all")]).await?, ONE);
    let page = settled(&browser).await?;
    assert!(row(&page, "1.0.0")?.contains("Active") && page.text.contains("Healthy"), "{}", page.text);

    // The next one is signed, and tried out by one of two connections.
    host.client().register(&payload("One", "Versions", 1)).await?;
    host.client().register(&payload("Two", "Versions", 2)).await?;
    let second = Variant::new("2.0.0");
    let signature = detach(&second.component()?, &key);
    upload(&browser, &second, &signature).await?;
    let page = browser.get(ONE).await?;
    assert!(row(&page, "2.0.0")?.contains("Trusted key"), "{}", page.text);
    let activate = format!("{ONE}/2%2E0%2E0/activate");
    assert_eq!(decide(&browser, &activate, &[("scope", "some")]).await?.status, StatusCode::BAD_REQUEST, "which?");
    let asked = browser.fragment(&activate).await?;
    assert!(asked.text.trim_start().starts_with("<form"), "the inside of a dialog: {}", asked.text);
    let chosen = asked.field_of_value("One")?;
    leads(&decide(&browser, &activate, &[("scope", "some"), (&chosen, "One")]).await?, ONE);
    let page = settled(&browser).await?;
    assert!(page.text.contains("Tries it out") && row(&page, "2.0.0")?.contains("Trying out"), "{}", page.text);

    // For all, and back.
    leads(&decide(&browser, &activate, &[("scope", "all")]).await?, ONE);
    let page = settled(&browser).await?;
    assert!(row(&page, "1.0.0")?.contains("Active before"), "{}", page.text);
    let stale = browser.submit(ONE, &format!("{ONE}/rollback"), &[("revision", "1")]).await?;
    assert_eq!(stale.status, StatusCode::PRECONDITION_FAILED, "somebody who saw something else");
    leads(&decide(&browser, &format!("{ONE}/rollback"), &[]).await?, &format!("{ONE}?done=back"));
    let page = browser.get(ONE).await?;
    assert!(row(&page, "1.0.0")?.contains("Active"), "{}", page.text);
    leads(
        &decide(&browser, &format!("{ONE}/2%2E0%2E0/remove"), &[]).await?,
        &format!("{ONE}?done=removed&version=2.0.0"),
    );
    let page = browser.get(ONE).await?;
    assert!(row(&page, "2.0.0").is_err());
    assert!(page.text.contains("installed") && page.text.contains("removed"), "what was done: {}", page.text);
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_pinned_on_its_page() -> anyhow::Result<()> {
    let host = TestHost::start().await?;
    let browser = Browser::signed_in(&host).await?;
    for version in ["1.0.0", "1.1.0"] {
        upload(&browser, &Variant::new(version), "").await?;
        decide(&browser, &format!("{ONE}/1%2E0%2E0/approve"), &[]).await?;
        let number = version.replace('.', "%2E");
        decide(&browser, &format!("{ONE}/{number}/activate"), &[("scope", "all")]).await?;
        settled(&browser).await?;
    }
    host.client().register(&payload("One", "Versions", 1)).await?;
    let object = host.client().get("/data/object/One").await?.expect(200)?.json;
    let tab = format!("/ui/object/{}/connection", object["id"].as_str().context("id")?);
    let page = browser.get(&tab).await?;
    assert!(page.text.contains("always 1.0.0") && page.text.contains("whichever version is active"), "{}", page.text);
    let revision = page.field("revision")?;
    let pin = tab.replace("/connection", "/pin");
    let saved = browser.submit(&tab, &pin, &[("revision", &revision), ("pin", "1.0.0")]).await?;
    leads(&saved, &format!("{tab}?saved=1#connector"));
    let connection = host.client().get("/data/connection/One").await?.expect(200)?.json;
    assert_eq!(
        (&connection["options"]["pin"], &connection["connector"]["version"]),
        (&json!("1.0.0"), &json!("1.0.0"))
    );
    assert!(browser.get(ONE).await?.text.contains("Pinned"));
    let again = browser.submit(&tab, &pin, &[("revision", &revision), ("pin", "")]).await?;
    assert_eq!(again.status, StatusCode::PRECONDITION_FAILED);
    let revision = browser.get(&tab).await?.field("revision")?;
    browser.submit(&tab, &pin, &[("revision", &revision), ("pin", "")]).await?;
    let connection = host.client().get("/data/connection/One").await?.expect(200)?.json;
    assert_eq!(connection["connector"]["version"], "1.1.0");
    let missing =
        browser.submit(&tab, &pin, &[("revision", &connection["revision"].to_string()), ("pin", "9.9.9")]).await?;
    assert_eq!(missing.status, StatusCode::CONFLICT, "{}", missing.text);
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_component_is_refused_on_the_page() -> anyhow::Result<()> {
    let host = TestHost::start().await?;
    let browser = Browser::signed_in(&host).await?;
    let token = browser.get(LIST).await?.token()?;
    let kind = "multipart/form-data; boundary=edge";
    let form = |token: &str, component: &[u8]| multipart(&[("token", token.as_bytes()), ("component", component)]);
    let page = browser.send_body(LIST, kind, form(&token, b"#!/bin/sh <b>x</b>")).await?;
    page.assert_harmless();
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.text.contains("It was not installed.") && page.text.contains("not WebAssembly"), "{}", page.text);
    let bad = upload(&browser, &Variant::new("1.0.0"), "not a signature").await?;
    assert!(bad.text.contains("cannot be read"), "{}", bad.text);
    for (what, kind, body) in [
        ("of another session", kind, form("guessed", b"\0asm")),
        ("without a token", kind, multipart(&[("component", b"\0asm")])),
    ] {
        assert_eq!(browser.send_body(LIST, kind, body).await?.status, StatusCode::FORBIDDEN, "{what}");
    }
    let cut = form(&token, b"\0asm");
    let cut = browser.send_body(LIST, kind, cut[..cut.len() - 10].to_vec()).await?;
    assert_eq!(cut.status, StatusCode::BAD_REQUEST);
    let large = browser.send_body(LIST, kind, form(&token, &vec![0; 33 << 20])).await?;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_are_for_administrators_only() -> anyhow::Result<()> {
    let host = TestHost::start().await?;
    let admin = Browser::signed_in(&host).await?;
    assert!(admin.get("/ui/jobs").await?.text.contains("href=\"/ui/connectors\""));
    upload(&admin, &Variant::new("1.0.0"), "").await?;
    let key = "key-of-a-governor-0123456789";
    let principal = Principal {
        id: PrincipalId::generate(),
        name: "governor".into(),
        email: None,
        permissions: vec![Permission::Governance],
        sight: Sight::All,
    };
    host.app().db().put_principal(principal, token_digest(key)).await?;
    let governor = Browser::signed_in_as(&host, key).await?;
    let jobs = governor.get("/ui/jobs").await?;
    assert!(!jobs.text.contains("/ui/connectors"), "{}", jobs.text);
    let token = jobs.token()?;
    for path in [
        "",
        "/versions",
        "/versions/rollback",
        "/versions/1.0.0/approve",
        "/versions/1.0.0/activate",
        "/versions/1.0.0/remove",
    ] {
        let path = format!("{LIST}{path}");
        assert_eq!(governor.get(&path).await?.status, StatusCode::FORBIDDEN, "{path}");
        if path != LIST && path != ONE {
            let sent = governor.submit("/ui/jobs", &path, &[("revision", "1")]).await?;
            assert_eq!(sent.status, StatusCode::FORBIDDEN, "{path}");
        }
    }
    let body = multipart(&[("token", token.as_bytes()), ("component", &Variant::new("2.0.0").component()?)]);
    let sent = governor.send_body(LIST, "multipart/form-data; boundary=edge", body).await?;
    assert_eq!(sent.status, StatusCode::FORBIDDEN);
    assert_eq!(admin.get(&format!("{LIST}/nothing")).await?.status, StatusCode::NOT_FOUND);
    assert_eq!(admin.get(&format!("{ONE}/9.9.9/approve")).await?.status, StatusCode::NOT_FOUND);
    host.stop().await;
    Ok(())
}
