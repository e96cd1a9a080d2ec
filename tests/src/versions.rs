//! Versions of one connector, made from the guest `versions` by writing another description into its component.

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::guests;

/// What is looked for in the component, and what every description begins with.
const BEGIN: &[u8] = br#"{"name":"#;

/// Bytes that the description may have, the line break at its end included.
const ROOM: usize = 6144;

/// A version to be.
#[derive(Clone, Debug)]
pub struct Variant {
    name: String,
    description: Value,
}

impl Variant {
    /// A good one.
    #[must_use]
    pub fn new(version: &str) -> Self {
        let target =
            |paths: &[&str]| json!({ "origin": "{{ connection.origin }}", "paths": paths, "methods": ["GET"] });
        let description = json!({
            "version": version,
            "title": "Versions of a guest",
            "technology": "Versions",
            "description": "",
            "config": {
                "type": "object",
                "properties": {
                    "hostname": { "type": "string" },
                    "port": { "type": "integer" },
                    "authenticationType": { "const": "token" },
                    "token": { "type": "string" }
                },
                "required": ["hostname", "authenticationType"]
            },
            "secrets": ["token"],
            "address": { "hostname": "hostname", "port": "port", "defaultPort": 443 },
            "authentication": { "select": "authenticationType", "methods": [{
                "id": "token",
                "secrets": ["token"],
                "apply": { "to": [target(&["/*"])], "headers": { "authorization": "Bearer {{ secret.token }}" } }
            }] },
            "egress": [target(&["/*"])],
            "remoteIdsUnique": true
        });
        Self { name: "versions".into(), description }
    }

    /// Of another connector, for another technology.
    #[must_use]
    pub fn named(mut self, name: &str, technology: &str) -> Self {
        self.name = name.into();
        self.description["technology"] = technology.into();
        self
    }

    /// What it does otherwise, by the words of the guest.
    #[must_use]
    pub fn doing(mut self, words: &str) -> Self {
        self.description["description"] = words.into();
        self
    }

    /// With a change of its description.
    #[must_use]
    pub fn with(mut self, pointer: &str, value: Value) -> Self {
        if let Some(place) = self.description.pointer_mut(pointer) {
            *place = value;
        }
        self
    }

    /// Its component.
    pub fn component(&self) -> anyhow::Result<Vec<u8>> {
        let mut bytes = std::fs::read(guests::VERSIONS)?;
        let places: Vec<usize> = bytes
            .windows(ROOM)
            .enumerate()
            .filter(|(_, w)| w.starts_with(BEGIN) && w.ends_with(b" \n"))
            .map(|(at, _)| at)
            .collect();
        ensure!(places.len() == 1, "the description lies at {places:?}");
        let inner = serde_json::to_string(&self.description)?;
        let inner = inner.strip_prefix('{').context("an object")?;
        let text = format!("{{\"name\":\"{}\",{inner}", self.name);
        ensure!(text.len() < ROOM - 1, "the description has no room");
        let room = &mut bytes[places[0]..places[0] + ROOM];
        room.fill(b' ');
        room[..text.len()].copy_from_slice(text.as_bytes());
        room[ROOM - 1] = b'\n';
        Ok(bytes)
    }
}

/// A payload of a connection that it serves.
#[must_use]
pub fn payload(key: &str, technology: &str, port: u16) -> Value {
    json!({
        "connectionKey": key,
        "connection": {
            "technology": technology, "hostname": "http://127.0.0.1", "port": port,
            "authenticationType": "token", "token": "secret-of-the-guest-0123456789"
        },
        "settings": { "isActive": true, "activateNewChildren": true }
    })
}
