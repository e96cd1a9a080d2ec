//! A table's columns, in the order in which the platform delivered them unless asked otherwise. Names may repeat or be
//! empty (D40): a column is shown as it is, at its place.

use maud::{Markup, html};

use super::{
    format,
    listing::{ListQuery, Part},
    text,
};
use crate::model::{
    column::Column,
    object::{Kind, ObjectView},
};

/// Columns of one page of the table.
const ROWS: usize = 200;

/// The columns of `object`, as far as they are known.
pub(super) fn table(object: &ObjectView, columns: Option<&[Column]>, query: &ListQuery, base: &str) -> Markup {
    let known = columns.unwrap_or_default();
    html! {
        @if object.facts.kind != Kind::TableLike && known.is_empty() {
            p.hint { "An object of this type has no columns." }
        } @else if columns.is_none() || (!object.columns_known && known.is_empty()) {
            div.empty {
                p { strong { "The columns are not known yet." } }
                p { "They are read when the table is enabled, or by an object sync that also scans disabled data objects." }
            }
        } @else {
            (shown(known, query, base))
        }
    }
}

fn shown(columns: &[Column], query: &ListQuery, base: &str) -> Markup {
    let wanted = query.get("searchText").to_lowercase();
    let mut rows: Vec<(usize, &Column)> = columns
        .iter()
        .enumerate()
        .filter(|(_, column)| wanted.is_empty() || column.name.to_lowercase().contains(&wanted))
        .collect();
    match query.get("sort") {
        "column" => rows.sort_by(|a, b| a.1.name.cmp(&b.1.name)),
        "dataType" => rows.sort_by(|a, b| a.1.data_type.cmp(&b.1.data_type)),
        _ => {}
    }
    if query.get("order") == "desc" {
        rows.reverse();
    }
    let count = rows.len();
    let page: Vec<_> = rows.into_iter().skip((query.page() - 1) * ROWS).take(ROWS).collect();
    html! {
        form.filter method="get" action=(base) role="search" data-filter {
            (query.hidden_except(&["searchText", "page", "after"]))
            label.unseen for="searchText" { "Part of the column's name" }
            input #searchText type="search" name="searchText" value=(query.get("searchText")) maxlength="255"
                placeholder="Part of the column's name";
            button type="submit" { "Search" }
        }
        div.scroll {
            table {
                thead { tr {
                    (query.head(base, "name", "#", "num"))
                    (query.head(base, "column", "Column", ""))
                    (query.head(base, "dataType", "Type", ""))
                    th scope="col" { "Nullable" }
                    th.wide scope="col" { "Comment" }
                    th.num.wide scope="col" title="The platform's own number of the column" { "Position" }
                } }
                tbody {
                    @for (at, column) in &page { (row(*at, column)) }
                    @if page.is_empty() { tr { td colspan="6" { "No column matches." } } }
                }
            }
        }
        (query.pager(base, &Part { size: ROWS, rows: page.len(), count: count as u64, at_least: false, next: None }))
    }
}

fn row(at: usize, column: &Column) -> Markup {
    html! {
        tr {
            td.num.faint { (format::count(at as u64 + 1)) }
            td { (text::name(&column.name)) }
            td { code { (text::name(&column.data_type)) } }
            td {
                @match column.nullable {
                    Some(true) => "Yes",
                    Some(false) => "No",
                    None => span.faint title="The platform does not say" { "–" },
                }
            }
            td.wide.comment { @if let Some(comment) = &column.comment { (text::name(comment)) } }
            td.num.wide { @match column.position { Some(position) => (position), None => span.faint { "–" } } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::ui::sample;

    fn column(name: &str) -> Column {
        Column { name: name.into(), data_type: "map<string,int>".into(), nullable: None, comment: None, position: None }
    }

    fn shown(columns: Option<&[Column]>, query: &str) -> String {
        let mut object = sample::table(&sample::connection_object(), "t");
        object.columns_known = columns.is_some();
        let query = ListQuery::of(&format!("/x?{query}").parse().expect("uri"));
        table(&object, columns, &query, "/x").into_string()
    }

    #[test]
    fn odd_columns_are_all_there() {
        let columns = ["", "a", "a", "<td>"].map(column);
        let all = shown(Some(&columns), "");
        assert!(
            all.contains("(empty)") && all.contains("&lt;td&gt;") && all.contains("map&lt;string,int&gt;"),
            "{all}"
        );
        assert!(all.contains("1–4 of 4"), "{all}");
        assert!(shown(Some(&columns), "searchText=A").contains("1–2 of 2"));
    }

    #[test]
    fn unknown_is_not_none() {
        assert!(shown(None, "").contains("not known yet"));
        assert!(shown(Some(&[]), "").contains("No column matches."));
    }

    #[test]
    fn the_order_of_delivery_can_be_left_and_turned() {
        let columns = ["b", "a"].map(column);
        let at = |page: &str, name: &str| page.find(&format!("title=\"{name}\"")).expect("column");
        let delivered = shown(Some(&columns), "");
        assert!(at(&delivered, "b") < at(&delivered, "a"));
        let sorted = shown(Some(&columns), "sort=column");
        assert!(at(&sorted, "a") < at(&sorted, "b"));
        let turned = shown(Some(&columns), "sort=column&order=desc");
        assert!(at(&turned, "b") < at(&turned, "a"));
    }
}
