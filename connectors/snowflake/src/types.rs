//! Data types: one spelling for each, that of DESCRIBE, whichever of three ways a column was read.
//!
//! SHOW COLUMNS writes JSON, INFORMATION_SCHEMA a word and numbers, DESCRIBE the text itself. What one of the ways cannot
//! tell (the collation of texts, whether a short text was called CHAR, the inside of structured types) is left out in
//! all of them: a connection that gains or loses its warehouse must not seem to have changed every column.

use std::borrow::Cow;

use serde::Deserialize;
use wharfinger_sdk::http::Text;

/// What SHOW COLUMNS says of a type.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Shown<'a> {
    #[serde(rename = "type", borrow)]
    name: Text<'a>,
    #[serde(default)]
    precision: Option<i64>,
    #[serde(default)]
    scale: Option<i64>,
    #[serde(default)]
    length: Option<i64>,
    #[serde(default)]
    dimension: Option<i64>,
    #[serde(default, borrow)]
    vector_element_type: Option<Element<'a>>,
    /// Whether the column may hold null.
    #[serde(default)]
    pub(crate) nullable: Option<bool>,
}

/// The elements of a vector: a word, or a type of their own.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Element<'a> {
    Word(#[serde(borrow)] Text<'a>),
    Type {
        #[serde(rename = "type", borrow)]
        name: Text<'a>,
    },
}

impl Shown<'_> {
    /// As DESCRIBE writes it.
    pub(crate) fn text(&self) -> String {
        let name = word(&self.name);
        match (&*name, self.precision, self.scale, self.length) {
            ("NUMBER", Some(precision), scale, _) => format!("NUMBER({precision},{})", scale.unwrap_or(0)),
            ("VARCHAR" | "BINARY", _, _, Some(length)) => format!("{name}({length})"),
            ("TIME" | "TIMESTAMP_NTZ" | "TIMESTAMP_LTZ" | "TIMESTAMP_TZ", _, Some(scale), _) => {
                format!("{name}({scale})")
            }
            ("VECTOR", ..) => self.vector(),
            _ => name.into_owned(),
        }
    }

    fn vector(&self) -> String {
        let element = match &self.vector_element_type {
            Some(Element::Word(name) | Element::Type { name }) => word(name),
            None => return "VECTOR".to_owned(),
        };
        let element = if element == "NUMBER" { "INT" } else { &*element };
        match self.dimension.or(self.length) {
            Some(dimension) => format!("VECTOR({element}, {dimension})"),
            None => "VECTOR".to_owned(),
        }
    }
}

/// The platform's word for a type as DESCRIBE has it; unknown ones as they are.
fn word(name: &str) -> Cow<'_, str> {
    match name {
        "FIXED" | "fixed" => Cow::Borrowed("NUMBER"),
        "TEXT" | "text" => Cow::Borrowed("VARCHAR"),
        "REAL" | "real" => Cow::Borrowed("FLOAT"),
        _ if name.bytes().any(|b| b.is_ascii_lowercase()) => Cow::Owned(name.to_ascii_uppercase()),
        _ => Cow::Borrowed(name),
    }
}

/// What INFORMATION_SCHEMA says of a type.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Informed<'a> {
    /// `DATA_TYPE`.
    pub(crate) name: &'a str,
    /// `CHARACTER_MAXIMUM_LENGTH`, which binaries have too.
    pub(crate) length: Option<&'a str>,
    /// `NUMERIC_PRECISION`.
    pub(crate) precision: Option<&'a str>,
    /// `NUMERIC_SCALE`.
    pub(crate) scale: Option<&'a str>,
    /// `DATETIME_PRECISION`.
    pub(crate) fraction: Option<&'a str>,
}

impl Informed<'_> {
    /// As DESCRIBE writes it; none where that takes more than is said here.
    pub(crate) fn text(self) -> Option<String> {
        let name = word(self.name);
        match &*name {
            "NUMBER" => Some(format!("NUMBER({},{})", self.precision?, self.scale?)),
            "VARCHAR" | "BINARY" => Some(format!("{name}({})", self.length?)),
            "TIME" | "TIMESTAMP_NTZ" | "TIMESTAMP_LTZ" | "TIMESTAMP_TZ" => Some(format!("{name}({})", self.fraction?)),
            "VECTOR" => None,
            _ => Some(name.into_owned()),
        }
    }
}

/// The text of DESCRIBE without what the other ways cannot tell.
pub(crate) fn described(text: &str) -> String {
    let plain = text.split_once(" COLLATE ").map_or(text, |(before, _)| before).trim();
    let (name, inside) = plain.split_once('(').map_or((plain, None), |(name, inside)| (name, Some(inside)));
    match (name, inside) {
        ("ARRAY" | "OBJECT" | "MAP", _) => name.to_owned(),
        ("CHAR", Some(inside)) => format!("VARCHAR({inside}"),
        _ => plain.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// JSON of SHOW COLUMNS; word, length, precision, scale and fraction of INFORMATION_SCHEMA; text of DESCRIBE; ours.
    type Spellings = (&'static str, (&'static str, [&'static str; 4]), &'static str, &'static str);

    const TYPES: [Spellings; 29] = [
        (
            r#"{"type":"FIXED","precision":38,"scale":0,"nullable":false}"#,
            ("NUMBER", ["", "38", "0", ""]),
            "NUMBER(38,0)",
            "NUMBER(38,0)",
        ),
        (
            r#"{"type":"FIXED","precision":10,"scale":2,"nullable":true}"#,
            ("NUMBER", ["", "10", "2", ""]),
            "NUMBER(10,2)",
            "NUMBER(10,2)",
        ),
        (
            r#"{"type":"fixed","precision":10,"scale":2}"#,
            ("number", ["", "10", "2", ""]),
            "NUMBER(10,2)",
            "NUMBER(10,2)",
        ),
        (r#"{"type":"REAL","nullable":true}"#, ("FLOAT", ["", "", "", ""]), "FLOAT", "FLOAT"),
        (
            r#"{"type":"TEXT","length":50,"byteLength":200,"nullable":true,"fixed":false}"#,
            ("TEXT", ["50", "", "", ""]),
            "VARCHAR(50)",
            "VARCHAR(50)",
        ),
        (
            r#"{"type":"TEXT","length":16777216,"byteLength":16777216,"fixed":false}"#,
            ("TEXT", ["16777216", "", "", ""]),
            "VARCHAR(16777216)",
            "VARCHAR(16777216)",
        ),
        (
            r#"{"type":"TEXT","length":2,"byteLength":8,"fixed":true}"#,
            ("TEXT", ["2", "", "", ""]),
            "CHAR(2)",
            "VARCHAR(2)",
        ),
        (
            r#"{"type":"TEXT","length":9,"byteLength":36,"collation":"en-ci"}"#,
            ("TEXT", ["9", "", "", ""]),
            "VARCHAR(9) COLLATE 'en-ci'",
            "VARCHAR(9)",
        ),
        (
            r#"{"type":"BINARY","length":8388608,"byteLength":8388608,"fixed":true}"#,
            ("BINARY", ["8388608", "", "", ""]),
            "BINARY(8388608)",
            "BINARY(8388608)",
        ),
        (r#"{"type":"BOOLEAN","nullable":true}"#, ("BOOLEAN", ["", "", "", ""]), "BOOLEAN", "BOOLEAN"),
        (r#"{"type":"DATE","nullable":true}"#, ("DATE", ["", "", "", ""]), "DATE", "DATE"),
        (r#"{"type":"TIME","precision":0,"scale":9}"#, ("TIME", ["", "", "", "9"]), "TIME(9)", "TIME(9)"),
        (r#"{"type":"TIME","precision":0,"scale":0}"#, ("TIME", ["", "", "", "0"]), "TIME(0)", "TIME(0)"),
        (
            r#"{"type":"TIMESTAMP_NTZ","precision":0,"scale":9}"#,
            ("TIMESTAMP_NTZ", ["", "", "", "9"]),
            "TIMESTAMP_NTZ(9)",
            "TIMESTAMP_NTZ(9)",
        ),
        (
            r#"{"type":"TIMESTAMP_LTZ","precision":0,"scale":3}"#,
            ("TIMESTAMP_LTZ", ["", "", "", "3"]),
            "TIMESTAMP_LTZ(3)",
            "TIMESTAMP_LTZ(3)",
        ),
        (
            r#"{"type":"TIMESTAMP_TZ","precision":0,"scale":6}"#,
            ("TIMESTAMP_TZ", ["", "", "", "6"]),
            "TIMESTAMP_TZ(6)",
            "TIMESTAMP_TZ(6)",
        ),
        (r#"{"type":"VARIANT","nullable":true}"#, ("VARIANT", ["", "", "", ""]), "VARIANT", "VARIANT"),
        (r#"{"type":"OBJECT","nullable":true}"#, ("OBJECT", ["", "", "", ""]), "OBJECT", "OBJECT"),
        (
            r#"{"type":"OBJECT","fields":[{"fieldName":"a"}]}"#,
            ("OBJECT", ["", "", "", ""]),
            "OBJECT(a NUMBER(38,0))",
            "OBJECT",
        ),
        (r#"{"type":"ARRAY","nullable":true}"#, ("ARRAY", ["", "", "", ""]), "ARRAY", "ARRAY"),
        (
            r#"{"type":"ARRAY","elementType":{"type":"FIXED"}}"#,
            ("ARRAY", ["", "", "", ""]),
            "ARRAY(NUMBER(38,0) NOT NULL)",
            "ARRAY",
        ),
        (
            r#"{"type":"MAP","keyType":{"type":"TEXT"}}"#,
            ("MAP", ["", "", "", ""]),
            "MAP(VARCHAR(9), NUMBER(38,0))",
            "MAP",
        ),
        (r#"{"type":"GEOGRAPHY","nullable":true}"#, ("GEOGRAPHY", ["", "", "", ""]), "GEOGRAPHY", "GEOGRAPHY"),
        (r#"{"type":"GEOMETRY","nullable":true}"#, ("GEOMETRY", ["", "", "", ""]), "GEOMETRY", "GEOMETRY"),
        (
            r#"{"type":"VECTOR","dimension":3,"vectorElementType":"FLOAT"}"#,
            ("VECTOR", ["", "", "", ""]),
            "VECTOR(FLOAT, 3)",
            "VECTOR(FLOAT, 3)",
        ),
        (
            r#"{"type":"VECTOR","length":256,"vectorElementType":{"type":"FIXED","nullable":false}}"#,
            ("VECTOR", ["", "", "", ""]),
            "VECTOR(INT, 256)",
            "VECTOR(INT, 256)",
        ),
        (r#"{"type":"DECFLOAT","nullable":true}"#, ("DECFLOAT", ["", "", "", ""]), "DECFLOAT", "DECFLOAT"),
        (r#"{"type":"HOLOGRAM","nullable":true}"#, ("HOLOGRAM", ["", "", "", ""]), "HOLOGRAM", "HOLOGRAM"),
        (
            r#"{"type":"INTERVAL YEAR TO MONTH"}"#,
            ("INTERVAL YEAR TO MONTH", ["", "", "", ""]),
            "INTERVAL YEAR TO MONTH",
            "INTERVAL YEAR TO MONTH",
        ),
    ];

    #[test]
    fn every_way_of_reading_spells_a_type_the_same() {
        for (json, (name, numbers), text, ours) in TYPES {
            let shown: Shown<'_> = serde_json::from_str(json).expect(json);
            assert_eq!(shown.text(), ours, "{json}");
            assert_eq!(described(text), ours, "{text}");
            let [length, precision, scale, fraction] = numbers.map(|number| Some(number).filter(|n| !n.is_empty()));
            let informed = Informed { name, length, precision, scale, fraction }.text();
            // What INFORMATION_SCHEMA cannot tell is asked for otherwise.
            assert_eq!(informed.as_deref(), (name != "VECTOR").then_some(ours), "{name}");
        }
    }

    #[test]
    fn what_is_not_said_is_not_made_up() {
        for name in ["NUMBER", "TEXT", "BINARY", "TIME", "TIMESTAMP_NTZ", "VECTOR"] {
            assert_eq!(Informed { name, ..Informed::default() }.text(), None, "{name}");
        }
        for (json, ours) in [(r#"{"type":"TEXT"}"#, "VARCHAR"), (r#"{"type":"VECTOR"}"#, "VECTOR")] {
            assert_eq!(serde_json::from_str::<Shown<'_>>(json).expect(json).text(), ours);
        }
    }
}
