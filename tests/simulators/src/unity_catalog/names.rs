//! Names for generated things, from plain to hostile. No two of one kind and one parent are equal.

use super::generate::Names;

/// Object names the platform allows although nobody expects them.
const ODD: &[&str] = &[
    "über-größe",
    "数据表",
    "таблица",
    "جدول",
    "עברית",
    "emoji_😀🦀",
    "select",
    "null",
    "0",
    "it's",
    "say\"hello\"",
    "100%",
    "%2f",
    "a+b&c=d",
    "semi;colon",
    "hash#tag",
    "question?mark",
    "back\\slash",
    "{curly}",
    "[square]",
    "<b>bold</b>",
    "e\u{301}clair",
    "\u{e9}clair",
    "zero\u{200b}width",
];

/// Object names only a broken or hostile platform has.
const HOSTILE: &[&str] = &[
    "a.b",
    "a/b",
    "../../etc/passwd",
    "..",
    ".",
    "with space",
    " leading",
    "trailing ",
    "new\nline",
    "tab\there",
    "bell\u{7}",
    "\u{202e}desrever",
    "$(reboot)",
    "'; DROP TABLE x; --",
];

/// Column names, which may be anything at all.
const COLUMNS: &[&str] = &[
    "",
    " ",
    "a.b",
    "with space",
    "quote\"d",
    "DUP",
    "dup",
    "dup",
    "новый",
    "עמודה",
    "😀",
    "new\nline",
    "a,b",
    "`tick`",
];

/// The name of the thing number `index` of its kind.
pub(crate) fn name(names: Names, kind: &str, index: usize) -> String {
    let plain = format!("{kind}_{index:05}");
    let list: &[&[&str]] = match names {
        Names::Plain => return plain,
        Names::Odd => &[ODD],
        Names::Hostile => &[ODD, HOSTILE],
    };
    let all = list.iter().flat_map(|of| of.iter());
    let count = all.clone().count();
    match all.clone().nth(index % (count + 1)) {
        _ if index % (count + 1) == count => longest(&plain),
        Some(odd) if index <= count => (*odd).to_owned(),
        Some(odd) => format!("{odd}_{index:05}"),
        None => plain,
    }
}

/// The name of a table's column number `index`; odd ones may repeat.
pub(crate) fn column(names: Names, index: usize) -> String {
    match COLUMNS.get(index.wrapping_sub(1)) {
        Some(odd) if names != Names::Plain => (*odd).to_owned(),
        _ => format!("column_{index:03}"),
    }
}

/// 255 characters, as long as a name can be.
fn longest(stem: &str) -> String {
    format!("{stem}{}", "x".repeat(255 - stem.chars().count()))
}

#[cfg(test)]
mod tests {
    use super::name;
    use crate::unity_catalog::generate::Names;

    #[test]
    fn no_name_is_longer_than_the_platform_allows() {
        for index in 0..200 {
            assert!(name(Names::Hostile, "table", index).chars().count() <= 255);
        }
        assert!((0..200).any(|index| name(Names::Odd, "table", index).chars().count() == 255));
    }
}
