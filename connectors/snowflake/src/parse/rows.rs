//! Results: named columns, and rows that are read from the JSON they came in, without a copy of each cell.
//!
//! One protocol gives cells as texts only, the other mixes in numbers and truth values: here all are texts.

use std::{borrow::Cow, fmt, io::Read as _};

use flate2::read::GzDecoder;
use serde::{
    Deserializer,
    de::{DeserializeSeed, Error as _, IgnoredAny, SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use wharfinger_sdk::Error;

/// Longest part of a result, unpacked.
pub(crate) const MAX_PART: usize = 64 << 20;

/// A whole result.
#[derive(Debug, Default)]
pub(crate) struct Table {
    columns: Vec<String>,
    parts: Vec<Part>,
    rows: usize,
}

/// Rows that came together: a JSON array of arrays somewhere in a text.
#[derive(Debug)]
pub(crate) struct Part {
    text: String,
    from: usize,
    to: usize,
}

impl Part {
    /// The rows of an answer of which they are a part; none of them where it says null.
    pub(crate) fn within(text: String, rows: Option<(usize, usize)>) -> Option<Self> {
        rows.map(|(from, to)| Self { text, from, to })
    }

    /// Rows without the brackets around them.
    pub(crate) fn bare(body: Vec<u8>) -> Result<Self, Error> {
        let mut text = unpack(body)?;
        if text.trim_ascii_start().starts_with('<') {
            return Err(Error::unavailable("A result file came as XML or HTML: the storage refused or failed."));
        }
        text.insert(0, '[');
        text.push(']');
        Ok(Self { from: 0, to: text.len(), text })
    }

    /// Its weight.
    pub(crate) fn len(&self) -> usize {
        self.text.len()
    }

    fn rows(&self) -> &str {
        &self.text[self.from..self.to]
    }
}

/// Where in `text` the rows stand.
pub(crate) fn place(text: &str, rows: &RawValue) -> (usize, usize) {
    let from = (rows.get().as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
    (from, from + rows.get().len())
}

/// A body as text, unpacked if it still is gzip.
pub(crate) fn unpack(body: Vec<u8>) -> Result<String, Error> {
    let bytes = if body.starts_with(&[0x1f, 0x8b]) { gunzip(&body)? } else { body };
    String::from_utf8(bytes)
        .map_err(|e| Error::unavailable("The platform's answer is not UTF-8.").detail(e.utf8_error().to_string()))
}

fn gunzip(packed: &[u8]) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let limit = MAX_PART as u64 + 1;
    GzDecoder::new(packed)
        .take(limit)
        .read_to_end(&mut bytes)
        .map_err(|e| Error::unavailable("A part of the result cannot be unpacked.").detail(e.to_string()))?;
    if bytes.len() > MAX_PART {
        return Err(Error::too_large("A part of the result is larger than 64 MiB."));
    }
    Ok(bytes)
}

impl Table {
    /// A result of these parts. Where the platform did not say how many rows there are, they are counted.
    pub(crate) fn new(columns: Vec<String>, parts: Vec<Part>, rows: Option<usize>) -> Result<Self, Error> {
        let mut table = Self { columns, parts, rows: rows.unwrap_or_default() };
        if rows.is_none() {
            for part in &table.parts {
                table.rows += serde_json::from_str::<Vec<IgnoredAny>>(part.rows())
                    .map_err(|e| Error::unavailable("The platform's result is not readable.").detail(e.to_string()))?
                    .len();
            }
        }
        Ok(table)
    }

    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.rows
    }

    /// Hands over the named cells of each row, in order. A name that begins with `?` may be missing: then there are none.
    pub(crate) fn each<'a, const N: usize>(
        &'a self,
        names: [&str; N],
        mut row: impl FnMut([Option<Cow<'a, str>>; N]),
    ) -> Result<(), Error> {
        let slots = self.slots(&names)?;
        let mut rows = 0;
        for part in &self.parts {
            let mut deserializer = serde_json::Deserializer::from_str(part.rows());
            deserializer
                .deserialize_seq(Rows { slots: &slots, row: &mut row, rows: &mut rows })
                .and_then(|()| deserializer.end())
                .map_err(|e| Error::unavailable("The platform's result is not readable.").detail(e.to_string()))?;
        }
        if rows == self.rows {
            return Ok(());
        }
        let message = format!("The platform announced {} rows and sent {rows}: the result is not whole.", self.rows);
        Err(Error::unavailable(message))
    }

    /// For each column of the result, which of `names` it is.
    fn slots(&self, names: &[&str]) -> Result<Vec<Option<usize>>, Error> {
        let mut slots = vec![None; self.columns.len()];
        for (index, name) in names.iter().enumerate() {
            let (name, may_lack) = name.strip_prefix('?').map_or((*name, false), |name| (name, true));
            match self.columns.iter().position(|column| column.eq_ignore_ascii_case(name)) {
                Some(column) => slots[column] = Some(index),
                None if may_lack => {}
                None => {
                    return Err(Error::unsupported(format!("The platform's result has no column `{name}`."))
                        .detail(self.columns.join(", ")));
                }
            }
        }
        Ok(slots)
    }
}

struct Rows<'s, F, const N: usize> {
    slots: &'s [Option<usize>],
    row: &'s mut F,
    rows: &'s mut usize,
}

impl<'de, F: FnMut([Option<Cow<'de, str>>; N]), const N: usize> Visitor<'de> for Rows<'_, F, N> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<(), A::Error> {
        while let Some(cells) = rows.next_element_seed(Row::<N> { slots: self.slots })? {
            *self.rows += 1;
            (self.row)(cells);
        }
        Ok(())
    }
}

struct Row<'s, const N: usize> {
    slots: &'s [Option<usize>],
}

impl<'de, const N: usize> DeserializeSeed<'de> for Row<'_, N> {
    type Value = [Option<Cow<'de, str>>; N];

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, const N: usize> Visitor<'de> for Row<'_, N> {
    type Value = [Option<Cow<'de, str>>; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut cells: A) -> Result<Self::Value, A::Error> {
        let mut row = [const { None }; N];
        for slot in self.slots {
            let cell = match slot {
                Some(slot) => cells.next_element_seed(Cell)?.map(|cell| row[*slot] = cell),
                None => cells.next_element::<IgnoredAny>()?.map(drop),
            };
            if cell.is_none() {
                return Err(A::Error::custom("a row has fewer cells than there are columns"));
            }
        }
        while cells.next_element::<IgnoredAny>()?.is_some() {}
        Ok(row)
    }
}

/// A cell: null, or a text, or what is written as one.
struct Cell;

impl<'de> DeserializeSeed<'de> for Cell {
    type Value = Option<Cow<'de, str>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Cell {
    type Value = Option<Cow<'de, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a number, a truth value or null")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(text.to_owned())))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Some(Cow::Borrowed(if value { "true" } else { "false" })))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(number.to_string())))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(number.to_string())))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(number.to_string())))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn table(columns: &[&str], parts: &[&str], rows: usize) -> Table {
        let parts = parts.iter().map(|text| Part { text: (*text).to_owned(), from: 0, to: text.len() }).collect();
        Table { columns: columns.iter().map(|name| (*name).to_owned()).collect(), parts, rows }
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).expect("writes");
        encoder.finish().expect("ends")
    }

    fn rows<const N: usize>(table: &Table, names: [&str; N]) -> Result<Vec<[Option<String>; N]>, Error> {
        let mut rows = Vec::new();
        table.each(names, |cells| rows.push(cells.map(|cell| cell.map(Cow::into_owned))))?;
        Ok(rows)
    }

    #[test]
    fn cells_are_found_by_name_in_any_order_and_case() {
        let table = table(&["NAME", "x", "Kind"], &[r#"[["a",1,"T"],["b\n",null,null]]"#, r#"[["c",0,true]]"#], 3);
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            rows(&table, ["kind", "?lacking", "name", "?x"]).expect("rows"),
            [
                [some("T"), None, some("a"), some("1")],
                [None, None, some("b\n"), None],
                [some("true"), None, some("c"), some("0")]
            ]
        );
        let error = rows(&table, ["owner"]).expect_err("lacking");
        assert!(error.is("unsupported") && error.message.contains("`owner`"), "{error:?}");
    }

    #[test]
    fn what_is_not_whole_is_an_error() {
        let names: &[&str] = &["a", "b"];
        for (parts, count) in [
            (&[r#"[["1","2"]]"#][..], 2),
            (&[r#"[["1","2"]]"#], 0),
            (&[r#"[["1"]]"#], 1),
            (&[r#"[["1","2"]"#], 1),
            (&[r#"[["1","2"]] x"#], 1),
            (&[r#"[["1",{"x":1}]]"#], 1),
            (&[r#"[{"a":"1"}]"#], 1),
            (&["7"], 1),
            (&[""], 0),
        ] {
            let error = rows(&table(names, parts, count), ["b"]).expect_err("not whole");
            assert_eq!(error.code, "unavailable", "{parts:?}");
        }
    }

    #[test]
    fn rows_without_brackets_come_packed_or_plain() {
        let body = br#"[1, 12.5, "x"], [-2, true, null]"#;
        for body in [body.to_vec(), gzip(body)] {
            let table = Table {
                columns: ["a", "b", "c"].map(str::to_owned).into(),
                parts: vec![Part::bare(body).expect("rows")],
                rows: 2,
            };
            let seen = rows(&table, ["a", "b", "c"]).expect("rows");
            let seen: Vec<Vec<_>> = seen.iter().map(|row| row.iter().flatten().map(String::as_str).collect()).collect();
            assert_eq!(seen, [vec!["1", "12.5", "x"], vec!["-2", "true"]]);
        }
        let empty = Table { columns: vec!["a".to_owned()], parts: vec![Part::bare(vec![]).expect("none")], rows: 0 };
        assert_eq!(rows(&empty, ["a"]).expect("none").len(), 0);
    }

    #[test]
    fn what_a_storage_says_instead_is_told_apart() {
        let xml = b"<?xml version=\"1.0\"?><Error><Code>SlowDown</Code></Error>".to_vec();
        assert_eq!(Part::bare(xml).expect_err("xml").code, "unavailable");
        assert_eq!(Part::bare(vec![0x1f, 0x8b, 1, 2]).expect_err("broken").code, "unavailable");
        assert_eq!(Part::bare(vec![0xff, 0xfe]).expect_err("not UTF-8").code, "unavailable");
        let bomb = gzip(&vec![b' '; MAX_PART + 1]);
        assert!(bomb.len() < 1 << 20);
        assert_eq!(Part::bare(bomb).expect_err("a bomb").code, "too-large");
    }
}
