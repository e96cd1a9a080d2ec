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

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

/// More than any key, with room for line ends.
const MAX_FILE: usize = 256;

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
    #[error("{path} is not a master key: it must hold 32 bytes in Base64, as `openssl rand -base64 32` makes them")]
    NotAKey {
        /// Of the key.
        path: PathBuf,
    },
    /// Not a file.
    #[error("the master key {path} is not a regular file")]
    NotAFile {
        /// Of the key.
        path: PathBuf,
    },
}

/// Reads the master key: 32 bytes in Base64, in a file that only its owner can read.
pub fn read(path: &Path) -> Result<Zeroizing<[u8; 32]>, MasterKeyError> {
    let wrap = |source| MasterKeyError::Io { path: path.to_owned(), source };
    let file = File::open(path).map_err(wrap)?;
    // Of the open file, so that nothing can be put in its place between the look and the reading.
    let metadata = file.metadata().map_err(wrap)?;
    if !metadata.is_file() {
        return Err(MasterKeyError::NotAFile { path: path.to_owned() });
    }
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(MasterKeyError::Exposed { path: path.to_owned(), mode });
    }
    let mut text = Zeroizing::new(Vec::with_capacity(MAX_FILE));
    file.take(MAX_FILE as u64).read_to_end(&mut text).map_err(wrap)?;
    let bytes = Zeroizing::new(STANDARD.decode(text.trim_ascii()).unwrap_or_default());
    let key = <[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| MasterKeyError::NotAKey { path: path.to_owned() })?;
    Ok(Zeroizing::new(key))
}

/// Makes a master key, or leaves the one that another start made in the meantime.
pub fn create(path: &Path) -> Result<(), MasterKeyError> {
    create_file(path).map_err(|source| MasterKeyError::Io { path: path.to_owned(), source })
}

fn create_file(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().ok_or_else(|| io::Error::other("it has no file name"))?;
    let mut random = Zeroizing::new([0; 40]);
    SystemRandom::new().fill(random.as_mut_slice()).map_err(|_| io::Error::other("no randomness"))?;
    let (key, suffix) = random.split_at(32);
    let key = Zeroizing::new(format!("{}\n", STANDARD.encode(key)));
    let suffix: String = suffix.iter().map(|byte| format!("{byte:02x}")).collect();
    let temporary = directory.join(format!(".{}.{suffix}", name.to_string_lossy()));
    let written = write(&temporary, key.as_bytes()).and_then(|()| match fs::hard_link(&temporary, path) {
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

    #[test]
    fn a_key_is_private_and_stays() {
        let directory = Directory::new();
        let path = directory.0.join("master.key");
        assert!(matches!(read(&path), Err(MasterKeyError::Io { .. })), "reading makes none");
        create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let key = read(&path).unwrap();
        create(&path).unwrap();
        assert_eq!(read(&path).unwrap(), key, "a key that is there is never replaced");
        assert_eq!(fs::read_dir(&directory.0).unwrap().count(), 1, "no temporary file stays");
    }

    #[test]
    fn starts_at_once_agree_on_one_key() {
        let directory = Directory::new();
        let path = directory.0.join("master.key");
        let start = || {
            create(&path).unwrap();
            read(&path).unwrap()
        };
        let keys: Vec<_> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]));
    }

    #[test]
    fn a_key_that_others_can_read_or_that_is_none_is_refused() {
        let directory = Directory::new();
        let path = directory.0.join("master.key");
        let key = STANDARD.encode([0xA5; 32]);
        for (content, mode, expected) in [
            (key.clone(), 0o640, "open to others (mode 640)"),
            (key.clone(), 0o604, "open to others (mode 604)"),
            (key.clone(), 0o620, "open to others (mode 620)"),
            (STANDARD.encode([1; 31]), 0o600, "must hold 32 bytes"),
            (STANDARD.encode([1; 33]), 0o600, "must hold 32 bytes"),
            (format!("{key}{key}"), 0o600, "must hold 32 bytes"),
            (key[..key.len() - 2].to_owned(), 0o600, "must hold 32 bytes"),
            (String::new(), 0o600, "must hold 32 bytes"),
        ] {
            let _ = fs::remove_file(&path);
            fs::write(&path, &content).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let message = read(&path).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
            assert!(content.is_empty() || !message.contains(&content[..20]), "{message}");
            create(&path).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), content, "a refused key is not replaced");
        }
        assert!(matches!(read(&directory.0), Err(MasterKeyError::NotAFile { .. })));
    }
}
