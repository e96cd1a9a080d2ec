//! Object paths: typed lists of names. Text is for people only, and can be read back.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::name::{ConnectionKey, Ident, InvalidName};

/// Deepest level of a tree, the connection being level 1 (D39).
pub const MAX_LEVEL: usize = 32;

/// The address of an object: the connection's key, then the names below it. Never empty, at most [`MAX_LEVEL`] long.
///
/// Shown as names joined by dots, where a name that is not plain is quoted with inner quotes doubled, so that
/// `parse(display(p)) == p`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<Ident>", into = "Vec<Ident>")]
pub struct ObjectPath(Vec<Ident>);

/// Where something lies below a connection; the empty path is the connection itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RemotePath(pub Vec<Ident>);

/// A path that cannot be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPath {
    /// No segment.
    #[error("a path has at least one segment, the connection's key")]
    Empty,
    /// Too deep.
    #[error("a path has at most 32 segments")]
    TooDeep,
    /// A segment that is no name; counted from 1.
    #[error("segment {0} of the path {1}")]
    Segment(usize, InvalidName),
    /// Text whose quotes do not match.
    #[error(
        "the path is not well formed at character {0}: names are joined by dots and quoted with \" where they hold one"
    )]
    Syntax(usize),
}

impl ObjectPath {
    /// A path of these segments, each as it is written.
    pub fn from_segments<S: AsRef<str>>(segments: impl IntoIterator<Item = S>) -> Result<Self, InvalidPath> {
        let names = segments
            .into_iter()
            .enumerate()
            .map(|(i, s)| s.as_ref().parse::<Ident>().map_err(|e| InvalidPath::Segment(i + 1, e)))
            .collect::<Result<Vec<_>, _>>()?;
        Self::try_from(names)
    }

    /// The path of a connection's own object.
    #[must_use]
    pub fn of_connection(key: ConnectionKey) -> Self {
        Self(vec![key.into()])
    }

    /// The names, first the connection's key.
    #[must_use]
    pub fn segments(&self) -> &[Ident] {
        &self.0
    }

    /// The first segment: the connection's key.
    #[must_use]
    pub fn connection(&self) -> &Ident {
        &self.0[0]
    }

    /// The last segment: the object's own name.
    #[must_use]
    pub fn name(&self) -> &Ident {
        &self.0[self.0.len() - 1]
    }

    /// 1 for a connection, 2 for what lies directly below it, …
    #[must_use]
    pub fn level(&self) -> usize {
        self.0.len()
    }

    /// The path without its last segment; none for a connection.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        (self.0.len() > 1).then(|| Self(self.0[..self.0.len() - 1].to_vec()))
    }

    /// The part below the connection.
    #[must_use]
    pub fn remote(&self) -> RemotePath {
        RemotePath(self.0[1..].to_vec())
    }

    /// The path one level further down.
    pub fn child(&self, name: Ident) -> Result<Self, InvalidPath> {
        let mut names = self.0.clone();
        names.push(name);
        Self::try_from(names)
    }
}

impl RemotePath {
    /// Whether `self` is `ancestor` or lies below it.
    #[must_use]
    pub fn is_within(&self, ancestor: &Self) -> bool {
        self.0.starts_with(&ancestor.0)
    }

    /// The names from below the connection down.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.0.iter().map(Ident::as_str)
    }

    /// The path without its last segment; none for the connection itself.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        self.0.split_last().map(|(_, rest)| Self(rest.to_vec()))
    }
}

impl TryFrom<Vec<Ident>> for ObjectPath {
    type Error = InvalidPath;

    fn try_from(names: Vec<Ident>) -> Result<Self, InvalidPath> {
        match names.len() {
            0 => Err(InvalidPath::Empty),
            n if n > MAX_LEVEL => Err(InvalidPath::TooDeep),
            _ => Ok(Self(names)),
        }
    }
}

impl From<ObjectPath> for Vec<Ident> {
    fn from(path: ObjectPath) -> Self {
        path.0
    }
}

/// Whether a name can stand in a path without quotes.
pub(super) fn is_plain(name: &str) -> bool {
    name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-')
}

fn write_names(names: &[Ident], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (i, name) in names.iter().enumerate() {
        if i > 0 {
            f.write_str(".")?;
        }
        if is_plain(name.as_str()) {
            f.write_str(name.as_str())?;
        } else {
            write!(f, "\"{}\"", name.as_str().replace('"', "\"\""))?;
        }
    }
    Ok(())
}

impl fmt::Display for ObjectPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_names(&self.0, f)
    }
}

impl fmt::Display for RemotePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_names(&self.0, f)
    }
}

impl FromStr for ObjectPath {
    type Err = InvalidPath;

    fn from_str(text: &str) -> Result<Self, InvalidPath> {
        Self::from_segments(split(text).map_err(InvalidPath::Syntax)?)
    }
}

/// Names joined by dots, taken apart; the error is the character, from 0, at which the text is not well formed.
pub(super) fn split(text: &str) -> Result<Vec<String>, usize> {
    let mut names = Vec::new();
    let mut rest = text.chars().enumerate().peekable();
    loop {
        let mut name = String::new();
        if let Some(&(start, '"')) = rest.peek() {
            rest.next();
            loop {
                match rest.next() {
                    Some((_, '"')) if matches!(rest.peek(), Some((_, '"'))) => {
                        rest.next();
                        name.push('"');
                    }
                    Some((_, '"')) => break,
                    Some((_, c)) => name.push(c),
                    None => return Err(start),
                }
            }
        } else {
            while let Some(&(_, c)) = rest.peek() {
                if c == '.' || c == '"' {
                    break;
                }
                name.push(c);
                rest.next();
            }
        }
        names.push(name);
        match rest.next() {
            None => return Ok(names),
            Some((_, '.')) => {}
            Some((at, _)) => return Err(at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_can_be_read_back() {
        for names in [
            vec!["My Connection", "DB", "a.b", "t\"x"],
            vec!["\"", ".", "..", "\u{202e}\n"],
            vec!["emoji 👾", "-", "_"],
        ] {
            let path = ObjectPath::from_segments(&names).expect("path");
            assert_eq!(path.to_string().parse::<ObjectPath>().as_ref(), Ok(&path), "{path}");
        }
    }

    #[test]
    fn an_ill_formed_path_says_where() {
        assert_eq!("a.\"b".parse::<ObjectPath>(), Err(InvalidPath::Syntax(2)));
        assert_eq!("a.\"b\"c".parse::<ObjectPath>(), Err(InvalidPath::Syntax(5)));
        assert_eq!("a..b".parse::<ObjectPath>(), Err(InvalidPath::Segment(2, InvalidName::Empty)));
        assert_eq!(ObjectPath::from_segments(vec!["x"; 33]), Err(InvalidPath::TooDeep));
    }
}
