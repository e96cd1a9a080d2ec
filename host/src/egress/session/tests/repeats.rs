//! Repeats: when, how often, and what is left when they do not help.

use super::*;

#[tokio::test]
async fn what_is_safe_to_repeat_is_repeated() {
    for (method, retriable, statuses, first, expected) in [
        ("GET", false, vec![], 503, (200, 2)),
        ("GET", false, vec![], 429, (200, 2)),
        ("GET", false, vec![], 500, (500, 1)),
        ("GET", false, vec![500, 502], 500, (200, 2)),
        ("POST", false, vec![], 503, (503, 1)),
        ("POST", false, vec![500], 500, (500, 1)),
        ("POST", true, vec![], 503, (200, 2)),
        ("POST", true, vec![500], 500, (200, 2)),
    ] {
        let platform = Platform::start(move |asked| match asked.nth {
            0 => Answer::new(first, "wait").with("retry-after", "0"),
            _ => Answer::new(200, "ok"),
        })
        .await;
        let session = session(&platform, static_recipe());
        let request = Request {
            method: method.into(),
            retriable,
            retry_statuses: statuses,
            retry_query: vec![("retry".into(), "true".into())],
            ..get(&platform, "/api/x?a=b&retry=no")
        };
        let response = session.send(request, &budget()).await.unwrap();
        let asked = platform.asked();
        assert_eq!((response.status, asked.len()), expected, "{method} {first}");
        assert_eq!(asked[0].uri.query(), Some("a=b&retry=no"));
        if let Some(second) = asked.get(1) {
            assert_eq!(second.uri.query(), Some("a=b&retry=true"));
        }
    }
}

#[tokio::test]
async fn the_platform_s_wait_is_kept() {
    let platform = Platform::start(|asked| match asked.nth {
        0 => Answer::new(429, "").with("retry-after", "1"),
        1 => Answer::new(503, "")
            .with("date", "Sun, 06 Nov 1994 08:49:37 GMT")
            .with("retry-after", "Sun, 06 Nov 1994 08:49:38 GMT"),
        _ => Answer::new(200, "ok"),
    })
    .await;
    let begun = Instant::now();
    let response = session(&platform, static_recipe()).send(get(&platform, "/api/x"), &budget()).await.unwrap();
    assert_eq!(response.status, 200);
    assert!(begun.elapsed() >= Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn repeats_end_with_the_operation_s_budget() {
    for (status, kind) in [(429, Some(SendErrorKind::RateLimited)), (503, None)] {
        let platform = Platform::start(move |_| Answer::new(status, "wait").with("retry-after", "0")).await;
        let session = session(&platform, static_recipe());
        let budget = Budget { retries: AtomicU32::new(3), ..budget() };
        let first = session.send(get(&platform, "/api/x"), &budget).await;
        assert_eq!(first.as_ref().err().map(|e| e.kind), kind);
        if let Ok(response) = first {
            assert_eq!((response.status, &response.body[..]), (503, &b"wait"[..]), "the last answer is the guest's");
        }
        assert_eq!(platform.asked().len(), 4);
        let _ = session.send(get(&platform, "/api/x"), &budget).await;
        assert_eq!(platform.asked().len(), 5, "one budget for all requests of the operation");
        assert_eq!(budget.requests.load(Ordering::SeqCst), 5);
    }
}

#[tokio::test]
async fn a_wait_that_would_come_too_late_is_told_at_once() {
    let platform = Platform::start(|_| Answer::new(429, "").with("retry-after", "3600")).await;
    let begun = Instant::now();
    let error = session(&platform, static_recipe()).send(get(&platform, "/api/x"), &budget()).await.unwrap_err();
    assert_eq!((error.kind, error.retry_after), (SendErrorKind::RateLimited, Some(Duration::from_secs(3600))));
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn connections_that_cannot_be_made_are_tried_again_and_then_told() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = Address { insecure: true, hostname: "127.0.0.1".into(), port: listener.local_addr().unwrap().port() };
    drop(listener);
    let session = egress_with(policy()).session(spec(address.clone(), static_recipe())).unwrap();
    for (method, retries, requests) in [("GET", 2, 3), ("POST", 2, 3), ("GET", 50, 4)] {
        let budget = Budget { retries: AtomicU32::new(retries), ..budget() };
        let request = Request {
            method: method.into(),
            url: format!("{address}/api/x"),
            auth: Some("connection".into()),
            ..Request::default()
        };
        let error = session.send(request, &budget).await.unwrap_err();
        let sent = budget.requests.load(Ordering::SeqCst);
        assert_eq!((error.kind, sent), (SendErrorKind::Unavailable, requests), "{method}");
        assert!(!error.message.contains("127.0.0.1"), "{error:?}");
    }
}

/// Accepts, reads, and hangs up, the first `cuts` times with half an answer.
async fn cutting(cuts: usize) -> (Address, tokio::task::JoinSet<usize>) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        for count in 0.. {
            let (mut socket, _) = listener.accept().await.unwrap();
            let _ = socket.read(&mut [0; 4096]).await;
            let end = if count < cuts { "half" } else { "whole body" };
            let _ = socket.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{end}").as_bytes()).await;
        }
        0
    });
    (Address { insecure: true, hostname: "127.0.0.1".into(), port }, tasks)
}

#[tokio::test]
async fn answers_that_break_off_are_fetched_again_only_where_that_is_safe() {
    for (method, expected) in [("GET", Ok(b"whole body".to_vec())), ("POST", Err(SendErrorKind::Unavailable))] {
        let (address, _tasks) = cutting(2).await;
        let session = egress_with(policy()).session(spec(address.clone(), static_recipe())).unwrap();
        let request = Request { method: method.into(), url: format!("{address}/api/x"), ..Request::default() };
        let result = session.send(request, &budget()).await;
        assert_eq!(result.map(|r| r.body.to_vec()).map_err(|e| e.kind), expected, "{method}");
    }
}

#[tokio::test]
async fn everything_ends_with_the_operation() {
    for path in ["/token", "/api/x"] {
        let platform = Platform::start(move |asked| {
            let delay = if asked.uri.path() == path { Duration::from_secs(60) } else { Duration::ZERO };
            Answer::json(200, json!({"access_token": "0123456789abcdef"})).after(delay)
        })
        .await;
        let session = session(&platform, exchange_recipe());
        let budget = Budget { deadline: Instant::now() + Duration::from_millis(300), ..budget() };
        let begun = Instant::now();
        let error = session.send(get(&platform, "/api/x"), &budget).await.unwrap_err();
        assert_eq!(error.kind, SendErrorKind::TimedOut);
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
}

#[tokio::test]
async fn eight_requests_of_a_connection_are_under_way_at_once() {
    let platform = Platform::start(|_| Answer::new(200, "ok").after(Duration::from_millis(60))).await;
    let session = session(&platform, static_recipe());
    let budget = budget();
    let sends = (0..30).map(|_| session.send(get(&platform, "/api/x"), &budget));
    assert!(futures_util::future::join_all(sends).await.iter().all(Result::is_ok));
    assert_eq!(platform.most_open(), IN_FLIGHT);
    let hasty = Budget { deadline: Instant::now() + Duration::from_millis(200), ..self::budget() };
    let streams = (0..IN_FLIGHT).map(|_| session.open(get(&platform, "/api/x"), &budget));
    let streams = futures_util::future::try_join_all(streams).await.unwrap();
    let waiting = session.send(get(&platform, "/api/x"), &hasty).await;
    assert_eq!(waiting.unwrap_err().kind, SendErrorKind::TimedOut, "a stream counts until it is dropped");
    drop(streams);
    session.send(get(&platform, "/api/x"), &budget).await.unwrap();
}
