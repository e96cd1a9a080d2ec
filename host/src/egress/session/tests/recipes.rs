//! A platform's whole set of recipes, each run against canned answers: key pair, OAuth in two ways, a stored token, and
//! a session of a driver.

use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

use super::{keeping::Memory, *};
use crate::{clock::Clock, egress::keep::Keep};

/// Opened by `PASSPHRASE`.
const KEY: &str = include_str!("../../signing/keys/aes256.pem");
const PASSPHRASE: &str = "correct-horse-battery";

/// Second of the tests' clock.
const NOW: i64 = 1_800_000_000;

pub(super) fn recipe(id: &str) -> Recipe {
    let all: Vec<Recipe> = serde_json::from_str(include_str!("recipes.json")).unwrap();
    let schema = json!({"properties": {
        "hostname": {}, "username": {}, "warehouse": {}, "role": {},
        "oAuthClientConfig": {"properties": {"clientId": {}, "scope": {}, "authorityUrl": {}, "clientAuth": {}}}}});
    let secrets = [
        "token",
        "password",
        "privateKey.content",
        "privateKeyPassword",
        "oAuthClientConfig.clientSecret",
        "oAuthClientConfig.refreshToken",
    ];
    let recipe = all.into_iter().find(|recipe| recipe.id == id).unwrap();
    recipe.validate(&schema, &secrets.map(str::to_owned)).unwrap();
    recipe
}

pub(super) fn spec_of(platform: &Platform, id: &str, config: Value, secrets: &[(&str, &str)]) -> SessionSpec {
    let secrets = secrets.iter().map(|(name, value)| ((*name).to_owned(), Zeroizing::new((*value).to_owned())));
    SessionSpec {
        recipe: recipe(id),
        config,
        secrets: Secrets(secrets.collect()),
        ..spec(platform.address(), static_recipe())
    }
}

pub(super) fn statement(platform: &Platform, path: &str, key: &str) -> Request {
    Request {
        method: "POST".into(),
        body: Some(json!({key: "SHOW DATABASES"}).to_string().into_bytes()),
        headers: vec![("content-type".into(), "application/json".into())],
        ..get(platform, path)
    }
}

fn within(platform: &Platform, keep: Option<Arc<dyn Keep>>) -> Egress {
    let clock = Clock::manual(jiff::Timestamp::from_second(NOW).unwrap());
    let own = platform.address().to_string();
    let policy = Policy { approved_origins: vec![own.parse().unwrap()], ..policy() };
    egress_within(policy, Surroundings { clock, keep })
}

/// The public key of the fixture, as PKCS#1.
fn public_key() -> Vec<u8> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let text = include_str!("../../signing/keys/public.pem");
    let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    // What stands before it says "RSA" and has always the same length.
    STANDARD.decode(body).unwrap()[24..].to_vec()
}

fn claims_of(bearer: &str) -> Value {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let token = bearer.strip_prefix("Bearer ").unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public_key());
    public.verify(signed.as_bytes(), &signature).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(signed.split_once('.').unwrap().1).unwrap()).unwrap()
}

#[tokio::test]
async fn a_key_signs_its_own_tokens_and_another_one_when_it_has_expired() {
    let platform = Platform::start(|asked| match asked.nth {
        1 => Answer::json(401, json!({"code": "394301", "message": "JWT token has expired."})),
        _ => Answer::json(200, json!({"data": []})),
    })
    .await;
    let config = json!({"hostname": "org-acct.eu-west.example", "username": "reader"});
    let secrets = [("privateKey.content", KEY), ("privateKeyPassword", PASSPHRASE)];
    let session = within(&platform, None).session(spec_of(&platform, "keyPair", config, &secrets)).unwrap();
    for _ in 0..2 {
        let response = session.send(statement(&platform, "/api/v2/statements", "statement"), &budget()).await.unwrap();
        assert_eq!(response.status, 200);
    }
    let asked = platform.asked();
    assert_eq!(asked.len(), 3, "expired once, and sent again with a token of its own");
    for asked in &asked {
        assert_eq!(asked.header("x-token-type"), "KEYPAIR_JWT");
        let claims = claims_of(asked.header("authorization"));
        assert_eq!(claims["sub"], "ORG-ACCT.READER");
        let fingerprint = "68LZwglL7LjaMB9LwIXVx73WZO9Hj04RA3XuvCxqNo0=";
        assert_eq!(claims["iss"], format!("ORG-ACCT.READER.SHA256:{fingerprint}"));
        assert_eq!((&claims["iat"], &claims["exp"]), (&json!(NOW - 30), &json!(NOW + 3270)));
    }
}

#[tokio::test]
async fn a_token_that_was_signed_here_must_not_come_back() {
    let platform = Platform::start(|asked| Answer::new(200, asked.header("authorization").to_owned())).await;
    let config = json!({"hostname": "acct.example", "username": "reader"});
    let secrets = [("privateKey.content", KEY), ("privateKeyPassword", PASSPHRASE)];
    let session = within(&platform, None).session(spec_of(&platform, "keyPair", config, &secrets)).unwrap();
    let error = session.send(statement(&platform, "/api/v2/statements", "statement"), &budget()).await.unwrap_err();
    assert_eq!(error.kind, SendErrorKind::SecretReflected);
}

#[tokio::test]
async fn a_key_that_does_not_open_is_told_once_and_for_all() {
    let platform = Platform::start(|_| Answer::new(200, "ok")).await;
    let config = json!({"hostname": "acct.example", "username": "reader"});
    let secrets = [("privateKey.content", KEY), ("privateKeyPassword", "hunter2-hunter2-hunter2")];
    let session = within(&platform, None).session(spec_of(&platform, "keyPair", config, &secrets)).unwrap();
    for _ in 0..3 {
        let error = session.send(statement(&platform, "/api/v2/statements", "statement"), &budget()).await.unwrap_err();
        assert_eq!(error.kind, SendErrorKind::InvalidConfig);
        assert!(error.message.contains("`privateKeyPassword` is not the passphrase"), "{error:?}");
        assert!(!format!("{error:?}").contains("hunter2"));
    }
    assert!(platform.asked().is_empty());
}

#[tokio::test]
async fn a_client_authenticates_in_the_header_or_in_the_body() {
    for (way, header, form) in [
        (None, "Basic bXkraWQ6cyUzQyUzRWNyZXQtY2FuYXJ5", "grant_type=client_credentials&scope=session%3Arole%3AR"),
        (
            Some("body"),
            "",
            "client_id=my+id&client_secret=s%3C%3Ecret-canary&grant_type=client_credentials&scope=session%3Arole%3AR",
        ),
        (
            Some("header"),
            "Basic bXkraWQ6cyUzQyUzRWNyZXQtY2FuYXJ5",
            "grant_type=client_credentials&scope=session%3Arole%3AR",
        ),
    ] {
        // The token endpoint is another company's.
        let issuer = Platform::start(|_| Answer::json(200, json!({"access_token": "issued-0123456789"}))).await;
        let platform = Platform::start(|asked| match asked.nth {
            1 => Answer::json(401, json!({"code": "390318", "message": "expired"})),
            _ => Answer::json(200, json!({"data": []})),
        })
        .await;
        let mut oauth = json!({"clientId": "my id", "scope": "session:role:R",
            "authorityUrl": format!("{}/oauth2/token", issuer.address())});
        if let Some(way) = way {
            oauth["clientAuth"] = way.into();
        }
        let secrets = [("oAuthClientConfig.clientSecret", "s<>cret-canary")];
        let spec =
            || spec_of(&platform, "oAuthClientCredentials", json!({"oAuthClientConfig": oauth.clone()}), &secrets);
        let refused = within(&platform, None).session(spec()).unwrap_err();
        assert_eq!(refused.kind, SendErrorKind::InvalidConfig);
        let line = format!("[egress] approved_origins = [\"{}\"]", issuer.address());
        assert!(refused.operator.unwrap().ends_with(&line), "the operator learns the line");
        let session = within(&issuer, None).session(spec()).unwrap();
        for _ in 0..2 {
            session.send(statement(&platform, "/api/v2/statements", "statement"), &budget()).await.unwrap();
        }
        assert_eq!((issuer.count("/oauth2/token"), platform.asked().len()), (2, 3), "renewed in mid-run");
        let asked = &issuer.asked()[0];
        let sent: std::collections::BTreeSet<&str> = std::str::from_utf8(&asked.body).unwrap().split('&').collect();
        assert_eq!(sent, form.split('&').collect(), "{way:?}");
        assert_eq!(asked.header("authorization"), header, "{way:?}");
        assert_eq!(platform.asked()[0].header("authorization"), "Bearer issued-0123456789");
        // The endpoint is the host's to call and not the connector's.
        let guest = Request { method: "POST".into(), ..get(&issuer, "/oauth2/token") };
        assert_eq!(session.send(guest, &budget()).await.unwrap_err().kind, SendErrorKind::Denied);
    }
}

#[tokio::test]
async fn a_refresh_token_is_replaced_in_mid_run_and_kept_first() {
    let issuing = AtomicU32::new(0);
    let platform = Platform::start(move |asked| {
        let number = issuing.load(Ordering::SeqCst);
        if asked.uri.path() == "/oauth/token-request" {
            let expected = format!("grant_type=refresh_token&refresh_token=refresh-canary-{number}");
            if asked.body != expected.as_str() {
                return Answer::json(400, json!({"error": "invalid_grant", "error_description": "Unknown token."}));
            }
            issuing.store(number + 1, Ordering::SeqCst);
            return Answer::json(
                200,
                json!({"access_token": format!("access-canary-{number}"), "refresh_token": format!("refresh-canary-{}", number + 1)}),
            );
        }
        match asked.nth {
            1 => Answer::json(401, json!({"code": "390318", "message": "expired"})),
            _ => Answer::json(200, json!({"data": []})),
        }
    })
    .await;
    let id = ConnectionId::generate();
    let memory = Arc::new(Memory::holding(&[("oAuthClientConfig.refreshToken", "refresh-canary-0")]));
    let secrets =
        [("oAuthClientConfig.clientSecret", "secret"), ("oAuthClientConfig.refreshToken", "refresh-canary-0")];
    let config = json!({"oAuthClientConfig": {"clientId": "me"}});
    let spec = SessionSpec {
        connection: Some((id, 1)),
        keep: Some(id),
        ..spec_of(&platform, "oAuthRefreshToken", config, &secrets)
    };
    let session = within(&platform, Some(memory.clone())).session(spec).unwrap();
    for _ in 0..2 {
        session.send(statement(&platform, "/api/v2/statements", "statement"), &budget()).await.unwrap();
    }
    assert_eq!(platform.count("/oauth"), 2);
    assert_eq!(memory.stored("oAuthClientConfig.refreshToken"), "refresh-canary-2");
}

#[tokio::test]
async fn a_stored_token_that_is_refused_is_not_tried_again() {
    let platform = Platform::start(|_| Answer::json(401, json!({"code": "394400", "message": "invalid"}))).await;
    let spec = spec_of(&platform, "programmaticAccessToken", json!({}), &[("token", CANARY)]);
    let session = within(&platform, None).session(spec).unwrap();
    let error = session.send(statement(&platform, "/api/v2/statements", "statement"), &budget()).await.unwrap_err();
    assert_eq!(error.kind, SendErrorKind::Unauthenticated);
    assert_eq!(platform.asked().len(), 1);
    assert_eq!(platform.asked()[0].header("authorization"), format!("Bearer {CANARY}"));
}
