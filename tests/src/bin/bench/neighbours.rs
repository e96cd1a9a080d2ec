//! A connection's syncs beside a hostile one, and how much slower they are for it.

use std::time::Duration;

use anyhow::Result;
use wharfinger_tests::neighbours::{SINS, Street};

/// What is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only these sins; all otherwise.
    #[arg(long)]
    sin: Vec<String>,
    /// Tables of the connection that behaves.
    #[arg(long, default_value_t = 2000)]
    tables: usize,
    /// Columns of each.
    #[arg(long, default_value_t = 10)]
    columns: usize,
    /// Milliseconds before every answer of its platform.
    #[arg(long, default_value_t = 30)]
    delay: u64,
}

/// Measures and prints.
pub(crate) fn run(arguments: &Arguments, runs: usize) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let delay = Duration::from_millis(arguments.delay);
        let street = Street::start(arguments.tables, arguments.columns, delay).await?;
        for sin in
            SINS.iter().filter(|sin| arguments.sin.is_empty() || arguments.sin.iter().any(|asked| asked == sin.name))
        {
            println!("{}", street.measure(sin, runs).await?);
        }
        street.stop().await;
        Ok(())
    })
}
