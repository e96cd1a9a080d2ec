//! The layout that `wkg` pushes and pulls: a manifest with a configuration of its own kind and one layer, the component.
//!
//! A detached signature rides as an annotation of the layer, which every other client passes over.

use jiff::Timestamp;
use ring::digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use super::{OciError, reference::is_digest};
use crate::connector::{MOST_COMPONENT_MIB, audit::Interfaces};

pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(super) const CONFIG: &str = "application/vnd.wasm.config.v0+json";
const LAYER: &str = "application/wasm";
/// Kinds of answers that list manifests instead of being one.
const INDEXES: [&str; 2] =
    ["application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"];
/// Where tools look for the name of a layer's file.
const TITLE: &str = "org.opencontainers.image.title";
/// Where the detached signature is.
const SIGNATURE: &str = "wharfinger.signature";

/// Largest component that any host takes.
const MAX_COMPONENT: u64 = (MOST_COMPONENT_MIB as u64) << 20;
/// Longest signature.
const MAX_SIGNATURE: usize = 4096;

/// A manifest, as far as it matters here.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest {
    schema_version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    media_type: Option<String>,
    pub(super) config: Descriptor,
    layers: Vec<Descriptor>,
}

/// What stands in a manifest for something else.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    media_type: String,
    pub(super) digest: String,
    pub(super) size: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

/// The configuration: what registries show of a component.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Configuration<'a> {
    created: String,
    architecture: &'static str,
    os: &'static str,
    layer_digests: [&'a str; 1],
    component: Component<'a>,
}

#[derive(Debug, Serialize)]
struct Component<'a> {
    exports: &'a [String],
    imports: &'a [String],
}

/// `sha256:` and the digest.
pub(super) fn digest_of(bytes: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA256, bytes);
    digest.as_ref().iter().fold("sha256:".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

/// What is uploaded for a component: its configuration, and the manifest.
pub(super) fn describe(
    component: &[u8],
    file_name: &str,
    signature: Option<&str>,
    interfaces: &Interfaces,
    now: Timestamp,
) -> Result<(Vec<u8>, Vec<u8>), serde_json::Error> {
    let mut layer = Descriptor::of(LAYER, component);
    layer.annotations.insert(TITLE.into(), file_name.to_owned());
    if let Some(signature) = signature {
        layer.annotations.insert(SIGNATURE.into(), signature.trim().to_owned());
    }
    let configuration = serde_json::to_vec(&Configuration {
        created: now.to_string(),
        architecture: "wasm",
        os: "wasip2",
        layer_digests: [&layer.digest],
        component: Component { exports: &interfaces.exports, imports: &interfaces.imports },
    })?;
    let manifest = serde_json::to_vec(&Manifest {
        schema_version: 2,
        media_type: Some(MANIFEST.into()),
        config: Descriptor::of(CONFIG, &configuration),
        layers: vec![layer],
    })?;
    Ok((configuration, manifest))
}

impl Manifest {
    /// Reads a manifest. `content_type` is what the answer says of itself.
    pub(super) fn read(bytes: &[u8], content_type: &str) -> Result<Self, OciError> {
        let wrong = |why: &str| OciError::Layout(why.to_owned());
        if INDEXES.iter().any(|index| content_type.starts_with(index)) {
            return Err(wrong("it is an index of several artefacts: name one of them by its digest"));
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(|_| wrong("its manifest cannot be read"))?;
        if manifest.schema_version != 2 || manifest.media_type.as_ref().is_some_and(|kind| kind != MANIFEST) {
            return Err(wrong("its manifest is not of the form of OCI images, version 1"));
        }
        if manifest.config.media_type != CONFIG {
            return Err(OciError::Layout(format!(
                "it is no WebAssembly component but {:?}; a component's configuration is {CONFIG:?}",
                manifest.config.media_type
            )));
        }
        Ok(manifest)
    }

    /// The component.
    pub(super) fn layer(&self) -> Result<&Descriptor, OciError> {
        let [layer] = self.layers.as_slice() else {
            return Err(OciError::Layout(format!("it has {} layers; a component is one", self.layers.len())));
        };
        if layer.media_type != LAYER {
            return Err(OciError::Layout(format!("its layer is {:?}, not {LAYER:?}", layer.media_type)));
        }
        if layer.size > MAX_COMPONENT {
            return Err(OciError::TooLarge { what: "the component", limit: MAX_COMPONENT });
        }
        if !is_digest(&layer.digest) {
            return Err(OciError::Layout("its layer has no SHA-256 digest".into()));
        }
        Ok(layer)
    }
}

impl Descriptor {
    fn of(media_type: &str, bytes: &[u8]) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: digest_of(bytes),
            size: bytes.len() as u64,
            annotations: BTreeMap::new(),
        }
    }

    /// The detached signature.
    pub(super) fn signature(&self) -> Result<Option<&str>, OciError> {
        match self.annotations.get(SIGNATURE) {
            Some(text) if text.len() > MAX_SIGNATURE => {
                Err(OciError::TooLarge { what: "the signature", limit: MAX_SIGNATURE as u64 })
            }
            found => Ok(found.map(String::as_str)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn manifest() -> Value {
        let digest = digest_of(b"");
        json!({ "schemaVersion": 2, "mediaType": MANIFEST,
            "config": { "mediaType": CONFIG, "digest": digest, "size": 2 },
            "layers": [{ "mediaType": LAYER, "digest": digest, "size": 0, "annotations": { TITLE: "a.wasm" } }] })
    }

    fn read(manifest: &Value) -> Result<Option<String>, String> {
        let bytes = manifest.to_string().into_bytes();
        let manifest = Manifest::read(&bytes, MANIFEST).map_err(|error| error.to_string())?;
        let layer = manifest.layer().map_err(|error| error.to_string())?;
        layer.signature().map(|found| found.map(str::to_owned)).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_described_is_the_layout_that_others_read() {
        let interfaces = Interfaces { imports: vec!["a:b/c@0.1.0".into()], exports: vec!["a:b/d@0.1.0".into()] };
        let (configuration, manifest) =
            describe(b"\0asm", "shelf.wasm", Some("AAAA\n"), &interfaces, Timestamp::UNIX_EPOCH).expect("described");
        let layer = digest_of(b"\0asm");
        assert_eq!(
            serde_json::from_slice::<Value>(&configuration).expect("JSON"),
            json!({ "created": "1970-01-01T00:00:00Z", "architecture": "wasm", "os": "wasip2", "layerDigests": [layer],
                "component": { "exports": ["a:b/d@0.1.0"], "imports": ["a:b/c@0.1.0"] } })
        );
        let manifest = serde_json::from_slice::<Value>(&manifest).expect("JSON");
        assert_eq!(
            manifest,
            json!({ "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": { "mediaType": "application/vnd.wasm.config.v0+json",
                    "digest": digest_of(&configuration), "size": configuration.len() },
                "layers": [{ "mediaType": "application/wasm", "digest": layer, "size": 4, "annotations":
                    { "org.opencontainers.image.title": "shelf.wasm", "wharfinger.signature": "AAAA" } }] })
        );
        assert_eq!(read(&manifest), Ok(Some("AAAA".into())));
    }

    #[test]
    fn what_is_no_component_is_refused_by_name() {
        assert_eq!(read(&manifest()), Ok(None));
        let mut unnamed = manifest();
        unnamed.as_object_mut().expect("object").remove("mediaType");
        assert_eq!(read(&unnamed), Ok(None), "older manifests do not say what they are");
        for (pointer, value, part) in [
            ("/schemaVersion", json!(1), "form of OCI images"),
            ("/mediaType", json!("application/vnd.docker.distribution.manifest.v2+json"), "form of OCI images"),
            ("/config/mediaType", json!("application/vnd.oci.image.config.v1+json"), "no WebAssembly component"),
            ("/layers", json!([]), "0 layers"),
            ("/layers/0/mediaType", json!("application/vnd.oci.image.layer.v1.tar+gzip"), "its layer is"),
            ("/layers/0/size", json!(MAX_COMPONENT + 1), "256 MiB"),
            ("/layers/0/size", json!(-1), "cannot be read"),
            ("/layers/0/digest", json!("sha512:00"), "SHA-256"),
            ("/layers/0/digest", json!("sha256:../../x"), "SHA-256"),
            ("/layers/0/annotations", json!({ SIGNATURE: "A".repeat(5000) }), "signature"),
        ] {
            let mut wrong = manifest();
            *wrong.pointer_mut(pointer).expect(pointer) = value;
            assert!(read(&wrong).is_err_and(|why| why.contains(part)), "{pointer}: {:?}", read(&wrong));
        }
        let mut two = manifest();
        let layer = two["layers"][0].clone();
        two["layers"].as_array_mut().expect("list").push(layer);
        assert!(read(&two).is_err_and(|why| why.contains("2 layers")));
        let index = Manifest::read(b"{}", "application/vnd.oci.image.index.v1+json; charset=utf-8");
        assert!(index.is_err_and(|why| why.to_string().contains("index")));
    }
}
