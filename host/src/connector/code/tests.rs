//! What is taken from the directory, and what is not.

use std::{fs, path::PathBuf};

use super::*;

struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("wharfinger-code-{}", uuid::Uuid::now_v7())))
    }

    fn cache(&self, key: u8) -> CodeCache {
        CodeCache::open(&self.0, hmac::Key::new(hmac::HMAC_SHA256, &[key; 32])).expect("cache")
    }

    fn files(&self) -> Vec<PathBuf> {
        fs::read_dir(&self.0).expect("directory").map(|entry| entry.expect("entry").path()).collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const CODE: &[u8] = b"machine code of a component";

fn key(name: &str) -> CodeKey {
    CodeKey::new(name, "00ff")
}

#[test]
fn what_was_put_comes_back_after_a_restart_and_only_its_owner_can_read_it() {
    let place = Place::new();
    place.cache(1).put(&key("a"), CODE);
    assert_eq!(place.cache(1).get(&key("a")).as_deref(), Some(CODE));
    assert!(place.cache(1).get(&key("b")).is_none());
    let mode = |path: &Path| fs::metadata(path).expect("file").permissions().mode() & 0o777;
    assert_eq!(mode(&place.0), 0o700);
    assert_eq!(place.files().iter().map(|file| mode(file)).collect::<Vec<_>>(), [0o600]);
}

#[test]
fn one_flipped_byte_anywhere_and_it_is_not_loaded() {
    let place = Place::new();
    let cache = place.cache(1);
    for at in 0..TAG + CODE.len() {
        cache.put(&key("a"), CODE);
        let file = place.files().pop().expect("written");
        let mut bytes = fs::read(&file).expect("read");
        bytes[at] ^= 1;
        fs::write(&file, bytes).expect("flipped");
        assert!(cache.get(&key("a")).is_none(), "byte {at}");
        assert!(place.files().is_empty(), "it is removed");
    }
}

#[test]
fn foreign_and_truncated_files_are_not_loaded() {
    let place = Place::new();
    let cache = place.cache(1);
    cache.put(&key("a"), CODE);
    let file = place.files().pop().expect("written");
    let whole = fs::read(&file).expect("read");
    for bytes in [&whole[..TAG - 1], &whole[..TAG], &whole[..whole.len() - 1], b"", CODE] {
        fs::write(&file, bytes).expect("replaced");
        assert!(cache.get(&key("a")).is_none(), "{} bytes", bytes.len());
    }
    // Of another installation, and under the name of another component.
    fs::write(&file, &whole).expect("restored");
    assert!(place.cache(2).get(&key("a")).is_none());
    fs::write(place.0.join(key("b").0), &whole).expect("moved");
    assert!(cache.get(&key("b")).is_none());
    // Something that is no file, and a link to one.
    fs::create_dir(place.0.join(key("c").0)).expect("directory");
    assert!(cache.get(&key("c")).is_none());
    std::os::unix::fs::symlink("/etc/hostname", place.0.join(key("d").0)).expect("link");
    assert!(cache.get(&key("d")).is_none());
    assert!(place.files().is_empty(), "{:?}", place.files());
}

#[test]
fn other_versions_and_half_written_files_are_swept_away() {
    let place = Place::new();
    let cache = place.cache(1);
    cache.put(&key("a"), CODE);
    cache.put(&CodeKey::new("a", "other"), CODE);
    for name in ["0.0.1-00ff-a.code", ".0.1.0-00ff-a.code.half", "notes"] {
        fs::write(place.0.join(name), CODE).expect("file");
    }
    cache.sweep("00ff");
    assert_eq!(place.files(), [place.0.join(key("a").0)]);
    assert_eq!(cache.get(&key("a")).as_deref(), Some(CODE));
}

#[test]
fn the_oldest_make_room_for_the_newest() {
    let place = Place::new();
    let own = hmac::Key::new(hmac::HMAC_SHA256, &[1; 32]);
    let room_for_two = 2 * (TAG + CODE.len()) as u64 + 1;
    let cache = CodeCache::bounded(&place.0, own, room_for_two).expect("cache");
    for (name, second) in [("a", 1), ("b", 2), ("c", 3)] {
        cache.put(&key(name), CODE);
        let file = fs::File::options().write(true).open(place.0.join(key(name).0)).expect("file");
        file.set_modified(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(second)).expect("time");
    }
    assert_eq!(["a", "b", "c"].map(|name| cache.get(&key(name)).is_some()), [false, true, true]);
}

#[test]
fn what_is_used_stays_when_room_is_made() {
    let place = Place::new();
    let own = hmac::Key::new(hmac::HMAC_SHA256, &[1; 32]);
    let cache = CodeCache::bounded(&place.0, own, 2 * (TAG + CODE.len()) as u64 + 1).expect("cache");
    for (name, second) in [("a", 1), ("b", 2)] {
        cache.put(&key(name), CODE);
        let file = fs::File::options().write(true).open(place.0.join(key(name).0)).expect("file");
        file.set_modified(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(second)).expect("time");
    }
    assert!(cache.get(&key("a")).is_some());
    cache.put(&key("c"), CODE);
    assert_eq!(["a", "b", "c"].map(|name| cache.get(&key(name)).is_some()), [true, false, true]);
}

#[test]
fn what_is_in_use_makes_no_room() {
    let place = Place::new();
    let own = hmac::Key::new(hmac::HMAC_SHA256, &[1; 32]);
    let cache = CodeCache::bounded(&place.0, own, (TAG + CODE.len()) as u64).expect("cache");
    let used = Arc::new(key("a"));
    cache.hold(&used);
    for name in ["a", "b", "c"] {
        cache.put(&key(name), CODE);
    }
    assert_eq!(["a", "b", "c"].map(|name| cache.get(&key(name)).is_some()), [true, false, true]);
    drop(used);
    cache.put(&key("d"), CODE);
    assert_eq!(["a", "c", "d"].map(|name| cache.get(&key(name)).is_some()), [false, false, true]);
}
