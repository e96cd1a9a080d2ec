//! Whether a recipe means something, checked when its connector is installed.
//!
//! What is refused here: values that nothing defines, secrets on their way into a URL, headers that are the
//! transport's, and what this host cannot do yet. Which hosts may be reached is not decided here but by the operator
//! ([`super::foreign_origins`]).

mod exchange;
mod property;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Action, Apply, BodyRule, Condition, Let, Lifetime, Recipe, Seconds, Step, Target};
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

type Checked = Result<(), InvalidRecipe>;

fn refuse<T>(at: impl Into<String>, message: impl Into<String>) -> Result<T, InvalidRecipe> {
    Err(InvalidRecipe { at: at.into(), message: message.into() })
}

impl Recipe {
    /// Checks the recipe against the connector's configuration schema and the dotted paths of its secrets.
    pub fn validate(&self, schema: &Value, secrets: &[String]) -> Result<(), InvalidRecipe> {
        if self.id.is_empty() {
            return refuse("id", "it must not be empty");
        }
        unsupported(self)?;
        let mut known = Known::of(self, schema, secrets)?;
        for (index, step) in self.acquire.iter().enumerate() {
            if let Step::Exchange(exchange) = step {
                let at = format!("acquire[{index}].exchange");
                exchange::check(exchange, &at, &known)?;
                known.grants.extend(exchange.take.iter().map(|(name, take)| (name.clone(), take.secret)));
            }
        }
        if let Some(lifetime) = &self.lifetime {
            check_lifetime(lifetime, self, &known)?;
        }
        check_apply(&self.apply, &known)?;
        check_conditions("expired", &self.expired)?;
        check_conditions("rejected", &self.rejected)?;
        if !self.expired.is_empty() && self.acquire.is_empty() {
            return refuse("expired", "there is nothing to acquire: say `rejected` instead");
        }
        if self.rejected.iter().any(|condition| condition.action.is_some()) {
            return refuse("rejected", "`do` belongs to `expired`");
        }
        Ok(())
    }
}

impl Target {
    /// Checks a declaration of what the guest may reach, with the credential or without.
    pub fn validate(&self, schema: &Value, secrets: &[String]) -> Result<(), InvalidRecipe> {
        if self.body.is_some() {
            return refuse("body", "it belongs to the scope of a credential");
        }
        if let Some(property) = self.origin.config_property() {
            property::check_config("origin", property, schema, secrets)?;
        }
        check_reach(self, "egress")
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

fn unsupported(recipe: &Recipe) -> Checked {
    let cannot = |at: &str, what: &str| refuse(at, format!("this version of the host cannot {what} yet"));
    for (index, step) in recipe.acquire.iter().enumerate() {
        match step {
            Step::Jwt(_) => return cannot(&format!("acquire[{index}].jwt"), "sign tokens"),
            Step::Exchange(exchange) => {
                if let Some((name, _)) = exchange.take.iter().find(|(_, take)| take.persist) {
                    return cannot(&format!("acquire[{index}].exchange.take.{name}.persist"), "keep rotated secrets");
                }
            }
        }
    }
    if recipe.renew.is_some() {
        return cannot("renew", "prolong grants");
    }
    if recipe.release.is_some() {
        return cannot("release", "give grants back");
    }
    if recipe.expired.iter().any(|condition| condition.action == Some(Action::Renew)) {
        return cannot("expired", "prolong grants");
    }
    Ok(())
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
        check_reach(reach, &at)?;
    }
    for (name, template) in &apply.headers {
        let at = format!("apply.headers.{name}");
        known.check_header(&at, name, template)?;
        known.check_issued(&at, template)?;
    }
    Ok(())
}

fn check_reach(reach: &Target, at: &str) -> Checked {
    if reach.redirects.is_some() {
        return refuse(format!("{at}.redirects"), "this version of the host cannot follow redirects yet");
    }
    if reach.from_response.is_some() {
        return refuse(
            format!("{at}.from-response"),
            "this version of the host cannot take addresses from answers yet",
        );
    }
    if reach.paths.is_empty() {
        return refuse(format!("{at}.paths"), "name at least one");
    }
    if let Some(path) = reach.paths.iter().find(|path| !is_pattern(path)) {
        return refuse(format!("{at}.paths"), format!("`{path}` is not a literal canonical path with `*`"));
    }
    if reach.methods.is_empty() {
        return refuse(format!("{at}.methods"), "name at least one");
    }
    if let Some(method) = reach.methods.iter().find(|method| !is_method(method)) {
        return refuse(format!("{at}.methods"), format!("`{method}` is none of {METHODS:?}"));
    }
    reach.body.as_ref().map_or(Ok(()), |rule| check_body(rule, at))
}

fn check_body(rule: &BodyRule, at: &str) -> Checked {
    check_pointer(&format!("{at}.body.at"), &rule.at)?;
    let word = |verb: &String| !verb.is_empty() && verb.bytes().all(|b| b.is_ascii_alphabetic());
    if rule.verbs.is_empty() || !rule.verbs.iter().all(word) {
        return refuse(format!("{at}.body.verbs"), "name at least one, in letters only");
    }
    Ok(())
}

fn check_conditions(at: &str, conditions: &[Condition]) -> Checked {
    for (index, condition) in conditions.iter().enumerate() {
        let at = format!("{at}[{index}]");
        if condition.status.is_empty() {
            return refuse(at, "name at least one status");
        }
        check_test(&at, condition.at.as_deref(), &condition.any_of)?;
    }
    Ok(())
}

fn check_test(at: &str, pointer: Option<&str>, any_of: &[Value]) -> Checked {
    match pointer {
        Some(pointer) => check_pointer(&format!("{at}.at"), pointer)?,
        None if !any_of.is_empty() => return refuse(format!("{at}.in"), "it needs `at`"),
        None => {}
    }
    if any_of.iter().any(|value| value.is_array() || value.is_object()) {
        return refuse(format!("{at}.in"), "only strings, numbers, true, false and null can be compared");
    }
    Ok(())
}

fn check_pointer(at: &str, pointer: &str) -> Checked {
    if pointer.is_empty() || pointer.starts_with('/') {
        Ok(())
    } else {
        refuse(at, format!("`{pointer}` is not a JSON pointer"))
    }
}

/// The methods that a connector may be allowed.
pub(in crate::egress) const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

fn is_method(method: &str) -> bool {
    METHODS.contains(&method)
}

fn is_pattern(path: &str) -> bool {
    path.starts_with('/')
        && !path.starts_with("//")
        && path.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'?' | b'#' | b'\\' | b'{' | b'}'))
        && !path.split('/').any(|segment| matches!(segment, "." | ".."))
}
