//! Words of a statement, with where they stand.

use super::SyntaxError;

/// A word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// Unquoted, upper-cased: a keyword or a name.
    Word(String),
    /// Quoted, as it is.
    Quoted(String),
    /// A string.
    Text(String),
    /// Digits, perhaps with a point.
    Number(String),
    /// `(`, `<=` and the like.
    Sign(&'static str),
}

/// A word and where it begins, as an index of characters.
#[derive(Debug, Clone)]
pub(super) struct Placed {
    pub(super) token: Token,
    pub(super) at: usize,
}

const SIGNS: &[&str] =
    &["<=", ">=", "<>", "!=", "(", ")", ",", ".", "*", "=", "<", ">", ";", "?", ":", "+", "-", "/", "$"];

/// Cuts a statement into its words.
pub(super) fn tokens(sql: &str) -> Result<Vec<Placed>, SyntaxError> {
    let chars: Vec<char> = sql.chars().collect();
    let (mut at, mut found) = (0, Vec::new());
    while let Some(&first) = chars.get(at) {
        let rest = &chars[at..];
        if first.is_whitespace() {
            at += 1;
        } else if rest.starts_with(&['-', '-']) || rest.starts_with(&['/', '/']) {
            at += rest.iter().position(|&c| c == '\n').unwrap_or(rest.len());
        } else if rest.starts_with(&['/', '*']) {
            let end = rest.windows(2).position(|two| two == ['*', '/']);
            at += end.map_or(rest.len(), |end| end + 2);
        } else {
            let (token, width) = token(rest).ok_or_else(|| error_at(sql, at, first.to_string()))?;
            found.push(Placed { token, at });
            at += width;
        }
    }
    Ok(found)
}

/// The word that begins here, and how many characters it takes.
fn token(rest: &[char]) -> Option<(Token, usize)> {
    let first = *rest.first()?;
    let run = |fits: fn(char) -> bool| rest.iter().take_while(|&&c| fits(c)).count();
    if first == '"' {
        return quoted(rest).map(|(name, width)| (Token::Quoted(name), width));
    }
    if first == '\'' {
        return text(rest).map(|(text, width)| (Token::Text(text), width));
    }
    if first.is_ascii_digit() {
        let width = run(|c| c.is_ascii_digit() || c == '.');
        return Some((Token::Number(rest[..width].iter().collect()), width));
    }
    if first == '_' || first.is_alphabetic() {
        let width = run(|c| c == '_' || c == '$' || c.is_alphanumeric());
        return Some((Token::Word(rest[..width].iter().collect::<String>().to_uppercase()), width));
    }
    let sign = SIGNS.iter().find(|sign| sign.chars().zip(rest.iter().copied().chain(['\0'])).all(|(a, b)| a == b))?;
    Some((Token::Sign(sign), sign.len()))
}

fn quoted(rest: &[char]) -> Option<(String, usize)> {
    let (mut name, mut at) = (String::new(), 1);
    loop {
        match rest.get(at..)? {
            ['"', '"', ..] => (at, _) = (at + 2, name.push('"')),
            ['"', ..] => return Some((name, at + 1)),
            [c, ..] => (at, _) = (at + 1, name.push(*c)),
            [] => return None,
        }
    }
}

fn text(rest: &[char]) -> Option<(String, usize)> {
    let (mut text, mut at) = (String::new(), 1);
    loop {
        match rest.get(at..)? {
            ['\'', '\'', ..] => (at, _) = (at + 2, text.push('\'')),
            ['\'', ..] => return Some((text, at + 1)),
            ['\\', c, ..] => {
                text.push(match c {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    '0' => '\0',
                    'b' => '\u{8}',
                    'f' => '\u{c}',
                    c => *c,
                });
                at += 2;
            }
            [c, ..] => (at, _) = (at + 1, text.push(*c)),
            [] => return None,
        }
    }
}

/// What is unexpected where.
pub(super) fn error_at(sql: &str, at: usize, unexpected: String) -> SyntaxError {
    let before: Vec<char> = sql.chars().take(at).collect();
    let line = before.iter().filter(|&&c| c == '\n').count() + 1;
    let position = before.iter().rev().take_while(|&&c| c != '\n').count();
    SyntaxError { line, position, unexpected }
}
