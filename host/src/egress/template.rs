//! The tiny evaluator behind every string of a recipe: text with `{{ path|filter('argument') }}` in it.
//!
//! There are paths, constants and a fixed set of filters, and nothing else: no loop, no arithmetic, no growth, so that
//! no recipe can use up the host. A value knows whether a secret went into it, and which pieces of the result were
//! secret. What the paths mean is the caller's ([`Lookup`]).

mod filter;
mod parse;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use filter::Filter;
pub use parse::InvalidTemplate;

/// Longest text that a template may render to.
pub(in crate::egress) const MAX_RENDERED: usize = 64 * 1024;

/// Text with values in it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Template {
    source: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::egress) enum Part {
    Text(String),
    Value { of: Operand, filters: Vec<Filter> },
}

/// What stands first between the braces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::egress) enum Operand {
    Constant(String),
    Path(Path),
}

/// What a template can name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Path {
    /// A property of the connection's configuration.
    Config(String),
    /// A property that is kept as a secret.
    Secret(String),
    /// A value that the recipe derives.
    Let(String),
    /// A value that was taken from the platform.
    Grant(String),
    /// Scheme, host and port of the connection.
    ConnectionOrigin,
    /// Fingerprint of a signing key.
    KeyFingerprint,
    /// Fresh on each use.
    Uuid,
}

/// A value that a path stands for.
#[derive(Clone, Default)]
pub struct Known {
    /// As text.
    pub text: Zeroizing<String>,
    /// Whether a secret went into it.
    pub secret: bool,
}

/// Gives the values that templates name; none where there is none.
pub trait Lookup {
    /// The value of a path.
    fn value(&self, path: &Path) -> Option<Known>;
}

/// What a template came to.
#[derive(Clone, Default)]
pub struct Rendered {
    /// The whole text.
    pub text: Zeroizing<String>,
    /// The pieces of it that are secret, before and after their filters.
    pub secrets: Vec<Zeroizing<String>>,
}

/// Why a template has no value. Names paths, never values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// A value is missing and has no default.
    #[error("{0} has no value")]
    Missing(Path),
    /// The text would be too long.
    #[error("a value is longer than 64 KiB")]
    TooLong,
}

impl Template {
    /// Every path in it.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.parts.iter().filter_map(|part| match part {
            Part::Value { of: Operand::Path(path), .. } => Some(path),
            _ => None,
        })
    }

    pub(in crate::egress) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Puts the values in.
    pub fn render(&self, lookup: &impl Lookup) -> Result<Rendered, RenderError> {
        let mut out = Rendered::default();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.text.push_str(text),
                Part::Value { of, filters } => append(&mut out, of, filters, lookup)?,
            }
            if out.text.len() > MAX_RENDERED {
                return Err(RenderError::TooLong);
            }
        }
        Ok(out)
    }
}

fn append(out: &mut Rendered, of: &Operand, filters: &[Filter], lookup: &impl Lookup) -> Result<(), RenderError> {
    let (mut value, missing) = match of {
        Operand::Constant(text) => (Some(Known { text: Zeroizing::new(text.clone()), secret: false }), None),
        Operand::Path(path) => (lookup.value(path), Some(path)),
    };
    // Before anything of it is copied.
    if value.as_ref().is_some_and(|v| v.text.len() > MAX_RENDERED) {
        return Err(RenderError::TooLong);
    }
    let secret = value.as_ref().is_some_and(|v| v.secret);
    if let Some(v) = value.as_ref().filter(|_| secret) {
        out.secrets.push(v.text.clone());
    }
    for filter in filters {
        value = filter.apply(value);
    }
    match (value, missing) {
        (Some(v), _) => {
            out.text.push_str(&v.text);
            if secret && out.secrets.last() != Some(&v.text) {
                out.secrets.push(v.text);
            }
            Ok(())
        }
        (None, Some(path)) => Err(RenderError::Missing(path.clone())),
        (None, None) => Ok(()),
    }
}

impl FromStr for Template {
    type Err = InvalidTemplate;

    fn from_str(source: &str) -> Result<Self, InvalidTemplate> {
        Ok(Self { source: source.to_owned(), parts: parse::parts(source)? })
    }
}

impl TryFrom<String> for Template {
    type Error = InvalidTemplate;

    fn try_from(source: String) -> Result<Self, InvalidTemplate> {
        source.parse()
    }
}

impl From<Template> for String {
    fn from(template: Template) -> Self {
        template.source
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({:?})", self.source)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(name) => write!(f, "config.{name}"),
            Self::Secret(name) => write!(f, "secret.{name}"),
            Self::Let(name) => write!(f, "let.{name}"),
            Self::Grant(name) => write!(f, "grant.{name}"),
            Self::ConnectionOrigin => f.write_str("connection.origin"),
            Self::KeyFingerprint => f.write_str("key.spki_sha256"),
            Self::Uuid => f.write_str("uuid"),
        }
    }
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Known({} bytes, secret: {})", self.text.len(), self.secret)
    }
}

impl fmt::Debug for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rendered({} bytes, {} secret pieces)", self.text.len(), self.secrets.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sample;

    impl Lookup for Sample {
        fn value(&self, path: &Path) -> Option<Known> {
            let (text, secret) = match path {
                Path::Config(name) => match name.as_str() {
                    "host" => ("ab-cd.eu-west.example", false),
                    "empty" => ("", false),
                    "deep.er" => ("nested", false),
                    _ => return None,
                },
                Path::Secret(_) => ("canary-0123456789", true),
                Path::ConnectionOrigin => ("https://h.example", false),
                _ => return None,
            };
            Some(Known { text: Zeroizing::new(text.to_owned()), secret })
        }
    }

    struct Long;

    impl Lookup for Long {
        fn value(&self, _: &Path) -> Option<Known> {
            Some(Known { text: Zeroizing::new("x".repeat(MAX_RENDERED + 1)), secret: true })
        }
    }

    fn render(source: &str) -> String {
        source.parse::<Template>().unwrap().render(&Sample).unwrap().text.to_string()
    }

    #[test]
    fn values_stand_where_they_are_named() {
        for (source, expected) in [
            ("", ""),
            ("plain", "plain"),
            ("{{config.host}}", "ab-cd.eu-west.example"),
            ("<{{  config.deep.er  }}>", "<nested>"),
            ("{{ connection.origin }}/x", "https://h.example/x"),
            ("{{ config.host|before('.')|upper }}", "AB-CD"),
            ("{{ config.host | before('-') | upper }}", "AB"),
            ("{{ config.host|after('.') }}", "eu-west.example"),
            ("{{ config.host|after('nowhere') }}", ""),
            ("{{ config.host|before('nowhere') }}", "ab-cd.eu-west.example"),
            ("{{ config.none|default('x y') }}", "x y"),
            ("{{ config.empty|default('x') }}", "x"),
            ("{{ config.none|upper|default('a') }}", "a"),
            ("{{ 'Text'|lower }}", "text"),
            ("{{ '{{' }}", "{{"),
            ("{{ '}}' }}", "}}"),
            ("{{ 'user:pass'|b64 }}", "dXNlcjpwYXNz"),
            ("a } b { c", "a } b { c"),
        ] {
            assert_eq!(render(source), expected, "{source}");
        }
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for source in [
            "{{ }}",
            "{{ config. }}",
            "{{ config }}",
            "{{ config..x }}",
            "{{ unknown.x }}",
            "{{ env.HOME }}",
            "{{ [1]*1000000000 }}",
            "{{ config.x|exec('rm') }}",
            "{{ config.x|before }}",
            "{{ config.x|upper('a') }}",
            "{{ config.x|before('a' }}",
            "{{ config.x|before('a) }}",
            "{{ config.x",
            "{{ config.x }",
            "{{ config.x | }}",
            "{{ config.x upper }}",
            "{{ 'open }}",
            "{% for x in y %}{{ x }}{% endfor %}",
            "{# note #}",
            "{{ config.a + config.b }}",
            "{{ key.other }}",
            "{{ connection.host }}",
            "{{ uuid.x }}",
        ] {
            assert!(source.parse::<Template>().is_err(), "{source}");
        }
    }

    #[test]
    fn secret_pieces_are_known_before_and_after_filters() {
        let rendered = "Basic {{ secret.token|b64 }}".parse::<Template>().unwrap().render(&Sample).unwrap();
        let pieces: Vec<&str> = rendered.secrets.iter().map(|s| s.as_str()).collect();
        assert_eq!(pieces, ["canary-0123456789", "Y2FuYXJ5LTAxMjM0NTY3ODk="]);
        let open = "{{ config.host }}".parse::<Template>().unwrap().render(&Sample).unwrap();
        assert!(open.secrets.is_empty());
    }

    #[test]
    fn missing_values_and_debug_name_paths_only() {
        let template: Template = "{{ secret.token }}{{ config.none }}".parse().unwrap();
        let error = template.render(&Sample).unwrap_err();
        assert_eq!(error.to_string(), "config.none has no value");
        let rendered = "{{ secret.token }}".parse::<Template>().unwrap().render(&Sample).unwrap();
        assert!(!format!("{rendered:?}").contains("canary"));
        assert!(!format!("{:?}", Sample.value(&Path::Secret(String::new()))).contains("canary"));
    }

    #[test]
    fn nothing_grows_without_bound() {
        let long = format!("{{{{ '{}'|b64 }}}}", "x".repeat(30_000)).repeat(2);
        assert_eq!(long.parse::<Template>().unwrap().render(&Sample).unwrap_err(), RenderError::TooLong);
        assert!("{{ config.host }}".repeat(256).parse::<Template>().is_ok());
        assert!("{{ config.host }}".repeat(257).parse::<Template>().is_err());
        let shortened = "{{ secret.a|before('x') }}".parse::<Template>().unwrap();
        assert_eq!(shortened.render(&Long).unwrap_err(), RenderError::TooLong);
    }
}
