//! Steering a running account: the model, faults, time and traffic, and the payloads that register it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use super::keys::{PASSPHRASE, private_key};
use super::visit::Traffic;
use super::{
    ACCESS_TOKEN, Account, CLIENT_ID, CLIENT_SECRET, Change, ChangeError, KeyForm, PASSWORD, ROLE, Rule, Snowflake,
    State, USER, WAREHOUSE, oauth,
};
use crate::journal::{Counters, Entry};

/// The state of a simulator, shared by its listeners and whoever steers it.
#[derive(Debug, Clone)]
pub struct Simulated(Arc<State>);

/// A way in, as payloads name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Over the drivers' protocol.
    UserPassword,
    /// With the key file in a form.
    KeyPair(KeyForm),
    /// At the identity provider.
    OAuthClientCredentials,
    /// At the account's own token endpoint; every payload carries a fresh refresh token.
    OAuthRefreshToken,
    /// A token as it is.
    ProgrammaticAccessToken,
}

impl Method {
    /// One of each, with a plain key.
    pub const ALL: [Self; 5] = [
        Self::UserPassword,
        Self::KeyPair(KeyForm::Pkcs8),
        Self::OAuthClientCredentials,
        Self::OAuthRefreshToken,
        Self::ProgrammaticAccessToken,
    ];
}

impl Simulated {
    pub(super) fn new(state: State) -> Self {
        Self(Arc::new(state))
    }

    pub(super) fn state(&self) -> &State {
        &self.0
    }

    pub(super) fn set_storage(&self, addr: SocketAddr) {
        self.0.storage.get_or_init(|| addr);
    }

    /// Makes one change of the model.
    pub fn change(&self, change: &Change) -> Result<(), ChangeError> {
        self.0.account.write().unwrap_or_else(PoisonError::into_inner).apply(change)
    }

    /// Reads the model as it stands.
    pub fn read<T>(&self, read: impl FnOnce(&Account) -> T) -> T {
        read(&self.0.account.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads or changes the model freely: users, roles, everything.
    pub fn with_model<T>(&self, write: impl FnOnce(&mut Account) -> T) -> T {
        write(&mut self.0.account.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds a rule to the schedule of faults.
    pub fn rule(&self, rule: Rule) {
        lock(&self.0.faults).add(rule);
    }

    /// No more faults.
    pub fn clear_faults(&self) {
        lock(&self.0.faults).clear();
    }

    /// How many requests the rules now in force have hit.
    pub fn fault_hits(&self) -> u64 {
        lock(&self.0.faults).hits()
    }

    /// Everything that was handed out or signed so far is over at once: OAuth tokens, key-pair tokens, sessions. Sessions
    /// may be renewed; access tokens of users stay.
    pub fn expire_tokens(&self) {
        let now = self.0.clock.now();
        let mut gates = lock(&self.0.gates);
        gates.expire_issued(now);
        gates.expire_sessions(now);
    }

    /// Sessions and their master tokens are over.
    pub fn expire_masters(&self) {
        lock(&self.0.gates).expire_masters(self.0.clock.now());
    }

    /// Nobody may use a container any more.
    pub fn revoke(&self, path: &[String]) {
        lock(&self.0.gates).revoked.insert(path.to_vec());
    }

    /// Takes every [`revoke`](Self::revoke) back.
    pub fn restore(&self) {
        lock(&self.0.gates).revoked = BTreeSet::new();
    }

    /// Moves the account's time on.
    pub fn advance(&self, by: Duration) {
        self.0.clock.advance(by);
    }

    /// The account's time, in seconds since 1970.
    pub fn now(&self) -> i64 {
        self.0.clock.now()
    }

    /// Waits so long before every answer from now on.
    pub fn set_latency(&self, latency: Duration) {
        self.0.latency_us.store(latency.as_micros() as u64, Ordering::Relaxed);
    }

    /// Sums of the traffic of all listeners.
    pub fn counters(&self) -> Counters {
        self.0.journal.counters()
    }

    /// The traffic by what it was for.
    pub fn traffic(&self) -> Traffic {
        *lock(&self.0.traffic)
    }

    /// How many statements were carried out; one that was sent again under its request id counts once.
    pub fn executed(&self) -> u64 {
        self.0.executed.load(Ordering::Relaxed)
    }

    /// How many sessions of the driver protocol are open.
    pub fn sessions(&self) -> usize {
        lock(&self.0.gates).sessions()
    }

    /// Every token that was ever handed out: sessions', their masters', and what the token endpoints gave.
    pub fn handed_out(&self) -> Vec<String> {
        lock(&self.0.gates).handed_out().to_vec()
    }

    /// The requests that came to any listener.
    pub fn journal(&self) -> Vec<Entry> {
        self.0.journal.entries()
    }

    /// Counts from zero again.
    pub fn reset_counters(&self) {
        self.0.journal.reset();
        self.0.executed.store(0, Ordering::Relaxed);
        *lock(&self.0.traffic) = Traffic::default();
    }

    /// A refresh token for the user and role of the payloads.
    pub fn refresh_token(&self) -> String {
        let until = self.now() + self.0.settings.lifetimes.refresh;
        lock(&self.0.gates).issue_refresh(USER, &format!("session:role:{ROLE}"), until)
    }
}

impl Snowflake {
    /// The whole body of a `POST /data/connection` to this account with user and password.
    pub fn payload(&self, connection_key: &str) -> Value {
        self.payload_for(connection_key, Method::UserPassword)
    }

    /// The same with any way in.
    pub fn payload_for(&self, connection_key: &str, method: Method) -> Value {
        let (kind, credentials) = self.credentials(method);
        let mut connection = json!({
            "technology": "Snowflake",
            "hostname": format!("http://{}", self.addr().ip()),
            "port": self.addr().port(),
            "warehouse": WAREHOUSE,
            "role": ROLE,
            "authenticationType": kind,
        });
        if let (Some(connection), Value::Object(credentials)) = (connection.as_object_mut(), credentials) {
            connection.extend(credentials);
        }
        json!({
            "connectionKey": connection_key,
            "connection": connection,
            "settings": {"isActive": true, "activateNewChildren": true},
        })
    }

    fn credentials(&self, method: Method) -> (&'static str, Value) {
        let client = |url: String| {
            json!({
                "useCertificate": false,
                "clientId": CLIENT_ID,
                "clientSecret": CLIENT_SECRET,
                "scope": format!("session:role:{ROLE}"),
                "authorityUrl": url,
                "clientAuth": self.simulated().state().settings.client_auth.word(),
            })
        };
        match method {
            Method::UserPassword => ("userPassword", json!({"username": USER, "password": PASSWORD})),
            Method::KeyPair(form) => {
                let file = json!({
                    "keyName": "PRIV_KEY_FILE", "userFilename": "harbour.p8", "content": private_key(form),
                });
                let mut credentials = json!({"username": USER, "privateKey": file});
                if matches!(form, KeyForm::Encrypted | KeyForm::EncryptedDes3) {
                    credentials["privateKeyPassword"] = PASSPHRASE.into();
                }
                ("keyPair", credentials)
            }
            Method::OAuthClientCredentials => {
                let url = format!("http://{}{}", self.identity_addr(), oauth::IDENTITY_PATH);
                ("oAuthClientCredentials", json!({"oAuthClientConfig": client(url)}))
            }
            Method::OAuthRefreshToken => {
                let mut config = client(format!("http://{}{}", self.addr(), oauth::ACCOUNT_PATH));
                config["refreshToken"] = self.refresh_token().into();
                ("oAuthRefreshToken", json!({"oAuthClientConfig": config}))
            }
            Method::ProgrammaticAccessToken => ("programmaticAccessToken", json!({"token": ACCESS_TOKEN})),
        }
    }
}

/// A panic elsewhere must not hide what the test is about.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
