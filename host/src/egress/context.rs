//! What templates stand for in one connection: its configuration, its secrets, what the recipe derives from them, and
//! what the platform issued.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use zeroize::Zeroizing;

use super::{
    error::{SendError, SendErrorKind},
    recipe::Let,
    scope::glob,
    template::{Known, Lookup, Path, RenderError, Rendered, Template},
    vault::Secrets,
};

/// The values of a connection.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) origin: String,
    pub(super) config: Value,
    pub(super) secrets: Secrets,
    /// What the recipe derives, made once; what has no value is not in it.
    lets: BTreeMap<String, Known>,
}

impl Context {
    /// The values of a connection, with those that the recipe derives from them.
    pub(super) fn new(origin: String, config: Value, secrets: Secrets, lets: &BTreeMap<String, Let>) -> Self {
        let mut context = Self { origin, config, secrets, lets: BTreeMap::new() };
        let mut settled: BTreeSet<&str> = BTreeSet::new();
        let mut open: Vec<(&String, &Let)> = lets.iter().collect();
        // Each once, after those that it names. What is left over names itself (install has refused that) and has no
        // value.
        loop {
            let before = open.len();
            open.retain(|(name, value)| {
                let ready = value.paths().into_iter().all(|path| match path {
                    Path::Let(other) => settled.contains(other.as_str()) || !lets.contains_key(other),
                    _ => true,
                });
                if ready {
                    if let Some(known) = context.derived(value) {
                        context.lets.insert((*name).clone(), known);
                    }
                    settled.insert(name);
                }
                !ready
            });
            if open.len() == before {
                return context;
            }
        }
    }

    /// The same connection with another secret in the place of one.
    pub(super) fn with_secret(&self, property: &str, value: Zeroizing<String>, lets: &BTreeMap<String, Let>) -> Self {
        let mut secrets = self.secrets.clone();
        secrets.0.insert(property.to_owned(), value);
        Self::new(self.origin.clone(), self.config.clone(), secrets, lets)
    }

    fn derived(&self, value: &Let) -> Option<Known> {
        let template = match value {
            Let::Plain(template) => template,
            Let::Cases(cases) => {
                let of = cases.of.render(self).ok()?;
                &cases.cases.iter().find(|(pattern, _)| glob(pattern, &of.text))?.1
            }
        };
        let rendered = template.render(self).ok()?;
        Some(Known { secret: !rendered.secrets.is_empty(), text: rendered.text })
    }
}

impl Lookup for Context {
    fn value(&self, path: &Path) -> Option<Known> {
        let open = |text: String| Known { text: Zeroizing::new(text), secret: false };
        match path {
            Path::Config(name) => property(&self.config, name).map(open),
            Path::Secret(name) => self.secrets.0.get(name).map(|text| Known { text: text.clone(), secret: true }),
            Path::Let(name) => self.lets.get(name).cloned(),
            Path::ConnectionOrigin => Some(open(self.origin.clone())),
            Path::Uuid => Some(open(uuid::Uuid::new_v4().to_string())),
            Path::Grant(_) | Path::KeyFingerprint => None,
        }
    }
}

/// Values that a platform issued, by their names in the recipe.
pub(super) type Grants = BTreeMap<String, Known>;

/// The values of a connection together with its grants.
pub(super) struct With<'a> {
    pub(super) context: &'a Context,
    pub(super) grants: &'a Grants,
}

impl With<'_> {
    /// Puts the values in; what is missing makes the configuration invalid.
    pub(super) fn render(&self, template: &Template) -> Result<Rendered, SendError> {
        template.render(self).map_err(|error| Self::explain(&error))
    }

    /// Why a template has no value: the configuration is invalid.
    pub(super) fn explain(error: &RenderError) -> SendError {
        let text = match error {
            RenderError::Missing(path) => format!("authentication needs `{path}`, which has no value"),
            RenderError::TooLong => error.to_string(),
        };
        SendError::new(SendErrorKind::InvalidConfig, text)
    }

    /// Values with their keys; a key that ends in `?` goes when its value is empty or missing.
    pub(super) fn pairs(
        &self,
        templates: &BTreeMap<String, Template>,
    ) -> Result<Vec<(String, Zeroizing<String>)>, SendError> {
        let mut pairs = Vec::with_capacity(templates.len());
        for (key, template) in templates {
            match key.strip_suffix('?') {
                None => pairs.push((key.clone(), self.render(template)?.text)),
                Some(key) => {
                    if let Ok(value) = template.render(self)
                        && !value.text.is_empty()
                    {
                        pairs.push((key.to_owned(), value.text));
                    }
                }
            }
        }
        Ok(pairs)
    }

    /// JSON whose strings are templates.
    pub(super) fn json(&self, value: &Value) -> Result<Value, SendError> {
        Ok(match value {
            Value::String(text) => {
                let template: Template = text
                    .parse()
                    .map_err(|_| SendError::new(SendErrorKind::InvalidConfig, "the recipe is not valid"))?;
                Value::String(self.render(&template)?.text.to_string())
            }
            Value::Array(items) => Value::Array(items.iter().map(|item| self.json(item)).collect::<Result<_, _>>()?),
            Value::Object(map) => {
                let mut out = serde_json::Map::new();
                for (key, item) in map {
                    let item = self.json(item)?;
                    match key.strip_suffix('?') {
                        Some(_) if item == "" || item.is_null() => {}
                        Some(key) => drop(out.insert(key.to_owned(), item)),
                        None => drop(out.insert(key.clone(), item)),
                    }
                }
                Value::Object(out)
            }
            other => other.clone(),
        })
    }

    /// Everything secret that can be named, stored, derived or issued.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &str> {
        let known = self.context.lets.values().chain(self.grants.values());
        let stored = self.context.secrets.0.values().map(|secret| secret.as_str());
        known.filter(|known| known.secret).map(|known| known.text.as_str()).chain(stored)
    }
}

impl Lookup for With<'_> {
    fn value(&self, path: &Path) -> Option<Known> {
        match path {
            Path::Grant(name) => self.grants.get(name).cloned(),
            other => self.context.value(other),
        }
    }
}

/// A value of the configuration by its dotted path, as text; none where it is missing or has no text form.
pub(super) fn property(config: &Value, path: &str) -> Option<String> {
    scalar(path.split('.').try_fold(config, |node, name| node.get(name))?)
}

/// The text of a string, a number or a truth value.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(lets: Value) -> Context {
        Context::new(
            "https://h.example".into(),
            serde_json::json!({"host": "ab.global.example", "user": "me", "deep": {"port": 443, "on": true, "none": null}}),
            Secrets([("oAuth.clientSecret".to_owned(), Zeroizing::new("canary".to_owned()))].into()),
            &serde_json::from_value(lets).unwrap(),
        )
    }

    fn render(context: &Context, source: &str) -> Result<Rendered, SendError> {
        With { context, grants: &Grants::new() }.render(&source.parse().unwrap())
    }

    #[test]
    fn derived_values_choose_by_glob_and_carry_secrecy() {
        let context = context(serde_json::json!({
            "account": {"of": "{{ config.host }}", "cases": [
                ["*.global.*", "{{ config.host|before('.')|upper }}-G"], ["*", "{{ config.host }}"]]},
            "both": "{{ let.account }}/{{ config.user|upper }}",
            "hidden": "x{{ secret.oAuth.clientSecret }}",
            "circle": "{{ let.circle }}",
        }));
        let text = |source: &str| render(&context, source).unwrap().text.to_string();
        assert_eq!(text("{{ let.both }}"), "AB-G/ME");
        assert_eq!(text("{{ config.deep.port }} {{ config.deep.on }}"), "443 true");
        assert_eq!(text("{{ config.deep.none|default('d') }}{{ config.deep|default('o') }}"), "do");
        let hidden = render(&context, "{{ let.hidden }}").unwrap();
        assert_eq!(hidden.secrets[0].as_str(), "xcanary");
        assert!(render(&context, "{{ let.circle }}").is_err());
        assert_ne!(text("{{ uuid }}"), text("{{ uuid }}"));
    }

    #[test]
    fn derived_values_are_made_once_however_often_they_are_named() {
        // Each names the next one eight times and keeps nothing of it: 8^63 lookups, were they made again each time.
        let mut lets = serde_json::Map::new();
        for n in 0..63 {
            lets.insert(format!("l{n:02}"), format!("{{{{ let.l{:02}|after('x') }}}}", n + 1).repeat(8).into());
        }
        lets.insert("l63".into(), "end".into());
        assert_eq!(render(&context(lets.into()), "<{{ let.l00 }}>").unwrap().text.as_str(), "<>");
    }

    #[test]
    fn what_is_missing_is_named_without_values() {
        let context = context(serde_json::json!({}));
        let error = render(&context, "{{ secret.oAuth.clientSecret }}{{ config.nothing }}").unwrap_err();
        assert_eq!(error.kind, SendErrorKind::InvalidConfig);
        assert_eq!(error.message, "authentication needs `config.nothing`, which has no value");
    }

    #[test]
    fn optional_keys_go_when_they_are_empty() {
        let context = context(serde_json::json!({}));
        let with = With { context: &context, grants: &Grants::new() };
        let templates: BTreeMap<String, Template> = serde_json::from_value(serde_json::json!({
            "a": "{{ config.user }}", "b?": "{{ config.nothing }}", "c?": "{{ config.none|default('') }}", "d?": "x"}))
        .unwrap();
        let pairs: Vec<_> = with.pairs(&templates).unwrap().into_iter().map(|(k, v)| format!("{k}={}", *v)).collect();
        assert_eq!(pairs, ["a=me", "d=x"]);
        let json =
            serde_json::json!({"x": ["{{ config.user }}", 1, null], "y?": "{{ config.n|default('') }}", "z": {}});
        assert_eq!(with.json(&json).unwrap(), serde_json::json!({"x": ["me", 1, null], "z": {}}));
    }
}
