//! Who gets in: every credential of the account checked, and what was handed out in exchange for one.
//!
//! Times are seconds since 1970 and handed in. What a refusal looks like on the wire is the protocols' affair.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::errors::Refusal;
use super::jwt;
use super::model::Account;
use super::run::Identity;

/// Why somebody does not get in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Denied {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    /// The refusal waits for the next second, so that a token signed anew is another token.
    pub(crate) until_next_second: bool,
}

/// Somebody who got in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Admitted {
    pub(crate) user: String,
    pub(crate) role: RoleScope,
    /// Which code a role outside the scope is refused with.
    scope_code: &'static str,
}

/// Which of a user's roles a credential allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RoleScope {
    Any,
    Only(String),
}

/// An access token of OAuth.
#[derive(Debug)]
struct Issued {
    user: String,
    role: RoleScope,
    until: i64,
}

/// A refresh token that is still good.
#[derive(Debug, Clone)]
pub(crate) struct Refresh {
    pub(crate) user: String,
    pub(crate) scope: String,
    until: i64,
}

/// A session of the driver protocol.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) id: u64,
    pub(crate) identity: Identity,
    pub(crate) admitted: Admitted,
    master: String,
    until: i64,
    master_until: i64,
}

/// Tokens of a session.
#[derive(Debug, Clone)]
pub(crate) struct SessionTokens {
    pub(crate) id: u64,
    pub(crate) token: String,
    pub(crate) master: String,
}

/// How long what is handed out is good, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetimes {
    /// Session tokens of the driver protocol.
    pub session: i64,
    /// Their master tokens.
    pub master: i64,
    /// Access tokens of OAuth.
    pub access: i64,
    /// Refresh tokens of OAuth.
    pub refresh: i64,
    /// Results kept for polls, partitions and chunks.
    pub result: i64,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self { session: 3_600, master: 14_400, access: 600, refresh: 86_400, result: 86_400 }
    }
}

/// What was handed out, and what is no longer honoured.
#[derive(Debug, Default)]
pub(crate) struct Gates {
    issued: BTreeMap<String, Issued>,
    refresh: BTreeMap<String, Refresh>,
    sessions: BTreeMap<String, Session>,
    gone_sessions: HashSet<String>,
    seen_jwts: HashSet<String>,
    expired_jwts: HashSet<String>,
    /// Containers that nobody may use any more.
    pub(crate) revoked: BTreeSet<Vec<String>>,
    count: u64,
    handed_out: Vec<String>,
}

impl Denied {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), until_next_second: false }
    }
}

impl Admitted {
    fn new(user: &str, role: RoleScope) -> Self {
        Self { user: user.to_owned(), role, scope_code: "390189" }
    }

    /// The identity with the role that was asked for, or the user's own.
    pub(crate) fn identity(&self, account: &Account, role: Option<&str>) -> Result<Identity, Refusal> {
        let user = account.users.get(&self.user);
        let wanted = match (role.filter(|role| !role.is_empty()), &self.role) {
            (Some(role), _) => role,
            (None, RoleScope::Only(role)) => role,
            (None, RoleScope::Any) => user.and_then(|user| user.default_role.as_deref()).unwrap_or("PUBLIC"),
        };
        let granted = wanted == "PUBLIC" || user.is_some_and(|user| user.roles.contains(wanted));
        let in_scope = matches!(&self.role, RoleScope::Any) || self.role == RoleScope::Only(wanted.to_owned());
        if !granted || !account.roles.contains_key(wanted) && wanted != "PUBLIC" {
            return Err(Refusal::role_not_granted(wanted));
        }
        if !in_scope {
            return Err(Refusal { code: self.scope_code, ..Refusal::role_not_granted(wanted) });
        }
        let secondary = match (&self.role, user) {
            (RoleScope::Any, Some(user)) if user.secondary_roles => user.roles.iter().cloned().collect(),
            _ => vec![],
        };
        Ok(Identity { user: self.user.clone(), role: Some(wanted.to_owned()), secondary, ..Identity::default() })
    }
}

impl Gates {
    /// A key-pair token.
    pub(crate) fn jwt(
        &mut self,
        account: &Account,
        names: &[String],
        token: &str,
        now: i64,
    ) -> Result<Admitted, Denied> {
        if self.expired_jwts.contains(token) {
            return Err(Denied { until_next_second: true, ..Denied::new("394301", "JWT token has expired.") });
        }
        let user = jwt::verify(account, names, token, now)?;
        self.seen_jwts.insert(token.to_owned());
        Ok(Admitted::new(&user, RoleScope::Any))
    }

    /// An access token of OAuth.
    pub(crate) fn oauth(&self, token: &str, now: i64) -> Result<Admitted, Denied> {
        match self.issued.get(token) {
            None => Err(Denied::new("390303", "Invalid OAuth access token. ")),
            Some(issued) if issued.until <= now => Err(Denied::new("390318", "OAuth access token expired. ")),
            Some(issued) => Ok(Admitted { scope_code: "390317", ..Admitted::new(&issued.user, issued.role.clone()) }),
        }
    }

    /// A programmatic access token, of one user or of any.
    pub(crate) fn access_token(
        account: &Account,
        user: Option<&str>,
        token: &str,
        now: i64,
    ) -> Result<Admitted, Denied> {
        let invalid = || Denied::new("394400", "Programmatic access token is invalid.");
        let mut users = account.users.iter().filter(|(name, of)| {
            user.is_none_or(|wanted| wanted == *name) && !of.disabled && of.tokens.contains_key(token)
        });
        let (name, of) = users.next().ok_or_else(invalid)?;
        let found = of.tokens.get(token).filter(|found| found.until > now).ok_or_else(invalid)?;
        Ok(Admitted::new(name, found.role.clone().map_or(RoleScope::Any, RoleScope::Only)))
    }

    /// Whether anybody has it, good or not.
    pub(crate) fn access_token_exists(account: &Account, token: &str) -> bool {
        account.users.values().any(|user| user.tokens.contains_key(token))
    }

    /// A password, or an access token in its place.
    pub(crate) fn password(account: &Account, user: &str, password: &str, now: i64) -> Result<Admitted, Denied> {
        let name = user.to_uppercase();
        let known = account.users.get(&name).filter(|of| !of.disabled);
        if known.is_some_and(|of| of.password.as_deref() == Some(password)) {
            return Ok(Admitted::new(&name, RoleScope::Any));
        }
        let wrong = Denied::new("390100", "Incorrect username or password was specified.");
        Self::access_token(account, Some(&name), password, now).map_err(|_| wrong)
    }

    /// Hands out an access token.
    pub(crate) fn issue(&mut self, user: &str, role: RoleScope, until: i64) -> String {
        let token = self.secret("oauth-at");
        self.issued.insert(token.clone(), Issued { user: user.to_owned(), role, until });
        token
    }

    /// Hands out a refresh token.
    pub(crate) fn issue_refresh(&mut self, user: &str, scope: &str, until: i64) -> String {
        let token = self.secret("ver:2-rt");
        self.refresh.insert(token.clone(), Refresh { user: user.to_owned(), scope: scope.to_owned(), until });
        token
    }

    /// What a refresh token is good for; a single-use one is good no more.
    pub(crate) fn refresh(&mut self, token: &str, single_use: bool, now: i64) -> Option<Refresh> {
        let found = self.refresh.get(token).filter(|found| found.until > now).cloned()?;
        if single_use {
            self.refresh.remove(token);
        }
        Some(found)
    }

    /// Opens a session.
    pub(crate) fn open(
        &mut self,
        admitted: Admitted,
        identity: Identity,
        lifetimes: Lifetimes,
        now: i64,
    ) -> SessionTokens {
        let (token, master) = (self.secret("st"), self.secret("mt"));
        let id = 1_172_562_260_000 + self.count;
        let (until, master_until) = (now + lifetimes.session, now + lifetimes.master);
        let session = Session { id, identity, admitted, master: master.clone(), until, master_until };
        self.sessions.insert(token.clone(), session);
        SessionTokens { id, token, master }
    }

    /// The session of a token.
    pub(crate) fn session(&mut self, token: Option<&str>, now: i64) -> Result<&mut Session, Denied> {
        let Some(token) = token else {
            return Err(Denied::new("390103", "Session token not found or invalid data."));
        };
        let gone = self.gone_sessions.contains(token);
        match self.sessions.get_mut(token) {
            Some(session) if session.until > now => Ok(session),
            Some(_) => Err(Denied::new("390112", "Your session has expired. Please login again.")),
            None if gone => {
                Err(Denied::new("390111", "Session no longer exists.  New login required to access the service."))
            }
            None => Err(Denied::new("390104", "Session token is invalid.")),
        }
    }

    /// New tokens for a session, by its master token.
    pub(crate) fn renew(
        &mut self,
        master: Option<&str>,
        old: &str,
        lifetimes: Lifetimes,
        now: i64,
    ) -> Result<SessionTokens, Denied> {
        let Some(master) = master else {
            return Err(Denied::new("390113", "Master token not found."));
        };
        let Some(session) = self.sessions.get(old).filter(|session| session.master == master).cloned() else {
            return Err(Denied::new("390115", "Master token is invalid."));
        };
        if session.master_until <= now {
            let text = "Authentication token has expired.  The user must authenticate again.";
            return Err(Denied::new("390114", text));
        }
        self.sessions.remove(old);
        let tokens = self.open(session.admitted, session.identity, lifetimes, now);
        // It stays the same session.
        self.sessions.get_mut(&tokens.token).into_iter().for_each(|of| of.id = session.id);
        Ok(SessionTokens { id: session.id, ..tokens })
    }

    /// Ends a session for good.
    pub(crate) fn close(&mut self, token: &str) {
        if self.sessions.remove(token).is_some() {
            self.gone_sessions.insert(token.to_owned());
        }
    }

    /// Access tokens and key-pair tokens that came so far are over.
    pub(crate) fn expire_issued(&mut self, now: i64) {
        self.issued.values_mut().for_each(|issued| issued.until = issued.until.min(now));
        self.expired_jwts.extend(self.seen_jwts.drain());
    }

    /// Sessions are over; they may be renewed.
    pub(crate) fn expire_sessions(&mut self, now: i64) {
        self.sessions.values_mut().for_each(|session| session.until = session.until.min(now));
    }

    /// Sessions are over and may not be renewed.
    pub(crate) fn expire_masters(&mut self, now: i64) {
        self.expire_sessions(now);
        self.sessions.values_mut().for_each(|session| session.master_until = session.master_until.min(now));
    }

    /// Sessions are not known any more.
    pub(crate) fn forget_sessions(&mut self) {
        self.gone_sessions.extend(std::mem::take(&mut self.sessions).into_keys());
    }

    /// How many sessions are open.
    pub(crate) fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// A token nobody guesses in a test, and that says what it is.
    fn secret(&mut self, kind: &str) -> String {
        self.count += 1;
        let (a, b) = (self.count.wrapping_mul(0x9e37_79b9_7f4a_7c15), self.count.wrapping_mul(0xbf58_476d_1ce4_e5b9));
        let secret = format!("{kind}-{a:016x}{b:016x}");
        self.handed_out.push(secret.clone());
        secret
    }

    /// Every token that was ever handed out.
    pub(crate) fn handed_out(&self) -> &[String] {
        &self.handed_out
    }
}
