//! Each thing that is refused says what is wrong, and nothing of it is stored.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use wharfinger_simulators::unity_catalog::Names;
use wharfinger_tests::{Client, TestHost, host::ADMIN_KEY};

use super::platform;

/// The payload with one value replaced.
fn with(payload: &Value, pointer: &str, value: Value) -> Value {
    let mut changed = payload.clone();
    let (parent, name) = pointer.rsplit_once('/').expect("pointer");
    changed.pointer_mut(parent).expect("parent")[name] = value;
    changed
}

async fn nothing_is_stored(client: &Client) {
    let all = client.post("/data/object/search", &json!({})).await.expect("search");
    assert_eq!(all.json["count"], 0, "{}", all.text);
    assert_eq!(client.get("/jobs").await.expect("jobs").json, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_that_is_wrong_is_named_and_leaves_nothing() {
    let host = TestHost::start().await.expect("host");
    let platform = platform(1, Names::Plain).await;
    let good = platform.payload("Good");
    for (name, payload, status, code, part) in [
        (
            "unknown technology",
            with(&good, "/connection/technology", json!("Punch Cards")),
            422,
            "unknown-technology",
            "Databricks",
        ),
        ("no technology", with(&good, "/connection/technology", Value::Null), 400, "invalid-body", "technology"),
        ("unknown field", with(&good, "/colour", json!(1)), 400, "invalid-body", "colour"),
        (
            "unknown field of the connector",
            with(&good, "/connection/colour", json!(1)),
            400,
            "invalid-connection",
            "colour",
        ),
        (
            "wrong type of the connector",
            with(&good, "/connection/port", json!("many")),
            400,
            "invalid-connection",
            "port",
        ),
        ("wrong type", with(&good, "/settings/isActive", json!("yes")), 400, "invalid-body", "settings.isActive"),
        ("a pin to nothing", with(&good, "/options", json!({"pin": "1.0"})), 409, "cannot-pin", "version 1.0"),
        ("empty key", with(&good, "/connectionKey", json!("")), 400, "invalid-key", "empty"),
        ("reserved key", with(&good, "/connectionKey", json!("search")), 400, "invalid-key", "reserved"),
        ("key with a control character", with(&good, "/connectionKey", json!("a\u{7}")), 400, "invalid-key", "control"),
        ("long key", with(&good, "/connectionKey", json!("k".repeat(256))), 400, "invalid-key", "256"),
        (
            "owners",
            with(&good, "/settings/dataOwners", json!([{"type": "user", "name": "a"}])),
            400,
            "not-supported",
            "dataOwners",
        ),
        ("impersonation", with(&good, "/settings/impersonation", json!(true)), 400, "not-supported", "impersonation"),
        (
            "workspaces",
            with(&good, "/options", json!({"projectWorkspaces": true})),
            400,
            "not-supported",
            "projectWorkspaces",
        ),
        (
            "wrong token",
            with(&good, "/connection/token", json!("dapi0000000000000000000000000000dead")),
            422,
            "authentication-failed",
            "authenticate",
        ),
        ("nobody there", with(&good, "/connection/port", json!(1)), 422, "unreachable", "reach"),
    ] {
        let answer = host.client().post("/data/connection", &payload).await.expect(name);
        assert_eq!(answer.status.as_u16(), status, "{name}: {}", answer.text);
        assert_eq!(answer.code(), code, "{name}: {}", answer.text);
        assert!(answer.message().contains(part), "{name}: {}", answer.text);
        assert!(!answer.json["requestId"].as_str().expect("requestId").is_empty(), "{name}");
        let token = payload["connection"]["token"].as_str().expect("token");
        assert!(!answer.text.contains(token), "{name}: the answer repeats the secret");
    }
    nothing_is_stored(host.client()).await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_in_the_wrong_place_is_not_repeated() {
    const CANARY: &str = "dapi5ecre7canary";
    let host = TestHost::start().await.expect("host");
    let good = platform(1, Names::Plain).await.payload("Good");
    for (pointer, value, status, code) in [
        ("/connection", json!(CANARY), 400, "invalid-body"),
        ("/connection", json!(format!("{CANARY}, expected {CANARY}")), 400, "invalid-body"),
        ("/connection", json!([CANARY]), 400, "invalid-body"),
        ("/connectionKey", json!({ "token": CANARY }), 400, "invalid-body"),
        ("/settings", json!(CANARY), 400, "invalid-body"),
        ("/settings/isActive", json!(CANARY), 400, "invalid-body"),
        ("/options", json!(CANARY), 400, "invalid-body"),
        ("/connection/technology", json!([CANARY]), 400, "invalid-body"),
        ("/connection/technology", json!(CANARY.repeat(5)), 422, "unknown-technology"),
        ("/connection/port", json!(CANARY), 400, "invalid-connection"),
    ] {
        let payload = with(&good, pointer, value);
        let answer = host.client().post("/data/connection", &payload).await.expect(pointer);
        assert_eq!((answer.status.as_u16(), answer.code()), (status, code), "{pointer}: {}", answer.text);
        assert!(!answer.text.contains(CANARY), "{pointer}: {}", answer.text);
    }
    nothing_is_stored(host.client()).await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_bounded_typed_and_json() {
    let host = TestHost::start().await.expect("host");
    let client = host.client();
    let post = || client.request(reqwest::Method::POST, "/data/connection");
    let json_type = "application/json";
    let huge = format!("{{\"connectionKey\":\"{}\"}}", "x".repeat(10 * 1024 * 1024));
    for (name, request, status, code) in [
        ("10 MB", post().header("content-type", json_type).body(huge), 413, "too-large"),
        ("not JSON", post().header("content-type", json_type).body("{"), 400, "not-json"),
        ("not UTF-8", post().header("content-type", json_type).body(vec![b'"', 0xff, b'"']), 400, "not-json"),
        (
            "a form",
            post().header("content-type", "application/x-www-form-urlencoded").body("a=b"),
            415,
            "unsupported-media-type",
        ),
        ("no type", post().body("{}"), 415, "unsupported-media-type"),
        ("empty", post(), 400, "invalid-body"),
    ] {
        let answer = client.send(request).await.expect(name);
        assert_eq!((answer.status.as_u16(), answer.code()), (status, code), "{name}: {}", answer.text);
    }
    // The head alone is enough to refuse it, and one that does not tell its length is refused when it has become too long.
    let head = format!(
        "POST /data/connection HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {ADMIN_KEY}\r\ncontent-type: application/json\r\n"
    );
    let announced = raw(&host, format!("{head}content-length: 10485760\r\n\r\n{{").into_bytes()).await;
    assert!(announced.starts_with("HTTP/1.1 413"), "{announced}");
    let mut chunked = format!("{head}transfer-encoding: chunked\r\n\r\n").into_bytes();
    for _ in 0..17 {
        chunked.extend_from_slice(b"10000\r\n");
        chunked.extend_from_slice(&vec![b' '; 0x10000]);
        chunked.extend_from_slice(b"\r\n");
    }
    let endless = raw(&host, chunked).await;
    assert!(endless.starts_with("HTTP/1.1 413"), "{endless}");
    nothing_is_stored(client).await;
    host.stop().await;
}

/// Sends bytes, keeps the connection open, and gives the beginning of the answer.
async fn raw(host: &TestHost, bytes: Vec<u8>) -> String {
    let mut stream = TcpStream::connect(host.app().addr()).await.expect("connected");
    stream.write_all(&bytes).await.expect("sent");
    let mut answer = vec![0; 4096];
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut answer)).await;
    let n = read.expect("an answer before the body is whole").expect("read");
    String::from_utf8_lossy(&answer[..n]).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn urls_that_mean_nothing_say_so() {
    let host = TestHost::start().await.expect("host");
    for (path, status, code) in [
        ("/data/object/a%2", 400, "invalid-encoding"),
        ("/data/object/%FF", 400, "invalid-encoding"),
        ("/data/object/a//b", 400, "invalid-path"),
        ("/data/object", 400, "no-object"),
        ("/data/object?id=7", 400, "invalid-id"),
        ("/data/object/a?namspace=x", 400, "invalid-query"),
        ("/data/object/nobody", 404, "not-found"),
        ("/data/connection/nobody", 404, "not-found"),
        ("/data/connection/a/b", 400, "invalid-path"),
        ("/jobs?bulkId=x", 400, "invalid-id"),
        ("/jobs?bulkid=x", 400, "invalid-query"),
        ("/jobs/search?size=0", 400, "invalid-query"),
        ("/jobs/search?state=running", 400, "invalid-query"),
        ("/jobs/search?startDate=yesterday", 400, "invalid-query"),
        ("/data/nothing", 404, "not-found"),
        ("/data/crawl/a", 405, "method-not-allowed"),
    ] {
        let answer = host.client().get(path).await.expect(path);
        assert_eq!((answer.status.as_u16(), answer.code()), (status, code), "{path}: {}", answer.text);
    }
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_needed_and_must_be_known() {
    let host = TestHost::start().await.expect("host");
    for client in [host.stranger(), Client::new(host.client().base(), Some("somebody-elses-key-0123456789".into()))] {
        for path in ["/jobs", "/data/object/a", "/connectors"] {
            let answer = client.get(path).await.expect(path);
            assert_eq!((answer.status.as_u16(), answer.code()), (401, "unauthenticated"), "{path}");
            assert!(answer.headers.contains_key("www-authenticate"), "{path}");
        }
    }
    let raw = host.stranger().request(reqwest::Method::GET, "/jobs").header("authorization", ADMIN_KEY);
    assert_eq!(host.stranger().send(raw).await.expect("raw key").status, 200, "a raw key is taken too");
    for path in ["/healthz", "/readyz", "/openapi.json", "/docs"] {
        assert_eq!(host.stranger().get(path).await.expect(path).status, 200, "{path}");
    }
    host.stop().await;
}
