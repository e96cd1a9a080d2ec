//! A stable number for an id, to spread over time what would otherwise happen to many at the same instant.

/// SplitMix64 of both halves: evenly spread and always the same, unlike the hash of the standard library, which promises
/// nothing from one version to the next.
#[must_use]
pub fn spread(id: u128) -> u64 {
    let mut hash = 0_u64;
    for half in [(id >> 64) as u64, id as u64] {
        hash = (hash ^ half).wrapping_add(0x9E37_79B9_7F4A_7C15);
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        hash = (hash ^ (hash >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        hash ^= hash >> 31;
    }
    hash
}
