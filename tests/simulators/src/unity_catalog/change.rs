//! Changes of the metastore between (and during) syncs, as values: the same ones come from Rust and over the control port.
//!
//! A change that cannot be made says why and changes nothing. Renames keep ids and leave the children's times alone, as
//! the real server does; what is recreated gets a new id.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::data_type::DataType;
use super::model::{Column, Facts, Metastore, Table};

/// One change. Paths are catalog, schema, table; as far as needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "kebab-case", deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are what their variant's line says")]
pub enum Change {
    /// Creates a catalog (path of one), a schema (two) or a table (three, with columns).
    Add {
        path: Vec<String>,
        #[serde(default)]
        columns: Vec<NewColumn>,
        #[serde(default)]
        comment: Option<String>,
    },
    /// Removes it with everything below.
    Drop { path: Vec<String> },
    /// Another name at the same place; ids stay.
    Rename { path: Vec<String>, to: String },
    /// A table moves to another schema; its id stays.
    Move { path: Vec<String>, to: Vec<String> },
    /// Two tables, schemas or catalogs of one parent take each other's name; ids stay.
    Swap { path: Vec<String>, with: String },
    /// Dropped and created again with the same content: new ids, for everything below as well.
    Recreate { path: Vec<String> },
    /// Comment of a catalog, schema or table; none removes it.
    Comment { path: Vec<String>, comment: Option<String> },
    /// Another owner.
    Owner { path: Vec<String>, owner: Option<String> },
    /// Another `table_type`.
    TableType { path: Vec<String>, table_type: String },
    /// A column at a place of the list; without place at the end.
    AddColumn {
        path: Vec<String>,
        column: NewColumn,
        #[serde(default)]
        at: Option<usize>,
    },
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
    /// The table has no such column.
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

    fn at(&self, position: i32) -> Column {
        let mut column = Column::new(&self.name, self.data_type.clone(), position);
        column.nullable = self.nullable;
        column.comment.clone_from(&self.comment);
        column
    }
}

impl Metastore {
    /// Makes one change, or says why not.
    pub fn apply(&mut self, change: &Change) -> Result<(), ChangeError> {
        match change {
            Change::Add { path, columns, comment } => self.add(path, columns, comment.as_deref()),
            Change::Drop { path } => self.take(path).map(drop),
            Change::Rename { path, to } => self.rename(path, to),
            Change::Move { path, to } => self.relocate(path, to),
            Change::Swap { path, with } => self.swap(path, with),
            Change::Recreate { path } => self.recreate(path),
            Change::Comment { path, comment } => self.touch(path, |facts| facts.comment.clone_from(comment)),
            Change::Owner { path, owner } => self.touch(path, |facts| facts.owner.clone_from(owner)),
            Change::TableType { path, table_type } => {
                self.with_table(path, |table| table.table_type = table_type.clone().into())
            }
            Change::AddColumn { path, column, at } => self.add_column(path, column, *at),
            Change::DropColumn { path, column } => self.drop_column(path, column),
            Change::RenameColumn { path, column, to } => self.with_column(path, column, |of| of.name.clone_from(to)),
            Change::RetypeColumn { path, column, data_type } => {
                self.with_column(path, column, |of| of.data_type = data_type.clone())
            }
            Change::NullableColumn { path, column, nullable } => {
                self.with_column(path, column, |of| of.nullable = *nullable)
            }
            Change::CommentColumn { path, column, comment } => {
                self.with_column(path, column, |of| of.comment.clone_from(comment))
            }
        }
    }

    fn add(&mut self, path: &[String], columns: &[NewColumn], comment: Option<&str>) -> Result<(), ChangeError> {
        let node = match path.len() {
            1 => Node::Catalog(self.new_catalog(comment)),
            2 => Node::Schema(self.new_schema(comment)),
            3 => {
                let columns = columns.iter().zip(0..).map(|(column, position)| column.at(position)).collect();
                Node::Table(self.new_table(comment, columns))
            }
            depth => return Err(ChangeError::WrongDepth(depth)),
        };
        self.put(path, node)
    }

    fn rename(&mut self, path: &[String], to: &str) -> Result<(), ChangeError> {
        let Some((_, parent)) = path.split_last() else { return Err(ChangeError::WrongDepth(0)) };
        self.relocate(path, &[parent, &[to.to_owned()]].concat())
    }

    fn relocate(&mut self, from: &[String], to: &[String]) -> Result<(), ChangeError> {
        if from.len() != to.len() {
            return Err(ChangeError::WrongDepth(to.len()));
        }
        self.vacant(to)?;
        let mut node = self.take(from)?;
        node.facts().updated_at = self.tick();
        self.put(to, node)
    }

    fn swap(&mut self, path: &[String], with: &str) -> Result<(), ChangeError> {
        let Some((_, parent)) = path.split_last() else { return Err(ChangeError::WrongDepth(0)) };
        let other = [parent, &[with.to_owned()]].concat();
        if other == path {
            return Ok(());
        }
        self.facts_at(&other)?;
        let (one, two) = (self.take(path)?, self.take(&other)?);
        self.put(path, two)?;
        self.put(&other, one)?;
        let now = self.tick();
        self.facts_at(path)?.updated_at = now;
        self.facts_at(&other)?.updated_at = now;
        Ok(())
    }

    fn recreate(&mut self, path: &[String]) -> Result<(), ChangeError> {
        let mut node = self.take(path)?;
        node.each_facts(&mut |facts| {
            let now = self.tick();
            facts.id = self.random().uuid();
            facts.created_at = now;
            facts.updated_at = now;
        });
        self.put(path, node)
    }

    fn touch(&mut self, path: &[String], change: impl FnOnce(&mut Facts)) -> Result<(), ChangeError> {
        let now = self.tick();
        let facts = self.facts_at(path)?;
        change(facts);
        facts.updated_at = now;
        Ok(())
    }

    fn with_table(&mut self, path: &[String], change: impl FnOnce(&mut Table)) -> Result<(), ChangeError> {
        let now = self.tick();
        let table = self.table_at(path)?;
        change(table);
        table.facts.updated_at = now;
        table.forget_rendered();
        Ok(())
    }

    fn with_column(
        &mut self,
        path: &[String],
        name: &str,
        change: impl FnOnce(&mut Column),
    ) -> Result<(), ChangeError> {
        let at = self.place_of(path, name)?;
        self.with_table(path, |table| change(&mut table.columns[at]))
    }

    fn add_column(&mut self, path: &[String], column: &NewColumn, at: Option<usize>) -> Result<(), ChangeError> {
        self.with_table(path, |table| {
            let at = at.unwrap_or(table.columns.len()).min(table.columns.len());
            table.columns.insert(at, column.at(0));
            renumber(&mut table.columns);
        })
    }

    fn drop_column(&mut self, path: &[String], name: &str) -> Result<(), ChangeError> {
        let at = self.place_of(path, name)?;
        self.with_table(path, |table| {
            table.columns.remove(at);
            renumber(&mut table.columns);
        })
    }

    fn place_of(&mut self, path: &[String], name: &str) -> Result<usize, ChangeError> {
        let columns = &self.table_at(path)?.columns;
        columns.iter().position(|of| of.name == name).ok_or_else(|| ChangeError::NoColumn(name.to_owned()))
    }

    fn table_at(&mut self, path: &[String]) -> Result<&mut Table, ChangeError> {
        let [catalog, schema, table] = path else { return Err(ChangeError::WrongDepth(path.len())) };
        let found = self.catalogs.get_mut(catalog).and_then(|of| of.schemas.get_mut(schema));
        found.and_then(|of| of.tables.get_mut(table)).ok_or_else(|| ChangeError::NotFound(path.to_vec()))
    }

    fn facts_at(&mut self, path: &[String]) -> Result<&mut Facts, ChangeError> {
        let found = match path {
            [catalog] => self.catalogs.get_mut(catalog).map(|of| &mut of.facts),
            [catalog, schema] => {
                self.catalogs.get_mut(catalog).and_then(|of| of.schemas.get_mut(schema)).map(|of| &mut of.facts)
            }
            _ => return self.table_at(path).map(|of| &mut of.facts),
        };
        found.ok_or_else(|| ChangeError::NotFound(path.to_vec()))
    }

    fn vacant(&mut self, path: &[String]) -> Result<(), ChangeError> {
        if self.facts_at(path).is_ok() {
            return Err(ChangeError::Exists(path.to_vec()));
        }
        match path.split_last() {
            Some((_, [])) => Ok(()),
            Some((_, parent)) => self.facts_at(parent).map(|_| ()),
            None => Err(ChangeError::WrongDepth(0)),
        }
    }

    fn take(&mut self, path: &[String]) -> Result<Node, ChangeError> {
        let taken = match path {
            [catalog] => self.catalogs.remove(catalog).map(Node::Catalog),
            [catalog, schema] => {
                self.catalogs.get_mut(catalog).and_then(|of| of.schemas.remove(schema)).map(Node::Schema)
            }
            [catalog, schema, table] => {
                let schema = self.catalogs.get_mut(catalog).and_then(|of| of.schemas.get_mut(schema));
                schema.and_then(|of| of.tables.remove(table)).map(Node::Table)
            }
            _ => return Err(ChangeError::WrongDepth(path.len())),
        };
        taken.ok_or_else(|| ChangeError::NotFound(path.to_vec()))
    }

    fn put(&mut self, path: &[String], node: Node) -> Result<(), ChangeError> {
        self.vacant(path)?;
        let missing = || ChangeError::NotFound(path.to_vec());
        match (path, node) {
            ([name], Node::Catalog(of)) => insert(&mut self.catalogs, name, of),
            ([catalog, name], Node::Schema(of)) => {
                insert(&mut self.catalogs.get_mut(catalog).ok_or_else(missing)?.schemas, name, of);
            }
            ([catalog, schema, name], Node::Table(of)) => {
                let catalog = self.catalogs.get_mut(catalog).ok_or_else(missing)?;
                insert(&mut catalog.schemas.get_mut(schema).ok_or_else(missing)?.tables, name, of);
            }
            _ => return Err(ChangeError::WrongDepth(path.len())),
        }
        Ok(())
    }
}

/// What can be taken out of the tree and put elsewhere.
enum Node {
    Catalog(super::model::Catalog),
    Schema(super::model::Schema),
    Table(Table),
}

impl Node {
    fn facts(&mut self) -> &mut Facts {
        match self {
            Self::Catalog(of) => &mut of.facts,
            Self::Schema(of) => &mut of.facts,
            Self::Table(of) => &mut of.facts,
        }
    }

    fn each_facts(&mut self, visit: &mut dyn FnMut(&mut Facts)) {
        visit(self.facts());
        match self {
            Self::Catalog(of) => {
                for schema in of.schemas.values_mut() {
                    visit(&mut schema.facts);
                    schema.tables.values_mut().for_each(|table| visit(&mut table.facts));
                }
            }
            Self::Schema(of) => of.tables.values_mut().for_each(|table| visit(&mut table.facts)),
            Self::Table(_) => {}
        }
    }
}

fn insert<T>(into: &mut BTreeMap<String, T>, name: &str, of: T) {
    into.insert(name.to_owned(), of);
}

fn renumber(columns: &mut [Column]) {
    for (column, position) in columns.iter_mut().zip(0..) {
        column.position = position;
    }
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::{Change, ChangeError, NewColumn, path};
    use crate::unity_catalog::model::Metastore;

    fn metastore() -> Metastore {
        let mut metastore = Metastore::new("m", 1);
        for names in [&["c"][..], &["c", "s"], &["c", "s", "a"], &["c", "s", "b"]] {
            let columns = vec![NewColumn::new("id", "bigint"), NewColumn::new("v", "string")];
            metastore.apply(&Change::Add { path: path(names), columns, comment: None }).unwrap();
        }
        metastore
    }

    #[test]
    fn a_rename_keeps_ids_and_the_childrens_times() {
        let mut metastore = metastore();
        let before = metastore.table("c", "s", "a").unwrap().facts.clone();
        metastore.apply(&Change::Rename { path: path(&["c", "s"]), to: "t".into() }).unwrap();
        let after = &metastore.table("c", "t", "a").unwrap().facts;
        assert_eq!((after.id, after.updated_at), (before.id, before.updated_at));
        assert!(metastore.schema("c", "s").is_none());
    }

    #[test]
    fn a_recreated_schema_has_new_ids_all_the_way_down() {
        let mut metastore = metastore();
        let before = metastore.table("c", "s", "a").unwrap().facts.id;
        metastore.apply(&Change::Recreate { path: path(&["c", "s"]) }).unwrap();
        assert_ne!(metastore.table("c", "s", "a").unwrap().facts.id, before);
    }

    #[test]
    fn swapped_tables_keep_their_ids() {
        let mut metastore = metastore();
        let id = |metastore: &Metastore, name| metastore.table("c", "s", name).unwrap().facts.id;
        let (a, b) = (id(&metastore, "a"), id(&metastore, "b"));
        metastore.apply(&Change::Swap { path: path(&["c", "s", "a"]), with: "b".into() }).unwrap();
        assert_eq!((id(&metastore, "a"), id(&metastore, "b")), (b, a));
    }

    #[test]
    fn an_impossible_change_changes_nothing() {
        let mut metastore = metastore();
        let before = serde_json::to_string(&metastore).unwrap();
        let rename = Change::Rename { path: path(&["c", "s", "a"]), to: "b".into() };
        assert_eq!(metastore.apply(&rename), Err(ChangeError::Exists(path(&["c", "s", "b"]))));
        let add = Change::Add { path: path(&["x", "s"]), columns: vec![], comment: None };
        assert_eq!(metastore.apply(&add), Err(ChangeError::NotFound(path(&["x"]))));
        assert_eq!(serde_json::to_string(&metastore).unwrap(), before);
    }
}
