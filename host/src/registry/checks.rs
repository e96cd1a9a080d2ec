//! Whether a connection works with a version: its configuration fits, and the check says so.

use std::time::Duration;

use super::Registry;
use crate::{
    connector::{Connector, guest_config},
    model::connection::{Connection, Sealed},
};

/// How long a check may take.
const CHECK_TIMEOUT: Duration = Duration::from_secs(60);

impl Registry {
    /// Whether a stored configuration is one that the version takes, with a way to authenticate that it still has.
    pub(super) fn fits(&self, connector: &Connector, connection: &Connection, sealed: &Sealed) -> Result<(), String> {
        let secrets = self.parts().vault.open(connection.id, sealed).map_err(|error| error.to_string())?;
        let admitted = connector.descriptor.admit(&connection.config, None, Some(&secrets), true);
        admitted.map(|_| ()).map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    }

    /// Whether the check finds nothing that stands in the way.
    pub(super) async fn works(
        &self,
        connector: &Connector,
        connection: &Connection,
        sealed: &Sealed,
    ) -> Result<(), String> {
        let secrets = self.parts().vault.open(connection.id, sealed).map_err(|error| error.to_string())?;
        let session = connector.session(&self.parts().egress, connection, secrets).map_err(|error| error.message)?;
        let config = guest_config(&connection.config, &connection.options.filter);
        let checked = tokio::time::timeout(CHECK_TIMEOUT, connector.check(&session, &config)).await;
        match checked {
            Err(_) => Err(format!("the check did not end within {} s", CHECK_TIMEOUT.as_secs())),
            Ok((Err(error), _)) => Err(error.message),
            Ok((Ok(outcomes), _)) => match outcomes.iter().find(|outcome| outcome.stands_in_the_way()) {
                Some(outcome) => Err(format!("{}: {}", outcome.capability, outcome.message)),
                None => Ok(()),
            },
        }
    }
}
