//! The query parameters of a table: what it shows, in which order, from where. All of a page's state stands in its
//! address, so that reloading, going back and sending a link keep it. A value that means nothing counts as absent:
//! addresses are typed by people.

use axum::http::Uri;
use maud::{Markup, html};

use super::{format, icons};
use crate::{
    db::{
        ObjectRef,
        objects::{Hits, Search, Sort},
    },
    model::object::RemoteStatus,
};

/// Rows of one page of a table.
pub(super) const ROWS: usize = 50;

/// How many rows the store skips by number at most.
const SKIPPED: usize = 10_000;

/// Names of the parameters that choose rows; all others of the address are left alone.
const FILTERS: [&str; 5] = ["searchText", "state", "type", "remoteStatus", "below"];

/// The part of a table that is shown.
pub(super) struct Part<'a> {
    /// Rows of a full page.
    pub(super) size: usize,
    /// Rows that are shown.
    pub(super) rows: usize,
    /// Rows in all.
    pub(super) count: u64,
    /// Whether there are more than `count`.
    pub(super) at_least: bool,
    /// Where the next page begins.
    pub(super) next: Option<&'a str>,
}

impl<'a> Part<'a> {
    /// A page of hits.
    pub(super) fn of(hits: &'a Hits) -> Self {
        let (rows, next) = (hits.hits.len(), hits.next.as_deref());
        Self { size: ROWS, rows, count: hits.count, at_least: hits.count_is_lower_bound, next }
    }
}

/// A page's query parameters, in the order of the address.
#[derive(Clone, Debug, Default)]
pub(super) struct ListQuery {
    pairs: Vec<(String, String)>,
}

impl ListQuery {
    /// The parameters of an address.
    pub(super) fn of(uri: &Uri) -> Self {
        let query = uri.query().unwrap_or("");
        Self { pairs: url::form_urlencoded::parse(query.as_bytes()).into_owned().collect() }
    }

    /// A parameter; empty where it is absent.
    pub(super) fn get(&self, name: &str) -> &str {
        self.pairs.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v)
    }

    /// Whether the parameter is there at all.
    pub(super) fn has(&self, name: &str) -> bool {
        self.pairs.iter().any(|(n, _)| n == name)
    }

    /// Whether anything narrows the rows.
    pub(super) fn is_filtered(&self) -> bool {
        FILTERS.iter().any(|name| !self.get(name).is_empty())
    }

    /// The page of the table, from 1.
    pub(super) fn page(&self) -> usize {
        self.get("page").parse().ok().filter(|n| (1..=20_000).contains(n)).unwrap_or(1)
    }

    /// An address with some parameters changed; an empty value takes one out.
    pub(super) fn href(&self, base: &str, changes: &[(&str, &str)]) -> String {
        let kept = self.pairs.iter().filter(|(n, _)| changes.iter().all(|(c, _)| c != n));
        let kept = kept.map(|(n, v)| (n.as_str(), v.as_str()));
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(kept.chain(changes.iter().copied()).filter(|(_, v)| !v.is_empty()));
        let query = query.finish();
        if query.is_empty() { base.to_owned() } else { format!("{base}?{query}") }
    }

    /// What to look for in the store.
    pub(super) fn search(&self, root: Option<ObjectRef>) -> Search {
        let given = |name| Some(self.get(name)).filter(|v| !v.is_empty());
        Search {
            root,
            recursive: self.get("below") == "all",
            text: given("searchText").map(str::to_owned),
            active: match self.get("state") {
                "active" => Some(true),
                "inactive" => Some(false),
                _ => None,
            },
            object_types: given("type").map(str::to_owned).into_iter().collect(),
            remote_status: match self.get("remoteStatus") {
                "present" => Some(RemoteStatus::Present),
                "missing" => Some(RemoteStatus::Missing),
                "excluded" => Some(RemoteStatus::Excluded),
                _ => None,
            },
            sort: match self.get("sort") {
                "objectPath" => Sort::ObjectPath,
                "type" => Sort::ObjectType,
                "state" => Sort::State,
                "updatedAt" => Sort::UpdatedAt,
                _ => Sort::Name,
            },
            descending: self.get("order") == "desc",
            // Past what the store skips by number, only the cursor leads.
            offset: (self.page() - 1) * ROWS,
            size: ROWS,
            cursor: given("after").map(str::to_owned),
        }
    }

    /// A column's head that sorts by it, and turns the order round where it does already.
    pub(super) fn head(&self, base: &str, field: &str, label: &str, class: &str) -> Markup {
        let sorted = match self.get("sort") {
            "" => field == "name",
            by => by == field,
        };
        let descending = sorted && self.get("order") == "desc";
        let direction = match (sorted, descending) {
            (false, _) => None,
            (true, false) => Some("ascending"),
            (true, true) => Some("descending"),
        };
        let order = if sorted && !descending { "desc" } else { "" };
        let href = self.href(base, &[("sort", field), ("order", order), ("page", ""), ("after", "")]);
        html! {
            th.(class) scope="col" aria-sort=[direction] {
                a.sort href=(href) {
                    (label)
                    @match direction {
                        Some("ascending") => span aria-hidden="true" { " ↑" },
                        Some(_) => span aria-hidden="true" { " ↓" },
                        None => {},
                    }
                }
            }
        }
    }

    /// Carries the parameters that a form does not ask for.
    pub(super) fn hidden_except(&self, asked: &[&str]) -> Markup {
        html! {
            @for (name, value) in self.pairs.iter().filter(|(n, v)| !asked.contains(&n.as_str()) && !v.is_empty()) {
                input type="hidden" name=(name) value=(value);
            }
        }
    }

    /// Where in the table one is, and the way to the pages around. `next` is the store's cursor, which leads on whatever
    /// changes meanwhile; without one the pages are told by their number alone.
    pub(super) fn pager(&self, base: &str, shown: &Part<'_>) -> Markup {
        let page = self.page();
        let first = (page - 1) * shown.size;
        let more = shown.next.is_some() || ((first + shown.rows) as u64) < shown.count;
        let number = |n: usize| if n == 1 { String::new() } else { n.to_string() };
        let back = if page.saturating_sub(2) * shown.size <= SKIPPED { page.saturating_sub(1) } else { 1 };
        html! {
            nav.pager aria-label="Pages of the table" {
                span {
                    @if shown.rows == 0 { (format::count(shown.count)) " in all" }
                    @else {
                        (format::count(first as u64 + 1)) "–" (format::count((first + shown.rows) as u64)) " of "
                        @if shown.at_least { "more than " }
                        (format::count(shown.count))
                    }
                }
                @if page > 1 {
                    a.button rel="prev" href=(self.href(base, &[("page", &number(back)), ("after", "")])) {
                        @if back == page - 1 { "Previous" } @else { "First" }
                    }
                }
                @if more {
                    a.button rel="next"
                        href=(self.href(base, &[("page", &number(page + 1)), ("after", shown.next.unwrap_or(""))])) { "Next" }
                }
            }
        }
    }

    /// The form above a table of objects.
    pub(super) fn filter_form(&self, base: &str, types: &[String], below: bool) -> Markup {
        const ASKED: [&str; 7] = ["searchText", "state", "type", "remoteStatus", "below", "page", "after"];
        let chosen = |name: &str, value: &str| self.get(name) == value;
        html! {
            form.filter method="get" action=(base) role="search" data-filter {
                (self.hidden_except(&ASKED))
                label.unseen for="searchText" { "Part of the name" }
                input #searchText type="search" name="searchText" value=(self.get("searchText")) maxlength="255"
                    placeholder="Part of the name";
                label.unseen for="state" { "State" }
                select #state name="state" {
                    option value="" selected[chosen("state", "")] { "Any state" }
                    option value="active" selected[chosen("state", "active")] { "Enabled" }
                    option value="inactive" selected[chosen("state", "inactive")] { "Disabled" }
                }
                @if below {
                    label.unseen for="type" { "Type" }
                    input #type type="text" name="type" value=(self.get("type")) list="types" placeholder="Any type"
                        maxlength="255" size="12";
                    datalist #types { @for name in types { option value=(name) {} } }
                    label.unseen for="remoteStatus" { "At the platform" }
                    select #remoteStatus name="remoteStatus" {
                        option value="" selected[chosen("remoteStatus", "")] { "Present or not" }
                        option value="present" selected[chosen("remoteStatus", "present")] { "Present" }
                        option value="missing" selected[chosen("remoteStatus", "missing")] { "Missing" }
                        option value="excluded" selected[chosen("remoteStatus", "excluded")] { "Excluded" }
                    }
                    label.check {
                        input type="checkbox" name="below" value="all" checked[chosen("below", "all")];
                        " All levels below"
                    }
                }
                button type="submit" { (icons::search()) span { "Search" } }
                @if self.is_filtered() {
                    a.button.quiet href=(self.href(base, &ASKED.map(|name| (name, "")))) { "Clear" }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> ListQuery {
        ListQuery::of(&format!("/ui/x?{text}").parse().expect("uri"))
    }

    #[test]
    fn an_address_keeps_what_is_not_changed() {
        let q = query("open=1,2&searchText=a%26b&page=3");
        assert_eq!(q.href("/ui/x", &[("page", "")]), "/ui/x?open=1%2C2&searchText=a%26b");
        assert_eq!(q.href("/ui/x", &[("searchText", "ü"), ("page", "")]), "/ui/x?open=1%2C2&searchText=%C3%BC");
        assert_eq!(query("").href("/ui/x", &[]), "/ui/x");
    }

    #[test]
    fn nonsense_counts_as_absent() {
        let q = query("page=-1&sort=evil&state=maybe&order=sideways&remoteStatus=gone");
        let search = q.search(None);
        assert_eq!((search.offset, search.sort, search.active, search.descending), (0, Sort::Name, None, false));
        assert_eq!(query("page=99999999999999999999").page(), 1);
    }

    #[test]
    fn a_head_turns_the_order_round() {
        let once = query("").head("/x", "name", "Name", "").into_string();
        assert!(once.contains("aria-sort=\"ascending\"") && once.contains("order=desc"), "{once}");
        let again = query("sort=name&order=desc").head("/x", "name", "Name", "").into_string();
        assert!(again.contains("aria-sort=\"descending\"") && !again.contains("order=desc"), "{again}");
        let other = query("sort=name&order=desc&page=4").head("/x", "type", "Type", "").into_string();
        assert!(!other.contains("aria-sort") && !other.contains("page="), "{other}");
    }

    #[test]
    fn the_pager_leads_on_only_where_there_is_more() {
        let part = |rows, count, next| Part { size: 50, rows, count, at_least: false, next };
        let last = query("page=2&after=abc").pager("/x", &part(10, 60, None)).into_string();
        assert!(last.contains("51–60 of 60") && last.contains("Previous") && !last.contains("Next"), "{last}");
        assert!(last.contains("href=\"/x\""), "the first page has no cursor: {last}");
        let first = query("").pager("/x", &part(50, 60, Some("cur/sor"))).into_string();
        assert!(first.contains("page=2&amp;after=cur%2Fsor") && !first.contains("Previous"), "{first}");
        let far = query("page=400&after=abc").pager("/x", &part(50, 60_000, Some("d"))).into_string();
        assert!(far.contains("First") && !far.contains("Previous"), "{far}");
    }
}
