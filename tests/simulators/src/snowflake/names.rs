//! Names for generated things, plain or odd. No two of one kind and one parent are equal.

use super::generate::Names;

/// Names the platform allows although nobody expects them.
const ODD: &[&str] = &[
    "lower case",
    "MixedCase",
    "a.b",
    "a.b.c",
    "quo\"te",
    "\"\"",
    "it's",
    "back\\slash",
    "\\'",
    "new\nline",
    "tab\there",
    "bell\u{7}",
    "a/b",
    "../../etc/passwd",
    ".",
    "..",
    " ",
    " leading",
    "trailing ",
    "100%",
    "%2f",
    "under_score%",
    "*",
    "über-größe",
    "数据表",
    "таблица",
    "جدول",
    "עברית",
    "emoji_😀🦀",
    "SELECT",
    "select",
    "NULL",
    "0",
    "'; DROP TABLE x; --",
    "$(reboot)",
    "{{ secret.password }}",
    "<b>bold</b>",
    "e\u{301}clair",
    "\u{e9}clair",
    "zero\u{200b}width",
    "\u{202e}desrever",
    "~~~",
];

/// The name of the thing number `index` of its kind.
pub(crate) fn name(names: Names, kind: &str, index: usize) -> String {
    let plain = format!("{kind}_{index:05}");
    match (names, ODD.get(index % (ODD.len() + 1))) {
        (Names::Plain, _) => plain,
        (Names::Odd, None) => longest(&plain),
        (Names::Odd, Some(odd)) if index < ODD.len() => (*odd).to_owned(),
        (Names::Odd, Some(odd)) => format!("{odd}_{index:05}"),
    }
}

/// The name of a table's column number `index`.
pub(crate) fn column(names: Names, index: usize) -> String {
    match ODD.get(index.wrapping_sub(1)) {
        Some(odd) if names == Names::Odd => (*odd).to_owned(),
        _ => format!("COLUMN_{index:03}"),
    }
}

/// 255 characters, as long as a name can be.
fn longest(stem: &str) -> String {
    format!("{stem}{}", "\u{444}".repeat(255 - stem.chars().count()))
}

#[cfg(test)]
mod tests {
    use super::name;
    use crate::snowflake::generate::Names;

    #[test]
    fn no_name_is_longer_than_the_platform_allows() {
        assert!((0..200).all(|index| name(Names::Odd, "TABLE", index).chars().count() <= 255));
        assert!((0..200).any(|index| name(Names::Odd, "TABLE", index).chars().count() == 255));
    }
}
