//! What a guest may use. Every number that bounds one stands here.
//!
//! The limiter sums linear memory over the whole store, because wasmtime's own counts each memory by itself. What a
//! guest hands over, its handles, its output and its time are bounded where the store is made (`instance`).

use std::time::Duration;

use wasmtime::ResourceLimiter;

/// Largest component.
pub(super) const MAX_COMPONENT: usize = 32 << 20;
/// Linear memory of one store, all memories together.
pub(super) const MAX_MEMORY: usize = 256 << 20;
/// Elements of all tables of one store together.
pub(super) const MAX_TABLE_ELEMENTS: usize = 100_000;
/// Bytes that a guest may hand over in one host call or as one result.
pub(super) const HOSTCALL_FUEL: usize = 16 << 20;
/// Handles that the guest's side may hold.
pub(super) const MAX_HANDLES: usize = 4096;
/// Things that the host's side holds for the guest.
pub(super) const MAX_RESOURCES: usize = 1024;
/// Batches and open bodies among them: behind each stand requests and answers.
pub(super) const MAX_TRANSFERS: usize = 16;
/// Bytes of random in one call.
pub(super) const MAX_RANDOM: u64 = 64 << 10;
/// What is kept of a guest's standard output and error.
pub(super) const MAX_OUTPUT: usize = 64 << 10;
/// One line of a guest's log.
pub(super) const MAX_LOG_LINE: usize = 8 << 10;
/// All lines of one operation.
pub(super) const MAX_LOG: usize = 1 << 20;
/// One whole HTTP answer.
pub(super) const MAX_RESPONSE: usize = 64 << 20;
/// Repeats of requests in one operation.
pub(super) const MAX_RETRIES: u32 = 20;
/// Requests of one batch that run or wait to be fetched at a time.
pub(super) const MAX_PARALLEL: usize = 8;
/// Requests of one batch.
pub(super) const MAX_BATCH: usize = 1000;
/// Bodies of the answers of one operation's batches that are there and were not fetched, together.
pub(super) const MAX_UNFETCHED: usize = 128 << 20;
/// Guests that run at a time.
pub(super) const MAX_CALLS: u32 = 32;
/// Objects of one page, and every other list in it.
pub(super) const MAX_PAGE_OBJECTS: usize = 1000;
/// Text of one page.
pub(super) const MAX_PAGE_BYTES: usize = 8 << 20;
/// A cursor or a partition's payload: they are stored with every page.
pub(super) const MAX_CURSOR: usize = 64 << 10;
/// The document a connector describes itself with.
pub(super) const MAX_DESCRIPTOR: usize = 1 << 20;
/// A short text of a guest's: identifiers, fingerprints, kinds.
pub(super) const MAX_LABEL: usize = 1024;
/// A message for people.
pub(super) const MAX_MESSAGE: usize = 4096;
/// How often the epoch ticks.
pub(super) const TICK: Duration = Duration::from_millis(10);

/// What an operator may change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// The time that calls may take, as a multiple of the default. (That of `describe` is fixed.)
    pub time_factor: f32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { time_factor: 1.0 }
    }
}

/// How long one operation may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// What is called, as errors name it.
    pub(super) name: &'static str,
    /// From the moment the guest begins, waiting for the platform included.
    pub(super) wall: Duration,
    /// Time in which the guest itself computes.
    pub(super) cpu: Duration,
}

impl Times {
    pub(super) const DESCRIBE: Self = Self::new("describe", 5, 3);
    pub(super) const CHECK: Self = Self::new("check", 60, 10);
    pub(super) const PLAN: Self = Self::new("plan", 60, 10);
    pub(super) const READ: Self = Self::new("read", 120, 30);
    pub(super) const READ_COLUMNS: Self = Self::new("read columns", 120, 30);
    pub(super) const CONFIRM: Self = Self::new("confirm", 60, 10);

    const fn new(name: &'static str, wall: u64, cpu: u64) -> Self {
        Self { name, wall: Duration::from_secs(wall), cpu: Duration::from_secs(cpu) }
    }

    /// The times that an operator chose.
    pub(super) fn scaled(self, limits: Limits) -> Self {
        // Not less than a tick, whatever is asked for.
        // Whole milliseconds, because people read them.
        let scale = |time: Duration| {
            let scaled = time.mul_f32(limits.time_factor.clamp(0.001, 1000.0));
            Duration::from_millis((scaled.as_secs_f64() * 1000.0).round() as u64).max(TICK)
        };
        Self { wall: scale(self.wall), cpu: scale(self.cpu), ..self }
    }

    /// When host calls give up: early enough for the guest to hear of it and to return what it has.
    pub(super) fn host_calls(&self) -> Duration {
        self.wall.mul_f32(0.9)
    }

    /// The budget of computing time, in ticks of the epoch.
    pub(super) fn cpu_ticks(&self) -> u64 {
        u64::try_from(self.cpu.as_millis() / TICK.as_millis()).unwrap_or(u64::MAX)
    }
}

/// Counts memory and tables of one store, and remembers what it refused.
///
/// What was granted is never given back: wasmtime reports some failed growths without having asked before, so that a
/// guest could earn room by failing. A growth beyond the memory's own maximum is refused here, so nothing but an
/// exhausted operating system leaves a charge behind, and the store lives for one call only.
#[derive(Debug)]
pub(super) struct Limiter {
    memory_left: usize,
    table_left: usize,
    memory_denied: bool,
    table_denied: bool,
}

impl Limiter {
    pub(super) fn new() -> Self {
        Self { memory_left: MAX_MEMORY, table_left: MAX_TABLE_ELEMENTS, memory_denied: false, table_denied: false }
    }

    /// What was refused, in the words of an error message. A guest that is refused memory dies of something else.
    pub(super) fn denied(&self) -> Option<&'static str> {
        match (self.memory_denied, self.table_denied) {
            (true, _) => Some("memory: it may have 256 MiB"),
            (_, true) => Some("tables: they may have 100 000 elements"),
            _ => None,
        }
    }
}

/// Takes a growth from what is left.
fn take(left: &mut usize, denied: &mut bool, current: usize, desired: usize, maximum: Option<usize>) -> bool {
    let growth = desired.saturating_sub(current);
    let fits = growth <= *left && maximum.is_none_or(|m| desired <= m);
    if fits {
        *left -= growth;
    } else {
        *denied = true;
    }
    fits
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(take(&mut self.memory_left, &mut self.memory_denied, current, desired, maximum))
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.memory_denied = true;
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(take(&mut self.table_left, &mut self.table_denied, current, desired, maximum))
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.table_denied = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_are_summed_over_the_store() {
        let mut limiter = Limiter::new();
        assert!(limiter.memory_growing(0, MAX_MEMORY / 2, None).expect("first"));
        assert!(limiter.memory_growing(0, MAX_MEMORY / 2, None).expect("second"));
        assert!(limiter.denied().is_none());
        assert!(!limiter.memory_growing(0, 1, None).expect("third"));
        assert!(limiter.denied().is_some_and(|d| d.starts_with("memory")));
    }

    #[test]
    fn failing_to_grow_earns_no_room() {
        let mut limiter = Limiter::new();
        assert!(limiter.memory_growing(0, MAX_MEMORY, None).expect("all"));
        limiter.memory_grow_failed(wasmtime::Error::msg("beyond the type's limits")).expect("failed");
        assert!(!limiter.memory_growing(0, 1, None).expect("more"));
    }

    #[test]
    fn tables_have_a_limit_of_their_own() {
        let mut limiter = Limiter::new();
        assert!(!limiter.table_growing(0, MAX_TABLE_ELEMENTS + 1, None).expect("too many"));
        assert!(!limiter.table_growing(0, 11, Some(10)).expect("beyond its own maximum"));
        assert!(limiter.table_growing(0, MAX_TABLE_ELEMENTS, None).expect("all"));
    }
}
