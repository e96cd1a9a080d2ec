//! The Settings tab: status and new-object rule of one object. Two steps (F89): choose, then review what the change
//! would reach (D4) and save. Nothing is changed before, and not at all if somebody else changed the object meanwhile.

use axum::{
    extract::{Path, State},
    http::Uri,
    response::{IntoResponse, Redirect, Response},
};
use maud::{Markup, html};

use super::{
    format, frame, links,
    listing::ListQuery,
    object::{Shown, Tab},
    session::{Posted, Visitor, not_whole},
    text,
};
use crate::{
    api::{ApiState, error::ApiError},
    db::{
        ObjectRef,
        settings::{Mode, SettingsError, SettingsOutcome},
    },
    model::{
        object::ObjectView,
        settings::{NewChildren, Overrides, SettingsChange},
    },
};

/// The choices of a switch: value in the form, label, explanation.
type Choice = (&'static str, &'static str, &'static str);

const STATUS: [Choice; 3] = [
    ("enable", "Enable", "It is enabled until somebody changes it, whatever the status above it."),
    ("disable", "Disable", "It is disabled until somebody changes it, whatever the status above it."),
    ("inherit", "Inherit", "It has the status of the object that contains it."),
];

const NEW_OBJECTS: [Choice; 4] = [
    ("enable", "Enable", "What is found later in it begins enabled; tables become data sources at once."),
    ("disable", "Disable", "What is found later in it begins disabled."),
    ("inherit", "Inherit", "What is found later in it begins with the status of the object that contains it."),
    (
        "unset",
        "As above",
        "Nothing is set here: the nearest object above it that has a rule decides; without one, disabled.",
    ),
];

/// The tab.
pub(super) async fn show(
    State(state): State<ApiState>,
    visitor: Visitor,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let shown = Shown::load_own(&state, &visitor, &id).await?;
    let query = ListQuery::of(&uri);
    let content = html! {
        @if query.get("saved") == "1" { p.notice.good role="status" { "Saved." } }
        (form(&shown.object, Choices::of(&shown.object.overrides), &visitor))
    };
    shown.page(&state, &visitor, &query, Tab::Settings, &content).await
}

/// Shows what a change would do.
pub(super) async fn review(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response, ApiError> {
    let visitor = &posted.visitor;
    let shown = Shown::load_own(&state, visitor, &id).await?;
    let chosen = Choices::sent(&posted)?;
    let change = chosen.change(Choices::of(&shown.object.overrides));
    let content = if change == SettingsChange::default() {
        html! {
            p.notice role="status" { "Nothing would change: choose something else first." }
            (form(&shown.object, chosen, visitor))
        }
    } else {
        let object = ObjectRef::Id(shown.object.id);
        let now = state.clock.now();
        let outcome = state
            .db
            .change_settings(visitor.caller.sight(), &object, change, None, Mode::DryRun, now)
            .await
            .map_err(settings_error)?;
        review_view(&shown.object, chosen, change, &outcome, visitor)
    };
    shown.page(&state, visitor, &ListQuery::default(), Tab::Settings, &content).await
}

/// Makes a change that was reviewed.
pub(super) async fn save(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response, ApiError> {
    let visitor = &posted.visitor;
    let shown = Shown::load_own(&state, visitor, &id).await?;
    let chosen = Choices::sent(&posted)?;
    let revision = posted.revision()?;
    let change = chosen.change(Choices::of(&shown.object.overrides));
    let object = ObjectRef::Id(shown.object.id);
    let now = state.clock.now();
    let db = state.db.by(visitor.caller.actor());
    match db.change_settings(visitor.caller.sight(), &object, change, Some(revision), Mode::Apply, now).await {
        Ok(_) => Ok(Redirect::to(&format!("{}?saved=1", links::settings(shown.object.id))).into_response()),
        Err(SettingsError::Revision(_)) => {
            let content = html! {
                p.notice.bad role="alert" {
                    "Somebody or a sync changed this object after your review. Nothing was saved: review it again."
                }
                (form(&shown.object, chosen, visitor))
            };
            shown.page(&state, visitor, &ListQuery::default(), Tab::Settings, &content).await
        }
        Err(error) => Err(settings_error(error)),
    }
}

fn settings_error(error: SettingsError) -> ApiError {
    match error {
        SettingsError::NotFound => super::no_such_object(),
        SettingsError::Revision(current) => ApiError::revision(current),
        SettingsError::Db(error) => error.into(),
    }
}

/// What the two switches stand at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Choices {
    status: Option<bool>,
    new_objects: Option<NewChildren>,
}

impl Choices {
    fn of(overrides: &Overrides) -> Self {
        Self { status: overrides.is_active.map(|o| o.value), new_objects: overrides.new_children }
    }

    fn sent(posted: &Posted) -> Result<Self, ApiError> {
        Self::read(posted.field("status"), posted.field("newObjects")).ok_or_else(not_whole)
    }

    fn read(status: &str, new_objects: &str) -> Option<Self> {
        let status = match status {
            "enable" => Some(true),
            "disable" => Some(false),
            "inherit" => None,
            _ => return None,
        };
        let new_objects = match new_objects {
            "enable" => Some(NewChildren::Enable),
            "disable" => Some(NewChildren::Disable),
            "inherit" => Some(NewChildren::Inherit),
            "unset" => None,
            _ => return None,
        };
        Some(Self { status, new_objects })
    }

    fn status_value(self) -> &'static str {
        match self.status {
            Some(true) => "enable",
            Some(false) => "disable",
            None => "inherit",
        }
    }

    fn new_objects_value(self) -> &'static str {
        match self.new_objects {
            Some(NewChildren::Enable) => "enable",
            Some(NewChildren::Disable) => "disable",
            Some(NewChildren::Inherit) => "inherit",
            None => "unset",
        }
    }

    /// Only what differs: what stays must not become a person's setting by being sent along.
    fn change(self, before: Self) -> SettingsChange {
        SettingsChange {
            is_active: (self.status != before.status).then_some(self.status),
            new_children: (self.new_objects != before.new_objects).then_some(self.new_objects),
        }
    }
}

fn form(object: &ObjectView, chosen: Choices, visitor: &Visitor) -> Markup {
    let effective = if object.settings.is_active { "Enabled" } else { "Disabled" };
    let new = if object.settings.new_children { "enabled" } else { "disabled" };
    html! {
        form.settings method="post" action={ (links::settings(object.id)) "/review" } {
            (frame::token(visitor))
            fieldset {
                legend { "Data Object" }
                p.hint { "Now: " strong { (effective) }
                    @if object.overrides.is_active.is_none() { ", inherited" } @else { ", set here" } "." }
                (radios("status", &STATUS, chosen.status_value()))
            }
            fieldset {
                legend { "New objects" }
                p.hint {
                    "What object sync finds here later. Now it would begin " strong { (new) } ". "
                    "Object sync itself cannot be switched off."
                }
                (radios("newObjects", &NEW_OBJECTS, chosen.new_objects_value()))
            }
            button.primary type="submit" { "Review changes" }
        }
    }
}

fn radios(name: &str, choices: &[Choice], chosen: &str) -> Markup {
    html! {
        div.choices {
            @for (value, label, explanation) in choices {
                label {
                    input type="radio" name=(name) value=(value) checked[*value == chosen] required;
                    span { strong { (label) } span.hint { (explanation) } }
                }
            }
        }
    }
}

fn label(choices: &[Choice], value: &str) -> &'static str {
    choices.iter().find(|(v, _, _)| *v == value).map_or("", |(_, label, _)| label)
}

fn review_view(
    object: &ObjectView,
    chosen: Choices,
    change: SettingsChange,
    outcome: &SettingsOutcome,
    visitor: &Visitor,
) -> Markup {
    let before = Choices::of(&object.overrides);
    html! {
        h2 { "Review your changes" }
        p { "To " (text::path(object.path.segments())) }
        table.review {
            thead { tr { th scope="col" { "Setting" } th scope="col" { "Now" } th scope="col" { "After" } } }
            tbody {
                @if change.is_active.is_some() {
                    tr { th scope="row" { "Data Object" } td { (label(&STATUS, before.status_value())) }
                         td { strong { (label(&STATUS, chosen.status_value())) } } }
                }
                @if change.new_children.is_some() {
                    tr { th scope="row" { "New objects" } td { (label(&NEW_OBJECTS, before.new_objects_value())) }
                         td { strong { (label(&NEW_OBJECTS, chosen.new_objects_value())) } } }
                }
            }
        }
        (consequences(object, change, outcome))
        div.bar {
            form method="post" action=(links::settings(object.id)) {
                (frame::token(visitor))
                input type="hidden" name="status" value=(chosen.status_value());
                input type="hidden" name="newObjects" value=(chosen.new_objects_value());
                input type="hidden" name="revision" value=(object.revision);
                button.primary type="submit" { "Save changes" }
            }
            a.button href=(links::settings(object.id)) { "Back without saving" }
        }
    }
}

/// In words, what the change reaches and what it does not (D4, F136).
fn consequences(object: &ObjectView, change: SettingsChange, outcome: &SettingsOutcome) -> Markup {
    let enables = outcome.object.settings.is_active;
    let verb = if enables { "enabled" } else { "disabled" };
    let flips = outcome.object.settings.is_active != object.settings.is_active;
    html! {
        @if change.is_active.is_some() {
            div.notice.warn[flips] {
                @if flips {
                    p { strong { (format::counted(outcome.affected, "object", "objects")) }
                        " will be " (verb) ", this one and what is found below it included. " }
                } @else {
                    p { "Its effective status stays as it is: " (verb) "." }
                }
                @if outcome.overridden > 0 {
                    p { strong { (format::counted(outcome.overridden, "object", "objects")) }
                        " below it keep the status that somebody gave them." }
                }
                @if flips && enables { p { "An object sync starts, to read the columns of what becomes enabled." } }
            }
        }
        @if change.new_children.is_some() {
            p.notice { "What is found here from now on begins "
                strong { @if outcome.object.settings.new_children { "enabled" } @else { "disabled" } }
                ". What is known already stays as it is." }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::ui::sample,
        model::settings::{ActiveOverride, Origin},
    };

    #[test]
    fn only_what_differs_is_changed() {
        let none = Choices { status: None, new_objects: None };
        let read = |status, new| Choices::read(status, new).expect("choices");
        assert_eq!(read("inherit", "unset").change(none), SettingsChange::default());
        assert_eq!(read("enable", "unset").change(none).is_active, Some(Some(true)));
        assert_eq!(read("enable", "unset").change(none).new_children, None);
        let set = Choices { status: Some(true), new_objects: Some(NewChildren::Inherit) };
        assert_eq!(read("inherit", "unset").change(set).is_active, Some(None));
        assert_eq!(read("inherit", "unset").change(set).new_children, Some(None));
        assert_eq!(Choices::read("perhaps", "unset"), None);
    }

    #[test]
    fn the_form_shows_what_is_set() {
        let mut object = sample::connection_object();
        object.overrides.is_active = Some(ActiveOverride { value: true, origin: Origin::User, sequence: 1 });
        let shown = form(&object, Choices::of(&object.overrides), &sample::visitor()).into_string();
        assert!(shown.contains("value=\"enable\" checked"), "{shown}");
        assert!(shown.contains("value=\"unset\" checked"), "{shown}");
        assert!(shown.contains("name=\"token\" value=\"sample-token\""), "{shown}");
    }

    #[test]
    fn the_review_names_the_numbers_before_anything_is_saved() {
        let before = sample::connection_object();
        let mut after = before.clone();
        after.settings.is_active = true;
        let outcome = SettingsOutcome { object: after, affected: 12_001, overridden: 3, job: None, bulk: None };
        let chosen = Choices { status: Some(true), new_objects: None };
        let change = chosen.change(Choices::of(&before.overrides));
        let shown = review_view(&before, chosen, change, &outcome, &sample::visitor()).into_string();
        assert!(shown.contains("12,001 objects") && shown.contains("3 objects"), "{shown}");
        assert!(shown.contains("name=\"revision\" value=\"7\"") && shown.contains("Save changes"), "{shown}");
    }
}
