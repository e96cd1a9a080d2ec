//! Dotted configuration properties, looked up in a JSON Schema as `schemars` writes it.

use serde_json::Value;

use super::{Checked, refuse};

/// References that may follow each other; more is a circle.
const MAX_REFERENCES: u8 = 32;

/// Refuses a property that the schema does not have, or that is kept as a secret.
pub(super) fn check_config(at: &str, property: &str, schema: &Value, secrets: &[String]) -> Checked {
    if secrets.iter().any(|secret| secret == property) {
        return refuse(at, format!("`{property}` is a secret: name it in `secrets`, as `secret.{property}`"));
    }
    let mut nodes = vec![schema];
    for name in property.split('.') {
        nodes = nodes.iter().flat_map(|node| children(schema, node, name, MAX_REFERENCES)).collect();
        if nodes.is_empty() {
            return refuse(at, format!("the configuration schema has no property `{property}`"));
        }
    }
    Ok(())
}

/// Every schema of the property `name` of `node`, behind references and alternatives too.
fn children<'a>(root: &'a Value, node: &'a Value, name: &str, references: u8) -> Vec<&'a Value> {
    let Some(left) = references.checked_sub(1) else { return Vec::new() };
    let mut found: Vec<&Value> = node.get("properties").and_then(|p| p.get(name)).into_iter().collect();
    let target =
        node.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix('#')).and_then(|p| root.pointer(p));
    let alternatives = ["anyOf", "oneOf", "allOf"].iter().filter_map(|key| node.get(key)).filter_map(Value::as_array);
    for other in target.into_iter().chain(alternatives.flatten()) {
        found.extend(children(root, other, name, left));
    }
    found
}
