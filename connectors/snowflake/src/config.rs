//! The payload's `connection` object: what an account's address and credentials look like.
//!
//! The types here and the schema made from them are one thing. What each way to authenticate needs is said with
//! `if`/`then`, because the errors of these name the missing field, where those of `oneOf` only say that nothing fits.

#![allow(dead_code, reason = "some fields are for the host: they are here for the schema")]

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use wharfinger_sdk::Secret;

/// A Snowflake account.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("allOf" = json!([
    { "if": { "properties": { "authenticationType": { "const": "userPassword" } }, "required": ["authenticationType"] },
      "then": { "required": ["username", "password"] } },
    { "if": { "properties": { "authenticationType": { "const": "keyPair" } }, "required": ["authenticationType"] },
      "then": { "required": ["username", "privateKey"],
                "properties": { "privateKey": { "required": ["content"] } } } },
    { "if": { "properties": { "authenticationType": { "const": "programmaticAccessToken" } },
              "required": ["authenticationType"] },
      "then": { "required": ["token"] } },
    { "if": { "properties": { "authenticationType": { "const": "oAuthClientCredentials" } },
              "required": ["authenticationType"] },
      "then": { "required": ["oAuthClientConfig"],
                "properties": { "oAuthClientConfig": { "required": ["clientId", "clientSecret", "authorityUrl"] } } } },
    { "if": { "properties": { "authenticationType": { "const": "oAuthRefreshToken" } },
              "required": ["authenticationType"] },
      "then": { "required": ["oAuthClientConfig"],
                "properties": { "oAuthClientConfig": { "required": ["clientId", "clientSecret", "refreshToken"] } } } }
])))]
pub(crate) struct Config {
    /// Host name of the account, for instance `myorg-myaccount.snowflakecomputing.com`. Without port and path.
    #[schemars(length(min = 1, max = 300))]
    pub(crate) hostname: String,
    /// Port of the account.
    #[serde(default = "https_port")]
    #[schemars(range(min = 1))]
    pub(crate) port: u16,
    /// Warehouse for queries on INFORMATION_SCHEMA. With one, only tables that have changed are read again; without one,
    /// nothing is computed on the platform, and the columns of all tables are read on every sync. Written as in SQL: a
    /// plain name counts in upper case, one in double quotes as it is.
    #[serde(default)]
    #[schemars(with = "String", length(min = 1))]
    pub(crate) warehouse: Option<String>,
    /// Role to list as; the user's default role unless given. Written as in SQL: a plain name counts in upper case, one
    /// in double quotes as it is.
    #[serde(default)]
    #[schemars(with = "String", length(min = 1))]
    pub(crate) role: Option<String>,
    /// How to authenticate.
    pub(crate) authentication_type: AuthenticationType,
    /// User name: for `userPassword` and `keyPair`.
    #[serde(default)]
    #[schemars(with = "String", length(min = 1))]
    pub(crate) username: Option<String>,
    /// Password; a programmatic access token works in its place. Snowflake ends sign-in with a password alone in 2026:
    /// prefer a key pair.
    #[serde(default)]
    pub(crate) password: Secret,
    /// Private key of the user: RSA with 2048 bits or more, as a PEM file.
    #[serde(default)]
    #[schemars(with = "PrivateKey")]
    pub(crate) private_key: Option<PrivateKey>,
    /// Passphrase of the private key, if it is encrypted.
    #[serde(default)]
    pub(crate) private_key_password: Secret,
    /// Programmatic access token.
    #[serde(default)]
    pub(crate) token: Secret,
    /// OAuth client.
    #[serde(default)]
    #[schemars(with = "OAuthClientConfig")]
    pub(crate) o_auth_client_config: Option<OAuthClientConfig>,
    /// Whether databases that come from a share are listed. They need the privilege IMPORTED PRIVILEGES.
    #[serde(default)]
    pub(crate) include_imported: bool,
    /// Whether the platform's own databases are listed: `SNOWFLAKE`, `SNOWFLAKE_SAMPLE_DATA`, and applications.
    #[serde(default)]
    pub(crate) include_system: bool,
}

/// Ways to authenticate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub(crate) enum AuthenticationType {
    /// User name and password.
    UserPassword,
    /// A key pair of the user.
    KeyPair,
    /// OAuth client credentials of an identity provider that the account trusts.
    OAuthClientCredentials,
    /// A programmatic access token.
    ProgrammaticAccessToken,
    /// A refresh token of an OAuth integration.
    OAuthRefreshToken,
}

/// A private key.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PrivateKey {
    /// `PRIV_KEY_FILE` or absent.
    #[serde(default)]
    #[schemars(with = "String")]
    pub(crate) key_name: Option<String>,
    /// Name of the file that it comes from, for people.
    #[serde(default)]
    #[schemars(with = "String")]
    pub(crate) user_filename: Option<String>,
    /// The PEM text: PKCS#8, plain or encrypted, or PKCS#1.
    #[serde(default)]
    pub(crate) content: Secret,
}

/// An OAuth client.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct OAuthClientConfig {
    /// Client certificates are not supported: `false` or absent.
    #[serde(default)]
    #[schemars(extend("const" = false))]
    pub(crate) use_certificate: bool,
    /// Id of the client.
    #[serde(default)]
    #[schemars(with = "String", length(min = 1))]
    pub(crate) client_id: Option<String>,
    /// Secret of the client.
    #[serde(default)]
    pub(crate) client_secret: Secret,
    /// Scope to ask for, for instance `session:role:ANALYST`. Identity providers of other makers have their own.
    #[serde(default)]
    #[schemars(with = "String", length(min = 1))]
    pub(crate) scope: Option<String>,
    /// Token endpoint. For client credentials that of the identity provider; for refresh tokens the account's own unless
    /// given.
    #[serde(default)]
    #[schemars(with = "String", length(min = 1))]
    pub(crate) authority_url: Option<String>,
    /// Where the client's id and secret go: `header` (Basic) or `body`.
    #[serde(default)]
    pub(crate) client_auth: ClientAuth,
    /// Refresh token. Where the platform hands out a new one with each use, it is kept up to date by itself.
    #[serde(default)]
    pub(crate) refresh_token: Secret,
}

/// Where an OAuth client says who it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub(crate) enum ClientAuth {
    /// In the header `Authorization`.
    #[default]
    Header,
    /// In the form.
    Body,
}

fn https_port() -> u16 {
    443
}

impl Config {
    /// The role as the platform stores its name.
    pub(crate) fn role(&self) -> Option<Cow<'_, str>> {
        self.role.as_deref().map(stored)
    }

    /// The warehouse as the platform stores its name.
    pub(crate) fn warehouse(&self) -> Option<Cow<'_, str>> {
        self.warehouse.as_deref().map(stored)
    }
}

/// The name that an identifier of SQL stands for. What could be no plain identifier is taken as it is.
fn stored(identifier: &str) -> Cow<'_, str> {
    let text = identifier.trim();
    if let Some(inside) = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        return Cow::Owned(inside.replace("\"\"", "\""));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '$');
    if text.chars().all(plain) && !text.starts_with(|c: char| c.is_ascii_digit() || c == '$') {
        return Cow::Owned(text.to_ascii_uppercase());
    }
    Cow::Borrowed(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_sql_reads_them() {
        for (written, name) in [
            ("ANALYST", "ANALYST"),
            ("analyst", "ANALYST"),
            (" etl_1$ ", "ETL_1$"),
            ("\"analyst\"", "analyst"),
            ("\"a \"\"b\"\"\"", "a \"b\""),
            ("my role", "my role"),
            ("1st", "1st"),
            ("größe", "größe"),
        ] {
            assert_eq!(stored(written), name, "{written}");
        }
    }
}
