//! A connector's configuration schema: compiled once, and answers that never repeat a value.
//!
//! The schema is the component's and not to be trusted: references may not lead in circles or multiply, nothing is
//! fetched, and patterns run in linear time, so that no payload can keep the host busy. What a payload holds may be a
//! secret, so an error names the place and what is expected there, never what was found.

use std::collections::HashMap;

use jsonschema::{PatternOptions, ValidationError, Validator, error::ValidationErrorKind};
use serde_json::Value;

use super::InvalidPayload;
use crate::connector::error::clean;

/// Most schemas in a schema, each counted as often as it is referred to.
const MAX_SCHEMAS: usize = 20_000;
/// Most errors that one payload is answered with.
const MAX_ERRORS: usize = 50;
/// Longest name that an error repeats.
const MAX_NAME: usize = 100;
/// Keywords that can make what a reference leads to depend on more than its text.
const FORBIDDEN: [&str; 6] = ["$id", "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor"];

/// A compiled schema.
#[derive(Debug)]
pub(super) struct Schema(Validator);

impl Schema {
    /// Checks and compiles a schema. The error says what is wrong with it.
    pub(super) fn compile(schema: &Value) -> Result<Self, String> {
        if !schema.is_object() {
            return Err("the configuration's schema is not an object".into());
        }
        Extent { defs: schema.get("$defs"), known: HashMap::new() }.of(schema)?;
        jsonschema::options()
            .with_pattern_options(PatternOptions::regex().size_limit(1 << 20))
            .build(schema)
            .map(Self)
            .map_err(|error| format!("the configuration's schema does not compile: {}", clean(error.to_string(), 500)))
    }

    /// What is wrong with a configuration.
    pub(super) fn errors(&self, config: &Value) -> Vec<InvalidPayload> {
        let mut found = Vec::new();
        for error in self.0.iter_errors(config) {
            explain(&error, &mut found);
            if found.len() >= MAX_ERRORS {
                found.truncate(MAX_ERRORS);
                break;
            }
        }
        found
    }
}

/// Counts how large a schema becomes when its references are followed.
struct Extent<'a> {
    defs: Option<&'a Value>,
    /// Sizes of definitions; none while one is being counted.
    known: HashMap<&'a str, Option<usize>>,
}

impl<'a> Extent<'a> {
    fn of(&mut self, value: &'a Value) -> Result<usize, String> {
        let mut size = 1_usize;
        match value {
            Value::Array(items) => {
                for item in items {
                    size += self.of(item)?;
                }
            }
            Value::Object(map) => {
                for (key, item) in map {
                    if FORBIDDEN.contains(&key.as_str()) {
                        return Err(format!("the configuration's schema uses {key}, which is not supported"));
                    }
                    size += if key == "$ref" { self.of_reference(item)? } else { self.of(item)? };
                }
            }
            _ => {}
        }
        if size > MAX_SCHEMAS {
            return Err("the configuration's schema is too large".into());
        }
        Ok(size)
    }

    fn of_reference(&mut self, reference: &'a Value) -> Result<usize, String> {
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
            say(format!("{at}/{}", property.as_str().unwrap_or_default()), "is required".into());
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
}
