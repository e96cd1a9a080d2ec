//! Work on the data directory of a host that is stopped.

use anyhow::Context;

use super::{STORE, keys, lock};
use crate::{
    config::Config,
    db::verify::{Violation, verify_file},
    egress::vault::{Vault, master_key},
    registry::files::Files,
};

/// Checks a data directory against every rule of the store. Nothing is written; a host that runs on it is refused.
pub fn verify(config: &Config) -> anyhow::Result<Vec<Violation>> {
    let dir = &config.data_dir;
    let store = dir.join(STORE);
    anyhow::ensure!(store.exists(), "there is no store in the data directory {}", dir.display());
    let _lock = lock(dir)?;
    let file = keys::master_key_file(config);
    let key = master_key::read(&file).with_context(|| {
        format!(
            "read the master key {}: without it nobody can tell whether the stored credentials open",
            file.display()
        )
    })?;
    let vault = Vault::new(&key);
    let files = Files::existing(dir);
    let is_whole = |digest: &str| files.as_ref().is_some_and(|files| files.is_whole(digest));
    Ok(verify_file(&store, |connection, sealed| vault.open(connection, sealed).is_ok(), is_whole)?)
}
