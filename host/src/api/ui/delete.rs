//! Takes an object out of the inventory, with everything below it (F21, F37). Asks first and names the number; the
//! platform is never touched (F23).

use axum::{
    extract::{Path, State},
    http::{HeaderMap, Uri},
    response::{IntoResponse, Redirect, Response},
};
use maud::{Markup, html};

use super::{
    format, frame, links,
    object::{self, Shown},
    session::{Posted, Visitor},
    text,
};
use crate::{
    api::{ApiState, error::ApiError},
    db::ObjectRef,
    model::object::{ObjectView, RemoteStatus},
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

/// Deletes.
pub(super) async fn confirm(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response, ApiError> {
    let shown = Shown::load_own(&state, &posted.visitor, &id).await?;
    let object = ObjectRef::Id(shown.object.id);
    let caller = &posted.visitor.caller;
    let deleted = state.db.by(caller.actor()).delete_object(caller.sight(), &object, state.clock.now()).await?;
    deleted.ok_or_else(super::no_such_object)?;
    let up = shown.above.last().map_or("/ui/connections".to_owned(), |parent| links::object(parent.id));
    Ok(Redirect::to(&up).into_response())
}

fn view(object: &ObjectView, visitor: &Visitor) -> Markup {
    let connection = object.parent.is_none();
    html! {
        form.ask method="post" action=(links::delete(object.id)) {
            h2 { @if connection { "Deregister the connection" } @else { "Delete the object" } }
            (frame::token(visitor))
            p { (text::path(object.path.segments())) }
            div.notice.warn {
                p {
                    "It leaves the inventory"
                    @if object.child_count > 0 {
                        " together with " strong { (format::counted(object.child_count, "object", "objects")) } " below it"
                    }
                    ", with all their settings. This cannot be undone. Nothing is changed at the platform."
                }
                @if connection { p { "Its credentials are erased at once." } }
                @else if object.remote_status == RemoteStatus::Present {
                    p { "The platform still has it: the next object sync finds it again, as new." }
                }
            }
            div.bar {
                button.danger type="submit" { @if connection { "Deregister" } @else { "Delete" } }
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
    fn the_question_names_the_number() {
        let shown = view(&sample::connection_object(), &sample::visitor()).into_string();
        assert!(shown.contains("1,234 objects") && shown.contains("Deregister"), "{shown}");
    }
}
