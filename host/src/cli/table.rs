//! Tables for people.

#![allow(clippy::print_stdout, reason = "this is the commands' output")]

use std::fmt::Write;

use serde_json::Value;

use super::Output;

/// Prints what was found: as it came, or a row of each.
pub(super) fn print(
    output: Output,
    hits: &[Value],
    headings: &[&str],
    row: impl Fn(&Value) -> Vec<String>,
) -> anyhow::Result<()> {
    if output.json {
        println!("{}", serde_json::to_string_pretty(hits)?);
    } else {
        print!("{}", layout(headings, &hits.iter().map(row).collect::<Vec<_>>()));
    }
    Ok(())
}

/// A text of what was found.
pub(super) fn text(hit: &Value, name: &str) -> String {
    hit[name].as_str().unwrap_or("-").to_owned()
}

/// Lays out rows under headings, columns as wide as their widest cell.
pub(super) fn layout(headings: &[&str], rows: &[Vec<String>]) -> String {
    let widths: Vec<usize> = headings
        .iter()
        .enumerate()
        .map(|(i, h)| rows.iter().filter_map(|r| r.get(i)).map(|c| shown(c).chars().count()).chain([h.len()]).max())
        .map(Option::unwrap_or_default)
        .collect();
    let mut out = String::new();
    let mut line = |cells: &mut dyn Iterator<Item = String>| {
        let mut text = String::new();
        for (cell, width) in cells.zip(&widths) {
            let _ = write!(text, "{cell:width$}  ");
        }
        out.push_str(text.trim_end());
        out.push('\n');
    };
    line(&mut headings.iter().map(|h| (*h).to_owned()));
    for row in rows {
        line(&mut row.iter().map(|c| shown(c)));
    }
    out
}

/// A cell without anything that could move the cursor of a terminal or reorder its line.
pub(super) fn shown(cell: &str) -> String {
    let moves = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    cell.chars().map(|c| if moves(c) { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_nothing_escapes() {
        let rows = [vec!["a\u{1b}[2J".to_owned(), "x".to_owned()], vec!["longer name".to_owned(), String::new()]];
        let text = layout(&["NAME", "N"], &rows);
        assert_eq!(text, "NAME         N\na\u{fffd}[2J        x\nlonger name\n");
    }
}
