//! The connectors inside the binary: a list of files, and the only place in the host that names platforms.
//!
//! The build script compiles them. What they are for, the host learns from what they say of themselves.

macro_rules! bundled {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".wasm")))),*]
    };
}

/// Name and component of each.
pub static BUNDLED: &[(&str, &[u8])] = bundled!["databricks", "snowflake"];
