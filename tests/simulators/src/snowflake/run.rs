//! Carries out a statement: what the model holds and the caller may see, as an answer's rows.

mod list;
mod test;

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::access::{On, Privilege, Sight};
use super::errors::{Refusal, shown};
use super::information_schema::View;
use super::model::{Account, Database, INFORMATION_SCHEMA, Schema, WarehouseState};
use super::relation::{Cell, Field, Row, Type};
use super::result::{Answer, Encoding, Header};
use super::show;
use super::sql::{Case, Item, Order, Scope, Select, Show, Statement, Value, What, like};
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

    fn select(&self, select: &Select) -> Run<Answer> {
        let Some(from) = &select.from else {
            let outputs = select.items.iter().map(|item| self.constant(item)).collect::<Run<_>>()?;
            return Ok(self.answer(outputs, &[Row::Texts(&[])]));
        };
        let (database, of, view) = self.information_schema(from)?;
        self.warehouse()?;
        if self.twist == Some(&Twist::TooMuchData) {
            return Err(Refusal::too_much_data());
        }
        let fields = view.fields();
        let filter = match &select.filter {
            Some(test) => test::compile(self, fields, test)?,
            None => test::Filter::default(),
        };
        // What cannot be compiled is said before anything is counted.
        let counted = match &select.items[..] {
            [Item::Count { name }] => Some(name),
            _ => None,
        };
        let outputs = if counted.is_some() { vec![] } else { self.outputs(fields, &select.items)? };
        let mut rows = self.described(database, of, view, &filter);
        if rows.len() > self.limits.information_schema_rows {
            return Err(Refusal::too_much_data());
        }
        if let Some(name) = counted {
            let count = Source::Constant(Cell::Number(rows.len() as i64));
            let output = Output { name: name.into(), kind: Type::Number, source: count };
            return Ok(self.answer(vec![output], &[Row::Texts(&[])]));
        }
        self.order(&mut rows, fields, &outputs, &select.order)?;
        let rows: Vec<_> = rows
            .into_iter()
            .skip(select.offset as usize)
            .take(select.limit.map_or(usize::MAX, |n| n as usize))
            .collect();
        Ok(self.answer(outputs, &rows))
    }

    fn outputs<'s>(&'s self, fields: &'static [Field], items: &'s [Item]) -> Run<Vec<Output<'s>>> {
        let mut outputs = Vec::new();
        for item in items {
            match item {
                Item::All => outputs.extend(fields.iter().map(Output::field)),
                Item::Value { value: Value::Column(column), name } => {
                    let field = self.field(fields, column)?;
                    outputs.push(Output { name: name.into(), ..Output::field(field) });
                }
                item => outputs.push(self.constant(item)?),
            }
        }
        Ok(outputs)
    }

    fn field(&self, fields: &'static [Field], name: &str) -> Run<&'static Field> {
        let found = fields.iter().find(|field| field.name == name);
        found.ok_or_else(|| Refusal::invalid_identifier(self.sql, name))
    }

    fn order(
        &self,
        rows: &mut [Row<'_>],
        fields: &'static [Field],
        outputs: &[Output<'_>],
        by: &[(Value, Order)],
    ) -> Run<()> {
        let key = |value: &Value| match value {
            Value::Number(digits) => {
                let at = digits.parse::<usize>().ok().and_then(|at| at.checked_sub(1));
                match at.and_then(|at| outputs.get(at)) {
                    Some(Output { source: Source::Field(get), .. }) => Ok(*get),
                    _ => Err(Refusal::invalid_identifier(self.sql, digits)),
                }
            }
            Value::Column(name) => match outputs.iter().find(|output| output.name == *name) {
                Some(Output { source: Source::Field(get), .. }) => Ok(*get),
                _ => self.field(fields, name).map(|field| field.get),
            },
            _ => Err(Refusal::not_supported("ORDER BY an expression")),
        };
        let keys: Vec<_> = by.iter().map(|(value, order)| Ok((key(value)?, *order))).collect::<Run<_>>()?;
        rows.sort_by(|a, b| {
            let compared = keys.iter().map(|(get, order)| match order {
                Order::Up => test::order(&get(a), &get(b)),
                Order::Down => test::order(&get(b), &get(a)),
            });
            compared.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
        });
        Ok(())
    }

    fn constant<'s>(&'s self, item: &'s Item) -> Run<Output<'s>> {
        let Item::Value { value, name } = item else {
            return Err(Refusal::not_supported("this query"));
        };
        let (kind, cell) = match value {
            Value::Column(name) => return Err(Refusal::invalid_identifier(self.sql, name)),
            Value::Number(digits) => match digits.parse() {
                Ok(number) => (Type::Number, Cell::Number(number)),
                Err(_) => return Err(Refusal::not_numeric(digits)),
            },
            Value::Function(name) => (Type::Text, self.function(name)?),
            value => (Type::Text, self.value(value)?),
        };
        Ok(Output { name: name.into(), kind, source: Source::Constant(cell) })
    }

    /// The value of a literal or a bind.
    fn value(&self, value: &Value) -> Run<Cell<'static>> {
        match value {
            Value::Text(text) => Ok(Cell::text(text.clone())),
            Value::Number(digits) => digits.parse().map(Cell::Number).map_err(|_| Refusal::not_numeric(digits)),
            Value::Null => Ok(Cell::Null),
            Value::Bind(at) => match self.binds.get(at.wrapping_sub(1)) {
                Some(Some(text)) => Ok(Cell::text(text.clone())),
                Some(None) => Ok(Cell::Null),
                None => Err(Refusal::bind_missing(*at)),
            },
            Value::Function(name) => self.function(name),
            Value::Column(name) => Err(Refusal::invalid_identifier(self.sql, name)),
        }
    }

    fn function(&self, name: &str) -> Run<Cell<'static>> {
        let (account, identity) = (self.account, self.identity);
        let maybe = |of: &Option<String>| of.clone().map_or(Cell::Null, Cell::text);
        Ok(match name {
            "CURRENT_ORGANIZATION_NAME" => Cell::text(account.organization.clone()),
            "CURRENT_ACCOUNT_NAME" => Cell::text(account.name.clone()),
            "CURRENT_ACCOUNT" => Cell::text(account.locator.clone()),
            "CURRENT_REGION" => Cell::text(account.region.clone()),
            "CURRENT_USER" => Cell::text(identity.user.clone()),
            "CURRENT_ROLE" => maybe(&identity.role),
            "CURRENT_WAREHOUSE" => maybe(&identity.warehouse),
            "CURRENT_DATABASE" => maybe(&identity.database),
            "CURRENT_SCHEMA" => maybe(&identity.schema),
            "CURRENT_VERSION" => Cell::text("9.38.1"),
            _ => return Err(Refusal::unknown_function(name)),
        })
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

    /// Rows that are no part of the catalogue: grants and parameters.
    fn texts(&self, what: &What) -> Run<Option<Vec<Vec<Option<String>>>>> {
        let texts = |row: [&str; 4]| row.map(|text| Some(text.to_owned())).to_vec();
        Ok(Some(match what {
            What::Parameters => vec![
                texts(["QUOTED_IDENTIFIERS_IGNORE_CASE", "false", "", ""]),
                texts(["TIMEZONE", "America/Los_Angeles", "", ""]),
            ],
            What::GrantsTo(role) => {
                let held = self.account.roles.get(role).ok_or_else(|| Refusal::does_not_exist("Role", &[role]))?;
                let rows = held.grants.iter().flat_map(|grant| self.granted(&grant.on, grant.privilege));
                rows.map(|[privilege, on, name]| texts([&privilege, &on, &name, role])).collect()
            }
            What::GrantsOn { what, name } => {
                let path: Vec<&str> = name.iter().map(String::as_str).collect();
                match path[..] {
                    [database] if *what == "DATABASE" => drop(self.open_database(database)?),
                    [database, schema] if *what == "SCHEMA" => drop(self.open_schema(database, schema)?),
                    _ => {}
                }
                let wanted = if *what == "ACCOUNT" { self.account.name.clone() } else { shown(&path) };
                let roles = self.account.roles.iter();
                let rows = roles.flat_map(|(role, of)| {
                    let granted = of.grants.iter().flat_map(|grant| self.granted(&grant.on, grant.privilege));
                    let here = granted.filter(|[_, on, name]| on == what && *name == wanted);
                    here.map(|[privilege, on, name]| texts([&privilege, &on, &name, role])).collect::<Vec<_>>()
                });
                rows.collect()
            }
            _ => return Ok(None),
        }))
    }

    /// A grant as `SHOW GRANTS` lists it: one on everything below is one on each.
    fn granted(&self, on: &On, privilege: Privilege) -> Vec<[String; 3]> {
        let word = match privilege {
            Privilege::Usage | Privilege::ImportedPrivileges => "USAGE",
            Privilege::References => "REFERENCES",
            Privilege::Select => "SELECT",
            Privilege::ManageGrants => "MANAGE GRANTS",
        };
        let row = |kind: &str, name: String| [word.to_owned(), kind.to_owned(), name];
        let on_path = |path: &[&str], table: &str| match path.len() {
            1 => row("DATABASE", shown(path)),
            2 => row("SCHEMA", shown(path)),
            _ => row(table, shown(path)),
        };
        let word_of = |path: &[&str; 3]| match self.account.table(path[0], path[1], path[2]) {
            Some(of) if of.kind.is_view() => "VIEW",
            _ => "TABLE",
        };
        match on {
            On::Account => vec![row("ACCOUNT", self.account.name.clone())],
            On::Warehouse(name) => vec![row("WAREHOUSE", shown(&[name]))],
            On::Path(path) => {
                let path: Vec<&str> = path.iter().map(String::as_str).collect();
                let table = path.first_chunk().map_or("TABLE", word_of);
                vec![on_path(&path, table)]
            }
            On::Below(above) => {
                let inside = |path: &[&str]| above.iter().zip(path).all(|(a, b)| a == b) && above.len() < path.len();
                if privilege != Privilege::Usage {
                    let tables = self.account.tables().filter(|(path, _)| inside(path));
                    return tables.map(|(path, _)| on_path(&path, word_of(&path))).collect();
                }
                let databases = self.account.databases.iter();
                let rows = databases.flat_map(|(database, of)| {
                    let schemas = of.schemas.keys().map(|schema| vec![database.as_str(), schema.as_str()]);
                    std::iter::once(vec![database.as_str()]).chain(schemas).collect::<Vec<_>>()
                });
                rows.filter(|path| inside(path)).map(|path| on_path(&path, "")).collect()
            }
        }
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
