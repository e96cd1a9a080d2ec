//! A connector with a version in each state, for the tests of its pages.

use std::collections::{BTreeMap, BTreeSet};

use super::{Known, Served};
use crate::{
    api::ui::sample,
    db::connectors::WithVersions,
    model::{
        connection::Actor,
        connector::{Active, Built, Finding, Installed, Origin, Rollout, Step, Version},
        id::{ConnectionId, PrincipalId},
        signature::PublicKey,
    },
};

pub(in crate::api::ui) fn actor() -> Actor {
    Actor { id: PrincipalId::generate(), name: "Ada <b>".into(), email: None }
}

fn version(number: &str, permissions: &[&str], signature: &str) -> Version {
    Version {
        connector: "shelf".into(),
        version: number.into(),
        title: "A <shelf>".into(),
        digest: format!("{number:x>64}"),
        size: 400_000,
        origin: Origin::Upload,
        signature: signature.into(),
        schema_digest: "00".into(),
        description_digest: "00".into(),
        permissions: permissions.iter().map(|line| (*line).to_owned()).collect(),
        by: Some(actor()),
        at: sample::now(),
        taken_back: None,
        built: Built { contract: Some("0.1.0".into()), sdk: Some("0.1.<0>".into()) },
    }
}

/// 1.2.0 is active, 1.1.0 was before, 1.3.0 was taken back, 2.0.0 waits for one more permission.
pub(in crate::api::ui) fn with_versions() -> WithVersions {
    let mut installed = Installed::new("shelf".into(), "Lake".parse().expect("technology"));
    installed.granted = BTreeSet::from(["send GET to the connection's host, /lists".into(), "send GET to /old".into()]);
    installed.active = Some(Active { version: "1.2.0".into(), since: sample::now(), by: Some(actor()), before: None });
    installed.previous = vec!["1.1.0".into()];
    let trusted = format!("trusted {}", PublicKey::from_bytes([7; 32]).id());
    let untrusted = format!("untrusted {}", PublicKey::from_bytes([8; 32]).id());
    let mut back = version("1.3.0", &["send GET to the connection's host, /lists"], &untrusted);
    back.taken_back = Some("3 of its last 20 calls failed".into());
    let waits = ["send GET to the connection's host, /lists", "send POST to the connection's host, /<b>all</b>"];
    let versions = vec![
        version("2.0.0", &waits, "unsigned"),
        back,
        version("1.2.0", &["send GET to the connection's host, /lists", "send GET to /old"], &trusted),
        Version { origin: Origin::Bundled, by: None, ..version("1.1.0", &["send GET to /old"], "unsigned") },
    ];
    (installed, versions)
}

pub(in crate::api::ui) fn known() -> Known {
    let (installed, versions) = with_versions();
    let served = |key: &str, pin: Option<&str>| Served {
        id: ConnectionId::generate(),
        key: key.parse().expect("key"),
        pin: pin.map(str::to_owned),
    };
    let served = vec![served("My <Lake>", None), served("Other", Some("1.1.0"))];
    Known { installed, versions, served, broken: Vec::new(), health: BTreeMap::new() }
}

/// An activation of 2.0.0 at this step, with a finding that blocks.
pub(in crate::api::ui) fn rollout(step: Step) -> Rollout {
    Rollout {
        version: "2.0.0".into(),
        canary: None,
        shadow: false,
        forced: false,
        step,
        findings: vec![Finding {
            step: Step::Check,
            connection: Some("My <Lake>".parse().expect("key")),
            blocks: true,
            job: None,
            message: "it worked, and would not any more".into(),
        }],
        by: Some(actor()),
        at: sample::now(),
        began: 3,
        revision: 3,
    }
}
