//! What may leave: bypasses of the policy, denials and what they tell, sessions and their connections.

use super::*;

#[tokio::test]
async fn private_addresses_are_denied_and_the_operator_learns_how_to_allow_them() {
    let platform = Platform::start(|_| Answer::new(200, "ok")).await;
    let insecure = Policy { allow_insecure_http: true, ..Policy::default() };
    for hostname in ["127.0.0.1", "localhost"] {
        let address = Address { hostname: hostname.into(), ..platform.address() };
        let url = format!("{address}/api/x");
        let session = egress_with(insecure.clone()).session(spec(address, static_recipe())).unwrap();
        let request = Request { method: "GET".into(), url, auth: Some("connection".into()), ..Request::default() };
        let error = session.send(request, &budget()).await.unwrap_err();
        assert_eq!(error.kind, SendErrorKind::Denied, "{error:?}");
        assert_eq!(error.message, "the platform's address is not allowed by the egress policy");
        let operator = error.operator.unwrap();
        let lines = ["[egress] allow_cidrs = [\"127.0.0.1/32\"]", "[egress] allow_cidrs = [\"::1/128\"]"];
        assert!(lines.iter().any(|line| operator.contains(line)), "{operator}");
    }
    assert!(platform.asked().is_empty());
}

#[tokio::test]
async fn a_token_endpoint_passes_the_same_filter() {
    let platform = Platform::start(|asked| match asked.uri.path() {
        "/api/x" => Answer::new(200, "ok"),
        _ => Answer::json(200, json!({"access_token": "0123456789abcdef"})),
    })
    .await;
    let mut recipe = exchange_recipe();
    recipe["acquire"][0]["exchange"]["url"] = json!(["{{ config.authority }}", "{{ connection.origin }}/token"]);
    recipe["config"] = json!(["client", "authority"]);
    let approved = ["http://127.0.0.2:9", "http://[::ffff:7f00:2]:9", "http://127.0.0.2:10", "http://169.254.169.254"];
    let only_one = Policy {
        allow_cidrs: vec!["127.0.0.1/32".parse().unwrap()],
        allow_insecure_http: true,
        approved_origins: approved.map(|text| text.parse().unwrap()).into(),
    };
    for (authority, kind) in [
        ("http://127.0.0.2:9/token", SendErrorKind::Denied),
        ("http://[::ffff:7f00:2]:9/token", SendErrorKind::Denied),
        ("http://2130706434:10/token", SendErrorKind::Denied),
        ("http://169.254.169.254/token", SendErrorKind::Denied),
        ("ftp://127.0.0.1/token", SendErrorKind::InvalidConfig),
        ("http://user:pw@127.0.0.1/token", SendErrorKind::InvalidConfig),
    ] {
        let mut spec = spec(platform.address(), recipe.clone());
        spec.config["authority"] = authority.into();
        let error = match egress_with(only_one.clone()).session(spec) {
            Ok(session) => session.send(get(&platform, "/api/x"), &budget()).await.unwrap_err(),
            Err(error) => error,
        };
        assert_eq!(error.kind, kind, "{authority}");
    }
    assert!(platform.asked().is_empty());
    let mut good = spec(platform.address(), recipe);
    good.config["authority"] = format!("{}/elsewhere", platform.address()).into();
    let session = egress_with(only_one).session(good).unwrap();
    session.send(get(&platform, "/api/x"), &budget()).await.unwrap();
    assert_eq!((platform.count("/elsewhere"), platform.count("/token")), (1, 0));
}

#[tokio::test]
async fn no_spelling_reaches_what_was_not_declared() {
    let platform = Platform::start(|_| Answer::new(200, "ok")).await;
    let mut spec = spec(platform.address(), static_recipe());
    let declared = json!({"origin": "{{ connection.origin }}", "paths": ["/api/2.1/list/*"], "methods": ["GET"]});
    spec.reach = vec![serde_json::from_value(declared.clone()).unwrap()];
    spec.recipe.apply.to = vec![serde_json::from_value(declared).unwrap()];
    let session = egress_with(policy()).session(spec).unwrap();
    let (origin, port) = (platform.address().to_string(), platform.address().port);
    let base = format!("{origin}/api/2.1/list");
    for url in [
        format!("{origin}/api/2.0/secrets"),
        format!("{base}/../../2.0/secrets"),
        format!("{base}/%2e%2e/%2e%2e/2.0/secrets"),
        format!("{base}/.%2e/x"),
        format!("{base}/..%2f..%2f2.0/secrets"),
        format!("{base}/..%5c..%5c2.0"),
        format!("{base}/..\\..\\2.0"),
        format!("{base}/%252e%252e/x"),
        format!("{base}/..;/x"),
        format!("{base}/./x"),
        format!("{base}/%00"),
        format!("{base}x"),
        format!("{origin}//api/2.1/list/x"),
        format!("{origin}/API/2.1/list/x"),
        format!("{origin}/%61pi/2.1/list/x"),
        format!("{origin}/http://evil.example/api/2.1/list/x"),
        format!("{origin}/?/api/2.1/list/x"),
        format!("{origin}/#/api/2.1/list/x"),
        format!("http://user@127.0.0.1:{port}/api/2.1/list/x"),
        format!("http://127.0.0.1:{port}@evil.example/api/2.1/list/x"),
        format!("http://evil.example#@127.0.0.1:{port}/api/2.1/list/x"),
        format!("http://evil.example\\@127.0.0.1:{port}/api/2.1/list/x"),
        format!("http://127.0.0.1:{port}.evil.example/api/2.1/list/x"),
        format!("http://localhost:{port}/api/2.1/list/x"),
        format!("http://127.1:{port}/api/2.1/list/x"),
        format!("http://127.0.1:{port}/api/2.1/list/x"),
        format!("http://2130706433:{port}/api/2.1/list/x"),
        format!("http://0x7f000001:{port}/api/2.1/list/x"),
        format!("http://0x7f.0.0.1:{port}/api/2.1/list/x"),
        format!("http://0177.0.0.1:{port}/api/2.1/list/x"),
        format!("http://017700000001:{port}/api/2.1/list/x"),
        format!("http://127.0.0.1.:{port}/api/2.1/list/x"),
        format!("http://[::ffff:127.0.0.1]:{port}/api/2.1/list/x"),
        format!("http://[::1]:{port}/api/2.1/list/x"),
        format!("http://[64:ff9b::7f00:1]:{port}/api/2.1/list/x"),
        format!("http://%31%32%37.0.0.1:{port}/api/2.1/list/x"),
        format!("http://127。0。0。1:{port}/api/2.1/list/x"),
        format!("http://①27.0.0.1:{port}/api/2.1/list/x"),
        format!("https://127.0.0.1:{port}/api/2.1/list/x"),
        format!("HTTP://127.0.0.1:{port}/api/2.1/list/x"),
        format!("http:/127.0.0.1:{port}/api/2.1/list/x"),
        format!("http:127.0.0.1:{port}/api/2.1/list/x"),
        format!("//127.0.0.1:{port}/api/2.1/list/x"),
        format!(" http://127.0.0.1:{port}/api/2.1/list/x"),
        format!("http://127.0.0.1:0{port}/api/2.1/list/x"),
        "http://127.0.0.1/api/2.1/list/x".to_owned(),
        "/api/2.1/list/x".to_owned(),
        "file:///etc/passwd".to_owned(),
        format!("{base}/x y"),
        format!("{base}/x\r\nx-evil: 1"),
        format!("{base}/x HTTP/1.1\r\n\r\nGET /other"),
    ] {
        for auth in [None, Some("connection".to_owned())] {
            let request = Request { method: "GET".into(), url: url.clone(), auth, ..Request::default() };
            let error = session.send(request, &budget()).await.unwrap_err();
            assert_eq!(error.kind, SendErrorKind::Denied, "{url:?} {error:?}");
            assert!(!error.message.contains("127.0.0.1"), "{error:?}");
        }
    }
    for method in ["POST", "get", "CONNECT", "TRACE", "GET /x HTTP/1.1\r\n", "", "DELETE"] {
        let request = Request { method: method.into(), ..get(&platform, "/api/2.1/list/x") };
        assert_eq!(session.send(request, &budget()).await.unwrap_err().kind, SendErrorKind::Denied, "{method:?}");
    }
    assert!(platform.asked().is_empty(), "{:?}", platform.asked());
    session.send(get(&platform, "/api/2.1/list/x"), &budget()).await.unwrap();
}

#[tokio::test]
async fn headers_of_the_transport_and_of_the_credential_are_refused() {
    let platform = Platform::start(|_| Answer::new(200, "ok")).await;
    let mut recipe = static_recipe();
    recipe["apply"]["headers"]["x-token-type"] = "PAT".into();
    let session = session(&platform, recipe);
    for (name, value) in [
        ("authorization", "Bearer mine"),
        ("Authorization", "Bearer mine"),
        ("proxy-authorization", "x"),
        ("Proxy-Connection", "x"),
        ("cookie", "a=b"),
        ("host", "evil.example"),
        ("Host", "evil.example"),
        ("x-forwarded-for", "1.2.3.4"),
        ("X-Forwarded-Host", "evil.example"),
        ("x_forwarded_host", "evil.example"),
        ("forwarded", "for=1.2.3.4"),
        ("via", "x"),
        ("connection", "keep-alive"),
        ("Keep-Alive", "x"),
        ("te", "trailers"),
        ("trailer", "x"),
        ("transfer-encoding", "chunked"),
        ("content-length", "5"),
        ("upgrade", "h2c"),
        ("expect", "100-continue"),
        ("accept-encoding", "br"),
        ("x-http-method-override", "DELETE"),
        ("x-original-url", "/admin"),
        ("x-token-type", "OTHER"),
        ("X_Token-Type", "OTHER"),
        ("x-evil", "a\r\nauthorization: b"),
        ("x-evil", "a\nb"),
        ("x-evil", "a\0b"),
        ("x-evil\r\nx", "a"),
        ("x evil", "a"),
        ("x-evil:", "a"),
        ("", "a"),
        (":path", "/admin"),
    ] {
        let headers = vec![(name.to_owned(), value.to_owned())];
        for auth in [None, Some("connection".to_owned())] {
            let request = Request { headers: headers.clone(), auth, ..get(&platform, "/api/x") };
            assert_eq!(session.send(request, &budget()).await.unwrap_err().kind, SendErrorKind::Denied, "{name:?}");
        }
    }
    let many = vec![("x-a".to_owned(), "b".to_owned()); 65];
    assert!(session.send(Request { headers: many, ..get(&platform, "/api/x") }, &budget()).await.is_err());
    assert!(platform.asked().is_empty());
    let good = vec![("accept".to_owned(), "application/json".to_owned()), ("x-mine".to_owned(), "1".to_owned())];
    session.send(Request { headers: good, ..get(&platform, "/api/x") }, &budget()).await.unwrap();
    let asked = &platform.asked()[0];
    assert_eq!((asked.header("accept"), asked.header("x-mine")), ("application/json", "1"));
    assert_eq!((asked.header("x-token-type"), asked.header("accept-encoding")), ("PAT", "gzip"));
}

#[tokio::test]
async fn a_guarded_credential_goes_with_allowed_statements_only() {
    let platform = Platform::start(|_| Answer::new(200, "ok")).await;
    let mut recipe = static_recipe();
    recipe["apply"]["to"][0]["body"] = json!({"at": "/statement", "verbs": ["SHOW"]});
    let session = session(&platform, recipe);
    let post = |statement: &str| Request {
        method: "POST".into(),
        body: Some(json!({"statement": statement}).to_string().into_bytes()),
        ..get(&platform, "/api/statements")
    };
    let refused = session.send(post("DROP TABLE t"), &budget()).await.unwrap_err();
    assert_eq!(refused.kind, SendErrorKind::Denied);
    assert!(session.send(post("SHOW TABLES; DROP TABLE t"), &budget()).await.is_err());
    assert_eq!(session.send(post("SHOW TABLES"), &budget()).await.unwrap().status, 200);
    assert_eq!(platform.asked().len(), 1);
}

#[tokio::test]
async fn redirects_are_answers_and_session_cookies_stay_here() {
    let platform = Platform::start(|_| {
        Answer::new(302, "").with("location", "http://127.0.0.1:1/x").with("set-cookie", "session=abc").with("x-a", "b")
    })
    .await;
    let session = session(&platform, static_recipe());
    for _ in 0..2 {
        let response = session.send(get(&platform, "/api/x"), &budget()).await.unwrap();
        assert_eq!(response.status, 302);
        let names: Vec<&str> = response.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert!(names.contains(&"x-a") && !names.contains(&"set-cookie"), "{names:?}");
    }
    assert!(platform.asked().iter().all(|asked| asked.header("cookie").is_empty()));
}

#[tokio::test]
async fn what_is_tried_for_a_connection_is_done_on_its_behalf() {
    let platform = Platform::start(|_| Answer::new(200, "ok")).await;
    let id = ConnectionId::generate();
    let tried = |keep| SessionSpec { keep, ..spec(platform.address(), static_recipe()) };
    let of = |keep| egress_with(policy()).session(tried(keep)).map(|s| (s.connection(), s.on_behalf_of())).unwrap();
    assert_eq!(of(Some(id)), (None, Some(id)));
    assert_eq!(of(None), (None, None));
}

#[tokio::test]
async fn two_connections_share_no_socket_and_one_connection_shares_its_session() {
    let platform = Platform::start(|_| Answer::new(200, "ok")).await;
    let egress = egress_with(policy());
    let id = ConnectionId::generate();
    let open =
        |connection| egress.session(SessionSpec { connection, ..spec(platform.address(), static_recipe()) }).unwrap();
    let (a, same, newer) = (open(Some((id, 1))), open(Some((id, 1))), open(Some((id, 2))));
    let (other, trial) = (open(Some((ConnectionId::generate(), 1))), open(None));
    assert!(Arc::ptr_eq(&a, &same) && !Arc::ptr_eq(&a, &newer));
    assert!(Arc::ptr_eq(&newer, &open(Some((id, 2)))));
    for session in [&a, &other, &newer, &trial] {
        session.send(get(&platform, "/api/x"), &budget()).await.unwrap();
    }
    let peers: std::collections::HashSet<_> = platform.asked().into_iter().map(|asked| asked.peer).collect();
    assert_eq!(peers.len(), 4);
    drop((a, same, newer));
    let again = open(Some((id, 2)));
    assert_eq!(Arc::strong_count(&again), 1, "a session ends with its last user");
    assert_eq!(again.address(), &platform.address());
}

#[tokio::test]
async fn denials_are_logged_once_with_the_line_that_helps() {
    let log = secrets::Log::default();
    let guard = log.capture();
    let platform = Platform::start(|_| Answer::new(200, "ok")).await;
    let nothing = Policy { allow_insecure_http: true, ..Policy::default() };
    let session = egress_with(nothing).session(spec(platform.address(), static_recipe())).unwrap();
    for _ in 0..3 {
        assert!(session.send(get(&platform, "/api/x"), &budget()).await.is_err());
        assert!(session.send(get(&platform, "/not-declared/../x"), &budget()).await.is_err());
    }
    for number in 0..100 {
        let request = Request { method: "DELETE".into(), ..get(&platform, &format!("/{number}")) };
        assert!(session.send(request, &budget()).await.is_err());
    }
    assert!(egress_with(Policy::default()).session(spec(platform.address(), static_recipe())).is_err());
    drop(guard);
    let text = log.text();
    assert_eq!(text.matches("[egress] allow_cidrs = [\"127.0.0.1/32\"]").count(), 1, "{text}");
    assert_eq!(text.matches("[egress] allow_insecure_http = true").count(), 1, "{text}");
    assert!(text.matches("does not declare").count() < 40, "a guest cannot fill the log");
    assert!(!text.contains(CANARY));
}
