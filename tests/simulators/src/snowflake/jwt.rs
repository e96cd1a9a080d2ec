//! Key-pair tokens, checked for real: signature, issuer, fingerprint and times against the user's public keys.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::digest;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde::Deserialize;

use super::admission::Denied;
use super::model::Account;

/// A token is honoured so long after it was issued, whatever it says itself.
const LONGEST: i64 = 3_600;
/// A token may come from so far ahead: clocks differ.
const SKEW: i64 = 60;

#[derive(Deserialize)]
struct Header {
    alg: String,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    iat: Option<i64>,
    exp: Option<i64>,
    nbf: Option<i64>,
}

/// Whose token it is, or what is wrong with it. `names` are what the account answers to.
pub(crate) fn verify(account: &Account, names: &[String], token: &str, now: i64) -> Result<String, Denied> {
    let format = || Denied::new("394306", "JWT token format is invalid.");
    let invalid = || Denied::new("390144", "JWT token is invalid.");
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts[..] else { return Err(format()) };
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).map_err(|_| format());
    let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| format())?;
    let claims: Claims = serde_json::from_slice(&decode(claims)?).map_err(|_| format())?;
    if header.alg != "RS256" {
        return Err(Denied::new("394305", "JWT token algorithm is not supported; use RS256."));
    }
    let (issuer, fingerprint) = claims.iss.split_once(".SHA256:").ok_or_else(invalid)?;
    if issuer != claims.sub {
        return Err(invalid());
    }
    // Account names hold no dot; users' names may.
    let (for_account, name) = issuer.split_once('.').ok_or_else(invalid)?;
    let user = account.users.get(name).filter(|user| !user.disabled).ok_or_else(invalid)?;
    if !names.iter().any(|known| known == for_account) {
        return Err(invalid());
    }
    let keys = user.public_keys.iter().flatten();
    let mut keys = keys.filter(|key| self::fingerprint(key) == fingerprint);
    let key = keys.next().ok_or_else(|| {
        Denied::new("394304", "JWT token public key fingerprint does not match the user's registered public key.")
    })?;
    let signed = &token[..token.len() - signature.len() - 1];
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, rsa_key(key).ok_or_else(invalid)?);
    public.verify(signed.as_bytes(), &decode(signature)?).map_err(|_| invalid())?;
    let bad_times = || Denied::new("394303", "JWT token has no valid issue or expiration time.");
    let (issued, expires) = (claims.iat.ok_or_else(bad_times)?, claims.exp.ok_or_else(bad_times)?);
    if expires <= issued {
        return Err(bad_times());
    }
    if issued.max(claims.nbf.unwrap_or(issued)) > now + SKEW {
        return Err(Denied::new("394302", "JWT token is not yet valid."));
    }
    if now >= expires.min(issued + LONGEST) {
        return Err(Denied::new("394301", "JWT token has expired."));
    }
    Ok(name.to_owned())
}

/// Base64 of the SHA-256 of a SubjectPublicKeyInfo.
pub(crate) fn fingerprint(spki: &[u8]) -> String {
    STANDARD.encode(digest::digest(&digest::SHA256, spki))
}

/// The RSA key inside a SubjectPublicKeyInfo: the content of its bit string.
fn rsa_key(spki: &[u8]) -> Option<&[u8]> {
    let (tag, inside, _) = element(spki)?;
    let (algorithm, _, rest) = element(inside)?;
    let (bits, content, _) = element(rest)?;
    let sound = tag == 0x30 && algorithm == 0x30 && bits == 0x03 && content.first() == Some(&0);
    sound.then(|| &content[1..])
}

/// Tag, content and what follows of a DER element.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81 | 0x82 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
            (digits.iter().fold(0, |length, &digit| length << 8 | usize::from(digit)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}
