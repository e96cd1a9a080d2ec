//! What the operator chose: a TOML file, then `WHARFINGER_…` in the environment, then flags. The only module that reads
//! either.
//!
//! Everything is parsed straight into what the rest works with, so that a wrong value stops the start and not a sync
//! at night. Unknown keys are refused in the file and in the environment alike. Secrets are named by file, never given
//! as a value, and are in nothing that can be shown.

use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    connector::{CompileLimits, Limits, LimitsOf, MOST_COMPONENT_MIB},
    egress::{
        approval::{ApprovedOrigin, InvalidApproval},
        session::Policy,
    },
    model::signature::{InvalidKey, PublicKey, Trust, Unsigned},
};

/// How the host runs.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// Where the API listens.
    pub listen: SocketAddr,
    /// What connections may reach.
    pub egress: Policy,
    /// Whose connectors are taken.
    pub trust: Trust,
    /// What is logged, and how.
    pub log: Log,
    /// How syncs run.
    pub jobs: Jobs,
    /// How long what happened is kept.
    pub history: History,
    /// What connectors may use.
    pub connectors: ConnectorLimits,
    /// The master key's file, where it is not the data directory's own.
    pub master_key_file: Option<PathBuf>,
    /// A file with the administrator's API key, where none shall be made.
    pub admin_key_file: Option<PathBuf>,
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// For people or for machines.
    pub format: LogFormat,
    /// Which lines, as `target=level` joined by commas: `info`, `info,guest=debug`.
    pub filter: String,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text.
    #[default]
    Human,
    /// One JSON object per line.
    Json,
}

/// How syncs run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Jobs {
    /// Syncs at the same time.
    pub workers: usize,
    /// Calls of one sync at the same time.
    pub parallel: usize,
    /// Days for which jobs that have ended are kept; the last sync of each connection stays.
    pub keep_days: u32,
}

/// How long what happened is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct History {
    /// Days that changes are kept.
    pub keep_days: u32,
    /// Days that the audit is kept; the newest 1000 entries stay.
    pub audit_days: u32,
}

/// What connectors may use.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectorLimits {
    /// MiB of a component.
    pub component_mib: u32,
    /// What compiling one may take.
    pub compile: CompileLimits,
    /// What calls may use, by the connector's name; the defaults for all others.
    pub limits: BTreeMap<String, Limits>,
}

/// Where commands find the API, and as whom.
#[derive(Clone)]
pub struct ClientConfig {
    /// Beginning of the API's URLs.
    pub url: String,
    /// API key.
    pub api_key: Option<Zeroizing<String>>,
}

impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConfig").field("url", &self.url).finish_non_exhaustive()
    }
}

/// As whom commands ask registries of connectors.
#[derive(Clone)]
pub struct RegistryConfig {
    /// Name and password, where both are said.
    pub credentials: Option<(String, Zeroizing<String>)>,
    /// The one registry that they are for, with its port where it has one.
    pub registry: Option<String>,
    /// Where `docker login` keeps what it was told.
    pub docker_config: Option<PathBuf>,
}

impl fmt::Debug for RegistryConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryConfig").field("docker_config", &self.docker_config).finish_non_exhaustive()
    }
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration file {0} cannot be read: {1}")]
    Unreadable(PathBuf, #[source] std::io::Error),
    /// The file is not what it should be.
    #[error("the configuration file {0} is wrong: {1}")]
    File(PathBuf, String),
    /// A variable that nobody knows.
    #[error("the environment variable {0} means nothing here; known are {known}", known = KNOWN_VARIABLES.join(", "))]
    UnknownVariable(String),
    /// A value that cannot be used.
    #[error("{0}: {1}")]
    Value(String, String),
}

/// The file, and what `config show` prints.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    data_dir: Option<PathBuf>,
    listen: Option<String>,
    master_key_file: Option<PathBuf>,
    admin_key_file: Option<PathBuf>,
    egress: EgressFile,
    log: Log,
    jobs: Jobs,
    history: History,
    connectors: ConnectorsFile,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ConnectorsFile {
    trusted_keys: Vec<String>,
    unsigned: Unsigned,
    component_mib: Option<u32>,
    compile_seconds: Option<u32>,
    compile_memory_mib: Option<u32>,
    limits: BTreeMap<String, Limits>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct EgressFile {
    allow_cidrs: Vec<String>,
    allow_insecure_http: bool,
    approved_origins: Vec<String>,
}

/// What flags say; it wins over everything else.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--data-dir`.
    pub data_dir: Option<PathBuf>,
    /// `--listen`.
    pub listen: Option<String>,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Human, filter: "info".into() }
    }
}

impl Default for Jobs {
    fn default() -> Self {
        Self { workers: 4, parallel: 8, keep_days: 90 }
    }
}

impl Default for History {
    fn default() -> Self {
        Self { keep_days: 365, audit_days: 400 }
    }
}

impl Default for ConnectorLimits {
    fn default() -> Self {
        let component_mib = LimitsOf::default().component_mib;
        Self { component_mib, compile: CompileLimits::default(), limits: BTreeMap::new() }
    }
}

const KNOWN_VARIABLES: [&str; 25] = [
    "WHARFINGER_CONFIG",
    "WHARFINGER_DATA_DIR",
    "WHARFINGER_LISTEN",
    "WHARFINGER_MASTER_KEY_FILE",
    "WHARFINGER_ADMIN_KEY_FILE",
    "WHARFINGER_EGRESS_ALLOW_CIDRS",
    "WHARFINGER_EGRESS_ALLOW_INSECURE_HTTP",
    "WHARFINGER_EGRESS_APPROVED_ORIGINS",
    "WHARFINGER_CONNECTORS_TRUSTED_KEYS",
    "WHARFINGER_CONNECTORS_UNSIGNED",
    "WHARFINGER_CONNECTORS_COMPONENT_MIB",
    "WHARFINGER_CONNECTORS_COMPILE_SECONDS",
    "WHARFINGER_CONNECTORS_COMPILE_MEMORY_MIB",
    "WHARFINGER_LOG_FORMAT",
    "WHARFINGER_LOG_FILTER",
    "WHARFINGER_JOBS_WORKERS",
    "WHARFINGER_JOBS_PARALLEL",
    "WHARFINGER_JOBS_KEEP_DAYS",
    "WHARFINGER_HISTORY_KEEP_DAYS",
    "WHARFINGER_HISTORY_AUDIT_DAYS",
    "WHARFINGER_URL",
    "WHARFINGER_API_KEY",
    "WHARFINGER_REGISTRY",
    "WHARFINGER_REGISTRY_USER",
    "WHARFINGER_REGISTRY_PASSWORD",
];

/// Families of variables that belong to tools around the host: the component build and the tests.
const OTHERS_VARIABLES: [&str; 2] = ["WHARFINGER_BUILD_", "WHARFINGER_TEST_"];

/// The environment, as far as it is ours.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
pub fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| {
            let name = name.into_string().ok().filter(|n| n.starts_with("WHARFINGER_"))?;
            // What is not UTF-8 is kept as far as it is, and refused where it is parsed.
            Some((name, value.to_string_lossy().into_owned()))
        })
        .collect()
}

/// This program, also where its file was replaced since it was started.
#[must_use]
pub fn own_program() -> PathBuf {
    let running = PathBuf::from("/proc/self/exe");
    if running.exists() { running } else { std::env::current_exe().unwrap_or(running) }
}

/// A new name for a directory that does not outlive its use.
#[must_use]
pub fn temporary_dir(prefix: &str) -> PathBuf {
    std::env::temp_dir().join(format!("{prefix}-{}", uuid::Uuid::now_v7()))
}

impl Config {
    /// A host that keeps everything in `data_dir`, with defaults for the rest.
    #[must_use]
    pub fn in_dir(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            listen: DEFAULT_LISTEN,
            egress: Policy::default(),
            trust: Trust::default(),
            log: Log::default(),
            jobs: Jobs::default(),
            history: History::default(),
            connectors: ConnectorLimits::default(),
            master_key_file: None,
            admin_key_file: None,
        }
    }

    /// Reads file, environment and flags, in this order.
    pub fn load(flags: &Flags, env: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        check_names(env)?;
        let path = flags.config.clone().or_else(|| env.get("WHARFINGER_CONFIG").map(PathBuf::from));
        let mut file = path.as_deref().map_or_else(|| Ok(File::default()), read_file)?;
        overlay(&mut file, env)?;
        if let Some(dir) = &flags.data_dir {
            file.data_dir = Some(dir.clone());
        }
        if let Some(listen) = &flags.listen {
            file.listen = Some(listen.clone());
        }
        file.try_into()
    }

    /// The configuration as a file would say it, defaults included.
    pub fn show(&self) -> Result<String, ConfigError> {
        let file = File {
            data_dir: Some(self.data_dir.clone()),
            listen: Some(self.listen.to_string()),
            master_key_file: self.master_key_file.clone(),
            admin_key_file: self.admin_key_file.clone(),
            egress: EgressFile {
                allow_cidrs: self.egress.allow_cidrs.iter().map(IpNet::to_string).collect(),
                allow_insecure_http: self.egress.allow_insecure_http,
                approved_origins: self.egress.approved_origins.iter().map(ToString::to_string).collect(),
            },
            log: self.log.clone(),
            jobs: self.jobs.clone(),
            history: self.history.clone(),
            connectors: ConnectorsFile {
                trusted_keys: self.trust.keys.iter().map(ToString::to_string).collect(),
                unsigned: self.trust.unsigned,
                component_mib: Some(self.connectors.component_mib),
                compile_seconds: Some(self.connectors.compile.compile_seconds),
                compile_memory_mib: Some(self.connectors.compile.compile_memory_mib),
                limits: self.connectors.limits.clone(),
            },
        };
        toml::to_string(&file).map_err(|e| ConfigError::Value("configuration".into(), e.to_string()))
    }
}

impl ClientConfig {
    /// Where the commands find the API.
    pub fn load(env: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        check_names(env)?;
        let url = env.get("WHARFINGER_URL").cloned().unwrap_or_else(|| format!("http://{DEFAULT_LISTEN}"));
        let parsed = url::Url::parse(&url).map_err(|e| ConfigError::Value("WHARFINGER_URL".into(), e.to_string()))?;
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err(ConfigError::Value("WHARFINGER_URL".into(), "must begin with http:// or https://".into()));
        }
        let api_key = env.get("WHARFINGER_API_KEY").map(|k| Zeroizing::new(k.trim().to_owned()));
        Ok(Self { url: url.trim_end_matches('/').to_owned(), api_key })
    }
}

impl RegistryConfig {
    /// What the environment says.
    pub fn load(env: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        check_names(env)?;
        let value = |name: &str| env.get(name).filter(|v| !v.is_empty()).cloned();
        let credentials = match (value("WHARFINGER_REGISTRY_USER"), value("WHARFINGER_REGISTRY_PASSWORD")) {
            (Some(user), Some(password)) => Some((user, Zeroizing::new(password))),
            (None, None) => None,
            _ => {
                let message = "one without the other: WHARFINGER_REGISTRY_USER and WHARFINGER_REGISTRY_PASSWORD";
                return Err(ConfigError::Value("WHARFINGER_REGISTRY_USER".into(), message.into()));
            }
        };
        Ok(Self { credentials, registry: value("WHARFINGER_REGISTRY"), docker_config: docker_config() })
    }
}

/// Docker's own file of what was told to `docker login`.
#[allow(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
fn docker_config() -> Option<PathBuf> {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let dir = named("DOCKER_CONFIG").or_else(|| Some(named("HOME")?.join(".docker")))?;
    Some(dir.join("config.json"))
}

/// Where the API listens when nothing else is said.
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::V4(std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 8080));

fn check_names(env: &BTreeMap<String, String>) -> Result<(), ConfigError> {
    let unknown = |name: &&String| {
        !KNOWN_VARIABLES.contains(&name.as_str()) && !OTHERS_VARIABLES.iter().any(|family| name.starts_with(family))
    };
    env.keys().find(unknown).map_or(Ok(()), |name| Err(ConfigError::UnknownVariable(name.clone())))
}

fn read_file(path: &Path) -> Result<File, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|e| ConfigError::Unreadable(path.into(), e))?;
    toml::from_str(&text).map_err(|e| ConfigError::File(path.into(), e.to_string()))
}

fn overlay(file: &mut File, env: &BTreeMap<String, String>) -> Result<(), ConfigError> {
    let value = |name: &str| env.get(name).filter(|v| !v.is_empty());
    if let Some(v) = value("WHARFINGER_DATA_DIR") {
        file.data_dir = Some(v.into());
    }
    if let Some(v) = value("WHARFINGER_LISTEN") {
        file.listen = Some(v.clone());
    }
    if let Some(v) = value("WHARFINGER_MASTER_KEY_FILE") {
        file.master_key_file = Some(v.into());
    }
    if let Some(v) = value("WHARFINGER_ADMIN_KEY_FILE") {
        file.admin_key_file = Some(v.into());
    }
    if let Some(v) = value("WHARFINGER_EGRESS_ALLOW_CIDRS") {
        file.egress.allow_cidrs = list(v);
    }
    if let Some(v) = value("WHARFINGER_EGRESS_APPROVED_ORIGINS") {
        file.egress.approved_origins = list(v);
    }
    if let Some(v) = value("WHARFINGER_EGRESS_ALLOW_INSECURE_HTTP") {
        file.egress.allow_insecure_http = parsed("WHARFINGER_EGRESS_ALLOW_INSECURE_HTTP", v, "true or false")?;
    }
    if let Some(v) = value("WHARFINGER_CONNECTORS_TRUSTED_KEYS") {
        file.connectors.trusted_keys = list(v);
    }
    if let Some(v) = value("WHARFINGER_CONNECTORS_UNSIGNED") {
        file.connectors.unsigned = match v.as_str() {
            "allow" => Unsigned::Allow,
            "refuse" => Unsigned::Refuse,
            _ => {
                return Err(ConfigError::Value(
                    "WHARFINGER_CONNECTORS_UNSIGNED".into(),
                    "must be allow or refuse".into(),
                ));
            }
        };
    }
    for (name, key) in [
        ("WHARFINGER_CONNECTORS_COMPONENT_MIB", &mut file.connectors.component_mib),
        ("WHARFINGER_CONNECTORS_COMPILE_SECONDS", &mut file.connectors.compile_seconds),
        ("WHARFINGER_CONNECTORS_COMPILE_MEMORY_MIB", &mut file.connectors.compile_memory_mib),
    ] {
        if let Some(v) = value(name) {
            *key = Some(parsed(name, v, "a number")?);
        }
    }
    if let Some(v) = value("WHARFINGER_LOG_FORMAT") {
        file.log.format = match v.as_str() {
            "human" => LogFormat::Human,
            "json" => LogFormat::Json,
            _ => return Err(ConfigError::Value("WHARFINGER_LOG_FORMAT".into(), "must be human or json".into())),
        };
    }
    if let Some(v) = value("WHARFINGER_LOG_FILTER") {
        file.log.filter.clone_from(v);
    }
    if let Some(v) = value("WHARFINGER_JOBS_WORKERS") {
        file.jobs.workers = parsed("WHARFINGER_JOBS_WORKERS", v, "a number")?;
    }
    if let Some(v) = value("WHARFINGER_JOBS_PARALLEL") {
        file.jobs.parallel = parsed("WHARFINGER_JOBS_PARALLEL", v, "a number")?;
    }
    if let Some(v) = value("WHARFINGER_JOBS_KEEP_DAYS") {
        file.jobs.keep_days = parsed("WHARFINGER_JOBS_KEEP_DAYS", v, "a number of days")?;
    }
    if let Some(v) = value("WHARFINGER_HISTORY_KEEP_DAYS") {
        file.history.keep_days = parsed("WHARFINGER_HISTORY_KEEP_DAYS", v, "a number of days")?;
    }
    if let Some(v) = value("WHARFINGER_HISTORY_AUDIT_DAYS") {
        file.history.audit_days = parsed("WHARFINGER_HISTORY_AUDIT_DAYS", v, "a number of days")?;
    }
    Ok(())
}

fn list(text: &str) -> Vec<String> {
    text.split(',').map(|part| part.trim().to_owned()).collect()
}

/// An origin to which secrets may go; one without TLS only where connections may go without it too.
fn approved(text: &str, allow_insecure_http: bool) -> Result<ApprovedOrigin, ConfigError> {
    let wrong = |why: String| ConfigError::Value("egress.approved_origins".into(), why);
    let origin: ApprovedOrigin = text.parse().map_err(|error: InvalidApproval| wrong(error.to_string()))?;
    if origin.insecure() && !allow_insecure_http {
        return Err(wrong(format!("{text:?} is without TLS, which needs `allow_insecure_http = true`")));
    }
    Ok(origin)
}

/// A key whose signatures are believed.
fn trusted(text: &str) -> Result<PublicKey, ConfigError> {
    let wrong = |why: InvalidKey| ConfigError::Value("connectors.trusted_keys".into(), format!("{text:?} {why}"));
    text.parse().map_err(wrong)
}

/// What connectors may use, within what a host can keep.
fn connector_limits(file: ConnectorsFile) -> Result<ConnectorLimits, ConfigError> {
    let component_mib = file.component_mib.unwrap_or_else(|| LimitsOf::default().component_mib);
    if !(1..=MOST_COMPONENT_MIB).contains(&component_mib) {
        let why = format!("component_mib must be 1 to {MOST_COMPONENT_MIB}, not {component_mib}");
        return Err(ConfigError::Value("connectors".into(), why));
    }
    let usual = CompileLimits::default();
    let compile = CompileLimits {
        compile_seconds: file.compile_seconds.unwrap_or(usual.compile_seconds),
        compile_memory_mib: file.compile_memory_mib.unwrap_or(usual.compile_memory_mib),
    };
    compile.check().map_err(|why| ConfigError::Value("connectors".into(), why))?;
    for (name, limits) in &file.limits {
        limits.check().map_err(|why| ConfigError::Value(format!("connectors.limits.{name}"), why))?;
    }
    Ok(ConnectorLimits { component_mib, compile, limits: file.limits })
}

fn parsed<T: std::str::FromStr>(name: &str, text: &str, expected: &str) -> Result<T, ConfigError> {
    text.parse().map_err(|_| ConfigError::Value(name.into(), format!("{text:?} is not what is expected: {expected}")))
}

impl TryFrom<File> for Config {
    type Error = ConfigError;

    fn try_from(file: File) -> Result<Self, ConfigError> {
        let listen = match &file.listen {
            None => DEFAULT_LISTEN,
            Some(text) => parsed("listen", text, "an address and a port such as 127.0.0.1:8080")?,
        };
        for (name, number) in [("jobs.workers", file.jobs.workers), ("jobs.parallel", file.jobs.parallel)] {
            if !(1..=64).contains(&number) {
                return Err(ConfigError::Value(name.into(), format!("must be 1 to 64, not {number}")));
            }
        }
        for (name, days, most) in [
            ("jobs.keep_days", file.jobs.keep_days, 3650),
            ("history.keep_days", file.history.keep_days, 36_500),
            ("history.audit_days", file.history.audit_days, 36_500),
        ] {
            if !(1..=most).contains(&days) {
                return Err(ConfigError::Value(name.into(), format!("must be 1 to {most} days, not {days}")));
            }
        }
        if let Err(error) = tracing_subscriber::EnvFilter::try_new(&file.log.filter) {
            return Err(ConfigError::Value("log.filter".into(), error.to_string()));
        }
        let approved = |text: &String| approved(text, file.egress.allow_insecure_http);
        let network = |text: &String| parsed("egress.allow_cidrs", text, "a network such as 10.0.0.0/8");
        Ok(Self {
            data_dir: file.data_dir.unwrap_or_else(|| PathBuf::from("wharfinger-data")),
            listen,
            egress: Policy {
                allow_cidrs: file.egress.allow_cidrs.iter().map(network).collect::<Result<_, _>>()?,
                allow_insecure_http: file.egress.allow_insecure_http,
                approved_origins: file.egress.approved_origins.iter().map(approved).collect::<Result<_, _>>()?,
            },
            trust: Trust {
                keys: file.connectors.trusted_keys.iter().map(|text| trusted(text)).collect::<Result<_, _>>()?,
                unsigned: file.connectors.unsigned,
            },
            log: file.log,
            jobs: file.jobs,
            history: file.history,
            connectors: connector_limits(file.connectors)?,
            master_key_file: file.master_key_file,
            admin_key_file: file.admin_key_file,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn flags_win_over_the_environment_and_that_over_the_file() {
        let mut file: File =
            toml::from_str("data_dir = \"a\"\nlisten = \"127.0.0.1:1\"\n[egress]\nallow_cidrs = [\"127.0.0.0/8\"]")
                .expect("file");
        overlay(&mut file, &env(&[("WHARFINGER_LISTEN", "127.0.0.1:2"), ("WHARFINGER_LOG_FORMAT", "json")]))
            .expect("env");
        let config = Config::try_from(file).expect("config");
        assert_eq!(config.listen.port(), 2);
        assert_eq!(config.data_dir, PathBuf::from("a"));
        assert_eq!(config.egress.allow_cidrs.len(), 1);
        assert_eq!(config.log.format, LogFormat::Json);
        let flags = Flags { listen: Some("[::1]:3".into()), ..Flags::default() };
        let config = Config::load(&flags, &env(&[("WHARFINGER_LISTEN", "127.0.0.1:2")])).expect("config");
        assert_eq!(config.listen.to_string(), "[::1]:3");
    }

    #[test]
    fn what_nobody_knows_is_refused_and_named() {
        let error = Config::load(&Flags::default(), &env(&[("WHARFINGER_LISTN", "x")])).expect_err("typo");
        assert!(error.to_string().contains("WHARFINGER_LISTN"), "{error}");
        let error = toml::from_str::<File>("[connectors]\nunsinged = \"refuse\"").expect_err("typo");
        assert!(error.to_string().contains("unsinged"), "{error}");
        let error = toml::from_str::<File>("[egress]\nallow_cidr = []").expect_err("typo");
        assert!(error.to_string().contains("allow_cidr"), "{error}");
        for (name, value) in [
            ("WHARFINGER_LISTEN", "8080"),
            ("WHARFINGER_EGRESS_ALLOW_CIDRS", "10.0.0.0/99"),
            ("WHARFINGER_EGRESS_ALLOW_INSECURE_HTTP", "yes"),
            ("WHARFINGER_EGRESS_APPROVED_ORIGINS", "https://login.example.com/token"),
            ("WHARFINGER_EGRESS_APPROVED_ORIGINS", "https://a.example, *.example"),
            ("WHARFINGER_EGRESS_APPROVED_ORIGINS", "http://login.example.com"),
            ("WHARFINGER_CONNECTORS_TRUSTED_KEYS", "ed25519:AAAA"),
            ("WHARFINGER_CONNECTORS_UNSIGNED", "maybe"),
            ("WHARFINGER_CONNECTORS_COMPONENT_MIB", "0"),
            ("WHARFINGER_CONNECTORS_COMPONENT_MIB", "32 MiB"),
            ("WHARFINGER_CONNECTORS_COMPILE_SECONDS", "0"),
            ("WHARFINGER_CONNECTORS_COMPILE_MEMORY_MIB", "1"),
            ("WHARFINGER_LOG_FORMAT", "xml"),
            ("WHARFINGER_LOG_FILTER", "info,=="),
            ("WHARFINGER_JOBS_WORKERS", "0"),
            ("WHARFINGER_JOBS_KEEP_DAYS", "0"),
            ("WHARFINGER_HISTORY_KEEP_DAYS", "0"),
            ("WHARFINGER_HISTORY_AUDIT_DAYS", "0"),
        ] {
            assert!(Config::load(&Flags::default(), &env(&[(name, value)])).is_err(), "{name}={value}");
        }
    }

    #[test]
    fn what_is_shown_can_be_read_back() {
        let env = env(&[
            ("WHARFINGER_EGRESS_ALLOW_CIDRS", "127.0.0.0/8, ::1/128"),
            ("WHARFINGER_EGRESS_ALLOW_INSECURE_HTTP", "true"),
            ("WHARFINGER_EGRESS_APPROVED_ORIGINS", "https://*.okta.example, http://127.0.0.1:9000"),
            (
                "WHARFINGER_CONNECTORS_TRUSTED_KEYS",
                "ed25519:YCCRyvNi5F2Tx9d73LVeXyPpOFm/4yU81LCrm2bifBA=, ed25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            ),
            ("WHARFINGER_CONNECTORS_UNSIGNED", "refuse"),
            ("WHARFINGER_CONNECTORS_COMPONENT_MIB", "64"),
            ("WHARFINGER_CONNECTORS_COMPILE_SECONDS", "90"),
            ("WHARFINGER_CONNECTORS_COMPILE_MEMORY_MIB", "1024"),
            ("WHARFINGER_JOBS_WORKERS", "2"),
        ]);
        let config = Config::load(&Flags::default(), &env).expect("config");
        let again =
            Config::try_from(toml::from_str::<File>(&config.show().expect("shown")).expect("read")).expect("ok");
        assert_eq!(format!("{config:?}"), format!("{again:?}"));
        assert_eq!((again.trust.keys.len(), again.trust.unsigned), (2, Unsigned::Refuse));
        let compile = CompileLimits { compile_seconds: 90, compile_memory_mib: 1024 };
        assert_eq!((again.connectors.component_mib, again.connectors.compile), (64, compile));
    }

    #[test]
    fn a_registry_is_told_name_and_password_or_neither() {
        let one = env(&[("WHARFINGER_REGISTRY_USER", "ann")]);
        assert!(RegistryConfig::load(&one).is_err());
        let both = env(&[
            ("WHARFINGER_REGISTRY", "r.example:5000"),
            ("WHARFINGER_REGISTRY_USER", "ann"),
            ("WHARFINGER_REGISTRY_PASSWORD", "hidden"),
        ]);
        let config = RegistryConfig::load(&both).expect("config");
        assert!(!format!("{config:?}").contains("hidden"), "the password is shown to nobody");
        assert_eq!(config.registry.as_deref(), Some("r.example:5000"));
        assert!(config.credentials.is_some_and(|(user, password)| user == "ann" && password.as_str() == "hidden"));
    }

    #[test]
    fn limits_of_connectors_are_named_bounded_and_shown() {
        let read = |text: &str| {
            let file = toml::from_str::<File>(text).map_err(|error| error.to_string())?;
            Config::try_from(file).map_err(|error| error.to_string())
        };
        let text = "[connectors]\ncompile_seconds = 90\n[connectors.limits.large]\nmemory_mib = 512\ntime_factor = 2.5";
        let config = read(text).expect("config");
        assert_eq!(config.connectors.compile.compile_seconds, 90);
        let large = Limits { memory_mib: 512, time_factor: 2.5, ..Limits::default() };
        assert_eq!(config.connectors.limits.get("large"), Some(&large));
        assert_eq!(read(&config.show().expect("shown")).expect("read").connectors, config.connectors);
        for (text, part) in [
            ("[connectors]\ncompile_second = 1", "compile_second"),
            ("[connectors.limits.large]\nmemory = 1", "memory"),
            ("[connectors.limits.large]\nmemory_mib = 9999", "connectors.limits.large: memory_mib must be 16 to 4096"),
            ("[connectors.limits.large]\ntime_factor = 0.0", "time_factor"),
            ("[connectors]\ncompile_memory_mib = 1", "compile_memory_mib must be 256"),
            ("[connectors]\ncomponent_mib = 257", "component_mib must be 1 to 256, not 257"),
            ("[connectors.limits.large]\npartition_mib = 0", "partition_mib must be 1 to"),
        ] {
            let error = read(text).map(|_| ()).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn a_client_needs_a_usable_url() {
        let client =
            ClientConfig::load(&env(&[("WHARFINGER_URL", "http://h:1/"), ("WHARFINGER_API_KEY", "k\n")])).expect("ok");
        assert_eq!(client.url, "http://h:1");
        assert!(!format!("{client:?}").contains('k'), "the key is shown to nobody");
        assert!(ClientConfig::load(&env(&[("WHARFINGER_URL", "ftp://h")])).is_err());
    }
}
