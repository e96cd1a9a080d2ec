//! What a connector can ask of its host: HTTP and log lines. One implementor crosses the component boundary, the other
//! is [`crate::testing::MockHost`].

use crate::{
    Attributes, Error,
    http::{Request, Response},
};

/// The host as a connector sees it.
pub trait Host {
    /// Sends a request and waits for its answer.
    fn send(&self, request: Request) -> Result<Response, Error>;

    /// Sends requests in parallel and hands each answer, with the index of its request, to `answer` as it comes in;
    /// stops when that says so.
    fn send_all(
        &self,
        requests: Vec<Request>,
        parallel: u32,
        answer: &mut dyn FnMut(usize, Result<Response, Error>) -> Flow,
    );

    /// Writes one line for the operator.
    fn log(&self, level: &str, message: &str, fields: &Attributes);

    /// Whether a line of this level would be kept.
    fn log_enabled(&self, level: &str) -> bool;

    /// Milliseconds since the call of the connector began; none where the sandbox has no clock.
    fn elapsed_ms(&self) -> Option<u64>;
}

/// Whether to go on.
pub type Flow = std::ops::ControlFlow<()>;

/// The other side of the component boundary.
#[derive(Debug)]
pub(crate) struct ComponentHost {
    #[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
    began: std::time::Instant,
}

impl ComponentHost {
    pub(crate) fn new() -> Self {
        Self {
            #[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
            began: std::time::Instant::now(),
        }
    }
}

impl Host for ComponentHost {
    fn send(&self, request: Request) -> Result<Response, Error> {
        crate::bindings::connector::wharfinger::connector::http::send(&request)
    }

    fn send_all(
        &self,
        requests: Vec<Request>,
        parallel: u32,
        answer: &mut dyn FnMut(usize, Result<Response, Error>) -> Flow,
    ) {
        let batch = crate::bindings::connector::wharfinger::connector::http::Batch::new(&requests, parallel);
        while let Some((index, result)) = batch.next() {
            if answer(index as usize, result).is_break() {
                return;
            }
        }
    }

    fn log(&self, level: &str, message: &str, fields: &Attributes) {
        crate::bindings::connector::wharfinger::connector::log::log(level, message, fields);
    }

    fn log_enabled(&self, level: &str) -> bool {
        crate::bindings::connector::wharfinger::connector::log::enabled(level)
    }

    fn elapsed_ms(&self) -> Option<u64> {
        #[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
        return u64::try_from(self.began.elapsed().as_millis()).ok();
        #[cfg(all(target_family = "wasm", target_os = "unknown"))]
        None
    }
}
