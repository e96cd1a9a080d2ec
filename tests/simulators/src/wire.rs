//! The HTTP side that all simulators share: a listener on loopback, requests as plain values, answers that can be cut,
//! dripped, withheld or replaced by a reset.
//!
//! Whoever holds a [`Server`] keeps it alive; dropping it closes the listener, and connections already open fail at their
//! next read or write. It knows no platform.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::extract::{Request, State};
use axum::response::Response;
use axum::serve::{IncomingStream, Listener};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Method};
use percent_encoding::percent_decode_str;
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Requests with more than this in their body are refused; no listing API needs more.
const MAX_BODY: usize = 10 << 20;

/// A request as a value.
#[derive(Debug, Clone)]
pub struct Call {
    /// Verb.
    pub method: Method,
    /// Path as sent, percent-encoding included.
    pub path: String,
    /// Query as sent, without `?`.
    pub query: Option<String>,
    /// All headers.
    pub headers: HeaderMap,
    /// Whole body.
    pub body: Bytes,
}

/// An answer as a value.
#[derive(Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Headers besides those of the framing.
    pub headers: Vec<(&'static str, String)>,
    /// Body.
    pub body: Body,
}

/// A body, and how it arrives.
#[derive(Debug)]
pub enum Body {
    /// At once.
    Whole(Bytes),
    /// Breaks off, although its full length was announced.
    Truncated {
        /// What was to be sent.
        whole: Bytes,
        /// How much of it is.
        after: usize,
    },
    /// In pieces, with pauses.
    Drip {
        /// What is sent in the end.
        whole: Bytes,
        /// Bytes a piece.
        chunk: usize,
        /// Between two pieces.
        pause: Duration,
    },
    /// A piece over and over, which nobody holds as a whole.
    Repeated {
        /// Comes first.
        head: Bytes,
        /// Comes again and again.
        piece: Bytes,
        /// How often.
        times: u64,
        /// Comes last.
        tail: Bytes,
    },
}

/// What becomes of a request.
#[derive(Debug)]
pub enum Outcome {
    /// It is answered.
    Reply(Reply),
    /// It never is.
    Hang,
    /// The connection is reset.
    Reset,
}

/// A running listener.
#[derive(Debug)]
pub struct Server {
    addr: SocketAddr,
    closed: Arc<AtomicU8>,
    _accepting: JoinSet<()>,
}

impl Server {
    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.closed.store(RESET, Ordering::Relaxed);
    }
}

impl Call {
    /// `/path?query` as sent.
    pub fn path_and_query(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }

    /// The first value of a query parameter, decoded.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let query = self.query.as_deref()?;
        parameters(query).find_map(|(key, value)| (key == name).then_some(value))
    }

    /// A header, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Names and values of a query or form, decoded.
pub fn parameters(query: &str) -> impl Iterator<Item = (String, String)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode_form(key), decode_form(value))
    })
}

/// A path segment, decoded.
pub fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn decode_form(text: &str) -> String {
    decode(&text.replace('+', " "))
}

impl Reply {
    /// JSON with the media type that says so.
    pub fn json(status: u16, value: &impl Serialize) -> Self {
        Self::json_bytes(status, serde_json::to_vec(value).unwrap_or_default())
    }

    /// JSON that is already bytes.
    pub fn json_bytes(status: u16, body: impl Into<Bytes>) -> Self {
        Self { status, headers: vec![("content-type", "application/json".into())], body: Body::Whole(body.into()) }
    }

    /// Plain text.
    pub fn text(status: u16, body: impl Into<String>) -> Self {
        let headers = vec![("content-type", "text/plain; charset=utf-8".into())];
        Self { status, headers, body: Body::Whole(body.into().into()) }
    }

    /// No body and no media type.
    pub fn empty(status: u16) -> Self {
        Self { status, headers: vec![], body: Body::Whole(Bytes::new()) }
    }

    fn into_response(self) -> Response {
        let mut builder = Response::builder().status(self.status);
        for (name, value) in self.headers {
            builder = builder.header(name, value);
        }
        let length = self.body.len();
        let body = self.body.into_axum();
        builder.header("content-length", length).body(body).unwrap_or_else(|error| {
            tracing::error!(%error, "an answer could not be built");
            Response::default()
        })
    }
}

impl Body {
    /// How much is announced.
    pub fn len(&self) -> usize {
        match self {
            Self::Whole(whole) | Self::Truncated { whole, .. } | Self::Drip { whole, .. } => whole.len(),
            Self::Repeated { head, piece, times, tail } => head.len() + piece.len() * *times as usize + tail.len(),
        }
    }

    /// Whether nothing is announced.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Everything, however it was to arrive; of what is repeated, one piece.
    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Whole(whole) | Self::Truncated { whole, .. } | Self::Drip { whole, .. } => whole,
            Self::Repeated { head, piece, tail, .. } => [head, piece, tail].concat().into(),
        }
    }

    fn into_axum(self) -> axum::body::Body {
        match self {
            Self::Whole(whole) => whole.into(),
            Self::Truncated { whole, after } => {
                let part = whole.slice(..after.min(whole.len()));
                let broken = Err(io::Error::from(io::ErrorKind::ConnectionReset));
                axum::body::Body::from_stream(stream::iter([Ok(part), broken]))
            }
            Self::Repeated { head, piece, times, tail } => {
                let pieces = (0..times).map(move |_| piece.clone());
                let all = std::iter::once(head).chain(pieces).chain(std::iter::once(tail));
                axum::body::Body::from_stream(stream::iter(all.map(Ok::<_, Infallible>)))
            }
            Self::Drip { whole, chunk, pause } => {
                axum::body::Body::from_stream(stream::unfold(whole, move |mut rest| async move {
                    if rest.is_empty() {
                        return None;
                    }
                    tokio::time::sleep(pause).await;
                    let piece = rest.split_to(chunk.min(rest.len()));
                    Some((Ok::<_, Infallible>(piece), rest))
                }))
            }
        }
    }
}

/// Listens at `bind` and answers every request with `handle`.
pub async fn serve<H, F>(bind: SocketAddr, handle: H) -> io::Result<Server>
where
    H: Fn(Call) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Outcome> + Send + 'static,
{
    let listener = TcpListener::bind(bind).await?;
    let addr = listener.local_addr()?;
    let closed = Arc::new(AtomicU8::new(OPEN));
    let listener = Doors { listener, closed: closed.clone() };
    let router = Router::new().fallback(answer::<H, F>).with_state(handle);
    let service = router.into_make_service_with_connect_info::<Peer>();
    let mut accepting = JoinSet::new();
    accepting.spawn(async move {
        if let Err(error) = axum::serve(listener, service).await {
            tracing::error!(%error, "a simulator stopped listening");
        }
    });
    Ok(Server { addr, closed, _accepting: accepting })
}

async fn answer<H, F>(State(handle): State<H>, ConnectInfo(peer): ConnectInfo<Peer>, request: Request) -> Response
where
    H: Fn(Call) -> F,
    F: Future<Output = Outcome>,
{
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, MAX_BODY).await else {
        return Reply::empty(413).into_response();
    };
    let path = parts.uri.path().to_owned();
    let query = parts.uri.query().map(str::to_owned);
    let call = Call { method: parts.method, path, query, headers: parts.headers, body };
    match handle(call).await {
        Outcome::Reply(reply) => reply.into_response(),
        Outcome::Hang => std::future::pending().await,
        Outcome::Reset => {
            peer.0.store(RESET, Ordering::Relaxed);
            Reply::empty(500).into_response()
        }
    }
}

const OPEN: u8 = 0;
const RESET: u8 = 1;

/// Accepts connections that can be reset from outside.
struct Doors {
    listener: TcpListener,
    closed: Arc<AtomicU8>,
}

/// A connection; once marked, its next read or write resets it.
struct Line {
    stream: TcpStream,
    marked: Arc<AtomicU8>,
    closed: Arc<AtomicU8>,
}

/// The mark of the connection a request came on.
#[derive(Debug, Clone)]
struct Peer(Arc<AtomicU8>);

impl Listener for Doors {
    type Io = Line;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            match self.listener.accept().await {
                Ok((stream, addr)) => {
                    // Small answers must not wait for more: loopback latency is what the caller asked for.
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "no delay could not be set");
                    }
                    let marked = Arc::new(AtomicU8::new(OPEN));
                    return (Line { stream, marked, closed: self.closed.clone() }, addr);
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

impl Connected<IncomingStream<'_, Doors>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Doors>) -> Self {
        Self(stream.io().marked.clone())
    }
}

impl Line {
    /// Fails once the line is marked; closing it then sends a reset instead of an orderly end.
    fn check(&self) -> io::Result<()> {
        if self.marked.load(Ordering::Relaxed) == OPEN && self.closed.load(Ordering::Relaxed) == OPEN {
            return Ok(());
        }
        self.stream.set_zero_linger()?;
        Err(io::ErrorKind::ConnectionReset.into())
    }
}

impl AsyncRead for Line {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
