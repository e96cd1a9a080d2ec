//! What stands around every page: head, navigation, who is signed in, and the gear that turns while jobs run (F80).

use axum::response::{Html, IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

use super::{assets, connectors, format, icons, session::Visitor, text};

/// Which part of the navigation a page belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    /// Data → Connections.
    Connections,
    /// Jobs.
    Jobs,
    /// Connectors.
    Connectors,
}

/// What the surroundings of a page need to know.
pub(super) struct Frame<'a> {
    /// For the window; names in it are written out here.
    pub(super) title: &'a str,
    /// Where in the navigation.
    pub(super) section: Section,
    /// Who looks.
    pub(super) visitor: &'a Visitor,
    /// Jobs that have not ended.
    pub(super) running: usize,
    /// Stands beside the page.
    pub(super) beside: Option<Markup>,
}

impl Frame<'_> {
    /// The whole page.
    pub(super) fn page(&self, main: &Markup) -> Response {
        let body = html! {
            a.skip href="#main" { "Skip to the content" }
            (self.header())
            div.columns.beside[self.beside.is_some()] {
                @if let Some(beside) = &self.beside { (beside) }
                main #main tabindex="-1" { (main) }
            }
            dialog #dialog aria-label="Dialog" {}
        };
        document(self.title, &body)
    }

    fn header(&self) -> Markup {
        let current = |section| (self.section == section).then_some("page");
        html! {
            header.top {
                a.home href="/ui/connections" { (icons::brand()) span { "Wharfinger" } }
                nav aria-label="Main" {
                    a href="/ui/connections" aria-current=[current(Section::Connections)] { "Data" }
                    a href="/ui/jobs" aria-current=[current(Section::Jobs)] { "Jobs" }
                    @if connectors::are_for(self.visitor) {
                        a href="/ui/connectors" aria-current=[current(Section::Connectors)] { "Connectors" }
                    }
                }
                span.push {}
                (gear(self.running))
                span.who { (text::name(&self.visitor.caller.0.name)) }
                form method="post" action="/ui/logout" {
                    (token(self.visitor))
                    button.quiet type="submit" { "Sign out" }
                }
            }
            @if self.section == Section::Connections {
                nav.sub aria-label="Data" {
                    a href="/ui/connections" aria-current="page" { "Connections" }
                    @if self.beside.is_some() { span.push {} a.narrow href="#browse" { "Browse" } }
                }
            }
        }
    }
}

/// The gear: a link to the jobs, turning while any is under way.
pub(super) fn gear(running: usize) -> Markup {
    html! {
        span #gear data-live="/ui/live" data-busy[running > 0] {
            a.jobs.busy[running > 0] href="/ui/jobs" title="Jobs" {
                (icons::gear())
                span aria-live="polite" {
                    @if running > 0 { (format::counted(running as u64, "job", "jobs")) span.wide { " running" } }
                    @else { span.unseen { "No jobs running" } }
                }
            }
        }
    }
}

/// The hidden field that proves a form to be ours.
pub(super) fn token(visitor: &Visitor) -> Markup {
    html! { input type="hidden" name="token" value=(visitor.token); }
}

/// A page for somebody who is not signed in, or whose request failed.
pub(super) fn bare(title: &str, main: &Markup) -> Response {
    document(title, main)
}

/// A part of a page, for the script to put in.
pub(super) fn fragment(part: Markup) -> Response {
    Html(part.into_string()).into_response()
}

fn document(title: &str, body: &Markup) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (text::plain(title)) " · Wharfinger" }
                link rel="icon" href=(assets::ICON.url()) type="image/svg+xml";
                link rel="stylesheet" href=(assets::STYLE.url());
                script src=(assets::SCRIPT.url()) defer {}
            }
            body { (body) }
        }
    };
    Html(page.into_string()).into_response()
}
