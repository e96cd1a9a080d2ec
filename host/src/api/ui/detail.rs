//! The Connection tab: how the account is reached, and by which connector (F113, D30). Shows the stored configuration
//! whatever its fields are; secrets are not in it, because they are stored apart.

use axum::{
    extract::{Path, State},
    http::Uri,
    response::Response,
};
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};
use serde_json::Value;

use super::{
    filter, format,
    listing::ListQuery,
    object::{Shown, Tab},
    pin, schedule,
    session::Visitor,
    text,
};
use crate::{
    api::{
        ApiState,
        error::ApiError,
        routes::{self, MANAGERS},
    },
    connector::Connector,
    model::{connection::Connection, name::ConnectionKey},
};

/// The tab.
pub(super) async fn show(
    State(state): State<ApiState>,
    visitor: Visitor,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let shown = Shown::load(&state, &visitor, &id).await?;
    let connection = connection_of(&state, &visitor, &shown).await?;
    let query = ListQuery::of(&uri);
    page(&state, &visitor, &query, &shown, &connection, None).await
}

/// The connection of an object that is shown.
pub(super) async fn connection_of(state: &ApiState, visitor: &Visitor, shown: &Shown) -> Result<Connection, ApiError> {
    let key = shown.object.path.connection().as_str().parse::<ConnectionKey>();
    let key = key.map_err(|_| super::no_such_object())?;
    let connection = state.db.connection_by_key(visitor.caller.sight(), &key).await?;
    connection.ok_or_else(super::no_such_object)
}

/// The connection of an object on whose page a form stands, for somebody whom the API's route would let change it too.
pub(super) async fn managed(state: &ApiState, visitor: &Visitor, id: &str) -> Result<(Shown, Connection), ApiError> {
    if !visitor.caller.has_any(MANAGERS) {
        return Err(ApiError::forbidden(format!("this needs {}", routes::names(MANAGERS).join(" or "))));
    }
    let shown = Shown::load_own(state, visitor, id).await?;
    let connection = connection_of(state, visitor, &shown).await?;
    Ok((shown, connection))
}

/// The tab, with why another schedule was refused.
pub(super) async fn page(
    state: &ApiState,
    visitor: &Visitor,
    query: &ListQuery,
    shown: &Shown,
    connection: &Connection,
    refusal: Option<&schedule::Refusal>,
) -> Result<Response, ApiError> {
    let connector = state.connectors.of(connection.id, &connection.technology);
    let facts = connector.as_deref().map(Facts::of);
    let installed = state.db.connectors().await?;
    let installed = installed.iter().find(|(installed, _)| installed.technology == connection.technology);
    let pin = html! {
        @if let Some(installed) = installed { (pin::form(shown.object.id, connection, installed, visitor)) }
    };
    let now = state.clock.now();
    let content = html! {
        @match query.get("saved") {
            "" => {},
            "sync" => p.notice.good role="status" { "Saved. A sync looks for what may be new." },
            _ => p.notice.good role="status" { "Saved." },
        }
        (view(connection, facts.as_ref(), &filter::panel(connection, &shown.object, visitor), &pin, now))
        (schedule::view(shown.object.id, connection, visitor, refusal, now))
    };
    shown.page(state, visitor, query, Tab::Connection, &content).await
}

/// What the tab says of a connector.
pub(super) struct Facts<'a> {
    title: &'a str,
    name: &'a str,
    version: &'a str,
    digest: &'a str,
    schema: &'a Value,
}

impl<'a> Facts<'a> {
    fn of(connector: &'a Connector) -> Self {
        let d = &connector.descriptor;
        Self {
            title: &d.title,
            name: &d.name,
            version: &d.version,
            digest: &connector.digest,
            schema: &d.config_schema,
        }
    }
}

fn view(
    connection: &Connection,
    connector: Option<&Facts<'_>>,
    patterns: &Markup,
    pin: &Markup,
    now: Timestamp,
) -> Markup {
    let schema = connector.map_or(&Value::Null, |c| c.schema);
    html! {
        h2 { "Account" }
        dl.facts {
            div { dt { "Technology" } dd { (text::name(connection.technology.as_str())) } }
            div { dt { "Address" } dd { code { (text::name(&connection.address.to_string())) } } }
            @if connection.address.insecure {
                div { dt { "Encryption" } dd { span.badge.warn { "None" } } }
            }
            @if let Some(identity) = &connection.identity { div { dt { "Account" } dd { (text::name(identity)) } } }
            @if let Some(name) = &connection.host_managed {
                div { dt title="Never listed" { "Host-managed" } dd { (text::name(name)) } }
            }
        }
        h2 { "Setup" }
        p.hint { "As registered. Secrets are stored apart, encrypted, and never shown." }
        dl.facts {
            @for (path, value) in flat(&connection.config) {
                div { dt title=(path) { (text::name(&title(schema, &path))) } dd { (text::name(&value)) } }
            }
            div { dt { "Disabled objects" } dd {
                @if connection.options.force_recursive_crawl { "always scanned too" } @else { "scanned where needed" } } }
            div { dt title="Where the platform gives an object no fingerprint" { "Columns count as current" } dd {
                @match connection.options.columns_max_age {
                    None => "until the next sync",
                    Some(age) => { "for " (format::duration(SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX))) }
                } } }
            div { dt title="Of what is known below a container; also every child of one, and what vanishes as another role" {
                "Held back" } dd { "more than " (connection.options.hold.share.to_string()) " of " (format::count(connection.options.hold.minimum)) " or more" } }
            div { dt { "Impersonation" } dd { "Off" } }
            div { dt { "Project workspaces" } dd { "Off" } }
        }
        (patterns)
        h2 #connector { "Connector" }
        @match connector {
            None => p.notice.bad { "No connector for this technology is installed: nothing can be synced." },
            Some(c) => dl.facts {
                div { dt { "Connector" } dd { (text::name(c.title)) } }
                div { dt { "Name" } dd { (text::name(c.name)) } }
                div { dt { "Version" } dd { (text::name(c.version)) } }
                div { dt { "Digest" } dd { code { (text::name(c.digest)) } } }
            },
        }
        (pin)
        h2 { "History" }
        dl.facts {
            div { dt { "Registered" } dd { (format::time(connection.created_at, now)) " by " (text::name(&connection.created_by.name)) } }
            div { dt { "Changed" } dd { (format::time(connection.updated_at, now)) " by " (text::name(&connection.updated_by.name)) } }
        }
    }
}

/// The leaves of a configuration: dotted path and value as text.
fn flat(config: &Value) -> Vec<(String, String)> {
    fn walk(prefix: &str, value: &Value, out: &mut Vec<(String, String)>) {
        match value {
            Value::Object(fields) => {
                for (name, inner) in fields {
                    let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                    walk(&path, inner, out);
                }
            }
            Value::Null => {}
            Value::String(text) => out.push((prefix.to_owned(), text.clone())),
            Value::Bool(yes) => out.push((prefix.to_owned(), if *yes { "Yes" } else { "No" }.to_owned())),
            other => out.push((prefix.to_owned(), other.to_string())),
        }
    }
    let mut out = Vec::new();
    walk("", config, &mut out);
    out
}

/// The schema's title of a property, else its path.
fn title(schema: &Value, path: &str) -> String {
    let mut at = schema;
    for part in path.split('.') {
        at = &at["properties"][part];
    }
    at["title"].as_str().unwrap_or(path).to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::ui::sample;

    #[test]
    fn any_configuration_is_shown_under_its_titles() {
        let mut connection = sample::connection();
        connection.config = json!({ "role": "READER", "oAuthClientConfig": { "clientId": "<id>" }, "useTls": true });
        let schema = json!({ "properties": { "role": { "title": "Role" } } });
        let facts = Facts { title: "T", name: "t", version: "1.2.3", digest: "abc", schema: &schema };
        let shown = view(&connection, Some(&facts), &html! {}, &html! {}, sample::now()).into_string();
        for part in
            ["Role", "READER", "oAuthClientConfig.clientId", "&lt;id&gt;", "Yes", "1.2.3", "https://lake.example"]
        {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        assert!(
            view(&connection, None, &html! {}, &html! {}, sample::now())
                .into_string()
                .contains("No connector for this technology")
        );
    }
}
