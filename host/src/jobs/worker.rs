//! One attempt at a job, from its claim to its end.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{Context, sync};
use crate::{
    connector::{Connector, guest_config},
    db::{
        DbError,
        jobs::{ClaimError, Claimed, JobEnd},
    },
    egress::session::Session,
    model::{
        connection::Connection,
        job::{JobError, JobType, retry_delay},
    },
};

/// Attempts at a job before it is given up.
const MAX_ATTEMPTS: u32 = 5;

/// How long a connector that takes over may be on its way. One that cannot be loaded here does not come, and then whatever
/// serves in its place is asked.
const SWAP: Duration = Duration::from_secs(2);

/// How often it is looked for meanwhile.
const LOOK: Duration = Duration::from_millis(10);

/// Why an attempt ended before its work was done.
#[derive(Debug)]
pub(super) enum Stopped {
    /// The job is no longer ours: cancelled, or its object deleted. Nothing more is written.
    Lost,
    /// The host goes down; the next start goes on.
    Shutdown,
    /// It cannot be done.
    Failed(JobError),
    /// It cannot be done now.
    NotNow(JobError),
    /// The store failed.
    Store(DbError),
}

impl From<ClaimError> for Stopped {
    fn from(error: ClaimError) -> Self {
        match error {
            ClaimError::Lost => Self::Lost,
            ClaimError::Db(error) => Self::Store(error),
        }
    }
}

/// What an attempt works with.
pub(super) struct Attempt {
    pub(super) context: Context,
    pub(super) claimed: Claimed,
    /// What the last call was made with.
    means: Mutex<Arc<Means>>,
    /// Of the platform, for each of its partitions.
    pub(super) received: sync::Received,
    /// Of its partitions that bring next to nothing.
    pub(super) pace: sync::Pace,
}

/// What a call is made with, from its beginning to its end.
pub(super) struct Means {
    pub(super) connector: Arc<Connector>,
    pub(super) session: Arc<Session>,
    /// As calls of the connector take it.
    pub(super) config: Value,
}

/// Carries out a claimed job and records how that ended.
pub(super) async fn run(context: Context, claimed: Claimed, shutdown: CancellationToken) {
    let span = tracing::info_span!(
        "job",
        job.id = %claimed.job.id,
        job.type = claimed.job.job_type.as_str(),
        connection.id = %claimed.connection.id,
        attempt = claimed.claim.epoch,
    );
    attempt(context, claimed, shutdown).instrument(span).await;
}

async fn attempt(context: Context, claimed: Claimed, shutdown: CancellationToken) {
    let claim = claimed.claim;
    let failures = claimed.job.failures;
    tracing::info!(path = %claimed.job.object_path, "the job begins");
    let done = match open(context.clone(), claimed).await {
        Ok(attempt) => carry_out(attempt, shutdown).await,
        Err(stopped) => Err(stopped),
    };
    let now = context.clock.now();
    let end = match done {
        Ok(()) => JobEnd::Completed,
        Err(Stopped::Lost) => return tracing::info!("the job was cancelled"),
        Err(Stopped::Shutdown) => return tracing::info!("the job is gone on with after the next start"),
        Err(Stopped::NotNow(error)) if failures + 1 < MAX_ATTEMPTS => {
            JobEnd::Retry { due_at: now + retry_delay(failures + 1, claim.job.as_u128()), error }
        }
        Err(Stopped::Failed(error) | Stopped::NotNow(error)) => JobEnd::Failed(error),
        Err(Stopped::Store(error)) => {
            tracing::error!(error = &error as &dyn std::error::Error, "the store failed");
            let error = JobError { code: "store".into(), message: "the store failed; see the host's log".into() };
            if failures + 1 < MAX_ATTEMPTS {
                JobEnd::Retry { due_at: now + retry_delay(failures + 1, claim.job.as_u128()), error }
            } else {
                JobEnd::Failed(error)
            }
        }
    };
    match &end {
        JobEnd::Completed => tracing::info!("the job is done"),
        JobEnd::Failed(error) => tracing::warn!(code = error.code, "the job failed: {}", error.message),
        JobEnd::Retry { error, .. } => tracing::warn!(code = error.code, "the job is tried again: {}", error.message),
    }
    match context.db.end_job(claim, end, now).await {
        Ok(_) | Err(ClaimError::Lost) => {}
        Err(ClaimError::Db(error)) => {
            tracing::error!(error = &error as &dyn std::error::Error, "the end of the job could not be recorded");
        }
    }
}

async fn carry_out(attempt: Attempt, shutdown: CancellationToken) -> Result<(), Stopped> {
    match attempt.claimed.job.job_type {
        JobType::ObjectSync { .. } => sync::run(attempt, shutdown).await,
        // They are never claimed: they end with the jobs that they stand for.
        JobType::SettingsChange | JobType::SyncGroup => Ok(()),
    }
}

impl Attempt {
    /// What the next call is made with: the connector that serves the connection at this moment. A call under way keeps
    /// what it began with, so one version of a connector takes over from another between two calls.
    pub(super) async fn means(&self) -> Result<Arc<Means>, Stopped> {
        let connector = serving(&self.context, &self.claimed).await?;
        let last = self.means.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if Arc::ptr_eq(&last.connector, &connector) {
            return Ok(last);
        }
        let (_, means) = means(&self.context, &self.claimed).await?;
        tracing::info!(from = last.connector.label(), to = means.connector.label(), "another connector takes over");
        let means = Arc::new(means);
        *self.means.lock().unwrap_or_else(PoisonError::into_inner) = means.clone();
        Ok(means)
    }
}

/// Finds the connector and opens the connection's way out.
async fn open(context: Context, mut claimed: Claimed) -> Result<Attempt, Stopped> {
    let (connection, means) = means(&context, &claimed).await?;
    claimed.connection = connection;
    Ok(Attempt {
        context,
        claimed,
        means: Mutex::new(Arc::new(means)),
        received: sync::Received::default(),
        pace: sync::Pace::default(),
    })
}

/// The connector that carries a job out now: the version that the job names, or whatever serves its connection.
async fn serving(context: &Context, claimed: &Claimed) -> Result<Arc<Connector>, Stopped> {
    let Some(named) = &claimed.carried_out_by else {
        let Connection { id, technology, .. } = &claimed.connection;
        return context.connectors.of(*id, technology).ok_or_else(|| {
            let message = format!("no connector for {technology} is installed: install one and sync again");
            failed("connector-missing", message)
        });
    };
    if let Some(found) = context.connectors.version(named) {
        return Ok(found);
    }
    let (name, version) = named;
    let known = context.db.connector(name).await.map_err(Stopped::Store)?;
    if known.is_some_and(|(_, versions)| versions.iter().any(|found| found.version == *version)) {
        let message = format!("{name} {version} is not loaded at this moment");
        return Err(Stopped::NotNow(JobError { code: "version-not-loaded".into(), message }));
    }
    Err(failed("version-gone", format!("{name} {version} was removed before it could be compared")))
}

/// The connector that serves the connection, the connection as it is stored now, with the configuration that calls take and
/// the way out. It may have changed since the claim, and secrets go only to the address that they were given for (D42).
///
/// Who serves it changes in the store first, together with its configuration, and then in memory: in between there is nobody
/// to whom that configuration could be given.
async fn means(context: &Context, claimed: &Claimed) -> Result<(Connection, Means), Stopped> {
    let id = claimed.connection.id;
    let until = Instant::now() + SWAP;
    loop {
        let connector = serving(context, claimed).await?;
        let read = context.db.connection_as_served(id).await.map_err(Stopped::Store)?;
        let (connection, sealed, digest) = read.ok_or(Stopped::Lost)?;
        let is_other = claimed.carried_out_by.is_none() && digest.is_some_and(|digest| digest != connector.digest);
        if is_other && Instant::now() < until {
            tokio::time::sleep(LOOK).await;
            continue;
        }
        let secrets = context.vault.open(id, &sealed).map_err(|error| failed("credentials", error.to_string()))?;
        let session = connector
            .session(&context.egress, &connection, secrets)
            // The detail is the line of configuration that is missing.
            .map_err(|error| {
                let detail = error.detail.map(|detail| format!(" ({detail})")).unwrap_or_default();
                failed(error.code.as_str(), format!("{}{detail}", error.message))
            })?;
        let config = guest_config(&connection.config, &connection.options.filter);
        return Ok((connection, Means { connector, session, config }));
    }
}

fn failed(code: &str, message: String) -> Stopped {
    Stopped::Failed(JobError { code: code.to_owned(), message })
}
