//! Results for people and for machines.

use std::fmt::Write as _;

use anyhow::Result;
use serde_json::json;

use crate::scenario::Outcome;

/// One document with everything.
pub(crate) fn json(outcomes: &[Outcome]) -> Result<String> {
    Ok(serde_json::to_string_pretty(&json!({ "version": env!("CARGO_PKG_VERSION"), "results": outcomes }))?)
}

/// What matters, in lines.
pub(crate) fn table(outcomes: &[Outcome]) -> String {
    let mut text = String::from(
        "platform    scenario    latency |  first s   floor s  ratio  tables/s  peak MB | requests        MB | second s  requests       kB  rows | third s  requests       kB  columns\n",
    );
    for of in outcomes {
        let scenario = format!("{}x{}", of.scenario.tables, of.scenario.columns);
        let megabytes = of.bytes as f64 / 1e6;
        let kilobytes = of.second.bytes as f64 / 1e3;
        let third = of.third.bytes as f64 / 1e3;
        let share = of.third.column_share.map_or("     -".into(), |share| format!("{:>5.2} %", share * 100.0));
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{:<11} {scenario:<11} {:>4} ms | {:>8.3}  {:>8.3}  {:>5.2}  {:>8.0}  {:>7.1} | {:>8}  {megabytes:>8.2} | {:>8.3}  {:>8}  {kilobytes:>7.0}  {:>4} | {:>7.3}  {:>8}  {third:>7.0}  {share}",
            of.platform.name(),
            of.latency_ms,
            of.seconds,
            of.floor_seconds,
            of.ratio,
            of.tables_per_second,
            of.peak_memory_mb,
            of.requests,
            of.second.seconds,
            of.second.requests,
            of.second.rows_written,
            of.third.seconds,
            of.third.requests,
        );
    }
    text.push_str(
        "first: sync of a new, enabled connection, from its claim to its end; floor: a plain client that fetches, parses \
         and stores the same; second: sync of the same, unchanged; third: sync after ten tables got a column, with the decompressed bytes of columns \
         as a share of the first sync's",
    );
    text
}
