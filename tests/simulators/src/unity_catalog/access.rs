//! Who may do what: tokens, clients of the token endpoint, and grants on the hierarchy.
//!
//! Time is monotonic and handed in. Nothing here knows HTTP; the answers to a wrong credential are the dialects' affair.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// Privileges that decide what a listing shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Privilege {
    /// Walk into a catalog.
    UseCatalog,
    /// Walk into a schema.
    UseSchema,
    /// See a table.
    Select,
    /// See that it is there, and little more.
    Browse,
}

/// How much of an object a caller sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sight {
    /// Not that it exists.
    Nothing,
    /// Only if asked to include what may only be browsed.
    Browse,
    /// Everything.
    All,
}

/// What a token is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Good, and this is whose it is.
    Principal(String),
    /// Was issued once, and is over.
    Expired,
    /// Never seen.
    Unknown,
}

/// All credentials and grants.
#[derive(Debug, Default)]
pub struct Access {
    tokens: BTreeMap<String, Token>,
    clients: BTreeMap<String, Client>,
    grants: BTreeMap<String, BTreeSet<(Vec<String>, Privilege)>>,
    admins: BTreeSet<String>,
    revoked: BTreeSet<Vec<String>>,
    issued: u64,
}

#[derive(Debug)]
struct Token {
    principal: String,
    until: Option<Instant>,
}

#[derive(Debug)]
struct Client {
    secret: String,
    lifetime: Duration,
}

impl Access {
    /// A principal that sees everything.
    pub fn add_admin(&mut self, principal: &str) {
        self.admins.insert(principal.to_owned());
    }

    /// A token without end.
    pub fn add_token(&mut self, token: &str, principal: &str) {
        self.tokens.insert(token.to_owned(), Token { principal: principal.to_owned(), until: None });
    }

    /// A token is no longer good at all.
    pub fn remove_token(&mut self, token: &str) {
        self.tokens.remove(token);
    }

    /// A service principal that fetches its tokens, each good for `lifetime`.
    pub fn add_client(&mut self, id: &str, secret: &str, lifetime: Duration) {
        self.clients.insert(id.to_owned(), Client { secret: secret.to_owned(), lifetime });
    }

    /// A privilege on a path and everything below.
    pub fn grant(&mut self, principal: &str, path: &[&str], privilege: Privilege) {
        let path = path.iter().map(|&name| name.to_owned()).collect();
        self.grants.entry(principal.to_owned()).or_default().insert((path, privilege));
    }

    /// Takes a container away from everybody, whatever else is granted.
    pub fn revoke(&mut self, path: &[String]) {
        self.revoked.insert(path.to_vec());
    }

    /// Takes [`revoke`](Self::revoke) back.
    pub fn restore(&mut self) {
        self.revoked.clear();
    }

    /// A token for a client that knows its secret.
    pub fn issue(&mut self, id: &str, secret: &str, now: Instant) -> Option<(String, Duration)> {
        let client = self.clients.get(id).filter(|client| client.secret == secret)?;
        let lifetime = client.lifetime;
        self.issued += 1;
        let token = format!("eyJraWQiOiJzaW11bGF0ZWQifQ.{id}.{:016x}", self.issued.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        self.tokens.insert(token.clone(), Token { principal: id.to_owned(), until: Some(now + lifetime) });
        Some((token, lifetime))
    }

    /// All issued tokens are over; those without end stay.
    pub fn expire_issued(&mut self, now: Instant) {
        for token in self.tokens.values_mut() {
            token.until = token.until.map(|until| until.min(now));
        }
    }

    /// Whose token it is.
    pub fn verdict(&self, token: &str, now: Instant) -> Verdict {
        match self.tokens.get(token) {
            None => Verdict::Unknown,
            Some(token) if token.until.is_some_and(|until| until <= now) => Verdict::Expired,
            Some(token) => Verdict::Principal(token.principal.clone()),
        }
    }

    /// How many tokens were handed out.
    pub fn issued(&self) -> u64 {
        self.issued
    }

    /// What the principal sees of the object at a path of one, two or three names.
    pub fn sight(&self, principal: &str, path: &[&str]) -> Sight {
        let below = |of: &[String]| of.len() <= path.len() && of.iter().zip(path).all(|(a, b)| a == b);
        if self.revoked.iter().any(|revoked| below(revoked)) {
            return Sight::Nothing;
        }
        if self.admins.contains(principal) {
            return Sight::All;
        }
        let Some(grants) = self.grants.get(principal) else { return Sight::Nothing };
        let has = |privilege, depth: usize| {
            grants.iter().any(|(of, held)| *held == privilege && of.len() <= depth && below(of))
        };
        let needed = [(Privilege::UseCatalog, 1), (Privilege::UseSchema, 2), (Privilege::Select, 3)];
        if needed.iter().take(path.len()).all(|&(privilege, depth)| has(privilege, depth)) {
            Sight::All
        } else if has(Privilege::Browse, path.len()) {
            Sight::Browse
        } else {
            Sight::Nothing
        }
    }

    /// Privileges of a principal on a path, with where they come from.
    pub fn privileges(&self, principal: &str, path: &[&str]) -> Vec<(Privilege, Vec<String>)> {
        if self.admins.contains(principal) {
            let all = [Privilege::UseCatalog, Privilege::UseSchema, Privilege::Select];
            return all.into_iter().map(|privilege| (privilege, vec![])).collect();
        }
        let grants = self.grants.get(principal).into_iter().flatten();
        let here = |of: &[String]| of.len() <= path.len() && of.iter().zip(path).all(|(a, b)| a == b);
        grants.filter(|(of, _)| here(of)).map(|(of, privilege)| (*privilege, of.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Access, Privilege, Sight, Verdict};

    #[test]
    fn a_table_needs_the_whole_chain_of_privileges() {
        let mut access = Access::default();
        access.grant("ana", &["c"], Privilege::UseCatalog);
        access.grant("ana", &["c", "s", "t"], Privilege::Select);
        assert_eq!(access.sight("ana", &["c", "s", "t"]), Sight::Nothing);
        access.grant("ana", &["c", "s"], Privilege::UseSchema);
        assert_eq!(access.sight("ana", &["c", "s", "t"]), Sight::All);
        assert_eq!(access.sight("ana", &["c", "s", "u"]), Sight::Nothing);
        access.grant("ana", &["c"], Privilege::Browse);
        assert_eq!(access.sight("ana", &["c", "s", "u"]), Sight::Browse);
        access.revoke(&["c".into(), "s".into()]);
        assert_eq!(access.sight("ana", &["c", "s", "t"]), Sight::Nothing);
        assert_eq!(access.sight("ana", &["c"]), Sight::All);
    }

    #[test]
    fn an_issued_token_ends_and_a_personal_one_does_not() {
        let (mut access, now) = (Access::default(), Instant::now());
        access.add_client("robot", "s3cret", Duration::from_secs(60));
        access.add_token("dapi1", "ana");
        assert_eq!(access.issue("robot", "guess", now), None);
        let (token, _) = access.issue("robot", "s3cret", now).unwrap();
        assert_eq!(access.verdict(&token, now), Verdict::Principal("robot".into()));
        assert_eq!(access.verdict(&token, now + Duration::from_secs(60)), Verdict::Expired);
        access.expire_issued(now);
        assert_eq!(access.verdict(&token, now), Verdict::Expired);
        assert_eq!(access.verdict("dapi1", now), Verdict::Principal("ana".into()));
    }
}
