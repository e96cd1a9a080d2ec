//! Texts at a place in JSON, found without making the document: an answer may be large and the place small.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A JSON pointer in which the segment `*` stands for every element of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::egress) struct Pointer(Vec<Segment>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Every,
    Name(String),
}

/// Texts, a bounded number and size of them.
pub(in crate::egress) struct Texts {
    pub(in crate::egress) found: Vec<String>,
    /// Whether there were more.
    pub(in crate::egress) full: bool,
    bytes: usize,
    most: usize,
    most_bytes: usize,
}

impl Pointer {
    pub(in crate::egress) fn parse(text: &str) -> Option<Self> {
        let segments = text.strip_prefix('/')?.split('/');
        let segment = |text: &str| match text {
            "*" => Segment::Every,
            name => Segment::Name(name.replace("~1", "/").replace("~0", "~")),
        };
        Some(Self(segments.map(segment).collect()))
    }

    /// Every text there.
    pub(super) fn texts(&self, json: &[u8], into: &mut Texts) {
        self.follow(json, Leaf::Text, into);
    }

    /// Every text there, and every text that is a value of an object there.
    pub(super) fn texts_and_objects(&self, json: &[u8], into: &mut Texts) {
        self.follow(json, Leaf::TextOrObject, into);
    }

    fn follow(&self, json: &[u8], leaf: Leaf, into: &mut Texts) {
        let mut reader = serde_json::Deserializer::from_slice(json);
        let before = into.found.len();
        let whole =
            Follow { rest: &self.0, leaf, into: &mut *into }.deserialize(&mut reader).and_then(|()| reader.end());
        // Half a document is none.
        if whole.is_err() {
            into.found.truncate(before);
        }
    }
}

impl Texts {
    pub(in crate::egress) fn new(most: usize, most_bytes: usize) -> Self {
        Self { found: Vec::new(), full: false, bytes: 0, most, most_bytes }
    }

    /// False when there is no more room.
    fn push(&mut self, text: &str) -> bool {
        self.bytes += text.len();
        self.full |= self.found.len() >= self.most || self.bytes > self.most_bytes;
        if !self.full {
            self.found.push(text.to_owned());
        }
        !self.full
    }
}

#[derive(Clone, Copy)]
enum Leaf {
    Text,
    TextOrObject,
}

struct Follow<'a> {
    rest: &'a [Segment],
    leaf: Leaf,
    into: &'a mut Texts,
}

impl<'de> DeserializeSeed<'de> for Follow<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Follow<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        if self.rest.is_empty() && !self.into.push(text) { Err(E::custom("too many")) } else { Ok(()) }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (all, rest, leaf) = match (self.rest.split_first(), self.leaf) {
            (None, Leaf::TextOrObject) => (true, self.rest, Leaf::Text),
            (None, Leaf::Text) | (Some((Segment::Every, _)), _) => (false, self.rest, Leaf::Text),
            (Some((Segment::Name(_), rest)), leaf) => (false, rest, leaf),
        };
        while let Some(key) = map.next_key::<String>()? {
            let named = matches!(self.rest.first(), Some(Segment::Name(name)) if *name == key);
            if all || named {
                map.next_value_seed(Follow { rest, leaf, into: &mut *self.into })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut index = 0_usize;
        loop {
            let more = match self.rest.split_first() {
                Some((Segment::Every, rest)) => {
                    seq.next_element_seed(Follow { rest, leaf: self.leaf, into: &mut *self.into })?.is_some()
                }
                Some((Segment::Name(name), rest)) if *name == index.to_string() => {
                    seq.next_element_seed(Follow { rest, leaf: self.leaf, into: &mut *self.into })?.is_some()
                }
                _ => seq.next_element::<IgnoredAny>()?.is_some(),
            };
            if !more {
                return Ok(());
            }
            index += 1;
        }
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn texts(pointer: &str, json: &str) -> Vec<String> {
        let mut found = Texts::new(5, 1000);
        Pointer::parse(pointer).unwrap().texts(json.as_bytes(), &mut found);
        found.found
    }

    #[test]
    fn texts_are_found_where_they_are_pointed_at() {
        let json = json!({
            "data": {"chunks": [{"url": "a", "n": 1}, {"n": 2}, {"url": "b"}, {"url": ["no"]}, {"url": 7}, null],
                     "rowset": [["url", "x"]], "one": "c", "a/b": "d", "list": ["e", ["f"], {"g": "h"}]},
            "chunks": [{"url": "not here"}]
        })
        .to_string();
        for (pointer, expected) in [
            ("/data/chunks/*/url", vec!["a", "b"]),
            ("/data/chunks/2/url", vec!["b"]),
            ("/data/one", vec!["c"]),
            ("/data/a~1b", vec!["d"]),
            ("/data/list/*", vec!["e"]),
            ("/data/*", vec![]),
            ("/data/one/url", vec![]),
            ("/nowhere", vec![]),
        ] {
            assert_eq!(texts(pointer, &json), expected, "{pointer}");
        }
        assert!(Pointer::parse("data").is_none() && Pointer::parse("").is_none());
        assert!(texts("/data/one", &json[..json.len() - 1]).is_empty(), "half a document is none");
        assert!(texts("/data/one", "<html>").is_empty());
    }

    #[test]
    fn values_of_objects_count_where_they_may() {
        let json =
            json!({"headers": {"x-key": "k", "x-md5": "m", "deep": {"no": "n"}, "n": 1}, "key": "q"}).to_string();
        let mut found = Texts::new(5, 1000);
        for pointer in ["/headers", "/key", "/none"] {
            Pointer::parse(pointer).unwrap().texts_and_objects(json.as_bytes(), &mut found);
        }
        found.found.sort();
        assert_eq!(found.found, ["k", "m", "q"]);
        assert!(texts("/headers", &json).is_empty());
    }

    #[test]
    fn there_is_an_end_to_what_is_taken() {
        let many = json!(vec!["x"; 6]).to_string();
        let mut found = Texts::new(5, 1000);
        Pointer::parse("/*").unwrap().texts(many.as_bytes(), &mut found);
        assert!(found.full && found.found.is_empty());
        let mut found = Texts::new(5, 1000);
        Pointer::parse("/*").unwrap().texts(json!(["x".repeat(1001)]).to_string().as_bytes(), &mut found);
        assert!(found.full);
    }
}
