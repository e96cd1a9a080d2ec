//! Key pairs for tests, in every form people have them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// What opens the encrypted forms.
pub const PASSPHRASE: &str = "gang plank & 9 knots";

/// A form of a private key file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyForm {
    /// `BEGIN PRIVATE KEY`.
    Pkcs8,
    /// `BEGIN ENCRYPTED PRIVATE KEY`, AES-256-CBC.
    Encrypted,
    /// `BEGIN ENCRYPTED PRIVATE KEY`, triple DES: what older instructions made.
    EncryptedDes3,
    /// `BEGIN RSA PRIVATE KEY`.
    Pkcs1,
}

/// The first pair's private key, the same in every form.
pub fn private_key(form: KeyForm) -> &'static str {
    match form {
        KeyForm::Pkcs8 => include_str!("keys/first.pkcs8.pem"),
        KeyForm::Encrypted => include_str!("keys/first.encrypted.pem"),
        KeyForm::EncryptedDes3 => include_str!("keys/first.des3.pem"),
        KeyForm::Pkcs1 => include_str!("keys/first.pkcs1.pem"),
    }
}

/// The second pair's private key, for rotation and for wrong signatures.
pub fn second_private_key() -> &'static str {
    include_str!("keys/second.pkcs8.pem")
}

/// The first pair's public key as DER of the SubjectPublicKeyInfo.
pub fn public_key() -> Vec<u8> {
    der(include_str!("keys/first.pub.pem"))
}

/// The second pair's.
pub fn second_public_key() -> Vec<u8> {
    der(include_str!("keys/second.pub.pem"))
}

/// The bytes of a PEM file; empty if it is none.
pub fn der(pem: &str) -> Vec<u8> {
    let inside: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    STANDARD.decode(inside).unwrap_or_default()
}
