//! What the simulated account holds: databases, schemas, objects and columns, warehouses, users and roles.
//!
//! Names are stored as they are and compared by code point. Times come from a logical clock that only changes of the model
//! move, so one seed gives the same bytes every time. The model knows nothing of HTTP, SQL or sessions.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

use super::access::{Role, User};
use super::data_type::DataType;
use crate::random::Random;

/// Where the logical clock begins: 2026-01-05, in milliseconds.
const EPOCH_MS: i64 = 1_767_571_200_000;
/// The schema every database has besides those people make.
pub const INFORMATION_SCHEMA: &str = "INFORMATION_SCHEMA";

/// Everything an account holds.
#[derive(Debug, Clone, Serialize)]
pub struct Account {
    /// `CURRENT_ORGANIZATION_NAME()`.
    pub organization: String,
    /// `CURRENT_ACCOUNT_NAME()`.
    pub name: String,
    /// `CURRENT_ACCOUNT()`.
    pub locator: String,
    /// `CURRENT_REGION()`.
    pub region: String,
    /// By name.
    pub databases: BTreeMap<String, Database>,
    /// By name.
    pub warehouses: BTreeMap<String, Warehouse>,
    /// By name.
    pub roles: BTreeMap<String, Role>,
    /// By name. Not shown to the control port: it holds credentials.
    #[serde(skip)]
    pub users: BTreeMap<String, User>,
    #[serde(skip)]
    clock_ms: i64,
    #[serde(skip)]
    random: Random,
}

/// A warehouse, as far as listing metadata depends on one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warehouse {
    /// Whether it runs.
    pub state: WarehouseState,
    /// Free text.
    pub comment: Option<String>,
    /// Who owns it.
    pub owner: String,
    /// When it was made, in milliseconds.
    pub created_ms: i64,
}

/// What a warehouse does when a statement needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WarehouseState {
    /// It runs.
    Started,
    /// It starts by itself.
    Suspended,
    /// It stays suspended: nobody with the caller's rights may resume it.
    Locked,
}

/// A database: the first level.
#[derive(Debug, Clone, Serialize)]
pub struct Database {
    /// Comment, owner, times.
    #[serde(flatten)]
    pub facts: Facts,
    /// `STANDARD`, `IMPORTED DATABASE`, `APPLICATION`, …
    pub kind: String,
    /// The share it comes from; empty for one's own.
    pub origin: String,
    /// The publisher took the share back: it is still listed, its insides are not.
    pub revoked: bool,
    /// Some imported databases lack one.
    pub has_information_schema: bool,
    /// By name, without `INFORMATION_SCHEMA`.
    pub schemas: BTreeMap<String, Schema>,
}

/// A schema: the second level.
#[derive(Debug, Clone, Serialize)]
pub struct Schema {
    /// Comment, owner, times.
    #[serde(flatten)]
    pub facts: Facts,
    /// By name.
    pub tables: BTreeMap<String, Table>,
}

/// A table, a view, or anything else with columns.
#[derive(Debug, Clone, Serialize)]
pub struct Table {
    /// Comment, owner, times.
    #[serde(flatten)]
    pub facts: Facts,
    /// What it is.
    pub kind: Kind,
    /// `LAST_ALTERED`: moves with data as well, in milliseconds.
    pub last_altered_ms: i64,
    /// `LAST_DDL`: moves with definitions only, in milliseconds.
    pub last_ddl_ms: i64,
    /// Rows, where there are any to count.
    pub rows: u64,
    /// `SHOW` lists it, `INFORMATION_SCHEMA` does not.
    pub hidden: bool,
    /// In order; shared between alike tables, so that large catalogues are cheap to hold.
    #[serde(serialize_with = "shared")]
    pub columns: Arc<Vec<Column>>,
}

fn shared<S: serde::Serializer>(columns: &Arc<Vec<Column>>, serializer: S) -> Result<S::Ok, S::Error> {
    columns.as_ref().serialize(serializer)
}

/// What every catalogued thing carries.
#[derive(Debug, Clone, Serialize)]
pub struct Facts {
    /// Free text.
    pub comment: Option<String>,
    /// The owning role; empty where the platform itself owns it.
    pub owner: String,
    /// When it was made, in milliseconds.
    pub created_ms: i64,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Column {
    /// Up to 255 characters of anything.
    pub name: String,
    /// Written as text.
    pub data_type: DataType,
    /// Whether it may hold null.
    pub nullable: bool,
    /// Free text.
    pub comment: Option<String>,
    /// Computed from others: a virtual column of an external table.
    pub expression: Option<String>,
}

/// What kind of object has the columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the platform's own words")]
pub enum Kind {
    Table,
    Transient,
    Temporary,
    View,
    SecureView,
    MaterializedView,
    External,
    Event,
    Iceberg,
    Dynamic,
    Hybrid,
}

impl Kind {
    /// Every kind there is.
    pub const ALL: [Self; 11] = [
        Self::Table,
        Self::Transient,
        Self::Temporary,
        Self::View,
        Self::SecureView,
        Self::MaterializedView,
        Self::External,
        Self::Event,
        Self::Iceberg,
        Self::Dynamic,
        Self::Hybrid,
    ];

    /// Whether `SHOW VIEWS` lists it rather than `SHOW TABLES`.
    pub fn is_view(self) -> bool {
        matches!(self, Self::View | Self::SecureView | Self::MaterializedView)
    }

    /// `kind` of `SHOW TABLES`.
    pub fn shown(self) -> &'static str {
        match self {
            Self::Transient => "TRANSIENT",
            Self::Temporary => "TEMPORARY",
            kind if kind.is_view() => "VIEW",
            _ => "TABLE",
        }
    }

    /// `TABLE_TYPE` of `INFORMATION_SCHEMA.TABLES`.
    pub fn table_type(self) -> &'static str {
        match self {
            Self::Temporary => "TEMPORARY TABLE",
            Self::External => "EXTERNAL TABLE",
            Self::Event => "EVENT TABLE",
            Self::View | Self::SecureView => "VIEW",
            Self::MaterializedView => "MATERIALIZED VIEW",
            Self::Table | Self::Transient | Self::Iceberg | Self::Dynamic | Self::Hybrid => "BASE TABLE",
        }
    }
}

impl Account {
    /// An empty account without users, whose times follow from the changes made.
    pub fn new(organization: &str, name: &str, locator: &str, seed: u64) -> Self {
        Self {
            organization: organization.to_owned(),
            name: name.to_owned(),
            locator: locator.to_owned(),
            region: "AWS_EU_CENTRAL_1".to_owned(),
            databases: BTreeMap::new(),
            warehouses: BTreeMap::new(),
            roles: BTreeMap::new(),
            users: BTreeMap::new(),
            clock_ms: EPOCH_MS,
            random: Random::new(seed),
        }
    }

    /// Moves the logical clock on and reads it.
    pub fn tick(&mut self) -> i64 {
        self.clock_ms += 1_000;
        self.clock_ms
    }

    /// The generator that everything random comes from.
    pub fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    /// Facts of a thing created now.
    pub fn facts(&mut self, comment: Option<&str>) -> Facts {
        Facts { comment: comment.map(str::to_owned), owner: "SYSADMIN".to_owned(), created_ms: self.tick() }
    }

    /// An empty database made now, not yet in the account.
    pub fn new_database(&mut self, comment: Option<&str>) -> Database {
        Database {
            facts: self.facts(comment),
            kind: "STANDARD".to_owned(),
            origin: String::new(),
            revoked: false,
            has_information_schema: true,
            schemas: BTreeMap::new(),
        }
    }

    /// An empty schema made now, not yet in a database.
    pub fn new_schema(&mut self, comment: Option<&str>) -> Schema {
        Schema { facts: self.facts(comment), tables: BTreeMap::new() }
    }

    /// An object made now, not yet in a schema.
    pub fn new_table(&mut self, kind: Kind, comment: Option<&str>, columns: Arc<Vec<Column>>) -> Table {
        let facts = self.facts(comment);
        let rows = if kind.is_view() { 0 } else { self.random.below(5_000_000) as u64 };
        let created = facts.created_ms;
        Table { facts, kind, last_altered_ms: created, last_ddl_ms: created, rows, hidden: false, columns }
    }

    /// A warehouse, there at once.
    pub fn add_warehouse(&mut self, name: &str, state: WarehouseState) {
        let created_ms = self.tick();
        let warehouse = Warehouse { state, comment: None, owner: "SYSADMIN".to_owned(), created_ms };
        self.warehouses.insert(name.to_owned(), warehouse);
    }

    /// A table by its place.
    pub fn table(&self, database: &str, schema: &str, table: &str) -> Option<&Table> {
        self.databases.get(database)?.schemas.get(schema)?.tables.get(table)
    }

    /// Every object with its path, in order, those of `INFORMATION_SCHEMA` not among them.
    pub fn tables(&self) -> impl Iterator<Item = ([&str; 3], &Table)> {
        self.databases.iter().flat_map(|(database, of)| {
            of.schemas.iter().flat_map(move |(schema, of)| {
                of.tables.iter().map(move |(table, of)| ([database.as_str(), schema.as_str(), table.as_str()], of))
            })
        })
    }

    /// Databases, schemas, objects and columns, those of `INFORMATION_SCHEMA` not among them.
    pub fn counts(&self) -> [usize; 4] {
        let schemas = self.databases.values().map(|database| database.schemas.len()).sum();
        let (tables, columns) =
            self.tables().fold((0, 0), |(tables, columns), (_, table)| (tables + 1, columns + table.columns.len()));
        [self.databases.len(), schemas, tables, columns]
    }
}

impl Database {
    /// Its schemas by name, `INFORMATION_SCHEMA` included where it has one.
    pub fn all_schemas(&self) -> Vec<(&str, &Schema)> {
        let mut all: Vec<_> = self.schemas.iter().map(|(name, of)| (name.as_str(), of)).collect();
        if self.has_information_schema {
            let at = all.partition_point(|(name, _)| *name < INFORMATION_SCHEMA);
            all.insert(at, (INFORMATION_SCHEMA, information_schema()));
        }
        all
    }

    /// A schema by name, `INFORMATION_SCHEMA` included where it has one.
    pub fn find_schema(&self, name: &str) -> Option<(&str, &Schema)> {
        if name == INFORMATION_SCHEMA {
            return self.has_information_schema.then(|| (INFORMATION_SCHEMA, information_schema()));
        }
        self.schemas.get_key_value(name).map(|(name, of)| (name.as_str(), of))
    }
}

impl Column {
    /// A nullable column without comment.
    pub fn new(name: &str, data_type: impl Into<DataType>) -> Self {
        Self { name: name.to_owned(), data_type: data_type.into(), nullable: true, comment: None, expression: None }
    }
}

/// The same in every database: views that describe it.
fn information_schema() -> &'static Schema {
    static MADE: OnceLock<Schema> = OnceLock::new();
    MADE.get_or_init(|| {
        let facts =
            |comment: &str| Facts { comment: Some(comment.to_owned()), owner: String::new(), created_ms: EPOCH_MS };
        let view = |(name, columns): (&str, Vec<Column>)| {
            let table = Table {
                facts: facts("A view of the information schema"),
                kind: Kind::View,
                last_altered_ms: EPOCH_MS,
                last_ddl_ms: EPOCH_MS,
                rows: 0,
                hidden: false,
                columns: Arc::new(columns),
            };
            (name.to_owned(), table)
        };
        let tables = super::information_schema::views().into_iter().map(view).collect();
        Schema { facts: facts("Views describing the contents of schemas in this database"), tables }
    })
}
