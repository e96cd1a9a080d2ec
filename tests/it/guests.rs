//! Hostile components in the real sandbox: each hurts its own call, which ends with the reason, and nothing else.

use std::{
    io::Write,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use anyhow::Context;
use serde_json::{Value, json};
use wharfinger::{
    connector::{CallError, Connector, Connectors, ErrorCode, Limits, LimitsOf, Outcome, Setup, error::LoadError},
    egress::session::{Egress, Policy, Session},
    model::{
        object::Kind,
        page::{Cursor, Page, Partition},
        path::RemotePath,
    },
};
use wharfinger_tests::{guests, host::setup};

/// A loaded guest and a way out for it, to an address at which nobody listens.
struct Guest {
    connector: Arc<Connector>,
    session: Arc<Session>,
    config: Value,
}

async fn load(path: &str, limits: Limits) -> anyhow::Result<Result<Arc<Connector>, LoadError>> {
    let bytes = std::fs::read(path).with_context(|| format!("read {path}"))?;
    let limits = LimitsOf { others: limits, ..LimitsOf::default() };
    Ok(Connectors::new(Setup { limits, ..setup()? })?.load(&bytes).await)
}

impl Guest {
    async fn load(path: &str) -> anyhow::Result<Self> {
        Self::with_limits(path, Limits::default()).await
    }

    async fn with_limits(path: &str, limits: Limits) -> anyhow::Result<Self> {
        let connector = load(path, limits).await??;
        let payload = json!({
            "hostname": "http://127.0.0.1", "port": 1, "authenticationType": "token", "token": "canary-0123456789abcdef"
        });
        let registration =
            connector.descriptor.admit(&payload, None, None, true).map_err(|e| anyhow::anyhow!("{e:?}"))?;
        let policy =
            Policy { allow_cidrs: vec!["127.0.0.0/8".parse()?], allow_insecure_http: true, ..Policy::default() };
        let session = connector.trial_session(&Egress::new(policy)?, &registration, None)?;
        Ok(Self { connector, session, config: registration.config })
    }

    async fn check(&self) -> Result<Vec<Outcome>, CallError> {
        self.connector.check(&self.session, &self.config).await.0
    }

    /// The message of its only outcome.
    async fn said(&self) -> anyhow::Result<String> {
        let mut outcomes = self.check().await?;
        Ok(outcomes.pop().context("one outcome")?.message)
    }

    async fn read(&self, partition: &str, scope: &[&str], cursor: Option<&str>) -> Result<Page, CallError> {
        let partition = Partition { id: partition.into(), scope: path(scope), payload: String::new(), weight: 0 };
        let cursor = cursor.map(|text| Cursor(text.into()));
        self.connector.read(&self.session, &self.config, &partition, true, cursor.as_ref()).await.0
    }
}

fn path(names: &[&str]) -> RemotePath {
    RemotePath(names.iter().map(|name| name.parse().expect("name")).collect())
}

#[track_caller]
fn failed<T>(result: Result<T, CallError>, code: ErrorCode, part: &str) -> CallError {
    let error = result.map(|_| ()).expect_err("the call must fail");
    assert_eq!(error.code, code, "{error}");
    assert!(error.message.contains(part), "{error}");
    error
}

/// A loop is stopped by its computing time; on a busy machine the wall clock may be first.
#[track_caller]
fn stopped<T>(result: Result<T, CallError>) {
    let error = result.map(|_| ()).expect_err("the call must be stopped");
    match error.code {
        ErrorCode::BudgetExhausted => assert!(error.message.contains("check computed for more than 1s"), "{error}"),
        _ => assert_eq!((error.code, error.message.as_str()), (ErrorCode::TimedOut, "check took longer than 6s")),
    }
}

#[test]
fn every_guest_has_a_test() {
    // One of them is made versions of, which have tests of their own.
    let tests = concat!(
        include_str!("guests.rs"),
        include_str!("swap.rs"),
        include_str!("compile.rs"),
        include_str!("../src/versions.rs")
    );
    for (name, _) in guests::ALL {
        assert!(tests.contains(&format!("guests::{}", name.to_uppercase())), "no test runs the guest `{name}`");
    }
    assert!(guests::ALL.len() >= 13);
}

#[tokio::test]
async fn loops_end_with_their_computing_time() -> anyhow::Result<()> {
    let guest = Guest::with_limits(guests::LOOPS, Limits { time_factor: 0.1, ..Limits::default() }).await?;
    let started = Instant::now();
    stopped(guest.check().await);
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    Ok(())
}

#[tokio::test]
async fn many_loops_delay_nobody_else() -> anyhow::Result<()> {
    let guest = Arc::new(Guest::with_limits(guests::LOOPS, Limits { time_factor: 0.1, ..Limits::default() }).await?);
    let mut loops = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let guest = guest.clone();
        loops.spawn(async move { guest.check().await });
    }
    // The caller's runtime answers all the while, and so does another guest's call.
    let other = Guest::load(guests::ECHOES).await?;
    let answered = tokio::time::timeout(Duration::from_secs(20), other.check()).await;
    assert!(answered.is_ok(), "a call waits for guests of others");
    while let Some(ended) = loops.join_next().await {
        stopped(ended?);
    }
    Ok(())
}

#[tokio::test]
async fn hangs_end_with_the_wall_clock() -> anyhow::Result<()> {
    let guest = Guest::with_limits(guests::HANGS, Limits { time_factor: 0.01, ..Limits::default() }).await?;
    failed(guest.check().await, ErrorCode::TimedOut, "took longer than 600ms");
    Ok(())
}

#[tokio::test]
async fn a_call_ends_with_its_caller() -> anyhow::Result<()> {
    let guest = Guest::load(guests::HANGS).await?;
    let weak = Arc::downgrade(&guest.session);
    let cut = tokio::time::timeout(Duration::from_millis(200), guest.check()).await;
    assert!(cut.is_err());
    drop(guest);
    // The store held the session; it is dropped on another thread.
    for _ in 0..500 {
        if weak.strong_count() == 0 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    anyhow::bail!("the store of a call that nobody waits for still lives");
}

#[tokio::test]
async fn grows_until_its_memory_is_used_up() -> anyhow::Result<()> {
    let guest = Guest::load(guests::GROWS).await?;
    failed(guest.check().await, ErrorCode::BudgetExhausted, "ran out of memory: it may have 256 MiB");
    failed(guest.check().await, ErrorCode::BudgetExhausted, "ran out of memory");
    Ok(())
}

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no writer panics").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn floods_are_cut_and_escaped() -> anyhow::Result<()> {
    let lines = Lines::default();
    let writer = lines.clone();
    // Somebody has to listen everywhere: with a single subscriber, on one thread, a line that another test's thread
    // reaches first is held to interest nobody, for good.
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::fmt().with_writer(std::io::sink).finish());
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
    let guest = Guest::load(guests::FLOODS).await?;
    let said = {
        let _capture = tracing::subscriber::set_default(subscriber);
        guest.said().await?
    };
    assert_eq!(said, "enabled: false", "a guest can ask whether lines are still kept");
    let text = String::from_utf8(lines.0.lock().expect("no writer panics").clone())?;
    assert!((1_000_000..1_200_000).contains(&text.len()), "{} bytes", text.len());
    assert!(text.lines().all(|line| line.len() < 8192 + 200));
    assert!(text.contains("further lines of this operation are dropped"));
    let first = text.lines().next().context("a line")?;
    assert!(first.contains("\\u{1b}[2J\\u{202e}forged\\u{a}2026-01-01 ERROR all is lost k\\u{d}=v\\u{7}"), "{first}");
    assert!(first.contains("WARN") && first.contains(" guest:") && first.contains("guest 0.1.0"), "{first}");
    Ok(())
}

#[tokio::test]
async fn pages_over_the_limits_are_refused() -> anyhow::Result<()> {
    let guest = Guest::load(guests::RETURNS_MUCH).await?;
    failed(guest.read("objects", &[], None).await, ErrorCode::TooLarge, "1001 objects");
    failed(guest.read("text", &[], None).await, ErrorCode::TooLarge, "more than 8 MiB");
    failed(guest.read("more", &[], None).await, ErrorCode::TooLarge, "more than 16 MiB at once");
    Ok(())
}

#[tokio::test]
async fn a_trap_tells_why_and_ends_one_call() -> anyhow::Result<()> {
    let guest = Guest::load(guests::TRAPS).await?;
    let error = failed(guest.check().await, ErrorCode::Trapped, "trapped in check");
    assert!(error.detail.as_deref().is_some_and(|d| d.contains("the pigeon has no seventh letter")), "{error:?}");
    assert!(guest.read("p", &[], None).await.is_ok(), "the next call has a store of its own");
    Ok(())
}

#[tokio::test]
async fn exiting_ends_the_guest_and_not_the_host() -> anyhow::Result<()> {
    let guest = Guest::load(guests::EXITS).await?;
    failed(guest.check().await, ErrorCode::Trapped, "ended itself in check");
    Ok(())
}

#[tokio::test]
async fn lies_about_itself_are_refused() -> anyhow::Result<()> {
    let error = load(guests::LIES, Limits::default()).await?.map(|_| ()).expect_err("no descriptor");
    assert_eq!(error.code, "invalid-descriptor");
    assert!(error.message.contains("describes itself wrongly"), "{error}");
    Ok(())
}

#[tokio::test]
async fn nothing_can_be_reached_while_describing() -> anyhow::Result<()> {
    load(guests::CALLS_OUT, Limits::default()).await??;
    Ok(())
}

#[tokio::test]
async fn nothing_stands_behind_wasi() -> anyhow::Result<()> {
    let found = Guest::load(guests::PROBES).await?.said().await?;
    assert_eq!(found, "", "a guest found something of the host");
    Ok(())
}

#[tokio::test]
async fn bad_objects_are_reported_beside_the_good_ones() -> anyhow::Result<()> {
    let page = Guest::load(guests::BAD_OBJECTS).await?.read("p", &["db"], None).await?;
    let names: Vec<_> = page.objects.iter().map(|o| o.path.to_string()).collect();
    assert_eq!(names, ["db.good", "db.odd", "db.\"nameless columns\""]);
    assert_eq!(page.objects[1].facts.kind, Kind::Other);
    assert_eq!(page.objects[2].columns.as_ref().map(Vec::len), Some(2));
    assert_eq!(page.listed.len(), 1, "only of its own partition it can say that it is complete");
    let errors: Vec<_> = page.errors.iter().map(|e| (e.path.to_string(), e.code.as_str())).collect();
    assert_eq!(errors[0], ("db.share".to_owned(), "internal"));
    assert!(!page.errors[0].message.contains('\u{1b}'));
    assert_eq!(errors.len(), 1 + 6 + 1, "{:?}", page.errors);
    assert!(errors[1..].iter().all(|(_, code)| *code == "invalid-object"), "{errors:?}");
    Ok(())
}

#[tokio::test]
async fn a_guest_gets_the_origin_and_no_secret() -> anyhow::Result<()> {
    let config = Guest::load(guests::ECHOES).await?.said().await?;
    let config: Value = serde_json::from_str(&config)?;
    let expected = json!({
        "hostname": "127.0.0.1", "port": 1, "authenticationType": "token", "origin": "http://127.0.0.1:1"
    });
    assert_eq!(config, expected);
    Ok(())
}

#[tokio::test]
async fn hoarding_batches_is_refused_and_ends_with_them() -> anyhow::Result<()> {
    let said = Guest::load(guests::HOARDS).await?.said().await?;
    assert_eq!(said, "refused 24, ended true, room afterwards true");
    Ok(())
}

#[tokio::test]
async fn a_listing_that_leads_to_itself_ends() -> anyhow::Result<()> {
    let guest = Guest::load(guests::REPEATS).await?;
    let first = guest.read("walks", &[], None).await?;
    let next = first.next.context("it goes on")?.0;
    failed(guest.read("walks", &[], Some(&next)).await, ErrorCode::Internal, "never end");
    assert!(guest.read("polls", &[], Some(&next)).await.is_ok(), "one that asks to wait may come back");
    Ok(())
}
