//! Objects of the inventory: read, search, sync, delete.

mod wire;

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use wire::{ColumnsJson, HitsJson, ObjectJson, OverridesJson, SearchBody, SettingsJson};

use super::{
    ApiState,
    caller::Caller,
    error::ApiError,
    input::{Body, MaybeTarget, Target},
};
use crate::{
    db::{ObjectRef, objects::SearchError},
    model::{id::BulkId, object::ObjectView, path::ObjectPath},
};

/// What a sync is asked for with.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CrawlBody {
    /// Also scan all disabled objects.
    #[serde(default)]
    force_recursive: bool,
    /// Only compute the difference: `GET /jobs/{id}/changes` lists what a sync would change, `applied: no`. Of one object.
    #[serde(default)]
    dry_run: bool,
    /// Without a path in the URL: the objects to sync, at most 500, all of one connection.
    #[serde(default)]
    object_paths: Vec<Vec<String>>,
}

/// Most objects of one request.
const MAX_OBJECTS: usize = 500;

/// Work that was queued.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Queued {
    /// The object it is about; of several, what contains them all.
    #[schemars(with = "Vec<String>")]
    pub object_path: ObjectPath,
    /// For `GET /jobs?bulkId=`.
    #[schemars(with = "String")]
    pub bulk_id: BulkId,
}

/// What was taken out of the inventory.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeletedJson {
    /// Where it was.
    #[schemars(with = "Vec<String>")]
    object_path: ObjectPath,
    /// Objects that went with it.
    child_count: u64,
}

/// One object.
pub(super) async fn get(
    State(state): State<ApiState>,
    caller: Caller,
    Target(target): Target,
) -> Result<Response, ApiError> {
    let object = seen(&state, &caller, &target).await?;
    let etag = format!("\"{}\"", object.revision);
    Ok(([(header::ETAG, etag)], Json(ObjectJson::from(object))).into_response())
}

/// The columns of an object, as they were last delivered.
pub(super) async fn columns(
    State(state): State<ApiState>,
    caller: Caller,
    Target(target): Target,
) -> Result<Json<ColumnsJson>, ApiError> {
    let object = seen(&state, &caller, &target).await?;
    let columns = state.db.columns(caller.sight(), &ObjectRef::Id(object.id)).await?;
    Ok(Json(ColumnsJson::new(object, columns)))
}

/// Children or descendants of an object, or the connections.
pub(super) async fn search(
    State(state): State<ApiState>,
    caller: Caller,
    MaybeTarget(root): MaybeTarget,
    Body(body): Body<SearchBody>,
) -> Result<Json<HitsJson>, ApiError> {
    let hits = state.db.search(caller.sight(), body.search(root)?).await.map_err(|error| match error {
        SearchError::NotFound => no_such_object(),
        SearchError::Cursor => ApiError::bad_request("invalid-cursor", error.to_string()),
        SearchError::Db(error) => error.into(),
    })?;
    Ok(Json(hits.into()))
}

/// Queues a sync of an object and everything below it, or of several.
pub(super) async fn crawl(
    State(state): State<ApiState>,
    caller: Caller,
    MaybeTarget(target): MaybeTarget,
    Body(body): Body<CrawlBody>,
) -> Result<(StatusCode, Json<Queued>), ApiError> {
    let now = state.clock.now();
    let (sight, force) = (caller.sight(), body.force_recursive);
    let job = match (target, body.object_paths.len()) {
        (Some(target), 0) => {
            let object = seen(&state, &caller, &target).await?;
            let object = ObjectRef::Id(object.id);
            match body.dry_run {
                true => state.db.enqueue_dry_run(sight, &object, force, now).await?,
                false => state.db.enqueue_sync(sight, &object, force, now).await?,
            }
        }
        (Some(_), _) => {
            let message = "name the object by its path or by ?id=, or several in objectPaths, not both";
            return Err(ApiError::bad_request("invalid-body", message));
        }
        (None, _) if body.dry_run => {
            return Err(ApiError::bad_request(
                "invalid-body",
                "at dryRun: a dry run is of one object, named by its path or by ?id=",
            ));
        }
        (None, 0) => {
            return Err(ApiError::bad_request(
                "no-object",
                "name an object by its path or by ?id=, or several in objectPaths",
            )
            .hint("each name of the path is one percent-encoded segment of the URL"));
        }
        (None, n) if n > MAX_OBJECTS => {
            return Err(ApiError::bad_request("invalid-body", format!("at objectPaths: at most {MAX_OBJECTS}")));
        }
        (None, _) => {
            let mut objects = Vec::new();
            for (n, names) in body.object_paths.into_iter().enumerate() {
                let path = ObjectPath::from_segments(names)
                    .map_err(|why| ApiError::bad_request("invalid-path", format!("at objectPaths[{n}]: {why}")))?;
                let object = seen(&state, &caller, &ObjectRef::Path(path, String::new())).await?;
                objects.push(ObjectRef::Id(object.id));
            }
            state.db.enqueue_syncs(sight, objects, force, now).await?
        }
    };
    let job = job.ok_or_else(|| untouched(&caller))?;
    Ok((StatusCode::ACCEPTED, Json(Queued { object_path: job.object_path, bulk_id: job.bulk })))
}

/// Takes an object with everything below it out of the inventory. The platform is not touched.
pub(super) async fn delete(
    State(state): State<ApiState>,
    caller: Caller,
    Target(target): Target,
) -> Result<Json<DeletedJson>, ApiError> {
    let object = seen(&state, &caller, &target).await?;
    let deleted = state
        .db
        .by(caller.actor())
        .delete_object(caller.sight(), &ObjectRef::Id(object.id), state.clock.now())
        .await?
        .ok_or_else(|| untouched(&caller))?;
    tracing::info!(object.id = %object.id, objects = deleted.child_count, "removed from the inventory");
    Ok(Json(DeletedJson { object_path: deleted.path, child_count: deleted.child_count }))
}

/// The object, if the caller sees it, at least as a step on the path.
pub(super) async fn seen(state: &ApiState, caller: &Caller, target: &ObjectRef) -> Result<ObjectView, ApiError> {
    state.db.object(caller.sight(), target).await?.ok_or_else(no_such_object)
}

/// 404, whether it is not there or not for this caller.
pub(super) fn no_such_object() -> ApiError {
    ApiError::not_found("there is no such object").hint("names are compared exactly, case included")
}

/// Why nothing was done with an object that was seen a moment ago: who sees everything learns that it is gone by now.
pub(super) fn untouched(caller: &Caller) -> ApiError {
    if caller.sees_all() { no_such_object() } else { only_on_path() }
}

/// 403 for acting on something that is seen only because it leads to what the caller owns.
pub(super) fn only_on_path() -> ApiError {
    ApiError::forbidden("you own something below this object, but not the object itself")
}
