//! Column types of Unity Catalog: as text (`array<decimal(10,2)>`), as type name (`ARRAY`) and as the Spark JSON that
//! `type_json` carries.
//!
//! The three forms come from one value, so a simulator never contradicts itself by accident; `Other` is the door for
//! types nobody heard of.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A column's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataType {
    /// A type without parameters, by its place in the table of [`PLAIN`].
    Plain(&'static Plain),
    /// `decimal(p,s)`.
    Decimal(u8, u8),
    /// `varchar(n)`: a `STRING` whose text says more.
    Varchar(u32),
    /// `char(n)`.
    Char(u32),
    /// `array<…>`.
    Array(Box<DataType>),
    /// `map<…,…>`.
    Map(Box<DataType>, Box<DataType>),
    /// `struct<name:type,…>`.
    Struct(Vec<(String, DataType)>),
    /// Anything else, kept as it is written.
    Other(String),
}

/// A type without parameters, in its three forms.
#[derive(Debug, PartialEq, Eq)]
pub struct Plain {
    /// `type_text`.
    pub text: &'static str,
    /// `type_name`.
    pub name: &'static str,
    /// `type` inside `type_json`.
    pub spark: &'static str,
}

const fn plain(text: &'static str, name: &'static str, spark: &'static str) -> Plain {
    Plain { text, name, spark }
}

/// All types without parameters.
pub const PLAIN: &[Plain] = &[
    plain("boolean", "BOOLEAN", "boolean"),
    plain("tinyint", "BYTE", "byte"),
    plain("smallint", "SHORT", "short"),
    plain("int", "INT", "integer"),
    plain("bigint", "LONG", "long"),
    plain("float", "FLOAT", "float"),
    plain("double", "DOUBLE", "double"),
    plain("string", "STRING", "string"),
    plain("binary", "BINARY", "binary"),
    plain("date", "DATE", "date"),
    plain("timestamp", "TIMESTAMP", "timestamp"),
    plain("timestamp_ntz", "TIMESTAMP_NTZ", "timestamp_ntz"),
    plain("variant", "VARIANT", "variant"),
    plain("void", "NULL", "void"),
    plain("interval year to month", "INTERVAL", "interval year to month"),
    plain("interval day to second", "INTERVAL", "interval day to second"),
];

impl DataType {
    /// `type_name`.
    pub fn name(&self) -> &str {
        match self {
            Self::Plain(plain) => plain.name,
            Self::Decimal(..) => "DECIMAL",
            Self::Varchar(_) => "STRING",
            Self::Char(_) => "CHAR",
            Self::Array(_) => "ARRAY",
            Self::Map(..) => "MAP",
            Self::Struct(_) => "STRUCT",
            Self::Other(_) => "USER_DEFINED_TYPE",
        }
    }

    /// Precision and scale, where the type has them.
    pub fn precision(&self) -> Option<(u8, u8)> {
        match self {
            Self::Decimal(precision, scale) => Some((*precision, *scale)),
            _ => None,
        }
    }

    /// `type_interval_type`: which interval it is.
    pub fn interval(&self) -> Option<String> {
        match self {
            Self::Plain(plain) => plain.text.strip_prefix("interval ").map(str::to_uppercase),
            _ => None,
        }
    }

    /// `type` inside `type_json`.
    pub fn spark(&self) -> Value {
        match self {
            Self::Plain(plain) => json!(plain.spark),
            Self::Decimal(..) | Self::Char(_) => json!(self.to_string()),
            Self::Varchar(_) => json!("string"),
            Self::Array(of) => json!({"type": "array", "elementType": of.spark(), "containsNull": true}),
            Self::Map(key, value) => {
                json!({"type": "map", "keyType": key.spark(), "valueType": value.spark(), "valueContainsNull": true})
            }
            Self::Struct(fields) => {
                let fields: Vec<_> = fields
                    .iter()
                    .map(|(name, of)| json!({"name": name, "type": of.spark(), "nullable": true, "metadata": {}}))
                    .collect();
                json!({"type": "struct", "fields": fields})
            }
            Self::Other(text) => json!({"type": "udt", "class": text, "sqlType": "string"}),
        }
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(plain) => f.write_str(plain.text),
            Self::Decimal(precision, scale) => write!(f, "decimal({precision},{scale})"),
            Self::Varchar(length) => write!(f, "varchar({length})"),
            Self::Char(length) => write!(f, "char({length})"),
            Self::Array(of) => write!(f, "array<{of}>"),
            Self::Map(key, value) => write!(f, "map<{key},{value}>"),
            Self::Struct(fields) => {
                f.write_str("struct<")?;
                for (at, (name, of)) in fields.iter().enumerate() {
                    write!(f, "{}{name}:{of}", if at == 0 { "" } else { "," })?;
                }
                f.write_str(">")
            }
            Self::Other(text) => f.write_str(text),
        }
    }
}

/// Reads what [`DataType`]'s display writes; whatever it does not know becomes [`DataType::Other`].
impl FromStr for DataType {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(parse(text.trim()).unwrap_or_else(|| Self::Other(text.to_owned())))
    }
}

impl From<&str> for DataType {
    fn from(text: &str) -> Self {
        parse(text.trim()).unwrap_or_else(|| Self::Other(text.to_owned()))
    }
}

impl Serialize for DataType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DataType {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from(String::deserialize(deserializer)?.as_str()))
    }
}

fn parse(text: &str) -> Option<DataType> {
    if let Some(plain) = PLAIN.iter().find(|plain| plain.text == text) {
        return Some(DataType::Plain(plain));
    }
    if let Some(inner) = between(text, "decimal(", ')') {
        let (precision, scale) = inner.split_once(',')?;
        return Some(DataType::Decimal(precision.trim().parse().ok()?, scale.trim().parse().ok()?));
    }
    if let Some(inner) = between(text, "varchar(", ')') {
        return inner.parse().ok().map(DataType::Varchar);
    }
    if let Some(inner) = between(text, "char(", ')') {
        return inner.parse().ok().map(DataType::Char);
    }
    if let Some(inner) = between(text, "array<", '>') {
        return parse(inner).map(|of| DataType::Array(Box::new(of)));
    }
    if let Some(inner) = between(text, "map<", '>') {
        let mut parts = split_top(inner);
        let (key, value) = (parts.next()?, parts.next()?);
        return Some(DataType::Map(Box::new(parse(key)?), Box::new(parse(value)?)));
    }
    if let Some(inner) = between(text, "struct<", '>') {
        let fields = split_top(inner).map(|field| {
            let (name, of) = field.split_once(':')?;
            Some((name.to_owned(), parse(of)?))
        });
        return fields.collect::<Option<_>>().map(DataType::Struct);
    }
    None
}

fn between<'a>(text: &'a str, open: &str, close: char) -> Option<&'a str> {
    text.strip_prefix(open)?.strip_suffix(close)
}

/// Parts at commas that stand outside all brackets.
fn split_top(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0usize;
    text.split(move |c: char| {
        match c {
            '<' | '(' => depth += 1,
            '>' | ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    })
}

#[cfg(test)]
mod tests {
    use super::DataType;

    #[test]
    fn text_survives_a_round_trip() {
        for text in [
            "bigint",
            "decimal(10,2)",
            "varchar(20)",
            "array<map<string,decimal(38,18)>>",
            "struct<a:int,b:struct<c:array<string>,d:map<int,double>>>",
            "interval day to second",
        ] {
            let parsed = DataType::from(text);
            assert_eq!(parsed.to_string(), text);
            assert!(!matches!(parsed, DataType::Other(_)), "{text} is a known type");
        }
        assert_eq!(DataType::from("hologram"), DataType::Other("hologram".into()));
    }
}
