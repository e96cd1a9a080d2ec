//! Stored secrets that the platform replaces: kept before anything else happens, and never lost to somebody's haste.

use std::{collections::BTreeMap, sync::Mutex};

use futures_util::future::BoxFuture;

use super::*;
use crate::egress::keep::{Keep, Kept, NotKept, Rotation};

/// A store of one connection in memory.
#[derive(Default)]
pub(super) struct Memory {
    secrets: Mutex<BTreeMap<String, Zeroizing<String>>>,
    /// Attempts that fail before one succeeds.
    fails: AtomicU32,
    delay: Duration,
}

impl Memory {
    pub(super) fn holding(secrets: &[(&str, &str)]) -> Self {
        let secrets = secrets.iter().map(|(name, value)| ((*name).to_owned(), Zeroizing::new((*value).to_owned())));
        Self { secrets: Mutex::new(secrets.collect()), ..Self::default() }
    }

    pub(super) fn stored(&self, name: &str) -> String {
        self.secrets.lock().unwrap()[name].to_string()
    }

    fn set(&self, name: &str, value: &str) {
        self.secrets.lock().unwrap().insert(name.to_owned(), Zeroizing::new(value.to_owned()));
    }
}

impl Keep for Memory {
    fn current(&self, _: ConnectionId, revision: u64) -> BoxFuture<'_, Option<Secrets>> {
        let secrets = (revision == 1).then(|| Secrets(self.secrets.lock().unwrap().clone()));
        Box::pin(async move { secrets })
    }

    fn replace(&self, rotation: Rotation) -> BoxFuture<'_, Result<Kept, NotKept>> {
        Box::pin(async move {
            tokio::time::sleep(self.delay).await;
            if self.fails.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
                return Err(NotKept("no space left on device".to_owned()));
            }
            let mut secrets = self.secrets.lock().unwrap();
            if secrets.get(&rotation.property) != rotation.was.as_ref() {
                return Ok(Kept::Superseded);
            }
            secrets.insert(rotation.property, rotation.new);
            Ok(Kept::Stored)
        })
    }
}

fn rotating_recipe() -> Value {
    let mut recipe = exchange_recipe();
    recipe["acquire"][0]["exchange"]["take"]["next"] =
        json!({"at": "/refresh_token", "secret": true, "persist": "token"});
    recipe["acquire"][0]["exchange"]["form"]["refresh"] = "{{ secret.token }}".into();
    recipe
}

/// The nth secret of the platform. Each is good for one use.
fn nth(number: u32) -> String {
    format!("refresh-canary-{number:04}")
}

/// Takes the secret that is next and issues another; `keeps` is how often the same one is good.
struct Issuer {
    next: Arc<AtomicU32>,
    platform: Platform,
}

async fn issuer(delay: Duration, rotates: bool) -> Issuer {
    let next = Arc::new(AtomicU32::new(0));
    let (seen, expired) = (Arc::clone(&next), AtomicU32::new(0));
    let platform = Platform::start(move |asked| {
        if asked.uri.path() != "/token" {
            // Every second one comes too late.
            let late = expired.fetch_add(1, Ordering::SeqCst) % 2 == 1;
            return Answer::new(if late { 401 } else { 200 }, "");
        }
        let number = seen.load(Ordering::SeqCst);
        let sent = String::from_utf8(asked.body.to_vec()).unwrap();
        if !sent.ends_with(&format!("refresh={}", nth(number))) {
            return Answer::json(400, json!({"error": "invalid_client", "error_description": "used"}));
        }
        let mut body = json!({"access_token": format!("access-canary-{number:04}")});
        if rotates {
            seen.store(number + 1, Ordering::SeqCst);
            body["refresh_token"] = nth(number + 1).into();
        }
        Answer::json(200, body).after(delay)
    })
    .await;
    Issuer { next, platform }
}

fn open(egress: &Egress, platform: &Platform, registered: Option<ConnectionId>) -> Arc<Session> {
    let spec = SessionSpec {
        connection: registered.map(|id| (id, 1)),
        keep: registered,
        secrets: Secrets([("token".to_owned(), Zeroizing::new(nth(0)))].into()),
        ..spec(platform.address(), rotating_recipe())
    };
    egress.session(spec).unwrap()
}

fn keeping(memory: &Arc<Memory>) -> Egress {
    let keep: Arc<dyn Keep> = memory.clone();
    egress_within(policy(), Surroundings { keep: Some(keep), ..Surroundings::default() })
}

#[tokio::test]
async fn a_replaced_secret_is_stored_before_the_token_is_used() {
    let issuer = issuer(Duration::ZERO, true).await;
    let memory = Arc::new(Memory { delay: Duration::from_millis(100), ..Memory::holding(&[("token", &nth(0))]) });
    let session = open(&keeping(&memory), &issuer.platform, Some(ConnectionId::generate()));
    let early = async {
        tokio::time::sleep(Duration::from_millis(60)).await;
        (memory.stored("token"), issuer.platform.count("/api"))
    };
    let budget = budget();
    let (sent, early) = tokio::join!(session.send(get(&issuer.platform, "/api/x"), &budget), early);
    assert_eq!(sent.unwrap().status, 200);
    assert_eq!(early, (nth(0), 0), "nothing is sent while it is not stored");
    assert_eq!(memory.stored("token"), nth(1));
    assert_eq!(budget.requests.load(Ordering::SeqCst), 2, "the attempt counts for the operation");
    for round in 2..5 {
        session.send(get(&issuer.platform, "/api/x"), &budget).await.unwrap();
        assert_eq!(memory.stored("token"), nth(round));
    }
    assert_eq!(session.rotated().await.unwrap().1, Vec::<String>::new(), "all of it is stored");
}

#[tokio::test]
async fn whoever_is_in_a_hurry_ends_no_attempt_that_may_replace_a_secret() {
    let issuer = issuer(Duration::from_millis(200), true).await;
    let memory = Arc::new(Memory::holding(&[("token", &nth(0))]));
    let session = open(&keeping(&memory), &issuer.platform, Some(ConnectionId::generate()));
    let hasty = Budget { deadline: Instant::now() + Duration::from_millis(60), ..budget() };
    let error = session.send(get(&issuer.platform, "/api/x"), &hasty).await.unwrap_err();
    assert_eq!(error.kind, SendErrorKind::TimedOut);
    let budget = budget();
    let cancelled = session.send(get(&issuer.platform, "/api/x"), &budget);
    assert!(tokio::time::timeout(Duration::from_millis(40), cancelled).await.is_err());
    tokio::time::sleep(Duration::from_millis(250)).await;
    assert_eq!(memory.stored("token"), nth(1), "it went on without them");
    assert_eq!(session.send(get(&issuer.platform, "/api/x"), &budget).await.unwrap().status, 200);
    assert_eq!(issuer.platform.count("/token"), 1);
}

#[tokio::test]
async fn without_a_new_one_the_old_one_stays() {
    let issuer = issuer(Duration::ZERO, false).await;
    let memory = Arc::new(Memory::holding(&[("token", &nth(0))]));
    let session = open(&keeping(&memory), &issuer.platform, Some(ConnectionId::generate()));
    for _ in 0..4 {
        session.send(get(&issuer.platform, "/api/x"), &budget()).await.unwrap();
    }
    assert!(issuer.platform.count("/token") > 1);
    assert_eq!(memory.stored("token"), nth(0));
    assert!(session.rotated().await.is_none());
}

#[tokio::test]
async fn what_cannot_be_stored_is_not_used_and_not_forgotten() {
    let log = secrets::Log::default();
    let guard = log.capture();
    let issuer = issuer(Duration::ZERO, true).await;
    let memory = Arc::new(Memory { fails: AtomicU32::new(3), ..Memory::holding(&[("token", &nth(0))]) });
    let session = open(&keeping(&memory), &issuer.platform, Some(ConnectionId::generate()));
    let error = session.send(get(&issuer.platform, "/api/x"), &budget()).await.unwrap_err();
    assert_eq!((error.kind, issuer.platform.count("/api")), (SendErrorKind::Unavailable, 0));
    assert!(error.operator.unwrap().contains("no space left on device"));
    assert_eq!(memory.stored("token"), nth(0));
    session.send(get(&issuer.platform, "/api/x"), &budget()).await.unwrap();
    assert_eq!(memory.stored("token"), nth(2), "from the one that the platform knows");
    drop(guard);
    assert!(!log.text().contains("canary"), "{}", log.text());
}

#[tokio::test]
async fn what_people_stored_meanwhile_stays() {
    let issuer = issuer(Duration::from_millis(100), true).await;
    let memory = Arc::new(Memory::holding(&[("token", &nth(0))]));
    let session = open(&keeping(&memory), &issuer.platform, Some(ConnectionId::generate()));
    let budget = budget();
    let by_hand = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        memory.set("token", "by hand");
    };
    let (sent, ()) = tokio::join!(session.send(get(&issuer.platform, "/api/x"), &budget), by_hand);
    assert_eq!(sent.unwrap().status, 200);
    assert_eq!(memory.stored("token"), "by hand");
}

#[tokio::test]
async fn a_session_goes_on_with_what_another_one_has_stored() {
    let issuer = issuer(Duration::ZERO, true).await;
    let memory = Arc::new(Memory::holding(&[("token", &nth(0))]));
    let session = open(&keeping(&memory), &issuer.platform, Some(ConnectionId::generate()));
    session.send(get(&issuer.platform, "/api/x"), &budget()).await.unwrap();
    // Somebody tried a change of the connection, which used up the one that is stored.
    issuer.next.store(7, Ordering::SeqCst);
    memory.set("token", &nth(7));
    session.send(get(&issuer.platform, "/api/x"), &budget()).await.unwrap();
    assert_eq!(memory.stored("token"), nth(8));
}

#[tokio::test]
async fn a_try_tells_what_it_used_up() {
    let issuer = issuer(Duration::ZERO, true).await;
    let session = open(&egress_with(policy()), &issuer.platform, None);
    assert!(session.rotated().await.is_none());
    session.send(get(&issuer.platform, "/api/x"), &budget()).await.unwrap();
    let (secrets, only_here) = session.rotated().await.unwrap();
    assert_eq!((secrets.0["token"].as_str(), only_here), (nth(1).as_str(), vec!["token".to_owned()]));
}
