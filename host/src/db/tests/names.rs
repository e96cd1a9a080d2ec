//! Search by names in memory gives what a walk gives, whatever has happened to the objects.

use std::time::Duration;

use super::{
    super::{
        Db, DbError,
        fault::Stop,
        names::Names,
        objects::{Hits, Search, SearchError, Sort},
        search,
        tables::WriteRows,
        view::Lens,
    },
    World, at, enabled,
    fill::{Schema, fill, lose, rename},
    later,
};
use crate::model::{
    id::ObjectId,
    object::RemoteStatus,
    settings::{NewChildren, SettingsChange},
    sight::Sight,
};

/// A cheap sequence of numbers that looks random and is the same every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("number") % sides
    }

    fn name(&mut self) -> String {
        const PIECES: [&str; 14] =
            ["ORDERS", "orders", "Ä", "ä", "ß", "İ", "i", "_", " ", "👾", "Σ", "ς", "fact", "%/."];
        let mut name: String = (0..=self.roll(3)).map(|_| PIECES[self.roll(PIECES.len())]).collect();
        name.push('_');
        name.push_str(&self.roll(4000).to_string());
        name.truncate(name.trim_end().len());
        name
    }

    fn schemas(&mut self, number: usize, tables: usize) -> Vec<Schema> {
        let schema = |n: usize| Schema {
            catalog: format!("Cat{}", n % 3),
            name: format!("Schema {n} orders"),
            tables: (0..tables).map(|_| self.name()).collect(),
        };
        (0..number).map(schema).collect()
    }
}

async fn walked(db: &Db, sight: &Sight, search: &Search) -> Hits {
    let (sight, search) = (sight.clone(), search.clone());
    let work = move |rows: &super::super::tables::ReadRows| {
        let none = Names::start().expect("start");
        search::run(rows, &none, &Lens::new(rows, &sight)?, &search)
    };
    db.read::<_, SearchError>("walk", work).await.expect("walk")
}

fn told(hits: &Hits) -> (Vec<ObjectId>, u64, bool, Option<String>) {
    (hits.hits.iter().map(|view| view.id).collect(), hits.count, hits.count_is_lower_bound, hits.next.clone())
}

/// Compares up to `pages` pages. Hits of the first one.
async fn compare(db: &Db, sight: &Sight, mut search: Search, pages: usize) -> u64 {
    let mut first = None;
    for _ in 0..pages {
        let want = walked(db, sight, &search).await;
        let got = db.search(sight, search.clone()).await.expect("search");
        assert_eq!(told(&got), told(&want), "{search:?}");
        first.get_or_insert(got.count);
        search.cursor = got.next;
        if search.cursor.is_none() {
            break;
        }
    }
    first.unwrap_or_default()
}

/// Waits until the names are gathered.
async fn gathered(world: &World) {
    while world.db.shared.names.of(world.connection.id.as_u128()).is_none() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn compare_all(world: &World, roots: &[Sight]) {
    let texts =
        ["orders", "_", "ä", "İ", "i\u{307}", "σ", "ς", "👾", "%/.", "17", "3999", "fact_", "nothing", "schema"];
    let all = Search { root: Some(at("K")), recursive: true, size: 20, ..Search::default() };
    for text in texts {
        for (sort, descending) in
            [(Sort::Name, false), (Sort::Name, true), (Sort::ObjectPath, false), (Sort::ObjectPath, true)]
        {
            let search = Search { text: Some(text.into()), sort, descending, ..all.clone() };
            compare(&world.db, &Sight::All, search, 2).await;
        }
    }
    let some = |text: &str| Search { text: Some(text.into()), ..all.clone() };
    for search in [
        Search { active: Some(true), ..some("orders") },
        Search { active: Some(false), sort: Sort::ObjectPath, ..some("ä") },
        Search { remote_status: Some(RemoteStatus::Missing), ..some("orders") },
        Search { remote_status: Some(RemoteStatus::Excluded), ..some("_") },
        Search { object_types: vec!["schema".into()], ..some("orders") },
        Search { offset: 137, size: 3, ..some("orders") },
        Search { root: None, ..some("orders") },
        Search { root: None, ..some("k") },
        Search { root: Some(at("K/Cat1")), ..some("orders") },
        Search { root: Some(at("K/Cat1")), ..all.clone() },
        Search { descending: true, ..all.clone() },
        Search { active: Some(true), ..all.clone() },
        Search { root: None, ..all.clone() },
    ] {
        compare(&world.db, &Sight::All, search, 3).await;
    }
    for sight in roots {
        // A count is what there is to be found, page by page.
        let mut search = Search { sort: Sort::ObjectPath, size: 500, ..all.clone() };
        let mut found = 0;
        loop {
            let hits = world.db.search(sight, search.clone()).await.expect("search");
            found += hits.hits.len() as u64;
            search.cursor = hits.next;
            if search.cursor.is_none() {
                assert_eq!(found, hits.count, "{sight:?}");
                break;
            }
        }
        for search in [some("orders"), some("schema"), Search { sort: Sort::ObjectPath, ..some("_") }, all.clone()] {
            compare(&world.db, sight, search.clone(), 2).await;
            compare(&world.db, sight, Search { root: None, ..search }, 2).await;
        }
    }
}

#[tokio::test]
async fn names_in_memory_find_what_a_walk_finds() {
    let mut world = World::new("names", enabled()).await;
    let mut dice = Dice(7);
    for schema in dice.schemas(14, 1000) {
        fill(&world.db, world.connection.id, vec![schema]).await;
    }
    world.check().await;
    // As a start finds it: all of it in the bulk.
    world = world.crash();
    gathered(&world).await;
    let (one, two) = (world.get("K/Cat1").await.id, world.get("K/Cat2/Schema 2 orders").await.id);
    let sights = [Sight::Roots(vec![one]), Sight::Roots(vec![one, two]), Sight::Roots(vec![two])];
    compare_all(&world, &sights).await;
    let many = Search { root: Some(at("K")), recursive: true, text: Some("_".into()), size: 20, ..Search::default() };
    let found = world.search(many).await;
    assert_eq!((found.count, found.count_is_lower_bound), (10_000, true), "there are very many of these");

    // And after all that can happen to objects, while the bulk stays.
    fill(&world.db, world.connection.id, dice.schemas(20, 20)).await;
    let tables = Search { root: Some(at("K/Cat0")), recursive: true, size: 500, ..Search::default() };
    let tables = world.search(Search { object_types: vec!["table".into()], ..tables }).await.hits;
    for (n, table) in tables.iter().enumerate() {
        match n % 5 {
            0 => rename(&world.db, table.id, &dice.name(), None).await,
            1 => rename(&world.db, table.id, &dice.name(), Some(two)).await,
            2 => lose(&world.db, table.id).await,
            3 => {
                // There and back again: the name is there twice.
                rename(&world.db, table.id, "fact_elsewhere", None).await;
                rename(&world.db, table.id, table.path.name().as_str(), None).await;
            }
            _ => {}
        }
    }
    rename(&world.db, world.get("K/Cat0/Schema 3 orders").await.id, "Umbenannt Orders", Some(one)).await;
    rename(&world.db, world.get("K/Cat0").await.id, "CAT ORDERS", None).await;
    lose(&world.db, world.get("K/Cat1/Schema 4 orders").await.id).await;
    world.db.delete_object(&Sight::All, &at("K/Cat1/Schema 7 orders"), later(1)).await.expect("delete");
    let disabled = SettingsChange { is_active: Some(Some(false)), new_children: Some(Some(NewChildren::Disable)) };
    let mode = super::super::settings::Mode::Apply;
    let object = at("K/Cat2/Schema 5 orders");
    world.db.change_settings(&Sight::All, &object, disabled, None, mode, later(2)).await.expect("settings");
    world.check().await;
    compare_all(&world, &sights).await;
    while world.db.reclaim(300).await.expect("reclaim") {}
    compare_all(&world, &sights[..1]).await;

    // What a deleted connection had is let go of.
    world.db.delete_object(&Sight::All, &at("K"), later(3)).await.expect("delete");
    assert!(world.db.shared.names.of(world.connection.id.as_u128()).is_none());
}

#[tokio::test]
async fn a_name_is_found_as_soon_as_it_is_stored_and_the_bulk_follows() {
    let mut world = World::new("fresh", enabled()).await;
    let mut dice = Dice(3);
    for schema in dice.schemas(12, 1000) {
        fill(&world.db, world.connection.id, vec![schema]).await;
    }
    world = world.crash();
    gathered(&world).await;
    let bulk = |world: &World| world.db.shared.names.of(world.connection.id.as_u128()).expect("names").bulk.len();
    let before = bulk(&world);
    for n in 0..30 {
        let tables = (0..1000).map(|m| format!("Fresh {n} {m}")).collect();
        fill(&world.db, world.connection.id, vec![Schema { catalog: "Cat0".into(), name: format!("f{n}"), tables }])
            .await;
        let search =
            Search { root: Some(at("K")), recursive: true, text: Some(format!("FRESH {n} 99")), ..Search::default() };
        assert_eq!(world.search(Search { size: 50, ..search }).await.count, 11, "{n}");
    }
    // Much has come: the bulk is made anew beside it.
    let begun = std::time::Instant::now();
    while bulk(&world) == before {
        assert!(begun.elapsed() < Duration::from_secs(60), "the bulk stays as it was");
        world.db.work("nothing", |_: &mut WriteRows<'_>| Ok::<_, Stop<DbError>>(())).await.expect("work");
    }
    let search =
        Search { root: Some(at("K")), recursive: true, text: Some("fresh".into()), size: 50, ..Search::default() };
    assert_eq!(world.search(search.clone()).await.count, 10_000);
    compare(&world.db, &Sight::All, search, 3).await;
}

#[tokio::test]
async fn a_page_of_children_is_what_lies_there_in_order() {
    let world = World::new("siblings", enabled()).await;
    let mut dice = Dice(11);
    fill(&world.db, world.connection.id, dice.schemas(1, 300)).await;
    // Some stand in namespaces of their own, with names that others have.
    let schema = world.get("K/Cat0/Schema 0 orders").await.id;
    let work = move |rows: &mut WriteRows<'_>| -> Result<(), Stop<DbError>> {
        let all = super::super::tree::children_of(rows, schema.as_u128())?;
        for (n, (name, id)) in all.into_iter().enumerate() {
            let namespace = ["", "", "functions", "~odd\u{0}"][n % 4];
            let mut row = super::super::tree::object(rows, id)?.expect("row");
            rows.children.remove((schema.as_u128(), "", name.as_str()))?;
            let name = if namespace.is_empty() { name } else { "same".to_owned() + &(n / 8).to_string() };
            rows.children.insert((schema.as_u128(), namespace, name.as_str()), id)?;
            (row.namespace, row.name) = (namespace.to_owned(), name);
            rows.objects.insert(id, super::super::records::encode(&row)?.as_slice())?;
        }
        Ok(())
    };
    world.db.work("spread", work).await.expect("spread");
    let read = move |rows: &super::super::tables::ReadRows| -> Result<_, Stop<DbError>> {
        let mut all = super::super::tree::children_of(rows, schema.as_u128())?;
        all.sort();
        Ok(all.into_iter().map(|(_, id)| ObjectId::from_u128(id)).collect::<Vec<_>>())
    };
    let mut want = world.db.read("read", read).await.expect("read");
    for descending in [false, true] {
        for size in [1, 7, 100, 500] {
            let mut found = Vec::new();
            let mut cursor = None;
            loop {
                let root = Some(at("K/Cat0/Schema 0 orders"));
                let hits = world.search(Search { root, descending, size, cursor, ..Search::default() }).await;
                assert_eq!((hits.count, hits.count_is_lower_bound), (want.len() as u64, false));
                found.extend(hits.hits.iter().map(|view| view.id));
                cursor = hits.next;
                if cursor.is_none() {
                    break;
                }
            }
            assert_eq!(found, want, "{descending} {size}");
        }
        want.reverse();
    }
}
