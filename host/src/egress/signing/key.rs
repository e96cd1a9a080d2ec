//! From what people paste for a private key to one that signs.
//!
//! PKCS#8, plain or encrypted by PBES2 (AES-CBC or DES3; PBKDF2 or scrypt), and PKCS#1. Everything else is refused with
//! what to do about it. What it costs to open a key stands in the key, so it is bounded before anything is computed.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use pkcs8::{
    EncryptedPrivateKeyInfo, PrivateKeyInfo,
    der::{
        Decode as _, Encode as _, Reader as _, SliceReader,
        asn1::{AnyRef, BitStringRef, ObjectIdentifier},
    },
    pkcs5::{EncryptionScheme, pbes2::Kdf},
    spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfo},
};
use ring::{digest, signature::RsaKeyPair};
use zeroize::Zeroizing;

use super::Signer;

/// RSA keys, whatever padding they sign with.
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// Rounds of PBKDF2: a few seconds at most. `openssl` does 2 048 unless it is told otherwise.
const MAX_ROUNDS: u32 = 5_000_000;

/// Memory of scrypt; `openssl` takes 16 MiB unless it is told otherwise.
const MAX_SCRYPT_MEMORY: u64 = 64 << 20;

/// All that scrypt writes: that memory, `p` times.
const MAX_SCRYPT_WORK: u64 = 1 << 30;

/// Why a text is not a key that can sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyError {
    NoPem,
    Certificate,
    PublicKey,
    OtherFormat,
    NotRsa,
    OldPem,
    OldEncryption,
    TooCostly,
    NoPassphrase,
    WrongPassphrase,
    Damaged,
    TooSmall,
    TooLarge,
    OddSize,
}

impl KeyError {
    /// In the words of whoever filled in the properties.
    pub(super) fn told(self, pem: &str, passphrase: Option<&str>) -> String {
        let convert = "convert it: openssl pkcs8 -topk8 -v2 aes-256-cbc -in OLD.pem -out NEW.p8";
        let why = match self {
            Self::NoPem => {
                "is not a private key in PEM form: paste the whole text, from `-----BEGIN PRIVATE KEY-----` (or \
                 `ENCRYPTED PRIVATE KEY`) to its `-----END` line"
            }
            Self::Certificate => "is a certificate: the private key that belongs to it is needed",
            Self::PublicKey => "is a public key: the private key that belongs to it is needed",
            Self::OtherFormat => {
                return format!("`{pem}` is a private key of another form; {convert}");
            }
            Self::NotRsa => "is not an RSA key: make one with `openssl genrsa 2048`",
            Self::OldPem => {
                return format!("`{pem}` is encrypted in the old way of PEM (`Proc-Type: 4,ENCRYPTED`); {convert}");
            }
            Self::OldEncryption => {
                return format!("`{pem}` is encrypted in an old way (PBES1 or PKCS#12); {convert}");
            }
            Self::TooCostly => {
                return format!("`{pem}` asks for more work to be opened than this host does; {convert}");
            }
            Self::NoPassphrase => {
                return match passphrase {
                    Some(property) => format!("`{pem}` is encrypted: `{property}` must hold its passphrase"),
                    None => format!("`{pem}` is encrypted: take one that is not"),
                };
            }
            Self::WrongPassphrase => {
                let property = passphrase.unwrap_or("the passphrase");
                return format!("`{property}` is not the passphrase of `{pem}`, or the key is damaged");
            }
            Self::Damaged => "is a damaged private key: paste the whole text again",
            Self::TooSmall => "is an RSA key of less than 2048 bits: make a longer one with `openssl genrsa 2048`",
            Self::TooLarge => {
                "is an RSA key of more than 4096 bits, with which this host cannot sign: take 2048 to 4096"
            }
            Self::OddSize => "is an RSA key of an unusual length: take one of 2048, 3072 or 4096 bits",
        };
        format!("`{pem}` {why}")
    }
}

pub(super) fn open(pem: &str, passphrase: Option<&str>) -> Result<Signer, KeyError> {
    let (label, inside) = block(pem)?;
    if inside.contains("Proc-Type:") {
        return Err(KeyError::OldPem);
    }
    let body: Zeroizing<String> = Zeroizing::new(inside.chars().filter(|c| !c.is_ascii_whitespace()).collect());
    let der = Zeroizing::new(STANDARD.decode(body.as_bytes()).map_err(|_| match label {
        "PRIVATE KEY" | "ENCRYPTED PRIVATE KEY" | "RSA PRIVATE KEY" => KeyError::Damaged,
        _ => other(label),
    })?);
    match label {
        "PRIVATE KEY" => of_pkcs8(&der),
        "ENCRYPTED PRIVATE KEY" => {
            of_pkcs8(&decrypted(&der, passphrase)?).map_err(|error| match error {
                // A wrong passphrase decrypts now and then to what only looks well padded.
                KeyError::Damaged => KeyError::WrongPassphrase,
                other => other,
            })
        }
        "RSA PRIVATE KEY" => of_pkcs1(&der),
        _ => Err(other(label)),
    }
}

/// What the first PEM block is, and what stands between its lines.
fn block(pem: &str) -> Result<(&str, &str), KeyError> {
    let (_, rest) = pem.split_once("-----BEGIN ").ok_or(KeyError::NoPem)?;
    let (label, rest) = rest.split_once("-----").ok_or(KeyError::NoPem)?;
    let (inside, rest) = rest.split_once("-----END ").ok_or(KeyError::NoPem)?;
    if rest.strip_prefix(label).is_some_and(|rest| rest.starts_with("-----")) {
        Ok((label, inside))
    } else {
        Err(KeyError::NoPem)
    }
}

fn other(label: &str) -> KeyError {
    match label {
        _ if label.ends_with("CERTIFICATE") => KeyError::Certificate,
        _ if label.ends_with("PUBLIC KEY") => KeyError::PublicKey,
        "EC PRIVATE KEY" | "DSA PRIVATE KEY" => KeyError::NotRsa,
        _ if label.ends_with("PRIVATE KEY") => KeyError::OtherFormat,
        _ => KeyError::NoPem,
    }
}

fn decrypted(der: &[u8], passphrase: Option<&str>) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let info = EncryptedPrivateKeyInfo::from_der(der).map_err(|_| match algorithm(der) {
        None => KeyError::Damaged,
        // Of PBES2 everything is known that anybody uses; what is not would have to be converted too.
        Some(_) => KeyError::OldEncryption,
    })?;
    let EncryptionScheme::Pbes2(parameters) = &info.encryption_algorithm else {
        return Err(KeyError::OldEncryption);
    };
    let affordable = match &parameters.kdf {
        Kdf::Pbkdf2(pbkdf2) => pbkdf2.iteration_count <= MAX_ROUNDS,
        Kdf::Scrypt(scrypt) => {
            let memory = 128_u64.saturating_mul(scrypt.cost_parameter).saturating_mul(scrypt.block_size.into());
            memory <= MAX_SCRYPT_MEMORY && memory.saturating_mul(scrypt.parallelization.into()) <= MAX_SCRYPT_WORK
        }
        _ => return Err(KeyError::OldEncryption),
    };
    if !affordable {
        return Err(KeyError::TooCostly);
    }
    let passphrase = passphrase.ok_or(KeyError::NoPassphrase)?;
    let plain = info.encryption_algorithm.decrypt(passphrase, info.encrypted_data);
    plain.map(Zeroizing::new).map_err(|_| KeyError::WrongPassphrase)
}

/// The algorithm of an encrypted key that could not be read as a whole.
fn algorithm(der: &[u8]) -> Option<ObjectIdentifier> {
    let mut reader = SliceReader::new(der).ok()?;
    let found = reader.sequence(|inside| {
        let algorithm = AlgorithmIdentifierRef::decode(inside)?;
        AnyRef::decode(inside)?;
        Ok(algorithm.oid)
    });
    found.ok()
}

fn of_pkcs8(der: &[u8]) -> Result<Signer, KeyError> {
    let info = PrivateKeyInfo::from_der(der).map_err(|_| KeyError::Damaged)?;
    if info.algorithm.oid != RSA {
        return Err(KeyError::NotRsa);
    }
    of_pkcs1(info.private_key)
}

fn of_pkcs1(der: &[u8]) -> Result<Signer, KeyError> {
    let key = RsaKeyPair::from_der(der).map_err(|rejected| match rejected.to_string().as_str() {
        "TooSmall" => KeyError::TooSmall,
        "TooLarge" => KeyError::TooLarge,
        "PrivateModulusLenNotMultipleOf512Bits" => KeyError::OddSize,
        _ => KeyError::Damaged,
    })?;
    let public = key.public().as_ref();
    let info = SubjectPublicKeyInfo {
        algorithm: AlgorithmIdentifierRef { oid: RSA, parameters: Some(AnyRef::NULL) },
        subject_public_key: BitStringRef::from_bytes(public).map_err(|_| KeyError::Damaged)?,
    };
    let info = info.to_der().map_err(|_| KeyError::Damaged)?;
    let fingerprint = STANDARD.encode(digest::digest(&digest::SHA256, &info));
    Ok(Signer { key, fingerprint })
}
