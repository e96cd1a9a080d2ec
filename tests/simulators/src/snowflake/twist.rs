//! How an answer of this platform can be odd.

use serde::{Deserialize, Serialize};

/// What happens to the answer of the request that a rule hits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "twist", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Twist {
    /// `INFORMATION_SCHEMA` says 090030, whatever was asked.
    TooMuchData,
    /// The warehouse cannot be used for this statement: 000606.
    NoWarehouse,
    /// The statement takes longer than a client may wait, 202 or 333333: so many polls say that it runs still.
    Async {
        /// Polls before the result is there.
        polls: u32,
    },
    /// The columns of the result come in reverse.
    Reordered,
    /// A column of the result is lacking.
    MissingColumn {
        /// Which, without regard to case.
        name: String,
    },
    /// The result has one column more.
    ExtraColumn,
    /// Numbers and times come as numbers instead of texts.
    NumericCells,
    /// The result comes in a format nobody asked for.
    Arrow,
    /// The storage service's error document, with status 200.
    StorageError,
    /// A small body that inflates to this many bytes.
    GzipBomb {
        /// After inflation.
        bytes: u64,
    },
    /// An endless string inside the rows: so many bytes, announced and sent.
    Huge {
        /// On the wire.
        bytes: u64,
    },
    /// Sessions are over: 390112, and may be renewed with their master tokens.
    ExpireSessions,
    /// Sessions and their master tokens are over: 390114 at the renewal.
    ExpireMasters,
    /// Sessions are not known any more: 390111.
    ForgetSessions,
    /// Tokens issued for OAuth are over.
    ExpireOAuth,
    /// Programmatic access tokens are over.
    ExpireAccessTokens,
    /// Results kept for later polls, partitions and chunks are gone.
    ForgetResults,
}
