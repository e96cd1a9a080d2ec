//! Checking a file that no host has open, however damaged, without writing to it.
//!
//! What the database would write (it repairs what a kill left behind) stays in memory. Whatever is wrong comes back as a
//! message: a panic inside the database, too, which damaged pages can cause.

use std::{
    collections::BTreeMap,
    fmt,
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use redb::{Builder, ReadableDatabase as _, StorageBackend};

use super::{
    super::{
        fault::Fault,
        migrations,
        tables::{ReadRows, WriteRows},
    },
    Outside, Violation, check,
};
use crate::model::{connection::Sealed, id::ConnectionId};

/// Bytes that are kept together of what would be written.
const BLOCK: u64 = 4096;

/// A file that cannot be checked at all.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It is not there, or may not be read.
    #[error("the store {0} cannot be read")]
    Unreadable(String, #[source] io::Error),
    /// Its pages are not what they must be.
    #[error("the file of the store is damaged: {0}; restore it from a backup")]
    Damaged(String),
    /// It is of another version.
    #[error(
        "the store has layout {found}, and this program checks layout {current}: start a host of this version on it first"
    )]
    Layout {
        /// The layout of the file.
        found: u128,
        /// The layout that is checked.
        current: u128,
    },
}

/// All rules that do not hold in a file.
pub fn verify_file(
    path: &Path,
    opens: impl Fn(ConnectionId, &Sealed) -> bool,
    is_whole: impl Fn(&str) -> bool,
) -> Result<Vec<Violation>, FileError> {
    let file = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
    let (len, file) = file.map_err(|e| FileError::Unreadable(path.display().to_string(), e))?;
    if len == 0 {
        return Err(FileError::Damaged("it is empty".into()));
    }
    let overlay = Overlay { file, state: Mutex::new(State { len, len_in_file: len, blocks: BTreeMap::new() }) };
    // Damaged pages can make the database give up in the middle of a computation.
    let checked = catch_unwind(AssertUnwindSafe(|| read(overlay, &Outside { opens: &opens, is_whole: &is_whole })));
    checked.unwrap_or_else(|_| Err(FileError::Damaged("its pages contradict each other".into())))
}

fn read(overlay: Overlay, outside: &Outside<'_>) -> Result<Vec<Violation>, FileError> {
    let mut database =
        Builder::new().set_cache_size(super::super::CACHE_BYTES).create_with_backend(overlay).map_err(damaged)?;
    if !database.check_integrity().map_err(damaged)? {
        return Err(FileError::Damaged("checksums of its pages do not match".into()));
    }
    let transaction = database.begin_read().map_err(damaged)?;
    let found = migrations::found(&transaction).map_err(damaged)?;
    if found != migrations::CURRENT {
        return Err(FileError::Layout { found, current: migrations::CURRENT });
    }
    drop(transaction);
    // Tables that came to this layout later are made, as the next start would: in memory, like all that is written.
    let transaction = database.begin_write().map_err(damaged)?;
    WriteRows::open(&transaction).map_err(damaged)?;
    transaction.commit().map_err(damaged)?;
    let transaction = database.begin_read().map_err(damaged)?;
    let rows = ReadRows::open(&transaction).map_err(damaged)?;
    let checked = check(&rows, outside).map_err(|fault| match fault {
        Fault::Database(error) => damaged(*error),
        other => FileError::Damaged(other.to_string()),
    });
    // Nobody installs or removes anything meanwhile.
    checked.map(|(found, absent)| found.into_iter().chain(absent.into_iter().map(Violation::from)).collect())
}

fn damaged(error: impl fmt::Display) -> FileError {
    FileError::Damaged(error.to_string())
}

/// A file under what would have been written to it.
struct Overlay {
    file: File,
    state: Mutex<State>,
}

struct State {
    len: u64,
    /// As much of the file as still counts: what was cut off is zero when it comes back.
    len_in_file: u64,
    blocks: BTreeMap<u64, Vec<u8>>,
}

impl fmt::Debug for Overlay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Overlay")
    }
}

impl Overlay {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What lies in the file itself, zero beyond its end.
    fn below(&self, state: &State, offset: u64, out: &mut [u8]) -> io::Result<()> {
        out.fill(0);
        let there = state.len_in_file.saturating_sub(offset);
        let there = usize::try_from(there).unwrap_or(usize::MAX).min(out.len());
        self.file.read_exact_at(&mut out[..there], offset)
    }

    /// Does something with each part of a range that lies in one block: the block's number, where in it the part begins,
    /// and where in the range.
    fn parts(
        offset: u64,
        len: usize,
        mut each: impl FnMut(u64, usize, std::ops::Range<usize>) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut done = 0;
        while done < len {
            let at = offset + done as u64;
            let within = usize::try_from(at % BLOCK).unwrap_or_default();
            let take = (BLOCK as usize - within).min(len - done);
            each(at / BLOCK, within, done..done + take)?;
            done += take;
        }
        Ok(())
    }
}

impl StorageBackend for Overlay {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(self.state().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        let state = self.state();
        if offset.checked_add(out.len() as u64).is_none_or(|end| end > state.len) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let len = out.len();
        Self::parts(offset, len, |block, within, range| {
            match state.blocks.get(&block) {
                Some(bytes) => out[range.clone()].copy_from_slice(&bytes[within..within + range.len()]),
                None => self.below(&state, block * BLOCK + within as u64, &mut out[range])?,
            }
            Ok(())
        })?;
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        let mut state = self.state();
        state.len_in_file = state.len_in_file.min(len);
        if len < state.len {
            let kept = len.div_ceil(BLOCK);
            state.blocks.retain(|block, _| *block < kept);
            let last = usize::try_from(len % BLOCK).unwrap_or_default();
            if last > 0
                && let Some(bytes) = state.blocks.get_mut(&(len / BLOCK))
            {
                bytes[last..].fill(0);
            }
        }
        state.len = len;
        Ok(())
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        let mut state = self.state();
        Self::parts(offset, data.len(), |block, within, range| {
            if !state.blocks.contains_key(&block) {
                let mut bytes = vec![0; BLOCK as usize];
                self.below(&state, block * BLOCK, &mut bytes)?;
                state.blocks.insert(block, bytes);
            }
            if let Some(bytes) = state.blocks.get_mut(&block) {
                bytes[within..within + range.len()].copy_from_slice(&data[range]);
            }
            Ok(())
        })?;
        Ok(())
    }
}
