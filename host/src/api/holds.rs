//! What is held back, and what people make of it (D33).

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Path, State},
    http::Uri,
};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    ApiState,
    caller::Caller,
    error::ApiError,
    input::{Body, IfMatch, MaybeTarget, Nothing, Query},
    objects::no_such_object,
};
use crate::{
    db::holds::{Decided, HeldObject, HoldError},
    model::{
        hold::{Decision, Hold},
        id::{HoldId, JobId, ObjectId},
        path::ObjectPath,
    },
};

/// Held objects that are told with a hold; the rest is in the changes of its job.
const TOLD: usize = 20;

/// Most holds of one answer.
const MAX_SIZE: usize = 500;

/// Parameters of the list, for the document.
pub(super) const LIST_PARAMETERS: [(&str, &str); 2] =
    [("offset", "Holds to leave out at the beginning"), ("size", "Holds to give, 1 to 500; 50 where it is left out")];

/// Objects that are proved to be absent and not believed: they count as present until somebody decides.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Hold")]
pub struct HoldJson {
    #[schemars(with = "String")]
    id: HoldId,
    /// In or below which they are.
    #[schemars(with = "Vec<String>")]
    object_path: ObjectPath,
    #[schemars(with = "String")]
    object_id: ObjectId,
    /// Counts the syncs that have judged it; to be sent as `If-Match`.
    revision: u64,
    /// The sync that judged it last.
    #[schemars(with = "String")]
    job_id: JobId,
    /// Why, for people.
    cause: String,
    /// What may help, in the connector's words; null where it finds nothing lacking.
    hint: Option<String>,
    /// Objects that are held, by type. What lies in a held container is not counted.
    counts: BTreeMap<String, u64>,
    /// Tables and the like that were known where it tripped.
    known: u64,
    /// Those of them that would be missing.
    vanished: u64,
    /// Scheduled syncs that have found the very same since.
    equal_syncs: u32,
    #[schemars(with = "String")]
    created_at: Timestamp,
    #[schemars(with = "String")]
    updated_at: Timestamp,
}

impl From<Hold> for HoldJson {
    fn from(hold: Hold) -> Self {
        Self {
            id: hold.id,
            object_path: hold.path,
            object_id: hold.scope,
            revision: hold.revision,
            job_id: hold.job,
            cause: hold.cause,
            hint: (!hold.hints.is_empty()).then(|| hold.hints.join("\n")),
            counts: hold.counts,
            known: hold.known,
            vanished: hold.vanished,
            equal_syncs: hold.equal_syncs,
            created_at: hold.created_at,
            updated_at: hold.updated_at,
        }
    }
}

/// A hold with the first of its objects.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ListedHold {
    #[serde(flatten)]
    hold: HoldJson,
    /// The first objects that are held, at most 20.
    objects: Vec<HeldJson>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "HeldObject")]
struct HeldJson {
    #[schemars(with = "String")]
    id: ObjectId,
    #[schemars(with = "Vec<String>")]
    object_path: ObjectPath,
    object_type: String,
    namespace: String,
}

impl From<HeldObject> for HeldJson {
    fn from(held: HeldObject) -> Self {
        let HeldObject { object, path, namespace, object_type } = held;
        Self { id: object, object_path: path, object_type, namespace }
    }
}

/// Holds, by path.
#[derive(Debug, Serialize, JsonSchema)]
pub struct HoldsJson {
    hits: Vec<ListedHold>,
    /// How many there are in all.
    count: usize,
}

/// What was decided.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DecidedJson {
    /// `release` or `reject`.
    decision: &'static str,
    /// Objects that are still to be gone through; that goes on by itself.
    left: u64,
    /// As it was.
    hold: HoldJson,
}

impl DecidedJson {
    fn of(decision: Decision, decided: Decided) -> Self {
        let word = match decision {
            Decision::Release => "release",
            Decision::Reject => "reject",
        };
        Self { decision: word, left: decided.left, hold: decided.hold.into() }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct ListQuery {
    #[serde(default)]
    offset: usize,
    size: Option<usize>,
}

/// What is held: everywhere, or in, below and together with an object.
pub(super) async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    MaybeTarget(target): MaybeTarget,
    Query(query): Query<ListQuery>,
) -> Result<Json<HoldsJson>, ApiError> {
    let size = query.size.unwrap_or(50);
    if !(1..=MAX_SIZE).contains(&size) {
        return Err(ApiError::bad_request("invalid-query", format!("size must be 1 to {MAX_SIZE}, not {size}")));
    }
    let holds = state.db.holds(caller.sight(), target.as_ref()).await?.ok_or_else(no_such_object)?;
    let count = holds.len();
    let mut hits = Vec::new();
    for hold in holds.into_iter().skip(query.offset).take(size) {
        let objects = state.db.held_objects(caller.sight(), hold.id, TOLD).await?;
        hits.push(ListedHold { hold: hold.into(), objects: objects.into_iter().map(HeldJson::from).collect() });
    }
    Ok(Json(HoldsJson { hits, count }))
}

/// What the end of a URL asks to be made of what is held.
pub(super) fn decision(word: &str) -> Result<Decision, ApiError> {
    match word {
        "release" => Ok(Decision::Release),
        "reject" => Ok(Decision::Reject),
        _ => Err(ApiError::not_found("there is no such route").hint("/docs lists all routes")),
    }
}

/// Lets what a hold has become missing where it is still absent, or lets nothing of it. The router cannot tell an id from
/// the beginning of an object's path, so both come here, and the verb is read at the end.
pub(super) async fn decide(
    State(state): State<ApiState>,
    caller: Caller,
    Path(rest): Path<String>,
    IfMatch(revision): IfMatch,
    _: Body<Nothing>,
) -> Result<Json<DecidedJson>, ApiError> {
    let (id, verb) = rest.rsplit_once('/').unwrap_or_default();
    let decision = decision(verb)?;
    let id = id.parse().map_err(|error| ApiError::bad_request("invalid-id", format!("the hold's id is {error}")))?;
    let db = state.db.by(caller.actor());
    let done = db.decide_hold(caller.sight(), id, revision, decision, state.clock.now()).await.map_err(refused)?;
    Ok(Json(DecidedJson::of(decision, done)))
}

/// Releases or rejects everything that a sync holds back.
pub(super) async fn decide_job(
    State(state): State<ApiState>,
    caller: Caller,
    Path(id): Path<String>,
    uri: Uri,
    _: Body<Nothing>,
) -> Result<Json<Vec<DecidedJson>>, ApiError> {
    let decision = decision(uri.path().rsplit('/').next().unwrap_or_default())?;
    let id = id.parse().map_err(|error| ApiError::bad_request("invalid-id", format!("the job's id is {error}")))?;
    let db = state.db.by(caller.actor());
    let done =
        db.decide_holds_of(caller.sight(), id, decision, state.clock.now()).await.map_err(|error| match error {
            HoldError::NotFound => ApiError::not_found("there is no such job"),
            error => refused(error),
        })?;
    Ok(Json(done.into_iter().map(|decided| DecidedJson::of(decision, decided)).collect()))
}

/// Why nothing was decided, as callers are told.
pub(super) fn refused(error: HoldError) -> ApiError {
    match error {
        HoldError::NotFound => ApiError::not_found("there is no such hold")
            .hint("it was released or rejected, or a sync has seen again what it held; GET /holds lists what is held"),
        HoldError::Revision(_) => {
            ApiError::new(axum::http::StatusCode::PRECONDITION_FAILED, "revision", error.to_string())
                .hint("read it again, decide again, and send the new revision as If-Match")
        }
        HoldError::Unfinished => {
            ApiError::conflict("job-unfinished", error.to_string()).hint("wait for its end, or cancel it")
        }
        HoldError::NothingHeld => ApiError::conflict("nothing-held", error.to_string())
            .hint("GET /holds lists what is held, with the sync that judged it last"),
        HoldError::Db(error) => error.into(),
    }
}
