//! `GET /metrics`: counters in the text format of Prometheus.
//!
//! Everything is counted from the start of the host, so a restart begins at zero, which scrapers expect. Labels are names,
//! versions, digests and codes; what served lately is told too. A connection appears by its id at most, never by its name.

use std::{collections::BTreeMap, fmt::Write as _};

use axum::{
    extract::State,
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};

use super::{ApiState, error::ApiError};
use crate::{
    connector::{Counted, health::Snapshot},
    model::sight::Sight,
};

/// What scrapers know the format by.
const FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// One version of a connector.
struct Version {
    name: String,
    version: String,
    digest: String,
    health: Snapshot,
}

/// What is known of the host itself.
struct Host {
    jobs: BTreeMap<&'static str, u64>,
    store_bytes: Option<u64>,
}

/// All counters.
pub(super) async fn get(State(state): State<ApiState>) -> Result<Response, ApiError> {
    let versions: Vec<_> = state.connectors.counted().into_iter().map(Version::of).collect();
    let jobs = state.db.job_summary(&Sight::All, state.clock.now()).await?.running;
    let store_bytes = match &state.options.store_file {
        Some(file) => tokio::fs::metadata(file).await.ok().map(|found| found.len()),
        None => None,
    };
    let text = render(&versions, &Host { jobs, store_bytes });
    Ok(([(CONTENT_TYPE, FORMAT)], text).into_response())
}

impl Version {
    fn of((digest, Counted { name, version, health }): (String, Counted)) -> Self {
        Self { name, version, digest, health }
    }

    fn labels<'a>(&'a self, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let own = [("connector", &*self.name), ("version", &*self.version), ("digest", &*self.digest)];
        own.into_iter().chain(more.iter().copied()).collect()
    }
}

fn render(versions: &[Version], host: &Host) -> String {
    let mut text = Text::default();
    text.family("wharfinger_info", "gauge", "The host that answers");
    text.sample(&[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    text.family("wharfinger_jobs", "gauge", "Jobs that have not ended, by state");
    for (state, count) in &host.jobs {
        text.sample(&[("state", state)], *count as f64);
    }
    if let Some(bytes) = host.store_bytes {
        text.family("wharfinger_store_bytes", "gauge", "Size of the store's file");
        text.sample(&[], bytes as f64);
    }

    type Count = fn(&Snapshot) -> f64;
    let singles: [(&str, &str, &str, Count); 6] = [
        ("calls_total", "counter", "Calls that ended", |h| h.calls as f64),
        ("cpu_seconds_total", "counter", "Time in which guests computed", |h| h.computed.as_secs_f64()),
        ("memory_high_water_bytes", "gauge", "Most memory of one call", |h| h.memory_high_water as f64),
        ("requests_total", "counter", "Requests to platforms, repeats included", |h| h.requests as f64),
        ("response_bytes_total", "counter", "Bytes of the platforms' answers", |h| h.bytes as f64),
        ("recent_failures", "gauge", "Failures of the connector itself among its last 20 calls", |h| {
            h.recent_failures() as f64
        }),
    ];
    for (name, kind, help, count) in singles {
        text.family(&format!("wharfinger_connector_{name}"), kind, help);
        versions.iter().for_each(|version| text.sample(&version.labels(&[]), count(&version.health)));
    }

    text.family("wharfinger_connector_failures_total", "counter", "Calls that failed, by code");
    for version in versions {
        for (code, count) in &version.health.failures {
            text.sample(&version.labels(&[("code", code.as_str())]), *count as f64);
        }
    }
    text.family("wharfinger_connector_stops_total", "counter", "Calls that a trap or a limit ended in their midst");
    for version in versions {
        for (stop, count) in &version.health.stops {
            text.sample(&version.labels(&[("cause", stop.as_str())]), *count as f64);
        }
    }
    text.family("wharfinger_connector_denials_total", "counter", "What was refused to guests");
    for version in versions {
        let health = &version.health;
        for (what, count) in
            [("request", health.denied_requests), ("memory", health.denied_memory), ("tables", health.denied_tables)]
        {
            text.sample(&version.labels(&[("what", what)]), count as f64);
        }
    }
    text.family(
        "wharfinger_connector_open_circuit",
        "gauge",
        "Connections on which a connector is left alone, with the second in which it is tried again",
    );
    for version in versions {
        for (connection, until) in &version.health.open {
            text.sample(&version.labels(&[("connection_id", &connection.to_string())]), until.as_second() as f64);
        }
    }
    text.0
}

/// Metrics as text, family by family.
#[derive(Default)]
struct Text(String, String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        name.clone_into(&mut self.1);
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// A sample of the family that was begun last.
    fn sample(&mut self, labels: &[(&str, &str)], value: f64) {
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let braces = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "{}{braces} {value}", self.1);
    }
}

/// A label's value: what would end it or the line is written otherwise.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::connector::ErrorCode;

    #[test]
    fn every_line_is_a_comment_or_a_sample() {
        let health = Snapshot {
            calls: 7,
            failures: [(ErrorCode::Trapped, 2)].into(),
            memory_high_water: 1 << 20,
            ..Snapshot::default()
        };
        let version = Version { name: "a\"b\\c\nd".into(), version: "1.0.0".into(), digest: "00ff".into(), health };
        let text = render(&[version], &Host { jobs: [("running", 3)].into(), store_bytes: Some(4096) });
        let labels = r#"connector="a\"b\\c\nd",version="1.0.0",digest="00ff""#;
        for line in [
            format!("wharfinger_connector_calls_total{{{labels}}} 7"),
            format!("wharfinger_connector_failures_total{{{labels},code=\"trapped\"}} 2"),
            format!("wharfinger_connector_memory_high_water_bytes{{{labels}}} 1048576"),
            format!("wharfinger_connector_denials_total{{{labels},what=\"request\"}} 0"),
            "wharfinger_jobs{state=\"running\"} 3".to_owned(),
            "wharfinger_store_bytes 4096".to_owned(),
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(text.lines().all(|line| line.starts_with("# ") || line.starts_with("wharfinger_")), "{text}");
        let families = text.lines().filter(|line| line.starts_with("# TYPE")).collect::<Vec<_>>();
        assert_eq!(families.iter().collect::<BTreeSet<_>>().len(), families.len(), "each is told once");
    }
}
