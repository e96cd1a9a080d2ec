//! Status and new-object rule (D3, D4).

use super::{
    super::settings::{Mode, SettingsError, SettingsOutcome},
    World, at, enabled,
};
use crate::model::{
    settings::{NewChildren, SettingsChange},
    sight::Sight,
};

async fn world(name: &str) -> World {
    let mut world = World::new(name, SettingsChange::default()).await;
    for table in ["c/s1/a", "c/s1/b", "c/s2/a"] {
        world.platform.add(table, "id:int");
    }
    world.run().await;
    world
}

fn active(value: Option<bool>) -> SettingsChange {
    SettingsChange { is_active: Some(value), new_children: None }
}

async fn set(world: &mut World, object: &str, change: SettingsChange, mode: Mode) -> SettingsOutcome {
    let now = world.now();
    let done = world.db.change_settings(&Sight::All, &at(object), change, None, mode, now).await.expect("set");
    world.check().await;
    done
}

#[tokio::test]
async fn a_status_reaches_what_inherits_and_leaves_what_is_set() {
    let mut world = world("cascade").await;
    let outcome = set(&mut world, "K/c/s1/b", active(Some(false)), Mode::Apply).await;
    assert_eq!((outcome.affected, outcome.overridden), (1, 0));
    assert!(outcome.job.is_none(), "disabling fetches nothing");
    let dry = set(&mut world, "K", enabled(), Mode::DryRun).await;
    assert!(!world.get("K/c/s1/a").await.active, "nothing was kept");
    let outcome = set(&mut world, "K", enabled(), Mode::Apply).await;
    assert_eq!((outcome.affected, outcome.overridden), (6, 1));
    assert_eq!((dry.affected, dry.overridden, dry.job.is_none()), (6, 1, true));
    assert!(dry.object.active);
    assert!(outcome.object.descendants_have_overrides);
    assert!(world.get("K/c/s1/a").await.active && !world.get("K/c/s1/b").await.active);
    // Enabling fetches the columns that disabled tables lack.
    assert!(outcome.job.is_some());
    world.run().await;
    assert!(world.get("K/c/s1/a").await.columns_known && !world.get("K/c/s1/b").await.columns_known);
    set(&mut world, "K/c/s1/b", active(None), Mode::Apply).await;
    assert!(world.get("K/c/s1/b").await.active);
    assert!(!world.get("K").await.descendants_have_overrides);
}

#[tokio::test]
async fn one_enabled_table_keeps_its_disabled_containers_synced() {
    let mut world = world("enabling").await;
    set(&mut world, "K/c/s1/a", active(Some(true)), Mode::Apply).await;
    world.run().await;
    assert!(world.get("K/c/s1/a").await.columns_known);
    world.platform.listings.clear();
    world.platform.retype("c/s1/a", "id:bigint");
    world.sync("K").await;
    assert_eq!(world.platform.listings, ["", "c", "c/s1"], "and nothing else");
    assert_eq!(world.columns("K/c/s1/a").await.expect("columns")[0].data_type, "bigint");
}

#[tokio::test]
async fn enabling_the_connection_enables_what_a_sync_disabled() {
    let mut world = World::new("yield", SettingsChange::default()).await;
    let rule = SettingsChange { is_active: Some(Some(true)), new_children: Some(Some(NewChildren::Disable)) };
    set(&mut world, "K", rule, Mode::Apply).await;
    world.platform.add("c/s/t", "id:int");
    world.run().await;
    assert!(!world.get("K/c").await.active);
    set(&mut world, "K", active(Some(true)), Mode::Apply).await;
    assert!(world.get("K/c/s/t").await.active, "a person's later setting on an ancestor wins");
    world.run().await;
    assert!(world.get("K/c/s/t").await.columns_known);
}

#[tokio::test]
async fn a_change_that_somebody_else_was_faster_with_is_refused() {
    let mut world = world("revision").await;
    let seen = world.get("K/c").await.revision;
    set(&mut world, "K/c", active(Some(true)), Mode::Apply).await;
    let now = world.now();
    let refused = world.db.change_settings(&Sight::All, &at("K/c"), active(None), Some(seen), Mode::Apply, now).await;
    assert!(matches!(refused, Err(SettingsError::Revision(is)) if is == seen + 1));
    let only = Sight::Roots(vec![world.get("K/c/s1").await.id]);
    let refused = world.db.change_settings(&only, &at("K/c"), active(None), None, Mode::Apply, now).await;
    assert!(matches!(refused, Err(SettingsError::NotFound)));
}

#[tokio::test]
async fn what_a_disabling_above_enables_is_fetched() {
    let mut world = world("disabling").await;
    // What is new begins as the connection is, which is disabled.
    let rule = SettingsChange { is_active: Some(Some(false)), new_children: Some(Some(NewChildren::Inherit)) };
    set(&mut world, "K", rule, Mode::Apply).await;
    set(&mut world, "K/c", active(Some(true)), Mode::Apply).await;
    world.platform.add("c/s3/a", "id:int");
    world.sync("K").await;
    assert!(!world.get("K/c/s3/a").await.active);
    // The sync's status yields to a later one above it; what it inherits then is the catalog's.
    let outcome = set(&mut world, "K", active(Some(false)), Mode::Apply).await;
    assert!(world.get("K/c/s3/a").await.active && outcome.job.is_some());
    world.run().await;
    assert!(world.get("K/c/s3/a").await.columns_known);
}
