//! Column types, in the three forms in which the platform tells them: `SHOW COLUMNS` (JSON), `INFORMATION_SCHEMA` (a name
//! and numbers apart), `DESCRIBE` (text as in DDL).
//!
//! The text is what the model is written in; parsing and displaying it gives the same type again.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Longest text; what `VARCHAR` without a length means.
const TEXT_LENGTH: u32 = 16_777_216;
/// Longest binary.
const BINARY_LENGTH: u32 = 8_388_608;

/// A column's type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
#[expect(missing_docs, reason = "the platform's own words")]
pub enum DataType {
    Number {
        precision: u8,
        scale: u8,
    },
    Float,
    Text {
        length: u32,
    },
    Char {
        length: u32,
    },
    Binary {
        length: u32,
    },
    Boolean,
    Date,
    Time {
        scale: u8,
    },
    TimestampNtz {
        scale: u8,
    },
    TimestampLtz {
        scale: u8,
    },
    TimestampTz {
        scale: u8,
    },
    Variant,
    Object,
    Array,
    Map,
    Geography,
    Geometry,
    Vector {
        element: Element,
        dimension: u32,
    },
    /// One nobody has heard of: its name in every form.
    Other(String),
}

/// What a vector is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the platform's own words")]
pub enum Element {
    Int,
    Float,
}

impl From<&str> for DataType {
    fn from(text: &str) -> Self {
        let (name, inside) = text.split_once('(').map_or((text, ""), |(name, rest)| (name, rest.trim_end_matches(')')));
        let mut numbers = inside.split(',').map(|number| number.trim().parse::<u32>().ok());
        let (first, second) = (numbers.next().flatten(), numbers.next().flatten());
        let scale = || first.unwrap_or(9).min(9) as u8;
        match name.trim().to_uppercase().as_str() {
            "NUMBER" | "DECIMAL" | "NUMERIC" | "INT" | "INTEGER" | "BIGINT" | "SMALLINT" => {
                Self::Number { precision: first.unwrap_or(38).min(38) as u8, scale: second.unwrap_or(0).min(37) as u8 }
            }
            "FLOAT" | "DOUBLE" | "REAL" => Self::Float,
            "VARCHAR" | "TEXT" | "STRING" => Self::Text { length: first.unwrap_or(TEXT_LENGTH) },
            "CHAR" => Self::Char { length: first.unwrap_or(1) },
            "BINARY" => Self::Binary { length: first.unwrap_or(BINARY_LENGTH) },
            "BOOLEAN" => Self::Boolean,
            "DATE" => Self::Date,
            "TIME" => Self::Time { scale: scale() },
            "TIMESTAMP" | "TIMESTAMP_NTZ" | "DATETIME" => Self::TimestampNtz { scale: scale() },
            "TIMESTAMP_LTZ" => Self::TimestampLtz { scale: scale() },
            "TIMESTAMP_TZ" => Self::TimestampTz { scale: scale() },
            "VARIANT" => Self::Variant,
            "OBJECT" => Self::Object,
            "ARRAY" => Self::Array,
            "MAP" => Self::Map,
            "GEOGRAPHY" => Self::Geography,
            "GEOMETRY" => Self::Geometry,
            "VECTOR" => {
                let element = if inside.trim_start().starts_with("INT") { Element::Int } else { Element::Float };
                Self::Vector { element, dimension: second.unwrap_or(1) }
            }
            _ => Self::Other(text.to_owned()),
        }
    }
}

impl From<String> for DataType {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl From<DataType> for String {
    fn from(of: DataType) -> Self {
        of.to_string()
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number { precision, scale } => write!(f, "NUMBER({precision},{scale})"),
            Self::Text { length } => write!(f, "VARCHAR({length})"),
            Self::Char { length } => write!(f, "CHAR({length})"),
            Self::Binary { length } => write!(f, "BINARY({length})"),
            Self::Time { scale }
            | Self::TimestampNtz { scale }
            | Self::TimestampLtz { scale }
            | Self::TimestampTz { scale } => write!(f, "{}({scale})", self.name()),
            Self::Vector { element: Element::Int, dimension } => write!(f, "VECTOR(INT, {dimension})"),
            Self::Vector { element: Element::Float, dimension } => write!(f, "VECTOR(FLOAT, {dimension})"),
            _ => f.write_str(self.name()),
        }
    }
}

impl DataType {
    /// `DATA_TYPE` of `INFORMATION_SCHEMA.COLUMNS`.
    pub fn name(&self) -> &str {
        match self {
            Self::Number { .. } => "NUMBER",
            Self::Float => "FLOAT",
            Self::Text { .. } | Self::Char { .. } => "TEXT",
            Self::Binary { .. } => "BINARY",
            Self::Boolean => "BOOLEAN",
            Self::Date => "DATE",
            Self::Time { .. } => "TIME",
            Self::TimestampNtz { .. } => "TIMESTAMP_NTZ",
            Self::TimestampLtz { .. } => "TIMESTAMP_LTZ",
            Self::TimestampTz { .. } => "TIMESTAMP_TZ",
            Self::Variant => "VARIANT",
            Self::Object => "OBJECT",
            Self::Array => "ARRAY",
            Self::Map => "MAP",
            Self::Geography => "GEOGRAPHY",
            Self::Geometry => "GEOMETRY",
            Self::Vector { .. } => "VECTOR",
            Self::Other(name) => name,
        }
    }

    /// `CHARACTER_MAXIMUM_LENGTH`, which binaries have as well.
    pub fn length(&self) -> Option<u32> {
        match self {
            Self::Text { length } | Self::Char { length } | Self::Binary { length } => Some(*length),
            _ => None,
        }
    }

    /// `CHARACTER_OCTET_LENGTH`.
    pub fn octets(&self) -> Option<u32> {
        match self {
            Self::Text { length } | Self::Char { length } => Some(length.saturating_mul(4).min(TEXT_LENGTH)),
            Self::Binary { length } => Some(*length),
            _ => None,
        }
    }

    /// `NUMERIC_PRECISION` and `NUMERIC_SCALE`.
    pub fn precision(&self) -> Option<(u8, u8)> {
        match self {
            Self::Number { precision, scale } => Some((*precision, *scale)),
            _ => None,
        }
    }

    /// `DATETIME_PRECISION`.
    pub fn fraction(&self) -> Option<u8> {
        match self {
            Self::Time { scale }
            | Self::TimestampNtz { scale }
            | Self::TimestampLtz { scale }
            | Self::TimestampTz { scale } => Some(*scale),
            _ => None,
        }
    }

    /// `data_type` of `SHOW COLUMNS`: JSON as text.
    pub fn json(&self, nullable: bool) -> String {
        match self {
            Self::Number { precision, scale } => {
                format!(r#"{{"type":"FIXED","precision":{precision},"scale":{scale},"nullable":{nullable}}}"#)
            }
            Self::Float => format!(r#"{{"type":"REAL","nullable":{nullable}}}"#),
            Self::Text { length } | Self::Char { length } => {
                let octets = self.octets().unwrap_or(*length);
                let fixed = matches!(self, Self::Char { .. });
                format!(
                    r#"{{"type":"TEXT","length":{length},"byteLength":{octets},"nullable":{nullable},"fixed":{fixed}}}"#
                )
            }
            Self::Binary { length } => {
                format!(
                    r#"{{"type":"BINARY","length":{length},"byteLength":{length},"nullable":{nullable},"fixed":true}}"#
                )
            }
            Self::Time { scale }
            | Self::TimestampNtz { scale }
            | Self::TimestampLtz { scale }
            | Self::TimestampTz { scale } => {
                format!(r#"{{"type":"{}","precision":0,"scale":{scale},"nullable":{nullable}}}"#, self.name())
            }
            Self::Vector { element, dimension } => {
                let element = if *element == Element::Int { "FIXED" } else { "REAL" };
                format!(
                    r#"{{"type":"VECTOR","dimension":{dimension},"vectorElementType":{{"type":"{element}","nullable":false}},"nullable":{nullable}}}"#
                )
            }
            _ => format!(r#"{{"type":{},"nullable":{nullable}}}"#, serde_json::Value::from(self.name())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::DataType;

    #[test]
    fn text_and_type_are_one() {
        for text in [
            "NUMBER(38,0)",
            "NUMBER(18,2)",
            "FLOAT",
            "VARCHAR(50)",
            "CHAR(2)",
            "BINARY(8388608)",
            "TIMESTAMP_TZ(3)",
            "TIME(9)",
            "VARIANT",
            "VECTOR(FLOAT, 256)",
            "GEOGRAPHY",
            "HOLOGRAM(3)",
        ] {
            assert_eq!(DataType::from(text).to_string(), text);
        }
        assert_eq!(DataType::from("int").to_string(), "NUMBER(38,0)");
        assert_eq!(DataType::from("string").to_string(), "VARCHAR(16777216)");
    }

    #[test]
    fn json_is_json() {
        for text in ["NUMBER(10,2)", "VARCHAR", "CHAR(3)", "BINARY", "DATE", "TIME", "VECTOR(INT, 3)", "ODD\"ONE"] {
            let json: serde_json::Value = serde_json::from_str(&DataType::from(text).json(true)).unwrap();
            assert_eq!(json["nullable"], true, "{text}");
        }
        assert_eq!(
            DataType::from("NUMBER").json(false),
            r#"{"type":"FIXED","precision":38,"scale":0,"nullable":false}"#
        );
    }
}
