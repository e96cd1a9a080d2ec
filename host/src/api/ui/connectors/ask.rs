//! The questions before something is done with a version: pages, or the insides of dialogs.

use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};
use maud::{Markup, html};

use super::{
    super::{
        format,
        frame::{self, Frame, Section},
        links,
        session::Visitor,
        text, wants_fragment,
    },
    Known, find, no_such_connector, only_for, version,
};
use crate::{
    api::{ApiState, error::ApiError},
    model::connector::Version,
};

/// Asks whether to grant what a version waits for.
pub(in crate::api::ui) async fn approve(
    state: State<ApiState>,
    visitor: Visitor,
    Path((name, number)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    about_version(state, visitor, &name, &number, &headers, approval).await
}

/// Asks how to activate a version.
pub(in crate::api::ui) async fn activate(
    state: State<ApiState>,
    visitor: Visitor,
    Path((name, number)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    about_version(state, visitor, &name, &number, &headers, activation).await
}

/// Asks whether to remove a version.
pub(in crate::api::ui) async fn remove(
    state: State<ApiState>,
    visitor: Visitor,
    Path((name, number)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    about_version(state, visitor, &name, &number, &headers, removal).await
}

/// Asks whether to go back.
pub(in crate::api::ui) async fn roll_back(
    State(state): State<ApiState>,
    visitor: Visitor,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    only_for(&visitor)?;
    let known = find(&state, &name).await?;
    answer(&state, &visitor, &known, &headers, &going_back(&known, &visitor)).await
}

async fn about_version(
    State(state): State<ApiState>,
    visitor: Visitor,
    name: &str,
    number: &str,
    headers: &HeaderMap,
    question: fn(&Known, &Version, &Visitor) -> Markup,
) -> Result<Response, ApiError> {
    only_for(&visitor)?;
    let known = find(&state, name).await?;
    let version = known.version(Some(number)).ok_or_else(no_such_connector)?;
    answer(&state, &visitor, &known, headers, &question(&known, version, &visitor)).await
}

async fn answer(
    state: &ApiState,
    visitor: &Visitor,
    known: &Known,
    headers: &HeaderMap,
    question: &Markup,
) -> Result<Response, ApiError> {
    if wants_fragment(headers) {
        return Ok(frame::fragment(question.clone()));
    }
    let running = state.db.unfinished_jobs(visitor.caller.sight()).await?.len();
    let title = text::plain(known.title());
    Ok(Frame { title: &title, section: Section::Connectors, visitor, running, beside: None }.page(question))
}

fn approval(known: &Known, version: &Version, visitor: &Visitor) -> Markup {
    let name = &known.installed.name;
    let waiting = known.installed.waiting(version);
    html! {
        form.ask method="post" action=(links::version(name, &version.version, "approve")) {
            h2 { "Approve " (text::plain(known.title())) " " (text::plain(&version.version)) }
            (frame::token(visitor))
            p { (version::signature(version)) }
            @if waiting.is_empty() {
                p { "It waits for nothing." }
            } @else {
                // What was shown is sent along: where the version would wait for something else, nothing is granted.
                @for (n, line) in waiting.iter().enumerate() { input type="hidden" name={ "permission-" (n) } value=(line); }
                (version::difference(known, version))
                p.hint { "It still serves nobody until it is activated. What is granted stays granted to later versions of this connector." }
            }
            div.bar {
                @if !waiting.is_empty() { button.primary type="submit" { "Grant these permissions" } }
                a.button href=(links::connector(name)) data-close autofocus { "Cancel" }
            }
        }
    }
}

fn activation(known: &Known, version: &Version, visitor: &Visitor) -> Markup {
    let it = &known.installed;
    let (pinned, free): (Vec<_>, Vec<_>) = known.served.iter().partition(|served| served.pin.is_some());
    html! {
        form.ask method="post" action=(links::version(&it.name, &version.version, "activate")) {
            h2 { "Activate " (text::plain(known.title())) " " (text::plain(&version.version)) }
            (frame::token(visitor))
            input type="hidden" name="revision" value=(it.revision);
            @if let Some(why) = &version.taken_back {
                p.notice.bad { "It was taken back before: " (text::prose(why)) }
            }
            p.hint {
                "First every connection that it would serve is tried with it. What works now and would not with it stands in the way. "
                "Syncs that run go on with it from their next page. It is taken back by itself where it fails more than the one before."
            }
            fieldset.choices {
                legend { "For whom" }
                label { input type="radio" name="scope" value="all" checked; span { "For all "
                    @if free.len() > 1 { (format::count(free.len() as u64)) " connections" } @else { "connections" }
                    @if let Some(active) = it.active_version() { span.hint { "In the place of " (text::name(active)) "." } } } }
                @if !free.is_empty() {
                    label { input type="radio" name="scope" value="some"; span { "For some first, to try it out"
                        span.hint { "The others stay with what is active, until it is activated for all or rolled back." } } }
                    div.chosen { @for served in &free {
                        label.check { input type="checkbox" name={ "connection-" (served.id) } value=(served.key.as_str()); " " (text::name(served.key.as_str())) }
                    } }
                }
            }
            @if !pinned.is_empty() {
                p.hint { (format::counted(pinned.len() as u64, "connection", "connections")) " pinned to a version: not touched." }
            }
            @if !free.is_empty() {
                label.check { input type="checkbox" name="how" value="compare"; " Only compare: reads with it, serves nobody" }
                p.hint { "Each connection is read once with it, in a dry run, columns too. What it finds that the active version does not is told here; the inventory stays as it is." }
            }
            label.check { input type="checkbox" name="force" value="1"; " Whatever is found, also where something would not work any more: connections are not tried first"
                @if version.taken_back.is_some() { ", and although it was taken back" } }
            div.bar {
                button.primary type="submit" { "Activate" }
                a.button href=(links::connector(&it.name)) data-close autofocus { "Cancel" }
            }
        }
    }
}

fn removal(known: &Known, version: &Version, visitor: &Visitor) -> Markup {
    let name = &known.installed.name;
    html! {
        form.ask method="post" action=(links::version(name, &version.version, "remove")) {
            h2 { "Remove " (text::plain(known.title())) " " (text::plain(&version.version)) }
            (frame::token(visitor))
            p { "Its component is deleted from this host. To have it again, it must be installed again." }
            @if let Some(why) = known.installed.needs(&version.version) { p.notice.bad { "It cannot be removed: " (why) "." } }
            div.bar {
                @if known.installed.needs(&version.version).is_none() { button.danger type="submit" { "Remove" } }
                a.button href=(links::connector(name)) data-close autofocus { "Cancel" }
            }
        }
    }
}

fn going_back(known: &Known, visitor: &Visitor) -> Markup {
    let it = &known.installed;
    html! {
        form.ask method="post" action=(links::roll_back(&it.name)) {
            h2 { "Roll back " (text::plain(known.title())) }
            (frame::token(visitor))
            input type="hidden" name="revision" value=(it.revision);
            @if let Some(rollout) = it.under_way() {
                p { @if rollout.shadow { "The comparison of " } @else { "The activation of " }
                    (text::name(&rollout.version)) " is ended. What serves now goes on." }
            } @else if let Some(canary) = &it.canary {
                p { (format::counted(canary.connections.len() as u64, "connection", "connections")) " that "
                    @if canary.connections.len() == 1 { "tries" } @else { "try" } " out " (text::name(&canary.version))
                    @if canary.connections.len() == 1 { " goes" } @else { " go" } " back to "
                    (text::name(it.active_version().unwrap_or("what is active"))) "." }
            } @else if let Some(before) = it.previous.first() {
                p { (text::name(before)) " serves again in the place of " (text::name(it.active_version().unwrap_or_default()))
                    ", with the configurations that belonged to it. Syncs that run go on with it from their next page." }
            } @else {
                p { "There is no version to go back to." }
            }
            @let possible = it.under_way().is_some() || it.canary.is_some() || !it.previous.is_empty();
            div.bar {
                @if possible { button.primary type="submit" { "Roll back" } }
                a.button href=(links::connector(&it.name)) data-close autofocus { "Cancel" }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::sample, *};
    use crate::api::ui::sample as pages;

    fn ask(question: fn(&Known, &Version, &Visitor) -> Markup, number: &str) -> String {
        let known = sample::known();
        question(&known, known.version(Some(number)).expect("version"), &pages::visitor()).into_string()
    }

    #[test]
    fn approving_sends_along_what_was_shown() {
        let text = ask(approval, "2.0.0");
        assert!(
            text.contains("name=\"permission-0\" value=\"send POST to the connection's host, /&lt;b&gt;all"),
            "{text}"
        );
        assert!(!text.contains("permission-1") && text.contains("Grant these permissions"), "{text}");
        assert!(text.contains("Not signed") && text.contains("name=\"token\""), "{text}");
        assert!(!ask(approval, "1.2.0").contains("Grant"), "nothing waits");
    }

    #[test]
    fn activating_offers_whom_it_could_serve() {
        let text = ask(activation, "1.3.0");
        assert!(text.contains("value=\"My &lt;Lake&gt;\"") && !text.contains("value=\"Other\""), "{text}");
        assert!(text.contains("1 connection pinned") && text.contains("It was taken back before"), "{text}");
        assert!(text.contains("name=\"revision\" value=\"1\""), "{text}");
        assert!(text.contains("name=\"how\" value=\"compare\"") && text.contains("serves nobody"), "{text}");
    }

    #[test]
    fn going_back_says_to_what() {
        let text = going_back(&sample::known(), &pages::visitor()).into_string();
        assert!(text.contains("1.1.0") && text.contains("serves again in the place of"), "{text}");
        let mut known = sample::known();
        known.installed.previous.clear();
        let text = going_back(&known, &pages::visitor()).into_string();
        assert!(text.contains("no version to go back to"), "{text}");
    }

    #[test]
    fn what_is_needed_cannot_be_removed() {
        assert!(ask(removal, "1.2.0").contains("It cannot be removed: it is active"));
        assert!(!ask(removal, "2.0.0").contains("cannot be removed"));
    }
}
