//! Where secrets may go: the connection's own origin, and what the operator approved. Nothing a recipe or a payload
//! says makes it another place.

use super::*;

fn approving(origins: &[&str]) -> Egress {
    let approved_origins = origins.iter().map(|text| text.parse().unwrap()).collect();
    egress_with(Policy { approved_origins, ..policy() })
}

/// Opens a session, or says which line of configuration is missing.
fn opened(egress: &Egress, recipe: Value, config: Value, insecure: bool) -> Result<(), (SendErrorKind, String)> {
    let address = Address { insecure, hostname: "platform.example".into(), port: if insecure { 80 } else { 443 } };
    let spec = SessionSpec { config, ..spec(address, recipe) };
    match egress.session(spec) {
        Ok(_) => Ok(()),
        Err(error) => Err((error.kind, error.operator.unwrap_or_default())),
    }
}

/// The recipe with another place in it.
fn placed(pointer: &str, place: &str) -> Value {
    let mut recipe = exchange_recipe();
    let upkeep = json!({"exchange": {"url": "{{ connection.origin }}/x"}});
    recipe["renew"] = upkeep.clone();
    recipe["release"] = upkeep;
    recipe["config"] = json!(["client", "authority"]);
    *recipe.pointer_mut(pointer).unwrap() = json!(place);
    recipe
}

const PLACES: [&str; 4] =
    ["/acquire/0/exchange/url", "/renew/exchange/url", "/release/exchange/url", "/apply/to/0/origin"];

#[tokio::test]
async fn every_place_that_gets_a_secret_needs_approval() {
    for pointer in PLACES {
        let literal = if pointer.ends_with("url") { "https://login.example/token" } else { "https://login.example" };
        let line = "[egress] approved_origins = [\"https://login.example\"]";
        let (kind, told) =
            opened(&approving(&[]), placed(pointer, literal), json!({"client": "me"}), false).unwrap_err();
        assert_eq!(kind, SendErrorKind::Denied, "{pointer}");
        assert!(told.ends_with(line), "{pointer}: {told}");
        let approved = approving(&["https://login.example"]);
        opened(&approved, placed(pointer, literal), json!({"client": "me"}), false).unwrap();

        let config = |url: &str| json!({"client": "me", "authority": url});
        let configured = placed(pointer, "{{ config.authority }}");
        let (kind, told) =
            opened(&approving(&[]), configured.clone(), config("https://login.example/a?b=c"), false).unwrap_err();
        assert_eq!(kind, SendErrorKind::InvalidConfig, "{pointer}");
        assert!(told.ends_with(line), "{pointer}: {told}");
        opened(&approved, configured.clone(), config("https://login.example/a?b=c"), false).unwrap();
        opened(&approving(&[]), configured.clone(), config("https://platform.example/token"), false).unwrap();
        for evil in [
            "https://login.example:8443/",
            "https://login.example.evil.example/",
            "https://platform.example:444/",
            "https://evil.example/?https://login.example/",
            "https://LOGIN.example.evil.example/",
        ] {
            let (kind, told) = opened(&approved, configured.clone(), config(evil), false).unwrap_err();
            assert_eq!(kind, SendErrorKind::InvalidConfig, "{pointer} {evil}");
            assert!(told.contains("[egress] approved_origins"), "{pointer} {evil}");
        }
        for invalid in ["http://login.example/", "https://user:pw@login.example/", "ftp://login.example/", "login"] {
            let (kind, _) = opened(&approved, configured.clone(), config(invalid), false).unwrap_err();
            assert_eq!(kind, SendErrorKind::InvalidConfig, "{pointer} {invalid}");
        }
    }
}

#[tokio::test]
async fn domains_are_approved_one_label_deep() {
    let approved = approving(&["https://*.okta.example"]);
    let configured = || placed(PLACES[0], "{{ config.authority }}");
    let config = |url: &str| json!({"client": "me", "authority": url});
    opened(&approved, configured(), config("https://acme.okta.example/oauth2/v1/token"), false).unwrap();
    for other in ["https://okta.example/", "https://a.b.okta.example/", "https://acme.okta.example:444/"] {
        assert!(opened(&approved, configured(), config(other), false).is_err(), "{other}");
    }
}

#[tokio::test]
async fn without_tls_the_connection_must_agree_too() {
    let approved = approving(&["http://login.example"]);
    let configured = || placed(PLACES[0], "{{ config.authority }}");
    let config = json!({"client": "me", "authority": "http://login.example/token"});
    opened(&approved, configured(), config.clone(), true).unwrap();
    assert_eq!(opened(&approved, configured(), config, false).unwrap_err().0, SendErrorKind::InvalidConfig);
}
