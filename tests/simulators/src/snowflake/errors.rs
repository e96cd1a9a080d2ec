//! Refusals of statements: the platform's code, SQL state and words.

use super::sql::SyntaxError;

/// Why a statement or a request has no other answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: &'static str,
    pub(crate) sql_state: &'static str,
    pub(crate) message: String,
}

fn refusal(code: &'static str, sql_state: &'static str, message: impl Into<String>) -> Refusal {
    Refusal { code, sql_state, message: message.into() }
}

/// A name as messages and grants show it: quoted only where it must be.
pub(crate) fn shown(path: &[&str]) -> String {
    let part = |name: &&str| {
        let plain = name.starts_with(|c: char| c == '_' || c.is_ascii_uppercase())
            && name.chars().all(|c| c == '_' || c == '$' || c.is_ascii_uppercase() || c.is_ascii_digit());
        if plain { (*name).to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
    };
    path.iter().map(part).collect::<Vec<_>>().join(".")
}

impl Refusal {
    pub(crate) fn syntax(error: &SyntaxError) -> Self {
        refusal(
            "001003",
            "42000",
            format!(
                "SQL compilation error:\nsyntax error line {} at position {} unexpected '{}'.",
                error.line, error.position, error.unexpected
            ),
        )
    }

    /// The position is that of the first mention, which is all that anybody looks at.
    pub(crate) fn invalid_identifier(sql: &str, name: &str) -> Self {
        let at = sql.to_uppercase().find(&name.to_uppercase()).unwrap_or_default();
        let before = sql.get(..at).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let position = before.rsplit('\n').next().unwrap_or_default().chars().count();
        let text = format!(
            "SQL compilation error: error line {line} at position {position}\ninvalid identifier '{}'",
            shown(&[name])
        );
        refusal("000904", "42000", text)
    }

    pub(crate) fn unknown_function(name: &str) -> Self {
        refusal("002141", "42601", format!("SQL compilation error:\nUnknown function {name}"))
    }

    pub(crate) fn does_not_exist(what: &str, path: &[&str]) -> Self {
        let state = if what == "Database" || what == "Schema" { "02000" } else { "42S02" };
        let text = format!("SQL compilation error:\n{what} '{}' does not exist or not authorized.", shown(path));
        refusal("002003", state, text)
    }

    pub(crate) fn cannot_be_performed() -> Self {
        refusal("002043", "02000", "SQL compilation error:\nObject does not exist, or operation cannot be performed.")
    }

    pub(crate) fn share_is_gone() -> Self {
        refusal(
            "003030",
            "02000",
            "SQL compilation error:\nShared database is no longer available for use. It will need to be re-created if \
             and when the publisher makes it available again.",
        )
    }

    pub(crate) fn insufficient_privileges(path: &[&str]) -> Self {
        let text = format!("SQL access control error:\nInsufficient privileges to operate on table '{}'", shown(path));
        refusal("003001", "42501", text)
    }

    pub(crate) fn no_warehouse() -> Self {
        refusal(
            "000606",
            "57P03",
            "No active warehouse selected in the current session.  Select an active warehouse with the 'use \
             warehouse' command.\n",
        )
    }

    pub(crate) fn no_database(verb: &str) -> Self {
        refusal(
            "090105",
            "22000",
            format!(
                "Cannot perform {verb}. This session does not have a current database. Call 'USE DATABASE', or use a \
                 qualified name."
            ),
        )
    }

    pub(crate) fn no_schema(verb: &str) -> Self {
        refusal(
            "090106",
            "22000",
            format!(
                "Cannot perform {verb}. This session does not have a current schema. Call 'USE SCHEMA', or use a \
                 qualified name."
            ),
        )
    }

    pub(crate) fn too_much_data() -> Self {
        refusal(
            "090030",
            "22000",
            "Information schema query returned too much data. Please repeat query with more selective predicates.",
        )
    }

    pub(crate) fn too_many_shown(most: usize) -> Self {
        refusal(
            "090153",
            "22000",
            format!(
                "The result set size exceeded the max number of rows({most}) supported for SHOW statements. Use LIMIT \
                 option to limit result set to a smaller number."
            ),
        )
    }

    pub(crate) fn limit_too_large(limit: u64, most: usize) -> Self {
        refusal(
            "001003",
            "42000",
            format!("SQL compilation error:\ninvalid value '{limit}' for LIMIT: it must be between 1 and {most}."),
        )
    }

    pub(crate) fn bind_missing(at: usize) -> Self {
        refusal(
            "002049",
            "42601",
            format!("SQL compilation error: error line 1 at position 0\nBind variable ?{at} not set."),
        )
    }

    pub(crate) fn not_supported(what: &str) -> Self {
        refusal("000002", "0A000", format!("Unsupported feature '{what}'."))
    }

    pub(crate) fn not_numeric(text: &str) -> Self {
        refusal("100038", "22018", format!("Numeric value '{text}' is not recognized"))
    }

    pub(crate) fn role_not_granted(role: &str) -> Self {
        refusal(
            "390189",
            "08001",
            format!(
                "Role '{role}' specified in the connect string does not exist or not authorized. Contact your local \
                 system administrator, or attempt to login with another role, e.g. PUBLIC."
            ),
        )
    }
}
