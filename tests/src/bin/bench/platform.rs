//! The simulated platforms, in one form.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value;
use wharfinger_simulators::{journal::Counters, snowflake, unity_catalog};

use crate::scenario::Scenario;

/// Whose API is simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Platform {
    /// A Unity Catalog metastore, with a token.
    Databricks,
    /// An account with a warehouse over the SQL API, with a token.
    Snowflake,
}

/// A running one.
pub(crate) enum Running {
    Databricks(unity_catalog::UnityCatalog),
    Snowflake(snowflake::Snowflake),
}

impl Platform {
    /// All of them.
    pub(crate) const ALL: [Self; 2] = [Self::Databricks, Self::Snowflake];

    /// As the command line has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Databricks => "databricks",
            Self::Snowflake => "snowflake",
        }
    }

    /// What its client shows.
    pub(crate) fn token(self) -> &'static str {
        match self {
            Self::Databricks => unity_catalog::TOKEN,
            Self::Snowflake => snowflake::ACCESS_TOKEN,
        }
    }

    /// Starts one of this size that has its answers ready.
    pub(crate) async fn start(self, scenario: Scenario) -> Result<Running> {
        let running = self.start_cold(scenario, false).await?;
        if let Running::Databricks(platform) = &running {
            platform.warm();
        }
        Ok(running)
    }

    /// Starts one of this size that holds as little as it can.
    pub(crate) async fn start_large(self, scenario: Scenario) -> Result<Running> {
        self.start_cold(scenario, true).await
    }

    async fn start_cold(self, scenario: Scenario, forget_rendered: bool) -> Result<Running> {
        let Scenario { schemas, tables, columns } = scenario;
        Ok(match self {
            Self::Databricks => {
                let shape = unity_catalog::Shape { schemas, ..unity_catalog::Shape::one_schema(tables, columns) };
                let options =
                    unity_catalog::Options { forget_rendered, ..unity_catalog::Options::new(shape.generate(1)) };
                Running::Databricks(unity_catalog::UnityCatalog::start(options).await?)
            }
            Self::Snowflake => {
                let shape = snowflake::Shape { schemas, ..snowflake::Shape::one_schema(tables, columns) };
                let account = shape.generate(1);
                Running::Snowflake(snowflake::Snowflake::start(snowflake::Options::new(account)).await?)
            }
        })
    }
}

impl Running {
    /// Which it is.
    pub(crate) fn platform(&self) -> Platform {
        match self {
            Self::Databricks(_) => Platform::Databricks,
            Self::Snowflake(_) => Platform::Snowflake,
        }
    }

    /// Where it listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        match self {
            Self::Databricks(of) => of.addr(),
            Self::Snowflake(of) => of.addr(),
        }
    }

    /// What registers it, enabled.
    pub(crate) fn payload(&self, key: &str) -> Value {
        match self {
            Self::Databricks(of) => of.payload(key),
            Self::Snowflake(of) => of.payload_for(key, snowflake::Method::ProgrammaticAccessToken),
        }
    }

    /// Waits so long before every answer from now on.
    pub(crate) fn set_latency(&self, latency: Duration) {
        match self {
            Self::Databricks(of) => of.set_latency(latency),
            Self::Snowflake(of) => of.set_latency(latency),
        }
    }

    /// Traffic since the last reset.
    pub(crate) fn counters(&self) -> Counters {
        match self {
            Self::Databricks(of) => of.counters(),
            Self::Snowflake(of) => of.counters(),
        }
    }

    /// Counts from zero again.
    pub(crate) fn reset_counters(&self) {
        match self {
            Self::Databricks(of) => of.reset_counters(),
            Self::Snowflake(of) => of.reset_counters(),
        }
    }

    /// Decompressed bytes of columns since the last reset, where the platform answers them apart from listings.
    pub(crate) fn column_bytes(&self) -> Option<u64> {
        match self {
            Self::Databricks(_) => None,
            Self::Snowflake(of) => Some(of.traffic().columns.inflated),
        }
    }

    /// Gives one table in the middle another name, such that nothing else is called like it.
    pub(crate) fn rename_one(&self, to: &str) -> Result<()> {
        match self {
            Self::Databricks(of) => {
                let path = of.read(|metastore| {
                    let count = metastore.counts()[2];
                    metastore.tables().nth(count / 2).map(|(at, _)| unity_catalog::path(&at))
                });
                of.change(&unity_catalog::Change::Rename { path: path.context("no table")?, to: to.into() })?;
            }
            Self::Snowflake(of) => {
                let path = of.read(|account| {
                    let count = account.counts()[2];
                    account.tables().nth(count / 2).map(|(at, _)| snowflake::path(&at))
                });
                of.change(&snowflake::Change::Rename { path: path.context("no table")?, to: to.into() })?;
            }
        }
        Ok(())
    }

    /// The names of one of its schemas.
    pub(crate) fn a_schema(&self) -> Result<Vec<String>> {
        let path = match self {
            Self::Databricks(of) => {
                of.read(|metastore| metastore.tables().next().map(|(at, _)| unity_catalog::path(&at[..2])))
            }
            Self::Snowflake(of) => of.read(|account| account.tables().next().map(|(at, _)| snowflake::path(&at[..2]))),
        };
        path.context("no schema")
    }

    /// One more column on so many tables, spread over the schema.
    pub(crate) fn change(&self, tables: usize, round: usize) -> Result<()> {
        let column = format!("bench_{round}");
        match self {
            Self::Databricks(of) => {
                let all: Vec<Vec<String>> =
                    of.read(|metastore| metastore.tables().map(|(at, _)| unity_catalog::path(&at)).collect());
                for path in spread(all, tables) {
                    let column = unity_catalog::NewColumn::new(&column, "string");
                    of.change(&unity_catalog::Change::AddColumn { path, column, at: None }).context("change")?;
                }
            }
            Self::Snowflake(of) => {
                let all: Vec<Vec<String>> =
                    of.read(|account| account.tables().map(|(at, _)| snowflake::path(&at)).collect());
                for path in spread(all, tables) {
                    let column = snowflake::NewColumn::new(&column, "VARCHAR(20)");
                    of.change(&snowflake::Change::AddColumn { path, column }).context("change")?;
                }
            }
        }
        Ok(())
    }
}

fn spread(all: Vec<Vec<String>>, count: usize) -> impl Iterator<Item = Vec<String>> {
    let step = (all.len() / count.max(1)).max(1);
    all.into_iter().step_by(step).take(count)
}
