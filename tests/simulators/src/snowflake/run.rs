//! Carries out a statement: what the model holds and the caller may see, as an answer's rows.

mod grants;
mod list;
mod select;
mod test;

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::access::Sight;
use super::errors::Refusal;
use super::information_schema::View;
use super::model::{Account, Database, INFORMATION_SCHEMA, Schema, WarehouseState};
use super::relation::{Cell, Field, Row, Type};
use super::result::{Answer, Encoding, Header};
use super::show;
use super::sql::{Case, Scope, Show, Statement, What, like};
use super::twist::Twist;

/// How much one statement may answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Rows of a `SHOW`: without a limit an error, or for some kinds a silent cut.
    pub show_rows: usize,
    /// Rows of a query over `INFORMATION_SCHEMA`; beyond it says 090030.
    pub information_schema_rows: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { show_rows: 10_000, information_schema_rows: 1_000_000 }
    }
}

/// As whom, and from where, a statement is run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) user: String,
    pub(crate) role: Option<String>,
    /// Roles that count besides.
    pub(crate) secondary: Vec<String>,
    pub(crate) warehouse: Option<String>,
    pub(crate) database: Option<String>,
    pub(crate) schema: Option<String>,
}

/// Everything a statement depends on.
pub(crate) struct Scene<'a> {
    pub(crate) account: &'a Account,
    pub(crate) identity: &'a Identity,
    pub(crate) revoked: &'a BTreeSet<Vec<String>>,
    pub(crate) limits: Limits,
    pub(crate) encoding: Encoding,
    pub(crate) twist: Option<&'a Twist>,
    pub(crate) sql: &'a str,
    pub(crate) binds: &'a [Option<String>],
}

/// A column of the answer and where its cells come from.
struct Output<'a> {
    name: Cow<'a, str>,
    kind: Type,
    source: Source,
}

enum Source {
    Field(for<'r> fn(&Row<'r>) -> Cell<'r>),
    Constant(Cell<'static>),
}

type Run<T> = Result<T, Refusal>;

impl<'a> Scene<'a> {
    /// Runs what only reads; `USE` and the like are the protocols' affair.
    pub(crate) fn run(&self, statement: &Statement) -> Run<Answer> {
        match statement {
            Statement::Show(show) => self.show(show),
            Statement::Describe { view, name } => self.describe(*view, name),
            Statement::Select(select) => self.select(select),
            Statement::Use { .. } => Err(Refusal::not_supported("USE")),
            Statement::AlterSession { .. } => Err(Refusal::not_supported("ALTER SESSION")),
        }
    }

    fn sight(&self) -> Sight<'a> {
        let identity = self.identity;
        let roles = identity.role.iter().chain(&identity.secondary).map(String::as_str);
        self.account.sight(roles, self.revoked)
    }

    fn show(&self, show: &Show) -> Run<Answer> {
        let most = self.limits.show_rows;
        let pages = show.what != What::Columns && show.what != What::MaterializedViews;
        if let Some(limit) = show.limit.filter(|&limit| limit > most as u64 || limit == 0) {
            return Err(Refusal::limit_too_large(limit, most));
        }
        let texts = self.texts(&show.what)?;
        let mut rows = match &texts {
            Some(texts) => texts.iter().map(|row| Row::Texts(row)).collect(),
            None => self.shown_rows(show)?,
        };
        rows.retain(|row| fits(show, row));
        // These two say nothing when they leave something out.
        let cut_silently = matches!(show.what, What::Columns | What::Objects | What::MaterializedViews);
        match show.limit.filter(|_| pages) {
            Some(limit) => rows.truncate(limit as usize),
            None if cut_silently => rows.truncate(most),
            None if rows.len() > most => return Err(Refusal::too_many_shown(most)),
            None => {}
        }
        let outputs = show::fields(&show.what, show.terse).iter().map(Output::field).collect();
        Ok(self.answer(outputs, &rows))
    }

    fn describe(&self, view: bool, name: &[String]) -> Run<Answer> {
        let path = self.full(name, if view { "DESCRIBE VIEW" } else { "DESCRIBE TABLE" })?;
        let what = if view { "View" } else { "Table" };
        let rows = self.columns_of(&path, what)?;
        Ok(self.answer(show::DESCRIPTION.iter().map(Output::field).collect(), &rows))
    }

    /// The warehouse a query runs in.
    fn warehouse(&self) -> Run<()> {
        let name = self.identity.warehouse.as_deref().filter(|_| self.twist != Some(&Twist::NoWarehouse));
        let usable = name.is_some_and(|name| {
            self.account.warehouses.get(name).is_some_and(|of| of.state != WarehouseState::Locked)
                && self.sight().may_use(name)
        });
        if usable { Ok(()) } else { Err(Refusal::no_warehouse()) }
    }

    /// The whole path of an object, completed by the session.
    fn full(&self, name: &[String], verb: &str) -> Run<[String; 3]> {
        let database = || self.identity.database.clone().ok_or_else(|| Refusal::no_database(verb));
        let schema = || self.identity.schema.clone().ok_or_else(|| Refusal::no_schema(verb));
        match name {
            [database, schema, object] => Ok([database.clone(), schema.clone(), object.clone()]),
            [schema, object] => Ok([database()?, schema.clone(), object.clone()]),
            [object] => Ok([database()?, schema()?, object.clone()]),
            _ => Err(Refusal::cannot_be_performed()),
        }
    }

    fn information_schema(&self, from: &[String]) -> Run<(&'a str, &'a Database, View)> {
        let path = self.full(from, "SELECT")?;
        let [database, schema, name] = &path;
        let (database, of) = self.open_database(database)?;
        if *schema != INFORMATION_SCHEMA {
            return Err(match self.columns_of(&path, "Object") {
                Ok(_) => Refusal::insufficient_privileges(&path.each_ref().map(String::as_str)),
                Err(refusal) => refusal,
            });
        }
        if !of.has_information_schema {
            return Err(Refusal::does_not_exist("Schema", &[database, INFORMATION_SCHEMA]));
        }
        let view = View::named(name);
        let view = view.ok_or_else(|| Refusal::does_not_exist("Object", &[database, INFORMATION_SCHEMA, name]))?;
        Ok((database, of, view))
    }

    /// A database that may be looked into.
    fn open_database(&self, name: &str) -> Run<(&'a str, &'a Database)> {
        let missing = || Refusal::does_not_exist("Database", &[name]);
        let (name, of) = self.account.databases.get_key_value(name).ok_or_else(missing)?;
        if !self.sight().sees(&[name], &of.facts.owner) {
            return Err(missing());
        }
        if of.revoked { Err(Refusal::share_is_gone()) } else { Ok((name, of)) }
    }

    fn open_schema(&self, database: &str, name: &str) -> Run<(&'a str, &'a str, &'a Schema)> {
        let (database, of) = self.open_database(database)?;
        let found =
            of.find_schema(name).filter(|(_, schema)| self.sight().sees(&[database, name], &schema.facts.owner));
        let (name, schema) = found.ok_or_else(|| Refusal::does_not_exist("Schema", &[database, name]))?;
        Ok((database, name, schema))
    }

    /// All columns of one object.
    fn columns_of(&self, path: &[String; 3], what: &str) -> Run<Vec<Row<'a>>> {
        let [database, schema, name] = path;
        let (database, schema, of) = self.open_schema(database, schema)?;
        let table = of
            .tables
            .get_key_value(name)
            .filter(|(_, table)| self.sight().sees(&[database, schema, name], &table.facts.owner));
        let (table, of) = table.ok_or_else(|| Refusal::does_not_exist(what, &[database, schema, name]))?;
        let row = |(at, of)| Row::Column { database, schema, table, at, of };
        Ok(of.columns.iter().enumerate().map(row).collect())
    }

    fn answer(&self, mut outputs: Vec<Output<'_>>, rows: &[Row<'_>]) -> Answer {
        match self.twist {
            Some(Twist::Reordered) => outputs.reverse(),
            Some(Twist::MissingColumn { name }) => outputs.retain(|output| !output.name.eq_ignore_ascii_case(name)),
            Some(Twist::ExtraColumn) => outputs.insert(
                0,
                Output {
                    name: "resharing_settings".into(),
                    kind: Type::Boolean,
                    source: Source::Constant(Cell::Boolean(true)),
                },
            ),
            _ => {}
        }
        let numeric = self.twist == Some(&Twist::NumericCells);
        let headers = outputs.iter().map(|of| Header { name: of.name.clone().into_owned(), kind: of.kind }).collect();
        let mut answer = Answer::new(headers, self.encoding);
        for row in rows {
            let cells = outputs.iter().map(|output| match &output.source {
                Source::Field(get) => get(row),
                Source::Constant(cell) => cell.borrowed(),
            });
            answer.push(cells, numeric);
        }
        answer
    }
}

/// The clauses that pick rows by name.
fn fits(show: &Show, row: &Row<'_>) -> bool {
    let name = row.name();
    show.like.as_deref().is_none_or(|pattern| like(pattern, name, Case::Ignored))
        && show.starts_with.as_deref().is_none_or(|prefix| name.starts_with(prefix))
        && show.from.as_deref().is_none_or(|from| name > from)
}

impl Output<'_> {
    fn field(of: &'static Field) -> Self {
        Self { name: of.name.into(), kind: of.kind, source: Source::Field(of.get) }
    }
}

/// The verb a refusal names.
fn verb(show: &Show) -> &'static str {
    match (&show.what, &show.scope) {
        (What::Schemas, _) => "SHOW SCHEMAS",
        (What::Columns, Scope::Object(_)) => "SHOW COLUMNS",
        (What::Objects, _) => "SHOW OBJECTS",
        (What::Views, _) => "SHOW VIEWS",
        _ => "SHOW TABLES",
    }
}
