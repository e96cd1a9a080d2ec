//! Connectors in OCI registries, by the executable: against a real registry on loopback, and against ones that lie.

mod hostile;

use std::path::Path;

use serde_json::{Value, json};
use wharfinger::{
    clock::Clock,
    config::Config,
    model::signature::{Trust, Unsigned},
};
use wharfinger_tests::{
    TestHost,
    host::ADMIN_KEY,
    registry::{PASSWORD, Registry, USER},
    versions::Variant,
};

use crate::{
    cli::executable,
    desk::{Desk, component},
};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pushed_is_pulled_by_tag_and_by_digest() {
    let (registry, desk) = (Registry::open().expect("registry"), Desk::new());
    let tagged = format!("{}/team/shelf:1.2.0", registry.address());
    let pinned = desk.done(&["push", "shelf.wasm", &tagged]).await;
    assert!(pinned.starts_with(&format!("{}/team/shelf@sha256:", registry.address())), "{pinned}");
    assert_eq!(desk.done(&["pull", &tagged, "-o", "tag.wasm"]).await, pinned);
    assert_eq!(desk.done(&["pull", &format!("oci://{pinned}")]).await, pinned);
    for name in ["tag.wasm", "shelf.wasm"] {
        assert!(desk.read(name) == component(), "{name}");
        assert!(!desk.file(&format!("{name}.sig")).exists());
    }
    // Again is nothing new but another manifest.
    desk.done(&["push", "shelf.wasm", &tagged]).await;
    assert_eq!(desk.done(&["pull", &pinned, "-o", "again.wasm"]).await, pinned, "what is pinned stays");

    let other = format!("{}@sha256:{}", tagged, "0".repeat(64));
    desk.fails(&["pull", &other, "-o", "none.wasm"], 3, "404").await;
    desk.fails(&["pull", &format!("{}/team/none:1", registry.address()), "-o", "none.wasm"], 3, "404").await;
    desk.fails(&["push", "shelf.wasm", &pinned], 1, "under a tag").await;
    desk.fails(&["push", "shelf.wasm", "team/shelf:1"], 2, "names no registry").await;
    desk.fails(&["pull", "127.0.0.1:1/shelf:1", "-o", "none.wasm"], 4, "no registry answers").await;
    assert!(!desk.file("none.wasm").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_layout_is_the_one_that_others_push_and_pull() {
    let (registry, desk) = (Registry::open().expect("registry"), Desk::new());
    let pinned = desk.done(&["push", "shelf.wasm", &format!("{}/shelf:1", registry.address())]).await;
    let (_, digest) = pinned.split_once('@').expect("digest");
    let base = format!("http://{}/v2/shelf", registry.address());
    let accept = "application/vnd.oci.image.manifest.v1+json";
    let http = reqwest::Client::new();
    let manifest =
        http.get(format!("{base}/manifests/{digest}")).header("accept", accept).send().await.expect("manifest");
    assert_eq!(manifest.headers()["content-type"], accept);
    let manifest: Value = manifest.json().await.expect("JSON");
    assert_eq!((&manifest["schemaVersion"], &manifest["mediaType"]), (&json!(2), &json!(accept)));
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.wasm.config.v0+json");
    let layers = manifest["layers"].as_array().expect("layers");
    assert_eq!(layers.len(), 1);
    assert_eq!(layers[0]["mediaType"], "application/wasm");
    assert_eq!(layers[0]["size"], component().len());
    assert_eq!(layers[0]["annotations"], json!({ "org.opencontainers.image.title": "shelf.wasm" }));
    let config = format!("{base}/blobs/{}", manifest["config"]["digest"].as_str().expect("digest"));
    let config: Value = http.get(config).send().await.expect("config").json().await.expect("JSON");
    assert_eq!((&config["architecture"], &config["os"]), (&json!("wasm"), &json!("wasip2")));
    assert_eq!(config["layerDigests"], json!([layers[0]["digest"]]));
    let exports = config["component"]["exports"].as_array().expect("exports");
    assert!(exports.iter().any(|name| name == "wharfinger:connector/catalog@0.1.0"), "{config}");
    assert!(config["created"].as_str().is_some_and(|time| time.ends_with('Z')), "{config}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_asks_who_comes_is_told() {
    let (registry, desk) = (Registry::closed().expect("registry"), Desk::new());
    let tagged = format!("{}/shelf:1", registry.address());
    let push = ["push", "shelf.wasm", tagged.as_str()];
    desk.fails(&push, 3, "wants to know who asks").await;
    let wrong = desk.run_as(&push, Some((USER, "wrong-password")), "").await;
    assert_eq!(wrong.code, 3, "{}", wrong.err);
    assert!(
        wrong.err.contains("does not take these credentials") && !wrong.err.contains("wrong-password"),
        "{}",
        wrong.err
    );
    let pushed = desk.run_as(&push, Some((USER, PASSWORD)), "").await;
    assert_eq!(pushed.code, 0, "{}", pushed.err);
    let by_input = ["pull", tagged.as_str(), "-o", "a.wasm", "--username", USER, "--password-stdin"];
    let pulled = desk.run_as(&by_input, None, &format!("{PASSWORD}\n")).await;
    assert_eq!((pulled.code, &pulled.out), (0, &pushed.out), "{}", pulled.err);
    // What `docker login` keeps: base64 of ann:password-of-ann.
    let config = json!({ "auths": { registry.address(): { "auth": "YW5uOnBhc3N3b3JkLW9mLWFubg==" } } });
    std::fs::write(desk.file("config.json"), config.to_string()).expect("written");
    assert_eq!(desk.done(&["pull", &tagged, "-o", "b.wasm"]).await, pushed.out);
    assert!(desk.read("a.wasm") == component() && desk.read("b.wasm") == component());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_detached_signature_goes_with_the_component_and_is_trusted_where_its_key_is() {
    let (registry, desk) = (Registry::open().expect("registry"), Desk::new());
    let public = desk.done(&["keygen", "-o", "team.key"]).await;
    desk.done(&["sign", "shelf.wasm", "--key", "team.key", "--detached"]).await;
    let tagged = format!("{}/shelf:1", registry.address());
    desk.done(&["push", "shelf.wasm", &tagged]).await;
    desk.done(&["pull", &tagged, "-o", "pulled.wasm"]).await;
    assert!(desk.read("pulled.wasm") == component(), "the component is as it was");
    assert_eq!(desk.read("pulled.wasm.sig"), desk.read("shelf.wasm.sig"));
    std::fs::write(desk.file("host.toml"), format!("[connectors]\ntrusted_keys = [{public:?}]\n")).expect("written");
    let seen = desk.done(&["inspect", "pulled.wasm", "--config", "host.toml", "--json"]).await;
    let seen: Value = serde_json::from_str(&seen).expect("JSON");
    assert_eq!(seen["signature"]["state"], "trusted", "{seen}");
    // Pulled over by another one without: what was beside it says nothing any more.
    std::fs::remove_file(desk.file("shelf.wasm.sig")).expect("removed");
    desk.done(&["push", "shelf.wasm", &tagged]).await;
    desk.done(&["pull", &tagged, "-o", "pulled.wasm"]).await;
    assert!(!desk.file("pulled.wasm.sig").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_in_the_registry_is_not_taken() {
    let (registry, desk) = (Registry::open().expect("registry"), Desk::new());
    let tagged = format!("{}/shelf:1", registry.address());
    desk.done(&["push", "shelf.wasm", &tagged]).await;
    let file = registry.blob_file(&digest_of(&desk.file("shelf.wasm")).await);
    let mut bytes = std::fs::read(&file).expect("blob");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).expect("changed");
    desk.fails(&["pull", &tagged, "-o", "changed.wasm"], 1, "its digest is").await;
    assert!(!desk.file("changed.wasm").exists());
}

/// By another tool than ours.
async fn digest_of(file: &Path) -> String {
    let output = tokio::process::Command::new("sha256sum").arg(file).output().await.expect("sha256sum");
    let text = String::from_utf8(output.stdout).expect("text");
    format!("sha256:{}", text.split_whitespace().next().expect("digest"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_gets_a_component_from_a_registry_by_the_hand_of_whoever_installs_it() -> anyhow::Result<()> {
    let (registry, desk) = (Registry::open()?, Desk::new());
    std::fs::write(desk.file("versions.wasm"), Variant::new("1.0.0").component()?)?;
    let public = desk.done(&["keygen", "-o", "team.key"]).await.parse()?;
    desk.done(&["sign", "versions.wasm", "--key", "team.key", "--detached"]).await;
    let tagged = format!("{}/team/versions:1.0.0", registry.address());
    let pinned = desk.done(&["push", "versions.wasm", &tagged]).await;
    let strict = |config: &mut Config| config.trust = Trust { keys: vec![public], unsigned: Unsigned::Refuse };
    let host = TestHost::start_with(Clock::system(), strict).await?;
    let install = |what: String| {
        let mut command = executable();
        command.args(["connector", "install", &what, "--json"]);
        command.env("WHARFINGER_URL", host.client().base()).env("WHARFINGER_API_KEY", ADMIN_KEY).output()
    };
    let output = install(format!("oci://{tagged}")).await?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let installed = host.client().get("/connectors/versions").await?.expect(200)?.json;
    let version = &installed["versions"][0];
    assert_eq!(version["origin"], format!("oci://{pinned}"), "what a tag meant at that time");
    assert!(version["signature"].as_str().is_some_and(|state| state.starts_with("trusted ")), "{version}");
    // From a file, with the signature that lies beside it; without one it is refused.
    std::fs::write(desk.file("versions.wasm"), Variant::new("1.1.0").component()?)?;
    std::fs::remove_file(desk.file("versions.wasm.sig"))?;
    let file = desk.file("versions.wasm").to_string_lossy().into_owned();
    let refused = install(file.clone()).await?;
    assert_eq!(refused.status.code(), Some(3));
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(why.contains("not signed") && why.contains("connector sign"), "{why}");
    desk.done(&["sign", "versions.wasm", "--key", "team.key", "--detached"]).await;
    assert!(install(file).await?.status.success());
    // What was changed after it was signed.
    std::fs::write(desk.file("versions.wasm"), Variant::new("1.2.0").component()?)?;
    let changed = install(desk.file("versions.wasm").to_string_lossy().into_owned()).await?;
    assert!(String::from_utf8_lossy(&changed.stderr).contains("does not belong to this component"));
    desk.done(&["sign", "versions.wasm", "--key", "team.key", "--detached"]).await;
    assert!(install(desk.file("versions.wasm").to_string_lossy().into_owned()).await?.status.success(), "signed again");
    host.stop().await;
    Ok(())
}
