//! Whether a token that the host shall sign means something.

use super::{Checked, Known, exchange::check_name, refuse};
use crate::egress::{recipe::Jwt, signing::OWN_CLAIMS, template::Path};

/// Shortest lifetime: less, and clocks that differ a little would refuse it.
const MIN_TTL: u64 = 60;

/// Longest: nobody could take a token back.
const MAX_TTL: u64 = 24 * 3600;

/// Seconds that `iat` may lie back.
const MAX_SKEW: u64 = 300;

pub(super) fn check(jwt: &Jwt, at: &str, known: &Known<'_>) -> Checked {
    check_name(&jwt.name, &format!("{at}.as"))?;
    if jwt.alg != "RS256" {
        return refuse(format!("{at}.alg"), "this host signs with RS256");
    }
    for (name, property) in [("pem", Some(&jwt.key.pem)), ("passphrase", jwt.key.passphrase.as_ref())] {
        if let Some(property) = property
            && !known.secrets.contains(property.as_str())
        {
            return refuse(format!("{at}.key.{name}"), format!("the recipe's `secrets` do not name `{property}`"));
        }
    }
    for (name, template) in &jwt.claims {
        let at = format!("{at}.claims.{name}");
        if OWN_CLAIMS.contains(&name.as_str()) {
            return refuse(at, "the host sets this claim itself, or it would have to be a number");
        }
        for path in template.paths().filter(|path| **path != Path::KeyFingerprint) {
            if known.is_secret(&at, path)? {
                return refuse(at, "a secret must not stand in a claim: who sees the token can read it");
            }
        }
    }
    if !(MIN_TTL..=MAX_TTL).contains(&jwt.ttl) {
        return refuse(format!("{at}.ttl"), format!("it must be {MIN_TTL} to {MAX_TTL} seconds"));
    }
    if jwt.skew > MAX_SKEW || jwt.skew * 2 > jwt.ttl {
        return refuse(format!("{at}.skew"), format!("it must be at most {MAX_SKEW} seconds and half of `ttl`"));
    }
    Ok(())
}
