//! One connector: how it stands, its versions and what they may do, whom it serves, and what was done with it.

use axum::{
    extract::{Path, State},
    http::{HeaderValue, Uri, header::REFRESH},
    response::Response,
};
use jiff::Timestamp;
use maud::{Markup, html};

use super::{
    super::{
        format,
        frame::{Frame, Section},
        icons, links,
        listing::ListQuery,
        session::Visitor,
        text,
    },
    Known, find, health, only_for, state, version,
};
use crate::{
    api::{ApiState, error::ApiError},
    db::connectors::Read,
    model::{
        connector::{AuditEntry, Finding, Installed, Rollout, Step},
        job::Job,
    },
};

/// Lines of what was done.
const DONE: usize = 20;

/// Seconds until the page looks again while an activation is under way.
const AGAIN: &str = "2";

/// The steps of an activation, in order; the last one is another where it is only compared.
const STEPS: [(Step, &str); 3] =
    [(Step::Compatibility, "Configurations fit"), (Step::Check, "Connections work"), (Step::Promote, "It takes over")];
const COMPARED: (Step, &str) = (Step::Shadow, "It reads, and that is compared");

/// The page.
pub(in crate::api::ui) async fn show(
    State(state): State<ApiState>,
    visitor: Visitor,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Response, ApiError> {
    only_for(&visitor)?;
    let known = find(&state, &name).await?;
    let done = state.db.audit(Some(&Installed::subject(&name)), None, DONE).await?;
    let done: Vec<_> = done.entries.into_iter().map(|(_, entry)| entry).collect();
    let reads = match &known.installed.rollout {
        Some(rollout) if rollout.shadow => state.db.shadow_reads(&name, rollout.began).await?,
        _ => Vec::new(),
    };
    let main = view(&known, &reads, &done, &ListQuery::of(&uri), state.clock.now());
    let running = state.db.unfinished_jobs(visitor.caller.sight()).await?.len();
    let title = text::plain(known.title());
    let frame = Frame { title: &title, section: Section::Connectors, visitor: &visitor, running, beside: None };
    let mut response = frame.page(&main);
    if known.installed.under_way().is_some() {
        response.headers_mut().insert(REFRESH, HeaderValue::from_static(AGAIN));
    }
    Ok(response)
}

fn view(known: &Known, reads: &[(Read, Job)], done: &[AuditEntry], query: &ListQuery, now: Timestamp) -> Markup {
    let it = &known.installed;
    html! {
        nav.crumbs aria-label="Path" { ol { li { a href="/ui/connectors" { "Connectors" } } } }
        div.head {
            h1 { (icons::plug()) (text::name(known.title())) }
            (state(known))
            span.push {}
            @if it.under_way().is_none() && (it.canary.is_some() || !it.previous.is_empty()) {
                a.button href=(links::roll_back(&it.name)) data-dialog { "Roll back…" }
            }
        }
        (told(known, query))
        @if let Some(rollout) = &it.rollout { (activation(known, rollout, reads, now)) }
        (facts(known, now))
        h2 { "Versions" }
        (version::table(known, now))
        h2 { "Permissions" }
        p.hint { "What a version may do where it is granted, and nothing besides. Whatever was never granted waits for approval." }
        (version::permissions(known))
        h2 { "Connections" }
        (served(known))
        (health::table(known, now))
        h2 { "What was done" }
        (audit(done, now))
    }
}

/// What became of what somebody just did.
fn told(known: &Known, query: &ListQuery) -> Markup {
    let version = query.get("version");
    let found = known.version(Some(version));
    html! {
        @match query.get("done") {
            "installed" if found.is_some() => p.notice.good role="status" {
                "Version " (text::name(version)) " is installed. It serves nobody until it is activated."
            },
            "again" if found.is_some() => p.notice role="status" { "Version " (text::name(version)) " was installed already." },
            "approved" if found.is_some() => p.notice.good role="status" { "The permissions of " (text::name(version)) " are granted." },
            "removed" => p.notice.good role="status" { "The version is removed." },
            "back" => p.notice.good role="status" { "Rolled back." },
            _ => {},
        }
    }
}

/// How the last activation goes or went.
fn activation(known: &Known, rollout: &Rollout, reads: &[(Read, Job)], now: Timestamp) -> Markup {
    let it = &known.installed;
    let to_whom = rollout.canary.as_ref().map(|chosen| chosen.len() as u64);
    html! {
        @match rollout.step {
            Step::Done if rollout.shadow => section.notice.(if rollout.findings.is_empty() { "good" } else { "warn" }) aria-label="Comparison" {
                strong { "Version " (text::plain(&rollout.version)) " was compared and serves nobody" }
                p.hint { "Asked for " (format::time(rollout.at, now)) ". "
                    @if rollout.findings.is_empty() { "It reads what the inventory has, or what the active version reads as well." } }
                (findings(&rollout.findings))
                (read(known, reads))
                div.bar { a.button href=(links::version(&it.name, &rollout.version, "activate")) data-dialog { "Activate…" } }
            },
            Step::Done if rollout.findings.is_empty() => {},
            Step::Done => section.notice.warn aria-label="Activation" {
                strong { "Version " (text::plain(&rollout.version)) " was activated; this was found on the way" }
                (findings(&rollout.findings))
            },
            Step::Ended => p.notice { @if rollout.shadow { "The comparison of " } @else { "The activation of " }  (text::name(&rollout.version)) " was ended " (format::time(rollout.at, now)) "." },
            Step::Blocked => section.notice.bad aria-label="Activation" {
                strong { "Version " (text::plain(&rollout.version)) @if rollout.shadow { " would not work" } @else { " was not activated" } }
                p { "Something that works with what serves now would not work any more. Nothing has changed." }
                (findings(&rollout.findings))
                (read(known, reads))
                div.bar { a.button href=(links::version(&it.name, &rollout.version, "activate")) data-dialog { "Try again…" } }
            },
            _ => section.notice aria-label="Activation" aria-busy="true" {
                strong { @if rollout.shadow { "Comparing version " } @else { "Activating version " } (text::plain(&rollout.version)) }
                @if let Some(n) = to_whom { " for " (format::counted(n, "connection", "connections")) }
                p.hint { @match &rollout.by { Some(by) => { "Asked for by " (text::name(&by.name)) } None => "The host brought it" } " " (format::time(rollout.at, now)) ". Syncs go on meanwhile." }
                (steps(rollout))
                (findings(&rollout.findings))
                (read(known, reads))
                div.bar { a.button href=(links::roll_back(&it.name)) data-dialog { "Stop…" } }
            },
        }
    }
}

fn steps(rollout: &Rollout) -> Markup {
    let [first, second, last] = STEPS;
    let steps = [first, second, if rollout.shadow { COMPARED } else { last }];
    let at = steps.iter().position(|(step, _)| *step == rollout.step).unwrap_or(0);
    html! {
        ol.steps { @for (n, (_, title)) in steps.iter().enumerate() {
            li aria-current=[(n == at).then_some("step")] {
                span aria-hidden="true" { @if n < at { "✓ " } @else if n == at { "● " } @else { "○ " } }
                (title)
            }
        } }
    }
}

/// The dry runs of a comparison.
fn read(known: &Known, reads: &[(Read, Job)]) -> Markup {
    html! {
        @if !reads.is_empty() {
            details { summary { (format::counted(reads.len() as u64, "read", "reads")) }
                ul { @for (read, job) in reads { li {
                    @let served = known.served.iter().find(|served| served.id == job.connection);
                    a href=(links::job(job.id)) { (text::name(served.map_or("a connection", |served| served.key.as_str()))) }
                    " with " (text::name(&read.version)) ": " (job.state.as_str())
                    @if let Some(found) = job.found { ", " (format::counted(found, "difference", "differences")) }
                } } }
            }
        }
    }
}

fn findings(findings: &[Finding]) -> Markup {
    html! {
        @if !findings.is_empty() {
            ul { @for finding in findings {
                li {
                    @if finding.blocks { span.badge.bad { "In the way" } " " }
                    @if let Some(key) = finding.connection.as_ref().filter(|key| !finding.message.contains(key.as_str())) {
                        strong { (text::name(key.as_str())) } ": "
                    }
                    (text::prose(&finding.message))
                    @if let Some(job) = finding.job { " " a href=(links::job(job)) { "What it found" } }
                }
            } }
        }
    }
}

fn facts(known: &Known, now: Timestamp) -> Markup {
    let it = &known.installed;
    html! {
        dl.facts {
            div { dt { "Name" } dd { (text::name(&it.name)) } }
            div { dt { "Technology" } dd { (text::name(it.technology.as_str())) } }
            div { dt { "Active version" } dd {
                @match &it.active {
                    Some(active) => (text::name(&active.version)),
                    None => span.faint { "none: nothing can be synced" },
                }
            } }
            @if let Some(active) = &it.active {
                div { dt { "Active since" } dd {
                    (format::time(active.since, now)) " by "
                    @match &active.by { Some(by) => (text::name(&by.name)), None => "the host" }
                } }
            }
            @if let Some(version) = known.version(it.active_version()) {
                div { dt { "Signature" } dd { (version::signature(version)) } }
            }
            @if let Some(canary) = &it.canary {
                div { dt { "Trying out" } dd { (text::name(&canary.version)) " on "
                    (format::counted(canary.connections.len() as u64, "connection", "connections")) } }
            }
            div { dt { "A roll-back goes to" } dd {
                @match it.previous.first() { Some(version) => (text::name(version)), None => span.faint { "nothing before" } }
            } }
        }
    }
}

fn served(known: &Known) -> Markup {
    let it = &known.installed;
    html! {
        @if known.served.is_empty() {
            p.hint { "No connection of this technology is registered." }
        } @else {
            div.scroll { table.figures {
                thead { tr { th scope="col" { "Connection" } th scope="col" { "Served by" } th scope="col" { "Why" } } }
                tbody { @for served in &known.served {
                    @let by = it.serving(served.id, served.pin.as_deref());
                    tr {
                        td { a href=(links::connection(served.id.object())) { (text::name(served.key.as_str())) } }
                        td { @match by { Some(version) => (text::name(version)), None => span.badge.bad { "nothing" } } }
                        td {
                            @if served.pin.is_some() { span.badge { "Pinned" } }
                            @else if by.is_some() && by != it.active_version() { span.badge.live { "Tries it out" } }
                            @else { span.faint { "it is active" } }
                        }
                    }
                } }
            } }
        }
    }
}

fn audit(done: &[AuditEntry], now: Timestamp) -> Markup {
    html! {
        @if done.is_empty() { p.hint { "Nothing yet." } }
        @else {
            div.scroll { table {
                thead { tr { th scope="col" { "When" } th scope="col" { "Who" } th scope="col" { "What" } } }
                tbody { @for entry in done { tr {
                    td { (format::time(entry.at, now)) }
                    td { @match &entry.who { Some(who) => (text::name(&who.name)), None => span.faint { "the host" } } }
                    td { (text::prose(&entry.message)) }
                } } }
            } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::sample, *};
    use crate::api::ui::sample as pages;

    fn page(known: &Known) -> String {
        let done = AuditEntry {
            at: pages::now(),
            who: Some(sample::actor()),
            action: "connector.install".into(),
            subject: "connectors/shelf".into(),
            message: "installed <shelf> 2.0.0".into(),
        };
        view(known, &[], &[AuditEntry { who: None, ..done.clone() }, done], &ListQuery::default(), pages::now())
            .into_string()
    }

    fn with(step: Step) -> Known {
        let mut known = sample::known();
        known.installed.rollout = Some(sample::rollout(step));
        known
    }

    #[test]
    fn the_page_tells_whom_it_serves_and_what_was_done() {
        let text = page(&sample::known());
        for part in [
            "My &lt;Lake&gt;",
            "Pinned",
            "it is active",
            "the host",
            "installed &lt;shelf&gt;",
            "Roll back…",
            "Ada &lt;b&gt;",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("In the way"));
    }

    #[test]
    fn an_activation_tells_how_far_it_is_and_what_stands_in_the_way() {
        let text = page(&with(Step::Check));
        assert!(text.contains("✓ </span>Configurations fit") && text.contains("● </span>Connections work"), "{text}");
        assert!(!text.contains("trial read") && text.contains("Stop…") && !text.contains("Activate…"), "{text}");
        let text = page(&with(Step::Blocked));
        assert!(
            text.contains("was not activated") && text.contains("In the way") && text.contains("Try again…"),
            "{text}"
        );
        let text = page(&with(Step::Done));
        assert!(text.contains("was activated; this was found"), "{text}");
    }

    #[test]
    fn a_comparison_tells_what_was_found_and_that_nobody_is_served() {
        let compared = |step, findings: bool| {
            let mut known = with(step);
            let rollout = known.installed.rollout.as_mut().expect("rollout");
            (rollout.shadow, rollout.by) = (true, None);
            rollout.findings[0].job = Some(crate::model::id::JobId::from_u128(7));
            if !findings {
                rollout.findings.clear();
            }
            page(&known)
        };
        let text = compared(Step::Shadow, false);
        assert!(
            text.contains("● </span>It reads, and that is compared") && text.contains("The host brought it"),
            "{text}"
        );
        assert!(!text.contains("It takes over") && text.contains("Comparing version"), "{text}");
        let text = compared(Step::Done, true);
        assert!(text.contains("was compared and serves nobody") && text.contains("What it found"), "{text}");
        assert!(text.contains(&links::job(crate::model::id::JobId::from_u128(7))), "{text}");
        assert!(compared(Step::Done, false).contains("It reads what the inventory has"));
        assert!(compared(Step::Blocked, true).contains("would not work"));
    }

    #[test]
    fn what_was_just_done_is_told_of_versions_that_are_there() {
        let told = |query: &str| {
            told(&sample::known(), &ListQuery::of(&format!("/x?{query}").parse().expect("uri"))).into_string()
        };
        assert!(told("done=installed&version=2.0.0").contains("is installed"));
        assert_eq!(told("done=installed&version=%3Cb%3E"), "");
        assert_eq!(told("done=evil&version=2.0.0"), "");
    }
}
