//! Run Object Sync, at every level (F112): asks, then queues it, or a dry run of it. The same address answers with a page or, for the script,
//! with the inside of a dialog.

use axum::{
    extract::{Path, State},
    http::{HeaderMap, Uri},
    response::{IntoResponse, Redirect, Response},
};
use maud::{Markup, html};

use super::{
    frame, links, object,
    session::{Posted, Visitor},
    text,
};
use crate::{
    api::{ApiState, error::ApiError},
    db::ObjectRef,
    model::object::{Kind, ObjectView},
};

/// Asks.
pub(super) async fn ask(
    State(state): State<ApiState>,
    visitor: Visitor,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    object::ask(&state, &visitor, &id, &uri, &headers, view).await
}

/// Queues the sync, or its dry run.
pub(super) async fn start(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response, ApiError> {
    let id = super::object_id(&id)?;
    let all = posted.field("all") == "1";
    let sight = posted.visitor.caller.sight();
    let (object, now) = (ObjectRef::Id(id), state.clock.now());
    if posted.field("dryRun") == "1" {
        let job = state.db.enqueue_dry_run(sight, &object, all, now).await?.ok_or_else(super::no_such_object)?;
        return Ok(Redirect::to(&links::job(job.id)).into_response());
    }
    state.db.enqueue_sync(sight, &object, all, now).await?.ok_or_else(super::no_such_object)?;
    Ok(Redirect::to(&links::object(id)).into_response())
}

fn view(object: &ObjectView, visitor: &Visitor) -> Markup {
    let container = object.facts.kind == Kind::Container;
    html! {
        form.ask method="post" action=(links::sync(object.id)) {
            h2 { "Run Object Sync" }
            (frame::token(visitor))
            p { "On " (text::path(object.path.segments())) }
            p.hint {
                "Compares " @if container { "this and everything below it" } @else { "this object" }
                " with the platform: new objects are added, changed columns read again, and what is gone is marked missing. "
                "Nothing is changed at the platform."
            }
            label.check {
                input type="checkbox" name="all" value="1";
                " Also scan all disabled data objects"
            }
            div.bar {
                button.primary type="submit" autofocus { "Run Object Sync" }
                button type="submit" name="dryRun" value="1"
                    title="Reads the platform and lists the difference. The inventory stays as it is." { "Show what would change" }
                a.button href=(links::object(object.id)) data-close { "Cancel" }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::ui::sample;

    #[test]
    fn the_dialog_offers_to_scan_disabled_objects() {
        let shown = view(&sample::connection_object(), &sample::visitor()).into_string();
        assert!(shown.contains("Also scan all disabled data objects") && shown.contains("name=\"token\""), "{shown}");
        assert!(shown.contains("name=\"dryRun\"") && shown.contains("Show what would change"), "{shown}");
    }
}
