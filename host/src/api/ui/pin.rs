//! Which version of its connector serves a connection: shown on the Connection tab, and pinned there.

use axum::{
    extract::{Path, State},
    response::{IntoResponse as _, Redirect, Response},
};
use maud::{Markup, html};
use serde_json::json;

use super::{
    detail, frame, links,
    session::{Posted, Visitor},
    text,
};
use crate::{
    api::{
        ApiState,
        connections::put,
        error::ApiError,
        input::{Body, IfMatch, Target, parse},
        routes::MANAGERS,
    },
    db::{ObjectRef, connectors::WithVersions},
    model::{connection::Connection, id::ObjectId},
};

/// Pins a version, or none: the same change that the API makes.
pub(super) async fn save(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response, ApiError> {
    let visitor = &posted.visitor;
    let (shown, connection) = detail::managed(&state, visitor, &id).await?;
    let revision = posted.revision()?;
    let pin = Some(posted.field("pin")).filter(|pin| !pin.is_empty());
    let body = Body(parse(json!({ "options": { "pin": pin } }).to_string().as_bytes())?);
    let object = ObjectRef::Id(connection.id.object());
    put(State(state), visitor.caller.clone(), Target(object), IfMatch(Some(revision)), body).await?;
    Ok(Redirect::to(&format!("{}?saved=1#connector", links::connection(shown.object.id))).into_response())
}

/// The part of the tab: a choice among the versions that can serve.
pub(super) fn form(object: ObjectId, connection: &Connection, connector: &WithVersions, visitor: &Visitor) -> Markup {
    let (installed, versions) = connector;
    let pin = connection.options.pin.as_deref();
    let usable = versions.iter().filter(|version| {
        let number = Some(version.version.as_str());
        let is_ready = version.taken_back.is_none() && installed.waiting(version).is_empty();
        number == pin || (is_ready && installed.may_pin(&version.version, Some(connection.id)))
    });
    let canary = installed.canary.as_ref().filter(|canary| canary.connections.contains(&connection.id));
    html! {
        @if let (None, Some(canary)) = (pin, canary) {
            p.notice { "This connection tries out version " (text::name(&canary.version)) " for the others." }
        }
        @if visitor.caller.has_any(MANAGERS) {
            form.settings method="post" action=(links::pin(object)) {
                (frame::token(visitor))
                input type="hidden" name="revision" value=(connection.revision);
                p.hint { "A pinned version serves this connection whatever becomes active, and is not taken back by itself." }
                div.bar {
                    label { "Served by " select name="pin" {
                        option value="" selected[pin.is_none()] { "whichever version is active" }
                        @for version in usable {
                            option value=(version.version) selected[pin == Some(&version.version)] {
                                "always " (text::plain(&version.version))
                            }
                        }
                    } }
                    button type="submit" { "Save" }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::ui::{connectors::sample as connectors, sample};

    #[test]
    fn only_versions_that_can_serve_are_offered() {
        let mut connection = sample::connection();
        let connector = connectors::with_versions();
        let shown = form(sample::connection_object().id, &connection, &connector, &sample::visitor()).into_string();
        assert!(shown.contains("value=\"\" selected") && shown.contains("always 1.2.0"), "{shown}");
        assert!(!shown.contains("2.0.0") && !shown.contains("1.3.0"), "waiting, taken back: {shown}");
        connection.options.pin = Some("1.3.0".into());
        let shown = form(sample::connection_object().id, &connection, &connector, &sample::visitor()).into_string();
        assert!(shown.contains("value=\"1.3.0\" selected"), "what is pinned is told even so: {shown}");
    }
}
