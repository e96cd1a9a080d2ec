//! Keys that sign: PKCS#8 in PEM, as `openssl genpkey -algorithm ed25519` writes them too.

use ring::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};
use zeroize::Zeroizing;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::model::signature::PublicKey;

/// A key that signs. Shown to nobody.
pub struct SigningKey(Ed25519KeyPair);

/// Why there is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyFileError {
    /// Not a key in PEM.
    #[error("is no private key in PEM form (`-----BEGIN PRIVATE KEY-----`), or it is encrypted: decrypt it first")]
    NoPem,
    /// A key, but of another kind.
    #[error("is no ed25519 key: make one with `wharfinger connector keygen`")]
    OtherKind,
    /// The system gave no random.
    #[error("the system gives no random bytes")]
    NoRandom,
}

impl SigningKey {
    /// A new key and the text to keep it as.
    pub fn generate() -> Result<(Self, Zeroizing<String>), KeyFileError> {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| KeyFileError::NoRandom)?;
        let body = Zeroizing::new(STANDARD.encode(document.as_ref()));
        let mut pem = Zeroizing::new(String::with_capacity(body.len() + 64));
        pem.push_str("-----BEGIN PRIVATE KEY-----\n");
        for line in body.as_bytes().chunks(64) {
            line.iter().for_each(|byte| pem.push(char::from(*byte)));
            pem.push('\n');
        }
        pem.push_str("-----END PRIVATE KEY-----\n");
        Ok((Self::read(&pem)?, pem))
    }

    /// The key in a text.
    pub fn read(pem: &str) -> Result<Self, KeyFileError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| KeyFileError::NoPem)?;
        // OpenSSL writes no public key beside the private one; where there is one, it must be the right one.
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der());
        pair.map(Self).map_err(|_| KeyFileError::OtherKind)
    }

    /// The other half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.0.public_key().as_ref());
        PublicKey::from_bytes(bytes)
    }

    pub(super) fn sign(&self, message: &[u8]) -> [u8; 64] {
        let mut bytes = [0; 64];
        bytes.copy_from_slice(self.0.sign(message).as_ref());
        bytes
    }
}
