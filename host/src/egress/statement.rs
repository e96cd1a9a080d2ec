//! A guard on bodies: one statement that begins with one of a few verbs.
//!
//! The host does not know the platform's dialect, so a statement is read in every dialect at once: whether a backslash
//! escapes, whether `//` and `#` begin a comment, whether dollars and brackets quote, whether comments nest. It passes
//! only if it is one whole statement in all of them, so that no reading of it hides a second one. Words that it must not
//! hold are looked for in whatever any of them takes for something else than a single-quoted text.

use std::collections::HashSet;

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;

use super::recipe::{Backslash, BodyRule};

/// Bits of a dialect.
const BACKSLASH: u8 = 1;
const SLASHES: u8 = 2;
const HASH: u8 = 4;
const DOLLARS: u8 = 8;
const NESTED: u8 = 16;
const BRACKETS: u8 = 32;
/// `--` begins a comment only with a space behind it.
const SPACED_DASHES: u8 = 64;
const DIALECTS: u8 = 128;

/// Longest statement that is looked at.
const MAX_STATEMENT: usize = 128 * 1024;

/// Whether the body is what the rule asks for, or why not.
pub(super) fn check(rule: &BodyRule, body: Option<&[u8]>) -> Result<(), &'static str> {
    let Strict(json) = serde_json::from_slice(body.unwrap_or_default())
        .map_err(|_| "the body must be JSON in which no key occurs twice, in whatever case")?;
    let Some(Value::String(statement)) = json.pointer(&rule.at) else {
        return Err("the body holds no statement where the credential's scope expects one");
    };
    if statement.len() > MAX_STATEMENT {
        return Err("the statement is longer than 128 KiB");
    }
    let text = statement.trim_start_matches([' ', '\t', '\r', '\n']);
    let verb = text.find(|c: char| !c.is_ascii_alphabetic()).map_or(text, |end| &text[..end]);
    // `SELECT_x` is another word, and so is `SELECT` with an accent behind it.
    let whole_word = text[verb.len()..].starts_with([' ', '\t', '\r', '\n', '(', '*']) || text.len() == verb.len();
    if !whole_word || !rule.verbs.iter().any(|allowed| allowed.eq_ignore_ascii_case(verb)) {
        return Err("the statement begins with a verb outside the credential's scope");
    }
    let mut outside = Outside::none_of(text);
    let escapes = |quote: u8| match rule.backslash {
        None => quote != b'`',
        Some(Backslash::Texts) => quote == b'\'',
    };
    if !dialects(text).all(|dialect| is_single(text.as_bytes(), dialect, escapes, &mut outside)) {
        return Err("the body must hold one statement that no dialect of SQL could read as several");
    }
    if !rule.without.is_empty() && outside.hold(text, &rule.without) {
        return Err("the statement holds a word that the credential's scope forbids");
    }
    Ok(())
}

/// The dialects that differ in this text: those without the bits of which nothing stands in it read it as others do.
fn dialects(text: &str) -> impl Iterator<Item = u8> {
    let bits = [
        (BACKSLASH, "\\"),
        (SLASHES, "//"),
        (HASH, "#"),
        (DOLLARS, "$"),
        (NESTED, "/*"),
        (BRACKETS, "["),
        (SPACED_DASHES, "--"),
    ];
    let present = bits.iter().filter(|(_, mark)| text.contains(mark)).fold(0, |all, (bit, _)| all | bit);
    (0..DIALECTS).filter(move |dialect| dialect & !present == 0)
}

/// The bytes that stand outside of single-quoted texts in at least one dialect.
struct Outside(Vec<bool>);

impl Outside {
    fn none_of(text: &str) -> Self {
        Self(vec![false; text.len()])
    }

    fn add(&mut self, range: std::ops::Range<usize>) {
        self.0[range].fill(true);
    }

    /// Whether one of the words stands there, in whatever case.
    fn hold(&self, text: &str, words: &[String]) -> bool {
        // Quotes are single bytes, so what is left out begins and ends between characters.
        let bytes: Vec<u8> = text.bytes().zip(&self.0).map(|(byte, out)| if *out { byte } else { b'\'' }).collect();
        let folded = folded(&String::from_utf8_lossy(&bytes));
        // A name whose characters are written as numbers could be any name.
        let numbered = folded.contains("u&\"") || folded.contains("u&'");
        numbered || words.iter().any(|word| folded.contains(&self::folded(word)))
    }
}

/// By way of upper case, which brings letters like the long s to their plain form.
fn folded(text: &str) -> String {
    text.to_uppercase().to_lowercase()
}

/// Whether nothing separates or chains statements outside quotes and comments, and all of those are closed. `escapes`:
/// within which quotes a backslash may escape.
fn is_single(text: &[u8], dialect: u8, escapes: impl Fn(u8) -> bool, outside: &mut Outside) -> bool {
    let mut rest = text;
    while let Some(&byte) = rest.first() {
        let has = |bit: u8| dialect & bit != 0;
        let next = match byte {
            b';' | 0 => return false,
            b'-' if rest.starts_with(b"->>") => return false,
            b'\'' | b'"' | b'`' => quoted(rest, byte, has(BACKSLASH) && escapes(byte)),
            b'[' if has(BRACKETS) => quoted(rest, b']', false),
            b'$' if has(DOLLARS) => dollars(rest),
            b'-' if rest.starts_with(b"--") && (!has(SPACED_DASHES) || spaced(&rest[2..])) => Some(line_end(rest)),
            b'/' if has(SLASHES) && rest.starts_with(b"//") => Some(line_end(rest)),
            b'#' if has(HASH) => Some(line_end(rest)),
            b'/' if rest.starts_with(b"/*") => comment(&rest[2..], has(NESTED)),
            _ => Some(&rest[1..]),
        };
        let Some(next) = next else { return false };
        let (begin, end) = (text.len() - rest.len(), text.len() - next.len());
        // The quotes themselves stay, so that what stands before a text and what stands after it never join.
        outside.add(if byte == b'\'' { begin..begin + 1 } else { begin..end });
        rest = next;
    }
    true
}

/// What follows the closing quote. A doubled quote is two quoted texts in a row, which comes to the same.
fn quoted(text: &[u8], quote: u8, backslash: bool) -> Option<&[u8]> {
    let mut at = 1;
    while let Some(&byte) = text.get(at) {
        if byte == quote {
            return Some(&text[at + 1..]);
        }
        at += if backslash && byte == b'\\' { 2 } else { 1 };
    }
    None
}

/// What follows a text between two times `$$` or `$word$`; what follows the dollar where none begins here.
fn dollars(text: &[u8]) -> Option<&[u8]> {
    let word = text[1..].iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
    if text.get(word + 1) != Some(&b'$') {
        return Some(&text[1..]);
    }
    let (mark, rest) = text.split_at(word + 2);
    memchr::memmem::find(rest, mark).map(|end| &rest[end + mark.len()..])
}

fn spaced(text: &[u8]) -> bool {
    text.first().is_none_or(u8::is_ascii_whitespace)
}

fn line_end(text: &[u8]) -> &[u8] {
    memchr::memchr2(b'\n', b'\r', text).map_or(&[], |end| &text[end..])
}

fn comment(text: &[u8], nested: bool) -> Option<&[u8]> {
    let (mut depth, mut at) = (1_usize, 0);
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return Some(&text[at..]);
            }
        } else if nested && rest.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else {
            at += 1;
        }
    }
    None
}

/// JSON in which no key occurs twice: of two readers one might take the first and one the last. Some readers do not
/// tell upper from lower case, so keys that differ in case only are the same key.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Strict(item)) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = serde_json::Map::new();
        let mut names = HashSet::new();
        while let Some((key, Strict(value))) = access.next_entry::<String, Strict>()? {
            if !names.insert(folded(&key)) {
                return Err(A::Error::custom("a key occurs twice"));
            }
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule() -> BodyRule {
        BodyRule {
            at: "/statement".into(),
            verbs: vec!["SHOW".into(), "SELECT".into()],
            without: Vec::new(),
            backslash: None,
        }
    }

    fn passes(statement: &str) -> bool {
        let body = serde_json::json!({"statement": statement, "timeout": 60}).to_string();
        check(&rule(), Some(body.as_bytes())).is_ok()
    }

    #[test]
    fn single_statements_pass() {
        for statement in [
            "SHOW TABLES",
            "show tables in schema \"a;b\".\"c\"\"d\"",
            "  \n\tSELECT 1",
            "SELECT * FROM t WHERE a = 'x;y' AND b = 'it''s'",
            "SELECT(1)",
            "SELECT a /* one; two */ FROM t",
            "SHOW",
            "SELECT 1 -- done",
            "SELECT a->'b' FROM t",
        ] {
            assert!(passes(statement), "{statement}");
        }
    }

    #[test]
    fn what_may_be_several_statements_is_refused() {
        for statement in [
            "",
            "DROP TABLE t",
            "SELECT 1; DROP TABLE t",
            "SELECT 1;",
            "SELECTX",
            "SELECT_1",
            "SELECT\u{e9}",
            "-- SELECT\nDROP TABLE t",
            "/* SELECT */ DROP TABLE t",
            ";SELECT 1",
            "SELECT '\\'; DROP TABLE t --'",
            "SELECT '\\\\'; DROP TABLE t",
            "SELECT 1 // '\n; DROP TABLE t //'",
            "SELECT 1 # '\n; DROP TABLE t #'",
            "SELECT $$'$$; DROP TABLE t --'",
            "SELECT $$ ; $$",
            "SELECT $a$'$a$; DROP TABLE t --'",
            "SELECT [a'b]; DROP TABLE t --'",
            "SELECT 1--; DROP TABLE t",
            "SELECT /* /* */ ; DROP TABLE t /* */ */ 1",
            "SELECT 'open",
            "SELECT \"open",
            "SELECT /* open",
            "SELECT 1 ->> DELETE FROM t",
            "SHOW TABLES\0; DROP TABLE t",
            "(SELECT 1)",
            "WITH x AS (SELECT 1) SELECT 1",
            "\u{feff}SELECT 1",
            "EXPLAIN SELECT 1",
        ] {
            assert!(!passes(statement), "{statement:?}");
        }
    }

    #[test]
    fn names_may_end_in_a_backslash_where_it_is_known_not_to_escape_there() {
        let known = BodyRule { backslash: Some(Backslash::Texts), ..rule() };
        let passes = |rule: &BodyRule, statement: &str| {
            check(rule, Some(serde_json::json!({"statement": statement}).to_string().as_bytes())).is_ok()
        };
        for (statement, unknown, texts) in [
            ("SHOW TABLES IN \"a\\\"", false, true),
            ("SHOW TABLES IN \"a\\\".\"b;\"", false, true),
            ("SHOW TABLES IN \"a\\\"; DROP TABLE t", false, false),
            ("SHOW TABLES IN \"a\\\"; DROP TABLE \"t", false, false),
            ("SELECT '\\'; DROP TABLE t --'", false, false),
        ] {
            assert_eq!((passes(&rule(), statement), passes(&known, statement)), (unknown, texts), "{statement}");
        }
    }

    #[test]
    fn forbidden_words_are_found_wherever_they_could_be_meant() {
        let rule = BodyRule { without: vec!["SYSTEM$".into(), "identifier(".into()], ..rule() };
        let passes = |statement: &str| {
            check(&rule, Some(serde_json::json!({"statement": statement}).to_string().as_bytes())).is_ok()
        };
        for statement in [
            "SELECT 1",
            "SELECT 'SYSTEM$CANCEL_QUERY(1)'",
            "SELECT 'it''s SYSTEM$X' FROM t",
            "SELECT 'a', 'SYSTEM$X' FROM t",
            "SELECT * FROM \"d\".\"system\" WHERE a = 'x'",
            "SELECT 'a\\\\', 'SYSTEM$X'",
            "SELECT 'SYS' || 'TEM$'",
            "SELECT SYSTEM'$' FROM t",
        ] {
            assert!(passes(statement), "{statement}");
        }
        for statement in [
            "SELECT SYSTEM$CANCEL_QUERY('x')",
            "SELECT system$cancel_query('x')",
            "SELECT \"SYSTEM$CANCEL_QUERY\"('x')",
            "SELECT 1 /* SYSTEM$X */",
            "SELECT 1 -- System$x",
            "SELECT `SYSTEM$X`()",
            "SELECT [SYSTEM$X]",
            "SELECT $$ SYSTEM$X $$",
            "SELECT 'a', SYSTEM$X, 'b'",
            "SELECT '\\' SYSTEM$X, '",
            "SELECT '\\'', SYSTEM$X, '\\''",
            "SELECT 'a\\', SYSTEM$X, '",
            "SELECT \"'\" SYSTEM$X \"'\"",
            "SELECT /* ' */ SYSTEM$X /* ' */",
            "SELECT \u{17f}y\u{17f}tem$x()",
            "SELECT IDENTIFIER('SYSTEM$X')()",
            "SELECT U&\"\\0053YSTEM$X\"()",
            "SELECT u&\"x\"",
        ] {
            assert!(!passes(statement), "{statement}");
        }
    }

    #[test]
    fn long_statements_are_read_in_no_time() {
        let rule = BodyRule { without: vec!["SYSTEM$".into()], ..rule() };
        let names = |quote: &str| vec![format!("'a{quote}b'"); 8_000].join(", ");
        for quote in ["", "\\\\", "''", "$", "//#--[/*"] {
            let statement = format!("SELECT * FROM t WHERE a IN ({})", names(quote));
            assert!(statement.len() < MAX_STATEMENT);
            let body = serde_json::json!({"statement": statement}).to_string();
            let begun = std::time::Instant::now();
            assert_eq!(check(&rule, Some(body.as_bytes())), Ok(()), "{quote}");
            assert!(begun.elapsed() < std::time::Duration::from_millis(500), "{quote} {:?}", begun.elapsed());
        }
    }

    #[test]
    fn bodies_that_two_readers_read_differently_are_refused() {
        for body in [
            &b"{\"statement\":\"SELECT 1\",\"statement\":\"DROP TABLE t\"}"[..],
            b"{\"statement\":\"DROP TABLE t\",\"statement\":\"SELECT 1\"}",
            b"{\"a\":{\"b\":1,\"b\":2},\"statement\":\"SELECT 1\"}",
            b"{\"\\u0073tatement\":\"DROP\",\"statement\":\"SELECT 1\"}",
            b"{\"Statement\":\"DROP\",\"statement\":\"SELECT 1\"}",
            b"{\"statement\":\"SELECT 1\",\"STATEMENT\":\"DROP\"}",
            b"{\"\\u017ftatement\":\"DROP\",\"statement\":\"SELECT 1\"}",
            b"{\"a\":[{\"b\":1,\"B\":2}],\"statement\":\"SELECT 1\"}",
            b"{\"statement\":[\"SELECT 1\"]}",
            b"{\"statement\":\"SELECT 1\"} {}",
            b"statement=SELECT 1",
            b"\xff\xfe",
            b"",
        ] {
            assert!(check(&rule(), Some(body)).is_err(), "{}", String::from_utf8_lossy(body));
        }
        assert!(check(&rule(), None).is_err());
    }
}
