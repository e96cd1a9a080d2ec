//! Pages of a catalog: checked and moved into the model's types.
//!
//! A bad object is reported beside the others and left out; a page over its limits, or one whose partitions cannot be
//! followed, fails as a whole. Nothing outside what was asked for gets through, so a partition can never speak for
//! another one. Text is moved, never copied: this is on the way of every column of every table.

use std::{collections::HashSet, time::Duration};

use super::{
    catalog_types,
    types::{Attributes, Error},
};
use crate::{
    connector::{
        error::{CallError, ErrorCode, clean},
        limits::{Limits, MAX_CURSOR, MAX_LABEL, MAX_MESSAGE},
    },
    model::{
        column::Column,
        name::{Ident, MAX_NAME_CHARS},
        object::{Facts, Kind},
        page::{Cursor, Listing, ObjectError, Page, Partition, ScannedObject},
        path::{MAX_LEVEL, RemotePath},
    },
};

/// Most attributes of one object.
const MAX_ATTRIBUTES: usize = 256;
/// The shortest pause between two pages of a connector that asks for one: it polls, and polling in a tight loop serves
/// nobody.
const MIN_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause a connector may ask for between two pages.
const MAX_PAUSE: Duration = Duration::from_secs(60 * 60);
/// The key under which an object says that the connector leaves it out, and why.
const EXCLUDED: &str = "excluded";
/// The code of an object that was left out because it cannot be one.
const INVALID_OBJECT: &str = "invalid-object";

/// What a page may speak of.
pub(in crate::connector) enum Expect {
    /// Everything below a partition's scope.
    Below(RemotePath),
    /// Children of a container that were named.
    Named {
        /// The container.
        scope: RemotePath,
        /// Their namespace.
        namespace: String,
        /// Their names.
        names: HashSet<String>,
    },
}

impl Expect {
    fn scope(&self) -> &RemotePath {
        match self {
            Self::Below(scope) | Self::Named { scope, .. } => scope,
        }
    }

    /// Why an object was not asked for.
    fn refuses(&self, path: &RemotePath, namespace: &str) -> Option<&'static str> {
        match self {
            Self::Below(scope) => (!path.is_within(scope)).then_some("lies outside the partition"),
            Self::Named { scope, namespace: wanted, names } => match path.0.split_last() {
                Some((name, rest)) if rest == scope.0 && namespace == wanted && names.contains(name.as_str()) => None,
                _ => Some("was not asked for"),
            },
        }
    }
}

/// Checks a page and takes it over.
pub(in crate::connector) fn page(
    page: catalog_types::Page,
    expect: &Expect,
    limits: &Limits,
) -> Result<Page, CallError> {
    bounded("objects", page.objects.len(), limits)?;
    bounded("errors", page.errors.len(), limits)?;
    bounded("completed containers", page.listed.len(), limits)?;
    let mut errors: Vec<ObjectError> = page.errors.into_iter().map(object_error).collect();
    let mut objects = Vec::with_capacity(page.objects.len());
    let mut bytes = 0;
    for object in page.objects {
        bytes += weight(&object);
        if bytes > limits.page_bytes() {
            let message = format!("the connector returned a page of more than {} MiB", limits.page_mib);
            return Err(CallError::new(ErrorCode::TooLarge, message));
        }
        match scanned(object, expect) {
            Ok(object) => objects.push(object),
            Err(error) => errors.push(error),
        }
    }
    let mut listed = Vec::with_capacity(page.listed.len());
    for listing in page.listed {
        match complete(listing, expect) {
            Ok(listing) => listed.push(listing),
            Err(error) => errors.push(error),
        }
    }
    Ok(Page {
        objects,
        errors,
        listed,
        partitions: partitions(page.partitions, expect.scope(), limits)?,
        next: page.next.map(cursor).transpose()?,
        not_before: page.not_before_ms.map(|ms| Duration::from_millis(ms).clamp(MIN_PAUSE, MAX_PAUSE)),
    })
}

/// Checks partitions and takes them over. One that cannot be followed fails all: left out, its objects would never be
/// listed, and nobody would hear of it.
pub(in crate::connector) fn partitions(
    partitions: Vec<catalog_types::Partition>,
    scope: &RemotePath,
    limits: &Limits,
) -> Result<Vec<Partition>, CallError> {
    bounded("partitions", partitions.len(), limits)?;
    let invalid = |message: String| CallError::new(ErrorCode::Internal, message);
    partitions
        .into_iter()
        .map(|p| {
            if p.id.is_empty() || p.id.len() > MAX_LABEL {
                return Err(invalid(format!("a partition's id has 1 to {MAX_LABEL} bytes, not {}", p.id.len())));
            }
            if p.payload.len() > MAX_CURSOR {
                return Err(invalid(format!("a partition's payload has at most {} KiB", MAX_CURSOR >> 10)));
            }
            let below = remote_path(p.scope).map_err(|(_, why)| invalid(format!("a partition's scope {why}")))?;
            if !below.is_within(scope) {
                return Err(invalid(format!("a partition lies outside what was asked for: {below}")));
            }
            Ok(Partition { id: p.id, scope: below, payload: p.payload, weight: p.weight })
        })
        .collect()
}

/// A path, or how far it could be read and what is wrong with the rest.
pub(super) fn remote_path(names: Vec<String>) -> Result<RemotePath, (RemotePath, String)> {
    let deep = names.len() >= MAX_LEVEL;
    let mut path = Vec::with_capacity(names.len().min(MAX_LEVEL));
    for name in names.into_iter().take(MAX_LEVEL - 1) {
        match Ident::try_from(name) {
            Ok(name) => path.push(name),
            Err(why) => {
                let position = path.len() + 1;
                return Err((RemotePath(path), format!("has a name at level {position} that {why}")));
            }
        }
    }
    if deep {
        return Err((RemotePath(path), format!("is deeper than {} levels", MAX_LEVEL - 1)));
    }
    Ok(RemotePath(path))
}

fn bounded(what: &str, count: usize, limits: &Limits) -> Result<(), CallError> {
    let most = limits.page_objects;
    if count <= most as usize {
        return Ok(());
    }
    let message = format!("the connector returned {count} {what} at once; at most {most} are allowed");
    Err(CallError::new(ErrorCode::TooLarge, message))
}

fn cursor(text: String) -> Result<Cursor, CallError> {
    if text.len() > MAX_CURSOR {
        let message = format!("the connector returned a cursor of more than {} KiB", MAX_CURSOR >> 10);
        return Err(CallError::new(ErrorCode::TooLarge, message));
    }
    Ok(Cursor(text))
}

/// Bytes of an object's text.
fn weight(object: &catalog_types::Object) -> usize {
    let optional = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let columns = object.columns.as_deref().unwrap_or_default();
    object.path.iter().map(String::len).sum::<usize>()
        + object.object_type.len()
        + object.namespace.len()
        + optional(&object.remote_id)
        + optional(&object.fingerprint)
        + optional(&object.comment)
        + object.attributes.iter().map(|(k, v)| k.len() + v.len()).sum::<usize>()
        + columns.iter().map(|c| c.name.len() + c.data_type.len() + optional(&c.comment)).sum::<usize>()
}

fn scanned(object: catalog_types::Object, expect: &Expect) -> Result<ScannedObject, ObjectError> {
    let path = remote_path(object.path).map_err(|(path, why)| invalid(path, format!("an object's path {why}")))?;
    if path.0.is_empty() {
        return Err(invalid(path, "an object has an empty path, which is the connection's".into()));
    }
    if let Some(why) = expect.refuses(&path, &object.namespace) {
        return Err(invalid(path, format!("the object {why}")));
    }
    if let Some(what) = too_long(&object.namespace, &object.remote_id, &object.fingerprint, &object.attributes) {
        return Err(invalid(path, format!("the object's {what}")));
    }
    let columns = object.columns.map(columns).transpose().map_err(|why| invalid(path.clone(), why))?;
    let excluded = object.extra.into_iter().find(|(key, _)| key == EXCLUDED).map(|(_, why)| clean(why, MAX_LABEL));
    let kind = Kind::from_text(&object.kind);
    let object_type = match object.object_type {
        text if text.is_empty() => kind.as_str().to_owned(),
        text => clean(text, MAX_LABEL),
    };
    Ok(ScannedObject {
        path,
        namespace: object.namespace,
        facts: Facts {
            kind,
            object_type,
            remote_id: object.remote_id.filter(|id| !id.is_empty()),
            comment: object.comment,
            attributes: object.attributes,
        },
        fingerprint: object.fingerprint,
        columns,
        excluded,
    })
}

/// Which of an object's small texts is not small.
fn too_long(
    namespace: &str,
    remote_id: &Option<String>,
    fingerprint: &Option<String>,
    attributes: &Attributes,
) -> Option<String> {
    let long = |text: &Option<String>| text.as_ref().is_some_and(|t| t.len() > MAX_LABEL);
    if !is_name(namespace) {
        Some(format!("namespace has more than {MAX_NAME_CHARS} characters"))
    } else if long(remote_id) {
        Some(format!("remote id has more than {MAX_LABEL} bytes"))
    } else if long(fingerprint) {
        Some(format!("fingerprint has more than {MAX_LABEL} bytes"))
    } else if attributes.len() > MAX_ATTRIBUTES {
        Some(format!("attributes are more than {MAX_ATTRIBUTES}"))
    } else {
        None
    }
}

/// Whether a text is short enough for a name; an empty one is.
fn is_name(text: &str) -> bool {
    text.len() <= MAX_NAME_CHARS || text.chars().nth(MAX_NAME_CHARS).is_none()
}

fn columns(columns: Vec<catalog_types::Column>) -> Result<Vec<Column>, String> {
    columns
        .into_iter()
        .enumerate()
        .map(|(i, column)| {
            if !is_name(&column.name) {
                return Err(format!("the name of column {} has more than {MAX_NAME_CHARS} characters", i + 1));
            }
            Ok(Column {
                name: column.name,
                data_type: column.data_type,
                nullable: column.nullable,
                comment: column.comment,
                position: column.position,
            })
        })
        .collect()
}

fn complete(listing: catalog_types::Listing, expect: &Expect) -> Result<Listing, ObjectError> {
    let path = remote_path(listing.path)
        .map_err(|(path, why)| invalid(path, format!("a completed container's path {why}")))?;
    let Expect::Below(scope) = expect else {
        return Err(invalid(path, "single columns were asked for; no container can be complete".into()));
    };
    if !path.is_within(scope) {
        return Err(invalid(path, "a completed container lies outside the partition".into()));
    }
    if !is_name(&listing.namespace) {
        return Err(invalid(path, format!("a namespace has more than {MAX_NAME_CHARS} characters")));
    }
    Ok(Listing { path, namespace: listing.namespace, basis: clean(listing.basis, MAX_LABEL) })
}

/// A guest's error about one object. A path that cannot be read leads as far as it can.
fn object_error(error: Error) -> ObjectError {
    ObjectError {
        path: remote_path(error.path.unwrap_or_default()).unwrap_or_else(|(path, _)| path),
        code: ErrorCode::from_text(&error.code).as_str().to_owned(),
        message: clean(error.message, MAX_MESSAGE),
    }
}

fn invalid(path: RemotePath, message: String) -> ObjectError {
    ObjectError { path, code: INVALID_OBJECT.to_owned(), message }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(page: catalog_types::Page, expect: &Expect) -> Result<Page, CallError> {
        super::page(page, expect, &Limits::default())
    }

    fn object(path: &[&str]) -> catalog_types::Object {
        catalog_types::Object {
            path: path.iter().map(ToString::to_string).collect(),
            kind: "table-like".into(),
            object_type: "table".into(),
            namespace: String::new(),
            remote_id: None,
            fingerprint: None,
            comment: None,
            attributes: Vec::new(),
            columns: None,
            extra: Vec::new(),
        }
    }

    fn raw(objects: Vec<catalog_types::Object>) -> catalog_types::Page {
        catalog_types::Page {
            objects,
            errors: Vec::new(),
            listed: Vec::new(),
            partitions: Vec::new(),
            next: None,
            not_before_ms: None,
            extra: Vec::new(),
        }
    }

    fn scope(names: &[&str]) -> RemotePath {
        RemotePath(names.iter().map(|n| n.parse().expect("name")).collect())
    }

    /// What is said of a single object that is left out.
    #[track_caller]
    fn refused(object: catalog_types::Object, expect: &Expect) -> String {
        let page = page(raw(vec![object]), expect).expect("page");
        assert!(page.objects.is_empty());
        assert_eq!(page.errors[0].code, INVALID_OBJECT);
        page.errors[0].message.clone()
    }

    #[test]
    fn a_bad_object_is_reported_and_the_others_stay() {
        let everywhere = Expect::Below(RemotePath::default());
        let long = "x".repeat(256);
        let found = page(raw(vec![object(&["a", &long]), object(&["b"])]), &everywhere).expect("page");
        assert_eq!(found.objects.len(), 1);
        assert_eq!(found.errors[0].path, scope(&["a"]), "the path leads as far as it can be read");
        assert!(found.errors[0].message.contains("level 2 that has 256 characters"), "{}", found.errors[0].message);

        assert!(refused(object(&[]), &everywhere).contains("empty path"));
        assert!(refused(object(&["a"; 32]), &everywhere).contains("deeper than 31"));
        let namespace = catalog_types::Object { namespace: long.clone(), ..object(&["a"]) };
        assert!(refused(namespace, &everywhere).contains("namespace"));
        let column = catalog_types::Column {
            name: long,
            data_type: "int".into(),
            nullable: None,
            comment: None,
            position: None,
            extra: Vec::new(),
        };
        let columns = catalog_types::Object { columns: Some(vec![column]), ..object(&["a"]) };
        assert!(refused(columns, &everywhere).contains("column 1"));
        assert!(page(raw(vec![object(&["a"; 31])]), &everywhere).expect("page").errors.is_empty());
    }

    #[test]
    fn a_partition_cannot_speak_for_another() {
        let below = Expect::Below(scope(&["a"]));
        assert!(refused(object(&["b", "t"]), &below).contains("outside"));
        let mut listing = raw(Vec::new());
        listing.listed.push(catalog_types::Listing {
            path: vec!["b".into()],
            namespace: String::new(),
            basis: String::new(),
            extra: Vec::new(),
        });
        let found = page(listing, &below).expect("page");
        assert!(found.listed.is_empty() && found.errors.len() == 1);

        let elsewhere = catalog_types::Partition {
            id: "p".into(),
            scope: vec!["b".into()],
            payload: String::new(),
            weight: 0,
            extra: Vec::new(),
        };
        assert!(partitions(vec![elsewhere], &scope(&["a"]), &Limits::default()).is_err());
    }

    #[test]
    fn only_named_objects_answer_for_their_columns() {
        let named = Expect::Named {
            scope: scope(&["a", "s"]),
            namespace: String::new(),
            names: HashSet::from(["t".to_owned()]),
        };
        assert!(page(raw(vec![object(&["a", "s", "t"])]), &named).expect("page").errors.is_empty());
        assert!(refused(object(&["a", "s", "u"]), &named).contains("not asked for"));
        assert!(refused(object(&["a", "t"]), &named).contains("not asked for"));
        let other = catalog_types::Object { namespace: "function".into(), ..object(&["a", "s", "t"]) };
        assert!(refused(other, &named).contains("not asked for"));
    }

    #[test]
    fn a_page_over_its_limits_fails() {
        let everywhere = Expect::Below(RemotePath::default());
        let limits = Limits { page_objects: 2000, page_mib: 16, ..Limits::default() };
        let many = || (0..=1000).map(|_| object(&["a"])).collect();
        let error = page(raw(many()), &everywhere).expect_err("too many");
        assert_eq!((error.code, error.message.contains("at most 1000")), (ErrorCode::TooLarge, true));
        assert!(super::page(raw(many()), &everywhere, &limits).is_ok());
        let big = || vec![catalog_types::Object { comment: Some("x".repeat(8 << 20)), ..object(&["a"]) }];
        assert_eq!(page(raw(big()), &everywhere).expect_err("too big").code, ErrorCode::TooLarge);
        assert!(super::page(raw(big()), &everywhere, &limits).is_ok());
        let cursor = catalog_types::Page { next: Some("x".repeat(MAX_CURSOR + 1)), ..raw(Vec::new()) };
        assert_eq!(page(cursor, &everywhere).expect_err("cursor").code, ErrorCode::TooLarge);
    }

    #[test]
    fn a_kind_that_nobody_heard_of_is_kept_as_other() {
        let odd = catalog_types::Object { kind: "hologram".into(), object_type: String::new(), ..object(&["a"]) };
        let found = page(raw(vec![odd]), &Expect::Below(RemotePath::default())).expect("page");
        assert_eq!(found.objects[0].facts.kind, Kind::Other);
        assert_eq!(found.objects[0].facts.object_type, "other");
    }
}
