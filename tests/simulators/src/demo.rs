//! What `wharfinger demo` needs: the platforms, running on loopback, and a ready connection payload for each.

use std::net::SocketAddr;

use serde_json::Value;

use crate::snowflake::{self, Method, Snowflake};
use crate::unity_catalog::{self, UnityCatalog};

/// A running platform of the demo; dropping it stops it.
#[derive(Debug)]
pub struct DemoPlatform {
    /// What people call it.
    pub name: String,
    /// The whole body of a `POST /data/connection` that registers it, `connectionKey` included.
    pub payload: Value,
    /// Where it listens.
    pub addr: SocketAddr,
    /// The simulator itself, to change what it holds while the demo runs.
    pub platform: Platform,
}

/// A simulator of either kind.
#[derive(Debug)]
pub enum Platform {
    /// A metastore.
    UnityCatalog(UnityCatalog),
    /// An account.
    Snowflake(Snowflake),
}

/// Starts all platforms of the demo.
pub async fn start() -> anyhow::Result<Vec<DemoPlatform>> {
    let options = unity_catalog::Options::new(unity_catalog::believable::metastore(2026));
    let lakehouse = UnityCatalog::start(options).await?;
    let options = snowflake::Options::new(snowflake::believable::account(2026));
    let account = Snowflake::start(options).await?;
    Ok(vec![
        DemoPlatform {
            name: "Simulated Unity Catalog".to_owned(),
            payload: lakehouse.payload("Harbour Lakehouse"),
            addr: lakehouse.addr(),
            platform: Platform::UnityCatalog(lakehouse),
        },
        DemoPlatform {
            name: "Simulated Snowflake".to_owned(),
            payload: account.payload_for("Harbour Port Authority", Method::UserPassword),
            addr: account.addr(),
            platform: Platform::Snowflake(account),
        },
    ])
}
