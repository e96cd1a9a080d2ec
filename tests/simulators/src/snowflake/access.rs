//! Who may see what: users with their credentials, roles with their grants, and what a set of roles sees.
//!
//! What a role may not see is silently absent, or answered as if it did not exist. Nothing here knows HTTP or SQL.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::model::{Account, INFORMATION_SCHEMA};

/// A privilege, as far as listing metadata depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "the platform's own words")]
pub enum Privilege {
    Usage,
    References,
    Select,
    ImportedPrivileges,
    ManageGrants,
}

/// On what a privilege is granted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum On {
    /// The account: `MANAGE GRANTS`.
    Account,
    /// A warehouse.
    Warehouse(String),
    /// One database, schema or object.
    Path(Vec<String>),
    /// Everything below, now and in future: of the account, a database or a schema.
    Below(Vec<String>),
}

/// A privilege on something.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// Which.
    pub privilege: Privilege,
    /// On what.
    pub on: On,
}

/// A role.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Role {
    /// What was granted to it.
    pub grants: BTreeSet<Grant>,
    /// Roles granted to it, whose grants it has as well.
    pub inherits: BTreeSet<String>,
    /// Sees everything, also in `INFORMATION_SCHEMA`: `ACCOUNTADMIN`.
    pub admin: bool,
}

/// A user and everything it can show to get in.
#[derive(Debug, Clone, Default)]
pub struct User {
    /// None: this user has no password.
    pub password: Option<String>,
    /// `RSA_PUBLIC_KEY` and `RSA_PUBLIC_KEY_2`, as DER of the SubjectPublicKeyInfo.
    pub public_keys: [Option<Vec<u8>>; 2],
    /// Programmatic access tokens by their secret.
    pub tokens: BTreeMap<String, AccessToken>,
    /// Roles it may use.
    pub roles: BTreeSet<String>,
    /// Used where none is named.
    pub default_role: Option<String>,
    /// Used where none is named.
    pub default_warehouse: Option<String>,
    /// `DEFAULT_SECONDARY_ROLES`: all of its roles count at once.
    pub secondary_roles: bool,
    /// May not get in at all.
    pub disabled: bool,
}

/// A programmatic access token.
#[derive(Debug, Clone)]
pub struct AccessToken {
    /// When it is over, in seconds since 1970.
    pub until: i64,
    /// The only role it may be used with.
    pub role: Option<String>,
}

/// A grant of `USAGE` and the like on one thing.
pub fn grant(privilege: Privilege, path: &[&str]) -> Grant {
    Grant { privilege, on: On::Path(path.iter().map(|&name| name.to_owned()).collect()) }
}

/// A grant on everything below.
pub fn grant_below(privilege: Privilege, path: &[&str]) -> Grant {
    Grant { privilege, on: On::Below(path.iter().map(|&name| name.to_owned()).collect()) }
}

impl Account {
    /// A role with grants; a role that is there gets them on top.
    pub fn grant_to(&mut self, role: &str, grants: impl IntoIterator<Item = Grant>) {
        self.roles.entry(role.to_owned()).or_default().grants.extend(grants);
    }

    /// What the session with these roles sees.
    pub fn sight<'a>(
        &'a self,
        roles: impl IntoIterator<Item = &'a str>,
        revoked: &'a BTreeSet<Vec<String>>,
    ) -> Sight<'a> {
        let mut names = BTreeSet::from(["PUBLIC"]);
        let mut open: Vec<&str> = roles.into_iter().collect();
        while let Some(name) = open.pop() {
            if names.insert(name) {
                open.extend(self.roles.get(name).into_iter().flat_map(|role| role.inherits.iter().map(String::as_str)));
            }
        }
        let roles: Vec<_> = names.iter().filter_map(|&name| self.roles.get(name)).collect();
        let manages = Grant { privilege: Privilege::ManageGrants, on: On::Account };
        Sight {
            admin: roles.iter().any(|role| role.admin),
            manages: roles.iter().any(|role| role.grants.contains(&manages)),
            grants: roles.iter().flat_map(|role| &role.grants).collect(),
            names,
            revoked,
        }
    }
}

/// What a set of roles sees.
#[derive(Debug)]
pub struct Sight<'a> {
    admin: bool,
    manages: bool,
    grants: BTreeSet<&'a Grant>,
    names: BTreeSet<&'a str>,
    revoked: &'a BTreeSet<Vec<String>>,
}

impl<'a> Sight<'a> {
    /// The same without `MANAGE GRANTS`, which `INFORMATION_SCHEMA` does not honour.
    #[must_use]
    pub fn without_manage_grants(self) -> Self {
        Self { manages: false, ..self }
    }

    /// Whether the container at a path of one or two names, or the object at three, is there for these roles.
    pub fn sees(&self, path: &[&str], owner: &str) -> bool {
        if self.is_revoked(path) {
            return false;
        }
        self.admin
            || self.manages
            || path.get(1).is_some_and(|schema| *schema == INFORMATION_SCHEMA)
            || self.names.contains(owner)
            || self.all_below(path)
            || self.has_on(path)
    }

    /// Whether everything in a schema is visible without looking at each object.
    pub fn sees_all_in(&self, database: &str, schema: &str) -> bool {
        let path = [database, schema, ""];
        self.revoked.is_empty() && (self.admin || self.manages || schema == INFORMATION_SCHEMA || self.all_below(&path))
    }

    /// Whether the roles may use the warehouse.
    pub fn may_use(&self, warehouse: &str) -> bool {
        self.admin
            || self.grants.contains(&Grant { privilege: Privilege::Usage, on: On::Warehouse(warehouse.to_owned()) })
    }

    fn is_revoked(&self, path: &[&str]) -> bool {
        self.revoked.iter().any(|of| of.len() <= path.len() && of.iter().zip(path).all(|(a, b)| a == b))
    }

    /// A privilege on the thing itself; for a database or schema one that lies inside does not open it.
    fn has_on(&self, path: &[&str]) -> bool {
        let privileges: &[Privilege] = match path.len() {
            1 => &[Privilege::Usage, Privilege::ImportedPrivileges],
            2 => &[Privilege::Usage],
            _ => &[Privilege::References, Privilege::Select],
        };
        let owned = || path.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        privileges.iter().any(|&privilege| self.grants.contains(&Grant { privilege, on: On::Path(owned()) }))
    }

    /// A privilege on everything below an ancestor, or the whole of an imported database.
    fn all_below(&self, path: &[&str]) -> bool {
        let privileges: &[Privilege] =
            if path.len() < 3 { &[Privilege::Usage] } else { &[Privilege::References, Privilege::Select] };
        let imported = Grant {
            privilege: Privilege::ImportedPrivileges,
            on: On::Path(path.iter().take(1).map(|&name| name.to_owned()).collect()),
        };
        (path.len() > 1 && self.grants.contains(&imported))
            || (0..path.len()).any(|depth| {
                privileges.iter().any(|&privilege| {
                    let above = path[..depth].iter().map(|&name| name.to_owned()).collect();
                    self.grants.contains(&Grant { privilege, on: On::Below(above) })
                })
            })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Grant, On, Privilege, grant, grant_below};
    use crate::snowflake::model::Account;

    #[test]
    fn a_table_needs_a_privilege_on_itself_or_on_all() {
        let mut account = Account::new("O", "A", "L", 1);
        account.grant_to("READER", [grant(Privilege::Usage, &["D"]), grant(Privilege::References, &["D", "S", "T"])]);
        account.grant_to("ALL", [grant_below(Privilege::Select, &["D", "S"])]);
        let none = BTreeSet::new();
        let sight = account.sight(["READER"], &none);
        assert!(sight.sees(&["D"], "") && !sight.sees(&["D", "S"], "") && !sight.sees(&["E"], ""));
        assert!(sight.sees(&["D", "S", "T"], "") && !sight.sees(&["D", "S", "U"], ""));
        assert!(!sight.sees_all_in("D", "S") && account.sight(["ALL"], &none).sees_all_in("D", "S"));
        assert!(account.sight(["STRANGER"], &none).sees(&["D", "S", "T"], "STRANGER"), "owners see what they own");
    }

    #[test]
    fn imported_privileges_open_the_whole_database_and_roles_inherit() {
        let mut account = Account::new("O", "A", "L", 1);
        account.grant_to("SHARE", [grant(Privilege::ImportedPrivileges, &["D"])]);
        account.grant_to("READER", []);
        account.roles.get_mut("READER").unwrap().inherits.insert("SHARE".into());
        let none = BTreeSet::new();
        let sight = account.sight(["READER"], &none);
        assert!(sight.sees(&["D"], "") && sight.sees(&["D", "S"], "") && sight.sees(&["D", "S", "T"], ""));
        assert!(!sight.sees(&["E", "S", "T"], ""));
    }

    #[test]
    fn manage_grants_sees_all_but_not_through_the_information_schema() {
        let mut account = Account::new("O", "A", "L", 1);
        account.grant_to("BOSS", [Grant { privilege: Privilege::ManageGrants, on: On::Account }]);
        let revoked = BTreeSet::from([vec!["D".to_owned(), "S".to_owned()]]);
        assert!(account.sight(["BOSS"], &revoked).sees(&["D", "T", "T"], ""));
        assert!(!account.sight(["BOSS"], &revoked).sees(&["D", "S", "T"], ""));
        assert!(!account.sight(["BOSS"], &revoked).without_manage_grants().sees(&["D", "T", "T"], ""));
    }
}
