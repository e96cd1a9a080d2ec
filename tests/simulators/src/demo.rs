//! What `wharfinger demo` needs: the platforms, running on loopback, and a ready connection payload for each.

use std::net::SocketAddr;

use serde_json::Value;

use crate::unity_catalog::{Options, UnityCatalog, believable};

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
    pub platform: UnityCatalog,
}

/// Starts all platforms of the demo.
pub async fn start() -> anyhow::Result<Vec<DemoPlatform>> {
    let platform = UnityCatalog::start(Options::new(believable::metastore(2026))).await?;
    Ok(vec![DemoPlatform {
        name: "Simulated Unity Catalog".to_owned(),
        payload: platform.payload("Harbour Lakehouse"),
        addr: platform.addr(),
        platform,
    }])
}
