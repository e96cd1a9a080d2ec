//! Components that come in by HTTP as they are, and in forms as `curl -F` makes them.

use reqwest::{Method, header::CONTENT_TYPE};
use serde_json::{Value, json};
use wharfinger_tests::{Answer, Client, TestHost, versions::Variant};

/// The largest component that is taken.
const MOST: usize = 32 << 20;

/// A part as `curl -F NAME=@FILE` sends it, or, without a file's name, as `-F NAME=TEXT` does.
fn part(name: &str, file: Option<&str>, value: &[u8]) -> Vec<u8> {
    let file = file.map(|file| format!("; filename=\"{file}\"\r\nContent-Type: application/octet-stream"));
    let head = format!("Content-Disposition: form-data; name=\"{name}\"{}\r\n\r\n", file.unwrap_or_default());
    [b"--edge\r\n", head.as_bytes(), value, b"\r\n"].concat()
}

fn form(parts: &[Vec<u8>]) -> Vec<u8> {
    [&parts.concat()[..], b"--edge--\r\n"].concat()
}

async fn send(client: &Client, content_type: &str, body: Vec<u8>) -> anyhow::Result<Answer> {
    client.send(client.request(Method::POST, "/connectors").header(CONTENT_TYPE, content_type).body(body)).await
}

const FORM: &str = "multipart/form-data; boundary=edge";

#[tokio::test(flavor = "multi_thread")]
async fn a_component_comes_in_as_it_is_or_in_a_form() -> anyhow::Result<()> {
    let host = TestHost::bare().await?;
    let client = host.client();
    for (version, kind) in [("1.0.0", "application/octet-stream"), ("1.1.0", "application/wasm")] {
        send(client, kind, Variant::new(version).component()?).await?.expect(201)?;
    }
    let component = part("component", Some("versions.wasm"), &Variant::new("1.2.0").component()?);
    let answer =
        send(client, FORM, form(&[component.clone(), part("origin", None, b"the yard")])).await?.expect(201)?;
    assert_eq!(answer.json["version"], "1.2.0");
    assert_eq!(send(client, FORM, form(&[component])).await?.expect(200)?.json["isNew"], false, "the same again");
    let shown = client.get("/connectors/versions").await?.expect(200)?.json;
    let origins: Vec<&Value> = shown["versions"].as_array().expect("versions").iter().map(|v| &v["origin"]).collect();
    assert_eq!(origins, [&json!("the yard"), &json!("upload"), &json!("upload")]);
    let document = client.get("/openapi.json").await?.expect(200)?.json;
    let bodies = &document["paths"]["/connectors"]["post"]["requestBody"]["content"];
    assert!(bodies["application/octet-stream"].is_object() && bodies["multipart/form-data"].is_object(), "{bodies}");
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_comes_in_a_part_of_its_own() -> anyhow::Result<()> {
    let (key, _) = wharfinger::connector::signature::SigningKey::generate()?;
    let host = TestHost::start_with(wharfinger::clock::Clock::system(), |config| {
        config.trust.keys = vec![key.public()];
    })
    .await?;
    let component = Variant::new("1.0.0").component()?;
    let signature = wharfinger::connector::signature::detach(&component, &key);
    let parts = [part("signature", Some("a.sig"), signature.as_bytes()), part("component", Some("a.wasm"), &component)];
    let answer = send(host.client(), FORM, form(&parts)).await?.expect(201)?;
    assert!(answer.json["signature"].as_str().is_some_and(|state| state.starts_with("trusted ")), "{}", answer.text);
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_is_not_right_installs_nothing_and_says_what_is_wrong() -> anyhow::Result<()> {
    let host = TestHost::bare().await?;
    let client = host.client();
    let component = part("component", Some("a.wasm"), &Variant::new("1.0.0").component()?);
    let whole = form(std::slice::from_ref(&component));
    let cut = whole[..whole.len() - 9].to_vec();
    let half = whole[..whole.len() / 2].to_vec();
    let not_text = form(&[component.clone(), part("origin", None, b"\xff\xfe")]);
    let controls = form(&[component.clone(), part("origin", None, b"a\x1b[2J")]);
    let long = form(&[component.clone(), part("signature", None, &[b'a'; 70_000])]);
    let large = form(&[part("component", Some("a.wasm"), &vec![0; MOST + 1])]);
    let huge = form(&[part("component", Some("a.wasm"), &vec![0; MOST + (8 << 20)])]);
    for (what, kind, body, status, says) in [
        ("no boundary", "multipart/form-data", whole.clone(), 400, "names no boundary"),
        ("another boundary", "multipart/form-data; boundary=other", whole.clone(), 400, "begin with its boundary"),
        ("a longer boundary", "multipart/form-data; boundary=edges", whole.clone(), 400, "begin with its boundary"),
        ("an unknown part", FORM, form(&[component.clone(), part("force", None, b"1")]), 400, "part \"force\""),
        ("two components", FORM, form(&[component.clone(), component.clone()]), 400, "two parts \"component\""),
        ("no component", FORM, form(&[part("origin", None, b"x")]), 400, "no part \"component\""),
        ("nothing", FORM, Vec::new(), 400, "did not arrive whole"),
        ("cut off at the end", FORM, cut, 400, "did not arrive whole"),
        ("cut off in the middle", FORM, half, 400, "did not arrive whole"),
        ("a part for another field", FORM, form(&[part("token", None, b"x"), component]), 400, "part \"token\""),
        ("an origin that is no text", FORM, not_text, 400, "is no text"),
        ("an origin that moves the cursor", FORM, controls, 400, "control characters"),
        ("a long signature", FORM, long, 413, "\"signature\" is larger"),
        ("a large component", FORM, large, 413, "\"component\" is larger"),
        ("a huge form", FORM, huge, 413, "larger than"),
        ("another kind of form", "application/x-www-form-urlencoded", b"component=x".to_vec(), 415, "content type"),
    ] {
        let answer = send(client, kind, body).await?;
        assert_eq!(answer.status, status, "{what}: {}", answer.text);
        assert!(
            answer.json["message"].as_str().is_some_and(|message| message.contains(says)),
            "{what}: {}",
            answer.text
        );
    }
    // Said twice, nobody knows which one holds.
    let body = form(&[part("component", Some("a.wasm"), b"x"), part("origin", None, b"here")]);
    let request = client.request(Method::POST, "/connectors?origin=there").header(CONTENT_TYPE, FORM).body(body);
    let answer = client.send(request).await?.expect(400)?;
    assert!(answer.text.contains("the request says it too"), "{}", answer.text);
    assert_eq!(client.get("/connectors").await?.expect(200)?.json, json!([]));
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_is_cut_off_by_the_sender_installs_nothing() -> anyhow::Result<()> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let host = TestHost::bare().await?;
    let component = part("component", Some("a.wasm"), &Variant::new("1.0.0").component()?);
    let body = form(&[component]);
    let mut stream = tokio::net::TcpStream::connect(host.client().base().trim_start_matches("http://")).await?;
    let head = format!(
        "POST /connectors HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: {FORM}\r\n\
         content-length: {}\r\n\r\n",
        wharfinger_tests::host::ADMIN_KEY,
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&body[..body.len() / 2]).await?;
    stream.shutdown().await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert_eq!(host.client().get("/connectors").await?.expect(200)?.json, json!([]));
    host.stop().await;
    Ok(())
}
