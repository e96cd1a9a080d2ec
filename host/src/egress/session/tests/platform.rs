//! A server on loopback that answers as a test says, and remembers what it was asked.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{ConnectInfo, State},
    http::{HeaderMap, Method, Response, Uri},
};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::model::connection::Address;

/// What a request looked like when it arrived.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) peer: SocketAddr,
    /// How many of this path came before.
    pub(super) nth: usize,
}

impl Asked {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Body,
    pub(super) delay: Duration,
}

impl Answer {
    pub(super) fn new(status: u16, body: impl Into<Body>) -> Self {
        Self { status, headers: Vec::new(), body: body.into(), delay: Duration::ZERO }
    }

    pub(super) fn json(status: u16, body: Value) -> Self {
        Self::new(status, body.to_string())
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

type Script = dyn Fn(&Asked) -> Answer + Send + Sync;

struct Inside {
    script: Box<Script>,
    asked: Mutex<Vec<Asked>>,
    open: AtomicUsize,
    most_open: AtomicUsize,
}

pub(super) struct Platform {
    at: SocketAddr,
    inside: Arc<Inside>,
    _tasks: JoinSet<()>,
}

impl Platform {
    pub(super) async fn start(script: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let inside = Arc::new(Inside {
            script: Box::new(script),
            asked: Mutex::default(),
            open: AtomicUsize::new(0),
            most_open: AtomicUsize::new(0),
        });
        let app = Router::new().fallback(answer).with_state(Arc::clone(&inside));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        let service = app.into_make_service_with_connect_info::<SocketAddr>();
        tasks.spawn(async move { axum::serve(listener, service).await.unwrap() });
        Self { at, inside, _tasks: tasks }
    }

    pub(super) fn address(&self) -> Address {
        Address { insecure: true, hostname: self.at.ip().to_string(), port: self.at.port() }
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.inside.asked.lock().unwrap().clone()
    }

    /// Requests to paths that begin so.
    pub(super) fn count(&self, path: &str) -> usize {
        self.asked().iter().filter(|asked| asked.uri.path().starts_with(path)).count()
    }

    pub(super) fn most_open(&self) -> usize {
        self.inside.most_open.load(Ordering::SeqCst)
    }
}

async fn answer(
    State(inside): State<Arc<Inside>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let open = inside.open.fetch_add(1, Ordering::SeqCst) + 1;
    inside.most_open.fetch_max(open, Ordering::SeqCst);
    let answer = {
        let mut all = inside.asked.lock().unwrap();
        let nth = all.iter().filter(|asked| asked.uri.path() == uri.path()).count();
        all.push(Asked { method, uri, headers, body, peer, nth });
        (inside.script)(all.last().unwrap())
    };
    tokio::time::sleep(answer.delay).await;
    inside.open.fetch_sub(1, Ordering::SeqCst);
    let mut response = Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    response.body(answer.body).unwrap()
}
