//! A registered account.

use std::{fmt, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    filter::Filter,
    hold::HoldRule,
    id::{ConnectionId, PrincipalId},
    name::{ConnectionKey, Technology},
    schedule::Schedule,
};

/// Where the platform listens: what must be unique among the connections of a technology (F10).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Address {
    /// Whether the connection consents to go without TLS.
    pub insecure: bool,
    /// Host name in lower case, without a trailing dot, or an address.
    pub hostname: String,
    /// TCP port.
    pub port: u16,
}

impl fmt::Display for Address {
    /// The origin: scheme, host and port, the latter left out where it is the scheme's own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, default) = if self.insecure { ("http", 80) } else { ("https", 443) };
        let host = if self.hostname.contains(':') { format!("[{}]", self.hostname) } else { self.hostname.clone() };
        if self.port == default { write!(f, "{scheme}://{host}") } else { write!(f, "{scheme}://{host}:{}", self.port) }
    }
}

/// Behaviour that a person may choose for a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionOptions {
    /// Every sync also scans disabled objects.
    pub force_recursive_crawl: bool,
    /// What of the account is listed.
    pub filter: Filter,
    /// Columns of objects without a fingerprint are taken for current for so long; none: every sync reads them.
    pub columns_max_age: Option<Duration>,
    /// When it is synced by itself. The store keeps it apart, beside when it was last due.
    #[serde(skip)]
    pub schedule: Schedule,
    /// When what vanished at once is held back. The store keeps it apart.
    #[serde(skip)]
    pub hold: HoldRule,
    /// The version of its connector that serves it, whatever becomes active. The store keeps it apart.
    #[serde(skip)]
    pub pin: Option<String>,
}

/// Who did something, as shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The principal.
    pub id: PrincipalId,
    /// Its display name.
    pub name: String,
    /// Its address, where there is one.
    pub email: Option<String>,
}

/// One account at a platform. Secrets are kept apart, sealed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Connection {
    /// The same number as its object's id.
    pub id: ConnectionId,
    /// Unique display name.
    pub key: ConnectionKey,
    /// Which connector serves it.
    pub technology: Technology,
    /// The `connection` object of the payload without its secrets.
    pub config: Value,
    /// Where it connects to.
    pub address: Address,
    /// What tells the account from others, as `check` said (D42).
    pub identity: Option<String>,
    /// Names from the top that are the host's own and never listed (F40).
    pub host_managed: Option<String>,
    /// Chosen behaviour.
    pub options: ConnectionOptions,
    /// When its patterns last let in what they may have left out before: what was listed earlier is not known
    /// completely.
    pub widened_at: Option<Timestamp>,
    /// Counts changes.
    pub revision: u64,
    /// Who registered it.
    pub created_by: Actor,
    /// Who changed it last.
    pub updated_by: Actor,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// Secrets under the master key: opaque to everything but the vault.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed(pub Vec<u8>);

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}
