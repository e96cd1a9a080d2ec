//! Comparing a version that serves nobody with what is stored: a dry run of each connection, which it carries out.
//!
//! What it finds to be different may be so on the platform. So where it finds anything, the version that serves reads as
//! well, and what both find is the platform's. Both read everything anew, columns whose fingerprint has not changed too. The
//! jobs stand in the store, so a restart goes on with them, and an activation that was ended ends them.

use std::{
    collections::{BTreeMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use futures_util::{StreamExt as _, stream};

use super::{Registry, rollout::SIDE_BY_SIDE};
use crate::{
    connector::Connector,
    db::{
        DbError, ObjectRef,
        connectors::{Read, Which},
        feed::{FeedError, FeedQuery, MAX_CHANGES},
    },
    model::{
        change::{ChangeKind, Entry},
        connection::Connection,
        connector::{Finding, Installed, Rollout, Step},
        id::JobId,
        job::{Job, JobState, MAX_LISTED_CHANGES},
        sight::Sight,
    },
};

/// How long to wait at most before a job is looked at again: a ring that got lost costs no more than this.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// Differences of a kind that are told by name.
const EXAMPLES: usize = 3;

/// Characters of a path that are told.
const PATH: usize = 200;

/// A read that has ended, with who carried it out.
struct Ended {
    job: Job,
    version: String,
}

impl Registry {
    /// Has each connection read by the version, and tells what it finds that the version which serves does not.
    pub(super) async fn shadow(
        &self,
        connector: &Installed,
        rollout: &Rollout,
        candidate: &Connector,
    ) -> Result<Vec<Finding>, DbError> {
        // From now on it is at hand for the jobs that name it.
        self.look_again().await;
        let audience = self.audience(connector, rollout).await?;
        let mut findings = Vec::new();
        let mut each = Vec::new();
        for (connection, sealed) in &audience {
            // It would be served with what comes back with the version; a read is of what there is.
            if let Err(why) = self.fits(candidate, connection, sealed) {
                let message = format!(
                    "connection {}: it cannot be compared, because its configuration would be replaced: {why}",
                    connection.key
                );
                let connection = Some(connection.key.clone());
                findings.push(Finding { step: Step::Shadow, connection, blocks: false, job: None, message });
            } else {
                each.push(self.compare_reads(connector, rollout, connection));
            }
        }
        let found: Vec<Result<Option<Finding>, DbError>> =
            stream::iter(each).buffer_unordered(SIDE_BY_SIDE).collect().await;
        for one in found {
            findings.extend(one?);
        }
        Ok(findings)
    }

    async fn compare_reads(
        &self,
        connector: &Installed,
        rollout: &Rollout,
        connection: &Connection,
    ) -> Result<Option<Finding>, DbError> {
        let Some(new) = self.read_by(connector, rollout, connection, Which::Candidate).await? else { return Ok(None) };
        if finds_nothing(&new.job) {
            return Ok(None);
        }
        let tell = |blocks, what: String| {
            let message = format!("connection {}: {what} (job {})", connection.key, new.job.id);
            let (connection, job) = (Some(connection.key.clone()), Some(new.job.id));
            Ok(Some(Finding { step: Step::Shadow, connection, blocks, job, message }))
        };
        if matches!(new.job.state, JobState::Cancelled | JobState::Expired) {
            return tell(false, format!("nothing is known: the read with {} was {}", new.version, new.job.state));
        }
        let old = self.read_by(connector, rollout, connection, Which::Serving).await?;
        let old = old.filter(|old| matches!(old.job.state, JobState::Completed | JobState::Failed));
        match (new.job.state, &old) {
            (JobState::Failed, old) => {
                let why = new.job.error.as_ref().map_or("", |error| error.message.as_str());
                let (blocks, before) = match old.as_ref().map(|old| old.job.state) {
                    Some(JobState::Completed) => (true, "it does not with the version that serves"),
                    Some(_) => (false, "as it does with the version that serves"),
                    None => (false, "of the version that serves nothing is known"),
                };
                tell(blocks, format!("the read fails ({before}): {why}"))
            }
            (_, Some(old)) if old.job.state == JobState::Completed => {
                let Some(mut what) = self.difference(&new, old).await? else { return Ok(None) };
                if self.changed_since(connection, &new.job).await? {
                    what += "; the inventory was changed meanwhile, which may be some of it: compare again";
                }
                tell(false, what)
            }
            _ => {
                let found = new.job.found.unwrap_or_default();
                let what = format!(
                    "it finds {found} differences and cannot read {} parts, and the read with the version that serves \
                     did not end: which of them are the platform's is not known",
                    new.job.counts.errors
                );
                tell(false, what)
            }
        }
    }

    /// A read of a connection, when it has ended; none where there is none any more.
    async fn read_by(
        &self,
        connector: &Installed,
        rollout: &Rollout,
        connection: &Connection,
        which: Which,
    ) -> Result<Option<Ended>, DbError> {
        let db = &self.parts().db;
        let read = db.shadow_read(&connector.name, rollout.began, connection.id, which, self.now()).await?;
        let Some(Read { job, version }) = read else { return Ok(None) };
        let changed = db.jobs_changed();
        loop {
            // Enrolled before the store is read, so that an end meanwhile wakes us.
            let notified = changed.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            match db.job(&Sight::All, job).await? {
                Some(job) if job.state.is_final() => return Ok(Some(Ended { job, version })),
                Some(_) => {}
                None => return Ok(None),
            }
            tokio::select! {
                () = notified => {}
                () = tokio::time::sleep(LONGEST_SLEEP) => {}
            }
        }
    }

    /// What one read found and the other did not, in words; none where that is nothing.
    async fn difference(&self, new: &Ended, old: &Ended) -> Result<Option<String>, DbError> {
        let (found, before) = (self.found_by(new.job.id).await?, self.found_by(old.job.id).await?);
        let mut said = Vec::new();
        let only = not_in(&found, &before);
        if !only.is_empty() {
            said.push(format!("{} finds what {} does not: {}", new.version, old.version, told(&only)));
        }
        let lacking = not_in(&before, &found);
        if !lacking.is_empty() {
            said.push(format!("{} finds what {} does not: {}", old.version, new.version, told(&lacking)));
        }
        let known: HashSet<_> = old.job.object_errors.iter().map(|error| (&error.path, &error.code)).collect();
        let errors: Vec<_> =
            new.job.object_errors.iter().filter(|error| !known.contains(&(&error.path, &error.code))).collect();
        if let [first, ..] = errors.as_slice() {
            let path = short(&first.path.to_string());
            said.push(format!("{} parts cannot be read with it, such as {path}: {}", errors.len(), first.message));
        }
        if let Some(first) = new.job.would_hold.first().filter(|_| old.job.would_hold.is_empty()) {
            said.push(format!("a sync with it would hold something back: {}", first.cause));
        }
        if [new, old].iter().any(|read| read.job.found.unwrap_or_default() > MAX_LISTED_CHANGES) && !said.is_empty() {
            said.push(format!("of each, the first {MAX_LISTED_CHANGES} differences are compared"));
        }
        Ok((!said.is_empty()).then(|| said.join("; ")))
    }

    /// All that a dry run lists.
    async fn found_by(&self, job: JobId) -> Result<Vec<Entry>, DbError> {
        let (mut all, mut cursor) = (Vec::new(), None);
        loop {
            let query = FeedQuery { cursor, size: MAX_CHANGES, ..FeedQuery::default() };
            match self.parts().db.job_changes(&Sight::All, job, query).await {
                Ok(feed) => {
                    all.extend(feed.entries);
                    if !feed.more {
                        return Ok(all);
                    }
                    cursor = Some(feed.next);
                }
                Err(FeedError::Db(error)) => return Err(error),
                // It was removed meanwhile.
                Err(_) => return Ok(all),
            }
        }
    }

    /// Whether the inventory of a connection was changed since a read of it began.
    async fn changed_since(&self, connection: &Connection, read: &Job) -> Result<bool, DbError> {
        let query = FeedQuery { since: read.started_at, newest_first: true, size: 1, ..FeedQuery::default() };
        let object = ObjectRef::Id(connection.id.object());
        match self.parts().db.changes(&Sight::All, &object, query).await {
            Ok(feed) => Ok(!feed.entries.is_empty()),
            Err(FeedError::Db(error)) => Err(error),
            Err(_) => Ok(true),
        }
    }
}

fn finds_nothing(job: &Job) -> bool {
    job.state == JobState::Completed && job.found == Some(0) && job.counts.errors == 0
}

/// Those that the others are not the same as. Objects that are new have another id in each read.
fn not_in<'a>(entries: &'a [Entry], others: &[Entry]) -> Vec<&'a Entry> {
    let known: HashSet<u64> = others.iter().map(mark).collect();
    entries.iter().filter(|entry| !known.contains(&mark(entry))).collect()
}

/// Tells what was found from anything else that was, with what it was before and after.
fn mark(entry: &Entry) -> u64 {
    let mut hasher = DefaultHasher::new();
    format!("{:?} {:?} {:?} {:?}", entry.path, entry.namespace, entry.what, entry.values).hash(&mut hasher);
    hasher.finish()
}

/// How many of each kind, with examples.
fn told(entries: &[&Entry]) -> String {
    let mut kinds: BTreeMap<usize, Vec<&Entry>> = BTreeMap::new();
    for entry in entries {
        let kind = ChangeKind::of(&entry.what);
        let place = ChangeKind::ALL.iter().position(|known| *known == kind).unwrap_or_default();
        kinds.entry(place).or_default().push(entry);
    }
    let each = kinds.into_iter().map(|(place, entries)| {
        let paths = entries.iter().take(EXAMPLES).filter_map(|entry| entry.path.as_ref());
        let mut examples: Vec<String> = paths.map(|path| short(&path.to_string())).collect();
        if entries.len() > EXAMPLES {
            examples.push("…".into());
        }
        format!("{} {} ({})", entries.len(), would_be(ChangeKind::ALL[place]), examples.join(", "))
    });
    each.collect::<Vec<_>>().join(", ")
}

fn would_be(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Added => "to be added",
        ChangeKind::Changed => "changed",
        ChangeKind::Missing => "missing",
        ChangeKind::Returned => "there again",
        ChangeKind::Moved => "moved or renamed",
        ChangeKind::Recreated => "made anew",
        ChangeKind::Columns => "with other columns",
        ChangeKind::Excluded => "left out",
        ChangeKind::Settings | ChangeKind::Deleted | ChangeKind::Configured => "changed by people",
    }
}

fn short(path: &str) -> String {
    if path.chars().count() <= PATH { path.to_owned() } else { path.chars().take(PATH).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::model::{change::Applied, diff::What, id::ObjectId, path::ObjectPath};

    fn entry(name: &str, what: What) -> Entry {
        Entry {
            sequence: 0,
            at: Timestamp::UNIX_EPOCH,
            job: None,
            by: None,
            applied: Applied::No,
            object: ObjectId::generate(),
            path: Some(ObjectPath::from_segments(["K", name]).expect("path")),
            namespace: String::new(),
            object_type: None,
            exists: false,
            what,
            values: None,
        }
    }

    #[test]
    fn what_both_find_is_the_platforms() {
        let both = |name: &str| entry(name, What::Added);
        let new = [both("a"), both("b"), entry("c", What::Missing), both("d"), both("e"), both("f")];
        let old = [both("a"), entry("c", What::Added)];
        let only = not_in(&new, &old);
        assert_eq!(told(&only), "4 to be added (K.b, K.d, K.e, …), 1 missing (K.c)");
        assert_eq!(told(&not_in(&old, &new)), "1 to be added (K.c)");
        assert!(not_in(&new, &new).is_empty());
    }
}
