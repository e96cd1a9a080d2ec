//! Keys as people have them, and tokens checked with the public key.

use std::{collections::BTreeMap, fs, time::Instant};

use ring::{
    rsa::PublicKeyComponents,
    signature::{RSA_PKCS1_2048_8192_SHA256, RsaKeyPair},
};
use serde_json::json;

use super::{key::KeyError, *};
use crate::egress::context::{Context, Grants};

/// Of the fixtures that are encrypted.
const PASSPHRASE: &str = "correct-horse-battery";

/// `openssl rsa -pubout -outform DER | openssl dgst -sha256 -binary | openssl base64` of the fixtures.
const FINGERPRINT: &str = "68LZwglL7LjaMB9LwIXVx73WZO9Hj04RA3XuvCxqNo0=";

fn fixture(name: &str) -> String {
    fs::read_to_string(format!("{}/src/egress/signing/keys/{name}.pem", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn refusal(pem: &str, passphrase: Option<&str>) -> KeyError {
    key::open(pem, passphrase).err().unwrap_or_else(|| panic!("opens: {pem}"))
}

#[test]
fn keys_open_in_every_form_that_people_have() {
    for name in ["plain", "pkcs1"] {
        assert_eq!(key::open(&fixture(name), None).ok().unwrap().fingerprint, FINGERPRINT, "{name}");
        assert!(key::open(&fixture(name), Some("not needed")).is_ok(), "{name}");
    }
    for name in ["aes128", "aes192", "aes256", "aes256sha1", "des3", "scrypt"] {
        let opened = key::open(&fixture(name), Some(PASSPHRASE));
        assert_eq!(opened.ok().unwrap_or_else(|| panic!("{name}")).fingerprint, FINGERPRINT, "{name}");
        assert_eq!(refusal(&fixture(name), None), KeyError::NoPassphrase, "{name}");
        assert_eq!(refusal(&fixture(name), Some("wrong")), KeyError::WrongPassphrase, "{name}");
    }
    let windows = format!("Bag Attributes\r\n  friendlyName: x\r\n{}", fixture("plain").replace('\n', "\r\n"));
    let flat = fixture("plain").replace('\n', " ");
    for pem in [windows, flat, format!("\n\n  {}\n", fixture("plain").trim())] {
        assert!(key::open(&pem, None).is_ok(), "{pem}");
    }
    assert!(key::open(&fixture("large"), None).is_ok(), "4096 bits");
}

#[test]
fn what_cannot_sign_is_told_apart_and_what_to_do_about_it() {
    let whole = fixture("plain");
    let pem = |label: &str| format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n");
    for (text, expected, part) in [
        (String::new(), KeyError::NoPem, "paste the whole text"),
        ("hunter2".to_owned(), KeyError::NoPem, "paste the whole text"),
        (whole[..whole.len() - 10].to_owned(), KeyError::NoPem, "paste the whole text"),
        (whole.replace("END PRIVATE", "END PUBLIC"), KeyError::NoPem, "paste the whole text"),
        (pem("SOMETHING"), KeyError::NoPem, "paste the whole text"),
        (pem("PRIVATE KEY"), KeyError::Damaged, "damaged"),
        (pem("ENCRYPTED PRIVATE KEY"), KeyError::Damaged, "damaged"),
        (pem("RSA PRIVATE KEY"), KeyError::Damaged, "damaged"),
        (whole.replacen("MII", "M!I", 1), KeyError::Damaged, "damaged"),
        (fixture("public"), KeyError::PublicKey, "is a public key"),
        (pem("RSA PUBLIC KEY"), KeyError::PublicKey, "is a public key"),
        (pem("CERTIFICATE"), KeyError::Certificate, "is a certificate"),
        (pem("OPENSSH PRIVATE KEY"), KeyError::OtherFormat, "openssl pkcs8 -topk8 -v2 aes-256-cbc"),
        (pem("EC PRIVATE KEY"), KeyError::NotRsa, "openssl genrsa 2048"),
        (fixture("elliptic"), KeyError::NotRsa, "openssl genrsa 2048"),
        (fixture("proctype"), KeyError::OldPem, "openssl pkcs8 -topk8 -v2 aes-256-cbc"),
        (fixture("pbes1"), KeyError::OldEncryption, "openssl pkcs8 -topk8 -v2 aes-256-cbc"),
        (fixture("pbes1-md5"), KeyError::OldEncryption, "openssl pkcs8 -topk8 -v2 aes-256-cbc"),
        (fixture("small"), KeyError::TooSmall, "less than 2048 bits"),
        (fixture("huge"), KeyError::TooLarge, "more than 4096 bits"),
    ] {
        let error = refusal(&text, Some(PASSPHRASE));
        assert_eq!(error, expected, "{text}");
        let told = error.told("privateKey.content", Some("privateKeyPassword"));
        assert!(told.contains("`privateKey.content`") && told.contains(part), "{told}");
        assert!(!told.contains(PASSPHRASE) && !told.contains("hunter2") && !told.contains("AAAA"), "{told}");
    }
    let told = |error: KeyError| error.told("k", Some("p"));
    assert_eq!(told(KeyError::NoPassphrase), "`k` is encrypted: `p` must hold its passphrase");
    assert_eq!(told(KeyError::WrongPassphrase), "`p` is not the passphrase of `k`, or the key is damaged");
}

#[test]
fn a_key_that_would_take_for_ever_is_refused_at_once() {
    for name in ["costly-pbkdf2", "costly-scrypt"] {
        let begun = Instant::now();
        assert_eq!(refusal(&fixture(name), Some("x")), KeyError::TooCostly, "{name}");
        assert!(begun.elapsed().as_millis() < 100, "{name}: {:?}", begun.elapsed());
    }
}

fn jwt(claims: Value) -> Jwt {
    serde_json::from_value(json!({
        "alg": "RS256", "key": {"pem": "key", "passphrase": "phrase"}, "claims": claims, "ttl": 3300, "skew": 30,
        "as": "token"
    }))
    .unwrap()
}

fn secrets(pairs: &[(&str, &str)]) -> Secrets {
    Secrets(pairs.iter().map(|(k, v)| ((*k).to_owned(), Zeroizing::new((*v).to_owned()))).collect())
}

#[tokio::test]
async fn a_token_is_one_that_others_can_check() {
    let jwt = jwt(json!({"iss": "{{ config.a }}.SHA256:{{ key.spki_sha256 }}", "sub": "{{ config.a }}"}));
    let secrets = secrets(&[("key", &fixture("aes256")), ("phrase", PASSPHRASE)]);
    let signer = open(&jwt.key, &secrets, &Openings::default()).await.unwrap();
    let context = Context::new("https://h".into(), json!({"a": "AB \"quoted\""}), secrets, &BTreeMap::new());
    let with = With { context: &context, grants: &Grants::new() };
    let token = sign(&jwt, &signer, &with, 1_800_000_000).unwrap();
    assert!(token.secret);

    let parts: Vec<&str> = token.text.split('.').collect();
    let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap();
    let json = |part: &str| serde_json::from_slice::<Value>(&decoded(part)).unwrap();
    assert_eq!(json(parts[0]), json!({"alg": "RS256", "typ": "JWT"}));
    let issuer = format!("AB \"quoted\".SHA256:{FINGERPRINT}");
    assert_eq!(
        json(parts[1]),
        json!({"iss": issuer, "sub": "AB \"quoted\"", "iat": 1_799_999_970, "exp": 1_800_003_270})
    );
    // With the same key in another form, opened by ring alone.
    let pair = RsaKeyPair::from_pkcs8(&der(&fixture("plain"))).unwrap();
    let public = PublicKeyComponents::<Vec<u8>>::from(pair.public());
    let signed = format!("{}.{}", parts[0], parts[1]);
    public.verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &decoded(parts[2])).unwrap();
}

fn der(pem: &str) -> Vec<u8> {
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    base64::engine::general_purpose::STANDARD.decode(body).unwrap()
}

#[tokio::test]
async fn keys_that_do_not_open_make_the_configuration_invalid() {
    let jwt = jwt(json!({}));
    for (pairs, part) in [
        (vec![], "`secret.key`, which has no value"),
        (vec![("key", "hunter2")], "`key` is not a private key"),
        (vec![("key", "aes256")], "`phrase` must hold its passphrase"),
        (vec![("key", "aes256"), ("phrase", "hunter2")], "`phrase` is not the passphrase of `key`"),
    ] {
        let mut secrets = secrets(&pairs);
        if let Some(key) = secrets.0.get_mut("key")
            && key.as_str() == "aes256"
        {
            *key = Zeroizing::new(fixture("aes256"));
        }
        let error = open(&jwt.key, &secrets, &Openings::default()).await.err().unwrap();
        assert_eq!(error.kind, SendErrorKind::InvalidConfig);
        assert!(error.message.contains(part), "{error:?}");
        assert!(!format!("{error:?}").contains("hunter2"));
    }
}
