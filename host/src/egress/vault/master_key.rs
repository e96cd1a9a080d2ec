//! The master key's file: made at the first start, refused when anybody but its owner could read it.
//!
//! The key is written to a temporary file of its own name, flushed, and then linked to its place: a crash at any
//! instant leaves either no key or a whole one, and two starts at once agree on the one that was linked first.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use super::Vault;

/// A master key that cannot be used. Never shows any of it.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// The file cannot be read or written.
    #[error("the master key {path} cannot be used")]
    Io {
        /// Of the key.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others than its owner may read or change it.
    #[error(
        "the master key {path} is open to others (mode {mode:03o}): run `chmod 600` on it, or replace it if they may have read it"
    )]
    Exposed {
        /// Of the key.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Not a key.
    #[error(
        "the master key {path} must be a file of exactly 32 bytes, and it has {length}: restore it from a backup, since credentials that were sealed with it open with no other"
    )]
    Length {
        /// Of the key.
        path: PathBuf,
        /// Its length.
        length: u64,
    },
    /// Not a file.
    #[error("the master key {path} is not a regular file")]
    NotAFile {
        /// Of the key.
        path: PathBuf,
    },
    /// No randomness, or a key that the cipher does not take.
    #[error("no master key could be made: the system's source of randomness failed")]
    Unusable,
}

impl Vault {
    /// A vault with the master key in this file, which is made when it is not there.
    pub fn load_or_create(path: &Path) -> Result<Self, MasterKeyError> {
        let wrap = |source| MasterKeyError::Io { path: path.to_owned(), source };
        match read(path) {
            Err(MasterKeyError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                create(path).map_err(wrap)?;
                Self::new(&*read(path)?)
            }
            key => Self::new(&*key?),
        }
    }

    /// A vault with the master key in this file, which must be there.
    pub fn load(path: &Path) -> Result<Self, MasterKeyError> {
        Self::new(&*read(path)?)
    }
}

fn read(path: &Path) -> Result<Zeroizing<[u8; 32]>, MasterKeyError> {
    let wrap = |source| MasterKeyError::Io { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(wrap)?;
    // Of the open file, so that nothing can be put in its place between the look and the reading.
    let metadata = file.metadata().map_err(wrap)?;
    if !metadata.is_file() {
        return Err(MasterKeyError::NotAFile { path: path.to_owned() });
    }
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(MasterKeyError::Exposed { path: path.to_owned(), mode });
    }
    if metadata.len() != 32 {
        return Err(MasterKeyError::Length { path: path.to_owned(), length: metadata.len() });
    }
    let mut key = Zeroizing::new([0; 32]);
    file.read_exact(key.as_mut_slice()).map_err(wrap)?;
    Ok(key)
}

fn create(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().ok_or_else(|| io::Error::other("it has no file name"))?;
    let mut random = Zeroizing::new([0; 40]);
    SystemRandom::new().fill(random.as_mut_slice()).map_err(|_| io::Error::other("no randomness"))?;
    let (key, suffix) = random.split_at(32);
    let suffix: String = suffix.iter().map(|byte| format!("{byte:02x}")).collect();
    let temporary = directory.join(format!(".{}.{suffix}", name.to_string_lossy()));
    let written = write(&temporary, key).and_then(|()| match fs::hard_link(&temporary, path) {
        // Another start was faster: its key is the key.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    });
    // Left behind only by a crash between the two: readable by the owner alone, and no longer of use to anybody when
    // the link was not made.
    let removed = fs::remove_file(&temporary);
    written?;
    removed?;
    File::open(directory)?.sync_all()
}

fn write(path: &Path, key: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(key)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        egress::vault::Secrets,
        model::{connection::Sealed, id::ConnectionId},
    };

    struct Directory(PathBuf);

    impl Directory {
        fn new() -> Self {
            let path = std::env::temp_dir().join(format!("wharfinger-key-{}", uuid::Uuid::new_v4()));
            fs::create_dir(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn seal(vault: &Vault, id: ConnectionId) -> Sealed {
        vault.seal(id, &Secrets([("token".to_owned(), Zeroizing::new("x".to_owned()))].into())).unwrap()
    }

    #[test]
    fn the_first_start_makes_a_private_key_and_later_ones_keep_it() {
        let directory = Directory::new();
        let path = directory.0.join("master.key");
        assert!(Vault::load(&path).is_err(), "nothing is made where a key must be");
        let id = ConnectionId::generate();
        let sealed = seal(&Vault::load_or_create(&path).unwrap(), id);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert!(Vault::load_or_create(&path).unwrap().open(id, &sealed).is_ok());
        assert!(Vault::load(&path).unwrap().open(id, &sealed).is_ok());
        assert_eq!(fs::read_dir(&directory.0).unwrap().count(), 1, "no temporary file stays");
    }

    #[test]
    fn starts_at_once_agree_on_one_key() {
        let directory = Directory::new();
        let path = directory.0.join("master.key");
        let id = ConnectionId::generate();
        let vaults: Vec<Vault> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..8).map(|_| scope.spawn(|| Vault::load_or_create(&path).unwrap())).collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        let sealed = seal(&vaults[0], id);
        assert!(vaults.iter().all(|vault| vault.open(id, &sealed).is_ok()));
    }

    #[test]
    fn a_key_that_others_can_read_or_that_is_none_is_refused() {
        let directory = Directory::new();
        let path = directory.0.join("master.key");
        for (content, mode, expected) in [
            (vec![1; 32], 0o640, "open to others (mode 640)"),
            (vec![1; 32], 0o604, "open to others (mode 604)"),
            (vec![1; 32], 0o620, "open to others (mode 620)"),
            (vec![1; 31], 0o600, "exactly 32 bytes, and it has 31"),
            (vec![1; 33], 0o600, "exactly 32 bytes, and it has 33"),
            (vec![], 0o600, "exactly 32 bytes, and it has 0"),
        ] {
            let _ = fs::remove_file(&path);
            fs::write(&path, &content).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let message = Vault::load_or_create(&path).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
            assert_eq!(fs::read(&path).unwrap(), content, "a refused key is not replaced");
        }
        assert!(matches!(Vault::load(&directory.0), Err(MasterKeyError::NotAFile { .. })));
    }
}
