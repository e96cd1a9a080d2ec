//! Keys, signatures and packing, by the executable.

use std::{fs, os::unix::fs::PermissionsExt as _};

use serde_json::Value;
use wharfinger::connector::audit;

use crate::desk::{Desk, Ended, component};

/// What is said of a component where these keys are trusted.
async fn inspect(desk: &Desk, file: &str, keys: &[&str]) -> Value {
    let policy = format!("[connectors]\ntrusted_keys = {keys:?}\nunsigned = \"refuse\"\n");
    fs::write(desk.file("host.toml"), policy).expect("written");
    let said = desk.done(&["inspect", file, "--config", "host.toml", "--json"]).await;
    serde_json::from_str(&said).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_made_once_and_shown_to_its_owner_only() {
    let desk = Desk::new();
    let public = desk.done(&["keygen"]).await;
    assert!(public.starts_with("ed25519:") && public.lines().count() == 1, "{public}");
    let file = desk.file("connector.key");
    assert_eq!(fs::metadata(&file).expect("key").permissions().mode() & 0o777, 0o600);
    let before = fs::read_to_string(&file).expect("key");
    assert!(before.starts_with("-----BEGIN PRIVATE KEY-----"));
    desk.fails(&["keygen"], 1, "is there already").await;
    assert_eq!(fs::read_to_string(&file).expect("key"), before);
    assert_ne!(desk.done(&["keygen", "-o", "other.key"]).await, public);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_is_signed_by_several_and_told_apart_by_whom_one_trusts() {
    let desk = Desk::new();
    let (first, second) = (desk.done(&["keygen", "-o", "1.key"]).await, desk.done(&["keygen", "-o", "2.key"]).await);
    let unsigned = inspect(&desk, "shelf.wasm", &[&first]).await;
    assert_eq!(unsigned["signature"]["state"], "unsigned");
    assert!(unsigned["signature"]["refused"].as_str().is_some_and(|why| why.contains("not signed")), "{unsigned}");
    desk.done(&["sign", "shelf.wasm", "--key", "1.key", "-o", "signed.wasm"]).await;
    assert!(fs::read(desk.file("shelf.wasm")).expect("component") == component());
    desk.done(&["sign", "signed.wasm", "--key", "2.key"]).await;
    for (keys, state) in [(vec![&*first], "trusted"), (vec![&second], "trusted"), (vec![], "untrusted")] {
        let seen = inspect(&desk, "signed.wasm", &keys).await;
        assert_eq!(seen["signature"]["state"], state, "{keys:?}");
        assert_eq!(seen["signature"]["refused"].is_null(), state == "trusted", "{seen}");
        assert_eq!(seen["signature"]["keys"].as_array().map(Vec::len), Some(2));
    }
    desk.fails(&["sign", "signed.wasm", "--key", "1.key"], 1, "already signed").await;
    // Changed after it was signed.
    let mut bytes = fs::read(desk.file("signed.wasm")).expect("signed");
    let at = bytes.windows(8).rposition(|part| part == b"producer").expect("a custom section with text");
    bytes[at] ^= 0x20;
    fs::write(desk.file("changed.wasm"), bytes).expect("written");
    let changed = inspect(&desk, "changed.wasm", &[&first]).await;
    assert_eq!(changed["signature"]["state"], "invalid", "{changed}");
    desk.fails(&["sign", "shelf.wasm", "--key", "host.toml"], 1, "no private key").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_packed_component_is_smaller_signed_and_tried() {
    let desk = Desk::new();
    let public = desk.done(&["keygen", "-o", "1.key"]).await;
    // A section as compilers leave it, at the end of the component.
    let mut fat = component().to_vec();
    let inside = [&[11][..], b".debug_info", &[7; 100]].concat();
    fat.extend([0, inside.len() as u8]);
    fat.extend(inside);
    fs::write(desk.file("fat.wasm"), &fat).expect("written");
    let said = desk.done(&["pack", "fat.wasm", "--key", "1.key"]).await;
    let name = said.split(':').next().expect("name");
    let packed = fs::read(desk.file(name)).expect("named after the connector");
    assert!(packed.len() < component().len() + 200, "{said}");
    assert!(!packed.windows(11).any(|part| part == b".debug_info"), "{said}");
    assert_eq!(audit::interfaces(&packed).expect("a component"), audit::interfaces(component()).expect("a component"));
    assert_eq!(inspect(&desk, name, &[&public]).await["signature"]["state"], "trusted");
    // Packed again, it is as before, without the signature that nobody repeated.
    let said = desk.done(&["pack", name, "-o", "again.wasm"]).await;
    assert!(said.contains("not signed"), "{said}");
    assert_eq!(fs::read(desk.file("again.wasm")).expect("packed").len() + 120, packed.len());
    fs::write(desk.file("bad.wasm"), b"\0asm\x0d\0\x01\0").expect("written");
    desk.fails(&["pack", "bad.wasm"], 1, "does not export").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_only_named_has_signed_nothing_until_it_is_checked() {
    let desk = Desk::new();
    let public = desk.done(&["keygen", "-o", "1.key"]).await;
    let other = desk.done(&["keygen", "-o", "2.key"]).await;
    desk.done(&["sign", "shelf.wasm", "--key", "1.key", "-o", "signed.wasm"]).await;
    // The publisher's public key is no secret: a section with its id and random bytes, made by anybody.
    let mut forged = fs::read(desk.file("signed.wasm")).expect("signed");
    let end = forged.len();
    forged[end - 64..].fill(7);
    fs::write(desk.file("forged.wasm"), forged).expect("written");
    for file in ["signed.wasm", "forged.wasm"] {
        let said = desk.done(&["inspect", file]).await;
        assert!(said.contains("which is not known here: not checked") && !said.contains("signed by"), "{said}");
        let why = inspect(&desk, file, &[]).await["signature"]["refused"].to_string();
        assert!(why.contains("which is not known here: not checked"), "{why}");
    }
    let said = desk.done(&["inspect", "signed.wasm", "--key", &public]).await;
    assert!(said.contains("signed by key") && said.contains(": checked"), "{said}");
    let Ended { code, out: said, .. } = desk.run(&["inspect", "forged.wasm", "--key", &public]).await;
    assert!(code == 5 && said.contains("does not match") && !said.contains("signed by"), "{code} {said}");
    let Ended { code, out: said, .. } = desk.run(&["inspect", "signed.wasm", "--key", &other]).await;
    assert!(code == 5 && said.contains("no signature names key"), "{code} {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_signature_outlives_the_bytes_that_it_was_for() {
    let desk = Desk::new();
    desk.done(&["keygen", "-o", "1.key"]).await;
    desk.done(&["keygen", "-o", "2.key"]).await;
    for args in [
        &["sign", "shelf.wasm", "--key", "2.key"][..],
        &["sign", "shelf.wasm", "--key", "2.key", "-o", "out.wasm"],
        &["pack", "shelf.wasm", "-o", "shelf.wasm"],
    ] {
        fs::write(desk.file("shelf.wasm"), component()).expect("component");
        fs::write(desk.file("out.wasm"), component()).expect("component");
        desk.done(&["sign", "shelf.wasm", "--key", "1.key", "--detached"]).await;
        desk.done(&["sign", "out.wasm", "--key", "1.key", "--detached"]).await;
        let Ended { code, err, .. } = desk.run(args).await;
        let written = if args.contains(&"out.wasm") { "out.wasm.sig" } else { "shelf.wasm.sig" };
        assert!(code == 0 && err.contains(&format!("removed {written}")), "{args:?}: {err}");
        assert!(!desk.file(written).exists(), "{args:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_detached_signature_of_other_bytes_is_not_pushed() {
    let desk = Desk::new();
    let public = desk.done(&["keygen", "-o", "1.key"]).await;
    desk.done(&["sign", "shelf.wasm", "--key", "1.key", "--detached"]).await;
    desk.done(&["pack", "shelf.wasm", "--key", "1.key", "-o", "packed.wasm"]).await;
    // Nobody listens there: what is refused before is not sent.
    let push = ["push", "packed.wasm", "127.0.0.1:1/team/shelf:1", "--signature", "shelf.wasm.sig", "--key", &public];
    let Ended { code, err, .. } = desk.run(&push).await;
    assert!(code == 1 && err.contains("does not belong to this component"), "{code} {err}");
    let push = ["push", "shelf.wasm", "127.0.0.1:1/team/shelf:1", "--key", &public];
    let Ended { code, err, .. } = desk.run(&push).await;
    assert!(code == 4 && !err.contains("not checked"), "{code} {err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_component_steers_no_terminal() {
    let desk = Desk::new();
    // A component that imports a function under a name that would set the title of the window.
    let name = b"env\x1b]0;owned\x07\xe2\x80\xae";
    let import = [&[1, 0, name.len() as u8][..], name, &[5, 0]].concat();
    let bytes = [b"\0asm\x0d\0\x01\0", &[10, import.len() as u8][..], &import].concat();
    fs::write(desk.file("hostile.wasm"), bytes).expect("written");
    let Ended { code, err, .. } = desk.run(&["inspect", "hostile.wasm"]).await;
    assert!(code == 1 && err.contains("imports"), "{code} {err}");
    assert!(!err.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{err:?}");
}
