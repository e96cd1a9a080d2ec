//! Which rows a `SHOW` and an `INFORMATION_SCHEMA` view have, in the platform's order: database, schema, name.

use super::test::Filter;
use super::{Run, Scene, verb};
use crate::snowflake::access::Sight;
use crate::snowflake::errors::Refusal;
use crate::snowflake::information_schema::View;
use crate::snowflake::model::{Database, Kind, Schema, Table};
use crate::snowflake::relation::Row;
use crate::snowflake::sql::{Scope, Show, What};

/// A schema that is looked into.
type Place<'a> = (&'a str, &'a str, &'a Schema);

impl<'a> Scene<'a> {
    /// Everything in the scope, before names are looked at.
    pub(super) fn shown_rows(&self, show: &Show) -> Run<Vec<Row<'a>>> {
        let sight = self.sight();
        match &show.what {
            What::Databases => Ok(self.databases(&sight)),
            What::Warehouses => Ok(self.warehouses(&sight)),
            What::Schemas => self.schemas(show, &sight),
            What::Columns => self.columns(show, &sight),
            what => {
                let mut rows = Vec::new();
                for (database, schema, of) in self.places(show, &sight)? {
                    rows.extend(
                        tables(&sight, database, schema, of)
                            .filter(|(_, of)| belongs(what, of.kind))
                            .map(|(name, of)| Row::Table { database, schema, name, of }),
                    );
                }
                Ok(rows)
            }
        }
    }

    fn databases(&self, sight: &Sight<'a>) -> Vec<Row<'a>> {
        let current = self.identity.database.as_deref();
        let seen = self.account.databases.iter().filter(|(name, of)| sight.sees(&[name], &of.facts.owner));
        seen.map(|(name, of)| Row::Database { name, of, current: current == Some(name) }).collect()
    }

    fn warehouses(&self, sight: &Sight<'a>) -> Vec<Row<'a>> {
        let current = self.identity.warehouse.as_deref();
        let seen = self.account.warehouses.iter().filter(|(name, _)| sight.may_use(name));
        seen.map(|(name, of)| Row::Warehouse { name, of, current: current == Some(name) }).collect()
    }

    fn schemas(&self, show: &Show, sight: &Sight<'a>) -> Run<Vec<Row<'a>>> {
        let mut rows = Vec::new();
        for (database, of) in self.looked_into(show, sight)? {
            let here = self.identity.database.as_deref() == Some(database);
            rows.extend(schemas(sight, database, of).map(|(name, of)| {
                let current = here && self.identity.schema.as_deref() == Some(name);
                Row::Schema { database, name, of, current }
            }));
        }
        Ok(rows)
    }

    fn columns(&self, show: &Show, sight: &Sight<'a>) -> Run<Vec<Row<'a>>> {
        if let Scope::Object(name) = &show.scope {
            return self.columns_of(&self.full(name, verb(show))?, "Table");
        }
        // One row more than is shown tells that there are more; nobody needs the rest.
        let (most, mut rows) = (self.limits.show_rows + 1, Vec::new());
        for (database, schema, of) in self.places(show, sight)? {
            for (table, of) in tables(sight, database, schema, of) {
                if rows.len() >= most {
                    return Ok(rows);
                }
                let row = |(at, of)| Row::Column { database, schema, table, at, of };
                rows.extend(of.columns.iter().enumerate().map(row));
            }
        }
        Ok(rows)
    }

    /// The databases of the scope. One whose share was revoked fails the whole statement, as it does in real life.
    fn looked_into(&self, show: &Show, sight: &Sight<'a>) -> Run<Vec<(&'a str, &'a Database)>> {
        let name = match &show.scope {
            Scope::Account => None,
            Scope::Database(name) => Some(name.first().ok_or_else(Refusal::cannot_be_performed)?),
            _ => match &self.identity.database {
                None if show.what == What::Schemas => None,
                None => return Err(Refusal::no_database(verb(show))),
                name => name.as_ref(),
            },
        };
        if let Some(name) = name {
            return Ok(vec![self.open_database(name)?]);
        }
        let seen = self.account.databases.iter().filter(|(name, of)| sight.sees(&[name], &of.facts.owner));
        seen.map(|(name, of)| if of.revoked { Err(Refusal::share_is_gone()) } else { Ok((name.as_str(), of)) })
            .collect()
    }

    /// The schemas of the scope.
    fn places(&self, show: &Show, sight: &Sight<'a>) -> Run<Vec<Place<'a>>> {
        let one = match (&show.scope, &self.identity.schema) {
            (Scope::Schema(name), _) => Some(match &name[..] {
                [database, schema] => (database.clone(), schema.clone()),
                [schema] => {
                    let database = self.identity.database.clone();
                    (database.ok_or_else(|| Refusal::no_database(verb(show)))?, schema.clone())
                }
                _ => return Err(Refusal::cannot_be_performed()),
            }),
            (Scope::Session, Some(schema)) => self.identity.database.clone().map(|of| (of, schema.clone())),
            _ => None,
        };
        if let Some((database, schema)) = one {
            return Ok(vec![self.open_schema(&database, &schema)?]);
        }
        let databases = self.looked_into(show, sight)?;
        let places = databases.into_iter().flat_map(|(database, of)| {
            schemas(sight, database, of).map(move |(schema, of)| (database, schema, of)).collect::<Vec<_>>()
        });
        Ok(places.collect())
    }

    /// The rows of a view that a filter lets through. What the filter says of tables is asked once a table.
    pub(super) fn described(&self, database: &'a str, of: &'a Database, view: View, filter: &Filter) -> Vec<Row<'a>> {
        let sight = self.sight().without_manage_grants();
        let rows: Vec<Row<'a>> = match view {
            View::Databases => vec![Row::Database { name: database, of, current: false }],
            View::Schemata => {
                let row = |(name, of)| Row::Schema { database, name, of, current: false };
                schemas(&sight, database, of).map(row).collect()
            }
            View::Tables | View::Views | View::Columns => {
                let mut rows = Vec::new();
                for (schema, of) in schemas(&sight, database, of).filter(|(name, _)| filter.may_have_schema(name)) {
                    for (name, of) in tables(&sight, database, schema, of).filter(|(_, of)| !of.hidden) {
                        let row = Row::Table { database, schema, name, of };
                        if !filter.fits_table(&row) {
                            continue;
                        }
                        match view {
                            View::Columns => {
                                let column = |(at, of)| Row::Column { database, schema, table: name, at, of };
                                rows.extend(of.columns.iter().enumerate().map(column));
                            }
                            View::Views if !of.kind.is_view() => {}
                            _ => rows.push(row),
                        }
                    }
                }
                rows
            }
        };
        rows.into_iter().filter(|row| filter.fits_rest(row)).collect()
    }
}

/// What of a database's schemas the caller sees.
fn schemas<'a, 's>(
    sight: &'s Sight<'a>,
    database: &'a str,
    of: &'a Database,
) -> impl Iterator<Item = (&'a str, &'a Schema)> + use<'a, 's> {
    of.all_schemas().into_iter().filter(move |(name, of)| sight.sees(&[database, name], &of.facts.owner))
}

/// What of a schema's objects the caller sees.
fn tables<'a, 's>(
    sight: &'s Sight<'a>,
    database: &'a str,
    schema: &'a str,
    of: &'a Schema,
) -> impl Iterator<Item = (&'a str, &'a Table)> + use<'a, 's> {
    let all = sight.sees_all_in(database, schema);
    let names = of.tables.iter().map(|(name, of)| (name.as_str(), of));
    names.filter(move |(name, of)| all || sight.sees(&[database, schema, name], &of.facts.owner))
}

/// Whether a kind of object is listed by a kind of `SHOW`.
fn belongs(what: &What, kind: Kind) -> bool {
    match what {
        What::Tables => !kind.is_view(),
        What::Views => kind.is_view(),
        What::MaterializedViews => kind == Kind::MaterializedView,
        What::ExternalTables => kind == Kind::External,
        What::DynamicTables => kind == Kind::Dynamic,
        What::EventTables => kind == Kind::Event,
        What::IcebergTables => kind == Kind::Iceberg,
        What::HybridTables => kind == Kind::Hybrid,
        _ => true,
    }
}
