//! Who vouches for a component: keys that operators trust, and what a component's signatures were found to say.
//!
//! The bytes of a signature and how it is checked are the business of `connector/signature`.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::digest;
use serde::{Deserialize, Serialize};

/// What the text of a public key begins with: the algorithm, so that others can follow.
const ALGORITHM: &str = "ed25519:";

/// A key that signatures are checked with. Its text is `ed25519:` and 32 bytes in base64.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey([u8; 32]);

/// What a signature calls its key: SHA-256 of the public key, in hexadecimal where it is text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyId([u8; 32]);

/// What a component's signatures said when it was installed. One that is wrong is no state: it is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SignatureState {
    /// Nobody signed it.
    #[default]
    Unsigned,
    /// A key that the operator trusts did.
    Trusted {
        /// Which one; of several, the first that signed.
        key: KeyId,
    },
    /// Only keys that nobody here trusts did, which counts as unsigned.
    Untrusted {
        /// Which one; of several, the first that signed.
        key: KeyId,
    },
}

/// What becomes of components that no trusted key signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unsigned {
    /// They are taken, and shown as what they are.
    #[default]
    Allow,
    /// They are refused.
    Refuse,
}

/// Whom the operator believes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// Keys whose signature is enough.
    pub keys: Vec<PublicKey>,
    /// What becomes of components without one of those.
    pub unsigned: Unsigned,
}

/// Text that is no public key or no key's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// Not a public key.
    #[error("is no public key: it must be `ed25519:` and 32 bytes in base64, as `connector keygen` prints it")]
    Public,
    /// Not an id.
    #[error("is no id of a key: it must be SHA-256 in hexadecimal")]
    Id,
    /// Not a state of signatures.
    #[error("is no state of signatures")]
    State,
}

impl PublicKey {
    /// The key with these bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// What signatures call it.
    #[must_use]
    pub fn id(&self) -> KeyId {
        let mut id = [0; 32];
        id.copy_from_slice(digest::digest(&digest::SHA256, &self.0).as_ref());
        KeyId(id)
    }
}

impl KeyId {
    /// The id with these bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl SignatureState {
    /// For programs: `unsigned`, `trusted` or `untrusted`.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Unsigned => "unsigned",
            Self::Trusted { .. } => "trusted",
            Self::Untrusted { .. } => "untrusted",
        }
    }

    /// Whose signature it is about.
    #[must_use]
    pub fn key(&self) -> Option<KeyId> {
        match self {
            Self::Unsigned => None,
            Self::Trusted { key } | Self::Untrusted { key } => Some(*key),
        }
    }
}

/// As it is stored and shown in a line: the state, and the key's id where there is one. A key that nobody knows is only
/// named: whoever made the component may have written there what they liked.
impl fmt::Display for SignatureState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsigned => f.write_str("unsigned"),
            Self::Trusted { key } => write!(f, "trusted {key}"),
            Self::Untrusted { key } => write!(f, "{NAMES}{key}{NOT_CHECKED}"),
        }
    }
}

const NAMES: &str = "names key ";
const NOT_CHECKED: &str = ", which is not known here: not checked";

impl FromStr for SignatureState {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        if let Some(key) = text.strip_prefix(NAMES).and_then(|rest| rest.strip_suffix(NOT_CHECKED)) {
            return Ok(Self::Untrusted { key: key.parse()? });
        }
        match text.split_once(' ') {
            None if text == "unsigned" => Ok(Self::Unsigned),
            Some(("trusted", key)) => Ok(Self::Trusted { key: key.parse()? }),
            // As earlier hosts stored it.
            Some(("untrusted", key)) => Ok(Self::Untrusted { key: key.parse()? }),
            _ => Err(InvalidKey::State),
        }
    }
}

impl FromStr for PublicKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        let bytes = text.strip_prefix(ALGORITHM).and_then(|key| STANDARD.decode(key).ok());
        bytes.and_then(|bytes| bytes.try_into().ok()).map(Self).ok_or(InvalidKey::Public)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{ALGORITHM}{}", STANDARD.encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl FromStr for KeyId {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(InvalidKey::Id);
        }
        let mut id = [0; 32];
        for (byte, digits) in id.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).map_err(|_| InvalidKey::Id)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| InvalidKey::Id)?;
        }
        Ok(Self(id))
    }
}

impl TryFrom<String> for KeyId {
    type Error = InvalidKey;

    fn try_from(text: String) -> Result<Self, InvalidKey> {
        text.parse()
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_their_ids_read_back() {
        let key = PublicKey::from_bytes(std::array::from_fn(|at| at as u8 * 7));
        assert_eq!(key.to_string().parse(), Ok(key));
        assert_eq!(key.id().to_string().parse(), Ok(key.id()));
        assert_eq!(
            PublicKey::from_bytes([0; 32]).id().to_string(), // printf '\0%.0s' {1..32} | sha256sum
            "66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925"
        );
    }

    #[test]
    fn states_read_back() {
        let key = PublicKey::from_bytes([1; 32]).id();
        for state in [SignatureState::Unsigned, SignatureState::Trusted { key }, SignatureState::Untrusted { key }] {
            assert_eq!(state.to_string().parse(), Ok(state));
        }
        for text in ["", "trusted", "unsigned ", "trusted x", &format!("signed {key}")] {
            assert!(text.parse::<SignatureState>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let whole = PublicKey::from_bytes([1; 32]).to_string();
        let bare = &whole[ALGORITHM.len()..];
        for text in
            ["", "ed25519:", bare, &whole[..whole.len() - 4], &format!("{whole}="), &format!(" {whole}"), "rsa:AAAA"]
        {
            assert_eq!(text.parse::<PublicKey>(), Err(InvalidKey::Public), "{text:?}");
        }
        for text in ["", "66687a", &"g".repeat(64), &"+1".repeat(32)] {
            assert_eq!(text.parse::<KeyId>(), Err(InvalidKey::Id), "{text:?}");
        }
    }
}
