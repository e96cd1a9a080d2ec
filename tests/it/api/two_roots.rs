//! Every route as somebody who owns two subtrees: they see these and the path to them, act on these alone, and learn
//! nothing of the rest.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use wharfinger::{
    api::routes::{Access, table},
    model::sight::Sight,
};
use wharfinger_simulators::unity_catalog::Names;
use wharfinger_tests::{Answer, Client, TestHost};

use super::{platform, url_of};

/// What of the inventory stands where for the caller.
struct Scene {
    host: TestHost,
    owner: Client,
    /// A schema that the caller owns, and a table elsewhere.
    roots: Vec<Value>,
    /// Seen only as a step on the path: the connection and a catalog of each root.
    on_path: Vec<Value>,
    /// Neither.
    hidden: Vec<Value>,
    hidden_job: String,
}

async fn scene() -> Scene {
    let host = TestHost::start().await.expect("host");
    let (mine, others) = (platform(20, Names::Plain).await, platform(21, Names::Plain).await);
    host.client().register(&mine.payload("Mine")).await.expect("registered");
    let hidden_job = host.client().register(&others.payload("Others")).await.expect("registered");
    let mut all = host.client().post("/data/object/search", &json!({})).await.expect("tops").json["hits"].take();
    let mut all = all.as_array_mut().map(std::mem::take).expect("hits");
    all.extend(host.client().descendants("Mine").await.expect("mine"));
    all.extend(host.client().descendants("Others").await.expect("others"));

    let starts = |object: &Value, with: &Value| {
        let (object, with) =
            (object["objectPath"].as_array().expect("path"), with["objectPath"].as_array().expect("path"));
        object.starts_with(with)
    };
    let of_mine = |level: u64| {
        all.iter().filter(move |o| o["level"] == level && o["objectPath"][0] == "Mine").cloned().collect::<Vec<_>>()
    };
    let schema = of_mine(3).remove(0);
    let table = of_mine(4).into_iter().rev().find(|t| t["objectPath"][1] != schema["objectPath"][1]).expect("a table");
    let roots = vec![schema, table];
    let whole = |o: &&Value| roots.iter().any(|root| starts(o, root));
    let leads = |o: &&Value| !whole(o) && roots.iter().any(|root| starts(root, o));
    let on_path: Vec<Value> = all.iter().filter(leads).cloned().collect();
    let hidden: Vec<Value> = all.iter().filter(|o| !whole(o) && !leads(o)).cloned().collect();
    let ids = roots.iter().map(|r| r["id"].as_str().expect("id").parse().expect("id")).collect();
    let owner = host.owner_of("owner", ids).await.expect("owner");
    let hidden_job = hidden_job["id"].as_str().expect("id").to_owned();
    // The simulators are gone from here on: what follows reads the inventory.
    Scene { host, owner, roots, on_path, hidden, hidden_job }
}

impl Scene {
    /// No answer may name anything that is hidden.
    fn tells_nothing(&self, what: &str, answer: &Answer) {
        for object in &self.hidden {
            let id = object["id"].as_str().expect("id");
            assert!(!answer.text.contains(id), "{what}: the answer names the hidden {}", object["objectPath"]);
        }
        assert!(!answer.text.contains("Others"), "{what}: the answer names the hidden connection: {}", answer.text);
    }

    async fn call(&self, method: &Method, path: &str, body: &Value) -> Answer {
        let mut request = self.owner.request(method.clone(), path);
        if *method == Method::POST || *method == Method::PUT {
            request = request.json(body);
        }
        let answer = self.owner.send(request).await.expect(path);
        self.tells_nothing(&format!("{method} {path}"), &answer);
        answer
    }

    /// Calls a route about an object, by path and by id, and gives the status, which must be the same.
    async fn about(&self, method: &Method, prefix: &str, object: &Value, body: &Value) -> u16 {
        let by_path = self.call(method, &format!("{prefix}/{}", url_of(object)), body).await;
        let id = object["id"].as_str().expect("id");
        let by_id = self.call(method, &format!("{prefix}?id={id}"), body).await;
        assert_eq!(by_path.status, by_id.status, "{method} {prefix}: {} and {}", by_path.text, by_id.text);
        by_path.status.as_u16()
    }
}

/// A body with which the route does something harmless where it is allowed.
fn body_for(path: &str) -> Value {
    match path {
        "/data/settings/{*path}" => json!({ "settings": { "activateNewChildren": false } }),
        "/data/connection" | "/data/connection/test" => {
            json!({ "connectionKey": "New", "connection": { "technology": "Databricks" } })
        }
        "/jobs/statuses" => json!({ "jobIds": [] }),
        _ => json!({}),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_of_two_roots_sees_and_touches_nothing_else() {
    let scene = scene().await;
    let mut called = BTreeSet::new();
    for route in table() {
        let body = body_for(route.path);
        let name = format!("{} {}", route.method, route.path);
        match (route.access, route.path.strip_suffix("/{*path}")) {
            (Access::Any(_), prefix) => {
                let path =
                    prefix.map_or_else(|| route.path.to_owned(), |p| format!("{p}/{}", url_of(&scene.on_path[0])));
                assert_eq!(scene.call(&route.method, &path, &body).await.status, 403, "{name}");
            }
            (Access::Public, _) => assert_eq!(scene.call(&route.method, route.path, &body).await.status, 200, "{name}"),
            (access, Some(prefix)) => about_objects(&scene, &route.method, prefix, access, &body).await,
            (_, None) => plain(&scene, &route.method, route.path, &body).await,
        }
        called.insert(name);
    }
    assert_eq!(called.len(), table().len(), "every row was called");

    // Whoever sees everything, but manages nothing, only looks.
    let auditor = scene.host.caller("auditor", &[], Sight::All).await.expect("auditor");
    let root = url_of(&scene.roots[0]);
    assert_eq!(auditor.get(&format!("/data/object/{root}")).await.expect("get").status, 200);
    assert_eq!(auditor.delete(&format!("/data/object/{root}")).await.expect("delete").status, 403);
    scene.host.stop().await;
}

async fn about_objects(scene: &Scene, method: &Method, prefix: &str, access: Access, body: &Value) {
    let connection_only = prefix == "/data/connection";
    for object in &scene.hidden {
        if !connection_only || object["level"] == 1 {
            let status = scene.about(method, prefix, object, body).await;
            assert_eq!(status, 404, "{method} {prefix}: {}", object["objectPath"]);
        }
    }
    for object in &scene.on_path {
        if !connection_only || object["level"] == 1 {
            let status = scene.about(method, prefix, object, body).await;
            let want = if access == Access::Owned { 403 } else { 200 };
            assert_eq!(status, want, "{method} {prefix}: on the path, {}", object["objectPath"]);
        }
    }
    // A deletion is tried last, by the test of its own: the roots are needed until then.
    if *method == Method::DELETE || connection_only {
        return;
    }
    for root in &scene.roots {
        let status = scene.about(method, prefix, root, body).await;
        assert!((200..300).contains(&status), "{method} {prefix}: {status} on the own {}", root["objectPath"]);
    }
}

async fn plain(scene: &Scene, method: &Method, path: &str, body: &Value) {
    match path {
        "/jobs/{id}" | "/jobs/{id}/cancel" | "/jobs/{id}/changes" | "/jobs/{id}/release" | "/jobs/{id}/reject" => {
            let answer = scene.call(method, &path.replace("{id}", &scene.hidden_job), body).await;
            assert_eq!(answer.status, 404, "{path}: {}", answer.text);
        }
        "/jobs/statuses" => {
            let answer = scene.call(method, path, &json!({ "jobIds": [scene.hidden_job] })).await;
            assert_eq!(answer.json[&scene.hidden_job], Value::Null, "{}", answer.text);
        }
        "/jobs/events" => {
            // The stream of everything has no end; its own test reads it.
            let answer = scene.call(method, &format!("{path}?jobId={}", scene.hidden_job), body).await;
            assert_eq!(answer.status, 404, "{path}: {}", answer.text);
        }
        // Holds are tested with something held; here nothing is.
        "/holds/{id}/release" | "/holds/{id}/reject" => {
            let answer = scene.call(method, &path.replace("{id}", &scene.hidden_job), body).await;
            assert_eq!(answer.status, 404, "{path}: {}", answer.text);
        }
        "/jobs" | "/jobs/search" | "/jobs/summary" => {
            let answer = scene.call(method, path, body).await;
            assert_eq!(answer.status, 200, "{path}: {}", answer.text);
            assert!(!answer.text.contains(&scene.hidden_job), "{path} lists a hidden job");
        }
        _ => panic!("{method} {path} is new: say here what an owner of two roots gets"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_gives_an_owner_the_own_subtrees_and_the_path_to_them() {
    let scene = scene().await;
    let tops = scene.call(&Method::POST, "/data/object/search", &json!({})).await;
    assert_eq!((&tops.json["count"], &tops.json["hits"][0]["name"]), (&json!(1), &json!("Mine")), "{}", tops.text);
    let body = json!({ "recursive": true, "size": 500 });
    let below = scene.call(&Method::POST, "/data/object/search/Mine", &body).await;
    let found: BTreeSet<&str> =
        below.json["hits"].as_array().expect("hits").iter().filter_map(|h| h["id"].as_str()).collect();
    for object in scene.on_path.iter().filter(|o| o["level"] != 1).chain(&scene.roots) {
        assert!(found.contains(object["id"].as_str().expect("id")), "{} is missing", object["objectPath"]);
    }
    // Two catalogs and two schemas lead to or are roots; three tables below one, one table is the other.
    assert_eq!((found.len(), &below.json["count"]), (2 + 2 + 3 + 1, &json!(8)), "{}", below.text);
    let own = &scene.roots[1];
    let gone = scene.call(&Method::DELETE, &format!("/data/object/{}", url_of(own)), &json!({})).await;
    assert_eq!(gone.status, 200, "owners delete what is theirs: {}", gone.text);
    scene.host.stop().await;
}
