//! `connector push` and `connector pull`.
#![allow(clippy::print_stdout, reason = "this is the command's output")]

use std::{io::Read as _, path::PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use zeroize::Zeroizing;

use super::{
    super::{
        Exit,
        oci::{self, Access, Credentials, Reference},
    },
    file,
};
use crate::{
    clock::Clock,
    config::{Config, Flags, RegistryConfig, environment},
    connector::{
        audit,
        signature::{self, Checked, InvalidSignature},
    },
    model::signature::PublicKey,
};

/// How a registry is spoken to. Without a name, the one from the environment or from `docker login` is used.
#[derive(Debug, Args)]
pub(in crate::cli) struct RegistryArgs {
    /// Name at the registry; the password comes from standard input
    #[arg(long, value_name = "NAME", requires = "password_stdin")]
    username: Option<String>,
    /// Read the password from standard input
    #[arg(long, requires = "username")]
    password_stdin: bool,
    /// Speak to the registry without TLS, also beyond this machine
    #[arg(long)]
    plain_http: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct PushArgs {
    /// The component
    file: PathBuf,
    /// Where to: registry.example/team/connector:VERSION
    reference: Reference,
    /// Its detached signature, to go with it; FILE.sig if that is there
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
    /// A public key (ed25519:…) that signatures are checked against before anything is sent; may be given several times
    #[arg(long, value_name = "KEY")]
    key: Vec<PublicKey>,
    #[command(flatten)]
    registry: RegistryArgs,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct PullArgs {
    /// What: registry.example/team/connector:VERSION, or pinned with @sha256:…
    reference: Reference,
    /// Where to put it; NAME.wasm unless it is said
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    registry: RegistryArgs,
}

impl RegistryArgs {
    /// With what the environment and standard input say.
    pub(super) fn access(self) -> anyhow::Result<Access> {
        let config = RegistryConfig::load(&environment())?;
        let credentials = match self.username {
            Some(user) => {
                let mut password = Zeroizing::new(String::new());
                std::io::stdin().read_to_string(&mut password).context("read the password from standard input")?;
                Some((user, Zeroizing::new(password.trim_end_matches(['\r', '\n']).to_owned())))
            }
            None => None,
        };
        let known = |(user, password)| Credentials { user, password };
        Ok(Access {
            credentials: credentials.map(known),
            environment: config.credentials.map(|pair| (config.registry, known(pair))),
            docker_config: config.docker_config,
            plain_http: self.plain_http,
        })
    }
}

pub(super) async fn push(args: PushArgs) -> anyhow::Result<Exit> {
    let access = args.registry.access()?;
    let component = file::read(&args.file)?;
    let interfaces = audit::interfaces(&component)?;
    let signature = file::signature(&args.file, args.signature.as_deref())?;
    check_signature(&component, signature.as_deref(), &args.key)?;
    let signature = signature.map(String::from_utf8).transpose()?;
    let now = Clock::system().now();
    let pushed =
        oci::push(&args.reference, &access, component, &args.file, signature.as_deref(), &interfaces, now).await?;
    println!("{pushed}");
    Ok(Exit::Done)
}

/// Refuses a detached signature that is not of these bytes, as far as the key is known; says so where it is not.
fn check_signature(component: &[u8], beside: Option<&[u8]>, keys: &[PublicKey]) -> anyhow::Result<()> {
    let trusted = Config::load(&Flags::default(), &environment())?.trust.keys;
    let known: Vec<PublicKey> = trusted.into_iter().chain(keys.iter().cloned()).collect();
    for (key, found) in signature::check(component, beside, &known)? {
        match found {
            Checked::Right => {}
            Checked::Wrong => bail!(InvalidSignature::Wrong(key)),
            Checked::Unknown => {
                eprintln!("the signature names key {key}, which is not known here: not checked (see --key)")
            }
        }
    }
    Ok(())
}

pub(super) async fn pull(args: PullArgs) -> anyhow::Result<Exit> {
    let access = args.registry.access()?;
    let pulled = oci::pull(&args.reference, &access).await?;
    // Nothing is kept of what no host would take.
    audit::interfaces(&pulled.component)?;
    let place = args.output.unwrap_or_else(|| format!("{}.wasm", args.reference.name()).into());
    file::write_signed(&place, &pulled.component, pulled.signature.as_deref())?;
    println!("{}", pulled.pinned);
    Ok(Exit::Done)
}
