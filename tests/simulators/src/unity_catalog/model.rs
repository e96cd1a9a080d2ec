//! What the simulated metastore holds: catalogs, schemas, tables and columns, ordered by name.
//!
//! Every object has an id of its own that survives renames; times come from a logical clock that only changes of the
//! model move, so one seed gives the same bytes every time. The model knows nothing of HTTP, paging or rights.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::OnceLock;

use bytes::Bytes;
use serde::Serialize;
use uuid::Uuid;

use super::data_type::DataType;
use crate::random::Random;

/// Where the logical clock begins: 2026-01-05, in milliseconds.
const EPOCH_MS: i64 = 1_767_571_200_000;

/// Free-form properties of an object.
pub type Properties = BTreeMap<String, String>;

/// Everything a workspace's metastore holds.
#[derive(Debug, Clone, Serialize)]
pub struct Metastore {
    /// The account's identity, as `metastore_summary` gives it.
    pub metastore_id: Uuid,
    /// Display name.
    pub name: String,
    /// By name.
    pub catalogs: BTreeMap<String, Catalog>,
    #[serde(skip)]
    clock_ms: i64,
    #[serde(skip)]
    random: Random,
}

/// What every catalogued thing carries.
#[derive(Debug, Clone, Serialize)]
pub struct Facts {
    /// Survives renames; another one after a drop and create.
    pub id: Uuid,
    /// Free text.
    pub comment: Option<String>,
    /// Free-form properties.
    pub properties: Properties,
    /// Who owns it.
    pub owner: Option<String>,
    /// Milliseconds since 1970.
    pub created_at: i64,
    /// Milliseconds since 1970; moves with every change of the object itself.
    pub updated_at: i64,
}

/// A catalog: the first level.
#[derive(Debug, Clone, Serialize)]
pub struct Catalog {
    /// Id, comment, times.
    #[serde(flatten)]
    pub facts: Facts,
    /// `MANAGED_CATALOG`, `FOREIGN_CATALOG`, `SYSTEM_CATALOG`, `INTERNAL_CATALOG`, …
    pub catalog_type: Cow<'static, str>,
    /// By name.
    pub schemas: BTreeMap<String, Schema>,
}

/// A schema: the second level.
#[derive(Debug, Clone, Serialize)]
pub struct Schema {
    /// Id, comment, times.
    #[serde(flatten)]
    pub facts: Facts,
    /// Can be listed, but listing its tables fails: internal catalogs have such.
    pub unusable: bool,
    /// By name.
    pub tables: BTreeMap<String, Table>,
}

/// A table or anything listed like one.
#[derive(Debug, Clone, Serialize)]
pub struct Table {
    /// Id, comment, times.
    #[serde(flatten)]
    pub facts: Facts,
    /// `MANAGED`, `EXTERNAL`, `VIEW`, …
    pub table_type: Cow<'static, str>,
    /// Absent for views.
    pub data_source_format: Option<Cow<'static, str>>,
    /// Absent for views.
    pub storage_location: Option<String>,
    /// Only views have one.
    pub view_definition: Option<String>,
    /// In stored order.
    pub columns: Vec<Column>,
    /// The columns as JSON in either dialect, made when first asked for: serving a page again is a copy of bytes.
    #[serde(skip)]
    pub(crate) rendered: [OnceLock<Bytes>; 2],
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Column {
    /// Any text; may repeat, may be empty.
    pub name: String,
    /// Written as text.
    pub data_type: DataType,
    /// Whether it may hold null.
    pub nullable: bool,
    /// Free text.
    pub comment: Option<String>,
    /// The platform's ordinal: not always the place in the list.
    pub position: i32,
    /// Place among the partition columns.
    pub partition_index: Option<i32>,
}

impl Metastore {
    /// An empty metastore whose ids and times follow from the seed.
    pub fn new(name: &str, seed: u64) -> Self {
        let mut random = Random::new(seed);
        Self {
            metastore_id: random.uuid(),
            name: name.to_owned(),
            catalogs: BTreeMap::new(),
            clock_ms: EPOCH_MS,
            random,
        }
    }

    /// Facts of a thing created now.
    pub fn facts(&mut self, comment: Option<&str>) -> Facts {
        let now = self.tick();
        Facts {
            id: self.random.uuid(),
            comment: comment.map(str::to_owned),
            properties: Properties::new(),
            owner: None,
            created_at: now,
            updated_at: now,
        }
    }

    /// An empty catalog made now, not yet in the metastore.
    pub fn new_catalog(&mut self, comment: Option<&str>) -> Catalog {
        Catalog { facts: self.facts(comment), catalog_type: "MANAGED_CATALOG".into(), schemas: BTreeMap::new() }
    }

    /// An empty schema made now, not yet in a catalog.
    pub fn new_schema(&mut self, comment: Option<&str>) -> Schema {
        Schema { facts: self.facts(comment), unusable: false, tables: BTreeMap::new() }
    }

    /// A managed table made now, not yet in a schema.
    pub fn new_table(&mut self, comment: Option<&str>, columns: Vec<Column>) -> Table {
        let facts = self.facts(comment);
        Table {
            storage_location: Some(format!("s3://simulated-lake/__unitystorage/tables/{}", facts.id)),
            facts,
            table_type: "MANAGED".into(),
            data_source_format: Some("DELTA".into()),
            view_definition: None,
            columns,
            rendered: Default::default(),
        }
    }

    /// Moves the logical clock on and reads it.
    pub fn tick(&mut self) -> i64 {
        self.clock_ms += 1_000;
        self.clock_ms
    }

    /// The generator that ids come from.
    pub fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    /// A schema by its place.
    pub fn schema(&self, catalog: &str, schema: &str) -> Option<&Schema> {
        self.catalogs.get(catalog)?.schemas.get(schema)
    }

    /// A table by its place.
    pub fn table(&self, catalog: &str, schema: &str, table: &str) -> Option<&Table> {
        self.schema(catalog, schema)?.tables.get(table)
    }

    /// Every table with its path, in order.
    pub fn tables(&self) -> impl Iterator<Item = ([&str; 3], &Table)> {
        self.catalogs.iter().flat_map(|(catalog, of)| {
            of.schemas.iter().flat_map(move |(schema, of)| {
                of.tables.iter().map(move |(table, of)| ([catalog.as_str(), schema.as_str(), table.as_str()], of))
            })
        })
    }

    /// Catalogs, schemas, tables and columns.
    pub fn counts(&self) -> [usize; 4] {
        let schemas = self.catalogs.values().map(|catalog| catalog.schemas.len()).sum();
        let (tables, columns) =
            self.tables().fold((0, 0), |(tables, columns), (_, table)| (tables + 1, columns + table.columns.len()));
        [self.catalogs.len(), schemas, tables, columns]
    }
}

impl Column {
    /// A nullable column without comment, at the given place.
    pub fn new(name: &str, data_type: impl Into<DataType>, position: i32) -> Self {
        Self {
            name: name.to_owned(),
            data_type: data_type.into(),
            nullable: true,
            comment: None,
            position,
            partition_index: None,
        }
    }
}

impl Table {
    /// Must be called after any change of the columns: the bytes served are made anew.
    pub(crate) fn forget_rendered(&mut self) {
        self.rendered = Default::default();
    }
}
