//! Where a component to be installed comes from. What lies in a registry is fetched here, by whoever runs the command, and
//! handed to the host with where it came from: the host itself asks no registry.

use std::path::Path;

use anyhow::Context as _;

use super::{file, registry::RegistryArgs};
use crate::cli::oci::{self, Reference};

/// A component to be installed.
pub(super) struct Source {
    pub(super) component: Vec<u8>,
    /// Its detached signature, on one line.
    pub(super) signature: Option<String>,
    /// Where it was fetched, pinned.
    pub(super) origin: Option<String>,
}

/// Reads a file, or fetches `oci://…`. A signature that is named counts before the one that lies beside.
pub(super) async fn fetch(what: &str, signature: Option<&Path>, registry: RegistryArgs) -> anyhow::Result<Source> {
    let (component, beside, origin) = if what.starts_with("oci://") {
        let reference: Reference = what.parse().with_context(|| format!("{what:?} names no artefact"))?;
        let pulled = oci::pull(&reference, &registry.access()?).await?;
        let named = signature.map(|signature| file::signature(signature, Some(signature))).transpose()?.flatten();
        let beside = named.or(pulled.signature.map(String::into_bytes));
        (pulled.component, beside, Some(format!("oci://{}", pulled.pinned)))
    } else {
        let path = Path::new(what);
        (file::read(path)?, file::signature(path, signature)?, None)
    };
    let line = beside.map(|text| String::from_utf8(text).context("the signature is no text")).transpose()?;
    let signature = line.map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "));
    Ok(Source { component, signature, origin })
}
