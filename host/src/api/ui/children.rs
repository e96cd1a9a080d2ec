//! The table of what is in a container, with the actions of each row (F111).

use jiff::Timestamp;
use maud::{Markup, html};

use super::{
    actions, badges, format, icons, links,
    listing::{ListQuery, Part},
    session::Visitor,
    text,
};
use crate::{
    db::objects::Hits,
    model::object::{Kind, ObjectView},
};

/// Children, or with `below=all` descendants, of the object whose page is `base`.
pub(super) fn table(hits: &Hits, query: &ListQuery, base: &str, visitor: &Visitor, now: Timestamp) -> Markup {
    let deep = query.get("below") == "all";
    let mut types: Vec<String> = hits.hits.iter().map(|o| o.facts.object_type.clone()).collect();
    types.sort();
    types.dedup();
    html! {
        @if hits.hits.is_empty() && !query.is_filtered() && query.page() == 1 {
            div.empty {
                p { strong { "Nothing here yet." } }
                p { "Run Object Sync finds what the credentials of the connection may see." }
            }
        } @else {
            (query.filter_form(base, &types, true))
            div.scroll {
                table {
                    thead { tr {
                        (query.head(base, if deep { "objectPath" } else { "name" }, "Name", ""))
                        (query.head(base, "type", "Type", "wide"))
                        (query.head(base, "state", "State", ""))
                        th.num.wide scope="col" { "Objects" }
                        th.wide scope="col" { "Comment" }
                        (query.head(base, "updatedAt", "Changed", "wide"))
                        th.act scope="col" { "Action" }
                    } }
                    tbody {
                        @for object in &hits.hits { (row(object, deep, visitor, now)) }
                        @if hits.hits.is_empty() { tr { td colspan="7" { "Nothing matches." } } }
                    }
                }
            }
            (query.pager(base, &Part::of(hits)))
        }
    }
}

fn row(object: &ObjectView, deep: bool, visitor: &Visitor, now: Timestamp) -> Markup {
    let container = object.facts.kind == Kind::Container;
    html! {
        tr {
            td {
                a.object href=(links::object(object.id)) {
                    (icons::object(&object.facts.object_type, container))
                    @if deep { (text::path(&object.path.segments()[1..])) }
                    @else { (text::name(object.path.name().as_str())) }
                }
            }
            td.wide { (text::name(&object.facts.object_type)) }
            td { (badges::state(object)) }
            td.num.wide { @if container { (format::count(object.child_count)) } @else { span.faint { "–" } } }
            td.wide.comment { @if let Some(comment) = &object.facts.comment { (text::name(comment)) } }
            td.wide { (format::time(object.updated_at, now)) }
            td.act { (actions::menu(object, visitor, "r")) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::ui::sample;

    #[test]
    fn every_row_has_its_actions() {
        let connection = sample::connection_object();
        let objects = vec![sample::database(&connection, "a"), sample::database(&connection, "\u{7}bell")];
        let hits = Hits { hits: objects, count: 2, count_is_lower_bound: false, next: None };
        let shown =
            table(&hits, &ListQuery::default(), "/ui/object/x", &sample::visitor(), sample::now()).into_string();
        assert_eq!(shown.matches("Run Object Sync…").count(), 2, "{shown}");
        assert!(shown.contains("aria-label=\"More actions for \\u{7}bell\""), "{shown}");
    }

    #[test]
    fn nothing_found_is_told_from_nothing_there() {
        let none = Hits { hits: vec![], count: 0, count_is_lower_bound: false, next: None };
        let query = ListQuery::of(&"/x?searchText=a".parse().expect("uri"));
        assert!(
            table(&none, &query, "/x", &sample::visitor(), sample::now()).into_string().contains("Nothing matches.")
        );
        let shown = table(&none, &ListQuery::default(), "/x", &sample::visitor(), sample::now()).into_string();
        assert!(shown.contains("Nothing here yet."), "{shown}");
    }
}
