//! The bytes of a signature, and where in a component the sections begin and end.

use super::InvalidSignature;
use crate::model::signature::KeyId;

/// The name of the custom section.
const NAME: &[u8] = b"wharfinger.signature";
/// The only version there is.
const VERSION: u8 = 1;
/// Version, key, signature.
const RECORD_BYTES: usize = 1 + 32 + 64;
/// What follows a section's size: the length of the name, the name, the record. Below 128, so the size is
/// one byte: a section is written in one way only, and read in no other.
const INSIDE: usize = 1 + NAME.len() + RECORD_BYTES;
/// `\0asm` and the version, before the first section.
const HEADER: usize = 8;

/// A signature.
#[derive(Clone)]
pub(super) struct Record {
    /// Whose it is.
    pub(super) key: KeyId,
    pub(super) signature: [u8; 64],
}

/// Where one of the outermost sections lies.
pub(super) struct Section {
    id: u8,
    /// Where its id stands.
    pub(super) start: usize,
    inside: usize,
    /// The byte after it.
    pub(super) end: usize,
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

impl Section {
    /// Whether it is a custom section of this name, however the name's length is written.
    pub(super) fn is_signature(&self, bytes: &[u8]) -> bool {
        let inside = &bytes[self.inside..self.end];
        self.id == 0
            && number(inside).is_some_and(|(length, read)| {
                inside.get(read..read.saturating_add(length)).is_some_and(|name| name == NAME)
            })
    }
}

/// The outermost sections, in order, until one cannot be told apart. What lies in them is not looked at, and none is
/// kept: a file can be made of millions.
pub(super) fn sections(bytes: &[u8]) -> impl Iterator<Item = Result<Section, InvalidSignature>> {
    let mut start = HEADER;
    std::iter::from_fn(move || {
        if start == bytes.len() {
            return None;
        }
        let found = section(bytes, start).ok_or(InvalidSignature::Sections(start.min(bytes.len())));
        start = found.as_ref().map_or(bytes.len(), |section| section.end);
        Some(found)
    })
}

fn section(bytes: &[u8], start: usize) -> Option<Section> {
    let id = *bytes.get(start)?;
    let (size, read) = number(bytes.get(start + 1..)?)?;
    let inside = start + 1 + read;
    let end = inside.checked_add(size).filter(|end| *end <= bytes.len())?;
    Some(Section { id, start, inside, end })
}

/// A number of at most 32 bits in LEB128, and how many bytes it takes.
fn number(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0_u64;
    for (at, byte) in bytes.iter().take(5).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(u32::try_from(value).ok()?).ok()?, at + 1));
        }
    }
    None
}
