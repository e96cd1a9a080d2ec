//! A host that is killed at any instant goes on where it was.

use super::{World, enabled, platform::Platform};
use crate::model::{hold::Decision, job::JobState, object::RemoteStatus};

/// A cheap sequence of numbers that looks random and is the same every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("number") % sides
    }
}

/// Does the waiting jobs, and kills the host after every few steps.
async fn run_with_crashes(mut world: World, every: usize) -> World {
    let mut steps = 0;
    'host: loop {
        let now = world.now();
        let Some(claimed) = world.db.claim_job(now).await.expect("claim") else { return world };
        let claim = claimed.claim;
        let mut tasks = claimed.tasks;
        while let Some(task) = tasks.pop() {
            let advanced = world.platform.advance(&world.db, claim, &task, now).await;
            tasks.extend(advanced.task);
            tasks.extend(advanced.added);
            steps += 1;
            if steps % every == 0 {
                world = world.crash();
                world.check().await;
                continue 'host;
            }
        }
        let job = world.db.end_job(claim, super::super::jobs::JobEnd::Completed, now).await.expect("end");
        assert_eq!(job.state, JobState::Completed);
    }
}

/// Believes what was held back: here a person knows that it is gone.
async fn release_with_crashes(mut world: World) -> World {
    for hold in world.db.holds(&super::Sight::All, None).await.expect("holds").expect("all") {
        let now = world.now();
        let release = world.db.decide_hold(&super::Sight::All, hold.id, Some(hold.revision), Decision::Release, now);
        release.await.expect("released");
        loop {
            world = world.crash();
            if !world.db.carry_out_decisions(1).await.expect("carried out") {
                break;
            }
        }
        world.check().await;
    }
    world
}

fn fill(platform: &mut Platform, dice: &mut Dice) {
    for _ in 0..60 {
        let table = format!("c{}/s{}/t{}", dice.roll(3), dice.roll(3), dice.roll(12));
        platform.add(&table, "id:int name:text");
    }
}

fn mutate(platform: &mut Platform, dice: &mut Dice) {
    for _ in 0..12 {
        let names: Vec<String> = platform.things.keys().filter(|name| name.split('/').count() == 3).cloned().collect();
        let name = names[dice.roll(names.len())].clone();
        let schema = name.rsplit_once('/').expect("path").0.to_owned();
        match dice.roll(6) {
            0 => platform.drop_thing(&name),
            1 => platform.retype(&name, &format!("id:int c{}:text", dice.roll(9))),
            2 => {
                let to = format!("{schema}/r{}", dice.roll(50));
                if !platform.things.contains_key(&to) {
                    platform.rename(&name, &to);
                }
            }
            3 => {
                let other = names[dice.roll(names.len())].clone();
                platform.rename(&name, "swap");
                if other != name {
                    platform.rename(&other, &name);
                }
                platform.rename("swap", &other);
            }
            4 => platform.add(&format!("{schema}/n{}", dice.roll(99)), "id:int"),
            _ => platform.drop_thing(&schema),
        }
    }
}

/// The platform as the inventory must have it.
fn expected(platform: &Platform) -> Vec<String> {
    let mut lines: Vec<(Vec<&str>, String)> = platform
        .things
        .iter()
        .map(|(name, thing)| {
            let is_table = name.split('/').count() == 3;
            let columns: Vec<String> = thing.columns.iter().map(|c| format!("{}:{}", c.name, c.data_type)).collect();
            let columns = is_table.then(|| columns.join(","));
            (name.split('/').collect(), format!("{name} {:?} {columns:?}", RemoteStatus::Present))
        })
        .collect();
    lines.sort();
    lines.into_iter().map(|(_, line)| line).collect()
}

#[tokio::test]
async fn the_inventory_equals_the_platform_after_any_number_of_kills() {
    let mut dice = Dice(42);
    for every in [1, 2, 3, 7] {
        let mut world = World::new("kill", enabled()).await;
        fill(&mut world.platform, &mut dice);
        for round in 0..4 {
            world = run_with_crashes(world, every).await;
            world.check().await;
            world = release_with_crashes(world).await;
            let present: Vec<String> =
                world.inventory().await.into_iter().filter(|line| line.contains(" Present ")).collect();
            assert_eq!(present, expected(&world.platform), "kill after every {every}, round {round}");
            mutate(&mut world.platform, &mut dice);
            let now = world.now();
            world.db.enqueue_sync(&super::Sight::All, &super::at("K"), false, now).await.expect("enqueue");
        }
    }
}
