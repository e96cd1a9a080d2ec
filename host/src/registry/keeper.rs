//! The one task that writes and removes files and swaps what serves. One thing after another, so that a version which is
//! installed while it is removed is either there with its file or gone with it, and the last swap is made from the newest
//! state of the store.

use std::{io, sync::Arc};

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{InstallError, Registry, files::Files};
use crate::{
    db::connectors::{ConnectorError, Installation},
    model::{connection::Actor, connector::Version, name::Technology},
};

/// What it is asked for.
pub(super) enum Order {
    /// Let serve what the store says.
    LookAgain(oneshot::Sender<()>),
    /// Keep a component and its row.
    Store {
        bytes: Vec<u8>,
        technology: Technology,
        version: Box<Version>,
        answer: oneshot::Sender<Result<Installation, InstallError>>,
    },
    /// Remove a version and its file.
    Remove { name: String, version: String, by: Actor, answer: oneshot::Sender<Result<(), ConnectorError>> },
}

/// Works until the host goes down.
pub(super) async fn run(registry: Registry, mut orders: mpsc::Receiver<Order>, shutdown: CancellationToken) {
    loop {
        let order = tokio::select! {
            Some(order) = orders.recv() => order,
            () = shutdown.cancelled() => return,
            else => return,
        };
        // Whoever gave up waiting needs no answer.
        match order {
            Order::LookAgain(answer) => {
                if let Err(error) = registry.serve_installed().await {
                    tracing::error!(error = &error as &dyn std::error::Error, "what serves could not be swapped");
                }
                let _ = answer.send(());
            }
            Order::Store { bytes, technology, version, answer } => {
                let _ = answer.send(registry.store(bytes, technology, *version).await);
            }
            Order::Remove { name, version, by, answer } => {
                let _ = answer.send(registry.discard(&name, &version, by).await);
            }
        }
    }
}

impl Registry {
    /// First the file, then the row: a crash in between leaves a file that nobody names.
    async fn store(
        &self,
        bytes: Vec<u8>,
        technology: Technology,
        version: Version,
    ) -> Result<Installation, InstallError> {
        let (name, number, digest) = (version.connector.clone(), version.version.clone(), version.digest.clone());
        let known = self.parts().db.connector(&name).await.map_err(ConnectorError::from)?;
        let is_stored = known.is_some_and(|(_, versions)| versions.iter().any(|v| v.digest == digest));
        let written = digest.clone();
        self.with_files(move |files| files.put(&written, &bytes)).await.map_err(InstallError::File)?;
        let done = self.parts().db.install_version(technology, version, self.now()).await;
        match &done {
            Ok(installation) if installation.is_new => {
                let waiting = installation.waiting.len();
                tracing::info!(connector = name, version = number, digest, waiting, "installed a connector");
            }
            // What was refused needs no file.
            Err(_) if !is_stored => {
                let _ = self.with_files(move |files| files.remove(&digest)).await;
            }
            _ => {}
        }
        Ok(done?)
    }

    /// First the row, then the file.
    async fn discard(&self, name: &str, version: &str, by: Actor) -> Result<(), ConnectorError> {
        let digest = self.parts().db.remove_version(name, version, by, self.now()).await?;
        tracing::info!(connector = name, version, "removed a connector");
        if let Err(error) = self.with_files(move |files| files.remove(&digest)).await {
            tracing::warn!(%error, connector = name, version, "the component's file is removed at the next start");
        }
        Ok(())
    }

    /// Works on the files, away from the async threads.
    pub(super) async fn with_files<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Files) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let shared = Arc::clone(&self.shared);
        tokio::task::spawn_blocking(move || work(&shared.parts.files)).await.map_err(io::Error::other)?
    }
}
