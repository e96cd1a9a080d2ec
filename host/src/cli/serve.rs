//! `serve`: runs the host until it is told to end.

use super::{Exit, HostArgs};
use crate::{
    app::{App, Options},
    telemetry,
};

pub(super) async fn run(args: &HostArgs) -> anyhow::Result<Exit> {
    let config = args.load()?;
    telemetry::init(&config.log)?;
    let options = Options { on_first_key: Some(announce), ..Options::default() };
    App::start(config, options).await?.run().await?;
    Ok(Exit::Done)
}

/// The key goes to standard output, apart from the log.
#[allow(clippy::print_stdout, reason = "this is the command's output")]
fn announce(key: &str) {
    println!("Administrator API key, shown this once: {key}");
}
