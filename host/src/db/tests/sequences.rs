//! Random sequences of what platforms, people and crashes do, against a model of plain maps.
//!
//! Each sequence comes from a seed. What the store shows is compared with the model after every step, and at the end, with
//! nothing in the way, with the platform itself. A sequence that fails is told by its seed, and shortened to the steps that
//! matter. `WHARFINGER_TEST_SEQUENCES` runs that many other ones, `WHARFINGER_TEST_SEED` repeats the one of that seed.

mod drive;
mod model;
mod steps;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use drive::Failure;
use steps::{Plan, plan};

/// How many sequences a run goes through, unless it is told.
const SEQUENCES: u64 = 300;

/// What a run is told by its environment.
#[allow(clippy::disallowed_methods, reason = "a failed run is repeated with its seed")]
fn told(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

fn run(plan: &Plan) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
    match catch_unwind(AssertUnwindSafe(|| runtime.block_on(drive::run(plan)))) {
        Ok(done) => done,
        Err(_) => Err("it panicked".into()),
    }
}

/// The shortest sequence found that fails as well: without steps from the end, then without single ones.
fn shrink(mut plan: Plan, mut why: Failure) -> (Plan, Failure) {
    let without = |plan: &mut Plan, n: usize, why: &mut Failure| {
        let mut shorter = plan.clone();
        shorter.steps.remove(n);
        if let Err(other) = run(&shorter) {
            (*plan, *why) = (shorter, other);
        }
    };
    for _ in 0..3 {
        let before = plan.steps.len();
        for n in (0..before).rev() {
            without(&mut plan, n, &mut why);
        }
        for n in (0..plan.setup.tables.len()).rev() {
            let mut shorter = plan.clone();
            shorter.setup.tables.remove(n);
            if let Err(other) = run(&shorter) {
                (plan, why) = (shorter, other);
            }
        }
        if plan.steps.len() == before {
            break;
        }
    }
    (plan, why)
}

#[test]
fn the_store_is_as_the_model_after_any_sequence() {
    let one = told("WHARFINGER_TEST_SEED");
    let many = told("WHARFINGER_TEST_SEQUENCES");
    // Without being told it is always the same ones: what fails then is a change's own doing.
    let fresh = many.map(|_| uuid::Uuid::new_v4().as_u64_pair().0);
    let first = one.or(fresh).unwrap_or_default();
    let count = if one.is_some() { 1 } else { many.unwrap_or(SEQUENCES) };
    println!("{count} sequences from seed {first} on");
    let (next, failed) = (AtomicU64::new(0), Mutex::new(None));
    let go = || {
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= count || failed.lock().expect("lock").is_some() {
                return;
            }
            let seed = first.wrapping_add(n);
            if let Err(why) = run(&plan(seed)) {
                failed.lock().expect("lock").get_or_insert((n, seed, why));
                return;
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(go))));
    if let Some((n, seed, why)) = failed.into_inner().expect("lock") {
        let (short, why_short) = shrink(plan(seed), why.clone());
        let steps: Vec<String> = short.steps.iter().enumerate().map(|(n, step)| format!("{n}. {step:?}")).collect();
        let (setup, steps) = (&short.setup, steps.join("\n"));
        panic!("sequence {n}, seed {seed}: {why}\nshortened: {why_short}\n{setup:?}\n{steps}");
    }
}
