//! Where an artefact lies: `registry.example/team/connector:1.2.0`, or pinned with `@sha256:…`.

use std::{fmt, net::IpAddr, str::FromStr};

/// An artefact in a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Reference {
    /// Host, and port where one is said.
    pub(in crate::cli) registry: String,
    pub(in crate::cli) repository: String,
    pub(in crate::cli) tag: Option<String>,
    /// `sha256:` and the digest of its manifest. Where it is there, the tag says nothing.
    pub(in crate::cli) digest: Option<String>,
}

/// Text that names no artefact.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::cli) enum InvalidReference {
    #[error("names no registry: write it as registry.example/team/connector:1.2.0")]
    NoRegistry,
    #[error("has no repository that a registry could have: names of lower-case letters and digits, apart by /")]
    Repository,
    #[error("has a tag that no registry takes: letters, digits, `.`, `_` and `-`, at most 128")]
    Tag,
    #[error("has a digest that is none: `sha256:` and 64 hexadecimal digits")]
    Digest,
    #[error("names neither a tag nor a digest: add :VERSION or @sha256:…")]
    Version,
}

const MAX_REPOSITORY: usize = 255;
const MAX_TAG: usize = 128;

impl Reference {
    /// Host and port of the registry's API. Docker's own registry answers elsewhere than its name says.
    pub(super) fn host(&self) -> &str {
        match self.registry.as_str() {
            "docker.io" | "index.docker.io" => "registry-1.docker.io",
            other => other,
        }
    }

    /// Whether the registry is on this machine, where TLS protects nothing.
    pub(super) fn is_local(&self) -> bool {
        is_loopback(without_port(&self.registry))
    }

    /// The version that is asked for, as the API takes it.
    pub(super) fn version(&self) -> &str {
        self.digest.as_deref().or(self.tag.as_deref()).unwrap_or_default()
    }

    /// The same artefact, pinned.
    pub(super) fn pinned(&self, digest: &str) -> Self {
        Self { tag: None, digest: Some(digest.to_owned()), ..self.clone() }
    }

    /// The last name of the repository.
    pub(in crate::cli) fn name(&self) -> &str {
        self.repository.rsplit('/').next().unwrap_or_default()
    }
}

/// Whether a host name or address stays on this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn without_port(registry: &str) -> &str {
    match registry.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => registry,
    }
}

impl FromStr for Reference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        let text = text.strip_prefix("oci://").unwrap_or(text);
        let (registry, rest) = text.split_once('/').ok_or(InvalidReference::NoRegistry)?;
        // Without a dot or a port, `team/connector` would be somebody else's registry.
        if !(registry.contains(['.', ':']) || registry == "localhost") || !is_host(registry) {
            return Err(InvalidReference::NoRegistry);
        }
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (rest, None),
        };
        let (repository, tag) = match rest.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (rest, None),
        };
        if repository.len() > MAX_REPOSITORY || !repository.split('/').all(is_name) {
            return Err(InvalidReference::Repository);
        }
        if !tag.is_none_or(is_tag) {
            return Err(InvalidReference::Tag);
        }
        if !digest.is_none_or(is_digest) {
            return Err(InvalidReference::Digest);
        }
        if tag.is_none() && digest.is_none() {
            return Err(InvalidReference::Version);
        }
        let owned = str::to_owned;
        Ok(Self {
            registry: owned(registry),
            repository: owned(repository),
            tag: tag.map(owned),
            digest: digest.map(owned),
        })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        self.tag.as_ref().map_or(Ok(()), |tag| write!(f, ":{tag}"))?;
        self.digest.as_ref().map_or(Ok(()), |digest| write!(f, "@{digest}"))
    }
}

/// Whether it is a host name or an address, with a port or without, and nothing that would make another URL of it.
fn is_host(registry: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-:[]".contains(c);
    registry.chars().all(plain)
        && !registry.ends_with(':')
        && url::Url::parse(&format!("https://{registry}/")).is_ok_and(|url| url.host().is_some())
}

fn is_name(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
    let outer = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.chars().all(inner) && name.starts_with(outer) && name.ends_with(outer) && !name.contains("..")
}

fn is_tag(tag: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    (1..=MAX_TAG).contains(&tag.len()) && tag.chars().all(plain) && !tag.starts_with(['.', '-'])
}

pub(super) fn is_digest(digest: &str) -> bool {
    let hexadecimal = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    digest.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64 && hex.chars().all(hexadecimal))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_and_written_alike() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        for text in [
            "registry.example/shelf:1.2.0",
            "registry.example:5000/team/a__b/c-d:v1_x",
            "localhost/shelf:1",
            "127.0.0.1:5000/shelf:1",
            "[::1]:5000/shelf:1",
            &format!("registry.example/shelf@{digest}"),
            &format!("registry.example/shelf:1@{digest}"),
        ] {
            let reference: Reference = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(reference.to_string(), text);
            assert_eq!(format!("oci://{text}").parse(), Ok(reference));
        }
        let pinned: Reference = format!("r.example/shelf:1@{digest}").parse().expect("reference");
        assert_eq!(pinned.version(), digest);
    }

    #[test]
    fn what_names_nothing_is_refused() {
        use InvalidReference::{Digest, NoRegistry, Repository, Tag, Version};
        for (text, expected) in [
            ("", NoRegistry),
            ("shelf:1", NoRegistry),
            ("team/shelf:1", NoRegistry),
            ("user@r.example/shelf:1", NoRegistry),
            ("r.example#/shelf:1", NoRegistry),
            ("r.example:port/shelf:1", NoRegistry),
            ("https://r.example/shelf:1", NoRegistry),
            ("r.example/shelf", Version),
            ("r.example/Shelf:1", Repository),
            ("r.example/:1", Repository),
            ("r.example/a//b:1", Repository),
            ("r.example/../b:1", Repository),
            ("r.example/a?b:1", Repository),
            ("r.example/a%2fb:1", Repository),
            ("r.example/shelf:", Tag),
            ("r.example/shelf:a/b", Tag),
            ("r.example/shelf:-a", Tag),
            ("r.example/shelf@sha256:00", Digest),
            ("r.example/shelf@md5:0", Digest),
        ] {
            assert_eq!(text.parse::<Reference>(), Err(expected), "{text}");
        }
    }

    #[test]
    fn only_this_machine_is_local() {
        let local = |text: &str| text.parse::<Reference>().expect("reference").is_local();
        assert!(["localhost:1/a:1", "127.0.0.1/a:1", "127.9.9.9:1/a:1", "[::1]:1/a:1"].into_iter().all(local));
        assert!(!["localhost.example/a:1", "10.0.0.1:1/a:1", "[::2]/a:1"].into_iter().any(local));
    }
}
