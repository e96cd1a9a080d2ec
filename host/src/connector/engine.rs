//! The one wasmtime engine, its clock, and the threads that guests run on.
//!
//! Guests have a runtime of their own, so that a computing one never delays the API; a semaphore bounds how many run, and
//! `turns` shares the threads between connections.
//! The epoch ticks on an operating system thread, because a task of a busy runtime could come too late.

use std::{sync::Arc, thread};

use anyhow::Context;
use tokio::{runtime::Runtime, sync::Semaphore};
use wasmtime::{
    Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig,
    component::{HasSelf, Linker},
};

use super::{
    limits::{MAX_CALLS, MAX_MEMORY, MAX_TABLE_ELEMENTS, TICK},
    state::State,
    turns::Turns,
    v0_1,
};

/// Threads that guests share.
const GUEST_THREADS: usize = 2;

/// By how much guests stand back behind other threads, in the system's measure (0 to 19).
const NICE: i32 = 10;

/// Where guests are compiled and run.
pub(super) struct Guests {
    pub(super) engine: Engine,
    pub(super) linker: Linker<State>,
    pub(super) permits: Arc<Semaphore>,
    pub(super) turns: Arc<Turns>,
    /// None only while it is dropped.
    runtime: Option<Runtime>,
}

impl Guests {
    pub(super) fn new() -> anyhow::Result<Self> {
        let engine = engine()?;
        tick(&engine)?;
        let linker = linker(&engine)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(GUEST_THREADS)
            .thread_name("guest")
            .on_thread_start(give_way)
            .enable_time()
            .build()
            .context("start the threads of the guests")?;
        Ok(Self {
            engine,
            linker,
            permits: Arc::new(Semaphore::new(MAX_CALLS as usize)),
            turns: Arc::new(Turns::new(GUEST_THREADS)),
            runtime: Some(runtime),
        })
    }

    /// The runtime that guests run on.
    pub(super) fn handle(&self) -> Option<&tokio::runtime::Handle> {
        self.runtime.as_ref().map(Runtime::handle)
    }
}

impl Drop for Guests {
    fn drop(&mut self) {
        // In the background, because a runtime must not be waited for inside another one.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Lets every other thread go first where there is not enough processor for all: those of the API, of the store, and of
/// the requests of other connections. What is left over is the guests' all the same.
#[allow(unsafe_code, reason = "the system's call has no safe form here")]
fn give_way() {
    // On Linux the priority is that of the calling thread. Raising the number is allowed to everybody.
    // SAFETY: takes numbers and touches no memory.
    let failed = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) } != 0;
    if failed {
        tracing::debug!("the threads of the guests keep the priority of all others");
    }
}

/// An engine with a pool of instances; where the system refuses the address space for it, one without.
fn engine() -> anyhow::Result<Engine> {
    let mut config = config();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool()));
    match Engine::new(&config) {
        Ok(engine) => Ok(engine),
        Err(error) => {
            tracing::warn!(
                error = format!("{error:#}"),
                "the address space for a pool of instances was refused: each is allocated by itself, which is slower"
            );
            Engine::new(&on_demand()).map_err(|error| failed("start the WebAssembly engine", &error))
        }
    }
}

fn on_demand() -> Config {
    let mut config = config();
    config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
    // Without the room for it, memories are checked in code instead of by guard pages.
    config.memory_reservation(0).memory_guard_size(64 << 10).memory_may_move(true);
    config
}

fn config() -> Config {
    let mut config = Config::new();
    config.epoch_interruption(true);
    config.wasm_component_model(true);
    // Shared memories would escape the limiter.
    config.shared_memory(false);
    config
}

fn pool() -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::default();
    // A component made from several languages' parts has several core modules, but few of them own a memory.
    pool.total_component_instances(MAX_CALLS)
        .total_core_instances(MAX_CALLS * 16)
        .total_memories(MAX_CALLS * 2)
        .total_tables(MAX_CALLS * 8)
        .total_stacks(MAX_CALLS * 2)
        .max_memory_size(MAX_MEMORY)
        .table_elements(MAX_TABLE_ELEMENTS);
    pool
}

/// Counts time for the guests as long as the engine lives.
fn tick(engine: &Engine) -> anyhow::Result<()> {
    let engine = engine.weak();
    thread::Builder::new()
        .name("guest-clock".into())
        .spawn(move || {
            loop {
                thread::sleep(TICK);
                let Some(engine) = engine.upgrade() else { break };
                engine.increment_epoch();
            }
        })
        .context("start the clock of the guests")?;
    Ok(())
}

/// Everything a component may import: the contract, and WASI with nothing behind it.
fn linker(engine: &Engine) -> anyhow::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker).map_err(|error| failed("link WASI", &error))?;
    v0_1::http::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)
        .and_then(|()| v0_1::log::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state))
        .map_err(|error| failed("link the contract", &error))?;
    Ok(linker)
}

/// wasmtime's errors are no standard ones.
fn failed(what: &str, error: &wasmtime::Error) -> anyhow::Error {
    anyhow::anyhow!("{what}: {error:#}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_without_pool_works() {
        assert!(Engine::new(&on_demand()).is_ok());
    }

    #[test]
    fn the_clock_stops_with_the_engine() {
        let engine = engine().expect("engine");
        tick(&engine).expect("clock");
        let weak = engine.weak();
        drop(engine);
        thread::sleep(TICK * 5);
        assert!(weak.upgrade().is_none(), "the clock must not keep the engine");
    }
}
