//! What a store holds: limits, a WASI context with nothing behind it, and the way out.
//!
//! The WASI interfaces are there because the standard library of a language links them whatever its code does; none of
//! them leads anywhere: no directory, socket, environment or argument, and output goes into a small buffer.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use tokio::{runtime::Handle, sync::Semaphore};
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView, p2::pipe::MemoryOutputPipe};

use super::{
    Usage,
    imports::log::LogQuota,
    limits::{Limiter, Limits, MAX_OUTPUT, MAX_UNFETCHED},
};
use crate::egress::session::{Budget, Session};

/// What a guest may reach during one operation.
pub(super) struct Grant {
    /// The connection's way out; none while the connector is only asked to describe itself.
    pub(super) session: Option<Arc<Session>>,
    /// Name and version, for log lines.
    pub(super) label: Arc<str>,
    /// Where requests are sent from: the caller's runtime, so that a computing guest delays no answer.
    pub(super) io: Handle,
}

/// The data of one store.
pub(super) struct State {
    pub(super) limits: Limits,
    pub(super) limiter: Limiter,
    pub(super) table: ResourceTable,
    pub(super) grant: Grant,
    pub(super) budget: Arc<Budget>,
    pub(super) log: LogQuota,
    /// Batches and open bodies that live.
    pub(super) transfers: usize,
    /// Bytes that answers of batches may still take until they are fetched.
    pub(super) unfetched: Arc<Semaphore>,
    /// Ticks of the epoch in which the guest computed.
    pub(super) ticks: u64,
    /// Time for which the guest waited for the platform.
    pub(super) waited: Waited,
    output: MemoryOutputPipe,
    wasi: WasiCtx,
}

/// Waiting in host calls, one after another. One that the guest's end cuts off counts up to there.
#[derive(Debug, Default)]
pub(super) struct Waited {
    done: Duration,
    since: Option<Instant>,
}

impl Waited {
    pub(super) fn begin(&mut self) {
        self.since = Some(Instant::now());
    }

    pub(super) fn end(&mut self) {
        self.done = self.total();
        self.since = None;
    }

    pub(super) fn total(&self) -> Duration {
        self.done + self.since.map_or(Duration::ZERO, |since| since.elapsed())
    }
}

impl State {
    pub(super) fn new(limits: Limits, grant: Grant, budget: Arc<Budget>) -> Self {
        let output = MemoryOutputPipe::new(MAX_OUTPUT);
        let wasi = WasiCtx::builder()
            .stdout(output.clone())
            .stderr(output.clone())
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .max_random_size(u64::from(limits.random_kib) * 1024)
            .build();
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.resources as usize);
        Self {
            limits,
            limiter: Limiter::new(&limits),
            table,
            grant,
            budget,
            log: LogQuota::default(),
            transfers: 0,
            unfetched: Arc::new(Semaphore::new(MAX_UNFETCHED)),
            ticks: 0,
            waited: Waited::default(),
            output,
            wasi,
        }
    }

    /// What the operation used of the platform.
    pub(super) fn usage(budget: &Budget) -> Usage {
        Usage { requests: budget.requests.load(Ordering::Relaxed), bytes: budget.bytes.load(Ordering::Relaxed) }
    }

    /// What the guest wrote to its standard output and error: usually why it panicked.
    pub(super) fn output(&self) -> String {
        String::from_utf8_lossy(&self.output.contents()).into_owned()
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}
