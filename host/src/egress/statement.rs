//! A guard on bodies: one statement that begins with one of a few verbs.
//!
//! The host does not know the platform's dialect, so a statement is read in every dialect at once: whether a backslash
//! escapes, and whether brackets quote. It passes only if it is one whole statement in all of them, so that no reading of
//! it hides a second one. Comments, and texts between dollars, are refused: where they begin and end differs too much.
//! Words that the statement must not hold are looked for in whatever any of them takes for something else than a
//! single-quoted text, or where the verb allows no expressions, than a name in double quotes that nothing calls.

use std::collections::HashSet;

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;

use super::recipe::{Backslash, BodyRule};

/// Bits of a dialect.
const BACKSLASH: u8 = 1;
const BRACKETS: u8 = 2;
const DIALECTS: u8 = 4;

/// What begins a comment in some dialect.
const COMMENTS: [&[u8]; 4] = [b"--", b"//", b"#", b"/*"];

/// Longest body that is looked at.
const MAX_BODY: usize = 256 * 1024;

/// Longest statement that is looked at.
const MAX_STATEMENT: usize = 128 * 1024;

/// Whether the body is what the rule asks for, or why not.
pub(super) fn check(rule: &BodyRule, body: Option<&[u8]>) -> Result<(), &'static str> {
    let body = body.unwrap_or_default();
    if body.len() > MAX_BODY {
        return Err("the body is longer than 256 KiB");
    }
    let Strict(json) = serde_json::from_slice(body)
        .map_err(|_| "the body must be JSON in which no key occurs twice, in whatever case")?;
    let known = |keys: &serde_json::Map<String, Value>| keys.keys().all(|key| rule.keys.contains(key));
    if !rule.keys.is_empty() && !json.as_object().is_some_and(known) {
        return Err("the body holds a key that the credential's scope does not name");
    }
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
    let names = rule.names.iter().any(|allowed| allowed.eq_ignore_ascii_case(verb));
    if !dialects(text).all(|dialect| is_single(text, dialect, escapes, names, &mut outside)) {
        return Err("the body must hold one statement without comments that no dialect of SQL could read as several");
    }
    if !rule.without.is_empty() && outside.hold(text, &rule.without) {
        return Err("the statement holds a word that the credential's scope forbids");
    }
    Ok(())
}

/// The dialects that differ in this text: those without the bits of which nothing stands in it read it as others do.
fn dialects(text: &str) -> impl Iterator<Item = u8> {
    let bits = [(BACKSLASH, "\\"), (BRACKETS, "[")];
    let present = bits.iter().filter(|(_, mark)| text.contains(mark)).fold(0, |all, (bit, _)| all | bit);
    (0..DIALECTS).filter(move |dialect| dialect & !present == 0)
}

/// Where bytes stand in at least one dialect.
struct Outside {
    /// Outside of single-quoted texts, and of names where those are nothing else.
    texts: Vec<bool>,
    /// Outside of quotes of any kind.
    quotes: Vec<bool>,
}

impl Outside {
    fn none_of(text: &str) -> Self {
        Self { texts: vec![false; text.len()], quotes: vec![false; text.len()] }
    }

    /// Whether one of the words stands there, in whatever case, and with whatever blanks in it outside of quotes.
    fn hold(&self, text: &str, words: &[String]) -> bool {
        // Quotes are single bytes, so what is left out begins and ends between characters.
        let seen = text.char_indices().filter(|(at, c)| !(self.quotes[*at] && is_blank(*c)));
        let seen: String = seen.map(|(at, c)| if self.texts[at] { c } else { '\'' }).collect();
        let folded = folded(&seen);
        // A name whose characters are written as numbers could be any name.
        let numbered = folded.contains("u&\"") || folded.contains("u&'");
        numbered || words.iter().any(|word| folded.contains(&self::folded(word)))
    }
}

/// Whether somebody could take the character for a space, or for nothing.
fn is_blank(c: char) -> bool {
    if c.is_ascii() { !c.is_ascii_graphic() } else { !c.is_alphanumeric() }
}

/// By way of upper case, which brings letters like the long s to their plain form.
fn folded(text: &str) -> String {
    text.to_uppercase().to_lowercase()
}

/// Whether nothing separates, chains or hides statements outside quotes, and all of those are closed. `escapes`: within
/// which quotes a backslash may escape. `names`: whether a text in double quotes is a name unless it is called.
fn is_single(statement: &str, dialect: u8, escapes: impl Fn(u8) -> bool, names: bool, outside: &mut Outside) -> bool {
    let text = statement.as_bytes();
    let mut rest = text;
    while let Some(&byte) = rest.first() {
        let has = |bit: u8| dialect & bit != 0;
        let next = match byte {
            b';' | 0 => return false,
            b'-' if rest.starts_with(b"->>") => return false,
            _ if COMMENTS.iter().any(|begin| rest.starts_with(begin)) => return false,
            b'$' if is_dollar_quote(&rest[1..]) => return false,
            b'"' if names => whole_name(rest, has(BACKSLASH) && escapes(byte)),
            b'\'' | b'"' | b'`' => quoted(rest, byte, has(BACKSLASH) && escapes(byte)),
            b'[' if has(BRACKETS) => quoted(rest, b']', false),
            _ => Some(&rest[1..]),
        };
        let Some(next) = next else { return false };
        let (begin, end) = (text.len() - rest.len(), text.len() - next.len());
        let is_inside = byte == b'\'' || (byte == b'"' && names && !is_called(&statement[end..]));
        // The quotes themselves stay, so that what stands before a text and what stands after it never join.
        outside.texts[begin..if is_inside { begin + 1 } else { end }].fill(true);
        // What is quoted has two quotes at least.
        outside.quotes[begin] |= end - begin == 1;
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

/// What follows a name in double quotes, those that are doubled in it included.
fn whole_name(text: &[u8], backslash: bool) -> Option<&[u8]> {
    let mut rest = quoted(text, b'"', backslash)?;
    while rest.first() == Some(&b'"') {
        rest = quoted(rest, b'"', backslash)?;
    }
    Some(rest)
}

/// Whether a parenthesis is the next thing that is not a blank.
fn is_called(rest: &str) -> bool {
    rest.chars().find(|c| !is_blank(*c)) == Some('(')
}

/// Whether a text between two times `$$` or `$word$` may begin with the dollar before this. Some dialects know no such
/// texts, and some take dollars for letters.
fn is_dollar_quote(text: &[u8]) -> bool {
    let word = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_' || !b.is_ascii();
    text.iter().find(|b| !word(b)) == Some(&b'$')
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
            names: Vec::new(),
            keys: Vec::new(),
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
            "SHOW",
            "SELECT a->'b' FROM t",
            "SELECT a - -1 / b, $1, a$b FROM \"a--b\"",
            "SELECT '#', '//', '--', '/*', '$$' FROM \"a/*b\".\"#\".\"$a$\"",
            "SHOW TABLES IN `a--b`.`//`",
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
            "SELECT 1 AS x$a$, $$ $a$ ' $$; DROP TABLE t --'",
            "SELECT 1 AS a$$, $$ ' $$; DROP TABLE t --'",
            "SELECT $a$",
            "SELECT $\u{e9}$ 1",
            "SELECT [$$]",
            "SELECT 1--; DROP TABLE t",
            "SELECT 1 -- done",
            "SELECT 1 // done",
            "SELECT 1 # done",
            "SELECT a#b",
            "SELECT a /* one */ FROM t",
            "SELECT /*! 1 */",
            "SELECT 1 -- \r, '\n; DROP TABLE t -- '",
            "SELECT 1 // \\\n; DROP TABLE t",
            "SELECT [a--b]",
            "SELECT '\\'--'",
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
            "SHOW TABLES IN \"Identifier (old)\"",
            "SELECT 'IDENTIFIER ('",
        ] {
            assert!(passes(statement), "{statement}");
        }
        for statement in [
            "SELECT SYSTEM$CANCEL_QUERY('x')",
            "SELECT system$cancel_query('x')",
            "SELECT \"SYSTEM$CANCEL_QUERY\"('x')",
            "SELECT `SYSTEM$X`()",
            "SELECT [SYSTEM$X]",
            "SELECT SYSTEM $X",
            "SELECT 'a', SYSTEM$X, 'b'",
            "SELECT '\\' SYSTEM$X, '",
            "SELECT '\\'', SYSTEM$X, '\\''",
            "SELECT 'a\\', SYSTEM$X, '",
            "SELECT \"'\" SYSTEM$X \"'\"",
            "SELECT \u{17f}y\u{17f}tem$x()",
            "SELECT IDENTIFIER('SYSTEM$X')()",
            "SELECT IDENTIFIER ('SYSTEM$X')()",
            "SELECT identifier \t\r\n\u{a0}\u{200b}\u{1} ('SYSTEM$X')()",
            "SELECT U&\"\\0053YSTEM$X\"()",
            "SELECT u&\"x\"",
        ] {
            assert!(!passes(statement), "{statement}");
        }
    }

    #[test]
    fn in_statements_without_expressions_names_may_hold_what_nothing_calls() {
        let without = ["SYSTEM$", "NEXTVAL", "TABLE("].map(str::to_owned).into();
        let rule = BodyRule { without, names: vec!["SHOW".into()], ..rule() };
        let passes = |rule: &BodyRule, statement: &str| {
            check(rule, Some(serde_json::json!({"statement": statement}).to_string().as_bytes())).is_ok()
        };
        let texts = BodyRule { backslash: Some(Backslash::Texts), ..rule.clone() };
        for statement in [
            "SHOW TABLES IN \"SYSTEM$OLD\".\"NEXTVAL\"",
            "show tables in \"a\"\"SYSTEM$X\"\"b\" LIMIT 10 FROM 'NEXTVAL'",
            "SHOW TABLES IN \"\"\"SYSTEM$X\"\"\"",
            "SHOW TABLES IN \"table(old)\"",
            "SHOW TABLES IN \"'\".\"SYSTEM$X'\"",
            "SHOW TABLES LIKE 'a' IN \"SYSTEM$X\"\n",
        ] {
            assert!(passes(&rule, statement) && passes(&texts, statement), "{statement}");
        }
        for statement in [
            // A verb whose statements hold expressions.
            "SELECT \"S\".\"NEXTVAL\"",
            "SELECT * FROM \"SYSTEM$X\"",
            // Outside of the quotes of a name.
            "SHOW TABLES IN \"a\".SYSTEM$X",
            "SHOW TABLES IN \"a\" SYSTEM$X \"b\"",
            "SHOW TABLES IN \"a\"\" SYSTEM$X\" SYSTEM$X \"b\"",
            "SHOW TABLES IN SYSTEM\"\"$ SYSTEM$X",
            "SHOW TABLES IN '\"' SYSTEM$X '\"'",
            "SHOW TABLES IN '\"\\' SYSTEM$X, '\"'",
            // Called.
            "SHOW TABLES LIKE \"SYSTEM$X\"('a')",
            "SHOW TABLES LIKE \"SYSTEM$X\" \t\r\n\u{a0}\u{200b}\u{1} ('a')",
            "SHOW TABLES LIKE \"d\".\"SYSTEM$X\"('a')",
            "SHOW TABLES LIKE \"SYSTEM$X\"\"b\"(1)",
            "SHOW TABLES LIKE \"a\"\"SYSTEM$X\"(1)",
            // A name in one reading only.
            "SHOW [\"] SYSTEM$X [\"]",
            "SHOW `\"` SYSTEM$X `\"`",
            "SHOW `\" SYSTEM$X \"`",
            "SHOW '\\'\" SYSTEM$X '\", \"\"",
            "SHOW '\\', \"', SYSTEM$X, \"\"",
            // Names that could be any.
            "SHOW TABLES IN U&\"\\0053YSTEM$X\"",
        ] {
            assert!(!passes(&rule, statement) && !passes(&texts, statement), "{statement}");
        }
        // Where nobody says that a backslash does not escape in names.
        let after_one = "SHOW TABLES IN \"a\\\" SYSTEM$X \"b\"";
        assert!(!passes(&rule, after_one) && !passes(&texts, after_one));
        let before_one = "SHOW TABLES IN \"a\\\" (SYSTEM$X \"";
        assert!(!passes(&rule, before_one) && !passes(&texts, before_one));
    }

    #[test]
    fn long_statements_are_read_in_no_time() {
        let rule = BodyRule { without: vec!["SYSTEM$".into()], names: vec!["SELECT".into()], ..rule() };
        let names = |quote: &str| vec![format!("'a{quote}b'"); 8_000].join(", ");
        for quote in ["", "\\\\", "''", "$", "//#--[/*", "' \"\"\" \" '"] {
            let statement = format!("SELECT * FROM t WHERE a IN ({})", names(quote));
            assert!(statement.len() < MAX_STATEMENT);
            let body = serde_json::json!({"statement": statement}).to_string();
            let begun = std::time::Instant::now();
            assert_eq!(check(&rule, Some(body.as_bytes())), Ok(()), "{quote}");
            assert!(begun.elapsed() < std::time::Duration::from_millis(500), "{quote} {:?}", begun.elapsed());
        }
    }

    #[test]
    fn only_named_keys_may_stand_beside_the_statement() {
        let rule = BodyRule { keys: vec!["statement".into(), "role".into()], ..rule() };
        for (body, fits) in [
            (serde_json::json!({"statement": "SELECT 1"}), true),
            (serde_json::json!({"statement": "SELECT 1", "role": {"a": 1}}), true),
            (serde_json::json!({"statement": "SELECT 1", "parameters": {"MULTI_STATEMENT_COUNT": "0"}}), false),
            (serde_json::json!({"statement": "SELECT 1", "Role": "R"}), false),
            (serde_json::json!(["SELECT 1"]), false),
        ] {
            assert_eq!(check(&rule, Some(body.to_string().as_bytes())).is_ok(), fits, "{body}");
        }
        let list = BodyRule { at: "/0".into(), ..rule };
        assert!(check(&list, Some(b"[\"SELECT 1\"]")).is_err());
    }

    #[test]
    fn long_bodies_are_not_read() {
        let padded = |length: usize| {
            let mut body = serde_json::json!({"statement": "SELECT 1"}).to_string().into_bytes();
            body.resize(length, b' ');
            check(&rule(), Some(&body))
        };
        assert_eq!(padded(MAX_BODY), Ok(()));
        assert_eq!(padded(MAX_BODY + 1), Err("the body is longer than 256 KiB"));
        let statement = serde_json::json!({"statement": format!("SELECT '{}'", "x".repeat(MAX_STATEMENT))}).to_string();
        assert_eq!(check(&rule(), Some(statement.as_bytes())), Err("the statement is longer than 128 KiB"));
        // Too long to be read, whether it could be or not.
        assert_eq!(check(&rule(), Some(&vec![b'['; MAX_BODY + 1])), Err("the body is longer than 256 KiB"));
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
