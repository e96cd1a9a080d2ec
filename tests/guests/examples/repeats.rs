//! Leads a listing in a circle.

use wharfinger_guests::{Error, Guest, Page, ReadRequest, object, page};

struct Repeats;

impl Guest for Repeats {
    fn read(_config: String, request: ReadRequest) -> Result<Page, Error> {
        let next = Some("again".to_owned());
        let not_before_ms = (request.partition.id == "polls").then_some(5);
        Ok(Page { next, not_before_ms, ..page(vec![object(&["a"])]) })
    }
}

wharfinger_guests::export!(Repeats);
