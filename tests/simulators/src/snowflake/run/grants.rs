//! Rows that are no part of the catalogue: grants and parameters.

use super::{Run, Scene};
use crate::snowflake::access::{On, Privilege};
use crate::snowflake::errors::{Refusal, shown};
use crate::snowflake::sql::What;

impl Scene<'_> {
    /// Rows that are no part of the catalogue: grants and parameters.
    pub(super) fn texts(&self, what: &What) -> Run<Option<Vec<Vec<Option<String>>>>> {
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
