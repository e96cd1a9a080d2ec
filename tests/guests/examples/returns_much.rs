//! Returns more than a page may hold: too many objects, too much text, or more than the host copies, by the partition.

use wharfinger_guests::{Error, Guest, Object, Page, ReadRequest, object, page};

struct ReturnsMuch;

impl Guest for ReturnsMuch {
    fn read(_config: String, request: ReadRequest) -> Result<Page, Error> {
        let big = |bytes: usize| Object { comment: Some("x".repeat(bytes)), ..object(&["a"]) };
        Ok(page(match request.partition.id.as_str() {
            "objects" => (0..1001).map(|_| object(&["a"])).collect(),
            "text" => vec![big(9 << 20)],
            _ => vec![big(32 << 20)],
        }))
    }
}

wharfinger_guests::export!(ReturnsMuch);
