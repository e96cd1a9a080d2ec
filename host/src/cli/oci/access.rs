//! How a registry wants to be asked, and as whom: the answer to `WWW-Authenticate`.

use std::path::Path;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// Name and password for a registry.
#[derive(Clone)]
pub(in crate::cli) struct Credentials {
    pub(in crate::cli) user: String,
    pub(in crate::cli) password: Zeroizing<String>,
}

/// What a registry asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// Name and password with every request.
    Basic,
    /// A token from somewhere.
    Bearer {
        /// Where.
        realm: String,
        /// For which service.
        service: Option<String>,
        /// For what.
        scope: Option<String>,
    },
}

impl Challenge {
    /// Reads a header. Of what nobody here can answer there is none.
    pub(super) fn read(header: &str) -> Option<Self> {
        let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let mut parameters = parameters(rest);
        Some(Self::Bearer {
            realm: parameters.remove("realm")?,
            service: parameters.remove("service"),
            scope: parameters.remove("scope"),
        })
    }
}

/// `name="value"` pairs apart by commas; a value may hold commas itself.
fn parameters(mut text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    while let Some((name, rest)) = text.split_once('=') {
        let (value, rest) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => rest.split_once(',').unwrap_or((rest, "")),
        };
        found.insert(name.trim_matches([' ', ',']).to_ascii_lowercase(), value.trim().to_owned());
        text = rest;
    }
    found
}

#[derive(Deserialize)]
struct DockerConfig {
    #[serde(default)]
    auths: BTreeMap<String, DockerEntry>,
}

#[derive(Deserialize)]
struct DockerEntry {
    #[serde(default)]
    auth: String,
}

/// What `docker login` keeps for a registry in its file. Helpers that keep it elsewhere are not asked.
pub(super) fn stored(file: &Path, registry: &str) -> Option<Credentials> {
    let text = Zeroizing::new(std::fs::read_to_string(file).ok()?);
    in_config(&text, registry)
}

fn in_config(text: &str, registry: &str) -> Option<Credentials> {
    let config: DockerConfig = serde_json::from_str(text).ok()?;
    let docker = registry == "docker.io" || registry == "index.docker.io";
    let names = match docker {
        true => vec!["https://index.docker.io/v1/".to_owned()],
        false => vec![registry.to_owned(), format!("https://{registry}"), format!("https://{registry}/")],
    };
    let entry = names.iter().find_map(|name| config.auths.get(name))?;
    let text = Zeroizing::new(String::from_utf8(STANDARD.decode(&entry.auth).ok()?).ok()?);
    let (user, password) = text.split_once(':')?;
    Some(Credentials { user: user.to_owned(), password: Zeroizing::new(password.to_owned()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read_as_registries_write_them() {
        let bearer = Challenge::read(
            r#"Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull,push""#,
        );
        let expected = Challenge::Bearer {
            realm: "https://auth.example/token".into(),
            service: Some("registry.example".into()),
            scope: Some("repository:a/b:pull,push".into()),
        };
        assert_eq!(bearer, Some(expected));
        assert_eq!(Challenge::read("Basic realm=\"x\""), Some(Challenge::Basic));
        assert_eq!(Challenge::read("basic"), Some(Challenge::Basic));
        let bare = Challenge::read("bearer Realm=https://a.example/t, error=\"x\"");
        assert!(matches!(bare, Some(Challenge::Bearer { realm, .. }) if realm == "https://a.example/t"));
        for header in ["", "Bearer", "Bearer service=\"x\"", "Negotiate", "Bearer realm"] {
            assert_eq!(Challenge::read(header), None, "{header}");
        }
    }

    #[test]
    fn what_docker_keeps_is_found_by_registry() {
        let auth = STANDARD.encode("ann:pass:word");
        let config = format!(
            r#"{{"auths":{{"r.example:5000":{{"auth":"{auth}"}},"https://index.docker.io/v1/":{{"auth":"{auth}"}},
                "https://other.example/":{{"auth":"{auth}"}},"empty.example":{{}}}},"credsStore":"desktop"}}"#
        );
        for registry in ["r.example:5000", "docker.io", "other.example"] {
            let found = in_config(&config, registry).expect(registry);
            assert_eq!((found.user.as_str(), found.password.as_str()), ("ann", "pass:word"));
        }
        for registry in ["r.example", "empty.example", "index.docker.io.example"] {
            assert!(in_config(&config, registry).is_none(), "{registry}");
        }
        assert!(in_config("{", "r.example").is_none());
    }
}
