//! What the sandbox costs: compiling in a process of its own, loading what was compiled, a call in a fresh store, and the
//! same work inside the sandbox and outside of it.

use std::{
    fmt::Write as _,
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};
use serde_json::{Value, json};
use wharfinger::{
    connector::{CodeCache, Connector, Connectors, Setup, bundled::BUNDLED},
    egress::{
        session::{Egress, Policy, Session},
        vault::Vault,
    },
    model::{page::Partition, path::RemotePath},
};
use wharfinger_guests::pages;
use wharfinger_tests::{
    guests,
    host::{TempDir, program},
};

/// Calls whose times are sorted.
const CALLS: usize = 5000;
/// Large pages, inside and outside.
const PAGES: usize = 50;

pub(crate) fn run(runs: usize) -> Result<String> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(measured(runs))
}

async fn measured(runs: usize) -> Result<String> {
    let mut text = String::new();
    let pages_v1 = std::fs::read(guests::PAGES_V1)?;
    for (name, bytes) in BUNDLED.iter().copied().chain([("a small guest", pages_v1.as_slice())]) {
        let (mut compiled, mut kept) = (Vec::new(), Vec::new());
        for _ in 0..runs {
            let dir = TempDir::new()?;
            for times in [&mut compiled, &mut kept] {
                let code = CodeCache::open(&dir.path().join("code"), Vault::new(&[1; 32]).mac_key("bench")?)?;
                let connectors = Connectors::new(Setup { code: Some(code), ..Setup::new(program()?) })?;
                let begun = Instant::now();
                connectors.prepare(bytes).await?;
                times.push(begun.elapsed());
            }
        }
        let (compiled, kept) = (median(&mut compiled), median(&mut kept));
        writeln!(
            text,
            "{name}, {} kB: made ready in {compiled:.1?} by compiling, in {kept:.1?} from kept code",
            bytes.len() / 1000
        )?;
    }

    let guest = Guest::load(&pages_v1).await?;
    let mut calls = Vec::new();
    for _ in 0..CALLS {
        let begun = Instant::now();
        guest.connector.check(&guest.session, &guest.config).await.0?;
        calls.push(begun.elapsed());
    }
    calls.sort();
    let (p50, p99) = (calls[CALLS / 2], calls[CALLS * 99 / 100]);
    writeln!(text, "a call that does nothing, in a fresh store: p50 {p50:.1?}, p99 {p99:.1?}")?;

    let partition =
        Partition { id: pages::LARGE.into(), scope: RemotePath::default(), payload: String::new(), weight: 0 };
    let (mut inside, mut outside) = (Vec::new(), Vec::new());
    for _ in 0..PAGES {
        let begun = Instant::now();
        guest.connector.read(&guest.session, &guest.config, &partition, true, None).await.0?;
        inside.push(begun.elapsed());
        let begun = Instant::now();
        black_box(pages::large());
        outside.push(begun.elapsed());
    }
    let (inside, outside) = (median(&mut inside), median(&mut outside));
    let times = inside.as_secs_f64() / outside.as_secs_f64();
    writeln!(
        text,
        "a page of 1000 tables with 20 columns: {inside:.1?} from the sandbox, checked and taken over, {outside:.1?} from \
         the same code outside it ({times:.1} times)"
    )?;
    Ok(text)
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// A loaded guest, with a way out to an address at which nobody listens.
struct Guest {
    connector: Arc<Connector>,
    session: Arc<Session>,
    config: Value,
}

impl Guest {
    async fn load(bytes: &[u8]) -> Result<Self> {
        let connector = Connectors::new(Setup::new(program()?))?.load(bytes).await?;
        let payload = json!({
            "hostname": "http://127.0.0.1", "port": 1, "authenticationType": "token", "token": "canary-0123456789abcdef"
        });
        let registration = connector.descriptor.admit(&payload, None, None, true).map_err(|e| anyhow!("{e:?}"))?;
        let policy =
            Policy { allow_cidrs: vec!["127.0.0.0/8".parse()?], allow_insecure_http: true, ..Policy::default() };
        let session = connector.trial_session(&Egress::new(policy)?, &registration, None).context("a session")?;
        Ok(Self { connector, session, config: registration.config })
    }
}
