//! The two keys a host begins with: the master key that seals secrets, and the first administrator's API key.

use std::{
    fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};
use zeroize::Zeroizing;

use crate::{
    api::caller,
    config::Config,
    db::Db,
    egress::vault::master_key,
    model::{
        id::PrincipalId,
        principal::{Permission, Principal},
        sight::Sight,
    },
};

/// The built-in administrator has the same id in every store, so that a key given by file replaces the one before.
const ADMINISTRATOR: u128 = 1;

/// Shortest key that is taken from a file: it must not be guessed.
const MIN_KEY_CHARS: usize = 20;

/// Makes a directory that only its owner can enter, if it is not there.
pub(super) fn private_dir(dir: &Path) -> std::io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Where the key that seals secrets stands.
pub(super) fn master_key_file(config: &Config) -> PathBuf {
    config.master_key_file.clone().unwrap_or_else(|| config.data_dir.join("master.key"))
}

/// The key that seals secrets: from the file that the operator names, or the data directory's own, made on first use.
pub(super) fn master_key(config: &Config) -> anyhow::Result<Zeroizing<[u8; 32]>> {
    let file = master_key_file(config);
    if config.master_key_file.is_none() && !file.exists() {
        ensure!(
            !config.data_dir.join("wharfinger.redb").exists(),
            "{} is gone, but the store is there: put the key back, or name it in WHARFINGER_MASTER_KEY_FILE",
            file.display()
        );
        master_key::create(&file)?;
    }
    Ok(master_key::read(&file)?)
}

/// Sees to it that an administrator has a key.
pub(super) async fn administrator(db: &Db, config: &Config, announce: Option<fn(&str)>) -> anyhow::Result<()> {
    let key = match &config.admin_key_file {
        Some(file) => read_api_key(file)?,
        None if db.has_principals().await? => return Ok(()),
        None => {
            let key = caller::new_token("whf_").map_err(|e| anyhow::anyhow!(e.message().to_owned()))?;
            if let Some(announce) = announce {
                announce(&key);
            }
            Zeroizing::new(key)
        }
    };
    let digest = caller::token_digest(&key);
    if db.principal_by_key(digest).await?.is_some() {
        return Ok(());
    }
    let administrator = Principal {
        id: PrincipalId::from_u128(ADMINISTRATOR),
        name: "Administrator".into(),
        email: None,
        permissions: vec![
            Permission::ApplicationAdmin,
            Permission::Governance,
            Permission::CreateDataSource,
            Permission::UserAdmin,
        ],
        sight: Sight::All,
    };
    db.put_principal(administrator, digest).await?;
    Ok(())
}

fn read_api_key(file: &Path) -> anyhow::Result<Zeroizing<String>> {
    let text = Zeroizing::new(
        fs::read_to_string(file).with_context(|| format!("read the administrator's key {}", file.display()))?,
    );
    let key = text.trim();
    ensure!(
        key.chars().count() >= MIN_KEY_CHARS && key.bytes().all(|b| b.is_ascii_graphic()),
        "{} is not an API key: it must have at least {MIN_KEY_CHARS} characters, printable ASCII without spaces",
        file.display()
    );
    Ok(Zeroizing::new(key.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_master_key_is_made_once_for_its_owner_only() {
        let dir = std::env::temp_dir().join(format!("wharfinger-keys-{}", uuid::Uuid::now_v7()));
        private_dir(&dir).expect("dir");
        let config = Config::in_dir(&dir);
        let first = master_key(&config).expect("made");
        assert_eq!(*first, *master_key(&config).expect("read"));
        let mode = fs::metadata(dir.join("master.key")).expect("file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::remove_file(dir.join("master.key")).expect("removed");
        fs::write(dir.join("wharfinger.redb"), b"").expect("store");
        let error = master_key(&config).expect_err("a new key would open nothing").to_string();
        assert!(error.contains("put the key back"), "{error}");
        fs::remove_dir_all(&dir).expect("cleaned");
    }

    #[test]
    fn a_weak_key_is_not_taken() {
        let file = std::env::temp_dir().join(format!("wharfinger-key-{}", uuid::Uuid::now_v7()));
        for (text, good) in [("short", false), ("with spaces in it, but long", false), ("0123456789abcdefghij\n", true)]
        {
            fs::write(&file, text).expect("file");
            assert_eq!(read_api_key(&file).is_ok(), good, "{text:?}");
        }
        fs::remove_file(&file).expect("cleaned");
    }
}
