//! What a connector delivers, after the connector adapter has checked it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{column::Column, object::Facts, path::RemotePath};

/// An object as a page carries it.
#[derive(Clone, Debug, PartialEq)]
pub struct ScannedObject {
    /// Below the connection; never empty.
    pub path: RemotePath,
    /// Tells things of one name apart.
    pub namespace: String,
    /// What is compared with the stored object.
    pub facts: Facts,
    /// Changes whenever the columns may have changed.
    pub fingerprint: Option<String>,
    /// None: not delivered. Empty: there are none.
    pub columns: Option<Vec<Column>>,
    /// Why the connector leaves it out, where it does.
    pub excluded: Option<String>,
}

/// A part of the listing that can be read by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partition {
    /// Tells it from the other partitions of its job.
    pub id: String,
    /// Every object of it lies below this path.
    pub scope: RemotePath,
    /// The connector's own.
    pub payload: String,
    /// Larger ones are begun first; 0 is unknown.
    pub weight: u64,
}

/// The connector's statement that every direct child of a container was delivered in this job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// The container.
    pub path: RemotePath,
    /// The namespace of the children.
    pub namespace: String,
    /// As whom and how it was listed.
    pub basis: String,
}

/// Something a connector or the platform could not do with one object: reported beside the rest, which goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectError {
    /// The object; the empty path is the connection.
    pub path: RemotePath,
    /// What kind of failure.
    pub code: String,
    /// One sentence for people.
    pub message: String,
}

/// Where a partition goes on: the connector's own text, opaque to us.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(pub String);

/// One step of a listing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// A container stands before its children.
    pub objects: Vec<ScannedObject>,
    /// What could not be read.
    pub errors: Vec<ObjectError>,
    /// Containers that are complete now.
    pub listed: Vec<Listing>,
    /// To be read after this page.
    pub partitions: Vec<Partition>,
    /// None ends the partition.
    pub next: Option<Cursor>,
    /// Do not ask for the next page sooner.
    pub not_before: Option<Duration>,
}

/// What a connector says of a name when asked again (D36).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It is there.
    Present,
    /// It is not.
    Absent,
    /// It cannot be told: changes nothing.
    Unknown,
}
