//! Components as files, by digest, in a directory that only the host may enter.
//!
//! A file is written aside, synced and renamed before anything names it, and read only if its bytes still have the digest
//! that is its name. So what a crash leaves behind is at most a file that nobody names.

use std::{
    collections::BTreeSet,
    fs::{DirBuilder, Permissions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::Path,
};

use cap_std::{
    ambient_authority,
    fs::{Dir, OpenOptions, OpenOptionsExt as _},
};

use super::sha256;
use crate::connector::MOST_COMPONENT_MIB;

/// Name of the directory in the data directory.
const DIRECTORY: &str = "connectors";

/// The directory.
pub struct Files(Dir);

impl Files {
    /// That of a data directory, made if it is not there.
    pub fn open(data_dir: &Path) -> io::Result<Self> {
        let path = data_dir.join(DIRECTORY);
        DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
        // Also where somebody else made it, or opened it.
        std::fs::set_permissions(&path, Permissions::from_mode(0o700))?;
        Ok(Self(Dir::open_ambient_dir(path, ambient_authority())?))
    }

    /// That of a data directory to which nothing may be written; none where there is none.
    #[must_use]
    pub fn existing(data_dir: &Path) -> Option<Self> {
        Dir::open_ambient_dir(data_dir.join(DIRECTORY), ambient_authority()).ok().map(Self)
    }

    /// Keeps a component. It is on the disk when this returns.
    pub fn put(&self, digest: &str, bytes: &[u8]) -> io::Result<()> {
        let aside = format!("{digest}.new");
        self.write(&aside, &name(digest), bytes).inspect_err(|_| {
            // A disk that is full must not stay full. Where this fails too, the next start removes it.
            let _ = self.0.remove_file(&aside);
        })
    }

    fn write(&self, aside: &str, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = self.0.open_with(aside, &options)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        self.0.rename(aside, &self.0, name)?;
        // The directory itself: a rename that is only in memory would not outlive a loss of power.
        self.0.open(".")?.sync_all()
    }

    /// A component, as it was kept. The error says what became of it.
    pub fn read(&self, digest: &str) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        // What was kept was no larger than that, whatever is allowed by now.
        let most = u64::from(MOST_COMPONENT_MIB) << 20;
        self.0.open(name(digest))?.take(most).read_to_end(&mut bytes)?;
        if sha256(&bytes) == digest {
            Ok(bytes)
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidData, "it was altered: its digest is another one"))
        }
    }

    /// Whether a component is there as it was kept.
    #[must_use]
    pub fn is_whole(&self, digest: &str) -> bool {
        self.read(digest).is_ok()
    }

    /// Removes a component.
    pub fn remove(&self, digest: &str) -> io::Result<()> {
        self.0.remove_file(name(digest))
    }

    /// Removes everything but these.
    pub fn sweep(&self, known: &BTreeSet<String>) -> io::Result<usize> {
        let mut removed = 0;
        for entry in self.0.entries()? {
            let entry = entry?;
            // What else lies there is not ours.
            if !entry.file_type()?.is_file() {
                continue;
            }
            let found = entry.file_name();
            let digest = found.to_str().and_then(|name| name.strip_suffix(".wasm"));
            if !digest.is_some_and(|digest| known.contains(digest)) {
                self.0.remove_file(&found)?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}

fn name(digest: &str) -> String {
    format!("{digest}.wasm")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_is_given_back_only_as_it_was() {
        let dir = std::env::temp_dir().join(format!("wharfinger-files-{}", uuid::Uuid::now_v7()));
        assert!(Files::existing(&dir).is_none());
        let files = Files::open(&dir).expect("open");
        let (one, two) = (sha256(b"one"), sha256(b"two"));
        files.put(&one, b"one").expect("put");
        files.put(&two, b"two").expect("put");
        assert_eq!(files.read(&one).expect("read"), b"one");
        std::fs::write(dir.join(DIRECTORY).join(format!("{one}.wasm")), b"eno").expect("altered");
        assert!(files.read(&one).expect_err("altered").to_string().contains("altered"));
        assert!(!files.is_whole(&one) && files.is_whole(&two));
        std::fs::write(dir.join(DIRECTORY).join(format!("{two}.new")), b"tw").expect("half written");
        assert_eq!(files.sweep(&BTreeSet::from([two.clone()])).expect("sweep"), 2);
        assert!(files.is_whole(&two) && files.read(&one).is_err());
        files.remove(&two).expect("remove");
        assert!(!files.is_whole(&two));
        let mode = std::fs::metadata(dir.join(DIRECTORY)).expect("directory").permissions();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o700);
        std::fs::remove_dir_all(&dir).expect("removed");
    }

    #[test]
    fn what_cannot_be_kept_leaves_nothing_and_the_directory_is_closed_again() {
        let dir = std::env::temp_dir().join(format!("wharfinger-files-{}", uuid::Uuid::now_v7()));
        let place = dir.join(DIRECTORY);
        std::fs::create_dir_all(&place).expect("made by somebody else");
        std::fs::set_permissions(&place, Permissions::from_mode(0o755)).expect("open to all");
        let files = Files::open(&dir).expect("open");
        assert_eq!(std::fs::metadata(&place).expect("directory").permissions().mode() & 0o777, 0o700);
        let digest = sha256(b"one");
        // The bytes are written, and cannot be put in their place.
        let in_the_way = place.join(name(&digest));
        std::fs::create_dir_all(in_the_way.join("full")).expect("in the way");
        files.put(&digest, b"one").expect_err("in the way");
        let left: Vec<_> = std::fs::read_dir(&place).expect("directory").map(|e| e.expect("entry").path()).collect();
        assert_eq!(left, [in_the_way]);
        std::fs::remove_dir_all(&dir).expect("removed");
    }
}
