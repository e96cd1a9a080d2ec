//! The payload's `connection` object: what a workspace's address and credentials look like.
//!
//! The types here and the schema made from them are one thing. What each way to authenticate needs is said with
//! `if`/`then`, because the errors of these name the missing field, where those of `oneOf` only say that nothing fits.

#![allow(dead_code, reason = "most fields are for the host: they are here for the schema")]

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use wharfinger_sdk::Secret;

/// A Databricks workspace, or a server with the same API.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("allOf" = json!([
    { "if": { "properties": { "authenticationType": { "const": "token" } }, "required": ["authenticationType"] },
      "then": { "required": ["token"] } },
    { "if": { "properties": { "authenticationType": { "const": "oAuthM2M" } }, "required": ["authenticationType"] },
      "then": { "required": ["oAuthClientConfig"],
                "properties": { "oAuthClientConfig": { "required": ["clientId", "clientSecret"] } } } }
])))]
pub(crate) struct Config {
    /// Host name of the workspace, for instance `adb-1234567890123456.7.azuredatabricks.net`. Without port and path.
    #[schemars(length(min = 1, max = 300))]
    pub(crate) hostname: String,
    /// Port of the workspace.
    #[serde(default = "https_port")]
    #[schemars(range(min = 1))]
    pub(crate) port: u16,
    /// HTTP path of a SQL warehouse. Not needed for listing; kept for the features that run SQL.
    #[serde(default)]
    #[schemars(with = "String")]
    pub(crate) http_path: Option<String>,
    /// How to authenticate.
    pub(crate) authentication_type: AuthenticationType,
    /// Personal access token.
    #[serde(default)]
    pub(crate) token: Secret,
    /// OAuth client of a service principal.
    #[serde(default)]
    #[schemars(with = "OAuthClientConfig")]
    pub(crate) o_auth_client_config: Option<OAuthClientConfig>,
}

/// Ways to authenticate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(inline)]
pub(crate) enum AuthenticationType {
    /// A personal access token.
    #[serde(rename = "token")]
    Token,
    /// OAuth client credentials of a service principal.
    #[serde(rename = "oAuthM2M")]
    OAuthM2M,
}

/// The OAuth client of a service principal.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct OAuthClientConfig {
    /// Client certificates are not supported: `false` or absent.
    #[serde(default)]
    #[schemars(extend("const" = false))]
    pub(crate) use_certificate: bool,
    /// Application id of the service principal.
    #[serde(default)]
    #[schemars(with = "String", length(min = 1))]
    pub(crate) client_id: Option<String>,
    /// Secret of the service principal.
    #[serde(default)]
    pub(crate) client_secret: Secret,
    /// Scope to ask for; `all-apis` unless given.
    #[serde(default)]
    #[schemars(with = "String", length(min = 1))]
    pub(crate) scope: Option<String>,
    /// Token endpoint; that of the workspace unless given.
    #[serde(default)]
    #[schemars(with = "String", length(min = 1))]
    pub(crate) authority_url: Option<String>,
}

fn https_port() -> u16 {
    443
}

impl Config {
    /// As whom the platform is listed, as far as the configuration tells.
    pub(crate) fn identity(&self) -> String {
        match self.authentication_type {
            AuthenticationType::Token => "owner of the personal access token".to_owned(),
            AuthenticationType::OAuthM2M => {
                let client = self.o_auth_client_config.as_ref().and_then(|client| client.client_id.as_deref());
                format!("service principal {}", client.unwrap_or("without id"))
            }
        }
    }
}
