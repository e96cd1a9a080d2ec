//! `serve`: runs the host until it is told to end.

use anyhow::Context as _;

use super::{Exit, HostArgs};
use crate::{
    app::{App, EndSignals, Options},
    telemetry,
};

pub(super) async fn run(args: &HostArgs) -> anyhow::Result<Exit> {
    let config = args.load()?;
    telemetry::init(&config.log)?;
    let options = Options { on_first_key: Some(announce), ..Options::default() };
    let mut signals = EndSignals::take().context("take the signals that end a host")?;
    let app = tokio::select! {
        app = App::start(config, options) => app?,
        () = signals.asked() => return Ok(Exit::Done),
    };
    signals.asked().await;
    app.shutdown().await;
    Ok(Exit::Done)
}

/// The key goes to standard output, apart from the log.
#[allow(clippy::print_stdout, reason = "this is the command's output")]
fn announce(key: &str) {
    println!("Administrator API key, shown this once: {key}");
}
