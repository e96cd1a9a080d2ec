//! What the inventory keeps of a catalogued thing.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    filter::Exclusion,
    id::{ConnectionId, HoldId, ObjectId},
    name::Technology,
    path::ObjectPath,
    settings::{EffectiveSettings, Overrides},
    sight::Visible,
};

/// What an object is to us (D39). A kind that nobody heard of is [`Kind::Other`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Holds other objects.
    Container,
    /// Has columns; a data source when enabled (F5).
    TableLike,
    /// Anything else.
    Other,
}

impl Kind {
    /// Reads the text of the contract.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        match text {
            "container" => Self::Container,
            "table-like" => Self::TableLike,
            _ => Self::Other,
        }
    }

    /// The text of the contract.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::TableLike => "table-like",
            Self::Other => "other",
        }
    }
}

/// Whether the platform still has the object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RemoteStatus {
    /// As far as we know it is there.
    #[default]
    Present,
    /// A complete listing no longer had it, or had not an ancestor of it (D1).
    Missing,
    /// Left out by the connection's patterns, or by the connector (D41).
    Excluded,
}

/// What the platform tells about an object besides its columns: the part that a listing compares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// What it is to us.
    pub kind: Kind,
    /// What the platform calls it: `database`, `schema`, `table`, `view`, or anything else.
    pub object_type: String,
    /// The platform's own id.
    pub remote_id: Option<String>,
    /// The platform's comment.
    pub comment: Option<String>,
    /// What people want to see of it, in the connector's order.
    pub attributes: Vec<(String, String)>,
}

/// An object as people see it: what is stored, with everything that is computed from its ancestors.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectView {
    /// How much of it the caller sees. Of a mere step on the path only id, place, kind and type are told; its
    /// `child_count` is then what the caller sees below it.
    pub visible: Visible,
    /// Never changes.
    pub id: ObjectId,
    /// The connection it belongs to.
    pub connection: ConnectionId,
    /// The connection's technology.
    pub technology: Technology,
    /// Where it is now.
    pub path: ObjectPath,
    /// The container it lies in; none for a connection.
    pub parent: Option<ObjectId>,
    /// Tells things of one name apart; usually empty.
    pub namespace: String,
    /// What the platform tells.
    pub facts: Facts,
    /// Left out, where it or anything above it is; else its own mark or the nearest ancestor's.
    pub remote_status: RemoteStatus,
    /// What leaves it out.
    pub exclusion: Option<Exclusion>,
    /// The hold that it, or the nearest object above it, is in: proved to be absent, and not believed (D33).
    pub held: Option<HoldId>,
    /// Effective status, new-object rule, and where they come from.
    pub settings: EffectiveSettings,
    /// What is set on the object itself.
    pub overrides: Overrides,
    /// Effective status, unless it or an ancestor is missing or excluded.
    pub active: bool,
    /// Number of descendants.
    pub child_count: u64,
    /// Whether a descendant has settings of its own.
    pub descendants_have_overrides: bool,
    /// Whether columns were ever delivered for it.
    pub columns_known: bool,
    /// Counts changes of the row: what `If-Match` is compared with.
    pub revision: u64,
    /// When the container was last listed completely, or the columns were last read.
    pub last_synced_at: Option<Timestamp>,
    /// When it was first found.
    pub created_at: Timestamp,
    /// When anything of it last changed.
    pub updated_at: Timestamp,
}

impl ObjectView {
    /// Whether it is a data source: an enabled table-like object (F5).
    #[must_use]
    pub fn is_data_source(&self) -> bool {
        self.active && self.facts.kind == Kind::TableLike
    }
}
