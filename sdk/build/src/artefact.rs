//! Files that go in and come out: package directories and components.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use crate::error::{At, BuildError, FileError};

/// What a component begins with: the magic of WebAssembly, then version and layer.
const COMPONENT: [u8; 8] = [0, b'a', b's', b'm', 0x0d, 0, 1, 0];

/// The package's directory, absolute.
pub(crate) fn package_dir(package: &Path) -> Result<PathBuf, BuildError> {
    match package.canonicalize() {
        Ok(dir) if dir.join("Cargo.toml").is_file() => Ok(dir),
        _ => Err(BuildError::NoPackage { package: package.to_owned() }),
    }
}

/// Whether the file is a component, as opposed to a core module or anything else.
pub(crate) fn is_component(path: &Path) -> Result<bool, FileError> {
    let mut start = Vec::with_capacity(COMPONENT.len());
    let file = fs::File::open(path).at("open", path)?;
    file.take(COMPONENT.len() as u64).read_to_end(&mut start).at("read", path)?;
    Ok(start == COMPONENT)
}

/// Copies a file to its place, whole or not at all: it is renamed there from a neighbour.
pub(crate) fn place(from: &Path, to: &Path) -> Result<(), FileError> {
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let beside = to.with_file_name(name);
    fs::copy(from, &beside).at("write", &beside)?;
    fs::rename(&beside, to).at("write", to)
}

/// Writes a file to its place, whole or not at all, and not when it stands there already.
pub(crate) fn write(content: &[u8], to: &Path) -> Result<(), FileError> {
    if fs::read(to).is_ok_and(|old| old == content) {
        return Ok(());
    }
    let beside = to.with_extension(format!("{}.tmp", std::process::id()));
    fs::write(&beside, content).at("write", &beside)?;
    fs::rename(&beside, to).at("write", to)
}
