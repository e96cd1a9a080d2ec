//! Authentication as data: the recipes of a connector's descriptor, and what it declares to reach.
//!
//! A recipe says how the host gets a credential and to which requests it adds it; it holds no code. Reading one checks
//! its form (unknown fields and unreadable templates are refused), [`Recipe::validate`] its meaning. Both happen when a
//! connector is installed, so that nothing of it can fail later but the platform. `redirects` is read and then refused
//! with a message that says so: a later host will know it.

pub mod origin;
pub mod permission;
pub mod validate;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::template::{Path, Template};
use origin::{ExchangeUrl, Origin};

/// One authentication method.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// What `authenticationType` selects it by.
    pub id: String,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Configuration properties that it uses, as dotted paths.
    #[serde(default)]
    pub config: Vec<String>,
    /// Secret properties that it uses, as dotted paths.
    #[serde(default)]
    pub secrets: Vec<String>,
    /// Derived values. One that mentions a secret is a secret.
    #[serde(default, rename = "let")]
    pub lets: BTreeMap<String, Let>,
    /// How to get a grant, step by step. Empty: the stored secrets are all it needs.
    #[serde(default)]
    pub acquire: Vec<Step>,
    /// How long a grant lives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<Lifetime>,
    /// How to prolong a grant; where it fails, another one is acquired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renew: Option<ExchangeStep>,
    /// How to give a grant back when nobody needs it any more. Best effort.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<ExchangeStep>,
    /// What the credential adds to which requests.
    pub apply: Apply,
    /// Answers that mean "get a new grant". Any of them.
    #[serde(default)]
    pub expired: Vec<Condition>,
    /// Answers that mean "this credential is refused". Any of them; never tried again.
    #[serde(default)]
    pub rejected: Vec<Condition>,
}

/// A derived value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Let {
    /// Always the same template.
    Plain(Template),
    /// The template of the first glob that matches.
    Cases(Cases),
}

/// A choice by globs (`*` = any characters).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cases {
    /// What the globs are compared with.
    pub of: Template,
    /// Glob and value.
    pub cases: Vec<(String, Template)>,
}

/// One step of getting a grant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// A signed token.
    Jwt(Box<Jwt>),
    /// A request to a token endpoint.
    Exchange(Box<Exchange>),
}

/// A step that can only be a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExchangeStep {
    /// The request.
    pub exchange: Box<Exchange>,
}

/// A token that the host signs with a key of the connection. It adds `iat` and `exp`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jwt {
    /// `RS256`.
    pub alg: String,
    /// What it is signed with.
    pub key: Key,
    /// Texts; only here `key.spki_sha256` has a value.
    pub claims: BTreeMap<String, Template>,
    /// Seconds from `iat` to `exp`.
    pub ttl: u64,
    /// Seconds that `iat` lies back, for platforms whose clock is behind.
    #[serde(default)]
    pub skew: u64,
    /// Its name in `grant`. Always a secret.
    #[serde(rename = "as")]
    pub name: String,
}

/// A private key, by the secret properties that hold it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// The PEM text.
    pub pem: String,
    /// What it is encrypted with, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passphrase: Option<String>,
}

/// A request whose answer fills `grant.*`. The guest sees neither.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// Upper case.
    #[serde(default = "post")]
    pub method: String,
    /// Where to: the first whose value is there. A literal `https` URL, `{{ connection.origin }}` with a literal path,
    /// or one configuration value that is a URL.
    pub url: OneOrMany<ExchangeUrl>,
    /// Query parameters; a key that ends in `?` is dropped when its value is empty. No secrets.
    #[serde(default)]
    pub query: BTreeMap<String, Template>,
    /// Headers.
    #[serde(default)]
    pub headers: BTreeMap<String, Template>,
    /// Basic authentication; left out when its user is empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic: Option<Basic>,
    /// Form body; a key that ends in `?` is dropped when its value is empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<BTreeMap<String, Template>>,
    /// JSON body; its strings are templates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<Value>,
    /// What a good answer looks like; any status of 200 to 299 where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ok: Option<Expect>,
    /// What to take from the answer, by its name in `grant`.
    #[serde(default)]
    pub take: BTreeMap<String, Take>,
    /// What a bad answer means.
    #[serde(default)]
    pub fail: Failure,
}

fn post() -> String {
    "POST".to_owned()
}

/// A value, or several of which the first that applies is taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OneOrMany<T> {
    /// Just one.
    One(T),
    /// In this order.
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    /// All of them.
    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        match self {
            Self::One(one) => std::slice::from_ref(one).iter(),
            Self::Many(many) => many.iter(),
        }
    }
}

/// Basic authentication of an exchange.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Basic {
    /// Usually the client id.
    pub user: Template,
    /// Usually the client secret.
    pub password: Template,
    /// How both are written before they are joined.
    #[serde(default)]
    pub encode: BasicEncoding,
}

/// How the parts of Basic authentication are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BasicEncoding {
    /// As they are.
    #[default]
    Raw,
    /// URL-encoded first, as RFC 6749 has it.
    Form,
}

/// What an answer must look like. All of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// One of these; any where it is empty.
    #[serde(default)]
    pub status: Vec<u16>,
    /// JSON pointer into the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// What may stand there; anything but null where it is empty. Numbers and their text are the same.
    #[serde(default, rename = "in")]
    pub any_of: Vec<Value>,
}

/// An answer to the guest that says something about the credential.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// One of these.
    pub status: Vec<u16>,
    /// JSON pointer into the body, of which at most 64 KiB are read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// What may stand there. Numbers and their text are the same.
    #[serde(default, rename = "in")]
    pub any_of: Vec<Value>,
    /// What to do then; renew where nothing is said.
    #[serde(default, rename = "do", skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
}

/// What an expired grant asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Prolong it, or get a new one where the recipe has no way to.
    Renew,
    /// Get a new one.
    Acquire,
}

/// A value taken from an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Take {
    /// JSON pointer.
    pub at: String,
    /// Whether it must never be shown.
    #[serde(default)]
    pub secret: bool,
    /// What holds where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// Whether it may be missing.
    #[serde(default)]
    pub optional: bool,
    /// The stored secret that it replaces, as a dotted path. Where the answer holds none, the stored one stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persist: Option<String>,
}

/// What a bad answer of an exchange means.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// JSON pointer to a code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// JSON pointer to a text for the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What the codes mean.
    #[serde(default)]
    pub codes: BTreeMap<String, FailureKind>,
}

/// What a code of a failed exchange means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// The stored secrets are refused.
    Unauthenticated,
    /// The configuration cannot work.
    InvalidConfig,
    /// Try later.
    Unavailable,
}

/// How long a grant lives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lifetime {
    /// Seconds from the moment it was asked for.
    pub seconds: Seconds,
    /// How many seconds before its end a new one is fetched.
    #[serde(default)]
    pub early: u64,
}

/// A number, or the name of the grant's value that holds it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Seconds {
    /// Always the same.
    Fixed(u64),
    /// `grant.…`.
    Taken(String),
}

/// What the credential adds to which requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Apply {
    /// The credential's scope: nothing else carries it.
    pub to: Vec<Target>,
    /// Headers that are set, by their names in lower case.
    #[serde(default)]
    pub headers: BTreeMap<String, Template>,
}

/// Requests that are allowed: to this origin, with one of these paths and methods.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Where to.
    pub origin: Origin,
    /// Canonical paths without query, `*` = any characters.
    pub paths: Vec<String>,
    /// Upper case.
    pub methods: Vec<String>,
    /// What the body must be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<BodyRule>,
    /// Whether redirects are followed. (Refused by this host.)
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirects: Option<Value>,
    /// Addresses that the answers to these requests name.
    #[serde(default, rename = "fromResponse", skip_serializing_if = "Option::is_none")]
    pub from_response: Option<FromResponse>,
}

/// Leave to fetch what an answer points to: a GET of exactly that URL, without credential and body, by the operation
/// that got the answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FromResponse {
    /// JSON pointer to the URLs; the segment `*` stands for every element.
    pub at: String,
    /// What their hosts end with, beginning with a dot. The connection's own host always fits, with whatever port.
    pub host_suffixes: Vec<String>,
    /// Headers that the same answer gives: JSON pointers to objects of header names and values, or `name=/pointer` to a
    /// text that is the value of this header.
    #[serde(default)]
    pub header_values: Vec<String>,
    /// Headers that it may have with just this value, by their names in lower case.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

/// A body that is a JSON object with one statement in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BodyRule {
    /// JSON pointer to the statement.
    pub at: String,
    /// What it may begin with.
    pub verbs: Vec<String>,
    /// What must not stand in it outside of single-quoted texts, in whatever case and with whatever blanks between.
    #[serde(default)]
    pub without: Vec<String>,
    /// Of the verbs, those of statements that hold no expressions: a text in double quotes is a name there, and what must
    /// not stand in the statement may stand in it, unless a parenthesis follows.
    #[serde(default)]
    pub names: Vec<String>,
    /// The only keys that the object may have at its top; any if there are none here.
    #[serde(default)]
    pub keys: Vec<String>,
    /// Where a backslash escapes. None: nobody says, and the statement must be a single one either way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backslash: Option<Backslash>,
}

/// Where a backslash escapes the character behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backslash {
    /// In single-quoted texts; names in double quotes take it as it is.
    Texts,
}

impl FromResponse {
    /// Pointers to the headers that an answer gives, with a header's name where there is a text and no object.
    pub(super) fn header_places(&self) -> impl Iterator<Item = (Option<&str>, &str)> {
        self.header_values.iter().map(|text| match text.split_once('=') {
            // A pointer may hold the sign too.
            Some((name, pointer)) if !text.starts_with('/') => (Some(name), pointer),
            _ => (None, text.as_str()),
        })
    }
}

impl Recipe {
    /// The configuration properties from which hosts are made that this recipe sends secrets to. Who changes one of
    /// them must bring every secret again (D42).
    #[must_use]
    pub fn address_properties(&self) -> BTreeSet<String> {
        let exchanges = self.exchanges().flat_map(|e| e.url.iter()).filter_map(ExchangeUrl::config_property);
        let reaches = self.apply.to.iter().filter_map(|r| r.origin.config_property());
        exchanges.chain(reaches).map(str::to_owned).collect()
    }

    pub(super) fn exchanges(&self) -> impl Iterator<Item = &Exchange> {
        let steps = self.acquire.iter().filter_map(|step| match step {
            Step::Exchange(exchange) => Some(&**exchange),
            Step::Jwt(_) => None,
        });
        steps.chain([&self.renew, &self.release].into_iter().flatten().map(|step| &*step.exchange))
    }

    /// The stored secrets that the platform may replace.
    #[must_use]
    pub fn persisted(&self) -> BTreeSet<&str> {
        self.exchanges().flat_map(|e| e.take.values()).filter_map(|take| take.persist.as_deref()).collect()
    }
}

impl Let {
    /// Every path in it.
    pub(super) fn paths(&self) -> Vec<&Path> {
        match self {
            Self::Plain(template) => template.paths().collect(),
            Self::Cases(cases) => cases.of.paths().chain(cases.cases.iter().flat_map(|(_, t)| t.paths())).collect(),
        }
    }
}

/// The origins outside the connection's own and its configuration that recipes and declarations name: what an operator
/// must approve before the connector may be used.
#[must_use]
pub fn foreign_origins(recipes: &[Recipe], egress: &[Target]) -> BTreeSet<String> {
    let exchanges = recipes.iter().flat_map(Recipe::exchanges).flat_map(|e| e.url.iter());
    let reaches = recipes.iter().flat_map(|r| &r.apply.to).chain(egress);
    exchanges.filter_map(ExchangeUrl::literal_origin).chain(reaches.filter_map(|r| r.origin.literal())).collect()
}
