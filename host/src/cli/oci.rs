//! Connectors in OCI registries: pulled and pushed by commands, on the machine of whoever runs them. The host itself never
//! speaks to a registry, so nobody can make it ask somewhere by naming one.
//!
//! The layout is the one of `wkg`. Everything that is pulled has the digest that the manifest says, and the manifest the
//! one that the reference says, if it does.

mod access;
mod manifest;
mod reference;
mod registry;

use std::path::Path;

use jiff::Timestamp;
use reqwest::StatusCode;

pub(super) use self::{access::Credentials, reference::Reference};
use self::{
    manifest::{Manifest, describe},
    registry::{Purpose, Registry},
};
use crate::connector::audit::Interfaces;

/// How registries are spoken to.
pub(super) struct Access {
    /// As whom, said for this one command; none: as nobody, unless the registry asks and something below knows.
    pub(super) credentials: Option<Credentials>,
    /// What the environment says, with the one registry that it is for.
    pub(super) environment: Option<(Option<String>, Credentials)>,
    /// Docker's own file.
    pub(super) docker_config: Option<std::path::PathBuf>,
    /// Whether without TLS is good enough also beyond this machine.
    pub(super) plain_http: bool,
}

/// What was pulled.
pub(super) struct Pulled {
    pub(super) component: Vec<u8>,
    /// The detached signature.
    pub(super) signature: Option<String>,
    /// The same reference, pinned.
    pub(super) pinned: Reference,
}

/// Why nothing was pulled or pushed.
#[derive(Debug, thiserror::Error)]
pub(super) enum OciError {
    #[error("no registry answers at {host}")]
    Unreachable {
        host: String,
        #[source]
        source: reqwest::Error,
    },
    #[error("the registry refuses to {action}: {status}{}", told(said))]
    Refused { action: &'static str, status: StatusCode, said: String },
    #[error(
        "{registry} {}",
        if *known { "does not take these credentials for this" } else { "wants to know who asks: give --username and a password" }
    )]
    Unauthorized { registry: String, known: bool },
    #[error("{what} is larger than {}", size(*limit))]
    TooLarge { what: &'static str, limit: u64 },
    #[error("{what} is not what was asked for: its digest is {found}, not {expected}")]
    Digest { what: &'static str, expected: String, found: String },
    #[error("the artefact cannot be used: {0}")]
    Layout(String),
    #[error("the registry leads to {0}, which is not protected by TLS: --plain-http allows it")]
    Insecure(String),
}

fn told(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(" ({said})") }
}

fn size(bytes: u64) -> String {
    match bytes {
        _ if bytes >= 1 << 20 => format!("{} MiB", bytes >> 20),
        _ if bytes >= 1 << 10 => format!("{} KiB", bytes >> 10),
        _ => format!("{bytes} bytes"),
    }
}

impl Access {
    fn of(&self, registry: &str) -> Option<Credentials> {
        self.credentials
            .clone()
            .or_else(|| self.of_environment(registry))
            .or_else(|| access::stored(self.docker_config.as_deref()?, registry))
    }

    /// The environment stays while references change: what it holds goes to no registry but its own.
    #[allow(clippy::print_stderr, reason = "a hint for whoever runs the command")]
    fn of_environment(&self, registry: &str) -> Option<Credentials> {
        let (own, credentials) = self.environment.as_ref()?;
        if own.as_ref().is_some_and(|own| own.eq_ignore_ascii_case(registry)) {
            return Some(credentials.clone());
        }
        eprintln!("WHARFINGER_REGISTRY_USER is not used: WHARFINGER_REGISTRY does not name {registry}");
        None
    }
}

/// Fetches a component.
pub(super) async fn pull(reference: &Reference, access: &Access) -> Result<Pulled, OciError> {
    let credentials = access.of(&reference.registry);
    let mut registry = Registry::new(reference, Purpose::Pull, credentials, access.plain_http)?;
    let (bytes, digest, kind) = registry.manifest(reference.version()).await?;
    let manifest = Manifest::read(&bytes, &kind)?;
    let layer = manifest.layer()?;
    let component = registry.blob(&layer.digest, layer.size).await?;
    let signature = layer.signature()?.map(str::to_owned);
    Ok(Pulled { component, signature, pinned: reference.pinned(&digest) })
}

/// Uploads a component under a tag. Gives the reference, pinned.
pub(super) async fn push(
    reference: &Reference,
    access: &Access,
    component: Vec<u8>,
    file: &Path,
    signature: Option<&str>,
    interfaces: &Interfaces,
    now: Timestamp,
) -> Result<Reference, OciError> {
    let Some(tag) = reference.tag.as_deref().filter(|_| reference.digest.is_none()) else {
        return Err(OciError::Layout("it is pushed under a tag, not under a digest: name it as …:VERSION".into()));
    };
    let credentials = access.of(&reference.registry);
    let mut registry = Registry::new(reference, Purpose::Push, credentials, access.plain_http)?;
    let name =
        file.file_name().map_or_else(|| format!("{}.wasm", reference.name()), |name| name.to_string_lossy().into());
    let described = describe(&component, &name, signature, interfaces, now);
    let (configuration, manifest) = described.map_err(|error| OciError::Layout(error.to_string()))?;
    registry.upload(component.into()).await?;
    registry.upload(configuration.into()).await?;
    let digest = registry.put_manifest(tag, manifest).await?;
    Ok(reference.pinned(&digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_s_credentials_go_to_its_registry_only() {
        let who = |user: &str| Credentials { user: user.into(), password: String::new().into() };
        let access = |own: Option<&str>, said: Option<&str>| Access {
            credentials: said.map(who),
            environment: Some((own.map(str::to_owned), who("ann"))),
            docker_config: None,
            plain_http: false,
        };
        let asked = |access: Access| access.of("r.example:5000").map(|credentials| credentials.user);
        assert_eq!(asked(access(Some("r.example:5000"), None)).as_deref(), Some("ann"));
        for own in [None, Some("r.example"), Some("r.example:5001"), Some("other.example:5000")] {
            assert_eq!(asked(access(own, None)), None, "{own:?}");
            assert_eq!(asked(access(own, Some("bob"))).as_deref(), Some("bob"), "what is said for this command counts");
        }
    }
}
