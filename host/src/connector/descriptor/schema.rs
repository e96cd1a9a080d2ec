//! A connector's configuration schema: compiled once, and answers that never repeat a value.
//!
//! The schema is the component's and not to be trusted: references may not lead in circles or multiply, nothing is
//! fetched, patterns are few, small and run in linear time, and it is read by the rules of one draft, so that no schema and
//! no payload can keep the host busy. What a payload holds may be a secret, so an error names the place and what is expected
//! there, never what was found.

use std::collections::HashMap;

use jsonschema::{Draft, PatternOptions, ValidationError, Validator, error::ValidationErrorKind};
use serde_json::Value;

use super::InvalidPayload;
use crate::connector::error::clean;

/// The draft that schemas are read by. Under others, other keywords change what a reference leads to.
const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";
/// Most of each in a schema, counted as often as it is referred to.
const MAX: Size = Size { schemas: 2_000, patterns: 64, lookbacks: 4 };
/// Longest pattern.
const MAX_PATTERN: usize = 1024;
/// Bytes of a compiled pattern.
const MAX_COMPILED: usize = 64 << 10;
/// Most values of a configuration.
const MAX_VALUES: usize = 10_000;
/// Values times schemas, up to which it is told what is wrong: each of the one may be wrong by each of the other.
const MAX_WORK: usize = 500_000;
/// Most errors that one payload is answered with.
const MAX_ERRORS: usize = 50;
/// Longest name that an error repeats.
const MAX_NAME: usize = 100;
/// Keywords that can make what a reference leads to depend on more than its text.
const FORBIDDEN: [&str; 6] = ["$id", "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor"];
/// Keywords that look once more at what others have looked at: nested, they double the work each time.
const LOOKBACKS: [&str; 2] = ["unevaluatedProperties", "unevaluatedItems"];

/// A compiled schema.
#[derive(Debug)]
pub(super) struct Schema {
    validator: Validator,
    size: usize,
}

impl Schema {
    /// Checks and compiles a schema. The error says what is wrong with it.
    pub(super) fn compile(schema: &Value) -> Result<Self, String> {
        if !schema.is_object() {
            return Err("the configuration's schema is not an object".into());
        }
        let size = Extent { defs: schema.get("$defs"), known: HashMap::new() }.of(schema)?.schemas;
        jsonschema::options()
            .with_draft(Draft::Draft202012)
            .with_pattern_options(PatternOptions::regex().size_limit(MAX_COMPILED).dfa_size_limit(MAX_COMPILED))
            .build(schema)
            .map(|validator| Self { validator, size })
            .map_err(|error| format!("the configuration's schema does not compile: {}", clean(error.to_string(), 500)))
    }

    /// What is wrong with a configuration.
    pub(super) fn errors(&self, config: &Value) -> Vec<InvalidPayload> {
        let whole = |message: &str| vec![InvalidPayload { pointer: String::new(), message: message.into() }];
        let mut left = MAX_VALUES;
        if !count(config, &mut left) {
            return whole("has too many values");
        }
        // The walk over errors keeps them before it tells the first, so it is for what is wrong only, and small.
        if self.validator.is_valid(config) {
            return Vec::new();
        }
        if (MAX_VALUES - left).saturating_mul(self.size) > MAX_WORK {
            return whole("does not fit the connector's schema, and is too large to be told why");
        }
        let mut found = Vec::new();
        for error in self.validator.iter_errors(config).take(MAX_ERRORS) {
            explain(&error, &mut found);
            if found.len() >= MAX_ERRORS {
                found.truncate(MAX_ERRORS);
                break;
            }
        }
        found
    }
}

/// Counts the values in a value down from what may be there; false where there are more.
fn count(value: &Value, left: &mut usize) -> bool {
    let Some(less) = left.checked_sub(1) else { return false };
    *left = less;
    match value {
        Value::Array(items) => items.iter().all(|item| count(item, left)),
        Value::Object(map) => map.values().all(|item| count(item, left)),
        _ => true,
    }
}

/// How large a schema is.
#[derive(Clone, Copy, Default)]
struct Size {
    schemas: usize,
    patterns: usize,
    lookbacks: usize,
}

impl Size {
    fn add(&mut self, other: Self) -> Result<(), String> {
        self.schemas += other.schemas;
        self.patterns += other.patterns;
        self.lookbacks += other.lookbacks;
        match self {
            Self { schemas, .. } if *schemas > MAX.schemas => Err("the configuration's schema is too large".into()),
            Self { patterns, .. } if *patterns > MAX.patterns => {
                Err(format!("the configuration's schema has more than {} patterns", MAX.patterns))
            }
            Self { lookbacks, .. } if *lookbacks > MAX.lookbacks => Err(format!(
                "the configuration's schema says more than {} times {}",
                MAX.lookbacks,
                LOOKBACKS.join(" or ")
            )),
            _ => Ok(()),
        }
    }

    fn pattern(text: &str) -> Result<Self, String> {
        if text.len() > MAX_PATTERN {
            return Err(format!("a pattern in the configuration's schema has more than {MAX_PATTERN} bytes"));
        }
        Ok(Self { patterns: 1, ..Self::default() })
    }
}

/// Counts how large a schema becomes when its references are followed.
struct Extent<'a> {
    defs: Option<&'a Value>,
    /// Sizes of definitions; none while one is being counted.
    known: HashMap<&'a str, Option<Size>>,
}

impl<'a> Extent<'a> {
    fn of(&mut self, value: &'a Value) -> Result<Size, String> {
        let mut size = Size { schemas: 1, ..Size::default() };
        match value {
            Value::Array(items) => {
                for item in items {
                    size.add(self.of(item)?)?;
                }
            }
            Value::Object(map) => {
                for (key, item) in map {
                    size.add(self.of_keyword(key, item)?)?;
                }
            }
            _ => {}
        }
        Ok(size)
    }

    /// What stands under a name, which may be a keyword: wherever it could be one, it is taken for one.
    fn of_keyword(&mut self, key: &'a str, item: &'a Value) -> Result<Size, String> {
        if FORBIDDEN.contains(&key) {
            return Err(format!("the configuration's schema uses {key}, which is not supported"));
        }
        let mut size = match (key, item) {
            ("$schema", _) if item != DRAFT => {
                return Err(format!("the configuration's schema names another $schema than {DRAFT}"));
            }
            ("$ref", _) => return self.of_reference(item),
            ("pattern", Value::String(text)) => Size::pattern(text)?,
            ("patternProperties", Value::Object(patterns)) => {
                let mut size = Size::default();
                for text in patterns.keys() {
                    size.add(Size::pattern(text)?)?;
                }
                size
            }
            (key, _) if LOOKBACKS.contains(&key) => Size { lookbacks: 1, ..Size::default() },
            _ => Size::default(),
        };
        size.add(self.of(item)?)?;
        Ok(size)
    }

    fn of_reference(&mut self, reference: &'a Value) -> Result<Size, String> {
        let name = reference
            .as_str()
            .and_then(|text| text.strip_prefix("#/$defs/"))
            .filter(|name| !name.contains(['/', '~', '%']))
            .ok_or("a reference in the configuration's schema must lead to its own `#/$defs/…`")?;
        let target = self
            .defs
            .and_then(|defs| defs.get(name))
            .ok_or("a reference in the configuration's schema leads nowhere")?;
        match self.known.insert(name, None) {
            Some(Some(size)) => {
                self.known.insert(name, Some(size));
                Ok(size)
            }
            Some(None) => Err("the configuration's schema refers to itself in a circle".into()),
            None => {
                let size = self.of(target)?;
                self.known.insert(name, Some(size));
                Ok(size)
            }
        }
    }
}

/// Says what an error means, in words that hold nothing of the payload but names of fields.
fn explain(error: &ValidationError<'_>, found: &mut Vec<InvalidPayload>) {
    let at = clean(error.instance_path().to_string(), 10 * MAX_NAME);
    let mut say = |pointer: String, message: String| found.push(InvalidPayload { pointer, message });
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            for name in unexpected.iter().take(MAX_ERRORS) {
                let name = clean(name.clone(), MAX_NAME);
                say(format!("{at}/{name}"), "there is no such field".into());
            }
        }
        ValidationErrorKind::Required { property } => {
            let name = clean(property.as_str().unwrap_or_default().to_owned(), MAX_NAME);
            say(format!("{at}/{name}"), "is required".into());
        }
        ValidationErrorKind::AnyOf { context }
        | ValidationErrorKind::OneOfNotValid { context }
        | ValidationErrorKind::OneOfMultipleValid { context } => match nearest(context) {
            Some(branch) => branch.iter().for_each(|error| explain(error, found)),
            None => say(at, "matches none of the accepted forms".into()),
        },
        // The text of the others says what is expected; values are masked in it.
        _ => say(at, clean(error.masked_with("the value").to_string(), 500)),
    }
}

/// The alternative that was missed by least: the one whose errors are fewest, and, where as many, deepest.
fn nearest<'a>(context: &'a [Vec<ValidationError<'static>>]) -> Option<&'a Vec<ValidationError<'static>>> {
    let depth = |branch: &[ValidationError<'static>]| {
        branch.iter().map(|e| e.instance_path().as_str().matches('/').count()).max().unwrap_or(0)
    };
    // An optional property is "its schema or null": that it is not null is no help.
    let is_null = |branch: &[ValidationError<'static>]| {
        branch.len() == 1
            && matches!(branch[0].kind(), ValidationErrorKind::Type { .. })
            && branch[0].masked().to_string().contains("\"null\"")
    };
    let useful = context.iter().filter(|branch| !branch.is_empty());
    useful.min_by_key(|branch| (is_null(branch), branch.len(), std::cmp::Reverse(depth(branch))))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(schema: &Value, config: &Value, expect: &[(&str, &str)]) {
        let errors = Schema::compile(schema).expect("schema").errors(config);
        assert_eq!(errors.len(), expect.len(), "{errors:?}");
        for (error, (pointer, part)) in errors.iter().zip(expect) {
            assert_eq!(error.pointer, *pointer);
            assert!(error.message.contains(part), "{error}");
            assert!(!error.to_string().contains("hunter2"), "a value is repeated: {error}");
        }
    }

    #[test]
    fn errors_name_the_place_and_never_the_value() {
        let schema = json!({
            "type": "object",
            "properties": {
                "kind": { "enum": ["a", "b"] },
                "port": { "type": "integer", "maximum": 65535 },
                "nested": { "anyOf": [{ "$ref": "#/$defs/Nested" }, { "type": "null" }] },
                "word": { "type": "string", "pattern": "^x+$" }
            },
            "required": ["kind"],
            "additionalProperties": false,
            "$defs": {
                "Nested": {
                    "type": "object",
                    "properties": { "id": { "type": "string" } },
                    "required": ["id"],
                    "additionalProperties": false
                }
            }
        });
        check(&schema, &json!({ "kind": "a", "nested": null }), &[]);
        check(&schema, &json!({}), &[("/kind", "is required")]);
        check(&schema, &json!({ "kind": "hunter2" }), &[("/kind", "is not one of")]);
        check(&schema, &json!({ "kind": "a", "port": "hunter2" }), &[("/port", "is not of type \"integer\"")]);
        check(&schema, &json!({ "kind": "a", "hunter": "hunter2" }), &[("/hunter", "no such field")]);
        check(&schema, &json!({ "kind": "a", "word": "hunter2" }), &[("/word", "does not match")]);
        check(&schema, &json!({ "kind": "a", "nested": { "id": 7 } }), &[("/nested/id", "is not of type \"string\"")]);
        check(&schema, &json!({ "kind": "a", "nested": "hunter2" }), &[("/nested", "is not of type \"object\"")]);
    }

    #[test]
    fn a_hostile_schema_is_refused() {
        for (schema, part) in [
            (json!(true), "not an object"),
            (json!({ "$ref": "#" }), "must lead to"),
            (json!({ "$ref": "https://example.org/schema" }), "must lead to"),
            (json!({ "$ref": "#/$defs/none" }), "nowhere"),
            (json!({ "$ref": "#/$defs/a", "$defs": { "a": { "not": { "$ref": "#/$defs/a" } } } }), "circle"),
            (json!({ "$id": "urn:x" }), "$id"),
            (json!({ "type": "nonsense" }), "does not compile"),
            (json!({ "pattern": "(" }), "does not compile"),
        ] {
            let error = Schema::compile(&schema).expect_err("hostile");
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn references_cannot_multiply() {
        let mut defs = serde_json::Map::new();
        for i in 0..40 {
            let next = format!("#/$defs/d{}", i + 1);
            defs.insert(format!("d{i}"), json!({ "allOf": [{ "$ref": next }, { "$ref": next }] }));
        }
        defs.insert("d40".into(), json!({ "type": "string" }));
        let error = Schema::compile(&json!({ "$ref": "#/$defs/d0", "$defs": defs })).expect_err("2^40");
        assert!(error.contains("too large"), "{error}");
    }

    #[test]
    fn patterns_are_few_small_and_counted_as_often_as_they_are_referred_to() {
        // Each of these takes a megabyte once it is compiled.
        let error = Schema::compile(&json!({ "pattern": r"\p{L}{24}0" })).expect_err("large");
        assert!(error.contains("does not compile"), "{error}");
        let error = Schema::compile(&json!({ "pattern": "x".repeat(1025) })).expect_err("long");
        assert!(error.contains("1024 bytes"), "{error}");
        let many: Value = (0..65).map(|i| json!({ "pattern": format!("^{i}$") })).collect();
        let keys: serde_json::Map<_, _> = (0..65).map(|i| (format!("^{i}$"), json!(true))).collect();
        let defs = json!({ "w": { "pattern": "^a$" } });
        let referred = json!({ "allOf": vec![json!({ "$ref": "#/$defs/w" }); 65], "$defs": defs });
        for schema in [json!({ "allOf": many }), json!({ "patternProperties": keys }), referred] {
            let error = Schema::compile(&schema).expect_err("many");
            assert!(error.contains("more than 64 patterns"), "{error}");
        }
        let few: Value = (0..64).map(|i| json!({ "not": { "pattern": format!("^[a-z]{{1,63}}{i}$") } })).collect();
        check(&json!({ "properties": { "pattern": { "allOf": few } } }), &json!({ "pattern": "b" }), &[]);
    }

    #[test]
    fn a_schema_is_read_by_one_draft() {
        let draft_4 = "http://json-schema.org/draft-04/schema#";
        // There, `id` makes these references lead to the definitions beside it: two to the power of 40.
        let mut defs = serde_json::Map::new();
        for i in 0..40 {
            let next = format!("#/$defs/d{}", i + 1);
            defs.insert(format!("d{i}"), json!({ "allOf": [{ "$ref": next }, { "$ref": next }] }));
        }
        defs.insert("d40".into(), json!({ "type": "string" }));
        let inner = json!({ "id": "urn:x", "$ref": "#/$defs/d0", "$defs": defs });
        let outer: serde_json::Map<_, _> = (0..41).map(|i| (format!("d{i}"), json!({ "type": "string" }))).collect();
        let hostile = json!({ "properties": { "p": inner }, "$defs": outer });
        let mut named = hostile.clone();
        named["$schema"] = json!(draft_4);
        let mut nested = hostile.clone();
        nested["properties"]["p"]["$schema"] = json!(draft_4);
        for schema in [named, nested, json!({ "$schema": { "type": "string" } })] {
            let error = Schema::compile(&schema).expect_err("another draft");
            assert!(error.contains("another $schema"), "{error}");
        }
        // Read by the one draft, the same refers to what was counted.
        let mut plain = hostile;
        plain["properties"]["p"].as_object_mut().expect("object").remove("$defs");
        plain["$schema"] = json!(DRAFT);
        check(&plain, &json!({ "p": 1 }), &[("/p", "string")]);
    }

    #[test]
    fn looking_back_does_not_double_without_end() {
        let mut schema = json!({ "properties": { "a": true } });
        for _ in 0..30 {
            schema = json!({ "anyOf": [schema], "unevaluatedProperties": false });
        }
        let error = Schema::compile(&schema).expect_err("2^30");
        assert!(error.contains("unevaluatedProperties"), "{error}");
    }

    #[test]
    fn a_large_payload_costs_no_more_than_it_may() {
        let schema = json!({ "additionalProperties": { "items": {
            "allOf": (0..600).map(|i| json!({ "const": i })).collect::<Value>()
        } } });
        let schema = Schema::compile(&schema).expect("schema");
        let told = |values: usize| schema.errors(&json!({ "p": vec![0; values] }));
        assert_eq!(told(1).len(), MAX_ERRORS);
        let error = told(5000);
        assert!(error.len() == 1 && error[0].message.contains("too large to be told why"), "{error:?}");
        let error = told(MAX_VALUES);
        assert!(error.len() == 1 && error[0].message.contains("too many values"), "{error:?}");
    }
}
