//! Files of components and their detached signatures.

use std::{
    fs,
    io::{ErrorKind, Write as _},
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
    // Nobody can put a link there first: the name cannot be guessed, and what is there is not opened.
    let mut aside = file.as_os_str().to_owned();
    aside.push(format!(".{}.part", uuid::Uuid::new_v4()));
    let aside = PathBuf::from(aside);
    let write = || {
        fs::File::create_new(&aside)?.write_all(bytes)?;
        fs::rename(&aside, file)
    };
    write().with_context(|| {
        let _ = fs::remove_file(&aside);
        format!("write {}", file.display())
    })
}

/// Writes a component without a signature beside it: one that lies there is for the bytes that were there before, and goes.
pub(super) fn write_alone(file: &Path, component: &[u8]) -> anyhow::Result<()> {
    let beside = signature_file(file);
    let is_there = beside.exists();
    write_signed(file, component, None)?;
    if is_there {
        eprintln!("removed {}: it was for what {} held before", beside.display(), file.display());
    }
    Ok(())
}

/// Writes a component and its detached signature. Cut off at any point, no signature lies beside what it is not for.
pub(super) fn write_signed(file: &Path, component: &[u8], signature: Option<&str>) -> anyhow::Result<()> {
    let beside = signature_file(file);
    // One that is there belongs to what this file was before.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("remove {}", beside.display()));
        }
        _ => {}
    }
    write(file, component)?;
    signature.map_or(Ok(()), |signature| write(&beside, format!("{}\n", signature.trim()).as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_is_written_whole_and_no_signature_outlives_what_it_is_for() {
        let dir = std::env::temp_dir().join(format!("wharfinger-file-{}", uuid::Uuid::now_v7()));
        fs::create_dir(&dir).expect("directory");
        let (file, beside) = (dir.join("a.wasm"), dir.join("a.wasm.sig"));
        // A link under the name that was once used leads nowhere.
        let victim = dir.join("victim");
        fs::write(&victim, "kept").expect("written");
        let trap = dir.join(format!("a.wasm.{}.part", std::process::id()));
        std::os::unix::fs::symlink(&victim, &trap).expect("link");
        write_signed(&file, b"one", Some(" signed \n")).expect("written");
        assert_eq!(fs::read(&victim).expect("read"), b"kept");
        assert_eq!(
            (fs::read(&file).expect("read"), fs::read(&beside).expect("read")),
            (b"one".into(), b"signed\n".into())
        );
        assert_eq!(fs::read_dir(&dir).expect("directory").count(), 4, "nothing half written is left");
        // The component cannot be written: the old signature is gone first.
        fs::remove_file(&file).expect("removed");
        fs::create_dir(&file).expect("in the way");
        write_signed(&file, b"two", Some("signed")).expect_err("in the way");
        assert!(!beside.exists());
        let _ = fs::remove_dir_all(&dir);
    }
}
