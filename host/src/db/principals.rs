//! Who may call the API. Keys are stored as SHA-256 digests only.

use jiff::Timestamp;
use redb::ReadableTable as _;
use redb::ReadableTableMetadata as _;

use super::{
    Db, DbError,
    fault::Fault,
    records::{PrincipalRow, decode, encode, micros},
    tables::Rows,
};
use crate::model::principal::Principal;

impl Db {
    /// Adds somebody with the digest of an API key, or gives a known one a new key. The old key's row goes with the same
    /// transaction: there is no instant with two keys or none. Browser sessions that were begun with it end with it.
    pub async fn put_principal(&self, principal: Principal, key_digest: [u8; 32]) -> Result<(), DbError> {
        self.write("store a principal", move |rows| {
            let id = principal.id.as_u128();
            let old = rows.principals.get(id)?.map(|row| decode::<PrincipalRow>(row.value())).transpose()?;
            if let Some(old) = old {
                rows.principal_keys.remove(&old.key_digest)?;
                if old.key_digest != key_digest {
                    rows.sessions.retain(|_, (owner, _)| owner != id)?;
                }
            }
            rows.principals.insert(id, encode(&PrincipalRow { principal, key_digest })?.as_slice())?;
            rows.principal_keys.insert(&key_digest, id)?;
            Ok(())
        })
        .await
    }

    /// Whether anybody has a key.
    pub async fn has_principals(&self) -> Result<bool, DbError> {
        self.read("look for principals", |rows| Ok(!rows.principals.is_empty()?)).await
    }

    /// Whose key it is.
    pub async fn principal_by_key(&self, key_digest: [u8; 32]) -> Result<Option<Principal>, DbError> {
        self.read("find a key", move |rows| match rows.principal_keys().get(&key_digest)?.map(|row| row.value()) {
            Some(id) => Ok(principal(rows, id)?),
            None => Ok(None),
        })
        .await
    }

    /// Begins a browser session. Sessions that have ended long ago are dropped on the way.
    pub async fn put_session(
        &self,
        token_digest: [u8; 32],
        principal: &Principal,
        expires_at: Timestamp,
    ) -> Result<(), DbError> {
        let id = principal.id.as_u128();
        self.write("begin a session", move |rows| {
            // Without a clock here: whatever ended a month before this one will end is over under any usual duration.
            let month = 31 * 24 * 3_600_000_000_i64;
            let horizon = micros(expires_at).saturating_sub(month);
            rows.sessions.retain(|_, (_, end)| end > horizon)?;
            rows.sessions.insert(&token_digest, (id, micros(expires_at)))?;
            Ok(())
        })
        .await
    }

    /// Whose session it is, if it has not expired.
    pub async fn principal_by_session(
        &self,
        token_digest: [u8; 32],
        now: Timestamp,
    ) -> Result<Option<Principal>, DbError> {
        self.read("find a session", move |rows| match rows.sessions().get(&token_digest)?.map(|row| row.value()) {
            Some((id, end)) if micros(now) < end => Ok(principal(rows, id)?),
            _ => Ok(None),
        })
        .await
    }

    /// Ends a browser session.
    pub async fn delete_session(&self, token_digest: [u8; 32]) -> Result<(), DbError> {
        self.write("end a session", move |rows| {
            rows.sessions.remove(&token_digest)?;
            Ok(())
        })
        .await
    }
}

fn principal(rows: &impl Rows, id: u128) -> Result<Option<Principal>, Fault> {
    let row = rows.principals().get(id)?;
    Ok(row.map(|row| decode::<PrincipalRow>(row.value())).transpose()?.map(|row| row.principal))
}
