//! Where the sections of a component or module begin and end, without a look into them.

/// `\0asm` and the version, before the first section.
pub(super) const HEADER: usize = 8;

/// The id of sections that only tools read.
const CUSTOM: u8 = 0;

/// Where one of the outermost sections lies.
pub(super) struct Section {
    pub(super) id: u8,
    /// Where its id stands.
    pub(super) start: usize,
    /// Where its content begins.
    pub(super) inside: usize,
    /// The byte after it.
    pub(super) end: usize,
}

impl Section {
    /// The name, where it is a custom section.
    pub(super) fn custom_name<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let inside = &bytes[self.inside..self.end];
        let (length, read) = number(inside).filter(|_| self.id == CUSTOM)?;
        inside.get(read..read.checked_add(length)?)
    }
}

/// The outermost sections, in order; where one cannot be told apart, the place, and then no more. None is kept: a file
/// can be made of millions.
pub(super) fn sections(bytes: &[u8]) -> impl Iterator<Item = Result<Section, usize>> {
    let mut start = HEADER;
    std::iter::from_fn(move || {
        if start == bytes.len() {
            return None;
        }
        let found = section(bytes, start).ok_or(start.min(bytes.len()));
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

/// Writes a section.
pub(super) fn write(out: &mut Vec<u8>, id: u8, inside: &[u8]) {
    out.push(id);
    let mut size = inside.len();
    while size >= 0x80 {
        out.push((size & 0x7f) as u8 | 0x80);
        size >>= 7;
    }
    out.push(size as u8);
    out.extend_from_slice(inside);
}
