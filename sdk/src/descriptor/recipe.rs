//! Authentication as data: a recipe that the host runs, so that no secret enters the connector.
//!
//! Every text is a template: constants and `{{ path }}`, where a path is `config.…`, `secret.…`, `let.…`, `grant.…`,
//! `connection.origin`, `key.spki_sha256` or `uuid`, with filters `upper`, `lower`, `before('.')`, `default('x')`,
//! `b64`. The host encodes structures, so nothing is ever escaped by hand. A key that ends in `?` is dropped when its
//! value is empty.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One way to authenticate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The value by which the configuration selects it.
    pub id: String,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// Configuration properties it needs (dotted paths).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub config: Vec<String>,
    /// Secret properties it needs (dotted paths).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// Derived values; one that mentions a secret is a secret.
    #[serde(default, rename = "let", skip_serializing_if = "BTreeMap::is_empty")]
    pub let_: BTreeMap<String, Derived>,
    /// What fills `grant.*`, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acquire: Vec<Acquire>,
    /// How long a grant is good for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<Lifetime>,
    /// How a grant is renewed; without it, by acquiring another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renew: Option<ExchangeStep>,
    /// How a grant is given back; best effort.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<ExchangeStep>,
    /// Headers, and the only requests that carry them.
    pub apply: Apply,
    /// Answers that mean "the grant has expired": renew or acquire, once per request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expired: Vec<Match>,
    /// Answers that mean "the credential is refused": never retried.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rejected: Vec<Match>,
}

/// A derived value: a template, or the first case whose pattern fits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Derived {
    /// A template.
    Template(String),
    /// A choice.
    Choice {
        /// What the patterns are compared with.
        of: String,
        /// Pattern and template.
        cases: Vec<Case>,
    },
}

/// Pattern (`*` stands for any characters) and template.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Case(pub String, pub String);

/// One step towards a grant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Acquire {
    /// A signed token.
    Jwt(Box<Jwt>),
    /// A request to a token endpoint.
    Exchange(Box<Exchange>),
}

/// A single exchange.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExchangeStep {
    /// The request.
    pub exchange: Exchange,
}

/// A token signed with a key of the connection; the host adds `iat` and `exp`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Jwt {
    /// `RS256`.
    pub alg: String,
    /// The signing key.
    pub key: Key,
    /// Claims.
    pub claims: BTreeMap<String, String>,
    /// Lifetime in seconds.
    pub ttl: u64,
    /// How many seconds `iat` lies back.
    #[serde(default)]
    pub skew: u64,
    /// Name of the grant.
    #[serde(rename = "as")]
    pub as_: String,
}

/// A private key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// Secret property with the PEM text.
    pub pem: String,
    /// Secret property with its passphrase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passphrase: Option<String>,
}

/// A request that the host makes to obtain something.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// `POST` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Where to: the first whose value is there. Each is a literal URL, `{{ connection.origin }}` with a path, or one
    /// configuration value that is a URL.
    pub url: Urls,
    /// Query parameters.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub query: BTreeMap<String, String>,
    /// Headers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Basic authentication; left out when its user is empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic: Option<Basic>,
    /// Body as a form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<BTreeMap<String, String>>,
    /// Body as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<Value>,
    /// What success looks like; 2xx unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ok: Option<Match>,
    /// What is taken from the answer into `grant.*`.
    #[serde(default)]
    pub take: BTreeMap<String, Take>,
    /// How a failure is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fail: Option<Failure>,
}

/// One URL, or several of which the first that has a value is taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Urls {
    /// Just one.
    One(String),
    /// In this order.
    Many(Vec<String>),
}

impl Default for Urls {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

/// Basic authentication.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Basic {
    /// User name.
    pub user: String,
    /// Password.
    pub password: String,
    /// Whether both are form-encoded first.
    #[serde(default)]
    pub encode: Encode,
}

/// Encoding of user name and password before Basic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Encode {
    /// As they are.
    #[default]
    Raw,
    /// Form-encoded, as RFC 6749 has it.
    Form,
}

/// A value taken from an answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Take {
    /// JSON pointer.
    pub at: String,
    /// Whether it must be kept from logs and connectors.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub secret: bool,
    /// When it is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// Whether it may be missing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
    /// The stored secret (dotted path) that it replaces, durably before anything else happens with it: for tokens that
    /// are good for one use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persist: Option<String>,
}

/// Where a failed exchange says why.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// JSON pointer to the code.
    pub code: String,
    /// JSON pointer to the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The platform's codes as codes of the contract.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub codes: BTreeMap<String, String>,
}

/// How long a grant is good for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lifetime {
    /// Seconds, or the grant that holds them.
    pub seconds: Seconds,
    /// How many seconds before its end it is renewed.
    #[serde(default)]
    pub early: u64,
}

/// A number of seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Seconds {
    /// This many.
    Number(u64),
    /// As many as this grant says: `grant.lifetime`.
    Grant(String),
}

/// Headers, and where they go.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Apply {
    /// The requests that carry them: any of these.
    pub to: Vec<Target>,
    /// Header templates.
    pub headers: BTreeMap<String, String>,
}

/// Requests that may carry the credential.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Origin template.
    pub origin: String,
    /// Canonical paths without query; `*` stands for any characters.
    pub paths: Vec<String>,
    /// Methods in upper case.
    pub methods: Vec<String>,
    /// What the body must be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<BodyGuard>,
}

/// Demands a body of at most 256 KiB with one statement that begins with one of these verbs and holds no comments, nor
/// texts between dollars.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BodyGuard {
    /// JSON pointer to the statement.
    pub at: String,
    /// Verbs in upper case.
    pub verbs: Vec<String>,
    /// What must not occur in it outside of single-quoted texts, in whatever case and with whatever blanks between: for
    /// functions that do more than read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
    /// Of the verbs, those of statements in which no expression can stand: what they hold in double quotes is a name, of
    /// which `without` speaks only where a parenthesis follows it. Unless given, none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// The only keys that the body may have at its top, that of the statement among them. Unless given, any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// Where the platform's SQL takes a backslash as an escape. Unless given, a statement must be a single one whether it
    /// is or not, so that a name in double quotes may not end in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backslash: Option<Backslash>,
}

/// Where a backslash escapes the character behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Backslash {
    /// In single-quoted texts; names in double quotes take it as it is.
    Texts,
}

/// Answers of a kind: all that is given must fit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Match {
    /// HTTP status.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub status: Vec<u16>,
    /// JSON pointer into the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// Values it must be one of.
    #[serde(default, rename = "in", skip_serializing_if = "Option::is_none")]
    pub in_: Option<Vec<Value>>,
    /// What to do about it; renew unless given.
    #[serde(default, rename = "do", skip_serializing_if = "Option::is_none")]
    pub do_: Option<Do>,
}

/// What to do about an expired grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Do {
    /// Renew it.
    Renew,
    /// Acquire another.
    Acquire,
}
