//! Who did what.

mod events;

use axum::{Json, extract::State};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(super) use events::{EVENT_PARAMETERS, events};

use super::{ApiState, error::ApiError, input::Query};
use crate::model::connector::AuditEntry;

/// Parameters, for the document.
pub(super) const AUDIT_PARAMETERS: [(&str, &str); 3] = [
    ("subject", "Only about this, such as connectors/NAME"),
    ("next", "As the page before gave it"),
    ("size", "Entries to give, 1 to 500; 50 where it is left out"),
];

/// Entries, the newest first.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditJson {
    hits: Vec<AuditEntryJson>,
    /// For the page that follows; null where there is none. A page may be empty and still have one that follows.
    next: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "AuditEntry")]
struct AuditEntryJson {
    /// Counts.
    sequence: u64,
    #[schemars(with = "String")]
    at: Timestamp,
    /// `wharfinger` where the host did it by itself.
    who: String,
    /// For programs.
    action: String,
    /// To what.
    subject: String,
    /// For people.
    message: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct AuditQuery {
    subject: Option<String>,
    next: Option<String>,
    size: Option<usize>,
}

/// What was done, the newest first.
pub(super) async fn list(
    State(state): State<ApiState>,
    Query(query): Query<AuditQuery>,
) -> Result<Json<AuditJson>, ApiError> {
    let size = query.size.unwrap_or(50);
    if !(1..=500).contains(&size) {
        return Err(ApiError::bad_request("invalid-query", format!("size must be 1 to 500, not {size}")));
    }
    let bad = |_| ApiError::bad_request("invalid-cursor", "next is not one that a page before gave");
    let below = query.next.map(|next| next.parse().map_err(bad)).transpose()?;
    let page = state.db.audit(query.subject.as_deref(), below, size).await?;
    let hits = page.entries.into_iter().map(|(sequence, entry)| AuditEntryJson::new(sequence, entry)).collect();
    Ok(Json(AuditJson { hits, next: page.next.map(|next| next.to_string()) }))
}

impl AuditEntryJson {
    fn new(sequence: u64, entry: AuditEntry) -> Self {
        let AuditEntry { at, who, action, subject, message } = entry;
        let who = who.map_or_else(|| "wharfinger".to_owned(), |who| who.name);
        Self { sequence, at, who, action, subject, message }
    }
}
