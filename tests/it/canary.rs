//! Secrets that a full run is given are in nothing that it leaves behind: no log line even at the finest level, no answer,
//! no page, and not in clear in the data directory.

mod snowflake;

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use reqwest::Method;
use serde_json::{Value, json};
use wharfinger_simulators::unity_catalog::{ADMIN, CLIENT_ID, Names, Options, Shape, UnityCatalog};
use wharfinger_tests::{
    Answer, Client,
    host::{ADMIN_KEY, TempDir},
};

const TOKEN: &str = "dapiCANARY0first1token2000000000001";
const NEW_TOKEN: &str = "dapiCANARY0second2token3000000000002";
const WRONG_TOKEN: &str = "dapiCANARY0wrong3token4000000000003";
const CLIENT_SECRET: &str = "doseCANARY0client+secret/with=signs%41";
/// How the tokens begin that the simulated platform gives out for a client's secret.
const ISSUED: &str = "eyJraWQiOiJzaW11bGF0ZWQifQ";

/// Everything that the run was asked and answered.
struct Run {
    process: Child,
    client: Client,
    cookie: Option<String>,
    answers: Vec<(String, String)>,
}

impl Run {
    async fn start(dir: &Path) -> Self {
        let key = dir.join("admin.key");
        fs::write(&key, ADMIN_KEY).expect("key");
        let log = fs::File::create(dir.join("log")).expect("log");
        let process = Command::new(env!("CARGO_BIN_EXE_host"))
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(dir.join("data"))
            .env("WHARFINGER_ADMIN_KEY_FILE", key)
            .env("WHARFINGER_LOG_FILTER", "trace")
            .env("WHARFINGER_EGRESS_ALLOW_CIDRS", "127.0.0.0/8")
            .env("WHARFINGER_EGRESS_ALLOW_INSECURE_HTTP", "true")
            .stdin(Stdio::null())
            .stdout(fs::File::create(dir.join("out")).expect("out"))
            .stderr(log)
            .spawn()
            .expect("started");
        let mut run = Self { process, client: Client::new("", None), cookie: None, answers: Vec::new() };
        for _ in 0..1500 {
            if let Some(addr) = fs::read_to_string(dir.join("log")).expect("log").lines().find_map(serving) {
                run.client = Client::new(format!("http://{addr}"), Some(ADMIN_KEY.into()));
                return run;
            }
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
        panic!("the host did not start");
    }

    async fn call(&mut self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let request = self.client.request(method.clone(), path);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let request = match (&self.cookie, path.starts_with("/ui")) {
            (Some(cookie), true) => request.header("cookie", cookie),
            _ => request,
        };
        let answer = self.client.send(request).await.expect(path);
        self.answers.push((format!("{method} {path}"), format!("{:?}\n{}", answer.headers, answer.text)));
        answer
    }

    async fn post(&mut self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, Some(&body)).await
    }

    async fn get(&mut self, path: &str) -> Answer {
        self.call(Method::GET, path, None).await
    }

    /// Waits for the jobs of an answer that must name them.
    async fn finish(&mut self, answer: &Answer) {
        let bulk = answer.json["bulkId"].as_str().unwrap_or_else(|| panic!("no bulk: {}", answer.text)).to_owned();
        self.client.finished(&bulk).await.expect("jobs end");
        self.get(&format!("/jobs?bulkId={bulk}")).await;
    }

    async fn sign_in(&mut self) {
        let form = format!("key={ADMIN_KEY}");
        let request = Client::new(self.client.base(), None)
            .request(Method::POST, "/ui/login")
            .header("content-type", "application/x-www-form-urlencoded")
            .header("sec-fetch-site", "same-origin")
            .body(form);
        let answer = request.send().await.expect("signed in");
        let set = answer.headers().get("set-cookie").expect("a session").to_str().expect("text").to_owned();
        self.cookie = set.split(';').next().map(str::to_owned);
    }

    /// Reads whatever tells something of connections, through the API and as pages.
    async fn read_everything(&mut self, connections: usize) {
        self.sign_in().await;
        let all = self.post("/data/object/search", json!({ "size": 500 })).await;
        let hits = all.json["hits"].as_array().expect("hits");
        let ids: Vec<String> = hits.iter().filter_map(|hit| hit["id"].as_str().map(str::to_owned)).collect();
        assert_eq!(ids.len(), connections, "{}", all.text);
        for id in &ids {
            for path in ["/data/object?id=", "/data/connection?id=", "/data/columns?id="] {
                self.get(&format!("{path}{id}")).await.expect(200).expect("read");
            }
            for page in ["", "/settings", "/connection", "/sync", "/delete"] {
                self.get(&format!("/ui/object/{id}{page}")).await.expect(200).expect("a page");
            }
            self.post(&format!("/data/object/search?id={id}"), json!({ "recursive": true, "size": 500 })).await;
        }
        for path in ["/jobs", "/connectors", "/openapi.json", "/docs", "/ui/connections", "/ui/jobs"] {
            self.get(path).await.expect(200).expect("read");
        }
    }

    /// Ends the host as an operator does, and finds none of these texts in what it said, nor in what it left behind.
    /// The key of a connection is no secret, and is found in the store: so the search itself works.
    fn end_and_search(mut self, dir: &Path, canaries: &[&str], key: &str) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill").success());
        assert!(self.process.wait().expect("ended").success());
        for (what, text) in &self.answers {
            for canary in canaries {
                assert!(!text.contains(canary), "{what}: the answer holds {canary}");
            }
        }
        let mut left = vec![dir.join("log"), dir.join("out")];
        files(&dir.join("data"), &mut left);
        let mut seen_key = false;
        for file in left {
            let bytes = fs::read(&file).expect("file");
            let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
            for canary in canaries {
                assert!(!holds(canary), "{} holds {canary}", file.display());
            }
            seen_key |= file.ends_with("wharfinger.redb") && holds(key);
            if file.ends_with("log") {
                assert!(holds("TRACE") && holds("connection registered"), "the log was kept at its finest");
            }
        }
        assert!(seen_key, "the store holds the connection's key in clear");
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The address in the line that says that the host serves.
fn serving(line: &str) -> Option<&str> {
    let (_, rest) = line.contains("serving").then(|| line.split_once("127.0.0.1:"))??;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let start = line.len() - rest.len() - "127.0.0.1:".len();
    Some(&line[start..start + "127.0.0.1:".len() + end])
}

async fn platform(seed: u64) -> UnityCatalog {
    let shape = Shape { catalogs: 2, schemas: 2, tables: 5, columns: 3, names: Names::Plain };
    let platform = UnityCatalog::start(Options::new(shape.generate(seed))).await.expect("platform");
    platform.access(|access| {
        access.add_token(TOKEN, ADMIN);
        access.add_token(NEW_TOKEN, ADMIN);
        access.add_client(CLIENT_ID, CLIENT_SECRET, Duration::from_secs(3600));
    });
    platform
}

fn files(dir: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(dir).expect("dir").map(|e| e.expect("entry").path()) {
        if entry.is_dir() { files(&entry, found) } else { found.push(entry) }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_found_nowhere_after_a_full_run() {
    let dir = TempDir::new().expect("dir");
    let (by_token, by_client) = (platform(40).await, platform(41).await);
    let mut payload = by_token.payload("Canary by token");
    payload["connection"]["token"] = json!(TOKEN);
    let mut m2m = by_client.m2m_payload("Canary by client");
    m2m["connection"]["oAuthClientConfig"]["clientSecret"] = json!(CLIENT_SECRET);
    let wrong = |field: &str, value: Value| {
        let mut wrong = payload.clone();
        wrong["connection"][field] = value;
        wrong
    };

    let mut run = Run::start(dir.path()).await;
    for refused in [
        wrong("token", json!(WRONG_TOKEN)),
        wrong("token", json!([TOKEN])),
        wrong("tokn", json!(TOKEN)),
        wrong("hostname", json!(TOKEN)),
        wrong("port", json!(TOKEN)),
        wrong("authenticationType", json!(TOKEN)),
    ] {
        let answer = run.post("/data/connection", refused).await;
        assert!(answer.status.is_client_error(), "{}", answer.text);
    }
    run.post("/data/connection/test", payload.clone()).await.expect(200).expect("tested");
    for payload in [&payload, &m2m] {
        let registered = run.post("/data/connection", payload.clone()).await.expect(201).expect("registered");
        run.finish(&registered).await;
    }
    let mut connection = payload["connection"].clone();
    connection["token"] = json!(NEW_TOKEN);
    let url = "/data/connection/Canary%20by%20token";
    run.call(Method::PUT, url, Some(&json!({ "connection": connection }))).await.expect(200).expect("changed");
    connection["token"] = json!(WRONG_TOKEN);
    run.call(Method::PUT, url, Some(&json!({ "connection": connection }))).await.expect(422).expect("refused");
    // Grants that end in the middle are fetched again; credentials that are revoked fail the sync.
    by_client.expire_tokens();
    for key in ["Canary%20by%20client", "Canary%20by%20token"] {
        let queued = run.post(&format!("/data/crawl/{key}"), json!({ "forceRecursive": true })).await;
        run.finish(&queued).await;
    }
    by_token.access(|access| access.remove_token(NEW_TOKEN));
    let queued = run.post("/data/crawl/Canary%20by%20token", json!({})).await;
    run.finish(&queued).await;

    run.read_everything(2).await;
    let gone = run.call(Method::DELETE, "/data/object/Canary%20by%20client", None).await;
    assert_eq!(gone.status, 200, "{}", gone.text);
    let canaries = [TOKEN, NEW_TOKEN, WRONG_TOKEN, CLIENT_SECRET, ISSUED, ADMIN_KEY];
    run.end_and_search(dir.path(), &canaries, "Canary by token");
}
