//! Connections: register, test, read, change.
//!
//! Nothing is stored before the connection has been tried with what would be stored; then everything is, in one
//! transaction with the first sync. Secrets are sealed before they leave this module and shown by none of its answers.

mod filter;
mod options;
mod payload;
mod schedule;
mod trial;
mod view;

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

pub use filter::PreviewJson;
pub(super) use filter::{doubts, preview, save};
pub use options::FilterInput;
pub use payload::{CreateConnection, UpdateConnection, Warning};
pub(super) use schedule::change as change_schedule;
pub use schedule::{ScheduleInput, ScheduleJson};
use trial::Rotated;
pub use trial::{CheckJson, TestResult};
pub use view::ConnectionJson;

use super::{
    ApiState,
    caller::Caller,
    error::ApiError,
    input::{Body, IfMatch, Target},
    objects::no_such_object,
};
use crate::{
    connector::Registration,
    db::{
        ObjectRef,
        connections::{ConnectionError, ConnectionUpdate, NewConnection},
    },
    egress::vault::Secrets,
    model::{
        connection::{Connection, Sealed},
        id::{BulkId, ConnectionId},
        name::ConnectionKey,
        path::ObjectPath,
        sight::Sight,
    },
};

/// A connection that was registered.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Registered {
    #[schemars(with = "Vec<String>")]
    object_path: ObjectPath,
    /// The first sync, for `GET /jobs?bulkId=`.
    #[schemars(with = "String")]
    bulk_id: BulkId,
    /// What does not work, or was ignored.
    warnings: Vec<Warning>,
}

/// Registers a connection and queues its first sync.
pub(super) async fn create(
    State(state): State<ApiState>,
    caller: Caller,
    Body(body): Body<CreateConnection>,
) -> Result<(StatusCode, Json<Registered>), ApiError> {
    let asked = body.admit(&state)?;
    not_taken(&state, &asked.key, &asked.technology, &asked.registration).await?;
    let trial =
        trial::run(&state, &asked.connector, &asked.registration, None, &asked.options.filter).await?.passed()?;
    let secrets = trial.rotated.map_or(asked.registration.secrets, |rotated| rotated.secrets);
    let id = ConnectionId::generate();
    let new = NewConnection {
        id,
        key: asked.key,
        technology: asked.technology,
        secrets: seal(&state, id, &secrets)?,
        config: asked.registration.config,
        address: asked.registration.address,
        identity: trial.identity,
        host_managed: asked.registration.host_managed,
        options: asked.options,
        settings: asked.settings,
        by: caller.actor(),
    };
    let (connection, job) = state.db.create_connection(new, state.clock.now()).await.map_err(refused)?;
    tracing::info!(connection.id = %connection.id, connection.key = %connection.key, "connection registered");
    let object_path = ObjectPath::of_connection(connection.key);
    let warnings = asked.warnings.into_iter().chain(trial.warnings).collect();
    Ok((StatusCode::CREATED, Json(Registered { object_path, bulk_id: job.bulk, warnings })))
}

/// Tries a payload and stores nothing.
pub(super) async fn test(
    State(state): State<ApiState>,
    Body(body): Body<CreateConnection>,
) -> Result<Json<TestResult>, ApiError> {
    let asked = body.admit(&state)?;
    not_taken(&state, &asked.key, &asked.technology, &asked.registration).await?;
    let outcome = trial::run(&state, &asked.connector, &asked.registration, None, &asked.options.filter).await?;
    Ok(Json(outcome.result(asked.warnings)))
}

/// One connection, without secrets.
pub(super) async fn get(
    State(state): State<ApiState>,
    caller: Caller,
    Target(target): Target,
) -> Result<Response, ApiError> {
    let connection = find(&state, &caller, &target).await?;
    view(&state, &caller, connection, None, Vec::new()).await
}

/// Changes credentials or options, after trying them.
pub(super) async fn put(
    State(state): State<ApiState>,
    caller: Caller,
    Target(target): Target,
    IfMatch(revision): IfMatch,
    Body(body): Body<UpdateConnection>,
) -> Result<Response, ApiError> {
    let found = find(&state, &caller, &target).await?;
    // Read again, together: known secrets must not meet the address of another version (D42).
    let (connection, stored) = state.db.connection_with_secrets(found.id).await?.ok_or_else(no_such_object)?;
    if let Some(asked) = revision
        && asked != connection.revision
    {
        return Err(ApiError::revision(connection.revision));
    }
    // Secrets that no longer open count as forgotten: the payload must then bring them.
    let known = state.vault.open(connection.id, &stored).ok();
    let before = known.clone().unwrap_or_default();
    let change = body.admit(&state, &connection, known)?;
    let mut warnings = change.warnings;
    let (mut identity, mut rotated) = (None, None);
    if let Some((connector, registration)) = &change.tried {
        let trial =
            trial::run(&state, connector, registration, Some(connection.id), &change.options.filter).await?.passed()?;
        rotated = trial.rotated;
        if connection.identity.is_some() && trial.identity.is_none() && registration.address != connection.address {
            return Err(ApiError::conflict("identity-unknown", "the new address does not tell which account it is")
                .hint("give the credentials the right to read the account's identity, or register a new connection"));
        }
        identity = trial.identity;
        warnings.extend(trial.warnings);
    }
    let update = match change.tried {
        Some((_, r)) => ConnectionUpdate {
            secrets: Some(seal(
                &state,
                connection.id,
                &latest(&state, connection.id, &before, r.secrets, rotated).await?,
            )?),
            config: r.config,
            address: r.address,
            identity,
            host_managed: r.host_managed,
            options: change.options,
            by: caller.actor(),
        },
        None => ConnectionUpdate {
            secrets: None,
            config: connection.config.clone(),
            address: connection.address.clone(),
            identity,
            host_managed: connection.host_managed.clone(),
            options: change.options,
            by: caller.actor(),
        },
    };
    // What was tried was made from the connection as it was read: somebody else's change in between must not be lost.
    let based_on = Some(connection.revision);
    let (updated, job) =
        state.db.update_connection(connection.id, update, based_on, state.clock.now()).await.map_err(refused)?;
    tracing::info!(connection.id = %updated.id, connection.key = %updated.key, "connection changed");
    view(&state, &caller, updated, job.map(|job| job.bulk), warnings).await
}

async fn view(
    state: &ApiState,
    caller: &Caller,
    connection: Connection,
    bulk: Option<BulkId>,
    warnings: Vec<Warning>,
) -> Result<Response, ApiError> {
    let object = state.db.object(caller.sight(), &ObjectRef::Id(connection.id.object())).await?;
    let object = object.ok_or_else(no_such_object)?;
    let connector = state.connectors.by_technology(&connection.technology);
    let etag = format!("\"{}\"", connection.revision);
    let body = ConnectionJson::new(connection, &object, connector.as_deref(), bulk, warnings, state.clock.now());
    Ok(([(header::ETAG, etag)], Json(body)).into_response())
}

/// The connection that a URL names, if the caller sees anything of it.
async fn find(state: &ApiState, caller: &Caller, target: &ObjectRef) -> Result<Connection, ApiError> {
    let found = match target {
        ObjectRef::Id(id) => {
            // The object decides whether it is seen.
            let object = state.db.object(caller.sight(), &ObjectRef::Id(*id)).await?;
            match object.filter(|o| o.id == o.connection.object()) {
                Some(object) => state.db.connection(object.connection).await?,
                None => None,
            }
        }
        ObjectRef::Path(path, _) if path.level() > 1 => {
            return Err(ApiError::bad_request("invalid-path", "a connection's key is one segment of the URL")
                .hint("write a slash of the key as %2F"));
        }
        ObjectRef::Path(path, _) => match path.name().as_str().parse::<ConnectionKey>() {
            Ok(key) => state.db.connection_by_key(caller.sight(), &key).await?,
            Err(_) => None,
        },
    };
    found.ok_or_else(|| ApiError::not_found("there is no such connection").hint("keys are compared exactly"))
}

/// Refuses early what the store would refuse in the end, so that no platform is asked in vain.
async fn not_taken(
    state: &ApiState,
    key: &ConnectionKey,
    technology: &crate::model::name::Technology,
    registration: &Registration,
) -> Result<(), ApiError> {
    for other in state.db.connections(&Sight::All).await? {
        if other.key == *key {
            return Err(refused(ConnectionError::KeyTaken));
        }
        let (a, b) = (&other.address, &registration.address);
        if other.technology == *technology && a.hostname == b.hostname && a.port == b.port {
            return Err(refused(ConnectionError::AddressTaken(other.key)));
        }
    }
    Ok(())
}

fn seal(state: &ApiState, id: ConnectionId, secrets: &Secrets) -> Result<Sealed, ApiError> {
    state.vault.seal(id, secrets).map_err(|error| ApiError::internal("seal secrets", &error))
}

/// The secrets to store after a try. What the payload does not change stays as the store has it now: the platform may
/// have replaced it meanwhile, in the try or in a sync that runs.
async fn latest(
    state: &ApiState,
    id: ConnectionId,
    before: &Secrets,
    asked: Secrets,
    rotated: Option<Rotated>,
) -> Result<Secrets, ApiError> {
    let stored = state.db.connection_with_secrets(id).await?;
    let stored = stored.and_then(|(_, sealed)| state.vault.open(id, &sealed).ok()).unwrap_or_default();
    let mut secrets = rotated.map_or_else(|| asked.clone(), |rotated| rotated.secrets);
    for (name, value) in &mut secrets.0 {
        if before.0.get(name) == asked.0.get(name)
            && let Some(now) = stored.0.get(name)
        {
            *value = now.clone();
        }
    }
    Ok(secrets)
}

fn refused(error: ConnectionError) -> ApiError {
    let message = error.to_string();
    match error {
        ConnectionError::NotFound => ApiError::not_found(message),
        ConnectionError::KeyTaken => ApiError::conflict("key-taken", message).hint("choose another connectionKey"),
        ConnectionError::AddressTaken(other) => ApiError::conflict("address-taken", message)
            .detail(json!({ "connectionKey": other.as_str() }))
            .hint("an account is registered once: change that connection instead"),
        ConnectionError::IdentityTaken(other) => ApiError::conflict("identity-taken", message)
            .detail(json!({ "connectionKey": other.as_str() }))
            .hint("an account is registered once: change that connection instead"),
        ConnectionError::IdentityChanged => ApiError::conflict("identity-changed", message)
            .hint("register the other account as a connection of its own"),
        ConnectionError::Revision(current) => ApiError::revision(current),
        ConnectionError::Db(error) => error.into(),
    }
}
