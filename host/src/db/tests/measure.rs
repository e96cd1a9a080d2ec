//! What reading and changing a large inventory costs while pages are written. Prints figures; takes minutes, so only when
//! `WHARFINGER_MEASURE` is set to the number of tables in thousands, in a build that is optimised.

use std::time::{Duration, Instant};

use super::{
    super::{
        DbError,
        fault::Stop,
        objects::{Search, Sort},
        settings::Mode,
        tables::WriteRows,
    },
    World, at,
    fill::{Schema, fill},
    later,
};
use crate::model::{settings::SettingsChange, sight::Sight};

const SCHEMAS: usize = 200;

fn memory(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("status");
    let line = status.lines().find(|known| known.starts_with(line)).expect("line");
    line.split_whitespace().nth(1).expect("number").parse::<u64>().expect("number") / 1024
}

fn tell(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)].as_secs_f64() * 1000.0;
    println!("{what:<44} p50 {:8.2} ms   p99 {:8.2} ms   n {}", at(50), at(99), times.len());
}

fn schema(n: usize, tables: impl Iterator<Item = usize>) -> Schema {
    let table = |m: usize| {
        format!("{}_{}_{m:05}", ["FACT", "DIM", "STG", "RAW", "MART"][m % 5], ["SALES", "ORDERS", "USERS"][m % 3])
    };
    Schema { catalog: format!("DB{}", n % 4), name: format!("SCHEMA_{n:03}"), tables: tables.map(table).collect() }
}

async fn ask(world: &World, what: &str, search: Search, times: usize, pages: usize) {
    let (mut first, mut next) = (Vec::new(), Vec::new());
    for _ in 0..times {
        let mut search = search.clone();
        for page in 0..pages {
            let begun = Instant::now();
            let hits = world.db.search(&Sight::All, search.clone()).await.expect("search");
            if page == 0 {
                first.push(begun.elapsed())
            } else {
                next.push(begun.elapsed())
            }
            search.cursor = hits.next;
            if search.cursor.is_none() {
                break;
            }
        }
    }
    tell(what, first);
    if !next.is_empty() {
        tell(&format!("{what}, by cursor"), next);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures() {
    let Some(thousands) = std::env::var_os("WHARFINGER_MEASURE") else { return };
    let thousands: usize = thousands.to_str().expect("text").parse().expect("a number");
    let per_schema = thousands * 1000 / SCHEMAS;
    let mut world = World::new("measure", SettingsChange::default()).await;
    println!("memory at the beginning {} MB", memory("VmRSS"));
    let begun = Instant::now();
    for n in 0..SCHEMAS {
        fill(&world.db, world.connection.id, vec![schema(n, 0..per_schema)]).await;
    }
    println!(
        "filled with {} tables in {:.1} s, memory {} MB",
        per_schema * SCHEMAS,
        begun.elapsed().as_secs_f64(),
        memory("VmRSS")
    );
    world = world.crash();
    let id = world.connection.id;
    let begun = Instant::now();
    while world.db.shared.names.of(id.as_u128()).is_none() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    println!(
        "names gathered in {:.2} s, memory {} MB, at most {} MB",
        begun.elapsed().as_secs_f64(),
        memory("VmRSS"),
        memory("VmHWM")
    );

    let (mut opening, mut aborting, mut committing) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..200 {
        let transaction = world.db.shared.database.begin_write().expect("begin");
        let begun = Instant::now();
        let rows = WriteRows::open(&transaction).expect("open");
        opening.push(begun.elapsed());
        let begun = Instant::now();
        drop(rows);
        transaction.abort().expect("abort");
        aborting.push(begun.elapsed());
        let begun = Instant::now();
        let work = |rows: &mut WriteRows<'_>| Ok::<_, Stop<DbError>>(rows.meta.insert("measured", 1).map(|_| ())?);
        world.db.work("one row", work).await.expect("work");
        committing.push(begun.elapsed());
    }
    tell("open all tables", opening);
    tell("close them and abort", aborting);
    tell("commit one row", committing);
    for is_writing in [false, true] {
        println!("--- {}", if is_writing { "while pages are written" } else { "nothing else runs" });
        let db = world.db.clone();
        // Pages of 200 tables each, as a sync that finds new ones writes them.
        let mut tasks = tokio::task::JoinSet::new();
        let pages = async move {
            let mut times = Vec::new();
            loop {
                let n = times.len();
                let from = per_schema + n / SCHEMAS * 200;
                let begun = Instant::now();
                fill(&db, id, vec![schema(n % SCHEMAS, from..from + 200)]).await;
                times.push(begun.elapsed());
                tell_every(&times);
            }
        };
        if is_writing {
            tasks.spawn(pages);
        }
        let schema = Search { root: Some(at("K/DB1/SCHEMA_101")), size: 50, ..Search::default() };
        ask(&world, "children", schema.clone(), 200, 4).await;
        ask(&world, "children, from the end", Search { descending: true, ..schema.clone() }, 200, 2).await;
        let below = |text: &str| Search {
            root: Some(at("K")),
            recursive: true,
            text: Some(text.into()),
            size: 50,
            ..Search::default()
        };
        for (what, text) in [
            ("no match", "no_such_name"),
            ("rare: 200", "_04711"),
            ("2 000", "0471"),
            ("200 000", "stg_"),
            ("nearly all", "_"),
        ] {
            ask(&world, &format!("name search, {what}"), below(text), 100, 3).await;
        }
        ask(&world, "by path, nearly all", Search { sort: Sort::ObjectPath, ..below("_") }, 50, 3).await;
        ask(&world, "by path, rare", Search { sort: Sort::ObjectPath, ..below("_04711") }, 50, 1).await;
        ask(&world, "in one database, rare", Search { root: Some(at("K/DB1")), ..below("_04711") }, 50, 1).await;
        ask(&world, "no text, by name", Search { text: None, ..below("") }, 50, 3).await;
        let mut toggles = Vec::new();
        for n in 0..100 {
            let change = SettingsChange { is_active: Some(Some(n % 2 == 0)), new_children: None };
            let begun = Instant::now();
            let done = world.db.change_settings(&Sight::All, &at("K"), change, None, Mode::Apply, later(n)).await;
            done.expect("settings");
            toggles.push(begun.elapsed());
        }
        tell("toggle the connection", toggles);
        println!("memory {} MB, at most {} MB", memory("VmRSS"), memory("VmHWM"));
        tasks.abort_all();
    }
}

fn tell_every(times: &[Duration]) {
    if times.len().is_multiple_of(500) {
        tell("  (a page written)", times[times.len() - 500..].to_vec());
    }
}
