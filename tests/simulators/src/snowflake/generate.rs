//! Accounts of any size from a seed: so many databases, schemas, tables and columns, with plain or odd names.
//!
//! The same shape and seed give the same account. Tables share a few lists of columns, so that a million columns cost no
//! more to hold than some thousands.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::model::{Account, Column, Kind, Table};
use super::names;
use crate::random::Random;

/// Lists of columns to pick from.
const LISTS: usize = 199;

/// How much there is of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// Databases of the account.
    pub databases: usize,
    /// Schemas of every database.
    pub schemas: usize,
    /// Objects of every schema.
    pub tables: usize,
    /// Columns of every object.
    pub columns: usize,
    /// How things are called.
    #[serde(default)]
    pub names: Names,
}

/// How generated things are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Names {
    /// Upper-case letters, digits and underscores.
    #[default]
    Plain,
    /// What the platform allows as well, which is everything: quotes, dots, backslashes, any case and script, 255
    /// characters.
    Odd,
}

impl Shape {
    /// One database with one schema.
    pub fn one_schema(tables: usize, columns: usize) -> Self {
        Self { databases: 1, schemas: 1, tables, columns, names: Names::Plain }
    }

    /// Fills a new account.
    pub fn generate(self, seed: u64) -> Account {
        let mut account = Account::new("HARBOUR", "SIMULATED", "HB00001", seed);
        let mut random = Random::new(seed ^ 0x00c0_ffee);
        let lists: Vec<_> = (0..LISTS).map(|_| Arc::new(self.columns(&mut random))).collect();
        for d in 0..self.databases {
            let mut database = account.new_database(Some("Generated database"));
            for s in 0..self.schemas {
                let mut schema = account.new_schema(None);
                for t in 0..self.tables {
                    let columns = lists[random.below(LISTS)].clone();
                    let table = self.table(&mut account, &mut random, t, columns);
                    schema.tables.insert(names::name(self.names, "TABLE", t), table);
                }
                database.schemas.insert(names::name(self.names, "SCHEMA", s), schema);
            }
            account.databases.insert(names::name(self.names, "DATABASE", d), database);
        }
        account
    }

    fn table(self, account: &mut Account, random: &mut Random, at: usize, columns: Arc<Vec<Column>>) -> Table {
        let kind = match at % 25 {
            13 => Kind::Transient,
            17 => Kind::External,
            18 | 21 => Kind::View,
            19 => Kind::MaterializedView,
            22 => Kind::Dynamic,
            23 => Kind::Iceberg,
            24 => Kind::Hybrid,
            _ => Kind::Table,
        };
        let comment = random.one_in(2).then_some("Generated table, refreshed every night");
        account.new_table(kind, comment, columns)
    }

    fn columns(self, random: &mut Random) -> Vec<Column> {
        let types = [
            "NUMBER(38,0)",
            "VARCHAR(16777216)",
            "NUMBER(18,2)",
            "FLOAT",
            "TIMESTAMP_NTZ(9)",
            "TIMESTAMP_TZ(9)",
            "TIMESTAMP_LTZ(3)",
            "BOOLEAN",
            "DATE",
            "TIME(9)",
            "ARRAY",
            "OBJECT",
            "VARIANT",
            "VARCHAR(64)",
            "BINARY(8388608)",
            "GEOGRAPHY",
        ];
        // One list in many: INFORMATION_SCHEMA does not tell what a vector is made of, which costs a question for each table.
        let has_vector = random.one_in(50);
        let column = |at: usize| {
            let data_type = if has_vector && at == 1 { "VECTOR(FLOAT, 256)" } else { random.pick(&types) };
            let mut column = Column::new(&names::column(self.names, at), data_type);
            column.nullable = at != 0;
            column.comment = random.one_in(3).then(|| format!("Generated column number {at}"));
            column
        };
        (0..self.columns).map(column).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Names, Shape};

    #[test]
    fn a_shape_is_filled_exactly_and_repeatably() {
        for names in [Names::Plain, Names::Odd] {
            let shape = Shape { databases: 3, schemas: 4, tables: 60, columns: 5, names };
            let account = shape.generate(11);
            assert_eq!(account.counts(), [3, 12, 720, 3600], "no two names may be equal");
            let again = serde_json::to_string(&shape.generate(11)).unwrap();
            assert_eq!(again, serde_json::to_string(&account).unwrap());
            assert_ne!(again, serde_json::to_string(&shape.generate(12)).unwrap());
        }
    }
}
