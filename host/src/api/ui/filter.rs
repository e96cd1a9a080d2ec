//! Include and exclude patterns on a connection's own page (D41). Two steps: write them, one on a line, then look at what
//! they would leave and save. Nothing is changed before, and not at all if somebody else changed the connection meanwhile.

use axum::{
    extract::{Path, State},
    response::{IntoResponse, Redirect, Response},
};
use maud::{Markup, html};

use super::{
    detail, format, frame, links,
    listing::ListQuery,
    object::{Shown, Tab},
    session::{Posted, Visitor},
    text,
};
use crate::{
    api::{
        ApiState,
        connections::{self, FilterInput},
        error::ApiError,
        routes::MANAGERS,
    },
    db::preview::{LevelPreview, Preview},
    model::{
        connection::Connection,
        filter::{Filter, Pattern},
        object::ObjectView,
        path::RemotePath,
    },
};

/// What stands in the form.
struct Lines {
    include: String,
    exclude: String,
}

impl Lines {
    fn of(filter: &Filter) -> Self {
        let lines = |patterns: &[Pattern]| patterns.iter().map(connections::line).collect::<Vec<_>>().join("\n");
        Self { include: lines(filter.include()), exclude: lines(filter.exclude()) }
    }

    fn sent(posted: &Posted) -> Self {
        Self { include: posted.field("include").to_owned(), exclude: posted.field("exclude").to_owned() }
    }

    fn filter(&self) -> Result<Filter, ApiError> {
        FilterInput::of_lines(&self.include, &self.exclude).over(&Filter::default())
    }
}

/// The part of the Connection tab that is about patterns: a form for who may change them, on the connection's own page.
pub(super) fn panel(connection: &Connection, object: &ObjectView, visitor: &Visitor) -> Markup {
    let lines = Lines::of(&connection.options.filter);
    let may_change = object.parent.is_none() && visitor.caller.has_any(MANAGERS);
    html! {
        h2 #filter { "Include and exclude" }
        @if may_change { (form(connection.id.object(), &lines, connection.revision, visitor)) }
        @else { (stored(&connection.options.filter)) }
    }
}

/// Shows what the patterns in a form would leave.
pub(super) async fn preview(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response, ApiError> {
    let (shown, connection) = managed(&state, &posted, &id).await?;
    let lines = Lines::sent(&posted);
    let visitor = &posted.visitor;
    let id = shown.object.id;
    let content = match lines.filter() {
        Ok(filter) => {
            let found = state.db.preview_filter(connection.id, filter.clone()).await?;
            html! {
                (preview_view(&shown.object, &filter, &found, connection.revision, visitor))
                h2 { "Change them again" }
                (form(id, &lines, connection.revision, visitor))
            }
        }
        Err(error) => html! {
            (problem(&error))
            (form(id, &lines, connection.revision, visitor))
        },
    };
    shown.page(&state, visitor, &ListQuery::default(), Tab::Connection, &content).await
}

/// Saves patterns that were looked at.
pub(super) async fn save(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response, ApiError> {
    let (shown, connection) = managed(&state, &posted, &id).await?;
    let revision = posted.revision()?;
    let lines = Lines::sent(&posted);
    let visitor = &posted.visitor;
    let saved = match lines.filter() {
        Ok(filter) => connections::save(&state, &visitor.caller, connection.id, filter, revision).await,
        Err(error) => Err(error),
    };
    match saved {
        Ok(sync) => {
            let said = if sync.is_some() { "sync" } else { "1" };
            let to = format!("{}?saved={said}#filter", links::connection(shown.object.id));
            Ok(Redirect::to(&to).into_response())
        }
        Err(error) if error.status().is_client_error() => {
            let content = html! {
                (problem(&error))
                (form(shown.object.id, &lines, connection.revision, visitor))
            };
            shown.page(&state, visitor, &ListQuery::default(), Tab::Connection, &content).await
        }
        Err(error) => Err(error),
    }
}

/// The connection of a form on its own page.
async fn managed(state: &ApiState, posted: &Posted, id: &str) -> Result<(Shown, Connection), ApiError> {
    let (shown, connection) = detail::managed(state, &posted.visitor, id).await?;
    if shown.object.parent.is_some() { Err(super::no_such_object()) } else { Ok((shown, connection)) }
}

fn problem(error: &ApiError) -> Markup {
    html! {
        div.notice.bad role="alert" {
            p { "Nothing was saved: " (text::name(error.message())) "." }
            @if let Some(hint) = error.hint_text() { p { (text::name(hint)) "." } }
        }
    }
}

fn form(id: crate::model::id::ObjectId, lines: &Lines, revision: u64, visitor: &Visitor) -> Markup {
    html! {
        form.settings method="post" action={ (links::filter(id)) "/preview" } {
            (frame::token(visitor))
            input type="hidden" name="revision" value=(revision);
            fieldset {
                legend { "Patterns" }
                p.hint {
                    "One on a line: a glob for each level below the connection, joined by dots, such as " code { "SALES.RAW_*" }
                    ". " code { "*" } " is any characters, " code { "?" } " any one, " code { "\\" } " takes the next as it is; "
                    "names that hold a dot stand in double quotes. Where one holds a line break, an array of globs as the API "
                    "takes it stands for the pattern. Compared exactly, upper and lower case included. "
                    "A pattern speaks of everything below what it names, too."
                }
                label for="include" { strong { "Include" } span.hint { " only these; everything, where there is none" } }
                textarea #include name="include" rows="4" spellcheck="false" autocomplete="off" { "\n" (lines.include) }
                label for="exclude" { strong { "Exclude" } span.hint { " of that, not these" } }
                textarea #exclude name="exclude" rows="4" spellcheck="false" autocomplete="off" { "\n" (lines.exclude) }
                p.hint {
                    "What is left out keeps its id and settings, is no data source, and never counts as missing. "
                    "Nothing is changed at the platform."
                }
            }
            button.primary type="submit" { "Preview" }
        }
    }
}

/// The patterns for who may only look.
fn stored(filter: &Filter) -> Markup {
    let list = |label: &str, patterns: &[Pattern], none: &str| {
        html! {
            div { dt { (label) } dd {
                @if patterns.is_empty() { (none) }
                @for pattern in patterns { code { (text::name(&pattern.to_string())) } br; }
            } }
        }
    };
    html! {
        dl.facts {
            (list("Include", filter.include(), "everything"))
            (list("Exclude", filter.exclude(), "nothing"))
        }
    }
}

fn preview_view(connection: &ObjectView, filter: &Filter, found: &Preview, revision: u64, visitor: &Visitor) -> Markup {
    let (kept, left_out, missing) = found.totals();
    let lines = Lines::of(filter);
    html! {
        h2 { "What these patterns would leave" }
        p {
            "Of what is known of " (text::path(connection.path.segments())) ": "
            strong { (format::counted(kept, "object stays", "objects stay")) } ", "
            strong { (format::counted(left_out, "is left out", "are left out")) }
            @if missing > 0 { ", " (format::counted(missing, "is missing", "are missing")) }
            ". What was never found cannot be counted."
        }
        @for warning in connections::doubts(filter, found) {
            p.notice.warn role="status" { (text::name(&warning.message)) "." }
        }
        (levels(&found.levels))
        (patterns(filter, found))
        div.bar {
            form method="post" action=(links::filter(connection.id)) {
                (frame::token(visitor))
                input type="hidden" name="include" value=(lines.include);
                input type="hidden" name="exclude" value=(lines.exclude);
                input type="hidden" name="revision" value=(revision);
                button.primary type="submit" { "Save" }
            }
            a.button href=(links::connection(connection.id)) { "Back without saving" }
        }
    }
}

fn levels(levels: &[LevelPreview]) -> Markup {
    html! {
        @if !levels.is_empty() {
            div.scroll {
                table.figures {
                    thead { tr {
                        th scope="col" { "Level" } th.num scope="col" { "Stay" } th.num scope="col" { "Left out" }
                        th.num scope="col" { "Missing" }
                    } }
                    tbody {
                        @for (level, it) in (2..).zip(levels) {
                            tr {
                                th scope="row" { (level) }
                                td.num { (format::count(it.kept)) }
                                td.num { (format::count(it.left_out)) }
                                td.num { (format::count(it.missing)) }
                            }
                        }
                    }
                }
            }
            @for (level, it) in (2..).zip(levels) {
                (names(&format!("Level {level}: left out"), &it.first_left_out, it.left_out))
                (names(&format!("Level {level}: stay"), &it.first_kept, it.kept))
            }
        }
    }
}

/// The first names of a level, folded away.
fn names(title: &str, first: &[RemotePath], count: u64) -> Markup {
    html! {
        @if !first.is_empty() {
            details.names {
                summary { (title) " (" (format::count(count)) ")" }
                ul {
                    @for path in first { li { (text::path(&path.0)) } }
                    @if count > first.len() as u64 { li.hint { "… and " (format::count(count - first.len() as u64)) " more" } }
                }
            }
        }
    }
}

fn patterns(filter: &Filter, found: &Preview) -> Markup {
    let rows = filter.include().iter().zip(&found.include_matches).map(|(pattern, n)| ("Include", pattern, *n));
    let rows = rows.chain(filter.exclude().iter().zip(&found.exclude_matches).map(|(p, n)| ("Exclude", p, *n)));
    html! {
        @if !filter.is_empty() {
            h2 { "What each pattern names" }
            div.scroll {
                table.figures {
                    thead { tr {
                        th scope="col" { "List" } th scope="col" { "Pattern" } th.num scope="col" { "Known objects" }
                    } }
                    tbody {
                        @for (list, pattern, n) in rows {
                            tr {
                                td { (list) }
                                td { code { (text::name(&pattern.to_string())) } }
                                td.num { @if n == 0 { span.badge.warn { "none" } } @else { (format::count(n)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::ui::sample;

    fn filter(include: &[&str], exclude: &[&str]) -> Filter {
        let patterns = |all: &[&str]| all.iter().map(|text| text.parse().expect("pattern")).collect();
        Filter::new(patterns(include), patterns(exclude)).expect("filter")
    }

    #[test]
    fn what_stands_in_the_form_is_read_back() {
        let filter = filter(&["SALES.\"a.b\".*", "</textarea><b>"], &["\"x\"\"y\".z"]);
        let lines = Lines::of(&filter);
        assert_eq!(lines.filter().expect("filter"), filter);
        let id = sample::connection_object().id;
        let shown = form(id, &lines, 7, &sample::visitor()).into_string();
        assert!(shown.contains("&lt;/textarea&gt;&lt;b&gt;") && !shown.contains("</textarea><b>"), "{shown}");
        assert!(shown.contains("name=\"revision\" value=\"7\"") && shown.contains("Preview"), "{shown}");
    }

    #[test]
    fn patterns_with_control_characters_survive_the_form() {
        let globs = |all: &[&str]| Pattern::new(all.iter().map(|glob| (*glob).to_owned()).collect()).expect("pattern");
        let all = vec![
            globs(&["a\nb", "*"]),
            globs(&["c\r", "\r\n", "\"\\\t"]),
            globs(&["\0\u{7f}\u{85}\u{2028}"]),
            globs(&["[\"x\"]"]),
            globs(&["[]"]),
            globs(&["plain"]),
            globs(&[" outer space "]),
        ];
        let filter = Filter::new(all.clone(), all).expect("filter");
        let lines = Lines::of(&filter);
        assert_eq!(lines.include.lines().count(), filter.include().len(), "one on a line: {}", lines.include);
        // As a browser sends it.
        let sent = |text: &str| text.replace('\n', "\r\n");
        let sent = Lines { include: sent(&lines.include), exclude: sent(&lines.exclude) };
        assert_eq!(sent.filter().expect("filter"), filter);
        assert!(!sent.include.replace("\r\n", "").contains(|c: char| c.is_ascii_control() && c != '\u{7f}'));
    }

    #[test]
    fn the_preview_names_numbers_and_typos_before_anything_is_saved() {
        let filter = filter(&["SALES"], &["*.TPM"]);
        let level = LevelPreview {
            kept: 12_000,
            left_out: 3,
            missing: 1,
            first_kept: vec![RemotePath(vec!["<b>".parse().expect("name")])],
            first_left_out: vec![],
        };
        let found =
            Preview { levels: vec![level], include_matches: vec![1], exclude_matches: vec![0], cut_short: false };
        let object = sample::connection_object();
        let shown = preview_view(&object, &filter, &found, 7, &sample::visitor()).into_string();
        for part in [
            "12,000 objects stay",
            "3 are left out",
            "1 is missing",
            "*.TPM, names no known object",
            "11,999 more",
            "Save",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        assert!(!shown.contains("<b>") && shown.contains("&lt;b&gt;"), "{shown}");
    }

    #[test]
    fn only_who_manages_gets_the_form() {
        let mut connection = sample::connection();
        connection.options.filter = filter(&["SALES.*"], &[]);
        let object = sample::connection_object();
        let mut visitor = sample::visitor();
        assert!(panel(&connection, &object, &visitor).into_string().contains("<textarea"));
        visitor.caller.0.permissions.clear();
        let shown = panel(&connection, &object, &visitor).into_string();
        assert!(!shown.contains("<textarea") && shown.contains("SALES.*"), "{shown}");
        let table = sample::table(&object, "t");
        assert!(!panel(&connection, &table, &sample::visitor()).into_string().contains("<textarea"));
    }
}
