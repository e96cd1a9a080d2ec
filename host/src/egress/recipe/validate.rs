//! Whether a recipe means something, checked when its connector is installed.
//!
//! What is refused here: values that nothing defines, secrets on their way into a URL, headers that are the
//! transport's, and what this host cannot do. Which hosts may be reached is not decided here but by the operator
//! ([`super::foreign_origins`]).

mod condition;
mod exchange;
mod jwt;
mod property;
mod target;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Action, Apply, ExchangeStep, Let, Lifetime, Recipe, Seconds, Step};
pub(in crate::egress) use target::METHODS;

use crate::egress::{
    header,
    template::{Path, Template},
};

/// What is wrong with a recipe, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {message}")]
pub struct InvalidRecipe {
    /// Dotted place in the recipe.
    pub at: String,
    /// What is wrong and what is expected.
    pub message: String,
}

/// Values that a recipe may derive.
const MAX_LETS: usize = 64;

/// Configuration properties that a recipe may use, and secrets.
const MAX_PROPERTIES: usize = 64;

/// Longest id of a method.
const MAX_ID: usize = 64;

type Checked = Result<(), InvalidRecipe>;

fn refuse<T>(at: impl Into<String>, message: impl Into<String>) -> Result<T, InvalidRecipe> {
    Err(InvalidRecipe { at: at.into(), message: message.into() })
}

impl Recipe {
    /// Checks the recipe against the connector's configuration schema and the dotted paths of its secrets.
    pub fn validate(&self, schema: &Value, secrets: &[String]) -> Result<(), InvalidRecipe> {
        // It begins every line that people approve.
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if self.id.is_empty() || self.id.len() > MAX_ID || !self.id.bytes().all(plain) {
            return refuse("id", "it has 1 to 64 letters, digits, `-`, `_` and `.`");
        }
        let mut known = Known::of(self, schema, secrets)?;
        for (index, step) in self.acquire.iter().enumerate() {
            match step {
                Step::Jwt(jwt) => {
                    jwt::check(jwt, &format!("acquire[{index}].jwt"), &known)?;
                    known.grants.insert(jwt.name.clone(), true);
                }
                Step::Exchange(exchange) => {
                    exchange::check(exchange, &format!("acquire[{index}].exchange"), &known)?;
                    known.grants.extend(exchange.take.iter().map(|(name, take)| (name.clone(), take.secret)));
                }
            }
        }
        self.check_upkeep(&known)?;
        if let Some(lifetime) = &self.lifetime {
            check_lifetime(lifetime, self, &known)?;
        }
        check_apply(&self.apply, &known)?;
        condition::check_all("expired", &self.expired)?;
        condition::check_all("rejected", &self.rejected)?;
        if !self.expired.is_empty() && self.acquire.is_empty() {
            return refuse("expired", "there is nothing to acquire: say `rejected` instead");
        }
        if self.rejected.iter().any(|condition| condition.action.is_some()) {
            return refuse("rejected", "`do` belongs to `expired`");
        }
        Ok(())
    }

    /// Renewal and release work with what all steps of `acquire` have taken.
    fn check_upkeep(&self, known: &Known<'_>) -> Checked {
        for (at, step) in [("renew", &self.renew), ("release", &self.release)] {
            let Some(ExchangeStep { exchange }) = step else { continue };
            if self.acquire.is_empty() {
                return refuse(at, "there is nothing to acquire");
            }
            exchange::check(exchange, &format!("{at}.exchange"), known)?;
        }
        let renewed = self.renew.iter().flat_map(|step| &step.exchange.take);
        for (name, take) in renewed {
            if known.grants.get(name).is_some_and(|secret| *secret != take.secret) {
                let at = format!("renew.exchange.take.{name}.secret");
                return refuse(at, "it must be the same as where the value is first taken");
            }
        }
        if self.release.as_ref().is_some_and(|step| !step.exchange.take.is_empty()) {
            return refuse("release.exchange.take", "what is given back leaves nothing to take");
        }
        if self.renew.is_none() && self.expired.iter().any(|condition| condition.action == Some(Action::Renew)) {
            return refuse("expired", "the recipe does not say how to `renew`");
        }
        // A key is opened once; what replaces it would never be looked at.
        let keys = self.acquire.iter().filter_map(|step| match step {
            Step::Jwt(jwt) => Some(&jwt.key),
            Step::Exchange(_) => None,
        });
        let persisted = self.persisted();
        for property in keys.flat_map(|key| [Some(&key.pem), key.passphrase.as_ref()]).flatten() {
            if persisted.contains(property.as_str()) {
                return refuse("acquire", format!("`{property}` is a key: `persist` cannot replace it"));
            }
        }
        Ok(())
    }
}

/// What the templates of a recipe may name.
struct Known<'a> {
    config: BTreeSet<&'a str>,
    secrets: BTreeSet<&'a str>,
    /// Name and whether it holds a secret.
    lets: BTreeMap<&'a str, bool>,
    grants: BTreeMap<String, bool>,
}

impl<'a> Known<'a> {
    fn of(recipe: &'a Recipe, schema: &Value, secrets: &[String]) -> Result<Self, InvalidRecipe> {
        for (at, list) in [("config", &recipe.config), ("secrets", &recipe.secrets)] {
            if list.len() > MAX_PROPERTIES {
                return refuse(at, format!("at most {MAX_PROPERTIES} properties can be named"));
            }
        }
        for property in &recipe.config {
            property::check_config("config", property, schema, secrets)?;
        }
        for property in &recipe.secrets {
            if !secrets.contains(property) {
                return refuse("secrets", format!("the descriptor's `secrets` do not name `{property}`"));
            }
        }
        let mut known = Self {
            config: recipe.config.iter().map(String::as_str).collect(),
            secrets: recipe.secrets.iter().map(String::as_str).collect(),
            lets: BTreeMap::new(),
            grants: BTreeMap::new(),
        };
        known.add_lets(&recipe.lets)?;
        Ok(known)
    }

    /// Adds the derived values whose own values are known, until all are: what is left over names itself or nothing.
    fn add_lets(&mut self, lets: &'a BTreeMap<String, Let>) -> Checked {
        if lets.len() > MAX_LETS {
            return refuse("let", format!("at most {MAX_LETS} values can be derived"));
        }
        let mut open: Vec<(&String, &Let)> = lets.iter().collect();
        while !open.is_empty() {
            let before = open.len();
            let mut first_problem = None;
            open.retain(|(name, value)| match self.check_let(name, value) {
                Ok(secret) => {
                    self.lets.insert(name, secret);
                    false
                }
                Err(problem) => {
                    first_problem.get_or_insert(problem);
                    true
                }
            });
            if let (true, Some(problem)) = (open.len() == before, first_problem) {
                return Err(problem);
            }
        }
        Ok(())
    }

    fn check_let(&self, name: &str, value: &Let) -> Result<bool, InvalidRecipe> {
        let at = format!("let.{name}");
        let mut secret = false;
        for path in value.paths() {
            if matches!(path, Path::Grant(_) | Path::Uuid) {
                return refuse(at, format!("{path} is not there when derived values are made"));
            }
            secret |= self.is_secret(&at, path)?;
        }
        Ok(secret)
    }

    /// Whether a path stands for a secret; refuses it when it stands for nothing.
    fn is_secret(&self, at: &str, path: &Path) -> Result<bool, InvalidRecipe> {
        let undefined = |list: &str| refuse(at, format!("`{path}` is not defined: {list}"));
        match path {
            Path::Config(name) if self.config.contains(name.as_str()) => Ok(false),
            Path::Config(_) => undefined("the recipe's `config` does not name it"),
            Path::Secret(name) if self.secrets.contains(name.as_str()) => Ok(true),
            Path::Secret(_) => undefined("the recipe's `secrets` do not name it"),
            Path::Let(name) => match self.lets.get(name.as_str()) {
                Some(secret) => Ok(*secret),
                None => undefined("`let` does not define it, or only by way of itself"),
            },
            Path::Grant(name) => match self.grants.get(name) {
                Some(secret) => Ok(*secret),
                None => undefined("no step before takes it"),
            },
            Path::ConnectionOrigin | Path::Uuid => Ok(false),
            Path::KeyFingerprint => undefined("it exists only inside the claims of a `jwt`"),
        }
    }

    /// Whether a secret goes into the template; refuses it when it names what is not there.
    fn mentions_secret(&self, at: &str, template: &Template) -> Result<bool, InvalidRecipe> {
        template.paths().try_fold(false, |found, path| Ok(self.is_secret(at, path)? || found))
    }

    /// For headers that carry a credential: what was issued for them must have been marked, or it could be shown.
    fn check_header(&self, at: &str, name: &str, template: &Template) -> Checked {
        if !header::may_be_set_by_recipe(name) {
            return refuse(at, "a recipe may not set this header: it belongs to the transport");
        }
        self.mentions_secret(at, template)?;
        if matches!(name, "authorization" | "cookie") { self.check_issued(at, template) } else { Ok(()) }
    }

    /// Whatever was issued and goes out with requests must be marked, in any header: only what is marked is searched
    /// for in the answers.
    fn check_issued(&self, at: &str, template: &Template) -> Checked {
        for path in template.paths() {
            if matches!(path, Path::Grant(_)) && !self.is_secret(at, path)? {
                return refuse(at, format!("`{path}` must be taken with `\"secret\": true`"));
            }
        }
        Ok(())
    }
}

fn check_lifetime(lifetime: &Lifetime, recipe: &Recipe, known: &Known<'_>) -> Checked {
    if recipe.acquire.is_empty() {
        return refuse("lifetime", "there is nothing to acquire");
    }
    match &lifetime.seconds {
        Seconds::Fixed(0) => refuse("lifetime.seconds", "it must be greater than 0"),
        Seconds::Fixed(_) => Ok(()),
        Seconds::Taken(text) => match text.strip_prefix("grant.") {
            Some(name) if known.grants.contains_key(name) => Ok(()),
            _ => refuse("lifetime.seconds", format!("`{text}` is neither a number nor a value that a step takes")),
        },
    }
}

fn check_apply(apply: &Apply, known: &Known<'_>) -> Checked {
    if apply.to.is_empty() {
        return refuse("apply.to", "a credential without a scope could be sent nowhere");
    }
    for (index, reach) in apply.to.iter().enumerate() {
        let at = format!("apply.to[{index}]");
        if let Some(property) = reach.origin.config_property()
            && !known.config.contains(property)
        {
            return refuse(format!("{at}.origin"), format!("the recipe's `config` does not name `{property}`"));
        }
        if reach.from_response.is_some() {
            return refuse(
                format!("{at}.fromResponse"),
                "it belongs to `egress`: what is named is fetched without credential",
            );
        }
        target::check_reach(reach, &at)?;
    }
    for (name, template) in &apply.headers {
        let at = format!("apply.headers.{name}");
        known.check_header(&at, name, template)?;
        known.check_issued(&at, template)?;
    }
    Ok(())
}
