//! What SHOW does not list: when a definition was changed, and columns.
//!
//! With a warehouse both come from INFORMATION_SCHEMA, for many tables at once. It hides objects that SHOW lists, some
//! databases have none, and it refuses questions that are too wide: what it does not tell stays open, without a
//! fingerprint and without columns, and is asked for table by table elsewhere. Without a warehouse there is no honest
//! fingerprint, and SHOW COLUMNS tells the columns of a schema as long as there are fewer than 10 000.

use std::{borrow::Cow, collections::HashMap};

use serde::{Deserialize, Serialize};
use wharfinger_sdk::{Column, Error, Object};

use crate::{
    objects,
    parse::{Problem, Table},
    request::{self, CUT, Schema, Statement, Which},
    statement::{Session, Trouble},
    types,
};

/// Begins every fingerprint: a version that reads columns differently must read them all again.
const FINGERPRINT_VERSION: &str = "1";
/// Up to so many tables are named one by one rather than by the first and the last.
const NAMED: usize = 200;
/// More tables than this are not asked for one by one, if their whole schema can be.
const SEVERAL: usize = 20;
/// More columns fit no page.
const MAX_COLUMNS: usize = 64_000;

/// What was found out about the ways to columns. Stands in cursors.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Way {
    /// INFORMATION_SCHEMA cannot be asked.
    #[serde(default)]
    blind: bool,
    /// The schema has more columns than one SHOW tells.
    #[serde(default)]
    cut: bool,
}

impl Way {
    /// The way of those who know that INFORMATION_SCHEMA cannot be asked.
    pub(crate) fn blind() -> Self {
        Self { blind: true, cut: false }
    }

    /// Whether INFORMATION_SCHEMA cannot be asked.
    pub(crate) fn is_blind(&self) -> bool {
        self.blind
    }

    /// Tries whether the INFORMATION_SCHEMA of a database can be asked, so that not each of its schemas has to.
    pub(crate) fn probe(&mut self, session: &Session<'_>, database: &str) -> Result<(), Trouble> {
        if self.blind || session.cx().config().warehouse.is_none() {
            return Ok(());
        }
        match session.query(&request::probe(database)) {
            Err(Trouble::Refused(problem)) if problem.is_settled() => {
                self.close(session, &request::quoted(&[database]), problem);
                Ok(())
            }
            answer => answer.map(drop),
        }
    }

    fn close(&mut self, session: &Session<'_>, of: &str, problem: Problem) {
        let why = Trouble::Refused(problem).error("read INFORMATION_SCHEMA").message;
        session.cx().log("warn", "Columns are read with SHOW instead.", &[("of", of), ("why", &why)]);
        self.blind = true;
    }
}

/// What is wanted beside fingerprints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Nothing.
    Fingerprints,
    /// Columns, as far as they come for many tables at once. The objects are all there are between the first and the
    /// last.
    ColumnsOfAll,
    /// The same, of objects here and there.
    ColumnsOfSome,
    /// Columns, but not at the price of reading a whole schema.
    ColumnsOfFew,
}

/// Adds to the objects of a schema what can be told of many at once. The number is that of the first ones for which it
/// was tried: there may be more columns than a page holds.
pub(crate) fn add(
    session: &Session<'_>,
    schema: Schema<'_>,
    objects: &mut [Object],
    wanted: Wanted,
    way: &mut Way,
) -> Result<usize, Trouble> {
    if objects.is_empty() {
        return Ok(0);
    }
    if session.cx().config().warehouse.is_some() && !way.blind {
        match informed(session, schema, objects, wanted) {
            Err(Trouble::Refused(problem)) if problem.is_settled() => {
                way.close(session, &schema.quoted(), problem);
                objects.iter_mut().for_each(|object| object.fingerprint = None);
            }
            done => {
                let done = done?;
                let open = objects[..done].iter().filter(|object| object.columns.is_none()).count();
                // One more statement for all of them, rather than one for each.
                let is_worth_it = match wanted {
                    Wanted::ColumnsOfAll => open > 0,
                    Wanted::ColumnsOfSome => open > SEVERAL,
                    Wanted::ColumnsOfFew | Wanted::Fingerprints => false,
                };
                if is_worth_it && !way.cut {
                    shown(session, schema, &mut objects[..done], way)?;
                }
                return Ok(done);
            }
        }
    }
    if matches!(wanted, Wanted::ColumnsOfAll | Wanted::ColumnsOfSome) && !way.cut {
        shown(session, schema, objects, way)?;
    }
    Ok(objects.len())
}

/// By INFORMATION_SCHEMA. Fingerprints come first: columns that change in between are then read once more.
fn informed(
    session: &Session<'_>,
    schema: Schema<'_>,
    objects: &mut [Object],
    wanted: Wanted,
) -> Result<usize, Trouble> {
    changes(session, schema, objects, wanted)?;
    let mut left = MAX_COLUMNS;
    if wanted == Wanted::Fingerprints {
        Ok(objects.len())
    } else {
        columns(session, schema, objects, wanted, &mut left)
    }
}

/// Asks about objects, if it can be asked about all of them.
fn ask(
    session: &Session<'_>,
    schema: Schema<'_>,
    objects: &[Object],
    wanted: Wanted,
    statement: fn(Schema<'_>, Which<'_>) -> Statement,
) -> Result<Table, Trouble> {
    let mut names: Vec<&str> = objects.iter().map(name).collect();
    names.sort_unstable();
    let is_dense = names.len() > NAMED && matches!(wanted, Wanted::Fingerprints | Wanted::ColumnsOfAll);
    let which = if is_dense { Which::Dense(&names) } else { Which::Sparse(&names) };
    session.query(&statement(schema, which))
}

fn changes(session: &Session<'_>, schema: Schema<'_>, objects: &mut [Object], wanted: Wanted) -> Result<(), Trouble> {
    let table = match ask(session, schema, objects, wanted, request::changes) {
        Err(trouble) if trouble.is_too_much() => {
            if objects.len() < 2 {
                return Ok(());
            }
            let (first, second) = objects.split_at_mut(objects.len() / 2);
            changes(session, schema, first, wanted)?;
            return changes(session, schema, second, wanted);
        }
        table => table?,
    };
    let places = places(objects);
    let mut prints = Vec::with_capacity(table.len().min(objects.len()));
    table.each(["TABLE_NAME", "CREATED", "LAST_DDL", "LAST_ALTERED"], |[name, created, ddl, altered]| {
        if let Some(index) = name.and_then(|name| places.get(&*name).copied()) {
            let created = created.unwrap_or_default();
            // Both come back as the same text every time: seconds with nine digits.
            let print = match (ddl, altered) {
                (Some(ddl), Some(altered)) if objects::moves_by_itself(&objects[index]) => {
                    format!("{FINGERPRINT_VERSION}:{created}:d{ddl}:a{altered}")
                }
                (Some(ddl), _) => format!("{FINGERPRINT_VERSION}:{created}:d{ddl}"),
                (None, Some(altered)) => format!("{FINGERPRINT_VERSION}:{created}:a{altered}"),
                (None, None) => return,
            };
            prints.push((index, print));
        }
    })?;
    for (index, print) in prints {
        objects[index].fingerprint = Some(print);
    }
    Ok(())
}

/// The number is that of the first objects that were dealt with: there may be more columns than a page holds.
fn columns(
    session: &Session<'_>,
    schema: Schema<'_>,
    objects: &mut [Object],
    wanted: Wanted,
    left: &mut usize,
) -> Result<usize, Trouble> {
    let table = match ask(session, schema, objects, wanted, request::columns) {
        Err(trouble) if trouble.is_too_much() => {
            let half = objects.len() / 2;
            if half == 0 {
                return Ok(objects.len());
            }
            let done = columns(session, schema, &mut objects[..half], wanted, left)?;
            if *left == 0 {
                return Ok(done);
            }
            return Ok(done + columns(session, schema, &mut objects[half..], wanted, left)?);
        }
        table => table?,
    };
    *left = left.saturating_sub(table.len());
    let mut found = gather(objects, |places, found| {
        let mut current: Option<(String, Option<usize>)> = None;
        table.each(INFORMED, |[table, rest @ ..]| {
            let table = table.unwrap_or_default();
            if current.as_ref().is_none_or(|(name, _)| *name != *table) {
                current = Some((table.to_string(), places.get(&*table).copied()));
            }
            if let Some((_, Some(index))) = current {
                let columns = &mut found[index];
                let column = informed_column(rest, columns.list.len());
                columns.add(column);
            }
        })
    })?;
    for (object, columns) in objects.iter_mut().zip(found.drain(..)) {
        // None at all may be none that we may see here.
        object.columns = Some(columns).filter(|columns| !columns.unclear && !columns.list.is_empty()).map(|c| c.list);
    }
    Ok(objects.len())
}

/// Columns of one object.
#[derive(Clone, Debug, Default)]
struct Columns {
    list: Vec<Column>,
    /// One of them cannot be told from here.
    unclear: bool,
}

impl Columns {
    fn add(&mut self, column: Option<Column>) {
        match column {
            Some(column) => self.list.push(column),
            None => self.unclear = true,
        }
    }
}

fn gather(
    objects: &[Object],
    fill: impl FnOnce(&HashMap<&str, usize>, &mut Vec<Columns>) -> Result<(), Error>,
) -> Result<Vec<Columns>, Error> {
    let mut found = vec![Columns::default(); objects.len()];
    fill(&places(objects), &mut found)?;
    Ok(found)
}

fn places(objects: &[Object]) -> HashMap<&str, usize> {
    objects.iter().enumerate().map(|(index, object)| (name(object), index)).collect()
}

fn name(object: &Object) -> &str {
    object.path.last().map_or("", String::as_str)
}

const INFORMED: [&str; 9] = [
    "TABLE_NAME",
    "COLUMN_NAME",
    "DATA_TYPE",
    "CHARACTER_MAXIMUM_LENGTH",
    "NUMERIC_PRECISION",
    "NUMERIC_SCALE",
    "DATETIME_PRECISION",
    "IS_NULLABLE",
    "COMMENT",
];

type Cell<'a> = Option<Cow<'a, str>>;

/// None where INFORMATION_SCHEMA does not tell all of the type.
fn informed_column(cells: [Cell<'_>; 8], before: usize) -> Option<Column> {
    let [name, data_type, length, precision, scale, fraction, nullable, comment] = cells;
    let data_type = types::Informed {
        name: data_type.as_deref().unwrap_or_default(),
        length: length.as_deref(),
        precision: precision.as_deref(),
        scale: scale.as_deref(),
        fraction: fraction.as_deref(),
    };
    Some(column(name, data_type.text()?, nullable.map(|nullable| nullable != "NO"), comment, before))
}

/// The position is the place in the order: what the ordinal is when no column was ever dropped.
fn column(name: Cell<'_>, data_type: String, nullable: Option<bool>, comment: Cell<'_>, before: usize) -> Column {
    Column {
        nullable,
        comment: comment.filter(|comment| !comment.is_empty()).map(Cow::into_owned),
        position: i64::try_from(before + 1).ok(),
        ..Column::new(name.unwrap_or_default(), data_type)
    }
}

/// By SHOW, for those that have no columns yet: all or nothing, as nobody knows which ones a cut answer lacks.
fn shown(session: &Session<'_>, schema: Schema<'_>, objects: &mut [Object], way: &mut Way) -> Result<(), Trouble> {
    let table = match session.query(&request::columns_of_schema(schema)) {
        Err(trouble) if trouble.is_too_much() => {
            way.cut = true;
            return Ok(());
        }
        table => table?,
    };
    if table.len() >= CUT {
        way.cut = true;
        return Ok(());
    }
    let found = gather(objects, |places, found| {
        each_shown(&table, schema, |table, column| {
            if let Some(&index) = places.get(table) {
                let before = found[index].list.len();
                found[index].add(Some(column(before)));
            }
        })
    })?;
    for (object, columns) in objects.iter_mut().zip(found).filter(|(object, _)| object.columns.is_none()) {
        object.columns = Some(columns.list).filter(|columns| !columns.is_empty());
    }
    Ok(())
}

/// The columns of a SHOW COLUMNS, with the table of each.
fn each_shown(
    table: &Table,
    schema: Schema<'_>,
    mut each: impl FnMut(&str, &dyn Fn(usize) -> Column),
) -> Result<(), Error> {
    let mut strange = false;
    let names = ["table_name", "?schema_name", "?database_name", "column_name", "data_type", "?null?", "?comment"];
    table.each(names, |[table, of_schema, of_database, name, data_type, nullable, comment]| {
        strange |= of_schema.is_some_and(|told| told != schema.name);
        strange |= of_database.is_some_and(|told| told != schema.database);
        let text = data_type.unwrap_or_default();
        let shown = serde_json::from_str::<types::Shown<'_>>(&text);
        let told = nullable.map(|told| matches!(&*told, "true" | "TRUE" | "YES" | "Y"));
        let (data_type, nullable) = match &shown {
            Ok(shown) => (shown.text(), shown.nullable.or(told)),
            // Kept as it is written.
            Err(_) => (text.into_owned(), told),
        };
        each(&table.unwrap_or_default(), &|before| {
            column(name.clone(), data_type.clone(), nullable, comment.clone(), before)
        });
    })?;
    if strange { Err(objects::another_container()) } else { Ok(()) }
}

/// The columns of a SHOW COLUMNS on one table. None where they may be more, or none may be a lack of rights: then the
/// table has to be described.
pub(crate) fn of_one(table: &Table, schema: Schema<'_>, name: &str) -> Result<Option<Vec<Column>>, Error> {
    let mut columns = Vec::with_capacity(table.len());
    let mut strange = false;
    each_shown(table, schema, |of, column| {
        strange |= of != name;
        columns.push(column(columns.len()));
    })?;
    if strange {
        return Err(objects::another_container());
    }
    Ok(Some(columns).filter(|columns| !columns.is_empty() && columns.len() < CUT))
}

/// The columns of a DESCRIBE.
pub(crate) fn of_description(table: &Table) -> Result<Vec<Column>, Error> {
    let mut columns = Vec::with_capacity(table.len());
    table.each(["name", "type", "?null?", "?comment"], |[name, data_type, nullable, comment]| {
        let data_type = types::described(&data_type.unwrap_or_default());
        let nullable = nullable.map(|nullable| nullable == "Y");
        columns.push(column(name, data_type, nullable, comment, columns.len()));
    })?;
    Ok(columns)
}
