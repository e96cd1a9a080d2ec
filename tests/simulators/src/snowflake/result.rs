//! A statement's answer as bytes: every row rendered once, as a JSON array, so that any run of rows is a slice.
//!
//! Partitions of the SQL API and chunks of the driver protocol are such slices; this module decides where they are cut.

use std::io::Write as _;
use std::ops::Range;

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};

use super::relation::{Cell, Type};

/// In which protocol's way values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// `"true"`, nine digits of a second.
    SqlApi,
    /// The same with `null` as a text: what `nullable=false` asks for.
    SqlApiNullText,
    /// `"1"`, as many digits as the scale says.
    Driver,
}

/// A column of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) name: String,
    pub(crate) kind: Type,
}

/// How an answer is cut when it is large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partitions {
    /// Most rows of the first one, which comes with the answer itself.
    pub first_rows: usize,
    /// Most rows of any later one.
    pub rows: usize,
    /// Most bytes of any, before compression; one row is always allowed.
    pub bytes: usize,
}

impl Default for Partitions {
    fn default() -> Self {
        Self { first_rows: 10_000, rows: 100_000, bytes: 8 << 20 }
    }
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) headers: Vec<Header>,
    encoding: Encoding,
    /// Rows separated by commas, without outer brackets.
    rows: Vec<u8>,
    /// Where each row ends.
    ends: Vec<usize>,
}

/// A finished answer, cut.
#[derive(Debug, Clone)]
pub(crate) struct Cut {
    pub(crate) headers: Vec<Header>,
    pub(crate) parts: Vec<Part>,
}

/// A run of rows.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) rows: usize,
    /// Without outer brackets.
    pub(crate) bytes: Bytes,
}

impl Answer {
    pub(crate) fn new(headers: Vec<Header>, encoding: Encoding) -> Self {
        Self { headers, encoding, rows: Vec::new(), ends: Vec::new() }
    }

    /// One row; a cell of a numeric kind is written bare where `numeric` says so.
    pub(crate) fn push<'a>(&mut self, cells: impl Iterator<Item = Cell<'a>>, numeric: bool) {
        if !self.ends.is_empty() {
            self.rows.push(b',');
        }
        self.rows.push(b'[');
        for (at, cell) in cells.enumerate() {
            if at > 0 {
                self.rows.push(b',');
            }
            write_cell(&mut self.rows, &cell, self.encoding, numeric);
        }
        self.rows.push(b']');
        self.ends.push(self.rows.len());
    }

    /// Cuts it; there is always a first part, perhaps an empty one.
    pub(crate) fn cut(self, partitions: Partitions) -> Cut {
        let mut ranges: Vec<Range<usize>> = Vec::new();
        let mut start = 0;
        while start < self.ends.len() || ranges.is_empty() {
            let most = if ranges.is_empty() { partitions.first_rows } else { partitions.rows };
            let begin = self.begin(start);
            let full = self.ends[start..].partition_point(|&end| end - begin <= partitions.bytes);
            let rows = full.min(most).max(1).min(self.ends.len() - start);
            ranges.push(start..start + rows);
            start += rows;
        }
        let begins: Vec<usize> = ranges.iter().map(|range| self.begin(range.start)).collect();
        let whole = Bytes::from(self.rows);
        let part = |(range, begin): (Range<usize>, usize)| {
            let end = if range.is_empty() { begin } else { self.ends[range.end - 1] };
            Part { rows: range.len(), bytes: whole.slice(begin..end) }
        };
        Cut { headers: self.headers, parts: ranges.into_iter().zip(begins).map(part).collect() }
    }

    /// Where a row begins, after the comma before it.
    fn begin(&self, row: usize) -> usize {
        if row == 0 { 0 } else { self.ends[row - 1] + usize::from(row < self.ends.len()) }
    }
}

impl Cut {
    pub(crate) fn total(&self) -> usize {
        self.parts.iter().map(|part| part.rows).sum()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.parts.iter().map(|part| part.bytes.len()).sum()
    }

    /// `rowType`, alike in both protocols.
    pub(crate) fn row_type(&self) -> Vec<Value> {
        self.headers.iter().map(Header::row_type).collect()
    }
}

impl Header {
    fn row_type(&self) -> Value {
        let (kind, scale, precision, length) = match self.kind {
            Type::Text => ("text", None, None, Some(16_777_216)),
            Type::Number => ("fixed", Some(0), Some(38), None),
            Type::Boolean => ("boolean", None, None, None),
            Type::Time => ("timestamp_ltz", Some(3), Some(0), None),
        };
        json!({
            "name": self.name, "database": "", "schema": "", "table": "", "nullable": true, "scale": scale,
            "precision": precision, "length": length, "byteLength": length, "type": kind, "collation": null,
        })
    }
}

/// Values of this crate always serialise; a writer into memory cannot fail.
pub(crate) fn write_json(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    if let Err(error) = serde_json::to_writer(out, value) {
        tracing::error!(%error, "an answer could not be written");
    }
}

fn write_cell(out: &mut Vec<u8>, cell: &Cell<'_>, encoding: Encoding, numeric: bool) {
    let quote = if numeric { "" } else { "\"" };
    let written = match (cell, encoding) {
        (Cell::Null, Encoding::SqlApiNullText) => out.write_all(b"\"null\""),
        (Cell::Null, _) => out.write_all(b"null"),
        (Cell::Text(text), _) => {
            write_json(out, text.as_ref());
            Ok(())
        }
        (Cell::Number(number), _) => write!(out, "{quote}{number}{quote}"),
        (Cell::Boolean(value), Encoding::Driver) => write!(out, "\"{}\"", u8::from(*value)),
        (Cell::Boolean(value), _) => write!(out, "\"{value}\""),
        (Cell::Time(ms), encoding) => {
            let (seconds, ms) = (ms.div_euclid(1_000), ms.rem_euclid(1_000));
            let zeros = if encoding == Encoding::Driver { "" } else { "000000" };
            write!(out, "{quote}{seconds}.{ms:03}{zeros}{quote}")
        }
    };
    if let Err(error) = written {
        tracing::error!(%error, "a cell could not be written");
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, Encoding, Header, Partitions};
    use crate::snowflake::relation::{Cell, Type};

    fn answer(rows: i64) -> Answer {
        let headers = vec![Header { name: "N".into(), kind: Type::Number }];
        let mut answer = Answer::new(headers, Encoding::SqlApi);
        for n in 0..rows {
            answer.push([Cell::Number(n)].into_iter(), false);
        }
        answer
    }

    fn all(rows: i64, partitions: Partitions) -> (Vec<usize>, Vec<String>) {
        let cut = answer(rows).cut(partitions);
        let mut values = Vec::new();
        for part in &cut.parts {
            let text = format!("[{}]", String::from_utf8_lossy(&part.bytes));
            let rows: Vec<[String; 1]> = serde_json::from_str(&text).unwrap();
            assert_eq!(rows.len(), part.rows);
            values.extend(rows.into_iter().map(|[value]| value));
        }
        (cut.parts.iter().map(|part| part.rows).collect(), values)
    }

    #[test]
    fn parts_hold_every_row_once() {
        let partitions = Partitions { first_rows: 3, rows: 4, bytes: 1_000 };
        let (sizes, values) = all(12, partitions);
        assert_eq!(sizes, [3, 4, 4, 1]);
        assert_eq!(values, (0..12).map(|n| n.to_string()).collect::<Vec<_>>());
        assert_eq!(all(0, partitions).0, [0], "an empty answer has one empty part");
        assert_eq!(all(3, partitions).0, [3]);
        assert_eq!(all(5, Partitions { bytes: 1, ..partitions }).0, [1; 5], "a row larger than allowed is a part");
    }
}
