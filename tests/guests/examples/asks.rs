//! Sends the requests that it is told to, one after another, and tells what became of each. What a partition carries is a
//! JSON list of them.
//!
//! A request is an object with `url`, and `method`, `headers`, `body`, `auth`, `via` (`send`, `open`, `batch`) where they
//! differ from a plain GET with the connection's credential. Of each request the page has one object: its name is the
//! number, its comment a status and a body, or the code and the message of the error.

use serde_json::Value;
use wharfinger_guests::{DESCRIPTOR, Error, Guest, Object, Page, ReadRequest, http, object, page};

struct Asks;

/// What the credential is good for: reads below `/api`, statements that show, and files that an answer names.
const SCOPE: &str = r#"[
    { "origin": "{{ connection.origin }}", "paths": ["/api/*"], "methods": ["GET"] },
    { "origin": "{{ connection.origin }}", "paths": ["/sql"], "methods": ["POST"],
      "body": { "at": "/statement", "verbs": ["SHOW", "SELECT"], "without": ["INTO"] } }]"#;

/// What is reached at all. `/files` may be asked for without the credential.
const EGRESS: &str = r#"[
    { "origin": "{{ connection.origin }}", "paths": ["/api/*"], "methods": ["GET"],
      "fromResponse": { "at": "/files/*", "hostSuffixes": [".stage.example"] } },
    { "origin": "{{ connection.origin }}", "paths": ["/sql", "/tokens"], "methods": ["POST"] },
    { "origin": "{{ connection.origin }}", "paths": ["/tokens", "/grants/*"], "methods": ["GET", "DELETE"] }]"#;

const PLAIN: &str = r#"[{ "origin": "{{ connection.origin }}", "paths": ["/*"], "methods": ["GET"] }]"#;

impl Guest for Asks {
    fn describe() -> String {
        let (applied, reached) = (format!("\"to\": {SCOPE}"), format!("\"egress\": {EGRESS}"));
        DESCRIPTOR.replace(&format!("\"to\": {PLAIN}"), &applied).replace(&format!("\"egress\": {PLAIN}"), &reached)
    }

    fn read(_config: String, request: ReadRequest) -> Result<Page, Error> {
        let asked: Vec<Value> = serde_json::from_str(&request.partition.payload).unwrap_or_default();
        let objects = asked.iter().enumerate().map(|(number, asked)| {
            let told = match ask(asked) {
                Ok((status, body)) => format!("{status} {}", String::from_utf8_lossy(&body)),
                Err(error) => format!("{}: {}", error.code, error.message),
            };
            let mut path = request.partition.scope.clone();
            path.push(number.to_string());
            Object { comment: Some(told), path, ..object(&[]) }
        });
        Ok(page(objects.collect()))
    }
}

fn ask(asked: &Value) -> Result<(u16, Vec<u8>), Error> {
    let request = request(asked);
    match asked["via"].as_str() {
        Some("open") => {
            let stream = http::open(&request)?;
            let mut body = Vec::new();
            loop {
                match stream.read(7)? {
                    piece if piece.is_empty() => return Ok((stream.status(), body)),
                    piece => body.extend(piece),
                }
            }
        }
        Some("batch") => {
            let batch = http::Batch::new(&[request], 1);
            let (_, answer) = batch.next().expect("one answer");
            answer.map(|answer| (answer.status, answer.body))
        }
        _ => http::send(&request).map(|answer| (answer.status, answer.body)),
    }
}

fn request(asked: &Value) -> http::Request {
    let text = |key: &str| asked[key].as_str().map(str::to_owned);
    let pairs = |pair: &Value| {
        let half = |at: usize| pair[at].as_str().unwrap_or_default().to_owned();
        (half(0), half(1))
    };
    http::Request {
        method: text("method").unwrap_or_else(|| "GET".to_owned()),
        url: text("url").unwrap_or_default(),
        headers: asked["headers"].as_array().map(|all| all.iter().map(pairs).collect()).unwrap_or_default(),
        body: text("body").map(String::into_bytes),
        auth: if asked["auth"] == "none" {
            None
        } else {
            Some(text("auth").unwrap_or_else(|| "connection".to_owned()))
        },
        retriable: false,
        extra: Vec::new(),
    }
}

wharfinger_guests::export!(Asks);
