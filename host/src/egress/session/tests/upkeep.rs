//! Grants that are renewed and given back: a driver's session, with the answers of its platform.

use std::sync::Mutex;

use super::{
    recipes::{spec_of, statement},
    *,
};

const QUERY: &str = "/queries/v1/query-request";
const LOGIN: &str = "/session/v1/login-request";
const RENEW: &str = "/session/token-request";

/// What the platform holds to be true.
#[derive(Clone, Default)]
struct World(Arc<Mutex<Inside>>);

#[derive(Default)]
struct Inside {
    /// Good session token, and the master token that can renew it.
    session: u32,
    master: u32,
    /// What a query with another token is answered with, and what one with the good one is, if not its rows.
    refusal: &'static str,
    always: Option<&'static str>,
    lifetime: u64,
    renewal_fails: bool,
}

impl World {
    fn with<T>(&self, change: impl FnOnce(&mut Inside) -> T) -> T {
        change(&mut self.0.lock().unwrap())
    }

    async fn start(&self) -> Platform {
        let world = self.clone();
        world.with(|inside| {
            inside.refusal = "390112";
            inside.lifetime = 3600;
        });
        Platform::start(move |asked| world.with(|inside| inside.answer(asked))).await
    }
}

impl Inside {
    fn answer(&mut self, asked: &platform::Asked) -> Answer {
        let token = asked.header("authorization").trim_start_matches("Driver Token=\"").trim_end_matches('"');
        let fails =
            |code: &str| Answer::json(200, json!({"data": null, "code": code, "message": "no", "success": false}));
        match asked.uri.path() {
            LOGIN => {
                self.session += 1;
                self.master += 1;
                Answer::json(
                    200,
                    json!({"data": {"token": self.session_token(), "masterToken": self.master_token(),
                        "validityInSeconds": self.lifetime}, "code": null, "message": null, "success": true}),
                )
                .after(Duration::from_millis(30))
            }
            RENEW if self.renewal_fails || token != self.master_token() => fails("390114"),
            RENEW => {
                self.session += 1;
                Answer::json(
                    200,
                    json!({"data": {"sessionToken": self.session_token(), "validityInSecondsST": self.lifetime},
                        "code": null, "message": null, "success": true}),
                )
                .after(Duration::from_millis(30))
            }
            "/session" => Answer::json(200, json!({"data": null, "success": true})),
            QUERY if token != self.session_token() => fails(self.refusal),
            QUERY => match self.always {
                Some(code) => fails(code),
                None => Answer::json(200, json!({"data": {"rowset": []}, "code": null, "success": true})),
            },
            _ => Answer::new(404, ""),
        }
    }

    fn session_token(&self) -> String {
        format!("session-canary-{:04}", self.session)
    }

    fn master_token(&self) -> String {
        format!("master-canary-{:04}", self.master)
    }
}

fn driver_spec(platform: &Platform) -> SessionSpec {
    let config = json!({"hostname": "acct.eu.example", "username": "reader", "warehouse": "W H", "role": ""});
    spec_of(platform, "userPassword", config, &[("password", "pass-canary-0123456789")])
}

fn driver(platform: &Platform) -> Arc<Session> {
    egress_with(policy()).session(driver_spec(platform)).unwrap()
}

async fn query(session: &Session, platform: &Platform) -> Result<Value, SendError> {
    let response = session.send(statement(platform, QUERY, "sqlText"), &budget()).await?;
    Ok(serde_json::from_slice(&response.body).unwrap())
}

#[tokio::test]
async fn a_session_is_begun_as_the_recipe_says() {
    let world = World::default();
    let platform = world.start().await;
    let answer = query(&driver(&platform), &platform).await.unwrap();
    assert_eq!(answer["success"], true);
    let asked = &platform.asked()[0];
    let query: Vec<&str> = asked.uri.query().unwrap().split('&').collect();
    assert!(query.contains(&"warehouse=W+H") && query.iter().all(|part| !part.starts_with("roleName")), "{query:?}");
    assert_eq!(asked.headers.get_all("accept").iter().count(), 1);
    assert_eq!(asked.header("accept"), "application/x-driver");
    let body: Value = serde_json::from_slice(&asked.body).unwrap();
    assert_eq!(body["data"]["ACCOUNT_NAME"], "ACCT");
    assert_eq!(body["data"]["PASSWORD"], "pass-canary-0123456789");
}

#[tokio::test]
async fn an_expired_session_is_renewed_once_for_all() {
    let world = World::default();
    let platform = world.start().await;
    let session = driver(&platform);
    query(&session, &platform).await.unwrap();
    for round in 1..=2 {
        world.with(|inside| inside.session += 100);
        let queries = (0..8).map(|_| query(&session, &platform));
        for answer in futures_util::future::join_all(queries).await {
            assert_eq!(answer.unwrap()["success"], true);
        }
        assert_eq!((platform.count(LOGIN), platform.count(RENEW)), (1, round));
    }
    let renewal = platform.asked().into_iter().find(|asked| asked.uri.path() == RENEW).unwrap();
    assert_eq!(renewal.header("authorization"), "Driver Token=\"master-canary-0001\"");
    let body: Value = serde_json::from_slice(&renewal.body).unwrap();
    assert_eq!(body, json!({"oldSessionToken": "session-canary-0001", "requestType": "RENEW"}));
}

#[tokio::test]
async fn where_renewal_fails_the_platform_is_logged_in_to_again() {
    let world = World::default();
    let platform = world.start().await;
    let session = driver(&platform);
    query(&session, &platform).await.unwrap();
    world.with(|inside| {
        inside.session += 100;
        inside.renewal_fails = true;
    });
    assert_eq!(query(&session, &platform).await.unwrap()["success"], true);
    assert_eq!((platform.count(LOGIN), platform.count(RENEW)), (2, 1));
    // A session that is gone is not renewed at all.
    world.with(|inside| {
        inside.session += 100;
        inside.refusal = "390104";
    });
    assert_eq!(query(&session, &platform).await.unwrap()["success"], true);
    assert_eq!((platform.count(LOGIN), platform.count(RENEW)), (3, 1));
}

#[tokio::test]
async fn each_remedy_is_tried_once_for_a_request() {
    for (always, logins, renewals) in [("390112", 2, 1), ("390104", 2, 1)] {
        let world = World::default();
        let platform = world.start().await;
        world.with(|inside| inside.always = Some(always));
        let error = query(&driver(&platform), &platform).await.unwrap_err();
        assert_eq!(error.kind, SendErrorKind::Unauthenticated, "{always}");
        let counts = (platform.count(LOGIN), platform.count(RENEW), platform.count(QUERY));
        assert_eq!(counts, (logins, renewals, 3), "{always}");
    }
}

#[tokio::test]
async fn a_session_that_ends_soon_is_renewed_ahead_of_time() {
    let world = World::default();
    let platform = world.start().await;
    world.with(|inside| inside.lifetime = 1);
    let session = driver(&platform);
    query(&session, &platform).await.unwrap();
    tokio::time::sleep(Duration::from_millis(600)).await;
    query(&session, &platform).await.unwrap();
    assert_eq!((platform.count(LOGIN), platform.count(RENEW)), (1, 1));
    tokio::time::sleep(Duration::from_millis(1100)).await;
    query(&session, &platform).await.unwrap();
    assert_eq!((platform.count(LOGIN), platform.count(RENEW)), (1, 2), "an ended one too");
}

#[tokio::test]
async fn a_session_is_given_back_when_its_last_user_is_gone() {
    let world = World::default();
    let platform = world.start().await;
    let egress = egress_with(policy());
    let session = egress.session(driver_spec(&platform)).unwrap();
    query(&session, &platform).await.unwrap();
    let again = Arc::clone(&session);
    drop(session);
    assert_eq!(query(&again, &platform).await.unwrap()["success"], true);
    drop(again);
    tokio::time::timeout(Duration::from_secs(5), egress.finished()).await.unwrap();
    let asked = platform.asked().pop().unwrap();
    assert!(asked.uri.to_string().starts_with("/session?delete=true&requestId="), "{}", asked.uri);
    assert_eq!((asked.method.as_str(), &asked.body[..]), ("POST", &b"{}"[..]));
    assert_eq!(asked.header("authorization"), "Driver Token=\"session-canary-0001\"");
    // Who never logged in has nothing to give back.
    let egress = egress_with(policy());
    drop(egress.session(driver_spec(&platform)).unwrap());
    egress.finished().await;
    assert_eq!(platform.asked().iter().filter(|asked| asked.uri.path() == "/session").count(), 1);
}

#[tokio::test]
async fn a_log_in_that_is_refused_says_what_it_means() {
    for (status, code, message, kind) in [
        (200, "390100", "Incorrect username or password was specified.", SendErrorKind::Unauthenticated),
        (200, "390144", "Invalid account name or host.", SendErrorKind::InvalidConfig),
        (403, "390144", "Invalid account name or host.", SendErrorKind::InvalidConfig),
    ] {
        let body = json!({"data": null, "code": code, "message": message, "success": false, "headers": null});
        let platform = Platform::start(move |_| Answer::json(status, body.clone())).await;
        let session = driver(&platform);
        let error = query(&session, &platform).await.unwrap_err();
        assert_eq!(error.kind, kind, "{code}");
        let words = format!("{code}: {message}");
        assert!(error.operator.unwrap().ends_with(&words), "{code}");
        assert!(session.last_told().unwrap().ends_with(&words), "people who try the connection read them");
        assert_eq!(platform.asked().len(), 1, "no second attempt that could lock the account");
    }
}

#[tokio::test]
async fn nothing_that_a_session_lives_on_is_in_any_text() {
    let log = secrets::Log::default();
    let guard = log.capture();
    let world = World::default();
    let platform = world.start().await;
    let egress = egress_with(policy());
    let session = egress.session(driver_spec(&platform)).unwrap();
    let mut texts = format!("{:?}", query(&session, &platform).await);
    world.with(|inside| inside.session += 1);
    texts += &format!("{:?}", query(&session, &platform).await);
    world.with(|inside| {
        inside.session += 1;
        inside.renewal_fails = true;
    });
    texts += &format!("{:?}", query(&session, &platform).await);
    world.with(|inside| inside.always = Some("390112"));
    texts += &format!("{:?}", query(&session, &platform).await);
    drop(session);
    egress.finished().await;
    drop(guard);
    texts += &log.text();
    assert!(texts.contains("a grant was given back") && texts.contains("a grant could not be renewed"), "{texts}");
    assert!(!texts.contains("canary"), "{texts}");
}

#[tokio::test]
async fn what_a_session_lives_on_must_not_come_back() {
    for leak in ["session-canary-0001", "master-canary-0001", "pass-canary-0123456789"] {
        let platform = Platform::start(move |asked| match asked.uri.path() {
            LOGIN => Answer::json(
                200,
                json!({"success": true, "data": {"token": "session-canary-0001", "masterToken": "master-canary-0001"}}),
            ),
            _ => Answer::json(200, json!({"echo": leak})),
        })
        .await;
        let error = query(&driver(&platform), &platform).await.unwrap_err();
        assert_eq!(error.kind, SendErrorKind::SecretReflected, "{leak}");
    }
}

#[tokio::test]
async fn ordinary_answers_that_are_large_are_not_read_for_conditions() {
    let row = json!({"a": "x".repeat(100), "code": "390112"});
    let body = json!({"code": "390112", "rows": vec![row; 1000]}).to_string();
    let platform = Platform::start(move |asked| match asked.uri.path() {
        LOGIN => Answer::json(200, json!({"success": true, "data": {"token": "t", "masterToken": "m"}})),
        _ => Answer::new(200, body.clone()),
    })
    .await;
    assert_eq!(query(&driver(&platform), &platform).await.unwrap()["code"], "390112", "longer than is looked into");
}
