//! The figures in lines, for people.

use std::fmt::{Display, Formatter, Result};

use super::{Latencies, Outcome, Sync};
use crate::store::Room;

impl Display for Outcome {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(
            f,
            "{}: {} tables of {} columns in {} schemas, {} ms before every answer\n",
            self.platform.name(),
            self.tables,
            self.columns,
            self.schemas,
            self.latency_ms,
        )?;
        writeln!(
            f,
            "sync                  s   cpu s  requests  received MB      rows  written MB  to disk MB  peak MB"
        )?;
        sync(f, "first", &self.first)?;
        sync(f, "unchanged", &self.unchanged)?;
        sync(f, &format!("{} changed", self.changes), &self.changed)?;
        let all_columns = (self.tables * self.columns) as f64;
        room(f, "first", &self.room, all_columns)?;
        room(f, "third", &self.room_later, all_columns)?;
        latencies(f, "while nothing runs", &self.idle)?;
        latencies(f, "from the middle of the first sync on", &self.during_first)?;
        latencies(f, "while an unchanged sync runs", &self.during_later)?;
        write!(f, "\npeak memory with readers and a sync: {:.0} MB", self.peak_with_readers_mb)
    }
}

fn sync(f: &mut Formatter<'_>, name: &str, of: &Sync) -> Result {
    let mega = |bytes: u64| bytes as f64 / 1e6;
    writeln!(
        f,
        "{name:<15} {:>7.1} {:>7.1} {:>9} {:>12.1} {:>9} {:>11.1} {:>11.1} {:>8.0}",
        of.seconds,
        of.cpu_seconds,
        of.requests,
        mega(of.received_bytes),
        of.rows_written.map_or("-".into(), |rows| rows.to_string()),
        mega(of.written_bytes),
        mega(of.disk_bytes),
        of.peak_mb,
    )
}

fn room(f: &mut Formatter<'_>, name: &str, of: &Room, columns: f64) -> Result {
    let each = |bytes: u64| bytes as f64 / columns;
    writeln!(
        f,
        "\nstore after the {name} sync: {:.0} MB of file, {:.1} bytes a column; {:.1} in pages in use, {:.1} of keys and values",
        of.file_bytes as f64 / 1e6,
        each(of.file_bytes),
        each(of.used_bytes),
        each(of.stored_bytes),
    )?;
    for table in of.tables.iter().take(12) {
        writeln!(
            f,
            "  {:<20} {:>9} rows, {:>6.1} bytes a column in pages, {:>6.1} of keys and values",
            table.name,
            table.rows,
            each(table.page_bytes),
            each(table.stored_bytes),
        )?;
    }
    Ok(())
}

fn latencies(f: &mut Formatter<'_>, when: &str, all: &[Latencies]) -> Result {
    writeln!(f, "\n{when:<40} samples    p50 ms    p99 ms    max ms")?;
    for of in all {
        writeln!(f, "  {:<38} {:>7} {:>9.2} {:>9.2} {:>9.2}", of.what, of.samples, of.p50, of.p99, of.max)?;
    }
    Ok(())
}
