//! What the platform answers: pure. Tolerant where servers differ (missing keys, nulls, unknown values), strict where
//! a wrong reading would make something seem to be gone.

mod problem;

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, de::IgnoredAny};
use serde_json::Value;
use wharfinger_sdk::{
    Error,
    http::{Response, Text},
};

pub(crate) use problem::{Problem, error_for};

/// Longest name that the host keeps, in characters.
const MAX_NAME_CHARS: usize = 255;

/// A catalog, schema or table. One type for all three, as their fields do not contradict each other; every field but
/// the name may be missing on one server or another.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Entry {
    /// Own name.
    #[serde(default)]
    pub(crate) name: String,
    /// On schemas and tables.
    #[serde(default)]
    pub(crate) catalog_name: Option<String>,
    /// On tables.
    #[serde(default)]
    pub(crate) schema_name: Option<String>,
    /// Anything, NUL characters included; empty and absent are two things.
    #[serde(default)]
    pub(crate) comment: Option<String>,
    /// Who owns it.
    #[serde(default)]
    pub(crate) owner: Option<String>,
    /// Milliseconds since 1970.
    #[serde(default)]
    pub(crate) created_at: Option<i64>,
    /// Milliseconds since 1970.
    #[serde(default)]
    pub(crate) updated_at: Option<i64>,
    /// Id of a catalog.
    #[serde(default)]
    pub(crate) id: Option<String>,
    /// Id of a schema.
    #[serde(default)]
    pub(crate) schema_id: Option<String>,
    /// Id of a table.
    #[serde(default)]
    pub(crate) table_id: Option<String>,
    /// Metastore it lies in.
    #[serde(default)]
    pub(crate) metastore_id: Option<String>,
    /// `MANAGED_CATALOG`, … open.
    #[serde(default)]
    pub(crate) catalog_type: Option<String>,
    /// `MANAGED`, `VIEW`, … open.
    #[serde(default)]
    pub(crate) table_type: Option<String>,
    /// `DELTA`, … open.
    #[serde(default)]
    pub(crate) data_source_format: Option<String>,
    /// URL of the files.
    #[serde(default)]
    pub(crate) storage_location: Option<String>,
    /// Connection of a foreign catalog.
    #[serde(default)]
    pub(crate) connection_name: Option<String>,
    /// Provider of a shared catalog.
    #[serde(default)]
    pub(crate) provider_name: Option<String>,
    /// Share of a shared catalog.
    #[serde(default)]
    pub(crate) share_name: Option<String>,
    /// Whether only BROWSE lets us see it.
    #[serde(default)]
    pub(crate) browse_only: Option<bool>,
    /// Absent means none, or that they were left out.
    #[serde(default)]
    pub(crate) columns: Option<Vec<ColumnEntry>>,
}

/// A column of a table.
#[derive(Debug, Deserialize)]
pub(crate) struct ColumnEntry {
    /// May be empty, and occur twice.
    #[serde(default)]
    pub(crate) name: String,
    /// The type as people write it, with what is nested in it.
    #[serde(default)]
    pub(crate) type_text: Option<String>,
    /// The bare type: only where `type_text` is missing.
    #[serde(default)]
    pub(crate) type_name: Option<TypeName>,
    /// Of decimals, where `type_text` is missing.
    #[serde(default)]
    pub(crate) type_precision: Option<i64>,
    /// Of decimals, where `type_text` is missing.
    #[serde(default)]
    pub(crate) type_scale: Option<i64>,
    /// Gaps, repeats and negative numbers occur.
    #[serde(default)]
    pub(crate) position: Option<i64>,
    /// Absent means yes.
    #[serde(default)]
    pub(crate) nullable: Option<bool>,
    /// Anything.
    #[serde(default)]
    pub(crate) comment: Option<String>,
}

/// The bare type of a column. There are many columns and few types, so those that are known are not copied.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TypeName(Cow<'static, str>);

const TYPE_NAMES: [&str; 23] = [
    "STRING",
    "LONG",
    "INT",
    "DOUBLE",
    "TIMESTAMP",
    "BOOLEAN",
    "DATE",
    "DECIMAL",
    "STRUCT",
    "ARRAY",
    "MAP",
    "FLOAT",
    "SHORT",
    "BYTE",
    "BINARY",
    "TIMESTAMP_NTZ",
    "VARIANT",
    "CHAR",
    "INTERVAL",
    "GEOGRAPHY",
    "GEOMETRY",
    "NULL",
    "USER_DEFINED_TYPE",
];

impl<'de> Deserialize<'de> for TypeName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = Text::deserialize(deserializer)?;
        Ok(Self(match TYPE_NAMES.iter().find(|known| **known == &*name) {
            Some(known) => Cow::Borrowed(known),
            None => Cow::Owned(name.into()),
        }))
    }
}

impl std::ops::Deref for TypeName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// A page of a listing.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    /// What could be read, in the order of the answer.
    pub(crate) entries: Vec<Entry>,
    /// What could not, one text for each: the container is then not complete.
    pub(crate) unreadable: Vec<String>,
    /// Empty, null and absent end the listing.
    pub(crate) next_page_token: Option<String>,
}

/// An empty list may omit its key or be null.
#[derive(Deserialize)]
struct RawPage {
    #[serde(default, alias = "catalogs", alias = "schemas", alias = "tables")]
    entries: Option<Vec<Entry>>,
    #[serde(default)]
    next_page_token: Option<String>,
    /// Any of these without a list is no empty list.
    #[serde(default, alias = "error_code", alias = "message")]
    error: Option<IgnoredAny>,
}

/// Reads a page of a listing. One entry of an unexpected form does not end it.
pub(crate) fn listed(response: &Response) -> Result<Listed, Error> {
    let (entries, mut unreadable, next_page_token) = match response.json::<RawPage>() {
        // A list in place of the object would be read as an object without keys: as an empty page.
        Ok(_) if !response.body.trim_ascii_start().starts_with(b"{") => return Err(no_page()),
        Ok(RawPage { entries: None, error: Some(_), .. }) => return Err(no_page()),
        Ok(page) => (page.entries.unwrap_or_default(), Vec::new(), page.next_page_token),
        Err(error) => one_by_one(response).ok_or_else(|| not_json(response, error))?,
    };
    let mut kept = Vec::with_capacity(entries.len());
    for entry in entries {
        match usable_name(&entry.name) {
            Ok(()) => kept.push(entry),
            Err(why) => unreadable.push(why),
        }
    }
    Ok(Listed { entries: kept, unreadable, next_page_token })
}

type Pieces = (Vec<Entry>, Vec<String>, Option<String>);

/// The slow way, for a page in which something has an unexpected form. None if it is not a page at all.
fn one_by_one(response: &Response) -> Option<Pieces> {
    let mut page: serde_json::Map<String, Value> = response.json().ok()?;
    let next_page_token = match page.remove("next_page_token") {
        None | Some(Value::Null) => None,
        Some(Value::String(token)) => Some(token),
        Some(_) => return None,
    };
    let mut entries = Vec::new();
    let mut unreadable = Vec::new();
    for (key, value) in page {
        let (Value::Array(items), "catalogs" | "schemas" | "tables") = (value, key.as_str()) else { continue };
        for item in items {
            let name = item.get("name").and_then(Value::as_str).unwrap_or("without a name").to_owned();
            match serde_json::from_value(item) {
                Ok(entry) => entries.push(entry),
                Err(error) => unreadable.push(format!("`{name}`: {error}")),
            }
        }
    }
    (!(entries.is_empty() && unreadable.is_empty())).then_some((entries, unreadable, next_page_token))
}

fn usable_name(name: &str) -> Result<(), String> {
    match name.chars().take(MAX_NAME_CHARS + 1).count() {
        0 => Err("an entry without a name".to_owned()),
        n if n > MAX_NAME_CHARS => Err(format!("a name of more than {MAX_NAME_CHARS} characters")),
        _ => Ok(()),
    }
}

/// Reads a single object.
pub(crate) fn entry(response: &Response) -> Result<Entry, Error> {
    response.json().map_err(|error| not_json(response, error))
}

/// Reads which metastore this is; none where the answer does not say.
pub(crate) fn metastore(response: &Response) -> Option<Metastore> {
    response.json::<Metastore>().ok().filter(|metastore| !metastore.metastore_id.is_empty())
}

/// Which metastore this is.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Metastore {
    /// Tells it from every other.
    pub(crate) metastore_id: String,
    /// For people.
    #[serde(default)]
    pub(crate) name: Option<String>,
}

fn no_page() -> Error {
    Error::unavailable("The platform's answer is not a page of a listing.")
}

fn not_json(response: &Response, error: Error) -> Error {
    if response.text().is_some_and(|body| body.trim_start().starts_with('<')) {
        let detail = error.detail;
        let message = "An HTML page came instead of an answer of the API: a proxy or a login page stands before it.";
        return Error { detail, ..Error::unavailable(message) };
    }
    error
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wharfinger_sdk::testing;

    use super::*;

    fn names(body: &Value) -> (Vec<String>, usize, Option<String>) {
        let response = testing::json(200, body);
        let page = listed(&response).expect("page");
        (page.entries.iter().map(|e| e.name.clone()).collect(), page.unreadable.len(), page.next_page_token)
    }

    #[test]
    fn an_empty_list_may_omit_its_key() {
        assert_eq!(names(&json!({})), (vec![], 0, None));
        assert_eq!(names(&json!({"tables": null, "next_page_token": null})), (vec![], 0, None));
        assert_eq!(names(&json!({"next_page_token": "t"})), (vec![], 0, Some("t".into())));
    }

    #[test]
    fn unknown_keys_and_values_are_read_over() {
        let body = json!({"tables": [{"name": "a", "table_type": "HOLOGRAM", "new": {"x": [1]}}], "more": 1});
        assert_eq!(names(&body), (vec!["a".into()], 0, None));
    }

    #[test]
    fn one_odd_entry_does_not_end_the_page() {
        let body = json!({"tables": [{"name": "a"}, {"name": "b", "columns": 7}, {"name": 3}, "x", {"comment": "c"}],
                          "next_page_token": "t"});
        assert_eq!(names(&body), (vec!["a".into()], 4, Some("t".into())));
        assert_eq!(names(&json!({"tables": [{"name": "x".repeat(256)}, {"name": "ü".repeat(255)}]})).1, 1);
    }

    #[test]
    fn what_is_no_page_is_an_error_and_not_an_empty_page() {
        let error = r#"{"error_code": "X", "message": "y"}"#;
        for body in [
            error,
            "{\"message\": \"y\"}",
            "",
            "{\"tables\": [{\"name\": \"a\"",
            "[]",
            "null",
            "\"x\"",
            "{\"tables\": 7}",
            "\u{1}",
        ] {
            let response = testing::text(200, body);
            assert_eq!(listed(&response).expect_err(body).code, "unavailable", "{body:?}");
        }
        let html = testing::text(200, " <!DOCTYPE html><html>login</html>");
        assert!(listed(&html).expect_err("html").message.contains("HTML"));
    }
}
