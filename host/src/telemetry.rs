//! Log lines: on standard error, for people or for machines.
//!
//! Every request and every attempt of a job has a span; what connectors log has the target `guest`. Nothing that can
//! hold a secret is ever a field.

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::{Log, LogFormat};

/// Begins to log. In a process that logs already, as tests do, nothing changes.
pub fn init(log: &Log) -> anyhow::Result<()> {
    let registry = tracing_subscriber::registry().with(EnvFilter::try_new(&log.filter)?);
    let begun = match log.format {
        LogFormat::Human => registry
            .with(
                fmt::layer()
                    .with_writer(std::io::stderr)
                    .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())),
            )
            .try_init(),
        LogFormat::Json => {
            registry.with(fmt::layer().json().flatten_event(true).with_writer(std::io::stderr)).try_init()
        }
    };
    if begun.is_err() {
        tracing::debug!("logging had begun before");
    }
    Ok(())
}
