//! Connectors: what is installed, which version serves whom, and how another one takes over. For administrators.
//!
//! Everything that changes something asks first, with what it will do; what was seen is sent along, so that nobody decides
//! about something else than what was shown.

pub(super) mod ask;
pub(super) mod decide;
mod health;
pub(super) mod one;
#[cfg(test)]
pub(super) mod sample;
pub(super) mod upload;
mod version;

use std::collections::BTreeMap;

use axum::{extract::State, response::Response};
use jiff::Timestamp;
use maud::{Markup, html};

use super::{
    format,
    frame::{Frame, Section},
    icons, links,
    session::Visitor,
    text,
};
use crate::{
    api::{ApiState, error::ApiError, routes},
    connector::health::Snapshot,
    db::connectors::WithVersions,
    model::{
        connector::{Installed, Version},
        id::ConnectionId,
        name::ConnectionKey,
        principal::Permission,
        sight::Sight,
    },
};

const ADMIN: &[Permission] = &[Permission::ApplicationAdmin];

/// Whether these pages are for somebody.
pub(super) fn are_for(visitor: &Visitor) -> bool {
    visitor.caller.has_any(ADMIN)
}

/// Refuses everybody for whom the API's routes of the same effect are not either.
pub(super) fn only_for(visitor: &Visitor) -> Result<(), ApiError> {
    if are_for(visitor) {
        Ok(())
    } else {
        Err(ApiError::forbidden(format!("this needs {}", routes::names(ADMIN).join(" or "))))
    }
}

/// A connector with what its pages tell of it.
pub(super) struct Known {
    installed: Installed,
    /// The newest first.
    versions: Vec<Version>,
    served: Vec<Served>,
    /// Digests that cannot be loaded, and why.
    broken: Vec<(String, String)>,
    /// How those that are loaded fare, by digest.
    health: BTreeMap<String, Snapshot>,
}

/// A connection that a connector serves.
pub(super) struct Served {
    id: ConnectionId,
    key: ConnectionKey,
    pin: Option<String>,
}

impl Known {
    fn title(&self) -> &str {
        let shown = self.version(self.installed.active_version()).or(self.versions.first());
        shown.map_or(&self.installed.name, |version| &version.title)
    }

    fn version(&self, number: Option<&str>) -> Option<&Version> {
        self.versions.iter().find(|version| Some(version.version.as_str()) == number)
    }

    fn why_broken(&self, version: &Version) -> Option<&str> {
        self.broken.iter().find(|(digest, _)| *digest == version.digest).map(|(_, why)| why.as_str())
    }

    /// What waits for somebody's approval.
    fn waiting(&self) -> Vec<&Version> {
        self.versions.iter().filter(|version| !self.installed.waiting(version).is_empty()).collect()
    }
}

/// All connectors.
async fn known(state: &ApiState) -> Result<Vec<Known>, ApiError> {
    let connections = state.db.connections(&Sight::All).await?;
    let with = |(installed, versions): WithVersions| {
        let served = connections.iter().filter(|connection| connection.technology == installed.technology);
        let served = served.map(|c| Served { id: c.id, key: c.key.clone(), pin: c.options.pin.clone() }).collect();
        let broken = versions
            .iter()
            .filter_map(|version| Some((version.digest.clone(), state.registry.broken(&version.digest)?)))
            .collect();
        let loaded =
            |version: &Version| Some((version.digest.clone(), state.registry.loaded(&version.digest)?.health()));
        let health = versions.iter().filter_map(loaded).collect();
        Known { installed, versions, served, broken, health }
    };
    Ok(state.db.connectors().await?.into_iter().map(with).collect())
}

/// One of them.
async fn find(state: &ApiState, name: &str) -> Result<Known, ApiError> {
    let mut all = known(state).await?;
    let at = all.iter().position(|known| known.installed.name == name);
    at.map(|at| all.swap_remove(at)).ok_or_else(no_such_connector)
}

fn no_such_connector() -> ApiError {
    ApiError::not_found("there is no such connector, or not in this version").hint("it may have been removed meanwhile")
}

/// The list.
pub(super) async fn list(State(state): State<ApiState>, visitor: Visitor) -> Result<Response, ApiError> {
    only_for(&visitor)?;
    page(&state, &visitor, None).await
}

/// The list, with why an upload was refused.
async fn page(state: &ApiState, visitor: &Visitor, refused: Option<&ApiError>) -> Result<Response, ApiError> {
    let all = known(state).await?;
    let running = state.db.unfinished_jobs(visitor.caller.sight()).await?.len();
    let main = html! {
        h1 { "Connectors" }
        p.hint { "Each connector speaks to one kind of platform, in a sandbox of its own. Versions are swapped while syncs run, and taken back where they fail." }
        (table(&all, state.clock.now()))
        (upload::form(visitor, refused))
    };
    let frame = Frame { title: "Connectors", section: Section::Connectors, visitor, running, beside: None };
    Ok(frame.page(&main))
}

fn table(all: &[Known], now: Timestamp) -> Markup {
    html! {
        @if all.is_empty() {
            div.empty { p { strong { "No connectors yet." } } p { "Upload one: it is a file that ends in " code { ".wasm" } "." } }
        } @else {
            div.scroll { table {
                thead { tr {
                    th scope="col" { "Connector" }
                    th scope="col" { "Version" }
                    th.wide scope="col" { "Technology" }
                    th.num.wide scope="col" { "Connections" }
                    th.wide scope="col" { "Active since" }
                    th scope="col" { "State" }
                } }
                tbody { @for known in all { (row(known, now)) } }
            } }
        }
    }
}

fn row(known: &Known, now: Timestamp) -> Markup {
    let it = &known.installed;
    html! {
        tr {
            td { a.object href=(links::connector(&it.name)) { (icons::plug()) (text::name(known.title())) } }
            td { @match it.active_version() {
                Some(version) => (text::name(version)),
                None => span.faint { "none" },
            } }
            td.wide { (text::name(it.technology.as_str())) }
            td.num.wide { (format::count(known.served.len() as u64)) }
            td.wide { (format::time_or(it.active.as_ref().map(|active| active.since), now, "–")) }
            td { (state(known)) }
        }
    }
}

/// Whether something is amiss with what serves.
fn fails(health: &Snapshot) -> bool {
    health.recent_failures() > 0 || !health.open.is_empty()
}

/// How a connector is, the most urgent first.
fn state(known: &Known) -> Markup {
    let it = &known.installed;
    let active = known.version(it.active_version());
    let waiting = known.waiting();
    html! {
        @if let Some(why) = active.and_then(|version| known.why_broken(version)) {
            span.badge.bad title=(text::plain(why)) { "Cannot be loaded" }
        } @else if let Some(rollout) = it.under_way() {
            span.badge.live { @if rollout.shadow { "Comparing " } @else { "Activating " } (text::name(&rollout.version)) }
        } @else if let Some(canary) = &it.canary {
            span.badge.live { "Trying out " (text::name(&canary.version)) }
        } @else if active.is_none() {
            span.badge.warn { "Nothing active" }
        } @else if let Some(health) = active.and_then(|version| known.health.get(&version.digest)).filter(|it| fails(it)) {
            span.badge.warn { (health.recent_failures()) " of the last " (health.recent.len()) " calls failed" }
        } @else {
            span.badge.good { "Healthy" }
        }
        @if let [version, ..] = waiting.as_slice() {
            " " span.badge.warn { (text::name(&version.version)) " waits for approval" }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::ui::sample as pages,
        model::connector::{Canary, Step},
    };

    fn shown(known: Known) -> String {
        table(&[known], pages::now()).into_string()
    }

    #[test]
    fn a_row_tells_the_most_urgent_first() {
        let known = sample::known();
        let text = shown(sample::known());
        assert!(text.contains("Healthy") && text.contains("2.0.0") && text.contains("waits for approval"), "{text}");
        assert!(text.contains("A &lt;shelf&gt;") && !text.contains("<shelf>"), "{text}");

        let canary = Canary { version: "2.0.0".into(), connections: [known.served[0].id].into() };
        let trying =
            Known { installed: Installed { canary: Some(canary), ..known.installed.clone() }, ..sample::known() };
        assert!(shown(trying).contains("Trying out"));
        let rollout = Some(sample::rollout(Step::Check));
        let activating = Known { installed: Installed { rollout, ..known.installed.clone() }, ..sample::known() };
        assert!(shown(activating).contains("Activating"));
        let digest = known.version(Some("1.2.0")).expect("version").digest.clone();
        let broken = Known { broken: vec![(digest, "its file is gone".into())], ..sample::known() };
        let text = shown(broken);
        assert!(text.contains("Cannot be loaded") && text.contains("its file is gone"), "{text}");
        let digest = known.version(Some("1.2.0")).expect("version").digest.clone();
        let fares = Snapshot { recent: [true, false, true].into(), ..Snapshot::default() };
        let failing = Known { health: [(digest, fares)].into(), ..sample::known() };
        assert!(shown(failing).contains("2 of the last 3 calls failed"));
        let none = Known { installed: Installed { active: None, ..known.installed }, ..sample::known() };
        assert!(shown(none).contains("Nothing active"));
    }

    #[test]
    fn an_empty_list_says_how_to_begin() {
        assert!(table(&[], pages::now()).into_string().contains("No connectors yet"));
    }
}
