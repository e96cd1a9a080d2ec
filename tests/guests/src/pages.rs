//! A connector with one partition of many pages, for tests that replace it while it is read: each page asks the platform
//! for something and brings one table, whose comment tells which version made it.

use crate::{Column, Error, Object, Page, Partition, ReadRequest, configured, get, http, object, page};

/// Pages of the partition.
pub const PAGES: u32 = 60;

/// Where a listing begins.
pub fn plan(scope: Vec<String>) -> Vec<Partition> {
    vec![Partition { id: "all".into(), scope, payload: String::new(), weight: 1, extra: Vec::new() }]
}

/// The page that the cursor names. `readable` are the versions whose cursors are understood.
pub fn read(version: &str, readable: &[&str], config: &str, request: &ReadRequest) -> Result<Page, Error> {
    if request.partition.id == LARGE {
        return Ok(large());
    }
    let start = format!("{version} 0");
    let cursor = request.cursor.as_deref().unwrap_or(&start);
    let (by, number) = cursor.split_once(' ').ok_or_else(|| error("stale-cursor", cursor))?;
    if !readable.contains(&by) {
        return Err(error("stale-cursor", cursor));
    }
    let number: u32 = number.parse().map_err(|_| error("stale-cursor", cursor))?;
    http::send(&get(format!("{}/page/{number}?by={version}", configured(config, "origin"))))?;
    let table = Object { comment: Some(version.into()), columns: Some(Vec::new()), ..object(&[&format!("t{number}")]) };
    let more = number + 1 < PAGES;
    let mut found = page(vec![table]);
    if more {
        found.next = Some(format!("{version} {}", number + 1));
    } else {
        found.listed.push(crate::Listing {
            path: Vec::new(),
            namespace: String::new(),
            basis: "everybody".into(),
            extra: Vec::new(),
        });
    }
    Ok(found)
}

/// Columns by name: asks the platform for the page after the last one first.
pub fn columns(version: &str, config: &str, names: &[String]) -> Result<Page, Error> {
    http::send(&get(format!("{}/page/{PAGES}?by={version}", configured(config, "origin"))))?;
    let table = |name: &String| Object { comment: Some(version.into()), columns: Some(Vec::new()), ..object(&[name]) };
    Ok(page(names.iter().map(table).collect()))
}

/// The partition whose one page is [`large`].
pub const LARGE: &str = "large";

/// A page as large as they get: made, written as text, and read back from it, as connectors do with answers. It asks the
/// platform for nothing, so that it can be made outside a sandbox too.
#[must_use]
pub fn large() -> Page {
    let lines = (0..1000).map(|table| {
        let columns: Vec<String> = (0..20).map(|n| format!("column_{n}:varchar({n}):{}", n % 2)).collect();
        format!("table_{table};the comment of table {table};{}", columns.join(","))
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    page(text.lines().filter_map(table).collect())
}

fn table(line: &str) -> Option<Object> {
    let mut parts = line.split(';');
    let (name, comment, columns) = (parts.next()?, parts.next()?, parts.next()?);
    let columns = columns.split(',').enumerate().filter_map(|(position, column)| {
        let mut parts = column.split(':');
        Some(Column {
            name: parts.next()?.into(),
            data_type: parts.next()?.into(),
            nullable: Some(parts.next()? == "1"),
            comment: None,
            position: i64::try_from(position).ok(),
            extra: Vec::new(),
        })
    });
    Some(Object { comment: Some(comment.into()), columns: Some(columns.collect()), ..object(&[name]) })
}

/// The descriptor of this version.
pub fn describe(version: &str) -> String {
    crate::DESCRIPTOR.replace("0.1.0", version)
}

fn error(code: &str, message: &str) -> Error {
    Error {
        code: code.into(),
        message: message.into(),
        detail: None,
        retry_after_ms: None,
        path: None,
        extra: Vec::new(),
    }
}

/// Makes an example a version of it: its number, and the versions whose cursors it understands.
#[macro_export]
macro_rules! export_pages {
    ($version:literal, $readable:expr) => {
        struct Pages;

        impl $crate::Guest for Pages {
            fn describe() -> String {
                $crate::pages::describe($version)
            }

            fn plan(_config: String, scope: Vec<String>) -> Result<Vec<$crate::Partition>, $crate::Error> {
                Ok($crate::pages::plan(scope))
            }

            fn read(config: String, request: $crate::ReadRequest) -> Result<$crate::Page, $crate::Error> {
                $crate::pages::read($version, &$readable, &config, &request)
            }
        }

        $crate::export!(Pages);
    };
}
