//! Building a page within its limits.

use crate::{Attributes, Column, Error, Listing, Object, Page, Partition};

/// Most objects a page may hold.
pub const MAX_OBJECTS: usize = 1000;
/// Most bytes a page may hold, counted as the host holds them.
pub const MAX_BYTES: usize = 8 << 20;

/// What a record weighs in the host besides its texts.
const OBJECT_BYTES: usize = 256;
const COLUMN_BYTES: usize = 128;
const ATTRIBUTE_BYTES: usize = 48;

/// Collects a page and knows when it is full.
///
/// ```
/// # use wharfinger_sdk::{Kind, Object, Pager};
/// let mut pager = Pager::new();
/// let object = Object::new(vec!["sales".to_owned()], Kind::Container, "schema");
/// if let Err(full) = pager.push(object) {
///     // Keep the place of `full.0` in the cursor: it opens the next page.
/// }
/// let page = pager.finish(None);
/// assert_eq!(page.objects.len(), 1);
/// ```
#[derive(Debug, Default)]
pub struct Pager {
    objects: Vec<Object>,
    errors: Vec<Error>,
    listed: Vec<Listing>,
    partitions: Vec<Partition>,
    bytes: usize,
    errors_left_out: usize,
}

/// An object for which the page has no room left.
#[derive(Debug)]
pub struct Full(pub Box<Object>);

impl Pager {
    /// An empty page.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an object, or gives it back when it has to wait for the next page. One that would fit no page at all goes
    /// without its columns, with an error beside it: it must not seem to be gone.
    pub fn push(&mut self, mut object: Object) -> Result<(), Full> {
        let mut bytes = object_bytes(&object);
        if bytes > MAX_BYTES {
            self.errors.push(
                Error::too_large("The object is larger than a page may be: its columns were left out.")
                    .at(object.path.clone()),
            );
            object.columns = None;
            bytes = object_bytes(&object);
        }
        if !self.objects.is_empty() && (self.objects.len() >= MAX_OBJECTS || self.bytes + bytes > MAX_BYTES) {
            return Err(Full(Box::new(object)));
        }
        self.bytes += bytes;
        self.objects.push(object);
        Ok(())
    }

    /// Reports what could not be read of one object. A page holds as many errors as objects; of more it tells the
    /// number.
    pub fn error(&mut self, error: Error) {
        if self.errors.len() + 1 >= MAX_OBJECTS {
            self.errors_left_out += 1;
            return;
        }
        self.bytes += OBJECT_BYTES + error.message.len() + error.detail.as_ref().map_or(0, String::len);
        self.errors.push(error);
    }

    /// Says that a container's children have now all been delivered.
    pub fn listed(&mut self, listing: Listing) {
        self.listed.push(listing);
    }

    /// Adds a partition to be read after this page.
    pub fn partition(&mut self, partition: Partition) {
        self.bytes += OBJECT_BYTES + partition.id.len() + partition.payload.len();
        self.partitions.push(partition);
    }

    /// Objects so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether there is no object yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// Whether anything was said at all.
    #[must_use]
    pub fn has_content(&self) -> bool {
        !(self.objects.is_empty() && self.errors.is_empty() && self.listed.is_empty() && self.partitions.is_empty())
    }

    /// Whether as much again of what `objects` further objects weigh on the average so far is likely to fit.
    #[must_use]
    pub fn has_room_for(&self, objects: usize) -> bool {
        let average = self.bytes / self.objects.len().max(1);
        self.objects.len() + objects <= MAX_OBJECTS && self.bytes + average * objects <= MAX_BYTES
    }

    /// The page; `next` is where to go on, none ends the partition.
    #[must_use]
    pub fn finish(mut self, next: Option<String>) -> Page {
        if self.errors_left_out > 0 {
            self.errors.push(Error::internal(format!("{} further errors are not shown.", self.errors_left_out)));
        }
        Page {
            objects: self.objects,
            errors: self.errors,
            listed: self.listed,
            partitions: self.partitions,
            next,
            not_before_ms: None,
            extra: Attributes::new(),
        }
    }
}

pub(crate) fn object_bytes(object: &Object) -> usize {
    let texts = object.path.iter().map(|name| name.len() + 24).sum::<usize>()
        + [&object.remote_id, &object.fingerprint, &object.comment]
            .into_iter()
            .flatten()
            .map(String::len)
            .sum::<usize>()
        + object.attributes.iter().map(|(k, v)| k.len() + v.len() + ATTRIBUTE_BYTES).sum::<usize>();
    OBJECT_BYTES + texts + object.columns.iter().flatten().map(column_bytes).sum::<usize>()
}

fn column_bytes(column: &Column) -> usize {
    COLUMN_BYTES + column.name.len() + column.data_type.len() + column.comment.as_ref().map_or(0, String::len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    fn table(name: &str, columns: usize, comment: usize) -> Object {
        let mut object = Object::new(vec![name.to_owned()], Kind::TableLike, "table");
        let column = Column { comment: Some("x".repeat(comment)), ..Column::new("c", "int") };
        object.columns = Some(vec![column; columns]);
        object
    }

    #[test]
    fn a_page_ends_at_a_thousand_objects_or_eight_mebibytes() {
        let mut pager = Pager::new();
        let fitted = (0..2000).take_while(|i| pager.push(table(&i.to_string(), 0, 0)).is_ok()).count();
        assert_eq!(fitted, MAX_OBJECTS);
        let mut pager = Pager::new();
        let fitted = (0..2000).take_while(|i| pager.push(table(&i.to_string(), 10, 10_000)).is_ok()).count();
        assert_eq!(fitted, 82);
        assert!(!pager.has_room_for(2));
    }

    #[test]
    fn a_page_holds_no_more_errors_than_objects() {
        let mut pager = Pager::new();
        (0..5000).for_each(|_| pager.error(Error::internal("x")));
        let page = pager.finish(None);
        assert_eq!(page.errors.len(), MAX_OBJECTS);
        assert!(page.errors[MAX_OBJECTS - 1].message.starts_with("4001 "), "{:?}", page.errors.last());
    }

    #[test]
    fn an_object_that_fits_no_page_goes_without_columns() {
        let mut pager = Pager::new();
        pager.push(table("huge", 1000, 10_000)).expect("goes alone");
        let page = pager.finish(None);
        assert_eq!(page.objects[0].columns, None);
        assert_eq!(page.errors[0].code, "too-large");
        assert_eq!(page.errors[0].path, Some(vec!["huge".to_owned()]));
    }
}
