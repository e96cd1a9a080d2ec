//! Partitions: one for each container, with an id that its names make.

use wharfinger_sdk::{Partition, http::encode};

use crate::request::{Container, Schema};

/// Longest id that is made of the names themselves; the host keeps up to 1024 bytes.
const MAX_ID: usize = 900;
/// Where the two halves of a hash begin: FNV-1a's own beginning, and another.
const SEEDS: [u64; 2] = [0xcbf2_9ce4_8422_2325, 0x6c62_272e_07bb_0142];

/// The partition that lists a container.
pub(super) fn partition(container: Container<'_>, payload: &str) -> Partition {
    let (id, names) = match container {
        Container::Account => ("databases".to_owned(), vec![]),
        Container::Database(database) => (id("schemas", &[database]), vec![database]),
        Container::Schema(Schema { database, name }) => (id("objects", &[database, name]), vec![database, name]),
    };
    Partition::new(id, names.into_iter().map(str::to_owned).collect(), payload)
}

/// The names, or a hash of them where they would be too long. `#` stands in no encoded name, so that neither form can be
/// taken for the other.
fn id(prefix: &str, names: &[&str]) -> String {
    let spelled = names.iter().map(|name| encode(name)).collect::<Vec<_>>().join("/");
    if prefix.len() + 1 + spelled.len() <= MAX_ID {
        return format!("{prefix}/{spelled}");
    }
    let [high, low] = SEEDS.map(|seed| hash(seed, names));
    format!("{prefix}/#{high:016x}{low:016x}")
}

/// FNV-1a over length and bytes of each name: the same in every build, as ids outlive one.
fn hash(seed: u64, names: &[&str]) -> u64 {
    let lengths = names.iter().map(|name| (name.len() as u64).to_le_bytes());
    let bytes = lengths.zip(names).flat_map(|(length, name)| length.into_iter().chain(name.bytes()));
    bytes.fold(seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn schema(database: &str, name: &str) -> String {
        partition(Container::Schema(Schema { database, name }), "1:R").id
    }

    #[test]
    fn ids_are_short_and_differ_whatever_the_script() {
        let scripts = ["A", "a", "ü", "я", "漢", "👾", "\"", "%", "/", "\u{202e}"];
        let names: Vec<String> = scripts.iter().map(|script| script.repeat(255)).collect();
        let mut seen = HashSet::new();
        for database in &names {
            let id = partition(Container::Database(database), "1:R").id;
            assert!(id.len() <= MAX_ID, "{id}");
            assert!(seen.insert(id));
            for name in &names {
                let id = schema(database, name);
                assert!(id.len() <= MAX_ID, "{id}");
                assert_eq!(id, schema(database, name), "the same every time");
                assert!(seen.insert(id));
            }
        }
        let long = "я".repeat(254);
        assert_ne!(schema(&format!("{long}я"), &long), schema(&long, &format!("я{long}")), "lengths count");
    }

    #[test]
    fn short_names_are_spelled_and_long_ones_keep_their_hash() {
        assert_eq!(partition(Container::Account, "").id, "databases");
        assert_eq!(schema("D 1", "it's"), "objects/D%201/it%27s");
        let id = partition(Container::Database(&"漢".repeat(255)), "").id;
        assert_eq!(id, "schemas/#fc2844020948339af5ede68cb496202f");
    }
}
