//! What callers see: objects, children, descendants, and only their own.

use super::{
    super::{
        ObjectRef,
        objects::{Search, SearchError, Sort},
    },
    World, at, enabled,
};
use crate::model::sight::{Sight, Visible};

async fn world(name: &str) -> World {
    let mut world = World::new(name, enabled()).await;
    for n in 0..25 {
        world.platform.add(&format!("c1/s1/t{n:02}"), "id:int");
    }
    for table in ["c1/s2/a", "c1/s2/b", "c2/s1/Äpfel", "c2/s1/%2F", "c3/s9/z"] {
        world.platform.add(table, "id:int");
    }
    world.run().await;
    world.check().await;
    world
}

fn names(hits: &super::Hits) -> Vec<String> {
    hits.hits.iter().map(|view| view.path.name().to_string()).collect()
}

#[tokio::test]
async fn children_come_in_pages_that_a_cursor_goes_on_from() {
    let mut world = world("pages").await;
    for (sort, descending) in [
        (Sort::Name, false),
        (Sort::Name, true),
        (Sort::ObjectType, false),
        (Sort::UpdatedAt, false),
        (Sort::State, true),
    ] {
        let mut found = Vec::new();
        let mut cursor = None;
        loop {
            let search = Search { root: Some(at("K/c1/s1")), sort, descending, size: 7, cursor, ..Search::default() };
            let hits = world.search(search).await;
            assert_eq!((hits.count, hits.count_is_lower_bound), (25, false));
            found.extend(hits.hits.iter().map(|view| view.id));
            cursor = hits.next;
            if cursor.is_none() {
                break;
            }
        }
        let mut unique = found.clone();
        unique.sort();
        unique.dedup();
        assert_eq!((found.len(), unique.len()), (25, 25), "{sort:?} {descending}");
    }
    // A change before the cursor neither repeats nor skips.
    let search = |cursor| Search { root: Some(at("K/c1/s1")), size: 10, cursor, ..Search::default() };
    let first = world.search(search(None)).await;
    world.platform.drop_thing("c1/s1/t03");
    world.platform.add("c1/s1/a-new", "id:int");
    world.sync("K").await;
    assert_eq!(names(&world.search(search(first.next)).await)[0], "t10");
    let offset = Search { root: Some(at("K/c1/s1")), size: 2, offset: 5, ..Search::default() };
    assert_eq!(names(&world.search(offset).await), ["t04", "t05"]);
}

#[tokio::test]
async fn a_foreign_cursor_is_refused() {
    let world = world("cursor").await;
    let search = Search { root: Some(at("K/c1/s1")), size: 1, ..Search::default() };
    let next = world.search(search.clone()).await.next.expect("cursor");
    for (cursor, sort) in
        [("garbage".to_owned(), Sort::Name), (next.clone(), Sort::UpdatedAt), ("AAAA".into(), Sort::Name)]
    {
        let search = Search { cursor: Some(cursor), sort, ..search.clone() };
        assert!(matches!(world.db.search(&Sight::All, search).await, Err(SearchError::Cursor)));
    }
    let nowhere = Search { root: Some(at("K/nowhere")), size: 1, ..Search::default() };
    assert!(matches!(world.db.search(&Sight::All, nowhere).await, Err(SearchError::NotFound)));
}

#[tokio::test]
async fn descendants_are_found_by_part_of_their_name() {
    let world = world("text").await;
    let search = Search { root: Some(at("K")), recursive: true, size: 50, ..Search::default() };
    let found = world.search(Search { text: Some("äP".into()), ..search.clone() }).await;
    assert_eq!((names(&found), found.count), (vec!["Äpfel".to_owned()], 1));
    let schemas = Search { object_types: vec!["schema".into()], sort: Sort::ObjectPath, ..search.clone() };
    let paths: Vec<String> = world.search(schemas).await.hits.iter().map(|view| view.path.to_string()).collect();
    assert_eq!(paths, ["K.c1.s1", "K.c1.s2", "K.c2.s1", "K.c3.s9"]);
    assert_eq!(world.search(Search { active: Some(false), ..search.clone() }).await.count, 0);
    assert_eq!(world.search(search).await.count, 37);
    let connections = world.search(Search { size: 5, ..Search::default() }).await;
    assert_eq!((names(&connections), connections.count), (vec!["K".to_owned()], 1));
}

#[tokio::test]
async fn descendants_in_path_order_come_in_pages() {
    let world = world("paths").await;
    let mut found: Vec<Vec<String>> = Vec::new();
    let mut cursor = None;
    loop {
        let search = Search {
            root: Some(at("K")),
            recursive: true,
            sort: Sort::ObjectPath,
            size: 4,
            cursor,
            ..Search::default()
        };
        let hits = world.search(search).await;
        assert_eq!(hits.count, 37);
        found.extend(hits.hits.iter().map(|view| view.path.segments().iter().map(ToString::to_string).collect()));
        cursor = hits.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(found.len(), 37);
    assert!(found.is_sorted());
}

#[tokio::test]
async fn a_caller_with_two_roots_sees_them_and_the_way_there() {
    let world = world("roots").await;
    let (schema, table) = (world.get("K/c1/s2").await.id, world.get("K/c2/s1/%2F").await.id);
    let sight = Sight::Roots(vec![schema, table]);
    let see = async |object: &str| world.db.object(&sight, &at(object)).await.expect("read");
    assert_eq!(see("K/c1/s2").await.map(|view| view.visible), Some(Visible::Whole));
    assert_eq!(see("K/c1/s2/a").await.map(|view| view.visible), Some(Visible::Whole));
    for hidden in ["K/c1/s1", "K/c1/s1/t00", "K/c3", "K/c2/s1/Äpfel"] {
        assert!(see(hidden).await.is_none(), "{hidden}");
    }
    let step = see("K/c1").await.expect("on the way");
    assert_eq!(step.visible, Visible::OnPath);
    assert!(step.facts.attributes.is_empty() && step.overrides.is_empty() && step.facts.remote_id.is_none());
    assert_eq!(step.child_count, 3, "what is seen below, not what is there");
    assert_eq!(see("K").await.expect("on the way").child_count, 2 + 3 + 1 + 1);
    let children = async |object: &str| {
        let search = Search { root: Some(at(object)), size: 50, ..Search::default() };
        let hits = world.db.search(&sight, search).await.expect("search");
        (names(&hits), hits.count)
    };
    assert_eq!(children("K").await, (vec!["c1".to_owned(), "c2".to_owned()], 2));
    assert_eq!(children("K/c1").await, (vec!["s2".to_owned()], 1));
    assert_eq!(children("K/c1/s2").await, (vec!["a".to_owned(), "b".to_owned()], 2));
    let all = Search { root: Some(at("K")), recursive: true, size: 50, ..Search::default() };
    assert_eq!(world.db.search(&sight, all).await.expect("search").count, 7);
    assert!(world.db.columns(&sight, &at("K/c1/s1/t00")).await.expect("columns").is_none());
    assert!(world.db.columns(&sight, &at("K/c1/s2/a")).await.expect("columns").is_some());
    assert_eq!(world.db.connections(&sight).await.expect("connections").len(), 1);
    let nothing = Sight::Roots(Vec::new());
    assert!(world.db.connections(&nothing).await.expect("connections").is_empty());
    assert!(world.db.object(&nothing, &at("K")).await.expect("read").is_none());
    let by_id = ObjectRef::Id(world.get("K/c3").await.id);
    assert!(world.db.object(&sight, &by_id).await.expect("read").is_none());
    assert!(world.db.delete_object(&sight, &at("K/c1"), super::later(0)).await.expect("delete").is_none());
}
