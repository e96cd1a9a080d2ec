//! What happens on the platform between two lives of the host.

use wharfinger_simulators::{
    random::Random,
    unity_catalog::{Change, NewColumn, UnityCatalog, path},
};

/// A schema with fewer tables than this loses none: what a sync misses stays a small part of any container.
const ENOUGH: usize = 45;

/// A few random changes, among them at most one drop.
pub(crate) fn mutate(platform: &UnityCatalog, random: &mut Random, round: usize) -> anyhow::Result<()> {
    let mut dropped = false;
    for nth in 0..random.below(6) {
        let target = platform.read(|metastore| {
            let count = metastore.tables().count();
            let (path, _) = metastore.tables().nth(random.below(count))?;
            let beside = metastore.schema(path[0], path[1])?.tables.len();
            Some((path.map(str::to_owned), beside))
        });
        let Some(([catalog, schema, table], beside)) = target else { return Ok(()) };
        let here = path(&[&catalog, &schema, &table]);
        let change = match random.below(6) {
            0 if !dropped && beside > ENOUGH => {
                dropped = true;
                Change::Drop { path: here }
            }
            1 => Change::Rename { path: here, to: format!("renamed_{round}_{nth}") },
            2 => Change::Recreate { path: here },
            3 => Change::AddColumn { path: here, column: NewColumn::new("added", "string"), at: None },
            4 => Change::Comment { path: here, comment: Some(format!("round {round}")) },
            _ => Change::Add {
                path: path(&[&catalog, &schema, &format!("new_{round}_{nth}")]),
                columns: vec![NewColumn::new("id", "int")],
                comment: None,
            },
        };
        platform.change(&change)?;
    }
    Ok(())
}
