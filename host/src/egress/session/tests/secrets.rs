//! Secrets: in no answer, no error, no log.

use std::{io::Write, sync::Mutex};

use axum::body::Body;
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

use super::*;

/// Everything that is logged, at every level.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(super) fn capture(&self) -> tracing::subscriber::DefaultGuard {
        // Somebody has to listen everywhere: with a single subscriber, on one thread, a line that another test's thread
        // reaches first is held to interest nobody, for good.
        let everywhere = tracing_subscriber::fmt().with_env_filter(EnvFilter::new("trace")).with_writer(std::io::sink);
        let _ = tracing::subscriber::set_global_default(everywhere.finish());
        let subscriber = tracing_subscriber::fmt().with_env_filter(EnvFilter::new("trace")).with_ansi(false);
        tracing::subscriber::set_default(subscriber.with_writer(self.clone()).finish())
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Sends back what it was sent, in the way the path says.
async fn echoing() -> Platform {
    Platform::start(|asked| {
        let credential = asked.header("authorization").to_owned();
        let token = credential.trim_start_matches("Bearer ").to_owned();
        match asked.uri.path() {
            "/token" => Answer::json(200, json!({"access_token": "issued-canary-0123456789"})),
            "/api/header" => Answer::new(200, "ok").with("x-echo", credential),
            "/api/name" => Answer::new(200, json!({ token.as_str(): 1 }).to_string()),
            "/api/escaped" => Answer::new(200, token.replace('-', "%2D")),
            "/api/late" => {
                let (head, tail) = credential.split_at(15);
                let parts = ["x".repeat(100_000), head.to_owned(), tail.to_owned(), "y".repeat(100_000)];
                let parts = parts.map(|part| Ok::<_, std::io::Error>(axum::body::Bytes::from(part)));
                Answer::new(200, Body::from_stream(futures_util::stream::iter(parts)))
            }
            "/api/error" => Answer::json(500, json!({"message": format!("bad header {credential}")})),
            _ => Answer::new(200, "nothing"),
        }
    })
    .await
}

#[tokio::test]
async fn an_answer_with_an_injected_secret_is_discarded_and_raises_an_event() {
    let log = Log::default();
    let guard = log.capture();
    let platform = echoing().await;
    for recipe in [static_recipe(), exchange_recipe()] {
        let session = session(&platform, recipe);
        for path in ["header", "name", "escaped", "late", "error"] {
            let error = session.send(get(&platform, &format!("/api/{path}")), &budget()).await.unwrap_err();
            assert_eq!(error.kind, SendErrorKind::SecretReflected, "{path}");
            assert!(!format!("{error:?} {error}").contains("canary"), "{path}");
        }
        session.send(get(&platform, "/api/other"), &budget()).await.unwrap();
    }
    drop(guard);
    let text = log.text();
    assert_eq!(text.matches("ERROR security:").count(), 10, "{text}");
    assert!(!text.contains("canary"), "{text}");
}

#[tokio::test]
async fn a_stream_ends_before_the_secret_begins() {
    let platform = echoing().await;
    let session = session(&platform, static_recipe());
    let budget = budget();
    for piece in [1, 7, 4096, 1 << 20] {
        let mut stream = session.open(get(&platform, "/api/late"), &budget).await.unwrap();
        let mut seen = Vec::new();
        let error = loop {
            match stream.read(piece, &budget).await {
                Ok(bytes) => {
                    assert!(!bytes.is_empty() && bytes.len() <= piece);
                    seen.extend_from_slice(&bytes);
                }
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind, SendErrorKind::SecretReflected);
        let text = String::from_utf8(seen).unwrap();
        assert!(!text.contains("can"), "{}", text.trim_start_matches('x'));
        assert!(stream.read(piece, &budget).await.unwrap().is_empty(), "nothing comes after");
    }
}

#[tokio::test]
async fn what_was_issued_and_what_is_stored_must_not_come_back_without_the_credential_either() {
    let platform = Platform::start(|asked| match asked.uri.path() {
        "/token" => Answer::json(200, json!({"access_token": "issued-canary-0123456789"})),
        "/open/issued" => Answer::new(200, "issued-canary-0123456789"),
        "/open/stored" => Answer::new(200, CANARY),
        _ => Answer::new(200, "ok"),
    })
    .await;
    let session = session(&platform, exchange_recipe());
    session.send(get(&platform, "/api/x"), &budget()).await.unwrap();
    for path in ["/open/issued", "/open/stored"] {
        let request = Request { auth: None, ..get(&platform, path) };
        assert_eq!(session.send(request, &budget()).await.unwrap_err().kind, SendErrorKind::SecretReflected, "{path}");
    }
}

#[tokio::test]
async fn a_token_endpoint_s_answer_is_shown_to_nobody() {
    let log = Log::default();
    let guard = log.capture();
    for (status, body) in [
        (
            400,
            json!({"error": "canary_in_code_0123456789012345", "error_description": "canary-in-text-0123456789012345"}),
        ),
        (200, json!({"error": "canary-taken-for-a-code-0123456789"})),
    ] {
        let platform = Platform::start(move |_| Answer::json(status, body.clone())).await;
        let session = session(&platform, exchange_recipe());
        let error = session.send(get(&platform, "/api/x"), &budget()).await.unwrap_err();
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    }
    drop(guard);
    assert!(!log.text().contains("canary"), "{}", log.text());
}

#[tokio::test]
async fn whatever_happens_no_text_holds_a_secret() {
    let log = Log::default();
    let guard = log.capture();
    let platform = echoing().await;
    let egress = egress_with(policy());
    let mut texts = String::new();
    for recipe in [static_recipe(), exchange_recipe()] {
        let spec = spec(platform.address(), recipe);
        texts += &format!("{spec:?}");
        let session = egress.session(spec).unwrap();
        texts += &format!("{session:?}");
        for path in ["/api/x", "/api/error", "/outside", "/api/../x"] {
            texts += &format!("{:?}", session.send(get(&platform, path), &budget()).await);
        }
        let bad = Request { headers: vec![("authorization".into(), "x".into())], ..get(&platform, "/api/x") };
        texts += &format!("{:?}", session.send(bad, &budget()).await);
    }
    let mut unsendable = spec(platform.address(), static_recipe());
    unsendable.secrets = Secrets([("token".to_owned(), Zeroizing::new("canary\r\nx-evil: 1".to_owned()))].into());
    let error = egress.session(unsendable).unwrap().send(get(&platform, "/api/x"), &budget()).await.unwrap_err();
    assert_eq!(error.kind, SendErrorKind::InvalidConfig);
    texts += &format!("{error:?}");
    let mut endless = spec(platform.address(), static_recipe());
    endless.secrets = Secrets([("token".to_owned(), Zeroizing::new("canary".repeat(20_000)))].into());
    let error = egress.session(endless).unwrap_err();
    assert_eq!(error.kind, SendErrorKind::InvalidConfig);
    texts += &format!("{error:?}");
    drop(guard);
    texts += &log.text();
    for secret in [CANARY, "canary", "Y2FuYXJ5"] {
        assert!(!texts.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn a_refusal_that_repeats_a_secret_is_told_without_its_words() {
    for (secret, message, told) in [
        ("pa55", "the token Pa55 is not known", "(HTTP 403): (withheld: it repeats a secret)"),
        ("pa55", "the token is not known", "(HTTP 403): 403: the token is not known"),
        (CANARY, "Y2FuYXJ5LXNlY3JldC00NzExLTA4MTU= is not known", "(HTTP 403): (withheld: it repeats a secret)"),
    ] {
        let body = json!({"error_code": 403, "message": message, "token_code": "elsewhere"});
        let platform = Platform::start(move |_| Answer::json(403, body.clone())).await;
        let secrets = Secrets([("token".to_owned(), Zeroizing::new(secret.to_owned()))].into());
        let spec = SessionSpec { secrets, ..spec(platform.address(), static_recipe()) };
        let session = egress_with(policy()).session(spec).unwrap();
        let error = session.open(get(&platform, "/api/x"), &budget()).await.err().unwrap();
        assert_eq!(error.kind, SendErrorKind::Unauthenticated);
        assert!(error.operator.unwrap().ends_with(told), "{message}");
        assert!(session.last_told().unwrap().ends_with(told), "{message}");
        let whole = session.send(get(&platform, "/api/x"), &budget()).await.unwrap_err();
        if secret == CANARY {
            assert_eq!(whole.kind, SendErrorKind::SecretReflected);
        } else {
            assert!(whole.operator.unwrap().ends_with(told), "{message}");
        }
    }
}
