//! Compressed bodies: whole ones, and ones that inflate to more than anybody wants to hold.

use std::io::{Read, Write as _};

use bytes::Bytes;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use flate2::{Compress, Compression, Crc, FlushCompress};

use crate::wire::Body;

/// Request bodies inflate to no more than this.
const MOST: u64 = 64 << 20;
/// How much one block of a bomb inflates to.
const BLOCK: usize = 1 << 20;

/// Compresses, quickly rather than well.
pub(crate) fn compress(of: &[&[u8]]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    for piece in of {
        if let Err(error) = encoder.write_all(piece) {
            tracing::error!(%error, "a body could not be compressed");
        }
    }
    encoder.finish().unwrap_or_default().into()
}

/// A body as sent, inflated where its first bytes say that it is compressed.
pub(crate) fn inflate(body: &Bytes) -> Option<Bytes> {
    if !body.starts_with(&[0x1f, 0x8b]) {
        return Some(body.clone());
    }
    let mut out = Vec::new();
    GzDecoder::new(&body[..]).take(MOST).read_to_end(&mut out).ok()?;
    Some(out.into())
}

/// A gzip body that inflates to `head`, so many bytes of `x` and `tail`. It is one member, as decoders expect, made of one
/// compressed block over and over, so neither form of it is ever held.
pub(crate) fn bomb(head: &[u8], bytes: u64, tail: &[u8]) -> Body {
    let piece = vec![b'x'; BLOCK];
    let times = bytes.div_ceil(BLOCK as u64);
    let mut checksum = Crc::new();
    checksum.update(head);
    let mut of_piece = Crc::new();
    of_piece.update(&piece);
    (0..times).for_each(|_| checksum.combine(&of_piece));
    let mut of_tail = Crc::new();
    of_tail.update(tail);
    checksum.combine(&of_tail);
    let mut start = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    start.extend(block(head, FlushCompress::Full));
    let mut end = block(tail, FlushCompress::Finish);
    end.extend(checksum.sum().to_le_bytes());
    end.extend(((head.len() as u64 + times * BLOCK as u64 + tail.len() as u64) as u32).to_le_bytes());
    Body::Repeated { head: start.into(), piece: block(&piece, FlushCompress::Full).into(), times, tail: end.into() }
}

/// One block that depends on no other: a full flush ends on a byte and forgets what was before.
fn block(of: &[u8], flush: FlushCompress) -> Vec<u8> {
    let mut out = Vec::with_capacity(of.len() + 1_024);
    if let Err(error) = Compress::new(Compression::default(), false).compress_vec(of, &mut out, flush) {
        tracing::error!(%error, "a block could not be compressed");
    }
    out
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::{bomb, compress, inflate};
    use crate::wire::Body;

    #[test]
    fn what_is_compressed_inflates_to_the_same() {
        let body = compress(&[b"[", b"1,2", b"]"]);
        assert_eq!(inflate(&body).unwrap(), "[1,2]");
        assert_eq!(inflate(&"plain".into()).unwrap(), "plain");
        assert_eq!(inflate(&vec![0x1f, 0x8b, 8, 9].into()), None);
    }

    #[test]
    fn a_bomb_is_small_and_sound() {
        let Body::Repeated { head, piece, times, tail } = bomb(b"[\"", 5 << 20, b"\"]") else { panic!("repeated") };
        let mut body = head.to_vec();
        (0..times).for_each(|_| body.extend(&piece));
        body.extend(&tail);
        assert!(body.len() < 20_000, "{}", body.len());
        let mut out = String::new();
        flate2::read::GzDecoder::new(&body[..]).read_to_string(&mut out).unwrap();
        assert_eq!(out.len(), (5 << 20) + 4);
        assert!(out.starts_with("[\"xx") && out.ends_with("xx\"]"));
    }
}
