//! A directory that is made once, by one process, and shared by all later builds.
//!
//! It is made under another name and renamed when complete, so that its existence means completeness: a kill -9 leaves
//! only a half-made neighbour, which the next maker removes. A file lock, which the system releases with the process,
//! lets parallel makers wait for the first.

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
};

use crate::error::{At, FileError};

/// A place in the cache, held by this process alone until dropped.
pub(crate) struct Held {
    place: PathBuf,
    _lock: File,
}

/// Waits until this process alone may fill the place.
pub(crate) fn hold(place: &Path, progress: fn(&str)) -> Result<Held, FileError> {
    if let Some(parent) = place.parent() {
        fs::create_dir_all(parent).at("create", parent)?;
    }
    let path = place.with_extension("lock");
    let lock = File::options().create(true).truncate(false).write(true).open(&path).at("open", &path)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            progress("another build prepares the WebAssembly toolchain; waiting for it");
            lock.lock().at("lock", &path)?;
        }
        Err(TryLockError::Error(source)) => return Err(source).at("lock", &path),
    }
    Ok(Held { place: place.to_owned(), _lock: lock })
}

impl Held {
    /// An empty directory to fill; what an interrupted maker left there is gone.
    pub(crate) fn empty_neighbour(&self) -> Result<PathBuf, FileError> {
        let neighbour = self.place.with_extension("partial");
        remove(&neighbour)?;
        fs::create_dir_all(&neighbour).at("create", &neighbour)?;
        Ok(neighbour)
    }

    /// Puts the filled neighbour in place of what stood there.
    pub(crate) fn publish(&self, neighbour: &Path) -> Result<(), FileError> {
        let old = self.place.with_extension("old");
        remove(&old)?;
        if self.place.exists() {
            fs::rename(&self.place, &old).at("move", &self.place)?;
        }
        fs::rename(neighbour, &self.place).at("publish", &self.place)?;
        remove(&old)
    }
}

fn remove(dir: &Path) -> Result<(), FileError> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).at("remove", dir),
        _ => Ok(()),
    }
}
