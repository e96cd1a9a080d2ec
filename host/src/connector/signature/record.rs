//! The bytes of a signature.

use crate::{connector::section::Section, model::signature::KeyId};

/// The name of the custom section.
const NAME: &[u8] = b"wharfinger.signature";
/// The only version there is.
const VERSION: u8 = 1;
/// Version, key, signature.
const RECORD_BYTES: usize = 1 + 32 + 64;
/// What follows a section's size: the length of the name, the name, the record. Below 128, so the size is
/// one byte: a section is written in one way only, and read in no other.
const INSIDE: usize = 1 + NAME.len() + RECORD_BYTES;
/// A signature.
#[derive(Clone)]
pub(super) struct Record {
    /// Whose it is.
    pub(super) key: KeyId,
    pub(super) signature: [u8; 64],
}

impl Record {
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (key, signature) = bytes.strip_prefix(&[VERSION])?.split_at_checked(32)?;
        Some(Self { key: KeyId::from_bytes(key.try_into().ok()?), signature: signature.try_into().ok()? })
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        [&[VERSION], self.key.as_bytes().as_slice(), &self.signature].concat()
    }

    /// The custom section with the record in it.
    pub(super) fn section(&self) -> Vec<u8> {
        [&[0, INSIDE as u8, NAME.len() as u8], NAME, &self.bytes()].concat()
    }

    /// Reads a whole section.
    pub(super) fn of_section(bytes: &[u8]) -> Option<Self> {
        let inside = bytes.strip_prefix(&[0, INSIDE as u8, NAME.len() as u8])?;
        Self::read(inside.strip_prefix(NAME)?)
    }
}

/// Whether a section is a custom one of this name, however the name's length is written.
pub(super) fn is_signature(section: &Section, bytes: &[u8]) -> bool {
    section.custom_name(bytes) == Some(NAME)
}
