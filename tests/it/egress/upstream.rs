//! The platform that an attempt may reach, and the places that it must not.

use std::{
    io::Write as _,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Response, Uri},
};
use tokio::{net::TcpListener, task::JoinSet};

use crate::guests::SECRET;

/// A platform on 127.0.0.1.
pub(super) struct Platform {
    pub(super) addr: SocketAddr,
    seen: Arc<Seen>,
    _tasks: JoinSet<()>,
}

#[derive(Default)]
struct Seen {
    requests: AtomicUsize,
    carried: Mutex<bool>,
    elsewhere: Mutex<String>,
}

/// Listeners on every address of loopback that attempts aim at, all with one port.
pub(super) struct Forbidden {
    pub(super) port: u16,
    accepted: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Platform {
    pub(super) async fn start() -> anyhow::Result<Self> {
        let seen = Arc::new(Seen::default());
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.local_addr()?;
        *seen.elsewhere.lock().expect("no holder panics") = format!("http://{addr}");
        let app = Router::new().fallback(answer).with_state(seen.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, app).await.expect("served") });
        Ok(Self { addr, seen, _tasks: tasks })
    }

    pub(super) fn requests(&self) -> usize {
        self.seen.requests.load(Ordering::SeqCst)
    }

    pub(super) fn last_carried_the_credential(&self) -> bool {
        *self.seen.carried.lock().expect("no holder panics")
    }
}

impl Forbidden {
    pub(super) async fn start() -> anyhow::Result<Self> {
        let accepted = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        let (port, mut all) = loop {
            let first = TcpListener::bind("127.0.0.2:0").await?;
            let port = first.local_addr()?.port();
            match TcpListener::bind(("127.0.0.1", port)).await {
                Ok(second) => break (port, vec![first, second]),
                // Another test listens there: the next port may be free on both.
                Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {}
                Err(error) => return Err(error.into()),
            }
        };
        // Not every machine has the newer loopback.
        all.extend(TcpListener::bind(("::1", port)).await);
        for listener in all {
            let accepted = accepted.clone();
            tasks.spawn(async move {
                while listener.accept().await.is_ok() {
                    accepted.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        Ok(Self { port, accepted, _tasks: tasks })
    }

    pub(super) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

async fn answer(State(seen): State<Arc<Seen>>, uri: Uri, headers: HeaderMap) -> Response<Body> {
    seen.requests.fetch_add(1, Ordering::SeqCst);
    let credential = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    *seen.carried.lock().expect("no holder panics") = credential.contains(SECRET);
    let plain = |status: u16, body: Body| Response::builder().status(status).body(body).expect("an answer");
    let to = |location: &str| {
        Response::builder().status(302).header("location", location).body(Body::empty()).expect("an answer")
    };
    match uri.path() {
        "/api/to-metadata" => to("http://169.254.169.254/latest/meta-data/iam"),
        "/api/to-loopback" => to(uri.query().unwrap_or_default()),
        "/api/in-header" => Response::builder().header("x-echo", credential).body(Body::empty()).expect("an answer"),
        "/api/in-body" => plain(200, format!("{{\"echo\": \"{credential}\"}}").into()),
        "/api/in-error" => plain(500, credential.into()),
        "/api/percent-encoded" => plain(200, credential.replace('-', "%2D").into()),
        "/api/in-base64" => plain(200, base64(credential.as_bytes()).into()),
        "/api/across-chunks" => {
            let (head, tail) = credential.split_at(18);
            let parts = ["x".repeat(70_000), head.to_owned(), tail.to_owned(), "y".repeat(70_000)];
            plain(200, Body::from_stream(pieces(parts)))
        }
        "/api/gzipped" => {
            let mut body = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            body.write_all(credential.as_bytes()).expect("memory");
            let body = body.finish().expect("memory");
            Response::builder().header("content-encoding", "gzip").body(Body::from(body)).expect("an answer")
        }
        "/api/files" => {
            let own = seen.elsewhere.lock().expect("no holder panics").clone();
            let port = own.rsplit(':').next().unwrap_or_default().to_owned();
            let files = [
                format!("{own}/stage/named?sig=1"),
                format!("http://127.0.0.2:{port}/stage/x"),
                "https://stage.example/x".to_owned(),
                "https://bucket.stage.example.evil.example/x".to_owned(),
                "https://evilstage.example/x".to_owned(),
                "http://169.254.169.254/latest/meta-data".to_owned(),
            ];
            plain(200, serde_json::json!({ "files": files }).to_string().into())
        }
        _ => plain(200, "ok".into()),
    }
}

fn pieces(parts: [String; 4]) -> impl futures_util::Stream<Item = Result<Bytes, std::io::Error>> {
    futures_util::stream::iter(parts.map(|part| Ok(Bytes::from(part))))
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
