//! Commits the sin that its configuration names. Those that need nothing but a few lines stand here together, because
//! each component costs seconds to build.

use std::{hint::black_box, thread, time::Duration};

use wharfinger_guests::{
    Error, Guest, Object, Outcome, Page, Partition, ReadRequest, configured, get, http, log, object, page, passed,
};

struct Sins;

/// Parts of a listing, so that a sin is committed as often at a time as the host lets it.
const PARTS: usize = 16;

impl Guest for Sins {
    fn check(config: String) -> Result<Vec<Outcome>, Error> {
        let said = match configured(&config, "sin").as_str() {
            "trap in check" => panic!("check is a trap"),
            "recursion in memory" => descend(1).to_string(),
            "handles" => hoard(),
            "host calls in check" => call_without_end(),
            "stalled batch in check" => wait_for_batch(&format!("{}/stall", configured(&config, "origin"))),
            "stalled server in check" => wait_for(&format!("{}/stall", configured(&config, "origin"))),
            _ => String::new(),
        };
        Ok(passed(said))
    }

    fn plan(config: String, _scope: Vec<String>) -> Result<Vec<Partition>, Error> {
        let sin = configured(&config, "sin");
        assert!(sin != "trap in plan", "plan is a trap");
        let part = |number: usize| Partition {
            id: number.to_string(),
            scope: Vec::new(),
            payload: String::new(),
            weight: 0,
            extra: Vec::new(),
        };
        let parts = if one_part(&sin) { 1 } else { PARTS };
        Ok((0..parts).map(part).collect())
    }

    fn read(config: String, request: ReadRequest) -> Result<Page, Error> {
        let sin = configured(&config, "sin");
        let turn: u64 = request.cursor.as_deref().and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
        let going_on = |objects: Vec<Object>, next: u64| Ok(Page { next: Some(next.to_string()), ..page(objects) });
        let named = |name: String| object(&[name.as_str()]);
        match sin.as_str() {
            "trap in read" => panic!("read is a trap"),
            "loop" => {
                let mut count = 0_u64;
                loop {
                    count = black_box(count.wrapping_add(1));
                }
            }
            "growth" => {
                let mut hoard = Vec::new();
                loop {
                    hoard.push(black_box(vec![1_u8; 1 << 20]));
                }
            }
            "flood" => loop {
                log::log("info", &"x".repeat(100_000), &[]);
            },
            "hang" => {
                thread::sleep(Duration::from_secs(24 * 60 * 60));
                Ok(page(Vec::new()))
            }
            "host calls" => {
                call_without_end();
                Ok(page(Vec::new()))
            }
            "stalled server" => {
                wait_for(&format!("{}/stall", configured(&config, "origin")));
                Ok(page(Vec::new()))
            }
            "huge pages" => Ok(page(vec![Object { comment: Some("x".repeat(15 << 20)), ..object(&["a"]) }])),
            "never ends" => going_on(Vec::new(), turn + 1),
            "repeats" => going_on(Vec::new(), 1),
            "alternates" => going_on(Vec::new(), 1 + turn % 2),
            "polls" => Ok(Page { next: Some("same".into()), not_before_ms: Some(0), ..page(Vec::new()) }),
            "tiny pages" => going_on(vec![named(format!("{} {turn}", request.partition.id))], turn + 1),
            "duplicates" => Ok(page(vec![object(&["twin"]), object(&["twin"]), object(&["other"])])),
            "orphans" => Ok(page(vec![object(&["nowhere", "child"]), object(&["other"])])),
            "strangers" => Ok(page(vec![object(&["elsewhere", "child"]), object(&["mine", "child"])])),
            _ => Ok(page(vec![named(format!("t{}", request.partition.id))])),
        }
    }

    fn columns(config: String, _names: Vec<String>) -> Result<Page, Error> {
        assert!(configured(&config, "sin") != "trap in columns", "columns is a trap");
        Ok(page(Vec::new()))
    }

    fn confirm(config: String, names: Vec<String>) -> Result<Vec<String>, Error> {
        assert!(configured(&config, "sin") != "trap in confirm", "confirm is a trap");
        Ok(names.iter().map(|_| "unknown".to_owned()).collect())
    }
}

/// Sins whose count is looked at.
fn one_part(sin: &str) -> bool {
    matches!(sin, "never ends" | "repeats" | "alternates" | "polls" | "duplicates" | "orphans" | "strangers")
}

#[allow(unconditional_recursion, reason = "what it is here for")]
fn descend(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    descend(depth + 1) + frame[63]
}

/// Takes handles without end; what the host refuses for want of room is a handle all the same.
fn hoard() -> String {
    let batches: Vec<_> = (0..100_000).map(|_| http::Batch::new(&[], 1)).collect();
    format!("{} handles", batches.len())
}

/// Each call returns at once, so that no waiting ends them.
fn call_without_end() -> String {
    let batch = http::Batch::new(&[], 1);
    loop {
        black_box(batch.next());
        black_box(log::enabled("info"));
    }
}

/// Asks again whatever it is told.
fn wait_for(url: &str) -> String {
    loop {
        black_box(http::send(&get(url.to_owned())).is_ok());
    }
}

fn wait_for_batch(url: &str) -> String {
    loop {
        let batch = http::Batch::new(&[get(url.to_owned()), get(url.to_owned())], 2);
        while black_box(batch.next()).is_some() {}
    }
}

wharfinger_guests::export!(Sins: optional);
