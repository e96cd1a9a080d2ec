//! Connections: register, test, read, change.
//!
//! Nothing is stored before the connection has been tried with what would be stored; then everything is, in one
//! transaction with the first sync. Secrets are sealed before they leave this module and shown by none of its answers.

mod filter;
mod hold;
mod options;
mod payload;
mod schedule;
mod trial;
mod tried;
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
pub(super) use options::line;
pub use payload::{CreateConnection, UpdateConnection, Warning};
pub(super) use schedule::change as change_schedule;
pub use schedule::{ScheduleInput, ScheduleJson};
pub use trial::{CheckJson, TestResult};
use tried::Tried;
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
    let pinned = body.pinned(&state).await;
    let mut asked = body.clone().admit(&state, pinned)?;
    not_taken(&state, &asked.key, &asked.technology, &asked.registration).await?;
    let trial =
        trial::run(&state, &asked.connector, &asked.registration, None, &asked.options.filter).await?.passed()?;
    let rotated = trial.rotated.as_ref();
    let telling = |error| trial::telling(error, rotated);
    let id = ConnectionId::generate();
    let mut tries = 0;
    let (connection, job) = loop {
        let secrets = rotated.map_or(&asked.registration.secrets, |rotated| &rotated.secrets);
        let new = NewConnection {
            id,
            key: asked.key.clone(),
            technology: asked.technology.clone(),
            secrets: seal(&state, id, secrets).map_err(telling)?,
            config: asked.registration.config.clone(),
            address: asked.registration.address.clone(),
            identity: trial.identity.clone(),
            host_managed: asked.registration.host_managed.clone(),
            options: asked.options.clone(),
            settings: asked.settings,
            by: caller.actor(),
            admitted_by: Some(asked.connector.digest.clone()),
        };
        match state.db.create_connection(new, state.clock.now()).await {
            // Another version took over since: it may ask for something else.
            Err(ConnectionError::Served) if tries < tried::TRIES => {
                tries += 1;
                state.registry.look_again().await;
                let pinned = body.pinned(&state).await;
                asked = body.clone().admit(&state, pinned).map_err(telling)?;
            }
            done => break done.map_err(refused).map_err(telling)?,
        }
    };
    tracing::info!(connection.id = %connection.id, connection.key = %connection.key, "connection registered");
    if connection.options.pin.is_some() {
        state.registry.look_again().await;
    }
    let object_path = ObjectPath::of_connection(connection.key);
    let warnings = asked.warnings.into_iter().chain(trial.warnings).collect();
    Ok((StatusCode::CREATED, Json(Registered { object_path, bulk_id: job.bulk, warnings })))
}

/// Tries a payload and stores nothing.
pub(super) async fn test(
    State(state): State<ApiState>,
    Body(body): Body<CreateConnection>,
) -> Result<Json<TestResult>, ApiError> {
    let pinned = body.pinned(&state).await;
    let asked = body.admit(&state, pinned)?;
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
    let served_by = body.served_by(&state, &connection).await;
    let change = body.clone().admit(&state, &connection, known.clone(), served_by)?;
    let mut warnings = change.warnings;
    let (mut identity, mut rotated) = (None, None);
    if let Some((connector, registration)) = &change.tried {
        let trial = trial::run(&state, connector, registration, Some((connection.id, &before)), &change.options.filter)
            .await?
            .passed()?;
        rotated = trial.rotated;
        if connection.identity.is_some() && trial.identity.is_none() && registration.address != connection.address {
            let error = ApiError::conflict("identity-unknown", "the new address does not tell which account it is")
                .hint("give the credentials the right to read the account's identity, or register a new connection");
            return Err(trial::telling(error, rotated.as_ref()));
        }
        identity = trial.identity;
        warnings.extend(trial.warnings);
    }
    let update = ConnectionUpdate {
        secrets: None,
        secrets_were: None,
        config: connection.config.clone(),
        address: connection.address.clone(),
        identity,
        host_managed: connection.host_managed.clone(),
        options: change.options,
        by: caller.actor(),
        admitted_by: None,
    };
    let (updated, job) = match change.tried {
        Some(admitted) => {
            let tried = Tried { before, rotated };
            let stored = tried.store_as_served(&state, &connection, (&body, known.as_ref()), update, admitted).await;
            stored.map_err(|error| trial::telling(error, tried.rotated.as_ref()))?
        }
        None => {
            let now = state.clock.now();
            state.db.update_connection(connection.id, update, Some(connection.revision), now).await.map_err(refused)?
        }
    };
    tracing::info!(connection.id = %updated.id, connection.key = %updated.key, "connection changed");
    if updated.options.pin != connection.options.pin {
        state.registry.look_again().await;
    }
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
    let connector = state.connectors.of(connection.id, &connection.technology);
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
        ConnectionError::Pin(_) => ApiError::conflict("cannot-pin", message)
            .hint("GET /connectors/{name} lists the versions that are installed and ready"),
        ConnectionError::Secrets => ApiError::conflict("secrets-changed", message).hint("send it again"),
        ConnectionError::Served => ApiError::conflict("version-changed", message).hint("send it again"),
        ConnectionError::Db(error) => error.into(),
    }
}
