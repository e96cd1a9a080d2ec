//! The OpenAPI document tells the truth: what the host answers satisfies the schemas that it promises.

use reqwest::Method;
use serde_json::{Value, json};
use wharfinger_simulators::unity_catalog::Names;
use wharfinger_tests::{Answer, TestHost};

use super::platform;

/// Fails unless the answer satisfies the schema that the document has for it.
fn conforms(document: &Value, method: &Method, path: &str, answer: &Answer) {
    let operation = &document["paths"][path][method.as_str().to_lowercase()];
    assert!(operation.is_object(), "{method} {path} is not in the document");
    let status = answer.status.as_u16().to_string();
    let response = operation["responses"].get(&status).unwrap_or(&operation["responses"]["default"]);
    let success = answer.status.is_success();
    assert!(!success || operation["responses"].get(&status).is_some(), "{method} {path} answers {status}");
    let mut schema = response["content"]["application/json"]["schema"].clone();
    // A boolean schema allows anything and needs no components.
    if let Some(map) = schema.as_object_mut() {
        map.insert("components".into(), document["components"].clone());
    }
    let validator = jsonschema::draft202012::new(&schema).expect("schema");
    let errors: Vec<String> =
        validator.iter_errors(&answer.json).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(errors.is_empty(), "{method} {path} {status}: {errors:?}\n{}", answer.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_satisfy_their_schemas() {
    let host = TestHost::start().await.expect("host");
    let platform = platform(30, Names::Plain).await;
    let client = host.client();
    let document = client.get("/openapi.json").await.expect("document").json;
    assert_eq!(document["openapi"], "3.1.0");

    let registered = client.post("/data/connection", &platform.payload("Doc")).await.expect("registered");
    conforms(&document, &Method::POST, "/data/connection", &registered);
    let bulk = registered.json["bulkId"].as_str().expect("bulk").to_owned();
    let job = client.completed(&bulk).await.expect("synced");
    let id = job["id"].as_str().expect("id").to_owned();
    let table = client.descendants("Doc").await.expect("objects").pop().expect("a table");
    let table = super::url_of(&table);

    for (method, path, real, body) in [
        (Method::POST, "/data/connection/test", "/data/connection/test".to_owned(), platform.payload("Other")),
        (Method::GET, "/data/connection/{path}", "/data/connection/Doc".into(), json!({})),
        (
            Method::PUT,
            "/data/connection/{path}",
            "/data/connection/Doc".into(),
            json!({ "options": { "forceRecursiveCrawl": false } }),
        ),
        (Method::GET, "/data/object/{path}", format!("/data/object/{table}"), json!({})),
        (Method::GET, "/data/object/{path}", "/data/object/nothing".into(), json!({})),
        (Method::GET, "/data/columns/{path}", format!("/data/columns/{table}"), json!({})),
        (Method::POST, "/data/object/search", "/data/object/search".into(), json!({})),
        (
            Method::POST,
            "/data/object/search/{path}",
            "/data/object/search/Doc".into(),
            json!({ "recursive": true, "size": 2 }),
        ),
        (
            Method::POST,
            "/data/filter/{path}",
            "/data/filter/Doc".into(),
            json!({ "include": ["*.*"], "exclude": [["nobody"]] }),
        ),
        (
            Method::PUT,
            "/data/settings/{path}",
            format!("/data/settings/{table}?dryRun=true"),
            json!({ "settings": { "isActive": false } }),
        ),
        (
            Method::PUT,
            "/data/settings/{path}",
            format!("/data/settings/{table}"),
            json!({ "settings": { "isActive": false, "activateNewChildren": null } }),
        ),
        (Method::GET, "/data/object/{path}", format!("/data/object/{table}"), json!({})),
        (Method::POST, "/data/crawl/{path}", "/data/crawl/Doc".into(), json!({ "forceRecursive": true })),
        (Method::GET, "/jobs", format!("/jobs?bulkId={bulk}"), json!({})),
        (Method::GET, "/jobs/search", "/jobs/search?size=1".into(), json!({})),
        (Method::GET, "/jobs/search", "/jobs/search?jobType=settingsChange".into(), json!({})),
        (Method::GET, "/jobs/summary", "/jobs/summary".into(), json!({})),
        (Method::POST, "/jobs/statuses", "/jobs/statuses".into(), json!({ "jobIds": [id], "wait": 1 })),
        (Method::GET, "/jobs/{id}", format!("/jobs/{id}"), json!({})),
        (Method::POST, "/jobs/{id}/cancel", format!("/jobs/{id}/cancel"), json!({})),
        (Method::GET, "/connectors", "/connectors".into(), json!({})),
        (Method::GET, "/healthz", "/healthz".into(), json!({})),
        (Method::GET, "/readyz", "/readyz".into(), json!({})),
        (Method::DELETE, "/data/object/{path}", "/data/object/Doc".into(), json!({})),
    ] {
        let mut request = client.request(method.clone(), &real);
        if method == Method::POST || method == Method::PUT {
            request = request.json(&body);
        }
        let answer = client.send(request).await.expect(&real);
        assert!(answer.status.as_u16() < 500, "{method} {real}: {}", answer.text);
        conforms(&document, &method, path, &answer);
    }
    host.stop().await;
}
