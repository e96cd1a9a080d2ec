//! What has become of jobs lately: those that run, and those that ended since a time. What a stream of events is made of.
//!
//! States, not steps: whoever looks seldom sees fewer of them and misses no end.

use jiff::Timestamp;
use redb::ReadableTable as _;

use super::{
    Db, DbError,
    fault::Fault,
    groups, jobs, queue,
    records::micros,
    tables::{ReadRows, Rows as _},
    view::Lens,
};
use crate::model::{id::JobId, job::Job, sight::Sight};

/// Most jobs of either kind that are told of.
pub const MOST: usize = 500;

/// Jobs of which there is something to tell, without their per-object errors.
#[derive(Clone, Debug, Default)]
pub struct News {
    /// Those that ended, in the order of their end, and those that have not.
    pub jobs: Vec<Job>,
    /// Whether that is all: there may be more that ended, or that run, than are told of.
    pub complete: bool,
}

impl Db {
    /// Jobs on objects that the caller wholly sees: all that have not ended, and those that ended at or after `since`.
    pub async fn job_news(&self, sight: &Sight, since: Timestamp) -> Result<News, DbError> {
        let sight = sight.clone();
        self.read("look for news of jobs", move |rows| {
            let lens = Lens::new(rows, &sight)?;
            let mut news = News { complete: true, ..News::default() };
            let ended = rows.ended.range((micros(since), 0)..)?.map(|row| Ok(row?.0.value().1));
            tell(rows, &lens, ended, &mut news)?;
            let running = unfinished(rows)?.into_iter().map(Ok);
            tell(rows, &lens, running, &mut news)?;
            Ok(news)
        })
        .await
    }

    /// Jobs that have not ended on objects that the caller wholly sees, the oldest first, at most [`MOST`], without their
    /// per-object errors. One look: a job that begins meanwhile is in it.
    pub async fn unfinished_jobs(&self, sight: &Sight) -> Result<Vec<Job>, DbError> {
        let sight = sight.clone();
        self.read("look for unfinished jobs", move |rows| {
            let mut news = News::default();
            tell(rows, &Lens::new(rows, &sight)?, unfinished(rows)?.into_iter().map(Ok), &mut news)?;
            Ok(news.jobs)
        })
        .await
    }

    /// These jobs, as far as the caller sees them, without their per-object errors.
    pub async fn brief_jobs(&self, sight: &Sight, ids: Vec<JobId>) -> Result<Vec<Job>, DbError> {
        let sight = sight.clone();
        self.read("read jobs", move |rows| {
            let lens = Lens::new(rows, &sight)?;
            let mut news = News::default();
            tell(rows, &lens, ids.into_iter().map(|id| Ok(id.as_u128())), &mut news)?;
            Ok(news.jobs)
        })
        .await
    }

    /// The ids of the jobs of a bulk that the caller sees.
    pub async fn jobs_of_bulk(&self, sight: &Sight, bulk: crate::model::id::BulkId) -> Result<Vec<JobId>, DbError> {
        let sight = sight.clone();
        self.read("read a bulk", move |rows| {
            let lens = Lens::new(rows, &sight)?;
            let mut found = Vec::new();
            for row in rows.job_bulks().range((bulk.as_u128(), 0)..=(bulk.as_u128(), u128::MAX))? {
                let id = row?.0.value().1;
                if let Some(row) = queue::job(rows, id)?
                    && jobs::sees(rows, &lens, &row)?
                {
                    found.push(JobId::from_u128(id));
                }
            }
            Ok(found)
        })
        .await
    }
}

/// All jobs that have not ended, the oldest first.
pub(super) fn unfinished(rows: &ReadRows) -> Result<Vec<u128>, Fault> {
    let mut ids = queue::waiting(rows)?;
    for row in rows.active.iter()? {
        ids.push(row?.0.value().1);
    }
    ids.extend(groups::running(rows)?);
    ids.sort_unstable();
    Ok(ids)
}

fn tell(
    rows: &ReadRows,
    lens: &Lens,
    ids: impl Iterator<Item = Result<u128, Fault>>,
    news: &mut News,
) -> Result<(), Fault> {
    let mut told = 0;
    for id in ids {
        let id = id?;
        let Some(row) = queue::job(rows, id)? else { continue };
        if !jobs::sees(rows, lens, &row)? {
            continue;
        }
        if told == MOST {
            news.complete = false;
            return Ok(());
        }
        told += 1;
        news.jobs.push(queue::brief_job(rows, id, row)?);
    }
    Ok(())
}
