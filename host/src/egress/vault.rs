//! Secrets at rest: sealed under the master key, bound to their connection.
//!
//! A sealed value is `version (1) | nonce (12) | ciphertext and tag`, ChaCha20-Poly1305 with a random nonce. The
//! connection's id and the version are authenticated with it, so a row that was moved to another connection does not
//! open. Nothing here writes a secret anywhere but into memory that is cleared when it is dropped.

pub mod master_key;

use std::{collections::BTreeMap, fmt};

use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf, hmac,
    rand::{SecureRandom, SystemRandom},
};
use zeroize::Zeroizing;

use crate::model::{connection::Sealed, id::ConnectionId};

/// Of the format of sealed values.
const VERSION: u8 = 1;

/// The secrets of a connection, by their path in the payload (`oAuthClientConfig.clientSecret`). Shown to nobody.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets(pub BTreeMap<String, Zeroizing<String>>);

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({} values)", self.0.len())
    }
}

/// Seals and opens secrets.
pub struct Vault {
    master_key: Zeroizing<[u8; 32]>,
    random: SystemRandom,
}

/// Sealed secrets that do not open: another master key, another connection, or a damaged row.
#[derive(Debug, thiserror::Error)]
#[error(
    "the stored credentials do not open with this master key: restore the key they were sealed with, or enter them again"
)]
pub struct Unsealable;

/// A purpose for which no key could be derived.
#[derive(Debug, thiserror::Error)]
#[error("no key could be derived from the master key")]
pub struct NoKey;

/// Secrets that could not be sealed: the system gave no randomness.
#[derive(Debug, thiserror::Error)]
#[error("the credentials could not be sealed: the system's source of randomness failed")]
pub struct SealFailed;

impl Vault {
    /// A vault with this master key.
    #[must_use]
    pub fn new(master_key: &[u8; 32]) -> Self {
        Self { master_key: Zeroizing::new(*master_key), random: SystemRandom::new() }
    }

    /// A key to tell this installation's own files by, for one purpose and no other. It does not lead back to the master
    /// key.
    pub fn mac_key(&self, purpose: &str) -> Result<hmac::Key, NoKey> {
        let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, b"wharfinger").extract(self.master_key.as_slice());
        extracted.expand(&[purpose.as_bytes()], hmac::HMAC_SHA256).map(hmac::Key::from).map_err(|_| NoKey)
    }

    /// Seals the secrets of a connection, and of no other.
    pub fn seal(&self, connection: ConnectionId, secrets: &Secrets) -> Result<Sealed, SealFailed> {
        let plain: BTreeMap<&str, &str> =
            secrets.0.iter().map(|(path, value)| (path.as_str(), value.as_str())).collect();
        let mut body = Zeroizing::new(postcard::to_stdvec(&plain).map_err(|_| SealFailed)?);
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).map_err(|_| SealFailed)?;
        let tag = self
            .key()
            .ok_or(SealFailed)?
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), aad(connection), body.as_mut_slice())
            .map_err(|_| SealFailed)?;
        Ok(Sealed([&[VERSION], nonce.as_slice(), body.as_slice(), tag.as_ref()].concat()))
    }

    /// Opens them again.
    pub fn open(&self, connection: ConnectionId, sealed: &Sealed) -> Result<Secrets, Unsealable> {
        let (&VERSION, rest) = sealed.0.split_first().ok_or(Unsealable)? else { return Err(Unsealable) };
        let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>().ok_or(Unsealable)?;
        let mut body = Zeroizing::new(body.to_vec());
        let plain = self
            .key()
            .ok_or(Unsealable)?
            .open_in_place(Nonce::assume_unique_for_key(*nonce), aad(connection), body.as_mut_slice())
            .map_err(|_| Unsealable)?;
        let values: BTreeMap<&str, &str> = postcard::from_bytes(plain).map_err(|_| Unsealable)?;
        Ok(Secrets(
            values.into_iter().map(|(path, value)| (path.to_owned(), Zeroizing::new(value.to_owned()))).collect(),
        ))
    }
}

impl Vault {
    fn key(&self) -> Option<LessSafeKey> {
        UnboundKey::new(&CHACHA20_POLY1305, self.master_key.as_slice()).ok().map(LessSafeKey::new)
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault")
    }
}

fn aad(connection: ConnectionId) -> Aad<[u8; 17]> {
    let mut bytes = [VERSION; 17];
    bytes[1..].copy_from_slice(&connection.as_u128().to_be_bytes());
    Aad::from(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(value: &str) -> Secrets {
        Secrets([("oAuthClientConfig.clientSecret".to_owned(), Zeroizing::new(value.to_owned()))].into())
    }

    #[test]
    fn secrets_open_only_for_their_connection_and_key() {
        let vault = Vault::new(&[7; 32]);
        let (one, other) = (ConnectionId::generate(), ConnectionId::generate());
        let sealed = vault.seal(one, &secrets("canary-4711-canary")).unwrap();
        assert_eq!(vault.open(one, &sealed).unwrap(), secrets("canary-4711-canary"));
        assert!(vault.open(other, &sealed).is_err(), "moved to another connection");
        assert!(Vault::new(&[8; 32]).open(one, &sealed).is_err(), "another master key");
    }

    #[test]
    fn each_purpose_and_each_installation_has_a_key_of_its_own() {
        let tag = |master: u8, purpose| {
            let key = Vault::new(&[master; 32]).mac_key(purpose).unwrap();
            hmac::sign(&key, b"file").as_ref().to_vec()
        };
        assert_eq!(tag(7, "a"), tag(7, "a"));
        assert_ne!(tag(7, "a"), tag(7, "b"));
        assert_ne!(tag(7, "a"), tag(8, "a"));
        assert_ne!(tag(7, "a"), hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]), b"file").as_ref());
    }

    #[test]
    fn every_damage_is_noticed() {
        let vault = Vault::new(&[7; 32]);
        let id = ConnectionId::generate();
        let sealed = vault.seal(id, &secrets("canary")).unwrap();
        for index in 0..sealed.0.len() {
            let mut damaged = sealed.clone();
            damaged.0[index] ^= 1;
            assert!(vault.open(id, &damaged).is_err(), "byte {index}");
            assert!(vault.open(id, &Sealed(sealed.0[..index].to_vec())).is_err(), "cut at {index}");
        }
    }

    #[test]
    fn sealing_twice_differs_and_shows_nothing() {
        let vault = Vault::new(&[7; 32]);
        let id = ConnectionId::generate();
        let (a, b) =
            (vault.seal(id, &secrets("canary-4711")).unwrap(), vault.seal(id, &secrets("canary-4711")).unwrap());
        assert_ne!(a, b);
        for sealed in [&a, &b] {
            assert!(memchr::memmem::find(&sealed.0, b"canary").is_none());
            assert!(memchr::memmem::find(&sealed.0, b"clientSecret").is_none());
        }
        assert!(!format!("{:?} {vault:?} {a:?}", secrets("canary-4711")).contains("canary"));
    }
}
