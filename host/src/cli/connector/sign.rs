//! `connector keygen` and `connector sign`.
#![allow(clippy::print_stdout, reason = "this is the command's output")]

use std::{
    fs,
    io::{ErrorKind, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use clap::Args;
use zeroize::Zeroizing;

use super::{super::Exit, file};
use crate::connector::signature::{self, SigningKey};

#[derive(Debug, Args)]
pub(in crate::cli) struct KeygenArgs {
    /// Where to put the private key; an existing file stays as it is
    #[arg(short, long, value_name = "FILE", default_value = "connector.key")]
    output: PathBuf,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct SignArgs {
    /// The component
    file: PathBuf,
    /// A private key, PKCS#8 in PEM; may be given several times
    #[arg(short, long, value_name = "FILE", required = true)]
    key: Vec<PathBuf>,
    /// Leave the component as it is and put the signature beside it, into FILE.sig
    #[arg(long, conflicts_with = "output")]
    detached: bool,
    /// Where to put the signed component, if not in its place
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) fn keygen(args: &KeygenArgs) -> anyhow::Result<Exit> {
    let (key, pem) = SigningKey::generate()?;
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&args.output);
    let mut file = file.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            anyhow::anyhow!("{} is there already: a key is not overwritten", args.output.display())
        }
        _ => anyhow::Error::new(error).context(format!("write {}", args.output.display())),
    })?;
    file.write_all(pem.as_bytes())
        .and_then(|()| file.sync_all())
        .with_context(|| format!("write {}", args.output.display()))?;
    println!("{}", key.public());
    Ok(Exit::Done)
}

pub(super) fn run(args: &SignArgs) -> anyhow::Result<Exit> {
    let keys = read_keys(&args.key)?;
    let mut bytes = file::read(&args.file)?;
    let written = if args.detached {
        let place = file::signature_file(&args.file);
        let known = file::signature(&args.file, None)?;
        // What a key said of this file before, it says anew; the others' signatures stay.
        let ids: Vec<_> = keys.iter().map(|key| key.public().id()).collect();
        let others = known.map(|known| signature::without(&known, &ids)).transpose();
        let mut text = others.with_context(|| format!("read {}", place.display()))?.unwrap_or_default();
        keys.iter().for_each(|key| text.push_str(&signature::detach(&bytes, key)));
        file::write(&place, text.as_bytes())?;
        place
    } else {
        bytes = signed(bytes, &keys)?;
        let place = args.output.clone().unwrap_or_else(|| args.file.clone());
        file::write_alone(&place, &bytes)?;
        place
    };
    for key in &keys {
        println!("{} is signed with {}", written.display(), key.public());
    }
    Ok(Exit::Done)
}

/// The component with a signature of each key.
pub(super) fn signed(mut bytes: Vec<u8>, keys: &[SigningKey]) -> anyhow::Result<Vec<u8>> {
    for key in keys {
        if signature::signers(&bytes, None)?.contains(&key.public().id()) {
            bail!("it is already signed with {}", key.public());
        }
        bytes = signature::embed(&bytes, key)?;
    }
    Ok(bytes)
}

pub(super) fn read_keys(files: &[PathBuf]) -> anyhow::Result<Vec<SigningKey>> {
    files.iter().map(|file| read_key(file)).collect()
}

fn read_key(file: &Path) -> anyhow::Result<SigningKey> {
    let pem = Zeroizing::new(fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?);
    SigningKey::read(&pem).map_err(|error| anyhow::anyhow!("{} {error}", file.display()))
}
