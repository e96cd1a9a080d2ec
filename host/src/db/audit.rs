//! Who did what: entries in the order of the transactions that did it. What is done and its entry are one transaction.

use jiff::Timestamp;
use redb::{ReadableTable as _, ReadableTableMetadata as _};

use super::{
    Db, DbError,
    fault::{Fault, Stop},
    records::{decode, encode},
    tables::{ReadRows, Rows, WriteRows},
};
use crate::model::connector::AuditEntry;

/// Entries that are looked at for one page: a subject that is rare must not cost the whole table.
const LOOKED_AT: usize = 20_000;

/// The newest entries, which are kept however old they are: what was done last is known on a quiet host too.
pub const ALWAYS_KEPT: u64 = 1000;

/// A page of the audit, the newest first.
#[derive(Clone, Debug, Default)]
pub struct AuditPage {
    /// Number and entry.
    pub entries: Vec<(u64, AuditEntry)>,
    /// The number below which the next page begins.
    pub next: Option<u64>,
}

/// What was written since.
#[derive(Clone, Debug)]
pub struct AuditNews {
    /// Number and entry, the oldest first.
    pub entries: Vec<(u64, AuditEntry)>,
    /// Up to which number was looked.
    pub seen: u64,
    /// Whether there may be more after that.
    pub more: bool,
    /// Whether nothing was removed in between, and the number was given before.
    pub is_whole: bool,
}

impl Db {
    /// Entries below a number (or the newest), about one subject or all.
    pub async fn audit(&self, subject: Option<&str>, below: Option<u64>, size: usize) -> Result<AuditPage, DbError> {
        let subject = subject.map(str::to_owned);
        self.read("read the audit", move |rows: &ReadRows| {
            let mut page = AuditPage::default();
            for (looked_at, row) in rows.audit().range(..below.unwrap_or(u64::MAX))?.rev().enumerate() {
                let (number, row) = row?;
                if page.entries.len() == size || looked_at == LOOKED_AT {
                    page.next = Some(number.value() + 1);
                    break;
                }
                let entry: AuditEntry = decode(row.value())?;
                if subject.as_deref().is_none_or(|subject| subject == entry.subject) {
                    page.entries.push((number.value(), entry));
                }
            }
            Ok(page)
        })
        .await
    }

    /// Removes entries from before a time, at most so many in one transaction, and never one of the newest. Whether there may
    /// be more. Stopped at any point, the next call goes on.
    pub async fn forget_audit(&self, before: Timestamp, limit: usize) -> Result<bool, DbError> {
        // Looking costs no commit.
        let any = self.read("look for old entries", move |rows| Ok(!old(rows, before, 1)?.is_empty())).await?;
        if !any {
            return Ok(false);
        }
        self.work("remove old entries", move |rows: &mut WriteRows<'_>| {
            let found = old(rows, before, limit.max(1))?;
            for number in &found {
                rows.audit.remove(number)?;
            }
            Ok::<_, Stop<DbError>>(found.len() == limit.max(1))
        })
        .await
    }

    /// Entries after a number, the oldest first, about one subject or all; and the number up to which was looked.
    pub async fn audit_after(&self, after: u64, subject: Option<&str>, size: usize) -> Result<AuditNews, DbError> {
        let subject = subject.map(str::to_owned);
        self.read("look for news of the audit", move |rows: &ReadRows| {
            let first = rows.audit().first()?.map_or(0, |row| row.0.value());
            let last = rows.audit().last()?.map_or(0, |row| row.0.value());
            let is_whole = after <= last && after + 1 >= first;
            let mut news = AuditNews { entries: Vec::new(), seen: last, more: false, is_whole };
            for (looked_at, row) in rows.audit().range(after.saturating_add(1)..)?.enumerate() {
                let (number, row) = row?;
                if news.entries.len() == size || looked_at == LOOKED_AT {
                    (news.seen, news.more) = (number.value() - 1, true);
                    break;
                }
                let entry: AuditEntry = decode(row.value())?;
                if subject.as_deref().is_none_or(|subject| subject == entry.subject) {
                    news.entries.push((number.value(), entry));
                }
            }
            Ok(news)
        })
        .await
    }

    /// A change that writes entries, for whoever follows them.
    pub(super) async fn audited<T, E>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&mut WriteRows<'_>) -> Result<T, Stop<E>> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        let done = self.write(operation, work).await?;
        self.ring();
        Ok(done)
    }
}

/// Entries that are old enough to go, the oldest first.
fn old(rows: &impl Rows, before: Timestamp, limit: usize) -> Result<Vec<u64>, Fault> {
    let may_go = rows.audit().len()?.saturating_sub(ALWAYS_KEPT);
    let most = usize::try_from(may_go).unwrap_or(usize::MAX).min(limit);
    let mut found = Vec::new();
    for row in rows.audit().iter()?.take(most) {
        let (number, row) = row?;
        if decode::<AuditEntry>(row.value())?.at >= before {
            break;
        }
        found.push(number.value());
    }
    Ok(found)
}

/// Writes an entry.
pub(super) fn note(rows: &mut WriteRows<'_>, entry: &AuditEntry) -> Result<(), Fault> {
    let number = rows.audit.last()?.map_or(1, |row| row.0.value() + 1);
    rows.audit.insert(number, encode(entry)?.as_slice())?;
    Ok(())
}
