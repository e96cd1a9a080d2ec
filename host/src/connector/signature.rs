//! Who vouches for a component: ed25519 signatures in it or beside it, checked once, when it is installed.
//!
//! A signature says: this key vouches for these very bytes. What is signed is
//! `wharfinger connector signature v1`, a zero byte, and SHA-256 of the bytes. The record of a signature is 97 bytes: the
//! version (1), the key's id (SHA-256 of the public key, 32 bytes), the signature (64 bytes).
//!
//! - *Embedded*: the record is a custom section `wharfinger.signature` at the end of the component and vouches for
//!   everything before it, other such sections included. No tool that reads components minds it.
//! - *Detached*: the record in base64 beside the file, one to a line; it vouches for the whole file.
//!
//! The digest of a component is that of its whole file, with its signatures. Only whole sections at the end count: one
//! that anything else follows is refused, because what follows is not covered; what lies inside nested components and
//! modules is nobody's signature of this one. Nothing here compiles or runs a component.

mod key;
mod record;
#[cfg(test)]
mod tests;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::{
    digest::{Context, SHA256},
    signature::{ED25519, UnparsedPublicKey},
};

pub use self::key::{KeyFileError, SigningKey};
use self::record::{Record, is_signature};
use super::{
    error::LoadError,
    section::{HEADER, sections},
};
use crate::model::signature::{KeyId, PublicKey, SignatureState, Trust, Unsigned};

/// More signatures than this, and it is not looked at: checking them must not become work.
const MAX_SIGNATURES: usize = 16;

/// Longest text of detached signatures: as many as are looked at, with room between them.
const MAX_DETACHED: usize = 4096;

/// What every component begins with.
const MAGIC: &[u8] = b"\0asm";

/// What the signed text begins with, so that no signature made for something else passes for one of these.
const DOMAIN: &[u8] = b"wharfinger connector signature v1\0";

/// A signature that must not be there: wrong, cut off, or not at the end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSignature {
    /// The bytes are no component whose sections can be told apart.
    #[error("the component's sections cannot be told apart at byte {0}: the file is damaged")]
    Sections(usize),
    /// Something stands behind it that it does not cover.
    #[error("something follows the component's signature that it does not cover: it was changed after it was signed")]
    NotLast,
    /// It is not a record that this host can read.
    #[error("a signature of the component cannot be read: it is damaged, or made by a newer version")]
    Unreadable,
    /// A key that is known did not sign these bytes.
    #[error("the signature of key {0} does not belong to this component: the file or the signature was changed")]
    Wrong(KeyId),
    /// More than anybody needs.
    #[error("the component has more than {MAX_SIGNATURES} signatures")]
    TooMany,
}

/// What may be installed here: the signatures' state, or why it is refused. The one place that knows the policy.
///
/// `detached` is the text of a `.sig` file, or of the header `wharfinger-signature`.
pub fn admit(bytes: &[u8], detached: Option<&[u8]>, trust: &Trust) -> Result<SignatureState, LoadError> {
    let state = verify(bytes, detached, &trust.keys)
        .map_err(|invalid| LoadError::new("invalid-signature", &invalid.to_string()))?;
    let message: String = match (state, trust.unsigned) {
        (SignatureState::Trusted { .. }, _) | (_, Unsigned::Allow) => return Ok(state),
        (SignatureState::Unsigned, Unsigned::Refuse) => {
            "the component is not signed, and this host takes only what a trusted key has signed \
             (`[connectors] unsigned = \"refuse\"`): sign it with `wharfinger connector sign`"
                .into()
        }
        (SignatureState::Untrusted { key }, Unsigned::Refuse) => format!(
            "the component names key {key}, which is not known here: not checked; and this host takes only what one of \
             `[connectors] trusted_keys` has signed: add its public key, or sign the component with a trusted one"
        ),
    };
    Err(LoadError::new("unsigned", &message))
}

/// What the signatures of a component say to whoever trusts these keys.
///
/// A signature of one of these keys that does not belong to the bytes is an error whatever else there is. Signatures of
/// other keys cannot be checked.
pub fn verify(bytes: &[u8], detached: Option<&[u8]>, keys: &[PublicKey]) -> Result<SignatureState, InvalidSignature> {
    let found = check(bytes, detached, keys)?;
    if let Some((key, _)) = found.iter().find(|(_, found)| *found == Checked::Wrong) {
        return Err(InvalidSignature::Wrong(*key));
    }
    let trusted = found.iter().find(|(_, found)| *found == Checked::Right);
    Ok(match (trusted, found.first()) {
        (Some((key, _)), _) => SignatureState::Trusted { key: *key },
        (None, Some((key, _))) => SignatureState::Untrusted { key: *key },
        (None, None) => SignatureState::Unsigned,
    })
}

/// What is found of one signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    /// The key is known and signed these bytes.
    Right,
    /// The key is known and did not.
    Wrong,
    /// The key is not known: the signature only names it, as anybody can.
    Unknown,
}

/// The keys that a component's signatures name, in their order, each with what these keys find of it.
pub fn check(
    bytes: &[u8],
    detached: Option<&[u8]>,
    keys: &[PublicKey],
) -> Result<Vec<(KeyId, Checked)>, InvalidSignature> {
    let beside = detached.map_or_else(|| Ok(Vec::new()), beside)?;
    let signatures = [embedded(bytes)?, beside.into_iter().map(|record| (bytes.len(), record)).collect()].concat();
    if signatures.len() > MAX_SIGNATURES {
        return Err(InvalidSignature::TooMany);
    }
    let (mut context, mut hashed) = (Context::new(&SHA256), 0);
    let mut found = Vec::new();
    for (covers, record) in &signatures {
        let Some(key) = keys.iter().find(|key| key.id() == record.key) else {
            found.push((record.key, Checked::Unknown));
            continue;
        };
        context.update(&bytes[hashed..*covers]);
        hashed = *covers;
        let signed = message(context.clone());
        let public = UnparsedPublicKey::new(&ED25519, key.as_bytes());
        let is_right = public.verify(&signed, &record.signature).is_ok();
        found.push((record.key, if is_right { Checked::Right } else { Checked::Wrong }));
    }
    Ok(found)
}

/// The component with one more signature at its end.
pub fn embed(bytes: &[u8], key: &SigningKey) -> Result<Vec<u8>, InvalidSignature> {
    if embedded(bytes)?.len() == MAX_SIGNATURES {
        return Err(InvalidSignature::TooMany);
    }
    Ok([bytes, &record(bytes, key).section()].concat())
}

/// A signature to keep beside the component: a line of text.
#[must_use]
pub fn detach(bytes: &[u8], key: &SigningKey) -> String {
    format!("{}\n", STANDARD.encode(record(bytes, key).bytes()))
}

/// The signatures beside a component without those of these keys.
pub fn without(detached: &[u8], keys: &[KeyId]) -> Result<String, InvalidSignature> {
    let others = beside(detached)?.into_iter().filter(|record| !keys.contains(&record.key));
    Ok(others.map(|record| format!("{}\n", STANDARD.encode(record.bytes()))).collect())
}

/// The component without the signatures at its end.
pub fn strip(bytes: &[u8]) -> Result<&[u8], InvalidSignature> {
    Ok(&bytes[..embedded(bytes)?.first().map_or(bytes.len(), |(covers, _)| *covers)])
}

/// The keys that signatures name: those of the sections at the end, then those beside the file.
pub fn signers(bytes: &[u8], detached: Option<&[u8]>) -> Result<Vec<KeyId>, InvalidSignature> {
    let beside = detached.map_or_else(|| Ok(Vec::new()), beside)?;
    Ok(embedded(bytes)?.into_iter().map(|(_, record)| record).chain(beside).map(|record| record.key).collect())
}

fn record(bytes: &[u8], key: &SigningKey) -> Record {
    let mut context = Context::new(&SHA256);
    context.update(bytes);
    Record { key: key.public().id(), signature: key.sign(&message(context)) }
}

/// What is signed, for the bytes that were hashed.
fn message(hashed: Context) -> Vec<u8> {
    [DOMAIN, hashed.finish().as_ref()].concat()
}

/// The signatures at the end, each with how many bytes it covers, in the order in which they were made.
fn embedded(bytes: &[u8]) -> Result<Vec<(usize, Record)>, InvalidSignature> {
    let mut found = Vec::new();
    // What is no WebAssembly at all is told so by whoever reads it next.
    if !bytes.starts_with(MAGIC) {
        return Ok(found);
    }
    if bytes.len() < HEADER {
        return Err(InvalidSignature::Sections(bytes.len()));
    }
    for section in sections(bytes) {
        let section = section.map_err(InvalidSignature::Sections)?;
        if is_signature(&section, bytes) {
            let record = Record::of_section(&bytes[section.start..section.end]);
            found.push((section.start, record.ok_or(InvalidSignature::Unreadable)?));
        } else if !found.is_empty() {
            return Err(InvalidSignature::NotLast);
        }
        if found.len() > MAX_SIGNATURES {
            return Err(InvalidSignature::TooMany);
        }
    }
    Ok(found)
}

/// The signatures of a `.sig` file or a header: base64, apart by spaces, lines or commas.
fn beside(text: &[u8]) -> Result<Vec<Record>, InvalidSignature> {
    let text = std::str::from_utf8(text).ok().filter(|text| text.len() <= MAX_DETACHED);
    let words = text.ok_or(InvalidSignature::Unreadable)?.split([' ', ',', '\t', '\r', '\n']);
    let records: Option<Vec<_>> = words
        .filter(|word| !word.is_empty())
        .map(|word| STANDARD.decode(word).ok().and_then(|bytes| Record::read(&bytes)))
        .collect();
    // A signature was announced: nothing in it is not the same as none.
    records.filter(|records| !records.is_empty()).ok_or(InvalidSignature::Unreadable)
}
