//! Reading a template: what cannot be read is refused, never taken for text.

use super::{Filter, Operand, Part, Path};

/// Text that is not a template, with what is wrong in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a template: {reason}")]
pub struct InvalidTemplate {
    text: String,
    reason: &'static str,
}

/// Longest text of a template.
const MAX_SOURCE: usize = 64 * 1024;

/// Texts and values in one template: each value is looked up, and may be long.
const MAX_PARTS: usize = 256;

pub(super) fn parts(source: &str) -> Result<Vec<Part>, InvalidTemplate> {
    let fail = |reason| InvalidTemplate { text: source.chars().take(200).collect(), reason };
    if source.len() > MAX_SOURCE {
        return Err(fail("it is too long"));
    }
    // Statements and comments of bigger template languages would otherwise pass for text.
    if source.contains("{%") || source.contains("{#") {
        return Err(fail("there are only values between {{ and }}"));
    }
    let mut parts = Vec::new();
    let mut rest = source;
    while let Some((text, inside)) = rest.split_once("{{") {
        if !text.is_empty() {
            parts.push(Part::Text(text.to_owned()));
        }
        let mut cursor = Cursor { rest: inside };
        parts.push(value(&mut cursor).map_err(fail)?);
        rest = cursor.rest;
        if parts.len() > MAX_PARTS {
            return Err(fail("it has too many parts"));
        }
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest.to_owned()));
    }
    Ok(parts)
}

struct Cursor<'a> {
    rest: &'a str,
}

impl Cursor<'_> {
    fn take(&mut self, token: &str) -> bool {
        self.rest = self.rest.trim_start_matches(' ');
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn word(&mut self) -> String {
        self.rest = self.rest.trim_start_matches(' ');
        let end = self
            .rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')))
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word.to_owned()
    }

    /// What stands between the quotes; the opening one is taken already.
    fn quoted(&mut self) -> Result<String, &'static str> {
        let (text, rest) = self.rest.split_once('\'').ok_or("a quote is not closed")?;
        self.rest = rest;
        Ok(text.to_owned())
    }
}

fn value(cursor: &mut Cursor<'_>) -> Result<Part, &'static str> {
    let of = if cursor.take("'") { Operand::Constant(cursor.quoted()?) } else { Operand::Path(path(&cursor.word())?) };
    let mut filters = Vec::new();
    while cursor.take("|") {
        let name = cursor.word();
        let argument = if cursor.take("(") {
            if !cursor.take("'") {
                return Err("the argument of a filter stands in single quotes");
            }
            let argument = cursor.quoted()?;
            if !cursor.take(")") {
                return Err("a parenthesis is not closed");
            }
            Some(argument)
        } else {
            None
        };
        filters.push(
            Filter::new(&name, argument)
                .ok_or("the filters are upper, lower, b64, before('…'), after('…') and default('…')")?,
        );
    }
    if cursor.take("}}") { Ok(Part::Value { of, filters }) } else { Err("a value ends with }}") }
}

fn path(word: &str) -> Result<Path, &'static str> {
    const UNKNOWN: &str = "values are config.…, secret.…, let.…, grant.…, connection.origin, key.spki_sha256 and uuid";
    match word {
        "uuid" => return Ok(Path::Uuid),
        "connection.origin" => return Ok(Path::ConnectionOrigin),
        "key.spki_sha256" => return Ok(Path::KeyFingerprint),
        _ => {}
    }
    let (root, name) = word.split_once('.').ok_or(UNKNOWN)?;
    if name.split('.').any(str::is_empty) {
        return Err(UNKNOWN);
    }
    let name = name.to_owned();
    match root {
        "config" => Ok(Path::Config(name)),
        "secret" => Ok(Path::Secret(name)),
        "let" => Ok(Path::Let(name)),
        "grant" => Ok(Path::Grant(name)),
        _ => Err(UNKNOWN),
    }
}
