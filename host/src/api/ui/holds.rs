//! What is held back, as a banner on the pages of objects and jobs, and the question whether to release or reject it (D33).

use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::{IntoResponse, Redirect, Response},
};
use jiff::Timestamp;
use maud::{Markup, html};

use super::{
    format,
    frame::{self, Frame, Section},
    links,
    session::{Posted, Visitor},
    text,
};
use crate::{
    api::{
        ApiState,
        error::ApiError,
        holds::{decision, refused},
    },
    db::{ObjectRef, holds::HeldObject},
    model::{
        hold::{Decision, Hold},
        id::{HoldId, ObjectId},
    },
};

/// Held objects that a banner lists.
const LISTED: usize = 20;

/// Holds that a page shows in full.
const SHOWN: usize = 5;

/// A hold with the first of its objects.
pub(super) struct Listed {
    hold: Hold,
    objects: Vec<HeldObject>,
}

/// The banners of an object's page: what is held in it, below it, or together with it.
pub(super) async fn around(state: &ApiState, visitor: &Visitor, object: ObjectId) -> Result<Markup, ApiError> {
    let sight = visitor.caller.sight();
    let holds = state.db.holds(sight, Some(&ObjectRef::Id(object))).await?.unwrap_or_default();
    banners(state, visitor, holds).await
}

/// Banners of these holds.
pub(super) async fn banners(state: &ApiState, visitor: &Visitor, holds: Vec<Hold>) -> Result<Markup, ApiError> {
    let more = holds.len().saturating_sub(SHOWN);
    let mut listed = Vec::new();
    for hold in holds.into_iter().take(SHOWN) {
        let objects = state.db.held_objects(visitor.caller.sight(), hold.id, LISTED).await?;
        listed.push(Listed { hold, objects });
    }
    Ok(view(&listed, more, visitor, state.clock.now()))
}

fn view(listed: &[Listed], more: usize, visitor: &Visitor, now: Timestamp) -> Markup {
    html! {
        @for it in listed { (banner(it, visitor, now)) }
        @if more > 0 { p.hint { "And " (format::counted(more as u64, "hold", "holds")) " more, at what lies below." } }
    }
}

fn banner(it: &Listed, visitor: &Visitor, now: Timestamp) -> Markup {
    let Listed { hold, objects } = it;
    html! {
        section.notice.warn.held role="status" aria-label="Held back" {
            strong { "Held: " (text::prose(&hold.cause)) }
            p {
                (counts(hold)) " below " a href=(links::object(hold.scope)) { (text::path(hold.path.segments())) }
                @if hold.objects() == 1 { " counts" } @else { " count" }
                " as present until somebody decides. Found by "
                a href=(links::job(hold.job)) { "this sync" } " " (format::time(hold.updated_at, now)) "."
            }
            @if !hold.hints.is_empty() {
                p { "What may help:" }
                ul { @for hint in &hold.hints { li { (text::prose(hint)) } } }
            }
            details {
                summary { "What is held" }
                ul { @for held in objects {
                    li { a href=(links::object(held.object)) { (text::path(held.path.segments())) } " "
                         span.faint { (text::name(&held.object_type)) } }
                } }
                @if hold.objects() > objects.len() as u64 {
                    p.hint { "The first " (objects.len()) " are listed; "
                        a href=(links::job_changes(hold.job)) { "the changes of the sync" } " have all of them." }
                }
            }
            @if visitor.may_act() {
                div.bar {
                    a.button href=(links::hold(hold.id, "release")) data-dialog { "Release…" }
                    a.button href=(links::hold(hold.id, "reject")) data-dialog { "Reject…" }
                }
            }
        }
    }
}

fn counts(hold: &Hold) -> Markup {
    html! {
        @for (n, (object_type, count)) in hold.counts.iter().enumerate() {
            @if n > 0 { ", " } (format::count(*count)) " " (text::name(object_type))
        }
    }
}

/// Asks whether to release, or to reject.
pub(super) async fn ask(
    State(state): State<ApiState>,
    visitor: Visitor,
    Path((id, verb)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let decision = decision(&verb)?;
    let hold = state.db.hold(visitor.caller.sight(), hold_id(&id)?).await?.ok_or_else(no_such_hold)?;
    let question = question(&hold, decision, &visitor);
    if super::wants_fragment(&headers) {
        return Ok(frame::fragment(question));
    }
    let running = state.db.unfinished_jobs(visitor.caller.sight()).await?.len();
    let title = format!("Held below {}", text::plain_path(&hold.path));
    let frame = Frame { title: &title, section: Section::Connections, visitor: &visitor, running, beside: None };
    Ok(frame.page(&question))
}

/// Releases, or rejects.
pub(super) async fn decide(
    State(state): State<ApiState>,
    Path((id, verb)): Path<(String, String)>,
    posted: Posted,
) -> Result<Response, ApiError> {
    let decision = decision(&verb)?;
    let revision = posted.revision()?;
    let caller = &posted.visitor.caller;
    let db = state.db.by(caller.actor());
    let done = db.decide_hold(caller.sight(), hold_id(&id)?, Some(revision), decision, state.clock.now()).await;
    let done = done.map_err(refused)?;
    Ok(Redirect::to(&links::object(done.hold.scope)).into_response())
}

fn question(hold: &Hold, decision: Decision, visitor: &Visitor) -> Markup {
    let (action, title, button) = match decision {
        Decision::Release => ("release", "Release what is held", "Mark as missing"),
        Decision::Reject => ("reject", "Reject what is held", "Keep as present"),
    };
    html! {
        form.ask method="post" action=(links::hold(hold.id, action)) {
            h2 { (title) }
            (frame::token(visitor))
            input type="hidden" name="revision" value=(hold.revision);
            p { (text::path(hold.path.segments())) }
            div.notice.warn {
                p { (text::prose(&hold.cause)) "." }
                @match decision {
                    Decision::Release => p { (counts(hold))
                        @if hold.objects() == 1 { " becomes" } @else { " become" }
                        " missing, and so does all that lies below: disabled, with settings, owners and history kept."
                        " What is found again comes back by itself." },
                    Decision::Reject => p { "Nothing is marked. The next sync that finds the same holds it again: give back the"
                        " grant before it." },
                }
            }
            div.bar {
                button.danger[decision == Decision::Release].primary[decision == Decision::Reject] type="submit" { (button) }
                a.button href=(links::object(hold.scope)) data-close { "Cancel" }
            }
        }
    }
}

fn hold_id(text: &str) -> Result<HoldId, ApiError> {
    text.parse().map_err(|_| no_such_hold())
}

fn no_such_hold() -> ApiError {
    ApiError::not_found("there is no such hold").hint("it is decided, or what it held was seen again")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::ui::sample,
        model::{id::JobId, path::ObjectPath},
    };

    fn hold() -> Hold {
        let object = sample::connection_object();
        Hold {
            id: HoldId::generate(),
            connection: object.connection,
            scope: object.id,
            path: object.path,
            revision: 3,
            job: JobId::generate(),
            cause: "24 of 40 known tables below K.<s> would be gone (60 %), more than 20 %".into(),
            hints: vec!["GRANT USE <SCHEMA>".into()],
            known: 40,
            vanished: 24,
            counts: [("table".to_owned(), 24)].into(),
            equal_syncs: 0,
            created_at: sample::now(),
            updated_at: sample::now(),
        }
    }

    #[test]
    fn a_banner_says_what_is_held_why_and_what_may_help() {
        let hold = hold();
        let path = ObjectPath::from_segments(["K", "s", "<t>"]).expect("path");
        let held = HeldObject { object: hold.scope, path, namespace: String::new(), object_type: "table".into() };
        let listed = [Listed { hold, objects: vec![held] }];
        let shown = view(&listed, 2, &sample::visitor(), sample::now()).into_string();
        for part in [
            "Held: ",
            "24 of 40 known tables below K.&lt;s&gt; would be gone",
            "GRANT USE &lt;SCHEMA&gt;",
            "&lt;t&gt;",
            "The first 1 are listed",
            "Release…",
            "Reject…",
            "2 holds",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        let looked_on = view(&listed, 2, &sample::onlooker(), sample::now()).into_string();
        assert!(looked_on.contains("Held: ") && !looked_on.contains("Release…") && !looked_on.contains("Reject…"));
        assert!(view(&[], 0, &sample::visitor(), sample::now()).into_string().is_empty());
    }

    #[test]
    fn the_question_carries_the_revision_and_says_what_follows() {
        let release = question(&hold(), Decision::Release, &sample::visitor()).into_string();
        assert!(release.contains("value=\"3\"") && release.contains(" missing, and so does all"), "{release}");
        assert!(release.contains("name=\"token\"") && release.contains("/release"), "{release}");
        let reject = question(&hold(), Decision::Reject, &sample::visitor()).into_string();
        assert!(reject.contains("Nothing is marked") && reject.contains("/reject"), "{reject}");
    }
}
