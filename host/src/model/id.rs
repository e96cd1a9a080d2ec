//! Identifiers. All are UUIDv7: unique without a counter, and in order of creation, so that rows written together lie
//! together. Their text form is also their form on the wire and on disk.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Text that is not an id.
#[derive(Debug, thiserror::Error)]
#[error("not an id: it must be a UUID such as 0199f0c2-7d4e-7c3a-9a55-0d9c6f1e2b3a")]
pub struct InvalidId;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id, greater than every id made before it in this process.
            #[must_use]
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }

            /// The id as a number: its key in the store.
            #[must_use]
            pub fn as_u128(self) -> u128 {
                self.0.as_u128()
            }

            /// The id that [`Self::as_u128`] came from.
            #[must_use]
            pub fn from_u128(value: u128) -> Self {
                Self(Uuid::from_u128(value))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Uuid::parse_str(text).map(Self).map_err(|_| InvalidId)
            }
        }
    };
}

id!(
    /// A node of the inventory. Never changes, whatever the object is renamed to (D38).
    ObjectId
);
id!(
    /// A registered account. The same number as the id of the connection's own object, the root of its tree (D21).
    ConnectionId
);
id!(
    /// A persisted piece of work.
    JobId
);
id!(
    /// Jobs that were asked for together.
    BulkId
);
id!(
    /// One run of the host, from start to end: claims of an earlier one are void (D43).
    Incarnation
);
id!(
    /// Who may call the API.
    PrincipalId
);
id!(
    /// Absences that are held back together (D33).
    HoldId
);

impl ConnectionId {
    /// The object that stands for the connection in the tree.
    #[must_use]
    pub fn object(self) -> ObjectId {
        ObjectId(self.0)
    }
}

impl ObjectId {
    /// The connection whose root this object is, if it is one.
    #[must_use]
    pub fn as_connection(self) -> ConnectionId {
        ConnectionId(self.0)
    }
}
