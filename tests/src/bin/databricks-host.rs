//! The host as a process with one connector, for tests that start it hundreds of times: most of a start is compiling.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use wharfinger::{
    app::{App, EndSignals, Options},
    telemetry,
};
use wharfinger_tests::host::{config_in, options};

#[derive(Debug, Parser)]
struct Args {
    /// Where the test keeps everything.
    dir: PathBuf,
    /// Where to listen.
    listen: std::net::SocketAddr,
    /// Without any connector.
    #[arg(long)]
    bare: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let mut config = config_in(&args.dir)?;
    config.listen = args.listen;
    telemetry::init(&config.log)?;
    let bundled: &[&str] = if args.bare { &[] } else { &["databricks"] };
    let options = Options { bundled: Some(bundled), ..options()? };
    let mut signals = EndSignals::take()?;
    let app = App::start(config, options).await.context("start the host")?;
    signals.asked().await;
    app.shutdown().await;
    Ok(())
}
