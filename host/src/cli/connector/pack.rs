//! `connector pack`: the file to hand out.
#![allow(clippy::print_stdout, reason = "this is the command's output")]

use std::path::PathBuf;

use clap::Args;

use super::{super::Exit, file, sign};
use crate::{
    config::own_program,
    connector::{Connectors, Setup, signature, strip},
};

#[derive(Debug, Args)]
pub(in crate::cli) struct PackArgs {
    /// The component
    file: PathBuf,
    /// Where to put it; NAME-VERSION.wasm unless it is said
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// A private key to sign it with, PKCS#8 in PEM; may be given several times
    #[arg(short, long, value_name = "FILE")]
    key: Vec<PathBuf>,
}

pub(super) async fn run(args: PackArgs) -> anyhow::Result<Exit> {
    let keys = sign::read_keys(&args.key)?;
    let bytes = file::read(&args.file)?;
    // Signatures of what it was before would only be wrong.
    let packed = strip::without_debug_information(signature::strip(&bytes)?);
    let packed = sign::signed(packed, &keys)?;
    // What is handed out is what is tried: the very bytes.
    let connector = Connectors::new(Setup::for_any_host(own_program()))?.describe(&packed).await?;
    let about = &connector.descriptor;
    let place = args.output.unwrap_or_else(|| format!("{}-{}.wasm", about.name, about.version).into());
    file::write_alone(&place, &packed)?;
    println!("{}: {} {}", place.display(), about.name, about.version);
    println!("sha256:{}, {} bytes ({} before)", connector.digest, packed.len(), bytes.len());
    match keys.as_slice() {
        [] => println!("not signed"),
        keys => keys.iter().for_each(|key| println!("signed with {}", key.public())),
    }
    Ok(Exit::Done)
}
