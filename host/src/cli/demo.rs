//! `demo`: a host beside simulated platforms, with a connection to each, registered over the API like any other.
//!
//! Of the simulators it knows that they start and which payloads register them, nothing else.
#![allow(clippy::print_stdout, reason = "this is the command's output")]

use std::{
    io::ErrorKind,
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::Context;
use clap::Args;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{
    Exit,
    api::{Api, progress, segment},
};
use crate::{
    api::caller,
    app::{App, EndSignals, Options},
    config::{ClientConfig, Config, DEFAULT_LISTEN, environment, temporary_dir},
    telemetry,
};

#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// Where everything is kept; a temporary directory otherwise
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Address and port of the API
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<SocketAddr>,
}

pub(super) async fn run(args: DemoArgs) -> anyhow::Result<Exit> {
    let env = environment();
    let dir = args.data_dir.clone().unwrap_or_else(|| temporary_dir("wharfinger-demo"));
    let mut config = Config::in_dir(&dir);
    config.listen = args.listen.unwrap_or(DEFAULT_LISTEN);
    config.egress.allow_cidrs = vec!["127.0.0.0/8".parse()?, "::1/128".parse()?];
    config.egress.allow_insecure_http = true;
    config.log.filter = env.get("WHARFINGER_LOG_FILTER").cloned().unwrap_or_else(|| "warn".into());
    telemetry::init(&config.log)?;
    let key = administrator_key(&dir)?;
    config.admin_key_file = Some(dir.join(KEY_FILE));

    let platforms = wharfinger_simulators::demo::start().await.context("start the simulated platforms")?;
    let app = start(config, args.listen.is_none()).await?;
    let url = format!("http://{}", app.addr());
    println!("Wharfinger demo\n  page and API   {url}/\n  API key        {}\n", key.as_str());
    let api = Api::new(ClientConfig { url: url.clone(), api_key: Some(key) })?;
    for platform in &platforms {
        println!("Connecting to {} at {}", platform.name, platform.addr);
        let jobs = api.wait(&register(&api, &platform.payload).await?).await?;
        jobs.iter().for_each(|job| println!("  {}", progress(job)));
    }
    println!("\nOpen {url}/ and sign in with the API key. ctrl-c ends the demo.");
    EndSignals::take().context("take the signals that end a host")?.asked().await;
    app.shutdown().await;
    if args.data_dir.is_none() {
        std::fs::remove_dir_all(&dir).with_context(|| format!("remove {}", dir.display()))?;
    }
    Ok(Exit::Done)
}

const KEY_FILE: &str = "demo-administrator.key";

/// The key of the demo's administrator, kept with its data so that a kept demo opens with the same key again.
fn administrator_key(dir: &Path) -> anyhow::Result<Zeroizing<String>> {
    std::fs::create_dir_all(dir).with_context(|| format!("make {}", dir.display()))?;
    let file = dir.join(KEY_FILE);
    if let Ok(key) = std::fs::read_to_string(&file) {
        return Ok(Zeroizing::new(key.trim().to_owned()));
    }
    let key = Zeroizing::new(caller::new_token("whf_").map_err(|e| anyhow::anyhow!(e.message().to_owned()))?);
    let mut options = std::fs::OpenOptions::new();
    let mut out = options.write(true).create_new(true).mode(0o600).open(&file)?;
    std::io::Write::write_all(&mut out, key.as_bytes())?;
    Ok(key)
}

/// Starts the host; where the usual port is taken, on a free one.
async fn start(mut config: Config, any_port: bool) -> anyhow::Result<App> {
    match App::start(config.clone(), Options::default()).await {
        Err(error) if any_port && is_taken(&error) => {
            println!("{} is taken; using a free port.", config.listen);
            config.listen.set_port(0);
            App::start(config, Options::default()).await
        }
        started => started,
    }
}

fn is_taken(error: &anyhow::Error) -> bool {
    error.chain().filter_map(|e| e.downcast_ref::<std::io::Error>()).any(|e| e.kind() == ErrorKind::AddrInUse)
}

/// Registers a platform, or, where a kept demo has it already, points its connection at where it listens today. Gives
/// the bulk of the sync.
async fn register(api: &Api, payload: &Value) -> anyhow::Result<String> {
    let bulk = |answer: Value| answer["bulkId"].as_str().map(str::to_owned).context("the answer names no bulk");
    match api.post("/data/connection", payload).await {
        Err(error) if error.code() == "key-taken" => {
            let key = segment(payload["connectionKey"].as_str().unwrap_or_default());
            let change = json!({ "connection": payload["connection"] });
            api.put(&format!("/data/connection/{key}"), &change).await?;
            bulk(api.post(&format!("/data/crawl/{key}"), &json!({})).await?)
        }
        registered => bulk(registered?),
    }
}
