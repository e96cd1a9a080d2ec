//! Catalogues of any size from a seed: so many catalogs, schemas, tables and columns, with plain or odd names.
//!
//! The same shape and seed give the same catalogue, ids included.

use serde::{Deserialize, Serialize};

use super::data_type::DataType;
use super::model::{Column, Metastore, Table};
use super::names;
use crate::random::Random;

/// How much there is of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// Catalogs of the metastore.
    pub catalogs: usize,
    /// Schemas of every catalog.
    pub schemas: usize,
    /// Tables of every schema.
    pub tables: usize,
    /// Columns of every table.
    pub columns: usize,
    /// How things are called.
    #[serde(default)]
    pub names: Names,
}

/// How generated things are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Names {
    /// Lower-case letters, digits and underscores.
    #[default]
    Plain,
    /// What the platform allows: any script, hyphens, quotes, up to 255 characters.
    Odd,
    /// What it does not allow as well: dots, slashes, spaces, control characters. A client must not fall over them.
    Hostile,
}

impl Shape {
    /// One catalog with one schema.
    pub fn one_schema(tables: usize, columns: usize) -> Self {
        Self { catalogs: 1, schemas: 1, tables, columns, names: Names::Plain }
    }

    /// Fills a new metastore.
    pub fn generate(self, seed: u64) -> Metastore {
        let mut metastore = Metastore::new("simulated-metastore", seed);
        let mut random = Random::new(seed ^ 0x00c0_ffee);
        for c in 0..self.catalogs {
            let mut catalog = metastore.new_catalog(Some("Generated catalog"));
            for s in 0..self.schemas {
                let mut schema = metastore.new_schema(None);
                for t in 0..self.tables {
                    let table = self.table(&mut metastore, &mut random, t);
                    schema.tables.insert(names::name(self.names, "table", t), table);
                }
                catalog.schemas.insert(names::name(self.names, "schema", s), schema);
            }
            metastore.catalogs.insert(names::name(self.names, "catalog", c), catalog);
        }
        metastore
    }

    fn table(self, metastore: &mut Metastore, random: &mut Random, index: usize) -> Table {
        let columns = (0..self.columns).zip(0..).map(|(at, position)| self.column(random, at, position)).collect();
        let comment = random.one_in(2).then_some("Generated table, refreshed every night");
        let mut table = metastore.new_table(comment, columns);
        table.facts.owner = Some("data-platform@example.com".into());
        table.facts.properties.insert("delta.minReaderVersion".into(), "1".into());
        match index % 20 {
            17 => table.table_type = "EXTERNAL".into(),
            18 => {
                table.table_type = "VIEW".into();
                table.data_source_format = None;
                table.storage_location = None;
                table.view_definition = Some("SELECT 1 AS id".into());
            }
            19 => {
                table.table_type = "MATERIALIZED_VIEW".into();
            }
            _ => {}
        }
        table
    }

    fn column(self, random: &mut Random, at: usize, position: i32) -> Column {
        let types = [
            "bigint",
            "string",
            "int",
            "double",
            "timestamp",
            "decimal(18,2)",
            "boolean",
            "date",
            "array<string>",
            "struct<code:string,amount:decimal(10,2)>",
            "map<string,string>",
            "varchar(64)",
            "binary",
            "variant",
        ];
        let mut column = Column::new(&names::column(self.names, at), DataType::from(random.pick(&types)), position);
        column.nullable = at != 0;
        column.comment = random.one_in(3).then(|| format!("Generated column number {at}"));
        column
    }
}

#[cfg(test)]
mod tests {
    use super::{Names, Shape};

    #[test]
    fn a_shape_is_filled_exactly_and_repeatably() {
        for names in [Names::Plain, Names::Odd, Names::Hostile] {
            let shape = Shape { catalogs: 3, schemas: 4, tables: 60, columns: 5, names };
            let metastore = shape.generate(11);
            assert_eq!(metastore.counts(), [3, 12, 720, 3600], "no two names may be equal");
            let again = serde_json::to_string(&shape.generate(11)).unwrap();
            assert_eq!(again, serde_json::to_string(&metastore).unwrap());
            assert_ne!(again, serde_json::to_string(&shape.generate(12)).unwrap());
        }
    }
}
