//! Sessions against a real server on loopback: what leaves, what comes back, and what nobody must see.

mod approval;
mod authentication;
mod egress;
mod keeping;
mod kin;
mod named;
mod platform;
mod recipes;
mod repeats;
mod secrets;
mod sizes;
mod tls;
mod upkeep;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use platform::{Answer, Platform};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::*;
use crate::egress::recipe::Recipe;

/// A secret that must turn up nowhere.
const CANARY: &str = "canary-secret-4711-0815";

/// Policy of the tests: loopback and no TLS.
fn policy() -> Policy {
    Policy {
        allow_cidrs: vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()],
        allow_insecure_http: true,
        approved_origins: Vec::new(),
    }
}

fn egress_with(policy: Policy) -> Egress {
    egress_within(policy, Surroundings::default())
}

fn egress_within(policy: Policy, surroundings: Surroundings) -> Egress {
    Egress::with(
        policy,
        surroundings,
        client::tls().unwrap(),
        Pacing { base: Duration::from_millis(1), cap: Duration::from_millis(2) },
    )
}

/// What is sent as it is stored.
fn static_recipe() -> Value {
    json!({"id": "token", "secrets": ["token"],
        "apply": {"to": [{"origin": "{{ connection.origin }}", "paths": ["/api/*"], "methods": ["GET", "POST"]}],
                  "headers": {"authorization": "Bearer {{ secret.token }}"}},
        "rejected": [{"status": [401]}, {"status": [403], "at": "/error_code", "in": [403]}]})
}

/// What is fetched from a token endpoint.
fn exchange_recipe() -> Value {
    json!({"id": "m2m", "config": ["client"], "secrets": ["token"],
        "acquire": [{"exchange": {"url": "{{ connection.origin }}/token",
            "basic": {"user": "{{ config.client }}", "password": "{{ secret.token }}"},
            "form": {"grant_type": "client_credentials"},
            "take": {"token": {"at": "/access_token", "secret": true}, "lifetime": {"at": "/expires_in", "default": 3600}},
            "fail": {"code": "/error", "message": "/error_description", "codes": {"invalid_client": "unauthenticated"}}}}],
        "lifetime": {"seconds": "grant.lifetime", "early": 120},
        "apply": {"to": [{"origin": "{{ connection.origin }}", "paths": ["/api/*"], "methods": ["GET", "POST"]}],
                  "headers": {"authorization": "Bearer {{ grant.token }}"}},
        "expired": [{"status": [401]}]})
}

fn spec(address: Address, recipe: Value) -> SessionSpec {
    let recipe: Recipe = serde_json::from_value(recipe).unwrap();
    recipe
        .validate(&json!({"properties": {"client": {}, "token": {}, "authority": {}}}), &["token".to_owned()])
        .unwrap();
    let everywhere = json!({"origin": "{{ connection.origin }}", "paths": ["/*"], "methods": ["GET", "HEAD", "POST"]});
    SessionSpec {
        connection: None,
        keep: None,
        brought: BTreeSet::new(),
        address,
        config: json!({"client": "me"}),
        secrets: Secrets([("token".to_owned(), Zeroizing::new(CANARY.to_owned()))].into()),
        recipe,
        reach: vec![serde_json::from_value(everywhere).unwrap()],
    }
}

fn session(platform: &Platform, recipe: Value) -> Arc<Session> {
    egress_with(policy()).session(spec(platform.address(), recipe)).unwrap()
}

fn budget() -> Budget {
    Budget {
        deadline: Instant::now() + Duration::from_secs(20),
        withheld: Arc::default(),
        max_response: 1 << 20,
        max_stream: 1 << 30,
        max_bytes: 4 << 30,
        retries: AtomicU32::new(5),
        requests: AtomicU64::new(0),
        bytes: AtomicU64::new(0),
        denied: AtomicU64::new(0),
        named: Named::default(),
    }
}

fn get(platform: &Platform, path: &str) -> Request {
    Request {
        method: "GET".into(),
        url: format!("{}{path}", platform.address()),
        auth: Some("connection".into()),
        ..Request::default()
    }
}
