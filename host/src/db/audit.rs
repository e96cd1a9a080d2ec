//! Who did what: entries in the order of the transactions that did it. What is done and its entry are one transaction.

use redb::ReadableTable as _;

use super::{
    Db, DbError,
    fault::Fault,
    records::{decode, encode},
    tables::{ReadRows, Rows, WriteRows},
};
use crate::model::connector::AuditEntry;

/// Entries that are looked at for one page: a subject that is rare must not cost the whole table.
const LOOKED_AT: usize = 20_000;

/// A page of the audit, the newest first.
#[derive(Clone, Debug, Default)]
pub struct AuditPage {
    /// Number and entry.
    pub entries: Vec<(u64, AuditEntry)>,
    /// The number below which the next page begins.
    pub next: Option<u64>,
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
}

/// Writes an entry.
pub(super) fn note(rows: &mut WriteRows<'_>, entry: &AuditEntry) -> Result<(), Fault> {
    let number = rows.audit.last()?.map_or(1, |row| row.0.value() + 1);
    rows.audit.insert(number, encode(entry)?.as_slice())?;
    Ok(())
}
