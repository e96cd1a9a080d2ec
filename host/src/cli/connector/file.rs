//! Files of components and their detached signatures.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

/// A component's bytes.
pub(super) fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("read {}", file.display()))
}

/// Where a component's detached signature is, unless it is said.
pub(super) fn signature_file(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".sig");
    name.into()
}

/// The detached signature of a component: from the file that is named, or from the one beside the component if there is one.
pub(super) fn signature(file: &Path, named: Option<&Path>) -> anyhow::Result<Option<Vec<u8>>> {
    let beside = signature_file(file);
    match fs::read(named.unwrap_or(&beside)) {
        Err(error) if error.kind() == ErrorKind::NotFound && named.is_none() => Ok(None),
        found => found.map(Some).with_context(|| format!("read {}", named.unwrap_or(&beside).display())),
    }
}

/// Writes a file, which is there as a whole or as it was before.
pub(super) fn write(file: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let mut aside = file.as_os_str().to_owned();
    aside.push(format!(".{}.part", std::process::id()));
    let aside = PathBuf::from(aside);
    fs::write(&aside, bytes).and_then(|()| fs::rename(&aside, file)).with_context(|| {
        let _ = fs::remove_file(&aside);
        format!("write {}", file.display())
    })
}
