//! A directory that is made once, by one process, and shared by all later builds.
//!
//! It is made under another name and renamed when complete, so that its existence means completeness: a kill -9 leaves
//! only a half-made neighbour, which the next maker removes. A file lock, which the system releases with the process,
//! lets parallel makers wait for the first.

use std::{
    collections::hash_map::RandomState,
    fs::{self, File, TryLockError},
    hash::BuildHasher,
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
    /// An empty directory to fill; what interrupted makers left there is gone.
    ///
    /// Its name is new each time: the tools of a maker that was killed may run on for a while, and must not write here.
    pub(crate) fn empty_neighbour(&self) -> Result<PathBuf, FileError> {
        for left in self.neighbours()? {
            remove(&left)?;
        }
        let neighbour = self.place.with_extension(format!("partial-{:016x}", RandomState::new().hash_one(())));
        fs::create_dir_all(&neighbour).at("create", &neighbour)?;
        Ok(neighbour)
    }

    /// Puts the filled neighbour in place of what stood there. A kill between the steps leaves nothing there, never half.
    pub(crate) fn publish(&self, neighbour: &Path) -> Result<(), FileError> {
        let old = self.place.with_extension("partial-old");
        remove(&old)?;
        if self.place.exists() {
            fs::rename(&self.place, &old).at("move", &self.place)?;
        }
        fs::rename(neighbour, &self.place).at("publish", &self.place)?;
        remove(&old)
    }

    fn neighbours(&self) -> Result<Vec<PathBuf>, FileError> {
        let (Some(parent), Some(name)) = (self.place.parent(), self.place.file_name()) else { return Ok(Vec::new()) };
        let prefix = format!("{}.partial-", name.to_string_lossy());
        let entries = fs::read_dir(parent).at("list", parent)?;
        let ours = entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix));
        Ok(ours.map(|entry| entry.path()).collect())
    }
}

fn remove(dir: &Path) -> Result<(), FileError> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).at("remove", dir),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, thread, time::Duration};

    use super::*;

    /// A fresh place below the system's directory for temporary files, gone with the test.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new() -> Self {
            let name = format!("component-build-{:016x}", RandomState::new().hash_one(()));
            Self(std::env::temp_dir().join(name))
        }

        fn place(&self) -> PathBuf {
            self.0.join("cache/place")
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn quiet(_: &str) {}

    #[test]
    fn what_an_interrupted_maker_left_is_removed_and_never_used() {
        let scratch = Scratch::new();
        let held = hold(&scratch.place(), quiet).unwrap();
        let left = held.empty_neighbour().unwrap();
        fs::write(left.join("half"), "x").unwrap();
        drop(held);

        let held = hold(&scratch.place(), quiet).unwrap();
        let fresh = held.empty_neighbour().unwrap();
        assert!(!left.exists() && !scratch.place().exists());
        assert_eq!(fs::read_dir(&fresh).unwrap().count(), 0);
    }

    #[test]
    fn a_damaged_place_is_replaced_as_a_whole() {
        let scratch = Scratch::new();
        let held = hold(&scratch.place(), quiet).unwrap();
        for content in ["first", "second"] {
            let fresh = held.empty_neighbour().unwrap();
            fs::write(fresh.join(content), content).unwrap();
            held.publish(&fresh).unwrap();
        }
        assert!(scratch.place().join("second").exists());
        assert!(!scratch.place().join("first").exists());
    }

    #[test]
    fn a_second_maker_waits_for_the_first() {
        let scratch = Scratch::new();
        let first = hold(&scratch.place(), quiet).unwrap();
        let (sender, receiver) = mpsc::channel();
        let place = scratch.place();
        let second = thread::spawn(move || {
            let _held = hold(&place, quiet).unwrap();
            sender.send(place.exists()).unwrap();
        });
        assert!(receiver.recv_timeout(Duration::from_millis(200)).is_err());
        let fresh = first.empty_neighbour().unwrap();
        first.publish(&fresh).unwrap();
        drop(first);
        assert!(receiver.recv_timeout(Duration::from_secs(20)).unwrap());
        second.join().unwrap();
    }
}
