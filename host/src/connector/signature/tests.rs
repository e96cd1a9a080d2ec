//! Signatures as a hostile hand would have them: damaged anywhere, moved, cut off, nested, too many.

use super::*;

/// A component with a nested module and a custom section, with nothing in it that matters.
fn component() -> Vec<u8> {
    wat::parse_str(
        r#"(component (core module (func (export "f"))) (@custom "name-of-something" "\00\01\02") (component))"#,
    )
    .expect("component")
}

fn key() -> SigningKey {
    SigningKey::generate().expect("key").0
}

fn trusting(keys: &[&SigningKey]) -> Vec<PublicKey> {
    keys.iter().map(|key| key.public()).collect()
}

#[test]
fn a_signature_of_a_trusted_key_is_trusted_inside_and_beside() {
    let (bytes, ours) = (component(), key());
    let keys = trusting(&[&ours]);
    let trusted = Ok(SignatureState::Trusted { key: ours.public().id() });
    assert_eq!(verify(&bytes, None, &keys), Ok(SignatureState::Unsigned));
    let signed = embed(&bytes, &ours).expect("signed");
    assert_eq!(verify(&signed, None, &keys), trusted);
    assert_eq!(verify(&bytes, Some(detach(&bytes, &ours).as_bytes()), &keys), trusted);
    assert_eq!(verify(&signed, Some(detach(&signed, &ours).as_bytes()), &keys), trusted);
    assert_eq!(strip(&signed), Ok(&bytes[..]));
    wasmparser::Validator::new().validate_all(&signed).expect("the signed file is a component as before");
}

#[test]
fn the_bytes_are_the_documented_ones() {
    let (bytes, ours) = (component(), key());
    let signed = embed(&bytes, &ours).expect("signed");
    let section = &signed[bytes.len()..];
    assert_eq!(section.len(), 120);
    assert_eq!(&section[..23], b"\x00\x76\x14wharfinger.signature");
    assert_eq!(section[23], 1);
    assert_eq!(&section[24..56], ours.public().id().as_bytes());
    let text = [DOMAIN, ring::digest::digest(&SHA256, &bytes).as_ref()].concat();
    let public = UnparsedPublicKey::new(&ED25519, *ours.public().as_bytes());
    public.verify(&text, &section[56..]).expect("anybody can check it");
}

#[test]
fn a_flipped_bit_anywhere_is_never_trusted() {
    let (bytes, ours) = (component(), key());
    let keys = trusting(&[&ours]);
    let signed = embed(&bytes, &ours).expect("signed");
    let beside = detach(&bytes, &ours);
    let name = bytes.windows(9).position(|part| part == b"something").expect("name");
    let names = name..name + 9;
    for at in 0..signed.len() * 8 {
        let mut damaged = signed.clone();
        damaged[at / 8] ^= 1 << (at % 8);
        let state = verify(&damaged, None, &keys);
        assert!(!matches!(state, Ok(SignatureState::Trusted { .. })), "bit {at}: {state:?}");
        // Elsewhere another size hides the signature, another name makes it something else, another key nobody's.
        let byte = at / 8;
        if (4..8).contains(&byte) || names.contains(&byte) || byte >= bytes.len() + 56 {
            assert_eq!(state, Err(InvalidSignature::Wrong(ours.public().id())), "bit {at}");
        }
    }
    for at in 8 * 8..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[at / 8] ^= 1 << (at % 8);
        assert!(verify(&damaged, Some(beside.as_bytes()), &keys).is_err(), "bit {at}");
    }
}

#[test]
fn a_file_that_is_cut_off_is_never_trusted() {
    let (bytes, ours) = (component(), key());
    let signed = embed(&bytes, &ours).expect("signed");
    for end in 0..signed.len() {
        let state = verify(&signed[..end], None, &trusting(&[&ours]));
        assert!(!matches!(state, Ok(SignatureState::Trusted { .. })), "{end}: {state:?}");
        assert!(end <= bytes.len() || state.is_err(), "{end}: {state:?}");
    }
}

#[test]
fn what_follows_a_signature_is_not_covered_by_it() {
    let (bytes, ours) = (component(), key());
    let keys = trusting(&[&ours]);
    let signed = embed(&bytes, &ours).expect("signed");
    let custom = b"\x00\x03\x02ab";
    assert_eq!(verify(&[&signed[..], custom].concat(), None, &keys), Err(InvalidSignature::NotLast));
    assert_eq!(
        verify(&[&signed[..], &component()[8..]].concat(), None, &keys),
        Err(InvalidSignature::NotLast),
        "not even another component's sections"
    );
    // At the beginning it covers nothing.
    let moved = [&bytes[..8], &signed[bytes.len()..], &bytes[8..]].concat();
    assert_eq!(verify(&moved, None, &keys), Err(InvalidSignature::NotLast));
    // With another section moved before it, it covers something else.
    let between = [&bytes[..], custom, &signed[bytes.len()..]].concat();
    assert_eq!(verify(&between, None, &keys), Err(InvalidSignature::Wrong(ours.public().id())));
}

#[test]
fn a_signature_inside_something_else_is_nobodys() {
    let (bytes, ours) = (component(), key());
    let keys = trusting(&[&ours]);
    let signed = embed(&bytes, &ours).expect("signed");
    let section = &signed[bytes.len()..];
    // The signed component inside another one.
    let mut length = u32::try_from(signed.len()).expect("small");
    let mut outer = [&bytes[..8], &[4]].concat();
    while length >= 0x80 {
        outer.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    outer.push(length as u8);
    outer.extend(&signed);
    assert_eq!(verify(&outer, None, &keys), Ok(SignatureState::Unsigned));
    // The section's bytes as the content of another custom section that ends the file.
    let wrapped = [&bytes[..], &[0, section.len() as u8 + 2, 1, b'x'], section].concat();
    assert_eq!(verify(&wrapped, None, &keys), Ok(SignatureState::Unsigned));
}

#[test]
fn the_section_is_read_in_one_form_only() {
    let (bytes, ours) = (component(), key());
    let keys = trusting(&[&ours]);
    let signed = embed(&bytes, &ours).expect("signed");
    let inside = &signed[bytes.len() + 2..];
    let unreadable = |section: &[u8], what: &str| {
        let state = verify(&[&bytes[..], section].concat(), None, &keys);
        assert_eq!(state, Err(InvalidSignature::Unreadable), "{what}");
    };
    unreadable(&[&[0, 0xf6, 0x00], inside].concat(), "a size of two bytes");
    unreadable(&[&[0, 0x77, 0x94, 0x00], &inside[1..]].concat(), "a length of two bytes");
    unreadable(&[&[0, 0x77], inside, &[0]].concat(), "a byte more");
    unreadable(&[&[0, 0x75], &inside[..inside.len() - 1]].concat(), "a byte less");
    unreadable(&[&[0, 0x15], &inside[..21]].concat(), "nothing but the name");
    let mut newer = inside.to_vec();
    newer[21] = 2;
    unreadable(&[&[0, 0x76], &newer[..]].concat(), "another version");
}

#[test]
fn several_keys_may_sign_and_one_that_is_trusted_is_enough() {
    let (bytes, first, second, third) = (component(), key(), key(), key());
    let signed = embed(&embed(&bytes, &first).expect("signed"), &second).expect("signed");
    let id = |key: &SigningKey| key.public().id();
    for (keys, expected) in [
        (trusting(&[&first]), SignatureState::Trusted { key: id(&first) }),
        (trusting(&[&second]), SignatureState::Trusted { key: id(&second) }),
        (trusting(&[&third, &second, &first]), SignatureState::Trusted { key: id(&first) }),
        (trusting(&[&third]), SignatureState::Untrusted { key: id(&first) }),
        (trusting(&[]), SignatureState::Untrusted { key: id(&first) }),
    ] {
        assert_eq!(verify(&signed, None, &keys), Ok(expected));
    }
    assert_eq!(signers(&signed, None), Ok(vec![id(&first), id(&second)]));
    // The second one vouches for the first one's signature too: without it, it is wrong.
    let without = [&bytes[..], &signed[bytes.len() + 120..]].concat();
    assert_eq!(verify(&without, None, &trusting(&[&second])), Err(InvalidSignature::Wrong(id(&second))));
    // A wrong one of a known key is refused although a trusted one is right.
    let mut damaged = signed.clone();
    *damaged.last_mut().expect("byte") ^= 1;
    let state = verify(&damaged, None, &trusting(&[&first, &second]));
    assert_eq!(state, Err(InvalidSignature::Wrong(id(&second))));
    // One inside and one beside.
    let beside = detach(&signed, &third);
    let both = verify(&signed, Some(beside.as_bytes()), &trusting(&[&third]));
    assert_eq!(both, Ok(SignatureState::Trusted { key: id(&third) }));
}

#[test]
fn checking_does_not_become_work() {
    let (bytes, ours) = (component(), key());
    let mut many = bytes.clone();
    for _ in 0..MAX_SIGNATURES {
        many = embed(&many, &ours).expect("signed");
    }
    assert!(verify(&many, None, &trusting(&[&ours])).is_ok());
    assert_eq!(embed(&many, &ours), Err(InvalidSignature::TooMany));
    let section = many[many.len() - 120..].to_vec();
    let beside = detach(&many, &ours);
    assert_eq!(verify(&many, Some(beside.as_bytes()), &[]), Err(InvalidSignature::TooMany));
    for _ in 0..(16 << 20) / 120 {
        many.extend(&section);
    }
    let started = std::time::Instant::now();
    assert_eq!(verify(&many, None, &trusting(&[&ours])), Err(InvalidSignature::TooMany));
    // The smallest sections there are, as many as fit.
    let tiny = [&bytes[..], &b"\x00\x01\x00".repeat((32 << 20) / 3)].concat();
    assert_eq!(verify(&tiny, None, &trusting(&[&ours])), Ok(SignatureState::Unsigned));
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}

#[test]
fn what_stands_beside_is_a_signature_or_refused() {
    let (bytes, ours, other) = (component(), key(), key());
    let keys = trusting(&[&ours]);
    let line = detach(&bytes, &ours);
    let check = |text: &[u8]| verify(&bytes, Some(text), &keys);
    let trusted = Ok(SignatureState::Trusted { key: ours.public().id() });
    for text in
        [line.trim().to_owned(), format!("{}{line}", detach(&bytes, &other)), line.trim().to_owned() + ", " + &line]
    {
        assert_eq!(check(text.as_bytes()), trusted, "{text}");
    }
    for text in
        ["", " \n", "AAAA", &line[..line.len() / 2], &line.replace('\n', "="), &"A".repeat(132), &line.repeat(40)]
    {
        assert_eq!(check(text.as_bytes()), Err(InvalidSignature::Unreadable), "{text}");
    }
    assert_eq!(check(b"\xff\xfe"), Err(InvalidSignature::Unreadable));
    let another = [&bytes[..], b"\x00\x03\x02ab"].concat();
    let state = verify(&another, Some(line.as_bytes()), &keys);
    assert_eq!(state, Err(InvalidSignature::Wrong(ours.public().id())), "of another file");
}

#[test]
fn what_is_signed_again_beside_replaces_what_the_same_key_said() {
    let (bytes, ours, other) = (component(), key(), key());
    let both = detach(b"\0asm of before", &ours) + &detach(&bytes, &other);
    let kept = without(both.as_bytes(), &[ours.public().id()]).expect("signatures");
    assert_eq!(kept, detach(&bytes, &other));
    assert!(without(b"AAAA", &[]).is_err());
}

#[test]
fn bytes_that_are_no_component_are_refused() {
    for bytes in [&b"\0asm"[..], b"\0asm\x0d\0\x01\0\x00", b"\0asm\x0d\0\x01\0\x00\xff\xff\xff\xff\x7f"] {
        assert!(matches!(verify(bytes, None, &[]), Err(InvalidSignature::Sections(_))), "{bytes:?}");
    }
    for bytes in [&b"\0asm\x0d\0\x01\0"[..], b"", b"#!/bin/sh"] {
        assert_eq!(verify(bytes, None, &[]), Ok(SignatureState::Unsigned), "what it is, the audit tells: {bytes:?}");
    }
}

#[test]
fn the_policy_decides_about_what_no_trusted_key_signed() {
    let (bytes, ours, other) = (component(), key(), key());
    let trust = |unsigned| Trust { keys: trusting(&[&ours]), unsigned };
    let (ours_signed, others) = (embed(&bytes, &ours).expect("signed"), embed(&bytes, &other).expect("signed"));
    let code = |bytes: &[u8], unsigned| admit(bytes, None, &trust(unsigned)).map_err(|error| error.code);
    for unsigned in [Unsigned::Allow, Unsigned::Refuse] {
        assert_eq!(code(&ours_signed, unsigned), Ok(SignatureState::Trusted { key: ours.public().id() }));
        let mut damaged = ours_signed.clone();
        damaged[10] ^= 0xff;
        assert_eq!(code(&damaged, unsigned), Err("invalid-signature"));
    }
    assert_eq!(code(&bytes, Unsigned::Allow), Ok(SignatureState::Unsigned));
    assert_eq!(code(&others, Unsigned::Allow), Ok(SignatureState::Untrusted { key: other.public().id() }));
    assert_eq!(code(&bytes, Unsigned::Refuse), Err("unsigned"));
    let refused = admit(&others, None, &trust(Unsigned::Refuse)).expect_err("refused");
    assert!(refused.message.contains(&other.public().id().to_string()), "{refused}");
}

#[test]
fn keys_of_others_are_read_and_nothing_else_is() {
    let (made, pem) = SigningKey::generate().expect("key");
    assert_eq!(SigningKey::read(&pem).expect("read").public(), made.public());
    // `openssl genpkey -algorithm ed25519`, and the end of `openssl pkey -pubout -outform DER` of it.
    let openssl = "-----BEGIN PRIVATE KEY-----\n\
                   MC4CAQAwBQYDK2VwBCIEIAb4jx3EbuTv3BMVGlYJz0fDGJL4aZLX9rTTTb+y9iqC\n\
                   -----END PRIVATE KEY-----\n";
    let public = "ed25519:YCCRyvNi5F2Tx9d73LVeXyPpOFm/4yU81LCrm2bifBA=";
    assert_eq!(SigningKey::read(openssl).expect("read").public().to_string(), public);
    let no_pem = pem.lines().nth(1).unwrap_or_default();
    assert_eq!(SigningKey::read(no_pem).err(), Some(KeyFileError::NoPem));
    let rsa = include_str!("../../egress/signing/keys/plain.pem");
    assert_eq!(SigningKey::read(rsa).err(), Some(KeyFileError::OtherKind));
    let encrypted = include_str!("../../egress/signing/keys/aes256.pem");
    assert_eq!(SigningKey::read(encrypted).err(), Some(KeyFileError::NoPem));
}
