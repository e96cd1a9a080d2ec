//! Registering, testing, reading and changing connections.

use serde_json::{Value, json};
use wharfinger::clock::Clock;
use wharfinger_simulators::unity_catalog::{Names, Options, Shape, UnityCatalog};
use wharfinger_tests::TestHost;

use super::{encode, platform, url_of};

const TOKEN: &str = wharfinger_simulators::unity_catalog::TOKEN;

#[tokio::test(flavor = "multi_thread")]
async fn one_call_registers_a_platform_and_everything_in_it_appears() {
    let host = TestHost::start().await.expect("host");
    let platform = platform(2, Names::Plain).await;
    let payload = platform.payload("Lake / 1");
    let job = host.client().register(&payload).await.expect("registered");
    assert_eq!(job["output"]["errorCount"], 0, "{job}");
    let objects = host.client().descendants(&encode("Lake / 1")).await.expect("objects");
    assert_eq!(objects.len(), 2 + 4 + 12);
    for object in &objects {
        let by_path = host.client().get(&format!("/data/object/{}", url_of(object))).await.expect("by path");
        let id = object["id"].as_str().expect("id");
        let by_id = host.client().get(&format!("/data/object?id={id}")).await.expect("by id");
        assert_eq!((&by_path.json, &by_id.json), (object, object));
    }
    let shown = host.client().get(&format!("/data/connection/{}", encode("Lake / 1"))).await.expect("shown");
    assert_eq!(shown.status, 200, "{}", shown.text);
    assert_eq!(shown.json["connection"]["technology"], payload["connection"]["technology"]);
    assert_eq!((&shown.json["impersonation"], &shown.json["projectWorkspaces"]), (&json!(false), &json!(false)));
    assert_eq!(shown.json["createdBy"]["name"], "Administrator");
    assert!(!shown.text.contains(TOKEN), "the answer holds a secret");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_any_kind_are_addressed_by_their_path() {
    let host = TestHost::start().await.expect("host");
    for (seed, names) in [(3, Names::Odd), (4, Names::Hostile)] {
        let platform = platform(seed, names).await;
        let key = format!("Odd {seed}");
        host.client().register(&platform.payload(&key)).await.expect("registered");
        let objects = host.client().descendants(&encode(&key)).await.expect("objects");
        assert_eq!(objects.len(), 2 + 4 + 12, "{names:?}");
        for object in objects {
            let again = host.client().get(&format!("/data/object/{}", url_of(&object))).await.expect("by path");
            assert_eq!(again.json["id"], object["id"], "{}: {}", object["objectPath"], again.text);
        }
    }
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_registered_once() {
    let host = TestHost::start().await.expect("host");
    let (one, other) = (platform(5, Names::Plain).await, platform(6, Names::Plain).await);
    // Another port, the same account.
    let twin = UnityCatalog::start(Options::new(one.read(Clone::clone))).await.expect("twin");
    host.client().register(&one.payload("One")).await.expect("registered");
    for (name, payload, code) in [
        ("same key", other.payload("One"), "key-taken"),
        ("same address", one.payload("Two"), "address-taken"),
        ("same account", twin.payload("Three"), "identity-taken"),
    ] {
        let answer = host.client().post("/data/connection", &payload).await.expect(name);
        assert_eq!((answer.status.as_u16(), answer.code()), (409, code), "{name}: {}", answer.text);
    }
    let all = host.client().post("/data/object/search", &json!({})).await.expect("all");
    assert_eq!(all.json["count"], 1, "{}", all.text);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_tells_each_result_and_stores_nothing() {
    let host = TestHost::start().await.expect("host");
    let platform = platform(7, Names::Plain).await;
    let mut payload = platform.payload("Tried");
    let good = host.client().post("/data/connection/test", &payload).await.expect("tested");
    assert_eq!((good.status.as_u16(), &good.json["valid"]), (200, &json!(true)), "{}", good.text);
    let capabilities: Vec<&str> =
        good.json["checks"].as_array().expect("checks").iter().filter_map(|c| c["capability"].as_str()).collect();
    assert!(capabilities.contains(&"reach") && capabilities.contains(&"authenticate"), "{capabilities:?}");
    payload["connection"]["token"] = json!("dapi0000000000000000000000000000dead");
    let bad = host.client().post("/data/connection/test", &payload).await.expect("tested");
    assert_eq!((bad.status.as_u16(), &bad.json["valid"]), (200, &json!(false)), "{}", bad.text);
    let all = host.client().post("/data/object/search", &json!({})).await.expect("all");
    assert_eq!(all.json["count"], 0, "{}", all.text);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_endpoint_elsewhere_needs_the_operators_approval() {
    let (platform, issuer) = (platform(12, Names::Plain).await, platform(13, Names::Plain).await);
    let mut payload = platform.m2m_payload("Elsewhere");
    let elsewhere = issuer.m2m_payload("x")["connection"]["oAuthClientConfig"]["authorityUrl"].clone();
    payload["connection"]["oAuthClientConfig"]["authorityUrl"] = elsewhere;
    let line = format!("[egress] approved_origins = [\"http://{}\"]", issuer.addr());

    let host = TestHost::start().await.expect("host");
    let refused = host.client().post("/data/connection", &payload).await.expect("asked");
    assert_eq!((refused.status.as_u16(), refused.code()), (422, "invalid-config"), "{}", refused.text);
    assert!(refused.json["hint"].as_str().is_some_and(|hint| hint.ends_with(&line)), "{}", refused.text);
    let tested = host.client().post("/data/connection/test", &payload).await.expect("tested");
    assert_eq!((tested.status.as_u16(), &tested.json["valid"]), (200, &json!(false)), "{}", tested.text);
    assert!(tested.json["checks"][0]["hint"].as_str().is_some_and(|hint| hint.ends_with(&line)), "{}", tested.text);
    host.client().register(&platform.m2m_payload("Own")).await.expect("its own host needs no approval");
    let change = json!({"connection": payload["connection"]});
    let changed = host.client().put("/data/connection/Own", &change).await.expect("asked");
    assert_eq!((changed.status.as_u16(), changed.code()), (422, "invalid-config"), "{}", changed.text);
    host.stop().await;

    let approved = format!("http://{}", issuer.addr()).parse().expect("an origin");
    let start = TestHost::start_with(Clock::system(), |config| config.egress.approved_origins = vec![approved]);
    let host = start.await.expect("host");
    // Simulators issue the same tokens, so what the one issues serves at the other.
    host.client().register(&payload).await.expect("registered with the other's token");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_without_rights_registers_with_a_warning() {
    let host = TestHost::start().await.expect("host");
    let platform = platform(8, Names::Plain).await;
    platform.access(|access| access.add_token("dapi11112222333344445555666677778888", "nobody@example.com"));
    let mut payload = platform.payload("Poor");
    payload["connection"]["token"] = json!("dapi11112222333344445555666677778888");
    let answer = host.client().post("/data/connection", &payload).await.expect("asked");
    assert_eq!(answer.status, 201, "{}", answer.text);
    assert!(!answer.json["warnings"].as_array().expect("warnings").is_empty(), "{}", answer.text);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_older_scripts_carry_along_is_answered_in_warnings() {
    let host = TestHost::start().await.expect("host");
    let platform = platform(9, Names::Plain).await;
    let mut payload = platform.payload("Scripted");
    payload["nativeIntegration"] =
        json!({"type": "native", "autoBootstrap": false, "config": {"host": "secret-host", "anything": {"deep": 1}}});
    let answer = host.client().post("/data/connection", &payload).await.expect("asked");
    assert_eq!(answer.status, 201, "{}", answer.text);
    assert!(answer.text.contains("nativeIntegration.config.anything.deep"), "{}", answer.text);
    assert!(!answer.text.contains("secret-host"), "values are not repeated");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_tried_first_and_never_moves_stored_secrets() {
    let host = TestHost::start().await.expect("host");
    let (one, other) = (platform(10, Names::Plain).await, platform(11, Names::Plain).await);
    let twin = UnityCatalog::start(Options::new(one.read(Clone::clone))).await.expect("twin");
    host.client().register(&one.payload("One")).await.expect("registered");
    let url = "/data/connection/One";
    let before = host.client().get(url).await.expect("before").json;
    let connection = |payload: &Value| payload["connection"].clone();
    let without_secret = |mut connection: Value| {
        connection.as_object_mut().expect("object").remove("token");
        connection
    };

    for (name, connection, status, code) in [
        (
            "wrong token",
            {
                let mut c = connection(&one.payload("One"));
                c["token"] = json!("dapi0000000000000000000000000000dead");
                c
            },
            422,
            "authentication-failed",
        ),
        ("another host, secrets left out", without_secret(connection(&twin.payload("One"))), 422, "secrets-required"),
        ("another account", connection(&other.payload("One")), 409, "identity-changed"),
        (
            "another technology",
            {
                let mut c = connection(&one.payload("One"));
                c["technology"] = json!("Other");
                c
            },
            400,
            "immutable",
        ),
    ] {
        let answer = host.client().put(url, &json!({ "connection": connection })).await.expect(name);
        assert_eq!((answer.status.as_u16(), answer.code()), (status, code), "{name}: {}", answer.text);
        assert_eq!(host.client().get(url).await.expect("after").json, before, "{name}: something changed");
    }

    let stale =
        host.client().request(reqwest::Method::PUT, url).header("if-match", "\"999\"").json(&json!({"options": {}}));
    assert_eq!(host.client().send(stale).await.expect("stale").status, 412);
    let key = host.client().put(url, &json!({"connectionKey": "Two"})).await.expect("key");
    assert_eq!((key.status.as_u16(), key.code()), (400, "immutable"));

    let kept = without_secret(connection(&one.payload("One")));
    let answer = host.client().put(url, &json!({ "connection": kept })).await.expect("kept");
    assert_eq!(answer.status, 200, "secrets that are left out keep their value: {}", answer.text);
    let moved =
        host.client().put(url, &json!({ "connection": connection(&twin.payload("One")) })).await.expect("moved");
    assert_eq!(moved.status, 200, "the same account at another address, with every secret: {}", moved.text);
    assert!(!moved.text.contains(TOKEN), "the answer holds a secret");
    drop(one);
    let job = host.client().sync("One").await.expect("a sync from where it is now");
    assert_eq!(job["output"]["errorCount"], 0, "{job}");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deregistered_connection_is_gone_with_everything_below() {
    let host = TestHost::start().await.expect("host");
    let shape = Shape { catalogs: 1, schemas: 2, tables: 2, columns: 1, names: Names::Plain };
    let platform = UnityCatalog::start(Options::new(shape.generate(12))).await.expect("platform");
    host.client().register(&platform.payload("Gone")).await.expect("registered");
    let gone = host.client().delete("/data/object/Gone").await.expect("deleted");
    assert_eq!((gone.status.as_u16(), &gone.json["childCount"]), (200, &json!(1 + 2 + 4)), "{}", gone.text);
    assert_eq!(host.client().get("/data/connection/Gone").await.expect("get").status, 404);
    assert_eq!(host.client().delete("/data/object/Gone").await.expect("again").status, 404);
    host.client().register(&platform.payload("Gone")).await.expect("the key and the account are free again");
    host.stop().await;
}
