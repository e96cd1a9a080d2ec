//! Who may call the API. Keys are stored as SHA-256 digests only.

use jiff::Timestamp;

use super::{Db, DbError};
use crate::model::principal::Principal;

impl Db {
    /// Adds somebody with the digest of an API key, or gives a known one a new key.
    pub async fn put_principal(&self, _principal: Principal, _key_digest: [u8; 32]) -> Result<(), DbError> {
        unimplemented!()
    }

    /// Whether anybody has a key.
    pub async fn has_principals(&self) -> Result<bool, DbError> {
        unimplemented!()
    }

    /// Whose key it is.
    pub async fn principal_by_key(&self, _key_digest: [u8; 32]) -> Result<Option<Principal>, DbError> {
        unimplemented!()
    }

    /// Begins a browser session.
    pub async fn put_session(
        &self,
        _token_digest: [u8; 32],
        _principal: &Principal,
        _expires_at: Timestamp,
    ) -> Result<(), DbError> {
        unimplemented!()
    }

    /// Whose session it is, if it has not expired.
    pub async fn principal_by_session(
        &self,
        _token_digest: [u8; 32],
        _now: Timestamp,
    ) -> Result<Option<Principal>, DbError> {
        unimplemented!()
    }

    /// Ends a browser session.
    pub async fn delete_session(&self, _token_digest: [u8; 32]) -> Result<(), DbError> {
        unimplemented!()
    }
}
