//! `GET /audit/events`: what is done, as it is, as server-sent events.
//!
//! Each event is an entry of the audit, and its id the entry's number: `Last-Event-ID` says from where on, as long as the
//! audit reaches back. Where it does not, an event `reset` says so: read `/audit` then.

use std::{collections::VecDeque, time::Duration};

use axum::{
    extract::State,
    http::HeaderMap,
    response::{Response, sse::Event},
};
use serde::Deserialize;

use super::AuditEntryJson;
use crate::{
    api::{
        ApiState,
        caller::Caller,
        error::ApiError,
        input::Query,
        streams::{self, Next, Source},
    },
    db::{Db, DbError},
    model::principal::Permission,
};

/// Parameters of the stream, for the document.
pub(in crate::api) const EVENT_PARAMETERS: [(&str, &str); 1] =
    [("subject", "Only about this, such as connectors/NAME")];

/// How often it is looked though no bell rang.
const PAUSE: Duration = Duration::from_secs(5);

/// Entries of one look.
const AT_ONCE: usize = 100;

#[derive(Debug, Deserialize)]
pub(in crate::api) struct EventQuery {
    subject: Option<String>,
}

/// Follows the audit until the client goes or the host goes down.
pub(in crate::api) async fn events(
    State(state): State<ApiState>,
    headers: HeaderMap,
    Query(query): Query<EventQuery>,
) -> Result<Response, ApiError> {
    let place = streams::place(&state)?;
    let newest = state.db.audit_after(u64::MAX, None, 1).await?.seen;
    let (mut after, mut first) = (newest, Vec::new());
    if let Some(last) = headers.get("last-event-id") {
        let known = last.to_str().ok().and_then(|text| text.trim().parse().ok());
        let is_whole = match known {
            Some(known) => state.db.audit_after(known, None, 1).await?.is_whole,
            None => false,
        };
        match known.filter(|_| is_whole) {
            Some(known) => after = known,
            None => first.push(streams::reset("the audit does not reach back to the last event, or knows none of it")),
        }
    }
    // Whoever is told nothing for long knows from where to go on all the same.
    first.insert(0, streams::beginning("audit").id(after.to_string()));
    let follow = Follow { db: state.db.clone(), subject: query.subject, after };
    Ok(streams::follow(state, headers, place, follow, first))
}

/// The entries that one client follows.
struct Follow {
    db: Db,
    subject: Option<String>,
    /// Number up to which everything was told.
    after: u64,
}

impl Source for Follow {
    fn admits(&mut self, caller: &Caller) -> bool {
        caller.has_any(&[Permission::ApplicationAdmin])
    }

    async fn look(&mut self, queue: &mut VecDeque<Event>) -> Result<Next, DbError> {
        let news = self.db.audit_after(self.after, self.subject.as_deref(), AT_ONCE).await?;
        for (number, entry) in news.entries {
            let entry = AuditEntryJson::new(number, entry);
            let Ok(text) = serde_json::to_string(&entry) else { continue };
            queue.push_back(Event::default().event("entry").id(number.to_string()).data(text));
        }
        self.after = news.seen;
        Ok(if news.more { Next::Now } else { Next::Within(PAUSE) })
    }
}
