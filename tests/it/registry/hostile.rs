//! Registries that lie, lead elsewhere, and never end. Each is a small server of its own.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::digest_of;
use crate::desk::{Desk, component};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// What a server was asked: method, path, and what authorization it was given.
type Asked = Arc<Mutex<Vec<(Method, String, Option<String>)>>>;

/// What a server answers to method, path and authorization.
type Answer = dyn Fn(&Method, &str, Option<&str>) -> Response + Send + Sync;

/// A server with one handler that is told the whole request.
#[derive(Clone)]
struct Liar {
    asked: Asked,
    answer: Arc<Answer>,
}

impl Liar {
    /// Starts one. Gives its address and what it was asked.
    async fn start(
        answer: impl Fn(&Method, &str, Option<&str>) -> Response + Send + Sync + 'static,
    ) -> (String, Asked) {
        let liar = Self { asked: Asked::default(), answer: Arc::new(answer) };
        let asked = liar.asked.clone();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("address").to_string();
        let router = Router::new().fallback(Self::serve).with_state(liar);
        #[allow(clippy::disallowed_methods, reason = "ends with the test")]
        tokio::spawn(async move { axum::serve(listener, router).await });
        (address, asked)
    }

    async fn serve(State(liar): State<Self>, request: Request) -> Response {
        let path = request.uri().to_string();
        let given = request.headers().get(header::AUTHORIZATION).map(|v| v.to_str().expect("text").to_owned());
        liar.asked.lock().expect("lock").push((request.method().clone(), path.clone(), given.clone()));
        (liar.answer)(request.method(), &path, given.as_deref())
    }
}

fn manifest(digest: &str, size: usize) -> Value {
    json!({ "schemaVersion": 2, "mediaType": MANIFEST,
        "config": { "mediaType": "application/vnd.wasm.config.v0+json", "digest": digest, "size": 2 },
        "layers": [{ "mediaType": "application/wasm", "digest": digest, "size": size }] })
}

fn as_manifest(manifest: &Value) -> Response {
    ([(header::CONTENT_TYPE, MANIFEST)], manifest.to_string()).into_response()
}

fn lead_to(url: String) -> Response {
    (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, url)]).into_response()
}

async fn own_digest(desk: &Desk) -> String {
    digest_of(&desk.file("shelf.wasm")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_fetched_with_the_credentials_and_neither_goes_where_a_blob_leads() {
    let desk = Desk::new();
    let digest = own_digest(&desk).await;
    let (store, store_asked) = Liar::start(|_, _, _| Body::from(component()).into_response()).await;
    let (tokens, tokens_asked) =
        Liar::start(|_, _, _| json!({ "token": "short-lived" }).to_string().into_response()).await;
    let (registry, asked) = Liar::start(move |_, path, given| {
        if given != Some("Bearer short-lived") {
            let ask =
                format!("Bearer realm=\"http://{tokens}/token\",service=\"shelves\",scope=\"repository:a/shelf:pull\"");
            return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, ask)]).into_response();
        }
        if path.contains("/manifests/") {
            return as_manifest(&manifest(&digest, component().len()));
        }
        lead_to(format!("http://{store}/somewhere?signature=x"))
    })
    .await;
    let reference = format!("{registry}/a/shelf:1");
    let pulled = desk.run_as(&["pull", &reference, "-o", "pulled.wasm"], Some(("ann", "hidden")), "").await;
    assert_eq!(pulled.code, 0, "{}", pulled.err);
    assert!(desk.read("pulled.wasm") == component());
    // base64 of ann:hidden.
    let tokens = tokens_asked.lock().expect("lock").clone();
    let [(_, path, given)] = tokens.as_slice() else { panic!("one token for all: {tokens:?}") };
    assert_eq!(given.as_deref(), Some("Basic YW5uOmhpZGRlbg=="));
    assert!(path.contains("service=shelves") && path.contains("scope=repository%3Aa%2Fshelf%3Apull"), "{path}");
    let store = store_asked.lock().expect("lock").clone();
    assert_eq!(store, [(Method::GET, "/somewhere?signature=x".into(), None)], "nothing but the address");
    let asked = asked.lock().expect("lock").clone();
    assert!(asked.iter().all(|(_, _, given)| given.as_ref().is_none_or(|given| given == "Bearer short-lived")));
    assert_eq!(asked.first().and_then(|(_, _, given)| given.clone()), None, "nobody is told before it asks");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_taken_from_a_registry_that_lies() {
    let desk = Desk::new();
    let digest = own_digest(&desk).await;
    let good = manifest(&digest, component().len());
    let mut index = json!({ "schemaVersion": 2, "manifests": [] });
    index["mediaType"] = json!("application/vnd.oci.image.index.v1+json");
    let lies: Vec<(&str, i32, &str, Response)> = vec![
        ("a manifest that never ends", 1, "larger than 1 MiB", Body::from("x".repeat(2 << 20)).into_response()),
        ("no manifest", 1, "cannot be read", as_manifest(&json!("hello"))),
        ("an index", 1, "index of several", {
            ([(header::CONTENT_TYPE, "application/vnd.oci.image.index.v1+json")], index.to_string()).into_response()
        }),
        ("an image", 1, "no WebAssembly component", {
            let mut image = good.clone();
            image["config"]["mediaType"] = json!("application/vnd.oci.image.config.v1+json");
            as_manifest(&image)
        }),
        ("a digest of something else", 1, "its digest is", {
            let said = ("docker-content-digest", format!("sha256:{}", "0".repeat(64)));
            ([(header::CONTENT_TYPE.as_str(), MANIFEST.to_owned()), said], good.to_string()).into_response()
        }),
        ("more than it says", 1, "larger than", as_manifest(&manifest(&digest, 1000))),
        ("something else than it says", 1, "its digest is", {
            as_manifest(&manifest(&format!("sha256:{}", "0".repeat(64)), component().len()))
        }),
        ("more than hosts take", 1, "256 MiB", as_manifest(&manifest(&digest, (256 << 20) + 1))),
        ("a refusal that paints", 3, "503", {
            let said = json!({ "errors": [{ "code": "X", "message": format!("\u{1b}[2J{}", "long ".repeat(500)) }] });
            (StatusCode::SERVICE_UNAVAILABLE, said.to_string()).into_response()
        }),
        ("a manifest somewhere else", 3, "307", lead_to("http://127.0.0.1:1/".into())),
    ];
    for (what, code, part, lie) in lies {
        let lie = Mutex::new(Some(lie));
        let (registry, _) = Liar::start(move |_, path, _| {
            let lie = if path.contains("/manifests/") { lie.lock().expect("lock").take() } else { None };
            lie.unwrap_or_else(|| Body::from(component()).into_response())
        })
        .await;
        let ended = desk.run(&["pull", &format!("{registry}/shelf:1"), "-o", "lie.wasm"]).await;
        assert_eq!(ended.code, code, "{what}: {}", ended.err);
        assert!(
            ended.err.contains(part) && !ended.err.contains('\u{1b}') && ended.err.len() < 1000,
            "{what}: {}",
            ended.err
        );
        assert!(!desk.file("lie.wasm").exists(), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_cannot_lead_to_where_nothing_is_protected_nor_round_in_circles() {
    let desk = Desk::new();
    let digest = own_digest(&desk).await;
    for (place, part) in [
        ("http://registry.example/blob", "not protected by TLS"),
        ("file:///etc/passwd", "not protected by TLS"),
        ("", "leads nowhere"),
        ("/again", "307"),
    ] {
        let digest = digest.clone();
        let (registry, asked) = Liar::start(move |_, path, _| match path.contains("/manifests/") {
            true => as_manifest(&manifest(&digest, component().len())),
            false => lead_to(place.into()),
        })
        .await;
        let ended = desk.run(&["pull", &format!("{registry}/shelf:1"), "-o", "lie.wasm"]).await;
        assert_ne!(ended.code, 0, "{place}");
        assert!(ended.err.contains(part), "{place}: {}", ended.err);
        assert!(asked.lock().expect("lock").len() < 10, "{place}");
    }
    // A token endpoint beyond this machine without TLS would see the password.
    let (registry, _) = Liar::start(|_, _, _| {
        let ask = "Bearer realm=\"http://tokens.example/token\"";
        (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, ask)]).into_response()
    })
    .await;
    let ended = desk.run_as(&["pull", &format!("{registry}/shelf:1")], Some(("ann", "hidden")), "").await;
    assert!(ended.err.contains("not protected by TLS"), "{}", ended.err);
}
