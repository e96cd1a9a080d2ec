//! The history: what happened at an object, below it, or in a job.

mod wire;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use jiff::Timestamp;
use serde::Deserialize;

pub(in crate::api) use wire::field;
pub use wire::{ChangesJson, HistoryJson};

use super::{
    ApiState,
    caller::Caller,
    error::ApiError,
    input::{Query, Target},
    objects::no_such_object,
};
use crate::{
    db::feed::{FeedError, FeedQuery, MAX_CHANGES},
    model::{change::ChangeKind, id::JobId},
};

/// Parameters of a feed, for the document.
pub(super) const FEED_PARAMETERS: [(&str, &str); 5] = [
    ("cursor", "The `next` of the changes before"),
    ("since", "Only changes at or after this time"),
    ("until", "Only changes before this time"),
    ("kind", "Only these kinds, joined by commas, such as `missing,returned`"),
    ("size", "Changes to give, 1 to 500; 50 where it is left out"),
];

#[derive(Debug, Default, Deserialize)]
pub(super) struct ChangesQuery {
    cursor: Option<String>,
    since: Option<String>,
    until: Option<String>,
    kind: Option<String>,
    size: Option<usize>,
}

impl ChangesQuery {
    fn parse(self) -> Result<FeedQuery, ApiError> {
        let size = self.size.unwrap_or(50);
        if !(1..=MAX_CHANGES).contains(&size) {
            return Err(ApiError::bad_request("invalid-query", format!("size must be 1 to {MAX_CHANGES}, not {size}")));
        }
        let kinds = self.kind.iter().flat_map(|text| text.split(',')).map(kind).collect::<Result<_, _>>()?;
        Ok(FeedQuery {
            cursor: self.cursor,
            since: self.since.map(|text| time(&text, "since")).transpose()?,
            until: self.until.map(|text| time(&text, "until")).transpose()?,
            kinds,
            newest_first: false,
            size,
        })
    }
}

/// What happened at an object and everything below it, in the order of commits.
pub(super) async fn below(
    State(state): State<ApiState>,
    caller: Caller,
    Target(target): Target,
    Query(query): Query<ChangesQuery>,
) -> Result<Json<ChangesJson>, ApiError> {
    let feed = state.db.changes(caller.sight(), &target, query.parse()?).await.map_err(refused)?;
    Ok(Json(feed.into()))
}

/// What happened at one object, the newest first.
pub(super) async fn history(
    State(state): State<ApiState>,
    caller: Caller,
    Target(target): Target,
    Query(query): Query<ChangesQuery>,
) -> Result<Json<HistoryJson>, ApiError> {
    let feed = state.db.history(caller.sight(), &target, query.parse()?).await.map_err(refused)?;
    Ok(Json(feed.into()))
}

/// What a job changed, in the order in which it did; of a dry run what a sync would change.
pub(super) async fn of_job(
    State(state): State<ApiState>,
    caller: Caller,
    Path(job): Path<String>,
    Query(query): Query<ChangesQuery>,
) -> Result<Json<ChangesJson>, ApiError> {
    let job: JobId =
        job.parse().map_err(|error| ApiError::bad_request("invalid-id", format!("the job's id is {error}")))?;
    let feed = state.db.job_changes(caller.sight(), job, query.parse()?).await.map_err(|error| match error {
        FeedError::NotFound => ApiError::not_found("there is no such job"),
        error => refused(error),
    })?;
    Ok(Json(feed.into()))
}

/// Why a feed is not read, as callers are told.
pub(super) fn refused(error: FeedError) -> ApiError {
    match error {
        FeedError::NotFound => no_such_object(),
        FeedError::Cursor => ApiError::bad_request("invalid-cursor", error.to_string())
            .hint("a cursor goes with the object, and the order, that it was given for"),
        FeedError::Gone(until) => ApiError::new(StatusCode::GONE, "gone", error.to_string())
            .detail(serde_json::json!({ "prunedUntil": until }))
            .hint("read the inventory anew, then the changes without a cursor"),
        FeedError::Db(error) => error.into(),
    }
}

fn kind(text: &str) -> Result<ChangeKind, ApiError> {
    text.trim().parse().map_err(|error| ApiError::bad_request("invalid-query", format!("kind is {error}")))
}

fn time(text: &str, what: &str) -> Result<Timestamp, ApiError> {
    text.parse().map_err(|_| {
        ApiError::bad_request("invalid-query", format!("{what} must be a time such as 2026-01-31T12:00:00Z"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_named() {
        let query = |name: &str, value: &str| {
            let text = |wanted| (name == wanted).then(|| value.to_owned());
            let size = text("size").map(|size| size.parse().expect("number"));
            let [since, until, kind] = ["since", "until", "kind"].map(text);
            ChangesQuery { cursor: None, since, until, kind, size }.parse()
        };
        let good = query("kind", "missing, moved").expect("good");
        assert_eq!(good.kinds, [ChangeKind::Missing, ChangeKind::Moved]);
        assert!(query("since", "2026-01-31T12:00:00Z").expect("good").since.is_some());
        for (name, value, part) in [
            ("kind", "renamed", "moved"),
            ("since", "yesterday", "since"),
            ("until", "2026-13-01T00:00:00Z", "until"),
            ("size", "501", "500"),
        ] {
            let error = query(name, value).expect_err(part);
            assert!(error.status() == 400 && error.message().contains(part), "{}", error.message());
        }
    }

    #[test]
    fn a_cursor_that_is_too_old_is_gone() {
        let error = refused(FeedError::Gone(Timestamp::UNIX_EPOCH));
        assert_eq!((error.status().as_u16(), error.code()), (410, "gone"));
        assert!(error.message().contains("1970-01-01") && error.hint_text().is_some(), "{}", error.message());
    }
}
