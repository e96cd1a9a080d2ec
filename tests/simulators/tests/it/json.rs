//! JSON with the order of its keys, and what a set of documents shows about its own shape.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// A JSON document that remembers the order of keys.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    Scalar(Value),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
}

/// Which keys, in which order, and which types stand at each path (`tables[].columns[].name`).
#[derive(Debug, Default)]
pub(crate) struct Shapes {
    keys: BTreeMap<String, BTreeSet<Vec<String>>>,
    types: BTreeMap<String, BTreeSet<&'static str>>,
}

impl Shapes {
    /// Notes a document.
    pub(crate) fn learn(&mut self, at: &str, node: &Node) {
        self.types.entry(at.to_owned()).or_default().insert(node.type_name());
        match node {
            Node::Scalar(_) => {}
            Node::List(items) => items.iter().for_each(|item| self.learn(&format!("{at}[]"), item)),
            Node::Object(members) if is_map(at) => {
                members.iter().for_each(|(_, of)| self.learn(&format!("{at}.*"), of));
            }
            Node::Object(members) => {
                let keys = members.iter().map(|(key, _)| key.clone()).collect();
                self.keys.entry(at.to_owned()).or_default().insert(keys);
                members.iter().for_each(|(key, of)| self.learn(&format!("{at}.{key}"), of));
            }
        }
    }

    /// Everything in a document that was never seen at its place.
    pub(crate) fn unseen(&self, at: &str, node: &Node, found: &mut Vec<String>) {
        if !self.types.get(at).is_some_and(|types| types.contains(node.type_name())) {
            found.push(format!("{at} is {}, seen {:?}", node.type_name(), self.types.get(at)));
        }
        match node {
            Node::Scalar(_) => {}
            Node::List(items) => items.iter().for_each(|item| self.unseen(&format!("{at}[]"), item, found)),
            Node::Object(members) if is_map(at) => {
                members.iter().for_each(|(_, of)| self.unseen(&format!("{at}.*"), of, found));
            }
            Node::Object(members) => {
                let keys: Vec<_> = members.iter().map(|(key, _)| key.clone()).collect();
                if !self.keys.get(at).is_some_and(|seen| seen.contains(&keys)) {
                    found.push(format!("{at} has the keys {keys:?}, seen {:?}", self.keys.get(at)));
                }
                members.iter().for_each(|(key, of)| self.unseen(&format!("{at}.{key}"), of, found));
            }
        }
    }
}

/// Free-form keys.
fn is_map(at: &str) -> bool {
    at.ends_with(".properties")
}

impl Node {
    fn type_name(&self) -> &'static str {
        match self {
            Self::Scalar(Value::Null) => "null",
            Self::Scalar(Value::Bool(_)) => "boolean",
            Self::Scalar(Value::Number(_)) => "number",
            Self::Scalar(_) => "text",
            Self::List(_) => "list",
            Self::Object(_) => "object",
        }
    }

    /// The same document without the given keys, at any depth.
    pub(crate) fn without(&self, keys: &[&str]) -> Self {
        match self {
            Self::Scalar(value) => Self::Scalar(value.clone()),
            Self::List(items) => Self::List(items.iter().map(|item| item.without(keys)).collect()),
            Self::Object(members) => {
                let kept = members.iter().filter(|(key, _)| !keys.contains(&key.as_str()));
                Self::Object(kept.map(|(key, of)| (key.clone(), of.without(keys))).collect())
            }
        }
    }

    /// The first place where two documents differ.
    pub(crate) fn difference(&self, other: &Self, at: &str) -> Option<String> {
        match (self, other) {
            (Self::List(a), Self::List(b)) if a.len() == b.len() => {
                a.iter().zip(b).enumerate().find_map(|(n, (a, b))| a.difference(b, &format!("{at}[{n}]")))
            }
            (Self::Object(a), Self::Object(b)) if is_map(at) => {
                let (a, b): (BTreeMap<_, _>, BTreeMap<_, _>) = (
                    a.iter().map(|(k, v)| (k, format!("{v:?}"))).collect(),
                    b.iter().map(|(k, v)| (k, format!("{v:?}"))).collect(),
                );
                (a != b).then(|| format!("{at}: {a:?} is not {b:?}"))
            }
            (Self::Object(a), Self::Object(b)) if a.iter().map(|(key, _)| key).eq(b.iter().map(|(key, _)| key)) => {
                a.iter().zip(b).find_map(|((key, a), (_, b))| a.difference(b, &format!("{at}.{key}")))
            }
            _ => (self != other).then(|| format!("{at}: {self:?} is not {other:?}")),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;

        impl<'de> Visitor<'de> for Read {
            type Value = Node;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }

            fn visit_unit<E>(self) -> Result<Node, E> {
                Ok(Node::Scalar(Value::Null))
            }

            fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
                Ok(Node::Scalar(value.into()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
                Ok(Node::Scalar(value.into()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
                Ok(Node::Scalar(value.into()))
            }

            fn visit_str<E>(self, value: &str) -> Result<Node, E> {
                Ok(Node::Scalar(value.into()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element()? {
                    list.push(item);
                }
                Ok(Node::List(list))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Node, A::Error> {
                let mut object = Vec::new();
                while let Some(member) = members.next_entry()? {
                    object.push(member);
                }
                Ok(Node::Object(object))
            }
        }

        deserializer.deserialize_any(Read)
    }
}
