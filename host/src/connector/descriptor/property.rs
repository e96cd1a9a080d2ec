//! Properties of a configuration, named by dotted paths.

use std::{fmt, str::FromStr};

use serde::Deserialize;
use serde_json::{Map, Value};

/// Where a property stands inside a configuration: names of nested objects, joined by dots when written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Property(Vec<String>);

impl Property {
    /// The value, where there is one; null is none.
    pub(crate) fn get<'a>(&self, config: &'a Value) -> Option<&'a Value> {
        self.0.iter().try_fold(config, |value, name| value.as_object()?.get(name)).filter(|value| !value.is_null())
    }

    /// Removes the value. A null is removed too, and is none.
    pub(crate) fn take(&self, config: &mut Value) -> Option<Value> {
        let (name, parents) = self.0.split_last()?;
        let parent = parents.iter().try_fold(config, |value, name| value.as_object_mut()?.get_mut(name))?;
        parent.as_object_mut()?.remove(name).filter(|value| !value.is_null())
    }

    /// Sets the value, and makes the objects on the way. Leaves alone what something else than an object stands in the
    /// way of: the schema will say so.
    pub(crate) fn set(&self, config: &mut Value, new: Value) {
        let Some((name, parents)) = self.0.split_last() else { return };
        let mut object = config;
        for parent in parents {
            let Some(map) = object.as_object_mut() else { return };
            object = map.entry(parent.clone()).or_insert_with(|| Value::Object(Map::new()));
            if object.is_null() {
                *object = Value::Object(Map::new());
            }
        }
        if let Some(map) = object.as_object_mut() {
            map.insert(name.clone(), new);
        }
    }

    /// As a JSON pointer.
    pub(crate) fn pointer(&self) -> String {
        self.0.iter().fold(String::new(), |pointer, name| pointer + "/" + name)
    }
}

impl FromStr for Property {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain = |name: &str| {
            !name.is_empty() && name.len() <= 64 && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
        };
        let names: Vec<_> = text.split('.').map(str::to_owned).collect();
        if names.len() > 8 || !names.iter().all(|name| plain(name)) {
            return Err("a property is named by at most 8 plain names joined by dots".into());
        }
        Ok(Self(names))
    }
}

impl TryFrom<String> for Property {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_set_is_found_and_can_be_taken_out() {
        let property: Property = "a.b".parse().expect("property");
        let mut config = json!({ "a": null });
        property.set(&mut config, json!("x"));
        assert_eq!(config, json!({ "a": { "b": "x" } }));
        assert_eq!(property.get(&config), Some(&json!("x")));
        assert_eq!(property.take(&mut config), Some(json!("x")));
        assert_eq!(config, json!({ "a": {} }));

        let mut other = json!({ "a": 1 });
        property.set(&mut other, json!("x"));
        assert_eq!(other, json!({ "a": 1 }));
    }

    #[test]
    fn only_plain_names_are_properties() {
        for text in ["", ".", "a..b", "a/b", "a b", "a.b.c.d.e.f.g.h.i"] {
            assert!(text.parse::<Property>().is_err(), "{text:?}");
        }
    }
}
