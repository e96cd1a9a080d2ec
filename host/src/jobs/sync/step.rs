//! Advancing one task: a call of the connector, its result applied, and on, until the task ends or has to wait.
//!
//! While a page is applied the next one is read: a page is read again after a crash, and reading changes nothing.

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
};

use tokio::sync::mpsc::UnboundedSender;

use super::{
    super::worker::{Attempt, Means, Stopped},
    failure::{Verdict, judge as judge_failure},
    judge,
};
use crate::{
    connector::{CallError, ErrorCode, Usage},
    db::sync::{Advanced, Step},
    model::{
        job::{Task, Work},
        page::{Cursor, ObjectError, Page, Partition, Presence},
        path::RemotePath,
    },
};

/// Children of one container that are asked about by name; more are looked for in a second listing (D36).
const MAX_CONFIRMED_BY_NAME: usize = 100;

/// Pages that one attempt reads of a partition at most: a connector that always brings another cursor comes to an end.
const MAX_PAGES: usize = 1_000_000;

/// Advances a task until it ends, and gives it back where it has to wait. Tasks that come up go to `found`.
pub(super) async fn advance(
    attempt: &Attempt,
    mut task: Task,
    found: &UnboundedSender<Task>,
) -> Result<Option<Task>, Stopped> {
    loop {
        let number = task.number;
        let advanced = match &task.work {
            Work::Plan { scope } => plan(attempt, &task, scope).await?,
            Work::Read { partition, want_columns, .. } => read(attempt, &task, partition, *want_columns, found).await?,
            Work::Columns { scope, namespace, names } => columns(attempt, &task, scope, namespace, names).await?,
            Work::Confirm { scope, namespace, names, by_name, .. } => {
                let names = by_name.then_some(names.as_slice()).filter(|names| names.len() <= MAX_CONFIRMED_BY_NAME);
                confirm(attempt, &task, scope, namespace, names).await?
            }
            Work::Judge => judge::decide(attempt, &task).await?,
        };
        for task in advanced.added {
            // The receiver lives as long as the loop that polls us.
            let _ = found.send(task);
        }
        match advanced.task {
            None => return Ok(None),
            Some(next) if next.not_before.is_some() => return Ok(Some(next)),
            Some(next) => {
                debug_assert_eq!(next.number, number);
                task = next;
            }
        }
    }
}

async fn plan(attempt: &Attempt, task: &Task, scope: &RemotePath) -> Result<Advanced, Stopped> {
    let means = attempt.means().await?;
    let (planned, usage) = means.connector.plan(&means.session, &means.config, scope).await;
    let step = attempt.step(&means, task, usage);
    match planned {
        Ok(partitions) => Ok(attempt.context.db.apply_plan(step, partitions).await?),
        Err(error) => give_up_or_wait(attempt, task, scope, error, step).await,
    }
}

async fn read(
    attempt: &Attempt,
    task: &Task,
    partition: &Partition,
    want_columns: bool,
    found: &UnboundedSender<Task>,
) -> Result<Advanced, Stopped> {
    let mut cursors = HashSet::new();
    let mut current = task.clone();
    // Each page is read by the connector that serves when it begins.
    let call = |cursor: Option<Cursor>| async move {
        let means = attempt.means().await?;
        let (connector, session, config) = (&means.connector, &means.session, &means.config);
        // A connector that cannot read columns by name delivers them with every page.
        let want_columns = want_columns || !connector.can_read_columns();
        let (page, usage) = connector.read(session, config, partition, want_columns, cursor.as_ref()).await;
        Ok::<_, Stopped>((page, usage, means))
    };
    let mut answer = call(current.cursor.clone()).await?;
    loop {
        let (page, usage, means) = answer;
        let step = attempt.step(&means, &current, usage);
        let most = means.connector.partition_bytes();
        if attempt.received.add(task.number, usage.bytes) > most {
            let message = format!("the answers for this partition have more than {} MiB", most >> 20);
            let error = failing(ErrorCode::BudgetExhausted, &message);
            return give_up_or_wait(attempt, &current, &partition.scope, error, step).await;
        }
        let page = match page {
            Ok(page) => page,
            Err(error) => return give_up_or_wait(attempt, &current, &partition.scope, error, step).await,
        };
        if let Some(next) = &page.next
            && !cursors.insert(digest(next))
        {
            let error = lying("the connector gave the same cursor twice: the listing would never end");
            return give_up_or_wait(attempt, &current, &partition.scope, error, step).await;
        }
        if cursors.len() >= MAX_PAGES {
            let error = lying("the partition has 1000000 pages: the listing would never end");
            return give_up_or_wait(attempt, &current, &partition.scope, error, step).await;
        }
        let next = page.next.clone().filter(|_| page.not_before.is_none());
        let is_thin = attempt.pace.add(task.number, &page);
        let apply = attempt.context.db.apply_page(step, page);
        let ahead = async {
            match next {
                Some(next) => {
                    if is_thin {
                        attempt.pace.keep().await;
                    }
                    Some(call(Some(next)).await)
                }
                None => None,
            }
        };
        let (applied, ahead) = tokio::join!(apply, ahead);
        let mut advanced = applied?;
        match (advanced.task.take(), ahead) {
            (Some(task), Some(next)) => {
                for task in advanced.added {
                    let _ = found.send(task);
                }
                current = task;
                answer = next?;
            }
            (task, _) => return Ok(Advanced { task, ..advanced }),
        }
    }
}

async fn columns(
    attempt: &Attempt,
    task: &Task,
    scope: &RemotePath,
    namespace: &str,
    names: &[String],
) -> Result<Advanced, Stopped> {
    let means = attempt.means().await?;
    let (connector, session, config) = (&means.connector, &means.session, &means.config);
    if !connector.can_read_columns() {
        // Another version asked for them, which could. This one delivers them with every page.
        let (planned, usage) = connector.plan(session, config, scope).await;
        let step = attempt.step(&means, task, usage);
        return match planned {
            Ok(partitions) => Ok(attempt.context.db.apply_listing_of_columns(step, partitions).await?),
            Err(error) => give_up_or_wait(attempt, task, scope, error, step).await,
        };
    }
    let (page, usage) = connector.read_columns(session, config, scope, namespace, names, task.cursor.as_ref()).await;
    let step = attempt.step(&means, task, usage);
    match page {
        Ok(page) if stands_still(&page, task, names) => {
            let error = lying("the connector answered none of the names and gave the same cursor again");
            give_up_or_wait(attempt, task, scope, error, step).await
        }
        Ok(page) => Ok(attempt.context.db.apply_columns(step, page).await?),
        Err(error) => give_up_or_wait(attempt, task, scope, error, step).await,
    }
}

/// Whether a page would bring us back to where we are: the same cursor, and none of the names answered.
fn stands_still(page: &Page, task: &Task, names: &[String]) -> bool {
    if page.next.is_none() || page.next != task.cursor || page.not_before.is_some() {
        return false;
    }
    let answered = page.objects.iter().map(|object| &object.path).chain(page.errors.iter().map(|error| &error.path));
    !answered.filter_map(|path| path.0.last()).any(|name| names.iter().any(|asked| asked == name.as_str()))
}

/// The second look before anything is called missing (D36): by `names` where these can tell, else by listing once more.
async fn confirm(
    attempt: &Attempt,
    task: &Task,
    scope: &RemotePath,
    namespace: &str,
    names: Option<&[String]>,
) -> Result<Advanced, Stopped> {
    let means = attempt.means().await?;
    let db = &attempt.context.db;
    if let Some(names) = names.filter(|_| means.connector.can_confirm()) {
        let (answer, usage) = means.connector.confirm(&means.session, &means.config, scope, namespace, names).await;
        let step = attempt.step(&means, task, usage);
        match answer {
            Ok(presences) => return Ok(db.apply_presence(step, presences).await?),
            Err(error) if error.code.retryable() => {
                return give_up_or_wait(attempt, task, scope, error, step).await;
            }
            // These names cannot be asked for: the container is listed once more.
            Err(error) if error.code == ErrorCode::Unsupported => {}
            // Whoever cannot tell has proved nothing.
            Err(_) => {
                let unknown = vec![Presence::Unknown; names.len()];
                return Ok(db.apply_presence(step, unknown).await?);
            }
        }
    }
    let means = attempt.means().await?;
    let (planned, usage) = means.connector.plan(&means.session, &means.config, scope).await;
    let step = attempt.step(&means, task, usage);
    match planned {
        Ok(partitions) => Ok(db.apply_second_look(step, partitions).await?),
        Err(error) => give_up_or_wait(attempt, task, scope, error, step).await,
    }
}

/// A call failed: the task waits, is given up, or takes the whole job with it.
async fn give_up_or_wait(
    attempt: &Attempt,
    task: &Task,
    scope: &RemotePath,
    error: CallError,
    step: Step,
) -> Result<Advanced, Stopped> {
    // Nothing is left to go on with only where the listing of the job's own object does not even begin: columns, second
    // looks and later pages are one part beside others.
    let begins = match task.work {
        Work::Plan { .. } => true,
        Work::Read { second_look, .. } => !second_look && task.cursor.is_none(),
        Work::Columns { .. } | Work::Confirm { .. } | Work::Judge => false,
    };
    let is_root = begins && *scope == attempt.claimed.scope;
    tracing::warn!(path = %scope, code = error.code.as_str(), detail = error.detail, "a part of the sync failed: {}", error.message);
    let whose = attempt.claimed.claim.job.as_u128().wrapping_add(u128::from(task.number));
    match judge_failure(&error, task.failures, task.restarts, is_root, whose) {
        Verdict::Wait { delay, restart } => {
            if restart {
                attempt.received.begin_again(task.number);
            }
            Ok(attempt.context.db.defer_task(step, delay, restart).await?)
        }
        Verdict::Report(code, message) => {
            let error = ObjectError { path: scope.clone(), code, message };
            Ok(attempt.context.db.fail_task(step, error).await?)
        }
        Verdict::Stop(stopped) => Err(stopped),
    }
}

fn lying(message: &str) -> CallError {
    failing(ErrorCode::Unsupported, message)
}

fn failing(code: ErrorCode, message: &str) -> CallError {
    CallError { code, message: message.to_owned(), detail: None, retry_after: None }
}

fn digest(cursor: &Cursor) -> u64 {
    let mut hasher = DefaultHasher::new();
    cursor.0.hash(&mut hasher);
    hasher.finish()
}

impl Attempt {
    /// What goes with a write that advances `task` by a call that was made with `means`.
    pub(super) fn step(&self, means: &Means, task: &Task, usage: Usage) -> Step {
        Step {
            claim: self.claimed.claim,
            task: task.number,
            remote_ids_unique: means.connector.descriptor.remote_ids_unique,
            columns_by_name: means.connector.can_read_columns(),
            connector: means.connector.label(),
            requests: usage.requests,
            bytes: usage.bytes,
            now: self.context.clock.now(),
        }
    }
}
