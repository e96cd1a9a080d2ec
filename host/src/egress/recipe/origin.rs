//! Where a recipe may point: a literal `https` origin, the connection's own, or one configuration value that is a URL.
//! Never composed of several, so that what a connector can reach is known when it is installed.

use std::fmt;

use ::url::Url;
use serde::{Deserialize, Serialize};

use crate::egress::template::{Operand, Part, Path, Template};

/// Scheme, host and port, before the connection's values are known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Origin {
    /// Written out, `https://host` with an optional port.
    Literal(String),
    /// `{{ connection.origin }}`.
    Connection,
    /// `{{ config.… }}`: the origin of a URL in the configuration.
    Config(String),
}

/// Where an exchange goes, before the connection's values are known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum ExchangeUrl {
    /// Written out.
    Literal(String),
    /// Below the connection's origin.
    Connection {
        /// Literal, from the slash on.
        path: String,
    },
    /// A URL in the configuration.
    Config(String),
}

/// A place that is none of the three.
#[derive(Debug, thiserror::Error)]
pub enum InvalidOrigin {
    /// Neither literal nor one value.
    #[error(
        "`{0}` is composed: an origin is `https://host`, `{{{{ connection.origin }}}}` or one configuration value that is a URL"
    )]
    Composed(String),
    /// Literal, and not such a URL.
    #[error("`{0}` must be an `https://` URL with a lower-case host name, without user, query and fragment")]
    NotHttps(String),
    /// The text is not a template.
    #[error(transparent)]
    Template(#[from] crate::egress::template::InvalidTemplate),
}

impl Origin {
    /// The origin as text, where it is written out.
    #[must_use]
    pub fn literal(&self) -> Option<String> {
        match self {
            Self::Literal(text) => Some(text.clone()),
            _ => None,
        }
    }

    /// The configuration property that it is made from.
    #[must_use]
    pub fn config_property(&self) -> Option<&str> {
        match self {
            Self::Config(property) => Some(property),
            _ => None,
        }
    }
}

impl ExchangeUrl {
    /// The origin as text, where it is written out.
    #[must_use]
    pub fn literal_origin(&self) -> Option<String> {
        match self {
            Self::Literal(text) => Url::parse(text).ok().map(|url| url.origin().ascii_serialization()),
            _ => None,
        }
    }

    /// The configuration property that it is.
    #[must_use]
    pub fn config_property(&self) -> Option<&str> {
        match self {
            Self::Config(property) => Some(property),
            _ => None,
        }
    }
}

fn literal(text: &str) -> Result<Url, InvalidOrigin> {
    let fail = || InvalidOrigin::NotHttps(text.to_owned());
    let url = Url::parse(text).map_err(|_| fail())?;
    let canonical = url.as_str() == text || url.as_str().strip_suffix('/') == Some(text);
    let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    // A URL may hold an asterisk in its host; taken for a pattern, it would mean more than it does.
    let named =
        url.domain().is_some_and(|d| d.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_')));
    if url.scheme() == "https" && named && plain && url.fragment().is_none() && canonical {
        Ok(url)
    } else {
        Err(fail())
    }
}

impl TryFrom<String> for Origin {
    type Error = InvalidOrigin;

    fn try_from(text: String) -> Result<Self, InvalidOrigin> {
        let template: Template = text.parse()?;
        match template.parts() {
            [Part::Text(_)] => {
                let url = literal(&text)?;
                if url.path() == "/" {
                    Ok(Self::Literal(url.origin().ascii_serialization()))
                } else {
                    Err(InvalidOrigin::NotHttps(text))
                }
            }
            [Part::Value { of: Operand::Path(Path::ConnectionOrigin), filters }] if filters.is_empty() => {
                Ok(Self::Connection)
            }
            [Part::Value { of: Operand::Path(Path::Config(property)), filters }] if filters.is_empty() => {
                Ok(Self::Config(property.clone()))
            }
            _ => Err(InvalidOrigin::Composed(text)),
        }
    }
}

impl TryFrom<String> for ExchangeUrl {
    type Error = InvalidOrigin;

    fn try_from(text: String) -> Result<Self, InvalidOrigin> {
        let template: Template = text.parse()?;
        match template.parts() {
            [Part::Text(_)] => Ok(Self::Literal(literal(&text)?.to_string())),
            [Part::Value { of: Operand::Path(Path::ConnectionOrigin), filters }, Part::Text(path)]
                if filters.is_empty() && plain_path(path) =>
            {
                Ok(Self::Connection { path: path.clone() })
            }
            [Part::Value { of: Operand::Path(Path::Config(property)), filters }] if filters.is_empty() => {
                Ok(Self::Config(property.clone()))
            }
            _ => Err(InvalidOrigin::Composed(text)),
        }
    }
}

/// `@evil.example` or `:8443` behind an origin would make it another one.
fn plain_path(path: &str) -> bool {
    path.starts_with('/')
        && !path.starts_with("//")
        && path.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'?' | b'#' | b'\\' | b'%'))
        && !path.split('/').any(|segment| matches!(segment, "." | ".."))
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(text) => f.write_str(text),
            Self::Connection => f.write_str("{{ connection.origin }}"),
            Self::Config(property) => write!(f, "{{{{ config.{property} }}}}"),
        }
    }
}

impl fmt::Display for ExchangeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(text) => f.write_str(text),
            Self::Connection { path } => write!(f, "{{{{ connection.origin }}}}{path}"),
            Self::Config(property) => write!(f, "{{{{ config.{property} }}}}"),
        }
    }
}

impl From<Origin> for String {
    fn from(origin: Origin) -> Self {
        origin.to_string()
    }
}

impl From<ExchangeUrl> for String {
    fn from(url: ExchangeUrl) -> Self {
        url.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_never_composed() {
        for good in ["https://login.example", "https://login.example:8443", "{{ connection.origin }}", "{{config.a.b}}"]
        {
            assert!(Origin::try_from(good.to_owned()).is_ok(), "{good}");
        }
        for bad in [
            "",
            "http://login.example",
            "https://login.example/path",
            "https://user@login.example",
            "https://LOGIN.example",
            "https://1.2.3.4",
            "https://{{ config.host }}",
            "{{ connection.origin }}.evil.example",
            "{{ connection.origin }}:8443",
            "{{ config.a }}{{ config.b }}",
            "{{ config.host|before('.') }}",
            "{{ secret.url }}",
            "{{ let.url }}",
            "{{ grant.url }}",
            "{{ 'https://evil.example' }}",
            "ftp://login.example",
        ] {
            assert!(Origin::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn exchange_urls_keep_their_origin_apart_from_their_path() {
        for good in ["https://login.example/oauth/token", "{{ connection.origin }}/oidc/v1/token", "{{ config.url }}"] {
            let url = ExchangeUrl::try_from(good.to_owned()).unwrap();
            assert_eq!(ExchangeUrl::try_from(url.to_string()).unwrap(), url, "{good}");
        }
        for bad in [
            "http://login.example/token",
            "https://login.example/token?secret=1",
            "https://{{ config.tenant }}.example/token",
            "https://login.example/{{ secret.token }}",
            "{{ connection.origin }}",
            "{{ connection.origin }}@evil.example/",
            "{{ connection.origin }}.evil.example/",
            "{{ connection.origin }}//evil.example/",
            "{{ connection.origin }}/../admin",
            "{{ connection.origin }}/{{ config.path }}",
            "{{ config.url }}/token",
        ] {
            assert!(ExchangeUrl::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
