//! What a connector implements, and what it is given.

use std::rc::Rc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::{
    Attributes, ColumnsRequest, Descriptor, Error, Filter, Host, Outcome, Page, Partition, Presence, ReadRequest,
    config,
    http::{Http, RequestBuilder},
};

/// A connector: one technology, read only.
///
/// Every function may be called in a fresh instance and cut at any time: keep nothing in statics, and put all that is
/// needed to go on into cursors. See the crate's README for a whole one.
pub trait Connector: Sized + 'static {
    /// The connection's configuration. Its JSON schema is what payloads are checked against; secrets are fields of
    /// type [`crate::Secret`], which never hold anything here.
    type Config: DeserializeOwned + JsonSchema;

    /// What the connector is and needs. Pure: the same every time, without asking anybody.
    fn descriptor() -> Descriptor;

    /// Whether the connection works: one outcome per capability, beginning with `reach` and `authenticate`. What
    /// does not work is an outcome; an error means that checking itself failed.
    fn check(cx: &Context<Self::Config>) -> Result<Vec<Outcome>, Error>;

    /// Where to begin listing what lies below `scope` (empty: everything). Cheap, and as coarse as it likes: pages may
    /// bring further partitions.
    fn plan(cx: &Context<Self::Config>, scope: &[String]) -> Result<Vec<Partition>, Error>;

    /// One page of a partition. Build it with [`crate::Pager`], which keeps the limits.
    fn read(cx: &Context<Self::Config>, request: ReadRequest) -> Result<Page, Error>;
}

/// A connector that can read the columns of named objects, so that a sync costs what changed.
/// Exported by `export!(MyConnector: columns)`.
pub trait ReadColumns: Connector {
    /// Each name is answered by an object or by an error with its path; one that is left out is asked again with the
    /// page's cursor, and keeps its old columns if there is none.
    fn read_columns(cx: &Context<Self::Config>, request: ColumnsRequest) -> Result<Page, Error>;
}

/// A connector that can tell of single names whether they are still there.
/// Exported by `export!(MyConnector: confirm)`.
pub trait Confirm: Connector {
    /// One answer per name, in their order. `Absent` only where the platform tells it from "not allowed".
    fn confirm(
        cx: &Context<Self::Config>,
        scope: &[String],
        namespace: &str,
        names: &[String],
    ) -> Result<Vec<Presence>, Error>;
}

/// A connector that can cancel what still runs on the platform.
/// Exported by `export!(MyConnector: abandon)`.
pub trait Abandon: Connector {
    /// Best effort, 5 seconds.
    fn abandon(cx: &Context<Self::Config>, cursor: &str);
}

/// What one call of a connector is given: the connection's configuration, and the way out.
pub struct Context<C> {
    config: C,
    origin: String,
    filter: Filter,
    http: Http,
}

impl<C: DeserializeOwned> Context<C> {
    /// Reads the configuration that a host hands over. Connectors are given a context; tests make one with
    /// [`crate::testing`].
    pub fn new(config: &str, host: Rc<dyn Host>) -> Result<Self, Error> {
        let (config, origin, filter) = config::read(config)?;
        Ok(Self { config, origin, filter, http: Http::new(host) })
    }
}

impl<C> Context<C> {
    /// The connection's configuration, without secrets.
    #[must_use]
    pub fn config(&self) -> &C {
        &self.config
    }

    /// Where the platform is: `https://host`, with the port where it is not the usual one. Made by the host.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// What shall be listed. The host keeps to it by itself; who looks here saves the platform the asking.
    #[must_use]
    pub fn filter(&self) -> &Filter {
        &self.filter
    }

    /// The HTTP client.
    #[must_use]
    pub fn http(&self) -> &Http {
        &self.http
    }

    /// A GET with this path (already encoded) at the platform's origin, with the connection's credential.
    pub fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(format!("{}{path}", self.origin)).auth()
    }

    /// Whether less than this much time has passed since the call began. False where the sandbox has no clock: then do
    /// the least that makes progress.
    #[must_use]
    pub fn within_ms(&self, limit: u64) -> bool {
        self.http.host().elapsed_ms().is_some_and(|elapsed| elapsed < limit)
    }

    /// Writes a line for the operator. Levels are `error`, `warn`, `info`, `debug`, `trace`.
    pub fn log(&self, level: &str, message: &str, fields: &[(&str, &str)]) {
        let host = self.http.host();
        if host.log_enabled(level) {
            let fields: Attributes = fields.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            host.log(level, message, &fields);
        }
    }
}
