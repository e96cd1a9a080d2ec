//! The tree beside the pages: one level is fetched when it is opened, by the script or, without it, by loading the page
//! again. What is open stands in the address (`open`), so that it survives both.

use std::collections::{HashMap, HashSet, VecDeque};

use axum::{
    extract::{Path, State},
    response::Response,
};
use maud::{Markup, html};

use super::{frame, icons, links, listing::ListQuery, session::Visitor, text};
use crate::{
    api::{ApiState, error::ApiError},
    db::{
        Db, ObjectRef,
        objects::{Search, SearchError},
    },
    model::{
        id::ObjectId,
        object::{Kind, ObjectView, RemoteStatus},
        sight::Sight,
    },
};

/// Entries of one level; the table of the container has them all.
const LEVEL: usize = 200;

/// Levels that stand open at most, so that an address cannot make a page of everything.
const OPEN: usize = 40;

/// One level below a container, or the connections.
pub(super) struct Level {
    /// The first of them, by name.
    pub(super) objects: Vec<ObjectView>,
    /// How many there are in all.
    pub(super) count: u64,
}

/// The levels that are open. `None` stands for the connections.
pub(super) struct Tree {
    levels: HashMap<Option<ObjectId>, Level>,
    open: Vec<ObjectId>,
}

/// Which levels a page wants open: those of its address, else the way to the object it shows.
pub(super) fn wanted(query: &ListQuery, way: &[ObjectId]) -> Vec<ObjectId> {
    let mut open: Vec<ObjectId> = if query.has("open") {
        query.get("open").split(',').filter_map(|id| id.parse().ok()).collect()
    } else {
        way.to_vec()
    };
    if let Ok(toggled) = query.get("toggle").parse::<ObjectId>() {
        match open.iter().position(|id| *id == toggled) {
            Some(at) => {
                open.remove(at);
            }
            None => open.push(toggled),
        }
    }
    let mut seen = HashSet::new();
    open.retain(|id| seen.insert(*id));
    // The latest openings count.
    open.split_off(open.len().saturating_sub(OPEN))
}

/// Reads the open levels, from the connections down. One whose container is not shown is left out.
pub(super) async fn load(db: &Db, sight: &Sight, open: Vec<ObjectId>) -> Result<Tree, ApiError> {
    let mut levels = HashMap::new();
    let mut due = VecDeque::from([None]);
    while let Some(parent) = due.pop_front() {
        let Some(level) = load_level(db, sight, parent).await? else { continue };
        due.extend(level.objects.iter().map(|o| o.id).filter(|id| open.contains(id)).map(Some));
        levels.insert(parent, level);
    }
    Ok(Tree { levels, open })
}

async fn load_level(db: &Db, sight: &Sight, parent: Option<ObjectId>) -> Result<Option<Level>, ApiError> {
    let search = Search { root: parent.map(ObjectRef::Id), size: LEVEL, ..Search::default() };
    match db.search(sight, search).await {
        Ok(hits) => Ok(Some(Level { objects: hits.hits, count: hits.count })),
        // Gone since the level above was read.
        Err(SearchError::NotFound) => Ok(None),
        Err(SearchError::Cursor) => Err(ApiError::bad_request("cursor", "the tree asked with a cursor it never had")),
        Err(SearchError::Db(error)) => Err(error.into()),
    }
}

/// One level, for the script.
pub(super) async fn level(
    State(state): State<ApiState>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let id = super::object_id(&id)?;
    let level = load_level(&state.db, visitor.caller.sight(), Some(id)).await?.ok_or_else(super::no_such_object)?;
    let tree = Tree { levels: HashMap::from([(Some(id), level)]), open: vec![id] };
    Ok(frame::fragment(branch(&tree, Some(id), None)))
}

/// The tree. `base` is the page it stands on, `current` the object that the page shows.
pub(super) fn view(tree: &Tree, query: &ListQuery, base: &str, current: Option<ObjectId>) -> Markup {
    let open = tree.open.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    html! {
        nav #browse.tree aria-label="Tree" {
            h2 { "Browse" }
            form method="get" action=(base) {
                (query.hidden_except(&["open", "toggle"]))
                input type="hidden" name="open" value=(open);
                @if tree.levels.get(&None).is_none_or(|level| level.objects.is_empty()) {
                    p.hint { "No connections yet." }
                } @else {
                    (branch(tree, None, current))
                }
            }
        }
    }
}

fn branch(tree: &Tree, parent: Option<ObjectId>, current: Option<ObjectId>) -> Markup {
    let Some(level) = tree.levels.get(&parent) else { return html! {} };
    html! {
        ul {
            @for object in &level.objects { (entry(tree, object, current)) }
            @if level.objects.is_empty() { li.hint { "Nothing in it." } }
            @if let (true, Some(parent)) = ((level.objects.len() as u64) < level.count, parent) {
                li { a.hint href=(links::object(parent)) { "… all " (super::format::count(level.count)) } }
            }
        }
    }
}

fn entry(tree: &Tree, object: &ObjectView, current: Option<ObjectId>) -> Markup {
    let open = tree.levels.contains_key(&Some(object.id));
    let opens = object.facts.kind == Kind::Container && object.child_count > 0;
    let name = object.path.name().as_str();
    html! {
        li {
            div.entry.here[current == Some(object.id)] {
                @if opens {
                    button type="submit" name="toggle" value=(object.id) aria-expanded=(open)
                        aria-label={ "What is in " (text::plain(name)) } { (icons::chevron()) }
                } @else {
                    span.no-toggle {}
                }
                a.off[!object.active].gone[object.remote_status == RemoteStatus::Missing]
                    .out[object.remote_status == RemoteStatus::Excluded]
                    href=(links::object(object.id)) aria-current=[(current == Some(object.id)).then_some("page")] {
                    (icons::object(&object.facts.object_type, object.facts.kind == Kind::Container))
                    (text::name(name))
                    @if object.remote_status == RemoteStatus::Excluded { span.unseen { " (excluded)" } }
                    @else if !object.active { span.unseen { " (disabled)" } }
                }
            }
            @if open { (branch(tree, Some(object.id), current)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::ui::sample;

    fn query(text: &str) -> ListQuery {
        ListQuery::of(&format!("/ui/x?{text}").parse().expect("uri"))
    }

    #[test]
    fn the_address_says_what_is_open() {
        let [a, b, c] = [(); 3].map(|()| ObjectId::generate());
        assert_eq!(wanted(&query(""), &[a, b]), [a, b], "the way to the shown object");
        assert_eq!(wanted(&query(&format!("open={c},nonsense,{c}")), &[a]), [c]);
        assert_eq!(wanted(&query("open="), &[a]), [], "all closed");
        assert_eq!(wanted(&query(&format!("open={a},{b}&toggle={a}")), &[]), [b]);
        assert_eq!(wanted(&query(&format!("open={a}&toggle={b}")), &[]), [a, b]);
        let many: Vec<String> = (0..500).map(|_| ObjectId::generate().to_string()).collect();
        assert_eq!(wanted(&query(&format!("open={}", many.join(","))), &[]).len(), OPEN);
    }

    #[test]
    fn an_open_level_stands_below_its_container() {
        let connection = sample::connection_object();
        let database = sample::database(&connection, "<b>\u{202e}");
        let (c, d) = (connection.id, database.id);
        let levels = HashMap::from([
            (None, Level { objects: vec![connection], count: 1 }),
            (Some(c), Level { objects: vec![database], count: 3 }),
        ]);
        let shown = view(&Tree { levels, open: vec![c] }, &query("sort=type"), "/ui/x", Some(d)).into_string();
        assert!(shown.contains("&lt;b&gt;") && shown.contains("\\u{202e}") && !shown.contains("<b>"), "{shown}");
        assert!(shown.contains("aria-expanded=\"true\"") && shown.contains("aria-expanded=\"false\""), "{shown}");
        assert!(shown.contains("aria-current=\"page\"") && shown.contains("… all 3"), "{shown}");
        assert!(shown.contains("name=\"sort\""), "the table's state is kept: {shown}");
    }
}
