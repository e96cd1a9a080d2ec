//! The statements that clients list metadata with, read into values. Everything else is a syntax error, as a real account
//! would word it.
//!
//! Unquoted names become upper-case here, quoted ones stay as they are; from here on names are compared by code point.

mod parse;
mod token;

pub(crate) use self::parse::parse;

/// A statement.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Statement {
    /// `SHOW …`.
    Show(Show),
    /// `DESCRIBE TABLE …` or `VIEW`.
    Describe { view: bool, name: Vec<String> },
    /// `SELECT …`, with or without `FROM`.
    Select(Select),
    /// `USE ROLE|WAREHOUSE|DATABASE|SCHEMA …`.
    Use { what: Use, name: Vec<String> },
    /// `ALTER SESSION SET name = value`.
    AlterSession { name: String, value: String },
}

impl Statement {
    /// Whether columns are what it asks for.
    pub(crate) fn is_about_columns(&self) -> bool {
        match self {
            Self::Show(show) => show.what == What::Columns,
            Self::Describe { .. } => true,
            Self::Select(select) => select.from.as_ref().and_then(|from| from.last()).is_some_and(|of| of == "COLUMNS"),
            Self::Use { .. } | Self::AlterSession { .. } => false,
        }
    }

    /// Whether databases, schemas or objects are.
    pub(crate) fn is_about_objects(&self) -> bool {
        match self {
            Self::Show(show) => !matches!(
                show.what,
                What::Columns | What::Warehouses | What::Parameters | What::GrantsTo(_) | What::GrantsOn { .. }
            ),
            Self::Select(select) => select.from.is_some() && !self.is_about_columns(),
            _ => false,
        }
    }
}

/// What a session can be moved to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    Role,
    Warehouse,
    Database,
    Schema,
    SecondaryRoles,
}

/// `SHOW [TERSE] what [LIKE] [IN scope] [STARTS WITH] [LIMIT [FROM]]`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Show {
    pub(crate) what: What,
    pub(crate) terse: bool,
    pub(crate) like: Option<String>,
    pub(crate) scope: Scope,
    pub(crate) starts_with: Option<String>,
    pub(crate) limit: Option<u64>,
    pub(crate) from: Option<String>,
}

/// What is shown.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum What {
    Databases,
    Schemas,
    Tables,
    Views,
    MaterializedViews,
    ExternalTables,
    DynamicTables,
    EventTables,
    IcebergTables,
    HybridTables,
    Objects,
    Columns,
    Warehouses,
    Parameters,
    GrantsTo(String),
    GrantsOn { what: &'static str, name: Vec<String> },
}

/// Where it is shown from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scope {
    /// Not said: the session decides.
    Session,
    Account,
    Database(Vec<String>),
    Schema(Vec<String>),
    /// A table or view, for columns.
    Object(Vec<String>),
}

/// A query over one relation, or over none.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Select {
    pub(crate) items: Vec<Item>,
    pub(crate) from: Option<Vec<String>>,
    pub(crate) filter: Option<Test>,
    pub(crate) order: Vec<(Value, Order)>,
    pub(crate) limit: Option<u64>,
    pub(crate) offset: u64,
}

/// Which way a result is ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Up,
    Down,
}

/// A column of the result.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Item {
    /// `*`.
    All,
    /// `COUNT(*)`.
    Count { name: String },
    /// Anything with a value.
    Value { value: Value, name: String },
}

/// Something with a value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Column(String),
    Text(String),
    Number(String),
    Null,
    /// `CURRENT_ROLE()` and its like.
    Function(String),
    /// `?` or `:1`, from 1.
    Bind(usize),
}

/// A condition.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Test {
    And(Box<Test>, Box<Test>),
    Or(Box<Test>, Box<Test>),
    Not(Box<Test>),
    Compare(Value, Compare, Value),
    In(Value, Vec<Value>),
    /// `LIKE`, or `ILIKE` without regard to case.
    Like(Value, Value, Case),
    IsNull(Value),
    StartsWith(Value, Value),
}

/// Whether case counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    Counts,
    Ignored,
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compare {
    Equal,
    Unequal,
    Less,
    AtMost,
    More,
    AtLeast,
}

/// Where a statement stops making sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    pub(crate) line: usize,
    pub(crate) position: usize,
    pub(crate) unexpected: String,
}

/// SQL's LIKE: `%` is any text, `_` any character, `\` takes the next one as it is.
pub(crate) fn like(pattern: &str, text: &str, case: Case) -> bool {
    match case {
        Case::Counts => like_chars(&pattern.chars().collect::<Vec<_>>(), &text.chars().collect::<Vec<_>>()),
        Case::Ignored => like(&pattern.to_lowercase(), &text.to_lowercase(), Case::Counts),
    }
}

/// Goes back to the last `%` where the rest does not fit, so hostile patterns cost no more than product of the lengths.
fn like_chars(pattern: &[char], text: &[char]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while t < text.len() {
        let (width, fits) = match pattern.get(p..) {
            Some(['%', ..]) => {
                back = Some((p + 1, t));
                p += 1;
                continue;
            }
            Some(['_', ..]) => (1, true),
            Some(['\\', literal, ..]) => (2, *literal == text[t]),
            Some([literal, ..]) => (1, *literal == text[t]),
            _ => (0, false),
        };
        match (fits, back) {
            (true, _) => (p, t) = (p + width, t + 1),
            (false, Some((after, from))) => {
                (p, t) = (after, from + 1);
                back = Some((after, from + 1));
            }
            (false, None) => return false,
        }
    }
    pattern[p.min(pattern.len())..].iter().all(|&c| c == '%')
}

#[cfg(test)]
mod tests {
    use super::{Case, like};

    #[test]
    fn patterns_match_like_sql() {
        for (pattern, text, fits) in [
            ("%", "", true),
            ("a%", "abc", true),
            ("%c", "abc", true),
            ("a_c", "abc", true),
            ("a_", "abc", false),
            ("%ü%", "grün", true),
            (r"a\_c", "abc", false),
            (r"a\_c", "a_c", true),
            ("%a%b%", "xxaxxb", true),
            ("%a%b", "xxaxxbx", false),
        ] {
            assert_eq!(like(pattern, text, Case::Counts), fits, "{pattern} {text}");
        }
        assert!(like("ORDERS", "orders", Case::Ignored) && !like("ORDERS", "orders", Case::Counts));
    }
}
