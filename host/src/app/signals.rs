//! What asks a host to end.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGTERM and ctrl-c. From the moment they are taken they end the process no more by themselves: whoever starts a host takes
/// them first, so that one which is asked to end while it starts, or just after its first answer, does not die of it.
pub struct EndSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl EndSignals {
    /// Takes them, for as long as the process lives.
    pub fn take() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for one.
    pub async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => tracing::info!("asked to end"),
            _ = self.interrupt.recv() => tracing::info!("interrupted"),
        }
    }
}
