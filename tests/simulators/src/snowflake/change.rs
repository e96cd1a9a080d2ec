//! Changes of the account between (and during) syncs, as values: the same ones come from Rust and over the control port.
//!
//! A change that cannot be made says why and changes nothing. `LAST_DDL` and `LAST_ALTERED` move as the platform moves
//! them: the former with definitions, the latter with data as well. A rename of a container leaves its children alone.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::access::Grant;
use super::data_type::DataType;
use super::model::{Account, Column, Database, INFORMATION_SCHEMA, Kind, Schema, Table, WarehouseState};

/// One change. Paths are database, schema, object; as far as needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "kebab-case", deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are what their variant's line says")]
pub enum Change {
    /// Creates a database (path of one), a schema (two) or an object (three, with columns).
    Add {
        path: Vec<String>,
        #[serde(default = "table")]
        kind: Kind,
        #[serde(default)]
        columns: Vec<NewColumn>,
        #[serde(default)]
        comment: Option<String>,
    },
    /// Removes it with everything below.
    Drop { path: Vec<String> },
    /// Another name at the same place.
    Rename { path: Vec<String>, to: String },
    /// An object moves to another schema.
    Move { path: Vec<String>, to: Vec<String> },
    /// Two things of one parent take each other's name.
    Swap { path: Vec<String>, with: String },
    /// Dropped and created again with the same content: new times.
    Recreate { path: Vec<String> },
    /// Comment of a database, schema or object; none removes it.
    Comment { path: Vec<String>, comment: Option<String> },
    /// Another owning role.
    Owner { path: Vec<String>, owner: String },
    /// Another kind under the same name.
    Kind { path: Vec<String>, kind: Kind },
    /// A column at the end.
    AddColumn { path: Vec<String>, column: NewColumn },
    /// Removes the first column of that name.
    DropColumn { path: Vec<String>, column: String },
    /// Another name, same place.
    RenameColumn { path: Vec<String>, column: String, to: String },
    /// Another type.
    RetypeColumn { path: Vec<String>, column: String, data_type: DataType },
    /// Whether it may hold null.
    NullableColumn { path: Vec<String>, column: String, nullable: bool },
    /// Comment of a column.
    CommentColumn { path: Vec<String>, column: String, comment: Option<String> },
    /// Rows come in: `LAST_ALTERED` moves, `LAST_DDL` does not.
    Insert { path: Vec<String>, rows: u64 },
    /// Whether `INFORMATION_SCHEMA` lacks the object that `SHOW` lists.
    Hide { path: Vec<String>, hidden: bool },
    /// The publisher takes the share of an imported database back, or gives it again.
    Share { database: String, revoked: bool },
    /// A role gets a privilege.
    Grant { role: String, grant: Grant },
    /// A role loses one.
    Revoke { role: String, grant: Grant },
    /// A warehouse is made or changes its state.
    Warehouse { name: String, state: WarehouseState },
    /// A warehouse is gone.
    DropWarehouse { name: String },
}

/// A column to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewColumn {
    /// Any text.
    pub name: String,
    /// As text.
    pub data_type: DataType,
    /// Whether it may hold null.
    #[serde(default = "yes")]
    pub nullable: bool,
    /// Free text.
    #[serde(default)]
    pub comment: Option<String>,
}

/// Why a change was not made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ChangeError {
    /// Nothing there.
    #[error("there is nothing at {0:?}")]
    NotFound(Vec<String>),
    /// Something is there already.
    #[error("there is something at {0:?} already")]
    Exists(Vec<String>),
    /// A path of that length means nothing for this change.
    #[error("a path of {0} names does not fit this change")]
    WrongDepth(usize),
    /// The object has no such column.
    #[error("there is no column {0:?}")]
    NoColumn(String),
}

/// A path from string slices.
pub fn path(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

impl NewColumn {
    /// A nullable column without comment.
    pub fn new(name: &str, data_type: &str) -> Self {
        Self { name: name.to_owned(), data_type: data_type.into(), nullable: true, comment: None }
    }

    fn made(&self) -> Column {
        Column {
            nullable: self.nullable,
            comment: self.comment.clone(),
            ..Column::new(&self.name, self.data_type.clone())
        }
    }
}

impl Change {
    /// An object of a kind with columns.
    pub fn add(path: Vec<String>, kind: Kind, columns: Vec<NewColumn>) -> Self {
        Self::Add { path, kind, columns, comment: None }
    }
}

type Changed = Result<(), ChangeError>;

impl Account {
    /// Makes one change, or says why not.
    pub fn apply(&mut self, change: &Change) -> Changed {
        match change {
            Change::Add { path, kind, columns, comment } => self.add(path, *kind, columns, comment.as_deref()),
            Change::Drop { path } => self.take(path).map(drop),
            Change::Rename { path, to } => {
                let Some((_, parent)) = path.split_last() else { return Err(ChangeError::WrongDepth(0)) };
                self.relocate(path, &[parent, &[to.to_owned()]].concat())
            }
            Change::Move { path, to } => self.relocate(path, to),
            Change::Swap { path, with } => self.swap(path, with),
            Change::Recreate { path } => {
                let mut node = self.take(path)?;
                node.begin_anew(&mut || self.tick());
                self.put(path, node)
            }
            Change::Comment { path, comment } => self.facts_changed(path, |facts| facts.comment.clone_from(comment)),
            Change::Owner { path, owner } => self.facts_changed(path, |facts| facts.owner.clone_from(owner)),
            Change::Kind { path, kind } => self.defined(path, |table| table.kind = *kind),
            Change::AddColumn { path, column } => {
                self.defined(path, |table| Arc::make_mut(&mut table.columns).push(column.made()))
            }
            Change::DropColumn { path, column } => self.with_column(path, column, |columns, at| {
                columns.remove(at);
            }),
            Change::RenameColumn { path, column, to } => {
                self.with_column(path, column, |columns, at| columns[at].name.clone_from(to))
            }
            Change::RetypeColumn { path, column, data_type } => {
                self.with_column(path, column, |columns, at| columns[at].data_type = data_type.clone())
            }
            Change::NullableColumn { path, column, nullable } => {
                self.with_column(path, column, |columns, at| columns[at].nullable = *nullable)
            }
            Change::CommentColumn { path, column, comment } => {
                self.with_column(path, column, |columns, at| columns[at].comment.clone_from(comment))
            }
            Change::Insert { path, rows } => {
                let now = self.tick();
                let table = self.table_at(path)?;
                table.rows += rows;
                table.last_altered_ms = now;
                Ok(())
            }
            Change::Hide { path, hidden } => self.table_at(path).map(|table| table.hidden = *hidden),
            Change::Share { database, revoked } => {
                let found = self.databases.get_mut(database);
                found.map(|of| of.revoked = *revoked).ok_or_else(|| ChangeError::NotFound(vec![database.clone()]))
            }
            Change::Grant { role, grant } => {
                self.grant_to(role, [grant.clone()]);
                Ok(())
            }
            Change::Revoke { role, grant } => {
                let held = self.roles.get_mut(role).is_some_and(|of| of.grants.remove(grant));
                if held { Ok(()) } else { Err(ChangeError::NotFound(vec![role.clone()])) }
            }
            Change::Warehouse { name, state } => {
                match self.warehouses.get_mut(name) {
                    Some(of) => of.state = *state,
                    None => self.add_warehouse(name, *state),
                }
                Ok(())
            }
            Change::DropWarehouse { name } => {
                let gone = self.warehouses.remove(name);
                gone.map(drop).ok_or_else(|| ChangeError::NotFound(vec![name.clone()]))
            }
        }
    }

    fn add(&mut self, path: &[String], kind: Kind, columns: &[NewColumn], comment: Option<&str>) -> Changed {
        self.vacant(path)?;
        let node = match path.len() {
            1 => Node::Database(self.new_database(comment)),
            2 => Node::Schema(self.new_schema(comment)),
            _ => {
                let columns = columns.iter().map(NewColumn::made).collect();
                Node::Table(self.new_table(kind, comment, Arc::new(columns)))
            }
        };
        self.put(path, node)
    }

    fn relocate(&mut self, from: &[String], to: &[String]) -> Changed {
        if from.len() != to.len() {
            return Err(ChangeError::WrongDepth(to.len()));
        }
        self.vacant(to)?;
        let mut node = self.take(from)?;
        let now = self.tick();
        if let Node::Table(table) = &mut node {
            (table.last_ddl_ms, table.last_altered_ms) = (now, now);
        }
        self.put(to, node)
    }

    fn swap(&mut self, path: &[String], with: &str) -> Changed {
        let Some((_, parent)) = path.split_last() else { return Err(ChangeError::WrongDepth(0)) };
        let other = [parent, &[with.to_owned()]].concat();
        if other == path {
            return Ok(());
        }
        self.there(path)?;
        self.there(&other)?;
        let (mut one, mut two) = (self.take(path)?, self.take(&other)?);
        let now = self.tick();
        for node in [&mut one, &mut two] {
            if let Node::Table(table) = node {
                (table.last_ddl_ms, table.last_altered_ms) = (now, now);
            }
        }
        self.put(path, two)?;
        self.put(&other, one)
    }

    fn facts_changed(&mut self, path: &[String], change: impl FnOnce(&mut super::model::Facts)) -> Changed {
        let missing = || ChangeError::NotFound(path.to_vec());
        match path {
            [database] => change(&mut self.databases.get_mut(database).ok_or_else(missing)?.facts),
            [database, schema] => change(&mut self.schema_at(database, schema).ok_or_else(missing)?.facts),
            _ => return self.defined(path, |table| change(&mut table.facts)),
        }
        self.tick();
        Ok(())
    }

    /// A definition changes: both times move.
    fn defined(&mut self, path: &[String], change: impl FnOnce(&mut Table)) -> Changed {
        let now = self.tick();
        let table = self.table_at(path)?;
        change(table);
        (table.last_ddl_ms, table.last_altered_ms) = (now, now);
        Ok(())
    }

    fn with_column(&mut self, path: &[String], name: &str, change: impl FnOnce(&mut Vec<Column>, usize)) -> Changed {
        let at = self.table_at(path)?.columns.iter().position(|of| of.name == name);
        let at = at.ok_or_else(|| ChangeError::NoColumn(name.to_owned()))?;
        self.defined(path, |table| change(Arc::make_mut(&mut table.columns), at))
    }

    fn schema_at(&mut self, database: &str, schema: &str) -> Option<&mut Schema> {
        self.databases.get_mut(database)?.schemas.get_mut(schema)
    }

    fn table_at(&mut self, path: &[String]) -> Result<&mut Table, ChangeError> {
        let [database, schema, table] = path else { return Err(ChangeError::WrongDepth(path.len())) };
        let found = self.schema_at(database, schema).and_then(|of| of.tables.get_mut(table));
        found.ok_or_else(|| ChangeError::NotFound(path.to_vec()))
    }

    fn there(&self, path: &[String]) -> Changed {
        let found = match path {
            [database] => self.databases.contains_key(database),
            [database, schema] => self.databases.get(database).is_some_and(|of| of.schemas.contains_key(schema)),
            [database, schema, table] => self.table(database, schema, table).is_some(),
            _ => return Err(ChangeError::WrongDepth(path.len())),
        };
        if found { Ok(()) } else { Err(ChangeError::NotFound(path.to_vec())) }
    }

    fn vacant(&self, path: &[String]) -> Changed {
        let reserved = path.len() == 2 && path[1] == INFORMATION_SCHEMA;
        match self.there(path) {
            Ok(()) => return Err(ChangeError::Exists(path.to_vec())),
            Err(error @ ChangeError::WrongDepth(_)) => return Err(error),
            Err(_) if reserved => return Err(ChangeError::Exists(path.to_vec())),
            Err(_) => {}
        }
        match path.split_last() {
            Some((_, parent @ [_, ..])) => self.there(parent),
            _ => Ok(()),
        }
    }

    fn take(&mut self, path: &[String]) -> Result<Node, ChangeError> {
        let taken = match path {
            [database] => self.databases.remove(database).map(Node::Database),
            [database, schema] => {
                self.databases.get_mut(database).and_then(|of| of.schemas.remove(schema)).map(Node::Schema)
            }
            [database, schema, table] => {
                self.schema_at(database, schema).and_then(|of| of.tables.remove(table)).map(Node::Table)
            }
            _ => return Err(ChangeError::WrongDepth(path.len())),
        };
        taken.ok_or_else(|| ChangeError::NotFound(path.to_vec()))
    }

    /// The place must be vacant.
    fn put(&mut self, path: &[String], node: Node) -> Changed {
        let missing = || ChangeError::NotFound(path.to_vec());
        match (path, node) {
            ([name], Node::Database(of)) => drop(self.databases.insert(name.clone(), of)),
            ([database, name], Node::Schema(of)) => {
                self.databases.get_mut(database).ok_or_else(missing)?.schemas.insert(name.clone(), of);
            }
            ([database, schema, name], Node::Table(of)) => {
                self.schema_at(database, schema).ok_or_else(missing)?.tables.insert(name.clone(), of);
            }
            _ => return Err(ChangeError::WrongDepth(path.len())),
        }
        Ok(())
    }
}

/// What can be taken out of the tree and put elsewhere.
enum Node {
    Database(Database),
    Schema(Schema),
    Table(Table),
}

impl Node {
    fn begin_anew(&mut self, tick: &mut dyn FnMut() -> i64) {
        match self {
            Self::Database(of) => {
                of.facts.created_ms = tick();
                of.schemas.values_mut().for_each(|schema| schema_anew(schema, tick));
            }
            Self::Schema(of) => schema_anew(of, tick),
            Self::Table(of) => table_anew(of, tick()),
        }
    }
}

fn schema_anew(of: &mut Schema, tick: &mut dyn FnMut() -> i64) {
    of.facts.created_ms = tick();
    of.tables.values_mut().for_each(|table| table_anew(table, tick()));
}

fn table_anew(of: &mut Table, now: i64) {
    (of.facts.created_ms, of.last_ddl_ms, of.last_altered_ms) = (now, now, now);
}

fn yes() -> bool {
    true
}

fn table() -> Kind {
    Kind::Table
}

#[cfg(test)]
mod tests {
    use super::{Change, ChangeError, NewColumn, path};
    use crate::snowflake::model::{Account, Kind};

    fn account() -> Account {
        let mut account = Account::new("O", "A", "L", 1);
        for names in [&["D"][..], &["D", "S"], &["D", "S", "a"], &["D", "S", "b"]] {
            let columns = vec![NewColumn::new("ID", "NUMBER"), NewColumn::new("V", "VARCHAR")];
            account.apply(&Change::add(path(names), Kind::Table, columns)).unwrap();
        }
        account
    }

    #[test]
    fn rows_move_one_time_and_definitions_both() {
        let mut account = account();
        let times = |account: &Account| {
            let table = account.table("D", "S", "a").unwrap();
            (table.last_altered_ms, table.last_ddl_ms)
        };
        let before = times(&account);
        account.apply(&Change::Insert { path: path(&["D", "S", "a"]), rows: 3 }).unwrap();
        let inserted = times(&account);
        assert!(inserted.0 > before.0 && inserted.1 == before.1);
        let column = NewColumn::new("W", "DATE");
        account.apply(&Change::AddColumn { path: path(&["D", "S", "a"]), column }).unwrap();
        assert!(times(&account).1 > inserted.0);
        assert_eq!(account.table("D", "S", "b").unwrap().columns.len(), 2, "shared columns are told apart");
    }

    #[test]
    fn impossible_changes_change_nothing() {
        let mut account = account();
        let before = serde_json::to_string(&account).unwrap();
        for (change, error) in [
            (Change::Drop { path: path(&["D", "S", "c"]) }, ChangeError::NotFound(path(&["D", "S", "c"]))),
            (
                Change::Rename { path: path(&["D", "S", "a"]), to: "b".into() },
                ChangeError::Exists(path(&["D", "S", "b"])),
            ),
            (
                Change::Move { path: path(&["D", "S", "a"]), to: path(&["D", "T", "a"]) },
                ChangeError::NotFound(path(&["D", "T"])),
            ),
            (
                Change::add(path(&["D", "INFORMATION_SCHEMA"]), Kind::Table, vec![]),
                ChangeError::Exists(path(&["D", "INFORMATION_SCHEMA"])),
            ),
            (
                Change::DropColumn { path: path(&["D", "S", "a"]), column: "X".into() },
                ChangeError::NoColumn("X".into()),
            ),
            (Change::Drop { path: vec![] }, ChangeError::WrongDepth(0)),
        ] {
            assert_eq!(account.apply(&change), Err(error), "{change:?}");
        }
        assert_eq!(serde_json::to_string(&account).unwrap(), before);
    }

    #[test]
    fn changes_are_read_from_json() {
        let text = r#"[{"change":"add","path":["D","S","t"],"columns":[{"name":"A","data_type":"NUMBER(3,1)"}]},
            {"change":"grant","role":"R","grant":{"privilege":"USAGE","on":{"warehouse":"W"}}},
            {"change":"share","database":"D","revoked":true}]"#;
        let mut account = account();
        for change in serde_json::from_str::<Vec<Change>>(text).unwrap() {
            account.apply(&change).unwrap();
        }
        assert!(account.databases["D"].revoked && account.roles["R"].grants.len() == 1);
    }
}
