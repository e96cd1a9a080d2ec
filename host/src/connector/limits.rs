//! What a guest may use. Every number that bounds one stands here.
//!
//! The limiter sums linear memory over the whole store, because wasmtime's own counts each memory by itself. What a
//! guest hands over, its handles, its output and its time are bounded where the store is made (`instance`).

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use wasmtime::ResourceLimiter;

use super::engine::Room;

/// The largest component that a host can be told to take, in MiB.
pub const MOST_COMPONENT_MIB: u32 = 256;
/// Batches and open bodies of one operation: behind each stand requests and answers.
pub(super) const MAX_TRANSFERS: usize = 16;
/// What is kept of a guest's standard output and error.
pub(super) const MAX_OUTPUT: usize = 64 << 10;
/// One line of a guest's log.
pub(super) const MAX_LOG_LINE: usize = 8 << 10;
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
/// Core instances, memories and tables of one call. A component made from several languages' parts has many modules, but
/// few of them own a memory.
pub(super) const MAX_CALL_INSTANCES: u32 = 32;
pub(super) const MAX_CALL_MEMORIES: u32 = 2;
pub(super) const MAX_CALL_TABLES: u32 = 8;
/// Outcomes of one check.
pub(super) const MAX_OUTCOMES: usize = 1000;
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

/// What an operator may change for a connector.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The time that calls may take, as a multiple of the default. (That of `describe` is fixed.)
    pub time_factor: f64,
    /// MiB of linear memory of one call, all memories together.
    pub memory_mib: u32,
    /// Elements of all tables of one call together.
    pub table_elements: u32,
    /// MiB that a guest may hand over in one host call or as one result.
    pub handover_mib: u32,
    /// Handles that the guest's side may hold.
    pub handles: u32,
    /// Things that the host's side holds for the guest.
    pub resources: u32,
    /// KiB of random in one call.
    pub random_kib: u32,
    /// MiB of one whole HTTP answer.
    pub response_mib: u32,
    /// MiB of one HTTP answer that is read piece by piece.
    pub stream_mib: u32,
    /// MiB of all HTTP answers for one partition, whatever the number of its pages, and so of one call too.
    pub partition_mib: u32,
    /// Objects of one page, and things in every other list of it.
    pub page_objects: u32,
    /// MiB of text of one page.
    pub page_mib: u32,
    /// KiB of all log lines of one call.
    pub log_kib: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            time_factor: 1.0,
            memory_mib: 256,
            table_elements: 100_000,
            handover_mib: 16,
            handles: 4096,
            resources: 1024,
            random_kib: 64,
            response_mib: 64,
            stream_mib: 1024,
            partition_mib: 4096,
            page_objects: 1000,
            page_mib: 8,
            log_kib: 1024,
        }
    }
}

impl Limits {
    /// Whether a host can keep them; the error names the key.
    pub fn check(&self) -> Result<(), String> {
        if !(0.1..=100.0).contains(&self.time_factor) {
            return Err(format!("time_factor must be 0.1 to 100, not {}", self.time_factor));
        }
        for (key, found, least, most) in [
            ("memory_mib", self.memory_mib, 16, 4096),
            ("table_elements", self.table_elements, 1000, 1_000_000),
            ("handover_mib", self.handover_mib, 1, 256),
            ("handles", self.handles, 64, 65_536),
            ("resources", self.resources, 64, 65_536),
            ("random_kib", self.random_kib, 1, 65_536),
            ("response_mib", self.response_mib, 1, 1024),
            ("stream_mib", self.stream_mib, 1, 65_536),
            ("partition_mib", self.partition_mib, 1, 1_048_576),
            ("page_objects", self.page_objects, 1, 10_000),
            ("page_mib", self.page_mib, 1, 64),
            ("log_kib", self.log_kib, 1, 65_536),
        ] {
            if !(least..=most).contains(&found) {
                return Err(format!("{key} must be {least} to {most}, not {found}"));
            }
        }
        Ok(())
    }

    pub(super) fn memory(&self) -> usize {
        mib(self.memory_mib)
    }

    pub(super) fn handover(&self) -> usize {
        mib(self.handover_mib)
    }

    pub(super) fn response(&self) -> usize {
        mib(self.response_mib)
    }

    pub(super) fn stream(&self) -> u64 {
        u64::from(self.stream_mib) << 20
    }

    pub(super) fn partition(&self) -> u64 {
        u64::from(self.partition_mib) << 20
    }

    pub(super) fn page_bytes(&self) -> usize {
        mib(self.page_mib)
    }

    pub(super) fn log(&self) -> usize {
        self.log_kib as usize * 1024
    }
}

fn mib(number: u32) -> usize {
    number as usize * 1024 * 1024
}

/// The limits of each connector.
#[derive(Clone, Debug, PartialEq)]
pub struct LimitsOf {
    /// MiB of a component. Its name is not known before it is read.
    pub component_mib: u32,
    /// Of those that are not named.
    pub others: Limits,
    /// By the connector's name.
    pub named: BTreeMap<String, Limits>,
}

impl Default for LimitsOf {
    fn default() -> Self {
        Self { component_mib: 32, others: Limits::default(), named: BTreeMap::new() }
    }
}

impl LimitsOf {
    /// Bytes of a component.
    pub(super) fn component(&self) -> usize {
        mib(self.component_mib)
    }

    /// Of one connector.
    #[must_use]
    pub fn of(&self, name: &str) -> Limits {
        self.named.get(name).copied().unwrap_or(self.others)
    }

    /// The most that any connector may have.
    pub(super) fn room(&self) -> Room {
        // Describing needs the defaults, whatever is named.
        let all = [Limits::default(), self.others].into_iter().chain(self.named.values().copied());
        all.fold(Room { memory: 0, table_elements: 0 }, |room, limits| Room {
            memory: room.memory.max(limits.memory()),
            table_elements: room.table_elements.max(limits.table_elements as usize),
        })
    }
}

/// A number of bytes for people.
pub(super) fn size(bytes: usize) -> String {
    match bytes {
        b if b >= 1 << 20 && b.is_multiple_of(1 << 20) => format!("{} MiB", b >> 20),
        b if b >= 1 << 10 && b.is_multiple_of(1 << 10) => format!("{} KiB", b >> 10),
        b => format!("{b} bytes"),
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
    /// Whether it only tries something out: how that ends is told to who tries, and says nothing about a version that serves.
    pub(super) is_trial: bool,
}

impl Times {
    pub(super) const DESCRIBE: Self = Self { is_trial: true, ..Self::new("describe", 5, 3) };
    pub(super) const CHECK: Self = Self { is_trial: true, ..Self::new("check", 60, 10) };
    pub(super) const PLAN: Self = Self::new("plan", 60, 10);
    pub(super) const READ: Self = Self::new("read", 120, 30);
    pub(super) const READ_COLUMNS: Self = Self::new("read columns", 120, 30);
    pub(super) const CONFIRM: Self = Self::new("confirm", 60, 10);

    const fn new(name: &'static str, wall: u64, cpu: u64) -> Self {
        Self { name, wall: Duration::from_secs(wall), cpu: Duration::from_secs(cpu), is_trial: false }
    }

    /// The times that an operator chose.
    pub(super) fn scaled(self, limits: &Limits) -> Self {
        // Not less than a tick, whatever is asked for.
        // Whole milliseconds, because people read them.
        let scale = |time: Duration| {
            let scaled = time.mul_f64(limits.time_factor.clamp(0.001, 1000.0));
            Duration::from_millis((scaled.as_secs_f64() * 1000.0).round() as u64).max(TICK)
        };
        Self { wall: scale(self.wall), cpu: scale(self.cpu), ..self }
    }

    /// When host calls give up: early enough for the guest to hear of it and to return what it has.
    pub(super) fn host_calls(&self) -> Duration {
        self.wall.mul_f32(0.9)
    }

    /// All the time that it may take, in ticks of the epoch.
    pub(super) fn ticks(&self) -> u64 {
        u64::try_from(self.wall.as_millis() / TICK.as_millis()).unwrap_or(u64::MAX)
    }
}

/// Counts memory and tables of one store, and remembers what it refused.
///
/// What was granted is never given back: wasmtime reports some failed growths without having asked before, so that a
/// guest could earn room by failing. A growth beyond the memory's own maximum is refused here, so nothing but an
/// exhausted operating system leaves a charge behind, and the store lives for one call only.
#[derive(Debug)]
pub(super) struct Limiter {
    memory: usize,
    memory_left: usize,
    memory_denied: bool,
    table: usize,
    table_left: usize,
    table_denied: bool,
}

/// What a limiter refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Memory,
    Tables,
}

impl Limiter {
    pub(super) fn new(limits: &Limits) -> Self {
        let (memory, table) = (limits.memory(), limits.table_elements as usize);
        Self { memory, memory_left: memory, memory_denied: false, table, table_left: table, table_denied: false }
    }

    /// What was refused first of all. A guest that is refused memory dies of something else.
    pub(super) fn refused(&self) -> Option<Refused> {
        match (self.memory_denied, self.table_denied) {
            (true, _) => Some(Refused::Memory),
            (_, true) => Some(Refused::Tables),
            _ => None,
        }
    }

    /// The same in the words of an error message.
    pub(super) fn denied(&self) -> Option<String> {
        Some(match self.refused()? {
            Refused::Memory => format!("memory: it may have {}", size(self.memory)),
            Refused::Tables => format!("tables: they may have {} elements", self.table),
        })
    }

    /// Bytes of memory that were granted.
    pub(super) fn memory_granted(&self) -> usize {
        self.memory - self.memory_left
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
    fn instances(&self) -> usize {
        MAX_CALL_INSTANCES as usize
    }

    fn memories(&self) -> usize {
        MAX_CALL_MEMORIES as usize
    }

    fn tables(&self) -> usize {
        MAX_CALL_TABLES as usize
    }

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

    const MEMORY: usize = 256 << 20;
    const TABLES: usize = 100_000;

    #[test]
    fn memories_are_summed_over_the_store() {
        let mut limiter = Limiter::new(&Limits::default());
        assert!(limiter.memory_growing(0, MEMORY / 2, None).expect("first"));
        assert!(limiter.memory_growing(0, MEMORY / 2, None).expect("second"));
        assert!(limiter.denied().is_none());
        assert!(!limiter.memory_growing(0, 1, None).expect("third"));
        assert!(limiter.denied().is_some_and(|d| d == "memory: it may have 256 MiB"));
    }

    #[test]
    fn failing_to_grow_earns_no_room() {
        let mut limiter = Limiter::new(&Limits::default());
        assert!(limiter.memory_growing(0, MEMORY, None).expect("all"));
        limiter.memory_grow_failed(wasmtime::Error::msg("beyond the type's limits")).expect("failed");
        assert!(!limiter.memory_growing(0, 1, None).expect("more"));
    }

    #[test]
    fn tables_have_a_limit_of_their_own() {
        let mut limiter = Limiter::new(&Limits::default());
        assert!(!limiter.table_growing(0, TABLES + 1, None).expect("too many"));
        assert!(!limiter.table_growing(0, 11, Some(10)).expect("beyond its own maximum"));
        assert!(limiter.table_growing(0, TABLES, None).expect("all"));
    }

    #[test]
    fn what_a_host_cannot_keep_is_refused_by_its_key() {
        assert_eq!(Limits::default().check(), Ok(()));
        let wrong = Limits { memory_mib: 5000, ..Limits::default() }.check();
        assert_eq!(wrong, Err("memory_mib must be 16 to 4096, not 5000".to_owned()));
        let wrong = Limits { page_objects: 0, ..Limits::default() }.check();
        assert_eq!(wrong, Err("page_objects must be 1 to 10000, not 0".to_owned()));
        let wrong = Limits { time_factor: f64::NAN, ..Limits::default() }.check();
        assert!(wrong.is_err_and(|message| message.starts_with("time_factor")));
    }

    #[test]
    fn room_is_for_the_largest() {
        let large = Limits { memory_mib: 512, ..Limits::default() };
        let limits = LimitsOf { named: [("large".to_owned(), large)].into(), ..LimitsOf::default() };
        assert_eq!((limits.room().memory, limits.room().table_elements), (512 << 20, 100_000));
        assert_eq!((limits.of("large").memory_mib, limits.of("other").memory_mib), (512, 256));
    }

    #[test]
    fn sizes_are_told_in_whole_units() {
        assert_eq!([size(256 << 20), size(64 << 10), size(1500)], ["256 MiB", "64 KiB", "1500 bytes"]);
    }
}
