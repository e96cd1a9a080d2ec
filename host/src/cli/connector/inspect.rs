//! `connector inspect`: a component before anybody installs it. It is asked what it is, with nothing granted.
#![allow(clippy::print_stdout, reason = "this is the command's output")]

use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value, json};

use super::{
    super::{Exit, Output, table::shown},
    file,
};
use crate::{
    config::{Config, Flags, environment, own_program},
    connector::{
        Connectors, Setup, audit,
        signature::{self, Checked},
    },
    model::signature::{KeyId, PublicKey, SignatureState, Trust},
};

#[derive(Debug, Args)]
pub(in crate::cli) struct InspectArgs {
    /// The component
    file: PathBuf,
    /// Its detached signature; FILE.sig if that is there
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
    /// Configuration file (TOML) of the host whose trusted keys count
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A public key (ed25519:…) to check against as well; may be given several times
    #[arg(long, value_name = "KEY")]
    key: Vec<PublicKey>,
    #[command(flatten)]
    output: Output,
}

pub(super) async fn run(args: InspectArgs) -> anyhow::Result<Exit> {
    let trust = Config::load(&Flags { config: args.config, ..Flags::default() }, &environment())?.trust;
    let bytes = file::read(&args.file)?;
    let beside = file::signature(&args.file, args.signature.as_deref())?;
    let found = inspect(&bytes, beside.as_deref(), &trust, &args.key).await?;
    if args.output.json {
        println!("{found:#}");
    } else {
        print(&found);
    }
    let signed = |key: &PublicKey| found["signature"]["checks"][key.id().to_string()] == MATCHES;
    Ok(if args.key.iter().all(signed) { Exit::Done } else { Exit::Negative })
}

/// All there is to know of a component, as the JSON form says it.
async fn inspect(bytes: &[u8], beside: Option<&[u8]>, trust: &Trust, keys: &[PublicKey]) -> anyhow::Result<Value> {
    let interfaces = audit::interfaces(bytes)?;
    let built = audit::built(bytes)?;
    let state = signature::verify(bytes, beside, &trust.keys);
    let signers: Vec<String> =
        signature::signers(bytes, beside).unwrap_or_default().iter().map(ToString::to_string).collect();
    let admitted = signature::admit(bytes, beside, trust);
    let connector = Connectors::new(Setup::for_any_host(own_program()))?.describe(bytes).await?;
    let about = &connector.descriptor;
    Ok(json!({
        "name": about.name,
        "version": about.version,
        "title": about.title,
        "description": about.description,
        "technology": about.technology.as_str(),
        "digest": connector.digest,
        "size": bytes.len(),
        "witVersion": built.contract,
        "sdkVersion": built.sdk,
        "signature": {
            "state": state.as_ref().map_or("invalid", SignatureState::as_str),
            "keys": signers,
            "checks": checks(bytes, beside, trust, keys),
            "refused": admitted.err().map(|error| error.message),
        },
        "authentication": about.methods.iter().map(|method| &method.id).collect::<Vec<_>>(),
        "permissions": about.permissions(),
        "imports": interfaces.imports,
        "exports": interfaces.exports,
    }))
}

const MATCHES: &str = "matches";
const DOES_NOT_MATCH: &str = "does-not-match";
const NOT_CHECKED: &str = "not-checked";
const NOT_NAMED: &str = "not-named";

/// What is found of each key that is named in the component or on the command line. One key may be named twice: what is
/// wrong counts first, then what is right.
fn checks(bytes: &[u8], beside: Option<&[u8]>, trust: &Trust, keys: &[PublicKey]) -> Map<String, Value> {
    let known: Vec<PublicKey> = trust.keys.iter().chain(keys).cloned().collect();
    let found = signature::check(bytes, beside, &known).unwrap_or_default();
    let mut told: Map<String, Value> = keys.iter().map(|key| (key.id().to_string(), json!(NOT_NAMED))).collect();
    let mut say = |key: &KeyId, what: &str| told.insert(key.to_string(), json!(what));
    for (which, what) in [(Checked::Unknown, NOT_CHECKED), (Checked::Right, MATCHES), (Checked::Wrong, DOES_NOT_MATCH)]
    {
        for (key, _) in found.iter().filter(|(_, found)| *found == which) {
            say(key, what);
        }
    }
    told
}

/// The same for people. A key that nobody has checked against is only a name, which anybody can write there.
fn said(key: &str, what: &str) -> String {
    match what {
        MATCHES => format!("signed by key {key}: checked"),
        DOES_NOT_MATCH => format!("names key {key}: does not match, the file or the signature was changed"),
        NOT_NAMED => format!("no signature names key {key}"),
        _ => format!("names key {key}, which is not known here: not checked"),
    }
}

fn print(found: &Value) {
    let text = |name: &str| found[name].as_str().map(shown).unwrap_or_default();
    println!("{} {} ({})", text("name"), text("version"), text("title"));
    if !text("description").is_empty() {
        println!("{}", text("description"));
    }
    println!("technology  {}", text("technology"));
    println!("digest      sha256:{}, {} bytes", text("digest"), found["size"]);
    let sdk = found["sdkVersion"].as_str().map_or("without the SDK".to_owned(), |sdk| format!("SDK {}", shown(sdk)));
    println!("built with  WIT {}, {sdk}", text("witVersion"));
    println!("signature   {}", found["signature"]["state"].as_str().unwrap_or_default());
    for (key, what) in found["signature"]["checks"].as_object().into_iter().flatten() {
        println!("  {}", said(key, what.as_str().unwrap_or_default()));
    }
    if let Some(refused) = found["signature"]["refused"].as_str() {
        println!("refused     {}", shown(refused));
    }
    list("authentication", &found["authentication"]);
    list("permissions", &found["permissions"]);
    list("imports", &found["imports"]);
    list("exports", &found["exports"]);
}

fn list(title: &str, values: &Value) {
    let values: Vec<_> = values.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if !values.is_empty() {
        println!("{title}:");
        values.iter().for_each(|value| println!("  {}", shown(value)));
    }
}
