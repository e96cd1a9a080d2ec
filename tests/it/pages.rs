//! The pages, over HTTP, as a browser asks for them: signing in, what browsers are told, forms of strangers, and names
//! that try to be markup.

use anyhow::Context;
use reqwest::{Method, StatusCode, header::HeaderMap, redirect::Policy};
use serde_json::{Value, json};
use wharfinger::{
    api::caller::token_digest,
    model::{
        id::{ObjectId, PrincipalId},
        principal::Principal,
        sight::Sight,
    },
};
use wharfinger_simulators::unity_catalog::{Names, Options, Shape, UnityCatalog};
use wharfinger_tests::{TestHost, host::ADMIN_KEY};

/// A browser: keeps its cookie, says where its requests come from, and follows nothing by itself.
pub(crate) struct Browser {
    http: reqwest::Client,
    base: String,
    cookie: Option<String>,
}

pub(crate) struct Page {
    pub(crate) status: StatusCode,
    headers: HeaderMap,
    pub(crate) text: String,
}

impl Browser {
    fn new(host: &TestHost) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().redirect(Policy::none()).build()?;
        Ok(Self { http, base: host.client().base().to_owned(), cookie: None })
    }

    pub(crate) async fn signed_in(host: &TestHost) -> anyhow::Result<Self> {
        Self::signed_in_as(host, ADMIN_KEY).await
    }

    pub(crate) async fn signed_in_as(host: &TestHost, key: &str) -> anyhow::Result<Self> {
        let mut browser = Self::new(host)?;
        let answer = browser.post("/ui/login", "same-origin", &[("key", key), ("next", "/ui/jobs")]).await?;
        assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, "/ui/jobs"));
        let cookie = answer.header("set-cookie");
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
        browser.cookie = cookie.split(';').next().map(str::to_owned);
        Ok(browser)
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Page> {
        let request = match &self.cookie {
            Some(cookie) => request.header("cookie", cookie),
            None => request,
        };
        let response = request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        Ok(Page { status, headers, text: response.text().await? })
    }

    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Page> {
        self.send(self.http.get(format!("{}{path}", self.base))).await
    }

    pub(crate) async fn fragment(&self, path: &str) -> anyhow::Result<Page> {
        self.send(self.http.get(format!("{}{path}", self.base)).header("x-fragment", "1")).await
    }

    async fn post(&self, path: &str, site: &str, fields: &[(&str, &str)]) -> anyhow::Result<Page> {
        let request = self.http.request(Method::POST, format!("{}{path}", self.base));
        self.send(request.header("sec-fetch-site", site).form(fields)).await
    }

    /// Sends a body as a form of ours would.
    pub(crate) async fn send_body(&self, path: &str, content_type: &str, body: Vec<u8>) -> anyhow::Result<Page> {
        let request = self.http.request(Method::POST, format!("{}{path}", self.base)).body(body);
        self.send(request.header("sec-fetch-site", "same-origin").header("content-type", content_type)).await
    }

    /// Sends a form as a page of ours would, with the token of the page at `from`.
    pub(crate) async fn submit(&self, from: &str, path: &str, fields: &[(&str, &str)]) -> anyhow::Result<Page> {
        let token = self.get(from).await?.token()?;
        let fields: Vec<_> = fields.iter().copied().chain([("token", token.as_str())]).collect();
        self.post(path, "same-origin", &fields).await
    }
}

impl Page {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
    }

    /// What the first field of this name holds.
    pub(crate) fn field(&self, name: &str) -> anyhow::Result<String> {
        let start = format!("name=\"{name}\" value=\"");
        let (_, rest) = self.text.split_once(&start).with_context(|| format!("no {name} in {}", self.text))?;
        Ok(rest.split('"').next().unwrap_or_default().to_owned())
    }

    pub(crate) fn token(&self) -> anyhow::Result<String> {
        self.field("token")
    }

    /// Names and values of what the last form on the page sends without being asked, but for the token.
    pub(crate) fn hidden_fields(&self) -> Vec<(String, String)> {
        let form = self.text.rsplit("<form").next().unwrap_or_default();
        let fields = form.split("<input type=\"hidden\" name=\"").skip(1).filter_map(|rest| {
            let (name, rest) = rest.split_once('"')?;
            let (value, _) = rest.strip_prefix(" value=\"")?.split_once('"')?;
            Some((name.to_owned(), unescaped(value)))
        });
        fields.filter(|(name, _)| name != "token").collect()
    }

    /// The name of the field that holds a value.
    pub(crate) fn field_of_value(&self, value: &str) -> anyhow::Result<String> {
        let end = format!("\" value=\"{value}\"");
        let (before, _) = self.text.split_once(&end).with_context(|| format!("no {value} in {}", self.text))?;
        Ok(before.rsplit("name=\"").next().unwrap_or_default().to_owned())
    }

    /// No name, however hostile, has become markup, a direction of writing, or something unseen.
    #[track_caller]
    pub(crate) fn assert_harmless(&self) {
        for never in ['\u{202e}', '\u{200b}', '\u{7}', '\t'] {
            assert!(!self.text.contains(never), "{never:?} in {}", self.text);
        }
        for never in ["<b>", "<script>", " style=", " onclick=", " onerror=", "javascript:"] {
            assert!(!self.text.contains(never), "{never} in {}", self.text);
        }
    }
}

fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
}

/// A host with a connection to a platform whose names are as bad as can be, synced.
async fn hostile_host() -> anyhow::Result<(TestHost, UnityCatalog)> {
    let shape = Shape { catalogs: 2, schemas: 2, tables: 60, columns: 20, names: Names::Hostile };
    let platform = UnityCatalog::start(Options::new(shape.generate(7))).await?;
    let host = TestHost::start().await?;
    let mut payload = platform.payload("Bad <b>names</b>");
    payload.as_object_mut().context("payload")?.remove("settings");
    host.client().register(&payload).await?;
    // Columns of disabled tables are read only when asked for.
    let answer =
        host.client().post("/data/crawl/Bad%20%3Cb%3Enames%3C%2Fb%3E", &json!({ "forceRecursive": true })).await?;
    host.client().completed(answer.expect(202)?.json["bulkId"].as_str().context("bulkId")?).await?;
    Ok((host, platform))
}

async fn objects(host: &TestHost, object_type: &str) -> anyhow::Result<Vec<Value>> {
    let body = json!({ "recursive": true, "size": 500, "objectTypes": [object_type] });
    let answer = host.client().post("/data/object/search/Bad%20%3Cb%3Enames%3C%2Fb%3E", &body).await?.expect(200)?;
    Ok(answer.json["hits"].as_array().context("hits")?.clone())
}

async fn connection_id(host: &TestHost) -> anyhow::Result<String> {
    let answer = host.client().get("/data/object/Bad%20%3Cb%3Enames%3C%2Fb%3E").await?.expect(200)?;
    Ok(answer.json["id"].as_str().context("id")?.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_sees_a_page_without_signing_in() -> anyhow::Result<()> {
    let host = TestHost::start().await?;
    let browser = Browser::new(&host)?;
    let first = browser.get("/").await?;
    assert_eq!((first.status, first.header("location")), (StatusCode::SEE_OTHER, "/ui/connections"));
    let asked = browser.get("/ui/jobs?state=failed").await?;
    assert_eq!(asked.status, StatusCode::SEE_OTHER);
    assert_eq!(asked.header("location"), "/ui/login?next=%2Fui%2Fjobs%3Fstate%3Dfailed");
    assert_eq!(browser.fragment("/ui/live").await?.status, StatusCode::UNAUTHORIZED);

    let wrong = browser.post("/ui/login", "same-origin", &[("key", "guessed")]).await?;
    assert_eq!((wrong.status, wrong.header("set-cookie")), (StatusCode::UNAUTHORIZED, ""));
    assert!(wrong.text.contains("Nobody has this key") && !wrong.text.contains("guessed"), "{}", wrong.text);
    let lured = browser.post("/ui/login", "cross-site", &[("key", ADMIN_KEY)]).await?;
    assert_eq!((lured.status, lured.header("set-cookie")), (StatusCode::FORBIDDEN, ""));
    let elsewhere = browser.post("/ui/login", "same-origin", &[("key", ADMIN_KEY), ("next", "//evil.example")]).await?;
    assert_eq!(elsewhere.header("location"), "/ui/connections");

    let mut browser = Browser::signed_in(&host).await?;
    assert_eq!(browser.get("/ui/jobs").await?.status, StatusCode::OK);
    assert_eq!(browser.post("/ui/logout", "same-origin", &[]).await?.status, StatusCode::FORBIDDEN, "without a token");
    let out = browser.submit("/ui/jobs", "/ui/logout", &[]).await?;
    assert!(out.header("set-cookie").contains("Max-Age=0"));
    // The session is over even where the browser keeps its cookie.
    assert_eq!(browser.get("/ui/jobs").await?.status, StatusCode::SEE_OTHER);
    browser.cookie = Some("wharfinger_session=forged".into());
    assert_eq!(browser.get("/ui/jobs").await?.status, StatusCode::SEE_OTHER);
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_are_told_to_run_nothing_but_our_own_files() -> anyhow::Result<()> {
    let host = TestHost::start().await?;
    let browser = Browser::signed_in(&host).await?;
    let connections = browser.get("/ui/connections").await?;
    assert!(connections.text.contains("No connections yet."), "{}", connections.text);
    for path in ["/ui/connections", "/ui/jobs", "/ui/login", "/ui/object/nonsense", "/ui/live"] {
        let page = browser.get(path).await?;
        let policy = page.header("content-security-policy");
        for part in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(page.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(page.header("cache-control"), "no-store", "{path}");
        page.assert_harmless();
    }
    let missing = browser.get("/ui/object/nonsense").await?;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    assert!(
        missing.header("content-type").starts_with("text/html") && missing.text.contains("there is no such object")
    );

    for kind in ["style.css", "app.js", "icon.svg"] {
        let at = connections.text.find(kind).with_context(|| format!("{kind} is not linked"))?;
        let start = connections.text[..at].rfind('"').context("a quoted address")? + 1;
        let file = browser.get(&connections.text[start..at + kind.len()]).await?;
        assert_eq!(file.status, StatusCode::OK, "{kind}");
        assert!(file.header("cache-control").contains("immutable") && !file.text.is_empty(), "{kind}");
    }
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_names_stay_text_on_every_level() -> anyhow::Result<()> {
    let (host, _platform) = hostile_host().await?;
    let browser = Browser::signed_in(&host).await?;
    let connection = connection_id(&host).await?;
    let list = browser.get("/ui/connections").await?;
    list.assert_harmless();
    assert!(list.text.contains("Bad &lt;b&gt;names&lt;/b&gt;") && list.text.contains("Healthy"), "{}", list.text);

    let level = browser.fragment(&format!("/ui/tree/{connection}")).await?;
    assert!(level.text.starts_with("<ul>") && level.text.ends_with("</ul>"), "{}", level.text);
    assert_eq!(level.text.matches("name=\"toggle\"").count(), 2, "two catalogs open: {}", level.text);
    level.assert_harmless();

    let mut pages =
        vec![format!("/ui/object/{connection}"), format!("/ui/object/{connection}?below=all&sort=objectPath")];
    for object_type in ["database", "schema"] {
        for object in objects(&host, object_type).await? {
            let id = object["id"].as_str().context("id")?;
            pages.extend(
                ["", "?page=2", "/settings", "/history", "/changes", "/connection", "/sync", "/delete"]
                    .map(|p| format!("/ui/object/{id}{p}")),
            );
        }
    }
    let tables: Vec<Value> = host.client().descendants("Bad%20%3Cb%3Enames%3C%2Fb%3E").await?;
    let tables: Vec<_> = tables.iter().filter(|o| o["level"] == 4).collect();
    assert_eq!(tables.len(), 240);
    pages.extend(tables.iter().map(|o| format!("/ui/object/{}", o["id"].as_str().unwrap_or_default())));
    pages
        .extend(tables.iter().take(60).map(|o| format!("/ui/object/{}/history", o["id"].as_str().unwrap_or_default())));
    pages.push(format!("/ui/object/{connection}/changes?kind=added&since=2020-01-01"));
    let jobs = host.client().get("/jobs").await?.expect(200)?;
    for job in jobs.json.as_array().context("jobs")? {
        let id = job["id"].as_str().context("id")?;
        pages.extend([format!("/ui/jobs/{id}"), format!("/ui/jobs/{id}/changes")]);
    }
    let mut written_out = 0;
    for path in &pages {
        let page = browser.get(path).await?;
        assert_eq!(page.status, StatusCode::OK, "{path}: {}", page.text);
        page.assert_harmless();
        written_out += usize::from(page.text.contains("\\u{202e}"));
    }
    assert!(written_out > 0, "the names were as hostile as thought");
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_reviewed_before_they_are_saved() -> anyhow::Result<()> {
    let (host, _platform) = hostile_host().await?;
    let browser = Browser::signed_in(&host).await?;
    let id = connection_id(&host).await?;
    let (settings, review) = (format!("/ui/object/{id}/settings"), format!("/ui/object/{id}/settings/review"));
    let choice = [("status", "enable"), ("newObjects", "inherit")];
    let reviewed = browser.submit(&settings, &review, &choice).await?;
    // The connection, 2 catalogs, 4 schemas, 240 tables.
    assert!(reviewed.text.contains("247 objects"), "{}", reviewed.text);
    let state = async || anyhow::Ok(host.client().get(&format!("/data/object?id={id}")).await?.json["state"].clone());
    assert_eq!(state().await?, "inactive", "a review changes nothing");

    let revision = reviewed.field("revision")?;
    let save = async |revision: &str, status: &str| {
        let fields = [("status", status), ("newObjects", "inherit"), ("revision", revision)];
        browser.submit(&settings, &settings, &fields).await
    };
    let saved = save(&revision, "enable").await?;
    assert_eq!(
        (saved.status, saved.header("location")),
        (StatusCode::SEE_OTHER, format!("{settings}?saved=1").as_str())
    );
    assert_eq!(state().await?, "active");
    let late = save(&revision, "disable").await?;
    assert!(late.text.contains("Nothing was saved"), "{}", late.text);
    assert_eq!(state().await?, "active", "somebody else was faster");
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schedule_is_shown_and_changed_on_the_connections_page() -> anyhow::Result<()> {
    let (host, _platform) = hostile_host().await?;
    let browser = Browser::signed_in(&host).await?;
    let id = connection_id(&host).await?;
    let (tab, change) = (format!("/ui/object/{id}/connection"), format!("/ui/object/{id}/schedule"));
    let before = browser.get(&tab).await?;
    assert!(before.text.contains("24 hours, at 01:00 UTC") && before.text.contains("Next run"), "{}", before.text);
    let revision = before.field("revision")?;
    let refused =
        browser.submit(&tab, &change, &[("cron", "* * * \"<b>"), ("jitter", "0"), ("revision", &revision)]).await?;
    assert!(refused.text.contains("Nothing was saved") && refused.text.contains("five fields"), "{}", refused.text);
    refused.assert_harmless();
    let fields = [("cron", "30 */6 * * *"), ("jitter", "600"), ("revision", revision.as_str())];
    let saved = browser.submit(&tab, &change, &fields).await?;
    assert_eq!((saved.status, saved.header("location")), (StatusCode::SEE_OTHER, format!("{tab}?saved=1").as_str()));
    let after = browser.get(&format!("{tab}?saved=1")).await?;
    assert!(after.text.contains("30 */6 * * *") && after.text.contains("Saved."), "{}", after.text);
    let late = browser.submit(&tab, &change, &fields).await?;
    assert!(late.text.contains("changed meanwhile"), "somebody else was faster: {}", late.text);

    // Who looks on sees it, and changes nothing.
    let key = "test-key-of-a-looker-on-0123456789";
    let looker = Principal {
        id: PrincipalId::generate(),
        name: "looker".into(),
        email: None,
        permissions: vec![],
        sight: Sight::All,
    };
    host.app().db().put_principal(looker, token_digest(key)).await?;
    let looker = Browser::signed_in_as(&host, key).await?;
    let seen = looker.get(&tab).await?;
    assert!(seen.text.contains("Next run") && !seen.text.contains("Save schedule"), "{}", seen.text);
    assert_eq!(looker.submit(&tab, &change, &fields).await?.status, StatusCode::FORBIDDEN);
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn patterns_are_looked_at_before_they_are_saved() -> anyhow::Result<()> {
    let (host, _platform) = hostile_host().await?;
    let browser = Browser::signed_in(&host).await?;
    let id = connection_id(&host).await?;
    let tab = format!("/ui/object/{id}/connection");
    let (save, preview) = (format!("/ui/object/{id}/filter"), format!("/ui/object/{id}/filter/preview"));
    let stored = async || {
        let shown = host.client().get(&format!("/data/connection?id={id}")).await?.expect(200)?.json;
        anyhow::Ok(shown["options"]["exclude"].clone())
    };
    assert!(browser.get(&tab).await?.text.contains("<textarea"));
    let exclude = "*.*.*\r\n\r\nnobody.\"a.b\"\r\n";
    let looked = browser.submit(&tab, &preview, &[("include", ""), ("exclude", exclude)]).await?;
    looked.assert_harmless();
    assert!(looked.text.contains("240 are left out") && looked.text.contains("6 objects stay"), "{}", looked.text);
    assert!(looked.text.contains("names no known object"), "a typo is seen: {}", looked.text);
    assert_eq!(stored().await?, json!([]), "a preview stores nothing");

    let wrong = browser.submit(&tab, &preview, &[("include", "fine"), ("exclude", "a..b")]).await?;
    assert!(wrong.text.contains("at exclude[0]: the pattern has nothing at level 2"), "{}", wrong.text);
    assert!(wrong.text.contains("fine</textarea>") && wrong.text.contains("a..b</textarea>"), "{}", wrong.text);

    let revision = looked.field("revision")?;
    let fields = [("include", ""), ("exclude", exclude), ("revision", revision.as_str())];
    let saved = browser.submit(&tab, &save, &fields).await?;
    let to = format!("{tab}?saved=1#filter");
    assert_eq!((saved.status, saved.header("location")), (StatusCode::SEE_OTHER, to.as_str()), "{}", saved.text);
    assert_eq!(stored().await?, json!([["*", "*", "*"], ["nobody", "a.b"]]));
    let late =
        browser.submit(&tab, &save, &[("include", "x"), ("exclude", ""), ("revision", revision.as_str())]).await?;
    assert!(late.text.contains("Nothing was saved"), "{}", late.text);
    assert_eq!(stored().await?, json!([["*", "*", "*"], ["nobody", "a.b"]]), "somebody else was faster");

    let table = objects(&host, "table").await?.first().context("a table")?["id"].as_str().context("id")?.to_owned();
    let page = browser.get(&format!("/ui/object/{table}")).await?;
    page.assert_harmless();
    assert!(page.text.contains("Excluded") && page.text.contains("left out by the pattern *.*.*"), "{}", page.text);
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_our_own_forms_start_a_sync() -> anyhow::Result<()> {
    let (host, _platform) = hostile_host().await?;
    let (browser, other) = (Browser::signed_in(&host).await?, Browser::signed_in(&host).await?);
    let id = connection_id(&host).await?;
    let sync = format!("/ui/object/{id}/sync");
    let jobs = async || {
        let answer = host.client().get("/jobs/search?size=500").await?.expect(200)?;
        answer.json["jobs"].as_array().map(Vec::len).context("jobs")
    };
    let before = jobs().await?;
    let (token, others) = (browser.get(&sync).await?.token()?, other.get(&sync).await?.token()?);
    assert_ne!(token, others);
    for (site, sent) in [("same-origin", ""), ("same-origin", others.as_str()), ("cross-site", token.as_str())] {
        let refused = browser.post(&sync, site, &[("token", sent)]).await?;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{site} {sent}");
    }
    assert_eq!(jobs().await?, before);

    let started = browser.submit(&sync, &sync, &[("all", "1")]).await?;
    assert_eq!(
        (started.status, started.header("location")),
        (StatusCode::SEE_OTHER, format!("/ui/object/{id}").as_str())
    );
    assert_eq!(jobs().await?, before + 1);
    // Each part tells by itself whether there is more to come, until there is not.
    for _ in 0..600 {
        if !browser.fragment("/ui/live").await?.text.contains("data-busy") {
            let rows = browser.fragment(&format!("/ui/object/{id}/live")).await?;
            assert!(!rows.text.contains("data-busy") && rows.text.contains("id=\"rows\""), "{}", rows.text);
            assert!(browser.get("/ui/jobs").await?.text.contains("Completed"));
            host.stop().await;
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    anyhow::bail!("the gear still turns");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_only_looks_on_can_do_nothing_but_leave() -> anyhow::Result<()> {
    let (host, _platform) = hostile_host().await?;
    let (first, second) = ("test-key-of-lena-0123456789", "another-test-key-of-lena-0123456789");
    let onlooker = Principal {
        id: PrincipalId::generate(),
        name: "lena".into(),
        email: None,
        permissions: Vec::new(),
        sight: Sight::All,
    };
    host.app().db().put_principal(onlooker.clone(), token_digest(first)).await?;
    let browser = Browser::signed_in_as(&host, first).await?;
    let id = connection_id(&host).await?;
    for action in ["sync", "settings", "settings/review", "filter", "filter/preview", "delete"] {
        let refused = browser.submit("/ui/jobs", &format!("/ui/object/{id}/{action}"), &[("status", "enable")]).await?;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{action}: {}", refused.text);
        assert!(refused.text.contains("or owning the object"), "{action}: {}", refused.text);
    }
    assert_eq!(connection_id(&host).await?, id, "it is still there");
    // Nor is anything offered.
    for path in ["/ui/connections".to_owned(), format!("/ui/object/{id}")] {
        let (looked_on, managed) = (browser.get(&path).await?, Browser::signed_in(&host).await?.get(&path).await?);
        for action in ["sync", "delete"] {
            let link = format!("/{action}\"");
            assert!(managed.text.contains(&link) && !looked_on.text.contains(&link), "{path}: {action}");
        }
    }
    let out = browser.submit("/ui/jobs", "/ui/logout", &[]).await?;
    assert!(out.header("set-cookie").contains("Max-Age=0"), "{}", out.text);

    // A new key ends what was begun with the old one; the same key again does not.
    let browser = Browser::signed_in_as(&host, first).await?;
    let administrator = Browser::signed_in(&host).await?;
    host.app().db().put_principal(onlooker.clone(), token_digest(first)).await?;
    assert_eq!(browser.get("/ui/jobs").await?.status, StatusCode::OK);
    host.app().db().put_principal(onlooker, token_digest(second)).await?;
    assert_eq!(browser.get("/ui/jobs").await?.status, StatusCode::SEE_OTHER);
    assert_eq!(administrator.get("/ui/jobs").await?.status, StatusCode::OK);
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_sees_the_way_to_what_is_theirs_and_nothing_beside_it() -> anyhow::Result<()> {
    let (host, _platform) = hostile_host().await?;
    let schemas = objects(&host, "schema").await?;
    let own: ObjectId = schemas[0]["id"].as_str().context("id")?.parse()?;
    let other = schemas.iter().filter_map(|s| s["id"].as_str()).find(|id| *id != own.to_string()).context("another")?;
    let owner = host.owner_of("olga", vec![own]).await?;
    let connection = connection_id(&host).await?;
    let top = owner.get(&format!("/ui/object/{connection}")).await?.expect(200)?;
    assert!(!top.text.contains("/sync") && top.text.contains("only as a step on the way"), "{}", top.text);
    assert!(owner.get(&format!("/ui/object/{own}")).await?.expect(200)?.text.contains("/sync"));
    for path in [other.to_owned(), format!("{connection}/settings"), format!("{connection}/sync")] {
        owner.get(&format!("/ui/object/{path}")).await?.expect(404)?;
    }
    host.stop().await;
    Ok(())
}
