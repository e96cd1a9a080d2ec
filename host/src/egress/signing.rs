//! Tokens that the host signs itself: JWT with RS256, written by hand, signed by `ring`.
//!
//! A key is opened once per credential, away from the threads that answer, because opening an encrypted one is made to
//! be costly. Nothing of it is in any text.

mod key;

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use serde_json::{Map, Value};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::{
    context::With,
    error::{SendError, SendErrorKind},
    recipe::{Jwt, Key},
    template::{Known, Lookup, Path},
    vault::Secrets,
};

/// Keys that are opened at the same time by the whole host: each may take a while and some memory.
const OPENINGS: usize = 2;

/// Claims that the host adds, or that could only be wrong as a text.
pub(super) const OWN_CLAIMS: [&str; 3] = ["iat", "exp", "nbf"];

/// An opened key.
pub(super) struct Signer {
    key: RsaKeyPair,
    /// Standard Base64 of the SHA-256 over the public key (SubjectPublicKeyInfo, DER).
    fingerprint: String,
}

/// Room for opening keys.
#[derive(Clone)]
pub(super) struct Openings(Arc<Semaphore>);

impl Default for Openings {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(OPENINGS)))
    }
}

/// Opens the key of a recipe. Whether it opens depends on the secrets only.
pub(super) async fn open(key: &Key, secrets: &Secrets, openings: &Openings) -> Result<Arc<Signer>, SendError> {
    let invalid = |text: String| SendError::new(SendErrorKind::InvalidConfig, text);
    let failed = || SendError::new(SendErrorKind::Unavailable, "the private key could not be opened: try again");
    let property = key.pem.clone();
    let pem = secrets.0.get(&property).cloned();
    let pem = pem.ok_or_else(|| invalid(format!("authentication needs `secret.{property}`, which has no value")))?;
    let passphrase = key.passphrase.as_ref().and_then(|property| secrets.0.get(property)).cloned();
    let passphrase_property = key.passphrase.clone();
    let permit = Arc::clone(&openings.0).acquire_owned().await.map_err(|_| failed())?;
    let opened = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        key::open(&pem, passphrase.as_ref().map(|text| text.as_str()))
    });
    match opened.await {
        Ok(Ok(signer)) => Ok(Arc::new(signer)),
        Ok(Err(error)) => Err(invalid(error.told(&property, passphrase_property.as_deref()))),
        Err(error) => Err(failed().for_operator(format!("opening a private key failed inside the host: {error}"))),
    }
}

/// A token with the claims of the recipe. `now` is in seconds since 1970.
pub(super) fn sign(jwt: &Jwt, signer: &Signer, with: &With<'_>, now: i64) -> Result<Known, SendError> {
    let lookup = WithKey { with, fingerprint: &signer.fingerprint };
    let mut claims = Map::new();
    for (name, template) in &jwt.claims {
        let rendered = template.render(&lookup).map_err(|error| With::explain(&error))?;
        claims.insert(name.clone(), Value::String(rendered.text.to_string()));
    }
    let issued = now - i64::try_from(jwt.skew).unwrap_or(0);
    claims.insert("iat".into(), issued.into());
    claims.insert("exp".into(), issued.saturating_add_unsigned(jwt.ttl).into());
    let head = URL_SAFE_NO_PAD.encode(br#"{"alg":"RS256","typ":"JWT"}"#);
    let signed = format!("{head}.{}", URL_SAFE_NO_PAD.encode(Value::Object(claims).to_string()));
    let mut signature = vec![0; signer.key.public().modulus_len()];
    signer.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).map_err(|_| {
        SendError::new(SendErrorKind::Unavailable, "the token could not be signed")
            .for_operator("the system's source of randomness failed")
    })?;
    let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature));
    Ok(Known { text: Zeroizing::new(token), secret: true })
}

/// How long a token is good, as seen from the moment it is signed.
pub(super) fn life(jwt: &Jwt) -> Duration {
    Duration::from_secs(jwt.ttl.saturating_sub(jwt.skew))
}

/// The values of a connection, and the fingerprint of its key.
struct WithKey<'a> {
    with: &'a With<'a>,
    fingerprint: &'a str,
}

impl Lookup for WithKey<'_> {
    fn value(&self, path: &Path) -> Option<Known> {
        match path {
            Path::KeyFingerprint => Some(Known { text: Zeroizing::new(self.fingerprint.to_owned()), secret: false }),
            other => self.with.value(other),
        }
    }
}

#[cfg(test)]
mod tests;
