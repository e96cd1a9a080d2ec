//! Grants: fetched once, renewed in time and on expiry, shared by all who wait.

use super::*;

/// Gives out `token-1-…`, `token-2-…`, … and takes only the newest.
async fn issuing(lifetime: u64) -> Platform {
    let issued = AtomicU32::new(0);
    Platform::start(move |asked| {
        if asked.uri.path() == "/token" {
            let number = issued.fetch_add(1, Ordering::SeqCst) + 1;
            let token = format!("token-{number}-0123456789abcdef");
            return Answer::json(200, json!({"access_token": token, "expires_in": lifetime}))
                .after(Duration::from_millis(50));
        }
        let newest = format!("Bearer token-{}-0123456789abcdef", issued.load(Ordering::SeqCst));
        if asked.header("authorization") == newest { Answer::new(200, "ok") } else { Answer::new(401, "expired") }
    })
    .await
}

/// So many at once, all on one session; their statuses or kinds of failure.
async fn at_once(session: &Arc<Session>, platform: &Platform, number: usize) -> Vec<Result<u16, SendErrorKind>> {
    let budget = budget();
    let sends = (0..number).map(|_| session.send(get(platform, "/api/x"), &budget));
    let results = futures_util::future::join_all(sends).await;
    results.into_iter().map(|result| result.map(|r| r.status).map_err(|e| e.kind)).collect()
}

#[tokio::test]
async fn a_stored_token_is_sent_inside_its_scope_only() {
    let platform = Platform::start(|_| Answer::new(200, "ok")).await;
    let session = session(&platform, static_recipe());
    let budget = budget();
    let response = session.send(get(&platform, "/api/list?a=b"), &budget).await.unwrap();
    assert_eq!((response.status, &response.body[..]), (200, &b"ok"[..]));
    let without = Request { auth: None, ..get(&platform, "/open") };
    session.send(without, &budget).await.unwrap();
    let asked = platform.asked();
    assert_eq!(asked[0].header("authorization"), format!("Bearer {CANARY}"));
    assert_eq!(asked[0].uri.to_string(), "/api/list?a=b");
    assert_eq!(asked[1].header("authorization"), "");
    assert_eq!(asked[0].peer, asked[1].peer, "one connection serves both");
    assert_eq!((budget.requests.load(Ordering::SeqCst), budget.bytes.load(Ordering::SeqCst)), (2, 4));
    let outside = session.send(get(&platform, "/open"), &budget).await.unwrap_err();
    assert_eq!(outside.kind, SendErrorKind::Denied);
    let unknown = Request { auth: Some("admin".into()), ..get(&platform, "/api/x") };
    assert_eq!(session.send(unknown, &budget).await.unwrap_err().kind, SendErrorKind::Denied);
    assert_eq!(platform.asked().len(), 2, "what is denied never leaves");
}

#[tokio::test]
async fn a_token_is_fetched_once_for_all_who_wait() {
    let platform = issuing(3600).await;
    let session = session(&platform, exchange_recipe());
    assert_eq!(at_once(&session, &platform, 20).await, vec![Ok(200); 20]);
    assert_eq!(platform.count("/token"), 1);
    let asked = platform.asked().into_iter().find(|asked| asked.uri.path() == "/token").unwrap();
    assert_eq!(asked.method, "POST");
    assert_eq!(asked.body, "grant_type=client_credentials");
    assert_eq!(asked.header("content-type"), "application/x-www-form-urlencoded");
    assert_eq!(asked.header("authorization"), "Basic bWU6Y2FuYXJ5LXNlY3JldC00NzExLTA4MTU=");
}

#[tokio::test]
async fn a_token_that_expires_in_mid_run_is_replaced_once_for_all() {
    let revoked = Arc::new(AtomicU32::new(0));
    let (issued, seen) = (AtomicU32::new(0), Arc::clone(&revoked));
    let platform = Platform::start(move |asked| {
        if asked.uri.path() == "/token" {
            let number = issued.fetch_add(1, Ordering::SeqCst) + 1;
            return Answer::json(200, json!({"access_token": format!("{number:016}")}))
                .after(Duration::from_millis(30));
        }
        let number: u32 = asked.header("authorization").trim_start_matches("Bearer ").parse().unwrap();
        let status = if number > seen.load(Ordering::SeqCst) { 200 } else { 401 };
        Answer::new(status, "").after(Duration::from_millis(10))
    })
    .await;
    let session = session(&platform, exchange_recipe());
    assert_eq!(at_once(&session, &platform, 20).await, vec![Ok(200); 20]);
    for round in 1..=3 {
        revoked.store(round, Ordering::SeqCst);
        assert_eq!(at_once(&session, &platform, 20).await, vec![Ok(200); 20]);
        assert_eq!(platform.count("/token"), 1 + round as usize, "one renewal for all");
    }
}

#[tokio::test]
async fn a_token_that_never_works_is_renewed_once_and_given_up() {
    let platform = Platform::start(|asked| match asked.uri.path() {
        "/token" => Answer::json(200, json!({"access_token": format!("{:016}", asked.nth)})),
        _ => Answer::new(401, "no"),
    })
    .await;
    let session = session(&platform, exchange_recipe());
    let error = session.send(get(&platform, "/api/x"), &budget()).await.unwrap_err();
    assert_eq!(error.kind, SendErrorKind::Unauthenticated);
    assert_eq!((platform.count("/token"), platform.count("/api")), (2, 2));
}

#[tokio::test]
async fn a_rejected_credential_is_never_tried_again() {
    for (status, body, kind) in [
        (401, "", Some(SendErrorKind::Unauthenticated)),
        (403, "{\"error_code\": 403}", Some(SendErrorKind::Unauthenticated)),
        (403, "{\"error_code\": \"PERMISSION_DENIED\"}", None),
    ] {
        let platform = Platform::start(move |_| Answer::new(status, body)).await;
        let session = session(&platform, static_recipe());
        let request = Request { retry_statuses: vec![401, 403], ..get(&platform, "/api/x") };
        let result = session.send(request.clone(), &Budget { retries: AtomicU32::new(0), ..budget() }).await;
        assert_eq!(result.err().map(|error| error.kind), kind, "{body}");
        let opened = session.open(request, &Budget { retries: AtomicU32::new(0), ..budget() }).await;
        assert_eq!(opened.err().map(|error| error.kind), kind, "{body}");
        assert_eq!(platform.asked().len(), 2);
    }
}

#[tokio::test]
async fn a_wrong_secret_is_one_attempt_however_many_wait() {
    let platform = Platform::start(|_| {
        Answer::json(401, json!({"error": "invalid_client", "error_description": "Client authentication failed"}))
            .after(Duration::from_millis(100))
    })
    .await;
    let session = session(&platform, exchange_recipe());
    let failed = Err(SendErrorKind::Unauthenticated);
    assert_eq!(at_once(&session, &platform, 8).await, vec![failed; 8]);
    assert_eq!(platform.asked().len(), 1);
    let error = session.send(get(&platform, "/api/x"), &budget()).await.unwrap_err();
    assert_eq!(platform.asked().len(), 1, "a refusal stands for a while");
    assert!(!error.message.contains("failed"), "the platform's words are not for the guest");
    assert!(error.operator.unwrap().ends_with("invalid_client: Client authentication failed"));
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends_while_the_old_one_still_serves() {
    let platform = issuing(1).await;
    let session = session(&platform, exchange_recipe());
    assert_eq!(at_once(&session, &platform, 3).await, vec![Ok(200); 3]);
    assert_eq!(platform.count("/token"), 1, "not before half of its life, whatever `early` says");
    tokio::time::sleep(Duration::from_millis(600)).await;
    session.send(get(&platform, "/api/x"), &budget()).await.unwrap();
    assert_eq!(platform.count("/token"), 2);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    session.send(get(&platform, "/api/x"), &budget()).await.unwrap();
    assert_eq!(platform.count("/token"), 3, "an ended one is not sent");
    assert!(
        platform.asked().iter().all(|asked| asked.uri.path() != "/api/x" || !asked.header("authorization").is_empty())
    );
}

#[tokio::test]
async fn when_renewing_ahead_of_time_fails_the_old_token_serves_on() {
    let platform = Platform::start(|asked| match (asked.uri.path(), asked.nth) {
        ("/token", 0) => Answer::json(200, json!({"access_token": "0123456789abcdef", "expires_in": 2})),
        ("/token", _) => Answer::new(500, "down"),
        _ => Answer::new(200, "ok"),
    })
    .await;
    let session = session(&platform, exchange_recipe());
    session.send(get(&platform, "/api/x"), &budget()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    for _ in 0..5 {
        assert_eq!(session.send(get(&platform, "/api/x"), &budget()).await.unwrap().status, 200);
    }
    assert_eq!(platform.count("/token"), 2, "the endpoint that is down is left alone for a while");
}

#[tokio::test]
async fn who_is_cancelled_while_fetching_leaves_the_turn_to_the_next() {
    let platform = Platform::start(|asked| match (asked.uri.path(), asked.nth) {
        ("/token", 0) => Answer::json(200, json!({"access_token": "0123456789abcdef"})).after(Duration::from_secs(30)),
        ("/token", _) => Answer::json(200, json!({"access_token": "fedcba9876543210"})),
        _ => Answer::new(200, "ok"),
    })
    .await;
    let session = session(&platform, exchange_recipe());
    let hasty = Budget { deadline: Instant::now() + Duration::from_millis(200), ..budget() };
    let other = budget();
    let (late, good) = tokio::join!(session.send(get(&platform, "/api/x"), &hasty), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        session.send(get(&platform, "/api/x"), &other).await
    });
    assert_eq!(late.unwrap_err().kind, SendErrorKind::TimedOut);
    assert_eq!(good.unwrap().status, 200, "the haste of one says nothing to the other");
}

#[tokio::test]
async fn token_endpoints_that_are_busy_are_asked_again_and_odd_ones_are_told_apart() {
    let answers = |first: Answer| {
        let first = std::sync::Mutex::new(Some(first));
        Platform::start(move |asked| match asked.uri.path() {
            "/token" => first
                .lock()
                .unwrap()
                .take()
                .unwrap_or_else(|| Answer::json(200, json!({"access_token": "0123456789abcdef"}))),
            _ => Answer::new(200, "ok"),
        })
    };
    for status in [429, 503] {
        let platform = answers(Answer::new(status, "busy").with("retry-after", "0")).await;
        let session = session(&platform, exchange_recipe());
        assert_eq!(session.send(get(&platform, "/api/x"), &budget()).await.unwrap().status, 200);
        assert_eq!(platform.count("/token"), 2);
    }
    for (answer, kind) in [
        (Answer::json(200, json!({"expires_in": 60})), SendErrorKind::Unavailable),
        (
            Answer::json(200, json!({"access_token": "0123456789abcdef", "expires_in": "soon"})),
            SendErrorKind::Unavailable,
        ),
        (Answer::json(200, json!({"access_token": "0123456789abcdef", "expires_in": 0})), SendErrorKind::Unavailable),
        (Answer::json(200, json!({"access_token": "evil\r\nx: y 0123456"})), SendErrorKind::InvalidConfig),
        (Answer::new(200, "<html>"), SendErrorKind::Unavailable),
        (Answer::new(200, vec![b' '; 300 * 1024]), SendErrorKind::Unavailable),
        (Answer::new(302, "").with("location", "https://evil.example/"), SendErrorKind::Unavailable),
        (Answer::new(500, ""), SendErrorKind::Unavailable),
        (Answer::new(404, ""), SendErrorKind::InvalidConfig),
    ] {
        let platform = answers(answer).await;
        let error = session(&platform, exchange_recipe()).send(get(&platform, "/api/x"), &budget()).await.unwrap_err();
        assert_eq!(error.kind, kind, "{error:?}");
        assert_eq!(platform.count("/api"), 0);
    }
}
