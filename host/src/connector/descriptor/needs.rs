//! Which properties a recipe cannot do without: found in the text of its templates.
//!
//! A property that a template names without a default must be there, or the recipe cannot run. Who registers a
//! connection hears of it at once, in the words of the payload, instead of from a failed attempt to authenticate.

use std::collections::BTreeSet;

use serde_json::Value;

use super::property::Property;

/// Properties that a recipe cannot do without. A key that ends in `?` and an alternative of several URLs may be empty.
pub(super) fn of_recipe(recipe: &Value) -> Vec<Property> {
    let mut found = BTreeSet::new();
    required(recipe, &mut found);
    found.into_iter().collect()
}

fn required(value: &Value, found: &mut BTreeSet<Property>) {
    match value {
        Value::String(text) => found.extend(templates(text).filter(|t| !t.contains("default")).flat_map(properties)),
        Value::Array(items) => items.iter().for_each(|item| required(item, found)),
        Value::Object(map) => {
            // A key is named without braces. (Its passphrase is needed only if it is encrypted.)
            if let Some(pem) = map.get("jwt").and_then(|jwt| jwt.pointer("/key/pem")).and_then(Value::as_str) {
                found.extend(pem.parse::<Property>());
            }
            for (key, item) in map {
                let optional = key.ends_with('?') || (key == "url" && item.is_array());
                if !optional {
                    required(item, found);
                }
            }
        }
        _ => {}
    }
}

/// The insides of the templates of a text.
fn templates(text: &str) -> impl Iterator<Item = &str> {
    text.split("{{").skip(1).filter_map(|rest| rest.split_once("}}")).map(|(inside, _)| inside)
}

/// The configuration and secret properties that a template names.
fn properties(template: &str) -> impl Iterator<Item = Property> {
    template
        .split(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c)))
        .filter_map(|word| word.strip_prefix("config.").or_else(|| word.strip_prefix("secret.")))
        .filter_map(|path| path.parse().ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(properties: &[Property]) -> Vec<String> {
        properties.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_has_no_default_is_needed() {
        let recipe = json!({
            "id": "m2m",
            "acquire": [{ "exchange": {
                "url": ["{{ config.authorityUrl }}", "{{ connection.origin }}/token"],
                "basic": { "user": "{{ config.client.id }}", "password": "{{secret.client.secret}}" },
                "form": { "scope?": "{{ config.scope }}", "audience": "{{ config.audience|default('x') }}" }
            } }]
        });
        assert_eq!(shown(&of_recipe(&recipe)), ["client.id", "client.secret"]);
    }

    #[test]
    fn a_key_is_needed_and_its_passphrase_is_not() {
        let recipe = json!({
            "id": "key",
            "secrets": ["key.content", "phrase"],
            "acquire": [{ "jwt": {
                "alg": "RS256",
                "key": { "pem": "key.content", "passphrase": "phrase" },
                "claims": { "sub": "{{ config.user }}.{{ key.spki_sha256 }}" },
                "ttl": 60,
                "as": "token"
            } }],
            "renew": { "exchange": { "take": { "refresh": { "at": "/x", "persist": "phrase" } } } }
        });
        assert_eq!(shown(&of_recipe(&recipe)), ["key.content", "user"]);
    }
}
