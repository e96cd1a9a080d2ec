//! Machine code of components that were compiled before, in a directory of the host's own.
//!
//! Machine code is run as it is, so nothing is taken from a file that this installation did not write: every file ends
//! with a tag over its name and content, made with a key that only the host knows. A file whose tag is wrong is removed and
//! its component compiled again; it is never looked into. Losing the directory costs time and nothing else.

use std::{
    fmt, io,
    io::{Read as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::SystemTime,
};

use anyhow::Context as _;
use cap_std::{
    ambient_authority,
    fs::{Dir, DirBuilder, DirBuilderExt as _, OpenOptions, OpenOptionsExt as _, Permissions},
};
use ring::hmac;

/// The tag's length.
const TAG: usize = 32;
/// How large all files together may get.
const MAX_BYTES: u64 = 2 << 30;
/// How large one may be.
const MAX_FILE: u64 = 600 << 20;
/// The end of a finished file's name.
const SUFFIX: &str = ".code";

/// The directory, and the key that tells own files from others.
#[derive(Clone)]
pub struct CodeCache {
    shared: Arc<Shared>,
}

struct Shared {
    dir: Dir,
    key: hmac::Key,
    max_bytes: u64,
    /// What loaded components run. Held for a look at a time.
    held: Mutex<Vec<Weak<CodeKey>>>,
}

impl fmt::Debug for CodeCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CodeCache")
    }
}

/// What code is for: a component, this version of the host, and an engine's settings.
#[derive(Clone, Debug)]
pub(super) struct CodeKey(String);

impl CodeKey {
    pub(super) fn new(digest: &str, compatibility: &str) -> Self {
        Self(format!("{}{digest}{SUFFIX}", prefix(compatibility)))
    }
}

fn prefix(compatibility: &str) -> String {
    format!("{}-{compatibility}-", env!("CARGO_PKG_VERSION"))
}

impl CodeCache {
    /// The cache in a directory, which is made, and closed to everybody else, where it is not.
    pub fn open(path: &Path, key: hmac::Key) -> anyhow::Result<Self> {
        Self::bounded(path, key, MAX_BYTES)
    }

    fn bounded(path: &Path, key: hmac::Key, max_bytes: u64) -> anyhow::Result<Self> {
        let open = || -> io::Result<Dir> {
            let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let name = path.file_name().ok_or_else(|| io::Error::other("it has no name"))?;
            let parent = Dir::open_ambient_dir(parent, ambient_authority())?;
            let mut builder = DirBuilder::new();
            match parent.create_dir_with(name, builder.mode(0o700)) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
            parent.set_permissions(name, Permissions::from_std(std::fs::Permissions::from_mode(0o700)))?;
            parent.open_dir(name)
        };
        let dir = open().with_context(|| format!("open the directory of compiled code {}", path.display()))?;
        Ok(Self { shared: Arc::new(Shared { dir, key, max_bytes, held: Mutex::default() }) })
    }

    /// Removes what other versions of the host left, and what a crash left half written. For a directory that nobody else
    /// uses.
    pub(super) fn sweep(&self, compatibility: &str) {
        let own = prefix(compatibility);
        for (name, _, _) in self.files() {
            if !(name.starts_with(&own) && name.ends_with(SUFFIX)) {
                self.remove(&name);
            }
        }
    }

    /// Code that this installation compiled. Anything else under the name is removed.
    pub(super) fn get(&self, key: &CodeKey) -> Option<Vec<u8>> {
        let file = match self.read(&key.0) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(file = key.0, %error, "compiled code cannot be read: the component is compiled again");
                self.remove(&key.0);
                return None;
            }
        };
        let own = file.split_last_chunk::<TAG>().is_some_and(|(code, tag)| self.is_tag(&key.0, code, tag));
        if !own {
            tracing::error!(
                target: "security",
                file = key.0,
                "a file of compiled code is not as this host wrote it, was removed, and its component is compiled again: \
                 find out who can write to the data directory"
            );
            self.remove(&key.0);
            return None;
        }
        self.touch(&key.0);
        let mut code = file;
        code.truncate(code.len() - TAG);
        Some(code)
    }

    /// Code under this key makes no room for other code as long as the key is in use: the next start needs it.
    pub(super) fn hold(&self, key: &Arc<CodeKey>) {
        let mut held = self.held();
        held.retain(|key| key.strong_count() > 0);
        held.push(Arc::downgrade(key));
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Vec<Weak<CodeKey>>> {
        self.shared.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps code for the next start. Where that fails, the next start takes longer.
    pub(super) fn put(&self, key: &CodeKey, code: &[u8]) {
        let temporary = format!(".{}.{}", key.0, uuid::Uuid::new_v4());
        if let Err(error) = self.write(&temporary, key, code) {
            tracing::warn!(file = key.0, %error, "compiled code could not be kept: the next start compiles it again");
            let _ = self.shared.dir.remove_file(&temporary);
        }
        self.make_room(key);
    }

    fn write(&self, temporary: &str, key: &CodeKey, code: &[u8]) -> io::Result<()> {
        let dir = &self.shared.dir;
        let tag = self.tag(&key.0, code);
        let mut options = OpenOptions::new();
        let mut file = dir.open_with(temporary, options.write(true).create_new(true).mode(0o600))?;
        file.write_all(code)?;
        file.write_all(tag.as_ref())?;
        file.sync_all()?;
        dir.rename(temporary, dir, &key.0)
    }

    /// Made over name and code: a file that is moved to another name is not what it says.
    fn tag(&self, name: &str, code: &[u8]) -> hmac::Tag {
        let mut tag = hmac::Context::with_key(&self.shared.key);
        [name.as_bytes(), &[0], code].into_iter().for_each(|part| tag.update(part));
        tag.sign()
    }

    fn is_tag(&self, name: &str, code: &[u8], tag: &[u8; TAG]) -> bool {
        // Tags of the tags are compared, in constant time, so that nobody finds one byte by byte.
        let expected = hmac::sign(&self.shared.key, self.tag(name, code).as_ref());
        hmac::verify(&self.shared.key, tag, expected.as_ref()).is_ok()
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let file = self.shared.dir.open(name)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.len() > MAX_FILE {
            return Err(io::Error::other("it is no file of ours"));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default());
        file.take(MAX_FILE).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// What is used is not what makes room first. Where the time cannot be set, it is only compiled again.
    #[allow(clippy::disallowed_methods, reason = "compared with times that the file system gives, not with the host's")]
    fn touch(&self, name: &str) {
        let _ = self.shared.dir.open(name).and_then(|file| file.into_std().set_modified(SystemTime::now()));
    }

    /// Removes what was not used for longest until all together are small enough; what was asked for just now and
    /// what is in use stay.
    fn make_room(&self, newest: &CodeKey) {
        let held: Vec<_> = self.held().iter().filter_map(Weak::upgrade).collect();
        let mut files = self.files();
        files.sort_by_key(|(_, _, written)| *written);
        let mut total: u64 = files.iter().map(|(_, size, _)| size).sum();
        for (name, size, _) in files {
            if total <= self.shared.max_bytes {
                break;
            }
            if name != newest.0 && held.iter().all(|key| key.0 != name) {
                self.remove(&name);
                total = total.saturating_sub(size);
            }
        }
    }

    /// Name, size and time of every entry.
    fn files(&self) -> Vec<(String, u64, SystemTime)> {
        let Ok(entries) = self.shared.dir.entries() else { return Vec::new() };
        entries
            .flatten()
            .filter_map(|entry| {
                let metadata = entry.metadata().ok()?;
                let written = metadata.modified().map_or(SystemTime::UNIX_EPOCH, cap_std::time::SystemTime::into_std);
                Some((entry.file_name().to_string_lossy().into_owned(), metadata.len(), written))
            })
            .collect()
    }

    fn remove(&self, name: &str) {
        let dir = &self.shared.dir;
        let removed = match dir.symlink_metadata(name) {
            Ok(found) if found.is_dir() => dir.remove_dir_all(name),
            _ => dir.remove_file(name),
        };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(file = name, %error, "a file of compiled code could not be removed");
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
