//! Addresses that answers name: fetched as they stand, by the operation that got the answer, and by nobody else.

use super::*;

/// Another server of the same host, as a store of large results would be.
async fn store() -> Platform {
    Platform::start(|_| Answer::new(200, "rows")).await
}

/// Answers with what names these addresses.
async fn naming(body: Value) -> Platform {
    Platform::start(move |asked| match asked.uri.path() {
        "/api/redirect" => Answer::new(302, "").with("location", "/api/x"),
        "/api/broken" => Answer::json(500, body.clone()),
        _ => Answer::json(200, body.clone()),
    })
    .await
}

fn reach(suffixes: &[&str]) -> Vec<Target> {
    let named = json!({"origin": "{{ connection.origin }}", "paths": ["/api/*"], "methods": ["GET", "POST"],
        "fromResponse": {"at": "/data/chunks/*/url", "hostSuffixes": suffixes,
            "headerValues": ["/data/chunkHeaders", "/data/qrmk"], "headers": {"x-algorithm": "AES256"}}});
    let target: Target = serde_json::from_value(named).unwrap();
    target.validate(&json!({}), &[]).unwrap();
    vec![target]
}

fn session_of(platform: &Platform) -> Arc<Session> {
    let spec = SessionSpec { reach: reach(&[".files.example"]), ..spec(platform.address(), static_recipe()) };
    egress_with(policy()).session(spec).unwrap()
}

fn fetch(url: &str) -> Request {
    Request { method: "GET".into(), url: url.into(), ..Request::default() }
}

#[tokio::test]
async fn what_an_answer_names_is_fetched_without_credential() {
    let store = store().await;
    let url = format!("{}/results/1?X-Sig=a%2Fb&exp=5", store.address());
    let body = json!({"data": {"rowset": [], "chunks": [{"url": url, "rowCount": 3}],
        "chunkHeaders": {"x-key": "key-of-the-answer", "x-md5": "md5"}, "qrmk": "q"}});
    let platform = naming(body).await;
    let session = session_of(&platform);
    let budget = budget();
    let denied = session.send(fetch(&url), &budget).await.unwrap_err();
    assert_eq!(denied.kind, SendErrorKind::Denied, "nobody has named it yet");
    session.send(get(&platform, "/api/x"), &budget).await.unwrap();
    let headers = [("x-key", "key-of-the-answer"), ("x-other", "q"), ("x-algorithm", "AES256"), ("accept", "*/*")];
    let request = Request {
        headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        retry_query: vec![("retry".into(), "true".into())],
        ..fetch(&url)
    };
    assert_eq!(&session.send(request.clone(), &budget).await.unwrap().body[..], b"rows");
    let mut stream = session.open(request, &budget).await.unwrap();
    assert_eq!(&stream.read(100, &budget).await.unwrap()[..], b"rows");
    for asked in store.asked() {
        assert_eq!(asked.uri.to_string(), "/results/1?X-Sig=a%2Fb&exp=5");
        assert_eq!((asked.header("authorization"), asked.header("x-key")), ("", "key-of-the-answer"));
    }
    let other = super::budget();
    let denied = session.send(fetch(&url), &other).await.unwrap_err();
    assert_eq!(denied.kind, SendErrorKind::Denied, "another operation knows nothing of it");
    assert!(!format!("{budget:?}").contains("X-Sig"), "and no text shows it");
}

#[tokio::test]
async fn nothing_goes_along_but_what_was_named() {
    let store = store().await;
    let url = format!("{}/results/1?sig=abc", store.address());
    let platform = naming(json!({"data": {"chunks": [{"url": url}], "chunkHeaders": {"x-key": "k"}}})).await;
    let session = session_of(&platform);
    let budget = budget();
    session.send(get(&platform, "/api/x"), &budget).await.unwrap();
    let header = |name: &str, value: &str| Request { headers: vec![(name.into(), value.into())], ..fetch(&url) };
    for (what, request) in [
        ("credential", Request { auth: Some("connection".into()), ..fetch(&url) }),
        ("another credential", Request { auth: Some("admin".into()), ..fetch(&url) }),
        ("method", Request { method: "PUT".into(), ..fetch(&url) }),
        ("method", Request { method: "HEAD".into(), ..fetch(&url) }),
        ("body", Request { body: Some(b"catalogue".to_vec()), ..fetch(&url) }),
        ("empty body", Request { body: Some(Vec::new()), ..fetch(&url) }),
        ("query", fetch(&format!("{url}&more=catalogue"))),
        ("path", fetch(&url.replace("results", "other"))),
        ("port", fetch(&format!("{}/results/1?sig=abc", platform.address()))),
        ("spelling", fetch(&url.replace("results", "result%73"))),
        ("header", header("x-mine", "catalogue")),
        ("header", header("x-key", "catalogue")),
        ("header", header("accept", "catalogue/json")),
        ("header", header("user-agent", "catalogue")),
        ("header", header("x-algorithm", "k2")),
        ("header", header("authorization", "k")),
        ("header", header("cookie", "k")),
        ("header", header("host", "k")),
    ] {
        let error = session.send(request.clone(), &budget).await.unwrap_err();
        assert_eq!(error.kind, SendErrorKind::Denied, "{what} {request:?}");
        assert!(session.open(request, &budget).await.is_err(), "{what}");
    }
    assert!(store.asked().is_empty());
    session.send(header("x-key", "k"), &budget).await.unwrap();
    assert_eq!(store.asked().len(), 1);
}

#[tokio::test]
async fn only_answers_of_the_right_kind_name_anything() {
    let store = store().await;
    let url = format!("{}/results/1", store.address());
    let chunks = |url: &str| json!({"data": {"chunks": [{"url": url}]}});
    for (path, body, named) in [
        ("/api/x", chunks(&url), true),
        ("/api/broken", chunks(&url), false),
        ("/api/x", json!({"data": {"chunks": {"url": url}}}), false),
        ("/api/x", json!({"other": [{"url": url}]}), false),
        ("/api/x", chunks(&url.replace("127.0.0.1", "127.0.0.2")), false),
        ("/api/x", chunks(&format!("{url}#fragment")), false),
        ("/api/x", chunks(&url.replace("http://", "http://user@")), false),
    ] {
        let platform = naming(body.clone()).await;
        let session = session_of(&platform);
        let budget = budget();
        session.send(get(&platform, path), &budget).await.unwrap();
        assert_eq!(session.send(fetch(&url), &budget).await.is_ok(), named, "{path} {body}");
    }
    // A target that declares nothing of the kind names nothing.
    let platform = naming(chunks(&url)).await;
    let session = session(&platform, static_recipe());
    let budget = budget();
    session.send(get(&platform, "/api/x"), &budget).await.unwrap();
    assert!(session.send(fetch(&url), &budget).await.is_err());
}

#[tokio::test]
async fn a_named_address_that_moves_on_is_not_followed() {
    let store = Platform::start(|_| Answer::new(302, "").with("location", "http://127.0.0.1:1/elsewhere")).await;
    let url = format!("{}/results/1", store.address());
    let platform = naming(json!({"data": {"chunks": [{"url": url}]}})).await;
    let session = session_of(&platform);
    let budget = budget();
    session.send(get(&platform, "/api/x"), &budget).await.unwrap();
    assert_eq!(session.send(fetch(&url), &budget).await.unwrap().status, 302);
    assert_eq!(store.asked().len(), 1);
}

#[tokio::test]
async fn a_large_answer_is_looked_into_and_there_is_an_end_to_what_is_remembered() {
    let store = store().await;
    let url = |number: usize| format!("{}/results/{number}", store.address());
    let chunks = |from: usize, number: usize| -> Value {
        let chunks: Vec<Value> = (from..from + number).map(|n| json!({"url": url(n), "rowCount": n})).collect();
        json!({"data": {"pad": "x".repeat(300_000), "chunks": chunks}})
    };
    let answers = [chunks(0, 6_000), chunks(6_000, 6_000)];
    let platform = Platform::start(move |asked| Answer::json(200, answers[asked.nth.min(1)].clone())).await;
    let session = session_of(&platform);
    let budget = Budget { max_response: 8 << 20, ..budget() };
    session.send(get(&platform, "/api/x"), &budget).await.unwrap();
    session.send(fetch(&url(5_999)), &budget).await.unwrap();
    let error = session.send(get(&platform, "/api/x"), &budget).await.unwrap_err();
    assert_eq!(error.kind, SendErrorKind::BudgetExhausted);
}
