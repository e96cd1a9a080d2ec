//! The one wasmtime engine, its clock, and the threads that guests run on.
//!
//! Guests have a runtime of their own, so that a computing one never delays the API; a semaphore bounds how many run, and
//! `turns` shares the threads between connections.
//! The epoch ticks on an operating system thread, because a task of a busy runtime could come too late.

use std::{
    hash::{Hash as _, Hasher},
    sync::Arc,
    thread,
};

use anyhow::Context;
use ring::digest;
use tokio::{runtime::Runtime, sync::Semaphore};
use wasmtime::{
    Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig,
    component::{HasSelf, Linker},
};

use super::{
    limits::{MAX_CALL_INSTANCES, MAX_CALL_MEMORIES, MAX_CALL_TABLES, MAX_CALLS, TICK},
    state::State,
    turns::Turns,
    v0_1,
};

/// Threads that guests share.
const GUEST_THREADS: usize = 2;

/// How compiled code finds the memories of instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// Each has the address space that it may grow to, and pages beyond it that nobody may touch.
    Reserved,
    /// Where the system refuses that much address space: each access is checked in code.
    Checked,
}

/// The most that any guest may have: room for it is set aside when the engine starts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// Bytes of one memory.
    pub(super) memory: usize,
    /// Elements of one table.
    pub(super) table_elements: usize,
}

/// By how much guests stand back behind other threads, in the system's measure (0 to 19).
const NICE: i32 = 10;

/// Where guests are run.
pub(super) struct Guests {
    pub(super) engine: Engine,
    pub(super) layout: Layout,
    /// Tells the settings of the engine, as far as compiled code depends on them, from all others.
    pub(super) compatibility: String,
    pub(super) linker: Linker<State>,
    pub(super) permits: Arc<Semaphore>,
    pub(super) turns: Arc<Turns>,
    /// None only while it is dropped.
    runtime: Option<Runtime>,
}

impl Guests {
    pub(super) fn new(room: Room) -> anyhow::Result<Self> {
        let (engine, layout) = engine(room)?;
        tick(&engine)?;
        let linker = linker(&engine)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(GUEST_THREADS)
            .thread_name("guest")
            .on_thread_start(give_way)
            .enable_time()
            .build()
            .context("start the threads of the guests")?;
        let permits = Arc::new(Semaphore::new(MAX_CALLS as usize));
        let turns = Arc::new(Turns::new(GUEST_THREADS));
        let compatibility = compatibility(&engine);
        Ok(Self { engine, layout, compatibility, linker, permits, turns, runtime: Some(runtime) })
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
fn engine(room: Room) -> anyhow::Result<(Engine, Layout)> {
    let mut pooled = config(Layout::Reserved);
    pooled.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(room)));
    match Engine::new(&pooled) {
        Ok(engine) => Ok((engine, Layout::Reserved)),
        Err(error) => {
            tracing::warn!(
                error = format!("{error:#}"),
                "the address space for a pool of instances was refused: each is allocated by itself, which is slower"
            );
            Ok((compiling(Layout::Checked)?, Layout::Checked))
        }
    }
}

/// An engine without a pool, whose code runs in any engine of the same layout.
pub(super) fn compiling(layout: Layout) -> anyhow::Result<Engine> {
    let mut config = config(layout);
    config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
    Engine::new(&config).map_err(|error| failed("start the WebAssembly engine", &error))
}

/// Everything that compiled code depends on.
fn config(layout: Layout) -> Config {
    let mut config = Config::new();
    config.epoch_interruption(true);
    config.wasm_component_model(true);
    // Shared memories would escape the limiter.
    config.shared_memory(false);
    // A memory that is mostly zero is filled when it is made, not kept as an image: else a few bytes far apart in a
    // component would be megabytes of code.
    config.memory_guaranteed_dense_image_size(0);
    if layout == Layout::Checked {
        config.memory_reservation(0).memory_guard_size(64 << 10).memory_may_move(true);
    }
    config
}

fn pool(room: Room) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::default();
    // A component made from several languages' parts has several core modules, but few of them own a memory.
    pool.total_component_instances(MAX_CALLS)
        .total_core_instances(MAX_CALLS * MAX_CALL_INSTANCES)
        .total_memories(MAX_CALLS * MAX_CALL_MEMORIES)
        .total_tables(MAX_CALLS * MAX_CALL_TABLES)
        .total_stacks(MAX_CALLS * 2)
        // So that as many calls as may run always find room: one component cannot take what is meant for all.
        .max_core_instances_per_component(MAX_CALL_INSTANCES)
        .max_memories_per_component(MAX_CALL_MEMORIES)
        .max_tables_per_component(MAX_CALL_TABLES)
        .max_memory_size(room.memory)
        .table_elements(room.table_elements);
    pool
}

/// A text that is the same for two engines only where compiled code fits both.
pub(super) fn compatibility(engine: &Engine) -> String {
    struct Sha(digest::Context);
    impl Hasher for Sha {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }

        fn finish(&self) -> u64 {
            // Asked by nobody: what was written is read below.
            0
        }
    }
    let mut sha = Sha(digest::Context::new(&digest::SHA256));
    engine.precompile_compatibility_hash().hash(&mut sha);
    sha.0.finish().as_ref()[..16].iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
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

    const ROOM: Room = Room { memory: 256 << 20, table_elements: 100_000 };

    #[test]
    fn code_compiled_elsewhere_fits_an_engine_of_its_layout_and_no_other() {
        let (engine, layout) = engine(ROOM).expect("engine");
        assert_eq!(layout, Layout::Reserved, "this machine has the address space");
        let compiled_for = |layout| compatibility(&compiling(layout).expect("engine"));
        assert_eq!(compatibility(&engine), compiled_for(Layout::Reserved));
        assert_ne!(compatibility(&engine), compiled_for(Layout::Checked));
        assert_eq!(compiled_for(Layout::Checked), compiled_for(Layout::Checked));
    }

    #[test]
    fn the_clock_stops_with_the_engine() {
        let (engine, _) = engine(ROOM).expect("engine");
        tick(&engine).expect("clock");
        let weak = engine.weak();
        drop(engine);
        thread::sleep(TICK * 5);
        assert!(weak.upgrade().is_none(), "the clock must not keep the engine");
    }
}
