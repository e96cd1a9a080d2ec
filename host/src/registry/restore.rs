//! Which configurations come back when other versions serve, and with which secrets.
//!
//! What a connection has stays where the version that is to serve it understands it. Where it does not, what is kept for that
//! version comes back, or else what was kept when the connection began to try out another one. Of each secret that its way to
//! authenticate needs, the newest value counts, by name: a password that somebody replaced, and a token that the platform
//! replaced, are good no more under any version. But secrets go only to the address that they were given for (D42): where
//! the kept configuration leads elsewhere, the secrets kept with it come back. (What the platform replaces meanwhile is
//! replaced there too, `app/rotation.rs`.)

use super::Registry;
use crate::{
    connector::{Connector, descriptor::Descriptor},
    db::{
        DbError,
        connectors::{Back, KeptConfig, Restore, WithKept},
    },
    egress::vault::{Secrets, Vault},
    model::{
        connection::{Connection, Sealed},
        connector::{Installed, Version},
    },
};

impl Registry {
    /// What a change of who serves whom means for the connections for which something is kept: one for each that another
    /// version serves afterwards.
    pub(super) async fn comes_back(
        &self,
        before: &Installed,
        after: &Installed,
        versions: &[Version],
    ) -> Result<Vec<Restore>, DbError> {
        let mut found = Vec::new();
        for one in self.parts().db.kept(&after.technology).await? {
            let (id, pin) = (one.connection.id, one.connection.options.pin.as_deref());
            let (Some(from), Some(to)) = (before.serving(id, pin), after.serving(id, pin)) else { continue };
            if from == to {
                continue;
            }
            let connector = match versions.iter().find(|version| version.version == to) {
                Some(version) => self.load(version).await.ok(),
                None => None,
            };
            let back = connector.as_ref().and_then(|c| self.back(c, to, before.active_version(), &one));
            found.push(Restore {
                connection: id,
                revision: one.connection.revision,
                to: to.to_owned(),
                back,
                unknown: connector.is_none(),
            });
        }
        Ok(found)
    }

    /// A connection as a version would serve it that takes the place of what serves it now: with what would come back.
    pub(super) async fn as_served_by(
        &self,
        connector: &Connector,
        before: &Installed,
        connection: &Connection,
        sealed: &Sealed,
    ) -> Result<(Connection, Sealed), DbError> {
        let as_it_is = || (connection.clone(), sealed.clone());
        let Some(one) = self.parts().db.connection_with_kept(connection.id).await? else { return Ok(as_it_is()) };
        let to = connector.descriptor.version.as_str();
        let Some(back) = self.back(connector, to, before.active_version(), &one) else { return Ok(as_it_is()) };
        let Some(kept) = one.kept.into_iter().find(|kept| kept.version == back.of) else { return Ok(as_it_is()) };
        let connection = Connection { config: kept.config, address: kept.address, ..one.connection };
        Ok((connection, back.secrets))
    }

    /// What comes back where a version is to serve a connection and does not understand what that has.
    fn back(&self, connector: &Connector, to: &str, or: Option<&str>, one: &WithKept) -> Option<Back> {
        if self.fits(connector, &one.connection, &one.secrets).is_ok() {
            return None;
        }
        [Some(to), or].into_iter().flatten().find_map(|version| {
            let kept = one.kept.iter().find(|kept| kept.version == version)?;
            let secrets = secrets_of(&self.parts().vault, &connector.descriptor, one, kept)?;
            let (kept, were) = (kept.secrets.clone(), one.secrets.clone());
            Some(Back { of: version.to_owned(), kept, were, secrets })
        })
    }
}

/// The secrets with which a kept configuration comes back; none where it does not fit either.
fn secrets_of(vault: &Vault, descriptor: &Descriptor, one: &WithKept, kept: &KeptConfig) -> Option<Sealed> {
    let id = one.connection.id;
    let old = vault.open(id, &kept.secrets).ok()?;
    let same_places = kept.address == one.connection.address
        && !descriptor.address_fields_differ(&kept.config, &one.connection.config);
    let present = if same_places { vault.open(id, &one.secrets).ok() } else { None };
    let fits = |secrets: &Secrets| descriptor.admit(&kept.config, None, Some(secrets), true).ok();
    let newest = present.and_then(|present| {
        let together = over(&old, &present);
        let needed = fits(&together)?.secrets;
        Some(only(together, |name| old.0.contains_key(name) || needed.0.contains_key(name)))
    });
    let secrets = match newest {
        Some(newest) => newest,
        None => fits(&old).map(|_| old)?,
    };
    vault.seal(id, &secrets).ok()
}

/// All of both; where both have one, that of the second.
fn over(one: &Secrets, other: &Secrets) -> Secrets {
    Secrets(one.0.iter().chain(&other.0).map(|(name, value)| (name.clone(), value.clone())).collect())
}

fn only(secrets: Secrets, is_needed: impl Fn(&str) -> bool) -> Secrets {
    Secrets(secrets.0.into_iter().filter(|(name, _)| is_needed(name)).collect())
}

#[cfg(test)]
mod tests;
