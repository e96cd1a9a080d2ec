//! Logging in with any credential, renewing a session, logging out.

use serde_json::{Value, json};

use super::{failure, refused, success, token};
use crate::snowflake::admission::{Admitted, Denied, Gates, SessionTokens};
use crate::snowflake::handle::lock;
use crate::snowflake::model::Account;
use crate::snowflake::run::Identity;
use crate::snowflake::visit::Visit;
use crate::wire::Reply;

/// `POST /session/v1/login-request`.
pub(super) fn login(visit: &Visit<'_>) -> Reply {
    let Some(data @ Value::Object(_)) = visit.json.and_then(|json| json.get("data")) else {
        return failure("390142", "Incoming request does not contain a valid payload.", &Value::Null);
    };
    let text = |name: &str| data.get(name).and_then(Value::as_str).unwrap_or_default();
    let state = visit.state();
    let account_name = text("ACCOUNT_NAME").to_uppercase();
    if !state.settings.names.contains(&account_name) {
        return failure("390144", "Invalid account name or host.", &Value::Null);
    }
    let admitted = visit.simulated.read(|account| admit(visit, account, &text));
    let admitted = match admitted {
        Ok(admitted) => admitted,
        Err((denied, method)) => {
            let denied = visit.denied(denied);
            let data = method.map_or(
                Value::Null,
                |method| json!({"nextAction": "RETRY_LOGIN", "authnMethod": method, "signInOptions": {}}),
            );
            return failure(denied.code, &denied.message, &data);
        }
    };
    let identity = visit.simulated.read(|account| identity(visit, account, &admitted));
    let identity = match identity {
        Ok(identity) => identity,
        Err(refusal) => return failure(refusal.code, &refusal.message, &Value::Null),
    };
    let lifetimes = state.settings.lifetimes;
    let tokens = lock(&state.gates).open(admitted, identity.clone(), lifetimes, state.clock.now());
    success(&opened(visit, &tokens, &identity))
}

type Refused = (Denied, Option<&'static str>);

fn admit<'t>(visit: &Visit<'_>, account: &Account, text: &impl Fn(&str) -> &'t str) -> Result<Admitted, Refused> {
    let state = visit.state();
    let (now, user) = (state.clock.now(), text("LOGIN_NAME").to_uppercase());
    let token = text("TOKEN");
    let mut gates = lock(&state.gates);
    let is_user = |admitted: &Admitted| user.is_empty() || admitted.user == user;
    match text("AUTHENTICATOR").to_uppercase().as_str() {
        "SNOWFLAKE_JWT" => {
            let admitted = gates.jwt(account, &state.settings.names, token, now);
            admitted.map_err(|denied| (denied, Some("JWT")))
        }
        "OAUTH" => {
            let other = || {
                Denied::new(
                    "390309",
                    "The user you were trying to authenticate as differs from the user tied to the access token.",
                )
            };
            let admitted =
                gates.oauth(token, now).and_then(|found| if is_user(&found) { Ok(found) } else { Err(other()) });
            admitted.map_err(|denied| (denied, Some("OAUTH")))
        }
        "PROGRAMMATIC_ACCESS_TOKEN" => {
            let name = (!user.is_empty()).then_some(user.as_str());
            Gates::access_token(account, name, token, now).map_err(|denied| (denied, Some("PAT")))
        }
        "" | "SNOWFLAKE" | "USERNAME_PASSWORD_MFA" => {
            Gates::password(account, &user, text("PASSWORD"), now).map_err(|denied| (denied, None))
        }
        other => Err((Denied::new("390140", format!("Authenticator {other} is not supported.")), None)),
    }
}

/// Drivers hand names over as people write them: as stored, quoted, or in any case.
fn identity(
    visit: &Visit<'_>,
    account: &Account,
    admitted: &Admitted,
) -> Result<Identity, crate::snowflake::errors::Refusal> {
    let asked = |name: &str| visit.call.parameter(name).filter(|text| !text.is_empty());
    let resolve = |text: String, known: &dyn Fn(&str) -> bool| {
        let quoted =
            text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).map(|text| text.replace("\"\"", "\""));
        match quoted {
            Some(exact) => exact,
            None if known(&text) => text,
            None => text.to_uppercase(),
        }
    };
    let role = asked("roleName").map(|role| resolve(role, &|name| account.roles.contains_key(name)));
    let identity = admitted.identity(account, role.as_deref())?;
    let default = || account.users.get(&admitted.user).and_then(|user| user.default_warehouse.clone());
    let warehouse = asked("warehouse").map(|of| resolve(of, &|name| account.warehouses.contains_key(name)));
    let database = asked("databaseName").map(|of| resolve(of, &|name| account.databases.contains_key(name)));
    let schema = asked("schemaName").map(|of| resolve(of, &|_| false));
    let warehouse = warehouse.or_else(default).filter(|name| account.warehouses.contains_key(name));
    let database = database.filter(|name| account.databases.contains_key(name));
    let schema = schema.filter(|_| database.is_some());
    Ok(Identity { warehouse, database, schema, ..identity })
}

fn opened(visit: &Visit<'_>, tokens: &SessionTokens, identity: &Identity) -> Value {
    let lifetimes = visit.state().settings.lifetimes;
    json!({
        "masterToken": tokens.master,
        "token": tokens.token,
        "validityInSeconds": lifetimes.session,
        "masterValidityInSeconds": lifetimes.master,
        "displayUserName": identity.user,
        "serverVersion": "9.38.1",
        "firstLogin": false,
        "remMeToken": null,
        "remMeValidityInSeconds": 0,
        "healthCheckInterval": 45,
        "newClientForUpgrade": null,
        "sessionId": tokens.id,
        "parameters": parameters(),
        "sessionInfo": {
            "databaseName": identity.database, "schemaName": identity.schema, "warehouseName": identity.warehouse,
            "roleName": identity.role,
        },
        "idToken": null,
        "idTokenValidityInSeconds": 0,
        "responseData": null,
        "mfaToken": null,
        "mfaTokenValidityInSeconds": 0,
    })
}

/// Session parameters that drivers look for.
pub(super) fn parameters() -> Value {
    json!([
        {"name": "CLIENT_PREFETCH_THREADS", "value": 4},
        {"name": "CLIENT_SESSION_KEEP_ALIVE", "value": false},
        {"name": "CLIENT_SESSION_KEEP_ALIVE_HEARTBEAT_FREQUENCY", "value": 3_600},
        {"name": "CLIENT_TELEMETRY_ENABLED", "value": false},
        {"name": "TIMEZONE", "value": "UTC"},
        {"name": "TIMESTAMP_OUTPUT_FORMAT", "value": "YYYY-MM-DD HH24:MI:SS.FF3 TZHTZM"},
        {"name": "DATE_OUTPUT_FORMAT", "value": "YYYY-MM-DD"},
        {"name": "AUTOCOMMIT", "value": true},
    ])
}

/// `POST /session/token-request`.
pub(super) fn renew(visit: &Visit<'_>) -> Reply {
    let state = visit.state();
    let lifetimes = state.settings.lifetimes;
    let old = visit.text("oldSessionToken").unwrap_or_default();
    let renewed = lock(&state.gates).renew(token(visit), old, lifetimes, state.clock.now());
    match renewed {
        Ok(tokens) => success(&json!({
            "sessionToken": tokens.token,
            "validityInSecondsST": lifetimes.session,
            "masterToken": tokens.master,
            "validityInSecondsMT": lifetimes.master,
            "sessionId": tokens.id,
        })),
        Err(denied) => refused(&denied),
    }
}

/// `POST /session?delete=true`.
pub(super) fn logout(visit: &Visit<'_>) -> Reply {
    if visit.call.parameter("delete").as_deref() != Some("true") {
        return Reply::text(404, "not found");
    }
    match super::session(visit) {
        Ok(_) => {
            token(visit).iter().for_each(|token| lock(&visit.state().gates).close(token));
            success(&Value::Null)
        }
        Err(denied) => refused(&denied),
    }
}
