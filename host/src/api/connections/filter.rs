//! Include and exclude patterns of a connection: what they would leave, before they are saved (D41).

use axum::{Json, extract::State};
use schemars::JsonSchema;
use serde::Serialize;

use super::{find, options, options::FilterInput, payload::Warning, refused};
use crate::{
    api::{
        ApiState,
        caller::Caller,
        error::ApiError,
        input::{Body, Target},
        objects::{no_such_object, only_on_path},
    },
    db::{
        ObjectRef,
        connections::ConnectionUpdate,
        preview::{LevelPreview, Preview},
    },
    model::{
        connection::{Connection, ConnectionOptions},
        filter::{Filter, List, Pattern},
        id::{BulkId, ConnectionId},
        path::{ObjectPath, RemotePath},
        sight::Visible,
    },
};

/// What patterns would leave of the objects that are known.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "FilterPreview")]
pub struct PreviewJson {
    /// The connection.
    #[schemars(with = "Vec<String>")]
    object_path: ObjectPath,
    /// Objects that stay.
    kept: u64,
    /// Objects that are left out.
    left_out: u64,
    /// Objects that the platform no longer has.
    missing: u64,
    /// The same by level.
    levels: Vec<LevelJson>,
    /// What each include pattern names.
    include: Vec<PatternJson>,
    /// What each exclude pattern names.
    exclude: Vec<PatternJson>,
    /// False where there is so much that the counting ended early.
    complete: bool,
    /// What may be a mistake.
    warnings: Vec<Warning>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "FilterPreviewLevel")]
struct LevelJson {
    /// As objects have it: 2 is the level below the connection.
    level: usize,
    kept: u64,
    left_out: u64,
    missing: u64,
    /// Paths below the connection of the first 20 that stay.
    first_kept: Vec<Vec<String>>,
    /// Paths below the connection of the first 20 that are left out.
    first_left_out: Vec<Vec<String>>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "FilterPreviewPattern")]
struct PatternJson {
    /// Globs from below the connection down.
    pattern: Vec<String>,
    /// As one text.
    text: String,
    /// Known objects at its depth that it names.
    matches: u64,
}

/// Tells what patterns would leave, and stores nothing.
pub(in crate::api) async fn preview(
    State(state): State<ApiState>,
    caller: Caller,
    Target(target): Target,
    Body(body): Body<FilterInput>,
) -> Result<Json<PreviewJson>, ApiError> {
    let connection = find(&state, &caller, &target).await?;
    let object = state.db.object(caller.sight(), &ObjectRef::Id(connection.id.object())).await?;
    // Names are told of everything in it.
    if object.ok_or_else(no_such_object)?.visible != Visible::Whole {
        return Err(only_on_path());
    }
    let filter = body.over(&connection.options.filter)?;
    let found = state.db.preview_filter(connection.id, filter.clone()).await?;
    Ok(Json(PreviewJson::new(connection, &filter, found)))
}

/// Stores other patterns, if the connection is still at the revision. The sync that looks for what may be new, where any.
pub(in crate::api) async fn save(
    state: &ApiState,
    caller: &Caller,
    id: ConnectionId,
    filter: Filter,
    revision: u64,
) -> Result<Option<BulkId>, ApiError> {
    let (connection, _) = state.db.connection_with_secrets(id).await?.ok_or_else(no_such_object)?;
    if revision != connection.revision {
        return Err(ApiError::revision(connection.revision));
    }
    let update = ConnectionUpdate {
        options: ConnectionOptions { filter, ..connection.options },
        secrets: None,
        secrets_were: None,
        config: connection.config,
        address: connection.address,
        identity: connection.identity,
        host_managed: connection.host_managed,
        by: caller.actor(),
        admitted_by: None,
    };
    let now = state.clock.now();
    let (changed, job) = state.db.update_connection(id, update, Some(revision), now).await.map_err(refused)?;
    tracing::info!(connection.id = %changed.id, connection.key = %changed.key, "patterns changed");
    Ok(job.map(|job| job.bulk))
}

/// What may be a mistake in patterns that leave this.
pub(in crate::api) fn doubts(filter: &Filter, found: &Preview) -> Vec<Warning> {
    let mut warnings = options::doubts(filter);
    let lists = [
        (List::Include, filter.include(), &found.include_matches),
        (List::Exclude, filter.exclude(), &found.exclude_matches),
    ];
    for (list, patterns, matches) in lists {
        for (index, (pattern, _)) in patterns.iter().zip(matches).enumerate().filter(|(_, (_, n))| **n == 0) {
            warnings.push(Warning {
                code: "matches-nothing".into(),
                message: format!("{list}[{index}], {pattern}, names no known object"),
                hint: Some("names are compared exactly, case included".into()),
                path: None,
            });
        }
    }
    if found.cut_short {
        warnings.push(Warning {
            code: "incomplete".into(),
            message: "there is so much that not everything was counted".into(),
            hint: None,
            path: None,
        });
    }
    warnings
}

impl PreviewJson {
    fn new(connection: Connection, filter: &Filter, found: Preview) -> Self {
        let warnings = doubts(filter, &found);
        let (kept, left_out, missing) = found.totals();
        Self {
            object_path: ObjectPath::of_connection(connection.key),
            kept,
            left_out,
            missing,
            levels: (2..).zip(found.levels).map(|(level, it)| LevelJson::new(level, it)).collect(),
            include: named(filter.include(), &found.include_matches),
            exclude: named(filter.exclude(), &found.exclude_matches),
            complete: !found.cut_short,
            warnings,
        }
    }
}

impl LevelJson {
    fn new(level: usize, it: LevelPreview) -> Self {
        let names =
            |paths: Vec<RemotePath>| paths.into_iter().map(|path| path.names().map(str::to_owned).collect()).collect();
        Self {
            level,
            kept: it.kept,
            left_out: it.left_out,
            missing: it.missing,
            first_kept: names(it.first_kept),
            first_left_out: names(it.first_left_out),
        }
    }
}

fn named(patterns: &[Pattern], matches: &[u64]) -> Vec<PatternJson> {
    let each = |(pattern, matches): (&Pattern, &u64)| PatternJson {
        pattern: pattern.globs().to_vec(),
        text: pattern.to_string(),
        matches: *matches,
    };
    patterns.iter().zip(matches).map(each).collect()
}
