//! Rows that only the work on a job needs: tasks, what was seen, what is proved to be absent, the draft of a dry run.
//!
//! There may be as many of them as of objects, so they are given back in small transactions: some with the end of the job,
//! or when it has to begin again, and the rest later. A crash between two of them is harmless: only a worker of the job
//! reads them, and there is none. One that has ended gets none any more, one that begins again gets it when the last of
//! them is gone, and a job is not forgotten before.

use redb::ReadableTable as _;

use super::{
    fault::Fault,
    queue,
    records::JobRow,
    tables::{Rows, WriteRows},
};

/// Rows that go with the end of a job; few in tests, so that these see more than one transaction.
pub(super) const AT_ONCE: usize = if cfg!(test) { 3 } else { 2_000 };

/// Calls a macro with the job, each of the tables, and the range in it that is the job's.
macro_rules! each_table {
    ($job:ident, $call:ident) => {
        $call!($job, tasks, ($job, 0)..($job + 1, 0));
        $call!($job, readers, ($job, "")..($job + 1, ""));
        $call!($job, partitions, ($job, "")..($job + 1, ""));
        $call!($job, seen, ($job, 0, "", 0)..($job + 1, 0, "", 0));
        $call!($job, doubts, ($job, 0, "")..($job + 1, 0, ""));
        $call!($job, second_looks, ($job, 0, "")..($job + 1, 0, ""));
        $call!($job, unproven, ($job, 0)..($job + 1, 0));
        $call!($job, moved, ($job, 0)..($job + 1, 0));
        $call!($job, recreated, ($job, "")..($job + 1, ""));
        $call!($job, absent, ($job, 0)..($job + 1, 0));
        $call!($job, verdicts, ($job, 0)..($job + 1, 0));
        $call!($job, drafts, ($job, 0, [].as_slice())..($job + 1, 0, [].as_slice()));
    };
}

/// Whether nobody works on a job, so that such rows of it are left over: it has ended, or begins again.
fn is_over(job: &JobRow) -> bool {
    job.state().is_final() || (job.epoch > 0 && job.started_at.is_none())
}

/// Removes such rows of a job, at most `limit`. Whether there may be more.
pub(super) fn give_back(rows: &mut WriteRows<'_>, job: u128, limit: usize) -> Result<bool, Fault> {
    let mut left = limit.max(1);
    macro_rules! some_of {
        ($job:ident, $table:ident, $range:expr) => {
            for row in rows.$table.extract_from_if($range, |_, _| true)?.take(left) {
                row?;
                left -= 1;
            }
        };
    }
    each_table!(job, some_of);
    Ok(left == 0)
}

/// Whether a job has such rows.
pub(super) fn has_any(rows: &impl Rows, job: u128) -> Result<bool, Fault> {
    macro_rules! any_of {
        ($job:ident, $table:ident, $range:expr) => {
            if rows.$table().range($range)?.next().transpose()?.is_some() {
                return Ok(true);
            }
        };
    }
    each_table!(job, any_of);
    Ok(false)
}

/// A job of which such rows are left over.
pub(super) fn left_over(rows: &impl Rows) -> Result<Option<u128>, Fault> {
    macro_rules! first_of {
        ($job:ident, $table:ident, $range:expr) => {
            $job = 0;
            while let Some((key, _)) = rows.$table().range($range.start..)?.next().transpose()? {
                let id = key.value().0;
                if queue::job(rows, id)?.is_none_or(|row| is_over(&row)) {
                    return Ok(Some(id));
                }
                $job = id + 1;
            }
        };
    }
    let mut from;
    each_table!(from, first_of);
    Ok(None)
}

/// Gives back what is left over, at most `limit` rows. Whether there may be more.
pub(super) fn give_back_some(rows: &mut WriteRows<'_>, limit: usize) -> Result<bool, Fault> {
    let Some(job) = left_over(rows)? else { return Ok(false) };
    give_back(rows, job, limit)?;
    Ok(true)
}
